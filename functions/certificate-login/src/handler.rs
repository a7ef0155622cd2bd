//! The edge.

use std::sync::Arc;

use lambda_http::http::{Method, header};
use serde_json::json;
use shared::chance;
use shared::http::{Answer, Call, time, unknown_route};
use shared::identifier::Identifier;
use shared::password::Password;
use shared::problem::{Code, Problem};
use shared::secret::Secret;
use shared::sign_in::Wanted;
use shared::ticket::Challenge;

use crate::CertificateLogin;
use crate::bind::Claim;

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<CertificateLogin>, call: Arc<Call>) -> Result<Answer, Problem> {
    match (call.method(), call.path()) {
        (&Method::GET, "/v1/login/certificate") => card(&step, &call).await,
        (&Method::POST, "/v1/login/certificate") => exchange(&step, &call).await,
        (&Method::POST, "/v1/login/certificate/identity") => identity(&step, &call).await,
        _ => unknown_route(),
    }
}

/// A program gets JSON, and so does the sign-in page; a browser that came by a link goes back to the portal host with what it
/// got in the fragment, where no server's log sees it.
async fn card(step: &CertificateLogin, call: &Call) -> Result<Answer, Problem> {
    let result = async {
        let challenge = call.query("challenge").and_then(|text| Challenge::parse(&text));
        let challenge = challenge.ok_or_else(|| Problem::field("challenge"))?;
        let pem = call.certificate_pem().ok_or_else(|| Problem::new(Code::CertificateRequired))?;
        step.see_card(pem, challenge, &call.origin, &mut chance::system()).await
    }
    .await;
    let wants_json = call.header(header::ACCEPT).is_some_and(|accept| accept.contains("application/json"));
    if wants_json {
        let answer = result.map(|(code, expires_at)| {
            Answer::ok(json!({"code": code.reveal(), "expires_at": time(expires_at)}))
        });
        // The sign-in page asks by script. That it can read the answer tells it that this is no answer of the gateway's.
        return match call.is_same_origin(step.portal_origin()) {
            true => Ok(call.answer(answer).readable_by(step.portal_origin())),
            false => answer,
        };
    }
    let page = format!("{}/card", step.portal_origin());
    match result {
        Ok((code, _)) => Ok(Answer::see_other(&format!("{page}#code={}", code.reveal()))),
        Err(problem) => {
            Ok(Answer::see_other(&format!("{page}#problem={}", problem.code.name())).because(problem))
        }
    }
}

async fn exchange(step: &CertificateLogin, call: &Call) -> Result<Answer, Problem> {
    call.refuse_foreign_origin(step.portal_origin())?;
    let mut fields = call.fields()?;
    let code = fields.text("code")?;
    let verifier = fields.text("verifier")?;
    let wanted = Wanted::of(call, fields.carrier()?);
    let challenge = Challenge::of_verifier(&verifier).ok_or_else(|| Problem::field("verifier"))?;
    let code = Secret::parse(&code).ok_or_else(|| Problem::new(Code::TicketInvalid))?;
    let outcome = step.exchange(&code, &challenge, &wanted, &call.origin, &mut chance::system()).await?;
    Ok(outcome.into())
}

async fn identity(step: &CertificateLogin, call: &Call) -> Result<Answer, Problem> {
    call.refuse_foreign_origin(step.portal_origin())?;
    let mut fields = call.fields()?;
    let ticket = fields.text("ticket")?;
    let typed = fields.text("identifier")?;
    let password = fields.optional_text("password")?.filter(|text| !text.is_empty()).map(Password::new);
    let wanted = Wanted::of(call, fields.carrier()?);
    let identifier =
        Identifier::parse(&typed).map_err(|reason| Problem::field("identifier").because(reason))?;
    let ticket = Secret::parse(&ticket).ok_or_else(|| Problem::new(Code::TicketInvalid))?;
    let claim = Claim { identifier, password };
    let outcome = step.bind_card(&ticket, &claim, &wanted, &call.origin, &mut chance::system()).await?;
    Ok(outcome.into())
}

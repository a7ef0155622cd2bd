//! The edge.

use std::sync::Arc;

use lambda_http::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::chance;
use shared::delivery::{MailState, Standing};
use shared::email_address::EmailAddress;
use shared::http::{Answer, Call, Fields, cards, time, unknown_route};
use shared::national_id::NationalId;
use shared::problem::Problem;

use crate::cards::UnbindRequest;
use crate::mail::ResetMail;
use crate::step::{Employee, HrReset};

/// Longest reason that the helpdesk may give, in characters.
const MAX_REASON: usize = 500;

/// A reset that somebody asks for.
#[derive(Debug)]
pub struct ResetRequest {
    /// Whose password.
    pub national_id: NationalId,
    /// Where to mail the initial one.
    pub email: EmailAddress,
    /// Why.
    pub reason: Option<String>,
    /// That the address is right although mail to it came back.
    pub email_confirmed: bool,
}

impl ResetRequest {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let national_id = national_id(&mut fields)?;
        let email = EmailAddress::parse(&fields.text("email")?)?;
        let reason = reason(&mut fields)?;
        Ok(Self { national_id, email, reason, email_confirmed: fields.flag("email_confirmed")? })
    }
}

impl UnbindRequest {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let national_id = national_id(&mut fields)?;
        let card_id = fields.text("card_id")?;
        let reason = reason(&mut fields)?.ok_or_else(|| Problem::field("reason").because("missing"))?;
        Ok(Self { national_id, card_id, reason })
    }
}

fn reason(fields: &mut Fields) -> Result<Option<String>, Problem> {
    let reason = fields.optional_text("reason")?;
    let reason = reason.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(Problem::field("reason").because("too long"));
    }
    Ok(reason)
}

fn national_id(fields: &mut Fields) -> Result<NationalId, Problem> {
    NationalId::parse(&fields.text("national_id")?)
        .map_err(|reason| Problem::field("national_id").because(reason))
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<HrReset>, call: Arc<Call>) -> Result<Answer, Problem> {
    // Who has no session hears of that, not of what is wrong with the body.
    let presented = step.door().presented(&call)?;
    match (call.method(), call.path()) {
        (&Method::POST, "/v1/hr/employees/search") => {
            let national_id = national_id(&mut call.fields()?)?;
            Ok(Answer::ok(employee(&step.search(&call, presented, &national_id).await?)))
        }
        (&Method::POST, "/v1/hr/employees/password-reset") => {
            let request = ResetRequest::parse(&call)?;
            let reset = step.reset(&call, presented, request, &mut chance::system()).await?;
            Ok(Answer::json(StatusCode::ACCEPTED, mail(&reset)))
        }
        (&Method::POST, "/v1/hr/employees/cards") => {
            let national_id = national_id(&mut call.fields()?)?;
            Ok(Answer::ok(cards(&step.cards(&call, presented, &national_id).await?)))
        }
        (&Method::POST, "/v1/hr/employees/cards/unbind") => {
            let request = UnbindRequest::parse(&call)?;
            step.unbind(&call, presented, request, &mut chance::system()).await?;
            Ok(Answer::no_content())
        }
        (method, path) if path.starts_with("/v1/hr/password-resets/") => {
            let reset_id = call.path_parameter("reset_id").unwrap_or_default();
            match *method {
                Method::GET => Ok(Answer::ok(mail(&step.mail(&call, presented, &reset_id).await?))),
                Method::POST if path.ends_with("/resend") => {
                    let resent = step.resend(&call, presented, &reset_id).await?;
                    Ok(Answer::json(StatusCode::ACCEPTED, mail(&resent)))
                }
                _ => unknown_route(),
            }
        }
        _ => unknown_route(),
    }
}

fn employee(employee: &Employee) -> Value {
    let mut body = json!({
        "person_id": employee.id,
        "name": employee.name,
        "agency": employee.agency,
        "agency_name": employee.agency_name,
        "status": employee.service,
        "account_state": employee.account_state,
        "may_reset": employee.why_not.is_none(),
    });
    if let Some(body) = body.as_object_mut() {
        if let Some(email) = &employee.email_masked {
            body.insert("email".to_owned(), json!(email));
        }
        if let Some(since) = employee.email_undeliverable_since {
            body.insert("email_undeliverable_since".to_owned(), time(since));
        }
        if let Some(code) = employee.why_not {
            body.insert("why_not".to_owned(), json!(code.name()));
        }
    }
    body
}

fn mail(mail: &ResetMail) -> Value {
    let mut body = json!({
        "reset_id": mail.reset_id,
        "mail": state(mail.standing.state()),
        "created_at": time(mail.created_at),
        "expires_at": time(mail.expires_at),
        "resendable": mail.resendable,
    });
    if let Some(body) = body.as_object_mut() {
        match mail.standing {
            Standing::Bounced(bounce) => drop(body.insert("bounce".to_owned(), json!(bounce))),
            Standing::Failed(why) => drop(body.insert("failure".to_owned(), json!(why))),
            Standing::Queued
            | Standing::Sending
            | Standing::Sent
            | Standing::Delivered
            | Standing::Complained => {}
        }
    }
    body
}

/// A mail in a dispatcher's hands is still queued to the one who waits for it.
fn state(state: MailState) -> MailState {
    match state {
        MailState::Sending => MailState::Queued,
        other => other,
    }
}

//! The edge; the step is no more than it.

use std::sync::Arc;

use lambda_http::http::{Method, header};
use serde_json::json;
use shared::audit::{Action, SUCCESS};
use shared::caller::{Admitted, Caller};
use shared::http::{Answer, Call, time, unknown_route};
use shared::problem::{Code, Problem};
use shared::session::Carrier;

use crate::SessionStep;

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<SessionStep>, call: Arc<Call>) -> Result<Answer, Problem> {
    match (call.method(), call.path()) {
        (&Method::GET, "/v1/session") => who(&step, &call).await,
        (&Method::DELETE, "/v1/session") => sign_out(&step, &call).await,
        (&Method::POST, "/v1/session/token") => token(&step, &call).await,
        (&Method::GET, "/.well-known/jwks.json") => Ok(keys(&step)),
        _ => unknown_route(),
    }
}

async fn who(step: &SessionStep, call: &Call) -> Result<Answer, Problem> {
    let Admitted { caller, session, .. } = step.door.enter(call).await?;
    let expires_at = time(session.expires_at(step.door.policy()));
    let amr = [session.proof.method().amr()];
    Ok(Answer::ok(match caller {
        Caller::Person(person) => {
            let person = person.person();
            let mut body = json!({
                "subject": "person",
                "name": person.name,
                "agency": person.agency,
                "agency_name": person.agency_name,
                "roles": person.roles.iter().map(|role| role.code()).collect::<Vec<_>>(),
                "amr": amr,
                "expires_at": expires_at,
            });
            if let (Some(account), Some(body)) = (&person.account.custom_account, body.as_object_mut()) {
                body.insert("account".to_owned(), json!(account.as_str()));
            }
            body
        }
        Caller::Agency(agency) => json!({
            "subject": "agency",
            "name": agency.name,
            "agency": agency.code,
            "agency_name": agency.name,
            "roles": [],
            "amr": amr,
            "expires_at": expires_at,
        }),
    }))
}

async fn sign_out(step: &SessionStep, call: &Call) -> Result<Answer, Problem> {
    let Admitted { caller, session, id, .. } = step.door.enter(call).await?;
    let sessions = step.door.sessions();
    sessions.end(&session.subject, &id).await?;
    if session.carrier == Carrier::Cookie {
        sessions.end_lent_from(&session.subject, &id).await?;
    }
    let entry = call.origin.entry(Action::SignOut, &session.subject, &session.subject, SUCCESS);
    let entry = entry.of_agency(Some(caller.agency()));
    step.audit.note(entry).await?;
    Ok(Answer::no_content().without_session_cookie())
}

/// A fresh token. A browser's session gets none: a script that got into a page could carry it away.
async fn token(step: &SessionStep, call: &Call) -> Result<Answer, Problem> {
    let Admitted { session, id, .. } = step.door.enter(call).await?;
    // Nothing is asked yet; what is no object now would not be one when something is.
    call.fields()?;
    if session.carrier != Carrier::Token {
        return Err(Problem::new(Code::NotAuthorized).because("a cookie's session gets no token"));
    }
    let (token, expires_at) = step.tokens.sign(&session, &id, step.door.policy(), call.now()).await?;
    Ok(Answer::ok(json!({"token": token, "expires_at": time(expires_at)})))
}

fn keys(step: &SessionStep) -> Answer {
    Answer::ok(json!({"keys": step.door.keys()}))
        .with_header(header::CACHE_CONTROL, "public, max-age=300")
        .with_header(header::CONTENT_TYPE, "application/jwk-set+json")
}

//! The edge.

use std::sync::Arc;

use lambda_http::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::audit::Entry;
use shared::chance;
use shared::delivery::MailState;
use shared::email_address::EmailAddress;
use shared::email_change::EmailCode;
use shared::http::{Answer, Call, Fields, cards, time, unknown_route};
use shared::password::Password;
use shared::problem::{Advice, Code, Problem};

use crate::email::{Email, Waiting, Wish};
use crate::step::{AccountStep, OpenSession};

/// A change that somebody asks for.
#[derive(Debug)]
pub struct Change {
    /// The current password; may be left out after a fresh card.
    pub current: Option<Password>,
    /// The new one.
    pub password: Password,
}

impl Change {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let current = current_password(&mut fields)?;
        let password = Password::new(fields.text("password")?);
        let confirmation = Password::new(fields.text("password_confirmation")?);
        if password != confirmation {
            return Err(Problem::new(Code::PasswordMismatch).on("password_confirmation"));
        }
        Ok(Self { current, password })
    }
}

/// The current password, where it is given.
fn current_password(fields: &mut Fields) -> Result<Option<Password>, Problem> {
    let text = fields.optional_text("current_password")?;
    Ok(text.filter(|text| !text.is_empty()).map(Password::new))
}

impl Wish {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let email = fields.text("email")?;
        let current = current_password(&mut fields)?;
        Ok(Self { email: EmailAddress::parse(&email)?, current })
    }
}

fn email_code(call: &Call) -> Result<EmailCode, Problem> {
    let text = call.fields()?.text("code")?;
    EmailCode::parse(&text).ok_or_else(|| Problem::field("code").advising(Advice::EmailCodeForm))
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<AccountStep>, call: Arc<Call>) -> Result<Answer, Problem> {
    match (call.method(), call.path()) {
        (&Method::POST, "/v1/account/password") => {
            let admitted = step.door().enter(&call).await?;
            let change = Change::parse(&call)?;
            step.change_password(admitted, change, &call.origin, &mut chance::system()).await?;
            Ok(Answer::no_content())
        }
        (&Method::GET, "/v1/account/email") => {
            let admitted = step.door().enter(&call).await?;
            Ok(Answer::ok(email(&step.email(&admitted, call.now()).await?)))
        }
        (&Method::PUT, "/v1/account/email") => {
            let admitted = step.door().enter(&call).await?;
            let wish = Wish::parse(&call)?;
            let waiting = step.ask_email(&admitted, &wish, &call.origin, &mut chance::system()).await?;
            Ok(Answer::json(StatusCode::ACCEPTED, change(&waiting)))
        }
        (&Method::POST, "/v1/account/email/confirmation") => {
            let admitted = step.door().enter(&call).await?;
            let code = email_code(&call)?;
            step.confirm_email(&admitted, &code, &call.origin, &mut chance::system()).await?;
            Ok(Answer::no_content())
        }
        (&Method::GET, "/v1/account/cards") => {
            let admitted = step.door().enter(&call).await?;
            Ok(Answer::ok(cards(&step.cards(&admitted).await?)))
        }
        (&Method::DELETE, path) if path.starts_with("/v1/account/cards/") => {
            let admitted = step.door().enter(&call).await?;
            let card = call.path_parameter("card_id").unwrap_or_default();
            step.unbind_card(admitted, &card, &call.origin, &mut chance::system()).await?;
            Ok(Answer::no_content())
        }
        (&Method::GET, "/v1/account/sessions") => {
            let admitted = step.door().enter(&call).await?;
            Ok(Answer::ok(sessions(&step.sessions(&admitted, call.now()).await?)))
        }
        (&Method::POST, "/v1/account/end-other-sessions") => {
            let admitted = step.door().enter(&call).await?;
            let current = current_password(&mut call.fields()?)?;
            step.end_other_sessions(&admitted, current.as_ref(), &call.origin).await?;
            Ok(Answer::no_content())
        }
        (&Method::DELETE, path) if path.starts_with("/v1/account/sessions/") => {
            let admitted = step.door().enter(&call).await?;
            let name = call.path_parameter("session_id").unwrap_or_default();
            let own = step.end_session(&admitted, &name, &call.origin).await?;
            Ok(if own { Answer::no_content().without_session_cookie() } else { Answer::no_content() })
        }
        (&Method::GET, "/v1/account/activity") => {
            let admitted = step.door().enter(&call).await?;
            Ok(Answer::ok(activity(&step.activity(&admitted, call.now()).await?)))
        }
        _ => unknown_route(),
    }
}

fn email(email: &Email) -> Value {
    let mut shown = json!({"email": email.masked});
    if let Some(fields) = shown.as_object_mut() {
        if let Some(since) = email.undeliverable_since {
            fields.insert("undeliverable_since".to_owned(), json!(time(since)));
        }
        if let Some(waiting) = &email.waiting {
            fields.insert("change".to_owned(), change(waiting));
        }
    }
    shown
}

fn change(waiting: &Waiting) -> Value {
    // A mail in a dispatcher's hands is still queued to the one who waits for it.
    let mail = if waiting.mail == MailState::Sending { MailState::Queued } else { waiting.mail };
    json!({
        "email": waiting.email_masked,
        "mail": mail,
        "tries_left": waiting.tries_left,
        "expires_at": time(waiting.expires_at),
    })
}

fn sessions(open: &[OpenSession]) -> Value {
    let session = |session: &OpenSession| {
        let mut shown = json!({
            "session_id": session.name,
            "current": session.current,
            "amr": [session.method.amr()],
            "carrier": session.carrier,
            "created_at": time(session.created_at),
            "last_used_at": time(session.last_used_at),
        });
        if let (Some(client), Some(fields)) = (&session.client, shown.as_object_mut()) {
            fields.insert("client".to_owned(), json!(client));
        }
        shown
    };
    json!({"sessions": open.iter().map(session).collect::<Vec<_>>()})
}

/// Where somebody else was who did something to the account is theirs, and nothing for its holder.
fn activity(entries: &[Entry]) -> Value {
    let entry = |entry: &Entry| {
        let own = entry.actor == entry.subject;
        let mut shown = json!({
            "at": time(entry.at),
            "action": entry.action,
            "outcome": entry.outcome,
            "by": if own { "self" } else { "other" },
        });
        if let Some(fields) = shown.as_object_mut().filter(|_| own) {
            fields.insert("address".to_owned(), json!(entry.address));
        }
        shown
    };
    json!({"entries": entries.iter().map(entry).collect::<Vec<_>>()})
}

//! The edge.

use std::sync::Arc;

use lambda_http::http::Method;
use shared::chance;
use shared::http::{Answer, Call, cards, unknown_route};
use shared::password::Password;
use shared::problem::{Code, Problem};

use crate::step::AccountStep;

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
        let current =
            fields.optional_text("current_password")?.filter(|text| !text.is_empty()).map(Password::new);
        let password = Password::new(fields.text("password")?);
        let confirmation = Password::new(fields.text("password_confirmation")?);
        if password != confirmation {
            return Err(Problem::new(Code::PasswordMismatch).on("password_confirmation"));
        }
        Ok(Self { current, password })
    }
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
        _ => unknown_route(),
    }
}

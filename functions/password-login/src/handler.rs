//! The edge.

use std::sync::Arc;

use shared::chance;
use shared::http::{Answer, Call};
use shared::identifier::Identifier;
use shared::password::Password;
use shared::problem::Problem;
use shared::sign_in::Wanted;

use crate::step::PasswordLogin;

/// Somebody's attempt.
#[derive(Debug)]
pub struct Attempt {
    /// What they typed as identifier.
    pub typed: String,
    /// What that is.
    pub identifier: Identifier,
    /// What they typed as password.
    pub password: Password,
    /// How they want the session.
    pub wanted: Wanted,
}

impl Attempt {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let typed = fields.text("identifier")?;
        let identifier =
            Identifier::parse(&typed).map_err(|reason| Problem::field("identifier").because(reason))?;
        let password = Password::new(fields.text("password")?);
        if password.reveal().is_empty() {
            return Err(Problem::field("password").because("empty"));
        }
        let wanted = Wanted::of(call, fields.carrier()?);
        Ok(Self { typed, identifier, password, wanted })
    }
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<PasswordLogin>, call: Arc<Call>) -> Result<Answer, Problem> {
    call.refuse_foreign_origin(step.portal_origin())?;
    let attempt = Attempt::parse(&call)?;
    let outcome = step.sign_in(attempt, &call.origin, &mut chance::system()).await?;
    Ok(outcome.into())
}

//! The edge.

use std::sync::Arc;

use serde_json::json;
use shared::chance;
use shared::custom_account::CustomAccount;
use shared::email_address::EmailAddress;
use shared::http::{Answer, Call};
use shared::password::{NewPassword, Password, Policy};
use shared::problem::{Code, Problem};
use shared::pseudonym::PersonId;
use shared::secret::Secret;
use shared::sign_in::parse_activation_ticket;

use crate::step::ActivationStep;

/// What a person has chosen, as far as it can be judged by itself.
#[derive(Debug)]
pub struct Choice {
    /// The ticket.
    pub ticket: Secret,
    /// Whose ticket it says to be.
    pub person: PersonId,
    /// The custom account.
    pub account: CustomAccount,
    /// The email address.
    pub email: EmailAddress,
    /// The password.
    pub password: NewPassword,
}

impl Choice {
    fn parse(call: &Call, policy: &Policy) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let ticket = fields.text("ticket")?;
        let account = fields.text("account")?;
        let email = fields.text("email")?;
        let password = Password::new(fields.text("password")?);
        let confirmation = Password::new(fields.text("password_confirmation")?);
        let (ticket, person) =
            parse_activation_ticket(&ticket).ok_or_else(|| Problem::new(Code::TicketInvalid))?;
        let account = CustomAccount::parse(&account)?;
        let email = EmailAddress::parse(&email)?;
        if password != confirmation {
            return Err(Problem::new(Code::PasswordMismatch).on("password_confirmation"));
        }
        let password = policy
            .accept(password, Some(&account), Some(email.reveal()))
            .map_err(Problem::password_rejected)?;
        Ok(Self { ticket, person, account, email, password })
    }
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<ActivationStep>, call: Arc<Call>) -> Result<Answer, Problem> {
    call.refuse_foreign_origin(step.portal_origin())?;
    let choice = Choice::parse(&call, step.policy())?;
    step.activate(choice, &call.origin, &mut chance::system()).await?;
    Ok(Answer::ok(json!({"status": "activated"})))
}

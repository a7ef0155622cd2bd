//! The edge.

use std::sync::Arc;

use serde_json::json;
use shared::chance;
use shared::custom_account::CustomAccount;
use shared::email_address::EmailAddress;
use shared::http::{Answer, Call};
use shared::password::{KnownBy, NewPassword, Password, Policy};
use shared::person::Person;
use shared::problem::{Code, Problem};
use shared::pseudonym::PersonId;
use shared::secret::Secret;
use shared::sign_in::parse_activation_ticket;

use crate::step::ActivationStep;

/// What somebody asks for. Nothing of it is judged before it is known whether their ticket is good: work is done for those alone
/// who have proved themselves.
pub struct Request {
    /// The ticket.
    pub ticket: Secret,
    /// Whose ticket it says to be.
    pub person: PersonId,
    account: String,
    email: String,
    password: Password,
    confirmation: Password,
}

/// What a person has chosen, as far as it can be judged without the passwords of before.
#[derive(Debug)]
pub struct Choice {
    /// The custom account.
    pub account: CustomAccount,
    /// The email address.
    pub email: EmailAddress,
    /// The password.
    pub password: NewPassword,
}

impl Request {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let ticket = fields.text("ticket")?;
        let account = fields.text("account")?;
        let email = fields.text("email")?;
        let password = Password::new(fields.text("password")?);
        let confirmation = Password::new(fields.text("password_confirmation")?);
        let (ticket, person) =
            parse_activation_ticket(&ticket).ok_or_else(|| Problem::new(Code::TicketInvalid))?;
        Ok(Self { ticket, person, account, email, password, confirmation })
    }

    /// Judges what the ticket's person has chosen: first what costs nothing.
    ///
    /// # Errors
    /// `account_invalid`, `email_invalid`, `password_mismatch`, `password_rejected`.
    pub fn judge(self, person: &Person, policy: &Policy) -> Result<Choice, Problem> {
        let account = CustomAccount::choose(&self.account)?;
        let email = EmailAddress::parse(&self.email)?;
        if self.password != self.confirmation {
            return Err(Problem::new(Code::PasswordMismatch).on("password_confirmation"));
        }
        let known_by = KnownBy {
            account: Some(&account),
            email: Some(email.reveal()),
            name: Some(&person.name),
            agency: Some(&person.agency_name),
        };
        let password = policy.accept(self.password, &known_by).map_err(Problem::password_rejected)?;
        Ok(Choice { account, email, password })
    }
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<ActivationStep>, call: Arc<Call>) -> Result<Answer, Problem> {
    call.refuse_foreign_origin(step.portal_origin())?;
    let request = Request::parse(&call)?;
    step.activate(request, &call.origin, &mut chance::system()).await?;
    Ok(Answer::ok(json!({"status": "activated"})))
}

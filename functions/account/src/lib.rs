//! What a person does with their own account: `POST /v1/account/password`, `GET` and `PUT /v1/account/email`,
//! `POST /v1/account/email/confirmation`, `GET /v1/account/cards`, `DELETE /v1/account/cards/{card_id}`,
//! `GET /v1/account/sessions`, `DELETE /v1/account/sessions/{session_id}`, `POST /v1/account/end-other-sessions` and
//! `GET /v1/account/activity`.
//!
//! A password change ends the other sessions. In a session that a card opened in the last minutes the current password may
//! be left out: a forgotten password needs no HR when there is a card. The other way round, a card is unbound in a session
//! that the password opened: whoever found a card, and its PIN, cannot throw out the holder's other card with it.
//!
//! A new email address is the account's once the code that was mailed to it is typed in: asking for it needs the same proof as
//! a password change, and the former address is told.

pub mod email;
pub mod handler;
pub mod step;

use shared::environment::{Environment, StartError};
use shared::lambda::Function;

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = step::AccountStep::start(environment).await?;
    Ok(shared::http::function("account", step, handler::handle))
}

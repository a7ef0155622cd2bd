//! `POST /v1/account/password`: a person who is signed in changes their password; the other sessions end.
//!
//! In a session that a card opened in the last minutes the current password may be left out: a forgotten password needs no
//! HR when there is a card.

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

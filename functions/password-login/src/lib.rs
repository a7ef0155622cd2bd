//! `POST /v1/login/password`: sign in with a custom account or national ID, and a password or initial password (貳、2).
//!
//! One read (person, failures of the identifier, count of the address), one hash, one transaction. An identifier that is
//! nobody's costs the same and gets the same answer. [`decision`] holds the rule, [`handler`] the edge, [`step`] the way
//! between them.

pub mod decision;
pub mod handler;
pub mod step;

use shared::environment::{Environment, StartError};
use shared::lambda::Function;

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = step::PasswordLogin::start(environment).await?;
    Ok(shared::http::function("password-login", step, handler::handle))
}

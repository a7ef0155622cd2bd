//! `POST /v1/activation`: a person who has proved themselves sets a custom account, an email and a password (附註二).
//!
//! One read (ticket and person), the count of the try, one transaction: ticket used up, account reserved and set, initial
//! password gone, audit entry written. Of two at once, one wins. Refused input leaves the ticket good. [`step`] is the step,
//! [`handler`] the edge.

pub mod handler;
pub mod step;

use shared::environment::{Environment, StartError};
use shared::lambda::Function;

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = step::ActivationStep::start(environment).await?;
    Ok(shared::http::function("activation", step, handler::handle))
}

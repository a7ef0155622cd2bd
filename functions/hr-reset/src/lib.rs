//! HR resets a password (貳、2 and 3): `POST /v1/hr/employees/search` and `POST /v1/hr/employees/password-reset` ([`reset`]); sees
//! what became of its mail, `GET /v1/hr/password-resets/{reset_id}`; and has it sent once more, with the same initial password,
//! `POST /v1/hr/password-resets/{reset_id}/resend` ([`mail`]); lists an agency's resets, `GET /v1/hr/password-resets` ([`list`]).
//! New staff are reset by a file, `/v1/hr/bulk-resets` ([`bulk`]): this function looks at it and shows what became of it, and
//! `bulk-reset` makes the resets. The helpdesk also unbinds a lost card of somebody who cannot sign in:
//! `POST /v1/hr/employees/cards` and `POST /v1/hr/employees/cards/unbind` ([`cards`]).
//!
//! Roles are read at the moment of the act, never from the token; who may reset whom is decided by `shared::authority` alone. A
//! reset and its mail are one transaction. The initial password exists in memory and encrypted in the outbox, and is never
//! in an answer.

pub mod bulk;
pub mod cards;
pub mod handler;
pub mod list;
pub mod mail;
pub mod reset;
pub mod step;

use shared::environment::{Environment, StartError};
use shared::lambda::Function;

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = step::HrReset::start(environment).await?;
    Ok(shared::http::function("hr-reset", step, handler::handle))
}

//! HR heads say who may reset where (權限與兼辦管理): `/v1/hr/authorizations`.
//!
//! - `GET /v1/hr/authorizations`: who may reset in an agency, since when, by whom; or where an agency's people may reset;
//!   what is open, or the history ([`list`]).
//! - `GET /v1/hr/authorizations/{authorization_id}`: one, with its history ([`list`]).
//! - `PUT /v1/hr/authorizations/{authorization_id}`: authorizes HR staff of the own agency, or asks for a concurrent duty
//!   (兼辦) ([`grant`]). The client chooses the id, so that it may ask again without asking for more.
//! - `POST …/accept`, `…/refuse`, `…/withdraw`: what the other agency's HR head says, or the asking one takes back ([`answer`]).
//! - `DELETE /v1/hr/authorizations/{authorization_id}`: revokes ([`answer`]).
//!
//! Who may is decided by `shared::authority` alone. A change is one transaction: the holder's item, by which resets are
//! decided, the record, and the audit trail, under the authority that it was decided by.

pub mod answer;
pub mod dates;
pub mod grant;
pub mod handler;
pub mod list;
pub mod step;

use shared::environment::{Environment, StartError};
use shared::lambda::Function;

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = step::Authorizing::start(environment).await?;
    Ok(shared::http::function("authorizations", step, handler::handle))
}

//! Reads the audit trail: `GET /v1/hr/audit?person=…`, `?actor=…` or `?agency=…`, which without any is the caller's own, the newest entries first, in pages.
//!
//! An HR head, and an agency by its organization certificate, sees what happened in their own agency; the helpdesk sees all.
//! What is out of the caller's scope looks like what does not exist: nothing is in it. Whoever reads is in the trail as well,
//! once for what they ask and not for each page.

pub mod handler;
mod party;
mod step;

use shared::environment::{Environment, StartError};
use shared::lambda::Function;

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = step::AuditReading::start(environment).await?;
    Ok(shared::http::function("audit", step, handler::handle))
}

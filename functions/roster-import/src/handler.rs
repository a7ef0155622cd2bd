//! The edge to Lambda: an event that tells of a file, or the schedule's. Both mean: look into the inbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::lambda::time_left;

use crate::{RosterImport, Run};

/// Before the function's time is over, so long is left for what is under way.
const RESERVE: Duration = Duration::from_secs(30);

/// Works at the inbox.
///
/// # Errors
/// Files are left that this run could not do with; Lambda and the schedule start the next one.
pub async fn handle(step: Arc<RosterImport>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let run = Run {
        request_id: event.context.request_id,
        end: time_left(event.context.deadline, Clock::system().now().as_millisecond(), RESERVE)
            .and_then(|left| Instant::now().checked_add(left)),
        clock: step.clock.clone(),
    };
    let reports = step.work(&run).await?;
    let busy = reports.is_none();
    let mut files = Vec::new();
    for mut report in reports.into_iter().flatten() {
        // The report has them all.
        report.rows.truncate(0);
        files.push(serde_json::to_value(report)?);
    }
    Ok(json!({ "busy": busy, "files": files }))
}

//! Records of the stream, or one tick of the schedule.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::lambda::time_left;
use shared::store::bulk::id_of_key;

use crate::BulkReset;
use crate::run::Ran;

/// Before the function's time is over, so long is left for the row that is under way and the note that the job waits again.
const RESERVE: Duration = Duration::from_secs(20);
/// Jobs that one tick of the schedule looks at.
const JOBS_A_SWEEP: i32 = 25;

/// Works off the jobs of the records, and answers the records that are to be delivered again; or sweeps.
///
/// # Errors
/// The event is neither one of a stream nor one of a schedule; or what waits cannot be asked for.
pub async fn handle(step: Arc<BulkReset>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let request_id = event.context.request_id;
    let end = end(event.context.deadline);
    if event.payload.get("Records").is_none() {
        let source = event.payload.get("source").and_then(Value::as_str).unwrap_or_default();
        if !matches!(source, "aws.events" | "aws.scheduler") {
            return Err("neither records of a stream nor a schedule".into());
        }
        let due = step.bulks.due(step.clock.now(), JOBS_A_SWEEP).await?;
        let (due_jobs, mut worked) = (due.len(), 0_usize);
        for id in due {
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            worked += usize::from(matches!(step.run(&id, end, &request_id).await, Ran::Worked));
        }
        return Ok(json!({ "due": due_jobs, "worked": worked }));
    }
    let event: Event = serde_json::from_value(event.payload)?;
    let mut answer = DynamoDbEventResponse::default();
    for record in &event.records {
        let Some(id) = job(record) else { continue };
        // What failed under way, the sweep comes for. What could not even be asked for is worth another delivery.
        if matches!(step.run(&id, end, &request_id).await, Ran::OutOfReach) {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = record.change.sequence_number.clone();
            answer.batch_item_failures.push(failure);
        }
    }
    Ok(serde_json::to_value(answer)?)
}

/// When an invocation with this deadline begins no further row.
fn end(deadline: u64) -> Option<Instant> {
    let left = time_left(deadline, Clock::system().now().as_millisecond(), RESERVE)?;
    Instant::now().checked_add(left)
}

/// The job that a record is about.
fn job(record: &EventRecord) -> Option<String> {
    let key = |name: &str| match record.change.keys.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => Some(text.as_str()),
        _ => None,
    };
    let is_job = key("sk") == Some("job") && record.event_name != "REMOVE";
    is_job.then(|| key("pk").and_then(id_of_key)).flatten().map(str::to_owned)
}

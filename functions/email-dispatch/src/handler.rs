//! One batch of the stream, or one tick of the schedule.

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use shared::store::outbox::MailId;

use crate::EmailDispatch;
use crate::batch::{self, Task};
use crate::dispatch::Outcome;

/// Sends the mails of a batch, and answers the records that are to be delivered again; or sweeps.
///
/// # Errors
/// The event is neither one of a stream nor one of a schedule.
pub async fn handle(step: Arc<EmailDispatch>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let request_id = event.context.request_id;
    let end = batch::end(event.context.deadline);
    if event.payload.get("Records").is_none() {
        let source = event.payload.get("source").and_then(Value::as_str).unwrap_or_default();
        if !matches!(source, "aws.events" | "aws.scheduler") {
            return Err("neither records of a stream nor a schedule".into());
        }
        let swept = step.sweep(end, &request_id).await?;
        return Ok(json!({ "handled": swept.handled, "due": swept.due }));
    }
    let event: Event = serde_json::from_value(event.payload)?;
    let records: Vec<(Option<String>, Task)> = event
        .records
        .iter()
        .filter_map(|record| Some((record.change.sequence_number.clone(), task(record)?)))
        .collect();
    let tasks: Vec<Task> = records.iter().map(|(_, task)| task.clone()).collect();
    let outcomes = step.dispatch_all(&tasks, end, &request_id).await;
    let mut answer = DynamoDbEventResponse::default();
    for ((sequence_number, _), outcome) in records.into_iter().zip(outcomes) {
        // What is put back, the sweep comes for. What could not even be asked for is worth another delivery.
        if matches!(outcome, Outcome::OutOfReach(_)) {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = sequence_number;
            answer.batch_item_failures.push(failure);
        }
    }
    Ok(serde_json::to_value(answer)?)
}

/// The mail that a record is about; `None` for records of other items and of removals.
fn task(record: &EventRecord) -> Option<Task> {
    let serde_dynamo::AttributeValue::S(pk) = record.change.keys.get("pk")? else { return None };
    let wanted = matches!(record.event_name.as_str(), "INSERT" | "MODIFY");
    let created_at = match record.change.new_image.get("created_at") {
        Some(serde_dynamo::AttributeValue::N(number)) => number.parse().ok(),
        _ => None,
    };
    let created_at = created_at.and_then(|number| Timestamp::from_millisecond(number).ok());
    wanted.then(|| MailId::of_key(pk)).flatten().map(|id| Task { id, created_at })
}

//! One batch of the stream.

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use shared::notice::Undeliverable;
use shared::store::StoreError;
use shared::store::outbox::{Content, Lease, Leased, MailId};
use shared::telemetry::RequestNotes;

use crate::EmailDispatch;
use crate::message::{Message, Unsent};

/// Tries at sending a reset's mail before it is given up: the stream mapping's retries (`MaximumRetryAttempts` in the
/// template) and the first try.
pub const TRIES: u32 = 21;

/// Why a mail is to be delivered again.
#[derive(Debug)]
enum Again {
    /// Another dispatcher is at it, or died at it.
    Busy,
    /// A service failed.
    Failed(String),
}

impl From<StoreError> for Again {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How a mail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Sent,
    /// Nothing was left to do: an earlier delivery of the record did it.
    AlreadySettled,
    /// It will never be sent.
    Undeliverable(Undeliverable),
}

/// Sends the mails of a batch. Answers the records that are to be delivered again.
///
/// # Errors
/// The event is not one of a stream.
pub async fn handle(step: Arc<EmailDispatch>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let batch: Event = serde_json::from_value(event.payload)?;
    let mut answer = DynamoDbEventResponse::default();
    for record in batch.records {
        let sequence_number = record.change.sequence_number.clone();
        let Some(id) = mail_id(&record) else { continue };
        let (result, notes) = RequestNotes::collect(dispatch(&step, &id)).await;
        let (outcome, reason) = match &result {
            Ok(Ending::Sent) => ("sent", String::new()),
            Ok(Ending::AlreadySettled) => ("already_settled", String::new()),
            Ok(Ending::Undeliverable(why)) => ("undeliverable", why.to_string()),
            Err(Again::Busy) => ("again", "in another dispatcher's hands".to_owned()),
            Err(Again::Failed(reason)) => ("again", reason.clone()),
        };
        let line =
            Line { id: &id, outcome, reason: &reason, notes: &notes, request_id: &event.context.request_id };
        match &result {
            Ok(Ending::Sent | Ending::AlreadySettled) => line.info(),
            Ok(Ending::Undeliverable(Undeliverable::NoAddress | Undeliverable::PersonGone)) => line.warn(),
            Ok(Ending::Undeliverable(_)) | Err(_) => line.error(),
        }
        if result.is_err() {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = sequence_number;
            answer.batch_item_failures.push(failure);
        }
    }
    Ok(serde_json::to_value(answer)?)
}

struct Line<'a> {
    id: &'a MailId,
    outcome: &'a str,
    reason: &'a str,
    notes: &'a RequestNotes,
    request_id: &'a str,
}

macro_rules! line_at {
    ($level:ident) => {
        fn $level(&self) {
            tracing::$level!(
                step = "email-dispatch",
                request_id = self.request_id,
                kind = self.id.kind(),
                mail_id = self.id.as_str(),
                outcome = self.outcome,
                reason = self.reason,
                aws_calls = self.notes.operations(),
                aws_ms = self.notes.milliseconds(),
                "mail"
            )
        }
    };
}

impl Line<'_> {
    line_at!(info);
    line_at!(warn);
    line_at!(error);
}

/// The mail that a record is about; `None` for records of other items and of removals.
fn mail_id(record: &EventRecord) -> Option<MailId> {
    let key = record.change.keys.get("pk")?;
    match (record.event_name.as_str(), key) {
        ("INSERT", serde_dynamo::AttributeValue::S(pk)) => MailId::of_key(pk),
        _ => None,
    }
}

async fn dispatch(step: &EmailDispatch, id: &MailId) -> Result<Ending, Again> {
    let leased = match step.outbox.lease(id, step.clock.now()).await? {
        Lease::Taken(leased) => leased,
        Lease::Busy => return Err(Again::Busy),
        // The stream goes on delivering it until it reaches the dead-letter queue.
        Lease::Settled(_, Some(Undeliverable::GivenUp)) => return Err(Again::Failed("given up".to_owned())),
        Lease::Settled(..) | Lease::Gone => return Ok(Ending::AlreadySettled),
    };
    match send(step, &leased).await {
        Ok(message_id) => {
            step.outbox.sent(&leased, &message_id).await?;
            Ok(Ending::Sent)
        }
        Err(Unsent::Final(why)) => {
            step.outbox.failed(&leased, why).await?;
            Ok(Ending::Undeliverable(why))
        }
        Err(Unsent::Passing(reason)) => {
            match &leased.content {
                // A password does not wait for long, and goes with its entry.
                Content::Letter { .. } if leased.attempt >= TRIES => {
                    step.outbox.failed(&leased, Undeliverable::GivenUp).await?;
                }
                // A notice waits until it is too old: an operator may hand its dead letter in again.
                Content::Letter { .. } | Content::Notice { .. } => step.outbox.requeue(&leased).await?,
            }
            Err(Again::Failed(reason))
        }
    }
}

/// Composes and sends. What the message holds is in memory from here to the end of the call.
async fn send(step: &EmailDispatch, leased: &Leased) -> Result<String, Unsent> {
    let Message { to, content } = step.compose(leased, step.clock.now()).await?;
    Ok(step.mailer.send(&to, &content, leased.id.as_str()).await?)
}

//! One batch of the stream.

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use shared::kms::KmsError;
use shared::mail;
use shared::ses::SendError;
use shared::store::StoreError;
use shared::store::outbox::{Lease, Leased, MailState};
use shared::telemetry::RequestNotes;

use crate::EmailDispatch;

/// Tries at sending a mail before it is given up: the stream mapping's retries (`MaximumRetryAttempts` in the template) and
/// the first try.
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

impl From<KmsError> for Again {
    fn from(error: KmsError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How a mail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Sent,
    /// Nothing was left to do: an earlier delivery of the record did it.
    AlreadySettled,
    /// SES refuses this mail for good.
    Refused,
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
        let Some(reset_id) = reset_id(&record) else { continue };
        let (result, notes) = RequestNotes::collect(dispatch(&step, &reset_id)).await;
        let (outcome, reason) = match &result {
            Ok(Ending::Sent) => ("sent", ""),
            Ok(Ending::AlreadySettled) => ("already_settled", ""),
            Ok(Ending::Refused) => ("refused", "SES refuses this mail"),
            Err(Again::Busy) => ("again", "in another dispatcher's hands"),
            Err(Again::Failed(reason)) => ("again", reason.as_str()),
        };
        let line = Line {
            reset_id: &reset_id,
            outcome,
            reason,
            notes: &notes,
            request_id: &event.context.request_id,
        };
        line.write(matches!(result, Ok(Ending::Sent | Ending::AlreadySettled)));
        if result.is_err() {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = sequence_number;
            answer.batch_item_failures.push(failure);
        }
    }
    Ok(serde_json::to_value(answer)?)
}

struct Line<'a> {
    reset_id: &'a str,
    outcome: &'a str,
    reason: &'a str,
    notes: &'a RequestNotes,
    request_id: &'a str,
}

impl Line<'_> {
    fn write(&self, well: bool) {
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    step = "email-dispatch",
                    request_id = self.request_id,
                    reset_id = self.reset_id,
                    outcome = self.outcome,
                    reason = self.reason,
                    aws_calls = self.notes.operations(),
                    aws_ms = self.notes.milliseconds(),
                    "mail"
                )
            };
        }
        if well { event!(info) } else { event!(error) }
    }
}

/// The reset that a record is about; `None` for records of other items and of removals.
fn reset_id(record: &EventRecord) -> Option<String> {
    let key = record.change.keys.get("pk")?;
    match (record.event_name.as_str(), key) {
        ("INSERT", serde_dynamo::AttributeValue::S(pk)) => pk.strip_prefix("reset#").map(str::to_owned),
        _ => None,
    }
}

async fn dispatch(step: &EmailDispatch, reset_id: &str) -> Result<Ending, Again> {
    let leased = match step.outbox.lease(reset_id, step.clock.now()).await? {
        Lease::Taken(leased) => leased,
        Lease::Busy => return Err(Again::Busy),
        // Given up: the stream goes on delivering it until it reaches the dead-letter queue.
        Lease::Settled(MailState::Failed) => return Err(Again::Failed("given up".to_owned())),
        Lease::Settled(_) | Lease::Gone => return Ok(Ending::AlreadySettled),
    };
    match send(step, &leased).await {
        Ok(message_id) => {
            step.outbox.sent(&leased, &message_id).await?;
            Ok(Ending::Sent)
        }
        Err(SendError::Final(_)) => {
            step.outbox.failed(&leased).await?;
            Ok(Ending::Refused)
        }
        Err(SendError::Passing(reason)) => {
            if leased.attempt >= TRIES {
                step.outbox.failed(&leased).await?;
            } else {
                step.outbox.requeue(&leased).await?;
            }
            Err(Again::Failed(reason))
        }
    }
}

/// Decrypts and sends. The password is in memory from here to the end of the call.
async fn send(step: &EmailDispatch, leased: &Leased) -> Result<String, SendError> {
    let passing = |error: KmsError| SendError::Passing(error.to_string());
    let letter = step
        .kms
        .decrypt_letter(&step.secrets_key, &leased.reset_id, leased.ciphertext.clone())
        .await
        .map_err(passing)?;
    let to = letter.email().map_err(passing)?;
    let content = mail::initial_password(&letter.password(), leased.expires_at, &step.around);
    step.mailer.send(&to, &content, &leased.reset_id).await
}

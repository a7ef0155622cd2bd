//! One batch of the stream, or one tick of the schedule.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{Error, LambdaEvent};
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};
use shared::audit::EntryKey;
use shared::audit::canonical::{Attribute, Attributes};
use shared::audit::chain::{Unchained, entry_digest};
use shared::telemetry::Metrics;

use crate::AuditChain;

/// What a record tells.
enum Told {
    /// A new entry.
    New(Unchained),
    /// That somebody has changed or deleted one.
    Tampered(EntryKey),
}

/// Chains the entries of a batch, and answers the records that are to be delivered again; or signs where the chains end.
///
/// # Errors
/// The event is neither one of a stream nor one of a schedule; or no statement could be made.
pub async fn handle(step: Arc<AuditChain>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let request_id = event.context.request_id;
    if event.payload.get("Records").is_none() {
        let source = event.payload.get("source").and_then(Value::as_str).unwrap_or_default();
        if !matches!(source, "aws.events" | "aws.scheduler") {
            return Err("neither records of a stream nor a schedule".into());
        }
        let signed = step.sign(event.context.deadline, &request_id).await?;
        return Ok(json!({ "number": signed.number, "found": signed.found }));
    }
    let event: Event = serde_json::from_value(event.payload)?;
    let (mut entries, mut sequence_numbers) = (Vec::new(), BTreeMap::new());
    let mut tampered = Vec::new();
    for record in event.records {
        let sequence_number = record.change.sequence_number.clone();
        match told(record) {
            Some(Told::New(entry)) => {
                sequence_numbers.entry(entry.key.clone()).or_insert(sequence_number);
                entries.push(entry);
            }
            Some(Told::Tampered(key)) => tampered.push(key),
            None => {}
        }
    }
    let chained = step.chain(entries).await;
    tampered.extend(chained.altered);
    step.tell(&tampered, chained.new, &request_id);
    tracing::info!(
        step = "audit-chain",
        request_id,
        new = chained.new,
        known = chained.known,
        failed = chained.failed.len(),
        "entries"
    );
    let mut answer = DynamoDbEventResponse::default();
    for (key, reason) in chained.failed {
        tracing::warn!(step = "audit-chain", request_id, reason, "an entry is not chained yet");
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = sequence_numbers.remove(&key).flatten();
        answer.batch_item_failures.push(failure);
    }
    Ok(serde_json::to_value(answer)?)
}

impl AuditChain {
    /// Figures and alarms.
    pub(crate) fn tell(&self, tampered: &[EntryKey], new: u64, request_id: &str) {
        for key in tampered {
            tracing::error!(step = "audit-chain", request_id, entry = %key, outcome = "tampered", "an entry was changed or deleted");
        }
        let figures = [("AuditEntriesChained", new), ("AuditEntriesTampered", tampered.len() as u64)];
        let figures = figures.into_iter().filter(|(_, number)| *number > 0);
        let metrics = figures
            .fold(Metrics::of_audit(&self.stage), |metrics, (name, number)| metrics.count(name, number));
        metrics.emit(self.clock.now());
    }
}

fn told(record: EventRecord) -> Option<Told> {
    let text = |name: &str| match record.change.keys.get(name) {
        Some(AttributeValue::S(text)) => Some(text.clone()),
        _ => None,
    };
    let key = EntryKey { pk: text("pk")?, sk: text("sk")? };
    if record.event_name != "INSERT" {
        return Some(Told::Tampered(key));
    }
    let item: Attributes = record
        .change
        .new_image
        .into_inner()
        .into_iter()
        .map(|(name, value)| (name, attribute(value)))
        .collect();
    Some(Told::New(Unchained { key, digest: entry_digest(&item) }))
}

/// The stream's values, as the table's are read.
fn attribute(value: AttributeValue) -> Attribute {
    match value {
        AttributeValue::S(text) => Attribute::Text(text),
        AttributeValue::N(number) => Attribute::Number(number),
        AttributeValue::B(bytes) => Attribute::Bytes(bytes),
        AttributeValue::Bool(flag) => Attribute::Flag(flag),
        AttributeValue::Null(_) => Attribute::Null,
        AttributeValue::L(values) => Attribute::List(values.into_iter().map(attribute).collect()),
        AttributeValue::M(item) => {
            Attribute::Map(item.into_iter().map(|(name, value)| (name, attribute(value))).collect())
        }
        AttributeValue::Ss(texts) => Attribute::Texts(texts.into_iter().collect()),
        AttributeValue::Ns(numbers) => Attribute::Numbers(numbers.into_iter().collect()),
        AttributeValue::Bs(blobs) => Attribute::Blobs(blobs.into_iter().collect()),
    }
}

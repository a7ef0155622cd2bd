//! One event of SES.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use shared::delivery::Standing;
use shared::telemetry::{Metrics, RequestNotes};

use crate::event::{MailEvent, Received};
use crate::{MailEvents, Noted};

/// Notes what an event says. An event of somebody else's mail, of a mail that is gone, or of a type that says nothing new
/// is answered like any other: delivering it again would change nothing.
///
/// # Errors
/// The event is not one of SES, or it cannot be noted for now: EventBridge delivers it again, and in the end to the
/// dead-letter queue.
pub async fn handle(step: Arc<MailEvents>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let request_id = event.context.request_id.as_str();
    let event = match Received::parse(event.payload) {
        Ok(Received::Ours(event)) => event,
        Ok(Received::Foreign) => {
            tracing::warn!(step = STEP, request_id, outcome = "foreign", "mail event");
            return Ok(json!({}));
        }
        Ok(Received::OtherType(kind)) => {
            tracing::info!(step = STEP, request_id, outcome = "other_type", kind, "mail event");
            return Ok(json!({}));
        }
        Err(unreadable) => {
            tracing::error!(step = STEP, request_id, outcome = "unreadable", reason = %unreadable, "mail event");
            return Err(unreadable.into());
        }
    };
    let (noted, notes) = RequestNotes::collect(step.note(&event, request_id)).await;
    let line = Line { event: &event, notes: &notes, request_id };
    match noted {
        Ok(Noted::Changed { next, voided }) => {
            line.info(next.state().as_str(), if voided { "the initial password is void" } else { "" });
            step.count(&event, next);
        }
        Ok(Noted::Nothing) => line.info("nothing_new", ""),
        Ok(Noted::Unknown) => line.warn("unknown", ""),
        Err(error) => {
            line.error("again", &error.to_string());
            return Err(error.into());
        }
    }
    Ok(json!({}))
}

const STEP: &str = "mail-events";

impl MailEvents {
    /// Counts what has changed, so that an event that comes twice counts once.
    fn count(&self, event: &MailEvent, next: Standing) {
        let name = match next {
            Standing::Delivered => "MailsDelivered",
            Standing::Bounced(_) => "MailsBounced",
            Standing::Complained => "MailsComplained",
            Standing::Failed(_) => "MailsFailed",
            Standing::Queued | Standing::Sending | Standing::Sent => return,
        };
        let metrics = Metrics::new(&self.stage).dimension("Kind", event.id.kind());
        metrics.count(name, 1).emit(self.clock.now());
    }
}

/// The line that the log gets of an event. No address, no subject, and no words of a mail server are in it.
struct Line<'a> {
    event: &'a MailEvent,
    notes: &'a RequestNotes,
    request_id: &'a str,
}

macro_rules! line_at {
    ($level:ident) => {
        fn $level(&self, outcome: &str, reason: &str) {
            tracing::$level!(
                step = STEP,
                request_id = self.request_id,
                kind = self.event.id.kind(),
                mail_id = self.event.id.as_str(),
                message_id = self.event.message_id,
                feedback = ?self.event.feedback,
                subtype = self.event.subtype,
                outcome,
                reason,
                aws_calls = self.notes.operations(),
                aws_ms = self.notes.milliseconds(),
                "mail event"
            )
        }
    };
}

impl Line<'_> {
    line_at!(info);
    line_at!(warn);
    line_at!(error);
}

//! Several mails side by side, at SES's pace.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use shared::delivery::pace::{Row, Slots};
use shared::notice::Undeliverable;
use shared::store::outbox::MailId;
use shared::telemetry::{Metrics, RequestNotes};

use crate::EmailDispatch;
use crate::dispatch::Outcome;

/// Mails that are sent side by side.
pub(crate) const SIDE_BY_SIDE: usize = 16;

/// A mail that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: MailId,
    /// When it was queued first, where that is known.
    pub(crate) created_at: Option<Timestamp>,
}

impl EmailDispatch {
    /// Sends mails, each on its own: one that fails holds up no other. Answers what became of each, in their order.
    pub(crate) async fn dispatch_all(&self, tasks: &[Task], request_id: &str) -> Vec<Outcome> {
        let slots = self.slots(tasks.len()).await;
        let row = match slots {
            Ok(Slots::Reserved(row)) => row,
            Ok(Slots::Later(_)) => return self.put_off(tasks, "the pace", request_id),
            Err(reason) => return self.put_off(tasks, &reason, request_id),
        };
        let throttled = AtomicBool::new(false);
        let mut sends = Vec::with_capacity(tasks.len());
        for (place, task) in tasks.iter().enumerate() {
            let throttled = &throttled;
            sends.push(
                async move { (place, self.dispatch_one(task, row, place, throttled, request_id).await) },
            );
        }
        let mut outcomes: Vec<(usize, Outcome)> =
            stream::iter(sends).buffer_unordered(SIDE_BY_SIDE).collect().await;
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        self.count(tasks, &outcomes);
        outcomes
    }

    async fn dispatch_one(
        &self,
        task: &Task,
        row: Row,
        place: usize,
        throttled: &AtomicBool,
        request_id: &str,
    ) -> Outcome {
        let wait = row.at(u32::try_from(place).unwrap_or(u32::MAX)).duration_since(self.clock.now());
        if let Ok(wait) = Duration::try_from(wait) {
            tokio::time::sleep(wait).await;
        }
        // Where SES has just turned one away, the others would only be turned away as well.
        if throttled.load(Ordering::Relaxed) {
            let outcome = Outcome::PutOff("SES is throttling".to_owned());
            write_line(&task.id, &outcome, &RequestNotes::default(), request_id);
            return outcome;
        }
        let (outcome, notes) = RequestNotes::collect(self.dispatch(&task.id)).await;
        if let Outcome::PutBack { throttled: true, .. } = outcome {
            throttled.store(true, Ordering::Relaxed);
        }
        write_line(&task.id, &outcome, &notes, request_id);
        outcome
    }

    /// Leaves mails where they are: the sweep comes for them.
    fn put_off(&self, tasks: &[Task], reason: &str, request_id: &str) -> Vec<Outcome> {
        tracing::warn!(
            step = "email-dispatch",
            request_id,
            mails = tasks.len(),
            outcome = "put_off",
            reason,
            "mails"
        );
        tasks.iter().map(|_| Outcome::PutOff(reason.to_owned())).collect()
    }

    fn count(&self, tasks: &[Task], outcomes: &[Outcome]) {
        let now = self.clock.now();
        for kind in ["reset", "notice"] {
            let mut metrics = Metrics::new(&self.stage).dimension("Kind", kind);
            let of_kind = || tasks.iter().zip(outcomes).filter(|(task, _)| task.id.kind() == kind);
            let count = |wanted: fn(&Outcome) -> bool| {
                u64::try_from(of_kind().filter(|(_, outcome)| wanted(outcome)).count()).unwrap_or(u64::MAX)
            };
            let figures = [
                ("MailsSent", count(|outcome| matches!(outcome, Outcome::Sent))),
                ("MailRetries", count(|outcome| matches!(outcome, Outcome::PutBack { .. }))),
                ("MailsFailed", count(Outcome::is_failure)),
            ];
            for (name, number) in figures.into_iter().filter(|(_, number)| *number > 0) {
                metrics = metrics.count(name, number);
            }
            let sent = of_kind().filter(|(_, outcome)| matches!(outcome, Outcome::Sent));
            let took = sent.filter_map(|(task, _)| task.created_at).map(|since| now.duration_since(since));
            let took = took.map(|took| u64::try_from(took.as_millis()).unwrap_or_default());
            metrics.milliseconds("MailTimeToSend", took.collect()).emit(now);
        }
    }
}

fn write_line(id: &MailId, outcome: &Outcome, notes: &RequestNotes, request_id: &str) {
    macro_rules! line_at {
        ($level:ident) => {
            tracing::$level!(
                step = "email-dispatch",
                request_id,
                kind = id.kind(),
                mail_id = id.as_str(),
                outcome = outcome.name(),
                reason = outcome.reason(),
                aws_calls = notes.operations(),
                aws_ms = notes.milliseconds(),
                "mail"
            )
        };
    }
    match outcome {
        Outcome::Undeliverable(Undeliverable::NoAddress | Undeliverable::PersonGone) => line_at!(info),
        Outcome::Undeliverable(Undeliverable::Expired | Undeliverable::Replaced) => line_at!(warn),
        Outcome::Undeliverable(_) => line_at!(error),
        Outcome::PutBack { .. } | Outcome::PutOff(_) | Outcome::OutOfReach(_) => line_at!(warn),
        Outcome::Sent | Outcome::NotNow | Outcome::AlreadySettled => line_at!(info),
    }
}

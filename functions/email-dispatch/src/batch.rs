//! Several mails side by side, at SES's pace.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::lambda::time_left;
use shared::notice::Undeliverable;
use shared::store::outbox::MailId;
use shared::telemetry::{Metrics, RequestNotes};

use crate::EmailDispatch;
use crate::dispatch::Outcome;
use crate::pace::Turns;

/// Mails that are sent side by side.
pub(crate) const SIDE_BY_SIDE: usize = 16;
/// How long before its slot a mail is leased and composed.
const LEAD: SignedDuration = SignedDuration::from_millis(500);

/// Before the function's time is over, so long is left for what is under way: longer than one mail may take, from its lease
/// on ([`shared::store::outbox::Leased::outlasts_a_call`]).
const RESERVE: Duration = Duration::from_secs(25);

/// A mail that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: MailId,
    /// When it was queued first, where that is known.
    pub(crate) created_at: Option<Timestamp>,
}

/// What the mails of a batch have in common.
struct Shared<'a> {
    /// When nothing is begun any more.
    end: Option<Instant>,
    /// Whether SES has turned one of them away.
    throttled: AtomicBool,
    turns: Turns<'a>,
    request_id: &'a str,
}

/// When an invocation with this deadline begins no further mail.
pub(crate) fn end(deadline: u64) -> Option<Instant> {
    let left = time_left(deadline, Clock::system().now().as_millisecond(), RESERVE)?;
    Instant::now().checked_add(left)
}

impl EmailDispatch {
    /// Sends mails, each on its own: one that fails holds up no other; none is begun after `end`. Answers what became of
    /// each, in their order.
    pub(crate) async fn dispatch_all(
        &self,
        tasks: &[Task],
        end: Option<Instant>,
        request_id: &str,
    ) -> Vec<Outcome> {
        let turns = match Turns::reserve(self, tasks.len()).await {
            Ok(turns) => turns,
            Err(reason) => return self.put_off(tasks, &reason, request_id),
        };
        let shared = Shared { end, throttled: AtomicBool::new(false), turns, request_id };
        let mut sends = Vec::with_capacity(tasks.len());
        for (place, task) in tasks.iter().enumerate() {
            let shared = &shared;
            sends.push(async move { (place, self.dispatch_one(task, shared).await) });
        }
        let mut outcomes: Vec<(usize, Outcome)> =
            stream::iter(sends).buffer_unordered(SIDE_BY_SIDE).collect().await;
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        self.count(tasks, &outcomes);
        outcomes
    }

    async fn dispatch_one(&self, task: &Task, shared: &Shared<'_>) -> Outcome {
        let (outcome, notes) = match self.turn(shared).await {
            Ok(slot) => RequestNotes::collect(self.dispatch(&task.id, slot, &shared.turns)).await,
            Err(reason) => (Outcome::PutOff(reason), RequestNotes::default()),
        };
        if let Outcome::PutBack { throttled: true, .. } = outcome {
            shared.throttled.store(true, Ordering::Relaxed);
        }
        write_line(&task.id, &outcome, &notes, shared.request_id);
        outcome
    }

    /// Waits until it is nearly a mail's turn, and answers when that is.
    ///
    /// # Errors
    /// Why the mail is not to be begun, in words for the log.
    async fn turn(&self, shared: &Shared<'_>) -> Result<Timestamp, String> {
        let slot = shared.turns.take().await?;
        let wait = slot.duration_since(self.clock.now()).saturating_sub(LEAD);
        let wait = Duration::try_from(wait).unwrap_or_default();
        let begins = Instant::now().checked_add(wait);
        if begins.zip(shared.end).is_some_and(|(begins, end)| begins > end) {
            return Err("the function's time is over".to_owned());
        }
        tokio::time::sleep(wait).await;
        // Where SES has just turned one away, the others would only be turned away as well.
        if shared.throttled.load(Ordering::Relaxed) {
            return Err("SES is throttling".to_owned());
        }
        Ok(slot)
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
        for kind in MailId::KINDS {
            figures(&self.stage, kind, tasks, outcomes, now).emit(now);
        }
    }
}

/// What became of the mails of a kind, in figures.
fn figures(stage: &str, kind: &'static str, tasks: &[Task], outcomes: &[Outcome], now: Timestamp) -> Metrics {
    let mut metrics = Metrics::new(stage).dimension("Kind", kind);
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
    metrics.milliseconds("MailTimeToSend", took.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_of_every_kind_are_in_the_figures() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(5);
        for kind in MailId::KINDS {
            let id = MailId::new(kind, "1").unwrap();
            assert_eq!(id.kind(), kind);
            let task = Task { id, created_at: Some(Timestamp::UNIX_EPOCH) };
            let figures =
                figures("prod", kind, &[task.clone(), task], &[Outcome::Sent, Outcome::NotNow], now);
            let told = format!("{figures:?}");
            for word in ["MailsSent", "[1]", "MailTimeToSend", "[5000]", kind] {
                assert!(told.contains(word), "{kind}: {told}");
            }
            assert!(!told.contains("MailRetries"), "{kind}: {told}");
        }
    }
}

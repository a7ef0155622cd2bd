//! The look for what is due: whatever happened to a mail, it is found here.

use std::collections::HashSet;
use std::time::Instant;

use lambda_runtime::Error;
use shared::delivery::MailState;
use shared::store::outbox::{Due, MailId, Shard};
use shared::telemetry::Metrics;

use crate::EmailDispatch;
use crate::batch::{SIDE_BY_SIDE, Task};
use crate::dispatch::Outcome;

/// Mails of a shard that are read at once.
const PAGE: i32 = 64;

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Mails that were due.
    pub(crate) due: usize,
    /// Those of them that were sent, put back or settled.
    pub(crate) handled: usize,
}

struct Run<'a> {
    end: Option<Instant>,
    request_id: &'a str,
    /// What this run has been at: nothing is looked at twice.
    seen: HashSet<MailId>,
    /// What failed before: each by itself, when all others have gone out. It may bring its dispatcher down.
    suspects: Vec<Task>,
    swept: Swept,
    oldest: u64,
}

impl Run<'_> {
    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

impl EmailDispatch {
    /// Looks at everything that is due, until nothing is or it is `end`.
    ///
    /// # Errors
    /// The index does not answer.
    pub(crate) async fn sweep(&self, end: Option<Instant>, request_id: &str) -> Result<Swept, Error> {
        let mut run = Run {
            end,
            request_id,
            seen: HashSet::new(),
            suspects: Vec::new(),
            swept: Swept::default(),
            oldest: 0,
        };
        let mut failed = None;
        for shard in Shard::all(self.clock.now()) {
            // One shard's failure stops no other.
            if let Err(error) = self.sweep_shard(shard, &mut run).await {
                failed = Some(error);
            }
        }
        for suspect in std::mem::take(&mut run.suspects) {
            if run.is_over() {
                break;
            }
            self.dispatch_due(&[suspect], &mut run).await;
        }
        let due = u64::try_from(run.swept.due).unwrap_or(u64::MAX);
        let metrics = Metrics::new(&self.stage).milliseconds("MailQueueAge", vec![run.oldest]);
        metrics.count("MailQueueDue", due).emit(self.clock.now());
        match failed {
            Some(error) => Err(error),
            None => Ok(run.swept),
        }
    }

    async fn sweep_shard(&self, shard: Shard, run: &mut Run<'_>) -> Result<(), Error> {
        while !run.is_over() {
            let now = self.clock.now();
            let page = self.outbox.due(shard, now, PAGE).await?;
            let read = page.len();
            let fresh: Vec<Due> = page.into_iter().filter(|due| run.seen.insert(due.id.clone())).collect();
            if fresh.is_empty() {
                return Ok(());
            }
            let mut tasks = Vec::new();
            for due in fresh {
                match due.state {
                    MailState::Queued | MailState::Sending => {
                        run.swept.due += 1;
                        // Mails of a bulk reset wait their turn: that they do is no sign of trouble.
                        if !shard.is_of_bulk() {
                            let age = now.duration_since(due.created_at).as_millis();
                            run.oldest = run.oldest.max(u64::try_from(age).unwrap_or_default());
                        }
                        let task = Task { id: due.id, created_at: Some(due.created_at) };
                        // A dispatcher that died may have died of it.
                        if due.strikes > 0 || due.state == MailState::Sending {
                            run.suspects.push(task);
                        } else {
                            tasks.push(task);
                        }
                    }
                    _ => self.outbox.expire(&due.id, now).await?,
                }
            }
            for some in tasks.chunks(SIDE_BY_SIDE) {
                if run.is_over() {
                    return Ok(());
                }
                self.dispatch_due(some, run).await;
            }
            if read < usize::try_from(PAGE).unwrap_or_default() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn dispatch_due(&self, tasks: &[Task], run: &mut Run<'_>) {
        let outcomes = self.dispatch_all(tasks, run.end, run.request_id).await;
        let handled = outcomes.iter().filter(|outcome| {
            !matches!(outcome, Outcome::PutOff(_) | Outcome::NotNow | Outcome::OutOfReach(_))
        });
        run.swept.handled += handled.count();
    }
}

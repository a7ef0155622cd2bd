//! Logs: one JSON object a line, one event a request, and what a request asked of AWS.
//!
//! Message text is constant, what varies is a field. Fields never hold a national ID, a name, an email, a password,
//! a token, a ticket or a certificate's subject.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sends the process's log, as JSON lines, to `writer`. `RUST_LOG` filters it; the default is `info`. A second call
/// changes nothing.
pub fn init<W>(writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

/// One call that went to AWS, retries counted one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCall {
    /// Service and operation, as in `DynamoDB.GetItem`.
    pub operation: String,
    /// From sending the request to the end of the answer.
    pub duration: Duration,
}

/// What one request's log line tells beside its outcome: the calls to AWS, in the order in which they ended, and who did
/// what to whom, as opaque ids.
#[derive(Clone, Debug, Default)]
pub struct RequestNotes(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    calls: Vec<AwsCall>,
    actor: String,
    subject: String,
}

tokio::task_local! {
    static NOTES: RequestNotes;
}

impl RequestNotes {
    /// Runs `work` and collects what is noted meanwhile.
    pub async fn collect<F: Future>(work: F) -> (F::Output, RequestNotes) {
        let notes = RequestNotes::default();
        let output = NOTES.scope(notes.clone(), work).await;
        (output, notes)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a call to AWS.
    #[cfg(feature = "aws")]
    pub(crate) fn call(call: AwsCall) {
        let _ = NOTES.try_with(|notes| notes.with(|notes| notes.calls.push(call)));
    }

    /// The operations, comma-separated.
    pub fn operations(&self) -> String {
        self.with(|notes| {
            notes.calls.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>().join(",")
        })
    }

    /// How many calls there were.
    pub fn count(&self) -> usize {
        self.with(|notes| notes.calls.len())
    }

    /// The time spent in calls, in milliseconds; calls side by side count each.
    pub fn milliseconds(&self) -> u64 {
        let total: Duration = self.with(|notes| notes.calls.iter().map(|call| call.duration).sum());
        u64::try_from(total.as_millis()).unwrap_or(u64::MAX)
    }

    /// Who acted.
    pub fn actor(&self) -> String {
        self.with(|notes| notes.actor.clone())
    }

    /// On whom.
    pub fn subject(&self) -> String {
        self.with(|notes| notes.subject.clone())
    }
}

/// Notes who acts, as an opaque id, for the request's log line.
pub fn note_actor(actor: impl ToString) {
    let _ = NOTES.try_with(|notes| notes.with(|notes| notes.actor = actor.to_string()));
}

/// Notes on whom, as an opaque id, for the request's log line.
pub fn note_subject(subject: impl ToString) {
    let _ = NOTES.try_with(|notes| notes.with(|notes| notes.subject = subject.to_string()));
}

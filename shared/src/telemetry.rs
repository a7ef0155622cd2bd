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

/// The calls to AWS that one request made, in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub struct AwsCalls(Arc<Mutex<Vec<AwsCall>>>);

tokio::task_local! {
    static CALLS: AwsCalls;
}

impl AwsCalls {
    /// Runs `work` and collects the calls to AWS that it makes.
    pub async fn collect<F: Future>(work: F) -> (F::Output, AwsCalls) {
        let calls = AwsCalls::default();
        let output = CALLS.scope(calls.clone(), work).await;
        (output, calls)
    }

    /// Notes a call for the request that is being answered, if one is.
    pub fn note(call: AwsCall) {
        let _ = CALLS.try_with(|calls| calls.0.lock().unwrap_or_else(PoisonError::into_inner).push(call));
    }

    /// The operations, comma-separated: the log's `aws_calls`.
    pub fn operations(&self) -> String {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>().join(",")
    }

    /// The time spent in calls, in milliseconds; calls side by side count each.
    pub fn milliseconds(&self) -> u64 {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: Duration = calls.iter().map(|call| call.duration).sum();
        u64::try_from(total.as_millis()).unwrap_or(u64::MAX)
    }
}

//! Logs: one JSON object a line, one event a request, and what a request asked of AWS.
//!
//! Message text is constant, what varies is a field. Fields never hold a national ID, a name, an email, a password,
//! a token, a ticket or a certificate's subject.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::rate::Left;

/// Sends the process's log, as JSON lines, to `writer`. `RUST_LOG` filters it; the default is `info`. A second call
/// changes nothing.
pub fn init<W>(writer: W)
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines(writer.clone()))
        .with(MetricLines(writer))
        .try_init();
}

/// The layer that writes every event but metrics as a line of JSON.
fn lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(filter_fn(|metadata| metadata.target() != METRICS))
}

/// The target of events that are metrics.
const METRICS: &str = "metrics";
/// The namespace of the metrics of mails.
const NAMESPACE: &str = "FirstSignIn/Mail";
/// The namespace of the metrics of the audit trail.
const AUDIT_NAMESPACE: &str = "FirstSignIn/Audit";

/// Writes metrics as they are: lines of CloudWatch's embedded metric format.
struct MetricLines<W>(W);

impl<S, W> Layer<S> for MetricLines<W>
where
    S: Subscriber,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Line<'a, W>(&'a W);
        impl<W: for<'b> MakeWriter<'b>> Visit for Line<'_, W> {
            fn record_str(&mut self, field: &Field, value: &str) {
                if field.name() == "line" {
                    // A log that cannot be written is no reason to fail.
                    let _ = writeln!(self.0.make_writer(), "{value}");
                }
            }
            fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
        }
        if event.metadata().target() == METRICS {
            event.record(&mut Line(&self.0));
        }
    }
}

/// Figures for CloudWatch, which reads them out of the log: one line in the embedded metric format.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
#[derive(Clone, Debug)]
pub struct Metrics {
    namespace: &'static str,
    dimensions: BTreeMap<&'static str, String>,
    figures: BTreeMap<&'static str, (Vec<u64>, &'static str)>,
}

/// The dimension that every figure has.
const STAGE: &str = "Stage";

/// The most values of a metric in one line.
const VALUES_A_LINE: usize = 100;

impl Metrics {
    /// No figures yet, of a stage such as `prod`.
    pub fn new(stage: &str) -> Self {
        let dimensions = BTreeMap::from([(STAGE, stage.to_owned())]);
        Self { namespace: NAMESPACE, dimensions, figures: BTreeMap::new() }
    }

    /// The same of the audit trail, in a namespace of their own.
    pub fn of_audit(stage: &str) -> Self {
        Self { namespace: AUDIT_NAMESPACE, ..Self::new(stage) }
    }

    /// Tells figures apart by one more property.
    #[must_use]
    pub fn dimension(mut self, name: &'static str, value: &str) -> Self {
        self.dimensions.insert(name, value.to_owned());
        self
    }

    /// Adds a number of things.
    #[must_use]
    pub fn count(self, name: &'static str, number: u64) -> Self {
        self.values(name, vec![number], "Count")
    }

    /// Adds durations.
    #[must_use]
    pub fn milliseconds(self, name: &'static str, values: Vec<u64>) -> Self {
        self.values(name, values, "Milliseconds")
    }

    fn values(mut self, name: &'static str, values: Vec<u64>, unit: &'static str) -> Self {
        if !values.is_empty() {
            self.figures.entry(name).or_insert_with(|| (Vec::new(), unit)).0.extend(values);
        }
        self
    }

    /// Writes them to the log: nothing, when there are none.
    pub fn emit(self, now: Timestamp) {
        for line in self.lines(now) {
            tracing::info!(target: METRICS, line = line.as_str());
        }
    }

    /// Under which dimensions each figure is told. CloudWatch adds none up, so what is told apart is told once more for the
    /// whole stage: an alarm that looks at the stage misses nothing that is told apart in a new way.
    fn dimension_sets(&self) -> Vec<Vec<&'static str>> {
        let all: Vec<_> = self.dimensions.keys().copied().collect();
        let whole = Some(vec![STAGE]).filter(|whole| *whole != all);
        whole.into_iter().chain([all]).collect()
    }

    fn lines(mut self, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        while !self.figures.is_empty() {
            let mut line = Map::new();
            for (name, value) in &self.dimensions {
                line.insert((*name).to_owned(), json!(value));
            }
            let mut metrics = Vec::new();
            for (name, (values, unit)) in &mut self.figures {
                let rest = values.split_off(values.len().min(VALUES_A_LINE));
                let these = std::mem::replace(values, rest);
                metrics.push(json!({ "Name": name, "Unit": unit }));
                line.insert((*name).to_owned(), json!(these));
            }
            self.figures.retain(|_, (values, _)| !values.is_empty());
            let directive = json!({ "Namespace": self.namespace, "Dimensions": self.dimension_sets(), "Metrics": metrics });
            let metadata = json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] });
            line.insert("_aws".to_owned(), metadata);
            // Lambda drops lines of JSON that have no level.
            line.insert("level".to_owned(), json!("INFO"));
            lines.push(Value::Object(line).to_string());
        }
        lines
    }
}

/// One call that went to AWS, retries counted one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCall {
    /// Service and operation, as in `DynamoDB.GetItem`.
    pub operation: String,
    /// From sending the request to the end of the answer.
    pub duration: Duration,
}

/// What is noted of a request beside its outcome. For the log line: the calls to AWS, in the order in which they ended, and
/// who did what to whom, as opaque ids. For the answer's headers: what is left of the rates that it was counted in.
#[derive(Clone, Debug, Default)]
pub struct RequestNotes(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    calls: Vec<AwsCall>,
    actor: String,
    subject: String,
    left: Vec<Left>,
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

    /// What is left of the rates that the request was counted in, in the order in which they were noted.
    pub fn left(&self) -> Vec<Left> {
        self.with(|notes| notes.left.clone())
    }

    /// On whom.
    pub fn subject(&self) -> String {
        self.with(|notes| notes.subject.clone())
    }
}

/// Notes what is left of a rate, for the answer's headers. Of two notes of one rate the later one stands.
pub fn note_left(left: Left) {
    let _ = NOTES.try_with(|notes| {
        notes.with(|notes| {
            notes.left.retain(|known| known.policy != left.policy);
            notes.left.push(left);
        });
    });
}

/// Notes who acts, as an opaque id, for the request's log line.
pub fn note_actor(actor: impl ToString) {
    let _ = NOTES.try_with(|notes| notes.with(|notes| notes.actor = actor.to_string()));
}

/// Notes on whom, as an opaque id, for the request's log line.
pub fn note_subject(subject: impl ToString) {
    let _ = NOTES.try_with(|notes| notes.with(|notes| notes.subject = subject.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_lines_that_cloudwatch_reads() {
        let now = Timestamp::from_millisecond(1_785_715_200_000).unwrap();
        let metrics = Metrics::new("prod").dimension("Kind", "reset").count("MailsSent", 2);
        let lines = metrics.milliseconds("MailTimeToSend", (0..150).collect()).emitted(now);
        assert_eq!(lines.len(), 2, "a hundred values a line");
        assert_eq!(lines[0]["_aws"]["Timestamp"], 1_785_715_200_000_i64);
        let directive = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "FirstSignIn/Mail");
        // CloudWatch adds no dimension up, so the stage's alarms have figures of their own.
        assert_eq!(directive["Dimensions"], json!([["Stage"], ["Kind", "Stage"]]));
        assert_eq!(directive["Metrics"][0], json!({"Name": "MailTimeToSend", "Unit": "Milliseconds"}));
        assert_eq!((&lines[0]["Stage"], &lines[0]["Kind"]), (&json!("prod"), &json!("reset")));
        assert_eq!(lines[0]["MailsSent"], json!([2]));
        assert_eq!(lines[1]["MailTimeToSend"].as_array().unwrap().len(), 50);
        assert_eq!(lines[1].get("MailsSent"), None, "told once");
        assert_eq!(Metrics::new("prod").emitted(now), Vec::<Value>::new());
        let whole = Metrics::of_audit("prod").count("AuditHeadsSigned", 1).emitted(now);
        let directive = &whole[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["Stage"]]), "once, where nothing is told apart");
    }

    impl Metrics {
        /// The lines as they reach a writer, through the layers.
        fn emitted(self, now: Timestamp) -> Vec<Value> {
            #[derive(Clone, Default)]
            struct Sink(Arc<Mutex<Vec<u8>>>);
            impl std::io::Write for Sink {
                fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                    self.0.lock().unwrap().extend(bytes);
                    Ok(bytes.len())
                }
                fn flush(&mut self) -> std::io::Result<()> {
                    Ok(())
                }
            }
            let sink = Sink::default();
            let writer = {
                let sink = sink.clone();
                move || sink.clone()
            };
            let subscriber =
                tracing_subscriber::registry().with(lines(writer.clone())).with(MetricLines(writer));
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!("another line");
                self.emit(now);
            });
            let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
            let mut lines = text.lines();
            assert!(lines.next().unwrap().contains("another line"));
            lines.map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }
}

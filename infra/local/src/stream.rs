//! The event source mapping between a table's stream and a function, as Lambda runs it: batches, filter, partial
//! failures, bisecting, retries with backoff, and dead letters.
//!
//! Its place in the stream is kept in a file, as Lambda keeps it, and moves only past records that are done: whatever
//! ends the process, a record is delivered again rather than lost.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::dynamodb::DynamoDb;
use crate::files::{self, FileError};
use crate::functions::{Functions, InvocationError};
use crate::sqs::Sqs;
use crate::traffic::{Delivery, Service};

/// What records of every stream hold of an item: how it is afterwards.
pub(crate) const VIEW: &str = "NEW_IMAGE";
/// How long the mapping waits before it looks for new records.
const POLL: Duration = Duration::from_millis(100);
/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An event source mapping as the template declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Its place in the template: several mappings of one stream have each their own place in it.
    pub name: String,
    /// The table whose stream is read.
    pub table: String,
    /// The stream's ARN as events carry it.
    pub stream_arn: String,
    /// The function that gets the records.
    pub function: String,
    /// The most records in one event.
    pub batch_size: usize,
    /// A record must match one of these; with none, every record does.
    pub filters: Vec<Filter>,
    /// Whether a failed batch is halved.
    pub bisects: bool,
    /// Whether the function names the records that failed.
    pub reports_item_failures: bool,
    /// Retries of one batch; without a number, until it succeeds or is too old.
    pub retry_attempts: Option<u64>,
    /// The age at which a record is given up.
    pub record_age_seconds: Option<u64>,
}

/// A pattern of Lambda's event filtering.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Pattern);

#[derive(Debug, Clone, PartialEq)]
enum Pattern {
    Fields(Vec<(String, Pattern)>),
    AnyOf(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Equals(Value),
    Prefix(String),
    Exists(bool),
    AnythingBut(Vec<Value>),
}

impl Filter {
    /// Reads a pattern in JSON.
    ///
    /// # Errors
    /// When it is malformed or has a rule that the stand-in does not know.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Pattern::read(&value).map(Self)
    }

    /// Whether a record matches.
    #[must_use]
    pub fn matches(&self, record: &Value) -> bool {
        self.0.matches(Some(record))
    }

    /// The pattern as the template has it.
    #[must_use]
    pub fn written(&self) -> Value {
        self.0.written()
    }
}

impl Pattern {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, field)| Ok((name.clone(), Self::read(field)?)));
                Ok(Self::Fields(fields.collect::<Result<_, String>>()?))
            }
            Value::Array(rules) => Ok(Self::AnyOf(rules.iter().map(Rule::read).collect::<Result<_, _>>()?)),
            other => Err(format!("{other} is neither a list of rules nor fields")),
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Fields(fields) => {
                fields.iter().all(|(name, pattern)| pattern.matches(value.and_then(|value| value.get(name))))
            }
            // As EventBridge: rules are about leaves. Of a list, one element is enough; where there is none, or fields in its
            // place, there is nothing that a rule could be about.
            Self::AnyOf(rules) => {
                let leaves = leaves(value);
                let any = |leaf: Option<&Value>| rules.iter().any(|rule| rule.matches(leaf));
                if leaves.is_empty() { any(None) } else { leaves.into_iter().any(|leaf| any(Some(leaf))) }
            }
        }
    }

    fn written(&self) -> Value {
        match self {
            Self::Fields(fields) => {
                fields.iter().map(|(name, pattern)| (name.clone(), pattern.written())).collect()
            }
            Self::AnyOf(rules) => rules.iter().map(Rule::written).collect(),
        }
    }
}

/// What rules can be about: neither fields nor lists.
fn leaves(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Object(_)) => Vec::new(),
        Some(Value::Array(values)) => values.iter().flat_map(|value| leaves(Some(value))).collect(),
        Some(leaf) => vec![leaf],
    }
}

impl Rule {
    fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(fields) = value else { return Ok(Self::Equals(value.clone())) };
        let rule = fields.iter().next().map(|(name, argument)| (name.as_str(), argument));
        match rule {
            Some(("prefix", Value::String(prefix))) => Ok(Self::Prefix(prefix.clone())),
            Some(("exists", Value::Bool(exists))) => Ok(Self::Exists(*exists)),
            Some(("anything-but", Value::Array(values))) => Ok(Self::AnythingBut(values.clone())),
            _ => Err(format!("the stand-in does not know the rule {value}")),
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Equals(expected) => value == Some(expected),
            Self::Prefix(prefix) => {
                value.and_then(Value::as_str).is_some_and(|text| text.starts_with(prefix))
            }
            Self::Exists(exists) => value.is_some() == *exists,
            Self::AnythingBut(values) => value.is_some_and(|value| !values.contains(value)),
        }
    }

    fn written(&self) -> Value {
        match self {
            Self::Equals(value) => value.clone(),
            Self::Prefix(prefix) => json!({ "prefix": prefix }),
            Self::Exists(exists) => json!({ "exists": exists }),
            Self::AnythingBut(values) => json!({ "anything-but": values }),
        }
    }
}

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Every record is done.
    Done,
    /// The records before this one are done, this one and those after it are not.
    FailedFrom(usize),
    /// Nothing is known to be done.
    Failed,
}

/// Reads a function's answer to a batch.
fn outcome(mapping: &Mapping, answer: &Value, batch: &[Value]) -> Outcome {
    if !mapping.reports_item_failures {
        return Outcome::Done;
    }
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    let mut first = None;
    for failure in failures.into_iter().flatten() {
        let named = failure.get("itemIdentifier").and_then(Value::as_str).unwrap_or_default();
        match batch.iter().position(|record| sequence_number(record) == named) {
            // As Lambda: a failure that names no record of the batch is a failure of the batch.
            None => return Outcome::Failed,
            Some(index) => first = Some(first.map_or(index, |first: usize| first.min(index))),
        }
    }
    first.map_or(Outcome::Done, Outcome::FailedFrom)
}

fn sequence_number(record: &Value) -> &str {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).unwrap_or_default()
}

/// What a fault file may call the delivery of these records.
fn operations(records: &[Value]) -> Vec<&str> {
    let events = records.iter().filter_map(|record| record.get("eventName").and_then(Value::as_str));
    ["Invoke", "GetRecords"].into_iter().chain(events).collect()
}

/// Whether an item was written as it was. DynamoDB makes no record of that; the database here does.
fn changes_nothing(record: &Value) -> bool {
    let image = |name: &str| record.pointer(&format!("/dynamodb/{name}"));
    image("OldImage").is_some() && image("OldImage") == image("NewImage")
}

fn created(record: &Value) -> i64 {
    record.pointer("/dynamodb/ApproximateCreationDateTime").and_then(Value::as_i64).unwrap_or_default()
}

#[derive(Debug)]
struct Batch {
    records: Vec<Value>,
    attempts: u64,
    /// Whether a fault has put it off.
    late: bool,
}

/// The running mapping.
#[derive(Debug)]
pub struct Pump {
    /// The function that the records go to.
    pub(crate) function: String,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    caught_up: watch::Receiver<bool>,
}

/// Where the mapping keeps what must outlive the process.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// The file with the place in the stream; nothing for a database in memory.
    pub checkpoint: Option<PathBuf>,
    /// The queue of dead letters.
    pub dead_letters: Sqs,
}

impl Pump {
    /// Starts to read the stream from where the last one stopped, or from its beginning.
    #[must_use]
    pub fn start(mapping: Mapping, database: DynamoDb, functions: Functions, keeping: Keeping) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (idle, caught_up) = watch::channel(false);
        let started = Clock::system().now().as_second();
        let function = mapping.function.clone();
        let worker =
            Worker { mapping, database, functions, keeping, started, reordered: false, stopped, idle };
        Self { function, task: tokio::spawn(worker.run()), stop, caught_up }
    }

    /// Waits until every record that is in the stream has been dealt with, or the mapping has ended.
    pub(crate) async fn caught_up(&self) {
        let _ = self.caught_up.clone().wait_for(|caught_up| *caught_up).await;
    }

    /// Stops once the function has answered the batch that it has.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }

    /// Stops at once, wherever the function is: as when the process dies.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

struct Worker {
    mapping: Mapping,
    database: DynamoDb,
    functions: Functions,
    keeping: Keeping,
    started: i64,
    /// Whether a fault has put records in hand out of order.
    reordered: bool,
    stopped: watch::Receiver<bool>,
    /// Whether the stream has nothing that is not dealt with.
    idle: watch::Sender<bool>,
}

impl Worker {
    async fn run(mut self) {
        let mut position = self.checkpoint();
        while !*self.stopped.borrow() {
            match self.database.stream_records(&self.mapping.table, position.as_deref()).await {
                Ok(records) if records.is_empty() => {
                    self.idle.send_replace(true);
                    self.pause(POLL).await;
                }
                Ok(records) => {
                    self.idle.send_replace(false);
                    let last = records.last().map(|record| sequence_number(record).to_owned());
                    if !self.deliver(records).await {
                        return;
                    }
                    if let Some(last) = last {
                        self.note(&last);
                        position = Some(last);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the stream cannot be read");
                    self.pause(LONGEST_PAUSE).await;
                }
            }
        }
    }

    /// Waits, unless it is time to stop.
    async fn pause(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.stopped.wait_for(|stopped| *stopped)).await;
    }

    /// Delivers records in order; false when it was stopped before the end.
    async fn deliver(&mut self, records: Vec<Value>) -> bool {
        let wanted: Vec<Value> = records
            .into_iter()
            .filter(|record| !changes_nothing(record))
            .map(|record| self.as_event_record(record))
            .filter(|record| {
                self.mapping.filters.is_empty()
                    || self.mapping.filters.iter().any(|filter| filter.matches(record))
            })
            .collect();
        let mut queue: VecDeque<Batch> = wanted
            .chunks(self.mapping.batch_size.max(1))
            .map(|records| Batch { records: records.to_vec(), attempts: 0, late: false })
            .collect();
        self.reordered = false;
        while let Some(batch) = queue.pop_front() {
            if *self.stopped.borrow() {
                return false;
            }
            let delivery = match batch.late {
                // This is the delivery that was put off.
                true => Delivery::Whole,
                false => self.database.traffic().deliver(
                    Service::Stream,
                    &operations(&batch.records),
                    &self.mapping.function,
                ),
            };
            if delivery == Delivery::Late {
                self.reordered = true;
                let late = Batch { records: batch.records.into_iter().rev().collect(), late: true, ..batch };
                queue.insert(queue.len().min(1), late);
                continue;
            }
            let outcome = match self.invoke(&batch.records, delivery).await {
                Ok(answer) => outcome(&self.mapping, &answer, &batch.records),
                // The emulator may still be building: Lambda itself is never out of reach, so that is no retry.
                Err(error @ InvocationError::Unreachable(_)) => {
                    tracing::warn!(function = self.mapping.function, %error, "a batch waits");
                    queue.push_front(batch);
                    self.pause(LONGEST_PAUSE).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(function = self.mapping.function, %error, "a batch failed");
                    Outcome::Failed
                }
            };
            self.settle(batch, outcome, &mut queue).await;
        }
        true
    }

    /// Delivers a batch, as a fault lets it.
    async fn invoke(&self, records: &[Value], delivery: Delivery) -> Result<Value, InvocationError> {
        let function = self.mapping.function.as_str();
        let invoke = || self.functions.invoke_attached(function, json!({ "Records": records }));
        let failed = |why: &str| Err(InvocationError::Failed(why.to_owned()));
        match delivery {
            Delivery::Whole | Delivery::Late => invoke().await,
            Delivery::FailsBefore => failed("the delivery failed"),
            Delivery::AnswerLost => {
                let _ = invoke().await;
                failed("the answer was lost")
            }
            Delivery::Twice => {
                let (first, second) = tokio::join!(invoke(), invoke());
                first.and(second)
            }
            Delivery::Lost => Ok(json!({ "batchItemFailures": [] })),
            Delivery::Crashes => {
                self.functions.crash(function);
                failed("it crashed")
            }
            Delivery::CrashesAfter => {
                let _ = invoke().await;
                self.functions.crash(function);
                failed("it crashed")
            }
        }
    }

    /// Moves on, or puts back what is to be tried again.
    async fn settle(&mut self, batch: Batch, outcome: Outcome, queue: &mut VecDeque<Batch>) {
        let Batch { mut records, attempts, .. } = batch;
        let (done, rest, cut) = match outcome {
            Outcome::Done => (records, Vec::new(), false),
            Outcome::Failed => (Vec::new(), records, false),
            Outcome::FailedFrom(index) => {
                let rest = records.split_off(index.min(records.len()));
                (records, rest, true)
            }
        };
        // Out of order, the last one is not the furthest: the end of all of them is noted instead.
        if let Some(last) = done.last().filter(|_| !self.reordered) {
            self.note(sequence_number(last));
        }
        if rest.is_empty() {
            return;
        }
        let (mut rest, expired): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|record| !self.expired(record));
        self.give_up(&expired, attempts, "RecordAgeExceeded");
        if self.mapping.bisects && rest.len() > 1 && !cut {
            // Halving is no retry: it finds the record that fails, which alone uses up its retries. A batch of which the
            // function named a record is cut there instead, and what is behind the cut is a retry, and one batch to its end.
            let second = rest.split_off(rest.len() / 2);
            queue.push_front(Batch { records: second, attempts, late: false });
            queue.push_front(Batch { records: rest, attempts, late: false });
            return;
        }
        if self.mapping.retry_attempts.is_some_and(|most| attempts >= most) {
            self.give_up(&rest, attempts, "RetryAttemptsExhausted");
            return;
        }
        if !rest.is_empty() {
            queue.push_front(Batch { records: rest, attempts: attempts + 1, late: false });
            let doubled = 2_u32.saturating_pow(u32::try_from(attempts).unwrap_or(u32::MAX));
            self.pause(FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)).await;
        }
    }

    /// Whether a record is older than the template allows. The time in which the stand-in was off does not count:
    /// Lambda is never off.
    fn expired(&self, record: &Value) -> bool {
        let since = created(record).max(self.started);
        let age = Clock::system().now().as_second().saturating_sub(since);
        self.mapping.record_age_seconds.is_some_and(|most| u64::try_from(age).unwrap_or_default() > most)
    }

    /// Writes what Lambda would send to the dead-letter queue: where the records are, not what is in them.
    fn give_up(&self, records: &[Value], attempts: u64, condition: &str) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let now = Clock::system().now();
        let letter = json!({
            "requestContext": {
                "requestId": uuid::Uuid::new_v4().to_string(),
                "functionArn": self.mapping.function,
                "condition": condition,
                "approximateInvokeCount": attempts + 1,
            },
            "version": "1.0",
            "timestamp": now.to_string(),
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000001",
                "startSequenceNumber": sequence_number(first),
                "endSequenceNumber": sequence_number(last),
                "batchSize": records.len(),
                "streamArn": self.mapping.stream_arn,
            },
        });
        self.keeping.dead_letters.put(&letter.to_string());
        tracing::error!(
            function = self.mapping.function,
            condition,
            records = records.len(),
            "records became a dead letter"
        );
    }

    fn as_event_record(&self, mut record: Value) -> Value {
        let created = record
            .pointer("/dynamodb/ApproximateCreationDateTime")
            .and_then(Value::as_f64)
            .map(|seconds| seconds as i64);
        if let (Some(created), Some(fields)) =
            (created, record.get_mut("dynamodb").and_then(Value::as_object_mut))
        {
            fields.insert("ApproximateCreationDateTime".to_owned(), json!(created));
            fields.remove("OldImage");
            fields.insert("StreamViewType".to_owned(), json!(VIEW));
        }
        if let Some(fields) = record.as_object_mut() {
            let region = self.mapping.stream_arn.split(':').nth(3).unwrap_or_default();
            fields.insert("awsRegion".to_owned(), json!(region));
            fields.insert("eventSourceARN".to_owned(), json!(self.mapping.stream_arn));
        }
        record
    }

    fn checkpoint(&self) -> Option<String> {
        let path = self.keeping.checkpoint.as_deref()?;
        let text = files::read_if_present(path).ok().flatten()?;
        String::from_utf8(text).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn note(&self, sequence_number: &str) {
        let Some(path) = self.keeping.checkpoint.as_deref() else { return };
        if let Err(error) = write_checkpoint(path, sequence_number) {
            // The records are then delivered once more, which the function bears.
            tracing::warn!(%error, "the place in the stream was not kept");
        }
    }
}

fn write_checkpoint(path: &Path, sequence_number: &str) -> Result<(), FileError> {
    files::write_private(path, sequence_number.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use lambda_runtime::LambdaEvent;
    use shared::lambda::Function;

    use super::*;

    fn mapping() -> Mapping {
        Mapping {
            name: "EmailDispatchFunction.Events.Resets".into(),
            table: "Mail".into(),
            stream_arn: "arn:aws:dynamodb:ap-east-2:123456789012:table/Mail/stream/1".into(),
            function: "email-dispatch".into(),
            batch_size: 10,
            filters: Vec::new(),
            bisects: true,
            reports_item_failures: true,
            retry_attempts: Some(2),
            record_age_seconds: Some(60),
        }
    }

    #[test]
    fn filters_match_as_lambda_documents() {
        let record = json!({"eventName": "INSERT", "dynamodb": {"NewImage": {"state": {"S": "queued"}}}});
        let rows = [
            (r#"{"eventName":["INSERT"]}"#, true),
            (r#"{"eventName":["MODIFY","REMOVE"]}"#, false),
            (r#"{"eventName":[{"anything-but":["REMOVE"]}]}"#, true),
            (r#"{"dynamodb":{"NewImage":{"state":{"S":[{"prefix":"que"}]}}}}"#, true),
            (r#"{"dynamodb":{"OldImage":[{"exists":false}]}}"#, true),
            (r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"state":{"S":["sent"]}}}}"#, false),
            // Only a leaf exists: a rule about fields asks for one of them.
            (r#"{"dynamodb":{"NewImage":{"state":{"S":[{"exists":true}]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"state":[{"exists":true}]}}}"#, false),
            (r#"{"dynamodb":{"NewImage":[{"exists":false}]}}"#, true),
            (r#"{"eventName":[{"exists":true}]}"#, true),
        ];
        for (pattern, expected) in rows {
            let filter = Filter::parse(pattern).unwrap();
            assert_eq!(filter.matches(&record), expected, "{pattern}");
            assert_eq!(filter.written(), serde_json::from_str::<Value>(pattern).unwrap());
        }
        assert!(Filter::parse(r#"{"eventName":"INSERT"}"#).is_err());
        assert!(Filter::parse(r#"{"eventName":[{"numeric":["=",1]}]}"#).is_err());
    }

    #[test]
    fn an_answer_names_the_records_that_failed() {
        let record = |number: &str| json!({"dynamodb": {"SequenceNumber": number}});
        let batch = [record("1"), record("2"), record("3")];
        let failed = |names: &[&str]| {
            let failures: Vec<_> = names.iter().map(|name| json!({"itemIdentifier": name})).collect();
            json!({"batchItemFailures": failures})
        };
        let rows = [
            (json!({}), Outcome::Done),
            (json!(null), Outcome::Done),
            (failed(&[]), Outcome::Done),
            (failed(&["3", "2"]), Outcome::FailedFrom(1)),
            (failed(&["2", "9"]), Outcome::Failed),
            (failed(&[""]), Outcome::Failed),
        ];
        for (answer, expected) in rows {
            assert_eq!(outcome(&mapping(), &answer, &batch), expected, "{answer}");
        }
    }

    fn keeping(folder: &Path) -> Keeping {
        let traffic = crate::traffic::Traffic::default();
        let dead_letters = Sqs::new(folder.join("dead"), "url".to_owned(), "arn".to_owned(), traffic);
        Keeping { checkpoint: Some(folder.join("at")), dead_letters }
    }

    async fn database(items: &[&str]) -> DynamoDb {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let database = DynamoDb::open(None, listener, crate::traffic::Traffic::default()).await.unwrap();
        let request = json!({
            "TableName": "Mail", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        });
        database.database().create_table(serde_json::from_value(request).unwrap()).unwrap();
        for item in items {
            let request = json!({"TableName": "Mail", "Item": {"pk": {"S": item}}});
            database.database().put_item(serde_json::from_value(request).unwrap()).unwrap();
        }
        database
    }

    /// A function that notes what it was given and fails on a batch that has `poison` in it.
    fn function(seen: &Seen) -> Functions {
        let seen = seen.clone();
        let function = Function::new(move |event: LambdaEvent<Value>| {
            let names = names(&event.payload);
            let failed = names.iter().any(|name| name == "poison");
            seen.0.lock().unwrap().push(names);
            async move { if failed { Err("no".into()) } else { Ok(json!({"batchItemFailures": []})) } }
        });
        Functions::single("email-dispatch", function)
    }

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<Vec<String>>>>);

    impl Seen {
        fn batches(&self) -> Vec<String> {
            self.0.lock().unwrap().iter().map(|batch| batch.join("+")).collect()
        }
    }

    fn names(event: &Value) -> Vec<String> {
        let records = event["Records"].as_array().unwrap();
        let name = |record: &Value| record["dynamodb"]["NewImage"]["pk"]["S"].as_str().unwrap().to_owned();
        records.iter().map(name).collect()
    }

    async fn until(condition: impl Fn() -> bool) {
        for _ in 0..100 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it did not come");
    }

    #[tokio::test]
    async fn a_record_that_keeps_failing_becomes_a_dead_letter_and_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let keeping = keeping(folder.path());
        let seen = Seen::default();
        let database = database(&["a", "b", "poison", "c"]).await;
        let pump = Pump::start(mapping(), database.clone(), function(&seen), keeping.clone());
        until(|| {
            !keeping.dead_letters.messages().is_empty()
                && seen.batches().last().is_some_and(|batch| batch == "c")
        })
        .await;
        pump.stop().await;
        // Halved to the record that fails, which alone is tried three times: once, and two retries.
        assert_eq!(seen.batches(), ["a+b+poison+c", "a+b", "poison+c", "poison", "poison", "poison", "c"]);
        let letter: Value = serde_json::from_str(&keeping.dead_letters.messages()[0]).unwrap();
        assert_eq!(letter["requestContext"]["condition"], "RetryAttemptsExhausted");
        assert_eq!(letter["DDBStreamBatchInfo"]["batchSize"], 1);
        // A word that no random id of the letter spells.
        assert!(!letter.to_string().contains("poison"), "{letter}");

        // The next one goes on where this one stopped.
        let request = json!({"TableName": "Mail", "Item": {"pk": {"S": "d"}}});
        database.database().put_item(serde_json::from_value(request).unwrap()).unwrap();
        let pump = Pump::start(mapping(), database, function(&seen), keeping);
        until(|| seen.batches().last().is_some_and(|batch| batch == "d")).await;
        pump.stop().await;
        assert_eq!(seen.batches().len(), 8);
    }

    /// A function that names the first record that it cannot do.
    fn reporting(seen: &Seen) -> Functions {
        let seen = seen.clone();
        let function = Function::new(move |event: LambdaEvent<Value>| {
            let names = names(&event.payload);
            let failed = names.iter().position(|name| name == "poison");
            let numbers = event.payload["Records"].as_array().unwrap();
            let failures: Vec<_> = failed
                .map(|index| json!({"itemIdentifier": sequence_number(&numbers[index])}))
                .into_iter()
                .collect();
            seen.0.lock().unwrap().push(names);
            async move { Ok(json!({"batchItemFailures": failures})) }
        });
        Functions::single("email-dispatch", function)
    }

    #[tokio::test]
    async fn a_batch_is_cut_at_the_record_that_is_named_and_what_is_behind_it_is_one_batch_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let keeping = keeping(folder.path());
        let seen = Seen::default();
        let database = database(&["a", "b", "poison", "c"]).await;
        let pump = Pump::start(mapping(), database, reporting(&seen), keeping.clone());
        until(|| !keeping.dead_letters.messages().is_empty()).await;
        pump.stop().await;
        // Each further delivery is a retry: two of them, and then all of it is given up, the good record too.
        assert_eq!(seen.batches(), ["a+b+poison+c", "poison+c", "poison+c"]);
        let letter: Value = serde_json::from_str(&keeping.dead_letters.messages()[0]).unwrap();
        assert_eq!(letter["requestContext"]["condition"], "RetryAttemptsExhausted");
        assert_eq!(letter["DDBStreamBatchInfo"]["batchSize"], 2);
    }

    #[tokio::test]
    async fn a_write_that_changes_nothing_makes_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Seen::default();
        let database = database(&["a", "a", "b", "a"]).await;
        let pump = Pump::start(mapping(), database, function(&seen), keeping(folder.path()));
        until(|| seen.batches() == ["a+b"]).await;
        pump.stop().await;
    }

    #[tokio::test]
    async fn what_a_killed_mapping_had_in_hand_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let keeping = keeping(folder.path());
        let database = database(&["a"]).await;
        let begun = Arc::new(tokio::sync::Notify::new());
        let never = {
            let begun = Arc::clone(&begun);
            Function::new(move |_| {
                begun.notify_one();
                std::future::pending()
            })
        };
        let pump = Pump::start(
            mapping(),
            database.clone(),
            Functions::single("email-dispatch", never),
            keeping.clone(),
        );
        begun.notified().await;
        pump.kill().await;
        let seen = Seen::default();
        let pump = Pump::start(mapping(), database, function(&seen), keeping);
        until(|| seen.batches() == ["a"]).await;
        pump.stop().await;
    }
}

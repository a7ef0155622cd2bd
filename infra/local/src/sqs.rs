//! A stand-in for Amazon SQS: one queue, of dead letters, whose messages are files. It leaves the MD5 sums out, which the SDK
//! compares only where they are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use shared::clock::Clock;
use uuid::Uuid;

use crate::files;
use crate::permissions::{Call, calls};
use crate::traffic::{Service, Traffic, service_answer};

/// How long a message that was received is hidden, unless the receiver says otherwise.
const VISIBILITY: Duration = Duration::from_secs(30);

/// The queue. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Sqs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// The queue's ARN, for permissions.
    arn: String,
    url: String,
    /// Until when messages are hidden from receivers.
    hidden: Mutex<HashMap<String, Instant>>,
    traffic: Traffic,
}

impl Sqs {
    /// The queue of that URL and ARN, with its messages in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, url: String, arn: String, traffic: Traffic) -> Self {
        Self { inner: Arc::new(Inner { folder, arn, url, hidden: Mutex::default(), traffic }) }
    }

    /// The HTTP interface, AWS JSON 1.0.
    pub fn router(&self) -> Router {
        Router::new().route("/", post(answer)).with_state(self.clone())
    }

    /// Puts a message into the queue, and answers its id.
    pub fn put(&self, body: &str) -> String {
        let id = Uuid::new_v4().to_string();
        let name = format!("{}-{id}.json", Clock::system().now().as_millisecond());
        if let Err(error) = files::write_private(&self.inner.folder.join(name), body.as_bytes()) {
            tracing::error!(%error, "a dead letter cannot be kept");
        }
        id
    }

    /// The bodies of all messages, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.names().iter().filter_map(|name| self.body(name)).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.inner.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.ends_with(".json"));
        names.sort_unstable();
        names
    }

    fn body(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.inner.folder.join(name)).ok()
    }

    fn receive(&self, most: usize, hide: Duration) -> Vec<Value> {
        let mut hidden = self.inner.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        hidden.retain(|_, until| *until > now);
        let names: Vec<String> =
            self.names().into_iter().filter(|name| !hidden.contains_key(name)).take(most).collect();
        let messages = names.into_iter().filter_map(|name| {
            let body = self.body(&name)?;
            hidden.insert(name.clone(), now + hide);
            Some(json!({ "MessageId": name, "ReceiptHandle": name, "Body": body }))
        });
        messages.collect()
    }

    fn delete(&self, receipt: &str) {
        if self.names().iter().any(|name| name == receipt) {
            // Deleting what is gone is no error in SQS either.
            let _ = std::fs::remove_file(self.inner.folder.join(receipt));
        }
    }

    fn call(&self, operation: &str, request: &Value) -> Result<Value, (&'static str, String)> {
        let url = request.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
        if url != self.inner.url {
            return Err((
                "com.amazonaws.sqs#QueueDoesNotExist",
                "The specified queue does not exist.".to_owned(),
            ));
        }
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| request.get(name).and_then(Value::as_u64);
        match operation {
            "SendMessage" if text("MessageBody").is_empty() => Err((
                "com.amazonaws.sqs#InvalidMessageContents",
                "Message must be at least one character.".to_owned(),
            )),
            "SendMessage" => {
                let body = text("MessageBody");
                Ok(json!({ "MessageId": self.put(body) }))
            }
            "ReceiveMessage" => {
                let most = number("MaxNumberOfMessages").unwrap_or(1).clamp(1, 10);
                let hide = number("VisibilityTimeout").map_or(VISIBILITY, Duration::from_secs);
                let messages = self.receive(usize::try_from(most).unwrap_or(1), hide);
                Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
            }
            "DeleteMessage" => {
                self.delete(text("ReceiptHandle"));
                Ok(json!({}))
            }
            "GetQueueAttributes" => {
                let number = self.names().len().to_string();
                Ok(json!({ "Attributes": { "ApproximateNumberOfMessages": number } }))
            }
            other => Err((
                "com.amazonaws.sqs#UnsupportedOperation",
                format!("The stand-in does not know {other}."),
            )),
        }
    }

    fn needs(&self, operation: &str) -> Vec<Call> {
        vec![calls::queue(operation, &self.inner.arn)]
    }
}

async fn answer(State(sqs): State<Sqs>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    if let Err(denial) = sqs.inner.traffic.permit(&headers, || sqs.needs(&operation)) {
        return denial.response(StatusCode::FORBIDDEN);
    }
    let effect = async {
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, code, body) = match sqs.call(&operation, &request) {
            Ok(answer) => (StatusCode::OK, None, answer),
            Err((code, message)) => {
                (StatusCode::BAD_REQUEST, Some(code), json!({ "__type": code, "message": message }))
            }
        };
        tracing::debug!(service = "sqs", operation, status = status.as_u16(), code, "aws call");
        service_answer(status, "application/x-amz-json-1.0", body.to_string(), code)
    };
    sqs.inner.traffic.around(Service::Sqs, &operation, &headers, effect).await
}

//! A wire between the SDK and a service, on which every answer is noted as it was sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, header, request};
use serde_json::Value;
use tokio::net::TcpListener;

/// What a service answered: the status, then the error's code, or the fields of the answer and what kind each is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    status: u16,
    code: Option<String>,
    fields: BTreeMap<String, &'static str>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(code) = &self.code {
            return write!(f, " {code}");
        }
        self.fields.iter().try_for_each(|(name, kind)| write!(f, " {name}:{kind}"))
    }
}

/// The wire. Requests to its URL go to the service behind it.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) url: String,
    last: Arc<Mutex<Option<Answer>>>,
}

impl Wire {
    /// A wire whose calls of SES and of SQS end at a service each, and all others at KMS.
    pub(crate) async fn to(kms: &str, ses: &str, sqs: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let last: Arc<Mutex<Option<Answer>>> = Arc::default();
        // The client wants a provider even where there is no TLS.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let [kms, ses, sqs] = [kms, ses, sqs].map(|target| target.trim_end_matches('/').to_owned());
        let wire = Self { url, last: Arc::clone(&last) };
        let pass = move |parts: request::Parts, body: Bytes| {
            let called = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
            let target = match called {
                _ if parts.uri.path().starts_with("/v2/email/") => ses.clone(),
                Some(called) if called.starts_with("AmazonSQS.") => sqs.clone(),
                _ => kms.clone(),
            };
            let (client, last) = (client.clone(), Arc::clone(&last));
            async move {
                let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                let mut headers = parts.headers;
                headers.remove(header::HOST);
                let request = client.request(parts.method, format!("{target}{path}")).headers(headers);
                let response = request.body(body).send().await.unwrap();
                let (status, headers) = (response.status(), response.headers().clone());
                let body = response.bytes().await.unwrap();
                *last.lock().unwrap() = Some(read(status.as_u16(), &headers, &body));
                let mut answer = Response::builder().status(status);
                for name in [header::CONTENT_TYPE.as_str(), "x-amzn-errortype"] {
                    if let Some(value) = headers.get(name) {
                        answer = answer.header(name, value);
                    }
                }
                answer.body(Body::from(body)).unwrap()
            }
        };
        let app = Router::new().fallback(pass);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        wire
    }

    /// The last answer since this was asked before.
    pub(crate) fn take(&self) -> Option<Answer> {
        self.last.lock().unwrap().take()
    }

    /// Makes an answer the last one again.
    pub(crate) fn put_back(&self, answer: Option<Answer>) {
        *self.last.lock().unwrap() = answer;
    }
}

fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if status >= 300 {
        let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let code = header.or_else(|| body.get("__type").and_then(Value::as_str)).unwrap_or("no code");
        // `namespace#Code:address`, of which the SDK takes the code alone.
        let code = code.rsplit('#').next().and_then(|code| code.split(':').next());
        return Answer { status, code: code.map(str::to_owned), fields: BTreeMap::new() };
    }
    let fields = body.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| (name.clone(), kind(value))).collect();
    Answer { status, code: None, fields }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "flag",
        Value::Number(_) => "number",
        Value::String(text) if text.starts_with("arn:aws:") => "ARN",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

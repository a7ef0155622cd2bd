//! What goes between the functions and the stand-in's AWS services: whether a call is allowed, a count of the calls,
//! and the calls that are to fail on purpose.
//!
//! Every call is held against the template's permissions, and meets the faults of a file ([`crate::faults`]). Tests hold
//! the functions against their budgets of AWS calls, and break a dependency to see the right error.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::faults::connection::severed;
use crate::faults::{Effect, Faults};
use crate::functions::Functions;
use crate::permissions::{Call, Denial, Permissions, access_key};
use crate::s3;

/// An AWS service of the stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon DynamoDB.
    DynamoDb,
    /// AWS Key Management Service.
    Kms,
    /// Amazon Simple Storage Service.
    S3,
    /// Amazon Simple Email Service, API version 2.
    Ses,
    /// Amazon Simple Queue Service.
    Sqs,
    /// The delivery of tables' stream records to functions.
    Stream,
    /// The delivery of Amazon EventBridge's events to functions.
    Events,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::DynamoDb, Self::Kms, Self::S3, Self::Ses, Self::Stream, Self::Sqs, Self::Events];

    /// As a fault file and the log say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::Kms => "kms",
            Self::S3 => "s3",
            Self::Ses => "ses",
            Self::Sqs => "sqs",
            Self::Stream => "stream",
            Self::Events => "events",
        }
    }

    /// What a fault file may call its operations. A delivery also goes by what is in it.
    #[must_use]
    pub fn operations(self) -> &'static [&'static str] {
        match self {
            Self::DynamoDb => &[
                "BatchGetItem",
                "BatchWriteItem",
                "DeleteItem",
                "DescribeTable",
                "DescribeTimeToLive",
                "GetItem",
                "ListTables",
                "PutItem",
                "Query",
                "Scan",
                "TransactGetItems",
                "TransactWriteItems",
                "UpdateItem",
            ],
            Self::Kms => &[
                "Decrypt",
                "DescribeKey",
                "DisableKey",
                "EnableKey",
                "Encrypt",
                "GenerateDataKey",
                "GenerateMac",
                "GetPublicKey",
                "Sign",
            ],
            Self::S3 => &[
                "DeleteObject",
                "GetObject",
                "GetObjectRetention",
                "HeadBucket",
                "HeadObject",
                "ListObjectVersions",
                "ListObjectsV2",
                "PutObject",
            ],
            Self::Ses => &["SendEmail", "GetAccount"],
            Self::Sqs => &["SendMessage", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"],
            Self::Stream => &["Invoke", "GetRecords", "INSERT", "MODIFY", "REMOVE"],
            Self::Events => &["Invoke", "PutEvents"],
        }
    }

    /// How it refuses a caller that calls too often: status and code, as the SDK's retries know them.
    fn throttle(self) -> (StatusCode, &'static str) {
        match self {
            Self::DynamoDb => (StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
            Self::Kms => (StatusCode::BAD_REQUEST, "ThrottlingException"),
            Self::S3 => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Self::Sqs => (StatusCode::FORBIDDEN, "RequestThrottled"),
            Self::Ses | Self::Stream | Self::Events => {
                (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException")
            }
        }
    }

    /// The code of its own failure, with status 500.
    fn failure(self) -> &'static str {
        match self {
            Self::DynamoDb => "InternalServerError",
            Self::Kms => "KMSInternalException",
            Self::S3 => "InternalError",
            Self::Ses => "InternalServiceErrorException",
            Self::Sqs => "InternalFailure",
            Self::Stream | Self::Events => "ServiceException",
        }
    }
}

/// How a call is made to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The service whose calls fail.
    pub service: Service,
    /// The operation that fails (`GetItem`, `Sign`, `SendEmail`, …); every operation without one.
    pub operation: Option<String>,
    /// The HTTP status of the failure, such as 500 or 400.
    pub status: u16,
    /// The error's code as AWS names it, such as `ThrottlingException`.
    pub code: String,
    /// How many calls succeed first.
    pub after: u32,
    /// How many calls fail; all of them, until the fault is cleared, without a number.
    pub times: Option<u32>,
    /// Time that passes before the answer.
    pub delay: Duration,
}

impl Fault {
    /// A service that answers every call with an internal error.
    #[must_use]
    pub fn broken(service: Service) -> Self {
        Self {
            service,
            operation: None,
            status: 500,
            code: "InternalServerError".to_owned(),
            after: 0,
            times: None,
            delay: Duration::ZERO,
        }
    }

    fn concerns(&self, service: Service, operation: &str) -> bool {
        self.service == service
            && self.operation.as_deref().is_none_or(|name| name == operation)
            && self.times != Some(0)
    }
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<(Service, String), u64>,
    /// The calls of each function, in order, while they are recorded.
    recorded: Option<Vec<Recorded>>,
    faults: Vec<Fault>,
    file: Option<Faults>,
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The function that called.
    pub function: String,
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
}

/// What a fault does to a delivery: of a batch of stream records, or of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// As it should be.
    Whole,
    /// It fails before the function has it.
    FailsBefore,
    /// The function has it, and its answer is lost.
    AnswerLost,
    /// The function has it twice, side by side.
    Twice,
    /// It is made after the one behind it, in the reverse order.
    Late,
    /// It is never made.
    Lost,
    /// The function ends where it is as soon as it has it.
    Crashes,
    /// The function ends before its answer is heard.
    CrashesAfter,
}

/// The calls that reached the stand-in's services. Clones see the same calls.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    state: Arc<Mutex<State>>,
    permissions: Arc<OnceLock<Permissions>>,
    functions: Arc<OnceLock<Functions>>,
    over: Arc<watch::Sender<bool>>,
}

impl Traffic {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each operation was called since the start or the last [`Traffic::reset`].
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Service, String), u64> {
        self.state().counts.clone()
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.state().counts.clear();
    }

    /// Makes calls fail from now on.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Mends everything that [`Traffic::inject`] broke.
    pub fn mend(&self) {
        self.state().faults.clear();
    }

    /// Holds every call from now on against these permissions. The first ones stay.
    pub(crate) fn enforce(&self, permissions: Permissions) {
        let _ = self.permissions.set(permissions);
    }

    /// Whether the signer of a request may make the calls that it needs.
    pub(crate) fn permit(
        &self,
        headers: &HeaderMap,
        calls: impl FnOnce() -> Vec<Call>,
    ) -> Result<(), Denial> {
        match (self.permissions.get(), access_key(headers)) {
            (Some(permissions), Some(access_key)) => permissions.check(access_key, calls),
            _ => Ok(()),
        }
    }

    /// Lets calls meet the faults of a file from now on, or no longer. Without [`Traffic::attach`] they meet none.
    pub fn set_faults(&self, faults: Option<Faults>) {
        self.state().file = faults;
    }

    /// The functions whose calls meet faults, and which faults can end. The first ones stay.
    pub(crate) fn attach(&self, functions: Functions) {
        let _ = self.functions.set(functions);
    }

    /// Begins to record the calls of functions in order, or ends it and answers them.
    pub fn record(&self, on: bool) -> Vec<Recorded> {
        let begun = on.then(Vec::new);
        std::mem::replace(&mut self.state().recorded, begun).unwrap_or_default()
    }

    /// Answers that a fault holds back are held no longer: their connections end.
    pub(crate) fn close(&self) {
        self.over.send_replace(true);
    }

    /// Lets a call have its effect, unless it is to fail, and answers it, unless its answer is to be lost.
    ///
    /// Only calls of functions meet the faults of a file. In this process a function is known by its access key;
    /// functions outside it share one, and all calls count as theirs.
    pub(crate) async fn around(
        &self,
        service: Service,
        operation: &str,
        headers: &HeaderMap,
        effect: impl Future<Output = Response<Body>>,
    ) -> Response<Body> {
        let function = self.caller(headers);
        if let (Some(recorded), Some(Some(function))) = (&mut self.state().recorded, &function) {
            let (function, operation) = (function.clone(), operation.to_owned());
            recorded.push(Recorded { function, service, operation });
        }
        if let Some(failure) = self.pass(service, operation).await {
            return failure;
        }
        let faults = self.state().file.clone();
        let hit = match (&faults, &function) {
            (Some(faults), Some(function)) => faults.meet(service, &[operation], function.as_deref()),
            _ => None,
        };
        let Some(hit) = hit else { return effect.await };
        let refused = |(status, code): (StatusCode, &'static str)| {
            if service == Service::S3 {
                return s3::refusal(status, code, "made to fail");
            }
            let body = json!({ "__type": code, "message": "made to fail" });
            let content_type =
                if service == Service::Ses { "application/json" } else { "application/x-amz-json-1.1" };
            service_answer(status, content_type, body.to_string(), Some(code))
        };
        match hit.effect {
            Effect::Throttle => return refused(service.throttle()),
            Effect::Error500 => return refused((StatusCode::INTERNAL_SERVER_ERROR, service.failure())),
            _ => {}
        }
        if hit.effect.is_after() {
            let _ = effect.await;
        }
        match hit.effect {
            Effect::TimeoutBefore | Effect::TimeoutAfter => {
                let _ = self.over.subscribe().wait_for(|over| *over).await;
            }
            Effect::Crash | Effect::CrashAfter => self.crash(function.flatten().as_deref()),
            _ => {}
        }
        severed()
    }

    /// What becomes of a delivery to a function. `operations` are the names that a fault file may call it by.
    pub(crate) fn deliver(&self, service: Service, operations: &[&str], function: &str) -> Delivery {
        let faults = self.state().file.clone();
        match faults.and_then(|faults| faults.meet(service, operations, Some(function))).map(|hit| hit.effect)
        {
            None => Delivery::Whole,
            Some(Effect::Throttle | Effect::Error500 | Effect::TimeoutBefore | Effect::Reset) => {
                Delivery::FailsBefore
            }
            Some(Effect::TimeoutAfter | Effect::ResetAfter) => Delivery::AnswerLost,
            Some(Effect::Duplicate) => Delivery::Twice,
            Some(Effect::Reorder) => Delivery::Late,
            Some(Effect::Drop) => Delivery::Lost,
            Some(Effect::Crash) => Delivery::Crashes,
            Some(Effect::CrashAfter) => Delivery::CrashesAfter,
        }
    }

    /// The function that calls; nothing when no function does. Which one is unknown where they share an access key.
    fn caller(&self, headers: &HeaderMap) -> Option<Option<String>> {
        let functions = self.functions.get()?;
        let key = access_key(headers)?;
        match functions.in_this_process() {
            true => functions.has(key).then(|| Some(key.to_owned())),
            false => Some(None),
        }
    }

    fn crash(&self, function: Option<&str>) {
        if let (Some(functions), Some(function)) = (self.functions.get(), function) {
            functions.crash(function);
        }
    }

    /// Notes one call; the answer is the failure that it is to end in, if any.
    async fn pass(&self, service: Service, operation: &str) -> Option<Response<Body>> {
        let fault = {
            let mut state = self.state();
            *state.counts.entry((service, operation.to_owned())).or_default() += 1;
            let fault = state.faults.iter_mut().find(|fault| fault.concerns(service, operation))?;
            let spared = fault.after > 0;
            fault.after = fault.after.saturating_sub(1);
            (!spared).then(|| {
                if let Some(times) = &mut fault.times {
                    *times = times.saturating_sub(1);
                }
                fault.clone()
            })
        }?;
        tokio::time::sleep(fault.delay).await;
        let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if service == Service::S3 {
            return Some(s3::refusal(status, &fault.code, "made to fail"));
        }
        let body = json!({ "__type": fault.code, "message": "made to fail" });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers
            .insert(header::CONTENT_TYPE, axum::http::HeaderValue::from_static("application/x-amz-json-1.1"));
        if let Ok(code) = axum::http::HeaderValue::from_str(&fault.code) {
            headers.insert("x-amzn-errortype", code);
        }
        Some(response)
    }
}

/// An answer as AWS's services give it: with a request id, and with the error's code where it is one.
pub(crate) fn service_answer(
    status: StatusCode,
    content_type: &'static str,
    body: String,
    code: Option<&'static str>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(code) = code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_are_counted_and_fail_on_demand() {
        let traffic = Traffic::default();
        assert!(traffic.pass(Service::Kms, "Sign").await.is_none());
        let sign = Some("Sign".to_owned());
        traffic.inject(Fault { operation: sign, after: 1, times: Some(1), ..Fault::broken(Service::Kms) });
        assert!(traffic.pass(Service::Kms, "Encrypt").await.is_none());
        assert!(traffic.pass(Service::Kms, "Sign").await.is_none());
        assert_eq!(traffic.pass(Service::Kms, "Sign").await.unwrap().status(), 500);
        assert!(traffic.pass(Service::Kms, "Sign").await.is_none());
        assert_eq!(traffic.counts()[&(Service::Kms, "Sign".to_owned())], 4);
    }
}

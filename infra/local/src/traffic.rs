//! What goes between the functions and the stand-in's AWS services: whether a call is allowed, a count of the calls,
//! and the calls that are to fail on purpose.
//!
//! Every call is held against the template's permissions. Tests hold the functions against their budgets of AWS calls,
//! and break a dependency to see the right error.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use crate::permissions::{Call, Denial, Permissions, access_key};

/// An AWS service of the stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon DynamoDB.
    DynamoDb,
    /// AWS Key Management Service.
    Kms,
    /// Amazon Simple Email Service, API version 2.
    Ses,
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
    faults: Vec<Fault>,
}

/// The calls that reached the stand-in's services. Clones see the same calls.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    state: Arc<Mutex<State>>,
    permissions: Arc<OnceLock<Permissions>>,
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

    /// Notes one call; the answer is the failure that it is to end in, if any.
    pub(crate) async fn pass(&self, service: Service, operation: &str) -> Option<Response<Body>> {
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

//! A function as the Lambda runtime and the local stand-in call it: one JSON event in, one JSON answer out.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::request::LambdaRequest;
use lambda_http::{Body, BoxFuture, Request, Response, Service};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

use crate::environment::{Environment, StartError};
use crate::telemetry;

type Invoke = dyn Fn(LambdaEvent<Value>) -> BoxFuture<'static, Result<Value, Error>> + Send + Sync;

/// A started function. Cheap to clone; every clone is the same function.
#[derive(Clone)]
pub struct Function(Arc<Invoke>);

impl Function {
    /// A function that answers events with `invoke`.
    pub fn new<F, Fut>(invoke: F) -> Self
    where
        F: Fn(LambdaEvent<Value>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, Error>> + Send + 'static,
    {
        Self(Arc::new(move |event| Box::pin(invoke(event))))
    }

    /// A function behind an HTTP API: events of payload format 2.0 become requests, responses become answers.
    pub fn http<F, Fut>(handle: F) -> Self
    where
        F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::new(move |LambdaEvent { payload, context }| {
            let handle = handle.clone();
            async move {
                let request: LambdaRequest = serde_json::from_value(without_summary(payload))?;
                let service = service_fn(move |request: Request| {
                    let answer = handle(request);
                    async move { Ok::<_, Error>(answer.await) }
                });
                let answer =
                    lambda_http::Adapter::from(service).call(LambdaEvent::new(request, context)).await?;
                Ok(serde_json::to_value(answer)?)
            }
        })
    }

    /// Calls the function.
    ///
    /// # Errors
    /// What the Lambda runtime would report as a failed invocation: the event is not of the function's kind, or the
    /// function gives up so that the event is delivered again. A refusal to a person is an answer, not an error.
    pub async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        (self.0)(event).await
    }
}

/// Takes away what an event says of the connection's client certificate beside the certificate itself. All of it stands in the
/// certificate, where it is signed, and no page of AWS's says how names and numbers are written: whatever they look like, no
/// request may fail for it.
fn without_summary(mut event: Value) -> Value {
    if let Some(certificate) = event.pointer_mut("/requestContext/authentication/clientCert") {
        let pem = certificate.get("clientCertPem").and_then(Value::as_str);
        *certificate = json!({ "clientCertPem": pem, "validity": {} });
    }
    event
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

/// How long an invocation with this deadline begins something new, both in milliseconds since 1970, when `reserve` is left for
/// what is under way; `None` for as long as it likes.
#[must_use]
pub fn time_left(deadline: u64, now: i64, reserve: Duration) -> Option<Duration> {
    // Lambda starts nothing after its deadline: one that is over is no deadline (`cargo lambda watch` tells a constant).
    let left = deadline.checked_sub(u64::try_from(now).ok()?)?;
    Some(Duration::from_millis(left).saturating_sub(reserve))
}

/// Starts a function from the process's environment and serves the Lambda runtime API until the process ends: the
/// whole of a function's `main`.
///
/// # Errors
/// The function could not start, or the runtime API went away.
pub async fn run<S>(start: S) -> Result<(), Error>
where
    S: AsyncFnOnce(&Environment) -> Result<Function, StartError>,
{
    log_to_stdout();
    let function = start(&Environment::process()).await.inspect_err(|error| {
        tracing::error!(%error, "start failed");
    })?;
    serve(function).await
}

// What is not generic is compiled here once, and not in each function's binary.

fn log_to_stdout() {
    telemetry::init(std::io::stdout);
}

async fn serve(function: Function) -> Result<(), Error> {
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let function = function.clone();
        async move { function.invoke(event).await }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use lambda_runtime::Context;
    use proptest::prelude::*;

    use super::*;
    use crate::http::Call;

    /// An event with that for its client certificate.
    fn event(certificate: &Value) -> Value {
        json!({
            "version": "2.0", "routeKey": "GET /", "rawPath": "/", "rawQueryString": "", "headers": {},
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "authentication": { "clientCert": certificate },
                "domainName": "card.example", "domainPrefix": "card",
                "http": { "method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4", "userAgent": "" },
                "requestId": "id", "routeKey": "GET /", "stage": "$default", "time": "21/Apr/2020:15:08:21 +0000",
                "timeEpoch": 1_587_481_701_067_i64,
            },
            "isBase64Encoded": false,
        })
    }

    /// The certificate that a step gets of it.
    fn seen(certificate: &Value) -> Value {
        let function = Function::http(|request| async {
            let seen = Call::of(request).certificate_pem().map(str::to_owned);
            Response::new(Body::Text(json!(seen).to_string()))
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let event = LambdaEvent::new(event(certificate), Context::default());
        let answer = runtime.block_on(function.invoke(event)).unwrap();
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    /// Anything that JSON has.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("notBefore|notAfter|.*", inner, 0..3).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn of_a_certificate_only_the_certificate_is_read(
            pem in prop_oneof![".*", Just("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----".to_owned())],
            rest in prop::collection::btree_map("subjectDN|issuerDN|serialNumber|validity|other", anything(), 0..5),
        ) {
            let mut certificate = json!(rest);
            certificate["clientCertPem"] = json!(pem);
            prop_assert_eq!(seen(&certificate), json!(pem));
            certificate["clientCertPem"] = json!(7);
            prop_assert_eq!(seen(&certificate), Value::Null);
        }
    }

    #[test]
    fn certificates_come_in_the_shapes_that_are_documented_and_seen() {
        let pem = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----";
        let validity =
            json!({"notBefore": "May 28 12:30:02 2019 GMT", "notAfter": "Aug  5 09:36:04 2027 GMT"});
        let rest = [
            (
                "in AWS's examples",
                json!({"subjectDN": "www.example.com", "issuerDN": "Example issuer",
                "serialNumber": "a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1", "validity": validity}),
            ),
            (
                "a serial number in decimal",
                json!({"subjectDN": "C=TW,CN=王小明", "issuerDN": "C=TW,O=行政院",
                "serialNumber": "1353651436519365179156", "validity": validity}),
            ),
            (
                "a name with escapes, as OpenSSL writes it",
                json!({"subjectDN": "C=TW,CN=\\E7\\8E\\8B\\E5\\B0\\8F",
                "issuerDN": "C=TW", "serialNumber": "1", "validity": validity}),
            ),
            ("nothing else", json!({})),
        ];
        for (what, mut certificate) in rest {
            for pem in [pem.to_owned(), format!("{pem}\n")] {
                certificate["clientCertPem"] = json!(pem);
                assert_eq!(seen(&certificate), json!(pem), "{what}");
            }
        }
        for none in [json!(null), json!({}), json!("none")] {
            assert_eq!(seen(&none), Value::Null, "{none}");
        }
    }

    #[test]
    fn an_invocation_begins_nothing_shortly_before_its_deadline() {
        let now = 1_785_715_200_000;
        let reserve = Duration::from_secs(20);
        let rows = [
            ("none is told", 0, None),
            ("a constant of an emulator", 600_000, None),
            ("just over", now - 1, None),
            ("less left than is kept in reserve", now + 10_000, Some(Duration::ZERO)),
            ("a quarter of an hour", now + 900_000, Some(Duration::from_secs(880))),
        ];
        for (what, deadline, expected) in rows {
            assert_eq!(time_left(deadline, now.cast_signed(), reserve), expected, "{what}");
        }
    }
}

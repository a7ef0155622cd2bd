//! A function as the Lambda runtime and the local stand-in call it: one JSON event in, one JSON answer out.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::request::LambdaRequest;
use lambda_http::{Body, BoxFuture, Request, Response, Service};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

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
                let request: LambdaRequest = serde_json::from_value(payload)?;
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
    use super::*;

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

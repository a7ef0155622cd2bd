//! The AWS SDK's configuration for a function, with a note of every call for the request's log line.

use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::environment::Environment;
use crate::telemetry::{AwsCall, RequestNotes};

/// How long one attempt at a call may take, unless `AWS_ATTEMPT_TIMEOUT_MS` says otherwise.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The SDK's configuration: its own default chain on Lambda, or the same variables out of a map.
///
/// Time limits leave room for one retry within API Gateway's 30 s. The variable `AWS_ATTEMPT_TIMEOUT_MS` sets that of one
/// attempt, in milliseconds from 1; a value that is none is logged, and the default holds.
pub async fn sdk_config(environment: &Environment) -> SdkConfig {
    let attempt = attempt_timeout(environment);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt.saturating_mul(12) / 5)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    if !environment.is_process() {
        loader = loader
            .region(Region::new(environment.get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned())));
        if let (Some(id), Some(secret)) =
            (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY"))
        {
            let token = environment.get("AWS_SESSION_TOKEN");
            loader = loader.credentials_provider(aws_credential_types::Credentials::new(
                id,
                secret,
                token,
                None,
                "environment",
            ));
        }
    }
    loader.load().await
}

/// Why nothing can be asked of AWS from this machine.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Nothing says in which region.
    #[error("no AWS region is set")]
    Region,
    /// Nobody is signed in, or not any more.
    #[error("no AWS credentials: {0}")]
    Credentials(String),
}

/// As [`sdk_config`], for a command line: a person without a region or credentials learns it before anything is begun.
///
/// # Errors
/// [`NotReady`].
pub async fn ready_config(environment: &Environment) -> Result<SdkConfig, NotReady> {
    let config = sdk_config(environment).await;
    config.region().ok_or(NotReady::Region)?;
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| NotReady::Credentials("nothing provides them".to_owned()))?;
    let provided = provider.provide_credentials().await;
    provided.map_err(|error| NotReady::Credentials(with_causes(&error)))?;
    Ok(config)
}

/// How long one attempt at a call may take.
fn attempt_timeout(environment: &Environment) -> Duration {
    let Some(text) = environment.get("AWS_ATTEMPT_TIMEOUT_MS") else { return ATTEMPT_TIMEOUT };
    match text.trim().parse() {
        Ok(milliseconds @ 1..) => Duration::from_millis(milliseconds),
        Ok(0) | Err(_) => {
            tracing::warn!(
                variable = "AWS_ATTEMPT_TIMEOUT_MS",
                "no number of milliseconds: the default holds"
            );
            ATTEMPT_TIMEOUT
        }
    }
}

/// The endpoint of one service, when the variables are a map that names one; the SDK looks in the process's itself.
pub(crate) fn endpoint(environment: &Environment, service: &str) -> Option<String> {
    if environment.is_process() {
        return None;
    }
    environment.get(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| environment.get("AWS_ENDPOINT_URL"))
}

/// What went wrong with a call, in words for our log: the service's own code and message, or where on the way it failed.
/// Never the answer's body, which may hold a person's data.
pub(crate) fn describe<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(context) => {
            let metadata = context.err().meta();
            format!(
                "{}: {}",
                metadata.code().unwrap_or("unnamed error"),
                metadata.message().unwrap_or_default()
            )
        }
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => format!("not sent: {}", with_causes(error)),
            None => "not sent".to_owned(),
        },
        SdkError::ResponseError(_) => "an unreadable answer".to_owned(),
        SdkError::ConstructionFailure(_) => "the request could not be made".to_owned(),
        _ => "an unknown failure".to_owned(),
    }
}

/// An error with what it came of: an error of the SDK's connection says no more than `other` by itself.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some say again what they came of.
        if !told.ends_with(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        cause = error.source();
    }
    told
}

/// Notes each attempt of each call in the request's [`RequestNotes`].
#[derive(Debug)]
struct CallRecorder;

#[derive(Debug)]
struct SentAt(Instant);

impl Storable for SentAt {
    type Storer = StoreReplace<Self>;
}

pub(crate) fn call_recorder() -> SharedInterceptor {
    SharedInterceptor::new(CallRecorder)
}

#[dyn_dispatch_hint]
impl Intercept for CallRecorder {
    fn name(&self) -> &'static str {
        "CallRecorder"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(SentAt(Instant::now()));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        _context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(sent), Some(metadata)) = (config.load::<SentAt>(), config.load::<Metadata>()) {
            let service = metadata.service().replace(' ', "");
            RequestNotes::call(AwsCall {
                operation: format!("{service}.{}", metadata.name()),
                duration: sent.0.elapsed(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_what_it_came_of() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Layer {
            text: &'static str,
            source: Option<Box<Layer>>,
        }
        let layer = |text, source: Option<Layer>| Layer { text, source: source.map(Box::new) };
        let rows = [
            (layer("other", None), "other"),
            (layer("other", Some(layer("no credentials", None))), "other: no credentials"),
            // Not what was said already.
            (
                layer("not sent: refused", Some(layer("refused", Some(layer("os error 111", None))))),
                "not sent: refused: os error 111",
            ),
        ];
        for (error, told) in rows {
            assert_eq!(with_causes(&error), told);
        }
    }

    #[tokio::test]
    async fn an_attempt_may_take_as_long_as_the_variable_says() {
        let rows = [
            (None, 5_000, 12_000),
            (Some("1000"), 1_000, 2_400),
            (Some(" 250 "), 250, 600),
            (Some("0"), 5_000, 12_000),
            (Some("soon"), 5_000, 12_000),
            (Some("-1"), 5_000, 12_000),
        ];
        for (text, attempt, operation) in rows {
            let variables = text.map(|text| ("AWS_ATTEMPT_TIMEOUT_MS".to_owned(), text.to_owned()));
            let environment = Environment::from_map(variables.into_iter().collect());
            let config = sdk_config(&environment).await;
            let timeouts = config.timeout_config().unwrap();
            assert_eq!(
                timeouts.operation_attempt_timeout(),
                Some(Duration::from_millis(attempt)),
                "{text:?}"
            );
            assert_eq!(timeouts.operation_timeout(), Some(Duration::from_millis(operation)), "{text:?}");
        }
    }
}

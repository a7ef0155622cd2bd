//! The functions as the stand-in calls them: in this process, or through the Lambda emulator of `cargo lambda watch`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::client::{self, ClientError};
use crate::deployment::FunctionDeclaration;

/// Lambda's limit for an answer.
const LARGEST_ANSWER: usize = 6_291_556;

/// Why an invocation gave no answer. The reason is for the log alone.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The template has no function of that name.
    #[error("there is no function of that name")]
    Unknown,
    /// The function returned an error or ended early.
    #[error("the function failed: {0}")]
    Failed(String),
    /// The function took longer than its timeout in the template.
    #[error("the function took longer than its timeout")]
    TimedOut,
    /// The Lambda emulator did not answer.
    #[error("the Lambda emulator did not answer: {0}")]
    Unreachable(String),
}

/// Why the functions cannot start.
#[derive(Debug, thiserror::Error)]
pub enum FunctionsError {
    /// A function refused its environment.
    #[error("the function {name} does not start: {source}")]
    Start {
        /// The function.
        name: String,
        /// What it said.
        source: StartError,
    },
    /// The template names a function that this program has no crate of.
    #[error("the template has a function {0}, which this program does not know")]
    NotLinked(String),
    /// No HTTP client could be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// All functions of the template. Clones call the same functions.
#[derive(Debug, Clone)]
pub struct Functions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    timeouts: HashMap<String, Duration>,
    region: String,
    account: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Process(HashMap<String, Instance>),
    Emulator { client: reqwest::Client, url: String },
}

/// A function in this process, which a fault can end and which then starts anew.
#[derive(Debug)]
struct Instance {
    /// Nothing for a function that was handed over started.
    environment: Option<Environment>,
    /// The function, and how often it had ended when it started.
    started: Mutex<(u64, Function)>,
    /// How often it has ended.
    crashes: watch::Sender<u64>,
}

impl Instance {
    fn new(function: Function, environment: Option<Environment>) -> Self {
        Self { environment, started: Mutex::new((0, function)), crashes: watch::Sender::new(0) }
    }

    /// The function; a new one when it has ended since it started.
    async fn started(&self, name: &str) -> Result<Function, InvocationError> {
        let mut started = self.started.lock().await;
        let crashes = *self.crashes.borrow();
        if let (Some(environment), true) = (&self.environment, started.0 != crashes) {
            let anew = start(name, environment).await.ok_or(InvocationError::Unknown)?;
            *started = (crashes, anew.map_err(|error| InvocationError::Failed(error.to_string()))?);
        }
        Ok(started.1.clone())
    }

    async fn invoke(
        &self,
        name: &str,
        event: LambdaEvent<Value>,
        timeout: Duration,
    ) -> Result<Value, InvocationError> {
        let mut crashes = self.crashes.subscribe();
        let work = async {
            let function = self.started(name).await?;
            function.invoke(event).await.map_err(|error| InvocationError::Failed(error.to_string()))
        };
        tokio::select! {
            // What has ended does not take another step.
            biased;
            _ = crashes.changed() => Err(InvocationError::Failed("it crashed".to_owned())),
            answer = tokio::time::timeout(timeout, work) => answer.unwrap_or(Err(InvocationError::TimedOut)),
        }
    }
}

impl Functions {
    /// Starts every function in this process, each with the variables that the template gives it.
    ///
    /// # Errors
    /// When a function does not start.
    pub async fn in_process(
        declarations: &[FunctionDeclaration],
        shared_variables: &BTreeMap<String, String>,
        (region, account): (&str, &str),
        clock: &Clock,
    ) -> Result<Self, FunctionsError> {
        let starts = declarations.iter().map(|declaration| async move {
            let mut variables: HashMap<_, _> = shared_variables.clone().into_iter().collect();
            variables.extend(declaration.environment.clone());
            // By its access key the services know the function, and so its role.
            variables.insert("AWS_ACCESS_KEY_ID".to_owned(), declaration.name.clone());
            let environment = Environment::from_map(variables).with_clock(clock.clone());
            let name = declaration.name.clone();
            match start(&name, &environment).await {
                None => Err(FunctionsError::NotLinked(name)),
                Some(Err(source)) => Err(FunctionsError::Start { name, source }),
                Some(Ok(function)) => Ok((name, Instance::new(function, Some(environment)))),
            }
        });
        let functions = futures_util::future::try_join_all(starts).await?.into_iter().collect();
        Ok(Self::at(Place::Process(functions), declarations, (region, account)))
    }

    /// One function of that name, for tests of what calls functions.
    #[cfg(test)]
    pub(crate) fn single(name: &str, function: Function) -> Self {
        let declaration =
            FunctionDeclaration { name: name.to_owned(), environment: BTreeMap::new(), timeout_seconds: 10 };
        let functions = HashMap::from([(name.to_owned(), Instance::new(function, None))]);
        Self::at(Place::Process(functions), &[declaration], ("ap-east-2", "123456789012"))
    }

    /// Calls the functions through the Lambda emulator at `url`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn through_emulator(
        declarations: &[FunctionDeclaration],
        url: &str,
        place: (&str, &str),
    ) -> Result<Self, FunctionsError> {
        // The emulator builds a function at its first call, which may take minutes.
        let client = client::plain(Duration::from_secs(600))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self::at(Place::Emulator { client, url }, declarations, place))
    }

    /// Waits until the Lambda emulator takes connections; nothing to wait for in this process.
    pub(crate) async fn wait_for_emulator(&self, variables: &std::path::Path) {
        let Place::Emulator { client, url } = &self.inner.place else { return };
        let mut told = false;
        // Any answer will do: the emulator has no path that says it is well.
        while client.get(url).send().await.is_err() {
            if !told {
                tracing::info!(url, variables = %variables.display(), "waiting for the Lambda emulator");
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn at(place: Place, declarations: &[FunctionDeclaration], (region, account): (&str, &str)) -> Self {
        let timeouts = declarations
            .iter()
            .map(|function| (function.name.clone(), Duration::from_secs(function.timeout_seconds)))
            .collect();
        Self {
            inner: Arc::new(Inner {
                timeouts,
                region: region.to_owned(),
                account: account.to_owned(),
                place,
            }),
        }
    }

    /// Whether they are in this process.
    pub(crate) fn in_this_process(&self) -> bool {
        matches!(self.inner.place, Place::Process(_))
    }

    /// Whether there is a function of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.inner.timeouts.contains_key(name)
    }

    /// Ends a function's invocations in this process where they are. It starts anew at its next one, as on Lambda.
    pub fn crash(&self, name: &str) {
        if let Place::Process(functions) = &self.inner.place
            && let Some(function) = functions.get(name)
        {
            function.crashes.send_modify(|crashes| *crashes += 1);
        }
    }

    /// Sends a function one event and waits for its answer. The function runs to its end even when nobody waits
    /// any longer.
    ///
    /// # Errors
    /// When the function is unknown, fails, or takes longer than it may.
    pub async fn invoke(&self, name: &str, event: Value) -> Result<Value, InvocationError> {
        joined(self.begin(name, event)).await
    }

    /// As [`Functions::invoke`], but the function ends where it is when the caller stops waiting: a crash.
    pub(crate) async fn invoke_attached(&self, name: &str, event: Value) -> Result<Value, InvocationError> {
        struct Attached(JoinHandle<Result<Value, InvocationError>>);
        impl Drop for Attached {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        let mut attached = Attached(self.begin(name, event));
        joined(&mut attached.0).await
    }

    fn begin(&self, name: &str, event: Value) -> JoinHandle<Result<Value, InvocationError>> {
        let inner = Arc::clone(&self.inner);
        let name = name.to_owned();
        tokio::spawn(async move { inner.invoke(&name, event).await })
    }
}

async fn joined(
    handle: impl Future<Output = Result<Result<Value, InvocationError>, tokio::task::JoinError>>,
) -> Result<Value, InvocationError> {
    handle.await.unwrap_or_else(|_| Err(InvocationError::Failed("it ended early".to_owned())))
}

impl Inner {
    async fn invoke(&self, name: &str, event: Value) -> Result<Value, InvocationError> {
        let timeout = *self.timeouts.get(name).ok_or(InvocationError::Unknown)?;
        match &self.place {
            Place::Process(functions) => {
                let function = functions.get(name).ok_or(InvocationError::Unknown)?;
                let event = LambdaEvent::new(event, self.context(name, timeout));
                function.invoke(name, event, timeout).await.and_then(within_limits)
            }
            Place::Emulator { client, url } => {
                let url = format!("{url}/2015-03-31/functions/{name}/invocations");
                let unreachable = |error: reqwest::Error| InvocationError::Unreachable(error.to_string());
                let response = client.post(url).json(&event).send().await.map_err(unreachable)?;
                let status = response.status();
                let failed = response.headers().contains_key("x-amz-function-error");
                let body = response.bytes().await.map_err(unreachable)?;
                if failed || !status.is_success() {
                    return Err(InvocationError::Failed(status.to_string()));
                }
                serde_json::from_slice(&body)
                    .map_err(|_| InvocationError::Failed("the answer is not JSON".to_owned()))
                    .and_then(within_limits)
            }
        }
    }

    fn context(&self, name: &str, timeout: Duration) -> Context {
        let mut context = Context::default();
        context.request_id = Uuid::new_v4().to_string();
        context.invoked_function_arn =
            format!("arn:aws:lambda:{}:{}:function:{name}", self.region, self.account);
        let deadline = Clock::system()
            .now()
            .as_millisecond()
            .saturating_add_unsigned(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        context.deadline = u64::try_from(deadline).unwrap_or_default();
        context
    }
}

/// The answer, unless it is larger than Lambda takes one.
fn within_limits(answer: Value) -> Result<Value, InvocationError> {
    struct Counted(usize);
    impl std::io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    match serde_json::to_writer(&mut counted, &answer) {
        Ok(()) if counted.0 <= LARGEST_ANSWER => Ok(answer),
        _ => Err(InvocationError::Failed("the answer is larger than Lambda takes".to_owned())),
    }
}

/// Starts the function of that name; nothing when this program has no such crate.
async fn start(name: &str, environment: &Environment) -> Option<Result<Function, StartError>> {
    Some(match name {
        "account" => account::start(environment).await,
        "activation" => activation::start(environment).await,
        "authorizations" => authorizations::start(environment).await,
        "bulk-reset" => bulk_reset::start(environment).await,
        "certificate-login" => certificate_login::start(environment).await,
        "email-dispatch" => email_dispatch::start(environment).await,
        "hr-reset" => hr_reset::start(environment).await,
        "audit" => audit::start(environment).await,
        "audit-chain" => audit_chain::start(environment).await,
        "mail-events" => mail_events::start(environment).await,
        "oidc" => oidc::start(environment).await,
        "password-login" => password_login::start(environment).await,
        "portal" => portal::start(environment).await,
        "revocation-sync" => revocation_sync::start(environment).await,
        "roster-import" => roster_import::start(environment).await,
        "session" => session::start(environment).await,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_lambda_would_not_take_is_a_failure() {
        let function = Function::new(|event: LambdaEvent<Value>| async move {
            let length = event.payload["length"].as_u64().unwrap();
            Ok(json!("x".repeat(usize::try_from(length).unwrap())))
        });
        let functions = Functions::single("portal", function);
        // With its two quotation marks.
        for (length, taken) in [(LARGEST_ANSWER - 2, true), (LARGEST_ANSWER - 1, false)] {
            let answer = functions.invoke("portal", json!({"length": length})).await;
            assert_eq!(answer.is_ok(), taken, "{length}");
        }
    }
}

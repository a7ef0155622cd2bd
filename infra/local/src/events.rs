//! EventBridge, as far as the template uses it: schedules that start functions, and rules that hand them events of AWS, which
//! here are SES's.
//!
//! The schedule of `revocation-sync` is [`crate::revocation`]'s, which runs it sooner when a list has changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::clock::Clock;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::deployment::{RuleDeclaration, ScheduleDeclaration};
use crate::functions::{Functions, InvocationError};
use crate::sqs::Sqs;
use crate::stack::{ACCOUNT, REGION};
use crate::traffic::{Delivery, Service, Traffic};

/// How often the schedules are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// Lambda's retries of an asynchronous invocation.
const RETRIES: u32 = 2;
/// The pause before a retry; Lambda's own is a minute and longer.
const PAUSE: Duration = Duration::from_millis(500);
/// Events of AWS that are delivered side by side, as many as a new account has invocations. The others wait, as they do in
/// Lambda's own queue: a thousand at once would only make each other late.
const SIDE_BY_SIDE: usize = 10;

/// The bus and its schedules. Clones are the same.
#[derive(Debug, Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    functions: Functions,
    schedules: Vec<ScheduleDeclaration>,
    rules: Vec<RuleDeclaration>,
    dead_letters: Sqs,
    traffic: Traffic,
    clock: Clock,
    deliveries: Mutex<JoinSet<()>>,
    slots: Semaphore,
    /// Events of AWS that are not dealt with.
    open: watch::Sender<usize>,
    watch: Mutex<Option<JoinHandle<()>>>,
}

impl Events {
    /// The schedules and rules of these functions. What a function cannot take in the end goes to `dead_letters`.
    #[must_use]
    pub fn new(
        functions: Functions,
        (schedules, rules): (Vec<ScheduleDeclaration>, Vec<RuleDeclaration>),
        dead_letters: Sqs,
        traffic: Traffic,
        clock: Clock,
    ) -> Self {
        let (deliveries, watch) = (Mutex::default(), Mutex::default());
        Self {
            inner: Arc::new(Inner {
                functions,
                schedules,
                rules,
                dead_letters,
                traffic,
                clock,
                deliveries,
                slots: Semaphore::new(SIDE_BY_SIDE),
                open: watch::Sender::new(0),
                watch,
            }),
        }
    }

    /// The event that starts a scheduled function.
    #[must_use]
    pub fn tick(schedule: &ScheduleDeclaration, clock: &Clock) -> Value {
        json!({
            "version": "0",
            "id": Uuid::new_v4().to_string(),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": clock.now().to_string(),
            "region": REGION,
            "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{}", schedule.rule)],
            "detail": {},
        })
    }

    /// Starts a function that has a schedule, now, once for each, and gives its answers.
    ///
    /// # Errors
    /// When the function fails.
    pub async fn run(&self, function: &str) -> Result<Vec<Value>, InvocationError> {
        let mut answers = Vec::new();
        for schedule in self.inner.schedules.iter().filter(|schedule| schedule.function == function) {
            let tick = Self::tick(schedule, &self.inner.clock);
            answers.push(self.inner.functions.invoke(function, tick).await?);
        }
        Ok(answers)
    }

    /// Puts an event of AWS on the bus: every function whose rule it matches gets it, at once and by itself.
    pub fn put(&self, event: &Value) {
        let matching = self.inner.rules.iter().filter(|rule| rule.pattern.matches(event));
        for rule in matching {
            let (inner, function, event) = (Arc::clone(&self.inner), rule.function.clone(), event.clone());
            let mut deliveries = self.inner.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
            while deliveries.try_join_next().is_some() {}
            let open = Open::one(&inner);
            deliveries.spawn(async move {
                if let Ok(_slot) = inner.slots.acquire().await {
                    inner.deliver(&function, event).await;
                }
                drop(open);
            });
        }
    }

    /// Waits until every event of AWS that was put on the bus has been dealt with.
    pub(crate) async fn caught_up(&self) {
        let _ = self.inner.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// Starts the functions by their schedules from now on.
    pub fn watch(&self) {
        let events = self.clone();
        let task = tokio::spawn(async move {
            let mut ran = vec![Instant::now(); events.inner.schedules.len()];
            loop {
                tokio::time::sleep(INTERVAL).await;
                for (schedule, ran) in events.inner.schedules.iter().zip(&mut ran) {
                    if ran.elapsed() < schedule.every {
                        continue;
                    }
                    *ran = Instant::now();
                    let (inner, function) = (Arc::clone(&events.inner), schedule.function.clone());
                    let tick = Self::tick(schedule, &events.inner.clock);
                    let mut deliveries =
                        events.inner.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
                    deliveries.spawn(async move { inner.deliver(&function, tick).await });
                }
            }
        });
        let former = self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner).replace(task);
        if let Some(former) = former {
            former.abort();
        }
    }

    /// Starts nothing any more, and ends what is under way.
    pub async fn stop(&self) {
        if let Some(task) = self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        let mut deliveries =
            std::mem::take(&mut *self.inner.deliveries.lock().unwrap_or_else(PoisonError::into_inner));
        deliveries.shutdown().await;
    }
}

/// An event that is not dealt with, until this is dropped.
struct Open(Arc<Inner>);

impl Open {
    fn one(inner: &Arc<Inner>) -> Self {
        inner.open.send_modify(|open| *open += 1);
        Self(Arc::clone(inner))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

impl Inner {
    /// An asynchronous invocation: again when it fails, and in the end a dead letter.
    async fn deliver(&self, function: &str, event: Value) {
        let mut last = String::new();
        for attempt in 0..=RETRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let delivery = self.traffic.deliver(Service::Events, &["Invoke", "PutEvents"], function);
            match self.invoke(function, &event, delivery).await {
                Ok(_) => return,
                Err(error) => last = error.to_string(),
            }
        }
        tracing::error!(function, reason = last, "an event became a dead letter");
        let scheduled = event.get("source").and_then(Value::as_str) == Some("aws.events");
        if !scheduled {
            let condition = json!({
                "requestId": Uuid::new_v4().to_string(),
                "functionArn": function,
                "condition": "RetriesExhausted",
                "approximateInvokeCount": RETRIES + 1,
            });
            let letter = json!({
                "version": "1.0",
                "timestamp": self.clock.now().to_string(),
                "requestContext": condition,
                "requestPayload": event,
            });
            self.dead_letters.put(&letter.to_string());
        }
    }

    async fn invoke(
        &self,
        function: &str,
        event: &Value,
        delivery: Delivery,
    ) -> Result<Value, InvocationError> {
        let invoke = || self.functions.invoke(function, event.clone());
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
            Delivery::Lost => Ok(Value::Null),
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
}

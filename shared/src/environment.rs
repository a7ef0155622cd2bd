//! A function's configuration: its environment variables, read once at start, all of them, with every missing or
//! malformed one named in one message.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::clock::Clock;

/// The variables that a function starts with, and the clock that it asks when no event tells the time.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: Variables,
    clock: Clock,
}

#[derive(Clone, Debug)]
enum Variables {
    /// The process's own, as on Lambda.
    Process,
    /// Given ones, when several functions live in one process.
    Map(HashMap<String, String>),
}

/// Why a function did not start. Nobody but operators sees it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Variables are missing or malformed; each is named.
    #[error("configuration: {}", .0.join("; "))]
    Configuration(Vec<String>),
    /// The truststore or its issuers cannot be used.
    #[error("truststore: {0}")]
    Truststore(String),
    /// An AWS service refused or did not answer what the start needs.
    #[error("{service} at start: {reason}")]
    Service {
        /// The AWS service.
        service: &'static str,
        /// What it said.
        reason: String,
    },
}

impl Environment {
    /// The process's variables and the system's clock.
    pub fn process() -> Self {
        Self { variables: Variables::Process, clock: Clock::system() }
    }

    /// Only the variables in `map`, and the system's clock.
    pub fn from_map(map: HashMap<String, String>) -> Self {
        Self { variables: Variables::Map(map), clock: Clock::system() }
    }

    /// The same variables with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A variable's value. An empty one counts as not set, because a template cannot leave a variable out.
    pub fn get(&self, name: &str) -> Option<String> {
        match &self.variables {
            Variables::Process => std::env::var(name).ok(),
            Variables::Map(map) => map.get(name).cloned(),
        }
        .filter(|value| !value.trim().is_empty())
    }

    /// Whether the variables are the process's own, so that the AWS SDK's own look-up of them is right.
    pub fn is_process(&self) -> bool {
        matches!(self.variables, Variables::Process)
    }

    /// Reads settings, collecting what is wrong with them until [`Settings::finish`].
    pub fn settings(&self) -> Settings<'_> {
        Settings { environment: self, problems: Vec::new() }
    }
}

/// Reads variables and remembers every problem, so that an operator mends them all at once.
pub struct Settings<'a> {
    environment: &'a Environment,
    problems: Vec<String>,
}

impl Settings<'_> {
    /// A variable that must be set.
    pub fn required(&mut self, name: &str) -> String {
        self.environment.get(name).unwrap_or_else(|| {
            self.problems.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A variable that may be left out.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        self.environment.get(name)
    }

    /// A variable with a default, parsed.
    pub fn parsed<T>(&mut self, name: &str, default: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.environment.get(name).map(|value| value.trim().parse::<T>()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(reason)) => {
                self.problems.push(format!("{name}: {reason}"));
                default
            }
        }
    }

    /// Nothing, or every problem found.
    ///
    /// # Errors
    /// [`StartError::Configuration`] with one sentence for each problem.
    pub fn finish(self) -> Result<(), StartError> {
        if self.problems.is_empty() { Ok(()) } else { Err(StartError::Configuration(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named_at_once() {
        let environment = Environment::from_map(HashMap::from([
            ("LOCKOUT_FAILURES".to_owned(), "five".to_owned()),
            ("MAIL_TABLE".to_owned(), " ".to_owned()),
        ]));
        let mut settings = environment.settings();
        settings.required("MAIL_TABLE");
        settings.required("STAGE");
        assert_eq!(settings.parsed("LOCKOUT_FAILURES", 5_u32), 5);
        assert_eq!(settings.parsed("LOCKOUT_SECONDS", 900_u32), 900);
        let message = settings.finish().unwrap_err().to_string();
        for name in ["MAIL_TABLE", "STAGE", "LOCKOUT_FAILURES"] {
            assert!(message.contains(name), "{message}");
        }
    }
}

//! Lockout: too many wrong passwords for one identifier, and nobody may try it for a while.
//!
//! Counted for the identifier that was typed, known or not, so that a lock tells nothing. Cards are not locked by it.

use jiff::{SignedDuration, Timestamp};

use crate::environment::Settings;

/// When an identifier locks, and for how long. The default is GCB's: 5 in 15 minutes lock for 15 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// Failures within the window that lock.
    pub failures: u32,
    /// The window, counted from its first failure.
    pub window: SignedDuration,
    /// How long a lock lasts.
    pub duration: SignedDuration,
}

impl Default for LockoutPolicy {
    fn default() -> Self {
        Self { failures: 5, window: SignedDuration::from_mins(15), duration: SignedDuration::from_mins(15) }
    }
}

impl LockoutPolicy {
    /// The policy with the numbers that the environment sets.
    pub fn from_settings(settings: &mut Settings<'_>) -> Self {
        let default = Self::default();
        Self {
            failures: settings.parsed("LOCKOUT_FAILURES", default.failures),
            window: SignedDuration::from_secs(
                settings.parsed("LOCKOUT_WINDOW_SECONDS", default.window.as_secs()),
            ),
            duration: SignedDuration::from_secs(
                settings.parsed("LOCKOUT_SECONDS", default.duration.as_secs()),
            ),
        }
    }
}

/// The failures of one identifier. The default is a clean sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Failures in the window.
    pub failures: u32,
    /// The first of them.
    pub window_start: Option<Timestamp>,
    /// Until when the identifier is locked.
    pub locked_until: Option<Timestamp>,
}

/// The identifier is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("locked for another {} s", .retry_after.as_secs())]
pub struct Locked {
    /// How long still, at least a second.
    pub retry_after: SignedDuration,
}

impl Attempts {
    /// Whether a password may be tried now.
    ///
    /// # Errors
    /// [`Locked`], also for the right password.
    pub fn check(&self, now: Timestamp) -> Result<(), Locked> {
        match self.locked_until {
            Some(until) if now < until => {
                let left = until.duration_since(now);
                Err(Locked {
                    retry_after: SignedDuration::from_secs(left.as_secs().max(0).saturating_add(1)),
                })
            }
            _ => Ok(()),
        }
    }

    /// Until when one more failure locks the identifier; nothing when it does not.
    #[must_use]
    pub fn locked_by_failure(&self, now: Timestamp, policy: &LockoutPolicy) -> Option<Timestamp> {
        self.after_failure(now, policy).locked_until.filter(|until| *until > now)
    }

    /// The sheet after one more failure. Failures older than the window, and those that a past lock has paid for,
    /// no longer count.
    #[must_use]
    pub fn after_failure(self, now: Timestamp, policy: &LockoutPolicy) -> Self {
        let paid = self.locked_until.is_some_and(|until| until <= now);
        let (failures, window_start) = match self.window_start {
            Some(start) if !paid && now.duration_since(start) < policy.window => {
                (self.failures.saturating_add(1), start)
            }
            _ => (1, now),
        };
        let locked_until =
            if failures >= policy.failures { now.checked_add(policy.duration).ok() } else { None };
        Self { failures, window_start: Some(window_start), locked_until }
    }

    /// When the sheet can be forgotten.
    pub fn forget_at(&self, policy: &LockoutPolicy) -> Option<Timestamp> {
        let window_end = self.window_start.and_then(|start| start.checked_add(policy.window).ok());
        self.locked_until.max(window_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        "2026-08-03T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn five_failures_in_a_quarter_of_an_hour_lock_for_a_quarter_of_an_hour() {
        let rows: [(&str, &[i64], i64, bool); 7] = [
            ("none", &[], 0, false),
            ("four", &[0, 1, 2, 3], 4, false),
            ("five", &[0, 1, 2, 3, 4], 4, true),
            ("five, a quarter of an hour later", &[0, 1, 2, 3, 4], 19, false),
            ("five, a minute before that", &[0, 1, 2, 3, 4], 18, true),
            ("five over more than the window", &[0, 4, 8, 12, 16], 16, false),
            ("one after a lock is one", &[0, 1, 2, 3, 4, 20], 20, false),
        ];
        let policy = LockoutPolicy::default();
        for (what, failures, now, locked) in rows {
            let sheet = failures
                .iter()
                .fold(Attempts::default(), |sheet, minute| sheet.after_failure(at(*minute), &policy));
            assert_eq!(sheet.check(at(now)).is_err(), locked, "{what}: {sheet:?}");
        }
    }

    #[test]
    fn the_failure_that_locks_is_told_apart() {
        let policy = LockoutPolicy::default();
        let mut sheet = Attempts::default();
        for minute in 0..4 {
            assert_eq!(sheet.locked_by_failure(at(minute), &policy), None, "failure {}", minute + 1);
            sheet = sheet.after_failure(at(minute), &policy);
        }
        assert_eq!(sheet.locked_by_failure(at(4), &policy), Some(at(19)));
    }

    #[test]
    fn retry_after_is_never_nothing() {
        let sheet = Attempts { failures: 5, window_start: Some(at(0)), locked_until: Some(at(15)) };
        let almost = at(15) - SignedDuration::from_millis(1);
        assert_eq!(sheet.check(almost), Err(Locked { retry_after: SignedDuration::from_secs(1) }));
    }
}

//! Rates: how often something may be done, counted in fixed windows.

use jiff::{SignedDuration, Timestamp};

/// So many in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub limit: u64,
    /// The window's length, whole seconds.
    pub window: SignedDuration,
}

/// The limit of this window is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("too many; again in {} s", .retry_after.as_secs())]
pub struct TooMany {
    /// Until the next window, at least a second.
    pub retry_after: SignedDuration,
}

/// What is left of a rate in this window, as answers tell it: the fields `RateLimit-Policy` and `RateLimit` of
/// draft-ietf-httpapi-ratelimit-headers-10. It is what the request saw: others may be counting beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What the rate is called.
    pub policy: &'static str,
    /// The rate.
    pub limit: RateLimit,
    /// How many more may be done.
    pub remaining: u64,
    /// Until the next window, at least a second.
    pub resets_in: SignedDuration,
}

impl Left {
    /// The policy, as a member of `RateLimit-Policy`.
    pub fn policy_member(&self) -> String {
        format!("\"{}\";q={};w={}", self.policy, self.limit.limit, self.limit.window.as_secs())
    }

    /// What is left of it, as a member of `RateLimit`.
    pub fn member(&self) -> String {
        format!("\"{}\";r={};t={}", self.policy, self.remaining, self.resets_in.as_secs())
    }
}

impl RateLimit {
    /// What is left in the window that `now` is in, after `count`.
    pub fn left(&self, policy: &'static str, count: u64, now: Timestamp) -> Left {
        let remaining = self.limit.saturating_sub(count);
        Left { policy, limit: *self, remaining, resets_in: self.until_end(now) }
    }

    fn until_end(&self, now: Timestamp) -> SignedDuration {
        SignedDuration::from_secs(self.window_end(now).duration_since(now).as_secs().max(1))
    }

    /// So many a minute.
    pub fn per_minute(limit: u64) -> Self {
        Self { limit, window: SignedDuration::from_mins(1) }
    }

    /// So many an hour.
    pub fn per_hour(limit: u64) -> Self {
        Self { limit, window: SignedDuration::from_hours(1) }
    }

    /// So many a day.
    pub fn per_day(limit: u64) -> Self {
        Self { limit, window: SignedDuration::from_hours(24) }
    }

    /// The number of the window that `now` is in: part of the counter's key.
    pub fn window_at(&self, now: Timestamp) -> i64 {
        now.as_second().div_euclid(self.window.as_secs().max(1))
    }

    /// When the window that `now` is in has ended.
    pub fn window_end(&self, now: Timestamp) -> Timestamp {
        let end = self.window_at(now).saturating_add(1).saturating_mul(self.window.as_secs().max(1));
        Timestamp::from_second(end).unwrap_or(Timestamp::MAX)
    }

    /// Whether one more may be done after `count` in this window.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn check(&self, count: u64, now: Timestamp) -> Result<(), TooMany> {
        if count < self.limit {
            return Ok(());
        }
        Err(TooMany { retry_after: self.until_end(now) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_takes_its_limit_and_the_next_begins_anew() {
        let limit = RateLimit::per_minute(2);
        let now: Timestamp = "2026-08-03T00:00:45Z".parse().unwrap();
        assert_eq!(limit.check(0, now), Ok(()));
        assert_eq!(limit.check(1, now), Ok(()));
        assert_eq!(limit.check(2, now), Err(TooMany { retry_after: SignedDuration::from_secs(15) }));
        assert_eq!(limit.window_at(now) + 1, limit.window_at(now + SignedDuration::from_secs(15)));
    }

    #[test]
    fn what_is_left_is_told_as_the_draft_has_it() {
        let now: Timestamp = "2026-08-03T00:00:45Z".parse().unwrap();
        let rows = [
            (0, "\"searches\";r=300;t=3555"),
            (1, "\"searches\";r=299;t=3555"),
            (300, "\"searches\";r=0;t=3555"),
            (301, "\"searches\";r=0;t=3555"),
        ];
        for (count, expected) in rows {
            let left = RateLimit::per_hour(300).left("searches", count, now);
            assert_eq!(left.member(), expected);
            assert_eq!(left.policy_member(), "\"searches\";q=300;w=3600");
        }
    }
}

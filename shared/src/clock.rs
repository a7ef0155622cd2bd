//! Where "now" comes from, for the code that gets no gateway event to read it from.
//!
//! A request's "now" is the gateway's `requestContext.timeEpoch` (see [`crate::http`]); a function that is started
//! by a stream or a schedule asks its [`Clock`]. Rules never ask: they take `now: Timestamp`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// A source of the current time: the system's, shifted by what its [`ClockControl`] says.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

/// Moves the [`Clock`] that it was made with.
#[derive(Clone, Debug)]
pub struct ClockControl {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that starts at the system's time and that its control can move.
    pub fn adjustable() -> (Self, ClockControl) {
        let clock = Self::default();
        let control = ClockControl { offset_ms: Arc::clone(&clock.offset_ms) };
        (clock, control)
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's time")]
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.offset_ms.load(Ordering::Relaxed));
        Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }
}

impl ClockControl {
    /// Moves the clock by `duration`, on top of earlier moves; negative is backwards.
    pub fn advance(&self, duration: SignedDuration) {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_moves_its_clock_and_no_other() {
        let (clock, control) = Clock::adjustable();
        let before = clock.now();
        control.advance(SignedDuration::from_hours(72));
        assert!(clock.now() >= before + SignedDuration::from_hours(72));
        assert!(Clock::system().now() < before + SignedDuration::from_hours(1));
    }
}

//! How fast mails go out: one rate for all dispatchers, which is SES's.
//!
//! The generic cell rate algorithm: one time, when the next mail may go out, moves on by an interval with each mail. It is kept
//! where all dispatchers see it (the outbox), and a dispatcher reserves a row of slots at once.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How far ahead a slot may be reserved. Beyond it a dispatcher would wait for most of its time.
pub const AHEAD: SignedDuration = SignedDuration::from_secs(20);

/// What mails that are late for their slots may make up for at once.
const CATCH_UP: SignedDuration = SignedDuration::from_millis(100);

/// How long a mail that is late may wait for its turn. It is leased by then, and the lease has to outlast the call to SES.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(5);

/// Mails a second, of which there may be less than one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Pace(f64);

impl Pace {
    /// What SES allows before it has said how much: the rate of its sandbox.
    pub const UNKNOWN: Self = Self(1.0);

    /// A rate; `None` for one at which nothing would ever go out.
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        (rate.is_finite() && rate >= 0.001).then_some(Self(rate))
    }

    /// The time between two mails, rounded up to whole microseconds: never faster than the rate.
    #[must_use]
    pub fn interval(self) -> SignedDuration {
        SignedDuration::from_micros((1_000_000.0 / self.0).ceil() as i64)
    }

    /// The time that so many mails take.
    #[must_use]
    pub fn time_for(self, mails: u32) -> SignedDuration {
        self.interval().saturating_mul(i32::try_from(mails).unwrap_or(i32::MAX))
    }
}

/// What asking for slots found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// They are reserved.
    Reserved(Row),
    /// The next free one is too far ahead: nothing is reserved.
    Later(Timestamp),
}

/// A row of reserved slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// When the first mail may go out.
    pub first: Timestamp,
    /// The time from one to the next.
    pub interval: SignedDuration,
}

impl Row {
    /// When the mail of this place in the row may go out, counted from 0.
    #[must_use]
    pub fn at(&self, place: u32) -> Timestamp {
        let after = self.interval.saturating_mul(i32::try_from(place).unwrap_or(i32::MAX));
        self.first.checked_add(after).unwrap_or(Timestamp::MAX)
    }
}

/// The turns of a row's mails. A process that stood still is late for many slots, and SES would turn away what it then sends
/// together: turns keep their distance even then.
#[derive(Debug)]
pub struct Turns {
    row: Row,
    next: Mutex<Timestamp>,
}

impl Turns {
    /// The turns of a row.
    #[must_use]
    pub fn of(row: Row) -> Self {
        Self { row, next: Mutex::new(row.first) }
    }

    /// When the mail of this place in the row may go out, if no other is late.
    #[must_use]
    pub fn slot(&self, place: u32) -> Timestamp {
        self.row.at(place)
    }

    /// Takes a turn, at `now`, for a mail whose slot has come: when it may go out. `None`: not soon enough, and nothing is taken.
    #[must_use]
    pub fn take(&self, now: Timestamp) -> Option<Timestamp> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now.checked_sub(CATCH_UP).unwrap_or(now));
        if turn.duration_since(now) > LONGEST_WAIT {
            return None;
        }
        *next = turn.checked_add(self.row.interval).unwrap_or(turn);
        Some(turn)
    }
}

/// The row of slots that `mails` get at `now`, when the next free slot is `next`; and what the next free one is afterwards.
#[must_use]
pub fn reserve(next: Option<Timestamp>, mails: u32, pace: Pace, now: Timestamp) -> (Slots, Timestamp) {
    let first = next.map_or(now, |next| next.max(now));
    if first.duration_since(now) > AHEAD {
        return (Slots::Later(first), first);
    }
    let after = first.checked_add(pace.time_for(mails)).unwrap_or(Timestamp::MAX);
    (Slots::Reserved(Row { first, interval: pace.interval() }), after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn rates() {
        let rows =
            [(14.0, Some(71_429)), (1.0, Some(1_000_000)), (0.5, Some(2_000_000)), (10_000.0, Some(100))];
        for (rate, micros) in rows {
            let interval = Pace::per_second(rate).map(Pace::interval);
            assert_eq!(interval, micros.map(SignedDuration::from_micros), "{rate}");
        }
        for nothing in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9] {
            assert_eq!(Pace::per_second(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn rows_of_slots() {
        let pace = Pace::per_second(10.0).unwrap();
        let row = |first| Slots::Reserved(Row { first, interval: SignedDuration::from_millis(100) });
        let rows = [
            ("the first ever", None, 3, (row(at(0)), at(300))),
            ("after a pause", Some(at(-5_000)), 3, (row(at(0)), at(300))),
            ("behind others", Some(at(450)), 2, (row(at(450)), at(650))),
            ("just near enough", Some(at(20_000)), 1, (row(at(20_000)), at(20_100))),
            ("too far ahead", Some(at(20_001)), 1, (Slots::Later(at(20_001)), at(20_001))),
        ];
        for (what, next, mails, expected) in rows {
            assert_eq!(reserve(next, mails, pace, at(0)), expected, "{what}");
        }
    }

    #[test]
    fn mails_that_are_late_keep_their_distance() {
        // Ten slots, one every 50 ms from 0 on; each mail asks for its turn at the time on the left.
        let row = Row { first: at(0), interval: SignedDuration::from_millis(50) };
        let cases: [(&str, [(i64, i64); 6]); 3] = [
            ("on time", [(0, 0), (50, 50), (100, 100), (150, 150), (200, 200), (250, 250)]),
            (
                "a second late: two more at once, then one by one",
                [(1_000, 900), (1_000, 950), (1_000, 1_000), (1_000, 1_050), (1_000, 1_100), (1_160, 1_150)],
            ),
            (
                "one a little late holds up none",
                [(0, 0), (70, 50), (100, 100), (190, 150), (200, 200), (250, 250)],
            ),
        ];
        for (what, mails) in cases {
            let turns = Turns::of(row);
            let taken = mails.map(|(now, _)| turns.take(at(now)));
            assert_eq!(taken, mails.map(|(_, turn)| Some(at(turn))), "{what}");
        }
    }

    #[test]
    fn no_mail_waits_longer_for_its_turn_than_its_lease_allows() {
        let turns = Turns::of(Row { first: at(0), interval: SignedDuration::from_secs(2) });
        let taken = [10_000, 10_000, 10_000, 10_000, 10_001, 11_000].map(|now| turns.take(at(now)));
        let expected = [Some(9_900), Some(11_900), Some(13_900), None, None, Some(15_900)];
        assert_eq!(taken, expected.map(|turn| turn.map(at)));
    }

    proptest! {
        #[test]
        fn no_two_mails_are_closer_than_the_rate_allows(
            rate in 0.5_f64..5_000.0,
            asks in proptest::collection::vec((0_i64..2_000, 1_u32..20), 1..40),
        ) {
            let pace = Pace::per_second(rate).unwrap();
            let (mut next, mut now, mut times) = (None, 0, Vec::new());
            for (later, mails) in asks {
                now += later;
                let (slots, after) = reserve(next, mails, pace, at(now));
                next = Some(after);
                if let Slots::Reserved(row) = slots {
                    times.extend((0..mails).map(|place| row.at(place)));
                }
            }
            for pair in times.windows(2) {
                prop_assert!(pair[1].duration_since(pair[0]) >= pace.interval());
            }
        }
    }
}

//! How fast mails go out: one rate for all dispatchers, which is SES's.
//!
//! The generic cell rate algorithm: one time, when the next mail may go out, moves on by an interval with each mail. It is kept
//! where all dispatchers see it (the outbox), and a dispatcher reserves a row of slots at once. A slot is good for a moment
//! only: dispatchers that stood still together would otherwise send together what they are late with.

use jiff::{SignedDuration, Timestamp};

/// How far ahead a slot may be reserved. Beyond it a dispatcher would wait for most of its time.
pub const AHEAD: SignedDuration = SignedDuration::from_secs(20);

/// How late for its slot a mail may go out. SES takes short bursts: with this grace, none is longer than half a second's mails.
const GRACE: SignedDuration = SignedDuration::from_millis(500);

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
    /// When the next mail may go out.
    pub next: Timestamp,
    /// The time from one to the next.
    pub interval: SignedDuration,
    /// How many slots are left.
    pub left: u32,
}

impl Row {
    /// Takes the next slot that has not passed at `now`; `None` when none is left.
    pub fn take(&mut self, now: Timestamp) -> Option<Timestamp> {
        while self.left > 0 {
            let slot = self.next;
            self.next = slot.checked_add(self.interval).unwrap_or(Timestamp::MAX);
            self.left -= 1;
            if !has_passed(slot, now) {
                return Some(slot);
            }
        }
        None
    }
}

/// Whether it is too late, at `now`, for a mail to go out in this slot.
#[must_use]
pub fn has_passed(slot: Timestamp, now: Timestamp) -> bool {
    now.duration_since(slot) > GRACE
}

/// The row of slots that `mails` get at `now`, when the next free slot is `next`; and what the next free one is afterwards.
#[must_use]
pub fn reserve(next: Option<Timestamp>, mails: u32, pace: Pace, now: Timestamp) -> (Slots, Timestamp) {
    let first = next.map_or(now, |next| next.max(now));
    if first.duration_since(now) > AHEAD {
        return (Slots::Later(first), first);
    }
    let after = first.checked_add(pace.time_for(mails)).unwrap_or(Timestamp::MAX);
    (Slots::Reserved(Row { next: first, interval: pace.interval(), left: mails }), after)
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
        let interval = SignedDuration::from_millis(100);
        let row = |next, left| Slots::Reserved(Row { next, interval, left });
        let rows = [
            ("the first ever", None, 3, (row(at(0), 3), at(300))),
            ("after a pause", Some(at(-5_000)), 3, (row(at(0), 3), at(300))),
            ("behind others", Some(at(450)), 2, (row(at(450), 2), at(650))),
            ("just near enough", Some(at(20_000)), 1, (row(at(20_000), 1), at(20_100))),
            ("too far ahead", Some(at(20_001)), 1, (Slots::Later(at(20_001)), at(20_001))),
        ];
        for (what, next, mails, expected) in rows {
            assert_eq!(reserve(next, mails, pace, at(0)), expected, "{what}");
        }
    }

    #[test]
    fn slots_that_have_passed_are_not_handed_out() {
        // Five slots, one every 50 ms from 0 on; a mail asks at each time on the left.
        let row = Row { next: at(0), interval: SignedDuration::from_millis(50), left: 5 };
        let cases: [(&str, &[_]); 5] = [
            (
                "on time",
                &[(0, Some(0)), (50, Some(50)), (100, Some(100)), (150, Some(150)), (200, Some(200))],
            ),
            ("ahead of time", &[(-500, Some(0)), (-500, Some(50)), (-500, Some(100))]),
            ("a little late", &[(500, Some(0)), (550, Some(50))]),
            ("late", &[(501, Some(50)), (690, Some(200)), (690, None)]),
            ("after all of them", &[(701, None), (0, None)]),
        ];
        for (what, asks) in cases {
            let mut row = row;
            for (now, slot) in asks {
                assert_eq!(row.take(at(*now)), slot.map(at), "{what}: {now}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_two_slots_are_closer_than_the_rate_allows(
            rate in 0.5_f64..5_000.0,
            asks in proptest::collection::vec((0_i64..2_000, 1_u32..20), 1..40),
        ) {
            let pace = Pace::per_second(rate).unwrap();
            let (mut next, mut now, mut times) = (None, 0, Vec::new());
            for (later, mails) in asks {
                now += later;
                let (slots, after) = reserve(next, mails, pace, at(now));
                next = Some(after);
                if let Slots::Reserved(mut row) = slots {
                    times.extend((0..mails).map(|_| row.take(at(now)).unwrap()));
                }
            }
            for pair in times.windows(2) {
                prop_assert!(pair[1].duration_since(pair[0]) >= pace.interval());
            }
        }

        /// Each dispatcher sends one mail after the other, and now and then stands still before one.
        #[test]
        fn no_burst_is_longer_than_the_grace_whoever_stood_still(
            rate in 5.0_f64..200.0,
            mails in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![9 => Just(0_i64), 1 => 50_i64..3_000], 100),
                1..5,
            ),
        ) {
            let pace = Pace::per_second(rate).unwrap();
            let nothing = Row { next: at(0), interval: pace.interval(), left: 0 };
            let mut dispatchers: Vec<(Timestamp, Row, Vec<i64>)> =
                mails.into_iter().map(|standstills| (at(0), nothing, standstills)).collect();
            let (mut next, mut sent) = (None, Vec::new());
            while let Some((now, row, standstills)) = dispatchers
                .iter_mut()
                .filter(|(_, _, standstills)| !standstills.is_empty())
                .min_by_key(|(now, _, _)| *now)
            {
                let Some(slot) = row.take(*now) else {
                    match reserve(next, 30, pace, *now) {
                        (Slots::Reserved(reserved), after) => (*row, next) = (reserved, Some(after)),
                        (Slots::Later(_), _) => *now += SignedDuration::from_secs(1),
                    }
                    continue;
                };
                let standstill = standstills.pop().unwrap_or_default();
                *now = (*now).max(slot) + SignedDuration::from_millis(standstill);
                if !has_passed(slot, *now) {
                    sent.push(*now);
                }
            }
            sent.sort_unstable();
            for (place, first) in sent.iter().enumerate() {
                for (mails, last) in (1_u32..).zip(&sent[place..]) {
                    let time = (last.duration_since(*first) + GRACE).as_secs_f64();
                    prop_assert!(f64::from(mails) <= rate * time + 1.0);
                }
            }
        }
    }
}

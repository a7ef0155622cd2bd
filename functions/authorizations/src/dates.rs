//! The dates of an authorization, as people give them: days in Taiwan, the first and the last one.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// A day.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How many days ahead an authorization may begin.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 366);

/// How many days an authorization with a last day may last.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 5);

/// When an authorization counts: from a moment on, and up to another one, itself not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// Why days are refused: the field, and why, for our log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotATerm {
    /// The first day is none, gone, or too far ahead.
    #[error("from: {0}")]
    From(&'static str),
    /// The last day is none, gone, before the first, or too far after it.
    #[error("until: {0}")]
    Until(&'static str),
}

impl NotATerm {
    /// The request's field.
    pub fn field(self) -> &'static str {
        match self {
            Self::From(_) => "from",
            Self::Until(_) => "until",
        }
    }
}

/// Taiwan's time: eight hours before UTC, without daylight saving since 1980.
const TAIWAN: Offset = Offset::constant(8);

fn begin_of(day: Date) -> Option<Timestamp> {
    TAIWAN.to_timestamp(day.at(0, 0, 0, 0)).ok()
}

/// The day in Taiwan that a moment is in.
pub fn day_of(moment: Timestamp) -> Date {
    TAIWAN.to_datetime(moment).date()
}

impl Term {
    /// Reads a first and a last day, such as `2026-08-03`; without a first one it begins now, without a last one it has
    /// no end.
    ///
    /// # Errors
    /// [`NotATerm`].
    pub fn parse(from: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Self, NotATerm> {
        let day = |text: &str| text.parse::<Date>().ok().filter(|_| text.len() == 10);
        let today = begin_of(day_of(now)).unwrap_or(now);
        let from = match from {
            None => now,
            Some(text) => {
                let begin = day(text).and_then(begin_of).ok_or(NotATerm::From("not a day"))?;
                if begin < today {
                    return Err(NotATerm::From("gone"));
                }
                if begin.duration_since(today) > AHEAD {
                    return Err(NotATerm::From("too far ahead"));
                }
                // Today's has begun already: it counts at once.
                begin.max(now)
            }
        };
        let until = match until {
            None => None,
            Some(text) => {
                let last = day(text).and_then(begin_of).ok_or(NotATerm::Until("not a day"))?;
                let until = last.checked_add(DAY).map_err(|_| NotATerm::Until("not a day"))?;
                if until <= from {
                    return Err(NotATerm::Until("not after the first day"));
                }
                if until.duration_since(from) > LONGEST {
                    return Err(NotATerm::Until("too long"));
                }
                Some(until)
            }
        };
        Ok(Self { from: whole_second(from), until })
    }
}

/// Terms are stored in seconds.
fn whole_second(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

/// The last day of a term that ends then.
pub fn last_day(until: Timestamp) -> Date {
    day_of(until.checked_sub(SignedDuration::from_secs(1)).unwrap_or(until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_in_taiwan() {
        // Half past seven in the morning in Taiwan, still the day before in UTC.
        let now: Timestamp = "2026-08-02T23:30:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let rows = [
            ("without days: from now, without an end", None, None, Ok((now, None))),
            ("today counts at once", Some("2026-08-03"), None, Ok((now, None))),
            (
                "from a day to another, both included",
                Some("2026-08-10"),
                Some("2026-08-11"),
                Ok((at("2026-08-09T16:00:00Z"), Some(at("2026-08-11T16:00:00Z")))),
            ),
            ("today alone", None, Some("2026-08-03"), Ok((now, Some(at("2026-08-03T16:00:00Z"))))),
            ("yesterday", Some("2026-08-02"), None, Err(NotATerm::From("gone"))),
            ("no day", Some("2026-02-30"), None, Err(NotATerm::From("not a day"))),
            ("with a time", Some("2026-08-03T00:00:00Z"), None, Err(NotATerm::From("not a day"))),
            ("in ten years", Some("2036-08-03"), None, Err(NotATerm::From("too far ahead"))),
            ("ended yesterday", None, Some("2026-08-02"), Err(NotATerm::Until("not after the first day"))),
            (
                "the last before the first",
                Some("2026-08-10"),
                Some("2026-08-09"),
                Err(NotATerm::Until("not after the first day")),
            ),
            ("no last day", None, Some("soon"), Err(NotATerm::Until("not a day"))),
            ("for ten years", None, Some("2036-08-03"), Err(NotATerm::Until("too long"))),
        ];
        for (what, from, until, expected) in rows {
            let term = Term::parse(from, until, now).map(|term| (term.from, term.until));
            assert_eq!(term, expected, "{what}");
        }
    }

    #[test]
    fn the_last_day_is_the_one_that_was_given() {
        let now: Timestamp = "2026-08-02T23:30:00Z".parse().unwrap();
        let term = Term::parse(Some("2026-08-10"), Some("2026-08-11"), now).unwrap();
        assert_eq!(day_of(term.from).to_string(), "2026-08-10");
        assert_eq!(last_day(term.until.unwrap()).to_string(), "2026-08-11");
    }
}

//! The life of an authorization: `requested → active → revoked | ended`, `requested → refused | withdrawn | ended`; and
//! `expired`, which time alone does. The table of all states and steps is `life.csv`, which the tests read; the store
//! repeats each step's guard as the condition of its write.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::authorization::{Authorization, Lapse, Side};

/// For how long a request waits for an answer.
pub const REQUEST_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Where an authorization is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// One agency's HR head asks, the other's has yet to answer.
    Requested {
        /// Whose head asks.
        by: Side,
    },
    /// Given; it counts between its dates.
    Active,
    /// The other agency said no.
    Refused,
    /// Who asked took it back.
    Withdrawn,
    /// Taken away by either agency.
    Revoked,
    /// Ended by what became of its holder, or by the roster that gave it.
    Ended(Ending),
    /// Its time, or the time to answer, is over.
    Expired,
}

/// What ended an authorization by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The holder departed.
    Departed,
    /// The holder moved to another agency.
    Moved,
    /// The holder lost the role that it was given to.
    RoleLost,
    /// The roster, which had given it, does not name the agency any more.
    Roster,
}

impl Ending {
    /// The ending that a lapse is, if it is one for good.
    pub fn of(lapse: Lapse) -> Option<Self> {
        match lapse {
            Lapse::Departed => Some(Self::Departed),
            Lapse::Moved => Some(Self::Moved),
            Lapse::RoleLost => Some(Self::RoleLost),
            Lapse::Requested | Lapse::NotYet { .. } | Lapse::Over { .. } => None,
        }
    }
}

/// What moves an authorization on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The agency that was not the asking one says yes.
    Accept,
    /// It says no.
    Refuse,
    /// The asking agency takes the request back.
    Withdraw,
    /// Either agency takes it away.
    Revoke,
    /// What became of the holder ends it.
    End(Ending),
}

/// What happened to an authorization, as its history tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// It was asked for.
    Requested,
    /// It was given at once.
    Granted,
    /// The other agency said yes.
    Accepted,
    /// The other agency said no.
    Refused,
    /// The request was taken back.
    Withdrawn,
    /// It was taken away.
    Revoked,
    /// It ended with what became of its holder.
    Ended,
}

impl Step {
    /// What the history says of it.
    pub fn happening(self) -> Happening {
        match self {
            Self::Accept => Happening::Accepted,
            Self::Refuse => Happening::Refused,
            Self::Withdraw => Happening::Withdrawn,
            Self::Revoke => Happening::Revoked,
            Self::End(_) => Happening::Ended,
        }
    }
}

/// A step that an authorization does not take where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {step:?} of an authorization that is {state:?}")]
pub struct OutOfPlace {
    /// Where it is.
    pub state: State,
    /// What was to be done.
    pub step: Step,
}

impl State {
    /// Where the authorization is after a step.
    ///
    /// # Errors
    /// [`OutOfPlace`]: nothing changes.
    pub fn after(self, step: Step) -> Result<Self, OutOfPlace> {
        match (step, self) {
            (Step::Accept, Self::Requested { .. }) => Ok(Self::Active),
            (Step::Refuse, Self::Requested { .. }) => Ok(Self::Refused),
            (Step::Withdraw, Self::Requested { .. }) => Ok(Self::Withdrawn),
            (Step::Revoke, Self::Active) => Ok(Self::Revoked),
            (Step::End(why), Self::Requested { .. } | Self::Active) => Ok(Self::Ended(why)),
            (Step::Accept | Step::Refuse | Step::Withdraw | Step::Revoke | Step::End(_), _) => {
                Err(OutOfPlace { state: self, step })
            }
        }
    }

    /// Whether something may yet become of it.
    pub fn is_open(self) -> bool {
        match self {
            Self::Requested { .. } | Self::Active => true,
            Self::Refused | Self::Withdrawn | Self::Revoked | Self::Ended(_) | Self::Expired => false,
        }
    }

    /// The state in one word, as it is stored and answered.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested { .. } => "requested",
            Self::Active => "active",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Revoked => "revoked",
            Self::Ended(_) => "ended",
            Self::Expired => "expired",
        }
    }
}

impl Authorization {
    /// Where it is now: what is stored, or expired when its time or the time to answer is over.
    pub fn state_at(&self, now: Timestamp) -> State {
        if self.state.is_open() && self.held.over(now).is_some() { State::Expired } else { self.state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [(&str, State); 11] = [
        ("requested by home", State::Requested { by: Side::Home }),
        ("requested by target", State::Requested { by: Side::Target }),
        ("active", State::Active),
        ("refused", State::Refused),
        ("withdrawn", State::Withdrawn),
        ("revoked", State::Revoked),
        ("ended departed", State::Ended(Ending::Departed)),
        ("ended moved", State::Ended(Ending::Moved)),
        ("ended role_lost", State::Ended(Ending::RoleLost)),
        ("ended roster", State::Ended(Ending::Roster)),
        ("expired", State::Expired),
    ];

    const STEPS: [(&str, Step); 8] = [
        ("accept", Step::Accept),
        ("refuse", Step::Refuse),
        ("withdraw", Step::Withdraw),
        ("revoke", Step::Revoke),
        ("end departed", Step::End(Ending::Departed)),
        ("end moved", Step::End(Ending::Moved)),
        ("end role_lost", Step::End(Ending::RoleLost)),
        ("end roster", Step::End(Ending::Roster)),
    ];

    /// Every state and every step, as a reviewer reads them: `life.csv`, a `-` where nothing changes.
    #[test]
    fn every_step_of_every_state_is_in_the_table() {
        let mut rows = csv::Reader::from_reader(include_bytes!("life.csv").as_slice());
        let steps: Vec<String> = rows.headers().unwrap().iter().skip(1).map(str::to_owned).collect();
        assert_eq!(steps, STEPS.map(|(name, _)| name.to_owned()));
        let mut seen = Vec::new();
        for row in rows.records() {
            let row = row.unwrap();
            let (name, state) = *STATES.iter().find(|(name, _)| *name == &row[0]).unwrap();
            seen.push(name);
            for ((step_name, step), expected) in STEPS.iter().zip(row.iter().skip(1)) {
                let named = |after: State| {
                    STATES.iter().find(|(_, known)| *known == after).map_or("?", |(name, _)| *name)
                };
                let found = state.after(*step).map_or("-", named);
                assert_eq!(found, expected, "{step_name} of an authorization that is {name}");
            }
        }
        assert_eq!(seen, STATES.map(|(name, _)| name));
    }

    #[test]
    fn what_is_not_open_changes_no_more() {
        for (name, state) in STATES {
            for (step_name, step) in STEPS {
                let moves = state.after(step).is_ok();
                assert!(state.is_open() || !moves, "{step_name} of an authorization that is {name}");
            }
        }
    }
}

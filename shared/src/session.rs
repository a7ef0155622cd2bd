//! Sessions: who is signed in, since when, and until when.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::pseudonym::PersonId;

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A person.
    Person(PersonId),
    /// An agency, by the OID of its organization certificate.
    Agency(String),
}

impl Subject {
    /// Takes back what [`Subject`]'s `Display` gave.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('#')? {
            ("person", id) if !id.is_empty() => Some(Self::Person(PersonId::from_stored(id))),
            ("agency", oid) if !oid.is_empty() => Some(Self::Agency(oid.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person#{id}"),
            Self::Agency(oid) => write!(f, "agency#{oid}"),
        }
    }
}

/// What a sign-in was made with; `amr` in tokens and answers (RFC 8176).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// A smart card.
    #[serde(rename = "sc")]
    Card,
    /// A password.
    #[serde(rename = "pwd")]
    Password,
}

impl Method {
    /// RFC 8176's name.
    pub fn amr(self) -> &'static str {
        match self {
            Self::Card => "sc",
            Self::Password => "pwd",
        }
    }
}

/// How the client presents the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// A browser, by a cookie. It never sees a token.
    Cookie,
    /// A program, by a signed token.
    Token,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Without use.
    pub idle: SignedDuration,
    /// In all.
    pub absolute: SignedDuration,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self { idle: SignedDuration::from_mins(15), absolute: SignedDuration::from_hours(12) }
    }
}

/// How old the note of a session's last use may get before a call renews it: a write a minute, not a write a call.
const TOUCH_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who is signed in.
    pub subject: Subject,
    /// How the client presents it.
    pub carrier: Carrier,
    /// What the sign-in was made with.
    pub method: Method,
    /// When the sign-in was.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// The person's generation at the sign-in.
    pub generation: u64,
}

/// The session has ended: by time, by a reset, by a departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Not used for too long, or too old.
    #[error("its time is over")]
    Expired,
    /// A reset, a password change or a departure ended it.
    #[error("ended by a reset, a password change or a departure")]
    Revoked,
}

impl Session {
    /// A new session.
    pub fn open(subject: Subject, carrier: Carrier, method: Method, generation: u64, now: Timestamp) -> Self {
        Self { subject, carrier, method, created_at: now, last_used_at: now, generation }
    }

    /// When it ends unless it is used.
    pub fn expires_at(&self, policy: &SessionPolicy) -> Timestamp {
        let idle = self.last_used_at.checked_add(policy.idle).unwrap_or(Timestamp::MAX);
        idle.min(self.ends_at(policy))
    }

    /// When it ends even if it is used.
    pub fn ends_at(&self, policy: &SessionPolicy) -> Timestamp {
        self.created_at.checked_add(policy.absolute).unwrap_or(Timestamp::MAX)
    }

    /// Whether it is live, the subject being of `generation` now.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn check(&self, generation: u64, now: Timestamp, policy: &SessionPolicy) -> Result<(), Ended> {
        if self.generation != generation {
            return Err(Ended::Revoked);
        }
        if now >= self.expires_at(policy) { Err(Ended::Expired) } else { Ok(()) }
    }

    /// Whether a use at `now` is worth a note.
    pub fn needs_touch(&self, now: Timestamp) -> bool {
        now.duration_since(self.last_used_at) >= TOUCH_EVERY
    }

    /// Whether it was opened by a card within the last `window`: fresh enough to set a forgotten password.
    pub fn is_fresh_card(&self, now: Timestamp, window: SignedDuration) -> bool {
        self.method == Method::Card && now.duration_since(self.created_at) < window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        let start: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let at = |minutes| start + SignedDuration::from_mins(minutes);
        let session = |last_used| Session {
            last_used_at: at(last_used),
            ..Session::open(Subject::Agency("1.2.3".to_owned()), Carrier::Cookie, Method::Card, 7, start)
        };
        let rows = [
            ("at once", session(0), 7, at(0), Ok(())),
            ("14 minutes idle", session(0), 7, at(14), Ok(())),
            ("15 minutes idle", session(0), 7, at(15), Err(Ended::Expired)),
            ("used, still in the day", session(700), 7, at(714), Ok(())),
            ("used, but 12 hours old", session(719), 7, at(720), Err(Ended::Expired)),
            ("after a reset", session(0), 8, at(0), Err(Ended::Revoked)),
        ];
        for (what, session, generation, now, expected) in rows {
            assert_eq!(session.check(generation, now, &SessionPolicy::default()), expected, "{what}");
        }
        assert!(session(0).is_fresh_card(at(4), SignedDuration::from_mins(5)));
        assert!(!session(4).is_fresh_card(at(5), SignedDuration::from_mins(5)), "use does not make it fresh");
    }

    #[test]
    fn subjects_come_back() {
        for subject in [Subject::Person(PersonId::from_stored("x")), Subject::Agency("2.16.886".to_owned())] {
            assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
        }
        for text in ["", "person#", "agency", "card#x"] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }
}

//! An authorization (授權): that one person may reset in one agency, given to one role, for a time. In the agency that the
//! person serves in, or in another one that they handle concurrently (兼辦).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::person::{Person, Role, Service};
use crate::pseudonym::PersonId;
use crate::session::Subject;

/// Most authorizations, open requests among them, that a person holds at once: their changes fit in one transaction.
pub const MAX_HELD: usize = 20;

/// An authorization's id: chosen by who asks for it, or made of what the roster said. No secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorizationId(String);

impl AuthorizationId {
    /// Reads what a client chose: 22 to 64 letters, digits, `-` or `_`, which a UUID is and 128 random bits in base64url are.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ((22..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// Takes back what [`Self::as_str`] gave.
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuthorizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an authorization that is open counts already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// The other agency's HR head has yet to say yes.
    Requested,
    /// Everybody who has to has said yes.
    Active,
}

/// An open authorization as its holder's record carries it, so that a decision reads nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Where the holder may reset: an agency's code.
    pub agency: String,
    /// The agency that the holder served in when it was given.
    pub home: String,
    /// The role that it was given to.
    pub role: Role,
    /// From when.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub from: Timestamp,
    /// Until when, itself not included; for an unlimited time without.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub until: Option<Timestamp>,
    /// Whether it counts already.
    pub consent: Consent,
    /// Until when a request is to be answered.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub answer_by: Option<Timestamp>,
    /// Whether a roster gave it, which ends it when it does not name the agency any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_roster: bool,
}

/// Why an open authorization does not count at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    /// The holder has departed.
    #[error("the holder has departed")]
    Departed,
    /// The holder serves in another agency than when it was given.
    #[error("the holder has moved")]
    Moved,
    /// The holder has not the role any more that it was given to.
    #[error("the holder has lost the role")]
    RoleLost,
    /// The other agency's HR head has yet to say yes.
    #[error("not consented to")]
    Requested,
    /// Its time has not come.
    #[error("not before {from}")]
    NotYet {
        /// When it comes.
        from: Timestamp,
    },
    /// Its time is over.
    #[error("over since {until}")]
    Over {
        /// Since when.
        until: Timestamp,
    },
}

impl Held {
    /// Whether it counts now, for its holder as they are now.
    ///
    /// # Errors
    /// [`Lapse`]: what ends it for good comes first.
    pub fn in_force(&self, holder: &Person, now: Timestamp) -> Result<(), Lapse> {
        if let Some(lapse) = self.ended_by(holder.service, &holder.agency, &holder.roles) {
            return Err(lapse);
        }
        if let Some(until) = self.over(now) {
            return Err(Lapse::Over { until });
        }
        match self.consent {
            Consent::Requested => Err(Lapse::Requested),
            Consent::Active if now < self.from => Err(Lapse::NotYet { from: self.from }),
            Consent::Active => Ok(()),
        }
    }

    /// Since when its time is over, or the time to answer.
    pub fn over(&self, now: Timestamp) -> Option<Timestamp> {
        let unanswered = match self.consent {
            Consent::Requested => self.answer_by,
            Consent::Active => None,
        };
        self.until.into_iter().chain(unanswered).min().filter(|over| *over <= now)
    }

    /// What ends it for good, of a holder like that.
    pub fn ended_by(&self, service: Service, agency: &str, roles: &BTreeSet<Role>) -> Option<Lapse> {
        match service {
            Service::Departed => Some(Lapse::Departed),
            Service::InService if agency != self.home => Some(Lapse::Moved),
            Service::InService if !roles.contains(&self.role) => Some(Lapse::RoleLost),
            Service::InService => None,
        }
    }

    /// Whether it is for another agency than the holder's own (兼辦).
    pub fn is_concurrent(&self) -> bool {
        self.agency != self.home
    }
}

/// What a person's record says of their authority, besides the roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// Grows with every change of what the person may do: authorizations, roles, agency, service. What was decided on one
    /// version is not written under another.
    pub version: u64,
    /// Open authorizations, those whose time is over among them until the next change clears them away.
    pub held: BTreeMap<AuthorizationId, Held>,
    /// The agencies that the roster named when it was last asked, and that were taken up: it gives and ends by difference.
    pub roster_agencies: BTreeSet<String>,
}

/// Who does something to an authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Who is signed in.
    Subject(Subject),
    /// A roster file.
    Roster,
}

impl By {
    /// Takes back what `Display` gave.
    pub fn parse(text: &str) -> Option<Self> {
        if text == crate::audit::ROSTER {
            Some(Self::Roster)
        } else {
            Subject::parse(text).map(Self::Subject)
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => subject.fmt(f),
            Self::Roster => f.write_str(crate::audit::ROSTER),
        }
    }
}

/// Which of a concurrent duty's two agencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where the holder serves.
    Home,
    /// Where the holder is to reset.
    Target,
}

impl Side {
    /// By its name in requests.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Home, Self::Target].into_iter().find(|side| side.name() == text)
    }

    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Target => "target",
        }
    }
}

/// An authorization with its life: the record that lists and histories are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Its id.
    pub id: AuthorizationId,
    /// Who holds it.
    pub holder: PersonId,
    /// Where, to which role, for how long; its consent follows the state.
    pub held: Held,
    /// Where its life is.
    pub state: super::life::State,
    /// What happened to it, the first first.
    pub history: Vec<Event>,
}

/// Something that happened to an authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub what: super::life::Happening,
    /// Who did it.
    pub by: By,
    /// When.
    pub at: Timestamp,
}

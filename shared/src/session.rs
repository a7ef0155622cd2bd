//! Sessions: who is signed in, since when, and until when.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::card::{EndedCertificates, Seen};
use crate::oauth::Delegation;
use crate::pseudonym::PersonId;
use crate::secret::Secret;

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

/// What somebody has proved themselves with. Of a card it keeps which certificate it was and when the card host saw it: a
/// revocation ends what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A smart card.
    Card(Seen),
    /// A password.
    Password,
}

impl Proof {
    /// The method's name.
    pub fn method(&self) -> Method {
        match self {
            Self::Card(_) => Method::Card,
            Self::Password => Method::Password,
        }
    }

    /// The card's certificate.
    pub fn seen(&self) -> Option<&Seen> {
        match self {
            Self::Card(seen) => Some(seen),
            Self::Password => None,
        }
    }

    /// Whether it was a certificate that was revoked since.
    pub fn has_ended(&self, ended: &EndedCertificates) -> bool {
        self.seen().is_some_and(|seen| ended.end(seen))
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

/// What a session is called towards its holder: the digest of its id. Unlike the id it opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionName(String);

impl SessionName {
    /// The name of the session of that id.
    pub fn of(id: &Secret) -> Self {
        Self(id.digest())
    }

    /// Reads what a client sends; `None` for a text that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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

/// A session by its name: all that is needed to end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Whose.
    pub subject: Subject,
    /// What it is called.
    pub name: SessionName,
}

/// Which of a person's sessions end once `newest` is opened, so that no more than `most` are left: first those that have
/// ended by themselves, then the one that was opened first. What a client was lent goes with the session that it is of, and
/// counts for none.
pub fn surplus(
    stored: &[(SessionName, Session)],
    newest: (&SessionName, &Session),
    most: usize,
    policy: &SessionPolicy,
) -> Vec<SessionName> {
    let (newest, opened) = newest;
    let lives = |session: &Session| {
        session.generation == opened.generation && opened.created_at < session.expires_at(policy)
    };
    let mut own: Vec<_> = stored.iter().filter(|(_, session)| session.delegation.is_none()).collect();
    own.sort_by_key(|(name, session)| (name == newest, lives(session), session.created_at));
    let too_many = own.len().saturating_sub(most.max(1));
    own.into_iter().take(too_many).map(|(name, _)| name.clone()).collect()
}

/// The sessions of a person's that clients were lent from `parent`.
pub fn lent_from<'a>(
    stored: &'a [(SessionName, Session)],
    parent: &'a SessionName,
) -> impl Iterator<Item = &'a SessionName> {
    let of = move |session: &Session| {
        session.delegation.as_ref().is_some_and(|lent| lent.parent == parent.as_str())
    };
    stored.iter().filter(move |(_, session)| of(session)).map(|(name, _)| name)
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who is signed in.
    pub subject: Subject,
    /// How the client presents it.
    pub carrier: Carrier,
    /// What the sign-in was made with.
    pub proof: Proof,
    /// When the person or agency signed in.
    pub authenticated_at: Timestamp,
    /// When it was opened: at the sign-in, but for one that was lent to a client.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// The person's generation at the sign-in.
    pub generation: u64,
    /// The client that it was lent to, and what for.
    pub delegation: Option<Delegation>,
}

/// The session has ended: by time, by a reset, by a departure, by a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Not used for too long, or too old.
    #[error("its time is over")]
    Expired,
    /// A reset, a password change, a departure or an unbound card ended it.
    #[error("ended by a reset, a password change, a departure or an unbound card")]
    Revoked,
    /// The certificate that it was opened with was revoked.
    #[error("its certificate was revoked")]
    CertificateRevoked,
}

impl Session {
    /// A new session.
    pub fn open(subject: Subject, carrier: Carrier, proof: Proof, generation: u64, now: Timestamp) -> Self {
        Self {
            subject,
            carrier,
            proof,
            authenticated_at: now,
            created_at: now,
            last_used_at: now,
            generation,
            delegation: None,
        }
    }

    /// A session for a client, lent from this one: of the same sign-in, and no longer.
    #[must_use]
    pub fn delegate(&self, delegation: Delegation, now: Timestamp) -> Self {
        Self {
            carrier: Carrier::Token,
            created_at: now,
            last_used_at: now,
            delegation: Some(delegation),
            ..self.clone()
        }
    }

    /// When it ends unless it is used.
    pub fn expires_at(&self, policy: &SessionPolicy) -> Timestamp {
        let idle = self.last_used_at.checked_add(policy.idle).unwrap_or(Timestamp::MAX);
        idle.min(self.ends_at(policy))
    }

    /// When it ends even if it is used.
    pub fn ends_at(&self, policy: &SessionPolicy) -> Timestamp {
        self.authenticated_at.checked_add(policy.absolute).unwrap_or(Timestamp::MAX)
    }

    /// Whether it is live, the subject being of `generation` now, and their certificates having `ended`.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn check(
        &self,
        generation: u64,
        ended: &EndedCertificates,
        now: Timestamp,
        policy: &SessionPolicy,
    ) -> Result<(), Ended> {
        if self.generation != generation {
            return Err(Ended::Revoked);
        }
        if self.proof.has_ended(ended) {
            return Err(Ended::CertificateRevoked);
        }
        if now >= self.expires_at(policy) { Err(Ended::Expired) } else { Ok(()) }
    }

    /// Whether a use at `now` is worth a note.
    pub fn needs_touch(&self, now: Timestamp) -> bool {
        now.duration_since(self.last_used_at) >= TOUCH_EVERY
    }

    /// Whether it was opened by a card within the last `window`: fresh enough to set a forgotten password.
    pub fn is_fresh_card(&self, now: Timestamp, window: SignedDuration) -> bool {
        self.proof.method() == Method::Card && now.duration_since(self.authenticated_at) < window
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::card::End;
    use crate::oauth::ClientId;

    fn start() -> Timestamp {
        "2026-08-03T00:00:00Z".parse().unwrap()
    }

    fn seen(serial: &str) -> Seen {
        Seen { certificate: format!("{}#{serial}", "a".repeat(64)).parse().unwrap(), at: start() }
    }

    fn opened_by_password() -> Session {
        opened(Proof::Password)
    }

    fn opened(proof: Proof) -> Session {
        Session::open(Subject::Agency("1.2.3".to_owned()), Carrier::Cookie, proof, 7, start())
    }

    #[test]
    fn lifetimes() {
        let at = |minutes| start() + SignedDuration::from_mins(minutes);
        let session = |last_used| Session { last_used_at: at(last_used), ..opened(Proof::Card(seen("1f"))) };
        let rows = [
            ("at once", session(0), 7, at(0), Ok(())),
            ("14 minutes idle", session(0), 7, at(14), Ok(())),
            ("15 minutes idle", session(0), 7, at(15), Err(Ended::Expired)),
            ("used, still in the day", session(700), 7, at(714), Ok(())),
            ("used, but 12 hours old", session(719), 7, at(720), Err(Ended::Expired)),
            ("after a reset", session(0), 8, at(0), Err(Ended::Revoked)),
        ];
        for (what, session, generation, now, expected) in rows {
            let none = EndedCertificates::default();
            assert_eq!(session.check(generation, &none, now, &SessionPolicy::default()), expected, "{what}");
        }
        assert!(session(0).is_fresh_card(at(4), SignedDuration::from_mins(5)));
        assert!(!session(4).is_fresh_card(at(5), SignedDuration::from_mins(5)), "use does not make it fresh");
        assert!(!opened(Proof::Password).is_fresh_card(at(0), SignedDuration::from_mins(5)));
    }

    #[test]
    fn a_revocation_ends_the_sessions_of_its_certificate() {
        let end = |seconds| {
            let end = start() + SignedDuration::from_secs(seconds);
            [(seen("1f").certificate, End { ended_at: end, revoked_at: start() })].into_iter().collect()
        };
        let rows = [
            ("revoked after the sign-in", Proof::Card(seen("1f")), end(1), Err(Ended::CertificateRevoked)),
            ("in the same moment", Proof::Card(seen("1f")), end(0), Err(Ended::CertificateRevoked)),
            ("signed in after the suspension was lifted", Proof::Card(seen("1f")), end(-1), Ok(())),
            ("another card of the same person", Proof::Card(seen("2f")), end(1), Ok(())),
            ("their password", Proof::Password, end(1), Ok(())),
        ];
        for (what, proof, ended, expected) in rows {
            let checked = opened(proof).check(7, &ended, start(), &SessionPolicy::default());
            assert_eq!(checked, expected, "{what}");
        }
    }

    #[test]
    fn a_name_is_the_digest_of_an_id_and_nothing_else() {
        let name = SessionName::of(&Secret::random(&mut StdRng::seed_from_u64(1)));
        assert_eq!(SessionName::parse(name.as_str()), Some(name.clone()));
        let (short, capitals) = (name.as_str().split_at(63).0, name.as_str().to_uppercase());
        for text in ["", short, &capitals, &"g".repeat(64)] {
            assert_eq!(SessionName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn of_too_many_sessions_the_oldest_end() {
        let at = |minutes| start() + SignedDuration::from_mins(minutes);
        let name = |number: u64| SessionName::of(&Secret::random(&mut StdRng::seed_from_u64(number)));
        let session = |opened, used, generation| Session {
            created_at: at(opened),
            last_used_at: at(used),
            generation,
            ..opened_by_password()
        };
        let lent = |number| Session {
            delegation: Some(Delegation {
                client: ClientId::parse("portal").unwrap(),
                scopes: "openid".parse().unwrap(),
                parent: name(number).as_str().to_owned(),
            }),
            ..session(0, 59, 7)
        };
        let newest = session(60, 60, 7);
        let stored = vec![
            (name(1), session(0, 59, 7)),
            (name(2), session(10, 59, 7)),
            (name(3), session(20, 20, 7)),
            (name(4), session(30, 59, 6)),
            (name(5), session(60, 60, 7)),
            (name(6), lent(1)),
            (name(7), newest.clone()),
        ];
        let rows: [(&str, usize, &[u64]); 6] = [
            ("room enough", 6, &[]),
            ("what was idle for too long", 5, &[3]),
            ("what is of an earlier generation", 4, &[3, 4]),
            ("then the oldest, though it is in use", 3, &[3, 4, 1]),
            ("of one moment the new one stays", 1, &[3, 4, 1, 2, 5]),
            ("never the new one", 0, &[3, 4, 1, 2, 5]),
        ];
        for (what, most, expected) in rows {
            let ended = surplus(&stored, (&name(7), &newest), most, &SessionPolicy::default());
            assert_eq!(ended, expected.iter().map(|number| name(*number)).collect::<Vec<_>>(), "{what}");
        }
        assert_eq!(lent_from(&stored, &name(1)).collect::<Vec<_>>(), [&name(6)]);
        assert_eq!(lent_from(&stored, &name(2)).count(), 0);
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

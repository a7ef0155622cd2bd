//! What carries a person from one step to the next: the one-time code of the card host, the tickets for identity and
//! activation, and the code that takes a sign-in to a client. Each is random, bound to its purpose, short-lived, and good once.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::card::{Card, EndedCertificates, Seen};
use crate::identity::Named;
use crate::oauth::{ClientId, Scopes};
use crate::pseudonym::PersonId;
use crate::revocation::Scope;
use crate::session::{Proof, Subject};

/// Tries that an identity ticket allows in all.
pub const IDENTITY_TRIES: u32 = 5;

/// base64url(SHA-256(verifier)), as in PKCE's S256 (RFC 7636 section 4.2): binds a code to the page that asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Challenge(String);

impl Challenge {
    /// Reads a challenge; `None` for a text that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The challenge of a verifier; `None` when it is not a verifier (43 to 128 unreserved characters).
    pub fn of_verifier(verifier: &str) -> Option<Self> {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let good = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        good.then(|| Self(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))))
    }

    /// The 43 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whom the card host has seen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CardHolder {
    /// A citizen card that is bound to a person.
    Bound {
        /// The person.
        person: PersonId,
        /// The person's generation as the binding last knew it: a guess that the sign-in checks.
        generation: u64,
        /// The code of the person's agency as the binding last knew it: another guess.
        #[serde(default)]
        agency: String,
        /// The card.
        card: Card,
        /// Whether the certificate was never seen of it before: the card was renewed.
        renewed: bool,
    },
    /// A citizen card seen for the first time.
    Unbound {
        /// The card.
        card: Card,
        /// Its holder, in the card's words.
        holder: Named,
    },
    /// An organization certificate of a known agency.
    Agency {
        /// The agency's OID.
        oid: String,
        /// The agency's code.
        #[serde(default)]
        code: String,
    },
}

/// A one-time code.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// What the verifier must hash to.
    pub challenge: Challenge,
    /// Whom the card host has seen.
    pub holder: CardHolder,
    /// By which certificate.
    pub seen: Seen,
    /// The lists that may speak for the certificate: whoever first notes it as in use asks them once more.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A card's holder on the way to being bound.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityTicket {
    /// The card.
    pub card: Card,
    /// Its holder, in the card's words.
    pub holder: Named,
    /// The certificate that showed it.
    pub seen: Seen,
    /// The lists that may speak for the certificate.
    pub scopes: Vec<Scope>,
    /// Wrong identifiers so far.
    pub tries: u32,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A person on the way to being activated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationTicket {
    /// The person.
    pub person: PersonId,
    /// The person's generation: a reset or a departure makes another, and the ticket void.
    pub generation: u64,
    /// What they proved themselves with.
    pub proof: Proof,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A code that takes a sign-in to a client (RFC 6749 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCode {
    /// The client that it is for.
    pub client: ClientId,
    /// The address that it was sent to.
    pub redirect_uri: String,
    /// What the verifier must hash to (RFC 7636).
    pub challenge: Challenge,
    /// What the client sent to recognize its own request by.
    pub nonce: Option<String>,
    /// What the client may do.
    pub scopes: Scopes,
    /// Who signed in.
    pub subject: Subject,
    /// The digest of the browser's session.
    pub session: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The digest of the session that was opened for it; nothing before its exchange.
    pub opened: Option<String>,
}

/// Why a client's code is not honored. The client hears one answer for all of them: `invalid_grant`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientCodeRefusal {
    /// There is none, or not any more.
    #[error("no such code")]
    Unknown,
    /// It is another client's.
    #[error("a code of another client")]
    AnotherClient,
    /// It was exchanged before: whoever comes second, one of the two is not who it was for.
    #[error("a code that was exchanged before")]
    Replayed {
        /// The digest of the session that was opened for it.
        opened: String,
    },
    /// It was sent to another address.
    #[error("another redirect URI than the code was sent to")]
    AnotherRedirect,
    /// The verifier is not the challenge's.
    #[error("another verifier")]
    WrongVerifier,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
}

impl ClientCode {
    /// Whether a client may have tokens for the code, who says to have had it sent to `redirect_uri` and knows the verifier of
    /// `challenge`. A replay is found before the rest of it: it is one whatever else is wrong.
    ///
    /// # Errors
    /// [`ClientCodeRefusal`]. A refused code stays as it was.
    pub fn check(
        &self,
        client: &ClientId,
        redirect_uri: &str,
        challenge: &Challenge,
        now: Timestamp,
    ) -> Result<(), ClientCodeRefusal> {
        if self.client != *client {
            return Err(ClientCodeRefusal::AnotherClient);
        }
        if let Some(opened) = &self.opened {
            return Err(ClientCodeRefusal::Replayed { opened: opened.clone() });
        }
        if self.redirect_uri != redirect_uri {
            return Err(ClientCodeRefusal::AnotherRedirect);
        }
        if self.challenge != *challenge {
            return Err(ClientCodeRefusal::WrongVerifier);
        }
        if now >= self.expires_at { Err(ClientCodeRefusal::Expired) } else { Ok(()) }
    }
}

/// Why a ticket or code is not honored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Unknown, used, void, or of another verifier.
    #[error("unknown, used, void, or of another verifier")]
    Invalid,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
    /// The certificate that it came of was revoked.
    #[error("its certificate was revoked")]
    Revoked,
}

impl Code {
    /// Whether the code may be exchanged by who knows the verifier of `challenge`.
    ///
    /// # Errors
    /// [`Refusal`]. A wrong verifier learns nothing of the code's age.
    pub fn check(&self, challenge: &Challenge, now: Timestamp) -> Result<(), Refusal> {
        if self.challenge != *challenge {
            return Err(Refusal::Invalid);
        }
        if now >= self.expires_at { Err(Refusal::Expired) } else { Ok(()) }
    }
}

impl IdentityTicket {
    /// Whether an identifier may be tried.
    ///
    /// # Errors
    /// [`Refusal`]: after [`IDENTITY_TRIES`] wrong ones the ticket is invalid.
    pub fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.tries >= IDENTITY_TRIES {
            return Err(Refusal::Invalid);
        }
        if now >= self.expires_at { Err(Refusal::Expired) } else { Ok(()) }
    }
}

impl ActivationTicket {
    /// Whether the person may activate, being of `generation` now, and their certificates having `ended`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, generation: u64, ended: &EndedCertificates, now: Timestamp) -> Result<(), Refusal> {
        if self.generation != generation {
            return Err(Refusal::Invalid);
        }
        if self.proof.has_ended(ended) {
            return Err(Refusal::Revoked);
        }
        if now >= self.expires_at { Err(Refusal::Expired) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::card::End;
    use crate::pseudonym::CardId;

    fn now() -> Timestamp {
        "2026-08-03T00:00:00Z".parse().unwrap()
    }

    fn seen() -> Seen {
        Seen { certificate: format!("{}#1f", "a".repeat(64)).parse().unwrap(), at: now() }
    }

    #[test]
    fn the_challenge_of_rfc_7636_appendix_b() {
        let challenge = Challenge::of_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(challenge.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(Challenge::parse(challenge.as_str()), Some(challenge));
        assert_eq!(Challenge::of_verifier("too-short"), None);
        assert_eq!(Challenge::parse("not a digest"), None);
    }

    #[test]
    fn codes() {
        let verifier = |letter: &str| Challenge::of_verifier(&letter.repeat(43)).unwrap();
        let code = Code {
            challenge: verifier("a"),
            holder: CardHolder::Agency { oid: "2.16.886.101".to_owned(), code: "A02".to_owned() },
            seen: seen(),
            scopes: vec![Scope::Full],
            expires_at: now() + SignedDuration::from_secs(60),
        };
        let late = now() + SignedDuration::from_secs(60);
        let rows = [
            ("in time", verifier("a"), now(), Ok(())),
            ("too late", verifier("a"), late, Err(Refusal::Expired)),
            ("another verifier", verifier("b"), now(), Err(Refusal::Invalid)),
            ("another verifier, too late", verifier("b"), late, Err(Refusal::Invalid)),
        ];
        for (what, challenge, at, expected) in rows {
            assert_eq!(code.check(&challenge, at), expected, "{what}");
        }
    }

    #[test]
    fn codes_of_clients() {
        let client = |id| ClientId::parse(id).unwrap();
        let challenge = |letter: &str| Challenge::of_verifier(&letter.repeat(43)).unwrap();
        let fresh = ClientCode {
            client: client("hr"),
            redirect_uri: "https://hr.example/cb".to_owned(),
            challenge: challenge("a"),
            nonce: None,
            scopes: Scopes::default(),
            subject: Subject::Agency("2.16.886.101".to_owned()),
            session: "s".to_owned(),
            expires_at: now() + SignedDuration::from_secs(60),
            opened: None,
        };
        let used = ClientCode { opened: Some("o".to_owned()), ..fresh.clone() };
        let replayed = || Err(ClientCodeRefusal::Replayed { opened: "o".to_owned() });
        let (here, elsewhere) = ("https://hr.example/cb", "https://hr.example/other");
        let late = fresh.expires_at;
        use ClientCodeRefusal::{AnotherClient, AnotherRedirect, Expired, WrongVerifier};
        let rows = [
            ("in time", &fresh, "hr", here, "a", now(), Ok(())),
            ("too late", &fresh, "hr", here, "a", late, Err(Expired)),
            ("another client", &fresh, "other", here, "a", now(), Err(AnotherClient)),
            ("another address", &fresh, "hr", elsewhere, "a", now(), Err(AnotherRedirect)),
            ("another verifier", &fresh, "hr", here, "b", now(), Err(WrongVerifier)),
            ("again", &used, "hr", here, "a", now(), replayed()),
            ("again, and late", &used, "hr", here, "a", late, replayed()),
            ("again, without the verifier", &used, "hr", here, "b", now(), replayed()),
            ("again, by another client", &used, "other", here, "a", now(), Err(AnotherClient)),
        ];
        for (what, code, by, to, verifier, at, expected) in rows {
            assert_eq!(code.check(&client(by), to, &challenge(verifier), at), expected, "{what}");
        }
    }

    #[test]
    fn an_identity_ticket_allows_five_tries() {
        let holder = Named { name: "王大明".to_owned(), id_tail: None };
        let expires_at = now() + SignedDuration::from_secs(60);
        let card = Card {
            id: CardId::from_stored("c"),
            issuer_name: "MOICA".to_owned(),
            family: "MOICA".to_owned(),
            number_tail: "1".to_owned(),
        };
        let ticket = |tries| IdentityTicket {
            card: card.clone(),
            holder: holder.clone(),
            seen: seen(),
            scopes: vec![Scope::Full],
            tries,
            expires_at,
        };
        assert_eq!(ticket(4).check(now()), Ok(()));
        assert_eq!(ticket(5).check(now()), Err(Refusal::Invalid));
        assert_eq!(ticket(0).check(expires_at), Err(Refusal::Expired));
    }

    #[test]
    fn a_reset_or_a_revocation_voids_an_activation_ticket() {
        let expires_at = now() + SignedDuration::from_secs(60);
        let ticket =
            |proof| ActivationTicket { person: PersonId::from_stored("p"), generation: 3, proof, expires_at };
        let (card, password) = (ticket(Proof::Card(seen())), ticket(Proof::Password));
        let none = EndedCertificates::default();
        let end = End { ended_at: now(), revoked_at: now() };
        let ended: EndedCertificates = [(seen().certificate, end)].into_iter().collect();
        let rows = [
            ("in time", &card, 3, &none, now(), Ok(())),
            ("after a reset", &password, 4, &none, now(), Err(Refusal::Invalid)),
            ("too late", &card, 3, &none, expires_at, Err(Refusal::Expired)),
            ("of a certificate that was revoked", &card, 3, &ended, now(), Err(Refusal::Revoked)),
            ("of a password, the card revoked", &password, 3, &ended, now(), Ok(())),
        ];
        for (what, ticket, generation, ended, at, expected) in rows {
            assert_eq!(ticket.check(generation, ended, at), expected, "{what}");
        }
    }
}

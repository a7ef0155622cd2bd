//! Revocation: what the lists of a certificate's issuer say of it, and when they say too little.
//!
//! # What lives here
//! The decision itself (this page), which certificates a list speaks for ([`Scope`]), reading a list that a CA has signed
//! ([`List`]), telling which of its entries changed ([`Buckets`]), and a set of lists in memory for the command line
//! ([`ListSet`]). All of it is pure: lists are fetched by `revocation-sync` and kept by `store::revocations`.
//!
//! # The decision
//! RFC 5280 section 6.3, fail closed. Every certificate below the trust anchor is a [`Link`] of its path, and each needs
//! its own proof:
//! 1. An entry on any list that applies to it refuses, however old that list is: a list that grows stale does not make a
//!    revoked certificate good.
//! 2. Then a list is needed that covers it, in one of the link's scopes, and is not past its `nextUpdate` and the grace.
//! 3. An OCSP responder's answer can only make the verdict stricter: a list is needed all the same.

mod difference;
#[cfg(test)]
mod forged;
mod list;
mod scope;
mod set;

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;

use crate::certificate::{Certificate, Checked, IssuerId, ValidPath, serial_hex};

pub use crate::der::Malformed;
pub use difference::{BUCKETS, Bucket, BucketDigests, Buckets, Difference, difference};
pub use list::{CLOCK_SKEW, Ca, Entries, Entry, List, ListRefusal, lists_in};
pub use scope::Scope;
pub use set::{ListSet, ListSigner};

/// A certificate that may sign in, and is not revoked, nor is a CA of its path. Only the check makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Certificate);

impl Verified {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }
}

impl Checked {
    /// The certificate, if every certificate of its path is good: see [`not_revoked`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn verify(
        self,
        statuses: &[Status],
        now: Timestamp,
        grace: SignedDuration,
    ) -> Result<Verified, Refusal> {
        not_revoked(self.links(), statuses, now, grace)?;
        Ok(Verified(self.into_certificate()))
    }
}

/// A path none of whose certificates is revoked. What its certificate may be used for was not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoodPath(ValidPath);

impl GoodPath {
    /// The path.
    pub fn path(&self) -> &ValidPath {
        &self.0
    }
}

impl ValidPath {
    /// The path, if every certificate of it is good: see [`not_revoked`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn verify(
        self,
        statuses: &[Status],
        now: Timestamp,
        grace: SignedDuration,
    ) -> Result<GoodPath, Refusal> {
        not_revoked(self.links(), statuses, now, grace)?;
        Ok(GoodPath(self))
    }
}

/// One certificate of a path, below the trust anchor, as far as revocation is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The CA that issued it.
    pub issuer: IssuerId,
    /// Its serial number, as [`serial_hex`] writes it.
    pub serial: String,
    /// Which lists speak for it: [`Scope::Full`] first, then what its CRL distribution points name. At most
    /// [`Link::MAX_SCOPES`].
    pub scopes: Vec<Scope>,
    /// Whether it is a CA's: a list may be of users' certificates alone, or of CAs' alone.
    pub is_ca: bool,
}

impl Link {
    /// Most scopes that are looked at; more distribution points than that are left out, which can only refuse.
    pub const MAX_SCOPES: usize = 8;

    /// The link that a certificate, issued by `issuer`, is in its path.
    ///
    /// # Errors
    /// [`Malformed`] CRL distribution points (RFC 5280 section 4.2.1.13).
    pub fn of_certificate(certificate: &X509Certificate<'_>, issuer: IssuerId) -> Result<Self, Malformed> {
        let constraints = certificate.basic_constraints().map_err(|_| Malformed("basic constraints"))?;
        Ok(Self {
            issuer,
            serial: serial_hex(certificate.raw_serial()),
            scopes: Scope::of_certificate(certificate)?,
            is_ca: constraints.is_some_and(|constraints| constraints.value.ca),
        })
    }

    /// Whether the certificate is good: see the decision above. `grace` is how long past its `nextUpdate` a list is
    /// still believed.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn not_revoked(&self, status: &Status, now: Timestamp, grace: SignedDuration) -> Result<(), Refusal> {
        let first =
            status.lists.iter().filter_map(|list| list.entry.as_ref()).min_by_key(|entry| entry.since);
        if let Some(entry) = first {
            return Err(Refusal::Revoked { since: entry.since, reason: entry.reason });
        }
        match status.responder {
            Responder::Revoked { since, reason } => return Err(Refusal::Revoked { since, reason }),
            Responder::Unknown => return Err(Refusal::Unknown(self.issuer.clone())),
            Responder::Silent { required: true } => return Err(Refusal::Silent(self.issuer.clone())),
            Responder::NotAsked | Responder::Silent { required: false } | Responder::Good => {}
        }
        let newest = status
            .lists
            .iter()
            .filter(|list| self.scopes.contains(&list.scope))
            .filter_map(|list| list.list.as_ref())
            .filter(|list| list.covers.includes(self.is_ca))
            .map(|list| list.next_update)
            .max();
        match newest {
            None => Err(Refusal::NoList(self.issuer.clone())),
            Some(next_update) if now.duration_since(next_update) > grace => {
                Err(Refusal::Stale { issuer: self.issuer.clone(), next_update, now })
            }
            Some(_) => Ok(()),
        }
    }
}

/// Whether every certificate of a path is good. `statuses` are those of `links`, in their order; one too few refuses.
///
/// # Errors
/// A revocation before anything else, then the first [`Refusal`] from the leaf on.
pub fn not_revoked(
    links: &[Link],
    statuses: &[Status],
    now: Timestamp,
    grace: SignedDuration,
) -> Result<(), Refusal> {
    let nothing = Status::default();
    let mut verdict = Ok(());
    for (at, link) in links.iter().enumerate() {
        match link.not_revoked(statuses.get(at).unwrap_or(&nothing), now, grace) {
            Err(revoked @ Refusal::Revoked { .. }) => return Err(revoked),
            other => verdict = verdict.and(other),
        }
    }
    verdict
}

/// What the lists of its issuer, and its OCSP responder, say of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// One for each scope that was looked at.
    pub lists: Vec<ListStatus>,
    /// What the responder says.
    pub responder: Responder,
}

/// What the list of one scope says of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStatus {
    /// Which list.
    pub scope: Scope,
    /// The list, when there is one. An entry counts without it.
    pub list: Option<Freshness>,
    /// The certificate's entry, when it has one.
    pub entry: Option<RevokedCertificate>,
}

/// What an issuer's OCSP responder says of a link. The stricter wins: it never replaces a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Responder {
    /// The issuer has none, or none is asked.
    #[default]
    NotAsked,
    /// It did not answer, or not in a way that can be believed.
    Silent {
        /// Whether its answer is needed: lists decide alone otherwise.
        required: bool,
    },
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// It knows of no such certificate.
    Unknown,
}

/// A list as far as a decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When it was issued.
    pub this_update: Timestamp,
    /// When the issuer will have issued the next one.
    pub next_update: Timestamp,
    /// Whose certificates it speaks for.
    pub covers: Covers,
    /// Its number.
    pub number: Number,
}

/// Whose certificates a list speaks for (RFC 5280 section 5.2.5, `onlyContainsUserCerts`, `onlyContainsCACerts`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covers {
    /// Those of users: of everyone who is no CA.
    pub users: bool,
    /// Those of CAs.
    pub cas: bool,
}

impl Covers {
    /// Everyone's.
    pub const ALL: Self = Self { users: true, cas: true };

    /// Whether it speaks for a CA's certificate, or for a user's.
    pub fn includes(self, is_ca: bool) -> bool {
        if is_ca { self.cas } else { self.users }
    }
}

/// A list's `cRLNumber` (RFC 5280 section 5.2.3): 40 hexadecimal digits with leading zeros, so that they order as
/// numbers do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(String);

impl Number {
    /// Most octets of a number.
    const OCTETS: usize = 20;

    /// The number with these big-endian octets; `None` when they are more than twenty without leading zeros.
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let significant = bytes.get(zeros..)?;
        let width = 2 * Self::OCTETS;
        (significant.len() <= Self::OCTETS).then(|| Self(format!("{:0>width$}", hex::encode(significant))))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        let width = 2 * Self::OCTETS;
        Self(format!("{number:0>width$x}"))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.0
    }
}

impl TryFrom<String> for Number {
    type Error = Malformed;

    fn try_from(digits: String) -> Result<Self, Malformed> {
        let hexadecimal = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if digits.len() == 2 * Self::OCTETS && digits.bytes().all(hexadecimal) {
            Ok(Self(digits))
        } else {
            Err(Malformed("a list's number has 40 hexadecimal digits"))
        }
    }
}

impl FromStr for Number {
    type Err = Malformed;

    fn from_str(digits: &str) -> Result<Self, Malformed> {
        Self::try_from(digits.to_owned())
    }
}

/// A revoked certificate's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// The serial number, as [`serial_hex`] writes it.
    pub serial: String,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Reason {
    /// None is given.
    #[default]
    Unspecified,
    /// Its holder's key is known to others: a lost card, for one.
    KeyCompromise,
    /// Its issuer's key is known to others.
    CaCompromise,
    /// Its holder's name or affiliation is another.
    AffiliationChanged,
    /// There is a newer one.
    Superseded,
    /// It is no longer needed.
    CessationOfOperation,
    /// On hold: it may become good again.
    CertificateHold,
    /// No longer revoked: in a delta list. In a full one it revokes like any other reason: see [`Entries`].
    RemoveFromCrl,
    /// A privilege in it is withdrawn.
    PrivilegeWithdrawn,
    /// An attribute authority's key is known to others.
    AaCompromise,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::RemoveFromCrl,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// The reason with this `CRLReason` number; 7 is not used.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Its `CRLReason` number.
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::RemoveFromCrl => 8,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }

    /// Its name in RFC 5280.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Reason> for u8 {
    fn from(reason: Reason) -> Self {
        reason.code()
    }
}

impl TryFrom<u8> for Reason {
    type Error = Malformed;

    fn try_from(code: u8) -> Result<Self, Malformed> {
        Self::from_code(code).ok_or(Malformed("no such reason"))
    }
}

/// Why a certificate is not known to be good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is on a list, or the responder says so.
    #[error("revoked at {since}: {reason}")]
    Revoked {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// There is no list of that issuer that covers it.
    #[error("no revocation list of {0} covers it")]
    NoList(IssuerId),
    /// The list is too old to say anything.
    #[error("the revocation list of {issuer} was to be replaced at {next_update}, now {now}")]
    Stale {
        /// The issuer.
        issuer: IssuerId,
        /// When there should have been a newer one.
        next_update: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// The responder does not know it.
    #[error("the OCSP responder of {0} does not know it")]
    Unknown(IssuerId),
    /// The responder must answer, and did not.
    #[error("the OCSP responder of {0} did not answer")]
    Silent(IssuerId),
}

#[cfg(test)]
mod tests {
    use super::forged::at;
    use super::*;

    fn freshness(ends: i64, covers: Covers) -> Freshness {
        Freshness { this_update: at(-9), next_update: at(ends), covers, number: Number::from(1) }
    }

    fn entry() -> RevokedCertificate {
        RevokedCertificate { serial: "5".to_owned(), since: at(-3), reason: Reason::KeyCompromise }
    }

    #[test]
    fn whether_a_link_is_good() {
        let issuer = IssuerId::of_key(b"key");
        let point = Scope::of_point(b"point");
        let link = |is_ca| Link {
            issuer: issuer.clone(),
            serial: "5".to_owned(),
            scopes: vec![Scope::Full, point],
            is_ca,
        };
        let (users, cas) = (Covers { users: true, cas: false }, Covers { users: false, cas: true });
        let list =
            |scope, ends: i64, covers| ListStatus { scope, list: Some(freshness(ends, covers)), entry: None };
        let fresh = list(Scope::Full, 1, Covers::ALL);
        let listed = ListStatus { entry: Some(entry()), ..fresh.clone() };
        let listed_stale = ListStatus { entry: Some(entry()), ..list(point, -8, Covers::ALL) };
        let entry_alone = ListStatus { scope: point, list: None, entry: Some(entry()) };
        let nothing = ListStatus { scope: Scope::Full, list: None, entry: None };
        let revoked = Refusal::Revoked { since: at(-3), reason: Reason::KeyCompromise };
        let no_list = Refusal::NoList(issuer.clone());
        let stale = Refusal::Stale { issuer: issuer.clone(), next_update: at(-2), now: at(0) };
        let unknown = Refusal::Unknown(issuer.clone());
        let silent = Refusal::Silent(issuer.clone());
        let said = Responder::Revoked { since: at(-3), reason: Reason::KeyCompromise };
        let (meek, needed) = (Responder::Silent { required: false }, Responder::Silent { required: true });
        let not_asked = Responder::NotAsked;

        type Row<'a> = (&'a str, bool, Vec<ListStatus>, Responder, Option<&'a Refusal>);
        let rows: Vec<Row<'_>> = vec![
            ("no answer at all", false, vec![], not_asked, Some(&no_list)),
            ("no list", false, vec![nothing.clone()], not_asked, Some(&no_list)),
            ("a fresh list", false, vec![fresh.clone()], not_asked, None),
            ("a list of a point alone", false, vec![nothing, list(point, 1, Covers::ALL)], not_asked, None),
            (
                "a list of another point",
                false,
                vec![list(Scope::of_point(b"other"), 1, Covers::ALL)],
                not_asked,
                Some(&no_list),
            ),
            ("users' list for a user", false, vec![list(Scope::Full, 1, users)], not_asked, None),
            ("users' list for a CA", true, vec![list(Scope::Full, 1, users)], not_asked, Some(&no_list)),
            ("CAs' list for a CA", true, vec![list(Scope::Full, 1, cas)], not_asked, None),
            ("CAs' list for a user", false, vec![list(Scope::Full, 1, cas)], not_asked, Some(&no_list)),
            ("listed", false, vec![listed.clone()], not_asked, Some(&revoked)),
            ("listed on a stale list", false, vec![listed_stale.clone()], not_asked, Some(&revoked)),
            (
                "listed on one, fresh on the other",
                false,
                vec![fresh.clone(), listed_stale],
                not_asked,
                Some(&revoked),
            ),
            ("an entry without a list", false, vec![fresh.clone(), entry_alone], not_asked, Some(&revoked)),
            ("the end is now", false, vec![list(Scope::Full, 0, Covers::ALL)], not_asked, None),
            ("in the grace", false, vec![list(Scope::Full, -1, Covers::ALL)], not_asked, None),
            ("past the grace", false, vec![list(Scope::Full, -2, Covers::ALL)], not_asked, Some(&stale)),
            (
                "one stale, one fresh",
                false,
                vec![list(Scope::Full, -2, Covers::ALL), list(point, 1, Covers::ALL)],
                not_asked,
                None,
            ),
            (
                "fresh, but of CAs; stale, of users",
                false,
                vec![list(Scope::Full, 1, cas), list(point, -2, users)],
                not_asked,
                Some(&stale),
            ),
            ("the responder agrees", false, vec![fresh.clone()], Responder::Good, None),
            ("the responder alone", false, vec![], Responder::Good, Some(&no_list)),
            ("the responder is stricter", false, vec![fresh.clone()], said, Some(&revoked)),
            ("the list is stricter", false, vec![listed], Responder::Good, Some(&revoked)),
            (
                "the responder does not know it",
                false,
                vec![fresh.clone()],
                Responder::Unknown,
                Some(&unknown),
            ),
            ("the responder is silent", false, vec![fresh.clone()], meek, None),
            ("the responder is silent, but needed", false, vec![fresh], needed, Some(&silent)),
        ];
        for (what, is_ca, lists, responder, expected) in rows {
            let status = Status { lists, responder };
            let verdict = link(is_ca).not_revoked(&status, at(0), SignedDuration::from_hours(24));
            assert_eq!(verdict.err().as_ref(), expected, "{what}");
        }
    }

    #[test]
    fn every_link_of_a_path_is_asked() {
        let link = |serial: &str, is_ca| Link {
            issuer: IssuerId::of_key(serial.as_bytes()),
            serial: serial.to_owned(),
            scopes: vec![Scope::Full],
            is_ca,
        };
        let links = [link("1", false), link("2", true)];
        let good = Status {
            lists: vec![ListStatus {
                scope: Scope::Full,
                list: Some(freshness(1, Covers::ALL)),
                entry: None,
            }],
            responder: Responder::NotAsked,
        };
        let revoked = Status {
            lists: vec![ListStatus { scope: Scope::Full, list: None, entry: Some(entry()) }],
            responder: Responder::NotAsked,
        };
        let none = Status::default();
        let rows: [(&str, Vec<Status>, Option<&str>); 7] = [
            ("both good", vec![good.clone(), good.clone()], None),
            ("the CA is revoked", vec![good.clone(), revoked.clone()], Some("revoked at")),
            ("nobody asked about the CA", vec![good.clone()], Some("no revocation list")),
            ("nobody asked", vec![], Some("no revocation list")),
            ("no list of the leaf", vec![none.clone(), good.clone()], Some("no revocation list")),
            ("no list of the leaf, and the CA is revoked", vec![none, revoked.clone()], Some("revoked at")),
            ("the leaf is revoked", vec![revoked, good], Some("revoked at")),
        ];
        for (what, statuses, expected) in rows {
            let verdict = not_revoked(&links, &statuses, at(0), SignedDuration::ZERO);
            match (verdict, expected) {
                (Ok(()), None) => {}
                (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{what}: {error}"),
                (verdict, _) => panic!("{what}: {verdict:?}"),
            }
        }
        assert_eq!(not_revoked(&[], &[], at(0), SignedDuration::ZERO), Ok(()));
    }

    #[test]
    fn reasons_and_numbers_are_written_and_read() {
        for code in 0..=u8::MAX {
            let reason = Reason::from_code(code);
            assert_eq!(reason.is_some(), matches!(code, 0..=6 | 8..=10), "{code}");
            assert!(
                reason.is_none_or(|reason| reason.code() == code && Reason::try_from(code) == Ok(reason))
            );
        }
        let number = |bytes: &[u8]| Number::from_be_bytes(bytes).unwrap();
        assert_eq!(number(&[]), Number::from(0));
        assert_eq!(number(&[0, 1, 0]), Number::from(256));
        assert!(number(&[2]) < number(&[1, 0]) && number(&[0xff; 20]) > Number::from(u64::MAX));
        assert_eq!(Number::from_be_bytes(&[1; 21]), None);
        assert_eq!(Number::from(10).to_string(), format!("{}a", "0".repeat(39)));
        assert_eq!(Number::from(10).to_string().parse(), Ok(Number::from(10)));
        for text in ["", "a", &"A".repeat(40), &"0".repeat(41)] {
            assert!(text.parse::<Number>().is_err(), "{text}");
        }
    }
}

//! Client certificates: whether one may sign in, and whose it is.
//!
//! The gateway has checked chain and dates already; it is not believed. What it does not check at all — the kind of
//! certificate, key usage, policies, revocation — is checked here too. Field facts: citizen certificates (MOICA) name
//! their holder by common name and a 16-digit serial number and may carry the last four digits of the national ID in the
//! Subject Directory Attributes; organization certificates (GCA) carry the agency's OID there.
//!
//! [`truststore`] has the CAs and asks the questions in order: [`path`] looks for a path to one of them and decides it
//! (RFC 5280 section 6), with `name` and `constraint` for names and name constraints, [`policy`] for certificate policies,
//! `signature` for keys and algorithms, and `parsed` for what a certificate says; [`profile`] is `issuers.toml`, what is
//! asked beyond that; [`holder`] reads who holds the certificate. `sighting` is what a log may say of one that is refused.
//! Whether it is revoked is [`crate::revocation`]'s question.
//!
//! # What this does not decide
//! Host names: nobody connects to a card. A CA's own conformance, where a reader is not misled by it: key identifiers that
//! are missing, a `basicConstraints` that is not critical.

mod constraint;
pub mod holder;
pub(crate) mod name;
mod parsed;
pub mod path;
pub mod policy;
pub mod profile;
pub mod reference;
mod sighting;
pub(crate) mod signature;
#[cfg(test)]
mod tests;
pub mod truststore;

use std::fmt;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::holder::{Citizen, Holder};
pub use self::path::ValidPath;
pub use self::policy::Policies;
pub use self::profile::{IssuerProfile, IssuerProfiles, Kind, OcspProfile, ProfileError, Requirement};
pub use self::reference::{NotAReference, Reference};
pub use self::sighting::{Issuer, Sighting, sight};
pub use self::truststore::{Authority, Truststore};
use crate::revocation::Link;

/// An issuing CA, told apart by its key: all generations of MOICA carry one name. SHA-256 of its
/// SubjectPublicKeyInfo, hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IssuerId(String);

impl IssuerId {
    /// The issuer with this DER-encoded SubjectPublicKeyInfo.
    pub fn of_key(spki: &[u8]) -> Self {
        Self(hex::encode(digest::digest(&digest::SHA256, spki)))
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A certificate that may sign in, as far as the certificate itself tells: path, dates, kind, key usage, policies.
/// Whether it or a CA above it is revoked is not known yet: that is decided in [`crate::revocation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    certificate: Certificate,
    path: ValidPath,
}

impl Checked {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The path to a CA of the truststore.
    pub fn path(&self) -> &ValidPath {
        &self.path
    }

    /// Every certificate below the trust anchor, the holder's first, as revocation is asked about it.
    pub fn links(&self) -> &[Link] {
        self.path.links()
    }

    /// The certificate, giving up the proof.
    pub(crate) fn into_certificate(self) -> Certificate {
        self.certificate
    }
}

/// What matters of a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The key that issued it.
    pub issuer: IssuerId,
    /// What people call the issuer: the name in its profile.
    pub issuer_name: String,
    /// Issuers of one family continue each other's cards: see [`IssuerProfile::family`].
    pub family: String,
    /// Its serial number, hex, without leading zeros.
    pub serial: String,
    /// Its holder.
    pub holder: Holder,
    /// The end of its validity.
    pub not_after: Timestamp,
}

impl Certificate {
    /// How tables, audit and logs name it.
    pub fn reference(&self) -> Reference {
        Reference { issuer: self.issuer.clone(), serial: self.serial.clone() }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} of {})", self.serial, self.issuer)
    }
}

/// Why a certificate may not sign in. Evidence is for our log; it names no holder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No certificate came.
    #[error("no certificate")]
    Missing,
    /// Not a certificate, or one that RFC 5280 does not allow.
    #[error("malformed: {0}")]
    Malformed(String),
    /// It does not chain to a CA of the truststore, or its CA's time is over.
    #[error("no path to the truststore: {0}")]
    Untrusted(String),
    /// Its key is too weak to believe.
    #[error("weak key: {0}")]
    WeakKey(String),
    /// Its time is over.
    #[error("expired at {not_after}, now {now}")]
    Expired {
        /// The end.
        not_after: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// Its time has not come.
    #[error("valid from {not_before}, now {now}")]
    NotYetValid {
        /// The beginning.
        not_before: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// A certificate for something else: of a CA, for encryption, of another issuer of the truststore, of a policy that
    /// is not accepted.
    #[error("wrong kind: {0}")]
    WrongKind(&'static str),
}

/// A serial number as revocation lists and our tables write it, from an `INTEGER`'s content: hex, without leading zeros.
/// RFC 5280 allows none that is negative; one is written with a minus sign before the octets of its shortest form, so that
/// it is not taken for the positive number with the same octets.
pub fn serial_hex(raw: &[u8]) -> String {
    let negative = raw.first().is_some_and(|first| first & 0x80 != 0);
    if negative {
        let mut shortest = raw;
        while let [0xff, second, ..] = shortest
            && second & 0x80 != 0
        {
            shortest = shortest.get(1..).unwrap_or_default();
        }
        return format!("-{}", hex::encode(shortest));
    }
    let hex = hex::encode(raw);
    let trimmed = hex.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() }
}

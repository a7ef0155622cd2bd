//! Client certificates: whether one may sign in, and whose it is.
//!
//! The gateway has checked chain and dates already; it is not believed. What it does not check at all — the kind of
//! certificate, key usage, policies, revocation — is checked here too. Field facts: citizen certificates (MOICA) name
//! their holder by common name and a 16-digit serial number and may carry the last four digits of the national ID in the
//! Subject Directory Attributes; organization certificates (GCA) carry the agency's OID there.
//!
//! [`truststore`] has the CAs and asks the questions in order; [`path`] decides whether a certificate is valid (RFC 5280
//! section 6); [`profile`] is `issuers.toml`, what is asked beyond that; [`holder`] reads who holds it. Whether it is
//! revoked is [`crate::revocation`]'s question.

mod constraint;
mod der;
pub mod holder;
pub(crate) mod name;
mod parsed;
pub mod path;
pub mod policy;
pub mod profile;
pub mod reference;
mod sighting;
pub(crate) mod signature;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, KeyUsagePurpose,
    };

    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::path::MAX_PEM;
    use super::*;

    const START: i64 = 1_767_225_600;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(START + day * 86_400).unwrap()
    }

    /// A CA of a name that several may have.
    fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::OrganizationName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = ca.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(ca, key))
    }

    /// Subject Directory Attributes with one string.
    fn directory_attributes(oid: &[u64], value: &[u8]) -> CustomExtension {
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let attribute = [wrap(0x06, &encoded(oid)), wrap(0x31, &wrap(0x13, value))].concat();
        CustomExtension::from_oid_content(&[2, 5, 29, 9], wrap(0x30, &wrap(0x30, &attribute)))
    }

    /// An OID's content (X.690 section 8.19).
    fn encoded(arcs: &[u64]) -> Vec<u8> {
        let (first, rest) = arcs.split_at(2);
        let numbers = std::iter::once(first[0] * 40 + first[1]).chain(rest.iter().copied());
        numbers
            .flat_map(|number| {
                let groups = (0..10_u32).rev().map(move |i| (i, (number >> (7 * i)) & 0x7f));
                let mut started = false;
                groups
                    .filter_map(|(i, group)| {
                        started |= group != 0 || i == 0;
                        let more = if i == 0 { 0 } else { 0x80 };
                        started.then(|| u8::try_from(group | more).unwrap())
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// A citizen's card as MOICA makes them, valid from day 0 to day 10.
    fn citizen_card() -> CertificateParams {
        let mut card = CertificateParams::default();
        card.distinguished_name.push(DnType::CountryName, "TW");
        card.distinguished_name.push(DnType::CommonName, "王大明");
        card.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "0000000112345678");
        card.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        card.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        card.custom_extensions = vec![directory_attributes(&[2, 16, 886, 1, 100, 2, 51], b"6789")];
        let day = |day: i64| time::OffsetDateTime::from_unix_timestamp(START + day * 86_400).unwrap();
        (card.not_before, card.not_after) = (day(0), day(10));
        card
    }

    fn issue(card: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> String {
        card.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().pem()
    }

    fn pin(pem: &str, kind: &str, directory_attributes: &str) -> String {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let fingerprint = hex::encode(digest::digest(&digest::SHA256, &der));
        format!(
            "[[issuer]]\ncertificate_sha256 = \"{fingerprint}\"\nname = \"test\"\nkind = \"{kind}\"\n\
             directory_attributes = \"{directory_attributes}\"\n"
        )
    }

    fn truststore(pem: &str, issuers: &str) -> Truststore {
        Truststore::new(pem.as_bytes(), IssuerProfiles::parse(issuers).unwrap()).unwrap()
    }

    #[test]
    fn which_certificates_may_sign_in() {
        let (citizens_pem, citizens) = authority("內政部憑證管理中心");
        let (agencies_pem, agencies) = authority("政府憑證管理中心");
        let (unpinned_pem, unpinned) = authority("unpinned");
        let (_, namesake) = authority("內政部憑證管理中心");
        let issuers =
            [pin(&citizens_pem, "citizen", "required"), pin(&agencies_pem, "organization", "optional")]
                .concat();
        let truststore = truststore(&[citizens_pem, agencies_pem, unpinned_pem].concat(), &issuers);

        let card = citizen_card;
        let with = |change: fn(&mut CertificateParams)| {
            let mut card = card();
            change(&mut card);
            card
        };
        let agency = || {
            let mut card = card();
            card.custom_extensions =
                vec![directory_attributes(&[2, 16, 886, 1, 100, 2, 102], b"2.16.886.101.90001")];
            card
        };
        let rows = [
            ("a citizen's", issue(&card(), &citizens), 5, "accepted"),
            ("an agency's", issue(&agency(), &agencies), 5, "accepted"),
            ("with CRLF", issue(&card(), &citizens).replace('\n', "\r\n"), 5, "accepted"),
            ("貳、1、(2)1. expired", issue(&card(), &citizens), 11, "expired"),
            ("not yet valid", issue(&card(), &citizens), -1, "not yet valid"),
            ("of another key of the same name", issue(&card(), &namesake), 5, "untrusted"),
            ("of a CA without a pin", issue(&card(), &unpinned), 5, "wrong kind"),
            ("an agency's attributes from the citizens' CA", issue(&agency(), &citizens), 5, "wrong kind"),
            ("without an organization OID", issue(&card(), &agencies), 5, "wrong kind"),
            (
                "for encryption",
                issue(&with(|c| c.key_usages = vec![KeyUsagePurpose::KeyEncipherment]), &citizens),
                5,
                "wrong kind",
            ),
            ("without key usage", issue(&with(|c| c.key_usages.clear()), &citizens), 5, "wrong kind"),
            (
                "for servers",
                issue(
                    &with(|c| c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
                    &citizens,
                ),
                5,
                "wrong kind",
            ),
            (
                "a CA's",
                issue(&with(|c| c.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), &citizens),
                5,
                "wrong kind",
            ),
            (
                "without the digits where they are required",
                issue(&with(|c| c.custom_extensions.clear()), &citizens),
                5,
                "wrong kind",
            ),
            (
                "three digits",
                issue(
                    &with(|c| {
                        c.custom_extensions = vec![directory_attributes(&[2, 16, 886, 1, 100, 2, 51], b"678")]
                    }),
                    &citizens,
                ),
                5,
                "wrong kind",
            ),
            (
                "damaged attributes",
                issue(
                    &with(|c| {
                        c.custom_extensions =
                            vec![CustomExtension::from_oid_content(&[2, 5, 29, 9], vec![0x30, 0x05, 1])]
                    }),
                    &citizens,
                ),
                5,
                "wrong kind",
            ),
            (
                "rubbish",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
                5,
                "malformed",
            ),
            ("no PEM", "王大明".to_owned(), 5, "malformed"),
            ("too long", "A".repeat(MAX_PEM + 1), 5, "malformed"),
            ("nothing", String::new(), 5, "missing"),
        ];
        for (what, pem, day, expected) in rows {
            let verdict = truststore.check(&pem, at(day));
            let name = match &verdict {
                Ok(_) => "accepted",
                Err(Refusal::Missing) => "missing",
                Err(Refusal::Malformed(_)) => "malformed",
                Err(Refusal::Untrusted(_)) => "untrusted",
                Err(Refusal::WeakKey(_)) => "weak key",
                Err(Refusal::Expired { .. }) => "expired",
                Err(Refusal::NotYetValid { .. }) => "not yet valid",
                Err(Refusal::WrongKind(_)) => "wrong kind",
            };
            assert_eq!(name, expected, "{what}: {verdict:?}");
        }
    }

    #[test]
    fn serials_are_written_without_leading_zeros() {
        for (raw, hex) in [(&[0, 0x0a, 0xff][..], "aff"), (&[0][..], "0"), (&[0x10][..], "10")] {
            assert_eq!(serial_hex(raw), hex);
        }
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            use base64::Engine as _;
            let (pem, _) = authority("x");
            let truststore = truststore(&pem, &pin(&pem, "citizen", "optional"));
            let body = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let text = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
            prop_assert!(truststore.check(&text, at(5)).is_err());
            prop_assert!(truststore.check(&String::from_utf8_lossy(&bytes), at(5)).is_err());
        }
    }
}

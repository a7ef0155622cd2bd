//! Lists for tests, put together byte by byte, so that any rule of RFC 5280 can be broken in them.

use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SigningKey as _};

use super::Ca;
use crate::der::{
    BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, UTC_TIME,
    constructed, primitive, tagged,
};

/// `ecdsa-with-SHA256`.
pub(super) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// `ecdsa-with-SHA1`.
pub(super) const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];

pub(super) const NUMBER: u8 = 20;
pub(super) const REASON: u8 = 21;
pub(super) const INVALIDITY: u8 = 24;
pub(super) const DELTA: u8 = 27;
pub(super) const POINT: u8 = 28;
pub(super) const ISSUER: u8 = 29;
pub(super) const KEY_IDENTIFIER: u8 = 35;

/// A day of 2026, at noon.
pub(super) fn at(day: i64) -> Timestamp {
    let start: Timestamp = "2026-08-03T12:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_hours(24 * day)
}

/// A CA with its key.
pub(super) struct Authority {
    key: KeyPair,
    pub(super) certificate: Vec<u8>,
}

impl Authority {
    pub(super) fn named(name: &str) -> Self {
        Self::with_usages(name, vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])
    }

    pub(super) fn with_usages(name: &str, usages: Vec<KeyUsagePurpose>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::OrganizationName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = usages;
        let certificate = ca.self_signed(&key).unwrap().der().to_vec();
        Self { key, certificate }
    }

    /// A certificate of this CA for a new key with these usages, valid in 2026 or only before.
    pub(super) fn certifies(&self, name: &str, usages: Vec<KeyUsagePurpose>, in_time: bool) -> Vec<u8> {
        let mut certificate = CertificateParams::default();
        certificate.distinguished_name.push(DnType::OrganizationName, name);
        certificate.key_usages = usages;
        certificate.not_before = rcgen::date_time_ymd(2020, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(if in_time { 2030 } else { 2025 }, 1, 1);
        let issuer = rcgen::Issuer::from_ca_cert_der(&self.certificate.as_slice().into(), &self.key).unwrap();
        certificate.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
    }

    pub(super) fn ca(&self) -> Ca<'_> {
        Ca::of(&self.certificate).unwrap()
    }
}

/// A list, part by part.
#[derive(Clone)]
pub(super) struct Forged {
    pub(super) version: Option<Vec<u8>>,
    /// The algorithm inside, and outside.
    pub(super) algorithms: [Vec<u8>; 2],
    pub(super) this_update: Vec<u8>,
    pub(super) next_update: Option<Vec<u8>>,
    pub(super) entries: Option<Vec<Vec<u8>>>,
    pub(super) extensions: Vec<Vec<u8>>,
}

impl Forged {
    /// The list of day 0, number 7, good for a day, on which these are.
    pub(super) fn listing(entries: &[Vec<u8>]) -> Self {
        let algorithm = sequence(&[tagged(OID, ECDSA_SHA256)]);
        Self {
            version: Some(tagged(INTEGER, &[1])),
            algorithms: [algorithm.clone(), algorithm],
            this_update: utc("260803120000Z"),
            next_update: Some(utc("260804120000Z")),
            entries: Some(entries.to_vec()),
            extensions: vec![extension(NUMBER, false, &tagged(INTEGER, &[7]))],
        }
    }

    /// With another number.
    pub(super) fn numbered(mut self, number: u8) -> Self {
        self.extensions.remove(0);
        self.extensions.insert(0, extension(NUMBER, false, &tagged(INTEGER, &[number])));
        self
    }

    /// With one more extension.
    pub(super) fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// With an issuing distribution point of these fields.
    pub(super) fn at_point<E: AsRef<[u8]>>(self, fields: &[E]) -> Self {
        self.with(extension(POINT, true, &sequence(fields)))
    }

    /// Good from and until other moments, each as `UTCTime` writes it.
    pub(super) fn between(mut self, this_update: &str, next_update: &str) -> Self {
        (self.this_update, self.next_update) = (utc(this_update), Some(utc(next_update)));
        self
    }

    pub(super) fn signed_by(&self, authority: &Authority) -> Vec<u8> {
        let mut message = Vec::new();
        message.extend_from_slice(self.version.as_deref().unwrap_or_default());
        message.extend_from_slice(&self.algorithms[0]);
        message.extend_from_slice(authority.ca().name());
        message.extend_from_slice(&self.this_update);
        message.extend_from_slice(self.next_update.as_deref().unwrap_or_default());
        if let Some(entries) = &self.entries {
            message.extend_from_slice(&sequence(entries));
        }
        if !self.extensions.is_empty() {
            message.extend_from_slice(&tagged(constructed(0), &sequence(&self.extensions)));
        }
        let message = tagged(SEQUENCE, &message);
        let signature = authority.key.sign(&message).unwrap();
        let signature = tagged(BIT_STRING, &[vec![0], signature].concat());
        sequence(&[message, self.algorithms[1].clone(), signature])
    }
}

pub(super) fn sequence<E: AsRef<[u8]>>(elements: &[E]) -> Vec<u8> {
    tagged(SEQUENCE, &joined(elements))
}

pub(super) fn joined<E: AsRef<[u8]>>(elements: &[E]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.as_ref().iter().copied()).collect()
}

pub(super) fn utc(text: &str) -> Vec<u8> {
    tagged(UTC_TIME, text.as_bytes())
}

pub(super) fn generalized(text: &str) -> Vec<u8> {
    tagged(GENERALIZED_TIME, text.as_bytes())
}

/// An extension of the arc 2.5.29.
pub(super) fn extension(arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tagged(BOOLEAN, &[0xff]) } else { Vec::new() };
    sequence(&[tagged(OID, &[0x55, 0x1d, arc]), critical, tagged(OCTET_STRING, value)])
}

/// An entry with these extensions, revoked at the beginning of 2026.
pub(super) fn entry_with(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = if extensions.is_empty() { Vec::new() } else { sequence(extensions) };
    sequence(&[tagged(INTEGER, serial), utc("260101000000Z"), extensions])
}

pub(super) fn entry(serial: &[u8]) -> Vec<u8> {
    entry_with(serial, &[])
}

pub(super) fn reason(code: u8) -> Vec<u8> {
    extension(REASON, false, &tagged(ENUMERATED, &[code]))
}

/// The extension that says whose entry it is.
pub(super) fn issued_by(authority: &Authority) -> Vec<u8> {
    extension(ISSUER, true, &sequence(&[directory_name(authority.ca().name())]))
}

pub(super) fn directory_name(name: &[u8]) -> Vec<u8> {
    tagged(constructed(4), name)
}

pub(super) fn address(url: &str) -> Vec<u8> {
    tagged(primitive(6), url.as_bytes())
}

/// The `distributionPoint` of a point, or of an issuing point, by its full name.
pub(super) fn full_name<E: AsRef<[u8]>>(general_names: &[E]) -> Vec<u8> {
    tagged(constructed(0), &tagged(constructed(0), &joined(general_names)))
}

/// A flag of an issuing distribution point.
pub(super) fn flag(number: u8) -> Vec<u8> {
    tagged(primitive(number), &[0xff])
}

/// `onlySomeReasons`, or a distribution point's `reasons` with the number 1: the bits' content.
pub(super) fn some_reasons(number: u8, bits: &[u8]) -> Vec<u8> {
    tagged(primitive(number), bits)
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

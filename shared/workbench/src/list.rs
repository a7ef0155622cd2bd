//! Revocation lists of any length (RFC 5280 section 5): a million entries, 49 MB, are written in well under a second.

use time::OffsetDateTime;

use crate::authority::Authority;

/// An entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The serial number, a positive integer of 16 bytes.
    pub serial: [u8; 16],
    /// Since when, in seconds of Unix time; before 2050.
    pub since: i64,
    /// The reason code (RFC 5280 section 5.3.1), if there is one.
    pub reason: Option<u8>,
}

impl Entry {
    /// The entry of that index: the same index is always the same entry, and no two have the same serial number.
    #[must_use]
    pub fn sample(index: u64) -> Self {
        // Two rounds of SplitMix64: one-to-one in the index, and as evenly spread as a CA's random serials.
        let (high, low) = (mixed(index), mixed(index ^ 0x5bd1_e995_9d2f_3b17));
        let mut serial = [0; 16];
        serial[..8].copy_from_slice(&high.to_be_bytes());
        serial[8..].copy_from_slice(&low.to_be_bytes());
        // Positive, and sixteen bytes. The low half alone is one-to-one.
        serial[0] = serial[0] & 0x3f | 0x40;
        let since = crate::authority::START - 1 - i64::try_from(high % 100_000_000).unwrap_or(0);
        Self { serial, since, reason: Some([1, 3, 4, 5][usize::from(serial[15] & 3)]) }
    }

    /// Its serial number, hex.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        hex::encode(self.serial)
    }
}

/// SplitMix64's finalizer.
fn mixed(index: u64) -> u64 {
    let z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a list says beside its entries.
#[derive(Clone, Copy, Debug)]
pub struct Heading {
    /// `cRLNumber`.
    pub number: u64,
    /// `thisUpdate`, in seconds of Unix time; before 2050.
    pub this_update: i64,
    /// `nextUpdate`, in seconds of Unix time; before 2050.
    pub next_update: i64,
}

/// A full list that the CA signs; DER.
///
/// # Panics
/// When a time is after 2049.
#[must_use]
pub fn write(authority: &Authority, heading: Heading, entries: impl IntoIterator<Item = Entry>) -> Vec<u8> {
    let mut revoked = Vec::new();
    for entry in entries {
        append_entry(&mut revoked, &entry);
    }
    write_raw(authority, heading, &revoked)
}

/// As [`write()`], with the content of `revokedCertificates` as it is given. None is left out, as RFC 5280 wants it.
///
/// # Panics
/// When a time is after 2049.
#[must_use]
pub fn write_raw(authority: &Authority, heading: Heading, revoked: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(revoked.len() + 1_024);
    // Version 2.
    content.extend_from_slice(&[2, 1, 1]);
    content.extend_from_slice(authority.algorithm().identifier());
    content.extend_from_slice(&subject(authority));
    content.extend_from_slice(&element(0x17, utc_time(heading.this_update).as_bytes()));
    content.extend_from_slice(&element(0x17, utc_time(heading.next_update).as_bytes()));
    if !revoked.is_empty() {
        head(&mut content, 0x30, revoked.len());
        content.extend_from_slice(revoked);
    }
    let mut number = heading.number.to_be_bytes().to_vec();
    while number.len() > 1 && number[0] == 0 && number[1] < 0x80 {
        number.remove(0);
    }
    if number[0] >= 0x80 {
        number.insert(0, 0);
    }
    let number = element(0x04, &element(0x02, &number));
    let extension = element(0x30, &[&[6, 3, 0x55, 0x1d, 20][..], &number].concat());
    content.extend_from_slice(&element(0xa0, &element(0x30, &extension)));
    signed(authority, &element(0x30, &content))
}

/// A signed structure (a certificate, a list) around what is to be signed; DER.
///
/// # Panics
/// When the CA's key refuses.
#[must_use]
pub fn signed(authority: &Authority, to_be_signed: &[u8]) -> Vec<u8> {
    signed_as(authority, to_be_signed, authority.algorithm().identifier())
}

/// As [`signed`], with another AlgorithmIdentifier beside the signature than the CA's.
///
/// # Panics
/// When the CA's key refuses.
#[must_use]
pub fn signed_as(authority: &Authority, to_be_signed: &[u8], algorithm: &[u8]) -> Vec<u8> {
    let mut signature = vec![0];
    signature.extend_from_slice(&authority.sign(to_be_signed));
    let signature = element(0x03, &signature);
    let mut out = Vec::with_capacity(to_be_signed.len() + algorithm.len() + signature.len() + 8);
    head(&mut out, 0x30, to_be_signed.len() + algorithm.len() + signature.len());
    out.extend_from_slice(to_be_signed);
    out.extend_from_slice(algorithm);
    out.extend_from_slice(&signature);
    out
}

/// An `OCSPResponse` (RFC 6960 section 4.2.1), successful, around a `BasicOCSPResponse`; DER.
#[must_use]
pub fn ocsp_response(basic: &[u8]) -> Vec<u8> {
    // id-pkix-ocsp-basic.
    let kind = element(0x06, &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1]);
    let bytes = element(0x30, &[kind, element(0x04, basic)].concat());
    element(0x30, &[element(0x0a, &[0]), element(0xa0, &bytes)].concat())
}

/// The DER element with that tag and content.
#[must_use]
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    head(&mut out, tag, content.len());
    out.extend_from_slice(content);
    out
}

fn head(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    let bytes = length.to_be_bytes();
    if length < 0x80 {
        out.push(bytes[bytes.len() - 1]);
    } else {
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
        out.push(0x80 | u8::try_from(bytes.len() - first).unwrap());
        out.extend_from_slice(&bytes[first..]);
    }
}

fn append_entry(out: &mut Vec<u8>, entry: &Entry) {
    // reasonCode: OBJECT IDENTIFIER 2.5.29.21, OCTET STRING of ENUMERATED.
    let reason = entry.reason.map(|code| [0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 21, 4, 3, 10, 1, code]);
    let reason = reason.as_ref().map_or(&[][..], |reason| &reason[..]);
    head(out, 0x30, 2 + 16 + 2 + 13 + reason.len());
    out.extend_from_slice(&[2, 16]);
    out.extend_from_slice(&entry.serial);
    out.extend_from_slice(&[0x17, 13]);
    out.extend_from_slice(utc_time(entry.since).as_bytes());
    out.extend_from_slice(reason);
}

/// `YYMMDDHHMMSSZ`.
fn utc_time(second: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(second).unwrap();
    assert!((1950..2050).contains(&at.year()), "UTCTime cannot say {at}");
    format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}Z",
        at.year().rem_euclid(100),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// The CA's name, DER: the sixth element of a version 3 TBSCertificate.
fn subject(authority: &Authority) -> Vec<u8> {
    let certificate = crate::damage::Element::parse(authority.certificate()).unwrap();
    certificate.child(0).child(5).to_der()
}

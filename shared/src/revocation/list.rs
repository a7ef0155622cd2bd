//! Reading a list (RFC 5280 sections 5 and 6.3): by reference, entry by entry. A list of a million entries is 49 MB, and
//! nothing of that size is made of it.
//!
//! # What is believed
//! A list that its signer's key verifies, RSA with 2048 bits or more, P-256 or P-384, with SHA-256 or stronger; that has a
//! number and an end; that says nothing critical that is not understood. A list past its `nextUpdate` is still read,
//! because its entries go on revoking; the decision knows that it proves nothing more.
//!
//! # What is not
//! Delta lists and lists for some reasons only are refused here ([`super::ListSet`] reads the latter together); so are
//! lists of attribute certificates.

use std::fmt;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateRevocationListDer, SignatureVerificationAlgorithm};
use webpki::aws_lc_rs as algorithms;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;

use super::der::{
    BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, OID, Reader,
    SEQUENCE, UTC_TIME, constructed, primitive,
};
use super::scope::{PointName, directory_names, tagged};
use super::{Covers, Freshness, Number, Reason, RevokedCertificate, Scope};
use crate::certificate::{IssuerId, serial_hex};

/// How far in the future a list's `thisUpdate` may be: clocks differ.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Signatures that a list may have, as with certificates: nothing with SHA-1 or MD5, no RSA key below 2048 bits.
static SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
];

// Object identifiers, as X.690 section 8.19 encodes them: RFC 5280 sections 4.2.1 and 5.2 for lists, 5.3 for entries.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];

/// A list that cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListRefusal {
    /// Not a certificate revocation list, or one that RFC 5280 does not allow.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Of another issuer, or not signed by this one.
    #[error("not signed by the issuer: {0}")]
    NotTheIssuers(String),
    /// Signed in a way that proves nothing: with SHA-1 or MD5, for example.
    #[error("signed with an algorithm that is not accepted: {0}")]
    Algorithm(String),
    /// Its `thisUpdate` has not come.
    #[error("issued at {this_update}, now {now}")]
    NotYet {
        /// When it will have been issued.
        this_update: Timestamp,
        /// The time of reading.
        now: Timestamp,
    },
    /// A list that we do not read: a delta, one for some reasons, one without a number or an end.
    #[error("not a full list with number and end: {0}")]
    Unsupported(&'static str),
}

impl From<Malformed> for ListRefusal {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Malformed(what.to_owned())
    }
}

/// A CA as far as lists are concerned: one that issues certificates, or one that signs lists, or both.
#[derive(Clone, Debug)]
pub struct Ca<'a> {
    id: IssuerId,
    /// Its name, DER.
    name: &'a [u8],
    /// Its key's algorithm, the content of an `AlgorithmIdentifier`.
    algorithm: &'a [u8],
    key: &'a [u8],
    may_sign_lists: bool,
}

impl<'a> Ca<'a> {
    /// The CA with this DER-encoded certificate, which the caller trusts.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn of(certificate: &'a [u8]) -> Result<Self, Malformed> {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| Malformed("not a CA's certificate"))?;
        let usage = parsed.key_usage().map_err(|_| Malformed("the key usage of a CA"))?;
        let may_sign_lists = usage.is_none_or(|usage| usage.value.crl_sign());
        let certificate = parsed.tbs_certificate;
        let info = certificate.subject_pki.raw;
        let mut fields = Reader::of_sequence(info)?;
        let algorithm = fields.expect(SEQUENCE)?;
        let key = whole_bytes(fields.expect(BIT_STRING)?)?;
        Ok(Self {
            id: IssuerId::of_key(info),
            name: certificate.subject.as_raw(),
            algorithm,
            key,
            may_sign_lists,
        })
    }

    /// Its key.
    pub fn id(&self) -> &IssuerId {
        &self.id
    }

    /// Its name, a DER-encoded `Name`.
    pub(super) fn name(&self) -> &'a [u8] {
        self.name
    }
}

/// A bit string without bits left over.
fn whole_bytes(content: &[u8]) -> Result<&[u8], Malformed> {
    match content {
        [0, bytes @ ..] => Ok(bytes),
        _ => Err(Malformed("a bit string of broken bytes")),
    }
}

/// The lists in a file, PEM (one or several) or DER, as DER.
///
/// # Errors
/// [`ListRefusal::Malformed`]: PEM that is broken, or holds no list.
pub fn lists_in(file: &[u8]) -> Result<Vec<Vec<u8>>, ListRefusal> {
    if file.first() == Some(&SEQUENCE) {
        return Ok(vec![file.to_vec()]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(file)
        .map(|list| list.map(|list| list.as_ref().to_vec()))
        .collect();
    match lists {
        Ok(lists) if lists.is_empty() => {
            Err(ListRefusal::Malformed("neither DER nor PEM of a list".to_owned()))
        }
        Ok(lists) => Ok(lists),
        Err(error) => Err(ListRefusal::Malformed(format!("PEM: {error}"))),
    }
}

/// An issuer's list, its signature verified and its entries looked through.
#[derive(Clone)]
pub struct List<'a> {
    issuer: IssuerId,
    scopes: Vec<Scope>,
    freshness: Freshness,
    der: &'a [u8],
    entries: Entries<'a>,
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List({} of {})", self.freshness.number, self.issuer)
    }
}

impl<'a> List<'a> {
    /// Reads a DER-encoded list that speaks for certificates of `issuer`. It is signed by `signer`, which is the issuer
    /// itself, or the CA that signs indirect lists for it: of such a list only this issuer's entries count.
    ///
    /// # Errors
    /// [`ListRefusal`]; such a list is no list.
    pub fn read(
        der: &'a [u8],
        issuer: &Ca<'_>,
        signer: &Ca<'_>,
        now: Timestamp,
    ) -> Result<Self, ListRefusal> {
        let signed = Signed::parse(der)?;
        signed.verify(signer)?;
        signed.begun(now)?;
        let delegated = issuer.id != signer.id;
        if delegated && !signed.point.indirect {
            return Err(ListRefusal::NotTheIssuers(
                "signed by another CA, but not an indirect list".to_owned(),
            ));
        }
        if signed.delta.is_some() {
            return Err(ListRefusal::Unsupported("a delta list"));
        }
        if signed.point.some_reasons.is_some() {
            return Err(ListRefusal::Unsupported("for some reasons only"));
        }
        // That this CA signs the lists of that issuer is known, so an unnamed list speaks for all of its certificates.
        let scopes = if delegated && signed.point.names.is_empty() {
            vec![Scope::Full]
        } else {
            signed.scopes(delegated)
        };
        let freshness = signed.freshness();
        let entries = signed.entries(issuer);
        Ok(Self { issuer: issuer.id.clone(), scopes, freshness, der, entries })
    }

    /// Whose certificates it speaks for.
    pub fn issuer(&self) -> &IssuerId {
        &self.issuer
    }

    /// Which of them: one scope, or one for each name of its distribution point.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Its dates, its number, and what kind of certificates it speaks for.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Its number.
    pub fn number(&self) -> &Number {
        &self.freshness.number
    }

    /// SHA-256 of the list, hex: tells whether anything in it changed.
    pub fn digest(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.der))
    }

    /// What is revoked, in the list's order; a serial number that is listed twice comes twice.
    pub fn entries(&self) -> Entries<'a> {
        self.entries.clone()
    }
}

/// A list as its bytes say it is; [`Signed::verify`] tells whether they are to be believed.
#[derive(Clone, Debug)]
pub(super) struct Signed<'a> {
    /// What is signed.
    message: &'a [u8],
    /// The content of an `AlgorithmIdentifier`.
    algorithm: &'a [u8],
    signature: &'a [u8],
    /// The signer's name, DER.
    pub(super) name: &'a [u8],
    this_update: Timestamp,
    next_update: Timestamp,
    number: Number,
    /// The number of the list that it goes on from, if it is a delta.
    pub(super) delta: Option<Number>,
    pub(super) point: IssuingPoint<'a>,
    /// The entries' bytes, all of which can be read.
    revoked: &'a [u8],
}

/// An issuing distribution point (RFC 5280 section 5.2.5); that of a list without one says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IssuingPoint<'a> {
    /// Its names, each a DER-encoded `GeneralName`.
    names: Vec<Vec<u8>>,
    pub(super) covers: Covers,
    /// The reasons that it is about: a bit string's content, if not all.
    pub(super) some_reasons: Option<&'a [u8]>,
    pub(super) indirect: bool,
}

impl<'a> Signed<'a> {
    /// Reads a list, and looks through its entries: one that cannot be read spoils it all.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, ListRefusal> {
        if u32::try_from(der.len()).is_err() {
            return Err(ListRefusal::Malformed("longer than 4 GiB".to_owned()));
        }
        let mut outer = Reader::of_sequence(der)?;
        let message = outer.element()?;
        let algorithm = outer.element()?;
        let signature = whole_bytes(outer.expect(BIT_STRING)?)?;
        outer.end()?;
        if algorithm.tag != SEQUENCE {
            return Err(Malformed("no signature algorithm").into());
        }

        let mut fields = Reader::of_sequence(message.raw)?;
        match fields.optional(INTEGER)? {
            Some([1]) => {}
            Some(_) => return Err(Malformed("neither version 1 nor version 2").into()),
            None => return Err(ListRefusal::Unsupported("version 1, which has no number")),
        }
        if fields.element()?.raw != algorithm.raw {
            return Err(Malformed("two signature algorithms").into());
        }
        let name = fields.element()?;
        if name.tag != SEQUENCE || name.content.is_empty() {
            return Err(Malformed("no issuer").into());
        }
        let this_update = fields.time()?;
        if !matches!(fields.peek(), Some(UTC_TIME | GENERALIZED_TIME)) {
            return Err(ListRefusal::Unsupported("no next update"));
        }
        let next_update = fields.time()?;
        if next_update <= this_update {
            return Err(Malformed("its end is not after its beginning").into());
        }
        let revoked = fields.optional(SEQUENCE)?.unwrap_or_default();
        let extensions = fields.optional(constructed(0))?;
        fields.end()?;

        let extensions = Extensions::read(extensions.unwrap_or_default(), name.raw)?;
        let mut entries = Reader::new(revoked);
        while !entries.is_empty() {
            let entry = RawEntry::read(&mut entries)?;
            if entry.issuer.is_some() && !extensions.point.indirect {
                return Err(Malformed("another issuer's entry, but not an indirect list").into());
            }
        }
        Ok(Self {
            message: message.raw,
            algorithm: algorithm.content,
            signature,
            name: name.raw,
            this_update,
            next_update,
            number: extensions.number.ok_or(ListRefusal::Unsupported("no number"))?,
            delta: extensions.delta,
            point: extensions.point,
            revoked,
        })
    }

    /// Whether `signer` signed it: the name alone proves nothing, nor does the key alone.
    pub(super) fn verify(&self, signer: &Ca<'_>) -> Result<(), ListRefusal> {
        let not_the_issuers = |why: &str| Err(ListRefusal::NotTheIssuers(why.to_owned()));
        if self.name != signer.name {
            return not_the_issuers("another name");
        }
        if !signer.may_sign_lists {
            return not_the_issuers("its key usage has no cRLSign");
        }
        let mut accepted =
            SIGNATURES.iter().filter(|known| known.signature_alg_id().as_ref() == self.algorithm).peekable();
        if accepted.peek().is_none() {
            return Err(ListRefusal::Algorithm(algorithm_name(self.algorithm)));
        }
        let verifies = accepted
            .filter(|known| known.public_key_alg_id().as_ref() == signer.algorithm)
            .any(|known| known.verify_signature(signer.key, self.message, self.signature).is_ok());
        if verifies { Ok(()) } else { not_the_issuers("another key, or a broken signature") }
    }

    /// Whether its time has come, give or take [`CLOCK_SKEW`].
    pub(super) fn begun(&self, now: Timestamp) -> Result<(), ListRefusal> {
        if self.this_update.duration_since(now) > CLOCK_SKEW {
            return Err(ListRefusal::NotYet { this_update: self.this_update, now });
        }
        Ok(())
    }

    /// Which certificates it speaks for, as those certificates say it. `delegated`: they name the signer as `cRLIssuer`.
    pub(super) fn scopes(&self, delegated: bool) -> Vec<Scope> {
        if delegated {
            let names = self.point.names.iter();
            let points =
                names.map(|name| Scope::of_delegated_point(Some(name), self.name)).collect::<Vec<_>>();
            return if points.is_empty() { vec![Scope::of_delegated_point(None, self.name)] } else { points };
        }
        // RFC 5280 section 6.3.3: a list of the issuer's own name speaks for certificates that name no point, too.
        let own = tagged(constructed(4), self.name);
        if self.point.names.is_empty() || self.point.names.contains(&own) {
            return vec![Scope::Full];
        }
        self.point.names.iter().map(|name| Scope::of_point(name)).collect()
    }

    /// What makes one list newer than another: its number, then its beginning.
    pub(super) fn age(&self) -> (&Number, Timestamp) {
        (&self.number, self.this_update)
    }

    pub(super) fn freshness(&self) -> Freshness {
        Freshness {
            this_update: self.this_update,
            next_update: self.next_update,
            covers: self.point.covers,
            number: self.number.clone(),
        }
    }

    /// What is revoked of `issuer`.
    pub(super) fn entries(&self, issuer: &Ca<'_>) -> Entries<'a> {
        let own = self.name == issuer.name;
        let issuer = self.point.indirect.then(|| issuer.name.into());
        Entries {
            all: self.revoked,
            begun: self.revoked,
            left: Reader::new(self.revoked),
            issuer,
            applies: own,
        }
    }

    /// All entries of `issuer`, those with [`Reason::RemoveFromCrl`] too.
    pub(super) fn every_entry(&self, issuer: &Ca<'_>) -> impl Iterator<Item = Entry<'a>> {
        let mut entries = self.entries(issuer);
        std::iter::from_fn(move || entries.step())
    }
}

/// An algorithm's object identifier, dotted.
fn algorithm_name(content: &[u8]) -> String {
    let oid = Reader::new(content).element().ok().map(|oid| oid.raw).unwrap_or_default();
    x509_parser::asn1_rs::Oid::from_der(oid).map_or_else(|_| "unnamed".to_owned(), |(_, oid)| oid.to_string())
}

/// What a list's extensions say (RFC 5280 section 5.2).
struct Extensions<'a> {
    number: Option<Number>,
    delta: Option<Number>,
    point: IssuingPoint<'a>,
}

/// One extension: its identifier, whether it is critical, its value.
struct Extension<'a> {
    id: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    #[inline]
    fn read(extensions: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut fields = Reader::new(extensions.expect(SEQUENCE)?);
        let id = fields.expect(OID)?;
        let critical = fields.optional(BOOLEAN)?.map(Reader::boolean).transpose()?.unwrap_or(false);
        let value = fields.expect(OCTET_STRING)?;
        fields.end()?;
        Ok(Self { id, critical, value })
    }
}

impl<'a> Extensions<'a> {
    /// `name` is the list's issuer, after which a relative name of a point is put.
    fn read(content: &'a [u8], name: &[u8]) -> Result<Self, ListRefusal> {
        let everything =
            IssuingPoint { names: vec![], covers: Covers::ALL, some_reasons: None, indirect: false };
        let mut read = Self { number: None, delta: None, point: everything };
        if content.is_empty() {
            return Ok(read);
        }
        let mut seen = Vec::new();
        let mut extensions = Reader::of_sequence(content)?;
        while !extensions.is_empty() {
            let extension = Extension::read(&mut extensions)?;
            if seen.contains(&extension.id) {
                return Err(Malformed("an extension twice").into());
            }
            seen.push(extension.id);
            match extension.id {
                CRL_NUMBER => read.number = Some(number(extension.value)?),
                DELTA_CRL_INDICATOR => read.delta = Some(number(extension.value)?),
                ISSUING_DISTRIBUTION_POINT => read.point = IssuingPoint::read(extension.value, name)?,
                // A hint for finding the key; the key is known.
                AUTHORITY_KEY_IDENTIFIER => {}
                _ if extension.critical => {
                    return Err(ListRefusal::Unsupported("a critical extension that is not known"));
                }
                _ => {}
            }
        }
        Ok(read)
    }
}

fn number(value: &[u8]) -> Result<Number, ListRefusal> {
    let mut reader = Reader::new(value);
    let digits = reader.expect(INTEGER)?;
    reader.end()?;
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        return Err(Malformed("a negative number").into());
    }
    Number::from_be_bytes(digits).ok_or(Malformed("a number of more than 20 octets").into())
}

impl<'a> IssuingPoint<'a> {
    fn read(value: &'a [u8], name: &[u8]) -> Result<Self, ListRefusal> {
        let mut fields = Reader::of_sequence(value)?;
        if fields.is_empty() {
            return Err(Malformed("an issuing distribution point that says nothing").into());
        }
        let point = fields.optional(constructed(0))?.map(PointName::read).transpose()?;
        let mut flag = |number| -> Result<bool, Malformed> {
            fields.optional(primitive(number))?.map_or(Ok(false), Reader::boolean)
        };
        let (only_users, only_cas) = (flag(1)?, flag(2)?);
        let some_reasons = fields.optional(primitive(3))?;
        let mut flag = |number| -> Result<bool, Malformed> {
            fields.optional(primitive(number))?.map_or(Ok(false), Reader::boolean)
        };
        let (indirect, only_attributes) = (flag(4)?, flag(5)?);
        fields.end()?;
        if only_attributes {
            return Err(ListRefusal::Unsupported("of attribute certificates only"));
        }
        if only_users && only_cas {
            return Err(Malformed("of users only and of CAs only").into());
        }
        let names = point.map(|point| point.full(name)).transpose()?.unwrap_or_default();
        let covers = Covers { users: !only_cas, cas: !only_users };
        Ok(Self { names, covers, some_reasons, indirect })
    }
}

/// An entry as it stands in the list.
struct RawEntry<'a> {
    serial: &'a [u8],
    since: Timestamp,
    reason: Reason,
    /// The name that `certificateIssuer` gives, for this entry and those after it (RFC 5280 section 5.3.3).
    issuer: Option<&'a [u8]>,
}

impl<'a> RawEntry<'a> {
    #[inline]
    fn read(entries: &mut Reader<'a>) -> Result<Self, ListRefusal> {
        let mut fields = Reader::new(entries.expect(SEQUENCE)?);
        let serial = significant(fields.expect(INTEGER)?)?;
        let since = fields.time()?;
        let mut entry = Self { serial, since, reason: Reason::Unspecified, issuer: None };
        if !fields.is_empty() {
            entry.extend(Reader::new(fields.expect(SEQUENCE)?))?;
            fields.end()?;
        }
        Ok(entry)
    }

    fn extend(&mut self, mut extensions: Reader<'a>) -> Result<(), ListRefusal> {
        let mut reason = None;
        while !extensions.is_empty() {
            let extension = Extension::read(&mut extensions)?;
            match extension.id {
                REASON_CODE => {
                    let code = match extension.value {
                        [ENUMERATED, 1, code] => Reason::from_code(*code),
                        _ => None,
                    };
                    let code = code.ok_or(Malformed("no such reason"))?;
                    if reason.replace(code).is_some() {
                        return Err(Malformed("an entry with two reasons").into());
                    }
                }
                CERTIFICATE_ISSUER => {
                    let names = directory_names(Reader::of_sequence(extension.value)?.rest())?;
                    let [only] = names.as_slice() else {
                        return Err(Malformed("an entry whose issuer is not one name").into());
                    };
                    if self.issuer.replace(only.name).is_some() {
                        return Err(Malformed("an entry with two issuers").into());
                    }
                }
                INVALIDITY_DATE => {}
                _ if extension.critical => {
                    return Err(ListRefusal::Unsupported(
                        "a critical extension of an entry that is not known",
                    ));
                }
                _ => {}
            }
        }
        self.reason = reason.unwrap_or_default();
        Ok(())
    }
}

/// An integer's content in its shortest form (X.690 section 8.3.2), which is how one serial number is always one: longer
/// forms are not DER, but a CA that writes them still means that certificate.
fn significant(mut integer: &[u8]) -> Result<&[u8], Malformed> {
    while let [first, second, ..] = integer
        && matches!((first, second & 0x80), (0x00, 0x00) | (0xff, 0x80))
    {
        integer = integer.get(1..).unwrap_or_default();
    }
    if integer.is_empty() { Err(Malformed("an empty serial number")) } else { Ok(integer) }
}

/// A revoked certificate, by reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The serial number: an integer's content in its shortest form.
    pub(super) serial: &'a [u8],
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Reason,
}

impl Entry<'_> {
    /// The serial number, as [`serial_hex`] writes it.
    pub fn serial(&self) -> String {
        serial_hex(self.serial)
    }
}

impl From<Entry<'_>> for RevokedCertificate {
    fn from(entry: Entry<'_>) -> Self {
        Self { serial: entry.serial(), since: entry.since, reason: entry.reason }
    }
}

/// The revoked certificates of one issuer in a list. Entries with [`Reason::RemoveFromCrl`] are none: RFC 5280 allows them
/// in delta lists only, and in a full list they say what leaving them out says. A serial number that has both kinds of
/// entry is revoked.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    all: &'a [u8],
    /// The entry that came last, and what follows it.
    begun: &'a [u8],
    left: Reader<'a>,
    /// Whose entries, by name, where a list has entries of several issuers.
    issuer: Option<std::sync::Arc<[u8]>>,
    /// Whether the entries at this place are that issuer's.
    applies: bool,
}

impl<'a> Entries<'a> {
    /// The next entry of the issuer.
    #[inline]
    fn step(&mut self) -> Option<Entry<'a>> {
        while !self.left.is_empty() {
            self.begun = self.left.rest();
            // All entries were read once before; were one unreadable after all, the list would have been refused.
            let entry = RawEntry::read(&mut self.left).ok()?;
            if let (Some(named), Some(issuer)) = (entry.issuer, &self.issuer) {
                self.applies = *named == **issuer;
            }
            if self.applies {
                return Some(Entry { serial: entry.serial, since: entry.since, reason: entry.reason });
            }
        }
        None
    }

    /// The next entry, and where it begins, in bytes from the list's first entry.
    pub(super) fn next_with_offset(&mut self) -> Option<(u32, Entry<'a>)> {
        let entry = self.next()?;
        let offset = self.all.len() - self.begun.len();
        // A list longer than this is refused.
        Some((u32::try_from(offset).ok()?, entry))
    }

    /// The entry that begins there.
    pub(super) fn at(&self, offset: u32) -> Option<Entry<'a>> {
        let bytes = self.all.get(usize::try_from(offset).ok()?..)?;
        let entry = RawEntry::read(&mut Reader::new(bytes)).ok()?;
        Some(Entry { serial: entry.serial, since: entry.since, reason: entry.reason })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let entry = self.step()?;
            if entry.reason != Reason::RemoveFromCrl {
                return Some(entry);
            }
        }
    }
}

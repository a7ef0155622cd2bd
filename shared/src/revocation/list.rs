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
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;

use super::scope::{PointName, directory_names};
use super::{Covers, Freshness, Number, Reason, RevokedCertificate, Scope};
use crate::certificate::name::Name;
use crate::certificate::signature::SIGNATURES;
use crate::certificate::{IssuerId, serial_hex};
use crate::der::{
    BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE, UTC_TIME,
    constructed, primitive, tagged,
};

/// How far in the future a list's `thisUpdate` may be: clocks differ.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

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
        let key = fields.bit_string()?;
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

    /// Whether it has signed `message`; `None` when nothing is proven by such signatures, whoever makes them.
    /// `algorithm` is the content of an `AlgorithmIdentifier`.
    pub(super) fn signed(&self, message: &[u8], algorithm: &[u8], signature: &[u8]) -> Option<bool> {
        let mut known =
            SIGNATURES.iter().filter(|known| known.signature_alg_id().as_ref() == algorithm).peekable();
        known.peek()?;
        let mut of_this_key = known.filter(|known| known.public_key_alg_id().as_ref() == self.algorithm);
        Some(of_this_key.any(|known| known.verify_signature(self.key, message, signature).is_ok()))
    }

    /// Its name, a DER-encoded `Name`.
    pub(super) fn name(&self) -> &'a [u8] {
        self.name
    }
}

/// Whether two DER-encoded names are one (RFC 5280 section 7.1), however their strings are written.
pub(super) fn same_name(one: &[u8], other: &[u8]) -> bool {
    one == other || Name::from_der(one).is_some_and(|one| Name::from_der(other).as_ref() == Some(&one))
}

/// The lists in a file, PEM (one or several) or DER, as DER.
///
/// # Errors
/// [`ListRefusal::Malformed`]: PEM that is broken, or holds no list.
pub fn lists_in(file: &[u8]) -> Result<Vec<Vec<u8>>, ListRefusal> {
    if Reader::of_sequence(file).is_ok() {
        return Ok(vec![file.to_vec()]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(file)
        .map(|list| list.map(|list| list.as_ref().to_vec()))
        .collect();
    match lists {
        // Damaged DER: why it is no list is for its reader to say.
        Ok(lists) if lists.is_empty() && file.first() == Some(&SEQUENCE) => Ok(vec![file.to_vec()]),
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
        let scopes = signed.scopes(if delegated { Signer::Pinned } else { Signer::Issuer });
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

/// What a list's signer is to the issuer of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// The issuer itself.
    Issuer,
    /// The CA that is known to sign the issuer's lists: one without a name speaks for all of the issuer's certificates.
    Pinned,
    /// A CA that signs lists for those certificates that name it as `cRLIssuer`.
    Named,
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
        let signature = outer.bit_string()?;
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
        if !same_name(self.name, signer.name) {
            return not_the_issuers("another name");
        }
        if !signer.may_sign_lists {
            return not_the_issuers("its key usage has no cRLSign");
        }
        match signer.signed(self.message, self.algorithm, self.signature) {
            None => Err(ListRefusal::Algorithm(algorithm_name(self.algorithm))),
            Some(false) => not_the_issuers("another key, or a broken signature"),
            Some(true) => Ok(()),
        }
    }

    /// Whether its time has come, give or take [`CLOCK_SKEW`].
    pub(super) fn begun(&self, now: Timestamp) -> Result<(), ListRefusal> {
        if self.this_update.duration_since(now) > CLOCK_SKEW {
            return Err(ListRefusal::NotYet { this_update: self.this_update, now });
        }
        Ok(())
    }

    /// Which certificates it speaks for.
    pub(super) fn scopes(&self, signer: Signer) -> Vec<Scope> {
        let names = self.point.names.as_slice();
        match signer {
            // RFC 5280 section 6.3.3: a list of the issuer's own name speaks for certificates that name no point, too.
            Signer::Issuer if names.is_empty() || names.contains(&tagged(constructed(4), self.name)) => {
                vec![Scope::Full]
            }
            Signer::Issuer => names.iter().map(|name| Scope::of_point(name)).collect(),
            Signer::Pinned if names.is_empty() => vec![Scope::Full],
            Signer::Named if names.is_empty() => vec![Scope::of_delegated_point(None, self.name)],
            Signer::Pinned | Signer::Named => {
                names.iter().map(|name| Scope::of_delegated_point(Some(name), self.name)).collect()
            }
        }
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
        let own = same_name(self.name, issuer.name);
        let issuer = self.point.indirect.then(|| issuer.name.into());
        Entries {
            all: self.revoked,
            begun: self.revoked,
            left: Reader::new(self.revoked),
            issuer,
            named: self.name,
            applies: own,
        }
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
                // Section 5.2.3: an issuer must not mark it so.
                CRL_NUMBER if extension.critical => return Err(Malformed("a critical number").into()),
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

/// The revoked certificates of one issuer in a list.
///
/// An entry with [`Reason::RemoveFromCrl`] is one of them. RFC 5280 section 5.3.1 allows that reason in delta lists alone; a
/// full list takes a certificate back by leaving it out. What a CA means by such an entry nobody can know: it may be a wrong
/// number where another reason should be. So the certificate counts as revoked until the CA says clearly that it is not,
/// which harms one card. To refuse the list for it would, once the list before has run out, refuse every card of the CA.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    all: &'a [u8],
    /// The entry that came last, and what follows it.
    begun: &'a [u8],
    left: Reader<'a>,
    /// Whose entries, by name, where a list has entries of several issuers.
    issuer: Option<std::sync::Arc<[u8]>>,
    /// The name that was given last, and whether it is that issuer's.
    named: &'a [u8],
    applies: bool,
}

impl<'a> Entries<'a> {
    /// The next entry, and where it begins, in bytes from the list's first entry.
    pub(super) fn next_with_offset(&mut self) -> Option<(u32, Entry<'a>)> {
        let entry = self.next()?;
        let offset = self.all.len() - self.begun.len();
        // A list longer than this is refused.
        Some((u32::try_from(offset).ok()?, entry))
    }

    /// Fetches the entries that begin there into the processor's cache. They are all over the list; looked at one after
    /// the other, each would be waited for, which takes longer than all else that is done with them.
    pub(super) fn touch(&self, offsets: &[u32]) {
        let byte = |at: &u32| self.all.get(usize::try_from(*at).ok()?).copied();
        std::hint::black_box(offsets.iter().filter_map(byte).fold(0, u8::wrapping_add));
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
        while !self.left.is_empty() {
            self.begun = self.left.rest();
            // All entries were read once before; were one unreadable after all, the list would have been refused.
            let entry = RawEntry::read(&mut self.left).ok()?;
            if let (Some(named), Some(issuer)) = (entry.issuer, &self.issuer)
                && named != self.named
            {
                (self.named, self.applies) = (named, same_name(named, issuer));
            }
            if self.applies {
                return Some(Entry { serial: entry.serial, since: entry.since, reason: entry.reason });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::KeyUsagePurpose;

    use super::super::forged::{self, *};
    use super::*;

    fn read(forged: &Forged, authority: &Authority) -> Result<Vec<(String, Reason)>, ListRefusal> {
        let der = forged.signed_by(authority);
        let (ca, now) = (authority.ca(), at(0));
        let list = List::read(&der, &ca, &ca, now)?;
        Ok(list.entries().map(|entry| (entry.serial(), entry.reason)).collect())
    }

    #[test]
    fn which_lists_are_read() {
        let ca = Authority::named("MOICA");
        let plain = || Forged::listing(&[entry(&[5])]);
        let only = |entry: Vec<u8>| Forged::listing(&[entry]);
        let numbered = |content: &[u8]| {
            let mut list = plain();
            list.extensions = vec![extension(NUMBER, false, &tagged(INTEGER, content))];
            list
        };
        let edited = |edit: fn(&mut Forged)| {
            let mut list = plain();
            edit(&mut list);
            list
        };
        let twenty_one = [&[0x01][..], &[0; 20]].concat();
        let of_others = entry_with(&[5], &[issued_by(&ca)]);
        let rows: Vec<(&str, Forged, Option<&str>)> = vec![
            ("5.1: a full list", plain(), None),
            ("5.1.2.1: version 1", edited(|list| list.version = None), Some("version 1")),
            (
                "5.1.2.1: version 3",
                edited(|list| list.version = Some(tagged(INTEGER, &[2]))),
                Some("version"),
            ),
            (
                "5.1.1.2: another algorithm outside",
                edited(|list| list.algorithms[1] = sequence(&[tagged(OID, ECDSA_SHA1)])),
                Some("two signature algorithms"),
            ),
            (
                "5.1.1.2: the parameters differ",
                edited(|list| list.algorithms[1] = sequence(&[tagged(OID, ECDSA_SHA256), vec![5, 0]])),
                Some("two signature algorithms"),
            ),
            (
                "SHA-1",
                edited(|list| {
                    let sha1 = sequence(&[tagged(OID, ECDSA_SHA1)]);
                    list.algorithms = [sha1.clone(), sha1];
                }),
                Some("algorithm that is not accepted: 1.2.840.10045.4.1"),
            ),
            ("5.1.2.5: no end", edited(|list| list.next_update = None), Some("no next update")),
            (
                "5.1.2.5: an end before its beginning",
                plain().between("260803120000Z", "260803115959Z"),
                Some("end"),
            ),
            (
                "5.1.2.5: an end at its beginning",
                plain().between("260803120000Z", "260803120000Z"),
                Some("end"),
            ),
            (
                "5.1.2.5: past its end, its entries still count",
                plain().between("260701000000Z", "260702000000Z"),
                None,
            ),
            ("5.1.2.4: a clock ahead by a little", plain().between("260803120500Z", "260901000000Z"), None),
            (
                "5.1.2.4: issued in the future",
                plain().between("260803120501Z", "260901000000Z"),
                Some("issued at 2026-08-03T12:05:01Z, now 2026-08-03T12:00:00Z"),
            ),
            (
                "5.1.2.4: GeneralizedTime",
                edited(|list| list.this_update = generalized("20260803120000Z")),
                None,
            ),
            (
                "4.1.2.5: a fraction of a second",
                edited(|list| list.this_update = generalized("20260803120000.5Z")),
                Some("time"),
            ),
            ("4.1.2.5: a zone", edited(|list| list.this_update = utc("260803120000+0800")), Some("time")),
            ("4.1.2.5: no seconds", edited(|list| list.this_update = utc("2608031200Z")), Some("time")),
            ("4.1.2.5: no such day", edited(|list| list.this_update = utc("260231120000Z")), Some("time")),
            ("4.1.2.5: no digits", edited(|list| list.this_update = utc("2608O3120000Z")), Some("time")),
            ("5.1.2.6: nobody is revoked", edited(|list| list.entries = None), None),
            ("5.1.2.6: an empty sequence", Forged::listing(&[]), None),
            ("5.2.3: no number", edited(|list| list.extensions.clear()), Some("no number")),
            ("5.2.3: number zero", numbered(&[0]), None),
            (
                "5.2.3: a critical number",
                edited(|list| list.extensions = vec![extension(NUMBER, true, &tagged(INTEGER, &[7]))]),
                Some("critical number"),
            ),
            ("5.2.3: a negative number", numbered(&[0x80]), Some("negative")),
            ("5.2.3: an empty number", numbered(&[]), Some("negative")),
            ("5.2.3: 20 octets", numbered(&[0x7f; 20]), None),
            ("5.2.3: 20 octets after a zero", numbered(&[&[0][..], &[0xff; 20]].concat()), None),
            ("5.2.3: 21 octets", numbered(&twenty_one), Some("20 octets")),
            ("5.2.1: a key identifier is a hint", plain().with(extension(KEY_IDENTIFIER, false, &[1])), None),
            (
                "5.2.4: a delta",
                plain().with(extension(DELTA, true, &tagged(INTEGER, &[1]))),
                Some("a delta list"),
            ),
            ("5.2: an unknown extension", plain().with(extension(99, false, &[])), None),
            (
                "5.2: an unknown critical extension",
                plain().with(extension(99, true, &[])),
                Some("critical extension"),
            ),
            (
                "4.2: an extension twice",
                plain().with(extension(NUMBER, false, &tagged(INTEGER, &[7]))),
                Some("twice"),
            ),
            (
                "5.2.5: an issuing point that says nothing",
                plain().at_point::<&[u8]>(&[]),
                Some("says nothing"),
            ),
            ("5.2.5: a point", plain().at_point(&[full_name(&[address("http://a")])]), None),
            ("5.2.5: a point without a name", plain().at_point(&[full_name::<&[u8]>(&[])]), Some("no name")),
            ("5.2.5: users", plain().at_point(&[flag(1)]), None),
            ("5.2.5: CAs", plain().at_point(&[flag(2)]), None),
            (
                "5.2.5: users and CAs",
                plain().at_point(&[flag(1), flag(2)]),
                Some("users only and of CAs only"),
            ),
            ("5.2.5: some reasons", plain().at_point(&[some_reasons(3, &[5, 0x60])]), Some("some reasons")),
            ("5.2.5: attribute certificates", plain().at_point(&[flag(5)]), Some("attribute certificates")),
            (
                "5.2.5: a flag that is no boolean",
                plain().at_point(&[tagged(primitive(1), &[1])]),
                Some("boolean"),
            ),
            (
                "5.2.5: fields in another order",
                plain().at_point(&[flag(4), flag(1)]),
                Some("something after"),
            ),
            ("5.3.1: a reason", only(entry_with(&[5], &[reason(1)])), None),
            ("5.3.1: no such reason", only(entry_with(&[5], &[reason(7)])), Some("no such reason")),
            ("5.3.1: nor this one", only(entry_with(&[5], &[reason(11)])), Some("no such reason")),
            ("5.3.1: two reasons", only(entry_with(&[5], &[reason(1), reason(2)])), Some("two reasons")),
            (
                "5.3.1: a reason of another type",
                only(entry_with(&[5], &[extension(REASON, false, &tagged(INTEGER, &[1]))])),
                Some("no such reason"),
            ),
            (
                "5.3.2: since when the key was known to others",
                only(entry_with(&[5], &[extension(INVALIDITY, false, &generalized("20260101000000Z"))])),
                None,
            ),
            ("5.3: an unknown extension", only(entry_with(&[5], &[extension(99, false, &[])])), None),
            (
                "5.3: an unknown critical extension",
                only(entry_with(&[5], &[extension(99, true, &[])])),
                Some("critical extension of an entry"),
            ),
            (
                "5.3.3: another issuer, but not an indirect list",
                only(of_others),
                Some("not an indirect list"),
            ),
            ("an entry with too little", only(sequence(&[tagged(INTEGER, &[5])])), Some("cut off")),
            ("an entry with too much", only(sequence(&[entry(&[5]), entry(&[5])])), Some("another type")),
            ("an entry that is no sequence", only(tagged(INTEGER, &[5])), Some("another type")),
            ("an empty serial number", only(entry(&[])), Some("empty serial")),
            ("a serial number of 30 octets", only(entry(&[0x11; 30])), None),
        ];
        for (what, list, refused) in rows {
            match (read(&list, &ca), refused) {
                (Ok(_), None) => {}
                (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{what}: {error}"),
                (outcome, _) => panic!("{what}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn a_list_is_its_signers_by_name_and_by_key() {
        let (g2, g3, other) = (Authority::named("MOICA"), Authority::named("MOICA"), Authority::named("GCA"));
        let without_usage = Authority::with_usages("MOICA", vec![]);
        let no_lists = Authority::with_usages("MOICA", vec![KeyUsagePurpose::KeyCertSign]);
        let der = Forged::listing(&[entry(&[5])]).signed_by(&g2);
        let read = |der: &[u8], issuer: &Authority, signer: &Authority| {
            List::read(der, &issuer.ca(), &signer.ca(), at(0)).map(|_| ()).map_err(|error| error.to_string())
        };
        let list = List::read(&der, &g2.ca(), &g2.ca(), at(0)).unwrap();
        assert_eq!((list.issuer(), list.number().clone()), (g2.ca().id(), Number::from(7)));
        assert_eq!(list.scopes(), [Scope::Full]);
        assert_eq!((list.freshness().this_update, list.freshness().next_update), (at(0), at(1)));
        assert_eq!(list.digest(), hex::encode(digest::digest(&digest::SHA256, &der)));
        assert!(read(&der, &g3, &g3).unwrap_err().contains("another key"));
        assert!(read(&der, &other, &other).unwrap_err().contains("another name"));
        assert!(read(&der, &g3, &g2).unwrap_err().contains("not an indirect list"));
        let own = Forged::listing(&[]).signed_by(&without_usage);
        assert_eq!(read(&own, &without_usage, &without_usage), Ok(()));
        let own = Forged::listing(&[]).signed_by(&no_lists);
        assert!(read(&own, &no_lists, &no_lists).unwrap_err().contains("cRLSign"));

        let mut broken = der.clone();
        *broken.last_mut().unwrap() ^= 1;
        assert!(read(&broken, &g2, &g2).unwrap_err().contains("broken signature"));
        let longer = [der.as_slice(), &[0]].concat();
        assert!(read(&longer, &g2, &g2).unwrap_err().contains("something after the end"));
    }

    #[test]
    fn serial_numbers_are_one_however_they_are_written() {
        let ca = Authority::named("MOICA");
        let serials: [&[u8]; 9] = [
            &[0],
            &[0, 0, 5],
            &[0, 0xff],
            &[0xff],
            &[0xff, 0xff],
            &[0x7f; 21],
            &[0x80, 1],
            &[0, 0x80],
            &[9; 30],
        ];
        let entries: Vec<_> = serials.iter().map(|serial| entry(serial)).collect();
        let read: Vec<_> =
            read(&Forged::listing(&entries), &ca).unwrap().into_iter().map(|(hex, _)| hex).collect();
        let (long, longest) = ("7f".repeat(21), "09".repeat(30));
        let longest = longest.trim_start_matches('0');
        assert_eq!(read, ["0", "5", "ff", "-ff", "-ff", &long, "-8001", "80", longest]);
    }

    #[test]
    fn reasons_are_kept_and_every_entry_revokes() {
        let ca = Authority::named("MOICA");
        let entries = [entry(&[1]), entry_with(&[2], &[reason(8)]), entry_with(&[3], &[reason(6)])];
        let expected = [
            ("1".to_owned(), Reason::Unspecified),
            ("2".to_owned(), Reason::RemoveFromCrl),
            ("3".to_owned(), Reason::CertificateHold),
        ];
        assert_eq!(read(&Forged::listing(&entries), &ca).unwrap(), expected);
    }

    #[test]
    fn of_an_indirect_list_only_the_issuers_entries_count() {
        let (signer, issuer, other) =
            (Authority::named("lists"), Authority::named("MOICA"), Authority::named("GCA"));
        let entries = [
            entry(&[1]),
            entry_with(&[2], &[issued_by(&issuer)]),
            entry(&[3]),
            entry_with(&[4], &[issued_by(&other), reason(1)]),
            entry(&[5]),
            entry_with(&[6], &[issued_by(&signer)]),
            entry_with(&[7], &[issued_by(&issuer)]),
        ];
        let list = Forged::listing(&entries).at_point(&[flag(4)]);
        let der = list.signed_by(&signer);
        let rows = [(&issuer, vec!["2", "3", "7"]), (&other, vec!["4", "5"]), (&signer, vec!["1", "6"])];
        for (issuer, expected) in rows {
            let list = List::read(&der, &issuer.ca(), &signer.ca(), at(0)).unwrap();
            let serials: Vec<_> = list.entries().map(|entry| entry.serial()).collect();
            assert_eq!(serials, expected);
            assert_eq!(list.scopes(), [Scope::Full]);
        }

        let two = extension(
            forged::ISSUER,
            true,
            &sequence(&[directory_name(signer.ca().name()), directory_name(issuer.ca().name())]),
        );
        let list = Forged::listing(&[entry_with(&[1], &[two])]).at_point(&[flag(4)]);
        let error = List::read(&list.signed_by(&signer), &issuer.ca(), &signer.ca(), at(0)).unwrap_err();
        assert!(error.to_string().contains("not one name"));

        // Section 7.1: one name, however its string is written. rcgen writes UTF8String; this is another case.
        let shouted: Vec<u8> = issuer
            .ca()
            .name()
            .iter()
            .map(|byte| match byte {
                b'a'..=b'z' => byte.to_ascii_uppercase(),
                other => *other,
            })
            .collect();
        let name = String::from_utf8_lossy(&shouted).into_owned();
        assert!(name.contains("MOICA") && shouted.as_slice() != issuer.ca().name(), "{name}");
        let whose = extension(forged::ISSUER, true, &sequence(&[directory_name(&shouted)]));
        let list = Forged::listing(&[entry_with(&[9], &[whose])]).at_point(&[flag(4)]).signed_by(&signer);
        let list = List::read(&list, &issuer.ca(), &signer.ca(), at(0)).unwrap();
        assert_eq!(list.entries().map(|entry| entry.serial()).collect::<Vec<_>>(), ["9"]);

        let point = full_name(&[address("http://a")]);
        let list = Forged::listing(&[]).at_point(&[point, flag(4)]).signed_by(&signer);
        let list = List::read(&list, &issuer.ca(), &signer.ca(), at(0)).unwrap();
        assert_eq!(
            list.scopes(),
            [Scope::of_delegated_point(Some(&address("http://a")), signer.ca().name())]
        );
    }

    #[test]
    fn for_whom_a_list_speaks() {
        let ca = Authority::named("MOICA");
        let own = directory_name(ca.ca().name());
        let (a, b) = (address("http://a"), address("http://b"));
        let users = Covers { users: true, cas: false };
        let cas = Covers { users: false, cas: true };
        let rows = [
            (vec![flag(1)], vec![Scope::Full], users),
            (vec![flag(2)], vec![Scope::Full], cas),
            (
                vec![full_name(&[a.clone(), b.clone()])],
                vec![Scope::of_point(&a), Scope::of_point(&b)],
                Covers::ALL,
            ),
            (vec![full_name(&[&a]), flag(1)], vec![Scope::of_point(&a)], users),
            (vec![full_name(&[own])], vec![Scope::Full], Covers::ALL),
        ];
        for (fields, scopes, covers) in rows {
            let der = Forged::listing(&[]).at_point(&fields).signed_by(&ca);
            let list = List::read(&der, &ca.ca(), &ca.ca(), at(0)).unwrap();
            assert_eq!((list.scopes(), list.freshness().covers), (scopes.as_slice(), covers));
        }
    }

    #[test]
    fn rcgens_lists_are_read_too() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut ca = rcgen::CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::CrlSign];
        let certificate = ca.self_signed(&key).unwrap();
        let moment = |at: Timestamp| time::OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap();
        let list = rcgen::CertificateRevocationListParams {
            this_update: moment(at(0)),
            next_update: moment(at(1)),
            crl_number: rcgen::SerialNumber::from(0x1234_u64),
            issuing_distribution_point: Some(rcgen::CrlIssuingDistributionPoint {
                distribution_point: rcgen::CrlDistributionPoint { uris: vec!["http://a".to_owned()] },
                scope: Some(rcgen::CrlScope::UserCertsOnly),
            }),
            revoked_certs: vec![rcgen::RevokedCertParams {
                serial_number: rcgen::SerialNumber::from_slice(&[0xab, 0xcd]),
                revocation_time: moment(at(-1)),
                reason_code: Some(rcgen::RevocationReason::Superseded),
                invalidity_date: Some(moment(at(-2))),
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&rcgen::Issuer::new(ca, key)).unwrap();
        let ca = Ca::of(certificate.der()).unwrap();
        let pem = list.pem().unwrap();
        let two = format!("{pem}\nrubbish between\r\n{pem}");
        assert_eq!(lists_in(pem.as_bytes()).unwrap(), [list.der().to_vec()]);
        assert_eq!(lists_in(two.as_bytes()).unwrap().len(), 2);
        assert_eq!(lists_in(list.der()).unwrap(), [list.der().to_vec()]);
        let list = List::read(list.der(), &ca, &ca, at(0)).unwrap();
        let entries: Vec<_> = list.entries().map(RevokedCertificate::from).collect();
        let expected =
            RevokedCertificate { serial: "abcd".to_owned(), since: at(-1), reason: Reason::Superseded };
        assert_eq!(entries, [expected]);
        assert_eq!(list.scopes(), [Scope::of_point(&address("http://a"))]);
        assert_eq!(list.number(), &Number::from(0x1234));
        assert_eq!(list.freshness().covers, Covers { users: true, cas: false });
    }

    #[test]
    fn a_file_is_pem_whatever_comes_before() {
        let der = Forged::listing(&[]).signed_by(&Authority::named("MOICA"));
        let file = format!("0 is the first character\n{}", pem("X509 CRL", &der));
        assert_eq!(lists_in(file.as_bytes()).unwrap(), std::slice::from_ref(&der));
        let longer = [der.as_slice(), &[0]].concat();
        assert_eq!(lists_in(&longer).unwrap(), [longer]);
    }

    #[test]
    fn files_that_hold_no_list() {
        let ca = Authority::named("MOICA");
        let certificate = pem("CERTIFICATE", &ca.certificate);
        let broken = pem("X509 CRL", b"123").replace("MTIz", "?!");
        for file in ["", "rubbish", &certificate, &broken] {
            assert!(matches!(lists_in(file.as_bytes()), Err(ListRefusal::Malformed(_))), "{file}");
        }
        let ca = ca.ca();
        for der in [
            &b""[..],
            b"\x30",
            b"\x30\x80\0\0",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x1f\x81",
            &[0x30, 0x03, 1, 1],
        ] {
            assert!(matches!(List::read(der, &ca, &ca, at(0)), Err(ListRefusal::Malformed(_))));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn nothing_panics_and_a_damaged_list_is_no_list(at_byte in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
            use std::sync::LazyLock;
            static FIXTURE: LazyLock<(Authority, Vec<u8>)> = LazyLock::new(|| {
                let ca = Authority::named("MOICA");
                let entries = [entry_with(&[5], &[reason(1), issued_by(&ca)]), entry(&[9; 20])];
                let list = Forged::listing(&entries).at_point(&[full_name(&[address("http://a")]), flag(1), flag(4)]);
                let der = list.signed_by(&ca);
                (ca, der)
            });
            let (ca, der) = &*FIXTURE;
            let mut damaged = der.clone();
            *at_byte.get_mut(&mut damaged) = to;
            if damaged != *der {
                prop_assert!(List::read(&damaged, &ca.ca(), &ca.ca(), at(0)).is_err());
            }
            let cut = cut.index(der.len());
            prop_assert!(List::read(&der[..cut], &ca.ca(), &ca.ca(), at(0)).is_err());
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Signed::parse(&bytes);
            let _ = Ca::of(&bytes);
            let _ = lists_in(&bytes);
        }
    }
}

//! Client certificates: whether one may sign in, and whose it is.
//!
//! The gateway has checked chain and dates already; it is not believed. What it does not check at all — the kind of
//! certificate, key usage, revocation — is checked here too. Field facts: citizen certificates (MOICA) name their
//! holder by common name and a 16-digit serial number and may carry the last four digits of the national ID in the
//! Subject Directory Attributes; organization certificates (GCA) carry the agency's OID there.

use std::fmt;
use std::path::Path;

use aws_lc_rs::digest;
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use serde::{Deserialize, Serialize};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::asn1_rs::{Any, FromDer as _, Oid, Sequence, Set, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use crate::environment::StartError;

/// Most bytes of PEM that are looked at.
const MAX_PEM: usize = 64 * 1024;

/// Subject Directory Attributes (RFC 5280 section 4.2.1.8).
const SUBJECT_DIRECTORY_ATTRIBUTES: Oid<'static> = oid!(2.5.29.9);
/// GPKI: last four digits of the holder's national ID.
const NATIONAL_ID_TAIL: Oid<'static> = oid!(2.16.886.1.100.2.51);
/// GPKI: the agency's organization OID.
const ORGANIZATION_OID: Oid<'static> = oid!(2.16.886.1.100.2.102);
const COMMON_NAME: Oid<'static> = oid!(2.5.4.3);
const SERIAL_NUMBER: Oid<'static> = oid!(2.5.4.5);

/// Signatures that a certificate may have: RSA with 2048 bits or more, P-256 and P-384, with SHA-256 or stronger.
static SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
];

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

/// Whose certificates a CA issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Citizens' (自然人憑證).
    Citizen,
    /// Organizations' (機關憑證).
    Organization,
}

/// A pinned issuing CA: `issuers.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerProfile {
    /// SHA-256 of the CA certificate's DER, hex. It must be in the truststore.
    pub certificate_sha256: String,
    /// Whose certificates it issues.
    pub kind: Kind,
    /// What operators call it.
    pub name: String,
    /// Whether a citizen certificate without the digits of the national ID is refused.
    #[serde(default)]
    pub directory_attributes_required: bool,
}

/// `issuers.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerProfiles {
    /// The pinned issuing CAs.
    pub issuers: Vec<IssuerProfile>,
}

/// The CAs that the gateway accepts, and which of them issue the certificates that may sign in.
#[derive(Debug)]
pub struct Truststore {
    authorities: Vec<Authority>,
}

/// One CA of the truststore.
#[derive(Debug)]
pub struct Authority {
    anchor: TrustAnchor<'static>,
    der: CertificateDer<'static>,
    id: IssuerId,
    not_before: Timestamp,
    not_after: Timestamp,
    profile: Option<IssuerProfile>,
}

impl Authority {
    /// The CA's key.
    pub fn id(&self) -> &IssuerId {
        &self.id
    }

    /// The pin, if certificates of this CA may sign in.
    pub fn profile(&self) -> Option<&IssuerProfile> {
        self.profile.as_ref()
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

/// A certificate that may sign in, as far as the certificate itself tells: chain, dates, kind, key usage. Whether it is
/// revoked is not known yet ([`Checked::not_revoked`] in [`crate::revocation`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked(Certificate);

impl Checked {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }

    /// The certificate, giving up the proof.
    pub(crate) fn into_certificate(self) -> Certificate {
        self.0
    }
}

/// What matters of a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The key that issued it.
    pub issuer: IssuerId,
    /// Its serial number, hex, without leading zeros.
    pub serial: String,
    /// Its holder.
    pub holder: Holder,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} of {})", self.serial, self.issuer)
    }
}

/// Who holds a certificate.
#[derive(Clone, PartialEq, Eq)]
pub enum Holder {
    /// A person.
    Citizen(Citizen),
    /// An agency, by its organization OID.
    Organization {
        /// The OID, dotted.
        oid: String,
    },
}

/// A citizen certificate's holder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citizen {
    /// The common name.
    pub name: String,
    /// The subject serial number, which survives a renewal.
    pub serial_number: String,
    /// The last four digits of the national ID, when the certificate has them.
    pub id_tail: Option<String>,
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
    /// A certificate for something else: of a CA, for encryption, of another issuer of the truststore.
    #[error("wrong kind: {0}")]
    WrongKind(&'static str),
}

impl Truststore {
    /// Reads `truststore.pem` and `issuers.json` in a folder.
    ///
    /// # Errors
    /// [`StartError::Truststore`] when they cannot be read, or do not fit each other.
    pub fn load(folder: &Path) -> Result<Self, StartError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path)
                .map_err(|error| StartError::Truststore(format!("{}: {error}", path.display())))
        };
        let profiles: IssuerProfiles = serde_json::from_slice(&read("issuers.json")?)
            .map_err(|error| StartError::Truststore(format!("issuers.json: {error}")))?;
        Self::new(&read("truststore.pem")?, profiles)
    }

    /// The CAs in `pem`, pinned by `profiles`.
    ///
    /// # Errors
    /// [`StartError::Truststore`]: no CA, a broken one, or a pin without its CA.
    pub fn new(pem: &[u8], profiles: IssuerProfiles) -> Result<Self, StartError> {
        let broken = |what: String| StartError::Truststore(what);
        let mut profiles = profiles.issuers;
        let mut authorities = Vec::new();
        for der in CertificateDer::pem_slice_iter(pem) {
            let der = der.map_err(|error| broken(format!("truststore.pem: {error}")))?.into_owned();
            let fingerprint = hex::encode(digest::digest(&digest::SHA256, &der));
            let anchor = webpki::anchor_from_trusted_cert(&der)
                .map_err(|error| broken(format!("CA {fingerprint}: {error}")))?
                .to_owned();
            let (_, parsed) = X509Certificate::from_der(&der)
                .map_err(|error| broken(format!("CA {fingerprint}: {error}")))?;
            let (not_before, not_after) = validity(&parsed);
            let pinned =
                profiles.iter().position(|p| p.certificate_sha256.eq_ignore_ascii_case(&fingerprint));
            let (id, profile) =
                (IssuerId::of_key(parsed.public_key().raw), pinned.map(|at| profiles.swap_remove(at)));
            authorities.push(Authority { anchor, der, id, not_before, not_after, profile });
        }
        if authorities.is_empty() {
            return Err(broken("truststore.pem holds no certificate".to_owned()));
        }
        if let Some(orphan) = profiles.first() {
            return Err(broken(format!(
                "issuers.json pins {} ({}), which is not in truststore.pem",
                orphan.certificate_sha256, orphan.name
            )));
        }
        Ok(Self { authorities })
    }

    /// The CAs.
    pub fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    /// Decides on a certificate as the gateway's event carries it: the leaf first, others after it ignored, because
    /// every issuing CA is in the truststore itself.
    ///
    /// # Errors
    /// The first [`Refusal`]. The input is untrusted: rubbish is refused like anything else.
    pub fn check(&self, pem: &str, now: Timestamp) -> Result<Checked, Refusal> {
        if pem.trim().is_empty() {
            return Err(Refusal::Missing);
        }
        if pem.len() > MAX_PEM {
            return Err(Refusal::Malformed("too long".to_owned()));
        }
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        let (rest, certificate) =
            X509Certificate::from_der(&der).map_err(|error| Refusal::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(Refusal::Malformed("something after the certificate".to_owned()));
        }
        let authority = self.issuer_of(&der, &certificate, now)?;
        let profile =
            authority.profile.as_ref().ok_or(Refusal::WrongKind("issued by a CA that is not pinned"))?;
        check_key(&certificate)?;
        check_usage(&certificate)?;
        let holder = match profile.kind {
            Kind::Citizen => Holder::Citizen(citizen(&certificate, profile)?),
            Kind::Organization => Holder::Organization { oid: organization_oid(&certificate)? },
        };
        Ok(Checked(Certificate {
            issuer: authority.id.clone(),
            serial: serial_hex(certificate.raw_serial()),
            holder,
        }))
    }

    /// The CA whose key signed the certificate (RFC 5280 section 6.1, by webpki).
    fn issuer_of(
        &self,
        der: &CertificateDer<'_>,
        certificate: &X509Certificate<'_>,
        now: Timestamp,
    ) -> Result<&Authority, Refusal> {
        let leaf = EndEntityCert::try_from(der).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let mut reason = Refusal::Untrusted("no CA of that name and key".to_owned());
        for authority in &self.authorities {
            let anchors = std::slice::from_ref(&authority.anchor);
            let verdict =
                leaf.verify_for_usage(SIGNATURES, anchors, &[], time, KeyUsage::client_auth(), None, None);
            match verdict {
                Ok(_) if now < authority.not_before || now > authority.not_after => {
                    reason = Refusal::Untrusted("its CA is not valid now".to_owned());
                }
                Ok(_) => return Ok(authority),
                // Another CA, or another generation of the same name.
                Err(webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey) => {}
                Err(error) => reason = refusal(&error, certificate, now),
            }
        }
        Err(reason)
    }
}

/// webpki's verdict in our words.
fn refusal(error: &webpki::Error, certificate: &X509Certificate<'_>, now: Timestamp) -> Refusal {
    let (not_before, not_after) = validity(certificate);
    match error {
        webpki::Error::CertExpired { .. } => Refusal::Expired { not_after, now },
        webpki::Error::CertNotValidYet { .. } => Refusal::NotYetValid { not_before, now },
        webpki::Error::CaUsedAsEndEntity => Refusal::WrongKind("a CA's certificate"),
        webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
            Refusal::WrongKind("extended key usage without clientAuth")
        }
        other => Refusal::Untrusted(other.to_string()),
    }
}

fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let seconds = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
    let validity = certificate.validity();
    (
        seconds(validity.not_before).unwrap_or(Timestamp::MAX),
        seconds(validity.not_after).unwrap_or(Timestamp::MIN),
    )
}

/// The holder's own key: RSA with 2048 bits or more, or an elliptic curve that the signature list has.
fn check_key(certificate: &X509Certificate<'_>) -> Result<(), Refusal> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() >= 2048 => Ok(()),
        Ok(PublicKey::RSA(key)) => Err(Refusal::WeakKey(format!("RSA of {} bits", key.key_size()))),
        Ok(PublicKey::EC(point)) if matches!(point.key_size(), 256 | 384) => Ok(()),
        _ => Err(Refusal::WeakKey("neither RSA nor P-256 nor P-384".to_owned())),
    }
}

/// Key usage must be there and allow `digitalSignature` (RFC 5280 section 4.2.1.3): a card's encryption certificate
/// has `keyEncipherment` only.
fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), Refusal> {
    let malformed = |error: x509_parser::error::X509Error| Refusal::Malformed(error.to_string());
    if certificate.basic_constraints().map_err(malformed)?.is_some_and(|constraints| constraints.value.ca) {
        return Err(Refusal::WrongKind("a CA's certificate"));
    }
    match certificate.key_usage().map_err(malformed)? {
        None => Err(Refusal::WrongKind("no key usage")),
        Some(usage) if usage.value.key_cert_sign() => Err(Refusal::WrongKind("key usage of a CA")),
        Some(usage) if usage.value.digital_signature() => Ok(()),
        Some(_) => Err(Refusal::WrongKind("key usage without digitalSignature")),
    }
}

fn citizen(certificate: &X509Certificate<'_>, profile: &IssuerProfile) -> Result<Citizen, Refusal> {
    let name = only_attribute(certificate.subject(), &COMMON_NAME)?;
    let serial_number = only_attribute(certificate.subject(), &SERIAL_NUMBER)?;
    if name.trim().is_empty() {
        return Err(Refusal::WrongKind("an empty common name"));
    }
    let printable = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if serial_number.is_empty() || serial_number.len() > 64 || !serial_number.bytes().all(printable) {
        return Err(Refusal::WrongKind("no usable subject serial number"));
    }
    let id_tail = directory_attribute(certificate, &NATIONAL_ID_TAIL)?;
    match &id_tail {
        Some(tail) if tail.len() != 4 || !tail.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(Refusal::WrongKind("the national ID's digits are not four digits"));
        }
        None if profile.directory_attributes_required => {
            return Err(Refusal::WrongKind("without the national ID's digits"));
        }
        _ => {}
    }
    Ok(Citizen { name, serial_number, id_tail })
}

fn organization_oid(certificate: &X509Certificate<'_>) -> Result<String, Refusal> {
    let oid = directory_attribute(certificate, &ORGANIZATION_OID)?
        .ok_or(Refusal::WrongKind("without an organization OID"))?;
    let arcs = oid.split('.').collect::<Vec<_>>();
    let numeric = |arc: &&str| !arc.is_empty() && arc.len() <= 20 && arc.bytes().all(|b| b.is_ascii_digit());
    if arcs.len() < 3 || !arcs.iter().all(numeric) {
        return Err(Refusal::WrongKind("the organization OID is not an OID"));
    }
    Ok(oid)
}

/// The one value of a subject attribute.
fn only_attribute(name: &X509Name<'_>, oid: &Oid<'_>) -> Result<String, Refusal> {
    let mut values = name.iter_by_oid(oid);
    match (values.next(), values.next()) {
        (Some(value), None) => text(value.attr_value()),
        (None, _) => Err(Refusal::WrongKind("a subject attribute is missing")),
        _ => Err(Refusal::WrongKind("a subject attribute occurs twice")),
    }
}

/// The one value of a Subject Directory Attribute; `None` when the extension or the attribute is not there.
fn directory_attribute(
    certificate: &X509Certificate<'_>,
    wanted: &Oid<'_>,
) -> Result<Option<String>, Refusal> {
    const MALFORMED: Refusal = Refusal::WrongKind("malformed directory attributes");
    let extension = certificate
        .get_extension_unique(&SUBJECT_DIRECTORY_ATTRIBUTES)
        .map_err(|error| Refusal::Malformed(error.to_string()))?;
    let Some(extension) = extension else { return Ok(None) };
    let (rest, attributes) = Sequence::from_der(extension.value).map_err(|_| MALFORMED)?;
    if !rest.is_empty() {
        return Err(MALFORMED);
    }
    let mut found = None;
    let mut content: &[u8] = &attributes.content;
    while !content.is_empty() {
        let (rest, attribute) = Sequence::from_der(content).map_err(|_| MALFORMED)?;
        content = rest;
        let (values, kind) = Oid::from_der(&attribute.content).map_err(|_| MALFORMED)?;
        if kind != *wanted {
            continue;
        }
        let (rest, values) = Set::from_der(values).map_err(|_| MALFORMED)?;
        let (more, value) = Any::from_der(&values.content).map_err(|_| MALFORMED)?;
        if !rest.is_empty() || !more.is_empty() || found.is_some() {
            return Err(MALFORMED);
        }
        found = Some(match value.tag() {
            Tag::Oid => value.oid().map_err(|_| MALFORMED)?.to_id_string(),
            _ => text(&value)?,
        });
    }
    Ok(found)
}

/// A directory string (RFC 5280 section 4.1.2.4) as text.
fn text(value: &Any<'_>) -> Result<String, Refusal> {
    const UNREADABLE: Refusal = Refusal::WrongKind("an unreadable string");
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            std::str::from_utf8(value.data).map(str::to_owned).map_err(|_| UNREADABLE)
        }
        Tag::BmpString => {
            let (pairs, odd) = value.data.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            if odd.is_empty() { String::from_utf16(&units).map_err(|_| UNREADABLE) } else { Err(UNREADABLE) }
        }
        _ => Err(UNREADABLE),
    }
}

/// A serial number as revocation lists and our tables write it: hex, without leading zeros.
pub fn serial_hex(raw: &[u8]) -> String {
    let hex = hex::encode(raw);
    let trimmed = hex.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, KeyUsagePurpose,
    };

    use super::*;
    use crate::revocation::{Freshness, RevokedCertificate, Status};

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

    fn pin(pem: &str, kind: Kind, required: bool) -> IssuerProfile {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        IssuerProfile {
            certificate_sha256: hex::encode(digest::digest(&digest::SHA256, &der)),
            kind,
            name: "test".to_owned(),
            directory_attributes_required: required,
        }
    }

    #[test]
    fn which_certificates_may_sign_in() {
        let (citizens_pem, citizens) = authority("內政部憑證管理中心");
        let (agencies_pem, agencies) = authority("政府憑證管理中心");
        let (unpinned_pem, unpinned) = authority("unpinned");
        let (_, namesake) = authority("內政部憑證管理中心");
        let issuers =
            vec![pin(&citizens_pem, Kind::Citizen, true), pin(&agencies_pem, Kind::Organization, false)];
        let bundle = [citizens_pem, agencies_pem, unpinned_pem].concat();
        let truststore = Truststore::new(bundle.as_bytes(), IssuerProfiles { issuers }).unwrap();

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
    fn what_is_revoked_or_unknown_is_refused() {
        let (pem, issuer) = authority("內政部憑證管理中心");
        let issuers = vec![pin(&pem, Kind::Citizen, true)];
        let truststore = Truststore::new(pem.as_bytes(), IssuerProfiles { issuers }).unwrap();
        let checked = truststore.check(&issue(&citizen_card(), &issuer), at(5)).unwrap();
        let list = |day| Some(Freshness { next_update: at(day) });
        let entry = || {
            Some(RevokedCertificate { serial: checked.certificate().serial.clone(), since: at(1), reason: 1 })
        };
        let day = SignedDuration::from_hours(24);
        let rows = [
            ("on no list", list(6), None, SignedDuration::ZERO, true),
            ("on the list", list(6), entry(), SignedDuration::ZERO, false),
            ("on a stale list", list(1), entry(), SignedDuration::ZERO, false),
            ("no list", None, None, SignedDuration::ZERO, false),
            ("a stale list", list(4), None, SignedDuration::ZERO, false),
            ("a stale list within the grace", list(4), None, day, true),
        ];
        for (what, list, entry, grace, good) in rows {
            let status = Status { list, entry };
            assert_eq!(checked.clone().not_revoked(&status, at(5), grace).is_ok(), good, "{what}");
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
            let issuers = vec![pin(&pem, Kind::Citizen, false)];
            let truststore = Truststore::new(pem.as_bytes(), IssuerProfiles { issuers }).unwrap();
            let body = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let text = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
            prop_assert!(truststore.check(&text, at(5)).is_err());
            prop_assert!(truststore.check(&String::from_utf8_lossy(&bytes), at(5)).is_err());
        }
    }
}

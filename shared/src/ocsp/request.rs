//! Asking (RFC 6960 section 4.1): one certificate a request, not signed.

use std::borrow::Cow;

use aws_lc_rs::digest;
use rand::CryptoRng;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use x509_parser::asn1_rs::{
    Any, Class, FromDer as _, Header, Integer, Length, OctetString, Oid, Sequence, SerializeError, Tag,
    ToDer as _, oid,
};
use x509_parser::certificate::X509Certificate;

use crate::certificate::IssuerId;

/// SHA-1 as an `AlgorithmIdentifier` names it: an identifier of issuers here, see the module's docs.
pub(super) const SHA1: Oid<'static> = oid!(1.3.14.3.2.26);
/// `id-pkix-ocsp-nonce`.
pub(super) const NONCE: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1.2);

/// 32 random bytes that an answer repeats (RFC 9654 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// A fresh one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// The issuer of the certificates that are asked about.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(super) id: IssuerId,
    /// Its name (DER), as a responder that signs with the issuer's own key calls itself.
    pub(super) subject: Vec<u8>,
    /// SHA-1 of that.
    pub(super) name_hash: Vec<u8>,
    /// SHA-1 of its key, the bit string's content (RFC 6960 section 4.1.1).
    pub(super) key_hash: Vec<u8>,
    /// Its key, the SubjectPublicKeyInfo's DER.
    pub(super) spki: Vec<u8>,
    /// What a delegated responder's certificate must chain to.
    pub(super) anchor: TrustAnchor<'static>,
}

/// A CA's certificate that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no issuer: {0}")]
pub struct IssuerError(String);

pub(super) fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

impl Issuer {
    /// The issuer with this certificate.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IssuerError> {
        let anchor = webpki::anchor_from_trusted_cert(certificate)
            .map_err(|error| IssuerError(error.to_string()))?
            .to_owned();
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|error| IssuerError(error.to_string()))?;
        let (subject, key) = (parsed.subject().as_raw(), parsed.public_key());
        Ok(Self {
            id: IssuerId::of_key(key.raw),
            subject: subject.to_owned(),
            name_hash: sha1(subject),
            key_hash: sha1(&key.subject_public_key.data),
            spki: key.raw.to_owned(),
            anchor,
        })
    }

    /// Whose certificates these are.
    pub fn id(&self) -> &IssuerId {
        &self.id
    }

    /// The question about the certificate with this serial number, hex; `None` when that is no number.
    pub fn question(&self, serial: &str, nonce: Option<Nonce>) -> Option<Question> {
        let serial = positive(serial)?;
        let der = request(self, &serial, nonce.as_ref()).ok()?;
        Some(Question { serial, nonce, der })
    }
}

/// A request, and what its answer must fit.
#[derive(Clone, Debug)]
pub struct Question {
    /// Content of an INTEGER.
    pub(super) serial: Vec<u8>,
    pub(super) nonce: Option<Nonce>,
    der: Vec<u8>,
}

impl Question {
    /// The `OCSPRequest`, DER: the body of an HTTP POST of `application/ocsp-request`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// The content of the INTEGER that [`crate::certificate::serial_hex`] wrote: a serial number is positive.
fn positive(serial: &str) -> Option<Vec<u8>> {
    let even = if serial.len().is_multiple_of(2) { serial.to_owned() } else { format!("0{serial}") };
    let bytes = hex::decode(even).ok()?;
    match bytes.first()? {
        0x80.. => Some([&[0], bytes.as_slice()].concat()),
        _ => Some(bytes),
    }
}

fn sequence(parts: &[Vec<u8>]) -> Result<Vec<u8>, SerializeError> {
    Sequence::new(Cow::Owned(parts.concat())).to_der_vec()
}

/// The extension's value: an OCTET STRING, whose bytes an answer repeats.
pub(super) fn nonce_value(nonce: &Nonce) -> Result<Vec<u8>, SerializeError> {
    OctetString::new(&nonce.0).to_der_vec()
}

fn request(issuer: &Issuer, serial: &[u8], nonce: Option<&Nonce>) -> Result<Vec<u8>, SerializeError> {
    const NULL: [u8; 2] = [5, 0];
    let algorithm = sequence(&[SHA1.to_der_vec()?, NULL.to_vec()])?;
    let certificate = sequence(&[
        algorithm,
        OctetString::new(&issuer.name_hash).to_der_vec()?,
        OctetString::new(&issuer.key_hash).to_der_vec()?,
        Integer::new(serial).to_der_vec()?,
    ])?;
    let list = sequence(&[sequence(&[certificate])?])?;
    let extensions = match nonce {
        None => Vec::new(),
        Some(nonce) => {
            let value = OctetString::new(&nonce_value(nonce)?).to_der_vec()?;
            let extensions = sequence(&[sequence(&[NONCE.to_der_vec()?, value])?])?;
            tagged_2(&extensions)?
        }
    };
    sequence(&[sequence(&[list, extensions])?])
}

/// `[2] EXPLICIT`.
fn tagged_2(content: &[u8]) -> Result<Vec<u8>, SerializeError> {
    let header = Header::new(Class::ContextSpecific, true, Tag(2), Length::Definite(content.len()));
    Any::new(header, content).to_der_vec()
}

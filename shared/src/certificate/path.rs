//! Whether a certificate is valid: RFC 5280 section 6.

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

use super::truststore::Truststore;
use super::{IssuerId, Refusal, serial_hex};
use crate::revocation::{Link, Scope};

/// Most bytes of PEM that are looked at.
pub const MAX_PEM: usize = 64 * 1024;

/// Signatures that a certificate may have: RSA with 2048 bits or more, P-256 and P-384, with SHA-256 or stronger.
pub(crate) static SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
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

/// A path from a CA of the truststore to a certificate, valid at the time that it was asked for. Whether one of its
/// certificates is revoked is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidPath {
    certificates: Vec<CertificateDer<'static>>,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    anchor: IssuerId,
    links: Vec<Link>,
}

impl ValidPath {
    /// The certificate that was asked about.
    pub fn leaf(&self) -> &[u8] {
        self.certificates.first().map_or(&[], |leaf| leaf)
    }

    /// The certificates below the trust anchor, the leaf first, each followed by its issuer.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The name of the leaf's issuer, DER.
    pub fn issuer_name(&self) -> &[u8] {
        &self.issuer_name
    }

    /// The SubjectPublicKeyInfo of the leaf's issuer, DER.
    pub fn issuer_key(&self) -> &[u8] {
        &self.issuer_key
    }

    /// The key of the trust anchor.
    pub fn anchor(&self) -> &IssuerId {
        &self.anchor
    }

    /// Every certificate below the trust anchor, the leaf first, as revocation is asked about it.
    pub fn links(&self) -> &[Link] {
        &self.links
    }
}

pub(super) fn validate(
    truststore: &Truststore,
    pem: &str,
    intermediates: Option<&str>,
    now: Timestamp,
) -> Result<ValidPath, Refusal> {
    if pem.trim().is_empty() {
        return Err(Refusal::Missing);
    }
    if pem.len() > MAX_PEM {
        return Err(Refusal::Malformed("too long".to_owned()));
    }
    let mut given = CertificateDer::pem_slice_iter(pem.as_bytes());
    let der = given
        .next()
        .ok_or_else(|| Refusal::Malformed("no certificate in the PEM".to_owned()))?
        .map_err(|_| Refusal::Malformed("not PEM".to_owned()))?;
    let more = intermediates.unwrap_or_default();
    let others: Vec<_> =
        given.chain(CertificateDer::pem_slice_iter(more.as_bytes())).filter_map(Result::ok).collect();
    let (rest, certificate) =
        X509Certificate::from_der(&der).map_err(|error| Refusal::Malformed(error.to_string()))?;
    if !rest.is_empty() {
        return Err(Refusal::Malformed("something after the certificate".to_owned()));
    }
    let leaf = EndEntityCert::try_from(&der).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let mut reason = Refusal::Untrusted("no CA of that name and key".to_owned());
    for authority in truststore.authorities() {
        let anchors = std::slice::from_ref(&authority.anchor);
        let verdict =
            leaf.verify_for_usage(SIGNATURES, anchors, &others, time, KeyUsage::client_auth(), None, None);
        match verdict {
            Ok(_) if now < authority.not_before || now > authority.not_after => {
                reason = Refusal::Untrusted("its CA is not valid now".to_owned());
            }
            Ok(path) => {
                check_key(&certificate)?;
                check_usage(&certificate)?;
                let mut certificates = vec![der.clone().into_owned()];
                certificates.extend(path.intermediate_certificates().map(|ca| ca.der().into_owned()));
                let mut links = Vec::new();
                let mut above = (authority.subject().to_vec(), authority.public_key().to_vec());
                for (position, der) in certificates.iter().enumerate().rev() {
                    let (_, parsed) = X509Certificate::from_der(der)
                        .map_err(|error| Refusal::Malformed(error.to_string()))?;
                    links.push(Link {
                        issuer: IssuerId::of_key(&above.1),
                        serial: serial_hex(parsed.raw_serial()),
                        scopes: vec![Scope::full()],
                        is_ca: position > 0,
                    });
                    if position > 0 {
                        above = (parsed.subject().as_raw().to_vec(), parsed.public_key().raw.to_vec());
                    }
                }
                links.reverse();
                let (issuer_name, issuer_key) = above;
                let anchor = authority.id().clone();
                return Ok(ValidPath { certificates, issuer_name, issuer_key, anchor, links });
            }
            // Another CA, or another generation of the same name.
            Err(webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey) => {}
            Err(error) => reason = refusal(&error, &certificate, now),
        }
    }
    Err(reason)
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

pub(super) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
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

//! What a log may say of a certificate that is refused.

use std::fmt;

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;

use super::{IssuerId, serial_hex};

/// What a certificate claims of itself, unverified and without any name: for the log of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Who it says issued it.
    pub issuer: Issuer,
    /// Its serial number, as [`serial_hex`] writes it.
    pub serial: String,
}

/// Who a certificate says issued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The one CA of the truststore that has this name and key identifier. The signature may still be another's.
    Known(IssuerId),
    /// SHA-256 of the issuer's name (DER), hex.
    Named(String),
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(id) => id.fmt(f),
            Self::Named(digest) => write!(f, "name:{digest}"),
        }
    }
}

/// Issuer and serial number that the first certificate of a PEM claims, for the log of its refusal; `None` when there
/// is no certificate to be read. [`super::Truststore::sight`] also tells which CA of the truststore is meant.
pub fn sight(pem: &str) -> Option<Sighting> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let name = digest::digest(&digest::SHA256, certificate.issuer().as_raw());
    Some(Sighting { issuer: Issuer::Named(hex::encode(name)), serial: serial_hex(certificate.raw_serial()) })
}

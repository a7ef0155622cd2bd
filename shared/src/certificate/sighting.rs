//! What a log may say of a certificate that is refused.

use std::fmt;

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::parsed::Parsed;
use super::path::MAX_PEM;
use super::truststore::{Authority, Truststore};
use super::{IssuerId, serial_hex};
use crate::der::{INTEGER, Malformed, Reader, SEQUENCE, constructed};

/// `version`, the first field of a certificate when it is there.
const VERSION: u8 = constructed(0);

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
    /// The one CA of the truststore with this name and key identifier. The signature may still be another's.
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

/// Issuer and serial number that the first certificate of a PEM claims, for the log of its refusal; `None` when they
/// cannot be read. Nothing else of it needs to be readable. [`Truststore::sight`] also tells which CA is meant.
pub fn sight(pem: &str) -> Option<Sighting> {
    claims(&first(pem)?).ok().map(|(sighting, _)| sighting)
}

impl Truststore {
    /// [`sight`], with the CA of the truststore that is meant, when only one can be.
    pub fn sight(&self, pem: &str) -> Option<Sighting> {
        let der = first(pem)?;
        let (sighting, issuer) = claims(&der).ok()?;
        let key = Parsed::untrusted(&der).ok().and_then(|parsed| parsed.extensions.authority_key);
        let may_be = |authority: &&Authority| {
            let own = &authority.extensions.subject_key;
            authority.subject() == issuer && (own.is_none() || key.is_none() || *own == key)
        };
        let mut ids: Vec<_> = self.authorities().iter().filter(may_be).map(Authority::id).collect();
        ids.dedup();
        match ids.as_slice() {
            [only] => Some(Sighting { issuer: Issuer::Known((*only).clone()), ..sighting }),
            _ => Some(sighting),
        }
    }
}

fn first(pem: &str) -> Option<CertificateDer<'static>> {
    if pem.len() > MAX_PEM { None } else { CertificateDer::from_pem_slice(pem.as_bytes()).ok() }
}

/// What the first fields of a certificate say, and the issuer's name.
fn claims(der: &[u8]) -> Result<(Sighting, &[u8]), Malformed> {
    let whole = Reader::new(der).element()?;
    let body = Reader::new(whole.content).element()?;
    let mut fields = Reader::new(body.content);
    fields.optional(VERSION)?;
    let serial = fields.expect(INTEGER)?;
    let _algorithm = fields.element()?;
    let issuer = fields.element()?;
    if issuer.tag != SEQUENCE {
        return Err(Malformed("no issuer"));
    }
    let digest = digest::digest(&digest::SHA256, issuer.raw);
    let named = Issuer::Named(hex::encode(digest));
    Ok((Sighting { issuer: named, serial: serial_hex(serial) }, issuer.raw))
}

//! Whole lists in memory, one per issuer: what [`super::list`] replaces.

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{ListRefusal, Reason, Refusal, Verified};
use crate::certificate::{Authority, Checked, IssuerId, serial_hex};

/// An issuer's list as far as a sign-in needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When the issuer will have issued the next one.
    pub next_update: Timestamp,
}

/// A revoked certificate's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// The serial number, as [`serial_hex`] writes it.
    pub serial: String,
    /// Since when.
    pub since: Timestamp,
    /// The reason code of RFC 5280 section 5.3.1; 0 when the list gives none.
    pub reason: u8,
}

/// What the issuer says of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The list, when there is one.
    pub list: Option<Freshness>,
    /// The certificate's entry, when it has one.
    pub entry: Option<RevokedCertificate>,
}

impl Checked {
    /// The certificate, not revoked. Fails closed: no list, or one past its `nextUpdate` and `grace`, proves nothing;
    /// an entry proves that the certificate is revoked, however old the list is.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn not_revoked(
        self,
        status: &Status,
        now: Timestamp,
        grace: SignedDuration,
    ) -> Result<Verified, Refusal> {
        if let Some(entry) = &status.entry {
            return Err(Refusal::Revoked {
                since: entry.since,
                reason: Reason::from_code(entry.reason).unwrap_or_default(),
            });
        }
        let issuer = &self.certificate().issuer;
        let list = status.list.ok_or_else(|| Refusal::NoList(issuer.clone()))?;
        if now.duration_since(list.next_update) > grace {
            return Err(Refusal::Stale { issuer: issuer.clone(), next_update: list.next_update, now });
        }
        Ok(Verified(self.into_certificate()))
    }
}

/// An issuer's whole list (RFC 5280 section 5), its signature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// Whose.
    pub issuer: IssuerId,
    /// `cRLNumber`, hex; grows with every list.
    pub number: String,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one comes at the latest.
    pub next_update: Timestamp,
    /// Its entries.
    pub revoked: Vec<RevokedCertificate>,
    /// SHA-256 of the list, hex: tells whether anything changed.
    pub digest: String,
}

impl RevocationList {
    /// Reads a DER-encoded list of `authority`.
    ///
    /// # Errors
    /// [`ListRefusal`]; such a list is no list.
    pub fn parse(der: &[u8], authority: &Authority) -> Result<Self, ListRefusal> {
        let malformed = |error: String| ListRefusal::Malformed(error);
        let (rest, list) =
            CertificateRevocationList::from_der(der).map_err(|error| malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed("something after the list".to_owned()));
        }
        let (_, issuer) = X509Certificate::from_der(authority.certificate())
            .map_err(|error| malformed(error.to_string()))?;
        if list.issuer().as_raw() != issuer.subject().as_raw() {
            return Err(ListRefusal::NotTheIssuers("another name".to_owned()));
        }
        list.verify_signature(issuer.public_key())
            .map_err(|error| ListRefusal::NotTheIssuers(error.to_string()))?;
        for extension in list.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CRLNumber(_) | ParsedExtension::AuthorityKeyIdentifier(_) => {}
                _ if extension.critical => {
                    return Err(ListRefusal::Unsupported("a critical extension: a delta or a part"));
                }
                _ => {}
            }
        }
        let second = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MIN)
        };
        let number = list.crl_number().ok_or(ListRefusal::Unsupported("no number"))?;
        let next_update = list.next_update().ok_or(ListRefusal::Unsupported("no next update"))?;
        let revoked = list
            .iter_revoked_certificates()
            .map(|entry| RevokedCertificate {
                serial: serial_hex(entry.raw_serial()),
                since: second(entry.revocation_date),
                reason: entry.reason_code().map_or(0, |(_, reason)| reason.0),
            })
            .collect();
        Ok(Self {
            issuer: authority.id().clone(),
            number: format!("{number:x}"),
            this_update: second(list.last_update()),
            next_update: second(next_update),
            revoked,
            digest: hex::encode(digest::digest(&digest::SHA256, der)),
        })
    }
}

//! Revocation: what an issuer's list says of a certificate, and when the list is too old to say anything.

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::{Authority, Certificate, Checked, IssuerId, serial_hex};

/// A certificate that may sign in, and is not revoked. Only [`Checked::not_revoked`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Certificate);

impl Verified {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }
}

/// Which of an issuer's certificates a list speaks for: all of them, or those that name one distribution point.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Scope(String);

impl Scope {
    /// All certificates of the issuer.
    pub fn full() -> Self {
        Self("full".to_owned())
    }

    /// Those that name this distribution point: 32 hexadecimal digits of SHA-256 over its GeneralName, DER.
    pub fn of_point(general_name: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, general_name);
        Self(digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// `full`, or the 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One certificate of a path below the trust anchor, as far as revocation is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The key that issued it.
    pub issuer: IssuerId,
    /// Its serial number, as [`serial_hex`] writes it.
    pub serial: String,
    /// The lists that may speak for it: the full one, then those of the distribution points that it names, at most 8.
    pub scopes: Vec<Scope>,
    /// Whether it is a CA's certificate.
    pub is_ca: bool,
}

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

/// Why a certificate may not sign in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is on the list.
    #[error("revoked at {since}, reason {reason}")]
    Revoked {
        /// Since when.
        since: Timestamp,
        /// RFC 5280's reason code.
        reason: u8,
    },
    /// There is no list of that issuer.
    #[error("no revocation list of {0}")]
    NoList(IssuerId),
    /// The list is too old to say anything.
    #[error("the revocation list of {issuer} was to be replaced at {next_update}, now {now}")]
    Stale {
        /// The issuer.
        issuer: IssuerId,
        /// When there should have been a newer one.
        next_update: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
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
            return Err(Refusal::Revoked { since: entry.since, reason: entry.reason });
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

/// A list that cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListRefusal {
    /// Not a certificate revocation list.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Of another issuer, or not signed by this one.
    #[error("not signed by the issuer: {0}")]
    NotTheIssuers(String),
    /// A list that we do not read: a delta, a partition, without a number or an end.
    #[error("not a full list with number and end: {0}")]
    Unsupported(&'static str),
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

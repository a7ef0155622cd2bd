//! The test PKI: a CA for the hosts' server certificates, and stand-ins for the two government CAs that issue cards.
//!
//! The card CAs carry the real issuers' names with a mark that says test. Their keys lie open in the data directory:
//! nothing outside this stand-in may trust them. [`card`] issues cards, [`crl`] revokes them, [`samples`] are the
//! cards of the sample roster.

pub mod card;
pub mod crl;
pub mod samples;

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared::certificate::Kind;
use time::OffsetDateTime;

use crate::files::{self, FileError};
use crate::gateway::tls::Identity;

/// The names of the hosts that get server certificates.
pub const HOSTS: [&str; 2] = ["portal.localhost", "card.localhost"];

/// Why the test PKI cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A certificate or list cannot be made.
    #[error("the test PKI: {0}")]
    Certificates(#[from] rcgen::Error),
    /// A file does not hold what it should.
    #[error("the test PKI: {path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Something was asked for that no card can have.
    #[error("{0}")]
    Request(String),
    /// The PKCS#12 file cannot be made.
    #[error("the test PKI: {0}")]
    Pkcs12(#[from] p12_keystore::error::Error),
}

/// The test PKI of a data directory.
#[derive(Debug, Clone)]
pub struct Pki {
    data: PathBuf,
}

/// A CA with its key.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

/// How a CA is called.
struct Naming {
    organization: &'static str,
    unit: Option<&'static str>,
}

const ROOT: Naming = Naming { organization: "Government Root Certification Authority (test)", unit: None };
const MOICA: Naming = Naming { organization: "行政院 (test)", unit: Some("內政部憑證管理中心") };
const GCA: Naming = Naming { organization: "行政院 (test)", unit: Some("政府憑證管理中心") };
const SERVERS: Naming = Naming { organization: "first-sign-in stand-in (test)", unit: None };

impl Naming {
    fn distinguished_name(&self) -> Result<DistinguishedName, PkiError> {
        let mut name = DistinguishedName::new();
        name.push(DnType::CountryName, printable("TW")?);
        name.push(DnType::OrganizationName, self.organization);
        if let Some(unit) = self.unit {
            name.push(DnType::OrganizationalUnitName, unit);
        }
        Ok(name)
    }
}

pub(crate) fn printable(text: &str) -> Result<DnValue, PkiError> {
    Ok(DnValue::PrintableString(text.try_into()?))
}

/// The folder of a kind's CAs, and what operators call the issuing one.
fn place(kind: Kind) -> (&'static str, &'static str, &'static Naming) {
    match kind {
        Kind::Citizen => ("citizen", "MOICA", &MOICA),
        Kind::Organization => ("organization", "GCA", &GCA),
    }
}

/// Both kinds of card.
pub(crate) const KINDS: [Kind; 2] = [Kind::Citizen, Kind::Organization];

impl Pki {
    /// Opens the test PKI of a data directory and makes what it lacks: CAs, truststore and revocation lists.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn open(data: &Path, now: Timestamp) -> Result<Self, PkiError> {
        let pki = Self { data: data.to_owned() };
        // The keys take most of a first start; each kind has a thread of its own.
        std::thread::scope(|scope| {
            let pki = &pki;
            let both = KINDS.map(|kind| scope.spawn(move || pki.make_kind(kind, now)));
            both.into_iter().try_for_each(|made| {
                made.join().unwrap_or_else(|_| Err(PkiError::Request("a thread ended early".to_owned())))
            })
        })?;
        pki.write_truststore()?;
        Ok(pki)
    }

    fn make_kind(&self, kind: Kind, now: Timestamp) -> Result<(), PkiError> {
        let (_, _, naming) = place(kind);
        let folder = self.folder(kind);
        let root = authority(&folder, "root", &ROOT, &PKCS_RSA_SHA256, None)?;
        authority(&folder, "issuing", naming, &PKCS_RSA_SHA256, Some(&root))?;
        crl::ensure(self, kind, now)
    }

    pub(crate) fn folder(&self, kind: Kind) -> PathBuf {
        self.data.join("pki").join(place(kind).0)
    }

    /// The certificate of the CA for server certificates, which clients of the stand-in trust.
    #[must_use]
    pub fn server_ca(&self) -> PathBuf {
        self.data.join("pki/server/ca.pem")
    }

    /// The folder with `truststore.pem` and `issuers.toml`.
    #[must_use]
    pub fn truststore_folder(&self) -> PathBuf {
        self.data.join("truststore")
    }

    /// The folder with the sample cards.
    #[must_use]
    pub fn cards_folder(&self) -> PathBuf {
        self.data.join("cards")
    }

    /// The file with an issuing CA's revocation list, in DER.
    #[must_use]
    pub fn revocation_list(&self, kind: Kind) -> PathBuf {
        self.folder(kind).join("revoked.crl")
    }

    /// The issuing CA of a kind of card.
    pub(crate) fn issuing(&self, kind: Kind) -> Result<Authority, PkiError> {
        read_authority(&self.folder(kind), "issuing")?
            .ok_or_else(|| PkiError::Damaged { path: self.folder(kind).join("issuing.pem") })
    }

    /// The CA certificates that card holders' certificates may chain to.
    ///
    /// # Errors
    /// When the truststore cannot be read.
    pub fn truststore(&self) -> Result<Vec<CertificateDer<'static>>, PkiError> {
        let path = self.truststore_folder().join("truststore.pem");
        let text = files::read(&path)?;
        let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>();
        certificates.map_err(|_| PkiError::Damaged { path })
    }

    fn write_truststore(&self) -> Result<(), PkiError> {
        let mut bundle = String::new();
        let mut issuers = String::new();
        for kind in KINDS {
            let folder = self.folder(kind);
            for name in ["root.pem", "issuing.pem"] {
                bundle.push_str(&files::read_text(&folder.join(name))?);
            }
            let issuing = self.issuing(kind)?;
            let fingerprint = hex::encode(digest::digest(&digest::SHA256, &issuing.certificate));
            let (word, name, _) = place(kind);
            let list = self.revocation_list(kind);
            // Relative to the truststore's folder, which lies beside the CAs'.
            let list = Path::new("..").join(list.strip_prefix(&self.data).unwrap_or(&list));
            issuers.push_str(&format!(
                "[[issuer]]\ncertificate_sha256 = \"{fingerprint}\"\nname = \"{name} (test)\"\nkind = \"{word}\"\n\
                 crl = [{:?}]\n\n",
                list.to_string_lossy(),
            ));
        }
        let folder = self.truststore_folder();
        files::write(&folder.join("truststore.pem"), bundle.as_bytes())?;
        Ok(files::write(&folder.join("issuers.toml"), issuers.as_bytes())?)
    }

    /// A server certificate for one of the [`HOSTS`]; it also names `localhost` and `127.0.0.1`.
    ///
    /// A new one at each start: nobody pins it, and so it never expires.
    ///
    /// # Errors
    /// When the server CA cannot be used.
    pub fn server_identity(&self, host: &str, now: Timestamp) -> Result<Identity, PkiError> {
        let folder = self.data.join("pki/server");
        let ca = authority(&folder, "ca", &SERVERS, &PKCS_ECDSA_P256_SHA256, None)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let names = [host, "localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        params.not_before = hours_from(now, -24)?;
        params.not_after = hours_from(now, 24 * 365)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &ca.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|_| PkiError::Request("a server key cannot be used".to_owned()))?;
        Ok(Identity { chain: vec![certificate.der().clone(), ca.certificate], key })
    }
}

/// A moment as rcgen writes time: whole seconds.
pub(crate) fn moment(at: Timestamp) -> Result<OffsetDateTime, PkiError> {
    OffsetDateTime::from_unix_timestamp(at.as_second())
        .map_err(|_| PkiError::Request(format!("{at} is beyond what a certificate can say")))
}

/// The moment some hours from another one.
pub(crate) fn hours_from(at: Timestamp, hours: i64) -> Result<OffsetDateTime, PkiError> {
    moment(at + SignedDuration::from_hours(hours))
}

/// Reads a CA, or makes it: self-signed, or signed by the CA above it.
fn authority(
    folder: &Path,
    name: &str,
    naming: &Naming,
    algorithm: &'static SignatureAlgorithm,
    above: Option<&Authority>,
) -> Result<Authority, PkiError> {
    if let Some(authority) = read_authority(folder, name)? {
        return Ok(authority);
    }
    let key = KeyPair::generate_for(algorithm)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = naming.distinguished_name()?;
    params.not_before = date_time_ymd(2013, 1, 1);
    params.not_after = date_time_ymd(2053, 1, 1);
    params.is_ca = IsCa::Ca(match above {
        Some(_) => BasicConstraints::Constrained(0),
        None => BasicConstraints::Unconstrained,
    });
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    params.use_authority_key_identifier_extension = above.is_some();
    let certificate = match above {
        Some(above) => params.signed_by(&key, &above.issuer)?,
        None => params.self_signed(&key)?,
    };
    // The key first: a CA counts as made once its certificate is there.
    files::write_private(&folder.join(format!("{name}.key.pem")), key.serialize_pem().as_bytes())?;
    files::write(&folder.join(format!("{name}.pem")), certificate.pem().as_bytes())?;
    Ok(Authority { certificate: certificate.der().clone(), issuer: Issuer::new(params, key) })
}

fn read_authority(folder: &Path, name: &str) -> Result<Option<Authority>, PkiError> {
    let path = folder.join(format!("{name}.pem"));
    let Some(text) = files::read_if_present(&path)? else { return Ok(None) };
    let key = KeyPair::from_pem(&files::read_text(&folder.join(format!("{name}.key.pem")))?)?;
    let certificate = CertificateDer::from_pem_slice(&text).map_err(|_| PkiError::Damaged { path })?;
    let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
    Ok(Some(Authority { certificate, issuer }))
}

/// Sixteen random bytes that are a positive number.
pub(crate) fn serial() -> Result<[u8; 16], PkiError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| PkiError::Request("the system gives no random numbers".to_owned()))?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_start_makes_a_truststore_that_the_functions_accept_and_a_second_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let now = "2026-08-03T00:00:00Z".parse().unwrap();
        let pki = Pki::open(folder.path(), now).unwrap();
        let truststore = shared::certificate::Truststore::load(&pki.truststore_folder()).unwrap();
        let pinned: Vec<_> = truststore
            .authorities()
            .iter()
            .filter_map(|authority| authority.profile().map(|profile| profile.kind))
            .collect();
        assert_eq!(truststore.authorities().len(), 4);
        assert_eq!(pinned, [Kind::Citizen, Kind::Organization]);
        let before = pki.truststore().unwrap();
        assert_eq!(Pki::open(folder.path(), now).unwrap().truststore().unwrap(), before);
        for host in HOSTS {
            assert_eq!(pki.server_identity(host, now).unwrap().chain.len(), 2);
        }
    }
}

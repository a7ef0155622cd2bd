//! The test PKI: a CA for the hosts' server certificates, and stand-ins for the two government CAs that issue cards.
//!
//! The card CAs carry the real issuers' names with a mark that says test. Their keys lie open in the data directory:
//! nothing outside this stand-in may trust them. [`card`] issues cards, [`crl`] revokes them, [`samples`] are the
//! cards of the sample roster, [`foreign`] are other CAs in their place.

pub mod card;
pub mod crl;
pub mod foreign;
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

/// What people call an attribute of a name, by its dotted OID; the OID itself where there is no usual label.
pub(crate) fn attribute_label(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        other => other,
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

/// Which of a kind's issuing CAs: they have one name, and each its own key and list, as MOICA's have. A renewed card may
/// come of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Generation {
    /// The one that is always there.
    #[default]
    First,
    /// The one that is there after [`Pki::next_generation`].
    Second,
}

impl Generation {
    pub(crate) const ALL: [Self; 2] = [Self::First, Self::Second];

    /// The names of its CA's files and of its list, without their endings.
    fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::First => ("issuing", "revoked"),
            Self::Second => ("issuing-2", "revoked-2"),
        }
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

    /// Makes the second generation of the CA that issues citizens' cards: the same name, another key. A stand-in knows it
    /// from its next start on.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn next_generation(&self, now: Timestamp) -> Result<(), PkiError> {
        let kind = Kind::Citizen;
        let folder = self.folder(kind);
        let (_, _, naming) = place(kind);
        let root = authority(&folder, "root", &ROOT, &PKCS_RSA_SHA256, None)?;
        authority(&folder, Generation::Second.files().0, naming, &PKCS_RSA_SHA256, Some(&root))?;
        crl::ensure(self, kind, now)?;
        self.write_truststore()
    }

    /// The generations of a kind's issuing CA that there are.
    pub(crate) fn generations(&self, kind: Kind) -> impl Iterator<Item = Generation> {
        let folder = self.folder(kind);
        let made = move |generation: &Generation| {
            *generation == Generation::First || folder.join(format!("{}.pem", generation.files().0)).exists()
        };
        Generation::ALL.into_iter().filter(made)
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

    /// The file with the revocation list of a kind's first issuing CA, in DER.
    #[must_use]
    pub fn revocation_list(&self, kind: Kind) -> PathBuf {
        self.revocation_list_of(kind, Generation::First)
    }

    /// The files with the lists of all of a kind's issuing CAs.
    pub(crate) fn revocation_lists(&self, kind: Kind) -> Vec<PathBuf> {
        self.generations(kind).map(|generation| self.revocation_list_of(kind, generation)).collect()
    }

    pub(crate) fn revocation_list_of(&self, kind: Kind, generation: Generation) -> PathBuf {
        self.folder(kind).join(format!("{}.crl", generation.files().1))
    }

    /// An issuing CA.
    pub(crate) fn issuing(&self, kind: Kind, generation: Generation) -> Result<Authority, PkiError> {
        let (name, _) = generation.files();
        read_authority(&self.folder(kind), name)?
            .ok_or_else(|| PkiError::Damaged { path: self.folder(kind).join(format!("{name}.pem")) })
    }

    /// Makes `issuers.toml` name the web server of the test CAs' lists, at `url`, in place of the lists' files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn publish_lists(&self, url: &str) -> Result<(), PkiError> {
        let issuers =
            self.issuers(|kind, generation| format!("{url}/{}", crl::served_at(kind, generation)))?;
        Ok(files::write(&self.truststore_folder().join("issuers.toml"), issuers.as_bytes())?)
    }

    fn write_truststore(&self) -> Result<(), PkiError> {
        let mut bundle = String::new();
        for kind in KINDS {
            let folder = self.folder(kind);
            bundle.push_str(&files::read_text(&folder.join("root.pem"))?);
            for generation in self.generations(kind) {
                bundle.push_str(&files::read_text(&folder.join(format!("{}.pem", generation.files().0)))?);
            }
        }
        let folder = self.truststore_folder();
        files::write(&folder.join("truststore.pem"), bundle.as_bytes())?;
        // Relative to the truststore's folder, which lies beside the CAs'.
        let issuers = self.issuers(|kind, generation| {
            let list = self.revocation_list_of(kind, generation);
            let list = Path::new("..").join(list.strip_prefix(&self.data).unwrap_or(&list));
            list.to_string_lossy().into_owned()
        })?;
        // A stand-in that is running has named its own web server there.
        let path = folder.join("issuers.toml");
        let pins = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.starts_with("certificate_sha256")).map(str::to_owned).collect()
        };
        let known = files::read_if_present(&path)?.map(|text| String::from_utf8_lossy(&text).into_owned());
        match known {
            Some(known) if pins(&known) == pins(&issuers) => Ok(()),
            _ => Ok(files::write(&path, issuers.as_bytes())?),
        }
    }

    /// The test CAs' profiles, their lists where `list` says.
    fn issuers(&self, list: impl Fn(Kind, Generation) -> String) -> Result<String, PkiError> {
        let mut issuers = String::new();
        for kind in KINDS {
            let (word, family, _) = place(kind);
            for generation in self.generations(kind) {
                let issuing = self.issuing(kind, generation)?;
                let fingerprint = hex::encode(digest::digest(&digest::SHA256, &issuing.certificate));
                let name = match generation {
                    Generation::First => format!("{family} (test)"),
                    Generation::Second => format!("{family} G2 (test)"),
                };
                let list = list(kind, generation);
                // A sample card lacks them, to show what is asked of its holder.
                let attributes = "directory_attributes = \"optional\"";
                issuers.push_str(&format!(
                    "[[issuer]]\ncertificate_sha256 = \"{fingerprint}\"\nname = \"{name}\"\n\
                     family = \"{family} (test)\"\nkind = \"{word}\"\n{attributes}\ncrl = [{list:?}]\n\n",
                ));
            }
        }
        Ok(issuers)
    }

    /// A server certificate for one of the [`HOSTS`] and the other names that lead to it; it also names `localhost` and
    /// `127.0.0.1`. It is valid at all of `times`: the stand-in's clock may be set, and clients go by theirs.
    ///
    /// A new one at each start: nobody pins it, and so it never expires.
    ///
    /// # Errors
    /// When the server CA cannot be used.
    pub fn server_identity(
        &self,
        host: &str,
        others: &[String],
        times: &[Timestamp],
    ) -> Result<Identity, PkiError> {
        let folder = self.data.join("pki/server");
        let ca = authority(&folder, "ca", &SERVERS, &PKCS_ECDSA_P256_SHA256, None)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let names = [host, "localhost", "127.0.0.1"].into_iter().map(str::to_owned);
        let names = names.chain(others.iter().filter(|name| *name != host).cloned());
        let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Err(PkiError::Request("a server certificate must be valid for some time".to_owned()));
        };
        params.not_before = hours_from(*first, -24)?;
        params.not_after = hours_from(*last, 24 * 365)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &ca.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|_| PkiError::Request("a server key cannot be used".to_owned()))?;
        Ok(Identity { chain: vec![certificate.der().clone(), ca.certificate], key })
    }
}

/// The CA certificates in a truststore's folder.
pub(crate) fn bundle(folder: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let path = folder.join("truststore.pem");
    let text = files::read(&path)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>();
    certificates.map_err(|_| PkiError::Damaged { path })
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
    // Longer than real ones: the stand-in's clock may be set to any time.
    params.not_before = date_time_ymd(1990, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
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
        let before = bundle(&pki.truststore_folder()).unwrap();
        let again = Pki::open(folder.path(), now).unwrap();
        assert_eq!(bundle(&again.truststore_folder()).unwrap(), before);
        for host in HOSTS {
            assert_eq!(pki.server_identity(host, &[format!("*.{host}")], &[now]).unwrap().chain.len(), 2);
        }
    }
}

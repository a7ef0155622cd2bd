//! The CAs that the gateway accepts, and which of them issue the certificates that may sign in.

use std::path::Path;

use aws_lc_rs::digest;
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::name::Name;
use super::parsed::{Extensions, Parsed, timestamp};
use super::path::{self, Found, Given, ValidPath};
use super::profile::{IssuerProfile, IssuerProfiles};
use super::signature::Key;
use super::{Certificate, Checked, IssuerId, Refusal, holder, serial_hex};
use crate::environment::StartError;

/// The CAs that the gateway accepts, and which of them issue the certificates that may sign in.
#[derive(Debug)]
pub struct Truststore {
    authorities: Vec<Authority>,
}

/// One CA of the truststore.
#[derive(Debug)]
pub struct Authority {
    der: CertificateDer<'static>,
    /// webpki's reading, if it reads such a certificate.
    pub(super) webpki: Option<TrustAnchor<'static>>,
    pub(super) name: Name,
    pub(super) extensions: Extensions,
    subject: Vec<u8>,
    public_key: Vec<u8>,
    id: IssuerId,
    fingerprint: String,
    not_before: Timestamp,
    not_after: Timestamp,
    defect: Option<String>,
    profile: Option<IssuerProfile>,
}

impl Authority {
    fn new(
        der: &CertificateDer<'static>,
        fingerprint: String,
        profile: Option<IssuerProfile>,
    ) -> Result<Self, (String, String)> {
        let (parsed, defect) = match Parsed::trusted(der) {
            Ok(read) => read,
            Err(defect) => return Err((fingerprint, defect)),
        };
        Ok(Self {
            webpki: webpki::anchor_from_trusted_cert(der).ok().map(|anchor| anchor.to_owned()),
            name: parsed.subject().clone(),
            subject: parsed.raw_subject().to_vec(),
            public_key: parsed.public_key().to_vec(),
            id: IssuerId::of_key(parsed.public_key()),
            fingerprint,
            not_before: timestamp(parsed.not_before),
            not_after: timestamp(parsed.not_after),
            defect,
            profile,
            extensions: parsed.extensions,
            der: der.clone(),
        })
    }

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

    /// The CA's name, DER.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The CA's SubjectPublicKeyInfo, DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// SHA-256 of the CA's certificate, hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Why nothing that this CA signs is believed: it is none, its key is weak or not for certificates.
    pub fn defect(&self) -> Option<&str> {
        self.defect.as_deref()
    }

    /// The CA's key.
    pub(super) fn key(&self) -> Option<Key<'_>> {
        Key::read(&self.public_key)
    }

    /// The CA certificate's first and last second.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }
}

impl Truststore {
    /// Reads `truststore.pem` and `issuers.toml` in a folder.
    ///
    /// # Errors
    /// [`StartError::Truststore`] when they cannot be read, or do not fit each other.
    pub fn load(folder: &Path) -> Result<Self, StartError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path)
                .map_err(|error| StartError::Truststore(format!("{}: {error}", path.display())))
        };
        let profiles = String::from_utf8(read("issuers.toml")?)
            .map_err(|error| StartError::Truststore(format!("issuers.toml: {error}")))?;
        let profiles = IssuerProfiles::parse(&profiles)
            .map_err(|error| StartError::Truststore(format!("issuers.toml: {error}")))?;
        Self::new(&read("truststore.pem")?, profiles)
    }

    /// The CAs in `pem`, pinned by `profiles`.
    ///
    /// # Errors
    /// [`StartError::Truststore`]: no CA, a broken one, or a profile without its CA.
    pub fn new(pem: &[u8], profiles: IssuerProfiles) -> Result<Self, StartError> {
        let broken = |what: String| StartError::Truststore(what);
        let mut profiles = profiles.issuers;
        let mut authorities = Vec::<Authority>::new();
        for der in CertificateDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| broken("truststore.pem: a block is not PEM".to_owned()))?.into_owned();
            let fingerprint = hex::encode(digest::digest(&digest::SHA256, &der));
            if authorities.iter().any(|known| known.fingerprint == fingerprint) {
                continue;
            }
            let pinned = profiles.iter().position(|profile| profile.certificate_sha256 == fingerprint);
            let profile = pinned.map(|at| profiles.swap_remove(at));
            authorities.push(
                Authority::new(&der, fingerprint, profile)
                    .map_err(|(fingerprint, defect)| broken(format!("CA {fingerprint}: {defect}")))?,
            );
        }
        if authorities.is_empty() {
            return Err(broken("truststore.pem holds no certificate".to_owned()));
        }
        if let Some(orphan) = profiles.first() {
            return Err(broken(format!(
                "issuers.toml pins {} ({}), which is not in truststore.pem",
                orphan.certificate_sha256, orphan.name
            )));
        }
        let truststore = Self { authorities };
        for authority in &truststore.authorities {
            truststore.list_signer(authority)?;
        }
        Ok(truststore)
    }

    /// The CAs.
    pub fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    /// The CA of that key. Where several certificates certify one key, a pinned one.
    pub fn authority(&self, id: &IssuerId) -> Option<&Authority> {
        let mut of_key = self.authorities.iter().filter(|authority| authority.id == *id);
        of_key.clone().find(|authority| authority.profile.is_some()).or_else(|| of_key.next())
    }

    /// The CA that signs an issuer's revocation lists: `crl_signer_sha256` of its profile, or the issuer itself.
    ///
    /// # Errors
    /// [`StartError::Truststore`] when that CA is not in the truststore; [`Truststore::new`] has made sure of it.
    pub fn list_signer<'a>(&'a self, issuer: &'a Authority) -> Result<&'a Authority, StartError> {
        let Some(signer) = issuer.profile.as_ref().and_then(|profile| profile.crl_signer_sha256.as_ref())
        else {
            return Ok(issuer);
        };
        self.authorities.iter().find(|authority| authority.fingerprint == *signer).ok_or_else(|| {
            StartError::Truststore(format!("issuers.toml: the CRL signer {signer} is not in truststore.pem"))
        })
    }

    /// Decides whether a certificate is valid: a path to a CA of the truststore (RFC 5280 section 6), and what every
    /// certificate that signs in must have. No profile is asked.
    ///
    /// The first certificate of `pem` is the one in question. Those after it, and those in `intermediates`, are
    /// untrusted and may help to find the path.
    ///
    /// # Errors
    /// The first [`Refusal`]. The input is untrusted: rubbish is refused like anything else.
    pub fn validate(
        &self,
        pem: &str,
        intermediates: Option<&str>,
        now: Timestamp,
    ) -> Result<ValidPath, Refusal> {
        let given = Given::read(pem, intermediates)?;
        path::find(self, &given, now).map(|found| found.path)
    }

    /// Decides whether a certificate may sign in: [`Truststore::validate`], a pinned issuer, and what its profile asks.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn check(&self, pem: &str, now: Timestamp) -> Result<Checked, Refusal> {
        self.check_with(pem, None, now)
    }

    /// [`Truststore::check`] with further untrusted certificates to find the path with.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn check_with(
        &self,
        pem: &str,
        intermediates: Option<&str>,
        now: Timestamp,
    ) -> Result<Checked, Refusal> {
        let given = Given::read(pem, intermediates)?;
        let Found { leaf, anchor, path } = path::find(self, &given, now)?;
        // The pinned CA itself has issued it: a CA below a pinned one has no profile.
        let profile = anchor
            .profile()
            .filter(|_| path.certificates().len() == 1)
            .ok_or(Refusal::WrongKind("issued by a CA that is not pinned"))?;
        if !profile.policies.is_empty() && !path.policies().allow(&profile.policies) {
            return Err(Refusal::WrongKind("of no policy that is accepted"));
        }
        let certificate = Certificate {
            issuer: anchor.id().clone(),
            issuer_name: profile.name.clone(),
            family: profile.family().to_owned(),
            serial: serial_hex(leaf.x509.raw_serial()),
            holder: holder::read(&leaf.x509, profile)?,
            not_after: timestamp(leaf.not_after),
        };
        Ok(Checked { certificate, path })
    }
}

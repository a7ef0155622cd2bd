//! CAs and cards.

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
    RsaKeySize, SerialNumber, SigningKey as _,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;

use crate::damage::split;
use crate::list::element;

/// 2026-08-03T00:00:00Z: the day on which everything here begins, in seconds of Unix time.
pub const START: i64 = 1_785_715_200;
const DAY: i64 = 86_400;

/// A key's algorithm. RSA and P-256 sign with SHA-256, P-384 with SHA-384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with 2,048 bits.
    Rsa2048,
    /// RSA with 4,096 bits: MOICA G3's.
    Rsa4096,
    /// P-256.
    P256,
    /// P-384.
    P384,
}

impl Algorithm {
    /// A new key.
    ///
    /// # Panics
    /// When the system has no random numbers.
    #[must_use]
    pub fn key(self) -> KeyPair {
        match self {
            Self::Rsa2048 => KeyPair::generate_for(&PKCS_RSA_SHA256),
            Self::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
            Self::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        }
        .unwrap()
    }

    /// The signature's AlgorithmIdentifier (RFC 5280 section 4.1.1.2), DER.
    #[must_use]
    pub fn identifier(self) -> &'static [u8] {
        match self {
            // sha256WithRSAEncryption, parameters NULL (RFC 4055 section 5).
            Self::Rsa2048 | Self::Rsa4096 => {
                &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 5, 0]
            }
            // ecdsa-with-SHA256 and -SHA384 (RFC 5758 section 3.2), no parameters.
            Self::P256 => &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
            Self::P384 => &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
        }
    }
}

/// A CA with its key.
#[derive(Debug)]
pub struct Authority {
    algorithm: Algorithm,
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A self-signed CA of that name, with a new key.
    ///
    /// # Panics
    /// When the system has no random numbers.
    #[must_use]
    pub fn new(name: &str, algorithm: Algorithm) -> Self {
        Self::with_key(name, algorithm, algorithm.key(), None)
    }

    /// A self-signed CA, or one that `above` signs, with this key. It is valid ten years around [`START`].
    ///
    /// # Panics
    /// When the key is not of that algorithm.
    #[must_use]
    pub fn with_key(name: &str, algorithm: Algorithm, key: KeyPair, above: Option<&Self>) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CountryName, DnValue::PrintableString("TW".try_into().unwrap()));
        params.distinguished_name.push(DnType::OrganizationName, "行政院");
        params.distinguished_name.push(DnType::OrganizationalUnitName, name);
        params.is_ca = IsCa::Ca(match above {
            None => BasicConstraints::Unconstrained,
            Some(_) => BasicConstraints::Constrained(0),
        });
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = above.is_some();
        (params.not_before, params.not_after) = (moment(START - 1_825 * DAY), moment(START + 1_825 * DAY));
        let certificate = match above {
            None => params.self_signed(&key),
            Some(above) => params.signed_by(&key, &above.issuer),
        };
        let certificate = certificate.unwrap();
        Self {
            algorithm,
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// The CA that was written to files: its certificate and its key, both PEM.
    ///
    /// # Panics
    /// When they are not that.
    #[must_use]
    pub fn read(certificate_pem: &str, key_pem: &str, algorithm: Algorithm) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap();
        let issuer = Issuer::from_ca_cert_der(&certificate, KeyPair::from_pem(key_pem).unwrap()).unwrap();
        Self { algorithm, certificate, pem: certificate_pem.to_owned(), issuer }
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its key's algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its private key, PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// What issues in its name.
    #[must_use]
    pub fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// SHA-256 of its certificate, hex: what a profile pins.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.certificate))
    }

    /// Its key's SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(self.issuer.key())
    }

    /// Its profile, one table of `issuers.toml`, followed by more `lines` of it.
    #[must_use]
    pub fn profile(&self, kind: &str, lines: &str) -> String {
        let fingerprint = self.fingerprint();
        format!(
            "[[issuer]]\ncertificate_sha256 = \"{fingerprint}\"\nname = \"MOICA (test)\"\nkind = \"{kind}\"\n{lines}\n"
        )
    }

    /// Its signature.
    ///
    /// # Panics
    /// When the key refuses.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.issuer.key().sign(message).unwrap()
    }

    /// Issues a certificate for a new key of the CA's own algorithm; PEM.
    ///
    /// # Panics
    /// When the parameters are impossible.
    #[must_use]
    pub fn issue(&self, card: &CertificateParams) -> String {
        self.issue_for(card, &self.algorithm.key())
    }

    /// Issues a certificate for a key; PEM.
    ///
    /// # Panics
    /// When the parameters are impossible.
    #[must_use]
    pub fn issue_for(&self, card: &CertificateParams, key: &KeyPair) -> String {
        card.signed_by(key, &self.issuer).unwrap().pem()
    }
}

/// A citizen's card as MOICA makes them, with a serial number of 16 bytes, valid from [`START`] for five years.
///
/// # Panics
/// Never.
#[must_use]
pub fn citizen_card(serial: &[u8; 16]) -> CertificateParams {
    let mut card = CertificateParams::default();
    card.serial_number = Some(SerialNumber::from_slice(serial));
    card.distinguished_name.push(DnType::CountryName, DnValue::PrintableString("TW".try_into().unwrap()));
    card.distinguished_name.push(DnType::CommonName, "王大明");
    card.distinguished_name.push(
        DnType::CustomDnType(vec![2, 5, 4, 5]),
        DnValue::PrintableString("0000000112345678".try_into().unwrap()),
    );
    card.use_authority_key_identifier_extension = true;
    card.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    card.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    card.custom_extensions = vec![certificate_policies(), directory_attributes(b"6789")];
    (card.not_before, card.not_after) = (moment(START), moment(START + 1_825 * DAY));
    card
}

/// Certificate policies (RFC 5280 section 4.2.1.4): 2.16.886.1.100.0.3, assurance level 3.
fn certificate_policies() -> CustomExtension {
    let policy = [0x30, 0x0b, 0x30, 0x09, 0x06, 0x07, 0x60, 0x86, 0x76, 0x01, 0x64, 0x00, 0x03];
    CustomExtension::from_oid_content(&[2, 5, 29, 32], policy.to_vec())
}

/// Subject Directory Attributes with GPKI's attribute of the last four digits of the national ID.
fn directory_attributes(digits: &[u8; 4]) -> CustomExtension {
    let mut value = vec![0x13, 4];
    value.extend_from_slice(digits);
    let oid = [0x06, 0x07, 0x60, 0x86, 0x76, 0x01, 0x64, 0x02, 0x33];
    let attribute = element(0x30, &[&oid[..], &element(0x31, &value)].concat());
    CustomExtension::from_oid_content(&[2, 5, 29, 9], element(0x30, &attribute))
}

/// The order of P-256's group (SEC 2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A structure that a P-256 key has signed, with the other signature that is as good: where (r, s) is one, so is
/// (r, n - s), and everybody can make it. Nothing that is signed differs. `None` for what no P-256 key has signed.
#[must_use]
pub fn mirrored(der: &[u8]) -> Option<Vec<u8>> {
    let content = split(der)?.content;
    let to_be_signed = split(content)?;
    let algorithm = split(to_be_signed.rest)?;
    let (unused, signature) = split(algorithm.rest)?.content.split_first()?;
    let r = split(split(signature)?.content)?;
    let s = split(r.rest)?.content;
    if algorithm.element != Algorithm::P256.identifier() || *unused != 0 || s.len() > 33 {
        return None;
    }
    let s = std::iter::repeat_n(0, 33 - s.len()).chain(s.iter().copied()).skip(1);
    let mut difference = P256_ORDER;
    let mut borrowed = false;
    for (byte, less) in difference.iter_mut().rev().zip(s.collect::<Vec<_>>().iter().rev()) {
        let (first, one) = byte.overflowing_sub(*less);
        let (second, other) = first.overflowing_sub(borrowed.into());
        (*byte, borrowed) = (second, one || other);
    }
    let zeros = difference.iter().take_while(|byte| **byte == 0).count();
    let mut s = difference[zeros..].to_vec();
    if s.first().is_none_or(|first| *first >= 0x80) {
        s.insert(0, 0);
    }
    let signature = element(0x30, &[r.element, &element(0x02, &s)].concat());
    let signature = element(0x03, &[&[0], &signature[..]].concat());
    Some(element(0x30, &[to_be_signed.element, algorithm.element, &signature].concat()))
}

fn moment(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(second).unwrap()
}

//! Cards: certificates with the profile of MOICA's and GCA's, as PEM and as PKCS#12.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use p12_keystore::{Certificate as StoredCertificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use shared::certificate::Kind;

use super::{Generation, Pki, PkiError, moment, printable, serial};
use crate::files;

/// The password of every PKCS#12 file, and what stands for the PIN.
pub const PIN: &str = "1234";

/// How long a card is valid when nothing else is said: five years, as a MOICA card.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365 * 5);

/// Subject Directory Attributes.
const DIRECTORY_ATTRIBUTES: &[u64] = &[2, 5, 29, 9];
/// The last four digits of the national ID.
const ID_TAIL: &[u64] = &[2, 16, 886, 1, 100, 2, 51];
/// An agency's organization OID.
const ORGANIZATION_OID: &[u64] = &[2, 16, 886, 1, 100, 2, 102];
/// Certificate policies.
const POLICIES: &[u64] = &[2, 5, 29, 32];
/// The policy of GPKI's test certificates.
const TEST_POLICY: &[u64] = &[2, 16, 886, 1, 100, 0, 0];

/// Which of a card's two certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Usage {
    /// For signatures: the one that signs in.
    #[default]
    Signature,
    /// For encryption.
    Encryption,
}

/// What a new card shall say.
#[derive(Debug, Clone)]
pub struct CardRequest {
    /// Whose card it is.
    pub kind: Kind,
    /// The holder's name.
    pub name: String,
    /// The last four digits of a citizen's national ID.
    pub id_tail: Option<String>,
    /// The holder's 16 digits; random ones when not given.
    pub serial_number: Option<String>,
    /// An agency's organization OID.
    pub agency_oid: Option<String>,
    /// The certificate's use.
    pub usage: Usage,
    /// From when it is valid; from a day ago when not given.
    pub not_before: Option<Timestamp>,
    /// Until when it is valid; for five years when not given.
    pub not_after: Option<Timestamp>,
    /// Whether the certificate has the directory attributes at all: some real ones lack them.
    pub directory_attributes: bool,
    /// Which generation of the CA issues it.
    pub generation: Generation,
}

impl CardRequest {
    /// A citizen's card with the last four digits of the national ID.
    #[must_use]
    pub fn citizen(name: &str, id_tail: &str) -> Self {
        Self {
            kind: Kind::Citizen,
            name: name.to_owned(),
            id_tail: Some(id_tail.to_owned()),
            serial_number: None,
            agency_oid: None,
            usage: Usage::Signature,
            not_before: None,
            not_after: None,
            directory_attributes: true,
            generation: Generation::First,
        }
    }

    /// An agency's card.
    #[must_use]
    pub fn organization(name: &str, agency_oid: &str) -> Self {
        Self {
            kind: Kind::Organization,
            id_tail: None,
            agency_oid: Some(agency_oid.to_owned()),
            ..Self::citizen(name, "")
        }
    }
}

/// A new card.
#[derive(Debug, Clone)]
pub struct Card {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key in PEM.
    pub key_pem: String,
    /// The certificate of the CA that issued it; of one that was read it is in its PKCS#12 alone.
    issuer: Option<CertificateDer<'static>>,
}

impl Card {
    /// Reads a card that [`Card::write`] wrote.
    ///
    /// # Errors
    /// When a file is missing.
    pub fn read(folder: &Path) -> Result<Self, PkiError> {
        Ok(Self {
            certificate_pem: files::read_text(&folder.join("certificate.pem"))?,
            key_pem: files::read_text(&folder.join("key.pem"))?,
            issuer: None,
        })
    }

    /// Writes a card that was just issued into a folder: `certificate.pem`, `key.pem`, and both with the issuer's certificate as
    /// `card.p12`, under [`PIN`].
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), PkiError> {
        files::make_folder(folder)?;
        files::write_private(&folder.join("key.pem"), self.key_pem.as_bytes())?;
        files::write_private(&folder.join("card.p12"), &self.pkcs12()?)?;
        Ok(files::write(&folder.join("certificate.pem"), self.certificate_pem.as_bytes())?)
    }

    fn pkcs12(&self) -> Result<Vec<u8>, PkiError> {
        let certificate = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes());
        let certificate = certificate.map_err(|error| PkiError::Request(error.to_string()))?;
        let chain = [Some(&certificate), self.issuer.as_ref()].into_iter().flatten();
        let chain = chain.map(|der| StoredCertificate::from_der(der)).collect::<Result<Vec<_>, _>>()?;
        let private_key = PrivateKey::from_der(KeyPair::from_pem(&self.key_pem)?.serialized_der())?;
        let mut store = KeyStore::new();
        let entry = PrivateKeyChain::new([1_u8].as_slice(), private_key, chain);
        store.add_entry("card", KeyStoreEntry::PrivateKeyChain(entry));
        Ok(store.writer(PIN).write()?)
    }
}

impl Pki {
    /// Issues a card.
    ///
    /// # Errors
    /// When the request asks for something that no such card has, or the CA cannot be used.
    pub fn issue(&self, request: &CardRequest, now: Timestamp) -> Result<Card, PkiError> {
        self.issue_to(&new_key()?, request, now)
    }

    /// A new private key for a card, in PEM. Such RSA keys take their time.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn card_key() -> Result<String, PkiError> {
        Ok(new_key()?.serialize_pem())
    }

    /// As [`Pki::issue`], with a key that there is already, in PEM.
    ///
    /// # Errors
    /// As [`Pki::issue`], and when the key cannot be read.
    pub fn issue_with(&self, key: &str, request: &CardRequest, now: Timestamp) -> Result<Card, PkiError> {
        self.issue_to(&KeyPair::from_pem(key)?, request, now)
    }

    fn issue_to(&self, key: &KeyPair, request: &CardRequest, now: Timestamp) -> Result<Card, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(request)?;
        let not_before = request.not_before.unwrap_or(now - SignedDuration::from_hours(24));
        let not_after = request.not_after.unwrap_or(not_before + LIFETIME);
        if not_after <= not_before {
            return Err(PkiError::Request("a card must be valid for some time".to_owned()));
        }
        params.not_before = moment(not_before)?;
        params.not_after = moment(not_after)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial()?));
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = match request.usage {
            Usage::Signature => vec![KeyUsagePurpose::DigitalSignature],
            Usage::Encryption => vec![KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::DataEncipherment],
        };
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let policy = sequence(&sequence(&object_identifier(TEST_POLICY)));
        params.custom_extensions.push(CustomExtension::from_oid_content(POLICIES, policy));
        if let Some(attributes) = directory_attributes(request)? {
            params
                .custom_extensions
                .push(CustomExtension::from_oid_content(DIRECTORY_ATTRIBUTES, attributes));
        }

        if (request.kind, request.generation) == (Kind::Organization, Generation::Second) {
            return Err(PkiError::Request("only the citizens' CA has a second generation".to_owned()));
        }
        let issuing = self.issuing(request.kind, request.generation)?;
        let certificate = params.signed_by(key, &issuing.issuer)?;
        let issuer = Some(issuing.certificate);
        Ok(Card { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), issuer })
    }
}

fn new_key() -> Result<KeyPair, PkiError> {
    Ok(KeyPair::generate_for(&PKCS_RSA_SHA256)?)
}

fn subject(request: &CardRequest) -> Result<DistinguishedName, PkiError> {
    if request.name.trim().is_empty() {
        return Err(PkiError::Request("a card needs a name".to_owned()));
    }
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, printable("TW")?);
    name.push(DnType::CommonName, request.name.as_str());
    let digits = match &request.serial_number {
        Some(digits) if digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.clone()
        }
        Some(_) => return Err(PkiError::Request("the subject's serial number has 16 digits".to_owned())),
        None => serial()?.iter().map(|byte| char::from(b'0' + byte % 10)).collect(),
    };
    name.push(DnType::from_oid(&[2, 5, 4, 5]), printable(&digits)?);
    Ok(name)
}

fn directory_attributes(request: &CardRequest) -> Result<Option<Vec<u8>>, PkiError> {
    if !request.directory_attributes {
        return Ok(None);
    }
    let (kind, value) = match (request.kind, &request.id_tail, &request.agency_oid) {
        (Kind::Citizen, _, Some(_)) => {
            return Err(PkiError::Request("a citizen's card has no organization OID".to_owned()));
        }
        (Kind::Citizen, None, None) => return Ok(None),
        (Kind::Citizen, Some(tail), None)
            if tail.len() == 4 && tail.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            (ID_TAIL, tail)
        }
        (Kind::Citizen, Some(_), None) => {
            return Err(PkiError::Request("the tail of a national ID has 4 digits".to_owned()));
        }
        (Kind::Organization, Some(_), _) => {
            return Err(PkiError::Request("an organization's card has no tail of a national ID".to_owned()));
        }
        (Kind::Organization, None, None) => {
            return Err(PkiError::Request("an organization's card needs an organization OID".to_owned()));
        }
        (Kind::Organization, None, Some(oid)) => (ORGANIZATION_OID, oid),
    };
    let value = set(&printable_string(value));
    Ok(Some(sequence(&sequence(&[object_identifier(kind), value].concat()))))
}

// The few forms of DER (X.690) that rcgen leaves to its callers.

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = content.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let length = length.to_be_bytes();
            let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
            bytes.extend(significant);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

fn sequence(content: &[u8]) -> Vec<u8> {
    tagged(0x30, content)
}

fn set(content: &[u8]) -> Vec<u8> {
    tagged(0x31, content)
}

fn printable_string(text: &str) -> Vec<u8> {
    tagged(0x13, text.as_bytes())
}

fn object_identifier(arcs: &[u64]) -> Vec<u8> {
    let mut numbers = arcs.to_vec();
    if let [first, second, rest @ ..] = arcs {
        numbers = [&[first * 40 + second], rest].concat();
    }
    let mut content = Vec::new();
    for number in numbers {
        let groups = (0..10).rev().map(|group| number >> (7 * group)).skip_while(|rest| *rest == 0);
        let mut bytes: Vec<u8> = groups.map(|rest| (rest & 0x7f) as u8 | 0x80).collect();
        match bytes.last_mut() {
            Some(last) => *last &= 0x7f,
            None => bytes.push(0),
        }
        content.extend(bytes);
    }
    tagged(0x06, &content)
}

#[cfg(test)]
mod tests {
    use p12_keystore::Pkcs12ImportPolicy;
    use shared::certificate::{Holder, Refusal, Truststore};

    use super::*;

    #[test]
    fn the_functions_read_from_a_card_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let pki = Pki::open(folder.path(), now).unwrap();
        let truststore = Truststore::load(&pki.truststore_folder()).unwrap();
        let holder = |request: &CardRequest| {
            let card = pki.issue(request, now).unwrap();
            let checked = truststore.check(&card.certificate_pem, now);
            checked.map(|checked| checked.certificate().holder.clone())
        };

        let mut citizen = CardRequest::citizen("王小明", "6789");
        citizen.serial_number = Some("0123456789012345".to_owned());
        let Ok(Holder::Citizen(found)) = holder(&citizen) else { panic!("no citizen") };
        assert_eq!((found.name.as_str(), found.serial_number.as_str()), ("王小明", "0123456789012345"));
        assert_eq!(found.id_tail.as_deref(), Some("6789"));

        citizen.directory_attributes = false;
        let Ok(Holder::Citizen(found)) = holder(&citizen) else { panic!("no citizen") };
        assert_eq!(found.id_tail, None);

        let agency = CardRequest::organization("範例機關", "2.16.886.101.90001");
        let Ok(Holder::Organization { oid }) = holder(&agency) else { panic!("no organization") };
        assert_eq!(oid, "2.16.886.101.90001");

        citizen.usage = Usage::Encryption;
        assert!(matches!(holder(&citizen), Err(Refusal::WrongKind(_))));
        citizen.usage = Usage::Signature;
        citizen.not_before = Some("2019-01-01T00:00:00Z".parse().unwrap());
        citizen.not_after = Some("2024-01-01T00:00:00Z".parse().unwrap());
        assert!(matches!(holder(&citizen), Err(Refusal::Expired { .. })));

        let card = pki.issue(&CardRequest::citizen("王小明", "6789"), now).unwrap();
        let store = KeyStore::from_pkcs12(&card.pkcs12().unwrap(), PIN, Pkcs12ImportPolicy::Strict).unwrap();
        assert_eq!(store.private_key_chain().unwrap().1.certs().len(), 2);
    }

    #[test]
    fn impossible_cards_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let pki = Pki::open(folder.path(), now).unwrap();
        let citizen = || CardRequest::citizen("王小明", "6789");
        let agency = || CardRequest::organization("範例機關", "2.16.886.101.90001");
        let requests = [
            CardRequest { name: " ".into(), ..citizen() },
            CardRequest { id_tail: Some("678".into()), ..citizen() },
            CardRequest { serial_number: Some("12".into()), ..citizen() },
            CardRequest { agency_oid: Some("1.2.3".into()), ..citizen() },
            CardRequest { not_after: Some("2020-01-01T00:00:00Z".parse().unwrap()), ..citizen() },
            CardRequest { agency_oid: None, ..agency() },
            CardRequest { id_tail: Some("6789".into()), ..agency() },
            CardRequest { generation: Generation::Second, ..agency() },
        ];
        for request in requests {
            assert!(matches!(pki.issue(&request, now), Err(PkiError::Request(_))), "{request:?}");
        }
    }

    #[test]
    fn object_identifiers_are_encoded_as_x690_says() {
        assert_eq!(object_identifier(&[2, 5, 29, 9]), [6, 3, 0x55, 0x1d, 9]);
        assert_eq!(object_identifier(&[1, 2, 840, 113_549]), [6, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(object_identifier(TEST_POLICY), [6, 7, 0x60, 0x86, 0x76, 1, 0x64, 0, 0]);
    }
}

//! TLS as API Gateway's HTTP APIs speak it: versions 1.2 and 1.3, and on the card host a client certificate that chains to
//! the truststore, at the time of the stand-in's clock. Revocation is not checked here, as it is not there.
//!
//! What becomes of a certificate that does not is not known for certain ([`RefusedCards`]), nor is which version a host with
//! client certificates agrees to ([`Version`]): the stand-in plays each. Of the policy's suites it lacks those that rustls does
//! not have: CBC, and RSA without Diffie-Hellman.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ProtocolVersion, RootCertStore,
    ServerConfig, ServerConnection, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};
use shared::clock::Clock;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Why a host has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate, the key or the protocol cannot be used.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The truststore gives no way to verify clients.
    #[error("TLS: the truststore cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A server certificate with its chain and key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, then those above it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The certificate's key.
    pub key: PrivateKeyDer<'static>,
}

/// Most bytes that a host's names of CAs may take when it asks for a certificate: `certificate_authorities` has a length of
/// two octets (RFC 5246 section 7.4.4).
pub const ROOM_FOR_NAMES: usize = 65_535;

/// As much of it as is sure to be free in TLS 1.3 too, where other extensions share those octets (RFC 8446 section 4.3.2), and
/// where a client may have room for no more than 64 KiB of everything that a host sends at once, its certificates among it:
/// rustls has.
pub const SURE_ROOM_FOR_NAMES: usize = 56 * 1024;

/// What names, DER, take in `certificate_authorities`: each has its own length before it.
pub fn bytes_of_names(names: impl IntoIterator<Item: AsRef<[u8]>>) -> usize {
    names.into_iter().map(|name| 2 + name.as_ref().len()).sum()
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Version {
    /// TLS 1.2.
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[value(name = "1.3")]
    Tls13,
}

/// What becomes of a certificate that does not chain to the truststore, whose time is not now, or whose signature or key is weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum RefusedCards {
    /// Its connection stands, and its requests are answered 403, as AWS describes it.
    #[default]
    #[value(name = "403")]
    Forbidden,
    /// The handshake ends.
    #[value(name = "handshake")]
    Handshake,
}

/// What of API Gateway's TLS the stand-in plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Behavior {
    /// The only version that hosts agree to; both without one.
    pub version: Option<Version>,
    /// What becomes of cards that are refused.
    pub refused_cards: RefusedCards,
}

impl Behavior {
    fn versions(self) -> Vec<&'static SupportedProtocolVersion> {
        let wanted = |version: &SupportedProtocolVersion| match self.version {
            None => true,
            Some(Version::Tls12) => version.version == ProtocolVersion::TLSv1_2,
            Some(Version::Tls13) => version.version == ProtocolVersion::TLSv1_3,
        };
        rustls::ALL_VERSIONS.iter().copied().filter(|version| wanted(version)).collect()
    }
}

/// The suites of the policy `TLS_1_2` of HTTP APIs, as far as rustls has them.
static SUITES: &[SupportedCipherSuite] = &[
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// Gives TLS the stand-in's time.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        // Before 1970 TLS has no time, and so no certificate is valid.
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// The TLS of a host.
#[derive(Debug)]
pub struct Tls {
    /// The handshake.
    pub handshake: Arc<ServerConfig>,
    /// What a connection's certificate is held against after its handshake.
    afterwards: Option<Arc<dyn ClientCertVerifier>>,
    time: Time,
}

impl Tls {
    /// Whether the gateway lets the requests of a connection through to its API.
    ///
    /// # Errors
    /// What is wrong with the connection's certificate.
    pub fn admits(&self, connection: &ServerConnection) -> Result<(), Error> {
        let Some(verifier) = &self.afterwards else { return Ok(()) };
        let certificates = connection.peer_certificates().unwrap_or_default();
        let (certificate, others) = certificates.split_first().ok_or(Error::NoCertificatesPresented)?;
        let now = self.time.current_time().ok_or(Error::FailedToGetCurrentTime)?;
        if !has_strong_key(certificate) {
            return Err(CertificateError::BadSignature.into());
        }
        verifier.verify_client_cert(certificate, others, now).map(drop)
    }
}

/// Whether a certificate's key is one that API Gateway takes: RSA with 2048 bits or more, P-256 or P-384.
fn has_strong_key(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let spki = certificate.public_key();
    let curve = || spki.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    if spki.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        matches!(spki.parsed(), Ok(PublicKey::RSA(key)) if key.key_size() >= 2048)
    } else {
        spki.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
            && curve().is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384].contains(&curve))
    }
}

/// Takes every certificate whose owner has its key.
#[derive(Debug)]
struct TakesAny(Arc<dyn ClientCertVerifier>);

impl TakesAny {
    /// Nobody is let in with a certificate that cannot be read or whose key is weak, be it theirs or not: whether it is, which
    /// then cannot be verified either, makes no difference.
    fn unless_let_in(
        verified: Result<HandshakeSignatureValid, Error>,
        certificate: &CertificateDer<'_>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let could_be_let_in = ParsedCertificate::try_from(certificate).is_ok() && has_strong_key(certificate);
        if could_be_let_in { verified } else { Ok(HandshakeSignatureValid::assertion()) }
    }
}

impl ClientCertVerifier for TakesAny {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::unless_let_in(self.0.verify_tls12_signature(message, certificate, signature), certificate)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::unless_let_in(self.0.verify_tls13_signature(message, certificate, signature), certificate)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The TLS of a host; with a truststore, of one that asks for client certificates.
///
/// # Errors
/// When the identity or the truststore cannot be used.
pub fn configuration(
    identity: Identity,
    truststore: Option<&[CertificateDer<'static>]>,
    behavior: Behavior,
    clock: &Clock,
) -> Result<Tls, TlsError> {
    let suites =
        CryptoProvider { cipher_suites: SUITES.to_vec(), ..rustls::crypto::aws_lc_rs::default_provider() };
    let builder = ServerConfig::builder_with_details(Arc::new(suites), Arc::new(Time(clock.clone())))
        .with_protocol_versions(&behavior.versions())?;
    let mut afterwards = None;
    let builder = match truststore {
        None => builder.with_no_client_auth(),
        Some(certificates) => {
            // Intermediates are trusted like roots: API Gateway accepts a chain that ends at any of its certificates.
            let mut anchors = RootCertStore::empty();
            for certificate in certificates {
                anchors.add(certificate.clone())?;
            }
            let names = anchors.subjects();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider());
            // Without names a client chooses for itself; with a vector that overflows there is no handshake.
            let verifier = if bytes_of_names(&names) > SURE_ROOM_FOR_NAMES {
                verifier.clear_root_hint_subjects()
            } else {
                verifier
            };
            let verifier = verifier.build()?;
            builder.with_client_cert_verifier(match behavior.refused_cards {
                RefusedCards::Handshake => verifier,
                RefusedCards::Forbidden => {
                    afterwards = Some(Arc::clone(&verifier));
                    Arc::new(TakesAny(verifier))
                }
            })
        }
    };
    let mut configuration = builder.with_single_cert(identity.chain, identity.key)?;
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls { handshake: Arc::new(configuration), afterwards, time: Time(clock.clone()) })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
        Issuer, KeyPair, date_time_ymd,
    };
    use rustls::client::ResolvesClientCert;
    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConfig, ClientConnection, ProtocolVersion, ServerConnection, SignatureScheme};

    use super::*;

    /// A card in its reader, which notes how many CAs a host names.
    #[derive(Debug)]
    struct Reader {
        card: Arc<CertifiedKey>,
        named: Mutex<Option<usize>>,
    }

    impl ResolvesClientCert for Reader {
        fn resolve(&self, names: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            *self.named.lock().unwrap() = Some(names.len());
            Some(Arc::clone(&self.card))
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    fn key_of(key: &KeyPair) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(key.serialize_der()).into()
    }

    /// CAs whose names take so many bytes each, and a card of the last.
    fn authorities(count: usize, name: usize) -> (Vec<CertificateDer<'static>>, CertifiedKey) {
        // What DER adds to the texts, and the number that tells the CAs apart.
        let (around, number) = (24, 6);
        let mut made = Vec::new();
        let mut last = None;
        let key = KeyPair::generate().unwrap();
        for number in (0..count).map(|of| format!("{of:0number$}")) {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params
                .distinguished_name
                .push(DnType::OrganizationName, "x".repeat(name - around - number.len()));
            params.distinguished_name.push(DnType::CommonName, number);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            made.push(params.self_signed(&key).unwrap().der().clone());
            last = Some(params);
        }
        (made, card_of(&Issuer::new(last.unwrap(), key), |_| {}))
    }

    /// A card of an issuer.
    fn card_of(issuer: &Issuer<'_, KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> CertifiedKey {
        let mut card = CertificateParams::default();
        card.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut card);
        let key = KeyPair::generate().unwrap();
        let certificate = card.signed_by(&key, issuer).unwrap().der().clone();
        CertifiedKey::from_der(vec![certificate], key_of(&key), &provider()).unwrap()
    }

    /// A host with such TLS, and who trusts it.
    fn host(authorities: &[CertificateDer<'static>], behavior: Behavior) -> (Tls, RootCertStore) {
        let key = KeyPair::generate().unwrap();
        let host = CertificateParams::new(vec!["card.localhost".to_owned()]).unwrap();
        let host = host.self_signed(&key).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(host.clone()).unwrap();
        let identity = Identity { chain: vec![host], key: key_of(&key) };
        (configuration(identity, Some(authorities), behavior, &Clock::system()).unwrap(), roots)
    }

    /// What came of a handshake.
    #[derive(Debug, PartialEq)]
    struct Met {
        /// How many CAs were named.
        named: Option<usize>,
        /// Whether the gateway lets requests through.
        admitted: bool,
        version: Option<ProtocolVersion>,
    }

    /// Shakes hands by memory, without a card or with one; the error is that of either side.
    fn shake(host: &Tls, roots: RootCertStore, card: Option<CertifiedKey>) -> Result<Met, Error> {
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let reader = card.map(|card| Arc::new(Reader { card: Arc::new(card), named: Mutex::new(None) }));
        let mut client = match reader.clone() {
            None => client.with_no_client_auth(),
            Some(reader) => client.with_client_cert_resolver(reader),
        };
        client.enable_sni = false;
        let name = ServerName::try_from("card.localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&host.handshake)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let (mut sent, mut answered) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut sent).unwrap();
            }
            let mut sent = sent.as_slice();
            while !sent.is_empty() {
                server.read_tls(&mut sent).unwrap();
                server.process_new_packets()?;
            }
            while server.wants_write() {
                server.write_tls(&mut answered).unwrap();
            }
            let mut answered = answered.as_slice();
            while !answered.is_empty() {
                client.read_tls(&mut answered).map_err(|error| Error::General(error.to_string()))?;
                client.process_new_packets()?;
            }
        }
        let named = reader.and_then(|reader| *reader.named.lock().unwrap());
        Ok(Met { named, admitted: host.admits(&server).is_ok(), version: server.protocol_version() })
    }

    const BEHAVIORS: [Behavior; 4] = {
        let [tls_1_2, tls_1_3] = [Some(Version::Tls12), Some(Version::Tls13)];
        [
            Behavior { version: tls_1_2, refused_cards: RefusedCards::Forbidden },
            Behavior { version: tls_1_3, refused_cards: RefusedCards::Forbidden },
            Behavior { version: tls_1_2, refused_cards: RefusedCards::Handshake },
            Behavior { version: tls_1_3, refused_cards: RefusedCards::Handshake },
        ]
    };

    #[test]
    fn a_card_shakes_hands_however_many_cas_there_are() {
        // The last two are the most CAs that API Gateway takes, with short names and with long ones.
        for (count, name, named) in
            [(3, 125, 3), (451, 125, 451), (452, 125, 0), (1000, 55, 1000), (1000, 125, 0)]
        {
            let (authorities, card) = authorities(count, name);
            let mut anchors = RootCertStore::empty();
            anchors.add_parsable_certificates(authorities.iter().cloned());
            assert_eq!(bytes_of_names(anchors.subjects()), count * (name + 2), "{count}");
            for behavior in BEHAVIORS {
                let (host, roots) = host(&authorities, behavior);
                let met = shake(&host, roots, Some(card.clone()));
                let met = met.unwrap_or_else(|error| panic!("{count} × {name} {behavior:?}: {error}"));
                assert_eq!((met.named, met.admitted), (Some(named), true), "{count} {behavior:?}");
            }
        }
    }

    #[test]
    fn who_is_not_let_in_is_told_so_or_not_talked_to() {
        let key = KeyPair::generate().unwrap();
        let ca = |name: &str, key: KeyPair| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).unwrap().der().clone();
            (certificate, Issuer::new(params, key))
        };
        let (trusted, issuer) = ca("trusted", key);
        // Of the same name, as a forged one would have it.
        let (_, other) = ca("trusted", KeyPair::generate().unwrap());
        let self_signed = || {
            let (certificate, issuer) = ca("nobody", KeyPair::generate().unwrap());
            CertifiedKey::from_der(vec![certificate], key_of(issuer.key()), &provider()).unwrap()
        };
        let cards = [
            ("good", card_of(&issuer, |_| {}), true),
            ("expired", card_of(&issuer, |card| card.not_after = date_time_ymd(2020, 1, 1)), false),
            ("not yet valid", card_of(&issuer, |card| card.not_before = date_time_ymd(4000, 1, 1)), false),
            ("of another CA", card_of(&other, |_| {}), false),
            ("self-signed", self_signed(), false),
        ];
        for behavior in BEHAVIORS {
            for (what, card, good) in &cards {
                let (host, roots) = host(std::slice::from_ref(&trusted), behavior);
                let met = shake(&host, roots, Some(card.clone()));
                match (behavior.refused_cards, good) {
                    (RefusedCards::Handshake, false) => assert!(met.is_err(), "{what} {behavior:?}"),
                    _ => assert_eq!(met.map(|met| met.admitted), Ok(*good), "{what} {behavior:?}"),
                }
            }
            let (host, roots) = host(std::slice::from_ref(&trusted), behavior);
            assert_eq!(shake(&host, roots, None), Err(Error::NoCertificatesPresented), "{behavior:?}");
        }
    }

    #[test]
    fn nobody_shows_a_card_without_its_key() {
        let (authorities, card) = authorities(1, 60);
        let stranger = KeyPair::generate().unwrap();
        let stolen = CertifiedKey::new(
            card.cert.clone(),
            provider().key_provider.load_private_key(key_of(&stranger)).unwrap(),
        );
        for behavior in BEHAVIORS {
            let (host, roots) = host(&authorities, behavior);
            assert!(shake(&host, roots, Some(stolen.clone())).is_err(), "{behavior:?}");
        }
    }

    #[test]
    fn versions_are_those_of_the_policy_unless_one_is_forced() {
        let (authorities, card) = authorities(1, 60);
        let rows = [
            (None, ProtocolVersion::TLSv1_3),
            (Some(Version::Tls12), ProtocolVersion::TLSv1_2),
            (Some(Version::Tls13), ProtocolVersion::TLSv1_3),
        ];
        for (version, expected) in rows {
            let (host, roots) = host(&authorities, Behavior { version, ..Behavior::default() });
            let met = shake(&host, roots, Some(card.clone())).unwrap();
            assert_eq!(met.version, Some(expected), "{version:?}");
        }
    }
}

//! TLS as API Gateway's HTTP APIs speak it: version 1.2 only, and on the card host a client certificate that chains
//! to the truststore, at the time of the stand-in's clock. Revocation is not checked here, as it is not there.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use shared::clock::Clock;

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

/// As much of it as is sure to be free in TLS 1.3 too, where other extensions share those octets (RFC 8446 section 4.3.2).
pub const SURE_ROOM_FOR_NAMES: usize = 65_000;

/// What names, DER, take in `certificate_authorities`: each has its own length before it.
pub fn bytes_of_names(names: impl IntoIterator<Item: AsRef<[u8]>>) -> usize {
    names.into_iter().map(|name| 2 + name.as_ref().len()).sum()
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

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

/// The configuration of a host; with a truststore, one that asks for client certificates and takes no other.
///
/// # Errors
/// When the identity or the truststore cannot be used.
pub fn configuration(
    identity: Identity,
    truststore: Option<&[CertificateDer<'static>]>,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(Time(clock.clone())))
        .with_protocol_versions(&[&rustls::version::TLS12])?;
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
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut configuration = builder.with_single_cert(identity.chain, identity.key)?;
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
        Issuer, KeyPair,
    };
    use rustls::client::ResolvesClientCert;
    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConfig, ClientConnection, ServerConnection, SignatureScheme};

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

    /// CAs whose names take 125 bytes each, and a card of the last.
    fn authorities(count: usize) -> (Vec<CertificateDer<'static>>, CertifiedKey) {
        let mut made = Vec::new();
        let mut last = None;
        let key = KeyPair::generate().unwrap();
        for number in 0..count {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "x".repeat(53));
            params.distinguished_name.push(DnType::CommonName, format!("{number:048}"));
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            made.push(params.self_signed(&key).unwrap().der().clone());
            last = Some(params);
        }
        let issuer = Issuer::new(last.unwrap(), key);
        let mut card = CertificateParams::default();
        card.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = card.signed_by(&key, &issuer).unwrap().der().clone();
        let card = CertifiedKey::from_der(vec![certificate], key_of(&key), &provider()).unwrap();
        (made, card)
    }

    /// Shakes hands by memory; how many CAs were named, and whether the host saw the card.
    fn shake(server: Arc<ServerConfig>, roots: RootCertStore, card: CertifiedKey) -> (Option<usize>, bool) {
        let reader = Arc::new(Reader { card: Arc::new(card), named: Mutex::new(None) });
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::clone(&reader) as Arc<dyn ResolvesClientCert>);
        client.enable_sni = false;
        let name = ServerName::try_from("card.localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let (mut sent, mut answered) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut sent).unwrap();
            }
            let mut sent = sent.as_slice();
            while !sent.is_empty() {
                server.read_tls(&mut sent).unwrap();
                server.process_new_packets().unwrap();
            }
            while server.wants_write() {
                server.write_tls(&mut answered).unwrap();
            }
            let mut answered = answered.as_slice();
            while !answered.is_empty() {
                client.read_tls(&mut answered).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        let named = *reader.named.lock().unwrap();
        (named, server.peer_certificates().is_some())
    }

    #[test]
    fn a_card_shakes_hands_however_many_cas_there_are() {
        let key = KeyPair::generate().unwrap();
        let host = CertificateParams::new(vec!["card.localhost".to_owned()]).unwrap();
        let host = host.self_signed(&key).unwrap().der().clone();
        for (count, named) in [(3, 3), (511, 511), (512, 0), (590, 0)] {
            let (authorities, card) = authorities(count);
            let bytes = 125 + 2;
            let mut anchors = RootCertStore::empty();
            anchors.add_parsable_certificates(authorities.iter().cloned());
            assert_eq!(bytes_of_names(anchors.subjects()), count * bytes, "{count}");
            let identity = Identity { chain: vec![host.clone()], key: key_of(&key) };
            let server = configuration(identity, Some(&authorities), &Clock::system()).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(host.clone()).unwrap();
            assert_eq!(shake(server, roots, card), (Some(named), true), "{count}");
        }
    }
}

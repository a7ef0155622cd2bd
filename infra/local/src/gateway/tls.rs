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
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider()).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut configuration = builder.with_single_cert(identity.chain, identity.key)?;
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}

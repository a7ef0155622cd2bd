//! HTTP clients: browsers that trust the stand-in and perhaps have a card in their reader.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::gateway::tls::provider;
use crate::pki::card::Card;
use crate::stack::Running;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS configuration is refused.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// A certificate or key cannot be read.
    #[error(transparent)]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The client cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client that trusts the stand-in's hosts and finds them without DNS. It follows no redirects and keeps no cookies.
///
/// # Errors
/// When the card or the stand-in's CA cannot be read.
pub fn browser(running: &Running, card: Option<&Card>) -> Result<Client, ClientError> {
    browser_at(&running.paths.server_ca, running.portal, running.card, card)
}

/// As [`browser`], for a stand-in in another process.
///
/// # Errors
/// When the card or the stand-in's CA cannot be read.
pub fn browser_at(
    server_ca: &Path,
    portal: SocketAddr,
    card_host: SocketAddr,
    card: Option<&Card>,
) -> Result<Client, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(server_ca)? {
        roots.add(certificate?)?;
    }
    let builder = builder(roots, card)?;
    let builder = builder.resolve("portal.localhost", portal).resolve("card.localhost", card_host);
    Ok(builder.redirect(Policy::none()).build()?)
}

/// A client for services on loopback without TLS.
pub(crate) fn plain(timeout: Duration) -> Result<Client, ClientError> {
    Ok(builder(RootCertStore::empty(), None)?.timeout(timeout).build()?)
}

fn builder(roots: RootCertStore, card: Option<&Card>) -> Result<ClientBuilder, ClientError> {
    let tls = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(Arc::new(roots));
    let tls = match card {
        None => tls.with_no_client_auth(),
        Some(card) => tls.with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(card.certificate_pem.as_bytes())?],
            PrivateKeyDer::from_pem_slice(card.key_pem.as_bytes())?,
        )?,
    };
    Ok(Client::builder().tls_backend_preconfigured(tls).no_proxy())
}

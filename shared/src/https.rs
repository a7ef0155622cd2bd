//! HTTP to servers that are not AWS's: those of revocation lists and OCSP responders. What comes from there is signed, and
//! nothing of it is believed for the way that it came.

use std::error::Error;
use std::sync::Arc;

use reqwest::{Client, ClientBuilder};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::environment::Environment;

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It took too long.
    #[error("too slow")]
    TooSlow,
    /// The connection failed or broke off.
    #[error("no answer: {0}")]
    Unreachable(String),
}

impl From<reqwest::Error> for NoAnswer {
    /// The innermost cause tells the most; the address is in our configuration.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TooSlow;
        }
        let error = error.without_url();
        let mut cause: &dyn Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Unreachable(cause.to_string())
    }
}

/// The system's roots, found as the AWS SDK finds them (on `provided.al2023` the bundle in `/etc/pki/tls`). A system may
/// have none: HTTP works all the same.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (usable, unusable) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tracing::debug!(usable, unusable, "roots of the system");
    roots
}

/// A client that trusts these roots; its user sets times and redirects.
///
/// # Errors
/// The TLS library refuses its own defaults.
pub fn client(environment: &Environment, roots: RootCertStore) -> Result<ClientBuilder, rustls::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("first-sign-in/", env!("CARGO_PKG_VERSION")))
        // A connection that Lambda froze with the function may be dead without anybody knowing.
        .pool_max_idle_per_host(0);
    // Variables out of a map leave the process's own alone, proxies too.
    Ok(if environment.is_process() { builder } else { builder.no_proxy() })
}

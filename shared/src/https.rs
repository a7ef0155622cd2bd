//! HTTP to servers that are not AWS's: those of revocation lists and OCSP responders. What comes from there is signed, and
//! nothing of it is believed for the way that it came.

use std::error::Error;
use std::sync::Arc;

use reqwest::{Client, ClientBuilder};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

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

/// Whether a redirect stays with the server that was asked: on its own origin; or from HTTP to HTTPS on the same host, where each
/// is on its own port, as servers do that give HTTP up. What comes from there is signed, so nothing is weaker for the step, and
/// there is none back.
pub fn stays(from: &Url, to: &Url) -> bool {
    let bare = to.username().is_empty() && to.password().is_none();
    let secured = from.scheme() == "http"
        && to.scheme() == "https"
        && from.host().is_some()
        && from.host() == to.host()
        && from.port().is_none()
        && to.port().is_none();
    bare && (from.origin() == to.origin() || secured)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_with_the_server_that_was_asked() {
        let rows = [
            ("another path", "http://list.example.tw/a", "http://list.example.tw/b", true),
            ("another path, by HTTPS", "https://list.example.tw/a", "https://list.example.tw/b", true),
            (
                "another path, on a port of its own",
                "http://list.example.tw:81/a",
                "http://list.example.tw:81/b",
                true,
            ),
            ("HTTPS", "http://list.example.tw/a", "https://list.example.tw/a", true),
            ("HTTPS and another path", "http://list.example.tw/a", "https://list.example.tw/b?c", true),
            (
                "HTTPS, the ports written out",
                "http://list.example.tw:80/a",
                "https://LIST.example.tw:443/a",
                true,
            ),
            ("HTTPS on another port", "http://list.example.tw/a", "https://list.example.tw:8443/a", false),
            ("HTTPS from another port", "http://list.example.tw:8080/a", "https://list.example.tw/a", false),
            ("back to HTTP", "https://list.example.tw/a", "http://list.example.tw/a", false),
            ("another host", "http://list.example.tw/a", "https://lists.example.tw/a", false),
            ("another host within", "http://example.tw/a", "https://list.example.tw/a", false),
            ("a host with a dot behind it", "http://list.example.tw/a", "https://list.example.tw./a", false),
            ("another host of the same scheme", "http://list.example.tw/a", "http://example.tw/a", false),
            ("a user's name", "http://list.example.tw/a", "https://user@list.example.tw/a", false),
            (
                "a password on the same origin",
                "http://list.example.tw/a",
                "http://u:p@list.example.tw/a",
                false,
            ),
            ("a file", "http://list.example.tw/a", "file:///etc/passwd", false),
            ("from a file", "file:///a", "file:///b", false),
            ("another scheme", "http://list.example.tw/a", "ftp://list.example.tw/a", false),
        ];
        for (what, from, to, stays_there) in rows {
            let url = |text: &str| Url::parse(text).unwrap();
            assert_eq!(stays(&url(from), &url(to)), stays_there, "{what}");
        }
    }
}

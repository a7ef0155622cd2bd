//! Where a list is: an HTTP(S) address or a file, and what comes from there. Nothing of it is believed here.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use shared::environment::{Environment, StartError};
use shared::https::{self, NoAnswer};
use shared::store::revocations::Validators;
use url::Url;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may say nothing in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Redirects that are followed, as long as they stay with the source's own server.
const REDIRECTS: usize = 3;
/// The optional file beside `issuers.toml` with more roots for the TLS of sources: governments' own.
const ROOTS: &str = "source-roots.pem";

/// What a source gave.
#[derive(Debug)]
pub enum Fetched {
    /// The list that the validators stand for is still the current one.
    NotModified,
    /// Bytes, and what to ask with the next time.
    List {
        /// The body.
        bytes: Vec<u8>,
        /// `ETag` and `Last-Modified`.
        validators: Validators,
    },
}

/// Why nothing came from a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No answer, or not all of it.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// An answer that is no list.
    #[error("answered {0}")]
    Status(u16),
    /// A redirect to another server, or one too many.
    #[error("redirects elsewhere ({0})")]
    Redirected(u16),
    /// More than is accepted.
    #[error("more than {0} bytes")]
    TooLarge(u64),
    /// A file that cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
}

impl From<reqwest::Error> for SourceError {
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(error.into())
    }
}

/// Reads sources.
#[derive(Debug)]
pub struct Sources {
    client: Client,
    folder: PathBuf,
    limit: u64,
}

impl Sources {
    /// Sources whose file names are relative to `folder`. Nothing longer than `limit` bytes is taken, nothing that takes
    /// longer than `timeout`.
    ///
    /// The roots for HTTPS are those of the system ([`https::system_roots`]), and those in `source-roots.pem` in the folder,
    /// if there is such a file.
    ///
    /// # Errors
    /// [`StartError::Truststore`]: the file of roots cannot be used.
    pub fn new(
        environment: &Environment,
        folder: &Path,
        limit: u64,
        timeout: Duration,
    ) -> Result<Self, StartError> {
        let broken = |what: String| StartError::Truststore(format!("{ROOTS}: {what}"));
        let mut roots = https::system_roots();
        let file = folder.join(ROOTS);
        if file.exists() {
            for certificate in CertificateDer::pem_file_iter(&file).map_err(|e| broken(e.to_string()))? {
                let certificate = certificate.map_err(|error| broken(error.to_string()))?;
                roots.add(certificate).map_err(|error| broken(error.to_string()))?;
            }
        }
        let builder = https::client(environment, roots)
            .map_err(|error| broken(error.to_string()))?
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(timeout)
            .redirect(within_the_server());
        let client = builder.build().map_err(|error| broken(error.to_string()))?;
        Ok(Self { client, folder: folder.to_owned(), limit })
    }

    /// What is at a source now. `known` makes the request conditional.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn fetch(&self, source: &str, known: Option<&Validators>) -> Result<Fetched, SourceError> {
        match Url::parse(source) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => self.download(url, known).await,
            _ => self.read(source).await,
        }
    }

    async fn read(&self, source: &str) -> Result<Fetched, SourceError> {
        let (path, most) = (self.folder.join(source), self.limit.saturating_add(1));
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            File::open(path)?.take(most).read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = read.await.map_err(std::io::Error::other)??;
        self.within_limit(bytes.len())?;
        Ok(Fetched::List { bytes, validators: Validators::default() })
    }

    async fn download(&self, url: Url, known: Option<&Validators>) -> Result<Fetched, SourceError> {
        let mut request = self.client.get(url);
        if let Some(known) = known {
            request = request.headers(condition(known));
        }
        let mut response = request.send().await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Fetched::NotModified),
            status if status.is_redirection() => return Err(SourceError::Redirected(status.as_u16())),
            status => return Err(SourceError::Status(status.as_u16())),
        }
        let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        self.within_limit(announced)?;
        let mut bytes = Vec::with_capacity(announced);
        while let Some(chunk) = response.chunk().await? {
            self.within_limit(bytes.len().saturating_add(chunk.len()))?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched::List { bytes, validators: validators(&response) })
    }

    fn within_limit(&self, length: usize) -> Result<(), SourceError> {
        match u64::try_from(length) {
            Ok(length) if length <= self.limit => Ok(()),
            _ => Err(SourceError::TooLarge(self.limit)),
        }
    }
}

/// A list's server may move it about and from HTTP to HTTPS, but not hand the request on to others.
fn within_the_server() -> Policy {
    Policy::custom(|attempt| {
        let stays = attempt.previous().last().is_some_and(|from| https::stays(from, attempt.url()));
        if stays && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
    })
}

fn condition(known: &Validators) -> HeaderMap {
    let fields = [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)];
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(value.as_deref()?).ok()?)));
    fields.collect()
}

fn validators(response: &Response) -> Validators {
    let text = |name| {
        let value: &HeaderValue = response.headers().get(name)?;
        // What is sent back later must be as it came, and short enough to keep.
        value.to_str().ok().filter(|text| text.len() <= 256).map(str::to_owned)
    };
    Validators { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
}

//! S3: files that come in, and what is kept where nobody can change it.
//!
//! An object is read in pieces of a size that memory bears, each a request of its own on one version: whoever takes long over
//! a piece loses no connection, and what is put meanwhile under the same key does not mix in.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectLockMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use jiff::Timestamp;

use crate::aws;
use crate::environment::Environment;

/// How many bytes [`Bucket::piece`] reads at once.
pub const PIECE: u64 = 4 * 1024 * 1024;

/// How often a piece is asked for whose bytes break off, and an object put that S3 is busy with.
const ATTEMPTS: u32 = 3;

/// How long a put waits that met another one; twice as long the next time.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// How long one attempt at an upload may take: a roster of a country over a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// S3 did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3Error {
    /// There is no such object or version, or the bucket may not be listed and there is none.
    #[error("S3: no such object")]
    NotFound,
    /// The role does not allow it, or Object Lock does not.
    #[error("S3 refuses: {0}")]
    Refused(String),
    /// An object is there already, or another one than expected.
    #[error("S3: the object is not as expected")]
    NotAsExpected,
    /// Somebody else changes the same object at this moment: it is to be tried again.
    #[error("S3 is busy with the object: {0}")]
    Busy(String),
    /// It cannot be reached, or fails.
    #[error("S3: {0}")]
    Service(String),
}

impl S3Error {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        // By status: the answer to a HEAD has no body, and so no code.
        match error.raw_response().map(|response| response.status().as_u16()) {
            Some(404) => Self::NotFound,
            Some(403) => Self::Refused(aws::describe(error)),
            Some(412) => Self::NotAsExpected,
            // Something else is under way at the same key, and nothing is decided yet.
            Some(409) => Self::Busy(aws::describe(error)),
            _ => Self::Service(aws::describe(error)),
        }
    }
}

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

/// What is known of a version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The key.
    pub key: String,
    /// The version; nothing in a bucket without versions.
    pub version: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// When it was put, in whole seconds.
    pub at: Timestamp,
    /// What the uploader said of it, by lower-case names.
    pub metadata: HashMap<String, String>,
}

/// An object of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// When it was put, in whole seconds.
    pub at: Timestamp,
}

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The key.
    pub key: String,
    /// Whether it is the newest: what a read without a version gets.
    pub newest: bool,
    /// Whether it deletes the object, whose versions are there still.
    pub deletes: bool,
}

/// What is said of an object that is put.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// Its media type.
    pub content_type: Option<&'static str>,
    /// What is said of it, by lower-case names.
    pub metadata: HashMap<String, String>,
    /// Until when nobody can delete or replace it, the account's administrators included (Object Lock in compliance mode). The
    /// bucket must have Object Lock.
    pub locked_until: Option<Timestamp>,
    /// Whether nothing may be there yet under its key.
    pub only_new: bool,
    /// The ETag of what must be there under its key.
    pub replacing: Option<String>,
}

/// What was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its version; nothing in a bucket without versions.
    pub version: Option<String>,
    /// Its ETag: what [`Put::replacing`] takes.
    pub tag: String,
}

impl Bucket {
    /// The bucket of that name.
    pub fn new(environment: &Environment, config: &SdkConfig, name: String) -> Self {
        let mut builder = aws_sdk_s3::config::Builder::from(config).interceptor(aws::call_recorder());
        if let Some(endpoint) = aws::endpoint(environment, "S3") {
            builder = builder.endpoint_url(endpoint).force_path_style(true);
        }
        Self { client: Client::from_conf(builder.build()), name }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of an object: of that version, or of the newest.
    ///
    /// # Errors
    /// [`S3Error`]; [`S3Error::NotFound`] when it is not there.
    pub async fn head(&self, key: &str, version: Option<&str>) -> Result<Stored, S3Error> {
        let request = self.client.head_object().bucket(&self.name).key(key);
        let answer = request.set_version_id(version.map(str::to_owned)).send().await;
        let answer = answer.map_err(|error| S3Error::of(&error))?;
        Ok(Stored {
            key: key.to_owned(),
            version: answer.version_id.filter(|version| version != "null"),
            size: answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default(),
            at: answer.last_modified.as_ref().map_or(Timestamp::MIN, timestamp),
            metadata: answer.metadata.unwrap_or_default(),
        })
    }

    /// The bytes of an object from `offset`, at most [`PIECE`] of them; none at its end.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn piece(&self, stored: &Stored, offset: u64) -> Result<Vec<u8>, S3Error> {
        let end = offset.saturating_add(PIECE).min(stored.size);
        if offset >= end {
            return Ok(Vec::new());
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.range(stored, offset..end).await {
                Err(S3Error::Service(reason)) if attempt < ATTEMPTS => {
                    tracing::warn!(reason, "a piece of an object broke off");
                }
                answer => return answer,
            }
        }
    }

    async fn range(&self, stored: &Stored, range: Range<u64>) -> Result<Vec<u8>, S3Error> {
        let request = self.client.get_object().bucket(&self.name).key(&stored.key);
        let request = request.set_version_id(stored.version.clone());
        let last = range.end.saturating_sub(1);
        let answer = request.range(format!("bytes={}-{last}", range.start)).send().await;
        let body = answer.map_err(|error| S3Error::of(&error))?.body.collect().await;
        let body = body.map_err(|error| S3Error::Service(error.to_string()))?.into_bytes();
        match body.len() as u64 == range.end.saturating_sub(range.start) {
            true => Ok(body.into()),
            false => Err(S3Error::Service("an object shorter than it was".to_owned())),
        }
    }

    /// A small object, whole.
    ///
    /// # Errors
    /// [`S3Error`]; [`S3Error::NotFound`] when it is not there.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>, S3Error> {
        Ok(self.get_tagged(key).await?.0)
    }

    /// A small object, whole, with its ETag: what [`Put::replacing`] takes.
    ///
    /// # Errors
    /// [`S3Error`]; [`S3Error::NotFound`] when it is not there.
    pub async fn get_tagged(&self, key: &str) -> Result<(Vec<u8>, String), S3Error> {
        let answer = self.client.get_object().bucket(&self.name).key(key).send().await;
        let answer = answer.map_err(|error| S3Error::of(&error))?;
        let tag = answer.e_tag.unwrap_or_default();
        let body = answer.body.collect().await.map_err(|error| S3Error::Service(error.to_string()))?;
        Ok((body.into_bytes().into(), tag))
    }

    /// Deletes a version of an object for good; without versions, the object.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn delete(&self, stored: &Stored) -> Result<(), S3Error> {
        let request = self.client.delete_object().bucket(&self.name).key(&stored.key);
        let answer = request.set_version_id(stored.version.clone()).send().await;
        answer.map(|_| ()).map_err(|error| S3Error::of(&error))
    }

    /// Puts an object. Its bytes travel with their SHA-256.
    ///
    /// # Errors
    /// [`S3Error`]; [`S3Error::NotAsExpected`] when it was to be new and is not.
    pub async fn put(&self, key: &str, bytes: Vec<u8>, put: &Put) -> Result<Kept, S3Error> {
        let mut pause = BUSY_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.send(key, ByteStream::new(SdkBody::from(bytes.clone())), put).await {
                Err(S3Error::Busy(reason)) => tracing::info!(reason, "S3 is busy with an object"),
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        self.send(key, ByteStream::new(SdkBody::from(bytes)), put).await
    }

    /// Puts a file, which is read while it travels.
    ///
    /// # Errors
    /// [`S3Error`], also for a file that cannot be read.
    pub async fn upload(&self, key: &str, file: &Path, put: &Put) -> Result<Kept, S3Error> {
        let body = ByteStream::from_path(file).await.map_err(|error| S3Error::Service(error.to_string()))?;
        self.send(key, body, put).await
    }

    async fn send(&self, key: &str, body: ByteStream, put: &Put) -> Result<Kept, S3Error> {
        let lock = put.locked_until.map(|until| DateTime::from_secs(until.as_second()));
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_content_type(put.content_type.map(str::to_owned))
            .set_metadata(Some(put.metadata.clone()))
            .set_object_lock_mode(lock.map(|_| ObjectLockMode::Compliance))
            .set_object_lock_retain_until_date(lock)
            .set_if_none_match(put.only_new.then(|| "*".to_owned()))
            .set_if_match(put.replacing.clone())
            .body(body);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(UPLOAD_TIMEOUT)
            .operation_timeout(UPLOAD_TIMEOUT.saturating_mul(2))
            .build();
        let customized =
            request.customize().config_override(aws_sdk_s3::config::Builder::new().timeout_config(timeouts));
        let answer = customized.send().await.map_err(|error| S3Error::of(&error))?;
        Ok(Kept { version: answer.version_id, tag: answer.e_tag.unwrap_or_default() })
    }

    /// The objects whose keys begin with `prefix`, by key.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, S3Error> {
        self.list_after(prefix, "").await
    }

    /// Every version of the objects whose keys begin with `prefix`, by key, the newest first, with what deletes them.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn versions(&self, prefix: &str) -> Result<Vec<Version>, S3Error> {
        let mut versions = Vec::new();
        let (mut key, mut version) = (None, None);
        loop {
            let request = self.client.list_object_versions().bucket(&self.name).prefix(prefix);
            let page = request.set_key_marker(key).set_version_id_marker(version).send().await;
            let page = page.map_err(|error| S3Error::of(&error))?;
            versions.extend(page.versions.unwrap_or_default().into_iter().filter_map(|version| {
                Some(Version {
                    key: version.key?,
                    newest: version.is_latest.unwrap_or_default(),
                    deletes: false,
                })
            }));
            versions.extend(page.delete_markers.unwrap_or_default().into_iter().filter_map(|marker| {
                Some(Version {
                    key: marker.key?,
                    newest: marker.is_latest.unwrap_or_default(),
                    deletes: true,
                })
            }));
            (key, version) = (page.next_key_marker, page.next_version_id_marker);
            if key.is_none() {
                return Ok(versions);
            }
        }
    }

    /// Of the objects whose keys begin with `prefix`, those whose keys sort behind `after`.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn list_after(&self, prefix: &str, after: &str) -> Result<Vec<Entry>, S3Error> {
        let after = Some(after.to_owned()).filter(|after| !after.is_empty());
        let mut entries = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let request = request.set_start_after(after.clone());
            let page = request.set_continuation_token(next).send().await;
            let page = page.map_err(|error| S3Error::of(&error))?;
            entries.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                Some(Entry {
                    key: object.key?,
                    size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                    at: object.last_modified.as_ref().map_or(Timestamp::MIN, timestamp),
                })
            }));
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(entries);
            }
        }
    }
}

fn timestamp(at: &DateTime) -> Timestamp {
    Timestamp::from_second(at.secs()).unwrap_or(Timestamp::MIN)
}

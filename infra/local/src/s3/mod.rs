//! A stand-in for Amazon S3: the template's buckets, with versions and Object Lock, their objects as files.
//!
//! `s3s` speaks the protocol and checks signatures; what becomes of objects is in [`versions`]. As on AWS a put never
//! replaces the version before it, a version under retention cannot be deleted, and who may not list a bucket is not told
//! that an object is missing. There is what the functions, their operator and tests use: put, get, head, delete, lists of
//! objects and of versions, retention; no parts, copies, tags or access lists. An ETag is not the MD5 sum, as under
//! encryption with keys of KMS.
//!
//! Objects are addressed by path; the SDK does so where the endpoint is an IP address.

mod versions;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use s3s::auth::{S3Auth, SecretKey};
use s3s::checksum::ChecksumHasher;
use s3s::dto;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use serde_json::{Value, json};
use shared::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use self::versions::{Retention, Version, Versions};
use crate::deployment::BucketDeclaration;
use crate::events::Events;
use crate::files::FileError;
use crate::permissions::{Call, access_key, calls};
use crate::stack::{ACCOUNT, REGION};
use crate::traffic::{Service, Traffic};

/// Bytes that are read from a file at once.
const PIECE: usize = 64 * 1024;
/// Most keys of one list.
const PAGE: usize = 1000;
/// The secret of every access key here.
const SECRET: &str = "stand-in";

/// The buckets. Clones are the same.
#[derive(Clone)]
pub struct Buckets {
    inner: Arc<Inner>,
    service: S3Service,
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

struct Inner {
    folder: PathBuf,
    buckets: HashMap<String, BucketDeclaration>,
    traffic: Traffic,
    clock: Clock,
    events: OnceLock<Events>,
    /// One change of a bucket at a time.
    changing: Mutex<()>,
}

impl Buckets {
    /// The buckets of the template, their objects in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, buckets: &[BucketDeclaration], traffic: Traffic, clock: Clock) -> Self {
        let buckets = buckets.iter().map(|bucket| (bucket.name.clone(), bucket.clone())).collect();
        let events = OnceLock::new();
        let inner = Arc::new(Inner { folder, buckets, traffic, clock, events, changing: Mutex::default() });
        let mut service = S3ServiceBuilder::new(Objects { inner: Arc::clone(&inner) });
        service.set_auth(Keys);
        Self { inner, service: service.build() }
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// Tells from now on what is put into buckets that tell EventBridge.
    pub fn publish_to(&self, events: Events) {
        let _ = self.inner.events.set(events);
    }
}

/// Every access key is known; what it may do is the permissions' to say.
struct Keys;

#[async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Ok(SecretKey::from(SECRET))
    }
}

/// What a request asks for, as far as permissions and faults go by it.
struct Asked {
    operation: &'static str,
    bucket: String,
    key: String,
    query: HashMap<String, String>,
}

impl Asked {
    fn read(method: &Method, uri: &Uri) -> Self {
        let path = uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let key = decode(key);
        let operation = match (method.as_str(), key.is_empty()) {
            ("GET", true) if query.contains_key("versions") => "ListObjectVersions",
            ("GET", true) => "ListObjectsV2",
            ("HEAD", true) => "HeadBucket",
            ("GET", false) if query.contains_key("retention") => "GetObjectRetention",
            ("GET", false) => "GetObject",
            ("HEAD", false) => "HeadObject",
            ("PUT", false) => "PutObject",
            ("DELETE", false) => "DeleteObject",
            _ => "Unknown",
        };
        Self { operation, bucket: bucket.to_owned(), key, query }
    }

    fn needs(&self, headers: &HeaderMap) -> Vec<Call> {
        let locks = headers.contains_key("x-amz-object-lock-mode");
        let bypasses = headers.contains_key("x-amz-bypass-governance-retention");
        let version = self.query.contains_key("versionId");
        let prefix = self.query.get("prefix").map_or("", String::as_str);
        calls::s3(self.operation, (&self.bucket, &self.key), prefix, (version, locks || bypasses))
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn answer(State(buckets): State<Buckets>, request: Request) -> Response<Body> {
    let asked = Asked::read(request.method(), request.uri());
    let headers = request.headers().clone();
    let traffic = buckets.inner.traffic.clone();
    if let Err(denial) = traffic.permit(&headers, || asked.needs(&headers)) {
        denial.log();
        return refusal(StatusCode::FORBIDDEN, "AccessDenied", &denial.to_string());
    }
    // Who may not list a bucket learns nothing about what is not in it.
    let list = || calls::s3("ListObjectsV2", (&asked.bucket, ""), "", (false, false));
    let may_list = access_key(&headers).is_none() || traffic.permit(&headers, list).is_ok();
    let effect = async {
        let request = request.map(s3s::Body::http_body_unsync);
        let mut response = match buckets.service.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::warn!(?error, "S3 did not answer");
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the stand-in failed")
            }
        };
        if response.status() == StatusCode::NOT_FOUND && !may_list && !asked.key.is_empty() {
            response = refusal(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
        }
        if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().simple().to_string()) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        let status = response.status().as_u16();
        tracing::debug!(service = "s3", operation = asked.operation, status, "aws call");
        response
    };
    traffic.around(Service::S3, asked.operation, &headers, effect).await
}

/// A refusal in S3's own form.
pub(crate) fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let escaped = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{escaped}</Message></Error>"
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// What the operations do.
struct Objects {
    inner: Arc<Inner>,
}

fn broken(error: FileError) -> s3s::S3Error {
    tracing::error!(%error, "an object's files");
    s3_error!(InternalError)
}

fn interrupted(error: io::Error) -> s3s::S3Error {
    tracing::error!(%error, "an object's bytes");
    s3_error!(InternalError)
}

fn stamp(at: Timestamp) -> dto::Timestamp {
    let at = time::OffsetDateTime::from_unix_timestamp(at.as_second());
    dto::Timestamp::from(at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH))
}

fn read_stamp(at: dto::Timestamp) -> Timestamp {
    let at = time::OffsetDateTime::from(at);
    Timestamp::new(at.unix_timestamp(), i32::try_from(at.nanosecond()).unwrap_or_default())
        .unwrap_or(Timestamp::MAX)
}

fn strong(version: &Version) -> dto::ETag {
    dto::ETag::Strong(version.etag.clone())
}

fn size(version: &Version) -> i64 {
    i64::try_from(version.size).unwrap_or(i64::MAX)
}

impl Inner {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock.now().as_second()).unwrap_or(Timestamp::MAX)
    }

    fn bucket(&self, name: &str) -> S3Result<(&BucketDeclaration, Versions)> {
        let bucket = self.buckets.get(name).ok_or_else(|| s3_error!(NoSuchBucket))?;
        Ok((bucket, Versions::new(self.folder.join(name))))
    }

    /// The version that a request means.
    fn find(&self, bucket: &str, key: &str, id: Option<&str>) -> S3Result<(Versions, Version)> {
        let (_, versions) = self.bucket(bucket)?;
        let found = match id {
            None => versions.newest(key).map_err(broken)?.filter(|version| !version.deleted),
            Some(id) => {
                let mut all = versions.of(key).map_err(broken)?;
                all.retain(|version| version.id == id);
                Some(all.pop().ok_or_else(|| s3_error!(NoSuchVersion))?)
            }
        };
        match found {
            None => Err(s3_error!(NoSuchKey)),
            Some(version) if version.deleted => Err(s3_error!(MethodNotAllowed)),
            Some(version) => Ok((versions, version)),
        }
    }

    /// The retention that a version gets: what its put asks for, or the bucket's own.
    fn retention(
        &self,
        bucket: &BucketDeclaration,
        input: &dto::PutObjectInput,
    ) -> S3Result<Option<Retention>> {
        let asked = (&input.object_lock_mode, &input.object_lock_retain_until_date);
        let retention = match asked {
            (None, None) => bucket.retention.as_ref().map(|(mode, days)| {
                let length = SignedDuration::from_hours(24_i64.saturating_mul(i64::from(*days)));
                let until = self.clock.now().checked_add(length).unwrap_or(Timestamp::MAX);
                Retention { mode: mode.clone(), until }
            }),
            (Some(mode), Some(until)) => {
                if !bucket.object_lock {
                    return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"));
                }
                let until = read_stamp(until.clone());
                if until <= self.clock.now() {
                    return Err(s3_error!(InvalidArgument, "The retain until date must be in the future!"));
                }
                Some(Retention { mode: mode.as_str().to_owned(), until })
            }
            _ => return Err(s3_error!(InvalidArgument, "a mode and a date, or neither")),
        };
        Ok(retention)
    }

    fn told(&self, bucket: &BucketDeclaration, version: &Version, put_by: &str) {
        if !bucket.tells_event_bridge {
            return;
        }
        if let Some(events) = self.events.get() {
            events.put(&self.object_created(bucket, version, put_by));
        }
    }

    /// The event, as S3 gives it to EventBridge.
    fn object_created(&self, bucket: &BucketDeclaration, version: &Version, put_by: &str) -> Value {
        json!({
            "version": "0",
            "id": Uuid::new_v4().to_string(),
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": ACCOUNT,
            "time": version.last_modified.to_string(),
            "region": REGION,
            "resources": [format!("arn:aws:s3:::{}", bucket.name)],
            "detail": {
                "version": "0",
                "bucket": { "name": bucket.name },
                "object": {
                    "key": version.key,
                    "size": version.size,
                    "etag": version.etag,
                    "version-id": version.id,
                    "sequencer": version.id,
                },
                "request-id": Uuid::new_v4().simple().to_string(),
                "requester": put_by,
                "source-ip-address": "127.0.0.1",
                "reason": "PutObject",
            },
        })
    }
}

/// What a put says that its bytes sum up to, by the name of the algorithm; in its headers, or behind its body.
fn checksums(input: &dto::PutObjectInput, trailers: Option<&HeaderMap>) -> BTreeMap<String, String> {
    let headers = [
        ("crc32", &input.checksum_crc32),
        ("crc32c", &input.checksum_crc32c),
        ("crc64nvme", &input.checksum_crc64nvme),
        ("sha1", &input.checksum_sha1),
        ("sha256", &input.checksum_sha256),
    ];
    let given = headers.into_iter().filter_map(|(name, header)| {
        let trailer = trailers.and_then(|trailers| trailers.get(format!("x-amz-checksum-{name}")));
        let trailer = trailer.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Some((name.to_owned(), header.clone().or(trailer)?))
    });
    given.collect()
}

#[async_trait]
impl S3 for Objects {
    async fn put_object(
        &self,
        mut request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let inner = &self.inner;
        let (bucket, versions) = inner.bucket(&request.input.bucket)?;
        let key = request.input.key.clone();
        if !versions.has_room_for(&key) {
            return Err(s3_error!(KeyTooLongError));
        }
        if request.input.content_md5.is_some() {
            return Err(s3_error!(NotImplemented, "the stand-in knows checksums, not Content-MD5"));
        }
        let retention = inner.retention(bucket, &request.input)?;
        let draft = versions.draft(&key).map_err(broken)?.ok_or_else(|| s3_error!(KeyTooLongError))?;
        let written = write(request.input.body.take(), &draft).await;
        let kept = written.and_then(|(size, etag, summed)| {
            let input = &request.input;
            let trailers = request.trailing_headers.as_ref().and_then(s3s::TrailingHeaders::take);
            let checksums = checksums(input, trailers.as_ref());
            if checksums.iter().any(|(name, sum)| summed.get(name) != Some(sum)) {
                return Err(s3_error!(BadDigest, "The checksum is not that of the bytes."));
            }
            if retention.is_some() && checksums.is_empty() {
                return Err(s3_error!(InvalidRequest, "A put with Object Lock needs a checksum."));
            }
            let _alone = inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = versions.newest(&key).map_err(broken)?.filter(|version| !version.deleted);
            let none = input.if_none_match.as_ref().is_some_and(dto::ETagCondition::is_any);
            let another = input
                .if_match
                .as_ref()
                .and_then(dto::ETagCondition::as_etag)
                .is_some_and(|etag| newest.as_ref().is_none_or(|newest| newest.etag != etag.value()));
            if (none && newest.is_some()) || another {
                return Err(s3_error!(PreconditionFailed));
            }
            let version = Version {
                key: key.clone(),
                id: String::new(),
                deleted: false,
                size,
                etag,
                last_modified: inner.now(),
                content_type: input.content_type.as_ref().map(ToString::to_string),
                content_encoding: input.content_encoding.clone(),
                metadata: input.metadata.clone().unwrap_or_default().into_iter().collect(),
                checksums,
                retention: retention.clone(),
            };
            let kept = versions.keep(version, Some(&draft), bucket.versioned).map_err(broken)?;
            kept.ok_or_else(|| s3_error!(KeyTooLongError))
        });
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => {
                let _ = std::fs::remove_file(&draft);
                return Err(error);
            }
        };
        let put_by = request.credentials.as_ref().map_or("", |credentials| credentials.access_key.as_str());
        inner.told(bucket, &kept, put_by);
        Ok(S3Response::new(dto::PutObjectOutput {
            e_tag: Some(strong(&kept)),
            version_id: bucket.versioned.then(|| kept.id.clone()),
            size: Some(size(&kept)),
            checksum_crc32: kept.checksums.get("crc32").cloned(),
            checksum_sha256: kept.checksums.get("sha256").cloned(),
            ..dto::PutObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let input = request.input;
        let (versions, version) = self.inner.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        if input
            .if_match
            .as_ref()
            .and_then(dto::ETagCondition::as_etag)
            .is_some_and(|etag| etag.value() != version.etag)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let path = versions.bytes(&version).ok_or_else(|| s3_error!(NoSuchKey))?;
        let mut file = tokio::fs::File::open(path).await.map_err(interrupted)?;
        let whole = 0..version.size;
        let range = input.range.map(|range| range.check(version.size)).transpose()?;
        let wanted = range.clone().unwrap_or(whole);
        file.seek(io::SeekFrom::Start(wanted.start)).await.map_err(interrupted)?;
        let length = wanted.end.saturating_sub(wanted.start);
        let body = futures_util::stream::try_unfold(file.take(length), |mut file| async move {
            let mut piece = Vec::with_capacity(PIECE);
            let read = (&mut file).take(PIECE as u64).read_to_end(&mut piece).await?;
            Ok::<_, io::Error>((read > 0).then(|| (axum::body::Bytes::from(piece), file)))
        });
        let content_range = range
            .map(|range| format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), version.size));
        Ok(S3Response::new(dto::GetObjectOutput {
            body: Some(dto::StreamingBlob::wrap(body)),
            content_length: i64::try_from(length).ok(),
            content_range,
            content_encoding: version.content_encoding.clone(),
            content_type: version.content_type.as_ref().and_then(|kind| kind.parse().ok()),
            e_tag: Some(strong(&version)),
            last_modified: Some(stamp(version.last_modified)),
            metadata: Some(version.metadata.clone().into_iter().collect()),
            object_lock_mode: lock_mode(&version),
            object_lock_retain_until_date: version.retention.as_ref().map(|retention| stamp(retention.until)),
            version_id: Some(version.id),
            ..dto::GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let input = request.input;
        let (_, version) = self.inner.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        Ok(S3Response::new(dto::HeadObjectOutput {
            content_length: Some(size(&version)),
            content_encoding: version.content_encoding.clone(),
            content_type: version.content_type.as_ref().and_then(|kind| kind.parse().ok()),
            e_tag: Some(strong(&version)),
            last_modified: Some(stamp(version.last_modified)),
            metadata: Some(version.metadata.clone().into_iter().collect()),
            object_lock_mode: lock_mode(&version),
            object_lock_retain_until_date: version.retention.as_ref().map(|retention| stamp(retention.until)),
            version_id: Some(version.id),
            ..dto::HeadObjectOutput::default()
        }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        self.inner.bucket(&request.input.bucket)?;
        Ok(S3Response::new(dto::HeadBucketOutput::default()))
    }

    async fn delete_object(
        &self,
        request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        let (inner, input) = (&self.inner, request.input);
        let (bucket, versions) = inner.bucket(&input.bucket)?;
        let _alone = inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = versions.of(&input.key).map_err(broken)?;
        if let Some(id) = input.version_id.or_else(|| (!bucket.versioned).then(|| newest_id(&all)).flatten())
        {
            let bypass = input.bypass_governance_retention.unwrap_or_default();
            if let Some(version) = all.iter().find(|version| version.id == id) {
                let now = inner.clock.now();
                if version.retention.as_ref().is_some_and(|retention| retention.holds(now, bypass)) {
                    return Err(s3_error!(
                        AccessDenied,
                        "Access Denied because object protected by object lock."
                    ));
                }
                versions.remove(version);
            }
            let output =
                dto::DeleteObjectOutput { version_id: Some(id), ..dto::DeleteObjectOutput::default() };
            return Ok(S3Response::new(output));
        }
        let marker = Version {
            key: input.key,
            id: String::new(),
            deleted: true,
            size: 0,
            etag: String::new(),
            last_modified: inner.now(),
            content_type: None,
            content_encoding: None,
            metadata: BTreeMap::new(),
            checksums: BTreeMap::new(),
            retention: None,
        };
        let kept = versions.keep(marker, None, true).map_err(broken)?;
        Ok(S3Response::new(dto::DeleteObjectOutput {
            delete_marker: Some(true),
            version_id: kept.map(|kept| kept.id),
            ..dto::DeleteObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let input = request.input;
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "the stand-in lists without a delimiter"));
        }
        let (_, versions) = self.inner.bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or(input.start_after.clone()).unwrap_or_default();
        let most = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or(PAGE).min(PAGE);
        let keys = versions.beginning_with(&prefix).map_err(broken)?;
        let mut there: Vec<Version> = keys
            .into_iter()
            .filter_map(|mut versions| versions.pop())
            .filter(|version| !version.deleted && version.key > after)
            .collect();
        let truncated = there.len() > most;
        there.truncate(most);
        let next = truncated.then(|| there.last().map(|last| last.key.clone())).flatten();
        let contents: Vec<dto::Object> = there
            .into_iter()
            .map(|version| dto::Object {
                e_tag: Some(strong(&version)),
                last_modified: Some(stamp(version.last_modified)),
                size: Some(size(&version)),
                key: Some(version.key),
                ..dto::Object::default()
            })
            .collect();
        Ok(S3Response::new(dto::ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            key_count: i32::try_from(contents.len()).ok(),
            max_keys: i32::try_from(most).ok(),
            is_truncated: Some(truncated),
            next_continuation_token: next,
            contents: Some(contents),
            ..dto::ListObjectsV2Output::default()
        }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<dto::ListObjectVersionsInput>,
    ) -> S3Result<S3Response<dto::ListObjectVersionsOutput>> {
        let input = request.input;
        let (_, versions) = self.inner.bucket(&input.bucket)?;
        let keys = versions.beginning_with(input.prefix.as_deref().unwrap_or_default()).map_err(broken)?;
        let (mut there, mut markers) = (Vec::new(), Vec::new());
        for version in keys.into_iter().flat_map(|versions| {
            let newest = newest_id(&versions);
            versions.into_iter().rev().map(move |version| (newest.as_ref() == Some(&version.id), version))
        }) {
            let (newest, version) = version;
            let (is_latest, last_modified) = (Some(newest), Some(stamp(version.last_modified)));
            let (key, version_id) = (Some(version.key.clone()), Some(version.id.clone()));
            if version.deleted {
                let entry = dto::DeleteMarkerEntry { is_latest, key, last_modified, version_id, owner: None };
                markers.push(entry);
            } else {
                there.push(dto::ObjectVersion {
                    e_tag: Some(strong(&version)),
                    is_latest,
                    key,
                    last_modified,
                    size: Some(size(&version)),
                    version_id,
                    ..dto::ObjectVersion::default()
                });
            }
        }
        Ok(S3Response::new(dto::ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            is_truncated: Some(false),
            versions: Some(there),
            delete_markers: Some(markers),
            ..dto::ListObjectVersionsOutput::default()
        }))
    }

    async fn get_object_retention(
        &self,
        request: S3Request<dto::GetObjectRetentionInput>,
    ) -> S3Result<S3Response<dto::GetObjectRetentionOutput>> {
        let input = request.input;
        let (_, version) = self.inner.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let retention = version.retention.ok_or_else(|| s3_error!(NoSuchObjectLockConfiguration))?;
        let retention = dto::ObjectLockRetention {
            mode: Some(dto::ObjectLockRetentionMode::from(retention.mode)),
            retain_until_date: Some(stamp(retention.until)),
        };
        Ok(S3Response::new(dto::GetObjectRetentionOutput { retention: Some(retention) }))
    }
}

fn newest_id(versions: &[Version]) -> Option<String> {
    versions.last().map(|version| version.id.clone())
}

fn lock_mode(version: &Version) -> Option<dto::ObjectLockMode> {
    version.retention.as_ref().map(|retention| dto::ObjectLockMode::from(retention.mode.clone()))
}

/// Writes the bytes of a put, and says how many they are, their ETag, and what they sum up to.
async fn write(
    body: Option<dto::StreamingBlob>,
    draft: &std::path::Path,
) -> S3Result<(u64, String, BTreeMap<String, String>)> {
    let mut file = tokio::fs::File::create(draft).await.map_err(interrupted)?;
    let mut digest = Context::new(&SHA256);
    let mut sums = ChecksumHasher {
        crc32: Some(Default::default()),
        crc32c: Some(Default::default()),
        sha1: Some(Default::default()),
        sha256: Some(Default::default()),
        crc64nvme: Some(Default::default()),
    };
    let mut size = 0_u64;
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| s3_error!(IncompleteBody))?;
            digest.update(&piece);
            sums.update(&piece);
            size += piece.len() as u64;
            file.write_all(&piece).await.map_err(interrupted)?;
        }
    }
    file.sync_all().await.map_err(interrupted)?;
    let etag = hex::encode(digest.finish().as_ref().get(..16).unwrap_or_default());
    let sums = sums.finalize();
    let sums = [
        ("crc32", sums.checksum_crc32),
        ("crc32c", sums.checksum_crc32c),
        ("crc64nvme", sums.checksum_crc64nvme),
        ("sha1", sums.checksum_sha1),
        ("sha256", sums.checksum_sha256),
    ];
    let sums = sums.into_iter().filter_map(|(name, sum)| Some((name.to_owned(), sum?))).collect();
    Ok((size, etag, sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_asks_for() {
        let rows = [
            ("GET", "/b?list-type=2&prefix=changes%2F", "ListObjectsV2 b "),
            ("GET", "/b/?versions", "ListObjectVersions b "),
            ("GET", "/b/changes/a%20b.csv?x-id=GetObject", "GetObject b changes/a b.csv"),
            ("GET", "/b/k?retention", "GetObjectRetention b k"),
            ("PUT", "/b/k?x-id=PutObject", "PutObject b k"),
            ("HEAD", "/b/k", "HeadObject b k"),
            ("DELETE", "/b/k?versionId=1", "DeleteObject b k"),
            ("PUT", "/b", "Unknown b "),
        ];
        for (method, uri, expected) in rows {
            let asked = Asked::read(&method.parse().unwrap(), &uri.parse().unwrap());
            assert_eq!(format!("{} {} {}", asked.operation, asked.bucket, asked.key), expected);
        }
    }
}

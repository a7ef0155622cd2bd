//! A stand-in for AWS KMS: real cryptography behind KMS's own interface, for the operations that the functions use.
//!
//! Keys come from the template and live in one file of the data directory. A ciphertext names its key and is
//! sealed with AES-256-GCM over the encryption context, so a wrong context fails here as it does in KMS. To add
//! an operation, add a variant to the `match` in `Kms::perform` and its answer beside the others.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, hmac, rand};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::files;
use crate::permissions::{Call, calls};
use crate::template::Physical;
use crate::traffic::{Service, Traffic, service_answer};

/// What kind of key the template asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeySpec {
    /// AES-256-GCM.
    #[serde(rename = "SYMMETRIC_DEFAULT")]
    Symmetric,
    /// HMAC-SHA-256.
    #[serde(rename = "HMAC_256")]
    Hmac256,
    /// ECDSA on P-256.
    #[serde(rename = "ECC_NIST_P256")]
    EccNistP256,
}

impl KeySpec {
    /// The specification of that name, if the stand-in can make such keys.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Symmetric, Self::Hmac256, Self::EccNistP256].into_iter().find(|spec| spec.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Symmetric => "SYMMETRIC_DEFAULT",
            Self::Hmac256 => "HMAC_256",
            Self::EccNistP256 => "ECC_NIST_P256",
        }
    }

    fn usage(self) -> &'static str {
        match self {
            Self::Symmetric => "ENCRYPT_DECRYPT",
            Self::Hmac256 => "GENERATE_VERIFY_MAC",
            Self::EccNistP256 => "SIGN_VERIFY",
        }
    }
}

/// A key as the template declares it.
#[derive(Debug, Clone)]
pub struct KeyDeclaration {
    /// The resource's logical id.
    pub logical_id: String,
    /// The kind of key.
    pub spec: KeySpec,
    /// The resource's description.
    pub description: String,
}

/// Why the stand-in for KMS cannot start.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// The key file cannot be read or written.
    #[error(transparent)]
    Files(#[from] files::FileError),
    /// The key file is damaged.
    #[error("{path} does not hold keys: {source}")]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The template changed a key's kind; its ciphertexts would be lost.
    #[error("{path} holds {logical_id} as another kind of key than the template; remove the data directory")]
    Changed {
        /// The key file.
        path: PathBuf,
        /// The key.
        logical_id: String,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library refused to make a key")]
    Cryptography,
}

#[derive(Serialize, Deserialize)]
struct Key {
    /// A UUID, also the head of every ciphertext under the key.
    id: String,
    spec: KeySpec,
    description: String,
    enabled: bool,
    created: i64,
    /// AES or HMAC key bytes, or a PKCS#8 document, in base64.
    material: String,
}

impl Key {
    fn generate(declaration: &KeyDeclaration, now: jiff::Timestamp) -> Result<Self, KmsError> {
        let material = match declaration.spec {
            KeySpec::Symmetric | KeySpec::Hmac256 => BASE64.encode(random::<32>()?),
            KeySpec::EccNistP256 => {
                let rng = rand::SystemRandom::new();
                let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng)
                    .map_err(|_| KmsError::Cryptography)?;
                BASE64.encode(document.as_ref())
            }
        };
        Ok(Self {
            id: Uuid::new_v4().to_string(),
            spec: declaration.spec,
            description: declaration.description.clone(),
            enabled: true,
            created: now.as_second(),
            material,
        })
    }

    fn material(&self) -> Result<Vec<u8>, Refusal> {
        BASE64.decode(&self.material).map_err(|_| Refusal::internal())
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, Refusal> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.material()?).map_err(|_| Refusal::internal())
    }

    fn signer(&self) -> Result<EcdsaKeyPair, Refusal> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.material()?)
            .map_err(|_| Refusal::internal())
    }

    /// The identifier of the key's only material: KMS names it since it rotates material under one key.
    fn material_id(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.id.as_bytes()))
    }
}

fn random<const N: usize>() -> Result<[u8; N], KmsError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| KmsError::Cryptography)?;
    Ok(bytes)
}

/// An error in KMS's words.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    code: &'static str,
    message: Option<String>,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    fn ciphertext() -> Self {
        Self { code: "InvalidCiphertextException", message: None }
    }

    fn internal() -> Self {
        Self::new("KMSInternalException", "The request was rejected because an internal exception occurred.")
    }

    fn status(&self) -> StatusCode {
        if self.code == "KMSInternalException" {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::BAD_REQUEST
        }
    }
}

/// The keys of a data directory. Clones share them.
#[derive(Clone)]
pub struct Kms {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    region: String,
    account: String,
    keys: Mutex<BTreeMap<String, Key>>,
    aliases: Mutex<HashMap<String, String>>,
    traffic: Traffic,
}

impl std::fmt::Debug for Kms {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Kms").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Kms {
    /// Opens the key file and makes the keys that the template declares and the file lacks.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds a key of another kind than declared.
    pub fn open(
        path: &Path,
        declarations: &[KeyDeclaration],
        (region, account): (&str, &str),
        now: jiff::Timestamp,
        traffic: Traffic,
    ) -> Result<Self, KmsError> {
        let mut keys: BTreeMap<String, Key> = match files::read_if_present(path)? {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_slice(&text)
                .map_err(|source| KmsError::Damaged { path: path.to_owned(), source })?,
        };
        for declaration in declarations {
            match keys.get(&declaration.logical_id) {
                None => {
                    keys.insert(declaration.logical_id.clone(), Key::generate(declaration, now)?);
                }
                Some(key) if key.spec != declaration.spec => {
                    return Err(KmsError::Changed {
                        path: path.to_owned(),
                        logical_id: declaration.logical_id.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        let kms = Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                region: region.to_owned(),
                account: account.to_owned(),
                keys: Mutex::new(keys),
                aliases: Mutex::default(),
                traffic,
            }),
        };
        kms.save(&kms.keys())?;
        Ok(kms)
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<String, Key>> {
        self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, keys: &BTreeMap<String, Key>) -> Result<(), KmsError> {
        let text = serde_json::to_vec_pretty(keys).map_err(|_| KmsError::Cryptography)?;
        Ok(files::write_private(&self.inner.path, &text)?)
    }

    fn arn(&self, id: &str) -> String {
        format!("arn:aws:kms:{}:{}:key/{id}", self.inner.region, self.inner.account)
    }

    /// What the template's references to the keys resolve to.
    #[must_use]
    pub fn physical(&self) -> HashMap<String, Physical> {
        let physical = |id: &str| Physical {
            reference: id.to_owned(),
            attributes: BTreeMap::from([
                ("Arn".to_owned(), self.arn(id)),
                ("KeyId".to_owned(), id.to_owned()),
            ]),
        };
        self.keys().iter().map(|(name, key)| (name.clone(), physical(&key.id))).collect()
    }

    /// Gives a key (by id or ARN) an alias, `alias/…`.
    pub fn add_alias(&self, alias: &str, key: &str) {
        let id = key.rsplit('/').next().unwrap_or_default();
        let mut aliases = self.inner.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        aliases.insert(alias.to_owned(), id.to_owned());
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        Router::new().route("/", post(answer)).with_state(self.clone())
    }

    /// Enables or disables the key with that logical id, as `EnableKey` and `DisableKey` do.
    ///
    /// # Errors
    /// When the key file cannot be written.
    pub fn set_enabled(&self, logical_id: &str, enabled: bool) -> Result<(), KmsError> {
        let mut keys = self.keys();
        if let Some(key) = keys.get_mut(logical_id) {
            key.enabled = enabled;
        }
        self.save(&keys)
    }

    /// Finds a key by id, ARN, alias or alias ARN and does something with it.
    fn with_key<T>(
        &self,
        name: &str,
        action: impl FnOnce(&mut Key) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let prefix = format!("arn:aws:kms:{}:{}:", self.inner.region, self.inner.account);
        let local = name.strip_prefix(&prefix).unwrap_or(name);
        let id = if local.starts_with("alias/") {
            let aliases = self.inner.aliases.lock().unwrap_or_else(PoisonError::into_inner);
            aliases.get(local).cloned().ok_or_else(|| {
                Refusal::new("NotFoundException", format!("Alias {prefix}{local} is not found."))
            })?
        } else {
            let id = local.strip_prefix("key/").unwrap_or(local);
            if Uuid::parse_str(id).is_err() {
                return Err(Refusal::new("NotFoundException", format!("Invalid keyId '{name}'")));
            }
            id.to_owned()
        };
        match self.keys().values_mut().find(|key| key.id == id) {
            Some(key) => action(key),
            None => {
                let message = format!("Key '{}' does not exist", self.arn(&id));
                Err(Refusal::new("NotFoundException", message))
            }
        }
    }

    /// As [`Kms::with_key`], for operations that need an enabled key of one kind.
    fn with_usable<T>(
        &self,
        name: &str,
        spec: KeySpec,
        operation: &str,
        action: impl FnOnce(&Key) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with_key(name, |key| {
            let arn = self.arn(&key.id);
            if !key.enabled {
                return Err(Refusal::new("DisabledException", format!("{arn} is disabled.")));
            }
            if key.spec != spec {
                let usage = key.spec.usage();
                let message = format!("{arn} key usage is {usage} which is not valid for {operation}.");
                return Err(Refusal::new("InvalidKeyUsageException", message));
            }
            action(key)
        })
    }

    /// What a request needs to be allowed: nothing where there is no such key, which is its answer then.
    fn needs(&self, operation: &str, body: &[u8]) -> Vec<Call> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let key = match (text("KeyId"), text("CiphertextBlob")) {
            (Some(name), _) => self.with_key(name, |key| Ok(key.id.clone())).ok(),
            // A ciphertext names its key.
            (None, Some(ciphertext)) => BASE64.decode(ciphertext).ok().and_then(|ciphertext| {
                let (id, _) = ciphertext.split_at_checked(16)?;
                Some(Uuid::from_slice(id).ok()?.to_string())
            }),
            (None, None) => None,
        };
        key.into_iter().map(|id| calls::kms(operation, &request, &self.arn(&id))).collect()
    }

    fn perform(&self, operation: &str, body: &[u8]) -> Result<Value, Refusal> {
        match operation {
            "GenerateMac" => self.generate_mac(read(body)?),
            "Sign" => self.sign(read(body)?),
            "GetPublicKey" => self.get_public_key(read(body)?),
            "Encrypt" => self.encrypt(read(body)?),
            "Decrypt" => self.decrypt(read(body)?),
            "GenerateDataKey" => self.generate_data_key(read(body)?),
            "DescribeKey" => self.describe_key(read(body)?),
            "EnableKey" => self.switch(read(body)?, true),
            "DisableKey" => self.switch(read(body)?, false),
            other => {
                Err(Refusal::new("UnknownOperationException", format!("{other} is not part of the stand-in")))
            }
        }
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Response<Body> {
        let (status, code, body) = match self.perform(operation, body) {
            Ok(Value::Null) => (StatusCode::OK, None, String::new()),
            Ok(answer) => (StatusCode::OK, None, answer.to_string()),
            Err(refusal) => {
                let body = match &refusal.message {
                    Some(message) => json!({ "__type": refusal.code, "message": message }),
                    None => json!({ "__type": refusal.code }),
                };
                (refusal.status(), Some(refusal.code), body.to_string())
            }
        };
        tracing::debug!(service = "kms", operation, status = status.as_u16(), code, "aws call");
        service_answer(status, "application/x-amz-json-1.1", body, code)
    }

    fn generate_mac(&self, request: GenerateMac) -> Result<Value, Refusal> {
        let message = blob("message", &request.message, 4096)?;
        self.with_usable(&request.key_id, KeySpec::Hmac256, "GenerateMac", |key| {
            if request.mac_algorithm != "HMAC_SHA_256" {
                return Err(incompatible(&request.mac_algorithm, key.spec));
            }
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.material()?), &message);
            Ok(json!({
                "Mac": BASE64.encode(tag),
                "KeyId": self.arn(&key.id),
                "MacAlgorithm": request.mac_algorithm,
            }))
        })
    }

    fn sign(&self, request: Sign) -> Result<Value, Refusal> {
        let message = blob("message", &request.message, 4096)?;
        self.with_usable(&request.key_id, KeySpec::EccNistP256, "Sign", |key| {
            if request.signing_algorithm != "ECDSA_SHA_256" {
                return Err(incompatible(&request.signing_algorithm, key.spec));
            }
            let digest = match request.message_type.as_deref().unwrap_or("RAW") {
                "RAW" => digest::digest(&digest::SHA256, &message),
                "DIGEST" => digest::Digest::import_less_safe(&message, &digest::SHA256).map_err(|_| {
                    Refusal::validation("Digest is invalid length for algorithm ECDSA_SHA_256.")
                })?,
                other => return Err(not_in_enum("messageType", other, "[RAW, DIGEST, EXTERNAL_MU]")),
            };
            let signature = key.signer()?.sign_digest(&digest).map_err(|_| Refusal::internal())?;
            Ok(json!({
                "KeyId": self.arn(&key.id),
                "Signature": BASE64.encode(signature),
                "SigningAlgorithm": request.signing_algorithm,
            }))
        })
    }

    fn get_public_key(&self, request: KeyName) -> Result<Value, Refusal> {
        self.with_usable(&request.key_id, KeySpec::EccNistP256, "GetPublicKey", |key| {
            let signer = key.signer()?;
            let spki = signer.public_key().as_der().map_err(|_| Refusal::internal())?;
            Ok(json!({
                "KeyId": self.arn(&key.id),
                "PublicKey": BASE64.encode(spki.as_ref()),
                "CustomerMasterKeySpec": key.spec.name(),
                "KeySpec": key.spec.name(),
                "KeyUsage": key.spec.usage(),
                "SigningAlgorithms": ["ECDSA_SHA_256"],
            }))
        })
    }

    fn encrypt(&self, request: Encrypt) -> Result<Value, Refusal> {
        let plaintext = blob("plaintext", &request.plaintext, 4096)?;
        self.with_usable(&request.key_id, KeySpec::Symmetric, "Encrypt", |key| {
            Ok(json!({
                "CiphertextBlob": BASE64.encode(seal(key, plaintext, &request.encryption_context)?),
                "KeyId": self.arn(&key.id),
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            }))
        })
    }

    fn generate_data_key(&self, request: GenerateDataKey) -> Result<Value, Refusal> {
        let length = match (request.key_spec.as_deref(), request.number_of_bytes) {
            (Some("AES_256"), None) => 32,
            (Some("AES_128"), None) => 16,
            (None, Some(length @ 1..=1024)) => length,
            (Some(other), None) => return Err(not_in_enum("keySpec", other, "[AES_256, AES_128]")),
            (None, Some(_)) => {
                return Err(Refusal::validation(
                    "1 validation error detected: Value at 'numberOfBytes' failed to satisfy constraint: \
                     Member must have value between 1 and 1024",
                ));
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(Refusal::validation("Please specify either number of bytes or key spec."));
            }
        };
        self.with_usable(&request.key_id, KeySpec::Symmetric, "GenerateDataKey", |key| {
            let mut plaintext = vec![0; length];
            rand::fill(&mut plaintext).map_err(|_| Refusal::internal())?;
            Ok(json!({
                "CiphertextBlob": BASE64.encode(seal(key, plaintext.clone(), &request.encryption_context)?),
                "Plaintext": BASE64.encode(plaintext),
                "KeyId": self.arn(&key.id),
                "KeyMaterialId": key.material_id(),
            }))
        })
    }

    fn decrypt(&self, request: Decrypt) -> Result<Value, Refusal> {
        let sealed = blob("ciphertextBlob", &request.ciphertext_blob, 6144)?;
        let (id, sealed) = sealed.split_at_checked(16).ok_or_else(Refusal::ciphertext)?;
        let id = Uuid::from_slice(id).map_err(|_| Refusal::ciphertext())?.to_string();
        if !self.keys().values().any(|key| key.id == id) {
            return Err(Refusal::ciphertext());
        }
        if let Some(name) = &request.key_id {
            let named = self.with_key(name, |key| Ok(key.id.clone()))?;
            if named != id {
                return Err(Refusal::new(
                    "IncorrectKeyException",
                    "The key ID in the request does not identify a CMK that can perform this operation.",
                ));
            }
        }
        self.with_usable(&id, KeySpec::Symmetric, "Decrypt", |key| {
            Ok(json!({
                "Plaintext": BASE64.encode(open(key, sealed, &request.encryption_context)?),
                "KeyId": self.arn(&key.id),
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "KeyMaterialId": key.material_id(),
            }))
        })
    }

    fn describe_key(&self, request: KeyName) -> Result<Value, Refusal> {
        self.with_key(&request.key_id, |key| {
            let mut metadata = json!({
                "AWSAccountId": self.inner.account,
                "Arn": self.arn(&key.id),
                "CreationDate": key.created,
                "CustomerMasterKeySpec": key.spec.name(),
                "KeySpec": key.spec.name(),
                "Description": key.description,
                "Enabled": key.enabled,
                "KeyId": key.id,
                "KeyManager": "CUSTOMER",
                "KeyUsage": key.spec.usage(),
                "KeyState": if key.enabled { "Enabled" } else { "Disabled" },
                "MultiRegion": false,
                "Origin": "AWS_KMS",
            });
            let (list, algorithm) = match key.spec {
                KeySpec::Symmetric => ("EncryptionAlgorithms", "SYMMETRIC_DEFAULT"),
                KeySpec::Hmac256 => ("MacAlgorithms", "HMAC_SHA_256"),
                KeySpec::EccNistP256 => ("SigningAlgorithms", "ECDSA_SHA_256"),
            };
            if let Some(fields) = metadata.as_object_mut() {
                fields.insert(list.to_owned(), json!([algorithm]));
            }
            Ok(json!({ "KeyMetadata": metadata }))
        })
    }

    fn switch(&self, request: KeyName, enabled: bool) -> Result<Value, Refusal> {
        self.with_key(&request.key_id, |key| {
            key.enabled = enabled;
            Ok(())
        })?;
        self.save(&self.keys()).map_err(|_| Refusal::internal())?;
        Ok(Value::Null)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyName {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateMac {
    key_id: String,
    message: String,
    mac_algorithm: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sign {
    key_id: String,
    message: String,
    message_type: Option<String>,
    signing_algorithm: String,
}

/// Ordered, so that one context has one form: KMS compares contexts without regard to the order of their pairs.
type EncryptionContext = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt {
    key_id: String,
    plaintext: String,
    #[serde(default)]
    encryption_context: EncryptionContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: EncryptionContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt {
    key_id: Option<String>,
    ciphertext_blob: String,
    #[serde(default)]
    encryption_context: EncryptionContext,
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::validation(format!("1 validation error detected: the request is malformed: {error}"))
    })
}

fn blob(field: &str, text: &str, most: usize) -> Result<Vec<u8>, Refusal> {
    let bytes = BASE64
        .decode(text)
        .map_err(|_| Refusal::new("SerializationException", format!("'{field}' is not valid base64")))?;
    let broken = if bytes.is_empty() {
        "greater than or equal to 1".to_owned()
    } else if bytes.len() > most {
        format!("less than or equal to {most}")
    } else {
        return Ok(bytes);
    };
    Err(Refusal::validation(format!(
        "1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must have length {broken}"
    )))
}

fn not_in_enum(field: &str, value: &str, members: &str) -> Refusal {
    Refusal::validation(format!(
        "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: \
         Member must satisfy enum value set: {members}"
    ))
}

fn incompatible(algorithm: &str, spec: KeySpec) -> Refusal {
    let spec = spec.name();
    let message = format!("Algorithm {algorithm} and key spec {spec} are incompatible.");
    Refusal::new("InvalidKeyUsageException", message)
}

/// The encryption context with every length written out, so that no two contexts have the same form.
fn canonical(context: &EncryptionContext) -> Vec<u8> {
    let mut form = Vec::new();
    for text in context.iter().flat_map(|(name, value)| [name, value]) {
        form.extend_from_slice(&(text.len() as u64).to_be_bytes());
        form.extend_from_slice(text.as_bytes());
    }
    form
}

/// `key id ‖ nonce ‖ ciphertext ‖ tag`.
fn seal(key: &Key, mut plaintext: Vec<u8>, context: &EncryptionContext) -> Result<Vec<u8>, Refusal> {
    let nonce = key
        .cipher()?
        .seal_in_place_append_tag(Aad::from(canonical(context)), &mut plaintext)
        .map_err(|_| Refusal::internal())?;
    let mut sealed = Uuid::parse_str(&key.id).map_err(|_| Refusal::internal())?.as_bytes().to_vec();
    sealed.extend_from_slice(nonce.as_ref());
    sealed.append(&mut plaintext);
    Ok(sealed)
}

fn open(key: &Key, sealed: &[u8], context: &EncryptionContext) -> Result<Vec<u8>, Refusal> {
    let (nonce, ciphertext) = sealed.split_at_checked(12).ok_or_else(Refusal::ciphertext)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Refusal::ciphertext())?;
    let mut ciphertext = ciphertext.to_vec();
    let plaintext = key
        .cipher()?
        .open_in_place(nonce, Aad::from(canonical(context)), &mut ciphertext)
        .map_err(|_| Refusal::ciphertext())?;
    Ok(plaintext.to_vec())
}

async fn answer(State(kms): State<Kms>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("TrentService.").unwrap_or(target);
    if let Err(denial) = kms.inner.traffic.permit(&headers, || kms.needs(operation, &body)) {
        return denial.response(StatusCode::BAD_REQUEST);
    }
    let effect = async { kms.answer(operation, &body) };
    kms.inner.traffic.around(Service::Kms, operation, &headers, effect).await
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    use super::*;

    fn kms(folder: &Path) -> Kms {
        let declare = |logical_id: &str, spec| KeyDeclaration {
            logical_id: logical_id.to_owned(),
            spec,
            description: String::new(),
        };
        let declarations = [
            declare("Secrets", KeySpec::Symmetric),
            declare("Data", KeySpec::Symmetric),
            declare("Token", KeySpec::EccNistP256),
            declare("Pseudonym", KeySpec::Hmac256),
        ];
        let now = jiff::Timestamp::UNIX_EPOCH;
        let place = ("ap-east-2", "123456789012");
        let kms = Kms::open(&folder.join("kms.json"), &declarations, place, now, Traffic::default()).unwrap();
        for (name, physical) in kms.physical() {
            kms.add_alias(&format!("alias/{name}"), &physical.reference);
        }
        kms
    }

    fn call(kms: &Kms, operation: &str, request: Value) -> Result<Value, &'static str> {
        kms.perform(operation, request.to_string().as_bytes()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_ciphertext_opens_with_its_key_and_context_only() {
        let folder = tempfile::tempdir().unwrap();
        let kms = kms(folder.path());
        let context = json!({"purpose": "initial-password", "reset_id": "1"});
        let request = json!({"KeyId": "alias/Secrets", "Plaintext": "aGk=", "EncryptionContext": context});
        let sealed = call(&kms, "Encrypt", request).unwrap();
        let blob = &sealed["CiphertextBlob"];
        assert_eq!(sealed["KeyId"], json!(kms.physical()["Secrets"].attributes["Arn"]));

        // After a restart, with the pairs of the context in another order.
        let kms = self::kms(folder.path());
        let decrypt = |key: Option<&str>, context: Value| {
            let request = json!({"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": context});
            call(&kms, "Decrypt", request).map(|answer| answer["Plaintext"].clone())
        };
        let turned = json!({"reset_id": "1", "purpose": "initial-password"});
        assert_eq!(decrypt(None, turned), Ok(json!("aGk=")));
        assert_eq!(decrypt(Some("alias/Secrets"), context.clone()), Ok(json!("aGk=")));
        assert_eq!(decrypt(Some("alias/Data"), context.clone()), Err("IncorrectKeyException"));
        assert_eq!(decrypt(Some("alias/Nobody"), context.clone()), Err("NotFoundException"));
        assert_eq!(decrypt(None, json!({})), Err("InvalidCiphertextException"));
        assert_eq!(decrypt(None, json!({"purpose": "account-email"})), Err("InvalidCiphertextException"));
        kms.set_enabled("Secrets", false).unwrap();
        assert_eq!(decrypt(None, context), Err("DisabledException"));
    }

    #[test]
    fn a_data_key_comes_with_its_ciphertext() {
        let folder = tempfile::tempdir().unwrap();
        let kms = kms(folder.path());
        let request =
            json!({"KeyId": "alias/Secrets", "KeySpec": "AES_256", "EncryptionContext": {"a": "b"}});
        let made = call(&kms, "GenerateDataKey", request).unwrap();
        let request = json!({"CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": {"a": "b"}});
        assert_eq!(call(&kms, "Decrypt", request).unwrap()["Plaintext"], made["Plaintext"]);
        assert_eq!(BASE64.decode(made["Plaintext"].as_str().unwrap()).unwrap().len(), 32);
    }

    #[test]
    fn signatures_of_messages_and_digests_verify_under_the_public_key() {
        let folder = tempfile::tempdir().unwrap();
        let kms = kms(folder.path());
        let answer = call(&kms, "GetPublicKey", json!({"KeyId": "alias/Token"})).unwrap();
        let spki = BASE64.decode(answer["PublicKey"].as_str().unwrap()).unwrap();
        let (_, parsed) = <x509_parser::x509::SubjectPublicKeyInfo<'_> as x509_parser::prelude::FromDer<
            '_,
            x509_parser::error::X509Error,
        >>::from_der(&spki)
        .unwrap();
        let point = parsed.subject_public_key.data.to_vec();
        let digest = BASE64.encode(digest::digest(&digest::SHA256, b"message"));
        for (kind, message) in [("RAW", BASE64.encode(b"message")), ("DIGEST", digest)] {
            let request = json!({"KeyId": "alias/Token", "Message": message, "MessageType": kind,
                "SigningAlgorithm": "ECDSA_SHA_256"});
            let answer = call(&kms, "Sign", request).unwrap();
            let signature = BASE64.decode(answer["Signature"].as_str().unwrap()).unwrap();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point).verify(b"message", &signature).unwrap();
        }
    }

    #[test]
    fn wrong_requests_get_the_errors_of_kms() {
        let folder = tempfile::tempdir().unwrap();
        let kms = kms(folder.path());
        let sign = |message: &str, kind: &str, algorithm: &str| json!({"KeyId": "alias/Token", "Message": message, "MessageType": kind, "SigningAlgorithm": algorithm});
        let absent = Uuid::nil().to_string();
        let rows = [
            ("GetPublicKey", json!({"KeyId": "alias/Secrets"}), "InvalidKeyUsageException"),
            ("GetPublicKey", json!({"KeyId": absent}), "NotFoundException"),
            ("GetPublicKey", json!({"KeyId": "nonsense"}), "NotFoundException"),
            ("GetPublicKey", json!({}), "ValidationException"),
            ("Sign", sign("aGk=", "DIGEST", "ECDSA_SHA_256"), "ValidationException"),
            ("Sign", sign("aGk=", "RAW", "RSASSA_PSS_SHA_256"), "InvalidKeyUsageException"),
            ("Sign", sign("", "RAW", "ECDSA_SHA_256"), "ValidationException"),
            ("Encrypt", json!({"KeyId": "alias/Token", "Plaintext": "aGk="}), "InvalidKeyUsageException"),
            ("Decrypt", json!({"CiphertextBlob": "aGk="}), "InvalidCiphertextException"),
            ("GenerateDataKey", json!({"KeyId": "alias/Secrets"}), "ValidationException"),
            ("CreateGrant", json!({}), "UnknownOperationException"),
        ];
        for (operation, request, code) in rows {
            assert_eq!(call(&kms, operation, request.clone()), Err(code), "{operation} {request}");
        }
    }

    #[test]
    fn a_mac_is_the_same_for_the_same_message() {
        let folder = tempfile::tempdir().unwrap();
        let request = json!({"KeyId": "alias/Pseudonym", "Message": "aGk=", "MacAlgorithm": "HMAC_SHA_256"});
        let first = call(&kms(folder.path()), "GenerateMac", request.clone()).unwrap();
        let second = call(&kms(folder.path()), "GenerateMac", request).unwrap();
        assert_eq!(first, second);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_key_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        kms(folder.path());
        let mode = std::fs::metadata(folder.path().join("kms.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

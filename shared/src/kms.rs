//! KMS: the keys that never leave it, for exactly what the functions ask of them.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, MacAlgorithmSpec, MessageType, SigningAlgorithmSpec};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::aws;
use crate::email_address::EmailAddress;
use crate::environment::{Environment, StartError};
use crate::password::Password;
use crate::pseudonym::Pseudonymizer;
use crate::seal::DataKey;
use crate::token::{Claims, IdClaims, PublicKey, Unsigned};

/// What the pseudonyms' key is derived from. Another text would make another person of everybody.
const PSEUDONYM_LABEL: &[u8] = b"first-sign-in/pseudonym/v1";

/// Encryption context of an initial password on its way to the mail.
const PURPOSE_INITIAL_PASSWORD: &str = "initial-password";
/// Encryption context of the key under which emails are sealed.
const PURPOSE_ACCOUNT_EMAIL: &str = "account-email";
/// Encryption context of the key under which the rows of a bulk reset are sealed.
const PURPOSE_BULK_RESET: &str = "bulk-reset";

/// KMS did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("KMS: {reason}")]
pub struct KmsError {
    reason: String,
    of_ciphertext: bool,
}

impl KmsError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), of_ciphertext: false }
    }

    fn of<E: ProvideErrorMetadata>(error: SdkError<E>) -> Self {
        let refused = ["InvalidCiphertextException", "IncorrectKeyException"];
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let of_ciphertext = code.is_some_and(|code| refused.contains(&code));
        Self { reason: aws::describe(&error), of_ciphertext }
    }

    /// Whether it is this ciphertext that cannot be decrypted, whatever the state of KMS.
    #[must_use]
    pub fn is_of_ciphertext(&self) -> bool {
        self.of_ciphertext
    }
}

impl From<KmsError> for StartError {
    fn from(error: KmsError) -> Self {
        Self::Service { service: "KMS", reason: error.reason }
    }
}

/// A client of KMS.
#[derive(Clone, Debug)]
pub struct Kms {
    client: Client,
}

impl Kms {
    /// A client with the function's configuration.
    pub fn new(environment: &Environment, config: &SdkConfig) -> Self {
        let mut builder = aws_sdk_kms::config::Builder::from(config).interceptor(aws::call_recorder());
        if let Some(endpoint) = aws::endpoint(environment, "KMS") {
            builder = builder.endpoint_url(endpoint);
        }
        Self { client: Client::from_conf(builder.build()) }
    }

    /// Derives the pseudonyms' key: once a start.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn pseudonymizer(&self, key: &str) -> Result<Pseudonymizer, KmsError> {
        let answer = self
            .client
            .generate_mac()
            .key_id(key)
            .mac_algorithm(MacAlgorithmSpec::HmacSha256)
            .message(Blob::new(PSEUDONYM_LABEL))
            .send()
            .await
            .map_err(KmsError::of)?;
        let mac = answer.mac.map(Blob::into_inner).unwrap_or_default();
        let mut derived: [u8; 32] =
            mac.try_into().map_err(|_| KmsError::new("GenerateMac gave no 32 bytes"))?;
        let pseudonymizer = Pseudonymizer::new(&derived);
        derived.zeroize();
        Ok(pseudonymizer)
    }

    /// The public part of a signing key: once a start.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn public_key(&self, key: &str) -> Result<PublicKey, KmsError> {
        let answer = self.client.get_public_key().key_id(key).send().await.map_err(KmsError::of)?;
        let spki = answer.public_key.map(Blob::into_inner).unwrap_or_default();
        PublicKey::from_spki(&spki).map_err(|error| KmsError::new(error.to_string()))
    }

    /// Signs an access token.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn sign(&self, key: &str, kid: &str, claims: &Claims) -> Result<String, KmsError> {
        self.signed(key, Unsigned::new(claims, kid)).await
    }

    /// Signs an ID token.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn sign_identity(&self, key: &str, kid: &str, claims: &IdClaims) -> Result<String, KmsError> {
        self.signed(key, Unsigned::identity(claims, kid)).await
    }

    /// Signs a JWS.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn signed(&self, key: &str, unsigned: Unsigned) -> Result<String, KmsError> {
        let answer = self
            .client
            .sign()
            .key_id(key)
            .message(Blob::new(unsigned.digest()))
            .message_type(MessageType::Digest)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .send()
            .await
            .map_err(KmsError::of)?;
        let signature = answer.signature.map(Blob::into_inner).unwrap_or_default();
        unsigned.signed(&signature).map_err(|error| KmsError::new(error.to_string()))
    }

    /// Gets the data key under which a function seals emails: once a start.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn email_data_key(&self, key: &str) -> Result<DataKey, KmsError> {
        let answer = self
            .client
            .generate_data_key()
            .key_id(key)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context("purpose", PURPOSE_ACCOUNT_EMAIL)
            .send()
            .await
            .map_err(KmsError::of)?;
        let wrapped = answer.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        data_key(answer.plaintext, wrapped)
    }

    /// Unwraps the data key of a sealed email ([`DataKey::wrapped_in`]).
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn unwrap_email_key(&self, key: &str, wrapped: Vec<u8>) -> Result<DataKey, KmsError> {
        let answer = self
            .client
            .decrypt()
            .key_id(key)
            .ciphertext_blob(Blob::new(wrapped.clone()))
            .encryption_context("purpose", PURPOSE_ACCOUNT_EMAIL)
            .send()
            .await
            .map_err(KmsError::of)?;
        data_key(answer.plaintext, wrapped)
    }

    /// Gets the data key under which the rows of one bulk reset are sealed.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn bulk_data_key(&self, key: &str, bulk_id: &str) -> Result<DataKey, KmsError> {
        let answer = self
            .client
            .generate_data_key()
            .key_id(key)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context("purpose", PURPOSE_BULK_RESET)
            .encryption_context("bulk_id", bulk_id)
            .send()
            .await
            .map_err(KmsError::of)?;
        let wrapped = answer.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        data_key(answer.plaintext, wrapped)
    }

    /// Unwraps the data key of the sealed rows of a bulk reset ([`DataKey::wrapped_in`]).
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn unwrap_bulk_key(
        &self,
        key: &str,
        bulk_id: &str,
        wrapped: Vec<u8>,
    ) -> Result<DataKey, KmsError> {
        let answer = self
            .client
            .decrypt()
            .key_id(key)
            .ciphertext_blob(Blob::new(wrapped.clone()))
            .encryption_context("purpose", PURPOSE_BULK_RESET)
            .encryption_context("bulk_id", bulk_id)
            .send()
            .await
            .map_err(KmsError::of)?;
        data_key(answer.plaintext, wrapped)
    }

    /// Encrypts an initial password and where to mail it, for one reset.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn encrypt_letter(
        &self,
        key: &str,
        reset_id: &str,
        letter: &Letter,
    ) -> Result<Vec<u8>, KmsError> {
        let plaintext = serde_json::to_vec(letter).map_err(|_| KmsError::new("a letter that is no JSON"))?;
        let answer = self
            .client
            .encrypt()
            .key_id(key)
            .plaintext(Blob::new(plaintext))
            .encryption_context("purpose", PURPOSE_INITIAL_PASSWORD)
            .encryption_context("reset_id", reset_id)
            .send()
            .await
            .map_err(KmsError::of)?;
        Ok(answer.ciphertext_blob.map(Blob::into_inner).unwrap_or_default())
    }

    /// Decrypts what [`Kms::encrypt_letter`] encrypted for this reset.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn decrypt_letter(
        &self,
        key: &str,
        reset_id: &str,
        ciphertext: Vec<u8>,
    ) -> Result<Letter, KmsError> {
        let answer = self
            .client
            .decrypt()
            .key_id(key)
            .ciphertext_blob(Blob::new(ciphertext))
            .encryption_context("purpose", PURPOSE_INITIAL_PASSWORD)
            .encryption_context("reset_id", reset_id)
            .send()
            .await
            .map_err(KmsError::of)?;
        let mut plaintext = answer.plaintext.map(Blob::into_inner).unwrap_or_default();
        let letter = serde_json::from_slice(&plaintext)
            .map_err(|_| KmsError { of_ciphertext: true, ..KmsError::new("not a letter") });
        plaintext.zeroize();
        letter
    }
}

fn data_key(plaintext: Option<Blob>, wrapped: Vec<u8>) -> Result<DataKey, KmsError> {
    let mut plaintext = plaintext.map(Blob::into_inner).unwrap_or_default();
    let data_key = DataKey::new(&plaintext, wrapped).map_err(|error| KmsError::new(error.to_string()));
    plaintext.zeroize();
    data_key
}

/// What the mail of a reset needs: the initial password and the address. Exists in memory and encrypted, nowhere else.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Letter {
    email: String,
    password: String,
}

impl Letter {
    /// A letter.
    pub fn new(email: &EmailAddress, password: &Password) -> Self {
        Self { email: email.reveal().to_owned(), password: password.reveal().to_owned() }
    }

    /// Where to.
    ///
    /// # Errors
    /// [`KmsError`] when what was encrypted is no address, which [`Letter::new`] does not allow.
    pub fn email(&self) -> Result<EmailAddress, KmsError> {
        EmailAddress::parse(&self.email).map_err(|error| KmsError::new(error.to_string()))
    }

    /// The initial password.
    pub fn password(&self) -> Password {
        Password::new(self.password.clone())
    }
}

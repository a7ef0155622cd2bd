//! The calls of KMS, SES and SQS that the functions make, through the functions' own adapters, to the stand-in and to `moto`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path;

use aws_sdk_kms::types::{KeySpec as Spec, KeyUsageType};
use jiff::Timestamp;
use local::kms::{KeyDeclaration, KeySpec};
use local::ses::{Ses, Setup};
use local::sqs::Sqs;
use local::stack::{ACCOUNT, REGION};
use local::traffic::Traffic;
use shared::aws::sdk_config;
use shared::email_address::EmailAddress;
use shared::environment::Environment;
use shared::kms::{Kms, KmsError, Letter};
use shared::mail::Content;
use shared::national_id::NationalId;
use shared::password::Password;
use shared::ses::{Mailer, SendError};
use shared::sqs::{DeadLetter, DeadLetters, Received, SqsError};
use shared::token::{Claims, Verifier};
use tokio::net::TcpListener;

use crate::wire::Wire;

/// Where `moto` is. `bash tests/run` starts it and sets this.
const MOTO: &str = "FIRST_SIGN_IN_MOTO_URL";
const ALIAS: &str = "alias/first-sign-in/pseudonym";
const RESET: &str = "reset-1";
const NOW: &str = "2026-01-02T03:04:05Z";

/// What the stand-in answers to each call, as AWS documents it: response syntax and errors of each operation in the
/// KMS API Reference, the SES API v2 Reference and the SQS API Reference. After the comma, what the function makes of it.
const DOCUMENTED: [(&str, &str); 38] = [
    ("GenerateMac", "200 KeyId:ARN Mac:text MacAlgorithm:text, always the same 32 bytes"),
    ("GenerateMac, key named by alias", "200 KeyId:ARN Mac:text MacAlgorithm:text, always the same 32 bytes"),
    ("GenerateMac, unknown key", "400 NotFoundException"),
    ("GenerateMac, unknown alias", "400 NotFoundException"),
    ("GenerateMac, disabled key", "400 DisabledException"),
    ("GenerateMac, key for encryption", "400 InvalidKeyUsageException"),
    (
        "GetPublicKey",
        "200 CustomerMasterKeySpec:text KeyId:ARN KeySpec:text KeyUsage:text PublicKey:text SigningAlgorithms:list, \
         a point on P-256",
    ),
    ("GetPublicKey, unknown key", "400 NotFoundException"),
    ("GetPublicKey, disabled key", "400 DisabledException"),
    ("GetPublicKey, key for MACs", "400 InvalidKeyUsageException"),
    ("Sign", "200 KeyId:ARN Signature:text SigningAlgorithm:text, a signature of the digest"),
    ("Sign, unknown key", "400 NotFoundException"),
    ("Sign, disabled key", "400 DisabledException"),
    ("Sign, key for encryption", "400 InvalidKeyUsageException"),
    ("GenerateDataKey", "200 CiphertextBlob:text KeyId:ARN KeyMaterialId:text Plaintext:text, 32 bytes"),
    ("GenerateDataKey, unknown key", "400 NotFoundException"),
    ("GenerateDataKey, disabled key", "400 DisabledException"),
    ("GenerateDataKey, key for signatures", "400 InvalidKeyUsageException"),
    ("Encrypt", "200 CiphertextBlob:text EncryptionAlgorithm:text KeyId:ARN, a ciphertext"),
    ("Encrypt, unknown key", "400 NotFoundException"),
    ("Encrypt, disabled key", "400 DisabledException"),
    ("Encrypt, key for signatures", "400 InvalidKeyUsageException"),
    ("Decrypt", "200 EncryptionAlgorithm:text KeyId:ARN KeyMaterialId:text Plaintext:text, the plaintext"),
    ("Decrypt, wrong encryption context", "400 InvalidCiphertextException"),
    ("Decrypt, another key", "400 IncorrectKeyException"),
    ("Decrypt, unknown key", "400 NotFoundException"),
    ("Decrypt, ciphertext cut short", "400 InvalidCiphertextException"),
    ("Decrypt, one bit turned", "400 InvalidCiphertextException"),
    ("Decrypt, disabled key", "400 DisabledException"),
    ("SendEmail", "200 MessageId:text, a message id"),
    ("SendEmail, unverified sender", "400 MessageRejected"),
    (
        "GetAccount",
        "200 DedicatedIpAutoWarmupEnabled:flag EnforcementStatus:text ProductionAccessEnabled:flag SendQuota:map \
         SendingEnabled:flag, a quota",
    ),
    ("SendMessage", "200 MessageId:text, it is in the queue"),
    ("SendMessage, unknown queue", "400 QueueDoesNotExist"),
    ("ReceiveMessage", "200 Messages:list, what was sent"),
    ("ReceiveMessage, all in hand", "200, nothing"),
    ("DeleteMessage", "200, it is gone"),
    ("ReceiveMessage, unknown queue", "400 QueueDoesNotExist"),
];

const KEY_ID: &str =
    "moto gives the key's id; KMS gives its ARN (API Reference, KeyId in the response elements)";
const STATE: &str = "moto looks at no key's state; under a disabled key KMS refuses every cryptographic operation, and \
                     GetPublicKey (Developer Guide, Key states of AWS KMS keys)";
const USAGE: &str = "moto does not compare the key's usage with the operation; KMS answers InvalidKeyUsageException \
                     (API Reference, Errors of the operation)";
const FIELDS: &str = "moto lacks fields of the response (API Reference, Response Syntax)";

/// Where `moto` answers otherwise: the call, what `moto` answers, and why the stand-in is right.
const DIFFERENCES: [(&str, &str, &str); 20] = [
    ("GenerateMac", "200 KeyId:text Mac:text MacAlgorithm:text, always the same 32 bytes", KEY_ID),
    (
        "GenerateMac, key named by alias",
        "200 KeyId:text Mac:text MacAlgorithm:text, always the same 32 bytes",
        KEY_ID,
    ),
    (
        "GenerateMac, disabled key",
        "200 KeyId:text Mac:text MacAlgorithm:text, always the same 32 bytes",
        STATE,
    ),
    (
        "GetPublicKey",
        "200 CustomerMasterKeySpec:text EncryptionAlgorithms:null KeyId:text KeyUsage:text PublicKey:text \
         SigningAlgorithms:list, a point on P-256",
        "moto gives the key's id where KMS gives the ARN, and lacks KeySpec (API Reference, GetPublicKey)",
    ),
    (
        "GetPublicKey, disabled key",
        "200 CustomerMasterKeySpec:text EncryptionAlgorithms:null KeyId:text KeyUsage:text PublicKey:text \
         SigningAlgorithms:list, a point on P-256",
        STATE,
    ),
    (
        "GetPublicKey, key for MACs",
        "200 CustomerMasterKeySpec:text EncryptionAlgorithms:list KeyId:text KeyUsage:text PublicKey:text \
         SigningAlgorithms:list, of no use",
        USAGE,
    ),
    (
        "Sign",
        "200 KeyId:ARN Signature:text SigningAlgorithm:text, a signature of something else",
        "moto hashes a digest once more: it does not know MessageType DIGEST (API Reference, Sign, MessageType)",
    ),
    (
        "Sign, disabled key",
        "200 KeyId:ARN Signature:text SigningAlgorithm:text, a signature of something else",
        STATE,
    ),
    ("Sign, key for encryption", "400 ValidationException", USAGE),
    ("GenerateDataKey", "200 CiphertextBlob:text KeyId:ARN Plaintext:text, 32 bytes", FIELDS),
    ("GenerateDataKey, disabled key", "200 CiphertextBlob:text KeyId:ARN Plaintext:text, 32 bytes", STATE),
    (
        "GenerateDataKey, key for signatures",
        "200 CiphertextBlob:text KeyId:ARN Plaintext:text, 32 bytes",
        USAGE,
    ),
    ("Encrypt", "200 CiphertextBlob:text KeyId:ARN, a ciphertext", FIELDS),
    ("Encrypt, disabled key", "200 CiphertextBlob:text KeyId:ARN, a ciphertext", STATE),
    ("Encrypt, key for signatures", "200 CiphertextBlob:text KeyId:ARN, a ciphertext", USAGE),
    ("Decrypt", "200 KeyId:ARN Plaintext:text, the plaintext", FIELDS),
    (
        "Decrypt, another key",
        "400 AccessDeniedException",
        "KMS answers IncorrectKeyException when KeyId is not the ciphertext's key (API Reference, Decrypt, Errors)",
    ),
    ("Decrypt, disabled key", "200 KeyId:ARN Plaintext:text, the plaintext", STATE),
    ("GetAccount", "404 no code", "moto does not know it (API v2 Reference, GetAccount)"),
    (
        "SendMessage",
        "200 MD5OfMessageBody:text MessageId:text, it is in the queue",
        "the stand-in leaves the MD5 sums out, which the SDK compares only where they are",
    ),
];

/// Keys by the names that the rows use.
type Keys = BTreeMap<&'static str, String>;

const SPECS: [(&str, KeySpec); 8] = [
    ("mac", KeySpec::Hmac256),
    ("token", KeySpec::EccNistP256),
    ("secrets", KeySpec::Symmetric),
    ("other secrets", KeySpec::Symmetric),
    ("disabled mac", KeySpec::Hmac256),
    ("disabled token", KeySpec::EccNistP256),
    ("disabled secrets", KeySpec::Symmetric),
    ("unknown", KeySpec::Symmetric),
];

/// One of the two implementations, reached as a function reaches AWS.
struct World {
    wire: Wire,
    kms: Kms,
    keys: Keys,
    mailer: Mailer,
    unverified: Mailer,
    queue: DeadLetters,
    no_queue: DeadLetters,
    /// A ciphertext whose key is disabled by now.
    stale: Vec<u8>,
}

fn environment(url: &str) -> Environment {
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "conformance"),
        ("AWS_SECRET_ACCESS_KEY", "conformance"),
        ("AWS_ENDPOINT_URL", url),
    ];
    Environment::from_map(HashMap::from(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

/// The SDK's own client, for what an operator does and the adapters do not.
async fn operator(url: &str) -> aws_sdk_kms::Client {
    let config = sdk_config(&environment(url)).await;
    let config = aws_sdk_kms::config::Builder::from(&config).endpoint_url(url);
    aws_sdk_kms::Client::from_conf(config.build())
}

fn letter() -> Letter {
    let email = EmailAddress::parse("wang@example.com").unwrap();
    Letter::new(&email, &Password::new("an initial password".to_owned()))
}

impl World {
    async fn new(wire: Wire, mut keys: Keys, queue_url: String) -> Self {
        keys.insert("unknown", uuid::Uuid::new_v4().to_string());
        keys.insert("alias", ALIAS.to_owned());
        keys.insert("unknown alias", "alias/nobody".to_owned());
        let environment = environment(&wire.url);
        let config = sdk_config(&environment).await;
        let kms = Kms::new(&environment, &config);
        let stale = kms.encrypt_letter(&keys["disabled secrets"], RESET, &letter()).await.unwrap();
        let operator = operator(&wire.url).await;
        for key in ["disabled mac", "disabled token", "disabled secrets"] {
            operator.disable_key().key_id(&keys[key]).send().await.unwrap();
        }
        let mailer = |from| Mailer::new(&environment, &config, from, Some("人事".to_owned())).unwrap();
        let (verified, unverified) = (mailer("no-reply@example.gov.tw"), mailer("no-reply@example.org"));
        let queue = |url| DeadLetters::new(&environment, &config, url);
        let no_queue = queue(format!("{queue_url}-nobody"));
        let queue = queue(queue_url);
        Self { wire, kms, keys, mailer: verified, unverified, queue, no_queue, stale }
    }

    async fn stand_in(folder: &Path) -> Self {
        let declarations = SPECS.map(|(name, spec)| KeyDeclaration {
            logical_id: name.to_owned(),
            spec,
            description: String::new(),
        });
        let (now, traffic) = (NOW.parse().unwrap(), Traffic::default());
        let path = folder.join("kms.json");
        let kms = local::kms::Kms::open(&path, &declarations, (REGION, ACCOUNT), now, traffic.clone());
        let kms = kms.unwrap();
        let physical = kms.physical();
        let keys: Keys = SPECS.map(|(name, _)| (name, physical[name].reference.clone())).into();
        kms.add_alias(ALIAS, &keys["mac"]);
        let setup = Setup { identities: vec!["example.gov.tw".to_owned()], ..Setup::default() };
        let ses = Ses::new(folder.join("mail"), setup, REGION, traffic.clone());
        let queue_url = "http://127.0.0.1/123456789012/dead-letters".to_owned();
        let sqs = Sqs::new(folder.join("letters"), queue_url.clone(), String::new(), traffic);
        let [kms, ses, sqs] =
            [serve(kms.router()).await, serve(ses.router()).await, serve(sqs.router()).await];
        Self::new(Wire::to(&kms, &ses, &sqs).await, keys, queue_url).await
    }

    async fn moto(url: &str) -> Self {
        let operator = operator(url).await;
        let mut keys = Keys::new();
        for (name, spec) in SPECS {
            let (spec, usage) = match spec {
                KeySpec::Symmetric => (Spec::SymmetricDefault, KeyUsageType::EncryptDecrypt),
                KeySpec::Hmac256 => (Spec::Hmac256, KeyUsageType::GenerateVerifyMac),
                KeySpec::EccNistP256 => (Spec::EccNistP256, KeyUsageType::SignVerify),
            };
            let made = operator.create_key().key_spec(spec).key_usage(usage).send().await.unwrap();
            keys.insert(name, made.key_metadata.unwrap().key_id);
        }
        // Another run may have left the alias.
        let _ = operator.delete_alias().alias_name(ALIAS).send().await;
        operator.create_alias().alias_name(ALIAS).target_key_id(&keys["mac"]).send().await.unwrap();
        let config = sdk_config(&environment(url)).await;
        let config = aws_sdk_sesv2::config::Builder::from(&config).endpoint_url(url);
        let ses = aws_sdk_sesv2::Client::from_conf(config.build());
        let _ = ses.create_email_identity().email_identity("example.gov.tw").send().await;
        let config = sdk_config(&environment(url)).await;
        let config = aws_sdk_sqs::config::Builder::from(&config).endpoint_url(url);
        let sqs = aws_sdk_sqs::Client::from_conf(config.build());
        let queue = sqs.create_queue().queue_name("dead-letters").send().await.unwrap();
        let queue_url = queue.queue_url.unwrap();
        sqs.purge_queue().queue_url(&queue_url).send().await.unwrap();
        Self::new(Wire::to(url, url, url).await, keys, queue_url).await
    }

    async fn generate_mac(&self, key: &str) -> Result<&'static str, KmsError> {
        let id = NationalId::parse("A123456789").unwrap();
        let first = self.kms.pseudonymizer(&self.keys[key]).await?.person(&id);
        let same_key = if key == "alias" { "mac" } else { key };
        let second = self.kms.pseudonymizer(&self.keys[same_key]).await?.person(&id);
        Ok(if first == second { "always the same 32 bytes" } else { "another MAC each time" })
    }

    async fn get_public_key(&self, key: &str) -> Result<&'static str, KmsError> {
        self.kms.public_key(&self.keys[key]).await.map(|_| "a point on P-256")
    }

    async fn sign(&self, key: &str) -> Result<&'static str, KmsError> {
        let now: Timestamp = NOW.parse().unwrap();
        let text = str::to_owned;
        let claims = Claims {
            iss: text("https://id.example.gov.tw"),
            aud: text("https://id.example.gov.tw"),
            sub: text("person"),
            sid: text("session"),
            jti: text("token"),
            amr: vec![text("pwd")],
            acr: text("urn:first-sign-in:password"),
            auth_time: now.as_second(),
            client_id: None,
            scope: None,
            iat: now.as_second(),
            exp: now.as_second() + 900,
        };
        let kid = "the key's id";
        let token = self.kms.sign(&self.keys[key], kid, &claims).await?;
        // Asked for only now: the wire notes the last answer, and that one is to be the signature's.
        let signed = self.wire.take();
        let mut public = self.kms.public_key(&self.keys[key]).await?;
        self.wire.put_back(signed);
        public.kid = kid.to_owned();
        let verifier = Verifier::new(claims.iss, &[public]).map_err(|_| "no verifier").unwrap();
        Ok(match verifier.verify(&token, now) {
            Ok(_) => "a signature of the digest",
            Err(_) => "a signature of something else",
        })
    }

    async fn generate_data_key(&self, key: &str) -> Result<&'static str, KmsError> {
        self.kms.email_data_key(&self.keys[key]).await.map(|_| "32 bytes")
    }

    async fn encrypt(&self, key: &str) -> Result<&'static str, KmsError> {
        let ciphertext = self.kms.encrypt_letter(&self.keys[key], RESET, &letter()).await?;
        Ok(if ciphertext.len() > 64 { "a ciphertext" } else { "nothing" })
    }

    async fn decrypt(
        &self,
        key: &str,
        reset: &str,
        spoil: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Result<&'static str, KmsError> {
        let ciphertext = self.kms.encrypt_letter(&self.keys["secrets"], RESET, &letter()).await?;
        let read = self.kms.decrypt_letter(&self.keys[key], reset, spoil(ciphertext)).await?;
        let same = read.password().reveal() == letter().password().reveal();
        Ok(if same { "the plaintext" } else { "another plaintext" })
    }

    async fn send(&self, mailer: &Mailer) -> Result<&'static str, String> {
        let to = EmailAddress::parse("wang@example.com").unwrap();
        let text = str::to_owned;
        let content =
            Content {
                subject: text("主旨"), text: text("內文\n").into(), html: text("<p>內文</p>").into()
            };
        match mailer.send(&to, &content, "reset", "key").await {
            Ok(id) if id.is_empty() => Ok("no message id"),
            Ok(_) => Ok("a message id"),
            Err(SendError::Final(_)) => Err("refused for good".to_owned()),
            Err(SendError::Refused(_)) => Err("refused for now".to_owned()),
            Err(SendError::Throttled(_)) => Err("throttled".to_owned()),
            Err(SendError::Unavailable(_)) => Err("unavailable".to_owned()),
        }
    }

    async fn quota(&self) -> Result<&'static str, SendError> {
        let quota = self.mailer.quota().await?;
        Ok(if quota.max_send_rate > 0.0 && !quota.is_spent() { "a quota" } else { "none left" })
    }

    fn dead_letter() -> DeadLetter {
        let created_at = NOW.parse().unwrap();
        DeadLetter {
            mail: "reset#1".to_owned(),
            reason: "why".to_owned(),
            attempts: 10,
            strikes: 9,
            created_at,
        }
    }

    async fn receive(&self, queue: &DeadLetters) -> Result<&'static str, SqsError> {
        let received = queue.receive().await?;
        let same = |received: &Received| received.letter.as_ref() == Some(&Self::dead_letter());
        Ok(match received.as_slice() {
            [] => "nothing",
            [one] if same(one) => "what was sent",
            _ => "something else",
        })
    }

    /// Hands a letter in, takes it and deletes it, with what is seen of each.
    async fn delete(&self) -> Result<&'static str, SqsError> {
        self.queue.send(&Self::dead_letter()).await?;
        let received = self.queue.receive().await?;
        self.wire.take();
        for letter in &received {
            self.queue.delete(letter).await?;
        }
        Ok(if received.len() == 1 { "it is gone" } else { "there was no such letter" })
    }

    /// Every call under every condition, with what came of it on the wire and at the function.
    async fn outcomes(&self) -> Vec<(&'static str, String)> {
        let mut seen = Vec::new();
        let mut note = |call, result: Result<&str, String>| {
            let answer = self.wire.take().map_or("no answer".to_owned(), |answer| answer.to_string());
            let outcome = match (&result, answer.starts_with('2')) {
                (Ok(meaning), _) => format!("{answer}, {meaning}"),
                (Err(_), true) => format!("{answer}, of no use"),
                (Err(_), false) => answer,
            };
            seen.push((call, outcome));
        };
        let as_is = |ciphertext| ciphertext;
        let cut = |mut ciphertext: Vec<u8>| {
            ciphertext.truncate(10);
            ciphertext
        };
        let turned = |mut ciphertext: Vec<u8>| {
            if let Some(byte) = ciphertext.last_mut() {
                *byte ^= 1;
            }
            ciphertext
        };
        note("GenerateMac", told(self.generate_mac("mac").await));
        note("GenerateMac, key named by alias", told(self.generate_mac("alias").await));
        note("GenerateMac, unknown key", told(self.generate_mac("unknown").await));
        note("GenerateMac, unknown alias", told(self.generate_mac("unknown alias").await));
        note("GenerateMac, disabled key", told(self.generate_mac("disabled mac").await));
        note("GenerateMac, key for encryption", told(self.generate_mac("secrets").await));
        note("GetPublicKey", told(self.get_public_key("token").await));
        note("GetPublicKey, unknown key", told(self.get_public_key("unknown").await));
        note("GetPublicKey, disabled key", told(self.get_public_key("disabled token").await));
        note("GetPublicKey, key for MACs", told(self.get_public_key("mac").await));
        note("Sign", told(self.sign("token").await));
        note("Sign, unknown key", told(self.sign("unknown").await));
        note("Sign, disabled key", told(self.sign("disabled token").await));
        note("Sign, key for encryption", told(self.sign("secrets").await));
        note("GenerateDataKey", told(self.generate_data_key("secrets").await));
        note("GenerateDataKey, unknown key", told(self.generate_data_key("unknown").await));
        note("GenerateDataKey, disabled key", told(self.generate_data_key("disabled secrets").await));
        note("GenerateDataKey, key for signatures", told(self.generate_data_key("token").await));
        note("Encrypt", told(self.encrypt("secrets").await));
        note("Encrypt, unknown key", told(self.encrypt("unknown").await));
        note("Encrypt, disabled key", told(self.encrypt("disabled secrets").await));
        note("Encrypt, key for signatures", told(self.encrypt("token").await));
        note("Decrypt", told(self.decrypt("secrets", RESET, as_is).await));
        note("Decrypt, wrong encryption context", told(self.decrypt("secrets", "reset-2", as_is).await));
        note("Decrypt, another key", told(self.decrypt("other secrets", RESET, as_is).await));
        note("Decrypt, unknown key", told(self.decrypt("unknown", RESET, as_is).await));
        note("Decrypt, ciphertext cut short", told(self.decrypt("secrets", RESET, cut).await));
        note("Decrypt, one bit turned", told(self.decrypt("secrets", RESET, turned).await));
        let stale = |_| self.stale.clone();
        note("Decrypt, disabled key", told(self.decrypt("disabled secrets", RESET, stale).await));
        note("SendEmail", told(self.send(&self.mailer).await));
        note("SendEmail, unverified sender", told(self.send(&self.unverified).await));
        note("GetAccount", told(self.quota().await));
        let letter = Self::dead_letter();
        note("SendMessage", told(self.queue.send(&letter).await.map(|()| "it is in the queue")));
        let refused = self.no_queue.send(&letter).await.map(|()| "it is in the queue");
        note("SendMessage, unknown queue", told(refused));
        note("ReceiveMessage", told(self.receive(&self.queue).await));
        note("ReceiveMessage, all in hand", told(self.receive(&self.queue).await));
        note("DeleteMessage", told(self.delete().await));
        note("ReceiveMessage, unknown queue", told(self.receive(&self.no_queue).await));
        seen
    }
}

fn told<E: Display>(result: Result<&str, E>) -> Result<&str, String> {
    result.map_err(|error| error.to_string())
}

async fn serve(router: axum::Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn the_stand_in_answers_as_aws_documents() {
    let folder = tempfile::tempdir().unwrap();
    let outcomes = World::stand_in(folder.path()).await.outcomes().await;
    let outcomes: Vec<_> = outcomes.iter().map(|(call, outcome)| (*call, outcome.as_str())).collect();
    assert_eq!(outcomes, DOCUMENTED);
}

#[tokio::test]
#[ignore = "needs moto, which `bash tests/run` starts"]
async fn moto_answers_the_same_but_for_the_known_differences() {
    let url = std::env::var(MOTO).expect(MOTO);
    let known: BTreeMap<_, _> = DIFFERENCES.map(|(call, moto, why)| (call, (moto, why))).into();
    let outcomes = World::moto(&url).await.outcomes().await;
    let mut wrong = Vec::new();
    for ((call, moto), (_, stand_in)) in outcomes.iter().zip(DOCUMENTED) {
        println!("{call}\n  stand-in  {stand_in}\n  moto      {moto}");
        let verdict = match known.get(call) {
            Some((_, why)) if moto == stand_in => format!("they agree, but a difference is listed: {why}"),
            Some((listed, _)) if moto != listed => format!("listed as {listed}, but moto answers {moto}"),
            None if moto != stand_in => format!("the stand-in answers {stand_in}, moto {moto}"),
            Some((_, why)) => {
                println!("  known     {why}");
                continue;
            }
            None => continue,
        };
        wrong.push(format!("{call}: {verdict}"));
    }
    assert_eq!(outcomes.len(), DOCUMENTED.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

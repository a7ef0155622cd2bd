//! The roles of the template, in force: each function may do what its step needs, and nothing else.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem};
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, MacAlgorithmSpec, MessageType, SigningAlgorithmSpec};
use aws_sdk_sesv2::types::{Destination, EmailContent, RawMessage};
use local::directory;
use local::stack::{Options, Running, Stack, read_functions_env};
use shared::aws::sdk_config;
use shared::environment::Environment;
use shared::s3::{Bucket, Put, S3Error};

const ACCOUNTS: &str = "ACCOUNTS_TABLE";
const AUDIT: &str = "AUDIT_TABLE";
const AUTHORIZATIONS: &str = "AUTHORIZATIONS_TABLE";
const CHAINS: &str = "CHAINS_TABLE";
const MAIL: &str = "MAIL_TABLE";
const REVOCATIONS: &str = "REVOCATIONS_TABLE";
const TICKETS: &str = "TICKETS_TABLE";
const PSEUDONYM: &str = "PSEUDONYM_KEY";
const SECRETS: &str = "SECRETS_KEY";
const TOKEN: &str = "TOKEN_KEY";

enum Call {
    Get(&'static str),
    Put(&'static str),
    Scan(&'static str),
    DeleteInTransaction(&'static str),
    Mac(&'static str),
    Sign(&'static str, MessageType),
    Encrypt(&'static str),
    Decrypt(&'static str),
    DataKey(&'static str),
    Send(&'static str),
}

/// The stand-in's services, called with the access key of a function.
struct Caller<'r> {
    running: &'r Running,
    dynamodb: aws_sdk_dynamodb::Client,
    kms: aws_sdk_kms::Client,
    ses: aws_sdk_sesv2::Client,
}

impl<'r> Caller<'r> {
    async fn new(running: &'r Running, access_key: &str) -> Self {
        let shared = |name: &str| running.shared_variables[name].as_str();
        let variables = [
            ("AWS_REGION", shared("AWS_REGION")),
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = sdk_config(&Environment::from_map(variables.into())).await;
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config);
        let kms = aws_sdk_kms::config::Builder::from(&config);
        let ses = aws_sdk_sesv2::config::Builder::from(&config);
        Self {
            running,
            dynamodb: aws_sdk_dynamodb::Client::from_conf(
                dynamodb.endpoint_url(shared("AWS_ENDPOINT_URL_DYNAMODB")).build(),
            ),
            kms: aws_sdk_kms::Client::from_conf(kms.endpoint_url(shared("AWS_ENDPOINT_URL_KMS")).build()),
            ses: aws_sdk_sesv2::Client::from_conf(ses.endpoint_url(shared("AWS_ENDPOINT_URL_SESV2")).build()),
        }
    }

    /// Whether the call is allowed; it may fail for other reasons.
    async fn may(&self, call: &Call) -> bool {
        fn allowed<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> bool {
            answer.err().is_none_or(|error| error.code() != Some("AccessDeniedException"))
        }
        let environment = self.running.environment();
        let named = |variable: &str| environment.get(variable).unwrap();
        let text = |value: &str| AttributeValue::S(value.to_owned());
        match call {
            Call::Get(table) => {
                allowed(self.dynamodb.get_item().table_name(named(table)).key("pk", text("x")).send().await)
            }
            Call::Put(table) => {
                let put = self.dynamodb.put_item().table_name(named(table));
                allowed(put.item("pk", text("x")).item("sk", text("x")).send().await)
            }
            Call::Scan(table) => allowed(self.dynamodb.scan().table_name(named(table)).send().await),
            Call::DeleteInTransaction(table) => {
                let delete = Delete::builder().table_name(named(table)).key("pk", text("x")).build().unwrap();
                let item = TransactWriteItem::builder().delete(delete).build();
                allowed(self.dynamodb.transact_write_items().transact_items(item).send().await)
            }
            Call::Mac(key) => {
                let call = self.kms.generate_mac().key_id(named(key)).message(Blob::new("m"));
                allowed(call.mac_algorithm(MacAlgorithmSpec::HmacSha256).send().await)
            }
            Call::Sign(key, kind) => {
                let call = self.kms.sign().key_id(named(key)).message(Blob::new([0; 32]));
                let call = call.message_type(kind.clone());
                allowed(call.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256).send().await)
            }
            Call::Encrypt(purpose) => {
                let call = self.kms.encrypt().key_id(named(SECRETS)).plaintext(Blob::new("p"));
                allowed(call.encryption_context("purpose", *purpose).send().await)
            }
            Call::Decrypt(purpose) => {
                // Another's ciphertext, without the key's name: the key is found in it.
                let operator = Box::pin(Self::new(self.running, "operator")).await;
                let call = operator.kms.encrypt().key_id(named(SECRETS)).plaintext(Blob::new("p"));
                let made = call.encryption_context("purpose", *purpose).send().await.unwrap();
                let call = self.kms.decrypt().ciphertext_blob(made.ciphertext_blob.unwrap());
                allowed(call.encryption_context("purpose", *purpose).send().await)
            }
            Call::DataKey(purpose) => {
                let call = self.kms.generate_data_key().key_id(named(SECRETS)).key_spec(DataKeySpec::Aes256);
                allowed(call.encryption_context("purpose", *purpose).send().await)
            }
            Call::Send(from) => {
                let raw = format!("From: {from}\r\nTo: a@example.com\r\nSubject: s\r\n\r\nbody\r\n");
                let raw = RawMessage::builder().data(Blob::new(raw)).build().unwrap();
                let to = Destination::builder().to_addresses("a@example.com").build();
                let call = self.ses.send_email().from_email_address(*from).destination(to);
                allowed(call.content(EmailContent::builder().raw(raw).build()).send().await)
            }
        }
    }
}

/// The variables of the functions, with a role's name for the access key.
fn environment(running: &Running, role: &str) -> Environment {
    let mut variables = read_functions_env(&running.paths.data).unwrap();
    variables.insert("AWS_ACCESS_KEY_ID".to_owned(), role.to_owned());
    Environment::from_map(variables.into_iter().collect())
}

#[tokio::test]
async fn the_functions_role_is_enough_for_the_roster_and_the_operators_for_the_inbox() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    let renamed = directory::SAMPLE.replacen("王小明", "王大明", 1);
    assert_ne!(renamed, directory::SAMPLE);
    let imported = directory::import(renamed.as_bytes(), &environment(&running, "roster-import")).await;
    assert_eq!(imported.unwrap().refused, []);
    for table in [AUDIT, AUTHORIZATIONS, MAIL, TICKETS, REVOCATIONS] {
        assert!(!Caller::new(&running, "roster-import").await.may(&Call::Get(table)).await, "{table}");
    }
    let error = directory::import(renamed.as_bytes(), &environment(&running, "revocation-sync")).await;
    assert!(error.unwrap_err().to_string().contains("AccessDeniedException"));

    // Whoever uploads sees neither tables nor other people's files.
    for table in [ACCOUNTS, AUDIT, MAIL, TICKETS, REVOCATIONS] {
        assert!(!Caller::new(&running, "roster-upload").await.may(&Call::Get(table)).await, "{table}");
    }
    let operator = environment(&running, "roster-upload");
    let inbox = Bucket::new(&operator, &sdk_config(&operator).await, operator.get("ROSTER_BUCKET").unwrap());
    let put = Put { only_new: true, ..Put::default() };
    for (key, allowed) in [
        ("changes/a", true),
        ("agencies/A01/a", true),
        ("country/a", true),
        ("reports/a", false),
        ("state/a", false),
    ] {
        let answer = inbox.put(key, b"national_id".to_vec(), &put).await;
        assert_eq!(answer.is_ok(), allowed, "{key}: {answer:?}");
    }
    assert!(matches!(inbox.get("changes/a").await, Err(S3Error::Refused(_))));
    assert!(matches!(inbox.list("").await, Err(S3Error::Refused(_))));
    assert!(inbox.list("reports/").await.is_ok());
    running.shutdown().await;
}

#[tokio::test]
async fn a_function_may_do_what_its_step_needs_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    let (letter, email) = ("initial-password", "account-email");
    let sender = "no-reply@example.gov.tw";
    let rows = [
        ("email-dispatch", Call::Get(MAIL), true),
        ("email-dispatch", Call::Get(ACCOUNTS), true),
        ("email-dispatch", Call::Scan(ACCOUNTS), false),
        ("email-dispatch", Call::Put(ACCOUNTS), false),
        ("email-dispatch", Call::Put(AUDIT), false),
        ("email-dispatch", Call::Get(TICKETS), true),
        ("email-dispatch", Call::Put(TICKETS), false),
        ("audit", Call::Put(AUDIT), true),
        ("audit", Call::Scan(AUDIT), false),
        ("audit", Call::Put(CHAINS), false),
        ("audit-chain", Call::Put(CHAINS), true),
        ("audit-chain", Call::Put(AUDIT), false),
        ("audit-verify", Call::Scan(AUDIT), true),
        ("audit-verify", Call::Put(AUDIT), false),
        ("audit-verify", Call::Put(CHAINS), false),
        ("email-dispatch", Call::Decrypt(letter), true),
        ("email-dispatch", Call::Decrypt(email), true),
        ("email-dispatch", Call::DataKey(email), false),
        ("email-dispatch", Call::Encrypt(letter), false),
        ("email-dispatch", Call::Send(sender), true),
        ("email-dispatch", Call::Send("director@example.gov.tw"), false),
        ("password-login", Call::Get(ACCOUNTS), true),
        ("password-login", Call::Scan(ACCOUNTS), false),
        ("password-login", Call::Put(ACCOUNTS), false),
        ("password-login", Call::Get(MAIL), false),
        ("password-login", Call::Send(sender), false),
        ("password-login", Call::Decrypt(letter), false),
        ("password-login", Call::Mac(PSEUDONYM), true),
        ("password-login", Call::Sign(TOKEN, MessageType::Digest), true),
        ("password-login", Call::Sign(TOKEN, MessageType::Raw), false),
        ("certificate-login", Call::Send(sender), false),
        ("certificate-login", Call::DeleteInTransaction(TICKETS), true),
        ("certificate-login", Call::DeleteInTransaction(ACCOUNTS), false),
        ("activation", Call::DataKey(email), true),
        ("activation", Call::DataKey(letter), false),
        ("activation", Call::Mac(PSEUDONYM), true),
        ("activation", Call::Sign(TOKEN, MessageType::Digest), false),
        ("activation", Call::DeleteInTransaction(ACCOUNTS), true),
        ("session", Call::Sign(TOKEN, MessageType::Digest), true),
        ("session", Call::Put(AUDIT), true),
        ("session", Call::Get(AUDIT), false),
        ("session", Call::Get(TICKETS), false),
        ("session", Call::Mac(PSEUDONYM), false),
        ("oidc", Call::Sign(TOKEN, MessageType::Digest), true),
        ("oidc", Call::Sign(TOKEN, MessageType::Raw), false),
        ("oidc", Call::Put(TICKETS), true),
        ("oidc", Call::DeleteInTransaction(TICKETS), false),
        ("oidc", Call::Get(ACCOUNTS), true),
        ("oidc", Call::Put(ACCOUNTS), false),
        ("oidc", Call::Put(AUDIT), true),
        ("oidc", Call::Get(AUDIT), false),
        ("oidc", Call::Get(MAIL), false),
        ("oidc", Call::Mac(PSEUDONYM), false),
        ("account", Call::Put(TICKETS), true),
        ("account", Call::Put(ACCOUNTS), false),
        ("account", Call::DataKey(email), true),
        ("account", Call::DataKey(letter), false),
        ("account", Call::Decrypt(email), false),
        ("account", Call::Mac(PSEUDONYM), true),
        ("account", Call::Send(sender), false),
        ("account", Call::Sign(TOKEN, MessageType::Digest), false),
        ("hr-reset", Call::Put(MAIL), true),
        ("hr-reset", Call::Encrypt(letter), true),
        ("hr-reset", Call::Encrypt(email), false),
        ("hr-reset", Call::Decrypt(letter), false),
        ("hr-reset", Call::Send(sender), false),
        ("hr-reset", Call::Put(ACCOUNTS), false),
        ("hr-reset", Call::Get(AUTHORIZATIONS), false),
        ("authorizations", Call::Get(AUTHORIZATIONS), true),
        ("authorizations", Call::Put(AUTHORIZATIONS), true),
        ("authorizations", Call::Scan(AUTHORIZATIONS), false),
        ("authorizations", Call::DeleteInTransaction(AUTHORIZATIONS), false),
        ("authorizations", Call::Put(ACCOUNTS), false),
        ("authorizations", Call::Get(AUDIT), false),
        ("authorizations", Call::Get(MAIL), false),
        ("authorizations", Call::Sign(TOKEN, MessageType::Digest), false),
        ("revocation-sync", Call::Get(REVOCATIONS), true),
        ("revocation-sync", Call::Put(REVOCATIONS), true),
        ("revocation-sync", Call::Scan(REVOCATIONS), false),
        ("revocation-sync", Call::Put(AUDIT), true),
        ("revocation-sync", Call::Get(AUDIT), false),
        ("revocation-sync", Call::Put(MAIL), true),
        ("revocation-sync", Call::Get(MAIL), false),
        ("revocation-sync", Call::Get(ACCOUNTS), false),
        ("revocation-sync", Call::Put(ACCOUNTS), false),
        ("revocation-sync", Call::DeleteInTransaction(ACCOUNTS), false),
        ("revocation-sync", Call::Get(TICKETS), false),
        ("revocation-sync", Call::Mac(PSEUDONYM), false),
        ("revocation-sync", Call::Decrypt(email), false),
        ("revocation-sync", Call::Send(sender), false),
        ("roster-import", Call::Get(ACCOUNTS), true),
        ("roster-import", Call::Scan(ACCOUNTS), true),
        ("roster-import", Call::DeleteInTransaction(ACCOUNTS), false),
        ("roster-import", Call::Put(AUDIT), true),
        ("roster-import", Call::Put(MAIL), false),
        ("roster-import", Call::Mac(PSEUDONYM), true),
        ("roster-import", Call::Decrypt(email), false),
        ("roster-import", Call::DataKey(email), false),
        ("roster-import", Call::Send(sender), false),
        ("certificate-login", Call::Put(REVOCATIONS), false),
        ("portal", Call::Get(ACCOUNTS), false),
        ("portal", Call::Mac(PSEUDONYM), false),
        ("portal", Call::Send(sender), false),
        // Nobody's function: the operator.
        ("operator", Call::Scan(ACCOUNTS), true),
        ("operator", Call::Sign(TOKEN, MessageType::Raw), true),
    ];
    let mut wrong = Vec::new();
    for (number, (function, call, expected)) in rows.iter().enumerate() {
        if Caller::new(&running, function).await.may(call).await != *expected {
            wrong.push(format!("row {number}: {function}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    running.shutdown().await;
}

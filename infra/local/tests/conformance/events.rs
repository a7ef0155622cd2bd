//! The events of the gateway and of the stream against the samples that AWS documents, field by field. The samples are
//! those that the crate `aws_lambda_events` carries as fixtures.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Version};
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use jiff::fmt::strtime;
use local::deployment::FunctionDeclaration;
use local::dynamodb::DynamoDb;
use local::functions::Functions;
use local::gateway::event::{Api, Received, build};
use local::gateway::route::Matched;
use local::sqs::Sqs;
use local::stream::{Keeping, Mapping, Pump};
use local::traffic::Traffic;
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, SerialNumber};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;

/// A field that differs, with all below it, and why.
type Exception = (&'static str, &'static str);

const CUT: &str = "the sample cuts the certificate short; ours is the whole one, and the test below reads it";
const PLACEHOLDER: &str = "the sample has a placeholder";
const SHORT: &str = "the sample shows none of the headers that API Gateway adds to every request";
const LOWER: &str = "HTTP APIs give header names in lower case (Developer Guide, payload format 2.0)";
const NO_AUTHORIZER: &str = "no route of the template has an authorizer";
const NO_VARIABLES: &str = "no stage of the template has variables";
const NO_SUCH_TIME: &str = "the sample's time and timeEpoch are nine days apart, and it lacks a space";

/// The samples of requests, and where the gateway differs.
const REQUESTS: [(&str, &[Exception]); 3] = [
    ("no-authorizer", &[("/requestContext/authentication/clientCert/clientCertPem", CUT)]),
    (
        "iam",
        &[
            ("/headers/Header1", LOWER),
            ("/headers/Header2", LOWER),
            ("/headers/content-length", SHORT),
            ("/headers/content-type", SHORT),
            ("/headers/header1", LOWER),
            ("/headers/header2", LOWER),
            ("/headers/host", SHORT),
            ("/headers/user-agent", SHORT),
            ("/headers/x-amzn-trace-id", SHORT),
            ("/headers/x-forwarded-for", SHORT),
            ("/headers/x-forwarded-port", SHORT),
            ("/headers/x-forwarded-proto", SHORT),
            ("/requestContext/authentication/clientCert/clientCertPem", CUT),
            ("/requestContext/authorizer", NO_AUTHORIZER),
            ("/requestContext/http/sourceIp", PLACEHOLDER),
            ("/requestContext/time", NO_SUCH_TIME),
            ("/stageVariables", NO_VARIABLES),
        ],
    ),
    (
        "multi-value-parameters",
        &[
            ("/headers/Header2", LOWER),
            ("/headers/content-length", SHORT),
            ("/headers/content-type", SHORT),
            ("/headers/header2", LOWER),
            ("/headers/host", SHORT),
            ("/headers/user-agent", SHORT),
            ("/headers/x-amzn-trace-id", SHORT),
            ("/headers/x-forwarded-for", SHORT),
            ("/headers/x-forwarded-port", SHORT),
            ("/headers/x-forwarded-proto", SHORT),
            ("/requestContext/authentication/clientCert/clientCertPem", CUT),
            ("/requestContext/authorizer", NO_AUTHORIZER),
            ("/requestContext/http/sourceIp", PLACEHOLDER),
            ("/requestContext/time", NO_SUCH_TIME),
            ("/stageVariables", NO_VARIABLES),
        ],
    ),
];

/// Where the stream's records differ from the sample's, one list a record.
const RECORDS: [&[Exception]; 2] = [
    &[
        ("/dynamodb/ApproximateCreationDateTime", "written now"),
        ("/dynamodb/SequenceNumber", "numbers begin anew with each stream"),
        ("/dynamodb/SizeBytes", "the sample's is of another item"),
        (
            "/dynamodb/StreamViewType",
            "the template's streams tell how an item is afterwards, the sample's also how it was",
        ),
        ("/eventID", "random"),
        ("/userIdentity", "only what the time to live removes has one (Developer Guide, streams and TTL)"),
    ],
    &[
        ("/dynamodb/ApproximateCreationDateTime", "written now"),
        ("/dynamodb/NewImage/BinarySet", "DynamoDB takes no set with one member twice"),
        ("/dynamodb/NewImage/EmptyStringSet", "DynamoDB takes no empty set"),
        ("/dynamodb/NewImage/NumberSet", "a set has no order"),
        ("/dynamodb/NewImage/asdf2", "DynamoDB takes no set with one member twice"),
        ("/dynamodb/SequenceNumber", "numbers begin anew with each stream"),
        ("/dynamodb/SizeBytes", "the sample's is of another item"),
        (
            "/dynamodb/StreamViewType",
            "the template's streams tell how an item is afterwards, the sample's also how it was",
        ),
        ("/eventID", "random"),
    ],
];

/// Where cargo keeps the sources of `aws_lambda_events`, whose fixtures the samples are.
fn sample(name: &str) -> Value {
    let output = |program: &str, arguments: &[&str]| {
        let program = std::env::var(program).unwrap_or_else(|_| program.to_lowercase());
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // Crates of other platforms need not be here.
    let version = output("RUSTC", &["--version", "--verbose"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments = ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host];
    let metadata = output("CARGO", &[&arguments[..], &["--manifest-path", manifest]].concat());
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "aws_lambda_events").unwrap();
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
    let path = manifest.with_file_name("src").join("fixtures").join(format!("example-{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// Every field that is no map, by its path.
fn fields(value: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                fields.iter().for_each(|(name, field)| walk(&format!("{path}/{name}"), field, found));
            }
            other => {
                found.insert(path.to_owned(), other.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk("", value, &mut found);
    found
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "flag",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// Holds an event against a sample: every field has the same value, but for the exceptions, which must be exceptions
/// and, where both sides have them, of one kind.
fn compare(name: &str, ours: &Value, theirs: &Value, exceptions: &[Exception]) {
    let (our_fields, their_fields) = (fields(ours), fields(theirs));
    let paths: BTreeSet<&String> = our_fields.keys().chain(their_fields.keys()).collect();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for path in paths {
        let pair = (our_fields.get(path), their_fields.get(path));
        if pair.0 == pair.1 {
            continue;
        }
        let covers = |(field, _): &&Exception| path == field || path.starts_with(&format!("{field}/"));
        match (exceptions.iter().find(covers), pair) {
            (Some((field, _)), (Some(ours), Some(theirs))) if kind(ours) == kind(theirs) => {
                used.insert(*field);
            }
            (Some((field, _)), (Some(_), None) | (None, Some(_))) => {
                used.insert(*field);
            }
            (_, (ours, theirs)) => wrong.push(format!("{path}: ours {ours:?}, sample {theirs:?}")),
        }
    }
    for (field, why) in exceptions {
        if !used.contains(field) {
            wrong.push(format!("{field} agrees with the sample, but an exception says: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{name}\n{}", wrong.join("\n"));
}

/// A certificate with the names, number and dates of a sample's.
fn certificate(sample: &Value) -> Vec<u8> {
    let name = |text: &Value| {
        let mut name = DistinguishedName::new();
        for part in text.as_str().unwrap().split(',') {
            let (label, value) = part.split_once('=').unwrap();
            let kind = match label {
                "C" => DnType::CountryName,
                "ST" => DnType::StateOrProvinceName,
                "L" => DnType::LocalityName,
                "O" => DnType::OrganizationName,
                "OU" => DnType::OrganizationalUnitName,
                _ => DnType::CommonName,
            };
            name.push(kind, value);
        }
        name
    };
    let date = |text: &Value| {
        let text = text.as_str().unwrap().replace(" GMT", " +0000");
        let time = strtime::parse("%b %d %H:%M:%S %Y %z", text).unwrap().to_timestamp().unwrap();
        OffsetDateTime::from_unix_timestamp(time.as_second()).unwrap()
    };
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = name(&sample["issuerDN"]);
    let issuer = Issuer::new(issuer, KeyPair::generate().unwrap());
    let mut holder = CertificateParams::default();
    holder.distinguished_name = name(&sample["subjectDN"]);
    holder.serial_number =
        Some(SerialNumber::from(sample["serialNumber"].as_str().unwrap().parse::<u64>().unwrap()));
    holder.not_before = date(&sample["validity"]["notBefore"]);
    holder.not_after = date(&sample["validity"]["notAfter"]);
    holder.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
}

/// What a client must have sent for API Gateway to make a sample of it, and the event that the gateway makes of that.
fn replayed(sample: &Value) -> Value {
    let context = &sample["requestContext"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut headers = HeaderMap::new();
    let mut send = |name: &str, value: &str| {
        let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    };
    send("host", &text(&context["domainName"]));
    send("user-agent", &text(&context["http"]["userAgent"]));
    for (name, value) in sample["headers"].as_object().unwrap() {
        // These are the gateway's own.
        if !name.starts_with("x-forwarded-") && name != "content-length" {
            send(name, value.as_str().unwrap());
        }
    }
    if let Some(cookies) = sample["cookies"].as_array() {
        let cookies: Vec<_> = cookies.iter().filter_map(Value::as_str).collect();
        send("cookie", &cookies.join("; "));
    }
    let body = sample["body"].as_str().unwrap_or_default();
    if !body.is_empty() {
        send("content-type", "application/json");
    }
    let certificate = certificate(&context["authentication"]["clientCert"]);
    let received = Received {
        method: context["http"]["method"].as_str().unwrap(),
        path: sample["rawPath"].as_str().unwrap(),
        query: sample["rawQueryString"].as_str().unwrap(),
        version: Version::HTTP_11,
        headers: &headers,
        body: body.as_bytes(),
        source_ip: text(&context["http"]["sourceIp"]).parse().unwrap_or(IpAddr::from([192, 0, 2, 1])),
        port: 443,
        domain_name: context["domainName"].as_str().unwrap(),
        client_certificate: Some(&certificate),
        request_id: context["requestId"].as_str().unwrap(),
        now: Timestamp::from_millisecond(context["timeEpoch"].as_i64().unwrap()).unwrap(),
    };
    let parameters = sample["pathParameters"].as_object().into_iter().flatten();
    let parameters = parameters.map(|(name, value)| (name.clone(), text(value))).collect();
    let matched = Matched { key: sample["routeKey"].as_str().unwrap(), function: "function", parameters };
    let api = Api { account: text(&context["accountId"]), id: text(&context["apiId"]) };
    let event = build(&received, &matched, &api);
    let pem = event["requestContext"]["authentication"]["clientCert"]["clientCertPem"].as_str().unwrap();
    let (_, read) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    assert_eq!(read.contents, certificate);
    event
}

#[test]
fn requests_become_the_events_that_aws_documents() {
    for (name, exceptions) in REQUESTS {
        let sample = sample(&format!("apigw-v2-request-{name}"));
        compare(name, &replayed(&sample), &sample, exceptions);
    }
}

/// A Lambda emulator that keeps the first event that it is sent.
async fn emulator(events: Arc<Mutex<Vec<Value>>>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let invoke = async move |Json(event): Json<Value>| {
        events.lock().unwrap().push(event);
        Json(json!({ "batchItemFailures": [] }))
    };
    let app = Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test]
async fn stream_records_become_the_event_that_aws_documents() {
    let sample = sample("dynamodb-event");
    let samples = sample["Records"].as_array().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let database = DynamoDb::open(None, listener, Traffic::default()).await.unwrap();
    let keys = ["key", "val"];
    let table = json!({
        "TableName": "Example-Table", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": keys.map(|key| json!({"AttributeName": key, "AttributeType": "S"})),
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}, {"AttributeName": "val", "KeyType": "RANGE"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    });
    database.database().create_table(serde_json::from_value(table).unwrap()).unwrap();
    for (number, record) in samples.iter().enumerate() {
        let mut item = record["dynamodb"]["NewImage"].clone();
        let refused =
            RECORDS[number].iter().filter_map(|(field, _)| field.strip_prefix("/dynamodb/NewImage/"));
        for field in refused {
            item.as_object_mut().unwrap().remove(field);
        }
        let put = json!({"TableName": "Example-Table", "Item": item});
        database.database().put_item(serde_json::from_value(put).unwrap()).unwrap();
        // Both samples have one key: without this the second would be no insertion.
        let delete = json!({"TableName": "Example-Table", "Key": record["dynamodb"]["Keys"]});
        database.database().delete_item(serde_json::from_value(delete).unwrap()).unwrap();
    }

    let events = Arc::default();
    let url = emulator(Arc::clone(&events)).await;
    let function = FunctionDeclaration {
        name: "function".to_owned(),
        environment: BTreeMap::new(),
        timeout_seconds: 10,
    };
    let functions = Functions::through_emulator(&[function], &url, ("us-east-1", "123456789012")).unwrap();
    let mapping = Mapping {
        name: "EmailDispatchFunction.Events.Resets".to_owned(),
        table: "Example-Table".to_owned(),
        stream_arn: samples[0]["eventSourceARN"].as_str().unwrap().to_owned(),
        function: "function".to_owned(),
        batch_size: 10,
        filters: vec![local::stream::Filter::parse(r#"{"eventName":["INSERT"]}"#).unwrap()],
        bisects: false,
        reports_item_failures: true,
        retry_attempts: None,
        record_age_seconds: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let dead_letters =
        Sqs::new(folder.path().to_owned(), "url".to_owned(), "arn".to_owned(), Traffic::default());
    let keeping = Keeping { checkpoint: None, dead_letters };
    let pump = Pump::start(mapping, database, functions, keeping);
    for _ in 0..200 {
        if !events.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    pump.stop().await;

    let event = events.lock().unwrap().first().cloned().expect("an event");
    assert_eq!(event.as_object().unwrap().keys().collect::<Vec<_>>(), ["Records"]);
    let records = event["Records"].as_array().unwrap();
    assert_eq!(records.len(), samples.len());
    for (number, exceptions) in RECORDS.iter().enumerate() {
        compare(&format!("record {number}"), &records[number], &samples[number], exceptions);
    }
}

//! The event that an HTTP API sends a function: payload format 2.0, as API Gateway writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use axum::http::{HeaderMap, Version, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::route::Matched;
use crate::pki::attribute_label;

/// What API Gateway knows of a request.
#[derive(Debug)]
pub struct Received<'r> {
    /// The method in upper case.
    pub method: &'r str,
    /// The path, decoded.
    pub path: &'r str,
    /// The query string as sent, without its question mark.
    pub query: &'r str,
    /// The HTTP version.
    pub version: Version,
    /// The headers as sent.
    pub headers: &'r HeaderMap,
    /// The body.
    pub body: &'r [u8],
    /// The caller's address.
    pub source_ip: IpAddr,
    /// The port on which the API was called.
    pub port: u16,
    /// The API's domain name.
    pub domain_name: &'r str,
    /// The client certificate, in DER, where the domain asks for one.
    pub client_certificate: Option<&'r [u8]>,
    /// The request's id.
    pub request_id: &'r str,
    /// When it came in.
    pub now: Timestamp,
}

/// The account and API that the event names.
#[derive(Debug, Clone)]
pub struct Api {
    /// The AWS account.
    pub account: String,
    /// The API's id.
    pub id: String,
}

/// Builds the event for a matched route.
#[must_use]
pub fn build(received: &Received<'_>, matched: &Matched<'_>, api: &Api) -> Value {
    let mut headers = joined_headers(received);
    // The cookies have a place of their own.
    headers.remove("cookie");
    let mut event = Map::new();
    event.insert("version".to_owned(), json!("2.0"));
    event.insert("routeKey".to_owned(), json!(matched.key));
    event.insert("rawPath".to_owned(), json!(received.path));
    event.insert("rawQueryString".to_owned(), json!(received.query));
    let cookies = cookies(received.headers);
    if !cookies.is_empty() {
        event.insert("cookies".to_owned(), json!(cookies));
    }
    event.insert("headers".to_owned(), json!(headers));
    let query = query_parameters(received.query);
    if !query.is_empty() {
        event.insert("queryStringParameters".to_owned(), json!(query));
    }
    event.insert("requestContext".to_owned(), request_context(received, matched, api));
    if !matched.parameters.is_empty() {
        event.insert("pathParameters".to_owned(), json!(matched.parameters));
    }
    let mut is_base64 = false;
    if !received.body.is_empty() {
        let text = if is_text(received.headers) { std::str::from_utf8(received.body).ok() } else { None };
        is_base64 = text.is_none();
        let body = text.map_or_else(|| BASE64.encode(received.body), str::to_owned);
        event.insert("body".to_owned(), json!(body));
    }
    event.insert("isBase64Encoded".to_owned(), json!(is_base64));
    Value::Object(event)
}

fn request_context(received: &Received<'_>, matched: &Matched<'_>, api: &Api) -> Value {
    let user_agent = received.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let mut context = json!({
        "accountId": api.account,
        "apiId": api.id,
        "domainName": received.domain_name,
        "domainPrefix": received.domain_name.split('.').next(),
        "http": {
            "method": received.method,
            "path": received.path,
            "protocol": protocol(received.version),
            "sourceIp": received.source_ip.to_string(),
            "userAgent": user_agent.unwrap_or_default(),
        },
        "requestId": received.request_id,
        "routeKey": matched.key,
        "stage": "$default",
        "time": received.now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "timeEpoch": received.now.as_millisecond(),
    });
    let certificate = received.client_certificate.and_then(client_certificate);
    if let (Some(certificate), Some(fields)) = (certificate, context.as_object_mut()) {
        fields.insert("authentication".to_owned(), json!({ "clientCert": certificate }));
    }
    context
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// Names in lower case, values of one name joined by commas, and the headers that API Gateway adds.
fn joined_headers(received: &Received<'_>) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in received.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|values| {
                let _ = write!(values, ",{value}");
            })
            .or_insert_with(|| value.into_owned());
    }
    joined.insert("content-length".to_owned(), received.body.len().to_string());
    let source = received.source_ip.to_string();
    joined
        .entry("x-forwarded-for".to_owned())
        .and_modify(|sources| {
            let _ = write!(sources, ", {source}");
        })
        .or_insert(source);
    joined.insert("x-forwarded-port".to_owned(), received.port.to_string());
    joined.insert("x-forwarded-proto".to_owned(), "https".to_owned());
    let seconds = received.now.as_second();
    let trace = uuid::Uuid::new_v4().simple().to_string();
    joined
        .entry("x-amzn-trace-id".to_owned())
        .or_insert_with(|| format!("Root=1-{seconds:08x}-{}", trace.get(..24).unwrap_or_default()));
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';'));
    cookies.map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty()).collect()
}

/// Decoded parameters; those of one name are joined by commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|values| {
                let _ = write!(values, ",{value}");
            })
            .or_insert_with(|| value.into_owned());
    }
    parameters
}

/// Whether API Gateway hands the body on as text: only for these types, and never for a compressed one.
fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || matches!(media_type.as_str(), "application/json" | "application/xml" | "application/javascript")
}

/// The client certificate as API Gateway describes it.
fn client_certificate(der: &[u8]) -> Option<Value> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(json!({
        "clientCertPem": pem(der),
        "subjectDN": distinguished_name(certificate.subject()),
        "issuerDN": distinguished_name(certificate.issuer()),
        "serialNumber": decimal(certificate.raw_serial()),
        "validity": {
            "notBefore": date(validity.not_before.timestamp())?,
            "notAfter": date(validity.not_after.timestamp())?,
        },
    }))
}

/// A certificate in PEM, without a line break at its end.
pub(crate) fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in BASE64.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----");
    text
}

/// A name from its first attribute on, as in API Gateway's examples: `C=TW,CN=…`.
fn distinguished_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let attributes = name.iter_attributes().map(|attribute| {
        let kind = attribute.attr_type().to_id_string();
        let label = attribute_label(&kind);
        format!("{label}={}", attribute.as_str().unwrap_or_default())
    });
    attributes.collect::<Vec<_>>().join(",")
}

/// The day of the month is padded with a space, as OpenSSL writes it: `Aug  5 00:28:21 2120 GMT`.
fn date(seconds: i64) -> Option<String> {
    let timestamp = Timestamp::from_second(seconds).ok()?;
    Some(timestamp.strftime("%b %e %H:%M:%S %Y GMT").to_string())
}

/// A serial number in decimal, however long it is.
fn decimal(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = vec![0];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = u8::try_from(carry % 10).unwrap_or_default();
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or_default());
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn event(headers: &[(&str, &str)], query: &str, body: &[u8]) -> Value {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let received = Received {
            method: "POST",
            path: "/v1/x",
            query,
            version: Version::HTTP_11,
            headers: &headers,
            body,
            source_ip: "1.2.3.4".parse().unwrap(),
            port: 8443,
            domain_name: "portal.localhost",
            client_certificate: None,
            request_id: "id",
            now: "2020-04-21T15:08:21.067Z".parse().unwrap(),
        };
        let parameters = BTreeMap::from([("id".to_owned(), "7".to_owned())]);
        let matched = Matched { key: "POST /v1/{id}", function: "x", parameters };
        build(&received, &matched, &Api { account: "123456789012".into(), id: "api".into() })
    }

    #[test]
    fn the_event_has_the_fields_that_aws_documents() {
        let headers = [
            ("host", "portal.localhost"),
            ("user-agent", "curl/8"),
            ("content-type", "application/json"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("cookie", "a=1; b=2"),
            ("x-amzn-trace-id", "Root=1"),
        ];
        let expected = json!({
            "version": "2.0", "routeKey": "POST /v1/{id}", "rawPath": "/v1/x", "rawQueryString": "p=1&p=2&q=a%20b",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "host": "portal.localhost", "user-agent": "curl/8", "content-type": "application/json",
                "x-a": "1,2", "x-amzn-trace-id": "Root=1", "content-length": "2", "x-forwarded-for": "1.2.3.4",
                "x-forwarded-port": "8443", "x-forwarded-proto": "https",
            },
            "queryStringParameters": {"p": "1,2", "q": "a b"},
            "pathParameters": {"id": "7"},
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "portal.localhost",
                "domainPrefix": "portal",
                "http": {"method": "POST", "path": "/v1/x", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4",
                    "userAgent": "curl/8"},
                "requestId": "id", "routeKey": "POST /v1/{id}", "stage": "$default",
                "time": "21/Apr/2020:15:08:21 +0000", "timeEpoch": 1_587_481_701_067_i64,
            },
            "body": "{}", "isBase64Encoded": false,
        });
        assert_eq!(event(&headers, "p=1&p=2&q=a%20b", b"{}"), expected);
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let event = event(&[], "", b"");
        for absent in ["cookies", "queryStringParameters", "body", "stageVariables"] {
            assert!(event.get(absent).is_none(), "{absent}");
        }
        assert!(event["requestContext"].get("authentication").is_none());
        assert_eq!(event["isBase64Encoded"], json!(false));
    }

    #[test]
    fn bodies_that_are_no_text_travel_in_base64() {
        type Row<'r> = (&'r [(&'r str, &'r str)], &'r [u8], bool);
        let rows: &[Row<'_>] = &[
            (&[("content-type", "application/json; charset=utf-8")], b"{}", false),
            (&[("content-type", "TEXT/plain")], b"a", false),
            (&[("content-type", "application/x-www-form-urlencoded")], b"a=b", true),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], b"a", true),
            (&[("content-type", "application/json")], b"\xff", true),
            (&[], b"a", true),
        ];
        for (headers, body, expected) in rows {
            assert_eq!(event(headers, "", body)["isBase64Encoded"], json!(expected), "{headers:?}");
        }
    }

    #[test]
    fn dates_and_serial_numbers_are_written_as_aws_writes_them() {
        assert_eq!(date(1_598_660_901).unwrap(), "Aug 29 00:28:21 2020 GMT");
        assert_eq!(date(4_752_563_301).unwrap(), "Aug  8 12:28:21 2120 GMT");
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[0, 255]), "255");
        assert_eq!(decimal(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), "18446744073709551616");
    }
}

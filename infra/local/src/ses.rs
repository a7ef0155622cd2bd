//! A stand-in for Amazon SES, API version 2: it takes raw messages of verified senders and keeps each as an `.eml`.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_parser::MessageParser;
use serde::Deserialize;
use serde_json::json;
use shared::clock::Clock;
use tokio::sync::watch;
use uuid::Uuid;

use crate::files;
use crate::permissions::{Call, calls};
use crate::stack::ACCOUNT;
use crate::traffic::{Service, Traffic, service_answer};

/// SES with its outbox folder. Clones are the same service.
#[derive(Debug, Clone)]
pub struct Ses {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    identities: Vec<String>,
    configuration_sets: Vec<String>,
    region: String,
    held: watch::Sender<bool>,
    traffic: Traffic,
}

/// An error in SES's words.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "BadRequestException", message: message.into() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    destination: Option<Destination>,
    content: Content,
    configuration_set_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Destination {
    to_addresses: Vec<String>,
    cc_addresses: Vec<String>,
    bcc_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    raw: Option<Raw>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    data: String,
}

impl Ses {
    /// A service that keeps its messages in `folder` and lets the given addresses and domains send.
    #[must_use]
    pub fn new(
        folder: PathBuf,
        identities: Vec<String>,
        configuration_sets: Vec<String>,
        region: &str,
        traffic: Traffic,
    ) -> Self {
        let region = region.to_owned();
        let held = watch::Sender::new(false);
        Self { inner: Arc::new(Inner { folder, identities, configuration_sets, region, held, traffic }) }
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        Router::new().route("/v2/email/outbound-emails", post(answer)).with_state(self.clone())
    }

    /// Takes messages and keeps them, but gives no answer until released: the moment between SES's acceptance and
    /// the sender's note of it.
    pub fn hold_answers(&self, held: bool) {
        self.inner.held.send_replace(held);
    }

    fn accept(&self, body: &[u8]) -> Result<String, Refusal> {
        let request: SendEmail = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(format!("The request is malformed: {error}")))?;
        let Some(raw) = request.content.raw else {
            return Err(Refusal::bad_request("The stand-in takes raw messages only."));
        };
        let message =
            BASE64.decode(raw.data).map_err(|_| Refusal::bad_request("Data is not valid base64."))?;
        let parsed = MessageParser::default()
            .parse(&message)
            .ok_or_else(|| Refusal::bad_request("The message cannot be parsed."))?;

        let senders: Vec<String> = addresses(parsed.from())
            .chain(request.from_email_address.iter().map(|sender| address_of(sender)))
            .collect();
        if senders.is_empty() {
            return Err(Refusal::bad_request("Missing required header 'From'."));
        }
        if let Some(sender) = senders.iter().find(|sender| !self.is_verified(sender)) {
            let region = self.inner.region.to_uppercase();
            return Err(Refusal {
                status: StatusCode::BAD_REQUEST,
                code: "MessageRejected",
                message: format!(
                    "Email address is not verified. The following identities failed the check in region {region}: {sender}"
                ),
            });
        }
        let Destination { to_addresses, cc_addresses, bcc_addresses } =
            request.destination.unwrap_or_default();
        let named = to_addresses.len() + cc_addresses.len() + bcc_addresses.len();
        if named == 0 && addresses(parsed.to()).next().is_none() {
            return Err(Refusal::bad_request("The message has no recipient."));
        }
        let set = request.configuration_set_name.filter(|set| !self.inner.configuration_sets.contains(set));
        if let Some(set) = set {
            return Err(Refusal {
                status: StatusCode::NOT_FOUND,
                code: "NotFoundException",
                message: format!("Configuration set <{set}> does not exist."),
            });
        }

        let now = Clock::system().now();
        let id = format!("{:016x}-{}-000000", now.as_millisecond(), Uuid::new_v4());
        let name = format!("{}-{id}.eml", now.strftime("%Y%m%dT%H%M%S%.6fZ"));
        files::write_private(&self.inner.folder.join(name), &with_crlf(&message)).map_err(|error| {
            tracing::error!(%error, "a mail cannot be kept");
            Refusal {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "InternalServiceErrorException",
                message: "The message cannot be kept.".to_owned(),
            }
        })?;
        Ok(id)
    }

    /// What a request needs to be allowed: to send from its sender's identity.
    fn needs(&self, body: &[u8]) -> Vec<Call> {
        let Ok(request) = serde_json::from_slice::<SendEmail>(body) else { return Vec::new() };
        let message = request.content.raw.and_then(|raw| BASE64.decode(raw.data).ok()).unwrap_or_default();
        let parsed = MessageParser::default().parse(&message);
        let header = parsed.as_ref().and_then(|parsed| addresses(parsed.from()).next());
        let sender = header.or_else(|| request.from_email_address.as_deref().map(address_of));
        let sender = sender.unwrap_or_default();
        let identity = self.identity_of(&sender).unwrap_or(&sender);
        let arn = format!("arn:aws:ses:{}:{ACCOUNT}:identity/{identity}", self.inner.region);
        vec![calls::raw_mail(&arn, &sender)]
    }

    fn is_verified(&self, sender: &str) -> bool {
        self.identity_of(sender).is_some()
    }

    /// The verified identity that a sender belongs to.
    fn identity_of(&self, sender: &str) -> Option<&str> {
        let domain = sender.rsplit('@').next().unwrap_or_default().to_lowercase();
        let verified = |identity: &&String| {
            let identity = identity.to_lowercase();
            identity == sender.to_lowercase()
                || identity == domain
                || domain.strip_suffix(&identity).is_some_and(|rest| rest.ends_with('.'))
        };
        self.inner.identities.iter().find(verified).map(String::as_str)
    }
}

fn addresses<'m>(header: Option<&'m mail_parser::Address<'_>>) -> impl Iterator<Item = String> + use<'m> {
    let addresses = header.into_iter().flat_map(mail_parser::Address::iter);
    addresses
        .filter_map(|address| address.address.as_deref().map(str::to_owned))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The address in `Name <address>`.
fn address_of(sender: &str) -> String {
    let inner = sender.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner);
    inner.unwrap_or(sender).trim().to_owned()
}

/// RFC 5322 ends lines with CRLF.
fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(message.len());
    let mut previous = 0;
    for &byte in message {
        if byte == b'\n' && previous != b'\r' {
            result.push(b'\r');
        }
        result.push(byte);
        previous = byte;
    }
    result
}

async fn answer(State(ses): State<Ses>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    if let Err(denial) = ses.inner.traffic.permit(&headers, || ses.needs(&body)) {
        return denial.response(StatusCode::FORBIDDEN);
    }
    let effect = async {
        let result = ses.accept(&body);
        let mut held = ses.inner.held.subscribe();
        let _ = held.wait_for(|held| !held).await;
        let (status, code, body) = match result {
            Ok(id) => (StatusCode::OK, None, json!({ "MessageId": id })),
            Err(refusal) => (refusal.status, Some(refusal.code), json!({ "message": refusal.message })),
        };
        tracing::debug!(service = "ses", operation = "SendEmail", status = status.as_u16(), code, "aws call");
        service_answer(status, "application/json", body.to_string(), code)
    };
    ses.inner.traffic.around(Service::Ses, "SendEmail", &headers, effect).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(ses: &Ses, message: &str, more: serde_json::Value) -> Result<String, &'static str> {
        let mut request = json!({"Content": {"Raw": {"Data": BASE64.encode(message)}}});
        request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        ses.accept(request.to_string().as_bytes()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn only_verified_senders_are_heard() {
        let folder = tempfile::tempdir().unwrap();
        let identities = vec!["example.gov.tw".to_owned(), "one@example.com".to_owned()];
        let ses =
            Ses::new(folder.path().into(), identities, vec!["set".into()], "ap-east-2", Traffic::default());
        let from = |sender: &str| format!("From: {sender}\nTo: a@example.com\nSubject: s\n\nbody\n");
        let rows = [
            (from("A <no-reply@example.gov.tw>"), json!({}), None),
            (from("a@mail.Example.gov.tw"), json!({}), None),
            (from("one@example.com"), json!({"ConfigurationSetName": "set"}), None),
            (from("two@example.com"), json!({}), Some("MessageRejected")),
            (from("a@notexample.gov.tw"), json!({}), Some("MessageRejected")),
            (from("a@example.gov.tw"), json!({"FromEmailAddress": "x@example.org"}), Some("MessageRejected")),
            (from("a@example.gov.tw"), json!({"ConfigurationSetName": "other"}), Some("NotFoundException")),
            (from("a@example.gov.tw"), json!({"Content": {"Simple": {}}}), Some("BadRequestException")),
            ("Subject: s\n\nbody\n".to_owned(), json!({}), Some("BadRequestException")),
            ("From: a@example.gov.tw\n\nbody\n".to_owned(), json!({}), Some("BadRequestException")),
        ];
        let mut accepted = 0;
        for (message, more, refusal) in rows {
            let result = send(&ses, &message, more.clone());
            accepted += usize::from(result.is_ok());
            assert_eq!(result.err(), refusal, "{message} {more}");
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), accepted);
        let kept = std::fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
        assert!(kept.contains("Subject: s\r\n\r\nbody\r\n"), "{kept:?}");
    }
}

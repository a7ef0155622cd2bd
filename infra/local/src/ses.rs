//! A stand-in for Amazon SES, API version 2: it takes raw messages of verified senders at a rate, keeps each as an `.eml`, and
//! publishes what becomes of it.
//!
//! Every mail arrives, but those to SES's mailbox simulator, which end as SES says: `bounce@`, `complaint@`,
//! `suppressionlist@simulator.amazonses.com`, with `+label` before the `@`. Two more are the stand-in's own: `transient@`, a
//! mailbox that is full, and `reject@`, a mail with a virus in it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_parser::MessageParser;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::clock::Clock;
use tokio::sync::watch;
use uuid::Uuid;

use crate::events::Events;
use crate::files;
use crate::permissions::{Call, calls};
use crate::stack::ACCOUNT;
use crate::traffic::{Service, Traffic, service_answer};

/// What a service without a rate says that it takes in a second.
const UNLIMITED: f64 = 10_000.0;

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
    rate: f64,
    /// How many mails would be taken at once, and when that was, in milliseconds; nothing before the first.
    allowance: Mutex<Option<(i64, f64)>>,
    sent: AtomicU64,
    /// Mails that are taken in a day; all of them without a number.
    daily: Mutex<Option<u64>>,
    /// The kinds of events that are published, and where.
    published: Vec<String>,
    bus: OnceLock<Events>,
    /// Events that wait, while they are held.
    waiting: Mutex<Option<Vec<Value>>>,
    traffic: Traffic,
}

/// How the service is set up.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Addresses and domains that may send.
    pub identities: Vec<String>,
    /// The configuration sets; the first is the one that mails go out by when they name none.
    pub configuration_sets: Vec<String>,
    /// The kinds of events that go to EventBridge.
    pub published: Vec<String>,
    /// Mails that are taken in a second; all of them, when it is 0.
    pub rate: f64,
}

/// A mail that was accepted.
struct Accepted {
    id: String,
    to: Vec<String>,
    source: String,
    subject: String,
    tags: Map<String, Value>,
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
    #[serde(default)]
    email_tags: Vec<EmailTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmailTag {
    name: String,
    value: String,
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
    /// A service that keeps its messages in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, setup: Setup, region: &str, traffic: Traffic) -> Self {
        let Setup { identities, configuration_sets, published, rate } = setup;
        Self {
            inner: Arc::new(Inner {
                folder,
                identities,
                configuration_sets,
                region: region.to_owned(),
                held: watch::Sender::new(false),
                rate,
                allowance: Mutex::default(),
                sent: AtomicU64::new(0),
                daily: Mutex::default(),
                published,
                bus: OnceLock::new(),
                waiting: Mutex::default(),
                traffic,
            }),
        }
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v2/email/outbound-emails", post(answer))
            .route("/v2/email/account", get(account))
            .with_state(self.clone())
    }

    /// Publishes what becomes of mails to this bus. The first one stays.
    pub(crate) fn publish_to(&self, bus: Events) {
        let _ = self.inner.bus.set(bus);
    }

    /// Keeps what is to be published back, or lets it go, in the order in which it came, with all that waits.
    pub fn hold_events(&self, held: bool) {
        let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let released = std::mem::replace(&mut *waiting, held.then(Vec::new)).unwrap_or_default();
        match (held, &mut *waiting) {
            (true, Some(waiting)) => *waiting = released,
            _ => released.iter().for_each(|event| self.put(event)),
        }
    }

    /// The events that wait, for a test that delivers them twice or in another order.
    #[must_use]
    pub fn held_events(&self) -> Vec<Value> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Publishes an event now.
    pub fn put(&self, event: &Value) {
        if let Some(bus) = self.inner.bus.get() {
            bus.put(event);
        }
    }

    /// Takes no more than so many mails in a day, counted from the start; all of them without a number.
    pub fn limit_day(&self, mails: Option<u64>) {
        *self.daily() = mails;
    }

    fn daily(&self) -> MutexGuard<'_, Option<u64>> {
        self.inner.daily.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many mails were taken.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.inner.sent.load(Ordering::Relaxed)
    }

    /// Takes messages and keeps them, but gives no answer until released: the moment between SES's acceptance and
    /// the sender's note of it.
    pub fn hold_answers(&self, held: bool) {
        self.inner.held.send_replace(held);
    }

    fn accept(&self, body: &[u8]) -> Result<Accepted, Refusal> {
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
        let unknown = |set: &&String| !self.inner.configuration_sets.contains(set);
        if let Some(set) = request.configuration_set_name.as_ref().filter(unknown) {
            return Err(Refusal {
                status: StatusCode::NOT_FOUND,
                code: "NotFoundException",
                message: format!("Configuration set <{set}> does not exist."),
            });
        }

        let now = Clock::system().now();
        self.keep_to_the_day()?;
        self.keep_to_the_rate(now.as_millisecond())?;
        let to = match to_addresses.is_empty() {
            true => addresses(parsed.to()).collect(),
            false => to_addresses,
        };
        let tags = request.email_tags.into_iter().map(|tag| (tag.name, json!([tag.value]))).collect();
        let subject = parsed.subject().unwrap_or_default().to_owned();
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
        self.inner.sent.fetch_add(1, Ordering::Relaxed);
        let source = senders.into_iter().next().unwrap_or_default();
        Ok(Accepted { id, to, source, subject, tags })
    }

    fn keep_to_the_day(&self) -> Result<(), Refusal> {
        if self.daily().is_none_or(|most| self.sent() < most) {
            return Ok(());
        }
        Err(Refusal {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "TooManyRequestsException",
            message: "Daily message quota exceeded.".to_owned(),
        })
    }

    /// SES takes short bursts above its rate, and nothing above it for longer. Here a second's mails may come at once: those
    /// that a busy machine held up on their way are not turned away for coming together.
    fn keep_to_the_rate(&self, now: i64) -> Result<(), Refusal> {
        if self.inner.rate <= 0.0 {
            return Ok(());
        }
        let most = self.inner.rate.max(1.0);
        let mut allowance = self.inner.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let left = allowance.map_or(most, |(then, left)| {
            let passed = Duration::from_millis(u64::try_from(now.saturating_sub(then)).unwrap_or_default());
            (left + passed.as_secs_f64() * self.inner.rate).min(most)
        });
        if left < 1.0 {
            return Err(Refusal {
                status: StatusCode::TOO_MANY_REQUESTS,
                code: "TooManyRequestsException",
                message: "Maximum sending rate exceeded.".to_owned(),
            });
        }
        *allowance = Some((now, left - 1.0));
        Ok(())
    }

    /// Publishes what becomes of a mail.
    fn publish(&self, accepted: &Accepted) {
        for event in self.events_of(accepted) {
            let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *waiting {
                Some(waiting) => waiting.push(event),
                None => {
                    drop(waiting);
                    self.put(&event);
                }
            }
        }
    }

    /// The events of a mail, as SES publishes them to EventBridge.
    /// <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>
    fn events_of(&self, accepted: &Accepted) -> Vec<Value> {
        let Accepted { id, to, source, subject, tags } = accepted;
        let now = Clock::system().now().to_string();
        let mut tags = tags.clone();
        let set = self.inner.configuration_sets.first();
        tags.insert("ses:configuration-set".to_owned(), json!(set.into_iter().collect::<Vec<_>>()));
        tags.insert("ses:from-domain".to_owned(), json!([source.rsplit('@').next()]));
        let mail = json!({
            "timestamp": now,
            "source": source,
            "sendingAccountId": ACCOUNT,
            "messageId": id,
            "destination": to,
            "headersTruncated": false,
            "headers": [{"name": "From", "value": source}, {"name": "To", "value": to.join(", ")}],
            "commonHeaders": {"from": [source], "to": to, "messageId": id, "subject": subject},
            "tags": tags,
        });
        let recipients = |more: Value| {
            let recipient = |address: &String| {
                let mut recipient = json!({ "emailAddress": address });
                if let (Some(recipient), Some(more)) = (recipient.as_object_mut(), more.as_object()) {
                    recipient.extend(more.clone());
                }
                recipient
            };
            to.iter().map(recipient).collect::<Vec<_>>()
        };
        let bounce = |kind: &str, subtype: &str, status: &str, diagnosis: &str| {
            let failed = json!({ "action": "failed", "status": status, "diagnosticCode": diagnosis });
            let bounce = json!({
                "bounceType": kind,
                "bounceSubType": subtype,
                "bouncedRecipients": recipients(failed),
                "timestamp": now,
                "feedbackId": Uuid::new_v4().to_string(),
                "reportingMTA": "dns; stand-in.amazonses.com",
            });
            ("Email Bounced", "Bounce", "bounce", bounce)
        };
        let delivered = || {
            let delivery = json!({
                "timestamp": now,
                "processingTimeMillis": 1,
                "recipients": to,
                "smtpResponse": "250 2.6.0 Message received",
                "reportingMTA": "stand-in.amazonses.com",
            });
            ("Email Delivered", "Delivery", "delivery", delivery)
        };
        let events = match to.first().and_then(|address| fate(address)) {
            None => vec![delivered()],
            Some(Fate::Bounce) => {
                vec![bounce("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown")]
            }
            Some(Fate::Suppressed) => vec![bounce(
                "Permanent",
                "OnAccountSuppressionList",
                "5.1.1",
                "Amazon SES did not send the message to this address because it is on the suppression list",
            )],
            Some(Fate::Transient) => {
                vec![bounce("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full")]
            }
            Some(Fate::Complaint) => {
                let complaint = json!({
                    "complainedRecipients": recipients(Value::Null),
                    "timestamp": now,
                    "feedbackId": Uuid::new_v4().to_string(),
                    "complaintSubType": null,
                    "complaintFeedbackType": "abuse",
                });
                vec![delivered(), ("Email Complaint Received", "Complaint", "complaint", complaint)]
            }
            Some(Fate::Reject) => {
                vec![("Email Rejected", "Reject", "reject", json!({ "reason": "Bad content" }))]
            }
        };
        let published =
            events.into_iter().filter(|(_, _, name, _)| self.inner.published.iter().any(|kind| kind == name));
        published
            .map(|(detail_type, event_type, name, object)| {
                let detail = json!({ "eventType": event_type, "mail": mail, name: object });
                json!({
                    "version": "0",
                    "id": Uuid::new_v4().to_string(),
                    "detail-type": detail_type,
                    "source": "aws.ses",
                    "account": ACCOUNT,
                    "time": now,
                    "region": self.inner.region,
                    "resources": [format!("arn:aws:ses:{}:{ACCOUNT}:identity/{source}", self.inner.region)],
                    "detail": detail,
                })
            })
            .collect()
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

/// What becomes of a mail that does not simply arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Bounce,
    Suppressed,
    Transient,
    Complaint,
    Reject,
}

/// What SES's mailbox simulator does with a mail to this address.
fn fate(address: &str) -> Option<Fate> {
    let (local, domain) = address.rsplit_once('@')?;
    if !domain.eq_ignore_ascii_case("simulator.amazonses.com") {
        return None;
    }
    match local.split('+').next()? {
        "bounce" => Some(Fate::Bounce),
        "suppressionlist" => Some(Fate::Suppressed),
        "transient" => Some(Fate::Transient),
        "complaint" => Some(Fate::Complaint),
        "reject" => Some(Fate::Reject),
        _ => None,
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
        let result = ses.accept(&body).map(Arc::new);
        let answered = || {
            let mut held = ses.inner.held.subscribe();
            async move { held.wait_for(|held| !held).await.is_ok() }
        };
        if let Ok(accepted) = &result {
            // Whether or not anybody waits for the answer.
            let (ses, accepted, answered) = (ses.clone(), Arc::clone(accepted), answered());
            tokio::spawn(async move {
                answered.await;
                ses.publish(&accepted);
            });
        }
        answered().await;
        let (status, code, body) = match result {
            Ok(accepted) => (StatusCode::OK, None, json!({ "MessageId": accepted.id })),
            Err(refusal) => (refusal.status, Some(refusal.code), json!({ "message": refusal.message })),
        };
        tracing::debug!(service = "ses", operation = "SendEmail", status = status.as_u16(), code, "aws call");
        service_answer(status, "application/json", body.to_string(), code)
    };
    ses.inner.traffic.around(Service::Ses, "SendEmail", &headers, effect).await
}

async fn account(State(ses): State<Ses>, headers: HeaderMap) -> Response<Body> {
    if let Err(denial) = ses.inner.traffic.permit(&headers, || vec![calls::mail_account()]) {
        return denial.response(StatusCode::FORBIDDEN);
    }
    let effect = async {
        let rate = if ses.inner.rate > 0.0 { ses.inner.rate } else { UNLIMITED };
        let body = json!({
            "DedicatedIpAutoWarmupEnabled": false,
            "EnforcementStatus": "HEALTHY",
            "ProductionAccessEnabled": true,
            "SendingEnabled": true,
            "SendQuota": {
                "Max24HourSend": ses.daily().map_or(-1.0, |most| most as f64),
                "MaxSendRate": rate,
                "SentLast24Hours": ses.sent() as f64,
            },
        });
        service_answer(StatusCode::OK, "application/json", body.to_string(), None)
    };
    ses.inner.traffic.around(Service::Ses, "GetAccount", &headers, effect).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(ses: &Ses, message: &str, more: serde_json::Value) -> Result<String, &'static str> {
        let mut request = json!({"Content": {"Raw": {"Data": BASE64.encode(message)}}});
        request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        ses.accept(request.to_string().as_bytes()).map(|accepted| accepted.id).map_err(|refusal| refusal.code)
    }

    #[test]
    fn only_verified_senders_are_heard() {
        let folder = tempfile::tempdir().unwrap();
        let identities = vec!["example.gov.tw".to_owned(), "one@example.com".to_owned()];
        let setup = Setup { identities, configuration_sets: vec!["set".into()], ..Setup::default() };
        let ses = Ses::new(folder.path().into(), setup, "ap-east-2", Traffic::default());
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

    #[test]
    fn a_second_has_no_more_than_the_rate() {
        let setup = Setup { rate: 2.0, ..Setup::default() };
        let ses = Ses::new("unused".into(), setup, "ap-east-2", Traffic::default());
        let taken = |second: i64| ses.keep_to_the_rate(second * 1000).is_ok();
        assert_eq!(
            [taken(1), taken(1), taken(1), taken(2), taken(2), taken(2)],
            [true, true, false, true, true, false]
        );
    }

    #[test]
    fn a_burst_is_taken_and_no_faster_rate_is() {
        let taken = |rate: f64, every: i64, pause: i64| {
            let setup = Setup { rate, ..Setup::default() };
            let ses = Ses::new("unused".into(), setup, "ap-east-2", Traffic::default());
            // A minute of mails, of which those within the pause come together at its end.
            let times = (0..60_000 / every).map(|mail| mail * every);
            times.filter(|at| ses.keep_to_the_rate((*at).max(pause)).is_err()).count()
        };
        let rows = [
            ("just the rate", 20.0, 50, 0, 0),
            ("held up for most of a second", 20.0, 55, 900, 0),
            ("twice the rate: half of them, but for the first second's", 20.0, 25, 0, 1_181),
            ("less than one a second", 0.5, 1_000, 0, 30),
        ];
        for (what, rate, every, pause, refused) in rows {
            assert_eq!(taken(rate, every, pause), refused, "{what}");
        }
    }

    #[test]
    fn what_becomes_of_a_mail_is_told_as_ses_tells_it() {
        let all = ["delivery", "bounce", "reject", "complaint"].map(str::to_owned).to_vec();
        let setup = Setup { configuration_sets: vec!["set".into()], published: all, ..Setup::default() };
        let ses = Ses::new("unused".into(), setup, "ap-east-2", Traffic::default());
        let events = |to: &str| {
            let tags = Map::from_iter([("mail_id".to_owned(), json!(["1"]))]);
            let source = "a@example.gov.tw".to_owned();
            let to = vec![to.to_owned()];
            ses.events_of(&Accepted { id: "id".into(), to, source, subject: "s".into(), tags })
        };
        let rows = [
            (
                "wang@example.gov.tw",
                "Email Delivered",
                "Delivery",
                "/detail/delivery/recipients/0",
                "wang@example.gov.tw",
            ),
            (
                "bounce+1@simulator.amazonses.com",
                "Email Bounced",
                "Bounce",
                "/detail/bounce/bounceType",
                "Permanent",
            ),
            (
                "transient@simulator.amazonses.com",
                "Email Bounced",
                "Bounce",
                "/detail/bounce/bounceSubType",
                "MailboxFull",
            ),
            (
                "reject@simulator.amazonses.com",
                "Email Rejected",
                "Reject",
                "/detail/reject/reason",
                "Bad content",
            ),
            (
                "success@simulator.amazonses.com",
                "Email Delivered",
                "Delivery",
                "/detail/mail/tags/mail_id/0",
                "1",
            ),
        ];
        for (to, detail_type, event_type, pointer, value) in rows {
            let [event] = <[Value; 1]>::try_from(events(to)).unwrap();
            assert_eq!(
                (&event["detail-type"], &event["detail"]["eventType"]),
                (&json!(detail_type), &json!(event_type))
            );
            assert_eq!(event.pointer(pointer).unwrap(), value, "{to}");
            assert_eq!(event["detail"]["mail"]["tags"]["ses:configuration-set"], json!(["set"]));
        }
        let kinds: Vec<_> = events("complaint@simulator.amazonses.com")
            .iter()
            .map(|event| event["detail-type"].clone())
            .collect();
        assert_eq!(kinds, ["Email Delivered", "Email Complaint Received"]);
    }
}

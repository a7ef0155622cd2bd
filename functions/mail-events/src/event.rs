//! One event of SES, as EventBridge delivers it, and as the step takes it.
//!
//! SES publishes what becomes of a mail to the account's default event bus, with `source` `aws.ses` and a `detail-type` for
//! each kind of event; `detail` is the record that event publishing gives to every destination. The names are those of the
//! EventBridge Events Reference, "Amazon Simple Email Service events"
//! (<https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-ses.html>), the records those of the SES Developer Guide,
//! "Contents of event data" (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>):
//!
//! | `detail-type` | `detail.eventType` | its object | means |
//! | --- | --- | --- | --- |
//! | `Email Delivered` | `Delivery` | `delivery` | the recipient's mail server has accepted the mail |
//! | `Email Bounced` | `Bounce` | `bounce` | it came back; `bounceType` is `Permanent`, `Transient` or `Undetermined` |
//! | `Email Complaint Received` | `Complaint` | `complaint` | the recipient reported it as unwanted |
//! | `Email Rejected` | `Reject` | `reject` | SES accepted it, found a virus in it, and did not send it |
//!
//! `Email Sent`, `Email Delivery Delayed`, `Email Opened`, `Email Clicked`, `Email Rendering Failed` and `Email Subscribed` say
//! nothing that the outbox does not know, or are of kinds of mail that it does not send. Events are delivered at least once,
//! "on a best-effort basis", and in any order (SES Developer Guide, "Monitoring SES events using Amazon EventBridge").
//!
//! Of a record this reads the type, the time, SES's id of the mail and our own tags. Addresses, headers and diagnostic texts
//! are in it as well: they are skipped, and so they can reach no log.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use shared::delivery::{Bounce, Feedback};
use shared::store::outbox::MailId;

/// What SES says of a mail of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailEvent {
    /// Which mail: as the dispatcher tagged it.
    pub id: MailId,
    /// SES's id of that sending of it.
    pub message_id: String,
    /// What became of it.
    pub feedback: Feedback,
    /// SES's finer word for it, for the log.
    pub subtype: String,
    /// When that happened, by SES.
    pub at: Timestamp,
}

/// What an event turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Of a mail of ours.
    Ours(MailEvent),
    /// Of a mail without our tags: somebody else sends by the same SES account.
    Foreign,
    /// Of a type that changes nothing.
    OtherType(String),
}

/// Why an event cannot be read. What stands in it is not told: it may be an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not one of EventBridge.
    #[error("no event of EventBridge")]
    Envelope,
    /// Its record has another form than SES's documentation says.
    #[error("a record of another form")]
    Record,
    /// Another service's.
    #[error("from another source than aws.ses")]
    OtherSource,
}

#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: Timestamp,
    detail: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event_type: String,
    mail: Mail,
    bounce: Option<BounceRecord>,
    complaint: Option<ComplaintRecord>,
    delivery: Option<Timed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    message_id: String,
    #[serde(default)]
    tags: HashMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BounceRecord {
    bounce_type: String,
    #[serde(default)]
    bounce_sub_type: Option<String>,
    #[serde(flatten)]
    when: Timed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ComplaintRecord {
    #[serde(default)]
    complaint_sub_type: Option<String>,
    #[serde(default)]
    complaint_feedback_type: Option<String>,
    #[serde(flatten)]
    when: Timed,
}

#[derive(Deserialize)]
struct Timed {
    #[serde(default)]
    timestamp: Option<Timestamp>,
}

/// The subtype of a complaint about an earlier mail, for which SES did not send this one.
const SUPPRESSED: &str = "OnAccountSuppressionList";

impl Received {
    /// Reads an event.
    ///
    /// # Errors
    /// [`Unreadable`]: EventBridge's rule and this function disagree, or SES has changed the format.
    pub fn parse(event: Value) -> Result<Self, Unreadable> {
        let Envelope { source, detail_type, time, detail } =
            serde_json::from_value(event).map_err(|_| Unreadable::Envelope)?;
        if source != "aws.ses" {
            return Err(Unreadable::OtherSource);
        }
        if !["Email Delivered", "Email Bounced", "Email Complaint Received", "Email Rejected"]
            .contains(&detail_type.as_str())
        {
            return Ok(Self::OtherType(word(detail_type)));
        }
        let Detail { event_type, mail, bounce, complaint, delivery } =
            serde_json::from_value(detail).map_err(|_| Unreadable::Record)?;
        let (feedback, subtype, at) = match (event_type.as_str(), bounce, complaint) {
            ("Delivery", ..) => {
                (Feedback::Delivered, String::new(), delivery.and_then(|delivery| delivery.timestamp))
            }
            ("Bounce", Some(bounce), _) => {
                // "Undetermined": SES could not tell. Nobody's password is voided for that.
                let kind =
                    if bounce.bounce_type == "Permanent" { Bounce::Permanent } else { Bounce::Transient };
                let subtype = bounce.bounce_sub_type.unwrap_or_default();
                (Feedback::Bounced(kind), subtype, bounce.when.timestamp)
            }
            ("Complaint", _, Some(complaint)) => {
                let feedback = match complaint.complaint_sub_type.as_deref() {
                    // It is about an earlier mail; this one was never sent, and nobody received it.
                    Some(SUPPRESSED) => Feedback::Bounced(Bounce::Permanent),
                    _ => Feedback::Complained,
                };
                let subtype = complaint.complaint_sub_type.or(complaint.complaint_feedback_type);
                (feedback, subtype.unwrap_or_default(), complaint.when.timestamp)
            }
            ("Reject", ..) => (Feedback::Rejected, String::new(), None),
            _ => return Ok(Self::OtherType(word(event_type))),
        };
        let tag = |name: &str| mail.tags.get(name).and_then(|values| values.first()).cloned();
        let id = match (tag("mail_kind").as_deref(), tag("mail_id")) {
            (Some(kind), Some(id)) => MailId::new(kind, &id),
            _ => None,
        };
        let Some(id) = id else { return Ok(Self::Foreign) };
        Ok(Self::Ours(MailEvent {
            id,
            message_id: mail.message_id,
            feedback,
            subtype: word(subtype),
            at: at.unwrap_or(time),
        }))
    }
}

/// A word of SES's as the log may have it. A recipient's mail server has a say in some of them, so that anything may stand
/// there.
fn word(text: String) -> String {
    let plain = text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"- ".contains(&b));
    if plain { text } else { "unreadable".to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may end where it stands")]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: &str = "2026-08-05T00:41:02.669Z";

    /// An event with everything that SES puts into one.
    fn event(detail_type: &str, event_type: &str, name: &str, object: Value) -> Value {
        let mut event = json!({
            "version": "0",
            "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
            "detail-type": detail_type,
            "source": "aws.ses",
            "account": "123456789012",
            "time": "2026-08-05T00:41:05Z",
            "region": "ap-northeast-1",
            "resources": ["arn:aws:ses:ap-northeast-1:123456789012:configuration-set/first-sign-in"],
            "detail": {
                "eventType": event_type,
                "mail": {
                    "timestamp": "2026-08-05T00:40:02.012Z",
                    "source": "Sender Name <sender@example.com>",
                    "sourceArn": "arn:aws:ses:ap-northeast-1:123456789012:identity/example.com",
                    "sendingAccountId": "123456789012",
                    "messageId": "EXAMPLE7c191be45",
                    "destination": ["recipient@example.com"],
                    "headersTruncated": false,
                    "headers": [{"name": "Subject", "value": "a subject"}],
                    "commonHeaders": {"to": ["recipient@example.com"], "subject": "a subject"},
                    "tags": {
                        "ses:configuration-set": ["first-sign-in"],
                        "ses:from-domain": ["example.com"],
                        "mail_kind": ["reset"],
                        "mail_id": ["an-id"],
                    },
                },
            },
        });
        event["detail"][name] = object;
        event
    }

    fn bounced(bounce_type: &str, sub_type: &str) -> Value {
        let object = json!({
            "bounceType": bounce_type,
            "bounceSubType": sub_type,
            "bouncedRecipients": [{"emailAddress": "recipient@example.com", "action": "failed",
                "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 recipient@example.com unknown"}],
            "timestamp": AT,
            "feedbackId": "0100015",
            "reportingMTA": "dsn; mta.example.com",
        });
        event("Email Bounced", "Bounce", "bounce", object)
    }

    fn complained(sub_type: Value, feedback_type: Value) -> Value {
        let object = json!({
            "complainedRecipients": [{"emailAddress": "recipient@example.com"}],
            "timestamp": AT,
            "feedbackId": "0100015",
            "userAgent": "a mailbox provider",
            "complaintSubType": sub_type,
            "complaintFeedbackType": feedback_type,
            "arrivalDate": AT,
        });
        event("Email Complaint Received", "Complaint", "complaint", object)
    }

    fn delivered() -> Value {
        let object = json!({"timestamp": AT, "processingTimeMillis": 546, "recipients": ["recipient@example.com"],
            "smtpResponse": "250 ok", "reportingMTA": "mta.example.com"});
        event("Email Delivered", "Delivery", "delivery", object)
    }

    #[test]
    fn what_ses_says_of_a_mail() {
        let list = "OnAccountSuppressionList";
        let rejected = event("Email Rejected", "Reject", "reject", json!({"reason": "Bad content"}));
        let (permanent, transient) =
            (Feedback::Bounced(Bounce::Permanent), Feedback::Bounced(Bounce::Transient));
        let rows = [
            ("delivered", delivered(), Feedback::Delivered, ""),
            ("no such mailbox", bounced("Permanent", "NoEmail"), permanent, "NoEmail"),
            ("on SES's list", bounced("Permanent", list), permanent, list),
            ("full", bounced("Transient", "MailboxFull"), transient, "MailboxFull"),
            ("nobody knows", bounced("Undetermined", "Undetermined"), transient, "Undetermined"),
            ("unwanted", complained(json!(null), json!("abuse")), Feedback::Complained, "abuse"),
            ("unwanted, without a report", complained(json!(null), json!(null)), Feedback::Complained, ""),
            ("not sent for an earlier complaint", complained(json!(list), json!(null)), permanent, list),
            (
                "a report that says too much",
                complained(json!(null), json!("recipient@example.com")),
                Feedback::Complained,
                "unreadable",
            ),
            ("a virus", rejected, Feedback::Rejected, ""),
        ];
        for (what, event, feedback, subtype) in rows {
            let at = if feedback == Feedback::Rejected { "2026-08-05T00:41:05Z" } else { AT };
            let expected = MailEvent {
                id: MailId::Reset("an-id".to_owned()),
                message_id: "EXAMPLE7c191be45".to_owned(),
                feedback,
                subtype: subtype.to_owned(),
                at: at.parse().unwrap(),
            };
            assert_eq!(Received::parse(event).unwrap(), Received::Ours(expected), "{what}");
        }
    }

    #[test]
    fn whose_mail_it_is() {
        let tagged = |tags: Value| {
            let mut event = delivered();
            event["detail"]["mail"]["tags"] = tags;
            match Received::parse(event).unwrap() {
                Received::Ours(event) => Some(event.id),
                _ => None,
            }
        };
        let notice = MailId::Notice("an-id".to_owned());
        assert_eq!(tagged(json!({"mail_kind": ["notice"], "mail_id": ["an-id"]})), Some(notice));
        for tags in [
            json!({}),
            json!({"mail_id": ["an-id"]}),
            json!({"mail_kind": ["reset"], "mail_id": []}),
            json!({"mail_kind": ["newsletter"], "mail_id": ["an-id"]}),
        ] {
            assert_eq!(tagged(tags.clone()), None, "{tags}");
        }
        let mut untagged = delivered();
        untagged["detail"]["mail"].as_object_mut().unwrap().remove("tags");
        assert_eq!(Received::parse(untagged).unwrap(), Received::Foreign);
    }

    #[test]
    fn other_types_change_nothing() {
        for (detail_type, event_type, name) in [
            ("Email Sent", "Send", "send"),
            ("Email Delivery Delayed", "DeliveryDelay", "deliveryDelay"),
            ("Email Opened", "Open", "open"),
            ("Sending Status Disabled", "", "other"),
        ] {
            let event = event(detail_type, event_type, name, json!({}));
            let expected = Received::OtherType(detail_type.to_owned());
            assert_eq!(Received::parse(event).unwrap(), expected);
        }
        let odd = event("Email Bounced", "Novelty", "novelty", json!({}));
        assert_eq!(Received::parse(odd).unwrap(), Received::OtherType("Novelty".to_owned()));
    }

    #[test]
    fn what_is_no_event_of_ses_is_refused_without_a_word_of_it() {
        let mut elsewhere = delivered();
        elsewhere["source"] = json!("aws.s3");
        let mut damaged = bounced("Permanent", "General");
        damaged["detail"]["mail"] = json!("recipient@example.com");
        let mut late = bounced("Permanent", "General");
        late["detail"]["bounce"]["timestamp"] = json!("recipient@example.com");
        let rows = [
            (json!({}), Unreadable::Envelope),
            (json!([]), Unreadable::Envelope),
            (json!({"Records": []}), Unreadable::Envelope),
            (elsewhere, Unreadable::OtherSource),
            (damaged, Unreadable::Record),
            (late, Unreadable::Record),
        ];
        for (event, expected) in rows {
            assert_eq!(Received::parse(event.clone()), Err(expected), "{event}");
        }
    }
}

//! SES: sends a mail, and tells failures that pass from those that do not.

use aws_config::SdkConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::ProvideErrorMetadata as _;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, MessageTag, RawMessage};
use lettre::message::Mailbox;

use crate::aws;
use crate::email_address::EmailAddress;
use crate::environment::Environment;
use crate::mail::Content;
use crate::mail::message::{compose, sender};

/// Sends mails from one address.
#[derive(Clone, Debug)]
pub struct Mailer {
    client: Client,
    from: Mailbox,
}

/// Why a mail was not sent. Names no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// SES takes no more for now: the rate, or the day's quota.
    #[error("SES, throttled: {0}")]
    Throttled(String),
    /// SES does not work, or not for us: out of reach, paused, a sender that is not verified yet. Nothing about this mail.
    #[error("SES, for now: {0}")]
    Unavailable(String),
    /// SES refuses this mail, and might not the next time.
    #[error("SES refuses, for now: {0}")]
    Refused(String),
    /// Will not pass by itself: the mail or its address is malformed.
    #[error("SES refuses: {0}")]
    Final(&'static str),
}

/// How much SES lets us send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// Mails a second.
    pub max_send_rate: f64,
    /// Mails in 24 hours; less than zero for as many as one likes.
    pub max_24_hour_send: f64,
    /// Mails sent in the last 24 hours.
    pub sent_last_24_hours: f64,
}

impl Quota {
    /// Whether SES would take no mail now, whatever the rate.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.max_24_hour_send >= 0.0 && self.sent_last_24_hours >= self.max_24_hour_send
    }
}

/// How a send that failed is to be taken, by SES's code.
fn failure(error: &SendEmailError) -> SendError {
    let code = error.code().unwrap_or("an error of the service").to_owned();
    match error {
        SendEmailError::BadRequestException(_) => SendError::Final("BadRequestException"),
        SendEmailError::TooManyRequestsException(_) | SendEmailError::LimitExceededException(_) => {
            SendError::Throttled(code)
        }
        SendEmailError::MessageRejected(_) => SendError::Refused(code),
        _ => SendError::Unavailable(code),
    }
}

impl Mailer {
    /// A mailer; `from` is a verified identity's address.
    ///
    /// # Errors
    /// What is wrong with the sender's address or name.
    pub fn new(
        environment: &Environment,
        config: &SdkConfig,
        from: &str,
        name: Option<String>,
    ) -> Result<Self, String> {
        let mut builder = aws_sdk_sesv2::config::Builder::from(config).interceptor(aws::call_recorder());
        if let Some(endpoint) = aws::endpoint(environment, "SESV2") {
            builder = builder.endpoint_url(endpoint);
        }
        let address = from.parse().map_err(|error| format!("MAIL_FROM: {error}"))?;
        Ok(Self { client: Client::from_conf(builder.build()), from: sender(name.as_deref(), address) })
    }

    /// How much SES lets us send, and how much it has sent.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn quota(&self) -> Result<Quota, SendError> {
        let answer = self.client.get_account().send().await;
        let answer = answer.map_err(|error| SendError::Unavailable(aws::describe(&error)))?;
        let quota = answer.send_quota.ok_or_else(|| SendError::Unavailable("no quota".to_owned()))?;
        Ok(Quota {
            max_send_rate: quota.max_send_rate,
            max_24_hour_send: quota.max24_hour_send,
            sent_last_24_hours: quota.sent_last24_hours,
        })
    }

    /// Sends a mail and answers SES's message id. `kind` and `id` name the mail ([`crate::store::outbox::MailId`]): SES gives
    /// them back with what becomes of it, and a duplicate has the same `Message-ID`.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        &self,
        to: &EmailAddress,
        content: &Content,
        kind: &str,
        id: &str,
    ) -> Result<String, SendError> {
        let raw = compose(&self.from, to, content, id)
            .map_err(|_| SendError::Final("the mail cannot be written"))?;
        let raw = RawMessage::builder().data(Blob::new(raw.as_slice()));
        let raw = raw.build().map_err(|_| SendError::Final("no mail"))?;
        let tag = |name: &str, value: &str| {
            MessageTag::builder().name(name).value(value).build().map_err(|_| SendError::Final("no tag"))
        };
        let answer = self
            .client
            .send_email()
            .from_email_address(self.from.email.to_string())
            .destination(Destination::builder().to_addresses(to.reveal()).build())
            .content(EmailContent::builder().raw(raw).build())
            .email_tags(tag("mail_kind", kind)?)
            .email_tags(tag("mail_id", id)?)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.message_id.unwrap_or_default()),
            // SES's own words can carry the address; its code cannot.
            Err(error) => Err(match error.as_service_error() {
                Some(error) => failure(error),
                None => SendError::Unavailable(aws::describe(&error)),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sesv2::error::ErrorMetadata;
    use aws_sdk_sesv2::types::error::{
        AccountSuspendedException, BadRequestException, LimitExceededException,
        MailFromDomainNotVerifiedException, MessageRejected, SendingPausedException,
        TooManyRequestsException,
    };

    use super::*;

    /// A failure by what the dispatcher does next: waits with all, waits, counts a strike, ends it.
    #[test]
    fn what_a_failure_means() {
        macro_rules! row {
            ($error:ident, $expected:ident) => {{
                let meta =
                    ErrorMetadata::builder().code(stringify!($error)).message("zhou@example.com").build();
                let error = SendEmailError::$error($error::builder().meta(meta).build());
                (error, SendError::$expected(stringify!($error).into()))
            }};
        }
        let unknown = ErrorMetadata::builder().code("InternalServiceErrorException").build();
        let rows = [
            row!(TooManyRequestsException, Throttled),
            row!(LimitExceededException, Throttled),
            row!(SendingPausedException, Unavailable),
            row!(AccountSuspendedException, Unavailable),
            row!(MailFromDomainNotVerifiedException, Unavailable),
            row!(MessageRejected, Refused),
            row!(BadRequestException, Final),
            (
                SendEmailError::generic(unknown),
                SendError::Unavailable("InternalServiceErrorException".to_owned()),
            ),
        ];
        for (error, expected) in rows {
            assert_eq!(failure(&error), expected);
            assert!(!failure(&error).to_string().contains('@'), "an address: {expected:?}");
        }
    }

    #[test]
    fn when_a_quota_is_spent() {
        let rows = [
            ("the sandbox, unused", 200.0, 0.0, false),
            ("one is left", 200.0, 199.0, false),
            ("all are sent", 200.0, 200.0, true),
            ("lowered since", 200.0, 300.0, true),
            ("as many as one likes", -1.0, 1_000_000.0, false),
        ];
        for (what, max_24_hour_send, sent_last_24_hours, spent) in rows {
            let quota = Quota { max_send_rate: 14.0, max_24_hour_send, sent_last_24_hours };
            assert_eq!(quota.is_spent(), spent, "{what}");
        }
    }
}

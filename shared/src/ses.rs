//! SES: sends a mail, and tells failures that pass from those that do not.

use aws_config::SdkConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::ProvideErrorMetadata as _;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, RawMessage};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};

use crate::aws;
use crate::email_address::EmailAddress;
use crate::environment::Environment;
use crate::mail::Content;

/// Sends mails from one address.
#[derive(Clone, Debug)]
pub struct Mailer {
    client: Client,
    from: Mailbox,
}

/// Why a mail was not sent. Names no address.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// May pass: throttled, paused, out of reach, a sender that is not verified.
    #[error("SES, for now: {0}")]
    Passing(String),
    /// Will not pass by itself: the mail or its address is malformed.
    #[error("SES refuses: {0}")]
    Final(&'static str),
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
        Ok(Self { client: Client::from_conf(builder.build()), from: Mailbox::new(name, address) })
    }

    /// Sends a mail and answers SES's message id. `key` names the mail: a duplicate has the same `Message-ID`.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, to: &EmailAddress, content: &Content, key: &str) -> Result<String, SendError> {
        let raw =
            self.compose(to, content, key).map_err(|_| SendError::Final("the mail cannot be composed"))?;
        let raw =
            RawMessage::builder().data(Blob::new(raw)).build().map_err(|_| SendError::Final("no mail"))?;
        let answer = self
            .client
            .send_email()
            .from_email_address(self.from.email.to_string())
            .destination(Destination::builder().to_addresses(to.reveal()).build())
            .content(EmailContent::builder().raw(raw).build())
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.message_id.unwrap_or_default()),
            // SES's own words can carry the address; its code cannot.
            Err(error) => Err(match error.as_service_error() {
                Some(SendEmailError::BadRequestException(_)) => SendError::Final("BadRequestException"),
                // A rejection is most often about the sender, whom an operator has not verified yet: it may pass.
                Some(other) => {
                    SendError::Passing(other.code().unwrap_or("an error of the service").to_owned())
                }
                None => SendError::Passing(aws::describe(&error)),
            }),
        }
    }

    fn compose(
        &self,
        to: &EmailAddress,
        content: &Content,
        key: &str,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let domain = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.reveal().parse()?))
            .subject(&content.subject)
            .message_id(Some(format!("<{key}@{domain}>")))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative_plain_html(content.text.clone(), content.html.clone()))?;
        Ok(message.formatted())
    }
}

//! SQS: the queue of dead letters, where mails wait that were given up.
//!
//! A letter names a mail by its key in the outbox and says why it was given up. Beside ours, Lambda puts letters of its own
//! there: the place of a batch in the stream, and events of SES that could not be noted.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws;
use crate::environment::Environment;

/// The queue.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
    queue_url: String,
}

/// A mail that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The mail's key in the outbox, `reset#…` or `notice#…`.
    pub mail: String,
    /// Why, as a short code.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// How often it failed for a reason of its own.
    pub strikes: u32,
    /// When it was queued first.
    pub created_at: Timestamp,
}

/// A message of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What deletes it.
    pub receipt: String,
    /// The letter; nothing for one that is Lambda's.
    pub letter: Option<DeadLetter>,
}

/// SQS did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("SQS: {0}")]
pub struct SqsError(String);

impl SqsError {
    fn of<E: ProvideErrorMetadata, R>(error: &aws_sdk_sqs::error::SdkError<E, R>) -> Self {
        Self(aws::describe(error))
    }
}

impl DeadLetters {
    /// The queue at that URL.
    pub fn new(environment: &Environment, config: &SdkConfig, queue_url: String) -> Self {
        let mut builder = aws_sdk_sqs::config::Builder::from(config).interceptor(aws::call_recorder());
        if let Some(endpoint) = aws::endpoint(environment, "SQS") {
            builder = builder.endpoint_url(endpoint);
        }
        Self { client: Client::from_conf(builder.build()), queue_url }
    }

    /// Hands a letter in.
    ///
    /// # Errors
    /// [`SqsError`].
    pub async fn send(&self, letter: &DeadLetter) -> Result<(), SqsError> {
        let body = serde_json::to_string(letter).map_err(|error| SqsError(error.to_string()))?;
        let request = self.client.send_message().queue_url(&self.queue_url).message_body(body);
        request.send().await.map(|_| ()).map_err(|error| SqsError::of(&error))
    }

    /// Takes up to ten letters, which nobody else sees for half a minute; none when the queue is empty.
    ///
    /// # Errors
    /// [`SqsError`].
    pub async fn receive(&self) -> Result<Vec<Received>, SqsError> {
        let request = self.client.receive_message().queue_url(&self.queue_url);
        let answer = request.max_number_of_messages(10).visibility_timeout(30).send().await;
        let messages = answer.map_err(|error| SqsError::of(&error))?.messages.unwrap_or_default();
        let read = |message: aws_sdk_sqs::types::Message| {
            let letter = serde_json::from_str(message.body.as_deref().unwrap_or_default()).ok();
            Some(Received { receipt: message.receipt_handle?, letter })
        };
        Ok(messages.into_iter().filter_map(read).collect())
    }

    /// Deletes a letter that was dealt with.
    ///
    /// # Errors
    /// [`SqsError`].
    pub async fn delete(&self, received: &Received) -> Result<(), SqsError> {
        let request = self.client.delete_message().queue_url(&self.queue_url);
        let answer = request.receipt_handle(&received.receipt).send().await;
        answer.map(|_| ()).map_err(|error| SqsError::of(&error))
    }
}

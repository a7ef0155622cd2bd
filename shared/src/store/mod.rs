//! DynamoDB: one file for each table, each beginning with its access patterns; and the transaction that spans them.
//!
//! Functions run side by side, so memory decides nothing: every write that depends on what was read repeats it as a
//! condition, and the database decides.

pub mod accounts;
pub mod audit;
pub mod authorizations;
pub mod batch;
pub mod bulk;
pub mod chains;
pub mod outbox;
pub mod personnel;
pub mod revocations;
pub mod sessions;
pub mod tickets;
mod transaction;

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
pub use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use transaction::{CommitError, Guard, Refused, Transaction, Write};

use crate::aws;
use crate::environment::{Environment, StartError};

/// An item.
pub type Item = HashMap<String, AttributeValue>;

/// DynamoDB did not do what was asked, for a reason that is no decision.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// An error of the service or of the way to it.
    #[error("DynamoDB: {0}")]
    Service(String),
    /// An item is not what its table's file says.
    #[error("an unreadable item: {0}")]
    Unreadable(String),
}

impl<E> From<SdkError<E>> for StoreError
where
    E: ProvideErrorMetadata,
{
    fn from(error: SdkError<E>) -> Self {
        Self::Service(aws::describe(&error))
    }
}

/// The answer of a write that has a condition; `None` when the condition does not hold.
fn unless_refused<T, E>(answer: Result<T, SdkError<E>>) -> Result<Option<T>, StoreError>
where
    E: ProvideErrorMetadata,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<aws_sdk_dynamodb::error::BuildError> for StoreError {
    fn from(error: aws_sdk_dynamodb::error::BuildError) -> Self {
        Self::Service(error.to_string())
    }
}

/// A client of DynamoDB.
pub fn client(environment: &Environment, config: &SdkConfig) -> Client {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(config).interceptor(aws::call_recorder());
    if let Some(endpoint) = aws::endpoint(environment, "DYNAMODB") {
        builder = builder.endpoint_url(endpoint);
    }
    Client::from_conf(builder.build())
}

/// A client of DynamoDB for work that nobody waits for: it asks again, for a minute and longer, where the table has no capacity.
pub fn patient_client(environment: &Environment, config: &SdkConfig) -> Client {
    let retries = RetryConfig::standard().with_max_attempts(12).with_max_backoff(Duration::from_secs(10));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(150))
        .build();
    let mut builder = aws_sdk_dynamodb::config::Builder::from(config)
        .interceptor(aws::call_recorder())
        .retry_config(retries)
        .timeout_config(timeouts);
    if let Some(endpoint) = aws::endpoint(environment, "DYNAMODB") {
        builder = builder.endpoint_url(endpoint);
    }
    Client::from_conf(builder.build())
}

/// Opens the connection to DynamoDB during the start, so that the first request does not pay for it: reads an item that is
/// not there.
///
/// # Errors
/// [`StartError::Service`]: the table is not there, or may not be read.
pub async fn connect(client: &Client, table: &str, sorted: bool) -> Result<(), StartError> {
    let mut read = client.get_item().table_name(table).key("pk", text("connect"));
    if sorted {
        read = read.key("sk", text("connect"));
    }
    read.send()
        .await
        .map(|_| ())
        .map_err(|error| StartError::Service { service: "DynamoDB", reason: aws::describe(&error) })
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn to_item(value: impl Serialize) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(|error| StoreError::Unreadable(error.to_string()))
}

pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// Takes an attribute of bytes out of an item.
pub(crate) fn bytes(item: &mut Item, name: &str) -> Option<Vec<u8>> {
    match item.remove(name) {
        Some(AttributeValue::B(bytes)) => Some(bytes.into_inner()),
        _ => None,
    }
}

/// The partition key of an item.
pub(crate) fn pk(item: &Item) -> &str {
    item.get("pk").and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

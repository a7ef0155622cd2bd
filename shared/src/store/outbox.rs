//! The table `mail`: the outbox.
//!
//! | item | key `pk` | read by | written by |
//! | --- | --- | --- | --- |
//! | a reset's mail | `reset#<reset id>` | key: HR's look at its state; dispatch, on the table's stream | reset (in its transaction); dispatch |
//!
//! An entry's life: `queued → sending → sent`, or `failed`. The ciphertext of password and address goes with `sent` and
//! `failed`. `sending` is a lease: whoever holds it sends; when it runs out, another may.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{StoreError, from_item, number, text};

/// How long a dispatcher may take from lease to note.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How long an entry outlives the password that it carried, for HR's look at its state.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

/// The table.
#[derive(Clone, Debug)]
pub struct Outbox {
    client: Client,
    table: String,
}

/// Where a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// Waits for the dispatcher.
    Queued,
    /// A dispatcher is at it.
    Sending,
    /// SES has accepted it.
    Sent,
    /// The recipient's server has accepted it.
    Delivered,
    /// The recipient's server has refused it.
    Bounced,
    /// It will not be sent.
    Failed,
}

/// A reset's mail, as HR may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The reset.
    pub reset_id: String,
    /// The agency of the person who was reset: decides who may look.
    pub agency: String,
    /// Where the mail is.
    pub state: MailState,
    /// When the reset was.
    pub created_at: Timestamp,
    /// When the initial password ends.
    pub expires_at: Timestamp,
}

/// What a dispatcher needs.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The reset.
    pub reset_id: String,
    /// Password and address, encrypted.
    pub ciphertext: Vec<u8>,
    /// When the initial password ends.
    pub expires_at: Timestamp,
    /// Which try at sending this is, from 1.
    pub attempt: u32,
}

/// What asking for a lease found.
#[derive(Clone, Debug)]
pub enum Lease {
    /// It is ours: send.
    Taken(Leased),
    /// Another dispatcher is at it, or died at it: ask again later.
    Busy,
    /// Nothing is left to do.
    Settled(MailState),
    /// There is no such mail any more.
    Gone,
}

#[derive(Deserialize)]
struct EntryItem {
    pk: String,
    agency: String,
    state: MailState,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    #[serde(default)]
    attempt: u32,
}

impl Outbox {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Queues a mail, as part of the reset's transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue(&self, entry: &Entry, ciphertext: Vec<u8>) -> Result<Put, StoreError> {
        let ttl = entry.expires_at.checked_add(KEPT).unwrap_or(Timestamp::MAX);
        Ok(Put::builder()
            .table_name(&self.table)
            .item("pk", text(format!("reset#{}", entry.reset_id)))
            .item("agency", text(&entry.agency))
            .item("state", text("queued"))
            .item("created_at", number(entry.created_at.as_millisecond()))
            .item("expires_at", number(entry.expires_at.as_millisecond()))
            .item("ciphertext", AttributeValue::B(Blob::new(ciphertext)))
            .item("ttl", number(ttl.as_second()))
            .condition_expression("attribute_not_exists(pk)")
            .build()?)
    }

    /// A reset's mail.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entry(&self, reset_id: &str) -> Result<Option<Entry>, StoreError> {
        let key = text(format!("reset#{reset_id}"));
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", key)
            .consistent_read(true)
            .send()
            .await?;
        let Some(item) = answer.item else { return Ok(None) };
        let item: EntryItem = from_item(item)?;
        Ok(Some(Entry {
            reset_id: reset_id.to_owned(),
            agency: item.agency,
            state: item.state,
            created_at: item.created_at,
            expires_at: item.expires_at,
        }))
    }

    /// Takes the lease of a mail that waits, or whose dispatcher never came back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease(&self, reset_id: &str, now: Timestamp) -> Result<Lease, StoreError> {
        let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(format!("reset#{reset_id}")))
            .update_expression("SET #state = :sending, leased_until = :until ADD attempt :one")
            .condition_expression("#state = :queued OR (#state = :sending AND leased_until < :now)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":sending", text("sending"))
            .expression_attribute_values(":queued", text("queued"))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let mut item = match answer {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(error) => {
                let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error()
                else {
                    return Err(error.into());
                };
                let Some(item) = failed.item().cloned() else { return Ok(Lease::Gone) };
                return Ok(match from_item::<EntryItem>(item)?.state {
                    MailState::Queued | MailState::Sending => Lease::Busy,
                    state => Lease::Settled(state),
                });
            }
        };
        let ciphertext = match item.remove("ciphertext") {
            Some(AttributeValue::B(blob)) => blob.into_inner(),
            _ => return Err(StoreError::Unreadable("a mail without its ciphertext".to_owned())),
        };
        let item: EntryItem = from_item(item)?;
        let reset_id = item.pk.strip_prefix("reset#").unwrap_or_default().to_owned();
        Ok(Lease::Taken(Leased { reset_id, ciphertext, expires_at: item.expires_at, attempt: item.attempt }))
    }

    /// Gives a lease back after a failure that may pass.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn requeue(&self, leased: &Leased) -> Result<(), StoreError> {
        self.settle(leased, "SET #state = :state REMOVE leased_until", MailState::Queued, None).await
    }

    /// Notes that SES has accepted the mail; the ciphertext goes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sent(&self, leased: &Leased, message_id: &str) -> Result<(), StoreError> {
        self.settle(
            leased,
            "SET #state = :state, message_id = :message_id REMOVE leased_until, ciphertext",
            MailState::Sent,
            Some(message_id),
        )
        .await
    }

    /// Notes that the mail will not be sent; the ciphertext goes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn failed(&self, leased: &Leased) -> Result<(), StoreError> {
        self.settle(leased, "SET #state = :state REMOVE leased_until, ciphertext", MailState::Failed, None)
            .await
    }

    async fn settle(
        &self,
        leased: &Leased,
        expression: &str,
        state: MailState,
        message_id: Option<&str>,
    ) -> Result<(), StoreError> {
        let state =
            serde_dynamo::to_attribute_value(state).map_err(|e| StoreError::Unreadable(e.to_string()))?;
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(format!("reset#{}", leased.reset_id)))
            .update_expression(expression)
            .condition_expression("#state = :sending AND attempt = :attempt")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", state)
            .expression_attribute_values(":sending", text("sending"))
            .expression_attribute_values(":attempt", number(leased.attempt));
        if let Some(message_id) = message_id {
            update = update.expression_attribute_values(":message_id", text(message_id));
        }
        match update.send().await {
            Ok(_) => Ok(()),
            // The lease ran out and another dispatcher took over: the note is theirs.
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

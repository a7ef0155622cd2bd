//! The table `mail`: the outbox.
//!
//! | item | key `pk` | read by | written by |
//! | --- | --- | --- | --- |
//! | a reset's mail | `reset#<reset id>` | key: HR's look at its state; dispatch, on the table's stream | reset (in its transaction); dispatch |
//! | a notice | `notice#<notice id>` | key: dispatch, on the table's stream | whoever makes it happen (in its transaction); dispatch |
//!
//! An entry's life: `queued → sending → sent`, or `failed` with the reason in `failure`. `sending` is a lease: whoever holds
//! it sends; when it runs out, another may. The ciphertext of a reset's password and address goes with `sent` and `failed`.
//! A notice has none: it names the person, whose address is read when it is sent.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Item, StoreError, from_item, number, text};
use crate::notice::{Notice, Undeliverable};
use crate::pseudonym::PersonId;

/// How long a dispatcher may take from lease to note.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How long an entry outlives what it was for: for HR's look at its state, and an operator's at what became of it.
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

/// Names a mail in the outbox, in logs, and in its `Message-ID`. Tells nothing of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailId {
    /// Of a reset, by its id.
    Reset(String),
    /// Of a notice, by its id.
    Notice(String),
}

/// A mail in a dispatcher's hands.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The mail.
    pub id: MailId,
    /// What is to be sent.
    pub content: Content,
    /// Which try at sending this is, from 1.
    pub attempt: u32,
}

/// What a dispatcher needs.
#[derive(Clone, Debug)]
pub enum Content {
    /// An initial password.
    Letter {
        /// Password and address, encrypted.
        ciphertext: Vec<u8>,
        /// When the initial password ends.
        expires_at: Timestamp,
    },
    /// A notice.
    Notice {
        /// Whom it is for.
        person: PersonId,
        /// What it tells.
        notice: Notice,
        /// When what it tells of happened here.
        queued_at: Timestamp,
    },
}

/// What asking for a lease found.
#[derive(Clone, Debug)]
pub enum Lease {
    /// It is ours: send.
    Taken(Leased),
    /// Another dispatcher is at it, or died at it: ask again later.
    Busy,
    /// Nothing is left to do, and for a mail that has failed, why.
    Settled(MailState, Option<Undeliverable>),
    /// There is no such mail any more.
    Gone,
}

#[derive(Deserialize)]
struct EntryItem {
    agency: String,
    state: MailState,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct NoticeItem {
    person: PersonId,
    notice: Notice,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    created_at: Timestamp,
}

/// What every entry has.
#[derive(Deserialize)]
struct Progress {
    state: MailState,
    #[serde(default)]
    attempt: u32,
    failure: Option<Undeliverable>,
}

impl MailId {
    /// The mail that an item's key names; `None` for a key of another table.
    #[must_use]
    pub fn of_key(pk: &str) -> Option<Self> {
        let (kind, id) = pk.split_once('#')?;
        match kind {
            "reset" => Some(Self::Reset(id.to_owned())),
            "notice" => Some(Self::Notice(id.to_owned())),
            _ => None,
        }
    }

    /// `reset` or `notice`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reset(_) => "reset",
            Self::Notice(_) => "notice",
        }
    }

    /// The reset's or the notice's id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Reset(id) | Self::Notice(id) => id,
        }
    }

    fn key(&self) -> String {
        format!("{}#{}", self.kind(), self.as_str())
    }
}

impl Content {
    fn of(id: &MailId, mut item: Item) -> Result<Self, StoreError> {
        match id {
            MailId::Reset(_) => {
                let Some(AttributeValue::B(ciphertext)) = item.remove("ciphertext") else {
                    return Err(StoreError::Unreadable("a mail without its ciphertext".to_owned()));
                };
                let item: EntryItem = from_item(item)?;
                Ok(Self::Letter { ciphertext: ciphertext.into_inner(), expires_at: item.expires_at })
            }
            MailId::Notice(_) => {
                let NoticeItem { person, notice, created_at } = from_item(item)?;
                Ok(Self::Notice { person, notice, queued_at: created_at })
            }
        }
    }
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
            .item("pk", text(MailId::Reset(entry.reset_id.clone()).key()))
            .item("agency", text(&entry.agency))
            .item("state", text("queued"))
            .item("created_at", number(entry.created_at.as_millisecond()))
            .item("expires_at", number(entry.expires_at.as_millisecond()))
            .item("ciphertext", AttributeValue::B(Blob::new(ciphertext)))
            .item("ttl", number(ttl.as_second()))
            .condition_expression("attribute_not_exists(pk)")
            .build()?)
    }

    /// Queues a notice, as part of the transaction that makes happen what it tells of. `id` is random and new, such as a
    /// [`Secret`](crate::secret::Secret).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue_notice(
        &self,
        person: &PersonId,
        notice: &Notice,
        id: &str,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let notice =
            serde_dynamo::to_attribute_value(notice).map_err(|e| StoreError::Unreadable(e.to_string()))?;
        let ttl = now.checked_add(KEPT).unwrap_or(Timestamp::MAX);
        Ok(Put::builder()
            .table_name(&self.table)
            .item("pk", text(MailId::Notice(id.to_owned()).key()))
            .item("person", text(person.as_str()))
            .item("notice", notice)
            .item("state", text("queued"))
            .item("created_at", number(now.as_millisecond()))
            .item("ttl", number(ttl.as_second()))
            .condition_expression("attribute_not_exists(pk)")
            .build()?)
    }

    /// A reset's mail. A notice has another key, and is never found here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entry(&self, reset_id: &str) -> Result<Option<Entry>, StoreError> {
        let key = text(MailId::Reset(reset_id.to_owned()).key());
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
    pub async fn lease(&self, id: &MailId, now: Timestamp) -> Result<Lease, StoreError> {
        let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(id.key()))
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
        let item = match answer {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(error) => {
                let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error()
                else {
                    return Err(error.into());
                };
                let Some(item) = failed.item().cloned() else { return Ok(Lease::Gone) };
                let progress: Progress = from_item(item)?;
                return Ok(match progress.state {
                    MailState::Queued | MailState::Sending => Lease::Busy,
                    state => Lease::Settled(state, progress.failure),
                });
            }
        };
        let Progress { attempt, .. } = from_item(item.clone())?;
        Ok(Lease::Taken(Leased { id: id.clone(), content: Content::of(id, item)?, attempt }))
    }

    /// Gives a lease back after a failure that may pass.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn requeue(&self, leased: &Leased) -> Result<(), StoreError> {
        self.settle(leased, "SET #state = :state REMOVE leased_until", MailState::Queued, None).await
    }

    /// Notes that SES has accepted the mail; a ciphertext goes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sent(&self, leased: &Leased, message_id: &str) -> Result<(), StoreError> {
        self.settle(
            leased,
            "SET #state = :state, message_id = :note REMOVE leased_until, ciphertext",
            MailState::Sent,
            Some(text(message_id)),
        )
        .await
    }

    /// Notes that the mail will not be sent, and why; a ciphertext goes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn failed(&self, leased: &Leased, why: Undeliverable) -> Result<(), StoreError> {
        let why = serde_dynamo::to_attribute_value(why).map_err(|e| StoreError::Unreadable(e.to_string()))?;
        self.settle(
            leased,
            "SET #state = :state, failure = :note REMOVE leased_until, ciphertext",
            MailState::Failed,
            Some(why),
        )
        .await
    }

    async fn settle(
        &self,
        leased: &Leased,
        expression: &str,
        state: MailState,
        note: Option<AttributeValue>,
    ) -> Result<(), StoreError> {
        let state =
            serde_dynamo::to_attribute_value(state).map_err(|e| StoreError::Unreadable(e.to_string()))?;
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(leased.id.key()))
            .update_expression(expression)
            .condition_expression("#state = :sending AND attempt = :attempt")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", state)
            .expression_attribute_values(":sending", text("sending"))
            .expression_attribute_values(":attempt", number(leased.attempt));
        if let Some(note) = note {
            update = update.expression_attribute_values(":note", note);
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

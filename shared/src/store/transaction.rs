//! A transaction over any of the tables, whose refused conditions have names.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};

use super::{Item, StoreError};

/// What a write of a transaction guards: tells which condition was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Who acts may still do what was decided that they may: in service, and of the same authority.
    Actor,
    /// The person is of the generation, and in the state, that the decision was made on.
    Person,
    /// The ticket or code is still there.
    Ticket,
    /// The session that another one is lent from is still there.
    Session,
    /// The custom account is free.
    Account,
    /// The card is nobody else's.
    Card,
    /// The count of failures is the one that was read.
    Attempts,
    /// The counter of a rate is under its limit.
    Rate,
    /// The counter of what is done to one person is under its limit.
    PersonRate,
    /// The certificate is on no list of its issuer.
    Revocation,
    /// The lease of a revocation list is still held.
    List,
    /// Nobody has been told of it today.
    Notice,
    /// The entry of the outbox is where it was when it was read.
    Mail,
    /// The authorization is in the state that the decision was made on.
    Authorization,
    /// Nothing was answered yet to the request's idempotency key.
    Key,
    /// The bulk reset is where it was when it was read, and in the worker's hands.
    Bulk,
    /// The chain ends where it did when it was read.
    Link,
    /// Refused only if random ids collide.
    New,
}

/// Writes that happen together or not at all.
#[derive(Clone, Default)]
pub struct Transaction {
    writes: Vec<(Guard, TransactWriteItem)>,
}

/// A refused condition, with the item as it stands.
#[derive(Debug)]
pub struct Refused {
    /// Which.
    pub guard: Guard,
    /// The item, when there is one and the write asked for it.
    pub item: Option<Item>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Conditions were refused.
    #[error("refused conditions: {:?}", .0.iter().map(|refused| refused.guard).collect::<Vec<_>>())]
    Refused(Vec<Refused>),
    /// Other transactions were in the way, several times over.
    #[error("other transactions in the way")]
    Busy,
    /// The service.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// The refused condition of a guard.
    pub fn refused(&self, guard: Guard) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => refused.iter().find(|refused| refused.guard == guard),
            Self::Busy | Self::Store(_) => None,
        }
    }
}

/// How often a transaction is tried while others are in its way, and the wait before the second try; doubled after each.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(20);

impl Transaction {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write.
    #[must_use]
    pub fn with(mut self, guard: Guard, write: impl Into<Write>) -> Self {
        self.writes.push((guard, write.into().0));
        self
    }

    /// Adds a write if there is one.
    #[must_use]
    pub fn with_some(self, guard: Guard, write: Option<impl Into<Write>>) -> Self {
        match write {
            Some(write) => self.with(guard, write),
            None => self,
        }
    }

    /// Writes everything, or nothing.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn commit(self, client: &Client) -> Result<(), CommitError> {
        let (guards, writes): (Vec<_>, Vec<_>) = self.writes.into_iter().unzip();
        let mut wait = FIRST_WAIT;
        for attempt in 1..=TRIES {
            let answer = client.transact_write_items().set_transact_items(Some(writes.clone())).send().await;
            let error = match answer {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let Some(cancelled) = error.as_service_error().and_then(|e| match e {
                aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
                    cancelled,
                ) => Some(cancelled),
                _ => None,
            }) else {
                return Err(StoreError::from(error).into());
            };
            let reasons = cancelled.cancellation_reasons();
            let refused: Vec<Refused> = guards
                .iter()
                .zip(reasons)
                .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
                .map(|(guard, reason)| Refused { guard: *guard, item: reason.item().cloned() })
                .collect();
            if !refused.is_empty() {
                return Err(CommitError::Refused(refused));
            }
            let passing = |code: Option<&str>| {
                matches!(
                    code,
                    None | Some(
                        "None" | "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError"
                    )
                )
            };
            if !reasons.iter().all(|reason| passing(reason.code())) {
                return Err(StoreError::from(error).into());
            }
            if attempt < TRIES {
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2);
            }
        }
        Err(CommitError::Busy)
    }
}

/// One write of a transaction.
pub struct Write(TransactWriteItem);

impl From<Put> for Write {
    fn from(put: Put) -> Self {
        Self(TransactWriteItem::builder().put(put).build())
    }
}

impl From<Update> for Write {
    fn from(update: Update) -> Self {
        Self(TransactWriteItem::builder().update(update).build())
    }
}

impl From<Delete> for Write {
    fn from(delete: Delete) -> Self {
        Self(TransactWriteItem::builder().delete(delete).build())
    }
}

impl From<ConditionCheck> for Write {
    fn from(check: ConditionCheck) -> Self {
        Self(TransactWriteItem::builder().condition_check(check).build())
    }
}

//! One mail: leased, composed, sent, noted.

use std::time::Duration;

use jiff::Timestamp;
use shared::chance;
use shared::delivery::pace::has_passed;
use shared::delivery::retry::{MAX_STRIKES, backoff};
use shared::notice::Undeliverable;
use shared::sqs::DeadLetter;
use shared::store::StoreError;
use shared::store::outbox::{Lease, Leased, MailId};

use crate::EmailDispatch;
use crate::message::{Message, Unsent};
use crate::pace::Turns;

/// How a mail ended, for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// SES has it.
    Sent,
    /// Another dispatcher is at it, or it was put back a moment ago.
    NotNow,
    /// Nothing was left to do: an earlier delivery of the record did it.
    AlreadySettled,
    /// It will not be sent.
    Undeliverable(Undeliverable),
    /// It is to be tried again.
    PutBack {
        /// Why.
        reason: String,
        /// Whether SES takes no more for now.
        throttled: bool,
    },
    /// It was not tried: SES takes no more for now.
    PutOff(String),
    /// The table did not answer: nothing is known, or the note of what happened is missing.
    OutOfReach(String),
}

impl Outcome {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::NotNow => "not_now",
            Self::AlreadySettled => "already_settled",
            Self::Undeliverable(_) => "undeliverable",
            Self::PutBack { .. } => "put_back",
            Self::PutOff(_) => "put_off",
            Self::OutOfReach(_) => "out_of_reach",
        }
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Undeliverable(why) => why.to_string(),
            Self::PutBack { reason, .. } | Self::PutOff(reason) | Self::OutOfReach(reason) => reason.clone(),
            Self::Sent | Self::NotNow | Self::AlreadySettled => String::new(),
        }
    }

    /// Whether somebody waits for a mail that will not come by itself. What nobody is there to read is none.
    pub(crate) fn is_failure(&self) -> bool {
        match self {
            Self::Undeliverable(why) => match why {
                Undeliverable::Refused
                | Undeliverable::Rejected
                | Undeliverable::GivenUp
                | Undeliverable::Expired
                | Undeliverable::TooOld
                | Undeliverable::AddressUnreadable => true,
                Undeliverable::Replaced | Undeliverable::NoAddress | Undeliverable::PersonGone => false,
            },
            Self::Sent
            | Self::NotNow
            | Self::AlreadySettled
            | Self::PutBack { .. }
            | Self::PutOff(_)
            | Self::OutOfReach(_) => false,
        }
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        Self::OutOfReach(error.to_string())
    }
}

impl EmailDispatch {
    /// Sends a mail, if it is there to be sent, in `slot` or in another one when that has passed.
    pub(crate) async fn dispatch(&self, id: &MailId, slot: Timestamp, turns: &Turns<'_>) -> Outcome {
        self.try_dispatch(id, slot, turns).await.unwrap_or_else(Outcome::from)
    }

    async fn try_dispatch(
        &self,
        id: &MailId,
        slot: Timestamp,
        turns: &Turns<'_>,
    ) -> Result<Outcome, StoreError> {
        let leased = match self.outbox.lease(id, self.clock.now()).await? {
            Lease::Taken(leased) => leased,
            Lease::Busy | Lease::NotYet(_) => return Ok(Outcome::NotNow),
            Lease::Settled(_) | Lease::Gone => return Ok(Outcome::AlreadySettled),
        };
        if leased.strikes >= MAX_STRIKES {
            return self.give_up(&leased, "its dispatchers died").await;
        }
        match self.send(&leased, slot, turns).await {
            Ok(message_id) => {
                self.outbox.sent(&leased, &message_id, self.clock.now()).await?;
                Ok(Outcome::Sent)
            }
            Err(Unsent::Final(why)) => {
                self.outbox.failed(&leased, why, self.clock.now()).await?;
                Ok(Outcome::Undeliverable(why))
            }
            Err(unsent @ Unsent::OfItsOwn(_)) if leased.strikes.saturating_add(1) >= MAX_STRIKES => {
                self.give_up(&leased, unsent.reason()).await
            }
            Err(unsent) => self.put_back(&leased, &unsent).await,
        }
    }

    /// Composes and sends. What the message holds is in memory from here to the end of the call.
    async fn send(&self, leased: &Leased, slot: Timestamp, turns: &Turns<'_>) -> Result<String, Unsent> {
        let Message { to, content } = self.compose(leased).await?;
        self.await_turn(leased, slot, turns).await?;
        Ok(self.mailer.send(&to, &content, leased.id.kind(), leased.id.as_str()).await?)
    }

    /// Waits for `slot`, and for another one while that has passed: SES counts what reaches it, however long the composition
    /// took or the process stood still.
    async fn await_turn(
        &self,
        leased: &Leased,
        mut slot: Timestamp,
        turns: &Turns<'_>,
    ) -> Result<(), Unsent> {
        loop {
            if !leased.outlasts_a_call(slot.max(self.clock.now())) {
                return Err(Unsent::Passing("too late for its slot".to_owned()));
            }
            self.until(slot).await;
            if !has_passed(slot, self.clock.now()) {
                return Ok(());
            }
            slot = turns.take_another().await.map_err(Unsent::Passing)?;
        }
    }

    async fn until(&self, time: Timestamp) {
        if let Ok(wait) = Duration::try_from(time.duration_since(self.clock.now())) {
            tokio::time::sleep(wait).await;
        }
    }

    async fn put_back(&self, leased: &Leased, unsent: &Unsent) -> Result<Outcome, StoreError> {
        let wait = backoff(leased.attempt, &mut chance::system());
        let now = self.clock.now();
        let not_before = now.checked_add(wait).unwrap_or(now);
        let strike = matches!(unsent, Unsent::OfItsOwn(_));
        self.outbox.put_back(leased, not_before, strike, unsent.reason()).await?;
        let throttled = matches!(unsent, Unsent::Throttled(_));
        Ok(Outcome::PutBack { reason: unsent.reason().to_owned(), throttled })
    }

    /// The dead letter comes first: a crash in between makes a second one, and not a mail that nobody hears of.
    async fn give_up(&self, leased: &Leased, reason: &str) -> Result<Outcome, StoreError> {
        let letter = DeadLetter {
            mail: leased.id.key(),
            reason: reason.to_owned(),
            attempts: leased.attempt,
            strikes: leased.strikes,
            created_at: leased.created_at,
        };
        if let Err(error) = self.dead_letters.send(&letter).await {
            return self.put_back(leased, &Unsent::Passing(error.to_string())).await;
        }
        self.outbox.failed(leased, Undeliverable::GivenUp, self.clock.now()).await?;
        Ok(Outcome::Undeliverable(Undeliverable::GivenUp))
    }
}

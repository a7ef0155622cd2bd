//! How fast: SES's quota, asked for now and then, and slots in the pace that all dispatchers share.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use shared::delivery::pace::{Pace, Row, Slots};
use shared::ses::Quota;
use tokio::sync::Mutex as AsyncMutex;

use crate::EmailDispatch;

/// How long a quota is believed.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// The part of SES's rate that is used. SES counts when mails reach it, and the way there is not always equally long.
const SHARE: f64 = 0.9;

/// What SES last said of its quota.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<Option<(Timestamp, Quota)>>);

impl Quotas {
    fn known(&self) -> Option<(Timestamp, Quota)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, at: Timestamp, quota: Quota) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, quota));
    }
}

impl EmailDispatch {
    async fn quota(&self, now: Timestamp) -> Option<Quota> {
        let known = self.quotas.known();
        if let Some((at, quota)) = known
            && now.duration_since(at).abs() < FRESH
        {
            return Some(quota);
        }
        match self.mailer.quota().await {
            Ok(quota) => {
                self.quotas.keep(now, quota);
                Some(quota)
            }
            Err(error) => {
                tracing::warn!(step = "email-dispatch", %error, "quota unknown");
                known.map(|(_, quota)| quota)
            }
        }
    }

    /// A row of slots for so many mails.
    ///
    /// # Errors
    /// Why there is none, in words for the log.
    async fn slots(&self, mails: u32) -> Result<Row, String> {
        let quota = self.quota(self.clock.now()).await;
        if quota.is_some_and(|quota| quota.is_spent()) {
            return Err("the day's quota of SES is spent".to_owned());
        }
        let pace =
            quota.and_then(|quota| Pace::per_second(quota.max_send_rate * SHARE)).unwrap_or(Pace::UNKNOWN);
        match self.outbox.reserve(mails, pace, self.clock.now()).await {
            Ok(Slots::Reserved(row)) => Ok(row),
            Ok(Slots::Later(_)) => Err("the pace".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The slots of a batch's mails. Who asks gets the next; when those left have passed, as after a standstill, the mails that
/// are still to come get a new row.
pub(crate) struct Turns<'a> {
    step: &'a EmailDispatch,
    left: AsyncMutex<Left>,
}

struct Left {
    row: Row,
    /// Mails without a slot.
    mails: u32,
}

impl<'a> Turns<'a> {
    /// Reserves slots for so many mails.
    ///
    /// # Errors
    /// Why there are none, in words for the log.
    pub(crate) async fn reserve(step: &'a EmailDispatch, mails: usize) -> Result<Self, String> {
        let mails = u32::try_from(mails).unwrap_or(u32::MAX);
        let row = step.slots(mails).await?;
        Ok(Self { step, left: AsyncMutex::new(Left { row, mails }) })
    }

    /// A mail's slot.
    ///
    /// # Errors
    /// Why there is none, in words for the log.
    pub(crate) async fn take(&self) -> Result<Timestamp, String> {
        let mut left = self.left.lock().await;
        let now = self.step.clock.now();
        let mails = left.mails;
        // One that gets none does not ask again.
        left.mails = mails.saturating_sub(1);
        if let Some(slot) = left.row.take(now) {
            return Ok(slot);
        }
        left.row = self.step.slots(mails).await?;
        left.row.take(now).ok_or_else(|| "the pace".to_owned())
    }

    /// Another slot, for a mail whose own has passed.
    ///
    /// # Errors
    /// Why there is none, in words for the log.
    pub(crate) async fn take_another(&self) -> Result<Timestamp, String> {
        self.left.lock().await.mails += 1;
        self.take().await
    }
}

//! How fast: SES's quota, asked for now and then, and slots in the pace that all dispatchers share.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use shared::delivery::pace::{Pace, Slots};
use shared::ses::Quota;

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

    /// Slots for so many mails.
    ///
    /// # Errors
    /// Why there are none, in words for the log.
    pub(crate) async fn slots(&self, mails: usize) -> Result<Slots, String> {
        let quota = self.quota(self.clock.now()).await;
        if quota.is_some_and(|quota| quota.is_spent()) {
            return Err("the day's quota of SES is spent".to_owned());
        }
        let pace =
            quota.and_then(|quota| Pace::per_second(quota.max_send_rate * SHARE)).unwrap_or(Pace::UNKNOWN);
        let mails = u32::try_from(mails).unwrap_or(u32::MAX);
        self.outbox.reserve(mails, pace, self.clock.now()).await.map_err(|error| error.to_string())
    }
}

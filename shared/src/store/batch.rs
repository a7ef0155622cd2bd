//! Batch reads. DynamoDB may answer a part and leave the rest for want of capacity: that is asked for again, with growing
//! waits, as long as whoever asks can wait.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::{Item, StoreError};

/// Most keys of one call.
pub const KEYS: usize = 100;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// For how long what was left is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Somebody waits for the answer: a second and a half.
    Call,
    /// Nobody does: half a minute.
    Work,
}

impl Patience {
    /// The waits between tries, each twice the one before, up to the longest.
    pub fn waits(self) -> impl Iterator<Item = Duration> + Send {
        let tries = match self {
            Self::Call => 5,
            Self::Work => 11,
        };
        let next = |wait: &Duration| Some(wait.saturating_mul(2).min(LONGEST_WAIT));
        std::iter::successors(Some(FIRST_WAIT), next).take(tries)
    }
}

/// Reads keys of several tables in one call, [`KEYS`] at most and none of them twice: the items that are there, by table.
///
/// # Errors
/// [`StoreError`]: also when something is left after the last try.
pub async fn read(
    client: &Client,
    mut wanted: HashMap<String, KeysAndAttributes>,
    patience: Patience,
) -> Result<HashMap<String, Vec<Item>>, StoreError> {
    let mut found: HashMap<String, Vec<Item>> = HashMap::new();
    let mut waits = patience.waits();
    loop {
        let answer = client.batch_get_item().set_request_items(Some(wanted)).send().await?;
        for (table, items) in answer.responses.unwrap_or_default() {
            found.entry(table).or_default().extend(items);
        }
        wanted = answer.unprocessed_keys.unwrap_or_default();
        if wanted.is_empty() {
            return Ok(found);
        }
        let Some(wait) = waits.next() else {
            return Err(StoreError::Service("keys of a batch stay unprocessed".to_owned()));
        };
        tokio::time::sleep(wait).await;
    }
}

/// [`read`] of one table.
///
/// # Errors
/// [`StoreError`].
pub async fn read_one(
    client: &Client,
    table: &str,
    wanted: KeysAndAttributes,
    patience: Patience,
) -> Result<Vec<Item>, StoreError> {
    let found = read(client, HashMap::from([(table.to_owned(), wanted)]), patience).await?;
    Ok(found.into_values().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        for (patience, sum) in [(Patience::Call, 1_550), (Patience::Work, 26_350)] {
            let waits: Vec<Duration> = patience.waits().collect();
            assert!(waits.is_sorted(), "{waits:?}");
            assert_eq!(waits.iter().sum::<Duration>(), Duration::from_millis(sum), "{patience:?}");
        }
    }
}

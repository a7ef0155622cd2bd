//! Statements of where the chains end, and before each the look for entries that are in no chain.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use shared::audit::chain::{SETTLED_AFTER, Unchained, entry_digest};
use shared::audit::statement::{self, Stated, Statement};
use shared::clock::Clock;
use shared::kms::KmsError;
use shared::lambda::time_left;
use shared::s3::{Put, S3Error};
use shared::store::StoreError;
use shared::store::chains::KEYS_AT_ONCE;
use shared::telemetry::Metrics;
use shared::token::Unsigned;

use crate::AuditChain;

/// Where the first look begins, before now: a stream keeps its records for 24 hours.
const FIRST_LOOK: SignedDuration = SignedDuration::from_hours(26);
/// The media type of a statement.
const MEDIA_TYPE: &str = "application/jose";
/// Before the function's time is over, so long is left for the statement itself.
const RESERVE: Duration = Duration::from_secs(20);

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kms(#[from] KmsError),
    #[error(transparent)]
    Bucket(#[from] S3Error),
    #[error("the last statement is not ours: {0}")]
    NotOurs(#[from] statement::NotAStatement),
    #[error("{0} entries cannot be chained: {1}")]
    Unchained(usize, String),
}

/// A statement that was made.
#[derive(Debug)]
pub(crate) struct Signed {
    /// Its number.
    pub(crate) number: u64,
    /// How many entries the look has found in no chain.
    pub(crate) found: u64,
}

impl AuditChain {
    /// Looks for what is in no chain, chains it, and has a statement of all chains signed and kept.
    pub(crate) async fn sign(&self, deadline: u64, request_id: &str) -> Result<Signed, NotSigned> {
        // As precise as the times in the keys.
        let now = Timestamp::from_millisecond(self.clock.now().as_millisecond()).unwrap_or(Timestamp::MIN);
        let end = time_left(deadline, Clock::system().now().as_millisecond(), RESERVE)
            .and_then(|left| Instant::now().checked_add(left));
        let last = match self.store.last_statement().await? {
            None => None,
            Some((number, jws)) => {
                // A run that ended between table and bucket is made good by the next.
                self.keep_in_bucket(number, &jws).await?;
                let statement = Statement::verify(&jws, std::slice::from_ref(&self.public))?;
                Some((statement, statement::digest(&jws)))
            }
        };
        let since = last.as_ref().map(|(statement, _)| statement.settled_until);
        let since = since.unwrap_or_else(|| now.checked_sub(FIRST_LOOK).unwrap_or(Timestamp::MIN));
        let until = now.checked_sub(SETTLED_AFTER).unwrap_or(since).max(since);
        let (settled_until, found) = self.look(since, until, end, request_id).await?;
        // Only now: what the look has chained is behind these ends.
        let ends = self.chains.all().map(|chain| async move {
            Ok::<_, StoreError>(Stated::new(chain, self.store.end(&self.chains, chain).await?))
        });
        let statement = Statement {
            stack: self.chains.stack().to_owned(),
            number: last.as_ref().map_or(0, |(statement, _)| statement.number).saturating_add(1),
            previous: last.map(|(_, digest)| digest),
            at: now,
            settled_until,
            chains: try_join_all(ends).await?,
        };
        let unsigned = Unsigned::jws(statement::TYPE, &statement, &self.public.kid);
        let jws = self.kms.signed(&self.key, unsigned).await?;
        let number = statement.number;
        // Of two at once, one has the number; the other's statement says nothing more.
        if self.store.keep_statement(number, &jws).await? {
            self.keep_in_bucket(number, &jws).await?;
        }
        let links = statement.chains.iter().map(|stated| stated.count).sum::<u64>();
        tracing::info!(step = "audit-chain", request_id, number, links, found, outcome = "signed", "heads");
        Metrics::of_audit(&self.stage).count("AuditHeadsSigned", 1).emit(now);
        Ok(Signed { number, found })
    }

    async fn keep_in_bucket(&self, number: u64, jws: &str) -> Result<(), S3Error> {
        let put = Put { content_type: Some(MEDIA_TYPE), only_new: true, ..Put::default() };
        match self.bucket.put(&statement::object_key(number), jws.as_bytes().to_vec(), &put).await {
            Ok(_) | Err(S3Error::NotAsExpected) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Chains every entry with a time in `since..until` that is in no chain. Answers until when there is none any more, and how
    /// many there were; stops before `end`, at the end of an hour, and the next look goes on there.
    async fn look(
        &self,
        since: Timestamp,
        until: Timestamp,
        end: Option<Instant>,
        request_id: &str,
    ) -> Result<(Timestamp, u64), NotSigned> {
        let (mut from, mut found) = (since, 0);
        while from < until && end.is_none_or(|end| Instant::now() < end) {
            let to = next_hour(from).min(until);
            for keys in self.trail.keys_between(from, to).await?.chunks(KEYS_AT_ONCE) {
                let places = self.store.places(keys).await?;
                let missing: Vec<_> = keys.iter().filter(|key| !places.contains_key(*key)).cloned().collect();
                let items = self.trail.items(&missing).await?;
                let entries =
                    items.into_iter().map(|(key, item)| Unchained { key, digest: entry_digest(&item) });
                let mut entries: Vec<Unchained> = entries.collect();
                entries.sort_by(|one, other| one.key.sk.cmp(&other.key.sk));
                let chained = self.chain(entries).await;
                self.tell(&chained.altered, chained.new, request_id);
                if let Some((_, reason)) = chained.failed.first() {
                    return Err(NotSigned::Unchained(chained.failed.len(), reason.clone()));
                }
                found += chained.new;
            }
            from = to;
        }
        if found > 0 {
            tracing::warn!(
                step = "audit-chain",
                request_id,
                found,
                "entries that did not come by the stream"
            );
            Metrics::of_audit(&self.stage).count("AuditEntriesFound", found).emit(self.clock.now());
        }
        Ok((from, found))
    }
}

/// The end of a time's hour.
fn next_hour(at: Timestamp) -> Timestamp {
    let hour = at.as_second().div_euclid(60 * 60).saturating_add(1);
    Timestamp::from_second(hour.saturating_mul(60 * 60)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_ends_where_the_next_begins() {
        for (at, expected) in [
            ("2026-08-03T00:00:00Z", "2026-08-03T01:00:00Z"),
            ("2026-08-03T00:59:59.999Z", "2026-08-03T01:00:00Z"),
            ("1969-12-31T23:30:00Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(next_hour(at.parse().unwrap()), expected.parse::<Timestamp>().unwrap(), "{at}");
        }
    }
}

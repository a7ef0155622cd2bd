//! A source's list, from its bytes to the table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use shared::certificate::{Authority, IssuerId};
use shared::environment::StartError;
use shared::revocation::{
    Bucket, BucketDigests, Buckets, Ca, List, ListRefusal, RevokedCertificate, Scope, difference, lists_in,
};
use shared::store::StoreError;
use shared::store::revocations::{Change, Lease, Marker, Validators, WRITES};

use crate::handler::Outcome;
use crate::source::{Fetched, SourceError};
use crate::{RevocationSync, Run};

/// How long a run may be silent before another may take its place. It speaks up every [`BEAT`].
const LEASE: SignedDuration = SignedDuration::from_secs(45);
/// How often a lease is renewed.
const BEAT: Duration = Duration::from_secs(10);
/// A lease that could not be renewed for so long is given up before it ends: calls under way must not outlive it.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// How long a run waits for another's lease to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at another's lease.
const PAUSE: Duration = Duration::from_millis(500);
/// Buckets that are compared and written together: what a run keeps in memory of a long list.
const GROUP: usize = 256;
/// Queries or reads at once.
const READS_AT_ONCE: usize = 16;
/// Batches of writes at once.
const WRITES_AT_ONCE: usize = 16;

/// Why the table is not at a source's list.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing came.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What came is no list of this issuer.
    #[error(transparent)]
    List(#[from] ListRefusal),
    /// What came contradicts the list that is in the table.
    #[error("{0}")]
    Conflict(&'static str),
    /// `issuers.toml` names a signer that is not there.
    #[error(transparent)]
    Truststore(#[from] StartError),
    /// Another run has the lease.
    #[error("another run is at it")]
    Busy,
    /// Another run has taken the lease over.
    #[error("another run has taken over")]
    Lost,
    /// The function's time is over.
    #[error("out of time; the next run goes on")]
    OutOfTime,
    /// The tables.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a list changed.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Entries that are new or changed.
    pub added: u64,
    /// Entries that are gone.
    pub removed: u64,
    /// Certificates in use whose sessions have ended.
    pub ended: u64,
    /// The list that the table has now.
    pub marker: Option<Marker>,
}

/// A list that was read, with what it came with.
struct Newer<'a> {
    issuer: &'a Authority,
    list: &'a List<'a>,
    buckets: &'a Buckets<'a>,
    digest: &'a str,
    sources: BTreeMap<String, Validators>,
    /// Whether the issuer had any list before. Without one nobody can have signed in.
    followed: bool,
}

/// How a list stands to the one in the table.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Newer,
    Same,
    Older,
}

impl RevocationSync {
    /// Brings the table to the list that a source has now. `markers` are the issuer's.
    pub(crate) async fn bring(
        &self,
        issuer: &Authority,
        source: &str,
        markers: &[Marker],
        run: &Run,
    ) -> Result<(Outcome, Applied), Failure> {
        let whole = |marker: &&Marker| !run.reread && is_whole(marker, markers);
        let unchanged = |marker: &Marker| {
            (Outcome::Unchanged, Applied { marker: Some(marker.clone()), ..Applied::default() })
        };
        let known = markers.iter().filter(whole).find(|marker| marker.sources.contains_key(source));
        let validators = known.and_then(|marker| marker.sources.get(source));
        let conditional = validators.filter(|validators| **validators != Validators::default());
        let fetched =
            run.in_time(self.sources.fetch(source, conditional)).await.ok_or(Failure::OutOfTime)??;
        let (bytes, validators) = match (fetched, known) {
            (Fetched::NotModified, Some(marker)) => return Ok(unchanged(marker)),
            (Fetched::NotModified, None) => return Err(SourceError::Status(304).into()),
            (Fetched::List { bytes, validators }, _) => (bytes, validators),
        };
        let der = one_list(bytes)?;
        let digest = hex::encode(digest(&SHA256, &der));
        if let Some(marker) = markers.iter().filter(whole).find(|marker| marker.digest == digest) {
            if marker.sources.get(source) != Some(&validators) {
                for marker in markers.iter().filter(|other| other.digest == digest) {
                    self.revocations.note_source(issuer.id(), marker, source, &validators).await?;
                }
            }
            return Ok(unchanged(marker));
        }
        let signer = self.truststore.list_signer(issuer)?;
        let (ca, signing) = (ca(issuer)?, ca(signer)?);
        let list = List::read(&der, &ca, &signing, run.now())?;
        let buckets = Buckets::of(&list);
        let sources = BTreeMap::from([(source.to_owned(), validators)]);
        let followed = !markers.is_empty();
        let newer = Newer { issuer, list: &list, buckets: &buckets, digest: &digest, sources, followed };
        let mut outcome = Outcome::Unchanged;
        let mut total = Applied::default();
        for scope in list.scopes() {
            let (of_scope, applied) = self.bring_scope(&newer, scope, run).await?;
            if outcome != Outcome::Applied {
                outcome = of_scope;
            }
            total.added += applied.added;
            total.removed += applied.removed;
            total.ended += applied.ended;
            total.marker = applied.marker;
        }
        Ok((outcome, total))
    }

    /// Brings one scope to a list that speaks for it.
    async fn bring_scope(
        &self,
        newer: &Newer<'_>,
        scope: &Scope,
        run: &Run,
    ) -> Result<(Outcome, Applied), Failure> {
        let issuer = newer.issuer.id();
        let began = Instant::now();
        let (lease, held, changed) = loop {
            // The state first: a lease is had on the very state that was read, so no other run has committed a list since.
            let state = self.revocations.state(issuer, scope).await?;
            let marker = self.revocations.marker(issuer, scope).await?;
            match newer.standing(marker.as_ref(), run.reread)? {
                Standing::Newer => {}
                Standing::Same => return Ok((Outcome::Unchanged, Applied { marker, ..Applied::default() })),
                Standing::Older => return Ok((Outcome::Older, Applied { marker, ..Applied::default() })),
            }
            let held = match (&state, &marker) {
                (Some(state), _) if !run.reread => state.buckets.clone(),
                // No entry is written before there is a state.
                (None, None) => BucketDigests::empty(),
                _ => BucketDigests::unknown(),
            };
            let changed = held.changed(newer.buckets.digests());
            let mut forgotten = held.clone();
            forgotten.forget(&changed);
            let now = run.now();
            let time = (now, now.checked_add(LEASE).unwrap_or(Timestamp::MAX));
            let lease = self.revocations.lease(issuer, scope, state.as_ref(), &forgotten, time).await?;
            if let Some(lease) = lease {
                break (lease, held, changed);
            }
            if run.is_over() || began.elapsed() > PATIENCE {
                return Err(Failure::Busy);
            }
            tokio::time::sleep(PAUSE).await;
        };
        let mut written = held.clone();
        written.forget(&changed);
        let filled = BucketDigests::empty().changed(&held);
        let work = Work { step: self, newer, lease: &lease, held: &held, filled: &filled, run };
        let result = tokio::select! {
            result = work.write(&changed, &mut written) => result,
            () = keep(&lease, run) => Err(Failure::Lost),
        };
        let mut applied = match result {
            Ok(applied) => applied,
            // Nothing is ours to release.
            Err(Failure::Lost) => return Err(Failure::Lost),
            Err(failure) => {
                self.release(&lease, &written).await;
                return Err(failure);
            }
        };
        let marker = newer.marker(scope, lease.generation());
        match lease.commit(&marker, newer.buckets.digests()).await {
            Ok(true) => {
                applied.marker = Some(marker);
                Ok((Outcome::Applied, applied))
            }
            Ok(false) => Err(Failure::Lost),
            Err(error) => {
                self.release(&lease, &written).await;
                Err(error.into())
            }
        }
    }

    /// Leaves a lease to the next run. When that fails too, the next run waits until the lease ends.
    async fn release(&self, lease: &Lease, written: &BucketDigests) {
        if let Err(error) = lease.release(written).await {
            tracing::warn!(step = "revocation-sync", %error, "a lease stays until it ends");
        }
    }
}

impl Newer<'_> {
    fn standing(&self, marker: Option<&Marker>, reread: bool) -> Result<Standing, Failure> {
        let Some(marker) = marker else { return Ok(Standing::Newer) };
        let (now, before) = (self.list.freshness(), &marker.freshness);
        if now.number < before.number {
            return Ok(Standing::Older);
        }
        if now.number == before.number && marker.digest != self.digest {
            return Err(Failure::Conflict("another list with the number of the one in the table"));
        }
        if marker.digest == self.digest && !reread {
            return Ok(Standing::Same);
        }
        // Users' list and CAs' list at once would take each other's place with every run.
        if (before.covers.users && !now.covers.users) || (before.covers.cas && !now.covers.cas) {
            return Err(Failure::Conflict("covers fewer certificates than the list in the table"));
        }
        Ok(Standing::Newer)
    }

    fn marker(&self, scope: &Scope, generation: u64) -> Marker {
        Marker {
            scope: *scope,
            freshness: self.list.freshness().clone(),
            digest: self.digest.to_owned(),
            entries: u64::try_from(self.buckets.count()).unwrap_or(u64::MAX),
            scopes: self.list.scopes().to_vec(),
            generation,
            sources: self.sources.clone(),
        }
    }
}

/// Renews a lease for as long as it is ours.
async fn keep(lease: &Lease, run: &Run) {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(BEAT).await;
        match lease.renew(run.now().checked_add(LEASE).unwrap_or(Timestamp::MAX)).await {
            Ok(true) => renewed = Instant::now(),
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(step = "revocation-sync", %error, "a lease is not renewed");
                if renewed.elapsed() > GIVEN_UP {
                    return;
                }
            }
        }
    }
}

/// Writing a list's entries under a lease.
struct Work<'a> {
    step: &'a RevocationSync,
    newer: &'a Newer<'a>,
    lease: &'a Lease,
    /// What the table has.
    held: &'a BucketDigests,
    /// The buckets in which it has something, or may have; in order.
    filled: &'a [Bucket],
    run: &'a Run,
}

/// What is to be done to a bucket.
#[derive(Default)]
struct Plan {
    changes: Vec<Change>,
    /// Revoked since the table was last known.
    newly: Vec<RevokedCertificate>,
}

impl Work<'_> {
    /// Writes what differs in these buckets, group by group. `written` learns of each group that is done.
    async fn write(&self, changed: &[Bucket], written: &mut BucketDigests) -> Result<Applied, Failure> {
        let mut applied = Applied::default();
        for group in changed.chunks(GROUP) {
            let plans = group.iter().map(|bucket| self.plan(*bucket).boxed());
            let mut changes = Vec::new();
            let mut newly = Vec::new();
            for plan in self.each(plans, READS_AT_ONCE).await? {
                changes.extend(plan.changes);
                newly.extend(plan.newly);
            }
            let writes = changes.chunks(WRITES).map(|batch| self.batch(batch).boxed());
            self.each(writes, WRITES_AT_ONCE).await?;
            // After the entries are there: a sign-in that races with them is seen here, or sees them.
            applied.ended += self.step.end_uses(self.issuer(), &newly, self.run).await?;
            let removed = changes.iter().filter(|change| change.is_delete()).count();
            applied.removed += u64::try_from(removed).unwrap_or(u64::MAX);
            applied.added += u64::try_from(changes.len().saturating_sub(removed)).unwrap_or(u64::MAX);
            written.learn(group, self.newer.buckets.digests());
        }
        Ok(applied)
    }

    fn issuer(&self) -> &IssuerId {
        self.newer.issuer.id()
    }

    async fn batch(&self, changes: &[Change]) -> Result<(), Failure> {
        Ok(self.lease.write(changes).await?)
    }

    async fn plan(&self, bucket: Bucket) -> Result<Plan, Failure> {
        let listed = self.newer.buckets.entries(bucket);
        let held = match self.filled.binary_search(&bucket) {
            Ok(_) => self.lease.bucket(bucket).await?,
            Err(_) => Vec::new(),
        };
        let newly = if !self.newer.followed {
            Vec::new()
        } else if self.held.knows(bucket) {
            let new = |entry: &&RevokedCertificate| !held.iter().any(|held| held.serial == entry.serial);
            listed.iter().filter(new).cloned().collect()
        } else {
            // A run that did not finish may have written the entry and told nobody.
            listed.clone()
        };
        let difference = difference(&held, &listed);
        let puts = difference.put.into_iter().map(|entry| Change::put(bucket, entry));
        let deletes = difference.delete.into_iter().map(|serial| Change::delete(bucket, serial));
        Ok(Plan { changes: puts.chain(deletes).collect(), newly })
    }

    /// Does several things, some at once. What has begun is finished, also when something failed: nothing is under way when
    /// the lease is given up.
    async fn each<'w, T>(
        &self,
        mut work: impl Iterator<Item = BoxFuture<'w, Result<T, Failure>>> + Send,
        at_once: usize,
    ) -> Result<Vec<T>, Failure> {
        let mut under_way = FuturesUnordered::new();
        let mut results = Vec::new();
        let mut failure = None;
        loop {
            while failure.is_none() && under_way.len() < at_once {
                let Some(next) = work.next() else { break };
                if self.run.is_over() {
                    failure = Some(Failure::OutOfTime);
                } else {
                    under_way.push(next);
                }
            }
            match under_way.next().await {
                Some(Ok(result)) => results.push(result),
                Some(Err(error)) => failure = failure.or(Some(error)),
                None => break,
            }
        }
        failure.map_or(Ok(results), Err)
    }
}

/// Whether everything that a marker's list speaks for is in the table.
fn is_whole(marker: &Marker, markers: &[Marker]) -> bool {
    marker
        .scopes
        .iter()
        .all(|scope| markers.iter().any(|other| other.scope == *scope && other.digest == marker.digest))
}

fn ca(authority: &Authority) -> Result<Ca<'_>, Failure> {
    Ok(Ca::of(authority.certificate()).map_err(ListRefusal::from)?)
}

/// The list in a file, as DER.
fn one_list(bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    /// What DER begins with.
    const SEQUENCE: u8 = 0x30;
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(bytes);
    }
    let mut lists = lists_in(&bytes)?;
    match (lists.pop(), lists.is_empty()) {
        (Some(list), true) => Ok(list),
        _ => Err(ListRefusal::Malformed("not one list".to_owned()).into()),
    }
}

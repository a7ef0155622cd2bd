//! The table `revocations`: what the issuers' lists say, spread so that no list is too long for it.
//!
//! | item | key `pk`, `sk` | read by | written by |
//! | --- | --- | --- | --- |
//! | marker of a list | `issuer#<IssuerId>`, `list#<scope>` | key, in a sign-in's batch; all of an issuer by the sync | the sync, last |
//! | a revoked certificate | `issuer#<IssuerId>#<scope>#<bucket>`, serial | key, in a sign-in's batch; all of a bucket by the sync | the sync |
//! | the sync's own state | `issuer#<IssuerId>`, `state#<scope>` | the sync | the sync |
//!
//! The marker is what makes the entries of its scope believed. A run of the sync writes in this order:
//! 1. state: the lease, and which buckets are unknown from now on ([`Revocations::lease`]);
//! 2. entries, only those that differ ([`Lease::write`]);
//! 3. marker and state, in one transaction: the list is whole, and so are the buckets ([`Lease::commit`]).
//!
//! Between 1 and 3 the marker tells of the older list, and each entry is as the older or as the newer list has it: a reader
//! sees no list as fresh whose revocations are not there. Where a run ends early its buckets stay unknown, and the next one
//! reads them again and finishes.
//!
//! 4096 buckets are as many partition keys: a first load spreads over the table's partitions, and a bucket of a list with
//! a million entries is one page of a query.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, DeleteRequest, KeysAndAttributes, Put, PutRequest, Update, WriteRequest,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::batch::{self, Patience};
use super::transaction::{CommitError, Guard, Transaction};
use super::{Item, StoreError, from_item, number, pk, text, to_item, unless_refused};
use crate::certificate::IssuerId;
use crate::revocation::{
    Bucket, BucketDigests, Covers, Freshness, Link, ListStatus, Number, Reason, RevokedCertificate, Scope,
    Status,
};

/// Most writes of one `BatchWriteItem`.
pub const WRITES: usize = 25;

/// The table.
#[derive(Clone, Debug)]
pub struct Revocations {
    client: Client,
    table: String,
}

/// What a source said of the list that it gave, to ask for a newer one only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A list that is in the table, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// What it speaks for.
    pub scope: Scope,
    /// Number, dates, and whose certificates it covers.
    pub freshness: Freshness,
    /// SHA-256 of the list in DER, hex.
    pub digest: String,
    /// How many certificates it revokes.
    pub entries: u64,
    /// Everything that it speaks for, this scope too: it is in the table once all of them are.
    pub scopes: Vec<Scope>,
    /// Grows with every lease: of two markers, the one of the later lease stays.
    pub generation: u64,
    /// The sources that gave this very list.
    pub sources: BTreeMap<String, Validators>,
}

#[derive(Serialize, Deserialize)]
struct MarkerItem {
    pk: String,
    sk: String,
    number: Number,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    this_update: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    next_update: Timestamp,
    covers: Covers,
    digest: String,
    entries: u64,
    scopes: Vec<Scope>,
    generation: u64,
    sources: BTreeMap<String, Validators>,
}

impl MarkerItem {
    fn marker(self) -> Result<Marker, StoreError> {
        Ok(Marker {
            scope: self.sk.strip_prefix("list#").unwrap_or_default().parse().map_err(unreadable)?,
            freshness: self.freshness(),
            digest: self.digest,
            entries: self.entries,
            scopes: self.scopes,
            generation: self.generation,
            sources: self.sources,
        })
    }

    fn freshness(&self) -> Freshness {
        Freshness {
            this_update: self.this_update,
            next_update: self.next_update,
            covers: self.covers,
            number: self.number.clone(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct EntryItem {
    pk: String,
    sk: String,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    since: Timestamp,
    reason: Reason,
}

impl From<EntryItem> for RevokedCertificate {
    fn from(item: EntryItem) -> Self {
        Self { serial: item.sk, since: item.since, reason: item.reason }
    }
}

/// One write of [`Lease::write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    bucket: Bucket,
    serial: String,
    /// Since when and why; `None` takes the entry away.
    entry: Option<(Timestamp, Reason)>,
}

impl Change {
    /// An entry is new, or another than before.
    pub fn put(bucket: Bucket, entry: RevokedCertificate) -> Self {
        Self { bucket, serial: entry.serial, entry: Some((entry.since, entry.reason)) }
    }

    /// An entry is gone.
    pub fn delete(bucket: Bucket, serial: String) -> Self {
        Self { bucket, serial, entry: None }
    }

    /// Whether an entry is gone.
    pub fn is_delete(&self) -> bool {
        self.entry.is_none()
    }
}

fn issuer_key(issuer: &IssuerId) -> String {
    format!("issuer#{issuer}")
}

fn marker_key(issuer: &IssuerId, scope: &Scope) -> (String, String) {
    (issuer_key(issuer), format!("list#{scope}"))
}

fn state_key(issuer: &IssuerId, scope: &Scope) -> (String, String) {
    (issuer_key(issuer), format!("state#{scope}"))
}

fn bucket_key(issuer: &IssuerId, scope: &Scope, bucket: Bucket) -> String {
    format!("issuer#{issuer}#{scope}#{bucket}")
}

fn entry_key(issuer: &IssuerId, scope: &Scope, serial: &str) -> (String, String) {
    (bucket_key(issuer, scope, Bucket::of_serial(serial)), serial.to_owned())
}

fn key((pk, sk): (String, String)) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

impl Revocations {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// What the lists say of the certificates of a path, in the order of `links`: markers and entries in one read, however
    /// long the lists are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn status(&self, links: &[Link]) -> Result<Vec<Status>, StoreError> {
        Ok(self.status_with(links, "", Vec::new()).await?.0)
    }

    /// As [`Revocations::status`], with items of another table, which has no sort key, in the same read. They come by key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn status_with(
        &self,
        links: &[Link],
        table: &str,
        others: Vec<String>,
    ) -> Result<(Vec<Status>, HashMap<String, Item>), StoreError> {
        // One issuer may have several links, and a batch refuses a key that comes twice.
        let mut ours = BTreeSet::new();
        for link in links {
            for scope in &link.scopes {
                ours.insert(marker_key(&link.issuer, scope));
                ours.insert(entry_key(&link.issuer, scope, &link.serial));
            }
        }
        let ours = ours.into_iter().map(|of_ours| (self.table.as_str(), key(of_ours)));
        let others = others.into_iter().collect::<BTreeSet<_>>();
        let others = others.into_iter().map(|pk| (table, HashMap::from([("pk".to_owned(), text(pk))])));
        let keys: Vec<_> = ours.chain(others).collect();
        let mut found = HashMap::new();
        let mut found_others = HashMap::new();
        for chunk in keys.chunks(batch::KEYS) {
            let mut wanted: HashMap<String, KeysAndAttributes> = HashMap::new();
            for name in [self.table.as_str(), table] {
                let of_table = chunk.iter().filter(|(table, _)| *table == name);
                let of_table: Vec<_> = of_table.map(|(_, key)| key.clone()).collect();
                if !of_table.is_empty() {
                    let keys = KeysAndAttributes::builder().set_keys(Some(of_table)).consistent_read(true);
                    wanted.insert(name.to_owned(), keys.build()?);
                }
            }
            for (name, items) in batch::read(&self.client, wanted, Patience::Call).await? {
                for item in items {
                    if name == self.table {
                        found.insert((pk(&item).to_owned(), sk(&item).to_owned()), item);
                    } else {
                        found_others.insert(pk(&item).to_owned(), item);
                    }
                }
            }
        }
        let statuses = links.iter().map(|link| read_status(link, &found)).collect::<Result<_, _>>()?;
        Ok((statuses, found_others))
    }

    /// Checks, as part of a transaction, that none of these lists revokes the certificate: for a sign-in that makes the
    /// certificate known, so that the sync, which asks whom a new entry concerns, cannot miss it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn not_listed(&self, link: &Link) -> Result<Vec<ConditionCheck>, StoreError> {
        let check = |scope| {
            Ok(ConditionCheck::builder()
                .table_name(&self.table)
                .set_key(Some(key(entry_key(&link.issuer, scope, &link.serial))))
                .condition_expression("attribute_not_exists(pk)")
                .build()?)
        };
        link.scopes.iter().map(check).collect()
    }

    /// The list of a scope that is in the table.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn marker(&self, issuer: &IssuerId, scope: &Scope) -> Result<Option<Marker>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(marker_key(issuer, scope))))
            .consistent_read(true)
            .send()
            .await?;
        answer.item.map(|item| from_item::<MarkerItem>(item)?.marker()).transpose()
    }

    /// The lists of an issuer that are in the table.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn markers(&self, issuer: &IssuerId) -> Result<Vec<Marker>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :list)")
            .expression_attribute_values(":pk", text(issuer_key(issuer)))
            .expression_attribute_values(":list", text("list#"))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut markers = Vec::new();
        while let Some(item) = pages.next().await {
            markers.push(from_item::<MarkerItem>(item?)?.marker()?);
        }
        Ok(markers)
    }

    /// Notes that a source gives the list of a marker, and what to ask it with. Nothing happens when there is a newer list.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_source(
        &self,
        issuer: &IssuerId,
        marker: &Marker,
        source: &str,
        validators: &Validators,
    ) -> Result<(), StoreError> {
        let validators = serde_dynamo::to_attribute_value(validators).map_err(unreadable)?;
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(marker_key(issuer, &marker.scope))))
            .update_expression("SET sources.#source = :validators")
            .condition_expression("generation = :generation")
            .expression_attribute_names("#source", source)
            .expression_attribute_values(":validators", validators)
            .expression_attribute_values(":generation", number(marker.generation))
            .send()
            .await;
        unless_refused(answer).map(|_| ())
    }
}

/// What the sync keeps of a list: which entries the table has of it, by bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// How often it was leased.
    pub generation: u64,
    /// Digests of the buckets' entries in the table.
    pub buckets: BucketDigests,
    /// When the lease of a run that is at it ends.
    pub leased_until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct StateItem {
    generation: u64,
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    leased_until: Option<Timestamp>,
}

const DIGESTS: &str = "digests";

/// The right to change the entries of a scope, until another run may take it.
#[derive(Clone, Debug)]
pub struct Lease {
    table: Revocations,
    issuer: IssuerId,
    scope: Scope,
    generation: u64,
}

impl Revocations {
    /// What the sync knows of a scope's entries; `None` when it never began to write any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn state(&self, issuer: &IssuerId, scope: &Scope) -> Result<Option<State>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(state_key(issuer, scope))))
            .consistent_read(true)
            .send()
            .await?;
        let Some(mut item) = answer.item else { return Ok(None) };
        let Some(AttributeValue::B(digests)) = item.remove(DIGESTS) else {
            return Err(StoreError::Unreadable("a state without its digests".to_owned()));
        };
        let buckets = BucketDigests::from_bytes(digests.as_ref())
            .ok_or_else(|| StoreError::Unreadable("a state whose digests are damaged".to_owned()))?;
        let item: StateItem = from_item(item)?;
        Ok(Some(State { generation: item.generation, buckets, leased_until: item.leased_until }))
    }

    /// Takes the lease of a scope, and notes which buckets are unknown until it is committed: `buckets`. `known` is the
    /// state that this was decided on; `None` when another run has the lease, or changed the state meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease(
        &self,
        issuer: &IssuerId,
        scope: &Scope,
        known: Option<&State>,
        buckets: &BucketDigests,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<Lease>, StoreError> {
        let former = known.map_or(0, |state| state.generation);
        let generation = former.saturating_add(1);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(state_key(issuer, scope))))
            .update_expression("SET generation = :generation, digests = :digests, leased_until = :until")
            .expression_attribute_values(":generation", number(generation))
            .expression_attribute_values(":digests", blob(buckets))
            .expression_attribute_values(":until", number(until.as_millisecond()));
        // The state must be the very one that was decided on: a lease that has ended since leaves its generation there.
        let update = match known.map(|state| state.leased_until) {
            Some(Some(held)) if held >= now => return Ok(None),
            Some(Some(over)) => update
                .condition_expression("generation = :former AND leased_until = :over")
                .expression_attribute_values(":former", number(former))
                .expression_attribute_values(":over", number(over.as_millisecond())),
            Some(None) => update
                .condition_expression("generation = :former AND attribute_not_exists(leased_until)")
                .expression_attribute_values(":former", number(former)),
            None => update.condition_expression("attribute_not_exists(pk)"),
        };
        Ok(unless_refused(update.send().await)?.map(|_| Lease {
            table: self.clone(),
            issuer: issuer.clone(),
            scope: *scope,
            generation,
        }))
    }
}

impl Lease {
    /// Which lease of the scope this is: grows by one each time.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The entries of a bucket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bucket(&self, bucket: Bucket) -> Result<Vec<RevokedCertificate>, StoreError> {
        let mut pages = self
            .table
            .client
            .query()
            .table_name(&self.table.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(bucket_key(&self.issuer, &self.scope, bucket)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut entries = Vec::new();
        while let Some(item) = pages.next().await {
            entries.push(RevokedCertificate::from(from_item::<EntryItem>(item?)?));
        }
        Ok(entries)
    }

    /// Writes entries, at most [`WRITES`] of them, none of them twice. What DynamoDB leaves unprocessed is sent again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let writes = changes.iter().map(|change| self.request(change)).collect::<Result<Vec<_>, _>>()?;
        let mut pending = HashMap::from([(self.table.table.clone(), writes)]);
        let mut waits = Patience::Work.waits();
        loop {
            let request = self.table.client.batch_write_item().set_request_items(Some(pending.clone()));
            match request.send().await {
                Ok(answer) => pending = answer.unprocessed_items.unwrap_or_default(),
                // The whole batch, where the table cannot keep up with any of it.
                Err(error) if error.as_service_error().is_some_and(|e| throttled(e.code())) => {}
                Err(error) => return Err(error.into()),
            }
            if pending.values().all(Vec::is_empty) {
                return Ok(());
            }
            let Some(wait) = waits.next() else {
                return Err(StoreError::Service("writes of a batch stay unprocessed".to_owned()));
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn request(&self, change: &Change) -> Result<WriteRequest, StoreError> {
        let pk = bucket_key(&self.issuer, &self.scope, change.bucket);
        let sk = change.serial.clone();
        let request = WriteRequest::builder();
        Ok(match change.entry {
            Some((since, reason)) => {
                let item = to_item(EntryItem { pk, sk, since, reason })?;
                request.put_request(PutRequest::builder().set_item(Some(item)).build()?).build()
            }
            None => {
                let delete = DeleteRequest::builder().set_key(Some(key((pk, sk))));
                request.delete_request(delete.build()?).build()
            }
        })
    }

    /// Keeps the lease for longer. False when another run has taken it: then nothing may be written any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew(&self, until: Timestamp) -> Result<bool, StoreError> {
        let answer = self
            .table
            .client
            .update_item()
            .table_name(&self.table.table)
            .set_key(Some(key(state_key(&self.issuer, &self.scope))))
            .update_expression("SET leased_until = :until")
            .condition_expression("generation = :generation AND attribute_exists(leased_until)")
            .expression_attribute_values(":generation", number(self.generation))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .send()
            .await;
        Ok(unless_refused(answer)?.is_some())
    }

    /// Ends the lease with the list applied: the marker tells of it, and the state of its buckets. False when another run
    /// has taken the lease: then nothing is written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn commit(&self, marker: &Marker, buckets: &BucketDigests) -> Result<bool, StoreError> {
        let (pk, sk) = marker_key(&self.issuer, &self.scope);
        let freshness = &marker.freshness;
        let item = MarkerItem {
            pk,
            sk,
            number: freshness.number.clone(),
            this_update: freshness.this_update,
            next_update: freshness.next_update,
            covers: freshness.covers,
            digest: marker.digest.clone(),
            entries: marker.entries,
            scopes: marker.scopes.clone(),
            generation: self.generation,
            sources: marker.sources.clone(),
        };
        let put = Put::builder()
            .table_name(&self.table.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk) OR generation < :generation")
            .expression_attribute_values(":generation", number(self.generation))
            .build()?;
        let committed = Transaction::new()
            .with(Guard::List, put)
            .with(Guard::List, self.end(buckets)?)
            .commit(&self.table.client)
            .await;
        match committed {
            Ok(()) => Ok(true),
            Err(CommitError::Refused(_)) => Ok(false),
            Err(CommitError::Busy) => Err(StoreError::Service("the list's items are contended".to_owned())),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Ends the lease with the list not applied, or in part: `buckets` are unknown where their entries are not written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, buckets: &BucketDigests) -> Result<(), StoreError> {
        let update = self.end(buckets)?;
        let answer = self
            .table
            .client
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_values(update.expression_attribute_values)
            .send()
            .await;
        // Refused: another run has taken over, and knows better.
        unless_refused(answer).map(|_| ())
    }

    fn end(&self, buckets: &BucketDigests) -> Result<Update, StoreError> {
        Ok(Update::builder()
            .table_name(&self.table.table)
            .set_key(Some(key(state_key(&self.issuer, &self.scope))))
            .update_expression("SET digests = :digests REMOVE leased_until")
            .condition_expression("generation = :generation AND attribute_exists(leased_until)")
            .expression_attribute_values(":generation", number(self.generation))
            .expression_attribute_values(":digests", blob(buckets))
            .build()?)
    }
}

fn blob(buckets: &BucketDigests) -> AttributeValue {
    AttributeValue::B(Blob::new(buckets.to_bytes()))
}

fn throttled(code: Option<&str>) -> bool {
    matches!(code, Some("ProvisionedThroughputExceededException" | "ThrottlingException"))
}

fn sk(item: &Item) -> &str {
    item.get("sk").and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

fn unreadable(error: impl ToString) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

fn read_status(link: &Link, found: &HashMap<(String, String), Item>) -> Result<Status, StoreError> {
    let list = |scope: &Scope| {
        let marker = found.get(&marker_key(&link.issuer, scope)).cloned();
        let list = marker.map(from_item::<MarkerItem>).transpose()?.map(|marker| marker.freshness());
        let entry = found.get(&entry_key(&link.issuer, scope, &link.serial)).cloned();
        let entry = entry.map(from_item::<EntryItem>).transpose()?.map(RevokedCertificate::from);
        Ok(ListStatus { scope: *scope, list, entry })
    };
    let lists = link.scopes.iter().map(list).collect::<Result<_, StoreError>>()?;
    Ok(Status { lists, ..Status::default() })
}

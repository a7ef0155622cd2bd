//! The table `bulk`: bulk resets.
//!
//! | item | key `pk`, `sk` | read by | written by |
//! | --- | --- | --- | --- |
//! | job | `bulk#<bulk id>`, `job` | key: HR's look at it, the worker; index `Pending`: the sweep | upload, confirmation, cancellation; the worker, with each row |
//! | rows, sealed, [`CHUNK`] together | `bulk#<bulk id>`, `chunk#<number>` | key; query: the result | upload; a cancelled preview's are deleted |
//! | outcome of a row | `bulk#<bulk id>`, `row#<line>` | query: pages of rows, the result | the worker, in the transaction of the row's reset |
//!
//! A row's national ID is kept masked alone, and its email address: both in the chunks, under a data key of KMS whose
//! encryption context names the bulk reset. Everything else is counts, lines and pseudonyms.
//!
//! The job's `next` is the first row that has not come to its end. It moves on in the transaction of each row, on the
//! condition that it is where the worker believes it to be, and the job in that worker's hands (`lease`): so no row is done
//! twice, whoever runs, and nothing is done once the job is called off. All rows of a job are in one partition, which takes
//! more writes a second than a worker makes.
//!
//! The index `Pending` has the jobs that wait for a worker, or for the end of a lease, by when (`due_at`).

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, Put, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, Update,
    WriteRequest,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::batch::Patience;
use super::{Item, StoreError, bytes, from_item, number, text, to_item, unless_refused};
use crate::audit::Origin;
use crate::bulk::{CHUNK, KEPT, RowRefusal, State};
use crate::card::Seen;
use crate::session::Subject;

/// How long a worker may be silent. It renews its lease when half of it is over.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// When a confirmed job whose stream record was lost is looked for.
const STREAM_LATE: SignedDuration = SignedDuration::from_mins(1);
/// The index of what waits.
const PENDING: &str = "Pending";
/// The index's only partition: jobs are few.
const WAITING: &str = "jobs";
/// Most requests of one batch write.
const BATCH: usize = 25;

/// The table.
#[derive(Clone, Debug)]
pub struct Bulks {
    client: Client,
    table: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub state: State,
    /// Who uploaded it: nobody else sees it.
    pub by: Subject,
    /// Whether people who have activated are meant too.
    pub include_active: bool,
    /// How many rows it has.
    pub rows: u32,
    /// How many of them were to be reset, by the preview.
    pub to_reset: u32,
    /// How many were refused, by the preview.
    pub refused_at_first: BTreeMap<RowRefusal, u32>,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Until when it can be confirmed.
    pub expires_at: Timestamp,
    /// When it was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// The first row that has not come to its end, counted from 0.
    pub next: u32,
    /// Resets that were made.
    pub reset: u32,
    /// Rows that were refused when it came to them.
    pub refused: u32,
    /// Why it stopped.
    pub stopped_by: Option<RowRefusal>,
    /// The sight of the card that the one who confirmed signed in with.
    pub seen: Option<Seen>,
    /// The request that confirmed it: the resets are made in its name.
    pub confirmation: Option<Confirmation>,
    /// Which worker has it, or had it last.
    lease: u64,
    leased_until: Option<Timestamp>,
    ttl: i64,
}

/// The request that confirmed a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// From where.
    pub address: String,
    /// The request's id.
    pub request_id: String,
}

impl Confirmation {
    /// An act in the name of that request, at another time.
    pub fn origin(&self, at: Timestamp) -> Origin {
        Origin { address: self.address.clone(), request_id: self.request_id.clone(), at }
    }
}

#[derive(Serialize, Deserialize)]
struct JobItem {
    pk: String,
    sk: String,
    state: State,
    by: String,
    include_active: bool,
    rows: u32,
    to_reset: u32,
    refused_at_first: BTreeMap<String, u32>,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    confirmed_at: Option<Timestamp>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    finished_at: Option<Timestamp>,
    next: u32,
    reset: u32,
    refused: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_by: Option<RowRefusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmation: Option<Confirmation>,
    #[serde(default)]
    lease: u64,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    leased_until: Option<Timestamp>,
    ttl: i64,
}

/// An upload, to be kept.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: String,
    /// Who uploads.
    pub by: Subject,
    /// Whether people who have activated are meant too.
    pub include_active: bool,
    /// How many rows it has.
    pub rows: u32,
    /// How many of them are to be reset.
    pub to_reset: u32,
    /// How many are refused.
    pub refused: BTreeMap<RowRefusal, u32>,
    /// When.
    pub now: Timestamp,
    /// Until when it can be confirmed.
    pub expires_at: Timestamp,
}

/// How a row ended when it came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reset was made.
    Reset {
        /// Which.
        reset_id: String,
    },
    /// It was refused.
    Refused(RowRefusal),
}

#[derive(Serialize, Deserialize)]
struct RowItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reset_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<RowRefusal>,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    at: Timestamp,
    ttl: i64,
}

/// What asking for a job's lease found.
#[derive(Clone, Debug)]
pub enum Lease {
    /// It is ours.
    Taken(Box<Job>),
    /// Another worker is at it, it is over, or it is not there.
    NothingToDo,
}

/// The beginning of a job's keys.
const BULK: &str = "bulk#";
const JOB: &str = "job";

fn job_key(id: &str) -> String {
    format!("{BULK}{id}")
}

fn chunk_key(number: usize) -> String {
    format!("chunk#{number:03}")
}

fn row_key(line: u32) -> String {
    // A file of a mebibyte has fewer than ten million lines.
    format!("row#{line:07}")
}

fn milliseconds(time: Timestamp) -> AttributeValue {
    number(time.as_millisecond())
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn state(state: State) -> AttributeValue {
    text(state.as_str())
}

/// The id of the job whose key that is.
pub fn id_of_key(pk: &str) -> Option<&str> {
    pk.strip_prefix(BULK)
}

/// The name under which a job's rows are sealed.
pub fn record_of(id: &str, chunk: usize) -> String {
    format!("{BULK}{id}/{}", chunk_key(chunk))
}

impl TryFrom<Item> for Job {
    type Error = StoreError;

    fn try_from(item: Item) -> Result<Self, StoreError> {
        let item: JobItem = from_item(item)?;
        let unreadable = |what: &str| StoreError::Unreadable(what.to_owned());
        let refused = item.refused_at_first.into_iter().map(|(code, count)| {
            let known = RowRefusal::ALL.iter().find(|refusal| refusal.code() == code);
            known.map(|refusal| (*refusal, count)).ok_or_else(|| unreadable("an unknown refusal"))
        });
        Ok(Self {
            id: id_of_key(&item.pk).ok_or_else(|| unreadable("not a job"))?.to_owned(),
            state: item.state,
            by: Subject::parse(&item.by).ok_or_else(|| unreadable("nobody's job"))?,
            include_active: item.include_active,
            rows: item.rows,
            to_reset: item.to_reset,
            refused_at_first: refused.collect::<Result<_, _>>()?,
            created_at: item.created_at,
            expires_at: item.expires_at,
            confirmed_at: item.confirmed_at,
            finished_at: item.finished_at,
            next: item.next,
            reset: item.reset,
            refused: item.refused,
            stopped_by: item.stopped_by,
            seen: item.seen,
            confirmation: item.confirmation,
            lease: item.lease,
            leased_until: item.leased_until,
            ttl: item.ttl,
        })
    }
}

impl Bulks {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Keeps the rows of an upload, sealed. Without the job, which makes them known ([`Bulks::publish`]), they are nobody's,
    /// and go by themselves.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_rows(&self, new: &NewJob, chunks: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let ttl = later(new.now, KEPT).as_second();
        let mut puts = Vec::new();
        for (place, sealed) in chunks.into_iter().enumerate() {
            let put = PutRequest::builder()
                .item("pk", text(job_key(&new.id)))
                .item("sk", text(chunk_key(place)))
                .item("sealed", AttributeValue::B(Blob::new(sealed)))
                .item("ttl", number(ttl))
                .build()?;
            puts.push(WriteRequest::builder().put_request(put).build());
        }
        self.write_all(puts).await
    }

    /// Makes an upload known, as part of a transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn publish(&self, new: &NewJob) -> Result<Put, StoreError> {
        let refused = new.refused.iter().map(|(refusal, count)| (refusal.code().to_owned(), *count));
        let item = JobItem {
            pk: job_key(&new.id),
            sk: JOB.to_owned(),
            state: State::Preview,
            by: new.by.to_string(),
            include_active: new.include_active,
            rows: new.rows,
            to_reset: new.to_reset,
            refused_at_first: refused.collect(),
            created_at: new.now,
            expires_at: new.expires_at,
            confirmed_at: None,
            finished_at: None,
            next: 0,
            reset: 0,
            refused: 0,
            stopped_by: None,
            seen: None,
            confirmation: None,
            lease: 0,
            leased_until: None,
            ttl: later(new.now, KEPT).as_second(),
        };
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()?)
    }

    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        for some in requests.chunks(BATCH) {
            let mut wanted = some.to_vec();
            let mut waits = Patience::Call.waits();
            loop {
                let answer = self
                    .client
                    .batch_write_item()
                    .request_items(&self.table, std::mem::take(&mut wanted))
                    .send()
                    .await?;
                wanted = answer.unprocessed_items.unwrap_or_default().remove(&self.table).unwrap_or_default();
                if wanted.is_empty() {
                    break;
                }
                let Some(wait) = waits.next() else {
                    return Err(StoreError::Service("writes of a batch stay unprocessed".to_owned()));
                };
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }

    /// A job.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        self.item(id, JOB).await?.map(Job::try_from).transpose()
    }

    async fn item(&self, id: &str, sk: &str) -> Result<Option<Item>, StoreError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(job_key(id)))
            .key("sk", text(sk))
            .consistent_read(true);
        Ok(read.send().await?.item)
    }

    /// Some rows of a job, sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chunk(&self, id: &str, chunk: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.item(id, &chunk_key(chunk)).await?;
        Ok(item.and_then(|mut item| bytes(&mut item, "sealed")))
    }

    /// How the rows from one line to another ended, by line, as far as it has come to them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outcomes(&self, id: &str, from: u32, to: u32) -> Result<BTreeMap<u32, Outcome>, StoreError> {
        let mut outcomes = BTreeMap::new();
        let mut start = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", text(job_key(id)))
                .expression_attribute_values(":from", text(row_key(from)))
                .expression_attribute_values(":to", text(row_key(to)))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for item in answer.items.unwrap_or_default() {
                let item: RowItem = from_item(item)?;
                let line = item.sk.strip_prefix("row#").and_then(|line| line.parse().ok());
                let outcome = match (item.reset_id, item.refused) {
                    (Some(reset_id), _) => Some(Outcome::Reset { reset_id }),
                    (None, refused) => refused.map(Outcome::Refused),
                };
                let (line, outcome) = line
                    .zip(outcome)
                    .ok_or_else(|| StoreError::Unreadable("not the outcome of a row".to_owned()))?;
                outcomes.insert(line, outcome);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(outcomes);
            }
        }
    }

    fn update(&self, id: &str) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        Update::builder()
            .table_name(&self.table)
            .key("pk", text(job_key(id)))
            .key("sk", text(JOB))
            .expression_attribute_names("#state", "state")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Confirms a job, as part of a transaction: a preview that has not expired. The stream hands it to a worker.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn confirm(
        &self,
        job: &Job,
        seen: Option<&Seen>,
        confirmation: &Confirmation,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        let mut set = "SET #state = :queued, confirmed_at = :now, confirmation = :confirmation, \
                       pending = :waiting, due_at = :due"
            .to_owned();
        let mut update = self
            .update(&job.id)
            .condition_expression("#state = :preview AND expires_at > :now")
            .expression_attribute_values(":queued", state(State::Queued))
            .expression_attribute_values(":preview", state(State::Preview))
            .expression_attribute_values(":confirmation", value(confirmation)?)
            .expression_attribute_values(":waiting", text(WAITING))
            .expression_attribute_values(":due", milliseconds(later(now, STREAM_LATE)))
            .expression_attribute_values(":now", milliseconds(now));
        if let Some(seen) = seen {
            set.push_str(", seen = :seen");
            update = update.expression_attribute_values(":seen", value(seen)?);
        }
        Ok(update.update_expression(set).build()?)
    }

    /// Calls a job off, as part of a transaction: no row is begun any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cancel(&self, job: &Job, now: Timestamp) -> Result<Update, StoreError> {
        Ok(self
            .update(&job.id)
            .update_expression(
                "SET #state = :cancelled, finished_at = :now REMOVE pending, due_at, leased_until",
            )
            .condition_expression("#state IN (:preview, :queued, :running)")
            .expression_attribute_values(":cancelled", state(State::Cancelled))
            .expression_attribute_values(":preview", state(State::Preview))
            .expression_attribute_values(":queued", state(State::Queued))
            .expression_attribute_values(":running", state(State::Running))
            .expression_attribute_values(":now", milliseconds(now))
            .build()?)
    }

    /// Deletes the rows of a preview that was called off: nobody is to be reset by them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_rows(&self, job: &Job) -> Result<(), StoreError> {
        let chunks = usize::try_from(job.rows).unwrap_or_default().div_ceil(CHUNK);
        let mut deletes = Vec::new();
        for chunk in 0..chunks {
            let delete = DeleteRequest::builder()
                .key("pk", text(job_key(&job.id)))
                .key("sk", text(chunk_key(chunk)))
                .build()?;
            deletes.push(WriteRequest::builder().delete_request(delete).build());
        }
        self.write_all(deletes).await
    }

    fn update_now(&self, id: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(job_key(id)))
            .key("sk", text(JOB))
            .expression_attribute_names("#state", "state")
    }

    /// Takes the lease of a job that waits, or whose worker has been silent for too long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take(&self, id: &str, now: Timestamp) -> Result<Lease, StoreError> {
        let update = self
            .update_now(id)
            .update_expression(
                "SET #state = :running, leased_until = :until, pending = :waiting, due_at = :until ADD lease :one",
            )
            .condition_expression("#state = :queued OR (#state = :running AND leased_until < :now)")
            .expression_attribute_values(":running", state(State::Running))
            .expression_attribute_values(":queued", state(State::Queued))
            .expression_attribute_values(":waiting", text(WAITING))
            .expression_attribute_values(":until", milliseconds(later(now, LEASE)))
            .expression_attribute_values(":now", milliseconds(now))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew);
        let Some(answer) = unless_refused(update.send().await)? else { return Ok(Lease::NothingToDo) };
        Ok(Lease::Taken(Box::new(answer.attributes.unwrap_or_default().try_into()?)))
    }

    /// Notes how a row ended, as part of the transaction of its reset: the row's own item, and the job moved on behind it.
    /// `place` is the row's place in the file, counted from 0.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_row(
        &self,
        job: &Job,
        (place, line): (u32, u32),
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<(Update, Put), StoreError> {
        let (counter, reset_id, refused) = match outcome {
            Outcome::Reset { reset_id } => ("reset", Some(reset_id.clone()), None),
            Outcome::Refused(refusal) => ("refused", None, Some(*refusal)),
        };
        let mut set = "SET #next = :next".to_owned();
        let mut update = self.update(&job.id).expression_attribute_names("#next", "next");
        if job.leased_until.is_none_or(|until| until.duration_since(now) < LEASE / 2) {
            set.push_str(", leased_until = :until, due_at = :until");
            update = update.expression_attribute_values(":until", milliseconds(later(now, LEASE)));
        }
        let update = update
            .update_expression(format!("{set} ADD #counter :one"))
            .condition_expression("#state = :running AND lease = :lease AND #next = :expected")
            .expression_attribute_names("#counter", counter)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":next", number(place.saturating_add(1)))
            .expression_attribute_values(":running", state(State::Running))
            .expression_attribute_values(":lease", number(job.lease))
            .expression_attribute_values(":expected", number(job.next))
            .build()?;
        let item =
            RowItem { pk: job_key(&job.id), sk: row_key(line), reset_id, refused, at: now, ttl: job.ttl };
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()?;
        Ok((update, put))
    }

    /// Leaves a job to the next worker, which the stream starts at once. Refused, it is another's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, job: &Job, now: Timestamp) -> Result<(), StoreError> {
        let set = "SET #state = :state, due_at = :now REMOVE leased_until";
        self.settle(job, State::Queued, set, now, None).await
    }

    /// Notes that every row has come to its end. Refused, it is another's to note.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish(&self, job: &Job, now: Timestamp) -> Result<(), StoreError> {
        let set = "SET #state = :state, finished_at = :now REMOVE pending, due_at, leased_until";
        self.settle(job, State::Done, set, now, None).await
    }

    /// Notes that nothing more of a job will be done, and why. Refused, it is another's to note.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stop(&self, job: &Job, why: RowRefusal, now: Timestamp) -> Result<(), StoreError> {
        let set =
            "SET #state = :state, finished_at = :now, stopped_by = :why REMOVE pending, due_at, leased_until";
        self.settle(job, State::Stopped, set, now, Some(why)).await
    }

    async fn settle(
        &self,
        job: &Job,
        to: State,
        expression: &str,
        now: Timestamp,
        why: Option<RowRefusal>,
    ) -> Result<(), StoreError> {
        let mut update = self
            .update_now(&job.id)
            .update_expression(expression)
            .condition_expression("#state = :running AND lease = :lease")
            .expression_attribute_values(":state", state(to))
            .expression_attribute_values(":running", state(State::Running))
            .expression_attribute_values(":lease", number(job.lease))
            .expression_attribute_values(":now", milliseconds(now));
        if let Some(why) = why {
            update = update.expression_attribute_values(":why", value(why)?);
        }
        unless_refused(update.send().await).map(drop)
    }

    /// The jobs that wait for a worker, those that have waited longest first, `limit` at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, now: Timestamp, limit: i32) -> Result<Vec<String>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(PENDING)
            .key_condition_expression("pending = :waiting AND due_at <= :now")
            .expression_attribute_values(":waiting", text(WAITING))
            .expression_attribute_values(":now", milliseconds(now))
            .limit(limit)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default();
        Ok(items.iter().filter_map(|item| id_of_key(super::pk(item)).map(str::to_owned)).collect())
    }
}

impl NewJob {
    /// The job, as its uploader sees it.
    pub fn job(&self) -> Job {
        Job {
            id: self.id.clone(),
            state: State::Preview,
            by: self.by.clone(),
            include_active: self.include_active,
            rows: self.rows,
            to_reset: self.to_reset,
            refused_at_first: self.refused.clone(),
            created_at: self.now,
            expires_at: self.expires_at,
            confirmed_at: None,
            finished_at: None,
            next: 0,
            reset: 0,
            refused: 0,
            stopped_by: None,
            seen: None,
            confirmation: None,
            lease: 0,
            leased_until: None,
            ttl: later(self.now, KEPT).as_second(),
        }
    }
}

impl Job {
    /// The job once a row of it has ended, as the table has it then.
    pub fn after_row(&mut self, place: u32, outcome: &Outcome, now: Timestamp) {
        self.next = place.saturating_add(1);
        match outcome {
            Outcome::Reset { .. } => self.reset = self.reset.saturating_add(1),
            Outcome::Refused(_) => self.refused = self.refused.saturating_add(1),
        }
        if self.leased_until.is_none_or(|until| until.duration_since(now) < LEASE / 2) {
            self.leased_until = Some(later(now, LEASE));
        }
    }
}

fn value(value: impl Serialize) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| StoreError::Unreadable(error.to_string()))
}

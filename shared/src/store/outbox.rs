//! The table `mail`: the outbox.
//!
//! | item | key `pk` | read by | written by |
//! | --- | --- | --- | --- |
//! | a reset's mail (a letter) | `reset#<reset id>` | key: HR's look at its state, dispatch; in batches: a bulk reset's result; indexes `ByAgency`, `ByResetter`: HR's list; index `Pending`: the sweep | reset (in its transaction), dispatch, mail-events, resend |
//! | a mail with a code | `code#<id>` | key: account, dispatch; index `Pending`: the sweep | a change of email address (in its transaction), dispatch, mail-events |
//! | a notice | `notice#<notice id>` | key: dispatch; index `Pending`: the sweep | whoever makes it happen (in its transaction), dispatch, mail-events |
//! | an address that mail came back from | `address#<EmailDigest>` | key: reset | mail-events |
//! | the pace | `pace#ses` | | dispatch, for a row of slots |
//!
//! An entry's life is [`crate::delivery`]. `sending` is a lease: whoever holds it sends; when it runs out, another may, and
//! `attempt` tells the two apart. A letter's ciphertext stays after it was sent, for a resend, until it is delivered or
//! expires; that of a mail with a code goes when it was sent. A notice has none: it names the person, whose address is read when
//! it is sent, or carries a former one, sealed.
//!
//! The index `Pending` has the entries that somebody has to look at again, under one of 16 shards (`pending`), by when
//! (`due_at`, milliseconds): what is queued, when its stream record should long have been handled or its backoff is over;
//! what is being sent, when the lease is over; what has a ciphertext, when that expires. Both attributes go when nothing is
//! left to be done, so the index is as small as the work.
//!
//! Who waits for a password does not wait behind a file of five thousand: the letters of a bulk reset are of another lane
//! (`lane`), which the stream hands to nobody, and have shards of their own, which the sweep looks at when it has gone
//! through all others. Somebody who has one of them sent once more waits for it: then it is like any other.
//!
//! The indexes `ByAgency` and `ByResetter` have the letters by the agency of the person who was reset (`agency`) and by who
//! reset them (`resetter`), by when (`created_at`). They hold pseudonyms and where the mail is, and nothing personal. A
//! partition of an index takes a thousand writes a second; a letter makes five or so in its life, and SES's pace is below
//! a hundred letters a second, so no agency, not even one that sends everything, fills its partition.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, Update,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::accounts::keys_and_attributes;
use super::batch::{self, Patience};
use super::{Item, StoreError, bytes, from_item, number, pk, text};
use crate::delivery::pace::{self, Pace, Slots};
use crate::delivery::{Bounce, MailState, OutOfPlace, Standing, Step};
use crate::notice::{Notice, Undeliverable};
use crate::pseudonym::{EmailDigest, PersonId};
use crate::session::Subject;

/// How long a dispatcher may take from lease to note.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// The part of it that is kept for the call to SES and the note: a call ends by itself before ([`crate::aws`]).
const CALL: SignedDuration = SignedDuration::from_secs(20);
/// When a mail whose stream record was lost is looked for.
const STREAM_LATE: SignedDuration = SignedDuration::from_mins(2);
/// How long an entry outlives what it was for: for HR's look at its state, and an operator's at what became of it.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);
/// The index of what is to be looked at again.
const PENDING: &str = "Pending";
/// The indexes of HR's lists.
const BY_AGENCY: &str = "ByAgency";
const BY_RESETTER: &str = "ByResetter";
/// Entries that a list looks at in one query, and the most queries for one page: where few are wanted of many, a page comes
/// short rather than late.
const LIST_QUERY: i32 = 100;
const LIST_QUERIES: usize = 5;
/// Times that others may be quicker at reserving slots.
const PACE_TRIES: usize = 20;

/// The table.
#[derive(Clone, Debug)]
pub struct Outbox {
    client: Client,
    table: String,
}

/// A reset's mail, to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// The reset.
    pub reset_id: String,
    /// The agency of the person who was reset: decides who may look.
    pub agency: String,
    /// Whose password.
    pub person: PersonId,
    /// Who reset it.
    pub by: Subject,
    /// Where it goes.
    pub address: EmailDigest,
    /// When the reset was.
    pub created_at: Timestamp,
    /// When the initial password ends.
    pub expires_at: Timestamp,
    /// Whether somebody waits for it.
    pub lane: Lane,
}

/// A mail with a code, to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCode {
    /// The id of what the code confirms, which is the mail's too.
    pub id: String,
    /// Whose code.
    pub person: PersonId,
    /// Where it goes.
    pub address: EmailDigest,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the code ends.
    pub expires_at: Timestamp,
}

/// Which mails go out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for it.
    Single,
    /// One of many, of a bulk reset: it goes out when no other mail is due.
    Bulk,
}

/// Which resets a list is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// Those of people of an agency.
    Agency(String),
    /// Those that somebody made.
    Resetter(Subject),
}

/// What is asked of a list of resets: newest first.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose.
    pub of: Of,
    /// Only from then on.
    pub from: Option<Timestamp>,
    /// Only before then.
    pub to: Option<Timestamp>,
    /// Only with the mail in one of these states; in any, without one.
    pub states: Vec<MailState>,
    /// Behind that one.
    pub after: Option<Place>,
    /// So many at most.
    pub limit: usize,
}

/// A place in a list: the entry before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    reset_id: String,
    created_at: i64,
}

/// A reset in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The reset.
    pub reset_id: String,
    /// The agency of the person who was reset.
    pub agency: String,
    /// Whose password.
    pub person: PersonId,
    /// Who reset it, where that is known.
    pub by: Option<Subject>,
    /// Where the mail is.
    pub standing: Standing,
    /// When the reset was.
    pub created_at: Timestamp,
    /// When the initial password ends.
    pub expires_at: Timestamp,
    /// Whether what is to be sent is still kept.
    pub has_ciphertext: bool,
}

/// A page of a list of resets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The resets, newest first.
    pub resets: Vec<Listed>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Place>,
}

/// A reset's mail, as HR may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The reset.
    pub reset_id: String,
    /// The agency of the person who was reset: decides who may look.
    pub agency: String,
    /// Whose password.
    pub person: PersonId,
    /// Where it goes.
    pub address: EmailDigest,
    /// Where the mail is.
    pub state: MailState,
    /// How it came back.
    pub bounce: Option<Bounce>,
    /// Why it was not sent.
    pub failure: Option<Undeliverable>,
    /// When the reset was.
    pub created_at: Timestamp,
    /// When the initial password ends.
    pub expires_at: Timestamp,
    /// Whether what is to be sent is still kept.
    pub has_ciphertext: bool,
    /// SES's id of the last sending.
    pub message_id: Option<String>,
    /// How often it was tried.
    pub attempt: u32,
}

/// A mail of any kind, as what SES says of it finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Where it is.
    pub standing: Standing,
    /// Whom it is for.
    pub person: PersonId,
    /// Where a letter or a code goes.
    pub address: Option<EmailDigest>,
    /// Whether it goes to the address of the person's account.
    pub to_account: bool,
    /// SES's id of the last sending that is known.
    pub message_id: Option<String>,
    /// How often it was tried.
    pub attempt: u32,
    /// When it was queued first.
    pub created_at: Timestamp,
}

/// Names a mail in the outbox, in logs, and in its `Message-ID`. Tells nothing of the person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MailId {
    /// Of a reset, by its id.
    Reset(String),
    /// Of a notice, by its id.
    Notice(String),
    /// With a code, by the id of what it confirms.
    Code(String),
}

/// A mail in a dispatcher's hands.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The mail.
    pub id: MailId,
    /// What is to be sent.
    pub content: Content,
    /// Which try at sending this is, from 1: nobody else's.
    pub attempt: u32,
    /// How many tries failed for a reason of its own, or outlived their dispatcher.
    pub strikes: u32,
    /// When it was queued first.
    pub created_at: Timestamp,
    /// When another dispatcher may take it.
    until: Timestamp,
}

impl Leased {
    /// Whether the lease outlasts a call to SES that begins `then`. Beyond, another dispatcher may be at it.
    #[must_use]
    pub fn outlasts_a_call(&self, then: Timestamp) -> bool {
        self.until.duration_since(then) >= CALL
    }
}

/// What a dispatcher needs.
#[derive(Clone, Debug)]
pub enum Content {
    /// An initial password.
    Letter {
        /// Whose.
        person: PersonId,
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
        /// A former address, sealed under the person's record name; without one it goes to the account's.
        to_sealed: Option<Vec<u8>>,
        /// When what it tells of happened here.
        queued_at: Timestamp,
    },
    /// A code.
    Code {
        /// Whose.
        person: PersonId,
        /// Code and address, sealed under the mail's key.
        ciphertext: Vec<u8>,
        /// When the code ends.
        expires_at: Timestamp,
    },
    /// Something that nobody can read, and why.
    Damaged(String),
}

/// What asking for a lease found.
#[derive(Clone, Debug)]
pub enum Lease {
    /// It is ours: send.
    Taken(Leased),
    /// It was put back, until then.
    NotYet(Timestamp),
    /// Another dispatcher is at it.
    Busy,
    /// Nothing is left to do.
    Settled(Standing),
    /// There is no such mail any more.
    Gone,
}

/// One of the index's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard(u8);

/// A mail that somebody has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: MailId,
    /// Where it is.
    pub state: MailState,
    /// Since when.
    pub due_at: Timestamp,
    /// When it was queued first.
    pub created_at: Timestamp,
    /// How many tries failed for a reason of its own.
    pub strikes: u32,
}

/// Why a mail is not sent once more.
#[derive(Debug, thiserror::Error)]
pub enum ResendRefused {
    /// It is queued or being sent: nothing is to be done.
    #[error("it is on its way")]
    UnderWay,
    /// Where it is, nothing can be sent again.
    #[error(transparent)]
    OutOfPlace(#[from] OutOfPlace),
    /// What was to be sent is no longer kept, or has expired.
    #[error("the initial password is no longer kept")]
    Expired,
    /// The service.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of handing a mail in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It is queued again.
    Queued,
    /// It has not been given up, or not for good: nothing is to be done.
    NothingToDo(Standing),
    /// What was to be sent is no longer kept.
    Expired,
    /// There is no such mail.
    Gone,
}

/// Why mail to an address would come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Marked {
    /// Mail to it was refused for good.
    Bounced,
    /// Its owner reported a mail as unwanted, and SES sends none there.
    Complained,
}

/// An address that mail came back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct AddressMark {
    /// Why.
    pub why: Marked,
    /// Since when.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub since: Timestamp,
}

#[derive(Deserialize)]
struct EntryItem {
    agency: String,
    person: PersonId,
    address: EmailDigest,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct CodeItem {
    person: PersonId,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct NoticeItem {
    person: PersonId,
    notice: Notice,
}

/// What every entry has.
#[derive(Deserialize)]
struct Progress {
    state: MailState,
    bounce: Option<Bounce>,
    failure: Option<Undeliverable>,
    #[serde(default)]
    attempt: u32,
    #[serde(default)]
    strikes: u32,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    created_at: Timestamp,
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    leased_until: Option<Timestamp>,
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    not_before: Option<Timestamp>,
    message_id: Option<String>,
}

impl Progress {
    fn of(item: &Item) -> Result<Self, StoreError> {
        from_item(item.clone())
    }

    fn standing(&self) -> Standing {
        Standing::from_stored(self.state, self.bounce, self.failure)
    }
}

impl MailId {
    /// Every [`MailId::kind`]. The dashboard of mails shows each; a check of the template reads them here.
    pub const KINDS: [&'static str; 3] = ["reset", "notice", "code"];

    /// The mail that an item's key names; `None` for a key of another kind of item.
    #[must_use]
    pub fn of_key(pk: &str) -> Option<Self> {
        let (kind, id) = pk.split_once('#')?;
        Self::new(kind, id)
    }

    /// The mail of a kind ([`MailId::kind`]) and an id.
    #[must_use]
    pub fn new(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "reset" => Some(Self::Reset(id.to_owned())),
            "notice" => Some(Self::Notice(id.to_owned())),
            "code" => Some(Self::Code(id.to_owned())),
            _ => None,
        }
    }

    /// `reset`, `notice` or `code`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reset(_) => "reset",
            Self::Notice(_) => "notice",
            Self::Code(_) => "code",
        }
    }

    /// The id of the reset, of the notice, or of what the code confirms.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Reset(id) | Self::Notice(id) | Self::Code(id) => id,
        }
    }

    /// The item's key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}#{}", self.kind(), self.as_str())
    }

    fn shard(&self) -> Shard {
        self.shard_in(Lane::Single)
    }

    fn shard_in(&self, lane: Lane) -> Shard {
        let sum = self.as_str().bytes().fold(0, u8::wrapping_add);
        match lane {
            Lane::Single => Shard(sum % Shard::COUNT),
            Lane::Bulk => Shard(Shard::COUNT + sum % Shard::BULK_COUNT),
        }
    }
}

impl Shard {
    const COUNT: u8 = 16;
    const BULK_COUNT: u8 = 4;

    /// All of them, those of bulk resets last. The others begin with another one each minute: what ends a look at them early
    /// keeps none waiting for long.
    pub fn all(now: Timestamp) -> impl Iterator<Item = Self> {
        let minute = now.as_second().div_euclid(60).rem_euclid(i64::from(Self::COUNT));
        let first = u8::try_from(minute).unwrap_or_default();
        (0..Self::COUNT).map(move |place| Self((first + place) % Self::COUNT)).chain(Self::bulk())
    }

    /// Those of bulk resets.
    fn bulk() -> impl Iterator<Item = Self> {
        (Self::COUNT..Self::COUNT + Self::BULK_COUNT).map(Self)
    }

    /// Whether it is one of bulk resets.
    pub fn is_of_bulk(self) -> bool {
        self.0 >= Self::COUNT
    }

    fn value(self) -> AttributeValue {
        text(match self.0.checked_sub(Self::COUNT) {
            None => format!("{:x}", self.0),
            Some(of_bulk) => format!("bulk-{of_bulk:x}"),
        })
    }
}

impl Lane {
    fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bulk => "bulk",
        }
    }
}

impl Content {
    fn of(id: &MailId, mut item: Item, queued_at: Timestamp) -> Result<Self, StoreError> {
        let without = || StoreError::Unreadable("a mail without its ciphertext".to_owned());
        match id {
            MailId::Code(_) => {
                let ciphertext = bytes(&mut item, "ciphertext").ok_or_else(without)?;
                let CodeItem { person, expires_at } = from_item(item)?;
                Ok(Self::Code { person, ciphertext, expires_at })
            }
            MailId::Reset(_) => {
                let ciphertext = bytes(&mut item, "ciphertext").ok_or_else(without)?;
                let EntryItem { person, expires_at, .. } = from_item(item)?;
                Ok(Self::Letter { person, ciphertext, expires_at })
            }
            MailId::Notice(_) => {
                let to_sealed = bytes(&mut item, "to_sealed");
                let NoticeItem { person, notice } = from_item(item)?;
                Ok(Self::Notice { person, notice, to_sealed, queued_at })
            }
        }
    }
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn milliseconds(time: Timestamp) -> AttributeValue {
    number(time.as_millisecond())
}

fn word(value: impl Serialize) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| StoreError::Unreadable(error.to_string()))
}

fn state(state: MailState) -> AttributeValue {
    text(state.as_str())
}

/// What a conditional update came to.
enum Written {
    /// The item as it is now.
    Done(Item),
    /// The condition was refused; the item as it stands, if there is one.
    Refused(Option<Item>),
}

async fn write(update: UpdateItemFluentBuilder) -> Result<Written, StoreError> {
    let answer = update
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(Written::Done(answer.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                Ok(Written::Refused(refused.item().cloned()))
            }
            _ => Err(error.into()),
        },
    }
}

impl Outbox {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    fn update(&self, id: &MailId) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("pk", text(id.key()))
    }

    async fn item(&self, key: String) -> Result<Option<Item>, StoreError> {
        let read = self.client.get_item().table_name(&self.table).key("pk", text(key)).consistent_read(true);
        Ok(read.send().await?.item)
    }

    /// Queues a letter, as part of the reset's transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue(&self, letter: &NewLetter, ciphertext: Vec<u8>) -> Result<Put, StoreError> {
        let id = MailId::Reset(letter.reset_id.clone());
        Ok(self
            .put(&id, &letter.person, letter.created_at, letter.expires_at, letter.lane)
            .item("agency", text(&letter.agency))
            .item("resetter", text(letter.by.to_string()))
            .item("address", text(letter.address.as_str()))
            .item("expires_at", milliseconds(letter.expires_at))
            .item("ciphertext", AttributeValue::B(Blob::new(ciphertext)))
            .build()?)
    }

    /// Queues a mail with a code, as part of the transaction of what the code confirms. What is sealed is for
    /// [`MailId::key`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue_code(&self, code: &NewCode, sealed: Vec<u8>) -> Result<Put, StoreError> {
        let id = MailId::Code(code.id.clone());
        Ok(self
            .put(&id, &code.person, code.created_at, code.expires_at, Lane::Single)
            .item("address", text(code.address.as_str()))
            .item("expires_at", milliseconds(code.expires_at))
            .item("ciphertext", AttributeValue::B(Blob::new(sealed)))
            .build()?)
    }

    /// Queues a notice to the address of a person's account, as part of the transaction that makes happen what it tells of.
    /// `id` is random and new, such as a [`Secret`](crate::secret::Secret), or derived from what may be told once alone.
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
        self.queue_notice_in(Lane::Single, person, notice, id, now)
    }

    /// As [`Outbox::queue_notice`], in a lane.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue_notice_in(
        &self,
        lane: Lane,
        person: &PersonId,
        notice: &Notice,
        id: &str,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let id = MailId::Notice(id.to_owned());
        Ok(self.put(&id, person, now, now, lane).item("notice", word(notice)?).build()?)
    }

    /// As [`Outbox::queue_notice`], to a former address of theirs, sealed as their account had it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue_notice_to(
        &self,
        person: &PersonId,
        notice: &Notice,
        id: &str,
        to_sealed: &[u8],
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let id = MailId::Notice(id.to_owned());
        Ok(self
            .put(&id, person, now, now, Lane::Single)
            .item("notice", word(notice)?)
            .item("to_sealed", AttributeValue::B(Blob::new(to_sealed)))
            .item("to_former", AttributeValue::Bool(true))
            .build()?)
    }

    fn put(
        &self,
        id: &MailId,
        person: &PersonId,
        now: Timestamp,
        until: Timestamp,
        lane: Lane,
    ) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        let due_at = match lane {
            // The stream has it first.
            Lane::Single => later(now, STREAM_LATE),
            Lane::Bulk => now,
        };
        Put::builder()
            .table_name(&self.table)
            .item("pk", text(id.key()))
            .item("person", text(person.as_str()))
            .item("state", state(MailState::Queued))
            .item("created_at", milliseconds(now))
            .item("strikes", number(0))
            .item("lane", text(lane.as_str()))
            .item("pending", id.shard_in(lane).value())
            .item("due_at", milliseconds(due_at))
            .item("ttl", number(later(until, KEPT).as_second()))
            .condition_expression("attribute_not_exists(pk)")
    }

    /// A reset's mail. A notice has another key, and is never found here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entry(&self, reset_id: &str) -> Result<Option<Entry>, StoreError> {
        let Some(item) = self.item(MailId::Reset(reset_id.to_owned()).key()).await? else { return Ok(None) };
        let has_ciphertext = item.contains_key("ciphertext");
        let progress = Progress::of(&item)?;
        let EntryItem { agency, person, address, expires_at } = from_item(item)?;
        Ok(Some(Entry {
            reset_id: reset_id.to_owned(),
            agency,
            person,
            address,
            state: progress.state,
            bounce: progress.bounce,
            failure: progress.failure,
            created_at: progress.created_at,
            expires_at,
            has_ciphertext,
            message_id: progress.message_id,
            attempt: progress.attempt,
        }))
    }

    /// A mail of any kind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mail(&self, id: &MailId) -> Result<Option<Mail>, StoreError> {
        #[derive(Deserialize)]
        struct Recipient {
            person: PersonId,
            address: Option<EmailDigest>,
        }
        let Some(item) = self.item(id.key()).await? else { return Ok(None) };
        let progress = Progress::of(&item)?;
        let to_account = matches!(id, MailId::Notice(_)) && !item.contains_key("to_former");
        let Recipient { person, address } = from_item(item)?;
        Ok(Some(Mail {
            standing: progress.standing(),
            person,
            address,
            to_account,
            message_id: progress.message_id,
            attempt: progress.attempt,
            created_at: progress.created_at,
        }))
    }

    /// Takes the lease of a mail that waits, or whose dispatcher never came back, which is a strike.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease(&self, id: &MailId, now: Timestamp) -> Result<Lease, StoreError> {
        let until = later(now, LEASE);
        let leased = |condition: &str| {
            self.update(id)
                .update_expression(
                    "SET #state = :sending, leased_until = :until, due_at = :until \
                     REMOVE not_before, asked_again, message_id ADD attempt :one, strikes :strikes",
                )
                .condition_expression(condition)
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":sending", state(MailState::Sending))
                .expression_attribute_values(":until", milliseconds(until))
                .expression_attribute_values(":now", milliseconds(now))
                .expression_attribute_values(":one", number(1))
        };
        let waiting = leased("#state = :queued AND (attribute_not_exists(not_before) OR not_before <= :now)")
            .expression_attribute_values(":queued", state(MailState::Queued))
            .expression_attribute_values(":strikes", number(0));
        let found = match write(waiting).await? {
            Written::Done(item) => return taken(id, until, item),
            Written::Refused(None) => return Ok(Lease::Gone),
            Written::Refused(Some(item)) => Progress::of(&item)?,
        };
        match (found.standing(), found.leased_until, found.not_before) {
            (Standing::Sending, Some(ended), _) if ended < now => {
                let abandoned = leased("#state = :sending AND attempt = :attempt AND leased_until < :now")
                    .expression_attribute_values(":attempt", number(found.attempt))
                    .expression_attribute_values(":strikes", number(1));
                match write(abandoned).await? {
                    Written::Done(item) => taken(id, until, item),
                    Written::Refused(_) => Ok(Lease::Busy),
                }
            }
            (Standing::Sending, ..) => Ok(Lease::Busy),
            (Standing::Queued, _, not_before) => Ok(not_before.map_or(Lease::Busy, Lease::NotYet)),
            (standing, ..) => Ok(Lease::Settled(standing)),
        }
    }

    /// Notes that SES has accepted the mail. A letter's ciphertext stays, until it is delivered or expires.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sent(&self, leased: &Leased, message_id: &str, now: Timestamp) -> Result<(), StoreError> {
        let set = "SET #state = :state, message_id = :message, sent_at = :now";
        let update = match &leased.content {
            Content::Letter { expires_at, .. } => self
                .settle(leased, &format!("{set}, due_at = :due REMOVE leased_until, last_error"))
                .expression_attribute_values(":due", milliseconds(*expires_at)),
            // A former address is of no more use, and a code is not sent twice: another one is asked for.
            Content::Notice { .. } | Content::Code { .. } | Content::Damaged(_) => self.settle(
                leased,
                &format!("{set} REMOVE leased_until, last_error, to_sealed, ciphertext, pending, due_at"),
            ),
        };
        let update = update
            .expression_attribute_values(":state", state(MailState::Sent))
            .expression_attribute_values(":message", text(message_id))
            .expression_attribute_values(":now", milliseconds(now));
        write(update).await.map(|_| ())
    }

    /// Gives a lease back after a failure, until `not_before`. `reason` is a short code for operators.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_back(
        &self,
        leased: &Leased,
        not_before: Timestamp,
        strike: bool,
        reason: &str,
    ) -> Result<(), StoreError> {
        let update = self
            .settle(
                leased,
                "SET #state = :state, not_before = :then, due_at = :then, last_error = :reason \
                 REMOVE leased_until ADD strikes :strikes",
            )
            .expression_attribute_values(":state", state(MailState::Queued))
            .expression_attribute_values(":then", milliseconds(not_before))
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":strikes", number(u32::from(strike)));
        write(update).await.map(|_| ())
    }

    /// Notes that the mail will not be sent, and why. A letter that was given up keeps its ciphertext: it may be handed in
    /// again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn failed(
        &self,
        leased: &Leased,
        why: Undeliverable,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let set = "SET #state = :state, failure = :why, settled_at = :now";
        let update = match &leased.content {
            Content::Letter { expires_at, .. } if Standing::Failed(why).keeps_ciphertext() => self
                .settle(leased, &format!("{set}, due_at = :due REMOVE leased_until"))
                .expression_attribute_values(":due", milliseconds(*expires_at)),
            Content::Notice { .. } if Standing::Failed(why).keeps_ciphertext() => {
                self.settle(leased, &format!("{set} REMOVE leased_until, pending, due_at"))
            }
            Content::Letter { .. } | Content::Notice { .. } | Content::Code { .. } | Content::Damaged(_) => {
                self.settle(
                    leased,
                    &format!("{set} REMOVE leased_until, ciphertext, to_sealed, pending, due_at"),
                )
            }
        };
        let update = update
            .expression_attribute_values(":state", state(MailState::Failed))
            .expression_attribute_values(":why", word(why)?)
            .expression_attribute_values(":now", milliseconds(now));
        write(update).await.map(|_| ())
    }

    /// A note on a leased mail. Refused, it is another's to make: the lease ran out and another dispatcher took over, or SES
    /// has already said what became of the mail.
    fn settle(&self, leased: &Leased, expression: &str) -> UpdateItemFluentBuilder {
        self.update(&leased.id)
            .update_expression(expression)
            .condition_expression("#state = :sending AND attempt = :attempt")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":sending", state(MailState::Sending))
            .expression_attribute_values(":attempt", number(leased.attempt))
    }

    /// Mails of a shard that are due, those that have waited longest first, `limit` at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, shard: Shard, now: Timestamp, limit: i32) -> Result<Vec<Due>, StoreError> {
        #[derive(Deserialize)]
        struct DueItem {
            pk: String,
            state: MailState,
            #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
            due_at: Timestamp,
            #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
            created_at: Timestamp,
            #[serde(default)]
            strikes: u32,
        }
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(PENDING)
            .key_condition_expression("pending = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", shard.value())
            .expression_attribute_values(":now", milliseconds(now))
            .limit(limit)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default().into_iter();
        items
            .filter_map(|item| match from_item::<DueItem>(item) {
                Ok(DueItem { pk, state, due_at, created_at, strikes }) => {
                    MailId::of_key(&pk).map(|id| Ok(Due { id, state, due_at, created_at, strikes }))
                }
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    /// Resets, newest first. An index follows the table within a moment, so the newest may be missing from it yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, wanted: &Wanted) -> Result<Page, StoreError> {
        let (index, name, value) = match &wanted.of {
            Of::Agency(agency) => (BY_AGENCY, "agency", text(agency)),
            Of::Resetter(subject) => (BY_RESETTER, "resetter", text(subject.to_string())),
        };
        // Until the millisecond before, because both ends of BETWEEN belong to it.
        let from = wanted.from.map_or(0, Timestamp::as_millisecond);
        let to = wanted.to.map_or(i64::MAX, |to| to.as_millisecond().saturating_sub(1));
        if from > to {
            return Ok(Page { resets: Vec::new(), next: None });
        }
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .key_condition_expression(format!("{name} = :whose AND created_at BETWEEN :from AND :to"))
            .expression_attribute_values(":whose", value.clone())
            .expression_attribute_values(":from", number(from))
            .expression_attribute_values(":to", number(to))
            .scan_index_forward(false)
            .limit(LIST_QUERY);
        if !wanted.states.is_empty() {
            let names: Vec<String> = (0..wanted.states.len()).map(|place| format!(":state{place}")).collect();
            query = query
                .filter_expression(format!("#state IN ({})", names.join(", ")))
                .expression_attribute_names("#state", "state");
            for (name, wanted) in names.into_iter().zip(&wanted.states) {
                query = query.expression_attribute_values(name, state(*wanted));
            }
        }
        let mut page = Page { resets: Vec::new(), next: wanted.after.clone() };
        for _ in 0..LIST_QUERIES {
            let start = page.next.take().map(|place| place.key(name, value.clone()));
            let answer = query.clone().set_exclusive_start_key(start).send().await?;
            for item in answer.items.unwrap_or_default() {
                page.resets.push(listed(item)?);
            }
            if page.resets.len() > wanted.limit {
                page.resets.truncate(wanted.limit);
                page.next = page.resets.last().map(Place::of);
                return Ok(page);
            }
            page.next = answer.last_evaluated_key.as_ref().and_then(Place::read);
            if page.next.is_none() || page.resets.len() == wanted.limit {
                break;
            }
        }
        Ok(page)
    }

    /// Where the mails of resets are, of as many as there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standings(&self, reset_ids: &[&str]) -> Result<HashMap<String, Standing>, StoreError> {
        let mut found = HashMap::new();
        for chunk in reset_ids.chunks(batch::KEYS) {
            let keys = chunk.iter().map(|id| MailId::Reset((*id).to_owned()).key());
            let wanted = keys_and_attributes(keys.collect::<BTreeSet<_>>())?;
            let items = batch::read_one(&self.client, &self.table, wanted, Patience::Call).await?;
            for item in items {
                let standing = Progress::of(&item)?.standing();
                if let Some(MailId::Reset(id)) = MailId::of_key(pk(&item)) {
                    found.insert(id, standing);
                }
            }
        }
        Ok(found)
    }

    /// Drops the ciphertext of a letter that is past its end and that nobody is to send.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire(&self, id: &MailId, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(id)
            .update_expression("REMOVE ciphertext, pending, due_at")
            .condition_expression(
                "expires_at <= :now AND NOT #state IN (:queued, :sending) AND attribute_exists(pending)",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":now", milliseconds(now))
            .expression_attribute_values(":queued", state(MailState::Queued))
            .expression_attribute_values(":sending", state(MailState::Sending));
        write(update).await.map(|_| ())
    }

    /// Reserves a row of slots in the one pace of all dispatchers ([`crate::delivery::pace`]).
    ///
    /// # Errors
    /// [`StoreError`], also when others were quicker too often.
    pub async fn reserve(&self, mails: u32, pace: Pace, now: Timestamp) -> Result<Slots, StoreError> {
        let micros = |time: Timestamp| number(time.as_microsecond());
        let mut known: Option<Timestamp> = None;
        for _ in 0..PACE_TRIES {
            let (slots, after) = pace::reserve(known, mails, pace, now);
            if let Slots::Later(_) = slots {
                return Ok(slots);
            }
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .key("pk", text("pace#ses"))
                .update_expression("SET next_at = :after")
                .expression_attribute_values(":after", micros(after));
            let update = match known {
                // At a quiet time the pace is free, whoever had it last.
                None => update
                    .condition_expression("attribute_not_exists(next_at) OR next_at <= :now")
                    .expression_attribute_values(":now", micros(now)),
                Some(known) => update
                    .condition_expression("next_at = :known")
                    .expression_attribute_values(":known", micros(known)),
            };
            match write(update).await? {
                Written::Done(_) => return Ok(slots),
                Written::Refused(item) => known = item.as_ref().and_then(next_slot),
            }
        }
        Err(StoreError::Service("others were quicker at reserving slots".to_owned()))
    }

    /// Notes what SES said of a mail, as part of a transaction, if the mail is where it was seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn feedback(
        &self,
        id: &MailId,
        seen: &Mail,
        next: Standing,
        message_id: &str,
        at: Timestamp,
    ) -> Result<Update, StoreError> {
        let mut set =
            "SET #state = :next, settled_at = :at, message_id = if_not_exists(message_id, :message)"
                .to_owned();
        let mut remove = "REMOVE leased_until, not_before, asked_again".to_owned();
        let mut update = Update::builder()
            .table_name(&self.table)
            .key("pk", text(id.key()))
            .condition_expression(
                "#state = :seen AND (attempt = :attempt OR (attribute_not_exists(attempt) AND :attempt = :zero))",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":next", state(next.state()))
            .expression_attribute_values(":seen", state(seen.standing.state()))
            .expression_attribute_values(":attempt", number(seen.attempt))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":message", text(message_id))
            .expression_attribute_values(":at", milliseconds(at))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match next {
            Standing::Bounced(bounce) => {
                set.push_str(", bounce = :bounce");
                remove.push_str(", failure");
                update = update.expression_attribute_values(":bounce", word(bounce)?);
            }
            Standing::Failed(why) => {
                set.push_str(", failure = :failure");
                remove.push_str(", bounce");
                update = update.expression_attribute_values(":failure", word(why)?);
            }
            _ => remove.push_str(", bounce, failure"),
        }
        let letter = matches!(id, MailId::Reset(_));
        if !(letter && next.keeps_ciphertext()) {
            remove.push_str(", ciphertext, to_sealed, pending, due_at");
        } else {
            // Until when the ciphertext is kept.
            set.push_str(", due_at = expires_at");
        }
        Ok(update.update_expression(format!("{set} {remove}")).build()?)
    }

    /// Whether a letter in a list could be queued once more now, for all that the outbox knows.
    pub fn may_resend(listed: &Listed, now: Timestamp) -> bool {
        !matches!(listed.standing, Standing::Queued | Standing::Sending)
            && listed.standing.after(Step::Resend).is_ok()
            && listed.has_ciphertext
            && now < listed.expires_at
    }

    /// Queues a letter once more, with the same initial password, as part of a transaction.
    ///
    /// # Errors
    /// [`ResendRefused`].
    pub fn resend(&self, entry: &Entry, now: Timestamp) -> Result<Update, ResendRefused> {
        let standing = Standing::from_stored(entry.state, entry.bounce, entry.failure);
        if matches!(standing, Standing::Queued | Standing::Sending) {
            return Err(ResendRefused::UnderWay);
        }
        standing.after(Step::Resend)?;
        if !entry.has_ciphertext || now >= entry.expires_at {
            return Err(ResendRefused::Expired);
        }
        let update = Update::builder()
            .table_name(&self.table)
            .key("pk", text(MailId::Reset(entry.reset_id.clone()).key()))
            .update_expression(QUEUE_AGAIN)
            .condition_expression(
                "#state = :seen AND attempt = :attempt AND attribute_exists(ciphertext) AND expires_at > :now",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":seen", state(entry.state))
            .expression_attribute_values(":attempt", number(entry.attempt))
            .expression_attribute_values(":queued", state(MailState::Queued))
            .expression_attribute_values(":asked", text("resend"))
            .expression_attribute_values(":due", milliseconds(later(now, STREAM_LATE)))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":shard", MailId::Reset(entry.reset_id.clone()).shard().value())
            .expression_attribute_values(":now", milliseconds(now))
            .build();
        Ok(update.map_err(StoreError::from)?)
    }

    /// Queues a mail that was given up once more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redrive(&self, id: &MailId, now: Timestamp) -> Result<Redriven, StoreError> {
        let kept = match id {
            MailId::Reset(_) | MailId::Code(_) => " AND attribute_exists(ciphertext) AND expires_at > :now",
            // A notice that is too old says so when it is to be sent.
            MailId::Notice(_) => " AND created_at <= :now",
        };
        let update = self
            .update(id)
            .update_expression(QUEUE_AGAIN)
            .condition_expression(format!("#state = :failed AND failure = :given_up{kept}"))
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":failed", state(MailState::Failed))
            .expression_attribute_values(":given_up", word(Undeliverable::GivenUp)?)
            .expression_attribute_values(":queued", state(MailState::Queued))
            .expression_attribute_values(":asked", text("redrive"))
            .expression_attribute_values(":due", milliseconds(later(now, STREAM_LATE)))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":shard", id.shard().value())
            .expression_attribute_values(":now", milliseconds(now));
        match write(update).await? {
            Written::Done(_) => Ok(Redriven::Queued),
            Written::Refused(None) => Ok(Redriven::Gone),
            Written::Refused(Some(item)) => Ok(match Progress::of(&item)?.standing() {
                standing if standing.after(Step::Redrive).is_ok() => Redriven::Expired,
                standing => Redriven::NothingToDo(standing),
            }),
        }
    }

    /// Marks an address that mail came back from, as part of a transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mark_address(
        &self,
        address: &EmailDigest,
        why: Marked,
        since: Timestamp,
    ) -> Result<Put, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .item("pk", text(address_key(address)))
            .item("why", word(why)?)
            .item("since", milliseconds(since))
            .item("ttl", number(later(since, KEPT).as_second()))
            .build()?)
    }

    /// Unmarks an address that a mail arrived at, as part of a transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unmark_address(&self, address: &EmailDigest) -> Result<Delete, StoreError> {
        Ok(Delete::builder().table_name(&self.table).key("pk", text(address_key(address))).build()?)
    }

    /// Whether mail to an address came back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn address_mark(&self, address: &EmailDigest) -> Result<Option<AddressMark>, StoreError> {
        self.item(address_key(address)).await?.map(from_item).transpose()
    }

    /// Reads what is known of an address out of an item of a batch.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn address_mark_from(item: Option<Item>) -> Result<Option<AddressMark>, StoreError> {
        item.map(from_item).transpose()
    }

    /// Which of these addresses mail came back from.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn marked(&self, addresses: &[&EmailDigest]) -> Result<HashSet<EmailDigest>, StoreError> {
        let keys: BTreeSet<String> = addresses.iter().map(|address| address_key(address)).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        let mut marked = HashSet::new();
        for chunk in keys.chunks(batch::KEYS) {
            let wanted = keys_and_attributes(chunk.iter().cloned())?;
            let items = batch::read_one(&self.client, &self.table, wanted, Patience::Call).await?;
            let found = items.into_iter();
            marked.extend(
                found.filter_map(|item| Some(EmailDigest::from_stored(pk(&item).strip_prefix("address#")?))),
            );
        }
        Ok(marked)
    }
}

impl Place {
    fn of(listed: &Listed) -> Self {
        Self { reset_id: listed.reset_id.clone(), created_at: listed.created_at.as_millisecond() }
    }

    fn read(key: &Item) -> Option<Self> {
        let Some(MailId::Reset(reset_id)) = MailId::of_key(pk(key)) else { return None };
        let created_at = key.get("created_at")?.as_n().ok()?.parse().ok()?;
        Some(Self { reset_id, created_at })
    }

    /// Where a query of an index goes on.
    fn key(self, name: &str, value: AttributeValue) -> Item {
        HashMap::from([
            ("pk".to_owned(), text(MailId::Reset(self.reset_id).key())),
            (name.to_owned(), value),
            ("created_at".to_owned(), number(self.created_at)),
        ])
    }
}

fn listed(item: Item) -> Result<Listed, StoreError> {
    #[derive(Deserialize)]
    struct ListedItem {
        agency: String,
        person: PersonId,
        resetter: Option<String>,
        state: MailState,
        bounce: Option<Bounce>,
        failure: Option<Undeliverable>,
        #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
        created_at: Timestamp,
        #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
        expires_at: Timestamp,
    }
    let Some(MailId::Reset(reset_id)) = MailId::of_key(pk(&item)) else {
        return Err(StoreError::Unreadable("not a reset".to_owned()));
    };
    // What is to be looked at again still has what is to be sent.
    let has_ciphertext = item.contains_key("pending");
    let item: ListedItem = from_item(item)?;
    Ok(Listed {
        reset_id,
        agency: item.agency,
        person: item.person,
        by: item.resetter.as_deref().and_then(Subject::parse),
        standing: Standing::from_stored(item.state, item.bounce, item.failure),
        created_at: item.created_at,
        expires_at: item.expires_at,
        has_ciphertext,
    })
}

/// Queues a mail anew. The stream hands it to the dispatcher because of `asked_again`.
const QUEUE_AGAIN: &str = "SET #state = :queued, asked_again = :asked, due_at = :due, pending = :shard, strikes = :zero \
                           REMOVE not_before, leased_until, bounce, failure, last_error, settled_at";

/// The key of what is known of an address.
pub fn address_key(address: &EmailDigest) -> String {
    format!("address#{address}")
}

fn next_slot(item: &Item) -> Option<Timestamp> {
    let micros = item.get("next_at")?.as_n().ok()?.parse().ok()?;
    Timestamp::from_microsecond(micros).ok()
}

fn taken(id: &MailId, until: Timestamp, item: Item) -> Result<Lease, StoreError> {
    let Progress { attempt, strikes, created_at, .. } = Progress::of(&item)?;
    let content =
        Content::of(id, item, created_at).unwrap_or_else(|error| Content::Damaged(error.to_string()));
    Ok(Lease::Taken(Leased { id: id.clone(), content, attempt, strikes, created_at, until }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_look_is_at_all_shards_and_begins_with_another_one_each_minute() {
        let mut first = BTreeSet::new();
        for minute in -3..i64::from(Shard::COUNT) - 3 {
            let now = Timestamp::from_second(minute * 60 + 59).unwrap();
            let shards: Vec<u8> = Shard::all(now).map(|shard| shard.0).collect();
            first.insert(shards[0]);
            assert_eq!(BTreeSet::from_iter(shards), (0..Shard::COUNT + Shard::BULK_COUNT).collect());
        }
        assert_eq!(first.len(), usize::from(Shard::COUNT));
    }
}

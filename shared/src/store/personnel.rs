//! The table `accounts` as a roster sees it: the directory's attributes of many people at once.
//!
//! | read | by |
//! | --- | --- |
//! | the people of a file's rows, a hundred a call | key |
//! | everybody, in segments side by side | scan |
//! | what was noted of the agencies of a file, by code and by OID | key |
//! | an agency's people, and how many of them serve | index `ByAgency`, all parts of the agency |
//! | whether an agency has an HR head in service | index `ByHead`, which has nobody else |
//!
//! All of it reads a few attributes, and costs what whole items cost: an item is a unit of reading whatever is taken of it. What
//! is written of one person is in [`super::accounts`]; new people, of whom nobody has written anything yet, are put here a
//! hundred at a time, under the condition that they still are new.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, Select, TransactWriteItem};

use super::accounts::agency_code_key;
use super::batch::{self, Patience};
use super::{Item, StoreError, number, text};
use crate::authority::Answering;
use crate::person::{Role, Service};
use crate::pseudonym::{PersonId, TailDigest};
use crate::roster::facts::Recorded;
use crate::roster::plan::Known;
use crate::roster::{Agency, Listed};

/// Most keys of one batch read, and most writes of one transaction.
pub const MANY: usize = batch::KEYS;

/// The index of people by agency, and of HR heads in service by theirs.
const BY_AGENCY: &str = "ByAgency";
const BY_HEAD: &str = "ByHead";

/// Most heads of an agency who are told of something.
const HEADS: i32 = 10;

/// In so many parts an agency is in the index. A file of a country is usually sorted by agency: in one part, a first import would
/// wait for a single partition, which takes a thousand writes a second.
const PARTS: u8 = 8;

/// Where a person is in the index: a part of their agency.
pub(super) fn listed_in(agency: &str, person: &PersonId) -> String {
    let part = person.as_str().bytes().next().unwrap_or_default() % PARTS;
    format!("{agency}#{part}")
}

/// Keys and filter of the index: those of a part who serve.
const IN_PART: &str = "listed_in = :part";
const SERVES: &str = "service = :serves";

/// What a roster is compared with.
const PROJECTION: &str = "pk, #name, agency, agency_name, service, #roles, roster_agencies, tail";

/// The directory.
#[derive(Clone, Debug)]
pub struct Personnel {
    client: Client,
    table: String,
}

/// What is left of a scan's segment.
#[derive(Debug)]
pub struct Segment {
    number: i32,
    of: i32,
    /// Where the next page begins; nothing when there is none.
    next: Option<Option<Item>>,
}

impl Segment {
    /// All segments of a scan in that many parts.
    pub fn all(of: i32) -> impl Iterator<Item = Self> {
        (0..of).map(move |number| Self { number, of, next: Some(None) })
    }
}

fn person_of(item: &Item) -> Option<PersonId> {
    Some(PersonId::from_stored(item.get("pk")?.as_s().ok()?.strip_prefix("person#")?))
}

fn names() -> HashMap<String, String> {
    HashMap::from([("#name".to_owned(), "name".to_owned()), ("#roles".to_owned(), "roles".to_owned())])
}

impl Personnel {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Of these people, at most [`MANY`] and no two the same, those whom the directory knows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known(&self, people: &[PersonId]) -> Result<Vec<Known>, StoreError> {
        let keys = people.iter().map(|id| HashMap::from([("pk".to_owned(), text(format!("person#{id}")))]));
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .projection_expression(PROJECTION)
            .set_expression_attribute_names(Some(names()))
            .consistent_read(true)
            .build()?;
        batch::read_one(&self.client, &self.table, wanted, Patience::Work)
            .await?
            .into_iter()
            .map(read)
            .collect()
    }

    /// Of these agencies, by OID, at most [`MANY`], those that the directory knows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agencies(&self, oids: &[&str]) -> Result<HashMap<String, Agency>, StoreError> {
        let keys = oids.iter().map(|oid| HashMap::from([("pk".to_owned(), text(format!("agency#{oid}")))]));
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .projection_expression("pk, code, #name")
            .expression_attribute_names("#name", "name")
            .consistent_read(true)
            .build()?;
        let found = batch::read_one(&self.client, &self.table, wanted, Patience::Work)
            .await?
            .into_iter()
            .filter_map(|mut item| {
                let mut take = |name: &str| match item.remove(name)? {
                    AttributeValue::S(text) => Some(text),
                    _ => None,
                };
                let oid = take("pk")?.strip_prefix("agency#")?.to_owned();
                // An agency may be there without a name, for what ended with its certificates.
                Some((oid.clone(), Agency { code: take("code")?, name: take("name")?, oid }))
            });
        Ok(found.collect())
    }

    /// Of these agencies, by code, at most [`MANY`], what was noted of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recorded(&self, codes: &[&str]) -> Result<HashMap<String, Recorded>, StoreError> {
        let keys = codes.iter().map(|code| HashMap::from([("pk".to_owned(), text(agency_code_key(code)))]));
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .projection_expression("pk, #name, oids")
            .expression_attribute_names("#name", "name")
            .consistent_read(true)
            .build()?;
        let found = batch::read_one(&self.client, &self.table, wanted, Patience::Work).await?;
        let mut agencies = HashMap::new();
        for code in codes {
            let key = agency_code_key(code);
            let item = found.iter().find(|item| item.get("pk").and_then(|pk| pk.as_s().ok()) == Some(&key));
            let Some(item) = item else { continue };
            let name = item.get("name").and_then(|name| name.as_s().ok()).cloned().unwrap_or_default();
            let oids = item.get("oids").and_then(|oids| oids.as_ss().ok()).cloned().unwrap_or_default();
            agencies.insert((*code).to_owned(), Recorded { name, oids: oids.into_iter().collect() });
        }
        Ok(agencies)
    }

    /// Whether anybody is listed in an agency, departed or not. The index may be some moments behind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_listed(&self, agency: &str) -> Result<bool, StoreError> {
        let parts = (0..PARTS).map(|part| self.is_anybody_in(format!("{agency}#{part}")));
        Ok(futures_util::future::try_join_all(parts).await?.contains(&true))
    }

    /// The next page of everybody; nothing when the segment is done.
    ///
    /// # Errors
    /// [`StoreError`]; the segment is where it was.
    pub async fn page(&self, segment: &mut Segment) -> Result<Option<Vec<Known>>, StoreError> {
        let Some(start) = segment.next.clone() else { return Ok(None) };
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .segment(segment.number)
            .total_segments(segment.of)
            .filter_expression("begins_with(pk, :person)")
            .expression_attribute_values(":person", text("person#"))
            .projection_expression(PROJECTION)
            .set_expression_attribute_names(Some(names()))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await?;
        let people = answer.items.unwrap_or_default().into_iter().map(read).collect::<Result<Vec<_>, _>>();
        segment.next = answer.last_evaluated_key.map(Some);
        people.map(Some)
    }

    /// The people of an agency who serve. The index may be some moments behind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn serving(&self, agency: &str) -> Result<Vec<PersonId>, StoreError> {
        let parts = (0..PARTS).map(|part| self.serving_in(format!("{agency}#{part}")));
        Ok(futures_util::future::try_join_all(parts).await?.into_iter().flatten().collect())
    }

    async fn serving_in(&self, part: String) -> Result<Vec<PersonId>, StoreError> {
        let mut people = Vec::new();
        let mut start = None;
        loop {
            let query = self.who_serves_in(&part, start).projection_expression("pk");
            let answer = query.send().await?;
            let found = answer.items.unwrap_or_default();
            people.extend(found.iter().filter_map(person_of));
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(people);
            }
        }
    }

    /// Asks for a page of those who serve in a part of an agency.
    fn who_serves_in(&self, part: &str, start: Option<Item>) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name(BY_AGENCY)
            .key_condition_expression(IN_PART)
            .filter_expression(SERVES)
            .expression_attribute_values(":part", text(part))
            .expression_attribute_values(":serves", text("in_service"))
            .set_exclusive_start_key(start)
    }

    /// Who could answer for an agency, and some of its heads, for whoever tells them: [`HEADS`] at most. The indexes may be some
    /// moments behind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn answering(&self, agency: &str) -> Result<(Answering, Vec<PersonId>), StoreError> {
        let heads = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_HEAD)
            .key_condition_expression("heads = :agency")
            .expression_attribute_values(":agency", text(agency))
            .limit(HEADS)
            .send()
            .await?;
        let heads: Vec<PersonId> = heads.items().iter().filter_map(person_of).collect();
        if !heads.is_empty() {
            return Ok((Answering::Head, heads));
        }
        // Whoever is listed, departed or not: an agency that has lost everybody is not a code that nobody has.
        let listed = self.is_listed(agency).await?;
        Ok((if listed { Answering::NoHead } else { Answering::Nobody }, Vec::new()))
    }

    async fn is_anybody_in(&self, part: String) -> Result<bool, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_AGENCY)
            .key_condition_expression(IN_PART)
            .expression_attribute_values(":part", text(part));
        Ok(!query.limit(1).send().await?.items().is_empty())
    }

    /// How many people of an agency serve.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_serving(&self, agency: &str) -> Result<u64, StoreError> {
        let parts = (0..PARTS).map(|part| self.count_in(format!("{agency}#{part}")));
        Ok(futures_util::future::try_join_all(parts).await?.into_iter().sum())
    }

    async fn count_in(&self, part: String) -> Result<u64, StoreError> {
        let mut count = 0_u64;
        let mut start = None;
        loop {
            let answer = self.who_serves_in(&part, start).select(Select::Count).send().await?;
            count = count.saturating_add(u64::try_from(answer.count).unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// Puts people whom the directory does not know, at most [`MANY`], and answers the places of those whom it does know by
    /// now. They may have neither roles nor authorizations: those come with records of their own.
    ///
    /// # Errors
    /// [`StoreError`]: none or all of those who were left are there.
    pub async fn enroll(&self, people: &[Listed]) -> Result<Vec<usize>, StoreError> {
        let mut left: Vec<usize> = (0..people.len()).collect();
        let mut known = Vec::new();
        let mut waits = Patience::Work.waits();
        loop {
            let writes = left
                .iter()
                .filter_map(|at| people.get(*at))
                .map(|listed| self.put(listed))
                .collect::<Result<Vec<_>, _>>()?;
            if writes.is_empty() {
                return Ok(known);
            }
            let answer = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
            let error = match answer {
                Ok(_) => return Ok(known),
                Err(error) => error,
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(error.into());
            };
            let refused = |place: usize| {
                let reason = cancelled.cancellation_reasons().get(place);
                reason.and_then(|reason| reason.code()) == Some("ConditionalCheckFailed")
            };
            let (there, missing): (Vec<_>, Vec<_>) =
                left.iter().copied().enumerate().partition(|(place, _)| refused(*place));
            if there.is_empty() {
                let Some(wait) = waits.next() else {
                    return Err(StoreError::Service(
                        "other transactions in the way of new people".to_owned(),
                    ));
                };
                tokio::time::sleep(wait).await;
            }
            known.extend(there.into_iter().map(|(_, at)| at));
            left = missing.into_iter().map(|(_, at)| at).collect();
        }
    }

    fn put(&self, listed: &Listed) -> Result<TransactWriteItem, StoreError> {
        let service = match listed.service {
            Service::InService => "in_service",
            Service::Departed => "departed",
        };
        let none = || AttributeValue::L(Vec::new());
        let put = Put::builder()
            .table_name(&self.table)
            .item("pk", text(format!("person#{}", listed.id)))
            .item("name", text(&listed.name))
            .item("agency", text(&listed.agency))
            .item("agency_name", text(&listed.agency_name))
            .item("listed_in", text(listed_in(&listed.agency, &listed.id)))
            .item("service", text(service))
            .item("roles", none())
            .item("roster_agencies", none())
            .item("authorizations", AttributeValue::M(HashMap::new()))
            .item("authority_version", number(0))
            .item("generation", number(0))
            .item("tail", text(listed.tail.as_str()))
            .condition_expression("attribute_not_exists(pk)")
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// What an item says of a person, as a row would.
fn read(mut item: Item) -> Result<Known, StoreError> {
    let mut take = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(StoreError::Unreadable(format!("a person without {name}"))),
    };
    let pk = take("pk")?;
    let id = pk.strip_prefix("person#").ok_or_else(|| StoreError::Unreadable("not a person".to_owned()))?;
    let service = match take("service")?.as_str() {
        "in_service" => Service::InService,
        "departed" => Service::Departed,
        _ => return Err(StoreError::Unreadable("an unknown service".to_owned())),
    };
    let (name, agency, agency_name, tail) =
        (take("name")?, take("agency")?, take("agency_name")?, take("tail")?);
    let list = |value: Option<AttributeValue>| -> Vec<String> {
        match value {
            Some(AttributeValue::L(values)) => {
                values.into_iter().filter_map(|value| value.as_s().ok().cloned()).collect()
            }
            Some(AttributeValue::Ss(values)) => values,
            _ => Vec::new(),
        }
    };
    let role = |code: String| {
        let all = [Role::HrHead, Role::HrStaff, Role::Helpdesk];
        all.into_iter()
            .find(|role| role.code() == code)
            .ok_or_else(|| StoreError::Unreadable("an unknown role".to_owned()))
    };
    let listed = Listed {
        id: PersonId::from_stored(id),
        tail: TailDigest::from_stored(&tail),
        name,
        agency,
        agency_name,
        service,
        roles: list(item.remove("roles")).into_iter().map(role).collect::<Result<BTreeSet<_>, _>>()?,
        authorized_agencies: list(item.remove("roster_agencies")).into_iter().collect(),
    };
    let fingerprint = listed.fingerprint();
    let Listed { id, agency, roles, .. } = listed;
    Ok(Known { id, agency, service, roles, fingerprint })
}

//! The table `audit`: append-only. No function may delete or update what is in it, and every write is conditional, so that
//! none takes the place of another; what is written is chained afterwards ([`crate::audit::chain`]).
//!
//! | item | key `pk`, `sk` | read by | written by |
//! | --- | --- | --- | --- |
//! | entry | subject, `<time>#<request id>#<action>#<digest>` | key `pk` by time: what happened to somebody; index `ByActor`: what somebody did to others; index `ByAgency`: an agency's; index `ByHour`: all of a time, by the sweep | every step, in the transaction of what it tells of |
//!
//! The time is in milliseconds, 13 digits, and the digest is of the entry: of one request's entries no two meet, and an entry
//! that comes twice, because an answer was lost, is one.
//!
//! A partition of an index takes 1,000 writes a second, and an index that is over it holds up the table: so that no agency,
//! however large, and no hour of a Monday does, each key of an index has 8 shards, by the subject (`by_agency` is
//! `<agency>#<shard>`); whoever reads asks all of them and merges by `sk`. Entries of nobody's agency are not in `ByAgency`.
//! What somebody did to themselves, which is most of it, is not in `ByActor`: it is under their key already.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put};
use jiff::Timestamp;
use serde::Serialize;

use super::{Item, StoreError, from_item, text, to_item, unless_refused};
use crate::audit::canonical::{Attribute, Attributes, Digest, canonical};
use crate::audit::{Entry, EntryKey};

/// How many shards each key of an index has.
pub const SHARDS: u64 = 8;

/// The table.
#[derive(Clone, Debug)]
pub struct AuditTrail {
    client: Client,
    table: String,
}

#[derive(Serialize)]
struct EntryItem {
    pk: String,
    sk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_agency: Option<String>,
    by_hour: String,
    #[serde(flatten)]
    entry: Entry,
}

/// The last millisecond that sort keys have digits for, in the year 2286.
const LAST_MILLISECOND: i64 = 9_999_999_999_999;

/// What a sort key begins with for a time.
fn time_prefix(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond().clamp(0, LAST_MILLISECOND))
}

/// The hour of a time, as the index has it.
fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60 * 60)
}

impl EntryItem {
    fn new(entry: Entry) -> Result<Self, StoreError> {
        let action = serde_json::to_value(entry.action).unwrap_or_default();
        let digest = Digest::of("first-sign-in audit key 1", &canonical(&attributes(to_item(&entry)?)?));
        let shard = Digest::of("first-sign-in audit shard 1", &entry.subject).spread() % SHARDS;
        let sharded = |key: &str| format!("{key}#{shard}");
        Ok(Self {
            pk: entry.subject.clone(),
            sk: format!(
                "{}#{}#{}#{digest}",
                time_prefix(entry.at),
                entry.request_id,
                action.as_str().unwrap_or_default()
            ),
            by_actor: (entry.actor != entry.subject).then(|| sharded(&entry.actor)),
            by_agency: entry.agency.as_deref().map(sharded),
            by_hour: sharded(&hour(entry.at).to_string()),
            entry,
        })
    }
}

impl AuditTrail {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Appends an entry, as part of a transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn append(&self, entry: Entry) -> Result<Put, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(EntryItem::new(entry)?)?))
            .condition_expression(NEW)
            .build()?)
    }

    /// Appends an entry, by itself. One that is there already, in every word, is not written again, and that is well.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note(&self, entry: Entry) -> Result<(), StoreError> {
        let item = to_item(EntryItem::new(entry)?)?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        unless_refused(put.condition_expression(NEW).send().await).map(drop)
    }
}

/// What somebody asks the trail for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// What happened to a subject.
    Subject(String),
    /// What an actor did, to themselves and to others.
    Actor(String),
    /// What happened in an agency.
    Agency(String),
}

/// A page of what somebody asks for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// What.
    pub selection: &'a Selection,
    /// Only entries of this agency.
    pub agency: Option<&'a str>,
    /// Only entries of this action, by its name.
    pub action: Option<&'a str>,
    /// From this time on.
    pub from: Timestamp,
    /// Before this time.
    pub to: Timestamp,
    /// Behind this sort key, going back in time.
    pub before: Option<&'a str>,
    /// Most entries.
    pub limit: usize,
}

/// An entry as it was found, with its sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The sort key, which is where the next page begins.
    pub sk: String,
    /// The entry.
    pub entry: Entry,
}

/// How much one part of a page may read: of a filter that hardly anything passes, a page reads so much and no more.
const READS: usize = 16;

/// What a part of a page has read.
struct Part {
    found: Vec<Found>,
    /// How far back it has read, when there may be more behind.
    open: Option<String>,
}

impl AuditTrail {
    /// A page of entries, the newest first, and the sort key behind which the next one begins, if there may be one. A page may
    /// be shorter than its limit and still not the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn page(&self, ask: &Ask<'_>) -> Result<(Vec<Found>, Option<String>), StoreError> {
        let sharded = |index, name, key: &str| -> Vec<_> {
            (0..SHARDS).map(|shard| (Some(index), name, format!("{key}#{shard}"), None)).collect()
        };
        let parts = match ask.selection {
            Selection::Subject(subject) => vec![(None, "pk", subject.clone(), None)],
            Selection::Agency(agency) => sharded("ByAgency", "by_agency", agency),
            Selection::Actor(actor) => {
                let mut parts = sharded("ByActor", "by_actor", actor);
                parts.push((None, "pk", actor.clone(), Some(actor.as_str())));
                parts
            }
        };
        let parts =
            parts.into_iter().map(|(index, name, key, actor)| self.part(ask, index, name, key, actor));
        let parts = futures_util::future::try_join_all(parts).await?;
        // What one part has not read yet may be newer than what another has: no further than all have read.
        let open = parts.iter().filter_map(|part| part.open.clone()).max();
        let mut found: Vec<Found> = parts.into_iter().flat_map(|part| part.found).collect();
        found.sort_by(|one, other| other.sk.cmp(&one.sk));
        if let Some(open) = &open {
            found.retain(|found| found.sk >= *open);
        }
        let more = found.len() > ask.limit;
        found.truncate(ask.limit);
        let next = match more {
            true => found.last().map(|found| found.sk.clone()),
            false => open,
        };
        Ok((found, next))
    }

    /// A part of a page: one key of the table or of an index.
    async fn part(
        &self,
        ask: &Ask<'_>,
        index: Option<&str>,
        name: &str,
        key: String,
        actor: Option<&str>,
    ) -> Result<Part, StoreError> {
        let from = time_prefix(ask.from);
        let to = ask.before.map_or_else(|| time_prefix(ask.to), str::to_owned);
        let mut part = Part { found: Vec::new(), open: None };
        if from >= to {
            return Ok(part);
        }
        let filters =
            [("agency", "agency", ask.agency), ("action", "#action", ask.action), ("actor", "actor", actor)];
        let filters = filters.into_iter().filter_map(|(value, path, wanted)| Some((value, path, wanted?)));
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .set_index_name(index.map(str::to_owned))
            .key_condition_expression(format!("{name} = :key AND sk BETWEEN :from AND :to"))
            .expression_attribute_values(":key", text(key))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(&to))
            .scan_index_forward(false)
            .limit(i32::try_from(ask.limit.saturating_add(2)).unwrap_or(i32::MAX));
        let mut expression = Vec::new();
        for (value, path, wanted) in filters {
            expression.push(format!("{path} = :{value}"));
            query = query.expression_attribute_values(format!(":{value}"), text(wanted));
            if path == "#action" {
                // A word that DynamoDB keeps for itself.
                query = query.expression_attribute_names("#action", "action");
            }
        }
        if !expression.is_empty() {
            query = query.filter_expression(expression.join(" AND ")).limit(FILTERED);
        }
        let mut from_key = None;
        for _ in 0..READS {
            let page = query.clone().set_exclusive_start_key(from_key).send().await?;
            for item in page.items.unwrap_or_default() {
                let found = found_from(item)?;
                // BETWEEN has its end in it.
                if found.sk < to {
                    part.found.push(found);
                }
            }
            from_key = page.last_evaluated_key;
            let Some(last) = &from_key else { return Ok(part) };
            part.open = last.get("sk").and_then(|sk| sk.as_s().ok()).cloned();
            if part.found.len() > ask.limit {
                break;
            }
        }
        Ok(part)
    }

    /// The keys of the entries of an hour's shard with times in `from..to`, in their order, behind `after`: one page, empty at
    /// the end.
    async fn keys_of_hour(
        &self,
        by_hour: &str,
        from: &str,
        to: &str,
        after: Option<Item>,
    ) -> Result<(Vec<EntryKey>, Option<Item>), StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("ByHour")
            .key_condition_expression("by_hour = :key AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":key", text(by_hour))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .set_exclusive_start_key(after)
            .limit(1000);
        let page = query.send().await?;
        let keys = page.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok((keys, page.last_evaluated_key))
    }

    /// The keys of all entries of one hour, from `from` until before `to`, which is in the same hour or its end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keys_between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<EntryKey>, StoreError> {
        let (first, last) = (time_prefix(from), time_prefix(to));
        let mut keys = Vec::new();
        for shard in 0..SHARDS {
            let by_hour = format!("{}#{shard}", hour(from));
            let mut after = None;
            loop {
                let (page, next) = self.keys_of_hour(&by_hour, &first, &last, after).await?;
                keys.extend(page);
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(keys)
    }

    /// What these entries are now, for their digests; as many as there are, [`super::chains::KEYS_AT_ONCE`] at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn items(&self, keys: &[EntryKey]) -> Result<HashMap<EntryKey, Attributes>, StoreError> {
        let keys = keys.iter().map(|key| (key.pk.clone(), key.sk.clone()));
        let items = super::chains::items_of(&self.client, &self.table, keys).await?;
        items.into_iter().map(|item| Ok((key_of(&item), attributes(item)?))).collect()
    }

    /// The keys of all entries: one page of the whole table, and where the next one begins.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn all_keys(&self, after: Option<Item>) -> Result<(Vec<EntryKey>, Option<Item>), StoreError> {
        let scan = self
            .client
            .scan()
            .table_name(&self.table)
            .projection_expression("pk, sk")
            .set_exclusive_start_key(after)
            .limit(1000)
            .consistent_read(true);
        let page = scan.send().await?;
        let keys = page.items.unwrap_or_default().iter().map(key_of).collect();
        Ok((keys, page.last_evaluated_key))
    }
}

/// How many items one read of a filtered part looks at.
const FILTERED: i32 = 500;

fn key_of(item: &Item) -> EntryKey {
    let part = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    EntryKey { pk: part("pk"), sk: part("sk") }
}

fn found_from(item: Item) -> Result<Found, StoreError> {
    let sk = key_of(&item).sk;
    Ok(Found { sk, entry: from_item(item)? })
}

/// The condition of every write.
const NEW: &str = "attribute_not_exists(pk)";

/// An item for its digest: all that it has, whether an entry should have it or not.
///
/// # Errors
/// [`StoreError::Unreadable`]: a type that DynamoDB did not have when this was written.
pub fn attributes(item: Item) -> Result<Attributes, StoreError> {
    item.into_iter().map(|(name, value)| Ok((name, attribute(value)?))).collect()
}

fn attribute(value: AttributeValue) -> Result<Attribute, StoreError> {
    Ok(match value {
        AttributeValue::S(text) => Attribute::Text(text),
        AttributeValue::N(number) => Attribute::Number(number),
        AttributeValue::B(bytes) => Attribute::Bytes(bytes.into_inner()),
        AttributeValue::Bool(flag) => Attribute::Flag(flag),
        AttributeValue::Null(_) => Attribute::Null,
        AttributeValue::L(values) => {
            Attribute::List(values.into_iter().map(attribute).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(item) => Attribute::Map(attributes(item)?),
        AttributeValue::Ss(texts) => Attribute::Texts(texts.into_iter().collect()),
        AttributeValue::Ns(numbers) => Attribute::Numbers(numbers.into_iter().collect()),
        AttributeValue::Bs(blobs) => {
            Attribute::Blobs(blobs.into_iter().map(|blob| blob.into_inner()).collect())
        }
        _ => return Err(StoreError::Unreadable("an attribute of an unknown type".to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Action, Origin, SUCCESS};

    fn origin() -> Origin {
        Origin {
            address: "192.0.2.1".to_owned(),
            request_id: "request-1".to_owned(),
            at: "2026-08-03T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn entries_of_one_request_do_not_meet() {
        let entry = |actor: &str, outcome: &str| {
            let entry = origin().entry(Action::PasswordReset, actor, "person#b", outcome);
            EntryItem::new(entry.of_agency(Some("A02"))).unwrap()
        };
        let (one, other) = (entry("person#a", SUCCESS), entry("person#a", "conflict"));
        assert_ne!(one.sk, other.sk);
        assert_eq!(one.sk, entry("person#a", SUCCESS).sk, "the same entry twice is one");
        assert!(one.sk.starts_with("1785715200000#request-1#password_reset#"), "{}", one.sk);
    }

    #[test]
    fn what_is_in_which_index() {
        let item = |actor: &str, agency: Option<&str>| {
            let entry = origin().entry(Action::PasswordReset, actor, "person#b", SUCCESS);
            let item = EntryItem::new(entry.of_agency(agency)).unwrap();
            (item.by_actor.is_some(), item.by_agency.map(|key| key.split('#').next().unwrap().to_owned()))
        };
        let rows = [
            ("to themselves", "person#b", Some("A02"), (false, Some("A02".to_owned()))),
            ("to another", "person#a", Some("A02"), (true, Some("A02".to_owned()))),
            ("to nobody known", "person#a", None, (true, None)),
        ];
        for (what, actor, agency, expected) in rows {
            assert_eq!(item(actor, agency), expected, "{what}");
        }
        let shards: std::collections::BTreeSet<String> = (0..200)
            .map(|number| {
                let subject = format!("person#{number}");
                EntryItem::new(origin().entry(Action::SignOut, &subject, &subject, SUCCESS)).unwrap().by_hour
            })
            .collect();
        assert_eq!(shards.len() as u64, SHARDS);
    }
}

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

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put};
use jiff::Timestamp;
use serde::Serialize;

use super::{Item, StoreError, to_item};
use crate::audit::Entry;
use crate::audit::canonical::{Attribute, Attributes, Digest, canonical};

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

/// What a sort key begins with for a time.
fn time_prefix(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond())
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
        match put.condition_expression(NEW).send().await {
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            answer => answer.map(|_| ()).map_err(StoreError::from),
        }
    }
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

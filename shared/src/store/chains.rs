//! The table `chains`: append-only, like the audit trail whose entries it chains ([`crate::audit::chain`]). Every write is a
//! put of something new, so its writer needs no permission to update.
//!
//! | item | key `pk`, `sk` | read by | written by |
//! | --- | --- | --- | --- |
//! | link | `chain#<number>`, `<sequence>` | key `pk`, the last one: whoever adds the next; all in their order: verification | audit-chain |
//! | where an entry is chained | `entry#<digest of its key>`, `link` | key, in batches: the sweep, verification | audit-chain, in the transaction of the link |
//! | signed statement | `heads`, `<number>` | key `pk`, the last one: whoever signs the next; all: verification | audit-chain |
//! | how many chains there are | `chains`, `chains` | key, at start | audit-chain, once |
//!
//! A link's number is free or it is not: of two writers that saw the same end, one adds the next link and the other looks
//! again, so a chain never forks. An entry's own item makes sure that it is chained once, however often its record comes.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::batch::{self, Patience};
use super::{CommitError, Guard, Item, StoreError, Transaction, from_item, pk, text, to_item};
use crate::audit::EntryKey;
use crate::audit::canonical::{Attribute, Attributes, Digest, canonical};
use crate::audit::chain::{Chains, End, Link};
use crate::environment::StartError;

/// Most links in one transaction: two items each, of the hundred that DynamoDB takes.
pub const LINKS_AT_ONCE: usize = 45;
/// Most keys in one batch read.
pub const KEYS_AT_ONCE: usize = 100;

/// The table.
#[derive(Clone, Debug)]
pub struct ChainStore {
    client: Client,
    table: String,
}

#[derive(Serialize, Deserialize)]
struct LinkItem {
    pk: String,
    sk: String,
    entry_pk: String,
    entry_sk: String,
    digest: Digest,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    at: Timestamp,
    previous: Digest,
    hash: Digest,
}

/// Where an entry is chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chain.
    pub chain: u32,
    /// The link.
    pub sequence: u64,
    /// The digest that was chained.
    pub digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct PlaceItem {
    pk: String,
    sk: String,
    chain: u32,
    sequence: u64,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct StatementItem {
    pk: String,
    sk: String,
    jws: String,
}

#[derive(Serialize, Deserialize)]
struct ChainsItem {
    pk: String,
    sk: String,
    stack: String,
    chains: u32,
}

/// What became of links that were to be added.
#[derive(Debug)]
pub enum Added {
    /// They are in the chain.
    All,
    /// The chain does not end where they begin any more.
    Moved,
    /// Nothing was added, because these entries are chained already, with these digests.
    Known(Vec<(String, Digest)>),
}

fn chain_key(chain: u32) -> String {
    format!("chain#{chain}")
}

fn numbered(number: u64) -> String {
    format!("{number:012}")
}

/// The partition key under which it is kept where an entry is chained.
pub fn place_key(entry: &EntryKey) -> String {
    let fields = [("pk", &entry.pk), ("sk", &entry.sk)]
        .map(|(name, value)| (name.to_owned(), Attribute::Text(value.clone())));
    format!("entry#{}", Digest::of("first-sign-in audit entry key 1", &canonical(&Attributes::from(fields))))
}

fn link_from(item: Item) -> Result<Link, StoreError> {
    let item: LinkItem = from_item(item)?;
    let numbers =
        item.pk.strip_prefix("chain#").and_then(|chain| chain.parse().ok()).zip(item.sk.parse().ok());
    let (chain, sequence) = numbers.ok_or_else(|| StoreError::Unreadable("not a link".to_owned()))?;
    Ok(Link {
        chain,
        sequence,
        entry: EntryKey { pk: item.entry_pk, sk: item.entry_sk },
        digest: item.digest,
        at: item.at,
        previous: item.previous,
        hash: item.hash,
    })
}

impl ChainStore {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Holds the number of chains against the one that the stack began with: with another number every entry would belong to
    /// another chain.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn settle(&self, chains: &Chains) -> Result<(), StartError> {
        let failed =
            |error: StoreError| StartError::Service { service: "DynamoDB", reason: error.to_string() };
        let own = || "chains".to_owned();
        let item =
            ChainsItem { pk: own(), sk: own(), stack: chains.stack().to_owned(), chains: chains.count() };
        match self.put_new(to_item(item).map_err(failed)?).await.map_err(failed)? {
            None => Ok(()),
            Some(known) => {
                let known: ChainsItem = from_item(known).map_err(failed)?;
                let (stack, count) = (known.stack, known.chains);
                if Chains::new(&stack, count) == *chains {
                    return Ok(());
                }
                let problem =
                    format!("AUDIT_CHAINS: this trail was begun by {stack} with {count} chains, for good");
                Err(StartError::Configuration(vec![problem]))
            }
        }
    }

    /// Puts an item if there is none of its key; else answers the one that there is.
    async fn put_new(&self, item: Item) -> Result<Option<Item>, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(
                    aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
                        refused,
                    ),
                ) => Ok(Some(refused.item().cloned().unwrap_or_default())),
                _ => Err(error.into()),
            },
        }
    }

    /// Where a chain ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end(&self, chains: &Chains, chain: u32) -> Result<End, StoreError> {
        let last = self.last(chain_key(chain)).await?.map(link_from).transpose()?;
        Ok(last.map_or_else(|| chains.beginning(chain), |link| link.end()))
    }

    async fn last(&self, pk: String) -> Result<Option<Item>, StoreError> {
        let read = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(pk))
            .scan_index_forward(false)
            .limit(1)
            .consistent_read(true);
        Ok(read.send().await?.items.unwrap_or_default().pop())
    }

    /// Adds links that follow each other, [`LINKS_AT_ONCE`] at most, each of another entry: all or none.
    ///
    /// # Errors
    /// [`CommitError`] but for the refusals that [`Added`] tells.
    pub async fn add(&self, links: &[Link]) -> Result<Added, CommitError> {
        let mut transaction = Transaction::new();
        for link in links {
            let item = LinkItem {
                pk: chain_key(link.chain),
                sk: numbered(link.sequence),
                entry_pk: link.entry.pk.clone(),
                entry_sk: link.entry.sk.clone(),
                digest: link.digest,
                at: link.at,
                previous: link.previous,
                hash: link.hash,
            };
            let place = PlaceItem {
                pk: place_key(&link.entry),
                sk: "link".to_owned(),
                chain: link.chain,
                sequence: link.sequence,
                digest: link.digest,
            };
            transaction = transaction
                .with(Guard::Link, self.new_item(to_item(item)?)?)
                .with(Guard::New, self.new_item(to_item(place)?)?);
        }
        match transaction.commit(&self.client).await {
            Ok(()) => Ok(Added::All),
            Err(CommitError::Refused(refused)) => {
                let known = refused.into_iter().filter(|refused| refused.guard == Guard::New);
                let known = known.filter_map(|refused| refused.item).map(|item| {
                    let place: PlaceItem = from_item(item)?;
                    Ok((place.pk, place.digest))
                });
                let known = known.collect::<Result<Vec<_>, StoreError>>()?;
                Ok(if known.is_empty() { Added::Moved } else { Added::Known(known) })
            }
            Err(error) => Err(error),
        }
    }

    fn new_item(&self, item: Item) -> Result<Put, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Where these entries are chained, as many as are; [`KEYS_AT_ONCE`] at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn places(&self, entries: &[EntryKey]) -> Result<HashMap<EntryKey, Place>, StoreError> {
        let keys = entries.iter().map(|entry| (place_key(entry), "link".to_owned()));
        let mut places = HashMap::new();
        for item in items_of(&self.client, &self.table, keys).await? {
            let item: PlaceItem = from_item(item)?;
            places.insert(item.pk, Place { chain: item.chain, sequence: item.sequence, digest: item.digest });
        }
        let found =
            entries.iter().filter_map(|entry| Some((entry.clone(), places.get(&place_key(entry))?.clone())));
        Ok(found.collect())
    }

    /// The links with these numbers, as many as there are; [`KEYS_AT_ONCE`] at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn links_at(&self, places: &[(u32, u64)]) -> Result<HashMap<(u32, u64), Link>, StoreError> {
        let keys = places.iter().map(|(chain, sequence)| (chain_key(*chain), numbered(*sequence)));
        let items = items_of(&self.client, &self.table, keys).await?;
        let links = items.into_iter().map(link_from);
        links.map(|link| link.map(|link| ((link.chain, link.sequence), link))).collect()
    }

    /// The links of a chain behind a number, in their order: one page, empty at the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn links_after(&self, chain: u32, sequence: u64) -> Result<Vec<Link>, StoreError> {
        self.page(chain_key(chain), sequence).await?.into_iter().map(link_from).collect()
    }

    async fn page(&self, pk: String, after: u64) -> Result<Vec<Item>, StoreError> {
        let read = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk > :after")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":after", text(numbered(after)))
            .limit(500)
            .consistent_read(true);
        Ok(read.send().await?.items.unwrap_or_default())
    }

    /// The last statement, with its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_statement(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.last("heads".to_owned()).await?.map(statement_from).transpose()
    }

    /// The statements behind a number, in their order: one page, empty at the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn statements_after(&self, number: u64) -> Result<Vec<(u64, String)>, StoreError> {
        self.page("heads".to_owned(), number).await?.into_iter().map(statement_from).collect()
    }

    /// Keeps a statement. False when there is one of this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_statement(&self, number: u64, jws: &str) -> Result<bool, StoreError> {
        let item = StatementItem { pk: "heads".to_owned(), sk: numbered(number), jws: jws.to_owned() };
        Ok(self.put_new(to_item(item)?).await?.is_none())
    }
}

fn statement_from(item: Item) -> Result<(u64, String), StoreError> {
    let item: StatementItem = from_item(item)?;
    let number = item.sk.parse().map_err(|_| StoreError::Unreadable("not a statement".to_owned()))?;
    Ok((number, item.jws))
}

/// The items of a table with these keys, as many as there are.
pub(super) async fn items_of(
    client: &Client,
    table: &str,
    keys: impl Iterator<Item = (String, String)>,
) -> Result<Vec<Item>, StoreError> {
    // A batch read refuses a key that comes twice.
    let keys: HashSet<(String, String)> = keys.collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let key = |(pk, sk): (String, String)| -> HashMap<String, AttributeValue> {
        HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
    };
    let wanted = KeysAndAttributes::builder()
        .set_keys(Some(keys.into_iter().map(key).collect()))
        .consistent_read(true)
        .build()?;
    let items = batch::read_one(client, table, wanted, Patience::Work).await?;
    debug_assert!(items.iter().all(|item| !pk(item).is_empty()));
    Ok(items)
}

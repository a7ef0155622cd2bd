//! The table `revocations`.
//!
//! | item | key `pk`, `sk` | read by | written by |
//! | --- | --- | --- | --- |
//! | an issuer's list | `issuer#<IssuerId>`, `list` | key, with the serial's item in one batch | [`Revocations::apply`], last |
//! | a revoked certificate | `issuer#<IssuerId>`, `serial#<hex>` | key, with the list's item; all of an issuer by [`Revocations::apply`] | [`Revocations::apply`] |
//!
//! The list's item is what makes the entries believed. It is written after them: a run that is interrupted leaves the older
//! list's item, with entries that are at most too many or too few for the newer one, and the next run finishes.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StoreError, from_item, text, to_item};
use crate::certificate::{Certificate, IssuerId};
use crate::revocation::{Freshness, RevocationList, RevokedCertificate, Status};

/// The table.
#[derive(Clone, Debug)]
pub struct Revocations {
    client: Client,
    table: String,
}

#[derive(Serialize, Deserialize)]
struct ListItem {
    pk: String,
    sk: String,
    number: String,
    digest: String,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    this_update: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    next_update: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct EntryItem {
    pk: String,
    sk: String,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    since: Timestamp,
    reason: u8,
}

/// What applying a list did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Newly revoked.
    pub added: usize,
    /// No longer on the list.
    pub removed: usize,
}

fn issuer_key(issuer: &IssuerId) -> String {
    format!("issuer#{issuer}")
}

impl Revocations {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// What the issuer says of a certificate: its entry and the list's freshness in one read, however long the list is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn status(&self, certificate: &Certificate) -> Result<Status, StoreError> {
        let pk = issuer_key(&certificate.issuer);
        let serial_key = format!("serial#{}", certificate.serial);
        let key = |sk: &str| HashMap::from([("pk".to_owned(), text(&pk)), ("sk".to_owned(), text(sk))]);
        let keys = KeysAndAttributes::builder()
            .keys(key("list"))
            .keys(key(&serial_key))
            .consistent_read(true)
            .build()?;
        let found = super::accounts::batch(&self.client, HashMap::from([(self.table.clone(), keys)])).await?;
        let mut status = Status { list: None, entry: None };
        for item in found.into_values().flatten() {
            if item.get("sk") == Some(&AttributeValue::S("list".to_owned())) {
                let list: ListItem = from_item(item)?;
                status.list = Some(Freshness { next_update: list.next_update });
            } else {
                let entry: EntryItem = from_item(item)?;
                status.entry = Some(RevokedCertificate {
                    serial: certificate.serial.clone(),
                    since: entry.since,
                    reason: entry.reason,
                });
            }
        }
        Ok(status)
    }

    /// Brings the table to an issuer's list, by difference.
    ///
    /// # Errors
    /// [`StoreError`]; the older list stays believed until the next run.
    pub async fn apply(&self, list: &RevocationList) -> Result<Applied, StoreError> {
        let pk = issuer_key(&list.issuer);
        let known = self.entries(&pk).await?;
        let wanted: BTreeMap<String, &RevokedCertificate> =
            list.revoked.iter().map(|entry| (format!("serial#{}", entry.serial), entry)).collect();
        let mut writes = Vec::new();
        for (sk, entry) in &wanted {
            if known.get(sk) != Some(&(entry.since, entry.reason)) {
                let item =
                    EntryItem { pk: pk.clone(), sk: sk.clone(), since: entry.since, reason: entry.reason };
                let put = PutRequest::builder().set_item(Some(to_item(item)?)).build()?;
                writes.push(WriteRequest::builder().put_request(put).build());
            }
        }
        let added = writes.len();
        for sk in known.keys().filter(|sk| !wanted.contains_key(*sk)) {
            let delete = DeleteRequest::builder().key("pk", text(&pk)).key("sk", text(sk)).build()?;
            writes.push(WriteRequest::builder().delete_request(delete).build());
        }
        let removed = writes.len() - added;
        self.write(writes).await?;
        let item = ListItem {
            pk,
            sk: "list".to_owned(),
            number: list.number.clone(),
            digest: list.digest.clone(),
            this_update: list.this_update,
            next_update: list.next_update,
        };
        self.client.put_item().table_name(&self.table).set_item(Some(to_item(item)?)).send().await?;
        Ok(Applied { added, removed })
    }

    async fn entries(&self, pk: &str) -> Result<BTreeMap<String, (Timestamp, u8)>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :serial)")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":serial", text("serial#"))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut entries = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item: EntryItem = from_item(item?)?;
            entries.insert(item.sk, (item.since, item.reason));
        }
        Ok(entries)
    }

    async fn write(&self, writes: Vec<WriteRequest>) -> Result<(), StoreError> {
        for chunk in writes.chunks(25) {
            let mut pending = HashMap::from([(self.table.clone(), chunk.to_vec())]);
            while !pending.is_empty() {
                let answer = self.client.batch_write_item().set_request_items(Some(pending)).send().await?;
                pending = answer.unprocessed_items.unwrap_or_default();
                if !pending.is_empty() {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
        Ok(())
    }
}

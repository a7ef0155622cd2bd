//! The table `audit`: append-only.
//!
//! | item | key `pk`, `sk` | read by | written by |
//! | --- | --- | --- | --- |
//! | entry | subject, `<time>#<request id>#<action>` | subject and time, by auditors | every step, in the transaction of what it tells of |

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::Put;
use serde::Serialize;

use super::{StoreError, to_item};
use crate::audit::Entry;

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
    #[serde(flatten)]
    entry: Entry,
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
        let action = serde_json::to_value(entry.action).unwrap_or_default();
        let item = EntryItem {
            pk: entry.subject.clone(),
            sk: format!(
                "{:013}#{}#{}",
                entry.at.as_millisecond(),
                entry.request_id,
                action.as_str().unwrap_or_default()
            ),
            entry,
        };
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()?)
    }

    /// Appends an entry, by itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note(&self, entry: Entry) -> Result<(), StoreError> {
        let put = self.append(entry)?;
        self.client.put_item().table_name(&self.table).set_item(Some(put.item)).send().await?;
        Ok(())
    }
}

//! DynamoDB, embedded: the crate `dynoxide-rs` on disk or in memory, behind its own HTTP interface on loopback, and in
//! front of that a door that lets through what the caller's role allows.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::post;
use dynoxide::Database;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::errors::DynoxideError;
use serde_json::{Value, json};
use shared::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::client::{self, ClientError};
use crate::deployment::TableDeclaration;
use crate::faults::connection;
use crate::files::{self, FileError};
use crate::permissions::calls;
use crate::stack::{ACCOUNT, REGION};
use crate::traffic::{Service, Traffic};

/// How often expired items are removed. DynamoDB itself promises days.
const SWEEP: Duration = Duration::from_secs(60);
/// DynamoDB's limit for a request.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;
/// Without it every write to a table with a stream reads all of the stream's records, to number the next one.
const STREAM_ORDER: &str = "CREATE INDEX IF NOT EXISTS stream_order \
                            ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";
/// How long the database may take for one request.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DynamoDbError {
    /// Its folder cannot be made.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The database refused.
    #[error("DynamoDB: {0}")]
    Database(#[from] DynoxideError),
    /// The database's file refused.
    #[error("DynamoDB: {0}")]
    File(#[from] rusqlite::Error),
    /// The declaration is not what DynamoDB takes.
    #[error("DynamoDB: {0}")]
    Request(#[from] serde_json::Error),
    /// The port, or a temporary folder, cannot be had.
    #[error("DynamoDB cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// The door has no HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A worker thread ended early.
    #[error("DynamoDB: a worker ended early")]
    Worker,
}

/// The database and its HTTP interface. Clones are the same database.
#[derive(Clone)]
pub struct DynamoDb {
    database: Database,
    address: SocketAddr,
    traffic: Traffic,
    server: Arc<Mutex<Option<Server>>>,
}

struct Server {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// The door: what stands between the functions and the database's HTTP interface.
#[derive(Clone)]
struct Door {
    traffic: Traffic,
    client: reqwest::Client,
    inside: String,
}

impl std::fmt::Debug for DynamoDb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DynamoDb").field("address", &self.address).finish_non_exhaustive()
    }
}

impl DynamoDb {
    /// Opens the database in `folder`, or a new one in memory, and serves it on `listener`.
    ///
    /// # Errors
    /// When the folder or the database cannot be used.
    pub async fn open(
        folder: Option<&Path>,
        listener: TcpListener,
        traffic: Traffic,
    ) -> Result<Self, DynamoDbError> {
        let database = match folder {
            None => blocking(in_memory).await?,
            Some(folder) => {
                files::make_folder(folder)?;
                let path = folder.join("database.sqlite");
                blocking(move || on_disk(&path)).await?
            }
        };
        let address = listener.local_addr()?;
        let dynamodb = Self { database, address, traffic, server: Arc::default() };
        dynamodb.serve(listener).await?;
        Ok(dynamodb)
    }

    async fn serve(&self, listener: TcpListener) -> Result<(), DynamoDbError> {
        let (stop, stopped) = watch::channel(false);
        // Told to stop, or forgotten.
        let stopped = move || {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            }
        };
        let inside = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let door = Door {
            traffic: self.traffic.clone(),
            client: client::plain(PATIENCE)?,
            inside: format!("http://{}", inside.local_addr()?),
        };
        let mut tasks = JoinSet::new();
        let (database, end) = (self.database.clone(), stopped());
        tasks.spawn(async move {
            if let Err(error) = dynoxide::server::serve_with_shutdown(inside, database, end).await {
                tracing::error!(error, "DynamoDB stopped");
            }
        });
        let limit = DefaultBodyLimit::max(LARGEST_REQUEST);
        let router = Router::new().route("/", post(pass)).layer(limit).with_state(door);
        tasks.spawn(async move {
            if let Err(error) = connection::serve_until(listener, router, stopped()).await {
                tracing::error!(%error, "DynamoDB's door closed");
            }
        });
        *self.server.lock().await = Some(Server { stop, tasks });
        Ok(())
    }

    /// The database itself, for tests that look behind the functions.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The calls to it, and the deliveries of its streams.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Where the AWS SDK finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the HTTP interface, as an outage would: connections are refused until [`DynamoDb::restore`].
    pub async fn interrupt(&self) {
        if let Some(Server { stop, mut tasks }) = self.server.lock().await.take() {
            let _ = stop.send(true);
            // Idle connections of the functions' clients would keep a graceful end waiting.
            let all = async { while tasks.join_next().await.is_some() {} };
            if tokio::time::timeout(Duration::from_millis(500), all).await.is_err() {
                tasks.shutdown().await;
            }
        }
    }

    /// Serves the HTTP interface again, on the same port.
    ///
    /// # Errors
    /// When something else took the port meanwhile.
    pub async fn restore(&self) -> Result<(), DynamoDbError> {
        if self.server.lock().await.is_none() {
            let listener = TcpListener::bind(self.address).await?;
            self.serve(listener).await?;
        }
        Ok(())
    }

    /// Creates the tables that do not exist yet, and the indexes that a database of an older template lacks.
    ///
    /// # Errors
    /// When a declaration is refused.
    pub async fn create_tables(&self, tables: &[TableDeclaration]) -> Result<(), DynamoDbError> {
        let (database, tables) = (self.database.clone(), tables.to_vec());
        blocking(move || {
            let existing = database.list_tables(serde_json::from_value(json!({}))?)?.table_names;
            for table in tables {
                if existing.contains(&table.name) {
                    add_indexes(&database, &table)?;
                    continue;
                }
                let mut request = table.request;
                // More than the template asks for, so that a write that changes nothing is told from one that does; the mapping
                // takes it away again.
                if let Some(view) = request.pointer_mut("/StreamSpecification/StreamViewType") {
                    *view = json!("NEW_AND_OLD_IMAGES");
                }
                database.create_table(serde_json::from_value(request)?)?;
                if let Some(attribute) = table.ttl_attribute {
                    let ttl = json!({ "TableName": table.name,
                        "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true } });
                    database.update_time_to_live(serde_json::from_value(ttl)?)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Whether a table has no items.
    ///
    /// # Errors
    /// When there is no such table.
    pub async fn is_empty(&self, table: &str) -> Result<bool, DynamoDbError> {
        let database = self.database.clone();
        let request = json!({ "TableName": table, "Limit": 1 });
        blocking(move || Ok(database.scan(serde_json::from_value(request)?)?.count == 0)).await
    }

    /// The records of a table's stream after a sequence number, or from the oldest.
    ///
    /// # Errors
    /// When the table has no stream.
    pub async fn stream_records(
        &self,
        table: &str,
        after: Option<&str>,
    ) -> Result<Vec<Value>, DynamoDbError> {
        let database = self.database.clone();
        let table = table.to_owned();
        let after = after.map(str::to_owned);
        blocking(move || {
            let kind = if after.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" };
            let iterator = database.get_shard_iterator(GetShardIteratorRequest {
                stream_arn: dynoxide::streams::stream_arn(&table, "latest"),
                shard_id: dynoxide::streams::shard_id(&table),
                shard_iterator_type: kind.to_owned(),
                sequence_number: after,
            })?;
            let shard_iterator = iterator.shard_iterator.unwrap_or_default();
            let records =
                database.get_records(GetRecordsRequest { shard_iterator, limit: Some(100) })?.records;
            Ok(records.iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Removes expired items from time to time, until the task is dropped.
    pub(crate) async fn sweep_forever(self, clock: Clock) {
        loop {
            tokio::time::sleep(SWEEP).await;
            // It goes by the system's time. Where the stand-in's is behind, what it would remove may still be good.
            if clock.now() < Clock::system().now() - SWEEP {
                continue;
            }
            let database = self.database.clone();
            match blocking(move || Ok(database.sweep_ttl()?)).await {
                Ok(removed) => tracing::debug!(removed, "expired items removed"),
                Err(error) => tracing::warn!(%error, "expired items stay"),
            }
        }
    }
}

fn on_disk(path: &Path) -> Result<Database, DynamoDbError> {
    let database = Database::new(&path.to_string_lossy())?;
    rusqlite::Connection::open(path)?.execute_batch(STREAM_ORDER)?;
    Ok(database)
}

/// An index can be put into a file alone, so the new database goes through one.
fn in_memory() -> Result<Database, DynamoDbError> {
    let database = Database::memory()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("database.sqlite");
    database.vacuum_into(&path.to_string_lossy())?;
    rusqlite::Connection::open(&path)?.execute_batch(STREAM_ORDER)?;
    database.restore_from(&path.to_string_lossy())?;
    Ok(database)
}

/// Passes a request on, if its signer may make it, and the answer back.
async fn pass(State(door): State<Door>, mut headers: HeaderMap, body: Bytes) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let needs = || {
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        calls::dynamodb(&operation, &request, &format!("{REGION}:{ACCOUNT}"))
    };
    if let Err(denial) = door.traffic.permit(&headers, needs) {
        return denial.response(StatusCode::BAD_REQUEST);
    }
    let traffic = door.traffic.clone();
    let signed = headers.clone();
    headers.remove(header::HOST);
    let effect = async {
        door.ask(headers, body).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the database did not answer");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    };
    traffic.around(Service::DynamoDb, &operation, &signed, effect).await
}

impl Door {
    async fn ask(&self, headers: HeaderMap, body: Bytes) -> Result<Response<Body>, reqwest::Error> {
        let answer = self.client.post(&self.inside).headers(headers).body(body).send().await?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        let mut response = Response::new(Body::from(answer.bytes().await?));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Creates the indexes that a table's declaration has and the table lacks.
fn add_indexes(database: &Database, table: &TableDeclaration) -> Result<(), DynamoDbError> {
    let described = database.describe_table(serde_json::from_value(json!({ "TableName": table.name }))?)?;
    let described = serde_json::to_value(described)?;
    let indexes =
        |of: Option<&Value>| -> Vec<Value> { of.and_then(Value::as_array).cloned().unwrap_or_default() };
    let existing = indexes(described.pointer("/Table/GlobalSecondaryIndexes"));
    let exists =
        |index: &Value| existing.iter().any(|known| known.get("IndexName") == index.get("IndexName"));
    for index in indexes(table.request.get("GlobalSecondaryIndexes")).into_iter().filter(|it| !exists(it)) {
        let update = json!({
            "TableName": table.name,
            "AttributeDefinitions": table.request.get("AttributeDefinitions"),
            "GlobalSecondaryIndexUpdates": [{ "Create": index }],
        });
        database.update_table(serde_json::from_value(update)?)?;
    }
    Ok(())
}

/// SQLite blocks its thread: away from the threads that serve requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DynamoDbError> + Send + 'static,
) -> Result<T, DynamoDbError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| DynamoDbError::Worker)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TableDeclaration {
        let request = json!({
            "TableName": "Mail", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
        });
        TableDeclaration {
            logical_id: "MailTable".into(),
            name: "Mail".into(),
            request,
            ttl_attribute: Some("ttl".into()),
        }
    }

    #[tokio::test]
    async fn a_write_reads_no_record_of_its_stream_but_the_last() {
        let folder = tempfile::tempdir().unwrap();
        for (place, name) in [(None, "memory"), (Some(folder.path()), "disk")] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let dynamodb = DynamoDb::open(place, listener, Traffic::default()).await.unwrap();
            dynamodb.create_tables(&[table()]).await.unwrap();
            let copy = folder.path().join(format!("{name}.sqlite"));
            dynamodb.database().vacuum_into(&copy.to_string_lossy()).unwrap();
            // As `next_stream_sequence_number` of dynoxide asks.
            let plan: String = rusqlite::Connection::open(copy)
                .unwrap()
                .query_row(
                    "EXPLAIN QUERY PLAN SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 \
                     FROM _stream_records WHERE table_name = ?1",
                    ["Mail"],
                    |row| row.get("detail"),
                )
                .unwrap();
            assert!(plan.contains("USING COVERING INDEX stream_order (table_name=?)"), "{name}: {plan}");
        }
    }

    #[tokio::test]
    async fn a_database_of_an_older_template_gets_its_new_indexes() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let dynamodb = DynamoDb::open(None, listener, Traffic::default()).await.unwrap();
        dynamodb.create_tables(&[table()]).await.unwrap();
        let item = json!({"TableName": "Mail", "Item": {"pk": {"S": "a"}, "lane": {"S": "bulk"}}});
        dynamodb.database().put_item(serde_json::from_value(item).unwrap()).unwrap();

        let mut newer = table();
        newer.request["AttributeDefinitions"] = json!([
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "lane", "AttributeType": "S"},
        ]);
        newer.request["GlobalSecondaryIndexes"] = json!([{
            "IndexName": "ByLane",
            "KeySchema": [{"AttributeName": "lane", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }]);
        for time in ["the first time", "again"] {
            dynamodb.create_tables(&[newer.clone()]).await.unwrap();
            let query = json!({
                "TableName": "Mail",
                "IndexName": "ByLane",
                "KeyConditionExpression": "lane = :lane",
                "ExpressionAttributeValues": {":lane": {"S": "bulk"}},
            });
            let found = dynamodb.database().query(serde_json::from_value(query).unwrap()).unwrap();
            assert_eq!(found.count, 1, "{time}");
        }
    }

    #[tokio::test]
    async fn stream_records_outlive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = async || {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            DynamoDb::open(Some(folder.path()), listener, Traffic::default()).await.unwrap()
        };
        let first = open().await;
        first.create_tables(&[table()]).await.unwrap();
        assert!(first.is_empty("Mail").await.unwrap());
        for name in ["a", "b"] {
            let item = json!({"TableName": "Mail", "Item": {"pk": {"S": name}}});
            first.database().put_item(serde_json::from_value(item).unwrap()).unwrap();
        }
        first.interrupt().await;
        drop(first);

        let second = open().await;
        second.create_tables(&[table()]).await.unwrap();
        assert!(!second.is_empty("Mail").await.unwrap());
        let records = second.stream_records("Mail", None).await.unwrap();
        assert_eq!(records.len(), 2);
        let number = records[0]["dynamodb"]["SequenceNumber"].as_str().unwrap();
        let rest = second.stream_records("Mail", Some(number)).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0]["dynamodb"]["Keys"]["pk"]["S"], "b");
    }
}

//! The sync of one issuer's list, by the function itself: what it believes, what it writes, and what readers see meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, LambdaEvent};
use local::traffic::{Fault, Service};
use serde_json::{Value, json};
use shared::certificate::IssuerId;
use shared::clock::Clock;
use shared::environment::Environment;
use shared::lambda::Function;
use shared::revocation::{Link, Refusal, Scope, not_revoked};
use shared::store::revocations::Revocations;
use shared::{aws, store};
use tempfile::TempDir;
use tests::list_host::{ListHost, Manner};
use tests::world::World;
use workbench::authority::{Algorithm, Authority, START};
use workbench::list::{Entry, Heading, write};

const DAY: i64 = 86_400;
/// Longer than a lease.
const LEASE_IS_OVER: SignedDuration = SignedDuration::from_secs(46);

/// An issuer with a web server for its list, and the function that brings it into the tables of a stand-in.
struct Desk {
    world: World,
    folder: TempDir,
    ca: Authority,
    host: ListHost,
    function: Function,
    table: Revocations,
    now: Timestamp,
}

impl Desk {
    async fn open() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let world = World::start().await;
        world.stack.revocations.stop().await;
        // Its calls are neither counted nor those that are to fail.
        world.stack.stop_stream_to("audit-chain").await;
        let ca = Authority::new("內政部憑證管理中心 (test)", Algorithm::P256);
        let host = ListHost::start(Vec::new()).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("truststore.pem"), ca.pem()).unwrap();
        let profile = ca.profile("citizen", &format!("crl = [\"{}\"]", host.url()));
        std::fs::write(folder.path().join("issuers.toml"), profile).unwrap();
        let function = function(&world, folder.path(), variables).await;
        let operator = Environment::from_map(world.stack.shared_variables.clone().into_iter().collect());
        let client = store::client(&operator, &aws::sdk_config(&operator).await);
        let table = Revocations::new(client, world.stack.environment().get("REVOCATIONS_TABLE").unwrap());
        // The system's clock is later than every time here; the event's would be the later one with a list of tomorrow.
        let now = Clock::system().now();
        Self { world, folder, ca, host, function, table, now }
    }

    fn issuer(&self) -> IssuerId {
        IssuerId::of_key(&self.ca.public_key())
    }

    /// A list with these entries, valid for a day.
    fn list(&self, number: u64, entries: impl IntoIterator<Item = Entry>) -> Vec<u8> {
        let this_update = self.now.as_second() - 60;
        write(&self.ca, Heading { number, this_update, next_update: this_update + DAY }, entries)
    }

    fn publish(&self, number: u64, entries: impl IntoIterator<Item = Entry>) {
        self.host.publish(self.list(number, entries));
    }

    async fn run(&self) -> Result<Value, String> {
        self.run_with(json!({"time": self.now.to_string()}), None).await
    }

    async fn run_with(&self, event: Value, deadline: Option<SignedDuration>) -> Result<Value, String> {
        let mut context = Context::default();
        context.request_id = "run".to_owned();
        if let Some(left) = deadline {
            let at = Clock::system().now() + left;
            context.deadline = u64::try_from(at.as_millisecond()).unwrap();
        }
        let answer = self.function.invoke(LambdaEvent::new(event, context)).await;
        answer.map(|mut answer| answer["lists"][0].take()).map_err(|error| error.to_string())
    }

    /// What a run is to come to, and what it wrote.
    async fn expect(&self, outcome: &str, added: u64, removed: u64) -> Value {
        let row = self.run().await.unwrap();
        assert_eq!(
            (row["outcome"].as_str(), row["added"].as_u64(), row["removed"].as_u64()),
            (Some(outcome), Some(added), Some(removed)),
            "{row}"
        );
        row
    }

    fn link(&self, entry: Entry) -> Link {
        Link { issuer: self.issuer(), serial: entry.serial_hex(), scopes: vec![Scope::Full], is_ca: false }
    }

    /// The verdict on a certificate, `after` this desk's now.
    async fn verdict_after(&self, entry: Entry, after: SignedDuration) -> Result<(), Refusal> {
        let links = [self.link(entry)];
        let statuses = self.table.status(&links).await.unwrap();
        not_revoked(&links, &statuses, self.now + after, SignedDuration::ZERO)
    }

    async fn is_revoked(&self, entry: Entry) -> bool {
        match self.verdict_after(entry, SignedDuration::ZERO).await {
            Ok(()) => false,
            Err(Refusal::Revoked { .. }) => true,
            Err(other) => panic!("{other}"),
        }
    }

    /// The number of the list that readers believe.
    async fn number(&self) -> Option<String> {
        let marker = self.table.marker(&self.issuer(), &Scope::Full).await.unwrap();
        marker.map(|marker| marker.freshness.number.as_str().trim_start_matches('0').to_owned())
    }

    /// Readers believe the list before this one until the next run has applied it.
    async fn is_finished_by_the_next(&mut self, number: u64, what: &str) {
        assert_eq!(self.number().await, Some(format!("{:x}", number - 1)), "{what}");
        // Where the lease could not be given back, a run waits until it ends.
        self.now += LEASE_IS_OVER;
        let row = self.run().await.unwrap();
        assert_eq!(row["outcome"], "applied", "{what}: {row}");
        assert_eq!(self.number().await, Some(format!("{number:x}")), "{what}");
        let all: Vec<Entry> = changed(number).chain(changed(number - 1)).collect();
        let link = |entry: &Entry| self.link(*entry);
        let links: Vec<Link> = all.iter().map(link).collect();
        let statuses = self.table.status(&links).await.unwrap();
        for (entry, status) in all.iter().zip(statuses) {
            let listed = changed(number).any(|listed| listed == *entry);
            assert_eq!(status.lists[0].entry.is_some(), listed, "{what}: {entry:?}");
        }
    }

    /// How often DynamoDB was called since the last time, by operation.
    fn calls(&self) -> HashMap<String, u64> {
        let counts = self.world.stack.traffic.counts();
        self.world.stack.traffic.reset();
        let ours = counts.into_iter().filter(|((service, _), _)| *service == Service::DynamoDb);
        ours.map(|((_, operation), count)| (operation, count)).collect()
    }
}

/// The function with its own role, and a truststore's folder in place of the stand-in's.
async fn function(world: &World, folder: &std::path::Path, variables: &[(&str, &str)]) -> Function {
    let mut functions = world.stack.deployment.functions.iter();
    let declared = functions.find(|function| function.name == "revocation-sync").unwrap();
    let mut all: HashMap<String, String> = world.stack.shared_variables.clone().into_iter().collect();
    all.extend(declared.environment.clone());
    all.insert("AWS_ACCESS_KEY_ID".to_owned(), "revocation-sync".to_owned());
    all.insert("TRUSTSTORE_DIR".to_owned(), folder.to_string_lossy().into_owned());
    all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    revocation_sync::start(&Environment::from_map(all)).await.unwrap()
}

/// How many entries [`changed`] gives.
const LENGTH: u64 = 60;

/// The entries of a list of this number: half of them are in the list before it.
fn changed(number: u64) -> impl Iterator<Item = Entry> {
    entries(number * LENGTH / 2..number * LENGTH / 2 + LENGTH)
}

fn entries(range: std::ops::Range<u64>) -> impl Iterator<Item = Entry> {
    range.map(Entry::sample)
}

#[tokio::test]
async fn only_what_differs_is_written() {
    let desk = Desk::open().await;
    desk.publish(1, entries(0..2_000));
    desk.calls();
    let row = desk.expect("applied", 2_000, 0).await;
    assert_eq!((row["entries"].as_u64(), row["number"].as_str()), (Some(2_000), Some("1")));
    assert!(row["seconds_left"].as_i64().unwrap() > DAY - 600);
    let calls = desk.calls();
    // Into an empty table nothing is read but marker and state. Each group of buckets has a batch that is not full.
    assert!(calls["GetItem"] <= 2 && calls["Query"] == 1, "{calls:?}");
    assert!((80..=96).contains(&calls["BatchWriteItem"]), "{calls:?}");
    assert!(desk.is_revoked(Entry::sample(0)).await && !desk.is_revoked(Entry::sample(2_000)).await);

    desk.publish(2, entries(25..2_025));
    desk.calls();
    desk.expect("applied", 25, 25).await;
    let calls = desk.calls();
    assert!((2..=3).contains(&calls["BatchWriteItem"]), "{calls:?}");
    assert!(calls["Query"] <= 51 && calls["TransactWriteItems"] == 1, "{calls:?}");
    assert!(!desk.is_revoked(Entry::sample(0)).await && desk.is_revoked(Entry::sample(2_024)).await);

    // The same entries in another list: its marker alone.
    desk.publish(3, entries(25..2_025));
    desk.calls();
    desk.expect("applied", 0, 0).await;
    assert_eq!(desk.calls().get("BatchWriteItem"), None);
    assert_eq!(desk.number().await.as_deref(), Some("3"));
}

#[tokio::test]
async fn what_did_not_change_is_not_fetched_again() {
    let desk = Desk::open().await;
    desk.publish(1, entries(0..3));
    desk.expect("applied", 3, 0).await;
    assert_eq!(desk.host.answers(), [200]);
    desk.calls();
    let row = desk.expect("unchanged", 0, 0).await;
    assert_eq!(desk.host.answers(), [304]);
    assert_eq!(desk.calls(), HashMap::from([("Query".to_owned(), 1)]), "nothing is written");
    assert_eq!(row["entries"], 3);
    assert!(row["seconds_left"].as_i64().unwrap() > DAY - 120);

    // A server that knows no conditions.
    desk.host.behave(Manner::RedirectsHere);
    desk.expect("unchanged", 0, 0).await;
    assert_eq!(desk.host.answers(), [302, 200]);
}

#[tokio::test]
async fn a_certificate_that_leaves_the_list_is_good_again() {
    let desk = Desk::open().await;
    let [gone, kept, unclear] = [1, 2, 3].map(Entry::sample);
    desk.publish(1, [gone, kept, unclear]);
    desk.expect("applied", 3, 0).await;
    // RFC 5280 section 5.3.1: 8 is removeFromCRL, which a full list may not have. It does not take the entry back.
    desk.publish(2, [kept, Entry { reason: Some(8), ..unclear }]);
    desk.expect("applied", 1, 1).await;
    assert!(desk.is_revoked(kept).await && !desk.is_revoked(gone).await && desk.is_revoked(unclear).await);
    desk.publish(3, [kept]);
    desk.expect("applied", 0, 1).await;
    assert!(desk.is_revoked(kept).await && !desk.is_revoked(unclear).await);

    // Another date or reason is another entry.
    desk.publish(4, [Entry { reason: Some(1), since: START, ..kept }]);
    desk.expect("applied", 1, 0).await;
    let verdict = desk.verdict_after(kept, SignedDuration::ZERO).await.unwrap_err();
    assert_eq!(verdict.to_string(), "revoked at 2026-08-03T00:00:00Z: keyCompromise");
}

#[tokio::test]
async fn the_table_never_goes_back() {
    let desk = Desk::open().await;
    let [first, second] = [1, 2].map(Entry::sample);
    desk.publish(7, [first]);
    desk.expect("applied", 1, 0).await;

    desk.publish(6, [second]);
    desk.expect("older", 0, 0).await;

    desk.publish(7, [second]);
    let row = desk.expect("refused", 0, 0).await;
    assert_eq!(row["reason"], "another list with the number of the one in the table");

    let another = Authority::new("內政部憑證管理中心 (test)", Algorithm::P256);
    let heading =
        Heading { number: 8, this_update: desk.now.as_second(), next_update: desk.now.as_second() + DAY };
    desk.host.publish(write(&another, heading, [second]));
    desk.expect("refused", 0, 0).await;

    desk.host.publish(write(&desk.ca, Heading { this_update: desk.now.as_second() + DAY, ..heading }, []));
    desk.expect("refused", 0, 0).await;

    desk.host.publish(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_vec());
    desk.expect("refused", 0, 0).await;

    assert_eq!(desk.number().await.as_deref(), Some("7"));
    assert!(desk.is_revoked(first).await && !desk.is_revoked(second).await);
}

#[tokio::test]
async fn a_list_past_its_time_proves_nothing_and_the_run_fails() {
    let desk = Desk::open().await;
    let [listed, other] = [1, 2].map(Entry::sample);
    desk.publish(1, [listed]);
    desk.expect("applied", 1, 0).await;
    desk.host.behave(Manner::Status(503));
    let row = desk.expect("unreachable", 0, 0).await;
    assert!(row["seconds_left"].as_i64().unwrap() > 0 && row["reason"] == "answered 503", "{row}");

    let later = SignedDuration::from_hours(25);
    let event = json!({"time": (desk.now + later).to_string()});
    let error = desk.run_with(event, None).await.unwrap_err();
    assert_eq!(error, "no fresh revocation list of MOICA (test)");
    assert!(matches!(desk.verdict_after(other, later).await, Err(Refusal::Stale { .. })));
    assert!(matches!(desk.verdict_after(listed, later).await, Err(Refusal::Revoked { .. })));

    // A list that is stale when it comes tells of revocations all the same.
    let heading = Heading { number: 2, this_update: START, next_update: START + DAY };
    desk.host.behave(Manner::Well);
    desk.host.publish(write(&desk.ca, heading, [other]));
    desk.run().await.unwrap_err();
    let verdict = desk.verdict_after(other, SignedDuration::ZERO).await;
    assert!(matches!(verdict, Err(Refusal::Revoked { .. })), "{verdict:?}");
}

#[tokio::test]
async fn a_run_that_breaks_anywhere_is_finished_by_the_next() {
    let mut desk = Desk::open().await;
    desk.publish(1, changed(1));
    desk.expect("applied", LENGTH, 0).await;
    let rows = [
        ("GetItem", 0),
        ("GetItem", 1),
        ("UpdateItem", 0),
        // The first query is for the issuer's markers: whoever cannot read them can tell of no list.
        ("Query", 1),
        ("Query", 7),
        ("BatchWriteItem", 0),
        ("BatchWriteItem", 1),
        ("TransactWriteItems", 0),
    ];
    for (number, (operation, after)) in (2..).zip(rows) {
        desk.publish(number, changed(number));
        desk.world.stack.traffic.inject(Fault {
            operation: Some(operation.to_owned()),
            status: 400,
            code: "ValidationException".to_owned(),
            after,
            ..Fault::broken(Service::DynamoDb)
        });
        let row = desk.run().await.unwrap();
        desk.world.stack.traffic.mend();
        assert_eq!(row["outcome"], "failed", "{operation}: {row}");
        desk.is_finished_by_the_next(number, operation).await;
    }
}

#[tokio::test]
async fn a_run_that_is_killed_is_finished_by_the_next() {
    let mut desk = Desk::open().await;
    desk.publish(1, changed(1));
    desk.expect("applied", LENGTH, 0).await;
    for (number, (operation, after)) in (2..).zip([
        ("UpdateItem", 0),
        ("BatchWriteItem", 0),
        ("BatchWriteItem", 1),
        ("TransactWriteItems", 0),
    ]) {
        desk.publish(number, changed(number));
        desk.world.stack.traffic.inject(Fault {
            operation: Some(operation.to_owned()),
            after,
            delay: Duration::from_secs(60),
            ..Fault::broken(Service::DynamoDb)
        });
        let traffic = desk.world.stack.traffic.clone();
        let before = traffic.counts();
        let called = (Service::DynamoDb, operation.to_owned());
        let stuck = async {
            let so_many = before.get(&called).copied().unwrap_or_default() + u64::from(after);
            while traffic.counts().get(&called).copied().unwrap_or_default() <= so_many {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            row = desk.run() => panic!("{operation}: {row:?}"),
            () = stuck => {}
        }
        traffic.mend();
        desk.is_finished_by_the_next(number, operation).await;
    }
}

#[tokio::test]
async fn a_run_stops_in_time_and_the_next_goes_on() {
    let desk = Desk::open().await;
    desk.publish(1, entries(0..100));
    // Less than what is held back for what is under way.
    let event = json!({"time": desk.now.to_string()});
    let error = desk.run_with(event, Some(SignedDuration::from_secs(10))).await.unwrap_err();
    assert_eq!(error, "no fresh revocation list of MOICA (test)");
    assert_eq!(desk.number().await, None);
    // The lease is given back: nothing waits.
    desk.expect("applied", 100, 0).await;
    let error = desk.run_with(json!({"issuer": "GCA"}), None).await.unwrap_err();
    assert_eq!(error, "issuers.toml has no issuer GCA");
}

#[tokio::test]
async fn of_two_runs_at_once_one_writes() {
    let desk = Desk::open().await;
    desk.publish(1, entries(0..300));
    desk.expect("applied", 300, 0).await;
    desk.publish(2, entries(100..400));
    let (one, other) = futures_util::future::join(desk.run(), desk.run()).await;
    let mut outcomes = [one, other].map(|row| row.unwrap()["outcome"].as_str().unwrap().to_owned());
    outcomes.sort();
    assert_eq!(outcomes, ["applied", "unchanged"]);
    assert!(desk.is_revoked(Entry::sample(399)).await && !desk.is_revoked(Entry::sample(99)).await);
}

#[tokio::test]
async fn servers_that_do_not_behave() {
    let desk = Desk::with(&[("REVOCATION_LIST_MEBIBYTES", "1"), ("REVOCATION_FETCH_SECONDS", "1")]).await;
    desk.publish(1, [Entry::sample(1)]);
    desk.expect("applied", 1, 0).await;
    desk.publish(2, entries(0..50_000));
    let rows = [
        (Manner::Well, "more than 1048576 bytes"),
        (Manner::Babbles(3 << 20), "more than 1048576 bytes"),
        (Manner::Silent, "too slow"),
        (Manner::Redirects("http://127.0.0.2:9/complete.crl".to_owned()), "redirects elsewhere (302)"),
        (Manner::Redirects("https://127.0.0.1:9/complete.crl".to_owned()), "redirects elsewhere (302)"),
        (Manner::Redirects("file:///etc/passwd".to_owned()), "redirects elsewhere (302)"),
        (Manner::Status(404), "answered 404"),
    ];
    for (manner, reason) in rows {
        desk.host.behave(manner.clone());
        let row = desk.expect("unreachable", 0, 0).await;
        assert_eq!(row["reason"], reason, "{manner:?}");
    }
    desk.publish(2, [Entry::sample(2)]);
    desk.host.behave(Manner::Truncates);
    let row = desk.expect("unreachable", 0, 0).await;
    assert!(row["reason"].as_str().unwrap().starts_with("no answer: "), "{row}");

    desk.host.behave(Manner::RedirectsHere);
    desk.expect("applied", 1, 1).await;
    desk.host.behave(Manner::Well);
    drop(desk.folder);
}

#[tokio::test]
async fn one_issuers_failure_stops_no_other_and_a_list_may_be_a_file_or_behind_tls() {
    let desk = Desk::open().await;
    let others = ["政府憑證管理中心 (test)", "組織及團體憑證管理中心 (test)"];
    let [broken, filed] = others.map(|name| Authority::new(name, Algorithm::P256));
    let portal = desk.world.stack.portal_url.replace("portal.localhost", "127.0.0.1");
    let folder = desk.folder.path();
    let named = |ca: &Authority, name: &str, source: &str| {
        ca.profile("organization", &format!("crl = [\"{source}\"]")).replace("MOICA (test)", name)
    };
    let profiles = [
        named(&broken, "Broken", "http://127.0.0.1:9/none.crl"),
        named(&filed, "Filed", "list.pem"),
        named(&desk.ca, "Behind TLS", &format!("{portal}/openapi.yaml")),
    ];
    std::fs::write(folder.join("issuers.toml"), profiles.join("\n")).unwrap();
    let bundle = [broken.pem(), filed.pem(), desk.ca.pem()].concat();
    std::fs::write(folder.join("truststore.pem"), bundle).unwrap();
    let heading =
        Heading { number: 1, this_update: desk.now.as_second(), next_update: desk.now.as_second() + DAY };
    let list = write(&filed, heading, [Entry::sample(1)]);
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, list);
    let lines: Vec<String> =
        base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let pem = format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n"));
    std::fs::write(folder.join("list.pem"), pem).unwrap();

    let outcomes = async || {
        let function = function(&desk.world, folder, &[]).await;
        let event = json!({"time": desk.now.to_string()});
        let error = function.invoke(LambdaEvent::new(event, Context::default())).await.unwrap_err();
        assert_eq!(error.to_string(), "no fresh revocation list of Broken, Behind TLS");
        let event = json!({"time": desk.now.to_string(), "issuer": "Filed"});
        let answer = function.invoke(LambdaEvent::new(event, Context::default())).await.unwrap();
        answer["lists"][0]["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(outcomes().await, "unchanged", "the run that failed has applied it");
    let text = tests::log::text();
    assert!(text.contains("\"reason\":\"no answer: "), "{text}");

    // With the stand-in's own CA for server certificates, TLS goes through, and what comes is no list.
    std::fs::copy(&desk.world.stack.paths.server_ca, folder.join("source-roots.pem")).unwrap();
    assert_eq!(outcomes().await, "unchanged");
    let refused = "\"reason\":\"malformed: neither DER nor PEM of a list\"";
    assert!(tests::log::text().contains(refused), "{}", tests::log::text());
}

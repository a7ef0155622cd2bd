//! How long `revocation-sync` takes for a list of a million entries, into an empty table and then with 500 changes; how much
//! it writes, and how much memory it needs. `cargo bench -p tests --bench revocation_sync`
//!
//! The function runs in a process of its own, over HTTP from a list's server and to the stand-in's database, which is in
//! memory here: what a table takes on AWS is not measured.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench, not an interface"
)]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use lambda_runtime::{Context, LambdaEvent};
use local::stack::{Options, Running, Stack};
use local::traffic::Service;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::environment::Environment;
use tests::list_host::ListHost;
use workbench::authority::{Algorithm, Authority};
use workbench::list::{Entry, Heading, write};
use workbench::stopwatch::{peak_memory, print_table};

const ENTRIES: u64 = 1_000_000;
const CHANGES: u64 = 500;
const DAY: i64 = 86_400;
/// What the function may need for a list of a million entries, which is 50 MB.
const MOST_MEBIBYTES: u64 = 128;
/// The argument that makes this program the function's process.
const CHILD: &str = "--function";

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != CHILD).skip(1);
    if let Some(event) = arguments.next() {
        // As the function's own `main`.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(child(serde_json::from_str(&event).unwrap()));
    }
    tokio::runtime::Runtime::new().unwrap().block_on(parent());
}

async fn parent() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path().join("data")) };
    let running = Stack::start(options).await.unwrap();
    running.revocations.stop().await;

    // MOICA G3 signs with RSA-4096.
    let ca = Authority::new("內政部憑證管理中心 (test)", Algorithm::Rsa4096);
    let now = Clock::system().now().as_second();
    let list = |number, first: u64| {
        let heading = Heading { number, this_update: now - 60, next_update: now + DAY };
        write(&ca, heading, (first..first + ENTRIES).map(Entry::sample))
    };
    let host = ListHost::start(list(1, 0)).await;
    let truststore = folder.path().join("truststore");
    std::fs::create_dir(&truststore).unwrap();
    std::fs::write(truststore.join("truststore.pem"), ca.pem()).unwrap();
    let profile = ca.profile("citizen", &format!("crl = [\"{}\"]", host.url()));
    std::fs::write(truststore.join("issuers.toml"), profile).unwrap();

    let mut rows = Vec::new();
    rows.push(measure("a first list of 1,000,000 entries", &running, &truststore, json!({})).await);
    rows.push(measure("the same list again", &running, &truststore, json!({})).await);
    host.publish(list(2, CHANGES / 2));
    rows.push(measure("a list with 500 changes", &running, &truststore, json!({})).await);
    host.publish(list(3, CHANGES / 2));
    rows.push(measure("a list with other dates alone", &running, &truststore, json!({})).await);
    let again = json!({"reread": true});
    rows.push(measure("everything read again, on demand", &running, &truststore, again).await);
    print_table(
        "revocation-sync, a process of its own",
        ["", "time", "most memory", "entries written", "other items", "calls to DynamoDB"],
        &rows,
    );
    running.shutdown().await;
}

/// Runs the function once, in a process of its own.
async fn measure(what: &str, running: &Running, truststore: &Path, event: Value) -> [String; 6] {
    let mut functions = running.deployment.functions.iter();
    let declared = functions.find(|function| function.name == "revocation-sync").unwrap();
    running.traffic.reset();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([CHILD, &event.to_string()])
        .envs(&running.shared_variables)
        .envs(&declared.environment)
        .env("AWS_ACCESS_KEY_ID", "revocation-sync")
        .env("TRUSTSTORE_DIR", truststore)
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &told["answer"]["lists"][0];
    assert!(["applied", "unchanged"].map(Value::from).contains(&row["outcome"]), "{row}");
    let counts = running.traffic.counts().into_iter();
    let counts: Vec<_> = counts.filter(|((service, _), _)| *service == Service::DynamoDb).collect();
    let count = |name: &str| {
        let of_name = counts.iter().filter(|((_, operation), _)| operation == name);
        of_name.map(|(_, count)| count).sum::<u64>()
    };
    let whole = |value: &Value| value.as_u64().unwrap();
    let peak = whole(&told["peak"]) >> 20;
    assert!(peak <= MOST_MEBIBYTES, "{peak} MiB");
    [
        what.to_owned(),
        format!("{:.1} s", told["seconds"].as_f64().unwrap()),
        format!("{peak} MiB"),
        (whole(&row["added"]) + whole(&row["removed"])).to_string(),
        // A commit is two: marker and state.
        (count("UpdateItem") + 2 * count("TransactWriteItems")).to_string(),
        counts.iter().map(|(_, count)| count).sum::<u64>().to_string(),
    ]
}

/// The function: one run, and what it took.
async fn child(event: Value) {
    let function = revocation_sync::start(&Environment::process()).await.unwrap();
    let began = Instant::now();
    let answer = function.invoke(LambdaEvent::new(event, Context::default())).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    println!("{}", json!({"answer": answer, "seconds": seconds, "peak": peak_memory()}));
}

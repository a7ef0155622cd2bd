//! How long `roster-import` takes for a country of a million people: into an empty directory, again, and with 500 changes; how
//! much it writes, and how much memory it needs. `cargo bench -p tests --bench roster_import`
//!
//! The function runs in a process of its own, over HTTP to the stand-in's bucket and database, which is in memory here: what a
//! table takes on AWS is not measured, but stands in infra/README.md on paper.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench, not an interface"
)]

use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_runtime::{Context, LambdaEvent};
use local::stack::{Options, Running, Stack};
use local::traffic::Service;
use serde_json::{Value, json};
use shared::aws::sdk_config;
use shared::environment::Environment;
use shared::s3::{Bucket, Put};
use workbench::roster::{HEADER, row, write};
use workbench::stopwatch::{peak_memory, print_table};

const PEOPLE: u32 = 1_000_000;
const CHANGES: u32 = 500;
/// What the function may need for a million people.
const MOST_MEBIBYTES: u64 = 256;
/// The argument that makes this program the function's process.
const CHILD: &str = "--function";

fn main() {
    if std::env::args().any(|argument| argument == CHILD) {
        // As the function's own `main`.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(child());
    }
    tokio::runtime::Runtime::new().unwrap().block_on(parent());
}

async fn parent() {
    let folder = tempfile::tempdir().unwrap();
    // A file that is put must wait for the function that is measured: the stand-in's own ends at its first call.
    let options = Options {
        memory: true,
        sample_cards: false,
        variables: [("ROSTER_BUCKET".to_owned(), "elsewhere".to_owned())].into(),
        ..Options::new(folder.path().join("data"))
    };
    let running = Stack::start(options).await.unwrap();
    // What is counted is this function's alone.
    running.stop_stream().await;
    running.stop_schedules().await;
    running.revocations.stop().await;

    // The sample's people stay: a country's file without them would let them depart.
    let sample = local::directory::SAMPLE.strip_prefix(HEADER).unwrap();
    let country = |changed: u32| write(PEOPLE, changed) + sample;
    let mut rows = Vec::new();
    rows.push(
        measure("a first file of 1,000,000 people", &running, "country/1.csv", country(0).into()).await,
    );
    rows.push(measure("the same file again", &running, "country/2.csv", country(0).into()).await);
    rows.push(measure("the same, packed", &running, "country/3.csv.gz", packed(&country(0))).await);
    rows.push(measure("a file with 500 changes", &running, "country/4.csv", country(CHANGES).into()).await);
    let agency: String = (0..1000).map(|number| row(number, "某某人")).collect();
    let agency = format!("{HEADER}{agency}");
    rows.push(measure("an agency of 1,000", &running, "agencies/R0000/5.csv", agency.into()).await);
    print_table(
        "roster-import, a process of its own",
        ["", "time", "rows/s", "most memory", "people written", "calls that read", "calls that write"],
        &rows,
    );
    running.shutdown().await;
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Runs the function once, in a process of its own.
async fn measure(what: &str, running: &Running, key: &str, file: Vec<u8>) -> [String; 7] {
    let bucket = "first-sign-in-rosterbucket".to_owned();
    let environment = running.environment();
    let inbox = Bucket::new(&environment, &sdk_config(&environment).await, bucket.clone());
    inbox.put(key, file, &Put::default()).await.unwrap();
    let mut functions = running.deployment.functions.iter();
    let declared = functions.find(|function| function.name == "roster-import").unwrap();
    running.traffic.reset();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg(CHILD)
        .envs(&running.shared_variables)
        .envs(&declared.environment)
        .env("AWS_ACCESS_KEY_ID", "roster-import")
        .env("ROSTER_BUCKET", bucket)
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = &told["answer"]["files"][0];
    assert!(["taken", "unchanged"].map(Value::from).contains(&report["outcome"]), "{report}");
    let counts = running.traffic.counts();
    let count = |names: &[&str]| -> u64 {
        let of = |name: &&str| counts.get(&(Service::DynamoDb, (*name).to_owned())).copied();
        names.iter().filter_map(of).sum()
    };
    let writes = count(&["BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"]);
    let whole = |value: &Value| value.as_u64().unwrap();
    assert!(report["outcome"] != "unchanged" || writes == 0, "an unchanged file writes nothing");
    let peak = whole(&told["peak"]) >> 20;
    assert!(peak <= MOST_MEBIBYTES, "{peak} MiB");
    let seconds = told["seconds"].as_f64().unwrap();
    [
        what.to_owned(),
        format!("{seconds:.1} s"),
        format!("{:.0}", whole(&report["accepted"]) as f64 / seconds),
        format!("{peak} MiB"),
        (whole(&report["new"]) + whole(&report["changed"])).to_string(),
        count(&["BatchGetItem", "GetItem", "Query", "Scan"]).to_string(),
        writes.to_string(),
    ]
}

/// The function: one run, and what it took.
async fn child() {
    let function = roster_import::start(&Environment::process()).await.unwrap();
    let began = Instant::now();
    let answer = function.invoke(LambdaEvent::new(json!({}), Context::default())).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    println!("{}", json!({"answer": answer, "seconds": seconds, "peak": peak_memory()}));
}

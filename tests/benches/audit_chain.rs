//! How many entries of the audit trail are chained in a second, beside a bare loop of conditional puts of as many items: the
//! stream, audit-chain in this process, over the AWS SDK, with the embedded database in memory.
//! `cargo bench -p tests --bench audit_chain`
//!
//! A link is two items in a transaction, and 45 links share one; the loop puts one item a call. That no sign-in waits for a
//! chain is not measured but counted: the budgets' test has the calls of each.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench, not an interface")]

use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use local::stack::{Options, Stack};
use shared::audit::{Action, Origin, SUCCESS};
use shared::clock::Clock;
use shared::store::audit::AuditTrail;
use shared::{aws, store};
use workbench::stopwatch::print_table;

/// Puts side by side.
const SIDE_BY_SIDE: usize = 16;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = [1_000, 10_000].map(|entries| {
        let (written, chained) = runtime.block_on(measure(entries));
        [
            entries.to_string(),
            format!("{chained:.0}/s"),
            format!("{written:.0}/s"),
            format!("{:.2}", written / chained),
        ]
    });
    print_table("Entries a second", ["entries", "chained", "a loop of conditional puts", "ratio"], &rows);
}

/// Writes so many entries, and has them chained. Entries a second of both.
async fn measure(entries: usize) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.path()) };
    let running = Stack::start(options).await.unwrap();
    running.stop_stream().await;
    let environment = running.environment();
    let client = store::client(&environment, &aws::sdk_config(&environment).await);
    let trail = AuditTrail::new(client, environment.get("AUDIT_TABLE").unwrap());
    let now = Clock::system().now();
    let began = Instant::now();
    stream::iter(0..entries)
        .for_each_concurrent(SIDE_BY_SIDE, |number| {
            let origin =
                Origin { address: "192.0.2.1".to_owned(), request_id: format!("bench-{number}"), at: now };
            let person = format!("person#bench-{number}");
            let entry =
                origin.entry(Action::PasswordSignIn, &person, &person, SUCCESS).of_agency(Some("A02"));
            let trail = &trail;
            async move { trail.note(entry).await.unwrap() }
        })
        .await;
    let written = rate(entries, began);
    let began = Instant::now();
    running.start_stream().await;
    running.stream_caught_up().await;
    let rate = rate(entries, began);
    // The sample directory's own entries are among them.
    let all = tests::table::items(&running, "AUDIT_TABLE").len();
    assert!(all >= entries, "{all}");
    assert_eq!(tests::table::items_of(&running, "CHAINS_TABLE", "chain#").len(), all);
    running.shutdown().await;
    (written, rate)
}

fn rate(entries: usize, began: Instant) -> f64 {
    entries as f64 / began.elapsed().as_secs_f64()
}

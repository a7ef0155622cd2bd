//! How long it takes to read a revocation list of a million entries, to verify it, and to find what changed in it; beside
//! SHA-256 over the same bytes. And how much memory that needs. `cargo bench -p shared --bench list`

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench, not an interface")]

use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest;
use jiff::Timestamp;
use shared::revocation::{Buckets, Ca, List};
use workbench::authority::{Algorithm, Authority, START};
use workbench::list::{Entry, Heading, write};
use workbench::stopwatch::{compare, peak_memory, print_table, ratio, readable, work};

const ENTRIES: u64 = 1_000_000;
const CHANGES: u64 = 500;
const ROUNDS: usize = 7;
/// The argument that makes this program the process whose memory is measured.
const CHILD: &str = "--apply-and-report-memory";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CHILD) {
        return child(&arguments[at + 1], &arguments[at + 2]);
    }
    // MOICA G3 signs with RSA-4096.
    let authority = Authority::new("內政部憑證管理中心 (test)", Algorithm::Rsa4096);
    let ca = Ca::of(authority.certificate()).unwrap();
    let heading = |number: u64| Heading { number, this_update: START, next_update: START + 7 * 86_400 };
    let former = write(&authority, heading(1), (0..ENTRIES).map(Entry::sample));
    let newer = write(&authority, heading(2), (CHANGES / 2..ENTRIES + CHANGES / 2).map(Entry::sample));
    let now = now();
    let known = Buckets::of(&List::read(&former, &ca, &ca, now).unwrap()).digests().clone();
    println!("{ENTRIES} entries, {:.1} MB; {CHANGES} changes", newer.len() as f64 / 1e6);

    let read = || List::read(&newer, &ca, &ca, now).unwrap();
    let list = read();
    let found = || {
        let buckets = Buckets::of(&list);
        let changed = known.changed(buckets.digests());
        changed.into_iter().map(|bucket| buckets.entries(bucket).len()).sum::<usize>()
    };
    let [sha, reading, difference] =
        compare(ROUNDS, [work(|| digest::digest(&digest::SHA256, &newer)), work(read), work(found)]);
    let row = |what: &str, time, goal: &str| {
        [what.to_owned(), readable(time), format!("{:.1}", ratio(time, sha.least())), goal.to_owned()]
    };
    print_table(
        "A revocation list of 1,000,000 entries (the least of 7 rounds)",
        ["", "time", "× SHA-256", "goal"],
        &[
            row("SHA-256 over the same bytes", sha.least(), ""),
            row("parse and verify", reading.least(), ""),
            row("difference", difference.least(), ""),
            row("all of it", reading.least() + difference.least(), "≤ 40"),
        ],
    );

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (list, issuer) = (folder.join("million.crl"), folder.join("issuer.der"));
    std::fs::write(&list, &newer).unwrap();
    std::fs::write(&issuer, authority.certificate()).unwrap();
    let output = Command::new(&arguments[0]).arg(CHILD).args([&list, &issuer]).output().unwrap();
    println!(
        "Most memory of a process that does all of it: {}",
        String::from_utf8_lossy(&output.stdout).trim()
    );
    std::fs::remove_file(list).unwrap();
}

/// Reads the list in a file, finds what changed, and prints the most memory that this took.
fn child(list: &str, issuer: &str) {
    let (list, issuer) = (std::fs::read(list).unwrap(), std::fs::read(issuer).unwrap());
    let length = list.len();
    let ca = Ca::of(&issuer).unwrap();
    let list = List::read(&list, &ca, &ca, now()).unwrap();
    let buckets = Buckets::of(&list);
    assert_eq!(u64::try_from(buckets.count()), Ok(ENTRIES));
    match peak_memory() {
        Some(bytes) => println!(
            "{:.0} MiB, of which the list itself {:.0} MiB",
            mebibytes(bytes as f64),
            mebibytes(length as f64)
        ),
        None => println!("this system does not say"),
    }
}

fn mebibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn now() -> Timestamp {
    Timestamp::from_second(START + 86_400).unwrap()
}

//! Each target: every seed as it is, then so many inputs damaged from them, the same ones each time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use fuzz::world::seeds;
use workbench::damage::{Chance, damage};

/// How many damaged inputs, unless `FUZZ_RUNS` says otherwise.
const RUNS: u64 = 4_000;

fn run(name: &str, target: fn(&[u8])) {
    let seeds = seeds(name);
    assert!(!seeds.is_empty());
    for (file, seed) in &seeds {
        caught(target, seed, || format!("seeds/{name}/{file}"));
    }
    let seeds: Vec<_> = seeds.into_iter().collect();
    let runs = std::env::var("FUZZ_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    for number in 0..runs {
        let mut chance = Chance::new(number);
        let (file, seed) = &seeds[chance.below(seeds.len())];
        let (_, donor) = &seeds[chance.below(seeds.len())];
        let input = damage(seed, Some(donor), &mut chance);
        caught(target, &input, || {
            let kept = std::env::temp_dir().join(format!("fuzz-{name}-{number}"));
            std::fs::write(&kept, &input).unwrap();
            format!("number {number}, from {file}, kept as {}", kept.display())
        });
    }
}

/// Says which input it was when a target ends.
fn caught(target: fn(&[u8]), input: &[u8], which: impl FnOnce() -> String) {
    if let Err(reason) = std::panic::catch_unwind(|| target(input)) {
        eprintln!("the input is {}", which());
        std::panic::resume_unwind(reason);
    }
}

#[test]
fn certificate() {
    run("certificate", fuzz::targets::certificate);
}

#[test]
fn list() {
    run("list", fuzz::targets::list);
}

#[test]
fn ocsp() {
    run("ocsp", fuzz::targets::ocsp);
}

#[test]
fn event() {
    run("event", fuzz::targets::event);
}

#[test]
fn issuers() {
    run("issuers", fuzz::targets::issuers);
}

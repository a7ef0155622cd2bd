//! What judging a new password costs: an ordinary one, and the worst that anybody could think of.
//! `cargo bench -p shared --bench password`

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench, not an interface")]

use std::time::Duration;

use shared::custom_account::CustomAccount;
use shared::password::{KnownBy, Password, Policy};
use workbench::stopwatch::{compare, print_table, ratio, readable, work};

const ROUNDS: usize = 20;

/// Passwords that people choose, and programs.
const ORDINARY: [&str; 6] = [
    "Taroko-Gorge#1842",
    "Lantern.Ferry.38.Maple",
    "0NohB7gp3DWkdo",
    "AWi~uaXT5iHMvH=H=N@|E2y-",
    "颱風天別忘了關窗Kq79",
    "Kinmen-Sorghum#58",
];

fn main() {
    // What there is to read in many ways, to repeat, to look up in parts; all of it as long as may be.
    let worst = [
        "4@8({[<369!|170$5+72".repeat(6),
        "4831705926".repeat(12),
        "1!|l7i4@8(".repeat(12),
        "abcdefgh12345678".repeat(8),
        "a".repeat(128),
        "ab".repeat(64),
        "passwordwelcomedragon".repeat(6),
        "1qaz@WSX".repeat(16),
        "ji32k7au4a83".repeat(10),
        "密碼行政院".repeat(25),
        "19850101".repeat(16),
        "first-sign-in-ecpa-dgpa-".repeat(5),
        "ＰＡＳＳＷＯＲＤ４８３１".repeat(10),
        "!@#$^*()_=~.,;:|{}[]".repeat(6),
    ];
    let ordinary = ORDINARY.map(cost);
    let worst: Vec<(String, Duration)> =
        worst.into_iter().map(|text| (text.chars().take(20).collect(), cost(&text))).collect();
    let mut sorted = ordinary;
    sorted.sort_unstable();
    let usual = sorted[sorted.len() / 2];
    let rows: Vec<[String; 4]> = ORDINARY
        .into_iter()
        .map(str::to_owned)
        .zip(ordinary)
        .chain(worst)
        .map(|(text, took)| [text, readable(took), format!("{:.2}", ratio(took, usual)), "≤ 3".to_owned()])
        .collect();
    print_table(
        "Judging a new password, beside the ordinary one in the middle (the least of 20 rounds)",
        ["password, or how it begins", "time", "ratio", "goal"],
        &rows,
    );
}

fn cost(text: &str) -> Duration {
    let account = CustomAccount::parse("wang.daming").unwrap();
    let policy = Policy::manual();
    let known_by = KnownBy {
        account: Some(&account),
        email: Some("daming01@example.gov.tw"),
        name: Some("王大明"),
        agency: Some("測試機關"),
    };
    let judge = || policy.accept(Password::new(text.to_owned()), &known_by).is_ok();
    let [taken] = compare(ROUNDS, [work(judge)]);
    taken.least()
}

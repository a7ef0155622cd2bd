//! What becomes of each seed, for a reader: all of them were signed by an issuer, unless they say otherwise.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::fmt::Write as _;

use fuzz::world::{WORLD, seeds, to_pem};
use shared::revocation::{Ca, List};

#[test]
fn of_certificates() {
    let mut table = String::new();
    for (name, der) in seeds("certificate") {
        let verdict = match WORLD.truststore.check(&to_pem(&der), WORLD.now) {
            Ok(_) => "accepted".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        writeln!(table, "{name:42} {verdict}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn of_lists() {
    let issuer = Ca::of(WORLD.citizens.certificate()).unwrap();
    let mut table = String::new();
    for (name, der) in seeds("list") {
        let verdict = match List::read(&der, &issuer, &issuer, WORLD.now) {
            Ok(list) => format!("believed, {} revoked", list.entries().count()),
            Err(refusal) => refusal.to_string(),
        };
        writeln!(table, "{name:32} {verdict}").unwrap();
    }
    insta::assert_snapshot!(table);
}

//! What becomes of each seed, for a reader: all of them were signed by an issuer, unless they say otherwise.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::fmt::Write as _;

use fuzz::world::{CITIZEN, WORLD, seeds, to_pem};
use jiff::SignedDuration;
use shared::ocsp::Issuer;
use shared::revocation::{Ca, List, Status};

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

#[test]
fn of_ocsp_responses() {
    let issuer = Issuer::of(WORLD.citizens.certificate()).unwrap();
    let question = issuer.question(CITIZEN, None).unwrap();
    let mut table = String::new();
    for (name, der) in seeds("ocsp") {
        let verdict = match question.read(&issuer, &der, WORLD.now) {
            Ok(response) if response.delegate().is_some() => {
                "believed once its signer is not revoked".to_owned()
            }
            Ok(response) => {
                let answer = response.believed(&Status::default(), WORLD.now, SignedDuration::ZERO).unwrap();
                format!("believed: {}", answer.verdict.name())
            }
            Err(error) => error.to_string(),
        };
        writeln!(table, "{name:32} {verdict}").unwrap();
    }
    insta::assert_snapshot!(table);
}

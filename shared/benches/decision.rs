//! How long it takes to decide on a certificate, without asking anybody: PEM, path, profile, holder, revocation; beside
//! OpenSSL's bare verification of the one signature in it. `cargo bench -p shared --bench decision`

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench, not an interface")]

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use shared::certificate::{IssuerProfiles, Truststore};
use shared::revocation::{Covers, Freshness, ListStatus, Number, Scope, Status};
use workbench::authority::{Algorithm, Authority, START, citizen_card};
use workbench::damage::split;
use workbench::openssl::OpenSsl;
use workbench::stopwatch::{compare, print_table, ratio, readable, work};

const ROUNDS: usize = 60;

fn main() {
    let mut rows = Vec::new();
    for (name, algorithm) in [("RSA-2048", Algorithm::Rsa2048), ("P-256", Algorithm::P256)] {
        rows.push(row(name, algorithm));
    }
    print_table(
        "The decision on a certificate, and OpenSSL's bare verification of its signature (the least of 60 rounds)",
        ["issuer's and holder's keys", "decision", "OpenSSL", "ratio", "goal"],
        &rows,
    );
}

fn row(name: &str, algorithm: Algorithm) -> [String; 5] {
    // As in production: two generations of one name, another issuer, and the roots above them.
    let root = Authority::new("政府憑證總管理中心 (test)", algorithm);
    let ca = |name: &str| Authority::with_key(name, algorithm, algorithm.key(), Some(&root));
    let (former, issuer, agencies) =
        (ca("內政部憑證管理中心 (test)"), ca("內政部憑證管理中心 (test)"), ca("政府憑證管理中心 (test)"));
    let policies = "policies = [\"2.16.886.1.100.0.3\"]\ndirectory_attributes = \"required\"";
    let profiles = [
        former.profile("citizen", policies),
        issuer.profile("citizen", policies),
        agencies.profile("organization", ""),
    ];
    let bundle = [root.pem(), former.pem(), issuer.pem(), agencies.pem()].concat();
    let profiles = IssuerProfiles::parse(&profiles.concat()).unwrap();
    let truststore = Truststore::new(bundle.as_bytes(), profiles).unwrap();
    let now = Timestamp::from_second(START + 86_400).unwrap();
    let pem = issuer.issue(&citizen_card(&[0x4a; 16]));

    let hour = SignedDuration::from_hours(1);
    let list = Freshness {
        this_update: now - hour,
        next_update: now + hour,
        covers: Covers::ALL,
        number: Number::from(1),
    };
    let list = ListStatus { scope: Scope::Full, list: Some(list), entry: None };
    let statuses = [Status { lists: vec![list], ..Status::default() }];
    let decide =
        || truststore.check(&pem, now).unwrap().verify(&statuses, now, SignedDuration::ZERO).unwrap();

    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let signed = split(split(&der).unwrap().content).unwrap();
    let signature = split(split(signed.rest).unwrap().rest).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openssl-{name}"));
    let openssl =
        OpenSsl::start(&folder, &issuer.public_key(), signed.element, signature.content.get(1..).unwrap());
    match openssl {
        Ok(mut openssl) => {
            println!("{name}: {}", openssl.version());
            let [decision, bare] = compare(ROUNDS, [work(decide), openssl.work()]);
            let ratio = ratio(decision.least(), bare.least());
            let [decision, bare] = [decision, bare].map(|taken| readable(taken.least()));
            [name.to_owned(), decision, bare, format!("{ratio:.2}"), "≤ 3".to_owned()]
        }
        Err(reason) => {
            println!("{name}: OpenSSL is not compared with: {reason}");
            let [decision] = compare(ROUNDS, [work(decide)]);
            [name, &readable(decision.least()), "-", "-", "≤ 3"].map(str::to_owned)
        }
    }
}

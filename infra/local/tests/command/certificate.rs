//! `certificate check`.

use std::fs;
use std::path::Path;

use aws_lc_rs::digest;
use rcgen::{IsCa, KeyUsagePurpose};
use serde_json::{Value, json};

use crate::authority::{Authority, ca, holder};
use crate::run;

/// Files for every row: a root, an issuing CA below it, certificates 1 (good), 2 (revoked), and lists.
fn prepared(folder: &Path) {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    let root = Authority::root(ca("Root"));
    let issuing = root.below(ca("Issuing"));
    let stranger = Authority::root(ca("Stranger"));
    let both = [root.certificate.pem(), issuing.certificate.pem()];
    write("both.pem", both.concat().as_bytes());
    write("root.pem", both[0].as_bytes());
    write("issuing.pem", both[1].as_bytes());
    write("issuing.der", issuing.certificate.der());

    let card = holder("A Person");
    let good = issuing.issue(&card, 1);
    write("good.pem", good.pem().as_bytes());
    write("good.der", good.der());
    write("good-crlf.pem", format!("王大明\r\n{}", good.pem().replace('\n', "\r\n")).as_bytes());
    write("good-chain.pem", [good.pem(), issuing.certificate.pem()].concat().as_bytes());
    write("revoked.pem", issuing.issue(&card, 2).pem().as_bytes());
    write("stranger.pem", stranger.issue(&card, 1).pem().as_bytes());
    let mut encryption = card.clone();
    encryption.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    write("encryption.pem", issuing.issue(&encryption, 3).pem().as_bytes());
    let mut authority = card.clone();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    write("ca.pem", issuing.issue(&authority, 4).pem().as_bytes());

    write("issuing.crl", issuing.list(&[2, 77], 2030).as_bytes());
    write("root.crl", root.list(&[5], 2030).as_bytes());
    write("stale.crl", issuing.list(&[2], 2025).as_bytes());
    write("stranger.crl", stranger.list(&[1], 2030).as_bytes());
    write("empty", b"");
    write("rubbish", b"\x1b]0;rubbish\x07 \xff\xfe");
    write("rubbish.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write("rubbish.der", &[0x30, 0x82, 0xff, 0xff, 0]);

    let fingerprint = hex::encode(digest::digest(&digest::SHA256, issuing.certificate.der()));
    let issuers = |more: &str| {
        format!("[[issuer]]\ncertificate_sha256 = \"{fingerprint}\"\nname = \"Issuing\"\n{more}\n")
    };
    let digitless = "kind = \"citizen\"\ndirectory_attributes = \"optional\"";
    fs::create_dir(folder.join("issuers")).unwrap();
    write("issuers/lists.crl", issuing.list(&[2], 2030).as_bytes());
    write(
        "issuers/citizen.toml",
        issuers(&format!("{digitless}\ncrl = [\"lists.crl\", \"https://example.tw/x.crl\"]")).as_bytes(),
    );
    write("issuers/agency.toml", issuers("kind = \"organization\"").as_bytes());
    write("issuers/digits.toml", issuers("kind = \"citizen\"").as_bytes());
    write(
        "issuers/policy.toml",
        issuers(&format!("{digitless}\npolicies = [\"2.16.886.1.100.0.3\"]")).as_bytes(),
    );
    write("issuers/nobody.toml", b"");
    write("issuers/unknown-key.toml", issuers("kind = \"citizen\"\ncolor = \"red\"").as_bytes());
    write("issuers/elsewhere.toml", issuers("kind = \"citizen\"\ncrl = [\"nowhere.crl\"]").as_bytes());
}

#[test]
fn verdicts() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let rows = [
        ("good", "good.pem --crl issuing.crl", None, ""),
        ("DER", "good.der --crl issuing.crl", None, ""),
        ("others follow", "good-chain.pem --crl issuing.crl", None, ""),
        ("CRLF, after some text", "good-crlf.pem --crl issuing.crl", None, ""),
        (
            "one list of many",
            "good.pem --crl root.crl --crl issuing.crl --crl stranger.crl",
            None,
            "stranger.crl is not used",
        ),
        ("no list", "good.pem", Some("revocation_unknown"), "no revocation list"),
        ("another CA's list", "good.pem --crl root.crl", Some("revocation_unknown"), "no revocation list"),
        ("a list that is none", "good.pem --crl rubbish", Some("revocation_unknown"), "rubbish is not used"),
        ("an empty list", "good.pem --crl empty", Some("revocation_unknown"), "empty is not used"),
        ("a stale list", "good.pem --crl stale.crl", Some("revocation_unknown"), "was to be replaced at"),
        (
            "on the list",
            "revoked.pem --crl issuing.crl",
            Some("certificate_revoked"),
            "revoked at 2025-01-01",
        ),
        ("on a stale list", "revoked.pem --crl stale.crl", Some("certificate_revoked"), "revoked at"),
        (
            "too late",
            "good.pem --crl issuing.crl --at 2040-01-02T00:00:00Z",
            Some("certificate_expired"),
            "expired at",
        ),
        ("too early", "good.pem --at 2019-12-31T00:00:00Z", Some("certificate_not_yet_valid"), "valid from"),
        ("another CA's", "stranger.pem --crl issuing.crl", Some("certificate_untrusted"), "no path"),
        ("for encryption", "encryption.pem --crl issuing.crl", Some("certificate_wrong_kind"), "wrong kind"),
        ("a CA's", "ca.pem --crl issuing.crl", Some("certificate_wrong_kind"), "wrong kind"),
        ("nothing", "empty", Some("certificate_required"), "no certificate"),
        ("rubbish", "rubbish", Some("certificate_untrusted"), "malformed"),
        ("rubbish in PEM", "rubbish.pem", Some("certificate_untrusted"), "malformed"),
        ("rubbish in DER", "rubbish.der", Some("certificate_untrusted"), "malformed"),
        ("pinned, its list by the file", "good.pem --issuers issuers/citizen.toml", None, ""),
        (
            "pinned and revoked",
            "revoked.pem --issuers issuers/citizen.toml",
            Some("certificate_revoked"),
            "revoked at",
        ),
        (
            "not an agency's",
            "good.pem --crl issuing.crl --issuers issuers/agency.toml",
            Some("certificate_wrong_kind"),
            "wrong kind",
        ),
        (
            "without the digits",
            "good.pem --crl issuing.crl --issuers issuers/digits.toml",
            Some("certificate_wrong_kind"),
            "wrong kind",
        ),
        (
            "of no such policy",
            "good.pem --crl issuing.crl --issuers issuers/policy.toml",
            Some("certificate_wrong_kind"),
            "wrong kind",
        ),
        (
            "nobody pinned",
            "good.pem --crl issuing.crl --issuers issuers/nobody.toml",
            Some("certificate_wrong_kind"),
            "not pinned",
        ),
    ];
    for (what, arguments, code, reason) in rows {
        let arguments =
            format!("certificate check --truststore both.pem --json --at 2026-08-03T00:00:00Z {arguments}");
        // The last --at counts.
        let arguments = match arguments.matches("--at").count() {
            1 => arguments,
            _ => arguments.replacen(" --at 2026-08-03T00:00:00Z", "", 1),
        };
        let ran = run(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.code, ran.err.as_str()), (i32::from(code.is_some()), ""), "{what}: {ran:?}");
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        let verdict = if code.is_some() { "refuse" } else { "accept" };
        assert_eq!((&told["verdict"], &told["code"]), (&json!(verdict), &json!(code)), "{what}: {told}");
        match told["reason"].as_str() {
            Some(told) => assert!(told.contains(reason) && !reason.is_empty(), "{what}: {told}"),
            None => assert_eq!(reason, "", "{what}: {told}"),
        }
        assert!(!ran.out.trim_end().contains(char::is_control), "{what}: {ran:?}");
    }
}

#[test]
fn a_path_through_an_intermediate_needs_a_list_of_every_ca() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let rows = [
        ("good.pem --crl issuing.crl --crl root.crl", Some("certificate_untrusted")),
        ("good.pem --intermediates issuing.pem --crl issuing.crl --crl root.crl", None),
        ("good.pem --intermediates issuing.der --crl issuing.crl --crl root.crl", None),
        ("good-chain.pem --crl issuing.crl --crl root.crl", None),
        ("good-chain.pem --crl issuing.crl", Some("revocation_unknown")),
        ("good-chain.pem --crl root.crl", Some("revocation_unknown")),
        ("good.pem --intermediates rubbish", Some("certificate_untrusted")),
    ];
    for (arguments, code) in rows {
        let arguments =
            format!("certificate check --truststore root.pem --json --at 2026-08-03T00:00:00Z {arguments}");
        let ran = run(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, i32::from(code.is_some()), "{arguments}: {ran:?}");
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(told["code"], json!(code), "{arguments}: {told}");
    }
}

#[test]
fn what_cannot_be_read_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let rows = [
        ("nothing.pem --truststore both.pem", "cannot read nothing.pem"),
        ("issuers --truststore both.pem", "cannot read issuers"),
        ("good.pem --truststore nothing.pem", "cannot read nothing.pem"),
        ("good.pem --truststore rubbish", "rubbish: "),
        ("good.pem --truststore empty", "empty: "),
        ("good.pem --truststore both.pem --crl nothing.crl", "cannot read nothing.crl"),
        ("good.pem --truststore both.pem --intermediates nothing.pem", "cannot read nothing.pem"),
        ("good.pem --truststore both.pem --issuers nothing.toml", "cannot read nothing.toml"),
        ("good.pem --truststore both.pem --issuers rubbish", "rubbish: "),
        ("good.pem --truststore both.pem --issuers issuers/unknown-key.toml", "color"),
        ("good.pem --truststore root.pem --issuers issuers/citizen.toml", "not in truststore.pem"),
        (
            "good.pem --truststore both.pem --issuers issuers/elsewhere.toml",
            "cannot read issuers/nowhere.crl",
        ),
        ("good.pem", "--truststore"),
        ("good.pem --truststore both.pem --at yesterday", "yesterday"),
    ];
    for (arguments, reason) in rows {
        let arguments = format!("certificate check --json {arguments}");
        let ran = run(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments}: {ran:?}");
        assert!(ran.err.contains(reason), "{arguments}: {ran:?}");
    }
}

#[test]
fn people_read_the_verdict_in_words() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let check = ["certificate", "check", "--truststore", "both.pem", "--at", "2026-08-03T00:00:00Z"];
    let good = run(folder.path(), &[&check[..], &["good.pem", "--crl", "issuing.crl"]].concat());
    assert_eq!((good.code, good.out.as_str()), (0, "accept\n"));
    let revoked = run(folder.path(), &[&check[..], &["revoked.pem", "--crl", "issuing.crl"]].concat());
    let lines: Vec<_> = revoked.out.lines().collect();
    assert_eq!((revoked.code, lines.len(), lines[0]), (1, 3, "refuse: certificate_revoked"));
    assert!(lines[2].contains("2025-01-01"), "{revoked:?}");
}

#[test]
fn damaged_input_is_refused_and_nothing_worse() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let good = fs::read(folder.path().join("good.der")).unwrap();
    // Every 13th octet in turn is another one, or missing with all after it.
    for at in (0..good.len()).step_by(13) {
        let mut other = good.clone();
        other[at] ^= 0x15;
        for damaged in [&other[..], &good[..at]] {
            fs::write(folder.path().join("damaged"), damaged).unwrap();
            let arguments = [
                "certificate",
                "check",
                "damaged",
                "--truststore",
                "both.pem",
                "--crl",
                "issuing.crl",
                "--json",
            ];
            let ran = run(folder.path(), &arguments);
            assert_eq!((ran.code, ran.err.as_str()), (1, ""), "octet {at}: {ran:?}");
        }
    }
}

//! After each step of the manual: no table holds a national ID, an email address or a password in clear, in whatever writing.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use local::directory::SAMPLE;
use local::stack::Running;
use local::walkthrough;
use tests::table;
use tests::world::initial_passwords;

const TABLES: [&str; 8] = [
    "ACCOUNTS_TABLE",
    "SESSIONS_TABLE",
    "TICKETS_TABLE",
    "MAIL_TABLE",
    "AUDIT_TABLE",
    "REVOCATIONS_TABLE",
    "AUTHORIZATIONS_TABLE",
    "CHAINS_TABLE",
];

/// How a text could stand in a table: as it is, in one case, and the middle of it in base64 and hex, wherever it begins.
fn writings(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([text.to_owned(), text.to_lowercase(), text.to_uppercase()]);
    all.insert(text.bytes().map(|byte| format!("{byte:02x}")).collect());
    for engine in [&STANDARD, &URL_SAFE] {
        for start in 0..3 {
            let whole = text.as_bytes().get(start..).unwrap_or_default();
            let groups = whole.chunks_exact(3).flatten().copied().collect::<Vec<u8>>();
            all.insert(engine.encode(groups));
        }
    }
    all.retain(|writing| writing.len() >= 8);
    all
}

fn dump(stack: &Running) -> String {
    TABLES.iter().map(|name| serde_json::to_string(&table::items(stack, name)).unwrap()).collect()
}

fn forbidden(stack: &Running) -> BTreeSet<String> {
    let national_ids = SAMPLE.lines().skip(1).filter_map(|line| line.split(',').next()).map(str::to_owned);
    let chosen = walkthrough::chosen().flat_map(|(email, password)| [email.to_owned(), password.to_owned()]);
    let mails = stack.mailbox.mails();
    let mailed = mails.iter().flat_map(|mail| {
        initial_passwords(mail).into_iter().chain(mail.to.split(", ").map(str::to_owned)).collect::<Vec<_>>()
    });
    national_ids.chain(chosen).chain(mailed).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_step_leaves_a_secret_in_a_table() {
    let (mut steps, mut mailed, mut found) = (0, 0, Vec::new());
    let mut last = String::new();
    let performed = walkthrough::perform_on(|stack, line| {
        steps += 1;
        let dump = dump(stack);
        mailed = mailed.max(stack.mailbox.mails().len());
        // What was looked through before step and mail were new is not looked through again.
        if dump == last {
            return;
        }
        for text in forbidden(stack) {
            for writing in writings(&text) {
                if dump.contains(&writing) {
                    found.push(format!("{writing} after {line}"));
                }
            }
        }
        last = dump;
    })
    .await
    .unwrap();
    assert_eq!(performed.deviating, 0);
    assert_eq!(steps, performed.performed);
    assert!(mailed > 5, "there were mails to search for: {mailed}");
    assert_eq!(found, [""; 0]);
}

#[test]
fn what_stands_in_a_table_is_found_in_every_writing() {
    let secret = "wang@example.com";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for dump in [
        format!(r#"{{"S":"{secret}"}}"#),
        secret.to_uppercase(),
        hex,
        STANDARD.encode(secret),
        URL_SAFE.encode(format!("to {secret}, and more")),
        STANDARD.encode(format!("{{\"email\":\"{secret}\"}}")),
    ] {
        assert!(writings(secret).iter().any(|writing| dump.contains(writing)), "{dump}");
    }
    assert!(!writings(secret).iter().any(|writing| "w***@example.com".contains(writing)));
}

//! The functions as processes of their own, behind the Lambda runtime API.
//!
//! What a function decides is the same code there as in this process, so that few tests run a second time, under
//! `cargo lambda watch`: the profile `watched` in `.config/nextest.toml` names them. The last of them reads what the functions
//! logged, and holds it against the template: every function, every route with an answer and with a refusal, every event source,
//! and what goes wrong on the way. A new route that none of them calls fails there.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::problem::Code;
use tests::client::APP;
use tests::inbox::{Inbox, file, sample_row};
use tests::log;
use tests::people::{LI, WANG};
use tests::world::{World, eventually};

/// Routes that refuse nobody.
const OPEN: [&str; 2] = ["GET /.well-known/jwks.json", "GET /.well-known/openid-configuration"];

/// What a function that no route leads to writes when its event source has started it.
const BY_EVENTS: [(&str, &str); 6] = [
    ("audit-chain", "entries"),
    ("bulk-reset", "job"),
    ("email-dispatch", "mail"),
    ("mail-events", "mail event"),
    ("revocation-sync", "revocation list"),
    ("roster-import", "roster file"),
];

/// What goes wrong, by what a function writes of it.
const TROUBLES: [(&str, &str); 5] = [
    ("certificate-login", "503"),
    ("hr-reset", "503"),
    ("password-login", "503"),
    ("session", "503"),
    // An event that a function does not understand is an error of the invocation.
    ("lambda_runtime::layers::panic", "ERROR"),
];

#[tokio::test]
async fn files_of_hr_and_of_the_directory_are_worked_on() {
    let world = World::start().await;
    let head = world.head().await;
    let rows = format!("national_id,email\n{},{}\n", LI.national_id, LI.email);
    let bulk = head.upload("", rows).await.status(201).text_of("bulk_id");
    assert_eq!(head.bulk(&bulk, "/rows").await.ok().body["rows"].as_array().unwrap().len(), 1);
    head.confirm_bulk(&bulk).await.status(202);
    eventually("the bulk reset is done", async || {
        (head.bulk(&bulk, "").await.ok().body["state"] == "done").then_some(())
    })
    .await;
    assert_eq!(head.bulk(&bulk, "/result").await.ok().text.lines().count(), 2);

    let renamed = sample_row(&WANG).replace(WANG.name, "王曉明");
    let report = Inbox::of(&world).await.import("changes/watched.csv", file(&[renamed])).await;
    assert_eq!((report.accepted, report.changed), (1, 1));
    assert_eq!(head.search(WANG.national_id).await.ok().body["name"], "王曉明");
}

#[tokio::test]
async fn a_form_is_taken_as_an_address_is() {
    let world = World::start().await;
    let anybody = world.browser();
    let asked = APP.asks();
    let form: Vec<(&str, &str)> =
        asked.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let posted = |path: &'static str| anybody.request("POST", path).without("origin");
    posted("/authorize").form(&form).send().await.status(303);
    let nobody = [("client_id", "nobody"), ("post_logout_redirect_uri", "https://nobody.example/")];
    posted("/logout").form(&nobody).send().await.problem(Code::ClientUnknown);
    assert_eq!(posted("/userinfo").send().await.status, 401);
}

#[tokio::test]
#[ignore = "reads what a run under `cargo lambda watch` has left: see tests/run"]
async fn the_template_starts_nothing_that_was_not_seen() {
    let world = World::start().await;
    let lines: Vec<Value> = log::text()
        .lines()
        .filter_map(|line| serde_json::from_str(&line[line.rfind("{\"timestamp\"")?..]).ok())
        .collect();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let answers: BTreeSet<(String, String, u64)> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .map(|line| (text(line, "step"), text(line, "route"), line["status"].as_u64().unwrap_or_default()))
        .collect();
    let answered = |function: &str, route: &str, statuses: std::ops::Range<u64>| {
        answers.iter().any(|(of, at, status)| of == function && at == route && statuses.contains(status))
    };
    let mut missing = Vec::new();
    let deployment = &world.stack.deployment;
    // The portal's pages are not told apart in its log.
    for route in deployment.routes.iter().filter(|route| route.function != "portal") {
        let key = format!("{} {}", route.method, route.path);
        if !answered(&route.function, &key, 200..400) {
            missing.push(format!("{key}: an answer"));
        }
        if !OPEN.contains(&key.as_str()) && !answered(&route.function, &key, 400..500) {
            missing.push(format!("{key}: a refusal"));
        }
    }
    let sources = deployment.mappings.iter().map(|mapping| &mapping.function);
    let sources = sources.chain(deployment.schedules.iter().map(|schedule| &schedule.function));
    let started: BTreeSet<&String> =
        sources.chain(deployment.rules.iter().map(|rule| &rule.function)).collect();
    let expected: BTreeSet<&str> = BY_EVENTS.iter().map(|(function, _)| *function).collect();
    assert_eq!(started.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>(), expected);
    for (function, message) in BY_EVENTS {
        if !lines
            .iter()
            .any(|line| line["step"] == function && line["message"] == message && line["level"] == "INFO")
        {
            missing.push(format!("{function}: a line “{message}”"));
        }
    }
    for (from, what) in TROUBLES {
        let answer = |line: &Value| {
            line["step"] == from && line["status"].as_u64().is_some_and(|status| status.to_string() == what)
        };
        let failure = |line: &Value| line["target"] == from && line["level"] == what;
        if !lines.iter().any(|line| answer(line) || failure(line)) {
            missing.push(format!("{from}: {what}"));
        }
    }
    for function in &deployment.functions {
        if !lines.iter().any(|line| line["step"] == function.name.as_str()) {
            missing.push(format!("{}: any line", function.name));
        }
    }
    assert_eq!(missing, [""; 0], "in {} lines", lines.len());
}

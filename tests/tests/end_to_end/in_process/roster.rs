//! The personnel roster as a file that comes in: what it changes, what it ends, and what it cannot do.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use local::traffic::{Fault, Service};
use roster_import::report::{Outcome, Refusal, Report};
use serde_json::json;
use tests::inbox::{HEADER, Inbox, file, sample_row, sample_rows};
use tests::people::{LIU, STAFF, SUN, WANG, ZHOU};
use tests::table;
use tests::world::World;

/// Calls that write.
const WRITES: [&str; 5] = ["BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"];

/// The calls by which the import has written to tables since they are recorded; and ends that.
fn written(world: &World) -> Vec<String> {
    let calls = world.stack.traffic.record(false).into_iter();
    let of_import =
        calls.filter(|call| call.function == "roster-import" && call.service == Service::DynamoDb);
    of_import.map(|call| call.operation).filter(|name| WRITES.contains(&name.as_str())).collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn people(report: &Report) -> [u64; 5] {
    [report.accepted, report.new, report.changed, report.unchanged, report.departed]
}

#[tokio::test]
async fn a_file_of_changes_leaves_the_others_alone_and_the_same_file_writes_nothing() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let changed = sample_row(&WANG).replace("範例市政府", "範例直轄市政府");
    let newcomer = "A123456786,新進員,A02,範例市政府,,in_service,,\n".to_owned();
    let rows = file(&[changed, newcomer]);
    let report = inbox.import("changes/a.csv", rows.clone()).await;
    assert_eq!((report.outcome, people(&report), report.refused), (Outcome::Taken, [1, 0, 1, 0, 0], 1));
    assert_eq!(report.rows[0].line, 3, "the newcomer's national ID is none");
    let found = world.head().await.search(WANG.national_id).await.ok();
    assert_eq!(found.body["agency_name"], "範例直轄市政府");

    world.stack.traffic.record(true);
    for (key, bytes) in [("changes/a.csv", rows.clone().into_bytes()), ("changes/b.csv.gz", packed(&rows))] {
        let report = inbox.import(key, bytes).await;
        assert_eq!((report.outcome, people(&report)), (Outcome::Unchanged, [1, 0, 0, 1, 0]), "{key}");
    }
    assert_eq!(written(&world), [""; 0]);
    // What was taken in is gone: it holds names and national IDs. Reports hold neither.
    assert_eq!(inbox.keys("changes/").await, [""; 0]);
    let reports = inbox.reports().await;
    for personal in [WANG.national_id, WANG.name, "A123456786", "新進員"] {
        assert!(!reports.contains(personal));
    }
}

#[tokio::test]
async fn who_has_no_row_in_an_agencys_file_departs_and_what_they_had_comes_back_with_them() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let card = world.card_of(&WANG);
    let wang = world.activated_with(&WANG, &card).await;
    let staff = world.signed_in(&STAFF).await;
    let reset = staff.reset(&ZHOU, None).await.status(202);
    world.mail_of(reset.body["reset_id"].as_str().unwrap()).await;
    assert_eq!(staff.search(ZHOU.national_id).await.ok().body["account_state"], "initial_password");

    let all = sample_rows("A02");
    let without = |rows: &[String], ids: &[&str]| -> Vec<String> {
        rows.iter().filter(|row| !ids.iter().any(|id| row.starts_with(id))).cloned().collect()
    };
    let left = without(&all, &[WANG.national_id, ZHOU.national_id, STAFF.national_id]);
    let report = inbox.import("agencies/A02/1.csv", file(&left)).await;
    assert_eq!((report.outcome, report.departed, report.absent), (Outcome::Taken, 3, 3));

    // Sessions have ended, nobody signs in, the initial password is gone.
    assert_eq!(wang.get("/v1/session").await.status, 401);
    assert_eq!(staff.search(ZHOU.national_id).await.status, 401);
    let mut again = world.browser_with(&card);
    assert_eq!(again.sign_in_by_card().await.body["code"], "person_departed");
    let found = world.head().await.search(ZHOU.national_id).await.ok();
    assert_eq!((&found.body["status"], &found.body["account_state"]), (&json!("departed"), &json!("none")));
    let held = |person| {
        let key = format!("person#{person}");
        let item = table::items_of(&world.stack, "ACCOUNTS_TABLE", &key).remove(0);
        item["authorizations"]["M"].as_object().unwrap().len()
    };
    let staff_id = world.person_id(&STAFF).await;
    assert_eq!(held(&staff_id), 0, "authorizations end");

    // Others are as they were, and the same file again finds everything done.
    assert_eq!(world.helpdesk().await.search(LIU.national_id).await.ok().body["status"], "in_service");
    assert_eq!(inbox.import("agencies/A02/2.csv", file(&left)).await.outcome, Outcome::Unchanged);

    // Back: with the card and the account; without what was open before.
    let all: Vec<String> = all.iter().map(|row| row.replace("A02;A04", "A02")).collect();
    let report = inbox.import("agencies/A02/3.csv", file(&all)).await;
    assert_eq!((report.outcome, report.new, report.changed), (Outcome::Taken, 0, 3));
    again.sign_in_by_card().await.signed_in();
    assert_eq!(again.get("/v1/session").await.ok().body["account"], WANG.account);
    assert_eq!(wang.get("/v1/session").await.status, 401);
}

#[tokio::test]
async fn an_agencys_file_speaks_of_that_agency_alone() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let mut rows = sample_rows("A02");
    rows.push(sample_row(&LIU));
    rows.push(sample_row(&LIU).replace(",A03,", ",A02,").replace("in_service,,", "in_service,helpdesk,"));
    let report = inbox.import("agencies/A02/a.csv", file(&rows)).await;
    let reasons: Vec<_> = report.rows.iter().map(|row| row.reason.as_str()).collect();
    assert!(reasons.contains(&"agency: not the agency that the file is of"), "{reasons:?}");
    assert_eq!(report.departed, 0);
    assert_eq!(world.helpdesk().await.search(LIU.national_id).await.ok().body["status"], "in_service");
}

#[tokio::test]
async fn a_file_that_would_take_too_many_people_is_refused_until_somebody_says_how_many() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let rows = sample_rows("A02");
    let few: Vec<String> = rows.iter().take(3).cloned().collect();
    world.stack.traffic.record(true);
    let report = inbox.import("agencies/A02/a.csv", file(&few)).await;
    assert_eq!((report.outcome, report.refusal), (Outcome::Refused, Some(Refusal::TooManyLeave)));
    assert_eq!((report.losses.len(), report.losses[0].leaving), (1, report.leaving));
    assert_eq!(written(&world), [""; 0]);
    // A smaller number than would leave confirms nothing.
    let leaving = report.leaving;
    let refused = inbox.import_confirmed("agencies/A02/a.csv", file(&few), leaving - 1).await;
    assert_eq!(refused.refusal, Some(Refusal::TooManyLeave));
    let report = inbox.import_confirmed("agencies/A02/a.csv", file(&few), leaving).await;
    assert_eq!((report.outcome, report.departed), (Outcome::Taken, leaving));

    let report = inbox.import("country/a.csv", HEADER).await;
    assert_eq!((report.outcome, report.refusal), (Outcome::Refused, Some(Refusal::NoRows)));
}

#[tokio::test]
async fn what_is_no_roster_is_refused_whole() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let good = file(&sample_rows("A02"));
    let whole = packed(&good);
    let rows: [(&str, Vec<u8>, Refusal); 5] = [
        ("changes/empty.csv", Vec::new(), Refusal::NotARoster),
        ("changes/other.csv", b"a,b\n1,2\n".to_vec(), Refusal::NotARoster),
        ("changes/cut.csv.gz", whole[..whole.len() - 20].to_vec(), Refusal::NotARoster),
        ("agencies/a.csv", good.clone().into_bytes(), Refusal::UnknownPlace),
        ("agencies/A09/a.csv", good.into_bytes(), Refusal::NoRows),
    ];
    world.stack.traffic.record(true);
    for (key, bytes, refusal) in rows {
        let report = inbox.import(key, bytes).await;
        assert_eq!((report.outcome, report.refusal), (Outcome::Refused, Some(refusal)), "{key}");
        assert!(!report.detail.is_empty());
    }
    assert_eq!(written(&world), [""; 0]);
}

#[tokio::test]
async fn an_older_file_does_not_undo_a_newer_one() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let name = |name: &str| file(&[sample_row(&WANG).replace("範例市政府", name)]);
    inbox.import("changes/newer.csv", name("新市政府")).await;
    // It was put earlier, and comes late.
    world.pass(SignedDuration::from_mins(-10));
    let report = inbox.import("changes/older.csv", name("舊市政府")).await;
    assert_eq!((report.outcome, report.refusal), (Outcome::Refused, Some(Refusal::Older)));
    let report = inbox.import("agencies/A01/other.csv", file(&sample_rows("A01"))).await;
    assert_eq!(report.refusal, Some(Refusal::Older), "the changes may have been of its people");
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(inbox.import("changes/again.csv", name("舊市政府")).await.outcome, Outcome::Taken);
}

#[tokio::test]
async fn files_that_come_together_are_taken_one_after_the_other() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let mut versions = Vec::new();
    for number in 0..4 {
        let rows = file(&[sample_row(&WANG).replace("範例市政府", &format!("第{number}市政府"))]);
        let key = format!("changes/{number}.csv");
        versions.push((inbox.put(&key, rows, None).await, key));
        world.pass(SignedDuration::from_secs(1));
    }
    for (version, key) in &versions {
        assert_eq!(inbox.report(key, version).await.outcome, Outcome::Taken, "{key}");
    }
    let found = world.head().await.search(WANG.national_id).await.ok();
    assert_eq!(found.body["agency_name"], "第3市政府");
}

/// Rows of that many new people.
fn strangers(count: u32) -> Vec<String> {
    let people = (0..count).map(workbench::roster::national_id);
    people.map(|id| format!("{id},路人,A03,某機關,,in_service,,\n")).collect()
}

#[tokio::test]
async fn a_run_that_is_killed_is_gone_on_with() {
    let world = World::start().await;
    // Its calls are not those that are to fail.
    world.stack.stop_stream_to("audit-chain").await;
    let inbox = Inbox::of(&world).await;
    let before = table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#").len();
    let fault = |times| Fault {
        operation: Some("TransactWriteItems".to_owned()),
        after: 3,
        times: Some(times),
        ..Fault::broken(Service::DynamoDb)
    };
    // The table fails after some hundred people, longer than a run is patient.
    world.stack.traffic.inject(Fault { delay: std::time::Duration::from_secs(60), ..fault(1000) });
    let version = inbox.put("changes/many.csv", file(&strangers(2000)), None).await;
    tests::world::eventually("the run is half-way", async || {
        let there = table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#").len();
        (there >= before + 300).then_some(())
    })
    .await;
    world.stack.functions.crash("roster-import");
    world.stack.traffic.mend();
    let half = table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#").len();
    assert!(half < before + 2000);
    // Its lease ends, and the schedule finds what was left.
    world.pass(SignedDuration::from_mins(5));
    world.stack.run_schedules("roster-import").await.unwrap();
    let report = inbox.report("changes/many.csv", &version).await;
    assert_eq!((report.outcome, report.accepted, report.runs), (Outcome::Taken, 2000, 2));
    assert_eq!(report.unchanged as usize, half - before);
    assert_eq!(table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#").len(), before + 2000);
}

#[tokio::test]
async fn a_table_without_capacity_is_waited_for() {
    let world = World::start().await;
    // Its calls are not those that are to fail.
    world.stack.stop_stream_to("audit-chain").await;
    let inbox = Inbox::of(&world).await;
    for operation in ["BatchGetItem", "TransactWriteItems"] {
        world.stack.traffic.inject(Fault {
            operation: Some(operation.to_owned()),
            status: 400,
            code: "ProvisionedThroughputExceededException".to_owned(),
            times: Some(2),
            ..Fault::broken(Service::DynamoDb)
        });
    }
    let report = inbox.import("changes/a.csv", file(&strangers(300))).await;
    assert_eq!((report.outcome, report.new, report.runs), (Outcome::Taken, 300, 1));
}

#[tokio::test]
async fn a_country_is_everybody() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let report = inbox.import("country/a.csv", local::directory::SAMPLE).await;
    assert_eq!(report.outcome, Outcome::Unchanged, "{report:?}");
    let without: String = local::directory::SAMPLE
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(WANG.national_id))
        .collect();
    let report = inbox.import("country/b.csv", without).await;
    assert_eq!((report.outcome, report.departed, report.absent), (Outcome::Taken, 1, 1));
    let head = world.head().await;
    assert_eq!(head.search(WANG.national_id).await.ok().body["status"], "departed");
    // Who had departed before stays that.
    assert_eq!(head.search(SUN.national_id).await.ok().body["status"], "departed");
}

#[tokio::test]
async fn an_account_that_its_person_changes_meanwhile_stays_theirs() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let activation = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    let rows = file(&[sample_row(&WANG).replace("範例市政府", "新市政府")]);
    let (report, activated) =
        tokio::join!(inbox.import("changes/a.csv", rows), wang.activate(&activation, &WANG));
    activated.ok();
    assert_eq!(report.outcome, Outcome::Taken);
    wang.sign_in_by_card().await.signed_in();
    let session = wang.get("/v1/session").await.ok();
    assert_eq!(
        (&session.body["account"], &session.body["agency_name"]),
        (&json!(WANG.account), &json!("新市政府"))
    );
}

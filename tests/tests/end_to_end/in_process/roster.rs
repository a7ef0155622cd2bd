//! The personnel roster as a file that comes in: what it changes, what it ends, and what it cannot do.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use local::traffic::{Fault, Service};
use roster_import::report::{Outcome, Refusal, Report};
use serde_json::json;
use tests::inbox::{HEADER, Inbox, file, sample_row, sample_rows};
use tests::people::{Civilian, HEAD_ELSEWHERE, HELPDESK, LIU, STAFF, SUN, WANG, XU, ZHOU};
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
    let changed = sample_row(&WANG).replace(WANG.name, "王小名");
    let newcomer = "A123456786,新進員,A02,範例市政府,,in_service,,\n".to_owned();
    let rows = file(&[changed, newcomer]);
    let report = inbox.import("changes/a.csv", rows.clone()).await;
    assert_eq!((report.outcome, people(&report), report.refused), (Outcome::Taken, [1, 0, 1, 0, 0], 1));
    assert_eq!(report.rows[0].line, 3, "the newcomer's national ID is none");
    let found = world.head().await.search(WANG.national_id).await.ok();
    assert_eq!(found.body["name"], "王小名");

    world.stack.traffic.record(true);
    for (key, bytes) in [("changes/a.csv", rows.clone().into_bytes()), ("changes/b.csv.gz", packed(&rows))] {
        let report = inbox.import(key, bytes).await;
        // A row was refused: the directory is not as the file says.
        assert_eq!((report.outcome, people(&report)), (Outcome::Taken, [1, 0, 0, 1, 0]), "{key}");
    }
    let good = inbox.import("changes/c.csv", rows.lines().take(2).collect::<Vec<_>>().join("\n")).await;
    assert_eq!((good.outcome, people(&good)), (Outcome::Unchanged, [1, 0, 0, 1, 0]));
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
    let rows: [(&str, Vec<u8>, Refusal); 7] = [
        ("changes/empty.csv", Vec::new(), Refusal::NotARoster),
        ("changes/header.csv", HEADER.into(), Refusal::NoRows),
        (
            "changes/bad.csv",
            format!("{HEADER}A123456788,王,A02,範例市政府,,在職,,\n").into(),
            Refusal::NoRows,
        ),
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
    let name = |name: &str| file(&[sample_row(&WANG).replace(WANG.name, name)]);
    inbox.import("changes/newer.csv", name("王新名")).await;
    // It was put earlier, and comes late.
    world.pass(SignedDuration::from_mins(-10));
    let report = inbox.import("changes/older.csv", name("王舊名")).await;
    assert_eq!((report.outcome, report.refusal), (Outcome::Refused, Some(Refusal::Older)));
    let report = inbox.import("agencies/A01/other.csv", file(&sample_rows("A01"))).await;
    assert_eq!(report.refusal, Some(Refusal::Older), "the changes may have been of its people");
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(inbox.import("changes/again.csv", name("王舊名")).await.outcome, Outcome::Taken);
}

#[tokio::test]
async fn files_that_come_together_are_taken_one_after_the_other() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let mut versions = Vec::new();
    for number in 0..4 {
        let rows = file(&[sample_row(&WANG).replace(WANG.name, &format!("王{number}"))]);
        let key = format!("changes/{number}.csv");
        versions.push((inbox.put(&key, rows, &[]).await, key));
        world.pass(SignedDuration::from_secs(1));
    }
    for (version, key) in &versions {
        assert_eq!(inbox.report(key, version).await.outcome, Outcome::Taken, "{key}");
    }
    let found = world.head().await.search(WANG.national_id).await.ok();
    assert_eq!(found.body["name"], "王3");
}

/// Rows of that many new people.
fn strangers(count: u32) -> Vec<String> {
    let people = (0..count).map(workbench::roster::national_id);
    people.map(|id| format!("{id},路人,A03,範例縣政府,,in_service,,\n")).collect()
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
    let version = inbox.put("changes/many.csv", file(&strangers(2000)), &[]).await;
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
    let rows = file(&[sample_row(&WANG).replace(",,\n", ",hr_staff,\n")]);
    let (report, activated) =
        tokio::join!(inbox.import("changes/a.csv", rows), wang.activate(&activation, &WANG));
    activated.ok();
    assert_eq!(report.outcome, Outcome::Taken);
    wang.sign_in_by_card().await.signed_in();
    let session = wang.get("/v1/session").await.ok();
    assert_eq!(
        (&session.body["account"], &session.body["roles"]),
        (&json!(WANG.account), &json!(["hr_staff"]))
    );
}

/// A file of these rows, and of an odd one.
fn agency_with(rows: &[String], odd: &[u8]) -> Vec<u8> {
    [file(rows).into_bytes(), odd.to_vec(), b"\n".to_vec()].concat()
}

#[tokio::test]
async fn a_line_that_cannot_be_read_departs_nobody() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let id = WANG.national_id;
    let others: Vec<String> = sample_rows("A02")
        .into_iter()
        .filter(|row| !row.starts_with(id) && !row.contains("A02;A04"))
        .collect();
    let others: Vec<String> =
        others.into_iter().chain([sample_row(&STAFF).replace("A02;A04", "A02")]).collect();
    let head = world.head().await;
    let long = "x".repeat(20_000);
    let odd: [(&str, Vec<u8>); 16] = [
        ("a comma too many", format!("{id},王小明,A02,範例市政府, 秘書室,,in_service,,").into()),
        ("a column too few", format!("{id},王小明,A02").into()),
        ("a quote in a name", format!("{id},王\"小明,A02,範例市政府,,in_service,,").into()),
        ("a quote before the ID", format!("\"{id},王小明,A02,範例市政府,,in_service,,").into()),
        ("an apostrophe before the ID", format!("'{id},王小明,A02,範例市政府,,in_service,,").into()),
        ("a zero-width space before it", format!("\u{200b}{id},王小明,A02,範例市政府,,in_service,,").into()),
        ("a formula around it", format!("=\"{id}\",王小明,A02,範例市政府,,in_service,,").into()),
        ("Big5 in one row", [id.as_bytes(), b",\xa4\xfd,A02,\xa5\xab,,in_service,,"].concat()),
        ("tabs in one row", format!("{id}\t王小明\tA02\t範例市政府\t\tin_service\t\t").into()),
        ("slipped by a column", format!("12,{id},王小明,A02,範例市政府,,in_service,").into()),
        ("a line far too long", format!("{id},{long},A02,範例市政府,,in_service,,").into()),
        ("a CR in the middle", format!("{id},王小明\r,A02,範例市政府,,in_service,,").into()),
        ("an unknown status", format!("{id},王小明,A02,範例市政府,,借調,,").into()),
        ("another agency", format!("{id},王小明,A03,範例縣政府,,in_service,,").into()),
        (
            "two rows that contradict each other",
            format!("{id},王小明,A02,範例市政府,,in_service,,\n{id},王大明,A02,範例市政府,,in_service,,")
                .into(),
        ),
        (
            "a departure and a line nobody can read",
            format!("{id},王小明,A02,範例市政府,,departed,,\n{id},王小明,A02").into(),
        ),
    ];
    for (number, (what, row)) in odd.into_iter().enumerate() {
        let report = inbox.import(&format!("agencies/A02/{number}.csv"), agency_with(&others, &row)).await;
        assert_ne!(report.outcome, Outcome::Refused, "{what}: {report:?}");
        assert_eq!((report.departed, report.absent), (0, 0), "{what}: {report:?}");
        let found = head.search(id).await.ok();
        assert_eq!(found.body["status"], "in_service", "{what}");
    }
    // Whose line this is nobody can say, so nobody departs for want of one; the report begins with that.
    for (number, row) in
        ["A123456788,王小明,A02,範例市政府,,in_service,,", "1.2E+09,王小明,A02,範例市政府,,在職,,"]
            .iter()
            .enumerate()
    {
        let key = format!("agencies/A02/nobody-{number}.csv");
        let report = inbox.import(&key, agency_with(&others, row.as_bytes())).await;
        assert_eq!((report.departed, report.unnamed, report.kept), (0, 1, 1), "{report:?}");
        assert!(
            report.warnings[0].starts_with("of 1 refused rows nobody knows whose they are"),
            "{report:?}"
        );
    }
    let report = inbox.import("agencies/A02/last.csv", file(&others)).await;
    assert_eq!((report.departed, report.absent), (1, 1), "who has no line at all departs");
}

#[tokio::test]
async fn an_agency_takes_nobody_from_another_and_departs_nobody_of_another() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let mine: Vec<String> = sample_rows("A02").iter().map(|row| row.replace("A02;A04", "A02")).collect();
    let here = |person: &Civilian, status: &str| {
        format!("{},{},A02,範例市政府,2.16.886.101.90002,{status},,\n", person.national_id, person.name)
    };
    let with = |row: String| file(&[mine.clone(), vec![row]].concat());
    let helpdesk = world.helpdesk().await;
    let status = async |person: &Civilian| {
        let found = helpdesk.search(person.national_id).await.ok().body;
        format!("{} {}", found["agency"].as_str().unwrap(), found["status"].as_str().unwrap())
    };
    // Their own people of another agency, its head and the helpdesk of a third.
    for (number, person) in [LIU, HEAD_ELSEWHERE, HELPDESK].iter().enumerate() {
        let before = status(person).await;
        for service in ["in_service", "departed"] {
            let key = format!("agencies/A02/{number}-{service}.csv");
            let report = inbox.import(&key, with(here(person, service))).await;
            let refused = report.rows.last().unwrap();
            assert!(
                refused.reason.contains(before.split(' ').next().unwrap()),
                "names the agency: {report:?}"
            );
            assert_eq!((report.outcome, report.departed), (Outcome::Taken, 0), "{report:?}");
            assert_eq!(status(person).await, before);
        }
    }
    // Confirmed with a number, whoever has no role comes over; a head does not, whatever is confirmed.
    let both =
        file(&[mine.clone(), vec![here(&LIU, "in_service"), here(&HEAD_ELSEWHERE, "in_service")]].concat());
    let report = inbox.import("agencies/A02/ask.csv", both.clone()).await;
    assert_eq!(report.joining, 1);
    assert!(report.warnings.iter().any(|warning| warning.contains("confirm-joining=1")), "{report:?}");
    let report = inbox.import_with("agencies/A02/joins.csv", both, &[("confirm-joining", 1)]).await;
    assert_eq!((report.changed, report.refused, report.moved.len()), (1, 1, 1), "{report:?}");
    assert_eq!(report.moved[0].from, "A03");
    assert_eq!(
        (status(&LIU).await, status(&HEAD_ELSEWHERE).await),
        ("A02 in_service".into(), "A03 in_service".into())
    );

    // The former agency's file comes later: who serves elsewhere by now stays, and the report says where.
    let left = sample_row(&LIU).replace("in_service", "departed");
    let theirs: Vec<String> = sample_rows("A03")
        .into_iter()
        .filter(|row| !row.starts_with(LIU.national_id))
        .chain([left])
        .collect();
    let report = inbox.import("agencies/A03/later.csv", file(&theirs)).await;
    assert!(report.rows.iter().any(|row| row.reason.contains("serves in A02 by now")), "{report:?}");
    assert_eq!(status(&LIU).await, "A02 in_service");
}

#[tokio::test]
async fn who_leaves_one_agency_and_serves_in_another_serves_whatever_the_order_of_rows() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let (left, serves) = (
        sample_row(&WANG).replace("in_service", "departed"),
        sample_row(&WANG).replace("A02,範例市政府,2.16.886.101.90002", "A03,範例縣政府,2.16.886.101.90003"),
    );
    let helpdesk = world.helpdesk().await;
    for (number, rows) in [[left.clone(), serves.clone()], [serves, left.clone()]].iter().enumerate() {
        let report = inbox.import(&format!("changes/{number}.csv"), file(rows)).await;
        assert_eq!((report.outcome, report.departed, report.refused), (Outcome::Taken, 0, 1), "{report:?}");
        let found = helpdesk.search(WANG.national_id).await.ok().body;
        assert_eq!((&found["agency"], &found["status"]), (&json!("A03"), &json!("in_service")));
    }
    let report = inbox.import("changes/late.csv", file(&[left])).await;
    assert_eq!((report.outcome, report.refusal), (Outcome::Refused, Some(Refusal::NoRows)), "{report:?}");
}

#[tokio::test]
async fn what_contradicts_the_directory_about_an_agency_is_refused_until_it_is_confirmed() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let oid = |row: String, oid: &str| row.replace("2.16.886.101.90002", oid);
    let all = sample_rows("A02");
    let filled_down: Vec<String> = vec![all[0].clone(), oid(all[1].clone(), "2.16.886.101.90004")];
    let agency = world.agency("agency-a04").await;
    for scope in ["changes", "country"] {
        let mut rows: Vec<String> =
            local::directory::SAMPLE.lines().skip(1).map(|line| format!("{line}\n")).collect();
        rows.retain(|row| !filled_down.iter().any(|one| one[..10] == row[..10]));
        rows.extend(filled_down.clone());
        let rows = if scope == "changes" { filled_down.clone() } else { rows };
        let report = inbox.import(&format!("{scope}/filled.csv"), file(&rows)).await;
        assert_eq!((report.refused, report.agencies, report.departed), (1, 1, 0), "{scope}: {report:?}");
        assert!(report.rows[0].reason.contains("has it as that of A04"), "{report:?}");
        assert!(report.warnings.iter().any(|one| one.ends_with("confirm-agencies=1: A02")), "{report:?}");
    }
    agency.search(XU.national_id).await.ok();

    let serve = all.iter().filter(|row| row.contains(",in_service,"));
    let renamed: Vec<String> = serve.map(|row| row.replace("範例市政府", "範例直轄市政府")).collect();
    let report = inbox.import("changes/renamed.csv", file(&renamed)).await;
    assert_eq!((report.outcome, report.agencies), (Outcome::Refused, 1), "{report:?}");
    let report = inbox.import_with("changes/renamed.csv", file(&renamed), &[("confirm-agencies", 1)]).await;
    assert_eq!((report.outcome, report.agencies_changed()), (Outcome::Taken, 1), "{report:?}");
    let found = world.helpdesk().await.search(WANG.national_id).await.ok();
    assert_eq!(found.body["agency_name"], "範例直轄市政府");
    assert_eq!(inbox.import("changes/renamed.csv", file(&renamed)).await.outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn codes_are_read_as_people_write_them_and_unknown_ones_are_told() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let report =
        inbox.import("changes/a.csv", file(&[sample_row(&WANG).replace(",A02,", ",ａ\u{200b}０２,")])).await;
    assert_eq!(report.outcome, Outcome::Unchanged, "{report:?}");
    for (separator, expected) in
        [("；", Outcome::Unchanged), ("、", Outcome::Unchanged), ("/", Outcome::Unchanged)]
    {
        let row = sample_row(&STAFF).replace("A02;A04", &format!("A02{separator}a04"));
        assert_eq!(inbox.import("changes/a.csv", file(&[row])).await.outcome, expected, "{separator}");
    }
    let unknown = sample_row(&STAFF).replace("A02;A04", "A02;A99");
    let report = inbox.import("changes/a.csv", file(&[unknown])).await;
    assert_eq!(report.rows[0].reason, "authorized_agencies: nobody knows the agency A99");
    let new = format!("{},新機關人,B77,新機關,,in_service,,\n", workbench::roster::national_id(7));
    let report = inbox.import("agencies/B77/a.csv", file(std::slice::from_ref(&new))).await;
    assert_eq!((report.outcome, report.accepted), (Outcome::Refused, 0), "{report:?}");
}

#[tokio::test]
async fn every_form_in_which_excel_saves_a_roster() {
    let world = World::start().await;
    let inbox = Inbox::of(&world).await;
    let text = |name: &str| file(&[sample_row(&WANG).replace(WANG.name, name)]).replace('\n', "\r\n");
    let utf16 = |text: String| -> Vec<u8> {
        format!("\u{feff}{}", text.replace(',', "\t")).encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    // 王一 … in Big5: every other character is in both.
    let big5 = |text: String| -> Vec<u8> {
        let (bytes, _, lost) = encoding_rs::BIG5.encode(&text);
        assert!(!lost);
        bytes.into_owned()
    };
    let rows: [(&str, Vec<u8>, &str, &str); 5] = [
        ("CSV UTF-8", format!("\u{feff}{}", text("王一")).into(), "utf-8", "王一"),
        ("CSV", big5(text("王二")), "big5", "王二"),
        ("CSV (Macintosh)", big5(text("王三").replace("\r\n", "\r")), "big5", "王三"),
        ("Unicode text", utf16(text("王四")), "utf-16", "王四"),
        ("with semicolons", text("王五").replace(',', ";").into(), "utf-8", "王五"),
    ];
    let head = world.head().await;
    for (what, bytes, read_as, name) in rows {
        let report = inbox.import("changes/a.csv", bytes).await;
        assert_eq!(
            (report.outcome, report.changed, report.refused),
            (Outcome::Taken, 1, 0),
            "{what}: {report:?}"
        );
        assert_eq!(report.read_as, read_as);
        assert_eq!(report.warnings.iter().any(|one| one.starts_with("read as Big5")), read_as == "big5");
        let found = head.search(WANG.national_id).await.ok();
        assert_eq!(found.body["name"], name, "{what}");
    }
}

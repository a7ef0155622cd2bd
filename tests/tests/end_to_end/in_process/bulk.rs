//! Bulk resets: the preview of a file, its confirmation, the work on it, killed and called off and begun again, and its
//! result.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Instant;

use jiff::SignedDuration;
use local::faults::Faults;
use serde_json::{Value, json};
use shared::national_id::NationalId;
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, HEAD, HEAD_ELSEWHERE, HELPDESK, LIU, NOBODY, STAFF, SUN, WANG, ZHANG, ZHOU};
use tests::table::{self, Item};
use tests::world::{World, eventually};

const HEADER: &str = "national_id,email\n";

fn file(rows: &[(&str, &str)]) -> String {
    rows.iter().fold(HEADER.to_owned(), |mut file, (id, email)| {
        let _ = writeln!(file, "{id},{email}");
        file
    })
}

/// New staff of A02: good national IDs, with an address each.
fn new_staff(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| {
            let ids = (0..10).map(|check| format!("A19{number:06}{check}"));
            let id = ids.into_iter().find(|id| NationalId::parse(id).is_ok()).unwrap();
            (id, format!("new-{number}@example.gov.tw"))
        })
        .collect()
}

/// Has them in the directory, and answers the file that resets them.
async fn enroll(world: &World, count: usize) -> String {
    let header = local::directory::SAMPLE.lines().next().unwrap();
    let mut roster = format!("{header}\n");
    let people = new_staff(count);
    for (id, _) in &people {
        let _ = writeln!(roster, "{id},範例人,A02,範例市政府,2.16.886.101.90002,in_service,,");
    }
    assert_eq!(world.stack.import(roster.as_bytes()).await.unwrap().refused, []);
    let rows: Vec<(&str, &str)> = people.iter().map(|(id, email)| (id.as_str(), email.as_str())).collect();
    file(&rows)
}

async fn uploaded(by: &Browser, file: &str) -> String {
    by.upload("", file).await.status(201).text_of("bulk_id")
}

async fn state(by: &Browser, bulk: &str) -> Value {
    by.bulk(bulk, "").await.ok().body
}

/// Waits until it is over; not in vain, as long as it goes on.
async fn is_over(by: &Browser, bulk: &str, expected: &str) -> Value {
    let mut seen = Value::Null;
    while seen["state"] != expected {
        seen = eventually(&format!("the bulk reset is {expected}, or goes on"), async || {
            let found = state(by, bulk).await;
            (found["progress"] != seen["progress"] || found["state"] != seen["state"]).then_some(found)
        })
        .await;
    }
    seen
}

fn letters(world: &World) -> Vec<Item> {
    table::items_of(&world.stack, "MAIL_TABLE", "reset#")
}

/// Everybody was reset once: as many letters as people, each of them the one of its person's initial password.
fn assert_each_once(world: &World, count: usize) {
    let letters = letters(world);
    let people: BTreeSet<&str> = letters.iter().map(|letter| table::text(letter, "person")).collect();
    assert_eq!((letters.len(), people.len()), (count, count), "a letter for each, and one");
    let current: BTreeMap<String, String> = table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#")
        .iter()
        .filter(|person| person.contains_key("initial_reset"))
        .map(|person| {
            (
                table::text(person, "pk").replace("person#", ""),
                table::text(person, "initial_reset").to_owned(),
            )
        })
        .collect();
    for letter in &letters {
        let id = table::text(letter, "pk").replace("reset#", "");
        assert_eq!(
            current.get(table::text(letter, "person")),
            Some(&id),
            "the letter is that of the password"
        );
    }
}

/// Faults of the worker's transactions: each a range of calls, and an effect.
fn faults(rows: &[(&str, &str)]) -> Faults {
    let fault = |(calls, effect): &(&str, &str)| {
        format!(
            "[[fault]]\nservice = \"dynamodb\"\noperation = \"TransactWriteItems\"\nfunction = \"bulk-reset\"\n\
             calls = \"{calls}\"\neffect = \"{effect}\"\n"
        )
    };
    Faults::parse(&rows.iter().map(fault).collect::<String>()).unwrap()
}

/// Lets leases run out and the sweep come, until the job is over.
async fn resume(world: &World, by: &mut Browser, bulk: &str) -> (Value, u32) {
    for sweeps in 1..=60 {
        world.pass(SignedDuration::from_secs(61));
        // The worker may be killed again.
        let _ = world.stack.run_schedules("bulk-reset").await;
        if by.get("/v1/session").await.status == 401 {
            by.sign_in_by_password(HEAD.account, HEAD.password).await.signed_in();
        }
        let found = state(by, bulk).await;
        if !matches!(found["state"].as_str(), Some("queued" | "running")) {
            return (found, sweeps);
        }
    }
    panic!("the bulk reset does not come to its end");
}

#[tokio::test]
async fn every_rows_verdict_is_seen_before_anything_is_reset() {
    let world = World::start().await;
    let (head, agency) = (world.head().await, world.agency("agency-a02").await);
    world.signed_in(&ZHANG).await;
    world.stack.ses.hold_events(false);
    let gone = Civilian { email: "bounce@simulator.amazonses.com", ..ZHOU };
    let bounced = agency.reset(&gone, None).await.status(202).text_of("reset_id");
    world.mail_is(&agency, &bounced, "bounced").await;
    let before = letters(&world).len();
    let rows = [
        (WANG.national_id, "wang@example.gov.tw"),
        ("a123456788", "typo@example.gov.tw"),
        (ZHOU.national_id, "not an address"),
        ("ａ１２３４５６７８９", "twice@example.gov.tw"),
        (NOBODY, "nobody@example.gov.tw"),
        (LIU.national_id, "elsewhere@example.gov.tw"),
        (SUN.national_id, "sun@example.gov.tw"),
        (HEAD.national_id, "head@example.gov.tw"),
        (ZHANG.national_id, "zhang@example.gov.tw"),
        (ZHOU.national_id, "bounce@simulator.amazonses.com"),
        (STAFF.national_id, "staff@example.gov.tw"),
    ];
    let text = format!("\u{feff}{}A111\r\n", file(&rows).replace('\n', "\r\n"));
    let preview = head.upload("", text).await.status(201);
    assert_eq!(
        preview.header("location").unwrap(),
        format!("/v1/hr/bulk-resets/{}", preview.text_of("bulk_id"))
    );
    let shown: Vec<String> = preview.body["preview"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let code = row["code"].as_str().unwrap_or_default();
            format!("{} {} {code} {}", row["line"], row["status"].as_str().unwrap(), row["same_as"])
        })
        .collect();
    let expected = [
        "2 to_reset  null",
        "3 refused national_id_invalid null",
        "4 refused email_invalid null",
        "5 refused duplicate 2",
        "6 refused employee_not_found null",
        "7 refused employee_not_found null",
        "8 refused person_departed null",
        "9 refused oneself null",
        "10 refused already_active null",
        "11 refused email_undeliverable null",
        "12 to_reset  null",
        "13 refused row_malformed null",
    ];
    assert_eq!(shown, expected);
    let first = &preview.body["preview"][0];
    assert_eq!(
        (&first["national_id"], &first["email"]),
        (&json!("A******789"), &json!("w***@example.gov.tw"))
    );
    assert_eq!((&preview.body["to_reset"], &preview.body["rows"]), (&json!(2), &json!(12)));
    assert_eq!(preview.body["refused"]["employee_not_found"], 2);
    for (id, email) in rows {
        assert!(!preview.text.contains(id) && !preview.text.contains(email), "masked: {preview}");
    }
    // The same look, whoever it is that is not in scope; in English as well.
    let bulk = preview.text_of("bulk_id");
    let in_english = head.reading("en").bulk(&bulk, "/rows?refused=true").await.ok();
    let refused = in_english.body["rows"].as_array().unwrap();
    assert_eq!(refused.len(), 10);
    assert_eq!(refused[3]["reason"], refused[4]["reason"]);
    assert!(refused[3]["reason"].as_str().unwrap().starts_with("Nobody of that national ID"), "{in_english}");
    // Accounts that were activated, when they are meant.
    let meant = head.upload("?include_active=true", file(&[(ZHANG.national_id, "z@example.gov.tw")])).await;
    assert_eq!(meant.status(201).body["preview"][0]["status"], "to_reset");
    // Of the agency's certificate the head is out of reach as well.
    let of_agency = agency.upload("", file(&[(HEAD.national_id, "h@example.gov.tw")])).await.status(201);
    assert_eq!(of_agency.body["preview"][0]["code"], "hr_head");
    assert_eq!(letters(&world).len(), before, "nothing was reset");
}

#[tokio::test]
async fn what_is_no_such_file_is_refused_with_what_to_do() {
    let world = World::start().await;
    let head = world.head().await;
    let too_many = format!("{HEADER}{}", "A123456789,a@example.tw\n".repeat(5_001));
    let rows: [(&str, Vec<u8>, &str); 7] = [
        ("Big5 that was taken for UTF-8", "national_id,email\n\u{fffd},a@example.tw\n".into(), "Big5"),
        ("a workbook", b"PK\x03\x04\x14\x00".to_vec(), "CSV UTF-8"),
        ("an old workbook", b"\xd0\xcf\x11\xe0".to_vec(), "CSV UTF-8"),
        ("a column too many", b"national_id,email,name\nA123456789,a@example.tw,x\n".to_vec(), "no others"),
        ("nobody", HEADER.into(), "Nobody is in the file"),
        ("too many", too_many.into_bytes(), "5,000 rows"),
        ("too long", vec![b' '; 1024 * 1024 + 1], "1 MiB"),
    ];
    let english = head.reading("en");
    for (what, bytes, advice) in rows {
        let answer = english.upload("", bytes).await.problem(Code::FileInvalid);
        assert!(answer.text_of("detail").contains(advice), "{what}: {answer}");
    }
    let request = head.request("POST", "/v1/hr/bulk-resets").json(json!({}));
    request.send().await.problem_of(Code::RequestInvalid, "content-type");
    head.upload("?include_active=yes", HEADER).await.problem_of(Code::RequestInvalid, "include_active");
}

#[tokio::test]
async fn every_form_in_which_excel_saves_the_file() {
    let world = World::start().await;
    let head = world.head().await;
    let text = format!("身分證字號,電子郵件\r\n{},wang@example.gov.tw\r\n", WANG.national_id);
    let utf16 = format!("\u{feff}{}", text.replace(',', "\t"));
    let rows: [(&str, Vec<u8>); 5] = [
        ("CSV UTF-8", format!("\u{feff}{text}").into()),
        ("CSV", encoding_rs::BIG5.encode(&text).0.into_owned()),
        ("CSV (Macintosh)", encoding_rs::BIG5.encode(&text.replace("\r\n", "\r")).0.into_owned()),
        ("Unicode text", utf16.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("with semicolons", format!("sep=;\r\n{}", text.replace(',', ";")).into()),
    ];
    for (what, bytes) in rows {
        let request = head.request("POST", "/v1/hr/bulk-resets");
        let preview = request.header("content-type", "application/octet-stream").body(bytes).send().await;
        let preview = preview.status(201);
        assert_eq!((&preview.body["rows"], &preview.body["to_reset"]), (&json!(1), &json!(1)), "{what}");
    }
}

#[tokio::test]
async fn a_bulk_reset_from_its_preview_to_its_result() {
    let world = World::start().await;
    let head = world.head().await;
    let text = enroll(&world, 120).await + &format!("{},{}\n", SUN.national_id, SUN.email);
    let preview = head.upload("", text).await.status(201);
    let bulk = preview.text_of("bulk_id");
    assert_eq!(preview.body["preview"].as_array().unwrap().len(), 100);
    let cursor = preview.text_of("next_cursor");
    let next = head.bulk(&bulk, &format!("/rows?cursor={cursor}")).await.ok();
    let lines: Vec<u64> =
        next.body["rows"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (102..=122).collect::<Vec<_>>());
    head.bulk(&bulk, &format!("/rows?refused=true&cursor={cursor}"))
        .await
        .problem_of(Code::RequestInvalid, "cursor");

    // Confirmed several times at once, it is begun once.
    let confirm = || head.confirm_bulk(&bulk);
    let (one, two, three) = tokio::join!(confirm(), confirm(), confirm());
    for answer in [one, two, three] {
        answer.status(202);
    }
    let done = is_over(&head, &bulk, "done").await;
    assert_eq!(done["progress"], json!({"reset": 120, "refused": 0, "remaining": 0}));
    assert_each_once(&world, 120);
    assert_eq!(head.confirm_bulk(&bulk).await.status(202).body["state"], "done", "it stays so");
    head.cancel_bulk(&bulk).await.problem(Code::BulkClosed);

    world.stack.run_schedules("email-dispatch").await.unwrap();
    eventually("every mail is delivered", async || {
        letters(&world).iter().all(|letter| table::text(letter, "state") == "delivered").then_some(())
    })
    .await;

    let result = head.bulk(&bulk, "/result").await.ok();
    let mut lines = result.text.trim_start_matches('\u{feff}').lines();
    assert_eq!(lines.next(), Some("line,national_id,email,status,code,reason,reset_id,mail"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 121);
    assert!(
        rows[..120].iter().all(|row| row[3] == "reset" && id_in(row[6]).len() == 43 && row[7] == "delivered"),
        "{result}"
    );
    assert_eq!((rows[120][0], rows[120][3], rows[120][4]), ("122", "refused", "person_departed"));
    // It is in the list of resets, and each row's person can sign in with the mailed password.
    assert_eq!(head.resets("mine=true&limit=100").await.ok().body["resets"].as_array().unwrap().len(), 100);
    let (id, _) = &new_staff(1)[0];
    let password = world.mail_of(id_in(rows[0][6])).await;
    let _ = world.browser().sign_in_by_password(id, &password).await.ticket("activation_required");
}

/// A reset's id, which is marked as text where a spreadsheet would take it for a formula.
fn id_in(cell: &str) -> &str {
    assert!(!cell.starts_with('-'), "{cell}");
    cell.trim_start_matches('\'')
}

#[tokio::test]
async fn the_mails_of_a_bulk_reset_let_others_pass() {
    let world = World::start().await;
    let head = world.head().await;
    let bulk = uploaded(&head, &enroll(&world, 5).await).await;
    head.confirm_bulk(&bulk).await.status(202);
    is_over(&head, &bulk, "done").await;
    // The stream passes them over; the sweep comes for them, after everything else.
    world.stack.stream_caught_up().await;
    let waiting = || letters(&world).iter().filter(|letter| table::text(letter, "state") == "queued").count();
    assert_eq!(waiting(), 5);
    let single = head.reset(&WANG, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &single, "delivered").await;
    assert_eq!(waiting(), 5);
    world.stack.run_schedules("email-dispatch").await.unwrap();
    assert_eq!(waiting(), 0);
}

#[tokio::test]
async fn a_worker_that_is_killed_anywhere_resets_nobody_twice_and_leaves_nobody_out() {
    let world = World::start().await;
    let mut head = world.head().await;
    let count = 150;
    let bulk = uploaded(&head, &enroll(&world, count).await).await;
    world.stack.traffic.set_faults(Some(faults(&[
        // Before the first row, after one, in the middle, between two runs, at the last but one.
        ("1", "crash"),
        ("2", "crash_after"),
        ("30", "crash"),
        ("61", "crash_after"),
        ("62", "crash"),
        ("90", "error_500"),
        ("100", "throttle"),
        ("120", "reset_after"),
        ("149", "crash_after"),
    ])));
    head.confirm_bulk(&bulk).await.status(202);
    world.stack.stream_caught_up().await;
    let (done, sweeps) = resume(&world, &mut head, &bulk).await;
    world.stack.traffic.set_faults(None);
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["progress"], json!({"reset": count, "refused": 0, "remaining": 0}));
    assert!(sweeps >= 5, "it was killed {sweeps} times");
    assert_each_once(&world, count);
}

#[tokio::test]
async fn two_workers_do_not_both_run_a_job() {
    let world = World::start().await;
    let head = world.head().await;
    let bulk = uploaded(&head, &enroll(&world, 60).await).await;
    // The record of the confirmation comes twice, side by side, and the sweep beside both.
    world.stack.traffic.set_faults(Some(
        Faults::parse("[[fault]]\nservice = \"stream\"\nfunction = \"bulk-reset\"\neffect = \"duplicate\"\n")
            .unwrap(),
    ));
    head.confirm_bulk(&bulk).await.status(202);
    let _ = world.stack.run_schedules("bulk-reset").await;
    is_over(&head, &bulk, "done").await;
    world.stack.traffic.set_faults(None);
    assert_each_once(&world, 60);
}

/// The line of the sample roster about the head of A02, with the role and without.
const HEAD_LINE: &str = "B210950397,李人事,A02,範例市政府,2.16.886.101.90002,in_service,hr_head,";
const FORMER_HEAD: &str = "B210950397,李人事,A02,範例市政府,2.16.886.101.90002,in_service,,";

/// Begins a bulk reset, which is killed at its tenth row.
async fn killed_at_the_tenth(world: &World, by: &Browser) -> String {
    let bulk = uploaded(by, &enroll(world, 30).await).await;
    world.stack.traffic.set_faults(Some(faults(&[("10", "crash_after")])));
    by.confirm_bulk(&bulk).await.status(202);
    eventually("the tenth row is done", async || (letters(world).len() == 10).then_some(())).await;
    world.stack.stream_caught_up().await;
    world.stack.traffic.set_faults(None);
    bulk
}

#[tokio::test]
async fn who_loses_the_role_midway_resets_nobody_any_more() {
    let world = World::start().await;
    let mut head = world.head().await;
    let bulk = killed_at_the_tenth(&world, &head).await;
    world.change_roster(HEAD_LINE, FORMER_HEAD).await;
    world.pass(SignedDuration::from_secs(61));
    world.stack.run_schedules("bulk-reset").await.unwrap();
    assert_eq!(letters(&world).len(), 10);
    head.bulk(&bulk, "").await.problem(Code::NotAuthorized);
    // With the role again, the head sees what came of it, and it is not taken up again.
    world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
    let (stopped, _) = resume(&world, &mut head, &bulk).await;
    assert_eq!(
        (&stopped["state"], &stopped["stopped_by"]["code"]),
        (&json!("stopped"), &json!("not_authorized"))
    );
    assert_eq!(stopped["progress"], json!({"reset": 10, "refused": 0, "remaining": 20}));
    let rows = head.bulk(&bulk, "/rows?refused=true").await.ok();
    let rows = rows.body["rows"].as_array().unwrap().clone();
    assert!(rows.len() == 20 && rows.iter().all(|row| row["code"] == "not_authorized"), "{rows:?}");
    assert_each_once(&world, 10);
}

#[tokio::test]
async fn a_certificate_that_is_revoked_midway_resets_nobody_any_more() {
    let world = World::start().await;
    let card = world.sample_card("agency-a02");
    let agency = world.agency("agency-a02").await;
    let bulk = killed_at_the_tenth(&world, &agency).await;
    world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
    world.stack.revocations.run().await.unwrap();
    world.pass(SignedDuration::from_secs(61));
    world.stack.run_schedules("bulk-reset").await.unwrap();
    assert_eq!(letters(&world).len(), 10);
    let jobs = table::items_of(&world.stack, "BULK_TABLE", &format!("bulk#{bulk}"));
    let job = jobs.iter().find(|item| table::text(item, "sk") == "job").unwrap();
    assert_eq!((table::text(job, "state"), table::text(job, "stopped_by")), ("stopped", "not_authorized"));
}

#[tokio::test]
async fn a_bulk_reset_is_called_off_before_and_while_it_runs() {
    let world = World::start().await;
    let mut head = world.head().await;
    let sealed = |bulk: &str| {
        let items = table::items_of(&world.stack, "BULK_TABLE", &format!("bulk#{bulk}"));
        items.iter().filter(|item| table::text(item, "sk").starts_with("chunk#")).count()
    };
    let preview = uploaded(&head, &file(&[(WANG.national_id, WANG.email)])).await;
    assert_eq!(sealed(&preview), 1);
    head.cancel_bulk(&preview).await.status(204);
    head.cancel_bulk(&preview).await.status(204);
    head.confirm_bulk(&preview).await.problem(Code::BulkClosed);
    assert_eq!(state(&head, &preview).await["state"], "cancelled");
    assert_eq!(head.bulk(&preview, "/rows").await.ok().body["rows"], json!([]));
    assert_eq!(sealed(&preview), 0, "its rows are forgotten");

    let bulk = killed_at_the_tenth(&world, &head).await;
    head.cancel_bulk(&bulk).await.status(204);
    let (cancelled, _) = resume(&world, &mut head, &bulk).await;
    assert_eq!((&cancelled["state"], letters(&world).len()), (&json!("cancelled"), 10));
    let rows = head.bulk(&bulk, "/rows").await.ok().body["rows"].clone();
    let of = |status: &str| rows.as_array().unwrap().iter().filter(|row| row["status"] == status).count();
    assert_eq!((of("reset"), of("cancelled")), (10, 20));
    assert_each_once(&world, 10);
}

#[tokio::test]
async fn what_changed_since_the_preview_decides() {
    let world = World::start().await;
    let mut head = world.head().await;
    let rows =
        [(WANG.national_id, WANG.email), (ZHANG.national_id, ZHANG.email), (ZHOU.national_id, ZHOU.email)];
    let bulk = uploaded(&head, &file(&rows)).await;
    world.signed_in(&WANG).await;
    world.depart(&ZHANG).await;
    head.confirm_bulk(&bulk).await.status(202);
    let done = is_over(&head, &bulk, "done").await;
    assert_eq!(done["progress"], json!({"reset": 1, "refused": 2, "remaining": 0}));
    let rows = head.bulk(&bulk, "/rows").await.ok().body["rows"].clone();
    let codes: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["code"].as_str().unwrap_or("-")).collect();
    assert_eq!(codes, ["already_active", "person_departed", "-"]);

    // A preview waits a day.
    let late = uploaded(&head, &file(&[(ZHOU.national_id, ZHOU.email)])).await;
    world.pass(SignedDuration::from_hours(24));
    head.sign_in_by_password(HEAD.account, HEAD.password).await.signed_in();
    assert_eq!(state(&head, &late).await["state"], "expired");
    let answer = head.reading("en").confirm_bulk(&late).await.problem(Code::BulkClosed);
    assert!(answer.text_of("detail").contains("within 24 hours"), "{answer}");
}

#[tokio::test]
async fn nobody_else_sees_a_bulk_reset_and_only_heads_make_one() {
    let world = World::start().await;
    let (head, elsewhere) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let agency = world.agency("agency-a02").await;
    let bulk = uploaded(&head, &file(&[(WANG.national_id, WANG.email)])).await;
    let unknown = "A".repeat(43);
    let without_id = |answer: &Answer, id: &str| answer.text.replace(answer.request_id(), "").replace(id, "");
    for foreign in [&elsewhere, &agency] {
        for part in ["", "/rows", "/result"] {
            let found = foreign.bulk(&bulk, part).await.problem(Code::BulkNotFound);
            let none = foreign.bulk(&unknown, part).await.problem(Code::BulkNotFound);
            assert_eq!(without_id(&found, &bulk), without_id(&none, &unknown));
        }
        foreign.confirm_bulk(&bulk).await.problem(Code::BulkNotFound);
        foreign.cancel_bulk(&bulk).await.problem(Code::BulkNotFound);
    }
    let (staff, desk) = (world.signed_in(&STAFF).await, world.signed_in(&HELPDESK).await);
    for other in [&staff, &desk] {
        other.upload("", file(&[(WANG.national_id, WANG.email)])).await.problem(Code::NotAuthorized);
        other.bulk(&bulk, "").await.problem(Code::NotAuthorized);
        other.confirm_bulk(&bulk).await.problem(Code::NotAuthorized);
    }
    assert_eq!(state(&head, &bulk).await["state"], "preview");
}

#[tokio::test]
async fn so_many_files_a_day() {
    let world = World::start_with(|options| {
        options.variables.insert("BULK_RESETS_PER_ACTOR_PER_DAY".to_owned(), "2".to_owned());
    })
    .await;
    let head = world.head().await;
    let text = file(&[(WANG.national_id, WANG.email)]);
    for left in [1, 0] {
        let answer = head.upload("", text.clone()).await.status(201);
        assert!(answer.header("ratelimit").unwrap().contains(&format!(";r={left};")), "{answer}");
    }
    head.upload("", text).await.problem(Code::TooManyRequests);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: a measurement"]
async fn five_thousand_rows_killed_half_way() {
    let world = World::start().await;
    let mut head = world.head().await;
    let count = 5_000;
    let text = enroll(&world, count).await;
    let began = Instant::now();
    let bulk = uploaded(&head, &text).await;
    println!("preview of {count} rows ({} KiB): {} ms", text.len() / 1024, began.elapsed().as_millis());
    world.stack.traffic.set_faults(Some(faults(&[
        ("2500", "crash_after"),
        ("2501", "crash"),
        ("4999", "crash"),
    ])));
    let began = Instant::now();
    head.confirm_bulk(&bulk).await.status(202);
    world.stack.stream_caught_up().await;
    let (done, sweeps) = resume(&world, &mut head, &bulk).await;
    let took = began.elapsed();
    world.stack.traffic.set_faults(None);
    println!(
        "{count} resets, killed three times, {sweeps} sweeps: {:.1} s, {:.0} rows/s",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64()
    );
    assert_eq!((&done["state"], &done["progress"]["reset"]), (&json!("done"), &json!(count)));
    assert_each_once(&world, count);
    let began = Instant::now();
    let result = head.bulk(&bulk, "/result").await.ok();
    println!("result file ({} KiB): {} ms", result.text.len() / 1024, began.elapsed().as_millis());
}

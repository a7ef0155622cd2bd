//! Authorizations (權限與兼辦管理): HR heads say who may reset where, for how long; and what takes it away again.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, HEAD, HEAD_ELSEWHERE, LI, LIU, NOBODY, STAFF, SUN, WANG, WU, XU, ZHANG, ZHOU};
use tests::table;
use tests::world::World;

const AT: &str = "/v1/hr/authorizations";

/// HR staff of A03, authorized for it by the roster.
const STAFF_ELSEWHERE: Civilian =
    Civilian { national_id: "U212579636", name: "黃幹事", account: "huang.ganshi", ..STAFF };

/// An id, as a client chooses one.
fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

async fn put(by: &Browser, id: &str, body: Value) -> Answer {
    by.request("PUT", &format!("{AT}/{id}")).json(body).send().await
}

async fn step(by: &Browser, id: &str, step: &str) -> Answer {
    by.request("POST", &format!("{AT}/{id}/{step}")).send().await
}

async fn revoke(by: &Browser, id: &str) -> Answer {
    by.request("DELETE", &format!("{AT}/{id}")).send().await
}

async fn list(by: &Browser, query: &str) -> Vec<Value> {
    let answer = by.get(&format!("{AT}?{query}")).await.ok();
    answer.body["authorizations"].as_array().unwrap().clone()
}

/// The id of what the roster gave somebody in an agency.
async fn of_roster(by: &Browser, agency: &str, holder: &Civilian) -> String {
    let found = list(by, &format!("agency={agency}")).await;
    let of_holder = found.iter().find(|found| found["holder"]["name"] == holder.name).unwrap();
    of_holder["authorization_id"].as_str().unwrap().to_owned()
}

fn ids(list: &[Value]) -> BTreeSet<&str> {
    list.iter().map(|found| found["authorization_id"].as_str().unwrap()).collect()
}

/// Whether somebody may reset somebody, as a search tells.
async fn may(by: &Browser, person: &Civilian) -> String {
    let answer = by.search(person.national_id).await;
    match answer.status {
        200 if answer.body["may_reset"] == true => "may".to_owned(),
        200 => answer.body["why_not"].as_str().unwrap().to_owned(),
        _ => answer.body["code"].as_str().unwrap().to_owned(),
    }
}

/// A grant in the own agency.
fn grant(person: &Civilian) -> Value {
    json!({"national_id": person.national_id})
}

/// A request that somebody handle another agency.
fn duty(person: &Civilian, agency: &str) -> Value {
    json!({"national_id": person.national_id, "name": person.name, "agency": agency})
}

/// Everything of an answer but its request, its id, and how many calls are left, which every call makes fewer.
fn without_id(answer: &Answer) -> String {
    let text = answer.to_string().replace(answer.request_id(), "[request]");
    let lines = text.lines().skip(1).filter(|line| !line.starts_with("ratelimit: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_concurrent_duty_is_asked_for_consented_to_and_revoked() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let staff = world.signed_in(&STAFF).await;
    assert_eq!(may(&staff, &LIU).await, "employee_not_found");

    let asked = put(&head, &id(1), duty(&STAFF, "A03")).await.status(201);
    assert_eq!(asked.body["state"], "requested");
    assert_eq!(asked.body["may"], json!(["withdraw"]), "{asked}");
    assert_eq!(may(&staff, &LIU).await, "employee_not_found", "nothing counts without consent");
    step(&head, &id(1), "accept").await.problem(Code::NotAuthorized);
    step(&staff, &id(1), "accept").await.problem(Code::NotAuthorized);
    revoke(&there, &id(1)).await.problem(Code::AuthorizationSettled);

    let waiting = list(&there, "state=requested").await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["may"], json!(["accept", "refuse"]));
    assert_eq!(waiting[0]["holder"]["agency_name"], "範例市政府");
    let accepted = step(&there, &id(1), "accept").await.ok();
    assert_eq!((&accepted.body["state"], &accepted.body["in_force"]), (&json!("active"), &json!(true)));
    assert_eq!(may(&staff, &LIU).await, "may");
    staff.reset(&LIU, None).await.status(202);
    step(&there, &id(1), "accept").await.problem(Code::AuthorizationSettled);

    // Who may reset in the agency, since when, by whom; and where one's own people may.
    let here = list(&there, "").await;
    assert!(ids(&here).contains(id(1).as_str()) && here.len() == 2, "{here:?}");
    let elsewhere = list(&head, "side=home").await;
    assert!(ids(&elsewhere).contains(id(1).as_str()), "{elsewhere:?}");
    assert_eq!(staff.get(&format!("{AT}/{}", id(1))).await.ok().body["may"], json!([]));

    revoke(&there, &id(1)).await.status(204);
    revoke(&head, &id(1)).await.status(204);
    assert_eq!(may(&staff, &LIU).await, "employee_not_found");
    assert_eq!(may(&staff, &XU).await, "may", "another one counts as before");
    let history = head.get(&format!("{AT}/{}", id(1))).await.ok();
    let happened: Vec<_> = history.body["history"].as_array().unwrap().iter().collect();
    let told: Vec<_> = happened.iter().map(|event| (&event["what"], &event["by"]["name"])).collect();
    assert_eq!(
        json!(told),
        json!([
            ["requested", HEAD.name],
            ["accepted", HEAD_ELSEWHERE.name],
            ["revoked", HEAD_ELSEWHERE.name]
        ])
    );
    assert_eq!(ids(&list(&there, "state=closed").await), BTreeSet::from([id(1).as_str()]));
}

#[tokio::test]
async fn the_agency_that_needs_help_asks_and_the_home_agency_consents() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    put(&there, &id(1), duty(&STAFF, "A03")).await.status(201);
    step(&there, &id(1), "accept").await.problem(Code::NotAuthorized);
    step(&head, &id(1), "accept").await.ok();
    assert_eq!(may(&world.signed_in(&STAFF).await, &LIU).await, "may");

    // A head says yes for themselves to what the other agency asks for; asking for oneself is a grant to oneself.
    put(&head, &id(2), duty(&HEAD, "A03")).await.problem(Code::NotAuthorized);
    put(&there, &id(3), duty(&HEAD, "A03")).await.status(201);
    step(&head, &id(3), "accept").await.ok();
    assert_eq!(may(&head, &LIU).await, "may");
    assert_eq!(may(&head, &HEAD_ELSEWHERE).await, "not_authorized");

    // What is handled concurrently is not passed on.
    put(&head, &id(4), json!({"national_id": STAFF_ELSEWHERE.national_id, "agency": "A03"}))
        .await
        .problem(Code::NotAuthorized);
    revoke(&head, &id(3)).await.status(204);
    assert_eq!(may(&head, &LIU).await, "employee_not_found");
}

#[tokio::test]
async fn a_request_is_refused_or_withdrawn() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    put(&head, &id(1), duty(&STAFF, "A03")).await.status(201);
    step(&head, &id(1), "refuse").await.problem(Code::NotAuthorized);
    step(&there, &id(1), "withdraw").await.problem(Code::NotAuthorized);
    assert_eq!(step(&there, &id(1), "refuse").await.ok().body["state"], "refused");
    step(&there, &id(1), "refuse").await.ok();
    step(&there, &id(1), "accept").await.problem(Code::AuthorizationSettled);
    step(&head, &id(1), "withdraw").await.problem(Code::AuthorizationSettled);

    // In full width and lower case it is the same code.
    put(&head, &id(2), duty(&STAFF, "ａ03")).await.status(201);
    put(&there, &id(3), duty(&STAFF, "A03")).await.problem(Code::AuthorizationExists);
    assert_eq!(step(&head, &id(2), "withdraw").await.ok().body["state"], "withdrawn");
    step(&head, &id(2), "withdraw").await.ok();
    step(&there, &id(2), "accept").await.problem(Code::AuthorizationSettled);
    assert_eq!(may(&world.signed_in(&STAFF).await, &LIU).await, "employee_not_found");
}

#[tokio::test]
async fn a_request_waits_for_nobody_who_is_not_there() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let staff = world.signed_in(&STAFF).await;
    // What the roster gives already is taken away, so that it can be asked for.
    let given = list(&head, "side=home").await;
    let given = given.iter().find(|given| given["agency"] == "A04").unwrap();
    revoke(&head, given["authorization_id"].as_str().unwrap()).await.status(204);

    let unknown = put(&head, &id(1), duty(&STAFF, "A99")).await.problem(Code::AgencyUnknown);
    assert_eq!(unknown.body["field"], "agency", "{unknown}");
    // A code is a code: neither a beginning of one, nor a part of an agency in an index.
    for code in ["A0", "A03#0", "A03 x"] {
        put(&head, &id(1), duty(&STAFF, code)).await.problem(Code::AgencyUnknown);
    }
    // Who may not ask hears nothing of agencies, and has them looked up by no call.
    let foreign =
        json!({"national_id": STAFF_ELSEWHERE.national_id, "name": STAFF_ELSEWHERE.name, "agency": "A99"});
    put(&head, &id(1), foreign).await.problem(Code::EmployeeNotFound);
    put(&staff, &id(1), duty(&STAFF, "A99")).await.problem(Code::NotAuthorized);
    put(&head, &id(1), duty(&HEAD, "A99")).await.problem(Code::NotAuthorized);
    let card = world.agency("agency-a02").await;
    put(&card, &id(1), duty(&STAFF, "A99")).await.problem(Code::NotAuthorized);

    // An agency that has lost its head has nobody who could consent: its organization certificate does not.
    world.change_roster("hr_head;hr_staff,A04", "hr_staff,A04").await;
    put(&head, &id(1), duty(&STAFF, "A04")).await.problem(Code::AgencyWithoutHead);
    // The agency that needs help asks one that has lost its head: the same.
    world.depart(&HEAD).await;
    put(&there, &id(2), duty(&STAFF, "A03")).await.problem(Code::AgencyWithoutHead);
    assert_eq!(list(&there, "state=requested").await, [] as [Value; 0], "nothing waits");
    let helpdesk = world.helpdesk().await;
    assert_eq!(list(&helpdesk, "agency=A99").await, [] as [Value; 0]);
    // What was refused, and why, is in the audit trail.
    let trail = table::items(&world.stack, "AUDIT_TABLE");
    let asked = trail.iter().filter(|entry| table::text(entry, "action") == "authorization_request");
    let outcomes: BTreeSet<&str> = asked.map(|entry| table::text(entry, "outcome")).collect();
    for outcome in ["agency_unknown", "agency_without_head"] {
        assert!(outcomes.contains(outcome), "{outcomes:?}");
    }

    // With heads again, both are asked and can answer.
    world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
    put(&there, &id(3), duty(&STAFF, "A03")).await.status(201);
}

#[tokio::test]
async fn whom_a_change_concerns_is_told_by_mail() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let second = with_a_second_head_there(&world).await;
    let staff = world.signed_in(&STAFF).await;
    let mails = async |kind: &str| {
        let mut mails: Vec<(String, String)> = Vec::new();
        for mail in world.mails_of_notices(kind).await {
            assert!(
                !mail.text.contains(STAFF.name) && !mail.text.contains(STAFF.national_id),
                "nobody is named"
            );
            mails.push((mail.to.clone(), mail.text));
        }
        mails.sort();
        mails
    };
    let of = |mails: &[(String, String)]| mails.iter().map(|(to, _)| to.clone()).collect::<Vec<_>>();

    let asked = id(1);
    // Asked for: both heads who could consent, and nobody else.
    put(&head, &asked, duty(&STAFF, "A03")).await.status(201);
    let wanted = mails("consent_wanted").await;
    assert_eq!(of(&wanted), [HEAD_ELSEWHERE.email, LIU.email]);
    assert!(wanted.iter().all(|(_, text)| text.contains("A02")), "{wanted:?}");
    assert_eq!(of(&mails("authorized").await), [""; 0], "nothing counts yet");
    // Consented to, once: its holder.
    let answers = tokio::join!(step(&there, &asked, "accept"), step(&second, &asked, "accept"));
    assert_eq!([answers.0.status, answers.1.status].iter().filter(|status| **status == 200).count(), 1);
    let given = mails("authorized").await;
    assert_eq!(of(&given), [STAFF.email]);
    assert!(given[0].1.contains("A03"), "{given:?}");
    // Taken away, by both at once: told once.
    let (one, other) = tokio::join!(revoke(&there, &asked), revoke(&head, &asked));
    assert_eq!((one.status, other.status), (204, 204));
    let revoked = mails("authorization_revoked").await;
    assert_eq!(of(&revoked), [STAFF.email]);
    assert!(revoked[0].1.contains("A03"), "{revoked:?}");
    // Given at once in the own agency; the same call again tells nobody again, nor does a request that is withdrawn.
    revoke(&head, &of_roster(&head, "A02", &STAFF).await).await.status(204);
    for status in [201, 200] {
        put(&head, &id(2), grant(&STAFF)).await.status(status);
    }
    assert_eq!(of(&mails("authorized").await), [STAFF.email, STAFF.email]);
    put(&there, &id(3), duty(&STAFF, "A03")).await.status(201);
    step(&there, &id(3), "withdraw").await.ok();
    assert_eq!(of(&mails("consent_wanted").await), [HEAD.email, HEAD_ELSEWHERE.email, LIU.email]);
    assert_eq!(mails("authorized").await.len(), 2);
    assert_eq!(mails("authorization_revoked").await.len(), 2);
    assert_eq!(may(&staff, &WANG).await, "may");
}

#[tokio::test]
async fn an_unanswered_request_expires() {
    let world = World::start().await;
    let head = world.head().await;
    put(&head, &id(1), duty(&STAFF, "A03")).await.status(201);
    later(&world, 31).await;
    let there = world.signed_in(&HEAD_ELSEWHERE).await;
    step(&there, &id(1), "accept").await.problem(Code::AuthorizationSettled);
    assert_eq!(list(&there, "state=requested").await, [] as [Value; 0]);
    assert_eq!(ids(&list(&there, "state=expired").await), BTreeSet::from([id(1).as_str()]));
    // And it stands in nobody's way.
    put(&there, &id(2), duty(&STAFF, "A03")).await.status(201);
}

/// Days pass, and the lists of revoked certificates are fetched anew.
async fn later(world: &World, days: i64) {
    world.pass(SignedDuration::from_hours(24 * days));
    world.stack.revocations.run().await.unwrap();
}

#[tokio::test]
async fn it_counts_from_its_first_day_to_its_last() {
    let world = World::start().await;
    let head = world.head().await;
    revoke(&head, &of_roster(&head, "A02", &STAFF).await).await.status(204);
    let day = |days: i64| {
        let taiwan = world.now() + SignedDuration::from_hours(8) + SignedDuration::from_hours(24 * days);
        taiwan.to_string()[..10].to_owned()
    };
    let dated = json!({"national_id": STAFF.national_id, "from": day(2), "until": day(3)});
    let granted = put(&head, &id(1), dated.clone()).await.status(201);
    assert_eq!((&granted.body["state"], &granted.body["in_force"]), (&json!("active"), &json!(false)));
    assert_eq!((&granted.body["from"], &granted.body["until"]), (&dated["from"], &dated["until"]));
    assert_eq!(
        put(&head, &id(1), dated.clone()).await.status(200).body["state"],
        "active",
        "the same call again"
    );
    let otherwise = json!({"national_id": STAFF.national_id, "from": day(1), "until": dated["until"]});
    put(&head, &id(1), otherwise).await.problem(Code::AuthorizationExists);

    let mut staff = world.signed_in(&STAFF).await;
    assert_eq!(may(&staff, &WANG).await, "employee_not_found", "A04 alone, of which he is not");
    later(&world, 2).await;
    staff.sign_in_by_card().await.signed_in();
    assert_eq!(may(&staff, &WANG).await, "may");
    later(&world, 2).await;
    staff.sign_in_by_card().await.signed_in();
    assert_eq!(may(&staff, &WANG).await, "employee_not_found");

    let mut head = head;
    head.sign_in_by_card().await.signed_in();
    assert_eq!(ids(&list(&head, "state=expired").await), BTreeSet::from([id(1).as_str()]));
    revoke(&head, &id(1)).await.problem(Code::AuthorizationSettled);
    put(&head, &id(2), grant(&STAFF)).await.status(201);
    assert_eq!(may(&staff, &WANG).await, "may");
}

#[tokio::test]
async fn departure_ends_it_for_good() {
    ends_for_good("departed", &STAFF_LISTED.replace("in_service", "departed")).await;
}

#[tokio::test]
async fn a_move_ends_it_for_good() {
    let (from, to) = ("A02,範例市政府,2.16.886.101.90002", "A03,範例縣政府,2.16.886.101.90003");
    ends_for_good("moved", &STAFF_LISTED.replace(from, to)).await;
}

#[tokio::test]
async fn a_lost_role_ends_it_for_good() {
    ends_for_good("role_lost", &STAFF_LISTED.replace("hr_staff", "")).await;
}

/// [`STAFF`] in the sample roster.
const STAFF_LISTED: &str = "D111086163,陳助理,A02,範例市政府,2.16.886.101.90002,in_service,hr_staff,A02;A04";

/// What comes of authorizations when the roster has another line of their holder.
async fn ends_for_good(ending: &str, changed: &str) {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    put(&head, &id(1), duty(&STAFF, "A03")).await.status(201);
    step(&there, &id(1), "accept").await.ok();
    let of_roster = of_roster(&head, "A02", &STAFF).await;
    world.change_roster(STAFF_LISTED, changed).await;
    for ended in [&id(1), &of_roster] {
        let found = head.get(&format!("{AT}/{ended}")).await.ok();
        assert_eq!((&found.body["state"], &found.body["ending"]), (&json!("ended"), &json!(ending)));
        assert_eq!(found.body["history"].as_array().unwrap().last().unwrap()["by"]["kind"], "roster");
    }
    revoke(&head, &id(1)).await.problem(Code::AuthorizationSettled);
    // Back as they were: nothing comes back with them, not even what the same file names.
    world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
    let staff = world.signed_in(&STAFF).await;
    for person in [&WANG, &LIU, &XU] {
        assert_eq!(may(&staff, person).await, "not_authorized", "{ending}");
    }
    put(&head, &id(2), grant(&STAFF)).await.status(201);
    assert_eq!(may(&staff, &WANG).await, "may", "{ending}");
}

#[tokio::test]
async fn what_was_revoked_does_not_come_back_with_the_same_roster() {
    let world = World::start().await;
    let head = world.head().await;
    revoke(&head, &of_roster(&head, "A02", &STAFF).await).await.status(204);
    world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
    let staff = world.signed_in(&STAFF).await;
    assert_eq!(may(&staff, &WANG).await, "employee_not_found");
    assert_eq!(may(&staff, &XU).await, "may");
    // The roster names the agency no more: what it gave ends, by difference.
    world.change_roster("hr_staff,A02;A04", "hr_staff,A02").await;
    assert_eq!(may(&staff, &XU).await, "not_authorized");
}

#[tokio::test]
async fn an_organization_certificate_stands_in_for_the_head_but_not_in_other_agencies() {
    let world = World::start().await;
    let (card, head) = (world.agency("agency-a02").await, world.head().await);
    let there = world.signed_in(&HEAD_ELSEWHERE).await;
    revoke(&card, &of_roster(&card, "A02", &STAFF).await).await.status(204);
    let granted = put(&card, &id(1), grant(&STAFF)).await.status(201);
    assert_eq!(granted.body["history"][0]["by"]["kind"], "agency");
    put(&card, &id(2), duty(&STAFF, "A03")).await.problem(Code::NotAuthorized);
    put(&card, &id(2), duty(&STAFF_ELSEWHERE, "A02")).await.problem(Code::EmployeeNotFound);
    put(&there, &id(3), duty(&STAFF, "A03")).await.status(201);
    step(&card, &id(3), "accept").await.problem(Code::NotAuthorized);
    step(&head, &id(3), "accept").await.ok();
    revoke(&card, &id(3)).await.status(204);
    assert_eq!(list(&card, "side=home&state=closed").await.len(), 2);
    card.get(&format!("{AT}?agency=A03")).await.problem(Code::AuthorizationNotFound);
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_hold_nor_to_themselves() {
    let world = World::start().await;
    let (head, staff) = (world.head().await, world.signed_in(&STAFF).await);
    let (wang, helpdesk) = (world.signed_in(&WANG).await, world.helpdesk().await);
    let rows = [
        ("a head, themselves", &head, grant(&HEAD), Code::NotAuthorized),
        ("a head, an employee who is not of HR", &head, grant(&WANG), Code::HolderNotEligible),
        ("a head, somebody departed", &head, grant(&SUN), Code::PersonDeparted),
        (
            "a head, somebody elsewhere in their agency",
            &head,
            duty(&STAFF_ELSEWHERE, "A03"),
            Code::EmployeeNotFound,
        ),
        (
            "a head, somebody elsewhere in a third agency",
            &head,
            duty(&STAFF_ELSEWHERE, "A04"),
            Code::EmployeeNotFound,
        ),
        ("a head, nobody", &head, json!({"national_id": NOBODY}), Code::EmployeeNotFound),
        ("a head, what there is already", &head, grant(&STAFF), Code::AuthorizationExists),
        ("authorized staff, a colleague", &staff, grant(&WANG), Code::NotAuthorized),
        ("authorized staff, themselves", &staff, grant(&STAFF), Code::NotAuthorized),
        ("an employee", &wang, grant(&STAFF), Code::NotAuthorized),
        ("the helpdesk", &helpdesk, grant(&STAFF), Code::NotAuthorized),
    ];
    for (what, by, body, code) in rows {
        let answer = put(by, &id(1), body).await;
        assert_eq!(answer.body["code"], code.name(), "{what}: {answer}");
    }
    staff.get(AT).await.problem(Code::NotAuthorized);
    wang.get(AT).await.problem(Code::NotAuthorized);
    assert_eq!(list(&helpdesk, "agency=A02").await.len(), 1, "the helpdesk reads");
}

#[tokio::test]
async fn of_two_heads_at_once_one_wins_and_the_other_is_told() {
    let world = World::start().await;
    // A second head in A02.
    world
        .change_roster(
            "E211221932,張三,A02,範例市政府,2.16.886.101.90002,in_service,,",
            "E211221932,張三,A02,範例市政府,2.16.886.101.90002,in_service,hr_head,",
        )
        .await;
    let heads = [world.head().await, world.signed_in(&ZHANG).await];
    revoke(&heads[0], &of_roster(&heads[0], "A02", &STAFF).await).await.status(204);
    for round in 0..5 {
        let (first, second) = (id(10 + round), id(20 + round));
        let answers =
            tokio::join!(put(&heads[0], &first, grant(&STAFF)), put(&heads[1], &second, grant(&STAFF)));
        let mut codes = [answers.0, answers.1].map(|answer| (answer.status, answer.body["code"].clone()));
        codes.sort_by_key(|(status, _)| *status);
        assert_eq!(codes, [(201, Value::Null), (409, json!("authorization_exists"))]);
        let open = list(&heads[0], "").await;
        assert_eq!(open.len(), 1);
        let given = open[0]["authorization_id"].as_str().unwrap();
        // Both revoke it: it is revoked once, and both are told that it is.
        let (one, other) = tokio::join!(revoke(&heads[0], given), revoke(&heads[1], given));
        assert_eq!((one.status, other.status), (204, 204));
        let history = heads[0].get(&format!("{AT}/{given}")).await.ok();
        assert_eq!(history.body["history"].as_array().unwrap().len(), 2);
    }
    // The same call twice at once is one grant.
    let answers = join_all((0..4).map(|_| put(&heads[0], "the-same-call-four-times", grant(&STAFF)))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    // A head departs between the decision and the write, or before it: their grant is not there afterwards.
    revoke(&heads[0], "the-same-call-four-times").await.status(204);
    let last = id(30);
    let (granted, ()) = tokio::join!(put(&heads[1], &last, grant(&STAFF)), world.depart(&ZHANG));
    let there = list(&heads[0], "").await.len();
    assert_eq!(there, usize::from(granted.status == 201), "{granted}");
}

#[tokio::test]
async fn no_reset_is_written_after_a_revocation_is_answered() {
    let world = World::start().await;
    let head = world.head().await;
    let staff = world.signed_in(&STAFF).await;
    let people = [&WANG, &ZHANG, &LI, &ZHOU, &WU];
    let given = of_roster(&head, "A02", &STAFF).await;
    let mut given = vec![given];
    given.extend((0..3).map(|round| id(40 + round)));
    let resets = || table::items_of(&world.stack, "MAIL_TABLE", "reset#").len();
    for (round, given) in given.iter().enumerate() {
        if round > 0 {
            put(&head, given, grant(&STAFF)).await.status(201);
        }
        let resetting = join_all((0..15).map(|at| staff.reset(people[at % people.len()], None)));
        let revoking = async {
            revoke(&head, given).await.status(204);
            resets()
        };
        let (answers, at_answer) = tokio::join!(resetting, revoking);
        assert_eq!(resets(), at_answer, "a reset after the revocation's answer");
        for answer in answers {
            let code = answer.body["code"].as_str().unwrap_or_default();
            let known = ["", "employee_not_found", "conflict", "too_many_requests"];
            assert!(known.contains(&code), "{answer}");
        }
        staff.reset(&WANG, None).await.problem(Code::EmployeeNotFound);
    }
}

/// The sample roster with another head in A03 beside [`HEAD_ELSEWHERE`]: [`LIU`].
async fn with_a_second_head_there(world: &World) -> Browser {
    let line = "V112715408,劉一,A03,範例縣政府,2.16.886.101.90003,in_service,";
    world.change_roster(&format!("{line},"), &format!("{line}hr_head,")).await;
    world.signed_in(&LIU).await
}

#[tokio::test]
async fn of_two_answers_at_once_one_is_heard() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let second = with_a_second_head_there(&world).await;
    let staff = world.signed_in(&STAFF).await;
    // A yes beside a withdrawal by who asked, a no by a colleague, another yes.
    let rows = [
        ("accept", &head, "withdraw", "withdrawn"),
        ("accept", &second, "refuse", "refused"),
        ("accept", &second, "accept", "active"),
        ("refuse", &head, "withdraw", "withdrawn"),
    ];
    for (round, (one, other_party, other, if_other)) in (0_u32..12).zip(rows.into_iter().cycle()) {
        let asked = id(100 + round);
        put(&head, &asked, duty(&STAFF, "A03")).await.status(201);
        let (left, right) = tokio::join!(step(&there, &asked, one), step(other_party, &asked, other));
        let what = format!("{one} beside {other}: {left}\n{right}");
        assert_eq!([left.status, right.status].iter().filter(|status| **status == 200).count(), 1, "{what}");
        let lost = if left.status == 200 { &right } else { &left };
        assert_eq!(lost.body["code"], Code::AuthorizationSettled.name(), "{what}");
        let state = match (left.status, one) {
            (200, "accept") => "active",
            (200, _) => "refused",
            _ => if_other,
        };
        let found = head.get(&format!("{AT}/{asked}")).await.ok();
        assert_eq!(found.body["state"], state, "{what}");
        assert_eq!(found.body["history"].as_array().unwrap().len(), 2, "{what}");
        // What it says is what counts.
        let expected = if state == "active" { "may" } else { "employee_not_found" };
        assert_eq!(may(&staff, &ZHANG_THERE).await, expected, "{what}");
        if state == "active" {
            revoke(&there, &asked).await.status(204);
        }
    }
}

/// An employee of A03 who is nothing but that.
const ZHANG_THERE: Civilian = Civilian { national_id: "X212851170", name: "蔡二", ..LIU };

#[tokio::test]
async fn no_reset_is_written_in_an_agency_after_it_has_revoked() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let staff = world.signed_in(&STAFF).await;
    let resets = || table::items_of(&world.stack, "MAIL_TABLE", "reset#").len();
    for round in 0..3 {
        let given = id(200 + round);
        put(&head, &given, duty(&STAFF, "A03")).await.status(201);
        let accepting = step(&there, &given, "accept");
        // Resets run while it is given, and while it is taken away again.
        let early = join_all((0..4).map(|_| staff.reset(&ZHANG_THERE, None)));
        let (accepted, _) = tokio::join!(accepting, early);
        accepted.ok();
        let late =
            join_all((0..8).map(|at| staff.reset(if at % 2 == 0 { &LIU } else { &ZHANG_THERE }, None)));
        let revoking = async {
            revoke(&there, &given).await.status(204);
            resets()
        };
        let (_, at_answer) = tokio::join!(late, revoking);
        assert_eq!(resets(), at_answer, "a reset after the revocation's answer");
        staff.reset(&LIU, None).await.problem(Code::EmployeeNotFound);
    }
}

#[tokio::test]
async fn who_departs_while_being_reset_has_no_initial_password() {
    let world = World::start().await;
    let head = world.head().await;
    let initial = |person: &str| {
        let key = format!("person#{person}");
        let items = table::items_of(&world.stack, "ACCOUNTS_TABLE", &key);
        items.iter().any(|item| item.contains_key("initial_hash") || item.contains_key("initial_reset"))
    };
    for (round, person) in [ZHOU, WU, LI].iter().enumerate() {
        let resetting = join_all((0..3).map(|_| head.reset(person, None)));
        let departing = async {
            // Before, between and after what the resets write.
            tokio::time::sleep(std::time::Duration::from_millis(60 * u64::try_from(round).unwrap())).await;
            world.depart(person).await;
        };
        let (answers, ()) = tokio::join!(resetting, departing);
        for answer in answers {
            let known =
                [Value::Null, json!("conflict"), json!("person_departed"), json!("too_many_requests")];
            assert!(known.contains(&answer.body["code"]), "{answer}");
        }
        assert!(!initial(world.person_id(person).await.as_str()), "departed, with an initial password");
        head.reset(person, None).await.problem(Code::PersonDeparted);
        // The next roster has everybody back: nothing that was reset before comes back with them.
        world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
        assert!(!initial(world.person_id(person).await.as_str()), "back, with an initial password");
    }
}

#[tokio::test]
async fn who_departs_while_resetting_resets_nobody_afterwards() {
    let world = World::start().await;
    let staff = world.signed_in(&STAFF).await;
    let resets = || table::items_of(&world.stack, "MAIL_TABLE", "reset#").len();
    let people = [&WANG, &ZHANG, &LI, &ZHOU, &WU];
    let resetting = join_all((0..15).map(|at| staff.reset(people[at % people.len()], None)));
    let departing = async {
        world.depart(&STAFF).await;
        resets()
    };
    let (_, at_departure) = tokio::join!(resetting, departing);
    assert_eq!(resets(), at_departure);
    staff.reset(&WANG, None).await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn who_departs_during_an_activation_is_not_activated() {
    let world = World::start().await;
    let head = world.head().await;
    // Departures that come before, in the middle of, and after what an activation writes.
    for (round, person) in [ZHOU, WU, LI, WANG].iter().enumerate() {
        let mut browser = world.browser();
        let initial = world.initial_password(&head, person).await;
        let ticket =
            browser.sign_in_by_password(person.national_id, &initial).await.ticket("activation_required");
        let departing = async {
            tokio::time::sleep(std::time::Duration::from_millis(80 * u64::try_from(round).unwrap())).await;
            world.depart(person).await;
        };
        let (activated, ()) = tokio::join!(browser.activate(&ticket, person), departing);
        let was_activated = activated.status == 200;
        if !was_activated {
            let code = activated.body["code"].clone();
            assert!([json!("person_departed"), json!("ticket_invalid")].contains(&code), "{activated}");
        }
        browser.sign_in_by_password(person.national_id, &initial).await.problem(Code::InvalidCredentials);
        let again = browser.sign_in_by_password(person.national_id, person.password).await;
        assert!(again.status != 200, "{again}");
        // Back in service they have the account, whole, or none of it: the ticket that was under way is void.
        world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
        let back = browser.sign_in_by_password(person.national_id, person.password).await;
        assert_eq!(back.status == 200, was_activated, "{back}");
        let named = table::items_of(&world.stack, "ACCOUNTS_TABLE", &format!("account#{}", person.account));
        assert_eq!(named.len(), usize::from(was_activated), "the custom account is taken, or free");
        browser.activate(&ticket, person).await.problem(Code::TicketInvalid);
    }
}

#[tokio::test]
async fn out_of_scope_and_unknown_are_one_answer() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let foreign = of_roster(&there, "A03", &STAFF_ELSEWHERE).await;
    let unknown = "A".repeat(43);
    world.stack.stop_stream().await;
    let cost = || world.stack.traffic.counts().values().sum::<u64>();
    let mut seen = Vec::new();
    macro_rules! probe {
        ($call:expr) => {{
            // A session's use is noted once a minute: not in the call that is counted.
            head.get(AT).await.ok();
            world.stack.traffic.reset();
            let answer = $call;
            let text = without_id(&answer).replace(&foreign, "[id]").replace(&unknown, "[id]");
            seen.push((text, cost()));
        }};
    }
    macro_rules! same {
        ($what:literal, $code:literal) => {{
            let first = seen[0].clone();
            assert!(first.0.contains($code), "{}: {}", $what, first.0);
            for other in seen.drain(..) {
                assert_eq!(other, first, $what);
            }
        }};
    }
    for id in [&foreign, &unknown] {
        probe!(head.get(&format!("{AT}/{id}")).await);
    }
    same!("seen", "authorization_not_found");
    for id in [&foreign, &unknown] {
        probe!(revoke(&head, id).await);
    }
    same!("revoked", "authorization_not_found");
    for name in ["accept", "refuse", "withdraw"] {
        for id in [&foreign, &unknown] {
            probe!(step(&head, id, name).await);
        }
        same!("answered", "authorization_not_found");
    }
    for agency in ["A03", "A99"] {
        probe!(head.get(&format!("{AT}?agency={agency}")).await);
    }
    same!("listed", "authorization_not_found");
    // Whom another agency has: told only to who knows name and number of its HR.
    let named =
        |national_id: &str, name: &str| json!({"national_id": national_id, "name": name, "agency": "A02"});
    let bodies = [
        named(NOBODY, STAFF_ELSEWHERE.name),
        named(STAFF_ELSEWHERE.national_id, "黃大明"),
        named(LIU.national_id, LIU.name),
        json!({"national_id": STAFF_ELSEWHERE.national_id, "agency": "A02"}),
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        probe!(put(&head, &id(u32::try_from(number).unwrap()), body).await);
    }
    let trace = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    seen.iter_mut().for_each(|(text, _)| *text = trace(text));
    same!("asked for", "employee_not_found");
    put(&head, &id(9), named(STAFF_ELSEWHERE.national_id, STAFF_ELSEWHERE.name)).await.status(201);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::start().await;
    let head = world.head().await;
    revoke(&head, &of_roster(&head, "A02", &STAFF).await).await.status(204);
    for number in 0..7 {
        put(&head, &id(number), grant(&STAFF)).await.status(201);
        revoke(&head, &id(number)).await.status(204);
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    for _ in 0..4 {
        let answer = head.get(&format!("{AT}?state=closed&limit=3{cursor}")).await.ok();
        // It goes on with this list alone.
        if !cursor.is_empty() {
            for other in ["", "&state=closed&side=home"] {
                let query = format!("limit=3{other}{cursor}");
                head.get(&format!("{AT}?{query}")).await.problem_of(Code::RequestInvalid, "cursor");
            }
        }
        found.extend(answer.body["authorizations"].as_array().unwrap().clone());
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((found.len(), ids(&found).len()), (8, 8), "{found:?}");
    let rows = [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("state=gone", "state"),
        ("side=left", "side"),
        ("agency=", "agency"),
        ("cursor=x", "cursor"),
        ("cursor=b3BlbiMwMDAwMDAwMDAwMDAwI3g", "cursor"),
    ];
    for (query, field) in rows {
        head.get(&format!("{AT}?{query}")).await.problem_of(Code::RequestInvalid, field);
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_named() {
    let world = World::start().await;
    let head = world.head().await;
    let with = |name: &str, value: Value| {
        let mut body = grant(&STAFF);
        body[name] = value;
        body
    };
    let person_id = "A".repeat(43);
    let rows = [
        (json!({}), "national_id"),
        (json!({"national_id": "A123456788"}), "national_id"),
        (with("national_id", json!(7)), "national_id"),
        (with("person_id", json!(person_id)), "person_id"),
        (json!({"person_id": "x"}), "person_id"),
        (with("agency", json!("")), "agency"),
        (with("agency", json!("x".repeat(65))), "agency"),
        (with("name", json!("x".repeat(101))), "name"),
        (with("from", json!("2001-01-01")), "from"),
        (with("from", json!("tomorrow")), "from"),
        (with("from", json!("9999-12-31")), "from"),
        (with("until", json!("2001-01-01")), "until"),
        (with("until", json!("2026-13-01")), "until"),
        (with("until", json!("9999-12-31")), "until"),
        (with("until", json!(20_270_101)), "until"),
    ];
    for (body, field) in rows {
        put(&head, &id(1), body).await.problem_of(Code::RequestInvalid, field);
    }
    for id in ["short", &"x".repeat(65), "no.dots.in.ids.of.such.a.kind"] {
        put(&head, id, grant(&STAFF)).await.problem_of(Code::RequestInvalid, "authorization_id");
    }
    put(&head, &id(1), json!({"person_id": person_id})).await.problem(Code::EmployeeNotFound);
    // By the id that a search answers.
    revoke(&head, &of_roster(&head, "A02", &STAFF).await).await.status(204);
    let found = head.search(STAFF.national_id).await.ok().text_of("person_id");
    put(&head, &id(1), json!({"person_id": found})).await.status(201);
    put(&head, &id(1), json!({"person_id": found, "until": "2027-01-01"}))
        .await
        .problem(Code::AuthorizationExists);
}

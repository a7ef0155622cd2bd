//! Probing: what is out of the caller's scope is answered as if it did not exist. The same status, headers and body; and by
//! the same calls of AWS, of the same kinds, so that neither answer takes longer than the other for what it finds.

use std::collections::BTreeMap;

use local::traffic::Service;
use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::Browser;
use tests::people::{HEAD_ELSEWHERE, HELPDESK, LIU, NOBODY, STAFF, WANG};
use tests::world::World;

/// Somebody of A03 who has departed.
const DEPARTED_ELSEWHERE: &str = "Z213530020";

/// A call, of what is out of scope and of what is not there.
struct Probe {
    what: String,
    method: &'static str,
    foreign: (String, Value),
    unknown: (String, Value),
}

fn of_person(what: &str, path: &str, foreign: &str, body: fn(&str) -> Value) -> Probe {
    Probe {
        what: format!("{what} of {foreign}"),
        method: "POST",
        foreign: (path.to_owned(), body(foreign)),
        unknown: (path.to_owned(), body(NOBODY)),
    }
}

fn of_path(method: &'static str, path: &str, foreign: &str, unknown: &str) -> Probe {
    Probe {
        what: format!("{method} {path}"),
        method,
        foreign: (path.replace("{}", foreign), Value::Null),
        unknown: (path.replace("{}", unknown), Value::Null),
    }
}

/// How an answer looks, without what was asked, and the calls of AWS that it took.
async fn seen(
    world: &World,
    by: &Browser,
    method: &str,
    (path, body): &(String, Value),
) -> (String, BTreeMap<(Service, String), u64>) {
    // A session's use is noted once a minute: not in the call that is counted.
    by.get("/v1/session").await.ok();
    world.stack.traffic.reset();
    let request = by.request(method, path);
    let request = if body.is_null() { request } else { request.json(body.clone()) };
    let answer = request.send().await;
    let calls = world.stack.traffic.counts();
    let look = answer.look();
    (look.split_once('\n').unwrap().1.to_owned(), calls)
}

#[tokio::test]
async fn out_of_scope_and_unknown_are_one_answer_by_the_same_calls() {
    let world = World::start().await;
    let (head, elsewhere, desk) =
        (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await, world.helpdesk().await);
    let (staff, card) = (world.signed_in(&STAFF).await, world.agency("agency-a02").await);
    let wang = world.signed_in(&WANG).await;
    let unknown = "A".repeat(43);
    let reset = elsewhere.reset(&LIU, None).await.status(202).text_of("reset_id");
    world.mail_is(&elsewhere, &reset, "delivered").await;
    let file = format!("national_id,email\n{},{}\n", LIU.national_id, LIU.email);
    let bulk = elsewhere.upload("", file).await.status(201).text_of("bulk_id");
    let given = elsewhere.get("/v1/hr/authorizations").await.ok();
    let given = given.body["authorizations"][0]["authorization_id"].as_str().unwrap().to_owned();
    let (liu, head_there) = (world.person_id(&LIU).await, world.person_id(&HEAD_ELSEWHERE).await);
    let card_of_wang = wang.cards().await[0]["card_id"].as_str().unwrap().to_owned();
    let sessions = wang.get("/v1/account/sessions").await.ok();
    let session_of_wang = sessions.body["sessions"][0]["session_id"].as_str().unwrap().to_owned();
    world.stack.stop_stream().await;

    let mut probes = Vec::new();
    for person in [LIU.national_id, HEAD_ELSEWHERE.national_id, HELPDESK.national_id, DEPARTED_ELSEWHERE] {
        let employees = |path: &str| format!("/v1/hr/employees/{path}");
        let named = |id: &str| json!({"national_id": id});
        probes.push(of_person("a search", &employees("search"), person, named));
        probes.push(of_person(
            "a reset",
            &employees("password-reset"),
            person,
            |id| json!({"national_id": id, "email": "somebody@example.gov.tw"}),
        ));
        probes.push(of_person("the cards", &employees("cards"), person, named));
        probes.push(of_person(
            "an unbinding",
            &employees("cards/unbind"),
            person,
            |id| json!({"national_id": id, "card_id": "A".repeat(43), "reason": "lost"}),
        ));
    }
    for (method, path) in [("GET", "/v1/hr/password-resets/{}"), ("POST", "/v1/hr/password-resets/{}/resend")]
    {
        probes.push(of_path(method, path, &reset, &unknown));
    }
    probes.push(of_path("GET", "/v1/hr/password-resets?agency={}", "A03", "A99"));
    for (method, path) in [
        ("GET", "/v1/hr/bulk-resets/{}"),
        ("GET", "/v1/hr/bulk-resets/{}/rows"),
        ("GET", "/v1/hr/bulk-resets/{}/result"),
        ("POST", "/v1/hr/bulk-resets/{}/confirm"),
        ("DELETE", "/v1/hr/bulk-resets/{}"),
    ] {
        probes.push(of_path(method, path, &bulk, &unknown));
    }
    probes.push(of_path("GET", "/v1/hr/audit?person={}", liu.as_str(), &unknown));
    probes.push(of_path("GET", "/v1/hr/audit?actor={}", head_there.as_str(), &unknown));
    probes.push(of_path("GET", "/v1/hr/audit?agency={}", "A03", "A99"));
    for (method, path) in [
        ("GET", "/v1/hr/authorizations/{}"),
        ("DELETE", "/v1/hr/authorizations/{}"),
        ("POST", "/v1/hr/authorizations/{}/accept"),
        ("POST", "/v1/hr/authorizations/{}/refuse"),
        ("POST", "/v1/hr/authorizations/{}/withdraw"),
    ] {
        probes.push(of_path(method, path, &given, &unknown));
    }
    probes.push(of_path("GET", "/v1/hr/authorizations?agency={}", "A03", "A99"));
    probes.push(of_path("DELETE", "/v1/account/cards/{}", &card_of_wang, &unknown));
    probes.push(of_path("DELETE", "/v1/account/sessions/{}", &session_of_wang, &"0".repeat(64)));

    let mut told_apart = Vec::new();
    for (who, by) in
        [("the head", &head), ("authorized staff", &staff), ("the organization certificate", &card)]
    {
        for probe in &probes {
            let foreign = seen(&world, by, probe.method, &probe.foreign).await;
            let unknown = seen(&world, by, probe.method, &probe.unknown).await;
            if foreign != unknown {
                told_apart.push(format!("{} by {who}: {foreign:?} {unknown:?}", probe.what));
            }
        }
    }
    assert_eq!(told_apart, [""; 0], "{}", told_apart.join("\n"));
    // There was something to be hidden, and nothing has become of it.
    elsewhere.reset_state(&reset).await.ok();
    elsewhere.bulk(&bulk, "").await.ok();
    elsewhere.search(LIU.national_id).await.ok();
    wang.get("/v1/session").await.ok();
    assert_eq!(wang.cards().await.len(), 1);
    assert_eq!(desk.get(&format!("/v1/hr/authorizations/{given}")).await.ok().body["state"], "active");
    head.search(LIU.national_id).await.problem(Code::EmployeeNotFound);
}

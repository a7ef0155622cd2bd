//! The audit trail, read by those who may.

use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::Browser;
use tests::people::{HEAD, HEAD_ELSEWHERE, WANG, ZHOU};
use tests::table;
use tests::world::World;

async fn read(reader: &Browser, query: &str) -> Vec<Value> {
    let answer = reader.get(&format!("/v1/hr/audit?{query}")).await.ok();
    answer.body["entries"].as_array().unwrap().clone()
}

fn acts(entries: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries.iter().map(|entry| format!("{} {}", text(&entry["action"]), text(&entry["outcome"]))).collect()
}

#[tokio::test]
async fn a_head_reads_their_own_agency_the_helpdesk_all_and_nobody_more() {
    let world = World::start().await;
    let (head, desk) = (world.head().await, world.helpdesk().await);
    let elsewhere = world.signed_in(&HEAD_ELSEWHERE).await;
    head.reset(&ZHOU, None).await.status(202);
    let zhou = world.person_id(&ZHOU).await;

    let of_zhou = read(&head, &format!("person={zhou}")).await;
    assert_eq!(acts(&of_zhou), ["audit_read success", "password_reset success"]);
    let reset = &of_zhou[1];
    assert_eq!((&reset["subject"]["name"], &reset["actor"]["name"]), (&json!(ZHOU.name), &json!(HEAD.name)));
    assert_eq!(reset["subject"]["id"], json!(zhou.as_str()));
    assert!(!reset.to_string().contains(ZHOU.national_id));

    // Out of scope and unknown look the same, and so does an agency that is not theirs and one that is not.
    let unknown = format!("person={}", "A".repeat(43));
    assert_eq!(read(&elsewhere, &format!("person={zhou}")).await, read(&elsewhere, &unknown).await);
    assert_eq!(read(&elsewhere, "agency=A02").await, read(&elsewhere, "agency=ZZZ").await);
    assert!(read(&elsewhere, &format!("actor={}", world.person_id(&HEAD).await)).await.is_empty());

    let by_head = read(&head, &format!("actor={}&action=password_reset", world.person_id(&HEAD).await)).await;
    assert_eq!(acts(&by_head), ["password_reset success"]);
    let of_agency = read(&head, "").await;
    assert!(acts(&of_agency).contains(&"certificate_sign_in success".to_owned()));
    assert!(of_agency.iter().all(|entry| entry["agency"] == of_agency[0]["agency"]));
    // The one who asked from elsewhere is in it.
    let probes = |entries: &[Value]| entries.iter().filter(|entry| entry["action"] == "audit_read").count();
    let all = read(&desk, &format!("person={zhou}")).await;
    assert_eq!(probes(&all), 3, "by the head, from elsewhere, by the helpdesk");

    let wang = world.signed_in(&WANG).await;
    wang.get("/v1/hr/audit").await.problem(Code::NotAuthorized);
    world.browser().get("/v1/hr/audit").await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn pages_follow_each_other_for_who_asked_and_what_was_asked() {
    let world = World::start().await;
    let (head, desk) = (world.head().await, world.helpdesk().await);
    let mut wang = world.signed_in(&WANG).await;
    for _ in 0..6 {
        wang.sign_in_by_password(WANG.national_id, WANG.password).await.signed_in();
    }
    let query = format!("person={}&action=password_sign_in&limit=4", world.person_id(&WANG).await);
    let first = head.get(&format!("/v1/hr/audit?{query}")).await.ok();
    assert_eq!(first.body["entries"].as_array().unwrap().len(), 4);
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = head.get(&format!("/v1/hr/audit?{query}&cursor={cursor}")).await.ok();
    assert_eq!(second.body["entries"].as_array().unwrap().len(), 2);
    assert_eq!(second.body.get("next_cursor"), None);
    let ids = [&first, &second].map(|page| {
        page.body["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["request_id"].to_string())
            .collect::<Vec<_>>()
    });
    let mut all = ids.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6, "each once");
    let reads = table::items(&world.stack, "AUDIT_TABLE").into_iter();
    let reads = reads.filter(|entry| table::text(entry, "action") == "audit_read").count();
    assert_eq!(reads, 1, "a query is audited once, not each page");

    let others = query.replace("limit=4", "limit=4&from=2020-01-01T00:00:00Z");
    head.get(&format!("/v1/hr/audit?{others}&cursor={cursor}"))
        .await
        .problem_of(Code::RequestInvalid, "cursor");
    desk.get(&format!("/v1/hr/audit?{query}&cursor={cursor}"))
        .await
        .problem_of(Code::RequestInvalid, "cursor");
    let rows = [
        ("person=x", "person"),
        ("actor=A123456789", "actor"),
        ("agency=%20", "agency"),
        ("from=yesterday", "from"),
        ("to=2026", "to"),
        ("to=", "to"),
        ("action=nothing", "action"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
    ];
    for (query, field) in rows {
        head.get(&format!("/v1/hr/audit?{query}")).await.problem_of(Code::RequestInvalid, field);
    }
}

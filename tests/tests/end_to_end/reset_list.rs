//! Lists of resets: an agency's, or one's own, newest first, with where their mails are.

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{LIU, STAFF, WANG, WU, XU, ZHOU};
use tests::world::World;

fn ids(answer: &Answer) -> Vec<String> {
    let resets = answer.body["resets"].as_array().unwrap().iter();
    resets.map(|reset| reset["reset_id"].as_str().unwrap().to_owned()).collect()
}

/// Resets somebody a second after whatever was before.
async fn reset(world: &World, by: &Browser, person: &tests::people::Civilian) -> String {
    world.pass(SignedDuration::from_secs(1));
    by.reset(person, Some("forgot")).await.status(202).text_of("reset_id")
}

#[tokio::test]
async fn an_agencys_resets_newest_first() {
    let world = World::start().await;
    let (head, agency, desk) = (world.head().await, world.agency("agency-a02").await, world.helpdesk().await);
    let first = reset(&world, &head, &WANG).await;
    let second = reset(&world, &agency, &ZHOU).await;
    let elsewhere = reset(&world, &desk, &LIU).await;
    let third = reset(&world, &head, &WU).await;
    world.mail_is(&head, &first, "delivered").await;

    let all = head.resets("").await.ok();
    assert_eq!(ids(&all), [third.clone(), second.clone(), first.clone()]);
    let told = &all.body["resets"][2];
    assert_eq!((&told["name"], &told["mail"]), (&json!(WANG.name), &json!("delivered")));
    assert_eq!((&told["mine"], &told["agency"]), (&json!(true), &json!("A02")));
    assert_eq!(told["person_id"], json!(world.person_id(&WANG).await));
    assert_eq!(told["resendable"], json!(false));
    assert_eq!(all.body["resets"][1]["mine"], json!(false));
    assert_eq!(all.body["next_cursor"], Value::Null);
    assert!(!all.text.contains("example.gov.tw"), "no address is in a list: {all}");

    assert_eq!(ids(&head.resets("mine=true").await.ok()), [third.clone(), first.clone()]);
    assert_eq!(ids(&agency.resets("").await.ok()).len(), 3);
    assert_eq!(ids(&agency.resets("mine=true").await.ok()), [second]);
    assert_eq!(ids(&head.resets("state=bounced").await.ok()), [""; 0]);
    assert!(ids(&head.resets("agency=A02&state=delivered").await.ok()).contains(&first));

    // The helpdesk names an agency, or asks for its own.
    desk.resets("").await.problem_of(Code::RequestInvalid, "agency");
    assert_eq!(ids(&desk.resets("mine=true").await.ok()), [elsewhere]);
    assert_eq!(ids(&desk.resets("mine=true&agency=A02").await.ok()), [""; 0]);
    assert_eq!(ids(&desk.resets("agency=A02").await.ok()).len(), 3);
    assert_eq!(ids(&desk.resets("agency=no-such").await.ok()), [""; 0]);
}

#[tokio::test]
async fn a_list_is_asked_for_in_pages_by_cursors_that_are_good_for_it_alone() {
    let world = World::start().await;
    let (head, agency) = (world.head().await, world.agency("agency-a02").await);
    let mut made = Vec::new();
    for person in [&WANG, &ZHOU, &WU, &STAFF, &WANG] {
        made.insert(0, reset(&world, &head, person).await);
    }
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    let mut cursors = Vec::new();
    loop {
        let page = head.resets(&query).await.ok();
        seen.extend(ids(&page));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        cursors.push(cursor.to_owned());
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(seen, made);
    assert!(cursors.len() >= 2 && !cursors[0].contains("reset"));
    // Another caller, another query, a damaged one.
    let cursor = &cursors[0];
    let damaged = format!("{}{}", if cursor.starts_with('A') { 'B' } else { 'A' }, &cursor[1..]);
    agency.resets(&format!("cursor={cursor}")).await.problem_of(Code::RequestInvalid, "cursor");
    head.resets(&format!("mine=true&cursor={cursor}")).await.problem_of(Code::RequestInvalid, "cursor");
    head.resets(&format!("state=sent&cursor={cursor}")).await.problem_of(Code::RequestInvalid, "cursor");
    head.resets(&format!("cursor={damaged}")).await.problem_of(Code::RequestInvalid, "cursor");
    head.resets("cursor=x").await.problem_of(Code::RequestInvalid, "cursor");

    // By time: from an instant on, and before one.
    let at = |answer: &Answer, place: usize| {
        answer.body["resets"][place]["created_at"].as_str().unwrap().to_owned()
    };
    let all = head.resets("").await.ok();
    let (newest, oldest) = (at(&all, 0), at(&all, 4));
    assert_eq!(ids(&head.resets(&format!("from={newest}")).await.ok()), made[..1]);
    assert_eq!(ids(&head.resets(&format!("to={oldest}")).await.ok()), [""; 0]);
    assert_eq!(ids(&head.resets(&format!("from={oldest}&to={newest}")).await.ok()), made[1..]);
    let wrong = [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("state=gone", "state")];
    let wrong = wrong.into_iter().chain([("mine=yes", "mine"), ("from=yesterday", "from"), ("to=1", "to")]);
    for (query, field) in wrong {
        head.resets(query).await.problem_of(Code::RequestInvalid, field);
    }
}

#[tokio::test]
async fn who_may_reset_in_an_agency_sees_its_resets() {
    let world = World::start().await;
    let (staff, desk) = (world.signed_in(&STAFF).await, world.helpdesk().await);
    let in_a04 = reset(&world, &desk, &XU).await;
    assert_eq!(ids(&staff.resets("agency=A04").await.ok()), [in_a04]);
    staff.resets("agency=A03").await.problem(Code::NotAuthorized);
    staff.resets("agency=no-such").await.problem(Code::NotAuthorized);
    world.signed_in(&WANG).await.resets("").await.problem(Code::NotAuthorized);
}

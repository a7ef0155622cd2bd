//! Idempotency keys of resets: who heard no answer asks again, and nothing is done twice.

use jiff::SignedDuration;
use serde_json::json;
use shared::problem::Code;
use tests::people::{HEAD, LIU, WANG, ZHOU};
use tests::table;
use tests::world::World;

const KEY: &str = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"";

fn letters(world: &World) -> usize {
    table::items_of(&world.stack, "MAIL_TABLE", "reset#").len()
}

#[tokio::test]
async fn the_same_request_is_answered_with_the_same_reset_as_it_is_now() {
    let world = World::start().await;
    let head = world.head().await;
    let first = head.reset_keyed(&ZHOU, KEY).await.status(202);
    assert_eq!(
        (&first.body["mail"], &first.body["email"]),
        (&json!("queued"), &json!("z***@example.gov.tw"))
    );
    let id = first.text_of("reset_id");
    world.mail_is(&head, &id, "delivered").await;
    let again = head.reset_keyed(&ZHOU, KEY).await.status(202);
    assert_eq!(again.text_of("reset_id"), id);
    assert_eq!(
        (&again.body["mail"], &again.body["email"]),
        (&json!("delivered"), &json!("z***@example.gov.tw"))
    );
    assert_eq!(again.body["created_at"], first.body["created_at"]);
    // Without its quotation marks it is the same key; another key, or none, is another request.
    assert_eq!(head.reset_keyed(&ZHOU, KEY.trim_matches('"')).await.status(202).text_of("reset_id"), id);
    assert_eq!(letters(&world), 1);
    assert_ne!(head.reset_keyed(&ZHOU, "another").await.status(202).text_of("reset_id"), id);
    assert_ne!(head.reset(&ZHOU, None).await.status(202).text_of("reset_id"), id);
    assert_eq!(letters(&world), 3);
}

#[tokio::test]
async fn a_key_belongs_to_one_actor_and_one_request() {
    let world = World::start().await;
    let (head, agency) = (world.head().await, world.agency("agency-a02").await);
    let id = head.reset_keyed(&ZHOU, KEY).await.status(202).text_of("reset_id");
    let other = head.reset_keyed(&WANG, KEY).await;
    other.problem_of(Code::IdempotencyKeyReused, "idempotency-key");
    let body = json!({"national_id": ZHOU.national_id, "email": "other@example.gov.tw"});
    let elsewhere = head.request("POST", "/v1/hr/employees/password-reset").json(body);
    elsewhere.header("idempotency-key", KEY).send().await.problem(Code::IdempotencyKeyReused);
    assert_eq!(letters(&world), 1);
    assert_ne!(agency.reset_keyed(&ZHOU, KEY).await.status(202).text_of("reset_id"), id);
    // By another name of the same person it is the same request.
    let person_id = world.person_id(&ZHOU).await;
    let body = json!({"person_id": person_id, "email": ZHOU.email});
    let named = head.request("POST", "/v1/hr/employees/password-reset").json(body);
    let named = named.header("idempotency-key", KEY).send().await.status(202);
    assert_eq!(named.text_of("reset_id"), id);
}

#[tokio::test]
async fn of_requests_at_once_with_one_key_one_is_carried_out() {
    let world = World::start().await;
    let head = world.head().await;
    let ask = || head.reset_keyed(&ZHOU, KEY);
    let (one, two, three, four) = tokio::join!(ask(), ask(), ask(), ask());
    let mut ids = Vec::new();
    for answer in [one, two, three, four] {
        match answer.status {
            202 => ids.push(answer.text_of("reset_id")),
            _ => drop(answer.problem(Code::Conflict)),
        }
    }
    ids.dedup();
    assert_eq!((ids.len(), letters(&world)), (1, 1));
}

#[tokio::test]
async fn what_was_refused_is_not_remembered_and_what_was_done_is_for_a_day() {
    let world = World::start().await;
    let mut head = world.head().await;
    head.reset_keyed(&LIU, KEY).await.problem(Code::EmployeeNotFound);
    let id = head.reset_keyed(&ZHOU, KEY).await.status(202).text_of("reset_id");
    world.pass(SignedDuration::from_hours(24) - SignedDuration::from_mins(5));
    head.sign_in_by_password(HEAD.account, HEAD.password).await.signed_in();
    assert_eq!(head.reset_keyed(&ZHOU, KEY).await.status(202).text_of("reset_id"), id);
    world.pass(SignedDuration::from_mins(6));
    assert_ne!(head.reset_keyed(&ZHOU, KEY).await.status(202).text_of("reset_id"), id);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let world = World::start().await;
    let head = world.head().await;
    let long = "k".repeat(256);
    for key in ["", "\"\"", "\"a", "a b", "\"a\", \"b\"", "\"a\";b", long.as_str()] {
        let answer = head.reset_keyed(&ZHOU, key).await;
        answer.problem_of(Code::RequestInvalid, "idempotency-key");
    }
    assert_eq!(letters(&world), 0);
}

//! Outages: break a dependency, see the right error, mend it, see it work.

use local::traffic::{Fault, Service};
use serde_json::json;
use shared::problem::Code;
use tests::browser::ProofKey;
use tests::people::{STAFF, WANG};
use tests::world::World;

#[tokio::test]
async fn without_the_database_everything_is_unavailable_and_nothing_is_lost() {
    let world = World::start().await;
    let (head, mut wang) = (world.head().await, world.signed_in(&WANG).await);
    let staff = world.browser_with(&world.card_of(&STAFF));
    let (code, verifier) = staff.code().await;
    let challenge = ProofKey::random().challenge;
    let exchange = json!({"code": code, "verifier": verifier});

    world.stack.dynamodb.interrupt().await;
    let answers = tokio::join!(
        head.get("/v1/session"),
        head.search(WANG.national_id),
        head.reset(&WANG, None),
        staff.show_card(&challenge),
        staff.post("/v1/login/certificate", exchange.clone()),
        wang.sign_in_by_password(WANG.account, WANG.password),
    );
    let (session, search, reset, card, exchanged, password) = answers;
    for answer in [session, search, reset, card, exchanged, password] {
        let answer = answer.problem(Code::Unavailable);
        assert!(!answer.body.to_string().contains("dynamodb"), "{answer}");
    }
    let key = head.get("/.well-known/jwks.json").await.ok();
    assert_eq!(key.body["keys"].as_array().unwrap().len(), 1);
    head.get("/help/card").await.ok();

    world.stack.dynamodb.restore().await.unwrap();
    head.get("/v1/session").await.ok();
    head.search(WANG.national_id).await.ok();
    let _ = staff.post("/v1/login/certificate", exchange).await.ticket("identity_required");
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
}

#[tokio::test]
async fn a_database_that_throttles_for_a_moment_is_asked_again() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    for operation in ["BatchGetItem", "TransactWriteItems", "GetItem"] {
        world.stack.traffic.inject(Fault {
            operation: Some(operation.to_owned()),
            status: 400,
            code: "ThrottlingException".to_owned(),
            times: Some(1),
            ..Fault::broken(Service::DynamoDb)
        });
        wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
        world.stack.traffic.mend();
    }
}

#[tokio::test]
async fn without_keys_only_tokens_and_resets_are_unavailable() {
    let world = World::start().await;
    let (head, mut wang) = (world.head().await, world.signed_in(&WANG).await);
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();

    world.stack.traffic.inject(Fault::broken(Service::Kms));
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    wang.sign_in_by_card().await.signed_in();
    program.get("/v1/session").await.ok();
    head.search(WANG.national_id).await.ok();
    program.post("/v1/session/token", json!({})).await.problem(Code::Unavailable);
    let refused = wang.sign_in_by_password_for_token(WANG.account, WANG.password).await;
    assert_eq!(refused.clone().problem(Code::Unavailable).session(), None, "{refused}");
    head.reset(&WANG, None).await.problem(Code::Unavailable);

    world.stack.traffic.mend();
    program.post("/v1/session/token", json!({})).await.ok();
    head.reset(&WANG, None).await.status(202);
}

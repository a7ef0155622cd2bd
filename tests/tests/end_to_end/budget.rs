//! The design's budgets: what one warm call asks of AWS, counted where the calls arrive.

use jiff::SignedDuration;
use local::pki::card::CardRequest;
use local::traffic::Service;
use tests::browser::ProofKey;
use tests::client::{HR_PORTAL, OnPage, returned, with_token};
use tests::people::{HEAD_ELSEWHERE, NOBODY, STAFF, WANG, ZHOU};
use tests::table;
use tests::world::{World, eventually};

const WRONG: &str = "Not-The-Password#1";

/// Calls of AWS, such as `BatchGetItem TransactWriteItems | Sign`: DynamoDB's, then those of KMS.
fn asked(world: &World) -> String {
    let counts = world.stack.traffic.counts();
    let of = |service: Service| {
        let calls = counts.iter().filter(|((known, _), _)| *known == service);
        let names = calls.flat_map(|((_, name), count)| std::iter::repeat_n(name.as_str(), *count as usize));
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(Service::Ses), "", "only the dispatcher sends");
    format!("{} | {}", of(Service::DynamoDb), of(Service::Kms)).trim().to_owned()
}

/// A stand-in whose mails wait: what the dispatcher asks is not what a call asks.
async fn quiet() -> World {
    let world = World::start().await;
    world.stack.stop_stream().await;
    world
}

/// Holds what a call asks of AWS against its budget.
macro_rules! assert_asks {
    ($world:expr, $what:literal, $call:expr, $expected:literal) => {{
        $world.stack.traffic.reset();
        let answer = $call;
        assert_eq!(asked(&$world), $expected, "{}: {answer}", $what);
        answer
    }};
}

#[tokio::test]
async fn a_password_sign_in() {
    let world = quiet().await;
    let mut wang = world.signed_in(&WANG).await;
    let (id, account, password) = (WANG.national_id, WANG.account, WANG.password);
    let answer = assert_asks!(
        world,
        "by national ID",
        wang.sign_in_by_password(id, password).await,
        "BatchGetItem Query TransactWriteItems |"
    );
    answer.signed_in();
    assert_asks!(
        world,
        "by custom account",
        wang.sign_in_by_password(account, password).await.signed_in(),
        "BatchGetItem GetItem Query TransactWriteItems |"
    );
    assert_asks!(
        world,
        "for a token",
        wang.sign_in_by_password_for_token(id, password).await.signed_in(),
        "BatchGetItem Query TransactWriteItems | Sign"
    );
}

#[tokio::test]
async fn a_refused_sign_in_costs_the_same_whoever_it_is() {
    let world = quiet().await;
    let mut wang = world.signed_in(&WANG).await;
    assert_asks!(
        world,
        "known",
        wang.sign_in_by_password(WANG.national_id, WRONG).await,
        "BatchGetItem TransactWriteItems |"
    );
    assert_asks!(
        world,
        "unknown",
        wang.sign_in_by_password(NOBODY, WRONG).await,
        "BatchGetItem TransactWriteItems |"
    );
    assert_asks!(
        world,
        "not activated",
        wang.sign_in_by_password(ZHOU.national_id, WRONG).await,
        "BatchGetItem TransactWriteItems |"
    );
    assert_asks!(
        world,
        "known account",
        wang.sign_in_by_password(WANG.account, WRONG).await,
        "BatchGetItem GetItem TransactWriteItems |"
    );
    assert_asks!(
        world,
        "unknown account",
        wang.sign_in_by_password("nobody.at.all", WRONG).await,
        "BatchGetItem GetItem TransactWriteItems |"
    );
    for identifier in [WANG.national_id, NOBODY] {
        for _ in 0..4 {
            wang.sign_in_by_password(identifier, WRONG).await;
        }
    }
    assert_asks!(
        world,
        "locked",
        wang.sign_in_by_password(WANG.national_id, WRONG).await,
        "BatchGetItem PutItem |"
    );
    assert_asks!(
        world,
        "locked, unknown",
        wang.sign_in_by_password(NOBODY, WRONG).await,
        "BatchGetItem PutItem |"
    );
}

#[tokio::test]
async fn a_card_sign_in() {
    let world = quiet().await;
    let mut wang = world.signed_in(&WANG).await;
    let challenge = ProofKey::random().challenge;
    assert_asks!(world, "card host", wang.show_card(&challenge).await.ok(), "BatchGetItem GetItem PutItem |");
    let (code, verifier) = wang.code().await;
    let body = serde_json::json!({"code": code, "verifier": verifier});
    assert_asks!(
        world,
        "exchange",
        wang.sign_in("/v1/login/certificate", body).await.signed_in(),
        "DeleteItem Query TransactWriteItems |"
    );
    let (code, verifier) = wang.code().await;
    let body = serde_json::json!({"code": code, "verifier": verifier, "session": "token"});
    assert_asks!(
        world,
        "exchange for a token",
        wang.sign_in("/v1/login/certificate", body).await.signed_in(),
        "DeleteItem Query TransactWriteItems | Sign"
    );
}

#[tokio::test]
async fn a_card_seen_for_the_first_time_or_renewed() {
    let world = quiet().await;
    let serial_number = Some("1234567890123456".to_owned());
    let request = CardRequest { serial_number, ..CardRequest::citizen(WANG.name, WANG.id_tail()) };
    world.signed_in(&WANG).await;
    let mut wang = world.browser_with(&world.issue(&request));
    let challenge = ProofKey::random().challenge;
    assert_asks!(world, "card host", wang.show_card(&challenge).await.ok(), "BatchGetItem GetItem PutItem |");
    let (code, verifier) = wang.code().await;
    let body = serde_json::json!({"code": code, "verifier": verifier});
    let identity = assert_asks!(
        world,
        "exchange",
        wang.sign_in("/v1/login/certificate", body).await,
        "DeleteItem TransactWriteItems |"
    );
    let ticket = identity.ticket("identity_required");
    assert_asks!(
        world,
        "binding",
        wang.identify(&ticket, WANG.national_id).await.signed_in(),
        "BatchGetItem GetItem Query TransactWriteItems |"
    );
    let mut renewed = world.browser_with(&world.issue(&request));
    for what in ["a renewal", "the next time"] {
        let (code, verifier) = renewed.code().await;
        let body = serde_json::json!({"code": code, "verifier": verifier});
        world.stack.traffic.reset();
        renewed.sign_in("/v1/login/certificate", body).await.signed_in();
        assert_eq!(asked(&world), "DeleteItem Query TransactWriteItems |", "{what}");
    }
    let mut agency = world.browser_with(&world.sample_card("agency-a02"));
    let (code, verifier) = agency.code().await;
    let body = serde_json::json!({"code": code, "verifier": verifier});
    assert_asks!(
        world,
        "an agency",
        agency.sign_in("/v1/login/certificate", body).await.signed_in(),
        "DeleteItem TransactWriteItems |"
    );
}

#[tokio::test]
async fn cards() {
    let world = quiet().await;
    let (with_card, helpdesk) = (world.signed_in(&WANG).await, world.helpdesk().await);
    let mut wang = world.browser();
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    // What the dispatcher asks is not the unbinding's.
    world.stack.stop_stream().await;
    let cards = assert_asks!(
        world,
        "one's own",
        with_card.get("/v1/account/cards").await.ok(),
        "BatchGetItem GetItem GetItem |"
    );
    let card = cards.body["cards"][0]["card_id"].as_str().unwrap().to_owned();
    assert_asks!(
        world,
        "an employee's",
        helpdesk.cards_of(&WANG).await.ok(),
        "BatchGetItem BatchGetItem GetItem UpdateItem |"
    );
    assert_asks!(
        world,
        "unbinding one's own",
        wang.unbind(&card).await.status(204),
        "GetItem GetItem GetItem TransactWriteItems |"
    );
    assert_asks!(world, "none left", wang.get("/v1/account/cards").await.ok(), "GetItem GetItem |");
    assert_asks!(
        world,
        "own sessions",
        wang.get("/v1/account/sessions").await.ok(),
        "GetItem GetItem Query |"
    );
    assert_asks!(
        world,
        "own entries",
        wang.get("/v1/account/activity").await.ok(),
        "GetItem GetItem Query |"
    );
    let mut again = world.browser_with(&world.card_of(&WANG));
    let ticket = again.sign_in_by_card().await.ticket("identity_required");
    again.identify(&ticket, WANG.national_id).await.signed_in();
    let card = again.cards().await[0]["card_id"].as_str().unwrap().to_owned();
    assert_asks!(
        world,
        "unbinding an employee's",
        helpdesk.unbind_of(&WANG, &card, "the card is lost").await.status(204),
        "BatchGetItem GetItem GetItem TransactWriteItems |"
    );
}

#[tokio::test]
async fn a_card_after_a_password_change_costs_one_write_more_once() {
    let world = quiet().await;
    let mut wang = world.signed_in(&WANG).await;
    let new =
        serde_json::json!({"password": "Dadaocheng-Pier#19", "password_confirmation": "Dadaocheng-Pier#19"});
    wang.post("/v1/account/password", new).await.status(204);
    for expected in [
        "BatchGetItem DeleteItem GetItem PutItem Query TransactWriteItems TransactWriteItems |",
        "BatchGetItem DeleteItem GetItem PutItem Query TransactWriteItems |",
    ] {
        world.stack.traffic.reset();
        wang.sign_in_by_card().await.signed_in();
        assert_eq!(asked(&world), expected);
    }
}

#[tokio::test]
async fn signed_in_calls() {
    let world = quiet().await;
    let (wang, head) = (world.signed_in(&WANG).await, world.head().await);
    assert_asks!(world, "who am I", wang.get("/v1/session").await.ok(), "GetItem GetItem |");
    world.pass(SignedDuration::from_secs(61));
    assert_asks!(world, "a minute later", wang.get("/v1/session").await.ok(), "GetItem GetItem UpdateItem |");
    assert_asks!(world, "at once again", wang.get("/v1/session").await.ok(), "GetItem GetItem |");
    let change =
        serde_json::json!({"password": "Dadaocheng-Pier#19", "password_confirmation": "Dadaocheng-Pier#19"});
    assert_asks!(
        world,
        "password change",
        wang.post("/v1/account/password", change).await.status(204),
        "GetItem GetItem TransactWriteItems |"
    );
    world.stack.stop_stream().await;
    assert_asks!(
        world,
        "asking for another email address",
        wang.ask_email("new@example.org", serde_json::Value::Null).await.status(202),
        "GetItem GetItem TransactWriteItems |"
    );
    assert_asks!(
        world,
        "the change that waits",
        wang.get("/v1/account/email").await.ok(),
        "GetItem GetItem GetItem GetItem |"
    );
    assert_asks!(
        world,
        "a wrong code",
        wang.confirm_email("0000 0000").await.status(422),
        "GetItem GetItem GetItem TransactWriteItems |"
    );
    head.get("/v1/session").await.ok();
    assert_asks!(
        world,
        "search, not activated",
        head.search(ZHOU.national_id).await.ok(),
        "BatchGetItem GetItem GetItem UpdateItem |"
    );
    assert_asks!(
        world,
        "search, activated",
        head.search(WANG.national_id).await.ok(),
        "BatchGetItem GetItem GetItem GetItem UpdateItem |"
    );
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, "Dadaocheng-Pier#19").await.signed_in();
    assert_asks!(
        world,
        "a fresh token",
        program.post("/v1/session/token", serde_json::json!({})).await.ok(),
        "GetItem GetItem | Sign"
    );
    assert_asks!(
        world,
        "sign out",
        program.request("DELETE", "/v1/session").send().await.status(204),
        "DeleteItem GetItem GetItem PutItem |"
    );
    assert_asks!(world, "no session", world.browser().get("/v1/session").await, "|");
    assert_asks!(world, "keys", wang.get("/.well-known/jwks.json").await.ok(), "|");
    assert_asks!(world, "a page", wang.get("/").await.ok(), "|");
}

#[tokio::test]
async fn a_reset() {
    let world = quiet().await;
    let (head, agency) = (world.head().await, world.agency("agency-a02").await);
    // What the dispatcher asks is not the reset's.
    world.stack.stop_stream().await;
    let by_head = assert_asks!(
        world,
        "by a person",
        head.reset(&WANG, None).await.status(202),
        // Session and people, and beside them whether mail to the address came back, and the counters of rates.
        "BatchGetItem BatchGetItem GetItem TransactWriteItems | Encrypt"
    );
    assert_asks!(
        world,
        "by an agency",
        agency.reset(&WANG, None).await.status(202),
        "BatchGetItem BatchGetItem GetItem GetItem TransactWriteItems | Encrypt"
    );
    assert_asks!(
        world,
        "with a key",
        head.reset_keyed(&ZHOU, "1").await.status(202),
        "BatchGetItem BatchGetItem GetItem TransactWriteItems | Encrypt"
    );
    assert_asks!(
        world,
        "with the same key",
        head.reset_keyed(&ZHOU, "1").await.status(202),
        "BatchGetItem BatchGetItem GetItem GetItem |"
    );
    let id = by_head.text_of("reset_id");
    assert_asks!(world, "its state", head.reset_state(&id).await.ok(), "GetItem GetItem GetItem |");
}

#[tokio::test]
async fn an_authorization() {
    let world = quiet().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let at = format!("/v1/hr/authorizations/{}", "A".repeat(43));
    let body = serde_json::json!({"national_id": STAFF.national_id, "agency": "A03"});
    let ask = || head.request("PUT", &at).json(body.clone());
    // Session and people, and beside them what the id may have already; the count; whether somebody could consent; the
    // change; names for the answer.
    assert_asks!(
        world,
        "a request",
        ask().send().await.status(201),
        "BatchGetItem BatchGetItem GetItem GetItem Query TransactWriteItems UpdateItem |"
    );
    assert_asks!(
        world,
        "the same again",
        ask().send().await.status(200),
        "BatchGetItem BatchGetItem GetItem GetItem UpdateItem |"
    );
    assert_asks!(world, "one", head.get(&at).await.ok(), "BatchGetItem GetItem GetItem GetItem |");
    assert_asks!(
        world,
        "a list",
        there.get("/v1/hr/authorizations").await.ok(),
        "BatchGetItem GetItem GetItem Query |"
    );
    assert_asks!(
        world,
        "a yes",
        there.request("POST", &format!("{at}/accept")).send().await.ok(),
        "BatchGetItem GetItem GetItem GetItem GetItem TransactWriteItems UpdateItem |"
    );
    assert_asks!(
        world,
        "a revocation",
        there.request("DELETE", &at).send().await.status(204),
        "GetItem GetItem GetItem GetItem TransactWriteItems UpdateItem |"
    );
}

#[tokio::test]
async fn a_client() {
    let world = quiet().await;
    let head = world.head().await;
    let asked = HR_PORTAL.asks();
    let page = assert_asks!(world, "arriving", asked.arrive(&head).await.status(303), "|");
    let page = OnPage::of(&page);
    let answer =
        assert_asks!(world, "nobody signed in", page.answer(&head.signed_out(), None).await.ok(), "|");
    assert_eq!(answer.body["status"], "sign_in");
    let answer = assert_asks!(
        world,
        "a code",
        page.answer(&head, Some("allow")).await.ok(),
        "GetItem GetItem PutItem |"
    );
    let code = returned(&answer).code.unwrap();
    let exchange = HR_PORTAL.exchange(&world.stack.portal_url, &code, &asked.verifier, world.now());
    // The code, then session and person side by side; both signatures beside the transaction.
    let tokens = assert_asks!(
        world,
        "its exchange",
        exchange.send(&head).await.ok(),
        "GetItem GetItem GetItem TransactWriteItems | Sign Sign"
    );
    let portal = with_token(&head, &tokens.body);
    assert_asks!(world, "who it is", portal.get("/userinfo").await.ok(), "GetItem GetItem |");
    assert_asks!(world, "what there is", head.get("/.well-known/openid-configuration").await.ok(), "|");
    let lent = HR_PORTAL.asks().tokens(&head, &world.stack.portal_url, world.now()).await;
    let token = lent["access_token"].as_str().unwrap();
    let revocation = HR_PORTAL.revocation(&world.stack.portal_url, token, world.now());
    // What it opens is gone; whose it was is read for the audit trail.
    assert_asks!(
        world,
        "giving a token back",
        revocation.send(&head).await.ok(),
        "DeleteItem GetItem PutItem |"
    );
    assert_asks!(world, "again", revocation.send(&head).await.ok(), "DeleteItem |");
    // What was lent is found by its subject, and ended one by one.
    assert_asks!(
        world,
        "sign out",
        head.request("DELETE", "/v1/session").send().await.status(204),
        "DeleteItem DeleteItem GetItem GetItem PutItem Query |"
    );
}

#[tokio::test]
async fn an_activation() {
    let world = quiet().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let activation = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    assert_asks!(
        world,
        "activation",
        wang.activate(&activation, &WANG).await.ok(),
        "BatchGetItem TransactWriteItems TransactWriteItems |"
    );
}

#[tokio::test]
async fn a_mail() {
    let world = World::start().await;
    let head = world.head().await;
    world.mails_of_notices("activated").await;
    eventually("what became of it is noted", async || {
        let notices = table::items_of(&world.stack, "MAIL_TABLE", "notice#");
        notices.iter().all(|notice| table::text(notice, "state") == "delivered").then_some(())
    })
    .await;
    world.stack.stop_stream().await;
    world.stack.ses.hold_events(true);
    let id = head.reset(&WANG, None).await.status(202).text_of("reset_id");
    world.stack.traffic.reset();
    let keys = serde_json::json!({"pk": {"S": format!("reset#{id}")}});
    let change = serde_json::json!({"SequenceNumber": "1", "SizeBytes": 1, "Keys": keys});
    let record = serde_json::json!({
        "eventID": "1", "eventName": "INSERT", "awsRegion": "ap-east-2", "dynamodb": change,
    });
    let event = serde_json::json!({ "Records": [record] });
    world.stack.functions.invoke("email-dispatch", event).await.unwrap();
    let counts: Vec<(Service, String, u64)> = world
        .stack
        .traffic
        .counts()
        .into_iter()
        .map(|((service, name), count)| (service, name, count))
        .collect();
    // The slot, the lease and the note are updates; whose the initial password is is read beside its decryption.
    let expected = [
        (Service::DynamoDb, "GetItem", 1),
        (Service::DynamoDb, "UpdateItem", 3),
        (Service::Kms, "Decrypt", 1),
        (Service::Ses, "SendEmail", 1),
    ];
    assert_eq!(counts, expected.map(|(service, name, count)| (service, name.to_owned(), count)));
}

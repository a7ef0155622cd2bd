//! The change of email address: asked for with a recent proof, confirmed by the code that was mailed to the new address, told
//! to the old one.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, WANG, ZHANG};
use tests::table;
use tests::world::{World, eventually};

const NEW: &str = "new.mailbox@example.org";
const OTHER: &str = "other.mailbox@example.org";
const PASSWORD: &str = "Dadaocheng-Pier#19";
const WRONG: &str = "0000 0000";

async fn ask(browser: &Browser, email: &str) -> Answer {
    browser.ask_email(email, Value::Null).await
}

async fn address(browser: &Browser) -> Value {
    browser.get("/v1/account/email").await.ok().body
}

async fn by_password(world: &World) -> Browser {
    world.signed_in(&WANG).await;
    let mut wang = world.browser();
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    wang
}

/// The mails with codes, by where they are.
fn code_mails(world: &World) -> Vec<table::Item> {
    table::items_of(&world.stack, "MAIL_TABLE", "code#")
}

#[tokio::test]
async fn the_new_address_counts_once_its_code_is_typed_in_and_the_old_one_is_told() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    let asked = ask(&wang, NEW).await.status(202);
    assert_eq!((&asked.body["email"], &asked.body["mail"]), (&json!("n***@example.org"), &json!("queued")));
    let code = world.mailed_code(NEW, 1).await;
    let waiting = eventually("the mail with the code is delivered", async || {
        let body = address(&wang).await;
        (body["change"]["mail"] == "delivered").then_some(body)
    })
    .await;
    assert_eq!(waiting["email"], "w***@example.gov.tw", "nothing has changed yet");
    assert_eq!(
        (&waiting["change"]["email"], &waiting["change"]["tries_left"]),
        (&json!("n***@example.org"), &json!(5))
    );
    assert!(code_mails(&world).iter().all(|mail| !mail.contains_key("ciphertext")), "sent, and dropped");

    world.pass(SignedDuration::from_secs(1));
    wang.confirm_email(&code).await.status(204);
    assert_eq!(address(&wang).await, json!({"email": "n***@example.org"}));
    let told = world.mails_of_notices("email_changed").await;
    assert_eq!(told.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), [WANG.email]);
    assert!(told[0].text.contains("n***@example.org") && !told[0].text.contains(NEW));
    wang.confirm_email(&code).await.problem(Code::EmailCodeVoid);

    // From now on mails go to the new one, and no session has ended.
    let change = json!({"password": PASSWORD, "password_confirmation": PASSWORD});
    wang.post("/v1/account/password", change).await.status(204);
    let told = world.mails_of_notices("password_changed").await;
    assert_eq!(told.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), [NEW]);
    let activity = wang.get("/v1/account/activity").await.ok();
    let entries = activity.body["entries"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..3], ["password_change", "email_change", "email_change_request"]);
}

#[tokio::test]
async fn asking_needs_a_recent_proof() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    ask(&wang, NEW).await.problem_of(Code::RequestInvalid, "current_password");
    let wrong = async || wang.ask_email(NEW, json!("Not-The-Password#1")).await;
    wrong().await.problem_of(Code::InvalidCredentials, "current_password");
    wang.ask_email(NEW, json!(WANG.password)).await.status(202);
    // Guesses are counted with those of a password change.
    let guess = json!({"current_password": "Not-The-Password#1", "password": PASSWORD, "password_confirmation": PASSWORD});
    for _ in 0..4 {
        wang.post("/v1/account/password", guess.clone()).await.problem(Code::InvalidCredentials);
    }
    wrong().await.problem(Code::InvalidCredentials);
    wang.ask_email(NEW, json!(WANG.password)).await.problem(Code::AccountLocked);

    let mut by_card = world.browser_with(&world.card_of(&WANG));
    let ticket = by_card.sign_in_by_card().await.ticket("identity_required");
    by_card.identify(&ticket, WANG.national_id).await.signed_in();
    ask(&by_card, NEW).await.status(202);
    world.pass(SignedDuration::from_mins(5));
    ask(&by_card, NEW).await.problem_of(Code::RequestInvalid, "current_password");
}

#[tokio::test]
async fn an_address_that_is_none_or_the_same_is_refused_and_one_of_somebody_else_is_not_told_apart() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    world.signed_in(&ZHANG).await;
    for none in ["no address", "王小明@example.gov.tw", ""] {
        ask(&wang, none).await.problem_of(Code::EmailInvalid, "email");
    }
    for same in [WANG.email, "WANG@example.GOV.tw", " wang@example.gov.tw "] {
        let refused = ask(&wang, same).await.problem_of(Code::EmailInvalid, "email");
        assert_ne!(refused.text_of("detail"), Code::EmailInvalid.detail(shared::language::Language::ZhTw));
    }
    assert!(code_mails(&world).is_empty());
    let (others, nobodys) = (ask(&wang, ZHANG.email).await.status(202), ask(&wang, NEW).await.status(202));
    let shape = |answer: &Answer| answer.body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(shape(&others), shape(&nobodys));
}

#[tokio::test]
async fn a_code_can_be_guessed_at_five_times() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 1).await;
    wang.confirm_email("1234").await.problem_of(Code::RequestInvalid, "code");
    for left in (1..=4).rev() {
        wang.confirm_email(WRONG).await.problem_of(Code::EmailCodeWrong, "code");
        assert_eq!(address(&wang).await["change"]["tries_left"], left);
    }
    wang.confirm_email(WRONG).await.problem(Code::EmailCodeVoid);
    wang.confirm_email(&code).await.problem(Code::EmailCodeVoid);
    assert_eq!(address(&wang).await, json!({"email": "w***@example.gov.tw"}));
    ask(&wang, NEW).await.status(202);
    let second = world.mailed_code(NEW, 2).await;
    wang.confirm_email(&second).await.status(204);
}

#[tokio::test]
async fn of_many_guesses_at_once_no_more_are_answered() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 1).await;
    let guesses = (0..12).map(|_| wang.confirm_email(WRONG));
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for answer in futures_util::future::join_all(guesses).await {
        *answers.entry(answer.text_of("code")).or_default() += 1;
    }
    assert!(answers.get("email_code_wrong").copied().unwrap_or_default() <= 5, "{answers:?}");
    let known = ["email_code_wrong", "email_code_void", "conflict"];
    assert!(answers.keys().all(|code| known.contains(&code.as_str())), "{answers:?}");
    let change = table::items_of(&world.stack, "TICKETS_TABLE", "email-change#");
    let tries = table::number(&change[0], "tries");
    assert!(tries <= 5, "{tries}");
    // What was not counted was not answered either.
    let told = answers.get("email_code_wrong").copied().unwrap_or_default();
    assert!(told <= usize::try_from(tries).unwrap());
    if tries == 5 {
        wang.confirm_email(&code).await.problem(Code::EmailCodeVoid);
    }
}

#[tokio::test]
async fn another_request_takes_the_place_of_the_one_before() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    ask(&wang, NEW).await.status(202);
    let first = world.mailed_code(NEW, 1).await;
    ask(&wang, OTHER).await.status(202);
    let second = world.mailed_code(OTHER, 1).await;
    wang.confirm_email(&first).await.problem(Code::EmailCodeWrong);
    wang.confirm_email(&second).await.status(204);
    assert_eq!(address(&wang).await, json!({"email": "o***@example.org"}));

    // A code is the person's for whom it was made.
    let zhang = world.signed_in(&ZHANG).await;
    ask(&wang, NEW).await.status(202);
    let wangs = world.mailed_code(NEW, 2).await;
    zhang.confirm_email(&wangs).await.problem(Code::EmailCodeVoid);
    ask(&zhang, "zhang@example.org").await.status(202);
    zhang.confirm_email(&wangs).await.problem(Code::EmailCodeWrong);
    wang.confirm_email(&wangs).await.status(204);
}

#[tokio::test]
async fn of_two_confirmations_at_once_one_counts() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 1).await;
    let (one, two) = tokio::join!(wang.confirm_email(&code), wang.confirm_email(&code));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{one}\n{two}");
    assert_eq!(world.mails_of_notices("email_changed").await.len(), 1);
}

#[tokio::test]
async fn a_confirmation_and_a_reset_have_an_order() {
    let world = World::start().await;
    let head = world.head().await;
    let wang = world.signed_in(&WANG).await;
    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 1).await;
    let (confirmed, reset) = tokio::join!(wang.confirm_email(&code), head.reset(&WANG, None));
    reset.status(202);
    let mut again = world.browser_with(&world.card_of(&WANG));
    let ticket = again.sign_in_by_card().await.ticket("identity_required");
    again.identify(&ticket, WANG.national_id).await.signed_in();
    let expected = if confirmed.status == 204 { "n***@example.org" } else { "w***@example.gov.tw" };
    assert_eq!(address(&again).await, json!({"email": expected}));
    let codes = [Code::Conflict, Code::SessionRequired, Code::EmailCodeVoid].map(Code::name);
    assert!(confirmed.status == 204 || codes.contains(&confirmed.text_of("code").as_str()), "{confirmed}");
}

#[tokio::test]
async fn what_ends_other_sessions_ends_a_change_and_its_mail() {
    let world = World::start().await;
    let head = world.head().await;
    let wang = world.signed_in(&WANG).await;
    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 1).await;
    let change = json!({"password": PASSWORD, "password_confirmation": PASSWORD});
    wang.post("/v1/account/password", change).await.status(204);
    wang.confirm_email(&code).await.problem(Code::EmailCodeVoid);
    assert_eq!(address(&wang).await, json!({"email": "w***@example.gov.tw"}));

    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 2).await;
    head.reset(&WANG, None).await.status(202);
    wang.confirm_email(&code).await.problem(Code::SessionRequired);
    let mut by_card = world.browser_with(&world.card_of(&WANG));
    let ticket = by_card.sign_in_by_card().await.ticket("identity_required");
    by_card.identify(&ticket, WANG.national_id).await.signed_in();
    by_card.confirm_email(&code).await.problem(Code::EmailCodeVoid);

    ask(&by_card, NEW).await.status(202);
    let code = world.mailed_code(NEW, 3).await;
    world.depart(&WANG).await;
    by_card.confirm_email(&code).await.problem(Code::SessionRequired);
    ask(&by_card, NEW).await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn a_person_may_ask_five_times_in_an_hour() {
    let world = World::start().await;
    world.begin(SignedDuration::from_hours(1));
    let (mut wang, zhang) = (world.signed_in(&WANG).await, world.signed_in(&ZHANG).await);
    for _ in 0..5 {
        ask(&wang, NEW).await.status(202);
    }
    let refused = ask(&wang, NEW).await.problem(Code::TooManyRequests);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(code_mails(&world).len(), 5);
    ask(&zhang, "zhang@example.org").await.status(202);
    world.pass(SignedDuration::from_hours(1));
    world.stack.revocations.run().await.unwrap();
    wang.sign_in_by_card().await.signed_in();
    ask(&wang, NEW).await.status(202);
}

#[tokio::test]
async fn a_code_that_cannot_be_delivered_is_seen_and_the_address_remembered() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    ask(&wang, "bounce@simulator.amazonses.com").await.status(202);
    eventually("the mail came back", async || {
        (address(&wang).await["change"]["mail"] == "bounced").then_some(())
    })
    .await;
    assert_eq!(table::items_of(&world.stack, "MAIL_TABLE", "address#").len(), 1);
    assert_eq!(address(&wang).await["email"], "w***@example.gov.tw");
}

#[tokio::test]
async fn a_confirmed_address_is_not_blamed_for_what_came_back_from_the_one_before() {
    let world = World::start().await;
    world.stack.ses.hold_events(true);
    let wang = world.signed_in(&Civilian { email: "bounce@simulator.amazonses.com", ..WANG }).await;
    let notice = || table::items_of(&world.stack, "MAIL_TABLE", "notice#");
    let is = |state: &'static str| {
        eventually("the notice is there", async move || {
            let notices = notice();
            notices.iter().any(|item| table::text(item, "state") == state).then_some(())
        })
    };
    is("sent").await;
    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 1).await;
    world.pass(SignedDuration::from_secs(1));
    wang.confirm_email(&code).await.status(204);
    world.stack.ses.hold_events(false);
    is("bounced").await;
    assert_eq!(address(&wang).await, json!({"email": "n***@example.org"}));

    // One that mail does come back from is confirmed by its person, and the mark is gone.
    let mut person = table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#")
        .into_iter()
        .find(|item| item.contains_key("email_changed_at"))
        .unwrap();
    person.insert("email_undeliverable_since".to_owned(), json!({"N": "1"}));
    table::put(&world.stack, "ACCOUNTS_TABLE", &person);
    assert!(address(&wang).await["undeliverable_since"].is_string());
    ask(&wang, NEW).await.status(202);
    let code = world.mailed_code(NEW, 2).await;
    wang.confirm_email(&code).await.status(204);
    assert_eq!(address(&wang).await, json!({"email": "n***@example.org"}));
}

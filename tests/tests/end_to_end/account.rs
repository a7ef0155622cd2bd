//! The account: the password change, with the current password or in a session that a card has just opened; sessions and what
//! happened.

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, WANG, ZHANG};
use tests::world::World;

const NEW: &str = "Dadaocheng-Pier#19";
const OTHER: &str = "Maokong-Gondola#42";

async fn change(browser: &Browser, current: Value, new: &str) -> Answer {
    let body = json!({"current_password": current, "password": new, "password_confirmation": new});
    browser.post("/v1/account/password", body).await
}

async fn by_password(world: &World) -> Browser {
    world.signed_in(&WANG).await;
    let mut wang = world.browser();
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    wang
}

#[tokio::test]
async fn a_change_ends_the_other_sessions_and_keeps_its_own() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    let mut other = world.browser();
    other.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    change(&wang, json!(WANG.password), NEW).await.status(204);
    wang.get("/v1/session").await.ok();
    other.get("/v1/session").await.problem(Code::SessionRequired);
    other.sign_in_by_password(WANG.account, WANG.password).await.problem(Code::InvalidCredentials);
    other.sign_in_by_password(WANG.account, NEW).await.signed_in();
    change(&wang, json!(NEW), OTHER).await.status(204);
}

#[tokio::test]
async fn a_fresh_card_needs_no_current_password() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    change(&wang, Value::Null, NEW).await.status(204);
    world.pass(SignedDuration::from_mins(5));
    change(&wang, Value::Null, OTHER).await.problem_of(Code::RequestInvalid, "current_password");
    wang.sign_in_by_card().await.signed_in();
    change(&wang, json!(""), OTHER).await.status(204);
    // What is given is checked, card or not.
    change(&wang, json!(NEW), "Jiufen-Teahouse#63")
        .await
        .problem_of(Code::InvalidCredentials, "current_password");

    let mut by_password = world.browser();
    by_password.sign_in_by_password(WANG.account, OTHER).await.signed_in();
    change(&by_password, Value::Null, NEW).await.problem_of(Code::RequestInvalid, "current_password");
}

#[tokio::test]
async fn the_new_password_obeys_the_rules() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    let rules = async |password: &str| {
        let answer = change(&wang, json!(WANG.password), password).await.problem(Code::PasswordRejected);
        answer.body["rules"][0]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(rules("1111111").await, "too_short");
    assert_eq!(rules("Wang.Xiaoming-2026-x").await, "contains_account");
    assert_eq!(rules(WANG.password).await, "used_before");
    let body = json!({"current_password": WANG.password, "password": NEW, "password_confirmation": OTHER});
    wang.post("/v1/account/password", body).await.problem_of(Code::PasswordMismatch, "password_confirmation");
}

#[tokio::test]
async fn the_last_passwords_do_not_come_again() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    let chain = [WANG.password, NEW, OTHER, "Jiufen-Teahouse#63"];
    for pair in chain.windows(2) {
        change(&wang, json!(pair[0]), pair[1]).await.status(204);
    }
    for former in chain {
        let refused = change(&wang, json!(chain[3]), former).await.problem(Code::PasswordRejected);
        assert_eq!(refused.body["rules"][0]["code"], "used_before", "{former}");
    }
}

#[tokio::test]
async fn guessing_the_current_password_locks() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    for _ in 0..5 {
        change(&wang, json!("Not-The-Password#1"), NEW).await.problem(Code::InvalidCredentials);
    }
    let locked = change(&wang, json!(WANG.password), NEW).await.problem(Code::AccountLocked);
    assert!(locked.header("retry-after").is_some());
    // Only the change is locked: the count is the session's person's, not an identifier's.
    let mut elsewhere = world.browser();
    elsewhere.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
}

#[tokio::test]
async fn an_agency_has_no_password() {
    let world = World::start().await;
    let agency = world.agency("agency-a02").await;
    change(&agency, Value::Null, NEW).await.problem(Code::NotAuthorized);
    agency.post("/v1/account/end-other-sessions", json!({})).await.problem(Code::NotAuthorized);
}

async fn sessions(browser: &Browser) -> Vec<Value> {
    browser.get("/v1/account/sessions").await.ok().body["sessions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_person_sees_their_live_sessions_and_ends_them() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    world.signed_in(&ZHANG).await;
    let open = sessions(&wang).await;
    // The one of the card that was bound first, the browser's and the program's; nobody else's.
    let kinds = |open: &[Value]| {
        let kind = |session: &Value| {
            format!("{} {} {}", session["amr"][0], session["carrier"], session["current"]).replace('"', "")
        };
        let mut kinds: Vec<_> = open.iter().map(kind).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&open), ["pwd cookie true", "pwd token false", "sc cookie false"]);
    let id =
        open.iter().find(|session| session["carrier"] == "token").unwrap()["session_id"].as_str().unwrap();
    let end = async |id: &str| wang.request("DELETE", &format!("/v1/account/sessions/{id}")).send().await;
    end(id).await.status(204);
    program.get("/v1/session").await.problem(Code::SessionRequired);
    wang.get("/v1/session").await.ok();
    for gone in [id, "x", &"0".repeat(64)] {
        end(gone).await.status(204);
    }
    assert_eq!(kinds(&sessions(&wang).await), ["pwd cookie true", "sc cookie false"]);

    // What has ended by itself is not shown, whether it is swept or not.
    world.pass(SignedDuration::from_mins(14));
    sessions(&wang).await;
    world.pass(SignedDuration::from_mins(2));
    let left = sessions(&wang).await;
    assert_eq!(kinds(&left), ["pwd cookie true"]);
    end(left[0]["session_id"].as_str().unwrap()).await.status(204);
    wang.get("/v1/session").await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn every_other_session_ends_after_a_recent_proof() {
    let world = World::start().await;
    let with_card = world.signed_in(&WANG).await;
    let mut wang = world.browser();
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    let zhang = world.signed_in(&ZHANG).await;
    let end = async |browser: &Browser, current: Value| {
        let body = json!({"current_password": current});
        browser.post("/v1/account/end-other-sessions", body).await
    };
    // Whoever has no more than the session throws nobody out.
    end(&wang, Value::Null).await.problem_of(Code::RequestInvalid, "current_password");
    end(&wang, json!("Not-The-Password#1")).await.problem_of(Code::InvalidCredentials, "current_password");
    assert_eq!(sessions(&wang).await.len(), 3);
    end(&wang, json!(WANG.password)).await.status(204);
    for ended in [&with_card, &program] {
        ended.get("/v1/session").await.problem(Code::SessionRequired);
    }
    program.post("/v1/session/token", json!({})).await.problem(Code::SessionRequired);
    wang.get("/v1/session").await.ok();
    assert_eq!(sessions(&wang).await.len(), 1);
    zhang.get("/v1/session").await.ok();

    // A card that has just signed in is as good as the password; five minutes later it is not.
    let mut with_card = with_card;
    with_card.sign_in_by_card().await.signed_in();
    end(&with_card, Value::Null).await.status(204);
    wang.get("/v1/session").await.problem(Code::SessionRequired);
    world.pass(SignedDuration::from_mins(5));
    end(&with_card, Value::Null).await.problem_of(Code::RequestInvalid, "current_password");
    with_card.get("/v1/session").await.ok();
}

#[tokio::test]
async fn guessing_to_end_the_other_sessions_locks() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    let end = async |current: &str| {
        wang.post("/v1/account/end-other-sessions", json!({"current_password": current})).await
    };
    for _ in 0..5 {
        end("Not-The-Password#1").await.problem(Code::InvalidCredentials);
    }
    end(WANG.password).await.problem(Code::AccountLocked);
    // One counter for all that asks for it: guesses do not go on elsewhere.
    change(&wang, json!(WANG.password), NEW).await.problem(Code::AccountLocked);
}

#[tokio::test]
async fn nobody_ends_the_session_of_another() {
    let world = World::start().await;
    let wang = by_password(&world).await;
    let zhang = world.signed_in(&ZHANG).await;
    let id = sessions(&wang).await[0]["session_id"].as_str().unwrap().to_owned();
    zhang.request("DELETE", &format!("/v1/account/sessions/{id}")).send().await.status(204);
    assert_eq!(sessions(&wang).await.len(), 2);
    wang.get("/v1/session").await.ok();
}

#[tokio::test]
async fn a_person_sees_who_signed_in_as_them_and_who_was_refused() {
    let world = World::start().await;
    let head = world.head().await;
    let wang = by_password(&world).await;
    let mut stranger = world.browser();
    stranger.sign_in_by_password(WANG.account, "Not-The-Password#1").await.problem(Code::InvalidCredentials);
    let activity = async |browser: &Browser| {
        let entries =
            browser.get("/v1/account/activity").await.ok().body["entries"].as_array().unwrap().clone();
        let line = |entry: &Value| {
            let place = if entry["address"].is_string() { "somewhere" } else { "unsaid" };
            format!("{} {} {} {place}", entry["action"], entry["outcome"], entry["by"]).replace('"', "")
        };
        entries.iter().map(line).collect::<Vec<_>>()
    };
    let seen = activity(&wang).await;
    assert_eq!(
        seen[..2],
        ["password_sign_in invalid_credentials self somewhere", "password_sign_in success self somewhere"]
    );
    assert!(seen.contains(&"activation success self somewhere".to_owned()), "{seen:?}");
    let password = world.initial_password(&head, &WANG).await;
    let mut wang = world.browser();
    let ticket = wang.sign_in_by_password(WANG.national_id, &password).await.ticket("activation_required");
    wang.activate(&ticket, &Civilian { password: NEW, ..WANG }).await.ok();
    wang.sign_in_by_password(WANG.account, NEW).await.signed_in();
    let seen = activity(&wang).await;
    assert!(seen.contains(&"password_reset success other unsaid".to_owned()), "{seen:?}");
    // What HR did to others is no part of their own.
    assert!(!activity(&head).await.iter().any(|line| line.starts_with("password_reset")));
}

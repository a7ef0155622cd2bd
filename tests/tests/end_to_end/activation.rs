//! The activation (附註二): what may be chosen, that it happens once, and that of two at once one wins.

use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Browser, activation};
use tests::people::{Civilian, WANG, ZHANG, ZHOU};
use tests::table;
use tests::world::World;

/// Somebody with an activation ticket, by their card.
async fn with_ticket(world: &World, person: &Civilian) -> (Browser, String) {
    let mut browser = world.browser_with(&world.card_of(person));
    let identity = browser.sign_in_by_card().await.ticket("identity_required");
    let ticket = browser.identify(&identity, person.national_id).await.ticket("activation_required");
    (browser, ticket)
}

/// The body of an activation with one field changed.
fn with(ticket: &str, changes: Value) -> Value {
    let mut body = activation(ticket, &WANG);
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn refused_input_leaves_the_ticket_good() {
    let world = World::start().await;
    let (wang, ticket) = with_ticket(&world, &WANG).await;
    let rows = [
        (json!({"account": "abc"}), Code::AccountInvalid, "account"),
        (json!({"account": "a".repeat(33)}), Code::AccountInvalid, "account"),
        (json!({"account": "wang%xiaoming"}), Code::AccountInvalid, "account"),
        (json!({"account": "A123456789"}), Code::AccountInvalid, "account"),
        (json!({"account": "12345678"}), Code::AccountInvalid, "account"),
        (json!({"account": "admin"}), Code::AccountInvalid, "account"),
        (json!({"account": "r\u{3bf}\u{3bf}t"}), Code::AccountInvalid, "account"),
        (json!({"account": "\u{3164}\u{3164}\u{3164}\u{3164}"}), Code::AccountInvalid, "account"),
        (json!({"email": ""}), Code::EmailInvalid, "email"),
        (json!({"email": "no address"}), Code::EmailInvalid, "email"),
        (json!({"email": "a@b\r\nBcc: c@example.gov.tw"}), Code::EmailInvalid, "email"),
        (
            json!({"password_confirmation": "Another-Word#88"}),
            Code::PasswordMismatch,
            "password_confirmation",
        ),
        (json!({"password": null}), Code::RequestInvalid, "password"),
        (json!({"account": 7}), Code::RequestInvalid, "account"),
    ];
    for (changes, code, field) in rows {
        wang.post("/v1/activation", with(&ticket, changes)).await.problem_of(code, field);
    }
    wang.activate(&ticket, &WANG).await.ok();
}

#[tokio::test]
async fn nothing_is_judged_for_whoever_has_no_ticket() {
    let world = World::start().await;
    let (wang, ticket) = with_ticket(&world, &WANG).await;
    let (secret, person) = ticket.split_once('.').unwrap();
    let other = if secret.starts_with('A') { "B" } else { "A" };
    let forged = format!("{other}{}.{person}", &secret[1..]);
    for changes in [
        json!({"account": "abc"}),
        json!({"email": "no address"}),
        json!({"password_confirmation": "Another-Word#88"}),
        json!({"password": "1111111", "password_confirmation": "1111111"}),
    ] {
        wang.post("/v1/activation", with(&forged, changes)).await.problem(Code::TicketInvalid);
    }
    wang.activate(&ticket, &WANG).await.ok();
}

#[tokio::test]
async fn what_is_easily_guessed_here_is_refused() {
    let world = World::start().await;
    let (wang, ticket) = with_ticket(&world, &WANG).await;
    for password in [
        "Welcome2026!!",
        "First-Sign-In-2026",
        "Ji32k7au4a83",
        "Su3cl3ji32k7",
        "Ｐａｓｓｗｏｒｄ１２３４ａA1",
        "1qaz@WSX3edc",
        "A123456789aB",
        "王小明19850101Aa",
        "Wang-Xiao-Ming-Kq7",
    ] {
        let changes = json!({"password": password, "password_confirmation": password});
        let answer = wang.post("/v1/activation", with(&ticket, changes)).await;
        answer.problem_of(Code::PasswordRejected, "password");
    }
    wang.activate(&ticket, &WANG).await.ok();
}

#[tokio::test]
async fn a_password_is_refused_with_every_rule_that_it_breaks() {
    let world = World::start().await;
    let (wang, ticket) = with_ticket(&world, &WANG).await;
    let rows: [(&str, &[&str]); 9] = [
        ("1111111", &["too_short", "too_few_classes", "too_common"]),
        ("Taroko%Gorge#1842", &["forbidden_character"]),
        ("Taroko<Gorge>1842", &["forbidden_character"]),
        ("tarokogorgetunnel", &["too_few_classes"]),
        ("Password1234", &["too_common"]),
        ("Wang.Xiaoming-77", &["contains_account", "too_common"]),
        ("Xy1-", &["too_short", "too_common"]),
        (&"Aa1-".repeat(40), &["too_long"]),
        ("wang%", &["too_short", "forbidden_character", "too_few_classes", "contains_account", "too_common"]),
    ];
    for (password, rules) in rows {
        let changes = json!({"password": password, "password_confirmation": password});
        let answer = wang.post("/v1/activation", with(&ticket, changes)).await;
        assert_eq!(answer.status, 422, "{password}");
        let answer = answer.problem_of(Code::PasswordRejected, "password");
        let broken: Vec<&str> = answer.body["rules"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|rule| rule["code"].as_str())
            .collect();
        assert_eq!(broken, rules, "{password}");
        assert!(!answer.text.contains(password), "a password is in the answer");
    }
    // The manual's forbidden characters, one by one.
    for forbidden in "%&+\"?<>\\/".chars() {
        let password = format!("Taroko-Gorge{forbidden}1842");
        let changes = json!({"password": password, "password_confirmation": password});
        wang.post("/v1/activation", with(&ticket, changes)).await.problem(Code::PasswordRejected);
    }
}

#[tokio::test]
async fn the_initial_password_and_former_ones_are_refused() {
    let world = World::start().await;
    let (helpdesk, _) = (world.helpdesk().await, world.signed_in(&WANG).await);
    let initial = world.initial_password(&helpdesk, &WANG).await;
    let mut wang = world.browser();
    let ticket = wang.sign_in_by_password(WANG.national_id, &initial).await.ticket("activation_required");
    for former in [initial.as_str(), WANG.password] {
        let changes = json!({"password": former, "password_confirmation": former});
        let answer = wang.post("/v1/activation", with(&ticket, changes)).await;
        let answer = answer.problem(Code::PasswordRejected);
        assert_eq!(answer.body["rules"][0]["code"], "used_before");
    }
    let fresh = Civilian { password: "Dadaocheng-Pier#19", ..WANG };
    wang.activate(&ticket, &fresh).await.ok();
    wang.sign_in_by_password(WANG.account, fresh.password).await.signed_in();
}

#[tokio::test]
async fn of_two_at_once_with_one_ticket_one_wins() {
    let world = World::start().await;
    let (wang, ticket) = with_ticket(&world, &WANG).await;
    let other = Civilian { account: "wang.other", email: "other@example.gov.tw", ..WANG };
    let (one, two) = tokio::join!(wang.activate(&ticket, &WANG), wang.activate(&ticket, &other));
    let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
    won.ok();
    lost.problem(Code::TicketInvalid);
    let reserved = table::items_of(&world.stack, "ACCOUNTS_TABLE", "account#");
    assert_eq!(reserved.len(), 1, "the other's account stays free: {reserved:?}");
}

#[tokio::test]
async fn of_two_people_who_choose_one_account_at_once_one_gets_it() {
    let world = World::start().await;
    let ((wang, first), (zhang, second)) =
        (with_ticket(&world, &WANG).await, with_ticket(&world, &ZHANG).await);
    let same = Civilian { account: "ＷANG.xiaoming", ..ZHANG };
    let (one, two) = tokio::join!(wang.activate(&first, &WANG), zhang.activate(&second, &same));
    let (won, lost, loser, ticket) =
        if one.status == 200 { (one, two, zhang, second) } else { (two, one, wang, first) };
    won.ok();
    lost.problem_of(Code::AccountTaken, "account");
    // The loser's ticket is good: another account, and it is done.
    loser.activate(&ticket, &Civilian { account: "somebody.else", ..ZHANG }).await.ok();
}

#[tokio::test]
async fn an_account_is_taken_in_every_spelling() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let (zhang, ticket) = with_ticket(&world, &ZHANG).await;
    for spelling in [WANG.account, "WANG.XIAOMING", "ｗａｎｇ.xiaoming", " wang.xiaoming "] {
        let taken = Civilian { account: spelling, ..ZHANG };
        zhang.activate(&ticket, &taken).await.problem_of(Code::AccountTaken, "account");
    }
    zhang.activate(&ticket, &ZHANG).await.ok();
}

#[tokio::test]
async fn after_a_reset_a_person_keeps_the_account_or_changes_it() {
    let world = World::start().await;
    let (helpdesk, _) = (world.helpdesk().await, world.signed_in(&WANG).await);
    let mut wang = world.browser();
    for (account, password) in [(WANG.account, "Dadaocheng-Pier#19"), ("wang.renamed", "Maokong-Gondola#42")]
    {
        let initial = world.initial_password(&helpdesk, &WANG).await;
        let ticket = wang.sign_in_by_password(WANG.national_id, &initial).await.ticket("activation_required");
        wang.activate(&ticket, &Civilian { account, password, ..WANG }).await.ok();
        wang.sign_in_by_password(account, password).await.signed_in();
        assert_eq!(wang.get("/v1/session").await.ok().body["account"], account);
    }
    // The former account is free again.
    wang.sign_in_by_password(WANG.account, "Maokong-Gondola#42").await.problem(Code::InvalidCredentials);
    let (zhang, ticket) = with_ticket(&world, &ZHANG).await;
    zhang.activate(&ticket, &Civilian { account: WANG.account, ..ZHANG }).await.ok();
}

#[tokio::test]
async fn tickets_are_good_for_their_person_and_purpose_only() {
    let world = World::start().await;
    let (wang, first) = with_ticket(&world, &WANG).await;
    let (_, second) = with_ticket(&world, &ZHANG).await;
    let (secret, _) = first.split_once('.').unwrap();
    let (_, zhang) = second.split_once('.').unwrap();
    let mut identity = world.browser_with(&world.card_of(&ZHOU));
    let identity = identity.sign_in_by_card().await.ticket("identity_required");
    for forged in [
        format!("{secret}.{zhang}"),
        format!("{identity}.{zhang}"),
        identity,
        secret.to_owned(),
        String::new(),
    ] {
        wang.activate(&forged, &WANG).await.problem(Code::TicketInvalid);
    }
    wang.activate(&first, &WANG).await.ok();
}

#[tokio::test]
async fn who_departs_meanwhile_does_not_activate() {
    let world = World::start().await;
    let (wang, ticket) = with_ticket(&world, &WANG).await;
    world.depart(&WANG).await;
    let answer = wang.activate(&ticket, &WANG).await;
    assert!(["person_departed", "ticket_invalid"].contains(&answer.text_of("code").as_str()), "{answer}");
}

//! Cards that are bound: seen by their person, renewed, issued anew, unbound by the person or by the helpdesk.

use futures_util::future::join_all;
use jiff::SignedDuration;
use local::pki::card::{Card, CardRequest};
use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Browser, Session};
use tests::people::{Civilian, HEAD, HELPDESK, NAMESAKE, NOBODY, WANG, ZHANG, ZHOU};
use tests::table;
use tests::world::World;

const NUMBER: &str = "1234567890123456";

/// A card of somebody with this number.
fn request(person: &Civilian, number: &str) -> CardRequest {
    CardRequest {
        serial_number: Some(number.to_owned()),
        ..CardRequest::citizen(person.name, person.id_tail())
    }
}

fn card(world: &World, person: &Civilian, number: &str) -> Card {
    world.issue(&request(person, number))
}

/// Somebody who is signed in with their password.
async fn by_password(world: &World, person: &Civilian) -> Browser {
    let mut browser = world.browser();
    browser.sign_in_by_password(person.account, person.password).await.signed_in();
    browser
}

/// Binds one more card of somebody who has activated.
async fn bind(world: &World, person: &Civilian, card: &Card) -> Browser {
    let mut browser = world.browser_with(card);
    let ticket = browser.sign_in_by_card().await.ticket("identity_required");
    browser.identify(&ticket, person.national_id).await.signed_in();
    browser
}

fn id(card: &Value) -> String {
    card["card_id"].as_str().unwrap().to_owned()
}

/// Entries of the audit trail about an action, as `outcome: note`.
fn audited(world: &World, action: &str) -> Vec<String> {
    let entries = table::items(&world.stack, "AUDIT_TABLE");
    let of_action = entries.iter().filter(|entry| table::text(entry, "action") == action);
    of_action
        .map(|entry| format!("{}: {}", table::text(entry, "outcome"), table::text(entry, "note")))
        .collect()
}

#[tokio::test]
async fn a_person_sees_the_cards_that_are_bound() {
    let world = World::start().await;
    let wang = world.activated_with(&WANG, &card(&world, &WANG, NUMBER)).await;
    let [first] = wang.cards().await.try_into().unwrap();
    let names: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(names, ["bound_at", "card_id", "issuer", "last_used_at", "number_tail"]);
    assert_eq!((&first["issuer"], &first["number_tail"]), (&json!("MOICA (test)"), &json!("3456")));

    world.pass(SignedDuration::from_hours(1));
    let second = bind(&world, &WANG, &card(&world, &WANG, "9999999999990007")).await;
    let [known, new] = second.cards().await.try_into().unwrap();
    assert_eq!(known, first, "the first one bound first, its use as it was");
    assert_eq!((&new["number_tail"], &new["bound_at"]), (&json!("0007"), &new["last_used_at"]));
    assert_ne!(new["card_id"], first["card_id"]);

    world.pass(SignedDuration::from_hours(1));
    let mut first_again = wang;
    first_again.sign_in_by_card().await.signed_in();
    let [used, _] = first_again.cards().await.try_into().unwrap();
    assert_eq!((&used["card_id"], &used["bound_at"]), (&first["card_id"], &first["bound_at"]));
    assert!(used["last_used_at"].as_str() > new["bound_at"].as_str(), "{used}");
    // With the password they look the same.
    assert_eq!(by_password(&world, &WANG).await.cards().await.len(), 2);
}

#[tokio::test]
async fn whoever_has_no_card_sees_none() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let initial = world.initial_password(&helpdesk, &ZHOU).await;
    let mut zhou = world.browser();
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &initial).await.ticket("activation_required");
    zhou.activate(&ticket, &ZHOU).await.ok();
    let zhou = by_password(&world, &ZHOU).await;
    assert_eq!(zhou.get("/v1/account/cards").await.ok().body, json!({"cards": []}));
    assert_eq!(helpdesk.cards_of(&ZHOU).await.ok().body, json!({"cards": []}));
}

#[tokio::test]
async fn a_renewal_keeps_the_binding_and_is_audited_once() {
    let world = World::start().await;
    let old = card(&world, &WANG, NUMBER);
    let mut with_old = world.activated_with(&WANG, &old).await;
    let renewed = card(&world, &WANG, NUMBER);
    let mut with_new = world.browser_with(&renewed);
    assert_eq!(audited(&world, "card_renewal"), [""; 0]);
    // Both are valid for a while, and used as it comes.
    for _ in 0..3 {
        with_new.sign_in_by_card().await.signed_in();
        with_old.sign_in_by_card().await.signed_in();
    }
    let [renewal] = audited(&world, "card_renewal").try_into().unwrap();
    let [bound] = with_new.cards().await.try_into().unwrap();
    let used = table::items_of(&world.stack, "ACCOUNTS_TABLE", "certificate#");
    let used: Vec<&str> = used.iter().map(|item| table::text(item, "pk")).collect();
    assert_eq!(used.len(), 2, "both certificates are in use");
    let noted = renewal.strip_prefix(&format!("success: card#{} ", id(&bound))).unwrap();
    assert!(used.contains(&noted), "{renewal}");
}

#[tokio::test]
async fn of_many_first_uses_of_a_renewed_card_one_is_the_renewal() {
    let world = World::start().await;
    world.activated_with(&WANG, &card(&world, &WANG, NUMBER)).await;
    let renewed = world.browser_with(&card(&world, &WANG, NUMBER));
    let codes = join_all((0..6).map(|_| renewed.code())).await;
    let exchanges = codes.into_iter().map(|(code, verifier)| {
        let renewed = renewed.clone();
        async move { renewed.post("/v1/login/certificate", json!({"code": code, "verifier": verifier})).await }
    });
    for answer in join_all(exchanges).await {
        answer.signed_in();
    }
    assert_eq!(audited(&world, "card_renewal").len(), 1);
}

#[tokio::test]
async fn a_renewed_card_may_have_another_name_than_the_directory_yet() {
    let world = World::start().await;
    world.activated_with(&WANG, &card(&world, &WANG, NUMBER)).await;
    let married = CardRequest { name: "王曉明".to_owned(), ..request(&WANG, NUMBER) };
    world.browser_with(&world.issue(&married)).sign_in_by_card().await.signed_in();
    assert_eq!(audited(&world, "card_renewal").len(), 1);
}

#[tokio::test]
async fn a_card_that_was_bound_before_the_activation_may_be_renewed_before_it() {
    let world = World::start().await;
    let mut wang = world.browser_with(&card(&world, &WANG, NUMBER));
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let _ = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    let mut renewed = world.browser_with(&card(&world, &WANG, NUMBER));
    let activation = renewed.sign_in_by_card().await.ticket("activation_required");
    assert_eq!(audited(&world, "card_renewal").len(), 1);
    renewed.activate(&activation, &WANG).await.ok();
    renewed.sign_in_by_card().await.signed_in();
}

#[tokio::test]
async fn a_card_that_was_issued_anew_asks_for_the_identity_again() {
    let world = World::start().await;
    let old = card(&world, &WANG, NUMBER);
    let mut with_old = world.activated_with(&WANG, &old).await;
    let new = card(&world, &WANG, "6543210987654321");
    let with_new = bind(&world, &WANG, &new).await;
    assert_eq!(with_new.cards().await.len(), 2, "bound beside the old one");
    with_old.sign_in_by_card().await.signed_in();
    assert_eq!(audited(&world, "card_renewal"), [""; 0]);
    assert_eq!(audited(&world, "card_binding").len(), 2);
}

#[tokio::test]
async fn a_person_unbinds_a_card_with_the_password() {
    let world = World::start().await;
    let card = card(&world, &WANG, NUMBER);
    let mut with_card = world.activated_with(&WANG, &card).await;
    let bound = id(&with_card.cards().await[0]);
    with_card.unbind(&bound).await.problem(Code::PasswordSignInRequired);
    with_card.get("/v1/session").await.ok();

    let elsewhere = by_password(&world, &WANG).await;
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    let wang = by_password(&world, &WANG).await;
    wang.unbind(&bound).await.status(204);
    assert_eq!(wang.cards().await, [Value::Null; 0], "its own session goes on");
    for other in [&with_card, &elsewhere, &program] {
        other.get("/v1/session").await.problem(Code::SessionRequired);
    }
    wang.unbind(&bound).await.problem(Code::CardNotFound);
    for key in ["card#", "certificate#"] {
        assert!(table::items_of(&world.stack, "ACCOUNTS_TABLE", key).is_empty(), "{key} is left");
    }
    assert_eq!(audited(&world, "card_unbinding"), [format!("success: card#{bound}")]);
    let [mail] = world.mails_of_notices("card_unbound").await.try_into().unwrap();
    assert_eq!(mail.to, WANG.email);
    assert!(mail.text.contains("3456") && mail.text.contains("MOICA (test)"), "{}", mail.text);

    // The card asks who its holder is, and may be bound again: it is the same card.
    let ticket = with_card.sign_in_by_card().await.ticket("identity_required");
    with_card.identify(&ticket, WANG.account).await.signed_in();
    assert_eq!(id(&with_card.cards().await[0]), bound);
}

#[tokio::test]
async fn the_first_card_unbinds_one_that_was_bound_later() {
    let world = World::start().await;
    let wang = world.activated_with(&WANG, &card(&world, &WANG, NUMBER)).await;
    world.pass(SignedDuration::from_secs(2));
    let mut intruder = bind(&world, &WANG, &card(&world, &WANG, "9999999999990007")).await;
    let [first, later] = wang.cards().await.try_into().unwrap();
    let (first, later) = (id(&first), id(&later));
    for own_or_older in [&first, &later, "x"] {
        intruder.unbind(own_or_older).await.problem(Code::PasswordSignInRequired);
    }
    wang.unbind(&first).await.problem(Code::PasswordSignInRequired);
    wang.unbind(&later).await.status(204);
    assert_eq!(wang.cards().await.len(), 1, "its own session goes on");
    intruder.get("/v1/session").await.problem(Code::SessionRequired);
    let _ = intruder.sign_in_by_card().await.ticket("identity_required");
    assert_eq!(world.mails_of_notices("card_unbound").await.len(), 1);
}

#[tokio::test]
async fn a_program_unbinds_a_card_with_the_password() {
    let world = World::start().await;
    world.activated_with(&WANG, &card(&world, &WANG, NUMBER)).await;
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    let bound = id(&program.cards().await[0]);
    program.unbind(&bound).await.status(204);
    let fresh = program.post("/v1/session/token", json!({})).await.ok();
    program.session = Some(Session::Token(fresh.text_of("token")));
    assert_eq!(program.cards().await, [Value::Null; 0]);
}

#[tokio::test]
async fn nobody_unbinds_what_is_not_theirs() {
    let world = World::start().await;
    let zhang = world.signed_in(&ZHANG).await;
    let of_zhang = id(&zhang.cards().await[0]);
    world.signed_in(&WANG).await;
    let wang = by_password(&world, &WANG).await;
    for made_up in [&of_zhang, "x", "card", &"A".repeat(43), &"A".repeat(3000)] {
        wang.unbind(made_up).await.problem(Code::CardNotFound);
    }
    assert_eq!(zhang.cards().await.len(), 1);
    zhang.get("/v1/session").await.ok();
}

#[tokio::test]
async fn an_unbound_card_may_be_bound_to_its_holder_alone() {
    let world = World::start().await;
    // A card that does not say which of two people of one name it is of.
    let request = CardRequest { directory_attributes: false, ..CardRequest::citizen(WANG.name, "0000") };
    let card = world.issue(&request);
    world.activated_with(&WANG, &card).await;
    let wang = by_password(&world, &WANG).await;
    wang.unbind(&id(&wang.cards().await[0])).await.status(204);
    // Whoever holds it now says so, and its certificate is theirs.
    let mut namesake = world.browser_with(&card);
    let ticket = namesake.sign_in_by_card().await.ticket("identity_required");
    let _ = namesake.identify(&ticket, NAMESAKE.national_id).await.ticket("activation_required");
    let [used] = table::items_of(&world.stack, "ACCOUNTS_TABLE", "certificate#").try_into().unwrap();
    assert_eq!(table::text(&used, "subject"), format!("person#{}", world.person_id(&NAMESAKE).await));
    assert_eq!(wang.cards().await, [Value::Null; 0]);
}

#[tokio::test]
async fn the_helpdesk_unbinds_a_lost_card() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let mut wang = world.activated_with(&WANG, &card(&world, &WANG, NUMBER)).await;
    let seen = helpdesk.cards_of(&WANG).await.ok();
    assert_eq!(seen.body, wang.get("/v1/account/cards").await.ok().body);
    let bound = id(&seen.body["cards"][0]);
    let second = by_password(&world, &WANG).await;

    helpdesk.unbind_of(&WANG, &bound, "  ").await.problem_of(Code::RequestInvalid, "reason");
    helpdesk.unbind_of(&WANG, &bound, &"x".repeat(501)).await.problem_of(Code::RequestInvalid, "reason");
    helpdesk.unbind_of(&ZHANG, &bound, "the card is lost").await.problem(Code::CardNotFound);
    helpdesk.unbind_of(&WANG, "x", "the card is lost").await.problem(Code::CardNotFound);
    wang.get("/v1/session").await.ok();

    helpdesk.unbind_of(&WANG, &bound, "lost, called from the office").await.status(204);
    for ended in [&wang, &second] {
        ended.get("/v1/session").await.problem(Code::SessionRequired);
    }
    helpdesk.unbind_of(&WANG, &bound, "the card is lost").await.problem(Code::CardNotFound);
    assert_eq!(helpdesk.cards_of(&WANG).await.ok().body, json!({"cards": []}));
    let _ = wang.sign_in_by_card().await.ticket("identity_required");
    assert_eq!(
        audited(&world, "card_unbinding"),
        [format!("success: card#{bound}: lost, called from the office")]
    );
    let [mail] = world.mails_of_notices("card_unbound").await.try_into().unwrap();
    assert_eq!(mail.to, WANG.email);
}

#[tokio::test]
async fn the_helpdesk_unbinds_where_there_is_nobody_to_be_told() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let mut wang = world.browser_with(&card(&world, &WANG, NUMBER));
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let activation = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    let bound = id(&helpdesk.cards_of(&WANG).await.ok().body["cards"][0]);
    helpdesk.unbind_of(&WANG, &bound, "bound by mistake").await.status(204);
    wang.activate(&activation, &WANG).await.problem(Code::TicketInvalid);
    assert!(world.mails_of_notices("card_unbound").await.is_empty(), "no address, no notice");

    // Somebody who has departed may still have a card unbound.
    world.signed_in(&ZHANG).await;
    world.depart(&ZHANG).await;
    let bound = id(&helpdesk.cards_of(&ZHANG).await.ok().body["cards"][0]);
    helpdesk.unbind_of(&ZHANG, &bound, "handed the card in when leaving").await.status(204);
}

#[tokio::test]
async fn nobody_but_the_helpdesk_sees_or_unbinds_cards_of_others() {
    let world = World::start().await;
    let (helpdesk, head) = (world.helpdesk().await, world.head().await);
    let wang = world.signed_in(&WANG).await;
    let agency = world.agency("agency-a02").await;
    let bound = id(&wang.cards().await[0]);
    for refused in [&head, &agency, &wang] {
        refused.cards_of(&WANG).await.problem(Code::NotAuthorized);
        refused.unbind_of(&WANG, &bound, "because").await.problem(Code::NotAuthorized);
    }
    let own = id(&helpdesk.cards().await[0]);
    helpdesk.unbind_of(&HELPDESK, &own, "it is mine").await.problem(Code::NotAuthorized);
    let nobody = Civilian { national_id: NOBODY, ..WANG };
    helpdesk.cards_of(&nobody).await.problem(Code::EmployeeNotFound);
    helpdesk.unbind_of(&nobody, &bound, "because").await.problem(Code::EmployeeNotFound);
    // Everyone is in the helpdesk's scope.
    helpdesk.cards_of(&HEAD).await.ok();
    let refusals = audited(&world, "card_unbinding");
    assert_eq!(refusals.iter().filter(|entry| *entry == "not_authorized: ").count(), 4, "{refusals:?}");
    assert_eq!(refusals.iter().filter(|entry| *entry == "employee_not_found: ").count(), 1);
}

#[tokio::test]
async fn an_unbinding_voids_the_code_that_the_card_host_gave() {
    let world = World::start().await;
    let with_card = world.signed_in(&WANG).await;
    let wang = by_password(&world, &WANG).await;
    let (code, verifier) = with_card.code().await;
    wang.unbind(&id(&wang.cards().await[0])).await.status(204);
    let body = json!({"code": code, "verifier": verifier});
    with_card.post("/v1/login/certificate", body).await.problem(Code::TicketInvalid);
}

#[tokio::test]
async fn a_sign_in_beside_an_unbinding_does_not_outlive_it() {
    let world = World::start().await;
    let with_card = world.signed_in(&WANG).await;
    for _ in 0..3 {
        let wang = by_password(&world, &WANG).await;
        let bound = id(&wang.cards().await[0]);
        let codes = join_all((0..4).map(|_| with_card.code())).await;
        let sign_ins = join_all(codes.into_iter().map(|(code, verifier)| {
            let mut browser = with_card.signed_out();
            async move {
                let body = json!({"code": code, "verifier": verifier});
                let answer = browser.sign_in("/v1/login/certificate", body).await;
                (browser, answer)
            }
        }));
        let (unbound, sign_ins) = tokio::join!(wang.unbind(&bound), sign_ins);
        unbound.status(204);
        for (browser, answer) in sign_ins {
            if answer.status == 200 {
                browser.get("/v1/session").await.problem(Code::SessionRequired);
            } else {
                answer.problem(Code::TicketInvalid);
            }
        }
        let mut again = with_card.signed_out();
        let ticket = again.sign_in_by_card().await.ticket("identity_required");
        again.identify(&ticket, WANG.national_id).await.signed_in();
    }
}

#[tokio::test]
async fn of_two_unbindings_at_once_one_succeeds() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let (wang, helpdesk) = (by_password(&world, &WANG).await, world.helpdesk().await);
    let bound = id(&wang.cards().await[0]);
    let (own, desk) =
        tokio::join!(wang.unbind(&bound), helpdesk.unbind_of(&WANG, &bound, "the card is lost"));
    let codes = [own.status, desk.status];
    assert_eq!(codes.iter().filter(|status| **status == 204).count(), 1, "{own}\n{desk}");
    assert!(codes.iter().all(|status| [204, 401, 404, 409].contains(status)), "{own}\n{desk}");
}

//! Whose card it is: names that are written otherwise, and cards that do not say which of two namesakes holds them.

use jiff::SignedDuration;
use local::pki::card::{Card, CardRequest};
use shared::problem::Code;
use tests::browser::Browser;
use tests::people::{Civilian, NAMESAKE, WANG};
use tests::table;
use tests::world::World;

/// A card of that name with the digits of [`WANG`].
fn named(world: &World, name: &str) -> Card {
    world.issue(&CardRequest::citizen(name, WANG.id_tail()))
}

/// A card of the name of [`WANG`], and of [`NAMESAKE`], that carries no digits.
fn digitless(world: &World) -> Card {
    world.issue(&CardRequest { directory_attributes: false, ..CardRequest::citizen(WANG.name, "0000") })
}

/// Has the directory write the name of [`WANG`] in another way.
async fn directory_writes(world: &World, name: &str) {
    world.change_roster("A123456789,王小明,", &format!("A123456789,{name},")).await;
}

/// A ticket for the identity of a card that is seen for the first time.
async fn ticket_of(browser: &mut Browser) -> String {
    browser.sign_in_by_card().await.ticket("identity_required")
}

/// Somebody who is signed in with their password.
async fn by_password(world: &World) -> Browser {
    let mut browser = world.browser();
    browser.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    browser
}

#[tokio::test]
async fn one_name_in_the_directory_and_on_the_card() {
    let world = World::start().await;
    let rows = [
        ("高‧馬紹", "高·馬紹"),
        ("高・馬紹", "高‧馬紹"),
        ("王　明", "王明"),
        ("黄小美", "黃小美"),
        ("張姸", "張妍"),
        ("Yawi’ Nokan", "Yawi' Nokan"),
        ("KOLAS YOTAKA", "Kolas Yotaka"),
        ("Ma‐Ti Lin", "Ma-Ti Lin"),
        ("谷辣斯·尤達卡 Kolas Yotaka", "谷辣斯·尤達卡"),
        ("葛\u{E0100}大明", "葛大明"),
        ("王■明", "王堃明"),
    ];
    for (directory, card) in rows {
        directory_writes(&world, directory).await;
        let mut wang = world.browser_with(&named(&world, card));
        let ticket = ticket_of(&mut wang).await;
        let answer = wang.identify(&ticket, WANG.national_id).await;
        assert_eq!(answer.body["status"], "activation_required", "{directory} {card}: {answer}");
    }
}

#[tokio::test]
async fn a_new_name_leads_to_human_resources() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    // A marriage: a new card, which has another number.
    let married = named(&world, "林王曉明");
    let mut wang = world.browser_with(&married);
    let ticket = ticket_of(&mut wang).await;
    // Whoever does not know the digits does not hear that they agree.
    wang.identify(&ticket, WANG.account).await.problem_of(Code::IdentityMismatch, "identifier");
    let told = wang.identify(&ticket, WANG.national_id).await.problem_of(Code::NameDiffers, "identifier");
    assert!(!told.text.contains(WANG.name), "nothing of the directory is told: {told}");

    directory_writes(&world, "林王曉明").await;
    wang.identify(&ticket, WANG.national_id).await.signed_in();
    let [mail] = world.mails_of_notices("card_bound").await.try_into().unwrap();
    assert_eq!(mail.to, WANG.email);
}

#[tokio::test]
async fn a_namesakes_card_does_not_take_over_an_account() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    // So that the person's cards are told in the order in which they came.
    world.pass(SignedDuration::from_mins(1));
    let mut namesake = world.browser_with(&digitless(&world));
    let ticket = ticket_of(&mut namesake).await;
    for identifier in [WANG.account, WANG.national_id] {
        let asked = namesake.identify(&ticket, identifier).await;
        asked.problem_of(Code::AccountPasswordRequired, "password");
    }
    let wrong = namesake.identify_with(&ticket, WANG.account, NAMESAKE.password).await;
    assert_eq!(wrong.problem_of(Code::InvalidCredentials, "password").session(), None);
    assert_eq!(by_password(&world).await.cards().await.len(), 1, "nothing was bound");
    assert!(world.mails_of_notices("card_bound").await.is_empty());

    // The one who knows the password holds it, is told, and may undo it: that ends what the card has opened.
    namesake.identify_with(&ticket, WANG.account, WANG.password).await.signed_in();
    let [mail] = world.mails_of_notices("card_bound").await.try_into().unwrap();
    assert_eq!(mail.to, WANG.email);
    let wang = by_password(&world).await;
    let cards = wang.cards().await;
    let [_, new] = cards.as_slice() else { panic!("{cards:?}") };
    wang.unbind(new["card_id"].as_str().unwrap()).await.status(204);
    namesake.get("/v1/session").await.problem(Code::SessionRequired);
    let _ = ticket_of(&mut namesake).await;
}

#[tokio::test]
async fn passwords_are_not_guessed_beside_a_card() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let mut namesake = world.browser_with(&digitless(&world));
    let ticket = ticket_of(&mut namesake).await;
    for guess in 0..5 {
        let guessed = namesake.identify_with(&ticket, WANG.account, &format!("Wrong-Password#{guess}")).await;
        guessed.problem_of(Code::InvalidCredentials, "password");
    }
    namesake.identify_with(&ticket, WANG.account, WANG.password).await.problem(Code::TicketInvalid);
    let another = ticket_of(&mut namesake).await;
    namesake.identify_with(&another, WANG.account, WANG.password).await.problem(Code::AccountLocked);
}

#[tokio::test]
async fn an_initial_password_opens_no_account_beside_a_card() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    world.signed_in(&WANG).await;
    let initial = world.initial_password(&helpdesk, &WANG).await;
    let mut wang = world.browser_with(&digitless(&world));
    let ticket = ticket_of(&mut wang).await;
    let refused = wang.identify_with(&ticket, WANG.national_id, &initial).await;
    refused.problem_of(Code::InvalidCredentials, "password");
}

#[tokio::test]
async fn an_activation_leaves_no_card_bound_but_its_own() {
    let world = World::start().await;
    let waiting = async |card: &Card| {
        let mut browser = world.browser_with(card);
        let ticket = ticket_of(&mut browser).await;
        let activation = browser.identify(&ticket, WANG.national_id).await.ticket("activation_required");
        (browser, activation)
    };
    // Before anybody has activated, a card of that name may be bound; it waits for somebody to activate.
    let (mut namesake, _) = waiting(&digitless(&world)).await;
    let (mut wang, activation) = waiting(&world.card_of(&WANG)).await;
    wang.activate(&activation, &WANG).await.ok();
    let _ = namesake.sign_in_by_card().await.ticket("identity_required");
    wang.sign_in_by_card().await.signed_in();
    assert_eq!(wang.cards().await.len(), 1);
    let unbound = table::items(&world.stack, "AUDIT_TABLE");
    let unbound = unbound.iter().filter(|entry| table::text(entry, "action") == "card_unbinding");
    assert_eq!(unbound.count(), 1);
}

#[tokio::test]
async fn an_activation_by_initial_password_leaves_no_card_bound() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let mut early = world.browser_with(&world.card_of(&WANG));
    let ticket = ticket_of(&mut early).await;
    let _ = early.identify(&ticket, WANG.national_id).await.ticket("activation_required");
    let initial = world.initial_password(&helpdesk, &WANG).await;
    let mut wang = world.browser();
    let activation = wang.sign_in_by_password(WANG.national_id, &initial).await.ticket("activation_required");
    wang.activate(&activation, &WANG).await.ok();
    // It is seen for the first time again, and told.
    let ticket = ticket_of(&mut early).await;
    early.identify(&ticket, WANG.national_id).await.signed_in();
    assert_eq!(world.mails_of_notices("card_bound").await.len(), 1);
    // Another activation, after a reset, is the same person's: their card stays.
    let initial = world.initial_password(&helpdesk, &WANG).await;
    let activation = wang.sign_in_by_password(WANG.national_id, &initial).await.ticket("activation_required");
    let anew = Civilian { password: "Alishan-Forest#2216", ..WANG };
    wang.activate(&activation, &anew).await.ok();
    early.sign_in_by_card().await.signed_in();
}

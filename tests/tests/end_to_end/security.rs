//! Mails of security events: each has one, it goes to the right address, and what is refused tells nobody.

use serde_json::json;
use shared::pseudonym::PersonId;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, WANG, ZHOU};
use tests::table::{self, Item};
use tests::world::{World, eventually};

/// The notices of a person, as kind and state.
fn notices(world: &World, person: &PersonId) -> Vec<(String, Item)> {
    let items = table::items_of(&world.stack, "MAIL_TABLE", "notice#").into_iter();
    let of_person = items.filter(|item| table::text(item, "person") == person.as_str());
    of_person.map(|item| (item["notice"]["M"]["kind"]["S"].as_str().unwrap().to_owned(), item)).collect()
}

/// The notices of one kind.
fn of_kind(world: &World, person: &PersonId, kind: &str) -> Vec<Item> {
    let notices = notices(world, person).into_iter();
    notices.filter(|(found, _)| found == kind).map(|(_, item)| item).collect()
}

/// The one notice of a kind, once it has arrived, and where.
async fn arrived_at(world: &World, person: &PersonId, kind: &str) -> String {
    let item = eventually(&format!("{kind} arrives"), async || {
        let mut found = of_kind(world, person, kind);
        assert!(found.len() < 2, "{kind}: {}", found.len());
        found.pop().filter(|item| table::text(item, "state") == "delivered")
    })
    .await;
    let id = table::text(&item, "pk").replace("notice#", "");
    let mails = world.mails_of(&id).await;
    // The id of a lock is the same all day: under the watched run the mailbox has those of other tests.
    assert!(mails.len() == 1 || kind == "locked", "{kind}: {} mails", mails.len());
    mails[0].to.clone()
}

#[tokio::test]
async fn an_activation_is_told() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let wang = world.person_id(&WANG).await;
    assert_eq!(arrived_at(&world, &wang, "activated").await, WANG.email);
    let kinds: Vec<String> = notices(&world, &wang).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["activated"], "the first card is bound before there is an address");
}

#[tokio::test]
async fn a_further_card_is_told() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let card = world.card_of(&WANG);
    let mut browser = world.browser_with(&card);
    let identity = browser.sign_in_by_card().await.ticket("identity_required");
    browser.identify(&identity, WANG.account).await.signed_in();
    let wang = world.person_id(&WANG).await;
    assert_eq!(arrived_at(&world, &wang, "card_bound").await, WANG.email);
}

async fn change(browser: &Browser, current: &str) -> Answer {
    let new = "Hehuan-Meadow#77";
    let body = json!({"current_password": current, "password": new, "password_confirmation": new});
    browser.post("/v1/account/password", body).await
}

#[tokio::test]
async fn a_changed_password_is_told_and_a_refused_change_is_not() {
    let world = World::start().await;
    let browser = world.signed_in(&WANG).await;
    let wang = world.person_id(&WANG).await;
    change(&browser, "not the password").await.status(401);
    assert_eq!(of_kind(&world, &wang, "password_changed").len(), 0);
    change(&browser, WANG.password).await.status(204);
    assert_eq!(arrived_at(&world, &wang, "password_changed").await, WANG.email);
}

#[tokio::test]
async fn another_address_is_told_at_the_former_one() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let (head, wang) = (world.head().await, world.person_id(&WANG).await);
    let moved = Civilian { email: "wang.new@example.gov.tw", password: "Hehuan-Meadow#78", ..WANG };
    let password = world.initial_password(&head, &moved).await;
    assert_eq!(arrived_at(&world, &wang, "password_reset").await, WANG.email);
    let mut browser = world.browser();
    let ticket = browser.sign_in_by_password(WANG.national_id, &password).await.ticket("activation_required");
    browser.activate(&ticket, &moved).await.ok();
    assert_eq!(arrived_at(&world, &wang, "email_changed").await, WANG.email);
    let activated = eventually("both activations are told", async || {
        let found = of_kind(&world, &wang, "activated");
        found.iter().all(|item| table::text(item, "state") == "delivered").then_some(found)
    });
    let mut to = Vec::new();
    for item in activated.await {
        let id = table::text(&item, "pk").replace("notice#", "");
        to.extend(world.mails_of(&id).await.into_iter().map(|mail| mail.to));
    }
    to.sort_unstable();
    assert_eq!(to, [moved.email, WANG.email]);
    // What is kept of the former address is gone with the mail.
    let changed = of_kind(&world, &wang, "email_changed").remove(0);
    assert!(!changed.contains_key("to_sealed"), "{changed:?}");
}

#[tokio::test]
async fn the_same_address_again_is_no_change() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let (head, wang) = (world.head().await, world.person_id(&WANG).await);
    let password = world.initial_password(&head, &WANG).await;
    let mut browser = world.browser();
    let ticket = browser.sign_in_by_password(WANG.national_id, &password).await.ticket("activation_required");
    let again = Civilian { password: "Hehuan-Meadow#79", ..WANG };
    browser.activate(&ticket, &again).await.ok();
    assert_eq!(of_kind(&world, &wang, "email_changed").len(), 0);
}

async fn lock(world: &World, identifier: &str) -> u64 {
    world.stack.traffic.reset();
    for _ in 0..5 {
        world.browser().sign_in_by_password(identifier, "not the password").await.status(401);
    }
    world
        .stack
        .traffic
        .counts()
        .into_iter()
        .filter(|((_, name), _)| name == "TransactWriteItems")
        .map(|(_, n)| n)
        .sum()
}

#[tokio::test]
async fn a_lock_is_told_once_a_day_whatever_was_typed() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let wang = world.person_id(&WANG).await;
    lock(&world, WANG.national_id).await;
    assert_eq!(arrived_at(&world, &wang, "locked").await, WANG.email);
    lock(&world, WANG.account).await;
    assert_eq!(of_kind(&world, &wang, "locked").len(), 1);
}

#[tokio::test]
async fn a_lock_of_what_is_nobodys_tells_nobody_by_the_same_writes() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    arrived_at(&world, &world.person_id(&WANG).await, "activated").await;
    world.stack.stop_stream().await;
    let known = lock(&world, WANG.national_id).await;
    for unknown in ["A287654325", "nobody.at.all"] {
        assert_eq!(lock(&world, unknown).await, known, "{unknown}");
    }
    // A known person without an address, too.
    assert_eq!(lock(&world, ZHOU.national_id).await, known);
    world.stack.start_stream().await;
    let locked = || {
        let all = table::items_of(&world.stack, "MAIL_TABLE", "notice#").into_iter();
        all.filter(|item| item["notice"]["M"]["kind"]["S"] == "locked").collect::<Vec<_>>()
    };
    let states = eventually("each is dealt with", async || {
        let states: Vec<String> = locked().iter().map(|item| table::text(item, "state").to_owned()).collect();
        states.iter().all(|state| matches!(state.as_str(), "delivered" | "failed")).then_some(states)
    })
    .await;
    assert_eq!(states.len(), 4);
    assert_eq!(states.iter().filter(|state| *state == "delivered").count(), 1, "WANG alone has an address");
}

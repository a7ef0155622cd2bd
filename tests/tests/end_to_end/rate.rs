//! Rates: so many in each window, for an address, an actor, a person. The windows are filled in the table, to the limits
//! that the template sets.

use jiff::SignedDuration;
use serde_json::json;
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, NOBODY, WANG, ZHANG, ZHOU};
use tests::table;
use tests::world::World;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Sets the counters of a kind to a number.
fn fill(world: &World, kind: &str, count: u64) {
    let counters = table::items_of(&world.stack, "TICKETS_TABLE", &format!("rate#{kind}#"));
    assert!(!counters.is_empty(), "nothing was counted as {kind}");
    for mut counter in counters {
        counter.insert("n".to_owned(), json!({"N": count.to_string()}));
        table::put(&world.stack, "TICKETS_TABLE", &counter);
    }
}

/// Too many, and told until when.
fn too_many(answer: Answer, window: u64) {
    let answer = answer.problem(Code::TooManyRequests);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=window).contains(&seconds), "{answer}");
    assert_eq!(answer.body["retry_after"], json!(seconds));
}

#[tokio::test]
async fn sign_ins_of_an_address() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let mut wang = world.browser();
    world.begin(MINUTE);
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    fill(&world, "sign-ins", 599);
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    too_many(wang.sign_in_by_password(WANG.account, WANG.password).await, 60);
    too_many(wang.sign_in_by_password("nobody.at.all", "Not-The-Password#1").await, 60);
    world.pass(MINUTE);
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
}

#[tokio::test]
async fn sign_ins_of_an_address_by_card() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    world.begin(MINUTE);
    wang.sign_in_by_card().await.signed_in();
    fill(&world, "sign-ins", 599);
    wang.sign_in_by_card().await.signed_in();
    too_many(wang.sign_in_by_card().await, 60);
    world.pass(MINUTE);
    wang.sign_in_by_card().await.signed_in();
}

#[tokio::test]
async fn activations_of_a_person_and_from_an_address() {
    let world = World::start().await;
    world.begin(HOUR);
    let (wang, zhang) = (activating(&world, &WANG).await, activating(&world, &ZHANG).await);
    // What is refused counts too: a ticket is no way to ask which accounts are taken.
    let refused = Civilian { account: "a", ..WANG };
    wang.0.activate(&wang.1, &refused).await.problem(Code::AccountInvalid);
    fill(&world, "activations", 29);
    wang.0.activate(&wang.1, &refused).await.problem(Code::AccountInvalid);
    too_many(wang.0.activate(&wang.1, &WANG).await, 3600);
    // Who has no ticket counts for nobody, and hears of the ticket.
    wang.0.activate("x", &WANG).await.problem(Code::TicketInvalid);

    fill(&world, "activations-from", 600);
    too_many(zhang.0.activate(&zhang.1, &ZHANG).await, 60);
    fill(&world, "activations-from", 599);
    zhang.0.activate(&zhang.1, &ZHANG).await.ok();
}

/// Somebody at the activation, with their ticket.
async fn activating(world: &World, person: &Civilian) -> (Browser, String) {
    let mut browser = world.browser_with(&world.card_of(person));
    let ticket = browser.sign_in_by_card().await.ticket("identity_required");
    let ticket = browser.identify(&ticket, person.national_id).await.ticket("activation_required");
    (browser, ticket)
}

#[tokio::test]
async fn no_person_tries_more_accounts_than_the_rate_with_however_many_tickets() {
    let world = World::start().await;
    world.signed_in(&ZHANG).await;
    world.begin(HOUR);
    let (mut browser, ticket) = activating(&world, &WANG).await;
    let taken = Civilian { account: ZHANG.account, ..WANG };
    browser.activate(&ticket, &taken).await.problem(Code::AccountTaken);
    fill(&world, "activations", 29);
    let another = browser.sign_in_by_card().await.ticket("activation_required");
    browser.activate(&another, &taken).await.problem(Code::AccountTaken);
    too_many(browser.activate(&ticket, &taken).await, 3600);
    let third = browser.sign_in_by_card().await.ticket("activation_required");
    too_many(browser.activate(&third, &WANG).await, 3600);
    world.pass(HOUR);
    let ticket = browser.sign_in_by_card().await.ticket("activation_required");
    browser.activate(&ticket, &WANG).await.ok();
}

#[tokio::test]
async fn identities_of_a_card_across_its_tickets() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    world.begin(HOUR);
    for _ in 0..4 {
        let ticket = wang.sign_in_by_card().await.ticket("identity_required");
        for _ in 0..5 {
            wang.identify(&ticket, NOBODY).await.problem(Code::PersonUnknown);
        }
    }
    let ticket = wang.sign_in_by_card().await.ticket("identity_required");
    too_many(wang.identify(&ticket, NOBODY).await, 3600);
    // The right one is not told either, else trying on would tell it; another card has tries of its own.
    too_many(wang.identify(&ticket, WANG.national_id).await, 3600);
    activating(&world, &ZHANG).await;
    world.pass(HOUR);
    let ticket = wang.sign_in_by_card().await.ticket("identity_required");
    let _ = wang.identify(&ticket, WANG.national_id).await.ticket("activation_required");
}

#[tokio::test]
async fn searches_of_an_actor() {
    let world = World::start().await;
    let (head, desk) = (world.head().await, world.helpdesk().await);
    world.begin(HOUR);
    let (mut head, _) = (head, desk);
    head.sign_in_by_card().await.signed_in();
    head.search(WANG.national_id).await.ok();
    fill(&world, "searches", 299);
    head.search(WANG.national_id).await.ok();
    too_many(head.search(WANG.national_id).await, 3600);
    world.agency("agency-a02").await.search(WANG.national_id).await.ok();
    world.pass(HOUR);
    head.sign_in_by_card().await.signed_in();
    head.search(WANG.national_id).await.ok();
}

#[tokio::test]
async fn resets_by_an_actor() {
    let world = World::start().await;
    let mut head = world.head().await;
    world.begin(HOUR);
    head.sign_in_by_card().await.signed_in();
    head.reset(&WANG, None).await.status(202);
    fill(&world, "resets-by", 119);
    head.reset(&ZHOU, None).await.status(202);
    too_many(head.reset(&ZHOU, None).await, 3600);
    world.agency("agency-a02").await.reset(&ZHOU, None).await.status(202);
}

#[tokio::test]
async fn resets_of_a_person() {
    let world = World::start().await;
    let mut head = world.head().await;
    world.begin(HOUR);
    head.sign_in_by_card().await.signed_in();
    head.reset(&WANG, None).await.status(202);
    fill(&world, "resets-of", 4);
    world.agency("agency-a02").await.reset(&WANG, None).await.status(202);
    too_many(head.reset(&WANG, None).await, 3600);
    head.reset(&ZHOU, None).await.status(202);
}

/// The number of a member of the field `RateLimit` or `RateLimit-Policy`.
fn told(answer: &Answer, field: &str, policy: &str, parameter: &str) -> u64 {
    let members = answer.header(field).unwrap_or_else(|| panic!("no {field}: {answer}")).split(", ");
    let member = members.into_iter().find(|member| member.starts_with(&format!("\"{policy}\";"))).unwrap();
    let value = member.split(';').find_map(|part| part.strip_prefix(&format!("{parameter}=")));
    value.unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_left_is_told_before_it_is_too_much() {
    let world = World::start().await;
    let mut head = world.head().await;
    world.begin(HOUR);
    head.sign_in_by_card().await.signed_in();
    let first = head.search(WANG.national_id).await.ok();
    assert_eq!(told(&first, "ratelimit-policy", "searches", "q"), 300);
    assert_eq!(told(&first, "ratelimit-policy", "searches", "w"), 3600);
    assert_eq!(told(&first, "ratelimit", "searches", "r"), 299);
    assert!((1..=3600).contains(&told(&first, "ratelimit", "searches", "t")), "{first}");
    let unknown = head.search(tests::people::NOBODY).await.problem(Code::EmployeeNotFound);
    assert_eq!(told(&unknown, "ratelimit", "searches", "r"), 298, "whatever comes of it");
    fill(&world, "searches", 300);
    let refused = head.search(WANG.national_id).await.problem(Code::TooManyRequests);
    assert_eq!(told(&refused, "ratelimit", "searches", "r"), 0);
    let reset = head.reset(&WANG, None).await.status(202);
    assert_eq!(told(&reset, "ratelimit", "resets-by", "r"), 119);
    assert_eq!(told(&reset, "ratelimit", "resets-of", "r"), 4);
    fill(&world, "resets-of", 5);
    let refused = head.reset(&WANG, None).await.problem(Code::TooManyRequests);
    assert_eq!(told(&refused, "ratelimit", "resets-of", "r"), 0);
    let sign_in = world.browser().sign_in_by_password("nobody.at.all", "Not-The-Password#1").await;
    assert!(told(&sign_in, "ratelimit", "sign-ins", "r") < 600, "{sign_in}");
}

#[tokio::test]
async fn the_helpdesks_look_at_cards_counts_as_a_search_and_an_unbinding_as_a_reset() {
    let world = World::start().await;
    let mut helpdesk = world.helpdesk().await;
    let wang = world.signed_in(&WANG).await;
    world.begin(HOUR);
    helpdesk.sign_in_by_card().await.signed_in();
    let card = helpdesk.cards_of(&WANG).await.ok().body["cards"][0]["card_id"].as_str().unwrap().to_owned();
    fill(&world, "searches", 300);
    too_many(helpdesk.cards_of(&WANG).await, 3600);
    helpdesk.reset(&ZHOU, Some("forgot")).await.status(202);
    fill(&world, "resets-by", 120);
    too_many(helpdesk.unbind_of(&WANG, &card, "the card is lost").await, 3600);
    fill(&world, "resets-by", 1);
    helpdesk.reset(&WANG, Some("forgot")).await.status(202);
    fill(&world, "resets-of", 5);
    too_many(helpdesk.unbind_of(&WANG, &card, "the card is lost").await, 3600);
    assert_eq!(helpdesk.search(WANG.national_id).await.status, 429, "it is one counter");
    fill(&world, "resets-of", 4);
    helpdesk.unbind_of(&WANG, &card, "the card is lost").await.status(204);
    drop(wang);
}

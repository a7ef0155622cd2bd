//! Personal data and secrets: in no table in clear, in no log at all. Every test's log is searched at its end; here a
//! whole walk through the manual is, and what it leaves in the tables.

use local::pki::card::CardRequest;
use serde_json::json;
use shared::notice::Notice;
use shared::problem::Code;
use tests::client::{APP, DESK, HR_PORTAL, with_token};
use tests::people::{Civilian, HEAD, LI, STAFF, SUN, WANG, ZHANG, ZHOU};
use tests::world::{World, eventually};
use tests::{log, table};

const TABLES: &[&str] = &[
    "ACCOUNTS_TABLE",
    "AUDIT_TABLE",
    "AUTHORIZATIONS_TABLE",
    "CHAINS_TABLE",
    "MAIL_TABLE",
    "REVOCATIONS_TABLE",
    "SESSIONS_TABLE",
    "TICKETS_TABLE",
];

/// The number of cards whose number is looked for.
const NUMBER: &str = "3141592653589793";

fn numbered(person: &Civilian) -> CardRequest {
    CardRequest {
        serial_number: Some(NUMBER.to_owned()),
        ..CardRequest::citizen(person.name, person.id_tail())
    }
}

/// Everything that the manual lets happen, refusals included; mails wait in the outbox or are sent.
async fn walk(world: &World) -> Vec<String> {
    let head = world.head().await;
    let helpdesk = world.helpdesk().await;
    let mut wang = world.signed_in(&WANG).await;
    wang.sign_in_by_password(WANG.account, "Not-The-Password#1").await.problem(Code::InvalidCredentials);
    wang.sign_in_by_password_for_token(WANG.national_id, WANG.password).await.signed_in();
    wang.post("/v1/session/token", json!({})).await.ok();
    let mut sun = world.browser_with(&world.card_of(&SUN));
    let identity = sun.sign_in_by_card().await.ticket("identity_required");
    sun.identify(&identity, SUN.national_id).await.problem(Code::PersonDeparted);
    let _ = sun.sign_in_by_card().await.ticket("identity_required");

    // A card is renewed, another one lost; a third waits to be bound.
    for _ in 0..2 {
        let card = world.issue(&numbered(&ZHANG));
        let mut zhang = world.browser_with(&card);
        let answer = zhang.sign_in_by_card().await;
        if answer.body["status"] == "identity_required" {
            let activation = zhang.identify(&answer.ticket("identity_required"), ZHANG.national_id).await;
            zhang.activate(&activation.ticket("activation_required"), &ZHANG).await.ok();
        }
    }
    let lost = helpdesk.cards_of(&WANG).await.ok().body["cards"][0]["card_id"].as_str().unwrap().to_owned();
    helpdesk.unbind_of(&WANG, &lost, "the card is lost").await.status(204);
    let _ = world.browser_with(&world.issue(&numbered(&LI))).sign_in_by_card().await;
    world.browser_with(&world.issue(&numbered(&LI))).code().await;

    let initial = world.initial_password(&helpdesk, &ZHOU).await;
    let mut zhou = world.browser();
    let _ = zhou.sign_in_by_password(ZHOU.national_id, &initial).await.ticket("activation_required");
    head.search(ZHOU.national_id).await.ok();
    let file =
        format!("national_id,email\n{},{}\n{},{}\n", LI.national_id, LI.email, WANG.national_id, WANG.email);
    let bulk = head.upload("?include_active=true", file).await.status(201).text_of("bulk_id");
    head.confirm_bulk(&bulk).await.status(202);
    eventually("the bulk reset is done", async || {
        (head.bulk(&bulk, "").await.ok().body["state"] == "done").then_some(())
    })
    .await;
    let duty = json!({"national_id": STAFF.national_id, "name": STAFF.name, "agency": "A03"});
    let at = "/v1/hr/authorizations/00000000-0000-4000-8000-000000000001";
    head.request("PUT", at).json(duty).send().await.status(201);
    head.request("POST", &format!("{at}/withdraw")).send().await.ok();
    // An application on another origin, and a code that waits.
    let tokens = HR_PORTAL.asks().tokens(&head, &world.stack.portal_url, world.now()).await;
    with_token(&head, &tokens).get("/userinfo").await.ok();
    DESK.asks().tokens(&head, &world.stack.portal_url, world.now()).await;
    APP.asks().code(&head).await;
    let person = world.person_id(&WANG).await;
    let unbound = Notice::CardUnbound { issuer_name: "MOICA G3".to_owned(), number_tail: "4321".to_owned() };
    let told = world.tell(&person, &unbound).await;
    eventually("the notice is sent", async || world.mails_of(&told).await.into_iter().next()).await;
    head.ask_email("head@example.org", json!(null)).await.status(202);
    let code = world.mailed_code("head@example.org", 1).await;
    head.confirm_email("0000 0000").await.problem(Code::EmailCodeWrong);
    head.confirm_email(&code).await.status(204);
    // These mails stay in the outbox.
    world.stack.stop_stream().await;
    head.ask_email("another@example.org", json!(null)).await.status(202);
    world.tell(&person, &unbound).await;
    head.reset(&WANG, None).await.status(202);
    vec![initial]
}

#[tokio::test]
async fn no_table_holds_a_national_id_an_email_or_a_secret_in_clear() {
    let world = World::start().await;
    let initial = walk(&world).await;
    let mut dump = String::new();
    for name in TABLES {
        let items = table::items(&world.stack, name);
        assert!(!items.is_empty(), "{name} is empty: the walk goes past it");
        dump.push_str(&serde_json::to_string(&items).unwrap());
    }
    assert_eq!(log::secrets_in(&dump), [""; 0]);
    let people = local::directory::SAMPLE.lines().skip(1).filter_map(|line| line.split(',').next());
    for national_id in people {
        assert!(!dump.contains(national_id), "{national_id}");
    }
    for person in [WANG, ZHOU, HEAD, SUN, LI] {
        assert!(!dump.contains(person.email) && !dump.contains(person.password), "{}", person.name);
    }
    assert!(initial.iter().all(|password| !dump.contains(password)));
    assert!(!dump.contains(NUMBER), "a card's number");
    assert!(dump.contains(WANG.name) && dump.contains("card_renewal"), "the dump is one");
}

#[tokio::test]
async fn no_log_holds_anything_personal_or_secret() {
    let world = World::start().await;
    walk(&world).await;
    let text = log::text();
    for step in [
        "password-login",
        "certificate-login",
        "activation",
        "account",
        "session",
        "oidc",
        "hr-reset",
        "bulk-reset",
        "authorizations",
        "email-dispatch",
    ] {
        assert!(
            text.contains(&format!(r#""step":"{step}""#)),
            "{step} wrote no line: the search sees nothing"
        );
    }
    assert!(log::forbidden() > 40, "{} texts are searched for", log::forbidden());
    assert_eq!(log::found_in(&text), [""; 0]);
    for line in local::directory::SAMPLE.lines().skip(1) {
        let mut fields = line.split(',');
        for personal in [fields.next().unwrap(), fields.next().unwrap()] {
            assert!(!text.contains(personal), "{personal}");
        }
    }
    assert!(!text.contains(NUMBER), "a card's number");
    for needle in [
        "example.gov.tw",
        "example.org",
        "BEGIN CERTIFICATE",
        "$argon2",
        "__Host-session",
        "Bearer ",
        "#code=",
    ] {
        assert!(!text.contains(needle), "{needle}");
    }
}

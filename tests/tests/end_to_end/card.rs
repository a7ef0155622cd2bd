//! The card (作法一; 貳、1): first sign-in, binding, activation, and every sign-in after it.

use futures_util::future::join_all;
use jiff::SignedDuration;
use local::pki::card::CardRequest;
use serde_json::json;
use shared::problem::Code;
use tests::browser::ProofKey;
use tests::people::{HELPDESK, LI, NAMESAKE, NOBODY, SUN, WANG, ZHANG};
use tests::world::{World, eventually};
use tests::{prepared, table};

#[tokio::test]
async fn the_first_sign_in_by_card_leads_through_identity_and_activation() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.sample_card("wang-xiaoming"));
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let activation = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    let activated = wang.activate(&activation, &WANG).await.ok();
    assert_eq!(activated.body, json!({"status": "activated"}));
    assert_eq!(activated.session(), None, "附註二: signing in anew confirms it");

    wang.sign_in_by_card().await.signed_in();
    let session = wang.get("/v1/session").await.ok();
    assert_eq!(session.body["name"], WANG.name);
    assert_eq!(session.body["account"], WANG.account);
    assert_eq!(session.body["amr"], json!(["sc"]));

    let mut elsewhere = world.browser();
    elsewhere.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    elsewhere.sign_in_by_password(WANG.national_id, WANG.password).await.signed_in();
}

#[tokio::test]
async fn a_wrong_identifier_leaves_the_ticket_good() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let ticket = wang.sign_in_by_card().await.ticket("identity_required");
    let wrong = [
        ("(1.) not in the directory", NOBODY, Code::PersonUnknown),
        ("(1.) no identifier at all", "？？", Code::PersonUnknown),
        ("(3.) another person", ZHANG.national_id, Code::IdentityMismatch),
        ("(3.) another person of the same name", NAMESAKE.national_id, Code::IdentityMismatch),
    ];
    for (what, identifier, code) in wrong {
        let answer = wang.identify(&ticket, identifier).await.problem_of(code, "identifier");
        assert_eq!(answer.session(), None, "{what}");
    }
    let _ = wang.identify(&ticket, WANG.national_id).await.ticket("activation_required");
    wang.identify(&ticket, WANG.national_id).await.problem(Code::TicketInvalid);
}

#[tokio::test]
async fn five_wrong_identifiers_use_the_ticket_up() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let ticket = wang.sign_in_by_card().await.ticket("identity_required");
    for _ in 0..5 {
        wang.identify(&ticket, NOBODY).await.problem(Code::PersonUnknown);
    }
    wang.identify(&ticket, WANG.national_id).await.problem(Code::TicketInvalid);
}

#[tokio::test]
async fn many_wrong_identifiers_at_once_are_five() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let ticket = wang.sign_in_by_card().await.ticket("identity_required");
    let tries = (0..12).map(|_| {
        let (mut browser, ticket) = (wang.clone(), ticket.clone());
        async move { browser.identify(&ticket, NOBODY).await }
    });
    let told = join_all(tries).await.iter().filter(|answer| answer.body["code"] == "person_unknown").count();
    assert!(told <= 5, "{told} learned something");
    wang.identify(&ticket, WANG.national_id).await.problem(Code::TicketInvalid);
}

#[tokio::test]
async fn a_departed_person_may_not_sign_in_by_card() {
    let world = World::start().await;
    let mut sun = world.browser_with(&world.sample_card("departed"));
    let ticket = sun.sign_in_by_card().await.ticket("identity_required");
    sun.identify(&ticket, SUN.national_id).await.problem_of(Code::PersonDeparted, "identifier");

    let mut wang = world.signed_in(&WANG).await;
    world.depart(&WANG).await;
    wang.sign_in_by_card().await.problem(Code::PersonDeparted);
}

#[tokio::test]
async fn a_card_may_lack_the_digits_and_the_custom_account_may_name_its_holder() {
    let world = World::start().await;
    let first = world.sample_card("li-si");
    world.activated_with(&LI, &first).await;
    // A second card of the same person, bound by custom account: already activated, so signed in at once, with the password
    // that says that it is no namesake's.
    let second =
        world.issue(&CardRequest { directory_attributes: false, ..CardRequest::citizen(LI.name, "0000") });
    let mut li = world.browser_with(&second);
    let ticket = li.sign_in_by_card().await.ticket("identity_required");
    li.identify_with(&ticket, &LI.account.to_uppercase(), LI.password).await.signed_in();
    for card in [first, second] {
        world.browser_with(&card).sign_in_by_card().await.signed_in();
    }
}

#[tokio::test]
async fn a_renewed_card_is_the_same_card() {
    let world = World::start().await;
    let serial_number = Some("1234567890123456".to_owned());
    let request = CardRequest { serial_number, ..CardRequest::citizen(WANG.name, WANG.id_tail()) };
    world.activated_with(&WANG, &world.issue(&request)).await;
    let renewed = world.issue(&request);
    world.browser_with(&renewed).sign_in_by_card().await.signed_in();
}

#[tokio::test]
async fn a_card_belongs_to_one_person() {
    let world = World::start().await;
    // Two people of one name, and a card that does not say which of them.
    let request = CardRequest { directory_attributes: false, ..CardRequest::citizen(WANG.name, "0000") };
    let card = world.issue(&request);
    let (mut one, mut other) = (world.browser_with(&card), world.browser_with(&card));
    let first = one.sign_in_by_card().await.ticket("identity_required");
    let second = other.sign_in_by_card().await.ticket("identity_required");
    let _ = one.identify(&first, WANG.national_id).await.ticket("activation_required");
    other.identify(&second, NAMESAKE.national_id).await.problem(Code::IdentityMismatch);
    let _ = other.identify(&second, WANG.national_id).await.ticket("activation_required");
}

#[tokio::test]
async fn activating_by_card_voids_the_initial_password() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let initial = world.initial_password(&helpdesk, &WANG).await;
    world.signed_in(&WANG).await;
    let mut wang = world.browser();
    wang.sign_in_by_password(WANG.national_id, &initial).await.problem(Code::InvalidCredentials);
}

#[tokio::test]
async fn a_code_works_once_and_for_whom_it_was_made() {
    let world = World::start().await;
    let wang = world.browser_with(&world.card_of(&WANG));
    let (code, verifier) = wang.code().await;
    let exchange = async |code: &str, verifier: &str| {
        wang.post("/v1/login/certificate", json!({"code": code, "verifier": verifier})).await
    };
    exchange(&code, &ProofKey::random().verifier).await.problem(Code::TicketInvalid);
    exchange(&ProofKey::random().verifier, &verifier).await.problem(Code::TicketInvalid);
    exchange("no code", &verifier).await.problem(Code::TicketInvalid);
    exchange(&code, "short").await.problem_of(Code::RequestInvalid, "verifier");
    let _ = exchange(&code, &verifier).await.ticket("identity_required");
    exchange(&code, &verifier).await.problem(Code::TicketInvalid);
}

#[tokio::test]
async fn of_many_exchanges_at_once_one_succeeds() {
    let world = World::start().await;
    let wang = world.browser_with(&world.card_of(&WANG));
    let (code, verifier) = wang.code().await;
    let body = json!({"code": code, "verifier": verifier});
    let exchanges = (0..8).map(|_| wang.post("/v1/login/certificate", body.clone()));
    let answers = join_all(exchanges).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem(Code::TicketInvalid);
    }
}

#[tokio::test]
async fn codes_and_tickets_end() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let (code, verifier) = wang.code().await;
    world.pass(SignedDuration::from_secs(61));
    let body = json!({"code": code, "verifier": verifier});
    wang.post("/v1/login/certificate", body).await.problem(Code::TicketExpired);

    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    world.pass(SignedDuration::from_secs(901));
    wang.identify(&identity, WANG.national_id).await.problem(Code::TicketExpired);

    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let activation = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    world.pass(SignedDuration::from_secs(901));
    wang.activate(&activation, &WANG).await.problem(Code::TicketExpired);
}

#[tokio::test]
async fn the_card_host_asks_for_a_challenge() {
    let world = World::start().await;
    let wang = world.browser_with(&world.card_of(&WANG));
    for challenge in ["", "too-short", &"a".repeat(44)] {
        wang.show_card(challenge).await.problem_of(Code::RequestInvalid, "challenge");
    }
}

#[tokio::test]
async fn a_browser_is_sent_back_to_the_portal() {
    let world = World::start().await;
    let wang = world.browser_with(&world.card_of(&WANG));
    let key = ProofKey::random();
    let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    let answer = wang.card_request(&key.challenge).header("accept", accept).send().await.status(303);
    let location = answer.header("location").unwrap();
    let code = location.strip_prefix(&format!("{}/card#code=", world.stack.portal_url)).unwrap();
    let body = json!({"code": code, "verifier": key.verifier});
    let _ = wang.post("/v1/login/certificate", body).await.ticket("identity_required");

    let encryption = world.browser_with(&world.sample_card("encryption"));
    let answer = encryption.card_request(&key.challenge).header("accept", accept).send().await.status(303);
    let page = format!("{}/card#problem=certificate_wrong_kind", world.stack.portal_url);
    assert_eq!(answer.header("location"), Some(page.as_str()));
}

#[tokio::test]
async fn the_gateway_refuses_what_does_not_chain_or_is_not_of_now() {
    let world = World::start().await;
    let tomorrow = CardRequest {
        not_before: Some(world.now() + SignedDuration::from_hours(24)),
        ..CardRequest::citizen(WANG.name, WANG.id_tail())
    };
    let callers = [
        ("of another CA", world.browser_with(&prepared::foreign_card())),
        ("expired", world.browser_with(&world.sample_card("expired"))),
        ("not yet valid", world.browser_with(&world.issue(&tomorrow))),
    ];
    for (what, caller) in callers {
        let refused = caller.card_request(&ProofKey::random().challenge).send().await.status(403);
        assert_eq!(refused.text, r#"{"message":"Forbidden"}"#, "{what}");
    }
    let nobody = world.browser().card_request(&ProofKey::random().challenge).try_send().await;
    assert!(nobody.is_err(), "no certificate: {}", nobody.unwrap());
}

#[tokio::test]
async fn the_sign_in_page_and_no_other_may_read_what_its_script_asks() {
    let world = World::start().await;
    let cards = [
        (world.sample_card("wang-xiaoming"), 200),
        (world.sample_card("encryption"), 403),
        // The gateway's own answer, which the page must not be able to take for one of the function's.
        (world.sample_card("expired"), 403),
    ];
    let foreign = "https://evil.example".to_owned();
    for (origin, let_in) in [(world.stack.portal_url.clone(), true), (foreign, false)] {
        for (number, (card, status)) in cards.iter().enumerate() {
            let browser = world.browser_with(card);
            let request = browser.card_request(&ProofKey::random().challenge).header("origin", &origin);
            let answer = request.send().await.status(*status);
            let read = (let_in && number < 2).then_some(origin.as_str());
            assert_eq!(answer.header("access-control-allow-origin"), read, "{answer}");
            assert_eq!(answer.header("access-control-allow-credentials"), read.map(|_| "true"), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_function_checks_again_what_the_gateway_let_through() {
    let world = World::start().await;
    let handed = async |pem: &str| world.hand_over(world.card_event(Some(pem), "en")).await;
    world.hand_over(world.card_event(None, "en")).await.problem(Code::CertificateRequired);
    handed("").await.problem(Code::CertificateRequired);
    for pem in ["no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        handed(pem).await.problem(Code::CertificateUntrusted);
    }
    handed(&prepared::foreign_card().certificate_pem).await.problem(Code::CertificateUntrusted);
    handed(&world.sample_card("expired").certificate_pem).await.problem(Code::CertificateExpired);
    // A CA of the truststore chains, but it is nobody's card.
    let truststore = std::fs::read_to_string(&world.stack.paths.truststore).unwrap();
    handed(&truststore).await.problem(Code::CertificateWrongKind);
    let pem = world.sample_card("wang-xiaoming").certificate_pem;
    for pem in [pem.trim_end().to_owned(), format!("{}\n", pem.trim_end()), pem.replace('\n', "\r\n")] {
        handed(&pem).await.ok();
    }
}

#[tokio::test]
async fn a_certificate_is_judged_by_the_stand_ins_time() {
    let world = World::start().await;
    let until = world.now() + SignedDuration::from_hours(1);
    let request = CardRequest { not_after: Some(until), ..CardRequest::citizen(WANG.name, WANG.id_tail()) };
    let wang = world.browser_with(&world.issue(&request));
    let challenge = ProofKey::random().challenge;
    wang.show_card(&challenge).await.ok();
    world.pass(SignedDuration::from_hours(2));
    wang.show_card(&challenge).await.problem(Code::CertificateExpired);
    world.pass(SignedDuration::from_hours(-48));
    wang.show_card(&challenge).await.problem(Code::CertificateNotYetValid);
}

#[tokio::test]
async fn the_other_certificate_of_the_card_does_not_sign_in() {
    let world = World::start().await;
    let encryption = world.browser_with(&world.sample_card("encryption"));
    encryption.show_card(&ProofKey::random().challenge).await.problem(Code::CertificateWrongKind);
}

#[tokio::test]
async fn a_revoked_card_is_refused_and_others_are_not() {
    let world = World::start().await;
    let card = world.card_of(&WANG);
    let wang = world.activated_with(&WANG, &card).await;
    world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
    let challenge = ProofKey::random().challenge;
    eventually("the card is refused", async || {
        (wang.show_card(&challenge).await.body["code"] == "certificate_revoked").then_some(())
    })
    .await;
    let renewed = world.browser_with(&world.card_of(&WANG));
    renewed.show_card(&challenge).await.ok();
}

#[tokio::test]
async fn without_a_fresh_revocation_list_nobody_signs_in_by_card() {
    let world = World::start().await;
    let (wang, agency) =
        (world.browser_with(&world.card_of(&WANG)), world.browser_with(&world.sample_card("agency-a02")));
    let challenge = ProofKey::random().challenge;
    wang.show_card(&challenge).await.ok();
    world.stack.revocations.stop().await;
    world.pass(SignedDuration::from_hours(25));
    wang.show_card(&challenge).await.problem(Code::RevocationUnknown);
    agency.show_card(&challenge).await.problem(Code::RevocationUnknown);
    world.pass(SignedDuration::from_hours(-25));
    wang.show_card(&challenge).await.ok();

    let lists = table::items_of(&world.stack, "REVOCATIONS_TABLE", "issuer#");
    let lists: Vec<_> =
        lists.into_iter().filter(|item| table::text(item, "sk").starts_with("list#")).collect();
    assert_eq!(lists.len(), 2, "one of each CA");
    for list in &lists {
        table::delete(&world.stack, "REVOCATIONS_TABLE", list);
    }
    wang.show_card(&challenge).await.problem(Code::RevocationUnknown);
    for list in &lists {
        table::put(&world.stack, "REVOCATIONS_TABLE", list);
    }
    wang.show_card(&challenge).await.ok();
}

#[tokio::test]
async fn an_organization_certificate_signs_in_as_its_agency() {
    let world = World::start().await;
    let agency = world.agency("agency-a02").await;
    let session = agency.get("/v1/session").await.ok();
    assert_eq!(session.body["subject"], "agency");
    assert_eq!(session.body["agency"], "A02");
    assert_eq!(session.body["roles"], json!([]));
    assert_eq!(session.body["account"], json!(null));

    let unknown = CardRequest::organization("無此機關", "2.16.886.101.99999");
    let unknown = world.browser_with(&world.issue(&unknown));
    unknown.show_card(&ProofKey::random().challenge).await.problem(Code::PersonUnknown);
}

#[tokio::test]
async fn a_bound_card_goes_on_signing_in_after_a_reset() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let mut wang = world.signed_in(&WANG).await;
    helpdesk.reset(&WANG, Some("the card is lost")).await.status(202);
    wang.get("/v1/session").await.problem(Code::SessionRequired);
    wang.sign_in_by_card().await.signed_in();
    wang.get("/v1/session").await.ok();
}

#[tokio::test]
async fn a_card_that_was_bound_before_the_activation_leads_to_it() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let _ = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    // The page was closed; the card is bound all the same.
    let activation = wang.sign_in_by_card().await.ticket("activation_required");
    wang.activate(&activation, &WANG).await.ok();
    wang.sign_in_by_card().await.signed_in();
}

#[tokio::test]
async fn binding_gives_a_program_its_token_at_once() {
    let world = World::start().await;
    world.signed_in(&HELPDESK).await;
    let mut program = world.browser_with(&world.card_of(&HELPDESK));
    let ticket = program.sign_in_by_card().await.ticket("identity_required");
    let body = json!({"ticket": ticket, "identifier": HELPDESK.account, "session": "token"});
    let answer = program.sign_in("/v1/login/certificate/identity", body).await.signed_in();
    assert_eq!(answer.header("set-cookie"), None);
    program.get("/v1/session").await.ok();
}

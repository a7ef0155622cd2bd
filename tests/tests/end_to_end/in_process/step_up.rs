//! Resets that need a recent sign-in by card (RFC 9470), where the operator asks for it.

use jiff::SignedDuration;
use shared::language::Language;
use shared::problem::Code;
use tests::browser::Answer;
use tests::client::{HR_PORTAL, returned, with_token};
use tests::people::{HEAD, ZHANG, ZHOU};
use tests::world::World;

fn asks_for_a_card(answer: Answer) {
    let answer = answer.problem(Code::StepUpRequired);
    let expected = "Bearer realm=\"first-sign-in\", error=\"insufficient_user_authentication\", \
                    acr_values=\"urn:first-sign-in:card\", max_age=300";
    assert_eq!(answer.header("www-authenticate"), Some(expected));
}

#[tokio::test]
async fn a_reset_needs_a_recent_sign_in_by_card_when_the_operator_says_so() {
    let world = World::start_with(|options| {
        options.parameters.insert("ResetStepUpSeconds".to_owned(), "300".to_owned());
    })
    .await;
    let mut head = world.head().await;
    let agency = world.agency("agency-a02").await;
    head.reset(&ZHOU, None).await.status(202);
    agency.reset(&ZHANG, None).await.status(202);
    world.pass(SignedDuration::from_secs(301));
    for (browser, language) in [(head.clone(), Language::ZhTw), (head.reading("en"), Language::En)] {
        let answer = browser.reset(&ZHOU, None).await;
        assert_eq!(answer.text_of("detail"), Code::StepUpRequired.detail(language));
        asks_for_a_card(answer);
    }
    asks_for_a_card(agency.reset(&ZHOU, None).await);
    // Looking is not acting; and who may not reset hears of that.
    head.search(ZHOU.national_id).await.ok();
    head.reset(&HEAD, None).await.problem(Code::NotAuthorized);
    // A bulk reset is looked at with less; to confirm it is to reset.
    let file = format!("national_id,email\n{},{}\n", ZHANG.national_id, ZHANG.email);
    let bulk = head.upload("", file).await.status(201).text_of("bulk_id");
    asks_for_a_card(head.confirm_bulk(&bulk).await);
    assert_eq!(head.bulk(&bulk, "").await.ok().body["state"], "preview", "as it was");

    // A password is no card, however recent.
    let mut by_password = world.browser();
    by_password.sign_in_by_password(HEAD.account, HEAD.password).await.signed_in();
    asks_for_a_card(by_password.reset(&ZHOU, None).await);

    // A client is told what to ask for, asks for it, and may.
    let issuer = world.stack.portal_url.clone();
    let weak = HR_PORTAL.asks().tokens(&head, &issuer, world.now()).await;
    asks_for_a_card(with_token(&head, &weak).reset(&ZHOU, None).await);
    let asked = HR_PORTAL.asks().with("acr_values", "urn:first-sign-in:card").with("max_age", "300");
    let page = asked.on_page(&head).await;
    assert_eq!(page.answer(&head, Some("allow")).await.ok().body["why"], "too_old");
    head.sign_in_by_card().await.signed_in();
    let code = returned(&page.answer(&head, None).await.ok()).code.unwrap();
    let exchange = HR_PORTAL.exchange(&issuer, &code, &asked.verifier, world.now());
    let strong = with_token(&head, &exchange.send(&head).await.ok().body);
    strong.reset(&ZHOU, None).await.status(202);
    head.confirm_bulk(&bulk).await.status(202);
    // So long after the sign-in, not after the token.
    world.pass(SignedDuration::from_secs(200));
    let later = HR_PORTAL.asks().tokens(&head, &issuer, world.now()).await;
    world.pass(SignedDuration::from_secs(101));
    asks_for_a_card(with_token(&head, &later).reset(&ZHOU, None).await);
}

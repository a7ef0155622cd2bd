//! Whole answers of every operation that succeeds: status, headers, body, as a reviewer reads them.

use jiff::SignedDuration;
use serde_json::json;
use tests::browser::{Answer, ProofKey};
use tests::people::{Civilian, HEAD_ELSEWHERE, STAFF, WANG, ZHANG, ZHOU};
use tests::world::{World, eventually};

/// Shows an answer without what differs each time.
fn show(name: &str, answer: &Answer) {
    insta::with_settings!({filters => vec![
        (r"apigw-requestid: .+", "apigw-requestid: [id]"),
        (r"[A-Za-z0-9_-]{43}\.p\.[A-Za-z0-9_-]{43}", "[session].p.[person]"),
        (r"[A-Za-z0-9_-]{43}\.a\.", "[session].a."),
        (r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}", "[token]"),
        (r"[A-Za-z0-9_-]{43}", "[secret]"),
        (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", "[time]"),
        (r"\d{4}-\d{2}-\d{2}", "[day]"),
        (r"localhost:\d+", "localhost:[port]"),
        (r";r=\d+;t=\d+", ";r=[left];t=[seconds]"),
    ]}, { insta::assert_snapshot!(name, answer.to_string()) });
}

#[tokio::test]
async fn of_a_first_sign_in_by_card() {
    let world = World::start().await;
    let mut wang = world.browser_with(&world.card_of(&WANG));
    let key = ProofKey::random();
    let shown = wang.show_card(&key.challenge).await.ok();
    show("card", &shown);
    show("card_in_a_browser", &wang.card_request(&key.challenge).header("accept", "text/html").send().await);
    let exchange = json!({"code": shown.text_of("code"), "verifier": key.verifier});
    let identity = wang.sign_in("/v1/login/certificate", exchange).await;
    show("identity_required", &identity);
    let activation = wang.identify(&identity.ticket("identity_required"), WANG.national_id).await;
    show("activation_required", &activation);
    show("activated", &wang.activate(&activation.ticket("activation_required"), &WANG).await);
    show("signed_in_by_card", &wang.sign_in_by_card().await);
    show("person", &wang.get("/v1/session").await);
    let change = json!({"password": "Dadaocheng-Pier#19", "password_confirmation": "Dadaocheng-Pier#19"});
    show("password_changed", &wang.post("/v1/account/password", change).await);
    show("email_asked", &wang.ask_email("new@example.org", json!(null)).await);
    eventually("the mail is delivered", async || {
        let answer = wang.get("/v1/account/email").await.ok();
        (answer.body["change"]["mail"] == "delivered").then_some(())
    })
    .await;
    show("email_waiting", &wang.get("/v1/account/email").await);
    let code = world.mailed_code("new@example.org", 1).await;
    show("email_confirmed", &wang.confirm_email(&code).await);
    show("signed_out", &wang.request("DELETE", "/v1/session").send().await);
    let mut program = world.browser();
    show("token", &program.sign_in_by_password_for_token(WANG.account, "Dadaocheng-Pier#19").await);
    show("fresh_token", &program.post("/v1/session/token", json!({})).await);
    show("keys", &program.get("/.well-known/jwks.json").await);
}

#[tokio::test]
async fn of_a_reset_by_an_agency() {
    let world = World::start().await;
    let agency = world.agency("agency-a02").await;
    show("agency", &agency.get("/v1/session").await);
    show("employee", &agency.search(ZHOU.national_id).await);
    world.stack.ses.hold_events(true);
    let reset = agency.reset(&ZHOU, None).await;
    show("reset", &reset);
    let id = reset.text_of("reset_id");
    world.mail_is(&agency, &id, "sent").await;
    show("reset_state", &agency.reset_state(&id).await);
    show("resent", &agency.resend(&id).await);
    let nobody = Civilian { email: "bounce@simulator.amazonses.com", ..ZHANG };
    let id = agency.reset(&nobody, None).await.text_of("reset_id");
    world.mail_is(&agency, &id, "sent").await;
    world.stack.ses.hold_events(false);
    world.mail_is(&agency, &id, "bounced").await;
    show("reset_bounced", &agency.reset_state(&id).await);
}

#[tokio::test]
async fn of_a_concurrent_duty() {
    let world = World::start().await;
    let (head, there) = (world.head().await, world.signed_in(&HEAD_ELSEWHERE).await);
    let at = "/v1/hr/authorizations/00000000-0000-4000-8000-000000000001";
    let until = (world.now() + SignedDuration::from_hours(24 * 90)).to_string()[..10].to_owned();
    let duty = json!({"national_id": STAFF.national_id, "agency": "A03", "until": until});
    show("duty_requested", &head.request("PUT", at).json(duty.clone()).send().await);
    show("duty_waiting", &there.get("/v1/hr/authorizations?state=requested").await);
    show("duty_accepted", &there.request("POST", &format!("{at}/accept")).send().await);
    show("duty_again", &head.request("PUT", at).json(duty).send().await);
    show("duty_revoked", &there.request("DELETE", at).send().await);
    show("duty_history", &head.get(at).await);
}

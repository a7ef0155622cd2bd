//! A stand-in with CAs of somebody else's, in another year.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use local::pki::Pki;
use local::pki::card::{Card, CardRequest};
use serde_json::json;
use tests::browser::ProofKey;
use tests::people::WANG;
use tests::prepared;
use tests::program::Program;
use tests::world::eventually;

const CLOCK: &str = "2015-06-15T12:00:00Z";

#[tokio::test]
async fn foreign_cas_decide_at_the_given_time() {
    let folder = tempfile::tempdir().unwrap();
    let [data, theirs] = ["own", "theirs"].map(|name| folder.path().join(name));
    prepared::pki(&data);
    let own = Card::read(&data.join("cards/wang-xiaoming")).unwrap();
    let now: Timestamp = CLOCK.parse().unwrap();
    let day = SignedDuration::from_hours(24);
    let pki = Pki::open(&theirs, now).unwrap();
    let valid = |not_before: Timestamp, not_after: Timestamp| {
        let request = CardRequest::citizen(WANG.name, WANG.id_tail());
        let request = CardRequest { not_before: Some(not_before), not_after: Some(not_after), ..request };
        pki.issue(&request, now).unwrap()
    };
    let good = valid(now - day, now + day);
    let expired = valid(now - day, now - SignedDuration::from_hours(1));
    // By the system's time it is the good one.
    let future = valid(now + day, now + day * 36_500);

    let truststore = theirs.join("truststore");
    let [bundle, issuers] = ["truststore.pem", "issuers.toml"].map(|name| truststore.join(name));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (bundle, issuers) = (path(&bundle), path(&issuers));
    let options = ["--truststore", &bundle, "--issuers", &issuers, "--clock", CLOCK];
    let challenge = || ProofKey::random().challenge;

    let program = Program::serve_with(&data, &options).await;
    let mut wang = program.browser_with(Some(&good));
    let ticket = wang.sign_in_by_card().await.ticket("identity_required");
    let ticket = wang.identify(&ticket, WANG.national_id).await.ticket("activation_required");
    wang.activate(&ticket, &WANG).await.ok();
    wang.sign_in_by_card().await.signed_in();
    let session = wang.get("/v1/session").await.ok();
    assert_eq!(session.body["amr"], json!(["sc"]));
    assert!(session.text_of("expires_at").starts_with("2015-06-15T"), "{session}");
    for (what, card) in [("of the test CA", &own), ("expired", &expired), ("not yet valid", &future)] {
        let browser = program.browser_with(Some(card));
        let refused = browser.card_request(&challenge()).send().await;
        assert!(refused.is_the_gateways() && refused.status == 403, "a card {what}: {refused}");
    }
    program.kill().await;

    // The same directory again: the card is known, and its CA's list is watched where it lies.
    let program = Program::serve_with(&data, &options).await;
    let mut wang = program.browser_with(Some(&good));
    wang.sign_in_by_card().await.signed_in();
    pki.revoke(good.certificate_pem.as_bytes(), now).unwrap();
    eventually("the card is refused", async || {
        let answer = wang.show_card(&challenge()).await;
        (answer.body["code"] == "certificate_revoked").then_some(())
    })
    .await;
    program.kill().await;
}

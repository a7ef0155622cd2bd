//! A card is revoked: nobody signs in with it, what it has opened ends, and its person is told. And back again.

use local::pki::card::CardRequest;
use shared::certificate::Kind;
use tests::browser::ProofKey;
use tests::people::{WANG, ZHOU};
use tests::table;
use tests::world::{World, eventually};

#[tokio::test]
async fn a_revoked_card_ends_its_sessions_and_its_person_is_told() {
    let world = World::start().await;
    let (card, other_card) = (world.card_of(&WANG), world.card_of(&ZHOU));
    let by_card = world.activated_with(&WANG, &card).await;
    let somebody_else = world.activated_with(&ZHOU, &other_card).await;
    let mut by_password = world.browser();
    by_password.sign_in_by_password(WANG.account, WANG.password).await.signed_in();

    world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
    eventually("the session ends", async || (by_card.get("/v1/session").await.status == 401).then_some(()))
        .await;
    let challenge = ProofKey::random().challenge;
    assert_eq!(by_card.show_card(&challenge).await.body["code"], "certificate_revoked");
    by_password.get("/v1/session").await.ok();
    somebody_else.get("/v1/session").await.ok();

    let [mail] = world.mails_of_notices("card_revoked").await.try_into().unwrap();
    assert_eq!(mail.to, WANG.email);
    assert!(mail.text.contains("MOICA"), "{}", mail.text);
    let audited = || {
        let entries = table::items_of(&world.stack, "AUDIT_TABLE", "person#");
        entries.into_iter().filter(|entry| table::text(entry, "action") == "certificate_revocation").count()
    };
    assert_eq!(audited(), 1);

    // Another list with the same entry: nobody is told twice of one revocation.
    let other = world.issue(&CardRequest::citizen("無人", "0000"));
    world.stack.pki.revoke(other.certificate_pem.as_bytes(), world.now()).unwrap();
    world.stack.revocations.run().await.unwrap();
    assert_eq!((audited(), world.mails_of_notices("card_revoked").await.len()), (1, 1));
}

#[tokio::test]
async fn a_card_that_is_good_again_signs_in_again() {
    let world = World::start().await;
    let card = world.card_of(&WANG);
    let mut wang = world.activated_with(&WANG, &card).await;
    let challenge = ProofKey::random().challenge;
    world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
    eventually("the card is refused", async || {
        (wang.show_card(&challenge).await.body["code"] == "certificate_revoked").then_some(())
    })
    .await;
    wang.get("/v1/session").await.status(401);

    world.stack.pki.reinstate_all(Kind::Citizen, world.now()).unwrap();
    eventually("the card is good", async || (wang.show_card(&challenge).await.status == 200).then_some(()))
        .await;
    wang.sign_in_by_card().await.signed_in();
    wang.get("/v1/session").await.ok();
}

#[tokio::test]
async fn an_agencys_sessions_end_with_its_card() {
    let world = World::start().await;
    let card = world.issue(&CardRequest::organization("範例市政府", "2.16.886.101.90002"));
    let mut agency = world.browser_with(&card);
    agency.sign_in_by_card().await.signed_in();
    world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
    eventually("the session ends", async || (agency.get("/v1/session").await.status == 401).then_some(()))
        .await;
    agency.search(WANG.national_id).await.status(401);
}

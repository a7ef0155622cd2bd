//! A card is revoked while it is being used: what it opened ends, wherever the revocation comes between; and a renewal by
//! another generation of its CA.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use local::pki::card::{Card, CardRequest};
use local::pki::{Generation, Pki};
use serde_json::json;
use shared::card::{EndedCertificates, Seen};
use shared::certificate::{Reference, Truststore};
use shared::problem::Code;
use shared::session::Subject;
use shared::store::accounts::{Accounts, CertificateUse};
use shared::store::{self, Guard, Transaction};
use shared::{aws, roster};
use tests::browser::Browser;
use tests::people::{NAMESAKE, WANG};
use tests::table;
use tests::world::World;

/// Revokes a card, and runs the sync until the table has it.
async fn revoke(world: &World, card: &Card) {
    world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
    world.stack.revocations.run().await.unwrap();
}

/// How the tables name a card's certificate.
fn reference(world: &World, card: &Card) -> Reference {
    let truststore = Truststore::load(&world.stack.pki.truststore_folder()).unwrap();
    truststore.check(&card.certificate_pem, world.now()).unwrap().certificate().reference()
}

fn audited(world: &World, action: &str, outcome: &str) -> usize {
    let entries = table::items(&world.stack, "AUDIT_TABLE");
    let wanted = |entry: &&table::Item| {
        table::text(entry, "action") == action && table::text(entry, "outcome") == outcome
    };
    entries.iter().filter(wanted).count()
}

async fn accounts(world: &World) -> (Accounts, store::Client) {
    let environment = world.stack.environment();
    let client = store::client(&environment, &aws::sdk_config(&environment).await);
    (Accounts::new(client.clone(), environment.get("ACCOUNTS_TABLE").unwrap()), client)
}

#[tokio::test]
async fn a_card_that_is_renewed_by_the_next_generation_of_its_ca_is_the_same_card() {
    let world = World::start_with(|options| {
        let now = options.clock.now();
        Pki::open(&options.data, now).unwrap().next_generation(now).unwrap();
    })
    .await;
    let serial_number = Some("1234567890123456".to_owned());
    let request = CardRequest { serial_number, ..CardRequest::citizen(WANG.name, WANG.id_tail()) };
    let old = world.issue(&request);
    let wang = world.activated_with(&WANG, &old).await;
    let [bound] = wang.cards().await.try_into().unwrap();
    assert_eq!(bound["issuer"], "MOICA (test)");

    let renewed = world.issue(&CardRequest { generation: Generation::Second, ..request.clone() });
    assert_ne!(reference(&world, &renewed).issuer, reference(&world, &old).issuer);
    let mut with_new = world.browser_with(&renewed);
    with_new.sign_in_by_card().await.signed_in();
    let [known] = with_new.cards().await.try_into().unwrap();
    assert_eq!(known["card_id"], bound["card_id"]);
    assert_eq!((&known["issuer"], &known["bound_at"]), (&json!("MOICA G2 (test)"), &bound["bound_at"]));
    assert_eq!(audited(&world, "card_renewal", "success"), 1);

    // The old card, revoked as superseded, takes its own sessions along and no others.
    revoke(&world, &old).await;
    wang.get("/v1/session").await.problem(Code::SessionRequired);
    with_new.get("/v1/session").await.ok();
    let mut again = world.browser_with(&renewed);
    again.sign_in_by_card().await.signed_in();

    // The same number of another family is another card.
    let revoked = world.browser_with(&old);
    revoked.show_card(&tests::browser::ProofKey::random().challenge).await.problem(Code::CertificateRevoked);
}

#[tokio::test]
async fn what_a_revoked_card_opened_ends_wherever_it_stood() {
    let world = World::start().await;
    let card = world.card_of(&WANG);
    let session = world.activated_with(&WANG, &card).await;
    let mut program = world.browser_with(&card);
    program.sign_in_by_card_for_token().await.signed_in();
    let mut by_password = world.browser();
    by_password.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    let (code, verifier) = session.code().await;

    revoke(&world, &card).await;
    session.get("/v1/session").await.problem(Code::SessionRequired);
    program.post("/v1/session/token", json!({})).await.problem(Code::SessionRequired);
    // A card's fresh session sets a forgotten password; not this one's any more.
    let change = json!({"password": "Dadaocheng-Pier#19", "password_confirmation": "Dadaocheng-Pier#19"});
    session.post("/v1/account/password", change).await.problem(Code::SessionRequired);
    let body = json!({"code": code, "verifier": verifier});
    session.post("/v1/login/certificate", body).await.problem(Code::CertificateRevoked);
    assert_eq!(audited(&world, "certificate_sign_in", "certificate_revoked"), 1);
    by_password.get("/v1/session").await.ok();
    assert_eq!(by_password.cards().await.len(), 1, "it stays bound: a renewal may follow");
}

#[tokio::test]
async fn a_card_that_is_revoked_before_it_is_bound_is_not_bound() {
    let world = World::start().await;
    let card = world.card_of(&WANG);
    let mut wang = world.browser_with(&card);
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    revoke(&world, &card).await;
    wang.identify(&identity, WANG.national_id).await.problem(Code::CertificateRevoked);
    assert!(table::items_of(&world.stack, "ACCOUNTS_TABLE", "card#").is_empty());
    assert_eq!(audited(&world, "card_binding", "certificate_revoked"), 1);
}

#[tokio::test]
async fn a_card_that_is_revoked_before_the_activation_activates_nobody() {
    let world = World::start().await;
    let card = world.card_of(&WANG);
    let mut wang = world.browser_with(&card);
    let identity = wang.sign_in_by_card().await.ticket("identity_required");
    let activation = wang.identify(&identity, WANG.national_id).await.ticket("activation_required");
    revoke(&world, &card).await;
    wang.activate(&activation, &WANG).await.problem(Code::CertificateRevoked);
}

#[tokio::test]
async fn a_renewed_certificate_that_is_revoked_before_its_first_use_is_not_noted() {
    let world = World::start().await;
    let serial_number = Some("1234567890123456".to_owned());
    let request = CardRequest { serial_number, ..CardRequest::citizen(WANG.name, WANG.id_tail()) };
    let mut with_old = world.activated_with(&WANG, &world.issue(&request)).await;
    let renewed = world.issue(&request);
    let with_new = world.browser_with(&renewed);
    let (code, verifier) = with_new.code().await;
    revoke(&world, &renewed).await;
    let body = json!({"code": code, "verifier": verifier});
    with_new.post("/v1/login/certificate", body).await.problem(Code::CertificateRevoked);
    assert_eq!(audited(&world, "card_renewal", "success"), 0);
    with_old.sign_in_by_card().await.signed_in();
}

#[tokio::test]
async fn an_agencys_card_that_is_revoked_ends_its_sessions() {
    let world = World::start().await;
    let card = world.issue(&CardRequest::organization("範例市政府", "2.16.886.101.90002"));
    let mut agency = world.browser_with(&card);
    agency.sign_in_by_card().await.signed_in();
    let other = world.agency("agency-a02").await;
    let (code, verifier) = agency.code().await;
    revoke(&world, &card).await;
    agency.get("/v1/session").await.problem(Code::SessionRequired);
    let body = json!({"code": code, "verifier": verifier});
    agency.post("/v1/login/certificate", body).await.problem(Code::CertificateRevoked);
    other.get("/v1/session").await.ok();
    // The roster brings the agency's name anew, and forgets nothing of this.
    world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
    agency.get("/v1/session").await.problem(Code::SessionRequired);

    // First seen, then revoked, then exchanged.
    let card = world.issue(&CardRequest::organization("範例市政府", "2.16.886.101.90002"));
    let agency = world.browser_with(&card);
    let (code, verifier) = agency.code().await;
    revoke(&world, &card).await;
    let body = json!({"code": code, "verifier": verifier});
    agency.post("/v1/login/certificate", body).await.problem(Code::CertificateRevoked);
}

#[tokio::test]
async fn of_a_sign_in_and_a_revocation_at_once_one_sees_the_other() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    for round in 0..4 {
        let card = world.card_of(&WANG);
        let browser = world.browser_with(&card);
        let identity = browser.clone().sign_in_by_card().await.ticket("identity_required");
        let bind = async {
            // Before the run, or in the midst of it.
            tokio::time::sleep(std::time::Duration::from_millis(round * 15)).await;
            let mut browser = browser.clone();
            let answer = browser.identify(&identity, WANG.national_id).await;
            (browser, answer)
        };
        let ((browser, answer), ()) = tokio::join!(bind, revoke(&world, &card));
        if answer.status == 200 {
            browser.get("/v1/session").await.problem(Code::SessionRequired);
        } else {
            answer.problem(Code::CertificateRevoked);
        }
    }
    // And of a bound card.
    let card = world.card_of(&WANG);
    let mut browser = world.browser_with(&card);
    let identity = browser.sign_in_by_card().await.ticket("identity_required");
    browser.identify(&identity, WANG.national_id).await.signed_in();
    let codes = join_all((0..8).map(|_| browser.code())).await;
    let exchanges = codes.into_iter().enumerate().map(|(at, (code, verifier))| {
        let mut browser: Browser = browser.signed_out();
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(at as u64 * 8)).await;
            let body = json!({"code": code, "verifier": verifier});
            let answer = browser.sign_in("/v1/login/certificate", body).await;
            (browser, answer)
        }
    });
    let (exchanged, ()) = tokio::join!(join_all(exchanges), revoke(&world, &card));
    for (browser, answer) in exchanged {
        if answer.status == 200 {
            browser.get("/v1/session").await.problem(Code::SessionRequired);
        } else {
            answer.problem(Code::CertificateRevoked);
        }
    }
}

#[tokio::test]
async fn a_certificate_is_ended_once_for_a_revocation_and_opens_again_after_it() {
    let world = World::start().await;
    let card = world.card_of(&WANG);
    let mut wang = world.activated_with(&WANG, &card).await;
    let (accounts, client) = accounts(&world).await;
    let known = reference(&world, &card);
    let serials = [known.serial.clone(), known.serial.clone(), "ff".to_owned()];
    let [used] = accounts.certificates_in_use(&known.issuer, &serials).await.unwrap().try_into().unwrap();
    let CertificateUse { reference, subject, card: shown } = &used;
    let person = world.person_id(&WANG).await;
    assert_eq!((reference, subject), (&known, &Subject::Person(person.clone())));
    assert_eq!(shown.as_ref().unwrap().issuer_name, "MOICA (test)");
    let end = async |since: Timestamp, now: Timestamp| {
        let update = accounts.end_certificate(&used, since, now).unwrap();
        Transaction::new().with(Guard::Person, update).commit(&client).await.is_ok()
    };
    let since = world.now() - SignedDuration::from_hours(1);
    assert!(end(since, world.now()).await);
    assert!(!end(since, world.now() + SignedDuration::from_secs(1)).await, "told already");
    assert!(!end(since - SignedDuration::from_hours(1), world.now()).await, "an earlier one is no news");
    wang.get("/v1/session").await.problem(Code::SessionRequired);

    // The suspension was lifted: it signs in again, and what was opened before stays ended.
    world.pass(SignedDuration::from_secs(1));
    let former = wang.clone();
    wang.sign_in_by_card().await.signed_in();
    wang.get("/v1/session").await.ok();
    former.get("/v1/session").await.problem(Code::SessionRequired);

    // The list that had left it out gives it back: ended again, told once.
    let now = world.now();
    assert!(accounts.end_certificate_again(&used, now).await.unwrap());
    assert!(!accounts.end_certificate_again(&used, now).await.unwrap());
    wang.get("/v1/session").await.problem(Code::SessionRequired);
    // And another revocation is another one.
    assert!(end(world.now(), world.now()).await);

    let stored = accounts.person(&person).await.unwrap().unwrap().account.ended_certificates;
    let seen = |at| Seen { certificate: known.clone(), at };
    assert!(stored.end(&seen(world.now() - SignedDuration::from_secs(5))));
    assert!(!stored.end(&seen(world.now() + SignedDuration::from_secs(5))));
}

#[tokio::test]
async fn nobody_is_ended_who_is_not_there() {
    let world = World::start().await;
    let (accounts, client) = accounts(&world).await;
    let card = world.card_of(&NAMESAKE);
    let reference = reference(&world, &card);
    assert_eq!(accounts.certificates_in_use(&reference.issuer, &["1f"]).await.unwrap(), []);
    let none: [&str; 0] = [];
    assert_eq!(accounts.certificates_in_use(&reference.issuer, &none).await.unwrap(), []);
    let person = world.person_id(&NAMESAKE).await;
    // Known to the directory, but no certificate of theirs was ever in use; and somebody of whom nothing is known.
    for subject in [Subject::Person(person.clone()), Subject::Agency("2.16.886.101.99999".to_owned())] {
        let used = CertificateUse { reference: reference.clone(), subject, card: None };
        let update = accounts.end_certificate(&used, world.now(), world.now()).unwrap();
        assert!(Transaction::new().with(Guard::Person, update).commit(&client).await.is_err());
        assert!(!accounts.end_certificate_again(&used, world.now()).await.unwrap());
    }
    assert_eq!(accounts.agency("2.16.886.101.99999").await.unwrap(), None, "nothing was made");
    let agency = accounts.agency("2.16.886.101.90002").await.unwrap().unwrap();
    let named = roster::Agency {
        code: "A02".to_owned(),
        name: "範例市政府".to_owned(),
        oid: "2.16.886.101.90002".to_owned(),
    };
    assert_eq!((agency.agency, agency.ended_certificates), (named, EndedCertificates::default()));
}

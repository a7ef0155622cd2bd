//! Notices: who gets them, that each arrives once, what happens when a service fails or nobody is there to be told, and that
//! neither outbox nor log knows an address.

use local::traffic::{Fault, Service};
use serde_json::{Value, json};
use shared::notice::Notice;
use shared::problem::Code;
use shared::pseudonym::PersonId;
use shared::revocation::Reason;
use tests::log;
use tests::people::{HEAD, SUN, WANG, ZHANG, ZHOU};
use tests::table::{self, Item};
use tests::world::{World, eventually};

pub(crate) fn revoked() -> Notice {
    Notice::CardRevoked {
        issuer_name: "MOICA G3".to_owned(),
        number_tail: "4321".to_owned(),
        since: "2026-08-06T01:02:03Z".parse().unwrap(),
        reason: Reason::KeyCompromise,
    }
}

/// The notice's item in the outbox.
pub(crate) fn entry(world: &World, id: &str) -> Item {
    let mut entries = table::items_of(&world.stack, "MAIL_TABLE", &format!("notice#{id}"));
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

pub(crate) async fn settled(world: &World, id: &str, state: &str) -> Item {
    eventually(&format!("the notice is {state}"), async || {
        let entry = entry(world, id);
        (table::text(&entry, "state") == state).then_some(entry)
    })
    .await
}

/// Hands the notice in by itself, as the operator's guide says to do with a dead letter.
pub(crate) async fn hand_in(world: &World, id: &str) -> Value {
    let record = json!({
        "eventID": "1", "eventName": "INSERT", "awsRegion": "ap-east-2",
        "dynamodb": {"SequenceNumber": "1", "SizeBytes": 1, "Keys": {"pk": {"S": format!("notice#{id}")}}},
    });
    let event = json!({ "Records": [record] });
    let answer = world.stack.functions.invoke("email-dispatch", event).await.unwrap();
    answer["batchItemFailures"].clone()
}

pub(crate) fn broken(service: Service, operation: &str, times: Option<u32>) -> Fault {
    Fault { operation: Some(operation.to_owned()), times, ..Fault::broken(service) }
}

#[tokio::test]
async fn a_notice_arrives_once_and_says_which_card_and_what_to_do() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let id = world.tell(&world.person_id(&WANG).await, &revoked()).await;
    settled(&world, &id, "delivered").await;
    assert_eq!(hand_in(&world, &id).await, json!([]), "a second delivery finds nothing to do");
    let mails = world.mails_of(&id).await;
    let [mail] = mails.as_slice() else { panic!("{} mails", mails.len()) };
    assert_eq!(mail.to, WANG.email);
    assert_eq!(
        mail.subject,
        "公務人員登入服務：您的憑證已廢止 | Civil Service Sign-in: Your card's certificate was revoked"
    );
    for words in ["MOICA G3，卡號末四碼 4321", "MOICA G3, number ending in 4321", "2026-08-06 09:02"] {
        assert!(mail.text.contains(words), "{words}");
    }
    for part in [&mail.text, &mail.html] {
        assert!(
            part.contains(&world.stack.portal_url)
                && !part.contains(WANG.name)
                && !part.contains(WANG.account)
        );
    }
}

#[tokio::test]
async fn the_outbox_knows_a_person_only_by_their_pseudonym() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let person = world.person_id(&WANG).await;
    world.stack.stop_stream().await;
    let id = world.tell(&person, &revoked()).await;
    let waiting = entry(&world, &id);
    assert_eq!(
        waiting.keys().collect::<Vec<_>>(),
        ["created_at", "due_at", "lane", "notice", "pending", "person", "pk", "state", "strikes", "ttl"],
        "{waiting:?}"
    );
    assert_eq!(table::text(&waiting, "person"), person.as_str());
    world.stack.start_stream().await;
    let sent = settled(&world, &id, "delivered").await;
    for item in [waiting, sent] {
        let item = serde_json::to_string(&item).unwrap();
        for personal in [WANG.email, WANG.name, WANG.account, WANG.national_id] {
            assert!(!item.contains(personal), "{personal}");
        }
    }
}

#[tokio::test]
async fn nobody_to_tell_is_noted_and_not_tried_again() {
    let world = World::start().await;
    for person in [&WANG, &ZHANG] {
        world.signed_in(person).await;
    }
    // An address that was sealed for somebody else.
    let (wang, zhang) = (world.person_id(&WANG).await, world.person_id(&ZHANG).await);
    let item = |person: &PersonId| {
        table::items_of(&world.stack, "ACCOUNTS_TABLE", &format!("person#{person}")).remove(0)
    };
    let moved = Item::from_iter(item(&zhang).into_iter().map(|(name, value)| match name.as_str() {
        "email_sealed" => (name, item(&wang)["email_sealed"].clone()),
        _ => (name, value),
    }));
    table::put(&world.stack, "ACCOUNTS_TABLE", &moved);
    let rows = [
        ("never activated", world.person_id(&ZHOU).await, "no_address"),
        ("departed", world.person_id(&SUN).await, "person_gone"),
        ("not in the directory", PersonId::from_stored("nobody"), "person_gone"),
        ("another's address", zhang, "address_unreadable"),
    ];
    for (what, person, failure) in rows {
        let id = world.tell(&person, &revoked()).await;
        let entry = settled(&world, &id, "failed").await;
        assert_eq!(table::text(&entry, "failure"), failure, "{what}");
        assert_eq!(hand_in(&world, &id).await, json!([]), "{what}: not again");
        assert_eq!(world.mails_of(&id).await.len(), 0, "{what}");
    }
    assert!(log::text().contains("the person has no email address"));
}

#[tokio::test]
async fn a_mail_that_ses_refuses_for_good_is_noted_and_not_tried_again() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let refused = Fault {
        status: 400,
        code: "BadRequestException".to_owned(),
        ..broken(Service::Ses, "SendEmail", None)
    };
    world.stack.traffic.inject(refused);
    let id = world.tell(&world.person_id(&WANG).await, &revoked()).await;
    assert_eq!(table::text(&settled(&world, &id, "failed").await, "failure"), "refused");
    world.stack.traffic.mend();
    assert_eq!(hand_in(&world, &id).await, json!([]));
    assert_eq!(world.mails_of(&id).await.len(), 0);
}

#[tokio::test]
async fn a_password_does_not_wait_behind_notices() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let (head, person) = (world.head().await, world.person_id(&WANG).await);
    world.stack.stop_stream().await;
    let mut notices = Vec::new();
    for _ in 0..25 {
        notices.push(world.tell(&person, &revoked()).await);
    }
    let reset = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    // SES takes mails and does not answer: the first notices are under way, and the others wait behind them.
    world.stack.ses.hold_answers(true);
    world.stack.start_stream().await;
    world.mail_of(&reset).await;
    assert_eq!(world.mails_of(&notices[24]).await.len(), 0);
    world.stack.ses.hold_answers(false);
    for id in notices {
        settled(&world, &id, "delivered").await;
    }
}

#[tokio::test]
async fn hr_sees_no_notice() {
    let world = World::start().await;
    let head = world.head().await;
    let id = world.tell(&world.person_id(&HEAD).await, &revoked()).await;
    settled(&world, &id, "delivered").await;
    for asked in [id.clone(), format!("notice%23{id}")] {
        head.reset_state(&asked).await.problem(Code::ResetNotFound);
    }
}

//! The mail of a reset: its content, its states, and what happens to it when SES or DynamoDB fail.

use std::time::Duration;

use local::traffic::{Fault, Service};
use shared::problem::Code;
use tests::people::{WANG, ZHOU};
use tests::table;
use tests::world::{World, initial_password};

fn ses(operation: &str, status: u16, code: &str, times: Option<u32>) -> Fault {
    let operation = Some(operation.to_owned());
    Fault { operation, status, code: code.to_owned(), times, ..Fault::broken(Service::Ses) }
}

/// The reset's item in the outbox.
fn entry(world: &World, reset_id: &str) -> table::Item {
    let mut entries = table::items_of(&world.stack, "MAIL_TABLE", &format!("reset#{reset_id}"));
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

#[tokio::test]
async fn the_mail_says_what_it_is_until_when_and_what_to_do() {
    let world = World::start().await;
    let head = world.head().await;
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let password = world.mail_of(&id).await;
    let mails = world.mails_of(&id).await;
    let [mail] = mails.as_slice() else { panic!("{} mails", mails.len()) };
    assert_eq!(mail.to, ZHOU.email);
    assert!(!mail.subject.contains(&password));
    assert!(mail.html.contains(&password));
    let raw = std::fs::read_to_string(world.stack.paths.mail.join(format!("{}.eml", mail.id))).unwrap();
    let headers = raw.split("\r\n\r\n").next().unwrap();
    insta::with_settings!({filters => vec![
        (r"[A-Za-z0-9]{5}(-[A-Za-z0-9]{5}){3}", "[password]"),
        (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}", "[until]"),
        (r"localhost:\d+", "localhost:[port]"),
        (r"Message-ID: <[^@]+@", "Message-ID: <[reset]@"),
        (r"Date: .+", "Date: [date]"),
        (r#"boundary="[^"]+""#, r#"boundary="[boundary]""#),
        (r"\r\n", "\n"),
    ]}, {
        let whole = format!("{headers}\n\n{}\n\n{}", mail.text, mail.html);
        insta::assert_snapshot!(whole.replace(&id, "[reset]").replace(&id[..8], "[reference]"));
    });
}

#[tokio::test]
async fn a_ciphertext_is_kept_until_the_mail_is_delivered() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.stop_stream().await;
    world.stack.ses.hold_events(true);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    assert!(entry(&world, &id).contains_key("ciphertext"));
    assert_eq!(head.reset_state(&id).await.ok().body["mail"], "queued");
    world.stack.start_stream().await;
    world.mail_is(&head, &id, "sent").await;
    assert!(entry(&world, &id).contains_key("ciphertext"), "it may be sent once more");
    world.stack.ses.hold_events(false);
    world.mail_is(&head, &id, "delivered").await;
    let delivered = entry(&world, &id);
    for gone in ["ciphertext", "pending", "due_at"] {
        assert!(!delivered.contains_key(gone), "{gone}");
    }
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

#[tokio::test]
async fn a_mail_that_ses_refuses_for_good_has_failed() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.traffic.inject(ses("SendEmail", 400, "BadRequestException", None));
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    world.mail_is(&head, &id, "failed").await;
    assert!(!entry(&world, &id).contains_key("ciphertext"));
    world.stack.traffic.mend();
    // The next reset is another mail.
    let password = world.initial_password(&head, &ZHOU).await;
    let mut zhou = world.browser();
    let _ = zhou.sign_in_by_password(ZHOU.national_id, &password).await.ticket("activation_required");
}

#[tokio::test]
async fn a_reset_that_cannot_be_written_changes_nothing() {
    let world = World::start().await;
    let (head, mut wang) = (world.head().await, world.signed_in(&WANG).await);
    let transactions = Fault {
        operation: Some("TransactWriteItems".to_owned()),
        delay: Duration::ZERO,
        ..Fault::broken(Service::DynamoDb)
    };
    for fault in [Fault::broken(Service::Kms), transactions] {
        world.stack.traffic.inject(fault);
        head.reset(&WANG, None).await.problem(Code::Unavailable);
        world.stack.traffic.mend();
    }
    assert_eq!(table::items_of(&world.stack, "MAIL_TABLE", "reset#").len(), 0);
    wang.get("/v1/session").await.ok();
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    head.reset(&WANG, None).await.status(202);
}

#[tokio::test]
async fn mails_are_kept_whole_and_shown() {
    let world = World::start().await;
    let head = world.head().await;
    let ids = [
        head.reset(&ZHOU, None).await.status(202).text_of("reset_id"),
        head.reset(&WANG, None).await.status(202).text_of("reset_id"),
    ];
    for id in &ids {
        world.mail_of(id).await;
    }
    let mails = world.mails().await;
    assert!(mails.windows(2).all(|pair| pair[0].received >= pair[1].received), "newest first");
    let [password, other] =
        [&ids[0], &ids[1]].map(|id| async { initial_password(&world.mails_of(id).await[0]) });
    assert_ne!(password.await, other.await);
}

//! The dispatcher dies at the worst moment: no mail is lost, and a duplicate is possible only between SES's acceptance and
//! the note of it.

use jiff::SignedDuration;
use tests::people::ZHOU;
use tests::table;
use tests::world::{World, eventually, initial_password};

/// Longer than a dispatcher's lease of a mail.
const LEASE_IS_OVER: SignedDuration = SignedDuration::from_secs(31);

#[tokio::test]
async fn dead_between_sending_and_noting_it_sends_again() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.ses.hold_answers(true);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let first = world.mail_of(&id).await;
    world.stack.kill_stream().await;
    world.stack.ses.hold_answers(false);
    assert_eq!(head.reset_state(&id).await.ok().body["mail"], "queued", "nobody noted it");

    world.pass(LEASE_IS_OVER);
    world.stack.start_stream().await;
    world.mail_is(&head, &id, "sent").await;
    let mails = world.mails_of(&id).await;
    assert_eq!(mails.len(), 2, "one more, under the same Message-ID");
    assert!(mails.iter().all(|mail| initial_password(mail) == first));
    let mut zhou = world.browser();
    let _ = zhou.sign_in_by_password(ZHOU.national_id, &first).await.ticket("activation_required");
    let outbox = table::items(&world.stack, "MAIL_TABLE");
    assert!(outbox.iter().all(|entry| !entry.contains_key("ciphertext")));
}

#[tokio::test]
async fn dead_before_sending_it_sends_once() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.kill_stream().await;
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    assert_eq!(world.mails_of(&id).await.len(), 0);
    world.stack.start_stream().await;
    world.mail_is(&head, &id, "sent").await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

#[tokio::test]
async fn a_second_dispatcher_waits_for_the_lease_of_the_first() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.ses.hold_answers(true);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    world.mail_of(&id).await;
    world.stack.kill_stream().await;
    world.stack.ses.hold_answers(false);
    // The lease still runs: the mail is delivered to a dispatcher again and again, and sent by none.
    world.stack.start_stream().await;
    eventually("a dispatcher found the mail taken", async || {
        tests::log::text().contains("in another dispatcher's hands").then_some(())
    })
    .await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
    world.pass(LEASE_IS_OVER);
    world.mail_is(&head, &id, "sent").await;
}

//! The dispatcher dies at the worst moment: no mail is lost, and a duplicate is possible only between SES's acceptance and
//! the note of it.

use jiff::SignedDuration;
use shared::notice::Notice;
use tests::people::{WANG, ZHOU};
use tests::table;
use tests::world::{World, eventually, initial_password};

/// Longer than a dispatcher's lease of a mail.
const LEASE_IS_OVER: SignedDuration = SignedDuration::from_secs(31);

#[tokio::test]
async fn dead_between_sending_and_noting_it_sends_again() {
    let world = World::start().await;
    let head = world.head().await;
    // What SES says of the first mail would tell that it needs no second one.
    world.stack.ses.hold_events(true);
    world.stack.ses.hold_answers(true);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    let first = world.mail_of(&id).await;
    world.stack.kill_stream().await;
    world.stack.ses.hold_answers(false);
    assert_eq!(head.reset_state(&id).await.ok().body["mail"], "queued", "nobody noted it");

    world.sweep_after(LEASE_IS_OVER).await;
    world.stack.start_stream().await;
    world.mail_is(&head, &id, "sent").await;
    let mails = world.mails_of(&id).await;
    assert_eq!(mails.len(), 2, "one more, under the same Message-ID");
    world.stack.ses.hold_events(false);
    world.mail_is(&head, &id, "delivered").await;
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
    world.mail_is(&head, &id, "delivered").await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

#[tokio::test]
async fn what_ses_says_heals_a_note_that_was_lost() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.ses.hold_events(true);
    world.stack.ses.hold_answers(true);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    world.mail_of(&id).await;
    world.stack.kill_stream().await;
    world.stack.ses.hold_answers(false);
    world.stack.ses.hold_events(false);
    world.mail_is(&head, &id, "delivered").await;
    world.sweep_after(LEASE_IS_OVER).await;
    assert_eq!(world.mails_of(&id).await.len(), 1, "nothing is sent again");
}

#[tokio::test]
async fn a_second_dispatcher_waits_for_the_lease_of_the_first() {
    let world = World::start().await;
    let head = world.head().await;
    world.stack.ses.hold_events(true);
    world.stack.ses.hold_answers(true);
    let id = head.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    world.mail_of(&id).await;
    world.stack.kill_stream().await;
    world.stack.ses.hold_answers(false);
    // The lease still runs: neither the stream nor the sweep sends.
    world.stack.start_stream().await;
    eventually("a dispatcher found the mail taken", async || {
        tests::log::text().contains("not_now").then_some(())
    })
    .await;
    world.sweep_after(LEASE_IS_OVER / 2).await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
    world.sweep_after(LEASE_IS_OVER).await;
    world.mail_is(&head, &id, "sent").await;
    assert_eq!(world.mails_of(&id).await.len(), 2);
}

fn unbound() -> Notice {
    Notice::CardUnbound { issuer_name: "MOICA G3".to_owned(), number_tail: "4321".to_owned() }
}

/// Waits until every mail in the outbox has arrived.
async fn all_sent(world: &World) {
    eventually("every mail is sent", async || {
        let outbox = table::items_of(&world.stack, "MAIL_TABLE", "notice#");
        outbox.iter().all(|entry| table::text(entry, "state") == "delivered").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_notice_whose_dispatcher_died_before_noting_it_is_sent_again() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    all_sent(&world).await;
    let person = world.person_id(&WANG).await;
    world.stack.ses.hold_events(true);
    world.stack.ses.hold_answers(true);
    let id = world.tell(&person, &unbound()).await;
    eventually("SES has it", async || (world.mails_of(&id).await.len() == 1).then_some(())).await;
    world.stack.kill_stream().await;
    world.stack.ses.hold_answers(false);
    world.sweep_after(LEASE_IS_OVER).await;
    world.stack.start_stream().await;
    world.stack.ses.hold_events(false);
    all_sent(&world).await;
    let mails = world.mails_of(&id).await;
    assert_eq!(mails.len(), 2, "one more, under the same Message-ID");
    assert!(mails.iter().all(|mail| mail.to == WANG.email && mail.text == mails[0].text));
}

#[tokio::test]
async fn a_notice_whose_dispatcher_died_before_sending_it_is_sent_once() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    all_sent(&world).await;
    let person = world.person_id(&WANG).await;
    world.stack.kill_stream().await;
    let id = world.tell(&person, &unbound()).await;
    assert_eq!(world.mails_of(&id).await.len(), 0);
    world.stack.start_stream().await;
    all_sent(&world).await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

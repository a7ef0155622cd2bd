//! Notices that time passes over: email-dispatch asks the stand-in's clock, which no process of its own has.

use jiff::SignedDuration;
use local::traffic::{Fault, Service};
use serde_json::json;
use tests::people::WANG;
use tests::table;
use tests::world::World;

use crate::notice::{broken, entry, hand_in, revoked, settled};

#[tokio::test]
async fn a_dead_letter_can_be_handed_in_again_for_a_week() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let person = world.person_id(&WANG).await;
    world.stack.stop_stream().await;
    let (late, too_late) = (world.tell(&person, &revoked()).await, world.tell(&person, &revoked()).await);
    world.pass(SignedDuration::from_hours(24 * 7 - 1));
    assert_eq!(hand_in(&world, &late).await, json!([]));
    settled(&world, &late, "delivered").await;
    world.pass(SignedDuration::from_hours(2));
    assert_eq!(hand_in(&world, &too_late).await, json!([]));
    assert_eq!(table::text(&entry(&world, &too_late), "failure"), "too_old");
    assert_eq!((world.mails_of(&late).await.len(), world.mails_of(&too_late).await.len()), (1, 0));
}

#[tokio::test]
async fn services_that_fail_for_a_while_delay_a_notice_and_lose_none() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let person = world.person_id(&WANG).await;
    for (service, operation) in [
        (Service::Kms, "Decrypt"),
        (Service::DynamoDb, "GetItem"),
        (Service::DynamoDb, "UpdateItem"),
        (Service::Ses, "SendEmail"),
    ] {
        world.stack.stop_stream().await;
        let id = world.tell(&person, &revoked()).await;
        world.stack.traffic.inject(broken(service, operation, None));
        world.sweep_after(SignedDuration::from_mins(16)).await;
        assert_eq!(world.mails_of(&id).await.len(), 0, "{service:?}");
        world.stack.traffic.mend();
        world.sweep_after(SignedDuration::from_mins(16)).await;
        settled(&world, &id, "delivered").await;
        assert_eq!(world.mails_of(&id).await.len(), 1, "{service:?}");
        world.stack.start_stream().await;
    }
}

#[tokio::test]
async fn a_key_that_refuses_sends_nothing_until_it_is_mended() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let denied = Fault {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        ..broken(Service::Kms, "Decrypt", None)
    };
    world.stack.traffic.inject(denied);
    let id = world.tell(&world.person_id(&WANG).await, &revoked()).await;
    // For as long as a notice is of use, however often it is tried: nothing about the notice is wrong.
    for _ in 0..15 {
        world.sweep_after(SignedDuration::from_mins(16)).await;
    }
    assert_eq!(world.mails_of(&id).await.len(), 0);
    assert_eq!(table::number(&entry(&world, &id), "strikes"), 0);
    world.stack.traffic.mend();
    world.sweep_after(SignedDuration::from_mins(16)).await;
    settled(&world, &id, "delivered").await;
    assert_eq!(world.mails_of(&id).await.len(), 1);
}

//! Notices that time passes over: email-dispatch asks the stand-in's clock, which no process of its own has.

use jiff::SignedDuration;
use serde_json::json;
use tests::people::WANG;
use tests::table;
use tests::world::World;

use crate::notice::{entry, hand_in, revoked};

#[tokio::test]
async fn a_dead_letter_can_be_handed_in_again_for_a_week() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    let person = world.person_id(&WANG).await;
    world.stack.stop_stream().await;
    let (late, too_late) = (world.tell(&person, &revoked()).await, world.tell(&person, &revoked()).await);
    world.pass(SignedDuration::from_hours(24 * 7 - 1));
    assert_eq!(hand_in(&world, &late).await, json!([]));
    assert_eq!(table::text(&entry(&world, &late), "state"), "sent");
    world.pass(SignedDuration::from_hours(2));
    assert_eq!(hand_in(&world, &too_late).await, json!([]));
    assert_eq!(table::text(&entry(&world, &too_late), "failure"), "too_old");
    assert_eq!((world.mails_of(&late).await.len(), world.mails_of(&too_late).await.len()), (1, 0));
}

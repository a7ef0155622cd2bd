//! How many sessions a person may have, where the operator says so.

use jiff::SignedDuration;
use tests::browser::Browser;
use tests::people::{WANG, ZHANG};
use tests::world::World;

async fn program(world: &World) -> Browser {
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    program
}

#[tokio::test]
async fn a_persons_oldest_session_ends_when_there_are_too_many() {
    let world = World::start_with(|options| {
        options.parameters.insert("SessionsPerPerson".to_owned(), "3".to_owned());
    })
    .await;
    let zhang = world.signed_in(&ZHANG).await;
    world.signed_in(&WANG).await;
    let mut opened = Vec::new();
    for number in 0..5 {
        world.pass(SignedDuration::from_secs(1));
        let mut browser = world.browser();
        if number % 2 == 0 {
            browser.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
        } else {
            browser.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
        }
        opened.push(browser);
    }
    for (number, browser) in opened.iter().enumerate() {
        let answer = browser.get("/v1/session").await;
        assert_eq!(answer.status == 200, number >= 2, "session {number}: {answer}");
    }
    // Many at once are no way around it.
    let at_once = (0..5).map(|_| program(&world));
    let at_once = futures_util::future::join_all(at_once).await;
    let mut alive = 0;
    for browser in &at_once {
        alive += usize::from(browser.get("/v1/session").await.status == 200);
    }
    assert!((1..=3).contains(&alive), "{alive} sessions are left");
    zhang.get("/v1/session").await.ok();
}

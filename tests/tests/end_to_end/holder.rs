//! Whose card it is: names that are written otherwise.

use local::pki::card::{Card, CardRequest};
use shared::problem::Code;
use tests::browser::Browser;
use tests::people::WANG;
use tests::world::World;

/// A card of that name with the digits of [`WANG`].
fn named(world: &World, name: &str) -> Card {
    world.issue(&CardRequest::citizen(name, WANG.id_tail()))
}

/// Has the directory write the name of [`WANG`] in another way.
async fn directory_writes(world: &World, name: &str) {
    world.change_roster("A123456789,王小明,", &format!("A123456789,{name},")).await;
}

/// A ticket for the identity of a card that is seen for the first time.
async fn ticket_of(browser: &mut Browser) -> String {
    browser.sign_in_by_card().await.ticket("identity_required")
}

#[tokio::test]
async fn one_name_in_the_directory_and_on_the_card() {
    let world = World::start().await;
    let rows = [
        ("高‧馬紹", "高·馬紹"),
        ("高・馬紹", "高‧馬紹"),
        ("王　明", "王明"),
        ("黄小美", "黃小美"),
        ("張姸", "張妍"),
        ("Yawi’ Nokan", "Yawi' Nokan"),
        ("KOLAS YOTAKA", "Kolas Yotaka"),
        ("Ma‐Ti Lin", "Ma-Ti Lin"),
        ("谷辣斯·尤達卡 Kolas Yotaka", "谷辣斯·尤達卡"),
        ("葛\u{E0100}大明", "葛大明"),
        ("王■明", "王堃明"),
    ];
    for (directory, card) in rows {
        directory_writes(&world, directory).await;
        let mut wang = world.browser_with(&named(&world, card));
        let ticket = ticket_of(&mut wang).await;
        let answer = wang.identify(&ticket, WANG.national_id).await;
        assert_eq!(answer.body["status"], "activation_required", "{directory} {card}: {answer}");
    }
}

#[tokio::test]
async fn a_new_name_leads_to_human_resources() {
    let world = World::start().await;
    world.signed_in(&WANG).await;
    // A marriage: a new card, which has another number.
    let married = named(&world, "林王曉明");
    let mut wang = world.browser_with(&married);
    let ticket = ticket_of(&mut wang).await;
    // Whoever does not know the digits does not hear that they agree.
    wang.identify(&ticket, WANG.account).await.problem_of(Code::IdentityMismatch, "identifier");
    let told = wang.identify(&ticket, WANG.national_id).await.problem_of(Code::NameDiffers, "identifier");
    assert!(!told.text.contains(WANG.name), "nothing of the directory is told: {told}");

    directory_writes(&world, "林王曉明").await;
    wang.identify(&ticket, WANG.national_id).await.signed_in();
    let [mail] = world.mails_of_notices("card_bound").await.try_into().unwrap();
    assert_eq!(mail.to, WANG.email);
}

//! Sign-in with a password (貳、2): what is told to whom, the initial password's life, and the lockout.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;
use shared::problem::Code;
use tests::browser::Answer;
use tests::people::{Civilian, HELPDESK, NOBODY, WANG, ZHANG, ZHOU};
use tests::table;
use tests::world::World;

const WRONG: &str = "Not-The-Password#1";

/// What an answer tells apart from its request's id.
fn told(answer: &Answer) -> String {
    answer.look()
}

#[tokio::test]
async fn unknown_wrong_and_not_activated_are_one_answer() {
    let world = World::start().await;
    let mut browser = world.signed_in(&WANG).await;
    let rows = [
        ("the wrong password", WANG.account, WRONG),
        ("the wrong password, by national ID", WANG.national_id, WRONG),
        ("a password of no length to be right", WANG.account, "x"),
        ("not activated", ZHOU.national_id, WRONG),
        ("departed", "M111900781", WRONG),
        ("nobody's national ID", NOBODY, WRONG),
        ("nobody's account", "nobody.at.all", WRONG),
        ("no identifier that anybody could have", "!?", WRONG),
    ];
    let mut answers = Vec::new();
    for (what, identifier, password) in rows {
        let answer = browser.sign_in_by_password(identifier, password).await;
        answers.push((what, told(&answer.problem(Code::InvalidCredentials))));
    }
    for (what, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{what}");
    }
}

#[tokio::test]
async fn accounts_and_national_ids_are_found_however_they_are_typed() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    for identifier in
        ["WANG.Xiaoming", " wang.xiaoming ", "ｗａｎｇ.xiaoming", "a123456789", "Ａ１２３４５６７８９"]
    {
        wang.sign_in_by_password(identifier, WANG.password).await.signed_in();
    }
}

#[tokio::test]
async fn a_mailed_initial_password_leads_to_the_activation_and_nowhere_else() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let initial = world.initial_password(&helpdesk, &ZHOU).await;
    let mut zhou = world.browser();
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &initial).await.ticket("activation_required");
    zhou.get("/v1/session").await.problem(Code::SessionRequired);
    zhou.activate(&ticket, &ZHOU).await.ok();
    zhou.sign_in_by_password(ZHOU.national_id, &initial).await.problem(Code::InvalidCredentials);
    zhou.sign_in_by_password(ZHOU.account, ZHOU.password).await.signed_in();
    zhou.get("/v1/session").await.ok();
}

#[tokio::test]
async fn an_initial_password_is_taken_however_it_is_copied_or_typed() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let initial = world.initial_password(&helpdesk, &ZHOU).await;
    let wide: String = initial.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
    let mut zhou = world.browser();
    for typed in [
        format!("{initial} "),
        format!("\t{initial}"),
        format!("{initial}\r\n"),
        format!("\u{a0}{initial}\u{a0}"),
        format!("\u{200b}{initial}\u{feff}"),
        initial.replace('-', ""),
        initial.replace('-', "\u{2010}"),
        wide,
    ] {
        let answer = zhou.sign_in_by_password(ZHOU.national_id, &typed).await;
        let _ = answer.ticket("activation_required");
    }
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &initial).await.ticket("activation_required");
    zhou.activate(&ticket, &ZHOU).await.ok();
    // What a person chose stays as they chose it.
    for typed in [format!("{} ", ZHOU.password), ZHOU.password.replace('-', "")] {
        zhou.sign_in_by_password(ZHOU.account, &typed).await.problem(Code::InvalidCredentials);
    }
    zhou.sign_in_by_password(ZHOU.account, ZHOU.password).await.signed_in();
}

#[tokio::test]
async fn a_reset_ends_a_lock_whatever_was_typed() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let mut wang = world.signed_in(&WANG).await;
    let counted = || table::items_of(&world.stack, "TICKETS_TABLE", "attempts#").len();
    for identifier in [WANG.national_id, WANG.account] {
        for _ in 0..5 {
            wang.sign_in_by_password(identifier, WRONG).await.problem(Code::InvalidCredentials);
        }
        wang.sign_in_by_password(identifier, WANG.password).await.problem(Code::AccountLocked);
    }
    assert_eq!(counted(), 2);
    let initial = world.initial_password(&helpdesk, &WANG).await;
    assert_eq!(counted(), 0);
    let ticket = wang.sign_in_by_password(WANG.account, &initial).await.ticket("activation_required");
    let again = Civilian { password: "Dadaocheng-Pier#19", ..WANG };
    wang.activate(&ticket, &again).await.ok();
    wang.sign_in_by_password(WANG.national_id, again.password).await.signed_in();
}

#[tokio::test]
async fn a_lock_keeps_nobody_from_an_initial_password() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let initial = world.initial_password(&helpdesk, &ZHOU).await;
    let mut zhou = world.browser();
    for identifier in [ZHOU.national_id, NOBODY] {
        for _ in 0..5 {
            zhou.sign_in_by_password(identifier, WRONG).await.problem(Code::InvalidCredentials);
        }
    }
    let locked = told(&zhou.sign_in_by_password(ZHOU.national_id, WRONG).await.problem(Code::AccountLocked));
    let nobody = told(&zhou.sign_in_by_password(NOBODY, &initial).await.problem(Code::AccountLocked));
    let without_seconds = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(without_seconds(&locked), without_seconds(&nobody), "who waits with one is not told");
    assert_eq!(helpdesk.search(ZHOU.national_id).await.ok().body["account_state"], "initial_password");
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &initial).await.ticket("activation_required");
    zhou.activate(&ticket, &ZHOU).await.ok();
    zhou.sign_in_by_password(ZHOU.national_id, ZHOU.password).await.signed_in();
}

#[tokio::test]
async fn a_sign_in_by_card_ends_a_lock() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    for identifier in [WANG.national_id, WANG.account] {
        for _ in 0..5 {
            wang.sign_in_by_password(identifier, WRONG).await.problem(Code::InvalidCredentials);
        }
    }
    wang.sign_in_by_card().await.signed_in();
    for identifier in [WANG.national_id, WANG.account] {
        wang.sign_in_by_password(identifier, WANG.password).await.signed_in();
    }
}

#[tokio::test]
async fn a_password_is_good_for_as_long_as_nobody_changes_it() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    world.pass(SignedDuration::from_hours(24 * 400));
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
}

#[tokio::test]
async fn an_initial_password_is_good_for_72_hours() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let initial = world.initial_password(&helpdesk, &ZHOU).await;
    let mut zhou = world.browser();
    world.pass(SignedDuration::from_hours(71));
    let _ = zhou.sign_in_by_password(ZHOU.national_id, &initial).await.ticket("activation_required");
    world.pass(SignedDuration::from_hours(1));
    zhou.sign_in_by_password(ZHOU.national_id, &initial).await.problem(Code::InitialPasswordExpired);
    zhou.sign_in_by_password(ZHOU.national_id, WRONG).await.problem(Code::InvalidCredentials);
}

#[tokio::test]
async fn the_next_reset_replaces_the_initial_password() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let first = world.initial_password(&helpdesk, &ZHOU).await;
    let mut zhou = world.browser();
    let ticket = zhou.sign_in_by_password(ZHOU.national_id, &first).await.ticket("activation_required");
    let second = world.initial_password(&helpdesk, &ZHOU).await;
    assert_ne!(first, second);
    zhou.sign_in_by_password(ZHOU.national_id, &first).await.problem(Code::InvalidCredentials);
    zhou.activate(&ticket, &ZHOU).await.problem(Code::TicketInvalid);
    let _ = zhou.sign_in_by_password(ZHOU.national_id, &second).await.ticket("activation_required");
}

#[tokio::test]
async fn what_the_right_password_would_tell_is_told_only_after_it() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    world.depart(&WANG).await;
    wang.sign_in_by_password(WANG.account, WRONG).await.problem(Code::InvalidCredentials);
    wang.sign_in_by_password(WANG.account, WANG.password).await.problem(Code::PersonDeparted);
}

#[tokio::test]
async fn five_failures_lock_for_a_quarter_of_an_hour_whoever_it_is() {
    let world = World::start().await;
    let mut browser = world.signed_in(&WANG).await;
    let mut answers = Vec::new();
    for identifier in [WANG.account, NOBODY, "nobody.at.all", "!?"] {
        for _ in 0..5 {
            browser.sign_in_by_password(identifier, WRONG).await.problem(Code::InvalidCredentials);
        }
        let locked = browser.sign_in_by_password(identifier, WRONG).await.problem(Code::AccountLocked);
        let seconds: u64 = locked.header("retry-after").unwrap().parse().unwrap();
        assert!((890..=901).contains(&seconds), "{seconds}");
        assert_eq!(locked.body["retry_after"], json!(seconds));
        answers.push(told(&locked).replace(&seconds.to_string(), "[seconds]"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "a lock tells nothing: {answers:#?}");

    browser.sign_in_by_password(WANG.account, WANG.password).await.problem(Code::AccountLocked);
    browser.sign_in_by_card().await.signed_in();
    world.pass(SignedDuration::from_secs(901));
    browser.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
}

#[tokio::test]
async fn failures_are_counted_for_the_identifier_that_was_typed() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    for spelling in ["wang.xiaoming", "WANG.XIAOMING", "Wang.Xiaoming", " wang.xiaoming", "ｗang.xiaoming"] {
        wang.sign_in_by_password(spelling, WRONG).await.problem(Code::InvalidCredentials);
    }
    wang.sign_in_by_password(WANG.account, WANG.password).await.problem(Code::AccountLocked);
    wang.sign_in_by_password(WANG.national_id, WANG.password).await.signed_in();
}

/// What spreadsheets, chats and people make of WANG's national ID.
const SPELLINGS: [&str; 6] = [
    "\u{200b}A123456789",
    "'A123456789",
    "A123-456-789",
    "=\"A123456789\"",
    "\u{2019}a123\u{3000}456\u{2011}789\u{202c}",
    "\u{feff}Ａ１２３４５６７８９\t",
];

#[tokio::test]
async fn a_national_id_is_one_in_whatever_spelling() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    let head = world.head().await;
    for spelling in SPELLINGS {
        wang.sign_in_by_password(spelling, WANG.password).await.signed_in();
        assert_eq!(head.search(spelling).await.ok().body["name"], WANG.name, "{spelling:?}");
    }
    for spelling in SPELLINGS.into_iter().take(5) {
        wang.sign_in_by_password(spelling, WRONG).await.problem(Code::InvalidCredentials);
    }
    wang.sign_in_by_password(WANG.national_id, WANG.password).await.problem(Code::AccountLocked);
    // Nobody's, in the same spellings: counted in the same way.
    for spelling in
        SPELLINGS.map(|spelling| spelling.replace("89", "80").replace("８９", "８０")).iter().take(5)
    {
        wang.sign_in_by_password(spelling, WRONG).await.problem(Code::InvalidCredentials);
    }
    wang.sign_in_by_password("A123456780", WRONG).await.problem(Code::AccountLocked);
}

#[tokio::test]
async fn old_failures_and_those_before_a_success_do_not_count() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    for _ in 0..3 {
        for _ in 0..4 {
            wang.sign_in_by_password(WANG.account, WRONG).await.problem(Code::InvalidCredentials);
        }
        wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    }
    for _ in 0..2 {
        for _ in 0..4 {
            wang.sign_in_by_password(WANG.account, WRONG).await.problem(Code::InvalidCredentials);
        }
        world.pass(SignedDuration::from_secs(901));
    }
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
}

#[tokio::test]
async fn guessing_side_by_side_gains_nothing() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    let guesses = (0..16).map(|guess| {
        let mut browser = wang.signed_out();
        async move { browser.sign_in_by_password(WANG.account, &format!("Guess-Number#{guess:04}")).await }
    });
    let answers = join_all(guesses).await;
    let judged = answers.iter().filter(|answer| answer.body["code"] == "invalid_credentials").count();
    assert!(judged <= 5, "{judged} were judged");
    // Nobody heard anything else than wrong, locked, or that nothing was decided.
    for answer in &answers {
        let code = answer.text_of("code");
        assert!(["invalid_credentials", "account_locked", "conflict"].contains(&code.as_str()), "{answer}");
    }
    for _ in judged..5 {
        wang.sign_in_by_password(WANG.account, WRONG).await.problem(Code::InvalidCredentials);
    }
    wang.sign_in_by_password(WANG.account, WANG.password).await.problem(Code::AccountLocked);
}

#[tokio::test]
async fn a_locked_account_shows_in_the_search() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    let helpdesk = world.helpdesk().await;
    assert_eq!(helpdesk.search(WANG.national_id).await.ok().body["account_state"], "active");
    for _ in 0..5 {
        wang.sign_in_by_password(WANG.account, WRONG).await.problem(Code::InvalidCredentials);
    }
    assert_eq!(helpdesk.search(WANG.national_id).await.ok().body["account_state"], "locked");
}

#[tokio::test]
async fn a_hash_of_a_weaker_time_is_replaced_at_the_sign_in() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    // m=8 MiB, t=1, of WANG's password.
    let weak = weak_hash(WANG.password);
    let mut person = table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#")
        .into_iter()
        .find(|item| table::text(item, "custom_account") == WANG.account)
        .unwrap();
    person.insert("password_hash".to_owned(), json!({"S": weak}));
    table::put(&world.stack, "ACCOUNTS_TABLE", &person);
    let stored = || {
        let people = table::items_of(&world.stack, "ACCOUNTS_TABLE", "person#");
        let wang = people.iter().find(|item| table::text(item, "custom_account") == WANG.account).unwrap();
        table::text(wang, "password_hash").to_owned()
    };

    wang.sign_in_by_password(WANG.account, WRONG).await.problem(Code::InvalidCredentials);
    assert_eq!(stored(), weak, "only the right password tells what to hash");
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    assert!(stored().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored());
    wang.get("/v1/session").await.ok();
    wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
}

/// A hash as it was made when less was asked for.
fn weak_hash(password: &str) -> String {
    use argon2::password_hash::PasswordHasher as _;
    use argon2::{Algorithm, Argon2, Params, Version};
    let params = Params::new(8192, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_with_salt(password.as_bytes(), &[7; 16]).unwrap().to_string()
}

#[tokio::test]
async fn a_program_gets_a_token_and_no_cookie() {
    let world = World::start().await;
    world.signed_in(&ZHANG).await;
    let mut program = world.browser();
    let answer = program.sign_in_by_password_for_token(ZHANG.account, ZHANG.password).await.signed_in();
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(program.get("/v1/session").await.ok().body["amr"], json!(["pwd"]));
    let body = json!({"identifier": HELPDESK.account, "password": WRONG, "session": "paper"});
    program.post("/v1/login/password", body).await.problem_of(Code::RequestInvalid, "session");
}

//! The password reset (作法二, 作法三; 貳、2 and 3): who may reset whom, what a reset does, and what its resetter sees of it.

use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Answer, Browser};
use tests::people::{Civilian, HEAD, HEAD_ELSEWHERE, HELPDESK, LIU, NOBODY, STAFF, SUN, WANG, WU, XU, ZHOU};
use tests::table;
use tests::world::{World, eventually};

const REASON: Option<&str> = Some("Called, and identified themselves");

/// What a caller is told about somebody: the search's verdict, and the reset's.
async fn told(resetter: &Browser, person: &Civilian) -> (Value, Value) {
    let found = resetter.search(person.national_id).await;
    let found = match found.status {
        200 if found.body["may_reset"] == true => json!("may"),
        200 => found.body["why_not"].clone(),
        _ => found.body["code"].clone(),
    };
    let reset = resetter.reset(person, REASON).await;
    (found, if reset.status == 202 { json!("may") } else { reset.body["code"].clone() })
}

/// Search and reset agree, and are this.
async fn assert_told(resetter: &Browser, rows: &[(&str, &Civilian, &str)]) {
    for (what, person, expected) in rows {
        let (found, reset) = told(resetter, person).await;
        assert_eq!((found, reset), (json!(expected), json!(expected)), "{what}");
    }
}

const NOBODY_THERE: Civilian = Civilian { national_id: NOBODY, ..WANG };

#[tokio::test]
async fn an_hr_head_resets_their_own_agency() {
    let world = World::start().await;
    let rows = [
        ("an employee", &WANG, "may"),
        ("a foreign resident", &WU, "may"),
        ("authorized staff", &STAFF, "may"),
        ("a departed one", &SUN, "person_departed"),
        ("themselves", &HEAD, "not_authorized"),
        ("another agency's", &LIU, "employee_not_found"),
        ("another agency's head", &HEAD_ELSEWHERE, "employee_not_found"),
        ("nobody", &NOBODY_THERE, "employee_not_found"),
    ];
    assert_told(&world.head().await, &rows).await;
}

#[tokio::test]
async fn authorized_staff_reset_the_agencies_that_they_handle() {
    let world = World::start().await;
    let rows = [
        ("of their own agency", &WANG, "may"),
        ("of an agency handled concurrently", &XU, "may"),
        ("their head", &HEAD, "not_authorized"),
        ("themselves", &STAFF, "not_authorized"),
        ("of an agency not handled", &LIU, "employee_not_found"),
    ];
    assert_told(&world.signed_in(&STAFF).await, &rows).await;
}

#[tokio::test]
async fn an_organization_certificate_resets_its_agency() {
    let world = World::start().await;
    let rows = [
        ("an employee", &WANG, "may"),
        ("the head", &HEAD, "not_authorized"),
        ("another agency's", &XU, "employee_not_found"),
        ("a departed one", &SUN, "person_departed"),
    ];
    assert_told(&world.agency("agency-a02").await, &rows).await;
}

#[tokio::test]
async fn the_helpdesk_resets_everyone_and_says_why() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let rows = [
        ("anybody", &WANG, "may"),
        ("of any agency", &LIU, "may"),
        ("an HR head", &HEAD, "may"),
        ("a departed one", &SUN, "person_departed"),
        ("themselves", &HELPDESK, "not_authorized"),
        ("nobody", &NOBODY_THERE, "employee_not_found"),
    ];
    assert_told(&helpdesk, &rows).await;
    let nothing = "\u{200b}\u{202e}\u{3164}\u{3164}";
    for reason in [
        json!(null),
        json!(""),
        json!("  "),
        json!("x".repeat(501)),
        json!(7),
        json!("."),
        json!("……"),
        json!(nothing),
    ] {
        let body = json!({"national_id": WANG.national_id, "email": WANG.email, "reason": reason});
        let answer = helpdesk.post("/v1/hr/employees/password-reset", body).await;
        answer.problem_of(Code::RequestInvalid, "reason");
    }
}

#[tokio::test]
async fn an_employee_resets_nobody() {
    let world = World::start().await;
    let rows = [
        ("a colleague", &ZHOU, "not_authorized"),
        ("themselves", &WANG, "not_authorized"),
        ("nobody", &NOBODY_THERE, "not_authorized"),
    ];
    let wang = world.signed_in(&WANG).await;
    assert_told(&wang, &rows).await;
    wang.reset_state(&"A".repeat(43)).await.problem(Code::NotAuthorized);
}

#[tokio::test]
async fn out_of_scope_and_unknown_are_one_answer() {
    let world = World::start().await;
    let head = world.head().await;
    // Everything but the request and its id.
    let without_id = |answer: &Answer| {
        let text = answer.look();
        text.split_once('\n').unwrap().1.to_owned()
    };
    let searches = [head.search(LIU.national_id).await, head.search(NOBODY).await];
    assert_eq!(without_id(&searches[0]), without_id(&searches[1]));
    let resets = [head.reset(&LIU, None).await, head.reset(&NOBODY_THERE, None).await];
    assert_eq!(without_id(&resets[0]), without_id(&resets[1]));

    let desk = world.helpdesk().await;
    let elsewhere = desk.reset(&LIU, REASON).await.status(202).text_of("reset_id");
    let states = [head.reset_state(&elsewhere).await, head.reset_state(&"A".repeat(43)).await];
    assert_eq!(without_id(&states[0]), without_id(&states[1]));
    head.reset_state("no-id").await.problem(Code::ResetNotFound);
    desk.reset_state(&elsewhere).await.ok();
}

#[tokio::test]
async fn roles_are_those_of_the_moment() {
    let world = World::start().await;
    let mut head = world.browser_with(&world.card_of(&HEAD));
    world.activated_with(&HEAD, &world.card_of(&HEAD)).await;
    let ticket = head.sign_in_by_card().await.ticket("identity_required");
    let body = json!({"ticket": ticket, "identifier": HEAD.account, "session": "token"});
    head.sign_in("/v1/login/certificate/identity", body).await.signed_in();
    head.search(WANG.national_id).await.ok();

    world
        .change_roster(
            "B210950397,李人事,A02,範例市政府,2.16.886.101.90002,in_service,hr_head,",
            "B210950397,李人事,A02,範例市政府,2.16.886.101.90002,in_service,,",
        )
        .await;
    head.search(WANG.national_id).await.problem(Code::NotAuthorized);
    head.reset(&WANG, None).await.problem(Code::NotAuthorized);
    assert_eq!(head.get("/v1/session").await.ok().body["roles"], json!([]));
}

#[tokio::test]
async fn the_search_tells_what_a_resetter_needs() {
    let world = World::start().await;
    let head = world.head().await;
    let state = async || head.search(WANG.national_id).await.ok().body;
    let id = world.person_id(&WANG).await;
    let expected = |account_state: &str, email: Value| {
        let mut body = json!({"person_id": id, "name": WANG.name, "agency": "A02", "agency_name": "範例市政府",
            "status": "in_service", "account_state": account_state, "may_reset": true});
        if !email.is_null() {
            body["email"] = email;
        }
        body
    };
    assert_eq!(state().await, expected("none", Value::Null));
    world.signed_in(&WANG).await;
    assert_eq!(state().await, expected("active", json!("w***@example.gov.tw")));
    head.reset(&WANG, None).await.status(202);
    assert_eq!(state().await, expected("initial_password", json!("w***@example.gov.tw")));
    let sun = head.search(SUN.national_id).await.ok().body;
    assert_eq!(
        (&sun["status"], &sun["may_reset"], &sun["why_not"]),
        (&json!("departed"), &json!(false), &json!("person_departed"))
    );
    for typed in ["a123456789", " A123456789 ", "Ａ１２３４５６７８９"] {
        head.search(typed).await.ok();
    }
    for typed in ["", "A123456788", "A12345678", "王小明"] {
        head.search(typed).await.problem_of(Code::RequestInvalid, "national_id");
    }
}

#[tokio::test]
async fn a_reset_answers_without_the_password_and_its_mail_is_followed() {
    let world = World::start().await;
    let head = world.head().await;
    let reset = head.reset(&ZHOU, None).await.status(202);
    assert_eq!(reset.body["mail"], "queued");
    let [created, ends] =
        ["created_at", "expires_at"].map(|name| reset.text_of(name).parse::<jiff::Timestamp>().unwrap());
    assert_eq!(ends.duration_since(created).as_hours(), 72);
    let id = reset.text_of("reset_id");
    let password = world.mail_of(&id).await;
    assert!(!reset.text.contains(&password));
    eventually("the mail arrives", async || {
        (head.reset_state(&id).await.ok().body["mail"] == "delivered").then_some(())
    })
    .await;
    let state = head.reset_state(&id).await.ok();
    assert_eq!(state.body["expires_at"], reset.body["expires_at"]);
    assert!(!state.text.contains(&password));
    // Who else covers the agency sees it as well, who does not finds nothing.
    world.agency("agency-a02").await.reset_state(&id).await.ok();
    world.agency("agency-a04").await.reset_state(&id).await.problem(Code::ResetNotFound);
}

#[tokio::test]
async fn an_address_is_understood_as_it_is_typed_and_pasted() {
    let world = World::start().await;
    let head = world.head().await;
    for email in [
        "zhou＠example.gov.tw",
        "ｚｈｏｕ@ｅｘａｍｐｌｅ。gov．tw",
        "mailto:zhou@example.gov.tw",
        "<zhou@example.gov.tw>；",
        "\u{200b}zhou@example.gov.tw.",
    ] {
        let reset = head.reset(&Civilian { email, ..ZHOU }, None).await.status(202);
        assert_eq!(reset.body["email"], "z***@example.gov.tw", "{email}");
        let id = reset.text_of("reset_id");
        world.mail_of(&id).await;
        assert_eq!(world.mails_of(&id).await[0].to, ZHOU.email, "{email}");
    }
    // The file of a bulk reset has the same reader.
    let file = format!("national_id,email\n{},ｚｈｏｕ＠example.gov.tw;\n", ZHOU.national_id);
    let bulk = head.upload("", file).await.status(201);
    assert_eq!(bulk.body["preview"][0]["email"], "z***@example.gov.tw", "{bulk}");
}

#[tokio::test]
async fn a_reset_needs_an_address_that_mail_can_go_to() {
    let world = World::start().await;
    let head = world.head().await;
    for email in [
        "",
        "zhou",
        "zhou@",
        "@example.gov.tw",
        "zhou@example.gov.tw, other@example.gov.tw",
        "zhou@[127.0.0.1]",
    ] {
        head.reset(&Civilian { email, ..ZHOU }, None).await.problem_of(Code::EmailInvalid, "email");
    }
    let body = json!({"national_id": ZHOU.national_id});
    head.post("/v1/hr/employees/password-reset", body).await.problem_of(Code::RequestInvalid, "email");
    let mails = table::items_of(&world.stack, "MAIL_TABLE", "reset#");
    assert_eq!(mails.len(), 0, "nothing was reset");
}

#[tokio::test]
async fn of_resets_at_once_each_that_answers_202_sends_its_mail_unless_it_is_replaced_before() {
    let world = World::start().await;
    let head = world.head().await;
    let (one, two, three) =
        tokio::join!(head.reset(&ZHOU, None), head.reset(&ZHOU, None), head.reset(&ZHOU, None));
    let answers = [one, two, three];
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert!(!accepted.is_empty());
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        answer.clone().problem(Code::Conflict);
    }
    let mut passwords = Vec::new();
    for answer in &accepted {
        let reset_id = answer.text_of("reset_id");
        let settled = eventually("the mail is sent or given up", async || {
            let state = head.reset_state(&reset_id).await.ok();
            (state.body["mail"] != "queued").then_some(state)
        });
        let settled = settled.await;
        if settled.body["mail"] == "failed" {
            // A later one was faster than the dispatcher, and what is void is not sent.
            assert_eq!(settled.body["failure"], "replaced", "{settled}");
            continue;
        }
        passwords.push(world.mail_of(&reset_id).await);
    }
    // The passwords of all but one are void.
    let mut good = 0;
    for password in &passwords {
        let mut zhou = world.browser();
        good += usize::from(zhou.sign_in_by_password(ZHOU.national_id, password).await.status == 200);
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn every_act_is_in_the_audit_trail() {
    let world = World::start().await;
    let (desk, mut wang) = (world.helpdesk().await, world.signed_in(&WANG).await);
    wang.request("DELETE", "/v1/session").send().await.status(204);
    wang.sign_in_by_password(WANG.account, "Not-The-Password#1").await.problem(Code::InvalidCredentials);
    desk.reset(&WANG, REASON).await.status(202);
    desk.reset(&SUN, REASON).await.problem(Code::PersonDeparted);
    let mut acts: Vec<(String, String)> = table::items(&world.stack, "AUDIT_TABLE")
        .iter()
        .map(|item| (table::text(item, "action").to_owned(), table::text(item, "outcome").to_owned()))
        .collect();
    acts.sort();
    acts.dedup();
    let told: Vec<String> = acts.iter().map(|(action, outcome)| format!("{action}: {outcome}")).collect();
    insta::assert_snapshot!(told.join("\n"));
    let note = table::items(&world.stack, "AUDIT_TABLE")
        .iter()
        .any(|item| table::text(item, "note").contains(REASON.unwrap()));
    assert!(note, "the helpdesk's reason is on record");
}

//! Every code of the API, provoked from outside, in both languages: what a person reads.

use jiff::SignedDuration;
use local::pki::card::CardRequest;
use local::traffic::{Fault, Service};
use serde_json::json;
use shared::problem::Code;
use tests::browser::{Answer, Browser, ProofKey};
use tests::client::{DESK, with_token};
use tests::people::{Civilian, HEAD, HEAD_ELSEWHERE, HELPDESK, LIU, NOBODY, STAFF, SUN, WANG, ZHANG, ZHOU};
use tests::prepared;
use tests::table;
use tests::world::{World, eventually};

const WRONG: &str = "Not-The-Password#1";

/// What only another configuration of the functions provokes: `in_process/step_up.rs` does.
const ELSEWHERE: &[Code] = &[Code::StepUpRequired];

/// The answer with a code, in a caller's language.
async fn provoke(code: Code, world: &World, language: &'static str) -> Answer {
    let speaking = |browser: Browser| browser.reading(language);
    let anybody = speaking(world.browser());
    let with_card = |card| speaking(world.browser_with(&card));
    let challenge = ProofKey::random().challenge;
    let reset_by =
        async |browser: Browser, person: &Civilian| speaking(browser).reset(person, Some("because")).await;
    match code {
        Code::RequestInvalid => anybody.post("/v1/login/password", json!({"identifier": WANG.account})).await,
        Code::TicketInvalid => anybody.activate(&format!("{challenge}.{challenge}"), &WANG).await,
        Code::TicketExpired => {
            let wang = with_card(world.card_of(&WANG));
            let (code, verifier) = wang.code().await;
            world.pass(SignedDuration::from_secs(61));
            wang.post("/v1/login/certificate", json!({"code": code, "verifier": verifier})).await
        }
        Code::CertificateRequired => world.hand_over(world.card_event(None, language)).await,
        Code::InvalidCredentials => {
            speaking(anybody.clone()).sign_in_by_password("nobody.at.all", WRONG).await
        }
        Code::SessionRequired => anybody.get("/v1/session").await,
        Code::CertificateUntrusted => {
            let pem = prepared::foreign_card().certificate_pem;
            world.hand_over(world.card_event(Some(&pem), language)).await
        }
        Code::CertificateExpired => {
            let until = world.now() + SignedDuration::from_hours(1);
            let card =
                CardRequest { not_after: Some(until), ..CardRequest::citizen(WANG.name, WANG.id_tail()) };
            let card = world.issue(&card);
            world.pass(SignedDuration::from_mins(61));
            // The gateway would refuse it already; on a connection that is older the function does.
            world.hand_over(world.card_event(Some(&card.certificate_pem), language)).await
        }
        Code::CertificateNotYetValid => {
            let card = world.card_of(&WANG);
            world.pass(SignedDuration::from_hours(-48));
            let answer = world.hand_over(world.card_event(Some(&card.certificate_pem), language)).await;
            world.pass(SignedDuration::from_hours(48));
            answer
        }
        Code::CertificateRevoked => {
            let card = world.card_of(&WANG);
            world.stack.pki.revoke(card.certificate_pem.as_bytes(), world.now()).unwrap();
            let wang = with_card(card);
            eventually("the card is refused", async || {
                Some(wang.show_card(&challenge).await).filter(|answer| answer.status == 403)
            })
            .await
        }
        Code::CertificateWrongKind => with_card(world.sample_card("encryption")).show_card(&challenge).await,
        Code::PersonUnknown => {
            let mut wang = with_card(world.card_of(&WANG));
            let ticket = wang.sign_in_by_card().await.ticket("identity_required");
            wang.identify(&ticket, NOBODY).await
        }
        Code::PersonDeparted => {
            let mut sun = with_card(world.card_of(&SUN));
            let ticket = sun.sign_in_by_card().await.ticket("identity_required");
            sun.identify(&ticket, SUN.national_id).await
        }
        Code::IdentityMismatch => {
            let mut wang = with_card(world.card_of(&WANG));
            let ticket = wang.sign_in_by_card().await.ticket("identity_required");
            wang.identify(&ticket, ZHANG.national_id).await
        }
        Code::NameDiffers => {
            let renamed = CardRequest::citizen("王曉明", WANG.id_tail());
            let mut wang = with_card(world.issue(&renamed));
            let ticket = wang.sign_in_by_card().await.ticket("identity_required");
            wang.identify(&ticket, WANG.national_id).await
        }
        Code::AccountPasswordRequired => {
            if table::items_of(&world.stack, "ACCOUNTS_TABLE", "account#").is_empty() {
                world.signed_in(&WANG).await;
            }
            let digitless =
                CardRequest { directory_attributes: false, ..CardRequest::citizen(WANG.name, "0000") };
            let mut namesake = with_card(world.issue(&digitless));
            let ticket = namesake.sign_in_by_card().await.ticket("identity_required");
            namesake.identify(&ticket, WANG.national_id).await
        }
        Code::InitialPasswordExpired => {
            let initial = world.initial_password(&world.agency("agency-a02").await, &ZHOU).await;
            world.pass(SignedDuration::from_hours(72));
            world.stack.revocations.run().await.unwrap();
            speaking(anybody.clone()).sign_in_by_password(ZHOU.national_id, &initial).await
        }
        Code::NotAuthorized => {
            let agency = speaking(world.agency("agency-a02").await);
            agency.post("/v1/session/token", json!({})).await
        }
        Code::OriginRefused => {
            let request = anybody.request("POST", "/v1/login/password");
            request.header("origin", "https://evil.example").json(json!({})).send().await
        }
        Code::EmployeeNotFound => reset_by(world.agency("agency-a02").await, &LIU).await,
        Code::ResetNotFound => speaking(world.agency("agency-a02").await).reset_state(&challenge).await,
        Code::AccountTaken => {
            if table::items_of(&world.stack, "ACCOUNTS_TABLE", "account#").is_empty() {
                world.signed_in(&WANG).await;
            }
            let mut zhang = with_card(world.card_of(&ZHANG));
            let ticket = zhang.sign_in_by_card().await.ticket("identity_required");
            let ticket = zhang.identify(&ticket, ZHANG.national_id).await.ticket("activation_required");
            zhang.activate(&ticket, &Civilian { account: WANG.account, ..ZHANG }).await
        }
        Code::Conflict => {
            let agency = speaking(world.agency("agency-a02").await);
            eventually("two resets meet", async || {
                let (one, two, three) = tokio::join!(
                    agency.reset(&WANG, None),
                    agency.reset(&WANG, None),
                    agency.reset(&WANG, None)
                );
                [one, two, three].into_iter().find(|answer| answer.status != 202)
            })
            .await
        }
        Code::AccountInvalid | Code::EmailInvalid | Code::PasswordMismatch | Code::PasswordRejected => {
            let mut wang = with_card(world.card_of(&WANG));
            let ticket = wang.sign_in_by_card().await.ticket("identity_required");
            let ticket = wang.identify(&ticket, WANG.national_id).await.ticket("activation_required");
            let mut body = tests::browser::activation(&ticket, &WANG);
            match code {
                Code::AccountInvalid => body["account"] = json!("no spaces, please"),
                Code::EmailInvalid => body["email"] = json!("no address"),
                Code::PasswordMismatch => body["password_confirmation"] = json!(WRONG),
                _ => {
                    body["password"] = json!("wang%");
                    body["password_confirmation"] = json!("wang%");
                }
            }
            anybody.post("/v1/activation", body).await
        }
        Code::AccountLocked => {
            let mut nobody = anybody;
            for _ in 0..5 {
                nobody.sign_in_by_password("nobody.at.all", WRONG).await;
            }
            nobody.sign_in_by_password("nobody.at.all", WRONG).await
        }
        Code::TooManyRequests => {
            world.begin(SignedDuration::from_hours(1));
            let agency = speaking(world.agency("agency-a02").await);
            agency.search(WANG.national_id).await;
            for mut counter in table::items_of(&world.stack, "TICKETS_TABLE", "rate#searches#") {
                counter.insert("n".to_owned(), json!({"N": "300"}));
                table::put(&world.stack, "TICKETS_TABLE", &counter);
            }
            agency.search(WANG.national_id).await
        }
        Code::RevocationUnknown => {
            world.stack.revocations.stop().await;
            for list in table::items_of(&world.stack, "REVOCATIONS_TABLE", "issuer#") {
                table::delete(&world.stack, "REVOCATIONS_TABLE", &list);
            }
            with_card(world.card_of(&WANG)).show_card(&challenge).await
        }
        // Somebody activates once, so it is another one in each language.
        Code::PasswordSignInRequired | Code::CardNotFound => {
            let person = if language == "en" { ZHANG } else { WANG };
            let mut browser = speaking(world.signed_in(&person).await);
            if code == Code::CardNotFound {
                browser.sign_in_by_password(person.account, person.password).await.signed_in();
            }
            browser.unbind(&challenge).await
        }
        Code::EmailCodeWrong | Code::EmailCodeVoid => {
            let person = if language == "en" { ZHANG } else { WANG };
            let browser = speaking(world.signed_in(&person).await);
            if code == Code::EmailCodeWrong {
                browser.ask_email("new@example.org", json!(null)).await.status(202);
            }
            browser.confirm_email("0000 0000").await
        }
        Code::ResendRefused => {
            let agency = speaking(world.agency("agency-a02").await);
            let id = agency.reset(&ZHOU, None).await.status(202).text_of("reset_id");
            world.mail_is(&agency, &id, "delivered").await;
            agency.resend(&id).await
        }
        Code::IdempotencyKeyReused => {
            let agency = speaking(world.agency("agency-a02").await);
            agency.reset_keyed(&WANG, "a-key").await.status(202);
            agency.reset_keyed(&ZHOU, "a-key").await
        }
        Code::FileInvalid => speaking(world.agency("agency-a02").await).upload("", "name\n").await,
        Code::BulkNotFound => speaking(world.agency("agency-a02").await).bulk(&challenge, "").await,
        Code::BulkClosed => {
            let agency = speaking(world.agency("agency-a02").await);
            let file = format!("national_id,email\n{},{}\n", WANG.national_id, WANG.email);
            let bulk = agency.upload("", file).await.status(201).text_of("bulk_id");
            agency.cancel_bulk(&bulk).await.status(204);
            agency.confirm_bulk(&bulk).await
        }
        Code::EmailUndeliverable => {
            let agency = speaking(world.agency("agency-a02").await);
            let zhou = Civilian { email: "bounce@simulator.amazonses.com", ..ZHOU };
            if language == "zh-TW" {
                let id = agency.reset(&zhou, None).await.status(202).text_of("reset_id");
                world.mail_is(&agency, &id, "bounced").await;
            }
            agency.reset(&zhou, None).await
        }
        Code::RouteNotFound => anybody.post("/v1/nothing", json!({})).await,
        Code::MethodNotAllowed => anybody.request("PUT", "/v1/session").json(json!({})).send().await,
        Code::AuthorizationNotFound
        | Code::AuthorizationExists
        | Code::AuthorizationSettled
        | Code::HolderNotEligible => {
            let agency = speaking(world.agency("agency-a02").await);
            let at = "/v1/hr/authorizations";
            let holder = if code == Code::HolderNotEligible { &WANG } else { &STAFF };
            let body = json!({"national_id": holder.national_id});
            match code {
                Code::AuthorizationNotFound => agency.get(&format!("{at}/{challenge}")).await,
                Code::AuthorizationSettled => {
                    let listed = agency.get(at).await.ok();
                    let given = listed.body["authorizations"][0]["authorization_id"].as_str().unwrap();
                    agency.request("POST", &format!("{at}/{given}/refuse")).send().await
                }
                _ => agency.request("PUT", &format!("{at}/{challenge}")).json(body).send().await,
            }
        }
        Code::AgencyUnknown | Code::AgencyWithoutHead => {
            let (head, staff) =
                if language == "en" { (HEAD_ELSEWHERE, "U212579636") } else { (HEAD, STAFF.national_id) };
            let head = speaking(world.signed_in(&head).await);
            if code == Code::AgencyWithoutHead {
                world.change_roster("hr_head;hr_staff,A04", "hr_staff,A04").await;
            }
            let agency = if code == Code::AgencyUnknown { "A99" } else { "A04" };
            let body = json!({"national_id": staff, "agency": agency});
            head.request("PUT", &format!("/v1/hr/authorizations/{challenge}")).json(body).send().await
        }
        Code::StepUpRequired => panic!("{code:?} is provoked elsewhere"),
        Code::InsufficientScope => {
            let agency = world.agency("agency-a02").await;
            let tokens = DESK.asks().tokens(&agency, &world.stack.portal_url, world.now()).await;
            reset_by(with_token(&agency, &tokens), &ZHOU).await
        }
        Code::ClientUnknown => anybody.get("/authorize?client_id=nobody").await,
        Code::RedirectRefused => anybody.get(&format!("/authorize?client_id={}", DESK.id)).await,
        Code::Unavailable => {
            world.stack.traffic.inject(Fault::broken(Service::Kms));
            let mut helpdesk = with_card(world.sample_card("agency-a02"));
            let answer = helpdesk.sign_in_by_card_for_token().await;
            world.stack.traffic.mend();
            helpdesk.sign_in_by_card_for_token().await.signed_in();
            answer
        }
    }
}

/// Provokes a code in both languages and shows whole answers to the reviewer.
async fn provoked(code: Code, name: &str) {
    assert_eq!(code.name(), name);
    let world = World::start().await;
    let mut told = Vec::new();
    for language in ["zh-TW", "en"] {
        let answer = provoke(code, &world, language).await.problem(code);
        assert_eq!(answer.header("content-language"), Some(language));
        told.push(answer.to_string());
    }
    insta::with_settings!({filters => vec![
        (r#"apigw-requestid: .+"#, "apigw-requestid: [id]"),
        (r#""request_id": ".+""#, r#""request_id": "[id]""#),
        (r#";r=\d+;t=\d+"#, ";r=[left];t=[seconds]"),
        (r#"/v1/hr/bulk-resets/[A-Za-z0-9_-]{43}"#, "/v1/hr/bulk-resets/[id]"),
        (r#"retry-after: \d+"#, "retry-after: [seconds]"),
        (r#""retry_after": \d+"#, r#""retry_after": [seconds]"#),
        (r#"/v1/hr/password-resets/\S+"#, "/v1/hr/password-resets/[id]"),
        (r#"/v1/account/cards/\S+"#, "/v1/account/cards/[id]"),
        (r#"/v1/hr/authorizations/[^\s/]+"#, "/v1/hr/authorizations/[id]"),
        // What the log said about a failure is not part of the answer.
        (r#"(?s)\n\n\{"timestamp.*?(\n\n|$)"#, "$1"),
    ]}, { insta::assert_snapshot!(name, told.join("\n\n\n")) });
}

macro_rules! codes {
    ($($name:ident: $code:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                provoked(Code::$code, stringify!($name)).await;
            }
        )*

        #[test]
        fn no_code_is_forgotten() {
            let here = Code::ALL.iter().copied().filter(|code| !ELSEWHERE.contains(code));
            assert_eq!(vec![$(Code::$code),*], here.collect::<Vec<_>>());
        }
    };
}

codes! {
    request_invalid: RequestInvalid,
    ticket_invalid: TicketInvalid,
    ticket_expired: TicketExpired,
    certificate_required: CertificateRequired,
    invalid_credentials: InvalidCredentials,
    session_required: SessionRequired,
    certificate_untrusted: CertificateUntrusted,
    certificate_expired: CertificateExpired,
    certificate_not_yet_valid: CertificateNotYetValid,
    certificate_revoked: CertificateRevoked,
    certificate_wrong_kind: CertificateWrongKind,
    person_unknown: PersonUnknown,
    person_departed: PersonDeparted,
    identity_mismatch: IdentityMismatch,
    initial_password_expired: InitialPasswordExpired,
    not_authorized: NotAuthorized,
    origin_refused: OriginRefused,
    employee_not_found: EmployeeNotFound,
    reset_not_found: ResetNotFound,
    account_taken: AccountTaken,
    conflict: Conflict,
    account_invalid: AccountInvalid,
    email_invalid: EmailInvalid,
    password_mismatch: PasswordMismatch,
    password_rejected: PasswordRejected,
    account_locked: AccountLocked,
    too_many_requests: TooManyRequests,
    revocation_unknown: RevocationUnknown,
    unavailable: Unavailable,
    password_sign_in_required: PasswordSignInRequired,
    card_not_found: CardNotFound,
    resend_refused: ResendRefused,
    email_undeliverable: EmailUndeliverable,
    idempotency_key_reused: IdempotencyKeyReused,
    file_invalid: FileInvalid,
    bulk_not_found: BulkNotFound,
    bulk_closed: BulkClosed,
    route_not_found: RouteNotFound,
    method_not_allowed: MethodNotAllowed,
    authorization_not_found: AuthorizationNotFound,
    authorization_exists: AuthorizationExists,
    authorization_settled: AuthorizationSettled,
    holder_not_eligible: HolderNotEligible,
    insufficient_scope: InsufficientScope,
    client_unknown: ClientUnknown,
    redirect_refused: RedirectRefused,
    agency_unknown: AgencyUnknown,
    agency_without_head: AgencyWithoutHead,
    email_code_wrong: EmailCodeWrong,
    email_code_void: EmailCodeVoid,
    name_differs: NameDiffers,
    account_password_required: AccountPasswordRequired,
}

#[tokio::test]
async fn a_field_that_people_get_wrong_has_nearer_advice() {
    let world = World::start().await;
    let helpdesk = world.signed_in(&HELPDESK).await.reading("en");
    let plain = Code::RequestInvalid.detail(shared::language::Language::En);
    let search = helpdesk.search("A123456788").await.problem_of(Code::RequestInvalid, "national_id");
    assert_ne!(search.text_of("detail"), plain);
    let reset = helpdesk.reset(&WANG, None).await.problem_of(Code::RequestInvalid, "reason");
    assert_ne!(reset.text_of("detail"), plain);
}

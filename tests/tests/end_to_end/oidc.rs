//! Clients on other origins (OpenID Connect): the whole way, every way to get it wrong, and what ends what came of it.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use shared::oauth;
use shared::problem::Code;
use tests::browser::{Answer, Browser, ProofKey, Session};
use tests::client::{APP, Asked, Client, DESK, HR_PORTAL, SECRET, SigningOut, basic, returned, with_token};
use tests::contract::{Operation, contract};
use tests::people::{HEAD, STAFF, WANG, ZHOU};
use tests::table;
use tests::world::World;

const BY_CARD: &str = "urn:first-sign-in:card";
const BY_PASSWORD: &str = "urn:first-sign-in:password";

/// An ID token's claims, by a library and the published keys alone.
async fn verified(world: &World, id_token: &str, client: &Client) -> Value {
    let header = jsonwebtoken::decode_header(id_token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::ES256, Some("JWT")));
    let keys = world.browser().get("/.well-known/jwks.json").await.ok().body;
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == json!(header.kid)).unwrap();
    let key =
        DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[&world.stack.portal_url]);
    validation.set_audience(&[client.id]);
    // The stand-in's clock is not the library's.
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(id_token, &key, &validation).unwrap().claims
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// The token endpoint's error.
#[track_caller]
fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, &answer.body["error"]), (status, &json!(error)), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
}

/// Tokens for whoever is signed in.
async fn tokens(world: &World, client: Client, browser: &Browser) -> Value {
    client.asks().tokens(browser, &world.stack.portal_url, world.now()).await
}

#[tokio::test]
async fn hr_staff_sign_in_at_a_client_and_it_works_for_them() {
    let world = World::start().await;
    let mut head = world.head().await.signed_out();
    let issuer = world.stack.portal_url.clone();

    // The client sends the browser, without anybody signed in; the page leads through the sign-in.
    let asked = HR_PORTAL.asks();
    let arrived = asked.arrive(&head).await;
    assert_eq!(arrived.header("referrer-policy"), Some("no-referrer"), "{arrived}");
    assert_eq!(arrived.header("cache-control"), Some("no-store"), "{arrived}");
    let page = tests::client::OnPage::of(&arrived);
    let answer = page.answer(&head, None).await.ok();
    let expected =
        json!({"status": "sign_in", "client_name": "人事作業入口", "why": "nobody", "by_card": false});
    assert_eq!(answer.body, expected);
    assert_eq!(page.answer(&head.reading("en"), None).await.ok().body["client_name"], "HR portal");
    head.sign_in_by_card().await.signed_in();
    // Signed in for this: nothing is asked.
    let answer = page.answer(&head, None).await.ok();
    let back = returned(&answer);
    assert_eq!(back.address, HR_PORTAL.redirect_uri);
    assert_eq!((back.state.as_deref(), back.iss.as_deref()), (Some("a state & more"), Some(issuer.as_str())));

    let code = back.code.unwrap();
    let answer = HR_PORTAL.exchange(&issuer, &code, &asked.verifier, world.now()).send(&head).await.ok();
    let tokens = answer.body.clone();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(tokens["scope"], HR_PORTAL.scope);

    let id = verified(&world, tokens["id_token"].as_str().unwrap(), &HR_PORTAL).await;
    let access = tokens["access_token"].as_str().unwrap();
    let half = digest::digest(&digest::SHA256, access.as_bytes());
    let now = world.now().as_second();
    assert_eq!(id["at_hash"], URL_SAFE_NO_PAD.encode(&half.as_ref()[..16]));
    assert_eq!((&id["nonce"], &id["azp"]), (&json!("a nonce"), &json!(HR_PORTAL.id)));
    assert_eq!((&id["acr"], &id["amr"]), (&json!(BY_CARD), &json!(["sc"])));
    assert!((now - id["auth_time"].as_i64().unwrap()).abs() < 30, "{id}");
    assert_eq!(id["sub"], format!("person#{}", world.person_id(&HEAD).await));

    let header = jsonwebtoken::decode_header(access).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::ES256, Some("at+jwt")));
    let claimed = claims(access);
    assert_eq!((&claimed["client_id"], &claimed["scope"]), (&json!(HR_PORTAL.id), &json!(HR_PORTAL.scope)));
    assert_eq!((&claimed["acr"], &claimed["sub"]), (&id["acr"], &id["sub"]));
    assert_ne!(claimed["sid"], id["sid"], "an ID token's sid opens nothing");

    // What it is for.
    let portal = with_token(&head, &tokens);
    let user = portal.get("/userinfo").await.ok().body;
    assert_eq!((&user["sub"], &user["name"]), (&id["sub"], &json!(HEAD.name)));
    assert_eq!((&user["agency"], &user["roles"]), (&json!("A02"), &json!(["hr_head"])));
    assert_eq!(user["preferred_username"], HEAD.account);
    assert_eq!(portal.request("POST", "/userinfo").send().await.ok().body, user);
    portal.search(WANG.national_id).await.ok();
    let reset = portal.reset(&ZHOU, None).await.status(202).text_of("reset_id");
    portal.reset_state(&reset).await.ok();
    portal.get("/v1/session").await.ok();
}

#[tokio::test]
async fn an_earlier_sign_in_is_used_after_a_question() {
    let world = World::start().await;
    let head = world.head().await;
    let page = APP.asks().on_page(&head).await;
    let answer = page.answer(&head, None).await.ok();
    let expected = json!({"status": "ask", "client_name": "範例人事入口", "name": HEAD.name,
        "agency_name": answer.body["agency_name"], "scopes": APP.scope.split(' ').collect::<Vec<_>>()});
    assert_eq!(answer.body, expected);
    let denied = returned(&page.answer(&head, Some("deny")).await.ok());
    assert_eq!((denied.error.as_deref(), denied.code), (Some("access_denied"), None));
    assert_eq!(denied.state.as_deref(), Some("a state & more"));
    assert!(returned(&page.answer(&head, Some("allow")).await.ok()).code.is_some());
    // Nobody needs to be signed in to go back.
    let denied = returned(&page.answer(&head.signed_out(), Some("deny")).await.ok());
    assert_eq!(denied.error.as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn a_request_that_nobody_knows_sends_nobody_anywhere() {
    let world = World::start().await;
    let browser = world.browser();
    let rows = [
        ("client_id", "nobody", Code::ClientUnknown),
        ("client_id", "", Code::ClientUnknown),
        ("redirect_uri", "https://evil.example/callback", Code::RedirectRefused),
        ("redirect_uri", "http://127.0.0.1:4711/callback/", Code::RedirectRefused),
        ("redirect_uri", "http://localhost:4711/callback", Code::RedirectRefused),
        ("redirect_uri", "", Code::RedirectRefused),
    ];
    for (name, value, code) in rows {
        let asked = APP.asks().with(name, value);
        // A browser sees a page of ours, a program the problem.
        let page = format!("{}/continue#problem={}", world.stack.portal_url, code.name());
        let arrived = asked.arrive(&browser).await.status(303);
        assert_eq!(arrived.header("location"), Some(page.as_str()), "{name}={value}");
        browser.get(&format!("/authorize?{}", asked.query())).await.problem(code);
        let form: Vec<(&str, &str)> =
            asked.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.request("POST", "/authorize").form(&form).send().await.problem(code);
        // Nor does our page lead there, whoever led to it.
        let body = json!({"request": asked.query(), "asked_at": world.now().as_millisecond()});
        browser.post("/v1/authorization", body).await.problem(code);
    }
    let long = APP.asks().with("state", &"x".repeat(9000));
    browser.get(&format!("/authorize?{}", long.query())).await.problem(Code::RequestInvalid);
}

#[tokio::test]
async fn what_else_is_wrong_with_a_request_the_client_hears() {
    let world = World::start().await;
    let head = world.head().await;
    let rows = [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "form_post", "invalid_request"),
        ("scope", "openid hr.cards", "invalid_scope"),
        ("scope", "email profile", "invalid_scope"),
        ("scope", "hr.search", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "x", "invalid_request"),
        ("acr_values", "urn:other", "unmet_authentication_requirements"),
        ("claims", "{\"id_token\":{\"acr\":{\"essential\":true}}}", "invalid_request"),
        ("request", "e30.e30.", "request_not_supported"),
        ("request_uri", "https://hr.example.gov.tw/request", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
    ];
    for (name, value, error) in rows {
        let asked = APP.asks().with(name, value);
        let back = returned(&asked.arrive(&head).await.status(303));
        assert_eq!((back.error.as_deref(), back.code), (Some(error), None), "{name}={value}");
        assert_eq!(back.address, APP.redirect_uri);
        assert_eq!(back.state.as_deref(), Some("a state & more"), "{name}={value}");
        assert_eq!(back.iss.as_deref(), Some(world.stack.portal_url.as_str()));
        // The page cannot talk us into it.
        let body =
            json!({"request": asked.query(), "asked_at": world.now().as_millisecond(), "say": "allow"});
        let back = returned(&head.post("/v1/authorization", body).await.ok());
        assert_eq!((back.error.as_deref(), back.code), (Some(error), None), "{name}={value}");
    }
    let twice = format!("{}&state=other", APP.asks().query());
    let back = returned(&head.signed_out().get(&format!("/authorize?{twice}")).await.status(303));
    assert_eq!(back.error.as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn scopes_that_do_not_exist_are_passed_over_and_the_answer_says_what_was_granted() {
    let world = World::start().await;
    let head = world.head().await;
    for (client, asked, granted) in [
        (APP, "openid profile email", "openid profile"),
        (HR_PORTAL, "openid offline_access", "openid"),
        (HR_PORTAL, "phone hr.search openid address", "openid hr.search"),
    ] {
        let asked = client.asks().with("scope", asked);
        let tokens = asked.tokens(&head, &world.stack.portal_url, world.now()).await;
        assert_eq!(tokens["scope"], granted);
        assert_eq!(claims(tokens["access_token"].as_str().unwrap())["scope"], granted);
    }
}

#[tokio::test]
async fn a_client_that_proves_itself_by_nothing_gets_nothing_in_silence_that_nobody_agreed_to() {
    let world = World::start().await;
    let mut head = world.head().await;
    let silent = |client: Client, scope: &str| client.asks().with("prompt", "none").with("scope", scope);
    let answer = async |browser: &Browser, asked: &Asked, asked_at: i64, say: Option<&str>| {
        let mut body = json!({"request": asked.query(), "asked_at": asked_at});
        if let Some(say) = say {
            body["say"] = json!(say);
        }
        returned(&browser.post("/v1/authorization", body).await.ok())
    };
    let now = |minutes: i64| world.now().as_millisecond() - minutes * 60_000;
    let asked = silent(APP, "openid profile");
    // Whenever the page says that it was asked, and whatever that the person said.
    for (minutes, say) in [(0, None), (30, None), (0, Some("allow")), (59, Some("allow"))] {
        let back = answer(&head, &asked, now(minutes), say).await;
        assert_eq!((back.error.as_deref(), back.code), (Some("consent_required"), None), "{minutes} {say:?}");
    }
    // One that proves itself at the exchange may.
    assert!(answer(&head, &silent(HR_PORTAL, "openid"), now(0), None).await.code.is_some());
    // Once the person has agreed, as much as that goes without a question, in this session and for this client.
    tokens(&world, APP, &head).await;
    let all = silent(APP, APP.scope);
    assert!(answer(&head, &all, now(0), None).await.code.is_some());
    head.sign_in_by_card().await.signed_in();
    let back = answer(&head, &asked, now(0), None).await;
    assert_eq!(back.error.as_deref(), Some("consent_required"), "another session");
    APP.asks().with("scope", "openid").tokens(&head, &world.stack.portal_url, world.now()).await;
    assert!(answer(&head, &silent(APP, "openid"), now(0), None).await.code.is_some());
    let back = answer(&head, &asked, now(0), None).await;
    assert_eq!(back.error.as_deref(), Some("consent_required"), "more than was agreed to");
    // Nor does a page get a code without a question for a sign-in that is long past.
    world.pass(SignedDuration::from_mins(5));
    let body = json!({"request": APP.asks().query(), "asked_at": now(30)});
    let question = head.post("/v1/authorization", body).await.ok();
    assert_eq!(question.body["status"], "ask");
    assert_eq!(question.body["scopes"].as_array().unwrap().len(), APP.scope.split(' ').count());
}

#[tokio::test]
async fn only_our_own_page_gets_an_answer() {
    let world = World::start().await;
    let head = world.head().await;
    let page = APP.asks().on_page(&head).await;
    for origin in [Some("https://hr.example.gov.tw"), Some("https://portal.localhost"), Some("null"), None] {
        for browser in [&head, &head.signed_out()] {
            let request = browser.request("POST", "/v1/authorization").json(page.body(Some("allow")));
            let request = match origin {
                Some(origin) => request.header("origin", origin),
                None => request.without("origin"),
            };
            request.send().await.problem(Code::OriginRefused);
        }
    }
    // A program has no session to lend from.
    let mut program = world.browser();
    program.sign_in_by_password_for_token(HEAD.account, HEAD.password).await.signed_in();
    assert_eq!(page.answer(&program, Some("allow")).await.ok().body["status"], "sign_in");
    // A request waits an hour, and does not come from the future.
    let at = |offset: i64| json!({"request": APP.asks().query(), "asked_at": world.now().as_millisecond() + offset * 1000});
    head.post("/v1/authorization", at(120)).await.problem_of(Code::RequestInvalid, "asked_at");
    head.post("/v1/authorization", at(-3700)).await.problem(Code::TicketExpired);
    // A page that says that it waits since before an earlier sign-in makes no new one of it.
    world.pass(SignedDuration::from_mins(10));
    for (name, value) in [("prompt", "login"), ("max_age", "0")] {
        let query = APP.asks().with(name, value).query();
        let asked_at = world.now().as_millisecond() - 1_800_000;
        let answer = head.post("/v1/authorization", json!({"request": query, "asked_at": asked_at})).await;
        assert_eq!(answer.ok().body["why"], "too_old", "{name}");
    }
    let bodies = [
        (json!({"asked_at": 0}), "request"),
        (json!({"request": "x"}), "asked_at"),
        (json!({"request": "x", "asked_at": "0"}), "asked_at"),
        (json!({"request": "x", "asked_at": i64::MAX}), "asked_at"),
        (json!({"request": "x", "asked_at": 0, "say": "perhaps"}), "say"),
        (json!({"request": "x".repeat(9000), "asked_at": 0}), "request"),
    ];
    for (body, field) in bodies {
        head.post("/v1/authorization", body).await.problem_of(Code::RequestInvalid, field);
    }
}

#[tokio::test]
async fn how_the_person_is_to_sign_in() {
    let world = World::start().await;
    let mut head = world.head().await;
    let card = head.clone();
    head.sign_in_by_password(HEAD.account, HEAD.password).await.signed_in();
    world.pass(SignedDuration::from_mins(10));
    let ask = async |browser: &Browser, changes: &[(&str, &str)], say: Option<&str>| {
        let asked = changes.iter().fold(APP.asks(), |asked, (name, value)| asked.with(name, value));
        asked.on_page(browser).await.answer(browser, say).await.ok()
    };
    let error = |answer: &Answer| returned(answer).error.unwrap_or_default();

    // Nobody is asked, or nothing.
    let nobody = head.signed_out();
    assert_eq!(error(&ask(&nobody, &[("prompt", "none")], None).await), "login_required");
    assert_eq!(error(&ask(&head, &[("prompt", "none")], None).await), "consent_required");
    for wish in [("max_age", "300"), ("acr_values", BY_CARD)] {
        assert_eq!(error(&ask(&head, &[("prompt", "none"), wish], Some("allow")).await), "login_required");
    }
    // Too long ago, too weak, and again in any case.
    let rows = [
        (("max_age", "300"), "too_old", false),
        (("prompt", "login"), "too_old", false),
        (("acr_values", BY_CARD), "too_weak", true),
    ];
    for (wish, why, by_card) in rows {
        let answer = ask(&head, &[wish], Some("allow")).await;
        assert_eq!(answer.body["status"], "sign_in", "{wish:?}: {answer}");
        assert_eq!(
            (&answer.body["why"], &answer.body["by_card"]),
            (&json!(why), &json!(by_card)),
            "{answer}"
        );
    }
    let either = format!("{BY_CARD} {BY_PASSWORD}");
    assert!(returned(&ask(&head, &[("acr_values", &either)], Some("allow")).await).code.is_some());

    // Step-up: a new sign-in by card, and the tokens say so.
    let asked = APP.asks().with("acr_values", BY_CARD).with("max_age", "0").with("prompt", "login");
    let page = asked.on_page(&head).await;
    assert_eq!(page.answer(&head, Some("allow")).await.ok().body["why"], "too_weak");
    let mut again = card;
    again.sign_in_by_card().await.signed_in();
    let code = returned(&page.answer(&again, None).await.ok()).code.unwrap();
    let issuer = &world.stack.portal_url;
    let exchange = APP.exchange(issuer, &code, &asked.verifier, world.now());
    let tokens = exchange.send(&again).await.ok().body;
    let id = verified(&world, tokens["id_token"].as_str().unwrap(), &APP).await;
    assert_eq!((&id["acr"], &id["amr"]), (&json!(BY_CARD), &json!(["sc"])));
    assert!(world.now().as_second() - id["auth_time"].as_i64().unwrap() < 60, "{id}");

    // By password, the tokens say that.
    let weak =
        verified(&world, tokens_by_password(&world, &head).await["id_token"].as_str().unwrap(), &APP).await;
    assert_eq!((&weak["acr"], &weak["amr"]), (&json!(BY_PASSWORD), &json!(["pwd"])));
    assert!(world.now().as_second() - weak["auth_time"].as_i64().unwrap() >= 600, "{weak}");

    // Whom the client takes it to be.
    let hint = tokens["id_token"].as_str().unwrap();
    assert!(returned(&ask(&again, &[("id_token_hint", hint)], Some("allow")).await).code.is_some());
    let wang = world.signed_in(&WANG).await;
    let other = ask(&wang, &[("id_token_hint", hint)], Some("allow")).await;
    assert_eq!(other.body["why"], "somebody_else", "{other}");
}

async fn tokens_by_password(world: &World, browser: &Browser) -> Value {
    tokens(world, APP, browser).await
}

#[tokio::test]
async fn an_agency_signs_in_too() {
    let world = World::start().await;
    let agency = world.agency("agency-a02").await;
    let tokens = tokens(&world, HR_PORTAL, &agency).await;
    let id = verified(&world, tokens["id_token"].as_str().unwrap(), &HR_PORTAL).await;
    assert!(id["sub"].as_str().unwrap().starts_with("agency#2.16."), "{id}");
    let portal = with_token(&agency, &tokens);
    let user = portal.get("/userinfo").await.ok().body;
    assert_eq!((&user["subject"], &user["agency"]), (&json!("agency"), &json!("A02")));
    portal.search(WANG.national_id).await.ok();
}

#[tokio::test]
async fn a_token_is_for_its_scopes() {
    let world = World::start().await;
    let head = world.head().await;
    let asked = APP.asks().with("scope", "openid hr.search");
    let portal = with_token(&head, &asked.tokens(&head, &world.stack.portal_url, world.now()).await);
    portal.search(WANG.national_id).await.ok();
    let sub = json!({"sub": format!("person#{}", world.person_id(&HEAD).await)});
    assert_eq!(portal.get("/userinfo").await.ok().body, sub, "no profile, no more");
    portal.get("/v1/session").await.problem(Code::InsufficientScope);
    let answer = portal.reset(&ZHOU, None).await.problem(Code::InsufficientScope);
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="first-sign-in", error="insufficient_scope", scope="hr.reset""#)
    );
    // What is closed to clients is closed whatever their scopes.
    let all = with_token(&head, &tokens(&world, APP, &head).await);
    let closed = Some(r#"Bearer realm="first-sign-in", error="insufficient_scope""#);
    for (method, path, body) in [
        ("POST", "/v1/session/token", json!({})),
        ("POST", "/v1/account/password", json!({"password": "x", "password_confirmation": "x"})),
        ("GET", "/v1/account/cards", Value::Null),
        ("GET", "/v1/account/email", Value::Null),
        ("PUT", "/v1/account/email", json!({"email": "new@example.org"})),
        ("POST", "/v1/account/email/confirmation", json!({"code": "0000 0000"})),
    ] {
        let request = all.request(method, path);
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().await.problem(Code::InsufficientScope);
        assert_eq!(answer.header("www-authenticate"), closed, "{method} {path}");
    }
    let answer = all.post("/v1/hr/employees/cards", json!({"national_id": WANG.national_id})).await;
    let answer = answer.problem(Code::InsufficientScope);
    assert!(answer.header("www-authenticate").unwrap().ends_with(r#"scope="hr.cards""#), "{answer}");
    // Nobody gets more by a client than they have.
    let wang = world.signed_in(&WANG).await;
    let portal = with_token(&wang, &tokens(&world, APP, &wang).await);
    portal.search(STAFF.national_id).await.problem(Code::NotAuthorized);
    // A cookie is no token, and nobody is nobody.
    head.get("/userinfo").await.problem(Code::SessionRequired);
    world.browser().get("/userinfo").await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn what_a_client_gets_passes_for_nothing_else() {
    let world = World::start().await;
    let head = world.head().await;
    let lent = tokens(&world, APP, &head).await;
    // An ID token is no access token, nor is a code.
    let (id, asked) = (lent["id_token"].clone(), APP.asks());
    for token in [id, json!(asked.code(&head).await)] {
        let client = with_token(&head, &json!({ "access_token": token }));
        client.get("/userinfo").await.problem(Code::SessionRequired);
        client.search(WANG.national_id).await.problem(Code::SessionRequired);
    }
    // The session behind an access token opens no browser's: not here, nor for another client.
    let claimed = claims(lent["access_token"].as_str().unwrap());
    let (sid, sub) = (claimed["sid"].as_str().unwrap(), claimed["sub"].as_str().unwrap());
    let mut thief = head.signed_out();
    thief.session = Some(Session::Cookie(format!("{sid}.p.{}", sub.strip_prefix("person#").unwrap())));
    thief.get("/v1/session").await.problem(Code::SessionRequired);
    let page = HR_PORTAL.asks().on_page(&thief).await;
    assert_eq!(page.answer(&thief, Some("allow")).await.ok().body["why"], "nobody");
}

#[test]
fn what_hr_does_here_it_may_do_at_a_client() {
    let hr = |operation: &Operation<'_>| operation.path.starts_with("/v1/hr/");
    for operation in contract().operations().iter().filter(|operation| hr(operation)) {
        let key = format!("{} {}", operation.method, operation.path);
        assert!(oauth::Scope::of_route(&key).is_some(), "no scope for {key}: see shared::oauth");
    }
}

#[test]
fn the_document_names_the_scope_of_every_route_that_takes_one() {
    let described: BTreeSet<(String, String)> = contract()
        .operations()
        .iter()
        .flat_map(|operation| {
            let security = operation.object["security"].as_array().cloned().unwrap_or_default();
            let scopes = security.into_iter().filter_map(|way| way["client"].as_array().cloned()).flatten();
            let key = format!("{} {}", operation.method, operation.path);
            scopes.map(move |scope| (key.clone(), scope.as_str().unwrap().to_owned())).collect::<Vec<_>>()
        })
        .collect();
    let decided: BTreeSet<(String, String)> =
        oauth::ROUTES.iter().map(|(key, scope)| ((*key).to_owned(), scope.name().to_owned())).collect();
    assert_eq!(described, decided);
}

#[tokio::test]
async fn a_code_is_for_one_client_one_address_and_one_verifier_for_a_minute() {
    let world = World::start().await;
    let head = world.head().await;
    let issuer = &world.stack.portal_url;
    let asked = HR_PORTAL.asks();
    let code = asked.code(&head).await;
    let good = HR_PORTAL.exchange(issuer, &code, &asked.verifier, world.now());
    let other = ProofKey::random().verifier;
    let rows = [
        ("another verifier", good.clone().with("code_verifier", &other), "invalid_grant"),
        ("no verifier", good.clone().with("code_verifier", ""), "invalid_request"),
        ("a malformed verifier", good.clone().with("code_verifier", "short"), "invalid_request"),
        (
            "another address of the client",
            good.clone().with("redirect_uri", "https://hr.example.gov.tw/callback?tenant=a02"),
            "invalid_grant",
        ),
        ("no address", good.clone().with("redirect_uri", ""), "invalid_request"),
        ("another code", good.clone().with("code", &other), "invalid_grant"),
        ("a malformed code", good.clone().with("code", "x"), "invalid_grant"),
        ("no code", good.clone().with("code", ""), "invalid_request"),
        ("no grant", good.clone().with("grant_type", ""), "invalid_request"),
        ("another grant", good.clone().with("grant_type", "client_credentials"), "unsupported_grant_type"),
        ("a refresh", good.clone().with("grant_type", "refresh_token"), "unsupported_grant_type"),
        (
            "another client",
            APP.exchange(issuer, &code, &asked.verifier, world.now())
                .with("redirect_uri", HR_PORTAL.redirect_uri),
            "invalid_grant",
        ),
    ];
    for (what, exchange, error) in rows {
        let answer = exchange.send(&head).await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!(error)), "{what}: {answer}");
    }
    let mut twice = good.clone();
    twice.form.push(("code".to_owned(), code.clone()));
    refused(&twice.send(&head).await, 400, "invalid_request");
    // A refused code stays as it was, for a minute.
    world.pass(SignedDuration::from_secs(58));
    good.send(&head).await.ok();
    let late = asked.code(&head).await;
    let late = HR_PORTAL.exchange(issuer, &late, &asked.verifier, world.now());
    world.pass(SignedDuration::from_secs(61));
    refused(&late.send(&head).await, 400, "invalid_grant");
    // Only a form is one.
    let client = head.signed_out();
    let json = client.request("POST", "/token").json(json!({"grant_type": "authorization_code"}));
    refused(&json.send().await, 400, "invalid_request");
}

#[tokio::test]
async fn a_client_proves_that_it_is_itself() {
    let world = World::start().await;
    let head = world.head().await;
    let issuer = &world.stack.portal_url;
    let asked = HR_PORTAL.asks();
    let code = asked.code(&head).await;
    let good = HR_PORTAL.exchange(issuer, &code, &asked.verifier, world.now());
    let header = |value: String| {
        let mut exchange = good.clone();
        exchange.authorization = Some(value);
        exchange
    };
    let bare = {
        let mut exchange = good.clone();
        exchange.authorization = None;
        exchange
    };
    let other = ProofKey::random().verifier;
    let rows = [
        ("another secret", header(basic(HR_PORTAL.id, &other)), true),
        ("another client's name", header(basic(APP.id, SECRET)), true),
        ("nobody", header(basic("nobody", SECRET)), true),
        ("another scheme", header("Bearer x".to_owned()), true),
        ("no secret", bare.clone().with("client_id", HR_PORTAL.id), false),
        (
            "another secret in the form",
            bare.clone().with("client_id", HR_PORTAL.id).with("client_secret", &other),
            false,
        ),
    ];
    for (what, exchange, by_header) in rows {
        let answer = exchange.send(&head).await;
        refused(&answer, 401, "invalid_client");
        let challenge = answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic "));
        assert_eq!(challenge, by_header, "{what}: {answer}");
    }
    refused(&bare.clone().send(&head).await, 400, "invalid_request");
    refused(&good.clone().with("client_secret", SECRET).send(&head).await, 400, "invalid_request");
    // In the form it is as good.
    bare.with("client_id", HR_PORTAL.id).with("client_secret", SECRET).send(&head).await.ok();

    // By a key: an assertion works once, and for us.
    let asked = DESK.asks();
    let code = asked.code(&head).await;
    let wrong = DESK.exchange("https://evil.example", &code, &asked.verifier, world.now());
    refused(&wrong.send(&head).await, 401, "invalid_client");
    let good = DESK.exchange(issuer, &code, &asked.verifier, world.now());
    refused(&good.clone().with("code_verifier", &other).send(&head).await, 400, "invalid_grant");
    refused(&good.send(&head).await, 401, "invalid_client");
    DESK.exchange(&format!("{issuer}/token"), &code, &asked.verifier, world.now()).send(&head).await.ok();
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_came_of_it() {
    let world = World::start().await;
    let head = world.head().await;
    let issuer = &world.stack.portal_url;
    let asked = APP.asks();
    let code = asked.code(&head).await;
    let exchange = APP.exchange(issuer, &code, &asked.verifier, world.now());
    let tokens = exchange.send(&head).await.ok().body;
    let portal = with_token(&head, &tokens);
    portal.get("/userinfo").await.ok();
    // Another client does not end it; whoever comes with the code does, verifier or not.
    let foreign = HR_PORTAL.exchange(issuer, &code, &asked.verifier, world.now());
    refused(&foreign.send(&head).await, 400, "invalid_grant");
    portal.get("/userinfo").await.ok();
    let thief = exchange.clone().with("code_verifier", &ProofKey::random().verifier);
    refused(&thief.send(&head).await, 400, "invalid_grant");
    let answer = portal.get("/userinfo").await.problem(Code::SessionRequired);
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="first-sign-in", error="invalid_token""#)
    );
    head.get("/v1/session").await.ok();
    let entries = table::items_of(&world.stack, "AUDIT_TABLE", "person#").into_iter();
    let actions: Vec<String> = entries
        .filter(|entry| entry.contains_key("note") && table::text(entry, "note") == APP.id)
        .map(|entry| table::text(&entry, "action").to_owned())
        .collect();
    assert_eq!(actions, ["client_sign_in", "client_code_replay"]);
    let entries = table::items_of(&world.stack, "AUDIT_TABLE", "person#").into_iter();
    let replays = entries.filter(|entry| table::text(entry, "action") == "client_code_replay");
    assert!(
        replays.clone().count() == 1 && replays.clone().all(|entry| table::text(&entry, "agency") == "A02")
    );

    // Of two at once at most one gets tokens, and they are worth nothing once the other was told.
    let asked = APP.asks();
    let code = asked.code(&head).await;
    let exchange = APP.exchange(issuer, &code, &asked.verifier, world.now());
    let (left, right) = join(exchange.send(&head), exchange.send(&head)).await;
    let good: Vec<&Answer> = [&left, &right].into_iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(good.len(), 1, "{left}\n{right}");
    with_token(&head, &good[0].body).get("/userinfo").await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn what_ends_a_sign_in_ends_its_tokens() {
    let world = World::start().await;
    let head = world.head().await;
    let helpdesk = world.helpdesk().await;
    let issuer = world.stack.portal_url.clone();
    let lent = async |browser: &Browser| with_token(browser, &tokens(&world, APP, browser).await);

    // The client signs out: the browser stays signed in, and so do its other clients.
    let (one, two) = (lent(&head).await, lent(&head).await);
    one.request("DELETE", "/v1/session").without("origin").send().await.status(204);
    one.get("/userinfo").await.problem(Code::SessionRequired);
    two.get("/userinfo").await.ok();
    head.get("/v1/session").await.ok();
    // The browser signs out: every client is out, and a code that is on its way is worth nothing.
    let asked = APP.asks();
    let code = asked.code(&head).await;
    head.request("DELETE", "/v1/session").send().await.status(204);
    two.get("/userinfo").await.problem(Code::SessionRequired);
    let exchange = APP.exchange(&issuer, &code, &asked.verifier, world.now());
    refused(&exchange.send(&head).await, 400, "invalid_grant");

    // A reset, a password change, a departure.
    let mut wang = world.signed_in(&WANG).await;
    let client = lent(&wang).await;
    helpdesk.reset(&WANG, Some("forgot the password")).await.status(202);
    client.get("/userinfo").await.problem(Code::SessionRequired);
    wang.sign_in_by_card().await.signed_in();
    let staff = world.signed_in(&STAFF).await;
    let client = lent(&staff).await;
    let new = json!({"password": "Dadaocheng-Pier#19", "password_confirmation": "Dadaocheng-Pier#19"});
    staff.post("/v1/account/password", new).await.status(204);
    staff.get("/v1/session").await.ok();
    client.get("/userinfo").await.problem(Code::SessionRequired);
    let client = lent(&staff).await;
    let asked = APP.asks();
    let code = asked.code(&staff).await;
    world.depart(&STAFF).await;
    client.get("/userinfo").await.problem(Code::SessionRequired);
    let exchange = APP.exchange(&issuer, &code, &asked.verifier, world.now());
    refused(&exchange.send(&staff).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_client_gives_its_token_back() {
    let world = World::start().await;
    let head = world.head().await;
    let issuer = &world.stack.portal_url;
    for client in [APP, HR_PORTAL, DESK] {
        let (one, two) = (tokens(&world, client, &head).await, tokens(&world, client, &head).await);
        let token = one["access_token"].as_str().unwrap();
        let revoke = || client.revocation(issuer, token, world.now());
        // Not by another one, nor by somebody who cannot prove to be it.
        let other = if client.id == APP.id { HR_PORTAL } else { APP };
        refused(&other.revocation(issuer, token, world.now()).send(&head).await, 400, "invalid_grant");
        let mut unproved = HR_PORTAL.revocation(issuer, token, world.now());
        unproved.authorization = Some(basic(HR_PORTAL.id, &ProofKey::random().verifier));
        refused(&unproved.send(&head).await, 401, "invalid_client");
        with_token(&head, &one).get("/userinfo").await.ok();

        let answer = revoke().with("token_type_hint", "access_token").send(&head).await.ok();
        assert_eq!((answer.header("cache-control"), &answer.body), (Some("no-store"), &json!({})));
        with_token(&head, &one).get("/userinfo").await.problem(Code::SessionRequired);
        // The browser goes on, and what else was lent.
        with_token(&head, &two).get("/userinfo").await.ok();
        head.get("/v1/session").await.ok();
        // What opens nothing is revoked: again, an ID token, a word, and one that nobody has signed.
        let forged = format!("{}x", token.rsplit_once('.').unwrap().0);
        for nothing in [token, one["id_token"].as_str().unwrap(), "a word", &forged] {
            client.revocation(issuer, nothing, world.now()).send(&head).await.ok();
        }
        with_token(&head, &two).get("/userinfo").await.ok();
    }
    refused(
        &APP.revocation(issuer, "", world.now()).with("token", "").send(&head).await,
        400,
        "invalid_request",
    );
    let as_json = head.signed_out().post("/revoke", json!({"token": "x", "client_id": APP.id})).await;
    refused(&as_json, 400, "invalid_request");
    // A token that is over is given back as well: what it was of may still be there.
    let tokens = tokens(&world, APP, &head).await;
    let lent = claims(tokens["id_token"].as_str().unwrap())["sid"].as_str().unwrap().to_owned();
    let there =
        || table::items(&world.stack, "SESSIONS_TABLE").iter().any(|item| table::text(item, "sk") == lent);
    world.pass(SignedDuration::from_mins(16));
    assert!(there());
    let over = APP.revocation(issuer, tokens["access_token"].as_str().unwrap(), world.now());
    over.send(&head).await.ok();
    assert!(!there());

    let entries = table::items_of(&world.stack, "AUDIT_TABLE", "person#");
    let revoked: Vec<_> = entries
        .iter()
        .filter(|entry| table::text(entry, "action") == "token_revocation")
        .map(|entry| {
            (table::text(entry, "note"), table::text(entry, "agency"), table::text(entry, "outcome"))
        })
        .collect();
    let of = |client: Client| (client.id, "A02", "success");
    assert_eq!(revoked, [of(APP), of(HR_PORTAL), of(DESK), of(APP)], "one for each that ended something");
}

/// What a browser shows of being signed in.
async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/v1/session").await.status == 200
}

#[tokio::test]
async fn a_client_has_its_person_signed_out_of_everything() {
    let world = World::start().await;
    let mut head = world.head().await;
    let (one, two) = (tokens(&world, HR_PORTAL, &head).await, tokens(&world, APP, &head).await);
    let hint = one["id_token"].as_str().unwrap();
    let uri = HR_PORTAL.post_logout_redirect_uri;
    let wish = [("id_token_hint", hint), ("post_logout_redirect_uri", uri), ("state", "a state & more")];
    // Its ID token came of this very sign-in: nothing is asked.
    let page = SigningOut::arrive(&head, &wish).await;
    assert!(is_signed_in(&head).await, "arriving ends nothing");
    let answer = page.answer(&head, false).await.ok();
    assert_eq!(answer.body["status"], "signed_out", "{answer}");
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"), "{answer}");
    let back = returned(&answer);
    assert_eq!((back.address.as_str(), back.state.as_deref()), (uri, Some("a state & more")));
    assert!(!is_signed_in(&head).await);
    for tokens in [&one, &two] {
        with_token(&head, tokens).get("/userinfo").await.problem(Code::SessionRequired);
    }
    // Whoever is signed out already goes on.
    let again = page.answer(&head, false).await.ok();
    assert_eq!(returned(&again).address, uri);
    // Without an address the page says that it is done; by a form it is the same.
    head.sign_in_by_card().await.signed_in();
    let tokens = tokens(&world, APP, &head).await;
    let form = [("id_token_hint", tokens["id_token"].as_str().unwrap()), ("client_id", APP.id)];
    let arrived = head.signed_out();
    let arrived = arrived.request("POST", "/logout").without("origin").form(&form).send().await;
    let answer = SigningOut::of(&arrived).answer(&head, false).await.ok();
    assert_eq!(answer.body, json!({"status": "signed_out"}));
    assert!(!is_signed_in(&head).await);

    let entries = table::items_of(&world.stack, "AUDIT_TABLE", "person#");
    let out: Vec<_> = entries
        .iter()
        .filter(|entry| table::text(entry, "action") == "sign_out")
        .map(|entry| (table::text(entry, "note"), table::text(entry, "agency")))
        .collect();
    assert_eq!(out, [(HR_PORTAL.id, "A02"), (APP.id, "A02")]);
}

#[tokio::test]
async fn nobody_is_signed_out_unasked_by_a_wish_that_proves_nothing() {
    let world = World::start().await;
    let (head, wang) = (world.head().await, world.signed_in(&WANG).await);
    let own = tokens(&world, APP, &head).await["id_token"].as_str().unwrap().to_owned();
    let others = tokens(&world, APP, &wang).await["id_token"].as_str().unwrap().to_owned();
    let given_back = tokens(&world, APP, &head).await;
    let revocation =
        APP.revocation(&world.stack.portal_url, given_back["access_token"].as_str().unwrap(), world.now());
    revocation.send(&head).await.ok();
    let given_back = given_back["id_token"].as_str().unwrap().to_owned();
    // The same person at another browser.
    let mut elsewhere = head.signed_out();
    elsewhere.sign_in_by_card().await.signed_in();
    let (kept, _) = own.rsplit_once('.').unwrap();
    let (head_of, body, signature) = {
        let mut parts = own.split('.');
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
    };
    let mut claimed: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
    claimed["aud"] = json!(HR_PORTAL.id);
    let changed = format!("{head_of}.{}.{signature}", URL_SAFE_NO_PAD.encode(claimed.to_string()));
    let unsigned = format!("{kept}.");
    let none = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
    let access = tokens(&world, APP, &head).await["access_token"].as_str().unwrap().to_owned();
    type Wish<'w> = (&'w str, &'w [(&'w str, &'w str)], &'w Browser);
    let rows: &[Wish<'_>] = &[
        ("nothing at all", &[], &head),
        ("a client that names itself", &[("client_id", APP.id)], &head),
        ("another person's", &[("id_token_hint", &others)], &head),
        ("of a session that is no more", &[("id_token_hint", &given_back)], &head),
        ("of another sign-in of the same person", &[("id_token_hint", &own)], &elsewhere),
        ("without its signature", &[("id_token_hint", &unsigned)], &head),
        ("that nobody signed", &[("id_token_hint", &none)], &head),
        ("changed", &[("id_token_hint", &changed)], &head),
        ("an access token", &[("id_token_hint", &access)], &head),
        ("a word", &[("id_token_hint", "word"), ("client_id", APP.id)], &head),
    ];
    for (what, wish, browser) in rows {
        let page = SigningOut::arrive(browser, wish).await;
        let asked = page.answer(browser, false).await.ok();
        assert_eq!(
            (&asked.body["status"], &asked.body["name"]),
            (&json!("ask"), &json!(HEAD.name)),
            "{what}"
        );
        let known = wish.iter().any(|(name, _)| *name == "client_id")
            || [&others, &given_back, &own].iter().any(|hint| wish.iter().any(|(_, value)| value == *hint));
        assert_eq!(asked.body.get("client_name").is_some(), known, "{what}: {asked}");
        assert!(is_signed_in(browser).await, "{what}");
    }
    // Nor from elsewhere than our own page, agreed or not; nor with a token.
    for origin in ["https://evil.example", "null", ""] {
        for agreed in [false, true] {
            let body = json!({"request": format!("id_token_hint={own}"), "agreed": agreed});
            let request = head.request("POST", "/v1/logout").json(body);
            let request =
                if origin.is_empty() { request.without("origin") } else { request.header("origin", origin) };
            request.send().await.problem(Code::OriginRefused);
        }
    }
    assert!(is_signed_in(&head).await);
    // Who is asked says yes.
    let page = SigningOut::arrive(&head, &[("client_id", APP.id)]).await;
    assert_eq!(page.answer(&head, true).await.ok().body, json!({"status": "signed_out"}));
    assert!(!is_signed_in(&head).await && is_signed_in(&elsewhere).await && is_signed_in(&wang).await);
}

#[tokio::test]
async fn after_signing_out_nobody_is_sent_where_no_client_is_registered() {
    let world = World::start().await;
    let head = world.head().await;
    let tokens = tokens(&world, HR_PORTAL, &head).await;
    let hint = tokens["id_token"].as_str().unwrap();
    let own = HR_PORTAL.post_logout_redirect_uri;
    const URI: &str = "post_logout_redirect_uri";
    let rows: &[(&[(&str, &str)], Code)] = &[
        (&[("id_token_hint", hint), (URI, "https://evil.example/")], Code::RedirectRefused),
        (&[("id_token_hint", hint), (URI, &format!("{own}more"))], Code::RedirectRefused),
        (&[("id_token_hint", hint), (URI, HR_PORTAL.redirect_uri)], Code::RedirectRefused),
        (&[("id_token_hint", hint), (URI, APP.post_logout_redirect_uri)], Code::RedirectRefused),
        (&[(URI, own)], Code::RedirectRefused),
        (&[("client_id", APP.id), (URI, own)], Code::RedirectRefused),
        (&[("client_id", DESK.id), (URI, own)], Code::RedirectRefused),
        (&[("client_id", "nobody"), (URI, own)], Code::ClientUnknown),
        (&[("id_token_hint", hint), ("client_id", APP.id)], Code::RequestInvalid),
        (&[("client_id", HR_PORTAL.id), (URI, own), (URI, own)], Code::RequestInvalid),
    ];
    for (wish, code) in rows {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(*wish).finish();
        let stranger = head.signed_out();
        let page = format!("{}/sign-out#problem={}", world.stack.portal_url, code.name());
        let arrived = stranger.request("GET", &format!("/logout?{query}")).header("accept", "text/html");
        assert_eq!(arrived.send().await.status(303).header("location"), Some(page.as_str()), "{wish:?}");
        stranger.get(&format!("/logout?{query}")).await.problem(*code);
        // Nor does our page lead there, whoever led to it.
        head.post("/v1/logout", json!({"request": query, "agreed": true})).await.problem(*code);
    }
    assert!(is_signed_in(&head).await);
    let long = format!("/logout?state={}", "x".repeat(9000));
    head.signed_out().get(&long).await.problem(Code::RequestInvalid);
    for (body, field) in [
        (json!({}), "request"),
        (json!({"request": "x", "agreed": "yes"}), "agreed"),
        (json!({"request": "x".repeat(9000)}), "request"),
    ] {
        head.post("/v1/logout", body).await.problem_of(Code::RequestInvalid, field);
    }
}

#[tokio::test]
async fn a_person_sees_what_they_have_lent_and_ends_it() {
    let world = World::start().await;
    let staff = world.signed_in(&STAFF).await;
    let lent = async || with_token(&staff, &tokens(&world, APP, &staff).await);
    let open =
        async || staff.get("/v1/account/sessions").await.ok().body["sessions"].as_array().unwrap().clone();
    let end = async |session: &Value| {
        let id = session["session_id"].as_str().unwrap();
        staff.request("DELETE", &format!("/v1/account/sessions/{id}")).send().await.status(204);
    };
    let client = lent().await;
    let shown = open().await;
    let of_client = shown.iter().find(|session| session["client"] == APP.id).unwrap();
    assert_eq!(shown.iter().filter(|session| session.get("client").is_some()).count(), 1);
    end(of_client).await;
    client.get("/userinfo").await.problem(Code::SessionRequired);
    staff.get("/v1/session").await.ok();

    // A session that is ended by name takes with it what was lent from it.
    let client = lent().await;
    end(open().await.iter().find(|session| session["current"] == true).unwrap()).await;
    client.get("/userinfo").await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn tokens_end_by_time() {
    let world = World::start().await;
    let mut head = world.head().await;
    head.sign_in_by_card().await.signed_in();
    let portal = with_token(&head, &tokens(&world, APP, &head).await);
    world.pass(SignedDuration::from_secs(890));
    head.get("/v1/session").await.ok();
    portal.get("/userinfo").await.ok();
    world.pass(SignedDuration::from_secs(11));
    portal.get("/userinfo").await.problem(Code::SessionRequired);
    // The browser's session goes on, and another token comes without a question.
    head.get("/v1/session").await.ok();
    let silent = APP.asks().with("prompt", "none");
    let code = returned(&silent.on_page(&head).await.answer(&head, None).await.ok()).code.unwrap();
    let exchange = APP.exchange(&world.stack.portal_url, &code, &silent.verifier, world.now());
    exchange.send(&head).await.ok();
    // Never longer than twelve hours after the sign-in.
    for _ in 0..71 {
        world.pass(SignedDuration::from_mins(10));
        if head.get("/v1/session").await.status != 200 {
            break;
        }
        let tokens = tokens(&world, APP, &head).await;
        let end = claims(tokens["access_token"].as_str().unwrap());
        let (auth, exp) = (end["auth_time"].as_i64().unwrap(), end["exp"].as_i64().unwrap());
        assert!(exp <= auth + 12 * 3600, "{end}");
    }
    assert_eq!(head.get("/v1/session").await.status, 401);
}

#[tokio::test]
async fn what_a_client_reads_first() {
    let world = World::start().await;
    let issuer = world.stack.portal_url.clone();
    let document = world.browser().get("/.well-known/openid-configuration").await.ok().body;
    assert_eq!(document["issuer"], issuer);
    for (name, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("userinfo_endpoint", "/userinfo"),
        ("jwks_uri", "/.well-known/jwks.json"),
        ("revocation_endpoint", "/revoke"),
        ("end_session_endpoint", "/logout"),
    ] {
        assert_eq!(document[name], format!("{issuer}{path}"));
        assert!(world.stack.deployment.routes.iter().any(|route| route.path == path), "{path}");
    }
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(document["acr_values_supported"], json!([BY_PASSWORD, BY_CARD]));
    let id = tokens(&world, APP, &world.head().await).await;
    let claims = claims(id["id_token"].as_str().unwrap());
    let supported = document["claims_supported"].as_array().unwrap();
    assert!(claims.as_object().unwrap().keys().all(|name| supported.contains(&json!(name))), "{claims}");
}

#[tokio::test]
async fn pages_of_configured_origins_call_with_a_token_and_no_others() {
    let (ours, theirs) = ("https://hr.example.gov.tw", "https://evil.example");
    let world = World::start_with(|options| {
        let origins = format!("{ours},https://desk.example.gov.tw");
        options.parameters.insert("CorsOrigins".to_owned(), origins);
    })
    .await;
    let head = world.head().await;
    let portal = with_token(&head, &tokens(&world, APP, &head).await);
    let preflight = async |origin: &str, path: &str| {
        let request = portal.request("OPTIONS", path).without("authorization").header("origin", origin);
        request.header("access-control-request-method", "POST").send().await.status(204)
    };
    for path in ["/token", "/userinfo", "/v1/hr/employees/search"] {
        let answer = preflight(ours, path).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(ours), "{answer}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer}");
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(
            ["authorization", "content-type", "idempotency-key"].iter().all(|name| headers.contains(name))
        );
        assert_eq!(preflight(theirs, path).await.header("access-control-allow-origin"), None);
    }
    let search = async |browser: &Browser, origin: &str| {
        let request = browser.request("POST", "/v1/hr/employees/search").header("origin", origin);
        request.json(json!({"national_id": WANG.national_id})).send().await
    };
    let answer = search(&portal, ours).await.ok();
    assert_eq!(answer.header("access-control-allow-origin"), Some(ours));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("retry-after"));
    assert_eq!(search(&portal, theirs).await.ok().header("access-control-allow-origin"), None);
    // With the cookie nobody calls from elsewhere, configured or not.
    search(&head, ours).await.problem(Code::OriginRefused);
    search(&head, theirs).await.problem(Code::OriginRefused);
}

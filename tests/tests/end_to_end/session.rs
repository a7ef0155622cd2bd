//! Sessions: the cookie, the token, and the ways in which they end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Browser, COOKIE, Session};
use tests::log;
use tests::people::{Civilian, WANG, ZHANG};
use tests::world::World;

/// Somebody signed in by password, as a program.
async fn program(world: &World) -> Browser {
    world.signed_in(&WANG).await;
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    program
}

fn token(program: &Browser) -> String {
    match &program.session {
        Some(Session::Token(token)) => token.clone(),
        other => panic!("no token: {other:?}"),
    }
}

#[tokio::test]
async fn the_cookie_is_for_this_host_and_no_script() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    let answer = wang.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    let (value, attributes) = answer.header("set-cookie").unwrap().split_once("; ").unwrap();
    assert!(value.starts_with("__Host-session="));
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Strict");
    assert!(!answer.text.contains(value.split_once('=').unwrap().1.split('.').next().unwrap()));
}

#[tokio::test]
async fn what_is_no_session_of_ours_is_none_and_reaches_no_log() {
    let world = World::start().await;
    let nobody = world.browser();
    let (id, person, mark) = ("A".repeat(43), "B".repeat(43), "Zq7marked");
    let long = mark.repeat(300);
    let cookies = [
        mark.to_owned(),
        long.clone(),
        format!("{id}.p.{mark}"),
        format!("{id}.p.{long}"),
        format!("{id}.a.{mark}"),
        format!("{id}.a.{long}"),
        format!("{id}.a.{}", "1.".repeat(1500)),
        format!("{id}.{mark}.{person}"),
        format!("{mark}.p.{person}"),
        format!("{id}.p.{person}"),
        format!("\"{id}.p.{person}{mark}\""),
    ];
    for cookie in cookies {
        for (method, path) in
            [("GET", "/v1/session"), ("DELETE", "/v1/session"), ("POST", "/v1/session/token")]
        {
            let call = nobody.request(method, path).header("cookie", &format!("{COOKIE}={cookie}"));
            let call = if method == "POST" { call.json(json!({})) } else { call };
            let answer = call.send().await.problem(Code::SessionRequired);
            assert!(!log::lines_about(answer.request_id()).contains(mark), "{method} {path} {cookie}");
        }
    }
    for token in [mark.to_owned(), long.clone(), format!("{mark}.{mark}.{mark}"), format!("e30.{mark}.x")] {
        let call = nobody.request("GET", "/v1/session").header("authorization", &format!("Bearer {token}"));
        let answer = call.send().await.problem(Code::SessionRequired);
        assert!(!log::lines_about(answer.request_id()).contains(mark), "{token}");
    }
    for ticket in [mark.to_owned(), format!("{id}.{mark}"), format!("{id}.{long}"), format!("{id}.{person}")]
    {
        let answer = nobody.activate(&ticket, &WANG).await.problem(Code::TicketInvalid);
        assert!(!log::lines_about(answer.request_id()).contains(mark), "{ticket}");
        let answer = nobody.clone().identify(&ticket, WANG.national_id).await.problem(Code::TicketInvalid);
        assert!(!log::lines_about(answer.request_id()).contains(mark), "{ticket}");
    }
    // What only the signed in may ask for, in a form that is none of ours.
    let desk = world.helpdesk().await;
    for path in [
        format!("/v1/hr/password-resets?agency={long}"),
        format!("/v1/hr/password-resets?mine=true&cursor={long}"),
        format!("/v1/hr/audit?agency={long}"),
        format!("/v1/hr/audit?cursor={long}"),
        format!("/v1/hr/authorizations?agency={long}"),
        format!("/v1/hr/authorizations?cursor={long}"),
    ] {
        let answer = desk.get(&path).await.problem(Code::RequestInvalid);
        assert!(!log::lines_about(answer.request_id()).contains(mark), "{path}");
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    for _ in 0..3 {
        world.pass(SignedDuration::from_mins(14));
        wang.get("/v1/session").await.ok();
    }
    world.pass(SignedDuration::from_mins(15));
    wang.get("/v1/session").await.problem(Code::SessionRequired);
    world.pass(SignedDuration::from_mins(-14));
    wang.get("/v1/session").await.ok();
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_of_use() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    for quarter in 1..52 {
        world.pass(SignedDuration::from_mins(14));
        let session = wang.get("/v1/session").await.ok();
        let left =
            session.text_of("expires_at").parse::<jiff::Timestamp>().unwrap().duration_since(world.now());
        let expected = (12 * 60 - quarter * 14).min(15);
        assert!((left.as_mins() - expected).abs() <= 1, "{left:?} left after {quarter} quarters");
    }
    world.pass(SignedDuration::from_mins(6));
    wang.get("/v1/session").await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn signing_out_ends_the_session_wherever_it_is_known() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    let out = wang.request("DELETE", "/v1/session").send().await.status(204);
    assert_eq!(
        out.header("set-cookie"),
        Some("__Host-session=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
    );
    wang.get("/v1/session").await.problem(Code::SessionRequired);
    wang.request("DELETE", "/v1/session").send().await.problem(Code::SessionRequired);

    let program = program_again(&world).await;
    program.request("DELETE", "/v1/session").send().await.status(204);
    program.get("/v1/session").await.problem(Code::SessionRequired);
    program.post("/v1/session/token", json!({})).await.problem(Code::SessionRequired);
}

async fn program_again(world: &World) -> Browser {
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    program
}

#[tokio::test]
async fn signing_in_again_ends_the_browsers_former_session() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    let elsewhere = program_again(&world).await;
    world.signed_in(&ZHANG).await;
    let by_password = |person: &Civilian| json!({"identifier": person.account, "password": person.password});
    for (what, person) in [("as the same person", &WANG), ("as another", &ZHANG)] {
        let former = wang.clone();
        let again = wang.post("/v1/login/password", by_password(person)).await.signed_in();
        wang.session = again.session();
        assert_ne!(wang.session, former.session);
        let refused = former.get("/v1/session").await;
        assert_eq!(refused.body["code"], "session_required", "{what}: {refused}");
        assert_eq!(wang.get("/v1/session").await.ok().body["name"], person.name, "{what}");
    }
    // By card too.
    let former = wang.clone();
    let (code, verifier) = wang.code().await;
    let body = json!({"code": code, "verifier": verifier});
    wang.session = wang.post("/v1/login/certificate", body).await.signed_in().session();
    former.get("/v1/session").await.problem(Code::SessionRequired);

    // Nothing ends that did not sign in anew: a refusal, a program that asks for a token, a cookie that is none.
    let wrong = json!({"identifier": WANG.account, "password": "Not-The-Password#1"});
    wang.post("/v1/login/password", wrong).await.problem(Code::InvalidCredentials);
    let mut token = by_password(&WANG);
    token["session"] = json!("token");
    wang.post("/v1/login/password", token).await.signed_in();
    wang.get("/v1/session").await.ok();
    let mut stranger = world.browser();
    stranger.session = Some(Session::Cookie("x.p.y".to_owned()));
    stranger.post("/v1/login/password", by_password(&WANG)).await.signed_in();
    elsewhere.get("/v1/session").await.ok();
}

#[tokio::test]
async fn a_reset_ends_every_session_at_once() {
    let world = World::start().await;
    let helpdesk = world.helpdesk().await;
    let program = program(&world).await;
    let mut browser = world.browser();
    browser.sign_in_by_password(WANG.account, WANG.password).await.signed_in();
    helpdesk.reset(&WANG, Some("stolen laptop")).await.status(202);
    for session in [&program, &browser] {
        session.get("/v1/session").await.problem(Code::SessionRequired);
    }
    program.post("/v1/session/token", json!({})).await.problem(Code::SessionRequired);
    browser.sign_in_by_password(WANG.account, WANG.password).await.problem(Code::InvalidCredentials);
}

#[tokio::test]
async fn a_departure_ends_every_session_at_once_and_a_return_revives_none() {
    let world = World::start().await;
    let program = program(&world).await;
    let zhang = world.signed_in(&ZHANG).await;
    world.depart(&WANG).await;
    program.get("/v1/session").await.problem(Code::SessionRequired);
    program.post("/v1/session/token", json!({})).await.problem(Code::SessionRequired);
    zhang.get("/v1/session").await.ok();
    // The sample as it was: Wang is in service again.
    world.stack.import(local::directory::SAMPLE.as_bytes()).await.unwrap();
    program.get("/v1/session").await.problem(Code::SessionRequired);
    program_again(&world).await.get("/v1/session").await.ok();
}

#[tokio::test]
async fn a_cookies_session_gets_no_token() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    wang.post("/v1/session/token", json!({})).await.problem(Code::NotAuthorized);
}

#[tokio::test]
async fn a_token_verifies_offline_by_the_published_keys() {
    let world = World::start().await;
    let program = program(&world).await;
    let keys = program.signed_out().get("/.well-known/jwks.json").await.ok();
    let keys: JwkSet = serde_json::from_value(keys.body).unwrap();
    let fresh = program.post("/v1/session/token", json!({})).await.ok();
    let tokens = [token(&program), fresh.text_of("token")];
    let claims = tokens.each_ref().map(|token| {
        let header = decode_header(token).unwrap();
        assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::ES256, Some("at+jwt")));
        let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[&world.stack.portal_url]);
        validation.set_issuer(&[&world.stack.portal_url]);
        decode::<Value>(token, &key, &validation).unwrap().claims
    });
    let names: Vec<&String> = claims[0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["acr", "amr", "aud", "auth_time", "exp", "iat", "iss", "jti", "sid", "sub"]);
    let [first, second] = &claims;
    assert_eq!((&first["sub"], &first["sid"]), (&second["sub"], &second["sid"]));
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(first["exp"].as_i64().unwrap() - first["iat"].as_i64().unwrap(), 900);
    assert_eq!(first["amr"], json!(["pwd"]));
}

#[tokio::test]
async fn a_token_lives_a_quarter_of_an_hour_and_is_renewed_by_its_session() {
    let world = World::start().await;
    let mut program = program(&world).await;
    for _ in 0..3 {
        world.pass(SignedDuration::from_mins(14));
        let fresh = program.post("/v1/session/token", json!({})).await.ok();
        program.session = Some(Session::Token(fresh.text_of("token")));
    }
    world.pass(SignedDuration::from_mins(15));
    program.get("/v1/session").await.problem(Code::SessionRequired);
}

#[tokio::test]
async fn a_tampered_token_is_no_token() {
    let world = World::start().await;
    let mut program = program(&world).await;
    let good = token(&program);
    let parts: Vec<&str> = good.split('.').collect();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        format!("{}.{}.{}", parts[0], encoded(claims), parts[2])
    };
    let flipped: String = {
        let (head, last) = good.split_at(good.len() - 2);
        format!("{head}{}", if last == "AA" { "BB" } else { "AA" })
    };
    let rows = [
        ("a longer life", with("exp", json!(4_102_444_800_i64))),
        ("another subject", with("sub", json!("agency#2.16.886.101.90002"))),
        ("another session", with("sid", json!("A".repeat(43)))),
        ("another signature", flipped),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", format!("{}.{}.", encoded(json!({"alg": "none", "typ": "at+jwt"})), parts[1])),
        (
            "HS256 under a public key",
            format!("{}.{}.{}", encoded(json!({"alg": "HS256", "typ": "at+jwt"})), parts[1], parts[2]),
        ),
        ("no token", "nonsense".to_owned()),
    ];
    for (what, forged) in rows {
        program.session = Some(Session::Token(forged));
        let answer = program.get("/v1/session").await;
        assert_eq!(answer.body["code"], "session_required", "{what}: {answer}");
    }
    program.session = Some(Session::Token(good));
    program.get("/v1/session").await.ok();
}

#[tokio::test]
async fn a_session_is_presented_as_it_was_given() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    let Some(Session::Cookie(cookie)) = wang.session.clone() else { panic!("no cookie") };
    let mut forged = program_again(&world).await;
    let good = token(&forged);

    // The token's session as a cookie: whoever reads a token must not get a browser's session out of it.
    let claims = good.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let person = claims["sub"].as_str().unwrap().strip_prefix("person#").unwrap();
    forged.session = Some(Session::Cookie(format!("{}.p.{person}", claims["sid"].as_str().unwrap())));
    forged.get("/v1/session").await.problem(Code::SessionRequired);
    forged.session = Some(Session::Token(cookie.clone()));
    forged.get("/v1/session").await.problem(Code::SessionRequired);

    // A wrong Authorization is not mended by a right cookie.
    for authorization in ["Basic d2FuZzp4aWFvbWluZw==", "Bearer", "Bearer x", &good] {
        let request = wang.request("GET", "/v1/session").header("authorization", authorization);
        request.send().await.problem(Code::SessionRequired);
    }
    // Other cookies beside it do no harm.
    let request =
        wang.request("GET", "/v1/session").header("cookie", &format!("a=b; {COOKIE}={cookie}; c=d"));
    request.send().await.ok();
}

#[tokio::test]
async fn a_made_up_cookie_opens_nothing() {
    let world = World::start().await;
    let mut wang = world.signed_in(&WANG).await;
    let Some(Session::Cookie(cookie)) = wang.session.clone() else { panic!("no cookie") };
    let (id, subject) = cookie.split_once('.').unwrap();
    let random = "A".repeat(43);
    for forged in [
        String::new(),
        id.to_owned(),
        format!("{random}.{subject}"),
        format!("{id}.a.2.16.886.101.90002"),
        "..".to_owned(),
    ] {
        wang.session = Some(Session::Cookie(forged));
        wang.get("/v1/session").await.problem(Code::SessionRequired);
    }
}

//! Every route of the template × every way to call it wrongly. A route that nobody thought of fails here.

use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::{Answer, Browser, Request};
use tests::people::{STAFF, WANG};
use tests::world::World;

/// Who may call a route.
#[derive(Clone, Copy, PartialEq)]
enum For {
    /// Everybody, without a session.
    Everybody,
    /// Somebody who signs in or activates: no session, but no other site's page either.
    Entering,
    /// Somebody with a session, of whom these kinds are refused as `not_authorized`.
    SignedIn { refused: &'static [Kind] },
    /// The holder of a card, on its own host.
    Card,
    /// A client, or the page for one: they have tests of their own, in `oidc.rs`.
    Client,
}

/// A session, by whose it is and how it is presented.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Employee,
    Agency,
    Program,
}

/// A route, who may call it, and the body that it wants.
struct Expected {
    route: &'static str,
    may: For,
    body: Option<fn() -> Value>,
}

const fn expected(route: &'static str, may: For, body: Option<fn() -> Value>) -> Expected {
    Expected { route, may, body }
}

const ROUTES: &[Expected] = &[
    expected("CardApi GET /v1/login/certificate", For::Card, None),
    expected(
        "PortalApi POST /v1/login/certificate",
        For::Entering,
        Some(|| json!({"code": "x", "verifier": "v".repeat(43)})),
    ),
    expected(
        "PortalApi POST /v1/login/certificate/identity",
        For::Entering,
        Some(|| json!({"ticket": "x", "identifier": "x"})),
    ),
    expected(
        "PortalApi POST /v1/login/password",
        For::Entering,
        Some(|| json!({"identifier": "nobody.at.all", "password": "x"})),
    ),
    expected("PortalApi POST /v1/activation", For::Entering, Some(|| tests::browser::activation("x", &WANG))),
    expected("PortalApi GET /v1/session", For::SignedIn { refused: &[] }, None),
    expected("PortalApi DELETE /v1/session", For::SignedIn { refused: &[] }, None),
    expected(
        "PortalApi POST /v1/session/token",
        For::SignedIn { refused: &[Kind::Employee, Kind::Agency] },
        Some(|| json!({})),
    ),
    expected("PortalApi GET /.well-known/jwks.json", For::Everybody, None),
    expected("PortalApi GET /.well-known/openid-configuration", For::Everybody, None),
    expected("PortalApi GET /authorize", For::Client, None),
    expected("PortalApi POST /authorize", For::Client, None),
    expected("PortalApi POST /v1/authorization", For::Client, None),
    expected("PortalApi POST /token", For::Client, None),
    expected("PortalApi GET /userinfo", For::Client, None),
    expected("PortalApi POST /userinfo", For::Client, None),
    expected("PortalApi POST /revoke", For::Client, None),
    expected("PortalApi GET /logout", For::Client, None),
    expected("PortalApi POST /logout", For::Client, None),
    expected("PortalApi POST /v1/logout", For::Client, None),
    expected(
        "PortalApi POST /v1/account/password",
        For::SignedIn { refused: &[Kind::Agency] },
        Some(|| json!({"password": "too-short", "password_confirmation": "too-short"})),
    ),
    expected("PortalApi GET /v1/account/email", For::SignedIn { refused: &[Kind::Agency] }, None),
    expected(
        "PortalApi PUT /v1/account/email",
        For::SignedIn { refused: &[Kind::Agency] },
        Some(|| json!({"email": "wang@example.org"})),
    ),
    expected(
        "PortalApi POST /v1/account/email/confirmation",
        For::SignedIn { refused: &[Kind::Agency] },
        Some(|| json!({"code": "0000 0000"})),
    ),
    expected("PortalApi GET /v1/account/cards", For::SignedIn { refused: &[Kind::Agency] }, None),
    expected(
        "PortalApi DELETE /v1/account/cards/{card_id}",
        For::SignedIn { refused: &[Kind::Agency] },
        None,
    ),
    expected("PortalApi GET /v1/hr/audit", For::SignedIn { refused: &[Kind::Employee, Kind::Program] }, None),
    expected("PortalApi GET /v1/account/sessions", For::SignedIn { refused: &[Kind::Agency] }, None),
    expected(
        "PortalApi DELETE /v1/account/sessions/{session_id}",
        For::SignedIn { refused: &[Kind::Agency] },
        None,
    ),
    expected(
        "PortalApi POST /v1/account/end-other-sessions",
        For::SignedIn { refused: &[Kind::Agency] },
        Some(|| json!({})),
    ),
    expected("PortalApi GET /v1/account/activity", For::SignedIn { refused: &[Kind::Agency] }, None),
    expected(
        "PortalApi POST /v1/hr/employees/search",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        Some(|| json!({"national_id": STAFF.national_id})),
    ),
    expected(
        "PortalApi POST /v1/hr/employees/password-reset",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        Some(|| json!({"national_id": STAFF.national_id, "email": STAFF.email})),
    ),
    expected(
        "PortalApi POST /v1/hr/employees/cards",
        For::SignedIn { refused: &[Kind::Employee, Kind::Agency, Kind::Program] },
        Some(|| json!({"national_id": STAFF.national_id})),
    ),
    expected(
        "PortalApi POST /v1/hr/employees/cards/unbind",
        For::SignedIn { refused: &[Kind::Employee, Kind::Agency, Kind::Program] },
        Some(
            || json!({"national_id": STAFF.national_id, "card_id": "A".repeat(43), "reason": "lost the card"}),
        ),
    ),
    expected(
        "PortalApi GET /v1/hr/password-resets/{reset_id}",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi POST /v1/hr/password-resets/{reset_id}/resend",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi GET /v1/hr/password-resets",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    // A file is no JSON: without one, who may upload is told so.
    expected(
        "PortalApi POST /v1/hr/bulk-resets",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi GET /v1/hr/bulk-resets/{bulk_id}",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi GET /v1/hr/bulk-resets/{bulk_id}/rows",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi POST /v1/hr/bulk-resets/{bulk_id}/confirm",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi GET /v1/hr/bulk-resets/{bulk_id}/result",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi DELETE /v1/hr/bulk-resets/{bulk_id}",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi GET /v1/hr/authorizations",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi GET /v1/hr/authorizations/{authorization_id}",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi PUT /v1/hr/authorizations/{authorization_id}",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        Some(|| json!({"national_id": STAFF.national_id})),
    ),
    expected(
        "PortalApi DELETE /v1/hr/authorizations/{authorization_id}",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi POST /v1/hr/authorizations/{authorization_id}/accept",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi POST /v1/hr/authorizations/{authorization_id}/refuse",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected(
        "PortalApi POST /v1/hr/authorizations/{authorization_id}/withdraw",
        For::SignedIn { refused: &[Kind::Employee, Kind::Program] },
        None,
    ),
    expected("PortalApi GET /openapi.yaml", For::Everybody, None),
    expected("PortalApi GET /", For::Everybody, None),
    expected("PortalApi GET /{page+}", For::Everybody, None),
];

impl Expected {
    fn api(&self) -> &'static str {
        self.route.split(' ').next().unwrap()
    }

    fn method(&self) -> &'static str {
        self.route.split(' ').nth(1).unwrap()
    }

    fn path(&self) -> String {
        let template = self.route.split(' ').nth(2).unwrap();
        let id = "A".repeat(43);
        template
            .replace("{reset_id}", &id)
            .replace("{bulk_id}", &id)
            .replace("{card_id}", &id)
            .replace("{authorization_id}", &id)
            .replace("{page+}", "help/card")
    }

    /// A right call, but for who makes it.
    fn call<'b>(&self, browser: &'b Browser) -> Request<'b> {
        let request = match self.may {
            For::Card => browser.card_request(&"A".repeat(43)),
            _ => browser.request(self.method(), &self.path()),
        };
        match self.body {
            Some(body) => request.json(body()),
            None => request,
        }
    }

    /// Whether it changes something, or lets somebody in, for a browser that has the cookie.
    fn writes(&self) -> bool {
        self.method() != "GET" && self.may != For::Client
    }
}

#[tokio::test]
async fn every_route_of_the_template_is_expected_here() {
    let world = World::start().await;
    let mut deployed: Vec<String> = world
        .stack
        .deployment
        .routes
        .iter()
        .filter(|route| route.path != "$default")
        .map(|route| format!("{} {} {}", route.api, route.method, route.path))
        .collect();
    let mut expected: Vec<String> = ROUTES.iter().map(|expected| expected.route.to_owned()).collect();
    deployed.sort();
    expected.sort();
    assert_eq!(deployed, expected);
}

#[tokio::test]
async fn without_a_session_what_needs_one_asks_for_it() {
    let world = World::start().await;
    let anybody = world.browser();
    for route in ROUTES {
        match route.may {
            For::SignedIn { .. } => {
                let answer = route.call(&anybody).send().await.problem(Code::SessionRequired);
                assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"first-sign-in\""));
                // Who has no session hears of that, not of what else is wrong.
                let bare = anybody.request(route.method(), &route.path()).send().await;
                bare.problem(Code::SessionRequired);
            }
            For::Everybody => {
                route.call(&anybody).send().await.ok();
            }
            For::Entering => {
                let answer = route.call(&anybody).send().await;
                let code = answer.text_of("code");
                assert!(["ticket_invalid", "invalid_credentials"].contains(&code.as_str()), "{answer}");
            }
            For::Card => {
                assert!(route.call(&anybody).try_send().await.is_err(), "no certificate, no handshake")
            }
            For::Client => {}
        }
    }
}

#[tokio::test]
async fn sessions_of_another_kind_are_not_enough() {
    let world = World::start().await;
    let employee = world.signed_in(&WANG).await;
    let agency = world.agency("agency-a02").await;
    let mut program = world.browser();
    program.sign_in_by_password_for_token(WANG.account, WANG.password).await.signed_in();
    // Signing out, here or everywhere else, would end the sessions that the others are asked with.
    let ends = ["DELETE /v1/session", "POST /v1/account/end-other-sessions"];
    let ends = |route: &Expected| ends.contains(&format!("{} {}", route.method(), route.path()).as_str());
    for route in ROUTES.iter().filter(|route| !ends(route)) {
        let For::SignedIn { refused } = route.may else { continue };
        for (kind, browser) in
            [(Kind::Employee, &employee), (Kind::Agency, &agency), (Kind::Program, &program)]
        {
            let answer = route.call(browser).send().await;
            let was_refused = answer.body["code"] == "not_authorized";
            assert_eq!(was_refused, refused.contains(&kind), "{} by {kind:?}:\n{answer}", route.route);
        }
    }
}

#[tokio::test]
async fn another_sites_page_is_refused_wherever_something_is_written() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    for route in ROUTES.iter().filter(|route| route.writes()) {
        for origin in ["https://evil.example", "https://portal.localhost", "null", ""] {
            let answer = route.call(&wang).header("origin", origin).send().await;
            assert_eq!(answer.body["code"], "origin_refused", "{} from {origin:?}:\n{answer}", route.route);
        }
        let answer = route.call(&wang).without("origin").send().await;
        let needs_origin = matches!(route.may, For::SignedIn { .. });
        assert_eq!(answer.body["code"] == "origin_refused", needs_origin, "{}:\n{answer}", route.route);
    }
    wang.get("/v1/session").await.ok();
}

#[tokio::test]
async fn a_program_needs_no_origin() {
    let world = World::start().await;
    world.head().await;
    let mut program = world.browser();
    let head = tests::people::HEAD;
    program.sign_in_by_password_for_token(head.account, head.password).await.signed_in();
    let search = program.request("POST", "/v1/hr/employees/search").without("origin");
    search.json(json!({"national_id": WANG.national_id})).send().await.ok();
    let out = program.request("DELETE", "/v1/session").without("origin").send().await;
    out.status(204);
}

#[tokio::test]
async fn a_body_is_a_json_object_of_bounded_size() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    for route in ROUTES.iter().filter(|route| route.body.is_some()) {
        let call = || wang.request(route.method(), &route.path());
        let wrong: Vec<(&str, Request<'_>, &str)> = vec![
            ("nothing", call(), "content-type"),
            ("no body", call().header("content-type", "application/json"), "body"),
            (
                "a form",
                call().header("content-type", "application/x-www-form-urlencoded").body("a=b"),
                "content-type",
            ),
            ("text", call().header("content-type", "text/plain").body("{}"), "content-type"),
            ("no JSON", call().header("content-type", "application/json").body("{"), "body"),
            (
                "no UTF-8",
                call().header("content-type", "application/json").body(b"{\"a\":\"\xff\"}".to_vec()),
                "body",
            ),
            ("a list", call().json(json!([])), "body"),
            ("a text", call().json(json!("{}")), "body"),
            ("too much", call().json(json!({"padding": "x".repeat(65 * 1024)})), "body"),
        ];
        for (what, request, field) in wrong {
            let answer = request.send().await;
            assert_eq!(answer.body["code"], "request_invalid", "{}: {what}:\n{answer}", route.route);
            assert_eq!(answer.body["field"], field, "{}: {what}:\n{answer}", route.route);
        }
        // JSON by its other names is JSON.
        let named =
            call().json(route.body.unwrap()()).header("content-type", "Application/JSON; charset=utf-8");
        assert_ne!(named.send().await.body["field"], "content-type");
    }
}

#[tokio::test]
async fn a_field_that_is_missing_or_of_another_type_is_named() {
    let world = World::start().await;
    let head = world.head().await;
    for route in ROUTES.iter().filter(|route| route.body.is_some()) {
        let good = route.body.unwrap()();
        for field in good.as_object().unwrap().keys() {
            for wrong in [None, Some(json!(7)), Some(json!({})), Some(json!([])), Some(json!(true))] {
                let mut body = good.clone();
                match &wrong {
                    Some(wrong) => body[field] = wrong.clone(),
                    None => drop(body.as_object_mut().unwrap().remove(field)),
                }
                let answer = head.request(route.method(), &route.path()).json(body).send().await;
                assert_eq!(
                    answer.body["code"], "request_invalid",
                    "{} {field} {wrong:?}:\n{answer}",
                    route.route
                );
                assert_eq!(answer.body["field"], field.as_str(), "{}:\n{answer}", route.route);
            }
        }
    }
}

#[tokio::test]
async fn other_methods_and_hosts_lead_nowhere() {
    let world = World::start().await;
    let wang = world.signed_in(&WANG).await;
    let gateways_own =
        |answer: &Answer| answer.status == 404 && answer.body == json!({"message": "Not Found"});
    let methods_of = |path: &str| {
        let same = ROUTES.iter().filter(|other| other.api() == "PortalApi" && other.path() == path);
        let for_clients = same.clone().any(|other| other.may == For::Client);
        let mut methods: Vec<&str> = same.map(Expected::method).collect();
        if !path.starts_with("/v1/") && !path.starts_with("/.well-known/") && !for_clients {
            methods.extend(["GET", "HEAD"]);
        }
        methods.sort_unstable();
        methods.dedup();
        methods
    };
    for route in ROUTES.iter().filter(|route| route.api() == "PortalApi") {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let methods = methods_of(&route.path());
            if !methods.contains(&method) {
                let answer = wang.request(method, &route.path()).send().await.problem(Code::MethodNotAllowed);
                assert_eq!(answer.header("allow"), Some(methods.join(", ").as_str()), "{answer}");
            }
        }
        // API Gateway answers this by itself, and allows nobody anything.
        let preflight = wang.request("OPTIONS", &route.path()).header("origin", "https://evil.example");
        let answer = preflight.header("access-control-request-method", "POST").send().await.status(204);
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{answer}");
        // The card host has one route.
        let card = world.browser_with(&world.sample_card("wang-xiaoming"));
        let answer = card.on_card_host(route.method(), &route.path()).send().await;
        assert!(gateways_own(&answer), "{} on the card host:\n{answer}", route.route);
    }
    for path in ["/v1", "/v1/nothing", "/v1/session/", "/v1/hr/employees/search/x", "/.well-known/nothing"] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = wang.request(method, path).send().await;
            if path == "/v1" {
                answer.status(if method == "GET" { 404 } else { 405 });
            } else {
                answer.problem(Code::RouteNotFound);
            }
        }
    }
}

#[tokio::test]
async fn what_stands_for_a_parameter_leads_to_no_other_route() {
    let world = World::start().await;
    let head = world.head().await;
    for id in ["%3Frows", "%23", "x%20y", "%C2%9F", "rows", "%E2%80%AE"] {
        let reset = format!("/v1/hr/password-resets/{id}");
        head.get(&reset).await.problem(Code::ResetNotFound);
        head.post(&format!("{reset}/resend"), json!({})).await.problem(Code::ResetNotFound);
        let bulk = format!("/v1/hr/bulk-resets/{id}");
        head.get(&bulk).await.problem(Code::BulkNotFound);
        head.get(&format!("{bulk}/rows")).await.problem(Code::BulkNotFound);
        head.get(&format!("{bulk}/result")).await.problem(Code::BulkNotFound);
        head.post(&format!("{bulk}/confirm"), json!({})).await.problem(Code::BulkNotFound);
        head.request("DELETE", &bulk).send().await.problem(Code::BulkNotFound);
        let authorization = format!("/v1/hr/authorizations/{id}");
        head.get(&authorization).await.problem(Code::AuthorizationNotFound);
        head.request("DELETE", &authorization).send().await.problem(Code::AuthorizationNotFound);
        for step in ["accept", "refuse", "withdraw"] {
            let step = format!("{authorization}/{step}");
            head.post(&step, json!({})).await.problem(Code::AuthorizationNotFound);
        }
    }
}

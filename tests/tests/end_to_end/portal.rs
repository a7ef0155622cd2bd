//! The example of a client, `tests/portal/portal.py`: another language, another library, and nothing of ours but the
//! documents. The test plays the browser between the two.

use std::process::Stdio;

use local::client::browser;
use local::pki::card::CardRequest;
use serde_json::Value;
use shared::problem::Code;
use tests::browser::{Browser, ProofKey};
use tests::client::{OnPage, SigningOut};
use tests::people::{HEAD, ZHOU};
use tests::table;
use tests::world::{World, eventually};
use tokio::process::{Child, Command};
use url::Url;

/// The portal as a process, and the browser's cookie there.
struct Portal {
    url: String,
    client: reqwest::Client,
    cookie: String,
    _process: Child,
}

impl Portal {
    /// Starts it, on a port that is free.
    async fn start(python: &str, world: &World) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/portal/portal.py");
        let process = Command::new(python)
            .arg(script)
            .arg(&world.stack.portal_url)
            .args(["--port", &port.to_string(), "--ca"])
            .arg(&world.stack.paths.server_ca)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let portal = Self {
            url,
            client: browser(&world.stack, None).unwrap(),
            cookie: String::new(),
            _process: process,
        };
        eventually("the portal listens", async || portal.client.get(&portal.url).send().await.ok()).await;
        portal
    }

    /// What the browser gets there; its cookie goes along, and is kept.
    async fn send(&mut self, request: reqwest::RequestBuilder) -> (u16, Option<String>, Value) {
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        if let Some(cookie) = header("set-cookie") {
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        let (status, location) = (answer.status().as_u16(), header("location"));
        (status, location, answer.json().await.unwrap_or_default())
    }

    async fn get(&mut self, path: &str) -> (u16, Option<String>, Value) {
        let request = self.client.get(format!("{}{path}", self.url));
        self.send(request).await
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let (status, _, body) = self.post_for_location(path, form).await;
        (status, body)
    }

    async fn post_for_location(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, Option<String>, Value) {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(format!("{}{path}", self.url)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request).await
    }

    /// The browser follows the portal's sign-in to our page, and comes back with what our page is told.
    async fn sign_in(&mut self, path: &str, browser: &mut Browser, by_card: bool) -> Value {
        let (_, location, _) = self.get(path).await;
        let authorize = Url::parse(&location.unwrap()).unwrap();
        let path = format!("{}?{}", authorize.path(), authorize.query().unwrap());
        let arrived = browser.signed_out().request("GET", &path).header("accept", "text/html").send().await;
        let page = OnPage::of(&arrived);
        if by_card {
            assert_eq!(page.answer(browser, None).await.ok().body["status"], "sign_in");
            browser.sign_in_by_card().await.signed_in();
        }
        let back = page.answer(browser, Some("allow")).await.ok().text_of("location");
        let back = back.strip_prefix(&self.url).expect("back to the portal").to_owned();
        let (status, location, body) = self.get(&back).await;
        assert_eq!((status, location.as_deref()), (302, Some("/")), "{body}");
        self.get("/").await.2
    }
}

/// The Python that has the libraries of `tests/requirements.txt`.
fn python() -> String {
    std::env::var("FIRST_SIGN_IN_PYTHON").expect("FIRST_SIGN_IN_PYTHON: see tests/run")
}

#[tokio::test]
#[ignore = "needs the libraries of tests/requirements.txt: see tests/run"]
async fn hr_staff_work_at_a_portal_of_somebody_elses_making() {
    let world = World::start_with(|options| {
        options.parameters.insert("ResetStepUpSeconds".to_owned(), "300".to_owned());
    })
    .await;
    let mut head = world.browser_with(&world.issue(&CardRequest::citizen(HEAD.name, HEAD.id_tail())));
    let identity = head.sign_in_by_card().await.ticket("identity_required");
    let activation = head.identify(&identity, HEAD.national_id).await.ticket("activation_required");
    head.activate(&activation, &HEAD).await.ok();
    let mut portal = Portal::start(&python(), &world).await;

    // Nobody is signed in, here or there.
    let (status, _, body) = portal.get("/resets/x").await;
    assert_eq!((status, body["login"].as_str()), (401, Some("/login")), "{body}");
    let user = portal.sign_in("/login", &mut head, true).await;
    assert_eq!((&user["name"], &user["agency"]), (&Value::from(HEAD.name), &Value::from("A02")), "{user}");
    assert_eq!(user["acr"], "urn:first-sign-in:card");

    let zhou = [("national_id", ZHOU.national_id), ("email", ZHOU.email), ("key", "once")];
    let (status, found) = portal.post("/search", &zhou[..1]).await;
    assert_eq!((status, &found["name"]), (200, &Value::from(ZHOU.name)), "{found}");
    let (status, reset) = portal.post("/reset", &zhou).await;
    assert_eq!(status, 202, "{reset}");
    let id = reset["reset_id"].as_str().unwrap().to_owned();
    let password = world.mail_of(&id).await;
    assert!(!password.is_empty());
    let mut delivered = false;
    for _ in 0..50 {
        let (status, _, mail) = portal.get(&format!("/resets/{id}")).await;
        assert_eq!(status, 200, "{mail}");
        delivered = mail["mail"] == "delivered";
        if delivered {
            break;
        }
        world.stack.stream_caught_up().await;
    }
    assert!(delivered, "the mail arrives, and the portal sees it");

    // The browser signs out, and with it the portal: its next call leads through a sign-in.
    head.request("DELETE", "/v1/session").send().await.status(204);
    let (status, body) = portal.post("/search", &zhou[..1]).await;
    assert_eq!((status, body["login"].as_str()), (401, Some("/login?prompt=none")), "{body}");

    // By password it may search and not reset; it does what the answer says.
    head.sign_in_by_password(HEAD.account, HEAD.password).await.signed_in();
    let user = portal.sign_in("/login", &mut head, false).await;
    assert_eq!(user["acr"], "urn:first-sign-in:password");
    assert_eq!(portal.post("/search", &zhou[..1]).await.0, 200);
    let again =
        [("national_id", ZHOU.national_id), ("email", ZHOU.email), ("key", &ProofKey::random().verifier)];
    let (status, body) = portal.post("/reset", &again).await;
    let login = body["login"].as_str().unwrap_or_else(|| panic!("{status} {body}")).to_owned();
    assert!(login.contains("acr_values=urn") && login.contains("max_age=300"), "{login}");
    let user = portal.sign_in(&login, &mut head, true).await;
    assert_eq!(user["acr"], "urn:first-sign-in:card");
    let (status, reset) = portal.post("/reset", &again).await;
    assert_eq!(status, 202, "{reset}");

    // Out of the portal alone: it gives its token back, and the browser's sign-in here goes on.
    let lent = || {
        let sessions = table::items(&world.stack, "SESSIONS_TABLE");
        sessions.iter().filter(|session| table::text(session, "client") == "example-portal").count()
    };
    let before = lent();
    let (status, body) = portal.post("/logout", &[]).await;
    assert_eq!((status, body["status"].as_str()), (200, Some("signed_out")), "{body}");
    assert_eq!(lent() + 1, before, "what was lent to it is gone");
    assert_eq!(portal.get("/resets/x").await.0, 401);
    head.get("/v1/session").await.ok();

    // Out of everything: nothing is asked, for it is about this very sign-in; the browser comes back with the state.
    portal.sign_in("/login", &mut head, false).await;
    let (status, location, _) = portal.post_for_location("/logout", &[("everywhere", "yes")]).await;
    assert_eq!(status, 302);
    let leaving = Url::parse(&location.unwrap()).unwrap();
    assert_eq!(leaving.path(), "/logout");
    let path = format!("/logout?{}", leaving.query().unwrap());
    let arrived = head.signed_out().request("GET", &path).header("accept", "text/html").send().await;
    let answer = SigningOut::of(&arrived).answer(&head, false).await.ok();
    let back = answer.text_of("location");
    let back = back.strip_prefix(&portal.url).expect("back to the portal").to_owned();
    let (status, _, body) = portal.get(&back).await;
    assert_eq!((status, body["status"].as_str()), (200, Some("signed_out")), "{body}");
    assert_eq!(portal.get("/signed-out?state=other").await.0, 400);
    head.get("/v1/session").await.problem(Code::SessionRequired);
}

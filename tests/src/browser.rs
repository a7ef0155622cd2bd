//! Who calls the system: over HTTPS, perhaps with a card in the reader, with a cookie or a token.

use std::fmt;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local::mailbox::Mail;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::problem::Code;
use url::{Url, form_urlencoded};

use crate::contract::contract;
use crate::log::{self, Forbidden};
use crate::people::Civilian;

/// What a form is called.
const FORM: &str = "application/x-www-form-urlencoded";

/// The session's cookie.
pub const COOKIE: &str = "__Host-session";

/// The two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Pages and API.
    Portal,
    /// Mutual TLS.
    Card,
}

/// How a caller presents a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// As browsers do: the cookie's value.
    Cookie(String),
    /// As programs do.
    Token(String),
}

/// A caller. It keeps the session that a sign-in gave it, and presents it with every call.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    portal: String,
    card_host: String,
    /// The session, when there is one.
    pub session: Option<Session>,
    language: &'static str,
}

/// A verifier with its challenge (RFC 7636, S256).
#[derive(Debug, Clone)]
pub struct ProofKey {
    /// What the page keeps.
    pub verifier: String,
    /// What the card host gets.
    pub challenge: String,
}

impl ProofKey {
    /// A fresh one.
    ///
    /// # Panics
    /// When the system has no random numbers.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).unwrap();
        let verifier = URL_SAFE_NO_PAD.encode(bytes);
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        Self { verifier, challenge }
    }
}

impl Browser {
    pub(crate) fn new(client: Client, portal: String, card_host: String) -> Self {
        Self { client, portal, card_host, session: None, language: "zh-TW" }
    }

    /// The same caller, who reads another language.
    #[must_use]
    pub fn reading(&self, language: &'static str) -> Self {
        Self { language, ..self.clone() }
    }

    /// The same client without its session.
    #[must_use]
    pub fn signed_out(&self) -> Self {
        Self { session: None, ..self.clone() }
    }

    /// A call to the portal host, with everything that a page of ours would send with it.
    ///
    /// # Panics
    /// When the method is none.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let mut headers = vec![("accept-language".to_owned(), self.language.to_owned())];
        if method != "GET" {
            headers.push(("origin".to_owned(), self.portal.clone()));
        }
        match &self.session {
            Some(Session::Cookie(value)) => headers.push(("cookie".to_owned(), format!("{COOKIE}={value}"))),
            Some(Session::Token(token)) => {
                headers.push(("authorization".to_owned(), format!("Bearer {token}")))
            }
            None => {}
        }
        let url = format!("{}{path}", self.portal);
        Request {
            browser: self,
            host: Host::Portal,
            method: method.parse().unwrap(),
            url,
            path: path.to_owned(),
            headers,
            body: None,
        }
    }

    /// A call to the card host by any route.
    #[must_use]
    pub fn on_card_host(&self, method: &str, path: &str) -> Request<'_> {
        let request = self.request(method, path);
        Request { host: Host::Card, url: format!("{}{path}", self.card_host), ..request }
    }

    /// A call to the card host.
    #[must_use]
    pub fn card_request(&self, challenge: &str) -> Request<'_> {
        let path = format!("/v1/login/certificate?challenge={challenge}");
        let request = self.on_card_host("GET", &path).without("cookie").without("authorization");
        request.header("accept", "application/json")
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// Writes.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(body).send().await
    }

    /// Shows the card to the card host.
    pub async fn show_card(&self, challenge: &str) -> Answer {
        self.card_request(challenge).send().await
    }

    /// A code for the card, with the verifier that goes with it.
    pub async fn code(&self) -> (String, String) {
        let key = ProofKey::random();
        let answer = self.show_card(&key.challenge).await.ok();
        (answer.text_of("code"), key.verifier)
    }

    /// Shows the card, and exchanges the code.
    pub async fn sign_in_by_card(&mut self) -> Answer {
        let (code, verifier) = self.code().await;
        self.sign_in("/v1/login/certificate", json!({"code": code, "verifier": verifier})).await
    }

    /// As a program: for a token.
    pub async fn sign_in_by_card_for_token(&mut self) -> Answer {
        let (code, verifier) = self.code().await;
        let body = json!({"code": code, "verifier": verifier, "session": "token"});
        self.sign_in("/v1/login/certificate", body).await
    }

    /// Says whose card it is.
    pub async fn identify(&mut self, ticket: &str, identifier: &str) -> Answer {
        let body = json!({"ticket": ticket, "identifier": identifier});
        self.sign_in("/v1/login/certificate/identity", body).await
    }

    /// Says whose card it is, and the account's password with it.
    pub async fn identify_with(&mut self, ticket: &str, identifier: &str, password: &str) -> Answer {
        let body = json!({"ticket": ticket, "identifier": identifier, "password": password});
        self.sign_in("/v1/login/certificate/identity", body).await
    }

    /// Signs in with account or national ID, and password.
    pub async fn sign_in_by_password(&mut self, identifier: &str, password: &str) -> Answer {
        self.sign_in("/v1/login/password", json!({"identifier": identifier, "password": password})).await
    }

    /// As a program: for a token.
    pub async fn sign_in_by_password_for_token(&mut self, identifier: &str, password: &str) -> Answer {
        let body = json!({"identifier": identifier, "password": password, "session": "token"});
        self.sign_in("/v1/login/password", body).await
    }

    /// Any call that signs in; the session that it gives is kept.
    pub async fn sign_in(&mut self, path: &str, body: Value) -> Answer {
        let answer = self.signed_out().post(path, body).await;
        if let Some(session) = answer.session() {
            self.session = Some(session);
        }
        answer
    }

    /// Activates with what the person chooses.
    pub async fn activate(&self, ticket: &str, person: &Civilian) -> Answer {
        self.post("/v1/activation", activation(ticket, person)).await
    }

    /// Looks an employee up.
    pub async fn search(&self, national_id: &str) -> Answer {
        self.post("/v1/hr/employees/search", json!({"national_id": national_id})).await
    }

    /// Resets somebody's password.
    pub async fn reset(&self, person: &Civilian, reason: Option<&str>) -> Answer {
        let body = json!({"national_id": person.national_id, "email": person.email, "reason": reason});
        self.post("/v1/hr/employees/password-reset", body).await
    }

    /// Resets somebody's password, to an address that was confirmed.
    pub async fn reset_confirmed(&self, person: &Civilian, reason: Option<&str>) -> Answer {
        let body = json!({"national_id": person.national_id, "email": person.email, "reason": reason,
            "email_confirmed": true});
        self.post("/v1/hr/employees/password-reset", body).await
    }

    /// As [`Browser::reset`], with an idempotency key.
    pub async fn reset_keyed(&self, person: &Civilian, key: &str) -> Answer {
        let body = json!({"national_id": person.national_id, "email": person.email});
        let request = self.request("POST", "/v1/hr/employees/password-reset").json(body);
        request.header("idempotency-key", key).send().await
    }

    /// Lists resets.
    pub async fn resets(&self, query: &str) -> Answer {
        self.get(&format!("/v1/hr/password-resets?{query}")).await
    }

    /// Uploads a file of a bulk reset.
    pub async fn upload(&self, query: &str, file: impl Into<Vec<u8>>) -> Answer {
        let file = file.into();
        let text = String::from_utf8_lossy(&file).into_owned();
        let values = text.lines().skip(1).flat_map(|line| line.split(',')).map(str::trim);
        for value in values.filter(|value| value.len() > 6) {
            log::forbid(Forbidden::Secret, value);
        }
        let request = self.request("POST", &format!("/v1/hr/bulk-resets{query}"));
        request.header("content-type", "text/csv").body(file).send().await
    }

    /// Looks at a part of a bulk reset, or at the whole.
    pub async fn bulk(&self, bulk_id: &str, part: &str) -> Answer {
        self.get(&format!("/v1/hr/bulk-resets/{bulk_id}{part}")).await
    }

    /// Confirms a bulk reset.
    pub async fn confirm_bulk(&self, bulk_id: &str) -> Answer {
        self.request("POST", &format!("/v1/hr/bulk-resets/{bulk_id}/confirm")).send().await
    }

    /// Calls a bulk reset off.
    pub async fn cancel_bulk(&self, bulk_id: &str) -> Answer {
        self.request("DELETE", &format!("/v1/hr/bulk-resets/{bulk_id}")).send().await
    }

    /// Sends a reset's mail once more.
    pub async fn resend(&self, reset_id: &str) -> Answer {
        self.request("POST", &format!("/v1/hr/password-resets/{reset_id}/resend")).send().await
    }

    /// The cards that are bound to the account, as `GET /v1/account/cards` gives them.
    ///
    /// # Panics
    /// When they are refused.
    pub async fn cards(&self) -> Vec<Value> {
        self.get("/v1/account/cards").await.ok().body["cards"].as_array().unwrap().clone()
    }

    /// Unbinds a card of one's own.
    pub async fn unbind(&self, card_id: &str) -> Answer {
        self.request("DELETE", &format!("/v1/account/cards/{card_id}")).send().await
    }

    /// Looks at the cards of an employee.
    pub async fn cards_of(&self, person: &Civilian) -> Answer {
        self.post("/v1/hr/employees/cards", json!({"national_id": person.national_id})).await
    }

    /// Unbinds a card of an employee.
    pub async fn unbind_of(&self, person: &Civilian, card_id: &str, reason: &str) -> Answer {
        let body = json!({"national_id": person.national_id, "card_id": card_id, "reason": reason});
        self.post("/v1/hr/employees/cards/unbind", body).await
    }

    /// The mails in a mailbox, newest first, as its JSON interface gives them.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn mails(&self, mailbox: &str) -> Vec<Mail> {
        self.client.get(format!("{mailbox}/api/messages")).send().await.unwrap().json().await.unwrap()
    }

    /// Asks for another email address.
    pub async fn ask_email(&self, email: &str, current_password: Value) -> Answer {
        let body = json!({"email": email, "current_password": current_password});
        self.request("PUT", "/v1/account/email").json(body).send().await
    }

    /// Confirms it by the code that was mailed there.
    pub async fn confirm_email(&self, code: &str) -> Answer {
        self.post("/v1/account/email/confirmation", json!({"code": code})).await
    }

    /// Where a reset's mail is.
    pub async fn reset_state(&self, reset_id: &str) -> Answer {
        self.get(&format!("/v1/hr/password-resets/{reset_id}")).await
    }
}

/// The body of an activation.
#[must_use]
pub fn activation(ticket: &str, person: &Civilian) -> Value {
    json!({"ticket": ticket, "account": person.account, "email": person.email, "password": person.password,
        "password_confirmation": person.password})
}

/// A call that is about to be made.
pub struct Request<'b> {
    browser: &'b Browser,
    host: Host,
    method: Method,
    url: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request<'_> {
    /// Sets a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let mut request = self.without(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Sends JSON along.
    #[must_use]
    pub fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Sends a form along.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", FORM).body(body)
    }

    /// Sends bytes along.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Makes the call, and holds the answer against the contract.
    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// Makes the call; the error is that of a connection or handshake.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let is_form = self.headers.iter().any(|(name, value)| name == "content-type" && value == FORM);
        let sent = self.body.as_ref().map(|body| match is_form {
            true => {
                form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), json!(value))).collect()
            }
            false => serde_json::from_slice(body).unwrap_or(Value::Null),
        });
        let method = self.method.to_string();
        let mut request = self.browser.client.request(self.method, &self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { host: self.host, method, path: self.path, sent, status, headers, text, body };
        Ok(answer.checked())
    }
}

/// An answer, read whole, with what it answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Where the call went.
    pub host: Host,
    /// The call's method.
    pub method: String,
    /// The call's path, with its query.
    pub path: String,
    /// The JSON that was sent.
    pub sent: Option<Value>,
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// The answer, after it was held against the contract.
    pub(crate) fn checked(self) -> Self {
        self.note_secrets();
        contract().check(&self);
        self
    }

    /// A header's first value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The request's id, as the gateway has it.
    ///
    /// # Panics
    /// When the gateway gave none.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.header("apigw-requestid").unwrap()
    }

    /// The whole answer, without what differs between two that are to look the same: the request's id, and what is left of
    /// rates.
    #[must_use]
    pub fn look(&self) -> String {
        let text = self.to_string().replace(self.request_id(), "[request]");
        text.lines().filter(|line| !line.starts_with("ratelimit:")).collect::<Vec<_>>().join("\n")
    }

    /// The path without its query.
    #[must_use]
    pub fn path_only(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Whether API Gateway answered by itself: a preflight, or what it refuses.
    #[must_use]
    pub fn is_the_gateways(&self) -> bool {
        self.method == "OPTIONS" && self.status == 204
            || self.status >= 400 && self.body.as_object().is_some_and(|body| body.keys().eq(["message"]))
    }

    /// The answer, whose status must be this.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn status(self, expected: u16) -> Self {
        assert_eq!(self.status, expected, "{self}");
        self
    }

    /// The answer, which must be `200`.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.status(200)
    }

    /// The answer, which must be this problem.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn problem(self, code: Code) -> Self {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        assert_eq!((&self.body["code"], self.status), (&json!(code.name()), code.status()), "{self}");
        assert_eq!(self.body["request_id"], json!(self.request_id()), "{self}");
        self
    }

    /// The answer, which must be this problem of this field.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn problem_of(self, code: Code, field: &str) -> Self {
        let answer = self.problem(code);
        assert_eq!(answer.body["field"], json!(field), "{answer}");
        answer
    }

    /// The answer, which must say that somebody is signed in.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn signed_in(self) -> Self {
        let answer = self.ok();
        assert_eq!(answer.body["status"], "signed_in", "{answer}");
        assert!(answer.session().is_some(), "no session: {answer}");
        answer
    }

    /// The ticket of a sign-in with this status.
    ///
    /// # Panics
    /// When the answer is another.
    #[must_use]
    #[track_caller]
    pub fn ticket(self, status: &str) -> String {
        let answer = self.ok();
        assert_eq!(answer.body["status"], status, "{answer}");
        assert_eq!(answer.session(), None, "{answer}");
        answer.text_of("ticket")
    }

    /// A field that is text.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    #[track_caller]
    pub fn text_of(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field}: {self}")).to_owned()
    }

    /// The session that the answer gives.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        let token = (self.body["status"] == "signed_in").then(|| self.body["token"].as_str()).flatten();
        let cookie =
            self.header("set-cookie").and_then(|cookie| cookie.strip_prefix(COOKIE)?.strip_prefix('='));
        let cookie = cookie.and_then(|rest| rest.split(';').next()).filter(|value| !value.is_empty());
        match (token, cookie) {
            (Some(token), None) => Some(Session::Token(token.to_owned())),
            (None, Some(cookie)) => Some(Session::Cookie(cookie.to_owned())),
            (None, None) => None,
            (Some(_), Some(_)) => panic!("a browser never sees a token: {self}"),
        }
    }

    /// What nobody may find in a log.
    fn note_secrets(&self) {
        let sent = self.sent.iter().flat_map(Value::as_object).flatten();
        let got = self.body.as_object().into_iter().flatten();
        for (name, value) in sent.chain(got) {
            let why = match name.as_str() {
                "code" if self.status >= 400 => continue,
                // Masked, as HR staff may see it.
                "email" if value.as_str().is_some_and(|email| email.contains("***@")) => Forbidden::Personal,
                "code" | "ticket" | "token" | "verifier" | "national_id" | "email" => Forbidden::Secret,
                "password" | "current_password" | "password_confirmation" => Forbidden::Secret,
                "access_token" | "id_token" | "code_verifier" | "client_secret" | "client_assertion" => {
                    Forbidden::Secret
                }
                "identifier" | "account" | "name" | "reason" => Forbidden::Personal,
                _ => continue,
            };
            // The password of a test that is about one too short says nothing.
            if let Some(text) = value.as_str().filter(|text| why == Forbidden::Personal || text.len() > 6) {
                log::forbid(why, text);
            }
        }
        if let Some(location) = self.body["location"].as_str()
            && let Ok(url) = Url::parse(location)
        {
            for (_, code) in url.query_pairs().filter(|(name, _)| name == "code") {
                log::forbid(Forbidden::Secret, &code);
            }
        }
        if let Some(Session::Cookie(value)) = self.session() {
            log::forbid(Forbidden::Secret, value.split('.').next().unwrap_or_default());
        }
    }
}

impl fmt::Display for Answer {
    /// The answer as a reviewer reads it: status, headers in order of their names, body.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} {}", self.method, self.path_only())?;
        writeln!(formatter, "{}", self.status)?;
        let mut headers = self.headers.clone();
        // API Gateway's own, for pages of other origins and its own alike: `oidc.rs` is about those.
        headers.retain(|(name, _)| {
            !["content-length", "date"].contains(&name.as_str()) && !name.starts_with("access-control-")
        });
        headers.sort();
        for (name, value) in headers {
            writeln!(formatter, "{name}: {value}")?;
        }
        match &self.body {
            Value::Null => write!(formatter, "\n{}", self.text.chars().take(200).collect::<String>()),
            body => write!(formatter, "\n{body:#}"),
        }?;
        match self.status {
            500.. => write!(formatter, "\n\n{}", log::lines_about(self.request_id())),
            _ => Ok(()),
        }
    }
}

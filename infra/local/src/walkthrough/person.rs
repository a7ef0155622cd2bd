//! A person in the walkthrough: a browser that keeps one session, perhaps with a card in its reader.

use std::fmt;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Chosen, Seen, proof_key};
use crate::client::{ClientError, browser};
use crate::mailbox::Mail;
use crate::pki::card::Card;
use crate::stack::Running;

pub(super) struct Person {
    client: Client,
    portal: String,
    card_host: String,
    mailbox: String,
    cookie: Option<String>,
}

/// An HTTP answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) text: String,
    pub(super) body: Value,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.text.chars().take(300).collect();
        write!(formatter, "{} {text}", self.status)
    }
}

impl Answer {
    pub(super) fn has_status(self, expected: u16) -> Seen<Self> {
        if self.status == expected { Ok(self) } else { Err(self.to_string()) }
    }

    pub(super) fn ok_with(self, field: &str, expected: impl Into<Value>) -> Seen<Self> {
        let answer = self.has_status(200)?;
        if answer.body.get(field) == Some(&expected.into()) { Ok(answer) } else { Err(answer.to_string()) }
    }
}

impl Person {
    pub(super) fn new(running: &Running, card: Option<&Card>) -> Result<Self, ClientError> {
        let client = browser(running, card)?;
        Ok(Self {
            client,
            portal: running.portal_url.clone(),
            card_host: running.card_url.clone(),
            mailbox: running.mailbox_url.clone(),
            cookie: None,
        })
    }

    pub(super) async fn get(&mut self, path: &str) -> Seen<Answer> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn delete(&mut self, path: &str) -> Seen<Answer> {
        self.call(Method::DELETE, path, None).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Seen<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&mut self, method: Method, path: &str, body: Option<Value>) -> Seen<Answer> {
        let writes = method != Method::GET;
        let mut request = self.client.request(method, format!("{}{path}", self.portal));
        request = request.header("accept-language", "zh-TW");
        if writes {
            request = request.header("origin", &self.portal);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("__Host-session={cookie}"));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let (answer, cookie) = send(request).await?;
        if let Some(cookie) = cookie {
            self.cookie = Some(cookie).filter(|value| !value.is_empty());
        }
        Ok(answer)
    }

    /// Shows the card to the card host: a code, or a problem.
    pub(super) async fn card_code(&mut self) -> Seen<Answer> {
        self.show_card(&proof_key().1).await
    }

    async fn show_card(&mut self, challenge: &str) -> Seen<Answer> {
        let url = format!("{}/v1/login/certificate?challenge={challenge}", self.card_host);
        let request = self.client.get(url).header("accept", "application/json");
        Ok(send(request).await?.0)
    }

    /// Shows the card and exchanges the code.
    pub(super) async fn sign_in_by_card(&mut self) -> Seen<Answer> {
        let (verifier, challenge) = proof_key();
        let shown = self.show_card(&challenge).await?.has_status(200)?;
        let code = shown.body.get("code").and_then(Value::as_str).unwrap_or_default();
        self.post("/v1/login/certificate", json!({ "code": code, "verifier": verifier })).await
    }

    pub(super) async fn identify(&mut self, ticket: &str, identifier: &str) -> Seen<Answer> {
        let body = json!({ "ticket": ticket, "identifier": identifier });
        self.post("/v1/login/certificate/identity", body).await
    }

    pub(super) async fn sign_in_by_password(&mut self, identifier: &str, password: &str) -> Seen<Answer> {
        self.post("/v1/login/password", json!({ "identifier": identifier, "password": password })).await
    }

    pub(super) async fn activate(&mut self, ticket: &str, chosen: Chosen, again: &str) -> Seen<Answer> {
        let Chosen { account, email, password } = chosen;
        let body = json!({ "ticket": ticket, "account": account, "email": email, "password": password,
            "password_confirmation": again });
        self.post("/v1/activation", body).await
    }

    pub(super) async fn search(&mut self, national_id: &str) -> Seen<Answer> {
        self.post("/v1/hr/employees/search", json!({ "national_id": national_id })).await
    }

    pub(super) async fn reset(
        &mut self,
        national_id: &str,
        email: &str,
        reason: Option<&str>,
    ) -> Seen<Answer> {
        let mut body = json!({ "national_id": national_id, "email": email });
        if let (Some(reason), Some(fields)) = (reason, body.as_object_mut()) {
            fields.insert("reason".to_owned(), json!(reason));
        }
        self.post("/v1/hr/employees/password-reset", body).await
    }

    /// Has a reset's mail sent once more.
    pub(super) async fn resend(&mut self, reset_id: &str) -> Seen<Answer> {
        self.post(&format!("/v1/hr/password-resets/{reset_id}/resend"), json!({})).await
    }

    /// The newest mail to an address, from the mailbox's JSON.
    pub(super) async fn mail_to(&mut self, address: &str) -> Seen<Mail> {
        let (answer, _) = send(self.client.get(format!("{}/api/messages", self.mailbox))).await?;
        let mails: Vec<Mail> = serde_json::from_value(answer.body).map_err(|error| error.to_string())?;
        mails.into_iter().find(|mail| mail.to == address).ok_or_else(|| "no mail came".to_owned())
    }
}

/// Sends a request; with the answer, the session cookie that it sets.
async fn send(request: RequestBuilder) -> Seen<(Answer, Option<String>)> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = header("content-type").unwrap_or_default().to_owned();
    let cookies = response.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let mut session = cookies.filter_map(|cookie| cookie.strip_prefix("__Host-session="));
    let session = session.next().map(|rest| rest.split(';').next().unwrap_or_default().to_owned());
    let text = response.text().await.map_err(|error| error.to_string())?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok((Answer { status, content_type, text, body }, session))
}

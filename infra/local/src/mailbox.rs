//! The mailbox: every mail that SES was given, as pages and as JSON. The folder of `.eml` files is all its state.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use mail_parser::{Address, MessageParser, MessagePart, PartType};
use serde::{Deserialize, Serialize};

/// A mail as the JSON interface gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The name of its file, without `.eml`.
    pub id: String,
    /// When SES accepted it.
    pub received: String,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses, separated by commas.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// The mailbox over a folder of mails.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: Arc<PathBuf>,
}

impl Mailbox {
    /// The mailbox over `folder`, which need not exist yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: Arc::new(folder) }
    }

    /// All mails, newest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        let entries = std::fs::read_dir(self.folder.as_path()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".eml").map(str::to_owned))
            .collect();
        names.sort_unstable_by(|left, right| right.cmp(left));
        names.iter().filter_map(|id| self.mail(id)).collect()
    }

    /// One mail.
    #[must_use]
    pub fn mail(&self, id: &str) -> Option<Mail> {
        let is_name = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        if !is_name {
            return None;
        }
        read(&self.folder.join(format!("{id}.eml")), id)
    }

    /// The pages and the JSON interface.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(list_page))
            .route("/messages/{id}", get(mail_page))
            .route("/messages/{id}/html", get(mail_html))
            .route("/api/messages", get(list_json))
            .route("/api/messages/{id}", get(mail_json))
            .with_state(self.clone())
    }
}

fn read(path: &Path, id: &str) -> Option<Mail> {
    let bytes = std::fs::read(path).ok()?;
    let message = MessageParser::default().parse(&bytes)?;
    let addresses = |header: Option<&Address<'_>>| {
        let addresses = header.into_iter().flat_map(Address::iter);
        addresses.filter_map(|address| address.address.as_deref()).collect::<Vec<_>>().join(", ")
    };
    Some(Mail {
        id: id.to_owned(),
        received: id.split('-').next().unwrap_or_default().to_owned(),
        from: addresses(message.from()),
        to: addresses(message.to()),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: part(message.text_bodies(), |body| match body {
            PartType::Text(text) => Some(text),
            _ => None,
        }),
        html: part(message.html_bodies(), |body| match body {
            PartType::Html(html) => Some(html),
            _ => None,
        }),
    })
}

/// The first part of a kind; nothing is made up for a mail that has none.
fn part<'m>(
    mut parts: impl Iterator<Item = &'m MessagePart<'m>>,
    of_kind: impl for<'b> Fn(&'b PartType<'m>) -> Option<&'b std::borrow::Cow<'m, str>>,
) -> String {
    parts.find_map(|part| of_kind(&part.body).map(|text| text.clone().into_owned())).unwrap_or_default()
}

async fn list_json(State(mailbox): State<Mailbox>) -> Json<Vec<Mail>> {
    Json(mailbox.mails())
}

async fn mail_json(State(mailbox): State<Mailbox>, Segment(id): Segment<String>) -> Response {
    match mailbox.mail(&id) {
        Some(mail) => Json(mail).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

const STYLE: &str = "body{font:16px/1.6 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem;border-bottom:1px solid #ccc}\
pre{white-space:pre-wrap;background:#f4f4f4;padding:1rem}iframe{width:100%;height:32rem;border:1px solid #ccc}";

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"zh-Hant-TW\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style><body>{body}</body></html>",
        title = escaped(title)
    ))
}

fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            other => result.push(other),
        }
    }
    result
}

async fn list_page(State(mailbox): State<Mailbox>) -> Html<String> {
    let mails = mailbox.mails();
    let mut body = String::from("<h1>信箱 Mailbox</h1>");
    if mails.is_empty() {
        body.push_str("<p>尚無信件。 No mail yet.</p>");
        return page("Mailbox", &body);
    }
    body.push_str("<table><tr><th>時間 Received</th><th>收件人 To</th><th>主旨 Subject</th></tr>");
    for mail in &mails {
        body.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td><a href=\"/messages/{}\">{}</a></td></tr>",
            escaped(&mail.received),
            escaped(&mail.to),
            escaped(&mail.id),
            escaped(&mail.subject)
        ));
    }
    body.push_str("</table>");
    page("Mailbox", &body)
}

async fn mail_page(State(mailbox): State<Mailbox>, Segment(id): Segment<String>) -> Response {
    let Some(mail) = mailbox.mail(&id) else { return StatusCode::NOT_FOUND.into_response() };
    // The frame may run nothing and reach nothing: a mail is foreign content.
    let body = format!(
        "<p><a href=\"/\">← 信箱 Mailbox</a></p><h1>{}</h1><p>{} → {}<br>{}</p><pre>{}</pre>\
         <iframe sandbox=\"\" src=\"/messages/{}/html\" title=\"HTML\"></iframe>",
        escaped(&mail.subject),
        escaped(&mail.from),
        escaped(&mail.to),
        escaped(&mail.received),
        escaped(&mail.text),
        escaped(&mail.id)
    );
    page(&mail.subject, &body).into_response()
}

async fn mail_html(State(mailbox): State<Mailbox>, Segment(id): Segment<String>) -> Response {
    let Some(mail) = mailbox.mail(&id) else { return StatusCode::NOT_FOUND.into_response() };
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(mail.html)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_listed_newest_first_with_both_parts() {
        let folder = tempfile::tempdir().unwrap();
        let mail = |subject: &str| {
            format!(
                "From: a@example.gov.tw\r\nTo: B <b@example.com>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
                 Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n\
                 plain\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--x--\r\n"
            )
        };
        std::fs::write(folder.path().join("20260101T000000-a.eml"), mail("old")).unwrap();
        std::fs::write(folder.path().join("20260102T000000-b.eml"), mail("new")).unwrap();
        let mailbox = Mailbox::new(folder.path().into());
        let mails = mailbox.mails();
        assert_eq!(mails.iter().map(|mail| mail.subject.as_str()).collect::<Vec<_>>(), ["new", "old"]);
        assert_eq!(mails[0].to, "b@example.com");
        assert!(mails[0].text.contains("plain") && mails[0].html.contains("<p>rich</p>"));
        assert_eq!(mailbox.mail(&mails[1].id).unwrap().subject, "old");
        assert!(mailbox.mail("../../etc/passwd").is_none());
    }
}

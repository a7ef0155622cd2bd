//! What the mails say, and how they are written down.
//!
//! The words are files: `shared/templates/mail/` has one for each mail and language (`words`), and two frames that make the
//! text part and the HTML part of them. Their variables are checked when this compiles. A mail is bilingual, in Chinese and
//! then in English; it has no remote content, no link that waits to be clicked, and no personal data but what it is for.
//! [`message`] writes it down as a message of RFC 5322.
//!
//! # Adding a mail
//! 1. A variant of [`Notice`].
//! 2. Its words: a file for each language beside the others, and their variables in `words`.
//! 3. A line in [`notice`], and the snapshot of the whole mail.

pub mod message;
mod words;

use askama::Template;
use jiff::Timestamp;
use jiff::tz::Offset;
use zeroize::Zeroizing;

use crate::email_change::EmailCode;
use crate::language::Language;
use crate::notice::Notice;
use crate::password::Password;
use crate::revocation::Reason;
use words::{Line, Words};

/// A mail's content. What may hold a password is zeroed when it goes.
#[derive(Clone)]
pub struct Content {
    /// Names the system, and no secret.
    pub subject: String,
    /// Plain text.
    pub text: Zeroizing<String>,
    /// HTML: tables, inline styles, nothing from elsewhere.
    pub html: Zeroizing<String>,
}

/// A mail cannot be written. Names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mail cannot be written")]
pub struct Unwritable;

impl From<askama::Error> for Unwritable {
    fn from(_: askama::Error) -> Self {
        Self
    }
}

/// What a mail says of its surroundings.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The portal host's origin.
    pub portal_origin: String,
    /// How to reach the helpdesk, in the operator's words.
    pub helpdesk_contact: Option<String>,
}

impl Surroundings {
    /// How to reach the helpdesk.
    fn help(&self, language: Language) -> String {
        match (language, &self.helpdesk_contact) {
            (Language::ZhTw, Some(contact)) => format!("客服人員：{contact}"),
            (Language::En, Some(contact)) => format!("Helpdesk: {contact}"),
            (Language::ZhTw, None) => "如有疑問，請洽貴機關人事人員或客服人員。".to_owned(),
            (Language::En, None) => "Questions? Ask your HR or the helpdesk.".to_owned(),
        }
    }
}

/// Digits of a mail's id that stand in it, to tell which mail somebody speaks of, and that two are one.
const REFERENCE: usize = 8;

/// A time as people in Taiwan read it, to the minute.
fn in_taiwan(time: Timestamp) -> String {
    // Taiwan has had one offset without daylight saving since 1980.
    let local = Offset::constant(8).to_datetime(time);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute()
    )
}

/// The mail that brings an initial password (貳、2、(1)): what it is, until when, what to do, and that nobody asks for it.
/// In the text part the password stands alone on its line, so that it can be copied, and behind so many words that a list of
/// mails does not show it. It stands in each language's part: whoever reads one of them has all that it speaks of. `id` is
/// the reset's.
///
/// # Errors
/// [`Unwritable`].
pub fn initial_password(
    password: &Password,
    expires_at: Timestamp,
    id: &str,
    around: &Surroundings,
) -> Result<Content, Unwritable> {
    let until = in_taiwan(expires_at);
    let words = words::initial_password(Line(password.reveal()), Line(&until), Line(&around.portal_origin))?;
    render(words, id, around)
}

/// The mail that brings the code of a change of email address, to the new one: what it is for, until when, and that it is to be
/// left alone by whoever did not ask for it. `id` is the change's.
///
/// # Errors
/// [`Unwritable`].
pub fn email_code(
    code: &EmailCode,
    expires_at: Timestamp,
    id: &str,
    around: &Surroundings,
) -> Result<Content, Unwritable> {
    let until = in_taiwan(expires_at);
    let words = words::email_code(Line(&code.grouped()), Line(&until), Line(&around.portal_origin))?;
    render(words, id, around)
}

/// The mail of a notice: what happened, when, what that means, and what to do. It asks for nothing, and no link waits to be
/// clicked, so that nobody learns to follow a mail like it. `id` is the notice's.
///
/// # Errors
/// [`Unwritable`].
pub fn notice(
    notice: &Notice,
    queued_at: Timestamp,
    id: &str,
    around: &Surroundings,
) -> Result<Content, Unwritable> {
    let at = in_taiwan(queued_at);
    let (at, url) = (Line(&at), Line(&around.portal_origin));
    let words = match notice {
        Notice::Activated => words::activated(at, url),
        Notice::PasswordReset { email_masked } => words::password_reset(at, Line(email_masked), url),
        Notice::PasswordChanged => words::password_changed(at, url),
        Notice::EmailChanged { email_masked } => words::email_changed(at, Line(email_masked), url),
        Notice::Locked { until } => words::locked(at, Line(&in_taiwan(*until)), url),
        Notice::CardBound { issuer_name, number_tail } => {
            words::card_bound(Line(issuer_name), Line(number_tail), at, url)
        }
        Notice::CardUnbound { issuer_name, number_tail } => {
            words::card_unbound(Line(issuer_name), Line(number_tail), at, url)
        }
        Notice::CardRevoked { issuer_name, number_tail, since, reason } => {
            let since = in_taiwan(*since);
            let (issuer, tail, since) = (Line(issuer_name), Line(number_tail), Line(&since));
            match reason {
                Reason::CertificateHold => words::card_on_hold(issuer, tail, since, url),
                reason => words::card_revoked(issuer, tail, since, *reason, url),
            }
        }
        Notice::Authorized { agency, from, until } => {
            let (from, until) = (in_taiwan(*from), until.map(in_taiwan));
            words::authorized(Line(agency), Line(&from), url, until.as_deref().map(Line))
        }
        Notice::AuthorizationRevoked { agency } => words::authorization_revoked(Line(agency), at, url),
        Notice::ConsentWanted { agency, until } => {
            words::consent_wanted(Line(agency), at, Line(&in_taiwan(*until)), url)
        }
    };
    render(words?, id, around)
}

/// A mail's words in one language, with what every mail says in it.
struct Part {
    language: &'static str,
    service: &'static str,
    words: Words,
    next: &'static str,
    colon: &'static str,
    caution: String,
    help: String,
    reference_name: &'static str,
}

impl Part {
    fn new(language: Language, words: Words, around: &Surroundings) -> Self {
        let (code, service, next, colon, caution, reference_name) = match language {
            Language::ZhTw => (
                "zh-TW",
                "公務人員登入服務",
                "接下來",
                "：",
                "這封信只是通知。任何人（包括人事人員及客服人員）都不會向您索取密碼或憑證密碼（PIN 碼）。",
                "信件編號",
            ),
            Language::En => (
                "en",
                "Civil Service Sign-in",
                "What to do",
                ": ",
                "This mail is for your information only. Nobody, HR and helpdesk included, will ever ask you for your password or your \
                 card's PIN.",
                "Mail reference",
            ),
        };
        let caution = words.caution.clone().unwrap_or_else(|| caution.to_owned());
        let help = Line(&around.help(language)).to_string();
        Self { language: code, service, words, next, colon, caution, help, reference_name }
    }
}

#[derive(Template)]
#[template(path = "mail/frame.txt")]
struct TextFrame<'a> {
    parts: &'a [Part],
    reference: &'a str,
}

#[derive(Template)]
#[template(path = "mail/frame.html")]
struct HtmlFrame<'a> {
    title: &'a str,
    parts: &'a [Part],
    reference: &'a str,
}

fn render(words: [Words; 2], id: &str, around: &Surroundings) -> Result<Content, Unwritable> {
    let [zh, en] = words;
    let parts = [Part::new(Language::ZhTw, zh, around), Part::new(Language::En, en, around)];
    let [zh, en] = [&parts[0], &parts[1]].map(|part| part.words.title.as_str());
    let subject = format!("公務人員登入服務：{zh} | Civil Service Sign-in: {en}");
    let title = format!("{zh} {en}");
    let reference: String = id.chars().take(REFERENCE).collect();
    let text = TextFrame { parts: &parts, reference: &reference }.render()?;
    let html = HtmlFrame { title: &title, parts: &parts, reference: &reference }.render()?;
    Ok(Content { subject, text: Zeroizing::new(text), html: Zeroizing::new(html) })
}

/// A reason code (RFC 5280 section 5.3.1) as somebody without knowledge of certificates reads it; nothing for codes that say
/// nothing.
fn reason_in_words(reason: Reason, language: Language) -> Option<&'static str> {
    let (zh, en) = match reason {
        Reason::Unspecified | Reason::CertificateHold | Reason::RemoveFromCrl => return None,
        Reason::KeyCompromise => (
            "卡片可能遺失，或卡片內的金鑰可能已被他人取得。",
            "The card may be lost, or somebody else may have got hold of its key.",
        ),
        Reason::CaCompromise | Reason::AaCompromise => {
            ("發卡單位的金鑰可能已被他人取得。", "Somebody else may have got hold of the issuer's key.")
        }
        Reason::AffiliationChanged => (
            "卡片上的資料（例如姓名或所屬單位）已變更。",
            "What the card says of you, such as your name or organization, has changed.",
        ),
        Reason::Superseded => ("已換發新的憑證。", "A new certificate has replaced it."),
        Reason::CessationOfOperation => ("這張卡不再使用。", "The card is no longer in use."),
        Reason::PrivilegeWithdrawn => {
            ("發卡單位已取消這張卡的使用資格。", "The issuer has withdrawn the right to use the card.")
        }
    };
    Some(match language {
        Language::ZhTw => zh,
        Language::En => en,
    })
}

#[cfg(test)]
mod tests;

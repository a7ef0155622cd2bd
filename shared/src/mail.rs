//! What the mails say. Bilingual, as text and as HTML, without remote content and without personal data but what the mail
//! is for: an initial password, or which card a notice is about.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::language::Language;
use crate::notice::Notice;
use crate::password::Password;
use crate::revocation::Reason;

/// A mail's content.
#[derive(Clone)]
pub struct Content {
    /// Names the system, and no secret.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML: tables, inline styles, nothing from elsewhere.
    pub html: String,
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
/// In the text part the password stands alone on its line, so that it can be copied.
pub fn initial_password(password: &Password, expires_at: Timestamp, around: &Surroundings) -> Content {
    let password = password.reveal();
    let url = &around.portal_origin;
    let until = in_taiwan(expires_at);
    let (help_zh, help_en) = (around.help(Language::ZhTw), around.help(Language::En));
    let text = format!(
        "您的密碼已由人事人員或客服人員重設。這是您的初始密碼：\n\
         Your password was reset by HR or the helpdesk. This is your initial password:\n\
         \n\
         {password}\n\
         \n\
         有效期限：{until}（臺灣時間），只能用來啟用一次。\n\
         Good until {until} (Taiwan time), for one activation.\n\
         \n\
         接下來：\n\
         1. 請自行在瀏覽器輸入網址 {url}\n\
         2. 在「帳號登入」輸入您的身分證字號及上面的初始密碼。\n\
         3. 設定自訂帳號、電子郵件及新密碼（輸入兩次），按「送出」。\n\
         4. 重新登入，確認啟用成功。\n\
         \n\
         What to do next:\n\
         1. Type this address into your browser: {url}\n\
         2. Under \"Sign in with account\", enter your national ID and the initial password above.\n\
         3. Set a custom account, your email and a new password (twice), and send.\n\
         4. Sign in again to confirm that it worked.\n\
         \n\
         任何人（包括人事人員及客服人員）都不會向您索取這個密碼。若您沒有要求重設，請立即通知貴機關人事人員。\n\
         Nobody, HR and helpdesk included, will ever ask you for this password. If you did not expect this mail, tell \
         your HR at once.\n\
         \n\
         {help_zh}\n\
         {help_en}\n"
    );
    let (html_password, html_url) = (escape(password), escape(url));
    let (html_help_zh, html_help_en) = (escape(&help_zh), escape(&help_en));
    let html = format!(
        r#"<!DOCTYPE html>
<html lang="zh-TW">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>初始密碼 Initial password</title></head>
<body style="margin:0;padding:16px;font-family:'Noto Sans TC','Microsoft JhengHei','PingFang TC',sans-serif;line-height:1.6">
<table role="presentation" width="100%" style="max-width:600px;margin:0 auto;border-collapse:collapse">
<tr><td>
<p lang="zh-TW">您的密碼已由人事人員或客服人員重設。這是您的初始密碼：</p>
<p lang="en">Your password was reset by HR or the helpdesk. This is your initial password:</p>
<p style="font:bold 20px/1.5 Consolas,Menlo,monospace;border:2px solid #1a5276;padding:12px 16px;text-align:center"><span translate="no">{html_password}</span></p>
<p lang="zh-TW">有效期限：<strong>{until}</strong>（臺灣時間），只能用來啟用一次。</p>
<p lang="en">Good until <strong>{until}</strong> (Taiwan time), for one activation.</p>
<h2 lang="zh-TW" style="font-size:18px">接下來</h2>
<ol lang="zh-TW">
<li>請自行在瀏覽器輸入網址 {html_url}</li>
<li>在「帳號登入」輸入您的身分證字號及上面的初始密碼。</li>
<li>設定自訂帳號、電子郵件及新密碼（輸入兩次），按「送出」。</li>
<li>重新登入，確認啟用成功。</li>
</ol>
<h2 lang="en" style="font-size:18px">What to do next</h2>
<ol lang="en">
<li>Type this address into your browser: {html_url}</li>
<li>Under “Sign in with account”, enter your national ID and the initial password above.</li>
<li>Set a custom account, your email and a new password (twice), and send.</li>
<li>Sign in again to confirm that it worked.</li>
</ol>
<p lang="zh-TW"><strong>任何人（包括人事人員及客服人員）都不會向您索取這個密碼。</strong>若您沒有要求重設，請立即通知貴機關人事人員。</p>
<p lang="en"><strong>Nobody, HR and helpdesk included, will ever ask you for this password.</strong> If you did not expect this mail, tell your HR at once.</p>
<p lang="zh-TW">{html_help_zh}</p>
<p lang="en">{html_help_en}</p>
</td></tr>
</table>
</body>
</html>
"#
    );
    Content {
        subject: "首次登入：您的初始密碼 | First sign-in: your initial password".to_owned(),
        text,
        html,
    }
}

/// The mail of a notice: what happened to which card, when, why, what that ended, and what to do. It asks for nothing, and
/// no link waits to be clicked, so that nobody learns to follow a mail like it.
pub fn notice(notice: &Notice, queued_at: Timestamp, around: &Surroundings) -> Content {
    let [zh, en] = [Language::ZhTw, Language::En].map(|language| match notice {
        Notice::CardRevoked { issuer_name, number_tail, since, reason } => {
            let card = Card { issuer_name, number_tail };
            if *reason == Reason::CertificateHold {
                card_on_hold(language, &card, *since, around)
            } else {
                card_revoked(language, &card, *since, *reason, around)
            }
        }
        Notice::CardUnbound { issuer_name, number_tail } => {
            card_unbound(language, &Card { issuer_name, number_tail }, queued_at, around)
        }
        Notice::CardBound { issuer_name, number_tail } => {
            let fact = Card { issuer_name, number_tail }.fact(language);
            account_event(language, ACCOUNT_CARD_BOUND, queued_at, Some(fact), around)
        }
        Notice::Activated => account_event(language, ACCOUNT_ACTIVATED, queued_at, None, around),
        Notice::PasswordChanged => account_event(language, ACCOUNT_PASSWORD_CHANGED, queued_at, None, around),
        Notice::PasswordReset { email_masked } => {
            let name =
                if language == Language::En { "Initial password sent to" } else { "初始密碼寄往" };
            account_event(language, ACCOUNT_RESET, queued_at, Some((name, email_masked.clone())), around)
        }
        Notice::EmailChanged { email_masked } => {
            let name = if language == Language::En { "New email" } else { "新電子郵件" };
            account_event(language, ACCOUNT_EMAIL, queued_at, Some((name, email_masked.clone())), around)
        }
        Notice::Locked { until } => {
            let name = if language == Language::En { "Locked until" } else { "鎖定至" };
            account_event(language, ACCOUNT_LOCKED, queued_at, Some((name, in_taiwan(*until))), around)
        }
    });
    let text = format!(
        "{}\n----------------------------------------\n\n{}",
        zh.text(Language::ZhTw, around),
        en.text(Language::En, around)
    );
    let html = format!(
        r#"<!DOCTYPE html>
<html lang="zh-TW">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>{title}</title></head>
<body style="margin:0;padding:16px;font-family:'Noto Sans TC','Microsoft JhengHei','PingFang TC',sans-serif;line-height:1.6">
<table role="presentation" width="100%" style="max-width:600px;margin:0 auto;border-collapse:collapse">
<tr><td lang="zh-TW">
{zh_html}</td></tr>
<tr><td lang="en" style="border-top:1px solid #888888;padding-top:16px">
{en_html}</td></tr>
</table>
</body>
</html>
"#,
        title = escape(&format!("{} {}", zh.title, en.title)),
        zh_html = zh.html(Language::ZhTw, around),
        en_html = en.html(Language::En, around),
    );
    Content {
        subject: format!("公務人員登入服務：{} | Civil Service Sign-in: {}", zh.title, en.title),
        text,
        html,
    }
}

/// What happened to an account, per language: title and opening.
type Event = [(&'static str, &'static str); 2];

const ACCOUNT_CARD_BOUND: Event = [
    ("您的帳號已綁定一張卡片", "這張憑證 IC 卡已綁定您的帳號，之後可以用它登入。"),
    (
        "A card was bound to your account",
        "This card is bound to your account and can sign in to it from now on.",
    ),
];
const ACCOUNT_ACTIVATED: Event = [
    ("您的帳號已啟用", "您的帳號已完成啟用，自訂帳號、電子郵件及密碼都已設定。"),
    ("Your account is activated", "Your account has its custom account, email address and password."),
];
const ACCOUNT_PASSWORD_CHANGED: Event = [
    ("您的密碼已變更", "您帳號的密碼已變更，原來的密碼不能再使用。"),
    (
        "Your password was changed",
        "The password of your account was changed. The former one no longer works.",
    ),
];
const ACCOUNT_RESET: Event = [
    ("您的密碼已重設", "人事人員或客服人員已重設您的密碼，原來的密碼不能再使用。"),
    (
        "Your password was reset",
        "HR or the helpdesk has reset your password. The former one no longer works.",
    ),
];
const ACCOUNT_EMAIL: Event = [
    ("您帳號的電子郵件已變更", "您的帳號改用另一個電子郵件，這個信箱不會再收到通知。"),
    (
        "Your account's email was changed",
        "Your account has another email address. No more notices come to this one.",
    ),
];
const ACCOUNT_LOCKED: Event = [
    ("您的帳號登入已暫時鎖定", "密碼輸入錯誤次數過多，帳號登入已暫時鎖定。"),
    (
        "Sign-in by password is locked for now",
        "A wrong password was entered too often. Sign-in by password is locked.",
    ),
];

/// A notice about the account.
fn account_event(
    language: Language,
    [zh, en]: Event,
    at: Timestamp,
    fact: Option<(&'static str, String)>,
    around: &Surroundings,
) -> Told {
    let (at, url) = (in_taiwan(at), &around.portal_origin);
    let ((title, opening), when, mine, other) = match language {
        Language::ZhTw => (
            zh,
            ("時間", format!("{at}（臺灣時間）")),
            "若是您本人或應您的要求：不必再做什麼。",
            format!("若不是：請立即通知客服人員。本服務的網址是 {url}，請自行在瀏覽器輸入。"),
        ),
        Language::En => (
            en,
            ("When", format!("{at} (Taiwan time)")),
            "If it was you, or at your request: there is nothing more to do.",
            format!("If not: tell the helpdesk at once. Type {url} into your browser to reach this service."),
        ),
    };
    let facts = std::iter::once(when).chain(fact).collect();
    Told { title, opening, facts, steps: vec![mine.to_owned(), other] }
}

/// A card as its holder knows it.
struct Card<'a> {
    issuer_name: &'a str,
    number_tail: &'a str,
}

impl Card<'_> {
    fn fact(&self, language: Language) -> (&'static str, String) {
        let Self { issuer_name, number_tail } = self;
        match language {
            Language::ZhTw => ("卡片", format!("{issuer_name}，卡號末四碼 {number_tail}")),
            Language::En => ("Card", format!("{issuer_name}, number ending in {number_tail}")),
        }
    }
}

/// A notice in one language.
struct Told {
    /// What happened, in a few words: heading and part of the subject.
    title: &'static str,
    /// What happened, and what it ended.
    opening: &'static str,
    /// Which card, when, why.
    facts: Vec<(&'static str, String)>,
    /// What to do.
    steps: Vec<String>,
}

impl Told {
    /// "What to do", and what nobody asks for.
    fn fixed(language: Language) -> (&'static str, &'static str) {
        match language {
            Language::ZhTw => (
                "接下來",
                "這封信只是通知。任何人（包括人事人員及客服人員）都不會向您索取密碼或憑證密碼（PIN 碼）。",
            ),
            Language::En => (
                "What to do",
                "This mail only tells you. Nobody, HR and helpdesk included, will ever ask you for your password or your \
                 card's PIN.",
            ),
        }
    }

    fn text(&self, language: Language, around: &Surroundings) -> String {
        let colon = match language {
            Language::ZhTw => "：",
            Language::En => ": ",
        };
        let (next, caution) = Self::fixed(language);
        let facts: String =
            self.facts.iter().map(|(name, value)| format!("{name}{colon}{value}\n")).collect();
        let steps: String =
            self.steps.iter().zip(1..).map(|(step, number)| format!("{number}. {step}\n")).collect();
        let help = around.help(language);
        let heading = colon.trim_end();
        format!("{}\n\n{facts}\n{next}{heading}\n{steps}\n{caution}\n\n{help}\n", self.opening)
    }

    fn html(&self, language: Language, around: &Surroundings) -> String {
        let (next, caution) = Self::fixed(language);
        let facts: String = self
            .facts
            .iter()
            .map(|(name, value)| {
                format!(
                    "<tr><th scope=\"row\" style=\"text-align:left;vertical-align:top;padding:2px 16px 2px 0;\
                     white-space:nowrap;font-weight:normal\">{}</th><td style=\"padding:2px 0\"><strong>{}</strong></td></tr>\n",
                    escape(name),
                    escape(value)
                )
            })
            .collect();
        let steps: String = self.steps.iter().map(|step| format!("<li>{}</li>\n", escape(step))).collect();
        format!(
            "<h1 style=\"font-size:20px\">{}</h1>\n<p>{}</p>\n<table style=\"border-collapse:collapse\">\n{facts}</table>\n\
             <h2 style=\"font-size:18px\">{next}</h2>\n<ol>\n{steps}</ol>\n<p>{caution}</p>\n<p>{}</p>\n",
            escape(self.title),
            escape(self.opening),
            escape(&around.help(language))
        )
    }
}

fn card_revoked(
    language: Language,
    card: &Card<'_>,
    since: Timestamp,
    reason: Reason,
    around: &Surroundings,
) -> Told {
    let since = in_taiwan(since);
    let fact = card.fact(language);
    let why = reason_in_words(reason, language).map(str::to_owned);
    match language {
        Language::ZhTw => Told {
            title: "您的憑證已廢止",
            opening: "發卡單位已廢止您憑證 IC 卡上的憑證，這份憑證不能再用來登入；以它開啟的登入都已結束。",
            facts: [fact, ("廢止時間", format!("{since}（臺灣時間）"))]
                .into_iter()
                .chain(why.map(|why| ("廢止原因", why)))
                .collect(),
            steps: vec![
                "若是您自己申請廢止或換發：不必再做什麼。".to_owned(),
                "若您沒有申請：請立即通知客服人員，並請發卡單位查明。".to_owned(),
                "需要新卡時，自然人憑證請向 MOICA 內政部憑證管理中心申請，機關憑證請向 GCA 政府憑證管理中心申請。\
                 卡號不變的新卡可以直接登入；卡號不同的新卡第一次登入時，會請您再輸入自訂帳號或身分證字號。"
                    .to_owned(),
                meanwhile(language, around),
            ],
        },
        Language::En => Told {
            title: "Your card's certificate was revoked",
            opening: "The issuer of your card has revoked its certificate. The certificate can no longer sign in, and every session \
 that was opened with it has ended.",
            facts: [fact, ("Revoked", format!("{since} (Taiwan time)"))]
                .into_iter()
                .chain(why.map(|why| ("Reason", why)))
                .collect(),
            steps: vec![
                "If you asked for this, or for a new card: there is nothing more to do.".to_owned(),
                "If you did not: tell the helpdesk at once, and ask the issuer why.".to_owned(),
                "For a new card, ask MOICA (citizen certificates) or GCA (organization certificates). A new card with the \
                 same number signs in right away; one with another number asks for your custom account or national ID \
                 the first time."
                    .to_owned(),
                meanwhile(language, around),
            ],
        },
    }
}

fn card_on_hold(language: Language, card: &Card<'_>, since: Timestamp, around: &Surroundings) -> Told {
    let since = in_taiwan(since);
    let fact = card.fact(language);
    match language {
        Language::ZhTw => Told {
            title: "您的憑證已暫停使用",
            opening: "發卡單位已暫停（停用）您憑證 IC 卡上的憑證，目前不能用來登入；以它開啟的登入都已結束。",
            facts: vec![fact, ("暫停時間", format!("{since}（臺灣時間）"))],
            steps: vec![
                "若是您自己申請停用：不必再做什麼。向發卡單位申請恢復使用（復用）之後，這張卡即可再登入。".to_owned(),
                "若您沒有申請：請立即通知客服人員，並請發卡單位查明（自然人憑證為 MOICA 內政部憑證管理中心，\
                 機關憑證為 GCA 政府憑證管理中心）。"
                    .to_owned(),
                meanwhile(language, around),
            ],
        },
        Language::En => Told {
            title: "Your card's certificate was put on hold",
            opening: "The issuer of your card has put its certificate on hold. For now it cannot sign in, and every session that \
 was opened with it has ended.",
            facts: vec![fact, ("On hold since", format!("{since} (Taiwan time)"))],
            steps: vec![
                "If you asked for this: there is nothing more to do. Once the issuer lifts the hold at your request, the \
                 card signs in again."
                    .to_owned(),
                "If you did not: tell the helpdesk at once, and ask the issuer why (MOICA for citizen certificates, GCA \
                 for organization certificates)."
                    .to_owned(),
                meanwhile(language, around),
            ],
        },
    }
}

fn card_unbound(language: Language, card: &Card<'_>, at: Timestamp, around: &Surroundings) -> Told {
    let at = in_taiwan(at);
    let fact = card.fact(language);
    let url = &around.portal_origin;
    match language {
        Language::ZhTw => Told {
            title: "您的帳號已解除一張卡片的綁定",
            opening: "您自己或客服人員已解除這張憑證 IC 卡與您帳號的綁定，這張卡不能再直接登入您的帳號；\
                      您在其他裝置上的登入也已結束。",
            facts: vec![fact, ("解除時間", format!("{at}（臺灣時間）"))],
            steps: vec![
                "若是您自己解除，或您請客服人員解除：不必再做什麼。".to_owned(),
                format!(
                    "若不是：請立即自行在瀏覽器輸入網址 {url}，以自訂帳號與密碼登入並變更密碼，再通知客服人員。"
                ),
                "要再使用這張卡：以這張卡登入，再輸入自訂帳號或身分證字號，即重新綁定。".to_owned(),
            ],
        },
        Language::En => Told {
            title: "A card was unbound from your account",
            opening: "You or the helpdesk have unbound this card from your account. It no longer signs in to it by itself, \
                      and your sessions on other devices have ended.",
            facts: vec![fact, ("Unbound", format!("{at} (Taiwan time)"))],
            steps: vec![
                "If you did this, or asked the helpdesk to: there is nothing more to do.".to_owned(),
                format!(
                    "If not: type {url} into your browser at once, sign in with your custom account and password, change \
                     the password, and tell the helpdesk."
                ),
                "To use the card again: sign in with it and enter your custom account or national ID, which binds it \
                 again."
                    .to_owned(),
            ],
        },
    }
}

/// How to sign in without the card.
fn meanwhile(language: Language, around: &Surroundings) -> String {
    let url = &around.portal_origin;
    match language {
        Language::ZhTw => format!("在這之前，請自行在瀏覽器輸入網址 {url}，以自訂帳號與密碼登入。"),
        Language::En => {
            format!(
                "Until then, type {url} into your browser and sign in with your custom account and password."
            )
        }
    }
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

/// Text for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings {
            portal_origin: "https://id.example.gov.tw".to_owned(),
            helpdesk_contact: Some("02-0000-0000 <9-17>".to_owned()),
        }
    }

    fn whole(content: &Content) -> String {
        assert!(!content.html.contains("<9-17>"), "escaped");
        for remote in ["src=", "href=", "url(", "<script"] {
            assert!(!content.html.contains(remote), "{remote}");
        }
        format!("{}\n\n{}\n{}", content.subject, content.text, content.html)
    }

    fn revoked(reason: Reason) -> Notice {
        Notice::CardRevoked {
            issuer_name: "MOICA G3 <test>".to_owned(),
            number_tail: "4321".to_owned(),
            since: "2026-08-06T01:02:03Z".parse().unwrap(),
            reason,
        }
    }

    fn told(told: &Notice) -> Content {
        notice(told, "2026-08-06T16:30:00Z".parse().unwrap(), &around())
    }

    #[test]
    fn the_mail_of_a_revoked_card() {
        insta::assert_snapshot!(whole(&told(&revoked(Reason::KeyCompromise))));
    }

    #[test]
    fn the_mail_of_a_card_on_hold() {
        insta::assert_snapshot!(whole(&told(&revoked(Reason::CertificateHold))));
    }

    #[test]
    fn the_mail_of_an_unbound_card() {
        let unbound =
            Notice::CardUnbound { issuer_name: "MOICA G3".to_owned(), number_tail: "4321".to_owned() };
        insta::assert_snapshot!(whole(&told(&unbound)));
    }

    #[test]
    fn every_reason_in_words() {
        let lines: String = (0..=u8::MAX)
            .filter_map(Reason::from_code)
            .map(|reason| {
                let told = told(&revoked(reason));
                let line = |name: &str| {
                    told.text.lines().find(|line| line.starts_with(name)).unwrap_or("-").to_owned()
                };
                format!("{reason:?}\n  {}\n  {}\n", line("廢止原因"), line("Reason"))
            })
            .collect();
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn a_subject_tells_the_system_and_no_card() {
        for reason in (0..=u8::MAX).filter_map(Reason::from_code) {
            let subject = told(&revoked(reason)).subject;
            assert!(subject.starts_with("公務人員登入服務") && subject.contains("Civil Service Sign-in"));
            assert!(!subject.contains("4321") && !subject.contains("MOICA"), "{subject}");
        }
    }

    #[test]
    fn without_a_contact_the_helpdesk_is_named_all_the_same() {
        let around = Surroundings { helpdesk_contact: None, ..around() };
        let text = notice(&revoked(Reason::Unspecified), Timestamp::UNIX_EPOCH, &around).text;
        assert!(
            text.contains("請洽貴機關人事人員或客服人員") && text.contains("Ask your HR or the helpdesk")
        );
    }

    #[test]
    fn the_initial_password_mail() {
        let password = Password::new("abcde-FGHJK-34679-mnpqr".to_owned());
        let expires_at = "2026-08-06T01:02:03Z".parse().unwrap();
        let content = initial_password(&password, expires_at, &around());
        assert!(content.text.lines().any(|line| line == "abcde-FGHJK-34679-mnpqr"), "alone on its line");
        assert!(!content.subject.contains("abcde"));
        assert!(content.text.contains("2026-08-06 09:02"), "Taiwan time");
        insta::assert_snapshot!(whole(&content));
    }
}

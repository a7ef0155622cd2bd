//! What the mails say. Bilingual, as text and as HTML, without remote content and without personal data but the
//! password that the mail is for.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::password::Password;

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

/// What the mail with an initial password says of its surroundings.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The portal host's origin.
    pub portal_origin: String,
    /// How to reach the helpdesk, in the operator's words.
    pub helpdesk_contact: Option<String>,
}

/// The mail that brings an initial password (貳、2、(1)): what it is, until when, what to do, and that nobody asks for it.
/// In the text part the password stands alone on its line, so that it can be copied.
pub fn initial_password(password: &Password, expires_at: Timestamp, around: &Surroundings) -> Content {
    let password = password.reveal();
    let url = &around.portal_origin;
    // Taiwan has had one offset without daylight saving since 1980.
    let local = Offset::constant(8).to_datetime(expires_at);
    let until = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute()
    );
    let (help_zh, help_en) = match &around.helpdesk_contact {
        Some(contact) => (format!("客服人員：{contact}"), format!("Helpdesk: {contact}")),
        None => (
            "如有疑問，請洽貴機關人事人員或客服人員。".to_owned(),
            "Questions? Ask your HR or the helpdesk.".to_owned(),
        ),
    };
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

/// Text for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_password_mail() {
        let around = Surroundings {
            portal_origin: "https://id.example.gov.tw".to_owned(),
            helpdesk_contact: Some("02-0000-0000 <9-17>".to_owned()),
        };
        let password = Password::new("abcde-FGHJK-34679-mnpqr".to_owned());
        let expires_at = "2026-08-06T01:02:03Z".parse().unwrap();
        let content = initial_password(&password, expires_at, &around);
        assert!(content.text.lines().any(|line| line == "abcde-FGHJK-34679-mnpqr"), "alone on its line");
        assert!(!content.subject.contains("abcde"));
        assert!(content.text.contains("2026-08-06 09:02"), "Taiwan time");
        assert!(
            !content.html.contains("<9-17>") && !content.html.contains("src="),
            "escaped, nothing remote"
        );
        insta::assert_snapshot!(format!("{}\n\n{}\n{}", content.subject, content.text, content.html));
    }
}

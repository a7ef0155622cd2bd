//! Every mail, whole: headers, text and HTML; and that nothing in it breaks out of its place.

use mail_parser::MessageParser;
use proptest::prelude::*;

use super::*;
use crate::email_address::EmailAddress;

const ID: &str = "abcdefgh-IJKLMNOP_qrstuvwxyz0123456789-abcd";

fn around() -> Surroundings {
    Surroundings {
        portal_origin: "https://id.example.gov.tw".to_owned(),
        helpdesk_contact: Some("02-0000-0000 <9-17>".to_owned()),
    }
}

fn at() -> Timestamp {
    "2026-08-06T16:30:00Z".parse().unwrap()
}

fn card() -> (String, String) {
    ("MOICA G3 <test>".to_owned(), "4321".to_owned())
}

fn revoked(reason: Reason) -> Notice {
    let (issuer_name, number_tail) = card();
    let since = "2026-08-06T01:02:03Z".parse().unwrap();
    Notice::CardRevoked { issuer_name, number_tail, since, reason }
}

/// The sample behind another one: every notice is in this row, or it does not compile.
fn sample_after(notice: Option<&Notice>) -> Option<(&'static str, Notice)> {
    let email_masked = "w***@example.gov.tw".to_owned();
    let (issuer_name, number_tail) = card();
    Some(match notice {
        None => ("activated", Notice::Activated),
        Some(Notice::Activated) => ("password_reset", Notice::PasswordReset { email_masked }),
        Some(Notice::PasswordReset { .. }) => ("password_changed", Notice::PasswordChanged),
        Some(Notice::PasswordChanged) => ("email_changed", Notice::EmailChanged { email_masked }),
        Some(Notice::EmailChanged { .. }) => {
            ("locked", Notice::Locked { until: "2026-08-06T16:45:00Z".parse().unwrap() })
        }
        Some(Notice::Locked { .. }) => ("card_bound", Notice::CardBound { issuer_name, number_tail }),
        Some(Notice::CardBound { .. }) => ("card_unbound", Notice::CardUnbound { issuer_name, number_tail }),
        Some(Notice::CardUnbound { .. }) => ("card_revoked", revoked(Reason::KeyCompromise)),
        Some(Notice::CardRevoked { reason: Reason::KeyCompromise, .. }) => {
            ("card_on_hold", revoked(Reason::CertificateHold))
        }
        Some(Notice::CardRevoked { .. }) => {
            let (from, until) = ("2026-08-09T16:00:00Z", "2026-12-31T16:00:00Z");
            let (from, until) = (from.parse().unwrap(), Some(until.parse().unwrap()));
            ("authorized", Notice::Authorized { agency: "A02".to_owned(), from, until })
        }
        Some(Notice::Authorized { .. }) => {
            ("authorization_revoked", Notice::AuthorizationRevoked { agency: "A02".to_owned() })
        }
        Some(Notice::AuthorizationRevoked { .. }) => {
            let until = "2026-09-05T16:30:00Z".parse().unwrap();
            ("consent_wanted", Notice::ConsentWanted { agency: "A02".to_owned(), until })
        }
        Some(Notice::ConsentWanted { .. }) => return None,
    })
}

fn every_notice() -> Vec<(&'static str, Notice)> {
    let first = sample_after(None);
    std::iter::successors(first, |(_, notice)| sample_after(Some(notice))).collect()
}

fn told(told: &Notice) -> Content {
    notice(told, at(), ID, &around()).unwrap()
}

fn whole(content: &Content) -> String {
    format!("{}\n\n{}\n{}", content.subject, content.text.as_str(), content.html.as_str())
}

fn initial() -> Content {
    let password = Password::new("abcde-FGHJK-34679-mnpqr".to_owned());
    let expires_at = "2026-08-06T01:02:03Z".parse().unwrap();
    initial_password(&password, expires_at, ID, &around()).unwrap()
}

fn every_content() -> Vec<(&'static str, Content)> {
    let notices = every_notice().into_iter().map(|(name, notice)| (name, told(&notice)));
    notices.chain([("initial_password", initial()), ("email_code", code())]).collect()
}

fn code() -> Content {
    let code = EmailCode::parse("0123 4567").unwrap();
    email_code(&code, "2026-08-06T01:02:03Z".parse().unwrap(), ID, &around()).unwrap()
}

/// Whether a mail brings something that its reader is to enter.
fn brings(name: &str) -> bool {
    ["initial_password", "email_code"].contains(&name)
}

#[test]
fn every_mail() {
    for (name, content) in every_content() {
        insta::assert_snapshot!(name, whole(&content));
    }
}

#[test]
fn every_mail_is_whole_in_both_languages_and_brings_nothing_from_elsewhere() {
    for (name, content) in every_content() {
        let html = content.html.to_lowercase();
        for remote in ["src=", "href=", "url(", "@import", "<script", "<form", "http://", "{{", "{%"] {
            assert!(!html.contains(remote), "{name}: {remote}");
        }
        assert!(!content.html.contains("<9-17>"), "{name}: escaped");
        for part in [&content.text, &content.html] {
            for said in [
                "客服人員：02-0000-0000",
                "Helpdesk: 02-0000-0000",
                "信件編號：abcdefgh",
                "Mail reference: abcdefgh",
            ] {
                assert!(part.contains(said), "{name}: {said}");
            }
        }
        assert!(
            content.subject.starts_with("公務人員登入服務：")
                && content.subject.contains("Civil Service Sign-in: ")
        );
        for personal in ["4321", "MOICA", "abcde", "0123", "w***"] {
            assert!(!content.subject.contains(personal), "{name}: {personal}");
        }
    }
}

#[test]
fn every_line_of_the_words_says_what_it_is() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/mail");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("frame.") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.starts_with("{%-")) {
            let what = line.split(' ').next().unwrap();
            assert!(
                ["title", "opening", "secret", "fact", "case", "step", "note", "caution"].contains(&what),
                "{name}: {line}"
            );
            assert!(what != "fact" || line.contains(" | "), "{name}: {line}");
        }
        names.push(name);
    }
    for name in &names {
        let other = match name.strip_suffix(".zh-TW.txt") {
            Some(stem) => format!("{stem}.en.txt"),
            None => name.replace(".en.txt", ".zh-TW.txt"),
        };
        assert!(names.contains(&other), "{name} is in one language");
    }
    let mut written: Vec<String> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".en.txt"))
        .map(|stem| stem.replace('-', "_"))
        .collect();
    let mut sampled: Vec<&str> = every_content().into_iter().map(|(name, _)| name).collect();
    written.sort_unstable();
    sampled.sort_unstable();
    assert_eq!(written, sampled, "every mail is among the samples");
}

#[test]
fn a_secret_stands_alone_on_its_line() {
    for (content, secret) in [(initial(), "abcde-FGHJK-34679-mnpqr"), (code(), "0123 4567")] {
        assert!(content.text.lines().any(|line| line == secret));
        assert!(content.text.contains("2026-08-06 09:02"), "Taiwan time");
    }
}

#[test]
fn a_list_of_mails_does_not_show_a_secret() {
    for (content, secret) in [(initial(), "abcde-"), (code(), "0123")] {
        let (before, _) = content.text.split_once(secret).unwrap();
        // A Chinese character takes two columns.
        let columns: usize = before.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
        assert!(columns >= 200, "{columns}");
    }
}

#[test]
fn alternatives_are_not_numbered() {
    for (name, content) in every_content() {
        let numbered = content.text.lines().any(|line| line.starts_with("1. "));
        assert_eq!(numbered, brings(name), "{name}");
        let if_so = |line: &&str| line.starts_with("- 若") || line.starts_with("- If ");
        let cases = content.text.lines().filter(if_so).count();
        assert!(cases >= 4 || brings(name), "{name}: {cases}");
    }
}

#[test]
fn every_reason_in_words() {
    let lines: String = (0..=u8::MAX)
        .filter_map(Reason::from_code)
        .map(|reason| {
            let told = told(&revoked(reason));
            let line =
                |name: &str| told.text.lines().find(|line| line.starts_with(name)).unwrap_or("-").to_owned();
            format!("{reason:?}\n  {}\n  {}\n", line("廢止原因"), line("Reason"))
        })
        .collect();
    insta::assert_snapshot!(lines);
}

#[test]
fn an_authorization_without_an_end_names_none() {
    let from = "2026-08-09T16:00:00Z".parse().unwrap();
    let text = told(&Notice::Authorized { agency: "A02".to_owned(), from, until: None }).text;
    assert!(text.contains("2026-08-10 00:00") && !text.contains("Until") && !text.contains("結束時間"));
}

#[test]
fn without_a_contact_the_helpdesk_is_named_all_the_same() {
    let around = Surroundings { helpdesk_contact: None, ..around() };
    let text = notice(&Notice::Activated, at(), ID, &around).unwrap().text;
    assert!(text.contains("請洽貴機關人事人員或客服人員") && text.contains("Ask your HR or the helpdesk"));
}

fn composed(content: &Content, sender: &str) -> String {
    let from = message::sender(Some(sender), "no-reply@example.gov.tw".parse().unwrap());
    let to = EmailAddress::parse("wang@example.gov.tw").unwrap();
    String::from_utf8(message::compose(&from, &to, content, ID).unwrap().to_vec()).unwrap()
}

#[test]
fn headers() {
    let raw = composed(&told(&Notice::Activated), "公務人員登入服務");
    let headers = raw.split("\r\n\r\n").next().unwrap().replace("\r\n", "\n");
    insta::with_settings!({filters => vec![
        (r"Date: .+", "Date: [date]"),
        (r#"boundary="[^"]+""#, r#"boundary="[boundary]""#),
    ]}, { insta::assert_snapshot!(headers) });
    assert!(raw.is_ascii() && raw.lines().all(|line| line.len() <= 998));
}

/// What would break a line, start a header, or turn the words behind it about.
const HOSTILE: &str =
    "\\PC{0,20}[\\r\\n\\x00\u{2028}\u{202e}\u{2066}\u{200f}]{0,3}(Bcc: all@example.com)?\\PC{0,20}";

proptest! {
    #[test]
    fn no_word_becomes_a_header_or_another_line(
        issuer in HOSTILE,
        contact in HOSTILE,
        email_masked in HOSTILE,
        sender in HOSTILE,
    ) {
        let bound = Notice::CardBound { issuer_name: issuer, number_tail: "4321".to_owned() };
        let reset = Notice::PasswordReset { email_masked: email_masked.clone() };
        let changed = Notice::EmailChanged { email_masked };
        let around = Surroundings { helpdesk_contact: Some(contact), ..around() };
        for (told, fact) in [(bound, "卡片："), (reset, "初始密碼寄往："), (changed, "新的信箱：")] {
            let content = notice(&told, at(), ID, &around).unwrap();
            let raw = composed(&content, &sender);
            let parsed = MessageParser::default().parse(raw.as_bytes()).unwrap();
            let mut names: Vec<&str> = parsed.headers().iter().map(|header| header.name()).collect();
            names.sort_unstable();
            prop_assert_eq!(names, [
                "Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "List-ID", "MIME-Version",
                "Message-ID", "References", "Subject", "To", "X-Auto-Response-Suppress", "X-First-Sign-In-Mail",
            ]);
            let from: Vec<_> = parsed.from().unwrap().iter().map(|from| from.address().unwrap()).collect();
            prop_assert_eq!(from, ["no-reply@example.gov.tw"]);
            prop_assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), content.text.as_str());
            prop_assert_eq!(content.text.lines().filter(|line| line.starts_with(fact)).count(), 1);
            let turns = |c: char| matches!(c, '\u{202e}' | '\u{2066}' | '\u{200f}');
            let name = parsed.from().unwrap().first().unwrap().name().unwrap_or_default();
            prop_assert!(!content.text.contains(turns) && !content.html.contains(turns) && !name.contains(turns));
        }
    }
}

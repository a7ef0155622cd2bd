//! The words of each mail: what its two files say, with its variables in place.
//!
//! A file has a line for each thing that is said: `title`, `opening`, `secret`, `fact NAME | VALUE`, `case`, `step`,
//! `note` and `caution`.

use std::fmt;

use askama::Template;
use zeroize::Zeroizing;

use super::reason_in_words;
use crate::language::Language;
use crate::revocation::Reason;

/// A variable of one line: whatever would break it, or turn the words around it about, is a space.
#[derive(Clone, Copy)]
pub(super) struct Line<'a>(pub(super) &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || directs(c);
        let mut rest = self.0;
        while let Some((before, after)) = rest.split_once(breaks) {
            write!(f, "{before} ")?;
            rest = after;
        }
        f.write_str(rest)
    }
}

/// Whether a character sets the direction of what stands around it (Unicode's `Bidi_Control`): behind one, an address may
/// read backwards.
fn directs(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A mail's words in one language.
#[derive(Default)]
pub(super) struct Words {
    /// What happened, in a few words: heading and part of the subject.
    pub(super) title: String,
    /// What happened, and what it means.
    pub(super) opening: String,
    /// What is to stand out, and be copied.
    pub(super) secret: Option<Zeroizing<String>>,
    /// When, which, why.
    pub(super) facts: Vec<(String, String)>,
    /// What to do, one in this case and another in that.
    pub(super) cases: Vec<String>,
    /// What to do, one after the other.
    pub(super) steps: Vec<String>,
    /// What is good to know besides.
    pub(super) notes: Vec<String>,
    /// What nobody asks for, where it is not what all mails say.
    pub(super) caution: Option<String>,
}

impl Words {
    fn read(text: &Zeroizing<String>) -> Self {
        let mut words = Self::default();
        for line in text.lines() {
            let (what, said) = line.split_once(' ').unwrap_or((line, ""));
            match what {
                "title" => words.title = said.to_owned(),
                "opening" => words.opening = said.to_owned(),
                "secret" => words.secret = Some(Zeroizing::new(said.to_owned())),
                "fact" => {
                    let (name, value) = said.split_once(" | ").unwrap_or(("", said));
                    words.facts.push((name.to_owned(), value.to_owned()));
                }
                "case" => words.cases.push(said.to_owned()),
                "note" => words.notes.push(said.to_owned()),
                "step" => words.steps.push(said.to_owned()),
                "caution" => words.caution = Some(said.to_owned()),
                // The tests hold every file against this list.
                _ => {}
            }
        }
        words
    }
}

/// Declares a mail: its two files, their variables, and those that may be missing.
macro_rules! mail {
    ($name:ident, $zh:literal, $en:literal, $($variable:ident),+ $(; $($optional:ident),+)?) => {
        pub(super) fn $name(
            $($variable: Line<'_>,)+
            $($($optional: Option<Line<'_>>,)+)?
        ) -> Result<[Words; 2], askama::Error> {
            #[derive(Template)]
            #[template(path = $zh)]
            struct Zh<'a> { $($variable: Line<'a>,)+ $($($optional: Option<Line<'a>>,)+)? }
            #[derive(Template)]
            #[template(path = $en)]
            struct En<'a> { $($variable: Line<'a>,)+ $($($optional: Option<Line<'a>>,)+)? }
            let zh = Zeroizing::new(Zh { $($variable,)+ $($($optional,)+)? }.render()?);
            let en = Zeroizing::new(En { $($variable,)+ $($($optional,)+)? }.render()?);
            Ok([Words::read(&zh), Words::read(&en)])
        }
    };
}

mail!(
    initial_password,
    "mail/initial-password.zh-TW.txt",
    "mail/initial-password.en.txt",
    password,
    until,
    url
);
mail!(email_code, "mail/email-code.zh-TW.txt", "mail/email-code.en.txt", code, until, url);
mail!(activated, "mail/activated.zh-TW.txt", "mail/activated.en.txt", at, url);
mail!(password_reset, "mail/password-reset.zh-TW.txt", "mail/password-reset.en.txt", at, email, url);
mail!(password_changed, "mail/password-changed.zh-TW.txt", "mail/password-changed.en.txt", at, url);
mail!(email_changed, "mail/email-changed.zh-TW.txt", "mail/email-changed.en.txt", at, email, url);
mail!(locked, "mail/locked.zh-TW.txt", "mail/locked.en.txt", at, until, url);
mail!(card_bound, "mail/card-bound.zh-TW.txt", "mail/card-bound.en.txt", issuer, tail, at, url);
mail!(card_unbound, "mail/card-unbound.zh-TW.txt", "mail/card-unbound.en.txt", issuer, tail, at, url);
mail!(card_on_hold, "mail/card-on-hold.zh-TW.txt", "mail/card-on-hold.en.txt", issuer, tail, since, url);
mail!(authorized, "mail/authorized.zh-TW.txt", "mail/authorized.en.txt", agency, from, url; until);
mail!(
    authorization_revoked,
    "mail/authorization-revoked.zh-TW.txt",
    "mail/authorization-revoked.en.txt",
    agency,
    at,
    url
);
mail!(consent_wanted, "mail/consent-wanted.zh-TW.txt", "mail/consent-wanted.en.txt", agency, at, until, url);

/// A certificate that was revoked, and why, where the reason says something.
pub(super) fn card_revoked(
    issuer: Line<'_>,
    tail: Line<'_>,
    since: Line<'_>,
    reason: Reason,
    url: Line<'_>,
) -> Result<[Words; 2], askama::Error> {
    #[derive(Template)]
    #[template(path = "mail/card-revoked.zh-TW.txt")]
    struct Zh<'a> {
        issuer: Line<'a>,
        tail: Line<'a>,
        since: Line<'a>,
        reason: Option<&'static str>,
        url: Line<'a>,
    }
    #[derive(Template)]
    #[template(path = "mail/card-revoked.en.txt")]
    struct En<'a> {
        issuer: Line<'a>,
        tail: Line<'a>,
        since: Line<'a>,
        reason: Option<&'static str>,
        url: Line<'a>,
    }
    let [zh, en] = [Language::ZhTw, Language::En].map(|language| reason_in_words(reason, language));
    let zh = Zh { issuer, tail, since, reason: zh, url }.render()?;
    let en = En { issuer, tail, since, reason: en, url }.render()?;
    Ok([zh, en].map(|text| Words::read(&Zeroizing::new(text))))
}

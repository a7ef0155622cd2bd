//! The custom account (自訂帳號): the name that a person chooses at activation.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};
use unicode_security::skeleton;

use crate::national_id::NationalId;
use crate::visible;

/// Fewest characters.
pub const MIN_LENGTH: usize = 4;
/// Most characters.
pub const MAX_LENGTH: usize = 32;

/// Names that nobody may choose, because others would take them for somebody with more power: in lower case.
const RESERVED: [&str; 27] = [
    "admin",
    "administrator",
    "admins",
    "anonymous",
    "daemon",
    "first-sign-in",
    "guest",
    "helpdesk",
    "hostmaster",
    "moderator",
    "nobody",
    "noreply",
    "no-reply",
    "null",
    "operator",
    "postmaster",
    "root",
    "security",
    "superuser",
    "support",
    "sysadmin",
    "system",
    "undefined",
    "webmaster",
    "系統管理員",
    "系統管理者",
    "客服人員",
];

/// A custom account that may be registered, in the person's own spelling (NFKC).
///
/// Letters and digits of any script, with `.`, `_` and `-` between them; at least one letter; and not the shape of a
/// national ID, in whatever spelling, so that an identifier is always one or the other. The manual's forbidden characters
/// `% & + " ? < > \ /` are outside of that. What is not seen is no part of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustomAccount(String);

/// Why a text may not be a custom account. One reason, the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefusal {
    /// Shorter than [`MIN_LENGTH`] or longer than [`MAX_LENGTH`] characters.
    #[error("not {MIN_LENGTH} to {MAX_LENGTH} characters long")]
    Length,
    /// A character that is no letter, digit, `.`, `_` or `-`, or one of these three at an end.
    #[error("a character that is not allowed there")]
    Character,
    /// No letter at all.
    #[error("without a letter")]
    NoLetter,
    /// The shape of a national ID.
    #[error("like a national ID")]
    LikeNationalId,
    /// A name that looks like one that is kept back. Only of an account that is chosen.
    #[error("like a name that is kept back")]
    Reserved,
}

impl CustomAccount {
    /// Reads a custom account.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, AccountRefusal> {
        let account = Self::registered(text)?;
        if NationalId::resembles(&account.0) { Err(AccountRefusal::LikeNationalId) } else { Ok(account) }
    }

    /// Reads one that was registered, perhaps when fewer spellings counted as those of a national ID.
    fn registered(text: &str) -> Result<Self, AccountRefusal> {
        // What nobody sees is dropped first: some of it counts as letters, and would be an account that nobody can read.
        let normal = visible::only(text);
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&normal.chars().count()) {
            return Err(AccountRefusal::Length);
        }
        let inner = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        let ends = [normal.chars().next(), normal.chars().next_back()];
        if !normal.chars().all(inner) || !ends.iter().flatten().all(|c| c.is_alphanumeric()) {
            return Err(AccountRefusal::Character);
        }
        if !normal.chars().any(char::is_alphabetic) {
            return Err(AccountRefusal::NoLetter);
        }
        Ok(Self(normal))
    }

    /// Reads a custom account that somebody chooses: besides, it does not look like a name that is kept back. Who has one of before
    /// this rule goes on signing in with it.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn choose(text: &str) -> Result<Self, AccountRefusal> {
        let account = Self::parse(text)?;
        let look = look(&account.folded());
        if RESERVED.iter().any(|name| self::look(name) == look) {
            return Err(AccountRefusal::Reserved);
        }
        Ok(account)
    }

    /// The person's own spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is unique among all people: NFKC, case folded (Unicode's toNFKC_Casefold without its removals,
    /// which the allowed characters make unnecessary).
    pub fn folded(&self) -> String {
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        let folded = CaseMapper::new().fold_string(&self.0).into_owned();
        nfkc.normalize(&folded).into_owned()
    }
}

/// What a name looks like: Unicode's skeleton of confusable characters (UTS 39, section 4), and what a letter is written for.
fn look(name: &str) -> String {
    let letter = |c: char| match c {
        '1' | 'l' | '|' => 'i',
        '0' => 'o',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        c => c,
    };
    let plain: String = name.chars().map(letter).collect();
    skeleton(&plain).collect::<String>().to_lowercase().chars().map(letter).collect()
}

impl fmt::Debug for CustomAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomAccount(…)")
    }
}

impl TryFrom<String> for CustomAccount {
    type Error = AccountRefusal;
    fn try_from(text: String) -> Result<Self, AccountRefusal> {
        Self::registered(&text)
    }
}

impl From<CustomAccount> for String {
    fn from(account: CustomAccount) -> Self {
        account.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rules() {
        let rows = [
            ("letters and digits", "wang.daming-01", Ok("wang.daming-01")),
            ("the person's own spelling is kept", "WangDaMing", Ok("WangDaMing")),
            ("full width becomes ASCII", "ｗａｎｇ０１", Ok("wang01")),
            ("Chinese", "王大明帳號", Ok("王大明帳號")),
            ("spaces around", "  wang01 ", Ok("wang01")),
            ("what nobody sees", "\u{202e}wang\u{200b}01\u{feff}", Ok("wang01")),
            ("letters that nobody sees", "\u{3164}\u{115f}\u{ffa0}\u{3164}", Err(AccountRefusal::Length)),
            (
                "a national ID with a blank that nobody sees",
                "A1234\u{200b}56789",
                Err(AccountRefusal::LikeNationalId),
            ),
            ("too short", "abc", Err(AccountRefusal::Length)),
            ("too long", "a23456789012345678901234567890123", Err(AccountRefusal::Length)),
            ("the manual's forbidden characters", "wang%&+", Err(AccountRefusal::Character)),
            ("a space inside", "wang da", Err(AccountRefusal::Character)),
            ("a dot at the end", "wang.", Err(AccountRefusal::Character)),
            ("only digits", "20131127", Err(AccountRefusal::NoLetter)),
            ("like a national ID", "A123456789", Err(AccountRefusal::LikeNationalId)),
            ("like a national ID with a wrong checksum", "a123456780", Err(AccountRefusal::LikeNationalId)),
            ("like a national ID with hyphens", "a-123-456-780", Err(AccountRefusal::LikeNationalId)),
            ("like one with the long vowels of kana", "aー123456780", Err(AccountRefusal::LikeNationalId)),
            ("not like one, with a dot", "a.123456780", Ok("a.123456780")),
            ("what is not seen", "\u{feff}wang\u{200b}01\u{3164}", Ok("wang01")),
            ("nothing that is seen", "\u{3164}\u{3164}\u{3164}\u{3164}", Err(AccountRefusal::Length)),
        ];
        for (what, text, expected) in rows {
            let parsed = CustomAccount::parse(text);
            assert_eq!(parsed.as_ref().map(CustomAccount::as_str).map_err(|e| *e), expected, "{what}");
        }
    }

    #[test]
    fn nobody_chooses_a_name_of_power_or_one_that_is_not_seen() {
        let rows = [
            ("an ordinary one", "wang.daming", true),
            ("with the name inside", "admin.wang", true),
            ("of two words", "help.desk", true),
            ("longer", "rootbeer", true),
            ("Chinese", "王大明帳號", true),
            ("the name", "admin", false),
            ("in capitals", "ROOT", false),
            ("in full width", "ｈｅｌｐｄｅｓｋ", false),
            ("with Cyrillic letters", "аdmin", false),
            ("with a dotless i", "admın", false),
            ("with a Greek omicron", "rοοt", false),
            ("with zeros", "r00t", false),
            ("with a one", "adm1n", false),
            ("with r and n for m", "adrnin", false),
            ("with an accent that is none", "administratоr", false),
            ("in Chinese", "系統管理員", false),
            ("Hangul fillers", "\u{3164}\u{3164}\u{3164}\u{3164}", false),
            ("a filler in a name of power", "ad\u{1160}min", false),
            ("a filler inside, which is dropped", "wang\u{1160}daming", true),
        ];
        for (what, text, good) in rows {
            assert_eq!(CustomAccount::choose(text).is_ok(), good, "{what}");
        }
        assert_eq!(CustomAccount::choose("wang\u{1160}daming\u{ffa0}").unwrap().as_str(), "wangdaming");
        assert!(CustomAccount::parse("admin").is_ok(), "who has it keeps it");
    }

    #[test]
    fn spellings_of_one_account_fold_to_one() {
        for (one, other) in [("WangDaMing", "wangdaming"), ("ｗａｎｇ０１", "WANG01"), ("Straße", "STRASSE")]
        {
            let fold = |text| CustomAccount::parse(text).unwrap().folded();
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn an_account_that_was_registered_stays_readable() {
        let stored = "\"a-123-456-780\"";
        let account: CustomAccount = serde_json::from_str(stored).unwrap();
        assert_eq!(account.as_str(), "a-123-456-780");
        assert_eq!(serde_json::to_string(&account).unwrap(), stored);
    }

    proptest! {
        #[test]
        fn folding_is_stable_and_case_blind(text in "[\\p{L}\\p{N}._-]{4,32}") {
            if let Ok(account) = CustomAccount::parse(&text) {
                let folded = account.folded();
                if let Ok(again) = CustomAccount::parse(&folded) {
                    prop_assert_eq!(again.folded(), folded);
                }
                prop_assert!(!NationalId::resembles(account.as_str()));
            }
        }

        #[test]
        fn no_text_is_both_an_account_and_a_national_id(text in "\\PC{0,40}") {
            prop_assert!(CustomAccount::parse(&text).is_err() || NationalId::parse(&text).is_err());
        }
    }
}

//! Text that people and files bring in, without what nobody sees.
//!
//! Names are read by whoever confirms a reset; a reason is read by an auditor; codes, accounts, national IDs and addresses are
//! compared. A character that turns the writing direction, or shows nothing, has no place in any of them. All of them ask
//! [`is_hidden`], so that what one reader drops none keeps; the pages have the same set (`UNSEEN` in
//! `functions/portal/web/assets/address.js`).

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The fewest letters and digits of a reason. Two, as the shortest words that say something have (遺失, 調職).
pub const SHORTEST_REASON: usize = 2;

/// Whether nobody sees a character: controls, directions, joiners, variation selectors, fillers, and what is no character.
///
/// What Unicode assigns later is seen: a name may have a character that is newer than the table. Blanks are not hidden, line
/// breaks and tabs among them: they keep words apart, and in an address or a code they are wrong.
pub fn is_hidden(c: char) -> bool {
    // The quick way: what nearly every name consists of.
    if matches!(c, ' '..='~' | '\u{4e00}'..='\u{9fff}') {
        return false;
    }
    if c.is_whitespace() {
        return false;
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(category, GeneralCategory::Control | GeneralCategory::Format)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || matches!(c, '\u{2800}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether a character shows nothing: it is hidden, or blank.
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_hidden(c)
}

/// The text in NFKC, without hidden characters, blanks around it, and more than one blank in a row.
pub fn only(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(&kept);
    let mut shown = String::with_capacity(normal.len());
    for word in normal.split_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    shown
}

/// A reason that somebody gives; nothing when it says nothing: fewer letters and digits than [`SHORTEST_REASON`].
pub fn reason(text: &str) -> Option<String> {
    let shown = only(text);
    let says = shown.chars().filter(|c| c.is_alphanumeric()).count();
    (says >= SHORTEST_REASON).then_some(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::custom_account::CustomAccount;
    use crate::email_address::EmailAddress;
    use crate::identifier::{Identifier, NoIdentifier};
    use crate::national_id::NationalId;
    use crate::person_name;

    #[test]
    fn what_nobody_sees_is_dropped_by_every_reader() {
        let rows = [
            ("controls", "\0\u{7}\u{1c}\u{7f}\u{9b}"),
            ("a soft hyphen", "\u{ad}"),
            ("zero width", "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}"),
            (
                "marks, overrides and isolates of direction",
                "\u{200e}\u{200f}\u{61c}\u{202a}\u{202e}\u{2066}\u{2069}",
            ),
            ("signs of formulas that are not written", "\u{2061}\u{2064}"),
            ("variation selectors", "\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}\u{180b}\u{180f}"),
            ("fillers", "\u{115f}\u{1160}\u{3164}\u{ffa0}"),
            ("vowels of Khmer that are not written", "\u{17b4}\u{17b5}"),
            ("a joiner of graphemes", "\u{34f}"),
            ("a blank of braille", "\u{2800}"),
            ("annotations", "\u{fff9}\u{fffa}\u{fffb}"),
            ("shorthand and music", "\u{1bca0}\u{1d173}\u{1d17a}"),
            ("hieroglyphs are joined", "\u{13430}\u{1343f}"),
            ("tags", "\u{e0001}\u{e0041}\u{e007f}"),
            ("what is reserved for such", "\u{2065}\u{fff0}\u{e0fff}"),
            ("no characters", "\u{fdd0}\u{fdef}\u{fffe}\u{ffff}\u{1fffe}\u{10ffff}"),
        ];
        let id = NationalId::parse("A123456789");
        let address = EmailAddress::parse("wang@example.gov.tw");
        let account = CustomAccount::parse("wang.daming");
        for (what, hidden) in rows {
            for c in hidden.chars() {
                let what = format!("{what}: {c:?}");
                assert!(is_hidden(c) && is_blank(c), "{what}");
                assert_eq!(NationalId::parse(&format!("{c}A1234{c}56789{c}")), id, "{what}");
                assert_eq!(
                    EmailAddress::parse(&format!("{c}wa{c}ng@example{c}.gov.tw{c}")),
                    address,
                    "{what}"
                );
                assert_eq!(CustomAccount::parse(&format!("{c}wang{c}.daming{c}")), account, "{what}");
                assert_eq!(Identifier::parse(&c.to_string()), Err(NoIdentifier), "{what}");
                assert_eq!(person_name::written(&format!("{c}王{c}大明{c}")), "王大明", "{what}");
                assert!(
                    person_name::same(&format!("王{c}大明"), "王大明", person_name::Digits::Absent),
                    "{what}"
                );
                assert_eq!(only(&format!("{c}王{c}大明{c}")), "王大明", "{what}");
                assert_eq!(reason(&format!("{c}遺{c}")), None, "{what}");
            }
        }
    }

    #[test]
    fn what_is_seen_or_keeps_words_apart_is_not_hidden() {
        let rows = [
            ("blanks", " \u{a0}\u{3000}\u{2009}\t\r\n\u{85}\u{2028}"),
            ("what a name has", "王é·‧'ʼ-\u{2a6a5}"),
            ("what stands for another character", "\u{e0c6}\u{f0000}\u{fffd}□?"),
            ("what the table may not know", "\u{3347f}\u{fffc}"),
        ];
        for (what, seen) in rows {
            for c in seen.chars() {
                assert!(!is_hidden(c), "{what}: {c:?}");
                assert_eq!(is_blank(c), what == "blanks", "{what}: {c:?}");
            }
        }
        // An address that goes over two lines could carry a header of a mail.
        for c in ['\r', '\n', '\u{85}', '\u{2028}', '\t', ' '] {
            assert!(EmailAddress::parse(&format!("wa{c}ng@example.gov.tw")).is_err(), "{c:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_text() {
        let rows = [
            ("a name", "王小明", "王小明"),
            ("a direction", "甲\u{202e}乙", "甲乙"),
            ("a control character", "甲\0", "甲"),
            ("zero width", "\u{200b}甲\u{feff}乙\u{2060}", "甲乙"),
            ("a variation selector", "葛\u{e0100}", "葛"),
            ("fillers of Hangul", "甲\u{3164}\u{115f}\u{ffa0}乙", "甲乙"),
            ("a blank of braille", "甲\u{2800}", "甲"),
            ("isolates and marks of direction", "\u{2066}甲\u{2069}\u{200f}\u{61c}", "甲"),
            ("a soft hyphen", "Wang\u{ad}", "Wang"),
            ("tags", "甲\u{e0041}\u{e007f}", "甲"),
            ("no character", "甲\u{ffff}\u{fdd0}\u{1fffe}", "甲"),
            ("blanks of any kind", " 甲\u{3000}\u{a0}\t乙\r\n", "甲 乙"),
            ("full width", "Ａ０１", "A01"),
            ("a character for one's own use stays", "\u{e0c6}", "\u{e0c6}"),
            ("what was lost stays to be seen", "王\u{fffd}明", "王\u{fffd}明"),
            ("a plane that the table may not know", "\u{3347f}", "\u{3347f}"),
            ("composed once what was between is gone", "e\u{200d}\u{301}", "é"),
        ];
        for (what, text, expected) in rows {
            assert_eq!(only(text), expected, "{what}");
        }
    }

    #[test]
    fn a_reason_says_something() {
        let rows = [
            ("遺失", Some("遺失")),
            (" 當事人\n來電 ", Some("當事人 來電")),
            ("x", None),
            ("\u{200b}\u{200b}\u{200b}", None),
            ("\u{3164}\u{3164}", None),
            ("……!?", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(reason(text).as_deref(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn once_is_enough_and_nothing_hidden_is_left(text in any::<String>()) {
            let shown = only(&text);
            prop_assert_eq!(&only(&shown), &shown);
            prop_assert!(!shown.chars().any(is_hidden), "{:?}", shown);
        }
    }
}

//! Text that people and files bring in, without what nobody sees.
//!
//! Names are read by whoever confirms a reset; a reason is read by an auditor; codes and accounts are compared. A character
//! that turns the writing direction, or shows nothing, has no place in any of them.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The fewest letters and digits of a reason. Two, as the shortest words that say something have (遺失, 調職).
pub const SHORTEST_REASON: usize = 2;

/// Whether nobody sees a character: controls, directions, joiners, variation selectors, fillers, and what is no character.
///
/// What Unicode assigns later is seen: a name may have a character that is newer than the table.
pub fn is_hidden(c: char) -> bool {
    // The quick way: what nearly every name consists of.
    if matches!(c, ' '..='~' | '\u{4e00}'..='\u{9fff}') {
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
    let kept: String = text.chars().filter(|c| c.is_whitespace() || !is_hidden(*c)).collect();
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

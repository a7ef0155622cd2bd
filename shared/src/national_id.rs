//! The national ID (身分證號), checked by its checksum, never shown.
//!
//! Numbers come out of spreadsheets, chats and letters, with whatever those put around and into them. [`bare`] takes it off;
//! all that reads a number reads what is left. It knows no form, so that what looks like a number looks so in every
//! spelling: to a sign-in, to a lock, and to who chooses a custom account.

use std::borrow::Cow;
use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{Dash, GeneralCategory, QuotationMark};
use icu_properties::{CodePointMapData, CodePointSetData};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::visible;

/// A national ID or resident certificate number with a right checksum, in its canonical form: upper case ASCII.
///
/// Three forms: citizens (letter, `1` or `2`, eight digits), resident certificates since 2021 (`8` or `9` in place of
/// `1` or `2`) and older ones (a second letter `A` to `D`). `Debug` shows nothing of it, and the memory is wiped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct NationalId(String);

/// The text is not a national ID: wrong shape or wrong checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a national ID")]
pub struct NotANationalId;

impl NationalId {
    /// Reads a national ID as people type, copy and file it: lower case and full width are normal, and so is everything that
    /// [`bare`] takes off.
    ///
    /// # Errors
    /// [`NotANationalId`] for every other shape, and for a wrong checksum.
    pub fn parse(text: &str) -> Result<Self, NotANationalId> {
        let bare = Zeroizing::new(bare(text).into_owned());
        let normal = Zeroizing::new(bare.to_ascii_uppercase());
        let mut characters = normal.bytes();
        let (Some(letter), Some(second)) = (characters.next(), characters.next()) else {
            return Err(NotANationalId);
        };
        let region = letter_value(letter).ok_or(NotANationalId)?;
        let first_digit = match second {
            b'1' | b'2' | b'8' | b'9' => u32::from(second - b'0'),
            b'A'..=b'D' => letter_value(second).ok_or(NotANationalId)? % 10,
            _ => return Err(NotANationalId),
        };
        let digits: Vec<u32> =
            characters.map(|c| char::from(c).to_digit(10)).collect::<Option<_>>().ok_or(NotANationalId)?;
        if digits.len() != 8 {
            return Err(NotANationalId);
        }
        let weights = [7, 6, 5, 4, 3, 2, 1, 1];
        let sum = region / 10
            + region % 10 * 9
            + first_digit * 8
            + digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum::<u32>();
        if sum.is_multiple_of(10) { Ok(Self(normal.to_string())) } else { Err(NotANationalId) }
    }

    /// The ten characters. For digests and nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The last four digits, as a citizen certificate may carry them (2.16.886.1.100.2.51).
    pub fn last_four(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default()
    }

    /// What a list may show of it to who gave it: the first character and the last three, `A******789`.
    pub fn masked(&self) -> String {
        let (first, tail) =
            (self.0.get(..1).unwrap_or_default(), self.0.get(self.0.len().saturating_sub(3)..));
        format!("{first}******{}", tail.unwrap_or_default())
    }

    /// Whether `text` has the shape of a national ID in any spelling, right checksum or not. Custom accounts may not.
    pub fn resembles(text: &str) -> bool {
        let bare = bare(text);
        let [letter, second, digits @ ..] = bare.as_bytes() else { return false };
        letter.is_ascii_alphabetic()
            && second.is_ascii_alphanumeric()
            && digits.len() == 8
            && digits.iter().all(u8::is_ascii_digit)
    }
}

/// A number without what is no part of any: invisible characters, blanks, hyphens and dashes, apostrophes and quotation
/// marks, and the equals sign before it, by which a spreadsheet is told that `="A123456789"` is text. In NFKC, so that full width is
/// ASCII.
///
/// A dot and an underscore stay: nobody writes a number with them, and custom accounts have them.
pub fn bare(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(text);
    }
    let without = |text: &str| text.chars().filter(|c| !is_beside(*c)).collect::<String>();
    // Before NFKC, which makes a blank and an accent of an acute that stands for an apostrophe; and after it, for what it
    // brings to light.
    let left = Zeroizing::new(without(text));
    let normal = Zeroizing::new(ComposingNormalizerBorrowed::new_nfkc().normalize(&left).into_owned());
    let left = Zeroizing::new(without(&normal));
    Cow::Owned(left.trim_start_matches('=').to_owned())
}

/// Whether a character is no part of a number, whoever wrote it.
fn is_beside(c: char) -> bool {
    visible::is_blank(c)
        || CodePointSetData::new::<Dash>().contains(c)
        || CodePointSetData::new::<QuotationMark>().contains(c)
        || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DashPunctuation
        || LOOK_ALIKES.contains(&c)
}

/// Characters that Unicode does not count among blanks, dashes and quotation marks, and that keyboards, input methods and
/// word processors give for one.
const LOOK_ALIKES: &[char] = &[
    // Minus signs, a bullet, the long vowel of kana in both widths, lines that boxes are drawn with.
    '\u{02d7}', '\u{2043}', '\u{2796}', '\u{30fc}', '\u{ff70}', '\u{2500}', '\u{2501}', '\u{23af}',
    // Apostrophes: grave and acute, primes, letters that are modified ones.
    '`', '\u{b4}', '\u{2b9}', '\u{2ba}', '\u{2bb}', '\u{2bc}', '\u{2bd}', '\u{2c8}', '\u{2ca}', '\u{2cb}',
    '\u{2ee}', '\u{2032}', '\u{2033}', '\u{2035}', '\u{2036}', '\u{a78b}', '\u{a78c}', '\u{ff40}',
];

/// The two-digit value of a region letter.
fn letter_value(letter: u8) -> Option<u32> {
    const LETTERS: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let position = LETTERS.iter().position(|known| *known == letter)?;
    u32::try_from(position).ok().map(|position| position + 10)
}

impl fmt::Debug for NationalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NationalId(…)")
    }
}

#[cfg(test)]
mod tests {
    use icu_properties::props::DefaultIgnorableCodePoint;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_have_the_published_values() {
        let published = "A10 B11 C12 D13 E14 F15 G16 H17 I34 J18 K19 L20 M21 N22 O35 P23 Q24 R25 S26 T27 U28 V29 W32 X30 Y31 Z33";
        for entry in published.split(' ') {
            let (letter, value) = entry.split_at(1);
            assert_eq!(letter_value(letter.as_bytes()[0]), value.parse().ok(), "{entry}");
        }
    }

    #[test]
    fn forms() {
        let rows = [
            ("the synthetic example", "A123456789", true),
            ("lower case", "a123456789", true),
            ("full width", "Ａ１２３４５６７８９", true),
            ("spaces around", " A123456789 ", true),
            ("resident certificate since 2021", "A800000014", true),
            ("resident certificate of the older form", "AB12345677", true),
            ("wrong checksum", "A123456788", false),
            ("first digit 3", "A323456789", false),
            ("second letter E", "AE12345679", false),
            ("too short", "A12345678", false),
            ("too long", "A1234567890", false),
            ("letters among the digits", "A1234O6789", false),
            ("empty", "", false),
            ("another alphabet", "Я123456789", false),
            ("a dot", "A123.456789", false),
            ("an underscore", "A123_456789", false),
            ("an equals sign behind", "A123456789=", false),
            ("nothing but what is beside a number", "=\"'\u{200b}-\"", false),
        ];
        for (what, text, good) in rows {
            assert_eq!(NationalId::parse(text).is_ok(), good, "{what}: {text}");
        }
    }

    #[test]
    fn what_stands_around_and_in_a_number_is_no_part_of_it() {
        let rows = [
            ("a byte order mark", "\u{feff}A123456789"),
            ("a zero-width space", "A1234\u{200b}56789"),
            ("joiners", "A\u{200d}12345678\u{200c}9"),
            ("marks of direction", "\u{200e}A123456789\u{200f}\u{61c}"),
            ("an override of direction", "\u{202d}A123456789\u{202c}"),
            ("an isolate", "\u{2068}A123456789\u{2069}"),
            ("a soft hyphen", "A123\u{ad}456\u{ad}789"),
            ("a variation selector", "A123456789\u{fe0f}"),
            ("an ideographic one", "A123456789\u{e0100}"),
            ("a tag", "A123456789\u{e0041}"),
            ("Hangul fillers", "\u{3164}A12345\u{ffa0}6789"),
            ("a combining grapheme joiner", "A12\u{34f}3456789"),
            ("controls", "A123456789\0\u{7f}\u{1c}"),
            ("blanks", "A 123\u{a0}456\u{3000}78\u{2009}9\t\r\n"),
            ("blanks of braille", "\u{2800}A123456789\u{2800}"),
            ("hyphens", "A123-456\u{2010}789\u{2011}"),
            ("dashes", "A1\u{2012}2\u{2013}3\u{2014}4\u{2015}56789"),
            ("a minus sign", "A123\u{2212}456789"),
            ("hyphens of full width and small", "A123\u{ff0d}456\u{fe63}789"),
            ("long vowels of kana", "A123\u{30fc}456\u{ff70}789"),
            ("dashes of East Asia", "A123\u{301c}456\u{2e3a}789"),
            ("an apostrophe", "'A123456789"),
            ("a typographic apostrophe", "\u{2019}A123456789"),
            ("the opening one", "\u{2018}A123456789\u{2019}"),
            ("an apostrophe of full width", "\u{ff07}A123456789"),
            ("an acute", "\u{b4}A123456789"),
            ("a grave", "`A123456789"),
            ("a modifier letter", "\u{2bc}A123456789"),
            ("a formula", "=\"A123456789\""),
            ("a formula with an apostrophe in it", "=\"'A123456789\""),
            ("an apostrophe before a formula", "'=\"A123456789\""),
            ("a formula of full width", "＝＂Ａ１２３４５６７８９＂"),
            ("a formula by a word processor", "=\u{201c}A123456789\u{201d}"),
            ("quotation marks", "\"A123456789\""),
            ("quotation marks of East Asia", "「A123456789」"),
            ("everything", "\u{feff} '=\"\u{200e}ａ123-456\u{200b} 789\"\u{202c}\r\n"),
        ];
        let id = NationalId::parse("A123456789").unwrap();
        for (what, text) in rows {
            assert_eq!(NationalId::parse(text), Ok(id.clone()), "{what}: {text:?}");
            assert!(NationalId::resembles(text), "{what}: {text:?}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let id = NationalId::parse("A123456789").unwrap();
        assert_eq!(format!("{id:?}"), "NationalId(…)");
        assert_eq!(id.last_four(), "6789");
        assert_eq!(id.masked(), "A******789");
    }

    /// A character of every kind that is no part of a number.
    fn beside() -> impl Strategy<Value = char> {
        let category = CodePointMapData::<GeneralCategory>::new();
        let of = move |wanted: GeneralCategory| {
            category.iter_ranges_for_value(wanted).flatten().filter_map(char::from_u32).collect::<Vec<_>>()
        };
        let set = |set: icu_properties::CodePointSetDataBorrowed<'static>| {
            set.iter_ranges().flatten().filter_map(char::from_u32).collect::<Vec<_>>()
        };
        prop_oneof![
            prop::sample::select(of(GeneralCategory::Format)),
            prop::sample::select(of(GeneralCategory::Control)),
            prop::sample::select(of(GeneralCategory::SpaceSeparator)),
            prop::sample::select(of(GeneralCategory::DashPunctuation)),
            prop::sample::select(set(CodePointSetData::new::<DefaultIgnorableCodePoint>())),
            prop::sample::select(set(CodePointSetData::new::<Dash>())),
            prop::sample::select(set(CodePointSetData::new::<QuotationMark>())),
            prop::sample::select(LOOK_ALIKES),
        ]
    }

    /// A number with up to a dozen of them before, in and behind it.
    fn decorated(number: &'static str) -> impl Strategy<Value = String> {
        let places = prop::collection::vec((0..=number.len(), beside()), 0..12);
        (places, any::<bool>(), any::<bool>()).prop_map(move |(mut places, formula, lower)| {
            let mut text = if lower { number.to_ascii_lowercase() } else { number.to_owned() };
            places.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            for (at, character) in places {
                text.insert(at, character);
            }
            if formula { format!("=\"{text}\"") } else { text }
        })
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = NationalId::parse(&text);
            let _ = NationalId::resembles(&text);
        }

        #[test]
        fn a_decorated_number_is_the_number(text in decorated("A123456789"), other in decorated("AB12345677")) {
            prop_assert_eq!(NationalId::parse(&text), NationalId::parse("A123456789"), "{:?}", text);
            prop_assert_eq!(NationalId::parse(&other), NationalId::parse("AB12345677"), "{:?}", other);
            prop_assert!(NationalId::resembles(&text) && NationalId::resembles(&other));
        }

        #[test]
        fn decoration_makes_no_number_of_another(text in decorated("A123456788")) {
            prop_assert_eq!(NationalId::parse(&text), Err(NotANationalId));
            prop_assert!(NationalId::resembles(&text));
        }

        #[test]
        fn one_changed_digit_is_noticed(position in 2_usize..10, other in 0_u8..10) {
            let mut bytes = b"A123456789".to_vec();
            prop_assume!(bytes[position] != b'0' + other);
            // The last two digits weigh the same, so only the exchange of both can hide.
            bytes[position] = b'0' + other;
            let changed = String::from_utf8(bytes).unwrap();
            let weight = [7, 6, 5, 4, 3, 2, 1, 1][position - 2];
            let difference = (i32::from(other) - i32::from(b"A123456789"[position] - b'0')) * weight;
            prop_assert_eq!(NationalId::parse(&changed).is_ok(), difference % 10 == 0);
        }
    }
}

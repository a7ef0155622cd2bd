//! The national ID (身分證號), checked by its checksum, never shown.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use zeroize::{Zeroize, ZeroizeOnDrop};

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
    /// Reads a national ID as people type it: lower case, full width and surrounding spaces are normal.
    ///
    /// # Errors
    /// [`NotANationalId`] for every other shape, and for a wrong checksum.
    pub fn parse(text: &str) -> Result<Self, NotANationalId> {
        let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(text.trim()).to_ascii_uppercase();
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
        if sum.is_multiple_of(10) { Ok(Self(normal)) } else { Err(NotANationalId) }
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

    /// Whether `text` has the shape of a national ID, right checksum or not. Custom accounts may not.
    pub fn resembles(text: &str) -> bool {
        let bytes = text.as_bytes();
        let [letter, second, digits @ ..] = bytes else { return false };
        letter.is_ascii_alphabetic()
            && second.is_ascii_alphanumeric()
            && digits.len() == 8
            && digits.iter().all(u8::is_ascii_digit)
    }
}

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
        ];
        for (what, text, good) in rows {
            assert_eq!(NationalId::parse(text).is_ok(), good, "{what}: {text}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let id = NationalId::parse("A123456789").unwrap();
        assert_eq!(format!("{id:?}"), "NationalId(…)");
        assert_eq!(id.last_four(), "6789");
        assert_eq!(id.masked(), "A******789");
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = NationalId::parse(&text);
            let _ = NationalId::resembles(&text);
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

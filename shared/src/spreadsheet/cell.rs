//! Cells of the files that people open in a spreadsheet. Every file of CSV that we write is made of these.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// What a spreadsheet takes for the beginning of a formula, in full width too; and what it drops before it looks for one.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell that says `text` and nothing else: an apostrophe before what would be a formula marks it as text.
pub fn cell(text: &str) -> Cow<'_, str> {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let first: String = text.chars().take(1).collect();
    if text.starts_with(FORMULA) || nfkc.normalize(&first).starts_with(FORMULA) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_a_formula() {
        let rows = [
            ("a formula", "=1+1", "'=1+1"),
            ("a plus", "+***@example.gov.tw", "'+***@example.gov.tw"),
            ("a random id", "-Vd0m1yT5r2", "'-Vd0m1yT5r2"),
            ("an at", "@SUM(A1)", "'@SUM(A1)"),
            ("a tab", "\t=1", "'\t=1"),
            ("a carriage return", "\r=1", "'\r=1"),
            ("a full-width equals sign", "＝1", "'＝1"),
            ("a full-width plus", "＋1", "'＋1"),
            ("a full-width hyphen", "－1", "'－1"),
            ("a small plus", "﹢1", "'﹢1"),
            ("a superscript minus is none", "⁻1", "⁻1"),
            ("a full-width at", "＠x", "'＠x"),
            ("an address", "w***@example.gov.tw", "w***@example.gov.tw"),
            ("a masked ID", "A******789", "A******789"),
            ("a sign inside", "a=b", "a=b"),
            ("Chinese", "卸職", "卸職"),
            ("nothing", "", ""),
        ];
        for (what, text, expected) in rows {
            assert_eq!(cell(text), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_cell_begins_like_a_formula(text in "[=+@\t\r＝＋－＠﹣﹢a王-]{0,4}") {
            let folded = ComposingNormalizerBorrowed::new_nfkc().normalize(&cell(&text)).into_owned();
            prop_assert!(!folded.starts_with(FORMULA), "{:?}", folded);
            prop_assert!(cell(&text).ends_with(&text));
        }
    }
}

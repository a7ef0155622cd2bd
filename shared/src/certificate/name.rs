//! Names, compared as RFC 5280 section 7.1 says: an issuer is found by its name whatever kind of string wrote it.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use x509_parser::asn1_rs::{Any, FromDer as _, Tag};
use x509_parser::x509::X509Name;

/// A distinguished name in a form in which equal names are equal: each relative name with its attributes in order,
/// strings in one encoding, in NFKC, case folded, and with single spaces between their words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(Vec<Vec<u8>>);

impl Name {
    pub(super) fn of(name: &X509Name<'_>) -> Self {
        Self(
            name.iter_rdn()
                .map(|relative| {
                    let mut attributes: Vec<_> = relative
                        .iter()
                        .map(|attribute| comparable(attribute.attr_type().as_bytes(), attribute.attr_value()))
                        .collect();
                    attributes.sort();
                    attributes.concat()
                })
                .collect(),
        )
    }

    /// A DER-encoded name.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        match X509Name::from_der(der) {
            Ok(([], name)) => Some(Self::of(&name)),
            _ => None,
        }
    }

    /// Whether this name lies in the subtree of `base` (RFC 5280 section 4.2.1.10).
    pub(super) fn is_within(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }
}

/// An attribute, each part with its length before it, so that different ones stay different when they are joined.
fn comparable(kind: &[u8], value: &Any<'_>) -> Vec<u8> {
    // A string that cannot be read, and what is no string, equals itself only.
    let (tag, value) = match text(value) {
        Some(text) => (0, folded(&text).into_bytes()),
        None => (value.tag().0, value.data.to_vec()),
    };
    let mut bytes = Vec::with_capacity(kind.len() + value.len() + 20);
    for part in [kind, &tag.to_be_bytes(), &value] {
        bytes.extend_from_slice(&part.len().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A directory string (RFC 5280 section 4.1.2.4) as text; `None` when it is none, or not what its kind may hold.
pub(super) fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(value.data).ok().map(str::to_owned),
        // T.61 has no agreed meaning beyond ASCII: what fills it in the field is Latin-1, or Big5.
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString | Tag::T61String
            if value.data.is_ascii() =>
        {
            std::str::from_utf8(value.data).ok().map(str::to_owned)
        }
        Tag::BmpString => {
            let (pairs, odd) = value.data.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            if odd.is_empty() { String::from_utf16(&units).ok() } else { None }
        }
        Tag::UniversalString => {
            let (units, odd) = value.data.as_chunks::<4>();
            let text = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect();
            if odd.is_empty() { text } else { None }
        }
        _ => None,
    }
}

/// Without differences that do not count (RFC 4518): case, compatibility forms, the number of spaces.
fn folded(text: &str) -> String {
    let folded = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        nfkc.normalize(&CaseMapper::new().fold_string(&nfkc.normalize(text))).into_owned()
    };
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name with one attribute: its kind's last byte, the string's tag and bytes.
    fn name(attributes: &[(u8, u8, &[u8])]) -> Name {
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let relative = attributes.iter().map(|(kind, tag, value)| {
            let pair = [wrap(6, &[0x55, 4, *kind]), wrap(*tag, value)].concat();
            wrap(0x31, &wrap(0x30, &pair))
        });
        Name::from_der(&wrap(0x30, &relative.collect::<Vec<_>>().concat())).unwrap()
    }

    const UTF8: u8 = 12;
    const PRINTABLE: u8 = 19;
    const TELETEX: u8 = 20;
    const BMP: u8 = 30;

    #[test]
    fn which_names_are_the_same() {
        let rows: [(&str, Name, Name, bool); 11] = [
            ("capitals", name(&[(3, PRINTABLE, b"Good CA")]), name(&[(3, PRINTABLE, b"good ca")]), true),
            ("spaces", name(&[(3, PRINTABLE, b"  Good   CA ")]), name(&[(3, PRINTABLE, b"Good CA")]), true),
            ("kinds of string", name(&[(3, PRINTABLE, b"Good CA")]), name(&[(3, UTF8, b"Good CA")]), true),
            ("BMPString", name(&[(3, BMP, &[0x67, 0x2c])]), name(&[(3, UTF8, "本".as_bytes())]), true),
            ("full width", name(&[(3, UTF8, "ＣＡ".as_bytes())]), name(&[(3, UTF8, b"ca")]), true),
            ("another", name(&[(3, UTF8, b"a")]), name(&[(3, UTF8, b"b")]), false),
            ("another attribute", name(&[(3, UTF8, b"a")]), name(&[(10, UTF8, b"a")]), false),
            ("a longer one", name(&[(3, UTF8, b"a")]), name(&[(3, UTF8, b"a"), (10, UTF8, b"a")]), false),
            (
                "Big5 in two kinds",
                name(&[(3, TELETEX, &[0xa4, 0xfd])]),
                name(&[(3, UTF8, &[0xa4, 0xfd])]),
                false,
            ),
            ("damaged alike", name(&[(3, UTF8, &[0xa4, 0xfd])]), name(&[(3, UTF8, &[0xa4, 0xfd])]), true),
            ("half a BMPString", name(&[(3, BMP, &[0x67])]), name(&[(3, BMP, &[0x67, 0x2c])]), false),
        ];
        for (what, one, other, same) in rows {
            assert_eq!(one == other, same, "{what}");
        }
    }

    #[test]
    fn subtrees_are_whole_relative_names() {
        let base = name(&[(10, UTF8, b"Org")]);
        assert!(name(&[(10, PRINTABLE, b"ORG"), (3, UTF8, b"x")]).is_within(&base));
        assert!(base.is_within(&base) && base.is_within(&name(&[])));
        assert!(!name(&[(10, UTF8, b"Organization")]).is_within(&base));
        assert!(!name(&[]).is_within(&base));
    }
}

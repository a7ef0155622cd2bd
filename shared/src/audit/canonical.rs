//! The one way to write an item of the audit trail down as bytes, so that its digest says whether anything of it was altered.
//!
//! The canonical text of an item is a JSON array with one element for each attribute, `[name, type, value]`, sorted by the
//! names' bytes in UTF-8, without white space. Types and values are DynamoDB's:
//!
//! | type | value |
//! | --- | --- |
//! | `S` | the text |
//! | `N` | the number as a text, as DynamoDB gives it |
//! | `B` | the bytes in base64 (RFC 4648 section 4, padded), as a text |
//! | `BOOL` | `true` or `false` |
//! | `NULL` | `true` |
//! | `L` | an array of `[type, value]` |
//! | `M` | an array of `[name, type, value]`, sorted as above |
//! | `SS`, `NS`, `BS` | an array of texts, sorted by their bytes |
//!
//! Texts are escaped as RFC 8785 section 3.2.2.2 says: `\b \t \n \f \r \" \\`, other controls below U+0020 as `\u00xx` in
//! lower case, and nothing else. A digest is SHA-256 over a label, a line feed, and the canonical text in UTF-8; the label
//! (`first-sign-in audit entry 1`) keeps digests of one kind from being taken for another's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// `S`.
    Text(String),
    /// `N`.
    Number(String),
    /// `B`.
    Bytes(Vec<u8>),
    /// `BOOL`.
    Flag(bool),
    /// `NULL`.
    Null,
    /// `L`.
    List(Vec<Attribute>),
    /// `M`.
    Map(Attributes),
    /// `SS`.
    Texts(BTreeSet<String>),
    /// `NS`.
    Numbers(BTreeSet<String>),
    /// `BS`.
    Blobs(BTreeSet<Vec<u8>>),
}

/// An item.
pub type Attributes = BTreeMap<String, Attribute>;

/// A SHA-256 digest; as text, 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Not a digest's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 43 characters of base64url")]
pub struct NotADigest;

impl Digest {
    /// The digest of a canonical text under its label.
    pub fn of(label: &str, canonical: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(label.as_bytes());
        context.update(b"\n");
        context.update(canonical.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// Takes back what `Display` gave.
    ///
    /// # Errors
    /// [`NotADigest`].
    pub fn parse(text: &str) -> Result<Self, NotADigest> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotADigest)?;
        Ok(Self(bytes.try_into().map_err(|_| NotADigest)?))
    }

    /// A number that spreads evenly.
    pub fn spread(&self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The canonical text of an item.
pub fn canonical(item: &Attributes) -> String {
    map(item).to_string()
}

fn map(item: &Attributes) -> Value {
    let element = |(name, value): (&String, &Attribute)| {
        let (kind, value) = typed(value);
        json!([name, kind, value])
    };
    Value::Array(item.iter().map(element).collect())
}

fn typed(value: &Attribute) -> (&'static str, Value) {
    let base64 = |bytes: &Vec<u8>| STANDARD.encode(bytes);
    match value {
        Attribute::Text(text) => ("S", json!(text)),
        Attribute::Number(number) => ("N", json!(number)),
        Attribute::Bytes(bytes) => ("B", json!(base64(bytes))),
        Attribute::Flag(flag) => ("BOOL", json!(flag)),
        Attribute::Null => ("NULL", json!(true)),
        Attribute::List(values) => {
            let element = |value| {
                let (kind, value) = typed(value);
                json!([kind, value])
            };
            ("L", Value::Array(values.iter().map(element).collect()))
        }
        Attribute::Map(item) => ("M", map(item)),
        Attribute::Texts(texts) => ("SS", json!(texts)),
        Attribute::Numbers(numbers) => ("NS", json!(numbers)),
        Attribute::Blobs(blobs) => ("BS", json!(blobs.iter().map(base64).collect::<BTreeSet<_>>())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Attribute {
        Attribute::Text(text.to_owned())
    }

    fn item(attributes: &[(&str, Attribute)]) -> Attributes {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn texts_that_anybody_can_make_again() {
        let rows = [
            ("nothing", item(&[]), "[]"),
            (
                "sorted by name, whatever the order of writing",
                item(&[("sk", text("2")), ("at", Attribute::Number("1785715200000".to_owned()))]),
                r#"[["at","N","1785715200000"],["sk","S","2"]]"#,
            ),
            (
                "capitals come first: bytes, not an alphabet",
                item(&[("a", text("")), ("B", text(""))]),
                r#"[["B","S",""],["a","S",""]]"#,
            ),
            (
                "escapes",
                item(&[("note", text("\u{8}\t\n\u{c}\r\"\\/\u{1f}\u{7f}王\u{2028}"))]),
                "[[\"note\",\"S\",\"\\b\\t\\n\\f\\r\\\"\\\\/\\u001f\u{7f}王\u{2028}\"]]",
            ),
            ("a text is no number", item(&[("n", text("1"))]), r#"[["n","S","1"]]"#),
            (
                "the rest",
                item(&[
                    ("a", Attribute::Bytes(vec![0xff, 0xfe])),
                    ("b", Attribute::Flag(false)),
                    ("c", Attribute::Null),
                    ("d", Attribute::List(vec![text("x"), Attribute::Null])),
                    ("e", Attribute::Map(item(&[("k", text("v"))]))),
                    ("f", Attribute::Texts(["y".to_owned(), "x".to_owned()].into())),
                    ("g", Attribute::Numbers(["2".to_owned()].into())),
                    ("h", Attribute::Blobs([vec![1]].into())),
                ]),
                r#"[["a","B","//4="],["b","BOOL",false],["c","NULL",true],["d","L",[["S","x"],["NULL",true]]],["e","M",[["k","S","v"]]],["f","SS",["x","y"]],["g","NS",["2"]],["h","BS",["AQ=="]]]"#,
            ),
        ];
        for (what, item, expected) in rows {
            assert_eq!(canonical(&item), expected, "{what}");
        }
    }

    #[test]
    fn a_digest_that_anybody_can_make_again() {
        // printf 'first-sign-in audit entry 1\n[]' | openssl dgst -sha256 -binary | basenc --base64url
        let digest = Digest::of("first-sign-in audit entry 1", "[]");
        assert_eq!(digest.to_string(), "UO7ZxAzLQDdGNGOX62Kh_GxMytpGbkmEwftrXXHmKqQ");
        assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
        assert_ne!(digest, Digest::of("first-sign-in audit link 1", "[]"));
        for text in ["", "short", &"=".repeat(43), &"A".repeat(44)] {
            assert_eq!(Digest::parse(text), Err(NotADigest), "{text}");
        }
    }

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Attribute::Text),
            any::<i64>().prop_map(|number| Attribute::Number(number.to_string())),
            any::<Vec<u8>>().prop_map(Attribute::Bytes),
            any::<bool>().prop_map(Attribute::Flag),
            Just(Attribute::Null),
            proptest::collection::btree_set(any::<String>(), 1..4).prop_map(Attribute::Texts),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Attribute::List),
                proptest::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Attribute::Map),
            ]
        })
    }

    fn any_item() -> impl Strategy<Value = Attributes> {
        proptest::collection::btree_map(any::<String>(), any_attribute(), 0..6)
    }

    proptest! {
        /// What differs reads differently: no two items share a text.
        #[test]
        fn two_items_have_two_texts(one in any_item(), other in any_item()) {
            prop_assert_eq!(one == other, canonical(&one) == canonical(&other));
        }

        /// One attribute more, less or other is another text.
        #[test]
        fn a_change_of_one_attribute_shows(item in any_item(), name in any::<String>(), value in any_attribute()) {
            let mut changed = item.clone();
            let before = changed.insert(name.clone(), value.clone());
            prop_assert_eq!(before.as_ref() == Some(&value), canonical(&item) == canonical(&changed));
            changed.remove(&name);
            prop_assert_eq!(before.is_none(), canonical(&item) == canonical(&changed));
        }
    }
}

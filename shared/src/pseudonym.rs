//! Pseudonyms: what is stored in place of national IDs and card numbers.
//!
//! A plain hash of a national ID can be searched in minutes, so all of these are HMAC-SHA-256 under a key that never
//! leaves memory: it is derived once at start by a KMS HMAC key (`crate::kms`). Each kind of value has a label of its
//! own, so that a digest of one kind says nothing about another.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::email_address::EmailAddress;
use crate::email_change::EmailCode;
use crate::identifier::Identifier;
use crate::national_id::{NationalId, bare};

macro_rules! pseudonym {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The pseudonym as it is stored, 43 characters of base64url.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes back what [`Self::as_str`] gave. Anything may be asked for; only what was stored is found.
            pub fn from_stored(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pseudonym!(
    /// A person, in place of the national ID. Stable for life; opaque, so logs may carry it.
    PersonId
);
pseudonym!(
    /// A card: its holder as the issuer's family knows them, whatever certificate it has at the time.
    CardId
);
pseudonym!(
    /// The last four digits of one person's national ID.
    TailDigest
);
pseudonym!(
    /// A typed identifier, somebody's or nobody's: what failed sign-ins are counted for.
    IdentifierDigest
);
pseudonym!(
    /// A source address: what sign-ins are counted for.
    AddressDigest
);
pseudonym!(
    /// An email address: tells whether two are the same, and which one mail came back from.
    EmailDigest
);

pseudonym!(
    /// The code of a change of email address, for that change alone.
    EmailCodeDigest
);
pseudonym!(
    /// A request, or the key that a client gave it: tells whether two are the same.
    RequestDigest
);

impl PersonId {
    /// Reads what a client sends; `None` for a text that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        looks_like_one(text).then(|| Self(text.to_owned()))
    }
}

impl IdentifierDigest {
    /// A person's national ID. Whose failures are to be forgotten may be known by their pseudonym alone: so it is made of that.
    pub fn of_national_id(person: &PersonId) -> Self {
        Self(format!("{person}.id"))
    }

    /// A person's custom account, whatever it is called.
    pub fn of_account(person: &PersonId) -> Self {
        Self(format!("{person}.account"))
    }

    /// All that a person may type to say who they are.
    pub fn all_of(person: &PersonId) -> [Self; 2] {
        [Self::of_national_id(person), Self::of_account(person)]
    }
}

impl CardId {
    /// Reads what a client sends; `None` for a text that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        looks_like_one(text).then(|| Self(text.to_owned()))
    }
}

fn looks_like_one(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() == 43 && text.bytes().all(digit)
}

/// Makes pseudonyms.
#[derive(Clone)]
pub struct Pseudonymizer {
    key: hmac::Key,
}

impl Pseudonymizer {
    /// A pseudonymizer under the derived key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The person with this national ID.
    pub fn person(&self, id: &NationalId) -> PersonId {
        PersonId(self.digest("person", &[id.reveal()]))
    }

    /// The last four digits of this person's national ID.
    pub fn tail(&self, person: &PersonId, last_four: &str) -> TailDigest {
        TailDigest(self.digest("tail", &[person.as_str(), last_four]))
    }

    /// The card of the holder whom the CAs of a family call `subject_serial_number`. A renewal keeps the number, and may come
    /// of another generation of the CA, with another key: so not the key, but the family is part of it. An operator who
    /// renames a family unbinds its cards.
    pub fn card(&self, family: &str, subject_serial_number: &str) -> CardId {
        CardId(self.digest("card", &[family, subject_serial_number]))
    }

    /// A typed identifier, and whom it names, if anybody. Spellings of one identifier are one.
    pub fn identifier(
        &self,
        identifier: &Identifier,
        typed: &str,
        person: Option<&PersonId>,
    ) -> IdentifierDigest {
        match (identifier, person) {
            (Identifier::NationalId(_), Some(person)) => IdentifierDigest::of_national_id(person),
            (Identifier::NationalId(id), None) => IdentifierDigest::of_national_id(&self.person(id)),
            (Identifier::Account(_), Some(person)) => IdentifierDigest::of_account(person),
            (Identifier::Account(account), None) => {
                IdentifierDigest(self.digest("identifier", &["account", &account.folded()]))
            }
            (Identifier::Nobodys, _) => {
                IdentifierDigest(self.digest("identifier", &["nobody", &bare(typed).to_lowercase()]))
            }
        }
    }

    /// A source address.
    pub fn address(&self, address: &str) -> AddressDigest {
        AddressDigest(self.digest("address", &[address]))
    }

    /// An email address. Spellings that differ in case alone are one.
    pub fn email(&self, email: &EmailAddress) -> EmailDigest {
        EmailDigest(self.digest("email", &[&email.reveal().to_ascii_lowercase()]))
    }

    /// The code of the change of a person's email address that has this id.
    pub fn email_code(&self, person: &PersonId, change: &str, code: &EmailCode) -> EmailCodeDigest {
        EmailCodeDigest(self.digest("email-code", &[person.as_str(), change, code.reveal()]))
    }

    /// What a caller asks for, in all that matters. Parts do not run into each other: each goes in with its length.
    pub fn request(&self, parts: &[&str]) -> RequestDigest {
        let lengths: Vec<String> = parts.iter().map(|part| part.len().to_string()).collect();
        let parts: Vec<&str> =
            lengths.iter().map(String::as_str).zip(parts.iter().copied()).flat_map(|(l, p)| [l, p]).collect();
        RequestDigest(self.digest("request", &parts))
    }

    /// The key under which cursors are sealed: of the same rank as the pseudonyms, and used for nothing else.
    pub fn cursor_key(&self) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"cursor-key");
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    fn digest(&self, label: &str, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(label.as_bytes());
        for part in parts {
            context.update(&[0]);
            context.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(context.sign())
    }
}

impl fmt::Debug for Pseudonymizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonymizer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_one_pseudonym_and_none_without_the_key() {
        let (one, other) = (Pseudonymizer::new(&[1; 32]), Pseudonymizer::new(&[2; 32]));
        let id = NationalId::parse("A123456789").unwrap();
        let typed = NationalId::parse("ａ123456789").unwrap();
        assert_eq!(one.person(&id), one.person(&typed));
        assert_ne!(one.person(&id), other.person(&id));
        assert_eq!(one.person(&id).as_str().len(), 43);
    }

    #[test]
    fn failures_are_counted_for_all_spellings_of_an_identifier_together() {
        let digests = Pseudonymizer::new(&[1; 32]);
        let digest = |typed: &str| digests.identifier(&Identifier::parse(typed).unwrap(), typed, None);
        let rows: [&[&str]; 4] = [
            &[
                "A123456789",
                "a123456789 ",
                "\u{200b}A123456789",
                "'A123456789",
                "A123-456-789",
                "=\"A123456789\"",
            ],
            // A wrong checksum is nobody's, and is counted like somebody's.
            &[
                "A123456780",
                "a123456780 ",
                "\u{200b}A123456780",
                "'A123456780",
                "A123-456-780",
                "=\"A123456780\"",
            ],
            &["wang01", "WANG01", "\u{feff}wang01", "wang01\u{200b}"],
            &["wang-01", "Wang-01 "],
        ];
        for (at, spellings) in rows.iter().enumerate() {
            for typed in *spellings {
                for (other_at, others) in rows.iter().enumerate() {
                    for other in *others {
                        assert_eq!(digest(typed) == digest(other), at == other_at, "{typed:?} {other:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn kinds_do_not_mix() {
        let digests = Pseudonymizer::new(&[1; 32]);
        let typed = |text: &str, person: Option<&PersonId>| {
            digests.identifier(&Identifier::parse(text).unwrap(), text, person)
        };
        let id = digests.person(&NationalId::parse("A123456789").unwrap());
        assert_eq!(typed("Wang01", None), typed("ｗang01", None));
        assert_ne!(typed("Wang01", None), typed("Wang02", None));
        assert_eq!(
            typed("a123456789", None),
            typed("A123456789", Some(&id)),
            "whether they are known or not"
        );
        assert_eq!(
            [typed("A123456789", Some(&id)), typed("Wang01", Some(&id))],
            IdentifierDigest::all_of(&id)
        );
        assert_ne!(digests.card("ab", "c").as_str(), digests.card("a", "bc").as_str());
        let card = digests.card("MOICA", "0000000112345678");
        assert_eq!(CardId::parse(card.as_str()), Some(card));
        for text in ["", "card", &"#".repeat(43), &"A".repeat(44)] {
            assert_eq!(CardId::parse(text), None, "{text}");
        }
        assert_ne!(digests.request(&["a", "b\0c"]), digests.request(&["a", "b", "c"]));
        assert_ne!(digests.request(&["a", ""]), digests.request(&["", "a"]));
        let code = EmailCode::parse("1234 5678").unwrap();
        let (person, other) = (PersonId::from_stored("p"), PersonId::from_stored("q"));
        let one = digests.email_code(&person, "a", &code);
        assert_ne!(one, digests.email_code(&person, "b", &code));
        assert_ne!(one, digests.email_code(&other, "a", &code));
        assert_ne!(digests.tail(&person, "6789"), digests.tail(&PersonId::from_stored("q"), "6789"));
    }
}

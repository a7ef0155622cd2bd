//! Email addresses that a mail can be sent to.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A mailbox address, `local@domain`, ASCII, with a dotted domain; the domain in lower case.
///
/// Internationalized local parts (EAI) are refused, because SES does not send to them. No line break or other control
/// character can be in it, so it cannot carry a header.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EmailAddress(String);

/// The text is not an address that a mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an email address")]
pub struct NotAnEmailAddress;

impl EmailAddress {
    /// Reads an address (RFC 5321: at most 64 octets before the `@`, 254 in all; no comments, no quoted local part).
    ///
    /// # Errors
    /// [`NotAnEmailAddress`] for everything else.
    pub fn parse(text: &str) -> Result<Self, NotAnEmailAddress> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnEmailAddress)?;
        let atom = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
        };
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let good = text.len() <= 254
            && local.len() <= 64
            && local.split('.').all(atom)
            && domain.contains('.')
            && domain.split('.').all(label)
            && !domain.rsplit('.').next().is_some_and(numeric);
        if good {
            Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
        } else {
            Err(NotAnEmailAddress)
        }
    }

    /// The address, for the mail itself and for sealing.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What HR staff may see of it: the first character of the local part and the domain, `w***@example.gov.tw`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}***@{domain}")
    }
}

impl FromStr for EmailAddress {
    type Err = NotAnEmailAddress;
    fn from_str(text: &str) -> Result<Self, NotAnEmailAddress> {
        Self::parse(text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        let rows = [
            ("plain", "wang@example.gov.tw", true),
            ("plus and dots", "wang.da+id@mail.example.gov.tw", true),
            ("spaces around", " wang@example.gov.tw ", true),
            ("no @", "wang.example.gov.tw", false),
            ("no domain dot", "wang@localhost", false),
            ("two dots", "wang..da@example.gov.tw", false),
            ("a header", "wang@example.gov.tw\r\nBcc: all@example.gov.tw", false),
            ("a display name", "Wang <wang@example.gov.tw>", false),
            ("two addresses", "a@example.gov.tw,b@example.gov.tw", false),
            ("internationalized local part", "王@example.gov.tw", false),
            ("address literal", "wang@[127.0.0.1]", false),
            ("bare number as domain", "wang@127.0.0.1", false),
            ("hyphen at a label's end", "wang@example-.gov.tw", false),
            ("empty", "", false),
        ];
        for (what, text, good) in rows {
            assert_eq!(EmailAddress::parse(text).is_ok(), good, "{what}");
        }
    }

    #[test]
    fn masked_keeps_one_character_and_the_domain() {
        assert_eq!(EmailAddress::parse("wang@Example.gov.tw").unwrap().masked(), "w***@example.gov.tw");
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_one_printable_ascii_line(text in "\\PC{0,60}@\\PC{0,60}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.reveal().bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}

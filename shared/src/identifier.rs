//! What a person types to say who they are: a national ID or a custom account.

use crate::custom_account::CustomAccount;
use crate::national_id::NationalId;
use crate::visible;

/// Most characters that are looked at.
pub const MAX_LENGTH: usize = 128;

/// A typed identifier. Nothing is refused but the empty and the endless: a text that can be nobody's identifier is
/// looked up, counted and answered like one that nobody has, so that the answer tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// A national ID with a right checksum.
    NationalId(NationalId),
    /// The form of a custom account.
    Account(CustomAccount),
    /// Neither: nobody's.
    Nobodys,
}

/// The text is empty or longer than [`MAX_LENGTH`] characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("empty or too long")]
pub struct NoIdentifier;

impl Identifier {
    /// Reads an identifier. What is not seen of it does not count; what [`bare`](crate::national_id::bare) takes off besides
    /// counts in no national ID, and no custom account has the shape of one, whatever it is written with: so a text is one or
    /// the other.
    ///
    /// # Errors
    /// [`NoIdentifier`] when there is nothing to look up.
    pub fn parse(text: &str) -> Result<Self, NoIdentifier> {
        if text.chars().all(visible::is_blank) || text.trim().chars().count() > MAX_LENGTH {
            return Err(NoIdentifier);
        }
        Ok(NationalId::parse(text)
            .map(Self::NationalId)
            .or_else(|_| CustomAccount::parse(text).map(Self::Account))
            .unwrap_or(Self::Nobodys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        assert!(matches!(Identifier::parse("a123456789"), Ok(Identifier::NationalId(_))));
        assert!(matches!(Identifier::parse("wang01"), Ok(Identifier::Account(_))));
        assert_eq!(Identifier::parse("A123456780"), Ok(Identifier::Nobodys));
        assert_eq!(Identifier::parse("%%"), Ok(Identifier::Nobodys));
        assert_eq!(Identifier::parse("  "), Err(NoIdentifier));
        assert_eq!(Identifier::parse(" \u{200b}\u{feff}"), Err(NoIdentifier));
        assert_eq!(Identifier::parse(&"a".repeat(129)), Err(NoIdentifier));
    }

    #[test]
    fn spellings_of_one_are_one_and_none_is_another() {
        let id = || NationalId::parse("A123456789").map(Identifier::NationalId).unwrap();
        let account = |text| CustomAccount::parse(text).map(Identifier::Account).unwrap();
        let rows = [
            ("A123-456-789", id()),
            ("\u{200b}'a123456789", id()),
            ("=\"A123456789\"", id()),
            ("a-1.23456789", account("a-1.23456789")),
            ("wang-01", account("wang-01")),
            ("\u{feff}wang01\u{200b}", account("wang01")),
            // Another account than wang-01.
            ("wang01", account("wang01")),
            // The shape of a number, in any spelling, with a wrong checksum.
            ("A123-456-780", Identifier::Nobodys),
            ("a-123456780", Identifier::Nobodys),
            ("'wang01", Identifier::Nobodys),
        ];
        for (text, expected) in rows {
            assert_eq!(Identifier::parse(text), Ok(expected), "{text:?}");
        }
    }
}

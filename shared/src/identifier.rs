//! What a person types to say who they are: a national ID or a custom account.

use crate::custom_account::CustomAccount;
use crate::national_id::NationalId;

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
    /// Reads an identifier.
    ///
    /// # Errors
    /// [`NoIdentifier`] when there is nothing to look up.
    pub fn parse(text: &str) -> Result<Self, NoIdentifier> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX_LENGTH {
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
        assert_eq!(Identifier::parse(&"a".repeat(129)), Err(NoIdentifier));
    }
}

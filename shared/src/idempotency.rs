//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a client that heard no answer asks again with the same key,
//! and is answered what was answered before, in place of having the same thing done twice.

use std::fmt;

use jiff::SignedDuration;

/// For how long a key is remembered.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// Most characters of a key.
const MAX_LENGTH: usize = 255;

/// A key of a client's choosing: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// Not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an idempotency key")]
pub struct NotAKey;

impl Key {
    /// Reads the header's value: a string as structured fields have it (RFC 9651), in quotation marks. As many clients leave
    /// those out, a value without them is read as it is, and names the same key.
    ///
    /// # Errors
    /// [`NotAKey`]: empty, too long, a quotation mark that is not closed, something behind the string, or characters that
    /// are not visible ASCII.
    pub fn parse(value: &str) -> Result<Self, NotAKey> {
        let value = value.trim_matches(' ');
        let key = match value.strip_prefix('"') {
            None => value.to_owned(),
            Some(rest) => unquoted(rest)?,
        };
        let visible = |byte: u8| byte.is_ascii_graphic();
        let bare = !value.starts_with('"');
        let separators = |byte: u8| matches!(byte, b'"' | b'\\' | b',' | b';');
        if key.is_empty()
            || key.len() > MAX_LENGTH
            || !key.bytes().all(visible)
            || (bare && key.bytes().any(separators))
        {
            return Err(NotAKey);
        }
        Ok(Self(key))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The string behind an opening quotation mark.
fn unquoted(rest: &str) -> Result<String, NotAKey> {
    let mut key = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next().ok_or(NotAKey)? {
            '"' if characters.as_str().is_empty() => return Ok(key),
            '"' => return Err(NotAKey),
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err(NotAKey),
            },
            character => key.push(character),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let (longest, longer) = ("k".repeat(255), "k".repeat(256));
        let rows = [
            (
                "as the draft has it",
                "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
                Some("8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ),
            (
                "without quotation marks",
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
                Some("8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ),
            ("spaces around", " \"a\" ", Some("a")),
            ("escapes", "\"a\\\"b\\\\\"", Some("a\"b\\")),
            ("the longest", &longest, Some(longest.as_str())),
            ("too long", &longer, None),
            ("empty", "", None),
            ("an empty string", "\"\"", None),
            ("not closed", "\"a", None),
            ("a parameter behind", "\"a\";b=1", None),
            ("two of them", "\"a\",\"b\"", None),
            ("two of them, bare", "a,b", None),
            ("another escape", "\"a\\n\"", None),
            ("a space within", "\"a b\"", None),
            ("not ASCII", "\"鍵\"", None),
        ];
        for (what, value, expected) in rows {
            assert_eq!(Key::parse(value).ok().as_ref().map(Key::as_str), expected, "{what}");
        }
    }
}

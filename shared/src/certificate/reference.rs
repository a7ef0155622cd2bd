//! The name of a certificate in tables, audit and logs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::IssuerId;

/// Most hexadecimal digits of a serial number: twenty octets (RFC 5280 section 4.1.2.2).
const MAX_SERIAL: usize = 40;

/// A certificate, told by the key that issued it and its serial number: `<issuer>#<serial>`. It names no holder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The key that issued it.
    pub issuer: IssuerId,
    /// Its serial number, as [`super::serial_hex`] writes it.
    pub serial: String,
}

/// Not a certificate's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not <issuer>#<serial>")]
pub struct NotAReference;

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.issuer, self.serial)
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    /// Takes back what `Display` gave.
    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let (issuer, serial) = text.split_once('#').ok_or(NotAReference)?;
        let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if issuer.len() != 64
            || !hex(issuer)
            || serial.trim_start_matches('-').is_empty()
            || serial.len() > MAX_SERIAL
            || !hex(serial.strip_prefix('-').unwrap_or(serial))
        {
            return Err(NotAReference);
        }
        Ok(Self { issuer: IssuerId(issuer.to_owned()), serial: serial.to_owned() })
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_back() {
        let issuer = IssuerId::of_key(b"a key");
        let reference = Reference { issuer: issuer.clone(), serial: "1f".to_owned() };
        assert_eq!(reference.to_string(), format!("{issuer}#1f"));
        assert_eq!(reference.to_string().parse(), Ok(reference));
        for text in [
            "",
            "#",
            "1f",
            &format!("{issuer}#"),
            &format!("{issuer}#1F"),
            "abc#1f",
            &format!("{issuer}#1f#2"),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(NotAReference), "{text}");
        }
    }
}

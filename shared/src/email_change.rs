//! A change of an account's email address: a code is mailed to the new address, and the address is the account's once its
//! person has typed the code in. Until then nothing has changed, and nobody learns whether the address is anybody else's.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rand::{CryptoRng, RngExt as _};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::pseudonym::{EmailCodeDigest, EmailDigest};

/// How long a code is good: as long as a mail takes with some patience. Who is late asks for another.
pub const LIFE: SignedDuration = SignedDuration::from_mins(10);

/// Wrong codes that a change allows in all: five of a hundred million.
pub const TRIES: u32 = 5;

/// Digits of a code.
const DIGITS: usize = 8;

/// A code that a person reads in a mail and types in: eight digits. What is stored is a digest under a secret key, because a
/// plain hash of so few could be searched.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EmailCode(String);

impl EmailCode {
    /// A new code.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self((0..DIGITS).map(|_| char::from(b'0' + rng.random_range(0..10))).collect())
    }

    /// Reads a code as it was typed or pasted: in groups or not, full-width or not. `None` for a text that is none.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| match c {
            '\u{ff10}'..='\u{ff19}' => char::from_u32(u32::from(c) - 0xff10 + 0x30),
            c => Some(c),
        };
        let typed =
            text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}'));
        let digits: String = typed.filter_map(plain).collect();
        (digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| Self(digits))
    }

    /// The code, for its digest.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The code as the mail shows it, in two groups: `1234 5678`.
    pub fn grouped(&self) -> Zeroizing<String> {
        let (first, second) = self.0.split_at_checked(DIGITS / 2).unwrap_or((&self.0, ""));
        Zeroizing::new(format!("{first} {second}"))
    }
}

impl fmt::Debug for EmailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailCode(…)")
    }
}

/// A change that waits for its code. A person has one at most: another one takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailChange {
    /// Its id, which is its mail's too.
    pub id: String,
    /// The person's generation when it was asked for: a reset, a password change or a departure makes another, and the change
    /// void.
    pub generation: u64,
    /// The code, as its digest.
    pub code: EmailCodeDigest,
    /// The new address as HR staff may see it.
    pub email_masked: String,
    /// The new address, sealed under the person's record name.
    pub email_sealed: Vec<u8>,
    /// Its digest.
    pub email_digest: EmailDigest,
    /// Wrong codes so far.
    pub tries: u32,
    /// When the code ends.
    pub expires_at: Timestamp,
}

/// Why a change cannot be confirmed any more, whatever the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// There is none: it was confirmed, or never asked for.
    #[error("no change waits for a code")]
    Unknown,
    /// Something has ended since what was open then, such as a password change.
    #[error("asked for before the account's last change")]
    Overtaken,
    /// Too many wrong codes.
    #[error("too many wrong codes")]
    Exhausted,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
}

impl EmailChange {
    /// Whether a code may be tried, the person being of `generation` now.
    ///
    /// # Errors
    /// [`Void`].
    pub fn check(&self, generation: u64, now: Timestamp) -> Result<(), Void> {
        if self.generation != generation {
            return Err(Void::Overtaken);
        }
        if self.tries >= TRIES {
            return Err(Void::Exhausted);
        }
        if now >= self.expires_at { Err(Void::Expired) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn codes_are_read_however_they_are_typed() {
        let rows = [
            ("as it is", "12345678", Some("12345678")),
            ("as the mail has it", "1234 5678", Some("12345678")),
            ("with a hyphen", "1234-5678", Some("12345678")),
            ("with a dash", "1234–5678", Some("12345678")),
            ("pasted with what is around it", "\u{3000}1234 5678\r\n", Some("12345678")),
            ("full-width", "１２３４　５６７８", Some("12345678")),
            ("leading zeros", "0000 0001", Some("00000001")),
            ("too short", "1234567", None),
            ("too long", "123456789", None),
            ("empty", "", None),
            ("a letter", "1234567O", None),
            ("another script's digits", "١٢٣٤٥٦٧٨", None),
        ];
        for (what, typed, expected) in rows {
            let read = EmailCode::parse(typed);
            assert_eq!(read.as_ref().map(EmailCode::reveal), expected, "{what}");
        }
    }

    #[test]
    fn a_code_comes_back_as_the_mail_shows_it() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..100 {
            let code = EmailCode::random(&mut rng);
            assert_eq!(code.grouped().len(), DIGITS + 1);
            assert_eq!(EmailCode::parse(&code.grouped()), Some(code));
        }
        assert_eq!(format!("{:?}", EmailCode::random(&mut rng)), "EmailCode(…)");
    }

    #[test]
    fn until_when_a_change_can_be_confirmed() {
        let asked: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let change = |tries| EmailChange {
            id: "id".to_owned(),
            generation: 3,
            code: EmailCodeDigest::from_stored("c"),
            email_masked: "w***@example.gov.tw".to_owned(),
            email_sealed: Vec::new(),
            email_digest: EmailDigest::from_stored("e"),
            tries,
            expires_at: asked + LIFE,
        };
        let end = asked + LIFE;
        let rows = [
            ("at once", change(0), 3, asked, Ok(())),
            ("after four wrong codes", change(4), 3, asked, Ok(())),
            ("after five", change(5), 3, asked, Err(Void::Exhausted)),
            ("at its end", change(0), 3, end, Err(Void::Expired)),
            ("after a password change or a reset", change(0), 4, asked, Err(Void::Overtaken)),
        ];
        for (what, change, generation, now, expected) in rows {
            assert_eq!(change.check(generation, now), expected, "{what}");
        }
    }
}

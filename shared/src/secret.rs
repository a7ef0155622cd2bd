//! Random secrets that are handed out and come back: session ids, tickets, codes. Stored only as digests.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 256 random bits, as 43 characters of base64url.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// A new secret.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0_u8; 32];
        rng.fill_bytes(&mut bytes);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        bytes.zeroize();
        Self(text)
    }

    /// Reads a secret that came back; `None` for a text that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The secret, for the one whom it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it: SHA-256, hex. A plain hash is enough for 256 random bits.
    pub fn digest(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.0.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

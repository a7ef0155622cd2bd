//! Sealing: personal data under a data key that only KMS can unwrap, bound to the record that it belongs to.
//!
//! A function that seals asks KMS for one data key at start (`crate::kms`), so a call costs no KMS request. What it stores
//! is the wrapped key, a nonce and the AES-256-GCM ciphertext; the record's name is authenticated with it, so a sealed
//! value moved to another record does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rand::CryptoRng;
use zeroize::Zeroizing;

/// The first byte of what is stored.
const VERSION: u8 = 1;

/// A data key, in the clear and wrapped.
pub struct DataKey {
    key: LessSafeKey,
    wrapped: Vec<u8>,
}

/// Not sealed by us, not for this record, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be opened")]
pub struct CannotOpen;

impl DataKey {
    /// A data key as KMS gave it.
    ///
    /// # Errors
    /// [`CannotOpen`] when it is not 256 bits long.
    pub fn new(plaintext: &[u8], wrapped: Vec<u8>) -> Result<Self, CannotOpen> {
        let key = UnboundKey::new(&AES_256_GCM, plaintext).map_err(|_| CannotOpen)?;
        Ok(Self { key: LessSafeKey::new(key), wrapped })
    }

    /// Seals `text` for the record of that name.
    ///
    /// # Errors
    /// [`CannotOpen`] when the cipher refuses, which no input makes it do.
    pub fn seal(&self, record: &str, text: &str, rng: &mut impl CryptoRng) -> Result<Vec<u8>, CannotOpen> {
        let mut nonce = [0_u8; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut ciphertext = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(record.as_bytes()),
                &mut ciphertext,
            )
            .map_err(|_| CannotOpen)?;
        let length = u16::try_from(self.wrapped.len()).map_err(|_| CannotOpen)?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&length.to_be_bytes());
        sealed.extend_from_slice(&self.wrapped);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// The wrapped key of a sealed value, for KMS to unwrap.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn wrapped_in(sealed: &[u8]) -> Result<&[u8], CannotOpen> {
        split(sealed).map(|(wrapped, ..)| wrapped)
    }

    /// Opens a value that was sealed under this key for the record of that name.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open(&self, record: &str, sealed: &[u8]) -> Result<Zeroizing<String>, CannotOpen> {
        let (_, nonce, ciphertext) = split(sealed)?;
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let opened = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(record.as_bytes()), &mut text)
            .map_err(|_| CannotOpen)?;
        std::str::from_utf8(opened).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| CannotOpen)
    }
}

/// The parts of a sealed value: wrapped key, nonce, ciphertext.
type Parts<'a> = (&'a [u8], &'a [u8; NONCE_LEN], &'a [u8]);

fn split(sealed: &[u8]) -> Result<Parts<'_>, CannotOpen> {
    let rest = sealed.strip_prefix(&[VERSION]).ok_or(CannotOpen)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(CannotOpen)?;
    let (wrapped, rest) =
        rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(CannotOpen)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
    Ok((wrapped, nonce, ciphertext))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn opens_for_its_record_only() {
        let key = DataKey::new(&[7; 32], vec![1, 2, 3]).unwrap();
        let sealed = key.seal("person#a", "wang@example.gov.tw", &mut StdRng::seed_from_u64(1)).unwrap();
        assert!(!sealed.windows(4).any(|bytes| bytes == b"wang"));
        assert_eq!(key.open("person#a", &sealed).unwrap().as_str(), "wang@example.gov.tw");
        assert_eq!(key.open("person#b", &sealed), Err(CannotOpen));
        assert_eq!(DataKey::wrapped_in(&sealed), Ok([1, 2, 3].as_slice()));
        assert!(DataKey::new(&[7; 31], Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn damage_is_noticed(position in 0_usize..60, bit in 0_u8..8) {
            let key = DataKey::new(&[7; 32], vec![1, 2, 3]).unwrap();
            let mut sealed = key.seal("r", "some text of thirty bytes or so", &mut StdRng::seed_from_u64(1)).unwrap();
            sealed[position] ^= 1 << bit;
            // The wrapped key is KMS's to authenticate; everything else is ours.
            prop_assume!(!(3..6).contains(&position));
            prop_assert_eq!(key.open("r", &sealed), Err(CannotOpen));
        }
    }
}

//! Cursors: where the next page of a list begins, in a client's hands. Opaque to it, and good only for whom and for what it
//! was given: the caller and the query are authenticated with it (AES-256-GCM under a key of its own).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroize as _;

use crate::pseudonym::Pseudonymizer;

/// Most characters of a cursor that are looked at. Ours are shorter by far.
const MAX_LENGTH: usize = 2048;

/// Seals and opens cursors.
pub struct Cursors {
    key: Option<LessSafeKey>,
}

/// Not a cursor of ours, or one of another list or caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct NotACursor;

impl Cursors {
    /// Cursors under the key that the pseudonyms' is the root of.
    pub fn new(pseudonyms: &Pseudonymizer) -> Self {
        let mut bytes = pseudonyms.cursor_key();
        let key = UnboundKey::new(&AES_256_GCM, &bytes).ok().map(LessSafeKey::new);
        bytes.zeroize();
        Self { key }
    }

    /// A cursor for the list that `list` names: what is asked for, and by whom.
    ///
    /// # Errors
    /// [`NotACursor`] when the position cannot be written or sealed, which no position makes it do.
    pub fn seal(
        &self,
        list: &[&str],
        position: &impl Serialize,
        rng: &mut impl CryptoRng,
    ) -> Result<String, NotACursor> {
        let key = self.key.as_ref().ok_or(NotACursor)?;
        let mut nonce = [0_u8; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut text = serde_json::to_vec(position).map_err(|_| NotACursor)?;
        let aad = Aad::from(name_of(list));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(|_| NotACursor)?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut text);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The position of a cursor that came back, if it is one of that list.
    ///
    /// # Errors
    /// [`NotACursor`].
    pub fn open<T: DeserializeOwned>(&self, list: &[&str], cursor: &str) -> Result<T, NotACursor> {
        let key = self.key.as_ref().ok_or(NotACursor)?;
        if cursor.len() > MAX_LENGTH {
            return Err(NotACursor);
        }
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| NotACursor)?;
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(NotACursor)?;
        let mut text = ciphertext.to_vec();
        let aad = Aad::from(name_of(list));
        let text = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut text)
            .map_err(|_| NotACursor)?;
        serde_json::from_slice(text).map_err(|_| NotACursor)
    }
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors(…)")
    }
}

/// Parts do not run into each other: each goes in with its length.
fn name_of(list: &[&str]) -> Vec<u8> {
    list.iter().flat_map(|part| [part.len().to_string().as_str(), ":", part].concat().into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn cursors() -> Cursors {
        Cursors::new(&Pseudonymizer::new(&[1; 32]))
    }

    #[test]
    fn a_cursor_is_good_for_its_list_and_caller_alone() {
        let mut rng = StdRng::seed_from_u64(1);
        let cursor = cursors().seal(&["resets", "person#a", "A02"], &("x", 7), &mut rng).unwrap();
        assert!(!cursor.contains("person"));
        let open = |list: &[&str]| cursors().open::<(String, u8)>(list, &cursor);
        assert_eq!(open(&["resets", "person#a", "A02"]), Ok(("x".to_owned(), 7)));
        let others: [&[&str]; 5] = [
            &["resets", "person#b", "A02"],
            &["resets", "person#a", "A03"],
            &["resets", "person#a"],
            &["resetsperson#a", "A02"],
            &["resets", "person#", "aA02"],
        ];
        for other in others {
            assert_eq!(open(other), Err(NotACursor), "{other:?}");
        }
        let elsewhere = Cursors::new(&Pseudonymizer::new(&[2; 32]));
        assert!(elsewhere.open::<(String, u8)>(&["resets", "person#a", "A02"], &cursor).is_err());
        for text in ["", "x", "=", &"A".repeat(3000)] {
            assert_eq!(cursors().open::<(String, u8)>(&["resets"], text), Err(NotACursor));
        }
    }

    proptest! {
        #[test]
        fn damage_is_noticed(position in 0_usize..30, bit in 0_u8..8) {
            let cursor = cursors().seal(&["list"], &"position", &mut StdRng::seed_from_u64(1)).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            bytes[position] ^= 1 << bit;
            let damaged = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(cursors().open::<String>(&["list"], &damaged), Err(NotACursor));
        }
    }
}

//! Signed statements of where the chains end: what shows that their newest links were cut off, which a chain alone does not.
//!
//! A statement is a JWS in compact form (RFC 7515), ES256, of the type `audit-head+jws`, whose header names the key by its
//! RFC 7638 thumbprint. Statements are numbered from 1, and each names the digest of the one before it (of its whole text,
//! under `first-sign-in audit statement 1`), so that none can be taken out of their row.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::canonical::Digest;
use super::chain::End;
use crate::token::PublicKey;

/// The type in a statement's header: no token passes for one.
pub const TYPE: &str = "audit-head+jws";

/// What is stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The stack.
    pub stack: String,
    /// Its number, from 1.
    pub number: u64,
    /// The digest of the statement before it; none before the first.
    pub previous: Option<Digest>,
    /// When.
    pub at: Timestamp,
    /// Every entry of before this time is chained.
    pub settled_until: Timestamp,
    /// Where each chain ends, by its number.
    pub chains: Vec<Stated>,
}

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// The chain.
    pub chain: u32,
    /// How many links it has.
    pub count: u64,
    /// The hash of the last of them, or of what stands before the first.
    pub hash: Digest,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Why a text is no statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAStatement {
    /// It is not made like one.
    #[error("not a signed statement")]
    Malformed,
    /// It names another key.
    #[error("signed with another key")]
    OtherKey,
    /// The signature is not that of the key.
    #[error("a wrong signature")]
    WrongSignature,
}

impl Stated {
    /// The statement of an end.
    pub fn new(chain: u32, end: End) -> Self {
        Self { chain, count: end.sequence, hash: end.hash }
    }
}

/// The digest of a signed statement: what the next one names.
pub fn digest(jws: &str) -> Digest {
    Digest::of("first-sign-in audit statement 1", jws)
}

/// The name of a statement in the bucket. Names sort like numbers.
pub fn object_key(number: u64) -> String {
    format!("heads/{number:012}.jws")
}

impl Statement {
    /// The statement in a JWS that one of the keys has signed.
    ///
    /// # Errors
    /// [`NotAStatement`].
    pub fn verify(jws: &str, keys: &[PublicKey]) -> Result<Self, NotAStatement> {
        let (input, signature) = jws.rsplit_once('.').ok_or(NotAStatement::Malformed)?;
        let (header, payload) = input.split_once('.').ok_or(NotAStatement::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| NotAStatement::Malformed);
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| NotAStatement::Malformed)?;
        if header.alg != "ES256" || header.typ != TYPE {
            return Err(NotAStatement::Malformed);
        }
        let key = keys.iter().find(|key| key.kid == header.kid).ok_or(NotAStatement::OtherKey)?;
        let point = [vec![0x04], decode(&key.x)?, decode(&key.y)?].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(input.as_bytes(), &decode(signature)?)
            .map_err(|_| NotAStatement::WrongSignature)?;
        serde_json::from_slice(&decode(payload)?).map_err(|_| NotAStatement::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::audit::chain::Chains;
    use crate::token::Unsigned;

    fn key() -> (EcdsaKeyPair, PublicKey) {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let mut spki = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
        spki.extend_from_slice(key.public_key().as_ref());
        let public = PublicKey::from_spki(&spki).unwrap();
        (key, public)
    }

    fn statement() -> Statement {
        let at: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let chains = Chains::new("first-sign-in", 2);
        Statement {
            stack: "first-sign-in".to_owned(),
            number: 1,
            previous: None,
            at,
            settled_until: at,
            chains: chains.all().map(|chain| Stated::new(chain, chains.beginning(chain))).collect(),
        }
    }

    fn signed(kind: &str, (key, public): &(EcdsaKeyPair, PublicKey)) -> String {
        let unsigned = Unsigned::jws(kind, &statement(), &public.kid);
        let signature = key.sign(&SystemRandom::new(), unsigned.input().as_bytes()).unwrap();
        unsigned.signed(signature.as_ref()).unwrap()
    }

    #[test]
    fn only_what_the_key_has_signed_is_a_statement() {
        let (ours, theirs) = (key(), key());
        let keys = [ours.1.clone()];
        let good = signed(TYPE, &ours);
        assert_eq!(Statement::verify(&good, &keys), Ok(statement()));
        let (input, signature) = good.rsplit_once('.').unwrap();
        let (header, payload) = input.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(
            String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap())
                .unwrap()
                .replace("\"count\":0", "\"count\":9"),
        );
        let own_key =
            signed(TYPE, &theirs).replacen(signed(TYPE, &theirs).split('.').next().unwrap(), header, 1);
        let rows = [
            ("another key", signed(TYPE, &theirs), NotAStatement::OtherKey),
            ("another key under our name", own_key, NotAStatement::WrongSignature),
            ("a token of ours", signed("at+jwt", &ours), NotAStatement::Malformed),
            ("other counts", format!("{header}.{other}.{signature}"), NotAStatement::WrongSignature),
            ("no signature", format!("{input}."), NotAStatement::WrongSignature),
            ("nothing", String::new(), NotAStatement::Malformed),
        ];
        for (what, text, expected) in rows {
            assert_eq!(Statement::verify(&text, &keys), Err(expected), "{what}");
        }
    }

    #[test]
    fn names_sort_like_numbers() {
        assert_eq!(object_key(7), "heads/000000000007.jws");
        assert!(object_key(9) < object_key(10));
    }
}

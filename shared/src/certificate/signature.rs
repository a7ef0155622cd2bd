//! Signatures on certificates, and the keys that may make them.

use aws_lc_rs::signature::{self as verification, ParsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use webpki::aws_lc_rs as algorithms;

use crate::der::{INTEGER, Reader, SEQUENCE};

/// Signatures that a certificate, or a revocation list, may have: RSA with 2048 to 8192 bits, P-256 and P-384, with SHA-256 or stronger.
pub(crate) static SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
];

/// A public key: its algorithm and its bits, both as a SubjectPublicKeyInfo has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> Key<'a> {
    /// The key in a DER-encoded SubjectPublicKeyInfo.
    pub(super) fn read(spki: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::of_sequence(spki).ok()?;
        let algorithm = fields.expect(SEQUENCE).ok()?;
        let bits = fields.bit_string().ok()?;
        fields.end().ok()?;
        Some(Self { algorithm, bits })
    }

    /// Whether a signature by this key would be believed: RSA with 2048 to 8192 bits, P-256 or P-384, with numbers that a
    /// key can have. No handshake succeeds with others; the decision does not rely on there having been one.
    ///
    /// # Errors
    /// What it is instead.
    pub(super) fn is_strong(&self) -> Result<(), String> {
        let is = |algorithm: AlgorithmIdentifier| algorithm.as_ref() == self.algorithm;
        let point = |bytes: usize| self.bits.first() == Some(&4) && self.bits.len() == 1 + 2 * bytes;
        let algorithm: &'static dyn VerificationAlgorithm = if is(alg_id::RSA_ENCRYPTION) {
            match self.modulus_bits().ok_or("an RSA key that cannot be read")? {
                2048..=8192 => &verification::RSA_PKCS1_2048_8192_SHA256,
                bits => return Err(format!("RSA of {bits} bits")),
            }
        } else if is(alg_id::ECDSA_P256) && point(32) {
            &verification::ECDSA_P256_SHA256_ASN1
        } else if is(alg_id::ECDSA_P384) && point(48) {
            &verification::ECDSA_P384_SHA384_ASN1
        } else {
            return Err("neither RSA nor P-256 nor P-384".to_owned());
        };
        // Whether the point is on its curve, above all.
        let parsed = ParsedPublicKey::new(algorithm, self.bits);
        parsed.map(drop).map_err(|_| "numbers that no key of its kind has".to_owned())
    }

    /// The length of an RSA key's modulus (RFC 8017 appendix A.1.1), when modulus and exponent can be those of a key.
    fn modulus_bits(&self) -> Option<usize> {
        let mut numbers = Reader::of_sequence(self.bits).ok()?;
        let modulus = positive(numbers.expect(INTEGER).ok()?)?;
        let exponent = positive(numbers.expect(INTEGER).ok()?)?;
        numbers.end().ok()?;
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        if !odd(modulus) || !odd(exponent) || exponent == [1] {
            return None;
        }
        Some(modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?)
    }
}

/// The bytes of a positive INTEGER with this content, without the sign's.
fn positive(content: &[u8]) -> Option<&[u8]> {
    match content {
        [0, digits @ ..] if digits.first().is_some_and(|first| *first >= 0x80) => Some(digits),
        digits @ [1..=0x7f, ..] => Some(digits),
        _ => None,
    }
}

/// What a certificate's issuer has signed, and the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signed<'a> {
    pub(super) message: &'a [u8],
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Whether anything of [`SIGNATURES`] makes such signatures.
    pub(super) fn is_strong(&self) -> bool {
        SIGNATURES.iter().any(|known| known.signature_alg_id().as_ref() == self.algorithm)
    }

    /// Whether `key` made the signature, with an algorithm of [`SIGNATURES`].
    pub(super) fn verify(&self, key: Key<'a>) -> Option<Proof<'a>> {
        let fits = |known: &&&dyn SignatureVerificationAlgorithm| {
            known.signature_alg_id().as_ref() == self.algorithm
                && known.public_key_alg_id().as_ref() == key.algorithm
        };
        let algorithm = SIGNATURES.iter().find(fits)?;
        algorithm.verify_signature(key.bits, self.message, self.signature).ok()?;
        Some(Proof { signed: *self, key })
    }
}

/// A signature that was verified. Only [`Signed::verify`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof<'a> {
    signed: Signed<'a>,
    key: Key<'a>,
}

/// An algorithm that does not verify again what is proven: for a second validator of the same path.
#[derive(Debug)]
pub(super) struct Proven<'a> {
    pub(super) algorithm: &'static dyn SignatureVerificationAlgorithm,
    pub(super) proofs: &'a [Proof<'a>],
}

impl SignatureVerificationAlgorithm for Proven<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let is_this = |proof: &Proof<'_>| {
            proof.key.bits == public_key
                && proof.key.algorithm == self.algorithm.public_key_alg_id().as_ref()
                && proof.signed.algorithm == self.algorithm.signature_alg_id().as_ref()
                && proof.signed.signature == signature
                && proof.signed.message == message
        };
        if self.proofs.iter().any(is_this) {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};

    use super::*;
    use crate::der::{BIT_STRING, tagged};

    fn spki(algorithm: AlgorithmIdentifier, bits: &[u8]) -> Vec<u8> {
        let key = tagged(BIT_STRING, &[&[0], bits].concat());
        tagged(SEQUENCE, &[tagged(SEQUENCE, algorithm.as_ref()), key].concat())
    }

    fn rsa(bits: usize, last: u8, exponent: &[u8]) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        *modulus.last_mut().unwrap() = last;
        if modulus[0] >= 0x80 {
            modulus.insert(0, 0);
        }
        let numbers = [tagged(INTEGER, &modulus), tagged(INTEGER, exponent)].concat();
        spki(alg_id::RSA_ENCRYPTION, &tagged(SEQUENCE, &numbers))
    }

    #[test]
    fn which_keys_are_strong() {
        let exponent = [1, 0, 1];
        let point = |bytes: usize| [vec![4], vec![7; 2 * bytes]].concat();
        let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().public_key_raw().to_vec();
        let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().public_key_raw().to_vec();
        let edited = |key: &[u8], edit: fn(&mut Vec<u8>)| {
            let mut key = key.to_vec();
            edit(&mut key);
            key
        };
        let beside: fn(&mut Vec<u8>) = |key| *key.last_mut().unwrap() ^= 1;
        let swapped: fn(&mut Vec<u8>) = |key| {
            let middle = key.len() / 2;
            key[1..].rotate_left(middle);
        };
        let origin: fn(&mut Vec<u8>) = |key| key[1..].fill(0);
        let beyond: fn(&mut Vec<u8>) = |key| key[1..].fill(0xff);
        let compressed: fn(&mut Vec<u8>) = |key| {
            key[0] = 2 + (key.last().unwrap() & 1);
            key.truncate(1 + key.len() / 2);
        };
        let hybrid: fn(&mut Vec<u8>) = |key| key[0] = 6 + (key.last().unwrap() & 1);
        let infinity: fn(&mut Vec<u8>) = |key| *key = vec![0];
        let rows = [
            ("RSA 2048", rsa(2048, 0xff, &exponent), true),
            ("RSA 3072", rsa(3072, 0xff, &exponent), true),
            ("RSA 8192", rsa(8192, 0xff, &exponent), true),
            ("RSA 2047", rsa(2047, 0xff, &exponent), false),
            ("RSA 1024", rsa(1024, 0xff, &exponent), false),
            ("RSA 8193", rsa(8193, 0xff, &exponent), false),
            ("RSA, even", rsa(2048, 0xfe, &exponent), false),
            ("RSA with exponent 1", rsa(2048, 0xff, &[1]), false),
            ("RSA with exponent 2", rsa(2048, 0xff, &[2]), false),
            ("RSA with exponent 0", rsa(2048, 0xff, &[0]), false),
            ("RSA with a negative exponent", rsa(2048, 0xff, &[0xff]), false),
            ("RSA with exponent 3", rsa(2048, 0xff, &[3]), true),
            ("RSA with an even exponent", rsa(2048, 0xff, &[1, 0, 0]), false),
            ("RSA with modulus 1", rsa(1, 1, &exponent), false),
            ("P-256", spki(alg_id::ECDSA_P256, &p256), true),
            ("P-384", spki(alg_id::ECDSA_P384, &p384), true),
            ("P-256, beside the curve", spki(alg_id::ECDSA_P256, &edited(&p256, beside)), false),
            ("P-384, beside the curve", spki(alg_id::ECDSA_P384, &edited(&p384, beside)), false),
            ("P-256, x and y swapped", spki(alg_id::ECDSA_P256, &edited(&p256, swapped)), false),
            ("P-384, x and y swapped", spki(alg_id::ECDSA_P384, &edited(&p384, swapped)), false),
            ("P-256, zeros", spki(alg_id::ECDSA_P256, &edited(&p256, origin)), false),
            ("P-384, zeros", spki(alg_id::ECDSA_P384, &edited(&p384, origin)), false),
            ("P-256, beyond its field", spki(alg_id::ECDSA_P256, &edited(&p256, beyond)), false),
            ("P-384, beyond its field", spki(alg_id::ECDSA_P384, &edited(&p384, beyond)), false),
            ("P-256, infinity", spki(alg_id::ECDSA_P256, &edited(&p256, infinity)), false),
            ("P-384, infinity", spki(alg_id::ECDSA_P384, &edited(&p384, infinity)), false),
            ("P-256, compressed", spki(alg_id::ECDSA_P256, &edited(&p256, compressed)), false),
            ("P-256, hybrid", spki(alg_id::ECDSA_P256, &edited(&p256, hybrid)), false),
            ("P-256, any numbers", spki(alg_id::ECDSA_P256, &point(32)), false),
            ("P-256's point on P-384", spki(alg_id::ECDSA_P384, &p256), false),
            ("P-521", spki(alg_id::ECDSA_P521, &point(66)), false),
            ("P-384's point on P-256", spki(alg_id::ECDSA_P256, &p384), false),
            ("Ed25519", spki(alg_id::ED25519, &[7; 32]), false),
            ("secp256k1", spki(alg_id::ECDSA_P256K1, &p256), false),
        ];
        for (what, spki, strong) in rows {
            let verdict = Key::read(&spki).unwrap().is_strong();
            assert_eq!(verdict.is_ok(), strong, "{what}: {verdict:?}");
        }
    }

    #[test]
    fn rubbish_is_no_key() {
        let good = rsa(2048, 0xff, &[1, 0, 1]);
        assert!(Key::read(&good).is_some());
        for (what, bad) in [
            ("nothing", Vec::new()),
            ("cut", good[..good.len() - 1].to_vec()),
            ("with more after it", [good.clone(), vec![0]].concat()),
            (
                "unused bits",
                spki(alg_id::ED25519, &[7; 32]).iter().map(|b| if *b == 0 { 1 } else { *b }).collect(),
            ),
        ] {
            assert!(Key::read(&bad).is_none(), "{what}");
        }
    }
}

//! Signed tokens (RFC 7519, RFC 9068): what a program gets in place of a cookie. ES256 under a published key, nothing else.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use x509_parser::asn1_rs::{FromDer as _, Integer, Sequence};
use x509_parser::x509::SubjectPublicKeyInfo;

/// The type in a token's header: an access token by RFC 9068, so that no other kind of token passes for one.
const TYPE: &str = "at+jwt";

/// The type of an ID token: whoever takes it for an access token is wrong, and told so.
const ID_TYPE: &str = "JWT";

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer: the portal host's origin.
    pub iss: String,
    /// Audience: the same origin, whose API it is for.
    pub aud: String,
    /// Subject, opaque.
    pub sub: String,
    /// The session's id.
    pub sid: String,
    /// The token's own id.
    pub jti: String,
    /// What the sign-in was made with (RFC 8176).
    pub amr: Vec<String>,
    /// How strong that is: [`crate::oauth::Acr`].
    pub acr: String,
    /// When the sign-in was, seconds since 1970.
    pub auth_time: i64,
    /// The client that the token was issued to, when it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What the client may do with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Ends at, seconds since 1970.
    pub exp: i64,
}

/// What an ID token says (OpenID Connect Core 1.0, section 2): who signed in, when and how, for one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdClaims {
    /// Issuer: the portal host's origin.
    pub iss: String,
    /// Subject, opaque.
    pub sub: String,
    /// Audience: the client.
    pub aud: String,
    /// The party that it was issued to: the client as well.
    pub azp: String,
    /// What the client sent to recognize its own request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// When the sign-in was, seconds since 1970.
    pub auth_time: i64,
    /// How strong it is: [`crate::oauth::Acr`].
    pub acr: String,
    /// What it was made with (RFC 8176).
    pub amr: Vec<String>,
    /// [`half_hash`] of the access token beside it.
    pub at_hash: String,
    /// The session, by a name that opens nothing.
    pub sid: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Ends at, seconds since 1970.
    pub exp: i64,
}

/// The left half of a token's SHA-256, base64url: `at_hash` (OpenID Connect Core 1.0, section 3.1.3.6).
pub fn half_hash(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref().get(..16).unwrap_or_default())
}

/// A public key as the JWKS has it (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// `EC`.
    pub kty: String,
    /// `P-256`.
    pub crv: String,
    /// The point's x, base64url.
    pub x: String,
    /// The point's y, base64url.
    pub y: String,
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    /// `ES256`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub use_: String,
}

/// The key is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 key or signature")]
pub struct NotP256;

impl PublicKey {
    /// The key with this DER-encoded SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`NotP256`].
    pub fn from_spki(der: &[u8]) -> Result<Self, NotP256> {
        let (_, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|_| NotP256)?;
        let point: &[u8; 65] = spki.subject_public_key.data.as_ref().try_into().map_err(|_| NotP256)?;
        let (&[0x04], coordinates) = point.split_first_chunk::<1>().ok_or(NotP256)? else {
            return Err(NotP256);
        };
        let (x, y) = coordinates.split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638: the required members in alphabetical order, without spaces.
        let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, thumbprint.as_bytes()));
        let own = str::to_owned;
        Ok(Self { kty: own("EC"), crv: own("P-256"), x, y, kid, alg: own("ES256"), use_: own("sig") })
    }
}

/// A token that wants a signature: `header.claims`, and the digest to sign.
#[derive(Clone, Debug)]
pub struct Unsigned {
    input: String,
}

impl Unsigned {
    /// An access token under the key `kid`.
    pub fn new(claims: &Claims, kid: &str) -> Self {
        Self::jws(TYPE, claims, kid)
    }

    /// An ID token under the key `kid`.
    pub fn identity(claims: &IdClaims, kid: &str) -> Self {
        Self::jws(ID_TYPE, claims, kid)
    }

    /// Something else than a token (RFC 7515), of this type, under the key `kid`.
    pub fn jws(kind: &str, payload: &impl Serialize, kid: &str) -> Self {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "typ": kind, "kid": kid});
        Self { input: format!("{}.{}", part(&header), part(&json!(payload))) }
    }

    /// What is signed.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// SHA-256 of what is signed.
    pub fn digest(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, self.input.as_bytes()).as_ref().to_vec()
    }

    /// The token, with the DER-encoded signature of the digest.
    ///
    /// # Errors
    /// [`NotP256`] when it is no such signature.
    pub fn signed(self, der_signature: &[u8]) -> Result<String, NotP256> {
        let signature = URL_SAFE_NO_PAD.encode(fixed_signature(der_signature)?);
        Ok(format!("{}.{signature}", self.input))
    }
}

/// DER's `SEQUENCE { r, s }` as JWS wants it: r and s, 32 bytes each (RFC 7518 section 3.4).
fn fixed_signature(der: &[u8]) -> Result<[u8; 64], NotP256> {
    let (rest, sequence) = Sequence::from_der(der).map_err(|_| NotP256)?;
    let (s, r) = Integer::from_der(&sequence.content).map_err(|_| NotP256)?;
    let (end, s) = Integer::from_der(s).map_err(|_| NotP256)?;
    if !rest.is_empty() || !end.is_empty() {
        return Err(NotP256);
    }
    let mut fixed = [0_u8; 64];
    let (left, right) = fixed.split_at_mut(32);
    for (half, integer) in [(left, r), (right, s)] {
        let bytes: &[u8] = integer.as_ref();
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        let start = half.len().checked_sub(bytes.len()).ok_or(NotP256)?;
        half.get_mut(start..).ok_or(NotP256)?.copy_from_slice(bytes);
    }
    Ok(fixed)
}

/// Verifies tokens of one issuer.
#[derive(Clone)]
pub struct Verifier {
    issuer: String,
    keys: Vec<(String, DecodingKey)>,
}

/// The token is not one of ours, or its time is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("token: {0}")]
pub struct Refused(String);

impl Verifier {
    /// A verifier of tokens that `issuer` signed with one of the published keys.
    ///
    /// # Errors
    /// [`NotP256`] when a key is not usable.
    pub fn new(issuer: String, keys: &[PublicKey]) -> Result<Self, NotP256> {
        let keys = keys
            .iter()
            .map(|key| {
                Ok((key.kid.clone(), DecodingKey::from_ec_components(&key.x, &key.y).map_err(|_| NotP256)?))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { issuer, keys })
    }

    /// The claims of an access token that is good now.
    ///
    /// # Errors
    /// [`Refused`]: another algorithm or type, an unknown key, a wrong signature, another issuer or audience, or over.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Refused> {
        let claims = self.recognize(token)?;
        if now.as_second() >= claims.exp { Err(Refused("its time is over".to_owned())) } else { Ok(claims) }
    }

    /// The claims of an access token of ours, whether its time is over or not: for whoever gives it back.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn recognize(&self, token: &str) -> Result<Claims, Refused> {
        self.signed(token, TYPE, Some(&self.issuer))
    }

    /// The claims of an ID token of ours, for whichever client, whether its time is over or not: for a client that says by it
    /// whom it means.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn identity(&self, token: &str) -> Result<IdClaims, Refused> {
        self.signed(token, ID_TYPE, None)
    }

    fn signed<C: DeserializeOwned>(
        &self,
        token: &str,
        kind: &str,
        audience: Option<&String>,
    ) -> Result<C, Refused> {
        let refused = |error: jsonwebtoken::errors::Error| Refused(error.to_string());
        let header = jsonwebtoken::decode_header(token).map_err(refused)?;
        if header.alg != Algorithm::ES256 || header.typ.as_deref() != Some(kind) {
            return Err(Refused("another algorithm or type".to_owned()));
        }
        let (_, key) = self
            .keys
            .iter()
            .find(|(kid, _)| header.kid.as_ref() == Some(kid))
            .ok_or_else(|| Refused("an unknown key".to_owned()))?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&self.issuer]);
        match audience {
            Some(audience) => validation.set_audience(&[audience]),
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The library would ask the system's clock; whoever wants it compares the request's own time.
        validation.validate_exp = false;
        Ok(jsonwebtoken::decode::<C>(token, key, &validation).map_err(refused)?.claims)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    struct Fixture {
        key: EcdsaKeyPair,
        public: PublicKey,
    }

    impl Fixture {
        fn new() -> Self {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let mut spki = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
            spki.extend_from_slice(key.public_key().as_ref());
            Self { key, public: PublicKey::from_spki(&spki).unwrap() }
        }

        fn sign(&self, claims: &Claims, kid: &str) -> String {
            self.signed(Unsigned::new(claims, kid))
        }

        fn sign_id(&self, kid: &str) -> String {
            let claims = claims();
            self.signed(Unsigned::identity(
                &IdClaims {
                    iss: claims.iss.clone(),
                    sub: claims.sub,
                    aud: claims.aud,
                    azp: claims.iss,
                    nonce: None,
                    auth_time: claims.auth_time,
                    acr: claims.acr,
                    amr: claims.amr,
                    at_hash: half_hash("x"),
                    sid: claims.sid,
                    iat: claims.iat,
                    exp: claims.exp,
                },
                kid,
            ))
        }

        fn signed(&self, unsigned: Unsigned) -> String {
            let signature = self.key.sign(&SystemRandom::new(), unsigned.input.as_bytes()).unwrap();
            unsigned.signed(signature.as_ref()).unwrap()
        }
    }

    fn claims() -> Claims {
        Claims {
            iss: "https://id.example".to_owned(),
            aud: "https://id.example".to_owned(),
            sub: "person#x".to_owned(),
            sid: "s".to_owned(),
            jti: "j".to_owned(),
            amr: vec!["sc".to_owned()],
            acr: "urn:first-sign-in:card".to_owned(),
            auth_time: 1000,
            client_id: None,
            scope: None,
            iat: 1000,
            exp: 1900,
        }
    }

    /// OpenID Connect Core 1.0, appendix A.3.
    #[test]
    fn half_a_hash() {
        assert_eq!(half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    }

    #[test]
    fn what_we_sign_we_verify_and_nothing_else() {
        let (ours, theirs) = (Fixture::new(), Fixture::new());
        let verifier =
            Verifier::new("https://id.example".to_owned(), std::slice::from_ref(&ours.public)).unwrap();
        let now = Timestamp::from_second(1500).unwrap();
        let kid = ours.public.kid.clone();
        // Many signatures, because r and s are sometimes shorter than 32 bytes.
        for _ in 0..300 {
            assert_eq!(verifier.verify(&ours.sign(&claims(), &kid), now).unwrap(), claims());
        }
        let token = ours.sign(&claims(), &kid);
        let rows = [
            ("another key under our id", theirs.sign(&claims(), &kid)),
            ("another key's id", ours.sign(&claims(), &theirs.public.kid)),
            (
                "another issuer",
                ours.sign(&Claims { iss: "https://evil.example".to_owned(), ..claims() }, &kid),
            ),
            (
                "another audience",
                ours.sign(&Claims { aud: "https://evil.example".to_owned(), ..claims() }, &kid),
            ),
            ("over", ours.sign(&Claims { exp: 1500, ..claims() }, &kid)),
            ("without signature", format!("{}.", token.rsplit_once('.').unwrap().0)),
            (
                "alg none",
                format!(
                    "{}.{}.",
                    URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
                    token.split('.').nth(1).unwrap()
                ),
            ),
            ("an ID token", ours.sign_id(&kid)),
            ("rubbish", "a.b.c".to_owned()),
            ("empty", String::new()),
        ];
        for (what, token) in rows {
            assert!(verifier.verify(&token, now).is_err(), "{what}");
        }
    }
}

//! Which client calls `/token` (RFC 6749 section 2.3): nobody but itself may exchange its codes.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use shared::secret::Secret;
use url::form_urlencoded;

use crate::client::{Authentication, Client, ClientKey, Clients};
use crate::exchange::TokenError;
use crate::parameters::Parameters;

/// The only kind of assertion that there is (RFC 7523).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion may be good for, at most: so long its `jti` is remembered.
const LONGEST_ASSERTION: SignedDuration = SignedDuration::from_hours(1);

/// How far a client's clock may be ahead.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Most characters of a `jti`.
const LONGEST_JTI: usize = 256;

/// How a client says who it is.
enum Shown {
    Nothing { id: String },
    Secret { id: String, secret: String, by_header: bool },
    Assertion { id: String, jwt: String },
}

/// An assertion that was used, and is good for no second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// SHA-256 of its `jti`, hex.
    pub jti_digest: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct AssertionClaims {
    jti: String,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
}

/// The client that calls, and the assertion that it did so by, if it was one. `audiences` is what an assertion may be for.
///
/// # Errors
/// `invalid_request` for none or several ways at once, `invalid_client` for one that does not convince.
pub fn client<'c>(
    clients: &'c Clients,
    authorization: Option<&str>,
    parameters: &Parameters,
    audiences: &[&str],
    now: Timestamp,
) -> Result<(&'c Client, Option<Assertion>), TokenError> {
    let shown = shown(authorization, parameters)?;
    let (Shown::Nothing { id } | Shown::Secret { id, .. } | Shown::Assertion { id, .. }) = &shown;
    let by_header = matches!(shown, Shown::Secret { by_header: true, .. });
    let refused = |why| TokenError::InvalidClient { why, by_header };
    let client = clients.get(id).ok_or(refused("no registered client"))?;
    match (&client.authentication, shown) {
        (Authentication::None, Shown::Nothing { .. }) => Ok((client, None)),
        (Authentication::Secret { digests }, Shown::Secret { secret, .. }) => {
            // Only what we would hand out counts: 256 random bits, so that a plain hash of it is enough.
            let digest = Secret::parse(&secret).map(|secret| secret.digest()).unwrap_or_default();
            let known = |known: &String| {
                constant_time::verify_slices_are_equal(known.as_bytes(), digest.as_bytes()).is_ok()
            };
            if digests.iter().any(known) { Ok((client, None)) } else { Err(refused("another secret")) }
        }
        (Authentication::Key { keys }, Shown::Assertion { jwt, .. }) => {
            let assertion = assertion(&jwt, client, keys, audiences, now).map_err(refused)?;
            Ok((client, Some(assertion)))
        }
        _ => Err(refused("not the way that it is registered with")),
    }
}

fn shown(authorization: Option<&str>, parameters: &Parameters) -> Result<Shown, TokenError> {
    let id = parameters.get("client_id")?;
    let secret = parameters.get("client_secret")?;
    let jwt = parameters.get("client_assertion")?;
    let malformed = TokenError::InvalidClient { why: "a malformed header", by_header: true };
    let ways = [authorization.is_some(), secret.is_some(), jwt.is_some()];
    if ways.iter().filter(|shown| **shown).count() > 1 {
        return Err(TokenError::InvalidRequest("more than one way of client authentication"));
    }
    let same = |named: &str| id.is_none_or(|id| id == named);
    let another = |by_header| TokenError::InvalidClient { why: "client_id names another one", by_header };
    if let Some(header) = authorization {
        let (id, secret) = basic(header).ok_or(malformed)?;
        return if same(&id) {
            Ok(Shown::Secret { id, secret, by_header: true })
        } else {
            Err(another(true))
        };
    }
    if let Some(jwt) = jwt {
        if parameters.get("client_assertion_type")? != Some(ASSERTION_TYPE) {
            return Err(TokenError::InvalidRequest("another client_assertion_type than jwt-bearer"));
        }
        let no_jwt = TokenError::InvalidClient { why: "an assertion that is no JWT", by_header: false };
        let id = subject(jwt).ok_or(no_jwt)?;
        let jwt = jwt.to_owned();
        return if same(&id) { Ok(Shown::Assertion { id, jwt }) } else { Err(another(false)) };
    }
    let id = id.ok_or(TokenError::InvalidRequest("client_id is missing"))?.to_owned();
    Ok(match secret {
        Some(secret) => Shown::Secret { id, secret: secret.to_owned(), by_header: false },
        None => Shown::Nothing { id },
    })
}

/// Id and secret, each encoded as in a form (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    let credentials =
        scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(credentials.trim()))?.ok()?;
    let credentials = String::from_utf8(credentials).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    let decoded = |text: &str| {
        let text = text.replace('&', "%26").replace('=', "%3D");
        form_urlencoded::parse(text.as_bytes())
            .next()
            .map(|(value, _)| value.into_owned())
            .unwrap_or_default()
    };
    Some((decoded(id), decoded(secret)))
}

/// Whom an assertion is about; not verified yet.
fn subject(jwt: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("sub").and_then(Value::as_str).map(str::to_owned)
}

fn assertion(
    jwt: &str,
    client: &Client,
    keys: &[ClientKey],
    audiences: &[&str],
    now: Timestamp,
) -> Result<Assertion, &'static str> {
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| "an assertion that is no JWT")?;
    if header.alg != Algorithm::ES256 {
        return Err("an assertion with another algorithm than ES256");
    }
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[client.id.as_str()]);
    validation.set_audience(audiences);
    validation.sub = Some(client.id.to_string());
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    // The library would ask the system's clock; the request's own time is compared below.
    validation.validate_exp = false;
    let claims = keys
        .iter()
        .filter(|key| header.kid.as_ref().is_none_or(|kid| *kid == key.kid))
        .filter_map(|key| DecodingKey::from_ec_components(&key.x, &key.y).ok())
        .find_map(|key| jsonwebtoken::decode::<AssertionClaims>(jwt, &key, &validation).ok())
        .ok_or("an assertion of another key, issuer or audience, or without a claim that it needs")?
        .claims;
    let expires_at = Timestamp::from_second(claims.exp).map_err(|_| "an assertion without end")?;
    if now >= expires_at {
        return Err("an assertion whose time is over");
    }
    if expires_at.duration_since(now) > LONGEST_ASSERTION + SKEW {
        return Err("an assertion that is good for too long");
    }
    let soon = now.as_second().saturating_add(SKEW.as_secs());
    if [claims.iat, claims.nbf].iter().flatten().any(|time| *time > soon) {
        return Err("an assertion of the future");
    }
    if claims.jti.is_empty() || claims.jti.chars().count() > LONGEST_JTI {
        return Err("an assertion whose jti is empty or too long");
    }
    let jti_digest = hex::encode(digest::digest(&digest::SHA256, claims.jti.as_bytes()));
    Ok(Assertion { jti_digest, expires_at })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const SECRET: &str = "c2FtcGxlLXNlY3JldC1vZi10aGUtc3RhbmQtaW4tMzI";
    const AUDIENCES: &[&str] = &["https://id.example", "https://id.example/token"];

    fn now() -> Timestamp {
        Timestamp::from_second(1000).unwrap()
    }

    struct Fixture {
        key: EcdsaKeyPair,
        clients: Clients,
    }

    impl Fixture {
        fn new() -> Self {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let (x, y) = key.public_key().as_ref()[1..].split_at(32);
            let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
            let digest = Secret::parse(SECRET).unwrap().digest();
            let client = |id: &str, rest: &str| {
                format!(
                    "[[client]]\nid = \"{id}\"\nname = {{ zh-TW = \"a\", en = \"a\" }}\nredirect_uris = [\"https://hr.example/\"]\nscopes = \"openid\"\n{rest}\n"
                )
            };
            let text = [
                client("public", "authentication = \"none\""),
                client(
                    "secret",
                    &format!(
                        "authentication = \"secret\"\nsecrets_sha256 = [\"{}\", \"{digest}\"]",
                        "0".repeat(64)
                    ),
                ),
                client(
                    "key",
                    &format!(
                        "authentication = \"key\"\nkeys = [{{ kid = \"1\", x = \"{x}\", y = \"{y}\" }}]"
                    ),
                ),
            ];
            Self { key, clients: Clients::parse(&text.concat()).unwrap() }
        }

        fn jwt(&self, header: Value, claims: Value) -> String {
            let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let input = format!("{}.{}", part(header), part(claims));
            let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
            format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        fn assertion(&self, changes: Value) -> String {
            let mut claims =
                json!({"iss": "key", "sub": "key", "aud": "https://id.example", "jti": "j", "exp": 1060});
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            self.jwt(json!({"alg": "ES256", "kid": "1"}), claims)
        }

        fn ask(&self, header: Option<&str>, form: &[(&str, &str)]) -> Result<String, TokenError> {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let (client, _) = client(&self.clients, header, &Parameters::parse(&text), AUDIENCES, now())?;
            Ok(client.id.to_string())
        }
    }

    #[test]
    fn a_client_proves_itself_in_its_own_way() {
        let fixture = Fixture::new();
        let basic = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let refused =
            |answer: Result<String, TokenError>| matches!(answer, Err(TokenError::InvalidClient { .. }));
        let other = Secret::parse(&SECRET.replace("c2Ft", "c2Fu")).unwrap();
        assert_eq!(fixture.ask(None, &[("client_id", "public")]), Ok("public".to_owned()));
        assert_eq!(fixture.ask(Some(&basic("secret", SECRET)), &[]), Ok("secret".to_owned()));
        assert_eq!(
            fixture.ask(None, &[("client_id", "secret"), ("client_secret", SECRET)]),
            Ok("secret".to_owned())
        );
        type Refused<'r> = (&'r str, Option<String>, &'r [(&'r str, &'r str)]);
        let refusals: &[Refused<'_>] = &[
            ("unknown", None, &[("client_id", "nobody")]),
            ("a secret's client without", None, &[("client_id", "secret")]),
            ("a key's client without", None, &[("client_id", "key")]),
            ("a public client with a secret", None, &[("client_id", "public"), ("client_secret", SECRET)]),
            ("a wrong secret", Some(basic("secret", other.reveal())), &[]),
            ("the stored digest", Some(basic("secret", &Secret::parse(SECRET).unwrap().digest())), &[]),
            ("an empty secret", Some(basic("secret", "")), &[]),
            ("another client_id", Some(basic("secret", SECRET)), &[("client_id", "public")]),
            ("another scheme", Some("Bearer x".to_owned()), &[]),
            ("no base64", Some("Basic ???".to_owned()), &[]),
        ];
        for (what, header, form) in refusals {
            assert!(refused(fixture.ask(header.as_deref(), form)), "{what}");
        }
        let twice = fixture.ask(Some(&basic("secret", SECRET)), &[("client_secret", SECRET)]);
        assert!(matches!(twice, Err(TokenError::InvalidRequest(_))));
        assert!(matches!(fixture.ask(None, &[]), Err(TokenError::InvalidRequest(_))));
    }

    #[test]
    fn assertions() {
        let fixture = Fixture::new();
        let other = Fixture::new();
        let ask = |jwt: &str| {
            fixture.ask(None, &[("client_assertion", jwt), ("client_assertion_type", ASSERTION_TYPE)]).is_ok()
        };
        let with = |changes| fixture.assertion(changes);
        let claims =
            json!({"iss": "key", "sub": "key", "aud": "https://id.example", "jti": "j", "exp": 1060});
        let rows = [
            ("good", with(json!({})), true),
            ("for the endpoint", with(json!({"aud": "https://id.example/token"})), true),
            ("for an hour", with(json!({"exp": 4600})), true),
            ("without a kid", fixture.jwt(json!({"alg": "ES256"}), claims.clone()), true),
            ("another kid", fixture.jwt(json!({"alg": "ES256", "kid": "2"}), claims.clone()), false),
            ("another algorithm", fixture.jwt(json!({"alg": "HS256", "kid": "1"}), claims.clone()), false),
            ("none", fixture.jwt(json!({"alg": "none"}), claims), false),
            ("another key", other.assertion(json!({})), false),
            ("for somebody else", with(json!({"aud": "https://evil.example"})), false),
            ("of another issuer", with(json!({"iss": "secret"})), false),
            ("about another client", with(json!({"sub": "public"})), false),
            ("over", with(json!({"exp": 1000})), false),
            ("without end", with(json!({"exp": null})), false),
            ("for a day", with(json!({"exp": 87_400})), false),
            ("of the future", with(json!({"iat": 1061})), false),
            ("not yet good", with(json!({"nbf": 1061})), false),
            ("without a jti", with(json!({"jti": ""})), false),
            ("rubbish", "a.b.c".to_owned(), false),
        ];
        for (what, jwt, expected) in rows {
            assert_eq!(ask(&jwt), expected, "{what}");
        }
        let untyped = fixture.ask(None, &[("client_assertion", &with(json!({})))]);
        assert!(matches!(untyped, Err(TokenError::InvalidRequest(_))));
    }
}

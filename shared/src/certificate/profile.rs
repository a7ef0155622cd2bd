//! `issuers.toml`: which CAs of the truststore issue certificates that may sign in, and what is asked of those.
//!
//! ```toml
//! [[issuer]]
//! certificate_sha256 = "…"             # of the CA's certificate (DER), hex; it must be in truststore.pem
//! name = "MOICA G3"                    # for people: logs, a person's list of cards
//! family = "MOICA"                     # optional, default: name
//! kind = "citizen"                     # or "organization"
//! policies = ["2.16.886.1.100.0.3"]    # optional: valid for at least one of these; none given, none asked for
//! directory_attributes = "required"    # default; or "optional"
//! crl = ["https://…/complete.crl"]     # http(s) addresses, or files relative to the folder of issuers.toml
//! crl_signer_sha256 = "…"              # optional: the CA in truststore.pem that signs the lists, if not the issuer
//! [issuer.ocsp]                        # optional, off when absent
//! url = "http://…"
//! nonce = true                         # default true
//! required = false                     # default false: when the responder is silent, a fresh list decides alone
//! ```

use serde::{Deserialize, Deserializer, de};

/// Whose certificates a CA issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Citizens' (自然人憑證).
    Citizen,
    /// Organizations' (機關憑證).
    Organization,
}

/// Whether a certificate must say something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// It may be left out.
    Optional,
    /// A certificate without it is refused.
    #[default]
    Required,
}

/// A pinned issuing CA: an `[[issuer]]` of `issuers.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerProfile {
    /// SHA-256 of the CA certificate's DER, 64 hexadecimal digits in lower case. It must be in the truststore.
    #[serde(deserialize_with = "fingerprint")]
    pub certificate_sha256: String,
    /// What people call it: in logs, and in a person's list of cards.
    #[serde(deserialize_with = "filled")]
    pub name: String,
    /// CAs of one family continue each other's cards: see [`IssuerProfile::family`].
    #[serde(default, deserialize_with = "optional_filled")]
    family: Option<String>,
    /// Whose certificates it issues.
    pub kind: Kind,
    /// Certificate policies, dotted: the leaf must be valid for at least one of them along its path (RFC 5280 section
    /// 6.1.1 (c)). Empty: none is asked for.
    #[serde(default, deserialize_with = "policies")]
    pub policies: Vec<String>,
    /// Whether a card must carry the directory attribute of its kind: without the digits of the national ID, a citizen's says no
    /// more of whose it is than a name, which others bear too. An organization always needs it.
    #[serde(default)]
    pub directory_attributes: Requirement,
    /// Where its revocation lists are: http(s) addresses, or files, relative to the folder of `issuers.toml`.
    #[serde(default)]
    pub crl: Vec<String>,
    /// SHA-256 of the certificate of the CA that signs its (indirect) lists; the issuer itself when there is none.
    #[serde(default, deserialize_with = "optional_fingerprint")]
    pub crl_signer_sha256: Option<String>,
    /// Its OCSP responder; none is asked when this is absent.
    #[serde(default)]
    pub ocsp: Option<OcspProfile>,
}

/// An issuer's OCSP responder: `[issuer.ocsp]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspProfile {
    /// Its http(s) address.
    #[serde(deserialize_with = "address")]
    pub url: String,
    /// Whether requests carry a nonce (RFC 9654), which the answer must repeat.
    #[serde(default = "yes")]
    pub nonce: bool,
    /// Whether a card is refused when the responder does not answer. A fresh list decides alone otherwise.
    #[serde(default)]
    pub required: bool,
}

impl IssuerProfile {
    /// CAs of one family continue each other's cards: a card with the same subject serial number, from any of them, is
    /// one card, renewed.
    pub fn family(&self) -> &str {
        self.family.as_deref().unwrap_or(&self.name)
    }
}

/// `issuers.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerProfiles {
    /// The pinned issuing CAs.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<IssuerProfile>,
}

/// Why `issuers.toml` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, or not of this form: an unknown key, a missing one, a wrong value.
    #[error("{0}")]
    Form(String),
    /// One CA has two profiles.
    #[error("{0} is pinned twice")]
    Twice(String),
}

impl IssuerProfiles {
    /// Reads `issuers.toml`.
    ///
    /// # Errors
    /// [`ProfileError`]; a wrong form is told with its line.
    pub fn parse(toml: &str) -> Result<Self, ProfileError> {
        let profiles: Self = toml::from_str(toml).map_err(|error| ProfileError::Form(error.to_string()))?;
        let mut seen = std::collections::BTreeSet::new();
        for profile in &profiles.issuers {
            if !seen.insert(&profile.certificate_sha256) {
                return Err(ProfileError::Twice(profile.certificate_sha256.clone()));
            }
        }
        Ok(profiles)
    }
}

fn yes() -> bool {
    true
}

fn fingerprint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?.to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err(de::Error::custom("a SHA-256 fingerprint has 64 hexadecimal digits"))
    }
}

fn optional_fingerprint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    fingerprint(deserializer).map(Some)
}

fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() { Err(de::Error::custom("a name cannot be empty")) } else { Ok(text) }
}

fn optional_filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    filled(deserializer).map(Some)
}

fn policies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let policies = Vec::<String>::deserialize(deserializer)?;
    for policy in &policies {
        if crate::der::object_identifier(policy).is_none() {
            return Err(de::Error::custom(format!("{policy:?} is not an object identifier")));
        }
    }
    Ok(policies)
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match url::Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(text),
        _ => Err(de::Error::custom(format!("{text:?} is not an http(s) address"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD";

    fn parse(body: &str) -> Result<IssuerProfiles, ProfileError> {
        IssuerProfiles::parse(&body.replace("FINGERPRINT", FINGERPRINT))
    }

    #[test]
    fn a_short_profile_and_a_full_one() {
        let short =
            "[[issuer]]\ncertificate_sha256 = \"FINGERPRINT\"\nname = \"MOICA G3\"\nkind = \"citizen\"\n";
        let profile = parse(short).unwrap().issuers.remove(0);
        assert_eq!(profile.certificate_sha256, FINGERPRINT.to_lowercase());
        assert_eq!(profile.family(), "MOICA G3");
        assert_eq!(profile.directory_attributes, Requirement::Required);
        assert!(profile.policies.is_empty() && profile.crl.is_empty() && profile.ocsp.is_none());

        let full = "[[issuer]]\ncertificate_sha256 = \"FINGERPRINT\"\nname = \"MOICA G3\"\nfamily = \"MOICA\"\n\
                    kind = \"citizen\"\npolicies = [\"2.16.886.1.100.0.3\"]\ndirectory_attributes = \"optional\"\n\
                    crl = [\"https://crl.test/a.crl\", \"b.crl\"]\ncrl_signer_sha256 = \"FINGERPRINT\"\n\
                    [issuer.ocsp]\nurl = \"http://ocsp.test/\"\nrequired = true\n";
        let profile = parse(full).unwrap().issuers.remove(0);
        assert_eq!((profile.family(), profile.crl.len()), ("MOICA", 2));
        assert_eq!(profile.directory_attributes, Requirement::Optional);
        let ocsp = profile.ocsp.unwrap();
        assert!(ocsp.nonce && ocsp.required);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let issuer = "[[issuer]]\ncertificate_sha256 = \"FINGERPRINT\"\nname = \"x\"\nkind = \"citizen\"\n";
        let rows = [
            ("not TOML", "[[issuer".to_owned(), "TOML parse error at line 1"),
            ("an unknown table", "[issuers]\n".to_owned(), "unknown field `issuers`"),
            ("an unknown key", format!("{issuer}policy = \"1.2.3\"\n"), "unknown field `policy`"),
            (
                "no name",
                "[[issuer]]\ncertificate_sha256 = \"FINGERPRINT\"\n".to_owned(),
                "missing field `name`",
            ),
            ("an empty name", issuer.replace("\"x\"", "\" \""), "a name cannot be empty"),
            ("another kind", issuer.replace("citizen", "robot"), "unknown variant `robot`"),
            ("a short fingerprint", issuer.replace("FINGERPRINT", "ABCD"), "64 hexadecimal digits"),
            (
                "a policy by name",
                format!("{issuer}policies = [\"any\"]\n"),
                "\"any\" is not an object identifier",
            ),
            (
                "an impossible policy",
                format!("{issuer}policies = [\"1.60.3\"]\n"),
                "is not an object identifier",
            ),
            (
                "a responder without http",
                format!("{issuer}[issuer.ocsp]\nurl = \"ldap://x\"\n"),
                "not an http(s) address",
            ),
            ("one CA twice", format!("{issuer}{issuer}"), "is pinned twice"),
        ];
        for (what, body, told) in rows {
            let error = parse(&body).unwrap_err().to_string();
            assert!(error.contains(told), "{what}: {error}");
        }
    }
}

//! The registered clients: the file `clients.toml`, which an operator reviews like code. Everything that is wrong with it
//! is told at once, at the start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use shared::language::Language;
use shared::oauth::{ClientId, Scope, Scopes};
use url::Url;

/// The file's name in its folder.
const FILE: &str = "clients.toml";

/// Hosts of a native app's own computer (RFC 8252 section 7.3). Not `localhost`, which may be somebody else's (section 8.3).
const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// Most secrets or keys of a client: the current one, and the next one while they change.
const MOST_CREDENTIALS: usize = 2;

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    name: Name,
    redirect_uris: Vec<RedirectUri>,
    post_logout_redirect_uris: Vec<RedirectUri>,
    /// What its tokens may do, at most.
    pub scopes: Scopes,
    /// How it proves itself when it exchanges a code.
    pub authentication: Authentication,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    #[serde(rename = "zh-TW")]
    zh_tw: String,
    en: String,
}

/// How a client proves itself, beside the proof key that all of them have (RFC 7636).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Not: an app or a page can keep no secret.
    None,
    /// By a secret, of which the SHA-256 is known, in hex.
    Secret {
        /// The digests.
        digests: Vec<String>,
    },
    /// By a key of its own (RFC 7523), of which the public part is known.
    Key {
        /// The keys.
        keys: Vec<ClientKey>,
    },
}

/// A client's public key on P-256, as a JWK has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// The key's id, in the header of what it signs.
    pub kid: String,
    /// The point's x, base64url.
    pub x: String,
    /// The point's y, base64url.
    pub y: String,
}

/// An address that codes may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RedirectUri {
    /// This one, character by character.
    Exact(String),
    /// On the computer's loopback, at any port: where a native app happens to listen.
    Loopback { origin: &'static str, rest: String },
}

/// Why an address cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum RedirectRefusal {
    #[error("is no absolute URI in its normal form")]
    Malformed,
    #[error("has a wildcard; every address has to be written out")]
    Wildcard,
    #[error("has a fragment")]
    Fragment,
    #[error("has a user name or password")]
    Credentials,
    #[error("is neither https nor on http://127.0.0.1 or http://[::1]")]
    Scheme,
    #[error("is on loopback with a port; leave the port out, any port is accepted")]
    LoopbackPort,
}

impl RedirectUri {
    fn register(text: &str) -> Result<Self, RedirectRefusal> {
        if text.contains('*') {
            return Err(RedirectRefusal::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| RedirectRefusal::Malformed)?;
        if url.as_str() != text || !url.has_host() {
            return Err(RedirectRefusal::Malformed);
        }
        if url.fragment().is_some() {
            return Err(RedirectRefusal::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectRefusal::Credentials);
        }
        if url.scheme() == "https" {
            return Ok(Self::Exact(text.to_owned()));
        }
        let loopback = LOOPBACK.iter().find_map(|origin| Some((*origin, text.strip_prefix(origin)?)));
        match loopback {
            Some((_, rest)) if rest.starts_with(':') => Err(RedirectRefusal::LoopbackPort),
            Some((origin, rest)) if rest.starts_with('/') => {
                Ok(Self::Loopback { origin, rest: rest.to_owned() })
            }
            _ => Err(RedirectRefusal::Scheme),
        }
    }

    fn matches(&self, asked: &str) -> bool {
        match self {
            Self::Exact(registered) => asked == registered,
            Self::Loopback { origin, rest } => {
                let Some(after) = asked.strip_prefix(origin) else { return false };
                let after = match after.strip_prefix(':') {
                    None => after,
                    Some(after) => {
                        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
                        let (port, after) = after.split_at(digits);
                        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
                            return false;
                        }
                        after
                    }
                };
                after == rest
            }
        }
    }
}

impl Client {
    /// The name that people know it by.
    pub fn name(&self, language: Language) -> &str {
        match language {
            Language::ZhTw => &self.name.zh_tw,
            Language::En => &self.name.en,
        }
    }

    /// Whether codes may be sent to this address.
    pub fn may_return_to(&self, redirect_uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered.matches(redirect_uri))
    }

    /// Whether a person may be sent to this address after signing out.
    pub fn may_leave_to(&self, redirect_uri: &str) -> bool {
        self.post_logout_redirect_uris.iter().any(|registered| registered.matches(redirect_uri))
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Clients(BTreeMap<ClientId, Client>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    client: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: Name,
    redirect_uris: Vec<String>,
    #[serde(default)]
    post_logout_redirect_uris: Vec<String>,
    scopes: String,
    authentication: Kind,
    #[serde(default)]
    secrets_sha256: Vec<String>,
    #[serde(default)]
    keys: Vec<ClientKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    None,
    Secret,
    Key,
}

impl Clients {
    /// Reads `clients.toml` in a folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, a sentence each.
    pub fn load(folder: &Path) -> Result<Self, Vec<String>> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| vec![format!("CLIENTS_DIR: {}: {error}", path.display())])?;
        Self::parse(&text)
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// Everything that is wrong with it, a sentence each.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: File =
            toml::from_str(text).map_err(|error| vec![format!("{FILE}: {}", error.to_string().trim())])?;
        let mut problems = Vec::new();
        let mut clients = BTreeMap::new();
        for entry in file.client {
            let id = entry.id.clone();
            match entry.check() {
                Ok(client) => {
                    if clients.insert(client.id.clone(), client).is_some() {
                        problems.push(format!("{FILE}: {id}: there are two of that id"));
                    }
                }
                Err(found) => {
                    problems.extend(found.into_iter().map(|what| format!("{FILE}: {id:?}: {what}")))
                }
            }
        }
        if problems.is_empty() { Ok(Self(clients)) } else { Err(problems) }
    }

    /// The client of that id.
    pub fn get(&self, id: &str) -> Option<&Client> {
        self.0.get(&ClientId::parse(id).ok()?)
    }

    /// All of them, in the order of their ids.
    pub fn all(&self) -> impl Iterator<Item = &Client> {
        self.0.values()
    }
}

impl Entry {
    fn check(self) -> Result<Client, Vec<String>> {
        let mut problems = Vec::new();
        let id = ClientId::parse(&self.id).map_err(|error| problems.push(error.to_string())).ok();
        for (language, name) in [("zh-TW", &self.name.zh_tw), ("en", &self.name.en)] {
            if name.trim().is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
                problems.push(format!("name.{language} has to have 1 to 60 characters"));
            }
        }
        let mut registered = |key: &str, texts: &[String]| -> Vec<RedirectUri> {
            let mut uris = Vec::new();
            for text in texts {
                match RedirectUri::register(text) {
                    Ok(uri) => uris.push(uri),
                    Err(refusal) => problems.push(format!("{key}: {text:?} {refusal}")),
                }
            }
            uris
        };
        let redirect_uris = registered("redirect_uris", &self.redirect_uris);
        let post_logout_redirect_uris =
            registered("post_logout_redirect_uris", &self.post_logout_redirect_uris);
        if self.redirect_uris.is_empty() {
            problems.push("redirect_uris: there is none".to_owned());
        }
        let native = redirect_uris.iter().any(|uri| matches!(uri, RedirectUri::Loopback { .. }));
        if native && self.authentication != Kind::None {
            problems.push(
                "redirect_uris: an app on loopback can keep no secret (authentication = \"none\")".to_owned(),
            );
        }
        let scopes = Scopes::parse(&self.scopes)
            .map_err(|_| problems.push(format!("scopes: {:?} has one that does not exist", self.scopes)))
            .unwrap_or_default();
        if !scopes.contain(Scope::OpenId) {
            problems.push("scopes: openid is missing".to_owned());
        }
        let authentication = self.authentication(&mut problems);
        match id {
            Some(id) if problems.is_empty() => {
                let name = self.name;
                Ok(Client { id, name, redirect_uris, post_logout_redirect_uris, scopes, authentication })
            }
            _ => Err(problems),
        }
    }

    fn authentication(&self, problems: &mut Vec<String>) -> Authentication {
        let (secrets, keys) = (&self.secrets_sha256, &self.keys);
        let few = |count: usize| (1..=MOST_CREDENTIALS).contains(&count);
        let (wants_secrets, wants_keys) =
            (self.authentication == Kind::Secret, self.authentication == Kind::Key);
        for (wants, name, count) in
            [(wants_secrets, "secrets_sha256", secrets.len()), (wants_keys, "keys", keys.len())]
        {
            if wants && !few(count) {
                problems.push(format!("{name}: there have to be 1 or {MOST_CREDENTIALS}"));
            }
            if !wants && count > 0 {
                problems.push(format!("{name}: not with this authentication"));
            }
        }
        let digest = |text: &String| {
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if !secrets.iter().all(digest) {
            problems.push("secrets_sha256: a SHA-256 has 64 digits from 0 to 9 and a to f".to_owned());
        }
        let kids: BTreeSet<&str> = keys.iter().map(|key| key.kid.as_str()).collect();
        if kids.len() != keys.len() || kids.contains("") {
            problems.push("keys: every key has a kid of its own".to_owned());
        }
        for key in keys {
            if !key.is_on_p256() {
                problems.push(format!("keys: {:?} is no point on P-256", key.kid));
            }
        }
        match self.authentication {
            Kind::None => Authentication::None,
            Kind::Secret => Authentication::Secret { digests: secrets.clone() },
            Kind::Key => Authentication::Key { keys: keys.clone() },
        }
    }
}

impl ClientKey {
    fn is_on_p256(&self) -> bool {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let coordinates = [&self.x, &self.y].map(|text| URL_SAFE_NO_PAD.decode(text).unwrap_or_default());
        let point = [vec![4], coordinates.concat()].concat();
        point.len() == 65 && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";

    fn file(change: (&str, &str)) -> String {
        let text = format!(
            r#"
            [[client]]
            id = "hr-portal"
            name = {{ zh-TW = "人事作業入口", en = "HR portal" }}
            redirect_uris = ["https://hr.example.gov.tw/callback"]
            scopes = "openid hr.search"
            authentication = "secret"
            secrets_sha256 = ["{DIGEST}"]
            "#
        );
        assert!(text.contains(change.0), "{change:?}");
        text.replacen(change.0, change.1, 1)
    }

    #[test]
    fn a_good_file() {
        let clients = Clients::parse(&file(("", ""))).unwrap();
        let client = clients.get("hr-portal").unwrap();
        assert_eq!((client.name(Language::ZhTw), client.name(Language::En)), ("人事作業入口", "HR portal"));
        assert_eq!(client.authentication, Authentication::Secret { digests: vec![DIGEST.to_owned()] });
        assert_eq!(client.scopes.to_string(), "openid hr.search");
        assert!(clients.get("other").is_none() && clients.get("").is_none());
        assert!(Clients::parse("").unwrap().get("hr-portal").is_none(), "no client is no mistake");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let rows = [
            (("hr-portal", "hr portal"), "a client's id has"),
            (("\"HR portal\"", "\"\""), "name.en"),
            (("\"HR portal\" }", "\"HR portal\", ja = \"x\" }"), "unknown field `ja`"),
            (("\"https://hr.example.gov.tw/callback\"", ""), "there is none"),
            (("https://", "http://"), "is neither https nor"),
            (("callback", "*"), "wildcard"),
            (
                ("scopes", "post_logout_redirect_uris = [\"http://hr.example/\"]\nscopes"),
                "post_logout_redirect_uris: ",
            ),
            (("openid ", ""), "openid is missing"),
            (("hr.search", "hr.delete"), "does not exist"),
            (("\"secret\"", "\"none\""), "secrets_sha256: not with this authentication"),
            (("\"secret\"", "\"password\""), "unknown variant"),
            (("\"secret\"", "\"key\""), "keys: there have to be"),
            ((DIGEST, "hunter2"), "a SHA-256 has 64 digits"),
            (("https://hr.example.gov.tw/callback", "http://127.0.0.1/callback"), "can keep no secret"),
            (("authentication", "authentification"), "unknown field"),
            (
                (
                    "authentication = \"secret\"",
                    "authentication = \"key\"\nkeys = [{ kid = \"1\", x = \"AA\", y = \"AA\" }]",
                ),
                "no point on P-256",
            ),
        ];
        for (change, expected) in rows {
            let problems = Clients::parse(&file(change)).unwrap_err().join("; ");
            assert!(problems.contains(expected), "{change:?}: {problems}");
        }
        let twice = file(("", "")).repeat(2);
        assert_eq!(
            Clients::parse(&twice).unwrap_err(),
            ["clients.toml: hr-portal: there are two of that id"]
        );
        let many = file(("https://", "http://")).replace("openid ", "").replace(DIGEST, "short");
        assert_eq!(Clients::parse(&many).unwrap_err().len(), 3, "all of them at once");
    }

    #[test]
    fn addresses_that_can_be_registered() {
        use RedirectRefusal::{Credentials, Fragment, LoopbackPort, Malformed, Scheme, Wildcard};
        let rows = [
            ("https://hr.example.gov.tw/callback", Ok(())),
            ("https://hr.example.gov.tw/", Ok(())),
            ("https://hr.example.gov.tw:8443/cb?tenant=1", Ok(())),
            ("http://127.0.0.1/callback", Ok(())),
            ("http://[::1]/", Ok(())),
            ("https://hr.example.gov.tw", Err(Malformed)),
            ("https://HR.example.gov.tw/", Err(Malformed)),
            ("https://hr.example.gov.tw:443/", Err(Malformed)),
            ("https://hr.example.gov.tw/a/../b", Err(Malformed)),
            ("https://hr.example.gov.tw/ b", Err(Malformed)),
            ("/callback", Err(Malformed)),
            ("urn:ietf:wg:oauth:2.0:oob", Err(Malformed)),
            ("https://*.example.gov.tw/", Err(Wildcard)),
            ("https://hr.example.gov.tw/#a", Err(Fragment)),
            ("https://u:p@hr.example.gov.tw/", Err(Credentials)),
            ("http://hr.example.gov.tw/", Err(Scheme)),
            ("http://localhost/callback", Err(Scheme)),
            ("http://127.0.0.1.evil.example/", Err(Scheme)),
            ("http://127.0.0.2/", Err(Scheme)),
            ("tw.gov.example.app:/callback", Err(Malformed)),
            ("tw.gov.example.app://host/callback", Err(Scheme)),
            ("http://127.0.0.1:8000/callback", Err(LoopbackPort)),
        ];
        for (text, expected) in rows {
            assert_eq!(RedirectUri::register(text).map(drop), expected, "{text}");
        }
    }

    #[test]
    fn addresses_match_exactly_but_for_the_port_on_loopback() {
        let https = "https://hr.example.gov.tw/callback";
        let rows = [
            (https, https, true),
            (https, "https://hr.example.gov.tw/callback/", false),
            (https, "https://hr.example.gov.tw/callback?x=1", false),
            (https, "https://hr.example.gov.tw/callback#x", false),
            (https, "https://hr.example.gov.tw:443/callback", false),
            (https, "https://HR.example.gov.tw/callback", false),
            (https, "https://hr.example.gov.tw/Callback", false),
            (https, "https://hr.example.gov.tw/%63allback", false),
            (https, "http://hr.example.gov.tw/callback", false),
            (https, "https://hr.example.gov.tw.evil.example/callback", false),
            (https, "https://evil.example/?https://hr.example.gov.tw/callback", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1/cb", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65535/cb", true),
            ("http://[::1]/cb", "http://[::1]:4000/cb", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:4000/other", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:4000/cb/..", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://localhost:4000/cb", false),
            ("http://127.0.0.1/cb", "http://[::1]:4000/cb", false),
            ("http://127.0.0.1/cb", "https://127.0.0.1:4000/cb", false),
        ];
        for (registered, asked, expected) in rows {
            assert_eq!(RedirectUri::register(registered).unwrap().matches(asked), expected, "{asked}");
        }
    }
}

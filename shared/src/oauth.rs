//! OAuth 2.0 and OpenID Connect, as far as the functions share them: who a client is, what its tokens may do (scopes), how
//! strongly somebody has signed in (`acr`), and what an act may ask for beyond a session (step-up, RFC 9470).
//!
//! # Adding an endpoint for clients
//! A row in [`ROUTES`], and the same scope in the operation's `security` in `infra/openapi.yaml`. A route without a row is
//! closed to clients, whatever their scopes: nothing is open by oversight.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::environment::Settings;
use crate::session::{Method, Session};

/// The id of a registered client: up to 64 of the letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

/// The text is no client's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client's id has 1 to 64 letters, digits, dots, underscores and hyphens")]
pub struct NotAClientId;

impl ClientId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`NotAClientId`].
    pub fn parse(text: &str) -> Result<Self, NotAClientId> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(good);
        fits.then(|| Self(text.to_owned())).ok_or(NotAClientId)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = NotAClientId;

    fn try_from(text: String) -> Result<Self, NotAClientId> {
        Self::parse(&text)
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! scopes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What a client's token may do, at most: what its holder may not do, no scope allows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope { $($(#[$doc])* $variant,)* }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in requests, tokens and the clients' file.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

scopes! {
    /// An ID token, `/userinfo`, and signing out.
    OpenId = "openid";
    /// Name, account, agency and roles, at `/userinfo` and `/v1/session`.
    Profile = "profile";
    /// Looking employees up.
    HrSearch = "hr.search";
    /// Resetting passwords, one by one and by file, and what became of the mails.
    HrReset = "hr.reset";
    /// Seeing and unbinding the cards of others.
    HrCards = "hr.cards";
    /// Reading the audit trail.
    HrAudit = "hr.audit";
    /// Who may reset whom: reading and changing it.
    HrAuthorizations = "hr.authorizations";
}

/// What a client's token needs for which route, by the route's key.
pub const ROUTES: &[(&str, Scope)] = &[
    ("GET /userinfo", Scope::OpenId),
    ("POST /userinfo", Scope::OpenId),
    ("GET /v1/session", Scope::Profile),
    ("DELETE /v1/session", Scope::OpenId),
    ("POST /v1/hr/employees/search", Scope::HrSearch),
    ("POST /v1/hr/employees/password-reset", Scope::HrReset),
    ("POST /v1/hr/employees/cards", Scope::HrCards),
    ("POST /v1/hr/employees/cards/unbind", Scope::HrCards),
    ("GET /v1/hr/password-resets/{reset_id}", Scope::HrReset),
    ("POST /v1/hr/password-resets/{reset_id}/resend", Scope::HrReset),
    ("GET /v1/hr/password-resets", Scope::HrReset),
    ("POST /v1/hr/bulk-resets", Scope::HrReset),
    ("GET /v1/hr/bulk-resets/{bulk_id}", Scope::HrReset),
    ("GET /v1/hr/bulk-resets/{bulk_id}/rows", Scope::HrReset),
    ("POST /v1/hr/bulk-resets/{bulk_id}/confirm", Scope::HrReset),
    ("GET /v1/hr/bulk-resets/{bulk_id}/result", Scope::HrReset),
    ("DELETE /v1/hr/bulk-resets/{bulk_id}", Scope::HrReset),
    ("GET /v1/hr/audit", Scope::HrAudit),
    ("GET /v1/hr/authorizations", Scope::HrAuthorizations),
    ("GET /v1/hr/authorizations/{authorization_id}", Scope::HrAuthorizations),
    ("PUT /v1/hr/authorizations/{authorization_id}", Scope::HrAuthorizations),
    ("DELETE /v1/hr/authorizations/{authorization_id}", Scope::HrAuthorizations),
    ("POST /v1/hr/authorizations/{authorization_id}/accept", Scope::HrAuthorizations),
    ("POST /v1/hr/authorizations/{authorization_id}/refuse", Scope::HrAuthorizations),
    ("POST /v1/hr/authorizations/{authorization_id}/withdraw", Scope::HrAuthorizations),
];

impl Scope {
    /// The scope of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name)
    }

    /// What a client's token needs for a route; nothing for one that is closed to clients.
    pub fn of_route(key: &str) -> Option<Self> {
        ROUTES.iter().find(|(route, _)| *route == key).map(|(_, scope)| *scope)
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes(BTreeSet<Scope>);

/// A scope that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such scope")]
pub struct UnknownScope;

impl Scopes {
    /// Reads scopes with a space between each two (RFC 6749 section 3.3).
    ///
    /// # Errors
    /// [`UnknownScope`].
    pub fn parse(text: &str) -> Result<Self, UnknownScope> {
        let names = text.split(' ').filter(|name| !name.is_empty());
        names.map(|name| Scope::named(name).ok_or(UnknownScope)).collect::<Result<_, _>>().map(Self)
    }

    /// Reads those scopes of a request that there are. Others are passed over (OpenID Connect Core 1.0, section 3.1.2.1): many
    /// applications ask for `email` or `offline_access` and cannot be told otherwise.
    pub fn understood(text: &str) -> Self {
        text.split(' ').filter_map(Scope::named).collect()
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// Whether a scope is among them.
    pub fn contain(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether all of them are among `others`.
    pub fn are_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Scopes {
    type Error = UnknownScope;

    fn try_from(text: String) -> Result<Self, UnknownScope> {
        Self::parse(&text)
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(" "))
    }
}

/// What a browser's session has been lent to a client for: the part of a token's session that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// To whom.
    pub client: ClientId,
    /// For what.
    pub scopes: Scopes,
    /// The digest of the browser's session: signing out there ends this one.
    pub parent: String,
}

/// How strongly somebody has signed in: `acr` in tokens. The weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acr {
    /// With a password.
    Password,
    /// With a smart card and its PIN.
    Card,
}

impl Acr {
    /// All of them, the weaker first.
    pub const ALL: &'static [Self] = &[Self::Password, Self::Card];

    /// What a method of signing in comes to.
    pub fn of(method: Method) -> Self {
        match method {
            Method::Card => Self::Card,
            Method::Password => Self::Password,
        }
    }

    /// The name in requests and tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "urn:first-sign-in:password",
            Self::Card => "urn:first-sign-in:card",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|acr| acr.name() == name)
    }
}

/// Whether an act needs a sign-in by card that is so recent; it does not by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    within: Option<SignedDuration>,
}

/// The session was not opened by a card, or too long ago for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this needs a sign-in by card within {} s", .within.as_secs())]
pub struct StepUpRequired {
    /// How long ago it may be.
    pub within: SignedDuration,
}

impl StepUp {
    /// A sign-in by card at most so long ago; 0 asks for nothing.
    pub fn within(time: SignedDuration) -> Self {
        Self { within: time.is_positive().then_some(time) }
    }

    /// Reads it from a variable in seconds; 0, or no variable, asks for nothing.
    pub fn read(settings: &mut Settings<'_>, name: &str) -> Self {
        Self::within(SignedDuration::from_secs(settings.parsed(name, 0_u32).into()))
    }

    /// Whether a session is enough.
    ///
    /// # Errors
    /// [`StepUpRequired`].
    pub fn check(self, session: &Session, now: Timestamp) -> Result<(), StepUpRequired> {
        match self.within {
            Some(within) if !session.is_fresh_card(now, within) => Err(StepUpRequired { within }),
            _ => Ok(()),
        }
    }
}

/// What a refusal tells a client to do, in the header `WWW-Authenticate` (RFC 6750 section 3, RFC 9470).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// The token is over, ended or none of ours: get another.
    InvalidToken,
    /// The token is good, but not for this: ask for this scope, if there is one.
    InsufficientScope(Option<Scope>),
    /// Sign in again, by card.
    StepUp(StepUpRequired),
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidToken => f.write_str("error=\"invalid_token\""),
            Self::InsufficientScope(None) => f.write_str("error=\"insufficient_scope\""),
            Self::InsufficientScope(Some(scope)) => {
                write!(f, "error=\"insufficient_scope\", scope=\"{}\"", scope.name())
            }
            Self::StepUp(StepUpRequired { within }) => write!(
                f,
                "error=\"insufficient_user_authentication\", acr_values=\"{}\", max_age={}",
                Acr::Card.name(),
                within.as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Seen;
    use crate::pseudonym::PersonId;
    use crate::session::{Carrier, Proof, Subject};

    #[test]
    fn scopes_are_read_and_written() {
        let rows = [
            ("openid", Some("openid")),
            ("hr.reset openid hr.reset", Some("openid hr.reset")),
            ("  openid   profile ", Some("openid profile")),
            ("", Some("")),
            ("openid email", None),
            ("OPENID", None),
            ("openid\tprofile", None),
        ];
        for (text, expected) in rows {
            let read = Scopes::parse(text).ok().map(|scopes| scopes.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
        for (asked, understood) in [
            ("openid profile email", "openid profile"),
            ("openid offline_access address phone", "openid"),
            ("OPENID openid\tprofile", ""),
            ("email", ""),
        ] {
            assert_eq!(Scopes::understood(asked).to_string(), understood, "{asked:?}");
        }
        let (few, many) = (Scopes::parse("openid").unwrap(), Scopes::parse("openid hr.search").unwrap());
        assert!(few.are_within(&many) && !many.are_within(&few));
        assert!(many.contain(Scope::HrSearch) && !few.contain(Scope::HrSearch));
    }

    #[test]
    fn a_route_without_a_row_is_closed_to_clients() {
        let rows = [
            ("POST /v1/hr/employees/search", Some(Scope::HrSearch)),
            ("GET /v1/session", Some(Scope::Profile)),
            ("POST /v1/session/token", None),
            ("POST /v1/account/password", None),
            ("PUT /v1/account/email", None),
            ("POST /v1/authorization", None),
            ("", None),
        ];
        for (key, expected) in rows {
            assert_eq!(Scope::of_route(key), expected, "{key}");
        }
    }

    #[test]
    fn ids_of_clients() {
        for good in ["a", "hr-portal", "HR_portal.2", &"x".repeat(64)] {
            assert!(ClientId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "人事", "a\"b", &"x".repeat(65)] {
            assert_eq!(ClientId::parse(bad), Err(NotAClientId), "{bad}");
        }
    }

    #[test]
    fn a_step_up_asks_for_a_card_and_a_recent_one() {
        let start: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let certificate = format!("{}#1f", "a".repeat(64)).parse().unwrap();
        let session = |proof| {
            let person = Subject::Person(PersonId::from_stored("p"));
            Session::open(person, Carrier::Cookie, proof, 0, start)
        };
        let card = session(Proof::Card(Seen { certificate, at: start }));
        let password = session(Proof::Password);
        let five = SignedDuration::from_mins(5);
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        let required = Err(StepUpRequired { within: five });
        let rows = [
            ("a card, at once", &card, StepUp::within(five), at(0), Ok(())),
            ("a card, in time", &card, StepUp::within(five), at(299), Ok(())),
            ("a card, too long ago", &card, StepUp::within(five), at(300), required),
            ("a password, at once", &password, StepUp::within(five), at(0), required),
            ("a password, nothing asked for", &password, StepUp::default(), at(9000), Ok(())),
            ("a card, none asked for", &card, StepUp::within(SignedDuration::ZERO), at(9000), Ok(())),
        ];
        for (what, session, step_up, now, expected) in rows {
            assert_eq!(step_up.check(session, now), expected, "{what}");
        }
    }

    #[test]
    fn challenges() {
        let within = SignedDuration::from_mins(5);
        let rows = [
            (Challenge::InvalidToken, r#"error="invalid_token""#),
            (Challenge::InsufficientScope(None), r#"error="insufficient_scope""#),
            (
                Challenge::InsufficientScope(Some(Scope::HrReset)),
                r#"error="insufficient_scope", scope="hr.reset""#,
            ),
            (
                Challenge::StepUp(StepUpRequired { within }),
                r#"error="insufficient_user_authentication", acr_values="urn:first-sign-in:card", max_age=300"#,
            ),
        ];
        for (challenge, expected) in rows {
            assert_eq!(challenge.to_string(), expected);
        }
    }
}

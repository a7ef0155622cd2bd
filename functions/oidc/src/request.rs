//! An authorization request (OpenID Connect Core 1.0, section 3.1.2), and what it takes to grant it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::oauth::{Acr, Scope, Scopes};
use shared::problem::{Code, Problem};
use shared::session::Session;
use shared::ticket::Challenge;
use url::Url;

use crate::client::{Authentication, Client, Clients};
use crate::parameters::{Parameters, Repeated};

/// Most bytes of a request.
pub const LONGEST: usize = 8 * 1024;

/// Most characters of a nonce: it is stored with the code, and comes back in the ID token.
const LONGEST_NONCE: usize = 512;

/// How long somebody may take to sign in for a request.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// How far the clock of the function that is asked now may be behind that of the one that was asked first.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// How old a sign-in may be that was made for the request, where the request wants a new one: the way back takes a moment. No
/// longer, because it is the page that says since when the request waits.
const WAY_BACK: SignedDuration = SignedDuration::from_secs(60);

/// A request of a registered client, to be answered at a registered address.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest<'c> {
    /// The client.
    pub client: &'c Client,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What comes back with the answer.
    pub state: Option<String>,
    /// What the client may do.
    pub scopes: Scopes,
    /// What the code's verifier must hash to.
    pub challenge: Challenge,
    /// What comes back in the ID token.
    pub nonce: Option<String>,
    prompt: BTreeSet<Prompt>,
    max_age: Option<SignedDuration>,
    acr: Acr,
    /// Whom the client takes it to be, from an earlier ID token.
    subject: Option<String>,
}

/// What the client wants the person to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Prompt {
    None,
    Login,
    Consent,
    SelectAccount,
}

/// An error as the client hears of it (RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A parameter is missing, malformed, there twice, or not supported.
    InvalidRequest(&'static str),
    /// Another flow than that with a code.
    UnsupportedResponseType,
    /// A scope that is not the client's, or no `openid`.
    InvalidScope,
    /// A request object.
    RequestNotSupported,
    /// A reference to one.
    RequestUriNotSupported,
    /// A registration by request.
    RegistrationNotSupported,
    /// No kind of sign-in is as strong as the request wants it.
    UnmetAuthenticationRequirements,
    /// Nobody may be asked, and it does not go without.
    LoginRequired,
    /// Nobody may be asked, and the person has not agreed before.
    ConsentRequired,
    /// The person does not want to.
    AccessDenied,
}

impl Refusal {
    /// The error's name.
    pub fn error(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::AccessDenied => "access_denied",
        }
    }

    /// What a developer reads.
    pub fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest(what) => what,
            Self::UnsupportedResponseType => "response_type has to be code",
            Self::InvalidScope => "scope needs openid, and may have what the client is registered for",
            Self::RequestNotSupported => "request objects are not supported",
            Self::RequestUriNotSupported => "request objects are not supported, by reference either",
            Self::RegistrationNotSupported => "clients are registered by the operator",
            Self::UnmetAuthenticationRequirements => "none of acr_values is one of acr_values_supported",
            Self::LoginRequired => "the person has to sign in, which prompt=none does not allow",
            Self::ConsentRequired => "the person has to agree first, which prompt=none does not allow",
            Self::AccessDenied => "the person went back",
        }
    }

    /// The code for our log.
    fn code(self) -> Code {
        match self {
            Self::LoginRequired => Code::SessionRequired,
            Self::ConsentRequired | Self::AccessDenied => Code::NotAuthorized,
            _ => Code::RequestInvalid,
        }
    }
}

impl From<Repeated> for Refusal {
    fn from(_: Repeated) -> Self {
        Self::InvalidRequest("a parameter came more than once")
    }
}

/// Where an answer of the client's goes, once it is known that it may go there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    redirect_uri: String,
    state: Option<String>,
}

impl Return {
    /// The address of the answer that brings a code. `iss` tells a client of several servers which one answers (RFC 9207).
    pub fn with_code(&self, code: &str, issuer: &str) -> String {
        self.address(&[("code", code)], issuer)
    }

    /// The address of the answer that refuses.
    pub fn with_error(&self, refusal: Refusal, issuer: &str) -> String {
        self.address(&[("error", refusal.error()), ("error_description", refusal.description())], issuer)
    }

    fn address(&self, answer: &[(&str, &str)], issuer: &str) -> String {
        // A registered address parses; a loopback one with another port does as well.
        let Ok(mut url) = Url::parse(&self.redirect_uri) else { return issuer.to_owned() };
        let mut pairs = url.query_pairs_mut();
        pairs.extend_pairs(answer);
        if let Some(state) = &self.state {
            pairs.append_pair("state", state);
        }
        pairs.append_pair("iss", issuer);
        drop(pairs);
        url.into()
    }
}

/// Why a request is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The person is told, and nobody is sent anywhere: it is not known whose request it is, or where its answer may go.
    Here(Problem),
    /// The client is told.
    There(Return, Refusal),
}

impl Rejected {
    /// The problem for our log.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Here(problem) => problem.clone(),
            Self::There(_, refusal) => Problem::new(refusal.code()).because(format_args!(
                "{}: {}",
                refusal.error(),
                refusal.description()
            )),
        }
    }
}

impl<'c> AuthorizationRequest<'c> {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Rejected`]. First it is settled who asks and where an answer may go; before that nothing is sent anywhere.
    pub fn parse(parameters: &Parameters, clients: &'c Clients) -> Result<Self, Rejected> {
        let unknown = |why: &str| Rejected::Here(Problem::new(Code::ClientUnknown).because(why));
        let refused = |why: &str| Rejected::Here(Problem::new(Code::RedirectRefused).because(why));
        let id = parameters.get("client_id").map_err(|repeated| unknown(&repeated.to_string()))?;
        let client = id.and_then(|id| clients.get(id)).ok_or_else(|| unknown("no registered client"))?;
        let redirect_uri =
            parameters.get("redirect_uri").map_err(|repeated| refused(&repeated.to_string()))?;
        let redirect_uri = redirect_uri
            .filter(|uri| client.may_return_to(uri))
            .ok_or_else(|| refused("not a registered redirect URI"))?
            .to_owned();
        let state = parameters.get("state").ok().flatten().map(str::to_owned);
        let there = Return { redirect_uri: redirect_uri.clone(), state: state.clone() };
        let rest = Self::rest(parameters, client, redirect_uri, state);
        rest.map_err(|refusal| Rejected::There(there, refusal))
    }

    fn rest(
        parameters: &Parameters,
        client: &'c Client,
        redirect_uri: String,
        state: Option<String>,
    ) -> Result<Self, Refusal> {
        let invalid = Refusal::InvalidRequest;
        parameters.get("state")?;
        for (name, refusal) in [
            ("request", Refusal::RequestNotSupported),
            ("request_uri", Refusal::RequestUriNotSupported),
            ("registration", Refusal::RegistrationNotSupported),
            ("claims", invalid("claims is not supported; acr_values and max_age are")),
        ] {
            if parameters.has(name) {
                return Err(refusal);
            }
        }
        match parameters.get("response_type")? {
            Some("code") => {}
            Some(_) => return Err(Refusal::UnsupportedResponseType),
            None => return Err(invalid("response_type is missing")),
        }
        if parameters.get("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(invalid("response_mode has to be query"));
        }
        let scopes = Scopes::understood(parameters.get("scope")?.unwrap_or_default());
        if !scopes.contain(Scope::OpenId) || !scopes.are_within(&client.scopes) {
            return Err(Refusal::InvalidScope);
        }
        // RFC 7636: without a method it would be `plain`, which protects from nobody who sees the request.
        if parameters.get("code_challenge_method")? != Some("S256") {
            return Err(invalid("code_challenge_method has to be S256"));
        }
        let challenge = parameters.get("code_challenge")?.and_then(Challenge::parse);
        let challenge = challenge.ok_or(invalid("code_challenge is missing or not that of S256"))?;
        let nonce = parameters.get("nonce")?.map(str::to_owned);
        if nonce.as_ref().is_some_and(|nonce| nonce.chars().count() > LONGEST_NONCE) {
            return Err(invalid("nonce is too long"));
        }
        let max_age = match parameters.get("max_age")? {
            None => None,
            Some(text) => {
                let seconds = text.parse::<u32>().map_err(|_| invalid("max_age is no number of seconds"))?;
                Some(SignedDuration::from_secs(seconds.into()))
            }
        };
        let subject = parameters.get("id_token_hint")?.map(subject_of);
        let subject = subject.map(|hint| hint.ok_or(invalid("id_token_hint is no ID token"))).transpose()?;
        Ok(Self {
            client,
            redirect_uri,
            state,
            scopes,
            challenge,
            nonce,
            prompt: prompts(parameters.get("prompt")?.unwrap_or_default())?,
            max_age,
            acr: weakest(parameters.get("acr_values")?)?,
            subject,
        })
    }

    /// Where the answer goes.
    pub fn answer(&self) -> Return {
        Return { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }

    /// Whether it is granted to nobody who has not agreed before: nobody may be asked, and the client proves itself by nothing,
    /// so that another program on the person's computer may be behind it (RFC 8252 section 8.6).
    pub fn needs_former_consent(&self) -> bool {
        self.prompt.contains(&Prompt::None) && self.client.authentication == Authentication::None
    }

    /// What the request comes to, for who is signed in now, if anybody is. It was made at `asked_at`; the person may have
    /// agreed now, on the page, or before.
    pub fn decide(
        &self,
        session: Option<&Session>,
        asked_at: Timestamp,
        agreed: Agreed,
        now: Timestamp,
    ) -> Decision {
        let silent = self.prompt.contains(&Prompt::None);
        let sign_in = |why| match silent {
            true => Decision::Refuse(Refusal::LoginRequired),
            false => Decision::SignIn { why, by_card: self.acr == Acr::Card },
        };
        let Some(session) = session else { return sign_in(Why::Nobody) };
        if self.subject.as_ref().is_some_and(|subject| *subject != session.subject.to_string()) {
            return sign_in(Why::SomebodyElse);
        }
        if Acr::of(session.proof.method()) < self.acr {
            return sign_in(Why::TooWeak);
        }
        let made_for_this = session.authenticated_at >= asked_at;
        let age = now.duration_since(session.authenticated_at);
        let new = made_for_this && age <= WAY_BACK;
        let young = self.max_age.is_none_or(|most| age <= most || new);
        if !young || (self.prompt.contains(&Prompt::Login) && !new) {
            return sign_in(Why::TooOld);
        }
        if silent {
            // Nobody was asked, so nobody can have agreed now.
            return match self.needs_former_consent() && agreed != Agreed::Before {
                true => Decision::Refuse(Refusal::ConsentRequired),
                false => Decision::Grant,
            };
        }
        // It is the page that says since when the request waits, so an old sign-in is none that was made for it.
        if agreed == Agreed::Now || (new && !self.prompt.contains(&Prompt::Consent)) {
            Decision::Grant
        } else {
            Decision::Ask
        }
    }
}

/// Whether the person has agreed to what a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// Not that we know of.
    No,
    /// On the page, to this request.
    Now,
    /// In the same session, to another request of the client for as much: what was lent to it is still known.
    Before,
}

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A code.
    Grant,
    /// The person is asked: an earlier sign-in is about to be used, on a computer that others may use as well.
    Ask,
    /// A sign-in first.
    SignIn {
        /// Why.
        why: Why,
        /// Whether only a card will do.
        by_card: bool,
    },
    /// No.
    Refuse(Refusal),
}

/// Why somebody has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody is signed in.
    Nobody,
    /// The client takes it to be somebody else.
    SomebodyElse,
    /// By password, where the client wants a card.
    TooWeak,
    /// Longer ago than the client wants it.
    TooOld,
}

impl Why {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::SomebodyElse => "somebody_else",
            Self::TooWeak => "too_weak",
            Self::TooOld => "too_old",
        }
    }
}

/// Whether a request that was made then can still be answered.
///
/// # Errors
/// `request_invalid` for one of the future, `ticket_expired` for one that is too old.
pub fn check_age(asked_at: Timestamp, now: Timestamp) -> Result<(), Problem> {
    let age = now.duration_since(asked_at);
    if age < -SKEW {
        return Err(Problem::field("asked_at").because("in the future"));
    }
    if age > PATIENCE { Err(Problem::new(Code::TicketExpired).because("asked too long ago")) } else { Ok(()) }
}

fn prompts(text: &str) -> Result<BTreeSet<Prompt>, Refusal> {
    let prompt = |name: &str| match name {
        "none" => Ok(Prompt::None),
        "login" => Ok(Prompt::Login),
        "consent" => Ok(Prompt::Consent),
        "select_account" => Ok(Prompt::SelectAccount),
        _ => Err(Refusal::InvalidRequest("prompt has a value that does not exist")),
    };
    let prompts = text.split(' ').filter(|name| !name.is_empty());
    let prompts = prompts.map(prompt).collect::<Result<BTreeSet<_>, _>>()?;
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(Refusal::InvalidRequest("prompt has none and something else"));
    }
    Ok(prompts)
}

/// The weakest sign-in that will do. A client that names classes means it (RFC 9470 section 5): a voluntary wish would be met
/// by chance.
fn weakest(acr_values: Option<&str>) -> Result<Acr, Refusal> {
    let Some(values) = acr_values else { return Ok(Acr::Password) };
    let known = values.split(' ').filter_map(Acr::named).min();
    known.ok_or(Refusal::UnmetAuthenticationRequirements)
}

/// Whom an ID token is about. Not verified: a hint can only make the answer stricter.
fn subject_of(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("sub").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use shared::card::Seen;
    use shared::pseudonym::PersonId;
    use shared::session::{Carrier, Proof, Subject};

    use super::*;

    fn clients() -> Clients {
        Clients::parse(
            r#"
            [[client]]
            id = "hr"
            name = { zh-TW = "人事", en = "HR" }
            redirect_uris = ["https://hr.example/cb?x=1", "http://127.0.0.1/cb"]
            scopes = "openid profile hr.search"
            authentication = "none"

            [[client]]
            id = "server"
            name = { zh-TW = "人事", en = "HR" }
            redirect_uris = ["https://hr.example/cb?x=1"]
            scopes = "openid profile hr.search"
            authentication = "secret"
            secrets_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
            "#,
        )
        .unwrap()
    }

    const GOOD: &[(&str, &str)] = &[
        ("client_id", "hr"),
        ("redirect_uri", "https://hr.example/cb?x=1"),
        ("response_type", "code"),
        ("scope", "openid hr.search"),
        ("state", "a b&c"),
        ("nonce", "n"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];

    /// The good request with these parameters in place of its own; an empty one takes a parameter away.
    fn with(changes: &[(&str, &str)]) -> Parameters {
        let kept = GOOD.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let pairs = kept.chain(changes);
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Parameters::parse(&text)
    }

    #[test]
    fn who_asks_and_where_the_answer_goes_is_settled_first() {
        let clients = clients();
        let rows: &[(&[(&str, &str)], Code)] = &[
            (&[("client_id", "")], Code::ClientUnknown),
            (&[("client_id", "other")], Code::ClientUnknown),
            (&[("client_id", "hr"), ("client_id", "hr")], Code::ClientUnknown),
            (&[("redirect_uri", "")], Code::RedirectRefused),
            (&[("redirect_uri", "https://hr.example/cb")], Code::RedirectRefused),
            (&[("redirect_uri", "https://evil.example/cb?x=1")], Code::RedirectRefused),
            (
                &[("redirect_uri", "https://hr.example/cb?x=1"), ("redirect_uri", "https://evil.example/")],
                Code::RedirectRefused,
            ),
            // Nothing of the rest is looked at before.
            (&[("client_id", "other"), ("response_type", "token")], Code::ClientUnknown),
        ];
        for (changes, code) in rows {
            match AuthorizationRequest::parse(&with(changes), &clients) {
                Err(Rejected::Here(problem)) => assert_eq!(problem.code, *code, "{changes:?}"),
                other => panic!("{changes:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_else_is_wrong_the_client_hears() {
        let clients = clients();
        let long = "n".repeat(513);
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[("response_type", "")], "invalid_request"),
            (&[("response_type", "token")], "unsupported_response_type"),
            (&[("response_type", "code id_token")], "unsupported_response_type"),
            (&[("response_type", "code"), ("response_type", "code")], "invalid_request"),
            (&[("response_mode", "fragment")], "invalid_request"),
            (&[("scope", "")], "invalid_scope"),
            (&[("scope", "hr.search")], "invalid_scope"),
            (&[("scope", "openid hr.reset")], "invalid_scope"),
            (&[("scope", "openid email hr.reset")], "invalid_scope"),
            (&[("scope", "email profile")], "invalid_scope"),
            (&[("code_challenge", "")], "invalid_request"),
            (&[("code_challenge", "short")], "invalid_request"),
            (&[("code_challenge_method", "plain")], "invalid_request"),
            (&[("code_challenge_method", "")], "invalid_request"),
            (&[("nonce", &long)], "invalid_request"),
            (&[("state", "a"), ("state", "b")], "invalid_request"),
            (&[("prompt", "none login")], "invalid_request"),
            (&[("prompt", "create")], "invalid_request"),
            (&[("max_age", "-1")], "invalid_request"),
            (&[("max_age", "soon")], "invalid_request"),
            (&[("acr_values", "urn:mace:incommon:iap:silver")], "unmet_authentication_requirements"),
            (&[("id_token_hint", "x")], "invalid_request"),
            (&[("claims", "{}")], "invalid_request"),
            (&[("request", "a.b.c")], "request_not_supported"),
            (&[("request_uri", "https://hr.example/r")], "request_uri_not_supported"),
            (&[("registration", "{}")], "registration_not_supported"),
        ];
        for (changes, error) in rows {
            match AuthorizationRequest::parse(&with(changes), &clients) {
                Err(Rejected::There(there, refusal)) => {
                    assert_eq!(refusal.error(), *error, "{changes:?}");
                    let printable = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
                    assert!(refusal.description().chars().all(printable), "RFC 6749 section 4.1.2.1");
                    assert!(
                        there.with_error(refusal, "https://id").starts_with("https://hr.example/cb?x=1&")
                    );
                }
                other => panic!("{changes:?}: {other:?}"),
            }
        }
        assert!(
            AuthorizationRequest::parse(&with(&[("foo", "1"), ("foo", "2")]), &clients).is_ok(),
            "unknown ones"
        );
        let asked = with(&[("scope", "openid profile email offline_access")]);
        let request = AuthorizationRequest::parse(&asked, &clients).unwrap();
        assert_eq!(request.scopes.to_string(), "openid profile", "unknown scopes");
    }

    #[test]
    fn answers_keep_the_addresses_own_query_and_bring_state_and_issuer() {
        let clients = clients();
        let request = AuthorizationRequest::parse(&with(&[]), &clients).unwrap();
        assert_eq!(
            request.answer().with_code("c", "https://id.example"),
            "https://hr.example/cb?x=1&code=c&state=a+b%26c&iss=https%3A%2F%2Fid.example"
        );
        let native = [("redirect_uri", "http://127.0.0.1:4711/cb"), ("state", "")];
        let request = AuthorizationRequest::parse(&with(&native), &clients).unwrap();
        let address = request.answer().with_error(Refusal::AccessDenied, "https://id.example");
        assert!(
            address.starts_with("http://127.0.0.1:4711/cb?error=access_denied&error_description="),
            "{address}"
        );
        assert!(!address.contains("state="), "{address}");
    }

    #[test]
    fn what_a_request_comes_to() {
        let clients = clients();
        let asked: Timestamp = "2026-08-03T08:00:00Z".parse().unwrap();
        let at = |seconds| asked + SignedDuration::from_secs(seconds);
        let session = |by_card: bool, since: i64| {
            let certificate = format!("{}#1f", "a".repeat(64)).parse().unwrap();
            let proof = if by_card { Proof::Card(Seen { certificate, at: asked }) } else { Proof::Password };
            let person = Subject::Person(PersonId::from_stored("p"));
            Session::open(person, Carrier::Cookie, proof, 0, at(since))
        };
        let hint = |sub: &str| {
            let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{sub}"}}"#));
            format!("e30.{claims}.x")
        };
        let (own, other) = (hint("person#p"), hint("person#q"));
        const CARD: &str = "urn:first-sign-in:card";
        const EITHER: &str = "urn:first-sign-in:card urn:first-sign-in:password";
        use Agreed::{Before, No, Now};
        let (yes, ask, login) = (Decision::Grant, Decision::Ask, Decision::Refuse(Refusal::LoginRequired));
        let consent = Decision::Refuse(Refusal::ConsentRequired);
        let sign_in = |why| Decision::SignIn { why, by_card: false };
        let by_card = |why| Decision::SignIn { why, by_card: true };
        // The sign-in's method and when it was, by the request's time; what the request wants; agreed; now.
        type Row<'r> = (Option<(bool, i64)>, &'r [(&'r str, &'r str)], Agreed, i64, Decision);
        let rows: &[Row<'_>] = &[
            (None, &[], No, 1, sign_in(Why::Nobody)),
            (None, &[], Now, 1, sign_in(Why::Nobody)),
            (None, &[("prompt", "none")], No, 1, login),
            (None, &[("acr_values", CARD)], No, 1, by_card(Why::Nobody)),
            // An earlier sign-in is used only after a question, one for this request at once.
            (Some((false, -600)), &[], No, 1, ask),
            (Some((false, -600)), &[], Now, 1, yes),
            (Some((false, 30)), &[], No, 31, yes),
            (Some((false, 30)), &[("prompt", "consent")], No, 31, ask),
            (Some((false, 30)), &[("prompt", "consent")], Now, 31, yes),
            (Some((false, -600)), &[("prompt", "select_account")], No, 1, ask),
            (Some((false, 30)), &[], No, 31, yes),
            (Some((false, 30)), &[], No, 91, ask),
            // Without a question: only who has agreed before, where the client proves itself by nothing.
            (Some((false, -600)), &[("prompt", "none")], No, 1, consent),
            (Some((false, -600)), &[("prompt", "none")], Now, 1, consent),
            (Some((false, 30)), &[("prompt", "none")], No, 31, consent),
            (Some((false, -600)), &[("prompt", "none")], Before, 1, yes),
            (Some((false, -600)), &[("prompt", "none"), ("client_id", "server")], No, 1, yes),
            (Some((false, -600)), &[("client_id", "server")], No, 1, ask),
            (Some((false, -600)), &[], Before, 1, ask),
            // Again.
            (Some((false, -1)), &[("prompt", "login")], Now, 1, sign_in(Why::TooOld)),
            (Some((false, 30)), &[("prompt", "login")], No, 31, yes),
            (Some((false, 30)), &[("prompt", "login")], Now, 91, sign_in(Why::TooOld)),
            // So young.
            (Some((false, -600)), &[("max_age", "900")], Now, 1, yes),
            (Some((false, -600)), &[("max_age", "300")], Now, 1, sign_in(Why::TooOld)),
            (Some((false, -600)), &[("max_age", "300"), ("prompt", "none")], Now, 1, login),
            (Some((false, 30)), &[("max_age", "0")], No, 31, yes),
            (Some((false, 30)), &[("max_age", "0")], No, 91, sign_in(Why::TooOld)),
            (Some((false, -1)), &[("max_age", "0")], Now, 1, sign_in(Why::TooOld)),
            // So strong.
            (Some((false, 30)), &[("acr_values", CARD)], Now, 31, by_card(Why::TooWeak)),
            (Some((false, 30)), &[("acr_values", CARD), ("prompt", "none")], Now, 31, login),
            (Some((false, 30)), &[("acr_values", EITHER)], No, 31, yes),
            (Some((true, 30)), &[("acr_values", CARD)], No, 31, yes),
            (Some((true, -900)), &[("acr_values", CARD), ("max_age", "300")], Now, 1, by_card(Why::TooOld)),
            // Whom the client means.
            (Some((false, 30)), &[("id_token_hint", &own)], No, 31, yes),
            (Some((false, 30)), &[("id_token_hint", &other)], Now, 31, sign_in(Why::SomebodyElse)),
            (Some((false, -60)), &[("id_token_hint", &other), ("prompt", "none")], Now, 1, login),
        ];
        for (signed_in, wants, agreed, now, expected) in rows {
            let request = AuthorizationRequest::parse(&with(wants), &clients).unwrap();
            let session = signed_in.map(|(by_card, since)| session(by_card, since));
            let decision = request.decide(session.as_ref(), asked, *agreed, at(*now));
            assert_eq!(decision, *expected, "{signed_in:?} {wants:?} {agreed:?} {now}");
        }
    }

    #[test]
    fn a_request_waits_an_hour() {
        let asked: Timestamp = "2026-08-03T08:00:00Z".parse().unwrap();
        let rows =
            [(-61, Some(Code::RequestInvalid)), (-60, None), (3600, None), (3601, Some(Code::TicketExpired))];
        for (later, code) in rows {
            let checked = check_age(asked, asked + SignedDuration::from_secs(later));
            assert_eq!(checked.err().map(|problem| problem.code), code, "{later}");
        }
    }
}

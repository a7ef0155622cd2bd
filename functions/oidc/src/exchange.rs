//! `POST /token`: a code becomes tokens, once.

use jiff::Timestamp;
use lambda_http::http::{StatusCode, header};
use rand::CryptoRng;
use serde_json::json;
use shared::audit::{Action, SUCCESS};
use shared::http::{Answer, Call};
use shared::oauth::{Delegation, Scopes};
use shared::problem::{Code, Problem};
use shared::secret::Secret;
use shared::session::{Carrier, Subject};
use shared::sign_in::Issued;
use shared::store::{CommitError, Guard, Transaction};
use shared::telemetry;
use shared::ticket::{Challenge, ClientCode, ClientCodeRefusal};

use crate::authentication;
use crate::client::Client;
use crate::parameters::{Parameters, Repeated};
use crate::{Oidc, discovery};

/// An error as clients of the token endpoint hear of it (RFC 6749 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// A parameter is missing, malformed or there twice.
    InvalidRequest(&'static str),
    /// The client is not who it says to be.
    InvalidClient {
        /// What is wrong; for the log.
        why: &'static str,
        /// Whether it said so in the header `Authorization`.
        by_header: bool,
    },
    /// The code is not good. Why, is for the log.
    InvalidGrant(String),
    /// Another grant than a code.
    UnsupportedGrantType,
    /// A token to revoke that was issued to another client.
    AnotherClients,
}

impl From<Repeated> for TokenError {
    fn from(_: Repeated) -> Self {
        Self::InvalidRequest("a parameter came more than once")
    }
}

impl TokenError {
    /// The answer. What was wrong with a code or a client is not in it.
    pub fn into_answer(self, request_id: &str) -> Answer {
        let (status, error, description, code, reason) = match self {
            Self::InvalidRequest(what) => {
                (StatusCode::BAD_REQUEST, "invalid_request", what, Code::RequestInvalid, what.to_owned())
            }
            Self::InvalidClient { why, .. } => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "the client is unknown or did not prove itself in the way that it is registered with",
                Code::ClientUnknown,
                why.to_owned(),
            ),
            Self::InvalidGrant(ref why) => (
                StatusCode::BAD_REQUEST,
                "invalid_grant",
                "the code is unknown, used, over, or another one's, or its sign-in has ended",
                Code::TicketInvalid,
                why.clone(),
            ),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "grant_type has to be authorization_code",
                Code::RequestInvalid,
                "another grant".to_owned(),
            ),
            Self::AnotherClients => (
                StatusCode::BAD_REQUEST,
                "invalid_grant",
                "the token was issued to another client",
                Code::TicketInvalid,
                "another client's token".to_owned(),
            ),
        };
        let body = json!({"error": error, "error_description": description, "request_id": request_id});
        let answer = Answer::json(status, body)
            .with_header(header::PRAGMA, "no-cache")
            .because(Problem::new(code).because(reason));
        match self {
            Self::InvalidClient { by_header: true, .. } => {
                answer.with_header(header::WWW_AUTHENTICATE, "Basic realm=\"first-sign-in\"")
            }
            _ => answer,
        }
    }
}

/// Why there are no tokens.
#[derive(Debug)]
pub enum Failure {
    /// The client's fault.
    Token(TokenError),
    /// Ours.
    Service(Problem),
}

impl<E: Into<TokenError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Token(error.into())
    }
}

pub(crate) fn service(error: impl Into<Problem>) -> Failure {
    Failure::Service(error.into())
}

impl From<ClientCodeRefusal> for TokenError {
    fn from(refusal: ClientCodeRefusal) -> Self {
        Self::InvalidGrant(refusal.to_string())
    }
}

/// What a client gets.
pub struct Tokens {
    issued: Issued,
    scopes: Scopes,
    now: Timestamp,
}

impl From<Tokens> for Answer {
    fn from(Tokens { issued, scopes, now }: Tokens) -> Self {
        Self::ok(json!({
            "access_token": issued.access,
            "token_type": "Bearer",
            "expires_in": issued.expires_at.duration_since(now).as_secs(),
            "id_token": issued.identity,
            "scope": scopes.to_string(),
        }))
        .with_header(header::PRAGMA, "no-cache")
    }
}

impl Oidc {
    /// Exchanges a code.
    ///
    /// # Errors
    /// [`Failure`]. A code that comes a second time ends the session that it has opened.
    pub async fn exchange(
        &self,
        call: &Call,
        form: &str,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Tokens, Failure> {
        let now = call.now();
        let parameters = Parameters::parse(form);
        match parameters.get("grant_type")? {
            Some("authorization_code") => {}
            Some(_) => return Err(TokenError::UnsupportedGrantType.into()),
            None => return Err(TokenError::InvalidRequest("grant_type is missing").into()),
        }
        let client = self.client(call, &parameters).await?;
        let missing = |what| TokenError::InvalidRequest(what);
        let code = parameters.get("code")?.ok_or(missing("code is missing"))?;
        let redirect_uri = parameters.get("redirect_uri")?.ok_or(missing("redirect_uri is missing"))?;
        let verifier = parameters.get("code_verifier")?.ok_or(missing("code_verifier is missing"))?;
        let challenge = Challenge::of_verifier(verifier).ok_or(missing("code_verifier is malformed"))?;
        let code = Secret::parse(code).ok_or(ClientCodeRefusal::Unknown)?;
        let content = self.tickets.client_code(&code).await.map_err(service)?;
        let content = content.ok_or(ClientCodeRefusal::Unknown)?;
        telemetry::note_actor(&content.subject);
        if let Err(refusal) = content.check(&client.id, redirect_uri, &challenge, now) {
            if let ClientCodeRefusal::Replayed { opened } = &refusal {
                self.end_replayed(call, client, &content.subject, opened).await.map_err(service)?;
            }
            return Err(refusal.into());
        }
        self.open(call, client, &code, content, rng).await
    }

    /// The client that calls, which has proved itself; an assertion of its is good for no second call.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn client(&self, call: &Call, parameters: &Parameters) -> Result<&Client, Failure> {
        let endpoints = [discovery::token_endpoint, discovery::revocation_endpoint];
        let [token, revocation] = endpoints.map(|endpoint| endpoint(self.issuer()));
        let audiences = [self.issuer(), token.as_str(), revocation.as_str()];
        let authorization = call.header(header::AUTHORIZATION);
        let (client, assertion) =
            authentication::client(&self.clients, authorization, parameters, &audiences, call.now())?;
        if let Some(assertion) = assertion {
            let noted = self.tickets.note_assertion(&client.id, &assertion.jti_digest, assertion.expires_at);
            if !noted.await.map_err(service)? {
                let why = "an assertion that was used before";
                return Err(TokenError::InvalidClient { why, by_header: false }.into());
            }
        }
        Ok(client)
    }

    /// Opens the session of the tokens, lent from the browser's, which must still be live. The tokens are signed beside the
    /// write; they are worth nothing unless it succeeds.
    async fn open(
        &self,
        call: &Call,
        client: &Client,
        code: &Secret,
        content: ClientCode,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Tokens, Failure> {
        let now = call.now();
        let ClientCode { subject, session: parent, scopes, nonce, .. } = content;
        let standing = self.door.standing(&subject, &parent, Carrier::Cookie, &[], now).await;
        let standing = standing.map_err(|problem| match problem.code {
            Code::SessionRequired => Failure::Token(TokenError::InvalidGrant(problem.reason)),
            _ => Failure::Service(problem),
        })?;
        let delegation =
            Delegation { client: client.id.clone(), scopes: scopes.clone(), parent: parent.clone() };
        let session = standing.session.delegate(delegation, now);
        let id = Secret::random(rng);
        let entry = call.origin.entry(Action::ClientSignIn, &subject, &subject, SUCCESS);
        let mut entry = entry.of_agency(Some(standing.caller.agency()));
        entry.note = Some(client.id.to_string());
        let sessions = self.door.sessions();
        let transaction = Transaction::new()
            .with(Guard::Ticket, self.tickets.exchange_client_code(code, &id.digest(), now).map_err(service)?)
            .with(
                Guard::Session,
                sessions.still_there(&subject, &parent, session.generation).map_err(service)?,
            )
            .with(Guard::New, sessions.open(&id, &session, self.door.policy()).map_err(service)?)
            .with(Guard::New, self.audit.append(entry).map_err(service)?);
        let sign = self.tokens.sign_for_client(&session, &id, (&client.id, nonce), self.door.policy(), now);
        let (committed, issued) = futures_util::future::join(transaction.commit(&self.database), sign).await;
        match committed {
            Ok(()) => Ok(Tokens { issued: issued.map_err(service)?, scopes, now }),
            Err(error) => Err(self.refused(call, client, code, error).await),
        }
    }

    /// What a refused write means: most likely that another exchange of the same code was faster, which makes this one a replay.
    async fn refused(&self, call: &Call, client: &Client, code: &Secret, error: CommitError) -> Failure {
        if error.refused(Guard::Ticket).is_some() {
            let opened = match self.tickets.client_code(code).await {
                Ok(content) => content.and_then(|content| Some((content.subject, content.opened?))),
                Err(error) => return service(error),
            };
            let Some((subject, opened)) = opened else { return ClientCodeRefusal::Expired.into() };
            return match self.end_replayed(call, client, &subject, &opened).await {
                Ok(()) => ClientCodeRefusal::Replayed { opened }.into(),
                Err(problem) => Failure::Service(problem),
            };
        }
        if error.refused(Guard::Session).is_some() {
            return TokenError::InvalidGrant("its sign-in has ended".to_owned()).into();
        }
        service(error)
    }

    async fn end_replayed(
        &self,
        call: &Call,
        client: &Client,
        subject: &Subject,
        opened: &str,
    ) -> Result<(), Problem> {
        self.door.sessions().end_by_digest(subject, opened).await?;
        let mut entry =
            call.origin.entry(Action::ClientCodeReplay, subject, subject, Code::TicketInvalid.name());
        // No session tells it: the one that the code came of may be gone.
        entry.agency = self.agency_of(subject).await?;
        entry.note = Some(client.id.to_string());
        self.audit.note(entry).await?;
        Ok(())
    }
}

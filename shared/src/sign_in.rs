//! The end of every successful proof: a session, or a ticket for what is still to do.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use jiff::{SignedDuration, Timestamp};
use rand::CryptoRng;

use crate::caller::{brought_along, cookie_value, session_policy};
use crate::chance;
use crate::environment::{Environment, Settings, StartError};
use crate::http::Call;
use crate::kms::Kms;
use crate::oauth::{Acr, ClientId};
use crate::problem::Problem;
use crate::pseudonym::PersonId;
use crate::secret::Secret;
use crate::session::{Carrier, Named, Proof, Session, SessionPolicy, Subject};
use crate::store::audit::AuditTrail;
use crate::store::sessions::Sessions;
use crate::store::tickets::Tickets;
use crate::store::{CommitError, Guard, Transaction};
use crate::ticket::ActivationTicket;
use crate::token::{Claims, IdClaims, half_hash};

/// How a proof ends.
#[derive(Debug)]
pub enum Outcome {
    /// Signed in: a cookie's value or a token.
    SignedIn {
        /// When the session ends unless it is used.
        expires_at: Timestamp,
        /// What the client keeps.
        kept: Kept,
    },
    /// A citizen card seen for the first time: who are you?
    IdentityRequired {
        /// The ticket.
        ticket: String,
        /// Until when.
        expires_at: Timestamp,
    },
    /// Proved, but not activated yet.
    ActivationRequired {
        /// The ticket.
        ticket: String,
        /// Until when.
        expires_at: Timestamp,
    },
}

/// What a client keeps of a session.
#[derive(Debug)]
pub enum Kept {
    /// A browser, a cookie's value.
    Cookie(String),
    /// A program, a token.
    Token(String),
}

/// How a client wants its session, and which one it had until now.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How it comes.
    pub carrier: Carrier,
    /// The browser's former session. The new one takes its place: nobody is left signed in, on a computer that several share,
    /// behind the back of who signs in next.
    pub former: Option<Named>,
}

impl Wanted {
    /// What a call that signs in asks for. A program's token replaces nothing.
    pub fn of(call: &Call, carrier: Carrier) -> Self {
        let former = if carrier == Carrier::Cookie { brought_along(call) } else { None };
        Self { carrier, former }
    }
}

/// What signing in needs of the environment.
pub struct SignInSettings {
    sessions_table: String,
    tickets_table: String,
    audit_table: String,
    token_key: String,
    portal_origin: String,
    session: SessionPolicy,
    sessions_per_person: usize,
    token_life: SignedDuration,
    ticket_life: SignedDuration,
}

impl SignInSettings {
    /// Reads them.
    pub fn read(settings: &mut Settings<'_>) -> Self {
        Self {
            sessions_table: settings.required("SESSIONS_TABLE"),
            tickets_table: settings.required("TICKETS_TABLE"),
            audit_table: settings.required("AUDIT_TABLE"),
            token_key: settings.required("TOKEN_KEY"),
            portal_origin: settings.required("PORTAL_ORIGIN"),
            session: session_policy(settings),
            sessions_per_person: settings.parsed("SESSIONS_PER_PERSON", 10),
            token_life: SignedDuration::from_secs(settings.parsed("TOKEN_SECONDS", 900)),
            ticket_life: SignedDuration::from_secs(settings.parsed("TICKET_SECONDS", 900)),
        }
    }
}

/// Opens sessions and issues tickets.
pub struct SignIn {
    client: Client,
    sessions: Sessions,
    tickets: Tickets,
    audit: AuditTrail,
    tokens: Tokens,
    portal_origin: String,
    policy: SessionPolicy,
    sessions_per_person: usize,
    ticket_life: SignedDuration,
}

/// Signs tokens of sessions.
#[derive(Clone)]
pub struct Tokens {
    kms: Kms,
    key: String,
    kid: String,
    issuer: String,
    life: SignedDuration,
}

impl Tokens {
    /// A signer under a key whose id is known.
    pub fn new(kms: Kms, key: String, kid: String, issuer: String, life: SignedDuration) -> Self {
        Self { kms, key, kid, issuer, life }
    }

    /// A fresh token for a session: it ends with the session at the latest.
    ///
    /// # Errors
    /// `unavailable` when KMS does not sign.
    pub async fn sign(
        &self,
        session: &Session,
        id: &Secret,
        policy: &SessionPolicy,
        now: Timestamp,
    ) -> Result<(String, Timestamp), Problem> {
        let end = now.checked_add(self.life).unwrap_or(Timestamp::MAX).min(session.ends_at(policy));
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: session.subject.to_string(),
            sid: id.reveal().to_owned(),
            jti: Secret::random(&mut chance::system()).reveal().to_owned(),
            amr: vec![session.proof.method().amr().to_owned()],
            acr: Acr::of(session.proof.method()).name().to_owned(),
            auth_time: session.authenticated_at.as_second(),
            client_id: session.delegation.as_ref().map(|lent| lent.client.to_string()),
            scope: session.delegation.as_ref().map(|lent| lent.scopes.to_string()),
            iat: now.as_second(),
            exp: end.as_second(),
        };
        Ok((self.kms.sign(&self.key, &self.kid, &claims).await?, end))
    }

    /// An access token and the ID token beside it, for a session that was lent to `client`.
    ///
    /// # Errors
    /// `unavailable` when KMS does not sign.
    pub async fn sign_for_client(
        &self,
        session: &Session,
        id: &Secret,
        (client, nonce): (&ClientId, Option<String>),
        policy: &SessionPolicy,
        now: Timestamp,
    ) -> Result<Issued, Problem> {
        let (access, expires_at) = self.sign(session, id, policy, now).await?;
        let claims = IdClaims {
            iss: self.issuer.clone(),
            sub: session.subject.to_string(),
            aud: client.to_string(),
            azp: client.to_string(),
            nonce,
            auth_time: session.authenticated_at.as_second(),
            acr: Acr::of(session.proof.method()).name().to_owned(),
            amr: vec![session.proof.method().amr().to_owned()],
            at_hash: half_hash(&access),
            sid: id.digest(),
            iat: now.as_second(),
            exp: expires_at.as_second(),
        };
        let identity = self.kms.sign_identity(&self.key, &self.kid, &claims).await?;
        Ok(Issued { access, identity, expires_at })
    }
}

/// The tokens that a client gets for a code.
#[derive(Clone)]
pub struct Issued {
    /// The access token.
    pub access: String,
    /// The ID token.
    pub identity: String,
    /// When both end.
    pub expires_at: Timestamp,
}

/// A session that is about to be opened.
pub struct Opening {
    session: Session,
    id: Secret,
    former: Option<Named>,
}

impl SignIn {
    /// Starts: fetches the signing key's id, and opens the connection to DynamoDB.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        environment: &Environment,
        config: &SdkConfig,
        client: &Client,
        settings: SignInSettings,
    ) -> Result<Self, StartError> {
        let kms = Kms::new(environment, config);
        let kid = kms.public_key(&settings.token_key).await?.kid;
        let origin = settings.portal_origin.clone();
        Ok(Self {
            client: client.clone(),
            sessions: Sessions::new(client.clone(), settings.sessions_table),
            tickets: Tickets::new(client.clone(), settings.tickets_table),
            audit: AuditTrail::new(client.clone(), settings.audit_table),
            tokens: Tokens::new(kms, settings.token_key, kid, origin, settings.token_life),
            portal_origin: settings.portal_origin,
            policy: settings.session,
            sessions_per_person: settings.sessions_per_person,
            ticket_life: settings.ticket_life,
        })
    }

    /// The tickets.
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// The audit trail.
    pub fn audit(&self) -> &AuditTrail {
        &self.audit
    }

    /// The client, for transactions.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The portal host's origin.
    pub fn portal_origin(&self) -> &str {
        &self.portal_origin
    }

    /// When a ticket that is issued now ends.
    pub fn ticket_end(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.ticket_life).unwrap_or(Timestamp::MAX)
    }

    /// Prepares a session.
    pub fn opening(
        subject: Subject,
        wanted: &Wanted,
        proof: Proof,
        generation: u64,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Opening {
        let session = Session::open(subject, wanted.carrier, proof, generation, now);
        Opening { session, id: Secret::random(rng), former: wanted.former.clone() }
    }

    /// Opens the session in `transaction`, which ends the browser's former one; then a person's oldest ones end, if they are
    /// too many. A token is signed beside the write; it is worth nothing unless the write succeeds.
    ///
    /// # Errors
    /// The outer error is a refused condition or the service's; the inner one KMS's.
    pub async fn open(
        &self,
        transaction: Transaction,
        opening: &Opening,
        now: Timestamp,
    ) -> Result<Result<Outcome, Problem>, CommitError> {
        let Opening { session, id, former } = opening;
        let put = self.sessions.open(id, session, &self.policy)?;
        let replaced = former.as_ref().map(|former| self.sessions.replace(former)).transpose()?;
        let commit = transaction.with(Guard::New, put).with_some(Guard::New, replaced).commit(&self.client);
        let kept = match session.carrier {
            Carrier::Cookie => {
                commit.await?;
                Kept::Cookie(cookie_value(&session.subject, id))
            }
            Carrier::Token => {
                let sign = self.tokens.sign(session, id, &self.policy, now);
                let (committed, signed) = futures_util::future::join(commit, sign).await;
                committed?;
                match signed {
                    Ok((token, _)) => Kept::Token(token),
                    Err(problem) => return Ok(Err(problem)),
                }
            }
        };
        // The session is open: what cannot be ended now ends by itself, and is no reason to refuse it.
        if let Some(former) = former
            && let Err(error) = self.sessions.end_lent_from_replaced(former).await
        {
            tracing::error!(%error, "what the former session lent is not ended");
        }
        if let Subject::Person(_) = session.subject
            && let Err(error) =
                self.sessions.keep_latest((id, session), self.sessions_per_person, &self.policy).await
        {
            tracing::error!(%error, "the oldest sessions are not ended");
        }
        Ok(Ok(Outcome::SignedIn { expires_at: session.expires_at(&self.policy), kept }))
    }

    /// Issues an activation ticket in `transaction`.
    ///
    /// # Errors
    /// A refused condition, or the service's.
    pub async fn require_activation(
        &self,
        transaction: Transaction,
        person: &PersonId,
        generation: u64,
        proof: Proof,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, CommitError> {
        let expires_at = self.ticket_end(now);
        let secret = Secret::random(rng);
        let content = ActivationTicket { person: person.clone(), generation, proof, expires_at };
        let put = self.tickets.issue_activation(&secret, &content)?;
        transaction.with(Guard::New, put).commit(&self.client).await?;
        Ok(Outcome::ActivationRequired { ticket: activation_ticket(&secret, person), expires_at })
    }
}

/// An activation ticket as the client keeps it. The person is in it so that ticket and person are one read.
pub fn activation_ticket(secret: &Secret, person: &PersonId) -> String {
    format!("{}.{person}", secret.reveal())
}

/// Reads what [`activation_ticket`] wrote.
pub fn parse_activation_ticket(text: &str) -> Option<(Secret, PersonId)> {
    let (secret, person) = text.split_once('.')?;
    Some((Secret::parse(secret)?, PersonId::parse(person)?))
}

//! Who calls: a session, by cookie or token, and the person or agency behind it as they are now.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ConditionCheck;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{Method, header};

use crate::authority::{Actor, Permit, Refusal};
use crate::environment::{Environment, Settings, StartError};
use crate::http::{Call, SESSION_COOKIE};
use crate::kms::Kms;
use crate::oauth::{Challenge, Scope};
use crate::person::{InService, Person};
use crate::problem::{Code, Problem};
use crate::pseudonym::PersonId;
use crate::roster::Agency;
use crate::secret::Secret;
use crate::session::{Carrier, Named, Session, SessionName, SessionPolicy, Subject};
use crate::store::accounts::{Accounts, KnownAgency, person_from};
use crate::store::sessions::Sessions;
use crate::store::{CommitError, Guard, StoreError};
use crate::telemetry;
use crate::token::{PublicKey, Verifier};

/// A session as it was presented; nothing of it is believed yet.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Whose it says to be.
    pub subject: Subject,
    /// Its id.
    pub id: Secret,
    /// How it came.
    pub carrier: Carrier,
    /// What a client needs for the route that it came by; nothing for a route that is closed to clients.
    pub scope: Option<Scope>,
}

/// The cookie's value. The subject is in it so that session and person are read side by side.
pub fn cookie_value(subject: &Subject, id: &Secret) -> String {
    match subject {
        Subject::Person(person) => format!("{}.p.{person}", id.reveal()),
        Subject::Agency(oid) => format!("{}.a.{oid}", id.reveal()),
    }
}

fn parse_cookie(value: &str) -> Option<(Subject, Secret)> {
    let mut parts = value.splitn(3, '.');
    let id = Secret::parse(parts.next()?)?;
    let subject = match (parts.next()?, parts.next()?) {
        ("p", person) => Subject::Person(PersonId::parse(person)?),
        ("a", oid) if looks_like_an_oid(oid) => Subject::Agency(oid.to_owned()),
        _ => return None,
    };
    Some((subject, id))
}

/// The session whose cookie a call brings along, whatever has become of it.
pub fn brought_along(call: &Call) -> Option<Named> {
    let (subject, id) = parse_cookie(call.cookie(SESSION_COOKIE)?)?;
    Some(Named { subject, name: SessionName::of(&id) })
}

/// Whether a text has the form of an agency's OID. Anybody may send a cookie, and what is looked up is a key: of any other
/// length the database would refuse it, and our log would tell.
fn looks_like_an_oid(text: &str) -> bool {
    (3..=64).contains(&text.len())
        && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Who is behind a live session, as they are now.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A person in service.
    Person(Box<InService>),
    /// An agency.
    Agency(Agency),
}

impl Caller {
    /// The caller as who may reset whom sees it.
    pub fn actor(&self) -> Actor<'_> {
        match self {
            Self::Person(person) => Actor::Person(person.person()),
            Self::Agency(agency) => Actor::Agency { agency: &agency.code },
        }
    }

    /// The code of the caller's agency.
    pub fn agency(&self) -> &str {
        match self {
            Self::Person(person) => &person.person().agency,
            Self::Agency(agency) => &agency.code,
        }
    }
}

/// A call by somebody with a live session.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Who.
    pub caller: Caller,
    /// The session.
    pub session: Session,
    /// The session's id.
    pub id: Secret,
    /// Other people that were asked for in the same read.
    pub people: HashMap<PersonId, Person>,
}

impl Admitted {
    /// That the caller may still do what was decided that they may: a part of every transaction that acts on others, so
    /// that a revocation, a move or a departure that comes first wins. Its guard is [`Guard::Actor`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unchanged(&self, accounts: &Accounts) -> Result<ConditionCheck, StoreError> {
        match &self.caller {
            Caller::Person(person) => accounts.still_may(person.person()),
            Caller::Agency(agency) => accounts.agency_still_may(agency, self.session.proof.seen()),
        }
    }

    /// Why a transaction was not written in which [`Admitted::unchanged`] was refused: what the decision is now, or
    /// `conflict` when it would be the same again. `None` when it was not refused.
    pub fn overtaken(
        &self,
        error: &CommitError,
        decide: impl FnOnce(Actor<'_>) -> Result<Permit, Refusal>,
    ) -> Option<Problem> {
        let refused = error.refused(Guard::Actor)?;
        let conflict = Problem::new(Code::Conflict).because("the actor's authority changed meanwhile");
        let required = || Problem::new(Code::SessionRequired);
        let Some(item) = refused.item.clone() else { return Some(conflict) };
        Some(match &self.caller {
            Caller::Agency(_) => required().because("the certificate was revoked or the agency renamed"),
            Caller::Person(_) => match person_from(item).map(Person::in_service) {
                Err(error) => error.into(),
                Ok(Err(departed)) => required().because(departed),
                Ok(Ok(person)) => match decide(Actor::Person(person.person())) {
                    Ok(_) => conflict,
                    Err(refusal) => refusal.into(),
                },
            },
        })
    }
}

/// A live session and who is behind it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The session.
    pub session: Session,
    /// Who.
    pub caller: Caller,
    /// Other people that were asked for in the same read.
    pub people: HashMap<PersonId, Person>,
}

/// Lets in who has a live session.
pub struct Door {
    sessions: Sessions,
    accounts: Accounts,
    verifier: Verifier,
    keys: Vec<PublicKey>,
    policy: SessionPolicy,
    portal_origin: String,
}

/// What a door needs of the environment.
pub struct DoorSettings {
    sessions_table: String,
    accounts_table: String,
    token_keys: Vec<String>,
    policy: SessionPolicy,
    portal_origin: String,
}

impl DoorSettings {
    /// Reads them.
    pub fn read(settings: &mut Settings<'_>) -> Self {
        let token_key = settings.required("TOKEN_KEY");
        Self {
            sessions_table: settings.required("SESSIONS_TABLE"),
            accounts_table: settings.required("ACCOUNTS_TABLE"),
            token_keys: std::iter::once(token_key).chain(settings.optional("TOKEN_PREVIOUS_KEY")).collect(),
            policy: session_policy(settings),
            portal_origin: settings.required("PORTAL_ORIGIN"),
        }
    }
}

/// How long sessions live, from the environment.
pub fn session_policy(settings: &mut Settings<'_>) -> SessionPolicy {
    let default = SessionPolicy::default();
    SessionPolicy {
        idle: SignedDuration::from_secs(settings.parsed("SESSION_IDLE_SECONDS", default.idle.as_secs())),
        absolute: SignedDuration::from_hours(settings.parsed("SESSION_HOURS", default.absolute.as_hours())),
    }
}

impl Door {
    /// Opens the door: fetches the public keys of live tokens.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(
        environment: &Environment,
        config: &SdkConfig,
        client: &Client,
        settings: DoorSettings,
    ) -> Result<Self, StartError> {
        let kms = Kms::new(environment, config);
        let mut keys = Vec::new();
        for key in &settings.token_keys {
            keys.push(kms.public_key(key).await?);
        }
        let verifier = Verifier::new(settings.portal_origin.clone(), &keys)
            .map_err(|error| StartError::Service { service: "KMS", reason: error.to_string() })?;
        Ok(Self {
            sessions: Sessions::new(client.clone(), settings.sessions_table),
            accounts: Accounts::new(client.clone(), settings.accounts_table),
            verifier,
            keys,
            policy: settings.policy,
            portal_origin: settings.portal_origin,
        })
    }

    /// The published keys: the signing one first.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// What tells tokens of ours.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// How long sessions live.
    pub fn policy(&self) -> &SessionPolicy {
        &self.policy
    }

    /// The portal host's origin.
    pub fn portal_origin(&self) -> &str {
        &self.portal_origin
    }

    /// The session that a call presents.
    ///
    /// # Errors
    /// `session_required`; `origin_refused` for a write with a cookie that does not come from our own pages.
    pub fn presented(&self, call: &Call) -> Result<Presented, Problem> {
        let required = || Problem::new(Code::SessionRequired);
        let scope = Scope::of_route(call.route());
        if let Some(authorization) = call.header(header::AUTHORIZATION) {
            let (scheme, token) = authorization.split_once(' ').ok_or_else(required)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(required().because("another scheme than Bearer"));
            }
            let invalid = || required().challenging(Challenge::InvalidToken);
            let claims =
                self.verifier.verify(token.trim(), call.now()).map_err(|error| invalid().because(error))?;
            let subject = Subject::parse(&claims.sub).ok_or_else(invalid)?;
            let id = Secret::parse(&claims.sid).ok_or_else(invalid)?;
            return Ok(Presented { subject, id, carrier: Carrier::Token, scope });
        }
        let cookie = call.cookie(SESSION_COOKIE).ok_or_else(required)?;
        let reads_only = matches!(*call.method(), Method::GET | Method::HEAD);
        if !reads_only && !call.is_same_origin(&self.portal_origin) {
            return Err(Problem::new(Code::OriginRefused));
        }
        let (subject, id) = parse_cookie(cookie).ok_or_else(required)?;
        Ok(Presented { subject, id, carrier: Carrier::Cookie, scope })
    }

    /// Lets a call in whose step needs nobody else: [`Door::presented`], then [`Door::admit`].
    ///
    /// # Errors
    /// As those two.
    pub async fn enter(&self, call: &Call) -> Result<Admitted, Problem> {
        self.admit(self.presented(call)?, &[], call.now()).await
    }

    /// Lets in who presents a live session: session and person are read side by side, with `others` in the same read.
    ///
    /// # Errors
    /// `session_required` when the session is not there, has ended, its certificate was revoked, or its person departed;
    /// `insufficient_scope` for a client's session that was lent for something else.
    pub async fn admit(
        &self,
        presented: Presented,
        others: &[&PersonId],
        now: Timestamp,
    ) -> Result<Admitted, Problem> {
        telemetry::note_actor(&presented.subject);
        let Presented { subject, id, carrier, scope } = presented;
        let standing = self.standing(&subject, &id.digest(), carrier, others, now).await;
        let Standing { mut session, caller, people } =
            standing.map_err(|problem| match (problem.code, carrier) {
                (Code::SessionRequired, Carrier::Token) => problem.challenging(Challenge::InvalidToken),
                _ => problem,
            })?;
        if let Some(lent) = &session.delegation
            && !scope.is_some_and(|scope| lent.scopes.contain(scope))
        {
            return Err(Problem::new(Code::InsufficientScope)
                .challenging(Challenge::InsufficientScope(scope))
                .because(format_args!("lent to {} for other things", lent.client)));
        }
        if session.needs_touch(now) {
            self.sessions.touch(&subject, &id, now).await?;
            session.last_used_at = now;
        }
        Ok(Admitted { caller, session, id, people })
    }

    /// A session that is live, by its id's digest, and who is behind it, with `others` in the same read.
    ///
    /// # Errors
    /// `session_required`, as for [`Door::admit`].
    pub async fn standing(
        &self,
        subject: &Subject,
        digest: &str,
        carrier: Carrier,
        others: &[&PersonId],
        now: Timestamp,
    ) -> Result<Standing, Problem> {
        let required = |reason: &str| Problem::new(Code::SessionRequired).because(reason);
        let (session, caller, generation, ended, people) = match subject {
            Subject::Person(id) => {
                let people = async {
                    if others.is_empty() {
                        let person = self.accounts.person(id).await?;
                        return Ok(person.map(|person| (id.clone(), person)).into_iter().collect());
                    }
                    let ids: Vec<&PersonId> = std::iter::once(id).chain(others.iter().copied()).collect();
                    self.accounts.people(&ids).await
                };
                let session = self.sessions.get_by_digest(subject, digest);
                let (session, people): (_, HashMap<PersonId, Person>) =
                    futures_util::future::try_join(session, people).await?;
                let person = people.get(id).cloned().ok_or_else(|| required("nobody"))?;
                let (generation, ended) = (person.generation, person.account.ended_certificates.clone());
                let caller = person.in_service().ok().map(|p| Caller::Person(Box::new(p)));
                (session, caller, generation, ended, people)
            }
            Subject::Agency(oid) => {
                let people = async {
                    if others.is_empty() { Ok(HashMap::new()) } else { self.accounts.people(others).await }
                };
                let (session, agency, people) = futures_util::future::try_join3(
                    self.sessions.get_by_digest(subject, digest),
                    self.accounts.agency(oid),
                    people,
                )
                .await?;
                let KnownAgency { agency, ended_certificates } =
                    agency.ok_or_else(|| required("no such agency"))?;
                (session, Some(Caller::Agency(agency)), 0, ended_certificates, people)
            }
        };
        let session = session.ok_or_else(|| required("no such session"))?;
        if session.carrier != carrier {
            return Err(required("presented in another way than it was given"));
        }
        session.check(generation, &ended, now, &self.policy)?;
        let caller = caller.ok_or_else(|| required("departed"))?;
        Ok(Standing { session, caller, people })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn cookies_come_back() {
        let id = Secret::random(&mut StdRng::seed_from_u64(1));
        let person = "x-_Y".repeat(11)[..43].to_owned();
        for subject in
            [Subject::Person(PersonId::from_stored(&person)), Subject::Agency("2.16.886.101".to_owned())]
        {
            assert_eq!(parse_cookie(&cookie_value(&subject, &id)), Some((subject, id.clone())));
        }
        let long = "1.2".repeat(1000);
        let of = |rest: &str| format!("{}.{rest}", id.reveal());
        let values = ["", "..", "x.p.y"].map(str::to_owned).into_iter().chain(
            [
                "q.y",
                "p.",
                "p.y",
                &format!("p.{person}x"),
                &format!("p.{}", "y".repeat(3000)),
                &format!("p.{person}.{person}"),
                "a.",
                "a.agency",
                "a..",
                "a.1..2",
                &format!("a.{long}"),
            ]
            .map(of),
        );
        for value in values {
            assert_eq!(parse_cookie(&value), None, "{value}");
        }
    }
}

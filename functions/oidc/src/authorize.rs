//! The two halves of an authorization: `/authorize`, where a client sends the browser, and `/v1/authorization`, where our
//! own page asks what comes of it.

use jiff::Timestamp;
use rand::CryptoRng;
use serde_json::{Value, json};
use shared::caller::{Admitted, Caller};
use shared::http::{Answer, Call, SESSION_COOKIE};
use shared::oauth::{Scope, Scopes};
use shared::problem::{Code, Problem};
use shared::secret::Secret;
use shared::session::Carrier;
use shared::store::StoreError;
use shared::ticket::ClientCode;
use url::form_urlencoded;

use crate::parameters::Parameters;
use crate::request::{Agreed, AuthorizationRequest, Decision, LONGEST, Rejected, Return, check_age};
use crate::{CODE_LIFE, Oidc};

/// The page that takes a person through an authorization.
const PAGE: &str = "/continue";

/// What the person says to it on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Nothing yet.
    Nothing,
    /// Go on.
    Allow,
    /// Back to the client, without.
    Deny,
}

/// A question of the page.
#[derive(Debug)]
pub struct Question {
    /// The client's request, as it sent it.
    pub request: String,
    /// When it did, by [`Oidc::receive`].
    pub asked_at: Timestamp,
    /// What the person says.
    pub say: Say,
}

/// What the page is told.
#[derive(Debug)]
pub enum Told {
    /// The person leaves for the client. When that is a refusal, what it was.
    Leave(String, Option<Problem>),
    /// The person is asked: as this one, to that client?
    Ask {
        /// The client's name.
        client: String,
        /// The person's or agency's name.
        name: String,
        /// The agency's name.
        agency_name: String,
        /// What the client may do then.
        scopes: Scopes,
    },
    /// A sign-in first.
    SignIn {
        /// The client's name.
        client: String,
        /// Why.
        why: &'static str,
        /// Whether only a card will do.
        by_card: bool,
    },
}

impl Oidc {
    /// Takes a client's request, in the browser of a person: on to our page, or back with what is wrong.
    ///
    /// # Errors
    /// `client_unknown`, `redirect_refused`: there is nobody to send the person back to. `request_invalid` when it is too long.
    pub fn receive(&self, call: &Call, request: &str) -> Result<Answer, Problem> {
        let result = match request.len() {
            ..=LONGEST => AuthorizationRequest::parse(&Parameters::parse(request), &self.clients).map(drop),
            _ => Err(Rejected::Here(Problem::field("query").because("too long"))),
        };
        let answer = match result {
            Ok(()) => {
                let asked_at = call.now().as_millisecond();
                let fragment = form_urlencoded::Serializer::new(String::new())
                    .append_pair("request", request)
                    .append_pair("asked_at", &asked_at.to_string())
                    .finish();
                Answer::see_other(&format!("{}{PAGE}{}#{fragment}", self.issuer(), language(request)))
            }
            Err(Rejected::Here(problem)) if wants_page(call) => {
                let fragment = format!("problem={}", problem.code.name());
                let page = format!("{}{PAGE}{}#{fragment}", self.issuer(), language(request));
                Answer::see_other(&page).because(problem)
            }
            Err(Rejected::Here(problem)) => return Err(problem),
            Err(rejected @ Rejected::There(..)) => self.back(&rejected),
        };
        Ok(answer)
    }

    fn back(&self, rejected: &Rejected) -> Answer {
        let Rejected::There(there, refusal) = rejected else { return Answer::no_content() };
        Answer::see_other(&there.with_error(*refusal, self.issuer())).because(rejected.problem())
    }

    /// Answers our page, in the session that it is in: the same request is looked at again.
    ///
    /// # Errors
    /// `origin_refused`, `client_unknown`, `redirect_refused`, `request_invalid`, `ticket_expired`, `not_authorized` for a
    /// token, `unavailable`.
    pub async fn answer(
        &self,
        call: &Call,
        question: Question,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Told, Problem> {
        if question.request.len() > LONGEST {
            return Err(Problem::field("request").because("too long"));
        }
        check_age(question.asked_at, call.now())?;
        let parameters = Parameters::parse(&question.request);
        let request = match AuthorizationRequest::parse(&parameters, &self.clients) {
            Ok(request) => request,
            Err(Rejected::Here(problem)) => return Err(problem),
            Err(Rejected::There(there, refusal)) => return Ok(self.leave(there, refusal)),
        };
        if question.say == Say::Deny {
            return Ok(self.leave(request.answer(), crate::request::Refusal::AccessDenied));
        }
        let admitted = self.whoever_is_signed_in(call).await?;
        let session = admitted.as_ref().map(|admitted| &admitted.session);
        let agreed = match &admitted {
            _ if question.say == Say::Allow => Agreed::Now,
            Some(admitted) if request.needs_former_consent() => {
                self.agreed_before(&request, admitted).await?
            }
            _ => Agreed::No,
        };
        let client = request.client.name(call.language).to_owned();
        match (request.decide(session, question.asked_at, agreed, call.now()), admitted) {
            (Decision::Grant, Some(admitted)) => self.grant(&request, &admitted, call.now(), rng).await,
            (Decision::Ask, Some(Admitted { caller, .. })) => {
                let (name, agency_name) = match caller {
                    Caller::Person(person) => {
                        (person.person().name.clone(), person.person().agency_name.clone())
                    }
                    Caller::Agency(agency) => (agency.name.clone(), agency.name),
                };
                Ok(Told::Ask { client, name, agency_name, scopes: request.scopes.clone() })
            }
            (Decision::SignIn { why, by_card }, _) => Ok(Told::SignIn { client, why: why.name(), by_card }),
            (Decision::Refuse(refusal), _) => Ok(self.leave(request.answer(), refusal)),
            (Decision::Grant | Decision::Ask, None) => Err(Problem::new(Code::SessionRequired)),
        }
    }

    /// Whether the person has agreed in this session to as much: then a session was lent to the client, which is kept as long as
    /// the browser's may live, and ended when the client gives it back.
    async fn agreed_before(
        &self,
        request: &AuthorizationRequest<'_>,
        admitted: &Admitted,
    ) -> Result<Agreed, StoreError> {
        let (session, parent) = (&admitted.session, admitted.id.digest());
        let lent = self.door.sessions().of(&session.subject).await?;
        let agreed = lent.iter().any(|(_, lent)| {
            lent.generation == session.generation
                && lent.delegation.as_ref().is_some_and(|lent| {
                    lent.client == request.client.id
                        && lent.parent == parent
                        && request.scopes.are_within(&lent.scopes)
                })
        });
        Ok(if agreed { Agreed::Before } else { Agreed::No })
    }

    fn leave(&self, there: Return, refusal: crate::request::Refusal) -> Told {
        let address = there.with_error(refusal, self.issuer());
        Told::Leave(address, Some(Rejected::There(there, refusal).problem()))
    }

    /// The browser's session, if there is a live one. A program's is no browser's: it gets no code for another one.
    pub(crate) async fn whoever_is_signed_in(&self, call: &Call) -> Result<Option<Admitted>, Problem> {
        if call.cookie(SESSION_COOKIE).is_none() {
            return Ok(None);
        }
        let presented = match self.door.presented(call) {
            Ok(presented) => presented,
            Err(problem) if problem.code == Code::SessionRequired => return Ok(None),
            Err(problem) => return Err(problem),
        };
        if presented.carrier != Carrier::Cookie {
            return Err(Problem::new(Code::NotAuthorized).because("a token gets no code"));
        }
        match self.door.admit(presented, &[], call.now()).await {
            Ok(admitted) => Ok(Some(admitted)),
            Err(problem) if problem.code == Code::SessionRequired => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn grant(
        &self,
        request: &AuthorizationRequest<'_>,
        admitted: &Admitted,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Told, Problem> {
        let code = Secret::random(rng);
        let content = ClientCode {
            client: request.client.id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            nonce: request.nonce.clone(),
            scopes: request.scopes.clone(),
            subject: admitted.session.subject.clone(),
            session: admitted.id.digest(),
            expires_at: now.checked_add(CODE_LIFE).unwrap_or(now),
            opened: None,
        };
        self.tickets.issue_client_code(&code, &content).await?;
        Ok(Told::Leave(request.answer().with_code(code.reveal(), self.issuer()), None))
    }
}

impl From<Told> for Answer {
    fn from(told: Told) -> Self {
        let body: Value = match &told {
            Told::Leave(location, _) => json!({"status": "leave", "location": location}),
            Told::Ask { client, name, agency_name, scopes } => {
                let scopes: Vec<_> = scopes.iter().map(Scope::name).collect();
                json!({
                    "status": "ask", "client_name": client, "name": name, "agency_name": agency_name, "scopes": scopes,
                })
            }
            Told::SignIn { client, why, by_card } => {
                json!({"status": "sign_in", "client_name": client, "why": why, "by_card": by_card})
            }
        };
        match told {
            Told::Leave(_, Some(problem)) => Self::ok(body).because(problem),
            Told::Leave(_, None) | Told::Ask { .. } | Told::SignIn { .. } => Self::ok(body),
        }
    }
}

/// A browser that navigates wants a page; a program that tries things out is better off with the problem itself.
pub(crate) fn wants_page(call: &Call) -> bool {
    call.header("accept").is_some_and(|accept| accept.contains("text/html"))
}

/// The page's language, where the client names one that we have.
pub(crate) fn language(request: &str) -> &'static str {
    let parameters = Parameters::parse(request);
    let wanted = parameters.get("ui_locales").ok().flatten().unwrap_or_default();
    wanted
        .split(' ')
        .find_map(|locale| match locale.to_ascii_lowercase().split('-').next() {
            Some("zh") => Some("?lang=zh-TW"),
            Some("en") => Some("?lang=en"),
            _ => None,
        })
        .unwrap_or_default()
}

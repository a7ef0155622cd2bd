//! Signing out on a client's wish (OpenID Connect RP-Initiated Logout 1.0), in two halves as an authorization has them:
//! `/logout`, where a client sends the browser, and `/v1/logout`, where our own page asks what comes of it.
//!
//! Whoever leads a browser to `/logout` ends nobody's session with that: the cookie does not come along, and our page's call
//! asks the person, unless the request proves that it is about this very sign-in. The proof is an ID token
//! (`id_token_hint`) of a session that was lent from the browser's and is still there: its client alone has it. However old it
//! is, it has to be ours; one that cannot be verified proves nothing, and is used for nothing.

use serde_json::json;
use shared::audit::{Action, SUCCESS};
use shared::caller::{Admitted, Caller};
use shared::http::{Answer, Call};
use shared::problem::{Code, Problem};
use shared::session::Subject;
use shared::token::{IdClaims, Verifier};
use url::Url;
use url::form_urlencoded;

use crate::Oidc;
use crate::authorize::{language, wants_page};
use crate::client::{Client, Clients};
use crate::parameters::{Parameters, Repeated};
use crate::request::LONGEST;

/// The page that takes a person through a sign-out.
const PAGE: &str = "/sign-out";

/// A client's wish that somebody be signed out, as far as it can be told without anybody's session.
#[derive(Debug)]
pub struct LogoutRequest<'c> {
    /// Whose wish it is, if that is known.
    client: Option<&'c Client>,
    /// Where the browser goes afterwards.
    location: Option<String>,
    /// The ID token that it is about; one of ours.
    hint: Option<IdClaims>,
}

/// A question of the page.
#[derive(Debug)]
pub struct LogoutQuestion {
    /// The client's request, as it sent it.
    pub request: String,
    /// Whether the person has said yes.
    pub agreed: bool,
}

/// What the page is told.
#[derive(Debug)]
pub enum LoggedOut {
    /// Nobody is signed in any more; the person leaves for the client, if it said where to.
    Out(Option<String>),
    /// The person is asked.
    Ask {
        /// The client's name, if it is known which one it is.
        client: Option<String>,
        /// The person's or agency's name.
        name: String,
        /// The agency's name.
        agency_name: String,
    },
}

impl From<LoggedOut> for Answer {
    fn from(told: LoggedOut) -> Self {
        match told {
            LoggedOut::Out(location) => {
                let mut body = json!({"status": "signed_out"});
                if let (Some(location), Some(body)) = (location, body.as_object_mut()) {
                    body.insert("location".to_owned(), json!(location));
                }
                Self::ok(body).without_session_cookie()
            }
            LoggedOut::Ask { client, name, agency_name } => {
                let mut body = json!({"status": "ask", "name": name, "agency_name": agency_name});
                if let (Some(client), Some(body)) = (client, body.as_object_mut()) {
                    body.insert("client_name".to_owned(), json!(client));
                }
                Self::ok(body)
            }
        }
    }
}

impl<'c> LogoutRequest<'c> {
    /// Reads a request.
    ///
    /// # Errors
    /// `client_unknown`; `redirect_refused` for an address that is not the client's, or of a client that nobody knows;
    /// `request_invalid` for a client that is not the one that the ID token was for, or a parameter that comes twice.
    pub fn parse(
        parameters: &Parameters,
        clients: &'c Clients,
        verifier: &Verifier,
    ) -> Result<Self, Problem> {
        let repeated = |repeated: Repeated| Problem::field("query").because(repeated);
        let get = |name| parameters.get(name).map_err(repeated);
        let hint = get("id_token_hint")?.and_then(|hint| verifier.identity(hint).ok());
        let named = get("client_id")?;
        let of_hint = hint.as_ref().map(|hint| hint.aud.as_str());
        if named.is_some() && of_hint.is_some() && named != of_hint {
            return Err(Problem::field("client_id").because("the ID token is another client's"));
        }
        let known = |id| clients.get(id).ok_or_else(|| Problem::new(Code::ClientUnknown));
        let client = named.or(of_hint).map(known).transpose()?;
        let location = match get("post_logout_redirect_uri")? {
            None => None,
            Some(uri) if client.is_some_and(|client| client.may_leave_to(uri)) => {
                Some(with_state(uri, get("state")?).ok_or(Code::RedirectRefused)?)
            }
            Some(_) => return Err(Code::RedirectRefused.into()),
        };
        Ok(Self { client, location, hint })
    }
}

/// The address, with what the client wants to have back.
fn with_state(uri: &str, state: Option<&str>) -> Option<String> {
    let Some(state) = state else { return Some(uri.to_owned()) };
    let mut url = Url::parse(uri).ok()?;
    url.query_pairs_mut().append_pair("state", state);
    Some(url.into())
}

impl Oidc {
    /// Takes a client's wish, in the browser of a person: on to our page.
    ///
    /// # Errors
    /// As [`LogoutRequest::parse`]: nobody is sent anywhere. `request_invalid` when it is too long.
    pub fn receive_logout(&self, call: &Call, request: &str) -> Result<Answer, Problem> {
        let checked = match request.len() {
            ..=LONGEST => {
                LogoutRequest::parse(&Parameters::parse(request), &self.clients, self.door.verifier())
                    .map(drop)
            }
            _ => Err(Problem::field("query").because("too long")),
        };
        let to = |name: &str, value: &str| {
            let fragment = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
            Answer::see_other(&format!("{}{PAGE}{}#{fragment}", self.issuer(), language(request)))
        };
        match checked {
            Ok(()) => Ok(to("request", request)),
            Err(problem) if wants_page(call) => Ok(to("problem", problem.code.name()).because(problem)),
            Err(problem) => Err(problem),
        }
    }

    /// Answers our page, in the session that it is in: the same request is looked at again.
    ///
    /// # Errors
    /// As [`LogoutRequest::parse`]; `unavailable`.
    pub async fn answer_logout(&self, call: &Call, question: LogoutQuestion) -> Result<LoggedOut, Problem> {
        if question.request.len() > LONGEST {
            return Err(Problem::field("request").because("too long"));
        }
        let parameters = Parameters::parse(&question.request);
        let request = LogoutRequest::parse(&parameters, &self.clients, self.door.verifier())?;
        let Some(admitted) = self.whoever_is_signed_in(call).await? else {
            return Ok(LoggedOut::Out(request.location));
        };
        if !question.agreed && !self.is_about(&request, &admitted).await? {
            let client = request.client.map(|client| client.name(call.language).to_owned());
            return Ok(match admitted.caller {
                Caller::Person(person) => {
                    let person = person.person();
                    let (name, agency_name) = (person.name.clone(), person.agency_name.clone());
                    LoggedOut::Ask { client, name, agency_name }
                }
                Caller::Agency(agency) => {
                    LoggedOut::Ask { client, name: agency.name.clone(), agency_name: agency.name }
                }
            });
        }
        let subject = &admitted.session.subject;
        let sessions = self.door.sessions();
        sessions.end(subject, &admitted.id).await?;
        sessions.end_lent_from(subject, &admitted.id).await?;
        let entry = call.origin.entry(Action::SignOut, subject, subject, SUCCESS);
        let mut entry = entry.of_agency(Some(admitted.caller.agency()));
        entry.note = request.client.map(|client| client.id.to_string());
        self.audit.note(entry).await?;
        Ok(LoggedOut::Out(request.location))
    }

    /// Whether the request's ID token came of this very sign-in: of a session that was lent from it to that client.
    async fn is_about(&self, request: &LogoutRequest<'_>, admitted: &Admitted) -> Result<bool, Problem> {
        let Some(hint) = &request.hint else { return Ok(false) };
        let subject = &admitted.session.subject;
        if Subject::parse(&hint.sub).as_ref() != Some(subject) {
            return Ok(false);
        }
        let lent = self.door.sessions().get_by_digest(subject, &hint.sid).await?;
        let lent = lent.and_then(|session| session.delegation);
        Ok(lent.is_some_and(|lent| lent.client.as_str() == hint.aud && lent.parent == admitted.id.digest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> Clients {
        let text = r#"
            [[client]]
            id = "hr"
            name = { zh-TW = "人事", en = "HR" }
            redirect_uris = ["https://hr.example/cb"]
            post_logout_redirect_uris = ["https://hr.example/bye?x=1", "http://127.0.0.1/bye"]
            scopes = "openid"
            authentication = "none"

            [[client]]
            id = "other"
            name = { zh-TW = "其他", en = "Other" }
            redirect_uris = ["https://other.example/cb"]
            scopes = "openid"
            authentication = "none"
        "#;
        Clients::parse(text).unwrap()
    }

    /// Where a request of these parameters leads, or what it is refused with. What ID tokens prove is tested with real ones,
    /// end to end.
    fn leads(pairs: &[(&str, &str)]) -> Result<Option<String>, Code> {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let verifier = Verifier::new("https://id.example".to_owned(), &[]).unwrap();
        let clients = clients();
        let request = LogoutRequest::parse(&Parameters::parse(&text), &clients, &verifier);
        request.map(|request| request.location).map_err(|problem| problem.code)
    }

    #[test]
    fn nobody_is_sent_where_no_client_is_registered() {
        const URI: &str = "post_logout_redirect_uri";
        let bye = "https://hr.example/bye?x=1";
        type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], Result<Option<&'r str>, Code>);
        let rows: &[Row<'_>] = &[
            ("nothing at all", &[], Ok(None)),
            ("a client alone", &[("client_id", "hr")], Ok(None)),
            ("its address", &[("client_id", "hr"), (URI, bye)], Ok(Some(bye))),
            (
                "with a state",
                &[("client_id", "hr"), (URI, bye), ("state", "a b&c")],
                Ok(Some("https://hr.example/bye?x=1&state=a+b%26c")),
            ),
            (
                "loopback, at any port",
                &[("client_id", "hr"), (URI, "http://127.0.0.1:4711/bye")],
                Ok(Some("http://127.0.0.1:4711/bye")),
            ),
            ("without a client", &[(URI, bye)], Err(Code::RedirectRefused)),
            ("another client's", &[("client_id", "other"), (URI, bye)], Err(Code::RedirectRefused)),
            (
                "where codes are sent",
                &[("client_id", "hr"), (URI, "https://hr.example/cb")],
                Err(Code::RedirectRefused),
            ),
            (
                "a part of one",
                &[("client_id", "hr"), (URI, "https://hr.example/bye")],
                Err(Code::RedirectRefused),
            ),
            (
                "beside another one",
                &[("client_id", "hr"), (URI, bye), (URI, "https://evil.example/")],
                Err(Code::RequestInvalid),
            ),
            ("an unknown client", &[("client_id", "nobody")], Err(Code::ClientUnknown)),
            ("a hint that is none", &[("id_token_hint", "a.b.c"), (URI, bye)], Err(Code::RedirectRefused)),
            (
                "a hint that is none, and a client",
                &[("id_token_hint", "a.b.c"), ("client_id", "hr"), (URI, bye)],
                Ok(Some(bye)),
            ),
        ];
        for (what, pairs, expected) in rows {
            assert_eq!(leads(pairs), expected.map(|uri| uri.map(str::to_owned)), "{what}");
        }
    }
}

//! The edge.

use std::sync::Arc;

use jiff::Timestamp;
use lambda_http::http::{Method, header};
use serde_json::json;
use shared::chance;
use shared::http::{Answer, Call, unknown_route};
use shared::problem::{Code, Problem};

use crate::authorize::{Question, Say};
use crate::exchange::{Failure, TokenError};
use crate::logout::LogoutQuestion;
use crate::{Oidc, discovery};

impl Question {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let request = fields.text("request")?;
        let asked_at = Timestamp::from_millisecond(fields.whole("asked_at")?);
        let asked_at = asked_at.map_err(|error| Problem::field("asked_at").because(error))?;
        let say = match fields.optional_text("say")?.as_deref() {
            None => Say::Nothing,
            Some("allow") => Say::Allow,
            Some("deny") => Say::Deny,
            Some(_) => return Err(Problem::field("say").because("neither allow nor deny")),
        };
        Ok(Self { request, asked_at, say })
    }
}

impl LogoutQuestion {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        Ok(Self { request: fields.text("request")?, agreed: fields.flag("agreed")? })
    }
}

fn form(call: &Call) -> Result<&str, Failure> {
    call.form().map_err(|_| TokenError::InvalidRequest("the body has to be a form").into())
}

/// What a client hears: errors that are its own as OAuth has them, ours as problems.
fn told<T: Into<Answer>>(call: &Call, result: Result<T, Failure>) -> Result<Answer, Problem> {
    match result {
        Ok(done) => Ok(done.into()),
        Err(Failure::Token(error)) => Ok(error.into_answer(&call.origin.request_id)),
        Err(Failure::Service(problem)) => Err(problem),
    }
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<Oidc>, call: Arc<Call>) -> Result<Answer, Problem> {
    let answer = match (call.method(), call.path()) {
        (&Method::GET, "/.well-known/openid-configuration") => Answer::ok(discovery::document(step.issuer()))
            .with_header(header::CACHE_CONTROL, "public, max-age=300"),
        (&Method::GET, "/authorize") => step.receive(&call, call.raw_query())?,
        (&Method::POST, "/authorize") => step.receive(&call, call.form()?)?,
        (&Method::POST, "/v1/authorization") => {
            // Nobody but our own page asks, with or without a session: its answer leads to a code.
            if !call.is_same_origin(step.issuer()) {
                return Err(Problem::new(Code::OriginRefused));
            }
            let question = Question::parse(&call)?;
            step.answer(&call, question, &mut chance::system()).await?.into()
        }
        (&Method::POST, "/token") => match form(&call) {
            Ok(form) => told(&call, step.exchange(&call, form, &mut chance::system()).await)?,
            Err(failure) => told::<Answer>(&call, Err(failure))?,
        },
        (&Method::POST, "/revoke") => match form(&call) {
            Ok(form) => told(&call, step.revoke(&call, form).await.map(|()| Answer::ok(json!({}))))?,
            Err(failure) => told::<Answer>(&call, Err(failure))?,
        },
        (&Method::GET, "/logout") => step.receive_logout(&call, call.raw_query())?,
        (&Method::POST, "/logout") => step.receive_logout(&call, call.form()?)?,
        (&Method::POST, "/v1/logout") => {
            // As for an authorization: nobody but our own page asks.
            if !call.is_same_origin(step.issuer()) {
                return Err(Problem::new(Code::OriginRefused));
            }
            let question = LogoutQuestion::parse(&call)?;
            step.answer_logout(&call, question).await?.into()
        }
        (&Method::GET | &Method::POST, "/userinfo") => Answer::ok(step.user(&call).await?),
        _ => return unknown_route(),
    };
    Ok(answer.with_header(header::REFERRER_POLICY, "no-referrer"))
}

//! The edge to API Gateway: a request becomes a [`Call`], a step's result becomes an answer, and the log gets its one line.
//!
//! # Adding an endpoint
//! 1. A route in `infra/template.yaml`, which is all that the stand-in needs to know of it, and in `infra/openapi.yaml`.
//! 2. A branch in the function's handler: parse the [`Fields`], one call into the step, an [`Answer`].
//! 3. A row in [`crate::oauth::ROUTES`], if clients may call it for whoever signs in there.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use lambda_http::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _, Response};
use serde_json::{Map, Value, json};

use crate::audit::Origin;
use crate::card::BoundCard;
use crate::idempotency;
use crate::lambda::Function;
use crate::language::Language;
use crate::problem::{Code, Problem};
use crate::rate::Left;
use crate::session::Carrier;
use crate::telemetry::RequestNotes;

/// The session's cookie. The prefix binds it to this host, to `Path=/` and to TLS.
pub const SESSION_COOKIE: &str = "__Host-session";

/// The rates that a request is counted in, and what is left of them.
const RATE_LIMIT_POLICY: header::HeaderName = header::HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: header::HeaderName = header::HeaderName::from_static("ratelimit");

/// The field of draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: header::HeaderName = header::HeaderName::from_static("idempotency-key");

/// What files of spreadsheets are called. A gateway takes `text/csv` for text in UTF-8, and damages what is written otherwise:
/// whoever has a file in another encoding, or does not know, sends bytes.
const FILES: [&str; 3] = ["text/csv", "application/octet-stream", "application/vnd.ms-excel"];

/// Most bytes of a body that are parsed. Every body of the API is smaller by far.
const MAX_BODY: usize = 64 * 1024;

/// A request, with what every step needs of it.
#[derive(Debug)]
pub struct Call {
    request: Request,
    /// From where, when, and under which request id.
    pub origin: Origin,
    /// The language of the answer.
    pub language: Language,
    route: String,
    certificate: Option<String>,
}

impl Call {
    /// Takes a request. Its time is the gateway's `requestContext.timeEpoch`.
    pub fn of(request: Request) -> Self {
        let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let language = Language::accepted(header(header::ACCEPT_LANGUAGE).unwrap_or_default());
        let mut origin =
            Origin { address: String::new(), request_id: String::new(), at: Timestamp::UNIX_EPOCH };
        let (mut route, mut certificate) = (String::new(), None);
        if let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() {
            origin.address = context.http.source_ip.clone().unwrap_or_default();
            origin.request_id = context.request_id.clone().unwrap_or_default();
            origin.at = Timestamp::from_millisecond(context.time_epoch).unwrap_or(Timestamp::UNIX_EPOCH);
            route = context.route_key.clone().unwrap_or_default();
            certificate = context
                .authentication
                .as_ref()
                .and_then(|authentication| authentication.client_cert.as_ref())
                .and_then(|certificate| certificate.client_cert_pem.clone());
        }
        Self { request, origin, language, route, certificate }
    }

    /// The time of the request.
    pub fn now(&self) -> Timestamp {
        self.origin.at
    }

    /// The method.
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// The route as the template names it, such as `GET /v1/hr/bulk-resets/{bulk_id}`: what a function chooses by. A path may have
    /// anything in place of a parameter.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The client certificate of the connection, PEM.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// A header that is text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// A query parameter.
    pub fn query(&self, name: &'static str) -> Option<String> {
        self.request.query_string_parameters_ref().and_then(|query| query.first(name)).map(str::to_owned)
    }

    /// The query as it was sent; empty without one.
    pub fn raw_query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    /// The body of a form (`application/x-www-form-urlencoded`), as it was sent.
    ///
    /// # Errors
    /// `request_invalid`: not called a form, too long, or no text.
    pub fn form(&self) -> Result<&str, Problem> {
        if !self
            .header(header::CONTENT_TYPE)
            .is_some_and(|kind| is_kind(kind, "application/x-www-form-urlencoded"))
        {
            return Err(Problem::field("content-type").because("not a form"));
        }
        let bytes: &[u8] = self.request.body();
        if bytes.len() > MAX_BODY {
            return Err(Problem::field("body").because("too long"));
        }
        std::str::from_utf8(bytes).map_err(|_| Problem::field("body").because("not text"))
    }

    /// A part of the path that the route names.
    pub fn path_parameter(&self, name: &'static str) -> Option<String> {
        self.request.path_parameters_ref().and_then(|path| path.first(name)).map(str::to_owned)
    }

    /// The request's idempotency key, if it has one.
    ///
    /// # Errors
    /// `request_invalid`: it is none, or there are several.
    pub fn idempotency_key(&self) -> Result<Option<idempotency::Key>, Problem> {
        let mut values = self.request.headers().get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(idempotency::NotAKey.into());
        }
        let value = value.to_str().map_err(|_| idempotency::NotAKey)?;
        Ok(Some(idempotency::Key::parse(value)?))
    }

    /// A query parameter that is a time.
    ///
    /// # Errors
    /// `request_invalid`, naming it.
    pub fn query_time(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let time = |text: String| text.parse().map_err(|_| Problem::field(name).because("not a time"));
        self.query(name).map(time).transpose()
    }

    /// A query parameter that is yes or no; no, when it is left out.
    ///
    /// # Errors
    /// `request_invalid`, naming it.
    pub fn query_flag(&self, name: &'static str) -> Result<bool, Problem> {
        match self.query(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::field(name).because("neither true nor false")),
        }
    }

    /// How many of a list a page is to have: the query parameter `limit`, from 1 to `most`.
    ///
    /// # Errors
    /// `request_invalid`, naming it.
    pub fn page_limit(&self, default: usize, most: usize) -> Result<usize, Problem> {
        let Some(text) = self.query("limit") else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| Problem::field("limit").because("not a number in its range"))
    }

    /// The body as a file that a spreadsheet saved, of one of the [`FILES`]. It may be longer than what is parsed of JSON; how
    /// long, its reader says.
    ///
    /// # Errors
    /// `request_invalid`: not called so.
    pub fn file(&self) -> Result<&[u8], Problem> {
        let kind =
            self.header(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !FILES.iter().any(|file| kind.trim().eq_ignore_ascii_case(file)) {
            return Err(Problem::field("content-type").because("not a file of a spreadsheet"));
        }
        Ok(self.request.body())
    }

    /// A cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.request
            .headers()
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The body's fields.
    ///
    /// # Errors
    /// `request_invalid`: not a JSON object, too long, or not called JSON.
    pub fn fields(&self) -> Result<Fields, Problem> {
        if !self.header(header::CONTENT_TYPE).is_some_and(|kind| is_kind(kind, "application/json")) {
            return Err(Problem::field("content-type").because("not application/json"));
        }
        let bytes: &[u8] = self.request.body();
        if bytes.len() > MAX_BODY {
            return Err(Problem::field("body").because("too long"));
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Fields(fields)),
            _ => Err(Problem::field("body").because("not a JSON object")),
        }
    }

    /// Refuses a request that a page of another origin sent.
    ///
    /// # Errors
    /// `origin_refused`.
    pub fn refuse_foreign_origin(&self, own: &str) -> Result<(), Problem> {
        match self.header(header::ORIGIN) {
            Some(origin) if origin != own => Err(Problem::new(Code::OriginRefused)),
            _ => Ok(()),
        }
    }

    /// What a result is as an answer, with the problem for the log.
    pub fn answer(&self, result: Result<Answer, Problem>) -> Answer {
        result.unwrap_or_else(|problem| {
            problem_answer(&problem, self.language, &self.origin.request_id).because(problem)
        })
    }

    /// Whether the request is known to come from a page of this origin.
    pub fn is_same_origin(&self, own: &str) -> bool {
        self.header(header::ORIGIN) == Some(own)
    }
}

/// Whether a `Content-Type` is a media type, whatever its parameters.
fn is_kind(content_type: &str, kind: &str) -> bool {
    content_type.split(';').next().is_some_and(|named| named.trim().eq_ignore_ascii_case(kind))
}

/// The fields of a body. Taken one by one, so that nothing is parsed twice and secrets do not stay behind.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// A field that must be there, as text.
    ///
    /// # Errors
    /// `request_invalid`, naming the field.
    pub fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        self.optional_text(name)?.ok_or_else(|| Problem::field(name).because("missing"))
    }

    /// A field that may be left out (or `null`), as text.
    ///
    /// # Errors
    /// `request_invalid` when it is something else.
    pub fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::field(name).because("not a string")),
        }
    }

    /// A field that may be left out (or `null`), which is yes or no; no, when it is left out.
    ///
    /// # Errors
    /// `request_invalid` when it is something else.
    pub fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(yes)) => Ok(yes),
            Some(_) => Err(Problem::field(name).because("not a boolean")),
        }
    }

    /// A field that must be there, as a whole number.
    ///
    /// # Errors
    /// `request_invalid`, naming the field.
    pub fn whole(&mut self, name: &'static str) -> Result<i64, Problem> {
        let value = self.0.remove(name).as_ref().and_then(Value::as_i64);
        value.ok_or_else(|| Problem::field(name).because("no whole number"))
    }

    /// How a client that signs in wants its session: `"session": "token"`, or a cookie.
    ///
    /// # Errors
    /// `request_invalid` for any other word.
    pub fn carrier(&mut self) -> Result<Carrier, Problem> {
        match self.optional_text("session")?.as_deref() {
            None | Some("cookie") => Ok(Carrier::Cookie),
            Some("token") => Ok(Carrier::Token),
            Some(_) => Err(Problem::field("session").because("neither cookie nor token")),
        }
    }
}

/// Cards as answers show them.
pub fn cards(cards: &[BoundCard]) -> Value {
    let card = |bound: &BoundCard| {
        json!({
            "card_id": bound.card.id,
            "issuer": bound.card.issuer_name,
            "number_tail": bound.card.number_tail,
            "bound_at": time(bound.bound_at),
            "last_used_at": time(bound.last_used_at),
        })
    };
    json!({"cards": cards.iter().map(card).collect::<Vec<_>>()})
}

/// What a step answers.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<Content>,
    problem: Option<Problem>,
}

/// What an answer's body is.
#[derive(Debug)]
enum Content {
    Json(Value),
    /// A text of another media type.
    Text(&'static str, String),
}

impl Answer {
    /// A body under a status.
    pub fn json(status: StatusCode, body: Value) -> Self {
        Self { status, headers: HeaderMap::new(), body: Some(Content::Json(body)), problem: None }
    }

    /// `200` with a file of CSV in UTF-8, to be kept under a name of ASCII characters.
    pub fn csv_file(name: &str, text: String) -> Self {
        let body = Some(Content::Text("text/csv; charset=utf-8", text));
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body, problem: None }
            .with_header(header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}\""))
    }

    /// `200` with a body.
    pub fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// `204`.
    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: None, problem: None }
    }

    /// `303` to another page.
    pub fn see_other(location: &str) -> Self {
        Self { status: StatusCode::SEE_OTHER, headers: HeaderMap::new(), body: None, problem: None }
            .with_header(header::LOCATION, location)
    }

    /// Adds a header. A value that cannot be one is left out.
    #[must_use]
    pub fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    /// Tells what is left of rates: to whoever asks again, before it is too much (draft-ietf-httpapi-ratelimit-headers).
    #[must_use]
    fn with_rates(self, left: &[Left]) -> Self {
        if left.is_empty() {
            return self;
        }
        let list = |member: fn(&Left) -> String| left.iter().map(member).collect::<Vec<_>>().join(", ");
        self.with_header(RATE_LIMIT_POLICY, &list(Left::policy_member))
            .with_header(RATE_LIMIT, &list(Left::member))
    }

    /// Lets pages of another origin read this answer to what they ask for in a person's name.
    #[must_use]
    pub fn readable_by(self, origin: &str) -> Self {
        self.with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)
            .with_header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")
    }

    /// Says that this answer brings a problem in another form than its own, such as a redirect: the log tells it as one.
    #[must_use]
    pub fn because(self, problem: Problem) -> Self {
        Self { problem: Some(problem), ..self }
    }

    /// Gives the browser a session. No `Max-Age`: it ends with the browser at the latest.
    #[must_use]
    pub fn with_session_cookie(self, value: &str) -> Self {
        let cookie = format!("{SESSION_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict");
        self.with_header(header::SET_COOKIE, &cookie)
    }

    /// Takes the browser's session away.
    #[must_use]
    pub fn without_session_cookie(self) -> Self {
        let cookie = format!("{SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
        self.with_header(header::SET_COOKIE, &cookie)
    }

    /// The answer as the gateway gets it.
    pub fn render(self) -> Response<Body> {
        let (kind, body) = match self.body {
            None => (None, Body::Empty),
            Some(Content::Json(body)) => (Some("application/json"), Body::Text(body.to_string())),
            Some(Content::Text(kind, body)) => (Some(kind), Body::Text(body)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=63072000; includeSubDomains"),
        );
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in &self.headers {
            // A step's own header replaces the default; only cookies may come several times.
            if *name == header::SET_COOKIE {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
        response
    }
}

/// A problem as an answer (RFC 9457).
pub fn problem_answer(problem: &Problem, language: Language, request_id: &str) -> Answer {
    let status = StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Answer::json(status, problem.body(language, request_id))
        .with_header(header::CONTENT_TYPE, "application/problem+json")
        .with_header(header::CONTENT_LANGUAGE, language.tag())
        .with_header(header::VARY, "Accept-Language");
    if let Some(retry_after) = problem.retry_after {
        answer = answer.with_header(header::RETRY_AFTER, &retry_after.as_secs().to_string());
    }
    if status == StatusCode::UNAUTHORIZED || problem.challenge.is_some() {
        let challenge = problem.challenge.map(|challenge| format!(", {challenge}")).unwrap_or_default();
        let value = format!("Bearer realm=\"first-sign-in\"{challenge}");
        answer = answer.with_header(header::WWW_AUTHENTICATE, &value);
    }
    answer
}

/// A function behind an HTTP API: each request one call of `handle`, one answer, one line in the log.
pub fn function<S, F, Fut>(step: &'static str, state: S, handle: F) -> Function
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Arc<Call>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
{
    let state = Arc::new(state);
    Function::http(move |request| {
        let (state, handle) = (Arc::clone(&state), handle.clone());
        async move {
            let started = Instant::now();
            let call = Arc::new(Call::of(request));
            let (result, notes) = RequestNotes::collect(handle(state, Arc::clone(&call))).await;
            let mut answer = call.answer(result);
            let problem = answer.problem.take();
            let code = problem.as_ref().map_or("", |problem| problem.code.name());
            let reason = problem.map(|problem| problem.reason).unwrap_or_default();
            let response = answer.with_rates(&notes.left()).render();
            let line = LogLine {
                step,
                call: &call,
                status: response.status().as_u16(),
                code,
                reason: &reason,
                notes: &notes,
                started,
            };
            line.write();
            response
        }
    })
}

/// The one line that the log gets of a request.
struct LogLine<'a> {
    step: &'static str,
    call: &'a Call,
    status: u16,
    code: &'static str,
    reason: &'a str,
    notes: &'a RequestNotes,
    started: Instant,
}

impl LogLine<'_> {
    fn write(&self) {
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    step = self.step,
                    route = self.call.route,
                    request_id = self.call.origin.request_id,
                    status = self.status,
                    outcome = if self.code.is_empty() { "success" } else { "refused" },
                    code = self.code,
                    reason = self.reason,
                    actor = self.notes.actor(),
                    subject = self.notes.subject(),
                    aws_calls = self.notes.operations(),
                    aws_ms = self.notes.milliseconds(),
                    duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "request"
                )
            };
        }
        match self.status {
            500.. => event!(error),
            _ if !self.code.is_empty() => event!(warn),
            _ => event!(info),
        }
    }
}

/// The answer to a route that the function does not know: the template and the function disagree.
///
/// # Errors
/// Always `request_invalid`, naming the path.
pub fn unknown_route() -> Result<Answer, Problem> {
    Err(Problem::field("path").because("the function does not know this route"))
}

/// A time in answers: RFC 3339, UTC, whole seconds.
pub fn time(at: Timestamp) -> Value {
    json!(Timestamp::from_second(at.as_second()).unwrap_or(at).to_string())
}

#[cfg(all(feature = "dynamodb", feature = "kms"))]
impl From<crate::sign_in::Outcome> for Answer {
    fn from(outcome: crate::sign_in::Outcome) -> Self {
        use crate::sign_in::{Kept, Outcome};
        match outcome {
            Outcome::SignedIn { expires_at, kept: Kept::Cookie(value) } => {
                Self::ok(json!({"status": "signed_in", "expires_at": time(expires_at)}))
                    .with_session_cookie(&value)
            }
            Outcome::SignedIn { expires_at, kept: Kept::Token(token) } => {
                Self::ok(json!({"status": "signed_in", "expires_at": time(expires_at), "token": token}))
            }
            Outcome::IdentityRequired { ticket, expires_at } => Self::ok(
                json!({"status": "identity_required", "ticket": ticket, "expires_at": time(expires_at)}),
            ),
            Outcome::ActivationRequired { ticket, expires_at } => Self::ok(
                json!({"status": "activation_required", "ticket": ticket, "expires_at": time(expires_at)}),
            ),
        }
    }
}

//! The edge.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use lambda_http::http::StatusCode;
use serde_json::{Map, Value, json};
use shared::authority::Act;
use shared::authority::authorization::{AuthorizationId, By, Event, Side};
use shared::authority::life::State;
use shared::chance;
use shared::http::{Answer, Call, Fields, time, unknown_route};
use shared::national_id::NationalId;
use shared::problem::Problem;
use shared::pseudonym::PersonId;
use shared::roster::agency_code;
use shared::session::Subject;
use shared::store::authorizations::Filter;

use crate::dates::{Term, day_of, last_day};
use crate::grant::{GrantRequest, Granted, Named};
use crate::list::{ListRequest, One, Page};
use crate::step::{Authorizing, Seen};

/// Most authorizations of a page, and how many without a wish.
const MOST: i32 = 100;
const USUAL: i32 = 25;

/// Longest code of an agency, and longest name of a person, in characters.
const MAX_AGENCY: usize = 64;
const MAX_NAME: usize = 100;

impl GrantRequest {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let holder = holder(&mut fields)?;
        let name = short(&mut fields, "name", MAX_NAME)?;
        let agency = short(&mut fields, "agency", MAX_AGENCY)?.map(as_a_code);
        let (from, until) = (fields.optional_text("from")?, fields.optional_text("until")?);
        let term = Term::parse(from.as_deref(), until.as_deref(), call.now())
            .map_err(|reason| Problem::field(reason.field()).because(reason))?;
        Ok(Self { holder, name, agency, term, first_day_given: from.is_some() })
    }
}

fn holder(fields: &mut Fields) -> Result<Named, Problem> {
    match (fields.optional_text("national_id")?, fields.optional_text("person_id")?) {
        (Some(national_id), None) => NationalId::parse(&national_id)
            .map(Named::NationalId)
            .map_err(|reason| Problem::field("national_id").because(reason)),
        (None, Some(person)) => PersonId::parse(&person)
            .map(Named::Person)
            .ok_or_else(|| Problem::field("person_id").because("not a person's id")),
        (None, None) => Err(Problem::field("national_id").because("missing")),
        (Some(_), Some(_)) => Err(Problem::field("person_id").because("beside a national ID")),
    }
}

/// An agency's code as codes are compared. What is none is nobody's, and is told as such.
fn as_a_code(text: String) -> String {
    agency_code(&text).unwrap_or(text)
}

/// A field that may be left out, and is not long.
fn short(fields: &mut Fields, name: &'static str, longest: usize) -> Result<Option<String>, Problem> {
    let text = fields.optional_text(name)?.map(|text| text.trim().to_owned());
    match text {
        Some(text) if text.is_empty() || text.chars().count() > longest => {
            Err(Problem::field(name).because("empty or too long"))
        }
        text => Ok(text),
    }
}

impl ListRequest {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let agency = call.query("agency").map(as_a_code);
        if agency.as_ref().is_some_and(|agency| agency.is_empty() || agency.chars().count() > MAX_AGENCY) {
            return Err(Problem::field("agency").because("empty or too long"));
        }
        let side = match call.query("side") {
            None => Side::Target,
            Some(side) => {
                Side::parse(&side).ok_or_else(|| Problem::field("side").because("neither target nor home"))?
            }
        };
        let filter = match call.query("state") {
            None => Filter::Open,
            Some(state) => Filter::parse(&state)
                .ok_or_else(|| Problem::field("state").because("not a state to list by"))?,
        };
        let limit = match call.query("limit").map(|limit| limit.parse()) {
            None => USUAL,
            Some(Ok(limit)) if (1..=MOST).contains(&limit) => limit,
            Some(_) => return Err(Problem::field("limit").because("not a number from 1 to 100")),
        };
        Ok(Self { agency, side, filter, limit, cursor: call.query("cursor") })
    }
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<Authorizing>, call: Arc<Call>) -> Result<Answer, Problem> {
    // Who has no session hears of that, not of what is wrong with the body.
    let presented = step.door().presented(&call)?;
    let id = || call.path_parameter("authorization_id").unwrap_or_default();
    let settled = async |act| {
        let seen = step.settle(&call, presented.clone(), &id(), act, &mut chance::system()).await?;
        Ok::<_, Problem>(Answer::ok(one(&step.named(seen).await?)))
    };
    match call.route() {
        "GET /v1/hr/authorizations" => {
            let request = ListRequest::parse(&call)?;
            Ok(Answer::ok(page(&step.list(&call, presented, request, &mut chance::system()).await?)))
        }
        "GET /v1/hr/authorizations/{authorization_id}" => {
            Ok(Answer::ok(one(&step.one(&call, presented, &id()).await?)))
        }
        "PUT /v1/hr/authorizations/{authorization_id}" => {
            let id = AuthorizationId::parse(&id())
                .ok_or_else(|| Problem::field("authorization_id").because("not an id to choose"))?;
            let request = GrantRequest::parse(&call)?;
            let (status, seen) =
                match step.grant(&call, presented, &id, request, &mut chance::system()).await? {
                    Granted::Made(seen) => (StatusCode::CREATED, seen),
                    Granted::There(seen) => (StatusCode::OK, seen),
                };
            Ok(Answer::json(status, one(&step.named(seen).await?)))
        }
        "DELETE /v1/hr/authorizations/{authorization_id}" => {
            step.settle(&call, presented, &id(), Act::Revoke, &mut chance::system()).await?;
            Ok(Answer::no_content())
        }
        "POST /v1/hr/authorizations/{authorization_id}/accept" => settled(Act::AcceptDuty).await,
        "POST /v1/hr/authorizations/{authorization_id}/refuse" => settled(Act::RefuseDuty).await,
        "POST /v1/hr/authorizations/{authorization_id}/withdraw" => settled(Act::WithdrawDuty).await,
        _ => unknown_route(),
    }
}

fn page(page: &Page) -> Value {
    let list: Vec<Value> = page.authorizations.iter().map(|seen| authorization(seen, &page.names)).collect();
    let mut body = json!({ "agency": page.agency, "authorizations": list });
    if let (Some(next), Some(body)) = (&page.next, body.as_object_mut()) {
        body.insert("next_cursor".to_owned(), json!(next));
    }
    body
}

fn one(one: &One) -> Value {
    authorization(&one.seen, &one.names)
}

fn authorization(seen: &Seen, names: &HashMap<PersonId, String>) -> Value {
    let authorization = &seen.authorization;
    let held = &authorization.held;
    let mut holder = json!({ "person_id": authorization.holder });
    let mut body = json!({
        "authorization_id": authorization.id,
        "state": seen.state.name(),
        "in_force": seen.in_force,
        "agency": held.agency,
        "home_agency": held.home,
        "concurrent": held.is_concurrent(),
        "role": held.role.code(),
        "from": day_of(held.from).to_string(),
        "begins_at": time(held.from),
        "may": seen.may,
        "history": authorization.history.iter().map(|event| happened(event, names)).collect::<Vec<_>>(),
    });
    let set = |object: &mut Value, name: &str, value: Value| {
        if let Some(object) = object.as_object_mut() {
            object.insert(name.to_owned(), value);
        }
    };
    if let Some(person) = &seen.holder {
        set(&mut holder, "name", json!(person.name));
        set(&mut holder, "agency", json!(person.agency));
        set(&mut holder, "agency_name", json!(person.agency_name));
    }
    set(&mut body, "holder", holder);
    if let Some(until) = held.until {
        set(&mut body, "until", json!(last_day(until).to_string()));
        set(&mut body, "ends_at", time(until));
    }
    match seen.state {
        State::Requested { by } => {
            set(&mut body, "asked_by", json!(by));
            set(&mut body, "answer_by", optional(held.answer_by));
        }
        State::Ended(ending) => set(&mut body, "ending", json!(ending)),
        State::Active | State::Refused | State::Withdrawn | State::Revoked | State::Expired => {}
    }
    body
}

fn optional(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, time)
}

fn happened(event: &Event, names: &HashMap<PersonId, String>) -> Value {
    let by = match &event.by {
        By::Roster => json!({ "kind": "roster" }),
        By::Subject(Subject::Agency(oid)) => json!({ "kind": "agency", "agency_oid": oid }),
        By::Subject(Subject::Person(person)) => {
            let mut by = Map::from_iter([
                ("kind".to_owned(), json!("person")),
                ("person_id".to_owned(), json!(person)),
            ]);
            by.extend(names.get(person).map(|name| ("name".to_owned(), json!(name))));
            Value::Object(by)
        }
    };
    json!({ "what": event.what, "at": time(event.at), "by": by })
}

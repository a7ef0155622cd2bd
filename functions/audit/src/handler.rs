//! The edge.

use std::sync::Arc;

use jiff::Timestamp;
use lambda_http::http::Method;
use serde_json::{Value, json};
use shared::audit::Action;
use shared::chance;
use shared::http::{Answer, Call, time, unknown_route};
use shared::problem::Problem;
use shared::pseudonym::PersonId;

use crate::party;
use crate::step::{AuditReading, Page, Query, Wanted};

/// Most entries of a page, and how many a page has when nothing is said.
const MOST: usize = 100;
const USUAL: usize = 50;
/// Longest code of an agency.
const LONGEST_CODE: usize = 32;

impl Query {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let given = |name| call.query(name);
        let wanted = match (given("person"), given("actor"), given("agency")) {
            (Some(person), None, None) => {
                Wanted::Person(PersonId::parse(&person).ok_or_else(|| Problem::field("person"))?)
            }
            (None, Some(actor), None) => {
                Wanted::Actor(party::actor(&actor).ok_or_else(|| Problem::field("actor"))?)
            }
            (None, None, Some(code)) => {
                let fits =
                    code.len() <= LONGEST_CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
                Wanted::Agency(Some(code).filter(|_| fits).ok_or_else(|| Problem::field("agency"))?)
            }
            (None, None, None) => Wanted::OwnAgency,
            _ => return Err(Problem::field("person").because("several of person, actor and agency")),
        };
        let moment = |name| -> Result<Option<Timestamp>, Problem> {
            let text = given(name);
            text.map(|text| text.parse().map_err(|_| Problem::field(name))).transpose()
        };
        let action = given("action");
        if let Some(action) = &action {
            serde_json::from_value::<Action>(json!(action)).map_err(|_| Problem::field("action"))?;
        }
        let limit = match given("limit") {
            None => USUAL,
            Some(text) => {
                let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
                number.ok_or_else(|| Problem::field("limit"))?
            }
        };
        Ok(Self { wanted, from: moment("from")?, to: moment("to")?, action, limit, cursor: given("cursor") })
    }
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<AuditReading>, call: Arc<Call>) -> Result<Answer, Problem> {
    // Who has no session hears of that, not of what is wrong with the query.
    let presented = step.door().presented(&call)?;
    match (call.method(), call.path()) {
        (&Method::GET, "/v1/hr/audit") => {
            let query = Query::parse(&call)?;
            Ok(Answer::ok(page(&step.read(&call, presented, &query, &mut chance::system()).await?)))
        }
        _ => unknown_route(),
    }
}

fn page(page: &Page) -> Value {
    let entries = page.entries.iter().map(|entry| {
        let name = |party: &str| page.names.get(party).map(String::as_str);
        let mut body = json!({
            "at": time(entry.at),
            "action": entry.action,
            "outcome": entry.outcome,
            "actor": party::shown(&entry.actor, name(&entry.actor)),
            "subject": party::shown(&entry.subject, name(&entry.subject)),
            "address": entry.address,
            "request_id": entry.request_id,
        });
        if let Some(body) = body.as_object_mut() {
            if let Some(agency) = &entry.agency {
                body.insert("agency".to_owned(), json!(agency));
            }
            if let Some(note) = &entry.note {
                body.insert("note".to_owned(), json!(note));
            }
        }
        body
    });
    let mut body = json!({ "entries": entries.collect::<Vec<_>>() });
    if let (Some(next), Some(body)) = (&page.next_cursor, body.as_object_mut()) {
        body.insert("next_cursor".to_owned(), json!(next));
    }
    body
}

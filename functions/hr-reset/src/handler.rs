//! The edge.

use std::sync::Arc;

use lambda_http::http::{StatusCode, header};
use serde_json::{Value, json};
use shared::bulk::{RowRefusal, State};
use shared::chance;
use shared::delivery::{MailState, Standing};
use shared::email_address::EmailAddress;
use shared::http::{Answer, Call, Fields, cards, time, unknown_route};
use shared::language::Language;
use shared::national_id::NationalId;
use shared::problem::Problem;
use shared::pseudonym::PersonId;
use shared::store::bulk::Job;
use shared::visible;

use crate::bulk::{RowStatus, RowsPage, ShownRow, Uploaded};
use crate::cards::UnbindRequest;
use crate::list::{ListPage, ListRequest, ListedReset};
use crate::mail::ResetMail;
use crate::reset::{ResetRequest, Whom};
use crate::step::{Employee, HrReset};

/// Longest reason that the helpdesk may give, in characters.
const MAX_REASON: usize = 500;

impl ResetRequest {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let whom = match fields.optional_text("person_id")? {
            None => Whom::NationalId(national_id(&mut fields)?),
            Some(id) => {
                if fields.optional_text("national_id")?.is_some() {
                    return Err(Problem::field("person_id").because("beside a national ID"));
                }
                Whom::Person(PersonId::parse(&id).ok_or_else(|| Problem::field("person_id").because("none"))?)
            }
        };
        let email = EmailAddress::parse(&fields.text("email")?)?;
        let reason = reason(&mut fields)?;
        Ok(Self { whom, email, reason, email_confirmed: fields.flag("email_confirmed")? })
    }
}

impl UnbindRequest {
    fn parse(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let national_id = national_id(&mut fields)?;
        let card_id = fields.text("card_id")?;
        let reason = reason(&mut fields)?.ok_or_else(|| Problem::field("reason").because("missing"))?;
        Ok(Self { national_id, card_id, reason })
    }
}

fn reason(fields: &mut Fields) -> Result<Option<String>, Problem> {
    let Some(text) = fields.optional_text("reason")?.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let reason = visible::reason(&text);
    if reason.is_none() {
        return Err(Problem::field("reason").because("says nothing"));
    }
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(Problem::field("reason").because("too long"));
    }
    Ok(reason)
}

fn national_id(fields: &mut Fields) -> Result<NationalId, Problem> {
    NationalId::parse(&fields.text("national_id")?)
        .map_err(|reason| Problem::field("national_id").because(reason))
}

/// Answers a call.
///
/// # Errors
/// The problem.
pub async fn handle(step: Arc<HrReset>, call: Arc<Call>) -> Result<Answer, Problem> {
    // Who has no session hears of that, not of what is wrong with the body.
    let presented = step.door().presented(&call)?;
    let parameter = |name| call.path_parameter(name).unwrap_or_default();
    match call.route() {
        "POST /v1/hr/employees/search" => {
            let national_id = national_id(&mut call.fields()?)?;
            Ok(Answer::ok(employee(&step.search(&call, presented, &national_id).await?)))
        }
        "POST /v1/hr/employees/password-reset" => {
            let key = call.idempotency_key()?;
            let request = ResetRequest::parse(&call)?;
            let reset = step.reset(&call, presented, request, key.as_ref(), &mut chance::system()).await?;
            Ok(Answer::json(StatusCode::ACCEPTED, mail(&reset)))
        }
        "POST /v1/hr/employees/cards" => {
            let national_id = national_id(&mut call.fields()?)?;
            Ok(Answer::ok(cards(&step.cards(&call, presented, &national_id).await?)))
        }
        "POST /v1/hr/employees/cards/unbind" => {
            let request = UnbindRequest::parse(&call)?;
            step.unbind(&call, presented, request, &mut chance::system()).await?;
            Ok(Answer::no_content())
        }
        "GET /v1/hr/password-resets" => {
            let request = ListRequest::parse(&call)?;
            let page = step.list(&call, presented, &request, &mut chance::system()).await?;
            Ok(Answer::ok(list(&page)))
        }
        "POST /v1/hr/bulk-resets" => {
            let include_active = call.query_flag("include_active")?;
            let uploaded = step.upload(&call, presented, include_active, &mut chance::system()).await?;
            let location = format!("/v1/hr/bulk-resets/{}", uploaded.job.id);
            let body = self::uploaded(&uploaded, &call);
            Ok(Answer::json(StatusCode::CREATED, body).with_header(header::LOCATION, &location))
        }
        "GET /v1/hr/bulk-resets/{bulk_id}" => {
            Ok(Answer::ok(bulk(&step.bulk(&call, presented, &parameter("bulk_id")).await?, &call)))
        }
        "DELETE /v1/hr/bulk-resets/{bulk_id}" => {
            step.cancel(&call, presented, &parameter("bulk_id")).await?;
            Ok(Answer::no_content())
        }
        "GET /v1/hr/bulk-resets/{bulk_id}/rows" => {
            let (id, refused) = (parameter("bulk_id"), call.query_flag("refused")?);
            let page = step.bulk_rows(&call, presented, &id, refused, &mut chance::system()).await?;
            Ok(Answer::ok(rows(&page, call.language)))
        }
        "POST /v1/hr/bulk-resets/{bulk_id}/confirm" => {
            let job = step.confirm(&call, presented, &parameter("bulk_id")).await?;
            Ok(Answer::json(StatusCode::ACCEPTED, bulk(&job, &call)))
        }
        "GET /v1/hr/bulk-resets/{bulk_id}/result" => {
            let id = parameter("bulk_id");
            let file = step.result(&call, presented, &id).await?;
            Ok(Answer::csv_file(&format!("bulk-reset-{id}.csv"), file))
        }
        "GET /v1/hr/password-resets/{reset_id}" => {
            Ok(Answer::ok(mail(&step.mail(&call, presented, &parameter("reset_id")).await?)))
        }
        "POST /v1/hr/password-resets/{reset_id}/resend" => {
            let resent = step.resend(&call, presented, &parameter("reset_id")).await?;
            Ok(Answer::json(StatusCode::ACCEPTED, mail(&resent)))
        }
        _ => unknown_route(),
    }
}

fn employee(employee: &Employee) -> Value {
    let mut body = json!({
        "person_id": employee.id,
        "name": employee.name,
        "agency": employee.agency,
        "agency_name": employee.agency_name,
        "status": employee.service,
        "account_state": employee.account_state,
        "may_reset": employee.why_not.is_none(),
    });
    if let Some(body) = body.as_object_mut() {
        if let Some(email) = &employee.email_masked {
            body.insert("email".to_owned(), json!(email));
        }
        if let Some(since) = employee.email_undeliverable_since {
            body.insert("email_undeliverable_since".to_owned(), time(since));
        }
        if let Some(code) = employee.why_not {
            body.insert("why_not".to_owned(), json!(code.name()));
        }
    }
    body
}

fn mail(mail: &ResetMail) -> Value {
    let mut body = json!({
        "reset_id": mail.reset_id,
        "mail": state(mail.standing.state()),
        "created_at": time(mail.created_at),
        "expires_at": time(mail.expires_at),
        "resendable": mail.resendable,
    });
    if let Some(email) = &mail.email_masked {
        insert(&mut body, "email", json!(email));
    }
    say_why(&mut body, mail.standing);
    body
}

fn insert(body: &mut Value, name: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(name.to_owned(), value);
    }
}

/// How a mail came back, or why it is not sent.
fn say_why(body: &mut Value, standing: Standing) {
    match standing {
        Standing::Bounced(bounce) => insert(body, "bounce", json!(bounce)),
        Standing::Failed(why) => insert(body, "failure", json!(why)),
        Standing::Queued
        | Standing::Sending
        | Standing::Sent
        | Standing::Delivered
        | Standing::Complained => {}
    }
}

fn list(page: &ListPage) -> Value {
    let resets: Vec<Value> = page.resets.iter().map(listed).collect();
    with_next(json!({ "resets": resets }), page.next.as_deref())
}

fn listed(listed: &ListedReset) -> Value {
    let ListedReset { reset, name, mine, resendable } = listed;
    let mut body = json!({
        "reset_id": reset.reset_id,
        "person_id": reset.person,
        "agency": reset.agency,
        "mail": state(reset.standing.state()),
        "created_at": time(reset.created_at),
        "expires_at": time(reset.expires_at),
        "resendable": resendable,
        "mine": mine,
    });
    if let Some(name) = name {
        insert(&mut body, "name", json!(name));
    }
    say_why(&mut body, reset.standing);
    body
}

fn with_next(mut body: Value, next: Option<&str>) -> Value {
    if let Some(next) = next {
        insert(&mut body, "next_cursor", json!(next));
    }
    body
}

fn uploaded(uploaded: &Uploaded, call: &Call) -> Value {
    let mut body = bulk(&uploaded.job, call);
    let shown: Vec<Value> = uploaded.page.rows.iter().map(|shown| row(shown, call.language)).collect();
    insert(&mut body, "preview", json!(shown));
    with_next(body, uploaded.page.next.as_deref())
}

fn bulk(job: &Job, call: &Call) -> Value {
    let expired = job.state == State::Preview && call.now() >= job.expires_at;
    let refused: serde_json::Map<String, Value> =
        job.refused_at_first.iter().map(|(code, count)| (code.code().to_owned(), json!(count))).collect();
    let mut body = json!({
        "bulk_id": job.id,
        "state": if expired { "expired" } else { job.state.as_str() },
        "include_active": job.include_active,
        "rows": job.rows,
        "to_reset": job.to_reset,
        "refused": refused,
        "created_at": time(job.created_at),
        "expires_at": time(job.expires_at),
        "progress": {
            "reset": job.reset,
            "refused": job.refused,
            "remaining": job.to_reset.saturating_sub(job.reset).saturating_sub(job.refused),
        },
    });
    for (name, at) in [("confirmed_at", job.confirmed_at), ("finished_at", job.finished_at)] {
        if let Some(at) = at {
            insert(&mut body, name, time(at));
        }
    }
    if let Some(why) = job.stopped_by {
        insert(&mut body, "stopped_by", refusal(why, call.language));
    }
    body
}

fn refusal(refusal: RowRefusal, language: Language) -> Value {
    json!({ "code": refusal.code(), "reason": refusal.text(language) })
}

fn rows(page: &RowsPage, language: Language) -> Value {
    let rows: Vec<Value> = page.rows.iter().map(|shown| row(shown, language)).collect();
    with_next(json!({ "rows": rows }), page.next.as_deref())
}

fn row(row: &ShownRow, language: Language) -> Value {
    let mut body = json!({ "line": row.line, "status": row.status.name() });
    for (name, masked) in [("national_id", &row.national_id), ("email", &row.email)] {
        if let Some(masked) = masked {
            insert(&mut body, name, json!(masked));
        }
    }
    match &row.status {
        RowStatus::ToReset | RowStatus::Cancelled => {}
        RowStatus::Reset { reset_id, standing } => {
            insert(&mut body, "reset_id", json!(reset_id));
            if let Some(standing) = standing {
                insert(&mut body, "mail", json!(state(standing.state())));
            }
        }
        RowStatus::Refused { code, same_as } => {
            insert(&mut body, "code", json!(code.code()));
            insert(&mut body, "reason", json!(code.text(language)));
            if let Some(line) = same_as {
                insert(&mut body, "same_as", json!(line));
            }
        }
    }
    body
}

/// A mail in a dispatcher's hands is still queued to the one who waits for it.
pub(crate) fn state(state: MailState) -> MailState {
    match state {
        MailState::Sending => MailState::Queued,
        other => other,
    }
}

//! The table `authorizations`: who may or might reset where, since when, by whom, and what became of it.
//!
//! | item | key `pk` | read by | written by |
//! | --- | --- | --- | --- |
//! | authorization | `authorization#<id>` | key; an agency's open ones, or what became of the others, newest first, by the indexes `ByAgency` (where the holder may reset) and `ByHome` (where the holder serves) | grant, request, answer, revocation; the roster |
//!
//! What counts now is on the holder's item in the table of accounts, and a decision reads that alone. An item here is made
//! and moved on in the transaction that changes the holder's, and never deleted. `listed` is the indexes' sort key:
//! `open#<made>` or `closed#<ended>`, each with the id, so that a list of who may reset costs nothing for what is over.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, Update};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::AuditTrail;
use super::{Guard, Item, StoreError, Write, from_item, text, to_item};
use crate::audit::{Action, Entry, Origin, ROSTER, SUCCESS};
use crate::authority::authorization::{Authorization, AuthorizationId, By, Event, Held, Side};
use crate::authority::directory::Settled;
use crate::authority::life::{Ending, Happening, State, Step};
use crate::person::Person;
use crate::pseudonym::PersonId;
use crate::roster::Listed;
use crate::session::Subject;

/// The table.
#[derive(Clone, Debug)]
pub struct Authorizations {
    client: Client,
    table: String,
}

#[derive(Serialize, Deserialize)]
struct AuthorizationItem {
    pk: String,
    holder: PersonId,
    #[serde(flatten)]
    held: Held,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_by: Option<Side>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
    listed: String,
    history: Vec<EventItem>,
}

#[derive(Serialize, Deserialize)]
struct EventItem {
    what: Happening,
    by: String,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    at: Timestamp,
}

impl From<&Event> for EventItem {
    fn from(event: &Event) -> Self {
        Self { what: event.what, by: event.by.to_string(), at: event.at }
    }
}

fn key(id: &AuthorizationId) -> String {
    format!("authorization#{id}")
}

fn listed(state: State, at: Timestamp, id: &AuthorizationId) -> String {
    let place = if state.is_open() { "open" } else { "closed" };
    format!("{place}#{:013}#{id}", at.as_millisecond())
}

/// Reads an authorization out of an item, which a refused condition may have given back.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn authorization_from(item: Item) -> Result<Authorization, StoreError> {
    let item: AuthorizationItem = from_item(item)?;
    let unreadable = |what: &str| StoreError::Unreadable(what.to_owned());
    let id =
        item.pk.strip_prefix("authorization#").ok_or_else(|| unreadable("not an authorization"))?.to_owned();
    let state = match (item.state.as_str(), item.asked_by, item.ending) {
        ("requested", Some(by), _) => State::Requested { by },
        ("active", _, _) => State::Active,
        ("refused", _, _) => State::Refused,
        ("withdrawn", _, _) => State::Withdrawn,
        ("revoked", _, _) => State::Revoked,
        ("ended", _, Some(ending)) => State::Ended(ending),
        _ => return Err(unreadable("the state of an authorization")),
    };
    let history = item.history.into_iter().map(|event| {
        let by = By::parse(&event.by).ok_or_else(|| unreadable("who did something to an authorization"))?;
        Ok(Event { what: event.what, by, at: event.at })
    });
    Ok(Authorization {
        id: AuthorizationId::from_stored(&id),
        holder: item.holder,
        held: item.held,
        state,
        history: history.collect::<Result<_, StoreError>>()?,
    })
}

impl Authorizations {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes the record of an authorization that is given or asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn make(&self, authorization: &Authorization, at: Timestamp) -> Result<Put, StoreError> {
        let asked_by = match authorization.state {
            State::Requested { by } => Some(by),
            _ => None,
        };
        let item = AuthorizationItem {
            pk: key(&authorization.id),
            holder: authorization.holder.clone(),
            held: authorization.held.clone(),
            state: authorization.state.name().to_owned(),
            asked_by,
            ending: None,
            listed: listed(authorization.state, at, &authorization.id),
            history: authorization.history.iter().map(EventItem::from).collect(),
        };
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// An authorization; none for a text that cannot be an id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, id: &str) -> Result<Option<Authorization>, StoreError> {
        // Asked for in any case, so that what cannot be an id takes as long as one that nothing has.
        let id = AuthorizationId::parse(id).unwrap_or_else(|| AuthorizationId::from_stored("none"));
        let read =
            self.client.get_item().table_name(&self.table).key("pk", text(key(&id))).consistent_read(true);
        read.send().await?.item.map(authorization_from).transpose()
    }

    /// A page of an agency's authorizations, the newest first: those of which it is that side; and where the next one
    /// begins, for `after`, if there may be one. The indexes are a moment behind the table.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        agency: &str,
        side: Side,
        filter: Filter,
        limit: i32,
        after: Option<String>,
        now: Timestamp,
    ) -> Result<(Vec<Authorization>, Option<String>), StoreError> {
        let (index, hash) = match side {
            Side::Target => (BY_AGENCY, "agency"),
            Side::Home => (BY_HOME, "home"),
        };
        let mut found = Vec::new();
        let mut at = after;
        // What a filter leaves out is read on from, some pages far: a short page is better than a long wait.
        for _ in 0..PAGES {
            let wanted = limit.saturating_sub(i32::try_from(found.len()).unwrap_or(i32::MAX));
            let start = at.as_ref().map(|listed| {
                let id = listed.rsplit('#').next().unwrap_or_default();
                Item::from([
                    ("pk".to_owned(), text(key(&AuthorizationId::from_stored(id)))),
                    (hash.to_owned(), text(agency)),
                    ("listed".to_owned(), text(listed)),
                ])
            });
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(index)
                .key_condition_expression("#hash = :agency AND begins_with(listed, :place)")
                .expression_attribute_names("#hash", hash)
                .expression_attribute_values(":agency", text(agency))
                .expression_attribute_values(":place", text(filter.place()))
                .scan_index_forward(false)
                .set_exclusive_start_key(start)
                .limit(wanted);
            let answer = query.send().await?;
            for item in answer.items.unwrap_or_default() {
                let authorization = authorization_from(item)?;
                if filter.takes(authorization.state_at(now)) {
                    found.push(authorization);
                }
            }
            at = answer.last_evaluated_key.and_then(|last| last.get("listed")?.as_s().ok().cloned());
            if at.is_none() || i32::try_from(found.len()).unwrap_or(i32::MAX) >= limit {
                break;
            }
        }
        Ok((found, at))
    }

    /// Moves the record of an authorization on by a step of somebody's, if it is where it was when it was read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settle_one(
        &self,
        authorization: &Authorization,
        state: State,
        event: &Event,
    ) -> Result<Update, StoreError> {
        let id = &authorization.id;
        // Given: it keeps its place among what is open, which is by when it was asked for.
        let place = if state.is_open() { "" } else { ", listed = :listed" };
        let consent =
            if state == State::Active { ", consent = :active REMOVE answer_by, asked_by" } else { "" };
        let mut update = Update::builder()
            .table_name(&self.table)
            .key("pk", text(key(id)))
            .update_expression(format!(
                "SET #state = :state, history = list_append(history, :event){place}{consent}"
            ))
            .condition_expression("#state = :was")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", text(state.name()))
            .expression_attribute_values(":was", text(authorization.state.name()))
            .expression_attribute_values(":event", one_event(event)?);
        if !state.is_open() {
            update = update.expression_attribute_values(":listed", text(listed(state, event.at, id)));
        }
        if state == State::Active {
            update = update.expression_attribute_values(":active", text("active"));
        }
        Ok(update
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// Moves the record of an authorization on by a step that ends it, if it is still open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end(
        &self,
        id: &AuthorizationId,
        ending: Ending,
        by: &By,
        at: Timestamp,
    ) -> Result<Update, StoreError> {
        let step = Step::End(ending);
        let event = Event { what: step.happening(), by: by.clone(), at };
        let state = State::Ended(ending);
        Ok(Update::builder()
            .table_name(&self.table)
            .key("pk", text(key(id)))
            .update_expression(
                "SET #state = :ended, ending = :ending, listed = :listed, history = list_append(history, :event)",
            )
            .condition_expression("#state IN (:requested, :active)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":ended", text(state.name()))
            .expression_attribute_values(
                ":ending",
                serde_dynamo::to_attribute_value(ending).map_err(unreadable)?,
            )
            .expression_attribute_values(":listed", text(listed(state, at, id)))
            .expression_attribute_values(":event", one_event(&event)?)
            .expression_attribute_values(":requested", text("requested"))
            .expression_attribute_values(":active", text(State::Active.name()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?)
    }

    /// What a roster's row does besides the person's item, which [`super::accounts::Accounts::enroll_one`] writes: records
    /// that are made and ended, and the audit trail. Empty for a row that gives and ends nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settle(
        &self,
        listed: &Listed,
        known: Option<&Person>,
        settled: &Settled,
        audit: &AuditTrail,
        origin: &Origin,
    ) -> Result<Vec<(Guard, Write)>, StoreError> {
        let mut writes: Vec<(Guard, Write)> = Vec::new();
        let subject = Subject::Person(listed.id.clone());
        let entry = |action, agency: &str, note: Vec<String>| Entry {
            note: Some(note.join(", ")),
            ..origin.entry(action, ROSTER, &subject, SUCCESS).of_agency(Some(agency))
        };
        // What ends is told to the agency that its holder leaves.
        let left = known.map_or(&listed.agency, |known| &known.agency);
        for (id, ending) in &settled.ended {
            writes.push((Guard::Authorization, self.end(id, *ending, &By::Roster, origin.at)?.into()));
        }
        for (id, held) in &settled.granted {
            let authorization = Authorization {
                id: id.clone(),
                holder: listed.id.clone(),
                held: held.clone(),
                state: State::Active,
                history: vec![Event { what: Happening::Granted, by: By::Roster, at: origin.at }],
            };
            writes.push((Guard::Authorization, self.make(&authorization, origin.at)?.into()));
        }
        if !settled.ended.is_empty() {
            let note = settled.ended.iter().map(|(id, _)| id.to_string()).collect();
            writes.push((Guard::New, audit.append(entry(Action::AuthorizationEnd, left, note))?.into()));
        }
        if !settled.granted.is_empty() {
            let note = settled.granted.iter().map(|(id, held)| format!("{id}: {}", held.agency)).collect();
            writes.push((
                Guard::New,
                audit.append(entry(Action::AuthorizationGrant, &listed.agency, note))?.into(),
            ));
        }
        Ok(writes)
    }
}

fn one_event(event: &Event) -> Result<AttributeValue, StoreError> {
    let event = serde_dynamo::to_attribute_value(EventItem::from(event)).map_err(unreadable)?;
    Ok(AttributeValue::L(vec![event]))
}

/// The indexes: by where the holder may reset, and by where they serve.
const BY_AGENCY: &str = "ByAgency";
const BY_HOME: &str = "ByHome";

/// How many queries a page may take when its filter leaves much out.
const PAGES: usize = 5;

/// What to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// What may yet count: requests and what is given.
    Open,
    /// Requests that wait for an answer.
    Requested,
    /// What is given: it counts now, or will.
    Active,
    /// What time has ended.
    Expired,
    /// What was refused, withdrawn, revoked or ended.
    Closed,
}

impl Filter {
    const ALL: [Self; 5] = [Self::Open, Self::Requested, Self::Active, Self::Expired, Self::Closed];

    /// By its name in requests.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == text)
    }

    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Closed => "closed",
        }
    }

    fn place(self) -> &'static str {
        match self {
            Self::Open | Self::Requested | Self::Active | Self::Expired => "open#",
            Self::Closed => "closed#",
        }
    }

    fn takes(self, state: State) -> bool {
        match self {
            Self::Open => state.is_open(),
            Self::Requested => matches!(state, State::Requested { .. }),
            Self::Active => state == State::Active,
            Self::Expired => state == State::Expired,
            Self::Closed => true,
        }
    }
}

fn unreadable(error: serde_dynamo::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

//! Lists of resets, newest first, with where their mails are: an agency's, or one's own.

use std::collections::HashMap;

use jiff::Timestamp;
use rand::CryptoRng;
use shared::authority::{Act, Actor, Ground, Permit, Target, decide};
use shared::caller::{Caller, Presented};
use shared::delivery::MailState;
use shared::http::Call;
use shared::notice::{Contact, current};
use shared::person::Person;
use shared::problem::{Code, Problem};
use shared::pseudonym::PersonId;
use shared::session::Subject;
use shared::store::outbox::{Listed, Of, Outbox, Place, Wanted};

use crate::step::HrReset;

/// Resets on a page, unless the call says how many, and at most.
const PAGE: usize = 50;
const MOST: usize = 100;

/// Longest code of an agency, in characters.
const LONGEST_AGENCY: usize = 64;

/// What somebody asks of the list.
#[derive(Debug)]
pub struct ListRequest {
    agency: Option<String>,
    mine: bool,
    state: Option<MailState>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    cursor: Option<String>,
    limit: usize,
}

/// A reset in the list.
#[derive(Debug)]
pub struct ListedReset {
    /// The reset.
    pub reset: Listed,
    /// The name of the person who was reset, if they are still known.
    pub name: Option<String>,
    /// Whether the caller made it.
    pub mine: bool,
    /// Whether a resend would be accepted now.
    pub resendable: bool,
}

/// A page of the list.
#[derive(Debug)]
pub struct ListPage {
    /// The resets.
    pub resets: Vec<ListedReset>,
    /// Asks for the next page.
    pub next: Option<String>,
}

impl ListRequest {
    /// Reads the query.
    ///
    /// # Errors
    /// `request_invalid`, naming the parameter.
    pub fn parse(call: &Call) -> Result<Self, Problem> {
        let state = call.query("state").map(|text| {
            // Sending is how the outbox calls a mail that is still queued to who waits for it.
            let known = MailState::ALL.into_iter().filter(|state| *state != MailState::Sending);
            known
                .into_iter()
                .find(|state| state.as_str() == text)
                .ok_or_else(|| Problem::field("state").because("no such state"))
        });
        let agency = call.query("agency").filter(|agency| !agency.is_empty());
        if agency.as_ref().is_some_and(|agency| agency.chars().count() > LONGEST_AGENCY) {
            return Err(Problem::field("agency").because("too long"));
        }
        Ok(Self {
            agency,
            mine: call.query_flag("mine")?,
            state: state.transpose()?,
            from: call.query_time("from")?,
            to: call.query_time("to")?,
            cursor: call.query("cursor"),
            limit: call.page_limit(PAGE, MOST)?,
        })
    }

    /// The list's name, which a cursor is bound to: all that is asked but where to begin and how much to show.
    fn name(&self, of: &Of, by: &Subject) -> Vec<String> {
        let time =
            |time: Option<Timestamp>| time.map_or(String::new(), |time| time.as_millisecond().to_string());
        let of = match of {
            Of::Agency(agency) => format!("agency#{agency}"),
            Of::Resetter(_) => format!("mine#{}", self.agency.as_deref().unwrap_or_default()),
        };
        let state = self.state.map_or("", MailState::as_str).to_owned();
        vec!["password-resets".to_owned(), by.to_string(), of, state, time(self.from), time(self.to)]
    }

    fn states(&self) -> Vec<MailState> {
        match self.state {
            None => Vec::new(),
            Some(MailState::Queued) => vec![MailState::Queued, MailState::Sending],
            Some(state) => vec![state],
        }
    }
}

/// The agency whose resets are meant when the call names none: the caller's own, if they cover it.
fn own_agency(caller: &Caller, actor: Actor<'_>, now: Timestamp) -> Option<String> {
    let agency = match caller {
        Caller::Person(person) => &person.person().agency,
        Caller::Agency(agency) => &agency.code,
    };
    match decide(actor, Act::ListResets, Target::Agency(agency), now) {
        // To the helpdesk, which covers everybody, its own agency is one of many.
        Ok(Permit { ground: Ground::Helpdesk, .. }) | Err(_) => None,
        Ok(_) => Some(agency.clone()),
    }
}

impl HrReset {
    /// A page of resets, newest first: of an agency that the caller covers (their own, when none is named), or those that
    /// they made themselves. A reset is in the list a moment after it was made, and as long as the outbox keeps it.
    ///
    /// # Errors
    /// `session_required`, `not_authorized` (also for an agency out of scope or unknown), `request_invalid`,
    /// `unavailable`.
    pub async fn list(
        &self,
        call: &Call,
        presented: Presented,
        request: &ListRequest,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<ListPage, Problem> {
        let now = call.now();
        let admitted = self.door().admit(presented, &[], now).await?;
        let actor = admitted.caller.actor();
        decide(actor, Act::ListResets, Target::Anybody, now)?;
        let by = &admitted.session.subject;
        let of = match (request.mine, &request.agency) {
            (true, _) => Of::Resetter(by.clone()),
            (false, Some(agency)) => Of::Agency(agency.clone()),
            (false, None) => Of::Agency(
                own_agency(&admitted.caller, actor, now)
                    .ok_or_else(|| Problem::field("agency").because("no agency, and not mine"))?,
            ),
        };
        if let Some(agency) = &request.agency {
            let decided = decide(actor, Act::ListResets, Target::Agency(agency), now);
            decided.map_err(|refusal| Problem::new(Code::NotAuthorized).because(refusal))?;
        }
        let name = request.name(&of, by);
        let name: Vec<&str> = name.iter().map(String::as_str).collect();
        let after: Option<Place> =
            request.cursor.as_deref().map(|cursor| self.cursors.open(&name, cursor)).transpose()?;
        let wanted = Wanted {
            of,
            from: request.from,
            to: request.to,
            states: request.states(),
            after,
            limit: request.limit,
        };
        let page = self.outbox.list(&wanted).await?;
        let visible = |reset: &Listed| {
            request.agency.as_ref().is_none_or(|agency| *agency == reset.agency)
                && decide(actor, Act::SeeReset, Target::Agency(&reset.agency), now).is_ok()
        };
        let resets: Vec<Listed> = page.resets.into_iter().filter(visible).collect();
        let ids: Vec<&PersonId> = resets.iter().map(|reset| &reset.person).collect();
        let people = match ids.is_empty() {
            true => HashMap::new(),
            false => self.door().accounts().people(&ids).await?,
        };
        let shown = |reset: Listed| {
            let person = people.get(&reset.person);
            ListedReset {
                name: person.map(|person| person.name.clone()),
                mine: reset.by.as_ref() == Some(by),
                resendable: resendable(&reset, person, now),
                reset,
            }
        };
        let next = page.next.map(|place| self.cursors.seal(&name, &place, rng)).transpose()?;
        Ok(ListPage { resets: resets.into_iter().map(shown).collect(), next })
    }
}

/// Whether a resend would be accepted now: by what the outbox knows, and because the initial password is still the person's.
fn resendable(reset: &Listed, person: Option<&Person>, now: Timestamp) -> bool {
    let contact = person.map(|person| Contact {
        service: person.service,
        agency: None,
        initial_reset: person.account.initial_reset.clone(),
        email_sealed: None,
        generation: person.generation,
    });
    Outbox::may_resend(reset, now)
        && current(contact.as_ref(), &reset.reset_id, reset.expires_at, now).is_ok()
}

//! Authorizing HR staff, and asking for a concurrent duty.

use std::collections::BTreeMap;

use futures_util::future::try_join;
use jiff::Timestamp;
use rand::CryptoRng;
use shared::audit::Action;
use shared::authority::authorization::{Authorization, AuthorizationId, By, Consent, Held, MAX_HELD, Side};
use shared::authority::life::{Happening, REQUEST_LIFE, State};
use shared::authority::{Act, Actor, Duty, Target, decide};
use shared::caller::{Admitted, Presented};
use shared::http::Call;
use shared::national_id::NationalId;
use shared::notice::Notice;
use shared::person::{Person, Role};
use shared::problem::{Advice, Code, Problem};
use shared::pseudonym::PersonId;
use shared::session::Subject;
use shared::store::accounts::person_from;
use shared::store::authorizations::authorization_from;
use shared::store::{CommitError, Guard};
use shared::telemetry;

use crate::dates::{Term, day_of};
use crate::step::{Acting, Authorizing, Change, Seen, TRIES, own_agency};

/// An authorization that somebody asks for.
#[derive(Debug)]
pub struct GrantRequest {
    /// Who is to hold it.
    pub holder: Named,
    /// The holder's name, which somebody of another agency is asked for with.
    pub name: Option<String>,
    /// Where they are to reset; the holder's own agency when it is left out.
    pub agency: Option<String>,
    /// From when, until when.
    pub term: Term,
    /// Whether the first day was given: without one, each call has a moment of its own.
    pub first_day_given: bool,
}

/// How a request names a person.
#[derive(Debug)]
pub enum Named {
    /// By national ID.
    NationalId(NationalId),
    /// As a search answered.
    Person(PersonId),
}

/// What came of it.
#[derive(Debug)]
pub enum Granted {
    /// It was made.
    Made(Seen),
    /// It was there: the same call came before.
    There(Seen),
}

impl Authorizing {
    /// Authorizes HR staff of the caller's own agency at once, or asks for a concurrent duty, to which the other agency's
    /// HR head has to say yes. The same call again changes nothing.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `employee_not_found`, `person_departed`, `holder_not_eligible`,
    /// `authorization_exists`, `agency_unknown` and `agency_without_head` for a request that nobody could answer,
    /// `too_many_requests`, `conflict`, `unavailable`.
    pub async fn grant(
        &self,
        call: &Call,
        presented: Presented,
        id: &AuthorizationId,
        request: GrantRequest,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Granted, Problem> {
        let now = call.now();
        let whom = match &request.holder {
            Named::NationalId(national_id) => self.pseudonyms.person(national_id),
            Named::Person(id) => id.clone(),
        };
        let known = async { Ok(self.authorizations.get(id.as_str()).await?) };
        let (mut admitted, known) = try_join(self.door().admit(presented, &[&whom], now), known).await?;
        telemetry::note_subject(Subject::Person(whom.clone()));
        self.counted(&admitted, now).await?;
        let mut holder = admitted.people.remove(&whom);
        let acting = Acting { call, admitted: &admitted };
        let mut known = known;
        for _ in 0..TRIES {
            if let Some(known) = known {
                return self.there(&admitted, known, &whom, &request, holder.as_ref(), now);
            }
            let actor = admitted.caller.actor();
            let agency = request.agency.as_deref().unwrap_or_else(|| own_agency(&admitted)).to_owned();
            let name = request.name.as_deref();
            let duty = holder.as_ref().map(|holder| Duty { holder, agency: &agency, name });
            let act = duty.map_or(Act::Grant, |duty| duty.act());
            let decided = decide(actor, act, duty.map_or(Target::Unknown, Target::Duty), now);
            let decided = decided.map(drop).map_err(Problem::from);
            let action = action(act);
            let home = holder.as_ref().map(|holder| holder.agency.as_str());
            self.audited(decided, action, &acting, (Some(&whom), home), id.as_str()).await?;
            let Some(person) = &holder else { return Err(Code::EmployeeNotFound.into()) };
            let own = own_agency(&admitted);
            let mut told = Vec::new();
            if act == Act::RequestDuty {
                // Only whoever may ask is told of the other agency.
                let other = Duty { holder: person, agency: &agency, name }.answered_in(own).to_owned();
                let (answering, heads) = self.personnel.answering(&other).await?;
                let answering = answering.may_be_asked().map_err(Problem::from);
                self.audited(answering, action, &acting, (Some(&whom), home), id.as_str()).await?;
                told = heads;
            }
            let authorization = made(&acting, id, person, &agency, request.term, now);
            let held = with(person, &authorization, now)?;
            let record = self.authorizations.make(&authorization, now)?;
            let notice = match authorization.held.answer_by {
                Some(until) => Notice::ConsentWanted { agency: own.to_owned(), until },
                None => {
                    told = vec![whom.clone()];
                    authorized(&authorization.held)
                }
            };
            let told = told.iter().map(|head| self.tell(head, &notice, now, rng));
            let told = told.collect::<Result<_, _>>()?;
            let change = Change { held, gives: true, told };
            let written = self.write(&acting, action, person, change, record, id).await;
            match written {
                Ok(()) => {
                    return Ok(Granted::Made(self.seen(&admitted, authorization, holder.as_ref(), now)));
                }
                Err(error) => {
                    let again = |actor: Actor<'_>| {
                        let duty = Duty { holder: person, agency: &agency, name };
                        decide(actor, act, Target::Duty(duty), now)
                    };
                    if let Some(overtaken) = admitted.overtaken(&error, again) {
                        return Err(overtaken);
                    }
                    if let Some(there) = error.refused(Guard::Authorization) {
                        known = there.item.clone().map(authorization_from).transpose()?;
                    } else if let Some(changed) = error.refused(Guard::Person) {
                        // Somebody else's change came first: it is decided anew on the person as they are now.
                        holder = changed.item.clone().map(person_from).transpose()?;
                    } else {
                        return Err(error.into());
                    }
                }
            }
        }
        Err(CommitError::Busy.into())
    }

    /// What the same call comes to when it comes again; another one under the same id is refused.
    fn there(
        &self,
        admitted: &Admitted,
        known: Authorization,
        whom: &PersonId,
        request: &GrantRequest,
        holder: Option<&Person>,
        now: Timestamp,
    ) -> Result<Granted, Problem> {
        let first = known.history.first();
        let mine = first.is_some_and(|first| first.by == By::Subject(admitted.session.subject.clone()));
        let agency = request.agency.as_ref().is_none_or(|agency| *agency == known.held.agency);
        let from = !request.first_day_given || day_of(known.held.from) == day_of(request.term.from);
        let same = mine && known.holder == *whom && agency && from && known.held.until == request.term.until;
        if !same {
            return Err(Problem::new(Code::AuthorizationExists).because("another one has the id"));
        }
        Ok(Granted::There(self.seen(admitted, known, holder, now)))
    }
}

/// What the holder of an authorization is told when it counts, or will.
pub(crate) fn authorized(held: &Held) -> Notice {
    Notice::Authorized { agency: held.agency.clone(), from: held.from, until: held.until }
}

fn action(act: Act) -> Action {
    match act {
        Act::RequestDuty => Action::AuthorizationRequest,
        _ => Action::AuthorizationGrant,
    }
}

/// The authorization that a request makes.
fn made(
    acting: &Acting<'_>,
    id: &AuthorizationId,
    holder: &Person,
    agency: &str,
    term: Term,
    now: Timestamp,
) -> Authorization {
    let duty = Duty { holder, agency, name: None };
    let concurrent = duty.act() == Act::RequestDuty;
    let asks_at_home = match acting.admitted.caller.actor() {
        Actor::Person(person) => person.agency == holder.agency,
        Actor::Agency { agency } => *agency == holder.agency,
    };
    let side = if asks_at_home { Side::Home } else { Side::Target };
    let answer_by = now.checked_add(REQUEST_LIFE).unwrap_or(Timestamp::MAX);
    let held = Held {
        agency: agency.to_owned(),
        home: holder.agency.clone(),
        role: duty.role().unwrap_or(Role::HrStaff),
        from: term.from,
        until: term.until,
        consent: if concurrent { Consent::Requested } else { Consent::Active },
        answer_by: concurrent.then_some(answer_by),
        by_roster: false,
    };
    let (state, what) = if concurrent {
        (State::Requested { by: side }, Happening::Requested)
    } else {
        (State::Active, Happening::Granted)
    };
    let history = vec![acting.event(what)];
    Authorization { id: id.clone(), holder: holder.id.clone(), held, state, history }
}

/// The holder's authorizations with one more.
fn with(
    holder: &Person,
    authorization: &Authorization,
    now: Timestamp,
) -> Result<BTreeMap<AuthorizationId, Held>, Problem> {
    let mut held = holder.authority.held.clone();
    held.retain(|_, held| held.over(now).is_none());
    if held.values().any(|held| held.agency == authorization.held.agency) {
        return Err(Problem::new(Code::AuthorizationExists).because("one is open"));
    }
    if held.len() >= MAX_HELD {
        let full = Problem::new(Code::AuthorizationExists).advising(Advice::TooManyAuthorizations);
        return Err(full.because("as many as fit are open"));
    }
    held.insert(authorization.id.clone(), authorization.held.clone());
    Ok(held)
}

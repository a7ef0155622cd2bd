//! Steps of an authorization's life: yes and no of the other agency, withdrawing, revoking.

use std::collections::BTreeMap;

use futures_util::future::try_join;
use rand::CryptoRng;
use shared::audit::Action;
use shared::authority::authorization::{Authorization, AuthorizationId, Consent, Held};
use shared::authority::life::{State, Step};
use shared::authority::{Act, Actor, Target, decide};
use shared::caller::Presented;
use shared::http::Call;
use shared::notice::Notice;
use shared::person::Person;
use shared::problem::{Code, Problem};
use shared::session::Subject;
use shared::store::accounts::person_from;
use shared::store::authorizations::authorization_from;
use shared::store::{CommitError, Guard};
use shared::telemetry;

use crate::grant::authorized;
use crate::step::{Acting, Authorizing, Change, Seen, TRIES, hidden};

/// The step of an authorization's life that an act is.
pub(crate) fn step_of(act: Act) -> Option<Step> {
    match act {
        Act::AcceptDuty => Some(Step::Accept),
        Act::RefuseDuty => Some(Step::Refuse),
        Act::WithdrawDuty => Some(Step::Withdraw),
        Act::Revoke => Some(Step::Revoke),
        _ => None,
    }
}

fn action(step: Step) -> Action {
    match step {
        Step::Accept => Action::AuthorizationAccept,
        Step::Refuse => Action::AuthorizationRefusal,
        Step::Withdraw => Action::AuthorizationWithdrawal,
        Step::Revoke => Action::AuthorizationRevocation,
        Step::End(_) => Action::AuthorizationEnd,
    }
}

/// Where a step leads; where it leads already counts as done.
enum Next {
    Done,
    To(State),
}

fn next(authorization: &Authorization, step: Step, now: jiff::Timestamp) -> Result<Next, Problem> {
    let state = authorization.state_at(now);
    let done = matches!(
        (step, state),
        (Step::Refuse, State::Refused) | (Step::Withdraw, State::Withdrawn) | (Step::Revoke, State::Revoked)
    );
    if done {
        return Ok(Next::Done);
    }
    let settled = |refused| Problem::new(Code::AuthorizationSettled).because(refused);
    state.after(step).map(Next::To).map_err(settled)
}

/// The holder as a change has left them.
fn after(mut holder: Person, held: BTreeMap<AuthorizationId, Held>) -> Person {
    holder.authority.held = held;
    holder
}

impl Authorizing {
    /// Takes a step of an authorization's life. A no, a withdrawal or a revocation that comes again changes nothing.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `authorization_not_found`, `authorization_settled`, `holder_not_eligible`,
    /// `too_many_requests`, `conflict`, `unavailable`.
    pub async fn settle(
        &self,
        call: &Call,
        presented: Presented,
        id: &str,
        act: Act,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Seen, Problem> {
        let now = call.now();
        let step = step_of(act).ok_or_else(|| Problem::field("path").because("not a step"))?;
        let known = async { Ok(self.authorizations.get(id).await?) };
        let (admitted, known) = try_join(self.door().admit(presented, &[], now), known).await?;
        self.counted(&admitted, now).await?;
        let acting = Acting { call, admitted: &admitted };
        // Whoever may not know of it is told so before anything more is read.
        let target = known.as_ref().map_or(Target::Unknown, |known| Target::Authorization(known, None));
        let decided = decide(admitted.caller.actor(), Act::SeeAuthorization, target, now).map_err(hidden);
        self.audited(decided.map(drop), action(step), &acting, (None, None), id).await?;
        let mut authorization = known.ok_or(Code::AuthorizationNotFound)?;
        let whom = authorization.holder.clone();
        telemetry::note_subject(Subject::Person(whom.clone()));
        let mut holder: Option<Person> = None;
        for _ in 0..TRIES {
            if holder.is_none() {
                holder = self.accounts().person(&whom).await?;
            }
            let target = Target::Authorization(&authorization, holder.as_ref());
            let decided = decide(admitted.caller.actor(), act, target, now).map_err(hidden);
            self.audited(
                decided.map(drop),
                action(step),
                &acting,
                (Some(&whom), Some(&authorization.held.home)),
                id,
            )
            .await?;
            let state = match next(&authorization, step, now)? {
                Next::Done => return Ok(self.seen(&admitted, authorization, holder.as_ref(), now)),
                Next::To(state) => state,
            };
            let Some(person) = &holder else { return Err(Code::AuthorizationSettled.into()) };
            let mut held = person.authority.held.clone();
            let accepts = step == Step::Accept;
            if accepts {
                let Some(held) = held.get_mut(&authorization.id) else {
                    // It was ended between the two reads: the record says by what.
                    authorization = self.authorizations.get(id).await?.ok_or(Code::AuthorizationNotFound)?;
                    holder = None;
                    continue;
                };
                held.consent = Consent::Active;
                held.answer_by = None;
            } else {
                held.remove(&authorization.id);
            }
            let event = acting.event(step.happening());
            let record = self.authorizations.settle_one(&authorization, state, &event)?;
            let notice = match step {
                Step::Accept => Some(authorized(&authorization.held)),
                Step::Revoke => {
                    Some(Notice::AuthorizationRevoked { agency: authorization.held.agency.clone() })
                }
                // Who may not reset yet has nothing to be told.
                Step::Refuse | Step::Withdraw | Step::End(_) => None,
            };
            let told = notice.iter().map(|notice| self.tell(&whom, notice, now, rng));
            let told = told.collect::<Result<_, _>>()?;
            let change = Change { held: held.clone(), gives: accepts, told };
            let written = self.write(&acting, action(step), person, change, record, &authorization.id).await;
            let error = match written {
                Ok(()) => {
                    authorization.state = state;
                    authorization.history.push(event);
                    if accepts {
                        authorization.held.consent = Consent::Active;
                        authorization.held.answer_by = None;
                    }
                    let holder = holder.map(|holder| after(holder, held));
                    return Ok(self.seen(&admitted, authorization, holder.as_ref(), now));
                }
                Err(error) => error,
            };
            let again = |actor: Actor<'_>| {
                decide(actor, act, Target::Authorization(&authorization, holder.as_ref()), now)
            };
            if let Some(overtaken) = admitted.overtaken(&error, again) {
                return Err(overtaken);
            }
            let moved = error.refused(Guard::Authorization);
            let changed = error.refused(Guard::Person);
            if moved.is_none() && changed.is_none() {
                return Err(error.into());
            }
            if let Some(item) = moved.and_then(|moved| moved.item.clone()) {
                authorization = authorization_from(item)?;
            }
            holder = changed.and_then(|changed| changed.item.clone()).map(person_from).transpose()?;
        }
        Err(CommitError::Busy.into())
    }
}

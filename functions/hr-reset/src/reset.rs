//! The reset of one person's password.

use futures_util::future::try_join;
use rand::CryptoRng;
use shared::audit::Action;
use shared::authority::{Act, Actor, Refusal, Target, decide};
use shared::caller::{Admitted, Presented};
use shared::email_address::EmailAddress;
use shared::http::Call;
use shared::idempotency::{Key, REMEMBERED};
use shared::national_id::NationalId;
use shared::problem::{Code, Problem};
use shared::pseudonym::{PersonId, RequestDigest};
use shared::reset::Reset;
use shared::session::Subject;
use shared::store::Guard;
use shared::store::outbox::{Lane, Outbox, address_key};
use shared::store::tickets::{Answered, Rate, Tickets, answered_key};
use shared::telemetry;

use crate::mail::ResetMail;
use crate::step::{HrReset, too_many};

/// Who is to be reset.
#[derive(Debug)]
pub enum Whom {
    /// By national ID.
    NationalId(NationalId),
    /// By the id that a search or a list gave.
    Person(PersonId),
}

/// A reset that somebody asks for.
#[derive(Debug)]
pub struct ResetRequest {
    /// Whose password.
    pub whom: Whom,
    /// Where to mail the initial one.
    pub email: EmailAddress,
    /// Why.
    pub reason: Option<String>,
    /// That the address is right although mail to it came back.
    pub email_confirmed: bool,
}

/// A request with an idempotency key: who asks with which key, and for what.
struct Keyed {
    key: RequestDigest,
    request: RequestDigest,
}

impl HrReset {
    /// Resets a password (重設密碼): the old one, every session and every open ticket end; an initial password is on its way.
    /// Who has activated before is also told at the address of that time: they alone know a reset that nobody asked for.
    ///
    /// A request with an idempotency key that was carried out before is answered with the same reset, as it is now. What was
    /// refused changed nothing, and is not remembered.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `step_up_required`, `employee_not_found`, `person_departed`, `request_invalid`
    /// without the helpdesk's reason, `email_undeliverable`, `idempotency_key_reused`, `too_many_requests`, `conflict`, `unavailable`.
    pub async fn reset(
        &self,
        call: &Call,
        presented: Presented,
        request: ResetRequest,
        key: Option<&Key>,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<ResetMail, Problem> {
        let now = call.now();
        let id = match &request.whom {
            Whom::NationalId(national_id) => self.pseudonyms.person(national_id),
            Whom::Person(id) => id.clone(),
        };
        let address = self.pseudonyms.email(&request.email);
        let by = presented.subject.clone();
        let by_actor = Rate::resets_by(&by, self.limits.resets_by_actor, now);
        let of_person = Rate::resets_of(&id, self.limits.resets_of_person, now);
        let keyed = key.map(|key| self.keyed(&by, &id, &request, key));
        let counters = [by_actor.key().to_owned(), of_person.key().to_owned()];
        let keys = counters.into_iter().chain(keyed.as_ref().map(|keyed| answered_key(&keyed.key))).collect();
        // Nothing of it is believed before the caller is let in.
        let beside = async {
            Ok(self.tickets.read_with(keys, self.outbox.table(), vec![address_key(&address)]).await?)
        };
        let (mut admitted, mut beside) = try_join(self.door.admit(presented, &[&id], now), beside).await?;
        let whom = Subject::Person(id.clone());
        telemetry::note_subject(&whom);
        if let Some(keyed) = &keyed {
            let answered = Tickets::answered_from(beside.remove(&answered_key(&keyed.key)), now)?;
            if let Some(answered) = answered {
                // Nothing is counted: nothing is done.
                for rate in [&by_actor, &of_person] {
                    telemetry::note_left(rate.left(beside.get(rate.key())));
                }
                return self.answer_again(call, &admitted, keyed, &answered, &request.email).await;
            }
        }
        let person = admitted.people.remove(&id);
        let decided = decide(admitted.caller.actor(), Act::Reset, Target::found(person.as_ref()), now);
        let agency = person.as_ref().map(|person| person.agency.as_str());
        let decided = self.audited(decided, Action::PasswordReset, &by, &whom, agency, &call.origin).await?;
        self.step_up.check(&admitted.session, now)?;
        let person = person.ok_or(Refusal::OutOfScope)?;
        if decided.needs_reason && request.reason.is_none() {
            return Err(Problem::field("reason").because("the helpdesk says why"));
        }
        let mark = Outbox::address_mark_from(beside.remove(&address_key(&address)))?;
        if let (Some(mark), false) = (mark, request.email_confirmed) {
            let reason = format!("{:?} since {}", mark.why, mark.since);
            return Err(Problem::new(Code::EmailUndeliverable).on("email").because(reason));
        }
        let reset = Reset {
            person: &person,
            email: &request.email,
            address: &address,
            by: &by,
            lane: Lane::Single,
            now,
        };
        let drawn = self.resetter.draw(&reset, rng).await?;
        let confirmed = if mark.is_some() { " (the address was confirmed)" } else { "" };
        let note = match &request.reason {
            Some(reason) => format!("{confirmed}: {reason}"),
            None => confirmed.to_owned(),
        };
        let answer = match &keyed {
            None => None,
            Some(keyed) => {
                let answered = Answered {
                    request: keyed.request.clone(),
                    reset_id: drawn.letter().reset_id.clone(),
                    expires_at: now.checked_add(REMEMBERED).unwrap_or(jiff::Timestamp::MAX),
                };
                Some(self.tickets.answer(&keyed.key, &answered, now)?)
            }
        };
        let written = self
            .resetter
            .write(&reset, &drawn, &note, &call.origin, rng)?
            .with(Guard::Actor, admitted.unchanged(self.door.accounts())?)
            .with(Guard::Rate, self.tickets.count(&by_actor)?)
            .with(Guard::PersonRate, self.tickets.count(&of_person)?)
            .with_some(Guard::Key, answer)
            .commit(&self.client)
            .await;
        let error = match written {
            Ok(()) => {
                for rate in [&by_actor, &of_person] {
                    telemetry::note_left(rate.left_after(beside.get(rate.key())));
                }
                return Ok(ResetMail::queued(drawn.letter().clone(), &request.email));
            }
            Err(error) => error,
        };
        if let (Some(keyed), Some(_)) = (&keyed, error.refused(Guard::Key)) {
            // Another request with this key was quicker.
            let answered = self.tickets.answered(&keyed.key, now).await?.ok_or(Code::Conflict)?;
            for rate in [&by_actor, &of_person] {
                telemetry::note_left(rate.left_after(beside.get(rate.key())));
            }
            return self.answer_again(call, &admitted, keyed, &answered, &request.email).await;
        }
        let again = |actor: Actor<'_>| decide(actor, Act::Reset, Target::Person(&person), now);
        let overtaken = admitted.overtaken(&error, again);
        Err(overtaken.unwrap_or_else(|| too_many(error, &by_actor, &of_person)))
    }

    /// What a key stands for: it is the actor's own, and belongs to one request, down to the letter.
    fn keyed(&self, by: &Subject, id: &PersonId, request: &ResetRequest, key: &Key) -> Keyed {
        let confirmed = if request.email_confirmed { "confirmed" } else { "" };
        let reason = request.reason.as_deref().unwrap_or_default();
        let parts = ["password-reset", id.as_str(), request.email.reveal(), confirmed, reason];
        Keyed {
            key: self.pseudonyms.request(&["idempotency-key", &by.to_string(), key.as_str()]),
            request: self.pseudonyms.request(&parts),
        }
    }

    /// The answer to a request that was carried out before: the reset that it made, as it is now.
    async fn answer_again(
        &self,
        call: &Call,
        admitted: &Admitted,
        keyed: &Keyed,
        answered: &Answered,
        email: &EmailAddress,
    ) -> Result<ResetMail, Problem> {
        if answered.request != keyed.request {
            return Err(Problem::new(Code::IdempotencyKeyReused).on("idempotency-key"));
        }
        let reset = self.seen(admitted.caller.actor(), &answered.reset_id, call.now()).await?;
        Ok(ResetMail { email_masked: Some(email.masked()), ..reset })
    }
}

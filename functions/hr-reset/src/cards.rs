//! The helpdesk and the cards of others.

use rand::CryptoRng;
use shared::audit::Action;
use shared::authority::{Act, Actor, Refusal, Target, decide};
use shared::caller::Presented;
use shared::card::BoundCard;
use shared::http::Call;
use shared::national_id::NationalId;
use shared::problem::{Code, Problem};
use shared::pseudonym::CardId;
use shared::session::Subject;
use shared::store::tickets::Rate;
use shared::store::{Guard, Transaction};
use shared::telemetry;
use shared::unbinding::Unbinding;

use crate::step::{HrReset, too_many};

/// An unbinding that the helpdesk asks for.
#[derive(Debug)]
pub struct UnbindRequest {
    /// Whose card.
    pub national_id: NationalId,
    /// Which, as the list named it.
    pub card_id: String,
    /// Why.
    pub reason: String,
}

impl HrReset {
    /// The cards that are bound to an employee. It counts as a search.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `employee_not_found`, `too_many_requests`, `unavailable`.
    pub async fn cards(
        &self,
        call: &Call,
        presented: Presented,
        national_id: &NationalId,
    ) -> Result<Vec<BoundCard>, Problem> {
        let id = self.pseudonyms.person(national_id);
        let mut admitted = self.door().admit(presented, &[&id], call.now()).await?;
        decide(admitted.caller.actor(), Act::SeeCards, Target::Anybody, call.now())?;
        let rate = Rate::searches(&admitted.session.subject, self.limits.searches_by_actor, call.now());
        self.tickets.count_now(&rate).await??;
        let person = admitted.people.remove(&id);
        decide(admitted.caller.actor(), Act::SeeCards, Target::found(person.as_ref()), call.now())?;
        let person = person.ok_or(Refusal::OutOfScope)?;
        telemetry::note_subject(Subject::Person(id));
        Ok(self.door().accounts().cards_of(&person).await?)
    }

    /// Unbinds a card of an employee, whose sessions all end. It counts as a reset.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `employee_not_found`, `card_not_found`, `too_many_requests`, `conflict`,
    /// `unavailable`.
    pub async fn unbind(
        &self,
        call: &Call,
        presented: Presented,
        request: UnbindRequest,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(), Problem> {
        let id = self.pseudonyms.person(&request.national_id);
        let mut admitted = self.door().admit(presented, &[&id], call.now()).await?;
        let by = admitted.session.subject.clone();
        let whom = Subject::Person(id.clone());
        telemetry::note_subject(&whom);
        let person = admitted.people.remove(&id);
        let found = Target::found(person.as_ref());
        let decided = decide(admitted.caller.actor(), Act::UnbindCard, found, call.now());
        let agency = person.as_ref().map(|person| person.agency.as_str());
        self.audited(decided, Action::CardUnbinding, &by, &whom, agency, &call.origin).await?;
        let person = person.ok_or(Refusal::OutOfScope)?;
        let card = CardId::parse(&request.card_id).ok_or(Code::CardNotFound)?;
        let by_actor = Rate::resets_by(&by, self.limits.resets_by_actor, call.now());
        let of_person = Rate::resets_of(&id, self.limits.resets_of_person, call.now());
        let beside = Transaction::new()
            .with(Guard::Actor, admitted.unchanged(self.door().accounts())?)
            .with(Guard::Rate, self.tickets.count(&by_actor)?)
            .with(Guard::PersonRate, self.tickets.count(&of_person)?);
        let reason = Some(request.reason.as_str());
        let unbinding = Unbinding { person: &person, card: &card, by: &by, reason, origin: &call.origin };
        match self.unbinder.unbind(unbinding, &beside, rng).await {
            Ok(unbound) => unbound,
            Err(error) => {
                let again =
                    |actor: Actor<'_>| decide(actor, Act::UnbindCard, Target::Person(&person), call.now());
                let overtaken = admitted.overtaken(&error, again);
                Err(overtaken.unwrap_or_else(|| too_many(error, &by_actor, &of_person)))
            }
        }
    }
}

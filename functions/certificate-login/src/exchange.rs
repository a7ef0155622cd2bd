//! The exchange: a one-time code becomes a session, or the ticket for what is still to do.

use rand::CryptoRng;
use shared::audit::{Action, Origin, SUCCESS};
use shared::person::{InService, Person};
use shared::problem::{Code, Problem};
use shared::pseudonym::{CardId, PersonId};
use shared::secret::Secret;
use shared::session::{Carrier, Method, Subject};
use shared::sign_in::{Outcome, SignIn};
use shared::store::accounts::person_from;
use shared::store::tickets::Rate;
use shared::store::{CommitError, Guard, Transaction};
use shared::telemetry;
use shared::ticket::{CardHolder, Challenge, IdentityTicket};

use crate::CertificateLogin;

/// How often a sign-in is decided anew because the person changed beside it.
const TRIES: u32 = 4;

impl CertificateLogin {
    /// Exchanges a code.
    ///
    /// # Errors
    /// `ticket_invalid`, `ticket_expired`, `person_departed`, `person_unknown`, `too_many_requests`, `conflict`,
    /// `unavailable`.
    pub async fn exchange(
        &self,
        code: &Secret,
        challenge: &Challenge,
        carrier: Carrier,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        match self.sign_in.tickets().exchange_code(code, challenge, origin.at).await?? {
            CardHolder::Bound { person, generation, card } => {
                telemetry::note_subject(Subject::Person(person.clone()));
                self.open_for_card(&person, generation, &card, carrier, origin, rng).await
            }
            CardHolder::Unbound { card, citizen } => {
                let expires_at = self.sign_in.ticket_end(origin.at);
                let ticket = Secret::random(rng);
                let content = IdentityTicket { card, citizen, tries: 0, expires_at };
                let put = self.sign_in.tickets().issue_identity(&ticket, &content)?;
                let rate = self.rate(origin);
                Transaction::new()
                    .with(Guard::Rate, self.sign_in.tickets().count(&rate)?)
                    .with(Guard::New, put)
                    .commit(self.sign_in.client())
                    .await
                    .map_err(|error| refusal(error, &rate))?;
                Ok(Outcome::IdentityRequired { ticket: ticket.reveal().to_owned(), expires_at })
            }
            CardHolder::Agency { oid } => {
                let subject = Subject::Agency(oid);
                telemetry::note_subject(&subject);
                let entry = origin.entry(Action::CertificateSignIn, &subject, &subject, SUCCESS);
                let rate = self.rate(origin);
                let transaction = Transaction::new()
                    .with(Guard::Rate, self.sign_in.tickets().count(&rate)?)
                    .with(Guard::New, self.sign_in.audit().append(entry)?);
                let opening = SignIn::opening(subject, carrier, Method::Card, 0, origin.at, rng);
                self.sign_in
                    .open(transaction, &opening, origin.at)
                    .await
                    .map_err(|error| refusal(error, &rate))?
            }
        }
    }

    /// Signs in the person of a bound card without reading them: the write goes through if they are in service, have
    /// activated, and are of the generation that the binding last knew. If not, the refused condition brings the person
    /// along, and the decision is made on that.
    async fn open_for_card(
        &self,
        id: &PersonId,
        mut generation: u64,
        card: &CardId,
        carrier: Carrier,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let subject = Subject::Person(id.clone());
        let entry = |outcome: &str| origin.entry(Action::CertificateSignIn, &subject, &subject, outcome);
        let rate = self.rate(origin);
        let mut moved: Option<Person> = None;
        for _ in 0..TRIES {
            let refresh =
                moved.as_ref().map(|person| self.accounts.refresh_binding(card, person)).transpose()?;
            let transaction = Transaction::new()
                .with(Guard::Rate, self.sign_in.tickets().count(&rate)?)
                .with(Guard::Person, self.accounts.still_activated(id, generation)?)
                .with_some(Guard::Card, refresh)
                .with(Guard::New, self.sign_in.audit().append(entry(SUCCESS))?);
            let opening = SignIn::opening(subject.clone(), carrier, Method::Card, generation, origin.at, rng);
            let refused = match self.sign_in.open(transaction, &opening, origin.at).await {
                Ok(outcome) => return outcome,
                Err(error) if error.refused(Guard::Rate).is_some() => return Err(rate.exceeded().into()),
                Err(CommitError::Refused(refused)) => refused,
                Err(error) => return Err(error.into()),
            };
            let person = refused.into_iter().find(|refused| refused.guard == Guard::Person);
            let Some(item) = person.and_then(|refused| refused.item) else {
                self.sign_in.audit().note(entry(Code::PersonUnknown.name())).await?;
                return Err(Problem::new(Code::PersonUnknown).because("bound to somebody who is not there"));
            };
            let Ok(person) = person_from(item)?.in_service() else {
                self.sign_in.audit().note(entry(Code::PersonDeparted.name())).await?;
                return Err(Code::PersonDeparted.into());
            };
            if !person.person().account.is_activated() {
                return self.require_activation(&person, origin, rng).await;
            }
            generation = person.person().generation;
            moved = Some(person.into_person());
        }
        Err(Problem::new(Code::Conflict).because("changed beside every try"))
    }

    /// The ticket for a bound card whose person has not activated.
    async fn require_activation(
        &self,
        person: &InService,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let person = person.person();
        let subject = Subject::Person(person.id.clone());
        let entry = origin.entry(Action::CertificateSignIn, &subject, &subject, "activation_required");
        let rate = self.rate(origin);
        let transaction = Transaction::new()
            .with(Guard::Rate, self.sign_in.tickets().count(&rate)?)
            .with(Guard::Person, self.accounts.still(&person.id, person.generation)?)
            .with(Guard::New, self.sign_in.audit().append(entry)?);
        let generation = person.generation;
        let issued = self.sign_in.require_activation(
            transaction,
            &person.id,
            generation,
            Method::Card,
            origin.at,
            rng,
        );
        issued.await.map_err(|error| refusal(error, &rate))
    }
}

/// The problem of a sign-in that was not written.
fn refusal(error: CommitError, rate: &Rate) -> Problem {
    if error.refused(Guard::Rate).is_some() { rate.exceeded().into() } else { error.into() }
}

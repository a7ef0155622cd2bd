//! The exchange: a one-time code becomes a session, or the ticket for what is still to do.

use rand::CryptoRng;
use shared::audit::{Action, Entry, Origin, SUCCESS};
use shared::card::{Card, Seen};
use shared::certificate::Reference;
use shared::problem::{Code, Problem};
use shared::pseudonym::{IdentifierDigest, PersonId};
use shared::revocation::{Link, Scope};
use shared::secret::Secret;
use shared::session::{Proof, Subject};
use shared::sign_in::{Outcome, SignIn, Wanted};
use shared::store::accounts::{CertificateUse, binding_from, person_from};
use shared::store::tickets::Rate;
use shared::store::{CommitError, Guard, StoreError, Transaction};
use shared::telemetry;
use shared::ticket::{CardHolder, Challenge, IdentityTicket};

use crate::CertificateLogin;

/// How often a sign-in is decided anew because the person or the card changed beside it.
const TRIES: u32 = 5;

/// A bound card that is about to sign its person in.
struct Arrival<'a> {
    person: PersonId,
    card: Card,
    seen: Seen,
    scopes: Vec<Scope>,
    wanted: &'a Wanted,
    origin: &'a Origin,
}

/// What a sign-in assumes of person and card without reading them: the conditions of its writes tell.
struct Assumed {
    generation: u64,
    agency: String,
    activated: bool,
    renewed: bool,
}

impl CertificateLogin {
    /// Exchanges a code.
    ///
    /// # Errors
    /// `ticket_invalid`, `ticket_expired`, `certificate_revoked`, `person_departed`, `person_unknown`,
    /// `too_many_requests`, `conflict`, `unavailable`.
    pub async fn exchange(
        &self,
        code: &Secret,
        challenge: &Challenge,
        wanted: &Wanted,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let code = self.sign_in.tickets().exchange_code(code, challenge, origin.at).await??;
        let (seen, scopes) = (code.seen, code.scopes);
        match code.holder {
            CardHolder::Bound { person, generation, agency, card, renewed } => {
                telemetry::note_subject(Subject::Person(person.clone()));
                let assumed = Assumed { generation, agency, activated: true, renewed };
                self.admit_card(Arrival { person, card, seen, scopes, wanted, origin }, assumed, rng).await
            }
            CardHolder::Unbound { card, holder } => {
                let expires_at = self.sign_in.ticket_end(origin.at);
                let ticket = Secret::random(rng);
                let content = IdentityTicket { card, holder, seen, scopes, tries: 0, expires_at };
                let put = self.sign_in.tickets().issue_identity(&ticket, &content)?;
                let rate = self.rate(origin);
                Transaction::new()
                    .with(Guard::Rate, self.sign_in.tickets().count(&rate)?)
                    .with(Guard::New, put)
                    .commit(self.sign_in.client())
                    .await
                    .map_err(|error| too_many(&error, &rate).unwrap_or_else(|| error.into()))?;
                Ok(Outcome::IdentityRequired { ticket: ticket.reveal().to_owned(), expires_at })
            }
            CardHolder::Agency { oid, code } => {
                self.admit_agency((oid, code), seen, &scopes, wanted, origin, rng).await
            }
        }
    }

    /// Signs in the person of a bound card without reading them: the write goes through if they are in service, have
    /// activated, and are of the generation that the binding last knew; if the card is still theirs, and its certificate
    /// was seen of it before, or was not, as was assumed; and if it was not revoked since. If not, the refused conditions
    /// bring person and card along, and the decision is made on that. A person who has not activated gets a ticket instead.
    ///
    /// A certificate that was never seen of the card before is a renewal: it is audited, and noted as in use. Afterwards
    /// the old and the new one may alternate as long as both are valid.
    async fn admit_card(
        &self,
        arrival: Arrival<'_>,
        mut assumed: Assumed,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let rate = self.rate(arrival.origin);
        let subject = Subject::Person(arrival.person.clone());
        for _ in 0..TRIES {
            let transaction = self.arrival(&arrival, &assumed, &rate)?;
            let (proof, generation) = (Proof::Card(arrival.seen.clone()), assumed.generation);
            let (now, wanted) = (arrival.origin.at, arrival.wanted);
            let written = if assumed.activated {
                let opening = SignIn::opening(subject.clone(), wanted, proof, generation, now, rng);
                match self.sign_in.open(transaction, &opening, now).await {
                    Ok(outcome) => return outcome,
                    Err(error) => error,
                }
            } else {
                let person = &arrival.person;
                let issued =
                    self.sign_in.require_activation(transaction, person, generation, proof, now, rng).await;
                match issued {
                    Ok(outcome) => return Ok(outcome),
                    Err(error) => error,
                }
            };
            if let Some(problem) = too_many(&written, &rate) {
                return Err(problem);
            }
            if let Err(problem) = correct(written, &arrival, &mut assumed) {
                let agency = Some(assumed.agency).filter(|agency| !agency.is_empty());
                self.note_refusal(&subject, agency, &problem, arrival.origin).await?;
                return Err(problem);
            }
        }
        Err(Problem::new(Code::Conflict).because("changed beside every try"))
    }

    /// Everything that a bound card's arrival writes, but for what is opened.
    fn arrival(
        &self,
        arrival: &Arrival<'_>,
        assumed: &Assumed,
        rate: &Rate,
    ) -> Result<Transaction, StoreError> {
        let Arrival { person, card, seen, scopes, origin, .. } = arrival;
        let subject = Subject::Person(person.clone());
        let Assumed { generation, agency, activated, .. } = assumed;
        let entry =
            |action, outcome: &str| origin.entry(action, &subject, &subject, outcome).of_agency(Some(agency));
        let still = self.accounts.still_as_assumed(person, *generation, agency, *activated, seen)?;
        let outcome = if assumed.activated { SUCCESS } else { ACTIVATION_REQUIRED };
        let transaction = Transaction::new()
            .with(Guard::Rate, self.sign_in.tickets().count(rate)?)
            .with(Guard::Person, still)
            .with(Guard::New, self.sign_in.audit().append(entry(Action::CertificateSignIn, outcome))?);
        let transaction = self.forget_failures(transaction, person)?;
        if !assumed.renewed {
            let used = self.accounts.use_card(&card.id, person, (*generation, agency), seen, origin.at)?;
            return Ok(transaction.with(Guard::Card, used));
        }
        let renewed = self.accounts.renew_card(card, person, (*generation, agency), seen, origin.at)?;
        let renewal = Entry {
            note: Some(format!("card#{} certificate#{}", card.id, seen.certificate)),
            ..entry(Action::CardRenewal, SUCCESS)
        };
        let used = CertificateUse {
            reference: seen.certificate.clone(),
            subject: subject.clone(),
            card: Some(card.clone()),
        };
        let transaction =
            transaction.with(Guard::Card, renewed).with(Guard::New, self.sign_in.audit().append(renewal)?);
        self.first_use(transaction, &used, scopes)
    }

    /// Adds to a transaction that no wrong password counts any more: the person was there in the meantime.
    pub(crate) fn forget_failures(
        &self,
        mut transaction: Transaction,
        person: &PersonId,
    ) -> Result<Transaction, StoreError> {
        for identifier in IdentifierDigest::all_of(person) {
            let forgotten = self.sign_in.tickets().forget_failures(&identifier)?;
            transaction = transaction.with(Guard::New, forgotten);
        }
        Ok(transaction)
    }

    /// Adds to a transaction that a certificate comes to be in use: it is noted, unless it is revoked by now.
    pub(crate) fn first_use(
        &self,
        transaction: Transaction,
        used: &CertificateUse,
        scopes: &[Scope],
    ) -> Result<Transaction, StoreError> {
        let noted = transaction.with(Guard::New, self.accounts.note_certificate(used)?);
        let Reference { issuer, serial } = used.reference.clone();
        let leaf = Link { issuer, serial, scopes: scopes.to_vec(), is_ca: false };
        let checks = self.revocations.not_listed(&leaf)?;
        Ok(checks.into_iter().fold(noted, |transaction, check| transaction.with(Guard::Revocation, check)))
    }

    /// Signs an agency in. Nothing tells whether its certificate was seen before, so it is noted every time.
    async fn admit_agency(
        &self,
        (oid, code): (String, String),
        seen: Seen,
        scopes: &[Scope],
        wanted: &Wanted,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let rate = self.rate(origin);
        let admitted = self.accounts.admit_agency(&oid, &seen)?;
        let subject = Subject::Agency(oid);
        telemetry::note_subject(&subject);
        let entry = origin.entry(Action::CertificateSignIn, &subject, &subject, SUCCESS);
        let entry = entry.of_agency(Some(&code));
        let transaction = Transaction::new()
            .with(Guard::Rate, self.sign_in.tickets().count(&rate)?)
            .with(Guard::Person, admitted)
            .with(Guard::New, self.sign_in.audit().append(entry)?);
        let used =
            CertificateUse { reference: seen.certificate.clone(), subject: subject.clone(), card: None };
        let transaction = self.first_use(transaction, &used, scopes)?;
        let opening = SignIn::opening(subject.clone(), wanted, Proof::Card(seen), 0, origin.at, rng);
        let error = match self.sign_in.open(transaction, &opening, origin.at).await {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        if let Some(problem) = too_many(&error, &rate) {
            return Err(problem);
        }
        let gone = error.refused(Guard::Person).is_some_and(|agency| agency.item.is_none());
        let problem = if gone {
            Problem::new(Code::PersonUnknown).because("an agency that is not there any more")
        } else if error.refused(Guard::Person).or(error.refused(Guard::Revocation)).is_some() {
            revoked_since()
        } else {
            return Err(error.into());
        };
        self.note_refusal(&subject, Some(code), &problem, origin).await?;
        Err(problem)
    }

    async fn note_refusal(
        &self,
        subject: &Subject,
        agency: Option<String>,
        problem: &Problem,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let entry = origin.entry(Action::CertificateSignIn, subject, subject, problem.code.name());
        self.sign_in.audit().note(entry.of_agency(agency)).await
    }
}

/// The outcome, in the audit trail, of a proof that leads to the activation.
pub(crate) const ACTIVATION_REQUIRED: &str = "activation_required";

/// Corrects what is assumed after conditions were refused, by what they brought along; or says why nothing is. Either way the
/// agency is the person's as it is known now.
fn correct(error: CommitError, arrival: &Arrival<'_>, assumed: &mut Assumed) -> Result<(), Problem> {
    let CommitError::Refused(refused) = error else { return Err(error.into()) };
    for refused in refused {
        match refused.guard {
            Guard::Person => {
                let unknown =
                    || Problem::new(Code::PersonUnknown).because("bound to somebody who is not there");
                let person = person_from(refused.item.ok_or_else(unknown)?)?;
                assumed.agency.clone_from(&person.agency);
                let person =
                    person.in_service().map_err(|_| Problem::new(Code::PersonDeparted))?.into_person();
                if person.account.ended_certificates.end(&arrival.seen) {
                    return Err(revoked_since());
                }
                assumed.generation = person.generation;
                assumed.activated = person.account.is_activated();
            }
            Guard::Card => {
                let binding = refused.item.map(binding_from).transpose()?;
                let binding =
                    binding.filter(|binding| binding.person == arrival.person).ok_or_else(|| {
                        Problem::new(Code::TicketInvalid).because("the card was unbound meanwhile")
                    })?;
                assumed.renewed = !binding.certificates.contains(&arrival.seen.certificate);
            }
            Guard::Revocation => return Err(revoked_since()),
            _ => return Err(CommitError::Refused(vec![refused]).into()),
        }
    }
    Ok(())
}

/// The refusal of a certificate that was good when the card host saw it.
pub(crate) fn revoked_since() -> Problem {
    Problem::new(Code::CertificateRevoked).because("revoked since the card host saw it")
}

/// The problem of one sign-in too many.
fn too_many(error: &CommitError, rate: &Rate) -> Option<Problem> {
    error.refused(Guard::Rate).map(|_| rate.exceeded().into())
}

//! The identity: the first time, a card's holder says who they are, and the card is bound to them (貳、1、(3)).

use rand::CryptoRng;
use shared::audit::{Action, Entry, Origin, SUCCESS};
use shared::identifier::Identifier;
use shared::identity;
use shared::notice::Notice;
use shared::password::{Password, StoredHash, Verdict};
use shared::person::{Credential, InService, Person};
use shared::problem::{Code, Problem};
use shared::pseudonym::{IdentifierDigest, PersonId};
use shared::secret::Secret;
use shared::session::{Proof, Subject};
use shared::sign_in::{Outcome, SignIn, Wanted};
use shared::store::accounts::{CertificateUse, person_from};
use shared::store::tickets::{AttemptsRead, Rate};
use shared::store::{CommitError, Guard, StoreError, Transaction};
use shared::telemetry;
use shared::ticket::{IDENTITY_TRIES, IdentityTicket};

use crate::CertificateLogin;
use crate::exchange::{ACTIVATION_REQUIRED, revoked_since};

/// Who the holder of a card says to be.
#[derive(Debug)]
pub struct Claim {
    /// The custom account or national ID.
    pub identifier: Identifier,
    /// The account's password, where the card alone does not do.
    pub password: Option<Password>,
}

/// Whom a refusal is about: the subject in the audit trail, and the agency.
type Whom = (String, Option<String>);

impl CertificateLogin {
    /// Binds the ticket's card to the person whom the identifier names, and signs them in; or, if they have not activated,
    /// lets them. A wrong identifier leaves the ticket good (上一步), five tries in all. A card whose name alone says whose it
    /// is opens an activated account together with its password only.
    ///
    /// # Errors
    /// `ticket_invalid`, `ticket_expired`, `certificate_revoked`, `person_unknown`, `person_departed`,
    /// `identity_mismatch`, `name_differs`, `account_password_required`, `invalid_credentials`, `account_locked`,
    /// `too_many_requests`, `conflict`, `unavailable`.
    pub async fn bind_card(
        &self,
        ticket: &Secret,
        claim: &Claim,
        wanted: &Wanted,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let (content, person_id) = futures_util::future::try_join(
            self.sign_in.tickets().identity(ticket),
            self.person_id(&claim.identifier),
        )
        .await?;
        let content = content.ok_or_else(|| Problem::new(Code::TicketInvalid))?;
        content.check(origin.at)?;
        let rate = Rate::identities(&content.card.id, self.identities, origin.at);
        let keys = vec![rate.key().to_owned()];
        let read =
            self.accounts.person_with(person_id.as_ref(), self.sign_in.tickets().table(), keys).await?;
        rate.check(read.others.get(rate.key()))?;
        let person = read.person;
        let agency = person.as_ref().map(|person| person.agency.clone());
        let subject =
            person_id.map_or_else(|| format!("card#{}", content.card.id), |id| format!("person#{id}"));
        telemetry::note_subject(&subject);
        let whom = (subject, agency);
        let nothing = Transaction::new();
        let person = match identity::holder_is(&content.holder, &claim.identifier, person, &self.pseudonyms) {
            Ok(person) => person,
            Err(refusal) => {
                return Err(self.refuse(ticket, &content, whom, refusal.into(), nothing, origin).await?);
            }
        };
        let attempts = match &claim.password {
            _ if !identity::needs_password(&content.holder, &person) => None,
            Some(password) => {
                Some(self.check_password(ticket, &content, person.person(), whom, password, origin).await?)
            }
            None => {
                let problem = Problem::new(Code::AccountPasswordRequired).on("password");
                return Err(self.refuse(ticket, &content, whom, problem, nothing, origin).await?);
            }
        };
        self.bind(ticket, &content, (&person, attempts), wanted, origin, rng).await
    }

    /// Checks the account's password. Guesses at it are counted for the person, with those at the current password in the
    /// account's settings, and use up the ticket besides. An initial password is none: it is for the activation alone.
    async fn check_password(
        &self,
        ticket: &Secret,
        content: &IdentityTicket,
        person: &Person,
        whom: Whom,
        password: &Password,
        origin: &Origin,
    ) -> Result<AttemptsRead, Problem> {
        let tickets = self.sign_in.tickets();
        let counted_for = IdentifierDigest::from_stored(&Subject::Person(person.id.clone()).to_string());
        let read = tickets.attempts(&counted_for).await?;
        if let Err(locked) = read.attempts.check(origin.at) {
            let nothing = Transaction::new();
            return Err(self.refuse(ticket, content, whom, locked.into(), nothing, origin).await?);
        }
        let hash = match &person.account.credential {
            Credential::Password { hash } => hash.clone(),
            Credential::Initial { .. } | Credential::None => StoredHash::decoy(),
        };
        if hash.verify_aside(password).await? != Verdict::Wrong {
            return Ok(read);
        }
        let failure = tickets.note_failure(&counted_for, &read, origin.at, &self.lockout)?;
        let counted = Transaction::new().with(Guard::Attempts, failure);
        let problem = Problem::new(Code::InvalidCredentials).on("password");
        Err(self.refuse(ticket, content, whom, problem, counted, origin).await?)
    }

    async fn person_id(&self, identifier: &Identifier) -> Result<Option<PersonId>, StoreError> {
        match identifier {
            Identifier::NationalId(id) => Ok(Some(self.pseudonyms.person(id))),
            Identifier::Account(account) => self.accounts.owner(account).await,
            Identifier::Nobodys => Ok(None),
        }
    }

    /// Counts the try, with what is counted `beside` it, then tells: of many tries at once, five learn something.
    async fn refuse(
        &self,
        ticket: &Secret,
        content: &IdentityTicket,
        (subject, agency): Whom,
        problem: Problem,
        beside: Transaction,
        origin: &Origin,
    ) -> Result<Problem, Problem> {
        let actor = format!("card#{}", content.card.id);
        let rate = Rate::identities(&content.card.id, self.identities, origin.at);
        let entry = origin.entry(Action::CardBinding, actor, subject, problem.code.name());
        let entry = entry.of_agency(agency);
        let counted = beside
            .with(Guard::Ticket, self.sign_in.tickets().count_try(ticket, IDENTITY_TRIES)?)
            .with(Guard::Rate, self.sign_in.tickets().count(&rate)?)
            .with(Guard::New, self.sign_in.audit().append(entry)?)
            .commit(self.sign_in.client())
            .await;
        match counted {
            Ok(()) => Ok(problem),
            Err(error) if error.refused(Guard::Ticket).is_some() => Err(Code::TicketInvalid.into()),
            Err(error) if error.refused(Guard::Rate).is_some() => Err(rate.exceeded().into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn bind(
        &self,
        ticket: &Secret,
        content: &IdentityTicket,
        (person, attempts): (&InService, Option<AttemptsRead>),
        wanted: &Wanted,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let activated = person.person().account.is_activated();
        let person = person.person();
        let subject = Subject::Person(person.id.clone());
        let counted_for = IdentifierDigest::from_stored(&subject.to_string());
        let tickets = self.sign_in.tickets();
        let cleared = attempts.map(|read| tickets.clear_failures(&counted_for, &read)).transpose()?;
        let outcome = if activated { SUCCESS } else { ACTIVATION_REQUIRED };
        let IdentityTicket { card, seen, scopes, .. } = content;
        let binding = Entry {
            note: Some(format!("card#{} certificate#{}", card.id, seen.certificate)),
            ..origin.entry(Action::CardBinding, &subject, &subject, SUCCESS).of_agency(Some(&person.agency))
        };
        let sign_in = origin
            .entry(Action::CertificateSignIn, &subject, &subject, outcome)
            .of_agency(Some(&person.agency));
        let used = CertificateUse {
            reference: seen.certificate.clone(),
            subject: subject.clone(),
            card: Some(card.clone()),
        };
        let transaction = Transaction::new()
            .with(Guard::Ticket, tickets.redeem_identity(ticket, IDENTITY_TRIES)?)
            .with(Guard::Card, self.accounts.bind(card, person, seen, origin.at)?)
            .with(Guard::Person, self.accounts.note_card(&card.id, person, seen)?)
            .with(Guard::New, self.sign_in.audit().append(binding)?)
            .with(Guard::New, self.sign_in.audit().append(sign_in)?)
            .with_some(Guard::Attempts, cleared);
        // Before the first activation there is no address that anybody could be told at.
        let transaction = match person.account.email_masked {
            Some(_) => {
                let notice = Notice::CardBound {
                    issuer_name: card.issuer_name.clone(),
                    number_tail: card.number_tail.clone(),
                };
                let id = Secret::random(rng);
                let notice = self.outbox.queue_notice(&person.id, &notice, id.reveal(), origin.at)?;
                transaction.with(Guard::New, notice)
            }
            None => transaction,
        };
        let transaction = self.forget_failures(transaction, &person.id)?;
        let transaction = self.first_use(transaction, &used, scopes)?;
        let (generation, now, proof) = (person.generation, origin.at, Proof::Card(seen.clone()));
        let written = if activated {
            let opening = SignIn::opening(subject.clone(), wanted, proof, generation, now, rng);
            match self.sign_in.open(transaction, &opening, now).await {
                Ok(outcome) => return outcome,
                Err(error) => error,
            }
        } else {
            let issued =
                self.sign_in.require_activation(transaction, &person.id, generation, proof, now, rng);
            match issued.await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            }
        };
        self.refused_binding(ticket, content, person, written, origin).await
    }

    async fn refused_binding(
        &self,
        ticket: &Secret,
        content: &IdentityTicket,
        person: &Person,
        error: CommitError,
        origin: &Origin,
    ) -> Result<Outcome, Problem> {
        if error.refused(Guard::Ticket).is_some() {
            return Err(Code::TicketInvalid.into());
        }
        let whom = (Subject::Person(person.id.clone()).to_string(), Some(person.agency.clone()));
        let now = error.refused(Guard::Person).and_then(|refused| refused.item.clone());
        let ended = match now.map(person_from).transpose()? {
            Some(person) => person.account.ended_certificates.end(&content.seen),
            None => false,
        };
        if ended || error.refused(Guard::Revocation).is_some() {
            let nothing = Transaction::new();
            return Err(self.refuse(ticket, content, whom, revoked_since(), nothing, origin).await?);
        }
        if error.refused(Guard::Card).is_some() {
            let problem = Problem::new(Code::IdentityMismatch).because("the card is bound to somebody else");
            let nothing = Transaction::new();
            return Err(self.refuse(ticket, content, whom, problem, nothing, origin).await?);
        }
        Err(error.into())
    }
}

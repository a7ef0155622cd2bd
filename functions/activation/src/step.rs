//! The step.

use std::collections::BTreeSet;

use rand::CryptoRng;
use shared::audit::{Action, Entry, Origin, SUCCESS};
use shared::environment::{Environment, StartError};
use shared::notice::Notice;
use shared::password::{BrokenRule, Policy, StoredHash};
use shared::person::Person;
use shared::problem::{Code, Problem};
use shared::pseudonym::{CardId, Pseudonymizer};
use shared::rate::RateLimit;
use shared::seal::DataKey;
use shared::secret::Secret;
use shared::session::Subject;
use shared::store::accounts::{self, Accounts, Binding, person_from};
use shared::store::audit::AuditTrail;
use shared::store::outbox::Outbox;
use shared::store::tickets::{Rate, Tickets};
use shared::store::{self, CommitError, Guard, StoreError, Transaction};
use shared::ticket::{self, ActivationTicket};
use shared::{aws, kms, telemetry};

use crate::handler::Request;

/// The step.
pub struct ActivationStep {
    client: store::Client,
    accounts: Accounts,
    tickets: Tickets,
    outbox: Outbox,
    audit: AuditTrail,
    email_key: DataKey,
    pseudonyms: Pseudonymizer,
    policy: Policy,
    tries: RateLimit,
    tries_from: RateLimit,
    portal_origin: String,
}

impl ActivationStep {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let accounts = settings.required("ACCOUNTS_TABLE");
        let tickets = settings.required("TICKETS_TABLE");
        let mail = settings.required("MAIL_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let secrets_key = settings.required("SECRETS_KEY");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let portal_origin = settings.required("PORTAL_ORIGIN");
        let policy = Policy::from_settings(&mut settings);
        let tries = RateLimit::per_hour(settings.parsed("ACTIVATIONS_PER_PERSON_PER_HOUR", 30));
        let tries_from = RateLimit::per_minute(settings.parsed("SIGN_INS_PER_ADDRESS_PER_MINUTE", 600));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let kms = kms::Kms::new(environment, &config);
        Ok(Self {
            email_key: kms.email_data_key(&secrets_key).await?,
            pseudonyms: kms.pseudonymizer(&pseudonym_key).await?,
            accounts: Accounts::new(client.clone(), accounts),
            tickets: Tickets::new(client.clone(), tickets),
            outbox: Outbox::new(client.clone(), mail),
            audit: AuditTrail::new(client.clone(), audit),
            client,
            policy,
            tries,
            tries_from,
            portal_origin,
        })
    }

    /// The portal host's origin.
    pub fn portal_origin(&self) -> &str {
        &self.portal_origin
    }

    /// Activates.
    ///
    /// # Errors
    /// `ticket_invalid`, `ticket_expired`, `certificate_revoked`, `person_departed`; `too_many_requests`; then those of
    /// [`Request::judge`], `password_rejected` for a password that was used before, `account_taken`, `conflict`, `unavailable`.
    pub async fn activate(
        &self,
        request: Request,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(), Problem> {
        let secret = request.ticket.clone();
        let key = Tickets::activation_key(&secret);
        let mut read =
            self.accounts.person_with(Some(&request.person), self.tickets.table(), vec![key.clone()]).await?;
        let invalid = || Problem::new(Code::TicketInvalid);
        let ticket = Tickets::activation_from(read.others.remove(&key))?.ok_or_else(invalid)?;
        let person = read.person.filter(|person| person.id == ticket.person).ok_or_else(invalid)?;
        let subject = Subject::Person(person.id.clone());
        telemetry::note_subject(&subject);
        ticket.check(person.generation, &person.account.ended_certificates, origin.at)?;
        let person = person.in_service().map_err(|_| Problem::new(Code::PersonDeparted))?.into_person();
        self.count(&person, origin).await?;
        let choice = request.judge(&person, &self.policy)?;
        if choice.password.is_one_of(person.account.hashes_not_to_repeat(self.policy.history)).await? {
            return Err(Problem::password_rejected(vec![BrokenRule::UsedBefore]));
        }
        let hash = StoredHash::of(choice.password.password(), rng)?;
        let ended = self.accounts.ended_by_activation(&person, ticket.proof.seen()).await?;
        let unbound: BTreeSet<CardId> = ended.iter().map(|binding| binding.bound.card.id.clone()).collect();
        let sealed = self
            .email_key
            .seal(&subject.to_string(), choice.email.reveal(), rng)
            .map_err(|error| Problem::new(Code::Unavailable).because(error))?;
        let former = person
            .account
            .custom_account
            .as_ref()
            .filter(|former| former.folded() != choice.account.folded());
        let release = former.map(|former| self.accounts.release(former, &person.id)).transpose()?;
        let email_digest = self.pseudonyms.email(&choice.email);
        let told = Secret::random(rng);
        let activated = self.outbox.queue_notice(&person.id, &Notice::Activated, told.reveal(), origin.at)?;
        let told = Secret::random(rng);
        let email_changed = person
            .account
            .former_address(&email_digest)
            .map(|former| {
                let notice = Notice::EmailChanged { email_masked: choice.email.masked() };
                self.outbox.queue_notice_to(&person.id, &notice, told.reveal(), former, origin.at)
            })
            .transpose()?;
        let activation = accounts::Activation {
            person: &person,
            account: &choice.account,
            hash: &hash,
            email_masked: choice.email.masked(),
            email_sealed: sealed,
            email_digest: &email_digest,
            seen: ticket.proof.seen(),
            unbound: &unbound,
            now: origin.at,
        };
        let entry =
            origin.entry(Action::Activation, &subject, &subject, SUCCESS).of_agency(Some(&person.agency));
        let transaction = ended.iter().try_fold(Transaction::new(), |transaction, binding| {
            self.unbind(transaction, binding, &person, origin)
        })?;
        let written = transaction
            .with(Guard::Ticket, self.tickets.redeem_activation(&secret)?)
            .with(Guard::Person, self.accounts.activate(activation)?)
            .with(Guard::Account, self.accounts.reserve(&choice.account, &person.id)?)
            .with_some(Guard::New, release)
            .with(Guard::New, activated)
            .with_some(Guard::New, email_changed)
            .with(Guard::New, self.audit.append(entry)?)
            .commit(&self.client)
            .await;
        written.or_else(|error| refusal(error, &ticket))
    }

    /// Counts a try before anything is judged: of many at once, no more than the rate are answered, and none learns of more
    /// accounts whether they are taken.
    async fn count(&self, person: &Person, origin: &Origin) -> Result<(), Problem> {
        let by_person = Rate::activations(&person.id, self.tries, origin.at);
        let address = self.pseudonyms.address(&origin.address);
        let by_address = Rate::activations_from(&address, self.tries_from, origin.at);
        let counted = Transaction::new()
            .with(Guard::PersonRate, self.tickets.count(&by_person)?)
            .with(Guard::Rate, self.tickets.count(&by_address)?)
            .commit(&self.client)
            .await;
        counted.map_err(|error| {
            let exceeded = [(Guard::PersonRate, &by_person), (Guard::Rate, &by_address)]
                .into_iter()
                .find(|(guard, _)| error.refused(*guard).is_some());
            exceeded.map_or_else(|| error.into(), |(_, rate)| rate.exceeded().into())
        })
    }

    /// Adds to a transaction that a card is bound no longer.
    fn unbind(
        &self,
        transaction: Transaction,
        binding: &Binding,
        person: &Person,
        origin: &Origin,
    ) -> Result<Transaction, StoreError> {
        let subject = Subject::Person(person.id.clone());
        let entry = Entry {
            note: Some(format!("card#{}", binding.bound.card.id)),
            ..origin.entry(Action::CardUnbinding, &subject, &subject, SUCCESS).of_agency(Some(&person.agency))
        };
        let (card, certificates) = self.accounts.unbind(binding)?;
        let transaction = transaction.with(Guard::Card, card).with(Guard::New, self.audit.append(entry)?);
        Ok(certificates
            .into_iter()
            .fold(transaction, |transaction, certificate| transaction.with(Guard::New, certificate)))
    }
}

/// Why the transaction was refused: the ticket first, because who lost it need not hear more.
fn refusal(error: CommitError, ticket: &ActivationTicket) -> Result<(), Problem> {
    if error.refused(Guard::Ticket).is_some() {
        return Err(Code::TicketInvalid.into());
    }
    if let Some(refused) = error.refused(Guard::Person) {
        let person = refused.item.clone().and_then(|item| person_from(item).ok());
        let revoked =
            person.as_ref().is_some_and(|person| ticket.proof.has_ended(&person.account.ended_certificates));
        return Err(match person.map(Person::in_service) {
            Some(Err(_)) => Code::PersonDeparted.into(),
            Some(Ok(_)) if revoked => ticket::Refusal::Revoked.into(),
            // A card was bound meanwhile: the next try sees it.
            Some(Ok(person)) if person.person().generation == ticket.generation => Code::Conflict.into(),
            Some(Ok(_)) | None => Code::TicketInvalid.into(),
        });
    }
    if error.refused(Guard::Account).is_some() {
        return Err(Problem::new(Code::AccountTaken).on("account"));
    }
    Err(error.into())
}

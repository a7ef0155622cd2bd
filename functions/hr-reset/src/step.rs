//! The step.

use futures_util::future::try_join;
use jiff::{SignedDuration, Timestamp};
use rand::CryptoRng;
use shared::audit::{Action, Origin, SUCCESS};
use shared::authority::{Act, Actor, Permit, Refusal, Target, decide};
use shared::caller::{Door, DoorSettings, Presented};
use shared::environment::{Environment, StartError};
use shared::http::Call;
use shared::identifier::Identifier;
use shared::kms::{Kms, Letter};
use shared::national_id::NationalId;
use shared::notice::Notice;
use shared::password::{StoredHash, generate_initial};
use shared::person::{AccountState, Person, Service};
use shared::problem::{Code, Problem};
use shared::pseudonym::{PersonId, Pseudonymizer};
use shared::rate::RateLimit;
use shared::secret::Secret;
use shared::session::Subject;
use shared::store::audit::AuditTrail;
use shared::store::outbox::{NewLetter, Outbox};
use shared::store::tickets::{Rate, Tickets};
use shared::store::{self, CommitError, Guard, Transaction};
use shared::unbinding::Unbinder;
use shared::{aws, telemetry};

use crate::handler::ResetRequest;
use crate::mail::ResetMail;

/// The step.
pub struct HrReset {
    pub(crate) client: store::Client,
    door: Door,
    pub(crate) tickets: Tickets,
    pub(crate) unbinder: Unbinder,
    pub(crate) outbox: Outbox,
    pub(crate) audit: AuditTrail,
    kms: Kms,
    secrets_key: String,
    pub(crate) pseudonyms: Pseudonymizer,
    pub(crate) limits: Limits,
    initial_password_life: SignedDuration,
}

/// How often HR may do what.
pub(crate) struct Limits {
    pub(crate) searches_by_actor: RateLimit,
    pub(crate) resets_by_actor: RateLimit,
    pub(crate) resets_of_person: RateLimit,
}

/// An employee as a search shows them.
#[derive(Debug)]
pub struct Employee {
    /// The person's pseudonym: names them where a national ID may not stand, such as in an address.
    pub id: PersonId,
    /// Full name.
    pub name: String,
    /// The agency's code.
    pub agency: String,
    /// The agency's name.
    pub agency_name: String,
    /// In service or departed.
    pub service: Service,
    /// The account's state.
    pub account_state: AccountState,
    /// The email address, masked.
    pub email_masked: Option<String>,
    /// Since when mail to it comes back.
    pub email_undeliverable_since: Option<Timestamp>,
    /// Why the caller may not reset the password, if not.
    pub why_not: Option<Code>,
}

impl HrReset {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let door = DoorSettings::read(&mut settings);
        let accounts = settings.required("ACCOUNTS_TABLE");
        let tickets = settings.required("TICKETS_TABLE");
        let mail = settings.required("MAIL_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let secrets_key = settings.required("SECRETS_KEY");
        let limits = Limits {
            searches_by_actor: RateLimit::per_hour(settings.parsed("SEARCHES_PER_ACTOR_PER_HOUR", 300)),
            resets_by_actor: RateLimit::per_hour(settings.parsed("RESETS_PER_ACTOR_PER_HOUR", 120)),
            resets_of_person: RateLimit::per_day(settings.parsed("RESETS_PER_PERSON_PER_DAY", 10)),
        };
        let initial_password_life = SignedDuration::from_hours(settings.parsed("INITIAL_PASSWORD_HOURS", 72));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let kms = Kms::new(environment, &config);
        let door = Door::open(environment, &config, &client, door).await?;
        let outbox = Outbox::new(client.clone(), mail);
        let audit = AuditTrail::new(client.clone(), audit);
        Ok(Self {
            unbinder: Unbinder::new(client.clone(), door.accounts().clone(), outbox.clone(), audit.clone()),
            door,
            pseudonyms: kms.pseudonymizer(&pseudonym_key).await?,
            kms,
            secrets_key,
            tickets: Tickets::new(client.clone(), tickets),
            outbox,
            audit,
            client,
            limits,
            initial_password_life,
        })
    }

    /// Who is let in.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Looks an employee up (搜尋). Somebody out of the caller's scope and somebody who does not exist look the same.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `employee_not_found`, `too_many_requests`, `unavailable`.
    pub async fn search(
        &self,
        call: &Call,
        presented: Presented,
        national_id: &NationalId,
    ) -> Result<Employee, Problem> {
        let id = self.pseudonyms.person(national_id);
        let mut admitted = self.door.admit(presented, &[&id], call.now()).await?;
        let actor = admitted.caller.actor();
        decide(actor, Act::Search, Target::Anybody, call.now())?;
        let subject = &admitted.session.subject;
        let rate = Rate::searches(subject, self.limits.searches_by_actor, call.now());
        let identifier = Identifier::NationalId(national_id.clone());
        let digest = self.pseudonyms.identifier(&identifier, "");
        let (counted, attempts) =
            try_join(self.tickets.count_now(&rate), self.tickets.attempts(&digest)).await?;
        counted?;
        let not_found = || Problem::new(Code::EmployeeNotFound);
        let person = admitted.people.remove(&id).ok_or_else(not_found)?;
        telemetry::note_subject(Subject::Person(id.clone()));
        decide(actor, Act::Search, Target::Person(&person), call.now())?;
        let may_reset = decide(actor, Act::Reset, Target::Person(&person), call.now());
        let why_not = may_reset.err().map(|refusal| Problem::from(refusal).code);
        let mut locked = attempts.attempts.check(call.now()).is_err();
        if let Some(account) = &person.account.custom_account {
            let attempts = self.tickets.attempts(&self.pseudonyms.account(account)).await?;
            locked |= attempts.attempts.check(call.now()).is_err();
        }
        Ok(Employee {
            id,
            account_state: if locked { AccountState::Locked } else { person.account.state() },
            name: person.name,
            agency: person.agency,
            agency_name: person.agency_name,
            service: person.service,
            email_masked: person.account.email_masked,
            email_undeliverable_since: person.account.email_undeliverable_since,
            why_not,
        })
    }

    /// Resets a password (重設密碼): the old one, every session and every open ticket end; an initial password is on its way.
    /// Who has activated before is also told at the address of that time: they alone know a reset that nobody asked for.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `employee_not_found`, `person_departed`, `request_invalid` without the
    /// helpdesk's reason, `email_undeliverable`, `too_many_requests`, `conflict`, `unavailable`.
    pub async fn reset(
        &self,
        call: &Call,
        presented: Presented,
        request: ResetRequest,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<ResetMail, Problem> {
        let id = self.pseudonyms.person(&request.national_id);
        let address = self.pseudonyms.email(&request.email);
        let mark = async { Ok(self.outbox.address_mark(&address).await?) };
        let (mut admitted, mark) = try_join(self.door.admit(presented, &[&id], call.now()), mark).await?;
        let by = admitted.session.subject.clone();
        let whom = Subject::Person(id.clone());
        telemetry::note_subject(&whom);
        let person = admitted.people.remove(&id);
        let actor = admitted.caller.actor();
        let decided = decide(actor, Act::Reset, Target::found(person.as_ref()), call.now());
        let decided = self.audited(decided, Action::PasswordReset, &by, &whom, &call.origin).await?;
        let person = person.ok_or(Refusal::OutOfScope)?;
        if decided.needs_reason && request.reason.is_none() {
            return Err(Problem::field("reason").because("the helpdesk says why"));
        }
        if let (Some(mark), false) = (mark, request.email_confirmed) {
            let reason = format!("{:?} since {}", mark.why, mark.since);
            return Err(Problem::new(Code::EmailUndeliverable).on("email").because(reason));
        }
        let now = call.now();
        let initial = generate_initial(rng);
        let expires_at = now.checked_add(self.initial_password_life).unwrap_or(Timestamp::MAX);
        let reset_id = Secret::random(rng).reveal().to_owned();
        let letter = Letter::new(&request.email, initial.password());
        let ciphertext = self.kms.encrypt_letter(&self.secrets_key, &reset_id, &letter).await?;
        let hash = StoredHash::of(initial.password(), rng)?;
        let agency = person.agency.clone();
        let letter = NewLetter { reset_id, agency, person: id.clone(), address, created_at: now, expires_at };
        let notice = match person.account.email_sealed {
            Some(_) => {
                let notice = Notice::PasswordReset { email_masked: request.email.masked() };
                Some(self.outbox.queue_notice(&id, &notice, Secret::random(rng).reveal(), now)?)
            }
            None => None,
        };
        let mut audit = call.origin.entry(Action::PasswordReset, &by, &whom, SUCCESS);
        let confirmed = if mark.is_some() { " (the address was confirmed)" } else { "" };
        audit.note = Some(match request.reason {
            Some(reason) => format!("{}{confirmed}: {reason}", letter.reset_id),
            None => format!("{}{confirmed}", letter.reset_id),
        });
        let by_actor = Rate::resets_by(&by, self.limits.resets_by_actor, now);
        let of_person = Rate::resets_of(&id, self.limits.resets_of_person, now);
        let reset = self.door.accounts().reset(&person, &hash, expires_at, &letter.reset_id)?;
        let written = Transaction::new()
            .with(Guard::Person, reset)
            .with(Guard::Actor, admitted.unchanged(self.door.accounts())?)
            .with(Guard::New, self.outbox.queue(&letter, ciphertext)?)
            .with(Guard::Rate, self.tickets.count(&by_actor)?)
            .with(Guard::PersonRate, self.tickets.count(&of_person)?)
            .with(Guard::New, self.audit.append(audit)?)
            .with_some(Guard::New, notice)
            .commit(&self.client)
            .await;
        match written {
            Ok(()) => Ok(ResetMail::queued(letter)),
            Err(error) => {
                let again = |actor: Actor<'_>| decide(actor, Act::Reset, Target::Person(&person), now);
                let overtaken = admitted.overtaken(&error, again);
                Err(overtaken.unwrap_or_else(|| too_many(error, &by_actor, &of_person)))
            }
        }
    }

    /// What was decided; a refusal is audited.
    pub(crate) async fn audited(
        &self,
        decided: Result<Permit, impl Into<Problem>>,
        action: Action,
        by: &Subject,
        whom: &Subject,
        origin: &Origin,
    ) -> Result<Permit, Problem> {
        let decided = decided.map_err(Into::into);
        if let Err(problem) = &decided {
            self.audit.note(origin.entry(action, by, whom, problem.code.name())).await?;
        }
        decided
    }
}

/// The problem of something that was not written: of two rates that are used up, the longer wait is told.
pub(crate) fn too_many(error: CommitError, by_actor: &Rate, of_person: &Rate) -> Problem {
    let by_actor = error.refused(Guard::Rate).map(|_| by_actor.exceeded());
    let of_person = error.refused(Guard::PersonRate).map(|_| of_person.exceeded());
    by_actor.max(of_person).map_or_else(|| error.into(), Problem::from)
}

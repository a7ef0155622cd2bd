//! The step.

use futures_util::future::try_join;
use jiff::{SignedDuration, Timestamp};
use shared::audit::{Action, Origin};
use shared::authority::{Act, Permit, Target, decide};
use shared::caller::{Door, DoorSettings, Presented};
use shared::cursor::Cursors;
use shared::environment::{Environment, StartError};
use shared::http::Call;
use shared::kms::Kms;
use shared::national_id::NationalId;
use shared::oauth::StepUp;
use shared::person::{AccountState, Credential, Service};
use shared::problem::{Code, Problem};
use shared::pseudonym::{IdentifierDigest, PersonId, Pseudonymizer};
use shared::rate::RateLimit;
use shared::reset::Resetter;
use shared::session::Subject;
use shared::store::audit::AuditTrail;
use shared::store::bulk::Bulks;
use shared::store::outbox::Outbox;
use shared::store::tickets::{Rate, Tickets};
use shared::store::{self, CommitError, Guard};
use shared::unbinding::Unbinder;
use shared::{aws, telemetry};

/// The step.
pub struct HrReset {
    pub(crate) client: store::Client,
    pub(crate) door: Door,
    pub(crate) tickets: Tickets,
    pub(crate) unbinder: Unbinder,
    pub(crate) outbox: Outbox,
    pub(crate) audit: AuditTrail,
    pub(crate) resetter: Resetter,
    pub(crate) bulks: Bulks,
    pub(crate) kms: Kms,
    pub(crate) secrets_key: String,
    pub(crate) pseudonyms: Pseudonymizer,
    pub(crate) cursors: Cursors,
    pub(crate) limits: Limits,
    pub(crate) step_up: StepUp,
}

/// How often HR may do what.
pub(crate) struct Limits {
    pub(crate) searches_by_actor: RateLimit,
    pub(crate) resets_by_actor: RateLimit,
    pub(crate) resets_of_person: RateLimit,
    pub(crate) bulks_by_actor: RateLimit,
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
        let bulk = settings.required("BULK_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let secrets_key = settings.required("SECRETS_KEY");
        let limits = Limits {
            searches_by_actor: RateLimit::per_hour(settings.parsed("SEARCHES_PER_ACTOR_PER_HOUR", 300)),
            resets_by_actor: RateLimit::per_hour(settings.parsed("RESETS_PER_ACTOR_PER_HOUR", 120)),
            resets_of_person: RateLimit::per_hour(settings.parsed("RESETS_PER_PERSON_PER_HOUR", 5)),
            bulks_by_actor: RateLimit::per_day(settings.parsed("BULK_RESETS_PER_ACTOR_PER_DAY", 20)),
        };
        let initial_password_life = SignedDuration::from_hours(settings.parsed("INITIAL_PASSWORD_HOURS", 72));
        let step_up = StepUp::read(&mut settings, "RESET_STEP_UP_SECONDS");
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let kms = Kms::new(environment, &config);
        let door = Door::open(environment, &config, &client, door).await?;
        let tickets = Tickets::new(client.clone(), tickets);
        let outbox = Outbox::new(client.clone(), mail);
        let audit = AuditTrail::new(client.clone(), audit);
        let pseudonyms = kms.pseudonymizer(&pseudonym_key).await?;
        let resetter = Resetter::new(
            (door.accounts().clone(), tickets.clone(), outbox.clone(), audit.clone()),
            kms.clone(),
            secrets_key.clone(),
            initial_password_life,
        );
        Ok(Self {
            unbinder: Unbinder::new(client.clone(), door.accounts().clone(), outbox.clone(), audit.clone()),
            door,
            cursors: Cursors::new(&pseudonyms),
            pseudonyms,
            resetter,
            bulks: Bulks::new(client.clone(), bulk),
            kms,
            secrets_key,
            tickets,
            outbox,
            audit,
            client,
            limits,
            step_up,
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
        let digest = IdentifierDigest::of_national_id(&id);
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
        if person.account.custom_account.is_some() {
            let attempts = self.tickets.attempts(&IdentifierDigest::of_account(&id)).await?;
            locked |= attempts.attempts.check(call.now()).is_err();
        }
        // An initial password passes a lock.
        locked &= !matches!(person.account.credential, Credential::Initial { .. });
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

    /// What was decided; a refusal is audited, with the agency of whom it is about, where it is known.
    pub(crate) async fn audited(
        &self,
        decided: Result<Permit, impl Into<Problem>>,
        action: Action,
        by: &Subject,
        whom: &Subject,
        agency: Option<&str>,
        origin: &Origin,
    ) -> Result<Permit, Problem> {
        let decided = decided.map_err(Into::into);
        if let Err(problem) = &decided {
            let entry = origin.entry(action, by, whom, problem.code.name()).of_agency(agency);
            self.audit.note(entry).await?;
        }
        decided
    }
}

/// The problem of something that was not written: of two rates that are used up, the longer wait is told. Which of them are
/// is noted for the answer's headers.
pub(crate) fn too_many(error: CommitError, by_actor: &Rate, of_person: &Rate) -> Problem {
    let used_up = |guard: Guard, rate: &Rate| {
        error.refused(guard).map(|_| {
            telemetry::note_left(rate.nothing_left());
            rate.exceeded()
        })
    };
    let by_actor = used_up(Guard::Rate, by_actor);
    let of_person = used_up(Guard::PersonRate, of_person);
    by_actor.max(of_person).map_or_else(|| error.into(), Problem::from)
}

//! What the endpoints share: who is let in, the tables, and how a change is written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rand::CryptoRng;
use shared::audit::{Action, Entry, SUCCESS};
use shared::authority::authorization::{Authorization, AuthorizationId, By, Event, Held};
use shared::authority::life::State;
use shared::authority::{Act, Refusal, Target, decide};
use shared::aws;
use shared::caller::{Admitted, Caller, Door, DoorSettings};
use shared::cursor::Cursors;
use shared::environment::{Environment, StartError};
use shared::http::Call;
use shared::kms::Kms;
use shared::notice::Notice;
use shared::person::Person;
use shared::problem::{Code, Problem};
use shared::pseudonym::{PersonId, Pseudonymizer};
use shared::rate::RateLimit;
use shared::secret::Secret;
use shared::session::Subject;
use shared::store::accounts::Accounts;
use shared::store::audit::AuditTrail;
use shared::store::authorizations::Authorizations;
use shared::store::outbox::Outbox;
use shared::store::personnel::Personnel;
use shared::store::tickets::{Rate, Tickets};
use shared::store::{self, CommitError, Guard, StoreError, Transaction, Write};

/// How often a change is tried anew because somebody changed the same person's authority meanwhile.
pub(crate) const TRIES: u32 = 5;

/// The step.
pub struct Authorizing {
    client: store::Client,
    door: Door,
    pub(crate) tickets: Tickets,
    pub(crate) authorizations: Authorizations,
    pub(crate) personnel: Personnel,
    outbox: Outbox,
    audit: AuditTrail,
    pub(crate) pseudonyms: Pseudonymizer,
    pub(crate) cursors: Cursors,
    by_actor: RateLimit,
}

impl Authorizing {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let door = DoorSettings::read(&mut settings);
        let accounts = settings.required("ACCOUNTS_TABLE");
        let tickets = settings.required("TICKETS_TABLE");
        let authorizations = settings.required("AUTHORIZATIONS_TABLE");
        let mail = settings.required("MAIL_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let by_actor = RateLimit::per_hour(settings.parsed("AUTHORIZATIONS_PER_ACTOR_PER_HOUR", 60));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let kms = Kms::new(environment, &config);
        let pseudonyms = kms.pseudonymizer(&pseudonym_key).await?;
        Ok(Self {
            door: Door::open(environment, &config, &client, door).await?,
            cursors: Cursors::new(&pseudonyms),
            pseudonyms,
            personnel: Personnel::new(client.clone(), accounts),
            tickets: Tickets::new(client.clone(), tickets),
            authorizations: Authorizations::new(client.clone(), authorizations),
            outbox: Outbox::new(client.clone(), mail),
            audit: AuditTrail::new(client.clone(), audit),
            client,
            by_actor,
        })
    }

    /// Who is let in.
    pub fn door(&self) -> &Door {
        &self.door
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        self.door.accounts()
    }

    /// Counts what the actor does to authorizations, before anything of them is told.
    pub(crate) async fn counted(&self, admitted: &Admitted, now: Timestamp) -> Result<(), Problem> {
        let rate = Rate::authorizations_by(&admitted.session.subject, self.by_actor, now);
        Ok(self.tickets.count_now(&rate).await??)
    }

    /// What was decided; a refusal is audited. What the actor may not know of is audited under its own name, whether it
    /// exists or not.
    pub(crate) async fn audited(
        &self,
        decided: Result<(), Problem>,
        action: Action,
        acting: &Acting<'_>,
        (whom, agency): (Option<&PersonId>, Option<&str>),
        id: &str,
    ) -> Result<(), Problem> {
        if let Err(problem) = &decided {
            let entry = acting.entry(action, whom, id, problem.code.name());
            self.audit.note(entry.of_agency(agency)).await?;
        }
        decided
    }

    /// What tells somebody of a change, as a part of it.
    pub(crate) fn tell(
        &self,
        whom: &PersonId,
        notice: &Notice,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Write, StoreError> {
        Ok(self.outbox.queue_notice(whom, notice, Secret::random(rng).reveal(), now)?.into())
    }

    /// Writes a change: the holder's item, the record, that the actor may still do it, whom it is told, and the audit trail.
    pub(crate) async fn write(
        &self,
        acting: &Acting<'_>,
        action: Action,
        holder: &Person,
        change: Change,
        record: impl Into<Write>,
        id: &AuthorizationId,
    ) -> Result<(), CommitError> {
        let authority = self.accounts().change_authority(holder, &change.held, change.gives)?;
        // Who changes their own is checked by the change itself: one transaction touches an item once.
        let actor = match &acting.admitted.caller {
            Caller::Person(person) if person.person().id == holder.id => None,
            Caller::Person(_) | Caller::Agency(_) => Some(acting.admitted.unchanged(self.accounts())?),
        };
        let entry =
            acting.entry(action, Some(&holder.id), id.as_str(), SUCCESS).of_agency(Some(&holder.agency));
        let transaction = Transaction::new()
            .with(Guard::Person, authority)
            .with(Guard::Authorization, record)
            .with_some(Guard::Actor, actor)
            .with(Guard::New, self.audit.append(entry)?);
        let told = change.told.into_iter();
        told.fold(transaction, |writes, told| writes.with(Guard::New, told)).commit(&self.client).await
    }

    /// An authorization as the caller sees it.
    pub(crate) fn seen(
        &self,
        admitted: &Admitted,
        authorization: Authorization,
        holder: Option<&Person>,
        now: Timestamp,
    ) -> Seen {
        let actor = admitted.caller.actor();
        let state = authorization.state_at(now);
        let steps = [
            (Act::AcceptDuty, "accept"),
            (Act::RefuseDuty, "refuse"),
            (Act::WithdrawDuty, "withdraw"),
            (Act::Revoke, "revoke"),
        ];
        let may = steps
            .into_iter()
            .filter(|(act, _)| {
                crate::answer::step_of(*act).is_some_and(|step| state.after(step).is_ok())
                    && decide(actor, *act, Target::Authorization(&authorization, holder), now).is_ok()
            })
            .map(|(_, name)| name)
            .collect();
        let in_force = holder
            .is_some_and(|holder| state == State::Active && authorization.held.in_force(holder, now).is_ok());
        let holder = holder.map(|holder| Holder {
            name: holder.name.clone(),
            agency: holder.agency.clone(),
            agency_name: holder.agency_name.clone(),
        });
        Seen { authorization, state, holder, may, in_force }
    }
}

/// What a change is, beside the record of the authorization.
pub(crate) struct Change {
    /// The holder's authorizations afterwards.
    pub(crate) held: BTreeMap<AuthorizationId, Held>,
    /// Whether it gives the holder something, for which they have to be in service.
    pub(crate) gives: bool,
    /// The notices of it.
    pub(crate) told: Vec<Write>,
}

/// A call by somebody who changes authorizations.
pub(crate) struct Acting<'a> {
    pub(crate) call: &'a Call,
    pub(crate) admitted: &'a Admitted,
}

impl Acting<'_> {
    /// Who acts, as the history names them.
    pub(crate) fn by(&self) -> By {
        By::Subject(self.admitted.session.subject.clone())
    }

    pub(crate) fn event(&self, what: shared::authority::life::Happening) -> Event {
        Event { what, by: self.by(), at: self.call.now() }
    }

    fn entry(&self, action: Action, whom: Option<&PersonId>, id: &str, outcome: &str) -> Entry {
        let by = &self.admitted.session.subject;
        let subject = match whom {
            Some(person) => Subject::Person(person.clone()).to_string(),
            None => format!("authorization#{id}"),
        };
        Entry { note: Some(id.to_owned()), ..self.call.origin.entry(action, by, subject, outcome) }
    }
}

/// An authorization as a caller sees it.
#[derive(Debug)]
pub struct Seen {
    /// The authorization.
    pub authorization: Authorization,
    /// Its state now.
    pub state: State,
    /// Its holder, as the directory has them now.
    pub holder: Option<Holder>,
    /// The steps that the caller may take.
    pub may: Vec<&'static str>,
    /// Whether it counts now.
    pub in_force: bool,
}

/// Who holds an authorization.
#[derive(Debug)]
pub struct Holder {
    /// Full name.
    pub name: String,
    /// The agency's code.
    pub agency: String,
    /// The agency's name.
    pub agency_name: String,
}

/// The agency that the caller serves in, or stands for.
pub(crate) fn own_agency(admitted: &Admitted) -> &str {
    match &admitted.caller {
        Caller::Person(person) => &person.person().agency,
        Caller::Agency(agency) => &agency.code,
    }
}

/// What is out of scope and what does not exist look the same.
pub(crate) fn hidden(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::OutOfScope => Problem::new(Code::AuthorizationNotFound).because(refusal),
        refusal => refusal.into(),
    }
}

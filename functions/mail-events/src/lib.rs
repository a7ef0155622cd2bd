//! Notes what SES says became of a mail, after it accepted it: started by EventBridge with each of SES's events.
//!
//! [`event`] is what SES sends, [`handler`] the edge to Lambda, and this the step: it reads the entry, asks
//! `shared::delivery` what the event makes of it, and writes that under the condition that nothing has happened meanwhile.
//! Events come late, twice, out of order, and before the dispatcher has noted its sending: which of them still says something
//! is decided there alone.
//!
//! A letter that came back for good, or that SES did not send, was received by nobody: while the initial password in it is
//! the person's current one, it is void from that moment, in the same transaction. An address that does not take mails is
//! marked, until a mail is delivered to it. A notice that came back is noted at the person, whose address it is.

pub mod event;
pub mod handler;

use std::sync::Arc;

use shared::audit::{self, Action, SUCCESS};
use shared::clock::Clock;
use shared::delivery::{Bounce, Standing};
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use shared::notice::Undeliverable;
use shared::pseudonym::PersonId;
use shared::session::Subject;
use shared::store::accounts::Accounts;
use shared::store::audit::AuditTrail;
use shared::store::outbox::{Mail, MailId, Marked, Outbox};
use shared::store::{CommitError, Guard, StoreError, Transaction};
use shared::{aws, store};

use crate::event::MailEvent;

/// How often an event is tried while others change the same entry or person. Each of them changes it for good, so that this
/// ends soon; EventBridge's retries come after it.
const TRIES: u32 = 5;

/// The step.
pub struct MailEvents {
    outbox: Outbox,
    accounts: Accounts,
    audit: AuditTrail,
    client: store::Client,
    clock: Clock,
    stage: String,
}

/// What an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// Where the mail is.
    Changed {
        /// Where it is now.
        next: Standing,
        /// Whether an initial password is void by it.
        voided: bool,
    },
    /// Nothing: it was known already, or something later is.
    Nothing,
    /// There is no such mail (any more).
    Unknown,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = Arc::new(MailEvents::start(environment).await?);
    Ok(Function::new(move |event| handler::handle(Arc::clone(&step), event)))
}

impl MailEvents {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let mail = settings.required("MAIL_TABLE");
        let accounts = settings.required("ACCOUNTS_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let stage = settings.required("STAGE");
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &mail, false).await?;
        Ok(Self {
            outbox: Outbox::new(client.clone(), mail),
            accounts: Accounts::new(client.clone(), accounts),
            audit: AuditTrail::new(client.clone(), audit),
            client,
            clock: environment.clock().clone(),
            stage,
        })
    }

    /// Notes what an event says.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was noted, and the event is to be delivered again.
    pub async fn note(&self, event: &MailEvent, request_id: &str) -> Result<Noted, StoreError> {
        // Whether the person has another address since the notice was queued: then it says nothing of that one.
        let mut other_address = false;
        for _ in 0..TRIES {
            let Some(seen) = self.outbox.mail(&event.id).await? else { return Ok(Noted::Unknown) };
            let known = seen.message_id.as_deref();
            let Ok(next) = seen.standing.hear(event.feedback, &event.message_id, known) else {
                return Ok(Noted::Nothing);
            };
            match self.write(event, &seen, next, other_address, request_id).await {
                Ok(voided) => return Ok(Noted::Changed { next, voided }),
                // Somebody was quicker: what the event says is said of what is there now.
                Err(error @ CommitError::Refused(_)) => {
                    other_address = seen.to_account && error.refused(Guard::Person).is_some();
                }
                Err(CommitError::Store(error)) => return Err(error),
                Err(error @ CommitError::Busy) => return Err(StoreError::Service(error.to_string())),
            }
        }
        Err(StoreError::Service("others change the same mail again and again".to_owned()))
    }

    /// Writes all that an event changes, or nothing. Answers whether an initial password is void now.
    async fn write(
        &self,
        event: &MailEvent,
        seen: &Mail,
        next: Standing,
        other_address: bool,
        request_id: &str,
    ) -> Result<bool, CommitError> {
        let (id, at) = (&event.id, event.at);
        let entry = self.outbox.feedback(id, seen, next, &event.message_id, at)?;
        let mut writes = Transaction::new().with(Guard::Mail, entry);
        let unreceived =
            matches!(next, Standing::Bounced(Bounce::Permanent) | Standing::Failed(Undeliverable::Rejected));
        let mut voided = false;
        if let (MailId::Reset(reset_id), true) = (id, unreceived) {
            let contact = self.accounts.contact(&seen.person).await?;
            // After another reset, or an activation, there is nothing of this one's to void.
            let contact = contact.filter(|contact| contact.initial_reset.as_ref() == Some(reset_id));
            if let Some(contact) = contact {
                let entry = self.entry(event, &seen.person, request_id).of_agency(contact.agency);
                writes = writes
                    .with(Guard::Person, self.accounts.void_initial(&seen.person, reset_id)?)
                    .with(Guard::New, self.audit.append(entry)?);
                voided = true;
            }
        }
        match (&seen.address, next) {
            (Some(address), Standing::Bounced(Bounce::Permanent)) => {
                writes = writes.with(Guard::New, self.outbox.mark_address(address, Marked::Bounced, at)?);
            }
            (Some(address), Standing::Complained) => {
                writes = writes.with(Guard::New, self.outbox.mark_address(address, Marked::Complained, at)?);
            }
            (Some(address), Standing::Delivered) => {
                // A delivery of before the mark, of which we hear late, says nothing against it.
                let mark = self.outbox.address_mark(address).await?;
                if mark.is_some_and(|mark| mark.since <= at) {
                    writes = writes.with(Guard::New, self.outbox.unmark_address(address)?);
                }
            }
            _ => {}
        }
        if seen.to_account && next == Standing::Bounced(Bounce::Permanent) && !other_address {
            let undeliverable = self.accounts.note_undeliverable(&seen.person, seen.created_at, at)?;
            writes = writes.with(Guard::Person, undeliverable);
        }
        writes.commit(&self.client).await?;
        Ok(voided)
    }

    /// What becomes of an initial password that nobody received is an act like any other.
    fn entry(&self, event: &MailEvent, person: &PersonId, request_id: &str) -> audit::Entry {
        audit::Entry {
            subject: Subject::Person(person.clone()).to_string(),
            actor: audit::SES.to_owned(),
            action: Action::MailBounce,
            outcome: SUCCESS.to_owned(),
            at: self.clock.now(),
            address: String::new(),
            request_id: request_id.to_owned(),
            agency: None,
            note: Some(event.id.as_str().to_owned()),
        }
    }
}

//! What became of a reset's mail, and sending it once more.

use jiff::Timestamp;
use shared::audit::{Action, SUCCESS};
use shared::authority::{Act, Actor, Refusal, Target, decide};
use shared::caller::Presented;
use shared::delivery::Standing;
use shared::email_address::EmailAddress;
use shared::http::Call;
use shared::notice::{Undeliverable, current};
use shared::problem::{Advice, Code, Problem};
use shared::pseudonym::PersonId;
use shared::secret::Secret;
use shared::session::Subject;
use shared::store::outbox::{Entry, NewLetter, ResendRefused};
use shared::store::tickets::Rate;
use shared::store::{Guard, Transaction};
use shared::telemetry;

use crate::step::{HrReset, too_many};

/// A reset's mail as HR sees it.
#[derive(Debug)]
pub struct ResetMail {
    /// The reset.
    pub reset_id: String,
    /// Where the mail is.
    pub standing: Standing,
    /// When the reset was.
    pub created_at: Timestamp,
    /// When the initial password ends.
    pub expires_at: Timestamp,
    /// Whether a resend would be accepted now.
    pub resendable: bool,
    /// Where the mail goes, masked, where that is known: to the one who asked for the reset.
    pub email_masked: Option<String>,
}

impl ResetMail {
    /// A mail that was queued just now.
    pub(crate) fn queued(letter: NewLetter, email: &EmailAddress) -> Self {
        let NewLetter { reset_id, created_at, expires_at, .. } = letter;
        let email_masked = Some(email.masked());
        Self { reset_id, standing: Standing::Queued, created_at, expires_at, resendable: false, email_masked }
    }

    /// A mail that was queued once more.
    fn again(entry: Entry) -> Self {
        Self { standing: Standing::Queued, ..Self::of(entry, false) }
    }

    fn of(entry: Entry, resendable: bool) -> Self {
        let standing = Standing::from_stored(entry.state, entry.bounce, entry.failure);
        let Entry { reset_id, created_at, expires_at, .. } = entry;
        Self { reset_id, standing, created_at, expires_at, resendable, email_masked: None }
    }
}

fn not_found() -> Problem {
    Problem::new(Code::ResetNotFound)
}

/// Who may not know of the person may not know of the reset.
fn hidden(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::OutOfScope => not_found().because(refusal),
        refusal => refusal.into(),
    }
}

impl HrReset {
    /// Where a reset's mail is.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `reset_not_found`, `unavailable`.
    pub async fn mail(
        &self,
        call: &Call,
        presented: Presented,
        reset_id: &str,
    ) -> Result<ResetMail, Problem> {
        let admitted = self.door().admit(presented, &[], call.now()).await?;
        self.seen(admitted.caller.actor(), reset_id, call.now()).await
    }

    /// Where a reset's mail is, if the actor may know.
    ///
    /// # Errors
    /// `not_authorized`, `reset_not_found`, `unavailable`.
    pub(crate) async fn seen(
        &self,
        actor: Actor<'_>,
        reset_id: &str,
        now: Timestamp,
    ) -> Result<ResetMail, Problem> {
        decide(actor, Act::SeeReset, Target::Anybody, now)?;
        let entry = self.entry(reset_id).await?.ok_or_else(not_found)?;
        decide(actor, Act::SeeReset, Target::Agency(&entry.agency), now).map_err(hidden)?;
        // The entry alone says no to most; whether the initial password is still the person's, they say.
        let resendable = self.outbox.resend(&entry, now).is_ok() && {
            let contact = self.door().accounts().contact(&entry.person).await?;
            current(contact.as_ref(), &entry.reset_id, entry.expires_at, now).is_ok()
        };
        Ok(ResetMail::of(entry, resendable))
    }

    /// Sends a reset's mail once more, with the same initial password. It counts as a reset. A mail that is still on its way
    /// stays there.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `reset_not_found`, `person_departed`, `resend_refused`, `too_many_requests`,
    /// `conflict`, `unavailable`.
    pub async fn resend(
        &self,
        call: &Call,
        presented: Presented,
        reset_id: &str,
    ) -> Result<ResetMail, Problem> {
        let now = call.now();
        let admitted = self.door().admit(presented, &[], now).await?;
        let by = &admitted.session.subject;
        let actor = admitted.caller.actor();
        let known = self.entry(reset_id).await?;
        // Of a reset that is none, nobody is read and something is audited as well: it takes as long as one that the caller may
        // not know of.
        let nobody = PersonId::from_stored("nobody");
        let person = known.as_ref().map_or(&nobody, |entry| &entry.person);
        let person = self.door().accounts().person(person).await?;
        let Some(entry) = known else {
            let unknown = decide(actor, Act::Resend, Target::Unknown, now).map_err(hidden);
            let unknown = unknown.err().unwrap_or_else(not_found);
            let subject = format!("reset#{}", Secret::parse(reset_id).map_or("none", |_| reset_id));
            self.audit.note(call.origin.entry(Action::MailResend, by, subject, unknown.code.name())).await?;
            return Err(unknown);
        };
        let whom = Subject::Person(entry.person.clone());
        telemetry::note_subject(&whom);
        // The reset was in an agency, and the person may have moved since: both are to be in scope.
        let decided = decide(actor, Act::Resend, Target::Agency(&entry.agency), now)
            .and_then(|_| decide(actor, Act::Resend, Target::found(person.as_ref()), now))
            .map_err(hidden);
        let agency = person.as_ref().map(|person| person.agency.as_str());
        self.audited(decided, Action::MailResend, by, &whom, agency, &call.origin).await?;
        let person = person.ok_or_else(not_found)?;
        let update = match self.outbox.resend(&entry, now) {
            Ok(update) => update,
            Err(ResendRefused::UnderWay) => return Ok(ResetMail::of(entry, false)),
            Err(refused) => return Err(refused.into()),
        };
        if person.account.initial_reset.as_deref() != Some(reset_id) {
            let refused = Problem::new(Code::ResendRefused).advising(Advice::ResendVoid);
            return Err(refused.because(Undeliverable::Replaced));
        }
        let audit = call.origin.entry(Action::MailResend, by, &whom, SUCCESS);
        let mut audit = audit.of_agency(Some(&person.agency));
        audit.note = Some(entry.reset_id.clone());
        let by_actor = Rate::resets_by(by, self.limits.resets_by_actor, now);
        let of_person = Rate::resets_of(&entry.person, self.limits.resets_of_person, now);
        let written = Transaction::new()
            .with(Guard::Mail, update)
            .with(Guard::Person, self.door().accounts().still_is(&person)?)
            .with(Guard::Actor, admitted.unchanged(self.door().accounts())?)
            .with(Guard::Rate, self.tickets.count(&by_actor)?)
            .with(Guard::PersonRate, self.tickets.count(&of_person)?)
            .with(Guard::New, self.audit.append(audit)?)
            .commit(&self.client)
            .await;
        match written {
            Ok(()) => Ok(ResetMail::again(entry)),
            Err(error) => {
                let again = |actor: Actor<'_>| decide(actor, Act::Resend, Target::Person(&person), now);
                let overtaken = admitted.overtaken(&error, again);
                Err(overtaken.unwrap_or_else(|| too_many(error, &by_actor, &of_person)))
            }
        }
    }

    async fn entry(&self, reset_id: &str) -> Result<Option<Entry>, Problem> {
        let Some(reset_id) = Secret::parse(reset_id) else { return Ok(None) };
        Ok(self.outbox.entry(reset_id.reveal()).await?)
    }
}

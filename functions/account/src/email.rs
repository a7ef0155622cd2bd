//! The email address: asked for with a recent proof, confirmed by the code that was mailed to it, and told to the former one.

use jiff::Timestamp;
use rand::CryptoRng;
use shared::audit::{Action, Origin, SUCCESS};
use shared::caller::{Admitted, Caller};
use shared::delivery::MailState;
use shared::email_address::EmailAddress;
use shared::email_change::{EmailChange, EmailCode, LIFE, TRIES, Void};
use shared::notice::Notice;
use shared::password::Password;
use shared::person::Person;
use shared::problem::{Advice, Code, Problem};
use shared::secret::Secret;
use shared::session::Session;
use shared::store::outbox::{MailId, NewCode};
use shared::store::tickets::Rate;
use shared::store::{CommitError, Guard, Transaction};
use shared::telemetry;
use zeroize::Zeroizing;

use crate::step::{AccountStep, counted_for};

/// A change that somebody asks for.
#[derive(Debug)]
pub struct Wish {
    /// The new address.
    pub email: EmailAddress,
    /// The current password; may be left out after a fresh card.
    pub current: Option<Password>,
}

/// A change that waits for its code, as its person sees it.
#[derive(Debug)]
pub struct Waiting {
    /// The new address, masked.
    pub email_masked: String,
    /// Where the mail with the code is.
    pub mail: MailState,
    /// Wrong codes that are still allowed.
    pub tries_left: u32,
    /// When the code ends.
    pub expires_at: Timestamp,
}

/// The address of the account.
#[derive(Debug)]
pub struct Email {
    /// Masked.
    pub masked: Option<String>,
    /// Since when mail to it comes back.
    pub undeliverable_since: Option<Timestamp>,
    /// The change that waits.
    pub waiting: Option<Waiting>,
}

impl AccountStep {
    /// The address of the person's account, and the change that waits for its code.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `unavailable`.
    pub async fn email(&self, admitted: &Admitted, now: Timestamp) -> Result<Email, Problem> {
        let person = holder(admitted)?;
        let change = self.tickets.email_change(&person.id).await?;
        let mut waiting = None;
        if let Some(change) = change.filter(|change| change.check(person.generation, now).is_ok()) {
            let mail = self.outbox.mail(&MailId::Code(change.id.clone())).await?;
            waiting = Some(Waiting {
                mail: mail.map_or(MailState::Failed, |mail| mail.standing.state()),
                tries_left: TRIES.saturating_sub(change.tries),
                email_masked: change.email_masked,
                expires_at: change.expires_at,
            });
        }
        let account = &person.account;
        Ok(Email {
            masked: account.email_masked.clone(),
            undeliverable_since: account.email_undeliverable_since,
            waiting,
        })
    }

    /// Has a code mailed to a new address. A change that waited before is void.
    ///
    /// # Errors
    /// `not_authorized` for an agency or a person who never activated; `request_invalid` when the current password is
    /// needed and missing; `invalid_credentials` and `account_locked` when it is wrong; `email_invalid` for the address that
    /// the account has, unless mail to it comes back; `too_many_requests`; `conflict`.
    pub async fn ask_email(
        &self,
        admitted: &Admitted,
        wish: &Wish,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Waiting, Problem> {
        let person = holder(admitted)?;
        let Session { subject, proof, .. } = &admitted.session;
        let act = Action::EmailChangeRequest;
        let attempts = self.prove(person, &admitted.session, wish.current.as_ref(), act, origin).await?;
        let email_digest = self.pseudonyms.email(&wish.email);
        let account = &person.account;
        if account.email_digest.as_ref() == Some(&email_digest) && account.email_undeliverable_since.is_none()
        {
            return Err(Problem::new(Code::EmailInvalid).on("email").advising(Advice::EmailSame));
        }
        let (id, code) = (Secret::random(rng).reveal().to_owned(), EmailCode::random(rng));
        let expires_at = origin.at.checked_add(LIFE).unwrap_or(origin.at);
        let unsealed = |error| Problem::new(Code::Unavailable).because(error);
        let change = EmailChange {
            generation: person.generation,
            code: self.pseudonyms.email_code(&person.id, &id, &code),
            email_masked: wish.email.masked(),
            email_sealed: self
                .email_key
                .seal(&subject.to_string(), wish.email.reveal(), rng)
                .map_err(unsealed)?,
            email_digest: email_digest.clone(),
            tries: 0,
            expires_at,
            id: id.clone(),
        };
        let letter = Zeroizing::new(format!("{} {}", code.reveal(), wish.email.reveal()));
        let letter = self.email_key.seal(&MailId::Code(id.clone()).key(), &letter, rng).map_err(unsealed)?;
        let mail = NewCode {
            id: id.clone(),
            person: person.id.clone(),
            address: email_digest,
            created_at: origin.at,
            expires_at,
        };
        let mut entry = origin.entry(act, subject, subject, SUCCESS).of_agency(Some(&person.agency));
        entry.note = Some(id);
        let clear =
            attempts.map(|read| self.tickets.clear_failures(&counted_for(subject), &read)).transpose()?;
        let rate = Rate::email_changes(&person.id, self.email_changes, origin.at);
        let still = self.door().accounts().still(&person.id, person.generation, proof.seen())?;
        let written = Transaction::new()
            .with(Guard::Person, still)
            .with(Guard::PersonRate, self.tickets.count(&rate)?)
            .with(Guard::New, self.tickets.ask_email_change(&person.id, &change)?)
            .with(Guard::New, self.outbox.queue_code(&mail, letter)?)
            .with_some(Guard::Attempts, clear)
            .with(Guard::New, self.audit.append(entry)?)
            .commit(&self.client)
            .await;
        if let Err(error) = &written
            && error.refused(Guard::PersonRate).is_some()
        {
            telemetry::note_left(rate.nothing_left());
            return Err(rate.exceeded().into());
        }
        written?;
        Ok(Waiting {
            email_masked: change.email_masked,
            mail: MailState::Queued,
            tries_left: TRIES,
            expires_at,
        })
    }

    /// Makes the new address the account's, by the code that was mailed to it. The former address hears of it.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `email_code_wrong`; `email_code_void` when no change waits for a code, or this was the
    /// last wrong one; `conflict`.
    pub async fn confirm_email(
        &self,
        admitted: &Admitted,
        code: &EmailCode,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(), Problem> {
        let person = holder(admitted)?;
        let Session { subject, proof, .. } = &admitted.session;
        let change = self.tickets.email_change(&person.id).await?.ok_or(Void::Unknown)?;
        change.check(person.generation, origin.at)?;
        let entry = |outcome: &str| {
            let mut entry = origin.entry(Action::EmailChange, subject, subject, outcome);
            entry.note = Some(change.id.clone());
            entry.of_agency(Some(&person.agency))
        };
        if self.pseudonyms.email_code(&person.id, &change.id, code) != change.code {
            let last = change.tries.saturating_add(1) >= TRIES;
            let problem =
                if last { Void::Exhausted.into() } else { Problem::new(Code::EmailCodeWrong).on("code") };
            Transaction::new()
                .with(Guard::Ticket, self.tickets.count_wrong_code(&person.id, &change)?)
                .with(Guard::New, self.audit.append(entry(Code::EmailCodeWrong.name()))?)
                .commit(&self.client)
                .await
                .map_err(refusal)?;
            return Err(problem);
        }
        let told = Secret::random(rng);
        let notice = Notice::EmailChanged { email_masked: change.email_masked.clone() };
        let told = person
            .account
            .former_address(&change.email_digest)
            .map(|former| self.outbox.queue_notice_to(&person.id, &notice, told.reveal(), former, origin.at))
            .transpose()?;
        let accounts = self.door().accounts();
        Transaction::new()
            .with(Guard::Ticket, self.tickets.redeem_email_change(&person.id, &change, origin.at)?)
            .with(Guard::Person, accounts.change_email(person, &change, proof.seen(), origin.at)?)
            .with_some(Guard::New, told)
            .with(Guard::New, self.audit.append(entry(SUCCESS))?)
            .commit(&self.client)
            .await
            .map_err(refusal)
    }
}

/// The person whose account it is, who has activated it.
fn holder(admitted: &Admitted) -> Result<&Person, Problem> {
    let Caller::Person(person) = &admitted.caller else { return Err(Code::NotAuthorized.into()) };
    telemetry::note_subject(&admitted.session.subject);
    if !person.person().account.is_activated() {
        return Err(Problem::new(Code::NotAuthorized).because("never activated"));
    }
    Ok(person.person())
}

/// Why nothing was written: somebody else used the change up, or asked for another one.
fn refusal(error: CommitError) -> Problem {
    match error.refused(Guard::Ticket) {
        Some(_) => Void::Unknown.into(),
        None => error.into(),
    }
}

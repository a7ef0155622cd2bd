//! Resetting a password, of one person or in bulk: one transaction, whoever asks for it.
//!
//! The old password, every session and every open ticket end, and a lock with them; an initial password is on its way. Who has
//! activated before is also told at the address of that time: they alone know a reset that nobody asked for.

use jiff::{SignedDuration, Timestamp};
use rand::CryptoRng;

use crate::audit::{Action, Origin, SUCCESS};
use crate::email_address::EmailAddress;
use crate::kms::{Kms, Letter};
use crate::notice::Notice;
use crate::password::{StoredHash, generate_initial};
use crate::person::Person;
use crate::problem::Problem;
use crate::pseudonym::{EmailDigest, IdentifierDigest};
use crate::secret::Secret;
use crate::session::Subject;
use crate::store::accounts::Accounts;
use crate::store::audit::AuditTrail;
use crate::store::outbox::{Lane, NewLetter, Outbox};
use crate::store::tickets::Tickets;
use crate::store::{Guard, StoreError, Transaction};

/// Resets passwords.
#[derive(Clone, Debug)]
pub struct Resetter {
    accounts: Accounts,
    tickets: Tickets,
    outbox: Outbox,
    audit: AuditTrail,
    kms: Kms,
    secrets_key: String,
    initial_password_life: SignedDuration,
}

/// A reset that somebody asks for, and may.
#[derive(Clone, Copy, Debug)]
pub struct Reset<'a> {
    /// Whose password, as they were when that was decided.
    pub person: &'a Person,
    /// Where to mail the initial one.
    pub email: &'a EmailAddress,
    /// The same, as its digest.
    pub address: &'a EmailDigest,
    /// Who asks.
    pub by: &'a Subject,
    /// Whether somebody waits for the mail.
    pub lane: Lane,
    /// When.
    pub now: Timestamp,
}

/// What a reset puts in place: drawn, hashed and encrypted, and not yet written. It takes a hash's time.
#[derive(Debug)]
pub struct Drawn {
    letter: NewLetter,
    hash: StoredHash,
    ciphertext: Vec<u8>,
}

impl Drawn {
    /// The reset and its mail.
    pub fn letter(&self) -> &NewLetter {
        &self.letter
    }
}

impl Resetter {
    /// Over these tables; initial passwords are encrypted under `secrets_key`, and good for so long.
    pub fn new(
        (accounts, tickets, outbox, audit): (Accounts, Tickets, Outbox, AuditTrail),
        kms: Kms,
        secrets_key: String,
        initial_password_life: SignedDuration,
    ) -> Self {
        Self { accounts, tickets, outbox, audit, kms, secrets_key, initial_password_life }
    }

    /// Draws an initial password. Hash and encryption are made side by side, away from the asynchronous threads.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn draw(&self, reset: &Reset<'_>, rng: &mut (impl CryptoRng + Send)) -> Result<Drawn, Problem> {
        let initial = generate_initial(rng);
        let reset_id = Secret::random(rng).reveal().to_owned();
        let expires_at = reset.now.checked_add(self.initial_password_life).unwrap_or(Timestamp::MAX);
        let content = Letter::new(reset.email, initial.password());
        let ciphertext = async {
            Ok::<_, Problem>(self.kms.encrypt_letter(&self.secrets_key, &reset_id, &content).await?)
        };
        let hash = async { Ok(StoredHash::of_aside(initial.password(), rng).await?) };
        let (hash, ciphertext) = futures_util::future::try_join(hash, ciphertext).await?;
        let letter = NewLetter {
            reset_id,
            agency: reset.person.agency.clone(),
            person: reset.person.id.clone(),
            by: reset.by.clone(),
            address: reset.address.clone(),
            created_at: reset.now,
            expires_at,
            lane: reset.lane,
        };
        Ok(Drawn { letter, hash, ciphertext })
    }

    /// The writes of a reset: the account, if the person is still who they were; no failures of theirs any more, as the password
    /// that was guessed at is gone; the mail; the notice to whom has activated before; the audit entry, whose note is the reset's
    /// id and `note` behind it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write(
        &self,
        reset: &Reset<'_>,
        drawn: &Drawn,
        note: &str,
        origin: &Origin,
        rng: &mut impl CryptoRng,
    ) -> Result<Transaction, StoreError> {
        let letter = &drawn.letter;
        let person = reset.person;
        let notice = match person.account.email_sealed {
            Some(_) => {
                let notice = Notice::PasswordReset { email_masked: reset.email.masked() };
                let id = Secret::random(rng);
                Some(self.outbox.queue_notice_in(reset.lane, &person.id, &notice, id.reveal(), reset.now)?)
            }
            None => None,
        };
        let whom = Subject::Person(person.id.clone());
        let entry = origin.entry(Action::PasswordReset, reset.by, &whom, SUCCESS);
        let mut audit = entry.of_agency(Some(&person.agency));
        audit.note = Some(format!("{}{note}", letter.reset_id));
        let account = self.accounts.reset(person, &drawn.hash, letter.expires_at, &letter.reset_id)?;
        let mut transaction = Transaction::new().with(Guard::Person, account);
        for identifier in IdentifierDigest::all_of(&person.id) {
            transaction = transaction.with(Guard::New, self.tickets.forget_failures(&identifier)?);
        }
        Ok(transaction
            .with(Guard::New, self.outbox.queue(letter, drawn.ciphertext.clone())?)
            .with(Guard::New, self.audit.append(audit)?)
            .with_some(Guard::New, notice))
    }
}

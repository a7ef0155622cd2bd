//! The step: read, check, hash, write.

use jiff::Timestamp;
use rand::CryptoRng;
use shared::audit::{Action, Origin, SUCCESS};
use shared::environment::{Environment, StartError};
use shared::lockout::LockoutPolicy;
use shared::notice::Notice;
use shared::password::{Password, StoredHash, Verdict};
use shared::person::{InService, Person};
use shared::problem::{Code, Problem};
use shared::pseudonym::{IdentifierDigest, PersonId, Pseudonymizer};
use shared::rate::RateLimit;
use shared::session::{Proof, Subject};
use shared::sign_in::{Outcome, SignIn, SignInSettings};
use shared::store::accounts::Accounts;
use shared::store::outbox::Outbox;
use shared::store::tickets::{AttemptsRead, Rate, Tickets, attempts_key};
use shared::store::{self, CommitError, Guard, Transaction};
use shared::{aws, kms, telemetry};

use crate::decision::{Decision, decide, passes_lock, to_check};
use crate::handler::Attempt;

/// How often a sign-in is decided anew because something changed beside it.
const TRIES: u32 = 4;

/// The step.
pub struct PasswordLogin {
    accounts: Accounts,
    sign_in: SignIn,
    pseudonyms: Pseudonymizer,
    lockout: LockoutPolicy,
    sign_ins: RateLimit,
    outbox: Outbox,
}

/// What was read for one attempt.
struct Read {
    person: Option<Person>,
    person_id: Option<PersonId>,
    /// What failures are counted for.
    digest: IdentifierDigest,
    attempts: AttemptsRead,
}

impl PasswordLogin {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let sign_in = SignInSettings::read(&mut settings);
        let accounts = settings.required("ACCOUNTS_TABLE");
        let mail = settings.required("MAIL_TABLE");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let lockout = LockoutPolicy::from_settings(&mut settings);
        let sign_ins = RateLimit::per_minute(settings.parsed("SIGN_INS_PER_ADDRESS_PER_MINUTE", 600));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        Ok(Self {
            pseudonyms: kms::Kms::new(environment, &config).pseudonymizer(&pseudonym_key).await?,
            sign_in: SignIn::start(environment, &config, &client, sign_in).await?,
            outbox: Outbox::new(client.clone(), mail),
            accounts: Accounts::new(client, accounts),
            lockout,
            sign_ins,
        })
    }

    /// The portal host's origin.
    pub fn portal_origin(&self) -> &str {
        self.sign_in.portal_origin()
    }

    /// Signs in.
    ///
    /// # Errors
    /// `invalid_credentials`, `account_locked`, `too_many_requests`, `person_departed`, `initial_password_expired`,
    /// `conflict`, `unavailable`.
    pub async fn sign_in(
        &self,
        attempt: Attempt,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Outcome, Problem> {
        let rate = Rate::sign_ins(&self.pseudonyms.address(&origin.address), self.sign_ins, origin.at);
        let mut checked: Option<(StoredHash, Verdict)> = None;
        for _ in 0..TRIES {
            let read = self.read(&attempt, &rate).await?;
            let digest = &read.digest;
            let subject =
                read.person_id.as_ref().map_or_else(|| digest.to_string(), |id| format!("person#{id}"));
            telemetry::note_subject(&subject);
            let agency = read.person.as_ref().map(|person| person.agency.clone());
            let audit = |code: &str| {
                let entry = origin.entry(Action::PasswordSignIn, &subject, &subject, code);
                entry.of_agency(agency.as_deref())
            };
            // A second round checks the same password against the same hash only if the hash has changed.
            let (hash, password) = to_check(read.person.as_ref(), &attempt.password);
            let verdict = match &checked {
                Some((known, verdict)) if *known == hash => *verdict,
                _ => hash.verify_aside(&password).await?,
            };
            checked = Some((hash, verdict));
            // Asked after the hash, whoever it is: else the time would tell whose lock lets something through.
            if let Err(locked) = read.attempts.attempts.check(origin.at)
                && !passes_lock(read.person.as_ref(), verdict)
            {
                self.sign_in.audit().note(audit(Code::AccountLocked.name())).await?;
                return Err(locked.into());
            }
            let tickets = self.sign_in.tickets();
            let counted = Transaction::new().with(Guard::Rate, tickets.count(&rate)?);
            let written = match decide(read.person, verdict, origin.at) {
                Decision::SignIn(person) => {
                    let proof = self.proof(&person, verdict, &attempt.password, rng)?;
                    let transaction = counted
                        .with(Guard::Person, proof)
                        .with(Guard::Attempts, tickets.clear_failures(digest, &read.attempts)?)
                        .with(Guard::New, self.sign_in.audit().append(audit(SUCCESS))?);
                    let subject = Subject::Person(person.person().id.clone());
                    let generation = person.person().generation;
                    let opening = SignIn::opening(
                        subject,
                        &attempt.wanted,
                        Proof::Password,
                        generation,
                        origin.at,
                        rng,
                    );
                    match self.sign_in.open(transaction, &opening, origin.at).await {
                        Ok(outcome) => return outcome,
                        Err(error) => error,
                    }
                }
                Decision::Activate(person) => {
                    let person = person.person();
                    let transaction = counted
                        .with(Guard::Person, self.accounts.still(&person.id, person.generation, None)?)
                        .with(Guard::Attempts, tickets.clear_failures(digest, &read.attempts)?)
                        .with(Guard::New, self.sign_in.audit().append(audit("activation_required"))?);
                    let proof = Proof::Password;
                    let ticket = self.sign_in.require_activation(
                        transaction,
                        &person.id,
                        person.generation,
                        proof,
                        origin.at,
                        rng,
                    );
                    match ticket.await {
                        Ok(outcome) => return Ok(outcome),
                        Err(error) => error,
                    }
                }
                Decision::Wrong => {
                    let failure = tickets.note_failure(digest, &read.attempts, origin.at, &self.lockout)?;
                    let transaction = counted.with(Guard::Attempts, failure).with(
                        Guard::New,
                        self.sign_in.audit().append(audit(Code::InvalidCredentials.name()))?,
                    );
                    match self
                        .commit_failure(
                            transaction,
                            &read.attempts,
                            read.person_id.as_ref(),
                            digest,
                            origin.at,
                        )
                        .await
                    {
                        Ok(()) => return Err(Code::InvalidCredentials.into()),
                        Err(error) => error,
                    }
                }
                Decision::Refused(code) => {
                    let transaction =
                        counted.with(Guard::New, self.sign_in.audit().append(audit(code.name()))?);
                    match transaction.commit(self.sign_in.client()).await {
                        Ok(()) => return Err(code.into()),
                        Err(error) => error,
                    }
                }
            };
            if written.refused(Guard::Rate).is_some() {
                return Err(rate.exceeded().into());
            }
            // Another attempt, a reset or a departure came between: decide anew on what stands now.
            if !matches!(written, CommitError::Refused(_)) {
                return Err(written.into());
            }
        }
        Err(Problem::new(Code::Conflict).because("changed beside every try"))
    }

    /// Stores a failure. The one that locks tells the person, once a day; of an identifier that is nobody's it tells nobody, by
    /// the same writes, so that neither cost nor time says which it was.
    async fn commit_failure(
        &self,
        failure: Transaction,
        read: &AttemptsRead,
        person: Option<&PersonId>,
        digest: &IdentifierDigest,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let Some(until) = read.attempts.locked_by_failure(now, &self.lockout) else {
            return failure.commit(self.sign_in.client()).await;
        };
        let nobody = PersonId::from_stored(digest.as_str());
        let person = person.unwrap_or(&nobody);
        let day = now.as_second().div_euclid(24 * 60 * 60);
        let id = format!("locked-{person}-{day}");
        let notice = self.outbox.queue_notice(person, &Notice::Locked { until }, &id, now)?;
        let told = failure.clone().with(Guard::Notice, notice);
        match told.commit(self.sign_in.client()).await {
            Err(CommitError::Refused(refused))
                if refused.iter().all(|refused| refused.guard == Guard::Notice) =>
            {
                failure.commit(self.sign_in.client()).await
            }
            written => written,
        }
    }

    async fn read(&self, attempt: &Attempt, rate: &Rate) -> Result<Read, Problem> {
        use shared::identifier::Identifier;
        let person_id = match &attempt.identifier {
            Identifier::NationalId(id) => Some(self.pseudonyms.person(id)),
            Identifier::Account(account) => self.accounts.owner(account).await?,
            Identifier::Nobodys => None,
        };
        let digest = self.pseudonyms.identifier(&attempt.identifier, &attempt.typed, person_id.as_ref());
        let tickets = self.sign_in.tickets();
        let keys = vec![attempts_key(&digest), rate.key().to_owned()];
        let mut read = self.accounts.person_with(person_id.as_ref(), tickets.table(), keys).await?;
        let counter = read.others.get(rate.key());
        telemetry::note_left(rate.left_after(counter));
        rate.check(counter)?;
        let attempts = Tickets::attempts_from(read.others.remove(&attempts_key(&digest)))?;
        let person_id = read.person.as_ref().map(|person| person.id.clone());
        Ok(Read { person: read.person, person_id, digest, attempts })
    }

    /// The write that proves that the person is still who they were when the password was checked; it stores a stronger
    /// hash when the stored one is of a weaker time.
    fn proof(
        &self,
        person: &InService,
        verdict: Verdict,
        password: &Password,
        rng: &mut impl CryptoRng,
    ) -> Result<store::Write, Problem> {
        let person = person.person();
        Ok(match verdict {
            Verdict::RightButWeak => self.accounts.rehash(person, &StoredHash::of(password, rng)?)?.into(),
            Verdict::Right | Verdict::Wrong => {
                self.accounts.still(&person.id, person.generation, None)?.into()
            }
        })
    }
}

//! The step.

use jiff::{SignedDuration, Timestamp};
use rand::CryptoRng;
use shared::audit::{Action, Entry, Origin, SUCCESS};
use shared::caller::{Admitted, Caller, Door, DoorSettings};
use shared::card::BoundCard;
use shared::environment::{Environment, StartError};
use shared::lockout::LockoutPolicy;
use shared::notice::Notice;
use shared::oauth::ClientId;
use shared::password::{BrokenRule, KnownBy, Password, Policy, StoredHash, Verdict};
use shared::person::{Credential, Person};
use shared::problem::{Code, Problem};
use shared::pseudonym::{CardId, IdentifierDigest, Pseudonymizer};
use shared::rate::RateLimit;
use shared::seal::DataKey;
use shared::secret::Secret;
use shared::session::{Carrier, Method, Session, SessionName, Subject};
use shared::store::audit::{Ask, AuditTrail, Selection};
use shared::store::outbox::Outbox;
use shared::store::tickets::{AttemptsRead, Tickets};
use shared::store::{self, Guard, Transaction};
use shared::unbinding::{Unbinder, Unbinding};
use shared::{aws, kms, telemetry};

use crate::handler::Change;

/// How many of the latest entries are looked through for what a person is shown of their own.
const LOOKED_AT: usize = 200;

/// How many a person is shown.
const SHOWN: usize = 50;

/// A live session as its holder sees it.
#[derive(Debug)]
pub struct OpenSession {
    /// What it is called.
    pub name: SessionName,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What it was opened with.
    pub method: Method,
    /// A browser's, or a program's.
    pub carrier: Carrier,
    /// The client that it is lent to, such as an HR portal.
    pub client: Option<ClientId>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
}

/// The step.
pub struct AccountStep {
    pub(crate) client: store::Client,
    door: Door,
    pub(crate) tickets: Tickets,
    pub(crate) audit: AuditTrail,
    unbinder: Unbinder,
    pub(crate) outbox: Outbox,
    pub(crate) email_key: DataKey,
    pub(crate) pseudonyms: Pseudonymizer,
    pub(crate) email_changes: RateLimit,
    policy: Policy,
    lockout: LockoutPolicy,
    card_fresh: SignedDuration,
}

impl AccountStep {
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
        let policy = Policy::from_settings(&mut settings);
        let lockout = LockoutPolicy::from_settings(&mut settings);
        let card_fresh = SignedDuration::from_secs(settings.parsed("CARD_FRESH_SECONDS", 300));
        let secrets_key = settings.required("SECRETS_KEY");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let email_changes = RateLimit::per_hour(settings.parsed("EMAIL_CHANGES_PER_PERSON_PER_HOUR", 5));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let door = Door::open(environment, &config, &client, door).await?;
        let kms = kms::Kms::new(environment, &config);
        let audit = AuditTrail::new(client.clone(), audit);
        let outbox = Outbox::new(client.clone(), mail);
        Ok(Self {
            unbinder: Unbinder::new(client.clone(), door.accounts().clone(), outbox.clone(), audit.clone()),
            outbox,
            email_key: kms.email_data_key(&secrets_key).await?,
            pseudonyms: kms.pseudonymizer(&pseudonym_key).await?,
            email_changes,
            door,
            tickets: Tickets::new(client.clone(), tickets),
            audit,
            client,
            policy,
            lockout,
            card_fresh,
        })
    }

    /// Who is let in.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Changes the password.
    ///
    /// # Errors
    /// `not_authorized` for an agency or a person who never activated; `request_invalid` when the current password is
    /// needed and missing; `invalid_credentials` and `account_locked` when it is wrong; `password_rejected`; `conflict`.
    pub async fn change_password(
        &self,
        admitted: Admitted,
        change: Change,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(), Problem> {
        let Admitted { caller, session, id, .. } = admitted;
        let Caller::Person(person) = caller else { return Err(Code::NotAuthorized.into()) };
        let person = person.person();
        let subject = Subject::Person(person.id.clone());
        telemetry::note_subject(&subject);
        if !person.account.is_activated() {
            return Err(Problem::new(Code::NotAuthorized).because("never activated"));
        }
        let act = Action::PasswordChange;
        let attempts = self.prove(person, &session, change.current.as_ref(), act, origin).await?;
        // The address is sealed under another start's key, and worth no call of KMS.
        let known_by = KnownBy {
            account: person.account.custom_account.as_ref(),
            email: None,
            name: Some(&person.name),
            agency: Some(&person.agency_name),
        };
        let password = self.policy.accept(change.password, &known_by).map_err(Problem::password_rejected)?;
        if password.is_one_of(person.account.hashes_not_to_repeat(self.policy.history)).await? {
            return Err(Problem::password_rejected(vec![BrokenRule::UsedBefore]));
        }
        let hash = StoredHash::of(password.password(), rng)?;
        let entry = origin.entry(act, &subject, &subject, SUCCESS).of_agency(Some(&person.agency));
        let notice = person.account.email_masked.is_some().then(|| {
            let id = Secret::random(rng);
            self.outbox.queue_notice(&person.id, &Notice::PasswordChanged, id.reveal(), origin.at)
        });
        let notice = notice.transpose()?;
        let clear =
            attempts.map(|read| self.tickets.clear_failures(&counted_for(&subject), &read)).transpose()?;
        let Session { subject, generation, proof, .. } = &session;
        Transaction::new()
            .with(Guard::Person, self.door.accounts().change_password(person, &hash, proof.seen())?)
            .with(Guard::Person, self.door.sessions().keep(subject, &id, generation.saturating_add(1))?)
            .with_some(Guard::Attempts, clear)
            .with(Guard::New, self.audit.append(entry)?)
            .with_some(Guard::New, notice)
            .commit(&self.client)
            .await?;
        Ok(())
    }

    /// A recent proof that the holder is there, for an act: the current password, or a card that has just opened the session.
    /// Answers what was read of wrong passwords, for the act's transaction to clear.
    ///
    /// # Errors
    /// `request_invalid`, `invalid_credentials` and `account_locked`, as of the acts.
    pub(crate) async fn prove(
        &self,
        person: &Person,
        session: &Session,
        current: Option<&Password>,
        act: Action,
        origin: &Origin,
    ) -> Result<Option<AttemptsRead>, Problem> {
        match current {
            Some(current) => {
                self.check_current(person, current, &session.subject, act, origin).await.map(Some)
            }
            None if session.is_fresh_card(origin.at, self.card_fresh) => Ok(None),
            None => Err(Problem::field("current_password").because("no fresh card")),
        }
    }

    async fn check_current(
        &self,
        person: &Person,
        current: &Password,
        subject: &Subject,
        act: Action,
        origin: &Origin,
    ) -> Result<AttemptsRead, Problem> {
        let counted_for = counted_for(subject);
        let read = self.tickets.attempts(&counted_for).await?;
        read.attempts.check(origin.at)?;
        let hash = match &person.account.credential {
            Credential::Password { hash } => hash.clone(),
            Credential::Initial { .. } | Credential::None => StoredHash::decoy(),
        };
        if hash.verify_aside(current).await? != Verdict::Wrong {
            return Ok(read);
        }
        let entry = origin
            .entry(act, subject, subject, Code::InvalidCredentials.name())
            .of_agency(Some(&person.agency));
        Transaction::new()
            .with(Guard::Attempts, self.tickets.note_failure(&counted_for, &read, origin.at, &self.lockout)?)
            .with(Guard::New, self.audit.append(entry)?)
            .commit(&self.client)
            .await?;
        Err(Problem::new(Code::InvalidCredentials).on("current_password"))
    }

    /// The cards that are bound to the person.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `unavailable`.
    pub async fn cards(&self, admitted: &Admitted) -> Result<Vec<BoundCard>, Problem> {
        let Caller::Person(person) = &admitted.caller else { return Err(Code::NotAuthorized.into()) };
        telemetry::note_subject(&admitted.session.subject);
        Ok(self.door.accounts().cards_of(person.person()).await?)
    }

    /// Unbinds a card of the person's own. The other sessions end, this one goes on.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `password_sign_in_required` in a session by card, unless the other card was bound later;
    /// `card_not_found`; `conflict`; `unavailable`.
    pub async fn unbind_card(
        &self,
        admitted: Admitted,
        card: &str,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(), Problem> {
        let Admitted { caller, session, id, .. } = admitted;
        let Caller::Person(person) = caller else { return Err(Code::NotAuthorized.into()) };
        let subject = &session.subject;
        telemetry::note_subject(subject);
        let card = CardId::parse(card);
        if session.proof.method() != Method::Password
            && !self.is_bound_later(person.person(), &session, card.as_ref()).await?
        {
            return Err(Code::PasswordSignInRequired.into());
        }
        let card = card.ok_or(Code::CardNotFound)?;
        let kept = self.door.sessions().keep(subject, &id, session.generation.saturating_add(1))?;
        let beside = Transaction::new().with(Guard::Person, kept);
        let unbinding = Unbinding { person: person.person(), card: &card, by: subject, reason: None, origin };
        self.unbinder.unbind(unbinding, &beside, rng).await?
    }

    /// Whether a card was bound later than the one that opened the session.
    async fn is_bound_later(
        &self,
        person: &Person,
        session: &Session,
        card: Option<&CardId>,
    ) -> Result<bool, Problem> {
        let bindings = self.door.accounts().bindings_of(person).await?;
        let own = session.proof.seen().and_then(|seen| {
            bindings.iter().find(|binding| binding.certificates.contains(&seen.certificate))
        });
        let other = card.and_then(|card| bindings.iter().find(|binding| binding.bound.card.id == *card));
        Ok(own.zip(other).is_some_and(|(own, other)| own.bound.may_unbind(&other.bound)))
    }

    /// The person's live sessions, the one used last first.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `unavailable`.
    pub async fn sessions(&self, admitted: &Admitted, now: Timestamp) -> Result<Vec<OpenSession>, Problem> {
        let Caller::Person(person) = &admitted.caller else { return Err(Code::NotAuthorized.into()) };
        let subject = &admitted.session.subject;
        telemetry::note_subject(subject);
        let person = person.person();
        let live = |session: &Session| {
            let ended = &person.account.ended_certificates;
            session.check(person.generation, ended, now, self.door.policy()).is_ok()
        };
        let current = SessionName::of(&admitted.id);
        let found = self.door.sessions().of(subject).await?;
        let mut open: Vec<OpenSession> = found
            .into_iter()
            .filter(|(_, session)| live(session))
            .map(|(name, session)| OpenSession {
                current: name == current,
                name,
                method: session.proof.method(),
                carrier: session.carrier,
                client: session.delegation.map(|delegation| delegation.client),
                created_at: session.created_at,
                last_used_at: session.last_used_at,
            })
            .collect();
        open.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
        Ok(open)
    }

    /// Ends a session of the person's own, and says whether it was the one that asks. One that is not there has ended, and
    /// that is well.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `unavailable`.
    pub async fn end_session(
        &self,
        admitted: &Admitted,
        name: &str,
        origin: &Origin,
    ) -> Result<bool, Problem> {
        let Caller::Person(person) = &admitted.caller else { return Err(Code::NotAuthorized.into()) };
        let subject = &admitted.session.subject;
        telemetry::note_subject(subject);
        let Some(name) = SessionName::parse(name) else { return Ok(false) };
        if self.door.sessions().end_named(subject, &name).await? {
            let entry = origin.entry(Action::SignOut, subject, subject, SUCCESS);
            self.audit.note(entry.of_agency(Some(&person.person().agency))).await?;
        }
        Ok(name == SessionName::of(&admitted.id))
    }

    /// Ends every other session of the person's own, those among them that clients were lent, after a recent proof: whoever
    /// came by an open session cannot throw its holder out with it.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `request_invalid` when the current password is needed and missing;
    /// `invalid_credentials` and `account_locked` when it is wrong; `conflict`; `unavailable`.
    pub async fn end_other_sessions(
        &self,
        admitted: &Admitted,
        current: Option<&Password>,
        origin: &Origin,
    ) -> Result<(), Problem> {
        let Admitted { caller, session, id, .. } = admitted;
        let Caller::Person(person) = caller else { return Err(Code::NotAuthorized.into()) };
        let person = person.person();
        let subject = &session.subject;
        telemetry::note_subject(subject);
        let attempts = self.prove(person, session, current, Action::SignOut, origin).await?;
        let clear =
            attempts.map(|read| self.tickets.clear_failures(&counted_for(subject), &read)).transpose()?;
        let entry = origin.entry(Action::SignOut, subject, subject, SUCCESS).of_agency(Some(&person.agency));
        Transaction::new()
            .with(Guard::Person, self.door.accounts().end_sessions(person, session.proof.seen())?)
            .with(
                Guard::Person,
                self.door.sessions().keep(subject, id, session.generation.saturating_add(1))?,
            )
            .with_some(Guard::Attempts, clear)
            .with(Guard::New, self.audit.append(entry)?)
            .commit(&self.client)
            .await?;
        Ok(())
    }

    /// What happened lately to the person's account, the newest first: sign-ins and their refusals, and what changed who may
    /// sign in.
    ///
    /// # Errors
    /// `not_authorized` for an agency; `unavailable`.
    pub async fn activity(&self, admitted: &Admitted, now: Timestamp) -> Result<Vec<Entry>, Problem> {
        let Caller::Person(_) = &admitted.caller else { return Err(Code::NotAuthorized.into()) };
        let subject = &admitted.session.subject;
        telemetry::note_subject(subject);
        let ask = Ask {
            selection: &Selection::Subject(subject.to_string()),
            agency: None,
            action: None,
            from: Timestamp::UNIX_EPOCH,
            // What is written in this very second is among it.
            to: now.checked_add(SignedDuration::from_secs(1)).unwrap_or(now),
            before: None,
            limit: LOOKED_AT,
        };
        let (latest, _) = self.audit.page(&ask).await?;
        let entries = latest.into_iter().map(|found| found.entry);
        Ok(entries.filter(|entry| concerns_sign_in(entry.action)).take(SHOWN).collect())
    }
}

/// What guesses at the current password are counted for: the person, whatever identifier they signed in with.
pub(crate) fn counted_for(subject: &Subject) -> IdentifierDigest {
    IdentifierDigest::from_stored(&subject.to_string())
}

/// Whether an entry of this kind tells a person who signed in as them, or what changed who may.
fn concerns_sign_in(action: Action) -> bool {
    matches!(
        action,
        Action::CertificateSignIn
            | Action::PasswordSignIn
            | Action::SignOut
            | Action::Activation
            | Action::PasswordReset
            | Action::PasswordChange
            | Action::EmailChangeRequest
            | Action::EmailChange
            | Action::CardBinding
            | Action::CardRenewal
            | Action::CardUnbinding
            | Action::CertificateRevocation
    )
}

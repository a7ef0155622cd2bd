//! Brings the revocations table to the issuers' lists, on a schedule, and ends what newly revoked cards have opened.
//!
//! For each issuer of `issuers.toml` and each of its sources: ask whether there is a newer list ([`source`]); read it, which
//! verifies it ([`shared::revocation`]); never go back to an older one; write what differs and then the marker that makes it
//! believed ([`list`]); and tell whom it concerns ([`ending`]). The table's file, [`shared::store::revocations`], says in
//! which order, and why a run may end anywhere.
//!
//! One issuer's failure stops no other. The answer has a row for each issuer and source; the invocation fails, so that an
//! alarm sees it, when an issuer is left without any fresh list.
//!
//! # What does not live here
//! Reading a list and telling what changed in it is pure, and in [`shared::revocation`]; so is the decision that a sign-in
//! makes of it.

pub mod ending;
pub mod handler;
pub mod list;
pub mod source;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use shared::certificate::Truststore;
use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use shared::store::accounts::Accounts;
use shared::store::audit::AuditTrail;
use shared::store::outbox::Outbox;
use shared::store::revocations::Revocations;
use shared::{aws, store};

use source::Sources;

/// Before the function's time is over, so long is left for what is under way.
const RESERVE: Duration = Duration::from_secs(20);

/// The step.
pub struct RevocationSync {
    truststore: Truststore,
    sources: Sources,
    revocations: Revocations,
    accounts: Accounts,
    audit: AuditTrail,
    outbox: Outbox,
    client: store::Client,
    clock: Clock,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = Arc::new(RevocationSync::start(environment).await?);
    Ok(Function::new(move |event| handler::handle(Arc::clone(&step), event)))
}

impl RevocationSync {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let truststore = settings.required("TRUSTSTORE_DIR");
        let revocations = settings.required("REVOCATIONS_TABLE");
        let accounts = settings.required("ACCOUNTS_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let mail = settings.required("MAIL_TABLE");
        let mebibytes: u64 = settings.parsed("REVOCATION_LIST_MEBIBYTES", 128);
        let fetch = Duration::from_secs(settings.parsed("REVOCATION_FETCH_SECONDS", 120));
        settings.finish()?;
        let folder = Path::new(&truststore);
        let sources = Sources::new(environment, folder, mebibytes.saturating_mul(1 << 20), fetch)?;
        let truststore = Truststore::load(folder)?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &revocations, true).await?;
        Ok(Self {
            truststore,
            sources,
            revocations: Revocations::new(client.clone(), revocations),
            accounts: Accounts::new(client.clone(), accounts),
            audit: AuditTrail::new(client.clone(), audit),
            outbox: Outbox::new(client.clone(), mail),
            client,
            clock: environment.clock().clone(),
        })
    }
}

/// One invocation: what it was asked, and how long it may take.
#[derive(Debug)]
pub struct Run {
    /// The invocation's id.
    pub request_id: String,
    /// Reads every bucket anew and believes nothing that is known of them: after a restore of the table, for example.
    pub reread: bool,
    /// When the event says that it is.
    event: Option<Timestamp>,
    began: Instant,
    /// From when on nothing new is begun.
    end: Option<Instant>,
    clock: Clock,
}

impl Run {
    /// The time now: the event's, as it goes on. The clock's, where that is later: an event may have waited to be delivered.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::MAX);
        let event = self.event.and_then(|event| event.checked_add(passed).ok());
        event.map_or_else(|| self.clock.now(), |event| event.max(self.clock.now()))
    }

    /// Whether nothing new may be begun any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Does it, unless there is not time enough.
    pub(crate) async fn in_time<F: Future>(&self, work: F) -> Option<F::Output> {
        match self.end {
            Some(end) => tokio::time::timeout_at(end.into(), work).await.ok(),
            None => Some(work.await),
        }
    }
}

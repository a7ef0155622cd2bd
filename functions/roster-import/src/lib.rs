//! Brings the personnel directory to the roster files that come in.
//!
//! The bucket is the inbox: what is put under `changes/`, `agencies/<code>/` or `country/` is taken in the order in which it
//! was put, oldest first ([`inbox`]). Each file is read twice: once to compare it with the directory and to look whether it
//! would do harm, once to write what differs ([`import`]); a file that changes nothing is not even leased in the table, and
//! writes nothing but its report ([`report`]). Then the file is deleted, for it holds national IDs and names.
//!
//! Every run begins with what is in the inbox, whatever started it: an event tells that there is something, a schedule looks
//! whether something was left. One run works at a time, by a lease that is an object of the bucket; a run that ends anywhere
//! leaves its file, and the next one goes on with what still differs.
//!
//! # What does not live here
//! Reading a row, the plan and its guard are rules, in [`shared::roster`]. What the end of somebody's service does to sessions,
//! initial passwords and authorizations is one write, in [`shared::store::accounts`].

pub mod handler;
pub mod import;
pub mod inbox;
pub mod report;
pub mod source;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::kms::Kms;
use shared::lambda::Function;
use shared::pseudonym::Pseudonymizer;
use shared::roster::file::Limits;
use shared::roster::plan::Guard;
use shared::s3::Bucket;
use shared::store::accounts::Accounts;
use shared::store::audit::AuditTrail;
use shared::store::authorizations::Authorizations;
use shared::store::personnel::Personnel;
use shared::{aws, store};

/// The directory, and what is written with it.
#[derive(Clone)]
pub struct Directory {
    personnel: Personnel,
    accounts: Accounts,
    authorizations: Authorizations,
    audit: AuditTrail,
    pseudonyms: Pseudonymizer,
    limits: Limits,
}

/// The step.
pub struct RosterImport {
    directory: Directory,
    inbox: Bucket,
    guard: Guard,
    clock: Clock,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = Arc::new(RosterImport::start(environment).await?);
    Ok(Function::new(move |event| handler::handle(Arc::clone(&step), event)))
}

impl Directory {
    /// Starts what a roster is brought into.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let accounts = settings.required("ACCOUNTS_TABLE");
        let authorizations = settings.required("AUTHORIZATIONS_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let limits = Limits {
            bytes: settings.parsed("ROSTER_MEBIBYTES", 1024_u64).saturating_mul(1 << 20),
            ..Limits::default()
        };
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::patient_client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let pseudonyms = Kms::new(environment, &config).pseudonymizer(&pseudonym_key).await?;
        Ok(Self {
            personnel: Personnel::new(client.clone(), accounts.clone()),
            accounts: Accounts::new(client.clone(), accounts),
            authorizations: Authorizations::new(client.clone(), authorizations),
            audit: AuditTrail::new(client, audit),
            pseudonyms,
            limits,
        })
    }
}

impl RosterImport {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let inbox = settings.required("ROSTER_BUCKET");
        let percent = settings.parsed("ROSTER_LEAVING_PERCENT", 20_u64);
        let always = settings.parsed("ROSTER_LEAVING_ALWAYS", 5_u64);
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        Ok(Self {
            directory: Directory::start(environment).await?,
            inbox: Bucket::new(environment, &config, inbox),
            guard: Guard { percent, always, confirmed: 0 },
            clock: environment.clock().clone(),
        })
    }
}

/// One invocation.
#[derive(Debug)]
pub struct Run {
    /// The invocation's id.
    pub request_id: String,
    /// From when on nothing new is begun.
    pub end: Option<Instant>,
    /// The clock.
    pub clock: Clock,
}

impl Run {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether nothing new may be begun any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

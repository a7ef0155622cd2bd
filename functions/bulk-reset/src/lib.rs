//! Makes the resets of confirmed bulk resets.
//!
//! Two kinds of events start it ([`handler`]). The **stream** of the table hands over a job that was confirmed, and one whose
//! worker ran out of time: the quick way. A **schedule** looks for jobs whose stream record was lost, and for those whose
//! worker never came back: the way on which none is left lying.
//!
//! A job is leased, so that of two workers one has it, and worked off row by row, in the file's order ([`run`]). Each row is
//! one transaction: its reset ([`shared::reset`]), how it ended, the job moved on behind it. A worker may be killed
//! anywhere: what was written is done, what was not is begun anew by the next, and nobody is reset twice.
//!
//! Who confirmed the job is read again for every few rows, and each transaction is written on the condition that they may
//! still do what was decided: when they may not, the rest is refused and the job stops. Previews, confirmation and what HR
//! sees of a job are `hr-reset`'s.

pub mod handler;
mod rows;
mod run;

use std::sync::Arc;

use jiff::SignedDuration;
use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::kms::Kms;
use shared::lambda::Function;
use shared::rate::RateLimit;
use shared::reset::Resetter;
use shared::store::accounts::Accounts;
use shared::store::audit::AuditTrail;
use shared::store::bulk::Bulks;
use shared::store::outbox::Outbox;
use shared::store::tickets::Tickets;
use shared::{aws, store};

/// The step.
pub struct BulkReset {
    client: store::Client,
    bulks: Bulks,
    accounts: Accounts,
    tickets: Tickets,
    outbox: Outbox,
    audit: AuditTrail,
    kms: Kms,
    secrets_key: String,
    resetter: Resetter,
    resets_of_person: RateLimit,
    /// Rows whose initial passwords are drawn side by side.
    side_by_side: usize,
    clock: Clock,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = Arc::new(BulkReset::start(environment).await?);
    Ok(Function::new(move |event| handler::handle(Arc::clone(&step), event)))
}

impl BulkReset {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let bulk = settings.required("BULK_TABLE");
        let accounts = settings.required("ACCOUNTS_TABLE");
        let tickets = settings.required("TICKETS_TABLE");
        let mail = settings.required("MAIL_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let secrets_key = settings.required("SECRETS_KEY");
        let resets_of_person = RateLimit::per_hour(settings.parsed("RESETS_PER_PERSON_PER_HOUR", 5));
        let initial_password_life = SignedDuration::from_hours(settings.parsed("INITIAL_PASSWORD_HOURS", 72));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &bulk, true).await?;
        let kms = Kms::new(environment, &config);
        let accounts = Accounts::new(client.clone(), accounts);
        let tickets = Tickets::new(client.clone(), tickets);
        let outbox = Outbox::new(client.clone(), mail);
        let audit = AuditTrail::new(client.clone(), audit);
        let resetter = Resetter::new(
            (accounts.clone(), tickets.clone(), outbox.clone(), audit.clone()),
            kms.clone(),
            secrets_key.clone(),
            initial_password_life,
        );
        // A hash takes a processor for as long as all calls of a row together; one more than there are processors keeps
        // each of them at work while a row is written.
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            bulks: Bulks::new(client.clone(), bulk),
            accounts,
            tickets,
            outbox,
            audit,
            kms,
            secrets_key,
            resetter,
            resets_of_person,
            side_by_side: processors + 1,
            clock: environment.clock().clone(),
            client,
        })
    }
}

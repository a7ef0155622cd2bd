//! Sends the outbox.
//!
//! Two kinds of events start it ([`handler`]). The **stream** of the mail table hands over new mails, and those that somebody
//! asks for again: the quick way. A **schedule** starts the [`sweep`], which looks for all that is due: what was put back,
//! what lost its dispatcher or its stream record, and what was more than SES takes at once: the way on which nothing is lost.
//!
//! Each mail is leased (so that of two dispatchers one sends), composed in memory, sent, and noted as sent ([`dispatch`]).
//! What fails and may pass is put back with a backoff; what fails again and again for a reason of its own becomes a dead
//! letter. A crash at any point loses nothing: a lease runs out. A duplicate is possible only between SES's acceptance and
//! the note of it, and names the same mail in its headers.
//!
//! All dispatchers share one pace, which is what SES allows ([`pace`]). A letter's initial password and a mailed code are
//! decrypted here and nowhere else; `main.rs` has every buffer zeroed that is freed.

mod batch;
mod dispatch;
pub mod handler;
mod message;
mod pace;
mod sweep;

use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::kms::Kms;
use shared::lambda::Function;
use shared::mail::Surroundings;
use shared::ses::Mailer;
use shared::sqs::DeadLetters;
use shared::store::accounts::Accounts;
use shared::store::outbox::Outbox;
use shared::store::tickets::Tickets;
use shared::{aws, store};

use crate::pace::Quotas;

/// The step.
pub struct EmailDispatch {
    outbox: Outbox,
    accounts: Accounts,
    tickets: Tickets,
    kms: Kms,
    secrets_key: String,
    mailer: Mailer,
    quotas: Quotas,
    dead_letters: DeadLetters,
    around: Surroundings,
    stage: String,
    clock: Clock,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = std::sync::Arc::new(EmailDispatch::start(environment).await?);
    Ok(Function::new(move |event| handler::handle(std::sync::Arc::clone(&step), event)))
}

impl EmailDispatch {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let mail = settings.required("MAIL_TABLE");
        let accounts = settings.required("ACCOUNTS_TABLE");
        let tickets = settings.required("TICKETS_TABLE");
        let secrets_key = settings.required("SECRETS_KEY");
        let queue_url = settings.required("DEAD_LETTER_QUEUE_URL");
        let from = settings.required("MAIL_FROM");
        let name = settings.optional("MAIL_FROM_NAME");
        let stage = settings.required("STAGE");
        let around = Surroundings {
            portal_origin: settings.required("PORTAL_ORIGIN"),
            helpdesk_contact: settings.optional("HELPDESK_CONTACT"),
        };
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let mailer = Mailer::new(environment, &config, &from, name)
            .map_err(|problem| StartError::Configuration(vec![problem]))?;
        let client = store::client(environment, &config);
        store::connect(&client, &mail, false).await?;
        Ok(Self {
            outbox: Outbox::new(client.clone(), mail),
            accounts: Accounts::new(client.clone(), accounts),
            tickets: Tickets::new(client, tickets),
            kms: Kms::new(environment, &config),
            secrets_key,
            mailer,
            quotas: Quotas::default(),
            dead_letters: DeadLetters::new(environment, &config, queue_url),
            around,
            stage,
            clock: environment.clock().clone(),
        })
    }
}

//! Sends the outbox: started by the stream of the mail table, one record for each reset and each notice.
//!
//! Each mail is leased (so that of two dispatchers one sends), composed in memory, sent, and noted as sent, when a
//! ciphertext goes. What fails and may pass is reported back, and the stream delivers it again, with backoff, and in the end
//! to the dead-letter queue. A crash at any point loses nothing: a lease runs out, and the stream delivers again. A duplicate
//! is possible only between SES's acceptance and the note of it, and has the same `Message-ID`.
//!
//! All that a reset's mail needs is in its ciphertext. A notice names a person, of whose account this function reads where
//! they are reached, and nothing else. [`handler`] is the edge, `message` what is sent.

pub mod handler;
mod message;

use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::kms::Kms;
use shared::lambda::Function;
use shared::mail::Surroundings;
use shared::ses::Mailer;
use shared::store::accounts::Accounts;
use shared::store::outbox::Outbox;
use shared::{aws, store};

/// The step.
pub struct EmailDispatch {
    outbox: Outbox,
    accounts: Accounts,
    kms: Kms,
    secrets_key: String,
    mailer: Mailer,
    around: Surroundings,
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
        let secrets_key = settings.required("SECRETS_KEY");
        let from = settings.required("MAIL_FROM");
        let name = settings.optional("MAIL_FROM_NAME");
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
            accounts: Accounts::new(client, accounts),
            kms: Kms::new(environment, &config),
            secrets_key,
            mailer,
            around,
            clock: environment.clock().clone(),
        })
    }
}

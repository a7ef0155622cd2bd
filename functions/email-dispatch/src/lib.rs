//! Sends the outbox: started by the stream of the mail table, one record for each reset.
//!
//! Each mail is leased (so that of two dispatchers one sends), decrypted in memory, sent, and noted as sent, when its
//! ciphertext goes. What fails and may pass is reported back, and the stream delivers it again, with backoff, and in the end
//! to the dead-letter queue. A crash at any point loses nothing: a lease runs out, and the stream delivers again. A duplicate
//! is possible only between SES's acceptance and the note of it, and has the same `Message-ID`.
//!
//! This function can read no account: all that it knows of a person is in the mail's ciphertext.

pub mod handler;

use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::kms::Kms;
use shared::lambda::Function;
use shared::mail::Surroundings;
use shared::ses::Mailer;
use shared::store::outbox::Outbox;
use shared::{aws, store};

/// The step.
pub struct EmailDispatch {
    outbox: Outbox,
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
            outbox: Outbox::new(client, mail),
            kms: Kms::new(environment, &config),
            secrets_key,
            mailer,
            around,
            clock: environment.clock().clone(),
        })
    }
}

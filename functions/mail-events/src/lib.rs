//! Notes what SES says became of a mail, after it accepted it: started by EventBridge with each of SES's events.

pub mod handler;

use std::sync::Arc;

use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use shared::store::accounts::Accounts;
use shared::store::audit::AuditTrail;
use shared::store::outbox::Outbox;
use shared::{aws, store};

/// The step.
pub struct MailEvents {
    outbox: Outbox,
    accounts: Accounts,
    audit: AuditTrail,
    client: store::Client,
    clock: Clock,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = Arc::new(MailEvents::start(environment).await?);
    Ok(Function::new(move |event| handler::handle(Arc::clone(&step), event)))
}

impl MailEvents {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let mail = settings.required("MAIL_TABLE");
        let accounts = settings.required("ACCOUNTS_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &mail, false).await?;
        Ok(Self {
            outbox: Outbox::new(client.clone(), mail),
            accounts: Accounts::new(client.clone(), accounts),
            audit: AuditTrail::new(client.clone(), audit),
            client,
            clock: environment.clock().clone(),
        })
    }
}

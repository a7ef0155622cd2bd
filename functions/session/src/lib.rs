//! Sessions: `GET /v1/session` (who am I), `DELETE /v1/session` (sign out), `POST /v1/session/token` (a fresh token for a
//! program's session), and `GET /.well-known/jwks.json` (the keys that verify tokens).

pub mod handler;

use jiff::SignedDuration;
use shared::caller::{Door, DoorSettings};
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use shared::sign_in::Tokens;
use shared::store::audit::AuditTrail;
use shared::{aws, kms, store};

/// The step.
pub struct SessionStep {
    door: Door,
    tokens: Tokens,
    audit: AuditTrail,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = SessionStep::start(environment).await?;
    Ok(shared::http::function("session", step, handler::handle))
}

impl SessionStep {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let door = DoorSettings::read(&mut settings);
        let token_key = settings.required("TOKEN_KEY");
        let audit = settings.required("AUDIT_TABLE");
        let accounts = settings.required("ACCOUNTS_TABLE");
        let life = SignedDuration::from_secs(settings.parsed("TOKEN_SECONDS", 900));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let door = Door::open(environment, &config, &client, door).await?;
        let kms = kms::Kms::new(environment, &config);
        let kid = door.keys().first().map(|key| key.kid.clone()).unwrap_or_default();
        let tokens = Tokens::new(kms, token_key, kid, door.portal_origin().to_owned(), life);
        Ok(Self { door, tokens, audit: AuditTrail::new(client, audit) })
    }
}

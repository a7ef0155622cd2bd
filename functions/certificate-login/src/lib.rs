//! Sign-in with a smart card (貳、1), in three calls:
//!
//! 1. `GET /v1/login/certificate` on the card host: the certificate is checked, and the browser goes back to the portal
//!    host with a one-time code ([`card`]);
//! 2. `POST /v1/login/certificate`: the page exchanges the code, with the verifier that only it knows ([`exchange`]);
//! 3. `POST /v1/login/certificate/identity`, the first time only: whose card is it? ([`bind`]). A card that does not carry the
//!    digits of the national ID opens an activated account together with its password only.
//!
//! Where `issuers.toml` names an issuer's OCSP responder, that is asked too ([`ocsp`]).
//!
//! A bound card costs two reads side by side and a write on the card host, and two writes at the exchange: the person is not
//! read at all, the transaction's condition decides on them.

pub mod bind;
pub mod card;
pub mod exchange;
pub mod handler;
pub mod ocsp;

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use shared::audit::Origin;
use shared::certificate::Truststore;
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use shared::lockout::LockoutPolicy;
use shared::pseudonym::Pseudonymizer;
use shared::rate::RateLimit;
use shared::sign_in::{SignIn, SignInSettings};
use shared::store;
use shared::store::accounts::Accounts;
use shared::store::outbox::Outbox;
use shared::store::revocations::Revocations;
use shared::store::tickets::Rate;
use shared::{aws, kms};

use crate::ocsp::Responders;

/// The step.
pub struct CertificateLogin {
    accounts: Accounts,
    revocations: Revocations,
    outbox: Outbox,
    sign_in: SignIn,
    pseudonyms: Pseudonymizer,
    truststore: Truststore,
    responders: Option<Responders>,
    revocation_grace: SignedDuration,
    code_life: SignedDuration,
    sign_ins: RateLimit,
    identities: RateLimit,
    lockout: LockoutPolicy,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = CertificateLogin::start(environment).await?;
    Ok(shared::http::function("certificate-login", step, handler::handle))
}

impl CertificateLogin {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let sign_in = SignInSettings::read(&mut settings);
        let accounts = settings.required("ACCOUNTS_TABLE");
        let revocations = settings.required("REVOCATIONS_TABLE");
        let mail = settings.required("MAIL_TABLE");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let truststore = settings.required("TRUSTSTORE_DIR");
        let grace = SignedDuration::from_secs(settings.parsed("REVOCATION_GRACE_SECONDS", 0));
        let ocsp_timeout = Duration::from_millis(settings.parsed("OCSP_TIMEOUT_MILLISECONDS", 2_000));
        let code_life = SignedDuration::from_secs(settings.parsed("CODE_SECONDS", 60));
        let sign_ins = RateLimit::per_minute(settings.parsed("SIGN_INS_PER_ADDRESS_PER_MINUTE", 600));
        let identities = RateLimit::per_hour(settings.parsed("IDENTITIES_PER_CARD_PER_HOUR", 20));
        let lockout = LockoutPolicy::from_settings(&mut settings);
        settings.finish()?;
        let truststore = Truststore::load(Path::new(&truststore))?;
        let responders = Responders::of(&truststore, environment, ocsp_timeout)?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        Ok(Self {
            pseudonyms: kms::Kms::new(environment, &config).pseudonymizer(&pseudonym_key).await?,
            sign_in: SignIn::start(environment, &config, &client, sign_in).await?,
            accounts: Accounts::new(client.clone(), accounts),
            outbox: Outbox::new(client.clone(), mail),
            revocations: Revocations::new(client, revocations),
            truststore,
            responders,
            revocation_grace: grace,
            code_life,
            sign_ins,
            identities,
            lockout,
        })
    }

    /// The count of sign-ins from the request's address.
    fn rate(&self, origin: &Origin) -> Rate {
        Rate::sign_ins(&self.pseudonyms.address(&origin.address), self.sign_ins, origin.at)
    }

    /// The portal host's origin.
    pub fn portal_origin(&self) -> &str {
        self.sign_in.portal_origin()
    }
}

//! OpenID Connect for registered clients, such as an HR portal on another origin: the authorization code flow with PKCE, so
//! that any library signs people in and calls our endpoints for them.
//!
//! 1. The client sends the browser to `GET /authorize` (or `POST`). The cookie does not come along: it is `SameSite=Strict`.
//!    So this only looks at the request ([`request`]) and hands it to the page `/continue`, in the fragment, which no
//!    server's log sees. Nothing is stored: whoever calls here without signing in leaves no trace in a table.
//! 2. The page, now of our own origin, asks `POST /v1/authorization` with the cookie, and the same request is looked at
//!    again ([`authorize`]). Whoever is not signed in, not recently enough or not by card is led through the sign-in, and
//!    comes back to the page. In the end the browser is sent to the client with a code.
//! 3. The client exchanges the code at `POST /token` ([`exchange`]), once, within 60 seconds, for an ID token and an access
//!    token (RFC 9068). The access token has a session of its own, lent from the browser's: signing out, a reset, a
//!    departure or a revoked card end it at once, and our endpoints look.
//! 4. `GET /userinfo` tells who it is ([`user`]), and every route in [`shared::oauth::ROUTES`] takes the token.
//! 5. The client gives the token back at `POST /revoke` ([`revoke`]), which ends the session that was lent to it and no more;
//!    or it sends the browser to `GET /logout` (or `POST`), to have the person signed out of all ([`logout`]).
//!
//! Clients stand in a file that operators review ([`client`]); there is no registration by protocol. What the client says to
//! have asked for is decided here alone: the page is told, and trusted with nothing.

pub mod authentication;
pub mod authorize;
pub mod client;
pub mod discovery;
pub mod exchange;
pub mod handler;
pub mod logout;
pub mod parameters;
pub mod request;
pub mod revoke;
pub mod user;

use std::path::Path;

use jiff::SignedDuration;
use shared::caller::{Door, DoorSettings};
use shared::environment::{Environment, StartError};
use shared::lambda::Function;
use shared::session::Subject;
use shared::sign_in::Tokens;
use shared::store::audit::AuditTrail;
use shared::store::tickets::Tickets;
use shared::store::{Client as Database, StoreError};
use shared::{aws, kms, store};

use crate::client::Clients;

/// How long a client has to exchange a code.
pub const CODE_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// The step.
pub struct Oidc {
    door: Door,
    clients: Clients,
    tokens: Tokens,
    tickets: Tickets,
    audit: AuditTrail,
    database: Database,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = Oidc::start(environment).await?;
    Ok(shared::http::function("oidc", step, handler::handle))
}

impl Oidc {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`]: also when the clients' file is not as it should be, with everything that is wrong in it.
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let door = DoorSettings::read(&mut settings);
        let token_key = settings.required("TOKEN_KEY");
        let tickets = settings.required("TICKETS_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let accounts = settings.required("ACCOUNTS_TABLE");
        let clients = settings.required("CLIENTS_DIR");
        let life = SignedDuration::from_secs(settings.parsed("TOKEN_SECONDS", 900));
        settings.finish()?;
        let clients = Clients::load(Path::new(&clients)).map_err(StartError::Configuration)?;
        let config = aws::sdk_config(environment).await;
        let database = store::client(environment, &config);
        store::connect(&database, &accounts, false).await?;
        let door = Door::open(environment, &config, &database, door).await?;
        let kid = door.keys().first().map(|key| key.kid.clone()).unwrap_or_default();
        let kms = kms::Kms::new(environment, &config);
        let tokens = Tokens::new(kms, token_key, kid, door.portal_origin().to_owned(), life);
        Ok(Self {
            door,
            clients,
            tokens,
            tickets: Tickets::new(database.clone(), tickets),
            audit: AuditTrail::new(database.clone(), audit),
            database,
        })
    }

    /// The issuer: the portal host's origin.
    fn issuer(&self) -> &str {
        self.door.portal_origin()
    }

    /// The agency that somebody is of now, if they are known: for the audit trail, where no session tells it.
    async fn agency_of(&self, subject: &Subject) -> Result<Option<String>, StoreError> {
        let accounts = self.door.accounts();
        Ok(match subject {
            Subject::Person(person) => accounts.person(person).await?.map(|person| person.agency),
            Subject::Agency(oid) => accounts.agency(oid).await?.map(|known| known.agency.code),
        })
    }
}

//! `POST /revoke`: a client gives a token back (RFC 7009). The session that was lent to it ends; the browser's goes on.

use shared::audit::{Action, SUCCESS};
use shared::http::Call;
use shared::secret::Secret;
use shared::session::Subject;
use shared::telemetry;

use crate::Oidc;
use crate::exchange::{Failure, TokenError, service};
use crate::parameters::Parameters;

impl Oidc {
    /// Ends what a client's access token opens. What is no token of ours, or of a key that is gone, opens nothing, which is what
    /// was wanted (section 2.2); so is one that was given back before, or whose time is over.
    ///
    /// # Errors
    /// [`Failure`]: the client did not prove itself, or the token is another one's.
    pub async fn revoke(&self, call: &Call, form: &str) -> Result<(), Failure> {
        let parameters = Parameters::parse(form);
        let client = self.client(call, &parameters).await?;
        let token = parameters.get("token")?.ok_or(TokenError::InvalidRequest("token is missing"))?;
        let Ok(claims) = self.door.verifier().recognize(token) else { return Ok(()) };
        if claims.client_id.as_deref() != Some(client.id.as_str()) {
            return Err(TokenError::AnotherClients.into());
        }
        let (Some(subject), Some(id)) = (Subject::parse(&claims.sub), Secret::parse(&claims.sid)) else {
            return Ok(());
        };
        telemetry::note_actor(&subject);
        let sessions = self.door.sessions();
        if !sessions.end_by_digest(&subject, &id.digest()).await.map_err(service)? {
            return Ok(());
        }
        let agency = self.agency_of(&subject).await.map_err(service)?;
        let entry = call.origin.entry(Action::TokenRevocation, &subject, &subject, SUCCESS);
        let mut entry = entry.of_agency(agency.as_deref());
        entry.note = Some(client.id.to_string());
        self.audit.note(entry).await.map_err(service)
    }
}

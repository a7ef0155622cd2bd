//! `/userinfo`: whose token it is (OpenID Connect Core 1.0, section 5.3).

use serde_json::{Value, json};
use shared::caller::{Admitted, Caller};
use shared::http::Call;
use shared::oauth::Scope;
use shared::problem::{Code, Problem};
use shared::session::Carrier;

use crate::Oidc;

impl Oidc {
    /// The claims about the token's holder: `sub`, and with the scope `profile` what our own pages show of them.
    ///
    /// # Errors
    /// `session_required`, also for a cookie: a page of ours has `/v1/session`. `insufficient_scope`.
    pub async fn user(&self, call: &Call) -> Result<Value, Problem> {
        let presented = self.door.presented(call)?;
        if presented.carrier != Carrier::Token {
            return Err(Problem::new(Code::SessionRequired).because("a cookie is no token"));
        }
        Ok(claims(&self.door.admit(presented, &[], call.now()).await?))
    }
}

fn claims(admitted: &Admitted) -> Value {
    let Admitted { caller, session, .. } = admitted;
    let sub = session.subject.to_string();
    // A program that signed in by itself is lent nothing: it sees what it may.
    if session.delegation.as_ref().is_some_and(|lent| !lent.scopes.contain(Scope::Profile)) {
        return json!({ "sub": sub });
    }
    match caller {
        Caller::Person(person) => {
            let person = person.person();
            let mut claims = json!({
                "sub": sub,
                "subject": "person",
                "name": person.name,
                "agency": person.agency,
                "agency_name": person.agency_name,
                "roles": person.roles.iter().map(|role| role.code()).collect::<Vec<_>>(),
            });
            if let (Some(account), Some(claims)) = (&person.account.custom_account, claims.as_object_mut()) {
                claims.insert("preferred_username".to_owned(), json!(account.as_str()));
            }
            claims
        }
        Caller::Agency(agency) => json!({
            "sub": sub,
            "subject": "agency",
            "name": agency.name,
            "agency": agency.code,
            "agency_name": agency.name,
            "roles": [],
        }),
    }
}

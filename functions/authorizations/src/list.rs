//! Who may reset where, since when, by whom; and one authorization with its history.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::try_join;
use rand::CryptoRng;
use shared::authority::authorization::{Authorization, By, Side};
use shared::authority::{Act, Target, decide};
use shared::caller::Presented;
use shared::http::Call;
use shared::person::Person;
use shared::problem::{Code, Problem};
use shared::pseudonym::PersonId;
use shared::session::Subject;
use shared::store::authorizations::Filter;

use crate::step::{Authorizing, Seen, hidden, own_agency};

/// What to list.
#[derive(Debug)]
pub struct ListRequest {
    /// Of which agency; the caller's own when it is left out.
    pub agency: Option<String>,
    /// Where the agency's employees reset, or who resets in the agency.
    pub side: Side,
    /// In what state.
    pub filter: Filter,
    /// How many at most.
    pub limit: i32,
    /// From where on.
    pub cursor: Option<String>,
}

/// A page of authorizations.
#[derive(Debug)]
pub struct Page {
    /// The agency.
    pub agency: String,
    /// What is on it.
    pub authorizations: Vec<Seen>,
    /// Where the next one begins, if there may be one.
    pub next: Option<String>,
    /// The names of those who did something to them.
    pub names: HashMap<PersonId, String>,
}

/// One authorization with the names of those who did something to it.
#[derive(Debug)]
pub struct One {
    /// The authorization.
    pub seen: Seen,
    /// The names.
    pub names: HashMap<PersonId, String>,
}

impl Authorizing {
    /// Lists an agency's authorizations, the newest first.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `authorization_not_found` for another agency's, `request_invalid` for a cursor of
    /// another list or caller, `unavailable`.
    pub async fn list(
        &self,
        call: &Call,
        presented: Presented,
        request: ListRequest,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Page, Problem> {
        let now = call.now();
        let admitted = self.door().admit(presented, &[], now).await?;
        let actor = admitted.caller.actor();
        decide(actor, Act::ListAuthorizations, Target::Anybody, now)?;
        let agency = request.agency.unwrap_or_else(|| own_agency(&admitted).to_owned());
        decide(actor, Act::ListAuthorizations, Target::Agency(&agency), now).map_err(hidden)?;
        let caller = admitted.session.subject.to_string();
        let list =
            ["authorizations", caller.as_str(), agency.as_str(), request.side.name(), request.filter.name()];
        let after = request.cursor.as_deref().map(|cursor| self.cursors.open(&list, cursor)).transpose()?;
        let (found, next) = self
            .authorizations
            .list(&agency, request.side, request.filter, request.limit, after, now)
            .await?;
        let next = next.map(|place| self.cursors.seal(&list, &place, rng)).transpose()?;
        let people = self.people_of(&found).await?;
        let authorizations = found
            .into_iter()
            .map(|authorization| {
                let holder = people.get(&authorization.holder);
                self.seen(&admitted, authorization, holder, now)
            })
            .collect();
        Ok(Page { agency, authorizations, next, names: names(people) })
    }

    /// One authorization, with its history. Its holder sees it too.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `authorization_not_found`, `unavailable`.
    pub async fn one(&self, call: &Call, presented: Presented, id: &str) -> Result<One, Problem> {
        let now = call.now();
        let known = async { Ok(self.authorizations.get(id).await?) };
        let (admitted, known) = try_join(self.door().admit(presented, &[], now), known).await?;
        let actor = admitted.caller.actor();
        let Some(authorization) = known else {
            decide(actor, Act::SeeAuthorization, Target::Unknown, now).map_err(hidden)?;
            return Err(Code::AuthorizationNotFound.into());
        };
        let target = Target::Authorization(&authorization, None);
        decide(actor, Act::SeeAuthorization, target, now).map_err(hidden)?;
        let people = self.people_of(std::slice::from_ref(&authorization)).await?;
        let holder = people.get(&authorization.holder);
        let seen = self.seen(&admitted, authorization, holder, now);
        Ok(One { seen, names: names(people) })
    }

    /// The names of those who did something to an authorization.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn named(&self, seen: Seen) -> Result<One, Problem> {
        let people = self.people_of(std::slice::from_ref(&seen.authorization)).await?;
        Ok(One { seen, names: names(people) })
    }

    /// Everybody who is on a page: holders, and who did something to what they hold.
    async fn people_of(&self, found: &[Authorization]) -> Result<HashMap<PersonId, Person>, Problem> {
        let mut ids = BTreeSet::new();
        for authorization in found {
            ids.insert(&authorization.holder);
            for event in &authorization.history {
                if let By::Subject(Subject::Person(person)) = &event.by {
                    ids.insert(person);
                }
            }
        }
        let mut people = HashMap::new();
        let ids: Vec<&PersonId> = ids.into_iter().collect();
        for chunk in ids.chunks(100) {
            people.extend(self.accounts().people(chunk).await?);
        }
        Ok(people)
    }
}

fn names(people: HashMap<PersonId, Person>) -> HashMap<PersonId, String> {
    people.into_iter().map(|(id, person)| (id, person.name)).collect()
}

//! What a roster does to a person's authority. It gives and ends by difference against what it said last, and what became
//! of the person ends authorizations for good: they do not come back when the person does.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::authorization::{Authority, AuthorizationId, Consent, Held, MAX_HELD};
use super::life::Ending;
use crate::person::{Person, Role, Service};
use crate::roster::Listed;

/// What a roster's row comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The person's authority from now on.
    pub authority: Authority,
    /// What ends for good, with why. Its records have to be told.
    pub ended: Vec<(AuthorizationId, Ending)>,
    /// What the roster gives. Its records have to be made.
    pub granted: Vec<(AuthorizationId, Held)>,
}

/// What a roster's row does to the authority of a person, who is in the directory already or not.
///
/// An agency that the row names is taken up once the person is in service and has a role of HR: named before that, it is
/// given later; taken up once, it is not given again while the roster goes on naming it.
pub fn settle(known: Option<&Person>, listed: &Listed, now: Timestamp) -> Settled {
    let before = known.map(|person| person.authority.clone()).unwrap_or_default();
    let mut settled = Settled { authority: before.clone(), ..Settled::default() };
    let authority = &mut settled.authority;
    authority.roster_agencies.retain(|agency| listed.authorized_agencies.contains(agency));
    for (id, held) in &before.held {
        let ending =
            held.ended_by(listed.service, &listed.agency, &listed.roles).and_then(Ending::of).or_else(|| {
                let dropped = held.by_roster && !authority.roster_agencies.contains(&held.agency);
                dropped.then_some(Ending::Roster)
            });
        if let Some(ending) = ending {
            authority.held.remove(id);
            settled.ended.push((id.clone(), ending));
        }
    }
    let role = [Role::HrStaff, Role::HrHead].into_iter().find(|role| listed.roles.contains(role));
    if let (Service::InService, Some(role)) = (listed.service, role) {
        for agency in &listed.authorized_agencies {
            if authority.held.len() >= MAX_HELD || !authority.roster_agencies.insert(agency.clone()) {
                continue;
            }
            let counts = |held: &Held| {
                held.agency == *agency
                    && held.consent == Consent::Active
                    && held.from <= now
                    && held.over(now).is_none()
            };
            if authority.held.values().any(counts) {
                continue;
            }
            let held = Held {
                agency: agency.clone(),
                home: listed.agency.clone(),
                role,
                from: now,
                until: None,
                consent: Consent::Active,
                answer_by: None,
                by_roster: true,
            };
            let id = roster_id(listed, agency, before.version);
            authority.held.insert(id.clone(), held.clone());
            settled.granted.push((id, held));
        }
    }
    let same = |person: &Person| {
        person.service == listed.service && person.agency == listed.agency && person.roles == listed.roles
    };
    if *authority != before || !known.is_none_or(same) {
        authority.version = authority.version.saturating_add(1);
    }
    settled
}

/// The id of what a roster gives: the same for the same row on the same version of a person.
fn roster_id(listed: &Listed, agency: &str, version: u64) -> AuthorizationId {
    let text = format!("{}\n{agency}\n{version}", listed.id);
    AuthorizationId::from_stored(&URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::tests::person;
    use crate::pseudonym::TailDigest;

    const STAFF: &[Role] = &[Role::HrStaff];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn row(agency: &str, service: Service, roles: &[Role], named: &[&str]) -> Listed {
        let person = person("p", agency, roles);
        Listed {
            id: person.id,
            tail: TailDigest::from_stored(""),
            name: person.name,
            agency: person.agency,
            agency_name: person.agency_name,
            service,
            roles: person.roles,
            authorized_agencies: named.iter().map(|agency| (*agency).to_owned()).collect(),
        }
    }

    /// The person after a row, as the store brings them there.
    fn after(known: Option<&Person>, listed: &Listed, seconds: i64) -> (Person, Settled) {
        let settled = settle(known, listed, at(seconds));
        let mut person = person("p", &listed.agency, &[]);
        person.roles = listed.roles.clone();
        person.service = listed.service;
        person.authority = settled.authority.clone();
        (person, settled)
    }

    fn agencies(person: &Person, now: i64) -> Vec<&str> {
        let held = person.authority.held.values().filter(|held| held.in_force(person, at(now)).is_ok());
        let mut agencies: Vec<&str> = held.map(|held| held.agency.as_str()).collect();
        agencies.sort_unstable();
        agencies
    }

    #[test]
    fn it_gives_and_ends_by_difference() {
        let in_service = |named| row("A", Service::InService, STAFF, named);
        let (person, first) = after(None, &in_service(&["A", "B"]), 10);
        assert_eq!((agencies(&person, 10), first.granted.len()), (vec!["A", "B"], 2));
        let (again, same) = after(Some(&person), &in_service(&["A", "B"]), 20);
        assert_eq!((&again, same.granted.len(), same.ended.len()), (&person, 0, 0), "the same file");
        let (person, changed) = after(Some(&person), &in_service(&["B", "C"]), 30);
        assert_eq!(agencies(&person, 30), ["B", "C"]);
        assert_eq!(changed.ended.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [Ending::Roster]);
        assert_eq!(person.authority.version, 2);
    }

    #[test]
    fn what_was_revoked_does_not_come_back_with_the_same_file() {
        let listed = row("A", Service::InService, STAFF, &["A"]);
        let (mut person, _) = after(None, &listed, 10);
        person.authority.held.clear();
        let (person, settled) = after(Some(&person), &listed, 20);
        assert_eq!((agencies(&person, 20), settled.granted.len()), (vec![], 0));
    }

    #[test]
    fn what_became_of_the_holder_ends_it_for_good() {
        let listed = row("A", Service::InService, STAFF, &["A"]);
        let rows = [
            ("departed", row("A", Service::Departed, STAFF, &["A"]), Ending::Departed),
            ("moved", row("M", Service::InService, STAFF, &["A"]), Ending::Moved),
            ("role lost", row("A", Service::InService, &[], &["A"]), Ending::RoleLost),
        ];
        for (what, other, ending) in rows {
            let (person, _) = after(None, &listed, 10);
            let (person, settled) = after(Some(&person), &other, 20);
            assert_eq!(settled.ended.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [ending], "{what}");
            assert_eq!(agencies(&person, 20), Vec::<&str>::new(), "{what}");
            let (person, settled) = after(Some(&person), &listed, 30);
            assert_eq!((agencies(&person, 30), settled.granted.len()), (vec![], 0), "{what}, and back");
            assert_eq!(person.authority.version, 3, "{what}: every change of what they are counts");
        }
    }

    #[test]
    fn what_a_head_gave_ends_with_its_holder_and_not_with_the_roster() {
        let (mut person, _) = after(None, &row("A", Service::InService, STAFF, &[]), 10);
        let id = AuthorizationId::from_stored("given");
        let held = Held {
            agency: "A".to_owned(),
            home: "A".to_owned(),
            role: Role::HrStaff,
            from: at(0),
            until: None,
            consent: Consent::Active,
            answer_by: None,
            by_roster: false,
        };
        person.authority.held.insert(id.clone(), held);
        let (kept, _) = after(Some(&person), &row("A", Service::InService, STAFF, &["A"]), 20);
        assert_eq!(kept.authority.held.keys().collect::<Vec<_>>(), [&id], "there already");
        let (kept, _) = after(Some(&kept), &row("A", Service::InService, STAFF, &[]), 30);
        assert_eq!(agencies(&kept, 30), ["A"]);
        let (_, settled) = after(Some(&kept), &row("A", Service::Departed, STAFF, &[]), 40);
        assert_eq!(settled.ended, [(id, Ending::Departed)]);
    }

    #[test]
    fn an_agency_that_is_named_early_is_given_with_the_role() {
        let (person, settled) = after(None, &row("A", Service::InService, &[], &["A"]), 10);
        assert_eq!((settled.granted.len(), person.authority.version), (0, 0));
        let (person, _) = after(Some(&person), &row("A", Service::InService, STAFF, &["A"]), 20);
        assert_eq!(agencies(&person, 20), ["A"]);
    }
}

//! What follows from a person, a password's verdict and the time.

use jiff::Timestamp;
use shared::password::{Password, StoredHash, Verdict};
use shared::person::{Credential, InService, Person};
use shared::problem::Code;

/// What follows.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// Signed in.
    SignIn(Box<InService>),
    /// The initial password: on to the activation.
    Activate(Box<InService>),
    /// Refused, and counted as a failure of the identifier.
    Wrong,
    /// Refused although the password was right.
    Refused(Code),
}

/// What is checked against what: the person's hash, or a decoy that takes the same time; and the password, as it was typed, or,
/// where an initial one is waited for, as far as it is one.
pub fn to_check(person: Option<&Person>, typed: &Password) -> (StoredHash, Password) {
    match person.map(|person| &person.account.credential) {
        Some(Credential::Password { hash }) => (hash.clone(), typed.clone()),
        Some(Credential::Initial { hash, .. }) => (hash.clone(), typed.as_initial()),
        Some(Credential::None) | None => (StoredHash::decoy(), typed.clone()),
    }
}

/// Whether a verdict counts although the identifier is locked. Nobody guesses an initial password, so a lock protects nothing
/// there: it would only let anybody who knows a national ID keep a new employee out.
pub fn passes_lock(person: Option<&Person>, verdict: Verdict) -> bool {
    let waits = person.is_some_and(|person| matches!(person.account.credential, Credential::Initial { .. }));
    waits && verdict != Verdict::Wrong
}

/// Decides. Unknown, wrong and not activated are one; what the right password would tell is told only after it.
pub fn decide(person: Option<Person>, verdict: Verdict, now: Timestamp) -> Decision {
    let Some(person) = person else { return Decision::Wrong };
    if verdict == Verdict::Wrong {
        return Decision::Wrong;
    }
    let credential = person.account.credential.clone();
    let Ok(person) = person.in_service() else { return Decision::Refused(Code::PersonDeparted) };
    match credential {
        Credential::None => Decision::Wrong,
        Credential::Password { .. } => Decision::SignIn(Box::new(person)),
        Credential::Initial { expires_at, .. } if now >= expires_at => {
            Decision::Refused(Code::InitialPasswordExpired)
        }
        Credential::Initial { .. } => Decision::Activate(Box::new(person)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::SignedDuration;
    use shared::person::{Account, Service};
    use shared::pseudonym::{PersonId, TailDigest};

    use super::*;

    fn person(service: Service, credential: Credential) -> Option<Person> {
        Some(Person {
            id: PersonId::from_stored("p"),
            name: "王大明".to_owned(),
            agency: "A".to_owned(),
            agency_name: "甲機關".to_owned(),
            service,
            roles: BTreeSet::new(),
            authority: shared::authority::authorization::Authority::default(),
            tail: TailDigest::from_stored("t"),
            generation: 0,
            account: Account { credential, ..Account::default() },
        })
    }

    #[test]
    fn decisions() {
        use Service::{Departed, InService};
        let now: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let hash = StoredHash::decoy;
        let own = || Credential::Password { hash: hash() };
        let initial =
            |hours| Credential::Initial { hash: hash(), expires_at: now + SignedDuration::from_hours(hours) };
        let name = |decision: &Decision| match decision {
            Decision::SignIn(_) => "sign in",
            Decision::Activate(_) => "activate",
            Decision::Wrong => "wrong",
            Decision::Refused(code) => code.name(),
        };
        let rows = [
            ("the right password", person(InService, own()), Verdict::Right, "sign in"),
            ("of an older hash", person(InService, own()), Verdict::RightButWeak, "sign in"),
            ("the wrong password", person(InService, own()), Verdict::Wrong, "wrong"),
            ("the initial password", person(InService, initial(1)), Verdict::Right, "activate"),
            ("after its time", person(InService, initial(0)), Verdict::Right, "initial_password_expired"),
            ("a wrong one after its time", person(InService, initial(0)), Verdict::Wrong, "wrong"),
            ("nobody", None, Verdict::Wrong, "wrong"),
            ("never activated", person(InService, Credential::None), Verdict::Wrong, "wrong"),
            ("departed", person(Departed, own()), Verdict::Right, "person_departed"),
            ("departed, the wrong password", person(Departed, own()), Verdict::Wrong, "wrong"),
        ];
        for (what, person, verdict, expected) in rows {
            assert_eq!(name(&decide(person, verdict, now)), expected, "{what}");
        }
    }

    #[test]
    fn a_lock_lets_through_the_initial_password_alone() {
        let hash = StoredHash::decoy;
        let initial = || Credential::Initial { hash: hash(), expires_at: Timestamp::MAX };
        let rows = [
            ("the initial password", person(Service::InService, initial()), Verdict::Right, true),
            ("another in its place", person(Service::InService, initial()), Verdict::Wrong, false),
            (
                "an own password",
                person(Service::InService, Credential::Password { hash: hash() }),
                Verdict::Right,
                false,
            ),
            ("never activated", person(Service::InService, Credential::None), Verdict::Wrong, false),
            ("nobody", None, Verdict::Wrong, false),
        ];
        for (what, person, verdict, passes) in rows {
            assert_eq!(passes_lock(person.as_ref(), verdict), passes, "{what}");
        }
    }
}

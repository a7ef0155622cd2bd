//! Who may reset whom (權限與兼辦管理), and who may unbind whose card: one decision, asked by the search, the reset, the
//! unbinding and the pages.

use crate::person::{Person, Role, Service};

/// Who acts: a person, or an agency by its organization certificate.
#[derive(Clone, Copy, Debug)]
pub enum Actor<'a> {
    /// A signed-in person.
    Person(&'a Person),
    /// An agency, signed in with its organization certificate (機關憑證).
    Agency {
        /// The agency's code.
        agency: &'a str,
    },
}

/// Why an actor may not reset a person, or unbind their card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The actor may do this to nobody.
    #[error("the actor may do this to nobody")]
    NoAuthority,
    /// The person is outside of the actor's scope. To the actor that looks like a person who does not exist.
    #[error("out of the actor's scope")]
    OutOfScope,
    /// Nobody does this to themselves.
    #[error("nobody does this to themselves")]
    Oneself,
    /// Only the helpdesk resets an HR head.
    #[error("only the helpdesk resets an HR head")]
    HrHead,
    /// The person has departed.
    #[error("departed")]
    Departed,
}

impl Actor<'_> {
    /// Whether the actor may search for employees at all.
    ///
    /// # Errors
    /// [`Refusal::NoAuthority`].
    pub fn may_search(&self) -> Result<(), Refusal> {
        let may = match self {
            Self::Agency { .. } => true,
            Self::Person(actor) => {
                actor.service == Service::InService
                    && (actor.has(Role::Helpdesk)
                        || actor.has(Role::HrHead)
                        || (actor.has(Role::HrStaff) && !actor.authorized_agencies.is_empty()))
            }
        };
        if may { Ok(()) } else { Err(Refusal::NoAuthority) }
    }

    /// Whether employees of an agency are in the actor's scope.
    pub fn covers(&self, agency: &str) -> bool {
        match self {
            Self::Agency { agency: own } => *own == agency,
            Self::Person(actor) if actor.has(Role::Helpdesk) => true,
            Self::Person(actor) if actor.has(Role::HrHead) => {
                actor.agency == agency || actor.authorized_agencies.contains(agency)
            }
            Self::Person(actor) if actor.has(Role::HrStaff) => actor.authorized_agencies.contains(agency),
            Self::Person(_) => false,
        }
    }

    /// Whether a reset by this actor has to say why.
    pub fn needs_reason(&self) -> bool {
        matches!(self, Self::Person(actor) if actor.has(Role::Helpdesk))
    }

    /// Whether the actor may reset this person's password now (貳、2 and 3, and the design's scope).
    ///
    /// # Errors
    /// The first reason against it, in the order in which they may be told: what the actor may not know comes first.
    pub fn may_reset(&self, target: &Person) -> Result<(), Refusal> {
        self.may_search()?;
        if !self.covers(&target.agency) {
            return Err(Refusal::OutOfScope);
        }
        if target.service == Service::Departed {
            return Err(Refusal::Departed);
        }
        match self {
            Self::Person(actor) if actor.id == target.id => Err(Refusal::Oneself),
            Self::Person(actor) if actor.has(Role::Helpdesk) => Ok(()),
            _ if target.has(Role::HrHead) => Err(Refusal::HrHead),
            _ => Ok(()),
        }
    }

    /// Whether the actor may see which cards are bound to other people: the helpdesk, to whom a person turns who has lost
    /// a card and cannot sign in.
    ///
    /// # Errors
    /// [`Refusal::NoAuthority`].
    pub fn may_see_cards(&self) -> Result<(), Refusal> {
        match self {
            Self::Person(actor) if actor.service == Service::InService && actor.has(Role::Helpdesk) => Ok(()),
            _ => Err(Refusal::NoAuthority),
        }
    }

    /// Whether the actor may unbind this person's cards. Somebody who has departed may still have one unbound.
    ///
    /// # Errors
    /// [`Refusal::NoAuthority`], [`Refusal::Oneself`]: who is signed in unbinds their own card with their password.
    pub fn may_unbind(&self, target: &Person) -> Result<(), Refusal> {
        self.may_see_cards()?;
        match self {
            Self::Person(actor) if actor.id == target.id => Err(Refusal::Oneself),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::person::Account;
    use crate::pseudonym::{PersonId, TailDigest};

    fn person(id: &str, agency: &str, roles: &[Role], authorized: &[&str]) -> Person {
        Person {
            id: PersonId::from_stored(id),
            name: "測試員".to_owned(),
            agency: agency.to_owned(),
            agency_name: "測試機關".to_owned(),
            service: Service::InService,
            roles: roles.iter().copied().collect(),
            authorized_agencies: authorized.iter().map(|a| (*a).to_owned()).collect::<BTreeSet<_>>(),
            tail: TailDigest::from_stored(""),
            generation: 0,
            account: Account::default(),
        }
    }

    #[test]
    fn the_matrix() {
        let head = person("head", "A", &[Role::HrHead], &["B"]);
        let staff = person("staff", "A", &[Role::HrStaff], &["A", "B"]);
        let unauthorized_staff = person("unauthorized", "A", &[Role::HrStaff], &[]);
        let helpdesk = person("helpdesk", "H", &[Role::Helpdesk], &[]);
        let nobody = person("nobody", "A", &[], &["A"]);
        let departed_head =
            Person { service: Service::Departed, ..person("gone", "A", &[Role::HrHead], &[]) };

        let own = person("own", "A", &[], &[]);
        let concurrent = person("concurrent", "B", &[], &[]);
        let foreign = person("foreign", "C", &[], &[]);
        let other_head = person("other head", "A", &[Role::HrHead], &[]);
        let departed = Person { service: Service::Departed, ..person("departed", "A", &[], &[]) };
        let foreign_departed = Person { service: Service::Departed, ..person("departed", "C", &[], &[]) };

        let agency = Actor::Agency { agency: "A" };
        let rows: [(&str, Actor<'_>, &Person, Result<(), Refusal>); 25] = [
            ("head, own agency", Actor::Person(&head), &own, Ok(())),
            ("head, concurrent agency", Actor::Person(&head), &concurrent, Ok(())),
            ("head, foreign agency", Actor::Person(&head), &foreign, Err(Refusal::OutOfScope)),
            ("head, themselves", Actor::Person(&head), &head, Err(Refusal::Oneself)),
            ("head, another head", Actor::Person(&head), &other_head, Err(Refusal::HrHead)),
            ("head, departed", Actor::Person(&head), &departed, Err(Refusal::Departed)),
            ("head, departed elsewhere", Actor::Person(&head), &foreign_departed, Err(Refusal::OutOfScope)),
            ("departed head", Actor::Person(&departed_head), &own, Err(Refusal::NoAuthority)),
            ("staff, authorized agency", Actor::Person(&staff), &own, Ok(())),
            ("staff, concurrent agency", Actor::Person(&staff), &concurrent, Ok(())),
            ("staff, foreign agency", Actor::Person(&staff), &foreign, Err(Refusal::OutOfScope)),
            ("staff, themselves", Actor::Person(&staff), &staff, Err(Refusal::Oneself)),
            ("staff, their head", Actor::Person(&staff), &head, Err(Refusal::HrHead)),
            (
                "staff without authorization",
                Actor::Person(&unauthorized_staff),
                &own,
                Err(Refusal::NoAuthority),
            ),
            ("organization certificate, its agency", agency, &own, Ok(())),
            ("organization certificate, concurrent agency", agency, &concurrent, Err(Refusal::OutOfScope)),
            ("organization certificate, the head", agency, &head, Err(Refusal::HrHead)),
            ("organization certificate, departed", agency, &departed, Err(Refusal::Departed)),
            ("helpdesk, anyone", Actor::Person(&helpdesk), &foreign, Ok(())),
            ("helpdesk, a head", Actor::Person(&helpdesk), &head, Ok(())),
            ("helpdesk, departed", Actor::Person(&helpdesk), &foreign_departed, Err(Refusal::Departed)),
            ("helpdesk, themselves", Actor::Person(&helpdesk), &helpdesk, Err(Refusal::Oneself)),
            ("no role", Actor::Person(&nobody), &own, Err(Refusal::NoAuthority)),
            ("no role, themselves", Actor::Person(&nobody), &nobody, Err(Refusal::NoAuthority)),
            ("no role, foreign", Actor::Person(&nobody), &foreign, Err(Refusal::NoAuthority)),
        ];
        for (what, actor, target, expected) in rows {
            assert_eq!(actor.may_reset(target), expected, "{what}");
        }
        assert!(
            Actor::Person(&helpdesk).needs_reason()
                && !Actor::Person(&head).needs_reason()
                && !agency.needs_reason()
        );
    }

    #[test]
    fn the_helpdesk_alone_unbinds_cards_of_others() {
        let helpdesk = person("helpdesk", "H", &[Role::Helpdesk], &[]);
        let gone = Person { service: Service::Departed, ..person("gone", "H", &[Role::Helpdesk], &[]) };
        let head = person("head", "A", &[Role::HrHead], &["A"]);
        let own = person("own", "A", &[], &[]);
        let departed = Person { service: Service::Departed, ..person("departed", "A", &[], &[]) };
        let rows = [
            ("helpdesk, anyone", Actor::Person(&helpdesk), &own, Ok(())),
            ("helpdesk, a head", Actor::Person(&helpdesk), &head, Ok(())),
            ("helpdesk, departed", Actor::Person(&helpdesk), &departed, Ok(())),
            ("helpdesk, themselves", Actor::Person(&helpdesk), &helpdesk, Err(Refusal::Oneself)),
            ("departed helpdesk", Actor::Person(&gone), &own, Err(Refusal::NoAuthority)),
            ("head, own agency", Actor::Person(&head), &own, Err(Refusal::NoAuthority)),
            ("no role, themselves", Actor::Person(&own), &own, Err(Refusal::NoAuthority)),
            ("organization certificate", Actor::Agency { agency: "A" }, &own, Err(Refusal::NoAuthority)),
        ];
        for (what, actor, target, expected) in rows {
            assert_eq!(actor.may_unbind(target), expected, "{what}");
        }
    }
}

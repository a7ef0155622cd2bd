//! Who may do what to whom (權限與兼辦管理): one decision, [`decide`], asked by every endpoint, the search and the pages.
//!
//! An HR head covers their own agency by role. Other agencies, and for HR staff every agency, are covered by authorizations
//! ([`authorization`]), which the person's record carries, so that a decision reads nothing else; they count at the moment
//! of the act or not at all. An organization certificate covers its agency, the helpdesk everybody. What is not covered
//! looks like what does not exist. `matrix.csv` says what comes of every kind of actor and every person or agency, `duties.csv`
//! of every kind of actor and every authorization; their tests read them.
//!
//! # Adding an act
//! 1. A variant of [`Act`], and its arm in [`decide`].
//! 2. Its rows in `matrix.csv` or `duties.csv`: the test fails until every combination has exactly one.
//! 3. If the act writes, its transaction checks the actor too: [`crate::caller::Admitted::unchanged`].

pub mod authorization;
pub mod directory;
pub mod life;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::authorization::{Authorization, AuthorizationId, By, Lapse, Side};
use self::life::State;
use crate::person::{Person, Role, Service};
use crate::person_name::{self, Digits};
use crate::session::Subject;

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

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Looks somebody up (搜尋).
    Search,
    /// Resets a password (重設員工密碼).
    Reset,
    /// Resets passwords by a file.
    BulkReset,
    /// Has a reset's mail sent once more.
    Resend,
    /// Sees what became of a reset's mail. The target is the agency that the reset was in.
    SeeReset,
    /// Lists an agency's resets.
    ListResets,
    /// Sees which cards are bound to somebody.
    SeeCards,
    /// Unbinds somebody's card.
    UnbindCard,
    /// Authorizes HR staff to reset in the agency that they serve in.
    Grant,
    /// Asks for a concurrent duty (兼辦): that HR staff may reset in another agency than their own.
    RequestDuty,
    /// Says yes to a concurrent duty that the other agency asks for.
    AcceptDuty,
    /// Says no to it.
    RefuseDuty,
    /// Takes back what the own agency asked for.
    WithdrawDuty,
    /// Takes an authorization away.
    Revoke,
    /// Sees an authorization and its history.
    SeeAuthorization,
    /// Sees who may reset in an agency.
    ListAuthorizations,
    /// Reads the audit trail of an agency, of a person, or of what a person did.
    ReadAudit,
}

/// Whom or what it is to be done to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Whoever it may be: asks whether there is anybody at all.
    Anybody,
    /// Somebody whom the personnel directory does not know.
    Unknown,
    /// A person.
    Person(&'a Person),
    /// An agency, by its code: whoever is in it.
    Agency(&'a str),
    /// An authorization that does not exist yet.
    Duty(Duty<'a>),
    /// An authorization, with its holder as they are now.
    Authorization(&'a Authorization, Option<&'a Person>),
}

/// An authorization that somebody wants to give or to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Duty<'a> {
    /// Who is to hold it.
    pub holder: &'a Person,
    /// Where they are to reset.
    pub agency: &'a str,
    /// The holder's name, when the one who asks gave it. Whoever asks for somebody of another agency shows with it that
    /// they know them: to everybody else that person looks like one who does not exist.
    pub name: Option<&'a str>,
}

impl Duty<'_> {
    /// What it is: a grant in the holder's own agency, or a request for a concurrent duty.
    pub fn act(&self) -> Act {
        if self.holder.agency == self.agency { Act::Grant } else { Act::RequestDuty }
    }

    /// The agency whose HR head has to consent when an actor of `own` asks: the other of the two.
    pub fn answered_in(&self, own: &str) -> &str {
        if self.holder.agency == own { self.agency } else { &self.holder.agency }
    }

    /// The role that it is given to, if the holder has one of HR.
    pub fn role(&self) -> Option<Role> {
        [Role::HrStaff, Role::HrHead].into_iter().find(|role| self.holder.has(*role))
    }
}

impl<'a> Target<'a> {
    /// The person, or that there is none.
    pub fn found(person: Option<&'a Person>) -> Self {
        person.map_or(Self::Unknown, Self::Person)
    }
}

/// By what an actor may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// As the HR head (人事主管) of the agency.
    HrHead,
    /// By an authorization in force (經授權的人事人員).
    Authorization(AuthorizationId),
    /// By the agency's organization certificate (機關憑證).
    OrganizationCertificate,
    /// As the helpdesk (客服人員).
    Helpdesk,
}

/// That it may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// By what.
    pub ground: Ground,
    /// Whether the actor has to say why.
    pub needs_reason: bool,
}

/// Why it may not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The actor may do this to nobody.
    #[error("the actor may do this to nobody{}", .lapse.map(|lapse| format!(": {lapse}")).unwrap_or_default())]
    NoAuthority {
        /// Why the authorization that is nearest to being in force is not, if there is one.
        lapse: Option<Lapse>,
    },
    /// The target is outside of the actor's scope. To the actor that looks like one that does not exist.
    #[error("out of the actor's scope")]
    OutOfScope,
    /// Nobody does this to themselves.
    #[error("nobody does this to themselves")]
    Oneself,
    /// Only the helpdesk resets an HR head.
    #[error("only the helpdesk resets an HR head")]
    HrHead,
    /// Only the helpdesk resets one of its own, who may reset everybody.
    #[error("only the helpdesk resets one of its own")]
    HelpdeskAgent,
    /// The person has departed.
    #[error("departed")]
    Departed,
    /// Authorizations are given by the agency itself, not by those whom it has authorized.
    #[error("not the actor's own agency")]
    NotOwnAgency,
    /// An organization certificate gives nothing in other agencies.
    #[error("an organization certificate gives nothing in other agencies")]
    CertificateConcurrent,
    /// Not somebody to whom this may be given.
    #[error("not of HR, or the HR head of that agency")]
    NotEligible,
    /// What became of the holder since leaves nothing to say yes to.
    #[error("{0}")]
    HolderChanged(Lapse),
    /// Who asks does not answer.
    #[error("who asks does not answer")]
    OwnRequest,
    /// Only who asked takes a request back.
    #[error("only who asked takes a request back")]
    OthersRequest,
    /// Nobody serves, or ever served, in the agency that is to consent.
    #[error("no agency of that code")]
    AgencyUnknown,
    /// The agency that is to consent has no HR head, and its organization certificate consents to nothing.
    #[error("nobody in the agency could consent")]
    AgencyWithoutHead,
}

/// Who could consent to a concurrent duty in an agency, as the directory has it. An agency is known by its people: a code
/// that nobody has is none. Agencies and their codes are public; which of them has no HR head is told to HR heads who ask it
/// for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// An HR head in service.
    Head,
    /// People, but no HR head in service.
    NoHead,
    /// Nobody at all.
    Nobody,
}

impl Answering {
    /// Whether a request may wait for an answer there.
    ///
    /// # Errors
    /// [`Refusal::AgencyUnknown`], [`Refusal::AgencyWithoutHead`]: it would wait in vain.
    pub fn may_be_asked(self) -> Result<(), Refusal> {
        match self {
            Self::Head => Ok(()),
            Self::NoHead => Err(Refusal::AgencyWithoutHead),
            Self::Nobody => Err(Refusal::AgencyUnknown),
        }
    }
}

/// Whose employees an actor may look up and, with exceptions, reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Nobody's.
    Nothing {
        /// Why the authorization that is nearest to being in force is not, if there is one.
        lapse: Option<Lapse>,
    },
    /// Everybody's.
    Everything,
    /// Those of these agencies, each with by what.
    Agencies(BTreeMap<&'a str, Ground>),
}

impl<'a> Scope<'a> {
    /// The scope of an actor now.
    pub fn of(actor: Actor<'a>, now: Timestamp) -> Self {
        let person = match actor {
            Actor::Agency { agency } => {
                return Self::Agencies(BTreeMap::from([(agency, Ground::OrganizationCertificate)]));
            }
            Actor::Person(person) => person,
        };
        match person.service {
            Service::InService if person.has(Role::Helpdesk) => return Self::Everything,
            Service::InService => {}
            Service::Departed => return Self::Nothing { lapse: None },
        }
        let mut agencies = BTreeMap::new();
        let mut nearest = None;
        for (id, held) in &person.authority.held {
            match held.in_force(person, now) {
                Ok(()) => drop(agencies.insert(held.agency.as_str(), Ground::Authorization(id.clone()))),
                Err(lapse) => nearest = nearer(nearest, lapse),
            }
        }
        if person.has(Role::HrHead) {
            agencies.insert(&person.agency, Ground::HrHead);
        }
        if agencies.is_empty() { Self::Nothing { lapse: nearest } } else { Self::Agencies(agencies) }
    }

    /// What the scope is by, for a target in it.
    fn reach(&self, target: Target<'_>) -> Result<Ground, Refusal> {
        match self {
            Self::Nothing { lapse } => Err(Refusal::NoAuthority { lapse: *lapse }),
            Self::Everything => match target {
                Target::Unknown | Target::Duty(_) | Target::Authorization(..) => Err(Refusal::OutOfScope),
                Target::Anybody | Target::Person(_) | Target::Agency(_) => Ok(Ground::Helpdesk),
            },
            Self::Agencies(agencies) => {
                let ground = match target {
                    Target::Anybody => agencies.values().next(),
                    Target::Unknown | Target::Duty(_) | Target::Authorization(..) => None,
                    Target::Person(person) => agencies.get(person.agency.as_str()),
                    Target::Agency(agency) => agencies.get(agency),
                };
                ground.cloned().ok_or(Refusal::OutOfScope)
            }
        }
    }
}

/// Of two lapses, the one that is nearer to being in force: its holder is told what to wait for.
fn nearer(one: Option<Lapse>, other: Lapse) -> Option<Lapse> {
    let distance = |lapse: Lapse| match lapse {
        Lapse::NotYet { .. } => 0,
        Lapse::Requested => 1,
        Lapse::Over { .. } => 2,
        Lapse::RoleLost => 3,
        Lapse::Moved => 4,
        Lapse::Departed => 5,
    };
    match one {
        Some(one) if distance(one) <= distance(other) => Some(one),
        Some(_) | None => Some(other),
    }
}

/// Whether an actor may do this to that now, by what, and why not (貳、2 and 3, and the design's scope).
///
/// # Errors
/// The first reason against it, in the order in which they may be told: what the actor may not know comes first.
pub fn decide(actor: Actor<'_>, act: Act, target: Target<'_>, now: Timestamp) -> Result<Permit, Refusal> {
    let ground = match act {
        Act::Search | Act::SeeReset | Act::ListResets | Act::Reset | Act::Resend => {
            Scope::of(actor, now).reach(target)?
        }
        Act::BulkReset => {
            // A file is for the head, and for the certificate that stands in for one; not for the helpdesk, who says why.
            if !heads(actor) {
                return Err(Refusal::NoAuthority { lapse: None });
            }
            match Scope::of(actor, now) {
                // A head who is also an agent has the head's scope here.
                Scope::Everything => own(actor)?.reach(target)?,
                scope @ (Scope::Nothing { .. } | Scope::Agencies(_)) => scope.reach(target)?,
            }
        }
        // Somebody who has lost a card and cannot sign in turns to the helpdesk.
        Act::SeeCards | Act::UnbindCard => match Scope::of(actor, now) {
            scope @ Scope::Everything => scope.reach(target)?,
            Scope::Nothing { .. } | Scope::Agencies(_) => return Err(Refusal::NoAuthority { lapse: None }),
        },
        Act::Grant | Act::RequestDuty => match target {
            Target::Duty(duty) => may_give(actor, act, duty, now)?,
            target => own(actor)?.reach(target)?,
        },
        Act::AcceptDuty | Act::RefuseDuty | Act::WithdrawDuty | Act::Revoke => match target {
            Target::Authorization(authorization, holder) => may_settle(actor, act, authorization, holder)?,
            target => own(actor)?.reach(target)?,
        },
        Act::SeeAuthorization => match (actor, target) {
            (Actor::Person(person), Target::Authorization(authorization, _))
                if person.service == Service::InService && person.id == authorization.holder =>
            {
                Ground::Authorization(authorization.id.clone())
            }
            (actor, target) => match (Scope::of(actor, now), target) {
                (Scope::Everything, Target::Authorization(..)) => Ground::Helpdesk,
                (scope @ Scope::Everything, target) => scope.reach(target)?,
                (_, Target::Authorization(authorization, _)) => side_of(actor, authorization)?.1,
                (_, target) => own(actor)?.reach(target)?,
            },
        },
        Act::ListAuthorizations | Act::ReadAudit => match Scope::of(actor, now) {
            scope @ Scope::Everything => scope.reach(target)?,
            Scope::Nothing { .. } | Scope::Agencies(_) => own(actor)?.reach(target)?,
        },
    };
    if let Target::Person(person) = target {
        match act {
            Act::Reset | Act::BulkReset | Act::Resend => may_lose_password(actor, &ground, person)?,
            // Who is signed in unbinds their own card with their password. Somebody who has departed may still have one unbound.
            Act::UnbindCard if is(actor, person) => return Err(Refusal::Oneself),
            Act::UnbindCard
            | Act::Search
            | Act::SeeReset
            | Act::ListResets
            | Act::SeeCards
            | Act::Grant
            | Act::RequestDuty
            | Act::AcceptDuty
            | Act::RefuseDuty
            | Act::WithdrawDuty
            | Act::Revoke
            | Act::SeeAuthorization
            | Act::ListAuthorizations
            | Act::ReadAudit => {}
        }
    }
    let needs_reason = match act {
        Act::Reset | Act::UnbindCard => ground == Ground::Helpdesk,
        Act::Search
        | Act::BulkReset
        | Act::Resend
        | Act::SeeReset
        | Act::ListResets
        | Act::SeeCards
        | Act::Grant
        | Act::RequestDuty
        | Act::AcceptDuty
        | Act::RefuseDuty
        | Act::WithdrawDuty
        | Act::Revoke
        | Act::SeeAuthorization
        | Act::ListAuthorizations
        | Act::ReadAudit => false,
    };
    Ok(Permit { ground, needs_reason })
}

/// Whether a person in the actor's scope may be reset by them.
fn may_lose_password(actor: Actor<'_>, ground: &Ground, person: &Person) -> Result<(), Refusal> {
    if person.service == Service::Departed {
        return Err(Refusal::Departed);
    }
    if is(actor, person) {
        return Err(Refusal::Oneself);
    }
    match ground {
        Ground::Helpdesk => Ok(()),
        Ground::HrHead | Ground::Authorization(_) | Ground::OrganizationCertificate => {
            if person.has(Role::HrHead) {
                Err(Refusal::HrHead)
            } else if person.has(Role::Helpdesk) {
                Err(Refusal::HelpdeskAgent)
            } else {
                Ok(())
            }
        }
    }
}

/// Whether the actor may give an authorization, or ask for it. Nobody gives what they do not hold: an agency's authority is
/// its HR head's, and its certificate's; who is authorized does not pass it on. Nobody gives anything to themselves.
fn may_give(actor: Actor<'_>, act: Act, duty: Duty<'_>, now: Timestamp) -> Result<Ground, Refusal> {
    let (own, ground) = headed(actor)?;
    let holder = duty.holder;
    if holder.agency != own {
        let asks = act == Act::RequestDuty && duty.agency == own && ground == Ground::HrHead;
        let known = duty.name.is_some_and(|name| person_name::same(name, &holder.name, Digits::Absent));
        if asks && known && holder.service == Service::InService && duty.role().is_some() {
            return Ok(ground);
        }
        let seen = Scope::of(actor, now).reach(Target::Person(holder)).is_ok();
        return Err(if seen && !asks { Refusal::NotOwnAgency } else { Refusal::OutOfScope });
    }
    if is(actor, holder) {
        return Err(Refusal::Oneself);
    }
    if holder.service == Service::Departed {
        return Err(Refusal::Departed);
    }
    if act != duty.act() {
        return Err(Refusal::NotOwnAgency);
    }
    let eligible = match act {
        // The head covers the agency by role.
        Act::Grant => holder.has(Role::HrStaff) && !holder.has(Role::HrHead),
        _ if ground == Ground::OrganizationCertificate => return Err(Refusal::CertificateConcurrent),
        _ => duty.role().is_some(),
    };
    if eligible { Ok(ground) } else { Err(Refusal::NotEligible) }
}

/// Whether the actor may take this step of an authorization's life. Whether it is where the step begins, the life says.
fn may_settle(
    actor: Actor<'_>,
    act: Act,
    authorization: &Authorization,
    holder: Option<&Person>,
) -> Result<Ground, Refusal> {
    let (own, ground) = side_of(actor, authorization)?;
    let asked = match authorization.state {
        State::Requested { by: Side::Home } => Some(authorization.held.home.as_str()),
        State::Requested { by: Side::Target } => Some(authorization.held.agency.as_str()),
        State::Active
        | State::Refused
        | State::Withdrawn
        | State::Revoked
        | State::Ended(_)
        | State::Expired => None,
    };
    match (act, asked) {
        (Act::AcceptDuty | Act::RefuseDuty, Some(asked)) if asked == own => Err(Refusal::OwnRequest),
        (Act::WithdrawDuty, Some(asked)) if asked != own => Err(Refusal::OthersRequest),
        (Act::AcceptDuty, _) if ground == Ground::OrganizationCertificate => {
            Err(Refusal::CertificateConcurrent)
        }
        (Act::AcceptDuty, Some(_)) => {
            // Somebody who has moved from the one agency's head to the other's is still one person.
            let asker = authorization.history.first().map(|asked| &asked.by);
            if let (Actor::Person(person), Some(By::Subject(Subject::Person(asker)))) = (actor, asker)
                && person.id == *asker
            {
                return Err(Refusal::OwnRequest);
            }
            let holder = holder.ok_or(Refusal::HolderChanged(Lapse::Departed))?;
            match authorization.held.ended_by(holder.service, &holder.agency, &holder.roles) {
                Some(lapse) => Err(Refusal::HolderChanged(lapse)),
                None => Ok(ground),
            }
        }
        _ => Ok(ground),
    }
}

/// The actor's own agency, when it is one of the authorization's two.
fn side_of<'a>(actor: Actor<'a>, authorization: &Authorization) -> Result<(&'a str, Ground), Refusal> {
    let (own, ground) = headed(actor)?;
    let held = &authorization.held;
    if own == held.home || own == held.agency { Ok((own, ground)) } else { Err(Refusal::OutOfScope) }
}

/// Whether the actor is an agency's HR head, or its organization certificate, which stands in for one.
fn heads(actor: Actor<'_>) -> bool {
    headed(actor).is_ok()
}

/// The agency that the actor heads, or stands for by its organization certificate.
fn headed(actor: Actor<'_>) -> Result<(&str, Ground), Refusal> {
    match actor {
        Actor::Agency { agency } => Ok((agency, Ground::OrganizationCertificate)),
        Actor::Person(person) if person.service == Service::InService && person.has(Role::HrHead) => {
            Ok((person.agency.as_str(), Ground::HrHead))
        }
        Actor::Person(_) => Err(Refusal::NoAuthority { lapse: None }),
    }
}

/// The scope of an agency's head in that agency alone.
fn own(actor: Actor<'_>) -> Result<Scope<'_>, Refusal> {
    headed(actor).map(|own| Scope::Agencies(BTreeMap::from([own])))
}

fn is(actor: Actor<'_>, person: &Person) -> bool {
    matches!(actor, Actor::Person(actor) if actor.id == person.id)
}

#[cfg(test)]
pub(crate) mod tests;

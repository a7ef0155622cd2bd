//! `matrix.csv`, read and held against [`decide`]: every act, every kind of actor, every target, every scope.

use std::collections::BTreeSet;

use super::authorization::{Authority, Consent, Event, Held};
use super::life::Happening;
use super::*;
use crate::password::StoredHash;
use crate::person::{Account, Credential};
use crate::problem::Problem;
use crate::pseudonym::{PersonId, TailDigest};

/// Somebody in service, with nothing but roles.
pub(crate) fn person(id: &str, agency: &str, roles: &[Role]) -> Person {
    Person {
        id: PersonId::from_stored(id),
        name: "測試員".to_owned(),
        agency: agency.to_owned(),
        agency_name: "測試機關".to_owned(),
        service: Service::InService,
        roles: roles.iter().copied().collect(),
        authority: Authority::default(),
        tail: TailDigest::from_stored(""),
        generation: 0,
        account: Account::default(),
    }
}

fn now() -> Timestamp {
    "2026-08-03T00:00:00Z".parse().unwrap()
}

/// The agencies of the matrix: the actor's own, the one they handle concurrently (or would), any other.
const OWN: &str = "A";
const CONCURRENT: &str = "B";
const FOREIGN: &str = "C";

const ACTS: [(&str, Act); 10] = [
    ("search", Act::Search),
    ("reset", Act::Reset),
    ("bulk_reset", Act::BulkReset),
    ("resend", Act::Resend),
    ("see_reset", Act::SeeReset),
    ("list_resets", Act::ListResets),
    ("see_cards", Act::SeeCards),
    ("unbind_card", Act::UnbindCard),
    ("list_authorizations", Act::ListAuthorizations),
    ("read_audit", Act::ReadAudit),
];

/// An authorization in force, of somebody who serves in [`OWN`].
fn held(agency: &str, role: Role) -> Held {
    Held {
        agency: agency.to_owned(),
        home: OWN.to_owned(),
        role,
        from: now(),
        until: None,
        consent: Consent::Active,
        answer_by: None,
        by_roster: false,
    }
}

fn holding(mut person: Person, held: impl IntoIterator<Item = Held>) -> Person {
    person.authority.held =
        held.into_iter().map(|held| (AuthorizationId::from_stored(&held.agency), held)).collect();
    person
}

/// Every kind of actor; `None` is the organization certificate of [`OWN`].
fn actors() -> Vec<(&'static str, Option<Person>)> {
    let an_hour = jiff::SignedDuration::from_hours(1);
    let head = || person("actor", OWN, &[Role::HrHead]);
    let staff = || person("actor", OWN, &[Role::HrStaff]);
    let here = |change: &dyn Fn(Held) -> Held| [OWN, CONCURRENT].map(|a| change(held(a, Role::HrStaff)));
    let gone = |person: Person| Person { service: Service::Departed, ..person };
    let over = |held: Held| Held { until: Some(now()), ..held };
    let to_head = held(CONCURRENT, Role::HrHead);
    vec![
        ("head", Some(head())),
        ("head_concurrent", Some(holding(head(), [to_head.clone()]))),
        ("head_lapsed", Some(holding(head(), [over(to_head.clone())]))),
        ("head_helpdesk", Some(person("actor", OWN, &[Role::HrHead, Role::Helpdesk]))),
        ("staff_own", Some(holding(staff(), [held(OWN, Role::HrStaff)]))),
        ("staff_concurrent", Some(holding(staff(), [held(CONCURRENT, Role::HrStaff)]))),
        ("staff_both", Some(holding(staff(), here(&|held| held)))),
        ("staff_not_yet", Some(holding(staff(), here(&|held| Held { from: now() + an_hour, ..held })))),
        ("staff_over", Some(holding(staff(), here(&over)))),
        ("staff_requested", Some(holding(staff(), here(&|h| Held { consent: Consent::Requested, ..h })))),
        ("staff_moved", Some(holding(staff(), here(&|held| Held { home: FOREIGN.to_owned(), ..held })))),
        ("staff_role_lost", Some(holding(person("actor", OWN, &[]), here(&|held| held)))),
        ("head_demoted", Some(holding(staff(), [to_head]))),
        ("staff_without", Some(staff())),
        ("organization_certificate", None),
        ("helpdesk", Some(person("actor", OWN, &[Role::Helpdesk]))),
        ("no_role", Some(person("actor", OWN, &[]))),
        ("departed_head", Some(gone(head()))),
        ("departed_staff", Some(gone(holding(staff(), here(&|held| held))))),
        ("departed_helpdesk", Some(gone(person("actor", OWN, &[Role::Helpdesk])))),
    ]
}

const SCOPES: [(&str, &str); 3] = [("own", OWN), ("concurrent", CONCURRENT), ("foreign", FOREIGN)];

/// Every kind of person that something may be done to, in an agency. Locks belong to typed identifiers: to the decision a
/// locked account is an active one.
fn people(agency: &str) -> Vec<(&'static str, Person)> {
    let plain = |roles| person("target", agency, roles);
    let with = |account| Person { account, ..plain(&[]) };
    let initial = Credential::Initial { hash: StoredHash::decoy(), expires_at: now() };
    let active =
        || Account { credential: Credential::Password { hash: StoredHash::decoy() }, ..Account::default() };
    let gone = |roles| Person { service: Service::Departed, ..plain(roles) };
    vec![
        ("none", plain(&[])),
        ("initial_password", with(Account { credential: initial, ..Account::default() })),
        ("active", with(active())),
        ("locked", with(active())),
        ("departed", gone(&[])),
        ("hr_head", plain(&[Role::HrHead])),
        ("departed_hr_head", gone(&[Role::HrHead])),
        ("hr_staff", holding(plain(&[Role::HrStaff]), [held(agency, Role::HrStaff)])),
        ("helpdesk_agent", plain(&[Role::Helpdesk])),
    ]
}

fn verdict(decided: &Result<Permit, Refusal>) -> (String, &'static str) {
    let lapsed = |lapse| match lapse {
        Lapse::Departed => "departed",
        Lapse::Moved => "moved",
        Lapse::RoleLost => "role_lost",
        Lapse::Requested => "requested",
        Lapse::NotYet { .. } => "not_yet",
        Lapse::Over { .. } => "over",
    };
    let refusal = match decided {
        Ok(Permit { needs_reason: true, .. }) => return ("permitted_with_reason".to_owned(), ""),
        Ok(Permit { needs_reason: false, .. }) => return ("permitted".to_owned(), ""),
        Err(refusal) => *refusal,
    };
    let verdict = match refusal {
        Refusal::NoAuthority { lapse: None } => "no_authority".to_owned(),
        Refusal::NoAuthority { lapse: Some(lapse) } => format!("no_authority: {}", lapsed(lapse)),
        Refusal::OutOfScope => "out_of_scope".to_owned(),
        Refusal::Oneself => "oneself".to_owned(),
        Refusal::HrHead => "hr_head".to_owned(),
        Refusal::HelpdeskAgent => "helpdesk_agent".to_owned(),
        Refusal::Departed => "departed".to_owned(),
        Refusal::NotOwnAgency => "not_own_agency".to_owned(),
        Refusal::CertificateConcurrent => "certificate_concurrent".to_owned(),
        Refusal::NotEligible => "not_eligible".to_owned(),
        Refusal::HolderChanged(_) => "holder_changed".to_owned(),
        Refusal::OwnRequest => "own_request".to_owned(),
        Refusal::OthersRequest => "others_request".to_owned(),
        Refusal::AgencyUnknown => "agency_unknown".to_owned(),
        Refusal::AgencyWithoutHead => "agency_without_head".to_owned(),
    };
    (verdict, Problem::from(refusal).code.name())
}

/// A cell takes one word, several of them with `|` between, or any with `*`.
fn takes(cell: &str, word: &str) -> bool {
    cell == "*" || cell.split('|').any(|one| one == word)
}

#[test]
fn every_row_of_the_matrix_holds_and_every_combination_has_one() {
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(include_bytes!("matrix.csv").as_slice());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let (mut used, mut combinations) = (BTreeSet::new(), 0);
    for (kind, actor) in &actors() {
        let who = actor.as_ref().map_or(Actor::Agency { agency: OWN }, Actor::Person);
        let there: Vec<(&str, Vec<(&str, Person)>)> =
            SCOPES.iter().map(|(scope, agency)| (*scope, people(agency))).collect();
        let mut targets = vec![("nobody", "-", Target::Unknown), ("anybody", "-", Target::Anybody)];
        for (scope, people) in &there {
            targets.extend(people.iter().map(|(name, person)| (*name, *scope, Target::Person(person))));
        }
        targets.extend(SCOPES.iter().map(|(scope, agency)| ("agency", *scope, Target::Agency(agency))));
        targets.extend(actor.iter().map(|actor| ("oneself", "own", Target::Person(actor))));
        for ((act_name, act), (target_name, scope, target)) in
            ACTS.iter().flat_map(|act| targets.iter().map(move |target| (act, target)))
        {
            combinations += 1;
            let what = format!("{act_name} by {kind} of {target_name} ({scope})");
            let matches = |row: &csv::StringRecord| {
                takes(&row[0], act_name)
                    && takes(&row[1], kind)
                    && takes(&row[2], target_name)
                    && takes(&row[3], scope)
            };
            let found: Vec<usize> = (0..rows.len()).filter(|at| matches(&rows[*at])).collect();
            assert_eq!(found.len(), 1, "rows for {what}: {found:?}");
            used.insert(found[0]);
            let row = &rows[found[0]];
            assert_eq!(verdict(&decide(who, *act, *target, now())), (row[4].to_owned(), &row[5]), "{what}");
            assert!(row[6].starts_with("貳、"), "{what}: the manual's section");
        }
    }
    let idle: Vec<usize> = (0..rows.len()).filter(|at| !used.contains(at)).collect();
    assert_eq!(idle, Vec::<usize>::new(), "rows that nothing matches");
    assert_eq!(combinations, 20 * 10 * (2 + 3 * 9 + 3 + 1) - 10, "the organization certificate is no person");
}

#[test]
fn a_permit_says_by_what() {
    let staff = holding(person("actor", OWN, &[Role::HrStaff]), [held(CONCURRENT, Role::HrStaff)]);
    let head = holding(person("actor", OWN, &[Role::HrHead]), [held(CONCURRENT, Role::HrHead)]);
    let helpdesk = person("actor", OWN, &[Role::Helpdesk]);
    let by_authorization = || Ground::Authorization(AuthorizationId::from_stored(CONCURRENT));
    let rows = [
        (Actor::Person(&staff), CONCURRENT, by_authorization()),
        (Actor::Person(&head), CONCURRENT, by_authorization()),
        (Actor::Person(&head), OWN, Ground::HrHead),
        (Actor::Person(&helpdesk), FOREIGN, Ground::Helpdesk),
        (Actor::Agency { agency: OWN }, OWN, Ground::OrganizationCertificate),
    ];
    for (actor, agency, ground) in rows {
        let permit = decide(actor, Act::Search, Target::Agency(agency), now()).unwrap();
        assert_eq!(permit.ground, ground, "{agency}");
    }
}

#[test]
fn the_first_and_the_last_second_of_an_authorization() {
    let second = jiff::SignedDuration::from_secs(1);
    let day = jiff::SignedDuration::from_hours(24);
    let dated = Held { until: Some(now() + day), ..held(CONCURRENT, Role::HrStaff) };
    let staff = holding(person("actor", OWN, &[Role::HrStaff]), [dated]);
    let rows = [
        (now() - second, Err(Lapse::NotYet { from: now() })),
        (now(), Ok(())),
        (now() + day - second, Ok(())),
        (now() + day, Err(Lapse::Over { until: now() + day })),
    ];
    for (at, expected) in rows {
        let decided = decide(Actor::Person(&staff), Act::Search, Target::Agency(CONCURRENT), at);
        let expected = expected.map_err(|lapse| Refusal::NoAuthority { lapse: Some(lapse) });
        assert_eq!(decided.map(|_| ()), expected, "{at}");
    }
}

/// The agencies of `duties.csv`: where the holder serves, where they are to reset, any other.
const HOME: &str = OWN;
const TARGET: &str = CONCURRENT;
const THIRD: &str = FOREIGN;

/// Every kind of actor of `duties.csv`: a person, or the organization certificate of an agency.
fn parties() -> Vec<(&'static str, Result<Person, &'static str>)> {
    let head = |id, agency| person(id, agency, &[Role::HrHead]);
    let here = |role| [HOME, TARGET].map(|agency| held(agency, role));
    let at_third = |held: Held| Held { home: THIRD.to_owned(), ..held };
    let authorized = here(Role::HrHead).map(at_third);
    vec![
        ("home_head", Ok(head("home head", HOME))),
        ("target_head", Ok(head("target head", TARGET))),
        ("third_head", Ok(head("third head", THIRD))),
        ("third_head_authorized", Ok(holding(head("third head", THIRD), authorized))),
        ("home_certificate", Err(HOME)),
        ("target_certificate", Err(TARGET)),
        ("third_certificate", Err(THIRD)),
        ("holder", Ok(holding(person("holder", HOME, &[Role::HrStaff]), here(Role::HrStaff)))),
        ("holder_head", Ok(person("holder", HOME, &[Role::HrHead, Role::HrStaff]))),
        ("staff", Ok(holding(person("staff", HOME, &[Role::HrStaff]), here(Role::HrStaff)))),
        ("helpdesk", Ok(person("helpdesk", HOME, &[Role::Helpdesk]))),
        ("no_role", Ok(person("no role", HOME, &[]))),
        ("departed_head", Ok(Person { service: Service::Departed, ..head("gone", HOME) })),
        // Asked as the head of the other agency, and heads this one now.
        ("asker_moved", Ok(head("asker", TARGET))),
        ("asker_moved_home", Ok(head("asker", HOME))),
    ]
}

fn given(target: &str, state: State) -> Authorization {
    let asker = By::Subject(Subject::Person(PersonId::from_stored("asker")));
    Authorization {
        id: AuthorizationId::from_stored("authorization"),
        holder: PersonId::from_stored("holder"),
        held: held(target, Role::HrStaff),
        state,
        history: vec![Event { what: Happening::Requested, by: asker, at: now() }],
    }
}

#[test]
fn every_row_of_the_duties_holds_and_every_combination_has_one() {
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(include_bytes!("duties.csv").as_slice());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let holder = |roles| person("holder", HOME, roles);
    let gone = Person { service: Service::Departed, ..holder(&[Role::HrStaff]) };
    let moved = person("holder", THIRD, &[Role::HrStaff]);
    let (staff, nobody) = (holder(&[Role::HrStaff]), holder(&[]));
    let head = holder(&[Role::HrHead, Role::HrStaff]);
    let (named, misnamed) = (Some(" 測試員\u{3000}"), Some("測試"));
    let duty = |holder, agency, name| Target::Duty(Duty { holder, agency, name });
    let by_home = given(TARGET, State::Requested { by: Side::Home });
    let by_target = given(TARGET, State::Requested { by: Side::Target });
    let (active_own, active) = (given(HOME, State::Active), given(TARGET, State::Active));
    let revoked = given(TARGET, State::Revoked);
    let duties = [
        ("own_staff", duty(&staff, HOME, None)),
        ("own_head", duty(&head, HOME, None)),
        ("own_nobody", duty(&nobody, HOME, None)),
        ("own_departed", duty(&gone, HOME, None)),
        ("concurrent_staff", duty(&staff, TARGET, named)),
        ("concurrent_unnamed", duty(&staff, TARGET, None)),
        ("concurrent_misnamed", duty(&staff, TARGET, misnamed)),
        ("concurrent_head", duty(&head, TARGET, named)),
        ("concurrent_nobody", duty(&nobody, TARGET, named)),
        ("concurrent_departed", duty(&gone, TARGET, named)),
    ];
    let authorizations = [
        ("requested_by_home", Target::Authorization(&by_home, Some(&staff))),
        ("requested_by_home_moved", Target::Authorization(&by_home, Some(&moved))),
        ("requested_by_target", Target::Authorization(&by_target, Some(&staff))),
        ("active_own", Target::Authorization(&active_own, Some(&staff))),
        ("active", Target::Authorization(&active, Some(&staff))),
        ("revoked", Target::Authorization(&revoked, Some(&staff))),
    ];
    let steps = [
        ("accept", Act::AcceptDuty),
        ("refuse", Act::RefuseDuty),
        ("withdraw", Act::WithdrawDuty),
        ("revoke", Act::Revoke),
        ("see", Act::SeeAuthorization),
    ];
    let mut calls: Vec<(&str, Act, &str, Target<'_>)> = Vec::new();
    for (name, target) in duties {
        let Target::Duty(duty) = target else { unreachable!("they are duties") };
        calls.push(("give", duty.act(), name, target));
    }
    for (act_name, act) in steps {
        calls.extend(authorizations.map(|(name, target)| (act_name, act, name, target)));
    }
    let mut used = BTreeSet::new();
    for (kind, party) in &parties() {
        let actor = match party {
            Ok(person) => Actor::Person(person),
            Err(agency) => Actor::Agency { agency },
        };
        for (act_name, act, name, target) in &calls {
            let what = format!("{act_name} by {kind} of {name}");
            let matches = |row: &csv::StringRecord| {
                takes(&row[0], act_name) && takes(&row[1], kind) && takes(&row[2], name)
            };
            let found: Vec<usize> = (0..rows.len()).filter(|at| matches(&rows[*at])).collect();
            assert_eq!(found.len(), 1, "rows for {what}: {found:?}");
            used.insert(found[0]);
            let row = &rows[found[0]];
            assert_eq!(verdict(&decide(actor, *act, *target, now())), (row[3].to_owned(), &row[4]), "{what}");
            assert!(row[5].starts_with("貳、"), "{what}: the manual's section");
        }
    }
    let idle: Vec<usize> = (0..rows.len()).filter(|at| !used.contains(at)).collect();
    assert_eq!(idle, Vec::<usize>::new(), "rows that nothing matches");
}

#[test]
fn a_request_waits_for_somebody() {
    let rows = [
        (Answering::Head, Ok(())),
        (Answering::NoHead, Err(Refusal::AgencyWithoutHead)),
        (Answering::Nobody, Err(Refusal::AgencyUnknown)),
    ];
    for (answering, expected) in rows {
        assert_eq!(answering.may_be_asked(), expected, "{answering:?}");
    }
    let staff = person("holder", HOME, &[Role::HrStaff]);
    let duty = Duty { holder: &staff, agency: TARGET, name: None };
    assert_eq!((duty.answered_in(HOME), duty.answered_in(TARGET)), (TARGET, HOME));
}

/// Whatever is asked of whatever: there is an answer, and nobody may more than the acts say.
#[test]
fn acts_on_what_they_are_not_about_are_refused() {
    let staff = person("holder", OWN, &[Role::HrStaff]);
    let active = given(OWN, State::Active);
    let duty = Target::Duty(Duty { holder: &staff, agency: OWN, name: None });
    let about_people =
        [Act::Search, Act::Reset, Act::BulkReset, Act::SeeCards, Act::UnbindCard, Act::ReadAudit];
    let helpdesk = person("helpdesk", OWN, &[Role::Helpdesk, Role::HrHead]);
    let head = person("head", OWN, &[Role::HrHead]);
    for actor in [Actor::Person(&helpdesk), Actor::Person(&head), Actor::Agency { agency: OWN }] {
        for act in about_people {
            for target in [duty, Target::Authorization(&active, Some(&staff))] {
                assert!(decide(actor, act, target, now()).is_err(), "{act:?}");
            }
        }
        let settling = [Act::AcceptDuty, Act::RefuseDuty, Act::WithdrawDuty, Act::Revoke];
        for act in settling {
            assert!(decide(actor, act, duty, now()).is_err(), "{act:?}");
        }
    }
}

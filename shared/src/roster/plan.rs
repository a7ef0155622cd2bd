//! What a roster changes: the file against the directory, before anything is written.
//!
//! The first reading of a file makes the plan, which holds some forty bytes a person and none of their names; the second one
//! writes by it. So a file that would do harm is refused whole, and one that changes nothing is known as such.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Fingerprint, Listed, Reason, Scope};
use crate::person::Service;
use crate::pseudonym::PersonId;

/// What the directory knows of a person, as far as a roster is compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The person.
    pub id: PersonId,
    /// The agency's code.
    pub agency: String,
    /// In service or departed.
    pub service: Service,
    /// Everything that a roster says, as it said it last.
    pub fingerprint: Fingerprint,
}

/// What is to be done about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The directory does not know the person.
    Enroll,
    /// The directory says something else of the person.
    Change,
    /// The directory says the same.
    Nothing,
}

/// A row of the file. Small: there are as many as people.
#[derive(Clone, Copy, Debug)]
struct Entry {
    fingerprint: Fingerprint,
    line: u32,
    /// The agency, as its place in [`Plan::agencies`]; the first bit says that the row is of a departed person.
    agency: u32,
    step: Step,
}

const DEPARTED: u32 = 1 << 31;

/// A person, shortened: 128 bits of the pseudonym are one person in practice.
type Short = [u8; 16];

/// What a file would do.
#[derive(Clone, Debug)]
pub struct Plan {
    scope: Scope,
    rows: HashMap<Short, Entry>,
    agencies: Vec<String>,
    places: HashMap<String, u32>,
    spared: HashSet<Short>,
    absent: Vec<PersonId>,
    leaving: BTreeMap<String, u64>,
    departing: u64,
}

/// How many people a file changes in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Rows that were accepted.
    pub accepted: u64,
    /// People whom the directory does not know yet.
    pub new: u64,
    /// People of whom the file says something else than the directory.
    pub changed: u64,
    /// People of whom it says the same.
    pub unchanged: u64,
    /// People in service who depart: by their row, or because they have none.
    pub departing: u64,
    /// Those of them who have no row.
    pub absent: u64,
}

impl Extent {
    /// Whether nothing is to be written.
    pub fn is_nothing(&self) -> bool {
        self.new == 0 && self.changed == 0 && self.absent == 0
    }
}

impl Plan {
    /// The plan of an empty file.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            rows: HashMap::new(),
            agencies: Vec::new(),
            places: HashMap::new(),
            spared: HashSet::new(),
            absent: Vec::new(),
            leaving: BTreeMap::new(),
            departing: 0,
        }
    }

    /// What the file speaks for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Takes a row.
    ///
    /// # Errors
    /// [`Reason`]: the row may not stand in such a file, or the person has a row already.
    pub fn take(&mut self, line: u64, listed: &Listed) -> Result<(), Reason> {
        self.scope.allows(listed)?;
        let key = short(&listed.id);
        if let Some(first) = self.rows.get(&key) {
            return Err(Reason::Duplicate(first.line.into()));
        }
        let departed = if listed.service == Service::Departed { DEPARTED } else { 0 };
        let entry = Entry {
            fingerprint: listed.fingerprint(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            agency: self.place(&listed.agency) | departed,
            step: Step::Enroll,
        };
        self.rows.insert(key, entry);
        Ok(())
    }

    /// Leaves somebody alone whose row was refused: they are in the file, whatever it says of them.
    pub fn spare(&mut self, person: &PersonId) {
        self.spared.insert(short(person));
    }

    fn place(&mut self, agency: &str) -> u32 {
        if let Some(place) = self.places.get(agency) {
            return *place;
        }
        let place = u32::try_from(self.agencies.len()).unwrap_or(0);
        self.agencies.push(agency.to_owned());
        self.places.insert(agency.to_owned(), place);
        place
    }

    /// Compares with a person whom the directory knows. Each may come once, in any order, after all rows were taken that
    /// could be of the person.
    pub fn meet(&mut self, known: &Known) {
        let serves = known.service == Service::InService;
        let Some(entry) = self.rows.get_mut(&short(&known.id)) else {
            let covered = match &self.scope {
                Scope::Changes => false,
                Scope::Agency(code) => known.agency == *code,
                Scope::Country => true,
            };
            if covered && serves && !self.spared.contains(&short(&known.id)) {
                self.absent.push(known.id.clone());
                self.depart(&known.agency);
            }
            return;
        };
        let departs = entry.agency & DEPARTED != 0;
        let agency = self.agencies.get((entry.agency & !DEPARTED) as usize);
        let moves = agency.is_none_or(|agency| *agency != known.agency);
        entry.step = if entry.fingerprint == known.fingerprint { Step::Nothing } else { Step::Change };
        match (serves, departs, moves) {
            (true, true, _) => self.depart(&known.agency),
            (true, false, true) => self.leave(&known.agency),
            _ => {}
        }
    }

    fn depart(&mut self, agency: &str) {
        self.departing = self.departing.saturating_add(1);
        self.leave(agency);
    }

    fn leave(&mut self, agency: &str) {
        if let Some(count) = self.leaving.get_mut(agency) {
            *count = count.saturating_add(1);
        } else {
            self.leaving.insert(agency.to_owned(), 1);
        }
    }

    /// Whether somebody has a row.
    pub fn has(&self, person: &PersonId) -> bool {
        self.rows.contains_key(&short(person))
    }

    /// What is to be done about the row on that line. A second row of the same person is nothing's reason.
    pub fn step(&self, line: u64, listed: &Listed) -> Step {
        match self.rows.get(&short(&listed.id)) {
            Some(entry) if u64::from(entry.line) == line => entry.step,
            _ => Step::Nothing,
        }
    }

    /// The people who depart because they have no row.
    pub fn absent(&self) -> &[PersonId] {
        &self.absent
    }

    /// How many people each agency would lose: they depart, or move to another one.
    pub fn leaving(&self) -> &BTreeMap<String, u64> {
        &self.leaving
    }

    /// How much the file changes.
    pub fn extent(&self) -> Extent {
        let mut extent = Extent {
            accepted: self.rows.len() as u64,
            departing: self.departing,
            absent: self.absent.len() as u64,
            ..Extent::default()
        };
        for entry in self.rows.values() {
            match entry.step {
                Step::Enroll => extent.new += 1,
                Step::Change => extent.changed += 1,
                Step::Nothing => extent.unchanged += 1,
            }
        }
        extent
    }
}

fn short(person: &PersonId) -> Short {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut short = [0; 16];
    // 22 characters are 132 bits; what is no pseudonym is told apart by its text.
    let bytes = person.as_str().as_bytes();
    let mut decoded = [0; 33];
    let decoded = match URL_SAFE_NO_PAD.decode_slice(bytes, &mut decoded) {
        Ok(length) => decoded.get(..length).unwrap_or_default(),
        Err(_) => bytes,
    };
    short.iter_mut().zip(decoded).for_each(|(to, from)| *to = *from);
    short
}

/// How many people a file may take from an agency. A file that is cut short, or of the wrong agency, would end the sign-ins of
/// everybody who is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The most of an agency's people in service, in percent.
    pub percent: u64,
    /// So many may leave any agency: a share says little of a small one.
    pub always: u64,
    /// So many in all were confirmed by whoever put the file: it is let through if no more leave.
    pub confirmed: u64,
}

/// An agency that a file would take too many people from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The agency's code.
    pub agency: String,
    /// How many would leave.
    pub leaving: u64,
    /// How many are in service now.
    pub in_service: u64,
}

impl Guard {
    /// Whether so many may leave an agency of any size.
    pub fn passes_any(&self, leaving: u64) -> bool {
        leaving <= self.always
    }

    /// The agencies that would lose too many; none when the file was confirmed.
    pub fn exceeded(
        &self,
        leaving: &BTreeMap<String, u64>,
        in_service: &HashMap<String, u64>,
    ) -> Vec<Exceeded> {
        let all = leaving.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        if all <= self.confirmed {
            return Vec::new();
        }
        let mut exceeded = Vec::new();
        for (agency, leaving) in leaving {
            let serving = in_service.get(agency).copied().unwrap_or_default();
            let share = leaving.saturating_mul(100) > serving.saturating_mul(self.percent);
            if !self.passes_any(*leaving) && share {
                exceeded.push(Exceeded { agency: agency.clone(), leaving: *leaving, in_service: serving });
            }
        }
        exceeded
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::pseudonym::TailDigest;

    fn listed(id: &str, agency: &str, service: Service, name: &str) -> Listed {
        Listed {
            id: PersonId::from_stored(id),
            tail: TailDigest::from_stored(""),
            name: name.to_owned(),
            agency: agency.to_owned(),
            agency_name: String::new(),
            service,
            roles: BTreeSet::new(),
            authorized_agencies: BTreeSet::new(),
        }
    }

    fn known(id: &str, agency: &str, service: Service) -> Known {
        let listed = listed(id, agency, service, "n");
        Known { fingerprint: listed.fingerprint(), id: listed.id, agency: listed.agency, service }
    }

    /// A plan out of rows and a directory, each as `id agency`, in capitals for those who have departed.
    fn plan(scope: Scope, rows: &str, directory: &str) -> Plan {
        let read = |text: &str| -> Vec<(String, String, Service)> {
            let parts = text.split(',').filter_map(|one| one.trim().split_once(' '));
            let service =
                |id: &str| if id.to_uppercase() == id { Service::Departed } else { Service::InService };
            parts.map(|(id, agency)| (id.to_lowercase(), agency.to_owned(), service(id))).collect()
        };
        let mut plan = Plan::new(scope);
        for (line, (id, agency, service)) in read(rows).into_iter().enumerate() {
            let listed = listed(&id, &agency, service, "n");
            if plan.take(line as u64 + 2, &listed).is_err() {
                plan.spare(&listed.id);
            }
        }
        for (id, agency, service) in read(directory) {
            plan.meet(&known(&id, &agency, service));
        }
        plan
    }

    #[test]
    fn what_a_file_does_by_what_it_speaks_for() {
        let agency = || Scope::Agency("1".to_owned());
        // accepted, new, changed, unchanged, departing, absent; and who leaves which agency
        let rows = [
            ("changes: the others are left alone", Scope::Changes, "a 1", "a 1, b 1", [1, 0, 0, 1, 0, 0], ""),
            ("changes: somebody new", Scope::Changes, "c 1", "a 1", [1, 1, 0, 0, 0, 0], ""),
            ("changes: a row departs", Scope::Changes, "A 1", "a 1, b 1", [1, 0, 1, 0, 1, 0], "1:1"),
            ("changes: departed already", Scope::Changes, "A 1", "A 1", [1, 0, 0, 1, 0, 0], ""),
            ("changes: a return", Scope::Changes, "a 1", "A 1", [1, 0, 1, 0, 0, 0], ""),
            ("changes: a move", Scope::Changes, "a 2", "a 1", [1, 0, 1, 0, 0, 0], "1:1"),
            ("changes: a departed one moves", Scope::Changes, "A 2", "A 1", [1, 0, 1, 0, 0, 0], ""),
            ("agency: who has no row departs", agency(), "a 1", "a 1, b 1, c 2", [1, 0, 0, 1, 1, 1], "1:1"),
            ("agency: departed already", agency(), "a 1", "a 1, B 1", [1, 0, 0, 1, 0, 0], ""),
            ("agency: rows of others are refused", agency(), "a 1, c 2", "a 1, c 2", [1, 0, 0, 1, 0, 0], ""),
            (
                "agency: a refused row departs nobody",
                agency(),
                "a 1, b 2",
                "a 1, b 1",
                [1, 0, 0, 1, 0, 0],
                "",
            ),
            ("agency: somebody comes over", agency(), "a 1, c 1", "a 1, c 2", [2, 0, 1, 1, 0, 0], "2:1"),
            (
                "country: who has no row departs",
                Scope::Country,
                "a 1",
                "a 1, b 1, c 2",
                [1, 0, 0, 1, 2, 2],
                "1:1 2:1",
            ),
            ("country: empty", Scope::Country, "", "a 1", [0, 0, 0, 0, 1, 1], "1:1"),
            ("twice in the file", Scope::Country, "a 1, a 2", "a 1", [1, 0, 0, 1, 0, 0], ""),
        ];
        for (what, scope, rows, directory, expected, leaving) in rows {
            let plan = plan(scope, rows, directory);
            let found = plan.extent();
            let found =
                [found.accepted, found.new, found.changed, found.unchanged, found.departing, found.absent];
            assert_eq!(found, expected, "{what}");
            let left: Vec<_> =
                plan.leaving().iter().map(|(agency, count)| format!("{agency}:{count}")).collect();
            assert_eq!(left.join(" "), leaving, "{what}");
        }
    }

    #[test]
    fn the_second_reading_writes_the_first_row_of_a_person() {
        let (one, other) =
            (listed("a", "1", Service::InService, "n"), listed("a", "1", Service::InService, "m"));
        let mut plan = Plan::new(Scope::Changes);
        assert_eq!(plan.take(2, &one), Ok(()));
        assert_eq!(plan.take(3, &other), Err(Reason::Duplicate(2)));
        assert_eq!((plan.step(2, &one), plan.step(3, &other)), (Step::Enroll, Step::Nothing));
        plan.meet(&known("a", "1", Service::InService));
        assert_eq!(plan.step(2, &one), Step::Nothing);
        let stranger = listed("z", "1", Service::InService, "n");
        assert_eq!(plan.step(9, &stranger), Step::Nothing);
    }

    #[test]
    fn a_file_may_take_only_so_many_people_from_an_agency() {
        let guard = Guard { percent: 20, always: 5, confirmed: 0 };
        // leaving, in service, confirmed, whether it is let through
        let rows = [
            (0, 0, 0, true),
            (5, 5, 0, true),
            (6, 29, 0, false),
            (6, 30, 0, true),
            (200, 1000, 0, true),
            (201, 1000, 0, false),
            (201, 1000, 200, false),
            (201, 1000, 201, true),
            (6, 0, 0, false),
        ];
        for (leaving, in_service, confirmed, through) in rows {
            let leaving = BTreeMap::from([("A".to_owned(), leaving)]);
            let in_service = HashMap::from([("A".to_owned(), in_service)]);
            let exceeded = Guard { confirmed, ..guard }.exceeded(&leaving, &in_service);
            assert_eq!(exceeded.is_empty(), through, "{leaving:?} of {in_service:?}, {confirmed} confirmed");
        }
        // Confirmed is a number for the whole file, so that a confirmed file cannot do more than was looked at.
        let leaving = BTreeMap::from([("A".to_owned(), 50), ("B".to_owned(), 50)]);
        let in_service = HashMap::from([("A".to_owned(), 60), ("B".to_owned(), 1000)]);
        let names = |confirmed| -> Vec<String> {
            let exceeded = Guard { confirmed, ..guard }.exceeded(&leaving, &in_service);
            exceeded.into_iter().map(|exceeded| exceeded.agency).collect()
        };
        assert_eq!((names(50), names(100)), (vec!["A".to_owned()], vec![]));
    }
}

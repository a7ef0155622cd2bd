//! What a roster changes: the file against the directory, before anything is written.
//!
//! The first reading of a file makes the plan, which holds some sixty bytes a person and none of their names; the second one
//! writes by it. So a file that would do harm is refused whole, and one that changes nothing is known as such.
//!
//! A plan takes the file's rows ([`Plan::take`], [`Plan::unreadable`]), meets the people whom the directory knows
//! ([`Plan::meet`]), and then is settled ([`Plan::settle`]): nothing is decided before everything is known, so that no order of
//! rows decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::facts::{self, Judged, Noted, Register, Said};
use super::{Fingerprint, Listed, Reason, Scope};
use crate::person::{Role, Service};
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
    /// The roles.
    pub roles: BTreeSet<Role>,
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
    /// What the row says of its agency, as its place in [`Plan::said`].
    said: u32,
    departed: bool,
    /// Whether the row was refused after it was taken.
    refused: bool,
    step: Step,
    known: Option<Met>,
}

/// What the directory knows of the person of a row.
#[derive(Clone, Copy, Debug)]
struct Met {
    fingerprint: Fingerprint,
    /// The agency, as its place in [`Plan::agencies`].
    agency: u32,
    serves: bool,
    /// Whether it is a head of HR or of the helpdesk.
    relied_on: bool,
    helpdesk: bool,
}

/// A person, shortened: 128 bits of the pseudonym are one person in practice.
type Short = [u8; 16];

/// What somebody has confirmed: numbers of the report of a file that did too much without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// So many people may leave their agencies.
    pub leaving: u64,
    /// So many people may come over from other agencies, by an agency's own file.
    pub joining: u64,
    /// So many agencies may get another name or OID.
    pub agencies: u64,
}

/// Somebody who moves from one agency to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The line.
    pub line: u64,
    /// The former agency's code.
    pub from: String,
}

/// What a file would do.
#[derive(Clone, Debug)]
pub struct Plan {
    scope: Scope,
    rows: HashMap<Short, Entry>,
    /// What rows say of agencies, and where each is that was said of a code.
    said: Vec<Said>,
    saying: HashMap<String, Vec<u32>>,
    /// The agencies of people whom the directory knows.
    agencies: Vec<String>,
    places: HashMap<String, u32>,
    /// Who is authorized in which other agencies.
    authorized: HashMap<String, Vec<Short>>,
    spared: HashSet<Short>,
    /// Rows that were refused and may be of anybody.
    unnamed: u64,
    /// People who would have departed for want of a row, had it not been for those.
    kept: u64,
    /// Rows that were taken, and refused by a later one.
    overruled: Vec<(u64, Reason)>,
    absent: Vec<PersonId>,
    leaving: BTreeMap<String, u64>,
    departing: u64,
    joining: u64,
    moves: Vec<Move>,
    judged: Judged,
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
    /// People who come over from other agencies by an agency's own file, or would if it were confirmed.
    pub joining: u64,
    /// Rows that were refused and may be of anybody.
    pub unnamed: u64,
    /// People who have no row, and stay because of those.
    pub kept: u64,
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
            said: Vec::new(),
            saying: HashMap::new(),
            agencies: Vec::new(),
            places: HashMap::new(),
            authorized: HashMap::new(),
            spared: HashSet::new(),
            unnamed: 0,
            kept: 0,
            overruled: Vec::new(),
            absent: Vec::new(),
            leaving: BTreeMap::new(),
            departing: 0,
            joining: 0,
            moves: Vec::new(),
            judged: Judged::default(),
        }
    }

    /// What the file speaks for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Takes a row, with the OID that it gives its agency.
    ///
    /// A row of a person in service counts more than one by which the same person departs: they left one agency and serve in
    /// another, and of a row that is out of date the harm is less. Two rows that say different things otherwise are both refused.
    ///
    /// # Errors
    /// [`Reason`]: the row may not stand in such a file, or another row of the person counts.
    pub fn take(&mut self, line: u64, listed: &Listed, oid: Option<&str>) -> Result<(), Reason> {
        let key = short(&listed.id);
        if let Err(reason) = self.scope.allows(listed) {
            self.spared.insert(key);
            return Err(reason);
        }
        let said = self.place_of_said(listed, oid);
        let departed = listed.service == Service::Departed;
        let entry = Entry {
            fingerprint: listed.fingerprint(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            said,
            departed,
            refused: false,
            step: Step::Enroll,
            known: None,
        };
        if let Some(former) = self.rows.get_mut(&key) {
            let first = u64::from(former.line);
            match (former.refused, former.departed, departed) {
                (true, ..) => return Err(Reason::Contradicts(first)),
                (false, true, false) => {
                    let known = former.known;
                    *former = Entry { known, ..entry };
                    self.overruled.push((first, Reason::Overruled(line)));
                }
                (false, false, true) => return Err(Reason::Overruled(first)),
                (false, ..) if former.fingerprint == entry.fingerprint && former.said == said => {
                    return Err(Reason::Duplicate(first));
                }
                (false, ..) => {
                    former.refused = true;
                    self.overruled.push((first, Reason::Contradicts(line)));
                    return Err(Reason::Contradicts(first));
                }
            }
        } else {
            self.rows.insert(key, entry);
        }
        if !departed {
            for agency in listed.authorized_agencies.iter().filter(|agency| **agency != listed.agency) {
                self.authorized.entry(agency.clone()).or_default().push(key);
            }
        }
        Ok(())
    }

    /// Takes note of a row that cannot be read: whose national ID stands in it is left alone, and if it may be anybody else's,
    /// nobody departs for want of a row.
    pub fn unreadable(&mut self, people: &[PersonId], of_others: bool) {
        self.spared.extend(people.iter().map(short));
        self.unnamed = self.unnamed.saturating_add(u64::from(of_others));
    }

    /// Where that is what a row says of its agency.
    fn place_of_said(&mut self, listed: &Listed, oid: Option<&str>) -> u32 {
        let places = self.saying.get(&listed.agency).map(Vec::as_slice).unwrap_or_default();
        let same = |place: &&u32| {
            self.said
                .get(**place as usize)
                .is_some_and(|said| said.name == listed.agency_name && said.oid.as_deref() == oid)
        };
        if let Some(place) = places.iter().find(same) {
            return *place;
        }
        let place = u32::try_from(self.said.len()).unwrap_or(u32::MAX);
        let (code, name) = (listed.agency.clone(), listed.agency_name.clone());
        self.said.push(Said { code: code.clone(), name, oid: oid.map(str::to_owned), rows: 0 });
        self.saying.entry(code).or_default().push(place);
        place
    }

    fn place(&mut self, agency: &str) -> u32 {
        if let Some(place) = self.places.get(agency) {
            return *place;
        }
        let place = u32::try_from(self.agencies.len()).unwrap_or(u32::MAX);
        self.agencies.push(agency.to_owned());
        self.places.insert(agency.to_owned(), place);
        place
    }

    /// Whether the file speaks of everybody in an agency.
    pub fn covers(&self, agency: &str) -> bool {
        match &self.scope {
            Scope::Changes => false,
            Scope::Agency(code) => agency == code,
            Scope::Country => true,
        }
    }

    /// Meets a person whom the directory knows. Each may come once, in any order; those who have no row, after all rows were
    /// taken.
    pub fn meet(&mut self, known: &Known) {
        let serves = known.service == Service::InService;
        let agency = self.place(&known.agency);
        if let Some(entry) = self.rows.get_mut(&short(&known.id)) {
            let helpdesk = known.roles.contains(&Role::Helpdesk);
            entry.known = Some(Met {
                fingerprint: known.fingerprint,
                agency,
                serves,
                relied_on: helpdesk || known.roles.contains(&Role::HrHead),
                helpdesk,
            });
            return;
        }
        if !self.covers(&known.agency) || !serves || self.spared.contains(&short(&known.id)) {
            return;
        }
        if self.unnamed > 0 {
            self.kept = self.kept.saturating_add(1);
            return;
        }
        self.absent.push(known.id.clone());
        self.depart(&known.agency);
    }

    /// The codes and the OIDs of agencies that the file has, of which the directory is to be asked.
    pub fn agencies_named(&self) -> (BTreeSet<&str>, BTreeSet<&str>) {
        let codes = self.saying.keys().chain(self.authorized.keys()).map(String::as_str);
        (codes.collect(), self.said.iter().filter_map(|said| said.oid.as_deref()).collect())
    }

    /// Whether the directory has people of an agency, as far as they were met.
    pub fn has_met(&self, agency: &str) -> bool {
        self.places.contains_key(agency)
    }

    /// Decides about every row, now that the whole file and everybody of it is known. Answers the rows that are refused after
    /// all, by their lines.
    pub fn settle(&mut self, register: &Register, confirmed: &Confirmed) -> Vec<(u64, Reason)> {
        let mut refused = std::mem::take(&mut self.overruled);
        self.count_said();
        let of_one = matches!(self.scope, Scope::Agency(_));
        self.judged = facts::judge(&self.said, register, confirmed.agencies, of_one);
        let mut rows = std::mem::take(&mut self.rows);
        // Who is authorized where nobody is.
        let mut unknown: HashMap<Short, &str> = HashMap::new();
        for (code, people) in &self.authorized {
            let in_file = self.saying.get(code).into_iter().flatten().any(|place| self.holds(*place));
            if !in_file && !register.knows(code) {
                unknown.extend(people.iter().map(|person| (*person, code.as_str())));
            }
        }
        for (person, entry) in rows.iter_mut().filter(|(_, entry)| !entry.refused) {
            let reason = match (
                self.judged.refused.get(entry.said as usize).cloned().flatten(),
                unknown.get(person),
            ) {
                (Some(reason), _) if !entry.departed => Some(reason),
                (_, Some(code)) if !entry.departed => Some(Reason::UnknownAgency((*code).to_owned())),
                _ if entry.departed && self.spared.contains(person) => Some(Reason::AnotherRefused),
                _ => self.against(entry),
            };
            if let Some(reason) = reason {
                entry.refused = true;
                refused.push((u64::from(entry.line), reason));
            }
        }
        let joins = |entry: &Entry| !entry.refused && !entry.departed && self.comes_over(entry).is_some();
        self.joining = if of_one { rows.values().filter(|entry| joins(entry)).count() as u64 } else { 0 };
        if self.joining > confirmed.joining {
            let from = |entry: &Entry| self.comes_over(entry).unwrap_or_default().to_owned();
            for entry in rows.values_mut() {
                if !entry.refused && !entry.departed && self.comes_over(entry).is_some() {
                    entry.refused = true;
                    refused.push((u64::from(entry.line), Reason::NotReleased(from(entry))));
                }
            }
        }
        for entry in rows.values_mut().filter(|entry| !entry.refused) {
            self.decide(entry);
        }
        self.rows = rows;
        self.moves.sort_unstable();
        refused.sort_by_key(|(line, _)| *line);
        refused
    }

    /// Whether what was said of an agency holds, and some row in service says it.
    fn holds(&self, place: u32) -> bool {
        let place = place as usize;
        self.said.get(place).is_some_and(|said| said.rows > 0)
            && self.judged.refused.get(place).is_some_and(Option::is_none)
    }

    /// Counts the rows in service by what they say of their agency.
    fn count_said(&mut self) {
        for entry in self.rows.values().filter(|entry| !entry.refused && !entry.departed) {
            if let Some(said) = self.said.get_mut(entry.said as usize) {
                said.rows = said.rows.saturating_add(1);
            }
        }
    }

    fn agency(&self, entry: &Entry) -> &str {
        self.said.get(entry.said as usize).map(|said| said.code.as_str()).unwrap_or_default()
    }

    fn former(&self, met: &Met) -> &str {
        self.agencies.get(met.agency as usize).map(String::as_str).unwrap_or_default()
    }

    /// The other agency in which the person of a row serves by what the directory knows.
    fn comes_over(&self, entry: &Entry) -> Option<&str> {
        let met = entry.known.as_ref().filter(|met| met.serves)?;
        let former = self.former(met);
        (former != self.agency(entry)).then_some(former)
    }

    /// What speaks against a row by where the person serves.
    fn against(&self, entry: &Entry) -> Option<Reason> {
        let met = entry.known.as_ref().filter(|met| met.serves)?;
        let elsewhere = self.comes_over(entry).map(str::to_owned);
        match (&self.scope, entry.departed, elsewhere) {
            // Of everybody: who serves nowhere by the file serves nowhere.
            (Scope::Country, ..) => None,
            (Scope::Changes | Scope::Agency(_), true, Some(agency)) => Some(Reason::ServesElsewhere(agency)),
            (Scope::Agency(_), false, Some(agency)) if met.relied_on => {
                Some(Reason::HasRoleElsewhere(agency))
            }
            (Scope::Agency(_), false, None) if met.helpdesk => Some(Reason::NotAnAgencysRoleToTake),
            _ => None,
        }
    }

    /// Decides what is to be done about a row that holds.
    fn decide(&mut self, entry: &mut Entry) {
        let Some(met) = entry.known else { return };
        entry.step = if entry.fingerprint == met.fingerprint { Step::Nothing } else { Step::Change };
        let former = self.former(&met).to_owned();
        let moves = former != self.agency(entry);
        if moves && !entry.departed {
            self.moves.push(Move { line: entry.line.into(), from: former.clone() });
        }
        match (met.serves, entry.departed, moves) {
            (true, true, _) => self.depart(&former),
            (true, false, true) => self.leave(&former),
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

    /// What is to be done about the row on that line. A row that was refused, or is not the one that counts, is nothing's reason.
    pub fn step(&self, line: u64, listed: &Listed) -> Step {
        match self.rows.get(&short(&listed.id)) {
            Some(entry) if u64::from(entry.line) == line && !entry.refused => entry.step,
            _ => Step::Nothing,
        }
    }

    /// Whether a row that was planned may still be written, where the directory knows the person otherwise by now: another run may
    /// have moved them meanwhile.
    pub fn still_allows(&self, listed: &Listed, agency: &str, service: Service) -> bool {
        if service == Service::Departed || agency == listed.agency || self.scope == Scope::Country {
            return true;
        }
        let met = self.rows.get(&short(&listed.id)).and_then(|entry| entry.known.as_ref());
        let as_planned = met.is_some_and(|met| met.serves && self.former(met) == agency);
        as_planned || (self.scope == Scope::Changes && listed.service == Service::InService)
    }

    /// The people who depart because they have no row.
    pub fn absent(&self) -> &[PersonId] {
        &self.absent
    }

    /// How many people each agency would lose: they depart, or move to another one.
    pub fn leaving(&self) -> &BTreeMap<String, u64> {
        &self.leaving
    }

    /// Who moves from one agency to another.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// The agencies of which the directory says something else than the file.
    pub fn agencies_changing(&self) -> &BTreeSet<String> {
        &self.judged.changing
    }

    /// The agencies that the directory does not know yet.
    pub fn agencies_new(&self) -> &BTreeSet<String> {
        &self.judged.new
    }

    /// The agencies to be written.
    pub fn agencies_noted(&self) -> &[Noted] {
        &self.judged.noted
    }

    /// How much the file changes.
    pub fn extent(&self) -> Extent {
        let mut extent = Extent {
            departing: self.departing,
            absent: self.absent.len() as u64,
            joining: self.joining,
            unnamed: self.unnamed,
            kept: self.kept,
            ..Extent::default()
        };
        for entry in self.rows.values().filter(|entry| !entry.refused) {
            extent.accepted += 1;
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
    use super::*;
    use crate::pseudonym::TailDigest;

    fn listed(id: &str, agency: &str, service: Service, name: &str) -> Listed {
        Listed {
            id: PersonId::from_stored(id),
            tail: TailDigest::from_stored(""),
            name: name.to_owned(),
            agency: agency.to_owned(),
            agency_name: "n".to_owned(),
            service,
            roles: BTreeSet::new(),
            authorized_agencies: BTreeSet::new(),
        }
    }

    fn known(id: &str, agency: &str, service: Service) -> Known {
        let listed = listed(id, agency, service, "n");
        Known {
            fingerprint: listed.fingerprint(),
            id: listed.id,
            agency: listed.agency,
            service,
            roles: BTreeSet::new(),
        }
    }

    /// People, each as `id agency`: in capitals who has departed; with `*` a head of HR, with `+` the helpdesk.
    fn people(text: &str) -> Vec<(String, String, Service, BTreeSet<Role>)> {
        let one = |(id, agency): (&str, &str)| {
            let roles = [('*', Role::HrHead), ('+', Role::Helpdesk)];
            let roles = roles.into_iter().filter(|(mark, _)| id.contains(*mark)).map(|(_, role)| role);
            let id = id.trim_end_matches(['*', '+']);
            let departed = id.to_uppercase() == id;
            let service = if departed { Service::Departed } else { Service::InService };
            (id.to_lowercase(), agency.to_owned(), service, roles.collect())
        };
        text.split(',').filter_map(|part| part.trim().split_once(' ')).map(one).collect()
    }

    /// A plan out of rows and a directory, settled; with the rows that were refused. A row `? …` cannot be read and is of the
    /// people behind it, or of nobody; the directory knows every agency.
    fn plan(scope: Scope, rows: &str, directory: &str, confirmed: Confirmed) -> (Plan, Vec<(u64, Reason)>) {
        let mut plan = Plan::new(scope);
        let mut refused = Vec::new();
        for (at, row) in rows.split(',').map(str::trim).filter(|row| !row.is_empty()).enumerate() {
            let line = at as u64 + 2;
            if let Some(of) = row.strip_prefix('?') {
                let of: Vec<PersonId> = of.split_whitespace().map(PersonId::from_stored).collect();
                plan.unreadable(&of, of.is_empty());
                continue;
            }
            let (id, agency, service, roles) = people(row).remove(0);
            let row = Listed { roles, ..listed(&id, &agency, service, "n") };
            refused.extend(plan.take(line, &row, None).err().map(|reason| (line, reason)));
        }
        for (id, agency, service, roles) in people(directory) {
            let row = Listed { roles: roles.clone(), ..listed(&id, &agency, service, "n") };
            plan.meet(&Known { roles, fingerprint: row.fingerprint(), ..known(&id, &agency, service) });
        }
        let listed = ["1", "2", "3"].map(str::to_owned).into();
        let register = Register { listed, ..Register::default() };
        refused.extend(plan.settle(&register, &confirmed));
        refused.sort_by_key(|(line, _)| *line);
        (plan, refused)
    }

    #[test]
    fn what_a_file_does_by_what_it_speaks_for() {
        let agency = || Scope::Agency("1".to_owned());
        // accepted, new, changed, unchanged, departing, absent; who leaves which agency; which lines are refused
        type Row<'r> = (&'r str, Scope, &'r str, &'r str, [u64; 6], &'r str, &'r [u64]);
        let rows: Vec<Row<'_>> = vec![
            (
                "changes: the others are left alone",
                Scope::Changes,
                "a 1",
                "a 1, b 1",
                [1, 0, 0, 1, 0, 0],
                "",
                &[],
            ),
            ("changes: somebody new", Scope::Changes, "c 1", "a 1", [1, 1, 0, 0, 0, 0], "", &[]),
            ("changes: a row departs", Scope::Changes, "A 1", "a 1, b 1", [1, 0, 1, 0, 1, 0], "1:1", &[]),
            ("changes: departed already", Scope::Changes, "A 1", "A 1", [1, 0, 0, 1, 0, 0], "", &[]),
            ("changes: a return", Scope::Changes, "a 1", "A 1", [1, 0, 1, 0, 0, 0], "", &[]),
            ("changes: a move", Scope::Changes, "a 2", "a 1", [1, 0, 1, 0, 0, 0], "1:1", &[]),
            ("changes: of a head", Scope::Changes, "a 2", "a* 1", [1, 0, 1, 0, 0, 0], "1:1", &[]),
            ("changes: a departed one moves", Scope::Changes, "A 2", "A 1", [1, 0, 1, 0, 0, 0], "", &[]),
            (
                "changes: who has moved does not depart by the former agency",
                Scope::Changes,
                "A 2",
                "a 1",
                [0; 6],
                "",
                &[2],
            ),
            (
                "agency: who has no row departs",
                agency(),
                "a 1",
                "a 1, b 1, c 2",
                [1, 0, 0, 1, 1, 1],
                "1:1",
                &[],
            ),
            ("agency: departed already", agency(), "a 1", "a 1, B 1", [1, 0, 0, 1, 0, 0], "", &[]),
            (
                "agency: rows of others are refused",
                agency(),
                "a 1, c 2",
                "a 1, c 2",
                [1, 0, 0, 1, 0, 0],
                "",
                &[3],
            ),
            (
                "agency: a refused row departs nobody",
                agency(),
                "a 1, b 2",
                "a 1, b 1",
                [1, 0, 0, 1, 0, 0],
                "",
                &[3],
            ),
            (
                "agency: an unreadable row departs nobody",
                agency(),
                "a 1, ? b",
                "a 1, b 1, c 1",
                [1, 0, 0, 1, 1, 1],
                "1:1",
                &[],
            ),
            (
                "agency: one of nobody keeps everybody",
                agency(),
                "a 1, ?",
                "a 1, b 1, c 1",
                [1, 0, 0, 1, 0, 0],
                "",
                &[],
            ),
            (
                "agency: somebody who serves elsewhere",
                agency(),
                "a 1, c 1",
                "a 1, c 2",
                [1, 0, 0, 1, 0, 0],
                "",
                &[3],
            ),
            (
                "agency: somebody who was released",
                agency(),
                "a 1, c 1",
                "a 1, C 2",
                [2, 0, 1, 1, 0, 0],
                "",
                &[],
            ),
            (
                "agency: another's person does not depart",
                agency(),
                "a 1, C 1",
                "a 1, c 2",
                [1, 0, 0, 1, 0, 0],
                "",
                &[3],
            ),
            (
                "agency: its helpdesk keeps the role",
                agency(),
                "a 1, d 1",
                "a 1, d+ 1",
                [1, 0, 0, 1, 0, 0],
                "",
                &[3],
            ),
            ("agency: nor is it given", agency(), "a 1, d+ 1", "a 1, d 1", [1, 0, 0, 1, 0, 0], "", &[3]),
            (
                "agency: its helpdesk departs",
                agency(),
                "a 1, D 1",
                "a 1, d+ 1",
                [2, 0, 1, 1, 1, 0],
                "1:1",
                &[],
            ),
            ("agency: its head is its own", agency(), "a 1, d 1", "a 1, d* 1", [2, 0, 1, 1, 0, 0], "", &[]),
            (
                "country: who has no row departs",
                Scope::Country,
                "a 1",
                "a 1, b 1, c 2",
                [1, 0, 0, 1, 2, 2],
                "1:1 2:1",
                &[],
            ),
            (
                "country: one of nobody keeps everybody",
                Scope::Country,
                "a 1, ?",
                "a 1, b 1, c 2",
                [1, 0, 0, 1, 0, 0],
                "",
                &[],
            ),
            (
                "country: who departs by a row serves nowhere",
                Scope::Country,
                "A 2",
                "a 1",
                [1, 0, 1, 0, 1, 0],
                "1:1",
                &[],
            ),
            ("country: empty", Scope::Country, "", "a 1", [0, 0, 0, 0, 1, 1], "1:1", &[]),
            ("twice the same", Scope::Country, "a 1, a 1", "a 1", [1, 0, 0, 1, 0, 0], "", &[3]),
            ("twice, otherwise: neither", Scope::Country, "a 1, a 2, a 1", "a 1", [0; 6], "", &[2, 3, 4]),
            (
                "left one agency, serves in another",
                Scope::Changes,
                "A 1, a 2",
                "a 1",
                [1, 0, 1, 0, 0, 0],
                "1:1",
                &[2],
            ),
            ("turned round", Scope::Changes, "a 2, A 1", "a 1", [1, 0, 1, 0, 0, 0], "1:1", &[3]),
            ("in the same agency", agency(), "A 1, a 1", "a 1", [1, 0, 0, 1, 0, 0], "", &[2]),
            ("another row of theirs cannot be read", agency(), "A 1, ? a", "a 1", [0; 6], "", &[2]),
            ("the other row is of another agency", agency(), "A 1, a 2", "a 1", [0; 6], "", &[2, 3]),
            ("twice departed, the same", Scope::Changes, "A 1, A 1", "a 1", [1, 0, 1, 0, 1, 0], "1:1", &[3]),
        ];
        for (what, scope, rows, directory, expected, leaving, refused) in rows {
            let (plan, found_refused) = plan(scope, rows, directory, Confirmed::default());
            let found = plan.extent();
            let found =
                [found.accepted, found.new, found.changed, found.unchanged, found.departing, found.absent];
            assert_eq!(found, expected, "{what}: {found_refused:?}");
            let left: Vec<_> =
                plan.leaving().iter().map(|(agency, count)| format!("{agency}:{count}")).collect();
            assert_eq!(left.join(" "), leaving, "{what}");
            let lines: Vec<u64> = found_refused.iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, refused, "{what}: {found_refused:?}");
        }
    }

    #[test]
    fn who_comes_over_by_an_agencys_file() {
        let agency = || Scope::Agency("1".to_owned());
        let joining = |number| Confirmed { joining: number, ..Confirmed::default() };
        let (rows, directory) = ("a 1, b 1, c 1, d 1", "a 1, b 2, c 3, d* 2");
        let (found, refused) = plan(agency(), rows, directory, joining(1));
        assert_eq!((found.extent().accepted, found.extent().joining), (1, 2), "more than was confirmed");
        let reasons: Vec<String> = refused.iter().map(|(_, reason)| reason.to_string()).collect();
        let serves = |code| {
            format!(
                "agency: the person serves in {code}, which has to release them first, or you confirm that they come"
            )
        };
        assert_eq!(reasons[..2], [serves("2"), serves("3")]);
        assert!(reasons[2].starts_with("agency: the person has a role in 2"), "{reasons:?}");
        let (found, refused) = plan(agency(), rows, directory, joining(2));
        assert_eq!((found.extent().accepted, refused.len()), (3, 1), "a head stays, whatever is confirmed");
        let moves: Vec<_> = found.moves().iter().map(|one| (one.line, one.from.as_str())).collect();
        assert_eq!(moves, [(3, "2"), (4, "3")]);
        let lost: Vec<_> = found.leaving().iter().map(|(agency, count)| (agency.as_str(), *count)).collect();
        assert_eq!(lost, [("2", 1), ("3", 1)]);
    }

    #[test]
    fn rows_that_nobody_can_read_are_told_with_who_stays_for_them() {
        let (plan, _) =
            plan(Scope::Agency("1".to_owned()), "a 1, ?, ? b, ?", "a 1, b 1, c 1, d 1", Confirmed::default());
        let extent = plan.extent();
        assert_eq!((extent.unnamed, extent.kept, extent.absent), (2, 2, 0));
    }

    #[test]
    fn an_authorization_needs_an_agency() {
        let rows = [("2", true), ("9", false), ("8", true)];
        for (named, known) in rows {
            let mut plan = Plan::new(Scope::Changes);
            let mut row = listed("a", "1", Service::InService, "n");
            row.authorized_agencies = BTreeSet::from([named.to_owned()]);
            plan.take(2, &row, None).unwrap();
            // The file itself makes 8.
            plan.take(3, &listed("b", "8", Service::InService, "n"), None).unwrap();
            let listed = ["1", "2"].map(str::to_owned).into();
            let refused = plan.settle(&Register { listed, ..Register::default() }, &Confirmed::default());
            let expected = if known { vec![] } else { vec![(2, Reason::UnknownAgency(named.to_owned()))] };
            assert_eq!(refused, expected, "{named}");
            assert_eq!(plan.agencies_new(), &BTreeSet::from(["8".to_owned()]));
        }
    }

    #[test]
    fn rows_with_wrong_facts_of_their_agency_leave_their_people_alone() {
        let mut plan = Plan::new(Scope::Country);
        plan.take(2, &listed("a", "1", Service::InService, "n"), Some("2.16.1")).unwrap();
        plan.take(3, &listed("b", "1", Service::InService, "n"), Some("2.16.2")).unwrap();
        for id in ["a", "b"] {
            plan.meet(&known(id, "1", Service::InService));
        }
        let mut register = Register::default();
        let recorded = facts::Recorded { name: "n".to_owned(), oids: ["2.16.1".to_owned()].into() };
        register.agencies.insert("1".to_owned(), recorded);
        let refused = plan.settle(&register, &Confirmed::default());
        assert_eq!(refused, [(3, Reason::OidChanged)]);
        assert_eq!((plan.extent().accepted, plan.extent().departing), (1, 0));
        assert_eq!(plan.agencies_changing().len(), 1);
    }

    #[test]
    fn the_second_reading_writes_the_row_that_counts() {
        let (one, other) =
            (listed("a", "1", Service::Departed, "n"), listed("a", "2", Service::InService, "n"));
        let mut plan = Plan::new(Scope::Changes);
        assert_eq!(plan.take(2, &one, None), Ok(()));
        assert_eq!(plan.take(3, &other, None), Ok(()));
        plan.meet(&known("a", "1", Service::InService));
        let refused = plan.settle(&Register::default(), &Confirmed::default());
        assert_eq!(refused, [(2, Reason::Overruled(3))]);
        assert_eq!((plan.step(2, &one), plan.step(3, &other)), (Step::Nothing, Step::Change));
        let stranger = listed("z", "1", Service::InService, "n");
        assert_eq!(plan.step(9, &stranger), Step::Nothing);
    }

    #[test]
    fn what_was_planned_is_not_written_over_what_has_come_since() {
        let row = |service| listed("a", "1", service, "n");
        let (serves, departed) = (Service::InService, Service::Departed);
        let agency = Scope::Agency("1".to_owned());
        // The file, the row, the directory at the plan, and where the person serves by now
        let rows = [
            (agency.clone(), serves, "A 2", "2", false),
            (agency.clone(), serves, "", "2", false),
            (agency.clone(), serves, "a 1", "1", true),
            (agency, departed, "a 1", "2", false),
            (Scope::Changes, departed, "a 1", "2", false),
            (Scope::Changes, serves, "a 1", "2", true),
            (Scope::Country, departed, "a 1", "2", true),
        ];
        for (scope, service, directory, now, expected) in rows {
            let capital = if service == departed { "A 1" } else { "a 1" };
            let (plan, refused) = plan(scope.clone(), capital, directory, Confirmed::default());
            assert_eq!(refused, []);
            let allowed = plan.still_allows(&row(service), now, Service::InService);
            assert_eq!(allowed, expected, "{scope:?} {service:?} {directory} {now}");
        }
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

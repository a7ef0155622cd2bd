//! Roster files: the personnel directory as CSV.
//!
//! UTF-8 with the header `national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies`. Bad rows are
//! refused one by one, with line and reason; good ones load. Reasons never repeat a row's values.
//!
//! [`file`] reads, [`plan`] compares with the directory and says what is to be written, and whether it may be.

pub mod file;
pub mod plan;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufReader, Read};

use aws_lc_rs::digest::{Context, SHA256};

pub use self::file::NotARoster;
use self::file::{Limits, Lines};
use crate::national_id::NationalId;
use crate::person::{Role, Service};
use crate::person_name;
use crate::pseudonym::{PersonId, Pseudonymizer, TailDigest};

/// The columns, in this order in our files; any order is read, and further columns are passed over.
pub const HEADER: [&str; 8] =
    ["national_id", "name", "agency", "agency_name", "agency_oid", "status", "roles", "authorized_agencies"];

/// What a roster file speaks for. Its key in the bucket says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `changes/…`: the people in it. Everybody else is left alone.
    Changes,
    /// `agencies/<code>/…`: the whole of an agency. Its people who are not in it depart; rows of others are refused.
    Agency(String),
    /// `country/…`: everybody. Who is not in it departs.
    Country,
}

impl Scope {
    /// The beginnings of the keys of rosters.
    pub const PREFIXES: [&str; 3] = ["agencies/", "changes/", "country/"];

    /// The scope of the file under that key; nothing for a key of another form.
    pub fn of_key(key: &str) -> Option<Self> {
        let name = |rest: &str| !rest.is_empty() && !rest.ends_with('/');
        if let Some(rest) = key.strip_prefix("changes/") {
            return name(rest).then_some(Self::Changes);
        }
        if let Some(rest) = key.strip_prefix("country/") {
            return name(rest).then_some(Self::Country);
        }
        let (code, rest) = key.strip_prefix("agencies/")?.split_once('/')?;
        (name(rest) && !code.is_empty()).then(|| Self::Agency(code.to_owned()))
    }

    /// Whether a newer file of `other` makes an older one of this out of date: they may speak of the same people.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Agency(one), Self::Agency(another)) => one == another,
            _ => true,
        }
    }

    /// Whether a row may stand in a file of this scope. An agency speaks of its own people, and gives them no rights beyond
    /// itself.
    ///
    /// # Errors
    /// [`Reason`].
    pub fn allows(&self, listed: &Listed) -> Result<(), Reason> {
        let Self::Agency(code) = self else { return Ok(()) };
        if listed.agency != *code {
            return Err(Reason::AnotherAgency);
        }
        if listed.roles.contains(&Role::Helpdesk) {
            return Err(Reason::NotAnAgencysRole);
        }
        if listed.authorized_agencies.iter().any(|agency| agency != code) {
            return Err(Reason::NotAnAgencysAuthorization);
        }
        Ok(())
    }
}

/// Why a row is refused: without its values, which are a person's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A line that is too long.
    #[error("a line longer than {} bytes", file::LONGEST_LINE)]
    LineTooLong,
    /// A quote without its counterpart.
    #[error("a quote is not closed on its line")]
    OpenQuote,
    /// Too many columns, or too few.
    #[error("{found} columns where {expected} are expected")]
    Columns {
        /// The row's.
        found: usize,
        /// The header's.
        expected: usize,
    },
    /// No national ID.
    #[error("national_id: wrong form or checksum")]
    NationalId,
    /// Nothing where there must be something.
    #[error("{0}: empty")]
    Empty(&'static str),
    /// Too much in a column.
    #[error("{0}: longer than {LONGEST} characters")]
    TooLong(&'static str),
    /// An unknown status.
    #[error("status: neither in_service nor departed")]
    Status,
    /// An unknown role.
    #[error("roles: not of hr_head, hr_staff, helpdesk")]
    Roles,
    /// No OID.
    #[error("agency_oid: not an OID")]
    Oid,
    /// An OID that the directory knows as another agency's.
    #[error("agency_oid: another agency's")]
    OidOfAnother,
    /// The same person again.
    #[error("the same national ID as line {0}")]
    Duplicate(u64),
    /// A person of another agency in an agency's file.
    #[error("agency: not the agency that the file is of")]
    AnotherAgency,
    /// A role beyond the agency, in an agency's file.
    #[error("roles: helpdesk is not an agency's to give")]
    NotAnAgencysRole,
    /// An authorization in another agency, in an agency's file.
    #[error("authorized_agencies: another agency is not this one's to give")]
    NotAnAgencysAuthorization,
}

/// The most characters of a name or a code.
const LONGEST: usize = 200;

/// The columns of a row.
struct Row<'a> {
    national_id: &'a str,
    name: &'a str,
    agency: &'a str,
    agency_name: &'a str,
    agency_oid: &'a str,
    status: &'a str,
    roles: &'a str,
    authorized_agencies: &'a str,
}

/// A person as a roster gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The person.
    pub id: PersonId,
    /// Digits to compare with a card's.
    pub tail: TailDigest,
    /// Full name, as [`person_name::written`] keeps it.
    pub name: String,
    /// The agency's code.
    pub agency: String,
    /// The agency's name.
    pub agency_name: String,
    /// In service or departed.
    pub service: Service,
    /// Roles.
    pub roles: BTreeSet<Role>,
    /// Agencies that the person may reset in.
    pub authorized_agencies: BTreeSet<String>,
}

/// What a roster says of a person, shortened: two are the same, or differ in something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 12]);

impl Listed {
    /// The fingerprint of the row.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut context = Context::new(&SHA256);
        let mut add = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        add(&self.name);
        add(&self.agency);
        add(&self.agency_name);
        add(self.tail.as_str());
        add(match self.service {
            Service::InService => "in_service",
            Service::Departed => "departed",
        });
        self.roles.iter().for_each(|role| add(role.code()));
        add("");
        self.authorized_agencies.iter().for_each(|agency| add(agency));
        let mut short = [0; 12];
        short.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Fingerprint(short)
    }
}

/// An agency as a roster gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agency {
    /// The code.
    pub code: String,
    /// The name.
    pub name: String,
    /// The organization OID, as its organization certificates carry it.
    pub oid: String,
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// The line in the file, the header being 1.
    pub line: u64,
    /// Why, without the row's values.
    pub reason: String,
}

/// A roster file, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The people.
    pub people: Vec<Listed>,
    /// Their agencies that have an OID.
    pub agencies: Vec<Agency>,
    /// The rows that were not taken.
    pub refused: Vec<RefusedRow>,
}

impl Roster {
    /// Reads a whole roster into memory: a small one.
    ///
    /// # Errors
    /// [`NotARoster`] when the header is not a roster's. Bad rows are no error.
    pub fn read(file: impl Read, pseudonyms: &Pseudonymizer) -> Result<Self, NotARoster> {
        let mut lines = Lines::open(BufReader::new(file), Limits::default(), pseudonyms.clone())?;
        let mut roster = Self::default();
        let mut seen: HashMap<PersonId, u64> = HashMap::new();
        let mut agencies: BTreeMap<String, Agency> = BTreeMap::new();
        while let Some(line) = lines.next_line()? {
            let row = line.row.and_then(|(listed, agency)| match seen.get(&listed.id) {
                Some(first) => Err(Reason::Duplicate(*first)),
                None => Ok((listed, agency)),
            });
            match row {
                Ok((listed, agency)) => {
                    seen.insert(listed.id.clone(), line.number);
                    roster.people.push(listed);
                    agencies.extend(agency.map(|agency| (agency.oid.clone(), agency)));
                }
                Err(reason) => {
                    roster.refused.push(RefusedRow { line: line.number, reason: reason.to_string() });
                }
            }
        }
        roster.agencies = agencies.into_values().collect();
        Ok(roster)
    }
}

/// Of whom a row is.
struct Named {
    id: PersonId,
    tail: TailDigest,
}

impl Row<'_> {
    fn person(&self, pseudonyms: &Pseudonymizer) -> Result<Named, Reason> {
        let national_id = NationalId::parse(self.national_id).map_err(|_| Reason::NationalId)?;
        let id = pseudonyms.person(&national_id);
        Ok(Named { tail: pseudonyms.tail(&id, national_id.last_four()), id })
    }

    fn listed(&self, person: &Named) -> Result<(Listed, Option<Agency>), Reason> {
        let name = person_name::written(self.name);
        let filled = [("name", name.as_str()), ("agency", self.agency), ("agency_name", self.agency_name)];
        for (column, value) in filled {
            if value.is_empty() {
                return Err(Reason::Empty(column));
            }
            if value.chars().count() > LONGEST {
                return Err(Reason::TooLong(column));
            }
        }
        let service = match self.status {
            "in_service" => Service::InService,
            "departed" => Service::Departed,
            _ => return Err(Reason::Status),
        };
        let roles = list(self.roles)
            .map(|role| match role {
                "hr_head" => Ok(Role::HrHead),
                "hr_staff" => Ok(Role::HrStaff),
                "helpdesk" => Ok(Role::Helpdesk),
                _ => Err(Reason::Roles),
            })
            .collect::<Result<_, _>>()?;
        let oid = self.agency_oid;
        if !oid.is_empty()
            && !oid.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(Reason::Oid);
        }
        let agency = (!oid.is_empty()).then(|| Agency {
            code: self.agency.to_owned(),
            name: self.agency_name.to_owned(),
            oid: oid.to_owned(),
        });
        let listed = Listed {
            tail: person.tail.clone(),
            id: person.id.clone(),
            name,
            agency: self.agency.to_owned(),
            agency_name: self.agency_name.to_owned(),
            service,
            roles,
            authorized_agencies: list(self.authorized_agencies).map(str::to_owned).collect(),
        };
        Ok((listed, agency))
    }
}

/// The parts of a `;`-separated list.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies\n";

    fn read(rows: &str) -> Roster {
        Roster::read(format!("{HEAD}{rows}").as_bytes(), &Pseudonymizer::new(&[1; 32])).unwrap()
    }

    #[test]
    fn good_rows() {
        let roster =
            read("A123456789,王大明,A01,甲機關,2.16.886.101.1,in_service,hr_head;hr_staff,A01;B01\n");
        assert_eq!(roster.refused, []);
        let person = &roster.people[0];
        assert_eq!(
            (person.name.as_str(), person.roles.len(), person.authorized_agencies.len()),
            ("王大明", 2, 2)
        );
        assert_eq!(roster.agencies[0].oid, "2.16.886.101.1");
    }

    #[test]
    fn a_national_id_is_one_in_whatever_spelling() {
        let row = |id: &str| format!("{id},王大明,A01,甲機關,,in_service,,\n");
        let expected = read(&row("A123456789")).people;
        for spelling in [
            "\u{200b}A123456789",
            "'A123456789",
            "A123-456-789",
            "=\"A123456789\"",
            "\"=\"\"A123456789\"\"\"",
        ] {
            assert_eq!(read(&row(spelling)).people, expected, "{spelling}");
        }
    }

    #[test]
    fn bad_rows_are_refused_with_line_and_reason_and_good_ones_load() {
        let rows = "A123456788,王大明,A01,甲機關,,in_service,,\n\
                    A123456789,王大明,A01,甲機關,,in_service,,\n\
                    A123456789,王小明,A01,甲機關,,in_service,,\n\
                    B123456780,林小華,A01,甲機關,,retired,,\n\
                    F131104093,陳一心,A01,甲機關,,in_service,boss,\n\
                    F131104093,陳一心,A01\n\
                    F131104093,,A01,甲機關,,in_service,,\n\
                    F131104093,陳一心,A01,甲機關,x.y,in_service,,\n";
        let roster = read(rows);
        assert_eq!(roster.people.len(), 1);
        let refused: Vec<String> =
            roster.refused.iter().map(|row| format!("{}: {}", row.line, row.reason)).collect();
        insta::assert_snapshot!(refused.join("\n"));
    }

    #[test]
    fn a_name_is_kept_without_what_cannot_be_seen() {
        let rows = "A123456789,甲\u{202E}乙\u{0},A01,甲機關,,in_service,,\n\
                    F131104093,\u{200B}\u{FEFF},A01,甲機關,,in_service,,\n";
        let roster = read(rows);
        let names: Vec<&str> = roster.people.iter().map(|person| person.name.as_str()).collect();
        assert_eq!(names, ["甲乙"]);
        let refused: Vec<&str> = roster.refused.iter().map(|row| row.reason.as_str()).collect();
        assert_eq!(refused, ["name: empty"], "a name of nothing that is seen is none");
    }

    #[test]
    fn another_file_is_no_roster() {
        let pseudonyms = Pseudonymizer::new(&[1; 32]);
        assert!(Roster::read("a,b\n1,2\n".as_bytes(), &pseudonyms).is_err());
        assert!(Roster::read("".as_bytes(), &pseudonyms).is_err());
        assert!(Roster::read(format!("\u{feff}{HEAD}").as_bytes(), &pseudonyms).unwrap().people.is_empty());
    }

    #[test]
    fn the_key_says_what_a_file_speaks_for() {
        let rows = [
            ("changes/2026-11-25.csv", Some(Scope::Changes)),
            ("changes/a/b.csv.gz", Some(Scope::Changes)),
            ("agencies/A01/a.csv", Some(Scope::Agency("A01".to_owned()))),
            ("country/2026.csv", Some(Scope::Country)),
            ("agencies/A01/", None),
            ("agencies/a.csv", None),
            ("agencies//a.csv", None),
            ("changes/", None),
            ("country", None),
            ("reports/changes/a.csv.json", None),
        ];
        for (key, scope) in rows {
            assert_eq!(Scope::of_key(key), scope, "{key}");
        }
    }

    #[test]
    fn an_agency_speaks_of_its_own_people_and_gives_no_rights_beyond_itself() {
        let row = |text: &str| read(&format!("A123456789,王大明,{text}\n")).people.remove(0);
        let agency = Scope::Agency("A01".to_owned());
        let rows = [
            ("A01,甲,,in_service,hr_head;hr_staff,A01", Ok(())),
            ("A01,甲,,departed,,", Ok(())),
            ("A02,乙,,in_service,,", Err(Reason::AnotherAgency)),
            ("A01,甲,,in_service,helpdesk,", Err(Reason::NotAnAgencysRole)),
            ("A01,甲,,in_service,hr_staff,A01;A02", Err(Reason::NotAnAgencysAuthorization)),
        ];
        for (text, expected) in rows {
            assert_eq!(agency.allows(&row(text)), expected, "{text}");
            assert_eq!(
                (Scope::Changes.allows(&row(text)), Scope::Country.allows(&row(text))),
                (Ok(()), Ok(()))
            );
        }
    }

    #[test]
    fn a_fingerprint_differs_with_every_column() {
        let row = |text: &str| read(&format!("A123456789,{text}\n")).people.remove(0).fingerprint();
        let rows = [
            "王大明,A01,甲,,in_service,hr_staff,A01",
            "王小明,A01,甲,,in_service,hr_staff,A01",
            "王大明,A02,甲,,in_service,hr_staff,A01",
            "王大明,A01,乙,,in_service,hr_staff,A01",
            "王大明,A01,甲,,departed,hr_staff,A01",
            "王大明,A01,甲,,in_service,hr_head,A01",
            "王大明,A01,甲,,in_service,,A01",
            "王大明,A01,甲,,in_service,hr_staff,A01;A02",
            "王大明,A01,甲,,in_service,hr_staff,",
            "王大,明A01,甲,,in_service,hr_staff,A01",
        ];
        for (at, one) in rows.iter().enumerate() {
            for (other_at, other) in rows.iter().enumerate() {
                assert_eq!(row(one) == row(other), at == other_at, "{one} {other}");
            }
        }
        assert_eq!(
            row("王大明,A01,甲,,in_service,hr_head;hr_staff,"),
            row("王大明, A01,甲,,in_service,hr_staff;hr_head,")
        );
    }
}

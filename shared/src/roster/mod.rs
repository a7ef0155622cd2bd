//! Roster files: the personnel directory as a table, in any form in which spreadsheets save one ([`crate::spreadsheet`]).
//!
//! Bad rows are refused one by one, with line and reason; good ones load. Reasons never repeat a row's values. What is not
//! understood is not absent: a refused row leaves its person as they are, and nobody departs for want of a row while there are
//! rows of which nobody knows whose they are.
//!
//! [`file`] reads, [`facts`] judges what a file says of agencies, [`plan`] compares with the directory and says what is to be
//! written, and whether it may be.

pub mod facts;
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
use crate::spreadsheet::{self, Column};
use crate::visible;

/// The columns, in this order in our files; any order is read, and further columns are passed over. All of them are required: a
/// file without roles says nothing about roles, which is not that nobody has one.
pub const COLUMNS: &[Column] = &[
    Column::required("national_id", spreadsheet::NATIONAL_ID),
    Column::required("name", &["姓名", "中文姓名"]),
    Column::required("agency", &["機關代碼", "機關代號", "服務機關代碼"]),
    Column::required("agency_name", &["機關名稱", "服務機關名稱", "機關", "服務機關"]),
    Column::required("agency_oid", &["機關OID", "機關物件識別碼", "OID"]),
    Column::required("status", &["狀態", "在職狀態", "現職狀態"]),
    Column::required("roles", &["角色", "人事角色"]),
    Column::required("authorized_agencies", &["兼辦機關", "授權機關", "兼辦機關代碼", "授權機關代碼"]),
];

/// What a status is called.
const STATUSES: &[(&str, Service)] = &[
    ("in_service", Service::InService),
    ("在職", Service::InService),
    ("在職中", Service::InService),
    ("現職", Service::InService),
    ("departed", Service::Departed),
    ("卸職", Service::Departed),
    ("離職", Service::Departed),
    ("已卸職", Service::Departed),
    ("已離職", Service::Departed),
];

/// What a role is called.
const ROLES: &[(&str, Role)] = &[
    ("hr_head", Role::HrHead),
    ("人事主管", Role::HrHead),
    ("hr_staff", Role::HrStaff),
    ("人事人員", Role::HrStaff),
    ("經授權的人事人員", Role::HrStaff),
    ("helpdesk", Role::Helpdesk),
    ("客服人員", Role::Helpdesk),
];

/// What separates the parts of a list: no code and no role has one of these in it.
const IN_LISTS: &[char] = &[';', '；', ',', '，', '、', '/', '|', ' '];

/// What spreadsheets write into a cell whose formula has failed.
const ERRORS: &[&str] =
    &["#N/A", "#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"];

/// The longest code of an agency.
const LONGEST_CODE: usize = 32;

/// An agency's code as codes are compared: NFKC, nothing hidden, upper case. Nothing, when it has not the form of one: letters,
/// digits, `.`, `-` and `_`, a letter or digit first.
pub fn agency_code(text: &str) -> Option<String> {
    let code = visible::only(text).to_ascii_uppercase();
    let begins = code.starts_with(|c: char| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (begins && code.len() <= LONGEST_CODE && code.chars().all(inner)).then_some(code)
}

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
        agency_code(code).filter(|_| name(rest)).map(Self::Agency)
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

/// Why a row is refused: without its values, which are a person's. Codes of agencies are none's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Not Big5, in a file that is.
    #[error("characters that are not Big5")]
    NotBig5,
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
    /// A formula that failed.
    #[error("{0}: what a spreadsheet writes for an error")]
    Formula(&'static str),
    /// No code of an agency.
    #[error("{0}: not a code: letters, digits and . - _, at most {LONGEST_CODE}")]
    Code(&'static str),
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
    #[error("agency_oid: the directory has it as that of {0}")]
    OidOfAnother(String),
    /// Another OID than the directory has for the agency.
    #[error("agency_oid: the directory has another one for this agency")]
    OidChanged,
    /// Another name than the directory has for the agency.
    #[error("agency_name: the directory has another one for this agency")]
    NameChanged,
    /// Another OID than most rows of the file have for the agency, or another agency than most have for the OID.
    #[error("agency_oid: other rows of the file say otherwise")]
    OidDisputed,
    /// Another name than most rows of the file have for the agency.
    #[error("agency_name: other rows of the file say otherwise")]
    NameDisputed,
    /// An agency that the directory does not know, in an agency's file.
    #[error("agency: the directory does not know it, and an agency's own file does not make one")]
    NewAgency,
    /// An authorization in an agency that neither the directory nor the file knows.
    #[error("authorized_agencies: nobody knows the agency {0}")]
    UnknownAgency(String),
    /// The same row again.
    #[error("the same national ID as line {0}")]
    Duplicate(u64),
    /// The same person with something else said of them; both rows are refused.
    #[error("the same national ID as line {0}, which says otherwise: neither counts")]
    Contradicts(u64),
    /// A row that departs somebody whom another row has in service.
    #[error("departed, but in service by line {0}, which counts")]
    Overruled(u64),
    /// A row that departs somebody of whom another row was refused.
    #[error("departed, but another line with the same national ID was refused: the person stays as they are")]
    AnotherRefused,
    /// A row that departs somebody who serves elsewhere by now.
    #[error("departed, but the person serves in {0} by now, and stays there")]
    ServesElsewhere(String),
    /// A row that takes in somebody who serves in another agency.
    #[error(
        "agency: the person serves in {0}, which has to release them first, or you confirm that they come"
    )]
    NotReleased(String),
    /// The same, of somebody whose role another agency relies on.
    #[error("agency: the person has a role in {0}, and comes over only once that has released them")]
    HasRoleElsewhere(String),
    /// A person of another agency in an agency's file.
    #[error("agency: not the agency that the file is of")]
    AnotherAgency,
    /// A role beyond the agency, in an agency's file.
    #[error("roles: helpdesk is not an agency's to give")]
    NotAnAgencysRole,
    /// The same, to be taken away.
    #[error("roles: helpdesk is not an agency's to take away")]
    NotAnAgencysRoleToTake,
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
    /// The agency's code, as [`agency_code`] leaves it.
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
        let mut lines = Lines::open(Box::new(BufReader::new(file)), Limits::default(), pseudonyms.clone())?;
        let mut roster = Self::default();
        let mut seen: HashMap<PersonId, u64> = HashMap::new();
        let mut agencies: BTreeMap<String, Agency> = BTreeMap::new();
        while let Some(line) = lines.next_line()? {
            let row = line.row.map_err(|refused| refused.reason);
            let row = row.and_then(|(listed, oid)| match seen.get(&listed.id) {
                Some(first) => Err(Reason::Duplicate(*first)),
                None => Ok((listed, oid)),
            });
            match row {
                Ok((listed, oid)) => {
                    seen.insert(listed.id.clone(), line.number);
                    if let Some(oid) = oid {
                        let (code, name) = (listed.agency.clone(), listed.agency_name.clone());
                        agencies.insert(oid.clone(), Agency { code, name, oid });
                    }
                    roster.people.push(listed);
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

impl<'a> Row<'a> {
    /// The cells of a roster's columns.
    fn of(row: &spreadsheet::Row<'a>) -> Self {
        let [national_id, name, agency, agency_name, agency_oid, status, roles, authorized_agencies] =
            row.cells();
        Self { national_id, name, agency, agency_name, agency_oid, status, roles, authorized_agencies }
    }

    /// The person, with the OID of their agency.
    fn listed(&self, pseudonyms: &Pseudonymizer) -> Result<(Listed, Option<String>), Reason> {
        let national_id = NationalId::parse(self.national_id).map_err(|_| Reason::NationalId)?;
        let cells = [
            ("name", self.name),
            ("agency", self.agency),
            ("agency_name", self.agency_name),
            ("agency_oid", self.agency_oid),
            ("status", self.status),
            ("roles", self.roles),
            ("authorized_agencies", self.authorized_agencies),
        ];
        for (column, cell) in cells {
            if ERRORS.contains(&cell) {
                return Err(Reason::Formula(column));
            }
            // Lists are as long as a line lets them be.
            let is_list = matches!(column, "roles" | "authorized_agencies");
            if !is_list && cell.chars().count() > LONGEST {
                return Err(Reason::TooLong(column));
            }
        }
        let (name, agency_name) = (person_name::written(self.name), visible::only(self.agency_name));
        let filled =
            [("name", name.as_str()), ("agency", self.agency), ("agency_name", agency_name.as_str())];
        for (column, value) in filled {
            if value.chars().all(visible::is_blank) {
                return Err(Reason::Empty(column));
            }
        }
        let agency = agency_code(self.agency).ok_or(Reason::Code("agency"))?;
        let service = named(STATUSES, self.status).ok_or(Reason::Status)?;
        let roles = list(self.roles);
        let roles =
            roles.iter().map(|role| named(ROLES, role).ok_or(Reason::Roles)).collect::<Result<_, _>>()?;
        let oid = visible::only(self.agency_oid);
        let is_arc = |arc: &str| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
        if !oid.is_empty() && !oid.split('.').all(is_arc) {
            return Err(Reason::Oid);
        }
        let authorized_agencies = list(self.authorized_agencies)
            .iter()
            .map(|code| agency_code(code).ok_or(Reason::Code("authorized_agencies")))
            .collect::<Result<_, _>>()?;
        let id = pseudonyms.person(&national_id);
        let tail = pseudonyms.tail(&id, national_id.last_four());
        let listed = Listed { id, tail, name, agency, agency_name, service, roles, authorized_agencies };
        Ok((listed, Some(oid).filter(|oid| !oid.is_empty())))
    }
}

/// What is called so, in whatever case.
fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Option<T> {
    let text = visible::only(text);
    names.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text)).map(|(_, meant)| *meant)
}

/// The parts of a list.
fn list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let shown = visible::only(text);
    shown.split(IN_LISTS).filter(|part| !part.is_empty()).map(str::to_owned).collect()
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
    fn codes_and_lists_as_people_write_them() {
        let codes = [
            ("A02", Some("A02")),
            (" ａ０２ ", Some("A02")),
            ("a\u{200b}02", Some("A02")),
            ("301000000A", Some("301000000A")),
            ("A-0.2_b", Some("A-0.2_B")),
            ("A02;A04", None),
            ("A 02", None),
            ("../A02", None),
            ("甲", None),
            ("", None),
            ("A23456789012345678901234567890123", None),
        ];
        for (text, expected) in codes {
            assert_eq!(agency_code(text).as_deref(), expected, "{text:?}");
        }
        for separator in [";", "；", ",", "，", "、", "/", "|", " ", " ; ", "；；"] {
            let row =
                format!("A123456789,王,ａ02,甲,,在職,\"hr_head{separator}人事人員\",\"A02{separator}a04\"\n");
            let roster = read(&row);
            assert_eq!(roster.refused, [], "{separator}");
            let person = &roster.people[0];
            assert_eq!((person.agency.as_str(), person.roles.len()), ("A02", 2), "{separator}");
            let named: Vec<&str> = person.authorized_agencies.iter().map(String::as_str).collect();
            assert_eq!(named, ["A02", "A04"], "{separator}");
        }
    }

    #[test]
    fn what_nobody_sees_does_not_come_in() {
        let roster =
            read("A123456789,甲\u{202e}乙\0,A\u{feff}01,甲\u{200b}機\u{2066}關,,in_service\u{ad},,\n");
        assert_eq!(roster.refused, []);
        let person = &roster.people[0];
        assert_eq!(
            (person.name.as_str(), person.agency.as_str(), person.agency_name.as_str()),
            ("甲乙", "A01", "甲機關")
        );
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
            ("agencies/a０1/a.csv", Some(Scope::Agency("A01".to_owned()))),
            ("agencies/a b/a.csv", None),
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
            "王大明A,01,甲,,in_service,hr_staff,A01",
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

//! Roster files: the personnel directory as CSV.
//!
//! UTF-8 with the header `national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies`. Bad rows are
//! refused one by one, with line and reason; good ones load. Reasons never repeat a row's values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::Deserialize;

use crate::national_id::NationalId;
use crate::person::{Role, Service};
use crate::pseudonym::{PersonId, Pseudonymizer, TailDigest};

/// The columns, in this order in our files; any order is read.
pub const HEADER: [&str; 8] =
    ["national_id", "name", "agency", "agency_name", "agency_oid", "status", "roles", "authorized_agencies"];

#[derive(Deserialize)]
struct Row {
    national_id: String,
    name: String,
    agency: String,
    agency_name: String,
    #[serde(default)]
    agency_oid: String,
    status: String,
    #[serde(default)]
    roles: String,
    #[serde(default)]
    authorized_agencies: String,
}

/// A person as a roster gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The person.
    pub id: PersonId,
    /// Digits to compare with a card's.
    pub tail: TailDigest,
    /// Full name, NFKC.
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

/// The file is not a roster at all.
#[derive(Debug, thiserror::Error)]
#[error("not a roster: {0}")]
pub struct NotARoster(String);

impl Roster {
    /// Reads a roster.
    ///
    /// # Errors
    /// [`NotARoster`] when the header is not a roster's. Bad rows are no error.
    pub fn read(file: impl Read, pseudonyms: &Pseudonymizer) -> Result<Self, NotARoster> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(file);
        let mut header = reader.headers().map_err(|error| NotARoster(error.to_string()))?.clone();
        // Spreadsheets begin a UTF-8 file with a byte order mark.
        if let Some(first) = header.get(0).and_then(|name| name.strip_prefix('\u{feff}')).map(str::to_owned) {
            header = std::iter::once(first.as_str()).chain(header.iter().skip(1)).collect();
        }
        let missing: Vec<_> =
            HEADER.iter().filter(|name| !header.iter().any(|column| column == **name)).collect();
        if !missing.is_empty() {
            return Err(NotARoster(format!("missing columns {missing:?}")));
        }
        let mut roster = Self::default();
        let mut lines: HashMap<PersonId, u64> = HashMap::new();
        let mut agencies: BTreeMap<String, Agency> = BTreeMap::new();
        let mut record = csv::StringRecord::new();
        loop {
            let taken = match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    record.deserialize::<Row>(Some(&header)).map_err(|_| "a column is missing".to_owned())
                }
                Err(error) => Err(match error.kind() {
                    csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("{len} columns where {expected_len} are expected")
                    }
                    _ => "unreadable".to_owned(),
                }),
            };
            let line = record.position().map_or_else(|| reader.position().line(), csv::Position::line);
            let taken = taken.and_then(|row| row.listed(pseudonyms)).and_then(|(listed, agency)| match lines
                .get(&listed.id)
            {
                Some(first) => Err(format!("the same national ID as line {first}")),
                None => Ok((listed, agency)),
            });
            match taken {
                Ok((listed, agency)) => {
                    lines.insert(listed.id.clone(), line);
                    roster.people.push(listed);
                    if let Some(agency) = agency {
                        agencies.insert(agency.oid.clone(), agency);
                    }
                }
                Err(reason) => roster.refused.push(RefusedRow { line, reason }),
            }
        }
        roster.agencies = agencies.into_values().collect();
        Ok(roster)
    }
}

impl Row {
    fn listed(self, pseudonyms: &Pseudonymizer) -> Result<(Listed, Option<Agency>), String> {
        let national_id = NationalId::parse(&self.national_id)
            .map_err(|_| "national_id: wrong form or checksum".to_owned())?;
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        let name = nfkc.normalize(&self.name).trim().to_owned();
        let filled = [("name", &name), ("agency", &self.agency), ("agency_name", &self.agency_name)];
        if let Some((column, _)) = filled.iter().find(|(_, value)| value.is_empty()) {
            return Err(format!("{column}: empty"));
        }
        let service = match self.status.as_str() {
            "in_service" => Service::InService,
            "departed" => Service::Departed,
            _ => return Err("status: neither in_service nor departed".to_owned()),
        };
        let roles = list(&self.roles)
            .map(|role| match role {
                "hr_head" => Ok(Role::HrHead),
                "hr_staff" => Ok(Role::HrStaff),
                "helpdesk" => Ok(Role::Helpdesk),
                _ => Err("roles: not of hr_head, hr_staff, helpdesk".to_owned()),
            })
            .collect::<Result<_, _>>()?;
        let oid = self.agency_oid;
        if !oid.is_empty()
            && !oid.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err("agency_oid: not an OID".to_owned());
        }
        let agency = (!oid.is_empty()).then(|| Agency {
            code: self.agency.clone(),
            name: self.agency_name.clone(),
            oid,
        });
        let id = pseudonyms.person(&national_id);
        let listed = Listed {
            tail: pseudonyms.tail(&id, national_id.last_four()),
            id,
            name,
            agency: self.agency,
            agency_name: self.agency_name,
            service,
            roles,
            authorized_agencies: list(&self.authorized_agencies).map(str::to_owned).collect(),
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
    fn another_file_is_no_roster() {
        let pseudonyms = Pseudonymizer::new(&[1; 32]);
        assert!(Roster::read("a,b\n1,2\n".as_bytes(), &pseudonyms).is_err());
        assert!(Roster::read("".as_bytes(), &pseudonyms).is_err());
        assert!(Roster::read(format!("\u{feff}{HEAD}").as_bytes(), &pseudonyms).unwrap().people.is_empty());
    }
}

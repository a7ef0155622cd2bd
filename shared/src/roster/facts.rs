//! What a file says of agencies: their codes, names and OIDs.
//!
//! An organization certificate signs in as the agency whose OID it carries. So whoever changes an OID gives an agency's people
//! away, and a spreadsheet does it by filling a column down. A file may say of an agency what the directory does not know yet;
//! what contradicts the directory is refused until somebody has confirmed how many agencies change; and where the rows of a file
//! contradict each other, what most of them say holds, and nothing where there is no such majority. No order of rows decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Reason;

/// What some rows of a file say of an agency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The code.
    pub code: String,
    /// The name.
    pub name: String,
    /// The OID, where they give one.
    pub oid: Option<String>,
    /// How many rows of people in service say so.
    pub rows: u64,
}

/// What the directory knows of an agency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The name.
    pub name: String,
    /// The OIDs, more than one after a change: certificates with the former one are still out.
    pub oids: BTreeSet<String>,
}

/// What the directory knows of the agencies of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// By code.
    pub agencies: HashMap<String, Recorded>,
    /// Whose an OID is: the agency's code.
    pub owners: HashMap<String, String>,
    /// Agencies of which nothing is recorded, but that have people.
    pub listed: HashSet<String>,
}

impl Register {
    /// Whether the directory knows an agency.
    pub fn knows(&self, code: &str) -> bool {
        self.agencies.contains_key(code) || self.listed.contains(code)
    }

    /// How something that is said contradicts what is known.
    fn contradicted(&self, said: &Said) -> Option<Reason> {
        let recorded = self.agencies.get(&said.code);
        if let Some(oid) = &said.oid {
            if let Some(owner) = self.owners.get(oid).filter(|owner| **owner != said.code) {
                return Some(Reason::OidOfAnother(owner.clone()));
            }
            if recorded.is_some_and(|known| !known.oids.is_empty() && !known.oids.contains(oid)) {
                return Some(Reason::OidChanged);
            }
        }
        let renamed = recorded.is_some_and(|known| !is_one_name(&known.name, &said.name));
        renamed.then_some(Reason::NameChanged)
    }
}

/// Whether two names are one, written in two ways: with blanks or without, 臺 or 台.
fn is_one_name(one: &str, other: &str) -> bool {
    let shown = |name: &str| -> String {
        name.chars().filter(|c| !c.is_whitespace()).map(|c| if c == '台' { '臺' } else { c }).collect()
    };
    one == other || shown(one) == shown(other)
}

/// An agency to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The code.
    pub code: String,
    /// The name.
    pub name: String,
    /// The OIDs that the directory does not have as this agency's yet, each with whose it was.
    pub oids: BTreeMap<String, Option<String>>,
    /// The OIDs that it has already.
    pub kept: BTreeSet<String>,
}

/// What comes of what a file says of agencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// For each thing that was said, why its rows are refused, if they are.
    pub refused: Vec<Option<Reason>>,
    /// The agencies of which the directory says something else: they change, if that was confirmed.
    pub changing: BTreeSet<String>,
    /// The agencies that the directory does not know yet.
    pub new: BTreeSet<String>,
    /// What is to be written.
    pub noted: Vec<Noted>,
}

/// Judges what a file says. `confirmed` is how many agencies may change; an agency's own file (`of_one`) makes no new one, unless
/// it was confirmed as well.
pub fn judge(said: &[Said], register: &Register, confirmed: u64, of_one: bool) -> Judged {
    let counts = |said: &Said| said.rows > 0;
    let mut judged = Judged { refused: vec![None; said.len()], ..Judged::default() };
    for (said, refused) in said.iter().zip(&mut judged.refused).filter(|(said, _)| counts(said)) {
        *refused = match (register.contradicted(said), of_one && !register.knows(&said.code)) {
            (None, true) => Some(Reason::NewAgency),
            (contradicted, _) => contradicted,
        };
        if refused.is_some() {
            judged.changing.insert(said.code.clone());
        }
    }
    if judged.changing.len() as u64 <= confirmed {
        judged.refused.fill(None);
    }
    let mut names: Votes<'_> = Votes::default();
    let mut oids: Votes<'_> = Votes::default();
    let mut owners: Votes<'_> = Votes::default();
    for (said, _) in
        said.iter().zip(&judged.refused).filter(|(said, refused)| counts(said) && refused.is_none())
    {
        names.add(&said.code, &said.name, said.rows);
        if let Some(oid) = &said.oid {
            oids.add(&said.code, oid, said.rows);
            owners.add(oid, &said.code, said.rows);
        }
    }
    for (said, refused) in said.iter().zip(&mut judged.refused) {
        if !counts(said) || refused.is_some() {
            continue;
        }
        let name = names.winner(&said.code).is_none_or(|name| !is_one_name(name, &said.name));
        let oid = said.oid.as_ref().is_some_and(|oid| {
            oids.winner(&said.code) != Some(oid.as_str()) || owners.winner(oid) != Some(said.code.as_str())
        });
        *refused = match (oid, name) {
            (true, _) => Some(Reason::OidDisputed),
            (false, true) => Some(Reason::NameDisputed),
            (false, false) => None,
        };
    }
    let mut noted: BTreeMap<&str, Noted> = BTreeMap::new();
    for (said, _) in
        said.iter().zip(&judged.refused).filter(|(said, refused)| counts(said) && refused.is_none())
    {
        let recorded = register.agencies.get(&said.code);
        if recorded.is_none() && !register.knows(&said.code) {
            judged.new.insert(said.code.clone());
        }
        let noted = noted.entry(&said.code).or_insert_with(|| {
            // A name that is only written otherwise stays as it is.
            let name = match (recorded, names.winner(&said.code)) {
                (Some(known), Some(name)) if is_one_name(&known.name, name) => &known.name,
                (_, Some(name)) => name,
                (_, None) => &said.name,
            };
            let kept = recorded.map(|known| known.oids.clone()).unwrap_or_default();
            Noted { code: said.code.clone(), name: name.to_owned(), oids: BTreeMap::new(), kept }
        });
        if let Some(oid) = said.oid.as_ref().filter(|oid| !noted.kept.contains(*oid)) {
            let owner = register.owners.get(oid).filter(|owner| **owner != said.code);
            noted.oids.insert(oid.clone(), owner.cloned());
        }
    }
    let as_it_is = |noted: &Noted| {
        noted.oids.is_empty()
            && register.agencies.get(&noted.code).is_some_and(|known| known.name == noted.name)
    };
    judged.noted = noted.into_values().filter(|noted| !as_it_is(noted)).collect();
    judged
}

/// How many rows say what of something.
#[derive(Default)]
struct Votes<'s>(HashMap<&'s str, HashMap<&'s str, u64>>);

impl<'s> Votes<'s> {
    fn add(&mut self, of: &'s str, what: &'s str, rows: u64) {
        let count = self.0.entry(of).or_default().entry(what).or_default();
        *count = count.saturating_add(rows);
    }

    /// What more rows say than anything else; nothing of a tie.
    fn winner(&self, of: &str) -> Option<&'s str> {
        let votes = self.0.get(of)?;
        let most = votes.values().max()?;
        let mut with_most = votes.iter().filter(|(_, count)| *count == most);
        match (with_most.next(), with_most.next()) {
            (Some((what, _)), None) => Some(what),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Things said, each as `code name oid rows`.
    fn said(text: &str) -> Vec<Said> {
        let one = |text: &str| {
            let mut parts = text.split_whitespace().map(str::to_owned);
            let mut next = || parts.next().unwrap();
            let (code, name, oid) = (next(), next(), next());
            Said { code, name, oid: Some(oid).filter(|oid| oid != "-"), rows: next().parse().unwrap() }
        };
        text.split(", ").filter(|part| !part.is_empty()).map(one).collect()
    }

    /// A register out of `code name oid`.
    fn register(text: &str) -> Register {
        let mut register = Register::default();
        for part in text.split(", ").filter(|part| !part.is_empty()) {
            let [code, name, oid] = part.split(' ').collect::<Vec<_>>()[..] else { panic!("{part}") };
            let recorded = register.agencies.entry(code.to_owned()).or_default();
            recorded.name = name.to_owned();
            if oid != "-" {
                recorded.oids.insert(oid.to_owned());
                register.owners.insert(oid.to_owned(), code.to_owned());
            }
        }
        register
    }

    #[test]
    fn what_a_file_may_say_of_agencies() {
        use Reason::{NameChanged, NameDisputed, NewAgency, OidChanged, OidDisputed};
        let other = |code: &str| Some(Reason::OidOfAnother(code.to_owned()));
        let known = "A 甲 1, B 乙 2, C 丙 -";
        // What, what is said, confirmed, of one agency; why refused, which change, which are new, which are written
        type Row<'r> = (&'r str, &'r str, u64, bool, Vec<Option<Reason>>, &'r str, &'r str, &'r str);
        let rows: Vec<Row<'_>> = vec![
            ("as it is", "A 甲 1 9, C 丙 - 1", 0, false, vec![None, None], "", "", ""),
            ("no OID says nothing of it", "A 甲 - 9", 0, true, vec![None], "", "", ""),
            ("filled down", "A 甲 1 1, A 甲 2 1", 0, false, vec![None, other("B")], "A", "", ""),
            ("turned round", "A 甲 2 1, A 甲 1 1", 0, false, vec![other("B"), None], "A", "", ""),
            ("another OID", "A 甲 3 9", 0, true, vec![Some(OidChanged)], "A", "", ""),
            ("another name", "A 申 1 9, B 乙 2 1", 0, false, vec![Some(NameChanged), None], "A", "", ""),
            ("the same, confirmed", "A 申 1 9, B 乙 2 1", 1, false, vec![None, None], "A", "", "A"),
            (
                "more than was confirmed",
                "A 申 1 9, B 巳 2 1",
                1,
                false,
                vec![Some(NameChanged); 2],
                "A B",
                "",
                "",
            ),
            ("an OID moves, confirmed", "A 甲 2 9", 1, false, vec![None], "A", "", "A"),
            (
                "confirmed, and of two minds",
                "A 申 1 1, A 由 1 1",
                1,
                false,
                vec![Some(NameDisputed); 2],
                "A",
                "",
                "",
            ),
            (
                "confirmed, and the former name in some rows",
                "A 申 1 9, A 甲 1 1",
                1,
                false,
                vec![None, Some(NameDisputed)],
                "A",
                "",
                "A",
            ),
            ("a first OID", "C 丙 3 9", 0, true, vec![None], "", "", "C"),
            ("a new agency", "D 丁 4 9", 0, false, vec![None], "", "D", "D"),
            ("in its own file", "D 丁 4 9", 0, true, vec![Some(NewAgency)], "D", "", ""),
            ("in its own file, confirmed", "D 丁 4 9", 1, true, vec![None], "D", "D", "D"),
            ("a new one with another's OID", "D 丁 2 9", 0, false, vec![other("B")], "D", "", ""),
            (
                "new, and of two minds about its OID",
                "D 丁 4 1, D 丁 5 1",
                0,
                false,
                vec![Some(OidDisputed); 2],
                "",
                "",
                "",
            ),
            (
                "new, most rows say one OID",
                "D 丁 5 1, D 丁 4 9",
                0,
                false,
                vec![Some(OidDisputed), None],
                "",
                "D",
                "D",
            ),
            (
                "two new ones with one OID",
                "D 丁 4 1, E 戊 4 1",
                0,
                false,
                vec![Some(OidDisputed); 2],
                "",
                "",
                "",
            ),
            (
                "new, most rows say one name",
                "D 丁 4 9, D 仃 4 1",
                0,
                false,
                vec![None, Some(NameDisputed)],
                "",
                "D",
                "D",
            ),
            (
                "who departed says nothing of agencies",
                "A 申 2 0, D 丁 4 0",
                0,
                false,
                vec![None, None],
                "",
                "",
                "",
            ),
        ];
        for (what, text, confirmed, of_one, refused, changing, new, noted) in rows {
            let judged = judge(&said(text), &register(known), confirmed, of_one);
            assert_eq!(judged.refused, refused, "{what}");
            let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
            assert_eq!(
                (list(&judged.changing).as_str(), list(&judged.new).as_str()),
                (changing, new),
                "{what}"
            );
            let written: Vec<&str> = judged.noted.iter().map(|noted| noted.code.as_str()).collect();
            assert_eq!(written.join(" "), noted, "{what}");
        }
    }

    #[test]
    fn an_oid_that_moves_leaves_its_former_agency() {
        let judged = judge(&said("A 甲 2 9"), &register("A 甲 1, B 乙 2"), 1, false);
        let [noted] = judged.noted.as_slice() else { panic!("{judged:?}") };
        assert_eq!(noted.oids, BTreeMap::from([("2".to_owned(), Some("B".to_owned()))]));
        assert_eq!(noted.kept, BTreeSet::from(["1".to_owned()]));
    }

    #[test]
    fn a_name_that_is_written_otherwise_is_the_same() {
        for (one, other, same) in
            [("臺北市政府", "台北市政府", true), ("甲 機關", "甲機關", true), ("甲機關", "乙機關", false)]
        {
            assert_eq!(is_one_name(one, other), same, "{one} {other}");
        }
        let mut register = register("A 臺北 1");
        register.listed.insert("B".to_owned());
        let judged = judge(&said("A 台北 1 3, B 乙 2 1"), &register, 0, true);
        assert_eq!((judged.refused, judged.new.len()), (vec![None, None], 0));
        assert_eq!(judged.noted.len(), 1, "what has people is noted, and is not new");
    }
}

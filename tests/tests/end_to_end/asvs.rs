//! OWASP ASVS 5.0, level 2, row by row: what it asks, how it is met, and what shows it. The table is `tests/asvs/table.toml`;
//! nothing in it names a test or a sentence that is not there, and no requirement is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What becomes of a requirement.
const VERDICTS: [&str; 4] = ["holds", "partly", "open", "does not apply"];

/// A row of the table.
#[derive(Clone, Debug, Default)]
struct Row {
    requirement: String,
    asks: String,
    verdict: String,
    how: String,
    tests: Vec<String>,
    /// Files, and a text that stands in each.
    says: Vec<(String, String)>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

fn rows() -> Vec<Row> {
    let table: toml::Table = read("tests/asvs/table.toml").unwrap().parse().unwrap();
    assert_eq!(table.keys().collect::<Vec<_>>(), ["row"], "a table of rows and nothing else");
    let text = |row: &toml::Table, key: &str| match row.get(key) {
        Some(value) => value.as_str().unwrap_or_else(|| panic!("{key} of {row:?}")).to_owned(),
        None => String::new(),
    };
    let list = |row: &toml::Table, key: &str| row.get(key).map_or(vec![], |v| v.as_array().unwrap().clone());
    let row = |row: &toml::Value| {
        let row = row.as_table().unwrap();
        let says = list(row, "says");
        let says = says.iter().map(|place| place.as_table().unwrap());
        Row {
            requirement: text(row, "requirement"),
            asks: text(row, "asks"),
            verdict: text(row, "verdict"),
            how: text(row, "how"),
            tests: list(row, "tests").iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            says: says.map(|place| (text(place, "file"), text(place, "text"))).collect(),
        }
    };
    table["row"].as_array().unwrap().iter().map(row).collect()
}

/// The requirements, with their levels.
fn requirements() -> BTreeMap<String, u8> {
    let list = read("tests/asvs/requirements.txt").unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let entry = |line: &str| {
        let (number, level) = line.split_once(' ').unwrap();
        (number.to_owned(), level.parse().unwrap())
    };
    lines.map(entry).collect()
}

/// Whether a source in Rust has a test of that name: the function, with an attribute right above it that makes it one.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let is_test = |at: usize| {
        let above = lines[..at].iter().rev();
        let mut attributes = above.take_while(|line| line.starts_with("#[") || line.starts_with("///"));
        attributes.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    };
    (0..lines.len()).any(|at| declares(lines[at]) && is_test(at))
}

/// What is wrong with a row.
fn faults(row: &Row) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("{}: {what}", row.requirement));
    if !VERDICTS.contains(&row.verdict.as_str()) {
        fault(format!("{:?} is no verdict", row.verdict));
    }
    for (what, text) in [("asks", &row.asks), ("how", &row.how)] {
        if !text.ends_with('.') {
            fault(format!("`{what}` is no sentence"));
        }
    }
    if row.verdict == "holds" && row.tests.is_empty() {
        fault("holds, and no test shows it".to_owned());
    }
    if row.verdict == "does not apply" && !(row.tests.is_empty() && row.says.is_empty()) {
        fault("does not apply, and is shown".to_owned());
    }
    for test in &row.tests {
        let Some((file, name)) = test.split_once("::") else {
            fault(format!("{test:?} is no file and test"));
            continue;
        };
        match read(file) {
            None => fault(format!("{file} is not there")),
            Some(source) if !has_test(&source, name) => fault(format!("{file} has no test {name}")),
            Some(_) => {}
        }
    }
    for (file, text) in &row.says {
        if text.is_empty() || !read(file).is_some_and(|document| document.contains(text.as_str())) {
            fault(format!("{file} does not say {text:?}"));
        }
    }
    faults
}

#[test]
fn every_requirement_has_one_row_and_every_row_a_requirement() {
    let rows: Vec<String> = rows().into_iter().map(|row| row.requirement).collect();
    let requirements = requirements();
    assert!(requirements.values().all(|level| *level <= 2));
    let once: BTreeSet<&String> = rows.iter().collect();
    assert_eq!(once.len(), rows.len(), "a requirement has two rows");
    let missing: Vec<_> = requirements.keys().filter(|number| !once.contains(number)).collect();
    assert_eq!(missing, [""; 0], "have no row");
    let unknown: Vec<_> = once.iter().filter(|number| !requirements.contains_key(**number)).collect();
    assert_eq!(unknown, [&""; 0], "are none of the standard's");
    // The chapters that the table is about, and as many requirements as the standard has there.
    let chapters: BTreeSet<&str> =
        requirements.keys().filter_map(|number| number.split('.').next()).collect();
    assert_eq!(chapters, BTreeSet::from(["2", "6", "7", "8", "9", "10", "11", "13", "16"]));
    assert_eq!(requirements.len(), 150);
}

#[test]
fn every_row_says_how_and_names_what_shows_it() {
    let faults: Vec<String> = rows().iter().flat_map(faults).collect();
    assert_eq!(faults, [""; 0], "{}", faults.join("\n"));
}

#[test]
fn a_row_that_claims_too_much_is_found() {
    let own = "tests/tests/end_to_end/asvs.rs::";
    let good = Row {
        requirement: "0.0.0".to_owned(),
        asks: "It asks.".to_owned(),
        verdict: "holds".to_owned(),
        how: "It is met.".to_owned(),
        tests: vec![format!("{own}a_row_that_claims_too_much_is_found")],
        says: vec![("tests/asvs/table.toml".to_owned(), "in our words".to_owned())],
    };
    assert_eq!(faults(&good), [""; 0]);
    type Change = fn(&mut Row);
    let with = |change: Change| {
        let mut row = good.clone();
        change(&mut row);
        faults(&row)
    };
    let rows: [(&str, Change); 10] = [
        ("no verdict", |row| row.verdict = "well".to_owned()),
        ("nothing asked", |row| row.asks.clear()),
        ("no way", |row| row.how.clear()),
        ("no test", |row| row.tests.clear()),
        ("a test that is not there", |row| row.tests[0].push('x')),
        ("a function that is no test", |row| {
            row.tests[0] = "tests/tests/end_to_end/asvs.rs::faults".to_owned()
        }),
        ("a file that is not there", |row| row.tests[0] = "tests/nothing.rs::faults".to_owned()),
        ("no name of a test", |row| row.tests[0] = "faults".to_owned()),
        ("nothing that is said", |row| row.says[0].1.clear()),
        ("what is not said", |row| row.says[0].1 = "\u{7}".to_owned()),
    ];
    for (what, change) in rows {
        assert_eq!(with(change).len(), 1, "{what}");
    }
    assert_eq!(with(|row| row.verdict = "does not apply".to_owned()).len(), 1);
}

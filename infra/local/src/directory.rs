//! Loads roster files into the personnel directory: the stand-in's sample, or an operator's file on AWS.

use std::sync::atomic::AtomicBool;

use roster_import::import::Stop;
use roster_import::report::Report;
use roster_import::source::Source;
use roster_import::{Directory, Run};
use shared::environment::{Environment, StartError};
use shared::roster::plan::{Confirmed, Guard};
use shared::roster::{RefusedRow, Scope};

/// The sample that a first start loads: synthetic people in four agencies.
pub const SAMPLE: &str = include_str!("../sample-roster.csv");

/// Why a roster was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A variable is missing, or a service does not answer.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The file is not a roster, or the tables cannot be written.
    #[error(transparent)]
    Stop(#[from] Stop),
}

/// What came of a roster file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// People that are in the directory now.
    pub people: usize,
    /// Rows that were not taken.
    pub refused: Vec<RefusedRow>,
}

/// Loads a roster into the tables that the environment names, as `roster-import` does with one that is put under `changes/`:
/// who has no row is left alone.
///
/// # Errors
/// When the file is no roster, or AWS does not answer. Bad rows are no error.
pub async fn import(file: &[u8], environment: &Environment) -> Result<Imported, DirectoryError> {
    let directory = Directory::start(environment).await?;
    let clock = environment.clock().clone();
    let request_id = format!("roster-{}", clock.now().as_millisecond());
    let run = Run { request_id, end: None, clock };
    let source = Source::Bytes(file.into());
    // Whoever starts the stand-in has said so: the guard is for files that come in.
    let guard = Guard { percent: 100, always: u64::MAX, confirmed: u64::MAX };
    let confirmed = Confirmed { leaving: u64::MAX, joining: u64::MAX, agencies: u64::MAX };
    let mut report = Report::default();
    let planned = directory.plan(&source, &Scope::Changes, &guard, &confirmed, &run, &mut report).await?;
    if !planned.is_nothing() {
        directory.write(&source, &planned, &run, &AtomicBool::new(true)).await?;
    }
    let refused = |row: roster_import::report::RefusedLine| RefusedRow { line: row.line, reason: row.reason };
    Ok(Imported {
        people: usize::try_from(report.accepted).unwrap_or(usize::MAX),
        refused: report.rows.into_iter().map(refused).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::person::{Role, Service};
    use shared::pseudonym::Pseudonymizer;
    use shared::roster::Roster;

    use super::*;

    #[test]
    fn the_sample_has_every_status_and_role_in_four_agencies() {
        let roster = Roster::read(SAMPLE.as_bytes(), &Pseudonymizer::new(&[1; 32])).unwrap();
        assert_eq!(roster.refused, []);
        assert!(roster.people.len() >= 30);
        assert_eq!(roster.agencies.len(), 4);
        let roles: BTreeSet<_> =
            roster.people.iter().flat_map(|person| person.roles.iter().copied()).collect();
        assert_eq!(roles, BTreeSet::from([Role::HrHead, Role::HrStaff, Role::Helpdesk]));
        for service in [Service::InService, Service::Departed] {
            assert!(roster.people.iter().any(|person| person.service == service));
        }
    }
}

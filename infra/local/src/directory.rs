//! Loads roster files into the personnel directory: the stand-in's sample, or an operator's file on AWS.

use std::io::Read;

use shared::audit::Origin;
use shared::environment::{Environment, StartError};
use shared::kms::{Kms, KmsError};
use shared::roster::{NotARoster, RefusedRow, Roster};
use shared::store::accounts::{Accounts, Enrollment};
use shared::store::audit::AuditTrail;
use shared::store::authorizations::Authorizations;
use shared::store::{self, CommitError, StoreError};

/// The sample that a first start loads: synthetic people in four agencies.
pub const SAMPLE: &str = include_str!("../sample-roster.csv");

/// Why a roster was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A variable is missing.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The pseudonyms' key cannot be derived.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The file is not a roster.
    #[error(transparent)]
    Roster(#[from] NotARoster),
    /// The tables cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody cannot be brought to what their row says.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// What came of a roster file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// People that are in the directory now.
    pub people: usize,
    /// Rows that were not taken.
    pub refused: Vec<RefusedRow>,
}

/// Loads a roster into the tables that the environment names.
///
/// # Errors
/// When the file is no roster, or AWS does not answer. Bad rows are no error.
pub async fn import(file: impl Read, environment: &Environment) -> Result<Imported, DirectoryError> {
    let mut settings = environment.settings();
    let table = settings.required("ACCOUNTS_TABLE");
    let authorizations = settings.required("AUTHORIZATIONS_TABLE");
    let audit = settings.required("AUDIT_TABLE");
    let key = settings.required("PSEUDONYM_KEY");
    settings.finish()?;
    let config = shared::aws::sdk_config(environment).await;
    let pseudonyms = Kms::new(environment, &config).pseudonymizer(&key).await?;
    let roster = Roster::read(file, &pseudonyms)?;
    let accounts = Accounts::new(store::client(environment, &config), table);
    let client = store::client(environment, &config);
    let authorizations = Authorizations::new(client.clone(), authorizations);
    let audit = AuditTrail::new(client, audit);
    let now = environment.clock().now();
    let origin =
        Origin { address: String::new(), request_id: format!("roster-{}", now.as_millisecond()), at: now };
    let beside = Enrollment { authorizations: &authorizations, audit: &audit, origin: &origin };
    accounts.enroll(&roster.people, &beside).await?;
    accounts.enroll_agencies(&roster.agencies).await?;
    Ok(Imported { people: roster.people.len(), refused: roster.refused })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::person::{Role, Service};
    use shared::pseudonym::Pseudonymizer;

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

//! The inbox of rosters: puts files into it as an operator does, and reads what came of them.

use std::collections::HashMap;

use roster_import::inbox::CONFIRM_LEAVING;
use roster_import::report::{REPORTS, Report};
use shared::aws;
use shared::s3::{Bucket, Put};

use crate::people::Civilian;
use crate::world::{World, eventually};

/// The header of a roster.
pub const HEADER: &str = "national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies\n";

/// The inbox of a stand-in.
pub struct Inbox {
    bucket: Bucket,
}

impl Inbox {
    /// The inbox.
    ///
    /// # Panics
    /// When the template has none.
    pub async fn of(world: &World) -> Self {
        let environment = world.stack.environment();
        let config = aws::sdk_config(&environment).await;
        Self { bucket: Bucket::new(&environment, &config, environment.get("ROSTER_BUCKET").unwrap()) }
    }

    /// Puts a file, and answers its report once it is there.
    pub async fn import(&self, key: &str, file: impl Into<Vec<u8>>) -> Report {
        self.import_with(key, file, &[]).await
    }

    /// As [`Inbox::import`], confirmed for so many who leave.
    pub async fn import_confirmed(&self, key: &str, file: impl Into<Vec<u8>>, leaving: u64) -> Report {
        self.import_with(key, file, &[(CONFIRM_LEAVING, leaving)]).await
    }

    /// As [`Inbox::import`], with these confirmations.
    pub async fn import_with(
        &self,
        key: &str,
        file: impl Into<Vec<u8>>,
        confirmed: &[(&str, u64)],
    ) -> Report {
        let version = self.put(key, file, confirmed).await;
        self.report(key, &version).await
    }

    /// Puts a file, and answers its version.
    ///
    /// # Panics
    /// When the bucket refuses it.
    pub async fn put(&self, key: &str, file: impl Into<Vec<u8>>, confirmed: &[(&str, u64)]) -> String {
        let metadata: HashMap<_, _> =
            confirmed.iter().map(|(name, number)| ((*name).to_owned(), number.to_string())).collect();
        let put = Put { metadata, ..Put::default() };
        self.bucket.put(key, file.into(), &put).await.unwrap().version.unwrap()
    }

    /// The report of a version of a file, once it is there.
    pub async fn report(&self, key: &str, version: &str) -> Report {
        let ending = format!("/{key}.json");
        eventually("the report is there", async || {
            for entry in self.bucket.list(REPORTS).await.unwrap() {
                if entry.key.ends_with(&ending) {
                    let report = self.bucket.get(&entry.key).await.unwrap();
                    let report: Report = serde_json::from_slice(&report).unwrap();
                    if report.version == version {
                        return Some(report);
                    }
                }
            }
            None
        })
        .await
    }

    /// The keys that are in the bucket.
    ///
    /// # Panics
    /// When it cannot be listed.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        self.bucket.list(prefix).await.unwrap().into_iter().map(|entry| entry.key).collect()
    }

    /// Everything in the reports.
    ///
    /// # Panics
    /// When they cannot be read.
    pub async fn reports(&self) -> String {
        let mut all = String::new();
        for key in self.keys(REPORTS).await {
            all.push_str(&String::from_utf8(self.bucket.get(&key).await.unwrap()).unwrap());
        }
        all
    }
}

/// The sample's rows of an agency.
pub fn sample_rows(agency: &str) -> Vec<String> {
    let of_agency = |line: &&str| line.split(',').nth(2) == Some(agency);
    local::directory::SAMPLE.lines().filter(of_agency).map(|line| format!("{line}\n")).collect()
}

/// The sample's row of somebody.
///
/// # Panics
/// When they have none.
#[must_use]
pub fn sample_row(person: &Civilian) -> String {
    let lines = local::directory::SAMPLE.lines();
    let mut found = lines.filter(|line| line.starts_with(person.national_id));
    format!("{}\n", found.next().unwrap())
}

/// A file of these rows.
#[must_use]
pub fn file(rows: &[String]) -> String {
    format!("{HEADER}{}", rows.concat())
}

//! What came of a file: an object beside the inbox, for whoever put the file, and a line for the log.
//!
//! `reports/<when the file was put>/<its key>.json`: sorted by that time, so that what was put since is found in one call. It
//! names lines, agencies and numbers, and nobody.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::roster::file::Writing;
use shared::roster::plan::{Confirmed, Exceeded, Plan};
use shared::roster::{Reason, Scope};
use shared::s3::Stored;

use crate::inbox::{CONFIRM_AGENCIES, CONFIRM_JOINING};
use crate::source::Summary;

/// The beginning of the keys of reports.
pub const REPORTS: &str = "reports/";

/// The most refused rows that a report names; the others are counted.
const NAMED: usize = 10_000;

/// The most agencies and moves that a report names.
const LISTED: usize = 1_000;

/// The most agencies that a sentence names.
const SPELLED: usize = 10;

/// What became of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The directory is as the file says, but for refused rows.
    #[default]
    Taken,
    /// The directory was as the file says, and no row was refused.
    Unchanged,
    /// Nothing of it was taken.
    Refused,
}

/// Why nothing was taken of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Its key says nothing of what it speaks for.
    UnknownPlace,
    /// It is no roster, is damaged, or too long.
    NotARoster,
    /// No row of it was accepted.
    NoRows,
    /// A newer file that speaks of the same people was taken.
    Older,
    /// It would take too many people from an agency.
    TooManyLeave,
    /// The function ended at it again and again.
    Failing,
}

/// A row that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// Its line, the header being 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// Somebody who moved from one agency to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedLine {
    /// The line.
    pub line: u64,
    /// The former agency's code.
    pub from: String,
}

/// An agency that would lose too many people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Its code.
    pub agency: String,
    /// How many would leave it.
    pub leaving: u64,
    /// How many it has.
    pub in_service: u64,
}

/// A file's report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The file's key.
    pub file: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// When it was put.
    pub put_at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// Why nothing was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What somebody has to know or do, in sentences: first of all what nobody could read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How the file is written: `utf-8`, `utf-16` or `big5`.
    #[serde(default)]
    pub read_as: String,
    /// Rows that were accepted.
    pub accepted: u64,
    /// Rows that were refused.
    pub refused: u64,
    /// People whom the directory did not know.
    pub new: u64,
    /// People of whom it said something else, those who departed among them.
    pub changed: u64,
    /// People of whom it said the same.
    pub unchanged: u64,
    /// People who departed: by their row, or because they have none.
    pub departed: u64,
    /// Those of them who have no row.
    pub absent: u64,
    /// Refused rows that may be anybody's. While there are any, nobody departs for want of a row.
    #[serde(default)]
    pub unnamed: u64,
    /// People who have no row, and stay because of those.
    #[serde(default)]
    pub kept: u64,
    /// People who come over from other agencies by an agency's own file, or would. To confirm it, put the file again with this
    /// number.
    #[serde(default)]
    pub joining: u64,
    /// Agencies of which the directory has another OID or name, or none in an agency's own file. To confirm that they change, put
    /// the file again with this number.
    pub agencies: u64,
    /// Whether that was confirmed.
    #[serde(default)]
    pub agencies_confirmed: bool,
    /// Their codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agencies_changing: Vec<String>,
    /// The codes of agencies that the directory did not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agencies_new: Vec<String>,
    /// Who moved here from another agency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<MovedLine>,
    /// Columns that are not ours.
    pub unknown_columns: usize,
    /// People who leave an agency: they depart, or move to another one. To confirm a file that was refused for it, put it
    /// again with this number.
    pub leaving: u64,
    /// The agencies that would lose too many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Which run of the function finished it, 1 for the first; a later one counts what the earlier ones had written among the
    /// unchanged.
    pub runs: u32,
    /// When its report was written.
    pub ended_at: Timestamp,
    /// The refused rows, or the first of them.
    pub rows: Vec<RefusedLine>,
}

impl Report {
    /// A report that is still empty.
    #[must_use]
    pub fn of(file: &Stored) -> Self {
        Self {
            file: file.key.clone(),
            version: file.version.clone().unwrap_or_default(),
            put_at: file.at,
            ..Self::default()
        }
    }

    /// Notes a row that was refused.
    pub fn refuse_row(&mut self, line: u64, reason: &Reason) {
        self.refused = self.refused.saturating_add(1);
        if self.rows.len() < NAMED {
            self.rows.push(RefusedLine { line, reason: reason.to_string() });
        }
    }

    /// Notes that nothing is taken.
    pub fn refuse(&mut self, refusal: Refusal, detail: impl ToString) {
        self.outcome = Outcome::Refused;
        self.refusal = Some(refusal);
        self.detail = detail.to_string();
    }

    /// Notes how the file was read.
    pub fn summary(&mut self, summary: &Summary) {
        self.unknown_columns = summary.unknown_columns;
        self.read_as = match summary.writing {
            Writing::Utf8 => "utf-8",
            Writing::Utf16 => "utf-16",
            Writing::Big5 => "big5",
        }
        .to_owned();
    }

    /// Notes what the plan says.
    pub fn planned(&mut self, plan: &Plan, confirmed: &Confirmed) {
        let extent = plan.extent();
        self.accepted = extent.accepted;
        self.new = extent.new;
        self.changed = extent.changed.saturating_add(extent.absent);
        self.unchanged = extent.unchanged;
        self.departed = extent.departing;
        self.absent = extent.absent;
        self.leaving = plan.leaving().values().fold(0, |sum, count| sum.saturating_add(*count));
        (self.unnamed, self.kept, self.joining) = (extent.unnamed, extent.kept, extent.joining);
        self.agencies = plan.agencies_changing().len() as u64;
        self.agencies_confirmed = self.agencies <= confirmed.agencies;
        let listed = |codes: &BTreeSet<String>| codes.iter().take(LISTED).cloned().collect();
        self.agencies_changing = listed(plan.agencies_changing());
        self.agencies_new = listed(plan.agencies_new());
        let moved = plan.moves().iter().take(LISTED);
        self.moved = moved.map(|one| MovedLine { line: one.line, from: one.from.clone() }).collect();
        // Refused rows come in the order in which they were found out.
        self.rows.sort_by_key(|row| row.line);
        self.warn(plan, confirmed);
    }

    /// Says what somebody has to know or do.
    fn warn(&mut self, plan: &Plan, confirmed: &Confirmed) {
        let mut warnings = Vec::new();
        if self.unnamed > 0 {
            let spared = match (self.kept, plan.scope()) {
                (_, Scope::Changes) => "correct them and put the file again".to_owned(),
                (kept, Scope::Agency(_) | Scope::Country) => format!(
                    "so nobody departs for want of a row: {kept} people who have none stay. Correct these rows, and put the \
                     file again"
                ),
            };
            warnings.push(format!("of {} refused rows nobody knows whose they are; {spared}", self.unnamed));
        }
        if self.read_as == "big5" {
            warnings.push(
                "read as Big5: characters that Big5 does not have were lost before; look at the names, or save the file as \
                 CSV UTF-8"
                    .to_owned(),
            );
        }
        if self.agencies > 0 {
            let what = match self.agencies_confirmed {
                true => "of these agencies the directory had another OID or name, or none; it was confirmed"
                    .to_owned(),
                false => format!(
                    "of these agencies the directory has another OID or name, or none, and their rows are refused; if it is \
                     so, put the file again with {CONFIRM_AGENCIES}={}",
                    self.agencies
                ),
            };
            warnings.push(format!("{what}: {}", spelled(plan.agencies_changing())));
        }
        if !plan.agencies_new().is_empty() {
            let codes = spelled(plan.agencies_new());
            warnings.push(format!(
                "agencies that the directory did not know, which a mistyped code makes too: {codes}"
            ));
        }
        if self.joining > confirmed.joining {
            warnings.push(format!(
                "{} people serve in other agencies, and their rows are refused; the other agency releases them, or you put the \
                 file again with {CONFIRM_JOINING}={0}",
                self.joining
            ));
        }
        self.warnings = warnings;
    }

    /// Notes the agencies that would lose too many.
    pub fn losses(&mut self, exceeded: Vec<Exceeded>) {
        let loss =
            |one: Exceeded| Loss { agency: one.agency, leaving: one.leaving, in_service: one.in_service };
        self.losses = exceeded.into_iter().map(loss).collect();
    }

    /// How many agencies have got another name or OID by the file.
    #[must_use]
    pub fn agencies_changed(&self) -> u64 {
        if self.agencies_confirmed && self.outcome == Outcome::Taken { self.agencies } else { 0 }
    }

    /// The report's key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}{}.json", reports_of(self.put_at), self.file)
    }
}

/// Some codes, and how many others there are.
fn spelled(codes: &BTreeSet<String>) -> String {
    let mut text = codes.iter().take(SPELLED).cloned().collect::<Vec<_>>().join(", ");
    let others = codes.len().saturating_sub(SPELLED);
    if others > 0 {
        text.push_str(&format!(", and {others} others"));
    }
    text
}

/// The beginning of the keys of reports about files that were put at that time.
fn reports_of(put_at: Timestamp) -> String {
    format!("{REPORTS}{put_at}/")
}

/// The key behind which stand the reports about files that were put later than that.
pub(crate) fn behind(put_at: Timestamp) -> String {
    // The character after the slash.
    format!("{REPORTS}{put_at}0")
}

/// What the file of a report speaks for.
pub(crate) fn scope_of(report: &str) -> Option<Scope> {
    let (_, file) = report.strip_prefix(REPORTS)?.split_once('/')?;
    Scope::of_key(file.strip_suffix(".json")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_sort_by_when_their_files_were_put() {
        let key = |at: &str, file: &str| {
            Report { file: file.to_owned(), put_at: at.parse().unwrap(), ..Report::default() }.key()
        };
        let (first, second) = (
            key("2026-11-25T04:00:00Z", "changes/名.csv"),
            key("2026-11-25T04:00:01Z", "agencies/A01/a.csv"),
        );
        assert_eq!(first, "reports/2026-11-25T04:00:00Z/changes/名.csv.json");
        let behind = behind("2026-11-25T04:00:00Z".parse().unwrap());
        assert!(first < behind && behind < second);
        assert_eq!(scope_of(&second), Some(Scope::Agency("A01".to_owned())));
        assert_eq!(scope_of("reports/x"), None);
    }
}

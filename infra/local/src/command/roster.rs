//! `roster`: the personnel directory.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use local::directory::Imported;
use roster_import::inbox::{CONFIRM_AGENCIES, CONFIRM_JOINING, CONFIRM_LEAVING};
use roster_import::report::{Outcome, REPORTS, Report};
use shared::clock::Clock;
use shared::roster::{Scope, agency_code};
use shared::s3::{Bucket, Put, S3Error};
use uuid::Uuid;

use super::Failure;
use super::aws::{environment, explained};

/// How often the report is looked for.
const POLL: Duration = Duration::from_millis(500);
/// How far two clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// What to do with the directory.
#[derive(Subcommand)]
pub(crate) enum Roster {
    /// Puts a roster file into the inbox and waits for its report; bad rows are refused with line and reason, good ones load.
    Import {
        /// A table with a header, as a spreadsheet saves it: CSV in UTF-8, UTF-16 or Big5, packed with gzip or not.
        file: PathBuf,
        /// What the file speaks for: `changes` (the people in it), `agency:CODE` (all of an agency) or `country` (everybody).
        /// Who has no row in a file of the last two departs.
        #[arg(long = "as", value_name = "SCOPE", default_value = "changes", value_parser = scope)]
        scope: Scope,
        /// So many people may leave their agencies: the number of the report that refused the file.
        #[arg(long, value_name = "NUMBER")]
        confirm_leaving: Option<u64>,
        /// So many people may come over from other agencies by this agency's file: the number of the report.
        #[arg(long, value_name = "NUMBER")]
        confirm_joining: Option<u64>,
        /// So many agencies may get another name or OID: the number of the report.
        #[arg(long, value_name = "NUMBER")]
        confirm_agencies: Option<u64>,
        /// Does not wait for the report longer than that.
        #[arg(long, value_name = "MINUTES", default_value_t = 60)]
        wait: u32,
        /// The data directory of a running stand-in.
        #[arg(long, value_name = "DIR", default_value = ".local")]
        data: PathBuf,
        /// Loads into AWS, with the process's own variables and credentials: `ROSTER_BUCKET` names the bucket.
        #[arg(long)]
        aws: bool,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    match text.split_once(':') {
        None if text == "changes" => Ok(Scope::Changes),
        None if text == "country" => Ok(Scope::Country),
        Some(("agency", code)) => agency_code(code)
            .map(Scope::Agency)
            .ok_or_else(|| "a code has letters, digits and . - _ alone".to_owned()),
        _ => Err("write changes, agency:CODE or country".to_owned()),
    }
}

/// Does it.
pub(crate) async fn run(command: Roster) -> Result<ExitCode, Failure> {
    let Roster::Import { aws, .. } = command;
    load(command).await.map_err(|error| explained(error, aws))
}

async fn load(command: Roster) -> Result<ExitCode, Failure> {
    let Roster::Import { file, scope, confirm_leaving, confirm_joining, confirm_agencies, wait, data, aws } =
        command;
    let confirmed = [
        (CONFIRM_LEAVING, confirm_leaving),
        (CONFIRM_JOINING, confirm_joining),
        (CONFIRM_AGENCIES, confirm_agencies),
    ];
    let environment = environment(&data, aws)?;
    let mut settings = environment.settings();
    let bucket = settings.required("ROSTER_BUCKET");
    settings.finish()?;
    let bucket = Bucket::new(&environment, &shared::aws::ready_config(&environment).await?, bucket);
    // A stand-in may have a time of its own.
    let since = if aws { Clock::system().now().checked_sub(SKEW)? } else { Timestamp::MIN };
    let report = import(&bucket, &file, &scope, &confirmed, (since, wait)).await?;
    tell(&file, &report);
    Ok(if report.outcome == Outcome::Refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Puts a file, and waits for its report.
async fn import(
    bucket: &Bucket,
    file: &Path,
    scope: &Scope,
    confirmed: &[(&str, Option<u64>)],
    (since, wait): (Timestamp, u32),
) -> Result<Report, Failure> {
    if !file.is_file() {
        return Err(format!("cannot read {}: no such file", file.display()).into());
    }
    let place = match scope {
        Scope::Changes => "changes".to_owned(),
        Scope::Country => "country".to_owned(),
        Scope::Agency(code) => format!("agencies/{code}"),
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // A name of its own: two files of one name would be one file.
    let key = format!("{place}/{}-{name}", Uuid::new_v4().simple());
    let metadata =
        confirmed.iter().filter_map(|(name, number)| Some(((*name).to_owned(), (*number)?.to_string())));
    let put = Put {
        content_type: Some("text/csv"),
        metadata: metadata.collect(),
        only_new: true,
        ..Put::default()
    };
    bucket.upload(&key, file, &put).await?;
    eprintln!("{}: put as {key}", file.display());
    let after = format!("{REPORTS}{}", Timestamp::from_second(since.as_second())?);
    let ending = format!("/{key}.json");
    let polls = u64::from(wait).saturating_mul(60_000) / u64::try_from(POLL.as_millis()).unwrap_or(1);
    for _ in 0..=polls {
        tokio::time::sleep(POLL).await;
        let reports = bucket.list_after(REPORTS, &after).await?;
        if let Some(entry) = reports.iter().find(|entry| entry.key.ends_with(&ending)) {
            match bucket.get(&entry.key).await {
                Ok(bytes) => return Ok(serde_json::from_slice(&bytes)?),
                Err(S3Error::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Err(format!("no report after {wait} minutes; it will be {REPORTS}<time>{ending}").into())
}

/// Tells what came of a file.
fn tell(path: &Path, report: &Report) {
    for warning in &report.warnings {
        eprintln!("{}: {warning}", path.display());
    }
    for row in &report.rows {
        eprintln!("{}:{}: {}", path.display(), row.line, row.reason);
    }
    for moved in &report.moved {
        eprintln!("{}:{}: comes from agency {}", path.display(), moved.line, moved.from);
    }
    for loss in &report.losses {
        eprintln!(
            "{}: agency {}: {} of {} people would leave",
            path.display(),
            loss.agency,
            loss.leaving,
            loss.in_service
        );
    }
    let outcome = match report.outcome {
        Outcome::Taken => "taken",
        Outcome::Unchanged => "unchanged",
        Outcome::Refused => "refused",
    };
    let why = if report.detail.is_empty() { String::new() } else { format!(": {}", report.detail) };
    eprintln!(
        "{}: {outcome}{why}; {} rows accepted, {} refused; {} people new, {} changed ({} departed), {} unchanged; \
         {} agencies new, {} changed",
        path.display(),
        report.accepted,
        report.refused,
        report.new,
        report.changed,
        report.departed,
        report.unchanged,
        report.agencies_new.len(),
        report.agencies_changed()
    );
}

/// Tells which rows of the roster of a start were not taken, and why.
pub(super) fn tell_refused(path: &Path, imported: &Imported) {
    for row in &imported.refused {
        eprintln!("{}:{}: {}", path.display(), row.line, row.reason);
    }
    eprintln!(
        "{}: {} people loaded, {} rows refused",
        path.display(),
        imported.people,
        imported.refused.len()
    );
}

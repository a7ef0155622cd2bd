//! The bucket as an inbox: what waits in it, who works at it, and what is left of it.
//!
//! | object | what | written by |
//! | --- | --- | --- |
//! | `changes/…`, `agencies/<code>/…`, `country/…` | files that wait; deleted once their report is there | whoever puts rosters |
//! | `reports/<time>/<key>.json` | what came of a file | a run, once |
//! | `lease.json` in `state/` | who works, until when, at which file, and in which run at it | runs, by their ETags |
//!
//! S3 decides by conditional writes who has the lease. So a file that changes nothing writes nothing to any table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::roster::plan::{Confirmed, Guard};
use shared::roster::{NotARoster, Scope};
use shared::s3::{Bucket, Entry, Put, S3Error, Stored};
use shared::telemetry::RequestNotes;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::import::Stop;
use crate::report::{self, Outcome, REPORTS, Refusal, Report};
use crate::source::Source;
use crate::{RosterImport, Run};

/// Where the lease is.
const LEASE: &str = "state/lease.json";
/// How long a lease holds that nobody renews, and how often its holder renews it.
const LEASED: SignedDuration = SignedDuration::from_secs(90);
const RENEWAL: Duration = Duration::from_secs(20);
/// How many runs may end at a file before it is given up.
const RUNS: u32 = 6;
/// The metadata by which a file is confirmed that takes many people from an agency: how many, in all.
pub const CONFIRM_LEAVING: &str = "confirm-leaving";
/// The same, by which an agency's own file takes in people who serve in other agencies.
pub const CONFIRM_JOINING: &str = "confirm-joining";
/// The same, by which agencies get another name or OID.
pub const CONFIRM_AGENCIES: &str = "confirm-agencies";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct LeaseState {
    /// The run that has it.
    holder: String,
    /// Until when.
    until: Timestamp,
    /// The version of a file that it works at.
    #[serde(default)]
    file: String,
    /// How many runs have begun it.
    #[serde(default)]
    runs: u32,
}

struct Held {
    bucket: Bucket,
    state: Mutex<(LeaseState, String)>,
    held: AtomicBool,
}

/// The right to work at the inbox, while it lives. A crash leaves it to its end.
pub(crate) struct Lease {
    inner: Arc<Held>,
    renewal: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn put_state(bucket: &Bucket, state: &LeaseState, tag: Option<String>) -> Result<String, S3Error> {
    let bytes = serde_json::to_vec(state).map_err(|error| S3Error::Service(error.to_string()))?;
    let only_new = tag.is_none();
    let put = Put { content_type: Some("application/json"), only_new, replacing: tag, ..Put::default() };
    Ok(bucket.put(LEASE, bytes, &put).await?.tag)
}

impl Lease {
    /// Takes the lease; nothing when another run has it.
    async fn take(bucket: &Bucket, run: &Run) -> Result<Option<Self>, S3Error> {
        let until = run.now().saturating_add(LEASED).unwrap_or(Timestamp::MAX);
        let mut state = LeaseState { holder: run.request_id.clone(), until, file: String::new(), runs: 0 };
        let tag = match bucket.get_tagged(LEASE).await {
            Err(S3Error::NotFound) => None,
            Err(error) => return Err(error),
            Ok((bytes, tag)) => {
                // What cannot be read is nobody's.
                if let Ok(former) = serde_json::from_slice::<LeaseState>(&bytes) {
                    if former.until > run.now() {
                        return Ok(None);
                    }
                    (state.file, state.runs) = (former.file, former.runs);
                }
                Some(tag)
            }
        };
        let tag = match put_state(bucket, &state, tag).await {
            Ok(tag) => tag,
            Err(S3Error::NotAsExpected) => return Ok(None),
            Err(error) => return Err(error),
        };
        let inner = Arc::new(Held {
            bucket: bucket.clone(),
            state: Mutex::new((state, tag)),
            held: AtomicBool::new(true),
        });
        let (renewed, clock) = (Arc::clone(&inner), run.clock.clone());
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEWAL).await;
                let until = clock.now().saturating_add(LEASED).unwrap_or(Timestamp::MAX);
                // A failure may pass before the lease does; that another has it does not.
                if let Err(S3Error::NotAsExpected) = renewed.change(|state| state.until = until).await {
                    return;
                }
            }
        });
        Ok(Some(Self { inner, renewal }))
    }

    /// Whether it is still ours, as far as is known.
    pub(crate) fn held(&self) -> &AtomicBool {
        &self.inner.held
    }

    /// Notes which file is begun, and answers which run at it this is.
    async fn begin(&self, file: &Stored) -> Result<u32, S3Error> {
        let name = format!("{} {}", file.key, file.version.as_deref().unwrap_or_default());
        let mut runs = 0;
        let begun = |state: &mut LeaseState| {
            runs = if state.file == name { state.runs.saturating_add(1) } else { 1 };
            (state.file, state.runs) = (name, runs);
        };
        self.inner.change(begun).await?;
        Ok(runs)
    }

    /// Gives it back.
    async fn release(self) -> Result<(), S3Error> {
        match self.inner.change(|state| state.until = Timestamp::UNIX_EPOCH).await {
            Err(S3Error::NotAsExpected) => Ok(()),
            answer => answer,
        }
    }
}

impl Held {
    async fn change(&self, change: impl FnOnce(&mut LeaseState)) -> Result<(), S3Error> {
        let mut state = self.state.lock().await;
        change(&mut state.0);
        match put_state(&self.bucket, &state.0, Some(state.1.clone())).await {
            Ok(tag) => {
                state.1 = tag;
                Ok(())
            }
            Err(error) => {
                if error == S3Error::NotAsExpected {
                    self.held.store(false, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }
}

impl RosterImport {
    /// Works at the inbox until nothing waits in it. Answers the reports; nothing when another run works at it.
    ///
    /// # Errors
    /// [`Stop`]: files are left, and a later run goes on.
    pub async fn work(&self, run: &Run) -> Result<Option<Vec<Report>>, Stop> {
        let mut reports = Vec::new();
        loop {
            if self.waiting().await?.is_empty() {
                return Ok(Some(reports));
            }
            let Some(lease) = Lease::take(&self.inbox, run).await? else {
                // Whoever has it looks again once they have given it back.
                return Ok((!reports.is_empty()).then_some(reports));
            };
            let worked = self.work_off(&lease, run, &mut reports).await;
            let released = lease.release().await;
            worked?;
            released?;
        }
    }

    async fn work_off(&self, lease: &Lease, run: &Run, reports: &mut Vec<Report>) -> Result<(), Stop> {
        while let Some(entry) = self.waiting().await?.into_iter().next() {
            if run.is_over() {
                return Err(Stop::OutOfTime);
            }
            let began = Instant::now();
            let (done, notes) = RequestNotes::collect(self.take_in(&entry, lease, run)).await;
            match done {
                Ok(report) => {
                    write(&report, &notes, began, run);
                    reports.push(report);
                }
                // Somebody has deleted it meanwhile.
                Err(Stop::Bucket(S3Error::NotFound)) => {}
                Err(stop) => {
                    tracing::error!(
                        step = "roster-import",
                        request_id = run.request_id,
                        file = entry.key,
                        outcome = "stopped",
                        reason = %stop,
                        ms = milliseconds(began),
                        "roster file"
                    );
                    return Err(stop);
                }
            }
        }
        Ok(())
    }

    /// The files that wait, the one that was put first first.
    async fn waiting(&self) -> Result<Vec<Entry>, S3Error> {
        let mut waiting = Vec::new();
        for prefix in Scope::PREFIXES {
            // A folder is an object without bytes, of whoever makes folders.
            waiting
                .extend(self.inbox.list(prefix).await?.into_iter().filter(|entry| !entry.key.ends_with('/')));
        }
        waiting.sort_by(|one, other| (one.at, &one.key).cmp(&(other.at, &other.key)));
        Ok(waiting)
    }

    /// Takes a file in: its report is there then, and the file is gone.
    async fn take_in(&self, entry: &Entry, lease: &Lease, run: &Run) -> Result<Report, Stop> {
        let file = self.inbox.head(&entry.key, None).await?;
        let mut report = Report::of(&file);
        if let Some(done) = self.report(&report.key()).await?.filter(|done| done.version == report.version) {
            // The run that made it did not come to delete the file.
            self.inbox.delete(&file).await?;
            return Ok(done);
        }
        report.runs = lease.begin(&file).await?;
        match Scope::of_key(&file.key) {
            None => {
                report.refuse(Refusal::UnknownPlace, "put it under changes/, agencies/<code>/ or country/");
            }
            Some(_) if report.runs > RUNS => {
                report
                    .refuse(Refusal::Failing, "the function ended at this file again and again; see its log");
            }
            Some(scope) => self.bring(&file, &scope, lease, run, &mut report).await?,
        }
        report.ended_at = run.now();
        let bytes =
            serde_json::to_vec_pretty(&report).map_err(|error| S3Error::Service(error.to_string()))?;
        let put = Put { content_type: Some("application/json"), ..Put::default() };
        self.inbox.put(&report.key(), bytes, &put).await?;
        self.inbox.delete(&file).await?;
        Ok(report)
    }

    async fn bring(
        &self,
        file: &Stored,
        scope: &Scope,
        lease: &Lease,
        run: &Run,
        report: &mut Report,
    ) -> Result<(), Stop> {
        if let Some(newer) = self.newer(file, scope).await? {
            report.refuse(
                Refusal::Older,
                format!("{newer} was put later and is taken; put this one again if it holds"),
            );
            return Ok(());
        }
        let number = |name: &str| {
            let number = file.metadata.get(name).and_then(|number| number.trim().parse().ok());
            number.unwrap_or_default()
        };
        let confirmed = Confirmed {
            leaving: number(CONFIRM_LEAVING),
            joining: number(CONFIRM_JOINING),
            agencies: number(CONFIRM_AGENCIES),
        };
        let guard = Guard { confirmed: confirmed.leaving, ..self.guard };
        let source = Source::Stored(self.inbox.clone(), file.clone());
        let planned = match self.directory.plan(&source, scope, &guard, &confirmed, run, report).await {
            Err(Stop::File(error)) if !matches!(error, NotARoster::Unreadable(_)) => {
                report.refuse(Refusal::NotARoster, error);
                return Ok(());
            }
            planned => planned?,
        };
        if report.accepted == 0 {
            let why = match report.refused {
                0 => "no row is in it",
                _ => "no row of it is accepted",
            };
            report.refuse(Refusal::NoRows, why);
            return Ok(());
        }
        let exceeded = guard.exceeded(planned.plan.leaving(), &planned.in_service);
        if !exceeded.is_empty() {
            report.losses(exceeded);
            let leaving = report.leaving;
            report.refuse(
                Refusal::TooManyLeave,
                format!("more people leave an agency than a file may take from it; if it is so, put it again with the \
                         metadata {CONFIRM_LEAVING}={leaving}"),
            );
            return Ok(());
        }
        if planned.is_nothing() {
            // What was refused is not as the file says.
            report.outcome = if report.refused == 0 { Outcome::Unchanged } else { Outcome::Taken };
            return Ok(());
        }
        self.directory.write(&source, &planned, run, lease.held()).await
    }

    /// A file that was put later, speaks of the same people, and was not refused.
    async fn newer(&self, file: &Stored, scope: &Scope) -> Result<Option<String>, S3Error> {
        for entry in self.inbox.list_after(REPORTS, &report::behind(file.at)).await? {
            let overlaps = report::scope_of(&entry.key).is_some_and(|other| scope.overlaps(&other));
            if !overlaps {
                continue;
            }
            if let Some(report) = self.report(&entry.key).await?
                && report.outcome != Outcome::Refused
            {
                return Ok(Some(report.file));
            }
        }
        Ok(None)
    }

    async fn report(&self, key: &str) -> Result<Option<Report>, S3Error> {
        match self.inbox.get(key).await {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(S3Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The line of the log.
fn write(report: &Report, notes: &RequestNotes, began: Instant, run: &Run) {
    macro_rules! event {
        ($level:ident, $outcome:literal) => {
            tracing::$level!(
                step = "roster-import",
                request_id = run.request_id,
                file = report.file,
                outcome = $outcome,
                reason = report.detail,
                accepted = report.accepted,
                refused = report.refused,
                unnamed = report.unnamed,
                new = report.new,
                changed = report.changed,
                unchanged = report.unchanged,
                departed = report.departed,
                leaving = report.leaving,
                runs = report.runs,
                aws_calls = notes.count(),
                aws_ms = notes.milliseconds(),
                ms = milliseconds(began),
                "roster file"
            )
        };
    }
    match report.outcome {
        Outcome::Taken => event!(info, "taken"),
        Outcome::Unchanged => event!(info, "unchanged"),
        Outcome::Refused => event!(warn, "refused"),
    }
}

//! One run: the schedule's, or an operator's.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::certificate::{Authority, IssuerId};
use shared::clock::Clock;
use shared::lambda::time_left;
use shared::store::revocations::Marker;
use shared::telemetry::RequestNotes;

use crate::list::{Applied, Failure};
use crate::{RESERVE, RevocationSync, Run};

/// What starts a run: the schedule's event, of which the time matters, or an operator's.
#[derive(Debug, Default, Deserialize)]
pub struct Event {
    /// The time now; the clock's without it.
    pub time: Option<Timestamp>,
    /// Only this issuer, by name or [`IssuerId`].
    pub issuer: Option<String>,
    /// Reads again what the table has, in place of what is known of it: after the table was restored, for example.
    #[serde(default)]
    pub reread: bool,
}

/// What came of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The table is at a newer list.
    Applied,
    /// The table was at this list already.
    Unchanged,
    /// The source has an older list than the table; the table keeps its own.
    Older,
    /// What it gave cannot be believed.
    Refused,
    /// It gave nothing.
    Unreachable,
    /// Another run is at it.
    Busy,
    /// There was not time enough; the next run goes on.
    Incomplete,
    /// The table cannot be read or written.
    Failed,
    /// `issuers.toml` names no source.
    NoSource,
}

impl Outcome {
    /// Its name in the answer and in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Older => "older",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::NoSource => "no_source",
        }
    }

    fn is_well(self) -> bool {
        matches!(self, Self::Applied | Self::Unchanged)
    }
}

/// A source, and the list that the table has of its issuer now.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The issuer's key.
    pub issuer: IssuerId,
    /// What `issuers.toml` calls it.
    pub name: String,
    /// Where its list is.
    pub source: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, when it did not go well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The list's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Until it is stale, negative afterwards. 0 when there is no list.
    pub seconds_left: i64,
    /// Certificates that it revokes.
    pub entries: u64,
    /// Written: new or changed.
    pub added: u64,
    /// Taken away.
    pub removed: u64,
    /// Certificates in use whose sessions have ended.
    pub ended: u64,
}

impl Row {
    fn new(issuer: &Authority, source: &str) -> Self {
        Self {
            issuer: issuer.id().clone(),
            name: issuer.profile().map(|profile| profile.name.clone()).unwrap_or_default(),
            source: source.to_owned(),
            outcome: Outcome::NoSource,
            reason: String::new(),
            number: None,
            seconds_left: 0,
            entries: 0,
            added: 0,
            removed: 0,
            ended: 0,
        }
    }

    fn show(&mut self, marker: &Marker, now: Timestamp) {
        let digits = marker.freshness.number.as_str().trim_start_matches('0');
        self.number = Some(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() });
        self.seconds_left = marker.freshness.next_update.duration_since(now).as_secs();
        self.entries = marker.entries;
    }

    fn count(&mut self, applied: &Applied) {
        (self.added, self.removed, self.ended) = (applied.added, applied.removed, applied.ended);
    }

    fn write(&self, notes: &RequestNotes, began: Instant, run: &Run) {
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    step = "revocation-sync",
                    request_id = run.request_id,
                    issuer = %self.issuer,
                    issuer_name = self.name,
                    source = self.source,
                    outcome = self.outcome.name(),
                    reason = self.reason,
                    number = self.number.as_deref().unwrap_or_default(),
                    seconds_left = self.seconds_left,
                    entries = self.entries,
                    added = self.added,
                    removed = self.removed,
                    ended = self.ended,
                    aws_calls = notes.count(),
                    aws_ms = notes.milliseconds(),
                    ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "revocation list"
                )
            };
        }
        if self.outcome.is_well() { event!(info) } else { event!(error) }
    }
}

/// Looks at the lists of every issuer, or of one.
///
/// # Errors
/// The event is not understood, names no issuer of ours, or an issuer has no fresh list after the run.
pub async fn handle(step: Arc<RevocationSync>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let asked: Event = serde_json::from_value(event.payload)?;
    let run = Run {
        request_id: event.context.request_id,
        reread: asked.reread,
        event: asked.time,
        began: Instant::now(),
        end: time_left(event.context.deadline, Clock::system().now().as_millisecond(), RESERVE)
            .and_then(|left| Instant::now().checked_add(left)),
        clock: step.clock.clone(),
    };
    let mut issuers = step.truststore.authorities().iter().filter(|issuer| issuer.profile().is_some());
    let issuers: Vec<&Authority> = match &asked.issuer {
        None => issuers.collect(),
        Some(wanted) => {
            let named = |issuer: &&Authority| {
                issuer.id().as_str() == wanted
                    || issuer.profile().is_some_and(|profile| profile.name == *wanted)
            };
            vec![issuers.find(named).ok_or_else(|| format!("issuers.toml has no issuer {wanted}"))?]
        }
    };
    let mut rows = Vec::new();
    let mut without = Vec::new();
    for issuer in issuers {
        let of_issuer = step.look(issuer, &run).await;
        if !of_issuer.iter().any(|row| row.seconds_left > 0) {
            without.extend(issuer.profile().map(|profile| profile.name.as_str()));
        }
        rows.extend(of_issuer);
    }
    if without.is_empty() {
        Ok(json!({ "lists": rows }))
    } else {
        Err(format!("no fresh revocation list of {}", without.join(", ")).into())
    }
}

impl RevocationSync {
    /// Looks at all sources of an issuer.
    async fn look(&self, issuer: &Authority, run: &Run) -> Vec<Row> {
        let sources = issuer.profile().map(|profile| profile.crl.as_slice()).unwrap_or_default();
        let mut rows = Vec::new();
        for source in sources {
            let began = Instant::now();
            let (row, notes) = RequestNotes::collect(self.look_at(issuer, source, run)).await;
            row.write(&notes, began, run);
            rows.push(row);
        }
        if rows.is_empty() {
            let row = Row::new(issuer, "");
            row.write(&RequestNotes::default(), Instant::now(), run);
            rows.push(row);
        }
        rows
    }

    async fn look_at(&self, issuer: &Authority, source: &str, run: &Run) -> Row {
        let mut row = Row::new(issuer, source);
        let markers = match self.revocations.markers(issuer.id()).await {
            Ok(markers) => markers,
            Err(error) => {
                row.outcome = Outcome::Failed;
                row.reason = error.to_string();
                return row;
            }
        };
        // What this source gave last; of a source that gave nothing yet, what the issuer's others gave.
        let of_source = markers.iter().find(|marker| marker.sources.contains_key(source));
        let oldest = markers.iter().min_by_key(|marker| marker.freshness.next_update);
        if let Some(marker) = of_source.or(oldest) {
            row.show(marker, run.now());
        }
        match self.bring(issuer, source, &markers, run).await {
            Ok((outcome, applied)) => {
                row.outcome = outcome;
                row.count(&applied);
                if let Some(marker) = &applied.marker {
                    row.show(marker, run.now());
                }
            }
            Err(failure) => {
                row.outcome = match &failure {
                    Failure::Source(_) => Outcome::Unreachable,
                    Failure::List(_) | Failure::Conflict(_) => Outcome::Refused,
                    Failure::Busy => Outcome::Busy,
                    Failure::OutOfTime => Outcome::Incomplete,
                    Failure::Lost | Failure::Store(_) | Failure::Truststore(_) => Outcome::Failed,
                };
                row.reason = failure.to_string();
            }
        }
        row
    }
}

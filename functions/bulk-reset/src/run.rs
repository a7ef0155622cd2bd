//! One job in one worker's hands: row by row, until its end, its worker's, or that of its actor's authority.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join3;
use futures_util::stream::{self, StreamExt as _};
use shared::audit::{Action, Origin};
use shared::authority::{Act, Actor, Target, decide};
use shared::bulk::{RowRefusal, judge};
use shared::chance;
use shared::kms::KmsError;
use shared::person::Person;
use shared::problem::Problem;
use shared::pseudonym::{EmailDigest, PersonId};
use shared::reset::{Drawn, Reset};
use shared::roster::Agency;
use shared::session::Subject;
use shared::store::accounts::KnownAgency;
use shared::store::bulk::{Job, Lease, Outcome};
use shared::store::outbox::Lane;
use shared::store::tickets::Rate;
use shared::store::{CommitError, Guard, StoreError, Transaction};

use crate::BulkReset;
use crate::rows::{Row, Rows};

/// Rows whose people are read together, with the actor.
const ROWS_A_READ: usize = 25;
/// How often a row is tried while its person changes beside it.
const TRIES: u32 = 3;

/// How the work on a job ended, for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It was worked on, to whatever end.
    Worked,
    /// Nothing was to be done: another worker has it, or it is over.
    NothingToDo,
    /// It could not even be asked for.
    OutOfReach,
}

/// Why a worker gives up a job. Its lease runs out, and the sweep hands the job to another.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// KMS.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// An initial password could not be drawn.
    #[error("no initial password: {0}")]
    Draw(String),
    /// The job's rows cannot be read.
    #[error("the rows: {0}")]
    Rows(String),
}

/// Why a worker is at a job's end, or at its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Every row has come to its end.
    Finished,
    /// The actor may not do it any more.
    Stopped(RowRefusal),
    /// The worker's time is over.
    TimeOver,
    /// It was called off, or another worker has it.
    NotOurs,
}

/// Who confirmed a job, as they are now.
enum Acting {
    Person(Box<Person>),
    Agency(Agency),
}

impl Acting {
    fn actor(&self) -> Actor<'_> {
        match self {
            Self::Person(person) => Actor::Person(person),
            Self::Agency(agency) => Actor::Agency { agency: &agency.code },
        }
    }
}

/// A row that is ready to be written.
struct Ready {
    row: Row,
    person: Option<Person>,
    drawn: Result<Drawn, RowRefusal>,
}

/// What came of writing a row.
enum Written {
    /// It has come to its end.
    Ended,
    /// Something changed beside it: what stands now decides.
    ReadAgain,
    /// The job is not ours any more.
    NotOurs,
}

impl BulkReset {
    /// Works on a job, if it is there to be worked on, and begins no row after `end`.
    pub(crate) async fn run(self: &Arc<Self>, id: &str, end: Option<Instant>, request_id: &str) -> Ran {
        let mut job = match self.bulks.take(id, self.clock.now()).await {
            Ok(Lease::Taken(job)) => job,
            Ok(Lease::NothingToDo) => return Ran::NothingToDo,
            Err(error) => {
                tracing::error!(step = "bulk-reset", request_id, bulk_id = id, reason = %error, "job out of reach");
                return Ran::OutOfReach;
            }
        };
        let (began, first) = (Instant::now(), (job.reset, job.refused));
        let ended = match self.work(&mut job, end).await {
            Ok(ended) => self.settle(&job, ended).await.map(|()| ended).map_err(Broken::from),
            Err(broken) => Err(broken),
        };
        let (reset, refused) = (job.reset - first.0, job.refused - first.1);
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        macro_rules! line_at {
            ($level:ident, $outcome:expr, $reason:expr) => {
                tracing::$level!(
                    step = "bulk-reset",
                    request_id,
                    bulk_id = id,
                    actor = %job.by,
                    outcome = $outcome,
                    reason = $reason,
                    reset,
                    refused,
                    duration_ms = milliseconds,
                    "job"
                )
            };
        }
        match ended {
            Ok(End::Finished) => line_at!(info, "finished", ""),
            Ok(End::TimeOver) => line_at!(info, "released", "the function's time is over"),
            Ok(End::NotOurs) => line_at!(info, "not_ours", ""),
            Ok(End::Stopped(why)) => line_at!(warn, "stopped", why.code()),
            Err(broken) => line_at!(error, "broken", broken.to_string()),
        }
        Ran::Worked
    }

    async fn settle(&self, job: &Job, ended: End) -> Result<(), StoreError> {
        let now = self.clock.now();
        match ended {
            End::Finished => self.bulks.finish(job, now).await,
            End::Stopped(why) => self.bulks.stop(job, why, now).await,
            End::TimeOver => self.bulks.release(job, now).await,
            End::NotOurs => Ok(()),
        }
    }

    async fn work(self: &Arc<Self>, job: &mut Job, end: Option<Instant>) -> Result<End, Broken> {
        let is_over = || end.is_some_and(|end| Instant::now() >= end);
        let mut rows = Rows::default();
        let mut tries: HashMap<u32, u32> = HashMap::new();
        loop {
            if is_over() {
                return Ok(End::TimeOver);
            }
            let batch = rows.next(self, job, job.next, ROWS_A_READ).await?;
            if batch.is_empty() {
                return Ok(End::Finished);
            }
            let ids: Vec<&PersonId> = batch.iter().map(|row| &row.person).collect();
            let addresses: Vec<&EmailDigest> = batch.iter().map(|row| &row.address).collect();
            let (acting, mut people, marked) =
                try_join3(self.acting(job), self.accounts.people(&ids), self.outbox.marked(&addresses))
                    .await?;
            let now = self.clock.now();
            let may = |acting: &Acting| decide(acting.actor(), Act::BulkReset, Target::Anybody, now).is_ok();
            let Some(acting) = acting.filter(may) else {
                return Ok(End::Stopped(RowRefusal::NotAuthorized));
            };
            let by = job.by.clone();
            let begun: Vec<_> = batch
                .into_iter()
                .map(|row| {
                    let person = people.remove(&row.person);
                    let given_up = tries.get(&row.place).is_some_and(|tries| *tries >= TRIES);
                    let undeliverable = marked.contains(&row.address);
                    let judged = match given_up {
                        true => Err(RowRefusal::Conflict),
                        false => {
                            judge(acting.actor(), person.as_ref(), undeliverable, job.include_active, now)
                                .map(|_| ())
                        }
                    };
                    (row, person, judged)
                })
                .collect();
            // Drawn on other threads, in time to keep every processor at work; written one after the other, in the file's
            // order: each of them moves the job on.
            let mut ready = stream::iter(begun)
                .map(|(row, person, judged)| {
                    let (step, by) = (Arc::clone(self), by.clone());
                    tokio::spawn(async move { step.draw(&by, row, person, judged).await })
                })
                .buffered(self.side_by_side);
            while let Some(drawn) = ready.next().await {
                let next = drawn.map_err(|error| Broken::Draw(error.to_string()))??;
                let place = next.row.place;
                match self.write(job, &acting, next).await? {
                    Written::Ended => {}
                    Written::NotOurs => return Ok(End::NotOurs),
                    Written::ReadAgain => {
                        *tries.entry(place).or_default() += 1;
                        break;
                    }
                }
                if is_over() {
                    return Ok(End::TimeOver);
                }
            }
        }
    }

    /// Who confirmed the job, as they are now; nobody, when they are not known or not in service any more, or their
    /// certificate was revoked since.
    async fn acting(&self, job: &Job) -> Result<Option<Acting>, StoreError> {
        match &job.by {
            Subject::Person(id) => {
                let person = self.accounts.person(id).await?;
                Ok(person.map(|person| Acting::Person(Box::new(person))))
            }
            Subject::Agency(oid) => {
                let known = self.accounts.agency(oid).await?;
                let ended = |known: &KnownAgency| {
                    job.seen.as_ref().is_some_and(|seen| known.ended_certificates.end(seen))
                };
                Ok(known.filter(|known| !ended(known)).map(|known| Acting::Agency(known.agency)))
            }
        }
    }

    /// Draws what a row's reset puts in place, if it may be made.
    async fn draw(
        &self,
        by: &Subject,
        row: Row,
        person: Option<Person>,
        judged: Result<(), RowRefusal>,
    ) -> Result<Ready, Broken> {
        let drawn = match (&person, judged) {
            (Some(person), Ok(())) => {
                let reset = self.reset(by, &row, person);
                let drawn = self.resetter.draw(&reset, &mut chance::system()).await;
                Ok(drawn.map_err(|problem: Problem| Broken::Draw(problem.reason))?)
            }
            (None, Ok(())) => Err(RowRefusal::EmployeeNotFound),
            (_, Err(refusal)) => Err(refusal),
        };
        Ok(Ready { row, person, drawn })
    }

    fn reset<'a>(&self, by: &'a Subject, row: &'a Row, person: &'a Person) -> Reset<'a> {
        let now = self.clock.now();
        Reset { person, email: &row.email, address: &row.address, by, lane: Lane::Bulk, now }
    }

    /// Writes a row: its reset, or why there is none, and the job moved on behind it.
    async fn write(&self, job: &mut Job, acting: &Acting, ready: Ready) -> Result<Written, Broken> {
        let Ready { row, person, drawn } = ready;
        let agency = person.as_ref().map(|person| person.agency.clone());
        let refusal = match (person, drawn) {
            (Some(person), Ok(drawn)) => {
                let outcome = Outcome::Reset { reset_id: drawn.letter().reset_id.clone() };
                let now = self.clock.now();
                let by = job.by.clone();
                let reset = Reset { now: drawn.letter().created_at, ..self.reset(&by, &row, &person) };
                let note = format!(" (bulk {}, line {})", job.id, row.line);
                let rate = Rate::resets_of(&person.id, self.resets_of_person, now);
                let unchanged = match acting {
                    Acting::Person(person) => self.accounts.still_may(person)?,
                    Acting::Agency(agency) => self.accounts.agency_still_may(agency, job.seen.as_ref())?,
                };
                let origin = self.origin(job);
                let transaction = self
                    .resetter
                    .write(&reset, &drawn, &note, &origin, &mut chance::system())?
                    .with(Guard::Actor, unchanged)
                    .with(Guard::PersonRate, self.tickets.count(&rate)?);
                match self.end_row(job, &row, &outcome, transaction).await? {
                    Ok(written) => return Ok(written),
                    Err(refusal) => refusal,
                }
            }
            (_, Err(refusal)) => refusal,
            (None, Ok(_)) => RowRefusal::EmployeeNotFound,
        };
        let whom = Subject::Person(row.person.clone());
        let entry = self.origin(job).entry(Action::PasswordReset, &job.by, &whom, refusal.code());
        let mut entry = entry.of_agency(agency);
        entry.note = Some(format!("bulk {}, line {}", job.id, row.line));
        let transaction = Transaction::new().with(Guard::New, self.audit.append(entry)?);
        match self.end_row(job, &row, &Outcome::Refused(refusal), transaction).await? {
            Ok(written) => Ok(written),
            Err(_) => Ok(Written::ReadAgain),
        }
    }

    /// Commits a row; the inner error is a refusal of the row that is to be written in place of its reset.
    async fn end_row(
        &self,
        job: &mut Job,
        row: &Row,
        outcome: &Outcome,
        transaction: Transaction,
    ) -> Result<Result<Written, RowRefusal>, Broken> {
        let now = self.clock.now();
        let (moved, ended) = self.bulks.end_row(job, (row.place, row.line), outcome, now)?;
        let written =
            transaction.with(Guard::Bulk, moved).with(Guard::Bulk, ended).commit(&self.client).await;
        Ok(match written {
            Ok(()) => {
                job.after_row(row.place, outcome, now);
                Ok(Written::Ended)
            }
            Err(error) if error.refused(Guard::Bulk).is_some() => Ok(Written::NotOurs),
            Err(error) if error.refused(Guard::PersonRate).is_some() => Err(RowRefusal::TooManyRequests),
            Err(CommitError::Refused(_) | CommitError::Busy) => Ok(Written::ReadAgain),
            Err(CommitError::Store(error)) => return Err(error.into()),
        })
    }

    /// The request in whose name the resets are made, now.
    fn origin(&self, job: &Job) -> Origin {
        let now = self.clock.now();
        match &job.confirmation {
            Some(confirmation) => confirmation.origin(now),
            None => Origin { address: String::new(), request_id: job.id.clone(), at: now },
        }
    }
}

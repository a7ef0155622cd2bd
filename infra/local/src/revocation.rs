//! Starts `revocation-sync` by its schedule, and sooner when a list in a file has changed, so that a revoked test card is
//! refused within seconds.
//!
//! The test CAs publish their lists here too: each is renewed in time, and served over HTTP like that of a real one
//! ([`crate::pki::crl::router`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use shared::certificate::Truststore;
use shared::clock::Clock;
use shared::environment::StartError;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::deployment::ScheduleDeclaration;
use crate::events::Events;
use crate::functions::{Functions, InvocationError};
use crate::pki::{KINDS, Pki, PkiError, crl};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why the lists were not brought into the table.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The test PKI cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The truststore cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The function failed, or an issuer has no fresh list. Its log says more.
    #[error(transparent)]
    Function(#[from] InvocationError),
}

/// Keeps the table at the lists' state. Clones are the same.
#[derive(Debug, Clone)]
pub struct RevocationSync {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pki: Pki,
    functions: Functions,
    schedules: Vec<ScheduleDeclaration>,
    /// The lists that are files.
    files: Vec<PathBuf>,
    clock: Clock,
    /// One run at a time.
    turn: Mutex<()>,
    watch: Mutex<Option<JoinHandle<()>>>,
}

impl RevocationSync {
    /// The schedules of these functions, whose issuers are those of `truststore`, a folder.
    ///
    /// # Errors
    /// When the truststore cannot be read.
    pub fn new(
        pki: Pki,
        truststore: &Path,
        functions: Functions,
        schedules: Vec<ScheduleDeclaration>,
        clock: Clock,
    ) -> Result<Self, RevocationError> {
        let authorities = Truststore::load(truststore)?;
        let profiles = authorities.authorities().iter().filter_map(|authority| authority.profile());
        let sources = profiles.flat_map(|profile| profile.crl.clone());
        let files = sources.filter(|source| !source.contains("://")).map(|file| truststore.join(file));
        let own = KINDS.into_iter().flat_map(|kind| pki.revocation_lists(kind));
        let files = files.chain(own).collect();
        let inner = Inner {
            pki,
            functions,
            schedules,
            files,
            clock,
            turn: Mutex::default(),
            watch: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Renews the test CAs' lists that end soon, and starts the functions that have a schedule, now. Gives their answers.
    ///
    /// # Errors
    /// When a list cannot be renewed, or a function fails.
    pub async fn run(&self) -> Result<Vec<Value>, RevocationError> {
        let Inner { functions, schedules, clock, turn, .. } = self.inner.as_ref();
        let _turn = turn.lock().await;
        self.renew()?;
        let mut answers = Vec::new();
        for schedule in schedules {
            let event = Events::tick(schedule, clock);
            answers.push(functions.invoke(&schedule.function, event).await?);
        }
        Ok(answers)
    }

    fn renew(&self) -> Result<(), PkiError> {
        for kind in KINDS {
            crl::renew(&self.inner.pki, kind, self.inner.clock.now())?;
        }
        Ok(())
    }

    /// What tells whether a list in a file has changed.
    fn look(&self) -> Vec<Option<(SystemTime, u64)>> {
        let look = |file: &PathBuf| {
            let found = std::fs::metadata(file).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        self.inner.files.iter().map(look).collect()
    }

    /// Runs whenever the schedule says so, and whenever a file has changed since now.
    pub async fn watch(&self) {
        let sync = self.clone();
        let mut seen = sync.look();
        let task = tokio::spawn(async move {
            let mut ran = Instant::now();
            let mut last = String::new();
            loop {
                tokio::time::sleep(INTERVAL).await;
                let renewed = sync.renew().map_err(RevocationError::from);
                let now = sync.look();
                let due = sync.inner.schedules.iter().any(|schedule| ran.elapsed() >= schedule.every);
                if renewed.is_ok() && now == seen && !due {
                    continue;
                }
                seen = now;
                ran = Instant::now();
                let problem = match renewed.and(sync.run().await) {
                    Ok(_) => String::new(),
                    Err(error) => error.to_string(),
                };
                // A problem that lasts is told once.
                if !problem.is_empty() && problem != last {
                    tracing::error!(problem, "revocation lists are not applied");
                }
                last = problem;
            }
        });
        if let Some(former) = self.inner.watch.lock().await.replace(task) {
            former.abort();
        }
    }

    /// Runs no more: the lists in the table grow stale, as when the schedule is off. A run that is under way ends first.
    pub async fn stop(&self) {
        let _turn = self.inner.turn.lock().await;
        if let Some(task) = self.inner.watch.lock().await.take() {
            task.abort();
        }
    }
}

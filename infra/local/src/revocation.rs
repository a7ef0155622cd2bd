//! Brings the test CAs' revocation lists into the `revocations` table, by the same code that will do it on AWS.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;
use shared::certificate::{Kind, Truststore};
use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::revocation::{ListRefusal, RevocationList};
use shared::store::revocations::{Applied, Revocations};
use shared::store::{self, StoreError};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::files;
use crate::pki::{KINDS, Pki, PkiError, crl};

/// How often the lists are looked at: a revoked card is refused within seconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why a list did not get into the table.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The test PKI cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The truststore cannot be used, or a variable is missing.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The list is not one that a function would believe.
    #[error("a revocation list is refused: {0}")]
    List(#[from] ListRefusal),
    /// The table cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Brings one list into the table that the environment names, whichever pinned CA of the truststore issued it. PEM or DER.
///
/// # Errors
/// When no pinned CA issued the list, or the table cannot be used.
pub async fn import(
    list: &[u8],
    truststore: &Truststore,
    environment: &Environment,
) -> Result<Applied, RevocationError> {
    let der =
        CertificateRevocationListDer::from_pem_slice(list).map_or_else(|_| list.to_vec(), |der| der.to_vec());
    let pinned = truststore.authorities().iter().filter(|authority| authority.profile().is_some());
    let mut refusal = ListRefusal::NotTheIssuers("no CA is pinned".to_owned());
    for authority in pinned {
        match RevocationList::parse(&der, authority) {
            Ok(list) => {
                let mut settings = environment.settings();
                let table = settings.required("REVOCATIONS_TABLE");
                settings.finish()?;
                let config = shared::aws::sdk_config(environment).await;
                let table = Revocations::new(store::client(environment, &config), table);
                return Ok(table.apply(&list).await?);
            }
            // Another CA of that name may have signed it.
            Err(ListRefusal::NotTheIssuers(reason)) => refusal = ListRefusal::NotTheIssuers(reason),
            Err(other) => return Err(other.into()),
        }
    }
    Err(refusal.into())
}

/// Keeps the table at the lists' state. Clones are the same.
#[derive(Debug, Clone)]
pub struct RevocationSync {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pki: Pki,
    truststore: Truststore,
    table: Revocations,
    clock: Clock,
    /// Digests of the lists that are in the table.
    applied: Mutex<HashMap<&'static str, String>>,
    watch: Mutex<Option<JoinHandle<()>>>,
}

impl RevocationSync {
    /// A sync into the table that the environment names.
    ///
    /// # Errors
    /// When the truststore cannot be read or a variable is missing.
    pub async fn new(pki: Pki, environment: &Environment) -> Result<Self, RevocationError> {
        let truststore = Truststore::load(&pki.truststore_folder())?;
        let mut settings = environment.settings();
        let table = settings.required("REVOCATIONS_TABLE");
        settings.finish()?;
        let config = shared::aws::sdk_config(environment).await;
        let table = Revocations::new(store::client(environment, &config), table);
        let clock = environment.clock().clone();
        let inner =
            Inner { pki, truststore, table, clock, applied: Mutex::default(), watch: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Renews lists that end soon and applies those that changed.
    ///
    /// # Errors
    /// When a list or the table cannot be used; the other list is applied all the same.
    pub async fn run(&self) -> Result<(), RevocationError> {
        let mut result = Ok(());
        for kind in KINDS {
            let applied = self.apply(kind).await;
            result = result.and(applied);
        }
        result
    }

    async fn apply(&self, kind: Kind) -> Result<(), RevocationError> {
        let Inner { pki, truststore, table, clock, applied, .. } = self.inner.as_ref();
        crl::renew(pki, kind, clock.now())?;
        let der = files::read(&pki.revocation_list(kind)).map_err(PkiError::from)?;
        let mut authorities = truststore.authorities().iter();
        let issuing =
            authorities.find(|authority| authority.profile().is_some_and(|profile| profile.kind == kind));
        let Some(issuing) = issuing else { return Ok(()) };
        let list = RevocationList::parse(&der, issuing)?;
        let name = match kind {
            Kind::Citizen => "citizen",
            Kind::Organization => "organization",
        };
        let mut applied = applied.lock().await;
        if applied.get(name) != Some(&list.digest) {
            let change = table.apply(&list).await?;
            tracing::info!(
                list = name,
                added = change.added,
                removed = change.removed,
                "revocation list applied"
            );
            applied.insert(name, list.digest);
        }
        Ok(())
    }

    /// Looks at the lists every second from now on.
    pub async fn watch(&self) {
        let sync = self.clone();
        let task = tokio::spawn(async move {
            let mut last = String::new();
            loop {
                tokio::time::sleep(INTERVAL).await;
                let problem = sync.run().await.err().map(|error| error.to_string()).unwrap_or_default();
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

    /// Stops looking: the lists in the table grow stale, as when a CA's server is out of reach.
    pub async fn stop(&self) {
        if let Some(task) = self.inner.watch.lock().await.take() {
            task.abort();
        }
    }
}

//! Chains the audit trail, off the path of every request.
//!
//! Two kinds of events start it ([`handler`]). The **stream** of the audit table hands over new entries, which become links
//! ([`chaining`]); an entry that was changed or deleted is told at once, for nobody may. A **schedule** signs where the chains
//! end ([`heads`]): first it looks once for every entry that is old enough to have come by the stream, and chains what did not,
//! so that a lost record or a stream that stood still for days loses nothing; then it has KMS sign a statement of all chains,
//! which goes into the chains' table and into a bucket where nobody can change it.
//!
//! A record may come twice, late, or out of order, and two of these functions may work side by side: an entry is chained
//! once, and a chain does not fork ([`shared::store::chains`]).

mod chaining;
pub mod handler;
mod heads;

use shared::audit::chain::Chains;
use shared::clock::Clock;
use shared::environment::{Environment, StartError};
use shared::kms::Kms;
use shared::lambda::Function;
use shared::s3::Bucket;
use shared::store::audit::AuditTrail;
use shared::store::chains::ChainStore;
use shared::token::PublicKey;
use shared::{aws, store};

/// The step.
pub struct AuditChain {
    trail: AuditTrail,
    store: ChainStore,
    chains: Chains,
    kms: Kms,
    key: String,
    public: PublicKey,
    bucket: Bucket,
    stage: String,
    clock: Clock,
}

/// Starts the function.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<Function, StartError> {
    let step = std::sync::Arc::new(AuditChain::start(environment).await?);
    Ok(Function::new(move |event| handler::handle(std::sync::Arc::clone(&step), event)))
}

impl AuditChain {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`]; also when the trail was begun with another number of chains.
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let audit = settings.required("AUDIT_TABLE");
        let table = settings.required("CHAINS_TABLE");
        let stack = settings.required("STACK");
        let count = settings.parsed("AUDIT_CHAINS", 16);
        let key = settings.required("AUDIT_KEY");
        let bucket = settings.required("AUDIT_BUCKET");
        let stage = settings.required("STAGE");
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        let store = ChainStore::new(client.clone(), table);
        let chains = Chains::new(&stack, count);
        store.settle(&chains).await?;
        let kms = Kms::new(environment, &config);
        Ok(Self {
            trail: AuditTrail::new(client, audit),
            store,
            chains,
            public: kms.public_key(&key).await?,
            kms,
            key,
            bucket: Bucket::new(environment, &config, bucket),
            stage,
            clock: environment.clock().clone(),
        })
    }
}

//! `revocations`: revocation lists, by hand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use local::revocation;
use shared::certificate::Truststore;
use shared::environment::Environment;

use super::Failure;

/// What to do with lists.
#[derive(Subcommand)]
pub(crate) enum Revocations {
    /// Loads one issuer's revocation list into AWS, with the process's own variables and credentials. (A running
    /// stand-in loads its test CAs' lists itself.)
    Import {
        /// The list, PEM or DER, as the issuer publishes it.
        file: PathBuf,
        /// The folder with truststore.pem and issuers.toml.
        #[arg(long, value_name = "DIR", default_value = "infra/truststore")]
        truststore: PathBuf,
    },
}

/// Does it.
pub(crate) async fn run(command: Revocations) -> Result<ExitCode, Failure> {
    match command {
        Revocations::Import { file, truststore } => import(&file, &truststore).await,
    }
}

async fn import(file: &Path, truststore: &Path) -> Result<ExitCode, Failure> {
    let list = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let truststore = Truststore::load(truststore)?;
    let applied = revocation::import(&list, &truststore, &Environment::process()).await?;
    eprintln!("{}: {} revoked, {} no longer", file.display(), applied.added, applied.removed);
    Ok(ExitCode::SUCCESS)
}

//! `audit`: whether the audit trail is what was written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use local::verification::{Report, Verification};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use shared::audit::chain::Chains;
use shared::kms::Kms;
use shared::s3::Bucket;
use shared::store;
use shared::store::audit::AuditTrail;
use shared::store::chains::ChainStore;
use shared::token::PublicKey;

use super::aws::{environment, explained};
use super::{Failure, UNREADABLE};

/// What to do with the audit trail.
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Proves that the trail is complete and unaltered, or names what is not. Ends with 0 when it is, with 1 when it is not, with
    /// 2 when that cannot be told.
    Verify {
        /// The data directory of a running stand-in.
        #[arg(long, value_name = "DIR", default_value = ".local")]
        data: PathBuf,
        /// Works on AWS, with the process's own variables (AUDIT_TABLE, CHAINS_TABLE, AUDIT_BUCKET, AUDIT_KEY, STACK, AUDIT_CHAINS)
        /// and credentials.
        #[arg(long)]
        aws: bool,
        /// A public key in PEM that signed earlier statements, or, where KMS is not to be asked, signs them now.
        #[arg(long, value_name = "FILE")]
        public_key: Vec<PathBuf>,
        /// Prints the report as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub(crate) async fn run(command: Audit) -> Result<ExitCode, Failure> {
    let Audit::Verify { data, aws, public_key, json } = command;
    match verify(&data, aws, &public_key).await {
        Ok(report) => {
            match json {
                true => println!("{}", serde_json::to_string_pretty(&report)?),
                false => print(&report),
            }
            Ok(if report.intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => {
            eprintln!("error: {}", explained(error, aws));
            Ok(ExitCode::from(UNREADABLE))
        }
    }
}

async fn verify(data: &Path, aws: bool, public_keys: &[PathBuf]) -> Result<Report, Failure> {
    let environment = environment(data, aws)?;
    let mut settings = environment.settings();
    let audit = settings.required("AUDIT_TABLE");
    let table = settings.required("CHAINS_TABLE");
    let bucket = settings.required("AUDIT_BUCKET");
    let stack = settings.required("STACK");
    let count = settings.parsed("AUDIT_CHAINS", 16);
    let key = settings.optional("AUDIT_KEY");
    settings.finish()?;
    let config = shared::aws::ready_config(&environment).await?;
    let client = store::client(&environment, &config);
    let mut keys = Vec::new();
    for file in public_keys {
        let spki = SubjectPublicKeyInfoDer::from_pem_file(file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        keys.push(PublicKey::from_spki(&spki)?);
    }
    if let Some(key) = key {
        keys.push(Kms::new(&environment, &config).public_key(&key).await?);
    }
    let verification = Verification {
        trail: AuditTrail::new(client.clone(), audit),
        store: ChainStore::new(client, table),
        bucket: Bucket::new(&environment, &config, bucket),
        chains: Chains::new(&stack, count),
        keys,
    };
    Ok(verification.run().await?)
}

fn print(report: &Report) {
    for finding in &report.findings {
        println!("{}", finding.what);
    }
    let Report { entries, pending, links, unsigned, statements, .. } = report;
    println!(
        "{entries} entries ({pending} not chained yet), {links} links ({unsigned} not signed yet), {statements} statements"
    );
    match (report.last_statement_at, report.settled_until) {
        (Some(at), Some(until)) => println!("signed last at {at}; every entry of before {until} is chained"),
        _ => println!("nothing is signed yet"),
    }
    match report.findings.first() {
        None => println!("complete and unaltered"),
        Some(first) => println!("NOT complete and unaltered; the first: {}", first.what),
    }
}

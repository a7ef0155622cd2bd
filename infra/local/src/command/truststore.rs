//! `truststore`: the bundle of CAs that is deployed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use local::truststore::{self, Examination, Folder, day};
use shared::clock::Clock;

use super::{Failure, UNREADABLE};

/// What to do with CAs.
#[derive(Subcommand)]
pub(crate) enum Truststore {
    /// Makes a bundle out of a folder of certificate files, if API Gateway and the functions would believe all of them.
    ///
    /// Every CA is shown with its fingerprint, to be compared with what the CA publishes. The exit code is 0 when the
    /// bundle was written; 1 when something stands in its way, all of which is listed; 2 when a file cannot be read.
    Build(Build),
}

/// What to make a bundle of.
#[derive(Args)]
pub(crate) struct Build {
    /// The folder with the CAs' certificates: .pem, .crt, .cer or .der, in PEM or DER.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The bundle to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also writes a draft of issuers.toml, with a row for each CA that issues cards; a file that exists stays as it is.
    #[arg(long, value_name = "FILE")]
    issuers: Option<PathBuf>,
    /// Warns of CAs that end within so many days.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16))]
    warn_days: u16,
    /// Takes this moment for now.
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
}

/// Does it.
pub(crate) fn run(command: &Truststore) -> Result<ExitCode, Failure> {
    match command {
        Truststore::Build(options) => build(options),
    }
}

fn build(options: &Build) -> Result<ExitCode, Failure> {
    let folder = match Folder::read(&options.folder, Some(&options.out)) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let now = options.at.unwrap_or_else(|| Clock::system().now());
    let warn = SignedDuration::from_hours(24 * i64::from(options.warn_days));
    let examined = Examination::of(&folder.sources, now, warn);
    print!("{}", listing(&examined));
    for name in &folder.passed_over {
        eprintln!("passed over: {name}, whose name does not end as a certificate's");
    }
    for warning in &examined.warnings {
        eprintln!("warning: {warning}");
    }
    let Some(bundle) = examined.bundle() else {
        for problem in &examined.problems {
            eprintln!("error: {problem}");
        }
        eprintln!(
            "{} is not written: {} in the way",
            options.out.display(),
            counted(&examined.problems, "problem")
        );
        return Ok(ExitCode::FAILURE);
    };
    truststore::write(&options.out, &bundle)?;
    let (out, size) = (options.out.display(), bundle.len());
    println!("{out}: {}, {size} bytes", counted(&examined.authorities, "certificate"));
    if let Some(path) = &options.issuers {
        if path.exists() {
            eprintln!("{} exists and stays as it is", path.display());
        } else {
            truststore::write(path, &examined.issuers())?;
            println!("{}: a draft; fill in kind and crl of each issuer", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listing(examined: &Examination) -> String {
    let lines = examined.authorities.iter().map(|ca| {
        let issuing = if ca.is_issuing { ", issuing" } else { "" };
        format!(
            "{name}\n  role     {role}{issuing}\n  SHA-256  {fingerprint}\n  key      {key}\n  signed   {signature}\n  \
             valid    {from} to {until}\n  from     {place}\n\n",
            name = ca.name,
            role = ca.role,
            fingerprint = ca.fingerprint,
            key = ca.key,
            signature = ca.signature,
            from = day(&ca.not_before),
            until = day(&ca.not_after),
            place = ca.place,
        )
    });
    lines.collect()
}

fn counted<T>(things: &[T], what: &str) -> String {
    let ending = if things.len() == 1 { "" } else { "s" };
    format!("{} {what}{ending}", things.len())
}

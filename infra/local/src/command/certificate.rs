//! `certificate`: what the functions decide about a certificate, without a function.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use local::truststore::printable;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use shared::certificate::{IssuerProfiles, Truststore, ValidPath};
use shared::clock::Clock;
use shared::language::Language;
use shared::problem::{Code, Problem};
use shared::revocation::{self, ListSet, ListSigner, Status};

use super::{Failure, UNREADABLE};

/// How long past its nextUpdate a list is believed.
const GRACE: SignedDuration = SignedDuration::ZERO;

/// What to do with certificates.
#[derive(Subcommand)]
pub(crate) enum Certificate {
    /// Decides whether a certificate may sign in, by the very code that the function uses.
    ///
    /// Without --issuers every CA of the truststore may issue certificates that sign in, and no kind, policy or directory
    /// attribute is asked for. With it, files that it names as lists are read as if they stood behind --crl; addresses are
    /// not, and OCSP responders are not asked. Revocation is decided last: an entry refuses, and so does
    /// a list that is missing or past its nextUpdate, with no grace.
    ///
    /// The exit code is 0 for accept, 1 for refuse, and 2 when a file cannot be read, or the truststore or issuers.toml
    /// cannot be understood.
    Check(Check),
}

/// What to decide, by what.
#[derive(Args)]
pub(crate) struct Check {
    /// The certificate, PEM or DER. In PEM others may follow, which help to find a path.
    #[arg(value_name = "LEAF.pem")]
    leaf: PathBuf,
    /// More certificates to find a path with, PEM or DER. They are not trusted.
    #[arg(long, value_name = "PEM")]
    intermediates: Option<PathBuf>,
    /// The CAs that are trusted.
    #[arg(long, value_name = "PEM")]
    truststore: PathBuf,
    /// A revocation list, PEM or DER. One that cannot be believed is named in the reason, and counts as missing.
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// Which CAs issue cards, and what is asked of those.
    #[arg(long, value_name = "TOML")]
    issuers: Option<PathBuf>,
    /// Takes this moment for now.
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
    /// Prints {"verdict", "code", "reason"} in one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(crate) fn run(command: &Certificate) -> Result<ExitCode, Failure> {
    let Certificate::Check(options) = command;
    let case = match Case::read(options) {
        Ok(case) => case,
        Err(reason) => {
            eprintln!("error: {}", printable(&reason));
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let verdict = case.decide(options.at.unwrap_or_else(|| Clock::system().now()));
    if options.json {
        println!("{}", serde_json::to_string(&verdict)?);
    } else {
        print!("{verdict}");
    }
    Ok(if verdict.code.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that a decision needs but the time.
struct Case {
    leaf: String,
    intermediates: Option<String>,
    truststore: Truststore,
    /// Whether certificates must be those of a pinned issuer.
    pinned: bool,
    lists: Vec<(String, Vec<u8>)>,
}

impl Case {
    fn read(options: &Check) -> Result<Self, String> {
        let pem = |path: &Path| read(path).map(|bytes| pem(&bytes));
        let profiles = match &options.issuers {
            None => IssuerProfiles::default(),
            Some(path) => {
                let broken = |reason: String| format!("{}: {reason}", path.display());
                let text = String::from_utf8(read(path)?).map_err(|error| broken(error.to_string()))?;
                IssuerProfiles::parse(&text).map_err(|error| broken(error.to_string()))?
            }
        };
        let folder = options.issuers.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let named = profiles.issuers.iter().flat_map(|profile| &profile.crl);
        let named = named.filter(|source| !source.contains("://")).map(|source| folder.join(source));
        // One file may hold the lists of several issuers.
        let mut files = options.crl.clone();
        for path in named {
            if !files.contains(&path) {
                files.push(path);
            }
        }
        let lists = files.into_iter().map(|path| Ok((path.display().to_string(), read(&path)?)));
        let truststore = Truststore::new(pem(&options.truststore)?.as_bytes(), profiles)
            .map_err(|error| format!("{}: {error}", options.truststore.display()))?;
        Ok(Self {
            leaf: pem(&options.leaf)?,
            intermediates: options.intermediates.as_deref().map(pem).transpose()?,
            truststore,
            pinned: options.issuers.is_some(),
            lists: lists.collect::<Result<_, String>>()?,
        })
    }

    fn decide(self, now: Timestamp) -> Verdict {
        let intermediates = self.intermediates.as_deref();
        let path = if self.pinned {
            let checked = self.truststore.check_with(&self.leaf, intermediates, now);
            checked.map(|checked| checked.path().clone())
        } else {
            self.truststore.validate(&self.leaf, intermediates, now)
        };
        let path = match path {
            Ok(path) => path,
            Err(refusal) => return Verdict::refuse(refusal, Vec::new()),
        };
        let untrusted = [self.leaf.as_str(), intermediates.unwrap_or_default()].concat();
        let signers = signers(&self.truststore, &path, &untrusted, now);
        let (statuses, unusable) = statuses(self.lists, signers, &path, now);
        match revocation::not_revoked(path.links(), &statuses, now, GRACE) {
            Ok(()) => Verdict::accept(unusable),
            Err(refusal) => Verdict::refuse(refusal, unusable),
        }
    }
}

/// Whose lists are believed: those of the truststore's CAs, of the path's, and of what they certify for that.
fn signers(truststore: &Truststore, path: &ValidPath, untrusted: &str, now: Timestamp) -> Vec<ListSigner> {
    let mut signers = ListSigner::of_truststore(truststore);
    signers.extend(ListSigner::of_path(path));
    let others: Vec<_> =
        CertificateDer::pem_slice_iter(untrusted.as_bytes()).filter_map(Result::ok).collect();
    let certified = ListSigner::certified(others.iter().map(|other| other.as_ref()), &signers, now);
    signers.extend(certified);
    signers
}

/// What the lists say of every link of a path; and which of them say nothing, and why.
fn statuses(
    lists: Vec<(String, Vec<u8>)>,
    signers: Vec<ListSigner>,
    path: &ValidPath,
    now: Timestamp,
) -> (Vec<Status>, Vec<String>) {
    let set = ListSet::read(lists, signers, now, GRACE);
    let statuses = path.links().iter().map(|link| set.status(link)).collect();
    let unusable = set.refused().iter().map(|(name, refusal)| format!("{name} is not used: {refusal}"));
    (statuses, unusable.collect())
}

/// A decision, as programs and people read it.
#[derive(Debug, Serialize)]
struct Verdict {
    verdict: &'static str,
    #[serde(serialize_with = "name")]
    code: Option<Code>,
    reason: Option<String>,
}

fn name<S: serde::Serializer>(code: &Option<Code>, serializer: S) -> Result<S::Ok, S::Error> {
    code.map(Code::name).serialize(serializer)
}

impl Verdict {
    fn accept(unusable: Vec<String>) -> Self {
        let reason = (!unusable.is_empty()).then(|| printable(&unusable.join("; ")));
        Self { verdict: "accept", code: None, reason }
    }

    fn refuse(refusal: impl std::fmt::Display + Into<Problem>, unusable: Vec<String>) -> Self {
        let mut reasons = vec![refusal.to_string()];
        reasons.extend(unusable);
        let code = refusal.into().code;
        Self { verdict: "refuse", code: Some(code), reason: Some(printable(&reasons.join("; "))) }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            None => writeln!(f, "accept")?,
            Some(code) => writeln!(f, "refuse: {}\n  {}", code.name(), code.title(Language::En))?,
        }
        self.reason.iter().try_for_each(|reason| writeln!(f, "  {reason}"))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A file's content as a gateway's event would carry it: PEM. DER begins with a SEQUENCE whose length takes more than an
/// octet, which no text does.
fn pem(bytes: &[u8]) -> String {
    match bytes {
        [0x30, 0x80..=0xff, ..] => {
            let body = BASE64.encode(bytes);
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

//! `first-sign-in`: the stand-in on the command line. `cargo run` serves; `--help` tells the rest.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use local::directory::{self, Imported};
use local::log;
use local::pki::Pki;
use local::pki::card::{CardRequest, PIN, Usage};
use local::stack::{Options, Running, Stack, read_functions_env};
use local::{revocation, walkthrough};
use serde_json::json;
use shared::certificate::{Kind, Truststore};
use shared::clock::Clock;
use shared::environment::Environment;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// First sign-in and account activation, on this machine: the local stand-in for AWS.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Brings everything up on loopback (the default).
    Serve(Serve),
    /// Issues and revokes test cards.
    #[command(subcommand)]
    Card(Card),
    /// Loads the personnel directory.
    #[command(subcommand)]
    Roster(RosterCommand),
    /// Loads revocation lists.
    #[command(subcommand)]
    Revocations(RevocationsCommand),
    /// Performs the manual's steps against a stand-in of its own; fails when one deviates.
    Walkthrough,
}

#[derive(Args)]
struct Serve {
    /// The directory for database, keys, PKI, cards, mail and logs.
    #[arg(long, value_name = "DIR", default_value = ".local")]
    data: PathBuf,
    /// Keeps the database in memory.
    #[arg(long)]
    memory: bool,
    /// The portal host's address; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    portal: SocketAddr,
    /// The card host's address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8444")]
    card: SocketAddr,
    /// The mailbox's address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8025")]
    mailbox: SocketAddr,
    /// A roster to load at the start, in place of the sample.
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
    /// Calls the functions through `cargo lambda watch` at this URL.
    #[arg(long, value_name = "URL")]
    functions: Option<String>,
    /// Prints one line of JSON when ready: URLs and absolute paths.
    #[arg(long)]
    ready_json: bool,
}

#[derive(Subcommand)]
enum Card {
    /// Issues a card: certificate.pem, key.pem and card.p12 (password 1234).
    Issue(Issue),
    /// Adds a card to its issuer's revocation list; a running stand-in refuses it within seconds.
    Revoke {
        /// The data directory whose test CA issued the card.
        #[arg(long, value_name = "DIR", default_value = ".local")]
        data: PathBuf,
        /// The card's certificate.
        #[arg(value_name = "CERTIFICATE.pem")]
        certificate: PathBuf,
    },
}

#[derive(Args)]
struct Issue {
    /// The data directory whose test CA issues the card.
    #[arg(long, value_name = "DIR", default_value = ".local")]
    data: PathBuf,
    /// Whose card.
    #[arg(long)]
    kind: CardKind,
    /// The holder's name.
    #[arg(long)]
    name: String,
    /// The last four digits of a citizen's national ID.
    #[arg(long, value_name = "4DIGITS")]
    id_tail: Option<String>,
    /// The holder's number; random when left out. Two cards of one holder have the same.
    #[arg(long, value_name = "16DIGITS")]
    serial_number: Option<String>,
    /// An agency's organization OID.
    #[arg(long, value_name = "OID")]
    agency_oid: Option<String>,
    /// Which of a card's two certificates.
    #[arg(long, default_value = "signature")]
    usage: CardUsage,
    /// From when the card is valid.
    #[arg(long, value_name = "RFC3339")]
    not_before: Option<Timestamp>,
    /// Until when the card is valid.
    #[arg(long, value_name = "RFC3339")]
    not_after: Option<Timestamp>,
    /// Leaves the Subject Directory Attributes out, as some real cards do.
    #[arg(long)]
    no_directory_attributes: bool,
    /// The folder to write to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum CardKind {
    Citizen,
    Organization,
}

#[derive(Clone, Copy, ValueEnum)]
enum CardUsage {
    Signature,
    Encryption,
}

#[derive(Subcommand)]
enum RosterCommand {
    /// Loads a roster file; bad rows are refused with line and reason, good ones load.
    Import {
        /// UTF-8 CSV with a header.
        file: PathBuf,
        /// The data directory of a running stand-in.
        #[arg(long, value_name = "DIR", default_value = ".local")]
        data: PathBuf,
        /// Loads into AWS, with the process's own variables and credentials.
        #[arg(long)]
        aws: bool,
    },
}

#[derive(Subcommand)]
enum RevocationsCommand {
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

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => serve(cli.serve).await,
        Some(Command::Serve(options)) => serve(options).await,
        Some(Command::Card(Card::Issue(request))) => issue(request),
        Some(Command::Card(Card::Revoke { data, certificate })) => revoke(&data, &certificate),
        Some(Command::Roster(RosterCommand::Import { file, data, aws })) => import(&file, &data, aws).await,
        Some(Command::Revocations(RevocationsCommand::Import { file, truststore })) => {
            import_revocations(&file, &truststore).await
        }
        Some(Command::Walkthrough) => walkthrough().await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Serve) -> Result<ExitCode, Failure> {
    log::start(&options.data.join("log"), Clock::system().now());
    let roster = options.roster.clone();
    let running = Stack::start(Options {
        memory: options.memory,
        portal: options.portal,
        card: options.card,
        mailbox: options.mailbox,
        roster: options.roster,
        functions: options.functions,
        ..Options::new(options.data)
    })
    .await?;
    if let (Some(path), Some(imported)) = (&roster, &running.imported) {
        tell_refused(path, imported);
    }
    let text = if options.ready_json { ready_line(&running) } else { summary(&running) };
    let mut stdout = std::io::stdout().lock();
    // Nobody may be reading; that is no reason to end.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    drop(stdout);
    until_told_to_stop().await?;
    running.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn ready_line(running: &Running) -> String {
    let ready = json!({
        "portal_url": running.portal_url,
        "card_url": running.card_url,
        "mailbox_url": running.mailbox_url,
        "server_ca": running.paths.server_ca,
        "truststore": running.paths.truststore,
        "cards_dir": running.paths.cards,
    });
    ready.to_string()
}

fn summary(running: &Running) -> String {
    let Running { portal_url, card_url, mailbox_url, paths, .. } = running;
    let (cards, ca, data) = (paths.cards.display(), paths.server_ca.display(), paths.data.display());
    format!(
        "
  portal    {portal_url}
  cards     {card_url}  (asks for a client certificate)
  mailbox   {mailbox_url}
  data      {data}

  Let your browser trust {ca}
  and import a card of {cards} (card.p12, PIN {PIN}):

    wang-xiaoming   王小明  A123456789   first sign-in by card
    hr-head         李人事  B210950397   may reset the employees of A02
    hr-staff        陳助理  D111086163   may reset in A02 and A04
    helpdesk        客示範  A210271541   may reset everyone
    agency-a02      範例市政府            signs in as the agency

  All cards: {cards}/README.txt
  With curl: curl --cacert {ca} --cert {cards}/wang-xiaoming/certificate.pem \\
               --key {cards}/wang-xiaoming/key.pem -H 'Accept: application/json' \\
               '{card_url}/v1/login/certificate?challenge=…'

  Ctrl-C ends it."
    )
}

async fn until_told_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn tell_refused(path: &Path, imported: &Imported) {
    for row in &imported.refused {
        eprintln!("{}:{}: {}", path.display(), row.line, row.reason);
    }
    eprintln!(
        "{}: {} people loaded, {} rows refused",
        path.display(),
        imported.people,
        imported.refused.len()
    );
}

fn issue(issue: Issue) -> Result<ExitCode, Failure> {
    let now = Clock::system().now();
    let request = CardRequest {
        kind: match issue.kind {
            CardKind::Citizen => Kind::Citizen,
            CardKind::Organization => Kind::Organization,
        },
        name: issue.name,
        id_tail: issue.id_tail,
        serial_number: issue.serial_number,
        agency_oid: issue.agency_oid,
        usage: match issue.usage {
            CardUsage::Signature => Usage::Signature,
            CardUsage::Encryption => Usage::Encryption,
        },
        not_before: issue.not_before,
        not_after: issue.not_after,
        directory_attributes: !issue.no_directory_attributes,
    };
    Pki::open(&issue.data, now)?.issue(&request, now)?.write(&issue.out)?;
    eprintln!("{}: certificate.pem, key.pem, card.p12 (password {PIN})", issue.out.display());
    Ok(ExitCode::SUCCESS)
}

fn revoke(data: &Path, certificate: &Path) -> Result<ExitCode, Failure> {
    let pem = std::fs::read(certificate)
        .map_err(|error| format!("cannot read {}: {error}", certificate.display()))?;
    let now = Clock::system().now();
    Pki::open(data, now)?.revoke(&pem, now)?;
    eprintln!("{}: revoked", certificate.display());
    Ok(ExitCode::SUCCESS)
}

async fn import(file: &Path, data: &Path, aws: bool) -> Result<ExitCode, Failure> {
    let environment = if aws {
        Environment::process()
    } else {
        let variables = read_functions_env(data)
            .map_err(|error| format!("{error}: is a stand-in running on {}?", data.display()))?;
        Environment::from_map(variables.into_iter().collect::<HashMap<_, _>>())
    };
    let roster =
        std::fs::File::open(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let imported = directory::import(roster, &environment).await?;
    tell_refused(file, &imported);
    Ok(ExitCode::SUCCESS)
}

async fn import_revocations(file: &Path, truststore: &Path) -> Result<ExitCode, Failure> {
    let list = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let truststore = Truststore::load(truststore)?;
    let applied = revocation::import(&list, &truststore, &Environment::process()).await?;
    eprintln!("{}: {} revoked, {} no longer", file.display(), applied.added, applied.removed);
    Ok(ExitCode::SUCCESS)
}

async fn walkthrough() -> Result<ExitCode, Failure> {
    let steps = walkthrough::perform(|line| println!("{line}")).await?;
    println!("{} steps, {} deviate", steps.performed, steps.deviating);
    Ok(if steps.deviating == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

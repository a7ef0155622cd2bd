//! `serve`: the stand-in, until it is told to stop.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use local::faults::Faults;
use local::gateway::tls::{Behavior, RefusedCards, Version};
use local::log;
use local::pki::card::PIN;
use local::pki::foreign::ForeignTruststore;
use local::stack::{Options, Running, Stack};
use local::template::Template;
use serde_json::json;
use shared::clock::Clock;

use super::{Failure, UNREADABLE, roster};

/// 1970, in seconds since then.
const FIRST: i64 = 0;
/// The year 9000.
const LAST: i64 = 221_845_392_000;

/// What to bring up.
#[derive(Args)]
pub(crate) struct Serve {
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
    /// Takes these CAs for those that cards may chain to, in place of the test CAs. There are no sample cards then.
    #[arg(long, value_name = "PEM", requires = "issuers")]
    truststore: Option<PathBuf>,
    /// Which of those CAs issue cards, and where their lists are. Files of lists are relative to this file.
    #[arg(long, value_name = "TOML", requires = "truststore")]
    issuers: Option<PathBuf>,
    /// The stand-in's time at its start, from which it runs on. Functions behind --functions get it with each request;
    /// those that a stream starts keep the system's time there.
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    clock: Option<Timestamp>,
    /// Mails that SES takes in a second, and says so; as many as come, without it.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, hide_default_value = true)]
    ses_rate: f64,
    /// Faults between the functions and AWS, in TOML: which calls fail, and how. infra/README.md says how to write them.
    #[arg(long, value_name = "TOML")]
    faults: Option<PathBuf>,
    /// Gives a parameter of the template another value, as a deployment would: `CorsOrigins=https://hr.example.gov.tw`,
    /// `ResetStepUpSeconds=300`. May be there several times.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// The only version of TLS that the hosts agree to; without it, 1.2 and 1.3.
    #[arg(long, value_name = "VERSION")]
    tls: Option<Version>,
    /// What becomes of a card that is expired or not of the truststore's CAs: an answer 403, as AWS describes it, or the end of
    /// the handshake.
    #[arg(long, value_name = "HOW", default_value = "403")]
    refused_cards: RefusedCards,
    /// Prints one line of JSON when ready: URLs and absolute paths.
    #[arg(long)]
    ready_json: bool,
}

/// Serves.
pub(crate) async fn serve(options: Serve) -> Result<ExitCode, Failure> {
    let faults = match options.faults.as_deref().map(Faults::read).transpose() {
        Ok(faults) => faults,
        Err(error) => return Ok(refused(&error)),
    };
    if options.functions.is_some() && faults.as_ref().is_some_and(Faults::need_functions) {
        return Ok(refused(
            "--faults: crash and function need the functions in this process; leave --functions out, or those out of the \
             faults",
        ));
    }
    log::start(&options.data.join("log"), Clock::system().now());
    let roster = options.roster.clone();
    let truststore = options.truststore.zip(options.issuers);
    let truststore = truststore.map(|(bundle, issuers)| ForeignTruststore { bundle, issuers });
    let foreign = truststore.is_some();
    let (clock, control) = Clock::adjustable();
    if let Some(start) = options.clock {
        control.advance(start.duration_since(clock.now()));
    }
    let running = Stack::start(Options {
        memory: options.memory,
        portal: options.portal,
        card: options.card,
        mailbox: options.mailbox,
        roster: options.roster,
        functions: options.functions,
        truststore,
        clock,
        parameters: options.parameters.into_iter().collect(),
        ses_rate: options.ses_rate,
        faults,
        tls: Behavior { version: options.tls, refused_cards: options.refused_cards },
        ..Options::new(options.data)
    })
    .await?;
    if let (Some(path), Some(imported)) = (&roster, &running.imported) {
        roster::tell_refused(path, imported);
    }
    let text = if options.ready_json { ready_line(&running) } else { summary(&running, foreign) };
    let mut stdout = std::io::stdout().lock();
    // Nobody may be reading; that is no reason to end.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    drop(stdout);
    until_told_to_stop().await?;
    running.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// A parameter that the template has, and its value.
pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("no = in it")?;
    let template = Template::embedded().map_err(|error| error.to_string())?;
    if template.has_parameter(name) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(format!("the template has no parameter {name}"))
    }
}

/// Nothing is started: what the caller gave cannot be used.
fn refused(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(UNREADABLE)
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

fn summary(running: &Running, foreign: bool) -> String {
    let Running { portal_url, card_url, mailbox_url, paths, .. } = running;
    let (cards, ca, data) = (paths.cards.display(), paths.server_ca.display(), paths.data.display());
    let places = format!(
        "
  portal    {portal_url}  (begin at {portal_url}/try)
  cards     {card_url}  (asks for a client certificate)
  mailbox   {mailbox_url}
  data      {data}
"
    );
    let whose = if foreign {
        format!(
            "
  Let your browser trust {ca}.
  Cards are those of {truststore}; there are no sample cards.
",
            truststore = paths.truststore.display()
        )
    } else {
        format!(
            "
  Let your browser trust {ca}
  and import a card of {cards} (card.p12, PIN {PIN}):

    wang-xiaoming   王小明  A123456789   first sign-in by card
    hr-head         李人事  B210950397   may reset the employees of A02
    hr-staff        陳助理  D111086163   may reset in A02 and A04
    helpdesk        客示範  A210271541   may reset everyone
    agency-a02      範例市政府            signs in as the agency

  All cards: {cards}/README.txt
"
        )
    };
    let card = if foreign { "CARD".to_owned() } else { format!("{cards}/wang-xiaoming") };
    format!(
        "{places}{whose}  With curl: curl --cacert {ca} --cert {card}/certificate.pem \\
               --key {card}/key.pem -H 'Accept: application/json' \\
               '{card_url}/v1/login/certificate?challenge=…'

  Ctrl-C ends it."
    )
}

/// A time that certificates can be made for.
fn moment(text: &str) -> Result<Timestamp, String> {
    let at: Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    let years = FIRST..LAST;
    if years.contains(&at.as_second()) { Ok(at) } else { Err("it must lie between 1970 and 9000".to_owned()) }
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

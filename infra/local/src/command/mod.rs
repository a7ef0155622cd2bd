//! The command line, a module a command. A new one gets a module here, a variant of [`Command`] and a line in [`run`].

mod audit;
mod aws;
mod card;
mod certificate;
mod client;
mod deploy;
mod mail;
mod roster;
mod serve;
mod template;
mod truststore;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::walkthrough;

use self::audit::Audit;
use self::card::Card;
use self::certificate::Certificate;
use self::client::Client;
use self::deploy::Deploy;
use self::mail::Mail;
use self::roster::Roster;
use self::serve::Serve;
use self::template::Template;
use self::truststore::Truststore;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A file cannot be read.
const UNREADABLE: u8 = 2;

/// First sign-in and account activation, on this machine: the local stand-in for AWS.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
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
    Roster(Roster),
    /// Looks after mails that were given up.
    #[command(subcommand)]
    Mail(Mail),
    /// Proves that the audit trail is what was written.
    #[command(subcommand)]
    Audit(Audit),
    /// Decides about certificates as the functions do.
    #[command(subcommand)]
    Certificate(Certificate),
    /// Registers clients that have people sign in here.
    #[command(subcommand)]
    Client(Client),
    /// Makes the bundle of CAs that cards may chain to.
    #[command(subcommand)]
    Truststore(Truststore),
    /// Tells whether a deployment can succeed, before it is begun.
    #[command(subcommand)]
    Deploy(Deploy),
    /// Prints what the stand-in reads in the template, as JSON: the tests hold it against what SAM makes of the same file.
    Template(Template),
    /// Performs the manual's steps against a stand-in of its own; fails when one deviates.
    Walkthrough,
}

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        None => wait(serve::serve(cli.serve)),
        Some(Command::Serve(options)) => wait(serve::serve(options)),
        Some(Command::Card(command)) => card::run(command),
        Some(Command::Roster(command)) => wait(roster::run(command)),
        Some(Command::Mail(command)) => wait(mail::run(command)),
        Some(Command::Audit(command)) => wait(audit::run(command)),
        Some(Command::Certificate(command)) => certificate::run(&command),
        Some(Command::Client(command)) => client::run(&command),
        Some(Command::Truststore(command)) => truststore::run(&command),
        Some(Command::Deploy(command)) => deploy::run(&command),
        Some(Command::Template(command)) => template::run(command),
        Some(Command::Walkthrough) => wait(walkthrough()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Waits for a command that does more than one thing at once.
fn wait(command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::runtime::Runtime::new()?.block_on(command)
}

async fn walkthrough() -> Result<ExitCode, Failure> {
    let steps = walkthrough::perform(|line| println!("{line}")).await?;
    println!("{} steps, {} deviate", steps.performed, steps.deviating);
    Ok(if steps.deviating == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

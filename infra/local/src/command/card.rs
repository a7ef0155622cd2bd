//! `card`: test cards.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use local::pki::card::{CardRequest, PIN, Usage};
use local::pki::{Generation, Pki};
use shared::certificate::Kind;
use shared::clock::Clock;

use super::Failure;

/// What to do with cards.
#[derive(Subcommand)]
pub(crate) enum Card {
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

/// What the new card says.
#[derive(Args)]
pub(crate) struct Issue {
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
    /// Which generation of the citizens' CA issues the card: 2 is made when it is first asked for, and a stand-in knows it
    /// from its next start on.
    #[arg(long, value_name = "1|2", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    generation: u8,
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

/// Does it.
pub(crate) fn run(command: Card) -> Result<ExitCode, Failure> {
    match command {
        Card::Issue(request) => issue(request),
        Card::Revoke { data, certificate } => revoke(&data, &certificate),
    }
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
        generation: if issue.generation == 2 { Generation::Second } else { Generation::First },
    };
    let pki = Pki::open(&issue.data, now)?;
    if request.generation == Generation::Second {
        pki.next_generation(now)?;
    }
    pki.issue(&request, now)?.write(&issue.out)?;
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

//! `client`: what an operator needs to register a client.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use oidc::client::Clients;
use shared::chance;
use shared::secret::Secret;

use super::{Failure, UNREADABLE};

#[derive(Subcommand)]
pub(crate) enum Client {
    /// Makes a secret for a client, and the digest of it that goes into the clients' file. The secret itself is for the client
    /// alone, and is shown only now.
    Secret,
    /// Reads a clients' file as the function does, and tells everything that is wrong with it.
    Check {
        /// The folder with `clients.toml`.
        #[arg(value_name = "DIR", default_value = "infra/clients")]
        folder: PathBuf,
    },
}

/// Does it.
pub(crate) fn run(command: &Client) -> Result<ExitCode, Failure> {
    match command {
        Client::Secret => {
            let secret = Secret::random(&mut chance::system());
            println!("client_secret   {}", secret.reveal());
            println!("secrets_sha256  {}", secret.digest());
            Ok(ExitCode::SUCCESS)
        }
        Client::Check { folder } => match Clients::load(folder) {
            Ok(clients) => {
                for client in clients.all() {
                    println!("{}: {}", client.id, client.scopes);
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(problems) => {
                for problem in problems {
                    eprintln!("error: {problem}");
                }
                Ok(ExitCode::from(UNREADABLE))
            }
        },
    }
}

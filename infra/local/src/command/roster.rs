//! `roster`: the personnel directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use local::directory::{self, Imported};
use local::stack::read_functions_env;
use shared::environment::Environment;

use super::Failure;

/// What to do with the directory.
#[derive(Subcommand)]
pub(crate) enum Roster {
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

/// Does it.
pub(crate) async fn run(command: Roster) -> Result<ExitCode, Failure> {
    match command {
        Roster::Import { file, data, aws } => import(&file, &data, aws).await,
    }
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

/// Tells which rows were not taken, and why.
pub(super) fn tell_refused(path: &Path, imported: &Imported) {
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

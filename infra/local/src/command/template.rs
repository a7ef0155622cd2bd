//! `template`: what the stand-in reads in it.

use std::process::ExitCode;

use clap::Args;
use local::reading;

use super::{Failure, serve};

/// What to read.
#[derive(Args)]
pub(crate) struct Template {
    /// The stack's name.
    #[arg(long, value_name = "NAME", default_value = "first-sign-in")]
    stack: String,
    /// Gives a parameter of the template another value, as a deployment would. May be there several times.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = serve::parameter)]
    parameters: Vec<(String, String)>,
}

/// Reads it.
pub(crate) fn run(command: Template) -> Result<ExitCode, Failure> {
    let read = reading::read(command.parameters.into_iter().collect(), &command.stack)?;
    println!("{}", serde_json::to_string_pretty(&read)?);
    Ok(ExitCode::SUCCESS)
}

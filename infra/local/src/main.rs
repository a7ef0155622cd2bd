//! `first-sign-in`: the stand-in on the command line. `cargo run` serves; `--help` tells the rest.

mod command;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    command::run(command::Cli::parse())
}

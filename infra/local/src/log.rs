//! Where the logs of a running stand-in go: lines for people on stderr, JSON in the data directory.

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info,dynoxide=warn,h2=warn,hyper=warn,rustls=warn,aws_config=warn";

/// Sends logs to stderr and to a new file in `folder`. A file that cannot be written is no reason not to run.
pub fn start(folder: &Path, now: Timestamp) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let path = folder.join(format!("{}.jsonl", now.strftime("%Y%m%dT%H%M%SZ")));
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = crate::files::make_folder(folder).map_err(|error| error.to_string());
    let file = made.and_then(|()| options.open(&path).map_err(|error| error.to_string()));
    let json = |file| tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(Arc::new(file));
    let (json, problem) = match file {
        Ok(file) => (Some(json(file)), None),
        Err(problem) => (None, Some(problem)),
    };
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(json).try_init();
    if let Some(problem) = problem {
        tracing::warn!(problem, "logs are not kept");
    }
}

//! What the functions and the stand-in wrote to their log, in this process.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, Once, PoisonError};

use serde_json::Value;

static LINES: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);
static FORBIDDEN: LazyLock<Mutex<BTreeSet<(Forbidden, String)>>> = LazyLock::new(Mutex::default);

/// Why a text may not be in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forbidden {
    /// A password, token, ticket, national ID or email: not in any table in clear either.
    Secret,
    /// A name, a custom account, a reason: in tables, where it belongs.
    Personal,
}

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the log from now on.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| shared::telemetry::init(|| Keeper));
}

/// Everything that was logged so far, in this process and (where `FIRST_SIGN_IN_FUNCTIONS_LOG` names their output) by
/// the watched functions.
#[must_use]
pub fn text() -> String {
    let own = String::from_utf8_lossy(&LINES.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    let watched = std::env::var_os("FIRST_SIGN_IN_FUNCTIONS_LOG").map(std::fs::read_to_string);
    own + &watched.and_then(Result::ok).unwrap_or_default()
}

/// Every line that names a request: why it failed.
#[must_use]
pub fn lines_about(request_id: &str) -> String {
    text().lines().filter(|line| line.contains(request_id)).collect::<Vec<_>>().join("\n")
}

/// The last lines that tell of trouble.
#[must_use]
pub fn troubles() -> String {
    let text = text();
    let troubles = text.lines().rev().filter(|line| !line.contains(r#""level":"INFO""#));
    troubles.take(5).collect::<Vec<_>>().join("\n")
}

/// The line that a function wrote about a request.
///
/// # Panics
/// When there is none, or more than one: a function writes one line a request.
#[must_use]
pub fn line_of(request_id: &str) -> Value {
    let text = text();
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "request" && line["request_id"] == request_id)
        .collect();
    let [line] = lines.as_slice() else { panic!("{} lines about {request_id}: {lines:#?}", lines.len()) };
    line.clone()
}

/// Says that no log may have a text. Texts too short to tell anybody apart are passed over.
pub fn forbid(why: Forbidden, text: &str) {
    if text.chars().count() >= 2 && text.len() >= 4 {
        FORBIDDEN.lock().unwrap_or_else(PoisonError::into_inner).insert((why, text.to_owned()));
    }
}

/// The forbidden texts that stand in a log all the same.
#[must_use]
pub fn found_in(log: &str) -> Vec<String> {
    found(log, |_| true)
}

/// The secrets that stand in a table all the same.
#[must_use]
pub fn secrets_in(table: &str) -> Vec<String> {
    found(table, |why| why == Forbidden::Secret)
}

fn found(text: &str, counts: impl Fn(Forbidden) -> bool) -> Vec<String> {
    let forbidden = FORBIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = forbidden.iter().filter(|(why, part)| counts(*why) && text.contains(part.as_str()));
    found.map(|(_, part)| part.clone()).collect()
}

/// How many texts are forbidden so far.
#[must_use]
pub fn forbidden() -> usize {
    FORBIDDEN.lock().unwrap_or_else(PoisonError::into_inner).len()
}

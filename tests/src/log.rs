//! What the functions and the stand-in wrote to their log, in this process.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, Once, PoisonError};

use serde_json::Value;

static LINES: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);
static FORBIDDEN: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

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

/// Everything that was logged so far.
#[must_use]
pub fn text() -> String {
    String::from_utf8_lossy(&LINES.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
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

/// Says that a text is secret or personal: no log may have it. Texts too short to tell anybody apart are passed over.
pub fn forbid(text: &str) {
    if text.chars().count() >= 2 && text.len() >= 4 {
        FORBIDDEN.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
    }
}

/// The forbidden texts that stand in a log all the same.
#[must_use]
pub fn found_in(log: &str) -> Vec<String> {
    let forbidden = FORBIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
    forbidden.iter().filter(|text| log.contains(text.as_str())).cloned().collect()
}

/// How many texts are forbidden so far.
#[must_use]
pub fn forbidden() -> usize {
    FORBIDDEN.lock().unwrap_or_else(PoisonError::into_inner).len()
}

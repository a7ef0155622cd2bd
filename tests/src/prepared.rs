//! What is made once for a build of the tests and then copied or shared: a data directory with its test PKI and cards, and keys
//! of further cards.
//!
//! Sixteen RSA keys take seconds; a copy takes milliseconds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use local::pki::Pki;
use local::pki::card::{Card, CardRequest};
use shared::clock::Clock;

use crate::people::WANG;

/// The folder of a PKI that is not the stand-in's.
const FOREIGN: &str = "foreign";
/// The folder of keys for cards.
const KEYS: &str = "keys";
/// How many there are: most tests issue no more cards.
const MOST_KEYS: usize = 6;

/// Where cargo built this test to, such as `target/debug`.
///
/// # Panics
/// When the test was not built by cargo.
#[must_use]
pub fn build_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    // target/debug/deps/end_to_end-…
    program.parent().and_then(Path::parent).unwrap().to_owned()
}

/// Copies a prepared PKI with the sample cards into a data directory.
///
/// # Panics
/// When files cannot be read or written.
pub fn pki(data: &Path) {
    copy(&template(), data);
}

/// A card like [`WANG`]'s, of a CA that no stand-in trusts.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn foreign_card() -> Card {
    Card::read(&template().join(FOREIGN).join("card")).unwrap()
}

/// A key for a card, in PEM, that no other card of this test has.
///
/// # Panics
/// When there is none to be had.
#[must_use]
pub fn card_key() -> String {
    static USED: AtomicUsize = AtomicUsize::new(0);
    match USED.fetch_add(1, Ordering::Relaxed) {
        number @ 0..MOST_KEYS => fs::read_to_string(template().join(KEYS).join(number.to_string())).unwrap(),
        _ => Pki::card_key().unwrap(),
    }
}

/// The prepared folder of this build. A new build makes a new one: it may issue other certificates.
fn template() -> PathBuf {
    let built = fs::metadata(std::env::current_exe().unwrap()).unwrap().modified().unwrap();
    let built = built.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let all = build_folder().join("end-to-end");
    let folder = all.join(built.to_string());
    let done = folder.join("done");
    if !done.exists() {
        fs::create_dir_all(&all).unwrap();
        let lock = File::create(all.join("lock")).unwrap();
        lock.lock().unwrap();
        if !done.exists() {
            for former in fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().path()) {
                if former.is_dir() {
                    fs::remove_dir_all(former).unwrap();
                }
            }
            let now = Clock::system().now();
            Pki::open(&folder, now).unwrap().issue_samples(now).unwrap();
            let foreign = Pki::open(&folder.join(FOREIGN), now).unwrap();
            let card = foreign.issue(&CardRequest::citizen(WANG.name, WANG.id_tail()), now).unwrap();
            card.write(&folder.join(FOREIGN).join("card")).unwrap();
            fs::create_dir_all(folder.join(KEYS)).unwrap();
            for number in 0..MOST_KEYS {
                fs::write(folder.join(KEYS).join(number.to_string()), Pki::card_key().unwrap()).unwrap();
            }
            fs::write(done, "").unwrap();
        }
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

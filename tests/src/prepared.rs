//! What is made once for a build of the tests and then copied or shared: a data directory with its test PKI and cards.
//!
//! Sixteen RSA keys take seconds; a copy takes milliseconds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use local::pki::Pki;
use local::pki::card::{Card, CardRequest};
use shared::clock::Clock;

use crate::people::WANG;

/// The folder of a PKI that is not the stand-in's.
const FOREIGN: &str = "foreign";

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

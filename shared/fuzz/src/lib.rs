//! Fuzz targets for what strangers hand in: certificates, revocation lists, OCSP responses; and for `issuers.toml`.
//!
//! [`targets`] are plain functions that end the process when something is wrong. They run in two ways:
//! - `cargo test -p fuzz`, on every build: each file of `seeds/`, then a fixed number of inputs that are damaged from them
//!   (`FUZZ_RUNS` sets another number), always the same;
//! - guided by coverage, for as long as one likes, under libFuzzer with
//!   [cargo-fuzz](https://rust-fuzz.github.io/book/cargo-fuzz.html), on the stable toolchain:
//!
//! ```sh
//! cargo install cargo-fuzz
//! cd shared
//! export CARGO_PROFILE_RELEASE_LTO=off    # compiles in a fraction of the time
//! mkdir -p fuzz/corpus/certificate        # what it finds goes here, and stays out of the repository
//! cargo fuzz run --sanitizer none --features libfuzzer certificate fuzz/corpus/certificate fuzz/seeds/certificate
//! ```
//!
//! Both damage DER element by element ([`workbench::damage`]): random bytes would not get past the first length.
//! Nobody but an issuer can sign, and neither can a fuzzer: so a target also signs what it was given, by the CA of
//! `authority/`, whose key everybody knows, and looks at what comes after the signature.
//!
//! # When a run finds something
//! 1. Put the input, which libFuzzer leaves in `fuzz/artifacts/`, into the target's folder of `seeds/`, under a name
//!    that says what it is.
//! 2. Mend the code; `cargo test -p fuzz` replays the file from then on.
//!
//! # Adding a target
//! A function in [`targets`], a file in `fuzz_targets/` with its `[[bin]]`, a folder of `seeds/` (the example `seeds` writes
//! those that are made and not found), a row in `tests/bounded.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: to panic is how a target says that something is wrong"
)]

pub mod targets;
pub mod world;

use workbench::damage::{Chance, damage};

use crate::world::WORLD;

/// Changes libFuzzer's input in place and returns its new size: mostly as [`damage`] does, sometimes by `bytes`, which is
/// libFuzzer's own way.
pub fn mutated(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    bytes: impl FnOnce(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut chance = Chance::new(seed.into());
    if chance.below(6) == 0 {
        return bytes(data, size, max_size);
    }
    let donors = WORLD.certificates();
    let donor = donors.get(chance.below(donors.len())).map(Vec::as_slice);
    let new = damage(&data[..size], donor, &mut chance);
    let size = new.len().min(max_size);
    data[..size].copy_from_slice(&new[..size]);
    size
}

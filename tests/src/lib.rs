//! The end-to-end suite's own world: a stand-in of its own for each test, people with browsers and cards in front of it,
//! and ways to look behind it. The tests are in `tests/end_to_end/`.
//!
//! - [`world`] starts a stand-in with a clock that can be moved; [`prepared`] makes that cheap;
//! - [`browser`] is who calls it: over HTTPS, with or without a card, with a cookie or a token;
//! - [`client`] is an application on another origin, which has people sign in here;
//! - [`contract`] holds every answer that a browser gets against `infra/openapi.yaml`, in every test;
//! - [`people`] are the people of the sample roster whom the tests know by name;
//! - [`inbox`] puts rosters into the bucket, and reads their reports;
//! - [`table`] looks behind the functions, [`log`] at what they wrote;
//! - [`program`] is the real binary as a process, for what only a process can show: dying.
//!
//! # Adding a test
//! 1. Into the module of `tests/end_to_end/` whose manual section or rule it is about.
//! 2. No sleeping, no asserting of durations: move the clock with [`world::World::pass`], wait with
//!    [`world::eventually`].
//! 3. Tests that look into the process of the functions (their log, calls of AWS, faults) go into modules of
//!    `tests/end_to_end/in_process/`: the run with the functions under `cargo lambda watch` leaves that one out.
//!
//! # The run with the functions under `cargo lambda watch`
//! `FIRST_SIGN_IN_FUNCTIONS_URL` names the emulator, `FIRST_SIGN_IN_DATA` the data directory whose `functions.env`
//! the watched functions were started with, `FIRST_SIGN_IN_FUNCTIONS_LOG` the file that has their output. The tests then
//! share that directory, one after the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it may end a test wherever it stands"
)]

pub mod browser;
pub mod client;
pub mod contract;
pub mod inbox;
pub mod list_host;
pub mod log;
pub mod people;
pub mod prepared;
pub mod program;
pub mod table;
pub mod world;

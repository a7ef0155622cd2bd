//! What fuzz targets, benches and large tests are made with. Nothing of it is deployed, and it knows none of the
//! project's rules: it makes the input, and takes the time.
//!
//! - [`authority`] makes CAs and cards;
//! - [`list`] writes revocation lists, of a million entries in a second;
//! - [`roster`] writes rosters of people who do not exist;
//! - [`damage`] changes DER so that it stays nearly right: what random bytes never are;
//! - [`stopwatch`] compares how long things take, and prints a table;
//! - [`openssl`] times OpenSSL's verification of a signature, when there is an OpenSSL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it may end a test or a bench wherever it stands"
)]

pub mod authority;
pub mod damage;
pub mod list;
pub mod openssl;
pub mod roster;
pub mod stopwatch;

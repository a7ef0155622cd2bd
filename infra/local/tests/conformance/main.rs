//! The stand-in held against the world: its KMS, SES and SQS against `moto`, an independent implementation, its events
//! against the samples that AWS documents, its buckets against what AWS documents of versions and locks, and what it lets the functions do against the roles of the template.
//!
//! Where the two differ, a table names the difference and its reason; a difference that has gone fails as well, so the
//! tables say no more than what is so. To add an operation of KMS, SES or SQS, add its rows to `services`; `bash tests/run`
//! starts `moto` and runs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it may end a test wherever it stands"
)]

mod buckets;
mod events;
mod permissions;
mod services;
mod wire;

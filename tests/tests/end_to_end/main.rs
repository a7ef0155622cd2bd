//! The system end to end, as people and programs meet it: over HTTPS against the stand-in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it may end a test wherever it stands"
)]

mod account;
mod activation;
mod answer;
mod asvs;
mod audit;
mod authorization;
mod binding;
mod budget;
mod card;
mod code;
mod document;
mod email;
mod feedback;
mod holder;
mod idempotency;
mod in_process;
mod manifest;
mod notice;
mod oidc;
mod openapi;
mod outage;
mod outbox;
mod password;
mod portal;
mod privacy;
mod probing;
mod rate;
mod reset;
mod reset_list;
mod revocation;
mod route;
mod security;
mod session;
mod smart_card;
mod watched;

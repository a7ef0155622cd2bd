//! What looks into the functions' own process, or starts one: left out when the functions run under `cargo lambda watch`.

mod audit;
mod bulk;
mod crash;
mod faults;
mod foreign;
mod gateway;
mod notice;
mod ocsp;
mod outbox;
mod program;
mod revocation;
mod revoked;
mod roster;
mod session;
mod step_up;
mod walkthrough;

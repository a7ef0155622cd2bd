//! The local stand-in for AWS: everything that `infra/template.yaml` deploys, in one process on loopback.
//!
//! [`stack`] starts it all. [`template`] reads the template, [`deployment`] says what is made of it; [`gateway`] plays API
//! Gateway, [`functions`] and [`stream`] play Lambda, [`permissions`] plays IAM, [`dynamodb`], [`kms`], [`s3`] and [`ses`] the services behind the
//! functions. [`faults`] breaks what is between them. [`reading`] prints what was read in the template. [`walkthrough`] performs the manual's steps. [`pki`] stands in for the government's CAs, [`revocation`] and [`directory`] fill the tables that on AWS
//! scheduled functions fill, [`mailbox`] shows the mails, and [`trial`] is a page that tells how to begin. [`client`]
//! makes browsers for tests. [`truststore`] is for operators: it makes the bundle of CAs that is deployed; [`readiness`] says what is in a deployment's way.
//!
//! What the functions decide is not here: the stand-in knows no rule of the manual.
//!
//! # When the template gets something new
//! 1. A function: add it to the `match` in [`functions`], with its crate in `Cargo.toml`.
//! 2. A route, table, key, alias or variable: nothing to do.
//! 3. Another kind of resource or event source: read it in [`deployment`], start it in [`stack`].
//! 4. Another KMS operation: add it in [`kms`], and to the conformance tests.

pub mod client;
pub mod deployment;
pub mod directory;
pub mod dynamodb;
pub mod events;
pub mod faults;
mod files;
pub mod functions;
pub mod gateway;
pub mod kms;
pub mod log;
pub mod mailbox;
pub mod permissions;
pub mod pki;
pub mod readiness;
pub mod reading;
pub mod revocation;
pub mod s3;
pub mod ses;
pub mod sqs;
pub mod stack;
pub mod stream;
pub mod template;
pub mod traffic;
pub mod trial;
pub mod truststore;
pub mod verification;
pub mod walkthrough;

//! What the functions of first-sign-in share: first the rules of the manual, as plain functions on plain types, then the
//! adapters to AWS.
//!
//! # What lives here
//! Types that cannot be wrong ([`national_id`], [`custom_account`], [`email_address`], [`identifier`], [`secret`], [`cursor`],
//! [`idempotency`], [`visible`]); rules ([`password`], [`lockout`], [`rate`], [`certificate`], [`card`], [`revocation`], [`ocsp`], [`identity`],
//! [`authority`], [`bulk`], [`ticket`], [`email_change`],
//! [`session`], [`token`], [`oauth`], [`person`], [`person_name`], [`pseudonym`], [`roster`], [`audit`], [`notice`], [`mail`],
//! [`spreadsheet`]); what people read when something is refused ([`problem`], [`language`]); DER, which certificates, lists and
//! answers are written in (`der`); and the rooms
//! around them: [`environment`], [`clock`], [`lambda`], [`telemetry`] and [`http`].
//! Adapters come with a feature each, so that a function links only the SDK crates that it uses.
//!
//! # What does not
//! A step of the sign-in lives in its function. Rules know no AWS type; adapters know no HTTP type.
//!
//! # Adding a rule
//! 1. A module named by a noun of the design's words, with the manual's section or the standard in its docstring.
//! 2. An error type that carries the evidence for our log; map it to a [`problem::Code`] in [`problem`].
//! 3. A table test next to it, its rows labeled by the manual's section.

pub mod audit;
pub mod authority;
#[cfg(feature = "aws")]
pub mod aws;
pub mod bulk;
#[cfg(all(feature = "dynamodb", feature = "kms"))]
pub mod caller;
pub mod card;
pub mod certificate;
pub mod chance;
pub mod clock;
pub mod cursor;
pub mod custom_account;
pub mod delivery;
mod der;
pub mod email_address;
pub mod email_change;
pub mod environment;
pub mod http;
#[cfg(feature = "https")]
pub mod https;
pub mod idempotency;
pub mod identifier;
pub mod identity;
#[cfg(feature = "kms")]
pub mod kms;
pub mod lambda;
pub mod language;
pub mod lockout;
#[cfg(feature = "ses")]
pub mod mail;
pub mod national_id;
pub mod notice;
pub mod oauth;
pub mod ocsp;
pub mod password;
pub mod person;
pub mod person_name;
pub mod problem;
pub mod pseudonym;
pub mod rate;
#[cfg(all(feature = "dynamodb", feature = "kms"))]
pub mod reset;
pub mod revocation;
pub mod roster;
#[cfg(feature = "s3")]
pub mod s3;
pub mod seal;
pub mod secret;
#[cfg(feature = "ses")]
pub mod ses;
pub mod session;
#[cfg(all(feature = "dynamodb", feature = "kms"))]
pub mod sign_in;
pub mod spreadsheet;
#[cfg(feature = "sqs")]
pub mod sqs;
#[cfg(feature = "dynamodb")]
pub mod store;
pub mod telemetry;
pub mod ticket;
pub mod token;
#[cfg(feature = "dynamodb")]
pub mod unbinding;
pub mod visible;

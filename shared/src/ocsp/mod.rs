//! OCSP (RFC 6960): what an issuer's responder says of one certificate at this moment. A second source beside the issuer's
//! list, for issuers that have one; off unless `issuers.toml` names the responder. It never replaces a list, it can only
//! make the verdict stricter ([`crate::revocation`]).
//!
//! [`Issuer::question`] writes a request, [`Question::read`] decides on the bytes that came back: pure functions, what asks
//! over HTTP lives in `certificate-login`. The command line decides by lists alone.
//!
//! How these rules read where the standards leave a choice:
//!
//! - **CertID is SHA-1** ([`request`]). It is an identifier, not a signature: an answer is believed for who signed it and
//!   for the serial number in it. RFC 5019 section 2.1.1 obliged clients to SHA-1, and many responders know nothing else
//!   (its successor, RFC 9919, only recommends SHA-256). Signatures with SHA-1 or MD5 are refused as everywhere.
//! - **Who may sign** ([`response`]): the issuer's own key; or a certificate that this key issued directly, valid now, with
//!   the extended key usage `id-kp-OCSPSigning` (RFC 6960 section 4.2.2.2). Keys and signatures as for cards.
//! - **A delegated certificate may be revoked itself.** With `id-pkix-ocsp-nocheck` the issuer vouches for it as long as it
//!   is valid (section 4.2.2.2.1). Without, its own issuer's list decides: no answer comes out of a [`Response`] before
//!   that list was looked at ([`Response::believed`]).
//! - **Nonce** (RFC 9654, which replaced RFC 8954): 32 random bytes. Another one in the answer refuses it: a replay. None
//!   at all is no reason to refuse (RFC 5019 section 4), because many responders sign their answers in advance; then time
//!   decides, and more strictly than without having asked for one: the answer's `thisUpdate` must lie within
//!   [`RECENT`]. A nonce that nobody asked for is ignored.
//! - **Time**: `thisUpdate` and `producedAt` not in the future (but for [`SKEW`]), `nextUpdate` still to come. An answer
//!   without `nextUpdate` says that newer information is always there: it is good for [`WITHOUT_END`] after `thisUpdate`.
//!
//! Neither crate of OCSP types fits: x509-ocsp 0.2 brings an older generation of the whole der family and re-encodes what
//! was signed, rasn-ocsp an ASN.1 toolkit of its own. A response is read with what reads certificates, by reference, so
//! that the signature is verified over the very bytes that came.

pub mod request;
pub mod response;

use jiff::{SignedDuration, Timestamp};

use crate::revocation::{Reason, Responder};

pub use request::{Issuer, IssuerError, Nonce, Question};
pub use response::{Response, ResponseError};

/// Most bytes of a response that are looked at. Real ones have one or two thousand.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// How far a responder's clock may be ahead of ours.
pub const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How old an answer without the nonce that was asked for may be.
pub const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// How long an answer without `nextUpdate` is good.
pub const WITHOUT_END: SignedDuration = SignedDuration::from_mins(5);

/// How long an answer is kept at most, whatever its `nextUpdate`: a revocation shows after that at the latest.
pub const MAX_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What a responder says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// The responder does not know the certificate.
    Unknown,
}

impl Verdict {
    /// Its name for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked { .. } => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Verdict> for Responder {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good => Self::Good,
            Verdict::Revoked { since, reason } => Self::Revoked { since, reason },
            Verdict::Unknown => Self::Unknown,
        }
    }
}

/// A believed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub verdict: Verdict,
    /// From when this was known to be so.
    pub this_update: Timestamp,
    /// Until when it says anything: `nextUpdate`, or [`WITHOUT_END`] after `this_update`.
    pub until: Timestamp,
}

impl Answer {
    /// Until when the answer may be kept and used again; `None` for one that is not kept at all. A certificate that the
    /// responder does not know is asked about again: it may have been issued a moment ago.
    pub fn keep_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.verdict {
            Verdict::Unknown => None,
            Verdict::Good | Verdict::Revoked { .. } => {
                Some(self.until.min(now.checked_add(MAX_KEPT).unwrap_or(Timestamp::MAX)))
            }
        }
    }

    /// Whether a kept answer still says something.
    pub fn is_current(&self, now: Timestamp) -> bool {
        started(self.this_update, now) && now < self.until
    }
}

/// Whether a responder's moment is not in the future, its clock being ahead by [`SKEW`] at most.
fn started(moment: Timestamp, now: Timestamp) -> bool {
    moment.duration_since(now) <= SKEW
}

#[cfg(test)]
mod tests;

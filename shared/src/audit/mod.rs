//! The audit trail: who did what to whom, when, from where, and how it ended. Append-only.

pub mod canonical;
pub mod chain;
pub mod statement;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A sign-in with an organization or citizen certificate.
    CertificateSignIn,
    /// A sign-in with a password.
    PasswordSignIn,
    /// A card bound to a person.
    CardBinding,
    /// An activation.
    Activation,
    /// A password reset.
    PasswordReset,
    /// A password change by the person.
    PasswordChange,
    /// A sign-out.
    SignOut,
    /// A bound card that came with a new certificate.
    CardRenewal,
    /// A card unbound from a person.
    CardUnbinding,
    /// What was opened with a certificate ended, because its issuer revoked it.
    CertificateRevocation,
    /// A reset's mail sent once more, with the same initial password.
    MailResend,
    /// A file of a bulk reset uploaded, to be looked at.
    BulkUpload,
    /// A bulk reset confirmed: its resets follow, each with an entry of its own.
    BulkConfirmation,
    /// A bulk reset called off.
    BulkCancellation,
    /// A reset's mail that came back for good, which voids the initial password in it. The actor is [`SES`].
    MailBounce,
    /// An authorization given: by an HR head or an organization certificate, or by the roster.
    AuthorizationGrant,
    /// An authorization ended by what became of its holder, or by the roster.
    AuthorizationEnd,
    /// A person who departed, by the roster. The actor is [`ROSTER`], as of the next three.
    Departure,
    /// A departed person who came back.
    Return,
    /// A person who is of another agency now.
    Move,
    /// A person who has other roles now.
    RoleChange,
    /// A concurrent duty asked for.
    AuthorizationRequest,
    /// The other agency's yes to one.
    AuthorizationAccept,
    /// Its no.
    AuthorizationRefusal,
    /// A request taken back.
    AuthorizationWithdrawal,
    /// An authorization taken away.
    AuthorizationRevocation,
    /// A look into the audit trail. The note says what was asked for.
    AuditRead,
    /// A sign-in taken to a client, for its tokens; the note names the client.
    ClientSignIn,
    /// A client's code that came a second time, which ended the session that it had opened.
    ClientCodeReplay,
    /// A client's token given back by it, which ended the session that was lent to it; the note names the client.
    TokenRevocation,
    /// A change of email address asked for by the person: a code goes to the new address. The note is the mail's id.
    EmailChangeRequest,
    /// The code typed in: the account has another email address.
    EmailChange,
}

/// One entry. Ids are pseudonyms; the source address is kept for investigations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// On whom: a person, an agency, or the digest of an identifier that is nobody's.
    pub subject: String,
    /// By whom; the subject themselves when they acted alone.
    pub actor: String,
    /// What.
    pub action: Action,
    /// `success`, or the code of the refusal.
    pub outcome: String,
    /// When: the time of the request, or of the act in what no request began. Never as long as
    /// [`chain::SETTLED_AFTER`] before the entry is written.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// From where: the gateway's source address.
    pub address: String,
    /// The request, as in the log.
    pub request_id: String,
    /// The code of the agency that the subject was of at that moment, where it was known: what the agency's HR head may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<String>,
    /// What else belongs to it, such as a reset's id, or the reason that the helpdesk gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The key of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryKey {
    /// The subject.
    pub pk: String,
    /// Time, request, action and digest.
    pub sk: String,
}

impl EntryKey {
    /// The time in the key.
    pub fn at(&self) -> Option<Timestamp> {
        let (time, _) = self.sk.split_once('#')?;
        Timestamp::from_millisecond(time.parse().ok()?).ok()
    }
}

impl std::fmt::Display for EntryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pk, self.sk)
    }
}

/// The actor of what SES told.
pub const SES: &str = "ses";

/// The actor of what a roster file said.
pub const ROSTER: &str = "roster";

/// The outcome of what went well.
pub const SUCCESS: &str = "success";

/// Where a request comes from and what it is called: the part of an entry that is the same for all of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The gateway's source address.
    pub address: String,
    /// The gateway's request id.
    pub request_id: String,
    /// The gateway's time of the request.
    pub at: Timestamp,
}

impl Origin {
    /// An entry about this request.
    pub fn entry(
        &self,
        action: Action,
        actor: impl ToString,
        subject: impl ToString,
        outcome: impl ToString,
    ) -> Entry {
        Entry {
            subject: subject.to_string(),
            actor: actor.to_string(),
            action,
            outcome: outcome.to_string(),
            at: self.at,
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            agency: None,
            note: None,
        }
    }
}

impl Entry {
    /// The same entry, of somebody of this agency.
    #[must_use]
    pub fn of_agency(self, agency: Option<impl Into<String>>) -> Self {
        Self { agency: agency.map(Into::into), ..self }
    }
}

//! A person of the personnel directory (公務人力資料庫) and the state of their account.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::authority::authorization::Authority;
use crate::card::EndedCertificates;
use crate::custom_account::CustomAccount;
use crate::password::StoredHash;
use crate::pseudonym::{CardId, EmailDigest, PersonId, TailDigest};

/// What a person may do beyond signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Head of an agency's HR (人事主管).
    HrHead,
    /// HR staff, who may reset where they are authorized (經授權的人事人員).
    HrStaff,
    /// The helpdesk (客服人員).
    Helpdesk,
}

impl Role {
    /// The role's name in answers and roster files.
    pub fn code(self) -> &'static str {
        match self {
            Self::HrHead => "hr_head",
            Self::HrStaff => "hr_staff",
            Self::Helpdesk => "helpdesk",
        }
    }
}

/// Whether a person serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// In service (現職).
    InService,
    /// Departed (卸職): may never sign in.
    Departed,
}

/// What the personnel directory says of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person.
    pub id: PersonId,
    /// Full name, as [`crate::person_name::written`] keeps it.
    pub name: String,
    /// The agency's code.
    pub agency: String,
    /// The agency's name.
    pub agency_name: String,
    /// In service or departed.
    pub service: Service,
    /// Roles, read at the moment of each act.
    pub roles: BTreeSet<Role>,
    /// Where the person may reset besides what their roles give, the concurrent agencies (兼辦) included.
    pub authority: Authority,
    /// The last four digits of the national ID, to compare with a card's.
    pub tail: TailDigest,
    /// Grows when everything that was opened before must end: sessions and tickets carry the number that they were
    /// made under, and are void under another.
    pub generation: u64,
    /// The account.
    pub account: Account,
}

/// A person's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Set at the first activation, and kept over resets.
    pub custom_account: Option<CustomAccount>,
    /// What the person can prove themselves with, besides cards.
    pub credential: Credential,
    /// The account's email address as HR staff may see it.
    pub email_masked: Option<String>,
    /// The same, sealed under the person's record name.
    pub email_sealed: Option<Vec<u8>>,
    /// The same, as its digest: tells whether another one is the same.
    pub email_digest: Option<EmailDigest>,
    /// Since when mail to it comes back.
    pub email_undeliverable_since: Option<Timestamp>,
    /// The reset that the initial password is of.
    pub initial_reset: Option<String>,
    /// Hashes of earlier passwords, newest first.
    pub history: Vec<StoredHash>,
    /// The cards that are bound to the person.
    pub cards: BTreeSet<CardId>,
    /// What ended with certificates of the person that were revoked.
    pub ended_certificates: EndedCertificates,
}

/// A password, or what stands for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credential {
    /// Nothing yet.
    #[default]
    None,
    /// An initial password, good for one activation.
    Initial {
        /// Its hash.
        hash: StoredHash,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// The person's own password.
    Password {
        /// Its hash.
        hash: StoredHash,
    },
}

/// The account's state as a search shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Never activated, no initial password.
    None,
    /// An initial password waits to be used.
    InitialPassword,
    /// Activated.
    Active,
    /// Too many failures: locked for some minutes.
    Locked,
}

/// The person has departed: 卸職, may never sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("departed")]
pub struct Departed;

/// A person of whom it was checked that they are in service. What only such a person may do takes this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InService(Person);

impl InService {
    /// The person.
    pub fn person(&self) -> &Person {
        &self.0
    }

    /// The person, giving up the proof.
    pub fn into_person(self) -> Person {
        self.0
    }
}

impl Person {
    /// The proof that the person is in service.
    ///
    /// # Errors
    /// [`Departed`].
    pub fn in_service(self) -> Result<InService, Departed> {
        match self.service {
            Service::InService => Ok(InService(self)),
            Service::Departed => Err(Departed),
        }
    }

    /// Whether the person has a role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

impl Account {
    /// Whether the person has ever activated. From then on a bound card signs in, whatever happens to the password:
    /// it proves more than a mailed one.
    pub fn is_activated(&self) -> bool {
        self.custom_account.is_some()
    }

    /// The hashes whose passwords may not come again: the current or initial one, and `history` earlier ones.
    pub fn hashes_not_to_repeat(&self, history: usize) -> Vec<StoredHash> {
        let current = match &self.credential {
            Credential::Password { hash } | Credential::Initial { hash, .. } => Some(hash),
            Credential::None => None,
        };
        current.into_iter().chain(self.history.iter().take(history)).cloned().collect()
    }

    /// The address that hears of another one, sealed: the one that the account has, if it is not the same.
    pub fn former_address(&self, new: &EmailDigest) -> Option<&[u8]> {
        let another = self.email_digest.as_ref().is_some_and(|former| former != new);
        self.email_sealed.as_deref().filter(|_| another)
    }

    /// The state, without locks, which belong to typed identifiers.
    pub fn state(&self) -> AccountState {
        match (&self.credential, &self.custom_account) {
            (Credential::Password { .. }, _) => AccountState::Active,
            (Credential::Initial { .. }, _) => AccountState::InitialPassword,
            (Credential::None, Some(_)) => AccountState::Active,
            (Credential::None, None) => AccountState::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_former_address_hears_of_another_one() {
        let digest = |text: &str| EmailDigest::from_stored(text);
        let rows = [
            ("the first activation", None, None, None),
            ("the same address again", Some("one"), Some(b"sealed".as_slice()), None),
            ("another one", Some("two"), Some(b"sealed".as_slice()), Some(b"sealed".as_slice())),
            ("another one, and the former was not kept", Some("two"), None, None),
        ];
        for (what, former, sealed, expected) in rows {
            let account = Account {
                email_digest: former.map(digest),
                email_sealed: sealed.map(<[u8]>::to_vec),
                ..Account::default()
            };
            assert_eq!(account.former_address(&digest("one")), expected, "{what}");
        }
    }
}

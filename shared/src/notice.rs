//! Notices: mails that tell a person of something that happened to the account. A notice carries no secret, no address and
//! no name: the outbox keeps it in clear, and [`crate::mail`] puts it into words when it is sent.
//!
//! # Adding a notice
//! 1. A variant of [`Notice`], its fields what the person needs to recognize what happened, and no more.
//! 2. Its words in [`crate::mail`], in both languages, with a snapshot of the whole mail.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::email_change::{EmailChange, Void};
use crate::person::Service;
use crate::revocation::Reason;

/// How long a notice may wait to be sent. Later it would tell of something that the person has long met otherwise, and
/// frighten more than it helps.
const LIFE: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What a person is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// A card of theirs was revoked, or put on hold, by its issuer; the sessions that were opened with it have ended.
    CardRevoked {
        /// The issuing CA's name, as `issuers.toml` has it.
        issuer_name: String,
        /// The last four digits of the card's number (subject serial number).
        number_tail: String,
        /// Since when, by the issuer's list.
        #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
        since: Timestamp,
        /// Why, by the issuer's list (RFC 5280 section 5.3.1).
        reason: Reason,
    },
    /// A card of theirs was unbound from the account, by themselves or by the helpdesk.
    CardUnbound {
        /// The issuing CA's name, as `issuers.toml` has it.
        issuer_name: String,
        /// The last four digits of the card's number (subject serial number).
        number_tail: String,
    },
    /// A card was bound to the account: it signs in to it from now on.
    CardBound {
        /// The issuing CA's name, as `issuers.toml` has it.
        issuer_name: String,
        /// The last four digits of the card's number (subject serial number).
        number_tail: String,
    },
    /// The account was activated: it has a custom account, an email address and a password now.
    Activated,
    /// HR or the helpdesk has reset the password. Goes to the address that the account has.
    PasswordReset {
        /// The address that the new initial password goes to, masked.
        email_masked: String,
    },
    /// The password was changed in the account's settings.
    PasswordChanged,
    /// The account has another email address. Goes to the former one.
    EmailChanged {
        /// The new address, masked.
        email_masked: String,
    },
    /// Sign-in by password is locked after too many wrong passwords.
    Locked {
        /// When it opens again by itself.
        #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
        until: Timestamp,
    },
    /// They may reset in an agency, for a time: their agency's head gave it, or both agencies' heads have said yes.
    Authorized {
        /// The agency's code.
        agency: String,
        /// From when.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        from: Timestamp,
        /// Until when; for an unlimited time without.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "jiff::fmt::serde::timestamp::second::optional"
        )]
        until: Option<Timestamp>,
    },
    /// They may not reset in an agency any more: an agency's head took it away.
    AuthorizationRevoked {
        /// The agency's code.
        agency: String,
    },
    /// To an HR head: another agency asks for a concurrent duty (兼辦), which waits for a yes of theirs, or of a colleague's.
    ConsentWanted {
        /// The code of the agency that asks.
        agency: String,
        /// Until when it is to be answered.
        #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
        until: Timestamp,
    },
}

/// Why a mail will never be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Undeliverable {
    /// SES refuses it for good.
    #[error("SES refuses this mail")]
    Refused,
    /// SES has accepted it, found a virus in it, and not sent it.
    #[error("SES has rejected this mail")]
    Rejected,
    /// It failed too often for a reason of its own. An operator may hand it in again.
    #[error("tried too often")]
    GivenUp,
    /// Its initial password, or its code, has expired.
    #[error("what it brings has expired")]
    Expired,
    /// Its initial password is no longer the person's: there was another reset, or an activation. Or its code is good for
    /// nothing any more.
    #[error("what it brings has been replaced")]
    Replaced,
    /// A notice that nobody could send for a week.
    #[error("a notice that is too old")]
    TooOld,
    /// The person has never activated, and so has given no address.
    #[error("the person has no email address")]
    NoAddress,
    /// The person is in the personnel directory no more, or has departed.
    #[error("the person is gone")]
    PersonGone,
    /// The address does not open: it was sealed for another record, or is damaged.
    #[error("the address cannot be opened")]
    AddressUnreadable,
}

/// Where a person is reached, as their item has it: the address is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// In service or departed.
    pub service: Service,
    /// The reset whose initial password is the person's now.
    pub initial_reset: Option<String>,
    /// The address of the account, sealed under the person's record name.
    pub email_sealed: Option<Vec<u8>>,
    /// The code of the person's agency.
    pub agency: Option<String>,
    /// The person's generation.
    pub generation: u64,
}

/// The sealed address that a notice goes to.
///
/// # Errors
/// [`Undeliverable`]: too old, nobody there any more, no address.
pub fn deliverable(
    contact: Option<Contact>,
    queued_at: Timestamp,
    now: Timestamp,
) -> Result<Vec<u8>, Undeliverable> {
    if now.duration_since(queued_at) > LIFE {
        return Err(Undeliverable::TooOld);
    }
    match contact {
        None | Some(Contact { service: Service::Departed, .. }) => Err(Undeliverable::PersonGone),
        Some(Contact { email_sealed: None, .. }) => Err(Undeliverable::NoAddress),
        Some(Contact { email_sealed: Some(sealed), .. }) => Ok(sealed),
    }
}

/// Whether a letter is still to be sent: its initial password is good, and the person's.
///
/// # Errors
/// [`Undeliverable`]: expired, replaced, nobody there any more.
pub fn current(
    contact: Option<&Contact>,
    reset_id: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), Undeliverable> {
    match contact {
        _ if now >= expires_at => Err(Undeliverable::Expired),
        None | Some(Contact { service: Service::Departed, .. }) => Err(Undeliverable::PersonGone),
        Some(Contact { initial_reset, .. }) if initial_reset.as_deref() != Some(reset_id) => {
            Err(Undeliverable::Replaced)
        }
        Some(_) => Ok(()),
    }
}

/// Whether the mail with a code is still to be sent: the change with its id waits for the code, and can be confirmed by it.
///
/// # Errors
/// [`Undeliverable`]: expired, replaced, nobody there any more.
pub fn awaited(
    contact: Option<&Contact>,
    change: Option<&EmailChange>,
    id: &str,
    now: Timestamp,
) -> Result<(), Undeliverable> {
    let contact = match contact {
        None | Some(Contact { service: Service::Departed, .. }) => return Err(Undeliverable::PersonGone),
        Some(contact) => contact,
    };
    let change = change.filter(|change| change.id == id).ok_or(Undeliverable::Replaced)?;
    change.check(contact.generation, now).map_err(|void| match void {
        Void::Expired => Undeliverable::Expired,
        Void::Unknown | Void::Overtaken | Void::Exhausted => Undeliverable::Replaced,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::email_change::{LIFE, TRIES};
    use crate::pseudonym::{EmailCodeDigest, EmailDigest};

    #[test]
    fn which_codes_are_still_sent() {
        let asked: Timestamp = "2026-08-06T00:00:00Z".parse().unwrap();
        let contact = |service, generation| {
            Some(Contact { service, initial_reset: None, email_sealed: None, agency: None, generation })
        };
        let change = |id: &str, tries| {
            Some(EmailChange {
                id: id.to_owned(),
                generation: 3,
                code: EmailCodeDigest::from_stored("c"),
                email_masked: String::new(),
                email_sealed: Vec::new(),
                email_digest: EmailDigest::from_stored("e"),
                tries,
                expires_at: asked + LIFE,
            })
        };
        let (here, end) = (contact(Service::InService, 3), asked + LIFE);
        use Undeliverable::{Expired, PersonGone, Replaced};
        let rows = [
            ("asked for", here.clone(), change("this", 0), asked, Ok(())),
            ("at its end", here.clone(), change("this", 0), end, Err(Expired)),
            ("another one was asked for", here.clone(), change("other", 0), asked, Err(Replaced)),
            ("confirmed", here.clone(), None, asked, Err(Replaced)),
            ("too many wrong codes", here, change("this", TRIES), asked, Err(Replaced)),
            ("a reset since", contact(Service::InService, 4), change("this", 0), asked, Err(Replaced)),
            ("departed", contact(Service::Departed, 3), change("this", 0), asked, Err(PersonGone)),
            ("nobody", None, change("this", 0), asked, Err(PersonGone)),
        ];
        for (what, contact, change, now, expected) in rows {
            assert_eq!(awaited(contact.as_ref(), change.as_ref(), "this", now), expected, "{what}");
        }
    }

    #[test]
    fn which_letters_are_still_sent() {
        let contact = |service, reset: Option<&str>| {
            Some(Contact {
                service,
                initial_reset: reset.map(str::to_owned),
                email_sealed: None,
                agency: None,
                generation: 0,
            })
        };
        let (early, end) = ("2026-08-06T00:00:00Z", "2026-08-09T00:00:00Z");
        let here = |reset| contact(Service::InService, reset);
        let rows = [
            ("the person's", here(Some("this")), early, Ok(())),
            ("at its end", here(Some("this")), end, Err(Undeliverable::Expired)),
            ("another reset came", here(Some("other")), early, Err(Undeliverable::Replaced)),
            ("activated since", here(None), early, Err(Undeliverable::Replaced)),
            ("departed", contact(Service::Departed, Some("this")), early, Err(Undeliverable::PersonGone)),
            ("nobody", None, early, Err(Undeliverable::PersonGone)),
        ];
        for (what, contact, now, expected) in rows {
            let [now, end] = [now, end].map(|time| time.parse().unwrap());
            assert_eq!(current(contact.as_ref(), "this", end, now), expected, "{what}");
        }
    }

    #[test]
    fn who_is_told() {
        let queued_at: Timestamp = "2026-08-06T00:00:00Z".parse().unwrap();
        let contact = |service, email: Option<&[u8]>| {
            let email_sealed = email.map(<[u8]>::to_vec);
            Some(Contact { service, initial_reset: None, email_sealed, agency: None, generation: 0 })
        };
        let here = contact(Service::InService, Some(b"sealed"));
        let rows = [
            ("at once", here.clone(), "2026-08-06T00:00:01Z", Ok(b"sealed".to_vec())),
            ("by a clock that is behind", here.clone(), "2026-08-05T23:59:59Z", Ok(b"sealed".to_vec())),
            ("after a week", here.clone(), "2026-08-13T00:00:00Z", Ok(b"sealed".to_vec())),
            ("later", here, "2026-08-13T00:00:01Z", Err(Undeliverable::TooOld)),
            ("nobody", None, "2026-08-06T00:00:01Z", Err(Undeliverable::PersonGone)),
            (
                "departed",
                contact(Service::Departed, Some(b"sealed")),
                "2026-08-06T00:00:01Z",
                Err(Undeliverable::PersonGone),
            ),
            (
                "never activated",
                contact(Service::InService, None),
                "2026-08-06T00:00:01Z",
                Err(Undeliverable::NoAddress),
            ),
        ];
        for (what, contact, now, expected) in rows {
            assert_eq!(deliverable(contact, queued_at, now.parse().unwrap()), expected, "{what}");
        }
    }

    #[test]
    fn a_notice_is_read_back_as_it_was_kept() {
        let rows = [
            (
                Notice::CardRevoked {
                    issuer_name: "MOICA G3".to_owned(),
                    number_tail: "4321".to_owned(),
                    since: "2026-08-06T01:02:03Z".parse().unwrap(),
                    reason: Reason::Superseded,
                },
                "card_revoked",
            ),
            (
                Notice::CardUnbound { issuer_name: "MOICA G3".to_owned(), number_tail: "4321".to_owned() },
                "card_unbound",
            ),
            (
                Notice::CardBound { issuer_name: "MOICA G3".to_owned(), number_tail: "4321".to_owned() },
                "card_bound",
            ),
            (Notice::Activated, "activated"),
            (Notice::PasswordReset { email_masked: "w***@example.gov.tw".to_owned() }, "password_reset"),
            (Notice::PasswordChanged, "password_changed"),
            (Notice::EmailChanged { email_masked: "w***@example.gov.tw".to_owned() }, "email_changed"),
            (Notice::Locked { until: "2026-08-06T01:17:03Z".parse().unwrap() }, "locked"),
            (
                Notice::Authorized {
                    agency: "A02".to_owned(),
                    from: "2026-08-05T16:00:00Z".parse().unwrap(),
                    until: None,
                },
                "authorized",
            ),
            (Notice::AuthorizationRevoked { agency: "A02".to_owned() }, "authorization_revoked"),
            (
                Notice::ConsentWanted {
                    agency: "A02".to_owned(),
                    until: "2026-09-05T01:17:03Z".parse().unwrap(),
                },
                "consent_wanted",
            ),
        ];
        for (notice, kind) in rows {
            let kept = serde_json::to_value(&notice).unwrap();
            assert_eq!(kept["kind"], kind);
            assert_eq!(serde_json::from_value::<Notice>(kept).unwrap(), notice);
        }
    }
}

//! Cards as an account knows them: what a person recognizes one by, and which certificates of it may no longer hold open
//! what they had opened.
//!
//! A card is told by the family of its issuer and its holder's number ([`crate::pseudonym::Pseudonymizer::card`]); its
//! certificate changes with every renewal. So a binding belongs to the card, and a revocation to the certificate.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, Citizen, Reference};
use crate::pseudonym::{CardId, Pseudonymizer};

/// Digits of a card's number that its holder sees, to tell one card from another.
const TAIL: usize = 4;

/// A card, by what its holder recognizes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The card.
    pub id: CardId,
    /// The issuing CA's name, as the operator calls it.
    pub issuer_name: String,
    /// The family of CAs whose cards continue each other.
    pub family: String,
    /// The last digits of the holder's number. The number itself is kept nowhere.
    pub number_tail: String,
}

impl Card {
    /// The card of a citizen's certificate.
    pub fn of(certificate: &Certificate, citizen: &Citizen, pseudonyms: &Pseudonymizer) -> Self {
        Self {
            id: pseudonyms.card(&certificate.family, &citizen.serial_number),
            issuer_name: certificate.issuer_name.clone(),
            family: certificate.family.clone(),
            number_tail: number_tail(&citizen.serial_number),
        }
    }
}

/// The last four characters of a card's number; fewer of a short one, so that the most of it stays untold.
pub fn number_tail(number: &str) -> String {
    let length = number.chars().count();
    number.chars().skip(length - TAIL.min(length / 2)).collect()
}

/// A card that is bound to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundCard {
    /// The card, as its latest new certificate has it.
    pub card: Card,
    /// Since when.
    pub bound_at: Timestamp,
    /// When it last signed in.
    pub last_used_at: Timestamp,
}

impl BoundCard {
    /// Whether a session that this card opened may unbind another: one that was bound later. So whoever has held the account longer
    /// ends what came last, and not the other way round.
    pub fn may_unbind(&self, other: &Self) -> bool {
        self.bound_at < other.bound_at
    }
}

/// A certificate and when the card host saw it, in force by its issuer's list. Whatever comes of that sight carries it:
/// code, tickets, session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The certificate.
    pub certificate: Reference,
    /// When.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
}

/// The end of what a certificate had opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When the revocation came to be known here: what was opened until then has ended.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub ended_at: Timestamp,
    /// Since when the certificate was revoked, by its issuer's list: tells one revocation from the next.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub revoked_at: Timestamp,
}

/// The certificates of a person or an agency that were revoked, and when that ended what they had opened. A certificate
/// whose suspension was lifted opens again: its entry stays, and speaks of what was before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndedCertificates(BTreeMap<String, End>);

impl EndedCertificates {
    /// Whether what came of that sight has ended.
    pub fn end(&self, seen: &Seen) -> bool {
        self.0.get(&seen.certificate.to_string()).is_some_and(|end| seen.at <= end.ended_at)
    }
}

impl FromIterator<(Reference, End)> for EndedCertificates {
    fn from_iter<I: IntoIterator<Item = (Reference, End)>>(ends: I) -> Self {
        Self(ends.into_iter().map(|(certificate, end)| (certificate.to_string(), end)).collect())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_tail_tells_at_most_half() {
        let rows = [
            ("0000000112345678", "5678"),
            ("12345678", "5678"),
            ("1234567", "567"),
            ("12", "2"),
            ("1", ""),
            ("", ""),
        ];
        for (number, tail) in rows {
            assert_eq!(number_tail(number), tail, "{number}");
        }
    }

    #[test]
    fn a_card_unbinds_what_was_bound_after_it() {
        let at = |second| BoundCard {
            card: Card {
                id: CardId::from_stored("c"),
                issuer_name: "MOICA".to_owned(),
                family: "MOICA".to_owned(),
                number_tail: "1".to_owned(),
            },
            bound_at: Timestamp::from_second(second).unwrap(),
            last_used_at: Timestamp::from_second(100).unwrap(),
        };
        for (own, other, expected) in [(1, 2, true), (2, 1, false), (1, 1, false)] {
            assert_eq!(at(own).may_unbind(&at(other)), expected, "{own} {other}");
        }
    }

    #[test]
    fn a_revocation_ends_what_was_opened_before_it() {
        let certificate = |serial: &str| format!("{}#{serial}", "a".repeat(64)).parse::<Reference>().unwrap();
        let ended_at: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let end = End { ended_at, revoked_at: ended_at - SignedDuration::from_hours(7) };
        let ended: EndedCertificates = [(certificate("1f"), end)].into_iter().collect();
        let at = |milliseconds| ended_at + SignedDuration::from_millis(milliseconds);
        let rows = [
            ("seen before", "1f", at(-1), true),
            ("seen in the same moment", "1f", at(0), true),
            ("seen after the suspension was lifted", "1f", at(1), false),
            ("another certificate", "2f", at(-1), false),
        ];
        for (what, serial, at, expected) in rows {
            assert_eq!(ended.end(&Seen { certificate: certificate(serial), at }), expected, "{what}");
        }
    }
}

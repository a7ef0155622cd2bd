//! Whether a card and a person are one: the manual's 貳、1、(3).

use icu_normalizer::ComposingNormalizerBorrowed;

use serde::{Deserialize, Serialize};

use crate::certificate::Citizen;
use crate::person::{InService, Person};
use crate::pseudonym::Pseudonymizer;

/// Whom a card names, as far as a person is compared with it. The holder's number is not part of it, so that nothing that
/// carries this to a later step stores the number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The common name.
    pub name: String,
    /// The last four digits of the national ID, when the certificate has them.
    pub id_tail: Option<String>,
}

impl From<&Citizen> for Named {
    fn from(citizen: &Citizen) -> Self {
        Self { name: citizen.name.clone(), id_tail: citizen.id_tail.clone() }
    }
}

/// Why a card is not bound to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// (1.) Not in the personnel directory.
    #[error("nobody of that identifier in the personnel directory")]
    Unknown,
    /// (2.) Departed.
    #[error("departed")]
    Departed,
    /// (3.) Not the card's holder.
    #[error("not the card's holder")]
    Mismatch,
}

/// The person whom the identifier named, when the card is theirs and they are in service.
///
/// The card's common name must be the directory's name (compared as NFKC, without spaces around), and the last four
/// digits of the national ID, when the card has them, the person's. Somebody who holds a card of another person is
/// told no more than that: mismatch comes before departed.
///
/// # Errors
/// [`Refusal`], in the manual's words.
pub fn holder_is(
    holder: &Named,
    person: Option<Person>,
    pseudonyms: &Pseudonymizer,
) -> Result<InService, Refusal> {
    let person = person.ok_or(Refusal::Unknown)?;
    let same_name = same_name(&holder.name, &person.name);
    let same_tail =
        holder.id_tail.as_ref().is_none_or(|tail| pseudonyms.tail(&person.id, tail) == person.tail);
    if !same_name || !same_tail {
        return Err(Refusal::Mismatch);
    }
    person.in_service().map_err(|_| Refusal::Departed)
}

/// Whether two names are one: compared as NFKC, without spaces around.
pub fn same_name(one: &str, other: &str) -> bool {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    nfkc.normalize(one.trim()) == nfkc.normalize(other.trim())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::person::{Account, Service};
    use crate::pseudonym::PersonId;

    #[test]
    fn the_manuals_three_refusals() {
        let pseudonyms = Pseudonymizer::new(&[1; 32]);
        let id = PersonId::from_stored("wang");
        let person = |service| {
            Some(Person {
                tail: pseudonyms.tail(&id, "6789"),
                id: id.clone(),
                name: "王大明".to_owned(),
                agency: "A".to_owned(),
                agency_name: "測試機關".to_owned(),
                service,
                roles: BTreeSet::new(),
                authority: crate::authority::authorization::Authority::default(),
                generation: 0,
                account: Account::default(),
            })
        };
        let card = |name: &str, tail: Option<&str>| Named {
            name: name.to_owned(),
            id_tail: tail.map(str::to_owned),
        };
        let (serving, gone) = (person(Service::InService), person(Service::Departed));
        let rows = [
            ("the holder", card("王大明", Some("6789")), serving.clone(), None),
            ("a card without the digits", card("王大明", None), serving.clone(), None),
            (
                "a name in compatibility characters",
                card(" 王大明\u{3000}", Some("6789")),
                serving.clone(),
                None,
            ),
            ("(1.) nobody", card("王大明", Some("6789")), None, Some(Refusal::Unknown)),
            ("(2.) departed", card("王大明", Some("6789")), gone.clone(), Some(Refusal::Departed)),
            ("(3.) another name", card("王小明", Some("6789")), serving.clone(), Some(Refusal::Mismatch)),
            ("(3.) a namesake", card("王大明", Some("1234")), serving, Some(Refusal::Mismatch)),
            ("(3.) of a departed person", card("王小明", Some("6789")), gone, Some(Refusal::Mismatch)),
        ];
        for (what, holder, person, refusal) in rows {
            assert_eq!(holder_is(&holder, person, &pseudonyms).err(), refusal, "{what}");
        }
    }
}

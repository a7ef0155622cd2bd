//! Whether a card and a person are one: the manual's 貳、1、(3).

use serde::{Deserialize, Serialize};

use crate::certificate::Citizen;
use crate::identifier::Identifier;
use crate::person::{InService, Person};
use crate::person_name::{self, Digits};
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
    /// The digits are the card's, the name is not: the directory writes it otherwise, or has not heard of a new one.
    #[error("the directory has another name beside the same digits")]
    NameDiffers,
}

/// The person whom the identifier named, when the card is theirs and they are in service.
///
/// The card's common name must be the directory's name, as names are compared ([`person_name::same`]), and the last four
/// digits of the national ID, when the card has them, the person's. Somebody who holds a card of another person is told no
/// more than that: mismatch comes before departed. That the name alone is wrong is told only to who typed the national ID, and
/// so knows its digits: to anybody else it would say that two people's are the same.
///
/// # Errors
/// [`Refusal`], in the manual's words.
pub fn holder_is(
    holder: &Named,
    typed: &Identifier,
    person: Option<Person>,
    pseudonyms: &Pseudonymizer,
) -> Result<InService, Refusal> {
    let person = person.ok_or(Refusal::Unknown)?;
    let digits = match &holder.id_tail {
        None => Digits::Absent,
        Some(tail) if pseudonyms.tail(&person.id, tail) == person.tail => Digits::Agree,
        Some(_) => return Err(Refusal::Mismatch),
    };
    if !person_name::same(&holder.name, &person.name, digits) {
        return Err(match (digits, typed) {
            (Digits::Agree, Identifier::NationalId(_)) => Refusal::NameDiffers,
            (Digits::Agree | Digits::Absent, _) => Refusal::Mismatch,
        });
    }
    person.in_service().map_err(|_| Refusal::Departed)
}

/// Whether a card that is seen for the first time needs the account's password beside it. A name is not one person's alone: a
/// card that does not carry the digits lets its holder activate an account of that name, and never opens one that has been
/// activated, which another of the same name may have done.
pub fn needs_password(holder: &Named, person: &InService) -> bool {
    holder.id_tail.is_none() && person.person().account.is_activated()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::custom_account::CustomAccount;
    use crate::person::{Account, Service};
    use crate::pseudonym::PersonId;

    fn pseudonyms() -> Pseudonymizer {
        Pseudonymizer::new(&[1; 32])
    }

    fn someone(service: Service) -> Person {
        let id = PersonId::from_stored("wang");
        Person {
            tail: pseudonyms().tail(&id, "6789"),
            id,
            name: "王大明".to_owned(),
            agency: "A".to_owned(),
            agency_name: "測試機關".to_owned(),
            service,
            roles: BTreeSet::new(),
            authority: crate::authority::authorization::Authority::default(),
            generation: 0,
            account: Account::default(),
        }
    }

    #[test]
    fn the_manuals_three_refusals() {
        let person = |service| Some(someone(service));
        let card = |name: &str, tail: Option<&str>| Named {
            name: name.to_owned(),
            id_tail: tail.map(str::to_owned),
        };
        let national_id = Identifier::parse("A123456789").unwrap();
        let account = Identifier::parse("wang.daming").unwrap();
        let (serving, gone) = (person(Service::InService), person(Service::Departed));
        let rows = [
            ("the holder", card("王大明", Some("6789")), &national_id, serving.clone(), None),
            ("by custom account", card("王大明", Some("6789")), &account, serving.clone(), None),
            ("a card without the digits", card("王大明", None), &national_id, serving.clone(), None),
            (
                "a name that is written otherwise",
                card(" 王\u{3000}大明", None),
                &national_id,
                serving.clone(),
                None,
            ),
            (
                "a character that was lost, beside the digits",
                card("王□明", Some("6789")),
                &national_id,
                serving.clone(),
                None,
            ),
            (
                "a character that was lost, and no digits",
                card("王□明", None),
                &national_id,
                serving.clone(),
                Some(Refusal::Mismatch),
            ),
            ("(1.) nobody", card("王大明", Some("6789")), &national_id, None, Some(Refusal::Unknown)),
            (
                "(2.) departed",
                card("王大明", Some("6789")),
                &national_id,
                gone.clone(),
                Some(Refusal::Departed),
            ),
            (
                "(3.) another name",
                card("王小明", Some("6789")),
                &national_id,
                serving.clone(),
                Some(Refusal::NameDiffers),
            ),
            (
                "(3.) another name, by custom account",
                card("王小明", Some("6789")),
                &account,
                serving.clone(),
                Some(Refusal::Mismatch),
            ),
            (
                "(3.) another name, and no digits",
                card("王小明", None),
                &national_id,
                serving.clone(),
                Some(Refusal::Mismatch),
            ),
            ("(3.) a namesake", card("王大明", Some("1234")), &national_id, serving, Some(Refusal::Mismatch)),
            (
                "(3.) of a departed person",
                card("王小明", Some("1234")),
                &national_id,
                gone,
                Some(Refusal::Mismatch),
            ),
        ];
        for (what, holder, typed, person, refusal) in rows {
            assert_eq!(holder_is(&holder, typed, person, &pseudonyms()).err(), refusal, "{what}");
        }
    }

    #[test]
    fn a_name_alone_never_opens_an_activated_account() {
        let card =
            |tail: Option<&str>| Named { name: "王大明".to_owned(), id_tail: tail.map(str::to_owned) };
        let person = |activated: bool| {
            let custom_account = activated.then(|| CustomAccount::parse("wang.daming").unwrap());
            let account = Account { custom_account, ..Account::default() };
            Person { account, ..someone(Service::InService) }.in_service().unwrap()
        };
        let rows = [
            ("no digits, activated", None, true, true),
            ("no digits, not activated", None, false, false),
            ("the digits, activated", Some("6789"), true, false),
            ("the digits, not activated", Some("6789"), false, false),
        ];
        for (what, tail, activated, expected) in rows {
            assert_eq!(needs_password(&card(tail), &person(activated)), expected, "{what}");
        }
    }
}

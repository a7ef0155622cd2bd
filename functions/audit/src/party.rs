//! Who is named in an entry, as the answer shows them and a query takes them.

use serde_json::{Value, json};
use shared::pseudonym::PersonId;
use shared::session::Subject;

/// What the trail calls the one who acts or is acted on, in two parts: the kind, and an id that is opaque.
pub(crate) fn kind_and_id(party: &str) -> (&'static str, &str) {
    match party.split_once('#') {
        Some(("person", id)) => ("person", id),
        Some(("agency", oid)) => ("agency", oid),
        Some(("agency_code", code)) => ("agency_code", code),
        Some(("card", id)) => ("card", id),
        Some(("certificate", reference)) => ("certificate", reference),
        // A typed identifier that is nobody's has nothing but its digest.
        _ if PersonId::parse(party).is_some() => ("identifier", party),
        _ => ("system", party),
    }
}

/// A party of an entry, with the name where it may be shown.
pub(crate) fn shown(party: &str, name: Option<&str>) -> Value {
    let (kind, id) = kind_and_id(party);
    match name {
        Some(name) => json!({ "kind": kind, "id": id, "name": name }),
        None => json!({ "kind": kind, "id": id }),
    }
}

/// The actor that a query names by the id of an answer: a person, an agency by its OID, or a part of the system.
pub(crate) fn actor(id: &str) -> Option<String> {
    if let Some(person) = PersonId::parse(id) {
        return Some(Subject::Person(person).to_string());
    }
    let oid = id.contains('.') && id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let system = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    match id.len() {
        1..=64 if oid => Some(Subject::Agency(id.to_owned()).to_string()),
        1..=64 if system => Some(id.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_shown_and_asked_for_by_the_same_id() {
        let person = "p".repeat(43);
        let rows = [
            (format!("person#{person}"), "person", Some(format!("person#{person}"))),
            ("agency#2.16.886.101".to_owned(), "agency", Some("agency#2.16.886.101".to_owned())),
            ("revocation-sync".to_owned(), "system", Some("revocation-sync".to_owned())),
            ("certificate#aa#1f".to_owned(), "certificate", None),
            ("agency_code#A02".to_owned(), "agency_code", None),
        ];
        for (party, kind, asked) in rows {
            let (shown, id) = kind_and_id(&party);
            assert_eq!((shown, actor(id)), (kind, asked), "{party}");
        }
        assert_eq!(kind_and_id(&person).0, "identifier");
        for id in ["", "A123456789", "person#x", &"x".repeat(65)] {
            assert_eq!(actor(id), None, "{id}");
        }
    }
}

//! Who holds a certificate: what GPKI's certificates say in subject and Subject Directory Attributes.

use serde::{Deserialize, Serialize};
use x509_parser::asn1_rs::{Any, FromDer as _, Oid, Sequence, Set, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Name;

use super::Refusal;
use super::name::text;
use super::profile::{IssuerProfile, Kind, Requirement};

/// Subject Directory Attributes (RFC 5280 section 4.2.1.8).
const SUBJECT_DIRECTORY_ATTRIBUTES: Oid<'static> = oid!(2.5.29.9);
/// GPKI: last four digits of the holder's national ID.
const NATIONAL_ID_TAIL: Oid<'static> = oid!(2.16.886.1.100.2.51);
/// GPKI: the agency's organization OID.
const ORGANIZATION_OID: Oid<'static> = oid!(2.16.886.1.100.2.102);
const COMMON_NAME: Oid<'static> = oid!(2.5.4.3);
const SERIAL_NUMBER: Oid<'static> = oid!(2.5.4.5);

const UNREADABLE: Refusal = Refusal::WrongKind("an unreadable string");

/// Who holds a certificate.
#[derive(Clone, PartialEq, Eq)]
pub enum Holder {
    /// A person.
    Citizen(Citizen),
    /// An agency, by its organization OID.
    Organization {
        /// The OID, dotted.
        oid: String,
    },
}

/// A citizen certificate's holder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citizen {
    /// The common name.
    pub name: String,
    /// The subject serial number, which survives a renewal.
    pub serial_number: String,
    /// The last four digits of the national ID, when the certificate has them.
    pub id_tail: Option<String>,
}

/// What a certificate says of its holder.
///
/// # Errors
/// [`Refusal::WrongKind`] when it does not say what certificates of the profile's kind say.
pub(super) fn read(certificate: &X509Certificate<'_>, profile: &IssuerProfile) -> Result<Holder, Refusal> {
    match profile.kind {
        Kind::Citizen => citizen(certificate, profile.directory_attributes).map(Holder::Citizen),
        Kind::Organization => organization_oid(certificate).map(|oid| Holder::Organization { oid }),
    }
}

fn citizen(certificate: &X509Certificate<'_>, tail: Requirement) -> Result<Citizen, Refusal> {
    let name = only_attribute(certificate.subject(), &COMMON_NAME)?;
    let serial_number = only_attribute(certificate.subject(), &SERIAL_NUMBER)?;
    if name.trim().is_empty() {
        return Err(Refusal::WrongKind("an empty common name"));
    }
    let printable = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if serial_number.is_empty() || serial_number.len() > 64 || !serial_number.bytes().all(printable) {
        return Err(Refusal::WrongKind("no usable subject serial number"));
    }
    let id_tail = directory_attribute(certificate, &NATIONAL_ID_TAIL)?;
    match &id_tail {
        Some(tail) if tail.len() != 4 || !tail.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(Refusal::WrongKind("the national ID's digits are not four digits"));
        }
        None if tail == Requirement::Required => {
            return Err(Refusal::WrongKind("without the national ID's digits"));
        }
        _ => {}
    }
    Ok(Citizen { name, serial_number, id_tail })
}

fn organization_oid(certificate: &X509Certificate<'_>) -> Result<String, Refusal> {
    let oid = directory_attribute(certificate, &ORGANIZATION_OID)?
        .ok_or(Refusal::WrongKind("without an organization OID"))?;
    let arcs = oid.split('.').collect::<Vec<_>>();
    let numeric = |arc: &&str| !arc.is_empty() && arc.len() <= 20 && arc.bytes().all(|b| b.is_ascii_digit());
    if arcs.len() < 3 || !arcs.iter().all(numeric) {
        return Err(Refusal::WrongKind("the organization OID is not an OID"));
    }
    Ok(oid)
}

/// The one value of a subject attribute.
fn only_attribute(name: &X509Name<'_>, oid: &Oid<'_>) -> Result<String, Refusal> {
    let mut values = name.iter_by_oid(oid);
    match (values.next(), values.next()) {
        (Some(value), None) => text(value.attr_value()).ok_or(UNREADABLE),
        (None, _) => Err(Refusal::WrongKind("a subject attribute is missing")),
        _ => Err(Refusal::WrongKind("a subject attribute occurs twice")),
    }
}

/// The one value of a Subject Directory Attribute; `None` when the extension or the attribute is not there.
fn directory_attribute(
    certificate: &X509Certificate<'_>,
    wanted: &Oid<'_>,
) -> Result<Option<String>, Refusal> {
    const MALFORMED: Refusal = Refusal::WrongKind("malformed directory attributes");
    let extension = certificate
        .get_extension_unique(&SUBJECT_DIRECTORY_ATTRIBUTES)
        .map_err(|error| Refusal::Malformed(error.to_string()))?;
    let Some(extension) = extension else { return Ok(None) };
    let (rest, attributes) = Sequence::from_der(extension.value).map_err(|_| MALFORMED)?;
    if !rest.is_empty() {
        return Err(MALFORMED);
    }
    let mut found = None;
    let mut content: &[u8] = &attributes.content;
    while !content.is_empty() {
        let (rest, attribute) = Sequence::from_der(content).map_err(|_| MALFORMED)?;
        content = rest;
        let (values, kind) = Oid::from_der(&attribute.content).map_err(|_| MALFORMED)?;
        if kind != *wanted {
            continue;
        }
        let (rest, values) = Set::from_der(values).map_err(|_| MALFORMED)?;
        let (more, value) = Any::from_der(&values.content).map_err(|_| MALFORMED)?;
        if !rest.is_empty() || !more.is_empty() || found.is_some() {
            return Err(MALFORMED);
        }
        found = Some(match value.tag() {
            Tag::Oid => value.oid().map_err(|_| MALFORMED)?.to_id_string(),
            _ => text(&value).ok_or(MALFORMED)?,
        });
    }
    Ok(found)
}

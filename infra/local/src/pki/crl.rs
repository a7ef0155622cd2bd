//! Revocation lists of the card CAs. The list's file is all the state that there is: revoking reads it, adds a serial
//! number and signs a new one. Where a real CA has a web server for its lists there is [`router`].

use std::fs::File;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use jiff::Timestamp;
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use shared::certificate::Kind;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::{Generation, KINDS, Pki, PkiError, hours_from, moment};
use crate::files;

/// How long a list is valid.
const VALID_HOURS: i64 = 24;
/// A list with less time left than this is replaced.
const RENEW_HOURS: i64 = 12;

struct Entry {
    serial: Vec<u8>,
    since: Timestamp,
}

struct List {
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    entries: Vec<Entry>,
}

/// Makes the lists of a kind's CAs where there are none, and replaces those that end soon; true when a file changed.
///
/// # Errors
/// When the file or the CA cannot be used.
pub(crate) fn renew(pki: &Pki, kind: Kind, now: Timestamp) -> Result<bool, PkiError> {
    let _guard = lock(pki, kind)?;
    let soon = now + jiff::SignedDuration::from_hours(RENEW_HOURS);
    let mut changed = false;
    for generation in pki.generations(kind) {
        let ca = (kind, generation);
        match read(pki, ca)? {
            // One of the future is left from a stand-in with another clock.
            Some(list) if list.next_update > soon && list.this_update <= now => continue,
            Some(list) => write(pki, ca, list.number + 1, list.entries, now)?,
            None => write(pki, ca, 1, Vec::new(), now)?,
        }
        changed = true;
    }
    Ok(changed)
}

/// An issuing CA.
type Issuing = (Kind, Generation);

/// A fresh list at each start, so that a stand-in that slept does not begin with a stale one.
pub(super) fn ensure(pki: &Pki, kind: Kind, now: Timestamp) -> Result<(), PkiError> {
    renew(pki, kind, now).map(|_| ())
}

impl Pki {
    /// Adds a certificate to its issuer's list.
    ///
    /// # Errors
    /// When it is no certificate of this PKI's cards.
    pub fn revoke(&self, certificate_pem: &[u8], now: Timestamp) -> Result<(), PkiError> {
        let unreadable = || PkiError::Request("that is not a certificate in PEM".to_owned());
        let der = CertificateDer::from_pem_slice(certificate_pem).map_err(|_| unreadable())?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| unreadable())?;
        for kind in KINDS {
            for generation in self.generations(kind) {
                let issuing = self.issuing(kind, generation)?;
                let (_, authority) = X509Certificate::from_der(&issuing.certificate)
                    .map_err(|_| PkiError::Damaged { path: self.folder(kind) })?;
                if certificate.verify_signature(Some(authority.public_key())).is_ok() {
                    return self.add((kind, generation), certificate.raw_serial(), now);
                }
            }
        }
        Err(PkiError::Request("that certificate was not issued by this data directory's CAs".to_owned()))
    }

    fn add(&self, ca: Issuing, serial: &[u8], now: Timestamp) -> Result<(), PkiError> {
        let _guard = lock(self, ca.0)?;
        let list = read(self, ca)?;
        let number = list.as_ref().map_or(1, |list| list.number + 1);
        let mut entries = list.map(|list| list.entries).unwrap_or_default();
        if !entries.iter().any(|entry| entry.serial == serial) {
            entries.push(Entry { serial: serial.to_vec(), since: now });
        }
        write(self, ca, number, entries, now)
    }

    /// Publishes an issuing CA's list anew, without any entry: what was revoked is good again, as after a hold.
    ///
    /// # Errors
    /// When the list cannot be read or written.
    pub fn reinstate_all(&self, kind: Kind, now: Timestamp) -> Result<(), PkiError> {
        let _guard = lock(self, kind)?;
        for generation in self.generations(kind) {
            let ca = (kind, generation);
            let number = read(self, ca)?.map_or(1, |list| list.number + 1);
            write(self, ca, number, Vec::new(), now)?;
        }
        Ok(())
    }
}

/// The lists' web server: each under what [`served_at`] says, with an `ETag`.
pub(crate) fn router(pki: Pki) -> Router {
    Router::new().route("/{list}", get(serve)).with_state(pki)
}

/// Where [`router`] has a CA's list, below its own address.
pub(crate) fn served_at(kind: Kind, generation: Generation) -> String {
    let kind = match kind {
        Kind::Citizen => "citizen",
        Kind::Organization => "organization",
    };
    format!("{kind}-{}.crl", generation.files().1)
}

async fn serve(State(pki): State<Pki>, Segment(name): Segment<String>, headers: HeaderMap) -> Response {
    let cas =
        KINDS.into_iter().flat_map(|kind| pki.generations(kind).map(move |generation| (kind, generation)));
    let mut named = cas.filter(|(kind, generation)| served_at(*kind, *generation) == name);
    let list = named
        .next()
        .and_then(|(kind, generation)| files::read(&pki.revocation_list_of(kind, generation)).ok());
    let Some(list) = list else { return StatusCode::NOT_FOUND.into_response() };
    let etag = format!("\"{}\"", hex::encode(digest(&SHA256, &list)));
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    let content_type = (header::CONTENT_TYPE, "application/pkix-crl".to_owned());
    ([content_type, (header::ETAG, etag)], list).into_response()
}

/// Keeps `card revoke` and a running stand-in from writing the list at once.
fn lock(pki: &Pki, kind: Kind) -> Result<File, PkiError> {
    let path = pki.folder(kind).join("revoked.lock");
    let unusable = |_| PkiError::Damaged { path: path.clone() };
    let file = File::create(&path).map_err(unusable)?;
    file.lock().map_err(unusable)?;
    Ok(file)
}

fn read(pki: &Pki, (kind, generation): Issuing) -> Result<Option<List>, PkiError> {
    let path = pki.revocation_list_of(kind, generation);
    let Some(der) = files::read_if_present(&path)? else { return Ok(None) };
    parse(&der).map(Some).ok_or_else(|| PkiError::Damaged { path: path.clone() })
}

fn parse(der: &[u8]) -> Option<List> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    let number = list.crl_number()?.to_u64_digits();
    let entries = list.iter_revoked_certificates().map(|entry| {
        let since = Timestamp::from_second(entry.revocation_date.timestamp()).ok()?;
        Some(Entry { serial: entry.raw_serial().to_vec(), since })
    });
    Some(List {
        number: number.first().copied().unwrap_or_default(),
        this_update: Timestamp::from_second(list.last_update().timestamp()).ok()?,
        next_update: Timestamp::from_second(list.next_update()?.timestamp()).ok()?,
        entries: entries.collect::<Option<_>>()?,
    })
}

fn write(
    pki: &Pki,
    (kind, generation): Issuing,
    number: u64,
    entries: Vec<Entry>,
    now: Timestamp,
) -> Result<(), PkiError> {
    let revoked_certs = entries.into_iter().map(|entry| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&entry.serial),
            revocation_time: moment(entry.since)?,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        })
    });
    let params = CertificateRevocationListParams {
        this_update: moment(now)?,
        next_update: hours_from(now, VALID_HOURS)?,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect::<Result<_, PkiError>>()?,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(&pki.issuing(kind, generation)?.issuer)?;
    let path: &Path = &pki.revocation_list_of(kind, generation);
    Ok(files::write(path, list.der())?)
}

#[cfg(test)]
mod tests {
    use shared::certificate::{Truststore, serial_hex};
    use shared::revocation::{Ca, List, Number, RevokedCertificate};

    use super::*;
    use crate::pki::card::CardRequest;

    #[test]
    fn a_revoked_card_is_on_a_list_that_the_functions_believe() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let pki = Pki::open(folder.path(), now).unwrap();
        let truststore = Truststore::load(&pki.truststore_folder()).unwrap();
        let list = |kind, at| {
            let mut authorities = truststore.authorities().iter();
            let issuer =
                authorities.find(|authority| authority.profile().is_some_and(|profile| profile.kind == kind));
            let ca = Ca::of(issuer.unwrap().certificate()).unwrap();
            let der = std::fs::read(pki.revocation_list(kind)).unwrap();
            let list = List::read(&der, &ca, &ca, at).unwrap();
            let entries: Vec<_> = list.entries().map(RevokedCertificate::from).collect();
            (list.freshness().clone(), entries)
        };
        let (freshness, entries) = list(Kind::Citizen, now);
        assert_eq!((freshness.number, entries.len()), (Number::from(1), 0));

        let card = pki.issue(&CardRequest::citizen("王小明", "6789"), now).unwrap();
        for _ in 0..2 {
            pki.revoke(card.certificate_pem.as_bytes(), now).unwrap();
        }
        let (freshness, entries) = list(Kind::Citizen, now);
        let der = CertificateDer::from_pem_slice(card.certificate_pem.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].serial, serial_hex(certificate.raw_serial()));
        assert_eq!((freshness.number, entries[0].since), (Number::from(3), now));
        assert_eq!(list(Kind::Organization, now).1, []);

        assert!(!renew(&pki, Kind::Citizen, now).unwrap());
        let later = now + jiff::SignedDuration::from_hours(72);
        assert!(renew(&pki, Kind::Citizen, later).unwrap());
        let (freshness, entries) = list(Kind::Citizen, later);
        assert_eq!((entries.len(), freshness.this_update), (1, later));
        assert!(renew(&pki, Kind::Citizen, now).unwrap(), "a list of the future is replaced");
        let (freshness, entries) = list(Kind::Citizen, now);
        assert_eq!((entries.len(), freshness.this_update), (1, now));
        assert!(pki.revoke(b"rubbish", now).is_err());
    }
}

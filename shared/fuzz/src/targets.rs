//! The targets. Each takes any bytes at all.

use std::collections::HashSet;

use jiff::SignedDuration;
use shared::certificate::{Checked, Holder, IssuerProfiles, Reference, Truststore, serial_hex};
use shared::ocsp::Issuer;
use shared::revocation::{
    Bucket, BucketDigests, Buckets, Ca, Covers, Freshness, List, ListStatus, Number, Status,
};
use workbench::authority::{Authority, mirrored};
use workbench::damage::split;
use workbench::list::{element, ocsp_response, signed};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::world::{self, WORLD, from_pem, to_pem};

/// A certificate, DER, decided upon as a function decides: path, profile, holder, revocation.
///
/// # Panics
/// When a certificate is accepted that no issuer signed, or one that RFC 5280 and the profile do not allow.
pub fn certificate(der: &[u8]) {
    let world = &*WORLD;
    let pem = to_pem(der);
    if accepted(&pem).is_some() {
        assert!(is_genuine(der, world.certificates()), "accepted, and no issuer signed it");
    }
    let path = world.root_only.validate(&pem, Some(&world.intermediates()), world.now);
    if let Ok(path) = path {
        assert!(is_genuine(der, world.certificates()), "valid below the root, and no issuer signed it");
        assert_eq!(path.links().len(), 2);
    }
    // The same, signed: by the CA that it names, or by the citizens' one.
    let Some(to_be_signed) = to_be_signed(der) else { return };
    let names = |authority: &Authority| {
        X509Certificate::from_der(authority.certificate()).unwrap().1.subject().as_raw().to_vec()
    };
    let issuer = X509Certificate::from_der(der).map(|(_, parsed)| parsed.issuer().as_raw().to_vec());
    let signer = if issuer.is_ok_and(|name| name == names(&world.agencies)) {
        &world.agencies
    } else {
        &world.citizens
    };
    let der = signed(signer, to_be_signed);
    if let Some(checked) = accepted(&to_pem(&der)) {
        assert_allowed(&der, &checked);
    }
}

/// A revocation list, DER: read, its entries iterated, told apart by buckets.
///
/// # Panics
/// When a list is believed that no issuer signed; when an entry of a list is lost, or in the wrong bucket.
pub fn list(der: &[u8]) {
    let world = &*WORLD;
    let (citizens, agencies) = (ca(&world.citizens), ca(&world.agencies));
    for issuer in [&citizens, &agencies] {
        if List::read(der, issuer, &citizens, world.now).is_ok() {
            assert!(is_genuine(der, world.lists()), "believed, and no issuer signed it");
        }
    }
    // The same, signed: a list of the signer itself, and an indirect one for another CA.
    let Some(to_be_signed) = to_be_signed(der) else { return };
    let der = signed(&world.citizens, to_be_signed);
    for issuer in [&citizens, &agencies] {
        match List::read(&der, issuer, &citizens, world.now) {
            Ok(list) => assert_whole(&der, &list),
            Err(refusal) => drop(refusal.to_string()),
        }
    }
}

/// Holds a list that an issuer signed, and that is believed, against itself, and against what another parser reads.
fn assert_whole(der: &[u8], list: &List<'_>) {
    assert!(!list.scopes().is_empty());
    let revoked: HashSet<String> = list.entries().map(|entry| entry.serial()).collect();
    let buckets = Buckets::of(list);
    assert_eq!(buckets.count(), revoked.len());
    let mut seen = 0;
    for bucket in Bucket::all() {
        for entry in buckets.entries(bucket) {
            assert_eq!(Bucket::of_serial(&entry.serial), bucket);
            assert!(revoked.contains(&entry.serial));
            seen += 1;
        }
    }
    assert_eq!(seen, revoked.len());
    let digests = buckets.digests();
    assert_eq!(digests.changed(digests), []);
    assert_eq!(BucketDigests::from_bytes(&digests.to_bytes()).as_ref(), Some(digests));
    let full = BucketDigests::empty().changed(digests).len();
    assert_eq!(full, Bucket::all().filter(|bucket| !buckets.entries(*bucket).is_empty()).count());
    // A card that is on the list and not read from it would go on signing in.
    let Ok((_, other)) = CertificateRevocationList::from_der(der) else { return };
    let indirect = other.extensions().iter().any(|extension| {
        matches!(extension.parsed_extension(), ParsedExtension::IssuingDistributionPoint(point) if point.indirect_crl)
    });
    if !indirect {
        for entry in other.iter_revoked_certificates() {
            assert!(revoked.contains(&serial_hex(entry.raw_serial())), "an entry is lost");
        }
    }
}

/// The body of an OCSP responder's answer, DER, to a question about the citizen's certificate among the seeds.
///
/// # Panics
/// When an answer is believed that nobody who may has signed, or that is not of its time.
pub fn ocsp(body: &[u8]) {
    let world = &*WORLD;
    let issuer = Issuer::of(world.citizens.certificate()).unwrap();
    let question = issuer.question(world::CITIZEN, None).unwrap();
    if question.read(&issuer, body, world.now).is_ok() {
        // The certificates beside the signature are signed for themselves: anybody may add some.
        let data = response_data(body).map(|(data, _)| data);
        let known = |seed: &Vec<u8>| response_data(seed).map(|(data, _)| data) == data;
        assert!(data.is_some() && world.responses().iter().any(known), "believed, and no issuer signed it");
    }
    // The same, signed by the issuer, with the certificates that were beside the signature.
    let Some((data, certificates)) = response_data(body) else { return };
    let body = ocsp_response(&signed_with(&world.citizens, data, certificates));
    match question.read(&issuer, &body, world.now) {
        Err(error) => drop(error.to_string()),
        Ok(response) => {
            assert_eq!(response.delegate(), None, "signed by the issuer itself");
            let answer = response.believed(&Status::default(), world.now, SignedDuration::ZERO).unwrap();
            assert!(answer.is_current(world.now), "not of its time");
            assert!(answer.keep_until(world.now).is_none_or(|until| until > world.now));
        }
    }
}

/// The `ResponseData` of an `OCSPResponse`, and what follows the signature.
fn response_data(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let status = split(split(body)?.content)?;
    let kind = split(split(split(status.rest)?.content)?.content)?;
    let data = split(split(split(kind.rest)?.content)?.content)?;
    let signature = split(split(data.rest)?.rest)?;
    Some((data.element, signature.rest))
}

fn signed_with(signer: &Authority, data: &[u8], certificates: &[u8]) -> Vec<u8> {
    let basic = signed(signer, data);
    element(0x30, &[split(&basic).unwrap().content, certificates].concat())
}

fn ca(authority: &Authority) -> Ca<'_> {
    Ca::of(authority.certificate()).unwrap()
}

/// The text of an event's certificate.
///
/// # Panics
/// When a certificate is accepted that no issuer signed.
pub fn event(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if accepted(&text).is_some() {
        let der = from_pem(&text).unwrap();
        assert!(is_genuine(&der, WORLD.certificates()), "accepted, and no issuer signed it");
    }
    let _ = WORLD.root_only.validate(&text, Some(&text), WORLD.now);
}

/// `issuers.toml`.
///
/// # Panics
/// When it is accepted, and says something that cannot be.
pub fn issuers(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let Ok(profiles) = IssuerProfiles::parse(&text) else { return };
    for profile in &profiles.issuers {
        assert_eq!(profile.certificate_sha256.len(), 64);
        assert!(!profile.family().trim().is_empty());
    }
    let _ = Truststore::new(WORLD.citizens.pem().as_bytes(), profiles);
}

/// The whole decision, with lists that are fresh and name nobody. What a log says of a refusal is made as well.
fn accepted(pem: &str) -> Option<Checked> {
    let world = &*WORLD;
    let sighting = world.truststore.sight(pem);
    let checked = match world.truststore.check(pem, world.now) {
        Ok(checked) => checked,
        Err(refusal) => {
            let _ = refusal.to_string();
            return None;
        }
    };
    assert!(sighting.is_some(), "accepted, and a log could not name it");
    let statuses: Vec<Status> = checked.links().iter().map(|link| fresh(&link.scopes[0])).collect();
    assert!(checked.clone().verify(&statuses, world.now, SignedDuration::ZERO).is_ok());
    assert!(checked.clone().verify(&[], world.now, SignedDuration::ZERO).is_err(), "without a list");
    Some(checked)
}

/// A fresh list without an entry.
fn fresh(scope: &shared::revocation::Scope) -> Status {
    let hour = SignedDuration::from_hours(1);
    let list = Freshness {
        this_update: WORLD.now - hour,
        next_update: WORLD.now + hour,
        covers: Covers::ALL,
        number: Number::from(1),
    };
    let list = ListStatus { scope: *scope, list: Some(list), entry: None };
    Status { lists: vec![list], ..Status::default() }
}

/// Whether it is one of these, byte for byte; or its mirror image, which ECDSA allows everybody to make.
fn is_genuine(der: &[u8], genuine: &[Vec<u8>]) -> bool {
    genuine.iter().any(|known| known == der || mirrored(known).is_some_and(|mirror| mirror == der))
}

/// Holds a certificate that an issuer signed, and that is accepted, against what RFC 5280 and the profiles say, read by
/// another parser than the decision's.
fn assert_allowed(der: &[u8], checked: &Checked) {
    let (rest, parsed) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty(), "something after the certificate");
    let (now, validity) = (WORLD.now.as_second(), parsed.validity());
    assert!(validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp(), "not its time");
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign(), "key usage");
    assert!(parsed.basic_constraints().unwrap().is_none_or(|constraints| !constraints.value.ca), "a CA's");
    let extended = parsed.extended_key_usage().unwrap();
    assert!(extended.is_none_or(|usage| usage.value.client_auth), "extended key usage");
    let mut seen = HashSet::new();
    assert!(
        parsed.extensions().iter().all(|extension| seen.insert(extension.oid.clone())),
        "one extension twice"
    );
    let certificate = checked.certificate();
    let serial = parsed.raw_serial();
    assert!(serial.len() <= 21 && serial[0] < 0x80, "a serial number that is too long, or negative");
    assert_eq!(certificate.serial, serial_hex(serial));
    assert_eq!(checked.links().len(), 1);
    assert_eq!(
        (&checked.links()[0].issuer, &checked.links()[0].serial),
        (&certificate.issuer, &certificate.serial)
    );
    assert!(!checked.links()[0].is_ca);
    let reference = certificate.reference().to_string();
    assert_eq!(reference.parse::<Reference>().unwrap(), certificate.reference());
    match &certificate.holder {
        Holder::Citizen(citizen) => {
            assert!(!citizen.name.is_empty() && !citizen.serial_number.is_empty());
            let four = |tail: &String| tail.len() == 4 && tail.bytes().all(|byte| byte.is_ascii_digit());
            assert!(citizen.id_tail.as_ref().is_none_or(four), "digits of the national ID");
        }
        Holder::Organization { oid } => {
            assert!(oid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "an organization OID");
        }
    }
}

/// What is signed of a signed structure.
fn to_be_signed(der: &[u8]) -> Option<&[u8]> {
    let whole = split(der)?;
    split(whole.content).map(|first| first.element)
}

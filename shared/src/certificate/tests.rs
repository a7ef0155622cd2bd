//! Which certificates are valid and may sign in: tables of certificates made for the purpose.

use proptest::prelude::*;
use rcgen::string::{BmpString, TeletexString};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    SerialNumber, SigningKey as _,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::path::MAX_PEM;
use super::sighting::Issuer as Claimed;
use super::*;
use crate::der::{Reader, object_identifier, tagged};

const START: i64 = 1_767_225_600;

/// The directory attributes of a citizen and of an agency.
const TAIL: &str = "2.16.886.1.100.2.51";
const AGENCY: &str = "2.16.886.1.100.2.102";

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(START + day * 86_400).unwrap()
}

/// A CA of a name that several may have.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::OrganizationName, name);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = ca.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(ca, key))
}

fn oid(dotted: &str) -> Vec<u8> {
    tagged(6, &object_identifier(dotted).unwrap())
}

fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &elements.concat())
}

/// An extension of id-ce.
fn extension(last: u64, content: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, last], content);
    extension.set_criticality(critical);
    extension
}

/// Subject Directory Attributes with one string.
fn directory_attributes(kind: &str, value: &[u8]) -> CustomExtension {
    let attribute = sequence(&[oid(kind), tagged(0x31, &tagged(0x13, value))]);
    extension(9, sequence(&[attribute]), false)
}

fn policies(policies: &[&str]) -> CustomExtension {
    let all: Vec<_> = policies.iter().map(|policy| sequence(&[oid(policy)])).collect();
    extension(32, sequence(&all), true)
}

/// A citizen's card as MOICA makes them, valid from day 0 to day 10.
fn citizen_card() -> CertificateParams {
    let mut card = CertificateParams::default();
    card.distinguished_name = DistinguishedName::new();
    card.distinguished_name.push(DnType::CountryName, "TW");
    card.distinguished_name.push(DnType::CommonName, "王大明");
    card.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "0000000112345678");
    card.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    card.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    card.custom_extensions = vec![directory_attributes(TAIL, b"6789")];
    let day = |day: i64| time::OffsetDateTime::from_unix_timestamp(START + day * 86_400).unwrap();
    (card.not_before, card.not_after) = (day(0), day(10));
    card
}

/// What a verdict is, in a word.
fn name(verdict: &Result<(), Refusal>) -> &'static str {
    match verdict {
        Ok(()) => "accepted",
        Err(Refusal::Missing) => "missing",
        Err(Refusal::Malformed(_)) => "malformed",
        Err(Refusal::Untrusted(_)) => "untrusted",
        Err(Refusal::WeakKey(_)) => "weak key",
        Err(Refusal::Expired { .. }) => "expired",
        Err(Refusal::NotYetValid { .. }) => "not yet valid",
        Err(Refusal::WrongKind(_)) => "wrong kind",
    }
}

fn issue(card: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> String {
    card.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().pem()
}

fn pin(pem: &str, kind: &str, directory_attributes: &str) -> String {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let fingerprint = hex::encode(digest::digest(&digest::SHA256, &der));
    format!(
        "[[issuer]]\ncertificate_sha256 = \"{fingerprint}\"\nname = \"test\"\nkind = \"{kind}\"\n\
         directory_attributes = \"{directory_attributes}\"\n"
    )
}

fn truststore(pem: &str, issuers: &str) -> Truststore {
    Truststore::new(pem.as_bytes(), IssuerProfiles::parse(issuers).unwrap()).unwrap()
}

#[test]
fn which_certificates_may_sign_in() {
    let (citizens_pem, citizens) = authority("內政部憑證管理中心");
    let (agencies_pem, agencies) = authority("政府憑證管理中心");
    let (unpinned_pem, unpinned) = authority("unpinned");
    let (_, namesake) = authority("內政部憑證管理中心");
    let issuers =
        [pin(&citizens_pem, "citizen", "required"), pin(&agencies_pem, "organization", "optional")].concat();
    let truststore = truststore(&[citizens_pem, agencies_pem, unpinned_pem].concat(), &issuers);

    let card = citizen_card;
    let with = |change: fn(&mut CertificateParams)| {
        let mut card = card();
        change(&mut card);
        card
    };
    let agency = || {
        let mut card = card();
        card.custom_extensions = vec![directory_attributes(AGENCY, b"2.16.886.101.90001")];
        card
    };
    let rows = [
        ("a citizen's", issue(&card(), &citizens), 5, "accepted"),
        ("an agency's", issue(&agency(), &agencies), 5, "accepted"),
        ("with CRLF", issue(&card(), &citizens).replace('\n', "\r\n"), 5, "accepted"),
        ("貳、1、(2)1. expired", issue(&card(), &citizens), 11, "expired"),
        ("not yet valid", issue(&card(), &citizens), -1, "not yet valid"),
        ("of another key of the same name", issue(&card(), &namesake), 5, "untrusted"),
        ("of a CA without a pin", issue(&card(), &unpinned), 5, "wrong kind"),
        ("an agency's attributes from the citizens' CA", issue(&agency(), &citizens), 5, "wrong kind"),
        ("without an organization OID", issue(&card(), &agencies), 5, "wrong kind"),
        (
            "for encryption",
            issue(&with(|c| c.key_usages = vec![KeyUsagePurpose::KeyEncipherment]), &citizens),
            5,
            "wrong kind",
        ),
        ("without key usage", issue(&with(|c| c.key_usages.clear()), &citizens), 5, "wrong kind"),
        (
            "for servers",
            issue(&with(|c| c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]), &citizens),
            5,
            "wrong kind",
        ),
        (
            "a CA's",
            issue(&with(|c| c.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), &citizens),
            5,
            "wrong kind",
        ),
        (
            "without the digits where they are required",
            issue(&with(|c| c.custom_extensions.clear()), &citizens),
            5,
            "wrong kind",
        ),
        (
            "three digits",
            issue(&with(|c| c.custom_extensions = vec![directory_attributes(TAIL, b"678")]), &citizens),
            5,
            "wrong kind",
        ),
        (
            "damaged attributes",
            issue(&with(|c| c.custom_extensions = vec![extension(9, vec![0x30, 0x05, 1], false)]), &citizens),
            5,
            "wrong kind",
        ),
        (
            "rubbish",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            5,
            "malformed",
        ),
        ("no PEM", "王大明".to_owned(), 5, "malformed"),
        ("too long", "A".repeat(MAX_PEM + 1), 5, "malformed"),
        ("nothing", String::new(), 5, "missing"),
    ];
    for (what, pem, day, expected) in rows {
        let verdict = truststore.check(&pem, at(day)).map(|_| ());
        let name = name(&verdict);
        assert_eq!(name, expected, "{what}: {verdict:?}");
    }
}

/// A certificate around a key that no card can have, which its CA signed all the same.
#[test]
fn a_key_that_is_none_signs_nobody_in() {
    let (pem, issuer) = authority("內政部憑證管理中心");
    let truststore = truststore(&pem, &pin(&pem, "citizen", "required"));
    let with_key = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        (citizen_card().signed_by(&key, &issuer).unwrap().pem(), key.public_key_raw().to_vec())
    };
    let (p256, point) = with_key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (p384, wide) = with_key(&rcgen::PKCS_ECDSA_P384_SHA384);
    let (rsa, numbers) = with_key(&rcgen::PKCS_RSA_SHA256);
    let changed = |key: &[u8], from: usize, to: &[u8]| {
        let mut key = key.to_vec();
        key[from..from + to.len()].copy_from_slice(to);
        key
    };
    let flipped = |key: &[u8]| changed(key, key.len() - 1, &[key[key.len() - 1] ^ 1]);
    // RSAPublicKey: the modulus, then the exponent 65537, which is its last five octets.
    let exponent = numbers.len() - 5;
    let rows = [
        ("P-256", p256.clone(), "accepted"),
        ("P-384", p384.clone(), "accepted"),
        ("RSA", rsa.clone(), "accepted"),
        ("a point beside P-256", altered(&p256, &point, &flipped(&point), &issuer), "weak key"),
        ("a point beside P-384", altered(&p384, &wide, &flipped(&wide), &issuer), "weak key"),
        ("zeros on P-256", altered(&p256, &point, &changed(&point, 1, &[0; 64]), &issuer), "weak key"),
        ("zeros on P-384", altered(&p384, &wide, &changed(&wide, 1, &[0; 96]), &issuer), "weak key"),
        (
            "an even modulus",
            altered(&rsa, &numbers, &changed(&numbers, exponent - 1, &[numbers[exponent - 1] ^ 1]), &issuer),
            "weak key",
        ),
        (
            "an even exponent",
            altered(&rsa, &numbers, &changed(&numbers, exponent + 4, &[0]), &issuer),
            "weak key",
        ),
        (
            "exponent 1, with zeros before it",
            altered(&rsa, &numbers, &changed(&numbers, exponent + 2, &[0, 0, 1]), &issuer),
            "weak key",
        ),
    ];
    for (what, pem, expected) in rows {
        let verdict = truststore.check(&pem, at(5)).map(|_| ());
        assert_eq!(name(&verdict), expected, "{what}: {verdict:?}");
    }
}

#[test]
fn serials_are_written_without_leading_zeros() {
    for (raw, hex) in [(&[0, 0x0a, 0xff][..], "aff"), (&[0][..], "0"), (&[0x10][..], "10")] {
        assert_eq!(serial_hex(raw), hex);
    }
}

proptest! {
    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        use base64::Engine as _;
        let (pem, _) = authority("x");
        let truststore = truststore(&pem, &pin(&pem, "citizen", "optional"));
        let body = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let text = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        prop_assert!(truststore.check(&text, at(5)).is_err());
        prop_assert!(truststore.check(&String::from_utf8_lossy(&bytes), at(5)).is_err());
    }
}

/// A CA with a key of its own and what `change` makes of it, signed by `above` or by itself.
fn ca(
    above: Option<&Issuer<'_, KeyPair>>,
    name: &str,
    change: impl Fn(&mut CertificateParams),
) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name.push(DnType::OrganizationName, name);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.use_authority_key_identifier_extension = above.is_some();
    change(&mut ca);
    let certificate = match above {
        Some(above) => ca.signed_by(&key, above),
        None => ca.self_signed(&key),
    };
    (certificate.unwrap().pem(), Issuer::new(ca, key))
}

fn day(day: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(START + day * 86_400).unwrap()
}

/// A certificate whose bytes `from` are `to`, both of one length, signed again by its issuer.
fn altered(pem: &str, from: &[u8], to: &[u8], issuer: &Issuer<'_, KeyPair>) -> String {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut fields = Reader::of_sequence(&certificate).unwrap();
    let (mut body, algorithm) = (fields.element().unwrap().raw.to_vec(), fields.element().unwrap().raw);
    let place = body.windows(from.len()).rposition(|window| window == from).unwrap();
    body[place..place + to.len()].copy_from_slice(to);
    let signature = issuer.key().sign(&body).unwrap();
    let signature = tagged(3, &[vec![0], signature].concat());
    armored(&sequence(&[body, algorithm.to_vec(), signature]))
}

fn armored(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[test]
fn paths_are_found_and_decided() {
    let none = |_: &mut CertificateParams| {};
    let (root_pem, root) = ca(None, "Root", none);
    let (one_pem, one) = ca(Some(&root), "One", none);
    let (two_pem, two) = ca(Some(&one), "Two", none);
    let leaf = issue(&citizen_card(), &two);
    let no_ca = ca(Some(&root), "One", |ca| ca.is_ca = IsCa::ExplicitNoCa);
    let expired = ca(Some(&root), "One", |ca| (ca.not_before, ca.not_after) = (day(-9), day(4)));
    let no_signer = ca(Some(&root), "One", |ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let for_mail =
        ca(Some(&root), "One", |ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection]);
    let no_more = ca(Some(&root), "One", |ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let below_no_more = ca(Some(&no_more.1), "Two", none);
    let namesake = ca(None, "One", none);
    let subtree = |organization: &str| {
        let mut name = DistinguishedName::new();
        name.push(DnType::CountryName, organization);
        NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DirectoryName(name)],
            excluded_subtrees: Vec::new(),
        }
    };
    let taiwan = ca(Some(&root), "One", |ca| ca.name_constraints = Some(subtree("TW")));
    let elsewhere = ca(Some(&root), "One", |ca| ca.name_constraints = Some(subtree("JP")));
    // requireExplicitPolicy 0.
    let explicit = ca(Some(&root), "One", |ca| {
        ca.custom_extensions =
            vec![policies(&["1.2.3"]), extension(36, sequence(&[tagged(0x80, &[0])]), true)];
    });
    let of_policy = |policy: &str, issuer: &Issuer<'_, KeyPair>| {
        let mut card = citizen_card();
        card.custom_extensions.push(policies(&[policy]));
        issue(&card, issuer)
    };
    let from = |made: &(String, Issuer<'static, KeyPair>)| {
        [issue(&citizen_card(), &made.1), made.0.clone()].concat()
    };

    let rubbish = "Bag Attributes: none\n-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let key = KeyPair::generate().unwrap().serialize_pem();
    let anchor = root_pem.as_str();
    let rows: Vec<(&str, String, &str, &str)> = vec![
        ("two CAs below the root", [&*leaf, &two_pem, &one_pem].concat(), anchor, "accepted"),
        ("in another order", [&*leaf, &one_pem, &two_pem].concat(), anchor, "accepted"),
        ("with the root", [&*leaf, &one_pem, &root_pem, &two_pem].concat(), anchor, "accepted"),
        ("rubbish in between", [&*leaf, rubbish, &one_pem, rubbish, &two_pem].concat(), anchor, "accepted"),
        ("a key before and after", [&*key, &leaf, &key, &one_pem, &two_pem].concat(), anchor, "accepted"),
        ("text before", ["王大明\r\n", &leaf, &one_pem, &two_pem].concat(), anchor, "accepted"),
        ("rubbish first", [rubbish, &leaf, &one_pem, &two_pem].concat(), anchor, "malformed"),
        ("a key alone", key.clone(), anchor, "malformed"),
        ("an intermediate is an anchor", leaf.clone(), &two_pem, "accepted"),
        ("one is missing", [&*leaf, &two_pem].concat(), anchor, "untrusted"),
        ("a namesake instead", [&*leaf, &two_pem, &namesake.0].concat(), anchor, "untrusted"),
        ("beside a namesake", [&*leaf, &two_pem, &namesake.0, &one_pem].concat(), anchor, "accepted"),
        ("below no CA", from(&no_ca), anchor, "untrusted"),
        ("below an expired CA", from(&expired), anchor, "untrusted"),
        ("below a CA that signs lists only", from(&no_signer), anchor, "untrusted"),
        ("below a CA for mail", from(&for_mail), anchor, "untrusted"),
        ("below a CA that may have none below it", from(&no_more), anchor, "accepted"),
        ("two below such a CA", [from(&below_no_more), no_more.0.clone()].concat(), anchor, "untrusted"),
        ("in the permitted subtree", from(&taiwan), anchor, "accepted"),
        ("outside the permitted subtree", from(&elsewhere), anchor, "untrusted"),
        ("no explicit policy", from(&explicit), anchor, "untrusted"),
        (
            "the explicit policy",
            [of_policy("1.2.3", &explicit.1), explicit.0.clone()].concat(),
            anchor,
            "accepted",
        ),
        (
            "another policy",
            [of_policy("1.2.4", &explicit.1), explicit.0.clone()].concat(),
            anchor,
            "untrusted",
        ),
        ("an anchor that is no CA", issue(&citizen_card(), &no_ca.1), &no_ca.0, "untrusted"),
        ("an anchor that has expired", issue(&citizen_card(), &expired.1), &expired.0, "untrusted"),
        ("an anchor that signs lists only", issue(&citizen_card(), &no_signer.1), &no_signer.0, "untrusted"),
        ("below an anchor that may have none", from(&below_no_more), &no_more.0, "untrusted"),
        ("outside an anchor's subtree", issue(&citizen_card(), &elsewhere.1), &elsewhere.0, "untrusted"),
        ("an anchor asks for a policy", issue(&citizen_card(), &explicit.1), &explicit.0, "untrusted"),
        ("an anchor itself", root_pem.clone(), anchor, "wrong kind"),
        ("a CA", [&*one_pem].concat(), anchor, "wrong kind"),
    ];
    for (what, pem, anchors, expected) in rows {
        let truststore = truststore(anchors, "");
        let verdict = truststore.validate(&pem, None, at(5)).map(|_| ());
        assert_eq!(name(&verdict), expected, "{what}: {verdict:?}");
        let (first, more) =
            pem.split_at(pem.find("-----END CERTIFICATE").map_or(0, |end| end + 26).min(pem.len()));
        let verdict = truststore.validate(first, Some(more), at(5)).map(|_| ());
        if expected == "accepted" {
            assert_eq!(name(&verdict), expected, "{what}, apart: {verdict:?}");
        }
    }

    let pem = [&*leaf, &one_pem, &two_pem].concat();
    let path = truststore(anchor, "").validate(&pem, None, at(5)).unwrap();
    let is_ca: Vec<_> = path.links().iter().map(|link| link.is_ca).collect();
    assert_eq!(is_ca, [false, true, true]);
    assert_eq!(path.links()[0].issuer, IssuerId::of_key(path.issuer_key()));
    assert_eq!(path.links()[2].issuer, *path.anchor());
    // The shortest path wins.
    let path = truststore(&[anchor, &two_pem].concat(), "").validate(&pem, None, at(5)).unwrap();
    assert_eq!(path.links().len(), 1);
}

#[test]
fn certificates_that_nobody_should_make() {
    let (pem, issuer) = authority("內政部憑證管理中心");
    let truststore = truststore(&pem, &pin(&pem, "citizen", "optional"));
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut card = citizen_card();
        change(&mut card);
        issue(&card, &issuer)
    };
    let serial = |bytes: &[u8]| with(&|c| c.serial_number = Some(SerialNumber::from_slice(bytes)));
    let named = |value: DnValue| {
        with(&|c| {
            c.distinguished_name.remove(DnType::CommonName);
            c.distinguished_name.push(DnType::CommonName, value.clone());
        })
    };
    let plain = |text: &str| DnValue::PrintableString(text.try_into().unwrap());
    let card = with(&|_| {});
    let numbered = serial(&[0x55; 16]);
    let der = CertificateDer::from_pem_slice(card.as_bytes()).unwrap();
    let rows: Vec<(&str, String, &str)> = vec![
        ("as it should be", card.clone(), "accepted"),
        ("20 octets of serial number", serial(&[0x55; 20]), "accepted"),
        ("20 octets, the first bit set", serial(&[0xff; 20]), "accepted"),
        ("30 octets", serial(&[0x55; 30]), "malformed"),
        ("serial number 0", serial(&[0]), "malformed"),
        ("a negative serial number", altered(&numbered, &[0x55; 16], &[0xd5; 16], &issuer), "malformed"),
        (
            "an extension twice",
            with(&|c| c.custom_extensions.push(c.custom_extensions[0].clone())),
            "malformed",
        ),
        (
            "an unknown critical one",
            with(&|c| c.custom_extensions.push(extension(99, vec![5, 0], true))),
            "malformed",
        ),
        ("an unknown one", with(&|c| c.custom_extensions.push(extension(99, vec![5, 0], false))), "accepted"),
        (
            "name constraints",
            with(&|c| c.custom_extensions.push(extension(30, vec![0x30, 0], true))),
            "malformed",
        ),
        (
            "policies twice the same",
            with(&|c| c.custom_extensions.push(policies(&["1.2.3", "1.2.3"]))),
            "malformed",
        ),
        ("no policies", with(&|c| c.custom_extensions.push(policies(&[]))), "malformed"),
        (
            "for any purpose",
            with(&|c| c.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
            "wrong kind",
        ),
        ("something after it", armored(&[der.to_vec(), vec![0]].concat()), "malformed"),
        ("its last byte missing", armored(&der[..der.len() - 1]), "malformed"),
        ("a length in too many bytes", armored(&[&[0x30, 0x83, 0][..], &der[2..]].concat()), "malformed"),
        ("a name in PrintableString", named(plain("WANG")), "accepted"),
        ("in BMPString", named(DnValue::BmpString(BmpString::try_from("王大明").unwrap())), "accepted"),
        (
            "in TeletexString",
            named(DnValue::TeletexString(TeletexString::try_from("WANG").unwrap())),
            "accepted",
        ),
        (
            "Big5 in UTF8String",
            altered(&named("WXYZ".into()), b"WXYZ", &[0xa4, 0xfd, 0xa4, 0x6a], &issuer),
            "wrong kind",
        ),
        (
            "Big5 in PrintableString",
            altered(&named(plain("WXYZ")), b"WXYZ", &[0xa4, 0xfd, 0xa4, 0x6a], &issuer),
            "wrong kind",
        ),
        (
            "half a character",
            altered(&named("WXYZ".into()), b"WXYZ", &[b'W', b'X', b'Y', 0xe7], &issuer),
            "wrong kind",
        ),
    ];
    for (what, pem, expected) in rows {
        let verdict = truststore.check(&pem, at(5)).map(|_| ());
        assert_eq!(name(&verdict), expected, "{what}: {verdict:?}");
        if !what.contains("missing") && !what.contains("length") {
            let sighting = truststore.sight(&pem).unwrap();
            assert!(!sighting.serial.is_empty() && sight(&pem).is_some(), "{what}");
        }
    }
}

#[test]
fn an_issuers_name_may_be_damaged() {
    let (pem, damaged) = ca(None, "WXYZ", |_| {});
    let anchor = altered(&pem, b"WXYZ", &[0xa4, 0xfd, 0xa4, 0x6a], &damaged);
    let card = altered(&issue(&citizen_card(), &damaged), b"WXYZ", &[0xa4, 0xfd, 0xa4, 0x6a], &damaged);
    let truststore = truststore(&anchor, "");
    let verdict = truststore.validate(&card, None, at(5)).map(|_| ());
    // The subject of a self-signed certificate comes after its issuer: only the one is damaged.
    assert_eq!(name(&verdict), "accepted", "{verdict:?}");
}

#[test]
fn generations_of_one_name_are_told_apart_by_key() {
    let generation = || ca(None, "內政部憑證管理中心", |_| {});
    let (older, newer, unknown) = (generation(), generation(), generation());
    let issuers = [pin(&older.0, "citizen", "optional"), pin(&newer.0, "citizen", "optional")].concat();
    let truststore = truststore(&[&*older.0, &newer.0].concat(), &issuers);
    let mut card = citizen_card();
    card.use_authority_key_identifier_extension = true;
    for (issuer, authority) in [(&older, 0), (&newer, 1)] {
        let pem = issue(&card, &issuer.1);
        let id = truststore.authorities()[authority].id();
        assert_eq!(truststore.check(&pem, at(5)).unwrap().certificate().issuer, *id);
        assert_eq!(truststore.sight(&pem).unwrap().issuer, Claimed::Known(id.clone()));
    }
    assert!(truststore.check(&issue(&card, &unknown.1), at(5)).is_err());
    // An identifier that lies is no obstacle, and no proof.
    card.use_authority_key_identifier_extension = false;
    let newer_key = CertificateDer::from_pem_slice(newer.0.as_bytes()).unwrap();
    let identifier = parsed::Parsed::untrusted(&newer_key).unwrap().extensions.subject_key.unwrap();
    card.custom_extensions.push(extension(35, sequence(&[tagged(0x80, &identifier)]), false));
    let pem = issue(&card, &older.1);
    assert_eq!(
        truststore.check(&pem, at(5)).unwrap().certificate().issuer,
        *truststore.authorities()[0].id()
    );
    assert!(truststore.check(&issue(&card, &unknown.1), at(5)).is_err());
}

#[test]
fn accepted_policies_of_a_profile() {
    let (pem, issuer) = authority("內政部憑證管理中心");
    let level_3 = format!("{}policies = [\"2.16.886.1.100.0.3\"]\n", pin(&pem, "citizen", "optional"));
    let truststore = truststore(&pem, &level_3);
    let rows: [(&str, &[&str], &str); 5] = [
        ("the accepted one", &["2.16.886.1.100.0.3"], "accepted"),
        ("among others", &["1.2.3", "2.16.886.1.100.0.3"], "accepted"),
        ("another", &["2.16.886.1.100.0.0"], "wrong kind"),
        ("any", &["2.5.29.32.0"], "accepted"),
        ("none", &[], "wrong kind"),
    ];
    for (what, given, expected) in rows {
        let mut card = citizen_card();
        if !given.is_empty() {
            card.custom_extensions.push(policies(given));
        }
        let verdict = truststore.check(&issue(&card, &issuer), at(5)).map(|_| ());
        assert_eq!(name(&verdict), expected, "{what}: {verdict:?}");
    }
}

#[test]
fn nobody_makes_it_work_for_long() {
    // Sixty CAs of one name, each signed by the next: no path, and many ways to look for one.
    let mut above = ca(None, "Maze", |_| {});
    let mut pem = String::new();
    for _ in 0..60 {
        let next = ca(Some(&above.1), "Maze", |ca| ca.use_authority_key_identifier_extension = false);
        pem = [&*next.0, &pem].concat();
        above = next;
    }
    let (anchor, _) = ca(None, "Maze", |_| {});
    let given = [&*issue(&citizen_card(), &above.1), &pem].concat();
    let verdict = truststore(&anchor, "").validate(&given, None, at(5)).map(|_| ());
    assert_eq!(name(&verdict), "untrusted", "{verdict:?}");
}

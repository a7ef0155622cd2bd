//! Nothing that a stranger changes is accepted: not one bit of a certificate, of a CA's certificate on its path, of a
//! list, or of an OCSP response, unless an issuer signs again.
//!
//! What counts is the decoded DER: base64 may be laid out in many ways, and says the same. And ECDSA has two good
//! signatures for one, (r, s) and (r, n - s), of which everybody can make the other: the certificate around it says the same,
//! so it is accepted as the same certificate, by issuer and serial number, and is revoked with it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use fuzz::world::{CITIZEN, WORLD, seeds, to_pem};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use shared::ocsp::Issuer;
use shared::revocation::{Ca, List};
use workbench::authority::mirrored;
use workbench::damage::{Chance, Element, damage};

/// How many inputs with several changes at once.
const SEVERAL: u64 = 3_000;

fn seed(target: &str, name: &str) -> Vec<u8> {
    seeds(target)[name].clone()
}

/// Holds every alteration of `der` against a decision, which accepts `der` itself.
fn assert_unalterable(what: &str, der: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(der), "{what}: itself");
    let mirror = mirrored(der);
    let refused = |altered: &[u8], how: &dyn Fn() -> String| {
        if altered != der && Some(altered) != mirror.as_deref() {
            assert!(!accepts(altered), "{what}: accepted with {}", how());
        }
    };
    let mut altered = der.to_vec();
    for at in 0..der.len() {
        for bit in 0..8 {
            altered[at] ^= 1 << bit;
            refused(&altered, &|| format!("bit {bit} of byte {at} flipped"));
            altered[at] = der[at];
        }
    }
    for at in 0..der.len() {
        refused(&[&der[..at], &der[at + 1..]].concat(), &|| format!("byte {at} deleted"));
        refused(&der[..at], &|| format!("everything from byte {at} on deleted"));
        for byte in [0, 0x30, 0xff] {
            refused(&[&der[..at], &[byte], &der[at..]].concat(), &|| format!("{byte:#x} before byte {at}"));
        }
    }
    for byte in 0..=0xff {
        refused(&[der, &[byte]].concat(), &|| format!("{byte:#x} after it"));
    }
    // The same value, said in BER.
    let others = Element::parse(der).unwrap().other_encodings();
    for (number, other) in others.iter().enumerate() {
        refused(other, &|| format!("encoding {number}"));
    }
    for number in 0..SEVERAL {
        let input = damage(der, None, &mut Chance::new(number));
        refused(&input, &|| format!("damage {number}"));
    }
}

#[test]
fn a_certificate() {
    for name in ["accepted-citizen.der", "accepted-organization.der"] {
        assert_unalterable(name, &seed("certificate", name), |der| {
            WORLD.truststore.check(&to_pem(der), WORLD.now).is_ok()
        });
    }
}

#[test]
fn a_certificate_below_an_intermediate_ca() {
    let leaf = seed("certificate", "accepted-citizen.der");
    assert_unalterable("the leaf", &leaf, |der| {
        WORLD.root_only.validate(&to_pem(der), Some(WORLD.citizens.pem()), WORLD.now).is_ok()
    });
    let leaf = to_pem(&leaf);
    assert_unalterable("the intermediate CA", WORLD.citizens.certificate(), |der| {
        WORLD.root_only.validate(&leaf, Some(&to_pem(der)), WORLD.now).is_ok()
    });
}

#[test]
fn a_list() {
    let issuer = Ca::of(WORLD.citizens.certificate()).unwrap();
    assert_unalterable("the list", &seed("list", "believed-full.der"), |der| {
        List::read(der, &issuer, &issuer, WORLD.now).is_ok()
    });
}

#[test]
fn an_ocsp_response() {
    let issuer = Issuer::of(WORLD.citizens.certificate()).unwrap();
    let question = issuer.question(CITIZEN, None).unwrap();
    assert_unalterable("the response", &seed("ocsp", "believed-good.der"), |der| {
        question.read(&issuer, der, WORLD.now).is_ok()
    });
}

#[test]
fn the_other_signature_of_ecdsa_is_the_same_certificate() {
    let der = seed("certificate", "accepted-citizen.der");
    let mirror = mirrored(&der).unwrap();
    assert_ne!(mirror, der);
    assert_eq!(mirrored(&mirror).unwrap(), der);
    let [one, other] = [der, mirror].map(|der| WORLD.truststore.check(&to_pem(&der), WORLD.now).unwrap());
    assert_eq!(one.certificate().reference(), other.certificate().reference());
    assert_eq!(one.links(), other.links());
}

#[test]
fn what_counts_is_the_der_not_how_it_is_written() {
    let der = seed("certificate", "accepted-citizen.der");
    let pem = to_pem(&der);
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let around = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    let rows = [
        ("CRLF", pem.replace('\n', "\r\n")),
        ("one long line", around(&body)),
        (
            "short lines",
            around(
                &body
                    .as_bytes()
                    .chunks(4)
                    .map(|four| String::from_utf8_lossy(four) + "\n")
                    .collect::<String>(),
            ),
        ),
        ("text before and after", format!("subject=王大明\n{pem}\nsomething\n")),
        ("no newline at the end", pem.trim_end().to_owned()),
        ("a certificate after it", pem.clone() + WORLD.citizens.pem()),
        ("the same after it", pem.repeat(2)),
    ];
    let reference = |pem: &str| WORLD.truststore.check(pem, WORLD.now).unwrap().certificate().reference();
    for (what, text) in rows {
        assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).unwrap().as_ref(), der, "{what}");
        assert_eq!(reference(&text), reference(&pem), "{what}");
    }
}

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256,
    SignatureAlgorithm, SigningKey as _,
};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::certificate::serial_hex;
use crate::der::tagged;
use crate::revocation::{Covers, Freshness, Link, ListStatus, Number, RevokedCertificate, Scope, Status};

const START: i64 = 1_767_225_600;
const SERIAL: &[u8] = &[0x00, 0xd1, 0x02, 0x03];

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(START + minutes * 60).unwrap()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

fn time(moment: Timestamp) -> Vec<u8> {
    tagged(0x18, moment.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

/// A CA of a name that several may have.
struct Ca {
    der: CertificateDer<'static>,
    params: CertificateParams,
    key: KeyPair,
}

fn ca(algorithm: &'static SignatureAlgorithm) -> Ca {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationalUnitName, "內政部憑證管理中心");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ca { der: params.self_signed(&key).unwrap().der().clone(), params, key }
}

impl Ca {
    fn issuer(&self) -> Issuer {
        Issuer::of(&self.der).unwrap()
    }

    fn signs(&self) -> Signer {
        let key = KeyPair::try_from(self.key.serialize_der()).unwrap();
        Signer { der: self.der.clone(), key }
    }

    /// A delegated responder, valid for an hour before and after the start.
    fn delegates(&self, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        self.delegates_key(KeyPair::generate().unwrap(), change)
    }

    fn delegates_key(&self, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Signer {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "responder");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.custom_extensions = vec![no_check()];
        let moment = |minutes: i64| time::OffsetDateTime::from_unix_timestamp(START + minutes * 60).unwrap();
        (params.not_before, params.not_after) = (moment(-60), moment(60));
        change(&mut params);
        let issuer = rcgen::Issuer::from_params(&self.params, &self.key);
        Signer { der: params.signed_by(&key, &issuer).unwrap().der().clone(), key }
    }
}

fn no_check() -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0])
}

struct Signer {
    der: CertificateDer<'static>,
    key: KeyPair,
}

/// What a responder answers.
struct Reply {
    status: u8,
    kind: &'static [u64],
    by_key: bool,
    version: Vec<u8>,
    certificate: Vec<u8>,
    verdict: Vec<u8>,
    produced: Timestamp,
    from: Timestamp,
    until: Option<Timestamp>,
    extensions: Vec<Vec<u8>>,
    more: Vec<u8>,
    signer: Signer,
    with_certificate: bool,
    algorithm: Vec<u8>,
    signature: fn(Vec<u8>) -> Vec<u8>,
    /// A byte of what is signed, and what is changed in it before that.
    slip: Option<(usize, u8)>,
}

fn oid(arcs: &[u64]) -> Vec<u8> {
    use x509_parser::asn1_rs::{Oid, ToDer as _};
    Oid::from(arcs).unwrap().to_der_vec().unwrap()
}

/// The `CertID` of an issuer's certificate, made independently of what is tested.
fn certificate_id(issuer: &Issuer, serial: &[u8]) -> Vec<u8> {
    let sha1 = sequence(&[tagged(6, &[0x2b, 0x0e, 0x03, 0x02, 0x1a]), vec![5, 0]]);
    sequence(&[sha1, tagged(4, &issuer.name_hash), tagged(4, &issuer.key_hash), tagged(2, serial)])
}

fn nonce(value: &[u8]) -> Vec<u8> {
    sequence(&[oid(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 2]), tagged(4, value)])
}

const SHA256_WITH_ECDSA: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];
const GOOD: &[u8] = &[0x80, 0];

impl Reply {
    fn good(ca: &Ca, signer: Signer, question: &Question) -> Self {
        let nonces = question.nonce.iter().map(|sent| nonce(&request::nonce_value(sent).unwrap()));
        Self {
            status: 0,
            kind: &[1, 3, 6, 1, 5, 5, 7, 48, 1, 1],
            by_key: false,
            version: Vec::new(),
            certificate: certificate_id(&ca.issuer(), SERIAL),
            verdict: GOOD.to_vec(),
            produced: at(0),
            from: at(0),
            until: Some(at(30)),
            extensions: nonces.collect(),
            more: Vec::new(),
            signer,
            with_certificate: true,
            algorithm: sequence(&[oid(SHA256_WITH_ECDSA)]),
            signature: |signature| signature,
            slip: None,
        }
    }

    fn der(&self) -> Vec<u8> {
        if self.status != 0 {
            return sequence(&[tagged(0x0a, &[self.status])]);
        }
        let (_, signer) = x509_parser::parse_x509_certificate(&self.signer.der).unwrap();
        let id = if self.by_key {
            tagged(0xa2, &tagged(4, &request::sha1(&signer.public_key().subject_public_key.data)))
        } else {
            tagged(0xa1, signer.subject().as_raw())
        };
        let until = self.until.map_or_else(Vec::new, |until| tagged(0xa0, &time(until)));
        let single = sequence(&[self.certificate.clone(), self.verdict.clone(), time(self.from), until]);
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            some => tagged(0xa1, &sequence(some)),
        };
        let singles = sequence(&[single, self.more.clone()]);
        let mut signed = sequence(&[self.version.clone(), id, time(self.produced), singles, extensions]);
        if let Some((at_byte, flip)) = self.slip {
            let byte = at_byte % signed.len();
            signed[byte] ^= flip;
        }
        let signature = (self.signature)(self.signer.key.sign(&signed).unwrap());
        let certificates = match self.with_certificate {
            true => tagged(0xa0, &sequence(&[self.signer.der.to_vec()])),
            false => Vec::new(),
        };
        let bits = tagged(3, &[&[0], signature.as_slice()].concat());
        let basic = sequence(&[signed, self.algorithm.clone(), bits, certificates]);
        let bytes = sequence(&[oid(self.kind), tagged(4, &basic)]);
        sequence(&[tagged(0x0a, &[0]), tagged(0xa0, &bytes)])
    }
}

fn question(ca: &Ca, with_nonce: bool) -> Question {
    let nonce = with_nonce.then(|| Nonce::random(&mut StdRng::seed_from_u64(1)));
    ca.issuer().question(&serial_hex(SERIAL), nonce).unwrap()
}

fn outcome(read: &Result<Response, ResponseError>) -> &'static str {
    match read {
        Ok(response) if response.delegate().is_some() => "a delegate to look up",
        Ok(response) => {
            let answer = response.clone().believed(&Status::default(), at(0), SignedDuration::ZERO);
            answer.unwrap().verdict.name()
        }
        Err(ResponseError::TooLong) => "too long",
        Err(ResponseError::Malformed(_)) => "malformed",
        Err(ResponseError::Unsuccessful(_)) => "unsuccessful",
        Err(ResponseError::NotAuthorized(_)) => "not authorized",
        Err(ResponseError::OtherCertificate) => "another certificate",
        Err(ResponseError::OtherNonce) => "another nonce",
        Err(ResponseError::NotRecent { .. }) => "not recent",
        Err(ResponseError::NotYet { .. }) => "not yet",
        Err(ResponseError::Stale { .. }) => "stale",
        Err(ResponseError::Delegate(_)) => "delegate",
    }
}

#[test]
fn what_an_answer_is_worth() {
    let ca = ca(&PKCS_ECDSA_P256_SHA256);
    let revoked = |reason: &[u8]| tagged(0xa1, &[time(at(-99)), reason.to_vec()].concat());
    let critical = |value: u8| sequence(&[oid(&[1, 2, 3]), tagged(1, &[value]), tagged(4, b"?")]);
    type Change<'a> = Box<dyn Fn(&mut Reply) + 'a>;
    let other = certificate_id(&ca.issuer(), &[7]);
    let of_sha256 = {
        let algorithm = sequence(&[oid(&[2, 16, 840, 1, 101, 3, 4, 2, 1])]);
        let issuer = ca.issuer();
        sequence(&[algorithm, tagged(4, &issuer.name_hash), tagged(4, &issuer.key_hash), tagged(2, SERIAL)])
    };
    let another_issuer = {
        let issuer = Issuer { key_hash: vec![0; 20], ..ca.issuer() };
        certificate_id(&issuer, SERIAL)
    };
    let another_name = {
        let issuer = Issuer { name_hash: vec![0; 20], ..ca.issuer() };
        certificate_id(&issuer, SERIAL)
    };
    let single = |id: &[u8]| sequence(&[id.to_vec(), GOOD.to_vec(), time(at(0))]);
    let (about_another, again) = (single(&other), single(&certificate_id(&ca.issuer(), SERIAL)));
    let row = |what, change: Change<'static>, expected| (what, change, expected);
    let verdict = |bytes: Vec<u8>| -> Change<'static> { Box::new(move |r| r.verdict = bytes.clone()) };
    let about = |id: Vec<u8>| -> Change<'static> { Box::new(move |r| r.certificate = id.clone()) };
    let more = |bytes: Vec<u8>| -> Change<'static> { Box::new(move |r| r.more = bytes.clone()) };
    let extension =
        |bytes: Vec<u8>| -> Change<'static> { Box::new(move |r| r.extensions.push(bytes.clone())) };
    let rows = [
        row("as it should be", Box::new(|_| {}), "good"),
        row("the responder named by its key", Box::new(|r| r.by_key = true), "good"),
        row("without the issuer's certificate", Box::new(|r| r.with_certificate = false), "good"),
        row("version 1, said", Box::new(|r| r.version = tagged(0xa0, &[2, 1, 0])), "good"),
        row("version 2", Box::new(|r| r.version = tagged(0xa0, &[2, 1, 1])), "malformed"),
        // RFC 6960 section 2.2, 4.2.1: the verdict.
        row("revoked", verdict(revoked(&[])), "revoked"),
        row("revoked for a reason", verdict(revoked(&tagged(0xa0, &[10, 1, 1]))), "revoked"),
        row("revoked for an unknown reason", verdict(revoked(&tagged(0xa0, &[10, 1, 99]))), "revoked"),
        row("revoked for no number", verdict(revoked(&tagged(0xa0, &[10, 2, 1, 1]))), "malformed"),
        row("revoked without a date", verdict(tagged(0xa1, &[])), "malformed"),
        row("unknown", verdict(vec![0x82, 0]), "unknown"),
        row("good, and something", verdict(vec![0x80, 1, 0]), "malformed"),
        row("another status", verdict(vec![0x83, 0]), "malformed"),
        // RFC 6960 section 4.2.1: OCSPResponseStatus.
        row("malformed request", Box::new(|r| r.status = 1), "unsuccessful"),
        row("try later", Box::new(|r| r.status = 3), "unsuccessful"),
        row("unauthorized", Box::new(|r| r.status = 6), "unsuccessful"),
        row("a status that there is not", Box::new(|r| r.status = 4), "unsuccessful"),
        row("another type of response", Box::new(|r| r.kind = &[1, 2, 3]), "malformed"),
        // RFC 6960 section 3.2: which certificate.
        row("another serial number", about(other), "another certificate"),
        row("another issuer's key", about(another_issuer), "another certificate"),
        row("another issuer's name", about(another_name), "another certificate"),
        row("another hash", about(of_sha256), "another certificate"),
        row("another certificate as well", more(about_another), "good"),
        row("the same one again", more(again), "malformed"),
        // RFC 9654, RFC 5019 section 4: the nonce.
        row("another nonce", Box::new(|r| r.extensions = vec![nonce(&[4, 2, 7, 7])]), "another nonce"),
        row("two nonces", extension(nonce(&[4, 1, 7])), "malformed"),
        row("without the nonce, recent", Box::new(|r| r.extensions.clear()), "good"),
        row(
            "without the nonce, an hour old",
            Box::new(|r| {
                r.extensions.clear();
                r.from = at(-60);
            }),
            "good",
        ),
        row(
            "without the nonce, older",
            Box::new(|r| {
                r.extensions.clear();
                r.from = at(-61);
            }),
            "not recent",
        ),
        row("a critical extension", extension(critical(0xff)), "malformed"),
        row("an extension", extension(critical(0)), "good"),
        // RFC 6960 section 4.2.2.1: time.
        row("days old, with the nonce", Box::new(|r| r.from = at(-9999)), "good"),
        row("from a moment ahead", Box::new(|r| r.from = at(5)), "good"),
        row("from the future", Box::new(|r| r.from = at(6)), "not yet"),
        row("made in the future", Box::new(|r| r.produced = at(6)), "not yet"),
        row("over", Box::new(|r| r.until = Some(at(0))), "stale"),
        row("without an end", Box::new(|r| r.until = None), "good"),
        row(
            "without an end, some minutes old",
            Box::new(|r| {
                r.until = None;
                r.from = at(-5);
            }),
            "stale",
        ),
        // RFC 6960 section 4.2.2.3: the signature.
        row(
            "a damaged signature",
            Box::new(|r| {
                r.signature = |mut signature| {
                    signature[20] ^= 1;
                    signature
                };
            }),
            "not authorized",
        ),
        row(
            "SHA-1",
            Box::new(|r| r.algorithm = sequence(&[oid(&[1, 2, 840, 10045, 4, 1])])),
            "not authorized",
        ),
        row(
            "SHA-1 with RSA",
            Box::new(|r| r.algorithm = sequence(&[oid(&[1, 2, 840, 113_549, 1, 1, 5]), vec![5, 0]])),
            "not authorized",
        ),
        row(
            "MD5",
            Box::new(|r| r.algorithm = sequence(&[oid(&[1, 2, 840, 113_549, 1, 1, 4]), vec![5, 0]])),
            "not authorized",
        ),
    ];
    let question = question(&ca, true);
    for (what, change, expected) in rows {
        let mut reply = Reply::good(&ca, ca.signs(), &question);
        change(&mut reply);
        let read = question.read(&ca.issuer(), &reply.der(), at(0));
        assert_eq!(outcome(&read), expected, "{what}: {read:?}");
    }
}

#[test]
fn who_may_answer() {
    let (authority, namesake) = (ca(&PKCS_ECDSA_P256_SHA256), ca(&PKCS_ECDSA_P256_SHA256));
    let question = question(&authority, true);
    let p256 = oid(SHA256_WITH_ECDSA);
    let p384 = oid(&[1, 2, 840, 10045, 4, 3, 3]);
    let p521 = oid(&[1, 2, 840, 10045, 4, 3, 4]);
    let rsa = [oid(&[1, 2, 840, 113_549, 1, 1, 11]), vec![5, 0]].concat();
    let generated = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let purpose = |purposes: &[ExtendedKeyUsagePurpose]| {
        let purposes = purposes.to_vec();
        authority.delegates(move |params| params.extended_key_usages = purposes)
    };
    let usage = |usages: &[KeyUsagePurpose]| {
        let usages = usages.to_vec();
        authority.delegates(move |params| params.key_usages = usages)
    };
    use ExtendedKeyUsagePurpose::{Any, OcspSigning, ServerAuth};
    use KeyUsagePurpose::{ContentCommitment, KeyEncipherment};
    let day = time::Duration::days(1);
    let rows = [
        ("the issuer", authority.signs(), &p256, "good"),
        ("another key of its name", namesake.signs(), &p256, "not authorized"),
        ("its delegate", authority.delegates(|_| {}), &p256, "good"),
        (
            "a delegate that it does not vouch for",
            authority.delegates(|params| params.custom_extensions.clear()),
            &p256,
            "a delegate to look up",
        ),
        ("a namesake's delegate", namesake.delegates(|_| {}), &p256, "not authorized"),
        ("one of its cards", purpose(&[]), &p256, "not authorized"),
        ("a server", purpose(&[ServerAuth]), &p256, "not authorized"),
        ("a certificate for anything", purpose(&[Any]), &p256, "not authorized"),
        ("a server that is a delegate, too", purpose(&[ServerAuth, OcspSigning]), &p256, "good"),
        ("a delegate that may not sign", usage(&[KeyEncipherment]), &p256, "not authorized"),
        ("a delegate that signs for good", usage(&[ContentCommitment]), &p256, "good"),
        ("a delegate without key usage", usage(&[]), &p256, "good"),
        (
            "a CA below it",
            authority.delegates(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            &p256,
            "not authorized",
        ),
        (
            "a delegate of yesterday",
            authority.delegates(|params| params.not_after -= day),
            &p256,
            "not authorized",
        ),
        (
            "a delegate of tomorrow",
            authority.delegates(|params| {
                params.not_after += day;
                params.not_before += day;
            }),
            &p256,
            "not authorized",
        ),
        ("RSA", authority.delegates_key(generated(&PKCS_RSA_SHA256), |_| {}), &rsa, "good"),
        ("P-384", authority.delegates_key(generated(&PKCS_ECDSA_P384_SHA384), |_| {}), &p384, "good"),
        (
            "P-521",
            authority.delegates_key(generated(&PKCS_ECDSA_P521_SHA512), |_| {}),
            &p521,
            "not authorized",
        ),
    ];
    for (what, signer, algorithm, expected) in rows {
        let mut reply = Reply::good(&authority, signer, &question);
        reply.algorithm = tagged(0x30, algorithm);
        for by_key in [false, true] {
            reply.by_key = by_key;
            let read = question.read(&authority.issuer(), &reply.der(), at(0));
            assert_eq!(outcome(&read), expected, "{what}: {read:?}");
        }
        reply.with_certificate = false;
        let read = question.read(&authority.issuer(), &reply.der(), at(0));
        let expected = if what == "the issuer" { expected } else { "not authorized" };
        assert_eq!(outcome(&read), expected, "{what}, certificate left out: {read:?}");
    }
}

#[test]
fn a_question_reads_as_rfc_6960_says() {
    let ca = ca(&PKCS_ECDSA_P256_SHA256);
    let bare = sequence(&[sequence(&[sequence(&[sequence(&[certificate_id(&ca.issuer(), SERIAL)])])])]);
    assert_eq!(question(&ca, false).der(), bare);
    let asked = question(&ca, true);
    let extension = nonce(&request::nonce_value(&asked.nonce.unwrap()).unwrap());
    let list = sequence(&[sequence(&[certificate_id(&ca.issuer(), SERIAL)])]);
    let full = sequence(&[sequence(&[list, tagged(0xa2, &sequence(&[extension]))])]);
    assert_eq!(asked.der(), full);
    let serials = [
        ("0", Some(&[0][..])),
        ("7f", Some(&[0x7f])),
        ("80", Some(&[0, 0x80])),
        ("abc", Some(&[0x0a, 0xbc])),
    ];
    for (serial, content) in serials {
        let question = ca.issuer().question(serial, None);
        assert_eq!(question.as_ref().map(|question| question.serial.as_slice()), content, "{serial}");
    }
    for serial in ["", "xyz", "-1"] {
        assert!(ca.issuer().question(serial, None).is_none(), "{serial}");
    }
}

#[test]
fn a_delegate_that_the_issuer_does_not_vouch_for_is_looked_up() {
    let authority = ca(&PKCS_ECDSA_P256_SHA256);
    let question = question(&authority, true);
    let delegate = authority.delegates(|params| {
        params.custom_extensions.clear();
        params.serial_number = Some(vec![0x0d, 0x01].into());
    });
    let reply = Reply::good(&authority, delegate, &question);
    let response = question.read(&authority.issuer(), &reply.der(), at(0)).unwrap();
    let link = Link {
        issuer: authority.issuer().id().clone(),
        serial: "d01".to_owned(),
        scopes: vec![Scope::Full],
        is_ca: false,
    };
    assert_eq!(response.delegate(), Some(&link));
    let list = |until: i64, entry: Option<RevokedCertificate>| {
        let list = Freshness {
            this_update: at(-90),
            next_update: at(until),
            covers: Covers::ALL,
            number: Number::from(1),
        };
        Status {
            lists: vec![ListStatus { scope: Scope::Full, list: Some(list), entry }],
            ..Status::default()
        }
    };
    let entry =
        RevokedCertificate { serial: link.serial.clone(), since: at(-99), reason: Reason::KeyCompromise };
    let rows = [
        ("on no list", list(5, None), true),
        ("on its list", list(5, Some(entry)), false),
        ("its list is too old", list(-5, None), false),
        ("no list", Status::default(), false),
    ];
    for (what, status, good) in rows {
        let believed = response.clone().believed(&status, at(0), SignedDuration::ZERO);
        assert_eq!(believed.is_ok(), good, "{what}: {believed:?}");
    }
}

#[test]
fn how_long_an_answer_is_good_and_kept() {
    let revoked = Verdict::Revoked { since: at(-99), reason: Reason::Unspecified };
    let day = MAX_KEPT.as_secs() / 60;
    let rows = [
        ("good", Verdict::Good, 30, Some(30)),
        ("revoked", revoked, 30, Some(30)),
        ("good for a year", Verdict::Good, 365 * day, Some(day)),
        ("unknown", Verdict::Unknown, 30, None),
    ];
    for (what, verdict, until, kept) in rows {
        let answer = Answer { verdict, this_update: at(0), until: at(until) };
        assert_eq!(answer.keep_until(at(0)), kept.map(at), "{what}");
    }
    let answer = Answer { verdict: Verdict::Good, this_update: at(0), until: at(30) };
    for (minute, current) in [(-6, false), (-5, true), (0, true), (29, true), (30, false)] {
        assert_eq!(answer.is_current(at(minute)), current, "{minute}");
    }
}

#[test]
fn a_response_longer_than_accepted_is_not_read() {
    let ca = ca(&PKCS_ECDSA_P256_SHA256);
    let question = question(&ca, true);
    let mut reply = Reply::good(&ca, ca.signs(), &question);
    reply.extensions.push(sequence(&[oid(&[1, 2, 3]), tagged(4, &vec![0; MAX_RESPONSE])]));
    let read = question.read(&ca.issuer(), &reply.der(), at(0));
    assert_eq!(outcome(&read), "too long");
}

proptest! {
    #[test]
    fn rubbish_is_no_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let ca = ca(&PKCS_ECDSA_P256_SHA256);
        prop_assert!(question(&ca, true).read(&ca.issuer(), &bytes, at(0)).is_err());
    }
}

/// What is wrong under a right signature must not hurt either.
#[test]
fn a_responder_that_signs_rubbish_does_no_harm() {
    let ca = ca(&PKCS_ECDSA_P256_SHA256);
    let question = question(&ca, true);
    let mut reply = Reply::good(&ca, ca.signs(), &question);
    reply.verdict = tagged(0xa1, &[time(at(-99)), tagged(0xa0, &[10, 1, 1])].concat());
    for at_byte in 0..400 {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            reply.slip = Some((at_byte, flip));
            let read = question.read(&ca.issuer(), &reply.der(), at(0));
            assert_ne!(outcome(&read), "good", "byte {at_byte}");
        }
    }
}

/// Whatever is changed in an answer, and wherever it is cut off: nothing panics, and it says what it said or nothing.
#[test]
fn a_damaged_answer_says_nothing_else() {
    let ca = ca(&PKCS_ECDSA_P256_SHA256);
    let question = question(&ca, true);
    let der = Reply::good(&ca, ca.delegates(|_| {}), &question).der();
    let sound = question.read(&ca.issuer(), &der, at(0)).unwrap();
    for at_byte in 0..der.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = der.clone();
            damaged[at_byte] ^= flip;
            if let Ok(read) = question.read(&ca.issuer(), &damaged, at(0)) {
                assert_eq!(read, sound, "byte {at_byte}");
            }
        }
        assert!(question.read(&ca.issuer(), &der[..at_byte], at(0)).is_err(), "cut off at {at_byte}");
    }
    assert!(question.read(&ca.issuer(), &[der.as_slice(), &[0]].concat(), at(0)).is_err(), "a byte more");
}

/// The decision is [`crate::revocation`]'s; that a responder can only make it stricter is this module's promise.
#[test]
fn the_stricter_wins() {
    use crate::revocation::{Refusal, Responder};
    let link = Link {
        issuer: ca(&PKCS_ECDSA_P256_SHA256).issuer().id().clone(),
        serial: "1f".to_owned(),
        scopes: vec![Scope::Full],
        is_ca: false,
    };
    let list = |next_update: Timestamp, listed: bool| {
        let entry =
            RevokedCertificate { serial: link.serial.clone(), since: at(-60), reason: Reason::Superseded };
        let list =
            Freshness { this_update: at(-120), next_update, covers: Covers::ALL, number: Number::from(1) };
        vec![ListStatus { scope: Scope::Full, list: Some(list), entry: listed.then_some(entry) }]
    };
    let revoked = Verdict::Revoked { since: at(-99), reason: Reason::KeyCompromise };
    let responders = [
        Responder::NotAsked,
        Responder::Silent { required: false },
        Responder::Silent { required: true },
        Verdict::Good.into(),
        revoked.into(),
        Verdict::Unknown.into(),
    ];
    let rows = [
        ("a fresh list", list(at(60), false), ["good", "good", "silent", "good", "revoked", "unknown"]),
        ("an entry", list(at(60), true), ["revoked"; 6]),
        ("an entry on a stale list", list(at(-60), true), ["revoked"; 6]),
        ("a stale list", list(at(-60), false), ["stale", "stale", "silent", "stale", "revoked", "unknown"]),
        ("no list", vec![], ["no list", "no list", "silent", "no list", "revoked", "unknown"]),
    ];
    for (what, lists, expected) in rows {
        for (responder, expected) in responders.into_iter().zip(expected) {
            let status = Status { lists: lists.clone(), responder };
            let verdict = link.not_revoked(&status, at(0), SignedDuration::ZERO);
            let name = match &verdict {
                Ok(()) => "good",
                Err(Refusal::Revoked { .. }) => "revoked",
                Err(Refusal::NoList(_)) => "no list",
                Err(Refusal::Stale { .. }) => "stale",
                Err(Refusal::Unknown(_)) => "unknown",
                Err(Refusal::Silent(_)) => "silent",
            };
            assert_eq!(name, expected, "{what}, {responder:?}");
        }
    }
}

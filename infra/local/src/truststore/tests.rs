use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, SignatureAlgorithm, date_time_ymd,
};

use super::*;

const NOW: &str = "2026-08-03T00:00:00Z";

/// A CA with its key.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

impl Made {
    fn root(params: CertificateParams) -> Self {
        Self::root_with(params, &PKCS_ECDSA_P256_SHA256)
    }

    fn root_with(params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    fn below(&self, params: CertificateParams) -> Self {
        let key = p256();
        let der = self.signs(&params, &key);
        Self { params, key, der }
    }

    fn signs(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec()
    }

    fn source(&self, name: &str) -> Source {
        Source { name: name.to_owned(), bytes: pem(&self.der).into_bytes() }
    }
}

fn examined(sources: &[Source]) -> Examination {
    Examination::of(sources, NOW.parse().unwrap(), SignedDuration::from_hours(24 * 90))
}

fn flaws(sources: &[Source]) -> Vec<String> {
    examined(sources).problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_bundle_has_roots_first_in_an_order_that_the_files_do_not_change() {
    let one = Made::root_with(params("Root B"), &PKCS_RSA_SHA256);
    let other = Made::root_with(params("Root A"), &PKCS_ECDSA_P384_SHA384);
    let middle = one.below(params("Middle"));
    // All generations of MOICA have one name.
    let (former, later) = (middle.below(params("Issuing")), middle.below(params("Issuing")));
    let mut chain = former.source("chain.pem");
    chain.bytes.extend(b"\r\n");
    chain.bytes.extend(middle.source("").bytes);
    let der = Source { name: "root-a.cer".to_owned(), bytes: other.der.clone() };
    let mut sources = vec![chain, later.source("later.pem"), der, one.source("root-b.crt")];
    let result = examined(&sources);
    assert_eq!((result.problems.as_slice(), result.warnings.as_slice()), (&[][..], &[][..]));
    let shown: Vec<_> = result
        .authorities
        .iter()
        .map(|ca| (ca.name.as_str(), ca.role, ca.is_issuing, ca.key.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("CN=Root A", Role::Root, true, "P-384"),
            ("CN=Root B", Role::Root, false, "RSA 2048"),
            ("CN=Middle", Role::Intermediate, false, "P-256"),
            ("CN=Issuing", Role::Intermediate, true, "P-256"),
            ("CN=Issuing", Role::Intermediate, true, "P-256"),
        ]
    );
    let middle = result.authorities.get(2).unwrap();
    assert_eq!(middle.place, "chain.pem, certificate 2");
    let bundle = result.bundle().unwrap();
    sources.reverse();
    assert_eq!(examined(&sources).bundle().unwrap(), bundle);
    let read: Vec<_> =
        rustls::pki_types::CertificateDer::pem_slice_iter(bundle.as_bytes()).map(Result::unwrap).collect();
    assert_eq!(read.len(), 5);
    assert_eq!(read[0].as_ref(), other.der);
}

#[test]
fn every_flaw_of_a_certificate_is_told() {
    let root = Made::root(params("Root"));
    let rsa = Made::root_with(params("Root"), &PKCS_RSA_SHA256);
    type Change = fn(&mut CertificateParams);
    let rows: [(Change, &[&str]); 5] = [
        (
            |p| p.is_ca = IsCa::ExplicitNoCa,
            &["x.pem: not a CA's certificate: its basic constraints do not say so"],
        ),
        (|p| p.is_ca = IsCa::NoCa, &["x.pem: not a CA's certificate: its basic constraints do not say so"]),
        (|p| p.key_usages = vec![KeyUsagePurpose::CrlSign], &["x.pem: its key usage lacks keyCertSign"]),
        (
            |p| {
                p.not_after = date_time_ymd(2026, 8, 2);
                p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            },
            &["x.pem: its key usage lacks keyCertSign", "x.pem: it expired on 2026-08-02"],
        ),
        (|p| p.not_before = date_time_ymd(2027, 1, 1), &["x.pem: it is not valid before 2027-01-01"]),
    ];
    for (change, expected) in rows {
        let mut params = params("Below");
        change(&mut params);
        let below = root.below(params);
        assert_eq!(flaws(&[root.source("root.pem"), below.source("x.pem")]), expected);
    }

    let named = "RSA with 2,048 to 8,192 bits, P-256 or P-384 is needed";
    let p521 = Made::root_with(params("Root"), &PKCS_ECDSA_P521_SHA512);
    let ed25519 = Made::root_with(params("Root"), &PKCS_ED25519);
    let signed = "SHA-256 or stronger, with RSA or ECDSA, is needed";
    assert_eq!(
        flaws(&[p521.source("x")]),
        [
            format!("x: its key is P-521; {named}"),
            format!("x: it is signed with ECDSA with SHA-512; {signed}")
        ]
    );
    assert_eq!(
        flaws(&[ed25519.source("x")]),
        [format!("x: its key is Ed25519; {named}"), format!("x: it is signed with Ed25519; {signed}")]
    );

    // The last arc of sha256WithRSAEncryption, 11, becomes that of SHA-1 (5) and MD5 (4).
    let oid = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    for (arc, digest) in [(5, "SHA-1"), (4, "MD5")] {
        let mut der = rsa.der.clone();
        for at in 0..der.len() - oid.len() {
            if der[at..].starts_with(&oid) && der[at + oid.len()] == 11 {
                der[at + oid.len()] = arc;
            }
        }
        let source = Source { name: "x".to_owned(), bytes: der };
        assert_eq!(flaws(&[source]), [format!("x: it is signed with {digest} with RSA; {signed}")]);
    }

    let mut weak = root.below(params("Weak"));
    let modulus = [vec![0, 0xc1], vec![0x55; 127]].concat();
    let key = [&[0x30, 0x81, 0x89, 2, 0x81, 0x81][..], &modulus, &[2, 3, 1, 0, 1]].concat();
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let info = [&[0x30, 0x81, 0x9f][..], &algorithm, &[3, 0x81, 0x8d, 0], &key].concat();
    let info = rcgen::SubjectPublicKeyInfo::from_der(&info).unwrap();
    let issuer = Issuer::from_params(&root.params, &root.key);
    weak.der = weak.params.signed_by(&info, &issuer).unwrap().der().to_vec();
    assert_eq!(flaws(&[root.source("root"), weak.source("x")]), [format!("x: its key is RSA 1024; {named}")]);
}

#[test]
fn what_is_not_a_certificate_is_told() {
    let root = Made::root(params("Root"));
    let named = |text: &str| Source { name: "x.pem".to_owned(), bytes: text.as_bytes().to_vec() };
    let section = |label: &str| named(&format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n"));
    let with_key = Source {
        name: "x.pem".into(),
        bytes: [pem(&root.der), "\n".into(), root.key.serialize_pem()].concat().into(),
    };
    let joined = named(&pem(&root.der).repeat(2));
    let trailing = Source { name: "x.pem".into(), bytes: [&root.der[..], &[0]].concat() };
    let rows = [
        (vec![], "the bundle: there is no certificate in it"),
        (vec![section("TRUSTED CERTIFICATE")], "x.pem: a part of it cannot be read"),
        (vec![section("X509 CRL")], "x.pem: there is a revocation list in it, which does not belong here"),
        (vec![section("PUBLIC KEY")], "x.pem: there is a bare public key in it, which does not belong here"),
        (vec![joined], "x.pem: a part of it cannot be read"),
        (vec![with_key], "x.pem: there is a private key in it; a truststore is public"),
        (vec![section("CERTIFICATE")], "x.pem: not a certificate: "),
        (vec![named("")], "x.pem: not a certificate: "),
        (vec![named("hello \u{1b}[2J")], "x.pem: not a certificate: "),
        (
            vec![named("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")],
            "x.pem: not a certificate: ",
        ),
        (vec![named("-----BEGIN CERTIFICATE-----\nMAA=\n")], "x.pem: not a certificate: "),
        (vec![trailing], "x.pem: not a certificate: something follows the certificate"),
    ];
    for (sources, expected) in rows {
        let told = flaws(&sources);
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected}: {told:?}");
        assert_eq!(examined(&sources).bundle(), None);
        assert!(!told.concat().chars().any(char::is_control));
    }
}

#[test]
fn chains_are_complete_and_short_enough() {
    let root = Made::root(params("Root"));
    let second = root.below(params("2"));
    let third = second.below(params("3"));
    let fourth = third.below(params("4"));
    let fifth = fourth.below(params("5"));
    let all = [("1", &root), ("2", &second), ("3", &third), ("4", &fourth), ("5", &fifth)];
    let sources = |some: &[&str]| -> Vec<_> {
        all.iter().filter(|(name, _)| some.contains(name)).map(|(name, made)| made.source(name)).collect()
    };
    let impostor = Made::root(params("2"));
    let mut one_below = params("Narrow");
    one_below.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let narrow = Made::root(one_below);
    let allowed = narrow.below(params("Allowed"));
    let forbidden = allowed.below(params("Forbidden"));
    // Two that signed each other, and nobody above them.
    let (left, right) = (Made::root(params("Left")), Made::root(params("Right")));
    let crossed = |by: &Made, of: &Made, name: &str| Source {
        name: name.to_owned(),
        bytes: by.signs(&of.params, &of.key),
    };
    let rows: [(&str, Vec<Source>, &[&str]); 8] = [
        ("four", sources(&["1", "2", "3", "4"]), &[]),
        (
            "five",
            sources(&["1", "2", "3", "4", "5"]),
            &["5: its chain has 5 CAs; API Gateway follows at most four, the root among them"],
        ),
        (
            "no root",
            sources(&["2", "3"]),
            &["2: its issuer is missing: CN=Root", "3: its chain does not end at a root"],
        ),
        ("a gap", sources(&["1", "3"]), &["3: its issuer is missing: CN=2"]),
        (
            "another key of the same name",
            vec![impostor.source("impostor"), third.source("3")],
            &["3: no CA named CN=2 has the key that signed it"],
        ),
        (
            "path length",
            vec![narrow.source("n"), allowed.source("a"), forbidden.source("f")],
            &["f: the path length of a CA above it does not allow it"],
        ),
        (
            "a circle",
            vec![crossed(&left, &right, "right"), crossed(&right, &left, "left")],
            &["right: its chain does not end at a root", "left: its chain does not end at a root"],
        ),
        (
            "the same twice",
            [sources(&["1"]), vec![root.source("again")]].concat(),
            &["again: the same certificate as in 1"],
        ),
    ];
    for (what, sources, expected) in rows {
        assert_eq!(flaws(&sources), expected, "{what}");
    }
    // With one of them certified by itself, the circle has a root.
    let with_root = [crossed(&left, &right, "right"), crossed(&right, &left, "left"), left.source("root")];
    assert_eq!(flaws(&with_root), [""; 0]);
    let mut broken = root.der.clone();
    *broken.last_mut().unwrap() ^= 1;
    let broken = Source { name: "x".into(), bytes: broken };
    assert_eq!(flaws(&[broken]), ["x: no CA named CN=Root has the key that signed it"]);
}

#[test]
fn api_gateways_limits_hold() {
    let root = Made::root(params("Root"));
    let many = Source { name: "many".into(), bytes: format!("{}\n", pem(&root.der)).repeat(1_001).into() };
    let told = flaws(&[many]);
    assert_eq!(told, ["the bundle: 1001 certificates; API Gateway takes at most 1,000"]);
    let key = p256();
    let large: Vec<_> = (0..14)
        .map(|number| {
            let mut params = params(&format!("{number}"));
            let filling = rcgen::CustomExtension::from_oid_content(&[1, 2, 3], vec![5; 60_000]);
            params.custom_extensions.push(filling);
            Source { name: format!("{number}"), bytes: root.signs(&params, &key) }
        })
        .collect();
    let told = flaws(&[vec![root.source("root")], large].concat());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].ends_with(" bytes; API Gateway takes at most 1,048,576"), "{told:?}");
}

#[test]
fn the_names_of_the_cas_fit_into_a_request_for_a_certificate() {
    // The name of each takes 125 bytes.
    let key = p256();
    let cas: Vec<_> = (0..590)
        .map(|number| {
            let mut params = params("");
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "x".repeat(53));
            params.distinguished_name.push(DnType::CommonName, format!("{number:048}"));
            Source { name: format!("{number}"), bytes: params.self_signed(&key).unwrap().der().to_vec() }
        })
        .collect();
    let rows = [
        (451, vec![], vec![]),
        (
            452,
            vec![],
            vec![
                "the bundle: the CAs' names take 57404 bytes; a request for a certificate has room for 65535, and in TLS \
                 1.3 for less",
            ],
        ),
        (
            517,
            vec![
                "the bundle: the CAs' names take 65659 bytes, and a request for a certificate has room for 65535: no \
                 card could connect; leave out CAs whose cards do not sign in",
            ],
            vec![],
        ),
        (
            590,
            vec![
                "the bundle: the CAs' names take 74930 bytes, and a request for a certificate has room for 65535: no \
                 card could connect; leave out CAs whose cards do not sign in",
            ],
            vec![],
        ),
    ];
    for (count, problems, warnings) in rows {
        let result = examined(&cas[..count]);
        let told: Vec<_> = result.problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, problems, "{count}");
        let told: Vec<_> = result.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told, warnings, "{count}");
        assert_eq!(result.bundle().is_some(), problems.is_empty(), "{count}");
    }
}

#[test]
fn a_draft_makes_no_family_of_cas_that_are_namesakes() {
    let root = Made::root(params("Root"));
    let since = |name: &str, year: i32| {
        let mut params = params(name);
        params.not_before = date_time_ymd(year, 1, 1);
        params
    };
    let (first, second) = (root.below(since("MOICA", 2010)), root.below(since("MOICA", 2020)));
    let (other, odd) = (root.below(params("GCA")), root.below(params("MOICA 1")));
    // Another certificate of the second: the same CA.
    let mut again = since("MOICA", 2021);
    again.not_after = date_time_ymd(2041, 1, 1);
    let again = Source { name: "again".into(), bytes: root.signs(&again, &second.key) };
    let mut sources = vec![
        root.source("root"),
        second.source("second"),
        first.source("first"),
        other.source("gca"),
        odd.source("odd"),
        again,
    ];
    let drafted = |sources: &[Source]| {
        let examined = examined(sources);
        assert_eq!(examined.problems, []);
        let draft = examined.issuers().replace("kind = \"\"", "kind = \"citizen\"");
        let profiles = shared::certificate::IssuerProfiles::parse(&draft).unwrap().issuers;
        let places = |fingerprint: &str| {
            let of = |ca: &&Listed| ca.fingerprint == fingerprint;
            examined.authorities.iter().find(of).unwrap().place.clone()
        };
        assert_eq!(draft.matches("\nfamily = ").count(), profiles.len(), "{draft}");
        assert_eq!(draft.matches("# Another CA has this name, too.").count(), 3, "{draft}");
        let mut rows: Vec<_> = profiles
            .iter()
            .map(|profile| {
                assert_eq!(profile.family(), profile.name);
                (places(&profile.certificate_sha256), profile.name.clone())
            })
            .collect();
        rows.sort();
        rows
    };
    let expected = [
        ("again", "MOICA 3"),
        ("first", "MOICA 2"),
        ("gca", "GCA"),
        ("odd", "MOICA 1"),
        ("second", "MOICA 3"),
    ]
    .map(|(place, name)| (place.to_owned(), name.to_owned()));
    assert_eq!(drafted(&sources), expected);
    sources.reverse();
    assert_eq!(drafted(&sources), expected);
}

#[test]
fn a_ca_whose_key_is_none_is_told() {
    let root = Made::root(params("Root"));
    let mut broken = root.below(params("Broken"));
    let mut info = rcgen::PublicKeyData::subject_public_key_info(&broken.key);
    *info.last_mut().unwrap() ^= 1;
    let info = rcgen::SubjectPublicKeyInfo::from_der(&info).unwrap();
    let issuer = Issuer::from_params(&root.params, &root.key);
    broken.der = broken.params.signed_by(&info, &issuer).unwrap().der().to_vec();
    assert_eq!(
        flaws(&[root.source("root"), broken.source("x")]),
        ["x: the functions believe nothing that it signs: numbers that no key of its kind has"]
    );
}

#[test]
fn an_end_that_is_near_and_a_ca_of_two_certificates_are_warned_of() {
    let rows = [(2026, 8, 3, None), (2026, 8, 4, Some(1)), (2026, 11, 1, Some(90)), (2026, 11, 2, None)];
    for (year, month, day, expected) in rows {
        let mut params = params("Root");
        params.not_after = date_time_ymd(year, month, day);
        let result = examined(&[Made::root(params).source("x")]);
        let days = result.warnings.iter().map(|warning| match warning {
            Warning::EndsSoon { days, .. } => *days,
            other => panic!("{other:?}"),
        });
        assert_eq!(days.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{month}-{day}");
    }
    let root = Made::root(params("Root"));
    let mut renewed = root.params.clone();
    renewed.not_after = date_time_ymd(2050, 1, 1);
    let renewed =
        Source { name: "renewed".into(), bytes: renewed.self_signed(&root.key).unwrap().der().to_vec() };
    let result = examined(&[root.source("x"), renewed]);
    assert_eq!(result.problems, []);
    let told: Vec<_> = result.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["renewed: the same name and key as in x; is one of them out of date?"]);
}

#[test]
fn names_are_harmless_in_whatever_string_they_come() {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "行政院");
    name.push(DnType::OrganizationalUnitName, DnValue::BmpString("憑證".try_into().unwrap()));
    name.push(DnType::CommonName, "a\u{1b}[31m\n\u{202e}b\"\\");
    let mut params = params("");
    params.distinguished_name = name;
    let result = examined(&[Made::root(params).source("x")]);
    let ca = result.authorities.first().unwrap();
    assert_eq!(ca.name, "O=行政院, OU=憑證, CN=a\u{fffd}[31m\u{fffd}\u{fffd}b\"\\");
    let draft = result.issuers();
    assert!(draft.contains("name = \"a\u{fffd}[31m\u{fffd}\u{fffd}b\\\"\\\\\"\n"), "{draft}");
    assert!(draft.contains(&format!("certificate_sha256 = \"{}\"", ca.fingerprint)), "{draft}");
}

#[test]
fn a_folder_is_read_without_what_is_no_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["b.pem", "a.CER", "c.der", "out.pem", "README.txt"] {
        std::fs::write(at(name), "x").unwrap();
    }
    std::fs::create_dir(at("old.pem")).unwrap();
    let read = Folder::read(folder.path(), Some(&at("out.pem"))).unwrap();
    let names: Vec<_> = read.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(
        (names.as_slice(), read.passed_over.as_slice()),
        (&["a.CER", "b.pem", "c.der"][..], &["README.txt".to_owned()][..])
    );
    assert!(Folder::read(&at("nothing"), None).is_err());
}

//! NIST's Public Key Interoperability Test Suite (PKITS), sections 4.1 to 4.16, as PyPI's `cryptography-vectors` carries
//! it: 2048-bit keys and SHA-256. It is not part of the repository: `tests/run` installs it and sets the variable
//! `FIRST_SIGN_IN_PKITS` to the folder with `certs` and `crls`.
//!
//! Every end-entity certificate is decided with every CA certificate of the suite that may lie on its path, and with all
//! of its lists. What is expected stands in the certificate's name, or below. Where we decide otherwise, [`EXCEPTIONS`]
//! says why; a row there that is not needed any more fails as well.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use shared::certificate::{IssuerProfiles, Policies, Truststore, ValidPath};
use shared::revocation::{ListSet, ListSigner};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Name;

/// Most of the suite is valid from 2010 to 2030.
const NOW: &str = "2026-11-23T12:00:00Z";

/// What is expected of certificates whose name does not tell.
const BY_NAME: [(&str, bool); 20] = [
    ("AllCertificatesNoPoliciesTest2EE", true),
    ("AllCertificatesSamePoliciesTest10EE", true),
    ("AllCertificatesSamePoliciesTest13EE", true),
    ("AllCertificatesanyPolicyTest11EE", true),
    ("AnyPolicyTest14EE", true),
    ("CPSPointerQualifierTest20EE", true),
    ("DifferentPoliciesTest12EE", false),
    ("DifferentPoliciesTest3EE", true),
    ("DifferentPoliciesTest4EE", false),
    ("DifferentPoliciesTest5EE", false),
    ("DifferentPoliciesTest7EE", false),
    ("DifferentPoliciesTest8EE", false),
    ("DifferentPoliciesTest9EE", false),
    ("OverlappingPoliciesTest6EE", true),
    ("UserNoticeQualifierTest15EE", true),
    ("UserNoticeQualifierTest16EE", true),
    ("UserNoticeQualifierTest17EE", true),
    ("UserNoticeQualifierTest18EE", true),
    ("UserNoticeQualifierTest19EE", true),
    ("inhibitAnyPolicyTest3EE", true),
];

/// Sections 4.8 (but 4.8.6, whose end entity is a CA) and 4.10: certificate, accepted policies (NIST-test-policy-…; none:
/// any, but an explicit one), whether the path is valid for them.
const BY_POLICY: [(&str, &[u32], bool); 33] = [
    ("ValidCertificatePathTest1EE", &[], true),
    ("ValidCertificatePathTest1EE", &[1], true),
    ("ValidCertificatePathTest1EE", &[2], false),
    ("ValidCertificatePathTest1EE", &[1, 2], true),
    ("AllCertificatesNoPoliciesTest2EE", &[], false),
    ("DifferentPoliciesTest3EE", &[], false),
    ("DifferentPoliciesTest3EE", &[1, 2], false),
    ("AllCertificatesSamePoliciesTest10EE", &[], true),
    ("AllCertificatesSamePoliciesTest10EE", &[1], true),
    ("AllCertificatesSamePoliciesTest10EE", &[2], true),
    ("AllCertificatesanyPolicyTest11EE", &[], true),
    ("AllCertificatesanyPolicyTest11EE", &[1], true),
    ("AllCertificatesSamePoliciesTest13EE", &[1], true),
    ("AllCertificatesSamePoliciesTest13EE", &[2], true),
    ("AllCertificatesSamePoliciesTest13EE", &[3], true),
    ("AnyPolicyTest14EE", &[1], true),
    ("AnyPolicyTest14EE", &[2], false),
    ("UserNoticeQualifierTest18EE", &[1], true),
    ("UserNoticeQualifierTest18EE", &[2], true),
    ("ValidPolicyMappingTest1EE", &[1], true),
    ("ValidPolicyMappingTest1EE", &[2], false),
    ("ValidPolicyMappingTest3EE", &[1], false),
    ("ValidPolicyMappingTest3EE", &[2], true),
    ("ValidPolicyMappingTest5EE", &[1], true),
    ("ValidPolicyMappingTest5EE", &[6], false),
    ("ValidPolicyMappingTest6EE", &[1], true),
    ("ValidPolicyMappingTest6EE", &[6], false),
    ("ValidPolicyMappingTest9EE", &[1], true),
    ("ValidPolicyMappingTest11EE", &[1], true),
    ("ValidPolicyMappingTest12EE", &[1], true),
    ("ValidPolicyMappingTest12EE", &[2], true),
    ("ValidPolicyMappingTest13EE", &[1], true),
    ("ValidPolicyMappingTest14EE", &[1], true),
];

/// A list whose signer has another key than the issuer, and is not certified by a CA of the certificate's path to sign
/// lists for it.
const OTHER_SIGNER: &str = "its list is signed by a certificate that is for lists only, beside the path";
const DSA: &str = "DSA is not accepted";
const CA: &str = "a CA's certificate does not sign in";

/// Where we decide otherwise, and why: always by refusing.
const EXCEPTIONS: [(&str, &str); 8] = [
    ("OverlappingPoliciesTest6EE", CA),
    ("ValidDSAParameterInheritanceTest5EE", DSA),
    ("ValidDSASignaturesTest4EE", DSA),
    ("ValidSeparateCertificateandCRLKeysTest19EE", OTHER_SIGNER),
    ("ValidcRLIssuerTest30EE", OTHER_SIGNER),
    ("ValidonlyContainsCACertsTest13EE", CA),
    ("ValidpathLenConstraintTest14EE", CA),
    ("ValidpathLenConstraintTest8EE", CA),
];

/// A suite that was read: DER, by the file's name without its ending.
struct Suite {
    certificates: BTreeMap<String, Vec<u8>>,
    /// Issuer and subject, by the certificate's name.
    names: BTreeMap<String, (String, String)>,
    lists: Vec<(String, Vec<u8>)>,
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn pem(der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

impl Suite {
    fn read() -> Self {
        let folder = PathBuf::from(std::env::var_os("FIRST_SIGN_IN_PKITS").unwrap());
        let certificates: BTreeMap<_, _> = files(&folder.join("certs")).into_iter().collect();
        let names = |der: &Vec<u8>| {
            let (_, certificate) = X509Certificate::from_der(der).unwrap();
            (spelled_alike(certificate.issuer()), spelled_alike(certificate.subject()))
        };
        let names = certificates.iter().map(|(name, der)| (name.clone(), names(der))).collect();
        Self { certificates, names, lists: files(&folder.join("crls")) }
    }

    fn truststore(&self) -> Truststore {
        let anchor = pem(&self.certificates["TrustAnchorRootCertificate"]);
        Truststore::new(anchor.as_bytes(), IssuerProfiles::default()).unwrap()
    }

    /// The certificates that may lie on a path to one: those of its issuer's name, and so on.
    fn above(&self, name: &str) -> String {
        let mut wanted = BTreeSet::new();
        let mut next = vec![name];
        while let Some(below) = next.pop() {
            let issuer = &self.names[below].0;
            for (name, (_, subject)) in &self.names {
                if subject == issuer && !name.ends_with("EE") && wanted.insert(name.as_str()) {
                    next.push(name);
                }
            }
        }
        wanted.iter().map(|name| pem(&self.certificates[*name])).collect()
    }

    fn path(&self, name: &str) -> Result<ValidPath, String> {
        let above = self.above(name);
        self.truststore()
            .validate(&pem(&self.certificates[name]), Some(&above), now())
            .map_err(|refusal| refusal.to_string())
    }

    /// Every list of the suite, signed by the anchor, by a CA of one of these paths, or by whom those have certified to
    /// sign lists.
    fn lists<'a>(&self, paths: impl Iterator<Item = &'a ValidPath>) -> ListSet {
        let mut signers = vec![ListSigner::anchor(&self.certificates["TrustAnchorRootCertificate"])];
        for signer in paths.flat_map(ListSigner::of_path) {
            if !signers.contains(&signer) {
                signers.push(signer);
            }
        }
        let others = self.certificates.values().map(Vec::as_slice);
        let certified = ListSigner::certified(others, &signers, now());
        signers.extend(certified);
        ListSet::read(self.lists.iter().cloned(), signers, now(), SignedDuration::ZERO)
    }
}

fn spelled_alike(name: &X509Name<'_>) -> String {
    name.to_string().to_lowercase().split_whitespace().collect()
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

#[test]
#[ignore = "needs FIRST_SIGN_IN_PKITS, which tests/run sets"]
fn paths_are_decided_as_nist_does() {
    let suite = Suite::read();
    let exceptions: BTreeMap<_, _> = EXCEPTIONS.into_iter().collect();
    let by_name: BTreeMap<_, _> = BY_NAME.into_iter().collect();
    let ends = suite.certificates.keys().filter(|name| name.ends_with("EE"));
    let paths: BTreeMap<_, _> = ends.map(|name| (name, suite.path(name))).collect();
    let lists = suite.lists(paths.values().flatten());
    let (decided, mut wrong) = (paths.len(), Vec::new());
    for (name, path) in paths {
        let expected = match by_name.get(name.as_str()) {
            Some(expected) => *expected,
            None if name.starts_with("Valid") => true,
            None if name.starts_with("Invalid") => false,
            None => panic!("nothing tells what {name} is"),
        };
        let verdict = path.and_then(|path| {
            let statuses: Vec<_> = path.links().iter().map(|link| lists.status(link)).collect();
            let good = path.verify(&statuses, now(), SignedDuration::ZERO);
            good.map(|_| ()).map_err(|refusal| refusal.to_string())
        });
        let otherwise = verdict.is_ok() != expected;
        if otherwise != exceptions.contains_key(name.as_str()) {
            wrong.push(format!("{name}: {verdict:?}, {:?}", exceptions.get(name.as_str())));
        }
    }
    assert!(wrong.is_empty(), "{decided} decided, not as expected:\n{}", wrong.join("\n"));
    assert!(decided > 200, "{decided}");
}

#[test]
#[ignore = "needs FIRST_SIGN_IN_PKITS, which tests/run sets"]
fn policies_are_decided_as_nist_does() {
    let suite = Suite::read();
    for (name, accepted, expected) in BY_POLICY {
        let path = suite.path(name).unwrap();
        let accepted: Vec<_> =
            accepted.iter().map(|policy| format!("2.16.840.1.101.3.2.1.48.{policy}")).collect();
        let valid = match path.policies() {
            policies if !accepted.is_empty() => policies.allow(&accepted),
            Policies::Any => true,
            Policies::Only(policies) => !policies.is_empty(),
        };
        assert_eq!(valid, expected, "{name} {accepted:?}: {:?}", path.policies());
    }
}

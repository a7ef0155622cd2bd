//! `truststore build`.

use std::fs;

use local::truststore::day;
use rcgen::date_time_ymd;
use shared::certificate::{IssuerProfiles, Truststore};

use crate::authority::{Authority, ca, holder};
use crate::run;

#[test]
fn a_good_folder_becomes_a_bundle_that_the_functions_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("cas")).unwrap();
    let root = Authority::root(ca("Root"));
    let mut ends = ca("Issuing");
    ends.not_after = date_time_ymd(2026, 9, 1);
    let issuing = root.below(ends);
    fs::write(at("cas/issuing.crt"), issuing.certificate.der()).unwrap();
    fs::write(at("cas/root.pem"), root.certificate.pem()).unwrap();
    fs::write(at("cas/notes.txt"), "fetched in May").unwrap();
    let build = |more: &[&str]| {
        let arguments =
            ["truststore", "build", "cas", "--out", "cas/truststore.pem", "--at", "2026-08-03T00:00:00Z"];
        run(folder.path(), &[&arguments[..], more].concat())
    };

    let ran = build(&["--issuers", "issuers.toml"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let bundle = fs::read(at("cas/truststore.pem")).unwrap();
    let truststore = Truststore::new(&bundle, IssuerProfiles::default()).unwrap();
    let found: Vec<_> = truststore.authorities().iter().map(|ca| ca.certificate().as_ref()).collect();
    assert_eq!(found, [root.certificate.der().as_ref(), issuing.certificate.der().as_ref()]);
    for ca in truststore.authorities() {
        assert!(ran.out.contains(ca.fingerprint()) && ran.out.contains(&day(&ca.validity().1)), "{ran:?}");
    }
    assert!(ran.err.contains("warning: issuing.crt: it ends on 2026-09-01, in 29 days"), "{ran:?}");
    assert!(ran.err.contains("passed over: notes.txt"), "{ran:?}");
    assert!(!ran.err.contains("truststore.pem"), "the bundle is not its own input: {ran:?}");

    // The draft asks for what it cannot know, and then fits.
    let draft = fs::read_to_string(at("issuers.toml")).unwrap();
    assert!(IssuerProfiles::parse(&draft).is_err());
    let filled = draft.replace("kind = \"\"", "kind = \"citizen\"");
    assert!(filled.contains("name = \"Issuing\"\nfamily = \"Issuing\"\n"), "{filled}");
    let profiles = IssuerProfiles::parse(&filled).unwrap();
    assert_eq!(profiles.issuers.len(), 1);
    Truststore::new(&bundle, profiles).unwrap();

    // Again: the same bundle, and what an operator has written stays.
    fs::write(at("issuers.toml"), &filled).unwrap();
    let ran = build(&["--issuers", "issuers.toml", "--warn-days", "28"]);
    assert_eq!((ran.code, fs::read(at("cas/truststore.pem")).unwrap()), (0, bundle));
    assert!(!ran.err.contains("warning"), "{ran:?}");
    assert_eq!(fs::read_to_string(at("issuers.toml")).unwrap(), filled);
}

#[test]
fn a_bad_folder_becomes_a_list_of_everything_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("cas")).unwrap();
    let root = Authority::root(ca("Root"));
    let issuing = root.below(ca("Issuing\u{1b}[2J"));
    fs::write(at("cas/a.pem"), issuing.certificate.pem()).unwrap();
    fs::write(at("cas/b.pem"), "rubbish").unwrap();
    fs::write(at("cas/c.pem"), root.issue(&holder("A Person"), 1).pem()).unwrap();
    fs::write(at("truststore.pem"), "the former one").unwrap();
    let ran = run(folder.path(), &["truststore", "build", "cas", "--out", "truststore.pem"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for problem in [
        "error: a.pem: its issuer is missing: CN=Root",
        "error: b.pem: not a certificate",
        "error: c.pem: not a CA's certificate",
        "truststore.pem is not written",
    ] {
        assert!(ran.err.contains(problem), "{problem}: {ran:?}");
    }
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:?}");
    assert!(
        !ran.out.contains("A Person") && !ran.err.contains("A Person"),
        "a card's holder is not told: {ran:?}"
    );
    assert_eq!(fs::read(at("truststore.pem")).unwrap(), b"the former one");
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["truststore", "build", "nothing", "--out", "truststore.pem"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("cannot read nothing"), "{ran:?}");
    #[cfg(unix)]
    {
        fs::create_dir(folder.path().join("cas")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("cas/gone.pem")).unwrap();
        let ran = run(folder.path(), &["truststore", "build", "cas", "--out", "truststore.pem"]);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    assert!(!folder.path().join("truststore.pem").exists());
}

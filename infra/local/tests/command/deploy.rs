//! `deploy check`, by the files and by what the AWS CLI answers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::authority::{Authority, ca};
use crate::{Ran, run};

const SAMCONFIG: &str = r#"
[prod.deploy.parameters]
stack_name = "first-sign-in-prod"
region = "ap-northeast-1"
parameter_overrides = [
    "Stage=prod",
    "PortalDomain=id.gov.tw",
    "CardDomain=card.id.gov.tw",
    "PortalCertificateArn=arn:aws:acm:ap-northeast-1:123456789012:certificate/a",
    "CardCertificateArn=arn:aws:acm:ap-northeast-1:123456789012:certificate/b",
    "MailFrom=no-reply@id.gov.tw",
]
"#;

/// A checkout in which everything is filled in.
fn prepared(folder: &Path) {
    fs::write(folder.join("samconfig.toml"), SAMCONFIG).unwrap();
    for name in ["infra/truststore", "infra/clients", "cas"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("infra/clients/clients.toml"), "# nobody yet\n").unwrap();
    let root = Authority::root(ca("Root"));
    fs::write(folder.join("cas/issuing.crt"), root.below(ca("Issuing")).certificate.der()).unwrap();
    fs::write(folder.join("cas/root.pem"), root.certificate.pem()).unwrap();
    let (bundle, issuers) = ("infra/truststore/truststore.pem", "infra/truststore/issuers.toml");
    let ran = run(
        folder,
        &[
            "truststore",
            "build",
            "cas",
            "--out",
            bundle,
            "--issuers",
            issuers,
            "--at",
            "2026-08-03T00:00:00Z",
        ],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let draft = fs::read_to_string(folder.join(issuers)).unwrap();
    fs::write(folder.join(issuers), draft.replace("kind = \"\"", "kind = \"citizen\"")).unwrap();
}

fn check(folder: &Path, more: &[&str]) -> Ran {
    run(folder, &[&["deploy", "check", "--config-env", "prod"], more].concat())
}

#[test]
fn nothing_is_in_the_way_of_what_is_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let ran = check(folder.path(), &["--offline"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Nothing is in the way of a deployment.\n"), "{ran:?}");
}

#[test]
fn the_sample_of_the_repository_is_refused_with_everything_that_is_to_be_filled_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for stage in ["dev", "staging", "prod"] {
        let ran = run(&root, &["deploy", "check", "--config-env", stage, "--offline"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        for word in ["PortalDomain=", "CardCertificateArn=", "MailFrom=", "example.gov.tw", "truststore"] {
            assert!(ran.out.contains(word), "{stage}: {word}: {ran:?}");
        }
        // They are not filled in, and nothing else is wrong with them.
        let broken = ["does not take", "no parameter", "must be"];
        assert!(!broken.iter().any(|word| ran.out.contains(word)), "{stage}: {ran:?}");
    }
    let ran = run(&root, &["deploy", "check", "--config-env", "test", "--offline"]);
    assert!(ran.code == 1 && ran.out.contains("There are dev, "), "{ran:?}");
    let ran = run(&root, &["deploy", "check", "--config-env", "dev", "--samconfig", "nowhere.toml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

/// Checks with a program in the place of the AWS CLI, which answers as AWS does.
fn asked(folder: &Path, script: &str) -> Ran {
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("aws"), format!("#!/bin/sh\ncase \"$1 $2\" in\n{script}\nesac\n")).unwrap();
    fs::set_permissions(programs.join("aws"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_first-sign-in"))
        .args(["deploy", "check", "--config-env", "prod"])
        .current_dir(folder)
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

const WELL: &str = r#"
"sts get-caller-identity") echo '{"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/Operator/wang"}';;
"acm describe-certificate") echo '{"Certificate": {"Status": "ISSUED", "SubjectAlternativeNames": ["id.gov.tw", "*.id.gov.tw"]}}';;
"lambda get-account-settings") echo '{"AccountLimit": {"ConcurrentExecutions": 1000}}';;
"cloudformation describe-stacks") echo 'Stack with id first-sign-in-prod does not exist' >&2; exit 254;;
"iam simulate-principal-policy") echo '{"EvaluationResults": [{"EvalActionName": "events:PutRule", "EvalDecision": "allowed"}]}';;
"#;

#[test]
fn aws_is_asked_for_what_no_file_knows() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let ran = asked(folder.path(), WELL);
    assert_eq!(ran.code, 0, "{ran:?}");

    let rows = [
        ("ISSUED", "PENDING_VALIDATION", "is PENDING_VALIDATION"),
        ("\"*.id.gov.tw\"", "\"mail.gov.tw\"", "and not of card.id.gov.tw"),
        ("\"123456789012\"", "\"210987654321\"", "of another account"),
        ("1000}", "10}", "may run 10 functions at once"),
        ("\"allowed\"", "\"implicitDeny\"", "may not: events:PutRule"),
        (
            "echo 'Stack with id first-sign-in-prod does not exist' >&2; exit 254",
            "echo '{\"Stacks\": [{\"StackStatus\": \"ROLLBACK_COMPLETE\"}]}'",
            "is ROLLBACK_COMPLETE",
        ),
    ];
    for (old, new, word) in rows {
        assert!(WELL.contains(old), "{old}");
        let ran = asked(folder.path(), &WELL.replace(old, new));
        assert!(ran.code == 1 && ran.out.contains(word), "{word}: {ran:?}");
    }

    let expired = "*) echo 'Error loading SSO Token: Token for gov does not exist' >&2; exit 255;;";
    let ran = asked(folder.path(), expired);
    assert!(ran.code == 1 && ran.out.contains("aws sso login"), "{ran:?}");
    assert!(ran.out.contains("One thing is in the way"), "nothing more is asked: {ran:?}");
}

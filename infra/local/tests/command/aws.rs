//! The commands with `--aws`: by whose credentials they ask, and what they say when it does not work.

use std::fs;
use std::path::Path;
use std::process::Command;

use local::stack::{Options, Running, Stack};

use crate::Ran;

const ROSTER: &str = "national_id,name,agency,agency_name,agency_oid,status,roles,authorized_agencies\n\
                      A123456789,王小明,A01,範例人事總處,2.16.886.101.90001,in_service,,\n";

/// Puts a roster as an operator does, with this configuration of the AWS CLI and no more variables than these.
fn import(folder: &Path, config: &str, variables: &[(&str, &str)]) -> Ran {
    fs::write(folder.join("config"), config).unwrap();
    fs::write(folder.join("roster.csv"), ROSTER).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_first-sign-in"))
        .args(["roster", "import", "roster.csv", "--aws"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("AWS_CONFIG_FILE", folder.join("config"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("ROSTER_BUCKET", "first-sign-in-rosterbucket")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

async fn stand_in(folder: &Path) -> Running {
    let options = Options { memory: true, sample_cards: false, ..Options::new(folder.join("data")) };
    Stack::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_process_that_a_profile_names() {
    let folder = tempfile::tempdir().unwrap();
    let running = stand_in(folder.path()).await;
    let keys = r#"{"Version": 1, "AccessKeyId": "roster-upload", "SecretAccessKey": "stand-in"}"#;
    fs::write(folder.path().join("keys.json"), keys).unwrap();
    let process = format!("cat {}", folder.path().join("keys.json").display());
    let config = format!("[profile operator]\nregion = ap-northeast-1\ncredential_process = {process}\n");
    let s3 = running.shared_variables["AWS_ENDPOINT_URL_S3"].clone();
    let variables = [("AWS_PROFILE", "operator"), ("AWS_ENDPOINT_URL_S3", s3.as_str())];
    let (place, told) = (folder.path().to_owned(), variables.map(|(name, value)| (name, value.to_owned())));
    let ran = tokio::task::spawn_blocking(move || {
        let variables: Vec<_> = told.iter().map(|(name, value)| (*name, value.as_str())).collect();
        import(&place, &config, &variables)
    });
    let ran = ran.await.unwrap();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("1 rows accepted"), "{ran:?}");
    running.shutdown().await;
}

#[test]
fn what_is_in_the_way_is_named_with_the_way_out() {
    /// A configuration, variables, and the words that are said of them.
    type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a [&'a str]);
    let folder = tempfile::tempdir().unwrap();
    let sso = "[profile operator]\nregion = ap-northeast-1\nsso_session = gov\nsso_account_id = 123456789012\n\
               sso_role_name = Operator\n[sso-session gov]\nsso_region = ap-northeast-1\n\
               sso_start_url = https://gov.example/start\n";
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "x")];
    let region = ("AWS_REGION", "ap-northeast-1");
    let nowhere = ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let rows: [Row<'_>; 4] = [
        ("", keys.to_vec(), &["no AWS region is set", "export AWS_REGION="]),
        ("", vec![region], &["no AWS credentials", "export AWS_PROFILE="]),
        (
            sso,
            vec![("AWS_PROFILE", "operator")],
            &["no AWS credentials", "aws sso login", "export-credentials"],
        ),
        ("", [&keys[..], &[region, nowhere]].concat(), &["not sent", "refused", "cannot be reached"]),
    ];
    for (config, variables, words) in rows {
        let ran = import(folder.path(), config, &variables);
        assert_eq!(ran.code, 1, "{ran:?}");
        for word in words {
            assert!(ran.err.contains(word), "{word}: {ran:?}");
        }
    }
}

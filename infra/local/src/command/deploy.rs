//! `deploy`: whether a deployment can succeed, before it is begun.
//!
//! What only AWS knows is asked by the AWS CLI, which an operator has anyway: it signs in as they do.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Subcommand;
use local::readiness::{Finding, Stage, layers};
use local::template::Template;
use serde_json::Value;

use super::aws::way_out;
use super::{Failure, UNREADABLE};

/// What to do before a deployment.
#[derive(Subcommand)]
pub(crate) enum Deploy {
    /// Looks for everything that would make a first deployment fail half-way, and says what to do about each. Changes nothing.
    /// Ends with 0 when nothing is in the way, with 1 when something is, with 2 when that cannot be told.
    Check {
        /// The stage, as samconfig.toml names it.
        #[arg(long, value_name = "STAGE")]
        config_env: String,
        /// The SAM CLI's settings.
        #[arg(long, value_name = "TOML", default_value = "samconfig.toml")]
        samconfig: PathBuf,
        /// The folder with `truststore.pem` and `issuers.toml`.
        #[arg(long, value_name = "DIR", default_value = "infra/truststore")]
        truststore: PathBuf,
        /// The folder with `clients.toml`.
        #[arg(long, value_name = "DIR", default_value = "infra/clients")]
        clients: PathBuf,
        /// Asks AWS nothing: what the files say must do.
        #[arg(long)]
        offline: bool,
    },
}

/// Does it.
pub(crate) fn run(command: &Deploy) -> Result<ExitCode, Failure> {
    let Deploy::Check { config_env, samconfig, truststore, clients, offline } = command;
    let text = match std::fs::read_to_string(samconfig) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("error: {}: {error}", samconfig.display());
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let (stage, mut findings) = match Stage::read(&text, config_env) {
        Ok(read) => read,
        Err(finding) => return Ok(tell(&[finding])),
    };
    findings.extend(stage.check(&Template::embedded()?)?);
    findings.extend(layers(truststore, clients));
    if !offline {
        findings.extend(of_aws(&stage));
    }
    Ok(tell(&findings))
}

fn tell(findings: &[Finding]) -> ExitCode {
    for Finding { what, way_out } in findings {
        println!("{what}\n  {way_out}");
    }
    match findings.len() {
        0 => println!("Nothing is in the way of a deployment."),
        1 => println!("One thing is in the way of a deployment."),
        number => println!("{number} things are in the way of a deployment."),
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lambda's least number of executions that no function has reserved.
const UNRESERVED: u64 = 100;

/// What the template's functions reserve: revocation-sync and roster-import run one at a time.
const RESERVED: u64 = 2;

/// One action of each service of which the stack has resources: who may none of them cannot begin.
const ACTIONS: [&str; 16] = [
    "acm:DescribeCertificate",
    "apigateway:POST",
    "cloudformation:CreateChangeSet",
    "cloudwatch:PutMetricAlarm",
    "dynamodb:CreateTable",
    "events:PutRule",
    "iam:CreateRole",
    "iam:PassRole",
    "kms:CreateKey",
    "lambda:CreateFunction",
    "logs:CreateLogDelivery",
    "logs:CreateLogGroup",
    "s3:CreateBucket",
    "ses:CreateEmailIdentity",
    "sns:CreateTopic",
    "sqs:CreateQueue",
];

/// What AWS says of the account, its certificates and whoever deploys.
fn of_aws(stage: &Stage) -> Vec<Finding> {
    let identity = match ask(stage, &["sts", "get-caller-identity"]) {
        Ok(identity) => identity,
        // Nothing else would be answered either.
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    let account = text(&identity, "/Account");
    for (arn, host) in stage.certificates() {
        if arn.split(':').nth(4).is_some_and(|of| of != account) {
            findings.push(Finding::new(
                format!("the certificate {arn} is of another account than yours, {account}"),
                "Sign in to the stage's account, or take a certificate of this one.",
            ));
            continue;
        }
        match ask(stage, &["acm", "describe-certificate", "--certificate-arn", arn]) {
            Ok(answer) => findings.extend(of_certificate(arn, &host, &answer)),
            Err(finding) => findings.push(finding),
        }
    }
    match ask(stage, &["lambda", "get-account-settings"]) {
        Ok(answer) => {
            let most = answer.pointer("/AccountLimit/ConcurrentExecutions").and_then(Value::as_u64);
            if let Some(most) = most.filter(|most| *most < UNRESERVED + RESERVED) {
                findings.push(Finding::new(
                    format!("the account may run {most} functions at once; {RESERVED} are reserved, and Lambda keeps {UNRESERVED} free"),
                    "Ask for more: Service Quotas, Lambda, concurrent executions.",
                ));
            }
        }
        Err(finding) => findings.push(finding),
    }
    // No such stack yet is what a first deployment wants.
    if let Ok(answer) = ask(stage, &["cloudformation", "describe-stacks", "--stack-name", &stage.stack]) {
        let status = text(&answer, "/Stacks/0/StackStatus");
        if ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"].contains(&status) {
            findings.push(Finding::new(
                format!("the stack {} is {status}: nothing can be deployed under its name", stage.stack),
                "infra/README.md, \"When the first deployment fails\", says how to undo it.",
            ));
        }
    }
    findings.extend(of_permissions(stage, text(&identity, "/Arn")));
    findings
}

fn of_certificate(arn: &str, host: &str, answer: &Value) -> Option<Finding> {
    let status = text(answer, "/Certificate/Status");
    if status != "ISSUED" {
        return Some(Finding::new(
            format!("the certificate {arn} of {host} is {status}"),
            "Add the DNS records that ACM shows, and wait until it is issued.",
        ));
    }
    let names = answer.pointer("/Certificate/SubjectAlternativeNames").and_then(Value::as_array);
    let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
    let covers = |name: &&str| {
        // A star stands for one label.
        *name == host
            || name
                .strip_prefix("*.")
                .is_some_and(|rest| host.split_once('.').is_some_and(|(_, of)| of == rest))
    };
    (!names.iter().any(covers)).then(|| {
        let told = format!("the certificate {arn} is of {}, and not of {host}", names.join(", "));
        Finding::new(told, "Request one of that name, or name the right one in samconfig.toml.")
    })
}

/// Whether whoever deploys may begin with each service; what IAM does not want to tell is no finding.
fn of_permissions(stage: &Stage, arn: &str) -> Vec<Finding> {
    let source = role_of(arn);
    let mut arguments =
        vec!["iam", "simulate-principal-policy", "--policy-source-arn", &source, "--action-names"];
    arguments.extend(ACTIONS);
    let answer = match ask(stage, &arguments) {
        Ok(answer) => answer,
        Err(finding) => {
            eprintln!("Your permissions were not looked at: {}", finding.what);
            return Vec::new();
        }
    };
    let results = answer.pointer("/EvaluationResults").and_then(Value::as_array).into_iter().flatten();
    let denied = results.filter(|result| text(result, "/EvalDecision") != "allowed");
    let denied: Vec<&str> = denied.map(|result| text(result, "/EvalActionName")).collect();
    let told = || {
        Finding::new(
            format!("{source} may not: {}", denied.join(", ")),
            "Have it allowed. infra/README.md lists the services under \"Before you begin\".",
        )
    };
    (!denied.is_empty()).then(told).into_iter().collect()
}

/// The role behind a session of it; a user is one already.
fn role_of(arn: &str) -> String {
    match arn.split_once(":assumed-role/") {
        None => arn.to_owned(),
        Some((account, session)) => {
            let role = session.split('/').next().unwrap_or_default();
            format!("{}:role/{role}", account.replace(":sts:", ":iam:"))
        }
    }
}

/// Asks AWS by its command line.
fn ask(stage: &Stage, arguments: &[&str]) -> Result<Value, Finding> {
    let output =
        Command::new("aws").args(arguments).args(["--region", &stage.region, "--output", "json"]).output();
    let output = output.map_err(|error| {
        Finding::new(
            format!("the AWS CLI does not run: {error}"),
            "Install it, or look at the files alone with --offline.",
        )
    })?;
    let what = || format!("aws {}", arguments.iter().take(2).copied().collect::<Vec<_>>().join(" "));
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
        let way_out = way_out(&told).unwrap_or("Ask AWS for the same by hand: the command is above.");
        return Err(Finding::new(format!("{}: {told}", what()), way_out));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        Finding::new(format!("{} answers no JSON: {error}", what()), "Look at what it answers by hand.")
    })
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_certificate_is_issued_and_of_the_host() {
        let of = |status: &str, names: &[&str], host: &str| {
            let answer = json!({"Certificate": {"Status": status, "SubjectAlternativeNames": names}});
            of_certificate("arn", host, &answer).map(|finding| finding.what).unwrap_or_default()
        };
        assert_eq!(of("ISSUED", &["id.gov.tw"], "id.gov.tw"), "");
        assert_eq!(of("ISSUED", &["gov.tw", "*.gov.tw"], "id.gov.tw"), "");
        assert_eq!(of("ISSUED", &["*.card.gov.tw"], "*.card.gov.tw"), "");
        assert!(of("PENDING_VALIDATION", &["id.gov.tw"], "id.gov.tw").contains("is PENDING_VALIDATION"));
        assert!(of("ISSUED", &["*.gov.tw"], "a.id.gov.tw").contains("and not of a.id.gov.tw"));
        assert!(of("ISSUED", &["gov.tw"], "id.gov.tw").contains("is of gov.tw"));
    }

    #[test]
    fn permissions_are_those_of_the_role_behind_a_session() {
        let rows = [
            (
                "arn:aws:sts::123456789012:assumed-role/Operator/wang",
                "arn:aws:iam::123456789012:role/Operator",
            ),
            ("arn:aws:iam::123456789012:user/wang", "arn:aws:iam::123456789012:user/wang"),
        ];
        for (arn, expected) in rows {
            assert_eq!(role_of(arn), expected);
        }
    }
}

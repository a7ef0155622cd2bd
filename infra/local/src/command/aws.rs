//! AWS as the commands with `--aws` meet it: who asks, and what to do when it does not work.

use std::collections::HashMap;
use std::path::Path;

use local::stack::read_functions_env;
use shared::environment::Environment;

use super::Failure;

/// The variables of a command: the process's own for AWS, those of a running stand-in otherwise.
pub(super) fn environment(data: &Path, aws: bool) -> Result<Environment, Failure> {
    if aws {
        return Ok(Environment::process());
    }
    let variables = read_functions_env(data)
        .map_err(|error| format!("{error}: is a stand-in running on {}?", data.display()))?;
    Ok(Environment::from_map(variables.into_iter().collect::<HashMap<_, _>>()))
}

/// What went wrong; of a command that has asked AWS, with what to do about it.
pub(super) fn explained(error: Failure, aws: bool) -> Failure {
    let told = shared::aws::with_causes(error.as_ref());
    match way_out(&told).filter(|_| aws) {
        Some(way_out) => format!("{told}\n  {way_out}").into(),
        None => error,
    }
}

/// What a person does about an answer of AWS, by the words that it always has. The first that is there decides.
const WAYS_OUT: [(&[&str], &str); 8] = [
    (
        &["ExpiredToken", "oken has expired", "SSO", "sso"],
        "Sign in, and lend this shell what you got: aws sso login; \
         eval \"$(aws configure export-credentials --format env)\"",
    ),
    (
        &["no AWS credentials", "Unable to locate credentials", "could not be found"],
        "Sign in to AWS first (aws sso login, or aws configure), and say as whom: export AWS_PROFILE=…",
    ),
    (
        &["no AWS region", "You must specify a region"],
        "Say where the stack is: export AWS_REGION=ap-northeast-1",
    ),
    (
        &["InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch"],
        "AWS does not know these keys. Whose are they? aws sts get-caller-identity tells.",
    ),
    (
        &["AccessDenied", "not authorized", "S3 refuses"],
        "You may not do this as who you are. Assume the role that infra/README.md names for this command.",
    ),
    (
        &["NoSuchBucket", "no such object", "ResourceNotFound", "NonExistentQueue", "NotFoundException"],
        "There is nothing of this name. Are the names the stack's outputs, and is AWS_REGION the stack's region?",
    ),
    (
        &["TimeTooSkewed", "Signature not yet current"],
        "This machine's clock is wrong: set it, and try again.",
    ),
    (
        &["not sent", "no answer in time", "Could not connect"],
        "AWS cannot be reached from here. Look at the network, its proxy, and AWS_REGION.",
    ),
];

pub(super) fn way_out(told: &str) -> Option<&'static str> {
    let says = |words: &&[&str]| words.iter().any(|word| told.contains(word));
    WAYS_OUT.iter().find(|(words, _)| says(words)).map(|(_, way_out)| *way_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_says_has_a_way_out() {
        let rows = [
            ("ExpiredToken: The security token included in the request is expired", Some("aws sso login")),
            ("no AWS credentials: the SSO session has no token", Some("aws sso login")),
            ("no AWS credentials: no providers in chain provided credentials", Some("AWS_PROFILE=")),
            ("no AWS region is set", Some("AWS_REGION=")),
            (
                "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist",
                Some("get-caller-identity"),
            ),
            ("S3 refuses: AccessDenied: Access Denied", Some("Assume the role")),
            ("S3: no such object", Some("outputs")),
            ("AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist", Some("outputs")),
            ("RequestTimeTooSkewed: The difference is too large", Some("clock")),
            ("S3: not sent: io error: connection refused", Some("network")),
            ("no report after 60 minutes", None),
        ];
        for (told, way) in rows {
            match (way_out(told), way) {
                (Some(found), Some(word)) => assert!(found.contains(word), "{told}: {found}"),
                (found, expected) => assert_eq!(found, expected, "{told}"),
            }
        }
    }
}

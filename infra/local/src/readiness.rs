//! Whether a first deployment can succeed: what can be told from the files that an operator has edited, before AWS is asked.
//!
//! A deployment that fails half-way leaves things behind, so each finding comes with what to do. What only AWS knows is asked by
//! `deploy check` (`infra/local/src/command/deploy.rs`).

use std::collections::BTreeMap;
use std::path::Path;

use oidc::client::Clients;
use regex::Regex;
use serde_json::Value;
use shared::certificate::Truststore;
use toml::Table;

use crate::template::{Resolver, Settings, Template, TemplateError, scalar};

/// Something in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: String,
    /// What to do.
    pub way_out: String,
}

impl Finding {
    /// Something in the way, and the way out.
    #[must_use]
    pub fn new(what: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { what: what.into(), way_out: way_out.into() }
    }
}

/// A stage of `samconfig.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// The stack's name.
    pub stack: String,
    /// The region.
    pub region: String,
    /// The template's parameters.
    pub parameters: BTreeMap<String, String>,
}

impl Stage {
    /// Reads a stage, with what the SAM CLI would refuse in it.
    ///
    /// # Errors
    /// When there is no such stage, or the text is no TOML.
    pub fn read(text: &str, name: &str) -> Result<(Self, Vec<Finding>), Finding> {
        let file: Table = text.parse().map_err(|error: toml::de::Error| {
            Finding::new(format!("samconfig.toml: {}", error.message()), "Mend the file.")
        })?;
        let settings = |stage: &str| file.get(stage)?.get("deploy")?.get("parameters")?.as_table();
        let section = settings(name).ok_or_else(|| {
            let stages: Vec<_> =
                file.keys().filter(|stage| settings(stage).is_some()).map(String::as_str).collect();
            let there = format!("There are {}: name one of them with --config-env.", stages.join(", "));
            Finding::new(format!("samconfig.toml has no stage {name}"), there)
        })?;
        let text =
            |field: &str| section.get(field).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let mut findings = Vec::new();
        let mut parameters = BTreeMap::new();
        let overrides = section.get("parameter_overrides").and_then(toml::Value::as_array);
        for line in overrides.into_iter().flatten().filter_map(toml::Value::as_str) {
            match line.split_once('=') {
                Some((name, value)) if !value.is_empty() => {
                    parameters.insert(name.trim().to_owned(), value.trim_matches(['\'', '"']).to_owned());
                }
                _ => findings.push(Finding::new(
                    format!("the SAM CLI does not take the parameter {line:?}"),
                    "What is to be empty has no line: take it out.",
                )),
            }
        }
        Ok((Self { stack: text("stack_name"), region: text("region"), parameters }, findings))
    }

    /// What CloudFormation would refuse, and what nobody has replaced yet.
    ///
    /// # Errors
    /// When the template itself cannot be read.
    pub fn check(&self, template: &Template) -> Result<Vec<Finding>, TemplateError> {
        let mut findings = Vec::new();
        let declared: BTreeMap<&str, &Value> = template.parameters().collect();
        for (name, value) in &self.parameters {
            match declared.get(name.as_str()) {
                None => findings.push(Finding::new(
                    format!("the template has no parameter {name}"),
                    "Take it out of samconfig.toml, or mend its name.",
                )),
                Some(body) => findings.extend(refused(name, value, body)),
            }
            findings.extend(untouched(name, value));
        }
        let missing =
            template.parameters_without_default().filter(|name| !self.parameters.contains_key(*name));
        for name in missing {
            findings.push(Finding::new(
                format!("the parameter {name} has no value"),
                format!("Add \"{name}=…\" to parameter_overrides in samconfig.toml."),
            ));
        }
        for name in ["PortalCertificateArn", "CardCertificateArn", "CardAttemptsCertificateArn"] {
            let region = self.parameters.get(name).and_then(|arn| arn.split(':').nth(3));
            if let Some(region) = region.filter(|region| *region != self.region) {
                findings.push(Finding::new(
                    format!("{name} is in {region}, the stack in {}", self.region),
                    "API Gateway takes a certificate of the stack's region alone: request one there.",
                ));
            }
        }
        if findings.is_empty() {
            let settings = Settings {
                parameters: self.parameters.clone(),
                region: self.region.clone(),
                stack_name: self.stack.clone(),
                ..Settings::default()
            };
            let rules = Resolver::new(template, &settings)?.broken_rules()?;
            findings.extend(
                rules.into_iter().map(|rule| Finding::new(rule, "Change the parameters in samconfig.toml.")),
            );
        }
        Ok(findings)
    }

    /// The name of the parameter's host, for each certificate that is given.
    pub fn certificates(&self) -> impl Iterator<Item = (&str, String)> {
        let hosts = [
            ("PortalCertificateArn", "PortalDomain", ""),
            ("CardCertificateArn", "CardDomain", ""),
            ("CardAttemptsCertificateArn", "CardDomain", "*."),
        ];
        hosts.into_iter().filter_map(|(certificate, host, before)| {
            let arn = self.parameters.get(certificate)?;
            Some((arn.as_str(), format!("{before}{}", self.parameters.get(host)?)))
        })
    }
}

/// What CloudFormation says to a value.
fn refused(name: &str, value: &str, body: &Value) -> Option<Finding> {
    let told = |field: &str| body.get(field).and_then(scalar);
    let description = || told("ConstraintDescription").or_else(|| told("Description")).unwrap_or_default();
    let matches = |pattern: String| {
        Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(value))
    };
    let allowed = body.get("AllowedValues").and_then(Value::as_array);
    let number = value.parse::<f64>().ok();
    let bound = |field: &str| told(field).and_then(|text| text.parse::<f64>().ok());
    let reason = if told("AllowedPattern").is_some_and(|pattern| !matches(pattern)) {
        description()
    } else if let Some(values) =
        allowed.filter(|values| !values.iter().filter_map(scalar).any(|it| it == value))
    {
        format!("must be one of {}", values.iter().filter_map(scalar).collect::<Vec<_>>().join(", "))
    } else if told("Type").as_deref() == Some("Number") && number.is_none() {
        "must be a number".to_owned()
    } else if number.zip(bound("MinValue")).is_some_and(|(number, least)| number < least)
        || number.zip(bound("MaxValue")).is_some_and(|(number, most)| number > most)
    {
        let [least, most] = ["MinValue", "MaxValue"].map(|field| told(field).unwrap_or_default());
        format!("must be from {least} to {most}")
    } else if bound("MaxLength").is_some_and(|most| value.chars().count() as f64 > most) {
        "is too long".to_owned()
    } else {
        return None;
    };
    Some(Finding::new(format!("{name}={value}: {reason}"), "Change it in samconfig.toml."))
}

/// What stands in a fresh checkout, and is nobody's.
fn untouched(name: &str, value: &str) -> Option<Finding> {
    let sample = ["example.gov.tw", ":000000000000:", "00000000-0000-0000-0000-"];
    sample.iter().find(|sample| value.contains(**sample)).map(|sample| {
        Finding::new(
            format!("{name}={value} still has the sample's {sample}"),
            "Replace it in samconfig.toml; infra/README.md says by what, under Settings.",
        )
    })
}

/// What the functions would refuse at their start: the files of their layers.
#[must_use]
pub fn layers(truststore: &Path, clients: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = Truststore::load(truststore) {
        findings.push(Finding::new(
            error.to_string(),
            "Make the bundle (cargo run -- truststore build CAS --out infra/truststore/truststore.pem), and fill in \
             issuers.toml beside it.",
        ));
    }
    if let Err(problems) = Clients::load(clients) {
        let way_out = "Mend infra/clients/clients.toml; cargo run -- client check tells the same.";
        findings.extend(problems.into_iter().map(|problem| Finding::new(problem, way_out)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROD: &str = r#"
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

    fn findings(text: &str) -> Vec<String> {
        let (stage, mut found) = match Stage::read(text, "prod") {
            Ok(read) => read,
            Err(finding) => return vec![finding.what],
        };
        found.extend(stage.check(&Template::embedded().unwrap()).unwrap());
        assert!(found.iter().all(|finding| !finding.way_out.is_empty()));
        found.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_stage_that_can_be_deployed_has_no_findings() {
        assert_eq!(findings(PROD), [""; 0]);
        let (stage, _) = Stage::read(PROD, "prod").unwrap();
        let certificates: Vec<_> = stage.certificates().map(|(_, host)| host).collect();
        assert_eq!(certificates, ["id.gov.tw", "card.id.gov.tw"]);
    }

    #[test]
    fn whatever_is_in_the_way_is_named() {
        let added = |line: &str| {
            PROD.replace("    \"Stage=prod\",", &format!("    \"Stage=prod\",\n    \"{line}\","))
        };
        let replaced = |old: &str, new: &str| PROD.replace(old, new);
        let rows = [
            (added("TruststoreVersion="), "does not take the parameter \"TruststoreVersion=\""),
            (added("Nonsense=1"), "no parameter Nonsense"),
            (added("AuditLockDays=0"), "AuditLockDays=0: must be from 1 to 36500"),
            (added("LogRetentionDays=31"), "must be one of 30, 60"),
            (added("SessionHours=many"), "SessionHours=many: must be a number"),
            (added("TruststoreVersion=a b"), "TruststoreVersion=a b: must be"),
            (added("CorsOrigins=https://hr.gov.tw,"), "CorsOrigins"),
            (replaced("card.id.gov.tw", "id.gov.tw"), "cannot be the portal's host"),
            (replaced("card.id.gov.tw", "card.example.gov.tw"), "still has the sample's example.gov.tw"),
            (
                replaced("ap-northeast-1:123456789012:certificate/a", "us-east-1:123456789012:certificate/a"),
                "is in us-east-1",
            ),
            (
                replaced(
                    "    \"CardCertificateArn=arn:aws:acm:ap-northeast-1:123456789012:certificate/b\",\n",
                    "",
                ),
                "CardCertificateArn has no value",
            ),
            (replaced("[prod.", "[production."), "has no stage prod"),
            (replaced("[prod.", "[prod.."), "samconfig.toml: "),
        ];
        for (text, word) in rows {
            let found = findings(&text);
            assert!(found.iter().any(|finding| finding.contains(word)), "{word}: {found:?}");
        }
    }

    #[test]
    fn layers_that_no_function_would_start_with_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clients.toml"), "[[client]]\nid = \"x\"\n").unwrap();
        let found = layers(folder.path(), folder.path());
        assert!(found.len() >= 2, "{found:?}");
        assert!(found[0].what.contains("truststore"), "{found:?}");
    }
}

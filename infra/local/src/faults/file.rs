//! The fault file: TOML with any number of `[[fault]]`.

use std::ops::RangeInclusive;
use std::sync::atomic::AtomicU64;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Effect, Fault, When};
use crate::template::Template;
use crate::traffic::Service;

const FIELDS: [&str; 7] = ["service", "operation", "function", "calls", "probability", "seed", "effect"];

pub(super) fn parse(text: &str) -> Result<Vec<Fault>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string().trim().to_owned())?;
    if let Some(unknown) = table.keys().find(|name| *name != "fault") {
        return Err(format!("{unknown}: there is no such table; a fault begins with [[fault]]"));
    }
    let entries = match table.get("fault") {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err("fault: it is not a list; each fault begins with [[fault]]".to_owned()),
    };
    let functions = functions();
    (1..)
        .zip(entries)
        .map(|(number, entry)| {
            let entry = entry.as_table().ok_or("it has no fields; it begins with [[fault]]".to_owned());
            entry
                .and_then(|entry| read(entry, &functions))
                .map_err(|error| format!("fault {number}: {error}"))
        })
        .collect()
}

fn read(entry: &Table, functions: &[String]) -> Result<Fault, String> {
    if let Some(unknown) = entry.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("{unknown}: there is no such field; there are {}", FIELDS.join(", ")));
    }
    let text = |field: &str| match entry.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(other) => Err(format!("{field}: it is {}, not text; write it in quotes", kind(other))),
    };
    let required = |field: &str| text(field)?.ok_or_else(|| format!("{field}: it is missing"));
    let name = required("service")?;
    let service = Service::ALL.into_iter().find(|service| service.name() == name).ok_or_else(|| {
        format!("service: there is no {name:?}; write {}", list(Service::ALL.map(Service::name)))
    })?;
    let name = required("effect")?;
    let possible = Effect::ALL.into_iter().filter(|effect| effect.concerns(service));
    let effect = possible.clone().find(|effect| effect.name() == name).ok_or_else(|| {
        let names = list(possible.map(Effect::name));
        format!("effect: {} has no {name:?}; write {names}", service.name())
    })?;
    let operation = text("operation")?.filter(|name| *name != "*");
    if let Some(name) = operation.filter(|name| !service.operations().contains(name)) {
        let names = list(service.operations().iter().copied());
        return Err(format!("operation: {} has no {name:?}; write \"*\", {names}", service.name()));
    }
    let function = text("function")?;
    if let Some(name) = function.filter(|name| !functions.iter().any(|function| function == name)) {
        let names = list(functions.iter().map(String::as_str));
        return Err(format!("function: there is no {name:?}; write {names}, or leave it out"));
    }
    Ok(Fault {
        service,
        operation: operation.map(str::to_owned),
        function: function.map(str::to_owned),
        when: when(entry)?,
        effect,
        concerned: AtomicU64::new(0),
        hit: AtomicU64::new(0),
    })
}

fn when(entry: &Table) -> Result<When, String> {
    let seed = match entry.get("seed") {
        None => 1,
        Some(value) => value
            .as_integer()
            .and_then(|seed| u64::try_from(seed).ok())
            .ok_or_else(|| format!("seed: {} is no whole number from 0", shown(value)))?,
    };
    match (entry.get("calls"), entry.get("probability")) {
        (Some(_), Some(_)) => Err("probability: there are calls as well; write one of the two".to_owned()),
        (None, None) => Ok(When::Always),
        (Some(Value::String(text)), None) => calls(text).map(When::Calls),
        (Some(Value::Integer(call)), None) => calls(&call.to_string()).map(When::Calls),
        (Some(other), None) => {
            Err(format!("calls: it is {}, not text; write such as \"1-3,7\"", kind(other)))
        }
        (None, Some(value)) => {
            let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
            let probability = number
                .filter(|number| (0.0..=1.0).contains(number))
                .ok_or_else(|| format!("probability: {} is no number from 0 to 1", shown(value)))?;
            Ok(When::Chance { probability, seed })
        }
    }
}

/// Such as `1-3,7`.
fn calls(text: &str) -> Result<Vec<RangeInclusive<u64>>, String> {
    let number = |text: &str| {
        let digits = text.trim();
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse::<u64>() {
            Ok(0) => Err("calls: they are counted from 1".to_owned()),
            Ok(number) if plain => Ok(number),
            _ => Err(format!("calls: {digits:?} is no number; write such as \"1-3,7\"")),
        }
    };
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(format!(
                    "calls: {:?} ends before it begins; write the lower number first",
                    part.trim()
                ));
            }
            Ok(first..=last)
        })
        .collect()
}

/// What stands in place of a text.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// A number as it was written, or what stands in its place.
fn shown(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}

/// The functions that the template deploys.
fn functions() -> Vec<String> {
    let Ok(template) = Template::embedded() else { return Vec::new() };
    let name = |body: &Json| {
        let name = body.pointer("/Metadata/BuildProperties/Binary");
        name.and_then(Json::as_str).map(str::to_owned)
    };
    let functions = template.resources_of_type("AWS::Serverless::Function");
    let mut names: Vec<_> = functions.filter_map(|(_, body)| name(body)).collect();
    names.sort();
    names
}

fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::faults::Faults;

    #[test]
    fn an_error_names_the_entry_and_the_field() {
        let rows = [
            ("service = \"ses\"", "fault 1: effect: it is missing"),
            ("effect = \"reset\"", "fault 1: service: it is missing"),
            (
                "service = \"rds\"\neffect = \"reset\"",
                "fault 1: service: there is no \"rds\"; write \"dynamodb\"",
            ),
            ("service = 3\neffect = \"reset\"", "fault 1: service: it is a number, not text"),
            (
                "service = \"ses\"\neffect = \"explode\"",
                "fault 1: effect: ses has no \"explode\"; write \"throttle\"",
            ),
            ("service = \"ses\"\neffect = \"duplicate\"", "fault 1: effect: ses has no \"duplicate\""),
            ("service = \"kms\"\neffect = \"reorder\"", "fault 1: effect: kms has no \"reorder\""),
            ("service = \"events\"\neffect = \"reorder\"", "fault 1: effect: events has no \"reorder\""),
            (
                "service = \"ses\"\neffect = \"reset\"\noperation = \"Decrypt\"",
                "fault 1: operation: ses has no \"Decrypt\"; write \"*\", \"SendEmail\"",
            ),
            (
                "service = \"ses\"\neffect = \"reset\"\nfunction = \"dispatch\"",
                "fault 1: function: there is no \"dispatch\"; write \"account\"",
            ),
            ("service = \"ses\"\neffect = \"reset\"\ncall = \"1\"", "fault 1: call: there is no such field"),
            ("service = \"ses\"\neffect = \"reset\"\ncalls = \"\"", "fault 1: calls: \"\" is no number"),
            (
                "service = \"ses\"\neffect = \"reset\"\ncalls = \"0-2\"",
                "fault 1: calls: they are counted from 1",
            ),
            ("service = \"ses\"\neffect = \"reset\"\ncalls = \"3-1\"", "fault 1: calls: \"3-1\" ends before"),
            ("service = \"ses\"\neffect = \"reset\"\ncalls = \"1,,2\"", "fault 1: calls: \"\" is no number"),
            ("service = \"ses\"\neffect = \"reset\"\ncalls = \"1-\"", "fault 1: calls: \"\" is no number"),
            ("service = \"ses\"\neffect = \"reset\"\ncalls = \"+1\"", "fault 1: calls: \"+1\" is no number"),
            ("service = \"ses\"\neffect = \"reset\"\ncalls = -1", "fault 1: calls: \"\" is no number"),
            ("service = \"ses\"\neffect = \"reset\"\ncalls = [1]", "fault 1: calls: it is a list, not text"),
            (
                "service = \"ses\"\neffect = \"reset\"\ncalls = \"99999999999999999999\"",
                "fault 1: calls: \"99999999999999999999\" is no number",
            ),
            (
                "service = \"ses\"\neffect = \"reset\"\ncalls = \"1\"\nprobability = 0.5",
                "fault 1: probability: there are calls as well",
            ),
            (
                "service = \"ses\"\neffect = \"reset\"\nprobability = 1.1",
                "fault 1: probability: 1.1 is no number",
            ),
            (
                "service = \"ses\"\neffect = \"reset\"\nprobability = nan",
                "fault 1: probability: NaN is no number",
            ),
            (
                "service = \"ses\"\neffect = \"reset\"\nprobability = \"1\"",
                "fault 1: probability: text is no number",
            ),
            (
                "service = \"ses\"\neffect = \"reset\"\nprobability = 1\nseed = -1",
                "fault 1: seed: -1 is no whole number",
            ),
            (
                "service = \"ses\"\neffect = \"reset\"\n[[fault]]\nservice = \"ses\"",
                "fault 2: effect: it is missing",
            ),
        ];
        for (entry, expected) in rows {
            let error = Faults::parse(&format!("[[fault]]\n{entry}\n")).unwrap_err();
            assert!(error.starts_with(expected), "{entry}\n{error}");
        }
        let rows = [
            ("[fault]\nservice = \"ses\"", "fault: it is not a list"),
            ("fault = [1]", "fault 1: it has no fields"),
            ("[[faults]]\nservice = \"ses\"", "faults: there is no such table"),
            ("[[fault]\n", "TOML parse error at line 1"),
        ];
        for (text, expected) in rows {
            let error = Faults::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn a_file_may_have_any_number_of_faults() {
        assert_eq!(Faults::parse("").unwrap().hits(), [0; 0]);
        let one = "[[fault]]\nservice = \"stream\"\noperation = \"*\"\nfunction = \"email-dispatch\"\neffect = \"drop\"\n";
        assert_eq!(Faults::parse(&one.repeat(3)).unwrap().hits(), [0; 3]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.toml");
        assert!(Faults::read(&path).unwrap_err().contains("faults.toml: "));
        std::fs::write(&path, "[[fault]]\n").unwrap();
        assert!(Faults::read(&path).unwrap_err().ends_with("faults.toml: fault 1: service: it is missing"));
    }
}

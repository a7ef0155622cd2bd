//! A template's YAML as JSON, with CloudFormation's short tags in their long form (`{"Ref": …}`, `{"Fn::Sub": …}`).
//!
//! `build.rs` has it for the template, which every start of the stand-in would have to read anew.

use std::error::Error;

use serde_json::{Map, Value, json};

/// Reads a template, or a part of one.
///
/// # Errors
/// When the text is no YAML, or a map has a key that is no text.
pub(crate) fn read(text: &str) -> Result<Value, Box<dyn Error>> {
    long(serde_yaml_ng::from_str(text)?)
}

fn long(value: serde_yaml_ng::Value) -> Result<Value, Box<dyn Error>> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => {
            if let Some(whole) = number.as_i64() {
                json!(whole)
            } else {
                json!(number.as_f64())
            }
        }
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(long).collect::<Result<Vec<_>, _>>()?),
        Yaml::Mapping(entries) => {
            let mut fields = Map::new();
            for (key, field) in entries {
                let key = match long(key)? {
                    Value::String(key) => key,
                    key @ (Value::Number(_) | Value::Bool(_)) => key.to_string(),
                    key => return Err(format!("a map has the key {key}").into()),
                };
                fields.insert(key, long(field)?);
            }
            Value::Object(fields)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let argument = long(tagged.value)?;
            let name = match tag.trim_start_matches('!') {
                "Ref" => "Ref".to_owned(),
                "Condition" => "Condition".to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({ name: argument })
        }
    })
}

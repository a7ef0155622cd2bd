//! The SAM template, read as CloudFormation would: tags, parameters, conditions and intrinsic functions.
//!
//! The stand-in deploys the same `infra/template.yaml` that goes to AWS. This module knows the language of
//! templates; what the stand-in makes of the resources is in [`crate::deployment`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

#[cfg(test)]
mod form;

/// The template as built into this binary, so that the stand-in runs from any folder; as `build.rs` reads it.
const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/template.json"));

/// Why a template cannot be read or resolved.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not what the build makes of a template.
    #[error("the template that was built in cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A part has another shape than CloudFormation knows.
    #[error("the template's {place} is malformed: {reason}")]
    Malformed {
        /// Where in the template.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// A reference names nothing that the template or the stand-in knows.
    #[error("the template refers to {0}, which the stand-in cannot give a value")]
    Unresolved(String),
}

fn malformed(place: &str, reason: impl Into<String>) -> TemplateError {
    TemplateError::Malformed { place: place.to_owned(), reason: reason.into() }
}

/// A parsed template: intrinsic functions in their long form (`{"Ref": …}`, `{"Fn::Sub": …}`).
#[derive(Debug, Clone)]
pub struct Template {
    root: Value,
}

impl Template {
    /// The project's own template.
    ///
    /// # Errors
    /// When the file that was built in is not a template.
    pub fn embedded() -> Result<Self, TemplateError> {
        static READ: OnceLock<Template> = OnceLock::new();
        if let Some(read) = READ.get() {
            return Ok(read.clone());
        }
        let read = Self { root: serde_json::from_str(EMBEDDED)? };
        Ok(READ.get_or_init(|| read).clone())
    }

    /// A top-level section as a map; empty when the template has none.
    fn section(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.root.get(name).and_then(Value::as_object).into_iter().flatten()
    }

    /// All resources of one CloudFormation type, with their unresolved bodies.
    pub fn resources_of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.section("Resources")
            .filter(move |(_, body)| body.get("Type").and_then(Value::as_str) == Some(kind))
            .map(|(name, body)| (name.as_str(), body))
    }

    /// The names of the parameters that have no default.
    pub fn parameters_without_default(&self) -> impl Iterator<Item = &str> {
        self.section("Parameters")
            .filter(|(_, body)| body.get("Default").is_none())
            .map(|(name, _)| name.as_str())
    }

    /// The parameters, with their unresolved declarations.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.section("Parameters").map(|(name, body)| (name.as_str(), body))
    }

    /// Whether the template has a parameter of that name.
    #[must_use]
    pub fn has_parameter(&self, name: &str) -> bool {
        self.section("Parameters").any(|(parameter, _)| parameter == name)
    }
}

/// What a deployed resource answers to `Ref` and `Fn::GetAtt`.
#[derive(Debug, Clone, Default)]
pub struct Physical {
    /// The value of `Ref`.
    pub reference: String,
    /// The values of `Fn::GetAtt`, by attribute.
    pub attributes: BTreeMap<String, String>,
}

/// The world in which a template is resolved.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Values for parameters; the others take their defaults.
    pub parameters: BTreeMap<String, String>,
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`.
    pub account: String,
    /// `AWS::StackName`.
    pub stack_name: String,
    /// Resources that exist already, by logical id.
    pub physical: HashMap<String, Physical>,
}

/// A template together with the values that its references have.
#[derive(Debug)]
pub struct Resolver<'a> {
    template: &'a Template,
    settings: &'a Settings,
    parameters: HashMap<&'a str, Value>,
    conditions: HashMap<&'a str, bool>,
}

/// The marker for `AWS::NoValue`, which removes the property that has it.
const NO_VALUE: &str = "AWS::NoValue";

impl<'a> Resolver<'a> {
    /// Settles parameters and conditions.
    ///
    /// # Errors
    /// When a parameter has neither a value nor a default, or a condition cannot be evaluated.
    pub fn new(template: &'a Template, settings: &'a Settings) -> Result<Self, TemplateError> {
        let mut parameters = HashMap::new();
        for (name, body) in template.section("Parameters") {
            let given = settings.parameters.get(name).map(|value| Value::String(value.clone()));
            let value = given
                .or_else(|| body.get("Default").cloned())
                .ok_or_else(|| TemplateError::Unresolved(format!("the parameter {name}")))?;
            let list = body.get("Type").and_then(Value::as_str) == Some("CommaDelimitedList");
            let value = match (list, &value) {
                (true, Value::String(text)) => {
                    json!(text.split(',').map(str::trim).collect::<Vec<_>>())
                }
                _ => value,
            };
            parameters.insert(name.as_str(), value);
        }
        let mut resolver = Self { template, settings, parameters, conditions: HashMap::new() };
        for (name, _) in template.section("Conditions") {
            let holds = resolver.condition(name, &mut HashSet::new())?;
            resolver.conditions.insert(name, holds);
        }
        Ok(resolver)
    }

    /// Whether a resource exists under this deployment's conditions.
    ///
    /// # Errors
    /// When its condition is not defined.
    pub fn exists(&self, resource: &Value) -> Result<bool, TemplateError> {
        match resource.get("Condition").and_then(Value::as_str) {
            None => Ok(true),
            Some(name) => self.named_condition(name),
        }
    }

    /// What the template's rules say about these parameters: the descriptions of those that do not hold.
    ///
    /// # Errors
    /// When a rule cannot be evaluated.
    pub fn broken_rules(&self) -> Result<Vec<String>, TemplateError> {
        let mut broken = Vec::new();
        for (name, rule) in self.template.section("Rules") {
            for assertion in rule.get("Assertions").and_then(Value::as_array).into_iter().flatten() {
                let condition = assertion.get("Assert").ok_or_else(|| malformed(name, "no Assert"))?;
                if !self.evaluate(condition, &mut HashSet::new())? {
                    let description = assertion.get("AssertDescription").and_then(Value::as_str);
                    broken.push(description.unwrap_or(name).to_owned());
                }
            }
        }
        Ok(broken)
    }

    /// The value that a parameter has here.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.get(name).and_then(scalar)
    }

    /// Resolves every intrinsic function inside a value; `AWS::NoValue` removes what it stands for.
    ///
    /// # Errors
    /// When a reference has no value here or a function is used wrongly.
    pub fn resolve(&self, value: &Value) -> Result<Value, TemplateError> {
        match value {
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    let item = self.resolve(item)?;
                    if !is_no_value(&item) {
                        resolved.push(item);
                    }
                }
                Ok(Value::Array(resolved))
            }
            Value::Object(fields) => {
                if let Some((name, argument)) = intrinsic(fields) {
                    return self.call(name, argument);
                }
                let mut resolved = Map::new();
                for (name, field) in fields {
                    let field = self.resolve(field)?;
                    if !is_no_value(&field) {
                        resolved.insert(name.clone(), field);
                    }
                }
                Ok(Value::Object(resolved))
            }
            other => Ok(other.clone()),
        }
    }

    /// Resolves a value and reads it as text, numbers and booleans included.
    ///
    /// # Errors
    /// As [`Resolver::resolve`], and when the value is a list or a map.
    pub fn text(&self, value: &Value) -> Result<String, TemplateError> {
        let resolved = self.resolve(value)?;
        scalar(&resolved).ok_or_else(|| malformed("value", format!("{resolved} is not text")))
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Value, TemplateError> {
        match name {
            "Ref" => self.reference(argument.as_str().unwrap_or_default()),
            "Fn::GetAtt" => self.attribute(argument).map(Value::String),
            "Fn::Sub" => self.substitute(argument).map(Value::String),
            "Fn::If" => {
                let [condition, yes, no] = arguments(argument, name)?;
                let holds = self.named_condition(condition.as_str().unwrap_or_default())?;
                self.resolve(if holds { yes } else { no })
            }
            "Fn::Join" => {
                let [separator, parts] = arguments(argument, name)?;
                let separator = self.text(separator)?;
                let parts = self.resolve(parts)?;
                let parts: Vec<String> = parts.as_array().into_iter().flatten().filter_map(scalar).collect();
                Ok(Value::String(parts.join(&separator)))
            }
            "Fn::Select" => {
                let [index, list] = arguments(argument, name)?;
                let index: usize =
                    self.text(index)?.parse().map_err(|_| malformed(name, "the index is no number"))?;
                let list = self.resolve(list)?;
                list.get(index).cloned().ok_or_else(|| malformed(name, "the list is too short"))
            }
            "Fn::Split" => {
                let [separator, text] = arguments(argument, name)?;
                let (separator, text) = (self.text(separator)?, self.text(text)?);
                Ok(json!(text.split(separator.as_str()).collect::<Vec<_>>()))
            }
            "Fn::FindInMap" => {
                let [map, first, second] = arguments(argument, name)?;
                let (map, first, second) = (self.text(map)?, self.text(first)?, self.text(second)?);
                let found = self.template.root.get("Mappings").and_then(|maps| maps.get(&map));
                let found = found.and_then(|map| map.get(&first)).and_then(|row| row.get(&second));
                found
                    .cloned()
                    .ok_or_else(|| TemplateError::Unresolved(format!("the mapping {map}/{first}/{second}")))
            }
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" | "Condition" => {
                let mut open = HashSet::new();
                self.evaluate(&json!({ name: argument }), &mut open).map(Value::Bool)
            }
            other => Err(malformed(other, "the stand-in does not know this function")),
        }
    }

    fn pseudo(&self, name: &str) -> Option<String> {
        let settings = self.settings;
        Some(match name {
            "AWS::Region" => settings.region.clone(),
            "AWS::AccountId" => settings.account.clone(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::StackName" => settings.stack_name.clone(),
            "AWS::StackId" => {
                let Settings { region, account, stack_name, .. } = settings;
                format!("arn:aws:cloudformation:{region}:{account}:stack/{stack_name}/local")
            }
            NO_VALUE => NO_VALUE.to_owned(),
            _ => return None,
        })
    }

    fn reference(&self, name: &str) -> Result<Value, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.pseudo(name) {
            return Ok(Value::String(value));
        }
        if let Some(physical) = self.settings.physical.get(name) {
            return Ok(Value::String(physical.reference.clone()));
        }
        self.must_be_a_resource(name)?;
        // A resource that the stand-in does not make: its logical id is as good as any other name.
        Ok(Value::String(format!("{}-{name}", self.settings.stack_name)))
    }

    fn attribute(&self, argument: &Value) -> Result<String, TemplateError> {
        let path = match argument {
            Value::String(path) => path.clone(),
            Value::Array(parts) => parts.iter().filter_map(scalar).collect::<Vec<_>>().join("."),
            _ => return Err(malformed("Fn::GetAtt", "neither text nor a list")),
        };
        let (name, attribute) = path
            .split_once('.')
            .ok_or_else(|| malformed("Fn::GetAtt", format!("{path} has no attribute")))?;
        if let Some(value) =
            self.settings.physical.get(name).and_then(|physical| physical.attributes.get(attribute))
        {
            return Ok(value.clone());
        }
        self.must_be_a_resource(name)?;
        let Settings { region, account, stack_name, .. } = self.settings;
        Ok(match attribute {
            "Arn" => format!("arn:aws:local:{region}:{account}:{stack_name}-{name}"),
            other => format!("{stack_name}-{name}-{other}"),
        })
    }

    fn must_be_a_resource(&self, name: &str) -> Result<(), TemplateError> {
        // SAM makes resources of its own beside the ones written down: `FunctionRole`, `FunctionAliaslive`, …
        let known = self.template.section("Resources").any(|(resource, _)| name.starts_with(resource));
        if known { Ok(()) } else { Err(TemplateError::Unresolved(name.to_owned())) }
    }

    fn substitute(&self, argument: &Value) -> Result<String, TemplateError> {
        let (text, variables) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(parts) => {
                let text = parts.first().and_then(Value::as_str);
                (text.ok_or_else(|| malformed("Fn::Sub", "the first part is no text"))?, parts.get(1))
            }
            _ => return Err(malformed("Fn::Sub", "neither text nor a list")),
        };
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let (name, after) =
                after.split_once('}').ok_or_else(|| malformed("Fn::Sub", "a brace is not closed"))?;
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = variables.and_then(|variables| variables.get(name)) {
                result.push_str(&self.text(value)?);
            } else if name.contains('.') {
                result.push_str(&self.attribute(&Value::String(name.to_owned()))?);
            } else {
                let value = self.reference(name.trim())?;
                result.push_str(
                    &scalar(&value).ok_or_else(|| malformed("Fn::Sub", format!("{name} is a list")))?,
                );
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    fn named_condition(&self, name: &str) -> Result<bool, TemplateError> {
        match self.conditions.get(name) {
            Some(holds) => Ok(*holds),
            None => self.condition(name, &mut HashSet::new()),
        }
    }

    fn condition(&self, name: &str, open: &mut HashSet<String>) -> Result<bool, TemplateError> {
        let (_, body) = self
            .template
            .section("Conditions")
            .find(|(condition, _)| condition.as_str() == name)
            .ok_or_else(|| TemplateError::Unresolved(format!("the condition {name}")))?;
        if !open.insert(name.to_owned()) {
            return Err(malformed("Conditions", format!("{name} depends on itself")));
        }
        let holds = self.evaluate(body, open)?;
        open.remove(name);
        Ok(holds)
    }

    fn evaluate(&self, value: &Value, open: &mut HashSet<String>) -> Result<bool, TemplateError> {
        let (name, argument) = value
            .as_object()
            .and_then(intrinsic)
            .ok_or_else(|| malformed("Conditions", format!("{value} is no condition")))?;
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match name {
            "Condition" => self.condition(argument.as_str().unwrap_or_default(), open),
            "Fn::Equals" => {
                let [left, right] = arguments(argument, name)?;
                Ok(self.text(left)? == self.text(right)?)
            }
            "Fn::Not" => {
                let [inner] = arguments(argument, name)?;
                Ok(!self.evaluate(inner, open)?)
            }
            "Fn::And" => {
                for part in parts {
                    if !self.evaluate(part, open)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            "Fn::Or" => {
                for part in parts {
                    if self.evaluate(part, open)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            other => Err(malformed("Conditions", format!("{other} is no condition"))),
        }
    }
}

fn is_no_value(value: &Value) -> bool {
    value.as_str() == Some(NO_VALUE)
}

/// Text, numbers and booleans as CloudFormation writes them.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The one entry of a map that is a call of an intrinsic function.
fn intrinsic(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = fields.iter();
    let (name, argument) = entries.next()?;
    let is_call = name == "Ref" || name.starts_with("Fn::") || (name == "Condition" && argument.is_string());
    (entries.next().is_none() && is_call).then_some((name.as_str(), argument))
}

fn arguments<'v, const N: usize>(argument: &'v Value, name: &str) -> Result<[&'v Value; N], TemplateError> {
    let items: Vec<&Value> = argument.as_array().into_iter().flatten().collect();
    items.try_into().map_err(|_| malformed(name, format!("it takes {N} arguments")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r"
Parameters:
  Stage: {Type: String}
  Contact: {Type: String, Default: ''}
  Hosts: {Type: CommaDelimitedList, Default: 'a, b'}
Mappings:
  Sizes: {dev: {Memory: 256}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  HasContact: !Not [!Equals [!Ref Contact, '']]
  Both: !And [!Condition HasContact, !Not [!Condition IsProd]]
Resources:
  Key: {Type: 'AWS::KMS::Key'}
  OnlyProd: {Type: 'AWS::KMS::Key', Condition: IsProd}
";

    fn sample() -> Template {
        Template { root: form::read(SAMPLE).unwrap() }
    }

    fn settings() -> Settings {
        let attributes = BTreeMap::from([("Arn".to_owned(), "arn:key".to_owned())]);
        Settings {
            parameters: BTreeMap::from([("Stage".to_owned(), "dev".to_owned())]),
            region: "ap-east-2".into(),
            account: "123456789012".into(),
            stack_name: "local".into(),
            physical: HashMap::from([("Key".into(), Physical { reference: "id".into(), attributes })]),
        }
    }

    fn resolved(expression: &str) -> Result<Value, TemplateError> {
        let template = sample();
        let settings = settings();
        let resolver = Resolver::new(&template, &settings).unwrap();
        resolver.resolve(&form::read(expression).unwrap())
    }

    #[test]
    fn intrinsic_functions_have_their_values() {
        let rows = [
            ("!Ref Stage", json!("dev")),
            ("{Ref: Hosts}", json!(["a", "b"])),
            ("!Ref Key", json!("id")),
            ("!Ref AWS::Region", json!("ap-east-2")),
            ("!GetAtt Key.Arn", json!("arn:key")),
            ("{'Fn::GetAtt': [Key, Arn]}", json!("arn:key")),
            ("!Sub '${Stage}-${Key.Arn}-${!Literal}'", json!("dev-arn:key-${Literal}")),
            ("!Sub ['${A}/${AWS::AccountId}', {A: !Ref Stage}]", json!("dev/123456789012")),
            ("!If [IsProd, 1, 2]", json!(2)),
            ("[1, !If [IsProd, 1, !Ref AWS::NoValue]]", json!([1])),
            ("{a: !If [Both, 1, !Ref AWS::NoValue], b: 2}", json!({"b": 2})),
            ("!Join ['-', [a, !Ref Stage]]", json!("a-dev")),
            ("!Select [1, !Ref Hosts]", json!("b")),
            ("!Select [0, !Split ['/', 'x/y']]", json!("x")),
            ("!FindInMap [Sizes, !Ref Stage, Memory]", json!(256)),
        ];
        for (expression, expected) in rows {
            assert_eq!(resolved(expression).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn what_nothing_defines_is_an_error() {
        for expression in ["!Ref Nobody", "!GetAtt Nobody.Arn", "!Sub '${Nobody}'", "!If [Nope, 1, 2]"] {
            assert!(resolved(expression).is_err(), "{expression}");
        }
        let template = sample();
        let error = Resolver::new(&template, &Settings::default()).unwrap_err();
        assert!(error.to_string().contains("Stage"), "{error}");
    }

    #[test]
    fn a_condition_decides_whether_a_resource_exists() {
        let template = sample();
        let settings = settings();
        let resolver = Resolver::new(&template, &settings).unwrap();
        let exists: Vec<_> = template
            .resources_of_type("AWS::KMS::Key")
            .map(|(name, body)| (name, resolver.exists(body).unwrap()))
            .collect();
        assert_eq!(exists, [("Key", true), ("OnlyProd", false)]);
    }
}

//! The API's description, `infra/openapi.yaml`, as something that answers are held against.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::{Registry, Validator};
use serde_json::{Map, Value, json};

use crate::browser::{Answer, Host};

/// The document's text.
pub const TEXT: &str = include_str!("../../infra/openapi.yaml");

/// The same as JSON, by this crate's `build.rs`: every test is a process, and YAML takes long to read.
const AS_JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// What the document is called where one of its schemas stands alone.
const DOCUMENT: &str = "urn:contract";

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::read(AS_JSON));

/// The project's own contract.
#[must_use]
pub fn contract() -> &'static Contract {
    &CONTRACT
}

/// An OpenAPI document. Its schemas are open, as a published API's must be; here they are closed, so that an answer with
/// something that the document does not know is found.
pub struct Contract {
    document: Value,
    registry: Registry<'static>,
    /// What was made of schemas, by their text.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One operation of it.
#[derive(Debug, Clone)]
pub struct Operation<'c> {
    /// The method in upper case.
    pub method: String,
    /// The path with its parameters.
    pub path: &'c str,
    /// The operation's object.
    pub object: &'c Value,
}

impl Operation<'_> {
    /// The host that it is on.
    #[must_use]
    pub fn host(&self) -> Host {
        let servers = self.object["servers"].as_array().into_iter().flatten();
        let mut urls = servers.filter_map(|server| server["url"].as_str());
        if urls.any(|url| url.starts_with("https://card.")) { Host::Card } else { Host::Portal }
    }
}

impl Contract {
    fn read(text: &str) -> Self {
        let mut document: Value = serde_json::from_str(text).expect("the document is JSON");
        close(&mut document);
        let registry =
            Registry::new().add(DOCUMENT, document.clone()).and_then(|registry| registry.prepare());
        let registry = registry.expect("the document's references lead somewhere");
        Self { document, registry, validators: Mutex::default() }
    }

    /// The whole document, with closed schemas.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every operation.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        let paths = self.document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            let of_methods = methods.iter().filter_map(move |method| Some((*method, item.get(method)?)));
            of_methods.map(move |(method, object)| Operation { method: method.to_uppercase(), path, object })
        });
        operations.collect()
    }

    /// The operation that a call is of: the path with the fewest parameters that matches.
    #[must_use]
    pub fn operation(&self, host: Host, method: &str, path: &str) -> Option<Operation<'_>> {
        let matching = self.operations().into_iter().filter(|operation| {
            operation.host() == host
                && operation.method == method
                && (operation.path == path || matches(operation.path, path))
        });
        matching.min_by_key(|operation| (operation.path.matches('{').count(), Reverse(operation.path.len())))
    }

    /// The codes of problems that an operation may answer with.
    #[must_use]
    pub fn codes(&self, operation: &Operation<'_>) -> BTreeSet<(u16, String)> {
        self.codes_of(operation.object)
    }

    /// The codes of problems that are the answer to what no operation takes.
    #[must_use]
    pub fn codes_of_unrouted(&self) -> BTreeSet<(u16, String)> {
        self.codes_of(&self.document["x-unrouted"])
    }

    fn codes_of(&self, described: &Value) -> BTreeSet<(u16, String)> {
        let responses = described["responses"].as_object().unwrap();
        let codes = responses.iter().flat_map(|(status, response)| {
            let schema = &self.resolved(response)["content"]["application/problem+json"]["schema"];
            let parts = schema["allOf"].as_array().cloned().unwrap_or_default();
            let codes =
                parts.into_iter().filter_map(|part| part["properties"]["code"]["enum"].as_array().cloned());
            let status: u16 = status.parse().unwrap();
            codes.flatten().map(move |code| (status, code.as_str().unwrap().to_owned())).collect::<Vec<_>>()
        });
        codes.collect()
    }

    /// Follows a reference within the document.
    #[must_use]
    pub fn resolved<'a>(&'a self, object: &'a Value) -> &'a Value {
        match object.get("$ref").and_then(Value::as_str) {
            None => object,
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("references stay in the document");
                self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
            }
        }
    }

    /// A validator of one of the document's schemas.
    ///
    /// # Panics
    /// When it is no schema.
    #[must_use]
    pub fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let made = validators.entry(schema.to_string()).or_insert_with(|| {
            let mut alone = schema.clone();
            refer(&mut alone);
            let options = jsonschema::options().with_registry(&self.registry).should_validate_formats(true);
            Arc::new(options.build(&alone).expect("a JSON schema"))
        });
        Arc::clone(made)
    }

    /// What is wrong with a value, by one of the document's schemas.
    #[must_use]
    pub fn deviations(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// Holds an answer against the document.
    ///
    /// # Panics
    /// When it deviates.
    pub(crate) fn check(&self, answer: &Answer) {
        if answer.is_the_gateways() {
            return;
        }
        let operation = self.operation(answer.host, &answer.method, answer.path_only());
        // A method that a path does not take is no operation's, though the pages' path looks like every path.
        let described = match &operation {
            Some(operation) if answer.status != 405 => operation.object,
            _ => &self.document["x-unrouted"],
        };
        let response = &described["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{} is not in openapi.yaml:\n{answer}", answer.status);
        let response = self.resolved(response);
        self.check_headers(response, answer);
        self.check_content(response, answer);
        if let Some(operation) = operation.filter(|_| answer.status < 300) {
            self.check_request(&operation, answer);
        }
    }

    fn check_headers(&self, response: &Value, answer: &Answer) {
        let none = Map::new();
        let declared = response["headers"].as_object().unwrap_or(&none);
        for (name, header) in declared {
            let header = self.resolved(header);
            match answer.header(name) {
                Some(value) => {
                    let deviations = self.deviations(&header["schema"], &json!(value));
                    assert!(deviations.is_empty(), "{name}: {deviations:?}\n{answer}");
                }
                None => assert_ne!(header["required"], json!(true), "{name} is missing:\n{answer}"),
            }
        }
        for name in ["set-cookie", "location", "retry-after", "www-authenticate"] {
            let known = declared.keys().any(|declared| declared.eq_ignore_ascii_case(name));
            assert!(known || answer.header(name).is_none(), "{name} is not in openapi.yaml:\n{answer}");
        }
    }

    fn check_content(&self, response: &Value, answer: &Answer) {
        let Some(content) = response["content"].as_object() else {
            assert_eq!(answer.text, "", "a body that is not in openapi.yaml:\n{answer}");
            return;
        };
        let kind = answer.header("content-type").unwrap_or_default();
        let media = content.get(kind).unwrap_or_else(|| panic!("{kind} is not in openapi.yaml:\n{answer}"));
        if kind.contains("json") {
            let deviations = self.deviations(&media["schema"], &answer.body);
            assert!(deviations.is_empty(), "{deviations:#?}\n{answer}");
        }
    }

    /// What was accepted is what the document says would be.
    fn check_request(&self, operation: &Operation<'_>, answer: &Answer) {
        let content = &operation.object["requestBody"]["content"];
        let kinds = ["application/json", "application/x-www-form-urlencoded"];
        let schema = kinds.iter().map(|kind| &content[*kind]["schema"]).find(|schema| schema.is_object());
        let schema = schema.unwrap_or(&Value::Null);
        match &answer.sent {
            // A file: its reader says what is accepted.
            Some(_) if content["text/csv"].is_object() => {}
            Some(sent) if schema.is_object() => {
                let deviations = self.deviations(schema, sent);
                assert!(deviations.is_empty(), "accepted, but not by openapi.yaml: {deviations:?}\n{answer}");
            }
            Some(_) => panic!("a body was accepted that is not in openapi.yaml:\n{answer}"),
            None => assert_ne!(operation.object["requestBody"]["required"], json!(true), "{answer}"),
        }
    }
}

/// Whether a path is one of a template: a parameter takes one segment, and that of the pages, which stands alone, any number.
fn matches(template: &str, path: &str) -> bool {
    if template.starts_with("/{") && template.matches('/').count() == 1 {
        return path.len() > 1;
    }
    let (mut left, mut right) = (template.split('/'), path.split('/'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(part), Some(segment)) if part.starts_with('{') => {
                if segment.is_empty() {
                    return false;
                }
            }
            (Some(part), Some(segment)) if part == segment => {}
            _ => return false,
        }
    }
}

/// Makes references within the document such that they lead there from outside.
fn refer(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && reference.starts_with('#')
            {
                reference.insert_str(0, DOCUMENT);
            }
            fields.values_mut().for_each(refer);
        }
        Value::Array(values) => values.iter_mut().for_each(refer),
        _ => {}
    }
}

/// Makes every object schema refuse properties that it does not name.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

//! IAM, as far as the template uses it: what a role and the policy of a key allow.
//!
//! Each function calls the stand-in's services under an access key of its own, its name, so that a call that its role
//! in the template does not allow is refused here as it would be on AWS; so does whoever takes the name of one of the
//! template's other roles, such as `roster-import`. Every other access key may do everything: the stand-in itself, its
//! operator, tests. What the template says and this module does not know is an error at the start, never a permission.
//!
//! To support another condition operator, add it to `Operator`; another service says what a call needs in `calls`.

use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::template::{Resolver, Template, TemplateError, scalar};

/// One action on one resource, with what a policy's conditions may ask about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
    /// Condition keys and their values.
    pub context: BTreeMap<String, String>,
}

impl Call {
    /// A call about which conditions can ask nothing.
    #[must_use]
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// With the value of one more condition key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }
}

/// A call that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "User: {role}/{access_key} is not authorized to perform: {action} on resource: {resource} because no {policy} policy \
     allows the {action} action"
)]
pub struct Denial {
    access_key: String,
    role: String,
    action: String,
    resource: String,
    policy: &'static str,
}

impl Denial {
    /// Notes the denial: a function that meets one has too small a role.
    pub(crate) fn log(&self) {
        tracing::error!(
            access_key = self.access_key,
            action = self.action,
            resource = self.resource,
            "access denied"
        );
    }

    /// The denial as the services answer it; their protocols differ in the status alone.
    pub(crate) fn response(&self, status: StatusCode) -> Response<Body> {
        self.log();
        let body = json!({ "__type": "AccessDeniedException", "Message": self.to_string() });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert("x-amzn-errortype", HeaderValue::from_static("AccessDeniedException"));
        response
    }
}

/// The template's permissions.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    /// By access key: a function's name, or a role's.
    roles: HashMap<String, Role>,
    /// The policies of keys, by ARN.
    keys: HashMap<String, Vec<Statement>>,
    /// What the policies of tables forbid, by ARN.
    tables: HashMap<String, Vec<Statement>>,
}

#[derive(Debug, Clone)]
struct Role {
    arn: String,
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    StringEquals,
    StringLike,
}

impl Permissions {
    /// Reads all roles and the policies of all keys.
    ///
    /// # Errors
    /// When a policy is malformed or has something that is not understood here.
    pub fn read(template: &Template, resolver: &Resolver<'_>) -> Result<Self, TemplateError> {
        let mut permissions = Self::default();
        let account = resolver.text(&json!({ "Ref": "AWS::AccountId" }))?;
        let stack = resolver.text(&json!({ "Ref": "AWS::StackName" }))?;
        let mut names = HashMap::new();
        for (logical_id, body) in template.resources_of_type("AWS::IAM::Role") {
            let properties = resolver.resolve(body.get("Properties").unwrap_or(&Value::Null))?;
            let full = properties.get("RoleName").and_then(Value::as_str);
            let full = full.ok_or_else(|| malformed(logical_id, "a role without a name"))?;
            let name = full.strip_prefix(&format!("{stack}-")).unwrap_or(full).to_owned();
            let mut statements = Vec::new();
            for policy in properties.get("Policies").and_then(Value::as_array).into_iter().flatten() {
                statements.extend(Statement::read_all(logical_id, policy.get("PolicyDocument"))?);
            }
            let arn = format!("arn:aws:iam::{account}:role/{full}");
            names.insert(logical_id, name.clone());
            permissions.roles.insert(name, Role { arn, statements });
        }
        for (logical_id, body) in template.resources_of_type("AWS::Serverless::Function") {
            let function = body.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str);
            let role = body.pointer("/Properties/Role").and_then(role_of).and_then(|role| names.get(role));
            if function.is_none() || role.map(String::as_str) != function {
                return Err(malformed(logical_id, "its Role is not the !GetAtt of the role with its name"));
            }
        }
        for (logical_id, body) in template.resources_of_type("AWS::KMS::Key") {
            if resolver.exists(body)? {
                let arn = resolver.text(&json!({ "Fn::GetAtt": [logical_id, "Arn"] }))?;
                let policy =
                    resolver.resolve(body.pointer("/Properties/KeyPolicy").unwrap_or(&Value::Null))?;
                // The principal is the account in each: who in it is left to conditions and roles.
                permissions.keys.insert(arn, Statement::read_all(logical_id, Some(&policy))?);
            }
        }
        for (logical_id, body) in template.resources_of_type("AWS::DynamoDB::Table") {
            let policy = body.pointer("/Properties/ResourcePolicy/PolicyDocument");
            if let (Some(policy), true) = (policy, resolver.exists(body)?) {
                let arn = resolver.text(&json!({ "Fn::GetAtt": [logical_id, "Arn"] }))?;
                let statements = Statement::read_all(logical_id, Some(&resolver.resolve(policy)?))?;
                if statements.iter().any(|statement| statement.allows) {
                    return Err(malformed(logical_id, "a table's policy that allows is not understood here"));
                }
                permissions.tables.insert(arn, statements);
            }
        }
        Ok(permissions)
    }

    /// Every statement, as it was read.
    #[must_use]
    pub fn written(&self) -> Value {
        let all = |statements: &[Statement]| statements.iter().map(Statement::written).collect::<Vec<_>>();
        let by_arn = |statements: &HashMap<String, Vec<Statement>>| {
            statements
                .iter()
                .map(|(arn, statements)| (arn.clone(), json!(all(statements))))
                .collect::<Value>()
        };
        let roles = self.roles.iter();
        json!({
            "roles": roles.map(|(name, role)| (name.clone(), json!(all(&role.statements)))).collect::<Value>(),
            "keys": by_arn(&self.keys),
            "tables": by_arn(&self.tables),
        })
    }

    /// Whether the bearer of an access key may make these calls, all of them.
    ///
    /// # Errors
    /// The first call that is not allowed.
    pub fn check(&self, access_key: &str, calls: impl FnOnce() -> Vec<Call>) -> Result<(), Denial> {
        let Some(role) = self.roles.get(access_key) else { return Ok(()) };
        for call in calls() {
            let call = call.with("aws:PrincipalArn", &role.arn);
            let denial = |policy| Denial {
                access_key: access_key.to_owned(),
                role: role.arn.clone(),
                action: call.action.clone(),
                resource: call.resource.clone(),
                policy,
            };
            if !allowed(&role.statements, &call) {
                return Err(denial("identity-based"));
            }
            // Its only statements are denials.
            let forbidden = self.tables.get(&call.resource).into_iter().flatten();
            if forbidden.into_iter().any(|statement| statement.concerns(&call)) {
                return Err(denial("resource-based"));
            }
            if call.action.starts_with("kms:")
                && !self.keys.get(&call.resource).is_some_and(|policy| allowed(policy, &call))
            {
                return Err(denial("resource-based"));
            }
        }
        Ok(())
    }
}

fn malformed(place: &str, reason: impl Into<String>) -> TemplateError {
    TemplateError::Malformed { place: place.to_owned(), reason: reason.into() }
}

/// The logical id in `!GetAtt Role.Arn`.
fn role_of(value: &Value) -> Option<&str> {
    match value.get("Fn::GetAtt")? {
        Value::String(path) => path.strip_suffix(".Arn"),
        Value::Array(parts) => parts.first().and_then(Value::as_str),
        _ => None,
    }
}

/// An explicit denial beats every permission.
fn allowed(statements: &[Statement], call: &Call) -> bool {
    let mut concerned = statements.iter().filter(|statement| statement.concerns(call)).peekable();
    concerned.peek().is_some() && concerned.all(|statement| statement.allows)
}

impl Statement {
    fn read_all(place: &str, document: Option<&Value>) -> Result<Vec<Self>, TemplateError> {
        let statements = document.and_then(|document| document.get("Statement")).and_then(Value::as_array);
        let statements = statements.ok_or_else(|| malformed(place, "a policy without statements"))?;
        statements.iter().map(|statement| Self::read(place, statement)).collect()
    }

    fn read(place: &str, statement: &Value) -> Result<Self, TemplateError> {
        let allows = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(malformed(place, "a statement that neither allows nor denies")),
        };
        for unknown in ["NotAction", "NotResource", "NotPrincipal"] {
            if statement.get(unknown).is_some() {
                return Err(malformed(place, format!("{unknown} is not understood here")));
            }
        }
        let list = |name: &str| {
            let values = statement.get(name).map(texts).filter(|values| !values.is_empty());
            values.ok_or_else(|| malformed(place, format!("a statement without {name}")))
        };
        let mut conditions = Vec::new();
        for (operator, keys) in statement.get("Condition").and_then(Value::as_object).into_iter().flatten() {
            let operator = match operator.as_str() {
                "StringEquals" => Operator::StringEquals,
                // Both take wildcards.
                "StringLike" | "ArnLike" | "ArnEquals" => Operator::StringLike,
                other => {
                    return Err(malformed(place, format!("the condition {other} is not understood here")));
                }
            };
            for (key, values) in keys.as_object().into_iter().flatten() {
                conditions.push(Condition { operator, key: key.clone(), values: texts(values) });
            }
        }
        Ok(Self { allows, actions: list("Action")?, resources: list("Resource")?, conditions })
    }

    fn written(&self) -> Value {
        let conditions = self.conditions.iter().map(|condition| {
            let operator = match condition.operator {
                Operator::StringEquals => "StringEquals",
                Operator::StringLike => "StringLike",
            };
            json!([operator, condition.key, condition.values])
        });
        json!({
            "effect": if self.allows { "Allow" } else { "Deny" },
            "actions": self.actions,
            "resources": self.resources,
            "conditions": conditions.collect::<Vec<_>>(),
        })
    }

    fn concerns(&self, call: &Call) -> bool {
        let action = call.action.to_lowercase();
        self.actions.iter().any(|pattern| matches(&pattern.to_lowercase(), &action))
            && self.resources.iter().any(|pattern| matches(pattern, &call.resource))
            && self.conditions.iter().all(|condition| condition.holds(call))
    }
}

impl Condition {
    /// A key that the call does not have meets no condition.
    fn holds(&self, call: &Call) -> bool {
        call.context.get(&self.key).is_some_and(|actual| {
            self.values.iter().any(|value| match self.operator {
                Operator::StringEquals => value == actual,
                Operator::StringLike => matches(value, actual),
            })
        })
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(scalar).collect(),
        one => scalar(one).into_iter().collect(),
    }
}

/// Whether a text matches a pattern, where `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|tail| {
            tail.char_indices()
                .map(|(at, _)| at)
                .chain([tail.len()])
                .any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

/// The access key that a request is signed with (Signature Version 4).
pub(crate) fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    credential.split('/').next()
}

/// What requests of each service need to be allowed.
pub(crate) mod calls {
    use serde_json::Value;

    use super::Call;

    /// A DynamoDB request: each table, and each part of a transaction, by itself.
    pub(crate) fn dynamodb(operation: &str, request: &Value, place: &str) -> Vec<Call> {
        let arn = |table: &str| match table.starts_with("arn:") {
            true => table.to_owned(),
            false => format!("arn:aws:dynamodb:{place}:table/{table}"),
        };
        let call = |action: &str, table: &str| Call::new(format!("dynamodb:{action}"), arn(table));
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match operation {
            "BatchGetItem" | "BatchWriteItem" => {
                let tables = request.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
                tables.map(|(table, _)| call(operation, table)).collect()
            }
            "TransactWriteItems" | "TransactGetItems" => {
                let items = request.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
                let parts = items.filter_map(Value::as_object).flatten();
                parts
                    .map(|(kind, part)| {
                        let action = match kind.as_str() {
                            "ConditionCheck" => "ConditionCheckItem".to_owned(),
                            kind => format!("{kind}Item"),
                        };
                        call(&action, &text(part, "TableName"))
                    })
                    .collect()
            }
            "ListTables" => vec![Call::new("dynamodb:ListTables", "*")],
            "Query" | "Scan" => {
                let index = text(request, "IndexName");
                let mut call = call(operation, &text(request, "TableName"));
                if !index.is_empty() {
                    call.resource = format!("{}/index/{index}", call.resource);
                }
                vec![call]
            }
            _ => vec![call(operation, &text(request, "TableName"))],
        }
    }

    /// A KMS request under the key with this ARN.
    pub(crate) fn kms(operation: &str, request: &Value, key: &str) -> Call {
        let mut call = Call::new(format!("kms:{operation}"), key);
        for field in ["MacAlgorithm", "SigningAlgorithm", "MessageType"] {
            if let Some(value) = request.get(field).and_then(Value::as_str) {
                call = call.with(format!("kms:{field}"), value);
            }
        }
        let context = request.get("EncryptionContext").and_then(Value::as_object);
        for (name, value) in context.into_iter().flatten() {
            call = call.with(format!("kms:EncryptionContext:{name}"), value.as_str().unwrap_or_default());
        }
        call
    }

    /// An S3 request on a bucket, or on an object of it. A list asks for a prefix; a request may name a version, and may set
    /// or pass over a retention.
    pub(crate) fn s3(
        operation: &str,
        (bucket, key): (&str, &str),
        prefix: &str,
        (version, retention): (bool, bool),
    ) -> Vec<Call> {
        let all = format!("arn:aws:s3:::{bucket}");
        let one = format!("{all}/{key}");
        let with =
            |plain: &str, of_version: &str| if version { of_version.to_owned() } else { plain.to_owned() };
        let list = |action: &str| vec![Call::new(action, &*all).with("s3:prefix", prefix)];
        let also = |action: String, more: &str| {
            let more = retention.then(|| Call::new(more, &*one));
            [Call::new(action, &*one)].into_iter().chain(more).collect()
        };
        match operation {
            "ListObjectsV2" | "HeadBucket" => list("s3:ListBucket"),
            "ListObjectVersions" => list("s3:ListBucketVersions"),
            "GetObject" | "HeadObject" => vec![Call::new(with("s3:GetObject", "s3:GetObjectVersion"), one)],
            "PutObject" => also("s3:PutObject".to_owned(), "s3:PutObjectRetention"),
            "DeleteObject" => {
                also(with("s3:DeleteObject", "s3:DeleteObjectVersion"), "s3:BypassGovernanceRetention")
            }
            other => vec![Call::new(format!("s3:{other}"), one)],
        }
    }

    /// A request to a queue with this ARN.
    pub(crate) fn queue(operation: &str, arn: &str) -> Call {
        Call::new(format!("sqs:{operation}"), arn)
    }

    /// The look at SES's quota.
    pub(crate) fn mail_account() -> Call {
        Call::new("ses:GetAccount", "*")
    }

    /// A raw message through SES's `SendEmail`, which SES authorizes as `SendRawEmail`.
    pub(crate) fn raw_mail(identity: &str, from: &str) -> Call {
        Call::new("ses:SendRawEmail", identity).with("ses:FromAddress", from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let rows = [
            ("kms:Get*", "kms:GetPublicKey", true),
            ("kms:Get*", "kms:Get", true),
            ("kms:Get*", "kms:Sign", false),
            ("*", "", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("密*", "密鑰", true),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_request_names_its_access_key() {
        let mut headers = HeaderMap::new();
        assert_eq!(access_key(&headers), None);
        let text =
            "AWS4-HMAC-SHA256 Credential=portal/20260102/ap-east-2/kms/aws4_request, SignedHeaders=host";
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(text));
        assert_eq!(access_key(&headers), Some("portal"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let rows = [
            json!({"Effect": "Perhaps", "Action": "a", "Resource": "*"}),
            json!({"Effect": "Allow", "NotAction": "a", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "a"}),
            json!({"Effect": "Allow", "Action": "a", "Resource": "*", "Condition": {"NumericEquals": {"k": 1}}}),
        ];
        for statement in rows {
            assert!(Statement::read("role", &statement).is_err(), "{statement}");
        }
    }

    #[test]
    fn a_denial_beats_a_permission() {
        let statement = |effect: &str, action: &str| {
            Statement::read("role", &json!({"Effect": effect, "Action": action, "Resource": "*"})).unwrap()
        };
        let call = Call::new("s3:GetObject", "arn");
        assert!(allowed(&[statement("Allow", "s3:*")], &call));
        assert!(!allowed(&[statement("Allow", "s3:*"), statement("Deny", "s3:Get*")], &call));
        assert!(!allowed(&[], &call));
    }

    #[test]
    fn a_transaction_needs_each_of_its_parts() {
        let request = json!({"TransactItems": [
            {"Put": {"TableName": "A"}}, {"Update": {"TableName": "B"}}, {"Delete": {"TableName": "A"}},
            {"ConditionCheck": {"TableName": "C"}},
        ]});
        let calls = calls::dynamodb("TransactWriteItems", &request, "r:1");
        let calls: Vec<_> = calls.iter().map(|call| format!("{} {}", call.action, call.resource)).collect();
        let arn = "arn:aws:dynamodb:r:1:table";
        let expected = ["PutItem A", "UpdateItem B", "DeleteItem A", "ConditionCheckItem C"];
        let expected = expected.map(|part| part.split_once(' ').unwrap());
        assert_eq!(calls, expected.map(|(action, table)| format!("dynamodb:{action} {arn}/{table}")));
    }
}

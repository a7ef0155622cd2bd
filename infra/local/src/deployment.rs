//! What the stand-in makes of the template's resources: functions and their variables, routes, tables, keys, the
//! stream mapping, schedules, the sender of mails.
//!
//! A resource type that the stand-in does not need (roles, alarms, logs) is passed over. To support another one,
//! read it here into a type of its own and build it in [`crate::stack`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::gateway::cors::Cors;
use crate::kms::{KeyDeclaration, KeySpec};
use crate::stream::{Filter, Mapping, VIEW};
use crate::template::{Physical, Resolver, Template, TemplateError, scalar};

/// Logical ids that the gateway goes by.
pub(crate) const PORTAL_API: &str = "PortalApi";
/// The API behind mutual TLS.
pub(crate) const CARD_API: &str = "CardApi";

/// A function as the template deploys it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDeclaration {
    /// The crate and binary, such as `password-login`.
    pub name: String,
    /// Its environment variables, resolved.
    pub environment: BTreeMap<String, String>,
    /// Seconds after which Lambda ends an invocation.
    pub timeout_seconds: u64,
}

/// A route of one of the HTTP APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteDeclaration {
    /// The API's logical id.
    pub api: String,
    /// The method in upper case, or `ANY`.
    pub method: String,
    /// The path with its parameters, such as `/v1/hr/password-resets/{reset_id}`.
    pub path: String,
    /// The function behind it.
    pub function: String,
}

/// A schedule that starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleDeclaration {
    /// The name of the rule: function and event, as in `RevocationSyncFunction.Lists`.
    pub rule: String,
    /// The function that it starts.
    pub function: String,
    /// The time from one start to the next.
    pub every: Duration,
}

/// A rule of EventBridge that starts a function.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleDeclaration {
    /// The function that it starts.
    pub function: String,
    /// The events that it matches.
    pub pattern: Filter,
}

/// A table to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDeclaration {
    /// The resource's logical id.
    pub logical_id: String,
    /// The table's name.
    pub name: String,
    /// The `CreateTable` request.
    pub request: Value,
    /// The attribute that holds the time to live.
    pub ttl_attribute: Option<String>,
}

/// A bucket of S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketDeclaration {
    /// The resource's logical id.
    pub logical_id: String,
    /// The bucket's name.
    pub name: String,
    /// Whether a put leaves the version before it.
    pub versioned: bool,
    /// Whether versions can be locked.
    pub object_lock: bool,
    /// The retention that a version gets of itself: its mode, and days.
    pub retention: Option<(String, u32)>,
    /// Whether EventBridge is told what is put into it.
    pub tells_event_bridge: bool,
}

/// Everything that the stand-in deploys.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// The functions, by name.
    pub functions: Vec<FunctionDeclaration>,
    /// The routes of both APIs.
    pub routes: Vec<RouteDeclaration>,
    /// The names under which the APIs are reached: an API's logical id, and the custom domain with its port if any.
    pub domains: Vec<(String, String)>,
    /// What the APIs allow pages of other origins, by the API's logical id, where they are configured to.
    pub cors: BTreeMap<String, Cors>,
    /// The streams that start functions.
    pub mappings: Vec<Mapping>,
    /// The schedules that start functions.
    pub schedules: Vec<ScheduleDeclaration>,
    /// The rules by which events of AWS start functions.
    pub rules: Vec<RuleDeclaration>,
    /// Aliases of keys: `alias/…` and the key's id.
    pub aliases: Vec<(String, String)>,
    /// Addresses and domains that may send mail.
    pub sender_identities: Vec<String>,
    /// SES configuration sets.
    pub configuration_sets: Vec<String>,
    /// The kinds of SES's events that go to EventBridge, as the template names them (`delivery`, …).
    pub published_mail_events: Vec<String>,
}

fn malformed(place: &str, reason: impl Into<String>) -> TemplateError {
    TemplateError::Malformed { place: place.to_owned(), reason: reason.into() }
}

fn properties(body: &Value) -> &Value {
    body.get("Properties").unwrap_or(&Value::Null)
}

/// The live resources of a type with their resolved properties.
fn resolved<'a>(
    resolver: &Resolver<'_>,
    template: &'a Template,
    kind: &'a str,
) -> Result<Vec<(&'a str, Value)>, TemplateError> {
    let mut found = Vec::new();
    for (name, body) in template.resources_of_type(kind) {
        if resolver.exists(body)? {
            found.push((name, resolver.resolve(properties(body))?));
        }
    }
    Ok(found)
}

fn text<'v>(properties: &'v Value, name: &str) -> Option<&'v str> {
    properties.get(name).and_then(Value::as_str)
}

fn whole(properties: &Value, name: &str) -> Option<u64> {
    properties.get(name).and_then(scalar).and_then(|text| text.parse().ok())
}

/// The keys that the template declares. They come first: everything else refers to their ids.
///
/// # Errors
/// When a key is of a kind that the stand-in cannot make.
pub fn keys(template: &Template, resolver: &Resolver<'_>) -> Result<Vec<KeyDeclaration>, TemplateError> {
    let mut keys = Vec::new();
    for (logical_id, body) in template.resources_of_type("AWS::KMS::Key") {
        if !resolver.exists(body)? {
            continue;
        }
        let field = |name: &str| properties(body).get(name).map(|value| resolver.text(value)).transpose();
        let spec = field("KeySpec")?.unwrap_or_else(|| "SYMMETRIC_DEFAULT".to_owned());
        let spec = KeySpec::named(&spec)
            .ok_or_else(|| malformed(logical_id, format!("no keys of kind {spec} here")))?;
        keys.push(KeyDeclaration {
            logical_id: logical_id.to_owned(),
            spec,
            description: field("Description")?.unwrap_or_default(),
        });
    }
    Ok(keys)
}

/// The tables that the template declares.
///
/// # Errors
/// When a table's properties cannot be resolved.
pub fn tables(
    template: &Template,
    resolver: &Resolver<'_>,
    stack_name: &str,
) -> Result<Vec<TableDeclaration>, TemplateError> {
    let mut tables = Vec::new();
    for (logical_id, body) in template.resources_of_type("AWS::DynamoDB::Table") {
        if !resolver.exists(body)? {
            continue;
        }
        let property =
            |name: &str| properties(body).get(name).map(|value| resolver.resolve(value)).transpose();
        let name = match property("TableName")? {
            Some(Value::String(name)) => name,
            _ => format!("{stack_name}-{logical_id}"),
        };
        let mut request = Map::new();
        request.insert("TableName".to_owned(), json!(name));
        request.insert("BillingMode".to_owned(), json!("PAY_PER_REQUEST"));
        // Encryption, recovery and deletion protection say how AWS keeps the data; here it is files of a test.
        for kept in ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
            if let Some(value) = property(kept)? {
                request.insert(kept.to_owned(), value);
            }
        }
        if let Some(view) =
            property("StreamSpecification")?.as_ref().and_then(|stream| text(stream, "StreamViewType"))
        {
            if view != VIEW {
                return Err(malformed(
                    logical_id,
                    format!("streams of {VIEW} alone here, and not of {view}"),
                ));
            }
            let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
            request.insert("StreamSpecification".to_owned(), stream);
        }
        let ttl = property("TimeToLiveSpecification")?;
        tables.push(TableDeclaration {
            logical_id: logical_id.to_owned(),
            name,
            request: Value::Object(request),
            ttl_attribute: ttl.as_ref().and_then(|ttl| text(ttl, "AttributeName")).map(str::to_owned),
        });
    }
    Ok(tables)
}

/// The buckets that the template declares.
///
/// # Errors
/// When one has properties that cannot be resolved.
pub fn buckets(
    template: &Template,
    resolver: &Resolver<'_>,
    stack_name: &str,
) -> Result<Vec<BucketDeclaration>, TemplateError> {
    let mut buckets = Vec::new();
    for (logical_id, bucket) in resolved(resolver, template, "AWS::S3::Bucket")? {
        let flag = |value: Option<&Value>| value.and_then(scalar).is_some_and(|value| value == "true");
        let status = bucket.pointer("/VersioningConfiguration/Status").and_then(Value::as_str);
        let retention = bucket.pointer("/ObjectLockConfiguration/Rule/DefaultRetention");
        let retention = retention.map(|retention| {
            let mode = text(retention, "Mode").unwrap_or("COMPLIANCE").to_owned();
            let years = whole(retention, "Years").map(|years| years.saturating_mul(365));
            let days = whole(retention, "Days").or(years).and_then(|days| u32::try_from(days).ok());
            days.map(|days| (mode, days)).ok_or_else(|| malformed(logical_id, "a retention without a length"))
        });
        let events = bucket.pointer("/NotificationConfiguration/EventBridgeConfiguration/EventBridgeEnabled");
        buckets.push(BucketDeclaration {
            logical_id: logical_id.to_owned(),
            // AWS makes names of its own out of stack and id; in lower case, as S3 has it.
            name: text(&bucket, "BucketName")
                .map_or_else(|| format!("{stack_name}-{logical_id}").to_lowercase(), str::to_owned),
            versioned: status == Some("Enabled"),
            object_lock: flag(bucket.get("ObjectLockEnabled")),
            retention: retention.transpose()?,
            tells_event_bridge: flag(events),
        });
    }
    Ok(buckets)
}

/// The sender's identity and the configuration sets, to which permissions refer by name.
///
/// # Errors
/// When one has properties that cannot be resolved.
pub fn mail(
    template: &Template,
    resolver: &Resolver<'_>,
) -> Result<HashMap<String, Physical>, TemplateError> {
    let mut physical = HashMap::new();
    for (kind, name) in [("AWS::SES::ConfigurationSet", "Name"), ("AWS::SES::EmailIdentity", "EmailIdentity")]
    {
        for (logical_id, resource) in resolved(resolver, template, kind)? {
            let reference =
                text(&resource, name).ok_or_else(|| malformed(logical_id, format!("no {name}")))?;
            let reference = reference.to_owned();
            physical.insert(logical_id.to_owned(), Physical { reference, attributes: BTreeMap::new() });
        }
    }
    Ok(physical)
}

/// The queues, to which functions refer by URL and permissions by ARN. `url` is where SQS listens.
///
/// # Errors
/// When one has properties that cannot be resolved.
pub fn queues(
    template: &Template,
    resolver: &Resolver<'_>,
    (region, account): (&str, &str),
    url: &str,
) -> Result<HashMap<String, Physical>, TemplateError> {
    let mut physical = HashMap::new();
    for (logical_id, _) in resolved(resolver, template, "AWS::SQS::Queue")? {
        let attributes = BTreeMap::from([
            ("Arn".to_owned(), format!("arn:aws:sqs:{region}:{account}:{logical_id}")),
            ("QueueName".to_owned(), logical_id.to_owned()),
        ]);
        let reference = format!("{url}/{account}/{logical_id}");
        physical.insert(logical_id.to_owned(), Physical { reference, attributes });
    }
    Ok(physical)
}

impl Deployment {
    /// Reads what the template deploys once its keys and tables have ids.
    ///
    /// # Errors
    /// When a reference has no value or an event source is one that the stand-in cannot play.
    pub fn read(template: &Template, resolver: &Resolver<'_>) -> Result<Self, TemplateError> {
        let mut deployment = Self::default();
        for (logical_id, body) in template.resources_of_type("AWS::Serverless::Function") {
            if resolver.exists(body)? {
                deployment.read_function(logical_id, body, resolver)?;
            }
        }
        deployment.domains = domains(template, resolver)?;
        for (logical_id, api) in resolved(resolver, template, "AWS::Serverless::HttpApi")? {
            if let Some(configuration) = api.get("CorsConfiguration") {
                deployment.cors.insert(logical_id.to_owned(), Cors::read(configuration));
            }
        }
        for (logical_id, alias) in resolved(resolver, template, "AWS::KMS::Alias")? {
            let parts = text(&alias, "AliasName").zip(text(&alias, "TargetKeyId"));
            let (name, key) = parts.ok_or_else(|| malformed(logical_id, "no name or no key"))?;
            deployment.aliases.push((name.to_owned(), key.to_owned()));
        }
        for (_, identity) in resolved(resolver, template, "AWS::SES::EmailIdentity")? {
            deployment.sender_identities.extend(text(&identity, "EmailIdentity").map(str::to_owned));
        }
        for (_, set) in resolved(resolver, template, "AWS::SES::ConfigurationSet")? {
            deployment.configuration_sets.extend(text(&set, "Name").map(str::to_owned));
        }
        for (_, destination) in resolved(resolver, template, "AWS::SES::ConfigurationSetEventDestination")? {
            if destination.pointer("/EventDestination/EventBridgeDestination").is_some() {
                let kinds = destination.pointer("/EventDestination/MatchingEventTypes");
                let kinds = kinds.and_then(Value::as_array).into_iter().flatten();
                deployment.published_mail_events.extend(kinds.filter_map(scalar));
            }
        }
        Ok(deployment)
    }

    fn read_function(
        &mut self,
        logical_id: &str,
        body: &Value,
        resolver: &Resolver<'_>,
    ) -> Result<(), TemplateError> {
        let name = body
            .pointer("/Metadata/BuildProperties/Binary")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed(logical_id, "no Metadata.BuildProperties.Binary"))?
            .to_owned();
        let mut environment = BTreeMap::new();
        let variables = body.pointer("/Properties/Environment/Variables").and_then(Value::as_object);
        for (variable, value) in variables.into_iter().flatten() {
            let value = resolver.resolve(value)?;
            if let Some(value) = scalar(&value).filter(|value| value != "AWS::NoValue") {
                environment.insert(variable.clone(), value);
            }
        }
        let timeout = properties(body).get("Timeout").map(|value| resolver.resolve(value)).transpose()?;
        let timeout_seconds =
            timeout.as_ref().and_then(scalar).and_then(|text| text.parse().ok()).unwrap_or(10);
        self.functions.push(FunctionDeclaration { name: name.clone(), environment, timeout_seconds });

        let events = properties(body).get("Events").and_then(Value::as_object);
        for (event_name, event) in events.into_iter().flatten() {
            let place = format!("{logical_id}.Events.{event_name}");
            match event.get("Type").and_then(Value::as_str) {
                Some("HttpApi") => self.read_route(&place, event, &name, resolver)?,
                Some("DynamoDB") => {
                    let event = resolver.resolve(properties(event))?;
                    self.mappings.push(read_mapping(&place, &event, &name)?);
                }
                Some("Schedule") => {
                    let event = resolver.resolve(properties(event))?;
                    let expression = text(&event, "Schedule").unwrap_or_default();
                    let every = rate(expression)
                        .ok_or_else(|| malformed(&place, format!("no schedules like {expression:?} here")))?;
                    let function = name.clone();
                    self.schedules.push(ScheduleDeclaration { rule: place, function, every });
                }
                Some("EventBridgeRule") => {
                    let event = resolver.resolve(properties(event))?;
                    let pattern = event.get("Pattern").ok_or_else(|| malformed(&place, "no Pattern"))?;
                    let pattern = Filter::parse(&pattern.to_string());
                    let pattern = pattern.map_err(|reason| malformed(&place, reason))?;
                    self.rules.push(RuleDeclaration { function: name.clone(), pattern });
                }
                other => return Err(malformed(&place, format!("no events of type {other:?} here"))),
            }
        }
        Ok(())
    }

    fn read_route(
        &mut self,
        place: &str,
        event: &Value,
        function: &str,
        resolver: &Resolver<'_>,
    ) -> Result<(), TemplateError> {
        let event = properties(event);
        // The API is named by reference: its logical id is what tells portal and card host apart.
        let api = event
            .pointer("/ApiId/Ref")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed(place, "ApiId is no !Ref"))?;
        let field = |name: &str| {
            let value = event.get(name).ok_or_else(|| malformed(place, format!("no {name}")))?;
            resolver.text(value)
        };
        // SAM makes the default route of an event that names neither.
        let (method, path) = match (event.get("Method"), event.get("Path")) {
            (None, None) => ("ANY".to_owned(), "$default".to_owned()),
            _ => (field("Method")?.to_uppercase(), field("Path")?),
        };
        self.routes.push(RouteDeclaration {
            api: api.to_owned(),
            method,
            path,
            function: function.to_owned(),
        });
        Ok(())
    }
}

/// Which custom domains lead to which API. Both are named by reference in a mapping.
fn domains(template: &Template, resolver: &Resolver<'_>) -> Result<Vec<(String, String)>, TemplateError> {
    let names: HashMap<&str, Value> =
        resolved(resolver, template, "AWS::ApiGatewayV2::DomainName")?.into_iter().collect();
    let mut domains = Vec::new();
    for (logical_id, body) in template.resources_of_type("AWS::ApiGatewayV2::ApiMapping") {
        if !resolver.exists(body)? {
            continue;
        }
        let reference = |name: &str| {
            let value = body.pointer(&format!("/Properties/{name}/Ref")).and_then(Value::as_str);
            value.ok_or_else(|| malformed(logical_id, format!("{name} is no !Ref")))
        };
        let domain = names.get(reference("DomainName")?).and_then(|domain| text(domain, "DomainName"));
        let domain = domain.ok_or_else(|| malformed(logical_id, "no such domain"))?;
        domains.push((reference("ApiId")?.to_owned(), domain.to_owned()));
    }
    Ok(domains)
}

fn read_mapping(place: &str, event: &Value, function: &str) -> Result<Mapping, TemplateError> {
    let stream = text(event, "Stream").ok_or_else(|| malformed(place, "no Stream"))?;
    let table = stream
        .split_once(":table/")
        .and_then(|(_, rest)| rest.split('/').next())
        .ok_or_else(|| malformed(place, format!("{stream} is no table's stream")))?;
    let mut filters = Vec::new();
    let patterns = event.pointer("/FilterCriteria/Filters").and_then(Value::as_array);
    for pattern in patterns.into_iter().flatten() {
        let pattern = text(pattern, "Pattern").ok_or_else(|| malformed(place, "a filter has no Pattern"))?;
        filters.push(Filter::parse(pattern).map_err(|reason| malformed(place, reason))?);
    }
    let responses = event.get("FunctionResponseTypes").and_then(Value::as_array);
    let reports = responses.into_iter().flatten().any(|kind| kind == "ReportBatchItemFailures");
    Ok(Mapping {
        name: place.to_owned(),
        table: table.to_owned(),
        stream_arn: stream.to_owned(),
        function: function.to_owned(),
        batch_size: whole(event, "BatchSize").and_then(|size| usize::try_from(size).ok()).unwrap_or(100),
        filters,
        bisects: event.get("BisectBatchOnFunctionError") == Some(&json!(true)),
        reports_item_failures: reports,
        retry_attempts: whole(event, "MaximumRetryAttempts"),
        record_age_seconds: whole(event, "MaximumRecordAgeInSeconds"),
    })
}

/// The time between two starts of a schedule like `rate(15 minutes)`.
fn rate(expression: &str) -> Option<Duration> {
    let (count, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86400,
        _ => return None,
    };
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Settings;

    /// The project's own template with keys and tables in place.
    fn deployed<T>(read: impl FnOnce(&Template, &Resolver<'_>) -> T) -> T {
        let template = Template::embedded().unwrap();
        let mut settings = Settings {
            region: "ap-east-2".into(),
            account: "123456789012".into(),
            stack_name: "stack".into(),
            ..Settings::default()
        };
        for parameter in template.parameters_without_default() {
            settings.parameters.insert(parameter.to_owned(), "given".to_owned());
        }
        settings.parameters.insert("PortalDomain".into(), "portal.localhost:1".into());
        let with_stream = |table: &str| {
            let stream = format!("arn:x:table/stack-{table}/stream/1");
            let attributes = BTreeMap::from([("StreamArn".to_owned(), stream)]);
            (table.to_owned(), Physical { reference: format!("stack-{table}"), attributes })
        };
        settings.physical = ["MailTable", "BulkTable", "AuditTable"].map(with_stream).into();
        let resolver = Resolver::new(&template, &settings).unwrap();
        read(&template, &resolver)
    }

    #[test]
    fn the_template_deploys_every_function_route_and_table() {
        let deployment = deployed(|template, resolver| Deployment::read(template, resolver).unwrap());
        let names: Vec<_> = deployment.functions.iter().map(|function| function.name.as_str()).collect();
        for name in [
            "certificate-login",
            "password-login",
            "activation",
            "session",
            "account",
            "hr-reset",
            "authorizations",
            "oidc",
            "portal",
        ] {
            assert!(names.contains(&name), "{name}");
            assert!(deployment.routes.iter().any(|route| route.function == name), "{name} has no route");
        }
        let card: Vec<_> = deployment.routes.iter().filter(|route| route.api == CARD_API).collect();
        assert_eq!(card.len(), 1);
        assert_eq!((card[0].method.as_str(), card[0].path.as_str()), ("GET", "/v1/login/certificate"));
        assert_eq!(deployment.cors, BTreeMap::new(), "no other origin by default");
        let tables = deployed(|template, resolver| tables(template, resolver, "stack").unwrap());
        assert_eq!(tables.len(), 9);
        assert!(tables.iter().any(|table| table.name == "stack-MailTable"
            && table.request["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
            && table.ttl_attribute.as_deref() == Some("ttl")));
        assert!(!deployment.sender_identities.is_empty());
    }

    #[test]
    fn environments_have_their_references_resolved() {
        let deployment = deployed(|template, resolver| Deployment::read(template, resolver).unwrap());
        let dispatch =
            deployment.functions.iter().find(|function| function.name == "email-dispatch").unwrap();
        assert_eq!(dispatch.environment["PORTAL_ORIGIN"], "https://portal.localhost:1");
        assert_eq!(dispatch.environment["MAIL_TABLE"], "stack-MailTable");
        for mapping in &deployment.mappings {
            let of = (mapping.table.as_str(), mapping.function.as_str());
            let known = [
                ("stack-MailTable", "email-dispatch"),
                ("stack-BulkTable", "bulk-reset"),
                ("stack-AuditTable", "audit-chain"),
            ];
            assert!(known.contains(&of), "{of:?}");
            assert!(mapping.bisects && mapping.reports_item_failures);
            assert!(mapping.record_age_seconds.is_some());
        }
    }

    #[test]
    fn each_new_mail_starts_one_dispatcher() {
        let deployment = deployed(|template, resolver| Deployment::read(template, resolver).unwrap());
        let started_in = |lane: &str, event: &str, pk: &str| -> Vec<&str> {
            let image = json!({"lane": {"S": lane}});
            let record =
                json!({"eventName": event, "dynamodb": {"Keys": {"pk": {"S": pk}}, "NewImage": image}});
            let started = deployment
                .mappings
                .iter()
                .filter(|mapping| mapping.filters.iter().any(|filter| filter.matches(&record)));
            started.map(|mapping| mapping.name.as_str()).collect()
        };
        let started_by = |event: &str, pk: &str| started_in("single", event, pk);
        assert_eq!(started_in("bulk", "INSERT", "reset#1"), [""; 0]);
        assert_eq!(started_in("bulk", "INSERT", "notice#1"), [""; 0]);
        assert_eq!(started_by("INSERT", "reset#1"), ["EmailDispatchFunction.Events.Resets"]);
        assert_eq!(started_by("INSERT", "notice#1"), ["EmailDispatchFunction.Events.Notices"]);
        assert_eq!(started_by("MODIFY", "reset#1"), [""; 0]);
        assert_eq!(started_by("INSERT", "address#1"), [""; 0]);
        let asked_again = |state: &str, asked: Value| {
            let image = json!({"state": {"S": state}, "asked_again": asked});
            let keys = json!({"pk": {"S": "reset#1"}});
            let record = json!({"eventName": "MODIFY", "dynamodb": {"Keys": keys, "NewImage": image}});
            deployment
                .mappings
                .iter()
                .any(|mapping| mapping.filters.iter().any(|filter| filter.matches(&record)))
        };
        assert!(asked_again("queued", json!({"S": "resend"})));
        assert!(!asked_again("queued", Value::Null) && !asked_again("sending", json!({"S": "resend"})));
    }

    #[test]
    fn a_job_that_waits_starts_one_worker() {
        let deployment = deployed(|template, resolver| Deployment::read(template, resolver).unwrap());
        let starts = |event: &str, sk: &str, state: &str| {
            let keys = json!({"pk": {"S": "bulk#1"}, "sk": {"S": sk}});
            let image = json!({"state": {"S": state}});
            let record = json!({"eventName": event, "dynamodb": {"Keys": keys, "NewImage": image}});
            let of_bulk = deployment.mappings.iter().filter(|mapping| mapping.function == "bulk-reset");
            of_bulk.flat_map(|mapping| &mapping.filters).filter(|filter| filter.matches(&record)).count()
        };
        assert_eq!(starts("MODIFY", "job", "queued"), 1);
        let nothing = [("INSERT", "job", "preview"), ("MODIFY", "job", "running"), ("MODIFY", "job", "done")];
        for (event, sk, state) in nothing.into_iter().chain([("INSERT", "row#0000002", "queued")]) {
            assert_eq!(starts(event, sk, state), 0, "{event} {sk} {state}");
        }
    }

    #[test]
    fn what_became_of_a_mail_is_told_to_one_function() {
        let deployment = deployed(|template, resolver| Deployment::read(template, resolver).unwrap());
        let mut rules = deployment.rules.iter().filter(|rule| rule.function == "mail-events");
        let (Some(rule), None) = (rules.next(), rules.next()) else { panic!("one rule") };
        let of = |kind: &str, set: &str| {
            let tags = json!({"ses:configuration-set": [set], "mail_id": ["1"]});
            let detail = json!({"mail": {"tags": tags}});
            rule.pattern.matches(&json!({"source": "aws.ses", "detail-type": kind, "detail": detail}))
        };
        let own = "stack-MailConfigurationSet";
        assert!(of("Email Bounced", own) && of("Email Delivered", own));
        assert!(!of("Email Opened", own) && !of("Email Bounced", "another"));
        assert_eq!(deployment.published_mail_events, ["delivery", "bounce", "reject", "complaint"]);
    }

    #[test]
    fn rosters_start_their_import_and_reports_do_not() {
        let deployment = deployed(|template, resolver| Deployment::read(template, resolver).unwrap());
        let started = |bucket: &str, key: &str| -> Vec<&str> {
            let detail = json!({"bucket": {"name": bucket}, "object": {"key": key}});
            let event = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail});
            let rules = deployment.rules.iter().filter(|rule| rule.pattern.matches(&event));
            rules.map(|rule| rule.function.as_str()).collect()
        };
        let bucket = "stack-RosterBucket";
        for key in ["changes/a.csv", "agencies/A01/a.csv.gz", "country/a.csv"] {
            assert_eq!(started(bucket, key), ["roster-import"], "{key}");
            assert_eq!(started("another", key), [""; 0], "{key}");
        }
        for key in ["reports/2026-01-01T00:00:00Z/changes/a.csv.json", "state/lease.json", "a.csv"] {
            assert_eq!(started(bucket, key), [""; 0], "{key}");
        }
    }

    #[test]
    fn buckets_have_their_versions_and_locks() {
        let buckets = deployed(|template, resolver| buckets(template, resolver, "stack").unwrap());
        let bucket = |id: &str| buckets.iter().find(|bucket| bucket.logical_id == id).unwrap();
        let (rosters, audit) = (bucket("RosterBucket"), bucket("AuditBucket"));
        assert!(rosters.versioned && rosters.tells_event_bridge && !rosters.object_lock);
        assert!(audit.versioned && !audit.tells_event_bridge && audit.object_lock);
        assert_eq!(audit.retention, Some(("COMPLIANCE".to_owned(), 3650)));
        assert_eq!(audit.name, "stack-auditbucket");
    }

    #[test]
    fn lists_are_fetched_and_the_outbox_is_swept_on_a_schedule() {
        let deployment = deployed(|template, resolver| Deployment::read(template, resolver).unwrap());
        let every = |function: &str| {
            let mut found = deployment.schedules.iter().filter(|schedule| schedule.function == function);
            found.next().map(|schedule| schedule.every.as_secs())
        };
        assert_eq!((every("revocation-sync"), every("email-dispatch")), (Some(900), Some(60)));
        assert_eq!(every("bulk-reset"), Some(60));
    }

    #[test]
    fn a_rate_is_a_time() {
        let rows = [
            ("rate(15 minutes)", Some(900)),
            ("rate(1 minute)", Some(60)),
            ("rate(1 hour)", Some(3600)),
            ("rate(2 days)", Some(172_800)),
            ("rate(0 minutes)", None),
            ("rate(minutes)", None),
            ("cron(0 12 * * ? *)", None),
        ];
        for (expression, seconds) in rows {
            assert_eq!(rate(expression), seconds.map(Duration::from_secs), "{expression}");
        }
    }

    #[test]
    fn the_stand_in_can_make_every_key() {
        let keys = deployed(|template, resolver| keys(template, resolver).unwrap());
        for spec in [KeySpec::Hmac256, KeySpec::EccNistP256, KeySpec::Symmetric] {
            assert!(keys.iter().any(|key| key.spec == spec), "{spec:?}");
        }
    }
}

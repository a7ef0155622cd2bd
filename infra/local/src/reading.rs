//! What the stand-in reads in the template, as JSON: `first-sign-in template`.
//!
//! CloudFormation gets another template than the one that is written: what SAM makes of it. `tests/template/stand_in.py` holds
//! this against that one, so that the stand-in deploys what AWS would. Nothing runs for it: names and ARNs are those that
//! [`crate::template`] invents for resources that the stand-in does not make.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use crate::deployment::{self, BucketDeclaration, Deployment, TableDeclaration};
use crate::gateway::cors::Cors;
use crate::permissions::Permissions;
use crate::stream::Mapping;
use crate::template::{Physical, Resolver, Settings, Template, TemplateError};

const REGION: &str = "ap-northeast-1";
const ACCOUNT: &str = "123456789012";

/// Reads the project's template as a stack of that name would be deployed with these parameters.
///
/// # Errors
/// When the stand-in cannot read it so.
pub fn read(parameters: BTreeMap<String, String>, stack: &str) -> Result<Value, TemplateError> {
    let template = Template::embedded()?;
    let settings = Settings {
        parameters,
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
        stack_name: stack.to_owned(),
        physical: tables(&template, stack),
    };
    let resolver = Resolver::new(&template, &settings)?;
    let deployment = Deployment::read(&template, &resolver)?;
    let keys = deployment::keys(&template, &resolver)?;
    let tables = deployment::tables(&template, &resolver, stack)?;
    let buckets = deployment::buckets(&template, &resolver, stack)?;
    let functions = deployment.functions.iter().map(|function| {
        let read =
            json!({ "environment": function.environment, "timeout_seconds": function.timeout_seconds });
        (function.name.clone(), read)
    });
    let routes =
        deployment.routes.iter().map(|route| json!([route.api, route.method, route.path, route.function]));
    let schedules = deployment.schedules.iter();
    let rules = deployment.rules.iter().map(|rule| json!([rule.function, rule.pattern.written()]));
    Ok(json!({
        "functions": functions.collect::<Map<_, _>>(),
        "routes": routes.collect::<Vec<_>>(),
        "domains": deployment.domains,
        "cors": deployment.cors.iter().map(|(api, cors)| (api.clone(), of_cors(cors))).collect::<Map<_, _>>(),
        "mappings": deployment.mappings.iter().map(of_mapping).collect::<Vec<_>>(),
        "schedules": schedules.map(|it| json!([it.function, it.every.as_secs()])).collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
        "tables": tables.iter().map(of_table).collect::<Map<_, _>>(),
        "buckets": buckets.iter().map(of_bucket).collect::<Map<_, _>>(),
        "keys": keys.into_iter().map(|key| (key.logical_id, json!(key.description))).collect::<Map<_, _>>(),
        "aliases": deployment.aliases,
        "sender_identities": deployment.sender_identities,
        "configuration_sets": deployment.configuration_sets,
        "published_mail_events": deployment.published_mail_events,
        "permissions": Permissions::read(&template, &resolver)?.written(),
    }))
}

/// Tables have ARNs that tell them apart, as streams are named by them.
fn tables(template: &Template, stack: &str) -> HashMap<String, Physical> {
    let tables = template.resources_of_type("AWS::DynamoDB::Table");
    let physical = tables.map(|(logical_id, _)| {
        let reference = format!("{stack}-{logical_id}");
        let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{reference}");
        let stream = format!("{arn}/stream/1");
        let attributes = BTreeMap::from([("Arn".to_owned(), arn), ("StreamArn".to_owned(), stream)]);
        (logical_id.to_owned(), Physical { reference, attributes })
    });
    physical.collect()
}

fn of_cors(cors: &Cors) -> Value {
    json!({
        "allowOrigins": cors.origins,
        "allowMethods": cors.methods,
        "allowHeaders": cors.headers,
        "exposeHeaders": cors.exposed,
        "maxAge": cors.max_age,
    })
}

fn of_mapping(mapping: &Mapping) -> Value {
    json!({
        "function": mapping.function,
        "stream": mapping.stream_arn,
        "table": mapping.table,
        "batch_size": mapping.batch_size,
        "filters": mapping.filters.iter().map(|filter| filter.written()).collect::<Vec<_>>(),
        "bisects": mapping.bisects,
        "reports_item_failures": mapping.reports_item_failures,
        "retry_attempts": mapping.retry_attempts,
        "record_age_seconds": mapping.record_age_seconds,
    })
}

fn of_table(table: &TableDeclaration) -> (String, Value) {
    let read = json!({ "name": table.name, "request": table.request, "ttl": table.ttl_attribute });
    (table.logical_id.clone(), read)
}

fn of_bucket(bucket: &BucketDeclaration) -> (String, Value) {
    let read = json!({
        "versioned": bucket.versioned,
        "object_lock": bucket.object_lock,
        "retention": bucket.retention,
        "tells_event_bridge": bucket.tells_event_bridge,
    });
    (bucket.logical_id.clone(), read)
}

//! The API's description. Every answer of every test is held against it by `tests::contract`; here it is held against the
//! template, the codes, and itself.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::problem::Code;
use tests::browser::Host;
use tests::contract::{self, contract};
use tests::world::World;

#[tokio::test]
async fn it_has_the_templates_routes_on_their_hosts() {
    let world = World::start().await;
    let deployed: BTreeSet<(String, String, String)> = world
        .stack
        .deployment
        .routes
        .iter()
        .filter(|route| route.path != "$default")
        .map(|route| (route.api.clone(), route.method.clone(), route.path.replace("+}", "}")))
        .collect();
    let described: BTreeSet<(String, String, String)> = contract()
        .operations()
        .iter()
        .map(|operation| {
            let api = match operation.host() {
                Host::Card => "CardApi",
                Host::Portal => "PortalApi",
            };
            (api.to_owned(), operation.method.clone(), operation.path.to_owned())
        })
        .collect();
    assert_eq!(described, deployed);
}

#[tokio::test]
async fn it_is_served_as_it_is() {
    let world = World::start().await;
    let answer = world.browser().get("/openapi.yaml").await.ok();
    assert_eq!(answer.text, contract::TEXT);
    let tag = answer.header("etag").unwrap().to_owned();
    let again = world.browser().request("GET", "/openapi.yaml").header("if-none-match", &tag).send().await;
    again.status(304);
}

#[test]
fn it_names_every_code_under_its_status_and_no_other() {
    let known: BTreeSet<(u16, String)> =
        Code::ALL.iter().map(|code| (code.status(), code.name().to_owned())).collect();
    let mut used = contract().codes_of_unrouted();
    used.extend(contract().operations().iter().flat_map(|operation| contract().codes(operation)));
    assert_eq!(used, known);
    let listed = &contract().document()["components"]["schemas"]["ProblemCode"]["enum"];
    assert_eq!(listed, &json!(Code::ALL.iter().map(|code| code.name()).collect::<Vec<_>>()));
}

#[test]
fn each_operation_has_an_id_of_its_own() {
    let document = contract().document();
    let paths = document["paths"].as_object().unwrap().values();
    let ids: Vec<&str> = paths
        .flat_map(|path| path.as_object().unwrap().values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    assert_eq!(ids.len(), contract().operations().len());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

#[test]
fn it_has_no_example_that_its_schemas_refuse() {
    let mut examples = Vec::new();
    media_types(contract().document(), &mut examples);
    let mut seen = 0;
    for media in examples {
        let named = media["examples"].as_object().into_iter().flat_map(|named| named.values());
        let values = named.map(|example| &example["value"]).chain(media.get("example"));
        for value in values {
            let deviations = contract().deviations(&media["schema"], value);
            assert!(deviations.is_empty(), "{value:#}: {deviations:?}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

/// Everything in the document that has a schema and an example.
fn media_types<'d>(value: &'d Value, found: &mut Vec<&'d Value>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("schema")
                && (fields.contains_key("example") || fields.contains_key("examples"))
            {
                found.push(value);
            }
            fields.values().for_each(|field| media_types(field, found));
        }
        Value::Array(values) => values.iter().for_each(|value| media_types(value, found)),
        _ => {}
    }
}

#[test]
fn its_references_lead_somewhere_and_nothing_lies_about_unused() {
    let mut used = BTreeSet::new();
    references(contract().document(), &mut used);
    for reference in &used {
        let found = contract().document().pointer(reference.strip_prefix('#').unwrap());
        assert!(found.is_some(), "{reference} leads nowhere");
    }
    for (kind, parts) in contract().document()["components"].as_object().unwrap() {
        for name in parts.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "{kind} {name} is not used");
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The checks of every test are worth what they find.
#[test]
fn an_answer_that_deviates_is_found() {
    let session = &contract().document()["components"]["schemas"]["Session"];
    let good = json!({"subject": "person", "name": "王小明", "agency": "A02", "agency_name": "範例市政府", "roles": [],
        "amr": ["sc"], "expires_at": "2026-08-03T00:15:00Z"});
    assert_eq!(contract().deviations(session, &good), [""; 0]);
    type Change = (&'static str, fn(&mut Value));
    let changes: [Change; 4] = [
        ("an unknown field", |body| body["national_id"] = json!("A123456789")),
        ("a missing field", |body| drop(body.as_object_mut().unwrap().remove("agency"))),
        ("another type", |body| body["roles"] = json!("hr_head")),
        ("no time", |body| body["expires_at"] = json!("tomorrow")),
    ];
    for (what, change) in changes {
        let mut body = good.clone();
        change(&mut body);
        assert!(!contract().deviations(session, &body).is_empty(), "{what}");
    }
}

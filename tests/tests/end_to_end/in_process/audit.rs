//! The chains of the audit trail, and its verification by the command: whatever somebody with every right to the tables does
//! to it is found and named.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::audit::canonical::Digest;
use shared::aws;
use shared::problem::Code;
use shared::s3::{Bucket, Put};
use tests::people::{WANG, ZHOU};
use tests::program::built;
use tests::table::{self, Item};
use tests::world::World;
use tokio::process::Command;
use tokio::sync::OnceCell;

static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();

const AUDIT: &str = "AUDIT_TABLE";
const CHAINS: &str = "CHAINS_TABLE";

/// A stand-in in which something has happened, all of it chained, signed three times, and old; and whose stream stands still, so
/// that nobody is told of what a test does to it.
async fn chained() -> World {
    let world = World::start().await;
    let head = world.head().await;
    head.reset(&ZHOU, None).await.status(202);
    sign(&world).await;
    let mut wang = world.signed_in(&WANG).await;
    for _ in 0..3 {
        wang.sign_in_by_password(WANG.national_id, WANG.password).await.signed_in();
    }
    sign(&world).await;
    world.pass(SignedDuration::from_hours(3));
    sign(&world).await;
    world.stack.stop_stream().await;
    world
}

async fn sign(world: &World) {
    world.stack.stream_caught_up().await;
    world.stack.run_schedules("audit-chain").await.unwrap();
}

/// What the command says of the trail, and how it ends.
async fn verify(world: &World) -> (Value, i32) {
    let data = world.stack.paths.data.to_str().unwrap();
    let program = PROGRAM.get_or_init(built).await;
    let output =
        Command::new(program).args(["audit", "verify", "--json", "--data", data]).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code().unwrap())
}

/// The kinds of what the command finds.
async fn found(world: &World) -> BTreeSet<String> {
    let (report, code) = verify(world).await;
    assert_eq!(code == 0, report["intact"].as_bool().unwrap(), "{report:#}");
    report["counts"].as_object().unwrap().keys().cloned().collect()
}

fn links(world: &World) -> Vec<Item> {
    table::items_of(&world.stack, CHAINS, "chain#")
}

/// The links of the longest chain, in their order.
fn longest(world: &World) -> Vec<Item> {
    let links = links(world);
    let of =
        |pk: &str| links.iter().filter(|link| table::text(link, "pk") == pk).cloned().collect::<Vec<_>>();
    let mut longest = links.iter().map(|link| of(table::text(link, "pk"))).max_by_key(Vec::len).unwrap();
    longest.sort_by_key(|link| table::text(link, "sk").to_owned());
    longest
}

/// The entry of a link, and where it is said to be chained.
fn of_link(world: &World, link: &Item) -> (Item, Item) {
    let (pk, sk) = (table::text(link, "entry_pk"), table::text(link, "entry_sk"));
    let is = |item: &&Item| table::text(item, "pk") == pk && table::text(item, "sk") == sk;
    let entry = table::items(&world.stack, AUDIT).iter().find(is).unwrap().clone();
    let numbers =
        |item: &Item| (format!("chain#{}", table::number(item, "chain")), table::number(item, "sequence"));
    let own = (table::text(link, "pk").to_owned(), table::text(link, "sk").parse::<i64>().unwrap());
    let places = table::items_of(&world.stack, CHAINS, "entry#");
    let place = places.iter().find(|place| numbers(place) == own).unwrap().clone();
    (entry, place)
}

fn with(item: &Item, name: &str, value: Value) -> Item {
    let mut item = item.clone();
    item.insert(name.to_owned(), value);
    item
}

fn names(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}

#[tokio::test]
async fn what_is_as_it_was_is_proved() {
    let world = chained().await;
    let (report, code) = verify(&world).await;
    assert_eq!((code, report["intact"].as_bool()), (0, Some(true)), "{report:#}");
    let entries = table::items(&world.stack, AUDIT).len();
    assert_eq!(report["entries"], json!(entries));
    assert_eq!((&report["links"], &report["pending"]), (&json!(entries), &json!(0)), "each chained once");
    assert_eq!((&report["statements"], &report["unsigned"]), (&json!(3), &json!(0)));
    assert_eq!(table::items_of(&world.stack, CHAINS, "entry#").len(), entries);
}

#[tokio::test]
async fn whatever_is_done_to_entries_and_links_is_found() {
    let world = chained().await;
    let stack = &world.stack;
    let chain = longest(&world);
    assert!(chain.len() >= 4, "{}", chain.len());
    let [first, second] = [&chain[0], &chain[1]];
    let (entry, place) = of_link(&world, second);
    let last = chain.last().unwrap();
    let (last_entry, last_place) = of_link(&world, last);

    // An attribute altered, another added.
    for altered in
        [with(&entry, "outcome", json!({"S": "not_authorized"})), with(&entry, "ttl", json!({"N": "1"}))]
    {
        table::put(stack, AUDIT, &altered);
        let (report, code) = verify(&world).await;
        let finding = &report["findings"][0];
        assert_eq!((code, finding["kind"].as_str()), (1, Some("altered")), "{report:#}");
        assert_eq!((&finding["sequence"], &finding["entry"]["sk"]), (&json!(2), &entry["sk"]["S"]));
        table::put(stack, AUDIT, &entry);
    }
    assert_eq!(found(&world).await, names(&[]));

    // An entry deleted, and one with all that is known of it, in the middle and at the end.
    table::delete(stack, AUDIT, &entry);
    assert_eq!(found(&world).await, names(&["missing"]));
    table::delete(stack, CHAINS, second);
    table::delete(stack, CHAINS, &place);
    assert_eq!(found(&world).await, names(&["link_missing"]));
    table::put(stack, AUDIT, &entry);
    assert_eq!(found(&world).await, names(&["link_missing", "inserted"]), "and one that is in no chain");
    table::put(stack, CHAINS, second);
    table::put(stack, CHAINS, &place);
    for (table, item) in [(AUDIT, &last_entry), (CHAINS, last), (CHAINS, &last_place)] {
        table::delete(stack, table, item);
    }
    let (report, code) = verify(&world).await;
    let finding = &report["findings"][0];
    assert_eq!((code, finding["kind"].as_str()), (1, Some("cut_off")), "{report:#}");
    assert_eq!((&finding["sequence"], &finding["until"]), (&json!(chain.len()), &json!(chain.len())));
    for (table, item) in [(AUDIT, &last_entry), (CHAINS, last), (CHAINS, &last_place)] {
        table::put(stack, table, item);
    }

    // An entry of an old time that nobody chained, and one whose place is made up.
    let other = with(&entry, "sk", json!({"S": format!("{}x", table::text(&entry, "sk"))}));
    table::put(stack, AUDIT, &other);
    assert_eq!(found(&world).await, names(&["inserted"]));
    table::delete(stack, AUDIT, &other);

    // A link altered; two that have changed places; one whose own hash was made again.
    table::put(stack, CHAINS, &with(second, "entry_sk", first["entry_sk"].clone()));
    assert!(found(&world).await.contains("link_altered"));
    let moved = |link: &Item, to: &Item| with(link, "sk", to["sk"].clone());
    table::put(stack, CHAINS, &moved(second, first));
    table::put(stack, CHAINS, &moved(first, second));
    assert!(found(&world).await.contains("link_altered"));
    table::put(stack, CHAINS, first);
    table::put(stack, CHAINS, second);
    let other_digest = json!({"S": Digest::of("any", "thing").to_string()});
    let remade = remade(&with(second, "digest", other_digest), None);
    table::put(stack, CHAINS, &remade);
    let kinds = found(&world).await;
    assert!(kinds.contains("altered") && kinds.contains("reordered"), "{kinds:?}");

    // The whole chain made again from there.
    let mut previous = remade["hash"].clone();
    for link in &chain[2..] {
        let link = self::remade(link, Some(&previous));
        table::put(stack, CHAINS, &link);
        previous = link["hash"].clone();
    }
    let kinds = found(&world).await;
    assert!(kinds.contains("replaced") && !kinds.contains("reordered"), "{kinds:?}");
    for link in &chain {
        table::put(stack, CHAINS, link);
    }
    assert_eq!(found(&world).await, names(&[]));
}

/// A link whose hash fits what it holds, as somebody would make it who knows how.
fn remade(link: &Item, previous: Option<&Value>) -> Item {
    let link = previous.map_or_else(|| link.clone(), |previous| with(link, "previous", previous.clone()));
    let chain = table::text(&link, "pk").replace("chain#", "");
    let text = json!([
        ["at", "N", link["at"]["N"]],
        ["chain", "N", chain],
        ["digest", "S", link["digest"]["S"]],
        ["entry_pk", "S", link["entry_pk"]["S"]],
        ["entry_sk", "S", link["entry_sk"]["S"]],
        ["previous", "S", link["previous"]["S"]],
        ["sequence", "N", table::text(&link, "sk").parse::<u64>().unwrap().to_string()],
    ]);
    let hash = Digest::of("first-sign-in audit link 1", &text.to_string());
    with(&link, "hash", json!({"S": hash.to_string()}))
}

#[tokio::test]
async fn an_entry_that_comes_when_its_time_is_over_is_found_although_it_is_chained() {
    let world = chained().await;
    let entry = table::items_of(&world.stack, AUDIT, "person#").remove(0);
    let late = with(&entry, "pk", json!({"S": "person#somebody-else"}));
    table::put(&world.stack, AUDIT, &late);
    world.stack.start_stream().await;
    sign(&world).await;
    let (report, code) = verify(&world).await;
    assert_eq!((code, report["findings"][0]["kind"].as_str()), (1, Some("inserted")), "{report:#}");
    assert_eq!(report["findings"][0]["entry"]["pk"], "person#somebody-else");
}

#[tokio::test]
async fn statements_that_are_forged_removed_or_covered_are_found() {
    let world = chained().await;
    let heads = table::items_of(&world.stack, CHAINS, "heads");
    assert_eq!(heads.len(), 3);
    let environment = world.stack.environment();
    let name = environment.get("AUDIT_BUCKET").unwrap();
    let bucket = Bucket::new(&environment, &aws::sdk_config(&environment).await, name);

    // In the table alone.
    let jws = table::text(&heads[1], "jws").to_owned();
    table::put(&world.stack, CHAINS, &with(&heads[1], "jws", json!({"S": table::text(&heads[0], "jws")})));
    assert_eq!(found(&world).await, names(&["statement_forged"]));
    table::delete(&world.stack, CHAINS, &heads[1]);
    assert_eq!(found(&world).await, names(&["statement_missing"]));
    table::put(&world.stack, CHAINS, &heads[1]);
    assert_eq!(found(&world).await, names(&[]));

    // The bucket keeps the first version, whatever comes on top of it.
    let key = "heads/000000000002.jws";
    let stored = bucket.head(key, None).await.unwrap();
    assert!(bucket.delete(&stored).await.is_err(), "a locked version goes for nobody");
    let other = jws.replacen('e', "f", 1);
    bucket.put(key, other.into_bytes(), &Put::default()).await.unwrap();
    let kinds = found(&world).await;
    assert!(kinds.contains("statement_covered") && kinds.contains("statement_forged"), "{kinds:?}");
    let newest = shared::s3::Stored { version: None, ..bucket.head(key, None).await.unwrap() };
    bucket.delete(&newest).await.unwrap();
    let kinds = found(&world).await;
    assert!(kinds.contains("statement_covered") && kinds.contains("statement_missing"), "{kinds:?}");
}

/// An event of the stream with these entries, as new ones.
fn event(entries: &[Item]) -> Value {
    let records = entries.iter().enumerate().map(|(number, entry)| {
        json!({
            "eventID": number.to_string(), "eventName": "INSERT", "eventSource": "aws:dynamodb", "eventVersion": "1.1",
            "awsRegion": "ap-east-2",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_785_715_200, "SequenceNumber": number.to_string(), "SizeBytes": 1,
                "StreamViewType": "NEW_IMAGE", "Keys": {"pk": entry["pk"], "sk": entry["sk"]}, "NewImage": entry,
            },
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

#[tokio::test]
async fn records_that_come_twice_at_once_and_in_any_order_are_chained_once() {
    let world = World::start().await;
    world.stack.stop_stream().await;
    let mut wang = world.signed_in(&WANG).await;
    for _ in 0..40 {
        wang.sign_in_by_password(WANG.national_id, "Not-The-Password#1").await;
    }
    let entries = table::items(&world.stack, AUDIT);
    assert!(entries.len() >= 40);
    let (half, mut reversed) = (entries[..entries.len() / 2].to_vec(), entries.clone());
    reversed.reverse();
    let functions = &world.stack.functions;
    let invoke = async |entries: &[Item]| functions.invoke("audit-chain", event(entries)).await.unwrap();
    let answers = tokio::join!(invoke(&entries), invoke(&reversed), invoke(&half), invoke(&entries));
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(answer["batchItemFailures"].as_array().map_or(0, Vec::len), 0, "{answer}");
    }
    assert_eq!(links(&world).len(), entries.len());
    sign(&world).await;
    let (report, _) = verify(&world).await;
    assert_eq!((&report["intact"], &report["links"]), (&json!(true), &json!(entries.len())), "{report:#}");
}

#[tokio::test]
async fn what_the_stream_has_lost_is_chained_before_the_next_statement() {
    let world = World::start().await;
    world.stack.stop_stream().await;
    world.signed_in(&WANG).await;
    let entries = table::items(&world.stack, AUDIT).len();
    assert_eq!(links(&world).len(), 0);
    let answer = world.stack.run_schedules("audit-chain").await.unwrap();
    assert_eq!((&answer[0]["number"], &answer[0]["found"]), (&json!(1), &json!(0)), "too young to be lost");
    world.pass(SignedDuration::from_hours(2));
    let answer = world.stack.run_schedules("audit-chain").await.unwrap();
    assert_eq!((&answer[0]["number"], &answer[0]["found"]), (&json!(2), &json!(entries)));
    assert_eq!(found(&world).await, names(&[]));
}

#[test]
fn the_template_lets_no_function_change_what_was_written() {
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    let template = serde_json::to_value(untagged(template)).unwrap();
    let allowed = BTreeSet::from([
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ]);
    let mut statements = 0;
    for (name, resource) in template["Resources"].as_object().unwrap() {
        for policy in resource["Properties"]["Policies"].as_array().into_iter().flatten() {
            for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
                let resources = statement["Resource"].to_string();
                let actions: Vec<&str> = match &statement["Action"] {
                    Value::String(action) => vec![action],
                    actions => {
                        actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect()
                    }
                };
                let of_database =
                    actions.iter().any(|action| action.starts_with("dynamodb") || action.contains('*'));
                assert!(!(of_database && resources.contains("\"*\"")), "{name}: a table by a wildcard");
                if resources.contains("AuditTable") || resources.contains("ChainsTable") {
                    statements += 1;
                    for action in actions {
                        assert!(allowed.contains(action), "{name}: {action}");
                    }
                }
            }
        }
    }
    assert!(statements > 10, "{statements} statements were looked at");
    for table in ["AuditTable", "ChainsTable"] {
        let properties = &template["Resources"][table]["Properties"];
        assert_eq!(properties.get("TimeToLiveSpecification"), None, "{table}: nothing expires");
        let statement = &properties["ResourcePolicy"]["PolicyDocument"]["Statement"][0];
        assert_eq!((&statement["Effect"], &statement["Principal"]), (&json!("Deny"), &json!("*")));
        for action in ["DeleteItem", "UpdateItem", "BatchWriteItem", "PartiQLDelete", "PartiQLUpdate"] {
            assert!(statement["Action"].as_array().unwrap().contains(&json!(format!("dynamodb:{action}"))));
        }
    }
}

#[tokio::test]
async fn reading_has_a_rate() {
    let world = World::start_with(|options| {
        options.variables.insert("AUDIT_READS_PER_ACTOR_PER_HOUR".to_owned(), "2".to_owned());
    })
    .await;
    world.begin(SignedDuration::from_hours(1));
    let head = world.head().await;
    for _ in 0..2 {
        head.get("/v1/hr/audit").await.ok();
    }
    head.get("/v1/hr/audit").await.problem(Code::TooManyRequests);
}

const TEMPLATE: &str = include_str!("../../../../infra/template.yaml");

/// The template without its tags, whose values say enough here.
fn untagged(value: serde_yaml_ng::Value) -> serde_yaml_ng::Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Tagged(tagged) => untagged(tagged.value),
        Yaml::Sequence(values) => Yaml::Sequence(values.into_iter().map(untagged).collect()),
        Yaml::Mapping(fields) => {
            Yaml::Mapping(fields.into_iter().map(|(name, value)| (name, untagged(value))).collect())
        }
        other => other,
    }
}

//! A look behind the functions: the tables as they are, and a hand to change them.

use local::stack::Running;
use serde_json::{Map, Value, json};

/// An item, with DynamoDB's types: `{"pk": {"S": "…"}}`.
pub type Item = Map<String, Value>;

/// Everything in a table of the template.
///
/// # Panics
/// When there is no such table.
#[must_use]
pub fn items(stack: &Running, table: &str) -> Vec<Item> {
    let table = physical(stack, table);
    let (mut items, mut from) = (Vec::new(), Value::Null);
    loop {
        let mut request = json!({"TableName": table});
        if !from.is_null() {
            request["ExclusiveStartKey"] = from;
        }
        let page = stack.dynamodb.database().scan(serde_json::from_value(request).unwrap()).unwrap();
        let mut page = serde_json::to_value(page).unwrap();
        items.extend(serde_json::from_value::<Vec<Item>>(page["Items"].take()).unwrap_or_default());
        from = page["LastEvaluatedKey"].take();
        if from.is_null() {
            return items;
        }
    }
}

/// The items of a table whose key begins so.
#[must_use]
pub fn items_of(stack: &Running, table: &str, prefix: &str) -> Vec<Item> {
    items(stack, table).into_iter().filter(|item| text(item, "pk").starts_with(prefix)).collect()
}

/// Puts an item, as no function would.
///
/// # Panics
/// When the table refuses it.
pub fn put(stack: &Running, table: &str, item: &Item) {
    let request = json!({"TableName": physical(stack, table), "Item": item});
    stack.dynamodb.database().put_item(serde_json::from_value(request).unwrap()).unwrap();
}

/// Deletes an item, as no function would.
///
/// # Panics
/// When the table refuses.
pub fn delete(stack: &Running, table: &str, item: &Item) {
    let key: Item = ["pk", "sk"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), item.get(name)?.clone())))
        .collect();
    let request = json!({"TableName": physical(stack, table), "Key": key});
    stack.dynamodb.database().delete_item(serde_json::from_value(request).unwrap()).unwrap();
}

/// A text attribute; empty when there is none.
#[must_use]
pub fn text<'i>(item: &'i Item, name: &str) -> &'i str {
    item.get(name).and_then(|value| value["S"].as_str()).unwrap_or_default()
}

/// A number attribute; 0 when there is none.
#[must_use]
pub fn number(item: &Item, name: &str) -> i64 {
    item.get(name)
        .and_then(|value| value["N"].as_str())
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The name that the environment variable of a table gives, such as of `ACCOUNTS_TABLE`.
fn physical(stack: &Running, table: &str) -> String {
    stack.environment().get(table).unwrap_or_else(|| panic!("no table {table}"))
}

//! In which fields two specs differ.

use std::collections::BTreeMap;

use serde_json::Value;

/// The fields of two normal forms that differ, in the order of their names. A list is one field.
pub fn changed_fields(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (leaves(before), leaves(after));
    let names = before.keys().chain(after.keys());
    let mut changed: Vec<String> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect();
    changed.sort_unstable();
    changed.dedup();
    changed
}

/// All values that are no table, by their paths. Normal forms are as deep as specs, which is not deep.
fn leaves(value: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        let fields = value.as_object().filter(|fields| !fields.is_empty());
        let Some(fields) = fields else {
            found.insert(path, value);
            continue;
        };
        open.extend(fields.iter().map(|(name, value)| {
            let dot = if path.is_empty() { "" } else { "." };
            (format!("{path}{dot}{name}"), value)
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_came_went_or_changed_are_named_once() {
        let before = json!({"a": {"b": 1, "c": [1, 2]}, "gone": true, "same": {"x": null}});
        let after = json!({"a": {"b": 2, "c": [1]}, "new": {"d": 0}, "same": {"x": null}});
        let changed = changed_fields(&before, &after);
        assert_eq!(changed, ["a.b", "a.c", "gone", "new.d"]);
        assert_eq!(changed_fields(&after, &after), [""; 0]);
        let deeper = changed_fields(&json!({"a": 1}), &json!({"a": {"b": 1}}));
        assert_eq!(deeper, ["a", "a.b"]);
    }
}

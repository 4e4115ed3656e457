//! Schemas of the document as tables.

use serde_json::Value;

use super::{table, word};
use crate::{
    edge::openapi::document,
    pages::{
        html::{Text, add},
        texts::Texts,
    },
};

/// Where definitions are.
const DEFINITIONS: &str = "#/components/schemas/";

/// All definitions.
pub(super) fn all(texts: &Texts) -> String {
    let mut body = format!("<h2 id=\"schemas\">{}</h2>", Text(texts.schemas));
    let schemas = document()["components"]["schemas"].as_object();
    for (name, schema) in schemas.into_iter().flatten() {
        add(
            &mut body,
            format_args!(
                "<section id=\"schema-{name}\"><h3>{name}</h3><p>{}</p>{}</section>",
                Text(word(&schema["description"])),
                definition(texts, schema),
            ),
        );
    }
    body
}

fn definition(texts: &Texts, schema: &Value) -> String {
    let Some(properties) = schema["properties"].as_object() else {
        return format!("<p>{}</p>", kind(schema));
    };
    let required = schema["required"].as_array();
    let needed = |name: &str| {
        required
            .into_iter()
            .flatten()
            .any(|required| required == name)
    };
    let mut rows = String::new();
    for (name, property) in properties {
        let mark = if needed(name) { "✓" } else { "" };
        add(
            &mut rows,
            format_args!(
                "<tr><td><code>{}</code></td><td>{mark}</td><td class=\"wrap\">{}</td>\
                 <td class=\"wrap\">{}</td></tr>",
                Text(name),
                kind(property),
                Text(word(&property["description"])),
            ),
        );
    }
    table(
        [texts.field, texts.always, texts.kind, texts.meaning],
        &rows,
    )
}

/// What a value of the schema is, in a few words of markup.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.strip_prefix(DEFINITIONS).unwrap_or(target);
        return format!("<a href=\"#schema-{0}\">{0}</a>", Text(name));
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", Text(value));
    }
    for list in ["enum", "anyOf", "oneOf"] {
        if let Some(choices) = schema[list].as_array()
            && !schema["properties"].is_object()
        {
            let choice = |choice: &Value| match list {
                "enum" => format!("<code>{}</code>", Text(choice)),
                _ => kind(choice),
            };
            let choices: Vec<String> = choices.iter().map(choice).collect();
            return choices.join(" | ");
        }
    }
    let types: Vec<String> = match &schema["type"] {
        Value::String(one) => vec![of_type(one, schema)],
        Value::Array(some) => some.iter().map(|one| of_type(word(one), schema)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec!["JSON".into()],
    };
    types.join(" | ")
}

fn of_type(name: &str, schema: &Value) -> String {
    match name {
        "array" => format!("[{}]", kind(&schema["items"])),
        "object" => match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("{{string: {}}}", kind(values)),
            _ => "object".into(),
        },
        "integer" | "number" => format!("{name}{}", range(schema)),
        _ => Text(name).to_string(),
    }
}

fn range(schema: &Value) -> String {
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => format!(" {least}…{most}"),
        (Some(least), None) => format!(" ≥ {least}"),
        (None, Some(most)) => format!(" ≤ {most}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_said_in_a_few_words() {
        for (schema, expected) in [
            (json!({"type": "string"}), "string"),
            (
                json!({"type": ["integer", "null"], "minimum": 0}),
                "integer ≥ 0 | null",
            ),
            (
                json!({"type": "array", "items": {"$ref": "#/components/schemas/Job"}}),
                "[<a href=\"#schema-Job\">Job</a>]",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "number"}}),
                "{string: number}",
            ),
            (
                json!({"anyOf": [{"const": "a"}, {"type": "null"}]}),
                "<code>&quot;a&quot;</code> | null",
            ),
            (json!({"enum": ["a<b"]}), "<code>&quot;a&lt;b&quot;</code>"),
            (json!(true), "JSON"),
        ] {
            assert_eq!(kind(&schema), expected, "{schema}");
        }
    }
}

//! One route as an operation of OpenAPI.

use std::collections::BTreeMap;

use flota_wire::rest;
use serde_json::{Map, Value, json};

use super::Schemas;
use crate::{
    edge::routes::{Answer, Content, Gate, Parameter, Place, Route, Shape, Tag, schema},
    problem::Kind,
};

/// The operation object (OpenAPI 3.1, 4.8.10).
pub(super) fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.chapter.word()],
        "responses": responses(route, schemas),
        "security": match route.gate {
            Gate::Open => json!([]),
            Gate::Known => json!([{"token": []}, {"session": []}]),
        },
    });
    let mut parameters: Vec<Value> = route.parameters.iter().map(parameter).collect();
    if route.tag == Tag::OfBytes {
        parameters.push(json!({
            "name": "If-None-Match",
            "in": "header",
            "description": "Tags that are held already.",
            "schema": {"type": "string"},
        }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = route.body {
        let schema = (body.schema)(&mut schemas.received);
        operation["requestBody"] = json!({
            "description": body.about,
            "required": true,
            "content": {"application/json": {"schema": schema, "example": example(body.example)}},
        });
    }
    operation
}

/// Entries are constant, and a test parses each.
fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn parameter(parameter: &Parameter) -> Value {
    let mut value = json!({
        "name": parameter.name,
        "in": parameter.place.word(),
        "description": parameter.about,
        "schema": shape(parameter.shape),
    });
    if parameter.place == Place::Path {
        value["required"] = true.into();
    }
    if !parameter.example.is_empty() {
        value["example"] = parameter.example.into();
    }
    if let Shape::SomeOf(_) = parameter.shape {
        value["explode"] = false.into();
    }
    value
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Number { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::OneOf(words) => json!({"type": "string", "enum": words}),
        Shape::SomeOf(words) => {
            json!({"type": "array", "items": {"type": "string", "enum": words}})
        }
    }
}

fn responses(route: &Route, schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses: Map<String, Value> = route
        .answers
        .iter()
        .map(|answer| (answer.status.to_string(), response(answer, schemas)))
        .collect();
    if route.tag == Tag::OfBytes {
        let tag = json!({"ETag": {"schema": {"type": "string"}}});
        responses["200"]["headers"] = tag.clone();
        let held = json!({"description": "The bytes are held already.", "headers": tag});
        responses.insert("304".into(), held);
    }
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in route.kinds() {
        by_status.entry(kind.status).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        responses.insert(status.to_string(), problem(&kinds, schemas));
    }
    responses
}

fn response(answer: &Answer, schemas: &mut Schemas) -> Value {
    let content = match answer.content {
        Content::None => return json!({"description": answer.about}),
        Content::Json(schema) => {
            json!({"application/json": {"schema": schema(&mut schemas.sent)}})
        }
        Content::Media(types) => {
            let of_type = |media: &&str| ((*media).to_owned(), json!({}));
            Value::Object(types.iter().map(of_type).collect())
        }
    };
    json!({"description": answer.about, "content": content})
}

/// The same form everywhere, with the codes that are possible here.
fn problem(kinds: &[Kind], schemas: &mut Schemas) -> Value {
    let codes: Vec<&str> = kinds.iter().map(|kind| kind.code).collect();
    let lines: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{}`: {}.", kind.code, kind.title))
        .collect();
    let mut schema = schema::<rest::Problem>(&mut schemas.sent).to_value();
    schema["properties"] = json!({"code": {"enum": codes}});
    json!({
        "description": lines.join(" "),
        "content": {"application/problem+json": {"schema": schema}},
    })
}

//! The OpenAPI 3.1 document, made of the routes and of the types that they carry.

mod operation;

use std::sync::LazyLock;

use axum::{Extension, Json, http::Uri, routing::on};
use flota_wire::rest;
use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use self::operation::operation;
use super::{
    Parameters,
    routes::{self, Answer, Chapter, Content, Route, Tag, schema},
};
use crate::{
    access::{COOKIE, Caller, Object, Verb},
    problem::Problem,
};

pub(super) const ROUTES: &[Route] = &[Route {
    tag: Tag::OfBytes,
    answers: &[Answer {
        status: 200,
        about: "This document.",
        content: Content::Json(|_| schemars::json_schema!({"type": "object"})),
    }],
    ..Route::get(
        "/api/v1/openapi.json",
        "getOpenapi",
        "The API for programs, as OpenAPI 3.1.",
        |method| on(method, openapi),
    )
}];

/// What schemas of types are written in; the one of OpenAPI itself allows the same.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Types that no JSON body is made of: the data of events.
const OF_EVENTS: [routes::SchemaOf; 8] = [
    schema::<rest::JobEvent>,
    schema::<rest::NodeEvent>,
    schema::<rest::service::ServiceEvent>,
    schema::<rest::service::ReplicaEvent>,
    schema::<rest::ProgressEvent>,
    schema::<rest::ResyncEvent>,
    schema::<rest::process::ProcessSnapshot>,
    schema::<rest::process::ProcessDelta>,
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(make);

/// The document.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}

/// `GET /api/v1/openapi.json`
async fn openapi(
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<&'static Value>, Problem> {
    Parameters::parse(&uri, &[])?;
    let _ = caller.may(Verb::FleetRead, &Object::Fleet)?;
    Ok(Json(document()))
}

/// Schemas of what comes in and of what goes out: a field with a default need not come in, but
/// always goes out.
pub(super) struct Schemas {
    received: SchemaGenerator,
    sent: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let generator = |contract: Contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.contract = contract;
            });
            settings.into_generator()
        };
        Self {
            received: generator(Contract::Deserialize),
            sent: generator(Contract::Serialize),
        }
    }

    /// All definitions. No type both comes in and goes out, which a test makes sure of.
    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.received.take_definitions(true);
        all.extend(self.sent.take_definitions(true));
        all
    }
}

fn make() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for route in routes::all() {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = route.method.word().to_ascii_lowercase();
        methods[method] = operation(route, &mut schemas);
    }
    for event in OF_EVENTS {
        event(&mut schemas.sent);
    }
    let tags: Vec<Value> = Chapter::ALL
        .into_iter()
        .map(|chapter| json!({"name": chapter.word()}))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flota",
            "summary": "Turns many Linux machines into one fleet.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": DIALECT,
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The content of `DATA/token`. The Unix socket needs none.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "Of a browser; changes also need `X-Flota-CSRF: 1`.",
                },
            },
        },
    })
}

//! The document that is generated describes the server that runs.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::outcome::{Outcome, Output, Stream};
use hyper::Method;
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    agent::Agent,
    harness::{Answer, Harness, job},
    processes,
};
use crate::edge::{
    openapi::document,
    routes::{self, Content, Gate, Place, Shape, Tag},
};

/// Everything at `$ref` anywhere in the document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("$ref", Value::String(target)) => drop(found.insert(target.clone())),
                    _ => references(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A validator of a schema that may point into the whole document.
fn validator(schema: &Value) -> Validator {
    let mut root = schema.clone();
    root["components"] = document()["components"].clone();
    jsonschema::draft202012::new(&root).unwrap()
}

fn assert_valid(schema: &Value, instance: &Value, what: &str) {
    let faults: Vec<String> = validator(schema)
        .iter_errors(instance)
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{what}: {faults:?}\n{instance:#}");
}

/// The operation of a route in the document.
fn operation(route: &routes::Route) -> &'static Value {
    let method = route.method.word().to_ascii_lowercase();
    &document()["paths"][route.path][method]
}

#[test]
fn every_route_is_an_operation_and_every_operation_a_route() {
    let described: BTreeSet<(String, String)> = document()["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let words = methods.as_object().unwrap().keys();
            words.map(|word| (path.clone(), word.to_ascii_uppercase()))
        })
        .collect();
    let routed: BTreeSet<(String, String)> = routes::all()
        .map(|route| (route.path.to_owned(), route.method.word().to_owned()))
        .collect();
    assert_eq!(described, routed);
    assert_eq!(routed.len(), routes::all().count(), "none is there twice");
    let operations: BTreeSet<&str> = routes::all().map(|route| route.operation).collect();
    assert_eq!(operations.len(), routed.len(), "their names are unique");
}

#[test]
fn the_document_is_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut found = BTreeSet::new();
    references(document, &mut found);
    let targets: BTreeSet<String> = schemas
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    let dangling: Vec<&String> = found.difference(&targets).collect();
    assert!(dangling.is_empty(), "{dangling:?}");
    let events = [
        "JobEvent",
        "NodeEvent",
        "ServiceEvent",
        "ReplicaEvent",
        "ProgressEvent",
        "ResyncEvent",
        "ProcessSnapshot",
        "ProcessDelta",
    ];
    let unused: Vec<&String> = targets
        .difference(&found)
        .filter(|target| !events.iter().any(|event| target.ends_with(event)))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
    // A second type of the same name would be numbered.
    assert!(schemas.keys().all(|name| !name.ends_with(char::is_numeric)));
    for (name, schema) in schemas {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
        assert!(schema["description"].is_string(), "{name} says what it is");
    }
}

#[test]
fn every_operation_says_what_it_takes_and_gives() {
    for route in routes::all() {
        let operation = operation(route);
        let what = route.operation;
        assert!(
            route.summary.ends_with('.') && !route.answers.is_empty(),
            "{what}"
        );
        let in_path: Vec<&str> = route
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let named: Vec<&str> = route
            .parameters
            .iter()
            .filter(|parameter| parameter.place == Place::Path)
            .map(|parameter| parameter.name)
            .collect();
        assert_eq!(in_path, named, "{what}");
        for parameter in route.parameters {
            assert!(parameter.about.ends_with('.'), "{what} {}", parameter.name);
        }
        if let Some(body) = route.body {
            let content = &operation["requestBody"]["content"]["application/json"];
            let example: Value = serde_json::from_str(body.example).unwrap();
            assert_eq!(content["example"], example);
            assert_valid(&content["schema"], &example, what);
        }
        for status in operation["responses"].as_object().unwrap().keys() {
            assert!(
                status.parse::<u16>().is_ok_and(|status| status < 600),
                "{what}"
            );
        }
    }
}

/// A server with a node, a service and three jobs: one ran, one waits, one was refused its node.
async fn lived_in() -> (Harness, JoinHandle<()>) {
    let server = Harness::start_with(|settings| {
        settings.one_time_token = Some("once".into());
    })
    .await;
    let mut agent = Agent::join(&server, "n1").await;
    server.submit(2).await;
    let ordered = agent.ordered(2).await;
    let output = Output {
        stdout: Stream::Inline(b"hello".to_vec()),
        ..Output::default()
    };
    agent.report(ordered[0], Outcome::Exited { code: 0 }, Some(output));
    agent.report(ordered[1], Outcome::Signalled { signal: 9 }, None);
    let wait = "/api/v1/jobs/1/wait?timeout_ms=20000";
    assert_eq!(server.get(wait).await.json()["phase"], "finished");
    let pinned = json!({"name": "wide", "tasks": "0-9", "kernel": {"name": "noop"},
        "resources": {"cpus": 64}});
    assert_eq!(server.post("/api/v1/jobs", &pinned).await.status, 201);
    let web = json!({"name": "web", "program": {"argv": ["sleep", "1000"]}, "service": {}});
    assert_eq!(server.put("/api/v1/services/web", &web).await.status, 200);
    let answering = tokio::spawn(agent.serve(|question| Ok(processes::one(question))));
    (server, answering)
}

/// The address of a route with every parameter of its path filled in.
fn filled(route: &routes::Route) -> String {
    let handle = processes::handle(1, 7).to_string();
    let values = BTreeMap::from([
        ("handle", handle.as_str()),
        ("pid", "7"),
        ("job", "1"),
        ("task", "1"),
        ("node", "n1"),
        ("stream", "stdout"),
    ]);
    let mut path = route.path.to_owned();
    for parameter in route.parameters {
        if parameter.place == Place::Path {
            let value = values
                .get(parameter.name)
                .copied()
                .unwrap_or(parameter.example);
            path = path.replace(&format!("{{{}}}", parameter.name), value);
        }
    }
    path
}

fn assert_answer(route: &routes::Route, answer: &Answer) {
    let what = format!("{} {}", route.operation, answer.status);
    let declared = &operation(route)["responses"][answer.status.as_str()];
    assert!(
        declared.is_object(),
        "{what} is not declared: {}",
        answer.text()
    );
    let media = answer.header("content-type").split(';').next().unwrap();
    let Some(content) = declared.get("content") else {
        assert_eq!(answer.text(), "", "{what}");
        return;
    };
    let content = &content[media];
    assert!(content.is_object(), "{what} is no {media}");
    if let Some(schema) = content.get("schema") {
        assert_valid(schema, &answer.json(), &what);
    }
}

/// For every answer that any test gets: its status is declared, and its code if it is a problem.
pub(super) fn assert_declared(method: &Method, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap();
    let fits = |route: &&routes::Route| {
        let (mut left, mut right) = (route.path.split('/'), path.split('/'));
        let same = left
            .by_ref()
            .zip(right.by_ref())
            .all(|(part, given)| part == given || part.starts_with('{') && !given.is_empty());
        same && route.path.split('/').count() == path.split('/').count()
    };
    let route = routes::all().find(|route| method == route.method.word() && fits(route));
    let Some(route) = route else {
        return;
    };
    let declared = &operation(route)["responses"][answer.status.as_str()];
    // Before anything is known of the request, the protocol itself refuses what is too long.
    let by_protocol = answer.status == 431 && answer.body.is_empty();
    assert!(
        by_protocol || declared.is_object(),
        "{} may not answer {}: {}",
        route.operation,
        answer.status,
        answer.text()
    );
    if answer.header("content-type") == "application/problem+json" {
        let schema = &declared["content"]["application/problem+json"]["schema"];
        assert_valid(schema, &answer.json(), route.operation);
    }
}

#[tokio::test]
async fn every_answer_to_a_get_is_as_the_document_says() {
    let (server, _agent) = lived_in().await;
    for route in routes::all().filter(|route| route.method == routes::Method::Get) {
        if route.answers[0].content_is("text/event-stream") {
            continue; // Has no end; `tests::events` reads it.
        }
        let query = if route.operation == "logIn" {
            "?token=once"
        } else {
            ""
        };
        let answer = server.get(&format!("{}{query}", filled(route))).await;
        assert_eq!(
            answer.status.as_u16(),
            route.answers[0].status,
            "{}",
            route.operation
        );
        assert_answer(route, &answer);
        assert_eq!(route.tag == Tag::OfBytes, !answer.header("etag").is_empty());
    }
    for path in [
        "/api/v1/jobs?limit=1",
        "/api/v1/jobs/2/tasks?state=waiting",
        "/api/v1/jobs/2",
    ] {
        let bare = path.split('?').next().unwrap().replace('2', "{job}");
        let route = routes::all()
            .find(|route| route.path == bare && route.method == routes::Method::Get)
            .unwrap();
        assert_answer(route, &server.get(path).await);
    }
    server.stop().await;
}

#[tokio::test]
async fn every_route_has_the_parameters_that_it_declares_and_no_others() {
    let (server, _agent) = lived_in().await;
    for route in routes::all().filter(|route| route.gate == Gate::Known) {
        let mut declared: Vec<&str> = route
            .parameters
            .iter()
            .filter(|parameter| parameter.place == Place::Query)
            .map(|parameter| parameter.name)
            .collect();
        declared.sort_unstable();
        let path = format!("{}?no-such-parameter=1", filled(route));
        let answer = match route.method {
            routes::Method::Get => server.get(&path).await,
            routes::Method::Post => server.post(&path, &json!({})).await,
            routes::Method::Put => server.put(&path, &json!({})).await,
            routes::Method::Delete => server.delete(&path).await,
        };
        assert_eq!(answer.problem(), (400, "E-QUERY-UNKNOWN".into()), "{path}");
        assert_answer(route, &answer);
        let hint = answer.json()["hint"].as_str().unwrap().to_owned();
        let mut known: Vec<&str> = match hint.strip_prefix("known: ") {
            Some(list) => list.split(", ").collect(),
            None => vec![],
        };
        known.sort_unstable();
        assert_eq!(known, declared, "{path}: {hint}");
    }
    server.stop().await;
}

#[tokio::test]
async fn words_and_numbers_beside_the_declared_ones_are_refused() {
    let (server, _agent) = lived_in().await;
    for route in routes::all().filter(|route| route.gate == Gate::Known) {
        for parameter in route.parameters {
            let wrong = match parameter.shape {
                Shape::Number { max: u64::MAX, .. } => "18446744073709551616".to_owned(),
                Shape::Number { max, .. } => (max + 1).to_string(),
                Shape::OneOf(_) | Shape::SomeOf(_) => "nonsense".to_owned(),
                Shape::Text => continue,
            };
            // What only changes how a page looks falls back to the default.
            let lenient = ["lang", "refresh"].contains(&parameter.name);
            if parameter.place != Place::Query || lenient {
                continue;
            }
            let path = format!("{}?{}={wrong}", filled(route), parameter.name);
            let answer = match route.method {
                routes::Method::Get => server.get(&path).await,
                routes::Method::Post => server.post(&path, &json!({})).await,
                routes::Method::Put => server.put(&path, &json!({})).await,
                routes::Method::Delete => server.delete(&path).await,
            };
            assert_eq!(answer.problem(), (400, "E-QUERY-INVALID".into()), "{path}");
            assert_answer(route, &answer);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn answers_to_changes_are_as_the_document_says_too() {
    let server = Harness::start().await;
    let route = |operation: &str| {
        routes::all()
            .find(|route| route.operation == operation)
            .unwrap()
    };
    let headers = [("idempotency-key", "k")];
    for (body, status) in [
        (job(1).to_string(), 201),
        (job(1).to_string(), 200),
        (job(2).to_string(), 409),
        ("{}".to_owned(), 422),
    ] {
        let answer = server.post_with("/api/v1/jobs", body, &headers).await;
        assert_eq!(answer.status, status);
        assert_answer(route("submitJob"), &answer);
    }
    for status in [202, 409] {
        let answer = server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
        assert_eq!(answer.status, status);
        assert_answer(route("cancelJob"), &answer);
    }
    let answer = server.post("/api/v1/fleet/recover", &json!(null)).await;
    assert_answer(route("recoverFleet"), &answer);
    let missing = server.get("/api/v1/jobs/9").await;
    assert_answer(route("getJob"), &missing);
    let nobody = server.remote(Method::GET, "/api/v1/jobs/9", &[]).await;
    assert_answer(route("getJob"), &nobody);
    server.stop().await;
}

impl routes::Answer {
    fn content_is(&self, media: &str) -> bool {
        matches!(self.content, Content::Media(types) if types.contains(&media))
    }
}

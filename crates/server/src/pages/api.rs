//! `/docs/api`: the OpenAPI document for people, with a request to copy for each operation.

mod schemas;

use std::path::Path;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde_json::Value;

use super::{
    Refresh,
    html::{Text, add},
    language::Language,
    overview::failed,
    page,
    texts::Texts,
};
use crate::{
    access::{Caller, Object, Verb},
    edge::{
        Desk, Parameters,
        openapi::document,
        routes::{self, Chapter, Gate, Method, Place, Route},
    },
    folder,
    problem::Problem,
};

/// `GET /docs/api?lang=es`
pub(crate) async fn api(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let language = Language::of_request(&headers, &uri);
    match allowed(&caller, &uri) {
        Ok(()) => {
            let socket = folder::socket_in(&desk.settings().data);
            let body = render(language.texts(), &socket);
            page(language, language.texts().api, Refresh::Never, &body)
        }
        Err(problem) => failed(problem, &headers, &uri),
    }
}

fn allowed(caller: &Caller, uri: &Uri) -> Result<(), Problem> {
    Parameters::parse(uri, &["lang"])?;
    let _ = caller.may(Verb::FleetRead, &Object::Fleet)?;
    Ok(())
}

fn render(texts: &Texts, socket: &Path) -> String {
    let mut body = format!(
        "<main><h1>{}</h1><p>{} <a href=\"/api/v1/openapi.json\">OpenAPI 3.1</a></p>",
        Text(texts.api),
        Text(texts.api_intro),
    );
    body += "<ul>";
    for route in routes::all() {
        add(
            &mut body,
            format_args!(
                "<li><a href=\"#{}\"><code>{} {}</code></a> {}</li>",
                route.operation,
                route.method.word(),
                Text(route.path),
                Text(route.summary),
            ),
        );
    }
    add(
        &mut body,
        format_args!(
            "<li><a href=\"#schemas\">{}</a></li></ul>",
            Text(texts.schemas)
        ),
    );
    for chapter in Chapter::ALL {
        add(&mut body, format_args!("<h2>{}</h2>", chapter.word()));
        routes::all()
            .filter(|route| route.chapter == chapter)
            .for_each(|route| body += &operation(texts, route, socket));
    }
    body += &schemas::all(texts);
    body + "</main>"
}

fn operation(texts: &Texts, route: &Route, socket: &Path) -> String {
    let method = route.method.word();
    let described = &document()["paths"][route.path][method.to_ascii_lowercase()];
    let open = match route.gate {
        Gate::Open => format!(
            " <span class=\"quiet\">{}</span>",
            Text(texts.without_login)
        ),
        Gate::Known => String::new(),
    };
    format!(
        "<section id=\"{id}\"><h3><code>{method} {path}</code>{open}</h3><p>{summary}</p>\
         {parameters}{body}{answers}<p>{word}</p><pre>{example}</pre></section>",
        id = route.operation,
        path = Text(route.path),
        summary = Text(route.summary),
        parameters = parameters(texts, described),
        body = body(texts, described),
        answers = answers(texts, described),
        word = Text(texts.example),
        example = Text(example(route, socket)),
    )
}

fn parameters(texts: &Texts, operation: &Value) -> String {
    let Some(parameters) = operation["parameters"].as_array() else {
        return String::new();
    };
    let rows: String = parameters.iter().map(parameter_row).collect();
    table(
        [texts.parameter, texts.place, texts.kind, texts.meaning],
        &rows,
    )
}

fn parameter_row(parameter: &Value) -> String {
    format!(
        "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td class=\"wrap\">{}</td></tr>",
        Text(word(&parameter["name"])),
        Text(word(&parameter["in"])),
        schemas::kind(&parameter["schema"]),
        Text(word(&parameter["description"])),
    )
}

fn body(texts: &Texts, operation: &Value) -> String {
    let Some(body) = operation.get("requestBody") else {
        return String::new();
    };
    let schema = &body["content"]["application/json"]["schema"];
    format!(
        "<p>{}: {} {}</p>",
        Text(texts.body),
        Text(word(&body["description"])),
        schemas::kind(schema),
    )
}

fn answers(texts: &Texts, operation: &Value) -> String {
    let responses = operation["responses"].as_object();
    let rows: String = responses.into_iter().flatten().map(answer_row).collect();
    table([texts.status, texts.kind, texts.meaning], &rows)
}

fn answer_row((status, response): (&String, &Value)) -> String {
    let content = response["content"].as_object();
    let kinds: Vec<String> = content.into_iter().flatten().map(carried).collect();
    format!(
        "<tr><td>{status}</td><td>{}</td><td class=\"wrap\">{}</td></tr>",
        kinds.join(", "),
        Text(word(&response["description"])),
    )
}

fn carried((media, content): (&String, &Value)) -> String {
    match content.get("schema") {
        Some(schema) => schemas::kind(schema),
        None => Text(media).to_string(),
    }
}

fn table<const COLUMNS: usize>(heads: [&str; COLUMNS], rows: &str) -> String {
    let mut markup = String::from("<div class=\"scroll\"><table><thead><tr>");
    for head in heads {
        add(&mut markup, format_args!("<th>{}</th>", Text(head)));
    }
    markup + "</tr></thead><tbody>" + rows + "</tbody></table></div>"
}

/// The text of a value that is one.
fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// A request to copy, as the administrator of the machine.
fn example(route: &Route, socket: &Path) -> String {
    let mut path = route.path.to_owned();
    for parameter in route.parameters {
        if parameter.place == Place::Path {
            path = path.replace(&format!("{{{}}}", parameter.name), parameter.example);
        }
    }
    let mut line = format!("curl --unix-socket {}", quoted(&socket.to_string_lossy()));
    if route.method != Method::Get {
        line += " -X ";
        line += route.method.word();
    }
    if let Some(body) = route.body {
        line += " -H 'Content-Type: application/json' -d ";
        line += &quoted(body.example);
    }
    line + " " + &quoted(&format!("http://localhost{path}"))
}

/// One word for a shell (POSIX, XCU 2.2.2).
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:".contains(&byte);
    if text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_one_line_for_a_shell() {
        let submit = routes::all()
            .find(|route| route.operation == "submitJob")
            .unwrap();
        assert_eq!(
            example(submit, Path::new("/srv/it's/flota.sock")),
            "curl --unix-socket '/srv/it'\\''s/flota.sock' -X POST -H 'Content-Type: \
             application/json' -d '{\"name\": \"hello\", \"program\": {\"argv\": [\"echo\", \
             \"hello\"]}}' http://localhost/api/v1/jobs"
        );
        for route in routes::all() {
            assert!(!example(route, Path::new("/s")).contains('{') || route.body.is_some());
        }
    }
}

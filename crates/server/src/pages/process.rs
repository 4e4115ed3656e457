//! `/nodes/{node}/processes/{pid}`: one process from all sides, as `flota process show` tells it.

pub(super) mod words;

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use flota_wire::rest::{
    inspect::ProcessDetails,
    sections::{Column, Section},
};

use self::words::Words;
use super::{
    Refresh,
    html::{Text, add},
    language::Language,
    overview::failed,
    page, time,
};
use crate::{
    access::Caller,
    edge::{Desk, Parameters, details_of_number},
    problem::Problem,
};

/// `GET /nodes/{name or number}/processes/{pid}?lang=es`
pub(crate) async fn process(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((node, pid)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let language = Language::of_request(&headers, &uri);
    match load(&desk, &caller, (&node, &pid), &uri).await {
        Ok(details) => {
            let title = format!("{}/{}", details.process.node_name, details.process.pid);
            let body = render(language, &details);
            page(language, &title, Refresh::Never, &body)
        }
        Err(problem) => failed(problem, &headers, &uri),
    }
}

async fn load(
    desk: &Desk,
    caller: &Caller,
    (node, pid): (&str, &str),
    uri: &Uri,
) -> Result<ProcessDetails, Problem> {
    Parameters::parse(uri, &["lang"])?;
    details_of_number(desk, caller, node, pid).await
}

fn render(language: Language, details: &ProcessDetails) -> String {
    let words = Words::of(language);
    let process = &details.process;
    let mut body = format!(
        "<main><h1>{} <code>{}/{}</code></h1><p class=\"wrap\">{}</p>",
        Text(&process.name),
        Text(&process.node_name),
        process.pid,
        Text(process.command.as_deref().unwrap_or("")),
    );
    body += "<div class=\"scroll\"><table><tbody>";
    for (name, value) in facts(language, details) {
        add(
            &mut body,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"wrap\">{value}</td></tr>",
                Text(name)
            ),
        );
    }
    body += "</tbody></table></div>";
    for section in details.sections(words.masked, words.unlimited) {
        body += &table(words, details, &section);
    }
    add(
        &mut body,
        format_args!(
            "<p class=\"quiet\"><a href=\"/api/v1/processes/{}\">{}</a> · <a href=\"/nodes/{}\">{}</a></p></main>",
            process.handle,
            Text(language.texts().as_json),
            process.node,
            Text(&process.node_name),
        ),
    );
    body
}

/// Names and markup.
fn facts(language: Language, details: &ProcessDetails) -> Vec<(&'static str, String)> {
    let (texts, words) = (language.texts(), Words::of(language));
    let process = &details.process;
    let percent =
        |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.1} %"));
    let path = |path: &Option<String>, field: &str| match path {
        Some(path) => Text(path).to_string(),
        None => reason(&details.unreadable, field),
    };
    let program = match &details.program {
        Some(program) if program.deleted => {
            format!("{} ({})", Text(&program.path), Text(words.deleted))
        }
        Some(program) => Text(&program.path).to_string(),
        None => reason(&details.unreadable, "program"),
    };
    let number = process.uid.map(|uid| uid.to_string());
    let user = process.user.clone().or(number);
    let job = process.task.as_ref().map(|task| {
        format!(
            "<a href=\"/jobs/{0}\">{0}</a> · {1} · {2}",
            task.job, task.task, task.attempt
        )
    });
    vec![
        (words.handle, Text(&process.handle).to_string()),
        (words.user, Text(user.unwrap_or_default()).to_string()),
        (texts.state, Text(&process.state).to_string()),
        (words.parent, parent(process.node, process.parent)),
        (words.core_percent, percent(process.cpu_core_percent)),
        (words.machine_percent, percent(process.cpu_machine_percent)),
        (words.seconds, format!("{:.2}", process.cpu_seconds)),
        (
            texts.memory,
            process.memory.map_or("?".to_owned(), time::size),
        ),
        (words.program, program),
        (words.folder, path(&details.folder, "folder")),
        (words.root, path(&details.root, "root")),
        (texts.job, job.unwrap_or_default()),
    ]
}

/// A parent of 0 is outside.
fn parent(node: u32, parent: u32) -> String {
    match parent {
        0 => "0".to_owned(),
        parent => format!("<a href=\"/nodes/{node}/processes/{parent}\">{parent}</a>"),
    }
}

/// Why a field is null, as markup.
fn reason(unreadable: &BTreeMap<String, String>, field: &str) -> String {
    let reason = unreadable.get(field).map_or("", String::as_str);
    format!("<span class=\"quiet\">[{}]</span>", Text(reason))
}

fn table(words: &Words, details: &ProcessDetails, section: &Section) -> String {
    let count = match &section.reason {
        Some(reason) => format!("[{}]", Text(reason)),
        None if section.rows.len() < section.total => {
            format!("{} / {}", section.rows.len(), section.total)
        }
        None => section.total.to_string(),
    };
    let mut markup = format!(
        "<h2>{} <span class=\"quiet\">{count}</span></h2>",
        Text((words.section)(section.title))
    );
    if section.rows.is_empty() {
        return markup;
    }
    markup += "<div class=\"scroll\"><table><thead><tr>";
    for column in section.columns {
        add(
            &mut markup,
            format_args!("<th scope=\"col\">{}</th>", Text((words.column)(*column))),
        );
    }
    markup += "</tr></thead><tbody>";
    let is_of_children = section.columns.contains(&Column::Handle);
    for row in &section.rows {
        markup += "<tr>";
        for (column, cell) in section.columns.iter().zip(row) {
            let cell = if is_of_children && *column == Column::Number {
                format!(
                    "<a href=\"/nodes/{}/processes/{1}\">{1}</a>",
                    details.process.node,
                    Text(cell)
                )
            } else {
                Text(cell).to_string()
            };
            add(&mut markup, format_args!("<td class=\"wrap\">{cell}</td>"));
        }
        markup += "</tr>";
    }
    markup + "</tbody></table></div>"
}

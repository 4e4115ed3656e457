//! `/nodes/{node}/processes`: the processes of a node, each with a link to all that is known of it.

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use flota_wire::rest::process::{Process, Processes};

use super::{
    Refresh,
    html::{Text, add},
    language::Language,
    overview::failed,
    page,
    process::words::Words,
    time,
};
use crate::{
    access::Caller,
    edge::{Desk, processes_of_page},
};

/// `GET /nodes/{name or number}/processes?lang=es&sort=cpu&name=…`
pub(crate) async fn processes(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(node): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let language = Language::of_request(&headers, &uri);
    match processes_of_page(&desk, &caller, &node, &uri).await {
        Ok((name, list)) => {
            let words = Words::of(language);
            let title = format!("{} {name}", words.processes);
            page(
                language,
                &title,
                Refresh::Never,
                &render(language, &name, &list),
            )
        }
        Err(problem) => failed(problem, &headers, &uri),
    }
}

fn render(language: Language, name: &str, list: &Processes) -> String {
    let (texts, words) = (language.texts(), Words::of(language));
    let lang = language.word();
    let mut body = format!(
        "<main><h1>{} <a href=\"/nodes/{1}?lang={lang}\">{1}</a></h1><p class=\"quiet\">{2} / {3}</p>\
         <div class=\"scroll\"><table><thead><tr>",
        Text(words.processes),
        Text(name),
        list.processes.len(),
        list.matching,
    );
    for (sort, header) in [
        ("pid", words.number),
        ("user", words.user),
        ("state", texts.state),
        ("cpu", words.core_percent),
        ("memory", texts.memory),
        ("job", texts.job),
        ("command", words.command),
    ] {
        add(
            &mut body,
            format_args!(
                "<th scope=\"col\"><a href=\"?lang={lang}&amp;sort={sort}&amp;kernel=false\">{}</a></th>",
                Text(header)
            ),
        );
    }
    body += "</tr></thead><tbody>";
    for process in &list.processes {
        row(&mut body, lang, process);
    }
    body + "</tbody></table></div></main>"
}

fn row(body: &mut String, lang: &str, process: &Process) {
    let number = process.uid.map(|uid| uid.to_string());
    let user = process.user.clone().or(number).unwrap_or_default();
    let percent = process.cpu_core_percent;
    let job = process.task.as_ref().map(|task| task.job);
    let command = process.command.clone();
    add(
        body,
        format_args!(
            "<tr><td><a href=\"/nodes/{}/processes/{1}?lang={lang}\">{1}</a></td><td>{2}</td><td>{3}</td>\
             <td>{4}</td><td>{5}</td><td>{6}</td><td class=\"wrap\">{7}</td></tr>",
            process.node,
            process.pid,
            Text(user),
            Text(&process.state),
            percent.map_or_else(String::new, |percent| format!("{percent:.1} %")),
            process.memory.map_or_else(String::new, time::size),
            job.map_or_else(String::new, |job| format!(
                "<a href=\"/jobs/{job}\">{job}</a>"
            )),
            Text(command.unwrap_or_else(|| format!("[{}]", process.name))),
        ),
    );
}

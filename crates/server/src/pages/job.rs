//! `/jobs/{id}`: one job and its tasks.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use flota_model::{
    change::JobRecord,
    ids::JobId,
    state::{JobPhase, TaskState},
};
use flota_wire::{
    rest::{
        self,
        control::{FailureGroup, Failures},
        sample::Unkillable,
    },
    spec::to_value,
};

use super::{
    Refresh,
    html::{Text, add, progress, task_badge},
    language::Language,
    overview::{failed, machine, phase_badge},
    page,
    texts::Texts,
    time,
};
use crate::{
    access::{Caller, Object, Verb},
    edge::{Desk, Parameters, TaskFilter, failures_of, node_views, record, task_page, unkillable},
    problem::Problem,
};

/// What the page shows.
struct View {
    record: JobRecord,
    tasks: rest::Tasks,
    /// Only tasks in this state.
    state: Option<TaskState>,
    /// Why tasks failed.
    failures: Failures,
    /// Names of nodes by their number.
    nodes: BTreeMap<u32, String>,
    /// What was killed and is still there.
    unkillable: Vec<Unkillable>,
}

/// `GET /jobs/{id}?lang=es&after=INDEX&state=WORD&limit=100`
pub(crate) async fn job(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let language = Language::of_request(&headers, &uri);
    let view = match load(&desk, &caller, &name, &uri).await {
        Ok(view) => view,
        Err(problem) => return failed(problem, &headers, &uri),
    };
    let refresh = match view.record.phase {
        JobPhase::Finished => Refresh::Never,
        JobPhase::Active | JobPhase::Cancelling => Refresh::Often,
    };
    let title = format!("{} {}", language.texts().job, view.record.job);
    page(language, &title, refresh, &render(language, &view))
}

async fn load(desk: &Desk, caller: &Caller, name: &str, uri: &Uri) -> Result<View, Problem> {
    let parameters = Parameters::parse(uri, &["lang", "after", "state", "limit"])?;
    let filter = TaskFilter::of(&parameters)?;
    let job = desk.job_named(name).await?;
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    let record = record(desk, &permit, job).await?;
    let wanted = record.clone();
    let tasks = desk
        .read(&permit, move |history| task_page(history, &wanted, filter))
        .await?;
    let unkillable = unkillable(desk, caller, job).await?;
    let failures = failures_of(desk, &permit, job).await?;
    let nodes = node_views(desk, caller, &Object::Fleet).await?;
    let nodes = nodes
        .into_iter()
        .map(|node| (node.node.0, node.name))
        .collect();
    Ok(View {
        record,
        tasks,
        state: filter.state,
        failures,
        nodes,
        unkillable,
    })
}

fn render(language: Language, view: &View) -> String {
    let (texts, lang) = (language.texts(), language.word());
    let record = &view.record;
    let spec = &record.spec.spec;
    let finished = record.finished_at.map_or_else(String::new, |at| {
        let took = time::span(time::between(record.submitted_at, at));
        format!(
            " · {} {} ({})",
            Text(texts.finished),
            time::date(at),
            Text(took)
        )
    });
    let json = serde_json::to_string_pretty(&to_value(spec)).unwrap_or_default();
    format!(
        "<main><h1>{job} {id}: {name}</h1>\
         <p>{phase} {progress}</p>\
         <p class=\"quiet\">{submitted} <time datetime=\"{machine}\">{date}</time> · {by} \
         {principal} · {priority_word} {priority}{finished} · \
         <a href=\"/api/v1/jobs/{id}\">{as_json}</a></p>{control}\
         <details><summary>spec</summary><pre>{json}</pre></details>\
         {left}{failures}<h2>{tasks_word}</h2>{filters}{table}{pages}</main>",
        job = Text(texts.job),
        id = record.job,
        name = Text(&spec.name),
        phase = phase_badge(texts, record.phase),
        progress = progress(texts, &record.counts_of_wanted()),
        submitted = Text(texts.submitted),
        machine = machine(record.submitted_at),
        date = time::date(record.submitted_at),
        by = Text(texts.submitter),
        principal = Text(&record.principal),
        priority_word = Text(texts.priority),
        priority = spec.priority.0,
        as_json = Text(texts.as_json),
        json = Text(json),
        left = left(texts, view),
        control = control(texts, record),
        failures = failures(texts, view),
        tasks_word = Text(texts.tasks),
        filters = filters(texts, lang, view),
        table = table(texts, view),
        pages = pages(texts, lang, view),
    )
}

/// What was killed and is still there, a line for each attempt.
fn left(texts: &Texts, view: &View) -> String {
    let lines = view.unkillable.iter().map(|one| {
        let node = view.nodes.get(&one.node).cloned();
        format!(
            "<p><span class=\"warn\">⚠ {} {}: {}</span>: {} · {} {}</p>",
            Text(texts.task),
            one.task,
            Text(texts.unkillable),
            Text(one.list()),
            Text(texts.node),
            Text(node.unwrap_or_else(|| one.node.to_string())),
        )
    });
    lines.collect()
}

/// Who holds it back, and why it was cancelled.
fn control(texts: &Texts, record: &JobRecord) -> String {
    let line = |what: &str, by: &str, at, reason: Option<&String>| {
        let reason = reason.map_or_else(String::new, |reason| format!(": {}", Text(reason)));
        format!(
            "<p class=\"warn\">{} · {} {} · {}{reason}</p>",
            Text(what),
            Text(texts.submitter),
            Text(by),
            time::date(at),
        )
    };
    let mut lines = String::new();
    if let Some(pause) = &record.control.paused {
        lines += &line(texts.paused, &pause.by, pause.at, pause.reason.as_ref());
    }
    if let Some(ending) = &record.control.ending {
        let cause = (texts.end_cause)(ending.cause);
        lines += &line(cause, &ending.by, ending.at, ending.reason.as_ref());
    }
    lines
}

/// Why tasks failed: one row per reason.
fn failures(texts: &Texts, view: &View) -> String {
    if view.failures.groups.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for group in &view.failures.groups {
        let node = view.nodes.get(&group.node).cloned();
        add(
            &mut rows,
            format_args!(
                "<tr><td class=\"number\">{}</td><td class=\"wrap\">{}</td><td>{}</td>\
                 <td class=\"number\">{}</td></tr>",
                group.tasks,
                Text(outcome(texts, &Shown::from(group))),
                Text(node.unwrap_or_else(|| group.node.to_string())),
                group.task,
            ),
        );
    }
    format!(
        "<h2>{}</h2><div class=\"scroll\"><table><thead><tr><th class=\"number\">{}</th><th>{}</th>\
         <th>{}</th><th class=\"number\">{}</th></tr></thead><tbody>{rows}</tbody></table></div>",
        Text(texts.failures),
        Text(texts.tasks),
        Text(texts.outcome),
        Text(texts.node),
        Text(texts.example),
    )
}

/// What an outcome says.
struct Shown<'a> {
    word: &'a str,
    numbers: [Option<u8>; 2],
    stage: &'a str,
    errno: Option<i32>,
    message: Option<&'a str>,
}

impl<'a> From<&'a FailureGroup> for Shown<'a> {
    fn from(group: &'a FailureGroup) -> Self {
        Self {
            word: &group.outcome,
            numbers: [group.exit_code, group.signal],
            stage: group.stage.as_deref().unwrap_or(""),
            errno: group.errno,
            message: group.message.as_deref(),
        }
    }
}

impl<'a> From<&'a rest::Attempt> for Shown<'a> {
    fn from(attempt: &'a rest::Attempt) -> Self {
        Self {
            word: &attempt.outcome,
            numbers: [attempt.exit_code, attempt.signal],
            stage: attempt.stage.as_deref().unwrap_or(""),
            errno: attempt.errno,
            message: attempt.message.as_deref(),
        }
    }
}

/// One link per state that has tasks.
fn filters(texts: &Texts, lang: &str, view: &View) -> String {
    let mut links = format!(
        "<p class=\"filters\"><a href=\"?lang={lang}\">{}</a>",
        Text(texts.all)
    );
    for shown in TaskState::ALL {
        let count = view.record.counts_of_wanted().of(shown);
        if count == 0 {
            continue;
        }
        let (word, badge) = (shown.word(), task_badge(texts, shown));
        let link = if view.state == Some(shown) {
            format!("<b aria-current=\"true\">{badge} {count}</b>")
        } else {
            format!("<a href=\"?lang={lang}&amp;state={word}\">{badge} {count}</a>")
        };
        links += &link;
    }
    links + "</p>"
}

fn table(texts: &Texts, view: &View) -> String {
    if view.tasks.tasks.is_empty() {
        return format!("<p>{}</p>", Text(texts.no_tasks));
    }
    let rows: String = view
        .tasks
        .tasks
        .iter()
        .map(|task| task_rows(texts, view, task))
        .collect();
    format!(
        "<div class=\"scroll\"><table><thead><tr><th class=\"number\">{}</th><th>{}</th>\
         <th>{}</th><th>{}</th><th>{}</th><th class=\"number\">{}</th>\
         <th>{}</th></tr></thead><tbody>{rows}</tbody></table></div>",
        Text(texts.task),
        Text(texts.state),
        Text(texts.attempt),
        Text(texts.outcome),
        Text(texts.node),
        Text(texts.took),
        Text(texts.outputs),
    )
}

/// One row per attempt; a task without one has a row of its own.
fn task_rows(texts: &Texts, view: &View, task: &rest::Task) -> String {
    let state = TaskState::ALL
        .into_iter()
        .find(|state| state.word() == task.state);
    let badge = state.map_or_else(String::new, |state| task_badge(texts, state));
    let head = format!("<td class=\"number\">{}</td><td>{badge}</td>", task.index);
    if task.attempts.is_empty() {
        return format!("<tr>{head}<td></td><td></td><td></td><td></td><td></td></tr>");
    }
    let mut rows = String::new();
    for number in 0..task.attempts.len() {
        let head = if number == 0 {
            head.as_str()
        } else {
            "<td></td><td></td>"
        };
        add(
            &mut rows,
            format_args!(
                "<tr>{head}{}</tr>",
                attempt_cells(texts, view, task, number)
            ),
        );
    }
    rows
}

fn attempt_cells(texts: &Texts, view: &View, task: &rest::Task, number: usize) -> String {
    let attempt = &task.attempts[number];
    let took = attempt.started_at.map_or_else(String::new, |started| {
        let length = (attempt.ended_at - started).max(0.0);
        time::span(std::time::Duration::try_from_secs_f64(length).unwrap_or_default())
    });
    let counted = if attempt.counted {
        format!(" · {}", texts.counted)
    } else {
        String::new()
    };
    let node = view.nodes.get(&attempt.node).cloned();
    format!(
        "<td title=\"{}\">{}{}</td><td class=\"wrap\">{}</td><td>{}</td>\
         <td class=\"number\">{}</td><td>{}</td>",
        Text(&attempt.id),
        number + 1,
        Text(counted),
        Text(outcome(texts, &Shown::from(attempt))),
        Text(node.unwrap_or_else(|| attempt.node.to_string())),
        Text(took),
        outputs(texts, view.record.job, task.index, attempt),
    )
}

/// A link for each output that is not empty.
fn outputs(texts: &Texts, job: JobId, task: u32, attempt: &rest::Attempt) -> String {
    let mut links = String::new();
    for name in ["stdout", "stderr", "result"] {
        let Some(length) = attempt.outputs.get(name) else {
            continue;
        };
        let cut = if attempt.truncated.iter().any(|cut| cut == name) {
            format!(" <span class=\"warn\">⚠ {}</span>", Text(texts.cut))
        } else {
            String::new()
        };
        let (id, size) = (Text(&attempt.id), time::size(*length));
        add(
            &mut links,
            format_args!(
                "<a href=\"/api/v1/jobs/{job}/tasks/{task}/output/{name}?attempt={id}\">{name}</a> \
                 <span class=\"quiet\">{size}</span>{cut} ",
            ),
        );
    }
    links
}

/// The outcome with what it carries, e.g. `exited with 3`.
fn outcome(texts: &Texts, shown: &Shown<'_>) -> String {
    let word = (texts.outcome_word)(shown.word);
    let mut text = word.unwrap_or(shown.word).to_owned();
    for number in shown.numbers.into_iter().flatten() {
        add(&mut text, format_args!(" {number}"));
    }
    if let Some(errno) = shown.errno {
        let stage = shown.stage;
        add(
            &mut text,
            format_args!(
                ": {} {stage}: {}",
                texts.stage,
                std::io::Error::from_raw_os_error(errno)
            ),
        );
    }
    if let Some(message) = shown.message {
        add(&mut text, format_args!(": {message}"));
    }
    text
}

fn pages(texts: &Texts, lang: &str, view: &View) -> String {
    let state = view
        .state
        .map_or_else(String::new, |state| format!("&amp;state={}", state.word()));
    let next = view.tasks.next.map_or_else(String::new, |after| {
        format!(
            "<a href=\"?lang={lang}{state}&amp;after={after}\">{}</a>",
            Text(texts.next)
        )
    });
    format!(
        "<p class=\"pages\"><a href=\"?lang={lang}{state}\">{}</a>{next}</p>",
        Text(texts.first)
    )
}

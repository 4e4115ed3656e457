//! Watched files: add, list, remove. What is done about them is in [`crate::watcher`].

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    routing::on,
};
use flota_model::{
    command::{Command, Reply},
    note::{NoteKind, NoteRecord},
};
use flota_wire::{
    rest::{
        convert::seconds,
        watch::{Watch, WatchFault, WatchOrder, Watches},
    },
    spec::{Notation, SpecFault, SpecFaults, read_job},
    watch::{WatchFormat, WatchState},
};

use super::{
    Desk, Parameters, body, bug,
    routes::{Answer, Body as Carried, Chapter, OF_FLEET, Parameter, Route, Shape, schema},
};
use crate::{
    access::{Caller, Object, Verb},
    problem::{
        BODY_BROKEN, BODY_SLOW, BODY_TOO_LARGE, BODY_TYPE, NOTE_CHANGED, NOTE_LIMIT,
        NOTE_NOT_FOUND, Problem, QUERY_INVALID, SPEC_INVALID, STORE_FULL, WATCH_OUTSIDE,
    },
    watcher,
};

const PATH: Parameter = Parameter::query(
    "path",
    Shape::Text,
    "The path of a watched file or folder; all of them if not given.",
);
const WHICH: Parameter =
    Parameter::query("path", Shape::Text, "The path of a watched file or folder.");

pub(super) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Jobs,
        body: Some(Carried {
            about: "Which file or folder, and what its lines become.",
            schema: schema::<WatchOrder>,
            example: r#"{"path": "urls.txt", "job": {"name": "get", "program": {"argv": ["wget", "{line}"]}}}"#,
        }),
        answers: &[Answer::json_with(
            201,
            "It is watched from now on; its lines are new.",
            schema::<Watch>,
        )],
        problems: &[
            OF_FLEET,
            &[
                BODY_BROKEN,
                BODY_SLOW,
                BODY_TOO_LARGE,
                BODY_TYPE,
                NOTE_CHANGED,
                NOTE_LIMIT,
                SPEC_INVALID,
                STORE_FULL,
                WATCH_OUTSIDE,
            ],
        ],
        ..Route::post(
            "/api/v1/watches",
            "addWatch",
            "Makes each new line of a file a task.",
            |method| on(method, add),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        parameters: &[PATH],
        answers: &[Answer::json(
            "Watched files and folders, by path.",
            schema::<Watches>,
        )],
        problems: &[OF_FLEET, &[NOTE_NOT_FOUND]],
        ..Route::get(
            "/api/v1/watches",
            "listWatches",
            "What is watched, with the lines that were wrong.",
            |method| on(method, list),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        parameters: &[WHICH],
        answers: &[Answer::json("The watch as it was.", schema::<Watch>)],
        problems: &[OF_FLEET, &[NOTE_NOT_FOUND]],
        ..Route::delete(
            "/api/v1/watches",
            "removeWatch",
            "Watches a file no more, and forgets which of its lines were taken.",
            |method| on(method, remove),
        )
    },
];

/// `POST /api/v1/watches`
async fn add(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Watch>), Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::JobSubmit, &Object::Fleet)?;
    desk.refuse_when_full()?;
    body::require_json(&headers)?;
    let text = body::read(body, desk.settings().limits.body_within).await?;
    let order: WatchOrder =
        serde_json::from_slice(&text).map_err(|fault| invalid("", fault.to_string()))?;
    let path = watcher::allowed(desk.settings(), &order.path).ok_or_else(|| {
        let folders = watcher::folders(desk.settings());
        let folders: Vec<String> = folders
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let detail = format!(
            "`{}` is not below {}",
            order.path.escape_debug(),
            folders.join(", ")
        );
        Problem::new(WATCH_OUTSIDE, detail)
    })?;
    let state = state_of(&order)?;
    let command = Command::WriteNote {
        kind: NoteKind::Watch,
        name: path.clone(),
        expected: Some(0),
        bytes: state.to_bytes().into(),
        jobs: Vec::new(),
    };
    let Reply::Noted { .. } = desk.command(permit, command).await? else {
        return Err(bug("a watch got another answer"));
    };
    let added = named(&desk, &path).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

fn invalid(field: &str, what: impl Into<String>) -> Problem {
    let fault = SpecFault {
        field: field.to_owned(),
        what: what.into(),
        hint: None,
    };
    Problem::of_spec(SPEC_INVALID, SpecFaults { list: vec![fault] })
}

fn state_of(order: &WatchOrder) -> Result<WatchState, Problem> {
    let format = match order.format.as_deref().unwrap_or("lines") {
        "lines" => WatchFormat::Lines,
        "csv" => WatchFormat::Csv,
        "json-lines" => WatchFormat::JsonLines,
        "hpc" => WatchFormat::Hpc,
        _ => return Err(invalid("format", "none of lines, csv, json-lines and hpc")),
    };
    let template = match (format, &order.job) {
        (WatchFormat::Hpc, None) => String::new(),
        (WatchFormat::Hpc, Some(_)) => {
            return Err(invalid(
                "job",
                "lines of the format hpc say all by themselves",
            ));
        }
        (_, None) => return Err(invalid("job", "missing")),
        (_, Some(job)) => {
            let text = job.to_string();
            let read = read_job(&text, Notation::Json);
            let read = read.map_err(|faults| Problem::of_spec(SPEC_INVALID, faults))?;
            if read.spec.parameters.is_some() || read.spec.service.is_some() {
                return Err(invalid("job", "has parameters of its own, or is a service"));
            }
            text
        }
    };
    Ok(WatchState::new(format, template))
}

/// `GET /api/v1/watches`
async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Watches>, Problem> {
    let parameters = Parameters::parse(&uri, &["path"])?;
    let _permit = caller.may(Verb::JobRead, &Object::Fleet)?;
    let watches = match parameters.text("path") {
        Some(path) => vec![named(&desk, path).await?],
        None => {
            let notes = watcher::watches(&desk).await?;
            notes.iter().map(|note| shown(&desk, note)).collect()
        }
    };
    Ok(Json(Watches { watches }))
}

/// `DELETE /api/v1/watches?path=…`
async fn remove(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Watch>, Problem> {
    let parameters = Parameters::parse(&uri, &["path"])?;
    let permit = caller.may(Verb::JobSubmit, &Object::Fleet)?;
    let path = parameters
        .text("path")
        .ok_or_else(|| Problem::new(QUERY_INVALID, "`path` must be given"))?;
    let watch = named(&desk, path).await?;
    let command = Command::RemoveNote {
        kind: NoteKind::Watch,
        name: watch.path.clone(),
    };
    desk.command(permit, command).await?;
    Ok(Json(watch))
}

/// The watch of a path as it was given, or as it is kept.
async fn named(desk: &Desk, path: &str) -> Result<Watch, Problem> {
    let notes = watcher::watches(desk).await?;
    let kept = watcher::kept(desk.settings(), path);
    let found = notes
        .iter()
        .find(|note| note.name == path || Some(&note.name) == kept.as_ref());
    let found = found.map(|note| shown(desk, note));
    found.ok_or_else(|| Problem::new(NOTE_NOT_FOUND, format!("nothing is watched at `{path}`")))
}

fn shown(desk: &Desk, note: &NoteRecord) -> Watch {
    let state = WatchState::of_bytes(&note.bytes);
    let state = state.unwrap_or_else(|| WatchState::new(WatchFormat::Lines, String::new()));
    let present = state
        .files
        .iter()
        .filter(|(_, file)| !file.identity.is_empty());
    let fault = |fault: &flota_wire::watch::WatchFault| WatchFault {
        file: fault.file.clone(),
        line: fault.line,
        reason: fault.reason.clone(),
    };
    Watch {
        path: note.name.clone(),
        format: match state.format {
            WatchFormat::Lines => "lines",
            WatchFormat::Csv => "csv",
            WatchFormat::JsonLines => "json-lines",
            WatchFormat::Hpc => "hpc",
        }
        .to_owned(),
        principal: note.principal.clone(),
        changed_at: seconds(note.changed_at),
        tasks: state.tasks,
        files: present.map(|(name, _)| name.clone()).collect(),
        faults: state.faults.iter().map(fault).collect(),
        problem: desk.watch_problems().get(&note.name),
    }
}

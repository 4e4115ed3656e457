//! Jobs: submit, list, show, cancel.

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::on,
};
use flota_model::{
    change::JobRecord,
    command::{Command, Query, Reply, UnkillableView},
    control::REASON_LENGTH_MAX,
    ids::JobId,
    state::{JobKind, JobPhase},
};
use flota_store::history::{JobPage, JobSummary, Page};
use flota_wire::{
    rest::{
        self,
        convert::{seconds, tasks_by_state},
        page::PAGE_MAX,
        sample::Unkillable,
    },
    spec::seal,
};

use super::{
    Desk, Parameters, bug,
    desk::no_job,
    routes::{
        Answer, Body as Carried, Chapter, JOB, OF_FLEET, OF_STORE, PAGE, Parameter, Route, Shape,
        Tag, schema,
    },
};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{
        BODY_BROKEN, BODY_SLOW, BODY_TOO_LARGE, BODY_TYPE, DEADLINE_PASSED, JOB_FINISHED,
        JOB_NOT_FOUND, JOBS_TOO_MANY, KERNEL_PARAMETER, KERNEL_UNKNOWN, KEY_INVALID, KEY_REUSED,
        Kind, NODE_OF_JOB_NOT_FOUND, Problem, ROWS_TOO_MANY, SPEC_INVALID, STORE_BEHIND,
        STORE_FULL, TASKS_TOO_MANY,
    },
};

mod submission;

/// Jobs of a page where the caller does not say.
const PAGE_DEFAULT: u32 = 50;
/// Longest idempotency key, in bytes.
const KEY_LENGTH_MAX: usize = 128;

/// What may be wrong with a submission.
const OF_SUBMISSION: &[Kind] = &[
    BODY_BROKEN,
    BODY_SLOW,
    BODY_TOO_LARGE,
    BODY_TYPE,
    DEADLINE_PASSED,
    JOBS_TOO_MANY,
    KERNEL_PARAMETER,
    KERNEL_UNKNOWN,
    KEY_INVALID,
    KEY_REUSED,
    NODE_OF_JOB_NOT_FOUND,
    ROWS_TOO_MANY,
    SPEC_INVALID,
    STORE_FULL,
    TASKS_TOO_MANY,
];
const KEY: Parameter = Parameter::header(
    "Idempotency-Key",
    Shape::Text,
    "1 to 128 visible ASCII characters: a submission that is repeated with it makes one job.",
);
/// Of a page of jobs.
pub(crate) const BEFORE: Parameter = Parameter::query(
    "before",
    Shape::Number {
        min: 0,
        max: u64::MAX,
    },
    "Only jobs with a lower number: `next` of the page before.",
);
const PHASE: Parameter = Parameter::query(
    "phase",
    Shape::OneOf(&["active", "cancelling", "finished"]),
    "Only jobs in this phase.",
);

const KIND: Parameter = Parameter::query(
    "kind",
    Shape::OneOf(&["batch", "service", "all"]),
    "Only jobs of this kind, otherwise `batch`: the revisions of services have lists of their own.",
);

/// Why something is done.
pub(super) const REASON: Parameter = Parameter::query(
    "reason",
    Shape::Text,
    "Why, for others to read; at most 500 bytes.",
);

pub(super) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Jobs,
        parameters: &[KEY],
        body: Some(Carried {
            about: "The job. With `Content-Type: application/vnd.flota.job` it is one line, and the bytes \
                    behind that line are the rows that `parameters.rows` has the hash of: a NUL ends each \
                    value, and nothing separates rows.",
            schema: schema::<flota_wire::spec::document::Submission>,
            example: r#"{"name": "hello", "program": {"argv": ["echo", "hello"]}}"#,
        }),
        answers: &[
            Answer::json_with(201, "The job was made.", schema::<rest::Submitted>),
            Answer::json("The same key made it before.", schema::<rest::Submitted>),
        ],
        problems: &[OF_FLEET, OF_SUBMISSION],
        ..Route::post("/api/v1/jobs", "submitJob", "Submits a job.", |method| {
            on(method, submit)
        })
    },
    Route {
        chapter: Chapter::Jobs,
        tag: Tag::OfBytes,
        parameters: &[PAGE, BEFORE, PHASE, KIND],
        answers: &[Answer::json("A page of jobs.", schema::<rest::Jobs>)],
        problems: &[OF_STORE],
        ..Route::get(
            "/api/v1/jobs",
            "listJobs",
            "Jobs, the newest first.",
            |method| on(method, list),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        tag: Tag::OfBytes,
        parameters: &[JOB],
        answers: &[Answer::json("The job with its spec.", schema::<rest::Job>)],
        problems: &[OF_STORE, &[JOB_NOT_FOUND]],
        ..Route::get("/api/v1/jobs/{job}", "getJob", "One job.", |method| {
            on(method, job)
        })
    },
    Route {
        chapter: Chapter::Jobs,
        parameters: &[JOB, REASON],
        answers: &[Answer::json_with(
            202,
            "Nothing of it starts any more; what runs is being stopped.",
            schema::<rest::Cancelling>,
        )],
        problems: &[
            OF_FLEET,
            OF_STORE,
            &[JOB_NOT_FOUND, JOB_FINISHED, STORE_BEHIND],
        ],
        ..Route::post(
            "/api/v1/jobs/{job}/cancel",
            "cancelJob",
            "Cancels a job.",
            |method| on(method, cancel),
        )
    },
];

/// `POST /api/v1/jobs`
pub(super) async fn submit(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::JobSubmit, &Object::Fleet)?;
    desk.refuse_when_full()?;
    let idempotency_key = idempotency_key(&headers)?;
    let job = submission::read(&desk, &headers, body).await?;
    let command = Command::Submit {
        spec: seal(job.spec),
        rows: job.rows,
        idempotency_key,
    };
    let Reply::Submitted { job, existing } = desk.command(permit, command).await? else {
        return Err(bug("a submission got another answer"));
    };
    Ok(submitted(job, existing))
}

fn submitted(job: JobId, existing: bool) -> Response {
    let status = if existing {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let answer = Json(rest::Submitted {
        job: job.0,
        existing,
    });
    (
        status,
        [(header::LOCATION, format!("/api/v1/jobs/{job}"))],
        answer,
    )
        .into_response()
}

/// The key of the request, 1..=128 visible ASCII characters.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    let visible = bytes.iter().all(u8::is_ascii_graphic);
    if values.next().is_some() || !visible || !(1..=KEY_LENGTH_MAX).contains(&bytes.len()) {
        let detail = format!(
            "{} bytes, given once, visible ASCII: {visible}",
            bytes.len()
        );
        return Err(Problem::new(KEY_INVALID, detail));
    }
    Ok(value.to_str().ok().map(str::to_owned))
}

/// `GET /api/v1/jobs`
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<rest::Jobs>, Problem> {
    let parameters = Parameters::parse(&uri, &["limit", "before", "phase", "kind"])?;
    let wanted = JobPage {
        before: parameters.number("before", 0..=u64::MAX)?.map(JobId),
        phase: parameters.parsed("phase", "active, cancelling or finished", phase)?,
        kind: match parameters.parsed("kind", "batch, service or all", kinds)? {
            None => Some(JobKind::Batch),
            Some([kind]) => Some(*kind),
            Some(_) => None,
        },
        limit: parameters
            .number("limit", 1..=PAGE_MAX)?
            .unwrap_or(PAGE_DEFAULT),
    };
    let page = summaries(&desk, &caller, wanted).await?;
    let next = page.next.map(|job| job.0);
    Ok(Json(rest::Jobs {
        jobs: page.rows.iter().map(listed).collect(),
        next,
    }))
}

/// A page of jobs.
pub(crate) async fn summaries(
    desk: &Desk,
    caller: &Caller,
    wanted: JobPage,
) -> Result<Page<JobSummary, JobId>, Problem> {
    let permit = caller.may(Verb::JobRead, &Object::Fleet)?;
    desk.read(&permit, move |history| history.jobs(&wanted))
        .await
}

fn phase(word: &str) -> Option<JobPhase> {
    [JobPhase::Active, JobPhase::Cancelling, JobPhase::Finished]
        .into_iter()
        .find(|phase| phase.word() == word)
}

fn kinds(word: &str) -> Option<&'static [JobKind]> {
    match word {
        "batch" => Some(&[JobKind::Batch]),
        "service" => Some(&[JobKind::Service]),
        "all" => Some(&JobKind::ALL),
        _ => None,
    }
}

fn listed(job: &JobSummary) -> rest::Job {
    rest::Job {
        id: job.job.0,
        name: job.name.clone(),
        principal: job.principal.clone(),
        kind: job.kind.word().into(),
        phase: job.phase.word().into(),
        priority: job.priority.0,
        first: job.tasks.first.0,
        last: job.tasks.last.0,
        tasks: tasks_by_state(&job.counts),
        submitted_at: seconds(job.submitted_at),
        finished_at: job.finished_at.map(seconds),
        paused: job
            .control
            .paused
            .as_deref()
            .map(rest::control::Pause::from),
        ending: job
            .control
            .ending
            .as_deref()
            .map(rest::control::Ending::from),
        spec: None,
        unkillable: Vec::new(),
    }
}

/// `GET /api/v1/jobs/{job}`
pub(super) async fn job(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    Parameters::parse(&uri, &[])?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    let record = record(&desk, &permit, job).await?;
    let unkillable = unkillable(&desk, &caller, job).await?;
    Ok(respond(rest::Job {
        unkillable,
        ..rest::Job::with_spec(&record)
    }))
}

/// What of a job was killed and is still there.
pub(crate) async fn unkillable(
    desk: &Desk,
    caller: &Caller,
    job: JobId,
) -> Result<Vec<Unkillable>, Problem> {
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    let Reply::Unkillable(views) = desk.query(permit, Query::Unkillable { job }).await? else {
        return Err(bug("a query of what does not die got another answer"));
    };
    let of_view = |view: &UnkillableView| Unkillable::of(view.task, view.node, &view.unkillable);
    Ok(views.iter().map(of_view).collect())
}

/// A job as JSON, with its spec.
pub(super) fn shown(record: &JobRecord) -> Response {
    respond(rest::Job::with_spec(record))
}

fn respond(job: rest::Job) -> Response {
    let address = HeaderValue::from_str(&format!("/api/v1/jobs/{}", job.id));
    let mut response = Json(job).into_response();
    if let Ok(address) = address {
        response
            .headers_mut()
            .insert(header::CONTENT_LOCATION, address);
    }
    response
}

/// The job as it is in the store.
pub(crate) async fn record(desk: &Desk, permit: &Permit, job: JobId) -> Result<JobRecord, Problem> {
    let found = desk.read(permit, move |history| history.job(job)).await?;
    found.ok_or_else(|| no_job(job))
}

/// Why something is done, as the caller gives it.
pub(super) fn reason(parameters: &Parameters) -> Result<Option<String>, Problem> {
    let wanted = format!("1 to {REASON_LENGTH_MAX} bytes without control characters");
    parameters.parsed("reason", &wanted, |text| {
        let fits = (1..=REASON_LENGTH_MAX).contains(&text.len());
        (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
    })
}

/// `POST /api/v1/jobs/{job}/cancel`
pub(super) async fn cancel(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<(StatusCode, Json<rest::Cancelling>), Problem> {
    let parameters = Parameters::parse(&uri, &["reason"])?;
    let reason = reason(&parameters)?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobCancel, &Object::Job(job))?;
    let command = Command::Cancel { job, reason };
    let Reply::Cancelling { job, phase } = desk.command(permit, command).await? else {
        return Err(bug("a cancel got another answer"));
    };
    Ok((
        StatusCode::ACCEPTED,
        Json(rest::Cancelling {
            job: job.0,
            phase: phase.word().into(),
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).unwrap();
        let name = header::HeaderName::from_static("idempotency-key");
        values
            .iter()
            .map(|bytes| (name.clone(), value(bytes)))
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    fn key(values: &[&[u8]]) -> Result<Option<String>, Problem> {
        idempotency_key(&headers(values))
    }

    #[test]
    fn an_idempotency_key_is_1_to_128_visible_characters() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&[b"a-1"]), Ok(Some("a-1".into())));
        assert_eq!(key(&[&[b'k'; 128]]).unwrap().unwrap().len(), 128);
        for wrong in [
            &[&b""[..]][..],
            &[&[b'k'; 129]],
            &[b"a b"],
            &[b"\xc3\xa9"],
            &[b"a", b"b"],
        ] {
            assert_eq!(key(wrong).unwrap_err().kind(), KEY_INVALID, "{wrong:?}");
        }
    }
}

//! Every error of the REST API: one catalogue, one form (`application/problem+json`, RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use flota_model::command::Refusal;
use flota_wire::{rest, spec::SpecFaults};

use crate::shell::AskFault;

/// One kind of error. Codes are stable; each has a page in `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `E-NOUN-REASON`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What, in a few words.
    pub title: &'static str,
    /// What to do; empty where that is plain.
    pub hint: &'static str,
}

macro_rules! catalogue {
    ($($name:ident = $status:literal $code:literal $title:literal, $hint:literal;)*) => {
        $(
            pub(crate) const $name: Kind =
                Kind { code: $code, status: $status, title: $title, hint: $hint };
        )*
        /// All kinds, for the documentation and its test.
        pub const CATALOGUE: &[Kind] = &[$($name),*];
    };
}

catalogue! {
    CREDENTIALS_MISSING = 401 "E-CREDENTIALS-MISSING" "who asks is not known",
        "use the Unix socket, or send the content of DATA/token as `Authorization: Bearer TOKEN`";
    CREDENTIALS_WRONG = 401 "E-CREDENTIALS-WRONG" "the credentials are not valid",
        "take the token from DATA/token of this very server";
    LOGIN_EXPIRED = 401 "E-LOGIN-EXPIRED" "the login link is not valid",
        "a link works once and until the server stops: start the server anew to get another";
    ACCESS_DENIED = 403 "E-ACCESS-DENIED" "not allowed", "";
    HOST_FOREIGN = 403 "E-HOST-FOREIGN" "the Host header names another server",
        "use localhost or a loopback address";
    ORIGIN_FOREIGN = 403 "E-ORIGIN-FOREIGN" "the request comes from another site's page", "";
    CSRF_MISSING = 403 "E-CSRF-MISSING" "a browser session must show that the page is ours",
        "send the header `X-Flota-CSRF: 1`";
    ROUTE_UNKNOWN = 404 "E-ROUTE-UNKNOWN" "no such address", "the API is under /api/v1";
    METHOD_WRONG = 405 "E-METHOD-WRONG" "this address has no such method",
        "the header `Allow` lists the ones that it has";
    QUERY_UNKNOWN = 400 "E-QUERY-UNKNOWN" "unknown query parameter", "";
    QUERY_INVALID = 400 "E-QUERY-INVALID" "a query parameter is not valid", "";
    BODY_TOO_LARGE = 413 "E-BODY-LENGTH" "the body is too large",
        "put long lists into files on the nodes, or submit several jobs";
    BODY_SLOW = 408 "E-BODY-SLOW" "the body did not arrive in time", "";
    BODY_BROKEN = 400 "E-BODY-BROKEN" "the body ended early", "";
    BODY_TYPE = 415 "E-BODY-TYPE" "the body has another type than JSON",
        "send `Content-Type: application/json`";
    SPEC_INVALID = 422 "E-SPEC-INVALID" "the job cannot be accepted as it is",
        "`faults` lists everything that is wrong with it";
    KERNEL_UNKNOWN = 422 "E-KERNEL-UNKNOWN" "no such kernel", "GET /api/v1/kernels lists them";
    KERNEL_PARAMETER = 422 "E-KERNEL-PARAMETER" "the kernel does not take these parameters",
        "docs/kernels.md says what each kernel takes";
    KEY_INVALID = 400 "E-KEY-INVALID" "the Idempotency-Key is not valid",
        "1 to 128 visible ASCII characters";
    KEY_REUSED = 409 "E-KEY-REUSED" "the Idempotency-Key was used for another job",
        "draw a new key for each submission";
    JOB_NOT_FOUND = 404 "E-JOB-NOTFOUND" "no such job", "GET /api/v1/jobs lists them";
    JOB_FINISHED = 409 "E-JOB-FINISHED" "the job is finished already", "";
    DEADLINE_PASSED = 422 "E-DEADLINE-PASSED" "the deadline of the job is over",
        "give a later one";
    JOB_CANCELLING = 409 "E-JOB-CANCELLING" "the job is being cancelled",
        "wait until it is finished";
    JOB_CHANGED = 409 "E-JOB-CHANGED" "the job changed while it was read", "try again";
    JOBS_TOO_MANY = 429 "E-JOB-LIMIT" "too many live jobs", "wait until some have finished";
    TASKS_TOO_MANY = 429 "E-TASK-LIMIT" "too many live tasks", "wait until some have finished";
    ROWS_TOO_MANY = 429 "E-ROWS-LIMIT" "too many bytes of rows of live jobs",
        "wait until some have finished";
    NOTE_NOT_FOUND = 404 "E-NOTE-NOTFOUND" "no such template, or nothing is watched there", "";
    NOTE_CHANGED = 409 "E-NOTE-CHANGED" "it is there already, or was changed meanwhile", "";
    WATCH_OUTSIDE = 403 "E-WATCH-OUTSIDE" "the path is in none of the folders that may be watched",
        "put the file into the folder `jobs` of the data folder, or name its folder in the settings of the server";
    NOTE_LIMIT = 429 "E-NOTE-LIMIT" "too many templates or watches, or too long ones",
        "remove some that are not needed any more";
    TASK_NOT_FOUND = 404 "E-TASK-NOTFOUND" "the job has no such task",
        "`first` and `last` of the job say which it has";
    ATTEMPT_NOT_FOUND = 404 "E-ATTEMPT-NOTFOUND" "the task has no such attempt",
        "an attempt is listed once it has ended";
    STREAM_UNKNOWN = 404 "E-STREAM-NOTFOUND" "no such output", "stdout, stderr or result";
    NODE_NOT_FOUND = 404 "E-NODE-NOTFOUND" "no such node", "GET /api/v1/nodes lists them";
    NODE_UNREACHABLE = 503 "E-NODE-UNREACHABLE" "the node does not answer",
        "GET /api/v1/nodes shows when it was last heard";
    PROCESS_NOT_FOUND = 404 "E-PROCESS-NOTFOUND" "no such process, or not any more",
        "GET /api/v1/processes lists them";
    PROCESS_REUSED = 410 "E-PROCESS-REUSED" "the process is over; nothing was done to another one",
        "GET /api/v1/processes lists them";
    PROCESS_UNCERTAIN = 409 "E-PROCESS-UNCERTAIN" "the process cannot be told from a later one",
        "POST /api/v1/nodes/NODE/processes/PID/… with force=true takes whoever has the number";
    PROCESS_PROTECTED = 403 "E-PROCESS-PROTECTED" "nobody may signal this process", "";
    PROCESS_FORBIDDEN = 403 "E-PROCESS-FORBIDDEN" "the agent may not signal this process",
        "the agent can signal processes of its own user; one that runs as root, all";
    PROCESS_ALIVE = 409 "E-PROCESS-ALIVE" "the process does not end", "";
    PROCESS_NUMBER = 422 "E-PROCESS-NUMBER" "a number alone does not name a process",
        "use the process's `handle`, or insist with force=true";
    PROCESS_UNREADABLE = 502 "E-PROCESS-UNREADABLE" "the node could not find out", "";
    OUTPUT_GONE = 410 "E-OUTPUT-GONE" "the node does not have the output any more", "";
    OUTPUT_UNREADABLE = 502 "E-OUTPUT-UNREADABLE" "the node could not read the output", "";
    OUTPUT_UNREACHABLE = 503 "E-OUTPUT-UNREACHABLE" "the node with the output does not answer",
        "try again once the node is up";
    SERVICE_NOT_FOUND = 404 "E-SERVICE-NOTFOUND" "no such service",
        "GET /api/v1/services lists them";
    SERVICE_KIND = 422 "E-SERVICE-KIND" "a service where a batch job is expected, or the other way round",
        "PUT /api/v1/services/NAME applies a service, POST /api/v1/jobs submits a batch job";
    SERVICE_STOPPED = 409 "E-SERVICE-STOPPED" "the service is stopped",
        "POST /api/v1/services/NAME/start starts it";
    SERVICE_RUNNING = 409 "E-SERVICE-RUNNING" "the service is not stopped",
        "POST /api/v1/services/NAME/stop stops it; once it is stopped, try again";
    SERVICE_CHANGED = 412 "E-SERVICE-CHANGED" "the service was changed since it was seen",
        "get it again, look at what changed, and send its new `version`";
    REVISION_NOT_FOUND = 404 "E-REVISION-NOTFOUND" "the service remembers no such revision",
        "GET /api/v1/services/NAME/revisions lists them";
    SERVICE_CYCLE = 422 "E-SERVICE-CYCLE" "the service would depend on itself",
        "leave out one of the dependencies";
    SERVICE_LIMIT = 422 "E-SERVICE-LIMIT" "more replicas than a service may have",
        "make several services";
    STORE_FULL = 507 "E-STORE-FULL" "the disk of the server is nearly full",
        "free space on the disk of the data folder; results of running work are still stored";
    STORE_BEHIND = 503 "E-STORE-BEHIND" "the store is older than the fleet",
        "POST /api/v1/fleet/recover goes on with it";
    STORE_CURRENT = 409 "E-STORE-CURRENT" "the store is not behind the fleet", "";
    STORE_UNREADABLE = 500 "E-STORE-UNREADABLE" "the store cannot be read", "see the server's log";
    SERVER_BUSY = 503 "E-SERVER-BUSY" "too many requests are waiting", "try again in a moment";
    WATCHERS_TOO_MANY = 503 "E-WATCHER-LIMIT" "too many connections watch events",
        "close one, or ask again from time to time instead";
    SERVER_STOPPING = 503 "E-SERVER-STOPPING" "the server is stopping",
        "a command may have been carried out: with an Idempotency-Key it is safe to repeat";
    SERVER_BUG = 500 "E-SERVER-BUG" "the server contradicts itself", "please report this";
}

/// A submission for a node that is not there: its address exists, so 404 would mislead.
pub(crate) const NODE_OF_JOB_NOT_FOUND: Kind = Kind {
    status: 422,
    ..NODE_NOT_FOUND
};

/// Seconds that a client should wait where trying again later may help.
const RETRY_AFTER: &[(Kind, &str)] = &[
    (STORE_FULL, "60"),
    (STORE_BEHIND, "60"),
    (JOBS_TOO_MANY, "10"),
    (TASKS_TOO_MANY, "10"),
    (OUTPUT_UNREACHABLE, "5"),
    (NODE_UNREACHABLE, "5"),
    (SERVER_STOPPING, "5"),
    (SERVER_BUSY, "1"),
    (WATCHERS_TOO_MANY, "10"),
];

/// One error of one request. Boxed, so that results stay small where all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    kind: Kind,
    detail: String,
    /// Instead of the one of the kind.
    hint: Option<String>,
    faults: Vec<rest::Fault>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts {
            kind,
            detail,
            hint: None,
            faults: Vec::new(),
        }))
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    #[cfg(test)]
    pub(crate) fn faults(&self) -> &[rest::Fault] {
        &self.0.faults
    }

    /// All that is wrong with a spec.
    pub(crate) fn of_spec(kind: Kind, faults: SpecFaults) -> Self {
        let mut problem = Self::new(kind, faults.to_string());
        problem.0.faults = faults.into();
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Parts {
            kind,
            detail,
            hint,
            faults,
        } = *self.0;
        let hint = hint.or_else(|| (!kind.hint.is_empty()).then(|| kind.hint.to_owned()));
        let body = rest::Problem {
            kind: format!("/docs/errors/{}", kind.code),
            title: kind.title.into(),
            status: kind.status,
            code: kind.code.into(),
            detail,
            hint,
            faults,
        };
        let status = StatusCode::from_u16(kind.status).expect("the catalogue is tested");
        let text = serde_json::to_vec(&body).expect("strings and numbers are always JSON");
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some((_, seconds)) = RETRY_AFTER.iter().find(|(other, _)| *other == kind) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<AskFault> for Problem {
    fn from(fault: AskFault) -> Self {
        let kind = match fault {
            AskFault::Busy => SERVER_BUSY,
            AskFault::Stopped => SERVER_STOPPING,
        };
        Self::new(kind, fault.to_string())
    }
}

impl From<Refusal> for Problem {
    #[expect(clippy::too_many_lines, reason = "one short arm for each refusal")]
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::JobNotFound(job) => Self::new(JOB_NOT_FOUND, format!("there is no job {job}")),
            Refusal::JobFinished(job) => Self::new(JOB_FINISHED, format!("job {job} is finished")),
            Refusal::DeadlinePassed => {
                Self::new(DEADLINE_PASSED, "nothing of the job could start any more")
            }
            Refusal::JobCancelling(job) => {
                Self::new(JOB_CANCELLING, format!("job {job} is being cancelled"))
            }
            Refusal::JobChanged(job) => {
                Self::new(JOB_CHANGED, format!("job {job} is not as it was read"))
            }
            Refusal::KeyReused { job } => Self::new(
                KEY_REUSED,
                format!("the key made job {job}, from another spec"),
            ),
            Refusal::TooManyJobs { limit } => {
                Self::new(JOBS_TOO_MANY, format!("at most {limit} jobs may be live"))
            }
            Refusal::TooManyTasks { limit } => {
                Self::new(TASKS_TOO_MANY, format!("at most {limit} tasks may be live"))
            }
            Refusal::TooManyRows { limit } => Self::new(
                ROWS_TOO_MANY,
                format!("the rows of live jobs may have at most {limit} bytes"),
            ),
            Refusal::NoteNotFound { kind, name } => Self::new(
                NOTE_NOT_FOUND,
                format!("there is no {} `{name}`", kind.word()),
            ),
            Refusal::NoteChanged { kind, name } => Self::new(
                NOTE_CHANGED,
                format!(
                    "the {} `{name}` is there already, or another one",
                    kind.word()
                ),
            ),
            Refusal::TooManyNotes { kind } => Self::new(
                NOTE_LIMIT,
                format!("this {} does not fit beside the others", kind.word()),
            ),
            Refusal::NodeUnknown(name) => Self::new(
                NODE_OF_JOB_NOT_FOUND,
                format!("no node `{name}` has ever joined"),
            ),
            Refusal::StoreBehind => Self::new(
                STORE_BEHIND,
                "agents have obeyed a later start of the server than the store knows",
            ),
            Refusal::NothingToRecover => Self::new(STORE_CURRENT, "there is nothing to recover"),
            Refusal::ServiceNotFound(name) => {
                Self::new(SERVICE_NOT_FOUND, format!("there is no service `{name}`"))
            }
            Refusal::ServiceKind => Self::new(
                SERVICE_KIND,
                "a spec with a service is applied, one without is submitted",
            ),
            Refusal::ServiceStopped(name) => {
                Self::new(SERVICE_STOPPED, format!("service `{name}` is stopped"))
            }
            Refusal::ServiceRunning(name) => {
                let hint = format!("flota service stop {name} --wait");
                Self::new(SERVICE_RUNNING, format!("service `{name}` is not stopped"))
                    .with_hint(hint)
            }
            Refusal::ServiceChanged { name, version } => Self::new(
                SERVICE_CHANGED,
                match version {
                    Some(version) => format!("service `{name}` has the version {version} now"),
                    None => format!("there is no service `{name}` now"),
                },
            ),
            Refusal::RevisionNotFound { name, revision } => Self::new(
                REVISION_NOT_FOUND,
                match revision {
                    Some(revision) => format!("service `{name}` remembers no revision {revision}"),
                    None => format!("service `{name}` remembers none before the current one"),
                },
            ),
            Refusal::ServiceCycle(names) => Self::new(
                SERVICE_CYCLE,
                format!("each depends on the next: {}", names.join(", ")),
            ),
            Refusal::TooManyReplicas { limit } => Self::new(
                SERVICE_LIMIT,
                format!("a service has at most {limit} replicas"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flota_model::{ids::JobId, note::NoteKind};

    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed_and_statuses_are_errors() {
        let codes: BTreeSet<&str> = CATALOGUE.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), CATALOGUE.len());
        for kind in CATALOGUE {
            let words: Vec<&str> = kind.code.split('-').collect();
            let capital = |word: &&str| word.bytes().all(|byte| byte.is_ascii_uppercase());
            assert!(
                words.len() == 3 && words[0] == "E" && words.iter().all(capital),
                "{kind:?}"
            );
            assert!((400..=599).contains(&kind.status), "{kind:?}");
            assert!(
                !kind.title.is_empty() && !kind.title.ends_with('.'),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_refusal_has_the_code_that_the_audit_shows() {
        let refusals = [
            Refusal::JobNotFound(JobId(1)),
            Refusal::JobFinished(JobId(1)),
            Refusal::DeadlinePassed,
            Refusal::JobCancelling(JobId(1)),
            Refusal::JobChanged(JobId(1)),
            Refusal::KeyReused { job: JobId(1) },
            Refusal::TooManyJobs { limit: 1 },
            Refusal::TooManyTasks { limit: 1 },
            Refusal::TooManyRows { limit: 1 },
            Refusal::NoteNotFound {
                kind: NoteKind::Watch,
                name: "n".into(),
            },
            Refusal::NoteChanged {
                kind: NoteKind::Watch,
                name: "n".into(),
            },
            Refusal::TooManyNotes {
                kind: NoteKind::Template,
            },
            Refusal::NodeUnknown("n".into()),
            Refusal::StoreBehind,
            Refusal::NothingToRecover,
            Refusal::ServiceNotFound("s".into()),
            Refusal::ServiceKind,
            Refusal::ServiceStopped("s".into()),
            Refusal::ServiceRunning("s".into()),
            Refusal::ServiceChanged {
                name: "s".into(),
                version: None,
            },
            Refusal::RevisionNotFound {
                name: "s".into(),
                revision: None,
            },
            Refusal::ServiceCycle(vec!["s".into()]),
            Refusal::TooManyReplicas { limit: 1 },
        ];
        for refusal in refusals {
            let code = refusal.code();
            assert_eq!(Problem::from(refusal).kind().code, code);
        }
    }
}

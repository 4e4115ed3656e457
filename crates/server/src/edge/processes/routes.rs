//! What the addresses of processes say about themselves.

use axum::routing::on;
use flota_wire::rest::{
    inspect::ProcessDetails,
    process::{GROUPS_MAX, LIMIT_MAX, ProcessGroups, Processes, Signalled, Stopped},
};

use super::{
    super::routes::{
        Answer, Chapter, HANDLE, LANGUAGE, NODE, OF_FLEET, PID, Parameter, Route, Shape, schema,
    },
    filter::CPU_PERCENT_MAX,
    groups, orders, selection,
};
use crate::problem::{
    Kind, NODE_NOT_FOUND, NODE_UNREACHABLE, PROCESS_ALIVE, PROCESS_FORBIDDEN, PROCESS_NOT_FOUND,
    PROCESS_NUMBER, PROCESS_PROTECTED, PROCESS_REUSED, PROCESS_UNCERTAIN, PROCESS_UNREADABLE,
    WATCHERS_TOO_MANY,
};

const YES_OR_NO: Shape = Shape::OneOf(&["true", "false"]);
const NODES: Parameter = Parameter::query(
    "node",
    Shape::Text,
    "Names or numbers of nodes, with commas between; else all nodes.",
);
const NAME: Parameter = Parameter::query(
    "name",
    Shape::Text,
    "Only those with this in their name or command line.",
);
const REGEX: Parameter = Parameter::query(
    "regex",
    Shape::Text,
    "Only those whose name or command line this regular expression finds; at most 256 bytes.",
);
const STATES: Parameter = Parameter::query(
    "state",
    Shape::Text,
    "Only those in one of these states, by letter: `R`, or `D,Z`.",
);
const CPU_MIN: Parameter = Parameter::query(
    "cpu_min",
    Shape::Number {
        min: 0,
        max: CPU_PERCENT_MAX as u64,
    },
    "Only those that use at least so many percent of a core.",
);
const MEMORY_MIN: Parameter = Parameter::query(
    "memory_min",
    Shape::Text,
    "Only those with at least so much resident memory, such as `100MiB`.",
);
const BY: Parameter = Parameter::query(
    "by",
    Shape::OneOf(&groups::KEYS),
    "What those of a group have in common; else `name`.",
);
const GROUP_SORT: Parameter = Parameter::query(
    "sort",
    Shape::OneOf(&groups::ORDERS),
    "The order, of amounts the highest first; else `group`.",
);
const GROUP_LIMIT: Parameter = Parameter::query(
    "limit",
    Shape::Number {
        min: 1,
        max: GROUPS_MAX as u64,
    },
    "Most groups of the answer; else 1,000.",
);
const USER: Parameter = Parameter::query(
    "user",
    Shape::Text,
    "Only those of this user, by name or number.",
);
const OF_JOB: Parameter = Parameter::query(
    "job",
    Shape::Number {
        min: 0,
        max: u64::MAX,
    },
    "Only those that run for this job.",
);
const MANAGED: Parameter = Parameter::query(
    "managed",
    YES_OR_NO,
    "Whether to leave out what Flota did not start; else `false`.",
);
const KERNEL: Parameter = Parameter::query(
    "kernel",
    YES_OR_NO,
    "Whether threads of the kernel are listed; else `true`.",
);
const SORT: Parameter = Parameter::query(
    "sort",
    Shape::OneOf(&selection::ORDER_WORDS),
    "The order, of amounts and times the highest first; else `node`.",
);
const LIMIT: Parameter = Parameter::query(
    "limit",
    Shape::Number {
        min: 1,
        max: LIMIT_MAX as u64,
    },
    "Most processes of the page; else 1,000.",
);
const AFTER: Parameter = Parameter::query(
    "after",
    Shape::Text,
    "The `next` of the page before, with the same `sort`.",
);
const ENVIRONMENT: Parameter = Parameter::query(
    "environment",
    YES_OR_NO,
    "Whether the values of its variables are told too; else `false`. They may be secrets.",
);
const INTERVAL: Parameter = Parameter::query(
    "interval",
    Shape::Text,
    "Between two events, from `500ms` to `1m`; else `1s`.",
);
const SIGNAL: Parameter = Parameter::query(
    "signal",
    Shape::Text,
    "Name or number of the signal, e.g. `TERM`; must be given.",
);
const GRACE: Parameter = Parameter::query(
    "grace",
    Shape::Text,
    "From SIGTERM to SIGKILL, at most `5m`; else `10s`.",
);
const FORCE: Parameter = Parameter::query(
    "force",
    YES_OR_NO,
    "Must be `true`: whoever has the number now is meant.",
);

/// Of the list of one node.
const OF_NODE_LIST: &[Parameter] = &[
    NODE, NAME, REGEX, USER, STATES, CPU_MIN, MEMORY_MIN, OF_JOB, MANAGED, KERNEL, SORT, LIMIT,
    AFTER,
];
/// Of the page with that list.
const OF_PAGE: &[Parameter] = &[
    NODE, LANGUAGE, NAME, REGEX, USER, STATES, CPU_MIN, MEMORY_MIN, OF_JOB, MANAGED, KERNEL, SORT,
    LIMIT, AFTER,
];

/// What may go wrong where a node is asked.
const OF_NODE: &[Kind] = &[NODE_NOT_FOUND, NODE_UNREACHABLE, PROCESS_UNREADABLE];
/// What may go wrong where it is to do something.
const OF_ORDER: &[Kind] = &[
    PROCESS_NOT_FOUND,
    PROCESS_REUSED,
    PROCESS_UNCERTAIN,
    PROCESS_PROTECTED,
    PROCESS_FORBIDDEN,
];

const A_LIST: &[Answer] = &[Answer::json("A page of processes.", schema::<Processes>)];
const ONE: &[Answer] = &[Answer::json("The process.", schema::<ProcessDetails>)];
const SENT: &[Answer] = &[Answer::json("The signal was sent.", schema::<Signalled>)];
const ENDED: &[Answer] = &[Answer::json(
    "The process and its descendants are gone.",
    schema::<Stopped>,
)];

/// All of them.
pub(in super::super) const ROUTES: &[Route] = &[
    Route {
        parameters: &[
            NODES, NAME, REGEX, USER, STATES, CPU_MIN, MEMORY_MIN, OF_JOB, MANAGED, KERNEL, SORT,
            LIMIT, AFTER,
        ],
        answers: A_LIST,
        problems: &[OF_FLEET, &[NODE_NOT_FOUND]],
        chapter: Chapter::Processes,
        ..Route::get(
            "/api/v1/processes",
            "listProcesses",
            "Processes of all nodes, within two seconds; nodes that did not answer are named.",
            |method| on(method, super::list),
        )
    },
    Route {
        parameters: OF_NODE_LIST,
        answers: A_LIST,
        problems: &[OF_FLEET, OF_NODE],
        chapter: Chapter::Processes,
        ..Route::get(
            "/api/v1/nodes/{node}/processes",
            "listProcessesOfNode",
            "Processes of one node.",
            |method| on(method, super::list_of_node),
        )
    },
    Route {
        parameters: &[
            BY,
            NODES,
            NAME,
            REGEX,
            USER,
            STATES,
            CPU_MIN,
            MEMORY_MIN,
            OF_JOB,
            MANAGED,
            KERNEL,
            GROUP_SORT,
            GROUP_LIMIT,
        ],
        answers: &[Answer::json("Sums of processes.", schema::<ProcessGroups>)],
        problems: &[OF_FLEET, &[NODE_NOT_FOUND]],
        chapter: Chapter::Processes,
        ..Route::get(
            "/api/v1/processes/groups",
            "groupProcesses",
            "Sums of the processes of all nodes that have something in common.",
            |method| on(method, super::grouped),
        )
    },
    Route {
        parameters: &[
            NODES, NAME, REGEX, USER, STATES, CPU_MIN, MEMORY_MIN, OF_JOB, MANAGED, KERNEL,
            INTERVAL,
        ],
        answers: &[Answer::media(
            "Events `snapshot`, once, and then `delta`. Their data are the schemas \
             `ProcessSnapshot` and `ProcessDelta`.",
            &["text/event-stream"],
        )],
        problems: &[OF_FLEET, &[NODE_NOT_FOUND, WATCHERS_TOO_MANY]],
        chapter: Chapter::Processes,
        ..Route::get(
            "/api/v1/processes/watch",
            "watchProcesses",
            "Server-sent events: all processes, and then what changes.",
            |method| on(method, super::watch::watch),
        )
    },
    Route {
        parameters: &[HANDLE, ENVIRONMENT],
        answers: ONE,
        problems: &[OF_FLEET, OF_NODE, &[PROCESS_NOT_FOUND, PROCESS_REUSED]],
        chapter: Chapter::Processes,
        ..Route::get(
            "/api/v1/processes/{handle}",
            "getProcess",
            "One process from all sides.",
            |method| on(method, super::process),
        )
    },
    Route {
        parameters: &[NODE, PID, ENVIRONMENT],
        answers: ONE,
        problems: &[OF_FLEET, OF_NODE, &[PROCESS_NOT_FOUND]],
        chapter: Chapter::Processes,
        ..Route::get(
            "/api/v1/nodes/{node}/processes/{pid}",
            "getProcessOfNode",
            "The process that has a number of a node now.",
            |method| on(method, super::process_of_node),
        )
    },
    Route {
        parameters: OF_PAGE,
        answers: &[Answer::media("Its processes.", &["text/html"])],
        problems: &[OF_FLEET, OF_NODE],
        chapter: Chapter::Pages,
        ..Route::get(
            "/nodes/{node}/processes",
            "showProcesses",
            "Processes of a node, for people.",
            |method| on(method, crate::pages::processes),
        )
    },
    Route {
        parameters: &[HANDLE, SIGNAL],
        answers: SENT,
        problems: &[OF_FLEET, OF_NODE, OF_ORDER],
        chapter: Chapter::Processes,
        ..Route::post(
            "/api/v1/processes/{handle}/signal",
            "signalProcess",
            "Sends a signal to a process.",
            |method| on(method, orders::signal),
        )
    },
    Route {
        parameters: &[NODE, PID, SIGNAL, FORCE],
        answers: SENT,
        problems: &[OF_FLEET, OF_NODE, OF_ORDER, &[PROCESS_NUMBER]],
        chapter: Chapter::Processes,
        ..Route::post(
            "/api/v1/nodes/{node}/processes/{pid}/signal",
            "signalProcessOfNode",
            "Sends a signal to whoever has the number.",
            |method| on(method, orders::signal_number),
        )
    },
    Route {
        parameters: &[HANDLE, GRACE],
        answers: ENDED,
        problems: &[OF_FLEET, OF_NODE, OF_ORDER, &[PROCESS_ALIVE]],
        chapter: Chapter::Processes,
        ..Route::post(
            "/api/v1/processes/{handle}/stop",
            "stopProcess",
            "Ends a process with its descendants.",
            |method| on(method, orders::stop),
        )
    },
    Route {
        parameters: &[NODE, PID, GRACE, FORCE],
        answers: ENDED,
        problems: &[
            OF_FLEET,
            OF_NODE,
            OF_ORDER,
            &[PROCESS_ALIVE, PROCESS_NUMBER],
        ],
        chapter: Chapter::Processes,
        ..Route::post(
            "/api/v1/nodes/{node}/processes/{pid}/stop",
            "stopProcessOfNode",
            "Ends whoever has the number, with its descendants.",
            |method| on(method, orders::stop_number),
        )
    },
];

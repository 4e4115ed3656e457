//! Services: apply, list, show, revisions, and orders.

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    routing::{MethodFilter, MethodRouter, on},
};
use flota_model::{
    command::{Command, Query, Reply},
    ids::JobId,
    revision::Expected,
    service::{REPLICAS_MAX, ServiceDetail, ServiceView},
    spec::JobSpec,
};
use flota_wire::{
    rest::service::{Applied, Revisions, Service, ServiceWhole, Services},
    spec::{SpecFault, SpecFaults, parse_json, seal},
};

use super::{
    Desk, Parameters, body, bug, etag,
    routes::{
        Answer, Body as Carried, Chapter, OF_FLEET, Parameter, Route, SERVICE, Shape, Tag, schema,
    },
};
use crate::{
    access::{Caller, Object, Verb},
    problem::{
        BODY_BROKEN, BODY_SLOW, BODY_TOO_LARGE, BODY_TYPE, JOBS_TOO_MANY, Kind,
        NODE_OF_JOB_NOT_FOUND, Problem, QUERY_INVALID, REVISION_NOT_FOUND, SERVICE_CHANGED,
        SERVICE_CYCLE, SERVICE_KIND, SERVICE_LIMIT, SERVICE_NOT_FOUND, SERVICE_RUNNING,
        SERVICE_STOPPED, SPEC_INVALID, STORE_BEHIND, STORE_FULL, TASKS_TOO_MANY,
    },
};

/// What may be wrong with a service that is applied.
const OF_APPLY: &[Kind] = &[
    BODY_BROKEN,
    BODY_SLOW,
    BODY_TOO_LARGE,
    BODY_TYPE,
    JOBS_TOO_MANY,
    NODE_OF_JOB_NOT_FOUND,
    SERVICE_CYCLE,
    SERVICE_KIND,
    SERVICE_LIMIT,
    SPEC_INVALID,
    STORE_BEHIND,
    STORE_FULL,
    TASKS_TOO_MANY,
];
const WANTED: Parameter = Parameter::query(
    "replicas",
    Shape::Number {
        min: 0,
        max: REPLICAS_MAX as u64,
    },
    "How many are wanted from now on. Must be given.",
);

const AT_A_TIME: Parameter = Parameter::query(
    "at_a_time",
    Shape::Number {
        min: 1,
        max: REPLICAS_MAX as u64,
    },
    "How many replicas an update takes at a time; as the spec says if not given.",
);
const TO: Parameter = Parameter::query(
    "to",
    Shape::Number {
        min: 1,
        max: u64::MAX,
    },
    "Which revision; the one before the current one if not given.",
);
const IF_MATCH: Parameter = Parameter::header(
    "If-Match",
    Shape::Text,
    "The `ETag` of the service, or its `version` in quotes: refused with 412 when it was changed since. \
     What its replicas do is no change. `*`: refused when there is none.",
);
const IF_NONE_MATCH: Parameter = Parameter::header(
    "If-None-Match",
    Shape::Text,
    "Only `*`: refused with 412 when there is one of that name.",
);

pub(super) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Services,
        tag: Tag::OfBytes,
        answers: &[Answer::json("All of them, by name.", schema::<Services>)],
        problems: &[OF_FLEET],
        ..Route::get(
            "/api/v1/services",
            "listServices",
            "The services.",
            |method| on(method, list),
        )
    },
    Route {
        chapter: Chapter::Services,
        tag: Tag::OfBytes,
        parameters: &[SERVICE],
        answers: &[Answer::json(
            "The service with its replicas and its spec.",
            schema::<ServiceWhole>,
        )],
        problems: &[OF_FLEET, &[SERVICE_NOT_FOUND]],
        ..Route::get(
            "/api/v1/services/{service}",
            "getService",
            "One service.",
            |method| on(method, show),
        )
    },
    Route {
        chapter: Chapter::Services,
        parameters: &[SERVICE, AT_A_TIME, IF_MATCH, IF_NONE_MATCH],
        body: Some(Carried {
            about: "The whole service; its name is that of the address.",
            schema: schema::<flota_wire::spec::document::Submission>,
            example: r#"{"name": "web", "program": {"argv": ["sleep", "1000"]}, "service": {}}"#,
        }),
        answers: &[Answer::json(
            "What it changed. The same service again changes nothing.",
            schema::<Applied>,
        )],
        problems: &[OF_FLEET, OF_APPLY, &[SERVICE_CHANGED]],
        ..Route::put(
            "/api/v1/services/{service}",
            "applyService",
            "Makes, updates, scales or starts a service, whatever it takes to have it so.",
            |method| on(method, apply),
        )
    },
    Route {
        chapter: Chapter::Services,
        parameters: &[SERVICE],
        answers: &[Answer::json("The service as it was.", schema::<Service>)],
        problems: &[
            OF_FLEET,
            &[SERVICE_NOT_FOUND, SERVICE_RUNNING, STORE_BEHIND],
        ],
        ..Route::delete(
            "/api/v1/services/{service}",
            "removeService",
            "Forgets a service that is stopped.",
            |method| ordered(method, Order::Remove),
        )
    },
    Route {
        chapter: Chapter::Services,
        parameters: &[SERVICE, WANTED],
        answers: &[ACCEPTED],
        problems: &[
            OF_FLEET,
            &[
                SERVICE_NOT_FOUND,
                SERVICE_LIMIT,
                SERVICE_STOPPED,
                STORE_BEHIND,
            ],
        ],
        ..Route::post(
            "/api/v1/services/{service}/scale",
            "scaleService",
            "Changes how many replicas there are.",
            |method| ordered(method, Order::Scale),
        )
    },
    Route {
        chapter: Chapter::Services,
        parameters: &[SERVICE, AT_A_TIME],
        answers: &[ACCEPTED],
        problems: &[
            OF_FLEET,
            &[SERVICE_NOT_FOUND, SERVICE_STOPPED, STORE_BEHIND],
        ],
        ..Route::post(
            "/api/v1/services/{service}/restart",
            "restartService",
            "Replaces all replicas by new ones, a few at a time.",
            |method| ordered(method, Order::Restart),
        )
    },
    Route {
        chapter: Chapter::Services,
        tag: Tag::OfBytes,
        parameters: &[SERVICE],
        answers: &[Answer::json(
            "The specs that it had, the newest first.",
            schema::<Revisions>,
        )],
        problems: &[OF_FLEET, &[SERVICE_NOT_FOUND]],
        ..Route::get(
            "/api/v1/services/{service}/revisions",
            "listRevisions",
            "The revisions that a service remembers.",
            |method| on(method, revisions),
        )
    },
    Route {
        chapter: Chapter::Services,
        parameters: &[SERVICE, TO, AT_A_TIME],
        answers: &[ACCEPTED],
        problems: &[
            OF_FLEET,
            &[
                JOBS_TOO_MANY,
                NODE_OF_JOB_NOT_FOUND,
                REVISION_NOT_FOUND,
                SERVICE_CYCLE,
                SERVICE_NOT_FOUND,
                SERVICE_STOPPED,
                STORE_BEHIND,
                TASKS_TOO_MANY,
            ],
        ],
        ..Route::post(
            "/api/v1/services/{service}/rollback",
            "rollBackService",
            "Updates a service to a spec that it had.",
            |method| ordered(method, Order::RollBack),
        )
    },
    Route {
        chapter: Chapter::Services,
        parameters: &[SERVICE],
        answers: &[ACCEPTED],
        problems: &[
            OF_FLEET,
            &[SERVICE_NOT_FOUND, SERVICE_STOPPED, STORE_BEHIND],
        ],
        ..Route::post(
            "/api/v1/services/{service}/stop",
            "stopService",
            "Stops all replicas.",
            |method| ordered(method, Order::Stop),
        )
    },
    Route {
        chapter: Chapter::Services,
        parameters: &[SERVICE],
        answers: &[ACCEPTED],
        problems: &[
            OF_FLEET,
            &[SERVICE_NOT_FOUND, SERVICE_RUNNING, STORE_BEHIND],
        ],
        ..Route::post(
            "/api/v1/services/{service}/start",
            "startService",
            "Starts a service that was stopped.",
            |method| ordered(method, Order::Start),
        )
    },
];

const ACCEPTED: Answer = Answer::json_with(
    202,
    "The order is kept, and is being carried out; the service as it is now.",
    schema::<Service>,
);

/// `GET /api/v1/services`
async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Services>, Problem> {
    Parameters::parse(&uri, &[])?;
    let views = views(&desk, &caller).await?;
    Ok(Json(Services {
        services: views.iter().map(Service::from).collect(),
    }))
}

/// All services as they are now.
pub(crate) async fn views(desk: &Desk, caller: &Caller) -> Result<Vec<ServiceView>, Problem> {
    let permit = caller.may(Verb::ServiceRead, &Object::Fleet)?;
    let Reply::Services(services) = desk.query(permit, Query::Services).await? else {
        return Err(bug("a query of the services got another answer"));
    };
    Ok(services)
}

/// `GET /api/v1/services/{service}`
async fn show(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<([(HeaderName, String); 1], Json<ServiceWhole>), Problem> {
    Parameters::parse(&uri, &[])?;
    let detail = detail(&desk, &caller, name).await?;
    let state = tag_of(&detail.service);
    Ok((state, Json(ServiceWhole::from(&*detail))))
}

/// What `If-Match` takes.
fn tag_of(service: &ServiceView) -> [(HeaderName, String); 1] {
    [(header::ETAG, format!("\"{}\"", service.version))]
}

/// `GET /api/v1/services/{service}/revisions`
async fn revisions(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Revisions>, Problem> {
    Parameters::parse(&uri, &[])?;
    let detail = detail(&desk, &caller, name).await?;
    Ok(Json(Revisions::from(&*detail)))
}

/// A service with its replicas.
pub(crate) async fn detail(
    desk: &Desk,
    caller: &Caller,
    name: String,
) -> Result<Box<ServiceDetail>, Problem> {
    let permit = caller.may(Verb::ServiceRead, &Object::Service(name.clone()))?;
    let query = Query::Service { name: name.clone() };
    let Reply::ServiceDetail(found) = desk.query(permit, query).await? else {
        return Err(bug("a query of a service got another answer"));
    };
    found.ok_or_else(|| Problem::new(SERVICE_NOT_FOUND, format!("there is no service `{name}`")))
}

/// `PUT /api/v1/services/{service}`
async fn apply(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<([(HeaderName, String); 1], Json<Applied>), Problem> {
    let parameters = Parameters::parse(&uri, &["at_a_time"])?;
    let at_a_time = parameters.number("at_a_time", 1..=REPLICAS_MAX)?;
    let expected = expected(&headers)?;
    let permit = caller.may(Verb::ServiceApply, &Object::Service(name.clone()))?;
    desk.refuse_when_full()?;
    body::require_json(&headers)?;
    let text = body::read(body, desk.settings().limits.body_within).await?;
    let spec = parse_json(&text).map_err(|faults| Problem::of_spec(SPEC_INVALID, faults))?;
    check(&spec, &name)?;
    let command = Command::ApplyService {
        spec: seal(spec),
        expected,
        at_a_time,
    };
    let Reply::Applied { applied, service } = desk.command(permit, command).await? else {
        return Err(bug("an apply got another answer"));
    };
    let answer = Applied {
        applied: applied.word().to_owned(),
        service: Service::from(&*service),
    };
    Ok((tag_of(&service), Json(answer)))
}

/// In which state a service must be, by the headers of a request (RFC 9110, section 13.1).
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let none_match = headers.get(header::IF_NONE_MATCH);
    match (etag::states(headers), none_match) {
        (None, None) => Ok(Expected::Anything),
        (None, Some(value)) if value == "*" => Ok(Expected::Absent),
        (Some(states), None) if states.iter().any(|state| state == "*") => Ok(Expected::Present),
        (Some(states), None) => {
            // What is no version of ours is that of no state.
            let known = states.iter().filter_map(|state| state.parse().ok());
            Ok(Expected::OneOf(known.collect()))
        }
        (_, Some(_)) => Err(Problem::new(
            QUERY_INVALID,
            "`If-None-Match` of a change may only be `*`, without `If-Match`",
        )),
    }
}

fn check(spec: &JobSpec, name: &str) -> Result<(), Problem> {
    if spec.service.is_none() {
        let detail = "the body has no `service`";
        return Err(Problem::new(SERVICE_KIND, detail));
    }
    if spec.name == name {
        return Ok(());
    }
    let fault = SpecFault {
        field: "name".to_owned(),
        what: "the address names another service".to_owned(),
        hint: None,
    };
    let list = vec![fault];
    Err(Problem::of_spec(SPEC_INVALID, SpecFaults { list }))
}

/// What is ordered of a service by a word of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Scale,
    Restart,
    RollBack,
    Stop,
    Start,
    Remove,
}

impl Order {
    const fn verb(self) -> Verb {
        match self {
            Self::Scale => Verb::ServiceScale,
            Self::Restart => Verb::ServiceRestart,
            Self::RollBack => Verb::ServiceRollBack,
            Self::Stop => Verb::ServiceStop,
            Self::Start => Verb::ServiceStart,
            Self::Remove => Verb::ServiceRemove,
        }
    }

    const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Scale => &["replicas"],
            Self::Restart => &["at_a_time"],
            Self::RollBack => &["to", "at_a_time"],
            Self::Stop | Self::Start | Self::Remove => &[],
        }
    }

    fn command(self, name: String, given: &Parameters) -> Result<Command, Problem> {
        let at_a_time = given.number("at_a_time", 1..=REPLICAS_MAX)?;
        Ok(match self {
            Self::Scale => {
                let replicas = given.number("replicas", 0..=REPLICAS_MAX)?;
                let missing = || Problem::new(QUERY_INVALID, "`replicas` must be given");
                let replicas = replicas.ok_or_else(missing)?;
                Command::ScaleService { name, replicas }
            }
            Self::Restart => Command::RestartService { name, at_a_time },
            Self::RollBack => Command::RollBackService {
                name,
                to: given.number("to", 1..=u64::MAX)?.map(JobId),
                at_a_time,
            },
            Self::Stop => Command::StopService { name },
            Self::Start => Command::StartService { name },
            Self::Remove => Command::RemoveService { name },
        })
    }

    /// What is removed is gone; all else has only begun.
    const fn status(self) -> StatusCode {
        match self {
            Self::Remove => StatusCode::OK,
            Self::Scale | Self::Restart | Self::RollBack | Self::Stop | Self::Start => {
                StatusCode::ACCEPTED
            }
        }
    }
}

/// The handler of an order.
fn ordered(method: MethodFilter, order: Order) -> MethodRouter<Desk> {
    let handler =
        move |State(desk): State<Desk>,
              Extension(caller): Extension<Caller>,
              Path(name): Path<String>,
              uri: Uri| async move { give(order, (&desk, &caller), name, &uri).await };
    on(method, handler)
}

async fn give(
    order: Order,
    (desk, caller): (&Desk, &Caller),
    name: String,
    uri: &Uri,
) -> Result<(StatusCode, Json<Service>), Problem> {
    let parameters = Parameters::parse(uri, order.parameters())?;
    let permit = caller.may(order.verb(), &Object::Service(name.clone()))?;
    let command = order.command(name, &parameters)?;
    let Reply::Service(service) = desk.command(permit, command).await? else {
        return Err(bug("an order to a service got another answer"));
    };
    Ok((order.status(), Json(Service::from(&*service))))
}

//! Services: apply, list, show, scale, restart, stop, start, remove.

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    routing::on,
};
use flota_model::{
    command::{Command, Query, Reply},
    service::{REPLICAS_MAX, ServiceDetail, ServiceView},
    spec::JobSpec,
};
use flota_wire::{
    rest::service::{Applied, Service, ServiceWhole, Services},
    spec::{SpecFault, SpecFaults, parse_json, seal},
};

use super::{
    Desk, Parameters, body, bug,
    routes::{
        Answer, Body as Carried, Chapter, OF_FLEET, Parameter, Route, SERVICE, Shape, Tag, schema,
    },
};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{
        BODY_BROKEN, BODY_SLOW, BODY_TOO_LARGE, BODY_TYPE, JOBS_TOO_MANY, Kind,
        NODE_OF_JOB_NOT_FOUND, Problem, QUERY_INVALID, SERVICE_CYCLE, SERVICE_KIND, SERVICE_LIMIT,
        SERVICE_NOT_FOUND, SERVICE_RUNNING, SERVICE_STOPPED, SPEC_INVALID, STORE_BEHIND,
        STORE_FULL, TASKS_TOO_MANY,
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
        parameters: &[SERVICE],
        body: Some(Carried {
            about: "The whole service; its name is that of the address.",
            schema: schema::<flota_wire::spec::document::Submission>,
            example: r#"{"name": "web", "program": {"argv": ["sleep", "1000"]}, "service": {}}"#,
        }),
        answers: &[Answer::json(
            "What it changed. The same service again changes nothing.",
            schema::<Applied>,
        )],
        problems: &[OF_FLEET, OF_APPLY],
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
            |method| on(method, remove),
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
            |method| on(method, scale),
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
            "/api/v1/services/{service}/restart",
            "restartService",
            "Replaces all replicas by new ones, a few at a time.",
            |method| on(method, restart),
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
            |method| on(method, stop),
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
            |method| on(method, start),
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
) -> Result<Json<ServiceWhole>, Problem> {
    Parameters::parse(&uri, &[])?;
    let detail = detail(&desk, &caller, name).await?;
    Ok(Json(ServiceWhole::from(&*detail)))
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
) -> Result<Json<Applied>, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::ServiceApply, &Object::Service(name.clone()))?;
    desk.refuse_when_full()?;
    body::require_json(&headers)?;
    let text = body::read(body, desk.settings().limits.body_within).await?;
    let spec = parse_json(&text).map_err(|faults| Problem::of_spec(SPEC_INVALID, faults))?;
    check(&spec, &name)?;
    let command = Command::ApplyService { spec: seal(spec) };
    let Reply::Applied { applied, service } = desk.command(permit, command).await? else {
        return Err(bug("an apply got another answer"));
    };
    Ok(Json(Applied {
        applied: applied.word().to_owned(),
        service: Service::from(&*service),
    }))
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

/// `POST /api/v1/services/{service}/scale?replicas=3`
async fn scale(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<(StatusCode, Json<Service>), Problem> {
    let parameters = Parameters::parse(&uri, &["replicas"])?;
    let permit = caller.may(Verb::ServiceScale, &Object::Service(name.clone()))?;
    let replicas = parameters.number("replicas", 0..=REPLICAS_MAX)?;
    let replicas =
        replicas.ok_or_else(|| Problem::new(QUERY_INVALID, "`replicas` must be given"))?;
    order(&desk, permit, Command::ScaleService { name, replicas }).await
}

/// `POST /api/v1/services/{service}/restart`
async fn restart(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<(StatusCode, Json<Service>), Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::ServiceRestart, &Object::Service(name.clone()))?;
    order(&desk, permit, Command::RestartService { name }).await
}

/// `POST /api/v1/services/{service}/stop`
async fn stop(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<(StatusCode, Json<Service>), Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::ServiceStop, &Object::Service(name.clone()))?;
    order(&desk, permit, Command::StopService { name }).await
}

/// `POST /api/v1/services/{service}/start`
async fn start(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<(StatusCode, Json<Service>), Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::ServiceStart, &Object::Service(name.clone()))?;
    order(&desk, permit, Command::StartService { name }).await
}

/// `DELETE /api/v1/services/{service}`
async fn remove(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Service>, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::ServiceRemove, &Object::Service(name.clone()))?;
    let (_, service) = order(&desk, permit, Command::RemoveService { name }).await?;
    Ok(service)
}

async fn order(
    desk: &Desk,
    permit: Permit,
    command: Command,
) -> Result<(StatusCode, Json<Service>), Problem> {
    let Reply::Service(service) = desk.command(permit, command).await? else {
        return Err(bug("an order to a service got another answer"));
    };
    Ok((StatusCode::ACCEPTED, Json(Service::from(&*service))))
}

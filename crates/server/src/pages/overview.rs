//! `/`: the fleet at a glance.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use flota_model::{
    command::{FleetView, NodeView, Query, Reply},
    ids::JobId,
    service::ServiceView,
    state::{JobKind, JobPhase, NodePhase, TaskState},
    units::Timestamp,
};
use flota_store::history::{JobPage, JobSummary, Page};

use super::{
    Refresh,
    html::{Text, add, badge, progress},
    language::Language,
    page, service,
    texts::Texts,
    time,
};
use crate::{
    access::{Caller, Object, Verb},
    clock,
    edge::{Desk, Parameters, bug, node_views, service_views, summaries},
    problem::Problem,
};

/// Nodes on the page, those that need a person first; the API gives them all.
const NODES_SHOWN: usize = 200;
/// Jobs on the page.
const JOBS_SHOWN: u32 = 25;

/// What the page shows.
struct Overview {
    fleet: FleetView,
    nodes: Vec<NodeView>,
    services: Vec<ServiceView>,
    jobs: Page<JobSummary, JobId>,
    /// Whether the jobs are not the newest ones.
    older: bool,
    now: Timestamp,
}

/// `GET /?lang=es&before=JOB&refresh=off`
pub(crate) async fn overview(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let parameters = match Parameters::parse(&uri, &["lang", "before", "refresh"]) {
        Ok(parameters) => parameters,
        Err(problem) => return failed(problem, &headers, &uri),
    };
    let language = Language::of_request(&headers, &uri);
    let refresh = Refresh::of(&parameters);
    match load(&desk, &caller, &parameters).await {
        Ok(overview) => {
            let texts = language.texts();
            let body = render(&overview, language, refresh);
            page(language, texts.overview, refresh, &body)
        }
        Err(problem) => failed(problem, &headers, &uri),
    }
}

/// People get a page, programs that ask for `/` the problem itself.
pub(super) fn failed(problem: Problem, headers: &HeaderMap, uri: &Uri) -> Response {
    if super::wants_page(headers) {
        super::problem(&problem, headers, uri)
    } else {
        problem.into_response()
    }
}

async fn load(desk: &Desk, caller: &Caller, parameters: &Parameters) -> Result<Overview, Problem> {
    let before = parameters.number("before", 0..=u64::MAX)?.map(JobId);
    let wanted = JobPage {
        before,
        phase: None,
        kind: Some(JobKind::Batch),
        limit: JOBS_SHOWN,
    };
    let permit = caller.may(Verb::FleetRead, &Object::Fleet)?;
    let Reply::Fleet(fleet) = desk.query(permit, Query::Fleet).await? else {
        return Err(bug("a query of the fleet got another answer"));
    };
    let mut nodes = node_views(desk, caller, &Object::Fleet).await?;
    nodes.sort_by_key(|node| (urgency(node.phase), node.node));
    let services = service_views(desk, caller).await?;
    let jobs = summaries(desk, caller, wanted).await?;
    Ok(Overview {
        fleet,
        nodes,
        services,
        jobs,
        older: before.is_some(),
        now: clock::now().wall,
    })
}

fn urgency(phase: NodePhase) -> u8 {
    match phase {
        NodePhase::Lost => 0,
        NodePhase::Away => 1,
        NodePhase::Up => 2,
    }
}

fn render(overview: &Overview, language: Language, refresh: Refresh) -> String {
    let texts = language.texts();
    let lang = language.word();
    let mut body = format!("<main><h1>{}</h1>", Text(texts.overview));
    body += &banners(texts, &overview.fleet);
    body += &counters(texts, overview);
    body += &nodes(language, overview);
    body += &service::table(language, &overview.services, overview.now);
    body += &jobs(language, overview);
    let (word, next) = match refresh {
        Refresh::Often => (texts.refresh_off, "off"),
        Refresh::Never => (texts.refresh_on, "on"),
    };
    add(
        &mut body,
        format_args!(
            "<p class=\"quiet\">{} {} · <a href=\"?lang={lang}&amp;refresh={next}\">{}</a></p></main>",
            Text(texts.as_of),
            time::date(overview.now),
            Text(word),
        ),
    );
    body
}

fn banners(texts: &Texts, fleet: &FleetView) -> String {
    let mut banners = String::new();
    if fleet.store_behind.is_some() {
        add(
            &mut banners,
            format_args!(
                "<p class=\"banner\" role=\"alert\">⚠ {} <code>flota recover</code></p>",
                Text(texts.store_behind)
            ),
        );
    }
    if fleet.waiting_for_nodes > 0 {
        add(
            &mut banners,
            format_args!(
                "<p class=\"banner\">◷ {} {}</p>",
                fleet.waiting_for_nodes,
                Text(texts.waiting_for_nodes)
            ),
        );
    }
    banners
}

fn counters(texts: &Texts, overview: &Overview) -> String {
    let up = overview
        .nodes
        .iter()
        .filter(|node| node.phase == NodePhase::Up)
        .count();
    let mut list = String::from("<ul class=\"counters\">");
    let mut add = |number: String, label: &str| {
        add(
            &mut list,
            format_args!("<li><b>{number}</b>{}</li>", Text(label)),
        );
    };
    add(format!("{up}/{}", overview.nodes.len()), texts.nodes);
    add(overview.fleet.jobs_live.to_string(), texts.live_jobs);
    for state in [
        TaskState::Waiting,
        TaskState::Granted,
        TaskState::Parked,
        TaskState::Blocked,
    ] {
        add(
            overview.fleet.tasks.of(state).to_string(),
            (texts.task_state)(state),
        );
    }
    list + "</ul>"
}

fn nodes(language: Language, overview: &Overview) -> String {
    let texts = language.texts();
    if overview.nodes.is_empty() {
        return format!(
            "<h2>{}</h2><p>{} {} <code>flota agent</code></p>",
            Text(texts.nodes),
            Text(texts.no_nodes),
            Text(texts.no_nodes_how)
        );
    }
    let rows: String = overview
        .nodes
        .iter()
        .take(NODES_SHOWN)
        .map(|node| node_row(language, node, overview.now))
        .collect();
    let rest = overview.nodes.len().saturating_sub(NODES_SHOWN);
    let more = match rest {
        0 => String::new(),
        rest => format!(
            "<p>{rest} {} <a href=\"/api/v1/nodes\">{}</a></p>",
            Text(texts.more_nodes),
            Text(texts.as_json)
        ),
    };
    format!(
        "<h2>{}</h2><div class=\"scroll\"><table><thead><tr><th>{}</th><th>{}</th>\
         <th class=\"number\">{}</th><th class=\"number\">{}</th><th class=\"number\">{}</th>\
         <th class=\"number\">{}</th><th>{}</th><th>{}</th></tr></thead><tbody>{rows}</tbody>\
         </table></div>{more}",
        Text(texts.nodes),
        Text(texts.name),
        Text(texts.state),
        Text(texts.processors),
        Text(texts.memory),
        Text(texts.running),
        Text(texts.granted),
        Text(texts.heard),
        Text(texts.version),
    )
}

pub(super) fn node_badge(texts: &Texts, phase: NodePhase) -> String {
    let (kind, icon) = match phase {
        NodePhase::Up => ("good", "●"),
        NodePhase::Away => ("warn", "◐"),
        NodePhase::Lost => ("bad", "○"),
    };
    badge(kind, icon, (texts.node_phase)(phase))
}

/// A number of a node that is not up is one of the past: it is not shown.
pub(super) fn running(node: &NodeView) -> String {
    match node.phase {
        NodePhase::Up => node.running.to_string(),
        NodePhase::Away | NodePhase::Lost => "—".into(),
    }
}

fn node_row(language: Language, node: &NodeView, now: Timestamp) -> String {
    let (texts, lang) = (language.texts(), language.word());
    let running = running(node);
    let unclaimed = match node.unclaimed {
        0 => String::new(),
        count => format!(
            " <span class=\"warn\">⚠ {count} {}</span>",
            Text(texts.unclaimed)
        ),
    };
    format!(
        "<tr><td><a href=\"/nodes/{}?lang={lang}\">{}</a></td><td>{}{unclaimed}</td><td class=\"number\">{}/{}</td>\
         <td class=\"number\">{}/{}</td><td class=\"number\">{running}</td>\
         <td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
        node.node,
        Text(&node.name),
        node_badge(texts, node.phase),
        node.reserved.cpus,
        node.capacity.cpus,
        time::size(node.reserved.memory.0),
        time::size(node.capacity.memory.0),
        node.granted,
        heard(texts, node, now),
        Text(&node.version),
    )
}

/// How long ago, and where the node does not answer also when.
pub(super) fn heard(texts: &Texts, node: &NodeView, now: Timestamp) -> String {
    let Some(at) = node.last_heard_at else {
        return Text(texts.never).to_string();
    };
    let ago = (texts.ago)(&time::span(time::between(at, now)));
    let date = time::date(at);
    match node.phase {
        NodePhase::Up => format!("<time datetime=\"{}\">{}</time>", machine(at), Text(ago)),
        NodePhase::Away | NodePhase::Lost => {
            format!(
                "<time datetime=\"{}\">{} ({date})</time>",
                machine(at),
                Text(ago)
            )
        }
    }
}

/// As HTML wants its dates.
pub(super) fn machine(at: Timestamp) -> String {
    time::date(at).replacen(' ', "T", 1).replace(" UTC", "Z")
}

fn jobs(language: Language, overview: &Overview) -> String {
    let (texts, lang) = (language.texts(), language.word());
    if overview.jobs.rows.is_empty() && !overview.older {
        return format!(
            "<h2>{}</h2><p>{} {} <code>flota run -- uname -a</code></p>",
            Text(texts.jobs),
            Text(texts.no_jobs),
            Text(texts.no_jobs_how)
        );
    }
    let rows: String = overview
        .jobs
        .rows
        .iter()
        .map(|job| job_row(language, job, overview.now))
        .collect();
    let mut pages = String::new();
    if overview.older {
        add(
            &mut pages,
            format_args!("<a href=\"/?lang={lang}\">{}</a>", Text(texts.newest)),
        );
    }
    if let Some(next) = overview.jobs.next {
        add(
            &mut pages,
            format_args!(
                "<a href=\"/?lang={lang}&amp;before={next}\">{}</a>",
                Text(texts.older)
            ),
        );
    }
    format!(
        "<h2>{}</h2><div class=\"scroll\"><table><thead><tr><th class=\"number\">#</th>\
         <th>{}</th><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead>\
         <tbody>{rows}</tbody></table></div><p class=\"pages\">{pages}</p>",
        Text(texts.jobs),
        Text(texts.name),
        Text(texts.state),
        Text(texts.progress),
        Text(texts.submitted),
        Text(texts.submitter),
    )
}

fn job_row(language: Language, job: &JobSummary, now: Timestamp) -> String {
    let (texts, lang) = (language.texts(), language.word());
    let ago = (texts.ago)(&time::span(time::between(job.submitted_at, now)));
    format!(
        "<tr><td class=\"number\"><a href=\"/jobs/{id}?lang={lang}\">{id}</a></td>\
         <td><a href=\"/jobs/{id}?lang={lang}\">{}</a></td><td>{}</td><td>{}</td>\
         <td><time datetime=\"{}\" title=\"{}\">{}</time></td><td>{}</td></tr>",
        Text(&job.name),
        phase_badge(texts, job.phase),
        progress(texts, &job.counts),
        machine(job.submitted_at),
        time::date(job.submitted_at),
        Text(ago),
        Text(&job.principal),
        id = job.job,
    )
}

pub(super) fn phase_badge(texts: &Texts, phase: JobPhase) -> String {
    let (kind, icon) = match phase {
        JobPhase::Active => ("busy", "◐"),
        JobPhase::Cancelling => ("warn", "⊘"),
        JobPhase::Finished => ("good", "■"),
    };
    badge(kind, icon, (texts.job_phase)(phase))
}

impl Refresh {
    fn of(parameters: &Parameters) -> Self {
        if parameters.text("refresh") == Some("off") {
            Self::Never
        } else {
            Self::Often
        }
    }
}

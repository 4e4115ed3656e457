//! `/services/{service}`, and the table of services on `/`.

mod words;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use flota_model::{
    outcome::{Outcome, StartStage},
    policy::Rule,
    service::{
        ReplicaState, ReplicaView, RunEnd, ServiceDetail, ServicePhase, ServiceView, WaitingFor,
    },
    units::Timestamp,
};
use flota_wire::rest::{sample::Unkillable, service as rest};

use self::words::Words;
use super::{
    Refresh,
    html::{Text, add, badge},
    language::Language,
    overview::{failed, machine},
    page, room, time,
};
use crate::{
    access::Caller,
    clock,
    edge::{Desk, Parameters, service_detail},
    problem::Problem,
};

/// Replicas on the page; the API gives them all.
const REPLICAS_SHOWN: usize = 500;
/// Services on the overview; the API gives them all.
const SERVICES_SHOWN: usize = 200;

/// `GET /services/{service}?lang=es`
pub(crate) async fn service(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let language = Language::of_request(&headers, &uri);
    match load(&desk, &caller, name, &uri).await {
        Ok(detail) => {
            let words = Words::of(language);
            let title = format!("{} {}", words.service, detail.service.name);
            let body = render(language, &detail, clock::now().wall);
            page(language, &title, Refresh::Often, &body)
        }
        Err(problem) => failed(problem, &headers, &uri),
    }
}

async fn load(
    desk: &Desk,
    caller: &Caller,
    name: String,
    uri: &Uri,
) -> Result<Box<ServiceDetail>, Problem> {
    Parameters::parse(uri, &["lang"])?;
    service_detail(desk, caller, name).await
}

/// The table on `/`; nothing where there are no services.
pub(super) fn table(language: Language, services: &[ServiceView], now: Timestamp) -> String {
    if services.is_empty() {
        return String::new();
    }
    let (texts, words) = (language.texts(), Words::of(language));
    let shown = services.iter().take(SERVICES_SHOWN);
    let rows: String = shown.map(|one| service_row(language, one, now)).collect();
    let more = match services.len().saturating_sub(SERVICES_SHOWN) {
        0 => String::new(),
        rest => format!(
            "<p>+ {rest} <a href=\"/api/v1/services\">{}</a></p>",
            Text(texts.as_json)
        ),
    };
    format!(
        "<h2>{}</h2><div class=\"scroll\"><table><thead><tr><th>{}</th><th>{}</th>\
         <th class=\"number\">{}</th><th>{}</th><th class=\"number\">{}</th><th>{}</th></tr>\
         </thead><tbody>{rows}</tbody></table></div>{more}",
        Text(words.services),
        Text(texts.name),
        Text(texts.state),
        Text(words.ready),
        Text(words.replicas),
        Text(words.restarts),
        Text(words.changed),
    )
}

fn service_row(language: Language, service: &ServiceView, now: Timestamp) -> String {
    let words = Words::of(language);
    format!(
        "<tr><td><a href=\"/services/{name}?lang={}\">{name}</a></td><td>{}</td>\
         <td class=\"number\">{}/{}</td><td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
        language.word(),
        phase_badge(words, service.phase),
        ready(service),
        service.replicas,
        states(words, service),
        service.restarts,
        ago(language, service.changed_at, now),
        name = Text(&service.name),
    )
}

fn ready(service: &ServiceView) -> u32 {
    let count = service.states.get(&ReplicaState::Ready);
    count.copied().unwrap_or_default()
}

fn states(words: &Words, service: &ServiceView) -> String {
    let states = service.states.iter();
    let badges: Vec<String> = states
        .map(|(state, count)| format!("{count} {}", state_badge(words, *state)))
        .collect();
    badges.join(" ")
}

fn ago(language: Language, at: Timestamp, now: Timestamp) -> String {
    let ago = (language.texts().ago)(&time::span(time::between(at, now)));
    let (machine, date) = (machine(at), time::date(at));
    format!(
        "<time datetime=\"{machine}\" title=\"{date}\">{}</time>",
        Text(ago)
    )
}

fn phase_badge(words: &Words, phase: ServicePhase) -> String {
    let (kind, icon) = match phase {
        ServicePhase::Running => ("good", "●"),
        ServicePhase::Updating => ("busy", "◐"),
        ServicePhase::UpdateFailed => ("bad", "✗"),
        ServicePhase::RollingBack | ServicePhase::Stopping => ("warn", "⊘"),
        ServicePhase::Stopped => ("quiet", "■"),
    };
    badge(kind, icon, (words.phase)(phase))
}

fn state_badge(words: &Words, state: ReplicaState) -> String {
    let (kind, icon) = match state {
        ReplicaState::Waiting => ("quiet", "◌"),
        ReplicaState::Starting | ReplicaState::Running => ("busy", "◐"),
        ReplicaState::Ready => ("good", "●"),
        ReplicaState::BackingOff => ("warn", "◷"),
        ReplicaState::CrashLoop => ("bad", "✗"),
        ReplicaState::Stopping => ("warn", "⊘"),
        ReplicaState::Finished => ("quiet", "✓"),
        ReplicaState::Stopped => ("quiet", "■"),
    };
    badge(kind, icon, (words.state)(state))
}

fn render(language: Language, detail: &ServiceDetail, now: Timestamp) -> String {
    let (texts, words) = (language.texts(), Words::of(language));
    let service = &detail.service;
    let mut body = format!(
        "<main><h1>{} {}</h1><p>{} {} {}/{}</p>",
        Text(words.service),
        Text(&service.name),
        phase_badge(words, service.phase),
        Text(words.ready),
        ready(service),
        service.replicas,
    );
    let waits = service.waits_for.iter();
    let waits: Vec<String> = waits
        .map(|wait| format!("{} {}", wait.service, (words.condition)(wait.condition)))
        .collect();
    if !waits.is_empty() {
        let list = waits.join(", ");
        add(
            &mut body,
            format_args!(
                "<p class=\"banner\">◷ {} {}</p>",
                Text(words.waits_for),
                Text(list)
            ),
        );
    }
    body += &rooms(language, detail);
    body += &replicas(language, detail, now);
    body += &revisions(language, detail, now);
    add(
        &mut body,
        format_args!(
            "<p class=\"quiet\">{} {} · {} {} · <a href=\"/api/v1/services/{}\">{}</a></p></main>",
            Text(words.changed),
            ago(language, service.changed_at, now),
            Text(words.restarts),
            service.restarts,
            Text(&service.name),
            Text(texts.as_json),
        ),
    );
    body
}

/// Why replicas find no room, revision by revision.
fn rooms(language: Language, detail: &ServiceDetail) -> String {
    let words = Words::of(language);
    let rooms = detail.rooms.iter().map(|one| {
        let waits = |replica: &&ReplicaView| {
            replica.job == one.job && replica.waiting_for == Some(WaitingFor::Room)
        };
        let count = detail.replicas.iter().filter(waits).count();
        let list = room::list(language, &one.room);
        let title = (words.waiting_for)(WaitingFor::Room);
        format!(
            "<div class=\"banner\">◌ {count} {}{list}</div>",
            Text(title)
        )
    });
    rooms.collect()
}

fn replicas(language: Language, detail: &ServiceDetail, now: Timestamp) -> String {
    let (texts, words) = (language.texts(), Words::of(language));
    let shown = detail.replicas.iter().take(REPLICAS_SHOWN);
    let rows: String = shown.map(|one| replica_row(language, one, now)).collect();
    format!(
        "<div class=\"scroll\"><table><thead><tr><th class=\"number\">{}</th><th>{}</th>\
         <th>{}</th><th class=\"number\">{}</th><th>{}</th><th class=\"number\">{}</th>\
         <th>{}</th></tr></thead><tbody>{rows}</tbody></table></div>",
        Text(words.replica),
        Text(texts.state),
        Text(texts.node),
        Text(words.run),
        Text(words.last_end),
        Text(words.revision),
        Text(words.output),
    )
}

fn replica_row(language: Language, replica: &ReplicaView, now: Timestamp) -> String {
    let (words, lang) = (Words::of(language), language.word());
    let since = replica
        .since
        .map_or_else(String::new, |since| ago(language, since, now));
    let waiting = replica.waiting_for.map_or_else(String::new, |what| {
        format!(" {}", Text((words.waiting_for)(what)))
    });
    let stale = if replica.stale {
        format!(" <span class=\"warn\">⚠ {}</span>", Text(words.stale))
    } else {
        String::new()
    };
    let node = replica.node.map_or_else(String::new, |node| {
        format!("<a href=\"/nodes/{node}?lang={lang}\">{node}</a>")
    });
    let output = ["stderr", "stdout"].map(|stream| {
        let (job, index) = (replica.job, replica.replica);
        format!("<a href=\"/api/v1/jobs/{job}/tasks/{index}/output/{stream}\">{stream}</a>")
    });
    format!(
        "<tr><td class=\"number\">{}</td><td>{} {since}{waiting}{stale}</td><td>{node}</td>\
         <td class=\"number\">{}</td><td>{}</td>\
         <td class=\"number\"><a href=\"/jobs/{job}?lang={lang}\">{job}</a></td><td>{}</td></tr>",
        replica.replica,
        state_badge(words, replica.state),
        replica.run,
        replica
            .last
            .as_ref()
            .map_or_else(String::new, |last| ending(words, last)),
        output.join(" "),
        job = replica.job,
    ) + &evidence(language, replica, now)
}

/// Why it is not well: the probe that fails, and in a crash loop what it wrote last.
fn evidence(language: Language, replica: &ReplicaView, now: Timestamp) -> String {
    let words = Words::of(language);
    let mut rows = String::new();
    let failure = replica.failure.as_ref();
    if let Some(failure) = failure.filter(|_| replica.state != ReplicaState::Ready) {
        let since = ago(language, failure.since, now);
        let purpose = (words.probe)(failure.purpose);
        add(
            &mut rows,
            format_args!(
                "<tr><td></td><td colspan=\"6\"><span class=\"warn\">⚠ {}</span>: {} {since}</td></tr>",
                Text(purpose),
                Text(&failure.detail),
            ),
        );
    }
    if let (Some(unkillable), Some(node)) = (&replica.unkillable, replica.node) {
        let since = ago(language, unkillable.since, now);
        let shown = Unkillable::of(replica.replica, node, unkillable);
        add(
            &mut rows,
            format_args!(
                "<tr><td></td><td colspan=\"6\"><span class=\"warn\">⚠ {}</span>: {} {since}</td></tr>",
                Text(words.unkillable),
                Text(shown.list()),
            ),
        );
    }
    let streams = replica.lines.iter().flat_map(|lines| {
        let streams = [("stderr", &lines.stderr), ("stdout", &lines.stdout)];
        streams.into_iter().filter(|(_, text)| !text.is_empty())
    });
    for (stream, text) in streams {
        add(
            &mut rows,
            format_args!(
                "<tr><td></td><td colspan=\"6\">{stream}<pre>{}</pre></td></tr>",
                Text(text),
            ),
        );
    }
    rows
}

/// The specs that it had, the newest first.
fn revisions(language: Language, detail: &ServiceDetail, now: Timestamp) -> String {
    let (words, lang) = (Words::of(language), language.word());
    let known = rest::Revisions::from(detail).revisions;
    if known.len() < 2 {
        return String::new();
    }
    let rows = known.iter().zip(detail.revisions.iter().rev());
    let rows = rows.map(|(one, record)| {
        let current = if one.current { "●" } else { "" };
        let more = match one.changed_more {
            0 => String::new(),
            more => format!(", + {more}"),
        };
        format!(
            "<tr><td class=\"number\"><a href=\"/jobs/{job}?lang={lang}\">{job}</a></td>\
             <td>{current}</td><td>{} {}</td><td>{}</td><td>{}</td></tr>",
            Text((words.cause)(record.cause)),
            ago(language, record.at, now),
            Text(&one.principal),
            Text(one.changed.join(", ") + &more),
            job = one.job,
        )
    });
    format!(
        "<h2>{}</h2><div class=\"scroll\"><table><tbody>{}</tbody></table></div>",
        Text(words.revisions),
        rows.collect::<String>(),
    )
}

/// Why a program was not started, as far as its numbers say.
fn not_started(stage: StartStage, errno: i32) -> String {
    let rule = Rule::of_number(errno).filter(|_| stage == StartStage::Policy);
    match rule {
        Some(rule) => format!(": {} {} [E-POLICY-REFUSED]", stage.word(), rule.word()),
        None => {
            let why = std::io::Error::from_raw_os_error(errno);
            format!(": {}: {why}", stage.word())
        }
    }
}

/// The word of the outcome is that of the API, with what it says beyond.
fn ending(words: &Words, last: &RunEnd) -> String {
    let details = match &last.outcome {
        Outcome::Exited { code } => format!(" {code}"),
        Outcome::Signalled { signal } => format!(" {}", flota_wire::signal::name(*signal)),
        Outcome::NotStarted { stage, errno } => not_started(*stage, *errno),
        Outcome::Completed
        | Outcome::Failed { .. }
        | Outcome::OutOfMemory
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Lost
        | Outcome::Unknown => String::new(),
    };
    let unhealthy = if last.unhealthy {
        format!(", {}", words.unhealthy)
    } else {
        String::new()
    };
    Text(format!("{}{details}{unhealthy}", last.outcome.word())).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flota_model::{
        change::RevisionRecord,
        ids::{JobId, NodeId, TaskIndex},
        replica::{LastLines, ProbeFailure},
        revision::{RevisionCause, ServiceVersion},
        service::{Condition, Dependency, Purpose},
        waiting::{Room, RoomOfRevision},
    };
    use flota_wire::spec::{parse_json, seal};

    use super::*;

    fn view() -> ServiceView {
        ServiceView {
            name: "web".into(),
            phase: ServicePhase::Running,
            job: JobId(7),
            replicas: 3,
            states: BTreeMap::from([(ReplicaState::Ready, 2), (ReplicaState::CrashLoop, 1)]),
            restarts: 9,
            waits_for: vec![Dependency {
                service: "db".into(),
                condition: Condition::Healthy,
            }],
            updated: None,
            version: ServiceVersion::default(),
            principal: "local".into(),
            changed_at: Timestamp(1),
        }
    }

    fn detail() -> ServiceDetail {
        let spec = br#"{"name": "web", "program": {"argv": ["x"]}, "service": {}}"#;
        ServiceDetail {
            service: view(),
            spec: seal(parse_json(spec).unwrap()),
            replicas: vec![ReplicaView {
                replica: TaskIndex(2),
                job: JobId(7),
                state: ReplicaState::CrashLoop,
                waiting_for: None,
                since: Some(Timestamp(1)),
                node: Some(NodeId(4)),
                attempt: None,
                run: 9,
                restarts: 8,
                last: Some(RunEnd {
                    run: 8,
                    outcome: Outcome::Signalled { signal: 9 },
                    unhealthy: true,
                    ended_at: Timestamp(1),
                }),
                failure: Some(ProbeFailure {
                    probe: 0,
                    purpose: Purpose::Readiness,
                    detail: "HTTP 503 <b>".into(),
                    since: Timestamp(1),
                }),
                lines: Some(LastLines {
                    run: 8,
                    stdout: String::new(),
                    stderr: "boom & bang\n".into(),
                }),
                unkillable: Some(flota_model::sample::Unkillable {
                    attempt: flota_model::ids::AttemptId::default(),
                    since: Timestamp(1),
                    count: 17,
                    remnants: vec![flota_model::sample::Remnant {
                        pid: 4711,
                        state: b'D',
                    }],
                }),
                stale: true,
            }],
            rooms: Vec::new(),
            revisions: Vec::new(),
        }
    }

    #[test]
    fn the_page_of_a_service_tells_of_each_replica_in_both_languages() {
        let english = render(Language::English, &detail(), Timestamp(1));
        for part in [
            "Ready 2/3",
            "Waits for db to be ready",
            "crash loop",
            "signalled KILL, unhealthy",
            "not heard",
            "was killed, still there</span>: 4711 D, …",
            "readiness probe fails</span>: HTTP 503 &lt;b&gt;",
            "<pre>boom &amp; bang\n</pre>",
            "<a href=\"/nodes/4?lang=en\">4</a>",
            "/api/v1/jobs/7/tasks/2/output/stderr",
        ] {
            assert!(english.contains(part), "{part}: {english}");
        }
        let spanish = render(Language::Spanish, &detail(), Timestamp(1));
        for part in [
            "Listas 2/3",
            "falla una y otra vez",
            "sin salud",
            "siguen ahí",
        ] {
            assert!(spanish.contains(part), "{part}: {spanish}");
        }
    }

    #[test]
    fn the_page_has_the_revisions_with_what_they_changed() {
        let mut detail = detail();
        let record = |job, program: &str, cause| {
            let spec = format!(
                r#"{{"name": "web", "program": {{"argv": ["{program}"]}}, "service": {{}}}}"#
            );
            RevisionRecord {
                job: JobId(job),
                spec: seal(parse_json(spec.as_bytes()).unwrap()),
                principal: "<ana>".into(),
                at: Timestamp(1),
                cause,
            }
        };
        detail.revisions = vec![
            record(7, "x", RevisionCause::Applied),
            record(9, "y", RevisionCause::RolledBack),
        ];
        let english = render(Language::English, &detail, Timestamp(1));
        for part in [
            "Revisions",
            "rolled back",
            "program.argv",
            "&lt;ana&gt;",
            "●",
        ] {
            assert!(english.contains(part), "{part}: {english}");
        }
        let spanish = render(Language::Spanish, &detail, Timestamp(1));
        assert!(spanish.contains("vuelta atrás"), "{spanish}");
    }

    #[test]
    fn the_page_says_why_replicas_find_no_room() {
        let mut detail = detail();
        detail.replicas[0].state = ReplicaState::Waiting;
        detail.replicas[0].waiting_for = Some(WaitingFor::Room);
        let (job, room) = (JobId(7), Room::default());
        detail.rooms = vec![RoomOfRevision { job, room }];
        let english = render(Language::English, &detail, Timestamp(1));
        assert!(english.contains("◌ 1 for room<ul><li>no node has joined</li></ul>"));
        let spanish = render(Language::Spanish, &detail, Timestamp(1));
        assert!(spanish.contains("◌ 1 a que haya sitio<ul><li>no se ha unido"));
    }

    #[test]
    fn the_overview_has_a_table_of_services_if_there_are_any() {
        assert_eq!(table(Language::English, &[], Timestamp(1)), "");
        let one = table(Language::English, &[view()], Timestamp(1));
        assert!(
            one.contains("<a href=\"/services/web?lang=en\">web</a>"),
            "{one}"
        );
        assert!(one.contains("2/3"), "{one}");
        let many = vec![view(); SERVICES_SHOWN + 5];
        let table = table(Language::English, &many, Timestamp(1));
        assert_eq!(table.matches("/services/web?").count(), SERVICES_SHOWN);
        assert!(table.contains("<p>+ 5 "), "{table}");
    }
}

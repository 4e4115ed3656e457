//! `--wait` of the commands about services.

use std::time::Duration;

use flota_model::units::Moment;
use flota_wire::rest::service::{Replica, Service, ServiceWhole};

use super::{
    super::{Session, absence::Absence},
    lines,
    show::{ending, ready},
};
use crate::{clock, exit::Exit, failure::Failure, render::duration};

/// Between two looks. The answer comes from memory, so that a person need not wait longer.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// As long must replicas without a readiness probe stay as they are to count as up: a program that
/// cannot work mostly ends at once.
const STEADY: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Every wanted replica is ready, or has ended as it should, and nothing else runs.
    Ready,
    /// It is stopped, and nothing of it runs.
    Stopped,
}

/// Where a service stands.
#[derive(Debug, PartialEq)]
enum Standing<'a> {
    Reached,
    Underway,
    /// It does not get there by itself.
    UpdateFailed,
    /// A replica that fails again and again.
    Loops(&'a Replica),
    /// A replica whose program cannot be started: the next try will mostly end alike.
    NotStarted(&'a Replica),
    /// A replica that ended with a failure, and is not run again.
    Ended(&'a Replica),
}

/// Waits until a service is as it should be.
///
/// # Errors
/// When it fails, or takes longer than `limit`.
pub(super) async fn until(
    session: &mut Session<'_>,
    name: &str,
    goal: Goal,
    limit: Option<Duration>,
) -> Result<Service, Failure> {
    let language = session.language();
    session.interrupt_note = Some(language.interrupted_service_goes_on(name));
    let started_at = clock::moment();
    let mut absence = Absence::new();
    let mut steady: Option<(Moment, Vec<RunOf>)> = None;
    let mut unwell = Vec::new();
    loop {
        let waited = clock::moment().since(started_at);
        match session.client().await?.service(name).await {
            Ok(whole) => {
                absence.end();
                unwell = lines::waits(language, &whole);
                unwell.extend(lines::unwell(language, &whole));
                match standing(&whole, goal) {
                    Standing::Reached if !is_steady(&whole, goal, &mut steady) => {}
                    Standing::Reached => {
                        session.interrupt_note = None;
                        return Ok(whole.service);
                    }
                    Standing::Underway => {}
                    fault @ (Standing::UpdateFailed
                    | Standing::Loops(_)
                    | Standing::NotStarted(_)
                    | Standing::Ended(_)) => return Err(hopeless(session, &whole, fault).await),
                }
            }
            Err(fault) if absence.is_bearable(&fault) => absence.pause().await,
            Err(fault) => return Err(session.failure(&fault)),
        }
        if let Some(limit) = limit.filter(|limit| waited >= *limit) {
            let span = duration(limit.as_secs_f64());
            let what = language.error_service_wait_timeout(name, span);
            let failure = Failure::new("E-WAIT-TIMEOUT", Exit::WaitTimeout, what);
            let failure = failure.hint(language.hint_service_show(name));
            return Err(unwell.into_iter().fold(failure, Failure::because));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Which run of which replica.
type RunOf = (u32, u64, u32);

/// Whether what was reached may be told: proven by probes, or so for a while.
fn is_steady(whole: &ServiceWhole, goal: Goal, seen: &mut Option<(Moment, Vec<RunOf>)>) -> bool {
    if goal == Goal::Stopped || has_readiness(&whole.spec) {
        return true;
    }
    let runs = whole.replicas.iter();
    let runs: Vec<RunOf> = runs.map(|one| (one.index, one.job, one.run)).collect();
    let now = clock::moment();
    match seen {
        Some((since, before)) if *before == runs => now.since(*since) >= STEADY,
        _ => {
            *seen = Some((now, runs));
            false
        }
    }
}

fn has_readiness(spec: &serde_json::Value) -> bool {
    let probes = spec
        .pointer("/service/probes")
        .and_then(|probes| probes.as_array());
    let mut probes = probes.into_iter().flatten();
    probes.any(|probe| {
        probe
            .get("purpose")
            .is_some_and(|purpose| purpose == "readiness")
    })
}

fn standing(whole: &ServiceWhole, goal: Goal) -> Standing<'_> {
    let service = &whole.service;
    match (goal, service.phase.as_str()) {
        (Goal::Stopped, "stopped") => Standing::Reached,
        (Goal::Stopped, _) | (Goal::Ready, "stopping" | "stopped") => Standing::Underway,
        (Goal::Ready, "update-failed" | "rolling-back") => Standing::UpdateFailed,
        (Goal::Ready, phase) => replicas(whole, phase == "running"),
    }
}

fn replicas(whole: &ServiceWhole, is_settled: bool) -> Standing<'_> {
    let service = &whole.service;
    // Those of an older revision are on their way out.
    let current = || whole.replicas.iter().filter(|one| one.job == service.job);
    let is_not_started = |one: &&Replica| {
        let last = one.last.as_ref();
        let is_down = one.state == "backing-off" || one.state == "crash-loop";
        is_down && last.is_some_and(|run| run.outcome == "not_started")
    };
    if let Some(replica) = current().find(is_not_started) {
        return Standing::NotStarted(replica);
    }
    if let Some(looping) = current().find(|one| one.state == "crash-loop") {
        return Standing::Loops(looping);
    }
    let finished = || current().filter(|one| one.state == "finished");
    let has_failed = |one: &&Replica| {
        let last = one.last.as_ref();
        last.is_some_and(|run| {
            run.outcome != "completed" && run.exit_code.is_none_or(|code| code != 0)
        })
    };
    if let Some(ended) = finished().find(has_failed) {
        return Standing::Ended(ended);
    }
    let there = ready(service) as usize + finished().count();
    let others = whole.replicas.iter().any(|one| one.state == "stopping");
    if is_settled && !others && there >= service.replicas as usize {
        Standing::Reached
    } else {
        Standing::Underway
    }
}

/// What went wrong, with how the last run ended and what it wrote.
async fn hopeless(
    session: &mut Session<'_>,
    whole: &ServiceWhole,
    standing: Standing<'_>,
) -> Failure {
    let (language, name) = (session.language(), &whole.service.name);
    let (what, replica) = match standing {
        Standing::Loops(replica) => (language.error_service_loops(name, replica.index), replica),
        Standing::NotStarted(replica) => {
            let what = language.error_service_not_started(name, replica.index);
            (what, replica)
        }
        Standing::Ended(replica) => {
            let what = language.error_service_finished(name, replica.index);
            (what, replica)
        }
        Standing::UpdateFailed | Standing::Reached | Standing::Underway => {
            return update_failed(session, whole).await;
        }
    };
    failed(session, what, whole, replica).await
}

async fn update_failed(session: &mut Session<'_>, whole: &ServiceWhole) -> Failure {
    let what = session
        .language()
        .error_service_update_failed(&whole.service.name);
    let new = |one: &&Replica| one.job == whole.service.job && one.last.is_some();
    match whole.replicas.iter().find(new) {
        Some(replica) => failed(session, what, whole, replica).await,
        None => of_service(session, what, whole),
    }
}

async fn failed(
    session: &mut Session<'_>,
    what: String,
    whole: &ServiceWhole,
    replica: &Replica,
) -> Failure {
    let failure = of_service(session, what, whole);
    let failure = match &replica.last {
        Some(run) => failure.because(ending(session.language(), run)),
        None => failure,
    };
    let lines = lines::last(session, replica).await;
    if lines.is_empty() {
        return failure;
    }
    failure.excerpt(lines)
}

fn of_service(session: &Session<'_>, what: String, whole: &ServiceWhole) -> Failure {
    let hint = session.language().hint_service_show(&whole.service.name);
    Failure::new("E-SERVICE-FAILED", Exit::JobFailed, what).hint(hint)
}

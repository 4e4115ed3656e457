//! `flota logs NAME -f`: the replicas of a service, also those of revisions that come later.

use std::collections::BTreeSet;

use flota_model::outcome::StreamName;
use flota_wire::rest::service::{Replica, ServiceWhole};

use super::{
    rotated::{LOOK_INTERVAL, Merge, SOURCES_MAX},
    source::{Request, Source},
};
use crate::{
    cli::{Session, absence::Absence, follow},
    client::LogStart,
    exit::Exit,
    failure::Failure,
    fault::ClientFault,
};

/// What is followed.
pub(super) struct Followed {
    /// The service.
    pub(super) name: String,
    /// One replica, or all.
    pub(super) task: Option<u32>,
    pub(super) streams: Vec<StreamName>,
    /// How the logs of replicas that are found first are read; those of later ones are read whole.
    pub(super) first: Request,
}

/// Which replica of which revision.
type Key = (u64, u32);

/// Follows it until it is over: stopped, removed, or ended as its policy asks.
pub(super) async fn follow(
    session: &mut Session<'_>,
    merge: &mut Merge,
    followed: &Followed,
) -> Result<Exit, Failure> {
    let mut absence = Absence::new();
    let mut known = BTreeSet::new();
    let mut last = None;
    loop {
        let looked = match session.client().await?.service(&followed.name).await {
            Ok(whole) => {
                let present = present(&whole, followed.task);
                last = present.last().copied().or(last);
                take_in(session, merge, (followed, &mut known), &present);
                let looked = merge.look(session, is_over(&whole)).await?;
                // What is gone and read to its end makes room for others.
                merge.retain(|key, has_ended| !has_ended || present.contains(&key));
                looked
            }
            Err(fault) if is_removed(&fault) && !known.is_empty() => {
                merge.look(session, true).await?
            }
            Err(fault) => Err(fault),
        };
        match looked {
            Ok(true) => break,
            Ok(false) => {
                absence.end();
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            Err(fault) if absence.is_bearable(&fault) => absence.pause().await,
            Err(fault) => return Err(session.failure(&fault)),
        }
    }
    merge.finish(session)?;
    end(session, &known, last).await
}

/// Ends as the program did, where there was but one.
async fn end(
    session: &mut Session<'_>,
    known: &BTreeSet<Key>,
    last: Option<Key>,
) -> Result<Exit, Failure> {
    let indexes: BTreeSet<u32> = known.iter().map(|(_, index)| *index).collect();
    let (Some((job, index)), 1) = (last, indexes.len()) else {
        return Ok(Exit::Ok);
    };
    match session.client().await?.task(job, index).await {
        Ok(task) if follow::is_terminal(&task.state) => follow::tell_end(session, task).await,
        Ok(_) | Err(_) => Ok(Exit::Ok),
    }
}

/// Begins to read the logs of replicas that were not there before.
fn take_in(
    session: &mut Session<'_>,
    merge: &mut Merge,
    (followed, known): (&Followed, &mut BTreeSet<Key>),
    present: &[Key],
) {
    let is_first = known.is_empty();
    for (job, task) in present {
        if known.contains(&(*job, *task)) {
            continue;
        }
        if merge.count() + followed.streams.len() > SOURCES_MAX {
            // It is tried again at the next look: others end meanwhile.
            if !merge.is_full {
                merge.is_full = true;
                let text = session.language().logs_more_replicas(SOURCES_MAX);
                session.screen.tell(&text);
            }
            return;
        }
        known.insert((*job, *task));
        let start = if is_first {
            followed.first.start
        } else {
            LogStart::Offset(0)
        };
        merge.add(followed.streams.iter().map(|stream| {
            Source::new(Request {
                job: *job,
                task: *task,
                stream: *stream,
                start,
                ..followed.first.clone()
            })
        }));
    }
}

/// Replicas that have, or had, a program; by revision.
fn present(whole: &ServiceWhole, task: Option<u32>) -> Vec<Key> {
    let replicas = whole.replicas.iter();
    let wanted = replicas.filter(|one| task.is_none_or(|task| one.index == task));
    let started = wanted.filter(|one| one.state != "waiting");
    let mut keys: Vec<Key> = started.map(|one| (one.job, one.index)).collect();
    keys.sort_unstable();
    keys
}

fn is_over(whole: &ServiceWhole) -> bool {
    let ended = |one: &Replica| one.state == "finished" || one.state == "stopped";
    match whole.service.phase.as_str() {
        "stopped" => true,
        "running" => !whole.replicas.is_empty() && whole.replicas.iter().all(ended),
        _ => false,
    }
}

fn is_removed(fault: &ClientFault) -> bool {
    fault
        .problem()
        .is_some_and(|problem| problem.code == "E-SERVICE-NOTFOUND")
}

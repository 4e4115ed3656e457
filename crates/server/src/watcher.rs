//! Looks at watched files and folders, and submits what is new in them.
//!
//! By looking once a second: a stat of each file costs microseconds, works on every file system (inotify
//! hears nothing of changes that other machines make), and nothing is lost when a file is replaced or a queue of
//! events runs over. What was taken of a file is written in the same transaction as the jobs that come of
//! it, so that a line is taken once whenever the server dies.

mod files;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use flota_model::{
    command::{Command, Query, Reply},
    note::{NoteKind, NoteRecord},
    spec::SealedSpec,
};
use flota_wire::{
    spec::{Job, seal},
    watch::WatchState,
};
use tokio::{task, time};

use self::files::{Found, Stamp, look, open_below, place};
use crate::{
    access::{Object, Verb, authorize, local},
    edge::{Desk, bug, check_kernels},
    problem::{NOTE_CHANGED, Problem},
    settings::Settings,
    stop::Stop,
};

/// Between two looks: what changes is seen within two.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Why a watch gets on with nothing, by its path: for people.
#[derive(Debug, Default)]
pub(crate) struct WatchProblems(Mutex<BTreeMap<String, String>>);

impl WatchProblems {
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(path).cloned()
    }

    fn set(&self, path: &str, problem: Option<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => known.insert(path.to_owned(), problem),
            None => known.remove(path),
        };
    }
}

/// The folders whose files may be watched.
pub(crate) fn folders(settings: &Settings) -> Vec<PathBuf> {
    let given = if settings.watch_folders.is_empty() {
        vec![settings.data.join("jobs")]
    } else {
        settings.watch_folders.clone()
    };
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    given.into_iter().map(absolute).collect()
}

/// The path under which a watch is kept; `None` when it leads out of the allowed folders.
pub(crate) fn allowed(settings: &Settings, given: &str) -> Option<String> {
    let (folder, below) = place(&folders(settings), given.as_ref())?;
    let is_out = open_below(&folder, &below)
        .err()
        .is_some_and(|fault| fault.kind() != std::io::ErrorKind::NotFound);
    if is_out {
        return None;
    }
    kept(settings, given)
}

/// The same, wherever links on the way lead by now.
pub(crate) fn kept(settings: &Settings, given: &str) -> Option<String> {
    let (folder, below) = place(&folders(settings), given.as_ref())?;
    let path: PathBuf = folder.join(below).components().collect();
    path.to_str().map(str::to_owned)
}

/// A watch as the last look left it.
struct Known {
    revision: u64,
    state: WatchState,
    stamps: BTreeMap<String, Stamp>,
}

/// Looks until the server stops.
pub(crate) async fn run(desk: Desk, mut stop: Stop) {
    if desk.settings().watch_folders.is_empty() {
        let own = desk.settings().data.join("jobs");
        if let Err(fault) = std::fs::create_dir_all(&own) {
            tracing::warn!(folder = %own.display(), %fault, "failed to make the folder of jobs");
        }
    }
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut ticks = time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.said() => return,
        }
        let Ok(notes) = watches(&desk).await else {
            continue;
        };
        known.retain(|path, _| notes.iter().any(|note| note.name == *path));
        for note in notes {
            let problem = match look_at(&desk, &note, &mut known).await {
                Ok(problem) => problem,
                Err(problem) if problem.kind() == NOTE_CHANGED => {
                    known.remove(&note.name);
                    None
                }
                Err(problem) => Some(problem.detail().to_owned()),
            };
            desk.watch_problems().set(&note.name, problem);
        }
    }
}

/// All watches, by path.
pub(crate) async fn watches(desk: &Desk) -> Result<Vec<NoteRecord>, Problem> {
    let permit = authorize(&local(), Verb::JobRead, &Object::Fleet)?;
    let Reply::Notes(notes) = desk.query(permit, Query::Notes(NoteKind::Watch)).await? else {
        return Err(bug("a query of notes got another answer"));
    };
    Ok(notes)
}

/// Looks at one watch; says what people should know.
async fn look_at(
    desk: &Desk,
    note: &NoteRecord,
    all: &mut BTreeMap<String, Known>,
) -> Result<Option<String>, Problem> {
    if all
        .get(&note.name)
        .is_none_or(|known| known.revision != note.revision)
    {
        let state = WatchState::of_bytes(&note.bytes);
        let known = Known {
            revision: note.revision,
            state: state.ok_or_else(|| bug("a watch cannot be read"))?,
            stamps: BTreeMap::new(),
        };
        all.insert(note.name.clone(), known);
    }
    let Some(known) = all.get_mut(&note.name) else {
        return Ok(None);
    };
    let Some((folder, below)) = place(&folders(desk.settings()), note.name.as_ref()) else {
        return Ok(Some(
            "it is in none of the folders that may be watched".to_owned(),
        ));
    };
    let stamps = known.stamps.clone();
    let looked = task::spawn_blocking(move || look(&folder, &below, &stamps)).await;
    let found = match looked.map_err(|_| bug("a look at a file panicked"))? {
        Ok(found) => found,
        Err(fault) => return Ok(Some(fault.to_string())),
    };
    let Found {
        present,
        changed,
        problem,
    } = found;
    let mut state = known.state.clone();
    if state.notice(&present) {
        write(desk, note, known, state, Vec::new()).await?;
    }
    for (name, stamp, bytes) in changed {
        let left = take(desk, note, known, (name.clone(), bytes)).await?;
        if !left {
            known.stamps.insert(name, stamp);
        }
    }
    Ok(problem)
}

/// Takes what is new in a file; says whether there is more.
async fn take(
    desk: &Desk,
    note: &NoteRecord,
    known: &mut Known,
    (name, bytes): (String, Vec<u8>),
) -> Result<bool, Problem> {
    let before = known.state.clone();
    let kernels = desk.settings().kernels.clone();
    let stepped = task::spawn_blocking(move || {
        let mut state = before;
        let accepts = |job: &Job| {
            check_kernels(&job.spec, job.rows.as_ref(), &kernels)
                .map_err(|problem| problem.detail().to_owned())
        };
        let (jobs, left) = state.step(&name, &bytes, &accepts);
        (state, jobs, left)
    });
    let (state, jobs, left) = stepped
        .await
        .map_err(|_| bug("a step of a watch panicked"))?;
    if state != known.state {
        desk.refuse_when_full()?;
        write(desk, note, known, state, jobs).await?;
    }
    Ok(left)
}

/// Makes a step durable with its jobs.
async fn write(
    desk: &Desk,
    note: &NoteRecord,
    known: &mut Known,
    state: WatchState,
    jobs: Vec<Job>,
) -> Result<(), Problem> {
    let principal = flota_model::command::Principal {
        name: note.principal.clone(),
    };
    let permit = authorize(&principal, Verb::JobSubmit, &Object::Fleet)?;
    let sealed = |job: Job| -> (SealedSpec, _) { (seal(job.spec), job.rows) };
    let command = Command::WriteNote {
        kind: NoteKind::Watch,
        name: note.name.clone(),
        expected: Some(known.revision),
        bytes: state.to_bytes().into(),
        jobs: jobs.into_iter().map(sealed).collect(),
    };
    let Reply::Noted { revision, jobs } = desk.command(permit, command).await? else {
        return Err(bug("a note got another answer"));
    };
    if let Some(job) = jobs.first() {
        tracing::info!(path = note.name, %job, jobs = jobs.len(), "lines of a watched file queued");
    }
    (known.revision, known.state) = (revision, state);
    Ok(())
}

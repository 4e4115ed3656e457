//! Stopping all that a node runs, with or without its agent.

use std::{path::Path, sync::Arc, time::Duration};

use flota_engine::{
    keeper::{
        api::{Child, ChildState, FromKeeper, KeeperId, StopReason, ToKeeper},
        codec,
    },
    logs::Limits,
};
use flota_model::ids::{AttemptId, Nonce};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    control,
    dead::{self, Here, Leaders},
    folder::{Folder, FolderFault},
    groups::{self, Groups},
    input::Input,
    keeper::KeeperSettings,
    keepers::{KeeperCommand, Keepers, KeepersFault, Listed, Reached},
    orphans::Orphans,
    outputs::Outputs,
    sys::files,
};

/// Of `man 7 signal`.
const SIGTERM: u8 = 15;
/// From the signal to the kill, where no agent knows the grace of each.
const GRACE: Duration = Duration::from_secs(10);
/// Longest wait for the rest after that.
const PATIENCE: Duration = Duration::from_secs(30);
/// As many as a keeper holds.
const INBOX_LENGTH_MAX: usize = 4_096;

/// Stops all programs of a data folder and ends its agent. Where no agent runs, the keepers are told
/// directly; they then wait with the ends of their programs for the next agent.
///
/// # Errors
/// When neither agent nor keepers can be reached, or a program does not end.
pub async fn stop_all(data: &Path) -> Result<(), StopFault> {
    let folder = files::folder(data).map_err(|source| FolderFault::File {
        path: data.to_owned(),
        source,
    })?;
    let asked = control::ask_to_stop(std::os::fd::AsFd::as_fd(&folder)).await;
    if asked.map_err(|source| StopFault::Agent { source })? {
        return Ok(());
    }
    // No agent may start meanwhile.
    let folder = Folder::open(data)?;
    stop_programs(&folder).await
}

/// Why not everything was stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopFault {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// The agent did not do it.
    #[error("the agent ended before everything was stopped")]
    Agent {
        /// Why.
        source: std::io::Error,
    },
    /// A keeper cannot be reached.
    #[error(transparent)]
    Keepers(#[from] KeepersFault),
    /// What a dead keeper left cannot be found.
    #[error("failed to find what keeper {keeper} left")]
    System {
        /// Which keeper.
        keeper: u32,
        /// Why.
        source: std::io::Error,
    },
    /// Programs still run.
    #[error("{count} programs do not end")]
    Unstoppable {
        /// How many.
        count: usize,
    },
}

async fn stop_programs(folder: &Folder) -> Result<(), StopFault> {
    let (post, mut inbox) = mpsc::channel(INBOX_LENGTH_MAX);
    let command = KeeperCommand {
        command: Vec::new(),
        settings: KeeperSettings {
            data: folder.path().to_owned(),
            output_bytes_max: 0,
            open_files: 0,
            logs: Limits::default(),
            places: Vec::new(),
            version_max: codec::VERSION,
        },
    };
    let groups = Arc::new(Groups::new(groups::remembered(folder.path())));
    let mut orphans = Orphans::new(post.clone(), Arc::clone(&groups));
    let mut keepers = Keepers::new(folder.keepers(), command, Nonce(0), post)?;
    let (mut running, mut ending) = (Vec::new(), Vec::new());
    for keeper in keepers.all()? {
        match keepers.reach(keeper).await? {
            // No agent comes meanwhile, so nobody needs it any more.
            Reached::Live(listed) if listed.is_empty() => {
                keepers.tell(keeper, ToKeeper::Quit);
                ending.push(keeper);
            }
            Reached::Live(listed) => {
                for attempt in listed.iter().filter_map(alive) {
                    let stop = ToKeeper::Stop {
                        signal: SIGTERM,
                        attempt,
                        grace: GRACE,
                        reason: StopReason::Cancelled,
                    };
                    keepers.tell(keeper, stop);
                    running.push((keeper, attempt));
                }
            }
            Reached::Dead => {
                for attempt in stop_orphans(folder, keeper, &mut orphans)? {
                    running.push((keeper, attempt));
                }
            }
        }
    }
    let all_ended = async {
        while !running.is_empty() || !ending.is_empty() {
            keepers.flush();
            tokio::select! {
                Some(input) = inbox.recv() => {
                    running.retain(|one| !ends(&input, *one));
                    ending.retain(|keeper| !matches!(input, Input::KeeperGone(gone) if gone == *keeper));
                }
                () = keepers.room() => {}
            }
        }
    };
    if timeout(GRACE + PATIENCE, all_ended).await.is_err() {
        return Err(StopFault::Unstoppable {
            count: running.len() + ending.len(),
        });
    }
    groups.leave();
    Ok(())
}

/// Stops what a dead keeper left; gives the attempts.
fn stop_orphans(
    folder: &Folder,
    keeper: KeeperId,
    orphans: &mut Orphans,
) -> Result<Vec<AttemptId>, StopFault> {
    let system = |source| StopFault::System {
        keeper: keeper.0,
        source,
    };
    let here = Here::new().map_err(system)?;
    let outputs = Outputs::new(folder.output(), 0).map_err(system)?;
    let mut leaders = Leaders::new(here, folder.path());
    let mut attempts = Vec::new();
    for (attempt, logged) in dead::read(&folder.keepers_path(), keeper).map_err(system)? {
        let found = dead::look(attempt, logged.state, &mut leaders, &outputs);
        if let (
            Some(pidfd),
            ChildState::Running {
                identity,
                started_at,
            },
        ) = (found.pidfd, found.state)
        {
            orphans.watch(attempt, pidfd, (identity, started_at), logged.stopped);
            orphans.stop(attempt, SIGTERM, GRACE, StopReason::Cancelled);
            attempts.push(attempt);
        }
    }
    Ok(attempts)
}

fn alive(listed: &Listed) -> Option<AttemptId> {
    let Child { attempt, state, .. } = listed.child;
    match state {
        ChildState::Waiting | ChildState::Starting | ChildState::Running { .. } => Some(attempt),
        ChildState::NotStarted { .. } | ChildState::Ended(_) => None,
    }
}

/// Whether that says that a program does not run any more, or that nobody can say it.
fn ends(input: &Input, (keeper, attempt): (KeeperId, AttemptId)) -> bool {
    match input {
        Input::OrphanEnded { attempt: ended, .. }
        | Input::Keeper {
            message:
                FromKeeper::Ended { attempt: ended, .. } | FromKeeper::NotStarted { attempt: ended, .. },
            ..
        } => *ended == attempt,
        Input::KeeperGone(gone) => *gone == keeper,
        Input::Keeper { .. }
        | Input::Collected { .. }
        | Input::Kept { .. }
        | Input::OutputsLost(_)
        | Input::OutputRead { .. }
        | Input::Answered { .. }
        | Input::Probed(_)
        | Input::Tailed { .. }
        | Input::Local(_)
        | Input::Sampled(_)
        | Input::StopAll(_) => false,
    }
}

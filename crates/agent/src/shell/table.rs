//! What the shell holds of programs: their keeper and their descriptors.

use std::{collections::BTreeMap, os::fd::AsFd};

use flota_engine::keeper::api::{Identity, KeeperId};
use flota_model::{
    ids::AttemptId,
    outcome::StreamName,
    sample::{UNKILLABLE_MAX, Unkillable},
    units::Timestamp,
};

use crate::{keepers::Carried, outputs::Streams, sys::pidfd::PidFd};

/// Programs that were ordered and not forgotten.
#[derive(Debug, Default)]
pub(super) struct Table {
    programs: BTreeMap<AttemptId, Program>,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// `None` once it is dead.
    pub(super) keeper: Option<KeeperId>,
    /// Which run of its attempt, from 1 (PROTOCOL 17).
    pub(super) run: u32,
    /// From its start on, until a watch of its own needs it.
    pub(super) pidfd: Option<PidFd>,
    pub(super) streams: Option<Streams>,
    pub(super) process: Option<(Identity, Timestamp)>,
    pub(super) has_ended: bool,
    /// What is left of it a while after it was killed.
    pub(super) unkillable: Option<Unkillable>,
}

impl Program {
    pub(super) fn ordered(keeper: KeeperId, run: u32) -> Self {
        Self {
            keeper: Some(keeper),
            run,
            ..Self::default()
        }
    }

    /// It runs.
    pub(super) fn carry(&mut self, carried: Carried, process: Option<(Identity, Timestamp)>) {
        self.pidfd = Some(carried.pidfd);
        self.streams = Some(carried.streams);
        self.process = process;
    }
}

impl Table {
    pub(super) fn insert(&mut self, attempt: AttemptId, program: Program) {
        self.programs.insert(attempt, program);
    }

    pub(super) fn get_mut(&mut self, attempt: AttemptId) -> Option<&mut Program> {
        self.programs.get_mut(&attempt)
    }

    pub(super) fn remove(&mut self, attempt: AttemptId) {
        self.programs.remove(&attempt);
    }

    /// Puts in what a keeper holds, unless a later run of the same attempt is there.
    pub(super) fn adopt(&mut self, attempt: AttemptId, program: Program) {
        let known = self.programs.get(&attempt);
        if known.is_none_or(|known| known.run <= program.run) {
            self.programs.insert(attempt, program);
        }
    }

    /// Removes what a keeper is told to forget. A later run of the attempt under another keeper stays.
    pub(super) fn forget(&mut self, attempt: AttemptId, keeper: KeeperId) {
        let known = self.programs.get(&attempt);
        if known.is_some_and(|known| known.keeper.is_none_or(|its| its == keeper)) {
            self.programs.remove(&attempt);
        }
    }

    /// Which run of an attempt is held.
    pub(super) fn run(&self, attempt: AttemptId) -> Option<u32> {
        self.programs.get(&attempt).map(|program| program.run)
    }

    pub(super) fn holds(&self, attempt: AttemptId) -> bool {
        self.programs.contains_key(&attempt)
    }

    /// How many have not ended.
    pub(super) fn running(&self) -> usize {
        self.programs
            .values()
            .filter(|program| !program.has_ended)
            .count()
    }

    /// Those of a keeper that have not ended as far as we know.
    pub(super) fn of_keeper(&self, keeper: KeeperId) -> Vec<AttemptId> {
        let is_its = |program: &Program| program.keeper == Some(keeper) && !program.has_ended;
        let programs = self.programs.iter().filter(|(_, program)| is_its(program));
        programs.map(|(attempt, _)| *attempt).collect()
    }

    /// Those that were killed and are still there, at most as many as a sample has room for.
    pub(super) fn unkillable(&self) -> Vec<Unkillable> {
        let programs = self.programs.values();
        let left = programs.filter(|program| !program.has_ended);
        let named = left.filter_map(|program| program.unkillable.clone());
        named.take(UNKILLABLE_MAX).collect()
    }

    /// Whether anything of a keeper is not forgotten.
    pub(super) fn has_of_keeper(&self, keeper: KeeperId) -> bool {
        let mut programs = self.programs.values();
        programs.any(|program| program.keeper == Some(keeper))
    }

    /// Number and start time of the leader of a program, where they are known.
    pub(super) fn leader(&self, attempt: AttemptId) -> Option<(u32, u64)> {
        let (identity, _) = self.programs.get(&attempt)?.process.as_ref()?;
        Some((identity.pid, identity.start_time))
    }

    /// A descriptor of the output of a program that has not been forgotten.
    pub(super) fn stream(
        &self,
        attempt: AttemptId,
        stream: StreamName,
    ) -> Option<std::os::fd::OwnedFd> {
        let streams = self.programs.get(&attempt)?.streams.as_ref()?;
        let file = match stream {
            StreamName::Stdout => &streams.stdout,
            StreamName::Stderr => &streams.stderr,
            StreamName::Result => return None,
        };
        file.as_fd().try_clone_to_owned().ok()
    }

    /// Duplicates of both.
    pub(super) fn streams(&self, attempt: AttemptId) -> Option<Streams> {
        Some(Streams {
            stdout: self.stream(attempt, StreamName::Stdout)?,
            stderr: self.stream(attempt, StreamName::Stderr)?,
        })
    }

    pub(super) fn is_running(&self, attempt: AttemptId) -> bool {
        self.programs
            .get(&attempt)
            .is_some_and(|program| !program.has_ended)
    }
}

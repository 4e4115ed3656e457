//! Which processes run for which task.

use std::collections::{HashMap, HashSet};

use flota_model::process::{ProcessRow, ProcessTask};

/// Most ancestors that are asked: a longer chain, or a circle made by numbers that were used again
/// while they were read, ends there.
const ANCESTORS_MAX: usize = 64;

/// The programs of the agent, by the numbers of their leaders, with the start times of these.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programs(HashMap<u32, (u64, ProcessTask)>);

impl FromIterator<(u32, u64, ProcessTask)> for Programs {
    fn from_iter<T: IntoIterator<Item = (u32, u64, ProcessTask)>>(programs: T) -> Self {
        let entry = |(pid, start_time, task)| (pid, (start_time, task));
        Self(programs.into_iter().map(entry).collect())
    }
}

/// Parents and sessions of the processes of one list.
pub(super) struct Kin<'a> {
    programs: &'a Programs,
    /// The leaders of those that are of the session of one. A session has the number of its leader,
    /// which is not given away while one of the session lives.
    leaders: HashMap<u32, u32>,
    /// Numbers of leaders that belong to others by now.
    reused: HashSet<u32>,
    parents: HashMap<u32, u32>,
}

impl<'a> Kin<'a> {
    pub(super) fn of(programs: &'a Programs) -> Self {
        Self {
            programs,
            leaders: HashMap::new(),
            reused: HashSet::new(),
            parents: HashMap::new(),
        }
    }

    /// Takes in a process of the list.
    pub(super) fn meet(&mut self, row: &ProcessRow, session: u32) {
        // Most nodes run nothing of ours most of the time.
        if self.programs.0.is_empty() {
            return;
        }
        self.parents.insert(row.pid, row.parent);
        let Some((start_time, _)) = self.programs.0.get(&session) else {
            return;
        };
        if row.pid == session && row.start_time != *start_time {
            self.reused.insert(session);
        }
        self.leaders.insert(row.pid, session);
    }

    /// Writes into the rows what their processes run for.
    pub(super) fn tell(&self, rows: &mut [ProcessRow]) {
        if self.leaders.is_empty() {
            return;
        }
        for row in rows {
            row.task = self.task_of(row.pid);
        }
    }

    fn task_of(&self, pid: u32) -> Option<ProcessTask> {
        let mut next = Some(pid);
        for _ in 0..ANCESTORS_MAX {
            let pid = next?;
            if let Some(leader) = self.leaders.get(&pid)
                && !self.reused.contains(leader)
            {
                return self.programs.0.get(leader).map(|(_, task)| *task);
            }
            next = self.parents.get(&pid).copied();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use flota_model::ids::{AttemptId, JobId, TaskIndex};

    use super::*;

    fn task(job: u64) -> ProcessTask {
        ProcessTask {
            attempt: AttemptId::default(),
            job: JobId(job),
            task: TaskIndex(0),
        }
    }

    /// Rows of (number, parent, session, start time), and the jobs that they are found to be of.
    fn jobs(processes: &[(u32, u32, u32, u64)]) -> Vec<Option<u64>> {
        let programs = Programs::from_iter([(10, 500, task(1)), (20, 600, task(2))]);
        let mut kin = Kin::of(&programs);
        let mut rows: Vec<ProcessRow> = Vec::new();
        for (pid, parent, session, start_time) in processes {
            let row = ProcessRow {
                pid: *pid,
                parent: *parent,
                start_time: *start_time,
                ..ProcessRow::default()
            };
            kin.meet(&row, *session);
            rows.push(row);
        }
        kin.tell(&mut rows);
        let job = |row: &ProcessRow| row.task.map(|task| task.job.0);
        rows.iter().map(job).collect()
    }

    #[test]
    fn a_leader_its_session_and_its_descendants_are_of_its_task() {
        let found = jobs(&[
            (1, 0, 1, 1),
            (10, 1, 10, 500),
            (11, 10, 10, 501),
            (12, 1, 10, 502),
            (13, 11, 13, 503),
            (20, 1, 20, 600),
            (30, 1, 30, 700),
        ]);
        let expected = [None, Some(1), Some(1), Some(1), Some(1), Some(2), None];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_later_process_of_the_number_is_not_the_leader() {
        let found = jobs(&[(9, 1, 10, 1_000), (10, 1, 10, 999), (11, 10, 11, 1_000)]);
        assert_eq!(found, [None, None, None]);
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let found = jobs(&[(20, 1, 20, 600), (7, 8, 7, 1), (8, 7, 8, 1)]);
        assert_eq!(found, [Some(2), None, None]);
    }
}

//! What readers ask.

use std::cmp::Reverse;

use flota_model::{
    change::{AttemptRecord, GrantRecord, JobRecord, NodeRecord},
    ids::{JobId, TaskIndex},
    outcome::{Outcome, Output, Stream, StreamName},
    spec::TaskRange,
    state::{JobKind, JobPhase, TaskState},
};

use super::{
    MemoryStore,
    state::{State, order},
};
use crate::{
    history::{
        AttemptPage, AttemptPosition, AttemptSummary, AuditEntry, AuditNumber, AuditPage,
        FailureGroup, History, IllPage, JobPage, JobSummary, OutputFound, OutputSizes,
        OutputWanted, Page, StreamSize, TASK_ATTEMPTS_MAX, TaskRows, chunk_numbers, page_rows,
    },
    journal::LoadFault,
};

impl History for MemoryStore {
    fn jobs(&self, page: &JobPage) -> Result<Page<JobSummary, JobId>, LoadFault> {
        let limit = page_rows(page.limit);
        let rows = self
            .state()
            .jobs
            .values()
            .rev()
            .filter(|record| page.before.is_none_or(|before| record.job < before))
            .filter(|record| page.phase.is_none_or(|phase| record.phase == phase))
            .filter(|record| page.kind.is_none_or(|kind| record.spec.spec.kind() == kind))
            .take(limit as usize + 1)
            .map(summary)
            .collect();
        Ok(Page::cut(rows, limit, |summary| summary.job))
    }

    fn succeeded_of(&self, principal: &str) -> Result<u64, LoadFault> {
        let state = self.state();
        let has_succeeded = |record: &&JobRecord| {
            record.principal == principal
                && principal != "local"
                && record.phase == JobPhase::Finished
                && record.counts.of(TaskState::Succeeded) > 0
        };
        Ok(state.jobs.values().filter(has_succeeded).count() as u64)
    }

    fn job(&self, job: JobId) -> Result<Option<JobRecord>, LoadFault> {
        let found = self.state().jobs.get(&job).cloned();
        Ok(found.map(|record| JobRecord {
            rows: None,
            ..record
        }))
    }

    fn chunks(&self, job: JobId, tasks: TaskRange) -> Result<Vec<(u32, Vec<u8>)>, LoadFault> {
        Ok(self.state().chunks_of(job, &[tasks]))
    }

    fn attempts(
        &self,
        page: &AttemptPage,
    ) -> Result<Page<AttemptSummary, AttemptPosition>, LoadFault> {
        Ok(self.state().attempts_of(page))
    }

    fn tasks(&self, page: &AttemptPage) -> Result<TaskRows, LoadFault> {
        Ok(self.state().task_rows(page))
    }

    fn task(&self, job: JobId, task: TaskIndex) -> Result<Vec<AttemptRecord>, LoadFault> {
        Ok(self.state().task(job, task))
    }

    fn output(&self, wanted: &OutputWanted) -> Result<Option<OutputFound>, LoadFault> {
        Ok(self.state().output(wanted))
    }

    fn grants(&self, job: JobId) -> Result<Vec<GrantRecord>, LoadFault> {
        Ok(self.state().grants_of(job))
    }

    fn failures(&self, job: JobId, limit: u32) -> Result<Vec<FailureGroup>, LoadFault> {
        let mut groups = self.state().failures_of(job);
        groups.truncate(page_rows(limit) as usize);
        Ok(groups)
    }

    fn ill_jobs(&self, page: &IllPage) -> Result<Vec<JobSummary>, LoadFault> {
        Ok(self.state().ill_jobs(page))
    }

    fn nodes(&self) -> Result<Vec<NodeRecord>, LoadFault> {
        Ok(self.state().nodes.values().cloned().collect())
    }

    fn audit(&self, page: &AuditPage) -> Result<Page<AuditEntry, AuditNumber>, LoadFault> {
        let limit = page_rows(page.limit);
        let mut rows = self.state().audit_entries();
        rows.retain(|entry| page.before.is_none_or(|before| entry.number < before));
        rows.sort_by_key(|entry| Reverse(entry.number));
        Ok(Page::cut(rows, limit, |entry| entry.number))
    }
}

impl State {
    fn task(&self, job: JobId, task: TaskIndex) -> Vec<AttemptRecord> {
        let ended = self
            .attempts
            .values()
            .filter(|ended| ended.job == job && ended.task == task);
        ended.take(TASK_ATTEMPTS_MAX as usize).cloned().collect()
    }

    fn output(&self, wanted: &OutputWanted) -> Option<OutputFound> {
        let ended = self.attempts.values();
        let found = ended
            .filter(|ended| ended.job == wanted.job && ended.task == wanted.task)
            .filter(|ended| {
                wanted
                    .attempt
                    .is_none_or(|attempt| ended.attempt == attempt)
            })
            .max_by_key(|ended| (ended.counted, ended.ended_at, order(ended.attempt)))?;
        Some(OutputFound {
            attempt: found.attempt,
            node: found.node,
            counted: found.counted,
            stream: stream(found, wanted.stream),
        })
    }

    fn ill_jobs(&self, page: &IllPage) -> Vec<JobSummary> {
        let ill = self.jobs.values().rev().filter(|record| {
            record.counts.of(page.state.state()) > 0
                && record.spec.spec.kind() == JobKind::Batch
                && page.up_to.is_none_or(|up_to| record.job <= up_to)
        });
        let limit = page_rows(page.limit) as usize;
        ill.take(limit).map(summary).collect()
    }

    fn failures_of(&self, job: JobId) -> Vec<FailureGroup> {
        let mut groups: Vec<FailureGroup> = Vec::new();
        let counted = self.attempts.values();
        for row in counted.filter(|row| row.job == job && row.counted) {
            if row.outcome.is_success() || row.outcome == Outcome::Cancelled {
                continue;
            }
            let known = groups
                .iter_mut()
                .find(|group| group.outcome == row.outcome && group.node == row.node);
            if let Some(group) = known {
                group.tasks += 1;
                continue;
            }
            groups.push(FailureGroup {
                outcome: row.outcome.clone(),
                node: row.node,
                tasks: 1,
                example: row.task,
                attempt: row.attempt,
            });
        }
        groups.sort_by_key(|group| (Reverse(group.tasks), group.example));
        groups
    }

    fn grants_of(&self, job: JobId) -> Vec<GrantRecord> {
        self.grants
            .values()
            .filter(|grant| grant.job == job)
            .cloned()
            .collect()
    }

    fn task_rows(&self, page: &AttemptPage) -> TaskRows {
        TaskRows {
            chunks: self.chunks_of(page.job, &page.tasks),
            attempts: self.attempts_of(page),
        }
    }

    fn chunks_of(&self, job: JobId, tasks: &[TaskRange]) -> Vec<(u32, Vec<u8>)> {
        let Some(record) = self.jobs.get(&job) else {
            return Vec::new();
        };
        chunk_numbers(record.spec.spec.tasks, tasks)
            .into_iter()
            .flatten()
            .filter_map(|number| Some((number, self.chunks.get(&(job, number))?.clone())))
            .collect()
    }

    fn attempts_of(&self, page: &AttemptPage) -> Page<AttemptSummary, AttemptPosition> {
        let limit = page_rows(page.limit);
        let after = page.after.map(|(task, attempt)| (task, order(attempt)));
        let rows = self
            .attempts
            .values()
            .filter(|ended| ended.job == page.job)
            .filter(|ended| page.tasks.iter().any(|range| range.contains(ended.task)))
            .filter(|ended| after.is_none_or(|after| (ended.task, order(ended.attempt)) > after))
            .take(limit as usize + 1)
            .map(attempt_summary)
            .collect();
        Page::cut(rows, limit, |summary| (summary.task, summary.attempt))
    }

    fn audit_entries(&self) -> Vec<AuditEntry> {
        let entry = |(number, record): (u64, &flota_model::change::AuditRecord)| AuditEntry {
            number: AuditNumber(number),
            at: record.at,
            principal: record.principal.clone(),
            verb: record.verb.to_owned(),
            object: record.object.clone(),
            reason: record.reason.clone(),
            refused: record.refused.map(str::to_owned),
        };
        (1..).zip(&self.audit).map(entry).collect()
    }
}

fn summary(record: &JobRecord) -> JobSummary {
    let spec = &record.spec.spec;
    JobSummary {
        job: record.job,
        name: spec.name.clone(),
        priority: spec.priority,
        tasks: spec.tasks,
        spec_hash: record.spec.hash,
        principal: record.principal.clone(),
        submitted_at: record.submitted_at,
        kind: spec.kind(),
        phase: record.phase,
        counts: record.counts,
        finished_at: record.finished_at,
        control: record.control.clone(),
    }
}

fn attempt_summary(record: &AttemptRecord) -> AttemptSummary {
    let size = |name| match stream(record, name) {
        Stream::Empty => StreamSize::Empty,
        Stream::Inline(bytes) => StreamSize::Inline {
            length: bytes.len() as u64,
        },
        Stream::OnNode { length, truncated } => StreamSize::OnNode { length, truncated },
    };
    AttemptSummary {
        attempt: record.attempt,
        task: record.task,
        node: record.node,
        outcome: record.outcome.clone(),
        counted: record.counted,
        granted_at: record.granted_at,
        started_at: record.started_at,
        ended_at: record.ended_at,
        usage: record.usage,
        outputs: OutputSizes {
            stdout: size(StreamName::Stdout),
            stderr: size(StreamName::Stderr),
            result: size(StreamName::Result),
        },
    }
}

fn stream(record: &AttemptRecord, name: StreamName) -> Stream {
    let Some(output) = &record.output else {
        return Stream::Empty;
    };
    let Output {
        stdout,
        stderr,
        result,
    } = &**output;
    match name {
        StreamName::Stdout => stdout.clone(),
        StreamName::Stderr => stderr.clone(),
        StreamName::Result => result.clone(),
    }
}

//! What people need to know of a replica that is not well: why its probe failed, and what it wrote
//! last.

use flota_model::{
    ids::AttemptId,
    outcome::{Output, Stream},
    replica::{LastLines, ProbeFailure},
    units::Timestamp,
};

use crate::node::{Node, api::Effect, turn::Draft};

impl Node {
    /// A probe of a replica succeeded, or failed with that reason. The server hears of a reason once.
    pub(super) fn note_probe(
        &mut self,
        attempt: AttemptId,
        index: usize,
        reason: Option<String>,
        now: Timestamp,
    ) {
        let service = self
            .table
            .get(attempt)
            .and_then(|running| running.spec.spec.service.as_deref());
        let (Some(service), Some(replica)) = (service, self.replicas.by_attempt.get_mut(&attempt))
        else {
            return;
        };
        let (Some(spec), Ok(probe)) = (service.probes.get(index), u32::try_from(index)) else {
            return;
        };
        let before = replica.failure.as_ref().filter(|one| one.probe == probe);
        let is_news = match (&reason, before) {
            (Some(reason), before) => before.is_none_or(|before| before.detail != *reason),
            (None, before) => before.is_some(),
        };
        if is_news {
            replica.failure = reason.map(|detail| ProbeFailure {
                probe,
                purpose: spec.settings.purpose,
                detail,
                since: now,
            });
            self.replicas.changed.insert(attempt);
        }
    }

    /// A run of a crash loop ended: finds out what it wrote.
    pub(super) fn tail(&mut self, attempt: AttemptId, output: Option<&Output>, draft: &mut Draft) {
        let Some(replica) = self.replicas.by_attempt.get_mut(&attempt) else {
            return;
        };
        let run = replica.run;
        match output {
            // Captured whole.
            Some(output) => {
                let lines = LastLines {
                    run,
                    stdout: end_of(&output.stdout),
                    stderr: end_of(&output.stderr),
                };
                replica.lines = Some(lines).filter(|lines| !lines.is_empty());
            }
            None => draft.after(Effect::Tail { attempt, run }),
        }
    }

    /// After a restart of the agent what was read is read again: it is in the logs, not in the journal.
    pub(in crate::node) fn tail_loops(&self, draft: &mut Draft) {
        for (attempt, replica) in &self.replicas.by_attempt {
            let run = replica.last.as_ref().map(|last| last.run);
            if let Some(run) = run.filter(|_| replica.is_looping && replica.lines.is_none()) {
                draft.after(Effect::Tail {
                    attempt: *attempt,
                    run,
                });
            }
        }
    }

    /// What a run wrote last; of a run before that one it is no news any more.
    pub(in crate::node) fn tailed(&mut self, attempt: AttemptId, lines: LastLines) {
        let Some(replica) = self.replicas.by_attempt.get_mut(&attempt) else {
            return;
        };
        let known = replica.lines.as_ref().map_or(0, |lines| lines.run);
        if replica.is_looping && lines.run > known && lines.run <= replica.run {
            replica.lines = Some(lines).filter(|lines| !lines.is_empty());
            self.replicas.changed.insert(attempt);
        }
    }
}

fn end_of(stream: &Stream) -> String {
    match stream {
        Stream::Inline(bytes) => LastLines::end_of(bytes),
        Stream::Empty | Stream::OnNode { .. } => String::new(),
    }
}

//! What becomes of attempts that end: an outcome that is never invented, a durable report.

use flota_model::{
    ids::AttemptId,
    outcome::{Outcome, Output, Report, StartStage, Usage},
    units::{Now, Timestamp},
};

use crate::{
    journal::Record,
    keeper::api::{ChildState, End, StopReason, TAKEN_BACK, TOO_LATE},
    node::{
        Node,
        api::{Effect, KernelEnd},
        classes::{ClassId, is_leased},
        table::{Fate, Place, Running},
        turn::Draft,
    },
};

/// Longest message of a kernel that failed, in bytes.
const MESSAGE_LENGTH_MAX: usize = 1_024;

/// Of `man 7 signal`.
const SIGKILL: u8 = 9;

/// What is known of an attempt that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) outcome: Outcome,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Timestamp,
    pub(super) usage: Usage,
    pub(super) output: Option<Box<Output>>,
    /// Why it was told to stop before it ended, perhaps by an earlier start of the agent.
    pub(super) stopped: Option<StopReason>,
}

impl Fact {
    /// An end of which only the kind is known.
    pub(super) fn bare(outcome: Outcome, ended_at: Timestamp) -> Self {
        Self {
            outcome,
            started_at: None,
            ended_at,
            usage: Usage::default(),
            output: None,
            stopped: None,
        }
    }

    pub(super) fn of_end(end: End, output: Option<Box<Output>>) -> Self {
        match end {
            End::Known {
                status,
                usage,
                out_of_memory,
                started_at,
                ended_at,
                fenced,
                stopped,
            } => Self {
                outcome: match () {
                    () if fenced => Outcome::Lost,
                    () if out_of_memory => Outcome::OutOfMemory,
                    () => outcome_of(status),
                },
                started_at: Some(started_at),
                ended_at,
                usage,
                output,
                stopped: stopped.filter(|_| !fenced),
            },
            End::Unknown {
                started_at,
                found_at,
            } => Self {
                started_at,
                output,
                ..Self::bare(Outcome::Unknown, found_at)
            },
        }
    }
}

/// The outcome of a program from its wait status (`man 2 wait`; the low seven bits are the signal,
/// 0 after an exit).
fn outcome_of(status: i32) -> Outcome {
    let [low, code, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => Outcome::Exited { code },
        // Stopped or continued, not ended: `waitid` with `WEXITED` never says so.
        0x7f => Outcome::Unknown,
        signal => Outcome::Signalled { signal },
    }
}

/// The outcome of a program that was not started. It did not fail where its lease had ended before
/// its turn came, or it was taken back before (a program that ran is never `Cancelled` here).
fn outcome_of_no_start(stage: StartStage, errno: i32) -> Outcome {
    match (stage, errno) {
        (StartStage::Spawn, TOO_LATE) => Outcome::Lost,
        (StartStage::Spawn, TAKEN_BACK) => Outcome::Cancelled,
        _ => Outcome::NotStarted { stage, errno },
    }
}

/// The outcome of an attempt that was being stopped: the reason of the stop, where its end was seen.
fn judge(fate: Fate, fact: &Fact) -> Outcome {
    let natural = fact.outcome.clone();
    match (fate, natural) {
        (_, Outcome::Unknown) => Outcome::Unknown,
        // It was stopped as a stray, by an agent whose journal did not know it.
        (Fate::Open, _) if fact.stopped.is_some() => Outcome::Unknown,
        // It had ended by itself before the stop reached it: what it did then is true.
        (Fate::TimedOut, natural) if fact.stopped.is_none() => natural,
        (Fate::TimedOutUnseen, Outcome::Exited { .. } | Outcome::Signalled { .. })
            if fact.stopped.is_none() =>
        {
            Outcome::Unknown
        }
        (Fate::TimedOutUnseen, natural) if fact.stopped.is_none() => natural,
        (Fate::Open | Fate::Unhealthy | Fate::Forgotten, natural) => natural,
        (Fate::Fenced, _) => Outcome::Lost,
        (Fate::TimedOut | Fate::TimedOutUnseen, _) => Outcome::TimedOut,
        (Fate::Cancelled, _) => Outcome::Cancelled,
    }
}

impl Node {
    /// The keeper started a program.
    pub(super) fn started(&mut self, attempt: AttemptId, at: Timestamp, draft: &mut Draft) {
        let Some(running) = self.table.get_mut(attempt) else {
            return;
        };
        running.started_at = Some(at);
        running.confirmed = true;
        let (turn, timeout) = (running.turn, running.spec.spec.timeout);
        self.progress.prove(turn);
        self.replica_runs(attempt, draft.now.moment, draft.now.wall);
        // `execve` may have taken its time: the program has all of its own.
        self.table
            .rearm(attempt, timeout.map(|timeout| draft.now.moment + timeout));
        // The lease may have been renewed since the start was ordered.
        if self.table.is_fenced_by_keeper(attempt) {
            self.fence_at_keeper(attempt, draft);
        }
    }

    /// The keeper could not start a program.
    pub(super) fn not_started(
        &mut self,
        attempt: AttemptId,
        stage: StartStage,
        errno: i32,
        draft: &mut Draft,
    ) {
        let outcome = outcome_of_no_start(stage, errno);
        self.conclude(attempt, Fact::bare(outcome, draft.now.wall), draft);
    }

    /// A program and its tree ended.
    pub(super) fn ended(
        &mut self,
        attempt: AttemptId,
        end: End,
        output: Option<Box<Output>>,
        draft: &mut Draft,
    ) {
        if let (
            Some(running),
            End::Known {
                started_at,
                ended_at,
                ..
            },
        ) = (self.table.get(attempt), end)
        {
            self.paces.note(running.spec.hash, (started_at, ended_at));
        }
        self.conclude(attempt, Fact::of_end(end, output), draft);
    }

    /// A kernel ended.
    pub(super) fn kernel_ended(
        &mut self,
        attempt: AttemptId,
        end: KernelEnd,
        ran: (Timestamp, Timestamp),
        usage: Usage,
        draft: &mut Draft,
    ) {
        let mut stopped = None;
        if let Some(running) = self.table.get(attempt) {
            self.progress.prove(running.turn);
            self.paces.note(running.spec.hash, ran);
            stopped = running.fate.reason().filter(|_| end == KernelEnd::Stopped);
        }
        let (outcome, output) = match end {
            KernelEnd::Completed(output) => (Outcome::Completed, output),
            KernelEnd::Failed(message) => (
                Outcome::Failed {
                    message: shortened(message),
                },
                None,
            ),
            // Where we did not ask for it, the pool is ending: the attempt did not fail.
            KernelEnd::Stopped => (Outcome::Lost, None),
        };
        let fact = Fact {
            outcome,
            started_at: Some(ran.0),
            ended_at: ran.1,
            usage,
            output,
            stopped,
        };
        self.conclude(attempt, fact, draft);
    }

    /// Ends what a keeper listed as ended and of which the batch did not bring the output.
    pub(super) fn conclude_listed(&mut self, draft: &mut Draft) {
        for (attempt, state) in std::mem::take(&mut draft.listed_ends) {
            if let Some(fact) = fact_of_listed(state, draft.now)
                && self.table.get(attempt).is_some()
            {
                self.conclude(attempt, fact, draft);
            }
        }
    }

    /// Journals the report of an attempt that is held no more, to be sent when that is durable.
    pub(super) fn report(&mut self, report: Report, draft: &mut Draft) {
        draft.record_synced(Record::Done(report.clone()));
        draft.reports.push(report.clone());
        self.reports.insert(report);
    }

    /// The same for a kernel that may run again: it changes nothing but its report, so that a report
    /// which a power cut takes out of the journal is either settled at the server already, or made
    /// again by another run. The sync would cost a third of the time of a short task.
    fn report_unsynced(&mut self, report: Report, draft: &mut Draft) {
        draft.record(Record::Done(report.clone()));
        draft.reports.push(report.clone());
        self.reports.insert(report);
    }

    /// Settles an attempt that ended, frees what it held, and lets its keeper forget it once the
    /// report (or tombstone) is durable (PROTOCOL 22).
    pub(super) fn conclude(&mut self, attempt: AttemptId, fact: Fact, draft: &mut Draft) {
        if self.rests(attempt, &fact, draft) {
            return;
        }
        let Some(running) = self.table.remove(attempt) else {
            return self.conclude_stray(attempt, draft);
        };
        self.replicas.remove(attempt);
        self.release(running.class, attempt, draft.now);
        let fate = fate_of(&running, &fact);
        if fate == Fate::Forgotten || is_given_back(fate, &fact) {
            self.refuse_one(attempt, draft);
        } else if running.is_recorded() {
            self.report(report_of(attempt, &running, fact), draft);
        } else {
            self.report_unsynced(report_of(attempt, &running, fact), draft);
        }
        if let Some(keeper) = running.place.keeper() {
            draft.after(Effect::Forget { keeper, attempt });
        }
    }

    /// Frees what an attempt held, or passes it on to one that was handed out ahead of time: that
    /// one has all of its time from now on.
    fn release(&mut self, class: ClassId, attempt: AttemptId, now: Now) {
        if let Some(next) = self.queue.classes.release(class, attempt) {
            self.start_time_anew(next, now.moment);
        }
    }

    fn conclude_stray(&mut self, attempt: AttemptId, draft: &mut Draft) {
        let Some(stray) = self.table.remove_stray(attempt) else {
            return;
        };
        if let Some(class) = stray.class {
            self.release(class, attempt, draft.now);
        }
        if stray.asked_for {
            self.refuse_one(attempt, draft);
        }
        if let Some(keeper) = stray.place.keeper() {
            draft.after(Effect::Forget { keeper, attempt });
        }
    }
}

/// What a listed child that has ended says; `None` for one that has not.
pub(super) fn fact_of_listed(state: ChildState, now: Now) -> Option<Fact> {
    match state {
        ChildState::Waiting | ChildState::Starting | ChildState::Running { .. } => None,
        ChildState::NotStarted { stage, errno } => {
            Some(Fact::bare(outcome_of_no_start(stage, errno), now.wall))
        }
        ChildState::Ended(end) => Some(Fact::of_end(end, None)),
    }
}

/// How a run of a replica ended, and why it was stopped, if it was.
pub(super) fn judge_run(running: &Running, fact: &Fact) -> (Outcome, Fate) {
    let fate = fate_of(running, fact);
    if died_with_keeper(running, fact) {
        return (Outcome::Lost, fate);
    }
    (judge(fate, fact), fate)
}

fn report_of(attempt: AttemptId, running: &Running, fact: Fact) -> Report {
    let outcome = if died_with_keeper(running, &fact) {
        Outcome::Lost
    } else {
        judge(fate_of(running, &fact), &fact)
    };
    let started_at = fact.started_at.or(running.started_at);
    Report {
        attempt,
        job: running.job,
        task: running.task,
        spec_hash: running.spec.hash,
        outcome,
        started_at,
        // A wall clock that was set back meanwhile makes no end before the start.
        ended_at: started_at.map_or(fact.ended_at, |start| start.max(fact.ended_at)),
        usage: fact.usage,
        output: fact.output,
    }
}

/// Whether a leased program was killed because its keeper died (PROTOCOL 25), or by its keeper at the
/// deadline just before (PROTOCOL 10): both are a SIGKILL, and neither is a failure of its own.
fn died_with_keeper(running: &Running, fact: &Fact) -> bool {
    let killed = fact.outcome == Outcome::Signalled { signal: SIGKILL };
    let untold = running.fate <= Fate::Fenced && fact.stopped.is_none();
    killed && untold && running.place == Place::Orphaned && is_leased(&running.spec.spec)
}

/// Why an attempt was stopped, by this start of the agent or by an earlier one.
fn fate_of(running: &Running, fact: &Fact) -> Fate {
    running.fate.max(Fate::told(fact.stopped))
}

/// The outcome of an attempt that is not held, of which nobody remembers more than what the keeper
/// tells.
pub(super) fn outcome_as_told(fact: &Fact) -> Outcome {
    match Fate::told(fact.stopped) {
        // The server waits for a tombstone, not for an outcome.
        fate if fate == Fate::Forgotten || is_given_back(fate, fact) => Outcome::Unknown,
        fate => judge(fate, fact),
    }
}

/// Whether it was taken back before its turn came, and not because a person asked: it never started
/// here, which a tombstone says.
fn is_given_back(fate: Fate, fact: &Fact) -> bool {
    fact.outcome == Outcome::Cancelled && fate != Fate::Cancelled
}

/// At most 1 KiB of a message, cut between two characters.
fn shortened(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_LENGTH_MAX));
    message
}

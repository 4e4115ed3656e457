//! Whether an outcome is what its execution really did.

use std::time::Duration;

use flota_model::outcome::Outcome;

use crate::{
    processes::{KILL, TERM},
    script::ScriptedEnding,
    time::{Time, micros},
    truth::{Breach, Ending, Execution, Invariant, breach},
};

/// Why agents ordered a program to be stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopReasons {
    pub(crate) time: bool,
    pub(crate) person: bool,
    /// It failed its test of life.
    pub(crate) health: bool,
}

/// What is known about an attempt whose outcome is written down.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) counted: bool,
    /// The cancel of its job is committed.
    pub(crate) cancelled: bool,
    /// And it was cancelled because its time was over.
    pub(crate) job_timed_out: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) is_program: bool,
    /// It has many runs: what one of them did is not yet the outcome of the attempt.
    pub(crate) is_service: bool,
    pub(crate) stopped_for: StopReasons,
    pub(crate) execution: Option<&'a Execution>,
    pub(crate) spawned: Option<Time>,
    pub(crate) now: Time,
    pub(crate) never_ran: bool,
    /// It was killed before `execve`.
    pub(crate) never_executed: bool,
    /// Its fate may be unknowable, or its node may seem lost.
    pub(crate) excused: bool,
    pub(crate) end_seen: Option<u64>,
    pub(crate) cancel_seen: Option<u64>,
    /// Its agent died before it had passed the cancel on: it came, and did nothing.
    pub(crate) cancel_lost: bool,
}

/// Checks an outcome against the truth.
pub(crate) fn judge(outcome: &Outcome, case: &Case<'_>) -> Result<(), Breach> {
    let ending = case.execution.and_then(|execution| execution.leader_ended);
    let ended_as = |wanted: Ending| ending.is_some_and(|(_, ending)| ending == wanted);
    let scripted = |wanted: ScriptedEnding| ended_as(Ending::Scripted(wanted));
    let right = match outcome {
        Outcome::Completed => scripted(ScriptedEnding::Exit(0)),
        Outcome::Exited { code } => {
            // What a revoked attempt did when it was stopped is history only.
            let on_term = !case.counted && ended_as(Ending::ExitedOnTerm(*code));
            scripted(ScriptedEnding::Exit(*code)) || on_term
        }
        Outcome::Signalled { signal } => {
            let stopped = [TERM, KILL].contains(&i32::from(*signal))
                && ended_as(Ending::Killed(i32::from(*signal)));
            scripted(ScriptedEnding::Signal(*signal))
                || (!case.counted && stopped)
                || (*signal == 9 && (ended_as(Ending::ParentDied) || case.never_executed))
        }
        Outcome::OutOfMemory => scripted(ScriptedEnding::OutOfMemory),
        Outcome::TimedOut => {
            let own = timed_out(case) && (!case.is_program || case.stopped_for.time);
            // The time of its job was over, and its agent was told to stop it.
            let began = case.execution.is_some() || case.spawned.is_some();
            let of_job = case.job_timed_out && began;
            own || of_job && (!case.is_program || case.stopped_for.person)
        }
        Outcome::Cancelled => {
            // A replica rests after a run that no order ended: then there is nothing to stop.
            let by_itself = ending.is_some_and(|(_, ending)| !ending.is_ordered());
            let rests = case.is_service && (by_itself || case.stopped_for.health);
            let ran = case.is_program && case.execution.is_some() && !rests;
            let ordered = !ran || case.stopped_for.person;
            // A cancel that came after the backup of a restored store was obeyed all the same.
            ordered && (!case.counted || case.cancelled || case.cancel_seen.is_some())
        }
        Outcome::NotStarted { .. } => case.never_ran && case.execution.is_none(),
        Outcome::Failed { .. } => ending.is_some_and(|(_, ending)| {
            matches!(ending, Ending::Scripted(scripted) if scripted != ScriptedEnding::Exit(0))
        }),
        Outcome::Lost | Outcome::Unknown => case.excused,
    };
    if !right {
        return breach(Invariant::TrueOutcome, format!("it is not so: {case:?}"));
    }
    let (cancel_first, success_first) = match (case.cancel_seen, case.end_seen) {
        (Some(cancel), Some(end)) if !case.cancel_lost && !case.is_service => {
            (cancel < end, cancel >= end)
        }
        _ => (false, false),
    };
    if outcome.is_success() && case.cancelled && cancel_first {
        return breach(
            Invariant::CancelWins,
            format!("the cancel came first: {case:?}"),
        );
    }
    if *outcome == Outcome::Cancelled && success_first && scripted(ScriptedEnding::Exit(0)) {
        return breach(
            Invariant::CancelWins,
            format!("the success came first: {case:?}"),
        );
    }
    Ok(())
}

/// Whether its process was there for as long as allowed, on a clock that may be 1 % fast. The time
/// that `execve` takes may count or not.
fn timed_out(case: &Case<'_>) -> bool {
    let started = case.execution.map(|execution| execution.started);
    let ended = case.execution.and_then(|execution| execution.leader_ended);
    let ended = ended.map_or(case.now, |(ended, _)| ended);
    let (Some(timeout), Some(since)) = (case.timeout, case.spawned.or(started)) else {
        return false;
    };
    ended.since(since) * 1_015 / 1_000 + 10_000 >= micros(timeout)
}

#[cfg(test)]
mod tests;

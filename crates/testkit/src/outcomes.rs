//! Whether an outcome is what its execution really did.

use std::time::Duration;

use flota_model::outcome::Outcome;

use crate::{
    script::ScriptedEnding,
    time::micros,
    truth::{Breach, Ending, Execution, Invariant, breach},
};

/// What is known about an attempt whose outcome is written down.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) counted: bool,
    /// The cancel of its job is committed.
    pub(crate) cancelled: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) execution: Option<&'a Execution>,
    pub(crate) never_ran: bool,
    /// Its fate may be unknowable, or its node may seem lost.
    pub(crate) excused: bool,
    pub(crate) end_seen: Option<u64>,
    pub(crate) cancel_seen: Option<u64>,
}

/// Checks an outcome against the truth.
pub(crate) fn judge(outcome: &Outcome, case: &Case<'_>) -> Result<(), Breach> {
    let ending = case.execution.and_then(|execution| execution.leader_ended);
    let ended_as = |wanted: Ending| ending.is_some_and(|(_, ending)| ending == wanted);
    let scripted = |wanted: ScriptedEnding| ended_as(Ending::Scripted(wanted));
    let right = match outcome {
        Outcome::Completed => scripted(ScriptedEnding::Exit(0)),
        Outcome::Exited { code } => scripted(ScriptedEnding::Exit(*code)),
        Outcome::Signalled { signal } => {
            scripted(ScriptedEnding::Signal(*signal))
                || (*signal == 9 && ended_as(Ending::ParentDied))
        }
        Outcome::OutOfMemory => scripted(ScriptedEnding::OutOfMemory),
        Outcome::TimedOut => timed_out(case),
        Outcome::Cancelled => !case.counted || case.cancelled,
        Outcome::NotStarted { .. } => case.never_ran && case.execution.is_none(),
        Outcome::Failed { .. } => ending.is_some_and(|(_, ending)| {
            matches!(ending, Ending::Scripted(scripted) if scripted != ScriptedEnding::Exit(0))
        }),
        Outcome::Lost | Outcome::Unknown => case.excused,
    };
    if !right {
        return breach(Invariant::TrueOutcome, format!("it is not so: {case:?}"));
    }
    let cancel_first = match (case.cancel_seen, case.end_seen) {
        (Some(cancel), Some(end)) => cancel < end,
        _ => false,
    };
    if outcome.is_success() && case.cancelled && cancel_first {
        return breach(
            Invariant::CancelWins,
            format!("the cancel came first: {case:?}"),
        );
    }
    let success_first = case.end_seen.is_some() && case.cancel_seen.is_some() && !cancel_first;
    if *outcome == Outcome::Cancelled && success_first && scripted(ScriptedEnding::Exit(0)) {
        return breach(
            Invariant::CancelWins,
            format!("the success came first: {case:?}"),
        );
    }
    Ok(())
}

/// Whether it ran as long as allowed, on a clock that may be 1 % fast.
fn timed_out(case: &Case<'_>) -> bool {
    let (Some(timeout), Some(execution)) = (case.timeout, case.execution) else {
        return false;
    };
    let Some((ended, _)) = execution.leader_ended else {
        return false;
    };
    ended.since(execution.started) * 1_015 / 1_000 + 10_000 >= micros(timeout)
}

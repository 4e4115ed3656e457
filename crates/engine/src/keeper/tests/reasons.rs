//! Why a program was stopped, as the log and the end tell.

use super::*;

fn stop_for(reason: StopReason) -> Event {
    says(ToKeeper::Stop {
        signal: 15,
        attempt: attempt(1),
        grace: GRACE,
        reason,
    })
}

/// The reasons that the log tells, and that of the end.
fn reasons_of(events: Vec<Event>) -> (Vec<StopReason>, Option<StopReason>) {
    let mut keeper = keeper();
    keeper.handle(vec![start(1), executed(1)], at(0));
    let (mut logged, mut told) = (Vec::new(), None);
    for effect in keeper.handle(events, at(1)) {
        if let Effect::Log(LogRecord::Stopping { reason, .. }) = effect {
            logged.push(reason);
        }
        if let Effect::Log(LogRecord::Ended { end, .. }) = effect
            && let End::Known { stopped, .. } = end
        {
            told = stopped;
        }
    }
    (logged, told)
}

#[test]
fn an_end_tells_why_it_was_asked_for() {
    for reason in [
        StopReason::Stray,
        StopReason::Fenced,
        StopReason::TimedOut,
        StopReason::Cancelled,
        StopReason::Forgotten,
    ] {
        let events = vec![stop_for(reason), exited(1, 0), empty(1)];
        assert_eq!(reasons_of(events), (vec![reason], Some(reason)));
        let events = vec![exited(1, 0), stop_for(reason), empty(1)];
        assert_eq!(
            reasons_of(events),
            (vec![], None),
            "it had ended by itself before {reason:?}"
        );
    }
}

#[test]
fn a_reason_that_weighs_more_replaces_an_earlier_one_and_each_is_logged_once() {
    let (time, person) = (StopReason::TimedOut, StopReason::Cancelled);
    let ordered = [time, time, person, time, person];
    let mut events: Vec<Event> = ordered.into_iter().map(stop_for).collect();
    events.extend([exited(1, 15), empty(1)]);
    assert_eq!(reasons_of(events), (vec![time, person], Some(person)));
}

#[test]
fn a_reason_is_logged_before_the_signal() {
    check(&[
        (
            0,
            &[start(1), executed(1)],
            &["log spawning", "spawn", "log running", "started"],
        ),
        (1, &[stop(1, GRACE)], &["log stopping", "signal 15"]),
        (2, &[stop(1, GRACE)], &[]),
    ]);
}

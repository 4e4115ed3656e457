use flota_model::units::Moment;

use super::{Clock, DRIFT_MAX, Time, is_due};

/// A timer that was set for an instant at which its clock has not reached the deadline would be set
/// for that instant again, and again.
#[test]
fn at_the_time_of_a_moment_the_clock_has_reached_it_and_not_before() {
    for rate in [
        1_000_000 - DRIFT_MAX,
        999_999,
        1_000_000,
        1_000_001,
        1_000_000 + DRIFT_MAX,
    ] {
        for booted in [0, 1, 7_777_777] {
            let clock = Clock::booted(Time(booted), rate, -5_000_000);
            for moment in (1_000_001..3_000_000).step_by(997).map(Moment) {
                let time = clock.time_of(moment);
                assert!(clock.moment(time) >= moment, "{rate} {booted} {moment:?}");
                assert!(
                    clock.moment(time - 1) < moment,
                    "{rate} {booted} {moment:?}"
                );
            }
        }
    }
}

#[test]
fn a_tick_that_was_replaced_by_an_earlier_one_is_dropped() {
    let mut tick_at = Some(Time(5));
    assert!(is_due(&mut tick_at, Time(5)));
    assert_eq!(tick_at, None);
    assert!(!is_due(&mut tick_at, Time(9)), "it came already");
    tick_at = Some(Time(12));
    assert!(!is_due(&mut tick_at, Time(9)), "the next one is for later");
    assert_eq!(tick_at, Some(Time(12)));
    assert!(is_due(&mut tick_at, Time(30)), "its machine stood still");
}

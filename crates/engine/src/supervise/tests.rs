use std::time::Duration;

use flota_model::{
    outcome::Outcome,
    service::{ProbeNumber, ProbeResult, ProbeSettings, Purpose, RestartPolicy, RestartSettings},
    units::Moment,
};

use super::{
    probe::{self, Probe, Step},
    restart::{self, BeforeBoot, Restarts, Run, Verdict},
};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Moment {
    Moment(seconds * 1_000_000)
}

fn run(started: u64, ended: u64, code: u8) -> Run {
    let outcome = Outcome::Exited { code };
    Run {
        started_at: at(started),
        ended_at: at(ended),
        outcome,
        is_unhealthy: false,
    }
}

fn settings(policy: RestartPolicy) -> RestartSettings {
    RestartSettings {
        policy,
        ..RestartSettings::default()
    }
}

/// The longest delay after each of these runs.
fn delays(settings: &RestartSettings, runs: &[Run]) -> Vec<u64> {
    let mut restarts = Restarts::default();
    let delays = runs
        .iter()
        .map(|run| match restarts.ended(settings, run, u64::MAX) {
            Verdict::Restart { at, .. } => at.since(run.ended_at).as_micros().div_ceil(1_000_000),
            Verdict::Finished { .. } => panic!("it restarts"),
        });
    delays
        .map(|seconds| u64::try_from(seconds).unwrap())
        .collect()
}

#[test]
fn the_policy_decides_whether_a_service_runs_again() {
    use RestartPolicy::{Always, Never, OnFailure, UnlessStopped};
    let cases = [
        (Never, 0, Some(false)),
        (Never, 1, Some(true)),
        (OnFailure, 0, Some(false)),
        (OnFailure, 1, None),
        (Always, 0, None),
        (Always, 1, None),
        (UnlessStopped, 0, None),
        (UnlessStopped, 1, None),
    ];
    for (policy, code, finished) in cases {
        let verdict = Restarts::default().ended(&settings(policy), &run(0, 5, code), 0);
        let expected = finished.map_or(
            Verdict::Restart {
                at: at(5),
                is_crash_loop: false,
            },
            |failed| Verdict::Finished { failed },
        );
        assert_eq!(verdict, expected, "{policy:?} after {code}");
    }
}

#[test]
fn after_a_boot_the_policy_and_what_was_before_decide() {
    use BeforeBoot::{Finished, Running, Stopped};
    let cases = [
        (RestartPolicy::Never, [false, false, false]),
        (RestartPolicy::OnFailure, [true, false, false]),
        (RestartPolicy::Always, [true, true, true]),
        (RestartPolicy::UnlessStopped, [true, false, true]),
    ];
    for (policy, expected) in cases {
        let starts =
            [Running, Stopped, Finished].map(|last| restart::starts_after_boot(policy, last));
        assert_eq!(starts, expected, "{policy:?}");
    }
}

#[test]
fn exit_codes_can_be_successes() {
    let settings = RestartSettings {
        success_codes: [0, 143].into(),
        ..settings(RestartPolicy::OnFailure)
    };
    let verdict = Restarts::default().ended(&settings, &run(0, 1, 143), 0);
    assert_eq!(verdict, Verdict::Finished { failed: false });
    assert!(!restart::is_success(
        &settings,
        &Outcome::Signalled { signal: 15 }
    ));
    assert!(!restart::is_success(&settings, &Outcome::Unknown));
}

#[test]
fn the_longest_delay_doubles_up_to_its_bound_and_begins_anew_after_a_stable_run() {
    let settings = RestartSettings {
        backoff_max: SECOND * 20,
        ..settings(RestartPolicy::OnFailure)
    };
    let failures: Vec<Run> = (0..40)
        .map(|step| run(step * 10, step * 10 + 1, 1))
        .collect();
    assert_eq!(delays(&settings, &failures)[..7], [1, 2, 4, 8, 16, 20, 20]);
    assert_eq!(delays(&settings, &failures)[39], 20);
    let stable = [run(0, 1, 1), run(1, 2, 1), run(2, 62, 1), run(62, 63, 1)];
    assert_eq!(delays(&settings, &stable), [1, 2, 1, 2]);
}

#[test]
fn the_delay_is_drawn_between_nothing_and_the_longest() {
    let settings = settings(RestartPolicy::Always);
    let delay = |draw| {
        let Verdict::Restart { at: next, .. } =
            Restarts::default().ended(&settings, &run(0, 1, 1), draw)
        else {
            panic!("it restarts")
        };
        next.since(at(1))
    };
    assert_eq!(delay(0), Duration::ZERO);
    assert_eq!(delay(u64::MAX / 2), Duration::from_micros(499_999));
    assert!(delay(u64::MAX) < SECOND);
}

#[test]
fn many_failures_within_the_window_are_a_crash_loop() {
    let settings = RestartSettings {
        loop_failures: 3,
        loop_window: SECOND * 100,
        ..settings(RestartPolicy::Always)
    };
    let loops = |runs: &[Run]| {
        let mut restarts = Restarts::default();
        let verdicts: Vec<bool> = runs
            .iter()
            .map(|run| {
                let verdict = restarts.ended(&settings, run, 0);
                matches!(
                    verdict,
                    Verdict::Restart {
                        is_crash_loop: true,
                        ..
                    }
                )
            })
            .collect();
        verdicts
    };
    let quick = [run(0, 1, 1), run(1, 2, 1), run(2, 3, 1), run(3, 4, 1)];
    assert_eq!(loops(&quick), [false, false, true, true]);
    let spread = [run(0, 1, 1), run(60, 61, 1), run(110, 111, 1)];
    assert_eq!(loops(&spread), [false, false, false]);
    let broken = [run(0, 1, 1), run(1, 2, 1), run(2, 3, 0), run(3, 4, 1)];
    assert_eq!(
        loops(&broken),
        [false, false, false, false],
        "a success in between"
    );
}

#[test]
fn the_memory_of_failures_is_bounded() {
    let settings = RestartSettings {
        loop_failures: 1_000,
        ..settings(RestartPolicy::Always)
    };
    let mut restarts = Restarts::default();
    let mut verdict = Verdict::Finished { failed: false };
    for _ in 0..500 {
        verdict = restarts.ended(&settings, &run(1, 2, 1), 0);
    }
    assert!(
        matches!(
            verdict,
            Verdict::Restart {
                is_crash_loop: true,
                ..
            }
        ),
        "at most 100 count"
    );
    assert!(format!("{restarts:?}").matches("Moment(").count() <= 100);
}

fn probe(purpose: Purpose) -> Probe {
    let settings = ProbeSettings {
        purpose,
        start_delay: SECOND * 10,
        interval: SECOND * 5,
        timeout: SECOND * 2,
        success_threshold: 2,
        failure_threshold: 3,
    };
    Probe::new(settings, at(0))
}

/// Probes as soon as it is due, with these results; what follows from each.
fn results(probe: &mut Probe, results: &[ProbeResult]) -> Vec<Option<Step>> {
    let steps = results.iter().map(|result| {
        let due = probe.deadline().expect("a next probe");
        let Some(Step::Begin(number)) = probe.tick(due) else {
            panic!("a probe begins")
        };
        probe.result(number, *result, due + SECOND)
    });
    steps.collect()
}

const GOOD: ProbeResult = ProbeResult::Connected;
const BAD: ProbeResult = ProbeResult::Failed;

#[test]
fn readiness_follows_the_thresholds() {
    let mut probe = probe(Purpose::Readiness);
    assert!(!probe.is_up());
    assert_eq!(results(&mut probe, &[GOOD, BAD, GOOD]), [None; 3]);
    assert_eq!(
        results(&mut probe, &[GOOD, GOOD]),
        [Some(Step::Ready), None]
    );
    assert!(probe.is_up());
    assert_eq!(results(&mut probe, &[BAD, BAD, GOOD, BAD, BAD]), [None; 5]);
    assert_eq!(
        results(&mut probe, &[BAD, BAD]),
        [Some(Step::NotReady), None]
    );
    assert!(!probe.is_up());
    assert_eq!(
        results(&mut probe, &[GOOD, GOOD]),
        [None, Some(Step::Ready)]
    );
}

#[test]
fn a_service_that_was_never_ready_is_not_told_to_be_unready() {
    let mut probe = probe(Purpose::Readiness);
    assert_eq!(results(&mut probe, &[BAD; 5]), [None; 5]);
    assert!(!probe.is_up());
}

#[test]
fn liveness_asks_for_one_restart() {
    let mut probe = probe(Purpose::Liveness);
    assert!(probe.is_up(), "alive until shown otherwise");
    assert_eq!(results(&mut probe, &[GOOD, GOOD, BAD, BAD]), [None; 4]);
    assert_eq!(results(&mut probe, &[BAD]), [Some(Step::Restart)]);
    assert!(!probe.is_up());
    assert_eq!(probe.deadline(), None);
    assert_eq!(probe.tick(at(1_000_000)), None);
}

#[test]
fn probes_begin_after_the_delay_and_follow_at_the_interval() {
    let mut probe = probe(Purpose::Readiness);
    assert_eq!(probe.tick(at(9)), None);
    assert_eq!(probe.deadline(), Some(at(10)));
    let Some(Step::Begin(number)) = probe.tick(at(10)) else {
        panic!("a probe begins")
    };
    assert_eq!(probe.tick(at(11)), None, "one at a time");
    probe.result(number, GOOD, at(11));
    assert_eq!(probe.deadline(), Some(at(16)));
}

#[test]
fn a_probe_without_a_result_has_failed_and_its_late_result_is_ignored() {
    let mut probe = probe(Purpose::Liveness);
    let mut late: Option<ProbeNumber> = None;
    for round in 0..3_u64 {
        let begin = at(10 + round * 7);
        let Some(Step::Begin(number)) = probe.tick(begin) else {
            panic!("a probe begins")
        };
        if let Some(late) = late.replace(number) {
            assert_eq!(probe.result(late, GOOD, begin), None);
        }
        let timeout = begin + SECOND * 2;
        assert_eq!(probe.deadline(), Some(timeout));
        let step = probe.tick(timeout);
        assert_eq!(step, (round == 2).then_some(Step::Restart), "round {round}");
    }
}

#[test]
fn results_mean_what_their_protocol_says() {
    let cases = [
        (ProbeResult::Http { status: 199 }, false),
        (ProbeResult::Http { status: 200 }, true),
        (ProbeResult::Http { status: 399 }, true),
        (ProbeResult::Http { status: 404 }, false),
        (ProbeResult::Connected, true),
        (ProbeResult::Exited { code: 0 }, true),
        (ProbeResult::Exited { code: 1 }, false),
        (ProbeResult::Failed, false),
    ];
    for (result, expected) in cases {
        assert_eq!(probe::is_success(result), expected, "{result:?}");
    }
}

use std::{collections::BTreeMap, sync::mpsc::RecvTimeoutError, time::Duration};

use crate::{KernelFault, Stop, check, names, run};

/// Parameters as written in the tests.
type Pairs = &'static [(&'static str, &'static str)];

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn refusal(name: &str, pairs: &[(&str, &str)]) -> String {
    check(name, &parameters(pairs))
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn noop_returns_nothing() {
    assert_eq!(run("noop", &parameters(&[]), &Stop::new()), Ok(Vec::new()));
}

#[test]
fn sleep_returns_after_its_time() {
    assert_eq!(
        run("sleep", &parameters(&[("milliseconds", "1")]), &Stop::new()),
        Ok(Vec::new())
    );
}

#[test]
fn a_stop_frees_a_sleeping_kernel() {
    let stop = Stop::new();
    let result = std::thread::scope(|scope| {
        let sleeper =
            scope.spawn(|| run("sleep", &parameters(&[("milliseconds", "600000")]), &stop));
        stop.raise();
        sleeper.join().expect("the kernel does not panic")
    });
    assert_eq!(result, Err(KernelFault::Stopped));
}

/// Far above the 20 ms that are promised, so that a loaded machine does not fail the test, and far
/// below the hours that the kernels would run on.
const FREED_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_stop_frees_a_computing_kernel_that_would_run_for_hours() {
    let julia = [
        "width=4096",
        "height=4096",
        "iterations=1000000",
        "c_re=0",
        "c_im=0",
    ];
    let window = ["x0=-0.5", "x1=0.5", "y0=-0.5", "y1=0.5"];
    let julia = |variant| [&julia[..], &window[..], &[variant][..]].concat();
    let calls = [
        ("julia", julia("variant=scalar")),
        ("julia", julia("variant=vector")),
        ("julia", julia("variant=parallel")),
        ("arithmetic", vec!["operation=primes", "n=100000000000"]),
        ("arithmetic", vec!["operation=pi", "n=1000000000000"]),
    ];
    for (name, pairs) in calls {
        let pairs = pairs
            .iter()
            .map(|pair| pair.split_once('=').expect("name=value"));
        let call = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        freed_by_a_stop(name, &call);
    }
}

fn freed_by_a_stop(name: &str, call: &BTreeMap<String, String>) {
    let stop = Stop::new();
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(run(name, call, &stop)));
        let early = receiver.recv_timeout(Duration::from_millis(30));
        assert_eq!(
            early,
            Err(RecvTimeoutError::Timeout),
            "{name} {call:?} ended by itself"
        );
        stop.raise();
        assert_eq!(
            receiver.recv_timeout(FREED_WITHIN),
            Ok(Err(KernelFault::Stopped)),
            "{name} {call:?}"
        );
    });
}

#[test]
fn a_raised_stop_does_not_wait_at_all() {
    let stop = Stop::new();
    stop.raise();
    assert!(stop.wait(Duration::from_mins(10)));
}

#[test]
fn bad_calls_are_refused_with_their_reason() {
    let cases: &[(&str, Pairs, &str)] = &[
        (
            "slep",
            &[],
            "there is no kernel `slep`; did you mean `sleep`?",
        ),
        ("fly", &[], "there is no kernel `fly`"),
        (
            "noop",
            &[("x", "1")],
            "parameter `x` is not known to this kernel; it takes none",
        ),
        (
            "sleep",
            &[],
            "parameter `milliseconds` is missing; give a number from 0 to 604800000",
        ),
        (
            "sleep",
            &[("miliseconds", "5")],
            "parameter `milliseconds` is missing; did you mean it by `miliseconds`?",
        ),
        (
            "sleep",
            &[("milliseconds", "-1")],
            "parameter `milliseconds` must be a number from 0 to 604800000, not `-1`",
        ),
        (
            "sleep",
            &[("milliseconds", "604800001")],
            "parameter `milliseconds` must be a number from 0 to 604800000, not `604800001`",
        ),
        (
            "sleep",
            &[("milliseconds", "1"), ("miliseconds", "2")],
            "parameter `miliseconds` is not known to this kernel; did you mean `milliseconds`?",
        ),
    ];
    for (name, pairs, expected) in cases {
        assert_eq!(refusal(name, pairs), *expected);
    }
}

#[test]
fn names_are_sorted_and_each_is_known() {
    assert!(names().is_sorted());
    for name in names() {
        let fault = check(name, &parameters(&[]));
        assert!(
            !matches!(fault, Err(KernelFault::Unknown { .. })),
            "{name} is not known"
        );
    }
}

//! Many seeds through the simulator.
//!
//! `FLOTA_SEED=n` replays one (with `FLOTA_LINES=n` lines of its trace); `FLOTA_SEEDS=n` runs n of them, `FLOTA_SEEDS=first..last` those.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is one")]
#![expect(
    clippy::print_stdout,
    reason = "a failing seed is told to whoever runs the tests"
)]

use std::ops::Range;

use flota_testkit::{Options, Switch, simulate, trace};

/// Seeds of the test suite, run in four parts side by side.
const SEEDS: u64 = 600;
const PARTS: u64 = 4;

/// Each broke an invariant once, of the engine or of the simulator itself; the story of each is in the
/// commit that mended it. What a seed draws changes with what is simulated, so each has, where that can
/// be, a test of its own beside what was mended.
const FAILED_ONCE: [(u64, &str); 6] = [
    (3_505, "a start that nobody saw was told"),
    (13_968, "a replica that came up was starting for ever"),
    (1_437, "cancelled while it rested: its keeper had died"),
    (16_633, "the same with the power, and a boot forgotten"),
    (1_873, "a run was told to have ended as the one before"),
    (8_956, "granted in ignorance of a power cut"),
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn number_of(text: &str) -> u64 {
    text.parse()
        .expect("FLOTA_SEEDS is a number or two of them")
}

fn seeds() -> Range<u64> {
    if let Some(seed) = number("FLOTA_SEED") {
        return seed..seed + 1;
    }
    let text = std::env::var("FLOTA_SEEDS").unwrap_or_default();
    if let Some((first, last)) = text.split_once("..") {
        return number_of(first)..number_of(last);
    }
    0..text.parse().unwrap_or(SEEDS)
}

fn check(part: u64) {
    let mut failures = 0;
    let (mut steps, mut starts) = (0, 0);
    for seed in seeds().filter(|seed| seed % PARTS == part) {
        let lines = number("FLOTA_LINES").map_or(0, |lines| usize::try_from(lines).unwrap_or(0));
        let options = Options {
            lines,
            ..Options::default()
        };
        match simulate(seed, options) {
            Ok(summary) => {
                steps += summary.steps;
                starts += summary.starts;
            }
            Err(failure) => {
                failures += 1;
                println!("{failure}\n");
            }
        }
    }
    println!("part {part}: {steps} steps, {starts} executions, {failures} failures");
    assert_eq!(failures, 0, "seeds that break an invariant");
}

#[test]
fn no_seed_of_the_first_part_breaks_an_invariant() {
    check(0);
}

#[test]
fn no_seed_of_the_second_part_breaks_an_invariant() {
    check(1);
}

#[test]
fn no_seed_of_the_third_part_breaks_an_invariant() {
    check(2);
}

#[test]
fn no_seed_of_the_fourth_part_breaks_an_invariant() {
    check(3);
}

#[test]
fn what_failed_once_does_not_fail_again() {
    for (seed, story) in FAILED_ONCE {
        if let Err(failure) = simulate(seed, Options::default()) {
            panic!("{failure}\n{story}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_trace_every_time() {
    for seed in seeds().take(20) {
        let first = simulate(seed, Options::default()).map_err(|failure| failure.detail);
        let second = simulate(seed, Options::default()).map_err(|failure| failure.detail);
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn a_seed_that_fails_replays_byte_for_byte() {
    let options = Options {
        sabotage: Some(Switch::ReplyBeforeEarlierCommit),
        lines: 100_000,
    };
    let failing = (0..200).find_map(|seed| simulate(seed, options).err());
    let failure = failing.expect("a broken rule is noticed");
    let again = simulate(failure.seed, options).expect_err("it fails again");
    assert_eq!(failure.to_string(), again.to_string());
    assert_eq!(failure.tail, trace(failure.seed, options));
    assert!(
        failure
            .to_string()
            .contains(&format!("FLOTA_SEED={}", failure.seed))
    );
}

#[test]
fn a_seed_that_does_not_fail_replays_byte_for_byte() {
    let options = Options {
        lines: 100_000,
        ..Options::default()
    };
    for seed in seeds().take(10) {
        let first = trace(seed, options);
        assert!(!first.is_empty());
        assert!(first == trace(seed, options), "seed {seed}");
    }
}

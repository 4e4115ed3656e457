use std::{collections::BTreeMap, time::Duration};

use flota_model::units::Moment;
use flota_wire::rest::Job;

use super::{Progress, Tally, bar, time_left};
use crate::render::{Style, tests::screen};

fn tally(total: u64, ended: u64, succeeded: u64, granted: u64) -> Tally {
    Tally {
        total,
        ended,
        succeeded,
        granted,
    }
}

#[test]
fn the_tally_counts_terminal_states() {
    let counts = [
        ("waiting", 1),
        ("succeeded", 4),
        ("dead", 1),
        ("skipped", 1),
        ("blocked", 0),
        ("granted", 3),
    ];
    let job = Job {
        id: 1,
        name: "x".into(),
        principal: "local".into(),
        kind: "batch".into(),
        phase: "active".into(),
        priority: 2,
        first: 5,
        last: 14,
        tasks: BTreeMap::from(counts.map(|(word, tasks)| (word.to_owned(), tasks))),
        submitted_at: 0.0,
        finished_at: None,
        paused: None,
        ending: None,
        spec: None,
        unkillable: Vec::new(),
    };
    assert_eq!(Tally::of(&job), tally(10, 6, 4, 3));
    assert_eq!(Tally::of(&job).bad(), 2);
}

#[test]
fn the_time_left_follows_the_rate_of_this_wait() {
    let second = Duration::from_secs(1);
    let check = |done: Tally, before, expected: Option<u64>| {
        let left = time_left(done, before, second * 10);
        assert_eq!(left, expected.map(Duration::from_secs), "{done:?}");
    };
    check(tally(100, 50, 50, 1), 0, Some(10));
    // Those that ended before the wait say nothing about its rate.
    check(tally(100, 50, 50, 1), 40, Some(50));
    check(tally(100, 50, 50, 1), 50, None);
    check(tally(100, 100, 100, 0), 0, None);
}

#[test]
fn the_bar_is_full_at_the_end_only() {
    assert_eq!(bar(tally(0, 0, 0, 0)), format!("[{}]", ".".repeat(24)));
    assert_eq!(
        bar(tally(1000, 999, 0, 0)),
        format!("[{}.]", "#".repeat(23))
    );
    assert_eq!(bar(tally(3, 3, 3, 0)), format!("[{}]", "#".repeat(24)));
}

#[test]
fn without_a_terminal_there_is_one_line_in_ten_seconds() {
    let (mut screen, _, told) = screen(Style::default());
    let mut progress = Progress::new(&screen, Moment(0));
    for second in 0..25 {
        let now = Moment(second * 1_000_000);
        progress.show(&mut screen, tally(100, second * 2, second, 4), now);
    }
    progress.clear(&mut screen);
    let expected = "20 of 100 ended, 4 on nodes, 10 did not succeed, about 40.0s left\n\
                    40 of 100 ended, 4 on nodes, 20 did not succeed, about 30.0s left\n";
    assert_eq!(told.text(), expected);
}

#[test]
fn on_a_terminal_the_bar_is_redrawn_and_taken_away() {
    let (mut screen, _, told) = screen(Style {
        bar: true,
        ..Style::default()
    });
    let mut progress = Progress::new(&screen, Moment(0));
    progress.show(&mut screen, tally(2, 0, 0, 0), Moment(0));
    progress.show(&mut screen, tally(2, 1, 1, 1), Moment(3_000_000));
    progress.clear(&mut screen);
    let expected = "\r[........................] 2 tasks in the queue, none on a node yet\u{1b}[K\
                    \r[############............] 1 of 2 ended, 1 on nodes, 0 did not succeed, \
                    about 3.0s left\u{1b}[K\r\u{1b}[K";
    assert_eq!(told.text(), expected);
}

#[test]
fn a_quiet_wait_tells_nothing() {
    let (mut screen, _, told) = screen(Style {
        bar: true,
        quiet: true,
        ..Style::default()
    });
    let mut progress = Progress::new(&screen, Moment(0));
    progress.show(&mut screen, tally(2, 1, 1, 1), Moment(30_000_000));
    progress.clear(&mut screen);
    assert_eq!(told.text(), "");
}

//! Parts of the measurements.

use std::{collections::BTreeMap, path::Path};

use flota_wire::rest;

use super::{
    baseline,
    clock::rank,
    disk, list,
    report::Report,
    sample::{Expected, verify},
    usage,
};

const EXPECTED: Expected = Expected {
    state: "succeeded",
    outcome: "exited",
    exit_code: Some(0),
    run: (100.0, 101.0),
};

fn task() -> rest::Task {
    rest::Task {
        index: 3,
        state: "succeeded".into(),
        attempts: vec![rest::Attempt {
            id: "1-00000000000000aa-4".into(),
            node: 1,
            outcome: "exited".into(),
            exit_code: Some(0),
            signal: None,
            stage: None,
            errno: None,
            message: None,
            counted: true,
            granted_at: 100.1,
            started_at: Some(100.2),
            ended_at: 100.3,
            user_seconds: 0.0,
            system_seconds: 0.0,
            memory_bytes_max: None,
            outputs: BTreeMap::new(),
            truncated: Vec::new(),
        }],
    }
}

#[test]
fn a_sample_must_have_one_outcome_the_expected_one_and_times_inside_the_run() {
    type Change = fn(&mut rest::Task);
    verify(&task(), &EXPECTED).unwrap();
    let wrong: [(&str, Change); 8] = [
        ("no attempt", |task| task.attempts.clear()),
        ("two attempts", |task| {
            task.attempts.push(task.attempts[0].clone());
        }),
        ("a state", |task| task.state = "failed".into()),
        ("an attempt that does not count", |task| {
            task.attempts[0].counted = false;
        }),
        ("an outcome", |task| {
            task.attempts[0].outcome = "lost".into();
        }),
        ("an exit code", |task| task.attempts[0].exit_code = Some(1)),
        ("no start", |task| task.attempts[0].started_at = None),
        ("an end after the run", |task| {
            task.attempts[0].ended_at = 101.2;
        }),
    ];
    for (what, change) in wrong {
        let mut task = task();
        change(&mut task);
        assert!(verify(&task, &EXPECTED).is_err(), "{what} passed");
    }
}

#[test]
fn a_report_is_one_flat_object_in_its_order() {
    let report = Report::new("noop")
        .with("tasks", 7)
        .measured("seconds", 1.000_04)
        .rate("tasks_per_second", 6.6)
        .with("baseline_name", "sqlite");
    let expected = r#"{"bench":"noop","tasks":7,"seconds":1.0,"tasks_per_second":7.0,"baseline_name":"sqlite"}"#;
    assert_eq!(report.json(), expected);
}

#[test]
fn a_rank_is_the_nearest_one() {
    let values: Vec<u32> = (1..=200).rev().collect();
    assert_eq!((rank(&values, 50), rank(&values, 99)), (100, 198));
    assert_eq!(rank(&[5], 1), 5);
}

#[test]
fn memory_is_no_disk() {
    assert!(disk::is_in_memory(Path::new("/dev/shm")).unwrap());
    assert!(!disk::is_in_memory(Path::new("/proc")).unwrap());
}

#[test]
fn the_baselines_run() {
    let folder = tempfile::tempdir().unwrap();
    assert!(baseline::sqlite_alone(folder.path(), 250, 100).unwrap() > 0.0);
    let job = serde_json::json!({"name": "x", "tasks": "0-9", "kernel": {"name": "noop"}});
    assert!(baseline::job_alone(folder.path(), &job).unwrap() > 0.0);
    assert!(baseline::spawn_alone("/bin/true", 3, 2).unwrap() > 0.0);
    assert!(baseline::spawn_alone("/bin/false", 1, 1).is_err());
    let mut appends = baseline::Appends::new(folder.path()).unwrap();
    assert!(appends.append().unwrap() > 0.0);
}

#[test]
fn the_bare_loop_sees_what_was_started_and_nothing_of_it_is_left() {
    let before = list::read(&["stat"]).unwrap();
    let sleepers = list::Sleepers::start(50).unwrap();
    // Others come and go on this machine, but not fifty at once.
    assert!(list::read(&["stat", "status", "cmdline"]).unwrap() > before + 25);
    drop(sleepers);
    assert!(list::read(&["stat"]).unwrap() < before + 25);
}

#[test]
fn this_process_has_memory_and_used_processor_time() {
    let own = std::process::id();
    assert!(usage::resident(own).unwrap() > 1 << 20);
    let folder = tempfile::tempdir().unwrap();
    let usage = usage::of_fleet(Some(own), &[], folder.path()).unwrap();
    assert_eq!((usage.agents, usage.keepers), (0.0, 0.0));
}

//! Stops of trees that would rather go on.

use std::io::Read as _;

use flota_engine::policy::Foreign;
use flota_model::policy::Rule;

use super::*;
use crate::testing::{Frozen, is_root};

/// A shell that has written its first byte, so that it has started all that it starts at once.
fn shell(leader: &str, script: &str) -> Program {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that nobody of Flota started"
    )]
    let mut command = Command::new(leader);
    if leader == "setsid" {
        command.arg("/bin/sh");
    }
    command.args(["-c", script]).stdin(Stdio::null());
    let mut child = Program(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut byte = [0];
    let output = child.0.stdout.as_mut().unwrap();
    output.read_exact(&mut byte).unwrap();
    child
}

/// Processes with this in their command line that have not ended.
fn left(mark: &str) -> usize {
    let list = processes()
        .list(Columns::Full, &Programs::default())
        .unwrap();
    let is_left = |row: &&ProcessRow| {
        let command = row.command.as_deref().unwrap_or("");
        row.state != 'Z' && command == format!("sleep {mark}")
    };
    list.rows.iter().filter(is_left).count()
}

/// A number for `sleep` that nobody else has.
fn mark(number: u32) -> String {
    format!("{}{number}", std::process::id() + 1_000_000)
}

fn stopped(processes: u32, killed: bool) -> Answer {
    Answer::Stopped { processes, killed }
}

#[test]
fn a_process_that_was_stopped_hears_the_signal_all_the_same() {
    let mark = mark(1);
    let child = shell("/bin/sh", &format!("echo; exec sleep {mark}"));
    let target = ProcessTarget::Handle(handle_of(child.0.id()));
    signal(target, libc::SIGSTOP).unwrap();
    let is_stopped = |row: &ProcessRow| row.state == 'T';
    row_once(&processes(), child.0.id(), is_stopped);
    assert_eq!(stop(child.0.id(), PATIENCE), Ok(stopped(1, false)));
}

#[test]
fn one_that_lost_its_parent_is_found_by_its_session() {
    let mark = mark(2);
    // The inner shell ends at once: its child belongs to whoever takes in orphans.
    let script = format!("(sleep {mark} & echo); exec sleep {mark}");
    let child = shell("setsid", &script);
    let deadline = clock::moment() + PATIENCE;
    while left(&mark) < 2 {
        assert!(clock::moment() < deadline, "they did not start");
    }
    assert_eq!(stop(child.0.id(), PATIENCE), Ok(stopped(2, false)));
    assert_eq!(left(&mark), 0);
}

#[test]
fn others_of_the_session_of_an_ancestor_are_left_alone() {
    let mark = mark(3);
    // Two children of one session: the first one is stopped, which does not lead the session.
    let script = format!("sleep {mark} & sleep {mark} & echo; wait");
    let leader = shell("setsid", &script);
    let pid = leader.0.id();
    let deadline = clock::moment() + PATIENCE;
    while left(&mark) < 2 {
        assert!(clock::moment() < deadline, "they did not start");
    }
    let list = processes()
        .list(Columns::Basic, &Programs::default())
        .unwrap();
    let child = list.rows.iter().find(|row| row.parent == pid).unwrap().pid;
    assert_eq!(stop(child, PATIENCE), Ok(stopped(1, false)));
    assert_eq!(left(&mark), 1);
    assert!(matches!(
        stop(pid, PATIENCE),
        Ok(Answer::Stopped { processes: 2, .. })
    ));
}

#[test]
fn one_in_a_session_of_its_own_and_one_that_listens_to_nothing_end_too() {
    let mark = mark(4);
    let script =
        format!("trap '' TERM; setsid sleep {mark} & sleep {mark} & echo; while :; do wait; done");
    let child = shell("/bin/sh", &script);
    let deadline = clock::moment() + PATIENCE;
    while left(&mark) < 2 {
        assert!(clock::moment() < deadline, "they did not start");
    }
    assert_eq!(
        stop(child.0.id(), Duration::from_millis(50)),
        Ok(stopped(3, true))
    );
    assert_eq!(left(&mark), 0);
}

#[test]
fn a_tree_that_keeps_forking_is_stopped_whole() {
    let mark = mark(5);
    let script = format!("trap '' TERM; echo; while :; do sleep {mark} & sleep 0.01; done");
    let child = shell("/bin/sh", &script);
    let result = stop(child.0.id(), Duration::from_millis(300));
    assert!(
        matches!(result, Ok(Answer::Stopped { killed: true, .. })),
        "{result:?}"
    );
    assert_eq!(left(&mark), 0);
}

#[test]
fn one_that_the_kernel_holds_is_said_to_be_unkillable() {
    let mut child = shell("/bin/sh", &format!("echo; exec sleep {}", mark(6)));
    let pid = child.0.id();
    let handle = handle_of(pid);
    let Some(frozen) = Frozen::new("stop", pid) else {
        return;
    };
    let target = ProcessTarget::Handle(handle);
    let result = signal::stop((boot(), &Policy::usual(true)), target, Duration::ZERO);
    let expected = AskFault::Alive {
        processes: 1,
        pid,
        in_kernel: true,
    };
    assert_eq!(result, Err(expected));
    frozen.thaw();
    child.0.wait().unwrap();
}

#[test]
fn a_tree_with_one_that_the_policy_protects_is_left_alone() {
    if !is_root() {
        return;
    }
    let mark = mark(7);
    let switch = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let mut child = shell("/bin/sh", &format!("{switch} sleep {mark} & echo; wait"));
    let leader = child.0.id();
    let is_other = |row: &ProcessRow| row.user.as_deref().is_some_and(|user| user != "root");
    let looked = || {
        let all = processes()
            .list(Columns::Full, &Programs::default())
            .unwrap();
        all.rows
            .into_iter()
            .find(|row| row.parent == leader && is_other(row))
    };
    let deadline = clock::moment() + PATIENCE;
    let below = loop {
        if let Some(row) = looked() {
            break row.pid;
        }
        assert!(clock::moment() < deadline, "nobody of another user came up");
    };
    let policy = Policy {
        foreign: Foreign::OwnUser,
        ..Policy::usual(true)
    };
    let target = ProcessTarget::Handle(handle_of(leader));
    let refused = AskFault::Refused {
        rule: Rule::Signals,
        pid: below,
    };
    let result = signal::stop((boot(), &policy), target, PATIENCE);
    assert_eq!(result, Err(refused));
    assert_eq!((left(&mark), child.0.try_wait().unwrap()), (1, None));
    assert_eq!(stop(leader, PATIENCE), Ok(stopped(2, false)));
}

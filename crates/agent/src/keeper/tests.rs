//! The keeper as a real process, driven by hand.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use flota_engine::keeper::api::{
    Child, ChildState, End, FromKeeper, KeeperId, Launch, StopReason, ToKeeper,
};
use flota_model::outcome::StartStage;

use crate::{
    dead,
    keeper::CUT,
    proc,
    sys::{clock, pidfd::PidFd, socket},
    testing::{Bench, Client, SmallDisk, exit, wait_for, wait_readable},
};

mod faults;
mod groups;
mod settings;
mod unkillable;

fn status(end: End) -> (i32, bool) {
    let End::Known { status, fenced, .. } = end else {
        panic!("{end:?}");
    };
    (status, fenced)
}

/// Starts a program and waits until it runs; gives its pid and descriptors.
fn start(client: &mut Client, launch: Launch) -> (u32, Vec<OwnedFd>) {
    client.start(launch);
    let (message, descriptors) = client.next();
    let FromKeeper::Started { identity, .. } = message else {
        panic!("{message:?}");
    };
    (identity.pid, descriptors)
}

fn read(file: &OwnedFd) -> String {
    let mut bytes = vec![0; 100_000];
    let length = rustix::io::pread(file, &mut bytes, 0).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn programs_end_with_their_code_or_signal_and_leave_their_output() {
    let bench = Bench::new();
    let (mut client, listed) = bench.agent();
    assert_eq!(listed, []);
    let script = "echo out; echo err >&2; exit 7";
    let (_, descriptors) = start(&mut client, bench.script(1, script));
    let End::Known {
        status: code,
        usage,
        started_at,
        ended_at,
        ..
    } = client.wait_end(bench.attempt(1))
    else {
        panic!("unknown");
    };
    assert_eq!(code, exit(7));
    assert!(usage.memory_bytes_max.unwrap() > 0);
    assert!(started_at <= ended_at && ended_at <= clock::wall());
    assert_eq!(
        (read(&descriptors[1]), read(&descriptors[2])),
        ("out\n".into(), "err\n".into())
    );
    start(&mut client, bench.script(2, "kill -KILL $$"));
    assert_eq!(
        status(client.wait_end(bench.attempt(2))),
        (libc::SIGKILL, false)
    );
}

#[test]
fn a_started_program_is_told_with_its_true_identity() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    for sequence in 0..20 {
        client.start(bench.launch(sequence, &["sleep", "60"]));
        let (message, descriptors) = client.next();
        let FromKeeper::Started {
            attempt, identity, ..
        } = message
        else {
            panic!("{message:?}");
        };
        assert_eq!(attempt, bench.attempt(sequence));
        assert_eq!(
            identity.start_time,
            proc::stat(identity.pid).unwrap().start_time
        );
        let fresh = PidFd::open(identity.pid).unwrap();
        assert_eq!(identity.pidfd_inode, fresh.inode().unwrap());
        assert_eq!(
            rustix::fs::fstat(&descriptors[0]).unwrap().st_ino,
            identity.pidfd_inode
        );
    }
}

#[test]
fn each_failure_to_start_is_told_with_its_step_and_errno() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let fine = bench.launch(0, &["true"]);
    let cases = [
        (
            bench.launch(1, &["/nonexistent"]),
            StartStage::Execute,
            libc::ENOENT,
        ),
        (
            bench.launch(2, &["no-such-program"]),
            StartStage::Execute,
            libc::ENOENT,
        ),
        (
            bench.launch(3, &["/tmp"]),
            StartStage::Execute,
            libc::EACCES,
        ),
        (
            Launch {
                working_directory: "/nonexistent".into(),
                ..fine.clone()
            },
            StartStage::ChangeDirectory,
            libc::ENOENT,
        ),
        (
            Launch {
                stdin: Some("/nonexistent".into()),
                ..fine
            },
            StartStage::OpenStdin,
            libc::ENOENT,
        ),
    ];
    for (sequence, (launch, stage, errno)) in (10..).zip(cases) {
        let attempt = bench.attempt(sequence);
        client.start(Launch { attempt, ..launch });
        assert_eq!(
            client.next().0,
            FromKeeper::NotStarted {
                attempt,
                stage,
                errno
            }
        );
    }
    // It stays in the list until it is forgotten.
    client.send(ToKeeper::Forget {
        attempt: bench.attempt(10),
    });
    let (_, listed) = bench.agent();
    assert_eq!(listed.len(), 4);
    assert!(
        listed
            .iter()
            .all(|child| matches!(child.state, ChildState::NotStarted { .. }))
    );
}

#[test]
fn a_stop_is_a_signal_first_and_a_kill_after_the_grace() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    start(
        &mut client,
        bench.script(1, "trap 'exit 5' TERM; sleep 60 & wait"),
    );
    wait_for("the trap", || (bench.processes(1).len() == 2).then_some(()));
    client.send(ToKeeper::Stop {
        signal: 15,
        attempt,
        grace: Duration::from_mins(1),
        reason: StopReason::Cancelled,
    });
    assert_eq!(status(client.wait_end(attempt)), (exit(5), false));
    let attempt = bench.attempt(2);
    start(
        &mut client,
        bench.script(2, "trap '' TERM; echo deaf; while :; do sleep 60; done"),
    );
    wait_for("the deafness", || {
        (bench.processes(2).len() == 2).then_some(())
    });
    let grace = Duration::from_millis(200);
    let before = clock::moment();
    client.send(ToKeeper::Stop {
        signal: 15,
        attempt,
        grace,
        reason: StopReason::Cancelled,
    });
    assert_eq!(status(client.wait_end(attempt)), (libc::SIGKILL, false));
    assert!(clock::moment().since(before) >= grace);
    assert!(bench.processes(2).is_empty());
}

#[test]
fn a_stopped_program_is_woken_to_be_stopped() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let (pid, _) = start(&mut client, bench.script(1, "kill -STOP $$; exit 3"));
    wait_for("the stop", || {
        (proc::stat(pid).unwrap().state == b'T').then_some(())
    });
    let attempt = bench.attempt(1);
    client.send(ToKeeper::Stop {
        signal: 15,
        attempt,
        grace: Duration::from_mins(1),
        reason: StopReason::Cancelled,
    });
    assert_eq!(status(client.wait_end(attempt)), (libc::SIGTERM, false));
}

/// Leaves two processes that fled the session; one of them has an empty environment, too.
const ESCAPE: &str = "setsid sh -c 'setsid sleep 60 & env -i setsid sleep 60 &'";

#[test]
fn processes_that_fled_the_session_are_gone_before_the_end_is_told() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    // Another attempt that must not be hit, with an escapee of its own.
    start(&mut client, bench.script(2, "setsid sleep 61 & wait"));
    wait_for("the neighbour", || {
        (bench.processes(2).len() >= 2).then_some(())
    });
    let (_, descriptors) = start(
        &mut client,
        bench.script(
            1,
            "(setsid sh -c 'setsid sleep 60 & echo $!' &) ; sleep 0.1; exit 4",
        ),
    );
    assert_eq!(status(client.wait_end(bench.attempt(1))), (exit(4), false));
    let escapee: u32 = read(&descriptors[1]).trim().parse().unwrap();
    let is_gone = proc::stat(escapee).is_err();
    assert!(is_gone, "{escapee} is still there");
    assert!(bench.processes(1).is_empty());
    assert!(bench.processes(2).len() >= 2, "the neighbour was hit");
}

#[test]
fn an_escapee_without_session_and_cookie_is_cleared_away_when_it_can_be_only_one_s() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let (pid, _) = start(
        &mut client,
        bench.script(1, &format!("{ESCAPE}; sleep 0.2; exit 0")),
    );
    assert_eq!(status(client.wait_end(bench.attempt(1))), (exit(0), false));
    let mut left = Vec::new();
    proc::children(bench.keeper.id(), |child| left.push(child));
    assert!(left.is_empty(), "{left:?} left by {pid}");
}

#[test]
fn a_stop_reaches_processes_that_fled_the_session() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    start(
        &mut client,
        bench.script(1, "setsid sh -c 'setsid sleep 60 & sleep 60' & wait"),
    );
    wait_for("the tree", || (bench.processes(1).len() >= 4).then_some(()));
    let attempt = bench.attempt(1);
    client.send(ToKeeper::Stop {
        signal: 15,
        attempt,
        grace: Duration::ZERO,
        reason: StopReason::Cancelled,
    });
    assert_eq!(status(client.wait_end(attempt)), (libc::SIGKILL, false));
    assert!(bench.processes(1).is_empty());
}

#[test]
fn a_fence_kills_without_an_agent_and_moving_it_prevents_that() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let soon = clock::moment() + Duration::from_millis(300);
    let late = clock::moment() + Duration::from_mins(10);
    let fenced = |sequence| Launch {
        fence: Some(soon),
        ..bench.launch(sequence, &["sleep", "60"])
    };
    let (pid, _) = start(&mut client, fenced(1));
    start(&mut client, fenced(2));
    client.send(ToKeeper::Fence {
        attempt: bench.attempt(2),
        deadline: late,
    });
    let pidfd = PidFd::open(pid).unwrap();
    drop(client);
    wait_readable(pidfd.descriptor());
    assert!(clock::moment() >= soon);
    let ended = wait_for("the end", || {
        let (_, listed) = bench.agent();
        listed
            .into_iter()
            .find(|child| matches!(child.state, ChildState::Ended(_)))
    });
    let Child {
        attempt,
        state: ChildState::Ended(end),
        ..
    } = ended
    else {
        panic!("{ended:?}");
    };
    assert_eq!(
        (attempt, status(end)),
        (bench.attempt(1), (libc::SIGKILL, true))
    );
    assert_eq!(bench.processes(2).len(), 1);
}

#[test]
fn a_fenced_program_dies_with_its_keeper_and_another_one_does_not() {
    let mut bench = Bench::new();
    let (mut client, _) = bench.agent();
    let fence = Some(clock::moment() + Duration::from_mins(10));
    let (fenced, _) = start(
        &mut client,
        Launch {
            fence,
            ..bench.launch(1, &["sleep", "60"])
        },
    );
    let (kept, _) = start(&mut client, bench.launch(2, &["sleep", "60"]));
    let (fenced, kept) = (PidFd::open(fenced).unwrap(), PidFd::open(kept).unwrap());
    bench.keeper.kill().unwrap();
    bench.keeper.wait().unwrap();
    wait_readable(fenced.descriptor());
    kept.signal(0).unwrap();
}

#[test]
fn why_a_program_was_stopped_outlives_its_keeper() {
    let mut bench = Bench::new();
    let (mut client, _) = bench.agent();
    let exits_on_term = "trap 'exit 0' TERM; echo ready; while :; do sleep 60 & wait; done";
    let (pid, descriptors) = start(&mut client, bench.script(1, exits_on_term));
    wait_for("the trap", || {
        read(&descriptors[1]).contains("ready").then_some(())
    });
    let pidfd = PidFd::open(pid).unwrap();
    client.send(ToKeeper::Stop {
        signal: 15,
        attempt: bench.attempt(1),
        grace: Duration::from_mins(1),
        reason: StopReason::TimedOut,
    });
    wait_readable(pidfd.descriptor());
    // Its end may be logged or not by now; why it was stopped is, since before the signal.
    bench.keeper.kill().unwrap();
    bench.keeper.wait().unwrap();
    let logged = dead::read(&bench.path(crate::keeper::FOLDER), KeeperId(bench.number)).unwrap();
    assert_eq!(
        logged[&bench.attempt(1)].stopped,
        Some(StopReason::TimedOut)
    );
}

#[test]
fn a_second_hello_closes_the_first_connection() {
    let bench = Bench::new();
    let (first, _) = bench.agent();
    // Unread orders of the first agent must not be obeyed any more.
    let (mut second, _) = bench.agent();
    first.wait_closed();
    start(&mut second, bench.launch(1, &["true"]));
}

#[test]
fn an_attempt_is_started_only_once_until_it_is_forgotten() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    start(&mut client, bench.launch(1, &["true"]));
    client.wait_end(attempt);
    client.start(bench.launch(1, &["true"]));
    assert_eq!(client.next().0, FromKeeper::Refused { attempt });
    client.send(ToKeeper::Forget { attempt });
    start(&mut client, bench.launch(1, &["true"]));
}

#[test]
fn fifty_programs_survive_their_agent_and_none_loses_its_code_or_output() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    // A third ends before the agent goes, a third while there is none, the rest goes on.
    for sequence in 0..50 {
        let script = match sequence % 3 {
            0 => format!("echo {sequence}; exit {sequence}"),
            1 => format!("sleep 0.3; echo {sequence}; exit {sequence}"),
            _ => format!("echo {sequence}; sleep 60"),
        };
        client.start(bench.script(sequence, &script));
    }
    let mut started = 0;
    while started < 50 {
        started += usize::from(matches!(client.next().0, FromKeeper::Started { .. }));
    }
    drop(client);
    let mut ends = BTreeMap::new();
    wait_for("the ends", || {
        let (_, listed) = bench.agent();
        assert_eq!(listed.len(), 50);
        ends = listed
            .iter()
            .filter_map(|child| match child.state {
                ChildState::Ended(end) => Some((child.attempt.sequence, status(end))),
                ChildState::Waiting
                | ChildState::Starting
                | ChildState::Running { .. }
                | ChildState::NotStarted { .. } => None,
            })
            .collect();
        (ends.len() == 34).then_some(())
    });
    for (sequence, end) in ends {
        assert_eq!(end, (exit(i32::try_from(sequence).unwrap()), false));
    }
    // The descriptors of all come with the list.
    let mut client = bench.connect();
    client.send(ToKeeper::Hello {
        nonce: flota_model::ids::Nonce(2),
    });
    let (message, descriptors) = client.next();
    let FromKeeper::Listed {
        children,
        last: true,
    } = message
    else {
        panic!("{message:?}");
    };
    for (child, three) in children.iter().zip(descriptors.chunks(3)) {
        assert_eq!(read(&three[1]), format!("{}\n", child.attempt.sequence));
    }
}

#[test]
fn hostile_packets_and_connections_do_not_end_the_keeper() {
    let bench = Bench::new();
    let (mut agent, _) = bench.agent();
    for packet in [
        &b"\x01\xff\xff\xff\xff"[..],
        b"\xff",
        &vec![0; socket::PACKET_LENGTH_MAX],
    ] {
        let hostile = bench.connect();
        socket::send(&hostile.socket, packet, &[]).unwrap();
        hostile.wait_closed();
    }
    let hostile = bench.connect();
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    socket::send(&hostile.socket, &[], &[reader.as_fd()]).unwrap();
    hostile.wait_closed();
    // Far more connections than there is room for: the agent keeps its own, and new ones come in.
    let crowd: Vec<Client> = (0..50).map(|_| bench.connect()).collect();
    start(&mut agent, bench.launch(1, &["true"]));
    agent.wait_end(bench.attempt(1));
    let (mut other, listed) = bench.agent();
    assert_eq!(listed.len(), 1);
    start(&mut other, bench.launch(2, &["true"]));
    drop(crowd);
}

#[test]
fn a_long_command_line_arrives_whole() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let long = "x".repeat(100_000);
    let (_, descriptors) = start(&mut client, bench.launch(1, &["echo", "-n", &long]));
    assert_eq!(status(client.wait_end(bench.attempt(1))), (exit(0), false));
    assert_eq!(read(&descriptors[1]), long);
}

#[test]
fn an_output_without_end_is_cut_and_the_program_goes_on() {
    let bench = Bench::with_output_limit(10_000);
    let (mut client, _) = bench.agent();
    let script = "head -c 50000 /dev/zero; touch \"$FLAG\"; read line; exit 6";
    let flag = bench.folder.path().join("flag");
    let fifo = bench.folder.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut launch = bench.script(1, script);
    launch
        .environment
        .push(("FLAG".into(), flag.to_str().unwrap().into()));
    launch.stdin = Some(fifo.to_str().unwrap().into());
    client.start(launch);
    // Only now can the child open its stdin.
    let mut writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    let (message, descriptors) = client.next();
    assert!(matches!(message, FromKeeper::Started { .. }));
    wait_for("the output", || flag.exists().then_some(()));
    wait_for("the cut", || {
        let status = rustix::fs::fstat(&descriptors[1]).unwrap();
        (status.st_size == 10_000 && status.st_mode & CUT != 0).then_some(())
    });
    std::io::Write::write_all(&mut writer, b"\n").unwrap();
    assert_eq!(status(client.wait_end(bench.attempt(1))), (exit(6), false));
}

#[test]
fn a_keeper_that_is_told_to_quit_ends_when_nothing_is_held_and_removes_its_files() {
    let mut bench = Bench::new();
    let (mut client, _) = bench.agent();
    start(&mut client, bench.launch(1, &["true"]));
    let attempt = bench.attempt(1);
    client.wait_end(attempt);
    client.send(ToKeeper::Quit);
    client.start(bench.launch(2, &["true"]));
    assert_eq!(
        client.next().0,
        FromKeeper::Refused {
            attempt: bench.attempt(2)
        }
    );
    client.send(ToKeeper::Forget { attempt });
    assert!(bench.keeper.wait().unwrap().success());
    let folder = bench.folder.path().join(crate::keeper::FOLDER);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_keeper_is_small_also_with_fifty_programs() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    for sequence in 0..50 {
        start(&mut client, bench.launch(sequence, &["sleep", "60"]));
    }
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", bench.keeper.id())).unwrap();
    // Not `Private_Dirty`, which also counts the pages of a binary that was just linked.
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))
        .unwrap();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kibibytes <= 2048, "{kibibytes} KiB");
}

#[test]
fn programs_handed_over_ahead_follow_each_other_and_never_share_a_place() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    let place = bench.path("place");
    let script = format!("mkdir {0} && sleep 0.01 && rmdir {0}", place.display());
    client.start(bench.script(0, &script));
    for sequence in 1..=30 {
        client.start(Launch {
            places: Some(1),
            ..bench.script(sequence, &script)
        });
    }
    for sequence in 0..=30 {
        let end = client.wait_end(bench.attempt(sequence));
        assert_eq!(status(end), (0, false), "{sequence}");
    }
}

#[test]
fn what_was_handed_over_ahead_starts_though_the_agent_is_gone() {
    let bench = Bench::new();
    let (client, _) = bench.agent();
    let (go, done) = (bench.path("go"), bench.path("done"));
    let wait = format!("while [ ! -e {} ]; do sleep 0.01; done", go.display());
    client.start(bench.script(0, &wait));
    client.start(Launch {
        places: Some(1),
        ..bench.script(1, &format!("touch {}", done.display()))
    });
    drop(client);
    fs::write(&go, "").unwrap();
    wait_for("the second program", || done.exists().then_some(()));
    wait_for("both ends", || {
        let (_, listed) = bench.agent();
        let has_ended = |child: &Child| matches!(child.state, ChildState::Ended(end) if status(end) == (0, false));
        assert_eq!(listed.len(), 2);
        listed.iter().all(has_ended).then_some(())
    });
}

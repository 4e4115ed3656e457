//! Control groups with real processes, in every way that this machine has. Only root may make groups
//! everywhere; who may not make any says so, and fails where tests are meant to be complete.

use flota_model::{
    containment::{LimitKind, LimitSet},
    execution::{Execution, Limits},
    units::{Bytes, Cpus},
};

use super::*;
use crate::{
    groups::{self, GroupWish},
    testing::harness,
};

/// A keeper for each way in which groups can be made here.
fn benches(needed: &[LimitKind]) -> Vec<Bench> {
    let needed: LimitSet = needed.iter().copied().collect();
    let usual = |data: &std::path::Path| {
        let root = std::path::Path::new("/");
        let prospect = groups::arrange(root, &GroupWish::Auto, data);
        prospect.unwrap().places
    };
    let mut benches = Vec::new();
    let ways = [
        ("all", Bench::with_places(usual)),
        ("version 1 alone", Bench::with_places(groups::places_of_one)),
    ];
    for (way, bench) in ways {
        let enforced = bench.groups.enforced();
        if bench.groups.is_empty() || !enforced.covers(needed) {
            println!("skipped {way}: needs {needed:?}, the machine gives {enforced:?}");
        } else {
            benches.push(bench);
        }
    }
    assert!(
        !benches.is_empty() || std::env::var_os("CI").is_none(),
        "CI must be able to make control groups"
    );
    benches
}

fn limited(launch: Launch, limits: Limits) -> Launch {
    let execution = Execution {
        limits,
        ..Execution::default()
    };
    Launch {
        execution: Some(Box::new(execution)),
        ..launch
    }
}

fn pids(count: u32) -> Limits {
    Limits {
        pids: Some(count),
        ..Limits::default()
    }
}

/// Status, whether it was out of memory, and the most memory that it had.
fn judged(end: End) -> (i32, bool, Option<u64>) {
    let End::Known {
        status,
        out_of_memory,
        usage,
        ..
    } = end
    else {
        panic!("{end:?}");
    };
    (status, out_of_memory, usage.memory_bytes_max)
}

fn stop(client: &Client, bench: &Bench, sequence: u64, grace: Duration) {
    client.send(ToKeeper::Stop {
        attempt: bench.attempt(sequence),
        signal: 15,
        grace,
        reason: StopReason::Cancelled,
    });
}

/// Identities of processes, to find out later whether they are gone.
fn identities(pids: &[u32]) -> Vec<(u32, u64)> {
    let of = |pid: &u32| Some((*pid, proc::stat(*pid).ok()?.start_time));
    pids.iter().filter_map(of).collect()
}

fn is_alive((pid, start_time): (u32, u64)) -> bool {
    proc::stat(pid).is_ok_and(|stat| stat.start_time == start_time)
}

#[test]
fn what_exceeds_its_memory_is_killed_and_said_to_be_out_of_memory() {
    for bench in benches(&[LimitKind::Memory]) {
        let (mut client, _) = bench.agent();
        let limits = Limits {
            memory: Some(Bytes(24 << 20)),
            ..Limits::default()
        };
        // By itself, and by a child without which it fails.
        for (sequence, script) in [
            (1, "exec dd if=/dev/zero of=/dev/null bs=200000000 count=1"),
            (
                2,
                "dd if=/dev/zero of=/dev/null bs=200000000 count=1 || exit 9",
            ),
        ] {
            start(&mut client, limited(bench.script(sequence, script), limits));
            let (status, is_out, peak) = judged(client.wait_end(bench.attempt(sequence)));
            assert!(status != 0 && is_out, "{script}: {status}");
            assert!(
                peak.is_none_or(|peak| peak > 16 << 20 && peak <= 24 << 20),
                "{peak:?}"
            );
        }
        for (sequence, script, code) in [(3, "exit 7", 7), (4, "kill -KILL $$", -1)] {
            start(&mut client, limited(bench.script(sequence, script), limits));
            let (status, is_out, _) = judged(client.wait_end(bench.attempt(sequence)));
            let expected = if code < 0 { libc::SIGKILL } else { exit(code) };
            assert_eq!((status, is_out), (expected, false), "{script}");
        }
        assert_eq!(bench.groups.all(), []);
    }
}

#[test]
fn a_program_within_its_limits_runs_and_its_memory_is_measured() {
    for bench in benches(&[LimitKind::Memory, LimitKind::Pids]) {
        let (mut client, _) = bench.agent();
        let limits = Limits {
            memory: Some(Bytes(256 << 20)),
            ..pids(10)
        };
        let script = "cat /proc/self/cgroup; head -c 30000000 /dev/zero | tail -c 30000000 | wc -c";
        let (_, files) = start(&mut client, limited(bench.script(1, script), limits));
        let (status, is_out, peak) = judged(client.wait_end(bench.attempt(1)));
        assert_eq!((status, is_out), (exit(0), false));
        assert!(peak.unwrap() > 20_000_000, "{peak:?}");
        let said = read(&files[1]);
        let group = groups::name(bench.attempt(1), 1);
        assert!(said.lines().any(|line| line.ends_with(&group)), "{said}");
        let keeper = fs::read_to_string(format!("/proc/{}/cgroup", bench.keeper.id())).unwrap();
        assert!(!keeper.contains("/flota-"), "{keeper}");
    }
}

#[test]
fn a_fork_bomb_stays_within_its_limit_and_is_stopped_completely() {
    const MOST: usize = 40;
    for bench in benches(&[LimitKind::Pids]) {
        let (mut client, _) = bench.agent();
        let harness = harness();
        let argv = [harness.to_str().unwrap(), "bomb"];
        start(&mut client, limited(bench.launch(1, &argv), pids(40)));
        let group = bench.groups.of_attempt(bench.attempt(1)).remove(0);
        let processes = || bench.groups.processes(&group);
        let found = wait_for("the limit", || {
            let found = processes();
            (found.len() >= MOST - 2).then_some(found)
        });
        assert!(found.len() <= MOST, "{}", found.len());
        let known = identities(&found);
        stop(&client, &bench, 1, Duration::ZERO);
        let (status, ..) = judged(client.wait_end(bench.attempt(1)));
        assert_eq!(status, libc::SIGKILL);
        assert_eq!(processes(), Vec::<u32>::new());
        assert!(!known.into_iter().any(is_alive));
        assert_eq!(bench.processes(1), Vec::<u32>::new());
        assert_eq!(bench.groups.all(), []);
    }
}

#[test]
fn a_quota_of_processor_time_holds() {
    for bench in benches(&[LimitKind::Cpus]) {
        let (mut client, _) = bench.agent();
        let limits = Limits {
            cpus: Some(Cpus(200)),
            ..Limits::default()
        };
        let argv = ["timeout", "2", "/bin/sh", "-c", "while :; do :; done"];
        start(&mut client, limited(bench.launch(1, &argv), limits));
        let End::Known {
            usage,
            started_at,
            ended_at,
            ..
        } = client.wait_end(bench.attempt(1))
        else {
            panic!("unknown");
        };
        let (used, span) = (
            usage.user_micros + usage.system_micros,
            ended_at.0 - started_at.0,
        );
        assert!(used > 0 && used <= span / 2, "{used} of {span}");
    }
}

const ESCAPEES: &str = "(setsid sleep 1000 &); (env -i setsid sleep 1001 &)
    (trap '' TERM HUP; sleep 1002) & (kill -STOP $(exec sh -c 'echo $PPID')) &
    (cd /; exec <&- >&- 2>&-; setsid -f sleep 1004)
    trap '' TERM; : > READY; while [ ! -e GO ]; do sleep 0.05; done";

/// Starts escapees, and gives those that are there.
fn escapees(bench: &Bench, client: &mut Client, sequence: u64) -> Vec<(u32, u64)> {
    let go = bench.path("go").display().to_string();
    let ready = bench.path(&format!("ready{sequence}"));
    let script = ESCAPEES.replace("GO", &go);
    let script = script.replace("READY", &ready.display().to_string());
    start(client, limited(bench.script(sequence, &script), pids(100)));
    let group = bench.groups.of_attempt(bench.attempt(sequence)).remove(0);
    let asleep = |pid: &u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with("sleep\u{0}100")
    };
    let found = wait_for("all escapees", || {
        let all = bench.groups.processes(&group);
        let is_stopped = |pid: &u32| proc::stat(*pid).is_ok_and(|stat| stat.state == b'T');
        let is_there = ready.exists()
            && all.iter().filter(|pid| asleep(pid)).count() == 4
            && all.iter().any(is_stopped);
        is_there.then_some(all)
    });
    identities(&found)
}

#[test]
fn nothing_that_a_program_started_outlives_it_or_its_stop() {
    for bench in benches(&[LimitKind::Pids]) {
        let (mut client, _) = bench.agent();
        let known = escapees(&bench, &mut client, 1);
        assert!(known.len() >= 6);
        stop(&client, &bench, 1, Duration::from_millis(200));
        let (status, ..) = judged(client.wait_end(bench.attempt(1)));
        assert_eq!(status, libc::SIGKILL);
        assert!(!known.into_iter().any(is_alive));
        let known = escapees(&bench, &mut client, 2);
        fs::write(bench.path("go"), "").unwrap();
        let (status, ..) = judged(client.wait_end(bench.attempt(2)));
        assert_eq!(status, exit(0));
        assert!(!known.into_iter().any(is_alive));
        assert_eq!(bench.groups.all(), []);
    }
}

#[test]
fn groups_that_a_program_makes_below_its_own_go_with_it() {
    for bench in benches(&[LimitKind::Pids]) {
        let (mut client, _) = bench.agent();
        let script = "read line; exit 0";
        let gate = bench.path("gate");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &gate,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let launch = Launch {
            stdin: Some(gate.display().to_string()),
            ..limited(bench.script(1, script), pids(20))
        };
        client.start(launch);
        let writer = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        let group = wait_for("the group", || {
            bench.groups.of_attempt(bench.attempt(1)).pop()
        });
        for folder in bench.groups.folders_of(&group) {
            fs::create_dir_all(folder.join("inner/most")).unwrap();
        }
        drop(writer);
        assert_eq!(judged(client.wait_end(bench.attempt(1))).0, exit(0));
        assert_eq!(bench.groups.all(), []);
    }
}

#[test]
fn short_programs_without_limits_have_no_group_and_one_that_failed_leaves_none() {
    for bench in benches(&[LimitKind::Pids]) {
        let (mut client, _) = bench.agent();
        let (_, files) = start(&mut client, bench.script(1, "cat /proc/self/cgroup"));
        client.wait_end(bench.attempt(1));
        assert!(!read(&files[1]).contains("/flota-"));
        client.start(limited(bench.launch(2, &["/nonexistent"]), pids(5)));
        let (message, _) = client.next();
        assert!(
            matches!(message, FromKeeper::NotStarted { .. }),
            "{message:?}"
        );
        wait_for("the end of the group", || {
            bench.groups.all().is_empty().then_some(())
        });
    }
}

#[test]
fn without_groups_limits_are_refused_unless_best_effort_will_do() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    client.start(limited(bench.script(1, "exit 3"), pids(5)));
    let (message, _) = client.next();
    let FromKeeper::NotStarted { stage, errno, .. } = message else {
        panic!("{message:?}");
    };
    assert_eq!((stage, errno), (StartStage::Contain, libc::EOPNOTSUPP));
    let limits = Limits {
        best_effort: true,
        ..pids(5)
    };
    start(&mut client, limited(bench.script(2, "exit 3"), limits));
    assert_eq!(judged(client.wait_end(bench.attempt(2))).0, exit(3));
}

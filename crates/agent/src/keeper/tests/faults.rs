//! Programs that do not want to end, and a disk that is full when they do.

use std::fs;

use super::*;

/// How many processes a script makes that write their number, and the script.
const ESCAPEES: [(&str, usize, &str); 5] = [
    (
        "forked twice into sessions of its own",
        2,
        r#"(setsid sh -c 'setsid sh -c "echo \$\$; exec sleep 600" &' &); echo $$; exec sleep 600"#,
    ),
    (
        "closed all descriptors",
        2,
        "setsid sh -c 'echo $$; exec sleep 600 0<&- 1>&- 2>&-' & echo $$; wait",
    ),
    (
        "stopped in a session of its own",
        2,
        "setsid sh -c 'echo $$; kill -STOP $$; sleep 600' & echo $$; wait",
    ),
    (
        "deaf, of a leader that exits at once",
        2,
        r#"sh -c "trap '' TERM; echo \$\$; while :; do sleep 600; done" & trap 'exit 0' TERM; echo $$; wait"#,
    ),
    (
        "stopped by one that traces it",
        2,
        r#"exec python3 -c "
import ctypes, os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    signal.pause()
assert os.WIFSTOPPED(os.waitpid(child, 0)[1])
print(child, os.getpid(), sep='\n', flush=True)
signal.pause()
""#,
    ),
];

#[test]
fn whatever_a_program_does_to_escape_all_of_it_is_gone_after_a_stop() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    for (sequence, (what, count, script)) in (1..).zip(ESCAPEES) {
        let (_, descriptors) = start(&mut client, bench.script(sequence, script));
        let pids: Vec<u32> = wait_for(what, || {
            let text = read(&descriptors[1]);
            let pids = text.lines().map(|line| line.parse().unwrap());
            (text.ends_with('\n') && text.lines().count() == count).then(|| pids.collect())
        });
        let pidfds: Vec<PidFd> = pids.iter().map(|pid| PidFd::open(*pid).unwrap()).collect();
        let attempt = bench.attempt(sequence);
        client.send(ToKeeper::Stop {
            signal: 15,
            attempt,
            grace: Duration::from_millis(200),
            reason: StopReason::Cancelled,
        });
        client.wait_end(attempt);
        let left: Vec<u32> = pids
            .into_iter()
            .zip(&pidfds)
            .filter(|(_, pidfd)| pidfd.signal(0).is_ok())
            .map(|(pid, _)| pid)
            .collect();
        assert!(left.is_empty(), "{what}: {left:?} go on");
    }
}

#[test]
fn arguments_that_are_too_long_are_told_as_such() {
    let bench = Bench::new();
    let (mut client, _) = bench.agent();
    // One argument may have 128 KiB (`man 2 execve`).
    let long = "x".repeat(200_000);
    client.start(bench.launch(1, &["true", &long]));
    let told = FromKeeper::NotStarted {
        attempt: bench.attempt(1),
        stage: StartStage::Execute,
        errno: libc::E2BIG,
    };
    assert_eq!(client.next().0, told);
}

#[test]
fn an_end_on_a_full_disk_is_told_and_written_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join(crate::keeper::FOLDER);
    let Some(disk) = SmallDisk::mount(&disk) else {
        return;
    };
    let mut bench = Bench::with(folder, 1 << 20, flota_engine::logs::Limits::default());
    let (mut client, _) = bench.agent();
    let gate = bench.path("gate");
    let script = format!(
        "until [ -e {} ]; do sleep 0.01; done; exit 7",
        gate.display()
    );
    start(&mut client, bench.script(1, &script));
    // The page that the log ends in has room for a while: what may be written in it is used up first.
    let ballast = disk.path().join("ballast");
    assert!(fs::write(&ballast, vec![1; 1 << 20]).is_err(), "it fits");
    let read_log = |bench: &Bench| {
        let folder = bench.path(crate::keeper::FOLDER);
        dead::read(&folder, KeeperId(bench.number)).unwrap()
    };
    let mut sequence = 100;
    wait_for("a log without room", || {
        sequence += 1;
        let attempt = bench.attempt(sequence);
        start(&mut client, bench.launch(sequence, &["true"]));
        client.wait_end(attempt);
        // Where already its start did not fit, nothing is known of it.
        let logged = read_log(&bench);
        let logged = logged.get(&attempt);
        let is_written = logged.is_some_and(|one| matches!(one.state, ChildState::Ended(_)));
        (!is_written).then_some(())
    });
    fs::write(&gate, "").unwrap();
    let attempt = bench.attempt(1);
    assert_eq!(status(client.wait_end(attempt)), (exit(7), false));
    let of_first = |bench: &Bench| read_log(bench)[&attempt].state;
    assert!(
        matches!(of_first(&bench), ChildState::Running { .. }),
        "it was written"
    );
    fs::remove_file(&ballast).unwrap();
    // With the next thing that happens, all is written that waits.
    start(&mut client, bench.launch(2, &["true"]));
    client.wait_end(bench.attempt(2));
    bench.keeper.kill().unwrap();
    bench.keeper.wait().unwrap();
    let ChildState::Ended(end) = of_first(&bench) else {
        panic!("{:?}", of_first(&bench));
    };
    assert_eq!(status(end), (exit(7), false));
}

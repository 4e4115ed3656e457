use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use flota_model::outcome::StartStage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    clock, files,
    pidfd::PidFd,
    socket::{self, Received},
    spawn::{Fault, Order, Progress, Spawner, Spawning, setting::Setting},
};

struct Bench {
    null: File,
    stdout: File,
    stderr: File,
}

impl Bench {
    fn new() -> Self {
        let unnamed = || {
            let folder = files::folder(&std::env::temp_dir()).unwrap();
            File::from(files::unnamed(&folder).unwrap().unwrap())
        };
        Self {
            null: File::open("/dev/null").unwrap(),
            stdout: unnamed(),
            stderr: unnamed(),
        }
    }

    fn order<'a>(&'a self, argv: &'a [String], environment: &'a [(String, String)]) -> Order<'a> {
        Order {
            argv,
            environment,
            working_directory: "/",
            stdin: None,
            null: self.null.as_fd(),
            stdout: self.stdout.as_fd(),
            stderr: self.stderr.as_fd(),
            dies_with_us: false,
            open_files: None,
        }
    }

    fn output(&mut self) -> String {
        let mut text = String::new();
        self.stdout.rewind().unwrap();
        self.stdout.read_to_string(&mut text).unwrap();
        text
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Waits until a descriptor is readable; fails after ten seconds.
fn wait_readable(descriptor: impl AsFd) {
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    assert_eq!(
        poll(&mut polled, Some(&timeout)).unwrap(),
        1,
        "nothing came"
    );
}

fn finish(spawner: &mut Spawner, mut spawning: Spawning) -> (Progress, i32) {
    let progress = loop {
        match spawning.progress() {
            Progress::Underway => wait_readable(spawning.report()),
            ended @ (Progress::Executed | Progress::Failed(_)) => break ended,
        }
    };
    let pidfd = spawner.settle(spawning);
    wait_readable(pidfd.descriptor());
    (progress, pidfd.reap().unwrap().unwrap().status)
}

fn failure(order: &Order<'_>) -> Fault {
    let mut spawner = Spawner::new();
    let spawning = match spawner.spawn(order, Setting::default()) {
        Ok(spawning) => spawning,
        Err(fault) => return fault,
    };
    let (progress, _) = finish(&mut spawner, spawning);
    let Progress::Failed(fault) = progress else {
        panic!("{progress:?}");
    };
    fault
}

#[test]
fn a_program_runs_with_its_arguments_environment_and_exit_code() {
    for mut spawner in [Spawner::new(), Spawner::without_clone3()] {
        let mut bench = Bench::new();
        let argv = words(&["sh", "-c", "echo $WORD $1 $(pwd); exit 7", "sh", "x y"]);
        let environment = vec![
            ("PATH".to_owned(), "/nonexistent:/bin".to_owned()),
            ("WORD".to_owned(), "hello".to_owned()),
        ];
        let spawning = spawner
            .spawn(&bench.order(&argv, &environment), Setting::default())
            .unwrap();
        assert_eq!(finish(&mut spawner, spawning), (Progress::Executed, 7 << 8));
        assert_eq!(bench.output(), "hello x y /\n");
    }
}

#[test]
fn a_program_has_no_descriptor_of_ours_and_is_a_session_leader_with_default_signals() {
    for mut spawner in [Spawner::new(), Spawner::without_clone3()] {
        let mut bench = Bench::new();
        let script = "ls /proc/self/fd | wc -l; \
                      cut -d' ' -f1,6 /proc/self/stat; echo $$; \
                      grep ^SigBlk /proc/self/status";
        let argv = words(&["/bin/bash", "-c", script]);
        let spawning = spawner
            .spawn(&bench.order(&argv, &[]), Setting::default())
            .unwrap();
        let (progress, status) = finish(&mut spawner, spawning);
        assert_eq!((progress, status), (Progress::Executed, 0));
        let output = bench.output();
        let lines: Vec<&str> = output.lines().collect();
        // The standard three and the one that `ls` reads the folder with.
        assert_eq!(lines[0], "4", "{output}");
        assert_eq!(
            lines[1].split(' ').nth(1),
            Some(lines[2]),
            "session is not the leader's pid"
        );
        assert!(lines[3].ends_with("0000000000000000"), "{output}");
    }
}

#[test]
fn each_step_that_fails_is_told_with_its_errno() {
    let bench = Bench::new();
    let missing = words(&["/nonexistent/program"]);
    let folder = words(&["/tmp"]);
    let nowhere = words(&["no-such-program-here"]);
    let zero = words(&["/bin/tr\0ue"]);
    let fine = words(&["/bin/true"]);
    let check = |order: Order<'_>, stage, errno| {
        assert_eq!(failure(&order), Fault { stage, errno }, "{order:?}");
    };
    check(
        bench.order(&missing, &[]),
        StartStage::Execute,
        libc::ENOENT,
    );
    check(bench.order(&folder, &[]), StartStage::Execute, libc::EACCES);
    check(
        bench.order(&nowhere, &[]),
        StartStage::Execute,
        libc::ENOENT,
    );
    check(bench.order(&zero, &[]), StartStage::Prepare, libc::EINVAL);
    check(bench.order(&[], &[]), StartStage::Prepare, libc::EINVAL);
    let astray = Order {
        working_directory: "/nonexistent",
        ..bench.order(&fine, &[])
    };
    check(astray, StartStage::ChangeDirectory, libc::ENOENT);
    let silent = Order {
        stdin: Some("/nonexistent"),
        ..bench.order(&fine, &[])
    };
    check(silent, StartStage::OpenStdin, libc::ENOENT);
}

#[test]
fn a_child_that_hangs_before_its_program_does_not_hang_us_and_can_be_killed() {
    // Opening a FIFO without a writer hangs, as a dead network mount does.
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        files::PRIVATE,
        0,
    )
    .unwrap();
    let bench = Bench::new();
    let argv = words(&["/bin/true"]);
    let mut spawner = Spawner::new();
    let order = Order {
        stdin: fifo.to_str(),
        ..bench.order(&argv, &[])
    };
    let mut hanging = spawner.spawn(&order, Setting::default()).unwrap();
    for _ in 0..20 {
        let spawning = spawner
            .spawn(&bench.order(&argv, &[]), Setting::default())
            .unwrap();
        assert_eq!(finish(&mut spawner, spawning), (Progress::Executed, 0));
    }
    assert_eq!(hanging.progress(), Progress::Underway);
    hanging.pidfd.signal(libc::SIGTERM).unwrap();
    assert_eq!(finish(&mut spawner, hanging).1, libc::SIGTERM);
}

#[test]
fn spawning_from_many_threads_at_once_never_disturbs_errno() {
    // A child that wrote our thread-local storage would be seen here as a wrong errno.
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let bench = Bench::new();
                let mut spawner = Spawner::new();
                let argv = words(&["/nonexistent/program"]);
                for _ in 0..200 {
                    let spawning = spawner
                        .spawn(&bench.order(&argv, &[]), Setting::default())
                        .unwrap();
                    for _ in 0..20 {
                        let error = File::open("/tmp/\0").unwrap_err();
                        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
                        let error = std::fs::read_link("/").unwrap_err();
                        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
                    }
                    finish(&mut spawner, spawning);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn the_status_of_a_reaped_process_is_found_through_its_pidfd() {
    let bench = Bench::new();
    let mut spawner = Spawner::new();
    let argv = words(&["sh", "-c", "exit 9"]);
    let spawning = spawner
        .spawn(&bench.order(&argv, &[]), Setting::default())
        .unwrap();
    let second = PidFd::open(spawning.pid).unwrap();
    assert_eq!(second.inode().unwrap(), spawning.pidfd.inode().unwrap());
    assert_eq!(finish(&mut spawner, spawning).1, 9 << 8);
    if second.inode_is_unique() {
        // Linux ≥ 6.15 keeps it; older ones must say nothing rather than something wrong.
        assert!(matches!(second.status_after_reaping(), Some(0x900) | None));
    }
    assert_eq!(
        second.signal(libc::SIGKILL).unwrap_err().raw_os_error(),
        Some(libc::ESRCH)
    );
    assert_eq!(
        second.reap().unwrap_err().raw_os_error(),
        Some(libc::ECHILD)
    );
}

fn pair() -> (OwnedFd, OwnedFd, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let handle = files::folder(folder.path()).unwrap();
    let listener = socket::listen(&handle, "s").unwrap();
    let client = socket::connect(&handle, "s").unwrap();
    let server = socket::accept(&listener).unwrap().unwrap();
    (client, server, folder)
}

#[test]
fn packets_carry_short_and_long_messages_and_descriptors() {
    let (client, server, _folder) = pair();
    let mut buffer = vec![0; socket::PACKET_LENGTH_MAX];
    assert!(matches!(
        socket::receive(&server, &mut buffer).unwrap(),
        Received::Nothing
    ));
    let null = File::open("/dev/null").unwrap();
    socket::send(&client, b"short", &[null.as_fd()]).unwrap();
    let long = vec![7; socket::MESSAGE_LENGTH_MAX];
    socket::send(&client, &long, &[]).unwrap();
    let received = socket::receive(&server, &mut buffer).unwrap();
    let Received::Packet {
        length: 5,
        long: None,
        descriptors,
    } = received
    else {
        panic!("{received:?}");
    };
    assert_eq!((&buffer[..5], descriptors.len()), (&b"short"[..], 1));
    let received = socket::receive(&server, &mut buffer).unwrap();
    let Received::Packet {
        long: Some(bytes), ..
    } = received
    else {
        panic!("{received:?}");
    };
    assert_eq!(bytes, long);
    let error = socket::send(&client, &vec![0; socket::MESSAGE_LENGTH_MAX + 1], &[]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    drop(client);
    assert!(matches!(
        socket::receive(&server, &mut buffer).unwrap(),
        Received::Closed
    ));
}

#[test]
fn a_long_message_in_anything_but_a_sealed_file_of_memory_is_broken() {
    let (client, server, folder) = pair();
    let mut buffer = vec![0; socket::PACKET_LENGTH_MAX];
    let file = File::create(folder.path().join("plain")).unwrap();
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    for descriptor in [file.as_fd(), reader.as_fd()] {
        socket::send(&client, &[], &[descriptor]).unwrap();
        let received = socket::receive(&server, &mut buffer).unwrap();
        assert!(matches!(received, Received::Broken), "{received:?}");
    }
}

#[test]
fn ticks_of_the_clock_are_those_of_proc() {
    // The keeper takes a start time from the clock where the tick did not change around `clone`.
    let before = clock::tick(clock::moment());
    let bench = Bench::new();
    let mut spawner = Spawner::new();
    let argv = words(&["sleep", "60"]);
    let spawning = spawner
        .spawn(&bench.order(&argv, &[]), Setting::default())
        .unwrap();
    let after = clock::tick(clock::moment());
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", spawning.pid)).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let started: u64 = fields[19].parse().unwrap();
    assert!(
        (before..=after).contains(&started),
        "{before} {started} {after}"
    );
    assert!(clock::moment().since(flota_model::units::Moment(0)) > Duration::from_millis(1));
    spawning.pidfd.signal(libc::SIGKILL).unwrap();
    assert_eq!(finish(&mut spawner, spawning).1, libc::SIGKILL);
}

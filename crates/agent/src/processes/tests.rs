//! Processes of this very machine.

mod stops;

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Child, Command, Stdio},
    time::Duration,
};

use flota_engine::policy::Policy;
use flota_model::{
    ids::{BootId, NodeId},
    process::{Answer, AskFault, ProcessHandle, ProcessTarget, Protection},
};

use super::*;
use crate::machine;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A child that does not outlive its test.
struct Program(Child);

impl Program {
    fn start(path: &str, arguments: &[&str]) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a process that nobody of Flota started"
        )]
        let mut command = Command::new(path);
        let child = command.args(arguments).stdin(Stdio::null()).spawn();
        Self(child.expect("it starts"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn processes() -> Processes {
    Processes::new(machine::boot().unwrap())
}

fn row_of(processes: &Processes, pid: u32) -> ProcessRow {
    let list = processes.list(Columns::Full, &Programs::default()).unwrap();
    assert_eq!(list.rows.len(), list.total as usize);
    let found = list.rows.into_iter().find(|row| row.pid == pid);
    found.expect("it is listed")
}

/// Its row, once `holds` says that it is as it will be.
fn row_once(processes: &Processes, pid: u32, holds: impl Fn(&ProcessRow) -> bool) -> ProcessRow {
    let deadline = clock::moment() + PATIENCE;
    loop {
        let row = row_of(processes, pid);
        if holds(&row) {
            return row;
        }
        assert!(clock::moment() < deadline, "waited in vain: {row:?}");
    }
}

fn handle_of(pid: u32) -> ProcessHandle {
    row_of(&processes(), pid).handle(NodeId(1), boot())
}

fn boot() -> BootId {
    machine::boot().unwrap()
}

fn signal(target: ProcessTarget, number: i32) -> Result<Answer, AskFault> {
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    signal::signal((boot(), &Policy::usual(true)), target, number)
}

fn stop(pid: u32, grace: Duration) -> Result<Answer, AskFault> {
    let target = ProcessTarget::Handle(handle_of(pid));
    signal::stop((boot(), &Policy::usual(true)), target, grace)
}

fn of_pid(pid: u32) -> ProcessTarget {
    let node = NodeId(1);
    ProcessTarget::Pid { node, pid }
}

#[test]
fn a_child_is_listed_with_all_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b) (c");
    symlink("/bin/sleep", &path).unwrap();
    let child = Program::start(path.to_str().unwrap(), &["600"]);
    let pid = child.0.id();
    let processes = processes();
    let is_executed = |row: &ProcessRow| {
        row.state == 'S'
            && row
                .command
                .as_deref()
                .is_some_and(|text| text.ends_with(" 600"))
    };
    let row = row_once(&processes, pid, is_executed);
    assert_eq!(row.parent, std::process::id());
    assert_eq!(row.threads, 1);
    assert!(!row.is_kernel && row.memory.unwrap().0 > 0);
    let text = format!("{} 600", path.display());
    assert_eq!(row.command, Some(text));
    assert_eq!(row.uid, Some(rustix::process::geteuid().as_raw()));
    let now = clock::wall().0;
    let age = now.saturating_sub(row.started_at.0);
    assert!(age < 60_000_000, "started {age} µs ago");
    let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(group.contains(&row.control_group.unwrap()));
    // Programs of several calls (busybox, coreutils) may take their name from the link or not.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(row.name, name.trim_end_matches('\n'));
    assert!(row.pidfd_inode.is_some(), "this kernel has unique inodes");
}

#[test]
fn a_list_tells_the_cores_of_the_machine_and_counts_itself() {
    let processes = processes();
    let list = || {
        processes
            .list(Columns::Basic, &Programs::default())
            .unwrap()
    };
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let cores = stat.lines().filter(is_core).count();
    let first = list();
    assert_eq!(first.cores, Some(u32::try_from(cores).unwrap()));
    assert_eq!((first.scan, list().scan), (1, 2));
    assert_eq!(count("0-3,5,7-8"), Some(7));
    for nonsense in ["", "3-1", "a", "0-4294967295", "1,"] {
        assert_eq!(count(nonsense), None, "{nonsense}");
    }
}

#[test]
fn threads_are_counted_and_basic_columns_leave_the_rest_out() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || ended.recv());
    let list = processes()
        .list(Columns::Basic, &Programs::default())
        .unwrap();
    let own = list.rows.iter().find(|row| row.pid == std::process::id());
    let own = own.unwrap();
    assert!(own.threads >= 2);
    assert_eq!(
        (&own.command, own.uid, own.pidfd_inode),
        (&None, None, None)
    );
    drop(end);
    let _ = thread.join();
}

#[test]
fn use_is_unknown_at_first_and_that_of_a_busy_process_is_what_it_used() {
    let child = Program::start("/bin/sh", &["-c", "while :; do :; done"]);
    let pid = child.0.id();
    let processes = processes();
    let before_first = clock::moment();
    let first = row_of(&processes, pid);
    let after_first = clock::moment();
    assert_eq!(first.cpu, None);
    // Until it has used enough, however many others want the cores.
    let enough = first.cpu_micros + 300_000;
    let other = Processes::new(boot());
    row_once(&other, pid, |row| row.cpu_micros >= enough);
    let before_second = clock::moment();
    let row = row_of(&processes, pid);
    let after_second = clock::moment();
    let used = row.cpu_micros - first.cpu_micros;
    let over = |span: Duration| used * 1_000 / u64::try_from(span.as_micros()).unwrap();
    let least = over(after_second.since(before_first));
    let most = over(before_second.since(after_first));
    let cpu = u64::from(row.cpu.unwrap().0);
    assert!((least..=most).contains(&cpu), "{least} <= {cpu} <= {most}");
}

#[test]
fn a_handle_of_a_process_that_ended_hits_nobody() {
    let mut child = Program::start("/bin/sleep", &["600"]);
    let handle = handle_of(child.0.id());
    let target = ProcessTarget::Handle(handle);
    assert_eq!(signal(target, libc::SIGCONT), Ok(Answer::Signalled));
    assert_eq!(signal(target, libc::SIGKILL), Ok(Answer::Signalled));
    child.0.wait().unwrap();
    assert_eq!(signal(target, libc::SIGKILL), Err(AskFault::Gone));
}

#[test]
fn a_handle_that_differs_in_anything_hits_nobody() {
    let mut child = Program::start("/bin/sleep", &["600"]);
    let handle = handle_of(child.0.id());
    let other_boot = flota_model::ids::BootId(handle.boot.0 ^ 1);
    let wrong = [
        (
            ProcessHandle {
                start_time: handle.start_time + 1,
                ..handle
            },
            AskFault::Reused,
        ),
        (
            ProcessHandle {
                pidfd_inode: handle.pidfd_inode + 1,
                ..handle
            },
            AskFault::Reused,
        ),
        (
            ProcessHandle {
                boot: other_boot,
                ..handle
            },
            AskFault::Reused,
        ),
        (
            ProcessHandle {
                pidfd_inode: 0,
                ..handle
            },
            AskFault::Uncertain,
        ),
    ];
    for (handle, expected) in wrong {
        let target = ProcessTarget::Handle(handle);
        assert_eq!(signal(target, libc::SIGKILL), Err(expected));
    }
    assert_eq!(child.0.try_wait().unwrap(), None, "it lives");
    let target = of_pid(child.0.id());
    assert_eq!(signal(target, libc::SIGKILL), Ok(Answer::Signalled));
}

#[test]
fn what_keeps_machine_and_fleet_going_is_never_signalled() {
    let refused = |pid| signal(of_pid(pid), libc::SIGCONT).unwrap_err();
    assert_eq!(refused(0), AskFault::Protected(Protection::First));
    assert_eq!(refused(1), AskFault::Protected(Protection::First));
    let own = std::process::id();
    assert_eq!(refused(own), AskFault::Protected(Protection::Flota));
    assert_eq!(refused(u32::MAX), AskFault::Gone);
    let list = processes()
        .list(Columns::Basic, &Programs::default())
        .unwrap();
    if let Some(thread) = list.rows.iter().find(|row| row.is_kernel) {
        assert_eq!(refused(thread.pid), AskFault::Protected(Protection::Kernel));
    }
}

#[test]
fn a_stop_ends_the_whole_tree_and_kills_what_does_not_listen() {
    let script = "trap '' TERM; sleep 600 & sleep 600 & echo; while :; do wait; done";
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that nobody of Flota started"
    )]
    let mut command = Command::new("/bin/sh");
    let mut child = command
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .map(Program)
        .unwrap();
    // Both are forked once it has written.
    let mut line = [0];
    std::io::Read::read_exact(child.0.stdout.as_mut().unwrap(), &mut line).unwrap();
    let pid = child.0.id();
    let expected = Answer::Stopped {
        processes: 3,
        killed: true,
    };
    assert_eq!(stop(pid, Duration::from_millis(50)), Ok(expected));
    let list = processes()
        .list(Columns::Basic, &Programs::default())
        .unwrap();
    let left = list
        .rows
        .iter()
        .filter(|row| row.parent == pid && row.state != 'Z');
    assert_eq!(left.count(), 0);
}

#[test]
fn a_stop_of_a_program_that_listens_kills_nobody() {
    let child = Program::start("/bin/sleep", &["600"]);
    let expected = Answer::Stopped {
        processes: 1,
        killed: false,
    };
    assert_eq!(stop(child.0.id(), Duration::from_secs(20)), Ok(expected));
}

#[test]
fn a_tree_with_flota_in_it_is_not_stopped() {
    // The parent of this test process has it as a descendant.
    let parent = row_of(&processes(), std::process::id()).parent;
    if parent > 1 {
        let result = stop(parent, Duration::ZERO);
        assert!(matches!(result, Err(AskFault::Protected(_))), "{result:?}");
    }
}

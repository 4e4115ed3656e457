//! Processes of this machine, this very one among them.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::net::UnixListener,
    process::{Child, Command, Stdio},
};

use flota_model::{
    ids::NodeId,
    inspect::{FileKind, OpenFile, Socket},
    process::ProcessHandle,
};

use super::*;
use crate::machine;

/// A child that does not outlive its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(path: &str, arguments: &[&str]) -> Program {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that nobody of Flota started"
    )]
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env("FLOTA_TEST", "secret")
        .stdin(Stdio::null());
    Program(command.spawn().expect("it starts"))
}

fn of_pid(pid: u32) -> ProcessTarget {
    let node = NodeId(1);
    ProcessTarget::Pid { node, pid }
}

fn processes() -> Processes {
    Processes::new(machine::boot().unwrap())
}

fn inspect(target: ProcessTarget, values: Values) -> Result<ProcessDetail, AskFault> {
    processes().inspect(target, values, &Programs::default())
}

fn own() -> ProcessDetail {
    inspect(of_pid(std::process::id()), Values::Masked).unwrap()
}

#[test]
fn open_files_are_told_with_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a file");
    fs::write(&path, "12345").unwrap();
    let reader = File::open(&path).unwrap();
    let writer = File::options().write(true).open(&path).unwrap();
    let (pipe, _end) = std::io::pipe().unwrap();
    let place = File::open(folder.path()).unwrap();
    let files = own().files.unwrap().rows;
    let of = |descriptor: &dyn AsFd| -> OpenFile {
        let number = std::os::fd::AsRawFd::as_raw_fd(&descriptor.as_fd());
        let is_it = |file: &&OpenFile| i64::from(file.number) == i64::from(number);
        files.iter().find(is_it).unwrap().clone()
    };
    let reads = of(&reader);
    assert_eq!(reads.kind, FileKind::File);
    assert_eq!(reads.target, path.display().to_string());
    assert_eq!(
        (reads.is_readable, reads.is_writable),
        (Some(true), Some(false))
    );
    assert_eq!(reads.position, Some(0));
    let writes = of(&writer);
    assert_eq!(
        (writes.is_readable, writes.is_writable),
        (Some(false), Some(true))
    );
    assert_eq!(of(&pipe).kind, FileKind::Pipe);
    assert_eq!(of(&place).kind, FileKind::Folder);
}

#[test]
fn sockets_have_their_addresses_and_states() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a socket");
    let unix = UnixListener::bind(&path).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    let client = std::net::TcpStream::connect(address).unwrap();
    let near = client.local_addr().unwrap();
    let sockets = own().sockets.unwrap().rows;
    let of = |local: String| -> Socket {
        let is_it = |socket: &&Socket| socket.local.as_ref() == Some(&local);
        sockets.iter().find(is_it).expect(&local).clone()
    };
    let listening = Some("listening".to_owned());
    assert_eq!(of(path.display().to_string()).state, listening);
    let tcp = of(address.to_string());
    assert_eq!(
        (tcp.protocol.as_deref(), &tcp.state),
        (Some("tcp"), &listening)
    );
    assert_eq!(tcp.remote, None);
    let connected = of(near.to_string());
    assert_eq!(connected.remote, Some(address.to_string()));
    assert_eq!(connected.state.as_deref(), Some("established"));
    drop(unix);
}

#[test]
fn this_process_is_shown_from_all_sides() {
    let child = start("/bin/sleep", &["600"]);
    let detail = own();
    assert_eq!(detail.row.pid, std::process::id());
    let arguments: Vec<String> = std::env::args().collect();
    assert_eq!(detail.arguments.unwrap().rows, arguments);
    let here = std::env::current_dir().unwrap();
    assert_eq!(detail.folder, Ok(here.display().to_string()));
    assert_eq!(detail.root.as_deref(), Ok("/"));
    let program = std::env::current_exe().unwrap();
    assert_eq!(detail.program.unwrap().path, program.display().to_string());
    let limits = detail.limits.unwrap();
    assert!(limits.iter().any(|limit| limit.name == "Max open files"));
    assert!(detail.threads.unwrap().total >= 1);
    assert!(!detail.control_groups.unwrap().is_empty());
    assert!(detail.io.unwrap()["rchar"] > 0);
    assert!(detail.namespaces.unwrap().contains_key("net"));
    assert!(detail.memory.unwrap()["Rss"] > 0);
    assert!(detail.status.unwrap().contains_key("Uid"));
    let is_child = |row: &ChildRow| row.pid == child.0.id();
    assert!(detail.children.rows.iter().any(is_child));
}

#[test]
fn values_of_variables_are_shown_only_when_they_are_asked_for() {
    let child = start("/bin/sleep", &["600"]);
    let value = |values| {
        let detail = inspect(of_pid(child.0.id()), values).unwrap();
        let variables = detail.environment.unwrap().rows;
        let found = variables.into_iter().find(|one| one.name == "FLOTA_TEST");
        found.map(|variable| variable.value)
    };
    // Until it has executed its program it has the variables of this process.
    while value(Values::Masked).is_none() {
        std::thread::yield_now();
    }
    assert_eq!(value(Values::Masked), Some(None));
    assert_eq!(value(Values::Shown), Some(Some("secret".to_owned())));
}

#[test]
fn a_program_that_was_deleted_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sleep");
    fs::copy("/bin/sleep", &path).unwrap();
    let child = start(path.to_str().unwrap(), &["600"]);
    let program = || {
        inspect(of_pid(child.0.id()), Values::Masked)
            .unwrap()
            .program
    };
    let expected = path.display().to_string();
    while program().is_ok_and(|program| program.path != expected) {
        std::thread::yield_now();
    }
    fs::remove_file(&path).unwrap();
    let found = program().unwrap();
    assert_eq!((found.path, found.is_deleted), (expected, true));
}

#[test]
fn what_cannot_be_read_has_its_reason() {
    let mut child = start("/bin/sleep", &["600"]);
    let pid = child.0.id();
    let handle = own_handle(pid);
    child.0.kill().unwrap();
    let over = || inspect(of_pid(pid), Values::Masked).unwrap();
    while over().row.state != 'Z' {
        std::thread::yield_now();
    }
    // A zombie has no program, and nothing open.
    let zombie = over();
    assert!(zombie.program.is_err() && zombie.memory.is_err());
    assert_eq!(zombie.row.memory, None);
    assert!(inspect(ProcessTarget::Handle(handle), Values::Masked).is_ok());
    child.0.wait().unwrap();
    let gone = inspect(ProcessTarget::Handle(handle), Values::Masked);
    assert_eq!(gone, Err(AskFault::Gone));
}

fn own_handle(pid: u32) -> ProcessHandle {
    let detail = inspect(of_pid(pid), Values::Masked).unwrap();
    detail.row.handle(NodeId(1), detail.boot)
}

#[test]
fn a_handle_of_another_process_of_the_number_shows_nobody() {
    let pid = std::process::id();
    let handle = own_handle(pid);
    let asked = |handle| inspect(ProcessTarget::Handle(handle), Values::Masked);
    assert!(asked(handle).is_ok());
    for wrong in [
        ProcessHandle {
            start_time: handle.start_time + 1,
            ..handle
        },
        ProcessHandle {
            pidfd_inode: handle.pidfd_inode + 1,
            ..handle
        },
        ProcessHandle {
            boot: flota_model::ids::BootId(handle.boot.0 ^ 1),
            ..handle
        },
    ] {
        assert_eq!(asked(wrong).err(), Some(AskFault::Reused), "{wrong}");
    }
    assert_eq!(
        inspect(of_pid(u32::MAX), Values::Masked).err(),
        Some(AskFault::Gone)
    );
}

#[test]
fn lists_are_cut_to_their_limits_and_counted() {
    let part = part(0..PARTS_MAX + 7);
    assert_eq!((part.rows.len(), part.total), (PARTS_MAX, 1_031));
}

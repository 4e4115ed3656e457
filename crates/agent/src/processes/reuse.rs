//! Numbers that are used again (T4): in a PID namespace of its own, where the next number can be
//! chosen, every process gets the number of one that ended.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use flota_engine::policy::Policy;
use flota_model::{
    ids::NodeId,
    process::{AskFault, Columns, ProcessHandle, ProcessTarget},
};

use super::{Processes, Programs, signal};
use crate::machine;

/// Of the usual tests; `make soak` sets `FLOTA_REUSES`.
const ROUNDS: u64 = 300;
/// The last number that was given out in the namespace (`man 7 pid_namespaces`).
const LAST_NUMBER: &str = "/proc/sys/kernel/ns_last_pid";
/// The test below, by its name.
const INSIDE: &str = "processes::reuse::inside_a_namespace_of_its_own";

fn rounds() -> u64 {
    std::env::var("FLOTA_REUSES").map_or(ROUNDS, |text| text.parse().expect("a whole number"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "processes that nobody of Flota started"
)]
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

#[test]
fn a_stale_handle_never_hits_the_process_that_has_its_number_now() {
    let own = std::env::current_exe().unwrap();
    let mut unshare = command("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.arg(own);
    unshare.args(["--exact", INSIDE, "--ignored", "--nocapture"]);
    let told = unshare.output();
    let reason = match told {
        Ok(told) if told.status.success() => {
            let text = String::from_utf8_lossy(&told.stdout);
            assert!(text.contains("1 passed"), "{text}");
            println!("{text}");
            return;
        }
        Ok(told) => {
            let text = String::from_utf8_lossy(&told.stderr).into_owned();
            // What is not about the namespace is a fault of ours.
            assert!(text.starts_with("unshare:"), "{text}");
            text
        }
        Err(error) => error.to_string(),
    };
    println!("skipped: no PID namespace here: {reason}");
    assert!(
        std::env::var_os("CI").is_none(),
        "CI skips nothing: {reason}"
    );
}

/// A process that sleeps.
fn sleeper() -> Child {
    command("/bin/sleep").arg("600").spawn().expect("it starts")
}

/// One that has this number.
fn sleeper_with(number: u32) -> Child {
    loop {
        fs::write(LAST_NUMBER, (number - 1).to_string()).unwrap();
        let mut child = sleeper();
        if child.id() == number {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn handle_of(processes: &Processes, pid: u32) -> ProcessHandle {
    let list = processes.list(Columns::Full, &Programs::default()).unwrap();
    let row = list.rows.iter().find(|row| row.pid == pid).unwrap();
    row.handle(NodeId(1), list.boot)
}

#[test]
#[ignore = "run by the test above, in a PID namespace"]
fn inside_a_namespace_of_its_own() {
    let boot = machine::boot().unwrap();
    let processes = Processes::new(boot);
    let mut old = sleeper();
    let number = old.id();
    let mut alike = 0;
    for round in 0..rounds() {
        let stale = handle_of(&processes, number);
        old.kill().unwrap();
        old.wait().unwrap();
        let mut newcomer = sleeper_with(number);
        let target = ProcessTarget::Handle(stale);
        let grace = std::time::Duration::ZERO;
        let stopped = signal::stop((boot, &Policy::usual(true)), target, grace);
        assert_eq!(stopped, Err(AskFault::Reused), "round {round}");
        let killed = signal::signal((boot, &Policy::usual(true)), target, 9);
        assert_eq!(killed, Err(AskFault::Reused), "round {round}");
        assert_eq!(newcomer.try_wait().unwrap(), None, "hit in round {round}");
        let fresh = handle_of(&processes, number);
        assert_ne!(fresh, stale);
        alike += u64::from(fresh.start_time == stale.start_time);
        old = newcomer;
    }
    // Whoever was hit late would have ended by another signal.
    old.kill().unwrap();
    let status = old.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9)
    );
    println!(
        "{} stale handles of number {number}, 0 hits; {alike} had the start time of the newcomer",
        rounds()
    );
}

//! The data folder of an agent on a disk that becomes full.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use flota_model::{outcome::Outcome, spec::Retry};

use crate::{
    harness::{Gate, Node},
    server::{Server, job, script},
};

/// A file system of its own, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing may be mounted; that is a failure where the tests must be complete.
    fn mount(path: &Path) -> Option<Self> {
        if run(
            "mount",
            &["-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs"],
            path,
        ) {
            return Some(Self(path.to_owned()));
        }
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount");
        println!("skipped: this user may not mount a file system");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.0);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only root can fill a disk of its own"
)]
fn run(program: &str, words: &[&str], path: &Path) -> bool {
    let ended = Command::new(program).args(words).arg(path).status();
    ended.is_ok_and(|status| status.success())
}

/// Takes all room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write(&vec![0; size]).is_ok_and(|written| written > 0) {}
    }
}

/// A script of 50,000 bytes, unlike each other one: the journal holds each.
fn long(number: u64) -> String {
    format!("exit 3 # {number} {}", "x".repeat(50_000))
}

/// Grants attempts of a different program each until one is given back.
async fn grant_until_refused(server: &mut Server, first: u64) -> u64 {
    let mut granted = 0;
    let is_refused = |server: &Server| !server.forgotten.is_empty();
    while !is_refused(server) {
        assert!(granted < 300, "the disk does not become full");
        server.grant(
            first + granted,
            1,
            job(1, script(&long(granted)), Retry::Never),
        );
        granted += 1;
        let reports = server.reports.len();
        let more =
            |server: &Server| (server.reports.len() > reports || is_refused(server)).then_some(());
        server.wait("a report or a refusal", more).await;
    }
    granted
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_grants_are_refused_outcomes_kept_and_work_goes_on_with_room() {
    let mut server = Server::start().await;
    let mut node = Node::prepare(&server);
    let Some(_disk) = SmallDisk::mount(&node.path("")) else {
        return;
    };
    node.restart_agent();
    server.wait_hello(1).await;
    let gate = Gate::new(node.path("gate"));
    let text = format!("{}; exit {{index}}", gate.script());
    server.grant(0, 20, job(20, script(&text), Retry::Never));
    gate.wait(20);
    let filler = node.path("filler");
    fill(&filler);
    let granted = grant_until_refused(&mut server, 1_000).await;
    // Each was either run to its end or given back; none is forgotten in between.
    let ran = server.reports.range(1_000..).count();
    assert_eq!(u64::try_from(ran).unwrap() + 1, granted);
    assert_eq!(
        server.forgotten[0].first,
        server.attempt(1_000 + granted - 1)
    );
    // What ends now is told, for the room of its outcome was kept; also by the next agent.
    node.kill_agent();
    drop(gate);
    node.wait_processes(0);
    node.restart_agent();
    server.wait_hello(2).await;
    server.wait_reports(ran + 20).await;
    for index in 0..20 {
        let code = u8::try_from(index).unwrap();
        assert_eq!(server.reports[&index].outcome, Outcome::Exited { code });
    }
    fs::remove_file(&filler).unwrap();
    // It finds out by itself that there is room.
    let mut next = 5_000;
    while !server.reports.contains_key(&(next - 1)) {
        assert!(next < 5_100, "the disk has room, and nothing is accepted");
        let forgotten = server.forgotten.len();
        server.grant(next, 1, job(1, script(&long(next)), Retry::Never));
        let settled = |server: &Server| {
            let is_settled =
                server.reports.contains_key(&next) || server.forgotten.len() > forgotten;
            is_settled.then_some(())
        };
        server.wait("a report or a refusal", settled).await;
        next += 1;
        server.listen(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(
        server.reports[&(next - 1)].outcome,
        Outcome::Exited { code: 3 }
    );
}

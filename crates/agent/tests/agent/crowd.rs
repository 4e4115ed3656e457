//! Many services on one node, whose agent is killed: all are taken over, none is begun again.
//!
//! `FLOTA_SERVICES` makes them more (T14: 1,000).

use std::{collections::BTreeSet, fs, time::Duration};

use flota_model::{
    service::{ReplicaState, Service},
    spec::{JobSpec, LogKind, Program, Retry, Work},
};
use tokio::time::Instant;

use crate::{
    chance::number,
    harness::Node,
    server::{Server, job},
};

/// Far more than it takes, for so many: from the start of the agent to its hello, which comes once all
/// programs are taken over.
const ADOPTED_WITHIN: Duration = Duration::from_secs(20);
/// For the agent and for the keeper, beside this much for each service: what is theirs alone.
const OWN_BYTES_MAX: u64 = 48 << 20;
const SERVICE_BYTES_MAX: u64 = 32 << 10;
/// The same for open files (the agent has three of each service, the keeper five).
const OWN_FILES_MAX: u64 = 64;
const SERVICE_FILES_MAX: u64 = 6;

fn services(count: u32) -> JobSpec {
    let program = Program {
        argv: vec!["sleep".to_owned(), "1000".to_owned()],
        logs: LogKind::Rotated,
        ..Program::default()
    };
    let service = Service {
        replicas: count,
        ..Service::default()
    };
    JobSpec {
        service: Some(Box::new(service)),
        ..job(count, Work::Program(program), Retry::default())
    }
}

/// Bytes of a process that no other one shares.
fn own_bytes(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kibibytes: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kibibytes << 10
}

fn open_files(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

async fn wait_up(server: &mut Server, count: u64) {
    let are_up = |server: &Server| {
        let is_up = |state| matches!(state, ReplicaState::Running | ReplicaState::Ready);
        let up = server
            .replicas
            .values()
            .filter(|status| is_up(status.state));
        (up.count() as u64 == count).then_some(())
    };
    server.wait("all services to run", are_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_services_on_one_node_are_taken_over_by_the_next_agent() {
    let count = number("FLOTA_SERVICES", 50);
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    let count_32 = u32::try_from(count).unwrap();
    server.grant(0, count_32, services(count_32));
    wait_up(&mut server, count).await;
    node.wait_processes(count_32 as usize);
    let before: BTreeSet<u32> = node.programs().into_iter().collect();
    node.kill_agent();
    server.replicas.clear();
    let killed_at = Instant::now();
    node.restart_agent();
    server.wait_hello(2).await;
    let adopted = killed_at.elapsed();
    wait_up(&mut server, count).await;
    let after: BTreeSet<u32> = node.programs().into_iter().collect();
    assert_eq!(before, after, "some were begun again, or are gone");
    assert!(server.replicas.values().all(|status| status.restarts == 0));
    assert!(adopted < ADOPTED_WITHIN, "{adopted:?}");
    println!("{count} services were taken over in {adopted:?}");
    for (who, pid) in [("agent", node.agent_pid()), ("keeper", node.keeper_pid())] {
        let (bytes, files) = (own_bytes(pid), open_files(pid));
        println!("{who}: {bytes} bytes of its own, {files} open files");
        assert!(
            bytes <= OWN_BYTES_MAX + count * SERVICE_BYTES_MAX,
            "{who}: {bytes}"
        );
        assert!(
            files <= OWN_FILES_MAX + count * SERVICE_FILES_MAX,
            "{who}: {files}"
        );
    }
    server.cancel(0, count_32);
    server.wait_reports(count_32 as usize).await;
    node.wait_processes(0);
}

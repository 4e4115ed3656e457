//! Why work waits: the first condition that a node does not meet.

use std::time::Duration;

use flota_model::{
    command::Command,
    containment::{Containment, LimitKind, LimitSet},
    execution::Limits,
    resources::Resources,
    service::{Condition, Dependency, Placement, ReplicaView, WaitingFor},
    spec::{Constraints, JobSpec, Program, Work},
    state::TaskState,
    units::{Bytes, Cpus},
    waiting::{Halt, NODES_NAMED_MAX, Obstacle, Resource, Room, Shortage},
};

use super::{
    bench::{Agent, Bench, spec},
    services::{Host, apply, detail, plain, service},
};
use crate::fleet::{api::Event, queue::ClassKey};

fn room_for(bench: &Bench, spec: &JobSpec) -> Room {
    bench.fleet.room_for(&ClassKey::of(spec))
}

/// The obstacle of the only node.
fn only(bench: &Bench, spec: &JobSpec) -> Option<Obstacle> {
    let room = room_for(bench, spec);
    assert_eq!(room.nodes, 1);
    let obstacle = room.obstructions.into_iter().next();
    assert_eq!(room.free == 1, obstacle.is_none());
    obstacle.map(|obstruction| obstruction.obstacle)
}

fn cpus(count: u32) -> JobSpec {
    JobSpec {
        resources: Resources::of_cpus(Cpus::whole(count)),
        ..spec(1)
    }
}

fn constrained(change: impl FnOnce(&mut Constraints)) -> JobSpec {
    let mut constraints = Constraints::default();
    change(&mut constraints);
    JobSpec {
        constraints,
        ..spec(1)
    }
}

fn limited() -> JobSpec {
    let mut program = Program {
        argv: vec!["x".to_owned()],
        ..Program::default()
    };
    program.execution.limits = Limits {
        memory: Some(Bytes(1)),
        pids: Some(3),
        ..Limits::default()
    };
    JobSpec {
        work: Work::Program(program),
        ..spec(1)
    }
}

fn shortage(resource: Resource, wanted: u64, found: u64) -> Shortage {
    Shortage {
        resource,
        wanted,
        found,
    }
}

#[test]
fn each_condition_has_its_reason() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 4);
    agent.containment = Some(Containment {
        enforced: [LimitKind::Pids].into_iter().collect(),
        ..Containment::default()
    });
    agent.hello(&mut bench);
    let node = agent.node.expect("it was welcomed");
    let labels = &mut bench.fleet.nodes.known(node).record.labels;
    labels.insert("zone".to_owned(), "north".to_owned());
    bench.submit(cpus(3));
    let licence = |count| {
        let mut asked = spec(1);
        asked.resources.counters.insert("licence".to_owned(), count);
        asked
    };
    let memory = {
        let mut asked = spec(1);
        asked.resources.memory = Bytes(7);
        asked
    };
    let label = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        constrained(|constraints| {
            constraints.labels.insert(key, value);
        })
    };
    let wrong = |key: &str, wanted: &str, found: Option<&str>| Obstacle::Label {
        key: key.to_owned(),
        wanted: wanted.to_owned(),
        found: found.map(str::to_owned),
    };
    let table = [
        (cpus(1), None),
        (label("zone", "north"), None),
        (
            constrained(|constraints| constraints.node = Some("b".to_owned())),
            Some(Obstacle::OtherNode),
        ),
        (label("disk", "ssd"), Some(wrong("disk", "ssd", None))),
        (
            label("zone", "south"),
            Some(wrong("zone", "south", Some("north"))),
        ),
        (
            cpus(5),
            Some(Obstacle::TooSmall(shortage(Resource::Cpus, 5_000, 4_000))),
        ),
        (
            memory,
            Some(Obstacle::TooSmall(shortage(Resource::Memory, 7, 0))),
        ),
        (
            licence(2),
            Some(Obstacle::TooSmall(shortage(
                Resource::Counter("licence".to_owned()),
                2,
                0,
            ))),
        ),
        (
            cpus(2),
            Some(Obstacle::Occupied(shortage(Resource::Cpus, 2_000, 1_000))),
        ),
        // No node can enforce the limit of memory: the work is given out, and fails with the reason.
        (limited(), None),
    ];
    for (asked, expected) in table {
        assert_eq!(only(&bench, &asked), expected, "{asked:?}");
    }
}

#[test]
fn a_node_that_cannot_enforce_a_limit_is_told_apart_from_one_that_can() {
    let mut bench = Bench::new();
    let mut weak = Agent::new("weak", 1, 1);
    let mut able = Agent::new("able", 2, 1);
    able.containment = Some(Containment {
        enforced: LimitSet::ALL,
        ..Containment::default()
    });
    weak.hello(&mut bench);
    able.hello(&mut bench);
    let room = room_for(&bench, &limited());
    assert_eq!(room.free, 1);
    let both = [LimitKind::Memory, LimitKind::Pids].into_iter().collect();
    assert_eq!(room.obstructions[0].obstacle, Obstacle::Limits(both));
    assert_eq!(room.obstructions[0].names, ["weak"]);
}

#[test]
fn nodes_that_are_away_or_lost_or_kept_are_named_so() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    // The free core is kept for what needs both.
    bench.submit(cpus(1));
    bench.submit(cpus(2));
    assert_eq!(only(&bench, &cpus(1)), Some(Obstacle::Kept));
    bench.wait(Duration::from_secs(17));
    let gone = only(&bench, &cpus(1));
    assert_eq!(gone, Some(Obstacle::Lost), "no heartbeat for a lease");

    let mut restarted = bench.restarted();
    let room = room_for(&restarted, &cpus(1));
    assert_eq!(room.halt, None, "it was lost before");
    agent.hello(&mut restarted);
    let mut restarted = restarted.restarted();
    let room = room_for(&restarted, &cpus(1));
    assert_eq!(room.halt, Some(Halt::NodesAwaited));
    assert_eq!(room.obstructions[0].obstacle, Obstacle::Away);
    restarted.fleet.office.restored = true;
    let halt = room_for(&restarted, &cpus(1)).halt;
    assert_eq!(halt, Some(Halt::StoreBehind));
}

#[test]
fn nodes_of_which_one_would_say_the_same_are_counted_together() {
    let mut bench = Bench::new();
    let names = ["a", "b", "c", "d", "e"];
    for (nonce, name) in (1..).zip(names) {
        let cores = u32::try_from(nonce).expect("few");
        Agent::new(name, nonce, cores).hello(&mut bench);
    }
    let room = room_for(&bench, &cpus(9));
    assert_eq!((room.nodes, room.free, room.obstructions.len()), (5, 0, 1));
    let too_small = &room.obstructions[0];
    assert_eq!(too_small.nodes, 5);
    assert_eq!(too_small.names, names[..NODES_NAMED_MAX]);
    // As large as the largest.
    let expected = Obstacle::TooSmall(shortage(Resource::Cpus, 9_000, 5_000));
    assert_eq!(too_small.obstacle, expected);
    assert_eq!(room_for(&Bench::new(), &cpus(1)), Room::default());
}

fn waiting(bench: &mut Bench) -> Vec<Option<WaitingFor>> {
    let of = |view: &ReplicaView| view.waiting_for;
    detail(bench, "web").replicas.iter().map(of).collect()
}

#[test]
fn a_replica_that_waits_says_for_what() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    let apart = |service: &mut flota_model::service::Service| {
        service.placement = Placement::OnePerNode;
    };
    apply(&mut bench, service(2, apart));
    one.run(&mut bench);
    assert_eq!(waiting(&mut bench), [None, Some(WaitingFor::Room)]);
    let told = detail(&mut bench, "web");
    assert_eq!(told.rooms.len(), 1);
    assert_eq!(told.rooms[0].job, told.service.job);
    let room = &told.rooms[0].room;
    assert_eq!(room.obstructions[0].obstacle, Obstacle::HasReplica);
    assert_eq!(room.obstructions[0].names, ["one"]);

    // The new revision waits for the one of the same number, then for room.
    let argv = vec!["new".to_owned()];
    let changed = JobSpec {
        work: Work::Program(Program {
            argv,
            ..Program::default()
        }),
        ..plain(1)
    };
    apply(&mut bench, changed);
    let other = Some(WaitingFor::OtherRevision);
    assert_eq!(waiting(&mut bench).last(), Some(&other));
    assert_eq!(detail(&mut bench, "web").rooms, []);
}

#[test]
fn a_replica_that_waits_for_a_service_is_not_said_to_wait_for_room() {
    let mut bench = Bench::new();
    let dependency = Dependency {
        service: "store".to_owned(),
        condition: Condition::Healthy,
    };
    apply(
        &mut bench,
        service(1, |service| service.dependencies = vec![dependency]),
    );
    assert_eq!(waiting(&mut bench), [Some(WaitingFor::Dependencies)]);
    assert_eq!(detail(&mut bench, "web").rooms, []);
}

/// Found by the simulator (seed 480): with no node to look at, what was reserved was forgotten, and
/// the node that had been kept was looked at by nobody.
#[test]
fn a_node_that_is_kept_stays_so_while_others_come_and_go() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    bench.submit(cpus(1));
    let large = bench.submit(cpus(2));
    let later = bench.submit(cpus(1));
    let kept = |bench: &Bench| room_for(bench, &cpus(1)).obstructions[0].obstacle.clone();
    assert_eq!(kept(&bench), Obstacle::Kept);
    // A node that is gone again is no node to look at.
    let mut other = Agent::new("b", 2, 0);
    other.hello(&mut bench);
    bench.handle(Event::Disconnected {
        connection: other.connection(),
    });
    bench.wait(Duration::from_secs(1));
    assert_eq!(kept(&bench), Obstacle::Kept);
    // What it was kept for is given up: the others may have it at once.
    assert!(
        bench
            .command(Command::Cancel {
                job: large,
                reason: None
            })
            .is_ok()
    );
    assert_eq!(bench.states(later), [TaskState::Granted]);
}

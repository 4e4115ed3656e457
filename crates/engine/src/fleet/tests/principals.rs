use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    command::{Ask, Command, Principal, Query, Reply, Request},
    frame::Offer,
    ids::{JobId, RequestId},
    spec::{JobSpec, KernelCall, Program, Work},
    state::{Counts, TaskState},
};

use super::{
    super::api::{Effect, Event},
    bench::{Agent, Bench, sealed, spec},
};

fn ask(bench: &mut Bench, name: &str, ask: Ask) -> Reply {
    bench.requests += 1;
    let id = RequestId(bench.requests);
    let principal = Principal {
        name: name.to_owned(),
    };
    bench.handle(Event::Request(Request { id, principal, ask }));
    let reply = bench.turn.effects.iter().find_map(|effect| match effect {
        Effect::Reply { request, reply } if *request == id => Some(reply.clone()),
        _ => None,
    });
    reply.unwrap().unwrap()
}

fn submit(bench: &mut Bench, name: &str, tasks: u32) -> JobId {
    let command = Command::Submit {
        spec: sealed(spec(tasks)),
        rows: None,
        idempotency_key: None,
    };
    match ask(bench, name, Ask::Command(command)) {
        Reply::Submitted { job, .. } => job,
        other => panic!("{other:?}"),
    }
}

fn queue(bench: &mut Bench, name: &str) -> Counts {
    let query = Query::QueueOf {
        principal: name.to_owned(),
    };
    match ask(bench, name, Ask::Query(query)) {
        Reply::Queue(counts) => counts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_queue_is_cleared_of_what_waits_and_of_nothing_of_others() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("n1", 1, 1);
    agent.hello(&mut bench);
    let running = submit(&mut bench, "hpc", 1);
    let waiting = [submit(&mut bench, "hpc", 1), submit(&mut bench, "hpc", 3)];
    let other = submit(&mut bench, "local", 2);
    let before = queue(&mut bench, "hpc");
    assert_eq!(before.of(TaskState::Granted), 1);
    assert_eq!(before.of(TaskState::Waiting), 4);

    let cleared = ask(&mut bench, "hpc", Ask::Command(Command::ClearQueue));
    assert_eq!(cleared, Reply::Cleared { tasks: 4 });
    assert_eq!(bench.states(running), [TaskState::Granted]);
    assert_eq!(bench.states(other), [TaskState::Waiting; 2]);
    for job in waiting {
        assert!(bench.fleet.jobs.get(job).is_none(), "it is finished");
    }
    assert_eq!(queue(&mut bench, "hpc").of(TaskState::Waiting), 0);
    let again = ask(&mut bench, "hpc", Ask::Command(Command::ClearQueue));
    assert_eq!(again, Reply::Cleared { tasks: 0 });
}

#[test]
fn a_node_that_runs_only_some_kernels_gets_nothing_else() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("foreign", 1, 8);
    agent.offer = Offer {
        kernels: Some(BTreeSet::from(["julia".to_owned()])),
        listeners: BTreeMap::new(),
    };
    agent.hello(&mut bench);
    let program = Program {
        argv: vec!["true".to_owned()],
        ..Program::default()
    };
    let program = bench.submit(JobSpec {
        work: Work::Program(program),
        ..spec(1)
    });
    let other = bench.submit(spec(1));
    let julia = bench.submit(JobSpec {
        work: Work::Kernel(KernelCall {
            name: "julia".to_owned(),
            parameters: BTreeMap::new(),
        }),
        ..spec(1)
    });
    assert_eq!(bench.states(program), [TaskState::Waiting]);
    assert_eq!(bench.states(other), [TaskState::Waiting]);
    assert_eq!(bench.states(julia), [TaskState::Granted]);
}

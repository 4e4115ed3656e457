use flota_model::{
    containment::{Containment, ContainmentMode, LimitKind},
    execution::{Execution, Limits},
    spec::{Constraints, JobSpec, Program, Work},
    units::Bytes,
};

use super::bench::{Agent, Bench, spec};

fn limited(best_effort: bool) -> JobSpec {
    let limits = Limits {
        memory: Some(Bytes(1 << 30)),
        best_effort,
        ..Limits::default()
    };
    let program = Program {
        argv: vec!["true".to_owned()],
        execution: Box::new(Execution {
            limits,
            ..Execution::default()
        }),
        ..Program::default()
    };
    JobSpec {
        work: Work::Program(program),
        ..spec(4)
    }
}

/// An agent with many cores that can enforce these limits.
fn agent(name: &'static str, nonce: u64, kinds: &[LimitKind]) -> Agent {
    let mut agent = Agent::new(name, nonce, 8);
    agent.containment = Some(Containment {
        mode: ContainmentMode::Hybrid,
        enforced: kinds.iter().copied().collect(),
    });
    agent
}

/// How many attempts each gets: one that cannot enforce it, one that can, one that does not say.
fn placed(job: JobSpec, able: bool) -> [usize; 3] {
    let mut bench = Bench::new();
    let kinds: &[LimitKind] = if able { &[LimitKind::Memory] } else { &[] };
    let mut agents = [
        agent("unable", 1, &[LimitKind::Pids]),
        agent("able", 2, kinds),
        Agent::new("silent", 3, 8),
    ];
    for agent in &mut agents {
        agent.hello(&mut bench);
    }
    bench.submit(job);
    agents.map(|mut agent| {
        agent.listen(&bench);
        agent.attempts().len()
    })
}

#[test]
fn work_with_limits_goes_where_they_can_be_enforced() {
    assert_eq!(placed(limited(false), true), [0, 4, 0]);
    assert_eq!(placed(spec(3), true), [1, 1, 1]);
}

#[test]
fn work_is_placed_to_be_refused_where_no_node_could_ever_enforce_its_limits() {
    let counts = placed(limited(false), false);
    assert_eq!(counts.iter().sum::<usize>(), 4, "{counts:?}");
    let pinned = JobSpec {
        constraints: Constraints {
            node: Some("unable".to_owned()),
            ..Constraints::default()
        },
        ..limited(false)
    };
    assert_eq!(placed(pinned, true), [4, 0, 0]);
}

#[test]
fn best_effort_goes_anywhere() {
    let counts = placed(limited(true), true);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn a_node_that_can_and_is_away_for_a_moment_is_waited_for() {
    let mut bench = Bench::new();
    let mut able = agent("able", 1, &[LimitKind::Memory]);
    let mut unable = agent("unable", 2, &[]);
    able.hello(&mut bench);
    unable.hello(&mut bench);
    bench.handle(crate::fleet::api::Event::Disconnected {
        connection: able.connection(),
    });
    bench.submit(limited(false));
    unable.listen(&bench);
    assert_eq!(unable.attempts().len(), 0);
    able.hello(&mut bench);
    assert_eq!(able.attempts().len(), 4);
}

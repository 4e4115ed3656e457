//! Orders to processes: what is written down of them.

use flota_model::{
    change::{AuditRecord, Change},
    command::{Ask, Command, Principal, Reply, Request},
    frame::UpBody,
    ids::{NodeId, RequestId},
    process::{Answer, AskFault, ProcessTarget},
};

use super::bench::{Agent, Bench};
use crate::fleet::api::{Effect, Event};

const TARGET: ProcessTarget = ProcessTarget::Pid {
    node: NodeId(1),
    pid: 71,
};

/// Sends an order; nobody has answered it yet.
fn order(bench: &mut Bench, id: u64) {
    let principal = Principal {
        name: "ana".to_owned(),
    };
    let grace = std::time::Duration::from_secs(1);
    let command = Command::StopProcess {
        target: TARGET,
        grace,
    };
    bench.handle(Event::Request(Request {
        id: RequestId(id),
        principal,
        ask: Ask::Command(command),
    }));
}

/// Verbs and codes of the turn, all of the same order.
fn audited(bench: &Bench) -> Vec<(&'static str, Option<&'static str>)> {
    let record = |change: &Change| match change {
        Change::Audited(record) => Some(record.clone()),
        _ => None,
    };
    let records: Vec<AuditRecord> = bench.turn.changes.iter().filter_map(record).collect();
    for record in &records {
        assert_eq!(
            (record.principal.as_str(), record.object.as_str()),
            ("ana", "process/1/71")
        );
    }
    records
        .iter()
        .map(|record| (record.verb, record.refused))
        .collect()
}

fn replies(bench: &Bench) -> usize {
    let is_reply = |effect: &&Effect| {
        matches!(
            effect,
            Effect::Reply {
                reply: Ok(Reply::Answer(_)),
                ..
            }
        )
    };
    bench.turn.effects.iter().filter(is_reply).count()
}

#[test]
fn an_order_is_written_down_when_it_is_asked_and_when_it_is_answered() {
    let stopped = |killed| Answer::Stopped {
        processes: 3,
        killed,
    };
    for (answer, verb, code) in [
        (Ok(Answer::Signalled), "process.signalled", None),
        (Ok(stopped(false)), "process.stopped", None),
        (Ok(stopped(true)), "process.killed", None),
        (
            Err(AskFault::Reused),
            "process.failed",
            Some("E-PROCESS-REUSED"),
        ),
        (
            Err(AskFault::NotPermitted),
            "process.failed",
            Some("E-PROCESS-FORBIDDEN"),
        ),
    ] {
        let mut bench = Bench::new();
        let mut agent = Agent::new("n1", 1, 2);
        agent.hello(&mut bench);
        order(&mut bench, 9);
        assert_eq!(audited(&bench), [("process.stop", None)]);
        assert_eq!(replies(&bench), 0);
        let request = RequestId(9);
        agent.say(
            &mut bench,
            UpBody::Answer {
                request,
                answer: answer.clone(),
            },
        );
        assert_eq!(audited(&bench), [(verb, code)]);
        assert_eq!(replies(&bench), 1);
        // A second answer is to nothing that was asked.
        agent.say(&mut bench, UpBody::Answer { request, answer });
        assert_eq!((audited(&bench), replies(&bench)), (Vec::new(), 0));
    }
}

#[test]
fn an_order_that_no_node_answers_is_written_down_as_such() {
    let unreachable = ("process.failed", Some("E-NODE-UNREACHABLE"));
    let mut bench = Bench::new();
    order(&mut bench, 8);
    assert_eq!(audited(&bench), [("process.stop", None), unreachable]);
    assert_eq!(replies(&bench), 1);
    let mut agent = Agent::new("n1", 1, 2);
    agent.hello(&mut bench);
    order(&mut bench, 9);
    let connection = agent.connection();
    bench.handle(Event::Disconnected { connection });
    assert_eq!(audited(&bench), [unreachable]);
    assert_eq!(replies(&bench), 1);
}

//! Asking nodes for what only they know, and what it means when they do not say.

use std::{io, time::Duration};

use flota_model::{
    command::{Command, NodeView, Query, Reply},
    inspect::ProcessDetail,
    process::{Answer, AskFault, Columns, ProcessList, ProcessTarget, Protection, Question},
    state::NodePhase,
};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::{Desk, bug, desk::stopping};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{
        NODE_UNREACHABLE, PROCESS_ALIVE, PROCESS_FORBIDDEN, PROCESS_NOT_FOUND, PROCESS_PROTECTED,
        PROCESS_REUSED, PROCESS_UNCERTAIN, PROCESS_UNREADABLE, Problem,
    },
};

/// The processes of a node.
pub(super) async fn list(
    desk: &Desk,
    caller: &Caller,
    node: &NodeView,
    deadline: Instant,
) -> Result<ProcessList, Problem> {
    let permit = caller.may(Verb::ProcessRead, &Object::Node(node.name.clone()))?;
    if node.phase != NodePhase::Up {
        let detail = format!("node `{}` is {}", node.name, node.phase.word());
        return Err(Problem::new(NODE_UNREACHABLE, detail));
    }
    if Instant::now() >= deadline {
        return Err(late(node, "was not asked in time: too many others were"));
    }
    let question = Question::Processes {
        columns: Columns::Full,
    };
    let query = Query::Ask {
        node: node.node,
        question,
    };
    match timeout_at(deadline, desk.query(permit, query)).await {
        Ok(reply) => match answer_of(reply?)? {
            Ok(Answer::Processes(list)) => Ok(list),
            Ok(_) => Err(bug("a question for processes got another answer")),
            Err(fault) => Err(of_list(node, fault)),
        },
        Err(_) => Err(late(node, "did not answer in time")),
    }
}

/// One process from all sides.
pub(super) async fn inspect(
    desk: &Desk,
    caller: &Caller,
    node: &NodeView,
    target: ProcessTarget,
    with_values: bool,
) -> Result<ProcessDetail, Problem> {
    let verb = if with_values {
        Verb::ProcessSecrets
    } else {
        Verb::ProcessRead
    };
    let permit = caller.may(verb, &Object::Process(target))?;
    if node.phase != NodePhase::Up {
        let detail = format!("node `{}` is {}", node.name, node.phase.word());
        return Err(Problem::new(NODE_UNREACHABLE, detail));
    }
    let query = Query::Ask {
        node: node.node,
        question: Question::Inspect {
            target,
            with_values,
        },
    };
    let within = desk.settings().limits.list_within;
    match timeout(within, desk.query(permit, query)).await {
        Ok(reply) => match answer_of(reply?)? {
            Ok(Answer::Inspected(detail)) => Ok(*detail),
            Ok(_) => Err(bug("a question for a process got another answer")),
            Err(AskFault::Unreachable) => Err(of_list(node, AskFault::Unreachable)),
            Err(fault) => Err(problem(&shown(target), fault)),
        },
        Err(_) => Err(late(node, "did not answer in time")),
    }
}

fn late(node: &NodeView, what: &str) -> Problem {
    Problem::new(NODE_UNREACHABLE, format!("node `{}` {what}", node.name))
}

fn of_list(node: &NodeView, fault: AskFault) -> Problem {
    match fault {
        AskFault::Unreachable => late(node, "has gone, or has too many questions already"),
        AskFault::Gone
        | AskFault::Reused
        | AskFault::Uncertain
        | AskFault::Protected(_)
        | AskFault::NotPermitted
        | AskFault::Refused { .. }
        | AskFault::Alive { .. }
        | AskFault::Unreadable { .. } => problem(&node.name, fault),
    }
}

/// Has a node do something with a process. `within` is how long it may take there.
pub(super) async fn order(
    desk: &Desk,
    permit: Permit,
    command: Command,
    within: Duration,
) -> Result<Answer, Problem> {
    let (Command::SignalProcess { target, .. } | Command::StopProcess { target, .. }) = &command
    else {
        return Err(bug("a command that is for no process"));
    };
    let target = *target;
    let mut stop = desk.stop();
    let answered = tokio::select! {
        answered = timeout(within, desk.command(permit, command)) => answered,
        // A stop may take minutes, which the stop of the server does not wait for.
        () = stop.said() => return Err(stopping()),
    };
    let answer = match answered {
        Ok(reply) => answer_of(reply?)?,
        Err(_) => Err(AskFault::Unreachable),
    };
    answer.map_err(|fault| problem(&shown(target), fault))
}

/// What a node answered.
fn answer_of(reply: Reply) -> Result<Result<Answer, AskFault>, Problem> {
    let Reply::Answer(answer) = reply else {
        return Err(bug("a question to a node got another answer"));
    };
    Ok(answer)
}

fn shown(target: ProcessTarget) -> String {
    format!("process {target}")
}

/// What a fault means for whoever asked; `what` names what was asked about.
pub(super) fn problem(what: &str, fault: AskFault) -> Problem {
    let (kind, detail) = match fault {
        AskFault::Gone => (PROCESS_NOT_FOUND, "has ended"),
        AskFault::Reused => (
            PROCESS_REUSED,
            "is over: the number belongs to another one, or the machine was booted since",
        ),
        AskFault::Uncertain => (
            PROCESS_UNCERTAIN,
            "cannot be told from a later one of its number: the kernel of the node is older than 6.9",
        ),
        AskFault::Protected(protection) => (PROCESS_PROTECTED, protected(protection)),
        AskFault::NotPermitted => (
            PROCESS_FORBIDDEN,
            "belongs to a user that the agent of the node may not signal",
        ),
        AskFault::Refused { rule, pid } => {
            let rule = rule.word();
            let detail = format!(
                "{what} is left alone: the policy of the node forbids to signal {pid} (rule `{rule}`)"
            );
            return Problem::new(PROCESS_FORBIDDEN, detail);
        }
        AskFault::Alive {
            processes,
            pid,
            in_kernel,
        } => {
            let why = if in_kernel {
                "waits inside the kernel (state D), where no signal reaches it"
            } else {
                "has not ended yet"
            };
            let detail = format!(
                "{what} was killed, and {processes} of it and its descendants are left: {pid} {why}"
            );
            return Problem::new(PROCESS_ALIVE, detail);
        }
        AskFault::Unreachable => (
            NODE_UNREACHABLE,
            "is on a node that did not answer; what was asked may have been done or not",
        ),
        AskFault::Unreadable { errno } => {
            let cause = io::Error::from_raw_os_error(errno);
            return Problem::new(PROCESS_UNREADABLE, format!("{what}: {cause}"));
        }
    };
    Problem::new(kind, format!("{what} {detail}"))
}

fn protected(protection: Protection) -> &'static str {
    match protection {
        Protection::First => "is the first one of its machine, or no single process",
        Protection::Kernel => "is a thread of the kernel",
        Protection::Flota => "is a part of Flota, or has one among its descendants",
    }
}

#[cfg(test)]
mod tests {
    use flota_model::policy::Rule;

    use super::*;

    #[test]
    fn every_fault_of_a_node_has_its_own_problem() {
        let check = |fault, status, code: &str| {
            let problem = problem("process 1-2", fault);
            let kind = problem.kind();
            assert_eq!((kind.status, kind.code), (status, code));
            assert_eq!(fault.code(), code);
            assert!(problem.detail().starts_with("process 1-2"), "{problem:?}");
        };
        check(AskFault::Gone, 404, "E-PROCESS-NOTFOUND");
        check(AskFault::Reused, 410, "E-PROCESS-REUSED");
        check(AskFault::Uncertain, 409, "E-PROCESS-UNCERTAIN");
        for protection in [Protection::First, Protection::Kernel, Protection::Flota] {
            let fault = AskFault::Protected(protection);
            check(fault, 403, "E-PROCESS-PROTECTED");
        }
        check(AskFault::NotPermitted, 403, "E-PROCESS-FORBIDDEN");
        let (rule, pid) = (Rule::Signals, 71);
        let refused = AskFault::Refused { rule, pid };
        check(refused, 403, "E-PROCESS-FORBIDDEN");
        let detail = problem("process 1-2", refused);
        assert!(detail.detail().contains("71 (rule `signals`)"));
        for in_kernel in [true, false] {
            let (processes, pid) = (2, 71);
            let fault = AskFault::Alive {
                processes,
                pid,
                in_kernel,
            };
            check(fault, 409, "E-PROCESS-ALIVE");
            let problem = problem("process 1-2", fault);
            assert_eq!(problem.detail().contains("state D"), in_kernel);
        }
        check(
            AskFault::Unreadable { errno: 11 },
            502,
            "E-PROCESS-UNREADABLE",
        );
        check(AskFault::Unreachable, 503, "E-NODE-UNREACHABLE");
    }
}

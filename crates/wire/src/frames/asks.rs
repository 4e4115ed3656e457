//! Questions of the server.

use std::time::Duration;

use flota_model::{
    ids::{BootId, NodeId, RequestId},
    process::{Columns, GRACE_MAX, ProcessHandle, ProcessTarget, Question, SIGNAL_MAX},
};

use super::{
    DecodeFault, logs,
    proto::{self, ask::Question as Asked},
    up::halves,
};

pub(super) fn encode(request: RequestId, question: Question) -> proto::Ask {
    let question = match question {
        Question::Processes { columns } => Asked::Processes(proto::ProcessesQuestion {
            full: columns == Columns::Full,
        }),
        Question::Inspect {
            target,
            with_values,
        } => Asked::Inspect(proto::InspectQuestion {
            target: Some(encode_target(target)),
            with_values,
        }),
        Question::Signal { target, signal } => Asked::Signal(proto::SignalQuestion {
            target: Some(encode_target(target)),
            signal: signal.into(),
        }),
        Question::Stop { target, grace } => Asked::Stop(encode_stop(target, grace)),
        Question::Log(question) => Asked::Log(logs::encode_question(&question)),
    };
    proto::Ask {
        request: request.0,
        question: Some(question),
    }
}

pub(super) fn decode(ask: proto::Ask) -> Result<Question, DecodeFault> {
    Ok(
        match ask.question.ok_or(DecodeFault::Missing("ask.question"))? {
            Asked::Processes(asked) => Question::Processes {
                columns: if asked.full {
                    Columns::Full
                } else {
                    Columns::Basic
                },
            },
            Asked::Inspect(asked) => Question::Inspect {
                target: decode_target(asked.target)?,
                with_values: asked.with_values,
            },
            Asked::Signal(asked) => Question::Signal {
                target: decode_target(asked.target)?,
                signal: u8::try_from(asked.signal)
                    .ok()
                    .filter(|signal| (1..=SIGNAL_MAX).contains(signal))
                    .ok_or(DecodeFault::Invalid {
                        field: "signal.signal",
                        what: "is no signal",
                    })?,
            },
            Asked::Stop(asked) => {
                let (target, grace) = decode_stop(asked)?;
                Question::Stop { target, grace }
            }
            Asked::Log(asked) => Question::Log(logs::decode_question(asked)?),
        },
    )
}

pub(super) fn encode_stop(target: ProcessTarget, grace: Duration) -> proto::StopQuestion {
    proto::StopQuestion {
        target: Some(encode_target(target)),
        grace_micros: u64::try_from(grace.as_micros()).unwrap_or(u64::MAX),
    }
}

pub(super) fn decode_stop(
    asked: proto::StopQuestion,
) -> Result<(ProcessTarget, Duration), DecodeFault> {
    Ok((
        decode_target(asked.target)?,
        decode_grace(asked.grace_micros)?,
    ))
}

fn decode_grace(micros: u64) -> Result<Duration, DecodeFault> {
    let grace = Duration::from_micros(micros);
    if grace <= GRACE_MAX {
        return Ok(grace);
    }
    Err(DecodeFault::Invalid {
        field: "stop.grace_micros",
        what: "is more than five minutes",
    })
}

fn encode_target(target: ProcessTarget) -> proto::ProcessTarget {
    match target {
        ProcessTarget::Pid { node, pid } => proto::ProcessTarget {
            node: node.0,
            pid,
            identity: None,
        },
        ProcessTarget::Handle(handle) => {
            let [boot_high, boot_low] = halves(handle.boot);
            proto::ProcessTarget {
                node: handle.node.0,
                pid: handle.pid,
                identity: Some(proto::ProcessIdentity {
                    boot_high,
                    boot_low,
                    start_time: handle.start_time,
                    pidfd_inode: handle.pidfd_inode,
                }),
            }
        }
    }
}

fn decode_target(target: Option<proto::ProcessTarget>) -> Result<ProcessTarget, DecodeFault> {
    let target = target.ok_or(DecodeFault::Missing("ask.target"))?;
    let (node, pid) = (NodeId(target.node), target.pid);
    Ok(match target.identity {
        None => ProcessTarget::Pid { node, pid },
        Some(identity) => ProcessTarget::Handle(ProcessHandle {
            node,
            boot: BootId(u128::from(identity.boot_high) << 64 | u128::from(identity.boot_low)),
            pid,
            start_time: identity.start_time,
            pidfd_inode: identity.pidfd_inode,
        }),
    })
}

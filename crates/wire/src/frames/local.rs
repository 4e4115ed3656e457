//! Orders of a node's own clients, and what came of them.

use flota_model::{
    ids::{JobId, RequestId},
    local::{LocalOrder, LocalRefusal, LocalReply, REFUSAL_LENGTH_MAX},
    spec::KernelCall,
};

use super::{
    DecodeFault, asks, at_most,
    proto::{self, local_answer::Answer as Answered, local_order::Order as Ordered},
};
use crate::spec::ENTRIES_MAX;

/// Longest name of a job, in bytes, as in specs.
const NAME_LENGTH_MAX: usize = 128;
/// Most arguments, and most bytes of all of them: the longest line that a client may send.
const ARGUMENTS_MAX: usize = 4_096;
const ARGUMENTS_LENGTH_MAX: usize = 64 << 10;
/// Longest code of a refusal, in bytes.
const CODE_LENGTH_MAX: usize = 64;

pub(super) fn encode_order(request: RequestId, order: &LocalOrder) -> proto::LocalOrder {
    let order = match order {
        LocalOrder::Start { name, argv } => Ordered::Start(proto::LocalStart {
            name: name.clone(),
            argv: argv.clone(),
        }),
        LocalOrder::Compute { name, call } => Ordered::Compute(proto::LocalCompute {
            name: name.clone(),
            kernel: call.name.clone(),
            parameters: call.parameters.clone(),
        }),
        LocalOrder::Stop { target, grace } => Ordered::Stop(asks::encode_stop(*target, *grace)),
    };
    proto::LocalOrder {
        request: request.0,
        order: Some(order),
    }
}

pub(super) fn decode_order(order: proto::LocalOrder) -> Result<LocalOrder, DecodeFault> {
    let missing = DecodeFault::Missing("local_order.order");
    Ok(match order.order.ok_or(missing)? {
        Ordered::Start(proto::LocalStart { name, argv }) => {
            at_most("start.name", name.len(), NAME_LENGTH_MAX)?;
            at_most("start.argv", argv.len(), ARGUMENTS_MAX)?;
            let length = argv.iter().map(String::len).sum();
            at_most("start.argv", length, ARGUMENTS_LENGTH_MAX)?;
            LocalOrder::Start { name, argv }
        }
        Ordered::Compute(proto::LocalCompute {
            name,
            kernel,
            parameters,
        }) => {
            at_most("compute.name", name.len(), NAME_LENGTH_MAX)?;
            at_most("compute.kernel", kernel.len(), NAME_LENGTH_MAX)?;
            at_most("compute.parameters", parameters.len(), ENTRIES_MAX)?;
            let texts = parameters.iter();
            let length = texts.map(|(name, value)| name.len() + value.len()).sum();
            at_most("compute.parameters", length, ARGUMENTS_LENGTH_MAX)?;
            let call = KernelCall {
                name: kernel,
                parameters,
            };
            LocalOrder::Compute { name, call }
        }
        Ordered::Stop(stop) => {
            let (target, grace) = asks::decode_stop(stop)?;
            LocalOrder::Stop { target, grace }
        }
    })
}

pub(super) fn encode_answer(
    request: RequestId,
    answer: &Result<LocalReply, LocalRefusal>,
) -> proto::LocalAnswer {
    let answer = match answer {
        Ok(LocalReply::Accepted { job }) => Answered::Accepted(job.0),
        Ok(LocalReply::Stopped) => Answered::Stopped(true),
        Err(LocalRefusal { code, detail }) => Answered::Refusal(proto::LocalRefusal {
            code: code.clone(),
            detail: detail.clone(),
        }),
    };
    proto::LocalAnswer {
        request: request.0,
        answer: Some(answer),
    }
}

pub(super) fn decode_answer(
    answer: proto::LocalAnswer,
) -> Result<Result<LocalReply, LocalRefusal>, DecodeFault> {
    let missing = DecodeFault::Missing("local_answer.answer");
    Ok(match answer.answer.ok_or(missing)? {
        Answered::Accepted(job) => Ok(LocalReply::Accepted { job: JobId(job) }),
        Answered::Stopped(_) => Ok(LocalReply::Stopped),
        Answered::Refusal(proto::LocalRefusal { code, detail }) => {
            at_most("refusal.code", code.len(), CODE_LENGTH_MAX)?;
            at_most("refusal.detail", detail.len(), REFUSAL_LENGTH_MAX)?;
            Err(LocalRefusal { code, detail })
        }
    })
}

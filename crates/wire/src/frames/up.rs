//! Frames from agent to server.

use std::collections::BTreeMap;

use flota_model::{
    containment::{Containment, ContainmentMode, LimitSet},
    frame::{
        Held, HeldState, Hello, OFFERED_MAX, OUTPUT_PART_MAX, Offer, OutputFault, OutputPart, Up,
        UpBody,
    },
    ids::{BootId, NodeId, Nonce, RequestId, SessionNumber},
    units::Moment,
};

use super::{
    DecodeFault, answers, at_most,
    common::{
        check_total, decode_authority, decode_enum, decode_range, decode_ranges, decode_resources,
        encode_authority, encode_range, encode_ranges, encode_resources, unknown,
    },
    local,
    proto::{self, up::Body},
    replicas, reports, samples,
};
use crate::spec::{ENTRIES_MAX, is_label_value, is_name};

pub(super) fn encode(frame: &Up) -> proto::Up {
    let body = match &frame.body {
        UpBody::Hello(hello) => Body::Hello(encode_hello(hello)),
        UpBody::Heartbeat {
            sent_at,
            running,
            sample,
        } => Body::Heartbeat(proto::Heartbeat {
            sent_at: sent_at.0,
            running: encode_ranges(running),
            sample: sample.as_deref().map(samples::encode),
        }),
        UpBody::Reports(list) => Body::Reports(reports::encode(list)),
        UpBody::Forgotten(ranges) => Body::Forgotten(proto::AttemptRanges {
            ranges: encode_ranges(ranges),
        }),
        UpBody::OutputPart { request, part } => Body::OutputPart(encode_part(*request, part)),
        UpBody::Answer { request, answer } => Body::Answer(answers::encode(*request, answer)),
        UpBody::Replicas(statuses) => Body::Replicas(replicas::encode(statuses)),
        UpBody::LocalOrder { request, order } => {
            Body::LocalOrder(local::encode_order(*request, order))
        }
    };
    proto::Up {
        session: frame.session.0,
        sequence: frame.sequence,
        body: Some(body),
    }
}

pub(super) fn decode(frame: proto::Up) -> Result<Up, DecodeFault> {
    let body = match frame.body.ok_or(DecodeFault::Missing("up.body"))? {
        Body::Hello(hello) => UpBody::Hello(Box::new(decode_hello(hello)?)),
        Body::Heartbeat(heartbeat) => UpBody::Heartbeat {
            sent_at: Moment(heartbeat.sent_at),
            running: decode_ranges("heartbeat.running", heartbeat.running)?,
            sample: match heartbeat.sample {
                Some(sample) => Some(Box::new(samples::decode(sample)?)),
                None => None,
            },
        },
        Body::Reports(list) => UpBody::Reports(reports::decode(list)?),
        Body::Forgotten(list) => UpBody::Forgotten(decode_ranges("forgotten", list.ranges)?),
        Body::OutputPart(answer) => UpBody::OutputPart {
            request: RequestId(answer.request),
            part: decode_part(answer)?,
        },
        Body::Answer(answer) => UpBody::Answer {
            request: RequestId(answer.request),
            answer: answers::decode(answer)?,
        },
        Body::Replicas(list) => UpBody::Replicas(replicas::decode(list)?),
        Body::LocalOrder(order) => UpBody::LocalOrder {
            request: RequestId(order.request),
            order: local::decode_order(order)?,
        },
    };
    Ok(Up {
        session: SessionNumber(frame.session),
        sequence: frame.sequence,
        body,
    })
}

fn encode_hello(hello: &Hello) -> proto::Hello {
    let [high, low] = halves(hello.boot);
    proto::Hello {
        protocol: hello.protocol,
        version: hello.version.clone(),
        name: hello.name.clone(),
        node: hello.node.map(|node| node.0),
        nonce_previous: hello.nonce_previous.map(|nonce| nonce.0),
        nonce: hello.nonce.0,
        boot_high: high,
        boot_low: low,
        journal: hello.journal.0,
        obeyed: Some(encode_authority(hello.obeyed)),
        capacity: Some(encode_resources(&hello.capacity)),
        labels: hello.labels.clone(),
        held: hello.held.iter().map(encode_held).collect(),
        containment: hello.containment.map(encode_containment),
        only_kernels: hello.offer.kernels.as_ref().map(|kernels| proto::Kernels {
            names: kernels.iter().cloned().collect(),
        }),
        listeners: hello
            .offer
            .listeners
            .iter()
            .map(|(word, address)| (word.clone(), address.to_string()))
            .collect(),
    }
}

/// What people read of a node, within the bounds that specs have too: a node that no constraint
/// could name, or whose name fills a page, does not get in.
fn check_hello(hello: &Hello) -> Result<(), DecodeFault> {
    let invalid = |field, what| Err(DecodeFault::Invalid { field, what });
    if !is_name(&hello.name) {
        return invalid("hello.name", "is no name of a node");
    }
    if !is_label_value(&hello.version) {
        return invalid(
            "hello.version",
            "is longer than 63 bytes or has control characters",
        );
    }
    at_most("hello.labels", hello.labels.len(), ENTRIES_MAX)?;
    if !hello.labels.keys().all(|name| is_name(name)) {
        return invalid("hello.labels", "has a name that is none");
    }
    if !hello.labels.values().all(|value| is_label_value(value)) {
        return invalid("hello.labels", "has a value that is none");
    }
    let counters = &hello.capacity.counters;
    at_most("hello.capacity.counters", counters.len(), ENTRIES_MAX)?;
    if !counters.keys().all(|name| is_name(name)) {
        return invalid("hello.capacity.counters", "has a name that is none");
    }
    Ok(())
}

fn decode_hello(hello: proto::Hello) -> Result<Hello, DecodeFault> {
    let held: Vec<Held> = hello
        .held
        .into_iter()
        .map(decode_held)
        .collect::<Result<_, _>>()?;
    check_total("hello.held", held.iter().map(|held| held.attempts))?;
    let hello = Hello {
        protocol: hello.protocol,
        version: hello.version,
        name: hello.name,
        node: hello.node.map(NodeId),
        nonce_previous: hello.nonce_previous.map(Nonce),
        nonce: Nonce(hello.nonce),
        boot: BootId(u128::from(hello.boot_high) << 64 | u128::from(hello.boot_low)),
        journal: Nonce(hello.journal),
        obeyed: decode_authority("hello.obeyed", hello.obeyed)?,
        capacity: decode_resources("hello.capacity", hello.capacity)?,
        labels: hello.labels,
        held,
        containment: hello.containment.map(decode_containment).transpose()?,
        offer: decode_offer(hello.only_kernels, hello.listeners)?,
    };
    check_hello(&hello)?;
    Ok(hello)
}

fn decode_offer(
    kernels: Option<proto::Kernels>,
    listeners: BTreeMap<String, String>,
) -> Result<Offer, DecodeFault> {
    let invalid = |field, what| DecodeFault::Invalid { field, what };
    let kernels = kernels.map(|kernels| kernels.names);
    at_most(
        "hello.only_kernels",
        kernels.as_ref().map_or(0, Vec::len),
        OFFERED_MAX,
    )?;
    if !kernels.iter().flatten().all(|name| is_name(name)) {
        return Err(invalid("hello.only_kernels", "has a name that is none"));
    }
    at_most("hello.listeners", listeners.len(), OFFERED_MAX)?;
    let listeners = listeners.into_iter().map(|(word, address)| {
        if !is_name(&word) {
            return Err(invalid("hello.listeners", "has a name that is none"));
        }
        let address = address.parse();
        let address = address.map_err(|_| invalid("hello.listeners", "has no address"))?;
        Ok((word, address))
    });
    Ok(Offer {
        kernels: kernels.map(|names| names.into_iter().collect()),
        listeners: listeners.collect::<Result<_, _>>()?,
    })
}

pub(super) fn halves(boot: BootId) -> [u64; 2] {
    let bytes = boot.0.to_be_bytes();
    let (halves, _) = bytes.as_chunks::<8>();
    [u64::from_be_bytes(halves[0]), u64::from_be_bytes(halves[1])]
}

fn encode_containment(containment: Containment) -> proto::Containment {
    let mode = match containment.mode {
        ContainmentMode::Unified => proto::ContainmentMode::Unified,
        ContainmentMode::Hybrid => proto::ContainmentMode::Hybrid,
        ContainmentMode::VersionOne => proto::ContainmentMode::VersionOne,
        ContainmentMode::Sessions => proto::ContainmentMode::Sessions,
    };
    proto::Containment {
        mode: mode.into(),
        enforced: containment.enforced.bits(),
    }
}

fn decode_containment(containment: proto::Containment) -> Result<Containment, DecodeFault> {
    let mode = match decode_enum("containment.mode", containment.mode)? {
        proto::ContainmentMode::Unspecified => return Err(unknown("containment.mode", 0)),
        proto::ContainmentMode::Unified => ContainmentMode::Unified,
        proto::ContainmentMode::Hybrid => ContainmentMode::Hybrid,
        proto::ContainmentMode::VersionOne => ContainmentMode::VersionOne,
        proto::ContainmentMode::Sessions => ContainmentMode::Sessions,
    };
    Ok(Containment {
        mode,
        enforced: LimitSet::of_bits(containment.enforced),
    })
}

fn encode_held(held: &Held) -> proto::Held {
    let state = match held.state {
        HeldState::Granted => proto::HeldState::Granted,
        HeldState::Running => proto::HeldState::Running,
        HeldState::Ended => proto::HeldState::Ended,
    };
    proto::Held {
        attempts: Some(encode_range(&held.attempts)),
        state: state.into(),
    }
}

fn decode_held(held: proto::Held) -> Result<Held, DecodeFault> {
    let state = match decode_enum("held.state", held.state)? {
        proto::HeldState::Unspecified => return Err(unknown("held.state", 0)),
        proto::HeldState::Granted => HeldState::Granted,
        proto::HeldState::Running => HeldState::Running,
        proto::HeldState::Ended => HeldState::Ended,
    };
    Ok(Held {
        attempts: decode_range("held.attempts", held.attempts)?,
        state,
    })
}

fn encode_part(
    request: RequestId,
    part: &Result<OutputPart, OutputFault>,
) -> proto::OutputPartAnswer {
    use proto::{OutputFaultKind as Kind, output_part_answer::Answer};
    let fault = |kind: Kind, errno| {
        Answer::Fault(proto::OutputFault {
            kind: kind.into(),
            errno,
        })
    };
    let answer = match part {
        Ok(part) => Answer::Part(proto::OutputPart {
            bytes: part.bytes.clone(),
            length: part.length,
            growing: part.growing,
        }),
        Err(OutputFault::Gone) => fault(Kind::Gone, 0),
        Err(OutputFault::Unreadable { errno }) => fault(Kind::Unreadable, *errno),
        Err(OutputFault::Unreachable) => fault(Kind::Unreachable, 0),
    };
    proto::OutputPartAnswer {
        request: request.0,
        answer: Some(answer),
    }
}

fn decode_part(
    answer: proto::OutputPartAnswer,
) -> Result<Result<OutputPart, OutputFault>, DecodeFault> {
    use proto::{OutputFaultKind as Kind, output_part_answer::Answer};
    let part = match answer
        .answer
        .ok_or(DecodeFault::Missing("output_part.answer"))?
    {
        Answer::Part(part) => part,
        Answer::Fault(fault) => {
            let field = "output_part.fault.kind";
            return Ok(Err(match decode_enum(field, fault.kind)? {
                Kind::Unspecified => return Err(unknown(field, 0)),
                Kind::Gone => OutputFault::Gone,
                Kind::Unreadable => OutputFault::Unreadable { errno: fault.errno },
                Kind::Unreachable => OutputFault::Unreachable,
            }));
        }
    };
    at_most(
        "output_part.bytes",
        part.bytes.len(),
        OUTPUT_PART_MAX as usize,
    )?;
    Ok(Ok(OutputPart {
        bytes: part.bytes,
        length: part.length,
        growing: part.growing,
    }))
}

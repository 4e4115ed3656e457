//! Frames from server to agent.

use std::time::Duration;

use flota_model::{
    frame::{Down, DownBody, GrantOrder, HelloRefusal, OUTPUT_PART_MAX},
    ids::{JobId, NodeId, RequestId, SessionNumber, SpecHash, TaskIndex},
    parameters::{COLUMNS_MAX, ROWS_OF_GRANT_MAX, Rows},
    spec::SealedSpec,
    units::Moment,
};

use super::{
    DecodeFault, asks, at_most,
    common::{
        check_total, decode_attempt, decode_authority, decode_enum, decode_range, decode_ranges,
        decode_stream, encode_attempt, encode_authority, encode_range, encode_ranges,
        encode_stream, unknown,
    },
    local,
    proto::{self, down::Body},
};
use crate::spec::unseal_hashed;

pub(super) fn encode(frame: &Down) -> proto::Down {
    let ranges = |ranges| proto::AttemptRanges {
        ranges: encode_ranges(ranges),
    };
    let body = match &frame.body {
        DownBody::Welcome { node, lease, fresh } => Body::Welcome(proto::Welcome {
            node: node.0,
            lease_micros: u64::try_from(lease.as_micros()).unwrap_or(u64::MAX),
            fresh: *fresh,
        }),
        DownBody::Refused(refusal) => Body::Refused(encode_refusal(refusal)),
        DownBody::HeartbeatSeen { sent_at } => {
            Body::HeartbeatSeen(proto::HeartbeatSeen { sent_at: sent_at.0 })
        }
        DownBody::Grants { specs, orders } => Body::Grants(proto::Grants {
            specs: specs.iter().map(encode_spec).collect(),
            orders: orders.iter().map(encode_order).collect(),
        }),
        DownBody::Forget(list) => Body::Forget(ranges(list)),
        DownBody::Retract(list) => Body::Retract(ranges(list)),
        DownBody::Cancel(list) => Body::Cancel(ranges(list)),
        DownBody::Acknowledge(list) => Body::Acknowledge(ranges(list)),
        DownBody::ReadOutput {
            request,
            attempt,
            stream,
            offset,
            length,
        } => Body::ReadOutput(proto::ReadOutput {
            request: request.0,
            attempt: Some(encode_attempt(*attempt)),
            stream: encode_stream(*stream).into(),
            offset: *offset,
            length: *length,
        }),
        DownBody::Ask { request, question } => Body::Ask(asks::encode(*request, *question)),
        DownBody::LocalAnswer { request, answer } => {
            Body::LocalAnswer(local::encode_answer(*request, answer))
        }
    };
    proto::Down {
        session: frame.session.0,
        sequence: frame.sequence,
        authority: Some(encode_authority(frame.authority)),
        body: Some(body),
    }
}

pub(super) fn decode(frame: proto::Down) -> Result<Down, DecodeFault> {
    let body = match frame.body.ok_or(DecodeFault::Missing("down.body"))? {
        Body::Welcome(welcome) => DownBody::Welcome {
            node: NodeId(welcome.node),
            lease: Duration::from_micros(welcome.lease_micros),
            fresh: welcome.fresh,
        },
        Body::Refused(refusal) => DownBody::Refused(decode_refusal(refusal)?),
        Body::HeartbeatSeen(seen) => DownBody::HeartbeatSeen {
            sent_at: Moment(seen.sent_at),
        },
        Body::Grants(grants) => decode_grants(grants)?,
        Body::Forget(list) => DownBody::Forget(decode_ranges("forget", list.ranges)?),
        Body::Retract(list) => DownBody::Retract(decode_ranges("retract", list.ranges)?),
        Body::Cancel(list) => DownBody::Cancel(decode_ranges("cancel", list.ranges)?),
        Body::Acknowledge(list) => {
            DownBody::Acknowledge(decode_ranges("acknowledge", list.ranges)?)
        }
        Body::ReadOutput(read) => decode_read(read)?,
        Body::Ask(ask) => DownBody::Ask {
            request: RequestId(ask.request),
            question: asks::decode(ask)?,
        },
        Body::LocalAnswer(answer) => DownBody::LocalAnswer {
            request: RequestId(answer.request),
            answer: local::decode_answer(answer)?,
        },
    };
    Ok(Down {
        session: SessionNumber(frame.session),
        sequence: frame.sequence,
        authority: decode_authority("down.authority", frame.authority)?,
        body,
    })
}

fn encode_refusal(refusal: &HelloRefusal) -> proto::HelloRefusal {
    use proto::HelloRefusalKind as Kind;
    let (kind, protocol) = match refusal {
        HelloRefusal::Protocol(version) => (Kind::Protocol, *version),
        HelloRefusal::NameTaken => (Kind::NameTaken, 0),
        HelloRefusal::SecondSession => (Kind::SecondSession, 0),
        HelloRefusal::TooManyNodes => (Kind::TooManyNodes, 0),
    };
    proto::HelloRefusal {
        kind: kind.into(),
        protocol,
    }
}

fn decode_refusal(refusal: proto::HelloRefusal) -> Result<HelloRefusal, DecodeFault> {
    use proto::HelloRefusalKind as Kind;
    Ok(match decode_enum("refused.kind", refusal.kind)? {
        Kind::Unspecified => return Err(unknown("refused.kind", 0)),
        Kind::Protocol => HelloRefusal::Protocol(refusal.protocol),
        Kind::NameTaken => HelloRefusal::NameTaken,
        Kind::SecondSession => HelloRefusal::SecondSession,
        Kind::TooManyNodes => HelloRefusal::TooManyNodes,
    })
}

fn encode_spec(spec: &SealedSpec) -> proto::SealedSpec {
    proto::SealedSpec {
        blob: spec.blob.to_vec(),
        hash: spec.hash.0,
    }
}

fn encode_order(order: &GrantOrder) -> proto::GrantOrder {
    proto::GrantOrder {
        attempts: Some(encode_range(&order.attempts)),
        job: order.job.0,
        first_task: order.first_task.0,
        spec_hash: order.spec_hash.0,
        rows: order
            .rows
            .as_ref()
            .map_or_else(Vec::new, |rows| rows.bytes().to_vec()),
        columns: order.rows.as_ref().map_or(0, columns),
    }
}

fn columns(rows: &Rows) -> u32 {
    u32::try_from(rows.columns()).unwrap_or(u32::MAX)
}

fn decode_rows(bytes: Vec<u8>, columns: u32, count: u32) -> Result<Option<Rows>, DecodeFault> {
    at_most("order.columns", columns as usize, COLUMNS_MAX)?;
    at_most("order.rows", bytes.len(), ROWS_OF_GRANT_MAX)?;
    if columns == 0 && bytes.is_empty() {
        return Ok(None);
    }
    let rows = Rows::parse(bytes.into(), columns as usize).ok();
    let rows = rows.filter(|rows| rows.count() == count);
    rows.map(Some).ok_or(DecodeFault::Invalid {
        field: "order.rows",
        what: "are not one for each task",
    })
}

fn decode_grants(grants: proto::Grants) -> Result<DownBody, DecodeFault> {
    let specs = grants
        .specs
        .into_iter()
        .map(|spec| unseal_hashed(spec.blob.into(), SpecHash(spec.hash)))
        .collect::<Result<_, _>>()
        .map_err(|fault| DecodeFault::Spec(fault.to_string()))?;
    let orders: Vec<GrantOrder> = grants
        .orders
        .into_iter()
        .map(decode_order)
        .collect::<Result<_, _>>()?;
    check_total("grants.orders", orders.iter().map(|order| order.attempts))?;
    Ok(DownBody::Grants { specs, orders })
}

fn decode_order(order: proto::GrantOrder) -> Result<GrantOrder, DecodeFault> {
    let attempts = decode_range("order.attempts", order.attempts)?;
    // The model adds offsets without looking.
    if order.first_task.checked_add(attempts.count - 1).is_none() {
        let what = "goes beyond the greatest index";
        return Err(DecodeFault::Invalid {
            field: "order.first_task",
            what,
        });
    }
    Ok(GrantOrder {
        attempts,
        job: JobId(order.job),
        first_task: TaskIndex(order.first_task),
        spec_hash: SpecHash(order.spec_hash),
        rows: decode_rows(order.rows, order.columns, attempts.count)?,
    })
}

fn decode_read(read: proto::ReadOutput) -> Result<DownBody, DecodeFault> {
    let stream = decode_stream("read_output.stream", read.stream)?;
    at_most(
        "read_output.length",
        read.length as usize,
        OUTPUT_PART_MAX as usize,
    )?;
    Ok(DownBody::ReadOutput {
        request: RequestId(read.request),
        attempt: decode_attempt("read_output.attempt", read.attempt)?,
        stream,
        offset: read.offset,
        length: read.length,
    })
}

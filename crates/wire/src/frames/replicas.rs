//! What agents say of the replicas of services.

use flota_model::{
    frame::REPLICAS_PER_FRAME,
    service::{ReplicaState, ReplicaStatus, RunEnd},
    units::Timestamp,
};

use super::{
    DecodeFault, at_most,
    common::{decode_attempt, encode_attempt, unknown},
    proto,
    reports::{decode_outcome, encode_bare},
};

pub(super) fn encode(statuses: &[ReplicaStatus]) -> proto::ReplicaStatuses {
    proto::ReplicaStatuses {
        statuses: statuses.iter().map(encode_one).collect(),
    }
}

pub(super) fn decode(list: proto::ReplicaStatuses) -> Result<Vec<ReplicaStatus>, DecodeFault> {
    at_most("replicas", list.statuses.len(), REPLICAS_PER_FRAME)?;
    list.statuses.into_iter().map(decode_one).collect()
}

fn encode_one(status: &ReplicaStatus) -> proto::ReplicaStatus {
    proto::ReplicaStatus {
        attempt: Some(encode_attempt(status.attempt)),
        run: status.run,
        state: number(status.state),
        since: status.since.0,
        restarts: status.restarts,
        last: status.last.as_ref().map(|last| {
            let bare = encode_bare(&last.outcome);
            proto::RunEnd {
                run: last.run,
                outcome: bare.kind,
                detail: bare.detail,
                stage: bare.stage,
                message: bare.message,
                unhealthy: last.unhealthy,
                ended_at: last.ended_at.0,
            }
        }),
    }
}

fn decode_one(status: proto::ReplicaStatus) -> Result<ReplicaStatus, DecodeFault> {
    let last = match status.last {
        Some(last) => Some(RunEnd {
            run: last.run,
            outcome: decode_outcome(last.outcome, last.detail, last.stage, last.message)?,
            unhealthy: last.unhealthy,
            ended_at: Timestamp(last.ended_at),
        }),
        None => None,
    };
    Ok(ReplicaStatus {
        attempt: decode_attempt("replicas.attempt", status.attempt)?,
        run: status.run,
        state: state(status.state)?,
        since: Timestamp(status.since),
        restarts: status.restarts,
        last,
    })
}

/// Numbers from 1 in the order of [`ReplicaState::ALL`].
fn number(state: ReplicaState) -> u32 {
    let position = ReplicaState::ALL.iter().position(|other| *other == state);
    position.map_or(0, |position| u32::try_from(position + 1).unwrap_or(0))
}

fn state(number: u32) -> Result<ReplicaState, DecodeFault> {
    let position = usize::try_from(number).unwrap_or(0).checked_sub(1);
    position
        .and_then(|position| ReplicaState::ALL.get(position).copied())
        .ok_or(unknown(
            "replicas.state",
            i32::try_from(number).unwrap_or(i32::MAX),
        ))
}

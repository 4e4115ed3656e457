//! What agents say of the replicas of services.

use flota_model::{
    frame::REPLICAS_PER_FRAME,
    replica::{LAST_LINES_LENGTH_MAX, LastLines, PROBE_DETAIL_LENGTH_MAX, ProbeFailure},
    service::{Purpose, ReplicaState, ReplicaStatus, RunEnd},
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
        failure: status.failure.as_ref().map(|failure| proto::ProbeFailure {
            probe: failure.probe,
            readiness: failure.purpose == Purpose::Readiness,
            detail: failure.detail.clone(),
            since: failure.since.0,
        }),
        lines: status.lines.as_ref().map(|lines| proto::LastLines {
            run: lines.run,
            stdout: lines.stdout.clone(),
            stderr: lines.stderr.clone(),
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
        failure: status.failure.map(failure).transpose()?,
        lines: status.lines.map(lines).transpose()?,
    })
}

fn failure(failure: proto::ProbeFailure) -> Result<ProbeFailure, DecodeFault> {
    let length = failure.detail.len();
    at_most("replicas.failure.detail", length, PROBE_DETAIL_LENGTH_MAX)?;
    Ok(ProbeFailure {
        probe: failure.probe,
        purpose: if failure.readiness {
            Purpose::Readiness
        } else {
            Purpose::Liveness
        },
        detail: failure.detail,
        since: Timestamp(failure.since),
    })
}

fn lines(lines: proto::LastLines) -> Result<LastLines, DecodeFault> {
    for text in [&lines.stdout, &lines.stderr] {
        at_most("replicas.lines", text.len(), LAST_LINES_LENGTH_MAX)?;
    }
    Ok(LastLines {
        run: lines.run,
        stdout: lines.stdout,
        stderr: lines.stderr,
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

//! What both directions carry.

use flota_model::{
    ids::{AttemptId, AttemptRange, Authority, Epoch, Term},
    outcome::StreamName,
    resources::Resources,
    units::{Bytes, Cpus},
};

use super::{ATTEMPTS_PER_LIST_MAX, DecodeFault, proto};

pub(super) fn encode_authority(authority: Authority) -> proto::Authority {
    proto::Authority {
        term: authority.term.0,
        epoch: authority.epoch.0,
    }
}

pub(super) fn decode_authority(
    field: &'static str,
    authority: Option<proto::Authority>,
) -> Result<Authority, DecodeFault> {
    let authority = authority.ok_or(DecodeFault::Missing(field))?;
    Ok(Authority {
        term: Term(authority.term),
        epoch: Epoch(authority.epoch),
    })
}

pub(super) fn encode_attempt(attempt: AttemptId) -> proto::AttemptId {
    proto::AttemptId {
        epoch: attempt.epoch.0,
        salt: attempt.salt,
        sequence: attempt.sequence,
    }
}

pub(super) fn decode_attempt(
    field: &'static str,
    attempt: Option<proto::AttemptId>,
) -> Result<AttemptId, DecodeFault> {
    let attempt = attempt.ok_or(DecodeFault::Missing(field))?;
    Ok(AttemptId {
        epoch: Epoch(attempt.epoch),
        salt: attempt.salt,
        sequence: attempt.sequence,
    })
}

pub(super) fn encode_range(range: &AttemptRange) -> proto::AttemptRange {
    proto::AttemptRange {
        epoch: range.first.epoch.0,
        salt: range.first.salt,
        first: range.first.sequence,
        count: range.count,
    }
}

pub(super) fn decode_range(
    field: &'static str,
    range: Option<proto::AttemptRange>,
) -> Result<AttemptRange, DecodeFault> {
    let range = range.ok_or(DecodeFault::Missing(field))?;
    if range.count == 0 {
        return Err(DecodeFault::Invalid {
            field,
            what: "is an empty range",
        });
    }
    // The model adds offsets without looking.
    if range.first.checked_add(u64::from(range.count)).is_none() {
        return Err(DecodeFault::Invalid {
            field,
            what: "ends above the greatest sequence",
        });
    }
    Ok(AttemptRange {
        first: AttemptId {
            epoch: Epoch(range.epoch),
            salt: range.salt,
            sequence: range.first,
        },
        count: range.count,
    })
}

pub(super) fn encode_ranges(ranges: &[AttemptRange]) -> Vec<proto::AttemptRange> {
    ranges.iter().map(encode_range).collect()
}

pub(super) fn decode_ranges(
    field: &'static str,
    ranges: Vec<proto::AttemptRange>,
) -> Result<Vec<AttemptRange>, DecodeFault> {
    let ranges: Vec<AttemptRange> = ranges
        .into_iter()
        .map(|range| decode_range(field, Some(range)))
        .collect::<Result<_, _>>()?;
    check_total(field, ranges.iter().copied())?;
    Ok(ranges)
}

/// Limits what a receiver walks through when it looks at each attempt of a list.
pub(super) fn check_total(
    field: &'static str,
    ranges: impl Iterator<Item = AttemptRange>,
) -> Result<(), DecodeFault> {
    // A frame has less than 2^22 ranges of less than 2^32 attempts.
    let actual = ranges.map(|range| u64::from(range.count)).sum();
    if actual <= ATTEMPTS_PER_LIST_MAX {
        return Ok(());
    }
    Err(DecodeFault::TooMuch {
        field,
        actual,
        limit: ATTEMPTS_PER_LIST_MAX,
    })
}

pub(super) fn encode_resources(resources: &Resources) -> proto::Resources {
    proto::Resources {
        cpus: resources.cpus.0,
        memory: resources.memory.0,
        counters: resources.counters.clone(),
    }
}

pub(super) fn decode_resources(
    field: &'static str,
    resources: Option<proto::Resources>,
) -> Result<Resources, DecodeFault> {
    let resources = resources.ok_or(DecodeFault::Missing(field))?;
    Ok(Resources {
        cpus: Cpus(resources.cpus),
        memory: Bytes(resources.memory),
        counters: resources.counters,
    })
}

/// A value of a generated enum; the zero of `UNSPECIFIED` is left to the caller's match.
pub(super) fn decode_enum<E: TryFrom<i32>>(
    field: &'static str,
    value: i32,
) -> Result<E, DecodeFault> {
    E::try_from(value).map_err(|_| unknown(field, value))
}

pub(super) fn unknown(field: &'static str, value: i32) -> DecodeFault {
    DecodeFault::Unknown {
        field,
        value: value.into(),
    }
}

pub(super) fn encode_stream(stream: StreamName) -> proto::StreamName {
    match stream {
        StreamName::Stdout => proto::StreamName::Stdout,
        StreamName::Stderr => proto::StreamName::Stderr,
        StreamName::Result => proto::StreamName::Result,
    }
}

pub(super) fn decode_stream(field: &'static str, value: i32) -> Result<StreamName, DecodeFault> {
    Ok(match decode_enum(field, value)? {
        proto::StreamName::Unspecified => return Err(unknown(field, 0)),
        proto::StreamName::Stdout => StreamName::Stdout,
        proto::StreamName::Stderr => StreamName::Stderr,
        proto::StreamName::Result => StreamName::Result,
    })
}

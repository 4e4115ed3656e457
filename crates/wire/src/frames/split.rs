//! A look at the outline of a message before it is decoded.
//!
//! A message of two bytes can become a structure of hundreds. Four mebibytes of empty messages must
//! not become a gibibyte, so what repeats is counted here first.

use flota_model::{frame::REPLICAS_PER_FRAME, process::PROCESSES_MAX, sample::DEVICES_MAX};

use super::{DecodeFault, FRAMES_PER_BATCH_MAX, REPORTS_PER_FRAME_MAX};

const BATCH_FRAMES: u64 = 1;
const UP_HEARTBEAT: u64 = 4;
const UP_REPORTS: u64 = 5;
const UP_ANSWER: u64 = 8;
const UP_REPLICAS: u64 = 9;
const REPLICAS_STATUSES: u64 = 1;
const HEARTBEAT_SAMPLE: u64 = 3;
const SAMPLE_DISKS: u64 = 8;
const SAMPLE_NETWORKS: u64 = 9;
const ANSWER_PROCESSES: u64 = 2;
const PROCESSES_ROWS: u64 = 3;
const REPORTS_RUNS: u64 = 1;
const RUN_EXTRAS: u64 = 14;

const TORN: DecodeFault = DecodeFault::Invalid {
    field: "batch",
    what: "is torn",
};

/// The frames of a batch as bytes. Ends after the first fault.
pub(super) fn frames(batch: &[u8]) -> impl Iterator<Item = Result<&[u8], DecodeFault>> {
    let mut rest = batch;
    let mut count = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        count += 1;
        let frame = match next_field(&mut rest) {
            _ if count > FRAMES_PER_BATCH_MAX => Err(DecodeFault::TooMuch {
                field: "frames",
                actual: count as u64,
                limit: FRAMES_PER_BATCH_MAX as u64,
            }),
            Some((BATCH_FRAMES, Some(frame))) => Ok(frame),
            _ => Err(TORN),
        };
        if frame.is_err() {
            rest = &[];
        }
        Some(frame)
    })
}

/// Checks that the frame has not more of anything small that repeats than is allowed.
pub(super) fn check_up(frame: &[u8]) -> Result<(), DecodeFault> {
    let mut count = 0;
    for reports in parts(frame, UP_REPORTS) {
        for run in parts(reports?, REPORTS_RUNS) {
            count += 1 + parts(run?, RUN_EXTRAS).count();
        }
    }
    // A run has at least one report, and a report at most one extra.
    super::at_most("reports", count, 2 * REPORTS_PER_FRAME_MAX)?;
    let mut rows = 0;
    for answer in parts(frame, UP_ANSWER) {
        for list in parts(answer?, ANSWER_PROCESSES) {
            rows += parts(list?, PROCESSES_ROWS).count();
        }
    }
    super::at_most("processes", rows, PROCESSES_MAX)?;
    let mut replicas = 0;
    for list in parts(frame, UP_REPLICAS) {
        replicas += parts(list?, REPLICAS_STATUSES).count();
    }
    super::at_most("replicas", replicas, REPLICAS_PER_FRAME)?;
    let mut devices = 0;
    for heartbeat in parts(frame, UP_HEARTBEAT) {
        for sample in parts(heartbeat?, HEARTBEAT_SAMPLE) {
            let sample = sample?;
            devices += parts(sample, SAMPLE_DISKS).count();
            devices += parts(sample, SAMPLE_NETWORKS).count();
        }
    }
    super::at_most("devices", devices, 2 * DEVICES_MAX)
}

/// The parts of a message that have this number and a length.
fn parts(message: &[u8], wanted: u64) -> impl Iterator<Item = Result<&[u8], DecodeFault>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            match next_field(&mut rest) {
                Some((number, Some(part))) if number == wanted => return Some(Ok(part)),
                Some(_) => {}
                None => {
                    rest = &[];
                    return Some(Err(TORN));
                }
            }
        }
        None
    })
}

/// Number of the next field, and its bytes where it has a length.
/// (<https://protobuf.dev/programming-guides/encoding/>)
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = next_number(rest)?;
    let skip = match tag & 7 {
        0 => {
            next_number(rest)?;
            0
        }
        1 => 8,
        5 => 4,
        2 => {
            let length = usize::try_from(next_number(rest)?).ok()?;
            let (part, after) = rest.split_at_checked(length)?;
            *rest = after;
            return Some((tag >> 3, Some(part)));
        }
        // Groups, which no message here has, and numbers that mean nothing.
        _ => return None,
    };
    *rest = rest.get(skip..)?;
    Some((tag >> 3, None))
}

/// A number of 64 bits in at most ten bytes, seven bits each, lowest first.
fn next_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

//! The bytes of the agent's journal (PROTOCOL 14). Encode and recover are pure.
//!
//! A journal is a sequence of batches. A batch is a header of 20 bytes (magic, length of the
//! payload, length up to which the journal was synced when the batch was written, checksum of all
//! that and the payload; little-endian) and its records. The synced length is the witness that
//! tells damage from a torn tail: whatever lies below it was on the disk once.

pub(crate) mod bytes;
#[cfg(test)]
pub(crate) mod random;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::sync::Arc;

use bytes::{Code, Reader, put_block};
use flota_model::{
    frame::GrantOrder,
    ids::{AttemptId, AttemptRange, Authority, BootId, NodeId, Nonce, SessionNumber, SpecHash},
    outcome::{Outcome, Report, Stream},
    service::RunEnd,
    units::{Moment, Timestamp},
};
use values::{put_rows, take_rows};

use crate::keeper::codec::CodecFault;

const MAGIC: [u8; 4] = *b"FLJ1";
const HEADER_LENGTH: usize = 20;

/// One record of an agent's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// First record of a journal.
    Created {
        /// The journal's identity.
        journal: Nonce,
    },
    /// An agent started.
    Opened {
        /// The nonce of this start.
        nonce: Nonce,
        /// The boot of the machine.
        boot: BootId,
    },
    /// A session began.
    Session(SessionNumber),
    /// The server's number for this node.
    Joined(NodeId),
    /// The highest authority obeyed.
    Obeyed(Authority),
    /// The bytes of a spec, before the first grant that needs them.
    Spec {
        /// Its hash.
        hash: SpecHash,
        /// Its bytes.
        blob: Arc<[u8]>,
    },
    /// Attempts were accepted.
    Granted(GrantOrder),
    /// An attempt is about to start; synced before the start where `retry = never`.
    Starting {
        /// Which.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
    },
    /// An attempt ended.
    Done(Report),
    /// Reports were acknowledged.
    Acknowledged(Vec<AttemptRange>),
    /// Tombstones: these never start here, and are no longer held.
    Refused(Vec<AttemptRange>),
    /// A run of a replica ended, and another one follows (PROTOCOL 17); synced before the keeper
    /// forgets it.
    RunEnded(Box<Rest>),
    /// A further run of a replica is about to start; synced before.
    RunStarting {
        /// Which.
        attempt: AttemptId,
        /// Which run, from 2.
        run: u32,
        /// When.
        at: Timestamp,
    },
    /// A replica is being stopped for good: whatever comes, no run follows.
    Stopping {
        /// Which.
        attempt: AttemptId,
        /// The server wants it gone: a tombstone follows instead of a report.
        is_forgotten: bool,
    },
    /// All that was held is void: the node starts anew (PROTOCOL 3).
    Reset,
}

/// A replica between two runs, with all that decides on the next ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Which attempt.
    pub attempt: AttemptId,
    /// The run that ended.
    pub last: RunEnd,
    /// Failures since the last stable run.
    pub streak: u32,
    /// When the last failures were.
    pub failures: Vec<Moment>,
    /// When the next run begins; means nothing after a boot, as the failures.
    pub until: Moment,
    /// Whether it fails again and again.
    pub is_crash_loop: bool,
}

/// What the bytes of a journal say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// In order.
    pub records: Vec<Record>,
    /// Length of the valid part: cut the file here before anything is appended.
    pub valid_length: u64,
    /// Set when bytes that were durable are invalid: set the journal aside and report it.
    pub damage: Option<Damage>,
}

/// Durable bytes of a journal that are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where the first invalid batch begins.
    pub offset: u64,
    /// Where the valid batch begins that proves them durable.
    pub witness: u64,
}

/// Appends one batch to `out`; nothing if there are no records. `previous_length` is the length up
/// to which the journal was synced when this batch was written; at most the length of the file.
///
/// # Panics
/// The records take 4 GiB, which the bounds of a node exclude.
pub fn encode(records: &[Record], previous_length: u64, out: &mut Vec<u8>) {
    if records.is_empty() {
        return;
    }
    let start = out.len();
    out.resize(start + HEADER_LENGTH, 0);
    for record in records {
        record.put(out);
    }
    let length = u32::try_from(out.len() - start - HEADER_LENGTH)
        .expect("a turn's records are bounded by the attempts that a node holds");
    out[start..start + 4].copy_from_slice(&MAGIC);
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    out[start + 8..start + 16].copy_from_slice(&previous_length.to_le_bytes());
    let checksum = checksum(&out[start..]);
    out[start + 16..start + HEADER_LENGTH].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a journal. Never fails: what is invalid is cut, or is damage.
///
/// An invalid batch is a torn tail unless a valid batch behind it says that the journal had been
/// synced beyond the start of the invalid one. A batch whose checksum is right and whose records
/// cannot be read was written by another version: that is damage too, since cutting it would forget
/// what was durable.
pub fn recover(bytes: &[u8]) -> Recovered {
    let mut recovered = Recovered::default();
    let mut offset = 0;
    while let Some(batch) = Batch::at(bytes, offset) {
        if read_records(batch.payload, &mut recovered.records).is_err() {
            recovered.damage = Some(Damage {
                offset: offset as u64,
                witness: offset as u64,
            });
            break;
        }
        offset = batch.end;
    }
    recovered.valid_length = offset as u64;
    if recovered.damage.is_none() {
        recovered.damage = witness(bytes, offset).map(|witness| Damage {
            offset: offset as u64,
            witness: witness as u64,
        });
    }
    recovered
}

/// About as many bytes as `record` takes in a journal, cheap to compute.
pub(crate) fn weight(record: &Record) -> u64 {
    const SMALL: u64 = 48;
    match record {
        Record::Spec { blob, .. } => SMALL + blob.len() as u64,
        Record::RunEnded(rest) => SMALL + 8 * rest.failures.len() as u64,
        Record::Granted(GrantOrder {
            rows: Some(rows), ..
        }) => SMALL + rows.bytes().len() as u64,
        Record::Done(report) => SMALL + report_weight(report),
        Record::Acknowledged(ranges) | Record::Refused(ranges) => 16 * (1 + ranges.len() as u64),
        Record::Created { .. }
        | Record::Opened { .. }
        | Record::Session(_)
        | Record::Joined(_)
        | Record::Obeyed(_)
        | Record::Granted(_)
        | Record::Starting { .. }
        | Record::RunStarting { .. }
        | Record::Stopping { .. }
        | Record::Reset => SMALL,
    }
}

/// About as many bytes as the variable part of a report takes.
pub(crate) fn report_weight(report: &Report) -> u64 {
    let of_stream = |stream: &Stream| match stream {
        Stream::Inline(bytes) => bytes.len() as u64,
        Stream::Empty | Stream::OnNode { .. } => 1,
    };
    let message = if let Outcome::Failed { message } = &report.outcome {
        message.len()
    } else {
        0
    };
    let output = report.output.as_ref().map_or(0, |output| {
        of_stream(&output.stdout) + of_stream(&output.stderr) + of_stream(&output.result)
    });
    message as u64 + output
}

struct Batch<'a> {
    previous_length: u64,
    payload: &'a [u8],
    end: usize,
}

impl<'a> Batch<'a> {
    /// The batch that begins at `offset`, if there is one and its checksum is right.
    fn at(bytes: &'a [u8], offset: usize) -> Option<Self> {
        let rest = bytes.get(offset..)?;
        let mut header = Reader::new(rest.strip_prefix(&MAGIC)?);
        let length = u32::from_le_bytes(header.bytes(4).ok()?.try_into().ok()?);
        let previous_length = header.fixed().ok()?;
        let end = HEADER_LENGTH.checked_add(usize::try_from(length).ok()?)?;
        let whole = rest.get(..end)?;
        let stored = u32::from_le_bytes(whole[16..HEADER_LENGTH].try_into().ok()?);
        let fits = length > 0 && previous_length <= offset as u64 && stored == checksum(whole);
        fits.then_some(Self {
            previous_length,
            payload: &whole[HEADER_LENGTH..],
            end: offset + end,
        })
    }
}

/// Of the whole batch without the checksum itself.
fn checksum(batch: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&batch[..16]);
    hasher.update(&batch[HEADER_LENGTH..]);
    hasher.finalize()
}

/// Where a valid batch behind `invalid` begins that was written when `invalid` had been synced.
fn witness(bytes: &[u8], invalid: usize) -> Option<usize> {
    let tail = bytes.get(invalid + 1..)?;
    let starts = tail
        .windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| *window == MAGIC);
    starts.map(|(index, _)| invalid + 1 + index).find(|start| {
        Batch::at(bytes, *start).is_some_and(|batch| batch.previous_length > invalid as u64)
    })
}

/// Appends the records of one payload, or none of them.
fn read_records(payload: &[u8], records: &mut Vec<Record>) -> Result<(), CodecFault> {
    let before = records.len();
    let mut input = Reader::new(payload);
    while !input.is_empty() {
        match Record::take(&mut input) {
            Ok(record) => records.push(record),
            Err(fault) => {
                records.truncate(before);
                return Err(fault);
            }
        }
    }
    Ok(())
}

impl Code for Record {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Created { journal } => put_tagged(1, journal, out),
            Self::Opened { nonce, boot } => put_tagged(2, &(*nonce, *boot), out),
            Self::Session(number) => put_tagged(3, number, out),
            Self::Joined(node) => put_tagged(4, node, out),
            Self::Obeyed(authority) => put_tagged(5, authority, out),
            Self::Spec { hash, blob } => {
                put_tagged(6, hash, out);
                put_block(blob, out);
            }
            Self::Granted(order) => match &order.rows {
                None => put_tagged(7, order, out),
                Some(rows) => {
                    put_tagged(20, order, out);
                    put_rows(rows, out);
                }
            },
            Self::Starting { attempt, at } => put_tagged(8, &(*attempt, *at), out),
            Self::Done(report) => put_tagged(9, report, out),
            Self::Acknowledged(ranges) => put_tagged(10, ranges, out),
            Self::Refused(ranges) => put_tagged(11, ranges, out),
            Self::Reset => out.push(12),
            Self::RunEnded(rest) => put_tagged(13, rest, out),
            Self::RunStarting { attempt, run, at } => {
                put_tagged(14, attempt, out);
                run.put(out);
                at.put(out);
            }
            Self::Stopping {
                attempt,
                is_forgotten,
            } => {
                put_tagged(15, attempt, out);
                is_forgotten.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            1 => Self::Created {
                journal: Code::take(input)?,
            },
            2 => Self::Opened {
                nonce: Code::take(input)?,
                boot: Code::take(input)?,
            },
            3 => Self::Session(Code::take(input)?),
            4 => Self::Joined(Code::take(input)?),
            5 => Self::Obeyed(Code::take(input)?),
            6 => Self::Spec {
                hash: Code::take(input)?,
                blob: input.block()?.into(),
            },
            7 => Self::Granted(Code::take(input)?),
            8 => Self::Starting {
                attempt: Code::take(input)?,
                at: Code::take(input)?,
            },
            9 => Self::Done(Code::take(input)?),
            10 => Self::Acknowledged(Code::take(input)?),
            11 => Self::Refused(Code::take(input)?),
            12 => Self::Reset,
            13 => Self::RunEnded(Code::take(input)?),
            14 => Self::RunStarting {
                attempt: Code::take(input)?,
                run: Code::take(input)?,
                at: Code::take(input)?,
            },
            15 => Self::Stopping {
                attempt: Code::take(input)?,
                is_forgotten: Code::take(input)?,
            },
            20 => {
                let order = Code::take(input)?;
                Self::Granted(take_rows(order, input)?)
            }
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

fn put_tagged(tag: u8, value: &impl Code, out: &mut Vec<u8>) {
    out.push(tag);
    value.put(out);
}

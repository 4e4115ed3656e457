//! The bytes between agent and keeper, and of the keeper's own log.
//!
//! A packet is a byte for its version and then messages, one after the other. Keepers outlive the
//! agent that started them, so that a new agent may meet an old keeper, and after a step back an old
//! agent a new keeper. A keeper answers in the version in which it was spoken to; an agent tries the
//! newest one first, and the one before where the keeper closes the connection. Whatever is sent in an
//! older version has the bytes that it had there. That holds for all but orders to start programs: those
//! go only to keepers of the agent's own version.
//!
//! Version 2 added what does not die.

mod execution;
mod messages;
#[cfg(test)]
mod tests;

use crate::{
    journal::bytes::{Code, Reader},
    keeper::api::{FromKeeper, LIST_PART_MAX, Launch, LogRecord, ToKeeper},
};

/// Longest packet, in bytes. Well below the default buffer of a socket (212,992, `man 7 socket`).
pub const PACKET_LENGTH_MAX: usize = 128 * 1024;

/// The version that is spoken where both ends know it.
pub const VERSION: u8 = 2;
/// The oldest one that is understood.
pub const VERSION_MIN: u8 = 1;
/// Before each record of the log: length and checksum, little-endian.
const LOG_HEADER_LENGTH: usize = 8;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecFault {
    /// They end within a value.
    #[error("the bytes end within a value")]
    Truncated,
    /// A number, length or range that cannot be.
    #[error("a number is out of its range")]
    OutOfRange,
    /// A tag that no value has; perhaps of a newer version.
    #[error("no value has the tag {0}")]
    Tag(u8),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotText,
    /// A packet of another version.
    #[error("a packet is of version {0}")]
    Version(u8),
}

/// Writes as many of `messages` as one packet holds and returns how many those are, at least 1
/// (0 if there are none).
#[must_use = "the rest goes into further packets"]
pub fn encode_to_keeper(version: u8, messages: &[ToKeeper], out: &mut Vec<u8>) -> usize {
    encode_packet(version, messages, |_| 0, out)
}

/// Reads one packet, and gives the version that its sender speaks.
///
/// # Errors
/// The bytes are not a packet of a version that is understood.
pub fn decode_to_keeper(bytes: &[u8]) -> Result<(u8, Vec<ToKeeper>), CodecFault> {
    decode_packet(bytes)
}

/// Writes as many of `messages` as one packet holds and returns how many those are, at least 1
/// (0 if there are none). With at most [`LIST_PART_MAX`] children in a packet their descriptors fit
/// too. The version must know them all ([`is_known`]).
#[must_use = "the rest goes into further packets"]
pub fn encode_from_keeper(version: u8, messages: &[FromKeeper], out: &mut Vec<u8>) -> usize {
    encode_packet(version, messages, children_with_descriptors, out)
}

/// Whether an agent that speaks `version` understands a message.
pub fn is_known(message: &FromKeeper, version: u8) -> bool {
    match message {
        FromKeeper::Unkillable(_) => version >= 2,
        FromKeeper::Listed { .. }
        | FromKeeper::Started { .. }
        | FromKeeper::NotStarted { .. }
        | FromKeeper::Ended { .. }
        | FromKeeper::Refused { .. } => true,
    }
}

/// Reads one packet.
///
/// # Errors
/// The bytes are not a packet of a version that is understood.
pub fn decode_from_keeper(bytes: &[u8]) -> Result<Vec<FromKeeper>, CodecFault> {
    decode_packet(bytes).map(|(_, messages)| messages)
}

/// Appends a record of the keeper's log.
pub fn encode_log(record: &LogRecord, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + LOG_HEADER_LENGTH, 0);
    record.put(out);
    let payload = start + LOG_HEADER_LENGTH;
    // A record has less than 200 bytes.
    let length = u32::try_from(out.len() - payload).unwrap_or(u32::MAX);
    let checksum = crc32fast::hash(&out[payload..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..payload].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a keeper's log: its records, and the length of the valid part. What is behind the first
/// invalid record is cut: the log is not synced, so that nothing behind it is more certain.
pub fn recover_log(bytes: &[u8]) -> (Vec<LogRecord>, usize) {
    let (mut records, mut valid) = (Vec::new(), 0);
    while let Some((record, length)) = first_log_record(&bytes[valid..]) {
        records.push(record);
        valid += length;
    }
    (records, valid)
}

/// Whether the order to start it fits into one packet.
pub(crate) fn fits(launch: &Launch) -> bool {
    /// For the version, the tag, the attempt, lengths, the fence, and all settings that are numbers.
    const OVERHEAD: usize = 1_024;
    const LENGTH: usize = 5;
    let texts = launch.argv.iter().chain(launch.stdin.iter());
    let pairs = launch
        .environment
        .iter()
        .flat_map(|(name, value)| [name, value]);
    let execution = launch.execution.iter();
    let names = execution.flat_map(|execution| {
        let groups = execution.groups.iter().flatten();
        execution.user.iter().chain(&execution.group).chain(groups)
    });
    let paths = launch.guard.programs.iter().flatten();
    let bytes: usize = texts
        .chain(pairs)
        .chain(names)
        .chain(paths)
        .map(|text| text.len() + LENGTH)
        .sum();
    bytes + launch.working_directory.len() + OVERHEAD <= PACKET_LENGTH_MAX
}

fn encode_packet<T: Code>(
    version: u8,
    messages: &[T],
    children: impl Fn(&T) -> usize,
    out: &mut Vec<u8>,
) -> usize {
    let start = out.len();
    out.push(version);
    let mut carried = 0;
    for (index, message) in messages.iter().enumerate() {
        let before = out.len();
        message.put(out);
        carried += children(message);
        let is_full = out.len() - start > PACKET_LENGTH_MAX || carried > LIST_PART_MAX;
        if is_full && index > 0 {
            out.truncate(before);
            return index;
        }
    }
    messages.len()
}

fn decode_packet<T: Code>(bytes: &[u8]) -> Result<(u8, Vec<T>), CodecFault> {
    let mut input = Reader::new(bytes);
    let version = input.byte()?;
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Err(CodecFault::Version(version));
    }
    let mut messages = Vec::new();
    while !input.is_empty() {
        messages.push(T::take(&mut input)?);
    }
    Ok((version, messages))
}

/// Of how many children descriptors travel with the message.
fn children_with_descriptors(message: &FromKeeper) -> usize {
    match message {
        FromKeeper::Listed { children, .. } => children.len(),
        FromKeeper::Started { .. } => 1,
        FromKeeper::NotStarted { .. }
        | FromKeeper::Ended { .. }
        | FromKeeper::Refused { .. }
        | FromKeeper::Unkillable(_) => 0,
    }
}

/// The first record of a log and its length with the header, if it is valid.
fn first_log_record(bytes: &[u8]) -> Option<(LogRecord, usize)> {
    let mut header = Reader::new(bytes);
    let length = u32::from_le_bytes(header.bytes(4).ok()?.try_into().ok()?);
    let checksum = u32::from_le_bytes(header.bytes(4).ok()?.try_into().ok()?);
    let payload = header.bytes(usize::try_from(length).ok()?).ok()?;
    let mut input = Reader::new(payload);
    let record = LogRecord::take(&mut input).ok()?;
    let valid = crc32fast::hash(payload) == checksum && input.is_empty();
    valid.then_some((record, LOG_HEADER_LENGTH + payload.len()))
}

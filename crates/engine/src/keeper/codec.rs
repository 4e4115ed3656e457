//! The bytes between agent and keeper, and of the keeper's own log.

use crate::keeper::api::{FromKeeper, Launch, LogRecord, ToKeeper};

/// Longest packet, in bytes. Well below the default buffer of a socket (212,992).
pub const PACKET_LENGTH_MAX: usize = 128 * 1024;

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

/// Writes as many of `messages` as one packet holds and returns how many those are, at least 1.
#[must_use = "the rest goes into further packets"]
pub fn encode_to_keeper(messages: &[ToKeeper], out: &mut Vec<u8>) -> usize {
    let _ = (messages, out);
    0
}

/// Reads one packet.
pub fn decode_to_keeper(bytes: &[u8]) -> Result<Vec<ToKeeper>, CodecFault> {
    let _ = bytes;
    Ok(Vec::new())
}

/// Writes as many of `messages` as one packet holds (also of the descriptors that travel with them)
/// and returns how many those are, at least 1.
#[must_use = "the rest goes into further packets"]
pub fn encode_from_keeper(messages: &[FromKeeper], out: &mut Vec<u8>) -> usize {
    let _ = (messages, out);
    0
}

/// Reads one packet.
pub fn decode_from_keeper(bytes: &[u8]) -> Result<Vec<FromKeeper>, CodecFault> {
    let _ = bytes;
    Ok(Vec::new())
}

/// Appends a record of the keeper's log.
pub fn encode_log(record: &LogRecord, out: &mut Vec<u8>) {
    let _ = (record, out);
}

/// Reads a keeper's log: its records, and the length of the valid part. A torn tail is cut.
pub fn recover_log(bytes: &[u8]) -> (Vec<LogRecord>, usize) {
    let _ = bytes;
    (Vec::new(), 0)
}

/// Whether the order to start it fits into one packet.
pub(crate) fn fits(launch: &Launch) -> bool {
    let _ = launch;
    true
}

//! Agent frames as bytes: the protobuf messages of `proto/agent.proto`.
//!
//! A frame is encoded as a batch of one. Batches are joined by joining their bytes (protobuf gathers
//! repeated fields), so a sender gathers frames without copying them into another message.

mod answers;
mod asks;
mod common;
mod detail;
mod down;
mod local;
mod logs;
mod replicas;
mod reports;
mod samples;
mod split;
mod up;

use flota_model::frame::{Down, Up};
use prost::Message;

/// The messages as generated.
mod proto {
    #![expect(
        unreachable_pub,
        clippy::pedantic,
        reason = "generated; the meaning of each field is in the proto file"
    )]
    include!(concat!(env!("OUT_DIR"), "/flota.agent.v1.rs"));
}

/// Longest frame, in bytes. Holds four specs of the greatest length, or an output part and much
/// more; a frame of the size of several specs still decodes in a few milliseconds.
pub const FRAME_LENGTH_MAX: usize = 4 << 20;
/// Most frames of a batch.
pub const FRAMES_PER_BATCH_MAX: usize = 256;
/// Longest batch, in bytes: a longest frame with the tag and length around it.
pub const BATCH_LENGTH_MAX: usize = FRAME_LENGTH_MAX + 8;
/// Most reports of a frame. They are the only part that grows when it is decoded: from five bytes
/// to about 150.
pub const REPORTS_PER_FRAME_MAX: usize = 16_384;
/// Most attempts of all ranges of one list, so that a receiver may walk through them.
pub const ATTEMPTS_PER_LIST_MAX: u64 = 1 << 24;
/// Longest message of [`flota_model::outcome::Outcome::Failed`], in bytes.
pub const MESSAGE_LENGTH_MAX: usize = 1024;

/// Why bytes are no frames, or frames no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// No protobuf of that form.
    #[error("no valid protobuf message")]
    Malformed(#[from] prost::DecodeError),
    /// A part that must be there is not.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// An enum value or variant that this version does not know.
    #[error("the field `{field}` has the unknown value {value}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// What it has.
        value: i64,
    },
    /// A value out of its range, or a part that does not fit the others.
    #[error("the field `{field}` {what}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More of something than is allowed.
    #[error("the field `{field}` has {actual}, at most {limit} allowed")]
    TooMuch {
        /// Which field.
        field: &'static str,
        /// How much it has.
        actual: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// The spec of a grant cannot be read.
    #[error("the field `grants.specs` cannot be read: {0}")]
    Spec(String),
}

/// A frame that is longer than [`FRAME_LENGTH_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame has {length} bytes, at most {FRAME_LENGTH_MAX} allowed")]
pub struct FrameTooLong {
    /// Bytes of the frame.
    pub length: usize,
}

/// Appends a frame to a batch.
///
/// # Errors
/// When the frame is too long; the batch is as before.
pub fn encode_up(frame: &Up, batch: &mut Vec<u8>) -> Result<(), FrameTooLong> {
    append(
        up::encode(frame),
        |frame| proto::UpBatch {
            frames: vec![frame],
        },
        batch,
    )
}

/// Appends a frame to a batch.
///
/// # Errors
/// When the frame is too long; the batch is as before.
pub fn encode_down(frame: &Down, batch: &mut Vec<u8>) -> Result<(), FrameTooLong> {
    append(
        down::encode(frame),
        |frame| proto::DownBatch {
            frames: vec![frame],
        },
        batch,
    )
}

fn append<F: Message, B: Message>(
    frame: F,
    wrap: impl FnOnce(F) -> B,
    batch: &mut Vec<u8>,
) -> Result<(), FrameTooLong> {
    let length = frame.encoded_len();
    if length > FRAME_LENGTH_MAX {
        return Err(FrameTooLong { length });
    }
    batch.extend_from_slice(&wrap(frame).encode_to_vec());
    Ok(())
}

/// Reads a batch, frame by frame: of a great batch only one frame is decoded at a time. Ends after
/// the first fault. Never panics, whatever the bytes.
pub fn decode_up(batch: &[u8]) -> impl Iterator<Item = Result<Up, DecodeFault>> {
    decode(batch, |frame| {
        split::check_up(frame)?;
        up::decode(proto::Up::decode(frame)?)
    })
}

/// Reads a batch, frame by frame: of a great batch only one frame is decoded at a time. Ends after
/// the first fault. Never panics, whatever the bytes.
pub fn decode_down(batch: &[u8]) -> impl Iterator<Item = Result<Down, DecodeFault>> {
    decode(batch, |frame| down::decode(proto::Down::decode(frame)?))
}

fn decode<F>(
    batch: &[u8],
    decode_frame: impl Fn(&[u8]) -> Result<F, DecodeFault>,
) -> impl Iterator<Item = Result<F, DecodeFault>> {
    let mut frames = split::frames(batch);
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let decoded = frames.next()?.and_then(|frame| {
            at_most("frame", frame.len(), FRAME_LENGTH_MAX)?;
            decode_frame(frame)
        });
        failed = decoded.is_err();
        Some(decoded)
    })
}

fn at_most(field: &'static str, actual: usize, limit: usize) -> Result<(), DecodeFault> {
    if actual <= limit {
        return Ok(());
    }
    Err(DecodeFault::TooMuch {
        field,
        actual: actual as u64,
        limit: limit as u64,
    })
}

#[cfg(test)]
mod tests;

//! The bytes of the words of the model that a journal or a keeper's message carries.

use std::time::Duration;

use flota_model::{
    frame::GrantOrder,
    ids::{
        AttemptId, AttemptRange, Authority, BootId, Epoch, JobId, NodeId, Nonce, SessionNumber,
        SpecHash, TaskIndex, Term,
    },
    outcome::{INLINE_OUTPUT_MAX, Outcome, Output, Report, StartStage, Stream, Usage},
    parameters::Rows,
    service::RunEnd,
    units::{Moment, Timestamp},
};

use crate::{
    journal::{
        Rest,
        bytes::{Code, Reader, code_fields, code_number, put_block, put_fixed},
    },
    keeper::codec::CodecFault,
};

code_number!(
    JobId,
    NodeId,
    TaskIndex,
    Epoch,
    Term,
    SessionNumber,
    Moment,
    Timestamp
);
code_number!(fixed: SpecHash, Nonce);
code_fields!(Authority { term, epoch });
code_fields!(Usage {
    user_micros,
    system_micros,
    memory_bytes_max
});
code_fields!(Output {
    stdout,
    stderr,
    result
});
code_fields!(RunEnd {
    run,
    outcome,
    unhealthy,
    ended_at
});
code_fields!(Rest {
    attempt,
    last,
    streak,
    failures,
    until,
    is_crash_loop
});
code_fields!(Report {
    attempt,
    job,
    task,
    spec_hash,
    outcome,
    started_at,
    ended_at,
    usage,
    output
});

impl Code for BootId {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let (low, high) = (input.fixed()?, input.fixed()?);
        Ok(Self(u128::from(low) | u128::from(high) << 64))
    }
}

impl Code for AttemptId {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        put_fixed(self.salt, out);
        self.sequence.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(Self {
            epoch: Code::take(input)?,
            salt: input.fixed()?,
            sequence: Code::take(input)?,
        })
    }
}

/// Whether the range has attempts and their numbers exist, so that arithmetic on it is safe.
pub(crate) fn is_sound(range: &AttemptRange) -> bool {
    range.count > 0
        && range
            .first
            .sequence
            .checked_add(u64::from(range.count))
            .is_some()
}

impl Code for AttemptRange {
    fn put(&self, out: &mut Vec<u8>) {
        self.first.put(out);
        self.count.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let range = Self {
            first: Code::take(input)?,
            count: Code::take(input)?,
        };
        if is_sound(&range) {
            Ok(range)
        } else {
            Err(CodecFault::OutOfRange)
        }
    }
}

/// Whether the attempts and the tasks of the order exist, and each has its row or none has.
pub(crate) fn is_sound_order(order: &GrantOrder) -> bool {
    is_sound(&order.attempts)
        && order
            .first_task
            .0
            .checked_add(order.attempts.count - 1)
            .is_some()
        && order
            .rows
            .as_ref()
            .is_none_or(|rows| rows.count() == order.attempts.count)
}

/// Appends the rows of an order, behind it.
pub(crate) fn put_rows(rows: &Rows, out: &mut Vec<u8>) {
    rows.columns().put(out);
    put_block(rows.bytes(), out);
}

/// Reads the rows of an order.
pub(crate) fn take_rows(
    order: GrantOrder,
    input: &mut Reader<'_>,
) -> Result<GrantOrder, CodecFault> {
    let columns = usize::take(input)?;
    let rows = Rows::parse(input.block()?.into(), columns).map_err(|_| CodecFault::OutOfRange)?;
    let order = GrantOrder {
        rows: Some(rows),
        ..order
    };
    if is_sound_order(&order) {
        Ok(order)
    } else {
        Err(CodecFault::OutOfRange)
    }
}

impl Code for GrantOrder {
    fn put(&self, out: &mut Vec<u8>) {
        self.attempts.put(out);
        self.job.put(out);
        self.first_task.put(out);
        self.spec_hash.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let order = Self {
            attempts: Code::take(input)?,
            job: Code::take(input)?,
            first_task: Code::take(input)?,
            spec_hash: Code::take(input)?,
            rows: None,
        };
        if is_sound_order(&order) {
            Ok(order)
        } else {
            Err(CodecFault::OutOfRange)
        }
    }
}

impl Code for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_secs().put(out);
        self.subsec_nanos().put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let (seconds, nanos) = <(u64, u32)>::take(input)?;
        if nanos >= 1_000_000_000 {
            return Err(CodecFault::OutOfRange);
        }
        Ok(Self::new(seconds, nanos))
    }
}

impl Code for StartStage {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let tag = input.byte()?;
        Self::ALL
            .get(usize::from(tag))
            .copied()
            .ok_or(CodecFault::Tag(tag))
    }
}

impl Code for Stream {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => out.push(0),
            Self::Inline(bytes) => {
                out.push(1);
                put_block(bytes, out);
            }
            Self::OnNode { length, truncated } => {
                out.push(2);
                length.put(out);
                truncated.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            0 => Self::Empty,
            1 => {
                let bytes = input.block()?;
                if bytes.len() > INLINE_OUTPUT_MAX {
                    return Err(CodecFault::OutOfRange);
                }
                Self::Inline(bytes.to_vec())
            }
            2 => Self::OnNode {
                length: Code::take(input)?,
                truncated: Code::take(input)?,
            },
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

impl Code for Outcome {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Completed => out.push(0),
            Self::Exited { code } => out.extend_from_slice(&[1, *code]),
            Self::Signalled { signal } => out.extend_from_slice(&[2, *signal]),
            Self::OutOfMemory => out.push(3),
            Self::TimedOut => out.push(4),
            Self::Cancelled => out.push(5),
            Self::NotStarted { stage, errno } => {
                out.push(6);
                stage.put(out);
                errno.put(out);
            }
            Self::Failed { message } => {
                out.push(7);
                message.put(out);
            }
            Self::Lost => out.push(8),
            Self::Unknown => out.push(9),
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            0 => Self::Completed,
            1 => Self::Exited {
                code: input.byte()?,
            },
            2 => Self::Signalled {
                signal: input.byte()?,
            },
            3 => Self::OutOfMemory,
            4 => Self::TimedOut,
            5 => Self::Cancelled,
            6 => Self::NotStarted {
                stage: Code::take(input)?,
                errno: Code::take(input)?,
            },
            7 => Self::Failed {
                message: Code::take(input)?,
            },
            8 => Self::Lost,
            9 => Self::Unknown,
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

//! Values of the model as columns, and back.

use flota_model::{
    ids::{AttemptId, BootId, Epoch},
    outcome::{Outcome, Output, StartStage, Stream, StreamName},
    state::JobPhase,
    units::Timestamp,
};
use rusqlite::{Error, Result, Row, types::FromSql};

/// Reads the columns of a row one after the other.
pub(super) struct Columns<'row, 'statement> {
    row: &'row Row<'statement>,
    next: usize,
}

impl<'row, 'statement> Columns<'row, 'statement> {
    pub(super) fn of(row: &'row Row<'statement>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn take<T: FromSql>(&mut self) -> Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    /// A 64-bit number, stored as the signed one of the same bits.
    pub(super) fn bits(&mut self) -> Result<u64> {
        self.take().map(i64::cast_unsigned)
    }

    pub(super) fn bits_or_none(&mut self) -> Result<Option<u64>> {
        Ok(self.take::<Option<i64>>()?.map(i64::cast_unsigned))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp> {
        self.bits().map(Timestamp)
    }

    pub(super) fn time_or_none(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.bits_or_none()?.map(Timestamp))
    }

    pub(super) fn boot(&mut self) -> Result<BootId> {
        self.take().map(|bytes| BootId(u128::from_be_bytes(bytes)))
    }

    pub(super) fn boot_or_none(&mut self) -> Result<Option<BootId>> {
        Ok(self
            .take::<Option<[u8; 16]>>()?
            .map(|bytes| BootId(u128::from_be_bytes(bytes))))
    }

    /// The three columns of an attempt's id.
    pub(super) fn attempt(&mut self) -> Result<AttemptId> {
        Ok(AttemptId {
            epoch: Epoch(self.take()?),
            salt: self.bits()?,
            sequence: self.bits()?,
        })
    }

    pub(super) fn phase(&mut self) -> Result<JobPhase> {
        match self.take::<i64>()? {
            0 => Ok(JobPhase::Active),
            1 => Ok(JobPhase::Cancelling),
            PHASE_FINISHED => Ok(JobPhase::Finished),
            other => Err(self.strange(other)),
        }
    }

    /// The four columns of an outcome.
    pub(super) fn outcome(&mut self) -> Result<Outcome> {
        let number = self.take::<i64>()?;
        let detail = self.take::<Option<u8>>()?;
        let errno = self.take::<Option<i32>>()?;
        let message = self.take::<Option<String>>()?;
        let strange = || self.strange(number);
        Ok(match number {
            0 => Outcome::Completed,
            1 => Outcome::Exited {
                code: detail.ok_or_else(strange)?,
            },
            2 => Outcome::Signalled {
                signal: detail.ok_or_else(strange)?,
            },
            3 => Outcome::OutOfMemory,
            4 => Outcome::TimedOut,
            5 => Outcome::Cancelled,
            6 => Outcome::NotStarted {
                stage: detail.and_then(stage).ok_or_else(strange)?,
                errno: errno.ok_or_else(strange)?,
            },
            7 => Outcome::Failed {
                message: message.ok_or_else(strange)?,
            },
            8 => Outcome::Lost,
            9 => Outcome::Unknown,
            _ => return Err(strange()),
        })
    }

    /// A number that means nothing in the column before.
    pub(super) fn strange(&self, value: i64) -> Error {
        Error::IntegralValueOutOfRange(self.next - 1, value)
    }
}

/// [`JobPhase::Finished`] as a number.
const PHASE_FINISHED: i64 = 2;

pub(super) fn phase_number(phase: JobPhase) -> i64 {
    match phase {
        JobPhase::Active => 0,
        JobPhase::Cancelling => 1,
        JobPhase::Finished => PHASE_FINISHED,
    }
}

pub(super) fn boot_bytes(boot: BootId) -> [u8; 16] {
    boot.0.to_be_bytes()
}

pub(super) fn stream_number(name: StreamName) -> u8 {
    match name {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
        StreamName::Result => 2,
    }
}

fn stage(number: u8) -> Option<StartStage> {
    StartStage::ALL.get(usize::from(number)).copied()
}

/// The columns of an outcome.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OutcomeColumns<'a> {
    pub(super) number: u8,
    pub(super) detail: Option<u8>,
    pub(super) errno: Option<i32>,
    pub(super) message: Option<&'a str>,
}

impl<'a> From<&'a Outcome> for OutcomeColumns<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let plain = |number| Self {
            number,
            ..Self::default()
        };
        match outcome {
            Outcome::Completed => plain(0),
            Outcome::Exited { code } => Self {
                detail: Some(*code),
                ..plain(1)
            },
            Outcome::Signalled { signal } => Self {
                detail: Some(*signal),
                ..plain(2)
            },
            Outcome::OutOfMemory => plain(3),
            Outcome::TimedOut => plain(4),
            Outcome::Cancelled => plain(5),
            Outcome::NotStarted { stage, errno } => Self {
                detail: Some(*stage as u8),
                errno: Some(*errno),
                ..plain(6)
            },
            Outcome::Failed { message } => Self {
                message: Some(message),
                ..plain(7)
            },
            Outcome::Lost => plain(8),
            Outcome::Unknown => plain(9),
        }
    }
}

/// The columns of the outputs of an attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OutputColumns {
    /// By the number of the stream.
    pub(super) lengths: [Option<i64>; 3],
    pub(super) on_node: u8,
    pub(super) truncated: u8,
}

/// The streams of an output with their names, by number.
pub(super) fn streams(output: &Output) -> [(StreamName, &Stream); 3] {
    [
        (StreamName::Stdout, &output.stdout),
        (StreamName::Stderr, &output.stderr),
        (StreamName::Result, &output.result),
    ]
}

impl From<&Output> for OutputColumns {
    fn from(output: &Output) -> Self {
        let mut columns = Self::default();
        for (name, stream) in streams(output) {
            let number = stream_number(name);
            let length = &mut columns.lengths[usize::from(number)];
            match stream {
                Stream::Empty => {}
                Stream::Inline(bytes) => *length = Some((bytes.len() as u64).cast_signed()),
                Stream::OnNode {
                    length: bytes,
                    truncated,
                } => {
                    *length = Some(bytes.cast_signed());
                    columns.on_node |= 1 << number;
                    columns.truncated |= u8::from(*truncated) << number;
                }
            }
        }
        columns
    }
}

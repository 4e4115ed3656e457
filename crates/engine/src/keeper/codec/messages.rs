//! The bytes of single messages and records: a tag, then the fields.

use flota_model::{
    ids::AttemptId,
    sample::{Remnant, Unkillable},
};

use crate::{
    journal::bytes::{Code, Reader, code_fields},
    keeper::{
        api::{
            Child, ChildState, End, FromKeeper, Guard, Identity, Launch, LogMode, LogRecord,
            StopReason, ToKeeper,
        },
        codec::CodecFault,
    },
};

code_fields!(Identity {
    boot,
    pid_namespace,
    pid,
    start_time,
    pidfd_inode
});
code_fields!(Launch {
    attempt,
    run,
    argv,
    environment,
    working_directory,
    stdin,
    fence,
    class,
    places,
    logs,
    execution,
    guard
});
code_fields!(Guard { no_shell, programs });
code_fields!(Unkillable {
    attempt,
    since,
    count,
    remnants
});
code_fields!(Remnant { pid, state });
code_fields!(Child {
    attempt,
    run,
    state
});

impl Code for LogMode {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Captured => out.push(1),
            Self::Rotated { run } => {
                out.push(2);
                run.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            1 => Self::Captured,
            2 => Self::Rotated {
                run: Code::take(input)?,
            },
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

impl Code for StopReason {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Stray => 1,
            Self::Fenced => 2,
            Self::TimedOut => 3,
            Self::Cancelled => 4,
            Self::Forgotten => 5,
            Self::Unhealthy => 6,
        });
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            1 => Self::Stray,
            2 => Self::Fenced,
            3 => Self::TimedOut,
            4 => Self::Cancelled,
            5 => Self::Forgotten,
            6 => Self::Unhealthy,
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

impl Code for End {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Known {
                status,
                usage,
                out_of_memory,
                started_at,
                ended_at,
                fenced,
                stopped,
            } => {
                out.push(1);
                status.put(out);
                usage.put(out);
                out_of_memory.put(out);
                started_at.put(out);
                ended_at.put(out);
                fenced.put(out);
                stopped.put(out);
            }
            Self::Unknown {
                started_at,
                found_at,
            } => {
                out.push(2);
                started_at.put(out);
                found_at.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            1 => Self::Known {
                status: Code::take(input)?,
                usage: Code::take(input)?,
                out_of_memory: Code::take(input)?,
                started_at: Code::take(input)?,
                ended_at: Code::take(input)?,
                fenced: Code::take(input)?,
                stopped: Code::take(input)?,
            },
            2 => Self::Unknown {
                started_at: Code::take(input)?,
                found_at: Code::take(input)?,
            },
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

impl Code for ChildState {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Waiting => out.push(5),
            Self::Starting => out.push(1),
            Self::Running {
                identity,
                started_at,
            } => {
                out.push(2);
                identity.put(out);
                started_at.put(out);
            }
            Self::NotStarted { stage, errno } => {
                out.push(3);
                stage.put(out);
                errno.put(out);
            }
            Self::Ended(end) => {
                out.push(4);
                end.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            1 => Self::Starting,
            2 => Self::Running {
                identity: Code::take(input)?,
                started_at: Code::take(input)?,
            },
            3 => Self::NotStarted {
                stage: Code::take(input)?,
                errno: Code::take(input)?,
            },
            4 => Self::Ended(Code::take(input)?),
            5 => Self::Waiting,
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

impl Code for ToKeeper {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { nonce } => {
                out.push(1);
                nonce.put(out);
            }
            Self::Start(launch) => {
                out.push(2);
                launch.put(out);
            }
            Self::Stop {
                attempt,
                signal,
                grace,
                reason,
            } => {
                put_for(3, *attempt, out);
                signal.put(out);
                grace.put(out);
                reason.put(out);
            }
            Self::Fence { attempt, deadline } => {
                put_for(4, *attempt, out);
                deadline.put(out);
            }
            Self::Forget { attempt } => put_for(5, *attempt, out),
            Self::Quit => out.push(6),
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            1 => Self::Hello {
                nonce: Code::take(input)?,
            },
            2 => Self::Start(Code::take(input)?),
            3 => Self::Stop {
                attempt: Code::take(input)?,
                signal: Code::take(input)?,
                grace: Code::take(input)?,
                reason: Code::take(input)?,
            },
            4 => Self::Fence {
                attempt: Code::take(input)?,
                deadline: Code::take(input)?,
            },
            5 => Self::Forget {
                attempt: Code::take(input)?,
            },
            6 => Self::Quit,
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

impl Code for FromKeeper {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Listed { children, last } => {
                out.push(1);
                children.put(out);
                last.put(out);
            }
            Self::Started {
                attempt,
                identity,
                at,
            } => {
                put_for(2, *attempt, out);
                identity.put(out);
                at.put(out);
            }
            Self::NotStarted {
                attempt,
                stage,
                errno,
            } => {
                put_for(3, *attempt, out);
                stage.put(out);
                errno.put(out);
            }
            Self::Ended { attempt, end } => {
                put_for(4, *attempt, out);
                end.put(out);
            }
            Self::Refused { attempt } => put_for(5, *attempt, out),
            Self::Unkillable(unkillable) => {
                out.push(6);
                unkillable.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        Ok(match input.byte()? {
            1 => Self::Listed {
                children: Code::take(input)?,
                last: Code::take(input)?,
            },
            2 => Self::Started {
                attempt: Code::take(input)?,
                identity: Code::take(input)?,
                at: Code::take(input)?,
            },
            3 => Self::NotStarted {
                attempt: Code::take(input)?,
                stage: Code::take(input)?,
                errno: Code::take(input)?,
            },
            4 => Self::Ended {
                attempt: Code::take(input)?,
                end: Code::take(input)?,
            },
            5 => Self::Refused {
                attempt: Code::take(input)?,
            },
            6 => Self::Unkillable(Code::take(input)?),
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

impl Code for LogRecord {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Spawning { attempt, run, at } => {
                put_for(1, *attempt, out);
                run.put(out);
                at.put(out);
            }
            Self::Running {
                attempt,
                identity,
                at,
            } => {
                put_for(2, *attempt, out);
                identity.put(out);
                at.put(out);
            }
            Self::NotStarted {
                attempt,
                stage,
                errno,
            } => {
                put_for(3, *attempt, out);
                stage.put(out);
                errno.put(out);
            }
            Self::Ended { attempt, end } => {
                put_for(4, *attempt, out);
                end.put(out);
            }
            Self::Forgotten { attempt } => put_for(5, *attempt, out),
            Self::Stopping { attempt, reason } => {
                put_for(6, *attempt, out);
                reason.put(out);
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecFault> {
        let tag = input.byte()?;
        let attempt = AttemptId::take(input)?;
        Ok(match tag {
            1 => Self::Spawning {
                attempt,
                run: Code::take(input)?,
                at: Code::take(input)?,
            },
            2 => Self::Running {
                attempt,
                identity: Code::take(input)?,
                at: Code::take(input)?,
            },
            3 => Self::NotStarted {
                attempt,
                stage: Code::take(input)?,
                errno: Code::take(input)?,
            },
            4 => Self::Ended {
                attempt,
                end: Code::take(input)?,
            },
            5 => Self::Forgotten { attempt },
            6 => Self::Stopping {
                attempt,
                reason: Code::take(input)?,
            },
            tag => return Err(CodecFault::Tag(tag)),
        })
    }
}

/// Appends a tag and the attempt that it is about.
fn put_for(tag: u8, attempt: AttemptId, out: &mut Vec<u8>) {
    out.push(tag);
    attempt.put(out);
}

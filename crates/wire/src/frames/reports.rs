//! Reports as columns.

use flota_model::{
    ids::{AttemptId, Epoch, JobId, SpecHash, TaskIndex},
    outcome::{INLINE_OUTPUT_MAX, Outcome, Output, Report, StartStage, Stream, Usage},
    units::Timestamp,
};

use super::{
    DecodeFault, MESSAGE_LENGTH_MAX, REPORTS_PER_FRAME_MAX, at_most,
    common::{decode_enum, unknown},
    proto::{self, OutcomeKind as Kind, stream_content::Content},
};

pub(super) fn encode(reports: &[Report]) -> proto::Reports {
    let runs = reports
        .chunk_by(|left, right| key(left) == key(right))
        .map(encode_run)
        .collect();
    proto::Reports { runs }
}

/// What all reports of a run share.
fn key(report: &Report) -> (JobId, SpecHash, Epoch, u64) {
    (
        report.job,
        report.spec_hash,
        report.attempt.epoch,
        report.attempt.salt,
    )
}

fn encode_run(reports: &[Report]) -> proto::ReportRun {
    let (job, spec_hash, epoch, salt) = key(&reports[0]);
    let used = reports
        .iter()
        .any(|report| report.usage != Usage::default());
    let usage = |column: fn(&Usage) -> u64| -> Vec<u64> {
        let reports = if used { reports } else { &[] };
        reports.iter().map(|report| column(&report.usage)).collect()
    };
    let details: Vec<i32> = reports
        .iter()
        .map(|report| detail(&report.outcome))
        .collect();
    proto::ReportRun {
        job: job.0,
        spec_hash: spec_hash.0,
        epoch: epoch.0,
        salt,
        sequence_steps: steps(reports.iter().map(|report| report.attempt.sequence)),
        task_steps: steps(reports.iter().map(|report| u64::from(report.task.0))),
        outcomes: reports
            .iter()
            .map(|report| kind(&report.outcome).into())
            .collect(),
        ended_steps: steps(reports.iter().map(|report| report.ended_at.0)),
        ran_micros: reports.iter().map(encode_ran).collect(),
        details: if details.iter().all(|detail| *detail == 0) {
            Vec::new()
        } else {
            details
        },
        user_micros: usage(|usage| usage.user_micros),
        system_micros: usage(|usage| usage.system_micros),
        memory_plus_one: usage(|usage| {
            usage
                .memory_bytes_max
                .map_or(0, |bytes| bytes.saturating_add(1))
        }),
        extras: reports
            .iter()
            .enumerate()
            .filter_map(encode_extra)
            .collect(),
    }
}

fn steps(values: impl Iterator<Item = u64>) -> Vec<i64> {
    let mut before = 0_u64;
    values
        .map(|value| {
            let step = value.wrapping_sub(before).cast_signed();
            before = value;
            step
        })
        .collect()
}

/// Zigzag, so that small steps back stay small numbers, plus one for "known".
fn encode_ran(report: &Report) -> u64 {
    let Some(started_at) = report.started_at else {
        return 0;
    };
    let span = report.ended_at.0.wrapping_sub(started_at.0).cast_signed();
    let zigzag = (span << 1 ^ span >> 63).cast_unsigned();
    // Only a span of 2^63 microseconds would wrap; it becomes "not known".
    zigzag.wrapping_add(1)
}

fn decode_ran(ended_at: Timestamp, ran: u64) -> Option<Timestamp> {
    let zigzag = ran.checked_sub(1)?;
    let span = zigzag >> 1 ^ (zigzag & 1).wrapping_neg();
    Some(Timestamp(ended_at.0.wrapping_sub(span)))
}

fn kind(outcome: &Outcome) -> Kind {
    match outcome {
        Outcome::Completed => Kind::Completed,
        Outcome::Exited { .. } => Kind::Exited,
        Outcome::Signalled { .. } => Kind::Signalled,
        Outcome::OutOfMemory => Kind::OutOfMemory,
        Outcome::TimedOut => Kind::TimedOut,
        Outcome::Cancelled => Kind::Cancelled,
        Outcome::NotStarted { .. } => Kind::NotStarted,
        Outcome::Failed { .. } => Kind::Failed,
        Outcome::Lost => Kind::Lost,
        Outcome::Unknown => Kind::Unknown,
    }
}

fn detail(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Exited { code } => i32::from(*code),
        Outcome::Signalled { signal } => i32::from(*signal),
        Outcome::NotStarted { errno, .. } => *errno,
        Outcome::Completed
        | Outcome::OutOfMemory
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Failed { .. }
        | Outcome::Lost
        | Outcome::Unknown => 0,
    }
}

/// An outcome outside of a column.
pub(super) struct Bare {
    pub(super) kind: i32,
    pub(super) detail: i32,
    pub(super) stage: i32,
    pub(super) message: String,
}

pub(super) fn encode_bare(outcome: &Outcome) -> Bare {
    let mut stage = proto::StartStage::Unspecified;
    let mut message = String::new();
    match outcome {
        Outcome::NotStarted { stage: step, .. } => stage = encode_stage(*step),
        Outcome::Failed { message: text } => message.clone_from(text),
        Outcome::Completed
        | Outcome::Exited { .. }
        | Outcome::Signalled { .. }
        | Outcome::OutOfMemory
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Lost
        | Outcome::Unknown => {}
    }
    Bare {
        kind: kind(outcome).into(),
        detail: detail(outcome),
        stage: stage.into(),
        message,
    }
}

fn encode_extra((position, report): (usize, &Report)) -> Option<proto::ReportExtra> {
    let Bare { stage, message, .. } = encode_bare(&report.outcome);
    let output = report.output.as_deref().map(encode_output);
    let none = i32::from(proto::StartStage::Unspecified);
    if stage == none && message.is_empty() && output.is_none() {
        return None;
    }
    // A frame with 2^32 reports is far above the greatest length.
    let position = u32::try_from(position).unwrap_or(u32::MAX);
    Some(proto::ReportExtra {
        position,
        stage,
        message,
        output,
    })
}

fn encode_stage(stage: StartStage) -> proto::StartStage {
    match stage {
        StartStage::Spawn => proto::StartStage::Spawn,
        StartStage::OpenStdin => proto::StartStage::OpenStdin,
        StartStage::OpenOutput => proto::StartStage::OpenOutput,
        StartStage::ChangeDirectory => proto::StartStage::ChangeDirectory,
        StartStage::Prepare => proto::StartStage::Prepare,
        StartStage::Execute => proto::StartStage::Execute,
        StartStage::Identity => proto::StartStage::Identity,
        StartStage::Contain => proto::StartStage::Contain,
        StartStage::Policy => proto::StartStage::Policy,
    }
}

fn decode_stage(stage: i32) -> Result<StartStage, DecodeFault> {
    Ok(match decode_enum("report.stage", stage)? {
        proto::StartStage::Unspecified => return Err(DecodeFault::Missing("report.stage")),
        proto::StartStage::Spawn => StartStage::Spawn,
        proto::StartStage::OpenStdin => StartStage::OpenStdin,
        proto::StartStage::OpenOutput => StartStage::OpenOutput,
        proto::StartStage::ChangeDirectory => StartStage::ChangeDirectory,
        proto::StartStage::Prepare => StartStage::Prepare,
        proto::StartStage::Execute => StartStage::Execute,
        proto::StartStage::Identity => StartStage::Identity,
        proto::StartStage::Contain => StartStage::Contain,
        proto::StartStage::Policy => StartStage::Policy,
    })
}

fn encode_output(output: &Output) -> proto::Output {
    let content = |stream: &Stream| {
        let content = match stream {
            Stream::Empty => return None,
            Stream::Inline(bytes) => Content::Inline(bytes.clone()),
            Stream::OnNode { length, truncated } => Content::OnNode(proto::StreamOnNode {
                length: *length,
                truncated: *truncated,
            }),
        };
        Some(proto::StreamContent {
            content: Some(content),
        })
    };
    proto::Output {
        stdout: content(&output.stdout),
        stderr: content(&output.stderr),
        result: content(&output.result),
    }
}

fn decode_output(output: proto::Output) -> Result<Output, DecodeFault> {
    Ok(Output {
        stdout: decode_content(output.stdout)?,
        stderr: decode_content(output.stderr)?,
        result: decode_content(output.result)?,
    })
}

fn decode_content(content: Option<proto::StreamContent>) -> Result<Stream, DecodeFault> {
    let Some(content) = content else {
        return Ok(Stream::Empty);
    };
    match content
        .content
        .ok_or(DecodeFault::Missing("report.output.content"))?
    {
        Content::Inline(bytes) => {
            at_most("report.output.inline", bytes.len(), INLINE_OUTPUT_MAX)?;
            Ok(Stream::Inline(bytes))
        }
        Content::OnNode(place) => Ok(Stream::OnNode {
            length: place.length,
            truncated: place.truncated,
        }),
    }
}

pub(super) fn decode(reports: proto::Reports) -> Result<Vec<Report>, DecodeFault> {
    let count = reports
        .runs
        .iter()
        .map(|run| run.sequence_steps.len())
        .sum();
    at_most("reports", count, REPORTS_PER_FRAME_MAX)?;
    let mut decoded = Vec::with_capacity(count);
    for run in reports.runs {
        decode_run(run, &mut decoded)?;
    }
    Ok(decoded)
}

fn decode_run(run: proto::ReportRun, decoded: &mut Vec<Report>) -> Result<(), DecodeFault> {
    let count = run.sequence_steps.len();
    check_columns(&run, count)?;
    let mut extras = run.extras.into_iter().peekable();
    let (mut sequence, mut task, mut ended) = (0_u64, 0_u64, 0_u64);
    for position in 0..count {
        sequence = sequence.wrapping_add_signed(run.sequence_steps[position]);
        task = task.wrapping_add_signed(run.task_steps[position]);
        ended = ended.wrapping_add_signed(run.ended_steps[position]);
        let ended_at = Timestamp(ended);
        let extra = extras
            .next_if(|extra| extra.position as usize == position)
            .unwrap_or_default();
        let detail = run.details.get(position).copied().unwrap_or(0);
        decoded.push(Report {
            attempt: AttemptId {
                epoch: Epoch(run.epoch),
                salt: run.salt,
                sequence,
            },
            job: JobId(run.job),
            task: u32::try_from(task)
                .map(TaskIndex)
                .map_err(|_| DecodeFault::Invalid {
                    field: "report.task_steps",
                    what: "leads out of the indexes of tasks",
                })?,
            spec_hash: SpecHash(run.spec_hash),
            outcome: decode_outcome(run.outcomes[position], detail, extra.stage, extra.message)?,
            started_at: decode_ran(ended_at, run.ran_micros[position]),
            ended_at,
            usage: Usage {
                user_micros: run.user_micros.get(position).copied().unwrap_or(0),
                system_micros: run.system_micros.get(position).copied().unwrap_or(0),
                memory_bytes_max: run
                    .memory_plus_one
                    .get(position)
                    .and_then(|bytes| bytes.checked_sub(1)),
            },
            output: extra.output.map(decode_output).transpose()?.map(Box::new),
        });
    }
    if extras.peek().is_some() {
        let what = "has a position that is not ascending or beyond the run";
        return Err(DecodeFault::Invalid {
            field: "report.extras",
            what,
        });
    }
    Ok(())
}

/// Every column has one entry a report; those that may be left out have none or one.
fn check_columns(run: &proto::ReportRun, count: usize) -> Result<(), DecodeFault> {
    if count == 0 {
        return Err(DecodeFault::Missing("report.sequence_steps"));
    }
    for (field, length, optional) in [
        ("report.task_steps", run.task_steps.len(), false),
        ("report.outcomes", run.outcomes.len(), false),
        ("report.ended_steps", run.ended_steps.len(), false),
        ("report.ran_micros", run.ran_micros.len(), false),
        ("report.details", run.details.len(), true),
        ("report.user_micros", run.user_micros.len(), true),
        ("report.system_micros", run.system_micros.len(), true),
        ("report.memory_plus_one", run.memory_plus_one.len(), true),
    ] {
        if length != count && !(optional && length == 0) {
            let what = "has another number of entries than the other columns";
            return Err(DecodeFault::Invalid { field, what });
        }
    }
    Ok(())
}

pub(super) fn decode_outcome(
    kind: i32,
    detail: i32,
    stage: i32,
    message: String,
) -> Result<Outcome, DecodeFault> {
    let byte = || {
        let what = "is out of 0..=255";
        u8::try_from(detail).map_err(|_| DecodeFault::Invalid {
            field: "report.details",
            what,
        })
    };
    Ok(match decode_enum("report.outcomes", kind)? {
        Kind::Unspecified => return Err(unknown("report.outcomes", 0)),
        Kind::Completed => Outcome::Completed,
        Kind::Exited => Outcome::Exited { code: byte()? },
        Kind::Signalled => Outcome::Signalled { signal: byte()? },
        Kind::OutOfMemory => Outcome::OutOfMemory,
        Kind::TimedOut => Outcome::TimedOut,
        Kind::Cancelled => Outcome::Cancelled,
        Kind::NotStarted => Outcome::NotStarted {
            stage: decode_stage(stage)?,
            errno: detail,
        },
        Kind::Failed => {
            at_most("report.message", message.len(), MESSAGE_LENGTH_MAX)?;
            Outcome::Failed { message }
        }
        Kind::Lost => Outcome::Lost,
        Kind::Unknown => Outcome::Unknown,
    })
}

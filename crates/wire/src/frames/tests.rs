use std::{collections::BTreeMap, time::Duration};

use flota_model::{
    frame::{Down, DownBody, GrantOrder, Up, UpBody},
    ids::{AttemptId, AttemptRange, Authority, Epoch, JobId, SessionNumber, SpecHash, TaskIndex},
    outcome::{Outcome, Report, Usage},
    units::{Moment, Timestamp},
};
use prost::Message;

use super::*;
use crate::random::Random;

mod generate;
mod hostile;

fn up_batch(frames: &[Up]) -> Vec<u8> {
    let mut batch = Vec::new();
    for frame in frames {
        encode_up(frame, &mut batch).unwrap();
    }
    batch
}

fn down_batch(frames: &[Down]) -> Vec<u8> {
    let mut batch = Vec::new();
    for frame in frames {
        encode_down(frame, &mut batch).unwrap();
    }
    batch
}

fn up(body: UpBody) -> Up {
    Up {
        session: SessionNumber(3),
        sequence: 7,
        body,
    }
}

fn down(body: DownBody) -> Down {
    let authority = Authority {
        epoch: Epoch(2),
        ..Authority::default()
    };
    Down {
        session: SessionNumber(3),
        sequence: 7,
        authority,
        body,
    }
}

/// A thousand no-ops of one job, as a busy agent reports them.
fn no_ops(count: u32) -> Vec<Report> {
    (0..count)
        .map(|number| {
            let ended_at = Timestamp(1_750_000_000_000_000 + 90 * u64::from(number));
            Report {
                attempt: AttemptId {
                    epoch: Epoch(12),
                    salt: 0x1234_5678_9abc_def0,
                    sequence: 5_000_000 + u64::from(number),
                },
                job: JobId(77),
                task: TaskIndex(250_000 + number),
                spec_hash: SpecHash(u64::MAX),
                outcome: Outcome::Completed,
                started_at: Some(Timestamp(ended_at.0 - 3)),
                ended_at,
                usage: Usage::default(),
                output: None,
            }
        })
        .collect()
}

#[test]
fn every_frame_of_an_agent_arrives_as_it_was_sent() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let frames: Vec<Up> = (0..=random.below(4))
            .map(|_| generate::up(&mut random))
            .collect();
        let decoded: Result<Vec<Up>, DecodeFault> = decode_up(&up_batch(&frames)).collect();
        assert_eq!(decoded, Ok(frames), "seed {seed}");
    }
}

#[test]
fn every_frame_of_a_server_arrives_as_it_was_sent() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let frames: Vec<Down> = (0..=random.below(4))
            .map(|_| generate::down(&mut random))
            .collect();
        let decoded: Result<Vec<Down>, DecodeFault> = decode_down(&down_batch(&frames)).collect();
        assert_eq!(decoded, Ok(frames), "seed {seed}");
    }
}

#[test]
fn a_thousand_no_ops_take_eight_bytes_each() {
    let reports = no_ops(1_000);
    let batch = up_batch(&[up(UpBody::Reports(reports.clone()))]);
    assert!(batch.len() < 8 * 1_000, "{} bytes", batch.len());
    let decoded: Vec<Up> = decode_up(&batch).map(Result::unwrap).collect();
    assert_eq!(decoded, [up(UpBody::Reports(reports))]);
}

#[test]
fn joined_batches_are_one_batch_of_all_their_frames() {
    let beat = |sequence| Up {
        sequence,
        ..up(UpBody::Heartbeat {
            sent_at: Moment(sequence),
            running: Vec::new(),
            sample: None,
        })
    };
    let frames: Vec<Up> = (0..FRAMES_PER_BATCH_MAX as u64).map(beat).collect();
    let batch = up_batch(&frames);
    // What another implementation of protobuf would read.
    assert_eq!(
        proto::UpBatch::decode(&batch[..]).unwrap().frames.len(),
        FRAMES_PER_BATCH_MAX
    );
    assert_eq!(
        decode_up(&batch).map(Result::unwrap).collect::<Vec<_>>(),
        frames
    );

    let one_more = [batch, up_batch(&[beat(0)])].concat();
    let limit = FRAMES_PER_BATCH_MAX as u64;
    let fault = DecodeFault::TooMuch {
        field: "frames",
        actual: limit + 1,
        limit,
    };
    assert_eq!(decode_up(&one_more).last(), Some(Err(fault)));
}

#[test]
fn an_empty_batch_has_no_frames() {
    assert_eq!(decode_up(&[]).count(), 0);
    assert_eq!(decode_down(&[]).count(), 0);
}

#[test]
fn a_frame_above_the_limit_is_not_encoded() {
    let version = |length: usize| {
        let mut hello = generate::hello(&mut Random(1));
        hello.version = "v".repeat(length);
        up(UpBody::Hello(Box::new(hello)))
    };
    let mut batch = vec![1, 2, 3];
    let fault = encode_up(&version(FRAME_LENGTH_MAX), &mut batch).unwrap_err();
    assert!(fault.length > FRAME_LENGTH_MAX, "{fault}");
    assert_eq!(batch, [1, 2, 3]);

    let around = fault.length - FRAME_LENGTH_MAX;
    let longest = version(FRAME_LENGTH_MAX - around);
    let batch = up_batch(std::slice::from_ref(&longest));
    assert!(
        batch.len() > FRAME_LENGTH_MAX && batch.len() <= BATCH_LENGTH_MAX,
        "{}",
        batch.len()
    );
    // It is read to its end: what is wrong with it is not the length of the frame.
    let fault = decode_up(&batch).next().unwrap().unwrap_err();
    assert!(fault.to_string().contains("hello.version"), "{fault}");
}

#[test]
fn a_damaged_spec_is_refused() {
    let mut random = Random(5);
    let mut spec = generate::spec(&mut random);
    spec.hash.0 ^= 1;
    let grants = DownBody::Grants {
        specs: vec![spec],
        orders: Vec::new(),
    };
    let fault = decode_down(&down_batch(&[down(grants)]))
        .next()
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&fault, DecodeFault::Spec(what) if what.contains("hash")),
        "{fault}"
    );
}

#[test]
fn every_kind_of_frame_was_generated() {
    let mut seen = BTreeMap::<String, u32>::new();
    let mut note = |body: String| {
        let word = body
            .split([' ', '(', '{'])
            .next()
            .unwrap_or_default()
            .to_owned();
        *seen.entry(word).or_default() += 1;
    };
    for seed in 0..500 {
        note(format!("{:?}", generate::up(&mut Random(seed)).body));
        note(format!("{:?}", generate::down(&mut Random(seed)).body));
    }
    assert_eq!(seen.len(), 8 + 11, "{seen:?}");
}

#[test]
#[ignore = "a measurement; run it with --release --no-capture"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn speed_of_a_thousand_no_ops() {
    let frame = up(UpBody::Reports(no_ops(1_000)));
    let rounds = 2_000;
    let start = std::time::Instant::now();
    let mut batch = Vec::new();
    for _ in 0..rounds {
        batch.clear();
        encode_up(&frame, &mut batch).unwrap();
    }
    let encoded = start.elapsed() / rounds;
    let start = std::time::Instant::now();
    let count: usize = (0..rounds)
        .map(|_| decode_up(&batch).map(Result::unwrap).count())
        .sum();
    let decoded = start.elapsed() / rounds;
    assert_eq!(count, rounds as usize);
    assert!(decoded < Duration::from_secs(1));
    println!(
        "{} bytes, encode {encoded:?}, decode {decoded:?}",
        batch.len()
    );
}

fn range(first: u64, count: u32) -> AttemptRange {
    AttemptRange {
        first: AttemptId {
            epoch: Epoch(1),
            salt: 2,
            sequence: first,
        },
        count,
    }
}

fn order(first_task: u32, attempts: AttemptRange) -> GrantOrder {
    GrantOrder {
        attempts,
        job: JobId(1),
        first_task: TaskIndex(first_task),
        spec_hash: SpecHash(9),
        rows: None,
    }
}

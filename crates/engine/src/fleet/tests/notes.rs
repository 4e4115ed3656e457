//! Notes with the jobs that come of them, and the rows of jobs.

use std::sync::Arc;

use flota_model::{
    command::{Command, Refusal, Reply},
    ids::JobId,
    note::{NOTE_LENGTH_MAX, NoteKind},
    parameters::{Parameters, ROWS_OF_GRANT_MAX, Rows, RowsHash, RowsSpec, RowsWriter},
    spec::{JobSpec, SealedSpec},
};

use super::bench::{Agent, Bench, sealed, spec};

fn write(expected: u64, bytes: &[u8], jobs: Vec<(SealedSpec, Option<Rows>)>) -> Command {
    Command::WriteNote {
        kind: NoteKind::Watch,
        name: "/jobs/a".to_owned(),
        expected: Some(expected),
        bytes: bytes.into(),
        jobs,
    }
}

/// A job with a row of so many bytes for each task.
fn with_rows(tasks: u32, length: usize) -> (JobSpec, Rows) {
    let mut writer = RowsWriter::default();
    for task in 0..tasks {
        writer.push([format!("{task:0length$}").as_str()]);
    }
    let named = RowsSpec {
        columns: vec!["x".to_owned()],
        hash: RowsHash([1; 32]),
        count: tasks,
    };
    let job = JobSpec {
        parameters: Some(Parameters::Rows(named)),
        ..spec(tasks)
    };
    let rows = Rows::parse(writer.finish().into(), 1).unwrap();
    (job, rows)
}

#[test]
fn a_note_and_its_jobs_come_together_and_once() {
    let mut bench = Bench::new();
    let made = bench.command(write(0, b"one", vec![(sealed(spec(2)), None)]));
    let noted = |revision, jobs: &[u64]| {
        let jobs = jobs.iter().map(|job| JobId(*job)).collect();
        Ok(Reply::Noted { revision, jobs })
    };
    assert_eq!(made, noted(1, &[1]));
    // The answer was lost, and the server restarted: the same step is refused.
    let mut bench = bench.restarted();
    let changed = Err(Refusal::NoteChanged {
        kind: NoteKind::Watch,
        name: "/jobs/a".to_owned(),
    });
    assert_eq!(
        bench.command(write(0, b"one", vec![(sealed(spec(2)), None)])),
        changed
    );
    assert_eq!(bench.command(write(1, b"two", Vec::new())), noted(2, &[]));
    // A job that is not admitted takes the note and the other job with it.
    let mut pinned = spec(1);
    pinned.constraints.node = Some("nowhere".to_owned());
    let jobs = vec![(sealed(spec(1)), None), (sealed(pinned), None)];
    let refused = bench.command(write(2, b"three", jobs));
    assert_eq!(refused, Err(Refusal::NodeUnknown("nowhere".to_owned())));
    let notes = bench.fleet.notes_of(NoteKind::Watch);
    assert_eq!((notes[0].revision, &*notes[0].bytes), (2, &b"two"[..]));
    assert_eq!(bench.submit(spec(1)), JobId(2));
    let long: Arc<[u8]> = vec![0; NOTE_LENGTH_MAX + 1].into();
    let limit = Err(Refusal::TooManyNotes {
        kind: NoteKind::Watch,
    });
    assert_eq!(bench.command(write(2, &long, Vec::new())), limit);
    let remove = || Command::RemoveNote {
        kind: NoteKind::Watch,
        name: "/jobs/a".to_owned(),
    };
    assert_eq!(bench.command(remove()), noted(2, &[]));
    assert!(matches!(
        bench.command(remove()),
        Err(Refusal::NoteNotFound { .. })
    ));
}

#[test]
fn a_grant_brings_the_rows_of_its_tasks_and_no_more_of_them_than_fit() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 64);
    agent.hello(&mut bench);
    let length = ROWS_OF_GRANT_MAX / 4;
    let (job, rows) = with_rows(10, length);
    let submit = Command::Submit {
        spec: sealed(job),
        rows: Some(rows.clone()),
        idempotency_key: None,
    };
    bench.command(submit).unwrap();
    agent.listen(&bench);
    assert_eq!(
        agent
            .orders
            .iter()
            .map(|order| order.attempts.count)
            .sum::<u32>(),
        10
    );
    for order in &agent.orders {
        let part = order.rows.as_ref().unwrap();
        assert!(part.bytes().len() <= ROWS_OF_GRANT_MAX);
        let first = order.first_task.0 - 1;
        assert_eq!(*part, rows.part(first, order.attempts.count));
    }
}

#[test]
fn the_rows_of_live_jobs_have_a_limit() {
    let mut bench = Bench::new();
    let (job, rows) = with_rows(1_000, 60_000);
    let submit = || Command::Submit {
        spec: sealed(job.clone()),
        rows: Some(rows.clone()),
        idempotency_key: None,
    };
    for _ in 0..4 {
        bench.command(submit()).unwrap();
    }
    let refused = bench.command(submit());
    assert_eq!(refused, Err(Refusal::TooManyRows { limit: 256 << 20 }));
    bench
        .command(Command::Cancel {
            job: JobId(1),
            reason: None,
        })
        .unwrap();
    bench.command(submit()).unwrap();
}

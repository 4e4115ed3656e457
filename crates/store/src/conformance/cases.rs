//! The writer's promises.

use flota_model::{
    change::{AttemptRecord, Change, Counters, JobRecord, Snapshot, TaskHistory},
    ids::{BatchNumber, GrantId, JobId, NodeId, TaskIndex},
    outcome::{Outcome, Output, StartStage, Stream, Usage},
    parameters::{Rows, RowsWriter},
    state::JobPhase,
    units::Timestamp,
};

use super::{
    Subject,
    sample::{
        SALT, added, attempt, audited, authority, batch, ended, first, grant, job, key, made, node,
        progressed, revised, revision, service, stdout, taken,
    },
};
use crate::{history::AuditPage, journal::ApplyFault};

/// Applies `changes` as batches 1, 2, … and reopens.
fn load_after(subject: &impl Subject, batches: Vec<Vec<Change>>) -> Snapshot {
    let (mut journal, _) = subject.open();
    for (number, changes) in (1..).zip(batches) {
        let batch = if number == 1 {
            first(changes)
        } else {
            batch(number, 1, changes)
        };
        journal.apply(&[batch]).unwrap();
    }
    drop(journal);
    subject.open().0.load().unwrap()
}

pub(super) fn a_new_store_is_empty(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    assert_eq!(journal.load().unwrap(), Snapshot::default());
    assert_eq!(journal.last_batch().unwrap(), BatchNumber(0));
    assert_eq!(history.nodes().unwrap(), []);
}

pub(super) fn everything_applied_comes_back_after_reopening(subject: &impl Subject) {
    let history = TaskHistory {
        failures: 2,
        losses: u16::MAX,
        apart: true,
    };
    let counters = Counters {
        job: JobId(9),
        node: NodeId(8),
        grant: GrantId(7),
    };
    let chunk = |number, bytes| Change::ChunkWritten {
        job: JobId(1),
        number,
        bytes,
    };
    let snapshot = load_after(
        subject,
        vec![vec![
            added(1),
            added(2),
            chunk(1, vec![7; 30_000]),
            chunk(0, Vec::new()),
            Change::TaskHistoryWritten {
                job: JobId(1),
                task: TaskIndex(150),
                history: Some(history),
            },
            Change::GrantAdded(grant(5, 1)),
            Change::NodeWritten(Box::new(node(3))),
            Change::KeyAdded {
                key: key("a"),
                made: made(1),
            },
            audited("job/1", None),
            Change::CountersWritten(counters),
            ended(attempt(1, 100, 500)),
            Change::ServiceWritten(Box::new(service("b", false))),
            Change::ServiceWritten(Box::new(service("a", true))),
            revised("b", 1 << 40),
            revised("b", 7),
            revised("a", 8),
        ]],
    );
    let expected = Snapshot {
        notes: Vec::new(),
        authority: authority(1),
        restored: false,
        batch: BatchNumber(1),
        queue: None,
        counters,
        jobs: vec![job(1), job(2)],
        chunks: vec![(JobId(1), 0, Vec::new()), (JobId(1), 1, vec![7; 30_000])],
        histories: vec![(JobId(1), TaskIndex(150), history)],
        grants: vec![grant(5, 1)],
        nodes: vec![node(3)],
        services: vec![service("a", true), service("b", false)],
        revisions: [("a", 8), ("b", 7), ("b", 1 << 40)]
            .map(|(service, job)| (service.to_owned(), revision(job)))
            .to_vec(),
        keys: vec![(key("a"), made(1))],
    };
    assert_eq!(snapshot, expected);
}

pub(super) fn what_was_removed_does_not_come_back(subject: &impl Subject) {
    let history = |history| Change::TaskHistoryWritten {
        job: JobId(1),
        task: TaskIndex(150),
        history,
    };
    let snapshot = load_after(
        subject,
        vec![
            vec![
                added(1),
                history(Some(TaskHistory {
                    failures: 1,
                    losses: 0,
                    apart: false,
                })),
                Change::GrantAdded(grant(5, 1)),
                Change::KeyAdded {
                    key: key("a"),
                    made: made(1),
                },
                Change::ServiceWritten(Box::new(service("a", true))),
                revised("a", 7),
                revised("a", 9),
            ],
            vec![
                history(None),
                Change::GrantRemoved(GrantId(5)),
                Change::KeyRemoved(key("a")),
                // Removing what is not there changes nothing.
                Change::GrantRemoved(GrantId(6)),
                Change::KeyRemoved(key("b")),
                Change::ServiceRemoved("a".to_owned()),
                Change::RevisionRemoved {
                    service: "a".to_owned(),
                    job: JobId(7),
                },
                Change::RevisionRemoved {
                    service: "b".to_owned(),
                    job: JobId(9),
                },
            ],
        ],
    );
    assert_eq!(snapshot.jobs, [job(1)]);
    assert_eq!(snapshot.histories, []);
    assert_eq!(snapshot.grants, []);
    assert_eq!(snapshot.keys, []);
    assert_eq!(snapshot.services, []);
    assert_eq!(snapshot.revisions, [("a".to_owned(), revision(9))]);
}

pub(super) fn the_last_write_of_a_record_stands(subject: &impl Subject) {
    let mut changed = node(3);
    changed.labels.remove("zone");
    changed.capacity.counters.clear();
    changed.grace = None;
    changed.leased = false;
    let chunk = |bytes| Change::ChunkWritten {
        job: JobId(1),
        number: 0,
        bytes,
    };
    let snapshot = load_after(
        subject,
        vec![
            vec![
                added(1),
                chunk(vec![1; 24_576]),
                Change::GrantAdded(grant(5, 1)),
                Change::NodeWritten(Box::new(node(3))),
            ],
            vec![
                progressed(1, JobPhase::Cancelling),
                chunk(vec![2; 100]),
                Change::GrantWritten {
                    grant: GrantId(5),
                    unsettled: vec![1, 0],
                    suspect: vec![1, 0],
                },
                Change::NodeWritten(Box::new(changed.clone())),
            ],
        ],
    );
    assert_eq!(snapshot.jobs[0].phase, JobPhase::Cancelling);
    assert_eq!(snapshot.jobs[0].counts.0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(snapshot.chunks, [(JobId(1), 0, vec![2; 100])]);
    assert_eq!(snapshot.grants[0].unsettled, [1, 0]);
    assert_eq!(snapshot.grants[0].suspect, [1, 0]);
    assert_eq!(snapshot.nodes, [changed]);
}

pub(super) fn a_finished_job_is_loaded_only_while_it_has_grants(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let chunk = |job| Change::ChunkWritten {
        job: JobId(job),
        number: 0,
        bytes: vec![3],
    };
    let start = vec![
        added(1),
        added(2),
        chunk(1),
        chunk(2),
        Change::GrantAdded(grant(5, 1)),
    ];
    let end = vec![
        progressed(1, JobPhase::Finished),
        progressed(2, JobPhase::Finished),
    ];
    journal.apply(&[first(start), batch(2, 1, end)]).unwrap();

    let snapshot = journal.load().unwrap();
    let jobs: Vec<JobId> = snapshot.jobs.iter().map(|record| record.job).collect();
    assert_eq!(jobs, [JobId(1)]);
    assert_eq!(
        snapshot.jobs[0].finished_at,
        Some(Timestamp(1_700_000_009_000_000))
    );
    assert_eq!(snapshot.chunks, [(JobId(1), 0, vec![3])]);

    journal
        .apply(&[batch(3, 1, vec![Change::GrantRemoved(GrantId(5))])])
        .unwrap();
    let snapshot = journal.load().unwrap();
    assert_eq!((snapshot.jobs, snapshot.chunks), (Vec::new(), Vec::new()));
    // The states of its tasks stay for readers.
    let tasks = job(1).spec.spec.tasks;
    assert_eq!(history.chunks(JobId(1), tasks).unwrap(), [(0, vec![3])]);
}

pub(super) fn rows_come_back_with_their_live_job_and_not_to_readers(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let mut writer = RowsWriter::default();
    for row in 0..200 {
        writer.push([row.to_string().as_str(), "é\n"]);
    }
    let rows = Rows::parse(writer.finish().into(), 2).unwrap();
    let with_rows = JobRecord {
        rows: Some(rows.part(50, 100)),
        ..job(7)
    };
    let added = |record: JobRecord| Change::JobAdded(Box::new(record));
    let start = vec![added(job(3)), added(with_rows.clone()), added(job(9))];
    journal.apply(&[first(start)]).unwrap();
    drop(journal);
    let (mut journal, _) = subject.open();
    let loaded = journal.load().unwrap().jobs;
    assert_eq!(loaded, [job(3), with_rows, job(9)]);
    assert_eq!(history.job(JobId(7)).unwrap(), Some(job(7)));
}

pub(super) fn no_batches_are_no_commit(subject: &impl Subject) {
    let (mut journal, _) = subject.open();
    journal.apply(&[]).unwrap();
    assert_eq!(journal.last_batch().unwrap(), BatchNumber(0));
}

pub(super) fn batch_numbers_must_follow_on(subject: &impl Subject) {
    let (mut journal, _) = subject.open();
    let mut early = first(Vec::new());
    early.number = BatchNumber(2);
    let gap = journal.apply(&[early]);
    assert!(matches!(
        gap,
        Err(ApplyFault::Gap {
            number: BatchNumber(2),
            last: BatchNumber(0)
        })
    ));
    journal
        .apply(&[first(Vec::new()), batch(2, 1, Vec::new())])
        .unwrap();
    // The same again, as after a commit whose answer was lost.
    for again in [first(Vec::new()), batch(2, 1, Vec::new())] {
        let known = journal.apply(&[again]);
        let last = BatchNumber(2);
        assert!(matches!(known, Err(ApplyFault::AlreadyCommitted { last: l, .. }) if l == last));
    }
    let gap = journal.apply(&[batch(3, 1, Vec::new()), batch(5, 1, Vec::new())]);
    assert!(matches!(
        gap,
        Err(ApplyFault::Gap {
            number: BatchNumber(5),
            last: BatchNumber(3)
        })
    ));
    assert_eq!(journal.last_batch().unwrap(), BatchNumber(2));
}

pub(super) fn only_the_stored_authority_may_write(subject: &impl Subject) {
    let (mut journal, _) = subject.open();
    journal.apply(&[first(Vec::new())]).unwrap();
    // A new server starts; its batches may speak for the old authority up to the one that takes.
    journal
        .apply(&[batch(2, 1, vec![taken(2, 5)]), batch(3, 2, Vec::new())])
        .unwrap();
    for epoch in [1, 3] {
        let fault = journal
            .apply(&[batch(4, epoch, vec![added(1)])])
            .unwrap_err();
        let ApplyFault::Superseded {
            stored,
            carried,
            number,
        } = fault
        else {
            panic!("{fault}");
        };
        assert_eq!((stored, carried), (authority(2), authority(epoch)));
        assert_eq!(number, BatchNumber(4));
    }
    assert_eq!(journal.load().unwrap().authority, authority(2));
    journal.apply(&[batch(4, 2, Vec::new())]).unwrap();
}

pub(super) fn authority_is_only_raised(subject: &impl Subject) {
    let (mut journal, _) = subject.open();
    journal
        .apply(&[first(Vec::new()), batch(2, 7, vec![taken(7, 5)])])
        .unwrap();
    let stale = [
        (3, taken(6, 5), 7),
        (3, taken(6, 5), 6),
        (3, taken(8, 5), 6),
    ];
    for (number, change, epoch) in stale {
        let fault = journal
            .apply(&[batch(number, epoch, vec![change])])
            .unwrap_err();
        assert!(matches!(fault, ApplyFault::Superseded { .. }), "{fault}");
    }
    assert_eq!(journal.load().unwrap().authority, authority(7));
}

pub(super) fn a_server_that_drew_the_same_epoch_is_refused(subject: &impl Subject) {
    let (mut one, _) = subject.open();
    one.apply(&[first(Vec::new())]).unwrap();
    let fault = one
        .apply(&[batch(1, 1, vec![taken(1, SALT + 1)])])
        .unwrap_err();
    assert!(matches!(fault, ApplyFault::Superseded { .. }), "{fault}");
}

pub(super) fn a_refused_batch_leaves_nothing_of_the_call(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    journal.apply(&[first(vec![added(1)])]).unwrap();
    let before = journal.load().unwrap();
    let good = vec![added(2), ended(attempt(1, 100, 1)), audited("job/2", None)];
    let refused = journal.apply(&[batch(2, 1, good.clone()), batch(9, 1, Vec::new())]);
    assert!(refused.is_err());
    assert_eq!(journal.load().unwrap(), before);
    assert_eq!(history.task(JobId(1), TaskIndex(100)).unwrap(), []);
    assert_eq!(
        history
            .audit(&AuditPage {
                before: None,
                limit: 9
            })
            .unwrap()
            .rows,
        []
    );
    journal.apply(&[batch(2, 1, good)]).unwrap();
    assert_eq!(journal.load().unwrap().jobs, [job(1), job(2)]);
}

pub(super) fn changes_of_what_is_not_there_are_refused(subject: &impl Subject) {
    let (mut journal, _) = subject.open();
    journal.apply(&[first(Vec::new())]).unwrap();
    let grant = Change::GrantWritten {
        grant: GrantId(1),
        unsettled: vec![],
        suspect: vec![],
    };
    for change in [progressed(1, JobPhase::Active), grant] {
        let fault = journal.apply(&[batch(2, 1, vec![change])]).unwrap_err();
        assert!(
            matches!(
                fault,
                ApplyFault::Unfit {
                    number: BatchNumber(2),
                    ..
                }
            ),
            "{fault}"
        );
    }
    assert_eq!(journal.last_batch().unwrap(), BatchNumber(1));
}

pub(super) fn what_is_there_already_is_not_added_again(subject: &impl Subject) {
    let (mut journal, _) = subject.open();
    let additions = [
        added(1),
        Change::GrantAdded(grant(5, 1)),
        Change::KeyAdded {
            key: key("a"),
            made: made(1),
        },
    ];
    journal.apply(&[first(additions.to_vec())]).unwrap();
    for change in additions {
        let fault = journal.apply(&[batch(2, 1, vec![change])]).unwrap_err();
        let ApplyFault::Unfit { what, .. } = fault else {
            panic!("{fault}")
        };
        assert!(what.ends_with("is already there"), "{what}");
    }
}

pub(super) fn the_first_record_of_an_attempt_stays(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let one = AttemptRecord {
        output: Some(Box::new(stdout("one"))),
        ..attempt(1, 100, 1)
    };
    let two = AttemptRecord {
        outcome: Outcome::Lost,
        counted: false,
        output: Some(Box::new(stdout("two"))),
        ..attempt(1, 100, 1)
    };
    let again = batch(2, 1, vec![ended(two), ended(one.clone())]);
    journal
        .apply(&[first(vec![ended(one.clone())]), again])
        .unwrap();
    assert_eq!(history.task(JobId(1), TaskIndex(100)).unwrap(), [one]);
}

pub(super) fn a_corrected_attempt_is_replaced_with_its_outputs(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let wrong = AttemptRecord {
        outcome: Outcome::Unknown,
        output: Some(Box::new(Output {
            stdout: Stream::Inline(b"old".to_vec()),
            stderr: Stream::Inline(b"old".to_vec()),
            result: Stream::Empty,
        })),
        ..attempt(1, 100, 1)
    };
    let right = AttemptRecord {
        output: Some(Box::new(stdout("new"))),
        ..attempt(1, 100, 1)
    };
    let other = attempt(1, 100, 2);
    let start = vec![ended(wrong), ended(other.clone())];
    let corrected = Change::AttemptCorrected(Box::new(right.clone()));
    journal
        .apply(&[first(start), batch(2, 1, vec![corrected])])
        .unwrap();
    assert_eq!(
        history.task(JobId(1), TaskIndex(100)).unwrap(),
        [right, other]
    );
}

pub(super) fn every_outcome_and_stream_comes_back(subject: &impl Subject) {
    let mut outcomes = vec![
        Outcome::Completed,
        Outcome::Exited { code: 255 },
        Outcome::Signalled { signal: 9 },
        Outcome::OutOfMemory,
        Outcome::TimedOut,
        Outcome::Cancelled,
        Outcome::Failed {
            message: "ñ\0".repeat(500),
        },
        Outcome::Lost,
        Outcome::Unknown,
    ];
    outcomes.extend(StartStage::ALL.map(|stage| Outcome::NotStarted { stage, errno: -2 }));
    let streams = [
        Stream::Empty,
        Stream::Inline(Vec::new()),
        Stream::Inline(vec![0; 16 * 1024]),
        Stream::OnNode {
            length: 1 << 40,
            truncated: false,
        },
        Stream::OnNode {
            length: 0,
            truncated: true,
        },
    ];
    let mut records = Vec::new();
    for (sequence, outcome) in (0..).zip(outcomes) {
        let stream =
            |offset: usize| streams[(usize::try_from(sequence).unwrap() + offset) % 5].clone();
        let output = Output {
            stdout: stream(0),
            stderr: stream(1),
            result: stream(2),
        };
        let output = Some(Box::new(output));
        records.push(AttemptRecord {
            outcome,
            output,
            ..attempt(1, 100, sequence)
        });
    }
    let (mut journal, _) = subject.open();
    journal
        .apply(&[first(records.iter().cloned().map(ended).collect())])
        .unwrap();
    drop(journal);
    let (_journal, history) = subject.open();
    assert_eq!(history.task(JobId(1), TaskIndex(100)).unwrap(), records);
}

pub(super) fn numbers_of_64_bits_come_back(subject: &impl Subject) {
    let mut record = attempt(1, u32::MAX, 0);
    record.attempt.sequence = u64::MAX;
    record.attempt.epoch.0 = u32::MAX;
    record.started_at = None;
    record.usage = Usage {
        user_micros: u64::MAX,
        system_micros: 1 << 63,
        memory_bytes_max: Some(u64::MAX),
    };
    let unmeasured = AttemptRecord {
        usage: Usage::default(),
        ..attempt(1, u32::MAX, 0)
    };
    let (mut journal, history) = subject.open();
    journal
        .apply(&[first(vec![
            ended(record.clone()),
            ended(unmeasured.clone()),
        ])])
        .unwrap();
    assert_eq!(
        history.task(JobId(1), TaskIndex(u32::MAX)).unwrap(),
        [unmeasured, record]
    );
}

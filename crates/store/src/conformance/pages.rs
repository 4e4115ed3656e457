//! The readers' promises.

use flota_model::{
    change::{AttemptRecord, Change, JobRecord},
    ids::{JobId, TaskIndex},
    outcome::{Output, Stream, StreamName},
    spec::TaskRange,
    state::{JobKind, JobPhase},
};

use super::{
    Subject,
    sample::{
        SERVICE, added, attempt, attempt_id, audited, batch, ended, first, grant, job, progressed,
        range, spec, stdout,
    },
};
use crate::history::{
    AttemptPage, AuditPage, History, JobPage, OutputWanted, PAGE_ROWS_MAX, StreamSize,
};

fn job_numbers(history: &dyn History, page: &JobPage) -> (Vec<u64>, Option<u64>) {
    let page = history.jobs(page).unwrap();
    let numbers = page.rows.iter().map(|summary| summary.job.0).collect();
    (numbers, page.next.map(|job| job.0))
}

pub(super) fn jobs_come_newest_first_and_page_to_the_end(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    journal
        .apply(&[first((1..=5).map(added).collect())])
        .unwrap();
    let page = |before: Option<u64>, limit| {
        let before = before.map(JobId);
        job_numbers(
            &*history,
            &JobPage {
                before,
                phase: None,
                kind: None,
                limit,
            },
        )
    };
    assert_eq!(page(None, 2), (vec![5, 4], Some(4)));
    assert_eq!(page(Some(4), 2), (vec![3, 2], Some(2)));
    assert_eq!(page(Some(2), 2), (vec![1], None));
    // A page that is full to its limit and is the last one says so.
    assert_eq!(page(None, 5), (vec![5, 4, 3, 2, 1], None));
    assert_eq!(page(None, 4), (vec![5, 4, 3, 2], Some(2)));
    assert_eq!(page(Some(1), 2), (vec![], None));
    assert_eq!(page(Some(99), 1), (vec![5], Some(5)));

    let summaries = history
        .jobs(&JobPage {
            before: None,
            phase: None,
            kind: None,
            limit: 1,
        })
        .unwrap();
    let (summary, record) = (&summaries.rows[0], job(5));
    assert_eq!(
        (&*summary.name, summary.tasks),
        ("job-5", range(100, 199_999))
    );
    assert_eq!(summary.spec_hash, record.spec.hash);
    assert_eq!(
        (summary.counts, summary.submitted_at),
        (record.counts, record.submitted_at)
    );
    assert_eq!(history.job(JobId(5)).unwrap(), Some(record));
}

pub(super) fn jobs_that_succeeded_are_counted_by_principal(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let of = |number: u64, principal: &str| {
        let principal = principal.to_owned();
        Change::JobAdded(Box::new(JobRecord {
            principal,
            ..job(number)
        }))
    };
    let mut changes = vec![of(1, "adapter/hpc"), of(2, "adapter/hpc"), of(3, "ana")];
    changes.extend([1, 3].map(|number| progressed(number, JobPhase::Finished)));
    changes.push(progressed(2, JobPhase::Cancelling));
    journal.apply(&[first(changes)]).unwrap();
    let count = |principal| history.succeeded_of(principal).unwrap();
    assert_eq!(
        (count("adapter/hpc"), count("ana"), count("eva")),
        (1, 1, 0)
    );
}

pub(super) fn jobs_are_filtered_by_phase(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let mut changes: Vec<Change> = (1..=6).map(added).collect();
    changes.extend([2, 3].map(|number| progressed(number, JobPhase::Finished)));
    changes.extend([4, 5].map(|number| progressed(number, JobPhase::Cancelling)));
    journal.apply(&[first(changes)]).unwrap();
    let page = |phase, limit| {
        job_numbers(
            &*history,
            &JobPage {
                before: None,
                phase: Some(phase),
                kind: None,
                limit,
            },
        )
    };
    assert_eq!(page(JobPhase::Active, 9), (vec![6, 1], None));
    assert_eq!(page(JobPhase::Cancelling, 1), (vec![5], Some(5)));
    assert_eq!(page(JobPhase::Finished, 2), (vec![3, 2], None));
}

pub(super) fn revisions_of_services_are_told_from_batch_jobs(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let revision = |number| {
        let spec = spec(&format!("{SERVICE}{number}"), range(0, 9_999));
        Change::JobAdded(Box::new(JobRecord {
            spec,
            ..job(number)
        }))
    };
    let changes = vec![added(1), revision(2), added(3), revision(4), added(5)];
    journal.apply(&[first(changes)]).unwrap();
    let page = |kind, phase, limit| {
        let before = None;
        job_numbers(
            &*history,
            &JobPage {
                before,
                phase,
                kind,
                limit,
            },
        )
    };
    let batch = Some(JobKind::Batch);
    assert_eq!(page(batch, None, 2), (vec![5, 3], Some(3)));
    assert_eq!(
        page(batch, Some(JobPhase::Active), 9),
        (vec![5, 3, 1], None)
    );
    assert_eq!(page(Some(JobKind::Service), None, 9), (vec![4, 2], None));
    assert_eq!(page(None, None, 9), (vec![5, 4, 3, 2, 1], None));
    let all = JobPage {
        before: None,
        phase: None,
        kind: None,
        limit: 2,
    };
    let kinds = history.jobs(&all).unwrap().rows;
    let kinds: Vec<JobKind> = kinds.iter().map(|summary| summary.kind).collect();
    assert_eq!(kinds, [JobKind::Batch, JobKind::Service]);
}

/// Attempts 1 to 3 of tasks 100 to 104, and of another job.
fn fifteen_attempts() -> Vec<Change> {
    let mut changes = vec![added(1), added(2)];
    for task in 100..105 {
        for sequence in [3, 1, 2] {
            changes.push(ended(attempt(1, task, sequence)));
            changes.push(ended(attempt(2, task, sequence)));
        }
    }
    changes
}

fn positions(history: &dyn History, page: &AttemptPage) -> Vec<(u32, u64)> {
    let rows = history.attempts(page).unwrap().rows;
    rows.iter()
        .map(|summary| (summary.task.0, summary.attempt.sequence))
        .collect()
}

fn attempts_of(tasks: &[TaskRange]) -> AttemptPage {
    AttemptPage {
        job: JobId(1),
        tasks: tasks.to_vec(),
        after: None,
        limit: 100,
    }
}

pub(super) fn attempts_page_through_ranges_of_tasks(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    journal.apply(&[first(fifteen_attempts())]).unwrap();
    let ranges = [range(0, 100), range(102, 102), range(104, u32::MAX)];
    let expected: Vec<(u32, u64)> = [100, 102, 104]
        .into_iter()
        .flat_map(|task| [1, 2, 3].map(|n| (task, n)))
        .collect();
    assert_eq!(positions(&*history, &attempts_of(&ranges)), expected);
    for limit in 1..=10 {
        let mut page = AttemptPage {
            limit,
            ..attempts_of(&ranges)
        };
        let mut found = Vec::new();
        loop {
            let rows = positions(&*history, &page);
            assert!(rows.len() <= limit as usize);
            found.extend(rows);
            page.after = history.attempts(&page).unwrap().next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
    let rows = history.tasks(&attempts_of(&ranges)).unwrap();
    assert_eq!(
        rows.attempts,
        history.attempts(&attempts_of(&ranges)).unwrap()
    );
}

pub(super) fn a_cursor_outside_the_ranges_is_understood(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    journal.apply(&[first(fifteen_attempts())]).unwrap();
    let after = |task, sequence| AttemptPage {
        after: Some((TaskIndex(task), attempt_id(sequence))),
        ..attempts_of(&[range(101, 101), range(103, 103)])
    };
    let at_103 = vec![(103, 1), (103, 2), (103, 3)];
    assert_eq!(positions(&*history, &after(102, 1)), at_103);
    assert_eq!(positions(&*history, &after(101, 3)), at_103);
    assert_eq!(positions(&*history, &after(103, 2)), [(103, 3)]);
    assert_eq!(positions(&*history, &after(104, 0)), []);
    assert_eq!(positions(&*history, &after(0, u64::MAX)).len(), 6);
    assert_eq!(positions(&*history, &attempts_of(&[])), []);
}

pub(super) fn limits_are_brought_into_their_range(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let above = u64::from(PAGE_ROWS_MAX) + 1;
    let mut changes: Vec<Change> = (1..=above).map(|n| ended(attempt(1, 100, n))).collect();
    changes.extend((1..=above).map(|_| audited("job/1", None)));
    changes.extend((1..=above).map(added));
    journal.apply(&[first(changes)]).unwrap();
    for (limit, rows) in [(0, 1), (u32::MAX, PAGE_ROWS_MAX as usize)] {
        let attempts = history.attempts(&AttemptPage {
            limit,
            ..attempts_of(&[range(0, 200)])
        });
        assert_eq!(attempts.unwrap().rows.len(), rows);
        let jobs = history
            .jobs(&JobPage {
                before: None,
                phase: None,
                kind: None,
                limit,
            })
            .unwrap();
        assert_eq!((jobs.rows.len(), jobs.next.is_some()), (rows, true));
        let audit = history
            .audit(&AuditPage {
                before: None,
                limit,
            })
            .unwrap();
        assert_eq!((audit.rows.len(), audit.next.is_some()), (rows, true));
    }
    assert_eq!(history.task(JobId(1), TaskIndex(100)).unwrap().len(), 1_000);
}

pub(super) fn chunks_are_those_of_the_tasks(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let chunk = |number: u8| Change::ChunkWritten {
        job: JobId(1),
        number: number.into(),
        bytes: vec![number; 9_000],
    };
    // Chunk 2 was never written.
    journal
        .apply(&[first(vec![added(1), chunk(0), chunk(1), chunk(3)])])
        .unwrap();
    let numbers = |tasks| -> Vec<u32> {
        let chunks = history.chunks(JobId(1), tasks).unwrap();
        chunks.into_iter().map(|(number, _)| number).collect()
    };
    // Its tasks begin at 100.
    assert_eq!(numbers(range(100, 65_635)), [0]);
    assert_eq!(numbers(range(65_635, 65_636)), [0, 1]);
    assert_eq!(numbers(range(65_636, 196_707)), [1]);
    assert_eq!(numbers(range(0, u32::MAX)), [0, 1, 3]);
    assert_eq!(numbers(range(0, 99)), []);
    assert_eq!(numbers(range(200_000, u32::MAX)), []);
    // Ranges that share a chunk get it once.
    let shared = [range(100, 101), range(200, 300), range(400, 65_700)];
    let rows = history.tasks(&attempts_of(&shared)).unwrap();
    assert_eq!(rows.chunks, [(0, vec![0; 9_000]), (1, vec![1; 9_000])]);
}

/// Two attempts of task 100, the later one uncounted; two uncounted ones of task 101.
fn attempts_with_outputs() -> Vec<Change> {
    let uncounted = |task, sequence, output| AttemptRecord {
        counted: false,
        output: Some(Box::new(output)),
        ..attempt(1, task, sequence)
    };
    let counted = AttemptRecord {
        output: Some(Box::new(stdout("counted"))),
        ..attempt(1, 100, 2)
    };
    let records = [
        uncounted(100, 3, stdout("late")),
        counted,
        uncounted(101, 4, stdout("earlier")),
        uncounted(
            101,
            5,
            Output {
                result: ON_NODE,
                ..Output::default()
            },
        ),
    ];
    records.map(ended).to_vec()
}

const ON_NODE: Stream = Stream::OnNode {
    length: 99_999,
    truncated: true,
};

pub(super) fn an_output_is_that_of_the_attempt_that_counts(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    journal.apply(&[first(attempts_with_outputs())]).unwrap();
    let output = |task, stream, sequence: Option<u64>| {
        let attempt = sequence.map(attempt_id);
        let wanted = OutputWanted {
            job: JobId(1),
            task: TaskIndex(task),
            stream,
            attempt,
        };
        let found = history.output(&wanted).unwrap();
        found.map(|found| (found.attempt.sequence, found.stream))
    };
    let inline = |text: &str| Stream::Inline(text.as_bytes().to_vec());
    assert_eq!(
        output(100, StreamName::Stdout, None),
        Some((2, inline("counted")))
    );
    assert_eq!(
        output(100, StreamName::Stderr, None),
        Some((2, Stream::Empty))
    );
    assert_eq!(
        output(100, StreamName::Stdout, Some(3)),
        Some((3, inline("late")))
    );
    assert_eq!(output(100, StreamName::Stdout, Some(4)), None);
    assert_eq!(output(101, StreamName::Result, None), Some((5, ON_NODE)));
    assert_eq!(
        output(101, StreamName::Stdout, Some(4)),
        Some((4, inline("earlier")))
    );
    assert_eq!(output(102, StreamName::Stdout, None), None);
}

pub(super) fn summaries_tell_the_sizes_of_outputs(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    journal.apply(&[first(attempts_with_outputs())]).unwrap();
    let page = history.attempts(&attempts_of(&[range(100, 101)])).unwrap();
    let sizes: Vec<StreamSize> = page
        .rows
        .iter()
        .map(|summary| summary.outputs.stdout)
        .collect();
    let inline = |length| StreamSize::Inline { length };
    assert_eq!(sizes, [inline(7), inline(4), inline(7), StreamSize::Empty]);
    let result = page.rows[3].outputs.result;
    assert_eq!(
        result,
        StreamSize::OnNode {
            length: 99_999,
            truncated: true
        }
    );
}

pub(super) fn the_audit_pages_newest_first(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    let one = first(vec![
        audited("job/1", None),
        audited("job/2", Some("E-QUEUE-FULL")),
    ]);
    journal
        .apply(&[one, batch(2, 1, vec![audited("", None)])])
        .unwrap();
    let newest = history
        .audit(&AuditPage {
            before: None,
            limit: 2,
        })
        .unwrap();
    let objects: Vec<&str> = newest.rows.iter().map(|entry| &*entry.object).collect();
    assert_eq!(objects, ["", "job/2"]);
    assert_eq!(newest.rows[1].refused.as_deref(), Some("E-QUEUE-FULL"));
    let oldest = history
        .audit(&AuditPage {
            before: newest.next,
            limit: 2,
        })
        .unwrap();
    assert_eq!(
        (oldest.rows[0].number.0, &*oldest.rows[0].verb),
        (1, "job.submit")
    );
    assert_eq!((oldest.rows.len(), oldest.next), (1, None));
}

pub(super) fn what_is_not_there_is_answered_as_nothing(subject: &impl Subject) {
    let (mut journal, history) = subject.open();
    journal
        .apply(&[first(vec![added(1), Change::GrantAdded(grant(5, 1))])])
        .unwrap();
    assert_eq!(history.job(JobId(2)).unwrap(), None);
    assert_eq!(history.chunks(JobId(2), range(0, 9)).unwrap(), []);
    assert_eq!(history.task(JobId(2), TaskIndex(0)).unwrap(), []);
    assert_eq!(history.grants(JobId(2)).unwrap(), []);
    assert_eq!(history.grants(JobId(1)).unwrap(), [grant(5, 1)]);
}

//! Random batches: every store answers alike.

use flota_model::{
    change::{AttemptRecord, Change, TaskHistory},
    control::{EndCause, Ending, JobControl, Pause},
    ids::{AttemptId, Epoch, GrantId, JobId, TaskIndex},
    outcome::Outcome,
    state::JobPhase,
    units::Timestamp,
};

use super::{
    Memory, Sqlite, Store, Subject,
    sample::{
        added, attempt, audited, batch, ended, first, grant, key, made, node, progressed, range,
        stdout,
    },
};
use crate::{
    history::{AttemptPage, AuditPage, IllPage, IllState, JobPage, OutputWanted},
    journal::ApplyFault,
};

/// Xorshift (Marsaglia 2003): enough for choosing cases.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Few numbers, so that changes meet.
fn change(random: &mut Random) -> Change {
    let job = 1 + random.below(4);
    let number = random.below(3);
    match random.below(18) {
        // The first of them is there already.
        0 => added(job + 3),
        1 => progressed(job, JobPhase::Finished),
        2 => progressed(job, JobPhase::Active),
        3 => Change::ChunkWritten {
            job: JobId(job),
            number: u32::try_from(number).unwrap(),
            bytes: vec![7; usize::try_from(random.below(9_000)).unwrap()],
        },
        4 => Change::TaskHistoryWritten {
            job: JobId(job),
            task: TaskIndex(100),
            history: (number > 0).then_some(TaskHistory {
                failures: 1,
                losses: 2,
                apart: true,
            }),
        },
        5 => Change::GrantAdded(grant(number, job)),
        6 => Change::GrantWritten {
            grant: GrantId(number),
            unsettled: vec![9],
            suspect: vec![8],
        },
        7 => Change::GrantRemoved(GrantId(number)),
        8 => Change::NodeWritten(Box::new(node(u32::try_from(number).unwrap()))),
        9 => Change::KeyAdded {
            key: key(&number.to_string()),
            made: made(job),
        },
        10 => Change::KeyRemoved(key(&number.to_string())),
        11 => Change::AttemptCorrected(Box::new(record(job, random))),
        12 => audited(
            &format!("job/{job}"),
            (number == 0).then_some("E-QUEUE-FULL"),
        ),
        13 => controlled(job, number),
        15 => Change::QueueControlled((number > 0).then(pause)),
        14 => Change::TasksRetried {
            job: JobId(job),
            tasks: range(100, 100 + u32::try_from(number).unwrap()),
        },
        _ => ended(record(job, random)),
    }
}

fn pause() -> Pause {
    Pause {
        by: "local".to_owned(),
        at: Timestamp(7),
        reason: Some("maintenance".to_owned()),
    }
}

/// Nothing, a pause, or a cancel.
fn controlled(job: u64, number: u64) -> Change {
    let mut control = JobControl::default();
    match number {
        0 => {}
        1 => {
            control.paused = Some(Box::new(pause()));
            control.again_at = Some(Timestamp(8));
        }
        _ => {
            control.ending = Some(Box::new(Ending {
                cause: EndCause::MaxFails,
                by: "local".to_owned(),
                at: Timestamp(u64::MAX >> 1),
                reason: Some("no".to_owned()),
            }));
        }
    }
    let job = JobId(job);
    Change::JobControlled { job, control }
}

fn record(job: u64, random: &mut Random) -> AttemptRecord {
    let task = 100 + u32::try_from(random.below(3)).unwrap();
    let salt = random.0.rotate_left(31) & (1 << 63 | 1);
    let epoch = Epoch(u32::try_from(random.below(2)).unwrap());
    AttemptRecord {
        attempt: AttemptId {
            epoch,
            salt,
            sequence: random.below(3),
        },
        outcome: Outcome::Exited {
            code: u8::try_from(random.below(3)).unwrap(),
        },
        counted: random.below(4) == 0,
        output: if random.below(2) == 0 {
            Some(Box::new(stdout(&random.0.to_string())))
        } else {
            None
        },
        ..attempt(job, task, 0)
    }
}

fn word(result: &Result<(), ApplyFault>) -> String {
    result
        .as_ref()
        .map_or_else(ToString::to_string, |()| "committed".to_owned())
}

fn assert_alike(one: &mut Store, other: &mut Store) {
    // Not `assert_eq`, which would print pages of chunks.
    assert!(
        one.0.load().unwrap() == other.0.load().unwrap(),
        "the snapshots differ"
    );
    let (one, other) = (&one.1, &other.1);
    let page = JobPage {
        before: None,
        phase: None,
        kind: None,
        limit: 3,
    };
    assert_eq!(one.jobs(&page).unwrap(), other.jobs(&page).unwrap());
    let page = AuditPage {
        before: None,
        limit: 7,
    };
    for state in [IllState::Failed, IllState::Dead, IllState::Unknown] {
        let up_to = Some(JobId(3));
        let page = IllPage {
            state,
            up_to,
            limit: 2,
        };
        assert_eq!(one.ill_jobs(&page).unwrap(), other.ill_jobs(&page).unwrap());
    }
    assert_eq!(one.audit(&page).unwrap(), other.audit(&page).unwrap());
    for job in (1..=4).map(JobId) {
        let page = AttemptPage {
            job,
            tasks: vec![range(0, 999_999)],
            after: None,
            limit: 5,
        };
        assert_eq!(one.tasks(&page).unwrap(), other.tasks(&page).unwrap());
        assert_eq!(one.grants(job).unwrap(), other.grants(job).unwrap());
        assert_eq!(one.job(job).unwrap(), other.job(job).unwrap());
        assert_eq!(
            one.failures(job, 3).unwrap(),
            other.failures(job, 3).unwrap()
        );
        for task in (100..103).map(TaskIndex) {
            assert_eq!(one.task(job, task).unwrap(), other.task(job, task).unwrap());
            let stream = flota_model::outcome::StreamName::Stdout;
            let wanted = OutputWanted {
                job,
                task,
                stream,
                attempt: None,
            };
            assert_eq!(one.output(&wanted).unwrap(), other.output(&wanted).unwrap());
        }
    }
}

#[test]
fn both_stores_answer_alike_after_random_batches() {
    let (memory, sqlite) = (Memory::default(), Sqlite::default());
    let (mut one, mut other) = (memory.open(), sqlite.open());
    let mut random = Random(0x5EED);
    let mut number = 2;
    let mut refused = 0;
    let start = [first((1..=4).map(added).collect())];
    one.0.apply(&start).unwrap();
    other.0.apply(&start).unwrap();
    for step in 0..150 {
        let count = 1 + random.below(4);
        let changes = (0..count).map(|_| change(&mut random)).collect();
        let batches = [batch(number, 1, changes)];
        let (in_memory, in_sqlite) = (one.0.apply(&batches), other.0.apply(&batches));
        assert_eq!(word(&in_memory), word(&in_sqlite), "step {step}");
        number += u64::from(in_memory.is_ok());
        refused += u32::from(in_memory.is_err());
        assert_alike(&mut one, &mut other);
    }
    // Neither all nor nothing was refused, or this would show nothing.
    assert!((20..130).contains(&refused), "{refused} of 150 refused");
}

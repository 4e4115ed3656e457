//! Tasks that ended without success wait again.

use std::time::Duration;

use flota_model::{
    change::Change,
    command::{Command, Refusal, Reply},
    control::{EndCause, RETRIED_STATES, Retried, RetryTicket, RetryWhich, StoredJob},
    ids::{JobId, TaskIndex},
    outcome::Outcome,
    spec::{JobSpec, Retry, TaskRange},
    state::{JobPhase, TaskState},
};

use super::bench::{Agent, Bench, spec};

fn all() -> RetryWhich {
    RetryWhich {
        states: RETRIED_STATES.to_vec(),
        tasks: Vec::new(),
    }
}

fn retry(bench: &mut Bench, job: JobId, stored: Option<StoredJob>) -> Result<(u32, u32), Refusal> {
    let command = Command::Retry {
        job,
        which: all(),
        stored: stored.map(Box::new),
    };
    bench.command(command).map(|reply| match reply {
        Reply::Retried(Retried { tasks, left, .. }) => (tasks, left),
        _ => (u32::MAX, u32::MAX),
    })
}

fn ticket(bench: &Bench) -> RetryTicket {
    bench.fleet.jobs.revivals.ticket()
}

/// What the store has of a job after all changes so far.
fn stored(bench: &Bench, job: JobId) -> StoredJob {
    let mut found: Option<StoredJob> = None;
    for change in &bench.changes {
        match (change, found.as_mut()) {
            (Change::JobAdded(record), _) if record.job == job => {
                found = Some(StoredJob {
                    record: (**record).clone(),
                    chunks: Vec::new(),
                    ticket: ticket(bench),
                });
            }
            (
                Change::JobProgressed {
                    job: of,
                    phase,
                    counts,
                    finished_at,
                },
                Some(stored),
            ) if *of == job => {
                stored.record.phase = *phase;
                stored.record.counts = *counts;
                stored.record.finished_at = *finished_at;
            }
            (Change::JobControlled { job: of, control }, Some(stored)) if *of == job => {
                stored.record.control = control.clone();
            }
            (
                Change::ChunkWritten {
                    job: of,
                    number,
                    bytes,
                },
                Some(stored),
            ) if *of == job => {
                stored.chunks.retain(|(other, _)| other != number);
                stored.chunks.push((*number, bytes.clone()));
            }
            _ => {}
        }
    }
    found.expect("the job was added")
}

#[test]
fn failed_tasks_of_a_finished_job_run_again_and_end_once_more() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 3);
    agent.hello(&mut bench);
    let job = bench.submit(spec(3));
    agent.listen(&bench);
    agent.report(&mut bench, 0, Outcome::Exited { code: 3 });
    agent.report(&mut bench, 1, Outcome::Completed);
    agent.report(&mut bench, 2, Outcome::OutOfMemory);
    assert!(bench.fleet.jobs.get(job).is_none(), "it is finished");

    assert_eq!(retry(&mut bench, job, None), Err(Refusal::JobFinished(job)));
    let read = stored(&bench, job);
    assert_eq!(retry(&mut bench, job, Some(read)), Ok((2, 0)));
    assert_eq!(
        bench.states(job),
        [TaskState::Granted, TaskState::Succeeded, TaskState::Granted]
    );
    let uncounted = bench.changes.iter().filter_map(|change| match change {
        Change::TasksRetried { tasks, .. } => Some((tasks.first.0, tasks.last.0)),
        _ => None,
    });
    assert_eq!(uncounted.collect::<Vec<_>>(), [(1, 1), (3, 3)]);
    agent.listen(&bench);
    agent.report(&mut bench, 3, Outcome::Completed);
    agent.report(&mut bench, 4, Outcome::Completed);
    let after = stored(&bench, job).record;
    assert_eq!(after.phase, JobPhase::Finished);
    assert_eq!(after.counts.of(TaskState::Succeeded), 3);
}

#[test]
fn a_job_that_was_taken_up_after_it_was_read_is_refused_as_it_was() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let job = bench.submit(spec(1));
    agent.listen(&bench);
    agent.report(&mut bench, 0, Outcome::Exited { code: 3 });
    let old = stored(&bench, job);
    assert_eq!(retry(&mut bench, job, Some(old.clone())), Ok((1, 0)));
    agent.listen(&bench);
    // Live, it is as the fleet has it; what was read does not matter.
    assert_eq!(retry(&mut bench, job, Some(old.clone())), Ok((0, 0)));
    agent.orders.remove(0);
    agent.report(&mut bench, 0, Outcome::Completed);
    assert_eq!(
        retry(&mut bench, job, Some(old)),
        Err(Refusal::JobChanged(job))
    );
    let new = stored(&bench, job);
    assert_eq!(retry(&mut bench, job, Some(new)), Ok((0, 0)));
    assert!(
        bench.fleet.jobs.get(job).is_none(),
        "nothing was to be done"
    );
}

#[test]
fn what_is_read_of_another_job_or_damaged_is_refused() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let job = bench.submit(spec(1));
    agent.listen(&bench);
    agent.report(&mut bench, 0, Outcome::Exited { code: 3 });
    let good = stored(&bench, job);
    let mut wrong = vec![good.clone(), good.clone(), good.clone()];
    wrong[0].record.job = JobId(9);
    wrong[1].chunks.clear();
    wrong[2].chunks[0].1.push(1);
    for read in wrong {
        let refusal = retry(&mut bench, job, Some(read));
        assert_eq!(refusal, Err(Refusal::JobChanged(job)));
    }
    assert_eq!(
        retry(&mut bench, JobId(7), None),
        Err(Refusal::JobNotFound(JobId(7)))
    );
    assert_eq!(retry(&mut bench, job, Some(good)), Ok((1, 0)));
}

#[test]
fn only_the_wanted_tasks_of_a_live_job_wait_again() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 4);
    agent.hello(&mut bench);
    let job = bench.submit(spec(4));
    agent.listen(&bench);
    for index in 0..3 {
        agent.report(&mut bench, index, Outcome::Exited { code: 3 });
    }
    let range = |first, last| TaskRange {
        first: TaskIndex(first),
        last: TaskIndex(last),
    };
    let command = |states: &[TaskState], tasks| Command::Retry {
        job,
        which: RetryWhich {
            states: states.to_vec(),
            tasks,
        },
        stored: None,
    };
    let none = bench.command(command(&[TaskState::Dead], Vec::new()));
    assert!(matches!(none, Ok(Reply::Retried(Retried { tasks: 0, .. }))));
    // Overlapping ranges count once.
    let some = command(&[TaskState::Failed], vec![range(2, 2), range(1, 2)]);
    let some = bench.command(some);
    assert!(matches!(some, Ok(Reply::Retried(Retried { tasks: 2, .. }))));
    assert_eq!(
        bench.states(job)[..3],
        [TaskState::Granted, TaskState::Granted, TaskState::Failed]
    );
}

#[test]
fn a_cancel_keeps_its_reason_until_the_job_is_tried_again() {
    let mut bench = Bench::new();
    let job = bench.submit(spec(2));
    let reason = Some("wrong data".to_owned());
    let cancelled = bench.command(Command::Cancel { job, reason });
    assert!(matches!(cancelled, Ok(Reply::Cancelling { .. })));
    let read = stored(&bench, job);
    let ending = read.record.control.ending.clone().expect("it is kept");
    assert_eq!(ending.cause, EndCause::Person);
    assert_eq!(ending.reason.as_deref(), Some("wrong data"));
    let audited = bench.changes.iter().any(|change| {
        matches!(change, Change::Audited(record)
            if record.verb == "job.cancel" && record.reason == ending.reason)
    });
    assert!(audited);
    assert_eq!(retry(&mut bench, job, Some(read)), Ok((2, 0)));
    assert_eq!(stored(&bench, job).record.control.ending, None);
}

#[test]
fn what_a_node_may_still_hold_is_left_until_it_lets_go() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let job = bench.submit(JobSpec {
        retry: Retry::Never,
        ..spec(1)
    });
    agent.listen(&bench);
    // Silence until the attempt is given up: nobody can know.
    bench.wait(Duration::from_secs(20));
    bench.wait(Duration::from_mins(2));
    assert_eq!(bench.states(job), [TaskState::Unknown]);
    let mut other = Agent::new("b", 2, 1);
    other.hello(&mut bench);
    // Its node is lost: a person says that it is to start once more.
    assert_eq!(retry(&mut bench, job, None), Ok((1, 0)));
    assert_eq!(bench.states(job), [TaskState::Granted]);
    let retry_of_granted = retry(&mut bench, job, None);
    assert_eq!(retry_of_granted, Ok((0, 0)));
}

#[test]
fn tickets_from_before_the_oldest_that_is_remembered_are_not_valid() {
    let mut revivals = super::super::retry::Revivals::default();
    let first = revivals.ticket();
    for job in 0..=65_536 {
        revivals.note(JobId(job));
    }
    assert!(!revivals.is_current(JobId(1 << 40), first));
    assert!(revivals.is_current(JobId(1 << 40), RetryTicket(1)));
    assert!(revivals.is_current(JobId(1 << 40), revivals.ticket()));
    assert!(!revivals.is_current(JobId(65_536), RetryTicket(65_536)));
}

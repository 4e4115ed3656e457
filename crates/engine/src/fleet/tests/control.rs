//! What people and rules do with a job that runs.

use std::time::Duration;

use flota_model::{
    change::Change,
    command::{Command, QueueView, Refusal, Reply},
    control::EndCause,
    frame::DownBody,
    ids::{JobId, TaskIndex},
    outcome::{Outcome, Report, Usage},
    rules::{JobRules, MaxFails, RetryCause},
    spec::{JobSpec, Retry},
    state::{JobPhase, TaskState},
    units::Timestamp,
};

use super::bench::{Agent, Bench, now, sealed, spec};

fn with(tasks: u32, rules: JobRules) -> JobSpec {
    JobSpec {
        rules: Box::new(rules),
        ..spec(tasks)
    }
}

fn cause(bench: &Bench, job: JobId) -> Option<EndCause> {
    let controls = bench.changes.iter().rev();
    let mut endings = controls.filter_map(|change| match change {
        Change::JobControlled { job: of, control } if *of == job => Some(control.ending.as_ref()),
        _ => None,
    });
    endings.next().flatten().map(|ending| ending.cause)
}

fn pause(bench: &mut Bench, job: JobId) -> Result<Reply, Refusal> {
    let reason = Some("wait".to_owned());
    bench.command(Command::PauseJob { job, reason })
}

#[test]
fn a_paused_job_takes_back_what_has_not_started_and_grants_nothing() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    let job = bench.submit(spec(4));
    agent.listen(&bench);
    let Ok(Reply::Job(record)) = pause(&mut bench, job) else {
        panic!("it is paused");
    };
    let paused = record.control.paused.expect("it says so");
    assert_eq!(
        (paused.by.as_str(), paused.reason.as_deref()),
        ("local", Some("wait"))
    );
    // Nothing was seen to run: both are asked back.
    let [DownBody::Retract(ranges)] = &agent.listen(&bench)[..] else {
        panic!("they are asked back");
    };
    let ranges = ranges.clone();
    agent.say(&mut bench, flota_model::frame::UpBody::Forgotten(ranges));
    assert_eq!(bench.states(job), [TaskState::Waiting; 4]);
    assert!(pause(&mut bench, job).is_ok(), "twice is the same");

    // It stays so across a restart.
    let mut bench = bench.restarted();
    agent.held.clear();
    agent.hello(&mut bench);
    assert_eq!(bench.states(job), [TaskState::Waiting; 4]);
    assert!(bench.command(Command::ResumeJob { job }).is_ok());
    assert_eq!(bench.states(job)[..2], [TaskState::Granted; 2]);
}

#[test]
fn a_job_may_be_submitted_paused_and_what_is_over_cannot_be_paused() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    let rules = JobRules {
        paused: true,
        ..JobRules::default()
    };
    let job = bench.submit(with(1, rules));
    assert_eq!(bench.states(job), [TaskState::Waiting]);
    assert!(bench.command(Command::ResumeJob { job }).is_ok());
    agent.listen(&bench);
    agent.report(&mut bench, 0, Outcome::Completed);
    assert_eq!(pause(&mut bench, job), Err(Refusal::JobFinished(job)));
    assert_eq!(
        pause(&mut bench, JobId(9)),
        Err(Refusal::JobNotFound(JobId(9)))
    );
}

#[test]
fn a_paused_queue_grants_no_batch_work_until_it_is_resumed() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let reason = Some("maintenance".to_owned());
    let paused = bench.command(Command::PauseQueue { reason });
    let Ok(Reply::Held(QueueView {
        paused: Some(pause),
        ..
    })) = paused
    else {
        panic!("{paused:?}");
    };
    assert_eq!(pause.reason.as_deref(), Some("maintenance"));
    let job = bench.submit(spec(2));
    let mut bench = bench.restarted();
    agent.hello(&mut bench);
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.states(job), [TaskState::Waiting; 2]);
    let resumed = bench.command(Command::ResumeQueue);
    assert!(matches!(
        resumed,
        Ok(Reply::Held(QueueView {
            paused: None,
            waiting: 2,
            ..
        }))
    ));
    assert_eq!(bench.states(job)[0], TaskState::Granted);
}

#[test]
fn a_job_is_cancelled_once_too_many_of_its_tasks_have_failed() {
    for (most, tolerated) in [(MaxFails::Tasks(1), 1), (MaxFails::Percent(50), 2)] {
        let mut bench = Bench::new();
        let mut agent = Agent::new("a", 1, 4);
        agent.hello(&mut bench);
        let rules = JobRules {
            max_fails: Some(most),
            ..JobRules::default()
        };
        let job = bench.submit(with(4, rules));
        agent.listen(&bench);
        for index in 0..tolerated {
            agent.report(&mut bench, index, Outcome::Exited { code: 1 });
            assert_eq!(cause(&bench, job), None, "{most:?}");
        }
        let frames = agent.report(&mut bench, tolerated, Outcome::Exited { code: 1 });
        assert_eq!(cause(&bench, job), Some(EndCause::MaxFails));
        let cancels = frames
            .iter()
            .any(|frame| matches!(frame, DownBody::Cancel(_)));
        assert!(cancels, "what runs is stopped");
    }
}

fn stopped(agent: &Agent, index: usize, started_at: Option<Timestamp>) -> Report {
    let (attempt, job, task, spec_hash) = agent.attempts()[index];
    Report {
        attempt,
        job,
        task,
        spec_hash,
        outcome: Outcome::Cancelled,
        started_at,
        ended_at: Timestamp(5),
        usage: Usage::default(),
        output: None,
    }
}

#[test]
fn what_runs_at_the_end_of_its_job_has_timed_out_and_the_rest_is_cancelled() {
    let deadline = Some(now(Duration::from_secs(10)).wall);
    let timeout = Some(Duration::from_secs(10));
    for (rules, expected) in [
        (
            JobRules {
                deadline,
                ..JobRules::default()
            },
            EndCause::Deadline,
        ),
        (
            JobRules {
                timeout,
                ..JobRules::default()
            },
            EndCause::Timeout,
        ),
    ] {
        let mut bench = Bench::new();
        let mut agent = Agent::new("a", 1, 2);
        agent.hello(&mut bench);
        let job = bench.submit(with(3, rules));
        agent.listen(&bench);
        bench.wait(Duration::from_secs(4));
        // A restart takes nothing from the time and adds nothing to it.
        let mut bench = bench.restarted();
        agent.held = agent
            .attempts()
            .iter()
            .map(|(attempt, ..)| (*attempt, flota_model::frame::HeldState::Running))
            .collect();
        agent.hello(&mut bench);
        bench.wait(Duration::from_micros(5_999_999));
        assert_eq!(cause(&bench, job), None);
        assert!(bench.fleet.deadline() <= Some(now(Duration::from_secs(10)).moment));
        bench.wait(Duration::from_micros(1));
        assert_eq!(cause(&bench, job), Some(expected));
        let ran = stopped(&agent, 0, Some(Timestamp(4)));
        let never = stopped(&agent, 1, None);
        agent.say(
            &mut bench,
            flota_model::frame::UpBody::Reports(vec![ran, never]),
        );
        assert_eq!(
            bench.counted(),
            [
                (TaskIndex(1), Outcome::TimedOut),
                (TaskIndex(2), Outcome::Cancelled)
            ]
        );
        let last = bench.changes.iter().rev().find_map(|change| match change {
            Change::JobProgressed { phase, counts, .. } => Some((*phase, *counts)),
            _ => None,
        });
        let (phase, counts) = last.expect("it went on");
        assert_eq!(phase, JobPhase::Finished);
        let of = |state| counts.of(state);
        assert_eq!((of(TaskState::Failed), of(TaskState::Cancelled)), (1, 2));
    }
}

#[test]
fn a_deadline_that_is_over_is_refused() {
    let mut bench = Bench::new();
    let rules = JobRules {
        deadline: Some(now(bench.at).wall),
        ..JobRules::default()
    };
    let refused = bench.command(Command::Submit {
        spec: sealed(with(1, rules)),
        rows: None,
        idempotency_key: None,
    });
    assert_eq!(refused, Err(Refusal::DeadlinePassed));
}

#[test]
fn failures_are_repeated_only_for_the_causes_that_the_job_names() {
    let rules = JobRules {
        retry_on: vec![
            RetryCause::Exit {
                first: 1,
                last: 127,
            },
            RetryCause::Signal(9),
        ],
        retry_not_on: vec![RetryCause::Exit { first: 3, last: 3 }],
        ..JobRules::default()
    };
    let failures = [
        (Outcome::Exited { code: 1 }, TaskState::Parked),
        (Outcome::Exited { code: 3 }, TaskState::Failed),
        (Outcome::Exited { code: 128 }, TaskState::Failed),
        (Outcome::Signalled { signal: 9 }, TaskState::Parked),
        (Outcome::TimedOut, TaskState::Failed),
    ];
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 5);
    agent.hello(&mut bench);
    let job = bench.submit(JobSpec {
        retry: Retry::Limited {
            retries: 1,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(1),
        },
        ..with(6, rules)
    });
    agent.listen(&bench);
    for (index, (outcome, _)) in failures.iter().enumerate() {
        agent.report(&mut bench, index, outcome.clone());
    }
    let states: Vec<_> = failures.iter().map(|(_, state)| *state).collect();
    assert_eq!(bench.states(job)[..5], states);
}

#[test]
fn what_is_lost_is_not_replaced_where_the_job_says_so() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let rules = JobRules {
        retry_not_on: vec![RetryCause::Lost],
        ..JobRules::default()
    };
    bench.submit(with(1, rules));
    agent.listen(&bench);
    bench.wait(Duration::from_secs(20));
    bench.wait(Duration::from_mins(2));
    assert_eq!(bench.counted(), [(TaskIndex(1), Outcome::Lost)]);
}

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind and ignores the rest"
)]

mod asks;
mod bench;
mod control;
mod explain;
mod limits;
mod notes;
mod orders;
mod principals;
mod retry;
mod revisions;
mod services;
mod updates;

use std::time::Duration;

use flota_model::{
    change::Snapshot,
    command::{Command, Refusal, Reply},
    frame::{DownBody, HeldState, UpBody},
    ids::{AttemptRange, BatchNumber, JobId, TaskIndex},
    outcome::Outcome,
    resources::Resources,
    spec::{Constraints, JobSpec, OnDisconnect, Retry},
    state::TaskState,
    units::{Cpus, Moment},
};

use self::bench::{Agent, Bench, sealed, spec};
use super::api::Event;

#[test]
fn work_goes_to_the_roomiest_nodes_and_its_outcomes_are_counted_once() {
    let mut bench = Bench::new();
    let (mut small, mut large) = (Agent::new("small", 1, 1), Agent::new("large", 2, 3));
    small.hello(&mut bench);
    large.hello(&mut bench);
    let job = bench.submit(spec(4));
    small.listen(&bench);
    large.listen(&bench);
    assert_eq!((small.attempts().len(), large.attempts().len()), (1, 3));
    for index in 0..3 {
        let answer = large.report(&mut bench, index, Outcome::Completed);
        assert!(matches!(answer[..], [DownBody::Acknowledge(_)]));
    }
    // A repeat is acknowledged again and counts no second time.
    let answer = large.report(&mut bench, 0, Outcome::Completed);
    assert!(matches!(answer[..], [DownBody::Acknowledge(_)]));
    assert_eq!(bench.counted().len(), 3);
    small.report(&mut bench, 0, Outcome::Exited { code: 3 });
    assert_eq!(bench.counted().len(), 4);
    assert!(
        bench.fleet.jobs.get(job).is_none(),
        "a finished job leaves memory"
    );
}

#[test]
fn a_failed_task_is_retried_after_a_back_off_and_then_fails() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let backoff = Duration::from_secs(4);
    let retry = Retry::Limited {
        retries: 1,
        backoff,
        backoff_max: Duration::from_mins(1),
    };
    let job = bench.submit(JobSpec { retry, ..spec(1) });
    agent.listen(&bench);
    agent.report(&mut bench, 0, Outcome::Exited { code: 1 });
    assert_eq!(bench.states(job), [TaskState::Parked]);
    bench.wait(backoff);
    agent.listen(&bench);
    assert_eq!(bench.states(job), [TaskState::Granted]);
    agent.report(&mut bench, 1, Outcome::Signalled { signal: 9 });
    assert_eq!(
        bench.counted(),
        [(TaskIndex(1), Outcome::Signalled { signal: 9 })]
    );
}

#[test]
fn a_key_makes_one_job_and_no_other_spec_may_use_it() {
    let mut bench = Bench::new();
    let submit = |spec| Command::Submit {
        spec: sealed(spec),
        rows: None,
        idempotency_key: Some("once".to_owned()),
    };
    let first = bench.command(submit(spec(2)));
    assert_eq!(
        first,
        Ok(Reply::Submitted {
            job: JobId(1),
            existing: false
        })
    );
    let mut bench = bench.restarted();
    let again = bench.command(submit(spec(2)));
    assert_eq!(
        again,
        Ok(Reply::Submitted {
            job: JobId(1),
            existing: true
        })
    );
    let other = bench.command(submit(spec(3)));
    assert_eq!(other, Err(Refusal::KeyReused { job: JobId(1) }));
}

#[test]
fn a_cancel_is_over_only_when_the_agent_confirms() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    let job = bench.submit(spec(5));
    agent.listen(&bench);
    let reply = bench.command(cancel(job));
    assert!(matches!(reply, Ok(Reply::Cancelling { .. })));
    assert!(matches!(agent.listen(&bench)[..], [DownBody::Cancel(_)]));

    assert_eq!(
        bench.states(job),
        [
            TaskState::Granted,
            TaskState::Granted,
            TaskState::Cancelled,
            TaskState::Cancelled,
            TaskState::Cancelled
        ]
    );
    agent.report(&mut bench, 0, Outcome::Completed);
    agent.report(&mut bench, 1, Outcome::Cancelled);
    assert_eq!(
        bench.counted(),
        [
            (TaskIndex(1), Outcome::Completed),
            (TaskIndex(2), Outcome::Cancelled)
        ]
    );
    assert_eq!(bench.command(cancel(job)), Err(Refusal::JobFinished(job)));
    assert_eq!(
        bench.command(cancel(JobId(9))),
        Err(Refusal::JobNotFound(JobId(9)))
    );
}

#[test]
fn a_lost_node_is_replaced_after_the_time_and_the_first_success_wins() {
    let mut bench = Bench::new();
    let mut lost = Agent::new("lost", 1, 1);
    lost.hello(&mut bench);
    let job = bench.submit(spec(1));
    lost.listen(&bench);
    let mut other = Agent::new("other", 2, 1);
    other.hello(&mut bench);
    for _ in 0..20 {
        bench.wait(Duration::from_secs(1));
        other.heartbeat(&mut bench);
    }
    assert!(other.attempts().is_empty(), "suspect, not lost");
    for _ in 0..60 {
        bench.wait(Duration::from_secs(1));
        other.listen(&bench);
        other.heartbeat(&mut bench);
        other.listen(&bench);
    }
    assert_eq!(other.attempts().len(), 1, "granted again after lost_after");
    let (attempt, ..) = lost.attempts()[0];
    lost.held = vec![(attempt, HeldState::Ended)];
    lost.hello(&mut bench);
    lost.report(&mut bench, 0, Outcome::Completed);
    assert_eq!(bench.counted(), [(TaskIndex(1), Outcome::Completed)]);
    assert!(
        other
            .listen(&bench)
            .iter()
            .any(|frame| matches!(frame, DownBody::Forget(_))),
        "the other attempt is called back"
    );
    let (attempt, ..) = other.attempts()[0];
    other.say(
        &mut bench,
        UpBody::Forgotten(vec![AttemptRange::one(attempt)]),
    );
    assert!(bench.fleet.jobs.get(job).is_none());
    assert_eq!(bench.counted().len(), 1);
}

#[test]
fn what_may_start_only_once_becomes_unknown_and_is_corrected_by_its_agent() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let job = bench.submit(JobSpec {
        retry: Retry::Never,
        ..spec(1)
    });
    agent.listen(&bench);
    bench.wait(Duration::from_secs(30));
    bench.wait(Duration::from_mins(2));
    assert_eq!(bench.states(job), [TaskState::Unknown]);
    let mut bench = bench.restarted();
    agent.held = vec![(agent.attempts()[0].0, HeldState::Ended)];
    agent.hello(&mut bench);
    agent.report(&mut bench, 0, Outcome::Exited { code: 0 });
    assert_eq!(
        bench.counted(),
        [(TaskIndex(1), Outcome::Exited { code: 0 })]
    );
}

#[test]
fn what_did_not_start_before_its_job_was_over_does_not_start_then() {
    let cases = [(HeldState::Granted, true), (HeldState::Running, false)];
    for (state, is_forgotten) in cases {
        let mut bench = Bench::new();
        let mut agent = Agent::new("a", 1, 1);
        agent.hello(&mut bench);
        let job = bench.submit(JobSpec {
            retry: Retry::Never,
            ..spec(1)
        });
        agent.listen(&bench);
        assert!(bench.command(cancel(job)).is_ok());
        bench.wait(Duration::from_secs(30));
        bench.wait(Duration::from_mins(2));
        assert_eq!(bench.states(job), [TaskState::Unknown]);
        agent.held = vec![(agent.attempts()[0].0, state)];
        let frames = agent.hello(&mut bench);
        let forgets = |frame: &DownBody| matches!(frame, DownBody::Forget(_));
        assert_eq!(frames.iter().any(forgets), is_forgotten, "{frames:?}");
        assert_eq!(bench.states(job), [TaskState::Unknown]);
    }
}

#[test]
fn a_grant_that_the_agent_never_got_is_free_only_after_its_tombstone() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let job = bench.submit(spec(1));
    agent.listen(&bench);
    let frames = agent.hello(&mut bench);
    assert!(matches!(
        frames[..],
        [DownBody::Welcome { .. }, DownBody::Forget(_)]
    ));
    assert_eq!(bench.states(job), [TaskState::Granted]);
    let (attempt, ..) = agent.attempts()[0];
    let frames = agent.say(
        &mut bench,
        UpBody::Forgotten(vec![AttemptRange::one(attempt)]),
    );
    assert!(
        matches!(frames[..], [DownBody::Grants { .. }]),
        "granted again: {frames:?}"
    );
}

#[test]
fn a_copied_folder_joins_as_another_node_and_a_second_agent_is_refused() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let node = agent.node;
    let mut second = Agent {
        nonce: 2,
        previous: Some(1),
        session: 5,
        node,
        ..Agent::new("a", 2, 1)
    };
    let frames = second.hello(&mut bench);
    assert!(matches!(frames[..], [DownBody::Refused(_)]));
    let mut old = Agent {
        nonce: 4,
        previous: Some(3),
        session: 5,
        node,
        ..Agent::new("a", 4, 1)
    };
    let frames = old.hello(&mut bench);
    assert!(matches!(
        frames[..],
        [DownBody::Welcome { fresh: true, .. }]
    ));
    assert_ne!(old.node, node);
    let mut taken = Agent::new("a", 9, 1);
    assert!(matches!(
        taken.hello(&mut bench)[..],
        [DownBody::Refused(_)]
    ));
}

#[test]
fn a_store_older_than_the_fleet_places_nothing_until_a_person_says_so() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    bench.submit(spec(1));
    let mut restored = Bench::open(
        Snapshot {
            restored: true,
            ..bench.fleet.durable(BatchNumber(1))
        },
        bench.at,
    );
    assert!(agent.hello(&mut restored).is_empty());
    restored.wait(Duration::from_mins(5));
    assert!(matches!(
        restored.command(Command::Recover),
        Ok(Reply::Recovered(_))
    ));
    let frames = agent.hello(&mut restored);
    assert!(matches!(frames[0], DownBody::Welcome { .. }));
    assert_eq!(
        restored.command(Command::Recover),
        Err(Refusal::NothingToRecover)
    );
}

/// Found by the simulator: an agent that came back after the recovery stopped the fleet once more, and
/// what had just been granted was unknown after the second recovery.
#[test]
fn a_recovery_doubts_what_the_backup_had_and_not_what_was_granted_since() {
    let once = || JobSpec {
        retry: Retry::Never,
        ..spec(1)
    };
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    let before = bench.submit(once());
    let mut bench = Bench::open(
        Snapshot {
            restored: true,
            ..bench.fleet.durable(BatchNumber(1))
        },
        bench.at,
    );
    bench.command(Command::Recover).expect("it was restored");
    assert_eq!(bench.states(before), [TaskState::Unknown]);
    agent.hello(&mut bench);
    let since = bench.submit(once());
    assert_eq!(bench.states(since), [TaskState::Granted]);
    bench.fleet.office.behind = Some(bench.fleet.mandate().authority);
    bench.command(Command::Recover).expect("it is behind");
    assert_eq!(bench.states(since), [TaskState::Granted]);
}

#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    bench.submit(spec(2));
    agent.listen(&bench);
    let large = JobSpec {
        resources: Resources::of_cpus(Cpus::whole(2)),
        ..spec(1)
    };
    let large = bench.submit(large);
    let small = bench.submit(spec(50));
    agent.report(&mut bench, 0, Outcome::Completed);
    assert_eq!(
        bench.states(small)[0],
        TaskState::Waiting,
        "the free core is kept"
    );
    agent.report(&mut bench, 1, Outcome::Completed);
    assert_eq!(bench.states(large), [TaskState::Granted]);
}

#[test]
fn limits_are_refused_with_their_number() {
    let mut bench = Bench::new();
    bench.fleet.office.settings.jobs_max = 1;
    bench.fleet.office.settings.tasks_max = 5;
    let submit = |spec| Command::Submit {
        spec: sealed(spec),
        rows: None,
        idempotency_key: None,
    };
    assert_eq!(
        bench.command(submit(spec(6))),
        Err(Refusal::TooManyTasks { limit: 5 })
    );
    bench.submit(spec(1));
    assert_eq!(
        bench.command(submit(spec(1))),
        Err(Refusal::TooManyJobs { limit: 1 })
    );
    let pinned = Constraints {
        node: Some("nowhere".to_owned()),
        ..Constraints::default()
    };
    bench.fleet.office.settings.jobs_max = 9;
    assert_eq!(
        bench.command(submit(JobSpec {
            constraints: pinned,
            ..spec(1)
        })),
        Err(Refusal::NodeUnknown("nowhere".to_owned()))
    );
}

#[test]
fn a_task_that_takes_its_node_down_is_found_among_innocents() {
    let mut bench = Bench::new();
    let job = bench.submit(JobSpec {
        parameters: None,
        on_disconnect: OnDisconnect::Keep {
            lost_after: Duration::ZERO,
        },
        ..spec(3)
    });
    let poison = TaskIndex(2);
    for start in 1..20 {
        let mut agent = Agent::new("a", start, 3);
        agent.hello(&mut bench);
        for _ in 0..5 {
            bench.wait(Duration::from_secs(1));
            let running = agent.orders.iter().map(|order| order.attempts).collect();
            agent.say(
                &mut bench,
                UpBody::Heartbeat {
                    sent_at: Moment(1),
                    running,
                    sample: None,
                },
            );
        }
        let tasks: Vec<TaskIndex> = agent.attempts().iter().map(|attempt| attempt.2).collect();
        if !tasks.contains(&poison) {
            for index in 0..tasks.len() {
                agent.report(&mut bench, index, Outcome::Completed);
            }
        }
        bench.handle(Event::Disconnected {
            connection: agent.connection(),
        });
        bench.wait(Duration::from_mins(1));
        if bench.fleet.jobs.get(job).is_none() {
            break;
        }
    }
    let mut counted = bench.counted();
    counted.sort_by_key(|(task, _)| *task);
    let expected = [
        (TaskIndex(1), Outcome::Completed),
        (poison, Outcome::Lost),
        (TaskIndex(3), Outcome::Completed),
    ];
    assert_eq!(counted, expected);
}

#[test]
fn work_sent_ahead_is_taken_back_when_another_node_is_idle() {
    let mut bench = Bench::new();
    let mut busy = Agent::new("busy", 1, 1);
    busy.hello(&mut bench);
    let job = bench.submit(spec(40));
    busy.listen(&bench);
    // Short tasks: the fleet takes the rest for short, too, and sends it ahead.
    for index in 0..40 {
        if !bench.states(job).contains(&TaskState::Waiting) {
            break;
        }
        bench.at += Duration::from_millis(2);
        busy.report(&mut bench, index, Outcome::Completed);
    }
    assert!(
        !bench.states(job).contains(&TaskState::Waiting),
        "all is granted"
    );
    // Then one takes long.
    let rate = Duration::from_secs(1);
    bench.wait(rate);
    busy.heartbeat(&mut bench);
    let mut idle = Agent::new("idle", 2, 3);
    idle.hello(&mut bench);
    let back = busy
        .listen(&bench)
        .into_iter()
        .find_map(|frame| match frame {
            DownBody::Retract(ranges) => Some(ranges),
            _ => None,
        });
    let back = back.expect("the idle node's three cores are worth it");
    assert_eq!(back.iter().map(|range| range.count).sum::<u32>(), 3);
    assert!(idle.attempts().is_empty(), "still the other one's");
    busy.say(&mut bench, UpBody::Forgotten(back));
    idle.listen(&bench);
    assert_eq!(idle.attempts().len(), 3);
}

fn cancel(job: JobId) -> Command {
    let reason = None;
    Command::Cancel { job, reason }
}

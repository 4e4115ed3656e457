use flota_model::{ids::BatchNumber, state::JobPhase, units::Timestamp};

use super::*;

fn event(number: u64) -> Published {
    let event = FleetEvent::Job {
        job: JobId(number),
        phase: JobPhase::Active,
        at: Timestamp(number),
    };
    Published {
        id: EventId((1 << 40) | number),
        event,
    }
}

fn ids(since: Since) -> Vec<u64> {
    match since {
        Since::Events(events) => events.iter().map(|event| event.id.0 & 0xff_ffff).collect(),
        gone @ Since::Gone { .. } => panic!("{gone:?}"),
    }
}

fn publisher() -> Publisher {
    let publisher = Publisher::new();
    publisher.begin(Epoch(1));
    publisher
}

#[test]
fn the_ring_gives_exactly_what_came_after_an_event() {
    let publisher = publisher();
    assert_eq!(ids(publisher.since(EventId(1 << 40), 9)), [0_u64; 0]);
    (1..=5).for_each(|number| publisher.publish(event(number)));
    assert_eq!(ids(publisher.since(EventId(1 << 40), 9)), [1, 2, 3, 4, 5]);
    assert_eq!(ids(publisher.since(event(3).id, 9)), [4, 5]);
    assert_eq!(ids(publisher.since(event(2).id, 2)), [3, 4]);
    assert_eq!(ids(publisher.since(event(5).id, 9)), [0_u64; 0]);
}

#[test]
fn a_full_ring_forgets_the_oldest_and_says_so() {
    let publisher = publisher();
    let kept = EVENTS_KEPT as u64;
    (1..=kept + 2).for_each(|number| publisher.publish(event(number)));
    let newest = event(kept + 2).id;
    let gone = Since::Gone { newest };
    assert_eq!(publisher.since(event(1).id, 1), gone);
    assert_eq!(ids(publisher.since(event(2).id, 1)), [3]);
    // Of an earlier start of the server, and of no start that it knows.
    assert_eq!(publisher.since(EventId(7), 1), gone);
    assert_eq!(publisher.since(EventId(newest.0 + 1), 1), gone);
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_once_a_second_and_job_with_its_latest_counts() {
    let publisher = publisher();
    let progressed = |job, succeeded| Batch {
        number: BatchNumber(1),
        authority: flota_model::ids::Authority::default(),
        changes: vec![Change::JobProgressed {
            job: JobId(job),
            phase: JobPhase::Active,
            counts: Counts([0, 0, 0, succeeded, 0, 0, 0, 0, 0, 0]),
            finished_at: None,
        }],
    };
    let mut told = publisher.progress();
    let _telling = crate::owned::spawn(publisher.clone().tell_progress());
    publisher.note(&[progressed(7, 1), progressed(8, 1)]);
    publisher.note(&[progressed(7, 2)]);
    let first = told.recv().await.unwrap();
    let succeeded: Vec<_> = first
        .iter()
        .map(|one| (one.job.0, one.counts.0[3]))
        .collect();
    assert_eq!(succeeded, [(7, 2), (8, 1)]);
    let many: Vec<Batch> = (0..=PROGRESS_JOBS_MAX as u64)
        .map(|job| progressed(job, 1))
        .collect();
    publisher.note(&many);
    assert_eq!(told.recv().await.unwrap().len(), PROGRESS_JOBS_MAX);
}

use std::sync::Arc;

use flota_model::{
    ids::{Epoch, JobId},
    state::JobPhase,
    units::Timestamp,
};
use tokio::sync::Semaphore;

use super::*;
use crate::{shell::EVENTS_KEPT, stop};

const PING_INTERVAL: Duration = Duration::from_secs(15);

fn watcher(publisher: &Publisher, since: Option<u64>) -> (Watcher, stop::Stopper) {
    let (stopper, stop) = stop::stop();
    let watcher = Watcher::new(WatcherParts {
        topics: Topics::ALL,
        since: since.map(EventId),
        publisher: publisher.clone(),
        ping_interval: PING_INTERVAL,
        stop,
        place: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
    });
    (watcher, stopper)
}

fn publish(publisher: &Publisher, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let event = FleetEvent::Job {
            job: JobId(number),
            phase: JobPhase::Active,
            at: Timestamp(1_500_000),
        };
        let id = EventId((1 << 40) + number);
        publisher.publish(Published { id, event });
    }
}

async fn next(watcher: &mut Watcher) -> String {
    String::from_utf8(watcher.next().await.unwrap().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watcher_is_pinged_and_a_stop_ends_it() {
    let publisher = Publisher::new();
    publisher.begin(Epoch(1));
    let (mut watcher, stopper) = watcher(&publisher, None);
    assert_eq!(next(&mut watcher).await, "retry:2000\nid:1099511627776\n\n");
    let before = Instant::now();
    assert_eq!(next(&mut watcher).await, ":ping\nid:1099511627776\n\n");
    assert_eq!(before.elapsed(), PING_INTERVAL);
    publish(&publisher, 1..=1);
    let told = "id:1099511627777\nevent:job\ndata:{\"job\":1,\"phase\":\"active\",\"at\":1.5}\n\n";
    assert_eq!(next(&mut watcher).await, told);
    stopper.stop();
    assert_eq!(watcher.next().await, None);
}

#[tokio::test]
async fn a_watcher_that_reads_too_slowly_is_told_to_resync_and_goes_on() {
    let publisher = Publisher::new();
    publisher.begin(Epoch(1));
    let (mut watcher, _stopper) = watcher(&publisher, None);
    next(&mut watcher).await;
    let kept = EVENTS_KEPT as u64;
    // As many as are kept are no harm, in pieces.
    publish(&publisher, 1..=kept);
    let mut told = 0;
    while told < EVENTS_KEPT {
        let events = next(&mut watcher).await.matches("event:job").count();
        assert!(events <= CHUNK_EVENTS_MAX);
        told += events;
    }
    // One more than that is. The publisher never waited for the watcher.
    publish(&publisher, kept + 1..=2 * kept + 1);
    let text = next(&mut watcher).await;
    let head = format!("id:{}\nevent:resync\ndata:", (1_u64 << 40) + 2 * kept + 1);
    assert!(text.starts_with(&head), "{text}");
    publish(&publisher, 2 * kept + 2..=2 * kept + 2);
    assert_eq!(next(&mut watcher).await.matches("event:job").count(), 1);
}

#[test]
fn topics_are_known_words() {
    assert_eq!(
        Topics::parse("job,node,progress,service,replica"),
        Some(Topics::ALL)
    );
    let job = Topics::parse("job").unwrap();
    assert_eq!((job.job, job.node, job.progress), (true, false, false));
    for wrong in ["", "jobs", "job,", "job node"] {
        assert_eq!(Topics::parse(wrong), None, "{wrong}");
    }
}

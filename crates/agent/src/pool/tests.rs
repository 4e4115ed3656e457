use std::{sync::mpsc, time::Duration};

use super::*;

struct Bench {
    pool: Pool,
    bell: mpsc::Receiver<()>,
}

impl Bench {
    fn new(threads: usize) -> Self {
        let (ring, bell) = mpsc::channel();
        let pool = Pool::new(threads, move || {
            let _ = ring.send(());
        });
        Self {
            pool: pool.unwrap(),
            bell,
        }
    }

    /// Waits for `count` results.
    fn collect(&self, count: usize) -> Vec<Finished> {
        let mut all = Vec::new();
        while all.len() < count {
            self.bell
                .recv_timeout(Duration::from_secs(20))
                .expect("no result came");
            all.extend(self.pool.finished());
        }
        all
    }
}

fn work(sequence: u64, name: &str, parameters: &[(&str, &str)]) -> Work {
    let parameters = parameters
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    Work {
        attempt: AttemptId {
            sequence,
            ..AttemptId::default()
        },
        call: KernelCall {
            name: name.into(),
            parameters: parameters.collect(),
        },
    }
}

fn long(sequence: u64) -> Work {
    work(sequence, "sleep", &[("milliseconds", "600000")])
}

#[test]
fn every_kernel_gives_one_result() {
    let bench = Bench::new(4);
    let works = (0..10_000)
        .map(|sequence| work(sequence, "noop", &[]))
        .collect();
    bench.pool.run(works);
    let finished = bench.collect(10_000);
    let mut attempts: Vec<u64> = finished.iter().map(|one| one.attempt.sequence).collect();
    attempts.sort_unstable();
    assert!(attempts.into_iter().eq(0..10_000));
    assert!(finished.iter().all(|one| one.result == Ok(Vec::new())));
    bench.pool.close();
}

#[test]
fn a_kernel_stops_whether_it_runs_or_waits_and_the_next_one_is_not_stopped() {
    let bench = Bench::new(1);
    bench.pool.run(vec![long(1), long(2), work(3, "noop", &[])]);
    bench.pool.stop(AttemptId {
        sequence: 2,
        ..AttemptId::default()
    });
    bench.pool.stop(AttemptId {
        sequence: 1,
        ..AttemptId::default()
    });
    let mut finished = bench.collect(3);
    finished.sort_unstable_by_key(|one| one.attempt);
    let results: Vec<_> = finished.into_iter().map(|one| one.result).collect();
    assert_eq!(
        results,
        [
            Err(KernelFault::Stopped),
            Err(KernelFault::Stopped),
            Ok(Vec::new())
        ]
    );
    bench.pool.close();
}

#[test]
fn an_unknown_kernel_fails() {
    let bench = Bench::new(0);
    bench.pool.run(vec![work(1, "no-such", &[])]);
    let finished = bench.collect(1);
    assert!(matches!(
        finished[0].result,
        Err(KernelFault::Unknown { .. })
    ));
}

#[test]
fn closing_ends_kernels_that_run() {
    let bench = Bench::new(2);
    bench.pool.run(vec![long(1), long(2), long(3)]);
    bench.pool.close();
}

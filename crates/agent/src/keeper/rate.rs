//! Measures how many programs a second a keeper runs, against a bare loop with as many in flight.
//!
//! `cargo test --release --package flota-agent --lib rate -- --ignored --nocapture`

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use flota_engine::keeper::api::{FromKeeper, Launch, ToKeeper};
use flota_model::execution::{Execution, Limits};

use crate::{
    groups::{self, GroupWish, Place, PlaceKind},
    sys::clock,
    testing::{Bench, Client},
};

const PROGRAMS: u64 = 2_000;
const ROUNDS: usize = 5;

#[test]
#[ignore = "a measurement, for release builds"]
fn rate() {
    for in_flight in [1, 2, 4, 16] {
        let bench = Bench::new();
        let (mut client, _) = bench.agent();
        let enclosing = Bench::with_places(places_of_trees);
        let (mut other, _) = enclosing.agent();
        let (mut bare, mut kept, mut enclosed) = (Vec::new(), Vec::new(), Vec::new());
        // Interleaved, because the machine changes its pace.
        for round in 0..ROUNDS as u64 {
            bare.push(per_second(|| run_bare(in_flight)));
            let first = round * PROGRAMS;
            kept.push(per_second(|| {
                run_kept(&bench, &mut client, first, in_flight);
            }));
            enclosed.push(per_second(|| {
                run_kept(&enclosing, &mut other, first, in_flight);
            }));
        }
        let (bare, kept, enclosed) = (median(bare), median(kept), median(enclosed));
        println!(
            "{in_flight} in flight: bare {bare}/s, keeper {kept}/s, {} %, each in a group {enclosed}/s, {} %",
            kept * 100 / bare,
            enclosed * 100 / bare
        );
    }
}

/// Only where processes are held together: what a group without limits would need.
fn places_of_trees(data: &Path) -> Vec<Place> {
    let prospect = groups::arrange(Path::new("/"), &GroupWish::Auto, data).unwrap();
    let places = prospect.places.into_iter();
    places
        .filter(|place| place.kind == PlaceKind::Two)
        .collect()
}

/// Asks for limits that may be missing, so that it gets a group where there is one.
fn wanting_a_group(launch: Launch) -> Launch {
    let limits = Limits {
        pids: Some(100),
        best_effort: true,
        ..Limits::default()
    };
    let execution = Execution {
        limits,
        ..Execution::default()
    };
    Launch {
        execution: Some(Box::new(execution)),
        ..launch
    }
}

fn per_second(run: impl FnOnce()) -> u64 {
    let began = clock::moment();
    run();
    let micros = clock::moment().since(began).as_micros();
    PROGRAMS * 1_000_000 / u64::try_from(micros).unwrap()
}

fn median(mut rates: Vec<u64>) -> u64 {
    rates.sort_unstable();
    rates[rates.len() / 2]
}

#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is the standard library's posix_spawn"
)]
fn spawn() -> Child {
    let mut command = Command::new("/bin/true");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn run_bare(in_flight: u64) {
    let mut running = std::collections::VecDeque::new();
    for _ in 0..PROGRAMS {
        if running.len() as u64 == in_flight {
            let mut oldest: Child = running.pop_front().unwrap();
            assert!(oldest.wait().unwrap().success());
        }
        running.push_back(spawn());
    }
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
}

fn run_kept(bench: &Bench, client: &mut Client, first: u64, in_flight: u64) {
    let mut started = 0;
    let mut ended = 0;
    while ended < PROGRAMS {
        while started < PROGRAMS && started - ended < in_flight {
            client.start(wanting_a_group(
                bench.launch(first + started, &["/bin/true"]),
            ));
            started += 1;
        }
        if let (FromKeeper::Ended { attempt, .. }, _) = client.next() {
            client.send(ToKeeper::Forget { attempt });
            ended += 1;
        }
    }
}

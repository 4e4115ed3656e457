//! Everything that can go wrong does, also after somebody has changed what the simulator draws.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is one")]

use flota_testkit::{Options, Tally, Trouble, simulate};

const SEEDS: u64 = 200;
/// The rarest is far above it; fewer could not press on anything.
const TIMES_MIN: u32 = 5;

#[test]
fn everything_that_can_go_wrong_does_within_200_seeds() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let summary = simulate(seed, Options::default()).expect("no invariant is broken");
        tally += summary.tally;
    }
    for trouble in Trouble::ALL {
        println!("{trouble:?}: {}", tally.of(trouble));
    }
    let rare = Trouble::ALL
        .into_iter()
        .filter(|trouble| tally.of(*trouble) < TIMES_MIN);
    assert_eq!(rare.collect::<Vec<_>>(), []);
}

#[test]
fn every_trouble_is_in_the_list_at_its_place() {
    for (place, trouble) in Trouble::ALL.into_iter().enumerate() {
        assert_eq!(trouble as usize, place, "{trouble:?}");
    }
}

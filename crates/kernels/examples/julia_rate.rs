//! Measures how many pixels a second each variant of the kernel `julia` draws, picture included.
#![expect(clippy::print_stdout, reason = "an example for people")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures, and no decision hangs on its clock"
)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use flota_kernels::{Stop, run};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 900;
/// Runs of each variant, interleaved; the median is shown.
const RUNS: usize = 7;

fn main() {
    let variants = ["scalar", "vector", "parallel"];
    let mut spans = vec![Vec::new(); variants.len()];
    for _ in 0..RUNS {
        for (variant, spans) in variants.iter().zip(&mut spans) {
            spans.push(measure(variant));
        }
    }
    println!("{WIDTH} x {HEIGHT}, 200 iterations, c = -0.8 + 0.156i, median of {RUNS} runs");
    for (variant, mut spans) in variants.iter().zip(spans) {
        spans.sort();
        let seconds = spans[RUNS / 2].as_secs_f64();
        let pixels = f64::from(WIDTH * HEIGHT) / seconds;
        println!(
            "{variant:9} {:7.1} ms {:7.1} million pixels/s",
            seconds * 1e3,
            pixels / 1e6
        );
    }
}

fn measure(variant: &str) -> Duration {
    let pairs = [
        ("width", WIDTH.to_string()),
        ("height", HEIGHT.to_string()),
        ("iterations", "200".to_owned()),
        ("variant", variant.to_owned()),
    ];
    let call: BTreeMap<String, String> = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let begin = Instant::now();
    run("julia", &call, &Stop::new()).expect("a valid call that nobody stops");
    begin.elapsed()
}

use std::collections::BTreeMap;

use super::Julia;
use crate::{KernelFault, Stop, check, parameters::Parameters, run};

fn parameters(text: &str) -> BTreeMap<String, String> {
    let pairs = text
        .split_whitespace()
        .map(|pair| pair.split_once('=').expect("name=value"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn counts(text: &str) -> Vec<u32> {
    let given = parameters(text);
    let julia = Julia::parse(&mut Parameters::new(&given)).expect("valid parameters");
    julia.counts(&Stop::new()).expect("nobody stops it")
}

/// What a picture holds: width, height, the pixels' indexes and the sum in its text chunk.
fn decoded(picture: &[u8]) -> (u32, u32, Vec<u8>, u64) {
    let decoder = png::Decoder::new(std::io::Cursor::new(picture));
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
    reader.next_frame(&mut pixels).expect("an image");
    let info = reader.info();
    let sum = &info.uncompressed_latin1_text[0];
    assert_eq!(sum.keyword, "flota-sum");
    (
        info.width,
        info.height,
        pixels,
        sum.text.parse().expect("decimal"),
    )
}

/// A reproducible number from `range.0` to below `range.1`, to three decimals.
fn draw(state: &mut u64, range: (i32, i32)) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let width = u64::try_from((range.1 - range.0) * 1000).expect("a range");
    let thousandths = i32::try_from((*state >> 33) % width).expect("below the width");
    f64::from(range.0) + f64::from(thousandths) / 1000.0
}

#[test]
fn all_variants_count_alike_in_random_windows() {
    let mut state = 7;
    for case in 0..60 {
        let side = |state: &mut u64| draw(state, (1, 100)).trunc();
        let (width, height) = (side(&mut state), side(&mut state));
        let iterations = draw(&mut state, (1, 400)).trunc();
        // c beyond 2 too, where a point that left can come back.
        let bound = if case % 3 == 0 { 3 } else { 1 };
        let (c_re, c_im) = (
            draw(&mut state, (-bound, bound)),
            draw(&mut state, (-bound, bound)),
        );
        let (x0, y0) = (draw(&mut state, (-3, 0)), draw(&mut state, (-3, 0)));
        let (x1, y1) = (
            draw(&mut state, (0, 3)) + 0.1,
            draw(&mut state, (0, 3)) + 0.1,
        );
        let call = format!(
            "width={width} height={height} iterations={iterations} c_re={c_re} c_im={c_im} \
             x0={x0} x1={x1} y0={y0} y1={y1}"
        );
        let scalar = counts(&format!("{call} variant=scalar"));
        assert_eq!(scalar, counts(&format!("{call} variant=vector")), "{call}");
        assert_eq!(
            scalar,
            counts(&format!("{call} variant=parallel threads=3")),
            "{call}"
        );
    }
}

#[test]
fn a_count_is_the_number_of_steps_inside() {
    // c = 0 on the real axis: |z|² = 4 at z = ±2 is still inside, then 16; 0 and ±1 never leave.
    let call = "width=6 height=2 iterations=10 c_re=0 c_im=0 x0=-2 x1=4 y0=-1 y1=1 variant=scalar";
    assert_eq!(counts(call)[6..], [1, 10, 10, 10, 1, 0]);
}

#[test]
fn the_sum_over_a_known_picture_is_right() {
    // From a program in C that draws c = -0.8 + 0.156i with its first row at the bottom, compiled
    // without fused multiply-add; here the first row is the top, hence the conjugate of c.
    let call = "width=1200 height=900 iterations=200 c_re=-0.8 c_im=-0.156";
    let sum: u64 = counts(call).iter().map(|count| u64::from(*count)).sum();
    assert_eq!(sum, 16_921_783);
}

#[test]
fn the_picture_holds_the_counts_and_their_sum() {
    let call = "width=40 height=30 iterations=300";
    let picture = run("julia", &parameters(call), &Stop::new()).expect("nobody stops it");
    let expected = counts(call);
    let index = |count: &u32| {
        if *count == 300 {
            0
        } else {
            u8::try_from(1 + count % 255).unwrap()
        }
    };
    let (width, height, pixels, sum) = decoded(&picture);
    assert_eq!((width, height), (40, 30));
    assert_eq!(
        sum,
        expected.iter().map(|count| u64::from(*count)).sum::<u64>()
    );
    assert_eq!(pixels, expected.iter().map(index).collect::<Vec<u8>>());
    assert!(pixels.contains(&0), "the set itself must be in the picture");
}

#[test]
fn tiles_put_together_are_the_whole_picture() {
    let call = "width=50 height=37 iterations=100";
    let whole = counts(call);
    let (columns, rows) = (3, 4);
    let bounds = |pixels: usize, parts: usize| {
        (0..parts).map(move |part| pixels * part / parts..pixels * (part + 1) / parts)
    };
    let places = bounds(37, rows)
        .flat_map(|down| bounds(50, columns).map(move |across| (down.clone(), across)));
    for (tile, (down, across)) in places.enumerate() {
        let expected: Vec<u32> = down
            .flat_map(|row| &whole[row * 50..][across.clone()])
            .copied()
            .collect();
        let part = counts(&format!("{call} columns={columns} rows={rows} tile={tile}"));
        assert_eq!(part, expected, "tile {tile}");
    }
}

#[test]
fn a_raised_stop_ends_every_variant() {
    for variant in ["scalar", "vector", "parallel"] {
        let stop = Stop::new();
        stop.raise();
        let call = parameters(&format!("variant={variant}"));
        assert_eq!(
            run("julia", &call, &stop),
            Err(KernelFault::Stopped),
            "{variant}"
        );
    }
}

#[test]
fn bad_parameters_are_refused_with_their_reason() {
    let cases = [
        (
            "width=0",
            "parameter `width` must be a number from 1 to 1048576, not `0`",
        ),
        (
            "iterations=1000001",
            "parameter `iterations` must be a number from 1 to 1000000, not `1000001`",
        ),
        (
            "c_re=NaN",
            "parameter `c_re` must be a number from -1000.0 to 1000.0, not `NaN`",
        ),
        (
            "x1=-1.8",
            "parameter `x1` must be greater than -1.8, where the window begins, not -1.8",
        ),
        (
            "variant=gpu",
            "parameter `variant` must be one of scalar, vector, parallel, not `gpu`",
        ),
        (
            "threads=0",
            "parameter `threads` must be a number from 1 to 256, not `0`",
        ),
        (
            "tile=1",
            "parameter `tile` must be a number from 0 to 0, not `1`",
        ),
        (
            "columns=8 rows=8 tile=64",
            "parameter `tile` must be a number from 0 to 63, not `64`",
        ),
        (
            "widht=8",
            "parameter `widht` is not known to this kernel; did you mean `width`?",
        ),
        (
            "width=4097 height=4096",
            "parameter `width` makes a tile of 16781312 pixels, and one run draws at most 16777216; \
             raise `columns` or `rows`",
        ),
    ];
    for (call, expected) in cases {
        let fault = check("julia", &parameters(call)).expect_err(call);
        assert_eq!(fault.to_string(), expected);
    }
    check("julia", &parameters("width=4096 height=4096")).expect("the largest tile");
    check(
        "julia",
        &parameters("width=100000 height=100000 columns=64 rows=64 tile=4095"),
    )
    .expect("a large picture in tiles");
}

#[test]
fn a_plain_picture_is_the_usual_one_and_takes_nothing_else() {
    let size = parameters("width=30 height=20 iterations=50 variant=scalar");
    let plain = run("julia-plain", &size, &Stop::new()).unwrap();
    assert_eq!(plain, run("julia", &size, &Stop::new()).unwrap());
    for wrong in ["c_re=0.1", "tile=0", "columns=2", "x0=-1"] {
        let fault = check("julia-plain", &parameters(wrong)).unwrap_err();
        assert!(matches!(fault, KernelFault::Parameter { .. }), "{wrong}");
    }
    let large = parameters("width=5000 height=5000");
    let told = check("julia-plain", &large).unwrap_err().to_string();
    assert!(told.contains("25000000 pixels"), "{told}");
}

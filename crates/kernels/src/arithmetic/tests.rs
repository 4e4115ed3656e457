use std::collections::BTreeMap;

use crate::{KernelFault, Stop, check, run};

fn parameters(text: &str) -> BTreeMap<String, String> {
    let pairs = text
        .split_whitespace()
        .map(|pair| pair.split_once('=').expect("name=value"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn answer(text: &str) -> String {
    let bytes = run("arithmetic", &parameters(text), &Stop::new()).expect("nobody stops it");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[test]
fn known_values_come_out() {
    let cases = [
        (
            "operation=sum a=1.5 b=2",
            r#"{"operation":"sum","result":3.5}"#,
        ),
        (
            "operation=subtract a=1 b=2",
            r#"{"operation":"subtract","result":-1.0}"#,
        ),
        (
            "operation=multiply a=1e200 b=2",
            r#"{"operation":"multiply","result":2e200}"#,
        ),
        (
            "operation=divide a=1 b=4",
            r#"{"operation":"divide","result":0.25}"#,
        ),
        (
            "operation=sqrt a=2",
            r#"{"operation":"sqrt","result":1.4142135623730951}"#,
        ),
    ];
    for (call, expected) in cases {
        assert_eq!(answer(call), expected);
    }
}

#[test]
fn what_has_no_value_is_a_result_that_says_so() {
    let cases = [
        (
            "operation=divide a=1 b=0",
            r#"{"operation":"divide","error":"division by zero"}"#,
        ),
        (
            "operation=divide a=0 b=-0.0",
            r#"{"operation":"divide","error":"division by zero"}"#,
        ),
        (
            "operation=sqrt a=-1",
            r#"{"operation":"sqrt","error":"square root of a negative number"}"#,
        ),
        (
            "operation=multiply a=1e200 b=1e200",
            r#"{"operation":"multiply","error":"result out of range"}"#,
        ),
    ];
    for (call, expected) in cases {
        assert_eq!(answer(call), expected);
    }
}

#[test]
fn primes_are_counted_right_around_every_edge() {
    // OEIS A006880 for the powers of ten; the bounds around 2^19 + 1 are the ends of a segment.
    let cases = [
        ("0", "0,\"largest\":null"),
        ("1", "0,\"largest\":null"),
        ("2", "1,\"largest\":2"),
        ("3", "2,\"largest\":3"),
        ("9", "4,\"largest\":7"),
        ("25", "9,\"largest\":23"),
        ("1000000", "78498,\"largest\":999983"),
        ("100000000", "5761455,\"largest\":99999989"),
    ];
    for (n, expected) in cases {
        let expected = format!(r#"{{"operation":"primes","n":{n},"result":{expected}}}"#);
        assert_eq!(answer(&format!("operation=primes n={n}")), expected);
    }
}

#[test]
fn the_sieve_agrees_with_trial_division() {
    let is_prime = |number: u64| {
        number >= 2 && (2..=number.isqrt()).all(|divisor| !number.is_multiple_of(divisor))
    };
    let (mut count, mut largest) = (0, None);
    for n in 0..2000 {
        if is_prime(n) {
            (count, largest) = (count + 1, Some(n));
        }
        let found = super::primes::up_to(n, &Stop::new()).expect("nobody stops it");
        assert_eq!((found.count, found.largest), (count, largest), "up to {n}");
    }
    // The last number of the first segment of odd numbers and its neighbours.
    let before = super::primes::up_to((1 << 19) - 2, &Stop::new()).expect("nobody stops it");
    let found = (-1..=4).map(|step| ((1_i64 << 19) + step).cast_unsigned());
    let mut count = before.count;
    for n in found {
        count += u64::from(is_prime(n));
        let primes = super::primes::up_to(n, &Stop::new()).expect("nobody stops it");
        assert_eq!(primes.count, count, "up to {n}");
    }
}

#[test]
fn pi_depends_on_the_seed_alone() {
    let first = answer("operation=pi n=200000 seed=1");
    assert_eq!(first, answer("operation=pi n=200000 seed=1"));
    assert_ne!(first, answer("operation=pi n=200000 seed=2"));
    assert_eq!(
        answer("operation=pi n=200000"),
        answer("operation=pi n=200000 seed=0")
    );
}

#[test]
fn pi_is_close_to_its_value() {
    let n = 2_000_000;
    let inside = super::pi::inside(n, 42, &Stop::new()).expect("nobody stops it");
    // Standard deviation 4 √(π/4 (1 − π/4) / n) = 0.00116; five of them.
    assert!((super::pi::estimate(inside, n) - std::f64::consts::PI).abs() < 0.006);
}

#[test]
fn a_raised_stop_ends_long_operations() {
    let stop = Stop::new();
    stop.raise();
    for call in ["operation=primes n=1000000", "operation=pi n=1000000"] {
        assert_eq!(
            run("arithmetic", &parameters(call), &stop),
            Err(KernelFault::Stopped)
        );
    }
}

#[test]
fn bad_parameters_are_refused_with_their_reason() {
    let cases = [
        (
            "",
            "parameter `operation` is missing; give one of sum, subtract, multiply, divide, sqrt, \
             primes, pi",
        ),
        (
            "operation=power",
            "parameter `operation` must be one of sum, subtract, multiply, divide, sqrt, primes, pi, \
             not `power`",
        ),
        (
            "operation=sum a=1",
            "parameter `b` is missing; give a number from -1.7976931348623157e308 to \
             1.7976931348623157e308",
        ),
        (
            "operation=sum a=1 b=inf",
            "parameter `b` must be a number from -1.7976931348623157e308 to \
             1.7976931348623157e308, not `inf`",
        ),
        (
            "operation=sqrt a=1 b=2",
            "parameter `b` is not known to this kernel; it takes operation, a",
        ),
        (
            "operation=primes n=100000000001",
            "parameter `n` must be a number from 0 to 100000000000, not `100000000001`",
        ),
        (
            "operation=pi n=0",
            "parameter `n` must be a number from 1 to 1000000000000, not `0`",
        ),
    ];
    for (call, expected) in cases {
        let fault = check("arithmetic", &parameters(call)).expect_err(call);
        assert_eq!(fault.to_string(), expected);
    }
}

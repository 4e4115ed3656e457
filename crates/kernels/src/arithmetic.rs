//! The kernel `arithmetic`: small sums, primes and a seeded estimate of π, as JSON.
//!
//! What has no value (a division by zero, the root of a negative number, a result beyond the range
//! of a double) is a result too, `{"operation":…,"error":…}`: the computation was done and this is
//! its answer.

mod pi;
mod primes;
#[cfg(test)]
mod tests;

use crate::{fault::KernelFault, parameters::Parameters, stop::Stop};

/// Upper bound of `n` for primes: minutes of work, and base primes that fit in a cache.
const PRIMES_BELOW_MAX: u64 = 100_000_000_000;
/// Upper bound of `n` for π: an hour of work.
const SAMPLES_MAX: u64 = 1_000_000_000_000;
/// The operations, in the order of the arms of [`Arithmetic::parse`].
const OPERATIONS: &[&str] = &[
    "sum", "subtract", "multiply", "divide", "sqrt", "primes", "pi",
];

/// A call of `arithmetic` with valid parameters.
pub(crate) enum Arithmetic {
    Pair {
        operation: &'static str,
        a: f64,
        b: f64,
    },
    SquareRoot {
        a: f64,
    },
    Primes {
        n: u64,
    },
    Pi {
        n: u64,
        seed: u64,
    },
}

impl Arithmetic {
    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Self, KernelFault> {
        let operation = OPERATIONS[parameters.choice("operation", OPERATIONS)?];
        let finite = f64::MIN..=f64::MAX;
        Ok(match operation {
            "primes" => Self::Primes {
                n: parameters.number("n", 0..=PRIMES_BELOW_MAX)?,
            },
            "pi" => Self::Pi {
                n: parameters.number("n", 1..=SAMPLES_MAX)?,
                seed: parameters.number_or("seed", 0..=u64::MAX, 0)?,
            },
            "sqrt" => Self::SquareRoot {
                a: parameters.number("a", finite)?,
            },
            _ => Self::Pair {
                operation,
                a: parameters.number("a", finite.clone())?,
                b: parameters.number("b", finite)?,
            },
        })
    }

    /// Returns JSON with `operation` and either `result` or `error`.
    pub(crate) fn run(&self, stop: &Stop) -> Result<Vec<u8>, KernelFault> {
        let text = match *self {
            Self::Pair { operation, a, b } => answer(operation, pair(operation, a, b)),
            Self::SquareRoot { a } => answer("sqrt", square_root(a)),
            Self::Primes { n } => {
                let primes = primes::up_to(n, stop)?;
                let largest = primes
                    .largest
                    .map_or("null".to_owned(), |prime| prime.to_string());
                let count = primes.count;
                format!(r#"{{"operation":"primes","n":{n},"result":{count},"largest":{largest}}}"#)
            }
            Self::Pi { n, seed } => {
                let inside = pi::inside(n, seed, stop)?;
                let result = pi::estimate(inside, n);
                format!(
                    r#"{{"operation":"pi","n":{n},"seed":{seed},"inside":{inside},"result":{result:?}}}"#
                )
            }
        };
        Ok(text.into_bytes())
    }
}

fn pair(operation: &str, a: f64, b: f64) -> Result<f64, &'static str> {
    match operation {
        "sum" => Ok(a + b),
        "subtract" => Ok(a - b),
        "multiply" => Ok(a * b),
        _ if b == 0.0 => Err("division by zero"),
        _ => Ok(a / b),
    }
}

fn square_root(a: f64) -> Result<f64, &'static str> {
    if a < 0.0 {
        Err("square root of a negative number")
    } else {
        Ok(a.sqrt())
    }
}

/// JSON knows no infinity, hence the third way to have no value.
fn answer(operation: &str, value: Result<f64, &'static str>) -> String {
    let in_range = |value: f64| {
        value
            .is_finite()
            .then_some(value)
            .ok_or("result out of range")
    };
    match value.and_then(in_range) {
        Ok(value) => format!(r#"{{"operation":"{operation}","result":{value:?}}}"#),
        Err(error) => format!(r#"{{"operation":"{operation}","error":"{error}"}}"#),
    }
}

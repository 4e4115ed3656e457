//! Built-in functions that run inside the agent's worker pool: computation, and nothing else.
//!
//! What this crate does NOT do: it knows nothing of jobs, nodes or the network, opens no file, reads
//! no clock and logs nothing. A kernel takes its parameters as text and a [`Stop`] flag, and returns
//! bytes that depend on its parameters alone, on every machine alike.

mod arithmetic;
mod fault;
mod idle;
mod julia;
mod nearest;
mod parameters;
mod simd;
mod stop;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

pub use fault::KernelFault;
pub use stop::Stop;

use crate::{arithmetic::Arithmetic, julia::Julia, parameters::Parameters};

/// All kernels, in alphabetical order.
const NAMES: &[&str] = &["arithmetic", "julia", "julia-plain", "noop", "sleep"];

/// A kernel with parameters that were found to be valid.
enum Call {
    Arithmetic(Arithmetic),
    Julia(Julia),
    Noop,
    Sleep(Duration),
}

/// Runs the kernel `name` until it returns, fails, or `stop` is raised.
///
/// Blocks the calling thread; every kernel reads `stop` at least every 5 ms of its run. The bytes
/// are documented with each kernel in `docs/kernels.md`.
pub fn run(
    name: &str,
    parameters: &BTreeMap<String, String>,
    stop: &Stop,
) -> Result<Vec<u8>, KernelFault> {
    match parse(name, parameters)? {
        Call::Arithmetic(arithmetic) => arithmetic.run(stop),
        Call::Julia(julia) => julia.run(stop),
        Call::Noop => Ok(Vec::new()),
        Call::Sleep(span) => idle::sleep(span, stop),
    }
}

/// Finds what is wrong with a call without running it.
///
/// Placeholders such as `{index}` are not known here: replace them first.
pub fn check(name: &str, parameters: &BTreeMap<String, String>) -> Result<(), KernelFault> {
    parse(name, parameters).map(drop)
}

/// All kernels, in alphabetical order.
pub fn names() -> &'static [&'static str] {
    NAMES
}

fn parse(name: &str, parameters: &BTreeMap<String, String>) -> Result<Call, KernelFault> {
    let mut parameters = Parameters::new(parameters);
    let call = match name {
        "arithmetic" => Call::Arithmetic(Arithmetic::parse(&mut parameters)?),
        "julia" => Call::Julia(Julia::parse(&mut parameters)?),
        "julia-plain" => Call::Julia(Julia::parse_plain(&mut parameters)?),
        "noop" => Call::Noop,
        "sleep" => Call::Sleep(idle::parse(&mut parameters)?),
        _ => return Err(unknown(name)),
    };
    parameters.finish()?;
    Ok(call)
}

fn unknown(name: &str) -> KernelFault {
    KernelFault::Unknown {
        name: name.to_owned(),
        nearest: nearest::of(name, NAMES),
    }
}

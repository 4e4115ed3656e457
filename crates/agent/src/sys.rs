//! System calls that neither the standard library nor `rustix` offers in a safe form.
//!
//! This is the only module of the crate with `unsafe` code. What it exports is safe to call with any
//! arguments: wrong ones give an error, never undefined behaviour.
#![expect(
    unsafe_code,
    reason = "raw clone, wait and ioctl calls; everything exported is safe"
)]

pub(crate) mod clock;
mod clone;
pub(crate) mod code;
#[cfg(test)]
pub(crate) mod disk;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod pidfd;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod spawn;
#[cfg(test)]
mod tests;
pub(crate) mod wait;
pub(crate) mod watched;

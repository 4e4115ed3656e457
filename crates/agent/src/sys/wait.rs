//! Reaping children.

use std::{io, mem::MaybeUninit};

use flota_model::outcome::Usage;

/// A child that was reaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    pub(crate) pid: u32,
    /// As in `man 2 wait`.
    pub(crate) status: i32,
    pub(crate) usage: Usage,
}

/// Reaps any one child that has ended; `None` when there is none now.
///
/// Only for processes that own all their children: it would steal those of a library.
pub(crate) fn any() -> io::Result<Option<Reaped>> {
    let mut status = 0;
    let mut usage_found = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to memory of the right type; zeroed is valid for both.
    let (pid, usage_found) = unsafe {
        let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, usage_found.as_mut_ptr());
        (pid, usage_found.assume_init())
    };
    if pid < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(None),
            _ => Err(error),
        };
    }
    Ok(u32::try_from(pid)
        .ok()
        .filter(|pid| *pid != 0)
        .map(|pid| Reaped {
            pid,
            status,
            usage: usage(&usage_found),
        }))
}

/// Puts what `waitid` tells into the form of `wait`.
pub(super) fn status(code: i32, value: i32) -> i32 {
    match code {
        libc::CLD_EXITED => (value & 0xff) << 8,
        libc::CLD_DUMPED => value | 0x80,
        _ => value,
    }
}

pub(super) fn usage(usage: &libc::rusage) -> Usage {
    Usage {
        user_micros: micros(usage.ru_utime),
        system_micros: micros(usage.ru_stime),
        // In KiB (`man 2 getrusage`).
        memory_bytes_max: u64::try_from(usage.ru_maxrss)
            .ok()
            .map(|kibibytes| kibibytes * 1024),
    }
}

fn micros(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
}

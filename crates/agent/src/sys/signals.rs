//! Signals of a process of one thread, read from a descriptor.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd},
};

/// Highest signal number of Linux.
const SIGNAL_MAX: i32 = 64;
/// All signals that a descriptor of few kinds can hold at once (`man 2 signalfd`).
const SIGNALS_LENGTH: usize = 8 * size_of::<libc::signalfd_siginfo>();

/// Sets every signal to its default action and blocks them all, so that children inherit no handler
/// and nothing interrupts the calling thread, and returns a descriptor that tells of `signals`.
///
/// With all actions at their default, a child that shares our memory can unblock its signals before
/// it executes a program: no handler of ours can run in it.
pub(crate) fn take_over(signals: &[i32]) -> io::Result<OwnedFd> {
    for signal in 1..=SIGNAL_MAX {
        // SAFETY: SIG_DFL is no code of ours. KILL, STOP and the two of libc refuse; that is fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut told = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the sets are initialised by the calls before they are read.
    let descriptor = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
        libc::sigemptyset(told.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(told.as_mut_ptr(), *signal);
        }
        libc::signalfd(-1, told.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Takes all signals that wait, where it does not matter which they are: a signal that waits is told
/// once, so that they fit into one read.
pub(crate) fn drain(descriptor: &OwnedFd) {
    // Nothing there is no failure, and what comes meanwhile wakes again.
    let _ = rustix::io::read(descriptor, &mut [0; SIGNALS_LENGTH]);
}

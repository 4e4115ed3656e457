//! Signals of a process of one thread, read from a descriptor.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

/// Highest signal number of Linux.
const SIGNAL_MAX: i32 = 64;

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

/// Takes one signal from such a descriptor; `None` when there is none now.
pub(crate) fn next(descriptor: &OwnedFd) -> Option<i32> {
    let mut details = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let length = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer is `length` bytes long, and zeroed is valid for it.
    let (count, details) = unsafe {
        let count = libc::read(descriptor.as_raw_fd(), details.as_mut_ptr().cast(), length);
        (count, details.assume_init())
    };
    (usize::try_from(count) == Ok(length))
        .then(|| i32::try_from(details.ssi_signo).ok())
        .flatten()
}

//! Processes held by a descriptor: never confused with another one of the same number.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use flota_model::outcome::Usage;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::wait::{self, Reaped};

/// `f_type` of the file system of pidfds since Linux 6.9 (`linux/magic.h`). Only there is the inode
/// of a pidfd unique for the boot.
const PIDFS_MAGIC: u64 = 0x5049_4446;
/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)` with the 64 bytes of its first version
/// (`linux/pidfd.h`, Linux 6.13).
const PIDFD_GET_INFO: libc::c_ulong = (3 << 30) | (64 << 16) | (0xff << 8) | 0xb;
/// Asks for the exit status (Linux 6.15).
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// First version of `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    control_group: u64,
    /// pid, tgid, ppid and eight user and group ids, which nobody here reads.
    ids: [u32; 11],
    exit_code: i32,
}

const _: () = assert!(size_of::<PidfdInfo>() == 64);

/// A process.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Opens the process that has this number now. Whoever needs a certain process compares its
    /// start time and [`Self::inode`] AFTER this call.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends a signal; `ESRCH` when the process is gone.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: no pointer is passed but a null one, which the call allows.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Its number on the file system of pidfds.
    pub(crate) fn inode(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.0)?.st_ino)
    }

    /// Whether [`Self::inode`] tells this process from all others of this boot (Linux ≥ 6.9).
    pub(crate) fn inode_is_unique(&self) -> bool {
        rustix::fs::fstatfs(&self.0)
            .is_ok_and(|status| u64::try_from(status.f_type) == Ok(PIDFS_MAGIC))
    }

    /// The wait status of a process that somebody has reaped, where the kernel keeps it
    /// (Linux ≥ 6.15, and only for descriptors opened before).
    pub(crate) fn status_after_reaping(&self) -> Option<i32> {
        let mut info = PidfdInfo {
            mask: PIDFD_INFO_EXIT,
            ..PidfdInfo::default()
        };
        // SAFETY: the number says that the argument is 64 bytes long, and it is.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
        (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
    }

    /// Reaps the process if it is a child of ours that ended; `ECHILD` if it is not a child.
    pub(crate) fn reap(&self) -> io::Result<Option<Reaped>> {
        let mut details = MaybeUninit::<libc::siginfo_t>::zeroed();
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers are to memory of the right type; zeroed is valid for both.
        let (result, details, usage) = unsafe {
            let result = libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                self.0.as_raw_fd(),
                details.as_mut_ptr(),
                libc::WEXITED | libc::WNOHANG,
                usage.as_mut_ptr(),
            );
            (result, details.assume_init(), usage.assume_init())
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: after a successful `waitid` the fields of SIGCHLD are those that are set.
        let (pid, status) = unsafe { (details.si_pid(), details.si_status()) };
        Ok(u32::try_from(pid)
            .ok()
            .filter(|pid| *pid != 0)
            .map(|pid| Reaped {
                pid,
                status: wait::status(details.si_code, status),
                usage: wait::usage(&usage),
            }))
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What is known of the use of a process that somebody else has reaped: nothing.
pub(crate) const NO_USAGE: Usage = Usage {
    user_micros: 0,
    system_micros: 0,
    memory_bytes_max: None,
};

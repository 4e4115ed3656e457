//! Starting programs without ever waiting for them.
//!
//! The child shares our memory (so no page tables are copied, however large we are) and runs beside
//! us (so that a hanging `execve` on a dead network mount hangs the child alone, PROTOCOL 21). It has
//! a stack of its own, makes only raw system calls, reads only the memory of its [`Spawning`], and
//! tells by a pipe which step failed; the end of the pipe says that it has let go of our memory.

mod arguments;
mod child;
pub(crate) mod setting;
mod stack;

use std::{
    io,
    mem::{ManuallyDrop, MaybeUninit},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use flota_model::outcome::StartStage;
use rustix::pipe::{PipeFlags, pipe_with};

use self::{arguments::Arguments, child::Plan, setting::Setting, stack::Stack};
use super::{clone, pidfd::PidFd};

/// Stacks kept for the next spawns. More are needed only when that many `execve` hang at once.
const STACKS_KEPT_MAX: usize = 16;
/// `struct clone_args` up to `tls`, and up to `cgroup` (`linux/sched.h`, `CLONE_ARGS_SIZE_VER0` and
/// `VER2`). The shorter one where it does, for older kernels.
const CLONE_ARGUMENTS_LENGTH: usize = 64;
const CLONE_ARGUMENTS_LENGTH_CGROUP: usize = 88;
/// `linux/sched.h`; not in `libc` for every target.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// Handlers do not reach the child (`linux/sched.h`; not in `libc` for every target).
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// What to start, and with which descriptors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    /// Program and arguments.
    pub(crate) argv: &'a [String],
    /// The whole environment; its PATH is searched for the program.
    pub(crate) environment: &'a [(String, String)],
    pub(crate) working_directory: &'a str,
    /// A path, opened by the child, because opening may hang; `null` where absent.
    pub(crate) stdin: Option<&'a str>,
    pub(crate) null: BorrowedFd<'a>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    /// Kill it when the calling THREAD ends (PROTOCOL 25).
    pub(crate) dies_with_us: bool,
    /// Soft and hard limit of open files to set, where ours are not the usual ones.
    pub(crate) open_files: Option<(u64, u64)>,
}

/// A step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) stage: StartStage,
    pub(crate) errno: i32,
}

/// How far a child has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is still on its way to the program.
    Underway,
    /// It executes the program (or was killed just before).
    Executed,
    /// A step failed; it is gone, or about to be.
    Failed(Fault),
}

/// Makes children, and keeps their stacks.
#[derive(Debug)]
pub(crate) struct Spawner {
    stacks: Vec<Stack>,
    /// Whether `clone3` works here: containers often forbid it, because its flags cannot be
    /// filtered by seccomp.
    clone3: bool,
}

/// A child between `clone` and the program.
#[derive(Debug)]
pub(crate) struct Spawning {
    pub(crate) pid: u32,
    pub(crate) pidfd: PidFd,
    /// Readable when the child has something to tell or has let go of our memory.
    report: OwnedFd,
    told: Option<Fault>,
    /// Leaked unless [`Spawner::settle`] finds that the child has let go of it.
    memory: ManuallyDrop<Memory>,
}

/// Everything that a child reads or writes.
#[derive(Debug)]
struct Memory {
    stack: Stack,
    _arguments: Arguments,
    _plan: Box<Plan>,
}

impl Spawner {
    pub(crate) fn new() -> Self {
        Self {
            stacks: Vec::new(),
            clone3: true,
        }
    }

    /// Uses the older `clone`, as where `clone3` is forbidden.
    #[cfg(test)]
    pub(crate) fn without_clone3() -> Self {
        Self {
            clone3: false,
            ..Self::new()
        }
    }

    /// Makes a child that is on its way to the program.
    pub(crate) fn spawn(&mut self, order: &Order<'_>, setting: Setting) -> Result<Spawning, Fault> {
        let arguments = Arguments::new(order).ok_or(Fault {
            stage: StartStage::Prepare,
            errno: libc::EINVAL,
        })?;
        let fault = |error: io::Error| Fault {
            stage: StartStage::Spawn,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        };
        let (report, write_end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .map_err(|error| fault(error.into()))?;
        let stack = match self.stacks.pop() {
            Some(stack) => stack,
            None => Stack::new().map_err(fault)?,
        };
        let mut plan = Box::new(Plan::new(order, setting, &arguments, write_end.as_raw_fd()));
        let (pid, pidfd) = self.clone(&stack, &mut plan).map_err(fault)?;
        let memory = ManuallyDrop::new(Memory {
            stack,
            _arguments: arguments,
            _plan: plan,
        });
        Ok(Spawning {
            pid,
            pidfd,
            report,
            told: None,
            memory,
        })
    }

    /// Takes back the memory of a child whose [`Spawning::progress`] has come to an end: the write
    /// end of the pipe is closed by `execve` after the change of address space, and by the end of a
    /// process after it has left its own.
    pub(crate) fn settle(&mut self, mut spawning: Spawning) -> PidFd {
        if spawning.progress() != Progress::Underway {
            let memory = ManuallyDrop::into_inner(spawning.memory);
            if self.stacks.len() < STACKS_KEPT_MAX {
                self.stacks.push(memory.stack);
            }
        }
        spawning.pidfd
    }

    /// Both ways fail alike where processes are exhausted, so a fall-back for good is only taken on
    /// the errors that say "not here".
    fn clone(&mut self, stack: &Stack, plan: &mut Plan) -> io::Result<(u32, PidFd)> {
        let before = block_signals();
        let mut result = if self.clone3 {
            clone3(stack, plan)
        } else {
            clone_old(stack, plan)
        };
        if self.clone3 && matches!(result, Err(libc::ENOSYS | libc::EPERM)) {
            result = clone_old(stack, plan);
            self.clone3 = result.is_err();
        }
        restore_signals(&before);
        let (pid, descriptor) = result.map_err(io::Error::from_raw_os_error)?;
        // SAFETY: the kernel just made this descriptor for us.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok((pid, PidFd::new(descriptor)))
    }
}

impl Spawning {
    /// For an epoll.
    pub(crate) fn report(&self) -> &OwnedFd {
        &self.report
    }

    /// How far the child has come; never waits.
    pub(crate) fn progress(&mut self) -> Progress {
        let mut bytes = [0; child::REPORT_LENGTH];
        loop {
            match rustix::io::read(&self.report, &mut bytes) {
                Ok(0) => return self.ended(),
                // Eight bytes are written at once, so they are read at once (`man 7 pipe`).
                Ok(_) => self.told = Some(child::decode_report(bytes)),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Progress::Underway,
            }
        }
    }

    fn ended(&self) -> Progress {
        self.told.map_or(Progress::Executed, Progress::Failed)
    }
}

/// Whether the child runs in our memory, as a flag.
fn sharing(plan: &Plan) -> i32 {
    if plan.setting().needs_own_memory() {
        0
    } else {
        libc::CLONE_VM
    }
}

/// On success the child's pid and pidfd; else `errno`.
fn clone3(stack: &Stack, plan: &mut Plan) -> Result<(u32, i32), i32> {
    let mut pidfd: i32 = -1;
    plan.reset_handlers = false;
    let group = plan.setting().membership.born_in;
    plan.is_born_there = group.is_some();
    let mut flags =
        u64::from((sharing(plan) | libc::CLONE_PIDFD).unsigned_abs()) | CLONE_CLEAR_SIGHAND;
    let mut length = CLONE_ARGUMENTS_LENGTH;
    if group.is_some() {
        flags |= CLONE_INTO_CGROUP;
        length = CLONE_ARGUMENTS_LENGTH_CGROUP;
    }
    let arguments: [u64; CLONE_ARGUMENTS_LENGTH_CGROUP / 8] = [
        flags,
        (&raw mut pidfd) as u64,
        0,
        0,
        libc::SIGCHLD as u64,
        stack.bottom() as u64,
        stack.length() as u64,
        0,
        0,
        0,
        group.map_or(0, i32::unsigned_abs).into(),
    ];
    // SAFETY: the arguments name a stack of the child's own and no shared thing that it changes;
    // the caller keeps stack and plan in a `Spawning`.
    let result = unsafe {
        clone::clone(
            libc::SYS_clone3,
            [(&raw const arguments) as usize, length, 0, 0, 0],
            child::enter,
            std::ptr::from_ref(plan).cast(),
        )
    };
    decode(result, pidfd)
}

/// The same by the older call, which takes fewer flags and is allowed everywhere.
fn clone_old(stack: &Stack, plan: &mut Plan) -> Result<(u32, i32), i32> {
    let mut pidfd: i32 = -1;
    plan.reset_handlers = true;
    plan.is_born_there = false;
    let flags = sharing(plan) | libc::CLONE_PIDFD | libc::SIGCHLD;
    let top = stack.bottom() + stack.length();
    // SAFETY: as above; the order of the last two arguments differs between machines, and both
    // are unused.
    let result = unsafe {
        clone::clone(
            libc::SYS_clone,
            [
                flags.unsigned_abs() as usize,
                top,
                (&raw mut pidfd) as usize,
                0,
                0,
            ],
            child::enter,
            std::ptr::from_ref(plan).cast(),
        )
    };
    decode(result, pidfd)
}

fn decode(result: libc::c_long, pidfd: i32) -> Result<(u32, i32), i32> {
    match u32::try_from(result) {
        Ok(pid) => Ok((pid, pidfd)),
        Err(_) => Err(i32::try_from(-result).unwrap_or(libc::EIO)),
    }
}

/// No handler of ours may run in a child that shares our memory, so signals are blocked from before
/// its birth until it has reset its handlers.
fn block_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the sets are initialised by the calls before they are read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the set comes from `block_signals`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}

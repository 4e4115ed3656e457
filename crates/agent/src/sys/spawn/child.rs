//! What a child does between `clone` and the program: raw system calls only.
//!
//! It must not allocate, panic, or touch thread-local storage (it has its parent's).

use std::{
    ffi::c_void,
    os::fd::{AsRawFd, RawFd},
    ptr,
};

use flota_model::{outcome::StartStage, policy::Rule};

use super::{Fault, Order, arguments::Arguments, setting::Setting};
use crate::sys::clone::call;

mod guard;
mod identity;

/// Stage and `errno`, four bytes each.
pub(super) const REPORT_LENGTH: usize = 8;
/// Bytes of a signal set of the kernel.
const SIGNAL_SET_LENGTH: usize = 8;
/// Bytes of the kernel's `struct sigaction`; all zero is the default action.
const SIGNAL_ACTION_WORDS: usize = 4;
const SIGNAL_MAX: usize = 64;
/// The relative order of [`StartStage::ALL`], which the report counts in.
const OPEN_STDIN: u32 = 1;
const OPEN_OUTPUT: u32 = 2;
const CHANGE_DIRECTORY: u32 = 3;
const PREPARE: u32 = 4;
const EXECUTE: u32 = 5;
const IDENTITY: u32 = 6;
const CONTAIN: u32 = 7;
const POLICY: u32 = 8;

/// What a child needs to know.
#[derive(Debug)]
pub(super) struct Plan {
    candidates: *const *const u8,
    argv: *const *const u8,
    envp: *const *const u8,
    working_directory: *const u8,
    /// Null: use `null_input`.
    stdin: *const u8,
    null_input: RawFd,
    stdout: RawFd,
    stderr: RawFd,
    report: RawFd,
    /// Where not 0: die when this parent does.
    parent: i32,
    /// Soft and hard; where present.
    open_files: Option<[u64; 2]>,
    setting: Setting,
    /// Whether our handlers were inherited.
    pub(super) reset_handlers: bool,
    /// Whether it is in its control group of version 2 from birth.
    pub(super) is_born_there: bool,
}

impl Plan {
    pub(super) fn new(
        order: &Order<'_>,
        setting: Setting,
        arguments: &Arguments,
        report: RawFd,
    ) -> Self {
        let parent = rustix::process::getpid().as_raw_nonzero().get();
        Self {
            candidates: arguments.candidates(),
            argv: arguments.argv(),
            envp: arguments.envp(),
            working_directory: arguments.working_directory(),
            stdin: arguments.stdin(),
            null_input: order.null.as_raw_fd(),
            stdout: order.stdout.as_raw_fd(),
            stderr: order.stderr.as_raw_fd(),
            report,
            parent: if order.dies_with_us { parent } else { 0 },
            open_files: order.open_files.map(|(soft, hard)| [soft, hard]),
            setting,
            reset_handlers: false,
            is_born_there: false,
        }
    }

    pub(super) fn setting(&self) -> &Setting {
        &self.setting
    }
}

pub(super) fn decode_report(bytes: [u8; REPORT_LENGTH]) -> Fault {
    let (stage, errno) = bytes.split_at(REPORT_LENGTH / 2);
    let number = |half: &[u8]| half.try_into().map_or(0, i32::from_ne_bytes);
    let stage = usize::try_from(number(stage))
        .ok()
        .and_then(|stage| StartStage::ALL.get(stage));
    Fault {
        stage: stage.copied().unwrap_or(StartStage::Spawn),
        errno: number(errno),
    }
}

/// The child's first and last function.
///
/// # Safety
/// `plan` must point to a [`Plan`] whose pointers are valid, and stay so until the program runs.
pub(super) unsafe extern "C" fn enter(plan: *const c_void) -> ! {
    // SAFETY: that is what the caller promises.
    unsafe {
        let plan = &*plan.cast::<Plan>();
        let (stage, errno) = run(plan);
        let report = [stage, errno];
        call(
            libc::SYS_write,
            [
                descriptor(plan.report),
                (&raw const report) as usize,
                REPORT_LENGTH,
                0,
                0,
            ],
        );
        loop {
            call(libc::SYS_exit_group, [127, 0, 0, 0, 0]);
        }
    }
}

/// Returns the stage and the `errno` of the step that failed.
unsafe fn run(plan: &Plan) -> (u32, u32) {
    // SAFETY: the pointers of the plan are valid.
    unsafe {
        call(libc::SYS_setsid, [0; 5]);
        // Before the descriptors of the groups are closed.
        if let Err(errno) = identity::join(&plan.setting.membership, plan.is_born_there) {
            return (CONTAIN, errno);
        }
        if let Err(errno) = prepare(plan) {
            return (PREPARE, errno);
        }
        if let Err(errno) = connect_output(plan) {
            return (OPEN_OUTPUT, errno);
        }
        // Before the steps that may hang, so that nothing of the parent's is held open by them.
        close_others(plan.report);
        if let Err(fault) = change(plan) {
            return fault;
        }
        // As the user: what that one may not read or enter, the program does not get.
        if let Err(errno) = connect_input(plan) {
            return (OPEN_STDIN, errno);
        }
        if let Err(errno) = checked(
            libc::SYS_chdir,
            [plan.working_directory as usize, 0, 0, 0, 0],
        ) {
            return (CHANGE_DIRECTORY, errno);
        }
        execute(plan)
    }
}

/// Limits, then the user, then what a change of user takes away.
unsafe fn change(plan: &Plan) -> Result<(), (u32, u32)> {
    // SAFETY: the pointers of the plan are valid.
    unsafe {
        identity::limit(&plan.setting).map_err(|errno| (PREPARE, errno))?;
        if let Some(account) = &plan.setting.identity {
            identity::become_user(account).map_err(|errno| (IDENTITY, errno))?;
            // The change of user has cleared it (`man 2 PR_SET_PDEATHSIG`).
            die_with_parent(plan).map_err(|errno| (PREPARE, errno))?;
        }
        if plan.setting.new_privileges {
            return Ok(());
        }
        let option = libc::PR_SET_NO_NEW_PRIVS as usize;
        checked(libc::SYS_prctl, [option, 1, 0, 0, 0]).map_err(|errno| (PREPARE, errno))
    }
}

/// Signals first, so that a child that hangs in a later step can be stopped.
unsafe fn prepare(plan: &Plan) -> Result<(), u32> {
    // SAFETY: the pointers are to locals of the right size, or null where that is allowed.
    unsafe {
        let action = [0_u64; SIGNAL_ACTION_WORDS];
        let mut signal = if plan.reset_handlers {
            1
        } else {
            SIGNAL_MAX + 1
        };
        while signal <= SIGNAL_MAX {
            let address = (&raw const action) as usize;
            call(
                libc::SYS_rt_sigaction,
                [signal, address, 0, SIGNAL_SET_LENGTH, 0],
            );
            signal = signal.wrapping_add(1);
        }
        die_with_parent(plan)?;
        if let Some(limits) = &plan.open_files {
            let address = ptr::from_ref(limits) as usize;
            let resource = libc::RLIMIT_NOFILE as usize;
            checked(libc::SYS_prlimit64, [0, resource, address, 0, 0])?;
        }
        let none = 0_u64;
        let how = libc::SIG_SETMASK as usize;
        let address = (&raw const none) as usize;
        checked(
            libc::SYS_rt_sigprocmask,
            [how, address, 0, SIGNAL_SET_LENGTH, 0],
        )
    }
}

unsafe fn die_with_parent(plan: &Plan) -> Result<(), u32> {
    if plan.parent == 0 {
        return Ok(());
    }
    // SAFETY: no pointers.
    unsafe {
        let (option, kill) = (libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize);
        checked(libc::SYS_prctl, [option, kill, 0, 0, 0])?;
        // The parent may have died before the call above.
        if call(libc::SYS_getppid, [0; 5]) != libc::c_long::from(plan.parent) {
            return Err(libc::ESRCH.unsigned_abs());
        }
    }
    Ok(())
}

/// Stdin was `null` until here.
unsafe fn connect_input(plan: &Plan) -> Result<(), u32> {
    // SAFETY: the path is null or ends with a zero byte.
    unsafe {
        if plan.stdin.is_null() {
            return Ok(());
        }
        let here = descriptor(libc::AT_FDCWD);
        let flags = (libc::O_RDONLY | libc::O_NOCTTY | libc::O_CLOEXEC) as usize;
        let opened = call(libc::SYS_openat, [here, plan.stdin as usize, flags, 0, 0]);
        if opened < 0 {
            return Err(errno(opened));
        }
        let opened = i32::try_from(opened).unwrap_or(-1);
        checked(libc::SYS_dup3, [descriptor(opened), 0, 0, 0, 0])
    }
}

unsafe fn connect_output(plan: &Plan) -> Result<(), u32> {
    // SAFETY: no pointers.
    unsafe {
        checked(libc::SYS_dup3, [descriptor(plan.null_input), 0, 0, 0, 0])?;
        checked(libc::SYS_dup3, [descriptor(plan.stdout), 1, 0, 0, 0])?;
        checked(libc::SYS_dup3, [descriptor(plan.stderr), 2, 0, 0, 0])
    }
}

/// Closes all but the standard three and the report. Now, not by close-on-exec: a child that hangs
/// later must not hold the parent's connections open. Old kernels and filters may refuse;
/// then close-on-exec has to do.
unsafe fn close_others(report: RawFd) {
    let report = descriptor(report);
    // SAFETY: no pointers.
    unsafe {
        call(libc::SYS_close_range, [3, report.wrapping_sub(1), 0, 0, 0]);
        call(
            libc::SYS_close_range,
            [report.wrapping_add(1), u32::MAX as usize, 0, 0, 0],
        );
    }
}

/// Tries the candidates as `execvp` does (`man 3 exec`), and returns the stage and the `errno` that
/// say most.
unsafe fn execute(plan: &Plan) -> (u32, u32) {
    let mut best = libc::ENOENT.unsigned_abs();
    let mut candidate = plan.candidates;
    // SAFETY: the tables end with null, and their strings with a zero byte.
    unsafe {
        while !(*candidate).is_null() {
            let errno = match try_one(plan, *candidate) {
                Ok(errno) => errno,
                Err(rule) => return (POLICY, rule.number().unsigned_abs()),
            };
            match i32::try_from(errno) {
                Ok(libc::EACCES) => best = libc::EACCES.unsigned_abs(),
                Ok(
                    libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ESTALE | libc::ETIMEDOUT,
                ) => {}
                _ => return (EXECUTE, errno),
            }
            candidate = candidate.wrapping_add(1);
        }
    }
    (EXECUTE, best)
}

/// Returns only where the file was not executed: `errno`, or the rule that forbids it.
unsafe fn try_one(plan: &Plan, path: *const u8) -> Result<u32, Rule> {
    // SAFETY: the path and the strings of the plan end with a zero byte.
    unsafe {
        if plan.setting.guards_files() {
            match guard::check(path, &plan.setting) {
                Ok(()) => {}
                Err(guard::Refusal::Unusable(errno)) => return Ok(errno),
                Err(guard::Refusal::Shell) => return Err(Rule::Shell),
                Err(guard::Refusal::Unlisted) => return Err(Rule::Programs),
            }
        }
        Ok(errno(call(
            libc::SYS_execve,
            [path as usize, plan.argv as usize, plan.envp as usize, 0, 0],
        )))
    }
}

unsafe fn checked(number: libc::c_long, arguments: [usize; 5]) -> Result<(), u32> {
    // SAFETY: the caller vouches for the call.
    let result = unsafe { call(number, arguments) };
    if result < 0 {
        Err(errno(result))
    } else {
        Ok(())
    }
}

/// Negative descriptors (`AT_FDCWD`) must keep their sign in the register.
#[expect(
    clippy::cast_sign_loss,
    reason = "the register's bits are what is meant"
)]
fn descriptor(descriptor: RawFd) -> usize {
    descriptor as isize as usize
}

#[expect(clippy::cast_possible_truncation, reason = "an errno is below 4096")]
fn errno(result: libc::c_long) -> u32 {
    result.unsigned_abs() as u32
}

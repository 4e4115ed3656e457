//! Raw system calls for the child of a `clone` that shares its parent's memory.
//!
//! Such a child must not touch thread-local storage, because it has the parent's: the wrappers of
//! libc write `errno` there. So its calls are made here, in assembly.

use std::{arch::asm, ffi::c_void};

/// What a child runs; it must never return.
pub(super) type Entry = unsafe extern "C" fn(*const c_void) -> !;

/// Makes a system call. Returns what the kernel returned: `-errno` on failure.
///
/// # Safety
/// As for the call itself.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn call(number: libc::c_long, arguments: [usize; 5]) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11; the caller vouches for the call.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes a system call. Returns what the kernel returned: `-errno` on failure.
///
/// # Safety
/// As for the call itself.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn call(number: libc::c_long, arguments: [usize; 5]) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the kernel keeps all registers but x0; the caller vouches for the call.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") arguments[0] as libc::c_long => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            options(nostack),
        );
    }
    result
}

/// Makes a `clone` or `clone3` call whose child runs `entry(plan)` on the stack that the arguments
/// name. Returns in the parent only: the child's pid, or `-errno`.
///
/// # Safety
/// The arguments must ask for a stack of its own, 16-byte aligned at its top, and not
/// for anything but memory to be shared. Stack and `plan` must stay as they
/// are until the child has executed a program or is gone.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn clone(
    number: libc::c_long,
    arguments: [usize; 5],
    entry: Entry,
    plan: *const c_void,
) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the child starts behind `syscall` with all registers but rax as they were and with
    // the new stack; it leaves this block only into `entry`, which does not return.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r12") plan,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Makes a `clone` or `clone3` call whose child runs `entry(plan)` on the stack that the arguments
/// name. Returns in the parent only: the child's pid, or `-errno`.
///
/// # Safety
/// The arguments must ask for a stack of its own, 16-byte aligned at its top, and not
/// for anything but memory to be shared. Stack and `plan` must stay as they
/// are until the child has executed a program or is gone.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn clone(
    number: libc::c_long,
    arguments: [usize; 5],
    entry: Entry,
    plan: *const c_void,
) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the child starts behind `svc` with all registers but x0 as they were and with the new
    // stack; it leaves this block only into `entry`, which does not return.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x9",
            "blr x10",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") arguments[0] as libc::c_long => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            in("x9") plan,
            in("x10") entry,
        );
    }
    result
}

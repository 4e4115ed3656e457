//! Limits, priorities, user and groups: raw system calls only, as everywhere in the child.

use std::{mem::MaybeUninit, ptr};

use super::{checked, descriptor, errno};
use crate::sys::{
    clone::call,
    spawn::setting::{Account, Membership, Setting},
};

const PROCESS: usize = 0;
/// `IOPRIO_WHO_PROCESS` (`man 2 ioprio_set`).
const IO_PROCESS: usize = 1;

/// Enters the control groups.
pub(super) unsafe fn join(membership: &Membership, is_born_there: bool) -> Result<(), u32> {
    // SAFETY: the text lives as long as the program.
    unsafe {
        if let Some(unified) = membership.unified
            && !is_born_there
        {
            join_one(unified)?;
        }
        for group in &membership.join {
            join_one(*group)?;
        }
    }
    Ok(())
}

/// `0` stands for the writer (`man 7 cgroups`).
unsafe fn join_one(procs: i32) -> Result<(), u32> {
    const SELF: &[u8] = b"0";
    // SAFETY: the text lives as long as the program.
    unsafe {
        checked(
            libc::SYS_write,
            [descriptor(procs), SELF.as_ptr() as usize, 1, 0, 0],
        )
    }
}

/// All that does not depend on the user, and may need the rights of ours.
pub(super) unsafe fn limit(setting: &Setting) -> Result<(), u32> {
    // SAFETY: the pointers are to parts of the setting.
    unsafe {
        if let Some(umask) = setting.umask {
            call(libc::SYS_umask, [umask as usize, 0, 0, 0, 0]);
        }
        for (resource, limits) in &setting.resource_limits {
            let address = ptr::from_ref(limits) as usize;
            checked(libc::SYS_prlimit64, [0, *resource as usize, address, 0, 0])?;
        }
        if let Some(nice) = setting.nice {
            checked(libc::SYS_setpriority, [PROCESS, 0, descriptor(nice), 0, 0])?;
        }
        if let Some(priority) = setting.io_priority {
            checked(
                libc::SYS_ioprio_set,
                [IO_PROCESS, 0, priority as usize, 0, 0],
            )?;
        }
        adjust(setting)
    }
}

unsafe fn adjust(setting: &Setting) -> Result<(), u32> {
    const FILE: &[u8] = b"/proc/self/oom_score_adj\0";
    let Some(adjust) = &setting.oom_score_adjust else {
        return Ok(());
    };
    let (bytes, length) = adjust.bytes();
    // SAFETY: the path ends with a zero byte, and the text is part of the setting.
    unsafe {
        let here = descriptor(libc::AT_FDCWD);
        let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
        let opened = call(
            libc::SYS_openat,
            [here, FILE.as_ptr() as usize, flags, 0, 0],
        );
        if opened < 0 {
            return Err(errno(opened));
        }
        let file = i32::try_from(opened).unwrap_or(-1);
        let written = checked(
            libc::SYS_write,
            [descriptor(file), bytes as usize, length, 0, 0],
        );
        call(libc::SYS_close, [descriptor(file), 0, 0, 0, 0]);
        written
    }
}

/// Becomes a user, and looks whether that is so: a start as somebody else must never happen.
pub(super) unsafe fn become_user(account: &Account) -> Result<(), u32> {
    let (user, group) = (account.user as usize, account.group as usize);
    // SAFETY: the pointers are to a part of the setting, and to locals of the right size.
    unsafe {
        if let Some(groups) = &account.groups {
            let list = groups.as_ptr() as usize;
            checked(libc::SYS_setgroups, [groups.len(), list, 0, 0, 0])?;
        }
        checked(libc::SYS_setresgid, [group, group, group, 0, 0])?;
        checked(libc::SYS_setresuid, [user, user, user, 0, 0])?;
        let is_as_wished = triple(libc::SYS_getresuid) == Some([account.user; 3])
            && triple(libc::SYS_getresgid) == Some([account.group; 3]);
        let is_in_groups = account.groups.as_ref().is_none_or(|groups| {
            usize::try_from(call(libc::SYS_getgroups, [0; 5])) == Ok(groups.len())
        });
        if is_as_wished && is_in_groups {
            Ok(())
        } else {
            Err(libc::EPERM.unsigned_abs())
        }
    }
}

/// Real, effective and saved.
unsafe fn triple(number: libc::c_long) -> Option<[u32; 3]> {
    let mut ids = MaybeUninit::<[u32; 3]>::zeroed();
    let first = ids.as_mut_ptr().cast::<u32>();
    // SAFETY: the three addresses are within the array, and zero is a number too.
    unsafe {
        let addresses = [
            first as usize,
            first.wrapping_add(1) as usize,
            first.wrapping_add(2) as usize,
            0,
            0,
        ];
        checked(number, addresses).ok()?;
        Some(ids.assume_init())
    }
}

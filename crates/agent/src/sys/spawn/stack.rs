//! Stacks for children.

use std::{io, ptr};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// The child needs some hundred bytes, in a debug build some thousand; pages that it does not touch
/// cost nothing.
const STACK_LENGTH: usize = 64 * 1024;
/// Largest page of the machines that we support.
const GUARD_LENGTH: usize = 64 * 1024;

/// A mapped stack with an unreadable guard below it.
#[derive(Debug)]
pub(super) struct Stack {
    guard: usize,
}

impl Stack {
    pub(super) fn new() -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let guard = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                GUARD_LENGTH + STACK_LENGTH,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )
        }?;
        let stack = Self {
            guard: guard as usize,
        };
        // SAFETY: the range is the first part of the mapping just made, which nobody uses yet.
        unsafe { mprotect(guard, GUARD_LENGTH, MprotectFlags::empty()) }?;
        Ok(stack)
    }

    /// The lowest usable address.
    pub(super) fn bottom(&self) -> usize {
        self.guard + GUARD_LENGTH
    }

    /// A multiple of 16, like the address, as stacks must be aligned.
    #[expect(
        clippy::unused_self,
        reason = "reads like the length of this stack, which it is"
    )]
    pub(super) fn length(&self) -> usize {
        STACK_LENGTH
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and `Spawning` keeps it while a child may use it. Failure
        // would only keep the memory.
        let _ = unsafe { munmap(self.guard as *mut _, GUARD_LENGTH + STACK_LENGTH) };
    }
}

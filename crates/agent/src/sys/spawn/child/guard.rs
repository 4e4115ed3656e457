//! Which files the child may execute, by the node's policy.

use flota_engine::policy::SHELLS;

use super::{descriptor, errno};
use crate::sys::{clone::call, spawn::setting::Setting};

/// `PATH_MAX` (`man 3 realpath`).
const PATH_LENGTH_MAX: usize = 4_096;
/// Digits of a descriptor.
const DIGITS_MAX: usize = 10;
const LINKS: &[u8] = b"/proc/self/fd/";

/// Why a file is not executed.
pub(super) enum Refusal {
    /// It cannot be looked at; `errno`.
    Unusable(u32),
    /// The policy forbids shells.
    Shell,
    /// The policy does not list it.
    Unlisted,
}

/// Looks at the file behind a path, whatever links lead to it.
pub(super) unsafe fn check(path: *const u8, setting: &Setting) -> Result<(), Refusal> {
    let mut target = [0_u8; PATH_LENGTH_MAX];
    // SAFETY: the path ends with a zero byte, as the caller promises; the buffer is of that length.
    let length = unsafe { resolve(path, &mut target) }.map_err(Refusal::Unusable)?;
    let file = target.get(..length).unwrap_or_default();
    if setting.no_shell && is_shell(file) {
        return Err(Refusal::Shell);
    }
    match &setting.programs {
        Some(programs) if !programs.iter().any(|program| is_listed(program, file)) => {
            Err(Refusal::Unlisted)
        }
        Some(_) | None => Ok(()),
    }
}

/// The kernel itself tells where a path leads: `O_PATH` follows all links and reads nothing.
unsafe fn resolve(path: *const u8, target: &mut [u8; PATH_LENGTH_MAX]) -> Result<usize, u32> {
    // SAFETY: see above.
    unsafe {
        let here = descriptor(libc::AT_FDCWD);
        let flags = (libc::O_PATH | libc::O_CLOEXEC) as usize;
        let opened = call(libc::SYS_openat, [here, path as usize, flags, 0, 0]);
        if opened < 0 {
            return Err(errno(opened));
        }
        let file = i32::try_from(opened).unwrap_or(-1);
        let link = link_of(file.unsigned_abs());
        let length = call(
            libc::SYS_readlinkat,
            [
                here,
                link.as_ptr() as usize,
                target.as_mut_ptr() as usize,
                PATH_LENGTH_MAX,
                0,
            ],
        );
        call(libc::SYS_close, [descriptor(file), 0, 0, 0, 0]);
        usize::try_from(length).map_err(|_| errno(length))
    }
}

/// `/proc/self/fd/N` and a zero byte.
fn link_of(file: u32) -> [u8; LINKS.len() + DIGITS_MAX + 1] {
    let mut link = [0; LINKS.len() + DIGITS_MAX + 1];
    for (to, from) in link.iter_mut().zip(LINKS) {
        *to = *from;
    }
    let mut divisor = 1_000_000_000;
    let mut place = LINKS.len();
    while divisor > 0 {
        let digit = file / divisor % 10;
        if place > LINKS.len() || digit > 0 || divisor == 1 {
            if let Some(to) = link.get_mut(place) {
                *to = b'0'.wrapping_add(digit.to_le_bytes()[0]);
            }
            place = place.wrapping_add(1);
        }
        divisor /= 10;
    }
    link
}

fn is_shell(file: &[u8]) -> bool {
    let name = file.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    SHELLS.iter().any(|shell| shell.as_bytes() == name)
}

fn is_listed(program: &[u8], file: &[u8]) -> bool {
    match program.strip_suffix(b"*") {
        Some(folder) if folder.ends_with(b"/") => file.starts_with(folder),
        Some(_) | None => program == file,
    }
}

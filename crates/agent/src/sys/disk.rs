//! A small disk for tests.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt as _, path::Path};

/// Mounts an empty file system of `bytes` at `path`, for the calling thread and those that it starts
/// from now on; gone when they have ended. Needs the right to mount.
pub(crate) fn mount_small(path: &Path, bytes: u64) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let options = CString::new(format!("size={bytes}"))?;
    let nothing = std::ptr::null();
    // SAFETY: the strings end with a zero byte and live until the calls return.
    let is_mounted = unsafe {
        let private = libc::MS_PRIVATE | libc::MS_REC;
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(nothing, c"/".as_ptr(), nothing, private, nothing.cast()) == 0
            && libc::mount(
                c"small".as_ptr(),
                path.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                options.as_ptr().cast(),
            ) == 0
    };
    if is_mounted {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

//! The code of this program in memory.

use std::{fs, io};

/// Lets go of the pages of our own code, which the kernel maps again, from the program's file, as they
/// are needed: whatever only a start needs is then not counted as ours for ever. Gives how many bytes
/// of addresses that were.
///
/// Only code: it is never written, so that what the file has is what was there. Constants that hold
/// addresses were written when the program was loaded, and stay.
pub(crate) fn release() -> io::Result<usize> {
    let own = fs::read_link("/proc/self/exe")?;
    let own = own.to_string_lossy().into_owned();
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut released = 0;
    for (start, length) in maps.lines().filter_map(|line| code_of(line, &own)) {
        // SAFETY: the range is a private mapping of our own file that may not be written, so that
        // nothing is in it but what the file has; a page that is touched again is read from there.
        let result = unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(start),
                length,
                libc::MADV_DONTNEED,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        released += length;
    }
    Ok(released)
}

/// Start and length of a mapping of `/proc/self/maps` that holds code of the file `own`.
fn code_of(line: &str, own: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    if !rest.starts_with("r-xp ") || !rest.ends_with(own) {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_let_go_runs_as_before() {
        let released = release().unwrap();
        assert!(released > 0);
        assert_eq!(release().unwrap(), released);
    }

    #[test]
    fn only_code_of_the_file_itself_is_let_go() {
        let own = "/bin/flota";
        let code = "55bb6015e000-55bb61286000 r-xp 004ef000 fe:00 10010738    /bin/flota";
        assert_eq!(code_of(code, own), Some((0x55bb_6015_e000, 0x0112_8000)));
        for other in [
            "55bb61286000-55bb61323000 r--p 01616000 fe:00 10010738    /bin/flota",
            "55bb61323000-55bb61324000 rw-p 01616000 fe:00 10010738    /bin/flota",
            "7f2d86108000-7f2d8625e000 r-xp 00026000 fe:00 326279    /usr/lib/libc.so.6",
            "7ffc04dc5000-7ffc04de6000 rw-p 00000000 00:00 0    [stack]",
            "nonsense",
        ] {
            assert_eq!(code_of(other, own), None, "{other}");
        }
    }
}

//! The line of `/proc/PID/stat` (`man 5 proc_pid_stat`), read where every byte counts.

/// `PF_KTHREAD` of field 9 (`linux/sched.h`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What a list needs of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a [u8],
    pub(super) state: u8,
    pub(super) parent: u32,
    /// Number of its session; 0 for threads of the kernel.
    pub(super) session: u32,
    pub(super) is_kernel: bool,
    /// User and system time, in clock ticks.
    pub(super) ticks: u64,
    pub(super) threads: u32,
    /// In clock ticks since the boot.
    pub(super) start_time: u64,
    /// In pages.
    pub(super) resident: u64,
}

/// The name of a program may hold blanks and brackets, so the fields start after the last bracket.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let name = line.get(open + 1..close)?;
    let mut fields = Fields(line.get(close + 1..)?);
    let state = *fields.nth(0)?.first()?;
    let parent = u32::try_from(number(fields.nth(0)?)?).ok()?;
    let session = u32::try_from(number(fields.nth(1)?)?).ok()?;
    let flags = number(fields.nth(2)?)?;
    let user = number(fields.nth(4)?)?;
    let system = number(fields.nth(0)?)?;
    let threads = u32::try_from(number(fields.nth(4)?)?).ok()?;
    let start_time = number(fields.nth(1)?)?;
    let resident = number(fields.nth(1)?)?;
    Some(Line {
        name,
        state,
        parent,
        session,
        is_kernel: flags & KERNEL_THREAD != 0,
        ticks: user.saturating_add(system),
        threads,
        start_time,
        resident,
    })
}

/// Words between single blanks.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The word after `skipped` others.
    fn nth(&mut self, skipped: usize) -> Option<&'a [u8]> {
        let mut word = self.next()?;
        for _ in 0..skipped {
            word = self.next()?;
        }
        Some(word)
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.strip_prefix(b" ")?;
        let end = rest.iter().position(|byte| *byte == b' ');
        let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.0 = rest;
        Some(word)
    }
}

fn number(word: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for byte in word {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(digit.into())?;
    }
    (!word.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let line =
            b"12 (a) b (c)) S 34 12 56 0 -1 2097152 1 2 3 4 50 6 7 8 20 0 9 0 987654 99 100 1\n";
        let expected = Line {
            name: b"a) b (c)",
            state: b'S',
            parent: 34,
            session: 56,
            is_kernel: true,
            ticks: 56,
            threads: 9,
            start_time: 987_654,
            resident: 100,
        };
        assert_eq!(parse(line), Some(expected));
    }

    #[test]
    fn a_line_that_is_cut_or_strange_is_no_line() {
        let line = b"12 (a) S 34 12 56 0 -1 0 1 2 3 4 50 6 7 8 20 0 9 0 987654 99 100";
        assert!(parse(line).is_some());
        for length in 0..line.len() - 3 {
            assert_eq!(parse(&line[..length]), None, "{length}");
        }
        assert_eq!(parse(b"12 )a( S 34"), None);
    }
}

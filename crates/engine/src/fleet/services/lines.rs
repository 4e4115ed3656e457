//! How much the server keeps of what replicas wrote last.

use flota_model::replica::LastLines;

/// Most bytes of last lines that are kept, of all replicas together: those of 1,024 with as much as an
/// agent sends of each. What comes beyond is not kept; the node has it in the logs.
pub(crate) const LINES_HELD_MAX: usize = 16 << 20;

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct LinesHeld {
    bytes: usize,
}

impl LinesHeld {
    /// The lines, if there is room for them.
    pub(crate) fn hold(&mut self, lines: Option<LastLines>) -> Option<LastLines> {
        let lines = lines?;
        let bytes = self.bytes + size(&lines);
        (bytes <= LINES_HELD_MAX).then(|| {
            self.bytes = bytes;
            lines
        })
    }

    /// Lines that were kept are gone.
    pub(crate) fn release(&mut self, lines: Option<&LastLines>) {
        self.bytes -= lines.map_or(0, size);
    }
}

fn size(lines: &LastLines) -> usize {
    lines.stdout.len() + lines.stderr.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_not_kept_until_others_are_gone() {
        let lines = |length: usize| LastLines {
            run: 1,
            stdout: "x".repeat(length / 2),
            stderr: "y".repeat(length - length / 2),
        };
        let mut held = LinesHeld::default();
        assert!(held.hold(Some(lines(LINES_HELD_MAX - 10))).is_some());
        assert!(held.hold(Some(lines(11))).is_none());
        assert!(held.hold(Some(lines(10))).is_some());
        assert_eq!(held.bytes, LINES_HELD_MAX);
        assert!(held.hold(Some(lines(1))).is_none());
        assert_eq!(held.hold(None), None);
        held.release(Some(&lines(10)));
        held.release(None);
        assert!(held.hold(Some(lines(9))).is_some());
    }
}

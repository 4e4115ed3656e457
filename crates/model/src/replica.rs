//! What is told of a replica that is not well: why its probe fails, and what it wrote last.

use crate::{service::Purpose, units::Timestamp};

/// Most lines of each stream of [`LastLines`].
pub const LAST_LINES_MAX: u32 = 50;
/// Most bytes of each stream of [`LastLines`]: a fleet keeps them for many replicas.
pub const LAST_LINES_LENGTH_MAX: usize = 8 << 10;

/// What a run wrote last: for the person who looks at a crash loop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastLines {
    /// Which run.
    pub run: u32,
    /// At most [`LAST_LINES_MAX`] lines and [`LAST_LINES_LENGTH_MAX`] bytes.
    pub stdout: String,
    /// See `stdout`.
    pub stderr: String,
}

impl LastLines {
    /// Whether it wrote nothing.
    pub fn is_empty(&self) -> bool {
        self.stdout.is_empty() && self.stderr.is_empty()
    }

    /// The end of a text, within the limits. What is no UTF-8 is replaced.
    pub fn end_of(bytes: &[u8]) -> String {
        let from = bytes.len().saturating_sub(LAST_LINES_LENGTH_MAX);
        let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default());
        // A replacement is longer than what it replaces.
        let from = text.len().saturating_sub(LAST_LINES_LENGTH_MAX);
        let text = text
            .get(text.ceil_char_boundary(from)..)
            .unwrap_or_default();
        let body = text.strip_suffix('\n').unwrap_or(text);
        let before = body.rmatch_indices('\n').nth(LAST_LINES_MAX as usize - 1);
        let from = before.map_or(0, |(at, _)| at + 1);
        text.get(from..).unwrap_or_default().to_owned()
    }
}

/// Longest [`ProbeFailure::detail`], in bytes.
pub const PROBE_DETAIL_LENGTH_MAX: usize = 1_024;

/// The probe of a replica that failed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFailure {
    /// Which, by position in the spec.
    pub probe: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// Why it failed; at most [`PROBE_DETAIL_LENGTH_MAX`] bytes.
    pub detail: String,
    /// Since when it fails for this reason, by the clock of the node.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_has_its_last_lines_within_the_limits() {
        assert_eq!(LastLines::end_of(b""), "");
        assert_eq!(LastLines::end_of(b"one\ntwo"), "one\ntwo");
        let numbers = |range: std::ops::RangeInclusive<u32>| -> String {
            let lines: Vec<String> = range.map(|number| number.to_string()).collect();
            lines.join("\n") + "\n"
        };
        let end = LastLines::end_of(numbers(1..=60).as_bytes());
        assert_eq!(end, numbers(11..=60));
        let long = "x".repeat(LAST_LINES_LENGTH_MAX + 1);
        assert_eq!(
            LastLines::end_of(long.as_bytes()).len(),
            LAST_LINES_LENGTH_MAX
        );
        // Each byte that is no text becomes three.
        let torn = LastLines::end_of(&vec![0xff; LAST_LINES_LENGTH_MAX]);
        assert!(torn.len() <= LAST_LINES_LENGTH_MAX && torn.len() > LAST_LINES_LENGTH_MAX - 3);
    }
}

//! What happened, as a digest always and as text when asked for.

use std::collections::VecDeque;

use crate::time::Time;

/// The digest of everything that happened. Two runs of one seed must agree in it.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    digest: u128,
    lines: VecDeque<String>,
    lines_max: usize,
}

impl Trace {
    pub(crate) fn new(lines_max: usize) -> Self {
        Self {
            digest: 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d,
            lines: VecDeque::new(),
            lines_max,
        }
    }

    /// Folds words into the digest (FNV-1a over 64-bit words, with a rotation for the high bits).
    pub(crate) fn fold(&mut self, words: &[u64]) {
        for word in words {
            self.digest ^= u128::from(*word);
            self.digest = self
                .digest
                .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
            self.digest = self.digest.rotate_left(41);
        }
    }

    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        let mut word = [0_u8; 8];
        for part in bytes.chunks(8) {
            word.fill(0);
            word[..part.len()].copy_from_slice(part);
            self.fold(&[u64::from_le_bytes(word)]);
        }
        self.fold(&[bytes.len() as u64]);
    }

    /// Keeps a line if anybody will read it.
    pub(crate) fn line(&mut self, at: Time, text: impl FnOnce() -> String) {
        if self.lines_max == 0 {
            return;
        }
        if self.lines.len() == self.lines_max {
            self.lines.pop_front();
        }
        let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
        self.lines
            .push_back(format!("{seconds:>5}.{micros:06} {}", text()));
    }

    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

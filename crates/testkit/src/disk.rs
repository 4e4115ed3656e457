//! A file on a disk that may lose power, be damaged or be full.

use crate::random::Random;

/// What a disk writes at once or not at all.
pub(crate) const SECTOR: usize = 512;

/// The disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// One append-only file. The death of a process leaves all its bytes; a power cut leaves the synced
/// ones, and of the others what chance has written out.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByteDisk {
    bytes: Vec<u8>,
    synced: usize,
    /// Whether appends fail.
    pub(crate) full: bool,
}

impl ByteDisk {
    /// What a reader sees now.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length of what a power cut would leave.
    pub(crate) fn synced(&self) -> usize {
        self.synced
    }

    /// Adds bytes to the page cache.
    ///
    /// # Errors
    ///
    /// Nothing was written if the disk is full.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.full {
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// A sync that began when the file had `length` bytes has returned.
    pub(crate) fn sync(&mut self, length: usize) {
        self.synced = self.synced.max(length.min(self.bytes.len()));
    }

    /// Puts a synced file of these bytes in the place of this one, atomically.
    ///
    /// # Errors
    ///
    /// The old file stays if the disk is full.
    pub(crate) fn replace(&mut self, bytes: Vec<u8>) -> Result<(), Full> {
        if self.full {
            return Err(Full);
        }
        self.synced = bytes.len();
        self.bytes = bytes;
        Ok(())
    }

    /// Cuts the file to its valid part, as recovery asks.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.synced = self.synced.min(length);
    }

    /// The power fails: of the unsynced tail a random prefix of sectors is there. The last sector
    /// may be torn, and the file may be longer than what was written of it (the length is stored
    /// apart): then the rest is zeros.
    pub(crate) fn power_cut(&mut self, random: &mut Random) {
        let length = self.bytes.len();
        let tail = length - self.synced;
        let mut kept = self.synced + random.index(tail + 1);
        if random.chance(700) {
            kept = (kept / SECTOR * SECTOR).max(self.synced);
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(kept);
        if kept < length && random.chance(200) {
            bytes.resize(kept + random.index(length - kept + 1), 0);
        }
        if bytes.len() > self.synced && random.chance(100) {
            let torn = self.synced.max(bytes.len().saturating_sub(SECTOR));
            for byte in &mut bytes[torn..] {
                *byte ^= u8::try_from(random.below(256)).unwrap_or(1);
            }
        }
        self.synced = bytes.len();
        self.bytes = bytes;
    }

    /// Destroys one sector of what was synced. Returns whether there was one.
    pub(crate) fn damage(&mut self, random: &mut Random) -> bool {
        if self.synced == 0 {
            return false;
        }
        let at = random.index(self.synced) / SECTOR * SECTOR;
        let end = (at + SECTOR).min(self.synced);
        for byte in &mut self.bytes[at..end] {
            *byte ^= 0x5a;
        }
        true
    }
}

//! What edges keep with the fleet by name: templates of jobs, and how far a watched file was read.

use std::sync::Arc;

use crate::units::Timestamp;

/// Most notes of each kind.
pub const NOTES_MAX: usize = 1_000;
/// Most bytes of one note.
pub const NOTE_LENGTH_MAX: usize = 8 << 20;
/// Most bytes of all notes: they are kept in memory.
pub const NOTES_LENGTH_ALL_MAX: u64 = 64 << 20;
/// Longest name of a note, in bytes: that of a path.
pub const NOTE_NAME_LENGTH_MAX: usize = 4_096;
/// Most jobs that come of one write.
pub const JOBS_OF_NOTE_MAX: usize = 64;

/// What a note is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// A spec with placeholders that a submission fills in.
    Template,
    /// A file or folder whose new lines become tasks.
    Watch,
}

impl NoteKind {
    /// The word of the API and the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Watch => "watch",
        }
    }
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteRecord {
    /// What it is for.
    pub kind: NoteKind,
    /// Unique among those of its kind.
    pub name: String,
    /// Counts its writes, from 1.
    pub revision: u64,
    /// Who wrote it first.
    pub principal: String,
    /// When it was written last.
    pub changed_at: Timestamp,
    /// Opaque to fleet and store.
    pub bytes: Arc<[u8]>,
}

//! What differs between the tasks of a job besides their index.
//!
//! A sweep is a rule: the values of a task follow from its index, and nothing is ever made for all
//! tasks together. Rows are data: one block of bytes for the whole job, apart from its spec, of which
//! an agent gets those of the tasks that it was granted.

use std::sync::Arc;

/// Most axes of a sweep and most columns of rows; a spec has no more entries of anything.
pub const COLUMNS_MAX: usize = 64;
/// Most bytes of the rows of one job: so much fits into one body and into the memory of a small
/// server.
pub const ROWS_LENGTH_MAX: usize = 64 << 20;
/// Most bytes of the rows of all live jobs together.
pub const ROWS_LENGTH_ALL_MAX: u64 = 256 << 20;
/// Most bytes of one row: a program gets no more arguments anyway.
pub const ROW_LENGTH_MAX: usize = 64 << 10;
/// Most bytes of the rows of one grant, so that frames and records of journals stay small; one row
/// always fits.
pub const ROWS_OF_GRANT_MAX: usize = 128 << 10;

/// Rows between two marks.
const STRIDE: u32 = 64;

/// The SHA-256 of the bytes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowsHash(pub [u8; 32]);

/// Where the values of a task come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameters {
    /// Every combination of the values of these axes, the last one changing fastest.
    Sweep(Vec<Axis>),
    /// One row for each task, in their order.
    Rows(RowsSpec),
}

/// A name and the values that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// What a template calls it.
    pub name: String,
    /// Not empty.
    pub values: Vec<String>,
}

/// What the spec says of rows, whose bytes are apart from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsSpec {
    /// What templates call the values of a row, in order; not empty.
    pub columns: Vec<String>,
    /// Of the bytes that came with the spec.
    pub hash: RowsHash,
    /// How many rows came with the spec.
    pub count: u32,
}

impl Parameters {
    /// What templates may call them, in order.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Sweep(axes) => axes.iter().map(|axis| &*axis.name).collect(),
            Self::Rows(rows) => rows.columns.iter().map(String::as_str).collect(),
        }
    }

    /// How many tasks they are for; `None` where that is more than any job has.
    pub fn count(&self) -> Option<u32> {
        match self {
            Self::Rows(rows) => Some(rows.count),
            Self::Sweep(axes) => axes.iter().try_fold(1_u32, |count, axis| {
                count.checked_mul(u32::try_from(axis.values.len()).ok()?)
            }),
        }
    }
}

/// The values of the combination at `offset`, from 0, in the order of the axes.
pub fn combination(axes: &[Axis], offset: u32) -> Vec<&str> {
    let mut left = offset as usize;
    let mut values: Vec<&str> = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        let length = axis.values.len().max(1);
        values.push(axis.values.get(left % length).map_or("", String::as_str));
        left /= length;
    }
    values.reverse();
    values
}

/// Rows of values, of some tasks in a row. Cheap to clone and to cut.
///
/// In the bytes a NUL ends each value, and nothing separates rows: no program can receive a NUL.
#[derive(Clone)]
pub struct Rows {
    bytes: Arc<[u8]>,
    /// Where every 64th row begins.
    marks: Arc<[u32]>,
    columns: u32,
    first: u32,
    count: u32,
}

/// Why bytes are no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsFault {
    /// More bytes than [`ROWS_LENGTH_MAX`].
    TooLong,
    /// A row, from 0, with more bytes than [`ROW_LENGTH_MAX`].
    RowTooLong(u32),
    /// The bytes end within a row, or there are no columns.
    Torn,
    /// A row, from 0, that is no UTF-8.
    Encoding(u32),
}

impl Rows {
    /// Reads rows of `columns` values each.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(bytes: Arc<[u8]>, columns: usize) -> Result<Self, RowsFault> {
        if bytes.len() > ROWS_LENGTH_MAX {
            return Err(RowsFault::TooLong);
        }
        let columns = u32::try_from(columns).map_err(|_| RowsFault::Torn)?;
        let invalid = std::str::from_utf8(&bytes)
            .err()
            .map_or(usize::MAX, |fault| fault.valid_up_to());
        let (mut marks, mut start, mut values, mut count) = (Vec::new(), 0, 0, 0_u32);
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0);
        for (end, _) in ends {
            values += 1;
            if values < columns {
                continue;
            }
            if end + 1 - start > ROW_LENGTH_MAX {
                return Err(RowsFault::RowTooLong(count));
            }
            if invalid <= end {
                return Err(RowsFault::Encoding(count));
            }
            if count.is_multiple_of(STRIDE) {
                marks.push(u32::try_from(start).map_err(|_| RowsFault::TooLong)?);
            }
            (start, values, count) = (end + 1, 0, count + 1);
        }
        if columns == 0 || start != bytes.len() {
            return Err(RowsFault::Torn);
        }
        Ok(Self {
            bytes,
            marks: marks.into(),
            columns,
            first: 0,
            count,
        })
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Values of each.
    pub fn columns(&self) -> usize {
        self.columns as usize
    }

    /// `count` of them from `first` on; fewer where there are fewer.
    #[must_use]
    pub fn part(&self, first: u32, count: u32) -> Self {
        let first = first.min(self.count);
        Self {
            first: self.first + first,
            count: count.min(self.count - first),
            ..self.clone()
        }
    }

    /// Their bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start(self.first)..self.start(self.first + self.count)]
    }

    /// Bytes that are kept alive for them.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The values of one, from 0.
    pub fn get(&self, row: u32) -> Option<Vec<&str>> {
        if row >= self.count {
            return None;
        }
        let bytes = &self.bytes[self.start(self.first + row)..];
        let values = bytes.split(|byte| *byte == 0).take(self.columns());
        values
            .map(|value| std::str::from_utf8(value).ok())
            .collect()
    }

    /// How many from `first` on, and at most `most`, have together at most `bytes_max` bytes; at least
    /// 1 where there is one.
    pub fn that_fit(&self, first: u32, most: u32, bytes_max: usize) -> u32 {
        let most = most.min(self.count.saturating_sub(first));
        let start = self.start(self.first + first);
        let (mut at, mut fit) = (start, 0);
        while fit < most {
            at = self.behind(at);
            if at - start > bytes_max && fit > 0 {
                break;
            }
            fit += 1;
        }
        fit
    }

    /// Where a row of the whole begins.
    fn start(&self, row: u32) -> usize {
        let Some(mark) = self.marks.get((row / STRIDE) as usize) else {
            return self.bytes.len();
        };
        (0..row % STRIDE).fold(*mark as usize, |at, _| self.behind(at))
    }

    /// Where the row behind the one at `at` begins.
    fn behind(&self, at: usize) -> usize {
        let ends = self.bytes[at..].iter().zip(at + 1..);
        let mut ends = ends.filter(|(byte, _)| **byte == 0);
        ends.nth(self.columns().saturating_sub(1))
            .map_or(self.bytes.len(), |(_, behind)| behind)
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns && self.count == other.count && self.bytes() == other.bytes()
    }
}

impl Eq for Rows {}

impl std::fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Rows")
            .field("columns", &self.columns)
            .field("count", &self.count)
            .field("bytes", &self.bytes().escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// Gathers rows, one after the other.
#[derive(Debug, Default)]
pub struct RowsWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl RowsWriter {
    /// Appends one. Values have no NUL: that is for the caller to see to, as it knows where they come
    /// from.
    pub fn push<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) {
        for value in values {
            self.bytes.extend_from_slice(value.as_bytes());
            self.bytes.push(0);
        }
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Their bytes so far.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of all.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests;

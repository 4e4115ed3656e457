//! What is wrong with a spec, all of it together.

use std::fmt;

use crate::rest;

/// Most faults that are listed; a body of a million wrong fields gets a short answer.
pub(super) const FAULTS_MAX: usize = 64;

/// Longest name or value that a message repeats, in characters.
const QUOTE_LENGTH_MAX: usize = 40;

/// One fault of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFault {
    /// Path of the field, e.g. `program.argv[0]`; empty where it is the whole text.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do, where that is not plain.
    pub hint: Option<String>,
}

impl fmt::Display for SpecFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(formatter, "{}: ", self.field)?;
        }
        formatter.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(formatter, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All faults of a spec; at least one, at most 65.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFaults {
    /// In the order of the form.
    pub list: Vec<SpecFault>,
}

impl fmt::Display for SpecFaults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecFaults {}

impl From<SpecFaults> for Vec<rest::Fault> {
    fn from(faults: SpecFaults) -> Self {
        let convert = |fault: SpecFault| rest::Fault {
            field: fault.field,
            what: fault.what,
            hint: fault.hint,
        };
        faults.list.into_iter().map(convert).collect()
    }
}

/// Faults being collected.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<SpecFault>,
    left_out: usize,
}

impl Faults {
    /// Adds a fault, unless the field or a table around it has one already: that is the cause.
    pub(super) fn add(&mut self, field: &str, what: impl Into<String>) {
        self.push(SpecFault {
            field: field.to_owned(),
            what: what.into(),
            hint: None,
        });
    }

    /// As [`Self::add`], with what to do about it.
    pub(super) fn add_with_hint(
        &mut self,
        field: &str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let (what, hint) = (what.into(), Some(hint.into()));
        self.push(SpecFault {
            field: field.to_owned(),
            what,
            hint,
        });
    }

    /// Adds all of `others`, with the paths that `place` makes of theirs.
    pub(super) fn adopt(&mut self, others: Self, place: impl Fn(&str) -> String) {
        for fault in others.list {
            let field = place(&fault.field);
            self.push(SpecFault { field, ..fault });
        }
        self.left_out += others.left_out;
    }

    fn push(&mut self, fault: SpecFault) {
        if self
            .list
            .iter()
            .any(|other| covers(&other.field, &fault.field))
        {
            return;
        }
        if self.list.len() < FAULTS_MAX {
            self.list.push(fault);
        } else {
            self.left_out += 1;
        }
    }

    /// `value` if there was none.
    pub(super) fn or<T>(self, value: T) -> Result<T, SpecFaults> {
        let Self { mut list, left_out } = self;
        if list.is_empty() {
            return Ok(value);
        }
        if left_out > 0 {
            let what = format!("{left_out} more faults are not listed");
            list.push(SpecFault {
                field: String::new(),
                what,
                hint: None,
            });
        }
        Err(SpecFaults { list })
    }
}

/// Whether `inner` is `outer` or a part of it.
fn covers(outer: &str, inner: &str) -> bool {
    outer.is_empty()
        || inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A fault of the whole text.
pub(super) fn of_text(what: impl Into<String>) -> SpecFaults {
    SpecFaults {
        list: vec![SpecFault {
            field: String::new(),
            what: what.into(),
            hint: None,
        }],
    }
}

/// `text` in backticks, short and on one line whatever was given.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(QUOTE_LENGTH_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(QUOTE_LENGTH_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The one of `known` that was probably meant: at most two letters differ, and not half of them.
pub(super) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (distance(text, name), *name))
        .filter(|(distance, name)| *distance <= 2 && distance * 2 < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Letters to change, add, drop or swap with their neighbour (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX / 4;
    }
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    rows[0] = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        rows[row + 1][0] = row + 1;
        for (column, other) in right.iter().enumerate() {
            let changed = rows[row][column] + usize::from(letter != other);
            let mut best = changed
                .min(rows[row][column + 1] + 1)
                .min(rows[row + 1][column] + 1);
            if row > 0 && column > 0 && left[row - 1] == *other && *letter == right[column - 1] {
                best = best.min(rows[row - 1][column - 1] + 1);
            }
            rows[row + 1][column + 1] = best;
        }
    }
    rows[left.len()][right.len()]
}

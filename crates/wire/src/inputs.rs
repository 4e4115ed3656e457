//! Rows of parameters out of texts that people have: lines, CSV with a header, lines of JSON.
//!
//! Everything or nothing: a text with one bad line gives no rows, and says which line and why. Files that
//! are followed are read line by line instead ([`csv_record`], [`json_record`]).

use std::collections::BTreeMap;

use flota_model::{
    parameters::{ROW_LENGTH_MAX, ROWS_LENGTH_MAX, RowsWriter},
    spec::TASKS_PER_JOB_MAX,
};

use crate::spec::scalars_of_json;

pub mod cluster;
#[cfg(test)]
mod tests;

/// Most bytes of a text: rows of the longest allowed length with quotes and names around the values.
pub const INPUT_LENGTH_MAX: usize = 256 << 20;
/// The one column of plain lines.
pub const LINE_COLUMN: &str = "line";

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFormat {
    /// One value a line, called `line`.
    Lines,
    /// RFC 4180; the first line names the columns.
    Csv,
    /// An object a line, all with the same names.
    JsonLines,
}

/// Rows of values with the names of their columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// In their order.
    pub columns: Vec<String>,
    /// As [`flota_model::parameters::Rows`] has them.
    pub rows: Vec<u8>,
    /// How many rows.
    pub count: u32,
}

/// Why a text gives no rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct InputFault {
    /// From 1.
    pub line: u64,
    /// What is wrong there.
    pub what: String,
}

impl InputFault {
    fn new(line: u64, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }
}

/// Reads a whole text.
///
/// # Errors
/// The first fault, with its line.
pub fn read(text: &[u8], format: InputFormat) -> Result<Table, InputFault> {
    read_at_most(text, format, TASKS_PER_JOB_MAX)
}

fn read_at_most(text: &[u8], format: InputFormat, most: u32) -> Result<Table, InputFault> {
    let text = std::str::from_utf8(text).map_err(|fault| {
        let before = &text[..fault.valid_up_to()];
        InputFault::new(lines_before(before) + 1, "no UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        InputFormat::Lines => lines(text, most),
        InputFormat::Csv => csv(text, most),
        InputFormat::JsonLines => json_lines(text, most),
    }
}

fn lines_before(text: &[u8]) -> u64 {
    text.split(|byte| *byte == b'\n').skip(1).count() as u64
}

/// Gathers rows within the limits of a job.
struct Gatherer {
    /// Most rows.
    most: u32,
    writer: RowsWriter,
}

impl Gatherer {
    fn push<'a>(
        &mut self,
        line: u64,
        values: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), InputFault> {
        if self.writer.count() == self.most {
            let what = format!("a job has at most {} tasks", self.most);
            return Err(InputFault::new(line, what));
        }
        let length: usize = values.clone().map(|value| value.len() + 1).sum();
        if length > ROW_LENGTH_MAX {
            let what = format!("{length} bytes, at most {ROW_LENGTH_MAX}");
            return Err(InputFault::new(line, what));
        }
        if self.writer.length() + length > ROWS_LENGTH_MAX {
            let what = format!("more than {ROWS_LENGTH_MAX} bytes of values up to here");
            return Err(InputFault::new(line, what));
        }
        if values.clone().any(|value| value.contains('\0')) {
            return Err(InputFault::new(line, "has a NUL byte"));
        }
        self.writer.push(values);
        Ok(())
    }

    fn table(self, columns: Vec<String>) -> Result<Table, InputFault> {
        let count = self.writer.count();
        if count == 0 {
            return Err(InputFault::new(1, "there is no row"));
        }
        Ok(Table {
            columns,
            rows: self.writer.finish(),
            count,
        })
    }
}

fn gatherer(most: u32) -> Gatherer {
    Gatherer {
        most,
        writer: RowsWriter::default(),
    }
}

/// An empty line is an empty value: so the index of a task is the number of its line.
fn lines(text: &str, most: u32) -> Result<Table, InputFault> {
    let mut rows = gatherer(most);
    for (number, line) in (1..).zip(text.lines()) {
        rows.push(number, std::iter::once(line))?;
    }
    rows.table(vec![LINE_COLUMN.to_owned()])
}

fn csv(text: &str, most: u32) -> Result<Table, InputFault> {
    let mut rows = gatherer(most);
    let mut columns: Option<Vec<String>> = None;
    let (mut rest, mut number) = (text, 1_u64);
    while !rest.is_empty() {
        let (record, length) = record(rest).map_err(|what| InputFault::new(number, what))?;
        let (taken, behind) = rest.split_at(length);
        if !taken.trim_end_matches(['\r', '\n']).is_empty() {
            match &columns {
                None => columns = Some(record.iter().map(|name| name.trim().to_owned()).collect()),
                Some(header) if header.len() != record.len() => {
                    let (found, expected) = (record.len(), header.len());
                    let what = format!("{found} columns, but the header has {expected}");
                    return Err(InputFault::new(number, what));
                }
                Some(_) => rows.push(number, record.iter().map(String::as_str))?,
            }
        }
        number += lines_before(taken.as_bytes());
        rest = behind;
    }
    let columns = columns.ok_or_else(|| InputFault::new(1, "there is no header"))?;
    rows.table(columns)
}

/// The values of a line of CSV without its end.
///
/// # Errors
/// What is wrong with it.
pub fn csv_record(line: &str) -> Result<Vec<String>, String> {
    let (values, length) = record(line)?;
    if line[length..].is_empty() {
        Ok(values)
    } else {
        Err("has the end of a line within".to_owned())
    }
}

/// The values of the first record, and how many bytes it takes with the end of its line.
fn record(text: &str) -> Result<(Vec<String>, usize), String> {
    let mut values = Vec::new();
    let mut at = 0;
    loop {
        let (value, length) = value(&text[at..])?;
        values.push(value);
        at += length;
        let rest = &text[at..];
        if rest.starts_with(',') {
            at += 1;
            continue;
        }
        let end = ["\r\n", "\n", ""]
            .iter()
            .find(|end| rest.starts_with(**end));
        return match end {
            Some(&"") if !rest.is_empty() => Err("a quote ends within a value".to_owned()),
            Some(end) => Ok((values, at + end.len())),
            None => Ok((values, at)),
        };
    }
}

/// The first value, and how many bytes it takes.
fn value(text: &str) -> Result<(String, usize), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let value = &text[..end];
        let is_last = text[end..].starts_with('\n');
        let value = if is_last {
            value.strip_suffix('\r').unwrap_or(value)
        } else {
            value
        };
        if value.contains('"') {
            return Err("a quote stands within a value that has none around it".to_owned());
        }
        return Ok((value.to_owned(), value.len()));
    };
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let Some((before, behind)) = rest.split_once('"') else {
            return Err("a quote is not closed".to_owned());
        };
        value.push_str(before);
        match behind.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Ok((value, text.len() - behind.len())),
        }
    }
}

fn json_lines(text: &str, most: u32) -> Result<Table, InputFault> {
    let mut rows = gatherer(most);
    let mut columns: Option<Vec<String>> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let fields = json_record(line).map_err(|what| InputFault::new(number, what))?;
        let known = columns.get_or_insert_with(|| fields.keys().cloned().collect());
        if !fields.keys().eq(known.iter()) {
            let names = |names: Vec<&str>| names.join(", ");
            let what = format!(
                "has the names {}, but the first line has {}",
                names(fields.keys().map(String::as_str).collect()),
                names(known.iter().map(String::as_str).collect())
            );
            return Err(InputFault::new(number, what));
        }
        rows.push(number, fields.values().map(String::as_str))?;
    }
    let columns = columns.ok_or_else(|| InputFault::new(1, "there is no row"))?;
    rows.table(columns)
}

/// The names and values of a line of JSON.
///
/// # Errors
/// What is wrong with it.
pub fn json_record(line: &str) -> Result<BTreeMap<String, String>, String> {
    let fields = scalars_of_json(line)?;
    if fields.is_empty() {
        return Err("an object without names".to_owned());
    }
    Ok(fields)
}

//! Files of which each line or row is a task.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

use clap::ArgMatches;
use flota_model::parameters::{Parameters, Rows, RowsSpec};
use flota_wire::{
    inputs::{self, INPUT_LENGTH_MAX, InputFault, InputFormat},
    spec::hash_of_rows,
};

use crate::{catalogue::Language, exit::Exit, failure::Failure};

/// The options that name such a file.
pub(crate) const OPTIONS: [(&str, InputFormat); 3] = [
    ("each-line", InputFormat::Lines),
    ("csv", InputFormat::Csv),
    ("json-lines", InputFormat::JsonLines),
];

/// The parameters of the file that an option names, with their rows.
pub(super) fn parameters(
    language: Language,
    matches: &ArgMatches,
) -> Result<Option<(Parameters, Rows)>, Failure> {
    for (option, format) in OPTIONS {
        if let Some(path) = matches.get_one::<String>(option) {
            return from_file(language, path, format).map(Some);
        }
    }
    Ok(None)
}

fn from_file(
    language: Language,
    path: &str,
    format: InputFormat,
) -> Result<(Parameters, Rows), Failure> {
    let text = read(language, path, INPUT_LENGTH_MAX)?;
    let invalid = |fault: &InputFault| invalid(language, path, fault);
    let table = inputs::read(&text, format).map_err(|fault| invalid(&fault))?;
    let bytes: Arc<[u8]> = table.rows.into();
    let named = RowsSpec {
        hash: hash_of_rows(&bytes),
        count: table.count,
        columns: table.columns,
    };
    let rows = Rows::parse(bytes, named.columns.len());
    let rows = rows.map_err(|fault| {
        invalid(&InputFault {
            line: 1,
            what: format!("{fault:?}"),
        })
    })?;
    Ok((Parameters::Rows(named), rows))
}

/// A file that cannot be understood.
pub(super) fn invalid(language: Language, path: &str, fault: &InputFault) -> Failure {
    Failure::new(
        "E-INPUT-INVALID",
        Exit::Usage,
        language.error_input_invalid(path),
    )
    .because(fault.to_string())
}

/// What tells one state of a file from another (`man 2 stat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    written_at: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.size(),
            written_at: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// All bytes of a file, or of standard input (`-`). A file that somebody writes meanwhile is refused:
/// half of a line is a task that nobody meant.
pub(super) fn read(language: Language, path: &str, most: usize) -> Result<Vec<u8>, Failure> {
    let bytes = read_steadily(path, most, || {});
    let bytes = bytes.map_err(|source| Failure::of_unreadable(language, path, &source))?;
    let Some(bytes) = bytes else {
        let what = language.error_input_changed(path);
        let failure = Failure::new("E-INPUT-CHANGED", Exit::Failed, what);
        return Err(failure.hint(language.hint_input_changed()));
    };
    if bytes.len() > most {
        let what = language.error_file_too_long(path, most);
        let failure = Failure::new("E-FILE-TOO-LONG", Exit::Usage, what);
        return Err(failure.hint(language.hint_input_too_long()));
    }
    Ok(bytes)
}

/// Up to one byte more than `most`; `None` if the file is not the same any more. `midway` is for
/// tests.
fn read_steadily(path: &str, most: usize, midway: impl FnOnce()) -> io::Result<Option<Vec<u8>>> {
    let limit = most as u64 + 1;
    let mut bytes = Vec::new();
    if path == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
        return Ok(Some(bytes));
    }
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    midway();
    (&mut file).take(limit).read_to_end(&mut bytes)?;
    // A pipe has no length and no times that mean anything.
    if !before.is_file() {
        return Ok(Some(bytes));
    }
    let before = Stamp::of(&before);
    let after = Stamp::of(&file.metadata()?);
    let named = Stamp::of(&fs::metadata(path)?);
    let is_whole = bytes.len() > most || bytes.len() as u64 == before.length;
    let is_same = before == after && before == named && is_whole;
    Ok(is_same.then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let name = path.to_str().unwrap();
        let write = |text: &str| fs::write(&path, text).unwrap();
        write("a\nb\n");
        assert_eq!(read_steadily(name, 9, || {}).unwrap().unwrap(), b"a\nb\n");
        let append = || {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(b"c\n").unwrap();
        };
        assert_eq!(read_steadily(name, 99, append).unwrap(), None);
        let replace = || {
            let other = folder.path().join("other");
            fs::write(&other, "a\nb\nc\n").unwrap();
            fs::rename(&other, &path).unwrap();
        };
        assert_eq!(read_steadily(name, 99, replace).unwrap(), None);
        assert_eq!(read_steadily(name, 99, || write("a\n")).unwrap(), None);
        let failure = read(Language::English, "/nonexistent/x", 9).unwrap_err();
        assert_eq!(failure.exit(), Exit::NotFound);
        write("0123456789");
        let failure = read(Language::English, name, 9).unwrap_err();
        assert!(
            format!("{failure:?}").contains("E-FILE-TOO-LONG"),
            "{failure:?}"
        );
    }
}

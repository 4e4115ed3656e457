//! The strings of a program, laid out as `execve` wants them before the child exists.

use std::ptr;

use super::Order;

/// Searched where the environment has no PATH (as `confstr(_CS_PATH)`, with the usual additions).
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Strings and tables of pointers to them. The tables point into `bytes`, which is never changed.
#[derive(Debug)]
pub(super) struct Arguments {
    _bytes: Vec<u8>,
    /// Paths to try, argv, envp; each with a null pointer at its end.
    tables: Vec<*const u8>,
    argv_at: usize,
    envp_at: usize,
    working_directory: *const u8,
    stdin: *const u8,
}

impl Arguments {
    /// `None` if a string has a zero byte, or there is no program.
    pub(super) fn new(order: &Order<'_>) -> Option<Self> {
        let mut strings = Strings::default();
        for candidate in candidates(order)? {
            strings.push(&[&candidate])?;
        }
        let argv_at = strings.end_table();
        for argument in order.argv {
            strings.push(&[argument])?;
        }
        let envp_at = strings.end_table();
        for (name, value) in order.environment {
            strings.push(&[name, "=", value])?;
        }
        strings.end_table();
        let working_directory = strings.bytes.len();
        strings.append(&[order.working_directory])?;
        let stdin = strings.bytes.len();
        if let Some(path) = order.stdin {
            strings.append(&[path])?;
        }
        let at = |offset: usize| strings.bytes.as_ptr().wrapping_add(offset);
        Some(Self {
            tables: strings
                .starts
                .iter()
                .map(|start| start.map_or(ptr::null(), at))
                .collect(),
            argv_at,
            envp_at,
            working_directory: at(working_directory),
            stdin: order.stdin.map_or(ptr::null(), |_| at(stdin)),
            _bytes: strings.bytes,
        })
    }

    pub(super) fn candidates(&self) -> *const *const u8 {
        self.tables.as_ptr()
    }

    pub(super) fn argv(&self) -> *const *const u8 {
        self.tables.as_ptr().wrapping_add(self.argv_at)
    }

    pub(super) fn envp(&self) -> *const *const u8 {
        self.tables.as_ptr().wrapping_add(self.envp_at)
    }

    pub(super) fn working_directory(&self) -> *const u8 {
        self.working_directory
    }

    /// Null where there is none.
    pub(super) fn stdin(&self) -> *const u8 {
        self.stdin
    }
}

#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    /// Where each string starts; `None` ends a table.
    starts: Vec<Option<usize>>,
}

impl Strings {
    fn push(&mut self, parts: &[&str]) -> Option<()> {
        self.starts.push(Some(self.bytes.len()));
        self.append(parts)
    }

    fn append(&mut self, parts: &[&str]) -> Option<()> {
        for part in parts {
            if part.bytes().any(|byte| byte == 0) {
                return None;
            }
            self.bytes.extend_from_slice(part.as_bytes());
        }
        self.bytes.push(0);
        Some(())
    }

    /// Returns where the next table starts.
    fn end_table(&mut self) -> usize {
        self.starts.push(None);
        self.starts.len()
    }
}

/// The paths to try, in order. Nothing is looked up here: a directory of PATH may hang. An empty
/// part of PATH would mean the working directory; it is left out, because nobody means it.
fn candidates(order: &Order<'_>) -> Option<Vec<String>> {
    let program = order.argv.first().filter(|program| !program.is_empty())?;
    if program.contains('/') {
        return Some(vec![program.clone()]);
    }
    let path = order
        .environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or(PATH_DEFAULT, |(_, value)| value.as_str());
    let directories = path.split(':').filter(|directory| !directory.is_empty());
    Some(
        directories
            .map(|directory| format!("{directory}/{program}"))
            .collect(),
    )
}

//! What is known of a file or folder whose new lines become tasks, and what comes of a look at it.
//!
//! A line is known by its text and by which of several equal ones in its file it is: it is taken once,
//! wherever in the file it stands, and also after an editor has written the file anew, after a cut, and
//! under another name of the file. What was taken is never forgotten while the watch lasts.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    ids::TaskIndex,
    parameters::{Parameters, Rows, RowsSpec, RowsWriter},
    spec::{Priority, TaskRange},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    inputs::{LINE_COLUMN, cluster, csv_record, json_record},
    spec::{Job, Notation, check_with, hash_of_rows, read_job},
};

#[cfg(test)]
mod tests;

/// Most different lines that are remembered of one watch.
pub const LINES_MAX: usize = 100_000;
/// Most files of a folder.
pub const FILES_MAX: usize = 1_000;
/// Most bytes of a file that is looked at.
pub const FILE_LENGTH_MAX: u64 = 64 << 20;
/// Most lines that are taken at once; the others follow.
const LINES_AT_ONCE: usize = 10_000;
/// Most faults that are kept, the latest.
pub const FAULTS_MAX: usize = 100;
/// Most bytes of a line.
pub const LINE_LENGTH_MAX: usize = 64 << 10;
/// Most characters of a reason.
const REASON_LENGTH_MAX: usize = 300;

/// How the lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchFormat {
    /// Each is a value, called `line`; blank ones are left out.
    Lines,
    /// The first line of a file names the columns; a value has no end of a line within.
    Csv,
    /// Each is an object.
    JsonLines,
    /// `algorithm,width,height,iterations[,priority]`
    Hpc,
}

/// A watch, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchState {
    /// How the lines are written.
    pub format: WatchFormat,
    /// The spec of its jobs as JSON; empty with [`WatchFormat::Hpc`], whose lines say all.
    pub template: String,
    /// Its files by name; one that is watched itself has the empty name.
    pub files: BTreeMap<String, WatchedFile>,
    /// Tasks made so far.
    pub tasks: u64,
    /// The latest lines that could not become tasks.
    pub faults: Vec<WatchFault>,
}

/// What was taken of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WatchedFile {
    /// What the system calls it, to know it again under another name; empty once it is gone.
    pub identity: String,
    /// How often each line was taken, by the first half of its SHA-256.
    pub lines: BTreeMap<String, u32>,
}

/// A line that could not become a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchFault {
    /// In which file.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// A line that was not taken before, or that fault.
struct Fresh<'a> {
    number: u64,
    text: &'a str,
}

/// Jobs with the same spec but for their rows.
type Groups = BTreeMap<(Option<Priority>, Vec<String>), Vec<(u64, Vec<String>)>>;

impl WatchState {
    /// A new watch.
    pub fn new(format: WatchFormat, template: String) -> Self {
        Self {
            format,
            template,
            files: BTreeMap::new(),
            tasks: 0,
            faults: Vec::new(),
        }
    }

    /// As it is kept.
    ///
    /// # Panics
    /// Never: texts and numbers are always JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are always JSON")
    }

    /// As it was kept.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// How many different lines are remembered.
    fn known(&self) -> usize {
        self.files.values().map(|file| file.lines.len()).sum()
    }

    /// Takes note of which files there are: what is gone is known by its name alone from now on, and a
    /// file under a new name is what it was under the old one. Whether that changed anything.
    pub fn notice(&mut self, present: &BTreeMap<String, String>) -> bool {
        let before = self.files.clone();
        for (name, identity) in present {
            if !self.files.contains_key(name) {
                let same = before.values().find(|file| file.identity == *identity);
                let known = same.cloned().unwrap_or_default();
                self.files.insert(name.clone(), known);
            }
        }
        for (name, file) in &mut self.files {
            let identity = present.get(name).cloned().unwrap_or_default();
            file.identity = identity;
        }
        let files = &mut self.files;
        while files.len() > FILES_MAX {
            let gone = files.iter().find(|(_, file)| file.identity.is_empty());
            let Some(name) = gone.map(|(name, _)| name.clone()) else {
                break;
            };
            files.remove(&name);
        }
        self.files != before
    }

    /// Takes the new lines of a file, whose last line counts only with its end. `accepts` has the last
    /// word on a job. The second answer says whether more lines wait.
    pub fn step(
        &mut self,
        name: &str,
        text: &[u8],
        accepts: &dyn Fn(&Job) -> Result<(), String>,
    ) -> (Vec<Job>, bool) {
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let text = &text[..whole.map_or(0, |end| end + 1)];
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let header = self.header(&lines);
        let (fresh, left) = self.fresh(name, &lines, header.is_some());
        let mut groups = Groups::new();
        for Fresh { number, text } in fresh {
            match self.values(text, header.as_ref()) {
                Ok((group, values)) => groups.entry(group).or_default().push((number, values)),
                Err(reason) => self.fault(name, number, &reason),
            }
        }
        let mut jobs = Vec::new();
        for (group, rows) in groups {
            jobs.extend(self.job(name, &group, rows, accepts));
        }
        let made = jobs.iter().map(|job| u64::from(job.spec.tasks.count()));
        self.tasks += made.sum::<u64>();
        (jobs, left)
    }

    /// The columns that the first line of the file names, where it does.
    fn header(&self, lines: &[&[u8]]) -> Option<Vec<String>> {
        if self.format != WatchFormat::Csv {
            return None;
        }
        let line = std::str::from_utf8(lines.first()?).ok()?;
        let line = line
            .trim_start_matches('\u{feff}')
            .trim_end_matches(['\r', '\n']);
        let names = csv_record(line).ok()?;
        Some(names.iter().map(|name| name.trim().to_owned()).collect())
    }

    /// The lines that were not taken before, noted as taken from now on; at most so many at once.
    fn fresh<'a>(
        &mut self,
        name: &str,
        lines: &[&'a [u8]],
        has_header: bool,
    ) -> (Vec<Fresh<'a>>, bool) {
        let (mut fresh, mut seen) = (Vec::new(), BTreeMap::<String, u32>::new());
        let mut faults = Vec::new();
        let mut room = LINES_MAX.saturating_sub(self.known());
        let file = self.files.entry(name.to_owned()).or_default();
        let mut is_first = true;
        for (number, line) in (1..).zip(lines) {
            let text = std::str::from_utf8(line).map(str::trim_end);
            let is_plain = text.is_ok_and(|text| {
                let is_header =
                    is_first && self.format == WatchFormat::Hpc && cluster::is_header(text);
                let is_comment = self.format == WatchFormat::Hpc && cluster::is_blank(text);
                is_first &= is_comment;
                text.trim().is_empty() || is_comment || is_header
            });
            if is_plain || (has_header && number == 1) {
                continue;
            }
            let digest = Sha256::digest(line.trim_ascii_end());
            let key = half(&digest);
            let count = seen.entry(key.clone()).or_default();
            *count += 1;
            let taken = file.lines.get(&key).copied().unwrap_or(0);
            if *count <= taken {
                continue;
            }
            if fresh.len() + faults.len() == LINES_AT_ONCE {
                self.add_faults(name, faults);
                return (fresh, true);
            }
            if taken == 0 && room == 0 {
                let what = format!("a watch remembers at most {LINES_MAX} lines: add another one");
                faults.push((number, what));
                break;
            }
            room -= usize::from(taken == 0);
            file.lines.insert(key, *count);
            match text {
                Ok(_) if line.len() > LINE_LENGTH_MAX => {
                    let what = format!("{} bytes, at most {LINE_LENGTH_MAX}", line.len());
                    faults.push((number, what));
                }
                Ok(text) if text.contains('\0') => faults.push((number, "has a NUL byte".into())),
                Ok(text) => fresh.push(Fresh { number, text }),
                Err(_) => faults.push((number, "no UTF-8".to_owned())),
            }
        }
        self.add_faults(name, faults);
        (fresh, false)
    }

    fn add_faults(&mut self, file: &str, faults: Vec<(u64, String)>) {
        for (line, reason) in faults {
            self.fault(file, line, &reason);
        }
    }

    /// Notes a fault, unless it is there already.
    fn fault(&mut self, file: &str, line: u64, reason: &str) {
        let fault = WatchFault {
            file: file.to_owned(),
            line,
            reason: reason.chars().take(REASON_LENGTH_MAX).collect(),
        };
        if self.faults.last() == Some(&fault) {
            return;
        }
        self.faults.push(fault);
        let beyond = self.faults.len().saturating_sub(FAULTS_MAX);
        self.faults.drain(..beyond);
    }

    /// The values of a line, and of which group it is.
    #[expect(clippy::type_complexity, reason = "a key and a value of the groups")]
    fn values(
        &self,
        line: &str,
        header: Option<&Vec<String>>,
    ) -> Result<((Option<Priority>, Vec<String>), Vec<String>), String> {
        match self.format {
            WatchFormat::Lines => Ok(((None, vec![LINE_COLUMN.to_owned()]), vec![line.to_owned()])),
            WatchFormat::Csv => {
                let values = csv_record(line)?;
                let columns = header.cloned().unwrap_or_default();
                if values.len() != columns.len() {
                    let (found, expected) = (values.len(), columns.len());
                    return Err(format!("{found} columns, but the header has {expected}"));
                }
                Ok(((None, columns), values))
            }
            WatchFormat::JsonLines => {
                let (columns, values) = json_record(line)?.into_iter().unzip();
                Ok(((None, columns), values))
            }
            WatchFormat::Hpc => {
                let (priority, values) = cluster::row(line)?;
                Ok(((Some(priority), Vec::new()), values.to_vec()))
            }
        }
    }

    /// The job of a group, without the lines that are not accepted.
    fn job(
        &mut self,
        name: &str,
        (priority, columns): &(Option<Priority>, Vec<String>),
        mut rows: Vec<(u64, Vec<String>)>,
        accepts: &dyn Fn(&Job) -> Result<(), String>,
    ) -> Option<Job> {
        let template = self.template.clone();
        let make = |rows: &[(u64, Vec<String>)]| -> Result<Job, String> {
            let mut writer = RowsWriter::default();
            for (_, values) in rows {
                writer.push(values.iter().map(String::as_str));
            }
            let job = match priority {
                Some(priority) => cluster::job(*priority, writer).map_err(|all| all.to_string())?,
                None => filled(&template, columns, writer)?,
            };
            accepts(&job)?;
            Ok(job)
        };
        if let Ok(job) = make(&rows) {
            return Some(job);
        }
        let mut bad = BTreeSet::new();
        for row in &rows {
            if let Err(reason) = make(std::slice::from_ref(row)) {
                bad.insert(row.0);
                self.fault(name, row.0, &reason);
            }
        }
        rows.retain(|(number, _)| !bad.contains(number));
        let first = rows.first()?.0;
        match make(&rows) {
            Ok(job) => Some(job),
            Err(reason) => {
                self.fault(name, first, &reason);
                None
            }
        }
    }
}

/// The job of a template with these rows.
fn filled(template: &str, columns: &[String], writer: RowsWriter) -> Result<Job, String> {
    let mut job = read_job(template, Notation::Json).map_err(|faults| faults.to_string())?;
    let count = writer.count();
    let bytes = writer.finish();
    let named = RowsSpec {
        columns: columns.to_vec(),
        hash: hash_of_rows(&bytes),
        count,
    };
    let rows = Rows::parse(bytes.into(), columns.len());
    job.rows = Some(rows.map_err(|fault| format!("{fault:?}"))?);
    job.spec.parameters = Some(Parameters::Rows(named));
    job.spec.tasks = TaskRange {
        first: TaskIndex(1),
        last: TaskIndex(count),
    };
    check_with(&job.spec, job.rows.as_ref()).map_err(|faults| faults.to_string())?;
    Ok(job)
}

/// The first half of a digest as hexadecimal digits.
fn half(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    let bytes = digest.iter().take(16);
    bytes.fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

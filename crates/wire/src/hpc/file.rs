//! The file of jobs: `algoritmo,width,height,iteraciones[,prioridad]`, a line a job.

use flota_model::spec::Priority;

use super::job::{JobRequest, algorithm_name, positive, priority};

/// Longest file, in bytes.
pub const FILE_LENGTH_MAX: u64 = 16 << 20;
/// Longest line, in bytes.
pub const LINE_LENGTH_MAX: usize = 1_024;
/// Most jobs of a file.
pub const LINES_MAX: usize = 100_000;

/// A line that is a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileJob {
    /// From 1 on.
    pub line: usize,
    /// What it asks for.
    pub request: JobRequest,
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// From 1 on.
    pub line: usize,
    /// Why, in Spanish.
    pub what: String,
}

/// Reads a whole file. Comments, blank lines and a first line that is the header are no jobs; a bad
/// line does not stop the rest.
pub fn parse_file(text: &str) -> (Vec<FileJob>, Vec<FileFault>) {
    let (mut jobs, mut faults) = (Vec::new(), Vec::new());
    let mut is_first = true;
    for (line, text) in (1..).zip(text.lines()) {
        if jobs.len() == LINES_MAX {
            let what = format!("un archivo tiene como máximo {LINES_MAX} trabajos");
            faults.push(FileFault { line, what });
            break;
        }
        match parse_line(text, is_first) {
            None => {}
            Some(Ok(request)) => jobs.push(FileJob { line, request }),
            Some(Err(what)) => faults.push(FileFault { line, what }),
        }
        let text = text.trim();
        is_first &= text.is_empty() || text.starts_with('#');
    }
    (jobs, faults)
}

/// Reads a line; `None` where it is blank, a comment, or the header. Only where nothing but comments
/// came before it (`may_be_header`) is the header no job.
pub fn parse_line(line: &str, may_be_header: bool) -> Option<Result<JobRequest, String>> {
    let text = line.trim().trim_start_matches('\u{feff}');
    if text.is_empty() || text.starts_with('#') || may_be_header && is_header(text) {
        return None;
    }
    if text.len() > LINE_LENGTH_MAX {
        return Some(Err(format!(
            "la línea tiene {} bytes y el máximo es {LINE_LENGTH_MAX}",
            text.len()
        )));
    }
    Some(job(text))
}

fn is_header(text: &str) -> bool {
    let columns: Vec<&str> = text.split(',').map(str::trim).collect();
    let usual = ["algoritmo", "width", "height", "iteraciones", "prioridad"];
    let english = ["algorithm", "width", "height", "iterations", "priority"];
    [usual, english]
        .iter()
        .any(|names| columns == names[..] || columns == names[..4])
}

fn job(text: &str) -> Result<JobRequest, String> {
    let columns: Vec<&str> = text.split(',').map(str::trim).collect();
    if !(4..=5).contains(&columns.len()) {
        return Err(format!(
            "se esperan algoritmo,width,height,iteraciones[,prioridad] y hay {} columnas",
            columns.len()
        ));
    }
    let number = |text: &str| text.parse::<u64>().ok();
    Ok(JobRequest {
        algorithm: algorithm_name(columns[0])?,
        width: positive("width", number(columns[1]))?,
        height: positive("height", number(columns[2]))?,
        iterations: positive("iteraciones", number(columns[3]))?,
        priority: match columns.get(4) {
            None | Some(&"") => Priority::MEDIUM,
            Some(text) => priority(number(text))?,
        },
        id: None,
    })
}

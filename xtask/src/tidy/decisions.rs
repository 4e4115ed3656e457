//! Decisions are numbered without a gap and fit on a page.

use std::path::Path;

use super::{File, files};

const FOLDER: &str = "docs/decisions";
/// A page.
const LINES_MAX: usize = 60;

/// Every decision that is misnamed, misnumbered or too long.
pub(super) fn problems(root: &Path) -> Vec<String> {
    let decisions = files(root, FOLDER, ".md");
    let decisions = decisions.iter().filter(|file| file.name() != "README.md");
    decisions
        .zip(1..)
        .flat_map(|(file, number)| problems_of(file, number))
        .collect()
}

fn problems_of(file: &File, number: u32) -> Vec<String> {
    let mut problems = Vec::new();
    if !file.name().starts_with(&format!("{number:04}-")) {
        problems.push(format!("{}: the number should be {number:04}", file.path));
    }
    let title = file.text.lines().next().unwrap_or("");
    if !title.starts_with(&format!("# {number:04}. ")) {
        problems.push(format!(
            "{}: the first line must begin `# {number:04}. `",
            file.path
        ));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{}: {lines} lines, at most {LINES_MAX}", file.path));
    }
    problems
}

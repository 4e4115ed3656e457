//! Rules of the repository that no compiler checks. Run by the tests, so that breaking one fails them.

mod decisions;
mod documents;
mod errors;
mod layers;
mod manifests;
mod sources;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Everything that breaks a rule in the repository at `root`, in a stable order.
pub(crate) fn problems(root: &Path) -> Vec<String> {
    let rules = [
        layers::problems,
        manifests::problems,
        sources::problems,
        errors::problems,
        decisions::problems,
        documents::problems,
    ];
    rules.iter().flat_map(|rule| rule(root)).collect()
}

/// A file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether it is compiled for tests only.
    fn is_test(&self) -> bool {
        self.name() == "tests.rs"
            || self
                .path
                .split('/')
                .any(|part| matches!(part, "tests" | "conformance"))
    }
}

/// All UTF-8 files below `folder` of `root` whose names end in `suffix`, by path. A folder that is not
/// there holds none.
fn files(root: &Path, folder: &str, suffix: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(suffix) {
                found.extend(read(root, &path));
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect()
}

fn read(root: &Path, path: &Path) -> Option<File> {
    let text = fs::read_to_string(path).ok()?;
    let path = path
        .strip_prefix(root)
        .ok()?
        .to_string_lossy()
        .replace('\\', "/");
    Some(File { path, text })
}

/// The lines of Rust code without their comments, with their numbers from 1. A `//` inside a string
/// cuts its line short too, which is near enough for these rules.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let uncommented = |line: &'_ str| line.find("//").unwrap_or(line.len());
    text.lines()
        .enumerate()
        .map(move |(index, line)| (index + 1, &line[..uncommented(line)]))
}

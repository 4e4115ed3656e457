//! What the documents name exists: commands of the Makefile, and files that are linked to.

use std::{collections::BTreeSet, fs, path::Path};

use super::{File, files, read};

/// Longest ARCHITECTURE.md: one is read whole or not at all.
const ARCHITECTURE_LINES_MAX: usize = 300;
/// Every promise names the tests that would fail without it.
const GUARANTEES: &str = "docs/guarantees.md";
const TOP_LEVEL: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

/// Every document that is missing, too long, or names what does not exist.
pub(super) fn problems(root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let mut documents = files(root, "docs", ".md");
    for name in TOP_LEVEL {
        match read(root, &root.join(name)) {
            Some(document) => documents.push(document),
            None => problems.push(format!("{name}: is missing")),
        }
    }
    let targets = make_targets(&fs::read_to_string(root.join("Makefile")).unwrap_or_default());
    for document in &documents {
        problems.extend(unknown_commands(document, &targets));
        problems.extend(dead_links(root, document));
        if document.path == GUARANTEES {
            problems.extend(unknown_tests(root, document));
        }
        let lines = document.text.lines().count();
        if document.path == "ARCHITECTURE.md" && lines > ARCHITECTURE_LINES_MAX {
            problems.push(format!(
                "{}: {lines} lines, at most {ARCHITECTURE_LINES_MAX}",
                document.path
            ));
        }
    }
    problems
}

/// The names before a colon at the beginning of a line.
fn make_targets(makefile: &str) -> BTreeSet<String> {
    let heads = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']));
    let names = heads
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, rest)| !rest.starts_with('='));
    names
        .flat_map(|(names, _)| names.split_whitespace())
        .map(str::to_owned)
        .collect()
}

/// Commands are `make TARGET` at the beginning of inline code or of a line of a code block.
fn unknown_commands(document: &File, targets: &BTreeSet<String>) -> Vec<String> {
    let commands = document
        .text
        .match_indices("make ")
        .filter_map(|(at, word)| {
            let before = document.text[..at].lines().next_back().unwrap_or("");
            let before = if document.text[..at].ends_with('\n') {
                ""
            } else {
                before.trim_start()
            };
            let begins =
                before.is_empty() || before.ends_with(['`', '$', '=']) || before.ends_with("$ ");
            let rest = &document.text[at + word.len()..];
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
            begins.then(|| &rest[..end.unwrap_or(rest.len())])
        });
    commands
        .filter(|target| !target.is_empty() && !targets.contains(*target))
        .map(|target| format!("{}: the Makefile has no target `{target}`", document.path))
        .collect()
}

fn dead_links(root: &Path, document: &File) -> Vec<String> {
    let folder = root
        .join(&document.path)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let links = document
        .text
        .match_indices("](")
        .filter_map(|(at, opening)| {
            let rest = &document.text[at + opening.len()..];
            rest.find(')').map(|end| &rest[..end])
        });
    links
        .filter(|link| !link.contains("://") && !link.starts_with('#'))
        .filter(|link| !folder.join(link.split('#').next().unwrap_or(link)).exists())
        .map(|link| format!("{}: the link {link} leads nowhere", document.path))
        .collect()
}

/// Tests are the words of inline code with at least three underscores.
fn unknown_tests(root: &Path, document: &File) -> Vec<String> {
    let sources = files(root, "crates", ".rs");
    let is_function = |name: &str| {
        let head = format!("fn {name}(");
        sources.iter().any(|source| source.text.contains(&head))
    };
    let code = document.text.split('`').skip(1).step_by(2);
    code.filter(|word| word.matches('_').count() >= 3 && !is_function(word))
        .map(|word| format!("{}: there is no test `{word}`", document.path))
        .collect()
}

//! Length and placement of Rust sources.

use std::path::Path;

use super::{File, code, files};

/// Longest source file, tests included: a longer one has two subjects.
pub(super) const LINES_MAX: usize = 600;
/// The crate of the binary, and the most lines of all its files.
const BINARY: &str = "crates/flota/src";
pub(super) const BINARY_LINES_MAX: usize = 1000;
/// The only places where the compiler's guarantees may be left.
const UNSAFE_PLACES: &[&str] = &["crates/agent/src/sys", "crates/kernels/src/simd"];

/// A program that answers `fsync` in the place of the C library; nothing of it is shipped.
const UNSAFE_TEST: &str = "crates/store/tests/sync_failure";

/// Every source file that is too long, misplaced or unsafe.
pub(super) fn problems(root: &Path) -> Vec<String> {
    let sources = [files(root, "crates", ".rs"), files(root, "xtask", ".rs")];
    let each = sources.iter().flatten().flat_map(problems_of);
    each.chain(thick_binary(root)).collect()
}

/// The binary holds what no other crate can: more of it could be tested only as a process.
fn thick_binary(root: &Path) -> Option<String> {
    let sources = files(root, BINARY, ".rs");
    let lines: usize = sources.iter().map(|file| file.text.lines().count()).sum();
    (lines > BINARY_LINES_MAX)
        .then(|| format!("{BINARY}: {lines} lines, at most {BINARY_LINES_MAX}"))
}

fn problems_of(file: &File) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{}: {lines} lines, at most {LINES_MAX}", file.path));
    }
    if file.name() == "mod.rs" {
        problems.push(format!(
            "{}: modules are named after themselves, x.rs beside x/",
            file.path
        ));
    }
    let mut places = UNSAFE_PLACES.iter().chain([&UNSAFE_TEST]);
    let trusted = places.any(|place| is_within(&file.path, place));
    if file.path.starts_with("crates/") && !trusted {
        problems.extend(unsafe_lines(file));
    }
    problems
}

/// Whether `path` is the module `place`, or below it: `sys.rs`, `sys/x.rs`, not `system.rs`.
fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn unsafe_lines(file: &File) -> impl Iterator<Item = String> {
    code(&file.text)
        .filter(|(_, line)| is_unsafe(line))
        .map(|(number, _)| {
            format!(
                "{}:{number}: unsafe code belongs in {}",
                file.path,
                UNSAFE_PLACES.join(" or ")
            )
        })
}

/// Whether a word of the line leaves the guarantees, or asks for the lint that forbids it to be quiet.
fn is_unsafe(line: &str) -> bool {
    let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.any(|word| matches!(word, "unsafe" | "unsafe_code"))
}

//! Every crate takes the lints of the workspace.

use std::path::Path;

use super::files;

/// Every manifest of a crate without the lints of the workspace.
pub(super) fn problems(root: &Path) -> Vec<String> {
    let manifests = [
        files(root, "crates", "/Cargo.toml"),
        files(root, "xtask", "/Cargo.toml"),
    ];
    let bare = manifests
        .iter()
        .flatten()
        .filter(|manifest| !takes_lints(&manifest.text));
    bare.map(|manifest| format!("{}: needs `[lints] workspace = true`", manifest.path))
        .collect()
}

fn takes_lints(manifest: &str) -> bool {
    let mut lines = manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[lints]")
        .skip(1);
    lines.find(|line| !line.is_empty()) == Some("workspace = true")
}

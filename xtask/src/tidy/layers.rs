//! Which crate may depend on which. Asked of cargo, so that a dependency of a dependency counts too.

use std::{collections::BTreeSet, path::Path, process::Command};

/// What a crate may not depend on.
enum Rule {
    /// Nothing but these, directly.
    Only(&'static [&'static str]),
    /// Not these, directly or through others.
    Never(&'static [&'static str]),
    /// Not these directly.
    NeverDirect(&'static [&'static str]),
}

use Rule::{Never, NeverDirect, Only};

const RULES: &[(&str, Rule)] = &[
    ("flota-model", Only(&[])),
    (
        "flota-engine",
        Only(&["flota-model", "crc32fast", "thiserror"]),
    ),
    ("flota-kernels", Never(FLOTA)),
    ("flota-kernels", Never(WAITING)),
    (
        "flota-wire",
        Never(&["flota-engine", "flota-kernels", "rusqlite"]),
    ),
    ("flota-wire", Never(WAITING)),
    (
        "flota-store",
        Never(&["flota-engine", "flota-link", "flota-kernels"]),
    ),
    ("flota-store", Never(WAITING)),
    (
        "flota-link",
        Never(&["flota-engine", "flota-store", "flota-kernels", "rusqlite"]),
    ),
    (
        "flota-agent",
        Never(&["flota-store", "flota-server", "flota-client", "rusqlite"]),
    ),
    // tonic brings it along; no code of the agent serves with it.
    ("flota-agent", NeverDirect(&["axum"])),
    ("flota-server", Never(&["flota-agent", "flota-client"])),
    (
        "flota-client",
        Never(&["flota-engine", "flota-store", "flota-agent", "flota-server"]),
    ),
    ("flota-client", Never(&["flota-link", "rusqlite"])),
    ("flota-host", Never(&["flota-testkit", "flota-bench"])),
    // It measures processes from outside, as a person could.
    (
        "flota-bench",
        NeverDirect(&["flota-server", "flota-agent", "flota-engine"]),
    ),
    (
        "flota-testkit",
        Never(&["flota-agent", "flota-server", "flota-client", "rusqlite"]),
    ),
    ("flota-testkit", Never(WAITING)),
];

/// What waits: no pure crate may have it in its build.
const WAITING: &[&str] = &["tokio", "tonic", "hyper", "axum"];

const FLOTA: &[&str] = &[
    "flota-agent",
    "flota-client",
    "flota-engine",
    "flota-link",
    "flota-model",
    "flota-server",
    "flota-store",
    "flota-testkit",
    "flota-wire",
];

/// The packages that one package is built from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    direct: BTreeSet<String>,
    reached: BTreeSet<String>,
}

/// Every forbidden dependency of the workspace at `root`.
pub(super) fn problems(root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for (package, rule) in RULES {
        match tree(root, package) {
            Ok(tree) => problems.extend(breaches(package, rule, &tree)),
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

/// As [`problems`], for one package whose tree is given.
#[cfg(test)]
pub(super) fn problems_of(package: &str, tree: &Tree) -> Vec<String> {
    let rules = RULES.iter().filter(|(name, _)| *name == package);
    rules
        .flat_map(|(name, rule)| breaches(name, rule, tree))
        .collect()
}

fn breaches(package: &str, rule: &Rule, tree: &Tree) -> Vec<String> {
    let breach = |name: &String| format!("{package} may not depend on {name}");
    let listed = |name: &&String, list: &[&str]| list.contains(&name.as_str());
    match rule {
        Only(allowed) => tree
            .direct
            .iter()
            .filter(|name| !listed(name, allowed))
            .map(breach)
            .collect(),
        Never(list) => tree
            .reached
            .iter()
            .filter(|name| listed(name, list))
            .map(breach)
            .collect(),
        NeverDirect(list) => tree
            .direct
            .iter()
            .filter(|name| listed(name, list))
            .map(breach)
            .collect(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only cargo knows what a package is built from"
)]
fn tree(root: &Path, package: &str) -> Result<Tree, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = [
        "tree",
        "--offline",
        "--edges",
        "normal",
        "--prefix",
        "depth",
        "--package",
        package,
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root)
        .output();
    let output = output.map_err(|fault| format!("cargo tree could not be run: {fault}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo tree fails for {package}: {}", reason.trim()));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads lines such as `2tokio v1.54.1`: the depth, the name and the version.
pub(super) fn parse(text: &str) -> Tree {
    let mut tree = Tree::default();
    for line in text.lines() {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let (depth, rest) = line.split_at(digits);
        let Some(name) = rest.split_whitespace().next() else {
            continue;
        };
        if depth == "1" {
            tree.direct.insert(name.to_owned());
        }
        if depth != "0" {
            tree.reached.insert(name.to_owned());
        }
    }
    tree
}

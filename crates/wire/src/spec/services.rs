//! Files of services, in three notations.

use super::{
    Faults, SPEC_LENGTH_MAX, SpecFaults, Tree, of_text,
    read::file::{self, DeclaredService},
    toml_tree,
};

/// Most values of a file in YAML: a hundred for each of [`super::SERVICES_MAX`] services.
const YAML_NODES_MAX: usize = 100_000;
/// As much of it may be repeated by aliases; a few common lines for each service.
const YAML_REPEATED_MAX: usize = 20_000;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// `[service.NAME]`
    Toml,
    /// `service: {NAME: …}`
    Yaml,
    /// `{"service": {"NAME": …}}`
    Json,
}

impl Notation {
    /// By the end of the name of a file; without one that is known, by the first letter of the text.
    pub fn of(path: &str, text: &str) -> Self {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension.to_ascii_lowercase().as_str() {
            "toml" => Self::Toml,
            "yaml" | "yml" => Self::Yaml,
            "json" => Self::Json,
            _ if text.trim_start().starts_with('{') => Self::Json,
            _ if is_like_toml(text) => Self::Toml,
            _ => Self::Yaml,
        }
    }
}

/// Whether the first line that says something is a table or an assignment: a text that is wrong further
/// down is then told so in its own notation.
fn is_like_toml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = first else {
        return true;
    };
    let (name, rest) = first.split_at(first.find(['=', ':']).unwrap_or(first.len()));
    first.starts_with('[') || (rest.starts_with('=') && !name.is_empty())
}

/// Parses and checks a file of services.
///
/// # Errors
/// All faults together, each with the path of its field.
pub fn parse_services(text: &str, notation: Notation) -> Result<Vec<DeclaredService>, SpecFaults> {
    if text.len() > SPEC_LENGTH_MAX {
        return Err(of_text(format!("longer than {SPEC_LENGTH_MAX} bytes")));
    }
    let tree = tree(text, notation)?;
    let mut faults = Faults::default();
    let services = file::services(tree, &mut faults);
    faults.or(services)
}

/// What a text says, whatever it means.
pub(super) fn tree(text: &str, notation: Notation) -> Result<Tree, SpecFaults> {
    match notation {
        Notation::Toml => toml_tree(text),
        Notation::Yaml => yaml_tree(text),
        Notation::Json => {
            serde_json::from_str(text).map_err(|source| of_text(format!("no valid JSON: {source}")))
        }
    }
}

/// The library refuses keys that are given twice, and aliases that would grow without bound.
fn yaml_tree(text: &str) -> Result<Tree, SpecFaults> {
    let options = serde_saphyr::options! {
        // Its excerpt of the text would be many lines in a list of faults.
        with_snippet: false,
        // `no` is a word, and `012` is not ten: YAML 1.2, as people expect it.
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_events: YAML_NODES_MAX * 2,
            max_nodes: YAML_NODES_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: YAML_REPEATED_MAX,
        },
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|source| of_text(format!("no valid YAML: {source}")))
}

//! The JSON of watched files and of templates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Body of `POST /api/v1/watches`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchOrder {
    /// A file or folder in one of the folders that may be watched; relative to the first of them.
    pub path: String,
    /// `lines`, `csv`, `json-lines` or `hpc`; `lines` if not given.
    #[serde(default)]
    pub format: Option<String>,
    /// The job of which each line is a task, without parameters; none with `hpc`.
    #[serde(default)]
    pub job: Option<serde_json::Value>,
}

/// A file or folder whose new lines become tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Watch {
    /// Which.
    pub path: String,
    /// How its lines are written.
    pub format: String,
    /// Who added it.
    pub principal: String,
    /// When something was taken from it last, or it was added.
    pub changed_at: f64,
    /// Tasks made so far.
    pub tasks: u64,
    /// Its files, as far as they are there.
    pub files: Vec<String>,
    /// The latest lines that could not become tasks.
    pub faults: Vec<WatchFault>,
    /// Why it gets on with nothing; null when all is well.
    #[serde(default)]
    pub problem: Option<String>,
}

/// A line that could not become a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchFault {
    /// In which file of a folder; empty of a file that is watched itself.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// `GET /api/v1/watches`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Watches {
    /// By path.
    pub watches: Vec<Watch>,
}

//! What is set for clients of an older cluster.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use flota_client::Language;
use flota_wire::{
    quantity,
    spec::{ENTRIES_MAX, is_name},
};

use super::Value;

/// Keys of it beside the table `hpc` of a file.
pub(crate) const KEYS: [&str; 8] = [
    "hpc_listen",
    "hpc_origins",
    "hpc_timeout",
    "hpc_retries",
    "jobs_dir",
    "job_file",
    "slave_listen",
    "memory_listen",
];
/// A table of a file, and nothing that a variable or an option could be.
pub(super) const TABLE: &str = "hpc";
/// Most pages that may ask.
const ORIGINS_MAX: usize = 64;
/// Most repetitions, as of jobs.
const RETRIES_MAX: u16 = 1_000;

/// Server and agents each take their own part.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hpc {
    /// Where the master listens; off where absent.
    pub listen: Option<SocketAddr>,
    /// Pages that may ask.
    pub origins: Option<Vec<String>>,
    /// How long one picture may take.
    pub timeout: Option<Duration>,
    /// How often it is repeated.
    pub retries: Option<u16>,
    /// Where files of jobs are.
    pub jobs_dir: Option<PathBuf>,
    /// The one that is loaded at a start, below that folder.
    pub job_file: Option<PathBuf>,
    /// Programs beside the built-in algorithms, with their arguments.
    pub algorithms: BTreeMap<String, Vec<String>>,
    /// Where the slave of an agent listens; off where absent.
    pub slave_listen: Option<SocketAddr>,
    /// Where its monitor of memory listens; off where absent.
    pub memory_listen: Option<SocketAddr>,
}

impl Hpc {
    /// Sets one of [`KEYS`].
    ///
    /// # Errors
    /// What it should be.
    pub(super) fn set(&mut self, language: Language, key: &str, text: &str) -> Result<(), String> {
        match key {
            "hpc_listen" => self.listen = Some(loopback(language, text)?),
            "slave_listen" => self.slave_listen = Some(loopback(language, text)?),
            "memory_listen" => self.memory_listen = Some(loopback(language, text)?),
            "hpc_origins" => self.origins = Some(origins(language, text)?),
            "hpc_timeout" => {
                let span = quantity::parse_duration(text).ok();
                let span = span.filter(|span| !span.is_zero());
                self.timeout = Some(span.ok_or_else(|| language.why_not_a_duration())?);
            }
            "hpc_retries" => {
                let number = text.parse().ok().filter(|number| *number <= RETRIES_MAX);
                let number = number.ok_or_else(|| language.why_not_a_number(0, RETRIES_MAX));
                self.retries = Some(number?);
            }
            "jobs_dir" => {
                let path = Path::new(text);
                if !path.is_absolute() {
                    return Err(language.why_not_an_absolute_path());
                }
                self.jobs_dir = Some(path.to_owned());
            }
            "job_file" => {
                let path = Path::new(text);
                let is_below = path
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)));
                if !is_below {
                    return Err(language.why_not_a_job_file());
                }
                self.job_file = Some(path.to_owned());
            }
            other => unreachable!("`{other}` is one of KEYS without a meaning"),
        }
        Ok(())
    }

    /// Sets what the table `hpc` of a file holds.
    ///
    /// # Errors
    /// What it should be.
    pub(super) fn set_table(&mut self, language: Language, value: &Value) -> Result<(), String> {
        let Value::Algorithms(algorithms) = value else {
            return Err(language.why_no_algorithms());
        };
        let is_program = |argv: &Vec<String>| argv.first().is_some_and(|first| !first.is_empty());
        let are_sound = algorithms.len() <= ENTRIES_MAX
            && algorithms
                .iter()
                .all(|(name, argv)| is_name(name) && is_program(argv));
        if !are_sound {
            return Err(language.why_no_algorithms());
        }
        self.algorithms.clone_from(algorithms);
        Ok(())
    }
}

/// These clients show nobody who they are, so that what they say never leaves the machine.
fn loopback(language: Language, text: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = text.parse().ok();
    let address = address.filter(|address| address.ip().is_loopback());
    address.ok_or_else(|| language.why_not_a_loopback_address())
}

/// `http://localhost:*,https://aula.example`
fn origins(language: Language, text: &str) -> Result<Vec<String>, String> {
    let is_origin = |origin: &&str| {
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ']))
    };
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > ORIGINS_MAX || !parts.iter().all(is_origin) {
        return Err(language.why_no_origins());
    }
    Ok(parts.into_iter().map(str::to_owned).collect())
}

/// `{"algorithms": {NAME: {"argv": […]}}}`; `None` where it is anything else.
pub(super) fn algorithms_of(
    table: &toml::de::DeTable<'_>,
) -> Option<BTreeMap<String, Vec<String>>> {
    use toml::de::DeValue;
    let mut found = BTreeMap::new();
    for (key, value) in table {
        let DeValue::Table(algorithms) = value.get_ref() else {
            return None;
        };
        if key.get_ref() != "algorithms" {
            return None;
        }
        for (name, value) in algorithms {
            let DeValue::Table(algorithm) = value.get_ref() else {
                return None;
            };
            let (key, argv) = algorithm.iter().next().filter(|_| algorithm.len() == 1)?;
            let DeValue::Array(argv) = argv.get_ref() else {
                return None;
            };
            if key.get_ref() != "argv" {
                return None;
            }
            let argv = argv.iter().map(|value| match value.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => None,
            });
            found.insert(name.get_ref().to_string(), argv.collect::<Option<_>>()?);
        }
    }
    Some(found)
}

//! Settings: defaults < file < environment < flags, merged once, all faults told together.
//!
//! Everything here is a pure function of strings.

mod hpc;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use flota_agent::groups::GroupWish;
use flota_client::{Color, Format, Language, PORT, nearest, parse_cpus};
use flota_model::units::{Bytes, Cpus};
use flota_wire::{
    line::Dialect,
    quantity,
    spec::{ENTRIES_MAX, is_label_value, is_name},
};
use toml::de::{DeTable, DeValue};

use self::hpc::Hpc;

/// Keys of the file, of `FLOTA_<KEY>` and of options (with `-` for `_`).
pub(crate) const KEYS: [&str; 26] = [
    "server",
    "token_file",
    "output",
    "color",
    "timeout",
    "data",
    "policy",
    "cgroup",
    "listen",
    "name",
    "cpus",
    "memory",
    "labels",
    "line_listen",
    "log",
    "log_format",
    "logs_size",
    "logs_age",
    "hpc_listen",
    "hpc_origins",
    "hpc_timeout",
    "hpc_retries",
    "jobs_dir",
    "job_file",
    "slave_listen",
    "memory_listen",
];
/// Listeners of the line protocol of one agent.
const LINE_LISTENERS_MAX: usize = 16;
/// Less would not hold a segment of each stream of a few programs.
const LOGS_SIZE_MIN: Bytes = Bytes(1 << 20);
/// Less would take a log away before anybody reads it.
const LOGS_AGE_MIN: Duration = Duration::from_mins(1);
/// Variables that are no settings: where settings are, and what is handed from process to process.
pub(crate) const OTHER_VARIABLES: [&str; 9] = [
    "FLOTA_CONFIG",
    "FLOTA_LANG",
    "FLOTA_LOGIN_TOKEN",
    "FLOTA_DEV_PARENT",
    "FLOTA_JOB",
    "FLOTA_TASK",
    "FLOTA_ATTEMPT",
    "FLOTA_NODE",
    "FLOTA_NODE_ID",
];

/// All that can be set, with defaults where there are any.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub server: Option<String>,
    pub token_file: Option<PathBuf>,
    pub output: Format,
    pub color: Color,
    pub timeout: Duration,
    pub data: Option<PathBuf>,
    /// What the owner of the node allows.
    pub policy: Option<PathBuf>,
    /// Which control groups an agent uses.
    pub cgroup: GroupWish,
    pub listen: SocketAddr,
    pub name: Option<String>,
    pub cpus: Option<Cpus>,
    pub memory: Option<Bytes>,
    pub labels: BTreeMap<String, String>,
    pub line_listen: Vec<(Dialect, SocketAddr)>,
    /// For clients of an older cluster.
    pub hpc: Hpc,
    pub log: Option<String>,
    pub log_as_json: bool,
    /// Of all logs of a node together.
    pub logs_size: Option<Bytes>,
    /// How long a log is kept that nobody writes to.
    pub logs_age: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: None,
            token_file: None,
            output: Format::default(),
            color: Color::default(),
            timeout: flota_client::TIMEOUT,
            data: None,
            policy: None,
            cgroup: GroupWish::default(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            name: None,
            cpus: None,
            memory: None,
            labels: BTreeMap::new(),
            line_listen: Vec::new(),
            hpc: Hpc::default(),
            log: None,
            log_as_json: false,
            logs_size: None,
            logs_age: None,
        }
    }
}

/// One value as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// Where, for messages.
    pub(crate) place: String,
    pub(crate) key: String,
    pub(crate) value: Value,
}

/// A value before it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    /// Of `labels`.
    Table(BTreeMap<String, String>),
    /// Of `hpc` in a file: programs with their arguments.
    Algorithms(BTreeMap<String, Vec<String>>),
    /// Of a file: something that no setting has.
    Other(String),
}

/// Merges what was given, in the order of precedence (the last one wins).
///
/// # Errors
/// All faults, each with its place.
pub(crate) fn merge(language: Language, given: &[Given]) -> Result<Settings, Vec<String>> {
    let mut settings = Settings::default();
    let mut faults = Vec::new();
    for Given { place, key, value } in given {
        if key != hpc::TABLE && !KEYS.contains(&key.as_str()) {
            faults.push(match nearest(key, KEYS) {
                Some(near) => language.fault_unknown_key_near(place, key, near),
                None => language.fault_unknown_key(place, key),
            });
            continue;
        }
        if let Err(why) = settings.set(language, key, value) {
            let text = value.text();
            faults.push(language.fault_invalid_value(place, key, text, why));
        }
    }
    if faults.is_empty() {
        Ok(settings)
    } else {
        Err(faults)
    }
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Other(text) => text.clone(),
            Self::Table(table) => format!("{table:?}"),
            Self::Algorithms(algorithms) => format!("{algorithms:?}"),
        }
    }
}

impl Settings {
    fn set(&mut self, language: Language, key: &str, value: &Value) -> Result<(), String> {
        if key == "labels" {
            self.labels = labels(language, value)?;
            return Ok(());
        }
        if key == hpc::TABLE {
            return self.hpc.set_table(language, value);
        }
        let Value::Text(text) = value else {
            return Err(language.why_not_a_text());
        };
        if text.is_empty() {
            return Err(language.why_empty());
        }
        let text = text.as_str();
        if hpc::KEYS.contains(&key) {
            return self.hpc.set(language, key, text);
        }
        match key {
            "server" => self.server = Some(text.to_owned()),
            "token_file" => self.token_file = Some(text.into()),
            "output" => self.output = word(language, text, &Format::WORDS)?,
            "color" => self.color = word(language, text, &Color::WORDS)?,
            "timeout" => {
                let parsed = quantity::parse_duration(text)
                    .ok()
                    .filter(|span| !span.is_zero());
                self.timeout = parsed.ok_or_else(|| language.why_not_a_duration())?;
            }
            "data" => self.data = Some(text.into()),
            "policy" => self.policy = Some(text.into()),
            "cgroup" => self.cgroup = cgroup(text).ok_or_else(|| language.why_no_cgroup())?,
            "listen" => {
                self.listen = text.parse().map_err(|_| language.why_not_an_address())?;
            }
            "line_listen" => self.line_listen = line_listen(language, text)?,
            "name" => self.name = Some(name(language, text)?),
            "cpus" => self.cpus = Some(cpus(text).ok_or_else(|| language.why_not_cpus())?),
            "memory" => {
                let parsed = quantity::parse_size(text).map_err(|_| language.why_not_a_size())?;
                self.memory = Some(parsed);
            }
            "log" => {
                crate::logging::check(text).map_err(|()| language.why_not_a_log_filter())?;
                self.log = Some(text.to_owned());
            }
            "log_format" => {
                self.log_as_json = word(language, text, &[("text", false), ("json", true)])?;
            }
            "logs_size" => {
                let parsed = quantity::parse_size(text).ok();
                let parsed = parsed.filter(|size| *size >= LOGS_SIZE_MIN);
                self.logs_size = Some(parsed.ok_or_else(|| language.why_not_a_logs_size())?);
            }
            "logs_age" => {
                let parsed = quantity::parse_duration(text).ok();
                let parsed = parsed.filter(|span| *span >= LOGS_AGE_MIN);
                self.logs_age = Some(parsed.ok_or_else(|| language.why_not_a_logs_age())?);
            }
            other => unreachable!("`{other}` is one of KEYS without a meaning"),
        }
        Ok(())
    }
}

/// `auto`, `off`, or the path of a group as `/proc/self/cgroup` has it.
fn cgroup(text: &str) -> Option<GroupWish> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    match text {
        "auto" => Some(GroupWish::Auto),
        "off" => Some(GroupWish::Off),
        path => {
            let below = path.strip_prefix('/')?;
            below
                .split('/')
                .all(is_plain)
                .then(|| GroupWish::Below(path.to_owned()))
        }
    }
}

fn word<T: Copy>(language: Language, text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        language.why_one_of(known.join(", "))
    })
}

/// `posix=127.0.0.1:5002,gestor=127.0.0.1:5000`: a dialect may have several addresses. Clients of that
/// protocol show nobody who they are, so that it never leaves the machine.
fn line_listen(language: Language, text: &str) -> Result<Vec<(Dialect, SocketAddr)>, String> {
    let one = |part: &str| {
        let (word, address) = part.trim().split_once('=')?;
        let known = Dialect::ALL.iter().find(|(_, known)| *known == word)?;
        let address: SocketAddr = address.parse().ok()?;
        address.ip().is_loopback().then_some((known.0, address))
    };
    let listeners: Option<Vec<_>> = text.split(',').map(one).collect();
    listeners
        .filter(|listeners| listeners.len() <= LINE_LISTENERS_MAX)
        .ok_or_else(|| language.why_no_line_listener())
}

fn name(language: Language, text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err(language.why_not_a_name())
}

/// At least a thousandth of a core.
fn cpus(text: &str) -> Option<Cpus> {
    parse_cpus(text).filter(|cpus| *cpus > Cpus(0))
}

/// A table, or `a=1,b=2`, within the bounds that the server has for labels.
fn labels(language: Language, value: &Value) -> Result<BTreeMap<String, String>, String> {
    let labels = pairs(language, value)?;
    let valid = |(name, value): (&String, &String)| is_name(name) && is_label_value(value);
    if labels.len() <= ENTRIES_MAX && labels.iter().all(valid) {
        return Ok(labels);
    }
    Err(language.why_not_a_label())
}

fn pairs(language: Language, value: &Value) -> Result<BTreeMap<String, String>, String> {
    let text = match value {
        Value::Table(table) => return Ok(table.clone()),
        Value::Other(_) | Value::Algorithms(_) => return Err(language.why_not_labels()),
        Value::Text(text) => text,
    };
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').filter(|(key, _)| !key.is_empty())?;
        Some((key.to_owned(), value.to_owned()))
    };
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| pair(part).ok_or_else(|| language.why_not_a_pair()))
        .collect()
}

/// What a settings file gives.
///
/// # Errors
/// When it is no TOML.
pub(crate) fn of_file(language: Language, path: &str, text: &str) -> Result<Vec<Given>, String> {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|fault| {
        let at = fault.span().map_or(0, |span| span.start);
        let place = language.place_file(path, line(at));
        language.fault_not_toml(place, fault.message())
    })?;
    let given = table.get_ref().iter().map(|(key, value)| Given {
        place: language.place_file(path, line(key.span().start)),
        key: key.get_ref().to_string(),
        value: if key.get_ref() == hpc::TABLE {
            of_hpc(value.get_ref())
        } else {
            of_toml(value.get_ref())
        },
    });
    Ok(given.collect())
}

fn of_hpc(value: &DeValue<'_>) -> Value {
    let algorithms = match value {
        DeValue::Table(table) => hpc::algorithms_of(table),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => None,
    };
    algorithms.map_or_else(|| Value::Other(value.type_str().into()), Value::Algorithms)
}

fn of_toml(value: &DeValue<'_>) -> Value {
    if let DeValue::Table(table) = value {
        let pair = |value: &DeValue<'_>| match of_toml(value) {
            Value::Text(text) => Some(text),
            Value::Table(_) | Value::Algorithms(_) | Value::Other(_) => None,
        };
        let pairs: Option<BTreeMap<String, String>> = table
            .iter()
            .map(|(key, value)| Some((key.get_ref().to_string(), pair(value.get_ref())?)))
            .collect();
        return pairs.map_or_else(|| Value::Other(value.type_str().into()), Value::Table);
    }
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Text(number.as_str().to_owned()),
        DeValue::Float(number) => Value::Text(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Text(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Value::Other(value.type_str().into())
        }
    }
}

/// What variables of the environment give; others than `FLOTA_…` are left out.
pub(crate) fn of_environment(
    language: Language,
    variables: &BTreeMap<String, String>,
) -> Vec<Given> {
    let ours = variables
        .iter()
        .filter(|(name, _)| !OTHER_VARIABLES.contains(&name.as_str()));
    let given = ours.filter_map(|(name, value)| {
        let key = name.strip_prefix("FLOTA_")?.to_ascii_lowercase();
        let place = language.place_environment(name);
        Some(Given {
            place,
            key,
            value: Value::Text(value.clone()),
        })
    });
    given.collect()
}

#[cfg(test)]
mod tests;

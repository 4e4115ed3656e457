//! Which processes are meant.

use flota_model::{
    ids::JobId,
    process::ProcessRow,
    units::{Bytes, Cpus},
};
use flota_wire::quantity::parse_size;
use regex::{Regex, RegexBuilder};

use super::super::Parameters;
use crate::problem::Problem;

/// The names of [`Filter::parse`].
pub(super) const FILTERS: [&str; 9] = [
    "name",
    "regex",
    "user",
    "state",
    "cpu_min",
    "memory_min",
    "job",
    "managed",
    "kernel",
];
/// Longest pattern, in bytes. What is longer is a program.
const PATTERN_LENGTH_MAX: usize = 256;
/// Most bytes that a compiled pattern takes: `\w{100}` of Unicode takes more, `[a-z]{100}` far less.
const PATTERN_SIZE_MAX: usize = 256 << 10;
/// Most bytes that a search keeps to be fast; with less it is slower, and never exponential.
const SEARCH_SIZE_MAX: usize = 1 << 20;
/// Most letters of states: the kernel has some ten.
const STATES_MAX: usize = 16;
/// Highest share of a core that can be asked for, in percent: a thousand cores.
pub(super) const CPU_PERCENT_MAX: u32 = 100_000;

/// What a process must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// Part of the name or of the command line.
    name: Option<String>,
    pattern: Option<Pattern>,
    /// Name or number.
    user: Option<String>,
    /// Letters.
    states: Option<String>,
    cpu_min: Option<Cpus>,
    memory_min: Option<Bytes>,
    job: Option<JobId>,
    /// Whether only what Flota runs.
    managed: bool,
    /// Whether threads of the kernel too.
    kernel: bool,
}

/// Patterns are the same when they are written alike.
#[derive(Debug, Clone)]
struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Filter {
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, Problem> {
        let text = |name| parameters.text(name).map(str::to_owned);
        let flag = |name| parameters.parsed(name, "true or false", |text| text.parse().ok());
        let pattern = format!("a regular expression of at most {PATTERN_LENGTH_MAX} bytes");
        let percent = parameters.number("cpu_min", 0..=CPU_PERCENT_MAX)?;
        Ok(Self {
            name: text("name"),
            pattern: parameters.parsed("regex", &pattern, Pattern::parse)?,
            user: text("user"),
            states: parameters.parsed("state", "letters such as R or DZ", states)?,
            cpu_min: percent.map(|percent| Cpus(percent * 10)),
            memory_min: parameters.parsed("memory_min", "a size such as 100MiB", |text| {
                parse_size(text).ok()
            })?,
            job: parameters.number("job", 0..=u64::MAX)?.map(JobId),
            managed: flag("managed")?.unwrap_or(false),
            kernel: flag("kernel")?.unwrap_or(true),
        })
    }

    /// What is not known of a process matches no amount.
    pub(super) fn matches(&self, row: &ProcessRow) -> bool {
        self.job
            .is_none_or(|job| row.task.is_some_and(|task| task.job == job))
            && (!self.managed || row.task.is_some())
            && (self.kernel || !row.is_kernel)
            && self.cpu_min.is_none_or(|least| row.cpu >= Some(least))
            && self
                .memory_min
                .is_none_or(|least| row.memory >= Some(least))
            && self
                .states
                .as_ref()
                .is_none_or(|states| states.contains(row.state))
            && self.has_user(row)
            && self.has_name(row)
    }

    fn has_user(&self, row: &ProcessRow) -> bool {
        self.user.as_ref().is_none_or(|user| {
            let is_number = row.uid.is_some_and(|uid| uid.to_string() == *user);
            row.user.as_ref() == Some(user) || is_number
        })
    }

    fn has_name(&self, row: &ProcessRow) -> bool {
        let any = |is_it: &dyn Fn(&str) -> bool| {
            is_it(&row.name) || row.command.as_deref().is_some_and(is_it)
        };
        self.name
            .as_ref()
            .is_none_or(|part| any(&|text| text.contains(part)))
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| any(&|text| pattern.0.is_match(text)))
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > PATTERN_LENGTH_MAX {
            return None;
        }
        let mut builder = RegexBuilder::new(text);
        builder
            .size_limit(PATTERN_SIZE_MAX)
            .dfa_size_limit(SEARCH_SIZE_MAX);
        builder.build().ok().map(Self)
    }
}

fn states(text: &str) -> Option<String> {
    let letters: String = text.split(',').collect();
    let is_known = letters.bytes().all(|letter| letter.is_ascii_alphabetic());
    let length = letters.len();
    (is_known && (1..=STATES_MAX).contains(&length)).then_some(letters)
}

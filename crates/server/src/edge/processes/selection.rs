//! Which processes are answered, and in which order.

use std::{fmt, fmt::Write as _, sync::Arc};

use flota_model::{
    ids::{BootId, JobId, NodeId},
    process::{ProcessList, ProcessRow},
};
use flota_wire::rest::process::{LIMIT_DEFAULT, LIMIT_MAX, Process};

use super::super::Parameters;
use crate::problem::Problem;

/// The names of [`Wanted::parse`].
pub(super) const PARAMETERS: [&str; 8] = [
    "name", "user", "job", "managed", "kernel", "sort", "limit", "after",
];
/// Rows that are gathered beyond those that are kept, before the rest is dropped.
const SLACK: usize = 4_096;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Part of the name or of the command line.
    name: Option<String>,
    /// Name or number.
    user: Option<String>,
    job: Option<JobId>,
    /// Whether only what Flota runs.
    managed: bool,
    /// Whether threads of the kernel too.
    kernel: bool,
    order: Order,
    limit: usize,
    after: Option<Place>,
}

/// By what the list is sorted; ties by node and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Node,
    Pid,
    Name,
    /// Most first, like the next three.
    Cpu,
    Memory,
    Time,
    /// Newest first.
    Started,
}

const ORDERS: [(&str, Order); 7] = [
    ("node", Order::Node),
    ("pid", Order::Pid),
    ("name", Order::Name),
    ("cpu", Order::Cpu),
    ("memory", Order::Memory),
    ("time", Order::Time),
    ("started", Order::Started),
];

/// Where a process stands in the order. Values change between two pages: the next page begins behind
/// this place, whoever stood there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: Rank,
    node: u32,
    pid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Number(u64),
    Text(String),
}

impl Wanted {
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, Problem> {
        let text = |name| parameters.text(name).map(str::to_owned);
        let flag = |name| parameters.parsed(name, "true or false", |text| text.parse().ok());
        let order = |text: &str| ORDERS.iter().find(|(word, _)| *word == text);
        let sort = "node, pid, name, cpu, memory, time or started";
        let limit = parameters.number("limit", 1..=LIMIT_MAX)?;
        Ok(Self {
            name: text("name"),
            user: text("user"),
            job: parameters.number("job", 0..=u64::MAX)?.map(JobId),
            managed: flag("managed")?.unwrap_or(false),
            kernel: flag("kernel")?.unwrap_or(true),
            order: parameters
                .parsed("sort", sort, order)?
                .map_or(Order::Node, |(_, order)| *order),
            limit: limit.unwrap_or(LIMIT_DEFAULT) as usize,
            after: parameters.parsed("after", "the `next` of a page", Place::parse)?,
        })
    }

    fn matches(&self, row: &ProcessRow) -> bool {
        let has_name = |part: &String| {
            let command = row.command.as_ref();
            row.name.contains(part) || command.is_some_and(|command| command.contains(part))
        };
        let has_user = |user: &String| {
            let is_number = row.uid.is_some_and(|uid| uid.to_string() == *user);
            row.user.as_ref() == Some(user) || is_number
        };
        self.name.as_ref().is_none_or(has_name)
            && self.user.as_ref().is_none_or(has_user)
            && (!self.managed || row.task.is_some())
            && (self.kernel || !row.is_kernel)
            && self
                .job
                .is_none_or(|job| row.task.is_some_and(|task| task.job == job))
    }

    fn place(&self, node: NodeId, row: &ProcessRow) -> Place {
        // What is not known comes last.
        let most = |value: Option<u64>| Rank::Number(u64::MAX - value.map_or(0, |value| value + 1));
        let rank = match self.order {
            Order::Node => Rank::Number(0),
            Order::Pid => Rank::Number(row.pid.into()),
            Order::Name => Rank::Text(row.name.clone()),
            Order::Cpu => most(row.cpu.map(|cpu| cpu.0.into())),
            Order::Memory => most(row.memory.map(|memory| memory.0.min(u64::MAX - 1))),
            Order::Time => Rank::Number(u64::MAX - row.cpu_micros),
            Order::Started => Rank::Number(u64::MAX - row.started_at.0),
        };
        Place {
            rank,
            node: node.0,
            pid: row.pid,
        }
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let rank = Rank::parse(parts.next()?)?;
        Some(Self {
            rank,
            node: parts.next()?.parse().ok()?,
            pid: parts.next()?.parse().ok()?,
        })
    }
}

/// As the `next` of a page.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rank {
            Rank::Number(number) => write!(formatter, "{number}")?,
            Rank::Text(text) => {
                formatter.write_char('x')?;
                for byte in text.bytes() {
                    write!(formatter, "{byte:02x}")?;
                }
            }
        }
        write!(formatter, "-{}-{}", self.node, self.pid)
    }
}

impl Rank {
    fn parse(text: &str) -> Option<Self> {
        let Some(digits) = text.strip_prefix('x') else {
            return text.parse().ok().map(Self::Number);
        };
        let pairs = digits.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        String::from_utf8(bytes?).ok().map(Self::Text)
    }
}

/// The first processes of all that were met, so that the answer of a large fleet stays small.
pub(super) struct Selection {
    wanted: Wanted,
    kept: Vec<Kept>,
    matching: u64,
}

struct Kept {
    place: Place,
    name: Arc<str>,
    boot: BootId,
    row: ProcessRow,
}

/// What is left of them.
pub(super) struct Selected {
    pub(super) processes: Vec<Process>,
    pub(super) matching: u64,
    pub(super) next: Option<String>,
}

impl Selection {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            kept: Vec::new(),
            matching: 0,
        }
    }

    /// Takes in the processes of a node.
    pub(super) fn add(&mut self, node: NodeId, name: &str, list: ProcessList) {
        let name: Arc<str> = name.into();
        for row in list.rows {
            if !self.wanted.matches(&row) {
                continue;
            }
            self.matching += 1;
            let place = self.wanted.place(node, &row);
            if self
                .wanted
                .after
                .as_ref()
                .is_some_and(|after| place <= *after)
            {
                continue;
            }
            self.kept.push(Kept {
                place,
                name: Arc::clone(&name),
                boot: list.boot,
                row,
            });
        }
        // One more than the page has, which shows that there is a next one.
        let most = self.wanted.limit + 1;
        if self.kept.len() > most + SLACK {
            self.kept
                .select_nth_unstable_by(most, |left, right| left.place.cmp(&right.place));
            self.kept.truncate(most);
        }
    }

    pub(super) fn finish(mut self) -> Selected {
        self.kept
            .sort_unstable_by(|left, right| left.place.cmp(&right.place));
        let is_more = self.kept.len() > self.wanted.limit;
        self.kept.truncate(self.wanted.limit);
        let last = self.kept.last().filter(|_| is_more);
        let next = last.map(|kept| kept.place.to_string());
        let shown =
            |kept: &Kept| Process::new(NodeId(kept.place.node), &kept.name, kept.boot, &kept.row);
        Selected {
            processes: self.kept.iter().map(shown).collect(),
            matching: self.matching,
            next,
        }
    }
}

#[cfg(test)]
mod tests;

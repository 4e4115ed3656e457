//! Which processes are answered, and in which order.

use std::{fmt, fmt::Write as _, sync::Arc};

use flota_model::{
    ids::{BootId, NodeId},
    process::{ProcessList, ProcessRow},
};
use flota_wire::rest::process::{self as rest, LIMIT_DEFAULT, LIMIT_MAX, Process};

use super::{super::Parameters, Collect, filter::Filter};
use crate::problem::Problem;

/// The names of [`Wanted::parse`], beside those of the filter.
pub(super) const PARAMETERS: [&str; 3] = ["sort", "limit", "after"];
/// Rows that are gathered beyond those that are kept, before the rest is dropped.
const SLACK: usize = 4_096;
/// Bytes of a text that decide about its place, so that the `next` of a page fits into an address.
const RANK_LENGTH_MAX: usize = 128;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    filter: Filter,
    order: Order,
    limit: usize,
    after: Option<Place>,
}

/// By what the list is sorted; ties by node and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Node,
    Pid,
    Parent,
    Name,
    Command,
    User,
    State,
    ControlGroup,
    Job,
    /// Most first, like the next five.
    Cpu,
    Machine,
    Memory,
    Time,
    Threads,
    /// Newest first.
    Started,
}

const ORDERS: [(&str, Order); 15] = [
    ("node", Order::Node),
    ("pid", Order::Pid),
    ("parent", Order::Parent),
    ("name", Order::Name),
    ("command", Order::Command),
    ("user", Order::User),
    ("state", Order::State),
    ("cgroup", Order::ControlGroup),
    ("job", Order::Job),
    ("cpu", Order::Cpu),
    ("machine", Order::Machine),
    ("memory", Order::Memory),
    ("time", Order::Time),
    ("threads", Order::Threads),
    ("started", Order::Started),
];
/// The words of [`ORDERS`].
pub(super) const ORDER_WORDS: [&str; ORDERS.len()] = {
    let mut words = [""; ORDERS.len()];
    let mut index = 0;
    while index < ORDERS.len() {
        words[index] = ORDERS[index].0;
        index += 1;
    }
    words
};

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
        let order = |text: &str| ORDERS.iter().find(|(word, _)| *word == text);
        let sort = format!("one of {}", ORDER_WORDS.join(", "));
        let limit = parameters.number("limit", 1..=LIMIT_MAX)?;
        Ok(Self {
            filter: Filter::parse(parameters)?,
            order: parameters
                .parsed("sort", &sort, order)?
                .map_or(Order::Node, |(_, order)| *order),
            limit: limit.unwrap_or(LIMIT_DEFAULT) as usize,
            after: parameters.parsed("after", "the `next` of a page", Place::parse)?,
        })
    }

    fn place(&self, node: NodeId, cores: Option<u32>, row: &ProcessRow) -> Place {
        // What is not known comes last.
        let most = |value: Option<u64>| {
            Rank::Number(u64::MAX - value.map_or(0, |value| value.saturating_add(1)))
        };
        let rank = match self.order {
            Order::Node => Rank::Number(0),
            Order::Pid => Rank::Number(row.pid.into()),
            Order::Parent => Rank::Number(row.parent.into()),
            Order::Name => Rank::of_text(Some(&row.name)),
            Order::Command => Rank::of_text(row.command.as_deref()),
            Order::User => Rank::of_text(row.user.as_deref()),
            Order::State => Rank::Number(u32::from(row.state).into()),
            Order::ControlGroup => Rank::of_text(row.control_group.as_deref()),
            Order::Job => Rank::Number(row.task.map_or(u64::MAX, |task| task.job.0)),
            Order::Cpu => most(row.cpu.map(|cpu| cpu.0.into())),
            Order::Machine => most(share(row, cores)),
            Order::Memory => most(row.memory.map(|memory| memory.0)),
            Order::Time => most(Some(row.cpu_micros)),
            Order::Threads => most(Some(row.threads.into())),
            Order::Started => most(Some(row.started_at.0)),
        };
        Place {
            rank,
            node: node.0,
            pid: row.pid,
        }
    }
}

/// Of the machine, in millionths of a core.
fn share(row: &ProcessRow, cores: Option<u32>) -> Option<u64> {
    let (cpu, cores) = row.cpu.zip(cores)?;
    Some(u64::from(cpu.0) * 1_000 / u64::from(cores.max(1)))
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
    /// What has no text comes last.
    fn of_text(text: Option<&str>) -> Self {
        let last = char::MAX.to_string();
        let text = text.unwrap_or(&last);
        Self::Text(text[..text.floor_char_boundary(RANK_LENGTH_MAX)].to_owned())
    }

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
    cores: Option<u32>,
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

    pub(super) fn finish(mut self) -> Selected {
        self.kept
            .sort_unstable_by(|left, right| left.place.cmp(&right.place));
        let is_more = self.kept.len() > self.wanted.limit;
        self.kept.truncate(self.wanted.limit);
        let last = self.kept.last().filter(|_| is_more);
        let next = last.map(|kept| kept.place.to_string());
        let shown = |kept: &Kept| {
            let place = rest::Place {
                node: NodeId(kept.place.node),
                name: &kept.name,
                boot: kept.boot,
                cores: kept.cores,
            };
            Process::new(place, &kept.row)
        };
        Selected {
            processes: self.kept.iter().map(shown).collect(),
            matching: self.matching,
            next,
        }
    }
}

impl Collect for Selection {
    fn add(&mut self, node: NodeId, name: &str, list: ProcessList) {
        let name: Arc<str> = name.into();
        for row in list.rows {
            if !self.wanted.filter.matches(&row) {
                continue;
            }
            self.matching += 1;
            let place = self.wanted.place(node, list.cores, &row);
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
                cores: list.cores,
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
}

#[cfg(test)]
mod tests;

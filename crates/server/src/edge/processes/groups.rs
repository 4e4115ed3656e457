//! Processes summed up by what they have in common.

use std::{cmp::Reverse, collections::HashMap};

use flota_model::{
    ids::NodeId,
    process::{ProcessList, ProcessRow},
    units::Cpus,
};
use flota_wire::rest::process::{GROUPS_DEFAULT, GROUPS_MAX, ProcessGroup, core_percent};

use super::{super::Parameters, Collect, filter::Filter};
use crate::problem::Problem;

/// The names of [`Grouping::parse`], beside those of the filter.
pub(super) const PARAMETERS: [&str; 3] = ["by", "sort", "limit"];
/// What processes can be grouped by.
pub(super) const KEYS: [&str; 5] = ["name", "user", "cgroup", "job", "node"];
/// By what groups are sorted.
pub(super) const ORDERS: [&str; 4] = ["group", "processes", "cpu", "memory"];
/// Most groups that are told apart: where every process has a group of its own, in a fleet of
/// thousands of nodes, sums say nothing any more.
const DISTINCT_MAX: usize = 65_536;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    User,
    ControlGroup,
    Job,
    Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Group,
    /// Most first, like the next two.
    Processes,
    Cpu,
    Memory,
}

/// What was asked for, and what was met of it.
pub(super) struct Grouping {
    filter: Filter,
    key: Key,
    order: Order,
    limit: usize,
    groups: HashMap<Option<String>, Sum>,
    left_out: u64,
}

/// Of one group. What could not be read is counted apart, and is no part of a sum.
#[derive(Debug, Default)]
struct Sum {
    processes: u64,
    threads: u64,
    cpu: Option<u64>,
    cpu_unknown: u64,
    cpu_micros: u64,
    memory: Option<u64>,
    memory_unknown: u64,
}

/// What came of it.
pub(super) struct Grouped {
    pub(super) groups: Vec<ProcessGroup>,
    pub(super) matching: u64,
    pub(super) left_out: u64,
}

impl Grouping {
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, Problem> {
        let keys = [Key::Name, Key::User, Key::ControlGroup, Key::Job, Key::Node];
        let wanted = format!("one of {}", KEYS.join(", "));
        let key = parameters.parsed("by", &wanted, |text| of_word(text, &KEYS, &keys))?;
        let orders = [Order::Group, Order::Processes, Order::Cpu, Order::Memory];
        let sort = format!("one of {}", ORDERS.join(", "));
        let order = parameters.parsed("sort", &sort, |text| of_word(text, &ORDERS, &orders))?;
        let limit = parameters.number("limit", 1..=GROUPS_MAX)?;
        Ok(Self {
            filter: Filter::parse(parameters)?,
            key: key.unwrap_or(Key::Name),
            order: order.unwrap_or(Order::Group),
            limit: limit.unwrap_or(GROUPS_DEFAULT) as usize,
            groups: HashMap::new(),
            left_out: 0,
        })
    }

    fn key(&self, node: &str, row: &ProcessRow) -> Option<String> {
        match self.key {
            Key::Name => Some(row.name.clone()),
            Key::User => {
                let number = || row.uid.map(|uid| uid.to_string());
                row.user.clone().or_else(number)
            }
            Key::ControlGroup => row.control_group.clone(),
            Key::Job => row.task.map(|task| task.job.to_string()),
            Key::Node => Some(node.to_owned()),
        }
    }

    pub(super) fn finish(self) -> Grouped {
        let matching = self.groups.len() as u64;
        let mut groups: Vec<(Option<String>, Sum)> = self.groups.into_iter().collect();
        // Those without a name last, like everything that is not known.
        groups.sort_unstable_by(|(left, _), (right, _)| {
            (left.is_none(), left).cmp(&(right.is_none(), right))
        });
        match self.order {
            Order::Group => {}
            Order::Processes => groups.sort_by_key(|(_, sum)| Reverse(sum.processes)),
            Order::Cpu => groups.sort_by_key(|(_, sum)| Reverse(sum.cpu)),
            Order::Memory => groups.sort_by_key(|(_, sum)| Reverse(sum.memory)),
        }
        groups.truncate(self.limit);
        Grouped {
            groups: groups
                .into_iter()
                .map(|(group, sum)| sum.shown(group))
                .collect(),
            matching,
            left_out: self.left_out,
        }
    }
}

impl Collect for Grouping {
    fn add(&mut self, _node: NodeId, name: &str, list: ProcessList) {
        for row in list.rows.iter().filter(|row| self.filter.matches(row)) {
            let key = self.key(name, row);
            if self.groups.len() >= DISTINCT_MAX && !self.groups.contains_key(&key) {
                self.left_out += 1;
                continue;
            }
            self.groups.entry(key).or_default().add(row);
        }
    }
}

impl Sum {
    fn add(&mut self, row: &ProcessRow) {
        self.processes += 1;
        self.threads += u64::from(row.threads);
        self.cpu_micros = self.cpu_micros.saturating_add(row.cpu_micros);
        match row.cpu {
            Some(cpu) => *self.cpu.get_or_insert_default() += u64::from(cpu.0),
            None => self.cpu_unknown += 1,
        }
        match row.memory {
            Some(memory) => {
                let sum = self.memory.get_or_insert_default();
                *sum = sum.saturating_add(memory.0);
            }
            None => self.memory_unknown += 1,
        }
    }

    fn shown(self, group: Option<String>) -> ProcessGroup {
        let cpu = self
            .cpu
            .map(|cpu| Cpus(u32::try_from(cpu).unwrap_or(u32::MAX)));
        ProcessGroup {
            group,
            processes: self.processes,
            threads: self.threads,
            cpu_core_percent: cpu.map(core_percent),
            cpu_unknown: self.cpu_unknown,
            cpu_seconds: flota_wire::rest::convert::micros_as_seconds(self.cpu_micros),
            memory: self.memory,
            memory_unknown: self.memory_unknown,
        }
    }
}

/// The value that stands where the word stands.
fn of_word<T: Copy>(text: &str, words: &[&str], values: &[T]) -> Option<T> {
    let index = words.iter().position(|word| *word == text)?;
    values.get(index).copied()
}

#[cfg(test)]
mod tests {
    use flota_model::{process::ProcessRow, units::Bytes};

    use super::*;
    use crate::problem::QUERY_INVALID;

    fn uri(query: &str) -> axum::http::Uri {
        format!("http://localhost/x?{query}").parse().unwrap()
    }

    fn grouping(query: &str) -> Result<Grouping, Problem> {
        let known: Vec<&str> = super::super::filter::FILTERS
            .into_iter()
            .chain(PARAMETERS)
            .collect();
        Grouping::parse(&Parameters::parse(&uri(query), &known)?)
    }

    fn row(name: &str, cpu: Option<u32>, memory: Option<u64>) -> ProcessRow {
        ProcessRow {
            name: name.into(),
            state: 'S',
            threads: 2,
            cpu_micros: 500_000,
            cpu: cpu.map(Cpus),
            memory: memory.map(Bytes),
            ..ProcessRow::default()
        }
    }

    fn list(rows: Vec<ProcessRow>) -> ProcessList {
        ProcessList {
            rows,
            ..ProcessList::default()
        }
    }

    fn grouped(query: &str) -> Vec<(Option<String>, u64)> {
        let mut grouping = grouping(query).unwrap();
        let rows = vec![
            row("b", Some(500), Some(10)),
            row("a", None, Some(20)),
            row("c", None, None),
        ];
        grouping.add(NodeId(1), "n1", list(rows));
        let rows = vec![row("b", Some(1_500), None), row("b", None, Some(5))];
        grouping.add(NodeId(2), "n2", list(rows));
        let shown = grouping.finish().groups.into_iter();
        shown.map(|group| (group.group, group.processes)).collect()
    }

    fn named(names: &[(&str, u64)]) -> Vec<(Option<String>, u64)> {
        let name = |(name, count): &(&str, u64)| (Some((*name).to_owned()), *count);
        names.iter().map(name).collect()
    }

    #[test]
    fn groups_are_made_over_all_nodes_and_sorted() {
        for (query, expected) in [
            ("by=name", &[("a", 1), ("b", 3), ("c", 1)][..]),
            ("by=name&sort=processes", &[("b", 3), ("a", 1), ("c", 1)]),
            ("by=name&sort=cpu", &[("b", 3), ("a", 1), ("c", 1)]),
            ("by=name&sort=memory", &[("a", 1), ("b", 3), ("c", 1)]),
            ("by=name&sort=processes&limit=1", &[("b", 3)]),
            ("by=node", &[("n1", 3), ("n2", 2)]),
            ("by=name&name=a", &[("a", 1)]),
        ] {
            assert_eq!(grouped(query), named(expected), "{query}");
        }
        assert_eq!(grouped("by=user"), [(None, 5)]);
    }

    #[test]
    fn what_is_not_known_is_counted_and_no_part_of_a_sum() {
        let mut grouping = grouping("by=name").unwrap();
        let rows = vec![
            row("b", Some(500), Some(10)),
            row("b", Some(2_000), None),
            row("b", None, Some(5)),
            row("c", None, None),
        ];
        grouping.add(NodeId(1), "n1", list(rows));
        let groups = grouping.finish().groups;
        let [b, c] = groups.as_slice() else {
            panic!("{groups:?}")
        };
        assert_eq!((b.cpu_core_percent, b.cpu_unknown), (Some(250.0), 1));
        assert_eq!((b.memory, b.memory_unknown), (Some(15), 1));
        assert_eq!((b.threads, b.cpu_seconds), (6, 1.5));
        assert_eq!((c.cpu_core_percent, c.memory), (None, None));
    }

    #[test]
    fn more_groups_than_can_be_told_apart_are_counted() {
        let mut grouping = grouping("by=name").unwrap();
        let names = 0..u64::try_from(DISTINCT_MAX).unwrap() + 3;
        let rows = names.map(|name| row(&name.to_string(), None, None));
        grouping.add(NodeId(1), "n1", list(rows.collect()));
        let grouped = grouping.finish();
        assert_eq!(grouped.left_out, 3);
        assert_eq!(grouped.matching, DISTINCT_MAX as u64);
        assert_eq!(grouped.groups.len(), GROUPS_DEFAULT as usize);
    }

    #[test]
    fn what_cannot_be_grouped_is_refused() {
        for query in ["by=", "by=size", "by=name&sort=size", "by=name&limit=0"] {
            let problem = grouping(query).err().map(|problem| problem.kind());
            assert_eq!(problem, Some(QUERY_INVALID), "{query}");
        }
    }
}

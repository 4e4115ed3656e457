//! What differs between two looks.

use std::{cmp::Ordering, collections::BTreeMap, iter::Peekable, sync::Arc};

use flota_model::{
    ids::{BootId, NodeId},
    process::{ProcessList, ProcessRow},
};
use flota_wire::rest::{
    convert::seconds,
    process::{AnsweredNode, Place, Process, ProcessDelta, ProcessSnapshot, SilentNode},
};
use serde::Serialize;

use super::super::filter::Filter;

/// Most processes of one watcher, by node and number; the others are counted.
pub(super) const ROWS_MAX: usize = 16_384;

/// What a watcher is shown at one tick. The lists are shared with the others.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) seen: BTreeMap<NodeId, Seen>,
    pub(super) silent: BTreeMap<u32, SilentNode>,
}

/// A node that answered.
pub(super) struct Seen {
    pub(super) name: Arc<str>,
    pub(super) list: Arc<ProcessList>,
}

/// A process with where it is.
#[derive(Clone, Copy)]
struct Found<'a> {
    node: NodeId,
    seen: &'a Seen,
    row: &'a ProcessRow,
}

/// The event of a tick: everything when there is no look before, else the difference.
pub(super) fn text(filter: &Filter, before: Option<&Shown>, now: &Shown) -> String {
    let Some(before) = before else {
        return event("snapshot", &snapshot(filter, now));
    };
    event("delta", &delta(filter, before, now))
}

fn snapshot(filter: &Filter, now: &Shown) -> ProcessSnapshot {
    ProcessSnapshot {
        processes: now
            .rows(filter)
            .take(ROWS_MAX)
            .map(Found::process)
            .collect(),
        left_out: now.left_out(filter),
        answered: now.answered(),
        unanswered: now.silent.values().cloned().collect(),
    }
}

/// Both looks are in the order of nodes and numbers, so that one walk over both finds everything.
fn delta(filter: &Filter, before: &Shown, now: &Shown) -> ProcessDelta {
    let mut old = before.rows(filter).take(ROWS_MAX).peekable();
    let mut new = now.rows(filter).take(ROWS_MAX).peekable();
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    loop {
        match compare(&mut old, &mut new) {
            None => break,
            Some(Ordering::Less) => {
                gone.extend(
                    old.next()
                        .filter(|row| !now.is_silent(row))
                        .map(Found::handle),
                );
            }
            Some(Ordering::Greater) => changed.extend(new.next().map(Found::process)),
            Some(Ordering::Equal) => {
                if let (Some(old), Some(new)) = (old.next(), new.next()) {
                    if old.identity() != new.identity() {
                        gone.push(old.handle());
                    }
                    if old.row != new.row {
                        changed.push(new.process());
                    }
                }
            }
        }
    }
    ProcessDelta {
        changed,
        gone,
        left_out: now.left_out(filter),
        answered: now.answered(),
        unanswered: now.silent.values().cloned().collect(),
    }
}

/// Which of the two comes first. `None` at the end of both.
fn compare<'a>(
    old: &mut Peekable<impl Iterator<Item = Found<'a>>>,
    new: &mut Peekable<impl Iterator<Item = Found<'a>>>,
) -> Option<Ordering> {
    match (old.peek(), new.peek()) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(old), Some(new)) => Some(old.place().cmp(&new.place())),
    }
}

impl Shown {
    fn rows<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = Found<'a>> {
        let of_node = move |(node, seen): (&'a NodeId, &'a Seen)| {
            let node = *node;
            let rows = seen.list.rows.iter().filter(move |row| filter.matches(row));
            rows.map(move |row| Found { node, seen, row })
        };
        self.seen.iter().flat_map(of_node)
    }

    fn left_out(&self, filter: &Filter) -> u64 {
        self.rows(filter).skip(ROWS_MAX).count() as u64
    }

    /// Whether nothing is known of it for now: its node did not answer.
    fn is_silent(&self, row: &Found<'_>) -> bool {
        self.silent.contains_key(&row.node.0)
    }

    fn answered(&self) -> Vec<AnsweredNode> {
        let answered = |(node, seen): (&NodeId, &Seen)| {
            let shown = u32::try_from(seen.list.rows.len()).unwrap_or(u32::MAX);
            AnsweredNode {
                node: node.0,
                name: seen.name.to_string(),
                read_at: seconds(seen.list.read_at),
                processes: seen.list.total,
                left_out: seen.list.total.saturating_sub(shown),
                scan: seen.list.scan,
            }
        };
        self.seen.iter().map(answered).collect()
    }
}

impl Found<'_> {
    fn place(&self) -> (NodeId, u32) {
        (self.node, self.row.pid)
    }

    /// What its handle has beside node and number.
    fn identity(&self) -> (BootId, u64, Option<u64>) {
        let row = self.row;
        (self.seen.list.boot, row.start_time, row.pidfd_inode)
    }

    fn handle(self) -> String {
        self.row.handle(self.node, self.seen.list.boot).to_string()
    }

    fn process(self) -> Process {
        let place = Place {
            node: self.node,
            name: &self.seen.name,
            boot: self.seen.list.boot,
            cores: self.seen.list.cores,
        };
        Process::new(place, self.row)
    }
}

fn event(name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).expect("strings and numbers are always JSON");
    format!("event:{name}\ndata:{data}\n\n")
}

//! Processes below their parents.

use std::collections::{BTreeMap, BTreeSet};

use flota_wire::rest::process::Process;

/// A process of a node.
type Name = (u32, u32);

/// Puts every process behind its parent, as far as that is in the list, and returns for each one by
/// its handle what is drawn in front of it. Siblings keep their order.
pub(super) fn arrange(processes: Vec<Process>) -> (Vec<Process>, BTreeMap<String, String>) {
    let listed: BTreeSet<Name> = processes.iter().map(name).collect();
    let mut children: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
    let mut roots = Vec::new();
    for (index, process) in processes.iter().enumerate() {
        let parent = (process.node, process.parent);
        if listed.contains(&parent) && parent != name(process) {
            children.entry(parent).or_default().push(index);
        } else {
            roots.push(index);
        }
    }
    let mut drawing = Drawing {
        processes: &processes,
        children,
        order: Vec::with_capacity(processes.len()),
        drawn: BTreeMap::new(),
    };
    drawing.draw(roots);
    // Numbers that were used again while they were read can make a circle, which has no root.
    let circles = (0..processes.len())
        .filter(|index| !drawing.drawn.contains_key(index))
        .collect();
    drawing.draw(circles);
    let Drawing { order, drawn, .. } = drawing;
    let mut taken: Vec<Option<Process>> = processes.into_iter().map(Some).collect();
    let arranged: Vec<Process> = order
        .iter()
        .filter_map(|index| taken.get_mut(*index)?.take())
        .collect();
    let marks = order.iter().zip(&arranged).filter_map(|(index, process)| {
        let mark = drawn.get(index)?.clone();
        Some((process.handle.clone(), mark))
    });
    let marks = marks.collect();
    (arranged, marks)
}

fn name(process: &Process) -> Name {
    (process.node, process.pid)
}

struct Drawing<'a> {
    processes: &'a [Process],
    children: BTreeMap<Name, Vec<usize>>,
    order: Vec<usize>,
    drawn: BTreeMap<usize, String>,
}

impl Drawing<'_> {
    /// Draws these and what is below them. Without recursion: a chain may be as long as the list.
    fn draw(&mut self, roots: Vec<usize>) {
        let root = |index| (index, String::new(), String::new());
        let mut left: Vec<(usize, String, String)> = roots.into_iter().rev().map(root).collect();
        while let Some((index, mark, below)) = left.pop() {
            if self.drawn.contains_key(&index) {
                continue;
            }
            self.order.push(index);
            self.drawn.insert(index, mark);
            let children = self.children.get(&name(&self.processes[index]));
            for (place, child) in children.into_iter().flatten().rev().enumerate() {
                let (mark, further) = if place == 0 {
                    ("└─ ", "   ")
                } else {
                    ("├─ ", "│  ")
                };
                left.push((
                    *child,
                    format!("{below}{mark}"),
                    format!("{below}{further}"),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flota_model::process::ProcessRow;
    use flota_wire::rest::process::Place;

    use super::*;

    fn process(node: u32, pid: u32, parent: u32) -> Process {
        let row = ProcessRow {
            pid,
            parent,
            ..ProcessRow::default()
        };
        let place = Place {
            node: flota_model::ids::NodeId(node),
            name: "n",
            boot: flota_model::ids::BootId(1),
            cores: None,
        };
        Process::new(place, &row)
    }

    fn drawn(processes: &[(u32, u32, u32)]) -> Vec<String> {
        let made = |(node, pid, parent): &(u32, u32, u32)| process(*node, *pid, *parent);
        let (arranged, marks) = arrange(processes.iter().map(made).collect());
        let line = |process: &Process| format!("{}{}", marks[&process.handle], process.pid);
        arranged.iter().map(line).collect()
    }

    #[test]
    fn children_stand_behind_their_parents_in_the_order_of_the_list() {
        let found = drawn(&[
            (1, 9, 4),
            (1, 1, 0),
            (1, 4, 1),
            (1, 5, 1),
            (1, 7, 4),
            (1, 8, 6),
        ]);
        let expected = ["1", "├─ 4", "│  ├─ 9", "│  └─ 7", "└─ 5", "8"];
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_of_other_nodes_are_no_parents() {
        assert_eq!(drawn(&[(1, 4, 1), (2, 1, 0)]), ["4", "1"]);
    }

    #[test]
    fn a_circle_and_a_long_chain_end() {
        assert_eq!(drawn(&[(1, 4, 5), (1, 5, 4)]), ["4", "└─ 5"]);
        assert_eq!(drawn(&[(1, 4, 4)]), ["4"]);
        let chain: Vec<_> = (1..=2_000).map(|pid| (1, pid, pid - 1)).collect();
        assert_eq!(drawn(&chain).len(), 2_000);
    }
}

//! `flota ps --watch`: redrawn on a terminal, a line of JSON for each tick elsewhere.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use clap::ArgMatches;
use flota_wire::rest::process::{Process, ProcessDelta, ProcessSnapshot, SilentNode};
use serde_json::{Value, json};

use super::{
    super::{Session, absence::Absence},
    columns, query,
};
use crate::{
    client::{Event, Events},
    exit::Exit,
    failure::Failure,
    fault::ClientFault,
    render::{Format, Listing},
};

/// Rows of a terminal where nobody says how many are wanted with `-n`.
const ROWS_SHOWN: usize = 40;
/// To the first column of the first row, and everything behind that is erased (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) async fn watch(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    interval: Duration,
) -> Result<Exit, Failure> {
    let query = query(matches);
    let sort = query.sort.clone().unwrap_or_else(|| "node".to_owned());
    let rows = matches.get_one::<u32>("limit").copied();
    let rows = rows.map_or(ROWS_SHOWN, |rows| {
        usize::try_from(rows).unwrap_or(usize::MAX)
    });
    let is_drawn = session.screen.is_terminal() && session.screen.format() == Format::Table;
    let mut view = View {
        sort,
        rows,
        is_drawn,
        table: Table::default(),
    };
    let client = session.client().await?;
    let opened = client.watch_processes(&query, interval).await;
    let mut events = opened.map_err(|fault| session.failure(&fault))?;
    loop {
        let absence = Absence::new();
        if let Some(fault) = view.follow(session, &mut events).await?
            && !absence.is_bearable(&fault)
        {
            return Err(session.failure(&fault));
        }
        view.interrupted(session)?;
        events = loop {
            absence.pause().await;
            let client = session.client().await?;
            match client.watch_processes(&query, interval).await {
                Ok(events) => break events,
                Err(fault) if absence.is_bearable(&fault) => {}
                Err(fault) => return Err(session.failure(&fault)),
            }
        };
    }
}

/// How a watch is shown.
struct View {
    sort: String,
    /// At most so many rows on a terminal.
    rows: usize,
    is_drawn: bool,
    table: Table,
}

impl View {
    /// Shows events until they end; the fault that ended them, if not the server itself.
    async fn follow(
        &mut self,
        session: &mut Session<'_>,
        events: &mut Events,
    ) -> Result<Option<ClientFault>, Failure> {
        loop {
            let event = match session.client().await?.next_event(events).await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                Err(fault) => return Ok(Some(fault)),
            };
            if self.is_drawn {
                self.table.take(&event);
                self.table.draw(session, &self.sort, self.rows)?;
            } else {
                session.screen.print_line(&line(&event))?;
            }
            session.screen.flush()?;
        }
    }

    /// Shows that nothing is known until the server is back, rather than what was.
    fn interrupted(&mut self, session: &mut Session<'_>) -> Result<(), Failure> {
        self.table = Table::default();
        if self.is_drawn {
            let text = session.language().watch_interrupted();
            session.screen.print(CLEAR)?;
            session.screen.print_line(&text)?;
        } else {
            let event = json!({"event": "interrupted"});
            session.screen.print_line(&event.to_string())?;
        }
        session.screen.flush()
    }
}

/// The event as one line, its name beside its data.
fn line(event: &Event) -> String {
    let data: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
    let mut object = json!({"event": event.name});
    if let (Some(object), Value::Object(data)) = (object.as_object_mut(), data) {
        object.extend(data);
    }
    object.to_string()
}

/// What is there now, by handle.
#[derive(Default)]
struct Table {
    processes: BTreeMap<String, Process>,
    silent: Vec<SilentNode>,
}

impl Table {
    /// Events of a later version are passed over.
    fn take(&mut self, event: &Event) {
        match event.name.as_str() {
            "snapshot" => {
                if let Ok(all) = serde_json::from_str::<ProcessSnapshot>(&event.data) {
                    self.processes.clear();
                    self.add(all.processes);
                    self.silent = all.unanswered;
                }
            }
            "delta" => {
                if let Ok(delta) = serde_json::from_str::<ProcessDelta>(&event.data) {
                    for handle in &delta.gone {
                        self.processes.remove(handle);
                    }
                    self.add(delta.changed);
                    // What a node had that does not answer is not known any more.
                    self.silent = delta.unanswered;
                    let silent = &self.silent;
                    self.processes
                        .retain(|_, process| !silent.iter().any(|node| node.node == process.node));
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, processes: Vec<Process>) {
        let named = |process: Process| (process.handle.clone(), process);
        self.processes.extend(processes.into_iter().map(named));
    }

    fn draw(&self, session: &mut Session<'_>, sort: &str, rows: usize) -> Result<(), Failure> {
        let language = session.language();
        let mut sorted: Vec<&Process> = self.processes.values().collect();
        sorted.sort_by(|left, right| order(sort, left, right));
        let shown: Vec<Process> = sorted.into_iter().take(rows).cloned().collect();
        session.screen.print(CLEAR)?;
        Listing {
            items: &shown,
            fields: columns(language, Format::Table, BTreeMap::new()),
            name: |process: &Process| process.handle.clone(),
        }
        .print(session.screen)?;
        let all = self.processes.len();
        session
            .screen
            .print_line(&language.rows_of(shown.len(), all))?;
        for node in &self.silent {
            session.screen.print_line(&node.detail)?;
        }
        Ok(())
    }
}

/// As the server orders a list; ties by node and number.
fn order(sort: &str, left: &Process, right: &Process) -> Ordering {
    let most = |of: fn(&Process) -> Option<f64>| {
        let (left, right) = (of(left), of(right));
        right.partial_cmp(&left).unwrap_or(Ordering::Equal)
    };
    let text = |of: fn(&Process) -> Option<&str>| {
        let (left, right) = (of(left), of(right));
        (left.is_none(), left).cmp(&(right.is_none(), right))
    };
    let first = match sort {
        "pid" => left.pid.cmp(&right.pid),
        "parent" => left.parent.cmp(&right.parent),
        "name" => left.name.cmp(&right.name),
        "command" => text(|process| process.command.as_deref()),
        "user" => text(|process| process.user.as_deref()),
        "state" => left.state.cmp(&right.state),
        "cgroup" => text(|process| process.control_group.as_deref()),
        "job" => {
            let job = |process: &Process| process.task.as_ref().map_or(u64::MAX, |task| task.job);
            job(left).cmp(&job(right))
        }
        "cpu" => most(|process| process.cpu),
        "machine" => most(|process| process.cpu_machine_percent),
        "memory" => right.memory.cmp(&left.memory),
        "time" => most(|process| Some(process.cpu_seconds)),
        "threads" => right.threads.cmp(&left.threads),
        "started" => most(|process| Some(process.started_at)),
        _ => Ordering::Equal,
    };
    first.then_with(|| (left.node, left.pid).cmp(&(right.node, right.pid)))
}

#[cfg(test)]
mod tests {
    use flota_model::{
        ids::{BootId, NodeId},
        process::ProcessRow,
        units::Cpus,
    };
    use flota_wire::rest::process::Place;

    use super::*;

    fn process(node: u32, pid: u32, cpu: Option<u32>) -> Process {
        let row = ProcessRow {
            pid,
            cpu: cpu.map(Cpus),
            ..ProcessRow::default()
        };
        let place = Place {
            node: NodeId(node),
            name: "n",
            boot: BootId(1),
            cores: None,
        };
        Process::new(place, &row)
    }

    fn event(name: &str, data: &Value) -> Event {
        Event {
            name: name.into(),
            data: data.to_string(),
        }
    }

    fn delta(changed: &[Process], gone: &[String], silent_nodes: &[u32]) -> Event {
        let silent = |node: &u32| json!({"node": node, "name": "n", "phase": "up", "code": "E", "detail": "late"});
        let unanswered: Vec<Value> = silent_nodes.iter().map(silent).collect();
        let data = json!({"changed": changed, "gone": gone, "left_out": 0, "answered": [],
            "unanswered": unanswered});
        event("delta", &data)
    }

    fn pids(table: &Table, sort: &str) -> Vec<u32> {
        let mut rows: Vec<&Process> = table.processes.values().collect();
        rows.sort_by(|left, right| order(sort, left, right));
        rows.iter().map(|process| process.pid).collect()
    }

    #[test]
    fn a_table_follows_what_changes() {
        let mut table = Table::default();
        let first = [
            process(1, 5, Some(10)),
            process(1, 6, None),
            process(2, 7, Some(30)),
        ];
        let data = json!({"processes": first, "left_out": 0, "answered": [], "unanswered": []});
        table.take(&event("snapshot", &data));
        assert_eq!(pids(&table, "cpu"), [7, 5, 6]);
        let gone = [first[0].handle.clone()];
        table.take(&delta(
            &[process(1, 6, Some(50)), process(1, 8, None)],
            &gone,
            &[],
        ));
        assert_eq!(pids(&table, "cpu"), [6, 7, 8]);
        assert_eq!(pids(&table, "node"), [6, 8, 7]);
        // Nothing is known of a node that does not answer.
        table.take(&delta(&[], &[], &[1]));
        assert_eq!(pids(&table, "pid"), [7]);
        table.take(&event("later", &json!({})));
        assert_eq!(pids(&table, "pid"), [7]);
    }

    #[test]
    fn a_tick_is_one_line_with_its_name() {
        let shown = line(&event("delta", &json!({"gone": []})));
        assert_eq!(shown, r#"{"event":"delta","gone":[]}"#);
    }
}

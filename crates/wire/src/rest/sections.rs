//! A process for people: the same tables on a screen and on a page.

use std::collections::BTreeMap;

use super::inspect::{OpenFile, ProcessDetails, Rows, Socket, Thread};

/// A part of what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Title {
    /// `arguments`
    Arguments,
    /// `environment`
    Environment,
    /// `limits`
    Limits,
    /// `files`
    Files,
    /// `sockets`
    Sockets,
    /// `thread_list`
    Threads,
    /// `control_groups`
    ControlGroups,
    /// `io`
    Io,
    /// `namespaces`
    Namespaces,
    /// `memory_detail`
    Memory,
    /// `status`
    Status,
    /// `children`
    Children,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Its name.
    Name,
    /// What it is set to.
    Value,
    /// The limit that holds.
    Soft,
    /// The limit of the limit.
    Hard,
    /// Of what.
    Unit,
    /// A number of it.
    Number,
    /// What it is.
    Kind,
    /// Read, write or both.
    Access,
    /// What it points to.
    Target,
    /// Of a socket.
    Protocol,
    /// The near end.
    Local,
    /// The far end.
    Remote,
    /// How it is.
    State,
    /// Processor time.
    Seconds,
    /// What a control group controls.
    Controllers,
    /// Where it is.
    Path,
    /// Of a process.
    Handle,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it is of.
    pub title: Title,
    /// Headers.
    pub columns: &'static [Column],
    /// Cells, as many as there are columns.
    pub rows: Vec<Vec<String>>,
    /// How many rows there are, whether they are all here or not.
    pub total: usize,
    /// Why there is nothing.
    pub reason: Option<String>,
}

const NAMED: &[Column] = &[Column::Name, Column::Value];
const FILES: &[Column] = &[Column::Number, Column::Kind, Column::Access, Column::Target];
const SOCKETS: &[Column] = &[
    Column::Number,
    Column::Protocol,
    Column::State,
    Column::Local,
    Column::Remote,
];
const THREADS: &[Column] = &[Column::Number, Column::State, Column::Seconds, Column::Name];
const CHILDREN: &[Column] = &[Column::Number, Column::State, Column::Name, Column::Handle];

impl ProcessDetails {
    /// Everything that is a table, in a fixed order. `masked` stands for a value that was not asked
    /// for, `none` for a limit that there is not.
    pub fn sections(&self, masked: &str, none: &str) -> Vec<Section> {
        let parts = [self.given(masked, none), self.held(), self.counted()];
        parts.into_iter().flatten().collect()
    }

    /// What it was started with.
    fn given(&self, masked: &str, none: &str) -> Vec<Section> {
        let amount = |value: Option<u64>| value.map_or(none.to_owned(), |value| value.to_string());
        let arguments = self.arguments.as_ref();
        let arguments = arguments.map(|part| cells(part, |text| vec![text.clone()]));
        let environment = self.environment.as_ref().map(|part| {
            cells(part, |variable| {
                let value = variable.value.as_deref().unwrap_or(masked);
                vec![variable.name.clone(), value.to_owned()]
            })
        });
        let limits = self.limits.as_ref().map(|limits| {
            all(limits, |limit| {
                let (soft, hard) = (amount(limit.soft), amount(limit.hard));
                vec![limit.name.clone(), soft, hard, limit.unit.clone()]
            })
        });
        let of_limits = &[Column::Name, Column::Soft, Column::Hard, Column::Unit];
        vec![
            self.section(Title::Arguments, &[Column::Value], arguments),
            self.section(Title::Environment, NAMED, environment),
            self.section(Title::Limits, of_limits, limits),
        ]
    }

    /// What it has now.
    fn held(&self) -> Vec<Section> {
        let files = self.files.as_ref().map(|part| cells(part, file));
        let sockets = self.sockets.as_ref().map(|part| cells(part, socket));
        let threads = self.thread_list.as_ref();
        let threads = threads.map(|part| cells(part, thread));
        let children = cells(&self.children, |child| {
            let (number, state) = (child.pid.to_string(), child.state.clone());
            vec![number, state, child.name.clone(), child.handle.clone()]
        });
        let groups = self.control_groups.as_ref().map(|groups| {
            all(groups, |group| {
                vec![group.controllers.clone(), group.path.clone()]
            })
        });
        vec![
            self.section(Title::Files, FILES, files),
            self.section(Title::Sockets, SOCKETS, sockets),
            self.section(Title::Threads, THREADS, threads),
            self.section(Title::Children, CHILDREN, Some(children)),
            self.section(
                Title::ControlGroups,
                &[Column::Controllers, Column::Path],
                groups,
            ),
        ]
    }

    /// What the kernel says of it in numbers and words.
    fn counted(&self) -> Vec<Section> {
        vec![
            self.section(Title::Memory, NAMED, self.memory_detail.as_ref().map(pairs)),
            self.section(Title::Io, NAMED, self.io.as_ref().map(pairs)),
            self.section(Title::Status, NAMED, self.status.as_ref().map(pairs)),
            self.section(
                Title::Namespaces,
                NAMED,
                self.namespaces.as_ref().map(pairs),
            ),
        ]
    }

    fn section(
        &self,
        title: Title,
        columns: &'static [Column],
        cells: Option<(Vec<Vec<String>>, usize)>,
    ) -> Section {
        let reason = match cells {
            Some(_) => None,
            None => Some(
                self.unreadable
                    .get(title.field())
                    .cloned()
                    .unwrap_or_default(),
            ),
        };
        let (rows, total) = cells.unwrap_or_default();
        Section {
            title,
            columns,
            rows,
            total,
            reason,
        }
    }
}

impl Title {
    /// The field of [`ProcessDetails`].
    pub fn field(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Environment => "environment",
            Self::Limits => "limits",
            Self::Files => "files",
            Self::Sockets => "sockets",
            Self::Threads => "thread_list",
            Self::ControlGroups => "control_groups",
            Self::Io => "io",
            Self::Namespaces => "namespaces",
            Self::Memory => "memory_detail",
            Self::Status => "status",
            Self::Children => "children",
        }
    }
}

fn cells<T>(part: &Rows<T>, show: impl Fn(&T) -> Vec<String>) -> (Vec<Vec<String>>, usize) {
    let total = usize::try_from(part.total).unwrap_or(usize::MAX);
    (part.rows.iter().map(show).collect(), total)
}

fn all<T>(rows: &[T], show: impl Fn(&T) -> Vec<String>) -> (Vec<Vec<String>>, usize) {
    whole(rows.iter().map(show).collect())
}

fn pairs<T: ToString>(map: &BTreeMap<String, T>) -> (Vec<Vec<String>>, usize) {
    let row = |(name, value): (&String, &T)| vec![name.clone(), value.to_string()];
    whole(map.iter().map(row).collect())
}

fn whole(rows: Vec<Vec<String>>) -> (Vec<Vec<String>>, usize) {
    let total = rows.len();
    (rows, total)
}

fn file(file: &OpenFile) -> Vec<String> {
    let access = match (file.readable, file.writable) {
        (Some(true), Some(true)) => "rw",
        (Some(true), _) => "r",
        (_, Some(true)) => "w",
        _ => "",
    };
    let (number, kind) = (file.number.to_string(), file.kind.clone());
    vec![number, kind, access.to_owned(), file.target.clone()]
}

fn socket(socket: &Socket) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        socket.number.to_string(),
        text(&socket.protocol),
        text(&socket.state),
        text(&socket.local),
        text(&socket.remote),
    ]
}

fn thread(thread: &Thread) -> Vec<String> {
    let (number, time) = (thread.number.to_string(), thread.cpu_seconds);
    let (state, name) = (thread.state.clone(), thread.name.clone());
    vec![number, state, format!("{time:.2}"), name]
}

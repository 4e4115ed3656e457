//! One process seen from all sides.

use std::collections::BTreeMap;

use flota_model::{
    ids::BootId,
    inspect::{
        ChildRow, ControlGroup, FileKind, LINES_MAX, Limit, OpenFile, PARTS_MAX, PATH_LENGTH_MAX,
        Part, ProcessDetail, Program, Seen, Socket, TEXTS_BYTES_MAX, TEXTS_MAX, Thread, Unseen,
        Variable,
    },
    units::Timestamp,
};

use super::{
    DecodeFault,
    answers::{decode_row, encode_row},
    at_most, proto,
    up::halves,
};

/// `EIO` (`man 3 errno`): what an agent of another version does not send has no reason that we know.
const NOT_SENT: i32 = 5;

pub(super) fn encode(detail: &ProcessDetail) -> proto::ProcessDetail {
    let [boot_high, boot_low] = halves(detail.boot);
    let mut unseen = BTreeMap::new();
    let mut seen = Unseens(&mut unseen);
    proto::ProcessDetail {
        boot_high,
        boot_low,
        read_at: detail.read_at.0,
        cores: detail.cores,
        row: Some(encode_row(&detail.row)),
        arguments: seen.of("arguments", &detail.arguments, encode_texts),
        environment: seen.of("environment", &detail.environment, |part| {
            proto::Variables {
                rows: part.rows.iter().map(encode_variable).collect(),
                total: part.total,
            }
        }),
        folder: seen.of("folder", &detail.folder, Clone::clone),
        root: seen.of("root", &detail.root, Clone::clone),
        program: seen.of("program", &detail.program, |program| proto::Program {
            path: program.path.clone(),
            is_deleted: program.is_deleted,
        }),
        limits: seen.of("limits", &detail.limits, |limits| proto::Limits {
            rows: limits.iter().map(encode_limit).collect(),
        }),
        files: seen.of("files", &detail.files, |part| proto::OpenFiles {
            rows: part.rows.iter().map(encode_file).collect(),
            total: part.total,
        }),
        sockets: seen.of("sockets", &detail.sockets, |part| proto::Sockets {
            rows: part.rows.iter().map(encode_socket).collect(),
            total: part.total,
        }),
        threads: seen.of("threads", &detail.threads, |part| proto::Threads {
            rows: part.rows.iter().map(encode_thread).collect(),
            total: part.total,
        }),
        control_groups: seen.of("control_groups", &detail.control_groups, |groups| {
            proto::ControlGroups {
                rows: groups.iter().map(encode_group).collect(),
            }
        }),
        io: seen.of("io", &detail.io, encode_numbers),
        namespaces: seen.of("namespaces", &detail.namespaces, encode_numbers),
        memory: seen.of("memory", &detail.memory, encode_numbers),
        status: seen.of("status", &detail.status, |lines| proto::Lines {
            values: lines.clone().into_iter().collect(),
        }),
        children: detail.children.rows.iter().map(encode_child).collect(),
        children_total: detail.children.total,
        unseen,
    }
}

/// Why fields are absent.
struct Unseens<'a>(&'a mut BTreeMap<String, i32>);

impl Unseens<'_> {
    fn of<T, U>(&mut self, name: &str, seen: &Seen<T>, encode: impl Fn(&T) -> U) -> Option<U> {
        match seen {
            Ok(value) => Some(encode(value)),
            Err(unseen) => {
                self.0.insert(name.to_owned(), unseen.errno);
                None
            }
        }
    }
}

fn encode_texts(part: &Part<String>) -> proto::Texts {
    proto::Texts {
        rows: part.rows.clone(),
        total: part.total,
    }
}

fn encode_numbers(numbers: &BTreeMap<String, u64>) -> proto::Numbers {
    proto::Numbers {
        values: numbers.clone().into_iter().collect(),
    }
}

fn encode_variable(variable: &Variable) -> proto::Variable {
    proto::Variable {
        name: variable.name.clone(),
        value: variable.value.clone(),
    }
}

fn encode_limit(limit: &Limit) -> proto::Limit {
    proto::Limit {
        name: limit.name.clone(),
        soft: limit.soft,
        hard: limit.hard,
        unit: limit.unit.clone(),
    }
}

fn encode_file(file: &OpenFile) -> proto::OpenFile {
    proto::OpenFile {
        number: file.number,
        kind: file.kind.word().to_owned(),
        target: file.target.clone(),
        is_readable: file.is_readable,
        is_writable: file.is_writable,
        position: file.position,
    }
}

fn encode_socket(socket: &Socket) -> proto::Socket {
    proto::Socket {
        number: socket.number,
        inode: socket.inode,
        protocol: socket.protocol.clone(),
        local: socket.local.clone(),
        remote: socket.remote.clone(),
        state: socket.state.clone(),
    }
}

fn encode_thread(thread: &Thread) -> proto::Thread {
    proto::Thread {
        number: thread.number,
        name: thread.name.clone(),
        state: thread.state.into(),
        cpu_micros: thread.cpu_micros,
    }
}

fn encode_group(group: &ControlGroup) -> proto::ControlGroup {
    proto::ControlGroup {
        controllers: group.controllers.clone(),
        path: group.path.clone(),
    }
}

fn encode_child(child: &ChildRow) -> proto::ChildRow {
    proto::ChildRow {
        pid: child.pid,
        start_time: child.start_time,
        pidfd_inode: child.pidfd_inode,
        name: child.name.clone(),
        state: child.state.into(),
    }
}

pub(super) fn decode(detail: proto::ProcessDetail) -> Result<ProcessDetail, DecodeFault> {
    let row = detail.row.ok_or(DecodeFault::Missing("detail.row"))?;
    at_most("detail.children", detail.children.len(), PARTS_MAX)?;
    let unseen = detail.unseen;
    let of = |name: &'static str| Unseen {
        errno: unseen.get(name).copied().unwrap_or(NOT_SENT),
    };
    Ok(ProcessDetail {
        boot: BootId(u128::from(detail.boot_high) << 64 | u128::from(detail.boot_low)),
        read_at: Timestamp(detail.read_at),
        cores: detail.cores,
        row: decode_row(row)?,
        arguments: seen(detail.arguments, of("arguments"), decode_texts)?,
        environment: seen(detail.environment, of("environment"), decode_variables)?,
        folder: seen(detail.folder, of("folder"), path)?,
        root: seen(detail.root, of("root"), path)?,
        program: seen(detail.program, of("program"), |program| {
            Ok(Program {
                path: path(program.path)?,
                is_deleted: program.is_deleted,
            })
        })?,
        limits: seen(detail.limits, of("limits"), |limits| {
            rows(limits.rows, LINES_MAX, decode_limit)
        })?,
        files: seen(detail.files, of("files"), |files| {
            part(files.rows, files.total, decode_file)
        })?,
        sockets: seen(detail.sockets, of("sockets"), |sockets| {
            part(sockets.rows, sockets.total, decode_socket)
        })?,
        threads: seen(detail.threads, of("threads"), |threads| {
            part(threads.rows, threads.total, decode_thread)
        })?,
        control_groups: seen(detail.control_groups, of("control_groups"), |groups| {
            rows(groups.rows, LINES_MAX, decode_group)
        })?,
        io: seen(detail.io, of("io"), decode_numbers)?,
        namespaces: seen(detail.namespaces, of("namespaces"), decode_numbers)?,
        memory: seen(detail.memory, of("memory"), decode_numbers)?,
        status: seen(detail.status, of("status"), |lines| {
            at_most("detail.status", lines.values.len(), LINES_MAX)?;
            let mut texts = lines.values.values();
            texts.try_for_each(|text| at_most("detail.status", text.len(), PATH_LENGTH_MAX))?;
            Ok(lines.values.into_iter().collect())
        })?,
        children: part(detail.children, detail.children_total, decode_child)?,
    })
}

fn seen<T, U>(
    value: Option<T>,
    unseen: Unseen,
    decode: impl FnOnce(T) -> Result<U, DecodeFault>,
) -> Result<Seen<U>, DecodeFault> {
    match value {
        Some(value) => decode(value).map(Ok),
        None => Ok(Err(unseen)),
    }
}

fn rows<T, U>(
    rows: Vec<T>,
    most: usize,
    decode: fn(T) -> Result<U, DecodeFault>,
) -> Result<Vec<U>, DecodeFault> {
    at_most("detail.rows", rows.len(), most)?;
    rows.into_iter().map(decode).collect()
}

fn part<T, U>(
    of: Vec<T>,
    total: u32,
    decode: fn(T) -> Result<U, DecodeFault>,
) -> Result<Part<U>, DecodeFault> {
    let rows = rows(of, PARTS_MAX, decode)?;
    Ok(Part { rows, total })
}

fn path(text: String) -> Result<String, DecodeFault> {
    at_most("detail.text", text.len(), PATH_LENGTH_MAX)?;
    Ok(text)
}

fn maybe_path(text: Option<String>) -> Result<Option<String>, DecodeFault> {
    text.map(path).transpose()
}

fn state(number: u32) -> Result<char, DecodeFault> {
    let state = char::from_u32(number).filter(char::is_ascii_alphabetic);
    state.ok_or(DecodeFault::Invalid {
        field: "detail.state",
        what: "is no letter",
    })
}

fn decode_texts(texts: proto::Texts) -> Result<Part<String>, DecodeFault> {
    let length = texts.rows.iter().map(String::len).sum();
    at_most("detail.arguments", length, TEXTS_BYTES_MAX)?;
    at_most("detail.arguments", texts.rows.len(), TEXTS_MAX)?;
    Ok(Part {
        rows: texts.rows,
        total: texts.total,
    })
}

fn decode_variables(variables: proto::Variables) -> Result<Part<Variable>, DecodeFault> {
    let value = |variable: &proto::Variable| variable.value.as_ref().map_or(0, String::len);
    let all = variables.rows.iter();
    let length = all
        .map(|variable| variable.name.len() + value(variable))
        .sum();
    at_most("detail.environment", length, TEXTS_BYTES_MAX)?;
    at_most("detail.environment", variables.rows.len(), TEXTS_MAX)?;
    let variable = |variable: proto::Variable| Variable {
        name: variable.name,
        value: variable.value,
    };
    Ok(Part {
        rows: variables.rows.into_iter().map(variable).collect(),
        total: variables.total,
    })
}

fn decode_numbers(numbers: proto::Numbers) -> Result<BTreeMap<String, u64>, DecodeFault> {
    at_most("detail.numbers", numbers.values.len(), LINES_MAX)?;
    let mut names = numbers.values.keys();
    names.try_for_each(|name| at_most("detail.numbers", name.len(), PATH_LENGTH_MAX))?;
    Ok(numbers.values.into_iter().collect())
}

fn decode_limit(limit: proto::Limit) -> Result<Limit, DecodeFault> {
    Ok(Limit {
        name: path(limit.name)?,
        soft: limit.soft,
        hard: limit.hard,
        unit: path(limit.unit)?,
    })
}

fn decode_file(file: proto::OpenFile) -> Result<OpenFile, DecodeFault> {
    let mut kinds = FileKind::ALL.into_iter();
    Ok(OpenFile {
        number: file.number,
        kind: kinds
            .find(|kind| kind.word() == file.kind)
            .unwrap_or(FileKind::Other),
        target: path(file.target)?,
        is_readable: file.is_readable,
        is_writable: file.is_writable,
        position: file.position,
    })
}

fn decode_socket(socket: proto::Socket) -> Result<Socket, DecodeFault> {
    Ok(Socket {
        number: socket.number,
        inode: socket.inode,
        protocol: maybe_path(socket.protocol)?,
        local: maybe_path(socket.local)?,
        remote: maybe_path(socket.remote)?,
        state: maybe_path(socket.state)?,
    })
}

fn decode_thread(thread: proto::Thread) -> Result<Thread, DecodeFault> {
    Ok(Thread {
        number: thread.number,
        name: path(thread.name)?,
        state: state(thread.state)?,
        cpu_micros: thread.cpu_micros,
    })
}

fn decode_group(group: proto::ControlGroup) -> Result<ControlGroup, DecodeFault> {
    Ok(ControlGroup {
        controllers: path(group.controllers)?,
        path: path(group.path)?,
    })
}

fn decode_child(child: proto::ChildRow) -> Result<ChildRow, DecodeFault> {
    Ok(ChildRow {
        pid: child.pid,
        start_time: child.start_time,
        pidfd_inode: child.pidfd_inode,
        name: path(child.name)?,
        state: state(child.state)?,
    })
}

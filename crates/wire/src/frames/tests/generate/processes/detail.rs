//! Processes seen from all sides, with all kinds of holes.

use std::collections::BTreeMap;

use flota_model::inspect::{
    ChildRow, ControlGroup, FileKind, Limit, OpenFile, Part, ProcessDetail, Program, Seen, Socket,
    Thread, Unseen, Variable,
};

use super::{boot, row, *};

fn seen<T>(random: &mut Random, make: impl FnOnce(&mut Random) -> T) -> Seen<T> {
    if flag(random) {
        return Ok(make(random));
    }
    Err(Unseen {
        errno: small(random).cast_signed(),
    })
}

fn part<T>(random: &mut Random, make: fn(&mut Random) -> T) -> Part<T> {
    Part {
        rows: list(random, make),
        total: small(random),
    }
}

fn numbers(random: &mut Random) -> BTreeMap<String, u64> {
    list(random, |random| (word(random), number(random)))
        .into_iter()
        .collect()
}

fn state(random: &mut Random) -> char {
    ['R', 'S', 'D'][random.below(3)]
}

fn limit(random: &mut Random) -> Limit {
    Limit {
        name: word(random),
        soft: maybe(random, number),
        hard: maybe(random, number),
        unit: word(random),
    }
}

fn file(random: &mut Random) -> OpenFile {
    OpenFile {
        number: small(random),
        kind: FileKind::ALL[random.below(FileKind::ALL.len())],
        target: word(random),
        is_readable: maybe(random, flag),
        is_writable: maybe(random, flag),
        position: maybe(random, number),
    }
}

fn socket(random: &mut Random) -> Socket {
    Socket {
        number: small(random),
        inode: number(random),
        protocol: maybe(random, word),
        local: maybe(random, word),
        remote: maybe(random, word),
        state: maybe(random, word),
    }
}

fn thread(random: &mut Random) -> Thread {
    Thread {
        number: small(random),
        name: word(random),
        state: state(random),
        cpu_micros: number(random),
    }
}

fn child(random: &mut Random) -> ChildRow {
    ChildRow {
        pid: small(random),
        start_time: number(random),
        pidfd_inode: maybe(random, number),
        name: word(random),
        state: state(random),
    }
}

pub(super) fn detail(random: &mut Random) -> ProcessDetail {
    ProcessDetail {
        boot: boot(random),
        read_at: Timestamp(number(random)),
        cores: maybe(random, small),
        row: row(random),
        arguments: seen(random, |random| part(random, word)),
        environment: seen(random, |random| {
            part(random, |random| Variable {
                name: word(random),
                value: maybe(random, word),
            })
        }),
        folder: seen(random, word),
        root: seen(random, word),
        program: seen(random, |random| Program {
            path: word(random),
            is_deleted: flag(random),
        }),
        limits: seen(random, |random| list(random, limit)),
        files: seen(random, |random| part(random, file)),
        sockets: seen(random, |random| part(random, socket)),
        threads: seen(random, |random| part(random, thread)),
        control_groups: seen(random, |random| {
            list(random, |random| ControlGroup {
                controllers: word(random),
                path: word(random),
            })
        }),
        io: seen(random, numbers),
        namespaces: seen(random, numbers),
        memory: seen(random, numbers),
        status: seen(random, |random| {
            let lines = list(random, |random| (word(random), word(random)));
            lines.into_iter().collect()
        }),
        children: part(random, child),
    }
}

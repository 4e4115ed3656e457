//! Logs of real programs under real keepers.

use std::{fmt::Write as _, fs, time::Duration};

use flota_engine::{
    keeper::api::{FromKeeper, Launch, LogMode},
    logs::Limits,
};
use flota_model::{
    ids::AttemptId,
    log::{LOG_PART_MAX, LogFrom, LogPart, LogQuestion},
    outcome::StreamName,
    units::Timestamp,
};

use super::{
    FOLDER, LogId, Logs, Store,
    reader::{last_lines, read},
};
use crate::{
    sys::clock,
    testing::{Bench, SmallDisk, wait_for},
};

/// Numbered lines as fast as a shell can.
fn lines(count: u32) -> String {
    format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i of the log; done")
}

/// What that writes.
fn written(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut text = String::new();
    for number in numbers {
        writeln!(text, "line {number} of the log").unwrap();
    }
    text
}

fn rotated(bench: &Bench, sequence: u64, script: &str) -> Launch {
    Launch {
        logs: LogMode::Rotated { run: 1 },
        ..bench.script(sequence, script)
    }
}

fn question(attempt: AttemptId, from: LogFrom) -> LogQuestion {
    LogQuestion {
        attempt,
        run: None,
        stream: StreamName::Stdout,
        from,
        until: None,
        length: LOG_PART_MAX,
        marks: false,
    }
}

/// All that there is from an offset on, with the number of bytes that are missing.
fn all(store: &Store, mut question: LogQuestion) -> (Vec<u8>, u64) {
    let (mut bytes, mut missing) = (Vec::new(), 0);
    let mut asked = match question.from {
        LogFrom::Offset(offset) => Some(offset),
        LogFrom::Tail(_) | LogFrom::Since(_) => None,
    };
    loop {
        let part = read(store, &question).unwrap().unwrap();
        missing += part.start - asked.unwrap_or(part.start);
        bytes.extend(&part.bytes);
        if part.at_end {
            return (bytes, missing);
        }
        asked = Some(part.next);
        question.from = LogFrom::Offset(part.next);
    }
}

fn store(bench: &Bench, limits: Limits) -> Store {
    Store::open(bench.folder.path(), limits).unwrap()
}

/// Waits until nobody may write to the log any more.
fn wait_closed(store: &Store, attempt: AttemptId) -> LogPart {
    wait_for("the end of the log", || {
        let part = read(store, &question(attempt, LogFrom::Offset(u64::MAX))).unwrap();
        part.filter(|part| !part.growing)
    })
}

fn small() -> Limits {
    Limits {
        segment_bytes: 4_096,
        segments_max: 1_000,
        ..Limits::default()
    }
}

#[test]
fn a_log_is_rotated_at_line_ends_and_read_as_one() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    client.start(rotated(
        &bench,
        1,
        &format!("{}; echo last; printf end >&2", lines(2_000)),
    ));
    client.wait_end(attempt);
    let store = store(&bench, small());
    let (bytes, missing) = all(&store, question(attempt, LogFrom::Offset(0)));
    let mut expected = written(1..=2_000);
    expected.push_str("last\n");
    assert_eq!((String::from_utf8(bytes).unwrap(), missing), (expected, 0));
    let mut segments = 0;
    for entry in fs::read_dir(bench.path(FOLDER).join(format!("{attempt}.1"))).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.contains("fifo"), "{name}: it has ended");
        if name.starts_with("stdout.") && name.contains(".log") {
            segments += 1;
            assert_eq!(
                fs::read(entry.path()).unwrap().last(),
                Some(&b'\n'),
                "{name}"
            );
        }
    }
    assert!(segments > 5, "{segments} segments");
    let stderr = LogQuestion {
        stream: StreamName::Stderr,
        ..question(attempt, LogFrom::Offset(0))
    };
    assert_eq!(all(&store, stderr).0, b"end", "no line end is made up");
}

#[test]
fn the_end_of_a_log_is_read_by_lines() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    client.start(rotated(
        &bench,
        1,
        &format!("{}; printf tail", lines(1_000)),
    ));
    client.wait_end(attempt);
    let store = store(&bench, small());
    let tail = |count| {
        let (bytes, _) = all(&store, question(attempt, LogFrom::Tail(count)));
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(tail(0), "");
    assert_eq!(tail(1), "tail");
    assert_eq!(tail(3), "line 999 of the log\nline 1000 of the log\ntail");
    assert_eq!(tail(600).lines().next(), Some("line 402 of the log"));
    assert_eq!(tail(5_000).lines().count(), 1_001, "all of it");
    let id = LogId { attempt, run: 1 };
    let last = last_lines(&store, (id, StreamName::Stdout), 2, 1_000).unwrap();
    assert_eq!(last, b"line 1000 of the log\ntail");
    let cut = last_lines(&store, (id, StreamName::Stdout), 2, 6).unwrap();
    assert_eq!(cut, b"g\ntail");
}

#[test]
fn an_agent_goes_on_where_a_killed_keeper_stopped() {
    let mut bench = Bench::with_logs(small());
    let gate = bench.path("gate");
    let (client, _) = bench.agent();
    let attempt = bench.attempt(1);
    let script = format!("{}; touch {}; {}", lines(500), gate.display(), lines(3_000));
    client.start(rotated(&bench, 1, &script));
    wait_for("the first lines", || gate.exists().then_some(()));
    bench.keeper.kill().unwrap();
    bench.keeper.wait().unwrap();
    let logs = Logs::start(bench.folder.path(), small()).unwrap();
    logs.orphaned.adopt();
    wait_for("the end of the program", || {
        bench.processes(1).is_empty().then_some(())
    });
    logs.orphaned.finish(attempt);
    wait_closed(&logs.store, attempt);
    let (bytes, missing) = all(&logs.store, question(attempt, LogFrom::Offset(0)));
    let expected = written((1..=500).chain(1..=3_000));
    assert_eq!((String::from_utf8(bytes).unwrap(), missing), (expected, 0));
}

#[test]
fn a_live_keeper_keeps_its_logs() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    let gate = bench.path("gate");
    client.start(rotated(
        &bench,
        1,
        // It must not end before it is looked at.
        &format!(
            "until [ -e {} ]; do sleep 0.05; done; echo there",
            gate.display()
        ),
    ));
    let store = store(&bench, small());
    wait_for("the log", || {
        read(&store, &question(attempt, LogFrom::Offset(0))).unwrap()
    });
    let logs = Logs::start(bench.folder.path(), small()).unwrap();
    logs.orphaned.recover(|_| false);
    let part = read(&store, &question(attempt, LogFrom::Offset(0)))
        .unwrap()
        .unwrap();
    assert!(part.growing, "it was taken from its keeper");
    drop(client.next());
    fs::write(&gate, "go\n").unwrap();
    assert!(bench.processes(1).is_empty() || !fs::read(&gate).unwrap().is_empty());
}

#[test]
fn hostile_bytes_and_endless_lines_are_kept_as_they_are() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    let script =
        r"printf 'a\0\377\033[2J\r\nb'; head -c 10485760 /dev/zero | tr '\0' x; printf '\nend'";
    client.start(rotated(&bench, 1, script));
    client.wait_end(attempt);
    let (bytes, missing) = all(
        &store(&bench, small()),
        question(attempt, LogFrom::Offset(0)),
    );
    let mut expected = b"a\0\xff\x1b[2J\r\nb".to_vec();
    expected.resize(expected.len() + (10 << 20), b'x');
    expected.extend(b"\nend");
    assert_eq!(missing, 0);
    assert!(bytes == expected, "{} bytes", bytes.len());
}

#[test]
fn a_reader_is_told_what_is_gone_and_begins_with_a_whole_line() {
    let limits = Limits {
        segments_max: 3,
        ..small()
    };
    let bench = Bench::with_logs(limits);
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    client.start(rotated(&bench, 1, &lines(5_000)));
    client.wait_end(attempt);
    let store = store(&bench, limits);
    let first = read(&store, &question(attempt, LogFrom::Offset(0)))
        .unwrap()
        .unwrap();
    assert!(!first.inside_line);
    let (bytes, missing) = all(&store, question(attempt, LogFrom::Offset(0)));
    let whole = written(1..=5_000).len();
    assert_eq!(missing + bytes.len() as u64, whole as u64);
    assert!(missing > 0, "nothing was removed");
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("line ") && text.ends_with("line 5000 of the log\n"));
}

#[test]
fn all_logs_of_a_node_together_have_a_limit() {
    let limits = Limits {
        node_bytes_max: 1 << 20,
        segment_bytes: 1 << 20,
        ..Limits::default()
    };
    let bench = Bench::with_logs(limits);
    let (mut client, _) = bench.agent();
    for sequence in 1..=4 {
        client.start(rotated(
            &bench,
            sequence,
            "head -c 2000000 /dev/zero | tr '\\0' '\\n'",
        ));
    }
    let mut left = 4;
    while left > 0 {
        let (message, _) = client.next();
        left -= u32::from(matches!(message, FromKeeper::Ended { .. }));
    }
    let store = store(&bench, limits);
    // What was written since the last look, and the segments that were open then.
    let slack = (1 << 20) / 64 + 4 * (64 << 10) + 64 * 1024;
    let bytes = store.bytes().unwrap();
    assert!(bytes <= (1 << 20) + slack, "{bytes} bytes");
    store.tidy().unwrap();
    let bytes = store.bytes().unwrap();
    assert!(bytes <= 1 << 20, "{bytes} bytes");
}

#[test]
fn old_logs_go_with_their_folder() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    client.start(rotated(&bench, 1, "echo old"));
    client.wait_end(attempt);
    let limits = Limits {
        age_max: Duration::ZERO,
        ..small()
    };
    let store = store(&bench, limits);
    store.tidy().unwrap();
    assert_eq!(store.bytes().unwrap(), 0);
    let id = LogId { attempt, run: 1 };
    let folder = bench.path(FOLDER).join(id.folder());
    let long_ago = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    fs::File::open(&folder)
        .unwrap()
        .set_times(long_ago)
        .unwrap();
    store.tidy().unwrap();
    assert!(!folder.exists());
    // Its keeper died while it made it.
    let unfinished = bench.path(FOLDER).join(super::names::new_folder(id));
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("stdout.fifo"), "").unwrap();
    store.tidy().unwrap();
    assert!(unfinished.exists(), "it may still be made");
    fs::File::open(&unfinished)
        .unwrap()
        .set_times(long_ago)
        .unwrap();
    store.tidy().unwrap();
    assert!(!unfinished.exists());
}

#[test]
fn times_are_kept_beside_the_bytes() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    let gate = bench.path("gate");
    let script = format!(
        "echo early; until [ -e {} ]; do :; done; echo late",
        gate.display()
    );
    client.start(rotated(&bench, 1, &script));
    let store = store(&bench, small());
    wait_for("the first line", || {
        let part = read(&store, &question(attempt, LogFrom::Offset(0))).unwrap()?;
        (part.bytes == b"early\n").then_some(())
    });
    // Two marks are this far apart.
    let between = Timestamp(clock::wall().0 + 150_000);
    wait_for("some time", || (clock::wall() > between).then_some(()));
    let middle = clock::wall();
    fs::write(&gate, "").unwrap();
    client.wait_end(attempt);
    let text = |question| String::from_utf8(all(&store, question).0).unwrap();
    assert_eq!(text(question(attempt, LogFrom::Since(middle))), "late\n");
    assert_eq!(
        text(question(attempt, LogFrom::Since(Timestamp(0)))),
        "early\nlate\n"
    );
    let until = LogQuestion {
        until: Some(middle),
        ..question(attempt, LogFrom::Offset(0))
    };
    assert_eq!(text(until), "early\n");
    let marked = LogQuestion {
        marks: true,
        ..question(attempt, LogFrom::Offset(0))
    };
    let marks = read(&store, &marked).unwrap().unwrap().marks;
    let offsets: Vec<u64> = marks.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 6]);
    assert!(marks[0].1 < middle && marks[1].1 >= middle, "{marks:?}");
}

#[test]
fn what_a_leader_leaves_behind_holds_no_log_open() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    let script = "setsid sh -c 'while :; do echo on and on; done' & echo led";
    client.start(rotated(&bench, 1, script));
    client.wait_end(attempt);
    let store = store(&bench, small());
    assert!(!wait_closed(&store, attempt).growing);
    let (bytes, _) = all(&store, question(attempt, LogFrom::Offset(0)));
    assert!(String::from_utf8(bytes).unwrap().contains("led\n"));
}

#[test]
fn a_program_that_cannot_start_leaves_no_open_log() {
    let bench = Bench::with_logs(small());
    let (mut client, _) = bench.agent();
    let launch = Launch {
        argv: vec!["/nonexistent".to_owned()],
        ..rotated(&bench, 1, "")
    };
    client.start(launch);
    let (message, _) = client.next();
    assert!(
        matches!(message, FromKeeper::NotStarted { .. }),
        "{message:?}"
    );
    assert!(!wait_closed(&store(&bench, small()), bench.attempt(1)).growing);
}

/// A bench whose logs are on a disk of their own.
fn on_small_disk(limits: Limits) -> Option<(Bench, SmallDisk)> {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&folder.path().join(FOLDER))?;
    Some((Bench::with(folder, 1 << 20, limits), disk))
}

fn crowded() -> Limits {
    Limits {
        segment_bytes: 32 << 10,
        ..small()
    }
}

#[test]
fn on_a_full_disk_the_oldest_segments_make_room_and_what_is_gone_is_told() {
    let Some((bench, _disk)) = on_small_disk(crowded()) else {
        return;
    };
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    client.start(rotated(&bench, 1, &lines(60_000)));
    client.wait_end(attempt);
    let (bytes, missing) = all(
        &store(&bench, crowded()),
        question(attempt, LogFrom::Offset(0)),
    );
    let whole = written(1..=60_000).len() as u64;
    assert_eq!(missing + bytes.len() as u64, whole);
    assert!(missing > whole / 2, "{missing} of {whole} are missing");
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("line 60000 of the log\n"));
    assert!(
        text.lines().all(|line| line.ends_with(" of the log")),
        "torn"
    );
}

#[test]
fn a_full_disk_stops_no_program_and_what_was_dropped_is_a_gap() {
    let Some((bench, disk)) = on_small_disk(crowded()) else {
        return;
    };
    let ballast = disk.path().join("ballast");
    // As much as there is room for.
    let _ = fs::write(&ballast, vec![1; 1 << 20]);
    let (mut client, _) = bench.agent();
    let attempt = bench.attempt(1);
    let (passed, gate) = (bench.path("passed"), bench.path("gate"));
    let script = format!(
        "{}; touch {}; until [ -e {} ]; do :; done; echo late",
        lines(20_000),
        passed.display(),
        gate.display()
    );
    client.start(rotated(&bench, 1, &script));
    wait_for("the program to go on", || passed.exists().then_some(()));
    fs::remove_file(&ballast).unwrap();
    fs::write(&gate, "").unwrap();
    client.wait_end(attempt);
    let (bytes, missing) = all(
        &store(&bench, crowded()),
        question(attempt, LogFrom::Offset(0)),
    );
    let whole = written(1..=20_000).len() + "late\n".len();
    assert_eq!(missing + bytes.len() as u64, whole as u64);
    assert!(missing > 0, "nothing was dropped");
    assert!(bytes.ends_with(b"late\n"));
}

#[test]
fn a_part_ends_before_it_has_too_many_times() {
    use flota_engine::logs::Mark;
    use flota_model::log::LOG_MARKS_MAX;

    let mark = |number: u64| Mark {
        offset: 10 * number,
        at: Timestamp(number),
    };
    let index = super::index::Index {
        marks: (0..1_000).map(mark).collect(),
        begins_inside_line: false,
    };
    let mut marks = Vec::new();
    let stop = super::reader::add_marks(&mut marks, &index, 15, 100_000);
    assert_eq!(marks.len(), LOG_MARKS_MAX);
    assert_eq!(marks[0], (15, Timestamp(1)), "the time that holds there");
    assert_eq!(stop, 10 * (LOG_MARKS_MAX as u64 + 1));
    let stop = super::reader::add_marks(&mut Vec::new(), &index, 15, 45);
    assert_eq!(stop, 45);
}

use flota_model::{
    ids::{AttemptId, JobId, TaskIndex},
    process::ProcessTask,
    units::{Bytes, Cpus, Timestamp},
};

use super::*;
use crate::problem::QUERY_INVALID;

fn uri(query: &str) -> axum::http::Uri {
    format!("http://localhost/x?{query}").parse().unwrap()
}

fn wanted(query: &str) -> Result<Wanted, Problem> {
    let known = [&super::super::filter::FILTERS[..], &PARAMETERS].concat();
    Wanted::parse(&Parameters::parse(&uri(query), &known)?)
}

fn row(pid: u32) -> ProcessRow {
    ProcessRow {
        pid,
        name: format!("p{pid}"),
        state: 'S',
        ..ProcessRow::default()
    }
}

/// A few processes that differ in all that can be asked for.
fn rows() -> Vec<ProcessRow> {
    let task = ProcessTask {
        attempt: AttemptId::default(),
        job: JobId(7),
        task: TaskIndex(0),
    };
    vec![
        ProcessRow {
            cpu: Some(Cpus(0)),
            memory: Some(Bytes(50)),
            cpu_micros: 3,
            started_at: Timestamp(30),
            user: Some("ana".into()),
            uid: Some(1000),
            command: Some("/bin/sim --fast".into()),
            parent: 2,
            threads: 2,
            ..row(1)
        },
        ProcessRow {
            cpu: None,
            memory: Some(Bytes(70)),
            cpu_micros: 1,
            started_at: Timestamp(20),
            is_kernel: true,
            parent: 3,
            threads: 3,
            uid: Some(0),
            name: "a0".into(),
            ..row(2)
        },
        ProcessRow {
            cpu: Some(Cpus(900)),
            parent: 1,
            threads: 1,
            control_group: Some("/a".into()),
            memory: None,
            cpu_micros: 2,
            started_at: Timestamp(10),
            task: Some(task),
            ..row(3)
        },
    ]
}

fn list(rows: Vec<ProcessRow>) -> ProcessList {
    ProcessList {
        total: u32::try_from(rows.len()).unwrap(),
        rows,
        cores: Some(4),
        ..ProcessList::default()
    }
}

fn select(query: &str) -> Selected {
    let mut selection = Selection::new(wanted(query).unwrap());
    selection.add(NodeId(1), "n1", list(rows()));
    selection.finish()
}

fn pids(selected: &Selected) -> Vec<u32> {
    selected
        .processes
        .iter()
        .map(|process| process.pid)
        .collect()
}

#[test]
fn filters_leave_out_what_was_not_asked_for() {
    for (query, expected) in [
        ("", &[1, 2, 3][..]),
        ("name=p", &[1, 3]),
        ("name=--fast", &[1]),
        ("user=ana", &[1]),
        ("user=1000", &[1]),
        ("user=0", &[2]),
        ("managed=true", &[3]),
        ("managed=false", &[1, 2, 3]),
        ("kernel=false", &[1, 3]),
        ("job=7", &[3]),
        ("job=8", &[]),
        ("regex=^p[12]$", &[1]),
        ("regex=sim%20--f|^p3", &[1, 3]),
        ("regex=(?i)^A0", &[2]),
        ("state=S", &[1, 2, 3]),
        ("state=D,Z", &[]),
        ("cpu_min=0", &[1, 3]),
        ("cpu_min=90", &[3]),
        ("cpu_min=91", &[]),
        ("memory_min=0", &[1, 2]),
        ("memory_min=51", &[2]),
        ("name=p&managed=true&user=ana", &[]),
    ] {
        let selected = select(query);
        assert_eq!(pids(&selected), expected, "{query}");
        assert_eq!(selected.matching, expected.len() as u64);
        assert_eq!(selected.next, None);
    }
}

#[test]
fn the_most_comes_first_and_what_is_not_known_last() {
    for (sort, expected) in [
        ("node", [1, 2, 3]),
        ("pid", [1, 2, 3]),
        ("name", [2, 1, 3]),
        ("cpu", [3, 1, 2]),
        ("memory", [2, 1, 3]),
        ("time", [1, 3, 2]),
        ("started", [1, 2, 3]),
        ("parent", [3, 1, 2]),
        ("threads", [2, 1, 3]),
        ("state", [1, 2, 3]),
        ("user", [1, 2, 3]),
        ("command", [1, 2, 3]),
        ("cgroup", [3, 1, 2]),
        ("job", [3, 1, 2]),
        ("machine", [3, 1, 2]),
    ] {
        assert_eq!(pids(&select(&format!("sort={sort}"))), expected, "{sort}");
    }
}

#[test]
fn pages_follow_one_another_in_every_order() {
    for (sort, _) in ORDERS {
        let whole = pids(&select(&format!("sort={sort}")));
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let page = select(&format!("sort={sort}&limit=1{after}"));
            assert_eq!(page.matching, 3);
            found.extend(pids(&page));
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(found, whole, "{sort}");
    }
}

#[test]
fn a_large_fleet_is_cut_to_the_page_while_it_is_read() {
    let mut selection = Selection::new(wanted("limit=10&sort=pid").unwrap());
    for node in 1..=20 {
        let rows = (1..=1_000).map(|pid| row(pid * 20 + node)).collect();
        selection.add(NodeId(node), "n", list(rows));
        assert!(selection.kept.len() <= 11 + SLACK + 1_000);
    }
    let selected = selection.finish();
    assert_eq!(pids(&selected), (21..=30).collect::<Vec<_>>());
    assert_eq!(selected.matching, 20_000);
    assert!(selected.next.is_some());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for query in [
        "limit=0",
        "limit=16385",
        "sort=size",
        "managed=yes",
        "regex=(",
        "regex=(\\w{100}){100}",
        "state=",
        "state=5",
        "state=ABCDEFGHIJKLMNOPQ",
        "cpu_min=-1",
        "memory_min=many",
        "kernel=1",
        "job=-1",
        "after=",
        "after=1-2",
        "after=xzz-1-2",
        "after=1-2-3-4",
    ] {
        let problem = wanted(query).unwrap_err();
        assert_eq!(problem.kind(), QUERY_INVALID, "{query}");
    }
    let long = "a".repeat(256);
    assert!(wanted(&format!("regex={long}")).is_ok());
    let problem = wanted(&format!("regex={long}a")).unwrap_err();
    assert_eq!(problem.kind(), QUERY_INVALID);
    assert_eq!(wanted("limit=16384").unwrap().limit, 16_384);
    assert_eq!(wanted("").unwrap().limit, 1_000);
}

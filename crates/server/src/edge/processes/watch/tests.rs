//! Differences of lists, without nodes.

use flota_model::{
    ids::{BootId, NodeId},
    process::{ProcessList, ProcessRow},
    units::Cpus,
};
use serde_json::{Value, json};

use super::{
    change::{ROWS_MAX, text},
    *,
};

fn filter(query: &str) -> Filter {
    let uri = format!("http://localhost/x?{query}").parse().unwrap();
    Filter::parse(&Parameters::parse(&uri, &known(&[], &[])).unwrap()).unwrap()
}

fn row(pid: u32, start_time: u64, cpu: u32) -> ProcessRow {
    ProcessRow {
        pid,
        name: "sim".into(),
        state: 'S',
        start_time,
        pidfd_inode: Some(start_time),
        cpu: Some(Cpus(cpu)),
        ..ProcessRow::default()
    }
}

fn shown(nodes: &[(u32, Vec<ProcessRow>)]) -> Shown {
    let mut shown = Shown::default();
    for (node, rows) in nodes {
        let list = Arc::new(ProcessList {
            boot: BootId(1),
            total: u32::try_from(rows.len()).unwrap(),
            rows: rows.clone(),
            ..ProcessList::default()
        });
        let name = format!("n{node}").into();
        shown.seen.insert(NodeId(*node), Seen { name, list });
    }
    shown
}

fn event(filter: &Filter, before: Option<&Shown>, now: &Shown) -> (String, Value) {
    let text = text(filter, before, now);
    let mut lines = text.lines();
    let name = lines.next().unwrap().strip_prefix("event:").unwrap();
    let data = lines.next().unwrap().strip_prefix("data:").unwrap();
    assert!(text.ends_with("\n\n"));
    (name.to_owned(), serde_json::from_str(data).unwrap())
}

fn pids(value: &Value) -> Vec<u64> {
    let rows = value.as_array().unwrap().iter();
    rows.map(|row| row["pid"].as_u64().unwrap()).collect()
}

#[test]
fn the_first_tick_shows_all_that_matches_and_later_ones_what_changed() {
    let filter = filter("cpu_min=1");
    let first = shown(&[(
        1,
        vec![row(5, 1, 10), row(6, 2, 10), row(7, 3, 10), row(8, 4, 0)],
    )]);
    let (name, data) = event(&filter, None, &first);
    assert_eq!(
        (name.as_str(), pids(&data["processes"])),
        ("snapshot", vec![5, 6, 7])
    );
    // 5 stays, 6 is busier, 7 is idle now, 8 is busy now, 9 is new.
    let second = shown(&[(
        1,
        vec![
            row(5, 1, 10),
            row(6, 2, 20),
            row(7, 3, 0),
            row(8, 4, 10),
            row(9, 5, 10),
        ],
    )]);
    let (name, data) = event(&filter, Some(&first), &second);
    assert_eq!(
        (name.as_str(), pids(&data["changed"])),
        ("delta", vec![6, 8, 9])
    );
    let seven = row(7, 3, 0).handle(NodeId(1), BootId(1)).to_string();
    assert_eq!(data["gone"], json!([seven]));
    let (_, data) = event(&filter, Some(&second), &second);
    assert_eq!((&data["changed"], &data["gone"]), (&json!([]), &json!([])));
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let filter = filter("");
    let (first, second) = (
        shown(&[(1, vec![row(5, 1, 1)])]),
        shown(&[(1, vec![row(5, 2, 1)])]),
    );
    let (_, data) = event(&filter, Some(&first), &second);
    let handle = row(5, 1, 1).handle(NodeId(1), BootId(1)).to_string();
    assert_eq!(data["gone"], json!([handle]));
    assert_eq!(pids(&data["changed"]), [5]);
}

#[test]
fn of_a_node_that_does_not_answer_nothing_is_said_to_be_gone() {
    let filter = filter("");
    let first = shown(&[(1, vec![row(5, 1, 1)]), (2, vec![row(5, 1, 1)])]);
    let mut second = shown(&[(1, vec![row(5, 1, 1)])]);
    let silent = SilentNode {
        node: 2,
        name: "n2".into(),
        phase: "up".into(),
        code: "E-NODE-UNREACHABLE".into(),
        detail: "late".into(),
    };
    second.silent.insert(2, silent);
    let (_, data) = event(&filter, Some(&first), &second);
    assert_eq!((&data["changed"], &data["gone"]), (&json!([]), &json!([])));
    assert_eq!(data["unanswered"][0]["name"], "n2");
    // When it is back, all of it is told again.
    let (_, data) = event(&filter, Some(&second), &first);
    assert_eq!(data["changed"][0]["node_name"], "n2");
}

#[test]
fn more_than_a_watcher_is_shown_is_counted() {
    let filter = filter("");
    let many = u32::try_from(ROWS_MAX).unwrap();
    let rows = |node| (node, (1..=many).map(|pid| row(pid, 1, 1)).collect());
    let shown = shown(&[rows(1), rows(2)]);
    let (_, data) = event(&filter, None, &shown);
    assert_eq!(data["processes"].as_array().unwrap().len(), ROWS_MAX);
    assert_eq!(data["left_out"], many);
}

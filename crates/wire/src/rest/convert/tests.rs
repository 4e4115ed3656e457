use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::{AttemptRecord, JobRecord},
    command::{FleetView, NodeView},
    containment::{self, ContainmentMode, LimitSet},
    control::JobControl,
    frame::Offer,
    ids::{AttemptId, Authority, Epoch, JobId, NodeId, TaskIndex, Term},
    outcome::{Outcome, Output, StartStage, Stream, Usage},
    resources,
    state::{Counts, JobPhase, NodePhase, TaskState},
    units::{Bytes, Cpus, Timestamp},
};
use serde_json::{Value, json};

use super::*;
use crate::spec::{parse_json, seal};

fn value(dto: impl serde::Serialize) -> Value {
    serde_json::to_value(dto).unwrap()
}

#[test]
fn a_fleet_shows_its_counts_by_word() {
    let view = FleetView {
        authority: Authority {
            term: Term(1),
            epoch: Epoch(7),
        },
        jobs_live: 3,
        jobs_cancelling: 1,
        tasks: Counts([5, 0, 2, 0, 0, 0, 0, 1, 3, 4]),
        store_behind: Some(Authority {
            term: Term(1),
            epoch: Epoch(9),
        }),
        waiting_for_nodes: 4,
    };
    assert_eq!(
        value(Fleet::from(&view)),
        json!({"version": env!("CARGO_PKG_VERSION"), "epoch": 7, "term": 1, "jobs_live": 3,
            "tasks": {"waiting": 5, "granted": 2, "unknown": 1, "blocked": 3, "skipped": 4}, "store_behind": true,
            "waiting_for_nodes": 4})
    );
}

#[test]
fn a_node_shows_cores_and_seconds() {
    let view = NodeView {
        node: NodeId(2),
        name: "n2".to_owned(),
        phase: NodePhase::Away,
        last_heard_at: Some(Timestamp(1_700_000_000_123_456)),
        joined_at: Timestamp(1_600_000_000_000_001),
        version: String::new(),
        capacity: resources::Resources {
            cpus: Cpus(2_500),
            memory: Bytes(1 << 30),
            counters: BTreeMap::from([("gpu".to_owned(), 2)]),
        },
        reserved: resources::Resources::of_cpus(Cpus::whole(1)),
        labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        granted: 3,
        running: 2,
        unclaimed: 1,
        containment: Some(containment::Containment {
            mode: ContainmentMode::Hybrid,
            enforced: LimitSet::of_bits(0b1101),
        }),
        offer: Offer {
            kernels: Some(BTreeSet::from(["julia".to_owned()])),
            listeners: BTreeMap::from([(
                "hpc.slave".to_owned(),
                "127.0.0.1:5011".parse().unwrap(),
            )]),
        },
        sample: None,
    };
    assert_eq!(
        value(Node::from(&view)),
        json!({"id": 2, "name": "n2", "phase": "away", "last_heard_at": 1_700_000_000.123_456,
            "joined_at": 1_600_000_000.000_001, "version": "",
            "capacity": {"cpus": 2.5, "memory": 1_073_741_824, "counters": {"gpu": 2}},
            "reserved": {"cpus": 1.0, "memory": 0, "counters": {}},
            "labels": {"zone": "a"}, "granted": 3, "running": 2, "unclaimed": 1,
            "containment": {"mode": "hybrid", "enforced": ["memory", "pids", "cpus"],
                "missing": ["swap", "cpu_weight", "io_weight"]},
            "only_kernels": ["julia"], "listeners": {"hpc.slave": "127.0.0.1:5011"},
            "sample": null})
    );
}

#[test]
fn a_job_shows_its_spec_only_when_asked() {
    let body = br#"{"name": "sim", "tasks": "1-10", "priority": 1, "kernel": {"name": "noop"}}"#;
    let record = JobRecord {
        job: JobId(17),
        spec: seal(parse_json(body).unwrap()),
        principal: "local".to_owned(),
        submitted_at: Timestamp(1_500_000),
        phase: JobPhase::Cancelling,
        counts: Counts([0, 0, 1, 9, 0, 0, 0, 0, 0, 0]),
        finished_at: None,
        rows: None,
        control: JobControl::default(),
    };
    let mut expected = json!({"id": 17, "name": "sim", "principal": "local",
        "kind": "batch", "phase": "cancelling", "priority": 1, "first": 1, "last": 10,
        "tasks": {"granted": 1, "succeeded": 9}, "submitted_at": 1.5, "finished_at": null});
    assert_eq!(value(Job::from(&record)), expected);
    expected["spec"] = to_value(&record.spec.spec);
    assert_eq!(value(Job::with_spec(&record)), expected);
}

#[test]
fn replicas_that_nobody_wants_are_not_counted_as_cancelled() {
    let body = br#"{"name": "web", "program": {"argv": ["x"]}, "service": {}}"#;
    let record = JobRecord {
        job: JobId(3),
        spec: seal(parse_json(body).unwrap()),
        principal: "local".to_owned(),
        submitted_at: Timestamp(0),
        phase: JobPhase::Active,
        counts: Counts([0, 0, 2, 0, 0, 9_998, 0, 0, 0, 0]),
        finished_at: None,
        rows: None,
        control: JobControl::default(),
    };
    assert_eq!(record.counts.of(TaskState::Cancelled), 9_998);
    let job = value(Job::from(&record));
    assert_eq!(
        (&job["kind"], &job["tasks"]),
        (&json!("service"), &json!({"granted": 2}))
    );
}

fn ended(outcome: Outcome) -> AttemptRecord {
    AttemptRecord {
        attempt: AttemptId {
            epoch: Epoch(1),
            salt: 255,
            sequence: 9,
        },
        job: JobId(1),
        task: TaskIndex(4),
        node: NodeId(2),
        outcome,
        counted: true,
        granted_at: Timestamp(1_000_000),
        started_at: None,
        ended_at: Timestamp(2_000_000),
        usage: Usage::default(),
        output: None,
    }
}

#[test]
fn an_attempt_shows_usage_and_the_lengths_of_its_outputs() {
    let output = Output {
        stdout: Stream::Inline(vec![0; 7]),
        stderr: Stream::Empty,
        result: Stream::OnNode {
            length: 1 << 40,
            truncated: true,
        },
    };
    let record = AttemptRecord {
        started_at: Some(Timestamp(1_250_000)),
        usage: Usage {
            user_micros: 500,
            system_micros: 250_000,
            memory_bytes_max: Some(4096),
        },
        output: Some(Box::new(output)),
        ..ended(Outcome::Exited { code: 3 })
    };
    assert_eq!(
        value(Attempt::from(&record)),
        json!({"id": "1-00000000000000ff-9", "node": 2, "outcome": "exited", "exit_code": 3,
            "counted": true, "granted_at": 1.0, "started_at": 1.25, "ended_at": 2.0,
            "user_seconds": 0.0005, "system_seconds": 0.25, "memory_bytes_max": 4096,
            "outputs": {"stdout": 7, "result": 1_u64 << 40}, "truncated": ["result"]})
    );
}

#[test]
fn each_outcome_shows_its_details() {
    let not_started = Outcome::NotStarted {
        stage: StartStage::Execute,
        errno: 2,
    };
    for (outcome, word, details) in [
        (Outcome::Completed, "completed", json!({})),
        (
            Outcome::Exited { code: 0 },
            "exited",
            json!({"exit_code": 0}),
        ),
        (
            Outcome::Signalled { signal: 11 },
            "signalled",
            json!({"signal": 11}),
        ),
        (Outcome::OutOfMemory, "out_of_memory", json!({})),
        (Outcome::TimedOut, "timed_out", json!({})),
        (Outcome::Cancelled, "cancelled", json!({})),
        (
            not_started,
            "not_started",
            json!({"stage": "execute", "errno": 2}),
        ),
        (
            Outcome::Failed {
                message: "bad".to_owned(),
            },
            "failed",
            json!({"message": "bad"}),
        ),
        (Outcome::Lost, "lost", json!({})),
        (Outcome::Unknown, "unknown", json!({})),
    ] {
        let mut shown = value(Attempt::from(&ended(outcome)));
        assert_eq!(shown["outcome"], word);
        let fields = shown.as_object_mut().unwrap();
        fields.retain(|name, _| {
            ["exit_code", "signal", "stage", "errno", "message"].contains(&name.as_str())
        });
        assert_eq!(shown, details, "{word}");
    }
}

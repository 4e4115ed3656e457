//! Logs that are rotated, which stay on their node.

use flota_model::{
    log::{LogFrom, LogPart},
    outcome::{Outcome, StreamName},
    process::{Answer, AskFault, Question},
    units::Timestamp,
};
use serde_json::json;

use super::{agent::Agent, harness::Harness};

const PATH: &str = "/api/v1/jobs/1/tasks/0/output/stdout";

async fn submit(server: &Harness) {
    let spec = json!({"name": "web", "program": {"argv": ["web"], "logs": "rotated"}});
    assert_eq!(server.post("/api/v1/jobs", &spec).await.status, 201);
}

fn part() -> LogPart {
    LogPart {
        run: 2,
        start: 100,
        bytes: b"line\n".to_vec(),
        next: 105,
        end: 900,
        at_end: false,
        growing: true,
        inside_line: true,
        marks: vec![(100, Timestamp(7)), (103, Timestamp(9))],
    }
}

#[tokio::test]
async fn a_part_of_a_rotated_log_is_read_on_its_node_also_after_its_end() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    submit(&server).await;
    let ordered = agent.ordered(1).await[0];
    let path = format!("{PATH}?run=2&since=5.5&until=9&times=true");
    let answer = agent.answer(|question| {
        let Question::Log(question) = question else {
            panic!("{question:?}");
        };
        assert_eq!(question.attempt, ordered.attempt);
        assert_eq!(
            (question.run, question.stream),
            (Some(2), StreamName::Stdout)
        );
        assert_eq!(question.from, LogFrom::Since(Timestamp(5_500_000)));
        assert_eq!(question.until, Some(Timestamp(9_000_000)));
        assert!(question.marks);
        Ok(Answer::Log(part()))
    });
    let (read, ()) = tokio::join!(server.get(&path), answer);
    assert_eq!(read.text(), "line\n");
    for (name, value) in [
        ("x-flota-offset", "100"),
        ("x-flota-next", "105"),
        ("x-flota-length", "900"),
        ("x-flota-end", "false"),
        ("x-flota-growing", "true"),
        ("x-flota-inside-line", "true"),
        ("x-flota-run", "2"),
        ("x-flota-times", "100:7,3:2"),
    ] {
        assert_eq!(read.header(name), value, "{name}");
    }
    // The report says nothing of its output; the node still has it.
    agent.report(ordered, Outcome::Exited { code: 0 }, None);
    server.get("/api/v1/jobs/1/wait?timeout_ms=60000").await;
    for (answer, expected) in [
        (AskFault::Gone, (410, "E-OUTPUT-GONE")),
        (
            AskFault::Unreadable { errno: 5 },
            (502, "E-OUTPUT-UNREADABLE"),
        ),
        (AskFault::Unreachable, (503, "E-OUTPUT-UNREACHABLE")),
    ] {
        let answered = agent.answer(|_| Err(answer));
        let (read, ()) = tokio::join!(server.get(PATH), answered);
        assert_eq!(read.problem(), (expected.0, expected.1.into()));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_only_rotated_logs_know_is_refused_for_others() {
    let server = Harness::start().await;
    server.submit(1).await;
    for query in [
        "tail=5",
        "since=5",
        "until=5",
        "run=1",
        "times=true",
        "offset=1&tail=1",
    ] {
        let read = server
            .get(&format!("/api/v1/jobs/1/tasks/1/output/stdout?{query}"))
            .await;
        assert_eq!(read.problem(), (400, "E-QUERY-INVALID".into()), "{query}");
    }
    server.stop().await;
}

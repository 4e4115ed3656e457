//! Whole rounds with an agent on the other side.

use flota_model::{
    frame::{DownBody, OutputFault, OutputPart, UpBody},
    ids::AttemptId,
    outcome::{Outcome, Output, Stream},
    sample::{NodeSample, Remnant, Unkillable},
    units::Timestamp,
};
use hyper::Method;
use serde_json::json;

use super::{
    agent::Agent,
    harness::{Harness, job},
};

#[tokio::test]
async fn a_job_runs_from_submission_to_recorded_result() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let nodes = server.get("/api/v1/nodes").await.json();
    assert_eq!(nodes["nodes"][0]["name"], "n1");
    assert_eq!(nodes["nodes"][0]["phase"], "up");
    assert_eq!(
        server.get("/api/v1/nodes/n1").await.json(),
        nodes["nodes"][0]
    );
    assert_eq!(
        server.get("/api/v1/nodes/1").await.json(),
        nodes["nodes"][0]
    );

    assert_eq!(server.submit(3).await, 1);
    let ordered = agent.ordered(3).await;
    let waiting = server.get("/api/v1/jobs/1/wait?timeout_ms=60000");
    let working = async {
        let hello = Output {
            stdout: Stream::Inline(b"hello".to_vec()),
            ..Output::default()
        };
        agent.report(ordered[0], Outcome::Completed, Some(hello));
        agent.report(ordered[1], Outcome::Exited { code: 3 }, None);
        let long = Output {
            stderr: Stream::OnNode {
                length: 1 << 20,
                truncated: true,
            },
            ..Output::default()
        };
        agent.report(ordered[2], Outcome::Completed, Some(long));
    };
    let (waited, ()) = tokio::join!(waiting, working);
    assert_eq!(waited.json()["phase"], "finished");
    assert_eq!(waited.json()["tasks"], json!({"succeeded": 2, "failed": 1}));

    let failed = server.get("/api/v1/jobs/1/tasks?state=failed").await.json();
    assert_eq!(failed["tasks"][0]["attempts"][0]["outcome"], "exited");
    assert_eq!(failed["tasks"][0]["attempts"][0]["exit_code"], 3);
    assert_eq!(failed["tasks"].as_array().unwrap().len(), 1);
    let task = server.get("/api/v1/jobs/1/tasks/1").await.json();
    assert_eq!(task["state"], "succeeded");
    assert_eq!(task["attempts"][0]["outputs"], json!({"stdout": 5}));
    let attempt = ordered[0].attempt.to_string();
    assert_eq!(task["attempts"][0]["id"], attempt);

    let output = server
        .get("/api/v1/jobs/1/tasks/1/output/stdout?offset=1")
        .await;
    assert_eq!(output.text(), "ello");
    assert_eq!(output.header("x-flota-length"), "5");
    assert_eq!(output.header("x-flota-growing"), "false");
    assert_eq!(output.header("x-flota-attempt"), attempt);
    let path = format!("/api/v1/jobs/1/tasks/1/output/stderr?attempt={attempt}");
    assert_eq!(server.get(&path).await.header("x-flota-length"), "0");
    let other = server.get("/api/v1/jobs/1/tasks/1/output/stdout?attempt=1-0000000000000000-9");
    assert_eq!(other.await.problem(), (404, "E-ATTEMPT-NOTFOUND".into()));
    let page = server.get("/jobs/1").await;
    for part in ["exited with 3", ">stdout</a>", ">5 B<", "<td>n1</td>"] {
        assert!(page.text().contains(part), "{part}");
    }
    let cut = server.get("/api/v1/jobs/1/tasks/3").await.json();
    assert_eq!(cut["attempts"][0]["truncated"], json!(["stderr"]));
    let page = server.get("/jobs/1?lang=es").await;
    for part in ["salió con 3", "completado", "cortada en un límite"] {
        assert!(page.text().contains(part), "{part}");
    }
    server.stop().await;
}

#[tokio::test]
async fn output_that_stays_on_its_node_is_read_there() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    server.submit(1).await;
    let ordered = agent.ordered(1).await[0];
    let path = "/api/v1/jobs/1/tasks/1/output/stdout?offset=2";
    let part = OutputPart {
        bytes: b"\xc3\xb1and\xff".to_vec(),
        length: 99,
        growing: true,
    };
    let answers = [
        Ok(part),
        Err(OutputFault::Gone),
        Err(OutputFault::Unreadable { errno: 5 }),
    ];
    let mut read = Vec::new();
    for answer in answers {
        let serve = async {
            let request = agent
                .hear_until(|body| {
                    let DownBody::ReadOutput {
                        request,
                        attempt,
                        offset,
                        ..
                    } = body
                    else {
                        return None;
                    };
                    assert_eq!((attempt, offset), (ordered.attempt, 2));
                    Some(request)
                })
                .await;
            agent.say(UpBody::OutputPart {
                request,
                part: answer,
            });
        };
        let (output, ()) = tokio::join!(server.get(path), serve);
        read.push(output);
    }
    // It had not ended: the grant says where it is.
    assert_eq!(&read[0].body[..], b"\xc3\xb1and\xff");
    assert_eq!(read[0].header("content-type"), "application/octet-stream");
    assert_eq!(read[0].header("x-flota-length"), "99");
    assert_eq!(read[0].header("x-flota-growing"), "true");
    assert_eq!(read[1].problem(), (410, "E-OUTPUT-GONE".into()));
    assert_eq!(read[2].problem(), (502, "E-OUTPUT-UNREADABLE".into()));
    server.stop().await;
}

#[tokio::test]
async fn output_of_a_node_that_is_gone_is_unreachable() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    server.submit(1).await;
    let ordered = agent.ordered(1).await[0];
    let stdout = Stream::OnNode {
        length: 99,
        truncated: false,
    };
    agent.report(
        ordered,
        Outcome::Completed,
        Some(Output {
            stdout,
            ..Output::default()
        }),
    );
    server.get("/api/v1/jobs/1/wait").await;
    drop(agent);
    let gone = async {
        loop {
            let answer = server.get("/api/v1/jobs/1/tasks/1/output/stdout").await;
            if answer.problem().1 == "E-OUTPUT-UNREACHABLE" {
                return answer.status;
            }
        }
    };
    assert_eq!(gone.await, 503);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_sends_agents_away_at_once() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    agent.beat();
    agent
        .hear_until(|body| matches!(body, DownBody::HeartbeatSeen { .. }).then_some(()))
        .await;
    let drain = crate::Limits::default().drain_within;
    tokio::join!(
        async {
            tokio::time::timeout(drain, server.stop())
                .await
                .expect("no cut was needed")
        },
        agent.disconnected()
    );
}

#[tokio::test]
async fn results_are_stored_while_submissions_are_refused() {
    let server = Harness::start().await;
    let folder = {
        server.submit(1).await;
        server.stop().await
    };
    let server = Harness::start_in(folder, |settings| {
        settings.limits.free_space = crate::FreeSpace {
            percent: 0,
            bytes: u64::MAX,
        };
    })
    .await;
    let mut agent = Agent::join(&server, "n1").await;
    let ordered = agent.ordered(1).await[0];
    agent.report(ordered, Outcome::Completed, None);
    let waited = server.get("/api/v1/jobs/1/wait").await.json();
    assert_eq!(waited["phase"], "finished");
    let refused = server.post("/api/v1/jobs", &job(1)).await;
    assert_eq!(refused.problem(), (507, "E-STORE-FULL".into()));
    server.stop().await;
}

#[tokio::test]
async fn the_link_takes_no_other_requests() {
    let server = Harness::start().await;
    let path = flota_link::direct::SESSION_PATH;
    let plain = server.remote(Method::POST, path, &[]).await;
    assert_eq!(
        plain.status, 415,
        "a page can send a POST, but not of this type"
    );
    let old = [("content-type", "application/grpc")];
    assert_eq!(server.remote(Method::POST, path, &old).await.status, 505);
    let foreign = [
        ("host", "evil.example"),
        ("content-type", "application/grpc"),
    ];
    let foreign = server.remote(Method::POST, path, &foreign).await;
    assert_eq!(foreign.problem(), (403, "E-HOST-FOREIGN".into()));
    let wrong = [
        ("authorization", "Bearer 00"),
        ("content-type", "application/grpc"),
    ];
    let wrong = server.remote(Method::POST, path, &wrong).await;
    assert_eq!(wrong.problem(), (401, "E-CREDENTIALS-WRONG".into()));
    server.stop().await;
}

#[tokio::test]
async fn what_was_killed_and_does_not_die_is_shown_until_its_end() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    server.submit(2).await;
    let ordered = agent.ordered(2).await;
    let plain = server.get("/api/v1/jobs/1").await.json();
    assert_eq!(plain["unkillable"], json!(null));
    let unkillable = |attempt| Unkillable {
        attempt,
        since: Timestamp(1_500_000),
        count: 17,
        remnants: vec![Remnant {
            pid: 4_711,
            state: b'D',
        }],
    };
    // One that nobody granted is nobody's.
    let stray = AttemptId::default();
    let sample = NodeSample {
        unkillable: vec![unkillable(stray), unkillable(ordered[1].attempt)],
        ..NodeSample::default()
    };
    agent.beat_with(Some(sample));
    let shown = until(&server, |job| job["unkillable"].is_array()).await;
    let expected = json!([{
        "task": 2, "node": 1, "attempt": ordered[1].attempt.to_string(), "since": 1.5, "count": 17,
        "processes": [{"pid": 4711, "state": "D"}],
    }]);
    assert_eq!(shown["unkillable"], expected);
    for (lang, part) in [("en", "was killed, still there"), ("es", "siguen ahí")] {
        let path = format!("/jobs/1?lang={lang}");
        let page = server.get(&path).await;
        let page = page.text();
        for part in [part, "4711 D, …", "n1"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
    agent.report(ordered[1], Outcome::Cancelled, None);
    until(&server, |job| job["unkillable"].is_null()).await;
    server.stop().await;
}

/// Waits until the only job is as wanted.
async fn until(server: &Harness, is_it: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let job = server.get("/api/v1/jobs/1").await.json();
        if is_it(&job) {
            return job;
        }
        assert!(tokio::time::Instant::now() < deadline, "{job}");
        tokio::task::yield_now().await;
    }
}

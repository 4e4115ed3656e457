//! Jobs and tasks over REST.

use serde_json::json;

use super::harness::{Harness, job};

#[tokio::test]
async fn a_submitted_job_is_shown_listed_and_cancelled() {
    let server = Harness::start().await;
    let answer = server.post("/api/v1/jobs", &job(3)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json(), json!({"job": 1, "existing": false}));
    assert_eq!(answer.header("location"), "/api/v1/jobs/1");

    let shown = server.get("/api/v1/jobs/last").await;
    assert_eq!(shown.header("content-location"), "/api/v1/jobs/1");
    let shown = shown.json();
    assert_eq!(shown["phase"], "active");
    assert_eq!(shown["tasks"], json!({"waiting": 3}));
    assert_eq!(shown["spec"]["kernel"]["name"], "noop");
    let list = server.get("/api/v1/jobs").await.json();
    assert_eq!(list["jobs"][0]["id"], 1);
    assert!(list["jobs"][0].get("spec").is_none());

    let cancelled = server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    assert_eq!(cancelled.status, 202);
    assert_eq!(cancelled.json(), json!({"job": 1, "phase": "finished"}));
    let shown = server.get("/api/v1/jobs/1").await.json();
    assert_eq!(shown["tasks"], json!({"cancelled": 3}));
    let again = server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    assert_eq!(again.problem(), (409, "E-JOB-FINISHED".into()));
    let missing = server.post("/api/v1/jobs/9/cancel", &json!(null)).await;
    assert_eq!(missing.problem(), (404, "E-JOB-NOTFOUND".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_submission_with_the_same_key_makes_one_job() {
    let server = Harness::start().await;
    let submit = async |tasks, key| {
        let headers = [
            ("idempotency-key", key),
            ("content-type", "application/json"),
        ];
        server
            .post_with("/api/v1/jobs", job(tasks).to_string(), &headers)
            .await
    };
    assert_eq!(submit(1, "k").await.status, 201);
    let again = submit(1, "k").await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json(), json!({"job": 1, "existing": true}));
    assert_eq!(submit(2, "k").await.problem(), (409, "E-KEY-REUSED".into()));
    assert_eq!(
        submit(1, "two words").await.problem(),
        (400, "E-KEY-INVALID".into())
    );
    assert_eq!(submit(2, "other").await.json()["job"], 2);

    // The key is remembered across a restart that nobody announced.
    let folder = server.kill().await;
    let server = Harness::start_in(folder, |_| {}).await;
    let headers = [("idempotency-key", "k")];
    let again = server
        .post_with("/api/v1/jobs", job(1).to_string(), &headers)
        .await;
    assert_eq!(again.json(), json!({"job": 1, "existing": true}));
    server.stop().await;
}

#[tokio::test]
async fn a_killed_server_has_every_job_that_it_acknowledged() {
    let server = Harness::start().await;
    for tasks in 1..=20 {
        server.submit(tasks).await;
    }
    let epoch = server.get("/api/v1/fleet").await.json()["epoch"]
        .as_u64()
        .unwrap();
    let folder = server.kill().await;
    let server = Harness::start_in(folder, |_| {}).await;
    let fleet = server.get("/api/v1/fleet").await.json();
    assert_eq!(fleet["epoch"], epoch + 1);
    assert_eq!(fleet["jobs_live"], 20);
    assert_eq!(fleet["tasks"], json!({"waiting": 210}));
    assert_eq!(server.submit(1).await, 21);
    server.stop().await;
}

#[tokio::test]
async fn jobs_come_in_pages_newest_first() {
    let server = Harness::start().await;
    for _ in 0..5 {
        server.submit(1).await;
    }
    server.post("/api/v1/jobs/4/cancel", &json!(null)).await;
    let page = async |query: &str| {
        let page = server.get(&format!("/api/v1/jobs?{query}")).await.json();
        let ids: Vec<u64> = page["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_u64().unwrap())
            .collect();
        (ids, page["next"].as_u64())
    };
    assert_eq!(page("limit=2").await, (vec![5, 4], Some(4)));
    assert_eq!(page("limit=2&before=4").await, (vec![3, 2], Some(2)));
    assert_eq!(page("limit=2&before=2").await, (vec![1], None));
    assert_eq!(page("phase=finished").await, (vec![4], None));
    let service = json!({"name": "web", "program": {"argv": ["sleep", "9"]}, "service": {}});
    assert_eq!(
        server.put("/api/v1/services/web", &service).await.status,
        200
    );
    assert_eq!(page("limit=1").await, (vec![5], Some(5)));
    assert_eq!(page("kind=service").await, (vec![6], None));
    assert_eq!(page("kind=all&limit=2").await, (vec![6, 5], Some(5)));
    let last = server.get("/api/v1/jobs/last").await.json();
    assert_eq!((&last["id"], &last["kind"]), (&json!(5), &json!("batch")));
    let wrong = [
        "limit=0",
        "limit=1001",
        "limit=x",
        "before=-1",
        "phase=done",
        "kind=cron",
        "limit=1&limit=2",
    ];
    for query in wrong {
        let answer = server.get(&format!("/api/v1/jobs?{query}")).await;
        assert_eq!(answer.problem(), (400, "E-QUERY-INVALID".into()), "{query}");
    }
    let unknown = server.get("/api/v1/jobs?limt=2").await;
    assert_eq!(unknown.problem(), (400, "E-QUERY-UNKNOWN".into()));
    assert_eq!(unknown.json()["hint"], "did you mean `limit`?");
    server.stop().await;
}

#[tokio::test]
async fn tasks_come_in_pages_by_index_and_by_state() {
    let server = Harness::start().await;
    // Three chunks of states, none of which was ever written.
    let spec = json!({"name": "wide", "tasks": {"first": 10, "last": 150_009},
        "kernel": {"name": "noop"}});
    server.post("/api/v1/jobs", &spec).await;
    let page = async |query: &str| {
        let page = server
            .get(&format!("/api/v1/jobs/1/tasks?{query}"))
            .await
            .json();
        let tasks = page["tasks"].as_array().unwrap();
        let indexes: Vec<u64> = tasks
            .iter()
            .map(|task| task["index"].as_u64().unwrap())
            .collect();
        assert!(tasks.iter().all(|task| task["attempts"] == json!([])));
        (indexes, page["next"].as_u64())
    };
    assert_eq!(page("limit=3").await, (vec![10, 11, 12], Some(12)));
    assert_eq!(
        page("limit=2&after=65545").await,
        (vec![65_546, 65_547], Some(65_547))
    );
    assert_eq!(
        page("limit=2&after=150007").await,
        (vec![150_008, 150_009], None)
    );
    assert_eq!(page("after=150009").await, (vec![], None));
    assert_eq!(
        page("limit=2&state=waiting&after=65544").await,
        (vec![65_545, 65_546], Some(65_546))
    );
    assert_eq!(page("state=failed").await, (vec![], None));
    server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    assert_eq!(
        page("limit=2&state=cancelled&after=65544").await.0,
        vec![65_545, 65_546]
    );
    assert_eq!(page("state=waiting").await, (vec![], None));

    let task = server.get("/api/v1/jobs/1/tasks/150009").await.json();
    assert_eq!(
        task,
        json!({"index": 150_009, "state": "cancelled", "attempts": []})
    );
    for index in ["9", "150010", "x", "-1"] {
        let answer = server.get(&format!("/api/v1/jobs/1/tasks/{index}")).await;
        assert_eq!(answer.problem(), (404, "E-TASK-NOTFOUND".into()));
    }
    let output = server.get("/api/v1/jobs/1/tasks/10/output/stdout").await;
    assert_eq!(output.problem(), (404, "E-ATTEMPT-NOTFOUND".into()));
    let output = server.get("/api/v1/jobs/1/tasks/10/output/stdin").await;
    assert_eq!(output.problem(), (404, "E-STREAM-NOTFOUND".into()));
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_job_is_listed_whole() {
    let server = Harness::start().await;
    let answer = server
        .post("/api/v1/jobs", &json!({"name": "", "nme": 1}))
        .await;
    assert_eq!(answer.problem(), (422, "E-SPEC-INVALID".into()));
    let fields: Vec<String> = answer.json()["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        fields.len() >= 2 && fields.contains(&"nme".to_owned()),
        "{fields:?}"
    );

    let kernel = json!({"name": "a", "kernel": {"name": "nop"}});
    let answer = server.post("/api/v1/jobs", &kernel).await;
    assert_eq!(answer.problem(), (422, "E-KERNEL-UNKNOWN".into()));
    assert!(answer.text().contains("noop"), "{}", answer.text());
    assert_eq!(
        server.get("/api/v1/kernels").await.json(),
        json!({"kernels": ["noop", "sleep"]})
    );

    let kernel = json!({"name": "a", "tasks": "1-3",
        "kernel": {"name": "sleep", "parameters": {"milliseconds": "-{index}"}}});
    let answer = server.post("/api/v1/jobs", &kernel).await;
    assert_eq!(answer.problem(), (422, "E-KERNEL-PARAMETER".into()));
    let fault = &answer.json()["faults"][0];
    assert_eq!(fault["field"], "kernel.parameters.milliseconds");
    assert!(
        fault["what"]
            .as_str()
            .unwrap()
            .ends_with("not `-1` (task 1)")
    );

    let pinned = json!({"name": "a", "kernel": {"name": "noop"}, "constraints": {"node": "n9"}});
    let answer = server.post("/api/v1/jobs", &pinned).await;
    assert_eq!(answer.problem(), (422, "E-NODE-NOTFOUND".into()));
    let typed = server
        .post_with("/api/v1/jobs", "x", &[("content-type", "text/plain")])
        .await;
    assert_eq!(typed.problem(), (415, "E-BODY-TYPE".into()));
    assert_eq!(
        server.get("/api/v1/jobs/last").await.problem(),
        (404, "E-JOB-NOTFOUND".into())
    );
    assert_eq!(
        server.get("/api/v1/nodes/n9").await.problem(),
        (404, "E-NODE-NOTFOUND".into())
    );
    let recovered = server.post("/api/v1/fleet/recover", &json!(null)).await;
    assert_eq!(recovered.problem(), (409, "E-STORE-CURRENT".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_wait_ends_when_the_job_does_or_its_time_is_over() {
    let server = Harness::start().await;
    server.submit(1).await;
    let waited = server.get("/api/v1/jobs/1/wait?timeout_ms=10").await.json();
    assert_eq!(waited["phase"], "active");
    let wait = server.get("/api/v1/jobs/last/wait?timeout_ms=60000");
    let cancel = server.post("/api/v1/jobs/1/cancel", &json!(null));
    let (waited, _) = tokio::join!(wait, cancel);
    assert_eq!(waited.json()["phase"], "finished");
    let too_long = server.get("/api/v1/jobs/1/wait?timeout_ms=60001").await;
    assert_eq!(too_long.problem(), (400, "E-QUERY-INVALID".into()));
    let missing = server.get("/api/v1/jobs/7/wait").await;
    assert_eq!(missing.problem(), (404, "E-JOB-NOTFOUND".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_stop_ends_the_waits() {
    let server = Harness::start().await;
    server.submit(1).await;
    let socket = server.addresses.socket.clone();
    let waiting = tokio::spawn(async move {
        super::harness::get_at(&socket, "/api/v1/jobs/1/wait?timeout_ms=60000").await
    });
    // The wait is there once the server has read its request; whether it comes before the stop or
    // after decides which error it gets, both of which end it.
    server.stop().await;
    assert!(
        waiting
            .await
            .unwrap()
            .is_none_or(|answer| answer.status == 503)
    );
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems() {
    let server = Harness::start().await;
    for path in [
        "/api/v1/nothing",
        "/api/v2/jobs",
        "/x",
        "/api/v1/jobs/1/tasks/1/output",
    ] {
        assert_eq!(
            server.get(path).await.problem(),
            (404, "E-ROUTE-UNKNOWN".into()),
            "{path}"
        );
    }
    let wrong = server.post("/api/v1/fleet", &json!(null)).await;
    assert_eq!(wrong.problem(), (405, "E-METHOD-WRONG".into()));
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    server.stop().await;
}

#[tokio::test]
async fn a_job_comes_with_its_rows_behind_it_or_written_out() {
    let server = Harness::start().await;
    let job = |rows: &str| {
        json!({"name": "n", "program": {"argv": ["echo", "{x}"]},
            "parameters": {"columns": ["x"], "rows": rows, "count": 2}})
    };
    // The SHA-256 of these four bytes.
    let hash = "b32f85f5fe01ce26a69a7a8fa42dab8e3b5dcbb3ef0a6d9c0d5bd9c86d7fb4b2";
    let rows = b"a\0b\0";
    let actual = {
        use std::fmt::Write as _;

        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(rows);
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let send = async |hash: &str| {
        let body = [job(hash).to_string().as_bytes(), b"\n", rows].concat();
        let headers = [("content-type", "application/vnd.flota.job")];
        server.post_with("/api/v1/jobs", body, &headers).await
    };
    let accepted = send(&actual).await;
    assert_eq!(accepted.status, 201, "{}", accepted.text());
    let shown = server.get("/api/v1/jobs/1").await.json();
    assert_eq!(shown["tasks"], json!({"waiting": 2}));
    assert_eq!(shown["spec"]["parameters"]["rows"], actual);
    let other = send(hash).await;
    assert_eq!(other.problem(), (422, "E-SPEC-INVALID".into()));
    let missing = server.post("/api/v1/jobs", &job(&actual)).await;
    assert_eq!(missing.problem(), (422, "E-SPEC-INVALID".into()));
    let mut written = job("");
    written["parameters"] = json!({"columns": ["x"], "rows": ["a", "b"]});
    assert_eq!(server.post("/api/v1/jobs", &written).await.status, 201);
    // A server that dies has them still.
    let folder = server.kill().await;
    let server = Harness::start_in(folder, |_| {}).await;
    assert_eq!(
        server.get("/api/v1/jobs/2").await.json()["spec"]["parameters"]["rows"],
        actual
    );
    server.stop().await;
}

#[tokio::test]
async fn kernels_are_tried_with_the_values_of_each_task() {
    let server = Harness::start().await;
    let job = |values: serde_json::Value| {
        json!({"name": "n", "kernel": {"name": "sleep", "parameters": {"milliseconds": "{ms}"}},
            "parameters": [{"name": "ms", "values": values}]})
    };
    let good = server.post("/api/v1/jobs", &job(json!([1, 2, 3]))).await;
    assert_eq!(good.status, 201);
    let bad = server.post("/api/v1/jobs", &job(json!([1, "x", 3]))).await;
    assert_eq!(bad.problem(), (422, "E-KERNEL-PARAMETER".into()));
    assert!(bad.text().contains("(task 2)"), "{}", bad.text());
    server.stop().await;
}

#[tokio::test]
async fn a_cancel_has_a_reason_and_a_finished_job_is_tried_again() {
    let server = Harness::start().await;
    server.submit(3).await;
    let wrong = server
        .post("/api/v1/jobs/1/cancel?reason=", &json!(null))
        .await;
    assert_eq!(wrong.problem(), (400, "E-QUERY-INVALID".into()));
    let path = "/api/v1/jobs/1/cancel?reason=wrong%20data";
    assert_eq!(server.post(path, &json!(null)).await.status, 202);
    let shown = server.get("/api/v1/jobs/1").await.json();
    assert_eq!(shown["ending"]["cause"], "person");
    assert_eq!(shown["ending"]["reason"], "wrong data");
    let list = server.get("/api/v1/jobs").await.json();
    assert_eq!(list["jobs"][0]["ending"], shown["ending"]);
    let page = server.get("/jobs/1").await;
    assert!(page.text().contains("wrong data"), "{}", page.text());

    let retry = async |query: &str| {
        let path = format!("/api/v1/jobs/1/retry{query}");
        server.post(&path, &json!(null)).await
    };
    let none = retry("?states=failed").await;
    assert_eq!(none.json(), json!({"job": 1, "tasks": 0, "left": 0}));
    let one = retry("?tasks=1").await;
    assert_eq!(one.json(), json!({"job": 1, "tasks": 1, "left": 0}));
    let shown = server.get("/api/v1/jobs/1").await.json();
    assert_eq!(shown["phase"], "active");
    assert_eq!(shown["tasks"], json!({"waiting": 1, "cancelled": 2}));
    assert_eq!(shown.get("ending"), None);
    assert_eq!(retry("").await.json()["tasks"], 2);
    assert_eq!(
        retry("?tasks=9-1").await.problem(),
        (400, "E-QUERY-INVALID".into())
    );
    let missing = server.post("/api/v1/jobs/9/retry", &json!(null)).await;
    assert_eq!(missing.problem(), (404, "E-JOB-NOTFOUND".into()));
    // What was taken up again is there after a crash.
    let folder = server.kill().await;
    let server = Harness::start_in(folder, |_| {}).await;
    let shown = server.get("/api/v1/jobs/1").await.json();
    assert_eq!(shown["tasks"], json!({"waiting": 3}));
    server.stop().await;
}

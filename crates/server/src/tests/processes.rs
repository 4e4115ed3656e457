//! Processes of nodes, with agents by hand on the other side.

use std::time::Duration;

use flota_model::{
    ids::{BootId, NodeId},
    inspect::{Part, ProcessDetail, Unseen},
    process::{
        Answer, AskFault, Columns, GRACE_MAX, ProcessHandle, ProcessList, ProcessRow,
        ProcessTarget, Protection, Question,
    },
    sample::NodeSample,
    units::{Cpus, Timestamp},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    agent::Agent,
    harness::{Harness, PATIENCE},
};

const BOOT: BootId = BootId(0xb007);
const ALL: Question = Question::Processes {
    columns: Columns::Full,
};

pub(super) fn row(pid: u32, name: &str) -> ProcessRow {
    ProcessRow {
        pid,
        name: name.into(),
        state: 'S',
        start_time: 500,
        pidfd_inode: Some(u64::from(pid) * 10),
        ..ProcessRow::default()
    }
}

/// Of a node that has one more, which it could not send.
pub(super) fn list(rows: Vec<ProcessRow>) -> Answer {
    Answer::Processes(ProcessList {
        boot: BOOT,
        total: u32::try_from(rows.len()).unwrap() + 1,
        rows,
        read_at: Timestamp(1_000_000),
        cores: Some(4),
        scan: 7,
    })
}

/// A process of which nothing but its row can be read.
pub(super) fn detail(row: ProcessRow) -> Answer {
    let unseen = Unseen { errno: 13 };
    Answer::Inspected(Box::new(ProcessDetail {
        boot: BOOT,
        read_at: Timestamp(1_000_000),
        cores: Some(4),
        row,
        arguments: Err(unseen),
        environment: Err(unseen),
        folder: Err(unseen),
        root: Err(unseen),
        program: Err(unseen),
        limits: Err(unseen),
        files: Err(unseen),
        sockets: Err(unseen),
        threads: Err(unseen),
        control_groups: Err(unseen),
        io: Err(unseen),
        namespaces: Err(unseen),
        memory: Err(unseen),
        status: Err(unseen),
        children: Part::default(),
    }))
}

/// As an agent with one process.
pub(super) fn one(question: Question) -> Answer {
    if matches!(question, Question::Inspect { .. }) {
        return detail(row(7, "sim"));
    }
    list(vec![row(7, "sim")])
}

pub(super) fn handle(node: u32, pid: u32) -> ProcessHandle {
    row(pid, "").handle(NodeId(node), BOOT)
}

fn names(answer: &Value) -> Vec<(&str, &str)> {
    let processes = answer["processes"].as_array().unwrap();
    let name = |process: &Value, key: &str| process[key].as_str().unwrap().len();
    assert!(processes.iter().all(|process| name(process, "handle") > 0));
    processes
        .iter()
        .map(|process| {
            let text = |key: &str| process[key].as_str().unwrap();
            (text("node_name"), text("name"))
        })
        .collect()
}

#[tokio::test]
async fn processes_of_all_nodes_come_in_one_list() {
    let server = Harness::start().await;
    let mut first = Agent::join(&server, "n1").await;
    let mut second = Agent::join(&server, "n2").await;
    let path = "/api/v1/processes?sort=name&limit=3";
    let answer_first = first.answer(|question| {
        assert_eq!(question, ALL);
        Ok(list(vec![row(7, "b"), row(8, "d")]))
    });
    let answer_second = second.answer(|_| Ok(list(vec![row(7, "c"), row(9, "a")])));
    let (answer, (), ()) = tokio::join!(server.get(path), answer_first, answer_second);
    let answer = answer.json();
    assert_eq!(names(&answer), [("n2", "a"), ("n1", "b"), ("n2", "c")]);
    assert_eq!(answer["matching"], 4);
    assert_eq!(answer["unanswered"], json!([]));
    assert_eq!(
        answer["answered"][0],
        json!({"node": 1, "name": "n1", "read_at": 1.0, "processes": 3, "left_out": 1, "scan": 7})
    );
    assert_eq!(answer["processes"][1]["handle"], handle(1, 7).to_string());

    // The second page, of one node, named twice.
    let next = answer["next"].as_str().unwrap();
    let path = format!("/api/v1/processes?sort=name&node=1,n1&after={next}");
    let answer_first = first.answer(|_| Ok(list(vec![row(7, "b"), row(8, "d")])));
    let (answer, ()) = tokio::join!(server.get(&path), answer_first);
    let answer = answer.json();
    assert_eq!(names(&answer), [("n1", "d")]);
    assert_eq!(answer["next"], Value::Null);
    let unknown = server.get("/api/v1/processes?node=n1,n9").await;
    assert_eq!(unknown.problem(), (404, "E-NODE-NOTFOUND".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_list_is_there_in_time_and_names_the_nodes_that_did_not_answer() {
    let server = Harness::start().await;
    let mut quick = Agent::join(&server, "quick").await;
    let _silent = Agent::join(&server, "silent").await;
    let mut broken = Agent::join(&server, "broken").await;
    let began = Instant::now();
    let (answer, (), ()) = tokio::join!(
        server.get("/api/v1/processes"),
        quick.answer(|_| Ok(list(vec![row(7, "b")]))),
        broken.answer(|_| Err(AskFault::Unreadable { errno: 24 })),
    );
    let spent = began.elapsed();
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(names(&answer), [("quick", "b")]);
    let silent = &answer["unanswered"][0];
    assert_eq!(
        (&silent["name"], &silent["code"], &silent["phase"]),
        (&json!("silent"), &json!("E-NODE-UNREACHABLE"), &json!("up"))
    );
    assert_eq!(silent["detail"], "node `silent` did not answer in time");
    let broken = &answer["unanswered"][1];
    assert_eq!(
        (&broken["name"], &broken["code"]),
        (&json!("broken"), &json!("E-PROCESS-UNREADABLE"))
    );
    // Two seconds were promised; the machine of the test may be busy.
    assert!(spent < Duration::from_secs(6), "{spent:?}");

    // Of one node, it is an error.
    let alone = server.get("/api/v1/nodes/silent/processes").await;
    assert_eq!(alone.problem(), (503, "E-NODE-UNREACHABLE".into()));
    assert_eq!(alone.header("retry-after"), "5");
    server.stop().await;
}

/// How many of a list were asked and silent, and how many there was no time to ask.
fn silent(answer: &Value) -> (usize, usize) {
    let nodes = answer["unanswered"].as_array().unwrap();
    let count = |text: &str| {
        let details = nodes.iter().map(|node| node["detail"].as_str().unwrap());
        details.filter(|detail| detail.contains(text)).count()
    };
    (
        count("did not answer in time"),
        count("was not asked in time"),
    )
}

#[tokio::test]
async fn no_more_nodes_are_asked_at_once_than_is_allowed_and_the_others_are_named() {
    let server = Harness::start_with(|settings| settings.limits.asked_max = 4).await;
    let mut agents = Vec::new();
    for number in 0..6 {
        agents.push(Agent::join(&server, &format!("n{number}")).await);
    }
    let answer = server.get("/api/v1/processes").await.json();
    assert_eq!(silent(&answer), (4, 2));
    drop(agents);
    server.stop().await;
}

#[tokio::test]
async fn all_lists_together_ask_no_more_nodes_at_once_than_is_allowed() {
    const ROOM: usize = 6;
    let server = Harness::start_with(|settings| {
        settings.limits.asked_max = 4;
        settings.limits.lists_max = ROOM;
        // No list is given up here, however busy the machine is.
        settings.limits.list_within = Duration::from_mins(10);
        settings.fleet.lease = Duration::from_mins(10);
    })
    .await;
    // Questions that were heard, and answers given.
    let heard = watch::Sender::new(0_usize);
    let mut agents = JoinSet::new();
    let (begin, begun) = watch::channel(false);
    for number in 0..6 {
        let agent = Agent::join(&server, &format!("n{number}")).await;
        agents.spawn(agent.serve_from(heard.clone(), begun.clone()));
    }
    let path = "/api/v1/processes";
    let look = async {
        let mut heard = heard.subscribe();
        let _ = timeout(PATIENCE, heard.wait_for(|heard| *heard >= ROOM)).await;
        // One question too many has this long to come.
        let more = heard.wait_for(|heard| *heard > ROOM);
        let is_more = timeout(Duration::from_millis(300), more).await.is_ok();
        begin.send(true).unwrap();
        is_more
    };
    let lists = async { tokio::join!(server.get(path), server.get(path), server.get(path)) };
    let (is_more, (one, two, three)) = tokio::join!(look, lists);
    assert!(!is_more, "more than {ROOM} were asked at once");
    for answer in [one, two, three] {
        assert_eq!(answer.json()["answered"].as_array().unwrap().len(), 6);
    }
    assert_eq!(*heard.borrow(), 18);
    drop(agents);
    server.stop().await;
}

#[tokio::test]
async fn a_node_that_left_is_named_without_being_asked() {
    let server = Harness::start().await;
    let agent = Agent::join(&server, "n1").await;
    drop(agent);
    let answer = async {
        loop {
            let answer = server.get("/api/v1/processes").await.json();
            if answer["unanswered"][0]["phase"] == "away" {
                return answer;
            }
        }
    };
    let answer = answer.await;
    assert_eq!(answer["unanswered"][0]["detail"], "node `n1` is away");
    assert_eq!(answer["processes"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn one_process_is_found_by_its_handle_and_by_its_number() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let check = async |agent: &mut Agent, path: &str, target, answer: Result<Answer, AskFault>| {
        let answer = agent.answer(move |question| {
            let with_values = path.ends_with("environment=true");
            let expected = Question::Inspect {
                target,
                with_values,
            };
            assert_eq!(question, expected);
            answer
        });
        tokio::join!(server.get(path), answer).0
    };
    let node = NodeId(1);
    let number = |pid| ProcessTarget::Pid { node, pid };
    let named = ProcessTarget::Handle(handle(1, 7));
    let found = || Ok(detail(row(7, "b")));
    let path = "/api/v1/nodes/n1/processes/7";
    let by_number = check(&mut agent, path, number(7), found()).await.json();
    assert_eq!(by_number["name"], "b");
    assert_eq!(by_number["files"], Value::Null);
    assert_eq!(by_number["unreadable"].as_object().unwrap().len(), 14);
    let path = format!("/api/v1/processes/{}", handle(1, 7));
    let by_handle = check(&mut agent, &path, named, found()).await;
    assert_eq!(by_handle.json(), by_number);
    let path = format!("{path}?environment=true");
    assert_eq!(check(&mut agent, &path, named, found()).await.status, 200);

    let reused = check(&mut agent, &path, named, Err(AskFault::Reused)).await;
    assert_eq!(reused.problem(), (410, "E-PROCESS-REUSED".into()));
    let path = "/api/v1/nodes/n1/processes/8";
    let gone = check(&mut agent, path, number(8), Err(AskFault::Gone)).await;
    assert_eq!(gone.problem(), (404, "E-PROCESS-NOTFOUND".into()));
    for path in ["/api/v1/processes/7", "/api/v1/nodes/n1/processes/x"] {
        let no = server.get(path).await;
        assert_eq!(no.problem(), (404, "E-PROCESS-NOTFOUND".into()), "{path}");
    }
    let path = format!("/api/v1/processes/{}", handle(9, 7));
    let foreign = server.get(&path).await;
    assert_eq!(foreign.problem(), (404, "E-NODE-NOTFOUND".into()));
    server.stop().await;
}

#[tokio::test]
async fn signals_and_stops_reach_the_process_that_is_meant() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let named = ProcessTarget::Handle(handle(1, 7));
    let path = format!("/api/v1/processes/{}", handle(1, 7));

    let signal = format!("{path}/signal?signal=USR1");
    let answer = agent.answer(|question| {
        let (target, signal) = (named, 10);
        assert_eq!(question, Question::Signal { target, signal });
        Ok(Answer::Signalled)
    });
    let (answer, ()) = tokio::join!(server.post_with(&signal, "", &[]), answer);
    assert_eq!(
        answer.json(),
        json!({"process": handle(1, 7).to_string(), "signal": 10})
    );

    let stopped = Ok(Answer::Stopped {
        processes: 3,
        killed: true,
    });
    let stop = format!("{path}/stop?grace=5m");
    let answer = agent.answer(|question| {
        let (target, grace) = (named, GRACE_MAX);
        assert_eq!(question, Question::Stop { target, grace });
        stopped.clone()
    });
    let (answer, ()) = tokio::join!(server.post_with(&stop, "", &[]), answer);
    let expected = json!({"process": handle(1, 7).to_string(), "processes": 3, "killed": true});
    assert_eq!(answer.json(), expected);

    // By number only where somebody insists; the grace is ten seconds unless said.
    let path = "/api/v1/nodes/n1/processes/7";
    let answer = agent.answer(|question| {
        let node = NodeId(1);
        let (target, grace) = (ProcessTarget::Pid { node, pid: 7 }, Duration::from_secs(10));
        assert_eq!(question, Question::Stop { target, grace });
        stopped
    });
    let forced = format!("{path}/stop?force=true");
    let (answer, ()) = tokio::join!(server.post_with(&forced, "", &[]), answer);
    assert_eq!(answer.json()["process"], "1/7");
    for order in ["stop", "stop?force=false", "signal?signal=9"] {
        let refused = server.post_with(&format!("{path}/{order}"), "", &[]).await;
        assert_eq!(
            refused.problem(),
            (422, "E-PROCESS-NUMBER".into()),
            "{order}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn orders_beyond_their_limits_reach_nobody() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let path = format!("/api/v1/processes/{}", handle(1, 7));
    for order in [
        "signal",
        "signal?signal=0",
        "signal?signal=65",
        "signal?signal=NONE",
        "stop?grace=301s",
        "stop?grace=-1s",
    ] {
        let refused = server.post_with(&format!("{path}/{order}"), "", &[]).await;
        assert_eq!(
            refused.problem(),
            (400, "E-QUERY-INVALID".into()),
            "{order}"
        );
    }
    for order in ["signal?force=true&signal=9", "stop?now=1"] {
        let refused = server.post_with(&format!("{path}/{order}"), "", &[]).await;
        assert_eq!(
            refused.problem(),
            (400, "E-QUERY-UNKNOWN".into()),
            "{order}"
        );
    }
    // The first thing that the agent is asked is this.
    let last = format!("{path}/signal?signal=64");
    let answer = agent.answer(|question| {
        let target = ProcessTarget::Handle(handle(1, 7));
        assert_eq!(question, Question::Signal { target, signal: 64 });
        Err(AskFault::Protected(Protection::Flota))
    });
    let (answer, ()) = tokio::join!(server.post_with(&last, "", &[]), answer);
    assert_eq!(answer.problem(), (403, "E-PROCESS-PROTECTED".into()));
    server.stop().await;
}

#[tokio::test]
async fn an_order_to_a_node_that_does_not_answer_may_have_been_carried_out() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let path = format!("/api/v1/processes/{}/signal?signal=TERM", handle(1, 7));
    let answer = server.post_with(&path, "", &[]).await;
    assert_eq!(answer.problem(), (503, "E-NODE-UNREACHABLE".into()));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("may have been done or not"), "{detail}");
    assert!(matches!(agent.asked().await.1, Question::Signal { .. }));
    server.stop().await;
}

#[tokio::test]
async fn a_node_shows_its_last_sample_and_how_old_it_is() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let before = server.get("/api/v1/nodes/n1").await.json();
    assert_eq!(before["sample"], Value::Null);
    agent.beat_with(Some(NodeSample {
        cpu: Some(Cpus(1_250)),
        cores: vec![Cpus(1_000), Cpus(250)],
        ..NodeSample::default()
    }));
    // A later heartbeat without one does not make it younger, nor take it away.
    agent.beat();
    let shown = async {
        loop {
            let node = server.get("/api/v1/nodes/n1").await.json();
            if node["sample"] != Value::Null {
                return node;
            }
        }
    };
    let node = shown.await;
    assert_eq!(node["sample"]["cpu"], 1.25);
    assert_eq!(node["sample"]["cores"], json!([1.0, 0.25]));
    assert_eq!(node["sample"]["memory"], Value::Null);
    assert!(node["sample"]["age_seconds"].as_f64().unwrap() < 60.0);
    let listed = server.get("/api/v1/nodes").await.json();
    assert_eq!(listed["nodes"][0]["sample"]["cpu"], 1.25);
    assert_eq!(listed["nodes"][0]["sample"].get("cores"), None);

    drop(agent);
    let gone = async {
        loop {
            let node = server.get("/api/v1/nodes/n1").await.json();
            if node["phase"] == "away" {
                return node;
            }
        }
    };
    assert_eq!(gone.await["sample"]["current"], false);
    server.stop().await;
}

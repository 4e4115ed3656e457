//! Watching processes over real connections, with agents by hand on the other side.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use flota_model::process::{Answer, ProcessList};
use serde_json::json;

use super::{
    agent::Agent,
    events::Watcher,
    harness::Harness,
    processes::{list, row},
};

/// Lists that the agent was asked for.
async fn counted(server: &Harness) -> Arc<AtomicU64> {
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    let agent = Agent::join(server, "n1").await;
    tokio::spawn(agent.serve(move |_| {
        let scan = counter.fetch_add(1, Ordering::Relaxed) + 1;
        let Answer::Processes(rows) = list(vec![row(7, "sim")]) else {
            unreachable!("it is one")
        };
        Ok(Answer::Processes(ProcessList { scan, ..rows }))
    }));
    asked
}

#[tokio::test]
async fn ten_watchers_cost_one_list_for_each_tick() {
    let server = Harness::start().await;
    let asked = counted(&server).await;
    let mut watchers = Vec::new();
    for _ in 0..10 {
        watchers.push(Watcher::open(&server, "/api/v1/processes/watch?interval=1s", None).await);
    }
    let mut ticks = 0;
    for round in 0..4 {
        for watcher in &mut watchers {
            let (name, data) = watcher.tick().await;
            assert_eq!(name, if round == 0 { "snapshot" } else { "delta" });
            assert_eq!(data["answered"][0]["name"], "n1");
            ticks += 1;
        }
    }
    // Were each of them to ask, there would be forty. On a busy machine some tick late and ask for
    // all others then.
    let asked = asked.load(Ordering::Relaxed);
    assert_eq!(ticks, 40);
    assert!((4..=12).contains(&asked), "{asked} lists for {ticks} ticks");
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_when_nobody_watches() {
    let server = Harness::start().await;
    let asked = counted(&server).await;
    let path = "/api/v1/processes/watch?interval=500ms";
    let mut watcher = Watcher::open(&server, path, None).await;
    let (_, data) = watcher.tick().await;
    assert_eq!(data["processes"][0]["name"], "sim");
    watcher.tick().await;
    drop(watcher);
    // Another watcher of two ticks: between the two nobody asked.
    let before = asked.load(Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let after = asked.load(Ordering::Relaxed);
    assert!(after - before <= 1, "{} lists for nobody", after - before);
    server.stop().await;
}

#[tokio::test]
async fn a_node_that_left_is_named_and_its_processes_are_not_gone() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let path = "/api/v1/processes/watch?interval=500ms";
    let answer = agent.answer(|_| Ok(list(vec![row(7, "sim")])));
    let (mut watcher, ()) = tokio::join!(
        async {
            let mut watcher = Watcher::open(&server, path, None).await;
            watcher.tick().await;
            watcher
        },
        answer
    );
    drop(agent);
    loop {
        let (_, data) = watcher.tick().await;
        assert_eq!(data["gone"], json!([]));
        if data["unanswered"][0]["phase"] == "away" {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn no_more_watch_than_is_allowed_and_nothing_else_than_is_known() {
    let server = Harness::start_with(|settings| settings.limits.watchers_max = 1).await;
    let _asked = counted(&server).await;
    let path = "/api/v1/processes/watch";
    let mut watcher = Watcher::open(&server, path, None).await;
    watcher.tick().await;
    let refused = server.get(path).await;
    assert_eq!(refused.problem(), (503, "E-WATCHER-LIMIT".into()));
    for query in ["interval=499ms", "interval=61s", "interval=x", "state=1"] {
        let refused = server.get(&format!("{path}?{query}")).await;
        assert_eq!(
            refused.problem(),
            (400, "E-QUERY-INVALID".into()),
            "{query}"
        );
    }
    let refused = server.get(&format!("{path}?node=n9")).await;
    assert_eq!(refused.problem(), (404, "E-NODE-NOTFOUND".into()));
    server.stop().await;
}

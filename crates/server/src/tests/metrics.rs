//! What Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{
    agent::Agent,
    events::Watcher,
    harness::{Harness, PATIENCE},
};

/// Every sample, from a strict reading: a family has its help and type once, before its samples.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
    let (mut helped, mut family) = (String::new(), String::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').unwrap().0.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped);
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let earlier = families.insert(name.to_owned(), kind.to_owned());
            assert_eq!(earlier, None, "{line}");
            name.clone_into(&mut family);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let suffix = name
                .strip_prefix(&family)
                .unwrap_or_else(|| panic!("{line}"));
            let suffixes: &[&str] = match families[&family].as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            assert_eq!(series.contains('{'), series.ends_with("\"}"), "{line}");
            let earlier = samples.insert(series.to_owned(), value.parse().unwrap());
            assert_eq!(earlier, None, "{line}");
        }
    }
    samples
}

#[tokio::test]
async fn the_metrics_are_what_happened() {
    let begun = crate::clock::now().wall.0 / 1_000_000;
    let wide = json!({"name": "wide", "kernel": {"name": "noop"}, "resources": {"cpus": 64}});
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    // One job of which something is granted and cancelled, one that is finished, one that waits.
    server.submit(1).await;
    agent.ordered(1).await;
    server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    for _ in 0..2 {
        server.post("/api/v1/jobs", &wide).await;
    }
    server.post("/api/v1/jobs/2/cancel", &json!(null)).await;
    let watcher = Watcher::open(&server, "/api/v1/events", None).await;
    server.get("/nowhere").await;
    let answer = server.get("/metrics").await;
    let media = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), media);
    let samples = parse(answer.text());
    for (series, value) in [
        ("flota_jobs{phase=\"active\"}", 1.0),
        ("flota_jobs{phase=\"cancelling\"}", 1.0),
        ("flota_jobs_finished_total", 1.0),
        ("flota_watchers", 1.0),
        ("flota_http_requests_in_flight", 1.0),
        ("flota_tasks{state=\"succeeded\"}", 0.0),
        ("flota_nodes{phase=\"up\"}", 1.0),
        ("flota_nodes{phase=\"lost\"}", 0.0),
        ("flota_node_cpus{node=\"n1\"}", 4.0),
        ("flota_http_requests_total{code=\"201\"}", 3.0),
        ("flota_http_requests_total{code=\"404\"}", 1.0),
    ] {
        assert_eq!(
            samples.get(series),
            Some(&value),
            "{series}\n{}",
            answer.text()
        );
    }
    let count = samples["flota_commit_duration_seconds_count"];
    let all = samples["flota_commit_duration_seconds_bucket{le=\"+Inf\"}"];
    assert!(count >= 2.0, "a node and a job");
    assert!((count - all).abs() < 0.5);
    let commits = samples["flota_commit_batches_count"];
    assert!((count - commits).abs() < 0.5);
    assert!(samples["flota_commit_batches_sum"] >= commits);
    let fit = samples["flota_commit_batches_bucket{le=\"64\"}"];
    assert!((fit - commits).abs() < 0.5, "no commit has more");
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 are far below 2^52"
    )]
    let begun = begun as f64;
    let started = samples["process_start_time_seconds"];
    assert!((begun..begun + 3600.0).contains(&started), "{started}");
    drop(watcher);
    let gone = async {
        loop {
            let samples = parse(server.get("/metrics").await.text());
            if samples["flota_watchers"] < 0.5 {
                return;
            }
        }
    };
    timeout(PATIENCE, gone)
        .await
        .expect("the place is given back");
    assert!(samples["flota_store_bytes"] > 0.0 && samples["flota_store_free_bytes"] > 0.0);
    let nobody = server.remote(Method::GET, "/metrics", &[]).await;
    assert_eq!(nobody.problem(), (401, "E-CREDENTIALS-MISSING".into()));
    server.stop().await;
}

#[tokio::test]
async fn every_series_is_documented_and_none_that_is_gone() {
    let server = Harness::start().await;
    let _agent = Agent::join(&server, "n1").await;
    let samples = parse(server.get("/metrics").await.text());
    let name = |series: &String| {
        let name = series.split('{').next().unwrap();
        let histogram = |end: &&str| name.strip_suffix(end).map(str::to_owned);
        let family = ["_bucket", "_sum", "_count"].iter().find_map(histogram);
        family.unwrap_or_else(|| name.to_owned())
    };
    let told: BTreeSet<String> = samples.keys().map(name).collect();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let documented: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(|name| name.split('{').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, documented);
    server.stop().await;
}

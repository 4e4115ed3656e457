//! What Prometheus reads.

use std::collections::BTreeMap;

use hyper::Method;

use super::{agent::Agent, harness::Harness};

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
    let server = Harness::start().await;
    let _agent = Agent::join(&server, "n1").await;
    server.submit(3).await;
    server.get("/nowhere").await;
    let answer = server.get("/metrics").await;
    let media = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), media);
    let samples = parse(answer.text());
    for (series, value) in [
        ("flota_jobs_live", 1.0),
        ("flota_tasks{state=\"succeeded\"}", 0.0),
        ("flota_nodes{phase=\"up\"}", 1.0),
        ("flota_nodes{phase=\"lost\"}", 0.0),
        ("flota_node_cpus{node=\"n1\"}", 4.0),
        ("flota_http_requests_total{code=\"201\"}", 1.0),
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
    assert!(samples["flota_commit_batches_total"] >= count);
    assert!(samples["flota_store_bytes"] > 0.0 && samples["flota_store_free_bytes"] > 0.0);
    let nobody = server.remote(Method::GET, "/metrics", &[]).await;
    assert_eq!(nobody.problem(), (401, "E-CREDENTIALS-MISSING".into()));
    server.stop().await;
}

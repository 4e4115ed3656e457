//! The pages for people.

use flota_model::{
    sample::{MemorySample, NodeSample},
    units::{Bytes, Cpus},
};
use hyper::Method;
use serde_json::json;

use super::{agent::Agent, harness::Harness, processes};
use crate::problem::CATALOGUE;

#[tokio::test]
async fn the_overview_speaks_both_languages_and_runs_no_script() {
    let server = Harness::start().await;
    let english = server.get("/").await;
    assert!(
        english.text().contains("No node has joined yet."),
        "{}",
        english.text()
    );
    assert!(
        english
            .header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert_eq!(english.header("x-content-type-options"), "nosniff");
    let spanish = server.get("/?lang=es").await;
    assert!(spanish.text().contains("Todavía no se unió ningún nodo."));
    assert!(spanish.text().contains("<html lang=\"es\">"));
    assert_eq!(spanish.header("content-language"), "es");
    let wrong = server.get("/?lnag=es").await;
    assert_eq!(wrong.problem(), (400, "E-QUERY-UNKNOWN".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_job_has_a_page_with_its_tasks() {
    let server = Harness::start().await;
    let spec = json!({"name": "sim", "tasks": {"first": 1, "last": 250},
        "program": {"argv": ["echo", "<script>alert(1)</script>"]}});
    server.post("/api/v1/jobs", &spec).await;
    let overview = server.get("/").await;
    assert!(
        overview
            .text()
            .contains("<a href=\"/jobs/1?lang=en\">sim</a>")
    );
    let page = server.get("/jobs/last?lang=es").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(
        text.contains("Trabajo 1: sim") && text.contains("en espera"),
        "{text}"
    );
    assert!(
        text.contains("<meta http-equiv=\"refresh\""),
        "it is still going on"
    );
    assert!(text.contains("after=100"), "there is a next page");
    assert!(!text.contains("<script>"), "what the user gave is escaped");
    assert!(text.contains("&lt;script&gt;"));
    let state = server.get("/jobs/1?state=failed").await;
    assert!(state.text().contains("No task in this state."));
    server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    let page = server.get("/jobs/1").await;
    assert!(!page.text().contains("<meta http-equiv=\"refresh\""));
    server.stop().await;
}

#[tokio::test]
async fn the_api_has_a_page_whose_links_all_lead_somewhere() {
    let server = Harness::start().await;
    let page = server.get("/docs/api").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    for part in [
        "POST /api/v1/jobs</code>",
        "E-SPEC-INVALID",
        "flota.sock http://localhost/api/v1/jobs/last/tasks/0</pre>",
        "<section id=\"schema-Submission\">",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let targets: Vec<&str> = text
        .split("href=\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|target| *target != "content")
        .collect();
    assert!(targets.len() > 50);
    for target in targets {
        assert!(text.contains(&format!("id=\"{target}\"")), "{target}");
    }
    assert!(!text.contains("<script") && !text.contains("src="));
    let spanish = server.get("/docs/api?lang=es").await;
    assert!(spanish.text().contains("Parámetro") && spanish.text().contains("Esquemas"));
    let overview = server.get("/").await;
    assert!(
        overview
            .text()
            .contains("<a href=\"/docs/api?lang=en\">API</a>")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_person_without_a_session_gets_a_page_that_says_what_to_do() {
    let server = Harness::start().await;
    let headers = [
        ("accept", "text/html,*/*"),
        ("accept-language", "es-AR,es;q=0.9"),
    ];
    let page = server.remote(Method::GET, "/", &headers).await;
    assert_eq!(page.status, 401);
    assert!(
        page.text().contains("No ha iniciado sesión"),
        "{}",
        page.text()
    );
    assert!(page.text().contains("E-CREDENTIALS-MISSING"));
    let page = server
        .remote(Method::GET, "/login?token=used", &headers)
        .await;
    assert_eq!(page.status, 401);
    assert!(page.text().contains("E-LOGIN-EXPIRED"));
    server.stop().await;
}

#[tokio::test]
async fn a_node_has_a_page_that_says_how_old_its_values_are() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n-1").await;
    let overview = server.get("/").await;
    assert!(
        overview
            .text()
            .contains("<a href=\"/nodes/1?lang=en\">n-1</a>"),
        "{}",
        overview.text()
    );
    let page = server.get("/nodes/1").await;
    assert!(page.text().contains("It has not said"), "{}", page.text());
    agent.beat_with(Some(NodeSample {
        cpu: Some(Cpus(1_250)),
        memory: Some(MemorySample {
            total: Bytes(8 << 30),
            available: Bytes(6 << 30),
            ..MemorySample::default()
        }),
        ..NodeSample::default()
    }));
    let shows = async |path: &str, part: &str| {
        loop {
            let page = server.get(path).await;
            if page.text().contains(part) {
                return page;
            }
        }
    };
    let page = shows("/nodes/1?lang=es", "Núcleos en uso").await;
    for part in ["1.25", "2.0 GiB/8.0 GiB", "Nodo n-1", "activo"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    drop(agent);
    let page = shows("/nodes/1", "not current").await;
    assert!(page.text().contains("away"), "{}", page.text());
    let missing = server.get("/nodes/9").await;
    assert_eq!(missing.problem(), (404, "E-NODE-NOTFOUND".into()));
    server.stop().await;
}

#[tokio::test]
async fn every_problem_points_to_a_page_that_everybody_may_read() {
    let server = Harness::start().await;
    let refused = server.remote(Method::GET, "/api/v1/nodes", &[]).await;
    let kind = refused.json()["type"].as_str().unwrap().to_owned();
    let page = server.remote(Method::GET, &kind, &[]).await;
    assert_eq!(page.status, 200, "{kind}: {}", page.text());
    for part in ["<h1>E-CREDENTIALS-MISSING</h1>", "<strong>What.</strong>"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    for kind in CATALOGUE {
        let page = server.get(&format!("/docs/errors/{}", kind.code)).await;
        assert_eq!(page.status, 200, "{}", kind.code);
    }
    for missing in ["E-NO-SUCH", "..%2FREADME", "README.md"] {
        let page = server.get(&format!("/docs/errors/{missing}")).await;
        assert_eq!(page.status, 404, "{missing}");
    }
    server.stop().await;
}

#[tokio::test]
async fn processes_have_pages_that_link_to_each_other() {
    let server = Harness::start().await;
    let mut agent = Agent::join(&server, "n1").await;
    let node = server.get("/nodes/n1").await;
    let link = "<a href=\"/nodes/1/processes?sort=cpu&amp;kernel=false&amp;lang=en\">";
    assert!(node.text().contains(link), "{}", node.text());
    let answer = agent.answer(|question| Ok(processes::one(question)));
    let (list, ()) = tokio::join!(server.get("/nodes/n1/processes?lang=es&sort=cpu"), answer);
    let text = list.text();
    assert!(text.contains("Procesos de"), "{text}");
    let link = "<a href=\"/nodes/1/processes/7?lang=es\">7</a>";
    assert!(text.contains(link), "{text}");

    let answer = agent.answer(|question| Ok(processes::one(question)));
    let (page, ()) = tokio::join!(server.get("/nodes/n1/processes/7"), answer);
    let text = page.text();
    assert_eq!(page.status, 200, "{text}");
    for part in ["Open files", "Permission denied", "Sockets", "Children"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let answer = agent.answer(|_| Err(flota_model::process::AskFault::Gone));
    let (gone, ()) = tokio::join!(server.get("/nodes/n1/processes/8"), answer);
    assert_eq!(gone.problem(), (404, "E-PROCESS-NOTFOUND".into()));
    server.stop().await;
}

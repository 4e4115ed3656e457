//! Answers that are not sent twice.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::harness::{Answer, Harness};

async fn get(server: &Harness, path: &str, held: &str) -> Answer {
    let token = format!("Bearer {}", server.token());
    let headers = [("authorization", token.as_str()), ("if-none-match", held)];
    server.remote(Method::GET, path, &headers).await
}

#[tokio::test]
async fn an_answer_that_the_client_holds_is_not_sent_again() {
    let server = Harness::start().await;
    server.submit(2).await;
    for path in [
        "/api/v1/jobs",
        "/api/v1/jobs/1",
        "/api/v1/jobs/1/tasks",
        "/api/v1/jobs/1/tasks/1",
        "/api/v1/nodes",
    ] {
        let first = server.get(path).await;
        let tag = first.header("etag").to_owned();
        assert_eq!((first.status, tag.len()), (StatusCode::OK, 34), "{path}");
        assert_eq!(first.header("cache-control"), "private, no-cache");
        for held in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let again = get(&server, path, &held).await;
            assert_eq!((again.status, again.text()), (StatusCode::NOT_MODIFIED, ""));
            assert_eq!(again.header("etag"), tag);
            let location = first.header("content-location");
            assert_eq!(again.header("content-location"), location);
        }
        let other = get(&server, path, "\"other\"").await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &first.body));
    }
    let tag = server.get("/api/v1/jobs/1").await.header("etag").to_owned();
    server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    let changed = get(&server, "/api/v1/jobs/1", &tag).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), tag);
    // Neither a problem nor what changes something is kept.
    let missing = get(&server, "/api/v1/jobs/9", "*").await;
    assert_eq!(missing.problem(), (404, "E-JOB-NOTFOUND".into()));
    assert_eq!(missing.header("cache-control"), "no-store");
    server.stop().await;
}

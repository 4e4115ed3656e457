//! Who gets in.

use hyper::Method;
use serde_json::json;

use super::harness::{Harness, job};

#[tokio::test]
async fn the_port_wants_a_token_and_the_socket_knows_its_peer() {
    let server = Harness::start().await;
    let token = format!("Bearer {}", server.token());
    let get =
        async |headers: &[(&str, &str)]| server.remote(Method::GET, "/api/v1/fleet", headers).await;
    let nobody = get(&[]).await;
    assert_eq!(nobody.problem(), (401, "E-CREDENTIALS-MISSING".into()));
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
    for wrong in [
        "Bearer 00",
        "Bearer ",
        "Basic eDp5",
        &token[..token.len() - 1],
    ] {
        let answer = get(&[("authorization", wrong)]).await;
        assert_eq!(
            answer.problem(),
            (401, "E-CREDENTIALS-WRONG".into()),
            "{wrong}"
        );
    }
    assert_eq!(get(&[("authorization", &token)]).await.status, 200);
    assert_eq!(server.get("/api/v1/fleet").await.status, 200);
    assert_eq!(
        server.remote(Method::GET, "/healthz", &[]).await.status,
        200
    );
    for path in ["/", "/readyz", "/jobs/1", "/api/v1/jobs", "/nothing"] {
        let answer = server.remote(Method::GET, path, &[]).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_token_and_the_socket_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Harness::start().await;
    for name in ["token", "flota.sock", "server.lock", "addresses.json"] {
        let metadata = std::fs::metadata(server.folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let token = server.token();
    assert_eq!(token.len(), 64);
    let folder = server.stop().await;
    let server = Harness::start_in(folder, |_| {}).await;
    assert_eq!(server.token(), token, "kept across starts");
    server.stop().await;
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let server = Harness::start().await;
    let token = format!("Bearer {}", server.token());
    let get = async |host: &str, origin: Option<&str>| {
        let mut headers = vec![("host", host), ("authorization", token.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        server.remote(Method::GET, "/api/v1/fleet", &headers).await
    };
    for host in ["evil.example", "evil.example:7070", "10.0.0.1", ""] {
        assert_eq!(
            get(host, None).await.problem(),
            (403, "E-HOST-FOREIGN".into()),
            "{host}"
        );
    }
    for host in ["localhost", "localhost:1", "127.0.0.1:7070", "[::1]:7070"] {
        assert_eq!(get(host, None).await.status, 200, "{host}");
        assert_eq!(
            get(host, Some(&format!("http://{host}"))).await.status,
            200,
            "{host}"
        );
    }
    for origin in [
        "http://evil.example",
        "null",
        "https://localhost",
        "http://localhost:1",
    ] {
        let answer = get("localhost", Some(origin)).await;
        assert_eq!(
            answer.problem(),
            (403, "E-ORIGIN-FOREIGN".into()),
            "{origin}"
        );
    }
    // Even where nobody must say who he is.
    let health = server
        .remote(Method::GET, "/healthz", &[("host", "evil.example")])
        .await;
    assert_eq!(health.problem(), (403, "E-HOST-FOREIGN".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_link_opens_one_session_once() {
    let server =
        Harness::start_with(|settings| settings.one_time_token = Some("only-once".into())).await;
    let login = async |token: &str| {
        server
            .remote(Method::GET, &format!("/login?token={token}"), &[])
            .await
    };
    assert_eq!(
        login("wrong").await.problem(),
        (401, "E-LOGIN-EXPIRED".into())
    );
    let opened = login("only-once").await;
    assert_eq!(opened.status, 303);
    assert_eq!(opened.header("location"), "/");
    let cookie = opened.header("set-cookie").to_owned();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Strict; Path=/"),
        "{cookie}"
    );
    assert_eq!(
        login("only-once").await.problem(),
        (401, "E-LOGIN-EXPIRED".into())
    );

    let pair = cookie.split(';').next().unwrap();
    let cookies = format!("other=1; {pair}");
    let page = server
        .remote(Method::GET, "/", &[("cookie", &cookies)])
        .await;
    assert_eq!(page.status, 200);
    let forged = [("cookie", "flota_session=0000")];
    let answer = server.remote(Method::GET, "/", &forged).await;
    assert_eq!(answer.problem(), (401, "E-CREDENTIALS-WRONG".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_browser_session_changes_things_only_from_our_own_page() {
    let server = Harness::start_with(|settings| settings.one_time_token = Some("t".into())).await;
    let opened = server.remote(Method::GET, "/login?token=t", &[]).await;
    let cookie = opened
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    server.post("/api/v1/jobs", &job(1)).await;
    let cancel = async |extra: &[(&str, &str)]| {
        let mut headers = vec![("cookie", cookie.as_str()), ("host", "localhost:7070")];
        headers.extend(extra);
        server
            .remote(Method::POST, "/api/v1/jobs/1/cancel", &headers)
            .await
    };
    assert_eq!(cancel(&[]).await.problem(), (403, "E-CSRF-MISSING".into()));
    let other = cancel(&[("x-flota-csrf", "0")]).await;
    assert_eq!(other.problem(), (403, "E-CSRF-MISSING".into()));
    let foreign = cancel(&[("origin", "http://evil.example"), ("x-flota-csrf", "1")]).await;
    assert_eq!(foreign.problem(), (403, "E-ORIGIN-FOREIGN".into()));
    let shown = server.get("/api/v1/jobs/1").await.json();
    assert_eq!(shown["tasks"], json!({"waiting": 1}));
    assert_eq!(
        cancel(&[("origin", "http://localhost:7070")]).await.status,
        202
    );
    let csrf = cancel(&[("x-flota-csrf", "1")]).await;
    assert_eq!(csrf.problem(), (409, "E-JOB-FINISHED".into()));
    server.stop().await;
}

//! Services over HTTP: states that were seen, revisions, and the way back.

use serde_json::{Value, json};

use super::{events::Watcher, harness::Harness};

const WEB: &str = "/api/v1/services/web";

fn web(program: &str) -> Value {
    json!({"name": "web", "program": {"argv": [program]}, "service": {}})
}

#[tokio::test]
async fn who_has_not_seen_the_last_change_is_refused_with_412() {
    let server = Harness::start().await;
    let changed = |answer: &super::harness::Answer| {
        assert_eq!(answer.status, 412, "{}", answer.text());
        assert_eq!(answer.json()["code"], "E-SERVICE-CHANGED");
    };
    changed(&server.put_with(WEB, &web("a"), ("if-match", "*")).await);
    let made = server
        .put_with(WEB, &web("a"), ("if-none-match", "*"))
        .await;
    assert_eq!(made.status, 200, "{}", made.text());
    changed(
        &server
            .put_with(WEB, &web("b"), ("if-none-match", "*"))
            .await,
    );
    let seen = server.get(WEB).await;
    let (tag, version) = (
        seen.header("etag").to_owned(),
        seen.json()["service"]["version"].clone(),
    );
    let version = format!("\"{}\"", version.as_str().unwrap());
    assert_eq!(made.header("etag"), version);
    assert!(tag.starts_with(version.trim_end_matches('"')), "{tag}");

    let weak = format!("W/{tag}");
    changed(&server.put_with(WEB, &web("b"), ("if-match", &weak)).await);
    let by_tag = server.put_with(WEB, &web("b"), ("if-match", &tag)).await;
    assert_eq!(by_tag.json()["applied"], "updated");
    changed(&server.put_with(WEB, &web("c"), ("if-match", &tag)).await);
    let list = format!("\"x\", {version}, {}", by_tag.header("etag"));
    let by_list = server.put_with(WEB, &web("c"), ("if-match", &list)).await;
    assert_eq!(by_list.json()["applied"], "updated");
    let wrong = server
        .put_with(WEB, &web("c"), ("if-none-match", &tag))
        .await;
    assert_eq!(wrong.json()["code"], "E-QUERY-INVALID");
    let any = server.put_with(WEB, &web("c"), ("if-match", "*")).await;
    assert_eq!(any.json()["applied"], "unchanged");
    server.stop().await;
}

#[tokio::test]
async fn revisions_are_listed_and_gone_back_to_also_after_a_new_start() {
    let server = Harness::start().await;
    assert_eq!(server.put(WEB, &web("a")).await.status, 200);
    let none = server.post(&format!("{WEB}/rollback"), &json!({})).await;
    assert_eq!(
        none.json()["code"],
        "E-REVISION-NOTFOUND",
        "{}",
        none.text()
    );
    let second = server.put(&format!("{WEB}?at_a_time=2"), &web("b")).await;
    assert_eq!(second.json()["applied"], "updated", "{}", second.text());
    let zero = server.put(&format!("{WEB}?at_a_time=0"), &web("c")).await;
    assert_eq!(zero.json()["code"], "E-QUERY-INVALID");

    let folder = server.stop().await;
    let server = Harness::start_in(folder, |_| {}).await;
    let listed = server.get(&format!("{WEB}/revisions")).await.json();
    let revisions = listed["revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), 2);
    assert_eq!(revisions[0]["current"], true);
    assert_eq!(revisions[0]["changed"], json!(["program.argv"]));
    assert_eq!(revisions[0]["principal"], "local");
    assert_eq!(revisions[1]["spec"]["program"]["argv"], json!(["a"]));
    let first = &revisions[1]["job"];
    let back = server
        .post(
            &format!("{WEB}/rollback?to={first}&at_a_time=3"),
            &json!({}),
        )
        .await;
    assert_eq!(back.status, 202, "{}", back.text());
    let whole = server.get(WEB).await.json();
    assert_eq!(whole["spec"]["program"]["argv"], json!(["a"]));
    let listed = server.get(&format!("{WEB}/revisions")).await.json();
    assert_eq!(listed["revisions"][0]["cause"], "rolled-back");
    let gone = server
        .post(&format!("{WEB}/rollback?to={first}"), &json!({}))
        .await;
    assert_eq!(gone.json()["code"], "E-REVISION-NOTFOUND");
    server.stop().await;
}

#[tokio::test]
async fn a_service_that_finds_no_room_says_why() {
    let server = Harness::start().await;
    assert_eq!(server.put(WEB, &web("a")).await.status, 200);
    let whole = server.get(WEB).await.json();
    assert_eq!(whole["replicas"][0]["waiting_for"], "room");
    assert_eq!(whole["rooms"][0]["nodes"], 0);
    let page = server.get("/services/web").await;
    assert!(
        page.text().contains("no node has joined"),
        "{}",
        page.text()
    );
    server.stop().await;
}

#[tokio::test]
async fn watchers_hear_of_services_and_can_come_back_for_what_they_missed() {
    let server = Harness::start().await;
    let path = "/api/v1/events?topics=service";
    let mut watcher = Watcher::open(&server, path, None).await;
    let made = server.put(WEB, &web("a")).await;
    let job = made.json()["service"]["job"].clone();
    let (name, data) = watcher.tick().await;
    assert_eq!(name, "service");
    assert_eq!(
        (&data["service"], &data["news"]),
        (&json!("web"), &json!("created"))
    );
    assert_eq!((&data["job"], &data["replicas"]), (&job, &json!(1)));
    let seen = watcher.last().to_owned();
    drop(watcher);
    for order in ["scale?replicas=3", "restart", "stop"] {
        let answer = server.post(&format!("{WEB}/{order}"), &json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    assert_eq!(server.delete(WEB).await.status, 200);
    let mut again = Watcher::open(&server, path, Some(&seen)).await;
    let mut news = Vec::new();
    while news.last() != Some(&json!("removed")) {
        let (_, data) = again.tick().await;
        assert_eq!(data["service"], "web");
        news.push(data["news"].clone());
    }
    let expected = ["scaled", "restarted", "stopped", "removed"];
    assert_eq!(news, expected.map(Value::from));
    server.stop().await;
}

//! Watched files: each new line becomes a task once.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
};

use serde_json::{Value, json};

use super::harness::{Harness, PATIENCE};

fn echo() -> Value {
    json!({"name": "echo", "program": {"argv": ["echo", "{line}"]}})
}

/// The watch of a path, once it is as expected.
async fn eventually(server: &Harness, path: &str, expected: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let shown = server.get(&format!("/api/v1/watches?path={path}")).await;
        let watch = shown.json()["watches"][0].clone();
        if expected(&watch) {
            return watch;
        }
        assert!(tokio::time::Instant::now() < deadline, "{watch}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn append(path: &Path, text: &str) {
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn lines_of_a_file_become_tasks_once_through_editors_and_restarts() {
    let server = Harness::start().await;
    let file = server.folder.path().join("jobs/urls.txt");
    let order = json!({"path": "urls.txt", "job": echo()});
    let added = server.post("/api/v1/watches", &order).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let again = server.post("/api/v1/watches", &order).await;
    assert_eq!(again.problem(), (409, "E-NOTE-CHANGED".into()));

    fs::create_dir_all(file.parent().unwrap()).unwrap();
    append(&file, "a\nb\nhal");
    eventually(&server, "urls.txt", |watch| watch["tasks"] == 2).await;
    append(&file, "f\n\0\n");
    let watch = eventually(&server, "urls.txt", |watch| watch["tasks"] == 3).await;
    assert_eq!(
        watch["faults"],
        json!([{"file": "", "line": 4, "reason": "has a NUL byte"}])
    );
    // An editor writes another file in its place.
    let other = file.with_extension("new");
    fs::write(&other, "b\nnew\na\nhalf\n").unwrap();
    fs::rename(&other, &file).unwrap();
    eventually(&server, "urls.txt", |watch| watch["tasks"] == 4).await;

    // A server that dies knows as much as before.
    let folder = server.kill().await;
    append(&file, "last\n");
    let server = Harness::start_in(folder, |_| {}).await;
    eventually(&server, "urls.txt", |watch| watch["tasks"] == 5).await;
    let jobs = server.get("/api/v1/jobs").await.json();
    let tasks = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["tasks"]["waiting"]);
    let tasks: u64 = tasks.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(tasks, 5, "{jobs}");

    let removed = server.delete("/api/v1/watches?path=urls.txt").await;
    assert_eq!(removed.json()["tasks"], 5);
    let missing = server.get("/api/v1/watches?path=urls.txt").await;
    assert_eq!(missing.problem(), (404, "E-NOTE-NOTFOUND".into()));
    server.stop().await;
}

#[tokio::test]
async fn files_of_a_folder_are_watched_and_known_again_by_another_name() {
    let server = Harness::start_with(|settings| settings.kernels.push("julia".into())).await;
    let folder = server.folder.path().join("jobs/spool");
    fs::create_dir_all(&folder).unwrap();
    let order = json!({"path": "spool", "format": "hpc"});
    assert_eq!(server.post("/api/v1/watches", &order).await.status, 201);
    fs::write(
        folder.join("one.csv"),
        "Numpy,4,4,9\nNumpy,4,4,many\nNumpy,4,4,9,1\n",
    )
    .unwrap();
    let watch = eventually(&server, "spool", |watch| watch["tasks"] == 2).await;
    assert_eq!(watch["faults"][0]["file"], "one.csv");
    assert_eq!(watch["faults"][0]["line"], 2);
    fs::rename(folder.join("one.csv"), folder.join("two.csv")).unwrap();
    eventually(&server, "spool", |watch| {
        watch["files"] == json!(["two.csv"])
    })
    .await;
    fs::write(folder.join("three.csv"), "Numpy,4,4,9\n").unwrap();
    fs::write(folder.join(".hidden"), "Numpy,4,4,9\n").unwrap();
    let watch = eventually(&server, "spool", |watch| watch["tasks"] == 3).await;
    assert_eq!(watch["files"], json!(["three.csv", "two.csv"]));
    server.stop().await;
}

#[tokio::test]
async fn what_is_outside_of_the_folders_is_refused() {
    let server = Harness::start().await;
    let jobs = server.folder.path().join("jobs");
    fs::create_dir_all(&jobs).unwrap();
    fs::write(server.folder.path().join("secret"), "x\n").unwrap();
    symlink(server.folder.path(), jobs.join("out")).unwrap();
    symlink("/etc", jobs.join("etc")).unwrap();
    for path in [
        "/etc/passwd",
        "../secret",
        "a/../../secret",
        "out/secret",
        "etc/passwd",
        "out",
    ] {
        let answer = server
            .post("/api/v1/watches", &json!({"path": path, "job": echo()}))
            .await;
        assert_eq!(answer.problem(), (403, "E-WATCH-OUTSIDE".into()), "{path}");
    }
    // A link that comes later leads nowhere either.
    let order = json!({"path": "later", "job": echo()});
    assert_eq!(server.post("/api/v1/watches", &order).await.status, 201);
    symlink(server.folder.path().join("secret"), jobs.join("later")).unwrap();
    let watch = eventually(&server, "later", |watch| !watch["problem"].is_null()).await;
    assert_eq!(watch["tasks"], 0);
    for (body, field) in [
        (
            json!({"path": "x", "format": "xml", "job": echo()}),
            "format",
        ),
        (json!({"path": "x"}), "job"),
        (json!({"path": "x", "format": "hpc", "job": echo()}), "job"),
        (json!({"path": "x", "job": {"name": "n"}}), "program"),
    ] {
        let answer = server.post("/api/v1/watches", &body).await;
        assert_eq!(answer.problem(), (422, "E-SPEC-INVALID".into()), "{body}");
        assert_eq!(answer.json()["faults"][0]["field"], field);
    }
    server.stop().await;
}

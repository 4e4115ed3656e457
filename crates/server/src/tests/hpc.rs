//! The master of the older cluster, with an agent by hand.

use std::{fs, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use super::harness::{Answer, Harness, PATIENCE, exchange};
use crate::HpcSettings;

async fn start(change: impl FnOnce(&mut HpcSettings)) -> (Harness, SocketAddr) {
    let harness = Harness::start_with(|settings| {
        settings.kernels.push("julia-plain".into());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut hpc = HpcSettings::new(nowhere, &settings.data);
        change(&mut hpc);
        settings.hpc = Some(hpc);
    })
    .await;
    let address = harness.addresses.hpc.unwrap();
    (harness, address)
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    ask_with(address, method, path, body, &[("host", "localhost:5001")]).await
}

async fn ask_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from(body.to_owned())).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    exchange(stream, request).await
}

fn picture(algorithm: &str, width: u32) -> String {
    json!({"algoritmo": algorithm, "width": width, "height": 10, "iteraciones": 5}).to_string()
}

async fn eventually(
    what: &str,
    address: SocketAddr,
    path: &str,
    seen: impl Fn(&Value) -> bool,
) -> Value {
    let looked = timeout(PATIENCE, async {
        loop {
            let answer = ask(address, "GET", path, "").await.json();
            if seen(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    looked.await.unwrap_or_else(|_| panic!("{what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_queued_counted_and_cleared() {
    let (harness, address) = start(|_| {}).await;
    let ping = ask(address, "GET", "/ping", "").await.json();
    assert_eq!(ping["status"], "active");
    assert_eq!(
        (&ping["trabajos_pendientes"], &ping["esclavos_activos"]),
        (&json!(0), &json!(0))
    );
    for (number, algorithm) in ["Secuencial", "numpy", "juliaCython"].iter().enumerate() {
        let added = ask(address, "POST", "/agregar_trabajo", &picture(algorithm, 20))
            .await
            .json();
        assert_eq!(added["status"], "added");
        assert_eq!(added["posicion_cola"], number + 1);
        let job = harness
            .get(&format!("/api/v1/jobs/{}", added["trabajo_id"]))
            .await
            .json();
        assert_eq!(job["principal"], "adapter/hpc");
        assert_eq!(job["spec"]["kernel"]["name"], "julia-plain");
    }
    let state = ask(address, "GET", "/estado", "").await.json();
    assert_eq!(state["trabajos_pendientes"], 3);
    assert_eq!(state["trabajos_completados"], 0);
    assert_eq!(state["trabajos_desde_archivo"], false);
    let cleared = ask(address, "POST", "/limpiar_cola", "").await.json();
    assert_eq!(
        cleared,
        json!({"status": "cleared", "trabajos_eliminados": 3})
    );
    let state = ask(address, "GET", "/estado", "").await.json();
    assert_eq!(state["trabajos_pendientes"], 0);
    assert_eq!(state["trabajos_completados"], 0, "cancelled is not done");
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_nothing_is_queued() {
    let (harness, address) = start(|_| {}).await;
    for (body, said) in [
        ("{".to_owned(), "no es JSON"),
        ("{}".to_owned(), "faltan campos"),
        (picture("Fractal", 20), "Secuencial, Numpy, juliaCython"),
        (picture("Numpy", 2_000_000), "width"),
    ] {
        let answer = ask(address, "POST", "/agregar_trabajo", &body).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(told.contains(said), "{body}: {told}");
    }
    let long = " ".repeat((1 << 20) + 1);
    let answer = ask(address, "POST", "/agregar_trabajo", &long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = ask(address, "GET", "/nada", "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let answer = ask(address, "GET", "/agregar_trabajo", "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let state = ask(address, "GET", "/estado", "").await.json();
    assert_eq!(state["trabajos_pendientes"], 0);
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_can_do_nothing() {
    let (harness, address) = start(|_| {}).await;
    let body = picture("Numpy", 20);
    let host = ("host", "127.0.0.1:5001");
    for headers in [
        [("host", "evil.example"), ("accept", "*/*")],
        [host, ("origin", "http://evil.example")],
        [host, ("origin", "null")],
    ] {
        let answer = ask_with(address, "POST", "/agregar_trabajo", &body, &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let own = [host, ("origin", "http://localhost:3000")];
    let answer = ask_with(address, "POST", "/agregar_trabajo", &body, &own).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "http://localhost:3000"
    );
    let preflight = ask_with(address, "OPTIONS", "/agregar_trabajo", "", &own).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        "content-type"
    );
    let state = ask(address, "GET", "/estado", "").await.json();
    assert_eq!(state["trabajos_pendientes"], 1);
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_jobs_is_queued_once_and_again_when_asked() {
    let (harness, address) = start(|_| {}).await;
    let folder = harness.folder.path().join("jobs");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("trabajos.txt");
    fs::write(&file, "# hoy\nNumpy,10,10,5,1\nmal\nNumpy,10,10,5,1\n").unwrap();
    let pending = |count: u64| move |state: &Value| state["trabajos_pendientes"] == count;
    let state = eventually("the file is seen", address, "/estado", pending(2)).await;
    assert_eq!(state["trabajos_desde_archivo"], true);
    // As an editor does it: another file takes its place, with a line more and one without an end.
    fs::write(
        folder.join("new"),
        "Secuencial,9,9,9\n# hoy\nNumpy,10,10,5,1\nNumpy,10,10,5,1\nNumpy,7,7,7",
    )
    .unwrap();
    fs::rename(folder.join("new"), &file).unwrap();
    eventually("the change is seen", address, "/estado", pending(4)).await;

    let loaded = ask(address, "POST", "/cargar_trabajos", "").await.json();
    assert_eq!(
        (&loaded["status"], &loaded["trabajos_cargados"]),
        (&json!("loaded"), &json!(4))
    );
    assert_eq!(loaded["trabajos_pendientes"], 8);
    fs::write(folder.join("otros.txt"), "Numpy,3,3,3\nx\n").unwrap();
    let loaded = ask(
        address,
        "POST",
        "/cargar_trabajos",
        r#"{"archivo": "otros.txt"}"#,
    )
    .await
    .json();
    assert_eq!(loaded["trabajos_cargados"], 1);
    assert!(
        loaded["errores"][0]
            .as_str()
            .unwrap()
            .starts_with("línea 2:"),
        "{loaded}"
    );
    for wrong in ["../token", "/etc/passwd", "nada.txt"] {
        let body = json!({"archivo": wrong}).to_string();
        let answer = ask(address, "POST", "/cargar_trabajos", &body).await;
        assert!(answer.status.is_client_error(), "{wrong}");
    }

    // A restart queues no line again; one more is one more.
    let folder_kept = harness.kill().await;
    let harness = Harness::start_in(folder_kept, |settings| {
        settings.kernels.push("julia-plain".into());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.hpc = Some(HpcSettings::new(nowhere, &settings.data));
    })
    .await;
    let address = harness.addresses.hpc.unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\nNumpy,8,8,8\n")).unwrap();
    eventually(
        "only the new line is queued",
        address,
        "/estado",
        pending(10),
    )
    .await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_monitors_are_shown() {
    let (harness, address) = start(|_| {}).await;
    let report = json!({"nodo_memoria": "memoria1", "alertas": {"cpu": true, "memoria": false},
        "metricas_actuales": {"cpu": {"percent": 91.0}, "memoria": {"percent": 10.0}}});
    let kept = ask(address, "POST", "/reporte_memoria", &report.to_string())
        .await
        .json();
    assert_eq!(kept, json!({"status": "received"}));
    let memory = ask(address, "GET", "/memoria", "").await.json();
    let shown = &memory["reportes"]["memoria1"];
    assert_eq!(shown["alertas"]["cpu"], true);
    assert_eq!(shown["metricas_actuales"]["cpu"]["percent"], 91.0);
    assert!(shown["timestamp"].as_f64().unwrap() > 1e9);
    let wrong = ask(address, "POST", "/reporte_memoria", "{}").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    harness.stop().await;
}

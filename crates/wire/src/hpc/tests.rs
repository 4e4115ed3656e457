//! What the older clients send and read, key by key.

use std::collections::BTreeMap;

use flota_model::{
    sample::{DeviceSample, MemorySample, NodeSample, SpaceSample},
    spec::Priority,
    units::{Bytes, Cpus, Timestamp},
};
use serde_json::json;

use super::{
    answer::{Activity, MasterState, Slave, SlaveAlive, SlaveState},
    file::{LINE_LENGTH_MAX, LINES_MAX, parse_file},
    job::{TaskKey, call_of, parse_job, parse_load, parse_registration, parse_result},
    metrics::{Alarms, NodeMetrics, megabytes, parse_report},
};

#[test]
fn a_job_is_read_with_its_priority_and_number() {
    let body = json!({"algoritmo": "juliacython", "width": 800, "height": 600, "iteraciones": 50,
        "prioridad": 1, "id": 7, "otra": "cosa"});
    let job = parse_job(body.to_string().as_bytes()).unwrap();
    assert_eq!(job.algorithm, "juliaCython");
    assert_eq!((job.width, job.height, job.iterations), (800, 600, 50));
    assert_eq!(job.priority, Priority::HIGH);
    assert_eq!(job.id, Some(TaskKey("7".into())));
    let call = call_of(&job, 3).unwrap();
    assert_eq!(call.name, "julia-plain");
    assert_eq!(call.parameters["variant"], "parallel");
    assert_eq!(call.parameters["threads"], "3");
}

#[test]
fn a_bad_job_is_told_what_is_wrong() {
    for (body, said) in [
        (json!([]), "objeto JSON"),
        (json!({}), "algoritmo, width, height, iteraciones"),
        (
            json!({"algoritmo": "Numpy", "width": 8, "height": 8}),
            "faltan campos: iteraciones",
        ),
        (
            json!({"algoritmo": 3, "width": 8, "height": 8, "iteraciones": 1}),
            "`algoritmo`",
        ),
        (
            json!({"algoritmo": " ", "width": 8, "height": 8, "iteraciones": 1}),
            "`algoritmo`",
        ),
        (
            json!({"algoritmo": "Numpy", "width": 0, "height": 8, "iteraciones": 1}),
            "`width`",
        ),
        (
            json!({"algoritmo": "Numpy", "width": 8, "height": -8, "iteraciones": 1}),
            "`height`",
        ),
        (
            json!({"algoritmo": "Numpy", "width": 8, "height": "x", "iteraciones": 1}),
            "`height`",
        ),
        (
            json!({"algoritmo": "Numpy", "width": 8, "height": 8, "iteraciones": 1.5}),
            "`iteraciones`",
        ),
        (
            json!({"algoritmo": "Numpy", "width": 8, "height": 8, "iteraciones": 1, "prioridad": 4}),
            "`prioridad`",
        ),
        (
            json!({"algoritmo": "Numpy", "width": 8, "height": 8, "iteraciones": 1, "id": [1]}),
            "`id`",
        ),
    ] {
        let fault = parse_job(body.to_string().as_bytes()).unwrap_err();
        assert!(fault.contains(said), "{body}: {fault}");
    }
    assert!(parse_job(b"{").unwrap_err().contains("no es JSON"));
    assert!(parse_job(b"").unwrap_err().contains("faltan campos"));
}

#[test]
fn a_file_has_comments_a_header_and_bad_lines_that_stop_nothing() {
    let text = "# trabajos\n\nalgoritmo,width,height,iteraciones,prioridad\n\
        Secuencial,800,600,100,1\r\nNumpy, 10, 20, 30\nmal\nNumpy,1,2,x\n\
        algoritmo,width,height,iteraciones\njuliaCython,1,2,3,9\njuliaCython,1,2,3,\n";
    let (jobs, faults) = parse_file(text);
    let found: Vec<_> = jobs
        .iter()
        .map(|job| {
            (
                job.line,
                job.request.algorithm.as_str(),
                job.request.priority.0,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (4, "Secuencial", 1),
            (5, "Numpy", 2),
            (10, "juliaCython", 2)
        ]
    );
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [6, 7, 8, 9]);
    assert!(faults[0].what.contains("1 columnas"), "{faults:?}");
}

#[test]
fn a_file_has_limits() {
    let long = format!("Numpy,1,2,3{}4", ",".repeat(LINE_LENGTH_MAX));
    assert!(parse_file(&long).1[0].what.contains("bytes"));
    let many = "Numpy,1,1,1\n".repeat(LINES_MAX + 1);
    let (jobs, faults) = parse_file(&many);
    assert_eq!((jobs.len(), faults.len()), (LINES_MAX, 1));
    assert_eq!(faults[0].line, LINES_MAX + 1);
}

#[test]
fn what_slaves_send_is_read_with_numbers_and_texts_for_tasks() {
    let done = json!({"esclavo": "e1", "algoritmo": "Numpy", "resolucion": "8x8", "iteraciones": 5,
        "tiempo": 0.25, "trabajo_id": 12, "stdout": "ok", "stderr": "", "return_code": 0});
    let done = parse_result(done.to_string().as_bytes()).unwrap();
    assert_eq!(
        (done.task.0.as_str(), done.return_code, done.seconds),
        ("12", Some(0), Some(0.25))
    );
    let failed = json!({"esclavo": "e1", "trabajo_id": "t-1", "error": "no", "timestamp": 1.0});
    let failed = parse_result(failed.to_string().as_bytes()).unwrap();
    assert_eq!(failed.error.as_deref(), Some("no"));
    assert!(
        parse_result(b"{\"esclavo\": \"e1\"}")
            .unwrap_err()
            .contains("trabajo_id")
    );

    let slave = parse_registration(br#"{"esclavo_id": "e1", "ip": "127.0.1.1"}"#).unwrap();
    assert_eq!(slave.port, 5_002);
    for bad in [
        r#"{"esclavo_id": "a/b", "ip": "127.0.0.1"}"#,
        r#"{"esclavo_id": "e1"}"#,
        r#"{"esclavo_id": "e1", "ip": "127.0.0.1", "puerto": 0}"#,
        r#"{"esclavo_id": "e1", "ip": "127.0.0.1", "puerto": 70000}"#,
    ] {
        assert!(parse_registration(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_load_may_have_no_body() {
    assert_eq!(parse_load(b" \n").unwrap().file, None);
    assert_eq!(parse_load(b"{}").unwrap().file, None);
    let named = parse_load(br#"{"archivo": "otros.txt"}"#).unwrap();
    assert_eq!(named.file.as_deref(), Some("otros.txt"));
    assert!(parse_load(br#"{"archivo": 3}"#).is_err());
}

fn sample() -> NodeSample {
    NodeSample {
        taken_at: Timestamp(1_500_000),
        cpu: Some(Cpus(1_800)),
        memory: Some(MemorySample {
            total: Bytes(1_000),
            available: Bytes(100),
            ..MemorySample::default()
        }),
        data: Some(SpaceSample {
            total: Bytes(200),
            free: Bytes(50),
        }),
        networks: vec![
            DeviceSample {
                incoming: Bytes(5),
                outgoing: Bytes(7),
                ..DeviceSample::default()
            };
            2
        ],
        ..NodeSample::default()
    }
}

#[test]
fn a_monitor_tells_percent_bytes_and_what_is_above_its_limit() {
    let metrics = NodeMetrics::of("n1", &sample(), 2);
    assert_eq!(
        serde_json::to_value(&metrics).unwrap(),
        json!({
            "nodo": "n1", "timestamp": 1.5,
            "cpu": {"percent": 90.0},
            "memoria": {"percent": 90.0, "total": 1_000, "disponible": 100, "usada": 900},
            "disco": {"percent": 75.0, "total": 200, "libre": 50},
            "red": {"enviados": 14, "recibidos": 10},
        })
    );
    let alarms = Alarms {
        cpu: true,
        memory: true,
        disk: false,
    };
    assert_eq!(metrics.alarms(), alarms);
    let nothing = NodeMetrics::of("n1", &NodeSample::default(), 2);
    assert_eq!(nothing.alarms(), Alarms::default());
    assert_eq!(
        serde_json::to_value(nothing.cpu).unwrap(),
        json!({"percent": null})
    );
}

#[test]
fn a_report_of_a_foreign_monitor_may_lack_parts() {
    let body = json!({"nodo_memoria": "m1", "alertas": {"cpu": true},
        "metricas_actuales": {"memoria": {"percent": 12.5}}, "historial": []});
    let report = parse_report(body.to_string().as_bytes()).unwrap();
    assert!(report.alarms.cpu && !report.alarms.disk);
    assert_eq!(report.metrics.memory.percent, Some(12.5));
    assert!(parse_report(b"{}").is_err());
    assert!(parse_report(br#"{"nodo_memoria": "../x"}"#).is_err());
}

#[test]
fn answers_have_the_keys_that_clients_read() {
    let slave = Slave {
        ip: Some("127.0.0.1".into()),
        port: Some(5_011),
        active: true,
        heard_at: Some(1.5),
        cpu_percent: Some(2.5),
        memory_free: Some(3.25),
    };
    let state = MasterState {
        pending: 3,
        slaves: BTreeMap::from([("n1".into(), slave)]),
        completed: 4,
        from_file: true,
        timestamp: 2.0,
    };
    assert_eq!(
        serde_json::to_value(state).unwrap(),
        json!({"trabajos_pendientes": 3, "trabajos_completados": 4, "trabajos_desde_archivo": true,
            "timestamp": 2.0, "esclavos": {"n1": {"ip": "127.0.0.1", "puerto": 5_011, "activo": true,
            "ultimo_ping": 1.5, "carga_cpu": 2.5, "memoria_libre": 3.25}}})
    );
    let activity = Activity {
        timestamp: 1.0,
        busy: true,
        current: Some(TaskKey("9".into())),
        cpu_percent: None,
        memory_free: Some(megabytes(3 << 19)),
        memory_total: None,
        memory_used: None,
    };
    let alive = SlaveAlive {
        status: "active",
        activity: activity.clone(),
    };
    assert_eq!(
        serde_json::to_value(alive).unwrap(),
        json!({"status": "active", "timestamp": 1.0, "ocupado": true, "trabajo_actual": 9,
            "cpu_percent": null, "memoria_libre": 1.5, "memoria_total": null, "memoria_usada": null})
    );
    let state = SlaveState {
        activity,
        last: None,
    };
    let value = serde_json::to_value(state).unwrap();
    assert_eq!(value.get("ultimo_trabajo"), Some(&json!(null)));
    assert_eq!(value.get("status"), None);
}

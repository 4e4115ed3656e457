//! What is asked of a foreign slave, over its own HTTP.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use flota_model::{
    sample::{MemorySample, NodeSample},
    spec::KernelCall,
    units::{Bytes as Amount, Cpus, Timestamp},
};
use flota_wire::hpc::job::{ALGORITHMS, TaskKey};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

/// Longest answer of a slave, in bytes.
const ANSWER_LENGTH_MAX: usize = 64 << 10;
/// How long a slave may take to answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What a slave says of itself. MB.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Ping {
    #[serde(default)]
    cpu_percent: Option<f64>,
    #[serde(default)]
    memoria_libre: Option<f64>,
    #[serde(default)]
    memoria_total: Option<f64>,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ordered {
    /// It works.
    Accepted,
    /// It works at something else.
    Busy,
}

/// Whether a slave answers, and what its machine does.
pub(super) async fn ping(address: SocketAddr, at: Timestamp) -> Result<NodeSample, String> {
    let (status, body) = ask(address, Method::GET, "/ping", String::new()).await?;
    if status != 200 {
        return Err(format!("answered {status}"));
    }
    let ping: Ping = serde_json::from_slice(&body).map_err(|fault| fault.to_string())?;
    Ok(sample(&ping, at))
}

fn sample(ping: &Ping, at: Timestamp) -> NodeSample {
    let percent = ping
        .cpu_percent
        .filter(|percent| (0.0..=100.0).contains(percent));
    let busy = percent.map(|percent| thousandths(percent / 100.0));
    let amount = |megabytes: f64| {
        let is_sound = (0.0..1e9).contains(&megabytes);
        is_sound.then(|| Amount(u64::from(thousandths(megabytes / 1_000.0).0) << 20))
    };
    let memory = ping
        .memoria_total
        .and_then(amount)
        .map(|total| MemorySample {
            total,
            available: ping.memoria_libre.and_then(amount).unwrap_or_default(),
            ..MemorySample::default()
        });
    NodeSample {
        taken_at: at,
        cpu: busy,
        cores: busy.into_iter().collect(),
        memory,
        ..NodeSample::default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what comes in was found to be between 0 and a million"
)]
fn thousandths(number: f64) -> Cpus {
    Cpus((number * 1_000.0).round() as u32)
}

/// Has a slave compute a picture.
///
/// # Errors
/// Why it does not.
pub(super) async fn order(
    address: SocketAddr,
    call: &KernelCall,
    task: &TaskKey,
) -> Result<Ordered, String> {
    let number = |name: &str| {
        let text = call.parameters.get(name);
        text.and_then(|text| text.parse::<u32>().ok())
            .ok_or_else(|| format!("the picture has no {name}"))
    };
    let variant = call
        .parameters
        .get("variant")
        .map_or("vector", String::as_str);
    let algorithm = ALGORITHMS.iter().find(|(_, known)| *known == variant);
    let body = json!({
        "algoritmo": algorithm.map_or("Numpy", |(name, _)| name),
        "width": number("width")?,
        "height": number("height")?,
        "iteraciones": number("iterations")?,
        "id": task,
        "trabajo_id": task,
    });
    let (status, body) = ask(address, Method::POST, "/ejecutar", body.to_string()).await?;
    match status {
        200 | 202 => Ok(Ordered::Accepted),
        409 => Ok(Ordered::Busy),
        other => {
            let text = String::from_utf8_lossy(&body);
            let text: String = text.chars().take(200).collect();
            Err(format!("the slave answered {other}: {text}"))
        }
    }
}

async fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: String,
) -> Result<(u16, Bytes), String> {
    let asked = timeout(ANSWER_WITHIN, exchange(address, method, path, body)).await;
    asked.map_err(|_| format!("no answer within {} s", ANSWER_WITHIN.as_secs()))?
}

async fn exchange(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: String,
) -> Result<(u16, Bytes), String> {
    let told = |fault: &dyn std::fmt::Display| fault.to_string();
    let stream = TcpStream::connect(address)
        .await
        .map_err(|fault| told(&fault))?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|fault| told(&fault))?;
    // Ends with this function, whatever becomes of the answer.
    let mut task = JoinSet::new();
    task.spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|fault| told(&fault))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|fault| told(&fault))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_LENGTH_MAX)
        .collect()
        .await;
    let body = body.map_err(|fault| told(&fault))?.to_bytes();
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_a_sample_and_nonsense_is_unknown() {
        let ping: Ping = serde_json::from_str(
            r#"{"status": "active", "cpu_percent": 25.0, "memoria_libre": 512.5, "memoria_total": 1024}"#,
        )
        .unwrap();
        let measured = sample(&ping, Timestamp(9));
        assert_eq!(measured.cpu, Some(Cpus(250)));
        let memory = measured.memory.unwrap();
        assert_eq!(memory.total, Amount(1_024 << 20));
        assert!(memory.available.0 >= 512 << 20);
        let ping: Ping =
            serde_json::from_str(r#"{"cpu_percent": -3, "memoria_total": 1e300}"#).unwrap();
        let nothing = sample(&ping, Timestamp(9));
        assert_eq!((nothing.cpu, nothing.memory), (None, None));
    }
}

//! What a server costs whose agents only say that they are alive: opens many links to it, each with a
//! heartbeat and a sample of 16 cores a second, and measures the server's process from outside.
//!
//! `cargo run --release -p flota-link --example heartbeats -- 127.0.0.1:PORT PID [AGENTS] [SECONDS]`

use std::{
    error::Error,
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use flota_link::{AgentEvent, direct};
use flota_model::{
    frame::{DownBody, Hello, PROTOCOL_VERSION, Up, UpBody},
    ids::{Authority, BootId, Nonce, SessionNumber},
    resources::Resources,
    sample::{DeviceSample, MemorySample, NodeSample, Pressure, SpaceSample},
    units::{Bytes, Cpus, Moment, Timestamp},
};
use tokio::time::{Instant, interval_at, sleep_until};

const INTERVAL: Duration = Duration::from_secs(1);
/// Ticks of `/proc/PID/stat` in a second; the same on all machines that Linux runs on today.
const TICKS: f64 = 100.0;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Default)]
struct Counts {
    welcome: AtomicU64,
    seen: AtomicU64,
    lost: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, pid, rest @ ..] = arguments.as_slice() else {
        return Err("give the address of the server and its process id".into());
    };
    let server: SocketAddr = server.parse()?;
    let number = |index: usize, usual| rest.get(index).map_or(Ok(usual), |text| text.parse());
    let (agents, seconds): (u64, u64) = (number(0, 1_000)?, number(1, 30)?);
    let counts = Arc::new(Counts::default());
    for index in 0..agents {
        tokio::spawn(run(server, index, agents, Arc::clone(&counts)));
    }
    let patience = Instant::now() + Duration::from_mins(2);
    while counts.welcome.load(Ordering::Relaxed) < agents {
        if Instant::now() > patience {
            return Err("not all agents were welcomed".into());
        }
        sleep_until(Instant::now() + Duration::from_millis(100)).await;
    }
    // Who joined last is written down by then.
    sleep_until(Instant::now() + INTERVAL * 5).await;
    let (ticks, seen) = (ticks(pid)?, counts.seen.load(Ordering::Relaxed));
    let from = Instant::now();
    sleep_until(from + Duration::from_secs(seconds)).await;
    let span = from.elapsed().as_secs_f64();
    let share = (self::ticks(pid)? - ticks) / TICKS / span;
    let rate = f64::from(u32::try_from(counts.seen.load(Ordering::Relaxed) - seen)?) / span;
    let lost = counts.lost.load(Ordering::Relaxed);
    writeln!(
        std::io::stdout(),
        "{agents} agents, {span:.0} s: {:.1} % of a core, {rate:.0} heartbeats/s answered, {lost} \
         connections lost, {} KiB resident",
        share * 100.0,
        resident(pid)?,
    )?;
    Ok(())
}

/// One agent: hello, and then a heartbeat a second.
async fn run(server: SocketAddr, index: u64, agents: u64, counts: Arc<Counts>) {
    let Ok(mut link) = direct::agent(server, direct::AgentSettings { seed: index }) else {
        return;
    };
    let sender = link.sender();
    let phase = Duration::from_micros(index * 1_000_000 / agents.max(1));
    let mut beats = interval_at(Instant::now() + phase, INTERVAL);
    let (mut contact, mut session, mut sequence) = (None, 0, 0);
    loop {
        let event = tokio::select! {
            event = link.next() => event,
            _ = beats.tick() => {
                if let Some(connection) = contact {
                    let body = beat(sequence);
                    sender.send(connection, Up { session: SessionNumber(session), sequence, body });
                    sequence += 1;
                }
                continue;
            }
        };
        match event {
            Some(AgentEvent::Connected { connection }) => {
                (session, sequence) = (session + 1, 1);
                let body = UpBody::Hello(Box::new(hello(index)));
                let session = SessionNumber(session);
                sender.send(
                    connection,
                    Up {
                        session,
                        sequence: 0,
                        body,
                    },
                );
            }
            Some(AgentEvent::Frame { connection, frame }) => {
                if matches!(frame.body, DownBody::Welcome { .. }) {
                    contact = Some(connection);
                    counts.welcome.fetch_add(1, Ordering::Relaxed);
                } else if matches!(frame.body, DownBody::HeartbeatSeen { .. }) {
                    counts.seen.fetch_add(1, Ordering::Relaxed);
                }
            }
            Some(AgentEvent::Disconnected { .. }) => {
                contact = None;
                counts.lost.fetch_add(1, Ordering::Relaxed);
            }
            Some(AgentEvent::Retrying { .. }) => {}
            None => return,
        }
    }
}

fn hello(index: u64) -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        version: "heartbeats".to_owned(),
        name: format!("beat-{index}"),
        node: None,
        nonce_previous: None,
        nonce: Nonce(index + 1),
        boot: BootId(u128::from(index) + 1),
        journal: Nonce(index + 1),
        obeyed: Authority::default(),
        capacity: Resources::of_cpus(Cpus::whole(16)),
        labels: std::collections::BTreeMap::new(),
        held: Vec::new(),
        containment: None,
        offer: flota_model::frame::Offer::default(),
    }
}

fn beat(sequence: u64) -> UpBody {
    let device = |name: &str| DeviceSample {
        name: name.to_owned(),
        incoming: Bytes(sequence * 4_096),
        outgoing: Bytes(sequence * 8_192),
        incoming_rate: Some(Bytes(4_096)),
        outgoing_rate: Some(Bytes(8_192)),
    };
    let pressure = Some(Pressure { some: 12, full: 3 });
    let sample = NodeSample {
        taken_at: Timestamp(1_795_235_530_000_000 + sequence * 1_000_000),
        uptime: Duration::from_secs(sequence),
        cpu: Some(Cpus(700)),
        cores: vec![Cpus(43); 16],
        load: Some([70, 60, 50]),
        memory: Some(MemorySample::default()),
        data: Some(SpaceSample::default()),
        disks: vec![device("nvme0n1"), device("nvme1n1")],
        networks: vec![device("eth0"), device("eth1")],
        cpu_pressure: pressure,
        memory_pressure: pressure,
        io_pressure: pressure,
        unkillable: Vec::new(),
    };
    UpBody::Heartbeat {
        sent_at: Moment(sequence * 1_000_000),
        running: Vec::new(),
        sample: Some(Box::new(sample)),
    }
}

/// What a process has used of the processors, in ticks.
fn ticks(pid: &str) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("no such process")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let field = |index: usize| {
        fields
            .get(index)
            .ok_or("no such field")?
            .parse::<f64>()
            .map_err(Failure::from)
    };
    Ok(field(11)? + field(12)?)
}

fn resident(pid: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.ok_or("no such line")?.trim().trim_end_matches(" kB");
    Ok(text.parse()?)
}

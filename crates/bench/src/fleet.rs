//! The server and the agents of a measurement, as processes of their own over loopback.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use flota_client::{Client, ClientFault, Endpoint, Failure, Order, ProcessesQuery};
use flota_host::{Child, share, stop_all, url_of_server};
use flota_wire::rest::{self, process::Processes, service::ServiceWhole};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Bench,
    clock::now,
    disk::Disk,
    report::Report,
    usage::{self, Usage},
};

/// After that a measurement is given up. A million tasks take a minute or so.
pub(super) const DEADLINE: Duration = Duration::from_mins(10);
/// Between two looks at what starts; short, because it is part of the time of a restart.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Between two looks at a job that is under way.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait that the server takes (`GET /jobs/{job}/wait`).
const PATIENCE: Duration = Duration::from_mins(1);
/// From the stop signal to the kill.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Processor in percent of one core, and memory in bytes: resident, and of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    agent_percent: f64,
    keeper_percent: f64,
    server_percent: f64,
    pub(super) agent_bytes: u64,
    agent_own_bytes: u64,
    pub(super) keeper_bytes: u64,
    keeper_own_bytes: u64,
}

impl Cost {
    pub(super) fn in_report(self, report: Report) -> Report {
        report
            .measured("agent_cpu_percent", self.agent_percent)
            .measured("keeper_cpu_percent", self.keeper_percent)
            .measured("server_cpu_percent", self.server_percent)
            .with("agent_bytes", self.agent_bytes)
            .with("agent_own_bytes", self.agent_own_bytes)
            .with("keeper_bytes", self.keeper_bytes)
            .with("keeper_own_bytes", self.keeper_own_bytes)
    }
}

pub(super) struct Fleet<'a> {
    bench: &'a Bench<'a>,
    server: Option<Child>,
    url: String,
    client: Option<Client>,
    agents: Vec<Child>,
    /// The keys of submissions.
    submitted: u32,
    /// Removed after everything else.
    disk: Disk,
}

impl<'a> Fleet<'a> {
    /// A folder, and nothing running.
    pub(super) fn new(bench: &'a Bench<'a>) -> Result<Self, Failure> {
        Ok(Self {
            bench,
            server: None,
            url: String::new(),
            client: None,
            agents: Vec::new(),
            submitted: 0,
            disk: Disk::new(bench.context)?,
        })
    }

    /// For the files of baselines, on the same disk.
    pub(super) fn folder(&self) -> &Path {
        self.disk.path()
    }

    fn server_folder(&self) -> PathBuf {
        self.folder().join("server")
    }

    /// Starts the server and returns when it answers over a new connection, which is kept.
    pub(super) async fn start_server(&mut self) -> Result<(), Failure> {
        let data = self.server_folder().display().to_string();
        // The port of before, so that agents find it again.
        let listen = match self.url.strip_prefix("http://") {
            Some(address) => address.to_owned(),
            None => "127.0.0.1:0".to_owned(),
        };
        let arguments = ["server", "--quiet", "--listen", &listen, "--data", &data];
        let mut server = Child::start(self.bench.context, "server", &arguments, &[])?;
        let deadline = Instant::now() + DEADLINE;
        let client = loop {
            if let Some(client) = self.connect(server.pid()).await? {
                break client;
            }
            if let Some(failure) = server.ended_within(LOOK_INTERVAL).await {
                return Err(failure);
            }
            if Instant::now() > deadline {
                return Err(self.bench.stuck());
            }
        };
        (self.server, self.client) = (Some(server), Some(client));
        Ok(())
    }

    /// A client of the server, once it answers.
    async fn connect(&mut self, server: u32) -> Result<Option<Client>, Failure> {
        let Some(url) = url_of_server(&self.server_folder(), server) else {
            return Ok(None);
        };
        let token = fs::read_to_string(self.server_folder().join("token"))
            .map_err(|fault| self.bench.failed("token", fault))?;
        let endpoint = Endpoint::parse(&url).map_err(|fault| self.refused(&fault))?;
        let mut client = Client::new(endpoint, Some(token.trim().to_owned()), DEADLINE);
        let answered = client.fleet().await.is_ok();
        self.url = url;
        Ok(answered.then_some(client))
    }

    /// Starts the agents and returns when all are up.
    pub(super) async fn start_agents(&mut self) -> Result<(), Failure> {
        let count = self.bench.agents;
        let (cpus, memory) = share(self.bench.context, count)?;
        let (cpus, memory) = (cpus.to_string(), memory.0.to_string());
        for number in 1..=count {
            let name = format!("n{number}");
            let data = self.agent_folder(number).display().to_string();
            let arguments = [
                "agent", "--quiet", "--server", &self.url, "--name", &name, "--data", &data,
                "--cpus", &cpus, "--memory", &memory,
            ];
            let agent = Child::start(self.bench.context, &name, &arguments, &[])?;
            self.agents.push(agent);
        }
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.client().nodes().await;
            let nodes = answer.map_err(|fault| self.refused(&fault))?.nodes;
            if nodes.iter().filter(|node| node.phase == "up").count() == count as usize {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.bench.stuck());
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    fn agent_folder(&self, number: u32) -> PathBuf {
        self.folder().join(format!("n{number}"))
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("the server was started")
    }

    fn refused(&self, fault: &ClientFault) -> Failure {
        Failure::of_client(self.bench.context.language, fault)
    }

    /// Submits a job of ours: its number.
    pub(super) async fn submit(&mut self, spec: &Value) -> Result<u64, Failure> {
        self.submitted += 1;
        let key = format!("bench-{}", self.submitted);
        let answer = self.client().submit(spec, &key).await;
        Ok(answer.map_err(|fault| self.refused(&fault))?.job)
    }

    /// Waits for the end of the job.
    pub(super) async fn wait(&mut self, job: u64) -> Result<rest::Job, Failure> {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let answer = self.client().wait(job, PATIENCE).await;
            let answer = answer.map_err(|fault| self.refused(&fault))?;
            if answer.phase == "finished" {
                return Ok(answer);
            }
        }
        Err(self.bench.stuck())
    }

    /// Waits until so many tasks of the job have a state that stays.
    pub(super) async fn wait_for_ended(&mut self, job: u64, count: u32) -> Result<(), Failure> {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if ended(&self.job(job).await?) >= count {
                return Ok(());
            }
            sleep(PROGRESS_INTERVAL).await;
        }
        Err(self.bench.stuck())
    }

    pub(super) async fn job(&mut self, job: u64) -> Result<rest::Job, Failure> {
        let answer = self.client().job(&job.to_string()).await;
        answer.map_err(|fault| self.refused(&fault))
    }

    pub(super) async fn processes(&mut self, query: &ProcessesQuery) -> Result<Processes, Failure> {
        let answer = self.client().processes(query).await;
        answer.map_err(|fault| self.refused(&fault))
    }

    pub(super) async fn task(&mut self, job: u64, task: u32) -> Result<rest::Task, Failure> {
        let answer = self.client().task(job, task).await;
        answer.map_err(|fault| self.refused(&fault))
    }

    pub(super) async fn apply(&mut self, service: &str, spec: &Value) -> Result<(), Failure> {
        let answer = self.client().apply(service, spec, None).await;
        answer.map(drop).map_err(|fault| self.refused(&fault))
    }

    pub(super) async fn order(&mut self, service: &str, order: Order) -> Result<(), Failure> {
        let answer = self.client().order(service, order).await;
        answer.map(drop).map_err(|fault| self.refused(&fault))
    }

    pub(super) async fn service(&mut self, service: &str) -> Result<ServiceWhole, Failure> {
        let answer = self.client().service(service).await;
        answer.map_err(|fault| self.refused(&fault))
    }

    pub(super) fn stuck(&self) -> Failure {
        self.bench.stuck()
    }

    /// What the first agent, its keeper and the server cost while nobody asks for anything: measured for
    /// `span`, after `rest`.
    pub(super) async fn idle(&self, rest: Duration, span: Duration) -> Result<Cost, Failure> {
        sleep(rest).await;
        let (before, begun) = (self.usage()?, now());
        sleep(span).await;
        let seconds = now().saturating_sub(begun).as_secs_f64();
        let used = self.usage()?.since(before);
        let agent = self.agents.first().expect("agents were started").pid();
        let folder = self.agent_folder(1);
        let memory = || -> io::Result<Cost> {
            let keepers = usage::keepers(&folder)?;
            let keeper = *keepers.first().ok_or(io::ErrorKind::NotFound)?;
            Ok(Cost {
                agent_percent: used.agents / seconds * 100.0 / f64::from(self.bench.agents),
                keeper_percent: used.keepers / seconds * 100.0 / f64::from(self.bench.agents),
                server_percent: used.server / seconds * 100.0,
                agent_bytes: usage::resident(agent)?,
                agent_own_bytes: usage::own(agent)?,
                keeper_bytes: usage::resident(keeper)?,
                keeper_own_bytes: usage::own(keeper)?,
            })
        };
        memory().map_err(|fault| self.bench.failed("/proc", fault))
    }

    /// Resident memory of the server in bytes.
    pub(super) fn server_memory(&self) -> Result<u64, Failure> {
        let server = self.server.as_ref().expect("the server was started");
        usage::resident(server.pid()).map_err(|fault| self.bench.failed("/proc", fault))
    }

    /// Processor time until now.
    pub(super) fn usage(&self) -> Result<Usage, Failure> {
        let server = self.server.as_ref().map(Child::pid);
        let agents: Vec<u32> = self.agents.iter().map(Child::pid).collect();
        usage::of_fleet(server, &agents, self.folder())
            .map_err(|fault| self.bench.failed("/proc", fault))
    }

    /// Kills the server as a power cut would.
    pub(super) async fn kill_server(&mut self) {
        self.client = None;
        if let Some(mut server) = self.server.take() {
            server.kill();
            server.ended().await;
        }
    }

    /// Ends programs, keepers and agents.
    pub(super) async fn end_agents(&mut self) {
        for number in 1..=self.bench.agents {
            let folder = self.agent_folder(number);
            if folder.exists() {
                stop_all(&folder).await;
            }
        }
        for mut agent in self.agents.drain(..) {
            agent.ask_to_end();
            let _ = timeout(END_WITHIN, agent.ended()).await;
        }
    }

    /// Ends everything; what does not end in time is killed.
    pub(super) async fn end(mut self) {
        self.end_agents().await;
        self.client = None;
        if let Some(mut server) = self.server.take() {
            server.ask_to_end();
            let _ = timeout(END_WITHIN, server.ended()).await;
        }
    }
}

/// Tasks with a state that stays.
pub(super) fn ended(job: &rest::Job) -> u32 {
    let count = |word| job.tasks.get(word).copied().unwrap_or(0);
    [
        "succeeded",
        "failed",
        "cancelled",
        "dead",
        "unknown",
        "skipped",
    ]
    .map(count)
    .iter()
    .sum()
}

//! A server that is driven by hand, behind the real link.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use axum::serve::ListenerExt as _;
use flota_link::{ServerEvent, ServerLink, direct};
use flota_model::{
    frame::{Down, DownBody, GrantOrder, Hello, OutputFault, OutputPart, Up, UpBody},
    ids::{
        AttemptId, AttemptRange, Authority, ConnectionId, Epoch, JobId, NodeId, RequestId,
        SessionNumber, TaskIndex, Term,
    },
    outcome::{Report, StreamName},
    resources::Resources,
    service::ReplicaStatus,
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Program, Retry, SealedSpec,
        TaskRange, Work,
    },
    units::Cpus,
};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server with one agent.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    link: ServerLink,
    task: JoinHandle<()>,
    contact: Option<Contact>,
    salt: u64,
    /// All that came and was acknowledged.
    pub(crate) reports: BTreeMap<u64, Report>,
    pub(crate) forgotten: Vec<AttemptRange>,
    pub(crate) parts: BTreeMap<RequestId, Result<OutputPart, OutputFault>>,
    /// The last word about each replica.
    pub(crate) replicas: BTreeMap<u64, ReplicaStatus>,
    /// Of the last heartbeat.
    pub(crate) running: u64,
    pub(crate) hellos: Vec<Hello>,
}

struct Contact {
    connection: ConnectionId,
    session: SessionNumber,
    sent: u64,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (router, link) = direct::server(address, direct::ServerSettings::default()).unwrap();
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).unwrap();
        Self {
            address,
            link,
            task,
            contact: None,
            salt: u64::from_le_bytes(salt),
            reports: BTreeMap::new(),
            forgotten: Vec::new(),
            parts: BTreeMap::new(),
            replicas: BTreeMap::new(),
            running: 0,
            hellos: Vec::new(),
        }
    }

    /// As the ids of attempts show it.
    pub(crate) fn salt(&self) -> String {
        format!("{:016x}", self.salt)
    }

    pub(crate) fn attempt(&self, sequence: u64) -> AttemptId {
        AttemptId {
            epoch: Epoch(1),
            salt: self.salt,
            sequence,
        }
    }

    fn range(&self, sequence: u64, count: u32) -> AttemptRange {
        AttemptRange {
            first: self.attempt(sequence),
            count,
        }
    }

    /// Handles what comes until there is what is waited for.
    pub(crate) async fn wait<T>(&mut self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            match timeout_at(deadline, self.link.next()).await {
                Ok(Some(event)) => self.handle(event),
                Ok(None) => panic!("the link ended"),
                Err(late) => panic!(
                    "{what} did not come: {late}; reports: {:?}",
                    self.reports.keys()
                ),
            }
        }
    }

    pub(crate) async fn wait_hello(&mut self, count: usize) {
        self.wait("a hello", |server| {
            (server.hellos.len() >= count).then_some(())
        })
        .await;
    }

    pub(crate) async fn wait_reports(&mut self, count: usize) {
        self.wait("all reports", |server| {
            (server.reports.len() >= count).then_some(())
        })
        .await;
    }

    /// Handles what comes within that time.
    pub(crate) async fn listen(&mut self, span: Duration) {
        let deadline = Instant::now() + span;
        while let Ok(Some(event)) = timeout_at(deadline, self.link.next()).await {
            self.handle(event);
        }
    }

    fn handle(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Frame { connection, frame } => self.frame(connection, frame),
            ServerEvent::Closed { connection } => {
                self.contact
                    .take_if(|contact| contact.connection == connection);
            }
        }
    }

    fn frame(&mut self, connection: ConnectionId, frame: Up) {
        match frame.body {
            UpBody::Hello(hello) => {
                self.contact = Some(Contact {
                    connection,
                    session: frame.session,
                    sent: 0,
                });
                self.hellos.push(*hello);
                self.send(DownBody::Welcome {
                    node: NodeId(1),
                    lease: Duration::from_secs(15),
                    fresh: false,
                });
            }
            UpBody::Heartbeat {
                sent_at, running, ..
            } => {
                self.running = running.iter().map(|range| u64::from(range.count)).sum();
                self.send(DownBody::HeartbeatSeen { sent_at });
            }
            UpBody::Reports(reports) => {
                let attempts = reports.iter().map(|report| report.attempt);
                let ranges = AttemptRange::gather(attempts);
                for report in reports {
                    self.take(report);
                }
                self.send(DownBody::Acknowledge(ranges));
            }
            UpBody::Forgotten(ranges) => self.forgotten.extend(ranges),
            UpBody::OutputPart { request, part } => {
                self.parts.insert(request, part);
            }
            UpBody::Replicas(statuses) => {
                let by_sequence = |status: ReplicaStatus| (status.attempt.sequence, status);
                self.replicas.extend(statuses.into_iter().map(by_sequence));
            }
            UpBody::Answer { .. } | UpBody::LocalOrder { .. } => {}
        }
    }

    /// A report that is repeated must not have changed.
    fn take(&mut self, report: Report) {
        let sequence = report.attempt.sequence;
        assert_eq!(report.attempt.salt, self.salt);
        if let Some(before) = self.reports.insert(sequence, report.clone()) {
            assert_eq!(before, report);
        }
    }

    fn send(&mut self, body: DownBody) {
        let Some(contact) = &mut self.contact else {
            return;
        };
        let frame = Down {
            session: contact.session,
            sequence: contact.sent,
            authority: Authority {
                term: Term(1),
                epoch: Epoch(1),
            },
            body,
        };
        contact.sent += 1;
        self.link.sender().send(contact.connection, frame);
    }

    /// Grants attempts `first..first + count` of that spec to the agent.
    pub(crate) fn grant(&mut self, first: u64, count: u32, spec: JobSpec) {
        let spec: SealedSpec = flota_wire::spec::seal(spec);
        let order = GrantOrder {
            attempts: self.range(first, count),
            job: JobId(first + 1),
            first_task: TaskIndex(0),
            spec_hash: spec.hash,
            rows: None,
        };
        self.send(DownBody::Grants {
            specs: vec![spec],
            orders: vec![order],
        });
    }

    pub(crate) fn cancel(&mut self, first: u64, count: u32) {
        self.send(DownBody::Cancel(vec![self.range(first, count)]));
    }

    pub(crate) fn read(&mut self, request: u64, sequence: u64, stream: StreamName) {
        self.send(DownBody::ReadOutput {
            request: RequestId(request),
            attempt: self.attempt(sequence),
            stream,
            offset: 0,
            length: 100_000,
        });
    }
}

/// A job of `count` tasks that asks for next to nothing, so that all run at once.
pub(crate) fn job(count: u32, work: Work, retry: Retry) -> JobSpec {
    JobSpec {
        name: "test".to_owned(),
        tasks: TaskRange {
            first: TaskIndex(0),
            last: TaskIndex(count - 1),
        },
        work,
        priority: Priority::MEDIUM,
        resources: Resources::of_cpus(Cpus(1)),
        constraints: Constraints::default(),
        retry,
        timeout: None,
        grace: Duration::from_secs(5),
        on_disconnect: OnDisconnect::default(),
        parameters: None,
        rules: Box::default(),
        service: None,
    }
}

/// A shell script; `{index}` is the task.
pub(crate) fn script(text: &str) -> Work {
    Work::Program(Program {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()],
        ..Program::default()
    })
}

pub(crate) fn kernel(name: &str, parameters: &[(&str, &str)]) -> Work {
    let parameters = parameters
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    Work::Kernel(KernelCall {
        name: name.to_owned(),
        parameters: parameters.collect(),
    })
}

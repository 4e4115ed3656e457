//! An agent by hand: a real link, and a test that says what the agent does.

use std::collections::BTreeMap;

use flota_link::{
    AgentEvent, AgentLink, AgentSender,
    direct::{AgentSettings, agent},
};
use flota_model::{
    frame::{Down, DownBody, GrantOrder, Hello, Offer, PROTOCOL_VERSION, Up, UpBody},
    ids::{
        AttemptId, Authority, BootId, ConnectionId, JobId, Nonce, RequestId, SessionNumber,
        SpecHash, TaskIndex,
    },
    outcome::{Outcome, Output, Report, Usage},
    process::{Answer, AskFault, ProcessList, Question},
    resources::Resources,
    sample::NodeSample,
    units::{Cpus, Moment, Timestamp},
};
use tokio::{sync::watch, time::timeout};

use super::harness::{Harness, PATIENCE};

/// One agent in its first session.
pub(super) struct Agent {
    link: AgentLink,
    sender: AgentSender,
    connection: ConnectionId,
    sequence: u64,
}

/// One attempt that the server ordered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordered {
    pub(super) attempt: AttemptId,
    pub(super) job: JobId,
    pub(super) task: TaskIndex,
    spec_hash: SpecHash,
}

impl Agent {
    /// Connects and is welcomed as a new node of four cores.
    pub(super) async fn join(server: &Harness, name: &str) -> Self {
        let mut joined = Self::connect(server).await;
        joined.say(UpBody::Hello(Box::new(hello(name))));
        let welcome = joined.hear().await;
        assert!(
            matches!(welcome.body, DownBody::Welcome { .. }),
            "{welcome:?}"
        );
        joined
    }

    pub(super) async fn connect(server: &Harness) -> Self {
        let mut link = agent(server.addresses.http, AgentSettings { seed: 1 }).unwrap();
        let connected = timeout(PATIENCE, link.next()).await.unwrap();
        let Some(AgentEvent::Connected { connection }) = connected else {
            panic!("{connected:?}")
        };
        let sender = link.sender();
        Self {
            link,
            sender,
            connection,
            sequence: 0,
        }
    }

    pub(super) fn say(&mut self, body: UpBody) {
        let frame = Up {
            session: SessionNumber(1),
            sequence: self.sequence,
            body,
        };
        self.sequence += 1;
        self.sender.send(self.connection, frame);
    }

    /// The next frame.
    pub(super) async fn hear(&mut self) -> Down {
        match timeout(PATIENCE, self.link.next()).await.unwrap() {
            Some(AgentEvent::Frame { frame, .. }) => frame,
            other => panic!("no frame: {other:?}"),
        }
    }

    /// The next frame that `wanted` takes something from.
    pub(super) async fn hear_until<T>(&mut self, wanted: impl Fn(DownBody) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.hear().await.body) {
                return found;
            }
        }
    }

    /// Attempts until there are `count`.
    pub(super) async fn ordered(&mut self, count: usize) -> Vec<Ordered> {
        let mut ordered = Vec::new();
        while ordered.len() < count {
            let orders = self
                .hear_until(|body| {
                    let DownBody::Grants { orders, .. } = body else {
                        return None;
                    };
                    Some(orders)
                })
                .await;
            ordered.extend(orders.iter().flat_map(attempts));
        }
        ordered
    }

    pub(super) fn report(&mut self, ordered: Ordered, outcome: Outcome, output: Option<Output>) {
        let now = Timestamp(1_795_235_530_000_000);
        let report = Report {
            attempt: ordered.attempt,
            job: ordered.job,
            task: ordered.task,
            spec_hash: ordered.spec_hash,
            outcome,
            started_at: Some(now),
            ended_at: Timestamp(now.0 + 250_000),
            usage: Usage::default(),
            output: output.map(Box::new),
        };
        self.say(UpBody::Reports(vec![report]));
    }

    pub(super) fn beat(&mut self) {
        self.beat_with(None);
    }

    /// A heartbeat with what the machine does.
    pub(super) fn beat_with(&mut self, sample: Option<NodeSample>) {
        self.say(UpBody::Heartbeat {
            sent_at: Moment(1),
            running: Vec::new(),
            sample: sample.map(Box::new),
        });
    }

    /// Answers the next question with what `answer` makes of it.
    pub(super) async fn answer(
        &mut self,
        answer: impl FnOnce(Question) -> Result<Answer, AskFault>,
    ) {
        let (request, question) = self.asked().await;
        let answer = answer(question);
        self.say(UpBody::Answer { request, answer });
    }

    /// Answers all questions until it is disconnected.
    pub(super) async fn serve(
        mut self,
        answer: impl Fn(Question) -> Result<Answer, AskFault> + Send + 'static,
    ) {
        loop {
            match self.link.next().await {
                Some(AgentEvent::Frame { frame, .. }) => {
                    if let DownBody::Ask { request, question } = frame.body {
                        let answer = answer(question);
                        self.say(UpBody::Answer { request, answer });
                    }
                }
                Some(AgentEvent::Connected { .. } | AgentEvent::Retrying { .. }) => {}
                Some(AgentEvent::Disconnected { .. }) | None => return,
            }
        }
    }

    /// Counts the questions that it hears, and answers them with nothing once `begin` says so, until
    /// it is disconnected.
    pub(super) async fn serve_from(
        mut self,
        heard: watch::Sender<usize>,
        mut begin: watch::Receiver<bool>,
    ) {
        let mut waiting = Vec::new();
        let mut has_begun = false;
        loop {
            tokio::select! {
                begun = begin.wait_for(|begin| *begin), if !has_begun => has_begun = begun.is_ok(),
                event = self.link.next() => match event {
                    Some(AgentEvent::Frame { frame, .. }) => {
                        if let DownBody::Ask { request, .. } = frame.body {
                            heard.send_modify(|heard| *heard += 1);
                            waiting.push(request);
                        }
                    }
                    Some(AgentEvent::Connected { .. } | AgentEvent::Retrying { .. }) => {}
                    Some(AgentEvent::Disconnected { .. }) | None => return,
                },
            }
            if has_begun {
                for request in std::mem::take(&mut waiting) {
                    let answer = Ok(Answer::Processes(ProcessList::default()));
                    self.say(UpBody::Answer { request, answer });
                }
            }
        }
    }

    /// The next question.
    pub(super) async fn asked(&mut self) -> (RequestId, Question) {
        self.hear_until(|body| {
            let DownBody::Ask { request, question } = body else {
                return None;
            };
            Some((request, question))
        })
        .await
    }

    /// Waits for the end of the connection.
    pub(super) async fn disconnected(&mut self) {
        loop {
            let event = timeout(PATIENCE, self.link.next()).await.unwrap();
            if let Some(AgentEvent::Disconnected { .. }) = event {
                return;
            }
        }
    }
}

fn attempts(order: &GrantOrder) -> Vec<Ordered> {
    let offsets = 0..order.attempts.count;
    offsets
        .map(|offset| Ordered {
            attempt: order.attempts.first.plus(offset),
            job: order.job,
            task: order.task(offset),
            spec_hash: order.spec_hash,
        })
        .collect()
}

pub(super) fn hello(name: &str) -> Hello {
    // Drawn at random by real agents: each has its own.
    let nonce = name
        .bytes()
        .fold(7, |sum: u64, byte| sum * 31 + u64::from(byte));
    Hello {
        protocol: PROTOCOL_VERSION,
        version: "test".into(),
        name: name.into(),
        node: None,
        nonce_previous: None,
        nonce: Nonce(nonce),
        boot: BootId(1),
        journal: Nonce(8),
        obeyed: Authority::default(),
        capacity: Resources::of_cpus(Cpus::whole(4)),
        labels: BTreeMap::new(),
        held: Vec::new(),
        containment: None,
        offer: Offer::default(),
    }
}

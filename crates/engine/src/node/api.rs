//! What goes into a node engine and what comes out of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_model::{
    containment::Containment,
    frame::{Down, HelloRefusal, Offer, OutputFault, OutputPart, Up},
    ids::{AttemptId, AttemptRange, BootId, ConnectionId, JobId, Nonce, RequestId, TaskIndex},
    local::{LocalOrder, LocalRefusal, LocalReply},
    outcome::{Output, StartStage, StreamName, Usage},
    process::{Answer, AskFault, Question},
    replica::LastLines,
    resources::Resources,
    sample::NodeSample,
    service::{ExpandedCheck, ProbeNumber, ProbeResult},
    spec::{JobSpec, KernelCall},
    units::{Moment, Now, Timestamp},
};

use crate::{
    journal::Record,
    keeper::api::{Child, End, Guard, KeeperId, Launch, StopReason},
    policy::Policy,
    sabotage::Sabotage,
};

/// Something that happened at the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// All keepers of the folder were asked and the logs of dead ones read. Comes once, first.
    /// Running attempts of the journal that are not among the children end as `unknown`; children
    /// that the journal does not know are stopped and forgotten. The output of a child that is
    /// listed as ended comes as [`Event::Ended`] in the same batch; without one it ends without
    /// output.
    Recovered {
        /// Every child that any keeper of this folder holds or held and was not told to forget.
        children: Vec<(Option<KeeperId>, Child)>,
        /// The keeper that takes new programs.
        keeper: KeeperId,
    },
    /// A connection to the server stands: say hello on it.
    Connected {
        /// As the shell numbers them, ascending.
        connection: ConnectionId,
    },
    /// A connection to the server is gone.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// A frame arrived.
    Frame {
        /// On which connection.
        connection: ConnectionId,
        /// The frame.
        frame: Down,
    },
    /// The keeper started a program.
    Started {
        /// Which attempt.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
    },
    /// The keeper could not start a program.
    NotStarted {
        /// Which attempt.
        attempt: AttemptId,
        /// Which step failed.
        stage: StartStage,
        /// `errno` of that step.
        errno: i32,
    },
    /// A program and its whole tree ended. The shell has read (and synced) its output.
    Ended {
        /// Which attempt.
        attempt: AttemptId,
        /// Which run of it.
        run: u32,
        /// How.
        end: End,
        /// What it wrote.
        output: Option<Box<Output>>,
    },
    /// A keeper died; the shell watches its children and reports each by `Ended` (where the exit
    /// can be known or not: [`End::Unknown`]), also those whose start was ordered and never
    /// confirmed. New programs go to `replacement`.
    KeeperGone {
        /// Which.
        keeper: KeeperId,
        /// The one that takes new programs from now on.
        replacement: KeeperId,
    },
    /// A kernel ended.
    KernelEnded {
        /// Which attempt.
        attempt: AttemptId,
        /// What it returned, or why it failed; `Stopped` when it saw its stop flag.
        end: KernelEnd,
        /// When it began and ended.
        ran: (Timestamp, Timestamp),
        /// What it used.
        usage: Usage,
    },
    /// A part of an output was read, or could not be.
    OutputRead {
        /// On which connection it was asked for.
        connection: ConnectionId,
        /// For which request.
        request: RequestId,
        /// The bytes.
        part: Result<OutputPart, OutputFault>,
    },
    /// A question of the server was answered.
    Answered {
        /// On which connection it was asked.
        connection: ConnectionId,
        /// For which request.
        request: RequestId,
        /// The answer.
        answer: Result<Answer, AskFault>,
    },
    /// A probe of a service is over. A timeout, or a check that could not be tried, is
    /// `ProbeResult::Failed`.
    ProbeEnded {
        /// Of which attempt.
        attempt: AttemptId,
        /// As asked.
        run: u32,
        /// As asked.
        probe: u32,
        /// As asked.
        number: ProbeNumber,
        /// What was found.
        result: ProbeResult,
        /// For people: why it failed.
        detail: String,
    },
    /// What a run of a service wrote last ([`Effect::Tail`]); empty where nothing is there.
    Tailed {
        /// Of which attempt.
        attempt: AttemptId,
        /// Which run, and what.
        lines: LastLines,
    },
    /// A client of this node wants something; answered by exactly one [`Effect::LocalAnswer`].
    LocalOrder {
        /// To be repeated; never used twice within a start of the agent.
        request: RequestId,
        /// What.
        order: LocalOrder,
    },
    /// The machine was looked at; goes with the next heartbeat.
    Sampled(Box<NodeSample>),
    /// The journal could not take the batch: the disk is full. The records of the batch were NOT
    /// written and its effects not performed; the engine refuses new grants until `DiskFree`, and
    /// the shell keeps the records and tries again.
    DiskFull,
    /// The journal takes records again.
    DiskFree,
    /// The owner of the node has changed what is allowed. Counts for what starts from now on.
    PolicyRead(Arc<Policy>),
    /// Somebody asks the agent to stop everything that it runs and to end (`agent stop --all`).
    StopAll,
    /// Time has passed. At least every second, and at [`Node::deadline`].
    ///
    /// [`Node::deadline`]: super::Node::deadline
    Tick,
}

/// How a kernel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelEnd {
    /// It returned; its result may be in the output.
    Completed(Option<Box<Output>>),
    /// It failed or panicked.
    Failed(String),
    /// It saw its stop flag.
    Stopped,
}

/// Something for the agent's shell to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Sends a frame to the server.
    Send {
        /// On which connection.
        connection: ConnectionId,
        /// The frame.
        frame: Up,
    },
    /// Closes a connection to the server.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Tells a keeper to start a program.
    Start {
        /// Which keeper.
        keeper: KeeperId,
        /// What to start.
        launch: Box<Launch>,
    },
    /// Tells the keeper to stop a program with its whole tree: signal, grace, kill.
    Stop {
        /// Which keeper; `None` when it is dead and the shell itself holds the pidfd.
        keeper: Option<KeeperId>,
        /// Which attempt.
        attempt: AttemptId,
        /// The first signal (`man 7 signal`).
        signal: u8,
        /// From the signal to the kill.
        grace: Duration,
        /// Why.
        reason: StopReason,
    },
    /// Moves the deadline at which the keeper kills a `stop` attempt on its own (PROTOCOL 10).
    Fence {
        /// Which keeper.
        keeper: KeeperId,
        /// Which attempt.
        attempt: AttemptId,
        /// On `CLOCK_BOOTTIME` of this machine.
        deadline: Moment,
    },
    /// Tells the keeper to forget an attempt whose end is durable in the journal.
    Forget {
        /// Which keeper.
        keeper: KeeperId,
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Runs a kernel in the pool.
    RunKernel {
        /// Which attempt.
        attempt: AttemptId,
        /// Of which job and task, for its parameters.
        task: (JobId, TaskIndex),
        /// The function with its parameters, placeholders replaced.
        call: KernelCall,
    },
    /// Raises the stop flag of a kernel.
    StopKernel {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Reads a part of an output and gives it back by [`Event::OutputRead`].
    ReadOutput {
        /// To be repeated.
        connection: ConnectionId,
        /// To be repeated.
        request: RequestId,
        /// Of which attempt.
        attempt: AttemptId,
        /// Which stream.
        stream: StreamName,
        /// From which byte on.
        offset: u64,
        /// At most this many bytes.
        length: u32,
    },
    /// Answers a question of the server and gives the answer back by [`Event::Answered`].
    Ask {
        /// To be repeated.
        connection: ConnectionId,
        /// To be repeated.
        request: RequestId,
        /// What is asked.
        question: Question,
    },
    /// Probes a service, and gives the result back by [`Event::ProbeEnded`]. The engine takes a
    /// probe without a result within its timeout for failed, so that nothing needs to be cancelled.
    Probe {
        /// Of which attempt.
        attempt: AttemptId,
        /// Which run of it; to be repeated.
        run: u32,
        /// Which of its probes, by position in the spec; to be repeated.
        probe: u32,
        /// To be repeated.
        number: ProbeNumber,
        /// What to do, placeholders replaced.
        check: Box<ExpandedCheck>,
        /// What the policy says of the file of a program.
        guard: Guard,
        /// How long it may take.
        timeout: Duration,
    },
    /// Reads what a run of a service wrote last, and gives it back by [`Event::Tailed`].
    Tail {
        /// Of which attempt.
        attempt: AttemptId,
        /// Which run.
        run: u32,
    },
    /// Tells a client of this node what came of its order.
    LocalAnswer {
        /// Which.
        request: RequestId,
        /// What came of it.
        answer: Result<LocalReply, LocalRefusal>,
    },
    /// The server does not take this agent; the shell says so and ends or waits, as it must.
    Refused(HelloRefusal),
    /// Nothing runs any more after [`Event::StopAll`]: the shell tells the keepers to end and ends.
    Quit,
}

/// What one call of `handle` decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turn {
    /// To be performed at once; they depend only on what is durable already.
    pub at_once: Vec<Effect>,
    /// To be appended to the journal as one batch; often empty.
    pub records: Vec<Record>,
    /// Whether the batch must be synced (one `fdatasync`) before `after`.
    pub sync: bool,
    /// To be performed, in order, after the batch, and all earlier ones, are in the journal (and
    /// synced, where asked).
    pub after: Vec<Effect>,
    /// Time to write the journal anew: the shell takes [`Node::rewritten`] before it calls `handle`
    /// again (it contains this turn's records), writes it to a new file, syncs, renames it over the
    /// old one, and appends later batches to the new one.
    ///
    /// [`Node::rewritten`]: super::Node::rewritten
    pub rewrite: bool,
}

/// What a node engine is opened with.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Random; drawn for this start.
    pub nonce: Nonce,
    /// Random; becomes the journal's identity if there is no journal or it was damaged.
    pub journal: Nonce,
    /// The boot of this machine.
    pub boot: BootId,
    /// The name to ask for.
    pub name: String,
    /// The version of this binary.
    pub version: String,
    /// All that this machine lends to Flota.
    pub capacity: Resources,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The time.
    pub now: Now,
    /// Durations and limits.
    pub settings: Settings,
}

/// Durations and limits of a node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Kill `stop` attempts this long before the end of the lease.
    pub fence_margin: Duration,
    /// Most attempts held at a time; more are refused by tombstone.
    pub attempts_max: u32,
    /// Reports in one frame.
    pub reports_per_frame: usize,
    /// The journal is written anew when it has grown by this many bytes and by half.
    pub rewrite_bytes: u64,
    /// Most attempts that run at a time. Below half of what a keeper takes, so that children that
    /// ended and are not forgotten yet never push a new one out.
    pub running_max: u32,
    /// Kernels of a class handed to the pool beyond the free capacity, so that the pool stays busy
    /// between two turns; only those whose recent run time is below 1 ms. The pool runs them in order.
    pub kernels_ahead: u32,
    /// Programs of a class handed to the keeper beyond the free capacity, for the same reason; no
    /// more than keep it busy for some 40 ms.
    pub programs_ahead: u32,
    /// Nothing new starts while reports of this many bytes wait for their acknowledgement: they are
    /// in memory.
    pub unacknowledged_bytes_max: u64,
    /// What the owner of the node allows.
    pub policy: Arc<Policy>,
    /// How programs are contained here.
    pub containment: Containment,
    /// What is run here, and who else listens.
    pub offer: Offer,
    /// For the simulator only.
    pub sabotage: Sabotage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            fence_margin: Duration::from_millis(500),
            attempts_max: 100_000,
            reports_per_frame: 1_000,
            rewrite_bytes: 16 << 20,
            running_max: 2_000,
            kernels_ahead: 64,
            programs_ahead: 256,
            unacknowledged_bytes_max: 256 << 20,
            policy: Arc::new(Policy::unrestricted()),
            containment: Containment::default(),
            offer: Offer::default(),
            sabotage: Sabotage::default(),
        }
    }
}

/// Gives the meaning of the spec bytes that the journal carries.
pub type DecodeSpec<'a> = &'a dyn Fn(&[u8]) -> Option<Arc<JobSpec>>;

/// What a recovered journal could not keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Attempts whose spec bytes no longer decode.
    pub attempts: Vec<AttemptRange>,
}

//! What the agent's own listeners ask: of this machine, and of the server through the main loop.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use flota_engine::{keeper::api::End, node::api::Event};
use flota_model::{
    ids::{AttemptId, BootId, NodeId, RequestId},
    local::{LOCAL_ORDERS_MAX, LocalOrder, LocalRefusal, LocalReply},
    outcome::StartStage,
    process::{Columns, ProcessHandle, ProcessTarget},
    sample::NodeSample,
    spec::KernelCall,
    units::Moment,
};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};

use crate::{
    input::Input,
    proc,
    processes::{Processes, Programs},
    sys::{clock, pidfd::PidFd},
};

/// Longest part of the name of a job that is the name of its program, in bytes.
const PROGRAM_LENGTH_MAX: usize = 64;

/// A program starts, or does not, and ends.
const NEWS_MAX: usize = 4;

/// Start time and pidfd inode of a process, where no later one can have both.
pub(crate) type Proof = (u64, u64);

/// What a client wants of the server.
#[derive(Debug)]
pub(crate) enum Want {
    Start {
        name: String,
        argv: Vec<String>,
    },
    Compute {
        name: String,
        call: KernelCall,
    },
    Stop {
        pid: u32,
        /// `None` where the kernel has no proof: whoever has the number.
        identity: Option<Proof>,
        grace: Duration,
    },
}

/// What happens to a program that a client wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Started { pid: u32 },
    NotStarted { stage: StartStage, errno: i32 },
    Ended(End),
}

type Answer = Result<LocalReply, LocalRefusal>;

/// A want on its way to the main loop.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) want: Want,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// Who hears of the program, by the name of its job.
    pub(crate) watcher: Option<mpsc::Sender<News>>,
}

/// The last list, and when it was begun.
type Listing = Option<(Moment, Arc<Vec<(u32, String)>>)>;

/// Where listeners ask. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Counter {
    post: mpsc::Sender<Input>,
    sample: watch::Receiver<Option<Box<NodeSample>>>,
    /// A scan of its own: the use of processor time that others see must not depend on these.
    processes: Arc<Processes>,
    listing: Arc<Mutex<Listing>>,
    /// More wait here instead of being refused.
    places: Arc<Semaphore>,
    started: Arc<AtomicU64>,
    cores: u32,
}

impl Counter {
    pub(crate) fn new(
        post: mpsc::Sender<Input>,
        boot: BootId,
        sample: watch::Receiver<Option<Box<NodeSample>>>,
    ) -> Self {
        let cores = std::thread::available_parallelism();
        Self {
            post,
            sample,
            processes: Arc::new(Processes::new(boot)),
            listing: Arc::default(),
            places: Arc::new(Semaphore::new(LOCAL_ORDERS_MAX)),
            started: Arc::default(),
            cores: cores.map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
        }
    }

    /// Number and name of all processes. However many ask at a time, two scans answer them all.
    pub(crate) async fn list(&self) -> io::Result<Arc<Vec<(u32, String)>>> {
        let asked_at = clock::moment();
        let mut listing = self.listing.lock().await;
        if let Some((begun_at, rows)) = &*listing
            && *begun_at > asked_at
        {
            return Ok(Arc::clone(rows));
        }
        let (begun_at, processes) = (clock::moment(), Arc::clone(&self.processes));
        let scan = move || processes.list(Columns::Basic, &Programs::default());
        let list = tokio::task::spawn_blocking(scan).await??;
        let rows = list.rows.into_iter().map(|row| (row.pid, row.name));
        let rows: Arc<Vec<(u32, String)>> = Arc::new(rows.collect());
        *listing = Some((begun_at, Arc::clone(&rows)));
        drop(listing);
        Ok(rows)
    }

    /// The last sample of this machine.
    pub(crate) fn sample(&self) -> Option<Box<NodeSample>> {
        self.sample.borrow().clone()
    }

    /// All samples from now on.
    pub(crate) fn samples(&self) -> watch::Receiver<Option<Box<NodeSample>>> {
        self.sample.clone()
    }

    /// Of this machine.
    pub(crate) fn cores(&self) -> u32 {
        self.cores
    }

    /// Busy cores and used memory in tenths of a percent, in the last second.
    pub(crate) fn busy(&self) -> (Option<u32>, Option<u32>) {
        let Some(sample) = self.sample.borrow().clone() else {
            return (None, None);
        };
        let cores = u32::try_from(sample.cores.len()).unwrap_or(1);
        let cores = if cores == 0 { self.cores } else { cores };
        let cpu = sample.cpu.map(|cpu| (cpu.0 / cores.max(1)).min(1_000));
        let memory = sample.memory.and_then(|memory| {
            let used = memory.total.0.saturating_sub(memory.available.0);
            let tenths = used.saturating_mul(1_000).checked_div(memory.total.0)?;
            u32::try_from(tenths).ok()
        });
        (cpu, memory)
    }

    /// Orders the start of a program and hears what becomes of it.
    pub(crate) fn start(
        &self,
        argv: Vec<String>,
    ) -> (impl Future<Output = Answer> + '_, mpsc::Receiver<News>) {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-line-{number}", program_name(&argv[0]));
        let (watcher, news) = mpsc::channel(NEWS_MAX);
        let order = self.order(Want::Start { name, argv }, Some(watcher));
        (order, news)
    }

    /// Asks the server.
    pub(crate) async fn order(&self, want: Want, watcher: Option<mpsc::Sender<News>>) -> Answer {
        let unreachable = |_| LocalRefusal::unreachable();
        let Ok(_place) = self.places.acquire().await else {
            return Err(LocalRefusal::busy());
        };
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            want,
            answer,
            watcher,
        };
        let posted = self.post.send(Input::Local(asked)).await;
        posted.map_err(|_| LocalRefusal::unreachable())?;
        answered.await.map_err(unreachable)?
    }
}

/// Opens a process now, so that no later one of its number is ever taken for it.
pub(crate) fn identify(pid: u32) -> io::Result<Option<Proof>> {
    let pidfd = PidFd::open(pid)?;
    if !pidfd.inode_is_unique() {
        return Ok(None);
    }
    let start_time = proc::stat(pid)?.start_time;
    Ok(Some((start_time, pidfd.inode()?)))
}

/// The end of its path, in letters that a name of a job may have.
fn program_name(program: &str) -> String {
    let name = Path::new(program).file_name();
    let name = name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let kept = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let mut name: String = name.chars().filter(|character| kept(*character)).collect();
    name.truncate(PROGRAM_LENGTH_MAX);
    if name.is_empty() {
        name.push_str("program");
    }
    name
}

/// What the main loop remembers of wants.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    made: u64,
    answers: BTreeMap<RequestId, oneshot::Sender<Answer>>,
    watchers: BTreeMap<String, mpsc::Sender<News>>,
}

impl Wants {
    /// Takes a want, as the engine is to know it.
    pub(crate) fn take(&mut self, asked: Asked, node: Option<NodeId>, boot: BootId) -> Event {
        self.made += 1;
        let request = RequestId(self.made);
        self.answers.insert(request, asked.answer);
        // Who heard enough has gone.
        self.watchers.retain(|_, watcher| !watcher.is_closed());
        let order = match asked.want {
            Want::Start { name, argv } => {
                if let Some(watcher) = asked.watcher {
                    self.watchers.insert(name.clone(), watcher);
                }
                LocalOrder::Start { name, argv }
            }
            Want::Compute { name, call } => LocalOrder::Compute { name, call },
            Want::Stop {
                pid,
                identity,
                grace,
            } => {
                let node = node.unwrap_or(NodeId(0));
                let target = match identity {
                    None => ProcessTarget::Pid { node, pid },
                    Some((start_time, pidfd_inode)) => ProcessTarget::Handle(ProcessHandle {
                        node,
                        boot,
                        pid,
                        start_time,
                        pidfd_inode,
                    }),
                };
                LocalOrder::Stop { target, grace }
            }
        };
        Event::LocalOrder { request, order }
    }

    /// The server has answered.
    pub(crate) fn answer(&mut self, request: RequestId, answer: Answer) {
        if let Some(asked) = self.answers.remove(&request) {
            // Its client may have gone.
            let _ = asked.send(answer);
        }
    }

    /// Tells who waits for a program; `name` finds the job of an attempt.
    pub(crate) fn tell<'a>(
        &self,
        attempt: AttemptId,
        news: News,
        name: impl FnOnce(AttemptId) -> Option<&'a str>,
    ) {
        if self.watchers.is_empty() {
            return;
        }
        if let Some(watcher) = name(attempt).and_then(|name| self.watchers.get(name)) {
            // More than a client waits for is not kept for it.
            let _ = watcher.try_send(news);
        }
    }
}

//! An agent from its start to its end.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use flota_engine::node::{
    Node,
    api::{Forgotten, Opening, Settings as NodeSettings, Turn},
};
use flota_link::{AgentLink, direct};
use flota_model::{
    containment::LimitKind,
    frame::Offer,
    ids::{BootId, Nonce},
    spec::JobSpec,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
};

use crate::{
    dead::Here,
    end::{AgentEnd, AgentFault},
    finisher::Finisher,
    folder::Folder,
    groups::{self, Groups, Place, Prospect},
    hpc,
    input::Input,
    journal::Opened,
    keeper::KeeperSettings,
    keepers::{KeeperCommand, Keepers},
    line,
    local::Counter,
    logs::Logs,
    machine,
    orphans::Orphans,
    outputs::Outputs,
    pool::Pool,
    probes::Probes,
    processes::Processes,
    samples::Sampler,
    settings::AgentSettings,
    shell::{Reload, Shell, State},
    sys::{clock, limits},
};

/// What the parts of an agent have told and the main loop not yet heard: one burst of starts and
/// ends of a keeper.
const INBOX_LENGTH_MAX: usize = 4_096;
/// Below the data folder: where its listeners are.
const ADDRESSES: &str = "addresses.json";
/// Open files of an agent itself: sockets, journal, outputs that are read.
const OPEN_FILES_OWN: u64 = 256;

/// Runs an agent until `shutdown`, a stop of all, or a fault.
///
/// The calling process becomes a subreaper and reaps ALL its children, so it must have none of its
/// own. Needs a tokio runtime with all drivers.
///
/// # Errors
/// See [`AgentFault`]; whatever it is, programs and keepers go on.
pub async fn run(
    settings: AgentSettings,
    shutdown: impl Future<Output = ()>,
) -> Result<AgentEnd, AgentFault> {
    let folder = Folder::open(&settings.data)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| AgentFault::system("become a subreaper")(error.into()))?;
    let open_files = OpenFiles {
        usual: limits::open_files(),
        most: limits::raise_open_files(),
    };
    let seed = random()?;
    let server = settings.server;
    let bound = bind(&settings).await?;
    let offer = Offer {
        kernels: None,
        listeners: bound.offered(),
    };
    let name = settings.name.clone();
    let (shell, first) = prepare(settings, folder, (open_files, offer))?;
    let _listeners = bound.listen(&shell, name)?;
    let connect = move || -> Result<AgentLink, AgentFault> {
        let seed = seed.0;
        Ok(direct::agent(server, direct::AgentSettings { seed })?)
    };
    Box::pin(shell.run(first, connect, shutdown)).await
}

/// Listeners of an agent. Dropped: they are closed, and nobody is sent to them any more.
#[derive(Debug)]
struct Listeners {
    path: PathBuf,
    _task: JoinSet<()>,
}

impl Drop for Listeners {
    fn drop(&mut self) {
        // Best effort: a client finds the truth when it connects.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What other clients connect to.
#[derive(Debug, Default)]
struct Listening {
    line: Vec<line::Bound>,
    hpc: Vec<hpc::Bound>,
}

/// Binds all of it.
async fn bind(settings: &AgentSettings) -> Result<Listening, AgentFault> {
    let mut bound = Listening::default();
    let fault = |address| move |source| AgentFault::Listen { address, source };
    for (dialect, address) in settings.line.iter().copied() {
        let one = line::Bound::new(dialect, address).await;
        bound.line.push(one.map_err(fault(address))?);
    }
    for (listener, address) in settings.hpc.iter().copied() {
        let one = hpc::Bound::new(listener, address).await;
        bound.hpc.push(one.map_err(fault(address))?);
    }
    Ok(bound)
}

impl Listening {
    /// As the server is told of it.
    fn offered(&self) -> BTreeMap<String, SocketAddr> {
        let hpc = self.hpc.iter();
        hpc.map(|one| (one.listener.word().to_owned(), one.address))
            .collect()
    }

    /// Serves clients, and writes down where that is.
    fn listen(self, shell: &Shell, name: String) -> Result<Option<Listeners>, AgentFault> {
        if self.line.is_empty() && self.hpc.is_empty() {
            return Ok(None);
        }
        let path = shell.folder.path().join(ADDRESSES);
        self.write(&path)
            .map_err(AgentFault::system("write down its addresses"))?;
        let counter = Counter::new(
            shell.post.clone(),
            shell.here.boot,
            shell.sample.subscribe(),
        );
        let here = hpc::Here {
            name,
            counter: counter.clone(),
            activity: shell.activity.subscribe(),
        };
        let mut task = JoinSet::new();
        if !self.line.is_empty() {
            task.spawn(line::serve(self.line, counter, line::Patience::default()));
        }
        if !self.hpc.is_empty() {
            task.spawn(hpc::serve(self.hpc, here));
        }
        Ok(Some(Listeners { path, _task: task }))
    }

    /// `{"pid": …, "line": {"posix": ["127.0.0.1:5002"]}, "hpc.slave": …}`, never seen half written.
    fn write(&self, path: &Path) -> io::Result<()> {
        let mut line: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for one in &self.line {
            let addresses = line.entry(one.dialect.word()).or_default();
            addresses.push(one.address()?.to_string());
        }
        let mut text = serde_json::json!({"pid": std::process::id(), "line": line});
        for (word, address) in self.offered() {
            text[word] = address.to_string().into();
        }
        let new = path.with_extension("json.new");
        std::fs::write(&new, format!("{text:#}\n"))?;
        std::fs::rename(&new, path)
    }
}

/// Limits of open files.
#[derive(Debug, Clone, Copy)]
struct OpenFiles {
    /// That programs expect.
    usual: u64,
    /// That we may have.
    most: u64,
}

impl OpenFiles {
    /// How many programs may run: three descriptors each come from the keeper, which has two more where
    /// logs are rotated, another one is opened for a moment, and some are needed for the agent itself.
    fn programs_max(self) -> u32 {
        u32::try_from(self.most.saturating_sub(OPEN_FILES_OWN) / 6)
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

fn prepare(
    settings: AgentSettings,
    folder: Folder,
    (open_files, offer): (OpenFiles, Offer),
) -> Result<(Shell, Turn), AgentFault> {
    let system = AgentFault::system;
    let here = Here::new().map_err(system("find out where it is"))?;
    let cores = machine::capacity().map_err(system("read what this machine has"))?;
    let bell = Arc::new(Notify::new());
    let ring = |bell: &Arc<Notify>| {
        let bell = Arc::clone(bell);
        move || bell.notify_one()
    };
    let policy = Reload::new(settings.policy.clone()).map_err(system("listen for SIGHUP"))?;
    let journal = Opened::new(&settings.data.join("journal"), ring(&bell))?;
    if let Some(path) = &journal.set_aside {
        tracing::error!(
            path = %path.display(),
            "the journal was damaged and set aside; attempts that it held are unknown"
        );
    }
    let (post, inbox) = mpsc::channel::<Input>(INBOX_LENGTH_MAX);
    let (groups, prospect) = arrange_groups(&settings)?;
    let told = (open_files.usual, prospect.places);
    let keepers = keepers(&settings, &folder, told, post.clone())?;
    let sampler = Sampler::start(settings.data.clone(), post.clone());
    let sampler = sampler.map_err(system("start the thread for samples"))?;
    let outputs = Outputs::new(folder.output(), settings.output_bytes_max);
    let outputs = Arc::new(outputs.map_err(system("use the folder of outputs"))?);
    let logs =
        Logs::start(&settings.data, settings.logs).map_err(system("use the folder of logs"))?;
    let finisher = Finisher::new(Arc::clone(&outputs), post.clone());
    let threads = usize::try_from(cores.cpus.0.div_ceil(1000)).unwrap_or(1);
    let pool = Pool::new(threads, ring(&bell)).map_err(system("start threads for kernels"))?;
    let settings = AgentSettings {
        capacity: Some(settings.capacity.unwrap_or(cores)),
        node: NodeSettings {
            running_max: settings.node.running_max.min(open_files.programs_max()),
            containment: prospect.containment,
            offer,
            ..settings.node
        },
        ..settings
    };
    let opening = opening(settings, here.boot)?;
    let (node, first, forgotten) = Node::open(journal.records, &decode_spec, opening);
    tell_forgotten(&forgotten);
    let shell = Shell {
        node,
        folder,
        journal: journal.writer,
        keepers,
        policy,
        orphans: Orphans::new(post.clone(), Arc::clone(&groups)),
        groups,
        outputs,
        logs,
        finisher: finisher.map_err(system("start the thread for outputs"))?,
        pool,
        inbox,
        post,
        bell,
        here,
        processes: Arc::new(Processes::new(here.boot)),
        probes: Probes::new(Some((open_files.usual, open_files.most))),
        _sampler: sampler,
        sample: watch::Sender::new(None),
        activity: watch::Sender::default(),
        state: State::default(),
    };
    Ok((shell, first))
}

fn opening(settings: AgentSettings, boot: BootId) -> Result<Opening, AgentFault> {
    Ok(Opening {
        nonce: random()?,
        journal: random()?,
        boot,
        name: settings.name,
        version: settings.version,
        capacity: settings.capacity.unwrap_or_default(),
        labels: settings.labels,
        now: clock::now(),
        settings: settings.node,
    })
}

fn tell_forgotten(forgotten: &Forgotten) {
    if !forgotten.attempts.is_empty() {
        tracing::error!(
            ?forgotten,
            "attempts were given back, because their specs cannot be read"
        );
    }
}

/// Those that it finds, also of earlier agents, and what it may do itself.
fn arrange_groups(settings: &AgentSettings) -> Result<(Arc<Groups>, Prospect), AgentFault> {
    let system = AgentFault::system;
    let prospect = groups::arrange(Path::new("/"), &settings.groups, &settings.data);
    let prospect = prospect.map_err(system("find out which control groups it may make"))?;
    let places = groups::remember(&settings.data, &prospect.places);
    let groups = Groups::new(places.map_err(system("remember where its control groups are"))?);
    let limits: Vec<&str> = prospect
        .containment
        .enforced
        .iter()
        .map(LimitKind::word)
        .collect();
    let mode = prospect.containment.mode.word();
    tracing::info!(mode, ?limits, "programs are contained");
    Ok((Arc::new(groups), prospect))
}

fn keepers(
    settings: &AgentSettings,
    folder: &Folder,
    (open_files, places): (u64, Vec<Place>),
    post: mpsc::Sender<Input>,
) -> Result<Keepers, AgentFault> {
    let data = std::path::absolute(&settings.data).map_err(AgentFault::system("find itself"))?;
    let command = KeeperCommand {
        command: settings.keeper_command.clone(),
        settings: KeeperSettings {
            data,
            output_bytes_max: settings.output_bytes_max,
            open_files,
            logs: settings.logs,
            places,
            version_max: settings.keeper_version_max,
        },
    };
    Ok(Keepers::new(folder.keepers(), command, random()?, post)?)
}

fn decode_spec(blob: &[u8]) -> Option<Arc<JobSpec>> {
    match flota_wire::spec::unseal(blob) {
        Ok(spec) => Some(Arc::new(spec)),
        Err(error) => {
            tracing::error!(%error, "a spec of the journal cannot be read");
            None
        }
    }
}

fn random() -> Result<Nonce, AgentFault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        AgentFault::system("draw a random number")(io::Error::other(error.to_string()))
    })?;
    Ok(Nonce(u64::from_le_bytes(bytes)))
}

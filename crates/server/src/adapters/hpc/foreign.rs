//! Slaves of the older cluster that are no agents of ours: each is a node, for which a deputy speaks.

mod deputy;
mod journal;
mod remote;

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use flota_wire::hpc::{
    answer::{Registered, Status},
    job::{Registration, RemoteResult, TaskKey, parse_registration, parse_result},
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::lookup_host,
    sync::oneshot,
    time::{sleep, timeout},
};

use self::deputy::{Deputy, Work};
use super::{Hpc, nodes, of_problem, refused};
use crate::{
    access::Object,
    edge::node_views,
    owned::{self, Owned},
    problem::Problem,
};

/// Most foreign slaves: each costs a connection to ourselves and a file.
const SLAVES_MAX: usize = 256;
/// Longest look for the address of a host.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);

/// Where the slaves are remembered, below the data folder.
const FOLDER: &str = "hpc";
/// Their addresses.
const FILE: &str = "slaves.json";

/// A slave as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    address: SocketAddr,
}

/// All of them. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Foreigners(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    slaves: BTreeMap<String, Foreigner>,
    /// Who waits for the result of which task of which slave.
    waiting: BTreeMap<(String, TaskKey), oneshot::Sender<RemoteResult>>,
}

struct Foreigner {
    address: SocketAddr,
    _deputy: Owned<()>,
}

impl Foreigners {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next result of a task of a slave; one that waited before waits in vain from now on.
    fn expect(&self, slave: &str, task: &TaskKey) -> oneshot::Receiver<RemoteResult> {
        let (sender, receiver) = oneshot::channel();
        let place = (slave.to_owned(), task.clone());
        self.known().waiting.insert(place, sender);
        receiver
    }

    fn forget(&self, slave: &str, task: &TaskKey) {
        let place = (slave.to_owned(), task.clone());
        self.known().waiting.remove(&place);
    }

    /// Gives a result to who waits for it; one that nobody waits for is late.
    fn deliver(&self, result: RemoteResult) {
        let place = (result.slave.clone(), result.task.clone());
        let waiting = self.known().waiting.remove(&place);
        let is_late = waiting.is_none_or(|waiting| waiting.send(result).is_err());
        if is_late {
            let (slave, task) = place;
            tracing::info!(slave, %task, "a result came that nobody waits for");
        }
    }
}

/// `POST /registrar_esclavo`
pub(super) async fn register(State(hpc): State<Hpc>, body: Body) -> Response {
    let body = match hpc.body(body).await {
        Ok(body) => body,
        Err(problem) => return of_problem(&problem),
    };
    let registration = match parse_registration(&body) {
        Ok(registration) => registration,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let address = match address_of(&hpc, &registration).await {
        Ok(address) => address,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let entry = Entry {
        name: registration.slave,
        address,
    };
    match admit(&hpc, entry).await {
        Ok(Ok(())) => Json(Registered {
            status: "registered",
        })
        .into_response(),
        Ok(Err((status, why))) => refused(status, why),
        Err(problem) => of_problem(&problem),
    }
}

/// `POST /resultado`
pub(super) async fn result(State(hpc): State<Hpc>, body: Body) -> Response {
    let body = match hpc.body(body).await {
        Ok(body) => body,
        Err(problem) => return of_problem(&problem),
    };
    match parse_result(&body) {
        Ok(result) => {
            hpc.0.foreign.deliver(result);
            Json(Status { status: "received" }).into_response()
        }
        Err(why) => refused(StatusCode::BAD_REQUEST, why),
    }
}

/// Where a slave listens. Whoever registers says where we connect to, so that only this machine and
/// the one that we listen on are allowed.
async fn address_of(hpc: &Hpc, registration: &Registration) -> Result<SocketAddr, String> {
    let Registration { ip, port, .. } = registration;
    let address = match ip.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, *port),
        Err(_) => {
            let found = timeout(LOOK_UP_WITHIN, lookup_host((ip.as_str(), *port))).await;
            let found = found.ok().and_then(Result::ok);
            let mut found = found.into_iter().flatten();
            let found = found.find(|address| address.ip().is_loopback());
            found.ok_or_else(|| format!("`ip` no es una dirección de esta máquina: `{ip}`"))?
        }
    };
    let own = hpc.0.settings.listen.ip();
    if address.ip().is_loopback() || address.ip() == own {
        return Ok(address);
    }
    Err(format!(
        "`ip` no está entre las direcciones permitidas: `{ip}`"
    ))
}

type Refusal = (StatusCode, String);

/// Takes a slave in, or its new address.
async fn admit(hpc: &Hpc, entry: Entry) -> Result<Result<(), Refusal>, Problem> {
    let known = hpc
        .0
        .foreign
        .known()
        .slaves
        .get(&entry.name)
        .map(|slave| slave.address);
    if known == Some(entry.address) {
        return Ok(Ok(()));
    }
    let conflict = |why: &str| Ok(Err((StatusCode::CONFLICT, why.to_owned())));
    if known.is_none() {
        if hpc.0.foreign.known().slaves.len() >= SLAVES_MAX {
            return conflict("ya hay demasiados esclavos registrados");
        }
        let views = node_views(&hpc.0.desk, &hpc.0.caller, &Object::Fleet).await?;
        let mut natives = views.iter().filter(|view| view.offer.kernels.is_none());
        if natives.any(|view| view.name == entry.name) {
            return conflict("ya hay un nodo con ese nombre");
        }
    }
    let address = entry.address;
    tracing::info!(slave = entry.name, %address, "a foreign slave was registered");
    // The one who spoke for the old address has let go of the journal before another takes it.
    let before = hpc.0.foreign.known().slaves.remove(&entry.name);
    drop(before);
    start(hpc, entry).await?;
    let kept = remember(hpc);
    if let Err(fault) = kept {
        tracing::warn!(%fault, "the foreign slaves are not remembered");
    }
    Ok(Ok(()))
}

async fn start(hpc: &Hpc, Entry { name, address }: Entry) -> Result<(), Problem> {
    let cores = nodes::cores(&hpc.0.desk, &hpc.0.caller).await?;
    let settings = &hpc.0.settings;
    let deputy = Deputy {
        name: name.clone(),
        address,
        server: hpc.0.server,
        folder: folder(hpc).join(&name),
        cores,
        foreign: hpc.0.foreign.clone(),
        ping_interval: settings.ping_interval,
        work: Work {
            within: settings.work_within,
        },
    };
    let deputy = owned::spawn(async move {
        let slave = deputy.name.clone();
        if let Err(fault) = deputy.serve().await {
            tracing::error!(slave, %fault, "the deputy of a foreign slave ended");
        }
    });
    let foreigner = Foreigner {
        address,
        _deputy: deputy,
    };
    hpc.0.foreign.known().slaves.insert(name, foreigner);
    Ok(())
}

fn folder(hpc: &Hpc) -> PathBuf {
    hpc.0.desk.settings().data.join(FOLDER)
}

/// Writes down who there is, never half.
fn remember(hpc: &Hpc) -> io::Result<()> {
    let folder = folder(hpc);
    let entries: Vec<Entry> = hpc
        .0
        .foreign
        .known()
        .slaves
        .iter()
        .map(|(name, slave)| Entry {
            name: name.clone(),
            address: slave.address,
        })
        .collect();
    fs::create_dir_all(&folder)?;
    let (path, draft) = (folder.join(FILE), folder.join("slaves.json.new"));
    fs::write(&draft, serde_json::to_vec_pretty(&entries)?)?;
    fs::File::open(&draft)?.sync_all()?;
    fs::rename(&draft, &path)?;
    fs::File::open(&folder)?.sync_all()
}

/// Starts the deputies of those who are remembered.
pub(super) async fn recall(hpc: &Hpc) {
    let path = folder(hpc).join(FILE);
    let entries = match read(&path) {
        Ok(entries) => entries,
        Err(fault) => {
            tracing::error!(%fault, path = %path.display(), "the foreign slaves cannot be recalled");
            return;
        }
    };
    for entry in entries.into_iter().take(SLAVES_MAX) {
        while let Err(problem) = start(hpc, entry.clone()).await {
            tracing::warn!(
                why = problem.detail(),
                "a foreign slave waits for its deputy"
            );
            sleep(Duration::from_secs(1)).await;
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<Entry>> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

//! `flota dev`: a server and agents as processes of their own, which end with this one.

mod child;
mod compat;
mod lock;
mod sweep;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ArgMatches;
use flota_client::{Client, DEV_FOLDER, Exit, Failure, Screen, Search};
use flota_model::units::{Bytes, Cpus};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use self::lock::Lock;
pub use self::{
    child::{Child, follow_parent},
    lock::url_of_server,
};
use crate::{
    context::{Context, Threads},
    former::tell_former_names,
    login,
    machine::{machine, stop_all},
    signals::EndSignals,
};

/// Agents when nobody says otherwise.
const NODES: u32 = 3;
/// From the start of the server to its first answer: a large store takes some seconds.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// From the first answer to all nodes being up; afterwards the rest is told as it is.
const NODES_UP_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at what starts.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long programs may take to end. A job may ask for more, but `dev` is gone within 10 s.
const PROGRAMS_WITHIN: Duration = Duration::from_secs(5);
/// From the stop signal to the kill of the agents, then of the server.
const PART_WITHIN: Duration = Duration::from_secs(2);
/// For killing what is left.
const SWEEP_WITHIN: Duration = Duration::from_millis(900);

/// Runs a server and agents until a signal, or until one of them ends.
pub fn dev(context: &Context, screen: &mut Screen, matches: &ArgMatches) -> Result<Exit, Failure> {
    let folder = context.data()?.join(DEV_FOLDER);
    let unusable = |source: io::Error| {
        let what = context.language.error_folder_unusable(folder.display());
        Failure::new("E-FOLDER-UNUSABLE", Exit::Failed, what).because_of(&source)
    };
    fs::create_dir_all(&folder).map_err(unusable)?;
    let lock = Lock::take(&folder).map_err(unusable)?.map_err(|holder| {
        let language = context.language;
        let what = language.error_dev_running(&holder.url, holder.pid);
        Failure::new("E-DEV-RUNNING", Exit::Refused, what)
            .hint(language.hint_dev_running(holder.pid))
    })?;
    sweep::own_descendants().map_err(|source| context.not_set_up(&source))?;
    let count = matches.get_one::<u32>("nodes").copied().unwrap_or(NODES);
    // One thread, which is also the one that children are bound to.
    context.runtime(Threads::One)?.block_on(async {
        let mut signals = EndSignals::take_over().map_err(|source| context.not_set_up(&source))?;
        if matches.get_flag("reset") {
            reset(&folder).await.map_err(unusable)?;
        }
        let mut dev = Dev {
            context,
            folder: &folder,
            compat: matches.get_flag("compat"),
            server: None,
            agents: Vec::new(),
        };
        let ended = tokio::select! {
            failure = dev.live(screen, count, &lock) => Some(failure),
            () = signals.next() => None,
        };
        screen.tell(&context.language.dev_stopping());
        // A second signal means: at once.
        tokio::select! {
            () = dev.stop() => {}
            () = signals.next() => {}
        }
        drop(dev);
        let left = sweep::clear(SWEEP_WITHIN).await;
        finish(context, screen, ended, left)
    })
}

fn finish(
    context: &Context,
    screen: &mut Screen,
    ended: Option<Failure>,
    left: usize,
) -> Result<Exit, Failure> {
    if left > 0 {
        let what = context.language.error_dev_left(left);
        return Err(Failure::new("E-STOP-INCOMPLETE", Exit::Failed, what));
    }
    match ended {
        Some(failure) => Err(failure),
        None => {
            screen.tell(&context.language.dev_stopped());
            Ok(Exit::Ok)
        }
    }
}

/// Empties the folder. What an earlier `dev` that was killed left running ends first.
async fn reset(folder: &Path) -> io::Result<()> {
    stop_programs(folder).await;
    Lock::empty_around(folder)
}

/// Ends programs, keepers and agents of all nodes of the folder, all at once.
async fn stop_programs(folder: &Path) {
    let mut stops = JoinSet::new();
    for node in node_folders(folder) {
        stops.spawn(async move { stop_all(&node).await });
    }
    stops.join_all().await;
}

/// The data folders of the agents that there have been.
fn node_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("nodes")).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

struct Dev<'a> {
    context: &'a Context,
    folder: &'a Path,
    /// Whether clients of the older systems are served.
    compat: bool,
    server: Option<Child>,
    agents: Vec<Child>,
}

impl Dev<'_> {
    /// Starts everything and watches over it; ends only when something goes wrong.
    async fn live(&mut self, screen: &mut Screen, count: u32, lock: &Lock) -> Failure {
        match self.start(screen, count, lock).await {
            Ok(()) => self.watch().await,
            Err(failure) => failure,
        }
    }

    async fn start(&mut self, screen: &mut Screen, count: u32, lock: &Lock) -> Result<(), Failure> {
        let (language, context) = (self.context.language, self.context);
        tell_former_names(context, screen);
        screen.tell(&language.dev_starting(count));
        let login = login::login_token(context)?;
        let listen = context.settings.listen.to_string();
        let mut arguments = vec!["server", "--quiet", "--listen", &listen, "--data"];
        let data = self.folder.display().to_string();
        arguments.push(&data);
        let master = compat::master();
        if self.compat {
            arguments.extend(["--hpc-listen", &master]);
        }
        let variables = [(login::LOGIN_TOKEN, login.as_str())];
        let server = Child::start(context, "server", &arguments, &variables)?;
        self.server = Some(server);
        let (mut client, url) = self.server_ready().await?;
        lock.write(&url)
            .map_err(|source| context.not_set_up(&source))?;
        self.start_agents(count, &url)?;
        let up = self.nodes_up(&mut client, count).await;
        let mut lines = vec![
            language.dev_ready(format!("{url}/login?token={login}")),
            language.dev_ready_nodes(up, count, self.folder.display()),
            language.server_exposed_here(),
        ];
        if self.compat {
            compat::gather(self.folder, count).map_err(|source| context.not_set_up(&source))?;
            lines.push(compat::told(language, count));
        }
        lines.extend(
            context
                .data_to_export()
                .map(|data| language.data_to_export(data)),
        );
        lines.push(language.dev_next());
        screen.tell(&lines.join("\n"));
        Ok(())
    }

    /// Waits until the server that we started answers: a client of it, and its URL.
    async fn server_ready(&mut self) -> Result<(Client, String), Failure> {
        let context = self.context;
        let search = Search {
            data: Some(self.folder.to_owned()),
            ..Search::default()
        };
        let server = self.server.as_mut().expect("it was started just before");
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(url) = lock::url_of_server(self.folder, server.pid()) {
                let found = Client::find(&search, context.settings.timeout).await;
                if let Ok(mut client) = found
                    && client.fleet().await.is_ok()
                {
                    return Ok((client, url));
                }
            }
            if let Some(failure) = server.ended_within(LOOK_INTERVAL).await {
                return Err(failure);
            }
        }
        let span = format!("{} s", READY_WITHIN.as_secs());
        let what = context.language.error_dev_not_ready(span);
        Err(Failure::new("E-SERVER-TIMEOUT", Exit::Unreachable, what))
    }

    fn start_agents(&mut self, count: u32, url: &str) -> Result<(), Failure> {
        let (cpus, memory) = share(self.context, count)?;
        for number in 1..=count {
            let name = format!("n{number}");
            let data = self.folder.join("nodes").join(&name).display().to_string();
            let (cpus, memory) = (cpus.to_string(), memory.0.to_string());
            let mut arguments = vec![
                "agent", "--quiet", "--server", url, "--name", &name, "--data", &data, "--cpus",
                &cpus, "--memory", &memory,
            ];
            let listeners = compat::line_listeners(number);
            let hpc_listeners = compat::hpc_listeners(number);
            if self.compat {
                arguments.extend(["--line-listen", &listeners]);
                arguments.extend(hpc_listeners.iter().map(String::as_str));
            }
            self.agents
                .push(Child::start(self.context, &name, &arguments, &[])?);
        }
        Ok(())
    }

    /// How many of our nodes are up, once all are or the time is over.
    async fn nodes_up(&self, client: &mut Client, count: u32) -> u32 {
        let deadline = Instant::now() + NODES_UP_WITHIN;
        let mut up = 0;
        while up < count && Instant::now() < deadline {
            sleep(LOOK_INTERVAL).await;
            if let Ok(answer) = client.nodes().await {
                let nodes = answer
                    .nodes
                    .iter()
                    .filter(|node| node.phase == "up")
                    .count();
                up = u32::try_from(nodes).unwrap_or(u32::MAX);
            }
        }
        up
    }

    /// Waits until a part ends by itself.
    async fn watch(&mut self) -> Failure {
        loop {
            let parts = self.server.iter_mut().chain(&mut self.agents);
            for part in parts {
                if let Some(failure) = part.ended_within(Duration::ZERO).await {
                    return failure;
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends programs and keepers, agents, server, in this order, as far as they do in time.
    async fn stop(&mut self) {
        let _ = timeout(PROGRAMS_WITHIN, stop_programs(self.folder)).await;
        stop_parts(self.agents.iter_mut()).await;
        stop_parts(self.server.iter_mut()).await;
    }
}

/// Asks all of them to end and waits.
async fn stop_parts(parts: impl Iterator<Item = &mut Child>) {
    let parts: Vec<&mut Child> = parts.collect();
    for part in &parts {
        part.ask_to_end();
    }
    let deadline = Instant::now() + PART_WITHIN;
    for part in parts {
        let _ = timeout_at(deadline, part.ended()).await;
    }
}

/// What one of `count` agents lends: a core at least, so that every node can run a usual task.
pub fn share(context: &Context, count: u32) -> Result<(Cpus, Bytes), Failure> {
    let all = machine().map_err(|source| context.not_set_up(&source))?;
    let cpus = Cpus((all.cpus.0 / count).max(Cpus::whole(1).0));
    Ok((cpus, Bytes(all.memory.0 / u64::from(count))))
}

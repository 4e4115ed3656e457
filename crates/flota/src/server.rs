//! `flota server`.

use flota_client::{Exit, Failure, Screen};
use flota_host::{Context, EndSignals, LOGIN_TOKEN, Threads, folder_held, login_token};
use flota_server::{FolderFault, HpcSettings, ListenFault, Running, ServerFault};

pub(crate) fn command(context: &Context, screen: &mut Screen) -> Result<Exit, Failure> {
    let login = match context.environment.get(LOGIN_TOKEN) {
        Some(token) => token.to_owned(),
        None => login_token(context)?,
    };
    let settings = flota_server::Settings {
        listen: context.settings.listen,
        one_time_token: Some(login.clone()),
        kernels: flota_kernels::names()
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hpc: hpc(context)?,
        ..flota_server::Settings::new(context.data()?)
    };
    flota_host::tell_former_names(context, screen);
    let data = settings.data.clone();
    context.runtime(Threads::Several)?.block_on(async {
        let mut signals = EndSignals::take_over().map_err(|source| context.not_set_up(&source))?;
        flota_host::follow_parent(context);
        let announce = |running: &Running| {
            tell_ready(
                context,
                screen,
                &data.display().to_string(),
                running,
                &login,
            );
        };
        flota_server::run(settings, signals.next(), announce)
            .await
            .map_err(|fault| failure(context, &fault))
    })?;
    if !screen.is_quiet() {
        screen.tell(&context.language.server_stopped());
    }
    Ok(Exit::Ok)
}

/// What is served to clients of the older cluster, if anything is.
fn hpc(context: &Context) -> Result<Option<HpcSettings>, Failure> {
    let given = &context.settings.hpc;
    let Some(listen) = given.listen else {
        return Ok(None);
    };
    let usual = HpcSettings::new(listen, &context.data()?);
    Ok(Some(HpcSettings {
        jobs_folder: given.jobs_dir.clone().unwrap_or(usual.jobs_folder),
        job_file: given.job_file.clone().unwrap_or(usual.job_file),
        origins: given.origins.clone().unwrap_or(usual.origins),
        algorithms: given.algorithms.clone(),
        work_within: given.timeout.unwrap_or(usual.work_within),
        retries: given.retries.unwrap_or(usual.retries),
        listen,
        ping_interval: usual.ping_interval,
    }))
}

/// Where the data is, what is exposed, and what to do next.
fn tell_ready(context: &Context, screen: &mut Screen, data: &str, running: &Running, login: &str) {
    if screen.is_quiet() {
        return;
    }
    let language = context.language;
    let http = running.addresses.http;
    let frozen = running.restored.then(|| language.server_restored());
    let hpc = running.addresses.hpc;
    let hpc = hpc.map(|address| language.server_listens(format!("hpc http://{address}")));
    let lines = [
        language.server_ready(),
        language.server_data(data),
        language.server_listens(format!("http://{http}")),
        language.server_listens(format!("unix:{}", running.addresses.socket.display())),
        language.server_exposed_here(),
        language.server_token(format!("{data}/token")),
        language.server_login(format!("http://{http}/login?token={login}")),
    ];
    let next = language.server_next(format!("flota agent --server http://{http}"));
    let export = context.data_to_export();
    let export = export.map(|data| language.data_to_export(data));
    let more = hpc.into_iter().chain(frozen).chain(export).chain([next]);
    let lines: Vec<String> = lines.into_iter().chain(more).collect();
    screen.tell(&lines.join("\n"));
}

fn failure(context: &Context, fault: &ServerFault) -> Failure {
    let language = context.language;
    match fault {
        ServerFault::Folder(FolderFault::InUse { path, holder }) => {
            let holder = holder.as_ref().map(ToString::to_string).unwrap_or_default();
            folder_held(language, &path.display().to_string(), &holder)
        }
        ServerFault::Folder(folder) => {
            let what = language.error_folder_unusable(context.data_text());
            Failure::new("E-FOLDER-UNUSABLE", Exit::Failed, what).because_of(folder)
        }
        ServerFault::Listen(ListenFault::Taken { address, holder }) => {
            let what = language.error_port_in_use(address);
            let failure = Failure::new("E-PORT-IN-USE", Exit::Refused, what)
                .hint(language.hint_port_in_use());
            match holder {
                Some(holder) => failure.because(holder.to_string()),
                None => failure,
            }
        }
        ServerFault::Listen(listen @ ListenFault::NotLoopback(_)) => {
            let what = language.error_server_failed();
            Failure::new("E-ADDRESS-EXPOSED", Exit::Usage, what)
                .because_of(listen)
                .hint(language.hint_not_loopback())
        }
        ServerFault::Bug(_) => Failure::new(
            "E-PROGRAM-BUG",
            Exit::Bug,
            language.error_bug("flota server"),
        )
        .because_of(fault)
        .hint(language.hint_bug()),
        ServerFault::Open(open) => {
            flota_host::of_open(language, open).unwrap_or_else(|| failed(context, fault))
        }
        ServerFault::Load { path, source } => {
            flota_host::of_load(language, path, source).unwrap_or_else(|| failed(context, fault))
        }
        ServerFault::Snapshot { path, .. } => flota_host::damaged(language, path).because_of(fault),
        ServerFault::Commit(_) => failed(context, fault).hint(language.hint_commit()),
        ServerFault::Listen(_)
        | ServerFault::Link(_)
        | ServerFault::Random(_)
        | ServerFault::System { .. } => failed(context, fault),
    }
}

fn failed(context: &Context, fault: &ServerFault) -> Failure {
    let what = context.language.error_server_failed();
    Failure::new("E-SERVER-FAILED", Exit::Failed, what).because_of(fault)
}

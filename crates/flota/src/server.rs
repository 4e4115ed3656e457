//! `flota server`.

use flota_client::{Exit, Failure, Screen};
use flota_host::{Context, EndSignals, LOGIN_TOKEN, Threads, folder_held, login_token};
use flota_server::{FolderFault, ListenFault, Running, ServerFault};

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
        ..flota_server::Settings::new(context.data()?)
    };
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

/// Where the data is, what is exposed, and what to do next.
fn tell_ready(context: &Context, screen: &mut Screen, data: &str, running: &Running, login: &str) {
    if screen.is_quiet() {
        return;
    }
    let language = context.language;
    let http = running.addresses.http;
    let frozen = running.restored.then(|| language.server_restored());
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
    let more = frozen.into_iter().chain(export).chain([next]);
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

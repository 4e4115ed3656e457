//! The port, and the server that answers.

use std::{io, net::TcpListener, path::Path};

use flota_client::{Client, ClientFault, DEV_FOLDER, Failure};

use super::Check;
use crate::{context::Context, dev::url_of_server};

const OURS: &str = env!("CARGO_PKG_VERSION");

/// Whether a server could listen where it is set to.
pub(super) fn port(context: &Context, data: &Path) -> Check {
    let (language, address) = (context.language, context.settings.listen);
    if !address.ip().is_loopback() {
        let found = language.doctor_port_exposed(address);
        return Check::fail("port", found, language.hint_not_loopback());
    }
    let Err(why) = TcpListener::bind(address) else {
        return Check::ok("port", language.doctor_port_free(address));
    };
    let hint = language.hint_port_in_use();
    if why.kind() != io::ErrorKind::AddrInUse {
        return Check::fail("port", language.doctor_port_bad(address, why), hint);
    }
    let Some(holder) = flota_server::holder_of_port(address) else {
        let holder = language.doctor_port_taken_by_unknown();
        return Check::fail("port", language.doctor_port_taken(address, holder), hint);
    };
    let folders = [data.to_owned(), data.join(DEV_FOLDER)];
    if folders
        .iter()
        .any(|folder| url_of_server(folder, holder.pid).is_some())
    {
        return Check::ok("port", language.doctor_port_ours(address, holder));
    }
    Check::fail("port", language.doctor_port_taken(address, holder), hint)
}

/// Whether a server answers us, and which one.
pub(super) async fn checks(context: &Context) -> Vec<Check> {
    let language = context.language;
    match ask(context).await {
        Ok(answer) => {
            let found = language.doctor_server(&answer.endpoint, answer.up, answer.count);
            let hint = language.doctor_server_frozen_hint();
            let is_other = answer.version != OURS;
            let versions = language.doctor_version(OURS, &answer.version);
            vec![
                Check::warn_if(answer.is_frozen, "server", found, hint),
                Check::warn_if(
                    is_other,
                    "version",
                    versions,
                    language.doctor_version_hint(),
                ),
            ]
        }
        Err(fault) => vec![
            unanswered(context, &fault),
            Check::ok("version", language.doctor_version_alone(OURS)),
        ],
    }
}

/// What a server tells of itself.
struct Answer {
    endpoint: String,
    version: String,
    is_frozen: bool,
    up: usize,
    count: usize,
}

async fn ask(context: &Context) -> Result<Answer, ClientFault> {
    let mut client = Client::find(&context.search(), context.settings.timeout).await?;
    let fleet = client.fleet().await?;
    let nodes = client.nodes().await?.nodes;
    Ok(Answer {
        endpoint: client.endpoint().to_string(),
        version: fleet.version,
        is_frozen: fleet.store_behind,
        up: nodes.iter().filter(|node| node.phase == "up").count(),
        count: nodes.len(),
    })
}

/// None runs here yet, which is no fault; or the one that was named does not take us.
fn unanswered(context: &Context, fault: &ClientFault) -> Check {
    let language = context.language;
    let failure = Failure::of_client(language, fault);
    let is_absent = matches!(fault, ClientFault::Unreachable { .. });
    if is_absent && context.settings.server.is_none() {
        let found = language.doctor_server_none(failure.what());
        return Check::warn("server", found, language.doctor_server_none_hint());
    }
    let found = format!("{} ({})", failure.what(), failure.code());
    let hint = failure.suggestion().unwrap_or_default().to_owned();
    Check::fail("server", found, hint)
}

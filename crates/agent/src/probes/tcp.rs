//! Whether somebody listens.

use flota_model::service::ProbeResult;
use tokio::net::TcpStream;

use super::{Address, Finding};

pub(super) async fn ask(address: &Address) -> Finding {
    match connect(address).await {
        Ok(_) => Finding::new(ProbeResult::Connected, ""),
        Err(finding) => finding,
    }
}

pub(super) async fn connect(address: &Address) -> Result<TcpStream, Finding> {
    let resolved = address.resolve().await?;
    TcpStream::connect(resolved)
        .await
        .map_err(|error| Finding::failed(format!("no connection to {resolved}: {error}")))
}

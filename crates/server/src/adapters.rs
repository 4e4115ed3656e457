//! Listeners for clients of older systems: each decodes what they say ([`flota_wire`]), asks the desk
//! like everybody else, and encodes what comes of it. All of them are off unless they are asked for.

pub(crate) mod hpc;
mod http;

use std::net::SocketAddr;

use self::{
    hpc::{Hpc, HpcSettings},
    http::Bound,
};
use crate::{
    edge::Desk,
    listener::ListenFault,
    owned::{self, Owned},
    settings::Settings,
    stop::Stop,
};

/// Addresses that are ours, though nobody can connect yet.
#[derive(Default)]
pub(crate) struct Reserved {
    hpc: Option<(Bound, HpcSettings)>,
}

/// Takes the addresses of all adapters that are on.
pub(crate) fn reserve(settings: &Settings) -> Result<Reserved, ListenFault> {
    let hpc = settings.hpc.clone();
    let hpc = hpc.map(|hpc| http::bind(hpc.listen).map(|bound| (bound, hpc)));
    Ok(Reserved {
        hpc: hpc.transpose()?,
    })
}

impl Reserved {
    /// Where the master of the older cluster is.
    pub(crate) fn hpc(&self) -> Option<SocketAddr> {
        self.hpc.as_ref().map(|(bound, _)| bound.address())
    }

    /// Serves all of them until `stop`.
    #[expect(
        clippy::significant_drop_tightening,
        reason = "the adapter is moved to the tasks that drop it"
    )]
    pub(crate) fn serve(
        self,
        desk: &Desk,
        server: SocketAddr,
        stop: &Stop,
    ) -> Result<Vec<Owned<()>>, ListenFault> {
        let limits = &desk.settings().limits;
        let mut served = Vec::new();
        if let Some((bound, settings)) = self.hpc {
            let guard = http::Guard::new(bound.address(), settings.origins.clone());
            let listening = bound.listen()?;
            let hpc = Hpc::new(desk.clone(), settings, server);
            let router = guard.around(hpc.clone().router());
            served.push(owned::spawn(hpc.tend()));
            served.push(owned::spawn(listening.serve(
                router,
                limits.clone(),
                stop.clone(),
            )));
        }
        Ok(served)
    }
}

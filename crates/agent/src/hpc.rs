//! Listeners for clients of an older cluster ([`flota_wire::hpc`]): this node as one of its slaves, and
//! as one of its monitors of memory.

mod http;
mod memory;
mod slave;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use self::{memory::Memory, slave::Slave};
use crate::{activity::Activity, local::Counter};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HpcListener {
    /// Does one picture at a time for whoever asks.
    Slave,
    /// Tells what the machine does.
    Memory,
}

impl HpcListener {
    /// Its word in addresses, and in what the node says of itself.
    pub fn word(self) -> &'static str {
        match self {
            Self::Slave => "hpc.slave",
            Self::Memory => "hpc.memory",
        }
    }
}

/// An address that was bound.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listener: HpcListener,
    socket: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Binds an address.
    pub(crate) async fn new(listener: HpcListener, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self {
            listener,
            socket,
            address,
        })
    }
}

/// What the listeners know of the node.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    /// Its name.
    pub(crate) name: String,
    pub(crate) counter: Counter,
    pub(crate) activity: watch::Receiver<Activity>,
}

/// Serves all of them until it is dropped.
pub(crate) async fn serve(listeners: Vec<Bound>, here: Here) {
    let mut tasks = JoinSet::new();
    for Bound {
        listener,
        socket,
        address,
    } in listeners
    {
        match listener {
            HpcListener::Slave => {
                let slave = Slave::new(here.clone());
                tasks.spawn(slave.clone().follow());
                tasks.spawn(http::serve(socket, address, move |request| {
                    let slave = slave.clone();
                    async move { slave.answer(request).await }
                }));
            }
            HpcListener::Memory => {
                let memory = Memory::new(here.clone());
                tasks.spawn(memory.clone().follow());
                tasks.spawn(http::serve(socket, address, move |request| {
                    let answer = memory.answer(&request);
                    async move { answer }
                }));
            }
        }
    }
    tasks.join_all().await;
}

//! Connections between agents and servers, with everything that can happen to frames.
//!
//! A connection keeps its order like TCP unless chance says otherwise; links over a broker do not,
//! so the engines must notice a gap, a repeat or a stray frame by themselves.

use std::collections::{BTreeMap, VecDeque};

use flota_model::{
    frame::{Down, Up},
    ids::ConnectionId,
};

use crate::time::Time;

/// Frames of earlier moments that may come again.
const STRAYS_MAX: usize = 24;

/// A connection, numbered through the whole simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// Which way a parcel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Up,
    Down,
}

/// What travels.
#[derive(Debug, Clone)]
pub(crate) enum Parcel {
    Up(Up),
    Down(Down),
    /// The sender closed its end, or is gone.
    Closed,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) machine: usize,
    /// Which start of the agent.
    pub(crate) life: u32,
    pub(crate) at_agent: ConnectionId,
    pub(crate) agent_open: bool,
    /// Which start of the server.
    pub(crate) server: usize,
    pub(crate) at_server: ConnectionId,
    pub(crate) server_open: bool,
    /// The server has decided to close it, and will once that is durable.
    pub(crate) doomed: bool,
    /// When the last parcel of each way arrives, so that the next one comes after it.
    last: [Time; 2],
    /// Parcels that a cut holds back.
    pub(crate) held: [Vec<Parcel>; 2],
}

/// All connections and the cuts between machines.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) links: BTreeMap<LinkId, Link>,
    /// Counts the reasons for which a machine's way is cut.
    cuts: BTreeMap<(usize, Way), u32>,
    strays_up: VecDeque<(usize, Up)>,
    strays_down: VecDeque<(usize, Down)>,
    next: u64,
}

impl Way {
    fn slot(self) -> usize {
        match self {
            Self::Up => 0,
            Self::Down => 1,
        }
    }
}

impl Link {
    pub(crate) fn new(agent: (usize, u32, ConnectionId), server: (usize, ConnectionId)) -> Self {
        Self {
            machine: agent.0,
            life: agent.1,
            at_agent: agent.2,
            agent_open: true,
            server: server.0,
            at_server: server.1,
            server_open: true,
            doomed: false,
            last: [Time::default(); 2],
            held: [Vec::new(), Vec::new()],
        }
    }

    /// When a parcel that takes until `earliest` arrives, behind all others of its way.
    pub(crate) fn arrival(&mut self, way: Way, earliest: Time) -> Time {
        let last = &mut self.last[way.slot()];
        *last = earliest.max(*last + 1);
        *last
    }

    pub(crate) fn held(&mut self, way: Way) -> &mut Vec<Parcel> {
        &mut self.held[way.slot()]
    }
}

impl Network {
    pub(crate) fn open(&mut self, link: Link) -> LinkId {
        self.next += 1;
        let id = LinkId(self.next);
        self.links.insert(id, link);
        id
    }

    pub(crate) fn is_cut(&self, machine: usize, way: Way) -> bool {
        self.cuts
            .get(&(machine, way))
            .is_some_and(|count| *count > 0)
    }

    pub(crate) fn cut(&mut self, machine: usize, way: Way) {
        *self.cuts.entry((machine, way)).or_default() += 1;
    }

    /// Ends one cut. Returns whether the way is free now.
    pub(crate) fn mend(&mut self, machine: usize, way: Way) -> bool {
        let count = self.cuts.entry((machine, way)).or_default();
        *count = count.saturating_sub(1);
        *count == 0
    }

    /// Remembers a frame, so that it can come again, later and elsewhere.
    pub(crate) fn remember(&mut self, machine: usize, parcel: &Parcel) {
        match parcel {
            Parcel::Up(frame) => push(&mut self.strays_up, (machine, frame.clone())),
            Parcel::Down(frame) => push(&mut self.strays_down, (machine, frame.clone())),
            Parcel::Closed => {}
        }
    }

    /// An old frame of `machine` and `way`, chosen by a random number.
    pub(crate) fn stray(&self, machine: usize, way: Way, dice: u64) -> Option<Parcel> {
        match way {
            Way::Up => chosen(&self.strays_up, machine, dice).map(Parcel::Up),
            Way::Down => chosen(&self.strays_down, machine, dice).map(Parcel::Down),
        }
    }

    /// Connections of which both ends are closed are of no interest any more.
    pub(crate) fn forget_if_closed(&mut self, id: LinkId) {
        if self
            .links
            .get(&id)
            .is_some_and(|link| !link.agent_open && !link.server_open)
        {
            self.links.remove(&id);
        }
    }

    /// Connections of a start of an agent.
    pub(crate) fn of_agent(&self, machine: usize) -> Vec<LinkId> {
        self.having(|link| link.machine == machine && link.agent_open)
    }

    /// Connections of a start of the server.
    pub(crate) fn of_server(&self, server: usize) -> Vec<LinkId> {
        self.having(|link| link.server == server && link.server_open)
    }

    fn having(&self, wanted: impl Fn(&Link) -> bool) -> Vec<LinkId> {
        self.links
            .iter()
            .filter(|(_, link)| wanted(link))
            .map(|(id, _)| *id)
            .collect()
    }
}

fn push<T>(strays: &mut VecDeque<T>, stray: T) {
    if strays.len() == STRAYS_MAX {
        strays.pop_front();
    }
    strays.push_back(stray);
}

fn chosen<T: Clone>(strays: &VecDeque<(usize, T)>, machine: usize, dice: u64) -> Option<T> {
    let own: Vec<&T> = strays
        .iter()
        .filter(|(owner, _)| *owner == machine)
        .map(|(_, frame)| frame)
        .collect();
    let index = usize::try_from(dice).unwrap_or(0).checked_rem(own.len())?;
    Some(own[index].clone())
}

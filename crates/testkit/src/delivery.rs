//! How parcels travel: delays, losses, repeats, strays, cuts and resets.

use flota_engine::{fleet::api as fleet, node::api as node};

use crate::{
    network::{LinkId, Parcel, Way},
    tally::Trouble,
    world::{Happening, World},
};

impl World {
    /// Sends a parcel from one end of a connection.
    pub(crate) fn send(&mut self, link: LinkId, way: Way, parcel: Parcel) {
        let Some(open) = self.network.links.get(&link) else {
            return;
        };
        let machine = open.machine;
        let closing = matches!(parcel, Parcel::Closed);
        let lost = !closing && self.mishap_of(Trouble::FrameLost, self.plan.frame_lost);
        let repeated = !closing && self.mishap_of(Trouble::FrameRepeated, self.plan.frame_repeated);
        let overtakes =
            !closing && self.mishap_of(Trouble::FrameOvertook, self.plan.frame_overtakes);
        let delay = self.delay();
        self.network.remember(machine, &parcel);
        if lost {
            return;
        }
        if repeated {
            let later = delay + self.random.within(1..=200_000);
            self.ship(link, way, parcel.clone(), later);
        }
        if overtakes {
            let at = self.now + delay;
            let parcel = Box::new(parcel);
            return self
                .agenda
                .add(at, Happening::Arrives { link, way, parcel });
        }
        self.ship(link, way, parcel, delay);
        if self.mishap(self.plan.stray) {
            let dice = self.random.next();
            if let Some(stray) = self.network.stray(machine, way, dice) {
                let later = self.random.within(1..=50_000);
                self.ship(link, way, stray, later);
            }
        }
    }

    fn delay(&mut self) -> u64 {
        match self.random.below(100) {
            0..2 if !self.healed => self.random.within(100_000..=2_000_000),
            _ => self.random.within(100..=3_000),
        }
    }

    fn ship(&mut self, link: LinkId, way: Way, parcel: Parcel, delay: u64) {
        let earliest = self.now + delay;
        if let Some(open) = self.network.links.get_mut(&link) {
            let at = open.arrival(way, earliest);
            self.agenda.add(
                at,
                Happening::Arrives {
                    link,
                    way,
                    parcel: Box::new(parcel),
                },
            );
        }
    }

    /// A parcel arrives, or waits behind a cut.
    pub(crate) fn arrives(&mut self, link: LinkId, way: Way, parcel: Parcel) {
        let Some(machine) = self.network.links.get(&link).map(|open| open.machine) else {
            return;
        };
        if self.network.is_cut(machine, way) {
            if let Some(open) = self.network.links.get_mut(&link) {
                open.held(way).push(parcel);
            }
            return;
        }
        match way {
            Way::Up => self.arrives_up(link, parcel),
            Way::Down => self.arrives_down(link, parcel),
        }
    }

    fn arrives_up(&mut self, link: LinkId, parcel: Parcel) {
        let Some(open) = self.network.links.get_mut(&link) else {
            return;
        };
        let (server, connection) = (open.server, open.at_server);
        if !open.server_open {
            // What is sent to a closed end is answered by a reset.
            if open.agent_open {
                self.send(link, Way::Down, Parcel::Closed);
            }
            return;
        }
        match parcel {
            Parcel::Up(frame) => {
                let machine = open.machine;
                self.notes_old_frame(machine, &frame);
                self.tell_server(server, fleet::Event::Frame { connection, frame });
            }
            Parcel::Down(_) => {}
            Parcel::Closed => {
                open.server_open = false;
                let machine = open.machine;
                self.removes_copy_of(machine);
                if let Some(life) = self.server.lives.get_mut(server) {
                    life.links.remove(&connection);
                }
                self.tell_server(server, fleet::Event::Disconnected { connection });
                self.network.forget_if_closed(link);
            }
        }
    }

    fn arrives_down(&mut self, link: LinkId, parcel: Parcel) {
        let Some(open) = self.network.links.get_mut(&link) else {
            return;
        };
        let (machine, life, connection) = (open.machine, open.life, open.at_agent);
        if !open.agent_open {
            if open.server_open {
                self.send(link, Way::Up, Parcel::Closed);
            }
            return;
        }
        match parcel {
            Parcel::Down(frame) => {
                self.tell_agent(machine, life, node::Event::Frame { connection, frame });
            }
            Parcel::Up(_) => {}
            Parcel::Closed => {
                open.agent_open = false;
                self.network.forget_if_closed(link);
                self.agent_lost_link(machine, life, link);
                self.tell_agent(machine, life, node::Event::Disconnected { connection });
            }
        }
    }

    /// Both ends of a connection learn that it is gone.
    pub(crate) fn reset(&mut self, link: LinkId) {
        self.ship(link, Way::Up, Parcel::Closed, 1);
        self.ship(link, Way::Down, Parcel::Closed, 1);
    }

    /// A cut ends: what it held goes on, in order.
    pub(crate) fn mend(&mut self, machine: usize, way: Way) {
        if !self.network.mend(machine, way) {
            return;
        }
        let held: Vec<(LinkId, Parcel)> = self
            .network
            .links
            .iter_mut()
            .filter(|(_, link)| link.machine == machine)
            .flat_map(|(id, link)| {
                std::mem::take(link.held(way))
                    .into_iter()
                    .map(|parcel| (*id, parcel))
            })
            .collect();
        for (link, parcel) in held {
            let delay = self.delay();
            self.ship(link, way, parcel, delay);
        }
    }
}

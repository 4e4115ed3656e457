//! The agent's connection to the server.

use flota_engine::node::api::Event;
use flota_model::ids::ConnectionId;

use crate::{
    network::{LinkId, Parcel, Way},
    world::{AtAgent, Happening, World},
};

impl World {
    pub(crate) fn agent_link(
        &mut self,
        machine: usize,
        life: u32,
        wanted: ConnectionId,
    ) -> Option<LinkId> {
        let (connection, link) = self.machines[machine].living(life)?.link?;
        (connection == wanted).then_some(link)
    }

    pub(crate) fn agent_closes(&mut self, machine: usize, life: u32, link: LinkId) {
        if let Some(open) = self.network.links.get_mut(&link) {
            open.agent_open = false;
        }
        self.send(link, Way::Up, Parcel::Closed);
        self.network.forget_if_closed(link);
        let told = self.random.chance(500);
        let connection = self.machines[machine]
            .living(life)
            .and_then(|agent| agent.link)
            .map(|link| link.0);
        if let (true, Some(connection)) = (told, connection) {
            self.tell_agent(machine, life, Event::Disconnected { connection });
        }
        self.agent_lost_link(machine, life, link);
    }

    /// The agent dials again some time after it lost its connection.
    pub(crate) fn agent_lost_link(&mut self, machine: usize, life: u32, link: LinkId) {
        if let Some(agent) = self.machines[machine].living(life)
            && agent.link.is_some_and(|(_, current)| current == link)
        {
            agent.link = None;
            self.removes_copy_of(machine);
            self.agent_will_dial(machine, life);
        }
    }

    pub(crate) fn agent_will_dial(&mut self, machine: usize, life: u32) {
        let wait = self.random.within(1_000..=1_500_000);
        if let Some(agent) = self.machines[machine].living(life)
            && !agent.dialing
        {
            agent.dialing = true;
            self.plan_in(wait, Happening::Agent(machine, life, AtAgent::Dials));
        }
    }

    pub(crate) fn agent_dials(&mut self, machine: usize, life: u32) {
        let cut = self.network.is_cut(machine, Way::Up) || self.network.is_cut(machine, Way::Down);
        let beside = self.machines[machine].beside;
        if beside.is_some_and(|original| !self.is_linked(original)) {
            if let Some(agent) = self.machines[machine].living(life) {
                agent.dialing = false;
            }
            return self.agent_will_dial(machine, life);
        }
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        agent.dialing = false;
        if agent.link.is_some() {
            return;
        }
        agent.next_connection += 1;
        let connection = ConnectionId(agent.next_connection);
        let link = if cut {
            None
        } else {
            self.accept((machine, life, connection))
        };
        let Some(link) = link else {
            return self.agent_will_dial(machine, life);
        };
        if let Some(agent) = self.machines[machine].living(life) {
            agent.link = Some((connection, link));
        }
        self.tell_agent(machine, life, Event::Connected { connection });
    }
}

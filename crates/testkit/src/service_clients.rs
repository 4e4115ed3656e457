//! Clients of services: each applies, scales, updates, stops and removes its own, one order after the
//! other, and repeats what was not answered.

use std::collections::VecDeque;

use flota_model::{
    command::{Command, Refusal, Reply},
    revision::{Applied, Expected},
};

use crate::{
    random::Random,
    service_specs::{REPLICAS, VERSIONS, name_of},
    truth::Invariant,
    workload::{About, Errand},
    world::{Happening, World},
};

/// What is refused is tried again so often, and then dropped.
const TRIES: u32 = 40;

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Apply {
        version: usize,
        replicas: u32,
    },
    Scale(u32),
    Restart,
    /// To the spec before the current one.
    RollBack,
    Stop,
    Start,
    Remove,
}

/// What was acknowledged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wish {
    #[default]
    Absent,
    Running {
        replicas: u32,
    },
    Stopped {
        replicas: u32,
    },
}

/// Where the end of a simulation is, for one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ending {
    /// Not begun.
    #[default]
    Open,
    /// The last order is given.
    Asked {
        version: usize,
        replicas: u32,
    },
    /// It became what was asked for, and is being stopped and removed.
    Settled,
    Gone,
}

/// Somebody who looks after one service.
#[derive(Debug, Default)]
pub(crate) struct ServiceClient {
    /// Orders that are still to be given.
    plan: VecDeque<Order>,
    /// The one that is not answered.
    pub(crate) order: Option<Order>,
    tries: u32,
    /// Counts them, and their answers.
    pub(crate) orders: u64,
    pub(crate) wish: Wish,
    pub(crate) ending: Ending,
    /// How often the last order was given again, because an update from before had failed it.
    pub(crate) asked_again: u32,
    /// The store was put back since the wish was acknowledged.
    pub(crate) is_in_doubt: bool,
}

impl ServiceClient {
    pub(crate) fn has_plans(&self) -> bool {
        !self.plan.is_empty()
    }
}

impl World {
    pub(crate) fn plan_service_clients(&mut self) {
        for service in 0..self.plan.taste.services {
            let count = self.random.within(4..=14);
            let mut plan = VecDeque::from([any_apply(&mut self.random)]);
            plan.extend((0..count).map(|_| any_order(&mut self.random)));
            for number in 0..plan.len() as u64 {
                let span = self.plan.heals_at * 3 / 4;
                let at = span * number / plan.len() as u64 + self.random.within(10_000..=3_000_000);
                self.plan_in(at, Happening::Client(Errand::Serve(service)));
            }
            self.clients.services.push(ServiceClient {
                plan,
                ..ServiceClient::default()
            });
        }
    }

    /// The client gives its next order, unless the last one is not answered yet.
    pub(crate) fn serve(&mut self, service: usize) {
        let client = &mut self.clients.services[service];
        if client.order.is_some() {
            if !client.plan.is_empty() {
                let wait = self.random.within(100_000..=1_000_000);
                self.plan_in(wait, Happening::Client(Errand::Serve(service)));
            }
            return;
        }
        if let Some(order) = client.plan.pop_front() {
            self.order(service, order);
        }
    }

    pub(crate) fn order(&mut self, service: usize, order: Order) {
        let client = &mut self.clients.services[service];
        client.order = Some(order);
        client.tries = 0;
        client.orders += 1;
        self.ask(About::Serve(service, order));
    }

    pub(crate) fn service_command(&self, service: usize, order: Order) -> Command {
        let name = name_of(service);
        match order {
            Order::Apply { version, replicas } => Command::ApplyService {
                spec: self.specs.service(service, version, replicas),
                expected: Expected::Anything,
                at_a_time: None,
            },
            Order::Scale(replicas) => Command::ScaleService { name, replicas },
            Order::Restart => Command::RestartService {
                name,
                at_a_time: Some(2),
            },
            Order::RollBack => Command::RollBackService {
                name,
                to: None,
                at_a_time: None,
            },
            Order::Stop => Command::StopService { name },
            Order::Start => Command::StartService { name },
            Order::Remove => Command::RemoveService { name },
        }
    }

    /// Whether somebody may be starting a service now.
    pub(crate) fn wants_start(&self, name: &str) -> bool {
        let clients = self.clients.services.iter().enumerate();
        clients
            .filter(|(service, _)| name_of(*service) == name)
            .any(|(_, client)| matches!(client.order, Some(Order::Apply { .. } | Order::Start)))
    }

    /// An order is answered.
    pub(crate) fn served(&mut self, service: usize, order: Order, reply: Result<Reply, Refusal>) {
        let wait = self.random.within(100_000..=800_000);
        let client = &mut self.clients.services[service];
        client.orders += 1;
        match reply {
            Ok(Reply::Applied { applied, .. }) => {
                let (before, restores) = (client.wish, client.is_in_doubt);
                acknowledged(client, order);
                if applied == Applied::Created && before != Wish::Absent && !restores {
                    let detail = format!("service {service} was {before:?}, and is new");
                    self.fail(Invariant::WishKept, detail);
                }
            }
            Ok(_) => acknowledged(client, order),
            Err(refusal) => {
                client.tries += 1;
                let hopeless = match refusal {
                    Refusal::ServiceNotFound(_) => {
                        client.wish = Wish::Absent;
                        true
                    }
                    Refusal::ServiceStopped(_) | Refusal::RevisionNotFound { .. } => true,
                    Refusal::ServiceRunning(_) => order == Order::Start && client.tries > 8,
                    Refusal::JobNotFound(_)
                    | Refusal::JobFinished(_)
                    | Refusal::DeadlinePassed
                    | Refusal::JobCancelling(_)
                    | Refusal::JobChanged(_)
                    | Refusal::KeyReused { .. }
                    | Refusal::TooManyJobs { .. }
                    | Refusal::TooManyTasks { .. }
                    | Refusal::TooManyRows { .. }
                    | Refusal::NoteNotFound { .. }
                    | Refusal::NoteChanged { .. }
                    | Refusal::TooManyNotes { .. }
                    | Refusal::NodeUnknown(_)
                    | Refusal::StoreBehind
                    | Refusal::NothingToRecover
                    | Refusal::ServiceKind
                    | Refusal::ServiceCycle(_)
                    | Refusal::ServiceChanged { .. }
                    | Refusal::TooManyReplicas { .. } => false,
                };
                if hopeless || client.tries > TRIES {
                    client.order = None;
                    return;
                }
                let is_running = matches!(refusal, Refusal::ServiceRunning(_));
                let next = if order == Order::Remove && is_running && client.tries.is_multiple_of(6)
                {
                    // A boot has started it again.
                    client.plan.push_front(Order::Remove);
                    Order::Stop
                } else {
                    order
                };
                self.serve_again(service, next, wait);
            }
        }
    }

    pub(crate) fn serve_again(&mut self, service: usize, order: Order, wait: u64) {
        let client = &mut self.clients.services[service];
        client.order = Some(order);
        self.clients.busy_until = self.clients.busy_until.max(self.now + wait + 1);
        self.plan_in(wait, Happening::Client(Errand::ServeAgain(service)));
    }

    /// The same once more.
    pub(crate) fn serve_repeats(&mut self, service: usize) {
        if let Some(order) = self.clients.services[service].order {
            self.ask(About::Serve(service, order));
        }
    }
}

fn acknowledged(client: &mut ServiceClient, order: Order) {
    client.order = None;
    let replicas = match client.wish {
        Wish::Absent => 1,
        Wish::Running { replicas } | Wish::Stopped { replicas } => replicas,
    };
    client.wish = match (order, client.wish) {
        (Order::Apply { replicas, .. }, _) => {
            client.is_in_doubt = false;
            Wish::Running { replicas }
        }
        (Order::Scale(replicas), Wish::Stopped { .. }) => Wish::Stopped { replicas },
        (Order::Scale(replicas), _) => Wish::Running { replicas },
        (Order::Restart | Order::RollBack | Order::Start, _) => Wish::Running { replicas },
        (Order::Stop, _) => Wish::Stopped { replicas },
        (Order::Remove, _) => Wish::Absent,
    };
}

fn any_apply(random: &mut Random) -> Order {
    let version = match random.below(10) {
        0..8 => random.index(VERSIONS - 1),
        _ => VERSIONS - 1,
    };
    let replicas = u32::try_from(random.within(1..=u64::from(REPLICAS))).unwrap_or(1);
    Order::Apply { version, replicas }
}

fn any_order(random: &mut Random) -> Order {
    match random.below(20) {
        0..9 => any_apply(random),
        9..11 => Order::Scale(u32::try_from(random.below(u64::from(REPLICAS) + 1)).unwrap_or(1)),
        11..13 => Order::Restart,
        13 => Order::RollBack,
        14..17 => Order::Stop,
        17..19 => Order::Start,
        _ => Order::Remove,
    }
}

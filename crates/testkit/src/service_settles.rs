//! The end of a simulation for services: each becomes what is applied last, is stopped and removed.

use flota_model::{
    ids::TaskIndex,
    service::{
        Condition, Placement, ReplicaState, ReplicaView, RestartPolicy, Service, ServiceDetail,
        ServicePhase,
    },
    state::JobPhase,
};

use crate::{
    service_clients::{Ending, Order, Wish},
    service_specs::{Breed, VERSIONS, Version, name_of},
    tally::Trouble,
    truth::Invariant,
    world::World,
};

/// As often a client applies again what an update of the time of troubles has undone.
const ASKS: u32 = 3;

impl World {
    pub(crate) fn services_are_over(&self) -> bool {
        let clients = self.clients.services.iter();
        clients
            .map(|client| client.ending)
            .all(|ending| ending == Ending::Gone)
            && self.server.store.services.is_empty()
    }

    pub(crate) fn unsettled_services(&self) -> Vec<String> {
        let clients = self.clients.services.iter().enumerate();
        clients
            .filter(|(_, client)| client.ending != Ending::Gone)
            .map(|(service, client)| {
                let record = self.truth.services.records.get(&name_of(service));
                let known = record.map(|record| {
                    let update = record.update.as_ref();
                    let update = update.map(|it| (&it.left, it.goes_back, it.halted));
                    (record.job, record.replicas, record.stopped, update)
                });
                format!("{service}: {client:?}, {known:?}")
            })
            .collect()
    }

    /// A client looks at its service.
    pub(crate) fn service_seen(&mut self, service: usize, detail: Option<&ServiceDetail>) {
        self.wish_is_kept(service, detail);
        let client = &self.clients.services[service];
        if !self.healed || client.order.is_some() {
            return;
        }
        if client.has_plans() {
            return self.serve(service);
        }
        match (client.ending, detail) {
            (Ending::Open, _) | (Ending::Asked { .. }, None) => self.ask_for_the_last(service),
            (Ending::Asked { version, replicas }, Some(detail)) => {
                if self.is_settled(detail, version, replicas) {
                    self.count(Trouble::Settled);
                    self.clients.services[service].ending = Ending::Settled;
                } else if self.has_failed(detail, version) {
                    self.asks_again(service, Order::Apply { version, replicas });
                }
            }
            (Ending::Settled, Some(detail)) => self.ends(service, detail),
            (Ending::Settled, None) => self.clients.services[service].ending = Ending::Gone,
            (Ending::Gone, _) => {}
        }
    }

    /// What was acknowledged is there, as long as no older store took its place.
    fn wish_is_kept(&mut self, service: usize, detail: Option<&ServiceDetail>) {
        let client = &self.clients.services[service];
        if client.order.is_some() || client.is_in_doubt {
            return;
        }
        let stopped = detail.map(|detail| {
            matches!(
                detail.service.phase,
                ServicePhase::Stopping | ServicePhase::Stopped
            )
        });
        let kept = match (client.wish, detail, stopped) {
            (Wish::Absent, None, _) => true,
            (Wish::Running { replicas }, Some(detail), Some(stopped)) => {
                !stopped && detail.service.replicas == replicas
            }
            // A boot may have started it.
            (Wish::Stopped { replicas }, Some(detail), Some(_)) => {
                detail.service.replicas == replicas
            }
            (Wish::Absent | Wish::Running { .. } | Wish::Stopped { .. }, _, _) => false,
        };
        if !kept {
            let detail = format!("{service}: {client:?}, and it is {detail:?}");
            self.fail(Invariant::WishKept, detail);
        }
    }

    /// Once the other work is over, so that an update is not late for want of room.
    fn ask_for_the_last(&mut self, service: usize) {
        let mut jobs = self.server.store.jobs.values();
        let busy =
            jobs.any(|job| job.spec.spec.service.is_none() && job.phase != JobPhase::Finished);
        if busy {
            return;
        }
        let bad = self.random.chance(150);
        let version = if bad {
            VERSIONS - 1
        } else {
            self.random.index(VERSIONS - 1)
        };
        let replicas = u32::try_from(self.random.within(1..=4)).unwrap_or(1);
        self.clients.services[service].ending = Ending::Asked { version, replicas };
        self.order(service, Order::Apply { version, replicas });
    }

    /// Whether an update failed that had begun while there were troubles.
    fn has_failed(&self, detail: &ServiceDetail, version: usize) -> bool {
        let now = self.specs.version(detail.spec.hash);
        let is_other = now.is_some_and(|now| now.number != version);
        match detail.service.phase {
            ServicePhase::Running => is_other,
            ServicePhase::UpdateFailed => true,
            ServicePhase::Updating
            | ServicePhase::RollingBack
            | ServicePhase::Stopping
            | ServicePhase::Stopped => false,
        }
    }

    fn asks_again(&mut self, service: usize, order: Order) {
        let client = &mut self.clients.services[service];
        if client.asked_again < ASKS {
            client.asked_again += 1;
            self.order(service, order);
        }
    }

    /// Whether a service is what it should be, or says why not.
    fn is_settled(&self, detail: &ServiceDetail, version: usize, replicas: u32) -> bool {
        let Some(service) = detail.spec.spec.service.as_deref() else {
            return false;
        };
        let now = self.specs.version(detail.spec.hash);
        let wanted = self.specs.service(service_number(now), version, replicas);
        let breed = self.specs.version(wanted.hash).map(|wanted| wanted.breed);
        let comes_up = breed.is_some_and(Breed::comes_up);
        // It says that it failed, and so it must where it cannot come up. What depends on something
        // that is not there, or has too few nodes, cannot either.
        let is_hampered = !service.dependencies.is_empty()
            || service.placement == Placement::OnePerNode
            || detail.spec.spec.constraints.node.is_some();
        let may_fail = !comes_up || is_hampered;
        let is_wanted = now.is_some_and(|now| now.number == version);
        let done = match detail.service.phase {
            ServicePhase::Running => is_wanted || may_fail,
            ServicePhase::UpdateFailed => may_fail,
            ServicePhase::Updating | ServicePhase::RollingBack => is_hampered,
            ServicePhase::Stopping | ServicePhase::Stopped => false,
        };
        done && self.replicas_are_settled(detail, service, replicas)
    }

    fn replicas_are_settled(
        &self,
        detail: &ServiceDetail,
        service: &Service,
        replicas: u32,
    ) -> bool {
        let views = &detail.replicas;
        let waiting = views
            .iter()
            .filter(|view| view.state == ReplicaState::Waiting);
        let waiting = u32::try_from(waiting.count()).unwrap_or(0);
        let numbers = views.iter().map(|view| view.replica);
        let each_once = numbers.eq((0..replicas).map(TaskIndex));
        let may_wait = match () {
            () if !detail.service.waits_for.is_empty() => self.waits_rightly(detail),
            () if detail.spec.spec.constraints.node.is_some() => true,
            () if service.placement == Placement::OnePerNode => {
                waiting <= replicas.saturating_sub(self.clients.nodes_up)
            }
            () => waiting == 0,
        };
        let all_fit = views.iter().all(|view| self.is_as_seen(service, view));
        each_once && may_wait && all_fit && self.none_too_many(detail)
    }

    /// A replica does what its program can, and what is said of it is true.
    fn is_as_seen(&self, service: &Service, view: &ReplicaView) -> bool {
        let job = self.truth.jobs.get(&view.job);
        let version = job.and_then(|job| self.specs.version(job.spec.hash));
        let is_failing = version.is_none_or(|version| !version.breed.comes_up());
        let always = matches!(
            service.restart.policy,
            RestartPolicy::Always | RestartPolicy::UnlessStopped
        );
        match view.state {
            ReplicaState::Ready => {
                let execution = view
                    .attempt
                    .and_then(|attempt| self.truth.executions.get(&attempt));
                execution.is_some_and(|it| it.ended.is_none() && it.run == view.run)
            }
            ReplicaState::Waiting => true,
            ReplicaState::Finished => !always,
            ReplicaState::CrashLoop
            | ReplicaState::BackingOff
            | ReplicaState::Running
            | ReplicaState::Starting => is_failing,
            ReplicaState::Stopping | ReplicaState::Stopped => false,
        }
    }

    /// Nothing runs of a service but what is seen of it.
    fn none_too_many(&self, detail: &ServiceDetail) -> bool {
        let seen: Vec<_> = detail
            .replicas
            .iter()
            .filter_map(|view| view.attempt)
            .collect();
        let name = &detail.service.name;
        let running = self.truth.executions.iter().filter(|(attempt, execution)| {
            let key = self.truth.replica_of(**attempt);
            key.is_some_and(|key| key.0 == *name)
                && execution.ended.is_none()
                && !execution.abandoned
        });
        running
            .map(|(attempt, _)| attempt)
            .all(|it| seen.contains(it))
    }

    /// What it waits for is really not there.
    fn waits_rightly(&self, detail: &ServiceDetail) -> bool {
        detail.service.waits_for.iter().all(|dependency| {
            let clients = self.clients.services.iter().enumerate();
            let other = clients
                .filter(|(service, _)| name_of(*service) == dependency.service)
                .map(|(_, client)| client.ending)
                .next();
            let bad = match other {
                Some(Ending::Asked { version, .. }) => version == VERSIONS - 1,
                // It was settled, and is being stopped or gone.
                Some(Ending::Settled | Ending::Gone) | None => true,
                Some(Ending::Open) => false,
            };
            let condition = dependency.condition;
            bad || condition == Condition::Completed || self.is_short_of(&dependency.service)
        })
    }

    /// Whether some replica of a service does not run: there may be no node for it.
    fn is_short_of(&self, name: &str) -> bool {
        let wanted = self.truth.services.records.get(name);
        let wanted = wanted.map_or(0, |record| record.replicas);
        (0..wanted).any(|replica| {
            let key = (name.to_owned(), TaskIndex(replica));
            let attempts = self.truth.services.by_replica.get(&key);
            let mut attempts = attempts.into_iter().flatten();
            !attempts.any(|attempt| {
                let execution = self.truth.executions.get(attempt);
                execution.is_some_and(|execution| execution.ended.is_none())
            })
        })
    }

    /// What settled is stopped, and removed when nothing of it runs.
    fn ends(&mut self, service: usize, detail: &ServiceDetail) {
        match detail.service.phase {
            ServicePhase::Stopped => {
                // What was given up unheard is stopped as soon as its agent is heard.
                if self.none_too_many(detail) {
                    self.order(service, Order::Remove);
                }
            }
            ServicePhase::Stopping => {}
            ServicePhase::Running
            | ServicePhase::Updating
            | ServicePhase::UpdateFailed
            | ServicePhase::RollingBack => self.order(service, Order::Stop),
        }
    }
}

fn service_number(version: Option<Version>) -> usize {
    version.map_or(0, |version| version.service)
}

//! One seed, one simulation.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use flota_model::{
    change::GrantRecord,
    ids::BootId,
    state::{JobPhase, TaskState as State},
};

use crate::{
    disk::ByteDisk,
    faults,
    hosts::{Machine, ServerHost},
    mix::Mix,
    network::Network,
    plan::{Plan, Switch},
    random::Random,
    script::Specs,
    store::Store,
    tally::Tally,
    time::{Clock, DRIFT_MAX, Time},
    trace::Trace,
    truth::{Invariant, Truth},
    workload::{Clients, Errand, Submission},
    world::{Agenda, Happening, World},
};

/// After healing everything must end within this time, microseconds. Generous: one node may have
/// to run everything one after the other.
const BOUND: u64 = 1_200_000_000;
/// More steps than this are an engine that turns in circles.
const STEPS_MAX: u64 = 3_000_000;

/// What is simulated beside the seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A rule to break.
    pub sabotage: Option<Switch>,
    /// How many lines of its trace a failure keeps; 0 stands for 400.
    pub lines: usize,
}

/// What a simulation without a breach did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Of everything that happened, in order.
    pub digest: u128,
    /// Things that happened.
    pub steps: u64,
    /// Executions that started.
    pub starts: u64,
    /// Jobs in the store.
    pub jobs: usize,
    /// Simulated time, microseconds.
    pub simulated: u64,
    /// What went wrong.
    pub tally: Tally,
}

/// A broken invariant, with what led to it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// In which step.
    pub step: u64,
    /// What was broken.
    pub invariant: Invariant,
    /// How.
    pub detail: String,
    /// The last lines of the trace.
    pub tail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.tail {
            writeln!(formatter, "{line}")?;
        }
        let Self {
            seed,
            step,
            invariant,
            detail,
            ..
        } = self;
        writeln!(
            formatter,
            "seed {seed}, step {step}: {invariant:?} is broken: {detail}"
        )?;
        write!(
            formatter,
            "replay: FLOTA_SEED={seed} cargo nextest run -p flota-testkit seeds"
        )
    }
}

/// Simulates one seed.
///
/// # Errors
///
/// The first broken invariant; the seed was run once more to get its trace.
pub fn simulate(seed: u64, options: Options) -> Result<Summary, Box<Failure>> {
    let first = match attempt(seed, options, 0) {
        (Ok(summary), _) => return Ok(summary),
        (Err(first), _) => first,
    };
    let lines = if options.lines == 0 {
        400
    } else {
        options.lines
    };
    let (again, tail) = attempt(seed, options, lines);
    let same = again.is_err_and(|again| (again.step, &again.detail) == (first.step, &first.detail));
    let detail = if same {
        first.detail.clone()
    } else {
        format!("{} (and not so in the replay)", first.detail)
    };
    Err(Box::new(Failure {
        detail,
        tail,
        ..*first
    }))
}

/// Simulates one seed and gives the last `options.lines` lines of what happened, whatever came of
/// it: every event of every engine and what it decided, byte for byte the same each time.
pub fn trace(seed: u64, options: Options) -> Vec<String> {
    attempt(seed, options, options.lines).1
}

fn attempt(
    seed: u64,
    options: Options,
    lines: usize,
) -> (Result<Summary, Box<Failure>>, Vec<String>) {
    let mut world = World::new(seed, options, lines);
    let run = catch_unwind(AssertUnwindSafe(|| world.run()));
    if run.is_err() && world.breach.is_none() {
        world.fail(
            Invariant::NoPanic,
            "an engine or the simulator panicked".to_owned(),
        );
    }
    if world.breach.is_none() {
        world.check_end();
    }
    let result = match world.breach.take() {
        None => Ok(Summary {
            digest: world.trace.digest(),
            steps: world.step,
            starts: world.truth.starts,
            jobs: world.server.store.jobs.len(),
            simulated: world.now.0,
            tally: world.tally,
        }),
        Some(breach) => Err(Box::new(Failure {
            seed,
            step: world.step,
            invariant: breach.invariant,
            detail: breach.detail,
            tail: Vec::new(),
        })),
    };
    (result, world.trace.lines())
}

impl World {
    fn new(seed: u64, options: Options, lines: usize) -> Self {
        let mut random = Random::of_seed(seed);
        let plan = Plan::draw(options.sabotage, &mut random);
        let specs = Specs::draw(seed, plan.taste, &mut random);
        let server = ServerHost {
            clock: draw_clock(&mut random),
            boot: BootId(1),
            store: Store::default(),
            backup: None,
            full: 0,
            slow: false,
            lives: Vec::new(),
            current: None,
            starting: false,
            down_until: Time::default(),
            crash_loop: 0,
            next_connection: 0,
        };
        let mut world = Self {
            now: Time::default(),
            step: 0,
            random,
            agenda: Agenda::default(),
            trace: Trace::new(lines),
            plan,
            specs,
            server,
            machines: Vec::new(),
            network: Network::default(),
            clients: Clients::default(),
            truth: Truth::default(),
            breach: None,
            healed: false,
            tally: Tally::default(),
        };
        world.set_out();
        world
    }

    /// Plans the whole simulation: starts, jobs, faults and the end of the faults.
    fn set_out(&mut self) {
        let (mix, nodes) = (self.plan.mix, self.plan.nodes);
        self.note(|| format!("{mix:?} with {nodes} machines"));
        self.server_will_start(1_000);
        for _ in 0..self.plan.nodes {
            let machine = self.new_machine(false);
            let wait = self.random.within(1_000..=3_000_000);
            self.agent_will_start(machine, wait);
        }
        let heals_at = self.plan.heals_at;
        let (fewest, most) = self.plan.taste.jobs;
        let jobs = usize::try_from(self.random.within(fewest..=most)).unwrap_or(2);
        for index in 0..jobs {
            let submission = Submission {
                principal: format!("user-{index}"),
                spec: self.specs.any(&mut self.random),
                keyed: self.random.chance(self.plan.taste.keyed),
                job: None,
            };
            self.clients.submissions.push(submission);
            let at = self.random.within(10_000..=heals_at * 3 / 4);
            self.plan_in(
                at,
                Happening::Client(Errand::Submit {
                    index,
                    again: false,
                }),
            );
        }
        self.plan_in(500_000, Happening::Client(Errand::Look));
        self.plan_service_clients();
        let mut kinds: Vec<u64> = (0..self.random.within(2..=7))
            .map(|_| self.random.next())
            .collect();
        if self.plan.mix == Mix::Services {
            // A folder that goes on on two machines runs its replicas on both until a server has
            // spoken to both: they wait for none (PROTOCOL 3, 17).
            kinds.retain(|kind| !faults::copies_folder(*kind));
            kinds.push(self.random.below(faults::FOLDERS));
        }
        let most = if matches!(self.plan.mix, Mix::Anything | Mix::Services) {
            24
        } else {
            6
        };
        for _ in 0..self.random.within(2..=most) {
            let kind = *self.random.pick(&kinds);
            let fault = faults::draw(kind, self.plan.nodes, self.plan.lease, &mut self.random);
            let at = self.random.within(1_000_000..=heals_at - 1);
            self.plan_in(at, Happening::Fault(fault));
        }
        self.plan_mix();
        self.plan_in(heals_at, Happening::Heals);
    }

    /// Sets up another machine, powered and without an agent.
    pub(crate) fn new_machine(&mut self, copy: bool) -> usize {
        let number = self.machines.len();
        let mut clock = draw_clock(&mut self.random);
        clock.reboot(self.now);
        self.machines.push(Machine {
            name: format!("node-{number}"),
            clock,
            boot: BootId(100 + number as u128),
            cores: u32::try_from(self.random.within(2..=4)).unwrap_or(2),
            powered: true,
            suspended: false,
            agent_stopped: false,
            disk: ByteDisk::default(),
            old_disk: None,
            tampered: false,
            agent: None,
            lives: 0,
            starting: false,
            down_until: Time::default(),
            keepers: BTreeMap::new(),
            processes: BTreeMap::new(),
            next_pid: 1_000,
            keeps_exits: self.random.chance(500),
            copy,
            beside: None,
            deferred: Vec::new(),
        });
        number
    }

    /// Whether everything that must end has ended, or time is up.
    pub(crate) fn is_over(&mut self) -> bool {
        if !self.healed {
            return false;
        }
        if self.now.0 > self.plan.heals_at + BOUND || self.step > STEPS_MAX {
            return true;
        }
        self.step.is_multiple_of(16) && self.clients.idle_seen && self.is_quiet()
    }

    /// Whether nobody waits for anything.
    fn is_quiet(&self) -> bool {
        let store = &self.server.store;
        self.clients.pending == 0
            && self.services_are_over()
            && self.clients.orders.is_empty()
            && self.clients.busy_until < self.now
            && store.grants.values().all(|grant| self.is_unknowable(grant))
            && store
                .jobs
                .values()
                .all(|job| job.phase == JobPhase::Finished)
            && self
                .truth
                .executions
                .values()
                .all(|execution| execution.ended.is_some() || execution.abandoned)
    }

    /// Whether all that is not settled of a grant is unknown for good: only the agent of a node that
    /// never came back could still tell (PROTOCOL 7).
    fn is_unknowable(&self, grant: &GrantRecord) -> bool {
        let open = |offset: usize| {
            let byte = grant.unsettled.get(offset / 8).copied().unwrap_or(0);
            byte & (1 << (offset % 8)) != 0
        };
        grant
            .attempts
            .iter()
            .enumerate()
            .filter(|(offset, _)| open(*offset))
            .filter_map(|(_, attempt)| self.truth.attempts.get(&attempt))
            .all(|granted| self.truth.is_unknown(granted.task))
    }

    /// What must be true at the end.
    fn check_end(&mut self) {
        self.check_durable();
        if !self.clients.idle_seen || !self.is_quiet() {
            let detail = self.unfinished();
            let invariant = if self.services_are_over() {
                Invariant::Liveness
            } else {
                Invariant::Converges
            };
            return self.fail(invariant, detail);
        }
        let wrong = self.server.store.jobs.values().find_map(|record| {
            let rows = self.server.store.attempts.values();
            let counted: Vec<_> = rows
                .filter(|row| row.job == record.job && row.counted)
                .collect();
            let succeeded = counted
                .iter()
                .filter(|row| row.outcome.is_success())
                .count();
            let counts = record.counts;
            if record.spec.spec.service.is_some() {
                // A replica that comes and goes has many rows.
                let ended = counts.ended() == counts.total();
                return (!ended).then(|| format!("job {}: {counts:?}", record.job));
            }
            let of = |state| counts.of(state) as usize;
            let without_cancelled =
                of(State::Succeeded) + of(State::Failed) + of(State::Dead) + of(State::Unknown);
            let fits = succeeded == of(State::Succeeded)
                && counted.len() >= without_cancelled
                && counted.len() <= without_cancelled + of(State::Cancelled)
                && counts.ended() == counts.total();
            (!fits).then(|| format!("job {}: {counts:?}, counted rows {counted:?}", record.job))
        });
        if let Some(wrong) = wrong {
            self.fail(Invariant::OneOutcome, wrong);
        }
    }

    fn unfinished(&self) -> String {
        let store = &self.server.store;
        let jobs: Vec<String> = store
            .jobs
            .values()
            .filter(|job| job.phase != JobPhase::Finished)
            .map(|job| format!("job {} {:?} {:?}", job.job, job.phase, job.counts.0))
            .collect();
        let running: Vec<String> = self
            .truth
            .executions
            .iter()
            .filter(|(_, execution)| execution.ended.is_none() && !execution.abandoned)
            .map(|(attempt, execution)| format!("{attempt} on {}", execution.machine))
            .collect();
        let services: Vec<String> = self.unsettled_services();
        format!(
            "at {} s: {jobs:?}, services {services:?}, grants {:?}, running {running:?}, pending {}, idle {}, orders {:?}",
            self.now.0 / 1_000_000,
            store.grants.values().take(3).collect::<Vec<_>>(),
            self.clients.pending,
            self.clients.idle_seen,
            self.clients.orders,
        )
    }
}

fn draw_clock(random: &mut Random) -> Clock {
    let rate = 1_000_000 - DRIFT_MAX + random.below(2 * DRIFT_MAX + 1);
    let error = i64::try_from(random.below(20_000_000)).unwrap_or(0) - 10_000_000;
    Clock::booted(Time::default(), rate, error)
}

//! What jobs ask for, and what their executions really do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_model::{
    ids::{AttemptId, SpecHash, TaskIndex},
    outcome::StartStage,
    parameters::Rows,
    resources::Resources,
    rules::{JobRules, MaxFails, RetryCause},
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Program, Retry, SealedSpec,
        TaskRange, Work,
    },
    units::{Cpus, Timestamp},
};

use crate::{
    mix::Taste,
    parameters,
    random::{Random, mix},
    service_specs::Version,
    time::WALL_START,
};

const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// ENOENT of `man 3 errno`.
pub(crate) const NO_SUCH_FILE: i32 = 2;

/// The specs of one simulation: their sealed bytes are an index into this table.
#[derive(Debug)]
pub(crate) struct Specs {
    pub(crate) sealed: Vec<SealedSpec>,
    /// The rows of those that have some.
    pub(crate) rows: BTreeMap<SpecHash, Rows>,
    /// How many of them are of batch work; those of services follow.
    pub(crate) batch_count: usize,
    pub(crate) by_hash: BTreeMap<SpecHash, usize>,
    /// How long the executions of each last, in microseconds.
    pub(crate) durations: Vec<(u64, u64)>,
    /// What those of services are.
    pub(crate) versions: BTreeMap<SpecHash, Version>,
    pub(crate) seed: u64,
}

/// What an execution does if nobody interferes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    /// From the order to the result of `execve`, microseconds.
    pub(crate) start_delay: u64,
    /// It cannot be started.
    pub(crate) fails_to_start: Option<(StartStage, i32)>,
    /// How long it runs, microseconds.
    pub(crate) duration: u64,
    pub(crate) ending: ScriptedEnding,
    pub(crate) on_term: OnTerm,
    /// Its tree outlives its leader until it is swept.
    pub(crate) leaves_tree: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScriptedEnding {
    Exit(u8),
    Signal(u8),
    OutOfMemory,
}

/// What a program does with SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTerm {
    Dies,
    Ignores,
    /// Cleans up for some microseconds and exits.
    Exits {
        after: u64,
        code: u8,
    },
}

impl Specs {
    /// Draws a handful of specs.
    pub(crate) fn draw(seed: u64, taste: Taste, random: &mut Random) -> Self {
        let mut specs = Self {
            sealed: Vec::new(),
            rows: BTreeMap::new(),
            batch_count: 0,
            versions: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            durations: Vec::new(),
            seed,
        };
        for index in 0..random.within(3..=7) {
            let mut spec = draw_spec(random, taste, index);
            // Of chances of their own, so that all else is as it would be without them.
            let mut apart = Random::of_seed(mix(seed ^ (index + 1) << 32));
            let rows = parameters::draw(&mut spec, &mut apart);
            let blob: Arc<[u8]> = Arc::from(index.to_be_bytes().as_slice());
            let hash = SpecHash(mix(seed ^ (index + 1)));
            specs.by_hash.insert(hash, specs.sealed.len());
            specs.rows.extend(rows.map(|rows| (hash, rows)));
            specs.sealed.push(SealedSpec {
                spec: Arc::new(spec),
                blob,
                hash,
            });
            let durations = [
                // Short enough for programs to be handed over ahead of time.
                (MILLI / 2, 8 * MILLI),
                (5 * MILLI, 80 * MILLI),
                (200 * MILLI, 3 * SECOND),
                (3 * SECOND, 25 * SECOND),
            ];
            let durations = match () {
                () if random.chance(taste.short) => &durations[..1],
                // Of so many tasks none may take long, or they are not done in time.
                () if taste.short > 0 => &durations[..3],
                () if random.chance(taste.long) => &durations[3..],
                () => &durations[..],
            };
            specs.durations.push(*random.pick(durations));
        }
        specs.batch_count = specs.sealed.len();
        specs.draw_services(taste.services, random);
        specs
    }

    pub(crate) fn any(&self, random: &mut Random) -> SealedSpec {
        random.pick(&self.sealed[..self.batch_count]).clone()
    }

    /// Gives the meaning of the bytes of a spec.
    pub(crate) fn decode(&self, blob: &[u8]) -> Option<Arc<JobSpec>> {
        let index = u64::from_be_bytes(blob.try_into().ok()?);
        self.sealed
            .get(usize::try_from(index).ok()?)
            .map(|sealed| Arc::clone(&sealed.spec))
    }

    /// What each task of that spec asks for, in thousandths of a core.
    pub(crate) fn cpus(&self, hash: SpecHash) -> u32 {
        let index = self.by_hash.get(&hash).copied().unwrap_or(0);
        self.sealed[index].spec.resources.cpus.0
    }

    /// What that attempt does.
    pub(crate) fn script(&self, attempt: AttemptId, hash: SpecHash) -> Script {
        let own = mix(attempt.salt ^ mix(attempt.sequence + (u64::from(attempt.epoch.0) << 40)));
        let mut random = Random::of_seed(self.seed ^ own);
        let index = self.by_hash.get(&hash).copied().unwrap_or(0);
        let (shortest, longest) = self.durations[index];
        draw_script(&mut random, (shortest, longest))
    }
}

pub(crate) fn draw_script(random: &mut Random, (shortest, longest): (u64, u64)) -> Script {
    Script {
        start_delay: match random.below(100) {
            0..3 => random.within(SECOND / 2..=8 * SECOND),
            _ => random.within(300..=3 * MILLI),
        },
        fails_to_start: random
            .chance(20)
            .then_some((StartStage::Execute, NO_SUCH_FILE)),
        duration: random.within(shortest..=longest),
        ending: match random.below(100) {
            0..78 => ScriptedEnding::Exit(0),
            78..92 => ScriptedEnding::Exit(u8::try_from(random.within(1..=255)).unwrap_or(1)),
            92..97 => ScriptedEnding::Signal(11),
            _ => ScriptedEnding::OutOfMemory,
        },
        on_term: match random.below(100) {
            0..50 => OnTerm::Dies,
            50..70 => OnTerm::Ignores,
            _ => OnTerm::Exits {
                after: random.within(100..=100 * MILLI),
                code: *random.pick(&[0, 0, 1, 143]),
            },
        },
        leaves_tree: random.chance(150),
    }
}

fn draw_spec(random: &mut Random, taste: Taste, index: u64) -> JobSpec {
    let first = u32::try_from(random.below(5)).unwrap_or(0);
    let (fewest, most) = taste.tasks;
    let count = u32::try_from(random.within(fewest..=most)).unwrap_or(1);
    JobSpec {
        name: format!("job-{index}"),
        tasks: TaskRange {
            first: TaskIndex(first),
            last: TaskIndex(first + count - 1),
        },
        work: draw_work(random, taste),
        priority: *random.pick(&[Priority::HIGH, Priority::MEDIUM, Priority::LOW]),
        resources: Resources::of_cpus(match random.below(3) {
            0 => Cpus(500),
            // What needs a whole machine would wait for ever beside services.
            2 if taste.services == 0 => Cpus(2000),
            _ => Cpus(1000),
        }),
        constraints: Constraints::default(),
        retry: draw_retry(random, taste),
        timeout: random
            .chance(300)
            .then(|| Duration::from_millis(random.within(500..=12_000))),
        grace: Duration::from_millis(random.within(50..=1_000)),
        parameters: None,
        on_disconnect: if random.chance(taste.stops) {
            OnDisconnect::Stop
        } else {
            OnDisconnect::Keep {
                lost_after: Duration::from_millis(*random.pick(&[0, 500, 2_000, 10_000])),
            }
        },
        rules: Box::new(draw_rules(random)),
        service: None,
    }
}

/// Most jobs have no rules of their own.
fn draw_rules(random: &mut Random) -> JobRules {
    let mut rules = JobRules::default();
    match random.below(10) {
        0 => {
            let after = random.within(5 * SECOND..=60 * SECOND);
            rules.deadline = Some(Timestamp(WALL_START + after));
        }
        1 => rules.timeout = Some(Duration::from_micros(random.within(SECOND..=30 * SECOND))),
        2 => rules.max_fails = Some(MaxFails::Tasks(0)),
        3 => rules.max_fails = Some(MaxFails::Percent(30)),
        4 => {
            rules.retry_on = vec![
                RetryCause::Exit {
                    first: 1,
                    last: 127,
                },
                RetryCause::OutOfMemory,
            ];
        }
        5 => rules.retry_not_on = vec![RetryCause::Lost, RetryCause::Signal(11)],
        _ => {}
    }
    rules
}

fn draw_work(random: &mut Random, taste: Taste) -> Work {
    if random.chance(taste.kernels) {
        return Work::Kernel(KernelCall {
            name: "sleep".to_owned(),
            ..KernelCall::default()
        });
    }
    let argv = vec!["work".to_owned(), "{job}".to_owned(), "{index}".to_owned()];
    Work::Program(Program {
        argv,
        ..Program::default()
    })
}

fn draw_retry(random: &mut Random, taste: Taste) -> Retry {
    if random.chance(taste.starts_once) {
        return Retry::Never;
    }
    Retry::Limited {
        retries: *random.pick(&[0, 1, 3]),
        backoff: Duration::from_millis(random.within(50..=800)),
        backoff_max: Duration::from_secs(3),
    }
}

//! What services ask for, and what their replicas really do.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use flota_model::{
    ids::{AttemptId, SpecHash, TaskIndex},
    outcome::StartStage,
    resources::Resources,
    service::{
        Check, Condition, Dependency, OnUpdateFailure, Placement, ProbeResult, ProbeSettings,
        ProbeSpec, Purpose, REPLICAS_MAX, RestartPolicy, RestartSettings, Service, UpdateSettings,
    },
    spec::{
        Constraints, JobSpec, OnDisconnect, Priority, Program, Retry, SealedSpec, TaskRange, Work,
    },
    units::Cpus,
};

use crate::{
    random::{Random, mix},
    script::{NO_SUCH_FILE, OnTerm, Script, ScriptedEnding, Specs, draw_script},
};

const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// Longer than any simulation.
const FOR_EVER: u64 = 100_000 * SECOND;
/// Most replicas of a simulated service.
pub(crate) const REPLICAS: u32 = 4;
/// Versions of each service; the last one does not come up.
pub(crate) const VERSIONS: usize = 4;

/// What the program of a version does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breed {
    /// It runs; while there are troubles it ends now and then.
    Good,
    /// It ends with success after a moment.
    Task,
    /// It fails soon after each start.
    Crashes,
    /// It is not there.
    Missing,
    /// It runs and is never ready.
    Silent,
    /// It runs and fails its test of life.
    Sick,
}

impl Breed {
    pub(crate) fn comes_up(self) -> bool {
        matches!(self, Self::Good | Self::Task)
    }
}

/// A version of a service with a number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) service: usize,
    pub(crate) number: usize,
    pub(crate) breed: Breed,
}

pub(crate) fn name_of(service: usize) -> String {
    format!("service-{service}")
}

impl Specs {
    /// Draws that many services, each with all its versions and numbers of replicas.
    pub(crate) fn draw_services(&mut self, count: usize, random: &mut Random) {
        for service in 0..count {
            let bad = [Breed::Crashes, Breed::Missing, Breed::Silent, Breed::Sick];
            let bad = *random.pick(&bad);
            let is_task = service == 0 && count > 1 && random.chance(200);
            let kind = draw_kind(service, is_task, random);
            for number in 0..VERSIONS {
                let breed = match () {
                    () if number == VERSIONS - 1 => bad,
                    () if is_task => Breed::Task,
                    () => Breed::Good,
                };
                for replicas in 1..=REPLICAS {
                    let version = Version {
                        service,
                        number,
                        breed,
                    };
                    self.add_service(version, replicas, &kind);
                }
            }
        }
    }

    fn add_service(&mut self, version: Version, replicas: u32, kind: &Service) {
        let index = self.sealed.len() as u64;
        let argv = vec!["serve".to_owned(), format!("v{}", version.number)];
        let pinned = kind.stop_signal == Some(2);
        let spec = JobSpec {
            name: name_of(version.service),
            tasks: TaskRange {
                first: TaskIndex(0),
                last: TaskIndex(REPLICAS_MAX - 1),
            },
            work: Work::Program(Program {
                argv,
                ..Program::default()
            }),
            priority: Priority::HIGH,
            resources: Resources::of_cpus(Cpus(50)),
            constraints: Constraints {
                node: pinned.then(|| "node-0".to_owned()),
                ..Constraints::default()
            },
            retry: Retry::default(),
            timeout: None,
            grace: Duration::from_millis(300),
            parameters: None,
            on_disconnect: if kind.restart.loop_failures == 5 {
                OnDisconnect::Stop
            } else {
                let lost_after = Duration::from_secs(1);
                OnDisconnect::Keep { lost_after }
            },
            rules: Box::default(),
            service: Some(Box::new(Service {
                replicas,
                ..kind.clone()
            })),
        };
        let blob: Arc<[u8]> = Arc::from(index.to_be_bytes().as_slice());
        let hash = SpecHash(mix(self.seed ^ (index + 1)));
        self.by_hash.insert(hash, self.sealed.len());
        self.sealed.push(SealedSpec {
            spec: Arc::new(spec),
            blob,
            hash,
        });
        self.durations.push((FOR_EVER, FOR_EVER));
        self.versions.insert(hash, version);
    }

    /// The spec of a version with that many replicas.
    pub(crate) fn service(&self, service: usize, number: usize, replicas: u32) -> SealedSpec {
        let replicas = replicas.clamp(1, REPLICAS) as usize;
        let offset = (service * VERSIONS + number) * REPLICAS as usize + replicas - 1;
        self.sealed[self.batch_count + offset].clone()
    }

    pub(crate) fn version(&self, hash: SpecHash) -> Option<Version> {
        self.versions.get(&hash).copied()
    }

    /// What a run of a replica does.
    pub(crate) fn run_script(
        &self,
        (attempt, run): (AttemptId, u32),
        version: Version,
        calm: bool,
    ) -> Script {
        let own = mix(attempt.salt ^ mix(attempt.sequence + (u64::from(attempt.epoch.0) << 40)));
        let mut random = Random::of_seed(self.seed ^ mix(own + u64::from(run)));
        let script = draw_script(&mut random, (1, 1));
        let (duration, ending) = match version.breed {
            Breed::Good if calm => (FOR_EVER, ScriptedEnding::Exit(0)),
            Breed::Good => (good_duration(&mut random), good_ending(&mut random)),
            Breed::Task => {
                let fails = !calm && random.chance(200);
                let code = u8::from(fails) * 3;
                let takes = random.within(200 * MILLI..=3 * SECOND);
                (takes, ScriptedEnding::Exit(code))
            }
            Breed::Crashes => {
                let takes = random.within(2 * MILLI..=200 * MILLI);
                let code = u8::try_from(random.within(1..=255)).unwrap_or(1);
                (takes, ScriptedEnding::Exit(code))
            }
            Breed::Missing | Breed::Silent | Breed::Sick => (FOR_EVER, ScriptedEnding::Exit(0)),
        };
        let missing = version.breed == Breed::Missing;
        let is_missing = missing || (!calm && random.chance(10));
        Script {
            start_delay: if calm { 1_000 } else { script.start_delay },
            fails_to_start: is_missing.then_some((StartStage::Execute, NO_SUCH_FILE)),
            duration,
            ending,
            on_term: match script.on_term {
                // A code of its own, so that nobody takes it for the end of another run.
                OnTerm::Exits { after, .. } => OnTerm::Exits { after, code: 143 },
                on_term @ (OnTerm::Dies | OnTerm::Ignores) => on_term,
            },
            ..script
        }
    }
}

fn good_duration(random: &mut Random) -> u64 {
    match random.below(100) {
        0..25 => random.within(50 * MILLI..=2 * SECOND),
        25..45 => random.within(2 * SECOND..=20 * SECOND),
        _ => FOR_EVER,
    }
}

fn good_ending(random: &mut Random) -> ScriptedEnding {
    match random.below(10) {
        0..3 => ScriptedEnding::Exit(0),
        3..7 => ScriptedEnding::Exit(u8::try_from(random.within(1..=100)).unwrap_or(1)),
        7..9 => ScriptedEnding::Signal(11),
        _ => ScriptedEnding::OutOfMemory,
    }
}

/// What a probe finds at a program that runs.
pub(crate) fn answer(breed: Breed, purpose: Purpose) -> ProbeResult {
    match (breed, purpose) {
        (Breed::Silent, Purpose::Readiness) | (Breed::Sick, Purpose::Liveness) => {
            ProbeResult::Http { status: 503 }
        }
        (
            Breed::Good
            | Breed::Task
            | Breed::Crashes
            | Breed::Missing
            | Breed::Silent
            | Breed::Sick,
            Purpose::Liveness | Purpose::Readiness,
        ) => ProbeResult::Http { status: 200 },
    }
}

/// What all versions of a service share.
fn draw_kind(service: usize, is_task: bool, random: &mut Random) -> Service {
    let policy = if is_task {
        RestartPolicy::OnFailure
    } else {
        let always = [RestartPolicy::Always, RestartPolicy::UnlessStopped];
        let all = [RestartPolicy::OnFailure, always[0], always[0], always[1]];
        *random.pick(&all)
    };
    Service {
        replicas: 1,
        restart: RestartSettings {
            policy,
            success_codes: BTreeSet::from([0]),
            backoff: Duration::from_millis(300),
            backoff_max: Duration::from_secs(2),
            stable_after: Duration::from_secs(3),
            loop_failures: *random.pick(&[3, 4, 4, 5]),
            loop_window: Duration::from_mins(1),
        },
        probes: [Purpose::Liveness, Purpose::Readiness].map(probe).to_vec(),
        stop_signal: random.chance(120).then_some(2),
        update: UpdateSettings {
            parallel: *random.pick(&[1, 1, 2]),
            on_failure: *random.pick(&[OnUpdateFailure::Stop, OnUpdateFailure::RollBack]),
            deadline: Duration::from_secs(6),
            stable: Duration::ZERO,
        },
        dependencies: if service > 0 && random.chance(500) {
            vec![draw_dependency(service, random)]
        } else {
            Vec::new()
        },
        placement: if random.chance(250) {
            Placement::OnePerNode
        } else {
            Placement::Spread
        },
    }
}

fn draw_dependency(service: usize, random: &mut Random) -> Dependency {
    let conditions = [Condition::Started, Condition::Healthy, Condition::Completed];
    Dependency {
        service: name_of(random.index(service)),
        condition: *random.pick(&conditions),
    }
}

fn probe(purpose: Purpose) -> ProbeSpec {
    ProbeSpec {
        settings: ProbeSettings {
            start_delay: Duration::from_millis(100),
            interval: Duration::from_millis(900),
            timeout: Duration::from_millis(300),
            failure_threshold: 2,
            ..ProbeSettings::of(purpose)
        },
        check: Check::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 80,
        },
    }
}

//! What kind of simulation a seed becomes.
//!
//! A quarter of the seeds has any faults at any time. The others each press on one part of the protocol:
//! some rules matter only in coincidences that are too rare where everything may happen. A mix
//! chooses jobs and faults; it knows nothing of rules that are broken on purpose.

use crate::{
    faults::{DiskFault, Fault, MachineFault, ServerFault},
    network::Way,
    random::Random,
    world::World,
};

const SECOND: u64 = 1_000_000;

/// A kind of simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// A few kinds of faults, at any time.
    Anything,
    /// Backups are put back, again and again, while some machines are away (PROTOCOL 1, 4).
    Restores,
    /// Commits take long and do not always end well, and clients repeat themselves (PROTOCOL 18, 19).
    SlowCommits,
    /// Heartbeats arrive, their answers much later, and then nothing (PROTOCOL 9, 10).
    LateAnswers,
    /// Agents and keepers die between deciding and having it on disk (PROTOCOL 7, 14, 22).
    CrashesWithin,
    /// Folders of agents are put back, damaged, moved and copied (PROTOCOL 3, 14).
    Folders,
    /// Services beside a few jobs, and any faults (PROTOCOL 17).
    Services,
    /// Many programs of a moment each, which keepers are handed ahead of time, and any faults.
    ShortPrograms,
}

/// What the jobs of a simulation are like, per mille.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taste {
    pub(crate) kernels: u32,
    /// `retry = never`.
    pub(crate) starts_once: u32,
    /// `on_disconnect = stop`.
    pub(crate) stops: u32,
    /// Executions of many seconds; the others are as long as chance will have it.
    pub(crate) long: u32,
    /// Executions of a moment.
    pub(crate) short: u32,
    /// Fewest and most tasks of a job.
    pub(crate) tasks: (u64, u64),
    /// Submissions with an idempotency key, and of them those that are sent twice at once.
    pub(crate) keyed: u32,
    pub(crate) doubled: u32,
    /// Fewest and most submissions.
    pub(crate) jobs: (u64, u64),
    pub(crate) services: usize,
}

/// Some of each.
const MIXED: Taste = Taste {
    kernels: 300,
    starts_once: 350,
    stops: 500,
    long: 0,
    short: 0,
    tasks: (1, 6),
    keyed: 700,
    doubled: 200,
    jobs: (2, 13),
    services: 0,
};

impl Mix {
    pub(crate) fn draw(random: &mut Random) -> Self {
        match random.below(26) {
            0..5 => Self::Anything,
            5 | 6 => Self::ShortPrograms,
            7 => Self::Folders,
            8..12 => Self::Restores,
            12..14 => Self::SlowCommits,
            14..17 => Self::LateAnswers,
            17..20 => Self::CrashesWithin,
            _ => Self::Services,
        }
    }

    pub(crate) fn taste(self) -> Taste {
        match self {
            Self::Anything | Self::Folders => MIXED,
            Self::Services => Taste {
                jobs: (0, 3),
                services: 3,
                ..MIXED
            },
            Self::ShortPrograms => Taste {
                kernels: 100,
                starts_once: 50,
                stops: 50,
                short: 900,
                tasks: (20, 60),
                // So many that some end while they wait at the keeper.
                jobs: (5, 16),
                ..MIXED
            },
            Self::Restores => Taste {
                long: 300,
                jobs: (20, 50),
                ..MIXED
            },
            Self::SlowCommits => Taste {
                keyed: 950,
                doubled: 600,
                ..MIXED
            },
            Self::LateAnswers => Taste {
                starts_once: 100,
                stops: 900,
                long: 800,
                ..MIXED
            },
            Self::CrashesWithin => Taste {
                kernels: 500,
                starts_once: 600,
                jobs: (8, 24),
                ..MIXED
            },
        }
    }

    /// The shortest time with faults, microseconds.
    pub(crate) fn heals_after(self) -> u64 {
        match self {
            Self::Anything | Self::SlowCommits | Self::LateAnswers | Self::ShortPrograms => {
                20 * SECOND
            }
            Self::Restores | Self::CrashesWithin | Self::Folders | Self::Services => 40 * SECOND,
        }
    }

    /// The fewest machines with which it makes sense.
    pub(crate) fn nodes_min(self) -> u64 {
        match self {
            Self::Anything
            | Self::SlowCommits
            | Self::CrashesWithin
            | Self::Folders
            | Self::ShortPrograms => 1,
            Self::Services | Self::Restores | Self::LateAnswers => 2,
        }
    }
}

impl World {
    /// Plans the faults that the mix asks for.
    pub(crate) fn plan_mix(&mut self) {
        match self.plan.mix {
            Mix::Anything | Mix::ShortPrograms => {}
            Mix::Services => self.plan_services(),
            Mix::Restores => self.plan_restores(),
            Mix::SlowCommits => self.plan_slow_commits(),
            Mix::LateAnswers => self.plan_late_answers(),
            Mix::CrashesWithin => self.plan_crashes(),
            Mix::Folders => self.plan_folders(),
        }
    }

    /// Epochs, one after the other. In most, one part of the machines is away, and in the next the
    /// other part: who slept through an epoch cannot tell its server that it was there before.
    fn plan_restores(&mut self) {
        let mut at = self.random.within(3 * SECOND..=10 * SECOND);
        self.plan_fault(at, Fault::Server(ServerFault::Backup));
        at += self.random.within(2 * SECOND..=5 * SECOND);
        let all = (1 << self.plan.nodes) - 1;
        let mut away = self.random.within(1..=all - 1);
        while at + 5 * SECOND < self.plan.heals_at {
            let lasts = self.random.within(4 * SECOND..=8 * SECOND);
            let fault = match self.random.below(10) {
                0..7 => ServerFault::Restore,
                7 | 8 => ServerFault::Dies {
                    again_in: self.random.within(1_000..=500_000),
                },
                _ => ServerFault::Backup,
            };
            self.plan_fault(at, Fault::Server(fault));
            let early = self.random.below(SECOND);
            for machine in (0..self.plan.nodes).filter(|machine| away & (1 << machine) != 0) {
                // It comes back only when this epoch is over.
                let late = self.random.below(SECOND / 2);
                self.plan_absence(machine, at - early, early + lasts + late);
            }
            at += lasts;
            away = if self.random.chance(700) {
                all & !away
            } else {
                self.random.within(0..=all)
            };
        }
    }

    /// A machine hears nobody for some time.
    fn plan_absence(&mut self, machine: usize, at: u64, lasts: u64) {
        for way in [Way::Up, Way::Down] {
            let cut = MachineFault::Cut { way, lasts };
            self.plan_fault(at, Fault::Machine(machine, cut));
        }
    }

    fn plan_slow_commits(&mut self) {
        self.plan_fault(1, Fault::Server(ServerFault::Slow(true)));
        for _ in 0..self.random.within(2..=8) {
            let at = self.random.within(SECOND..=self.plan.heals_at - 1);
            let again_in = self.random.within(1_000..=SECOND);
            let fault = match self.random.below(6) {
                0..2 => ServerFault::Dies { again_in },
                2 => ServerFault::LosesPower { again_in },
                3 => ServerFault::Stops { lasts: again_in },
                4 => ServerFault::DiskFull {
                    commits: u32::try_from(self.random.within(1..=2)).unwrap_or(1),
                },
                _ => ServerFault::Failover { lasts: again_in },
            };
            self.plan_fault(at, Fault::Server(fault));
        }
    }

    /// The way up is cut for good, the way down only for a while: the server counts from the last
    /// heartbeat that it got, and its answer is late.
    fn plan_late_answers(&mut self) {
        let lease = self.plan.lease;
        for _ in 0..self.random.within(3..=8) {
            let machine = self.random.index(self.plan.nodes);
            let at = self.random.within(3 * SECOND..=self.plan.heals_at - 1);
            let up = self.random.within(lease..=lease * 5 / 2);
            let down = self.random.within(lease / 8..=lease * 9 / 10);
            let later = self.random.below(600_000);
            let cut = |way, lasts| Fault::Machine(machine, MachineFault::Cut { way, lasts });
            self.plan_fault(at, cut(Way::Down, down));
            self.plan_fault(at + later, cut(Way::Up, up));
        }
    }

    /// Machines are booted and agents are killed while services are stopped and updated.
    fn plan_services(&mut self) {
        for _ in 0..self.random.within(4..=14) {
            let machine = self.random.index(self.plan.nodes);
            let at = self.random.within(5 * SECOND..=self.plan.heals_at - 1);
            let again_in = self.random.within(1_000..=SECOND);
            let fault = match self.random.below(8) {
                0 => MachineFault::AgentDies { again_in },
                1 => MachineFault::BothDie { again_in },
                2 => MachineFault::KeeperDies,
                _ => MachineFault::PowerCut { lasts: again_in },
            };
            self.plan_fault(at, Fault::Machine(machine, fault));
        }
    }

    fn plan_crashes(&mut self) {
        for _ in 0..self.random.within(0..=6) {
            let machine = self.random.index(self.plan.nodes);
            let at = self.random.within(SECOND..=self.plan.heals_at - 1);
            let again_in = self.random.within(1_000..=self.plan.lease);
            let fault = match self.random.below(5) {
                0 => Fault::Machine(machine, MachineFault::KeeperDies),
                1 => Fault::Machine(machine, MachineFault::BothDie { again_in }),
                2 => Fault::Machine(machine, MachineFault::PowerCut { lasts: again_in }),
                3 => Fault::Machine(machine, MachineFault::DiskFull { lasts: again_in }),
                _ => Fault::Disk(machine, DiskFault::Damage),
            };
            self.plan_fault(at, fault);
        }
    }

    /// A copy is kept, the agent starts anew, and the copy is put back; or what else may be done.
    fn plan_folders(&mut self) {
        for machine in 0..self.plan.nodes {
            let mut at = self.random.within(3 * SECOND..=6 * SECOND);
            while at + 10 * SECOND < self.plan.heals_at {
                self.plan_fault(at, Fault::Disk(machine, DiskFault::KeepCopy));
                let again_in = self.random.within(1_000..=SECOND);
                let dies = Fault::Machine(machine, MachineFault::AgentDies { again_in });
                let dies_at = at + self.random.within(100_000..=4 * SECOND);
                self.plan_fault(dies_at, dies);
                at = dies_at + self.random.within(2 * SECOND..=6 * SECOND);
                let fault = match self.random.below(10) {
                    0..6 => DiskFault::RollBack,
                    6 => DiskFault::Damage,
                    7 => DiskFault::MoveAway,
                    _ => DiskFault::CopyBeside,
                };
                self.plan_fault(at, Fault::Disk(machine, fault));
                at += self.random.within(2 * SECOND..=20 * SECOND);
            }
        }
    }
}

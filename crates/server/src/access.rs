//! Who asks, and what they may do.

mod credentials;
mod sessions;

use std::fmt;

pub(crate) use credentials::{COOKIE, Caller, Credentials, Origin, Unproven, refuse_forgeable};
use flota_model::{command::Principal, ids::JobId, process::ProcessTarget};
pub(crate) use sessions::{SESSION_AGE_MAX, Sessions};

/// The administrator of the machine.
const LOCAL: &str = "local";
/// The clients of an older cluster.
const HPC: &str = "adapter/hpc";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    FleetRead,
    FleetRecover,
    NodeRead,
    JobRead,
    JobSubmit,
    JobCancel,
    JobRetry,
    JobPause,
    JobResume,
    QueuePause,
    QueueResume,
    ProcessRead,
    /// Values of variables, which may be secrets.
    ProcessSecrets,
    ProcessSignal,
    ProcessStop,
    KernelRead,
    ServiceRead,
    ServiceApply,
    ServiceScale,
    ServiceRestart,
    ServiceRollBack,
    ServiceStop,
    ServiceStart,
    ServiceRemove,
    /// Cancels what waits of one's own.
    QueueClear,
    /// Connects as an agent.
    NodeConnect,
}

impl Verb {
    /// All verbs, for the test of the rules.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 26] = [
        Self::FleetRead,
        Self::FleetRecover,
        Self::NodeRead,
        Self::JobRead,
        Self::JobSubmit,
        Self::JobCancel,
        Self::JobRetry,
        Self::JobPause,
        Self::JobResume,
        Self::QueuePause,
        Self::QueueResume,
        Self::ProcessRead,
        Self::ProcessSecrets,
        Self::ProcessSignal,
        Self::ProcessStop,
        Self::KernelRead,
        Self::ServiceRead,
        Self::ServiceApply,
        Self::ServiceScale,
        Self::ServiceRestart,
        Self::ServiceRollBack,
        Self::ServiceStop,
        Self::ServiceStart,
        Self::ServiceRemove,
        Self::QueueClear,
        Self::NodeConnect,
    ];

    /// The word of the audit; that of a command is the same as `Command::verb`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::FleetRead => "fleet.read",
            Self::FleetRecover => "fleet.recover",
            Self::NodeRead => "node.read",
            Self::JobRead => "job.read",
            Self::JobSubmit => "job.submit",
            Self::JobCancel => "job.cancel",
            Self::JobRetry => "job.retry",
            Self::JobPause => "job.pause",
            Self::JobResume => "job.resume",
            Self::QueuePause => "queue.pause",
            Self::QueueResume => "queue.resume",
            Self::ProcessRead => "process.read",
            Self::ProcessSecrets => "process.secrets",
            Self::ProcessSignal => "process.signal",
            Self::ProcessStop => "process.stop",
            Self::KernelRead => "kernel.read",
            Self::ServiceRead => "service.read",
            Self::ServiceApply => "service.apply",
            Self::ServiceScale => "service.scale",
            Self::ServiceRestart => "service.restart",
            Self::ServiceRollBack => "service.roll-back",
            Self::ServiceStop => "service.stop",
            Self::ServiceStart => "service.start",
            Self::ServiceRemove => "service.remove",
            Self::QueueClear => "queue.clear",
            Self::NodeConnect => "node.connect",
        }
    }
}

/// On what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// The fleet as a whole, or a list.
    Fleet,
    Job(JobId),
    /// By the name or number that was asked for.
    Node(String),
    Process(ProcessTarget),
    /// By its name.
    Service(String),
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => formatter.write_str("fleet"),
            Self::Job(job) => write!(formatter, "job/{job}"),
            Self::Node(node) => write!(formatter, "node/{node}"),
            Self::Process(process) => write!(formatter, "process/{process}"),
            Self::Service(service) => write!(formatter, "service/{service}"),
        }
    }
}

/// The principal may not do that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied;

/// Shows that [`authorize`] said yes. Nothing can be asked of the fleet or its store without one,
/// and nothing but [`authorize`] makes one.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit {
    principal: Principal,
}

impl Permit {
    pub(crate) fn into_principal(self) -> Principal {
        self.principal
    }
}

/// The one place that decides who may do what.
///
/// Commands that are let through are audited by the fleet, with what came of them; denials are
/// logged here, because the fleet never hears of them.
pub(crate) fn authorize(
    principal: &Principal,
    verb: Verb,
    object: &Object,
) -> Result<Permit, Denied> {
    let is_own_node = matches!(object, Object::Node(name) if principal.name == node(name).name);
    let is_local_matter = matches!(verb, Verb::JobSubmit | Verb::ProcessStop);
    let is_adapter = principal.name == HPC && matches!(object, Object::Fleet);
    let is_adapter_matter = matches!(
        verb,
        Verb::JobSubmit | Verb::JobRead | Verb::NodeRead | Verb::QueueClear
    );
    if principal.name == LOCAL || is_own_node && is_local_matter || is_adapter && is_adapter_matter
    {
        return Ok(Permit {
            principal: principal.clone(),
        });
    }
    tracing::warn!(principal = principal.name, verb = verb.word(), %object, "denied");
    Err(Denied)
}

/// The clients of a node's own listeners: they start and stop on that node, nothing else.
pub(crate) fn node(name: &str) -> Principal {
    Principal {
        name: format!("node/{name}"),
    }
}

/// The clients of an older cluster, as one: they have no credentials.
pub(crate) fn hpc() -> Principal {
    Principal { name: HPC.into() }
}

/// The administrator of the machine.
pub(crate) fn local() -> Principal {
    Principal { name: LOCAL.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_a_node_start_and_stop_there_and_nowhere_else() {
        for verb in Verb::ALL {
            let may = |object: &Object| authorize(&node("n1"), verb, object).is_ok();
            let expected = [Verb::JobSubmit, Verb::ProcessStop].contains(&verb);
            assert_eq!(may(&Object::Node("n1".into())), expected, "{verb:?}");
            for object in [
                Object::Node("n2".into()),
                Object::Fleet,
                Object::Job(JobId(1)),
            ] {
                assert!(!may(&object), "{verb:?} {object}");
            }
        }
    }

    #[test]
    fn the_administrator_may_do_all_and_nobody_else_anything() {
        let objects = [
            Object::Fleet,
            Object::Job(JobId(7)),
            Object::Node("n1".into()),
        ];
        for (verb, object) in Verb::ALL
            .iter()
            .flat_map(|verb| objects.iter().map(move |object| (verb, object)))
        {
            assert!(authorize(&local(), *verb, object).is_ok());
            for name in ["", "Local", "local ", "ana"] {
                let principal = Principal { name: name.into() };
                assert_eq!(
                    authorize(&principal, *verb, object).unwrap_err(),
                    Denied,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn clients_of_the_older_cluster_submit_and_clear_their_own_queue() {
        for verb in Verb::ALL {
            let may = |object: &Object| authorize(&hpc(), verb, object).is_ok();
            let expected = [
                Verb::JobSubmit,
                Verb::JobRead,
                Verb::NodeRead,
                Verb::QueueClear,
            ];
            assert_eq!(may(&Object::Fleet), expected.contains(&verb), "{verb:?}");
            for object in [Object::Node("n1".into()), Object::Job(JobId(1))] {
                assert!(!may(&object), "{verb:?} {object}");
            }
        }
    }

    #[test]
    fn commands_have_the_same_word_here_and_in_the_audit() {
        use flota_model::command::Command;
        assert_eq!(Command::Recover.verb(), Verb::FleetRecover.word());
        assert_eq!(Command::ClearQueue.verb(), Verb::QueueClear.word());
        assert_eq!(
            Command::Cancel {
                job: JobId(1),
                reason: None
            }
            .verb(),
            Verb::JobCancel.word()
        );
        assert_eq!(Command::ResumeQueue.verb(), Verb::QueueResume.word());
        let name = String::new();
        let services = [
            (
                Command::RestartService {
                    name: name.clone(),
                    at_a_time: None,
                },
                Verb::ServiceRestart,
            ),
            (
                Command::RollBackService {
                    name: name.clone(),
                    to: None,
                    at_a_time: None,
                },
                Verb::ServiceRollBack,
            ),
            (
                Command::StopService { name: name.clone() },
                Verb::ServiceStop,
            ),
            (
                Command::StartService { name: name.clone() },
                Verb::ServiceStart,
            ),
            (
                Command::RemoveService { name: name.clone() },
                Verb::ServiceRemove,
            ),
            (
                Command::ScaleService { name, replicas: 1 },
                Verb::ServiceScale,
            ),
        ];
        for (command, verb) in services {
            assert_eq!(command.verb(), verb.word());
        }
    }
}

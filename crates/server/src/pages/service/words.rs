//! The words of services.

use flota_model::{
    revision::RevisionCause,
    service::{Condition, Purpose, ReplicaState, ServicePhase, WaitingFor},
};

use super::super::language::Language;

/// Those of one language.
pub(super) struct Words {
    pub(super) service: &'static str,
    pub(super) services: &'static str,
    pub(super) ready: &'static str,
    pub(super) replicas: &'static str,
    pub(super) replica: &'static str,
    pub(super) run: &'static str,
    pub(super) restarts: &'static str,
    pub(super) last_end: &'static str,
    pub(super) revision: &'static str,
    pub(super) waits_for: &'static str,
    pub(super) changed: &'static str,
    pub(super) unhealthy: &'static str,
    pub(super) stale: &'static str,
    /// Before processes that were killed and are still there.
    pub(super) unkillable: &'static str,
    pub(super) output: &'static str,
    pub(super) phase: fn(ServicePhase) -> &'static str,
    pub(super) state: fn(ReplicaState) -> &'static str,
    pub(super) revisions: &'static str,
    pub(super) cause: fn(RevisionCause) -> &'static str,
    pub(super) waiting_for: fn(WaitingFor) -> &'static str,
    pub(super) probe: fn(Purpose) -> &'static str,
    pub(super) condition: fn(Condition) -> &'static str,
}

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &EN,
            Language::Spanish => &ES,
        }
    }
}

const EN: Words = Words {
    service: "Service",
    services: "Services",
    ready: "Ready",
    replicas: "Replicas",
    replica: "Replica",
    run: "Run",
    restarts: "Restarts",
    last_end: "Last end",
    revision: "Revision",
    waits_for: "Waits for",
    changed: "Changed",
    unhealthy: "unhealthy",
    stale: "not heard",
    unkillable: "was killed, still there",
    output: "Output",
    revisions: "Revisions",
    cause: |cause| match cause {
        RevisionCause::Applied => "applied",
        RevisionCause::RolledBack => "rolled back",
    },
    phase: |phase| match phase {
        ServicePhase::Running => "running",
        ServicePhase::Updating => "updating",
        ServicePhase::UpdateFailed => "update failed",
        ServicePhase::RollingBack => "rolling back",
        ServicePhase::Stopping => "stopping",
        ServicePhase::Stopped => "stopped",
    },
    state: |state| match state {
        ReplicaState::Waiting => "waiting",
        ReplicaState::Starting => "starting",
        ReplicaState::Running => "running",
        ReplicaState::Ready => "ready",
        ReplicaState::BackingOff => "backing off",
        ReplicaState::CrashLoop => "crash loop",
        ReplicaState::Stopping => "stopping",
        ReplicaState::Finished => "finished",
        ReplicaState::Stopped => "stopped",
    },
    waiting_for: |what| match what {
        WaitingFor::Dependencies => "for other services",
        WaitingFor::OtherRevision => "for the one before",
        WaitingFor::Delay => "for the next try",
        WaitingFor::Room => "for room",
    },
    probe: |purpose| match purpose {
        Purpose::Liveness => "liveness probe fails",
        Purpose::Readiness => "readiness probe fails",
    },
    condition: |condition| match condition {
        Condition::Started => "to be started",
        Condition::Healthy => "to be ready",
        Condition::Completed => "to be completed",
    },
};

const ES: Words = Words {
    service: "Servicio",
    services: "Servicios",
    ready: "Listas",
    replicas: "Réplicas",
    replica: "Réplica",
    run: "Ejecución",
    restarts: "Reinicios",
    last_end: "Último fin",
    revision: "Revisión",
    waits_for: "Espera a",
    changed: "Cambiado",
    unhealthy: "sin salud",
    stale: "sin noticias",
    unkillable: "se mató, siguen ahí",
    output: "Salida",
    revisions: "Revisiones",
    cause: |cause| match cause {
        RevisionCause::Applied => "aplicada",
        RevisionCause::RolledBack => "vuelta atrás",
    },
    phase: |phase| match phase {
        ServicePhase::Running => "en marcha",
        ServicePhase::Updating => "actualizándose",
        ServicePhase::UpdateFailed => "actualización fallida",
        ServicePhase::RollingBack => "volviendo atrás",
        ServicePhase::Stopping => "deteniéndose",
        ServicePhase::Stopped => "detenido",
    },
    state: |state| match state {
        ReplicaState::Waiting => "en espera",
        ReplicaState::Starting => "arrancando",
        ReplicaState::Running => "en marcha",
        ReplicaState::Ready => "lista",
        ReplicaState::BackingOff => "en pausa tras un fin",
        ReplicaState::CrashLoop => "falla una y otra vez",
        ReplicaState::Stopping => "deteniéndose",
        ReplicaState::Finished => "terminada",
        ReplicaState::Stopped => "detenida",
    },
    waiting_for: |what| match what {
        WaitingFor::Dependencies => "a otros servicios",
        WaitingFor::OtherRevision => "a la anterior",
        WaitingFor::Delay => "al próximo intento",
        WaitingFor::Room => "a que haya sitio",
    },
    probe: |purpose| match purpose {
        Purpose::Liveness => "la sonda de vida falla",
        Purpose::Readiness => "la sonda de disponibilidad falla",
    },
    condition: |condition| match condition {
        Condition::Started => "que esté iniciado",
        Condition::Healthy => "que esté listo",
        Condition::Completed => "que haya terminado",
    },
};

//! The words of the page of a node.

use super::super::language::Language;

/// Those of one language.
pub(super) struct Words {
    pub(super) joined: &'static str,
    pub(super) labels: &'static str,
    pub(super) containment: &'static str,
    pub(super) sample: &'static str,
    pub(super) no_sample: &'static str,
    pub(super) not_current: &'static str,
    pub(super) processes: &'static str,
    pub(super) uptime: &'static str,
    pub(super) load: &'static str,
    pub(super) busy: &'static str,
    pub(super) cores: &'static str,
    pub(super) memory: &'static str,
    pub(super) swap: &'static str,
    pub(super) data: &'static str,
    pub(super) disks: &'static str,
    pub(super) networks: &'static str,
    pub(super) cpu_pressure: &'static str,
    pub(super) memory_pressure: &'static str,
    pub(super) io_pressure: &'static str,
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
    joined: "Joined",
    labels: "Labels",
    containment: "Limits that it enforces",
    sample: "What the machine does",
    no_sample: "It has not said since the server's start.",
    not_current: "These values are not current. They came",
    processes: "Processes (JSON)",
    uptime: "Up for",
    load: "Load of 1, 5, 15 minutes",
    busy: "Busy cores",
    cores: "Each core",
    memory: "Used memory",
    swap: "Used swap",
    data: "Used disk of the data folder",
    disks: "Disks",
    networks: "Networks",
    cpu_pressure: "Work waited for cores (some · all)",
    memory_pressure: "Work waited for memory",
    io_pressure: "Work waited for disks",
};

const ES: Words = Words {
    joined: "Unido",
    labels: "Etiquetas",
    containment: "Límites que impone",
    sample: "Qué hace la máquina",
    no_sample: "No lo ha dicho desde el arranque del servidor.",
    not_current: "Estos valores no son actuales. Llegaron",
    processes: "Procesos (JSON)",
    uptime: "Encendida hace",
    load: "Carga de 1, 5, 15 minutos",
    busy: "Núcleos en uso",
    cores: "Cada núcleo",
    memory: "Memoria en uso",
    swap: "Intercambio en uso",
    data: "Disco de la carpeta de datos en uso",
    disks: "Discos",
    networks: "Redes",
    cpu_pressure: "El trabajo esperó núcleos (parte · todo)",
    memory_pressure: "El trabajo esperó memoria",
    io_pressure: "El trabajo esperó discos",
};

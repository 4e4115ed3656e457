//! Answers, as the clients of the two older systems expect them.

use std::fmt::Write as _;

use super::{Dialect, Misuse};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done<'a> {
    /// Number and name of each process.
    Listed(&'a [(u32, String)]),
    /// A program runs, or ran to its end without a failure.
    Started {
        /// What was asked for.
        command: &'a str,
        /// Its process.
        pid: u32,
    },
    /// A process is gone.
    Stopped(u32),
    /// Busy cores and used memory in tenths of a percent, where known.
    Monitored {
        /// Of all cores.
        cpu: Option<u32>,
        /// Of all memory.
        memory: Option<u32>,
    },
    /// Which commands there are.
    Helped,
    /// The connection is closed now.
    Left,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is no command.
    Misused(Misuse),
    /// No process has that number.
    NoProcess(u32),
    /// That process must go on.
    Protected(u32),
    /// The agent may not, or its policy says no.
    NotPermitted {
        /// Which process; `None` for a program.
        pid: Option<u32>,
        /// The rule, or what the system said.
        why: String,
    },
    /// It was killed and is still there.
    Alive(u32),
    /// The program cannot be executed.
    NotStarted {
        /// What was asked for.
        command: String,
        /// What the system said.
        why: String,
    },
    /// The program ended at once, with a failure.
    Failed {
        /// What was asked for.
        command: String,
        /// How.
        why: String,
    },
    /// Something else, with its code.
    Other {
        /// Of the API.
        code: String,
        /// For people.
        why: String,
    },
}

const HELP: &str = "\
Comandos: LIST (LISTAR), START (INICIAR) <programa> [argumentos], STOP (DETENER) <pid>, MONITOR (MONITOREAR), \
HELP (AYUDA), EXIT (SALIR)";

/// The answer to a command that was carried out, with its newline.
pub fn answer(dialect: Dialect, done: &Done<'_>) -> String {
    let mut text = match (dialect, done) {
        (Dialect::Posix, Done::Listed(processes)) => {
            listed(processes, "    PID COMMAND\n", |pid, name| {
                format!("{pid:>7} {name}")
            })
        }
        (Dialect::Gestor, Done::Listed(processes)) => {
            listed(processes, "", |pid, name| format!("{pid} - {name}"))
        }
        (Dialect::Posix, Done::Started { command, pid }) => {
            format!("Proceso '{}' iniciado con PID {pid}", printable(command))
        }
        (Dialect::Gestor, Done::Started { pid, .. }) => {
            format!("Exito: Proceso lanzado con PID {pid}")
        }
        (Dialect::Posix, Done::Stopped(pid)) => format!("Proceso {pid} detenido exitosamente."),
        (Dialect::Gestor, Done::Stopped(pid)) => format!("Exito: Proceso {pid} terminado."),
        (_, Done::Monitored { cpu, memory }) => {
            format!("{{'cpu': {}, 'ram': {}}}", percent(*cpu), percent(*memory))
        }
        (_, Done::Helped) => HELP.to_owned(),
        (_, Done::Left) => "Adiós.".to_owned(),
    };
    text.push('\n');
    text
}

/// The answer to a command that was not, with its newline.
pub fn trouble(trouble: &Trouble) -> String {
    let why = match trouble {
        Trouble::Misused(misuse) => misused(misuse),
        Trouble::NoProcess(pid) => format!("no existe el proceso {pid}"),
        Trouble::Protected(pid) => format!("el proceso {pid} está protegido"),
        Trouble::NotPermitted {
            pid: Some(pid),
            why,
        } => {
            format!("sin permiso para detener el proceso {pid}: {why}")
        }
        Trouble::NotPermitted { pid: None, why } => format!("no permitido: {why}"),
        Trouble::Alive(pid) => format!("el proceso {pid} no termina: el núcleo lo retiene"),
        Trouble::NotStarted { command, why } => {
            format!("no se pudo ejecutar '{command}': {why}")
        }
        Trouble::Failed { command, why } => format!("'{command}' terminó enseguida: {why}"),
        Trouble::Other { code, why } => format!("{why} [{code}]"),
    };
    format!("Error: {}\n", printable(&why))
}

fn misused(misuse: &Misuse) -> String {
    match misuse {
        Misuse::TooLong => "el comando tiene más de 65536 bytes".to_owned(),
        Misuse::NoText => "el comando no es UTF-8".to_owned(),
        Misuse::Verb(verb) if verb.is_empty() => format!("comando vacío. {HELP}"),
        Misuse::Verb(verb) => format!("comando desconocido '{}'. {HELP}", shortened(verb)),
        Misuse::NoProgram => "falta el programa que iniciar".to_owned(),
        Misuse::Quotes => "comillas sin cerrar, o demasiados argumentos".to_owned(),
        Misuse::NoPid => "falta el PID".to_owned(),
        Misuse::Pid(text) => format!("PID inválido: '{}'", shortened(text)),
        Misuse::First => "el proceso 1 está protegido".to_owned(),
    }
}

fn listed(processes: &[(u32, String)], header: &str, line: impl Fn(u32, &str) -> String) -> String {
    let mut text = String::with_capacity(header.len() + processes.len() * 24);
    text.push_str(header);
    for (index, (pid, name)) in processes.iter().enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{}", line(*pid, &printable(name)));
    }
    text
}

/// As Python writes it: clients evaluate the text.
fn percent(tenths: Option<u32>) -> String {
    tenths.map_or_else(
        || "None".to_owned(),
        |tenths| format!("{}.{}", tenths / 10, tenths % 10),
    )
}

/// A name may hold anything, also a newline that would end the answer early.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect()
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

//! The line protocol of two older process managers: text commands over plain TCP, one per line, and one
//! answer for each.
//!
//! `gestor` clients send a command without a newline and then read once; `posix` clients end each
//! command with one. Both are understood in both dialects. Texts are in Spanish, as those clients
//! expect them. Pure: who listens, and what is done, is elsewhere.

mod answer;
#[cfg(test)]
mod tests;

pub use self::answer::{Done, Trouble, answer, trouble};

/// Longest command, in bytes, without its end.
pub const COMMAND_LENGTH_MAX: usize = 64 << 10;
/// Most arguments of a program that is started: a command has room for more only if they are empty.
pub const ARGUMENTS_MAX: usize = 4_096;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Answers like `ps`; a stop is a kill.
    Posix,
    /// Answers of a class that manages processes; a stop waits for the process.
    Gestor,
}

impl Dialect {
    /// All of them, with their words.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Posix, "posix"), (Self::Gestor, "gestor")];

    /// Its word in settings and addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Posix => "posix",
            Self::Gestor => "gestor",
        }
    }
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// All processes of the node.
    List,
    /// Start a program with these arguments; not empty.
    Start(Vec<String>),
    /// End a process; above 1.
    Stop(u32),
    /// How busy the node is.
    Monitor,
    /// Which commands there are.
    Help,
    /// Close the connection.
    Exit,
}

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misuse {
    /// Longer than [`COMMAND_LENGTH_MAX`]; the connection is closed.
    TooLong,
    /// No UTF-8.
    NoText,
    /// No such verb.
    Verb(String),
    /// A start without a program.
    NoProgram,
    /// Quotes that do not end, or too many arguments.
    Quotes,
    /// A stop without a number.
    NoPid,
    /// What should be a number is none, or is zero.
    Pid(String),
    /// Number 1.
    First,
}

const LIST: &[&str] = &[
    "list",
    "listar",
    "ls",
    "ps",
    "lista",
    "ver",
    "show",
    "mostrar",
    "procesos",
    "processes",
];
const START: &[&str] = &[
    "start", "iniciar", "run", "ejecutar", "launch", "lanzar", "exec", "correr", "begin",
    "empezar", "create", "crear",
];
const STOP: &[&str] = &[
    "stop",
    "detener",
    "kill",
    "matar",
    "end",
    "terminar",
    "finish",
    "finalizar",
    "cancel",
    "cancelar",
    "halt",
    "parar",
];
const MONITOR: &[&str] = &["monitor", "monitorear"];
const HELP: &[&str] = &["help", "ayuda"];
const EXIT: &[&str] = &[
    "exit",
    "salir",
    "quit",
    "bye",
    "adios",
    "adiós",
    "close",
    "cerrar",
    "disconnect",
    "desconectar",
];

/// Understands one command.
///
/// # Errors
/// [`Misuse`] says what is wrong with it.
pub fn parse(command: &[u8]) -> Result<Command, Misuse> {
    let text = std::str::from_utf8(command).map_err(|_| Misuse::NoText)?;
    let text = text.trim();
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let lower = verb.to_lowercase();
    let is = |words: &[&str]| words.contains(&lower.as_str());
    match () {
        () if is(LIST) => Ok(Command::List),
        () if is(START) => program(rest),
        () if is(STOP) => pid(rest.trim()),
        () if is(MONITOR) => Ok(Command::Monitor),
        () if is(HELP) => Ok(Command::Help),
        () if is(EXIT) => Ok(Command::Exit),
        () => Err(Misuse::Verb(verb.to_owned())),
    }
}

/// Arguments by the quoting rules of a shell; nothing else of a shell is understood.
fn program(text: &str) -> Result<Command, Misuse> {
    let argv = shlex::split(text).ok_or(Misuse::Quotes)?;
    if argv.first().is_none_or(String::is_empty) {
        return Err(Misuse::NoProgram);
    }
    if argv.len() > ARGUMENTS_MAX {
        return Err(Misuse::Quotes);
    }
    Ok(Command::Start(argv))
}

fn pid(text: &str) -> Result<Command, Misuse> {
    if text.is_empty() {
        return Err(Misuse::NoPid);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(Misuse::Pid(text.to_owned())),
        Ok(1) => Err(Misuse::First),
        Ok(pid) => Ok(Command::Stop(pid)),
    }
}

/// What bytes of a connection turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A whole command, perhaps empty.
    Command(Vec<u8>),
    /// Longer than [`COMMAND_LENGTH_MAX`]: say so and close.
    TooLong,
    /// A browser, or something else that speaks HTTP: close at once. A web page must not be able to
    /// start a program.
    Http,
}

/// Cuts what arrives into commands.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Whether a command was cut already.
    has_begun: bool,
}

impl Framer {
    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether bytes wait for the end of their command.
    pub fn is_within(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next command that ends in a newline.
    pub fn next_line(&mut self) -> Option<Piece> {
        let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') else {
            return (self.bytes.len() > COMMAND_LENGTH_MAX).then_some(Piece::TooLong);
        };
        let rest = self.bytes.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.bytes, rest);
        line.pop();
        line.pop_if(|byte| *byte == b'\r');
        Some(self.piece(line))
    }

    /// What is there, after a silence or at the end of the connection: a whole command without its
    /// newline.
    pub fn rest(&mut self) -> Option<Piece> {
        let line = std::mem::take(&mut self.bytes);
        (!line.is_empty()).then(|| self.piece(line))
    }

    fn piece(&mut self, line: Vec<u8>) -> Piece {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match line {
            line if is_first && is_http(&line) => Piece::Http,
            line if line.len() > COMMAND_LENGTH_MAX => Piece::TooLong,
            line => Piece::Command(line),
        }
    }
}

/// A request line ends in the version of the protocol (RFC 9112, section 3).
fn is_http(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let version = line.len().saturating_sub(b"HTTP/1.1".len());
    line.get(version..)
        .is_some_and(|end| end.starts_with(b"HTTP/1."))
}

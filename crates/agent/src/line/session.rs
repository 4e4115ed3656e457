//! One connection: commands in, one answer for each, until it is closed.

use std::{io, time::Duration};

use flota_engine::keeper::api::End;
use flota_model::{
    local::{LocalRefusal, LocalReply},
    outcome::StartStage,
};
use flota_wire::line::{
    Command, Dialect, Done, Framer, Misuse, Piece, Trouble, answer, parse, trouble,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::Patience;
use crate::local::{Counter, News, Want, identify};

/// Longest time for an answer to be taken.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest time from the order to the start of a program.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// A program that fails so early "ends at once".
const AT_ONCE: Duration = Duration::from_millis(150);
/// How long a process may take to end by itself, for clients of `gestor`.
const GRACE: Duration = Duration::from_secs(3);
/// Read at a time.
const READ_LENGTH: usize = 16 << 10;

/// What follows an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Close,
}

pub(super) async fn serve(
    mut stream: TcpStream,
    dialect: Dialect,
    counter: &Counter,
    patience: Patience,
) -> io::Result<()> {
    let _ = stream.set_nodelay(true);
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_LENGTH];
    let mut begun = Instant::now();
    loop {
        while let Some(piece) = framer.next_line() {
            if respond(&mut stream, dialect, counter, piece).await? == Next::Close {
                return Ok(());
            }
            // What is left is of another command, whose time begins now.
            begun = Instant::now();
        }
        let is_within = framer.is_within();
        let wait = if is_within {
            patience.silence
        } else {
            patience.idle
        };
        let read = timeout(wait, stream.read(&mut buffer)).await;
        if !is_within {
            begun = Instant::now();
        }
        let rest = match read {
            Ok(length) => match length? {
                0 => {
                    if let Some(piece) = framer.rest() {
                        respond(&mut stream, dialect, counter, piece).await?;
                    }
                    return Ok(());
                }
                length => {
                    framer.push(&buffer[..length]);
                    None
                }
            },
            Err(_) => framer.rest(),
        };
        let is_over = !is_within && rest.is_none() && !framer.is_within();
        if is_over || begun.elapsed() > patience.command {
            return Ok(());
        }
        if let Some(piece) = rest
            && respond(&mut stream, dialect, counter, piece).await? == Next::Close
        {
            return Ok(());
        }
    }
}

async fn respond(
    stream: &mut TcpStream,
    dialect: Dialect,
    counter: &Counter,
    piece: Piece,
) -> io::Result<Next> {
    let (text, next) = match piece {
        Piece::Http => return Ok(Next::Close),
        Piece::TooLong => (trouble(&Trouble::Misused(Misuse::TooLong)), Next::Close),
        Piece::Command(command) => match parse(&command) {
            Err(misuse) => (trouble(&Trouble::Misused(misuse)), Next::GoOn),
            Ok(Command::Exit) => (answer(dialect, &Done::Left), Next::Close),
            Ok(wanted) => (carry_out(dialect, counter, wanted).await, Next::GoOn),
        },
    };
    timeout(ANSWER_WITHIN, stream.write_all(text.as_bytes())).await??;
    Ok(next)
}

async fn carry_out(dialect: Dialect, counter: &Counter, wanted: Command) -> String {
    let done = match wanted {
        Command::List => match counter.list().await {
            Ok(rows) => return answer(dialect, &Done::Listed(&rows)),
            Err(error) => Err(other(&error)),
        },
        Command::Start(argv) => {
            let command = argv.join(" ");
            match start(counter, argv, &command).await {
                Ok(pid) => {
                    let command = command.as_str();
                    return answer(dialect, &Done::Started { command, pid });
                }
                Err(trouble) => Err(trouble),
            }
        }
        Command::Stop(pid) => stop(dialect, counter, pid).await,
        Command::Monitor => {
            let (cpu, memory) = counter.busy();
            Ok(Done::Monitored { cpu, memory })
        }
        Command::Help => Ok(Done::Helped),
        Command::Exit => Ok(Done::Left),
    };
    done.map_or_else(|what| trouble(&what), |done| answer(dialect, &done))
}

async fn start(counter: &Counter, argv: Vec<String>, command: &str) -> Result<u32, Trouble> {
    let command = || command.to_owned();
    let (order, mut news) = counter.start(argv);
    order.await.map_err(|refusal| of_refusal(refusal, None))?;
    let pid = match timeout(STARTS_WITHIN, news.recv()).await {
        Ok(Some(News::Started { pid })) => pid,
        Ok(Some(News::NotStarted { stage, errno })) => {
            return Err(Trouble::NotStarted {
                command: command(),
                why: not_started(stage, errno),
            });
        }
        Ok(Some(News::Ended(end))) => {
            let why = failure(end).unwrap_or_else(|| "no se sabe cómo".to_owned());
            return Err(Trouble::Failed {
                command: command(),
                why,
            });
        }
        Ok(None) | Err(_) => {
            return Err(Trouble::Other {
                code: "E-SERVER-TIMEOUT".to_owned(),
                why: format!("'{}' espera: el nodo no tiene sitio todavía", command()),
            });
        }
    };
    match timeout(AT_ONCE, news.recv()).await {
        Ok(Some(News::Ended(end))) if let Some(why) = failure(end) => Err(Trouble::Failed {
            command: command(),
            why,
        }),
        _ => Ok(pid),
    }
}

async fn stop<'a>(dialect: Dialect, counter: &Counter, pid: u32) -> Result<Done<'a>, Trouble> {
    let grace = match dialect {
        Dialect::Posix => Duration::ZERO,
        Dialect::Gestor => GRACE,
    };
    let identity = identify(pid).map_err(|error| match error.raw_os_error() {
        Some(libc::ESRCH | libc::ENOENT | libc::EINVAL) | None => Trouble::NoProcess(pid),
        Some(_) => other(&error),
    })?;
    let want = Want::Stop {
        pid,
        identity,
        grace,
    };
    match counter.order(want, None).await {
        Ok(LocalReply::Stopped) => Ok(Done::Stopped(pid)),
        Ok(LocalReply::Accepted { .. }) => Err(Trouble::Alive(pid)),
        Err(refusal) => Err(of_refusal(refusal, Some(pid))),
    }
}

fn of_refusal(refusal: LocalRefusal, pid: Option<u32>) -> Trouble {
    let LocalRefusal { code, detail } = refusal;
    match (code.as_str(), pid) {
        ("E-PROCESS-NOTFOUND" | "E-PROCESS-REUSED", Some(pid)) => Trouble::NoProcess(pid),
        ("E-PROCESS-PROTECTED", Some(pid)) => Trouble::Protected(pid),
        ("E-PROCESS-ALIVE", Some(pid)) => Trouble::Alive(pid),
        ("E-PROCESS-FORBIDDEN" | "E-ACCESS-DENIED", pid) => {
            Trouble::NotPermitted { pid, why: detail }
        }
        _ => Trouble::Other { code, why: detail },
    }
}

fn other(error: &io::Error) -> Trouble {
    Trouble::Other {
        code: "E-PROCESS-UNREADABLE".to_owned(),
        why: error.to_string(),
    }
}

fn not_started(stage: StartStage, errno: i32) -> String {
    format!("{} ({stage:?})", io::Error::from_raw_os_error(errno))
}

/// How a program failed; `None` where it did not, or where nobody knows.
fn failure(end: End) -> Option<String> {
    let End::Known { status, .. } = end else {
        return None;
    };
    // The wait status of `man 2 wait`.
    match (status & 0x7f, status >> 8 & 0xff) {
        (0, 0) => None,
        (0, code) => Some(format!("código de salida {code}")),
        (signal, _) => Some(format!("señal {signal}")),
    }
}

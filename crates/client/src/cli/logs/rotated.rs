//! `flota logs` of programs with rotated logs: one stream or many, in the order of their times.

use std::time::Duration;

use clap::ArgMatches;
use flota_model::outcome::StreamName;
use flota_wire::rest::{Job, Task};
use regex::bytes::Regex;

use super::{
    is_not_started,
    lines::Item,
    revisions::{self, Followed},
    source::{Request, Source},
};
use crate::{
    cli::{Session, absence::Absence, follow},
    client::LogStart,
    exit::Exit,
    failure::Failure,
    fault::ClientFault,
};

/// Between two looks at logs that may grow.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Most streams that are merged: a part of each is in memory.
pub(super) const SOURCES_MAX: usize = 64;

/// What the person asked for.
pub(super) struct Wanted {
    task: Option<u32>,
    streams: Vec<StreamName>,
    start: LogStart,
    until: Option<u64>,
    run: Option<u32>,
    grep: Option<Regex>,
    follows: bool,
    /// The name of a service that was given, of which the current revision was found.
    service: Option<String>,
    /// The task that was given.
    given: Option<u32>,
}

impl Wanted {
    pub(super) fn of(matches: &ArgMatches, task: Option<u32>, streams: &[StreamName]) -> Self {
        let tail = matches.get_one::<u32>("tail").copied();
        let since = matches.get_one::<u64>("since").copied();
        Self {
            task,
            streams: streams.to_vec(),
            start: match (tail, since) {
                (Some(lines), _) => LogStart::Tail(lines),
                (None, Some(time)) => LogStart::Since(time),
                (None, None) => LogStart::Offset(0),
            },
            until: matches.get_one("until").copied(),
            run: matches.get_one("run").copied(),
            grep: matches.get_one("grep").cloned(),
            follows: matches.get_flag("follow"),
            service: None,
            given: matches.get_one("task").copied(),
        }
    }

    /// Goes on with later revisions of the service.
    pub(super) fn of_service(self, name: Option<&str>) -> Self {
        let service = name.map(str::to_owned);
        Self { service, ..self }
    }
}

/// Shows them. Ends as the program did where one task is followed to its end.
pub(super) async fn show(
    session: &mut Session<'_>,
    job: &Job,
    wanted: Wanted,
) -> Result<Exit, Failure> {
    let (first, last) = wanted
        .task
        .map_or((job.first, job.last), |task| (task, task));
    let count = (last - first + 1) as usize;
    if count * wanted.streams.len() > SOURCES_MAX {
        let language = session.language();
        let most = SOURCES_MAX / wanted.streams.len().max(1);
        return Err(Failure::usage(language.error_logs_too_many(count, most))
            .hint(language.hint_follow_needs_task(first)));
    }
    let request = |task: u32, stream: StreamName| Request {
        job: job.id,
        task,
        stream,
        attempt: None,
        run: wanted.run,
        start: wanted.start,
        until: wanted.until,
    };
    let of_task = |task| wanted.streams.iter().map(move |stream| (task, *stream));
    let sources = (first..=last).flat_map(of_task);
    let mut merge = Merge {
        sources: sources
            .map(|(task, stream)| Source::new(request(task, stream)))
            .collect(),
        has_prefix: count > 1,
        is_full: false,
        grep: wanted.grep,
    };
    if let (true, Some(name)) = (wanted.follows, wanted.service) {
        let followed = Followed {
            name,
            task: wanted.given,
            streams: wanted.streams,
            first: Request {
                job: job.id,
                task: first,
                stream: StreamName::Stdout,
                attempt: None,
                run: wanted.run,
                start: wanted.start,
                until: wanted.until,
            },
        };
        merge.sources.clear();
        return revisions::follow(session, &mut merge, &followed).await;
    }
    if wanted.follows {
        return follow_all(session, &mut merge, (job.id, (first, last))).await;
    }
    let absence = Absence::new();
    while let Err(fault) = merge.pass_on(session, Patience::Now).await? {
        if !absence.is_bearable(&fault) {
            return Err(session.failure(&fault));
        }
        absence.pause().await;
    }
    merge.finish(session)?;
    Ok(Exit::Ok)
}

async fn follow_all(
    session: &mut Session<'_>,
    merge: &mut Merge,
    (job, (first, last)): (u64, (u32, u32)),
) -> Result<Exit, Failure> {
    let mut absence = Absence::new();
    loop {
        let looked = if first == last {
            merge.look_at_task(session, job, first).await?
        } else {
            merge.look_at_job(session, job).await?
        };
        match looked {
            Ok(Look::Ended(task)) => {
                merge.finish(session)?;
                return match task {
                    Some(task) => follow::tell_end(session, *task).await,
                    None => Ok(Exit::Ok),
                };
            }
            Ok(Look::Open) => {
                absence.end();
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            Err(fault) if absence.is_bearable(&fault) => absence.pause().await,
            Err(fault) => return Err(session.failure(&fault)),
        }
    }
}

enum Look {
    Open,
    /// With the task, where it is one.
    Ended(Option<Box<Task>>),
}

/// Whether a log that is not there may come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Now,
    Later,
}

/// Streams that are shown as one.
pub(super) struct Merge {
    sources: Vec<Source>,
    /// Whether lines begin with the index of their task.
    has_prefix: bool,
    /// It was told that there are more than may be merged.
    pub(super) is_full: bool,
    grep: Option<Regex>,
}

impl Merge {
    pub(super) fn count(&self) -> usize {
        self.sources.len()
    }

    pub(super) fn add(&mut self, sources: impl IntoIterator<Item = Source>) {
        self.sources.extend(sources);
        let first = self.sources.first().map(Source::task);
        self.has_prefix |= self.sources.iter().any(|one| Some(one.task()) != first);
    }

    /// Keeps those of which `stays` says so, by job and task, and whether they have ended.
    pub(super) fn retain(&mut self, stays: impl Fn((u64, u32), bool) -> bool) {
        self.sources.retain(|source| {
            let is_read = source.has_ended() && source.first().is_none();
            stays((source.job(), source.task()), is_read)
        });
    }

    /// The task is asked before its logs, so that nothing written before its end is missed.
    async fn look_at_task(
        &mut self,
        session: &mut Session<'_>,
        job: u64,
        index: u32,
    ) -> Result<Result<Look, ClientFault>, Failure> {
        let task = match session.client().await?.task(job, index).await {
            Ok(task) => task,
            Err(fault) => return Ok(Err(fault)),
        };
        let has_ended = follow::is_terminal(&task.state);
        let looked = self.look(session, has_ended).await?;
        Ok(looked.map(|is_over| {
            if is_over {
                Look::Ended(Some(Box::new(task)))
            } else {
                Look::Open
            }
        }))
    }

    async fn look_at_job(
        &mut self,
        session: &mut Session<'_>,
        job: u64,
    ) -> Result<Result<Look, ClientFault>, Failure> {
        let found = match session.client().await?.job(&job.to_string()).await {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        let looked = self.look(session, found.phase == "finished").await?;
        Ok(looked.map(|is_over| {
            if is_over {
                Look::Ended(None)
            } else {
                Look::Open
            }
        }))
    }

    /// Passes on what there is; whether that was all.
    pub(super) async fn look(
        &mut self,
        session: &mut Session<'_>,
        has_ended: bool,
    ) -> Result<Result<bool, ClientFault>, Failure> {
        let patience = if has_ended {
            Patience::Now
        } else {
            Patience::Later
        };
        let mut has_moved = true;
        while has_moved {
            for source in &mut self.sources {
                source.wake();
            }
            if let Err(fault) = self.pass_on(session, patience).await? {
                return Ok(Err(fault));
            }
            session.screen.flush()?;
            has_moved = false;
            for source in &mut self.sources {
                if !source.has_ended() {
                    continue;
                }
                match source.move_on(session.client().await?).await {
                    Ok(moved) => has_moved |= moved,
                    Err(fault) if is_absent(&fault) || is_away(&fault) => {}
                    Err(fault) => return Ok(Err(fault)),
                }
            }
        }
        Ok(Ok(has_ended))
    }

    /// Prints what there is now, in the order of the times.
    async fn pass_on(
        &mut self,
        session: &mut Session<'_>,
        patience: Patience,
    ) -> Result<Result<(), ClientFault>, Failure> {
        loop {
            for source in &mut self.sources {
                while source.first().is_none() && source.has_more() {
                    match source.read(session.client().await?).await {
                        Ok(()) => {}
                        Err(fault) if is_absent(&fault) => source.is_absent(),
                        // It is asked again at the next look, where there is one.
                        Err(fault) if is_away(&fault) => {
                            if patience == Patience::Now {
                                session.failure(&fault).tell(session.screen);
                            }
                            source.is_absent();
                        }
                        Err(fault) => return Ok(Err(fault)),
                    }
                }
            }
            if !self.print_some(session)? {
                return Ok(Ok(()));
            }
        }
    }

    /// Prints until a stream has to be asked; `false` where nothing was there.
    fn print_some(&mut self, session: &mut Session<'_>) -> Result<bool, Failure> {
        let mut any = false;
        loop {
            let dry = |source: &Source| source.first().is_none() && source.has_more();
            if any && self.sources.iter().any(dry) {
                return Ok(true);
            }
            let at = |source: &Source| source.first().map(Item::at);
            let there = self.sources.iter_mut().filter(|one| one.first().is_some());
            let Some(source) = there.min_by_key(|one| at(one)) else {
                return Ok(any);
            };
            let (task, stream) = (source.task(), source.stream());
            if let Some(item) = source.next() {
                self.print(session, (task, stream), &item)?;
            }
            any = true;
        }
    }

    fn print(
        &self,
        session: &mut Session<'_>,
        (task, stream): (u32, StreamName),
        item: &Item,
    ) -> Result<(), Failure> {
        let prefix = if self.has_prefix {
            format!("{task} | ")
        } else {
            String::new()
        };
        let line = match item {
            Item::Missing { bytes, .. } => {
                let text = session.language().logs_missing(bytes);
                session.screen.tell(&format!("{prefix}{text}"));
                return Ok(());
            }
            Item::Line(line) => &line.bytes,
        };
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if self.grep.as_ref().is_some_and(|grep| !grep.is_match(text)) {
            return Ok(());
        }
        let mut whole = prefix.into_bytes();
        whole.extend_from_slice(line);
        // Of several, the next line must begin a new one.
        if self.has_prefix && line.last() != Some(&b'\n') {
            whole.push(b'\n');
        }
        if stream == StreamName::Stderr {
            session.screen.err_bytes(&whole);
            return Ok(());
        }
        session.screen.print_bytes(&whole)
    }

    /// Prints also what stands behind the last line end.
    pub(super) fn finish(&mut self, session: &mut Session<'_>) -> Result<(), Failure> {
        for source in &mut self.sources {
            source.close();
        }
        while self.print_some(session)? {}
        session.screen.flush()
    }
}

/// There is no log, or not yet.
fn is_absent(fault: &ClientFault) -> bool {
    let code = fault.problem().map(|problem| problem.code.as_str());
    is_not_started(fault) || code == Some("E-OUTPUT-GONE")
}

/// Its node does not answer.
fn is_away(fault: &ClientFault) -> bool {
    let code = fault.problem().map(|problem| problem.code.as_str());
    code == Some("E-OUTPUT-UNREACHABLE")
}

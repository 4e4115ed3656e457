//! One stream of one task, run after run.

use flota_model::outcome::StreamName;

use super::lines::{Item, Lines};
use crate::{
    client::{Client, LogPart, LogQuery, LogStart},
    fault::ClientFault,
};

/// Where no log has a byte; as an offset it is still valid.
const BEHIND_ALL: u64 = 1 << 62;

/// Which log, and from where on.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) job: u64,
    pub(super) task: u32,
    pub(super) stream: StreamName,
    pub(super) attempt: Option<String>,
    pub(super) run: Option<u32>,
    pub(super) start: LogStart,
    pub(super) until: Option<u64>,
}

/// A stream while it is read.
#[derive(Debug)]
pub(super) struct Source {
    request: Request,
    /// Where it came to. Asked for again after a fault, so that nothing is missed or doubled.
    place: Option<Place>,
    lines: Lines,
    state: State,
}

#[derive(Debug, Clone)]
struct Place {
    attempt: String,
    run: u32,
    next: u64,
}

/// What can be expected of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is more now.
    More,
    /// There may be more later.
    Growing,
    /// The run has ended, or what was asked for.
    Ended,
}

impl Source {
    pub(super) fn new(request: Request) -> Self {
        Self {
            request,
            place: None,
            lines: Lines::default(),
            state: State::More,
        }
    }

    pub(super) fn job(&self) -> u64 {
        self.request.job
    }

    pub(super) fn task(&self) -> u32 {
        self.request.task
    }

    pub(super) fn stream(&self) -> StreamName {
        self.request.stream
    }

    pub(super) fn first(&self) -> Option<&Item> {
        self.lines.first()
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        self.lines.next()
    }

    /// Whether asking now may bring something.
    pub(super) fn has_more(&self) -> bool {
        self.state == State::More
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// There is no log now.
    pub(super) fn is_absent(&mut self) {
        self.state = State::Growing;
    }

    /// Asks again what had nothing more.
    pub(super) fn wake(&mut self) {
        if self.state == State::Growing {
            self.state = State::More;
        }
    }

    /// Asks for the next part.
    pub(super) async fn read(&mut self, client: &mut Client) -> Result<(), ClientFault> {
        let query = match &self.place {
            Some(place) => self.query(
                Some((place.attempt.clone(), place.run)),
                LogStart::Offset(place.next),
            ),
            None => LogQuery {
                attempt: self.request.attempt.clone(),
                run: self.request.run,
                ..self.query(None, self.request.start)
            },
        };
        let part = client.log(&query).await?;
        self.take(part, query.start);
        Ok(())
    }

    fn query(&self, of: Option<(String, u32)>, start: LogStart) -> LogQuery {
        let (attempt, run) = of.unzip();
        LogQuery {
            job: self.request.job,
            task: self.request.task,
            stream: self.request.stream,
            attempt,
            run,
            start,
            until: self.request.until,
        }
    }

    fn take(&mut self, part: LogPart, asked: LogStart) {
        let missing = match asked {
            LogStart::Offset(offset) => part.start.saturating_sub(offset),
            LogStart::Tail(_) | LogStart::Since(_) => 0,
        };
        self.lines.take(&part, missing);
        self.state = match (part.at_end, part.growing) {
            (false, _) => State::More,
            (true, true) => State::Growing,
            (true, false) => State::Ended,
        };
        if self.state == State::Ended {
            self.lines.close();
        }
        self.place = Some(Place {
            attempt: part.attempt,
            run: part.run,
            next: part.next,
        });
    }

    /// Goes over to a later run or attempt, where there is one. The next run, not the last: short ones
    /// may have come between.
    pub(super) async fn move_on(&mut self, client: &mut Client) -> Result<bool, ClientFault> {
        let Some(place) = self.place.clone() else {
            return Ok(false);
        };
        if self.request.run.is_some() || self.request.attempt.is_some() {
            return Ok(false);
        }
        let newest = client
            .log(&self.query(None, LogStart::Offset(BEHIND_ALL)))
            .await?;
        let next = if newest.attempt != place.attempt {
            newest.run.min(1)
        } else if newest.run > place.run {
            place.run + 1
        } else {
            return Ok(false);
        };
        self.place = Some(Place {
            attempt: newest.attempt,
            run: next,
            next: 0,
        });
        self.state = State::More;
        Ok(true)
    }

    /// What stands behind the last line end is shown, too.
    pub(super) fn close(&mut self) {
        self.lines.close();
    }
}

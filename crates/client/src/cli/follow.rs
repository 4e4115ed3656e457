//! `flota job logs --follow`: the outputs of a task as they are written, attempt by attempt.

use std::time::Duration;

use flota_model::{outcome::StreamName, state::TaskState};
use flota_wire::rest::Task;

use super::{
    Session,
    absence::Absence,
    logs::{Reading, is_not_started},
    story,
};
use crate::{exit::Exit, failure::Failure, fault::ClientFault};

/// Between two looks at an output that may grow.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Passes on the outputs until the task ends, also across restarts of the server.
pub(super) async fn follow(
    session: &mut Session<'_>,
    job: u64,
    task: u32,
    streams: &[StreamName],
) -> Result<Exit, Failure> {
    let new = |stream: &StreamName| Reading::new(job, task, *stream);
    let mut following = Following {
        readings: streams.iter().map(new).collect(),
    };
    let mut absence = Absence::new();
    loop {
        // Asked before the outputs, so that nothing written before the end is missed.
        let (client, _) = session.client_and_screen().await?;
        let looked = match client.task(job, task).await {
            Ok(looked) => following.look(session, looked).await?,
            Err(fault) => Err(fault),
        };
        match looked {
            Ok(Look::Ended(task)) => return tell_end(session, *task).await,
            Ok(Look::NextAttempt) => absence.end(),
            Ok(Look::Open) => {
                absence.end();
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            Err(fault) if absence.is_bearable(&fault) => absence.pause().await,
            Err(fault) => return Err(session.failure(&fault)),
        }
    }
}

/// What there is to do next.
enum Look {
    /// More may come.
    Open,
    /// Another attempt has left something.
    NextAttempt,
    /// All of it was passed on.
    Ended(Box<Task>),
}

struct Following {
    readings: Vec<Reading>,
}

impl Following {
    /// Passes on what there is of a task that was just looked at.
    async fn look(
        &mut self,
        session: &mut Session<'_>,
        task: Task,
    ) -> Result<Result<Look, ClientFault>, Failure> {
        let ended = is_terminal(&task.state);
        for reading in &mut self.readings {
            let (client, screen) = session.client_and_screen().await?;
            match reading.read(client, screen).await {
                Err(fault) if is_not_started(&fault) => {}
                Err(fault) if !ended && is_not_there_now(&fault) => {}
                Err(fault) => return Ok(Err(fault)),
                Ok(()) => {}
            }
        }
        session.screen.flush()?;
        if let Some(next) = self.next_attempt(session, &task).await? {
            let text = session.language().output_restarted(task.index);
            session.screen.mention(&text);
            let readings = std::mem::take(&mut self.readings).into_iter();
            self.readings = readings.map(|reading| reading.of_attempt(&next)).collect();
            return Ok(Ok(Look::NextAttempt));
        }
        Ok(Ok(if ended {
            Look::Ended(Box::new(task))
        } else {
            Look::Open
        }))
    }

    /// The attempt after the one that was read to its end: it ended too, or runs.
    async fn next_attempt(
        &self,
        session: &mut Session<'_>,
        task: &Task,
    ) -> Result<Option<String>, Failure> {
        let mut readings = self.readings.iter();
        let Some((reading, read)) = readings.find_map(|one| Some((one, one.attempt()?))) else {
            return Ok(None);
        };
        let mut after = task.attempts.iter().skip_while(|one| one.id != read);
        if after.next().is_none() {
            return Ok(None);
        }
        if let Some(next) = after.next() {
            return Ok(Some(next.id.clone()));
        }
        if is_terminal(&task.state) {
            return Ok(None);
        }
        let (client, screen) = session.client_and_screen().await?;
        // What cannot be told now can be told at the next look.
        let newest = reading.newest(client, screen).await.ok().flatten();
        Ok(newest.filter(|newest| newest != read))
    }
}

pub(super) fn is_terminal(state: &str) -> bool {
    let known = TaskState::ALL
        .into_iter()
        .find(|known| known.word() == state);
    known.is_some_and(TaskState::is_terminal)
}

/// The attempt is just being started, or its node is away.
fn is_not_there_now(fault: &ClientFault) -> bool {
    let code = fault.problem().map(|problem| problem.code.as_str());
    matches!(code, Some("E-OUTPUT-GONE" | "E-OUTPUT-UNREACHABLE"))
}

/// Tells how a task ended, and ends so.
pub(super) async fn tell_end(session: &mut Session<'_>, task: Task) -> Result<Exit, Failure> {
    let tasks = [task];
    let names = story::node_names(session, &tasks).await;
    let language = session.language();
    let story = story::of_task(language, &tasks[0], &names);
    session
        .screen
        .mention(&language.follow_ended(tasks[0].index, story));
    Ok(exit_of(&tasks[0]))
}

/// As a shell would: the code of the program, 128 and the signal that ended it. Where it did not end by
/// itself, only that it did not succeed.
fn exit_of(task: &Task) -> Exit {
    /// `man 7 signal`.
    const SIGKILL: u8 = 9;
    if task.state == "succeeded" {
        return Exit::Ok;
    }
    let Some(last) = task.attempts.last() else {
        return Exit::JobFailed;
    };
    match (last.outcome.as_str(), last.exit_code, last.signal) {
        ("exited", Some(code), _) => Exit::Program(code),
        ("signalled", _, Some(signal)) => Exit::Program(signal.saturating_add(128)),
        ("out_of_memory", _, _) => Exit::Program(SIGKILL + 128),
        _ => Exit::JobFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_followed_task_ends_us_as_it_ended() {
        let exit = |state: &str, ending: serde_json::Value| {
            let mut attempt = serde_json::json!({
                "id": "1-0-1", "node": 1, "counted": true, "granted_at": 0.0, "ended_at": 1.0,
                "user_seconds": 0.0, "system_seconds": 0.0, "outputs": {},
            });
            let (Some(all), Some(more)) = (attempt.as_object_mut(), ending.as_object()) else {
                panic!("not an object");
            };
            all.extend(more.clone());
            let task = serde_json::json!({"index": 0, "state": state, "attempts": [attempt]});
            exit_of(&serde_json::from_value(task).unwrap()).code()
        };
        let json = |text: &str| serde_json::from_str(text).unwrap();
        let failed = |text| exit("failed", json(text));
        assert_eq!(
            exit(
                "succeeded",
                json(r#"{"outcome": "exited", "exit_code": 0}"#)
            ),
            0
        );
        assert_eq!(failed(r#"{"outcome": "exited", "exit_code": 42}"#), 42);
        assert_eq!(failed(r#"{"outcome": "signalled", "signal": 15}"#), 143);
        assert_eq!(failed(r#"{"outcome": "out_of_memory"}"#), 137);
        assert_eq!(failed(r#"{"outcome": "timed_out"}"#), 5);
        assert_eq!(exit("unknown", json(r#"{"outcome": "unknown"}"#)), 5);
    }
}

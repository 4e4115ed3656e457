//! What watchers are told of services and replicas.

use flota_model::{
    news::{ReplicaNews, ServiceNews},
    outcome::Outcome,
    service::{ReplicaState, ReplicaStatus},
};

use crate::fleet::{Fleet, api::FleetEvent, settle::Place};

/// What is new in what an agent says of a replica; at most two things.
pub(super) fn news(before: Option<&ReplicaStatus>, after: &ReplicaStatus) -> Vec<ReplicaNews> {
    let same_run = before.filter(|before| before.run == after.run);
    let was = same_run.map(|before| before.state);
    let was_up = matches!(was, Some(ReplicaState::Running | ReplicaState::Ready));
    let mut news = Vec::new();
    match after.state {
        ReplicaState::Running if was == Some(ReplicaState::Ready) => {
            news.push(ReplicaNews::NotReady);
        }
        ReplicaState::Running | ReplicaState::Ready => {
            if !was_up {
                news.push(ReplicaNews::Started);
            }
            if after.state == ReplicaState::Ready && was != Some(ReplicaState::Ready) {
                news.push(ReplicaNews::Ready);
            }
        }
        ReplicaState::BackingOff if was != Some(ReplicaState::BackingOff) => {
            news.push(ReplicaNews::Ended);
        }
        ReplicaState::CrashLoop if was != Some(ReplicaState::CrashLoop) => {
            news.push(ReplicaNews::CrashLoop);
        }
        ReplicaState::BackingOff
        | ReplicaState::CrashLoop
        | ReplicaState::Waiting
        | ReplicaState::Starting
        | ReplicaState::Stopping
        | ReplicaState::Finished
        | ReplicaState::Stopped => {}
    }
    news
}

impl Fleet {
    pub(super) fn tell_service(&mut self, name: &str, news: ServiceNews) {
        let Some(entry) = self.jobs.services.known.get(name) else {
            return;
        };
        let event = FleetEvent::Service {
            service: name.to_owned(),
            news,
            job: entry.record.job,
            replicas: entry.record.replicas,
            at: self.office.now.wall,
        };
        self.publish(event);
    }

    /// Tells what is new of a replica, of which the fleet knows `place`.
    pub(super) fn tell_replica(&mut self, place: Place, after: &ReplicaStatus) {
        let known = self.jobs.services.statuses.get(&place.attempt);
        for news in news(known.map(|seen| &seen.status), after) {
            let is_end = matches!(news, ReplicaNews::Ended | ReplicaNews::CrashLoop);
            let last = after.last.as_ref().filter(|_| is_end);
            let outcome = last.map(|end| end.outcome.clone());
            self.tell_of(place, (after.run, news), outcome);
        }
    }

    /// An attempt is over, and with it the last run of its program.
    pub(super) fn tell_end(&mut self, place: Place, outcome: &Outcome) {
        let known = self.jobs.services.statuses.get(&place.attempt);
        let run = known.map_or(0, |seen| seen.status.run);
        let is_known = known.is_some_and(|seen| {
            matches!(
                seen.status.state,
                ReplicaState::BackingOff | ReplicaState::CrashLoop
            )
        });
        // What rests between two runs has been told already.
        if !is_known {
            self.tell_of(place, (run, ReplicaNews::Ended), Some(outcome.clone()));
        }
    }

    fn tell_of(&mut self, place: Place, (run, news): (u32, ReplicaNews), outcome: Option<Outcome>) {
        let Some(service) = self.jobs.service_of(place.job) else {
            return;
        };
        self.publish(FleetEvent::Replica {
            service,
            replica: place.task,
            job: place.job,
            node: place.node,
            run,
            news,
            outcome,
            at: self.office.now.wall,
        });
    }
}

#[cfg(test)]
mod tests {
    use flota_model::{
        ids::{AttemptId, Epoch},
        units::Timestamp,
    };

    use super::*;

    #[test]
    fn each_change_of_a_replica_is_told_once() {
        use ReplicaNews as News;
        use ReplicaState as State;
        let status = |(run, state): (u32, State)| ReplicaStatus {
            attempt: AttemptId {
                epoch: Epoch(1),
                salt: 1,
                sequence: 1,
            },
            run,
            state,
            since: Timestamp(1),
            restarts: 0,
            last: None,
            failure: None,
            lines: None,
        };
        let steps = [
            ((1, State::Starting), vec![]),
            ((1, State::Running), vec![News::Started]),
            ((1, State::Running), vec![]),
            ((1, State::Ready), vec![News::Ready]),
            ((1, State::Ready), vec![]),
            ((1, State::Running), vec![News::NotReady]),
            ((1, State::Ready), vec![News::Ready]),
            ((1, State::BackingOff), vec![News::Ended]),
            ((1, State::BackingOff), vec![]),
            // Runs in between were too short to be told.
            ((5, State::CrashLoop), vec![News::CrashLoop]),
            ((6, State::CrashLoop), vec![News::CrashLoop]),
            ((7, State::Ready), vec![News::Started, News::Ready]),
            ((8, State::Ready), vec![News::Started, News::Ready]),
            ((8, State::Stopping), vec![]),
        ];
        let mut before: Option<ReplicaStatus> = None;
        for (step, expected) in steps {
            let after = status(step);
            assert_eq!(news(before.as_ref(), &after), expected, "{step:?}");
            before = Some(after);
        }
    }
}

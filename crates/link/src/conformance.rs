//! What every engine must do, with real sockets. An engine implements [`Engine`] for its tests and
//! names itself in [`suite`].

use std::{future::Future, time::Duration};

use flota_model::{
    frame::{Down, DownBody, Up, UpBody},
    ids::{Authority, ConnectionId, RequestId, SessionNumber},
    units::Moment,
};

use crate::{AgentEvent, AgentLink, ServerEvent, ServerLink};

mod cases;

pub(crate) use cases::*;

/// An engine with its server running.
pub(crate) trait Engine: Sized {
    /// Starts a server that takes this many connections.
    async fn start(connections_max: usize) -> Self;
    /// The server's end.
    fn server(&mut self) -> &mut ServerLink;
    /// Ends the server as a crash would, and starts another one at the same address.
    async fn restart(self) -> Self;
    /// A new agent.
    fn agent(&self, seed: u64) -> AgentLink;
}

/// Makes a test of each case for one engine.
macro_rules! suite {
    ($engine:ty: $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::conformance::within(crate::conformance::$case::<$engine>()).await;
            }
        )*
    };
    ($engine:ty) => {
        crate::conformance::suite!($engine:
            ten_thousand_frames_arrive_in_order_on_each_way,
            the_greatest_frame_arrives,
            a_close_by_the_server_comes_after_what_was_sent,
            a_close_by_the_agent_comes_after_what_was_sent,
            an_agent_that_goes_away_is_noticed,
            an_agent_finds_a_restarted_server,
            a_dropped_link_closes_all_connections,
            an_agent_that_does_not_take_frames_is_cut,
            a_server_that_does_not_take_frames_is_cut,
            a_frame_that_is_too_long_ends_the_connection_of_the_agent,
            a_frame_that_is_too_long_ends_the_connection_of_the_server,
            agents_above_the_limit_are_refused_until_there_is_room,
            what_is_sent_to_nobody_is_dropped,
        );
    };
}

pub(crate) use suite;

/// Longest time for anything; far above what is needed, so that a slow machine passes.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("nothing should take this long")
}

/// A small frame with a number.
fn beat(number: u64) -> Up {
    let body = UpBody::Heartbeat {
        sent_at: Moment(number),
        running: Vec::new(),
        sample: None,
    };
    Up {
        session: SessionNumber(1),
        sequence: number,
        body,
    }
}

/// A small frame with a number.
fn seen(number: u64) -> Down {
    let body = DownBody::HeartbeatSeen {
        sent_at: Moment(number),
    };
    Down {
        session: SessionNumber(1),
        sequence: number,
        authority: Authority::default(),
        body,
    }
}

/// A frame of at least this many bytes. Not one that a receiver would accept from a real agent.
fn long(length: usize) -> Up {
    let part = flota_model::frame::OutputPart {
        bytes: vec![7; length],
        ..Default::default()
    };
    let body = UpBody::OutputPart {
        request: RequestId(1),
        part: Ok(part),
    };
    Up {
        session: SessionNumber(1),
        sequence: 0,
        body,
    }
}

async fn connected(agent: &mut AgentLink) -> ConnectionId {
    loop {
        match agent.next().await.expect("the engine lives") {
            AgentEvent::Connected { connection } => return connection,
            AgentEvent::Retrying { .. } => {}
            other @ (AgentEvent::Frame { .. } | AgentEvent::Disconnected { .. }) => {
                panic!("{other:?}")
            }
        }
    }
}

/// The end of a connection, after all frames that are still to come on it.
async fn disconnected(agent: &mut AgentLink) -> (u64, String) {
    let mut frames = 0;
    loop {
        match agent.next().await.expect("the engine lives") {
            AgentEvent::Frame { .. } => frames += 1,
            AgentEvent::Disconnected { why, .. } => return (frames, why),
            other @ (AgentEvent::Connected { .. } | AgentEvent::Retrying { .. }) => {
                panic!("{other:?}")
            }
        }
    }
}

async fn frame_at_server(server: &mut ServerLink) -> (ConnectionId, Up) {
    match server.next().await.expect("the engine lives") {
        ServerEvent::Frame { connection, frame } => (connection, frame),
        other @ ServerEvent::Closed { .. } => panic!("{other:?}"),
    }
}

/// An agent that has sent its first frame, with the connection as each side calls it.
async fn greeted<E: Engine>(engine: &mut E, seed: u64) -> (AgentLink, ConnectionId, ConnectionId) {
    let mut agent = engine.agent(seed);
    let at_agent = connected(&mut agent).await;
    agent.sender().send(at_agent, beat(0));
    let (at_server, frame) = frame_at_server(engine.server()).await;
    assert_eq!(frame, beat(0));
    (agent, at_agent, at_server)
}

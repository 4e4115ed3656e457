use flota_wire::frames::FRAME_LENGTH_MAX;

use super::*;

pub(crate) async fn ten_thousand_frames_arrive_in_order_on_each_way<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut agent, at_agent, at_server) = greeted(&mut engine, 1).await;
    let (to_server, to_agent) = (agent.sender(), engine.server().sender());
    for number in 0..10_000 {
        to_server.send(at_agent, beat(number));
        to_agent.send(at_server, seen(number));
    }
    let at_the_agent = async {
        for number in 0..10_000 {
            let expected = AgentEvent::Frame {
                connection: at_agent,
                frame: seen(number),
            };
            assert_eq!(agent.next().await, Some(expected));
        }
    };
    let at_the_server = async {
        for number in 0..10_000 {
            assert_eq!(
                frame_at_server(engine.server()).await,
                (at_server, beat(number))
            );
        }
    };
    tokio::join!(at_the_agent, at_the_server);
    assert_eq!(agent.try_next(), None);
    assert_eq!(engine.server().try_next(), None);
}

pub(crate) async fn the_greatest_frame_arrives<E: Engine>() {
    let mut engine = E::start(10).await;
    let (agent, at_agent, _) = greeted(&mut engine, 1).await;
    let mut frame = beat(1);
    // Each range takes 17 bytes, so this is the longest heartbeat below the limit.
    let range = flota_model::ids::AttemptRange {
        first: flota_model::ids::AttemptId {
            epoch: flota_model::ids::Epoch(1),
            salt: u64::MAX,
            sequence: 1,
        },
        count: 1,
    };
    let count = (FRAME_LENGTH_MAX - 64) / 17;
    frame.body = UpBody::Heartbeat {
        sent_at: Moment(1),
        running: vec![range; count],
        sample: None,
    };
    let to_server = agent.sender();
    to_server.send(at_agent, frame.clone());
    to_server.send(at_agent, frame.clone());
    assert_eq!(frame_at_server(engine.server()).await.1, frame);
    assert_eq!(frame_at_server(engine.server()).await.1, frame);
}

pub(crate) async fn a_close_by_the_server_comes_after_what_was_sent<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut agent, _, at_server) = greeted(&mut engine, 1).await;
    let to_agent = engine.server().sender();
    for number in 0..1_000 {
        to_agent.send(at_server, seen(number));
    }
    to_agent.close(at_server);
    let (frames, why) = disconnected(&mut agent).await;
    assert_eq!((frames, why.as_str()), (1_000, "closed by the server"));
    let closed = ServerEvent::Closed {
        connection: at_server,
    };
    assert_eq!(engine.server().next().await, Some(closed));
}

pub(crate) async fn a_close_by_the_agent_comes_after_what_was_sent<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut agent, at_agent, at_server) = greeted(&mut engine, 1).await;
    let to_server = agent.sender();
    for number in 0..1_000 {
        to_server.send(at_agent, beat(number));
    }
    to_server.close(at_agent);
    for number in 0..1_000 {
        assert_eq!(
            frame_at_server(engine.server()).await,
            (at_server, beat(number))
        );
    }
    let closed = ServerEvent::Closed {
        connection: at_server,
    };
    assert_eq!(engine.server().next().await, Some(closed));
    assert_eq!(
        disconnected(&mut agent).await,
        (0, "closed by this agent".to_owned())
    );
    // Whoever closes wants a new one.
    assert!(connected(&mut agent).await > at_agent);
}

pub(crate) async fn an_agent_that_goes_away_is_noticed<E: Engine>() {
    let mut engine = E::start(10).await;
    let (agent, _, at_server) = greeted(&mut engine, 1).await;
    drop(agent);
    let closed = ServerEvent::Closed {
        connection: at_server,
    };
    assert_eq!(engine.server().next().await, Some(closed));
}

pub(crate) async fn an_agent_finds_a_restarted_server<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut agent, before, _) = greeted(&mut engine, 1).await;
    let mut engine = engine.restart().await;
    disconnected(&mut agent).await;
    let after = connected(&mut agent).await;
    assert!(after > before);
    agent.sender().send(before, beat(1));
    agent.sender().send(after, beat(2));
    assert_eq!(frame_at_server(engine.server()).await.1, beat(2));
}

pub(crate) async fn a_dropped_link_closes_all_connections<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut first, _, at_server) = greeted(&mut engine, 1).await;
    let (mut second, ..) = greeted(&mut engine, 2).await;
    engine.server().sender().send(at_server, seen(1));
    // The link has no state of its own, so a closed one in its place is as good as none.
    let (_, inbox) = tokio::sync::mpsc::channel(1);
    *engine.server() = ServerLink::new(inbox, std::sync::Arc::new(Nobody));
    assert_eq!(disconnected(&mut first).await.0, 1);
    assert_eq!(disconnected(&mut second).await.0, 0);
    let Some(AgentEvent::Retrying { why, .. }) = first.next().await else {
        panic!("a server that stops takes no connections");
    };
    assert!(why.contains("stopping"), "{why}");
}

struct Nobody;

impl crate::ServerOutlet for Nobody {
    fn send(&self, _: ConnectionId, _: Down) {}
    fn close(&self, _: ConnectionId) {}
    fn close_all(&self) {}
}

pub(crate) async fn an_agent_that_does_not_take_frames_is_cut<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut slow, _, to_slow) = greeted(&mut engine, 1).await;
    let (mut quick, _, to_quick) = greeted(&mut engine, 2).await;
    let sender = engine.server().sender();
    let mut sent = 0;
    let closed = loop {
        // In bursts, so that the engine can fill its buffers; never waiting for the agent.
        for _ in 0..1_000 {
            sender.send(to_slow, seen(sent));
            sent += 1;
        }
        tokio::task::yield_now().await;
        if let Some(event) = engine.server().try_next() {
            break event;
        }
    };
    assert_eq!(
        closed,
        ServerEvent::Closed {
            connection: to_slow
        }
    );
    sender.send(to_quick, seen(7));
    let Some(AgentEvent::Frame { frame, .. }) = quick.next().await else {
        panic!("the others go on");
    };
    assert_eq!(frame, seen(7));
    let (frames, why) = disconnected(&mut slow).await;
    assert!(frames < sent, "{frames} of {sent}");
    assert!(why.contains("does not take"), "{why}");
}

pub(crate) async fn a_server_that_does_not_take_frames_is_cut<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut agent, at_agent, _) = greeted(&mut engine, 1).await;
    let sender = agent.sender();
    let mut sent = 0;
    let why = loop {
        for _ in 0..1_000 {
            sender.send(at_agent, beat(sent));
            sent += 1;
        }
        tokio::task::yield_now().await;
        if let Some(event) = agent.try_next() {
            let AgentEvent::Disconnected { why, .. } = event else {
                panic!("{event:?}");
            };
            break why;
        }
    };
    assert!(why.contains("does not take"), "{why}");
    let mut taken = 0;
    while let ServerEvent::Frame { .. } = engine.server().next().await.unwrap() {
        taken += 1;
    }
    assert!(taken < sent, "{taken} of {sent}");
}

pub(crate) async fn a_frame_that_is_too_long_ends_the_connection_of_the_agent<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut agent, at_agent, at_server) = greeted(&mut engine, 1).await;
    agent.sender().send(at_agent, beat(1));
    agent.sender().send(at_agent, long(FRAME_LENGTH_MAX));
    let why = disconnected(&mut agent).await.1;
    assert!(why.contains("at most 4194304 allowed"), "{why}");
    // Those before it may arrive or not.
    while let ServerEvent::Frame { connection, frame } = engine.server().next().await.unwrap() {
        assert_eq!((connection, frame), (at_server, beat(1)));
    }
    connected(&mut agent).await;
}

pub(crate) async fn a_frame_that_is_too_long_ends_the_connection_of_the_server<E: Engine>() {
    let mut engine = E::start(10).await;
    let (mut agent, _, at_server) = greeted(&mut engine, 1).await;
    let range = flota_model::ids::AttemptRange::one(flota_model::ids::AttemptId {
        salt: 1,
        ..Default::default()
    });
    let mut frame = seen(1);
    frame.body = DownBody::Forget(vec![range; FRAME_LENGTH_MAX / 8]);
    engine.server().sender().send(at_server, frame);
    let closed = ServerEvent::Closed {
        connection: at_server,
    };
    assert_eq!(engine.server().next().await, Some(closed));
    let (frames, why) = disconnected(&mut agent).await;
    assert_eq!(frames, 0);
    assert!(why.contains("at most 4194304 allowed"), "{why}");
}

pub(crate) async fn agents_above_the_limit_are_refused_until_there_is_room<E: Engine>() {
    let mut engine = E::start(1).await;
    let (first, ..) = greeted(&mut engine, 1).await;
    let mut second = engine.agent(2);
    for _ in 0..2 {
        let Some(AgentEvent::Retrying { why, .. }) = second.next().await else {
            panic!("there is no room");
        };
        assert!(why.contains("its limit of 1 connections"), "{why}");
    }
    drop(first);
    connected(&mut second).await;
}

pub(crate) async fn what_is_sent_to_nobody_is_dropped<E: Engine>() {
    let mut engine = E::start(10).await;
    let (agent, at_agent, at_server) = greeted(&mut engine, 1).await;
    let nobody = ConnectionId(999);
    engine.server().sender().send(nobody, seen(1));
    engine.server().sender().close(nobody);
    agent.sender().send(nobody, beat(1));
    agent.sender().close(nobody);
    agent.sender().send(at_agent, beat(2));
    assert_eq!(frame_at_server(engine.server()).await, (at_server, beat(2)));
}

//! `flota service`.

mod file;
mod history;
mod lines;
mod order;
mod run;
mod show;
mod wait;

use clap::ArgMatches;

use self::wait::Goal;
use super::Session;
use crate::{client::Order, exit::Exit, failure::Failure};

/// The command below `service`.
pub(super) async fn dispatch(
    session: &mut Session<'_>,
    word: &str,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    match word {
        "ls" => show::list(session).await,
        "show" => show::show(session, named(matches)).await,
        "apply" => order::apply(session, matches).await,
        "run" => run::run(session, matches).await,
        "scale" => {
            let replicas = matches.get_one::<u32>("replicas").expect("it is required");
            order::order(session, matches, Order::Scale(*replicas), Goal::Ready).await
        }
        "restart" => {
            let restart = Order::Restart(at_a_time(matches));
            order::order(session, matches, restart, Goal::Ready).await
        }
        "history" => history::history(session, named(matches)).await,
        "rollback" => {
            let to = matches.get_one::<u64>("to").copied();
            let back = Order::RollBack(to, at_a_time(matches));
            order::order(session, matches, back, Goal::Ready).await
        }
        "start" => order::order(session, matches, Order::Start, Goal::Ready).await,
        "stop" => order::order(session, matches, Order::Stop, Goal::Stopped).await,
        "rm" => order::remove(session, named(matches)).await,
        other => {
            let what = session.language().usage_unknown_command(other);
            Err(Failure::usage(what))
        }
    }
}

/// How many replicas an update takes at a time, where that is asked for.
fn at_a_time(matches: &ArgMatches) -> Option<u32> {
    matches.get_one::<u32>("at-a-time").copied()
}

/// The argument that names a service.
fn named(matches: &ArgMatches) -> &str {
    matches
        .get_one::<String>("service")
        .expect("it is required")
}

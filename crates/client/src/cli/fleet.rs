//! `flota fleet` and `flota kernel`.

use flota_wire::rest::Fleet;

use super::{Session, ask};
use crate::{
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Listing, count},
};

pub(super) async fn show(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let fleet = ask!(session.fleet());
    let language = session.language();
    let (yes, no) = (language.value_yes(), language.value_no());
    let states = |fleet: &Fleet| {
        let words: Vec<String> = fleet
            .tasks
            .iter()
            .map(|(word, tasks)| format!("{word} {tasks}"))
            .collect();
        words.join(", ")
    };
    let fields = vec![
        Field::text("version", language.header_version(), |fleet: &Fleet| {
            fleet.version.clone()
        }),
        Field::number("epoch", language.header_epoch(), |fleet: &Fleet| {
            fleet.epoch.to_string()
        }),
        Field::number("term", language.header_term(), |fleet: &Fleet| {
            fleet.term.to_string()
        }),
        Field::number("jobs_live", language.header_jobs_live(), |fleet: &Fleet| {
            count(fleet.jobs_live)
        })
        .raw(|fleet| fleet.jobs_live.to_string()),
        Field::text("tasks", language.header_tasks(), states),
        Field::text(
            "store_behind",
            language.header_store_behind(),
            move |fleet: &Fleet| {
                if fleet.store_behind {
                    yes.clone()
                } else {
                    no.clone()
                }
            },
        )
        .raw(|fleet| fleet.store_behind.to_string()),
        Field::number(
            "waiting_for_nodes",
            language.header_waiting_for_nodes(),
            |fleet: &Fleet| fleet.waiting_for_nodes.to_string(),
        ),
    ];
    Details {
        item: &fleet,
        fields,
        name: |fleet| fleet.version.clone(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

pub(super) async fn recover(session: &mut Session<'_>) -> Result<Exit, Failure> {
    ask!(session.recover());
    let text = session.language().recovered();
    session.screen.mention(&text);
    Ok(Exit::Ok)
}

pub(super) async fn kernels(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let kernels = ask!(session.kernels());
    let header = session.language().header_name();
    let fields = vec![Field::text("name", header, String::clone)];
    Listing {
        items: &kernels,
        fields,
        name: String::clone,
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

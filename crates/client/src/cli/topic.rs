//! `flota version` and `flota help`.

use clap::ArgMatches;
use serde::Serialize;

use super::{Session, grammar};
use crate::{
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format, Listing},
};

#[derive(Serialize)]
struct Version {
    version: String,
}

pub(super) fn version(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let version = Version {
        version: session.options.version.clone(),
    };
    if session.screen.format() == Format::Table {
        session
            .screen
            .print_line(&format!("flota {}", version.version))?;
        return Ok(Exit::Ok);
    }
    let fields = vec![Field::text("version", String::new(), |item: &Version| {
        item.version.clone()
    })];
    let name = |item: &Version| item.version.clone();
    Details {
        item: &version,
        fields,
        name,
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

pub(super) fn help(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let topic: Vec<&str> = matches
        .get_many::<String>("topic")
        .unwrap_or_default()
        .map(String::as_str)
        .collect();
    if topic == ["exit-codes"] {
        return exit_codes(session);
    }
    let language = session.language();
    let mut command = grammar(language);
    command.build();
    let mut page = &mut command;
    for word in &topic {
        let Some(inner) = page.find_subcommand_mut(word) else {
            let failure = Failure::usage(language.usage_unknown_topic(topic.join(" ")));
            return Err(failure.hint(language.usage_see_help("flota")));
        };
        page = inner;
    }
    let text = page.render_help().to_string();
    session.screen.print(&text)?;
    Ok(Exit::Ok)
}

#[derive(Serialize)]
struct ExitCode {
    code: u8,
    meaning: String,
}

fn exit_codes(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let language = session.language();
    let code = |exit: Exit| ExitCode {
        code: exit.code(),
        meaning: exit.meaning(language),
    };
    let items: Vec<ExitCode> = Exit::ALL.into_iter().map(code).collect();
    let fields = vec![
        Field::number("code", language.header_code(), |item: &ExitCode| {
            item.code.to_string()
        }),
        Field::text("meaning", language.header_meaning(), |item: &ExitCode| {
            item.meaning.clone()
        }),
    ];
    if session.screen.format() == Format::Table {
        session.screen.print_line(&language.exit_codes_title())?;
    }
    Listing {
        items: &items,
        fields,
        name: |item| item.code.to_string(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

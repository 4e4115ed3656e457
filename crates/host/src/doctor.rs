//! `flota doctor`: what a server and an agent need on this machine, looked at one by one.
//!
//! Every check really does what it speaks of: it writes, syncs, binds, connects.

mod folder;
mod server;
mod system;

use flota_client::{Exit, Failure, Field, Listing, Screen};
use serde::Serialize;

use crate::{
    context::{Context, Threads},
    environment::Environment,
};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Works, but not as well as it could, or not for long.
    Warn,
    /// Something will not work.
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// Of what; the same in every language.
    #[serde(rename = "check")]
    name: &'static str,
    result: Verdict,
    found: String,
    /// What to do; absent where nothing is to be done.
    hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: String) -> Self {
        Self {
            name,
            result: Verdict::Ok,
            found,
            hint: None,
        }
    }

    fn warn(name: &'static str, found: String, hint: String) -> Self {
        Self {
            result: Verdict::Warn,
            hint: Some(hint),
            ..Self::ok(name, found)
        }
    }

    fn fail(name: &'static str, found: String, hint: String) -> Self {
        Self {
            result: Verdict::Fail,
            ..Self::warn(name, found, hint)
        }
    }

    /// A warning where `is_bad`.
    fn warn_if(is_bad: bool, name: &'static str, found: String, hint: String) -> Self {
        if is_bad {
            Self::warn(name, found, hint)
        } else {
            Self::ok(name, found)
        }
    }
}

/// Looks at everything and prints it.
pub fn doctor(context: &Context, screen: &mut Screen) -> Result<Exit, Failure> {
    let language = context.language;
    let data = context.data()?;
    let mut checks = vec![settings(context)];
    checks.extend(folder::checks(language, &data));
    checks.push(server::port(context, &data));
    checks.extend(system::checks(language, &context.settings.cgroup));
    let runtime = context.runtime(Threads::One)?;
    checks.extend(runtime.block_on(server::checks(context)));
    print(context, screen, &checks)?;
    Ok(exit(&checks))
}

fn settings(context: &Context) -> Check {
    let file = found_file(&context.environment, context.config.as_deref());
    let none = || context.language.doctor_settings_none();
    // It was read when we started, or we would not be here.
    Check::ok("settings", file.unwrap_or_else(none))
}

fn found_file(environment: &Environment, named: Option<&str>) -> Option<String> {
    let (path, _) = environment.settings_file(named).ok().flatten()?;
    Some(path.display().to_string())
}

fn print(context: &Context, screen: &mut Screen, checks: &[Check]) -> Result<(), Failure> {
    let language = context.language;
    let fields = vec![
        Field::text("check", language.header_check(), |one: &Check| {
            one.name.to_owned()
        }),
        Field::state("result", language.header_result(), |one: &Check| {
            one.result.word().to_owned()
        }),
        Field::text("found", language.header_found(), |one: &Check| {
            one.found.clone()
        }),
        Field::text("hint", language.header_hint(), |one: &Check| {
            one.hint.clone().unwrap_or_default()
        }),
    ];
    let listing = Listing {
        items: checks,
        fields,
        name: |one| one.name.to_owned(),
    };
    listing.print(screen)?;
    screen.flush()
}

/// The worst of all, as monitoring plugins end: 0, 1 or 2.
fn exit(checks: &[Check]) -> Exit {
    match checks.iter().map(|one| one.result).max() {
        None | Some(Verdict::Ok) => Exit::Ok,
        Some(Verdict::Warn) => Exit::Failed,
        Some(Verdict::Fail) => Exit::Usage,
    }
}

#[cfg(test)]
mod tests;

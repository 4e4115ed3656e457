//! `flota service history`: the specs that a service had.

use flota_wire::rest::service::Revision;

use super::super::{Session, ask};
use crate::{
    catalogue::Language,
    clock,
    exit::Exit,
    failure::Failure,
    render::{Field, Listing, age, seconds_ago},
};

/// Fields that are named; the API and -o json have more of them.
const NAMED_MAX: usize = 4;

pub(super) async fn history(session: &mut Session<'_>, name: &str) -> Result<Exit, Failure> {
    let revisions = ask!(session.revisions(name)).revisions;
    Listing {
        items: &revisions,
        fields: columns(session.language()),
        name: |one| one.job.to_string(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

fn columns(language: Language) -> Vec<Field<Revision>> {
    let now = clock::wall();
    vec![
        Field::number("job", language.header_revision(), |one: &Revision| {
            one.job.to_string()
        }),
        Field::text("current", language.header_current(), |one: &Revision| {
            if one.current { "*" } else { "" }.to_owned()
        })
        .raw(|one| one.current.to_string()),
        Field::text("cause", language.header_cause(), |one: &Revision| {
            one.cause.clone()
        }),
        Field::text("at", language.header_since(), move |one: &Revision| {
            age(seconds_ago(one.at, now))
        })
        .raw(|one| one.at.to_string()),
        Field::text("principal", language.header_by(), |one: &Revision| {
            one.principal.clone()
        }),
        Field::text(
            "changed",
            language.header_what_changed(),
            |one: &Revision| changed(one),
        )
        .raw(|one| one.changed.join(",")),
    ]
}

fn changed(one: &Revision) -> String {
    let named = one.changed.iter().take(NAMED_MAX).cloned();
    let mut named: Vec<String> = named.collect();
    let more = one.changed.len() - named.len() + one.changed_more as usize;
    if more > 0 {
        named.push(format!("+ {more}"));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named_up_to_a_few_fields_and_counted_beyond() {
        let of = |count: usize, changed_more| {
            changed(&Revision {
                job: 1,
                current: true,
                principal: String::new(),
                at: 0.0,
                cause: String::new(),
                changed: (0..count).map(|field| format!("f{field}")).collect(),
                changed_more,
                spec: serde_json::Value::Null,
            })
        };
        assert_eq!(of(0, 0), "");
        assert_eq!(of(2, 0), "f0, f1");
        assert_eq!(of(6, 3), "f0, f1, f2, f3, + 5");
    }
}

//! `::: a b ::: 1 2` as GNU parallel has it, `--sweep NAME=a,b`, and the shapes of files.

use std::collections::BTreeMap;

use clap::ArgMatches;
use flota_model::{
    parameters::{Axis, Parameters},
    spec::{TaskRange, Work},
};
use flota_wire::{inputs::LINE_COLUMN, spec::Job};

use super::input;
use crate::{catalogue::Language, failure::Failure};

/// Between lists of values.
const SEPARATOR: &str = ":::";

/// The words behind the options: a program with its arguments, and lists of values.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) argv: Vec<String>,
    lists: Vec<Vec<String>>,
}

impl Words {
    pub(super) fn of(matches: &ArgMatches) -> Self {
        let words = matches.get_many::<String>("program").unwrap_or_default();
        let mut parts = words.cloned().fold(vec![Vec::new()], |mut parts, word| {
            if word == SEPARATOR {
                parts.push(Vec::new());
            } else if let Some(part) = parts.last_mut() {
                part.push(word);
            }
            parts
        });
        let lists = parts.split_off(1);
        Self {
            argv: parts.pop().unwrap_or_default(),
            lists,
        }
    }
}

/// Gives the job the parameters of the command line, if there are any there.
pub(super) fn apply(
    language: Language,
    job: &mut Job,
    matches: &[&ArgMatches],
    words: &Words,
) -> Result<(), Failure> {
    let mut axes: Vec<Axis> = matches.iter().flat_map(|matches| sweeps(matches)).collect();
    let lists = (1..).zip(&words.lists).map(|(number, values)| Axis {
        name: number.to_string(),
        values: values.clone(),
    });
    axes.extend(lists);
    let mut table = None;
    for matches in matches {
        if let Some(found) = input::parameters(language, matches)? {
            table = Some(found);
        }
    }
    let names = match (&table, axes.is_empty()) {
        (Some(_), false) => return Err(Failure::usage(language.error_sweep_with_file())),
        (None, true) => return Ok(()),
        (Some((Parameters::Rows(rows), _)), true) if rows.columns == [LINE_COLUMN] => {
            vec![LINE_COLUMN.to_owned()]
        }
        (Some(_), true) => Vec::new(),
        (None, false) => (1..=words.lists.len())
            .map(|list| list.to_string())
            .collect(),
    };
    let (parameters, rows) = match table {
        Some((parameters, rows)) => (parameters, Some(rows)),
        None => (Parameters::Sweep(axes), None),
    };
    let is_ranged = matches.iter().any(|matches| matches.contains_id("array"));
    if !is_ranged {
        job.spec.tasks = range(&parameters);
    }
    (job.spec.parameters, job.rows) = (Some(parameters), rows);
    if !names.is_empty() {
        name_them(&mut job.spec.work, &names, !words.argv.is_empty());
    }
    Ok(())
}

fn sweeps(matches: &ArgMatches) -> Vec<Axis> {
    let pairs = matches
        .get_many::<(String, String)>("sweep")
        .unwrap_or_default();
    let axis = |(name, values): &(String, String)| Axis {
        name: name.clone(),
        values: values.split(',').map(str::to_owned).collect(),
    };
    pairs.map(axis).collect()
}

/// One task for each, counted from 1.
fn range(parameters: &Parameters) -> TaskRange {
    use flota_model::ids::TaskIndex;
    TaskRange {
        first: TaskIndex(1),
        last: TaskIndex(parameters.count().unwrap_or(u32::MAX).max(1)),
    }
}

/// Makes of `{}` the placeholders of `names`, and of `{#}` the index. A program of the command line that
/// names none of them gets them as its last arguments.
fn name_them(work: &mut Work, names: &[String], is_own: bool) {
    match work {
        Work::Kernel(call) => rewrite_values(&mut call.parameters, names),
        Work::Program(program) => {
            let mut argv = Vec::with_capacity(program.argv.len());
            for argument in &program.argv {
                if argument == "{}" {
                    argv.extend(names.iter().map(|name| format!("{{{name}}}")));
                } else {
                    argv.push(rewrite(argument, names));
                }
            }
            let is_named = |text: &String| {
                names
                    .iter()
                    .any(|name| text.contains(&format!("{{{name}}}")))
            };
            let elsewhere = program.environment.values();
            let places = elsewhere
                .chain(&program.stdin)
                .chain(&program.working_directory);
            let is_named_elsewhere = places
                .map(|text| rewrite(text, names))
                .any(|text| is_named(&text));
            if is_own && !is_named_elsewhere && !argv.iter().any(is_named) {
                argv.extend(names.iter().map(|name| format!("{{{name}}}")));
            }
            program.argv = argv;
            rewrite_values(&mut program.environment, names);
            for text in [&mut program.stdin, &mut program.working_directory] {
                *text = text.take().map(|text| rewrite(&text, names));
            }
        }
    }
}

fn rewrite_values(values: &mut BTreeMap<String, String>, names: &[String]) {
    for value in values.values_mut() {
        *value = rewrite(value, names);
    }
}

fn rewrite(text: &str, names: &[String]) -> String {
    let all: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
    let all = all.join(" ");
    let replacements = [
        ("{{", "{{"),
        ("}}", "}}"),
        ("{}", all.as_str()),
        ("{#}", "{index}"),
    ];
    let mut rewritten = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let found = replacements.iter().find(|(from, _)| rest.starts_with(from));
        let (text, length) = match found {
            Some((from, to)) => (*to, from.len()),
            None => (&rest[..letter.len_utf8()], letter.len_utf8()),
        };
        rewritten.push_str(text);
        rest = &rest[length..];
    }
    rewritten
}

//! Every text in both languages.

use std::collections::BTreeSet;

use clap::Command;

use super::{
    Entry, Language, care::CARE, control::CONTROL, doctor::DOCTOR, execution::EXECUTION,
    help::HELP, host::HOST, inputs::INPUTS, logs::LOGS, messages::MESSAGES, problems,
    processes::PROCESSES, services::SERVICES, usage::USAGE,
};
use crate::cli::grammar;

fn all() -> impl Iterator<Item = &'static Entry> {
    [
        CARE, CONTROL, DOCTOR, EXECUTION, HELP, HOST, INPUTS, LOGS, MESSAGES, PROCESSES, SERVICES,
        USAGE,
    ]
    .into_iter()
    .flatten()
}

/// The names between single braces.
fn placeholders(text: &str) -> BTreeSet<String> {
    let plain = text.replace("{{", "").replace("}}", "");
    plain
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn every_text_exists_in_both_languages_with_the_same_values() {
    let mut keys = BTreeSet::new();
    for entry in all() {
        assert!(keys.insert(entry.key), "{} stands twice", entry.key);
        for text in [entry.english, entry.spanish] {
            assert!(!text.is_empty(), "{} is empty", entry.key);
            assert_eq!(text.trim_end(), text, "{} ends with a space", entry.key);
            assert!(!text.contains('\t'), "{} has a tab", entry.key);
        }
        let (english, spanish) = (placeholders(entry.english), placeholders(entry.spanish));
        assert_eq!(english, spanish, "{}", entry.key);
    }
    assert!(keys.len() > 200, "only {} texts", keys.len());
}

/// Words that are the same in both languages on purpose.
const SAME: [&str; 6] = [
    "room_at",
    "word_error",
    "header_id",
    "value_no",
    "hint_next_logs",
    "hint_next_tasks",
];

#[test]
fn spanish_texts_are_translated() {
    for entry in all().filter(|entry| !SAME.contains(&entry.key)) {
        assert_ne!(entry.english, entry.spanish, "{}", entry.key);
    }
}

#[test]
fn spanish_exclamations_and_questions_open_before_they_close() {
    for entry in all() {
        for (open, close) in [('¿', '?'), ('¡', '!')] {
            let count = |letter| entry.spanish.matches(letter).count();
            assert_eq!(count(open), count(close), "{}", entry.key);
        }
    }
}

#[test]
fn every_problem_has_a_code_once_and_a_spanish_title() {
    let mut codes = BTreeSet::new();
    for entry in problems::PROBLEMS {
        assert!(codes.insert(entry.code), "{} stands twice", entry.code);
        assert!(!entry.title_es.is_empty(), "{}", entry.code);
        assert!(
            entry.hint.is_empty() || !entry.hint_es.is_empty(),
            "{}: the English hint has no Spanish one",
            entry.code
        );
    }
}

fn pages(command: &Command, path: &str, found: &mut Vec<(String, String)>) {
    let page = command.clone().render_help().to_string();
    found.push((path.to_owned(), page));
    for inner in command.get_subcommands() {
        pages(inner, &format!("{path} {}", inner.get_name()), found);
    }
}

fn all_pages(language: Language) -> Vec<(String, String)> {
    let mut root = grammar(language);
    root.build();
    let mut found = Vec::new();
    pages(&root, "flota", &mut found);
    found
}

#[test]
fn every_help_page_is_rendered_in_both_languages_without_a_word_of_the_parser() {
    let english = all_pages(Language::English);
    let spanish = all_pages(Language::Spanish);
    assert_eq!(english.len(), spanish.len());
    assert!(english.len() > 20, "only {} pages", english.len());
    for ((path, page), (_, translated)) in english.iter().zip(&spanish) {
        assert!(page.contains("Usage: flota"), "{path}:\n{page}");
        assert!(translated.contains("Uso: flota"), "{path}:\n{translated}");
        let foreign = [
            "Usage:",
            "Options:",
            "Commands:",
            "Arguments:",
            "[OPTIONS]",
            "Print ",
            "[default",
            "[possible",
            "[aliases",
            "[env",
        ];
        for word in foreign {
            assert!(
                !translated.contains(word),
                "{path} has `{word}`:\n{translated}"
            );
        }
        assert!(!page.contains("[possible"), "{path}:\n{page}");
    }
}

#[test]
fn examples_of_help_pages_are_command_lines_that_parse() {
    for (path, page) in all_pages(Language::English) {
        let examples = page
            .lines()
            .skip_while(|line| *line != "Examples:")
            .skip(1)
            .take_while(|line| line.starts_with("  "));
        for example in examples {
            // What is behind `>` is for the shell.
            let ours = example.split(" > ").next().unwrap();
            let arguments: Vec<_> = ours.split_whitespace().map(Into::into).collect();
            let parsed = crate::cli::parse(Language::English, &arguments);
            assert!(parsed.is_ok(), "{path}: {example}: {parsed:?}");
        }
    }
}

#[test]
fn the_language_is_the_first_one_known_in_the_order_of_precedence() {
    let check = |candidates: &[Option<&str>], expected| {
        let chosen = Language::choose(candidates.iter().copied());
        assert_eq!(chosen, expected, "{candidates:?}");
    };
    check(&[None, None], Language::English);
    check(&[Some("es"), Some("en")], Language::Spanish);
    check(&[None, Some("es_MX.UTF-8")], Language::Spanish);
    check(&[Some(""), Some("es_ES@euro")], Language::Spanish);
    check(&[Some("fr_FR.UTF-8"), Some("es")], Language::Spanish);
    check(&[Some("C.UTF-8"), Some("es")], Language::English);
}

#[test]
fn braces_of_placeholders_reach_the_person_single() {
    assert!(Language::English.help_program().contains("{index}"));
    assert!(Language::Spanish.dev_next().contains("{index}"));
}

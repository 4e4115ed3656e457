//! An error as it is told to a person or a program: once, with its code, its causes and a way out.

use std::{error::Error, io};

use flota_wire::{
    rest::{Fault, Problem},
    spec::SpecFaults,
};
use serde_json::{Value, json};

use crate::{
    catalogue::{Language, problem_text},
    exit::Exit,
    fault::ClientFault,
    render::{Paint, Screen, duration},
};

/// Why a command failed, in the language of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    /// `E-NOUN-REASON`.
    code: String,
    exit: Exit,
    what: String,
    /// From the outermost to the innermost.
    causes: Vec<String>,
    faults: Vec<Fault>,
    /// Lines shown as they are.
    excerpt: Vec<String>,
    hint: Option<String>,
    /// Nobody reads any more: nothing is told.
    silent: bool,
}

impl Failure {
    /// A failure with a stable code.
    pub fn new(code: &str, exit: Exit, what: String) -> Self {
        Self(Box::new(Parts {
            code: code.to_owned(),
            exit,
            what,
            causes: Vec::new(),
            faults: Vec::new(),
            excerpt: Vec::new(),
            hint: None,
            silent: false,
        }))
    }

    /// A mistake in the command line.
    pub fn usage(what: String) -> Self {
        Self::new("E-USAGE-INVALID", Exit::Usage, what)
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }

    /// Adds an error and all that it was caused by.
    #[must_use]
    pub fn because_of(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some libraries print their source with themselves.
            if !self.0.causes.iter().any(|told| told.contains(&text)) {
                self.0.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: String) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// Shows lines as they are, e.g. of a log.
    #[must_use]
    pub(crate) fn excerpt(mut self, lines: Vec<String>) -> Self {
        self.0.excerpt = lines;
        self
    }

    /// Lists faults with their fields.
    #[must_use]
    pub fn faults(mut self, faults: Vec<Fault>) -> Self {
        self.0.faults = faults;
        self
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    /// What went wrong.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What to do.
    pub fn suggestion(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What standard output gave. A reader that has enough (`| head`) is no failure.
    pub(crate) fn of_output(language: Language, source: &io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            let mut closed = Self::new("E-OUTPUT-CLOSED", Exit::Ok, String::new());
            closed.0.silent = true;
            return closed;
        }
        let what = language.error_output_unwritable();
        Self::new("E-OUTPUT-UNWRITABLE", Exit::Failed, what).because_of(source)
    }

    /// A file that cannot be read.
    pub(crate) fn of_unreadable(language: Language, path: &str, source: &io::Error) -> Self {
        let missing = source.kind() == io::ErrorKind::NotFound;
        let exit = if missing {
            Exit::NotFound
        } else {
            Exit::Failed
        };
        Self::new(
            "E-FILE-UNREADABLE",
            exit,
            language.error_file_unreadable(path),
        )
        .because_of(source)
    }

    /// A spec that is wrong before it was sent.
    pub(crate) fn of_spec(what: String, faults: SpecFaults) -> Self {
        Self::new("E-SPEC-INVALID", Exit::Usage, what).faults(faults.into())
    }

    /// What a request to the server gave.
    pub fn of_client(language: Language, fault: &ClientFault) -> Self {
        match fault {
            ClientFault::Problem(problem) => Self::of_problem(language, problem),
            ClientFault::Sink { source } => Self::of_output(language, source),
            ClientFault::Unreachable { endpoint, source } => {
                let what = language.error_server_unreachable(endpoint);
                Self::new("E-SERVER-UNREACHABLE", Exit::Unreachable, what)
                    .because_of(source)
                    .hint(language.hint_server_unreachable())
            }
            ClientFault::TimedOut { endpoint, after } => {
                let span = duration(after.as_secs_f64());
                let what = language.error_server_timeout(endpoint, span);
                Self::new("E-SERVER-TIMEOUT", Exit::Unreachable, what)
                    .hint(language.hint_server_timeout())
            }
            ClientFault::Broken { endpoint, source } => {
                let what = language.error_connection_broken(endpoint);
                Self::new("E-SERVER-BROKEN", Exit::Unreachable, what).because_of(source)
            }
            ClientFault::AnswerInvalid {
                endpoint,
                path,
                status,
                source,
            } => {
                let what = language.error_answer_invalid(path, endpoint);
                let failure = Self::new("E-ANSWER-INVALID", Exit::Failed, what)
                    .because(format!("HTTP {status}"))
                    .hint(language.hint_answer_invalid());
                match source {
                    Some(source) => failure.because_of(source),
                    None => failure,
                }
            }
            ClientFault::AnswerTooLong { path, limit } => {
                let what = language.error_answer_too_long(path, limit);
                Self::new("E-ANSWER-INVALID", Exit::Failed, what)
            }
            ClientFault::EndpointInvalid { text } => {
                let what = language.error_endpoint_invalid(text);
                Self::usage(what).hint(language.hint_endpoint_invalid())
            }
            ClientFault::EndpointTls { text } => Self::usage(language.error_endpoint_tls(text))
                .hint(language.hint_endpoint_invalid()),
            ClientFault::TokenUnreadable { path, source } => {
                let what = language.error_token_unreadable(path.display());
                Self::new("E-TOKEN-UNREADABLE", Exit::Forbidden, what).because_of(source)
            }
            ClientFault::TokenInvalid { path } => {
                let what = language.error_token_invalid(path.display());
                Self::new("E-TOKEN-INVALID", Exit::Forbidden, what)
            }
        }
    }

    fn of_problem(language: Language, problem: &Problem) -> Self {
        let text = problem_text(language, &problem.code);
        let title = text.and_then(|text| text.title).unwrap_or(&problem.title);
        let hint = text.and_then(|text| text.hint).or(problem.hint.as_deref());
        let exit = Exit::of_status(problem.status);
        let mut failure = Self::new(&problem.code, exit, title.to_owned());
        // The faults say it field by field.
        if problem.faults.is_empty() && !problem.detail.is_empty() {
            failure = failure.because(problem.detail.clone());
        }
        failure.0.faults.clone_from(&problem.faults);
        failure.0.hint = hint.map(str::to_owned);
        failure
    }

    /// Tells it on standard error: as JSON when the answer would have been JSON.
    pub fn tell(&self, screen: &mut Screen) {
        if self.0.silent {
            return;
        }
        let text = if screen.style.format.is_json() {
            self.to_json().to_string()
        } else {
            self.to_text(screen)
        };
        screen.tell(&text);
    }

    fn to_json(&self) -> Value {
        let parts = &self.0;
        json!({"error": {
            "code": parts.code,
            "title": parts.what,
            "causes": parts.causes,
            "faults": parts.faults,
            "excerpt": parts.excerpt,
            "hint": parts.hint,
            "exit_code": parts.exit.code(),
        }})
    }

    fn to_text(&self, screen: &Screen) -> String {
        let (parts, language) = (&self.0, screen.language());
        let mark = format!("{}[{}]", language.word_error(), parts.code);
        let mut lines = vec![format!(
            "{}: {}",
            screen.paint_err(&mark, Paint::Red),
            parts.what
        )];
        let (cause, hint) = (language.word_caused_by(), language.word_hint());
        lines.extend(parts.causes.iter().map(|text| format!("  {cause}: {text}")));
        for fault in &parts.faults {
            let field = if fault.field.is_empty() {
                String::new()
            } else {
                format!("{}: ", fault.field)
            };
            let more = fault
                .hint
                .as_ref()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            lines.push(format!("  - {field}{}{more}", fault.what));
        }
        lines.extend(parts.excerpt.iter().map(|line| format!("  {line}")));
        if let Some(text) = &parts.hint {
            lines.push(format!(
                "  {}: {text}",
                screen.paint_err(&hint, Paint::Green)
            ));
        }
        lines.join("\n")
    }
}

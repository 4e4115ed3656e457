//! `flota process show`: one process from all sides.

use clap::ArgMatches;
use flota_wire::rest::{
    inspect::ProcessDetails,
    sections::{Column, Section, Title},
};

use super::{
    super::{Session, ask, stop::Target},
    columns,
};
use crate::{
    catalogue::Language,
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format, clean, print_rows, utc},
};

pub(in super::super) async fn show(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let target = matches
        .get_one::<Target>("process")
        .expect("it is required");
    let Target::Process(name) = target else {
        unreachable!("the grammar takes no jobs here")
    };
    let details = ask!(session.process_details(name, matches.get_flag("environment")));
    let language = session.language();
    let format = session.screen.format();
    let sections = details.sections(&language.value_masked(), &language.value_unlimited());
    Details {
        item: &details,
        fields: fields(language),
        name: |details: &ProcessDetails| details.process.handle.clone(),
    }
    .print(session.screen)?;
    if format == Format::Table {
        for section in &sections {
            print(session, section)?;
        }
    }
    Ok(Exit::Ok)
}

/// What is no table.
fn fields(language: Language) -> Vec<Field<ProcessDetails>> {
    let of_list = columns(language, Format::Table, std::collections::BTreeMap::new());
    let mut fields: Vec<Field<ProcessDetails>> = of_list
        .into_iter()
        .map(|field| field.within(|details: &ProcessDetails| &details.process))
        .collect();
    let text = |key, header, show: fn(&ProcessDetails) -> String| Field::text(key, header, show);
    fields.extend([
        text("handle", language.header_handle(), |details| {
            details.process.handle.clone()
        }),
        text("parent", language.header_parent(), |details| {
            details.process.parent.to_string()
        }),
        text("cpu_seconds", language.header_seconds(), |details| {
            format!("{:.2}", details.process.cpu_seconds)
        }),
        text("started", language.header_started(), |details| {
            utc(details.process.started_at)
        }),
    ]);
    let deleted = language.value_deleted();
    fields.push(Field::text(
        "program",
        language.header_program(),
        move |details: &ProcessDetails| match &details.program {
            Some(program) if program.deleted => format!("{} {deleted}", program.path),
            Some(program) => program.path.clone(),
            None => reason(details, "program"),
        },
    ));
    fields.push(text("folder", language.header_folder(), |details| {
        let folder = details.folder.clone();
        folder.unwrap_or_else(|| reason(details, "folder"))
    }));
    fields.push(text("root", language.header_root(), |details| {
        let root = details.root.clone();
        root.unwrap_or_else(|| reason(details, "root"))
    }));
    fields
}

/// Why a field is null, in brackets.
fn reason(details: &ProcessDetails, field: &str) -> String {
    let reason = details.unreadable.get(field);
    reason.map_or_else(String::new, |reason| format!("[{reason}]"))
}

fn print(session: &mut Session<'_>, section: &Section) -> Result<(), Failure> {
    let language = session.language();
    let title = language.section(section.title);
    let line = match &section.reason {
        Some(reason) => format!("\n{title}: [{}]", clean(reason)),
        None if section.rows.len() < section.total => format!(
            "\n{title}: {}",
            language.rows_of(section.rows.len(), section.total)
        ),
        None => format!("\n{title}: {}", section.total),
    };
    session.screen.print_line(&line)?;
    if section.rows.is_empty() {
        return Ok(());
    }
    let headers = section.columns.iter();
    let headers = headers.map(|column| language.column(*column)).collect();
    let numbers: Vec<bool> = section
        .columns
        .iter()
        .map(|column| is_number(*column))
        .collect();
    print_rows(session.screen, headers, &section.rows, &numbers)
}

fn is_number(column: Column) -> bool {
    matches!(
        column,
        Column::Number | Column::Soft | Column::Hard | Column::Seconds
    )
}

impl Language {
    fn section(self, title: Title) -> String {
        match title {
            Title::Arguments => self.section_arguments(),
            Title::Environment => self.section_environment(),
            Title::Limits => self.section_limits(),
            Title::Files => self.section_files(),
            Title::Sockets => self.section_sockets(),
            Title::Threads => self.header_threads(),
            Title::ControlGroups => self.section_control_groups(),
            Title::Io => self.section_io(),
            Title::Namespaces => self.section_namespaces(),
            Title::Memory => self.section_memory(),
            Title::Status => self.section_status(),
            Title::Children => self.section_children(),
        }
    }

    fn column(self, column: Column) -> String {
        match column {
            Column::Name => self.header_name(),
            Column::Value => self.header_value(),
            Column::Soft => self.header_soft(),
            Column::Hard => self.header_hard(),
            Column::Unit => self.header_unit(),
            Column::Number => self.header_number(),
            Column::Kind => self.header_kind(),
            Column::Access => self.header_access(),
            Column::Target => self.header_target(),
            Column::Protocol => self.header_protocol(),
            Column::Local => self.header_local(),
            Column::Remote => self.header_remote(),
            Column::State => self.header_state(),
            Column::Seconds => self.header_seconds(),
            Column::Controllers => self.header_controllers(),
            Column::Path => self.header_path(),
            Column::Handle => self.header_handle(),
        }
    }
}

#[cfg(test)]
mod tests {
    use flota_model::{
        ids::{BootId, NodeId},
        inspect::{Part, ProcessDetail, Program, Unseen},
        process::ProcessRow,
        units::Timestamp,
    };

    use super::*;

    /// Of a process of which nothing but its program can be read.
    fn details() -> ProcessDetails {
        let unseen = Unseen { errno: 13 };
        let detail = ProcessDetail {
            boot: BootId(1),
            read_at: Timestamp(0),
            cores: Some(2),
            row: ProcessRow::default(),
            arguments: Err(unseen),
            environment: Err(unseen),
            folder: Err(unseen),
            root: Err(unseen),
            program: Ok(Program {
                path: "/bin/x".into(),
                is_deleted: true,
            }),
            limits: Err(unseen),
            files: Err(unseen),
            sockets: Err(unseen),
            threads: Err(unseen),
            control_groups: Err(unseen),
            io: Err(unseen),
            namespaces: Err(unseen),
            memory: Err(unseen),
            status: Err(unseen),
            children: Part::default(),
        };
        ProcessDetails::new(NodeId(1), "n1", detail)
    }

    #[test]
    fn what_cannot_be_read_is_null_and_says_why() {
        let details = details();
        let value = serde_json::to_value(&details).unwrap();
        for field in ["folder", "files", "environment", "memory_detail", "io"] {
            assert_eq!(value[field], serde_json::Value::Null, "{field}");
            let reason = value["unreadable"][field].as_str().unwrap();
            assert!(reason.contains("ermission denied"), "{reason}");
        }
        assert_eq!(value["program"]["deleted"], true);
        assert_eq!(value["pid"], 0, "the fields of a list are there too");
        let sections = details.sections("-", "-");
        assert_eq!(sections.len(), 12);
        for section in sections {
            let is_known = section.title == Title::Children;
            assert_eq!(section.reason.is_none(), is_known, "{:?}", section.title);
        }
    }

    #[test]
    fn every_part_has_a_title_and_every_column_a_header() {
        for language in [Language::English, Language::Spanish] {
            for section in details().sections("-", "-") {
                assert!(!language.section(section.title).is_empty());
                for column in section.columns {
                    assert!(!language.column(*column).is_empty());
                }
            }
        }
    }
}
